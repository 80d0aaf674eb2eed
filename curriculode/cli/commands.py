"""What the commands do: read the study, compute, write the files, print the table."""

import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.study import Study

from . import parse
from .outputs import Outputs

if TYPE_CHECKING:
    import pandas as pd

    from curriculode.sims.runs.ensemble import Ensemble


def _study(name: str, changes: list[str], settings: dict[str, Any], over: list[str] | None = None) -> Study:
    """The study of an experiment with what the command line changes in it."""
    study = Study.load(name)
    update = {key: value for key, value in settings.items() if value is not None}
    if changes or over:
        changed = parse.changes(changes)
        update["experiment"] = study.experiment.replace(changed)
        # What is set by hand is not varied any more.
        update["over"] = parse.grid(over) if over else {k: v for k, v in study.over.items() if k not in changed}
    if "runs" in update and "starts" not in update:
        update["starts"] = min(study.starts, update["runs"]) if update["runs"] >= 1 else study.starts
    fields = {key: getattr(study, key) for key in Study.model_fields}
    return Study(**{**fields, **update})


# Options that speak of online learning, with the values they have where they are not given.
_ONLINE: dict[str, tuple[Any, ...]] = {
    "times": (None, 101), "points": (None,), "starts": (None,), "spacing": ("linear",), "rtol": (None, 1e-6), "space": ("overlap",),
    "method": ("auto",), "averages": ("auto",), "accuracy": (1e-3,), "noise_terms": (True,),
}  # fmt: skip


def _is_batch(study: Study, *given: dict[str, Any]) -> bool:
    """Whether the study learns in slices; then options that only online learning knows are refused."""
    from curriculode.theory.describe.training import BatchSlices

    if not isinstance(study.experiment.training, BatchSlices):
        return False
    unused = [name for options in given for name, value in options.items() if name in _ONLINE and value not in _ONLINE[name]]
    if unused:
        names = ", ".join("--" + name.replace("_", "-") for name in unused)
        raise InputError(f"{names} is for online learning; {study.experiment.training.kind} has no use for it: leave it out")
    return True


def _table(frame: "pd.DataFrame", title: str, formats: dict[str, str]) -> None:
    """Print a table on standard output, at its full width where that is not a terminal."""
    from rich.console import Console
    from rich.table import Table

    console = Console() if sys.stdout.isatty() else Console(width=160)
    table = Table(title=title, title_justify="left")
    for name in frame.columns:
        table.add_column(str(name).replace("_", " "), justify="right" if frame[name].dtype.kind in "fi" else "left")
    for _, row in frame.iterrows():
        table.add_row(*(format(value, formats.get(name, "")) if name in formats else str(value) for name, value in row.items()))
    console.print(table)


def _print_json(content: dict[str, Any]) -> None:
    print(json.dumps(_plain(content), allow_nan=False))


