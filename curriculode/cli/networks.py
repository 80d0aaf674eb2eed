"""`curriculode networks`: real networks on real data; needs the extra "networks"."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import parse
from .options import CHANGES, FORCE, JSON, OUT, OVER, QUIET
from .outputs import Outputs
from .report import csv, picture, print_files, print_json, print_table, text

if TYPE_CHECKING:
    from curriculode.sims.networks.study import NetworkStudy

app = typer.Typer(
    name="networks",
    help="Real networks on real data: orders of the same examples, tickets, stability. Needs the extra: curriculode[networks].\n\n"
    "Example: curriculode networks compare digits-curriculum",
    no_args_is_help=True,
    rich_markup_mode=None,
)
DEFAULT = "digits-curriculum"
_EXPERIMENT = Annotated[
    str, typer.Argument(metavar="EXPERIMENT", help="A built-in experiment on real data (`networks experiments`) or a TOML file.")
]
_RUNS = Annotated[int | None, typer.Option("--runs", help="Seeds; by default the experiment's own.")]
_FIRST = Annotated[int | None, typer.Option("--first", help="Number of the first run: a confirmation takes others than a search.")]
_SEED = Annotated[int | None, typer.Option("--seed", help="Seed of all runs.")]
_DATA = Annotated[Path | None, typer.Option("--data", help="Folder of the files of the images.")]
_WORKERS = Annotated[int | None, typer.Option("--workers", help="Threads; by default all cores.")]
_SHARED: dict[str, tuple[Any, Any]] = {
    "experiment": (_EXPERIMENT, DEFAULT),
    "changes": (CHANGES, None),
    "runs": (_RUNS, None),
    "first": (_FIRST, None),
    "seed": (_SEED, None),
    "data": (_DATA, None),
    "workers": (_WORKERS, None),
    "out": (OUT, Path("curriculode-out")),
    "force": (FORCE, False),
    "json": (JSON, False),
    "quiet": (QUIET, False),
}
_PERCENT = {
    name: ".4f" for name in ("classification_error", "standard_error", "gain", "slope", "barrier", "midpoint", "error", "kept")
}


@dataclass
class _Asked:
    """What a command was asked for: the study with all that the command line changes, and where results go."""

    name: str
    command: str
    study: "NetworkStudy"
    workers: int | None
    out: Path
    force: bool
    json: bool
    quiet: bool
    outputs: Any = None

    @property
    def progress(self) -> bool | None:
        """What verbs take as `progress`."""
        return False if self.quiet else None

    @property
    def how(self) -> dict[str, Any]:
        """What all verbs take."""
        study = self.study
        return {"runs": study.runs, "first": study.first, "seed": study.seed, "workers": self.workers, "progress": self.progress}

    def set(self, **settings: Any) -> "NetworkStudy":
        """The study with these settings, where they were given; then the files of the command are known."""
        self.study = self.study.set(**settings)
        stem = f"{Path(self.name).stem.removesuffix(f'-{self.command}')}-{self.command}"
        suffixes = (".csv", ".png", ".pdf", ".toml")
        self.outputs = Outputs(self.out, stem, suffixes, f"networks {self.command}", self.study.to_toml(), self.force)
        return self.study

    def publish(self, table: Any, figure: Any, unfinished: bool = False) -> None:
        """Write table, picture and the file that makes them again."""
        words = f"# curriculode networks {self.command} THIS_FILE makes these results again\n{self.study.to_toml()}"
        self.outputs.publish({".csv": csv(table), **picture(figure), ".toml": text(words)}, unfinished)

    def tell(self, shown: Any, title: str, sentence: str, more: dict[str, Any]) -> None:
        """Say what was found, as a table or as JSON."""
        if self.json:
            content = {"command": f"networks {self.command}", "study": self.study.experiment.to_dict(), "verdict": sentence, **more}
            print_json({**content, "table": shown.to_dict("records"), "files": self.outputs.written})
            return
        formats = {**{name: _PERCENT[name] for name in shown.columns if name in _PERCENT}, **({"p": ".2g"} if "p" in shown else {})}
        print_table(shown, title, formats)
        print(sentence)
        print_files(self.outputs)


def _command(function: Callable) -> Callable:
    """A command `function(asked, **own options)` as typer sees it, with the shared options in place of what is asked."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    own = [each.replace(kind=keyword) for each in list(inspect.signature(function).parameters.values())[1:]]
    shared = [inspect.Parameter(name, keyword, default=value, annotation=kind) for name, (kind, value) in _SHARED.items()]
    parameters = [*shared[:2], *own, *shared[2:]]

    @wraps(function)
    def command(**values: Any) -> None:
        from curriculode.sims.networks.study import NetworkStudy

        given = {name: values.pop(name) for name in _SHARED}
        study = NetworkStudy.load(given["experiment"])
        changed = parse.changes(given["changes"] or [])
        if given["data"] is not None:
            changed["data.folder"] = str(given["data"])
        if changed:
            over = {name: value for name, value in study.over.items() if name not in changed}
            study = study.set(experiment=study.experiment.replace(changed), over=over)
        study = study.set(runs=given["runs"], first=given["first"], seed=given["seed"])
        places = {name: given[name] for name in ("workers", "out", "force", "json", "quiet")}
        raise typer.Exit(function(_Asked(given["experiment"], function.__name__, study, **places), **values))

    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    return command