def _plain(value: Any) -> Any:
    """A value that JSON can hold: arrays as lists, what is not finite as null."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not (abs(value) < float("inf")):
        return None
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def _save_figure(outputs: Outputs, stem: str, figure: Any) -> None:
    for suffix in ("png", "pdf"):
        outputs.write(f"{stem}.{suffix}", partial(figure.savefig, format=suffix))


def _describe(study: Study, command: str, options: dict[str, Any]) -> str:
    """The study as TOML, and the options beside it as a comment: what has to be kept to make the files again."""
    import tomli_w

    settings = {key: getattr(study, key) for key in Study.model_fields if key != "experiment"}
    if not settings["over"]:
        del settings["over"]
    given = " ".join(f"{name}={value}" for name, value in options.items() if value is not None and name != "workers")
    return f"# curriculode {command}: {given}\n" + tomli_w.dumps({**study.experiment.to_dict(), "study": settings})


class _Files:
    """The files of one command on one study: its table, its picture, and the settings that make them again."""

    def __init__(self, study: Study, name: str, command: str, options: dict[str, Any], out: Path, force: bool) -> None:
        self.stem, self.settings = f"{Path(name).stem}-{command}", _describe(study, command, options)
        self.outputs = Outputs(out, command, self.settings, _names(self.stem, ("csv", "png", "pdf", "toml")), force)

    def write(self, table: "pd.DataFrame", figure: Any) -> None:
        """Write all of them."""
        _save_figure(self.outputs, self.stem, figure)
        self.outputs.write(f"{self.stem}.csv", lambda path: table.to_csv(path, index=False))
        self.outputs.write(f"{self.stem}.toml", lambda path: path.write_text(self.settings, encoding="utf-8"))


def _names(stem: str, suffixes: tuple[str, ...]) -> list[str]:
    return [f"{stem}.{suffix}" for suffix in suffixes]


def run_compare(
    name: str, changes: list[str], over: list[str] | None, settings: dict[str, Any], options: dict[str, Any], quantity: str,
    out: Path, force: bool, as_json: bool, quiet: bool,
) -> int:  # fmt: skip
    """Theory against simulation."""
    from curriculode.sims.compare.compare import compare, quantity_names
    from curriculode.theory.core.description import unknown

    study = _study(name, changes, settings, over)
    _is_batch(study, settings, options)
    if quantity != "accuracy" and quantity not in (allowed := quantity_names(study)):
        raise InputError(unknown("quantity", quantity, ["accuracy", *allowed]))
    files = _Files(study, name, "compare", options, out, force)
    comparison = compare(
        study.experiment, dimension=study.dimension, runs=study.runs, seed=study.seed, starts=study.starts, over=study.over,
        times=study.times, points=study.points, progress=False if quiet else None, **options,
    )  # fmt: skip
    if comparison.interrupted:  # unfinished results take no finished ones' place
        files = _Files(study, name, "compare-partial", options, out, True)
    files.write(comparison.to_frame(), comparison.plot(quantity=quantity)[0].figure)
    summary, gaps = comparison.summary(), comparison.gaps()
    if as_json:
        _print_json(
            {
                "command": "compare", "experiment": study.experiment.to_dict(), "dimension": study.dimension, "runs": study.runs,
                "starts": study.starts, "seed": study.seed, "agrees": comparison.agrees, "verdict": comparison.verdict(),
                "status": comparison.status, "cells": summary.to_dict("records"), "gaps": gaps.to_dict("records"),
                "files": files.outputs.written,
            }
        )  # fmt: skip
    else:
        title = (
            f"Theory against simulation, D = {study.dimension}, {study.runs} runs from {study.starts} start(s); "
            "accuracy on the hardest level"
        )
        shown = summary.drop(columns=[c for c in ("problem",) if not summary[c].any()])
        _table(shown, title, _FORMATS)
        if len(gaps):
            _table(gaps, "What the order gains: difference of final accuracies, paired by start and seed", _FORMATS)
        print(comparison.verdict())
        if comparison.interrupted:
            print(comparison.status)
        _print_files(files.outputs)
    if comparison.interrupted:
        return 130
    return 0 if comparison.agrees else 1


_FORMATS = {
    "t": ".4g", "accuracy_theory": ".4f", "accuracy_simulation": ".4f", "standard_error": ".4f", "worst_in_standard_errors": "+.2f",
    "worst_in_inverse_root_D": "+.3f", "share_of_allowed": ".0%", "theory": "+.4f", "simulation": "+.4f",
}  # fmt: skip


def _print_files(outputs: Outputs) -> None:
    print("wrote " + ", ".join(str(path) for path in outputs.written))


def run_integrate(
    name: str,
    changes: list[str],
    settings: dict[str, Any],
    options: dict[str, Any],
    out: Path,
    force: bool,
    as_json: bool,
) -> int:
    """Theory alone."""
    study = _study(name, changes, settings)
    batch = _is_batch(study, settings, options)
    files = _Files(study, name, "integrate", options, out, force)
    if batch:
        return _state_evolution(study, files, as_json)
    from curriculode.figures.plots.trajectory import plot_trajectory
    from curriculode.sims.runs.progress import Progress
    from curriculode.theory.solve.integrate import integrate

    start = study.experiment.initial(study.dimension, study.seed)
    with Progress("integrating", study.experiment.protocol.duration) as bar:
        trajectory = integrate(study.experiment, start, times=study.times, progress=bar.update, **options)
    files.write(trajectory.to_frame(), plot_trajectory(trajectory)[0].figure)
    frame = trajectory.to_frame(order_parameters=False)
    if as_json:
        _print_json(
            {
                "command": "integrate", "experiment": study.experiment.to_dict(), "dimension": study.dimension, "seed": study.seed,
                "success": trajectory.success, "status": trajectory.status, "statistics": trajectory.statistics,
                "trajectory": frame.to_dict("list"), "files": files.outputs.written,
            }
        )  # fmt: skip
    else:
        chosen = frame.iloc[sorted({round(i * (len(frame) - 1) / 10) for i in range(11)})] if len(frame) else frame
        _table(chosen, "Mean-field trajectory, errors on the hardest level", dict.fromkeys(frame.columns, ".5g"))
        averages = trajectory.statistics["averages"]
        print("averages: " + ", ".join(f"{term} by {way}" for term, way in averages["ways"].items()))
        if "accuracy" in averages:
            print(
                f"nets of {averages['points']} points leave a relative standard error of {averages['accuracy']:.1e} in the "
                "generalisation error"
            )
        if len(error := trajectory.classification_standard_error) and error.max() > 0:
            print(f"standard error of the classification error: at most {error.max():.1e}")
        print(trajectory.status)
        _print_files(files.outputs)
    return 0 if trajectory.success else 1


def _state_evolution(study: Study, files: _Files, as_json: bool) -> int:
    """Theory alone, of batch learning."""
    from curriculode.figures.plots.batch import plot_slices
    from curriculode.theory.batch import state_evolution

    trajectory = state_evolution(study.experiment)
    frame = trajectory.to_frame(order_parameters=False)
    files.write(trajectory.to_frame(), plot_slices(trajectory)[0].figure)
    if as_json:
        _print_json(
            {
                "command": "integrate", "experiment": study.experiment.to_dict(), "success": trajectory.success,
                "status": trajectory.status, "statistics": trajectory.statistics, "trajectory": frame.to_dict("list"),
                "files": files.outputs.written,
            }
        )  # fmt: skip
    else:
        _table(frame, "State evolution after each slice, errors on the hardest level", dict.fromkeys(frame.columns, ".5g"))
        print(trajectory.status)
        _print_files(files.outputs)
    return 0 if trajectory.success else 1


def run_simulate(
    name: str,
    changes: list[str],
    settings: dict[str, Any],
    options: dict[str, Any],
    out: Path,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Simulation alone."""
    from curriculode.figures.plots.batch import plot_slices
    from curriculode.figures.plots.trajectory import plot_ensemble
    from curriculode.sims.runs.minimize import minimize
    from curriculode.sims.runs.simulate import simulate

    study = _study(name, changes, settings)
    batch = _is_batch(study, settings, options)
    files = _Files(study, name, "simulate", options, out, force)
    quietly = False if quiet else None
    ensemble: Ensemble
    if batch:
        ensemble = found = minimize(
            study.experiment,
            dimension=study.dimension,
            runs=study.runs,
            seed=study.seed,
            workers=options["workers"],
            progress=quietly,
        )
        what, axes = "Minimisation", plot_slices(found)
    else:
        ensemble = simulate(
            study.experiment, dimension=study.dimension, runs=study.runs, seed=study.seed, times=study.times, points=study.points,
            progress=quietly, **options,
        )  # fmt: skip
        what, axes = "Online SGD", plot_ensemble(ensemble)
    summary = ensemble.summary()
    files.write(ensemble.to_frame(), axes[0].figure)
    if as_json:
        _print_json(
            {
                "command": "simulate", "experiment": study.experiment.to_dict(), "dimension": study.dimension, "seed": study.seed,
                "runs": len(ensemble.run), "status": ensemble.status, "statistics": ensemble.statistics,
                "summary": summary.to_dict("list"), "files": files.outputs.written,
            }
        )  # fmt: skip
    else:
        chosen = summary.iloc[sorted({round(i * (len(summary) - 1) / 10) for i in range(11)})]
        _table(
            chosen[[c for c in chosen.columns if not c.endswith("_scatter")]],
            f"{what} at D = {study.dimension}, mean over {len(ensemble.run)} runs, errors on the hardest level",
            dict.fromkeys(summary.columns, ".4g"),
        )
        print(ensemble.status)
        _print_files(files.outputs)
    return 130 if ensemble.interrupted else 0 if ensemble.finite.any() else 1


def run_figure(name: str | None, show: bool, scale: float, out: Path, force: bool, as_json: bool, quiet: bool) -> int:
    """Named figures of the gallery."""
    from curriculode.figures import gallery
    from curriculode.sims.runs.progress import Progress
    from curriculode.theory.describe.experiment import experiment_text

    if show or name is None:
        titles = {n: gallery.figure(n).title for n in gallery.names()}
        if as_json:
            _print_json({"figures": titles})
        else:
            width = max(len(n) for n in titles)
            print("\n".join(f"{n:<{width}}  {title}" for n, title in titles.items()))
        return 0
    if not 0 < scale <= 1e3:
        raise InputError(f"--scale {scale:g} is not allowed; it multiplies the numbers of runs, such as 0.1 or 10")
    chosen = gallery.names() if name == "all" else [name]
    files = []
    for n in chosen:
        figure = gallery.figure(n)
        settings = f"{experiment_text(figure.experiment)}\n# scale = {scale:g}"
        outputs = Outputs(out, f"figure {n}", settings, _names(n, ("png", "pdf", "csv", "txt")), force)
        with Progress(f"figure {n}", 1.0, False if quiet else None) as bar:
            table = figure.compute(scale, bar.update)
        _save_figure(outputs, n, figure.draw(table))
        outputs.write(f"{n}.csv", lambda path, table=table: table.to_csv(path, index=False))  # type: ignore[misc]
        caption = figure.caption
        if scale != 1:
            caption += f" Drawn at scale {scale:g}, which multiplies numbers of runs, starts or grid points, down to a least one."
        text = f"{caption}\n\nAll other settings are those of the built-in experiment {figure.experiment}:\n\n"
        text += experiment_text(figure.experiment)
        outputs.write(f"{n}.txt", partial(Path.write_text, data=text, encoding="utf-8"))
        files += outputs.written
        if not as_json:
            print(f"{figure.title}\n{caption}")
            _print_files(outputs)
    if as_json:
        _print_json({"figures": chosen, "scale": scale, "files": files})
    return 0