@app.command()
@_command
def compare(
    asked: _Asked,
    over: OVER = None,  # type: ignore[valid-type]
    orders: Annotated[
        str | None, typer.Option("--orders", help="curriculum, anti-curriculum, random, hard-only, easy-only, stages.")
    ] = None,
    rates: Annotated[
        str | None, typer.Option("--rates", help="Learning rates to try for every network and order: 0.003,0.01,0.03.")
    ] = None,
    scan: Annotated[
        int | None, typer.Option("--scan", help="Seeds of those trials, others than those compared; by default 4.")
    ] = None,
    store: Annotated[
        Path | None, typer.Option("--store", help="SQLite file of finished networks: the same command resumes.")
    ] = None,
) -> int:
    """Orders of the same examples, paired over seeds: what each gains at every level, over widths, depths or anything else.

    Example: curriculode networks compare fashion-curriculum --over network.width=12,400 --rates 0.001,0.003,0.01 --store n.sqlite
    """
    from curriculode.sims.networks.compare import compare

    study = asked.set(
        over=parse.grid(over) if over else None,
        orders=None if orders is None else parse.names(orders),
        rates=None if rates is None else [parse.value(each) for each in rates.split(",")],
        scan=scan,
    )
    found = compare(
        study.experiment, study.over, orders=study.orders, rates=study.rates or None, scan=study.scan, store=store, **asked.how
    )  # fmt: skip
    several = len(study.orders) > 1
    shown = found.gaps("random" if "random" in study.orders else study.orders[-1]) if several else found.summary()
    asked.publish(found.to_frame(), found.plot()[0].figure, found.interrupted)
    asked.tell(shown, "Gain in accuracy, paired over seeds" if several else "Errors", found.verdict(), {"status": found.status})
    return 130 if found.interrupted else 0


@app.command()
@_command
def train(
    asked: _Asked, times: Annotated[int | None, typer.Option("--times", help="Number of output times, by default 11.")] = None
) -> int:
    """Networks in the experiment's order, one a seed: accuracy at every level against time, and how weights change.

    Example: curriculode networks train digits-curriculum --runs 8
    """
    from curriculode.figures.plots.networks import plot_course
    from curriculode.sims.networks.train import train

    study = asked.set(times=times)
    found = train(study.experiment, times=study.times, remember=[0.0], **asked.how)
    asked.publish(found.to_frame(), plot_course(found).figure, "interrupted" in found.status)
    table = found.to_frame()
    shown = (
        table[table["t"] == table["t"].max()].groupby("level", sort=False)[["classification_error", "loss"]].mean().reset_index()
    )
    indicators = {
        "weight_correlation": float(found.weight_correlation(0.1)[:, -1].mean()),
        "sign_changes": float(found.sign_changes()[:, -1].mean()),
    }
    sentence = (
        f"{found.status}; of the largest tenth of each unit's weights {100 * indicators['weight_correlation']:.0f} % were so at "
        f"the start, and {100 * indicators['sign_changes']:.0f} % of all changed their sign"
    )
    asked.tell(shown, "At the end", sentence, indicators)
    return 130 if "interrupted" in found.status else 0 if found.success else 1


@app.command()
@_command
def tickets(
    asked: _Asked,
    keep: Annotated[float | None, typer.Option("--keep", help="Share of the weights that is left, by default 0.2.")] = None,
    rounds: Annotated[int | None, typer.Option("--rounds", help="Rounds of pruning.")] = None,
    rewind: Annotated[float | None, typer.Option("--rewind", help="Time k of the weights that tickets begin with.")] = None,
    criterion: Annotated[str | None, typer.Option("--criterion", help="large-final (default), movement, ...")] = None,
    scope: Annotated[str | None, typer.Option("--scope", help="unit (default) or layer.")] = None,
    treatments: Annotated[
        str | None,
        typer.Option("--treatments", metavar="NAME,NAME", help="ticket, reinit, random, fine-tune, untrained, signs ..."),
    ] = None,
) -> int:
    """Lottery tickets: train, prune in rounds, train what is kept.

    Example: curriculode networks tickets digits-tickets --keep 0.086 --rounds 11
    """
    from curriculode.figures.plots.networks import plot_treatments
    from curriculode.sims.networks.tickets import tickets
    from curriculode.theory.describe.pruning import Pruning

    settings = {"keep": keep, "rounds": rounds, "rewind": rewind, "criterion": criterion, "scope": scope}
    before = {"keep": 0.2} if asked.study.pruning is None else asked.study.pruning.to_dict()
    pruning = Pruning(**{**before, **{name: value for name, value in settings.items() if value is not None}})
    study = asked.set(pruning=pruning, treatments=None if treatments is None else parse.names(treatments))
    found = tickets(study.experiment, pruning, treatments=study.treatments, **asked.how)
    asked.publish(found.to_frame(), plot_treatments(found).figure, "interrupted" in found.status)
    summary = found.summary()
    asked.tell(summary[summary["level"] == "mixture"], "Errors on the mixture", found.status, {"density": found.density})
    return 130 if "interrupted" in found.status else 0 if found.success else 1


@app.command()
@_command
def instability(
    asked: _Asked,
    at: Annotated[str | None, typer.Option("--at", help="Times k of the branching, by default the experiment's: 0,2,5.")] = None,
    match: Annotated[bool | None, typer.Option("--match/--no-match", help="Match the units of the copies first.")] = None,
) -> int:
    """Two copies that part at time k: the barrier between them at the end.

    Example: curriculode networks instability digits-tickets --at 0,2,10 --runs 8
    """
    from curriculode.figures.plots.networks import plot_barrier
    from curriculode.sims.networks.pairs import instability

    study = asked.set(at=None if at is None else [parse.value(each) for each in at.split(",")], match=match)
    found = instability(study.experiment, at=list(study.at), match=study.match, **asked.how)
    asked.publish(found.to_frame(), plot_barrier(found).figure, "interrupted" in found.status)
    stable = found.stable_from
    sentence = f"stable from k = {stable:g} on" if stable == stable else "stable from none of these times on"
    columns = ["at", "barrier", "standard_error", "midpoint", "error", "stable"]
    asked.tell(found.summary()[columns], "Barrier at the end", f"{found.status}: {sentence}", {"stable_from": stable})
    return 130 if "interrupted" in found.status else 0 if found.success else 1


@app.command()
def experiments(
    name: Annotated[str | None, typer.Argument(help="Print this one as TOML, to start a file of your own from.")] = None,
    json: JSON = False,
) -> None:
    """List the built-in experiments on real data, or print one of them as TOML."""
    from curriculode.sims.networks.describe import builtin_networks, network_text
    from curriculode.sims.networks.study import NetworkStudy
    from curriculode.theory.core.description import unknown
    from curriculode.theory.core.errors import InputError

    names = builtin_networks()
    if name is None:
        if json:
            print_json({"experiments": names})
        else:
            print("\n".join(f"{each:<20}  {network_text(each).splitlines()[0].lstrip('# ')}" for each in names))
    elif name not in names:
        raise InputError(unknown("built-in experiment", name, names))
    elif json:
        print_json(NetworkStudy.load(name).experiment.to_dict())
    else:
        print(network_text(name), end="")