def run_equations(name: str, changes: list[str], latex: bool, as_json: bool) -> int:
    """The equations of an experiment."""
    from curriculode.theory.printing.equations import closed_forms, definitions, equations

    experiment = _study(name, changes, {}).experiment
    parts = (equations(experiment), definitions(experiment)), closed_forms(experiment)
    if as_json:
        rows = [[{"text": e.text(), "latex": e.latex(), "words": e.words} for e in part] for part, _ in parts]
        _print_json({"equations": rows[0], "definitions": parts[0][1], "averages": rows[1], "ways": parts[1][1]})
        return 0
    for part, lines in parts:
        if not lines:
            continue
        if latex:
            body = " \\\\\n".join("  " + e.latex().replace(" = ", " &= ", 1) for e in part)
            print(f"\\begin{{align}}\n{body}\n\\end{{align}}" if part else "% all averages are taken by nets")
        else:
            print("\n".join(f"  {e.text()}    ({e.words})" for e in part) if part else "  all averages are taken by nets")
        print("\n".join(("% " if latex else "") + line for line in ["", *lines]) + "\n")
    return 0


def run_experiments(name: str | None, as_json: bool) -> int:
    """List the built-in experiments, or print one."""
    from curriculode.theory.describe.experiment import builtin_experiments, experiment_text, load

    if name is not None:
        if name not in builtin_experiments():
            raise InputError(f"experiment {name!r} is not built in; allowed: {', '.join(builtin_experiments())}")
        if as_json:
            _print_json(load(name).to_dict())
        else:
            print(experiment_text(name), end="")
        return 0
    names = builtin_experiments()
    if as_json:
        _print_json({"experiments": names})
        return 0
    width = max(len(n) for n in names)
    for n in names:
        print(f"{n:<{width}}  {experiment_text(n).splitlines()[0].lstrip('# ')}")
    return 0
