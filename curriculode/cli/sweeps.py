"""What the commands around sweeps do: the grid, its store, its table, and the picture of a table."""

import importlib.util
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curriculode.sims.sweep.plan import Plan
from curriculode.sims.sweep.store import Store
from curriculode.theory.core.errors import InputError

from . import parse
from .commands import _print_files, _print_json, _save_figure, _study
from .outputs import Outputs

if TYPE_CHECKING:
    from concurrent.futures import Executor

    import pandas as pd

_SHOWN = 5  # failed points named on the terminal


def run_sweep(
    name: str, changes: list[str], over: list[str] | None, paired: bool, seeds: int, settings: dict[str, Any],
    options: dict[str, Any], store: Path | None, shard: str | None, workers: int | None, dask: str | None, status: bool,
    retry: bool, csv: Path | None, out: Path, force: bool, as_json: bool, quiet: bool,
) -> int:  # fmt: skip
    """A sweep, or the state of one."""
    from curriculode.sims.sweep.sweep import chosen, fill, opened, planned, to_frame
    from curriculode.sims.sweep.workers import Crew

    study = _study(name, changes, {key: settings[key] for key in ("dimension", "points")}, over)
    experiment, grid = study.experiment, study.over
    zipped = {key: values for key, values in grid.items() if paired and key != "protocol.order"}
    observables = options.pop("observables")
    crossed = {key: values for key, values in grid.items() if key not in zipped}
    plan = planned(
        experiment, crossed, zipped, seeds, observables, shard, dimension=study.dimension, points=study.points, **options
    )
    if dask is not None and workers is not None:
        raise InputError("--workers and --dask exclude each other: the scheduler knows its own workers; leave one out")
    if status:
        if store is None:
            raise InputError("--status needs the store it is asked about; add --store FILE.sqlite")
        with Store(store, experiment, create=False) as kept:
            _tell_status(plan, kept, as_json)
        return 0
    # Each shard has a table of its own, since they may run side by side.
    part = "" if shard is None else "-" + shard.replace("/", "-of-")
    path = csv if csv is not None else out / f"{Path(name).stem}-sweep{part}.csv"
    if path.suffix == ".parquet" or (store is not None and path.absolute() == store.absolute()):
        raise InputError(f"--csv {path} is not allowed; give a name of its own that ends in .csv")
    # With a store a larger grid over the same experiment may renew the table of a smaller one: no number of that is lost.
    origin = experiment.to_toml() + ("" if store is not None else f"# {grid} {seeds} {plan.settings.text()}")
    outputs = Outputs(path.parent, "sweep", origin, _table_names(path.stem, path.suffix), force)
    partial_outputs = Outputs(path.parent, "sweep", origin, _table_names(f"{path.stem}-partial", path.suffix), True)
    with Crew(workers, None if dask is None else dask_executor(dask)) as crew, opened(plan, store) as kept:
        interrupted = fill(plan, kept, crew, retry, False if quiet else None)
        table = to_frame(plan, kept, chosen(experiment, observables), interrupted)
        failures = kept.failures(plan.keys, _SHOWN)
    if interrupted:  # an unfinished table takes no finished one's place
        outputs = partial_outputs
    _write_table(outputs, path.stem + ("-partial" if interrupted else ""), path.suffix, table)
    done = int((~table["failed"]).sum())
    if as_json:
        _print_json(
            {
                "command": "sweep", "experiment": experiment.to_dict(), "over": grid, "seeds": seeds, "points": len(plan),
                "done": done, "failed": len(table) - done, "missing": len(plan) - len(table), "status": table.attrs["status"],
                "table": table.to_dict("list"), "files": outputs.written,
            }
        )  # fmt: skip
    else:
        _tell_failures(failures, len(table) - done)
        print(table.attrs["status"])
        if interrupted and store is None:
            print("without --store the unfinished sweep cannot be resumed")
        _print_files(outputs)
    if interrupted:
        return 130
    return 0 if done or not len(plan) else 1


def run_refine(
    name: str, changes: list[str], x: str, y: str, gap: str | None, dimension: int | None, points: int | None,
    options: dict[str, Any], dask: str | None, out: Path, force: bool, as_json: bool, quiet: bool,
) -> int:  # fmt: skip
    """A sweep near a boundary, and its phase diagram."""
    from curriculode.figures.plots.phase_diagram import phase_diagram
    from curriculode.sims.sweep.refine import refine

    study = _study(name, changes, {"dimension": dimension, "points": points})
    across, up = parse.extent(x, "--x"), parse.extent(y, "--y")
    orders = None if gap is None else parse.names(gap)
    stem = f"{Path(name).stem}-refine"
    settings = f"{study.experiment.to_toml()}# {across} {up} {options['value']} {options['level']} {orders}"
    outputs = Outputs(out, "refine", settings, [*_table_names(stem, ".csv"), f"{stem}.png", f"{stem}.pdf"], force)
    table = refine(
        study.experiment, across, up, gap=orders, dimension=study.dimension, points=study.points,
        executor=None if dask is None else dask_executor(dask), progress=False if quiet else None, **options,
    )  # fmt: skip
    _write_table(outputs, stem, ".csv", table)
    levels = None if options["level"] is None else [options["level"]]
    diagram = phase_diagram(table, across[0], up[0], options["value"], gap=orders, levels=levels)
    _save_figure(outputs, stem, diagram.ax.figure)
    places = len(diagram.table)
    if as_json:
        _print_json(
            {
                "command": "refine", "experiment": study.experiment.to_dict(), "places": places, "status": table.attrs["status"],
                "table": table.to_dict("list"), "files": outputs.written,
            }
        )  # fmt: skip
    else:
        print(f"{places} places; {table.attrs['status']}")
        _print_files(outputs)
    return 130 if table.attrs["interrupted"] else 0


def _table_names(stem: str, suffix: str) -> list[str]:
    """The files of a table: CSV always, Parquet where pyarrow is installed."""
    return [f"{stem}{suffix}", *([f"{stem}.parquet"] if importlib.util.find_spec("pyarrow") else [])]


def _write_table(outputs: Outputs, stem: str, suffix: str, table: "pd.DataFrame") -> None:
    writers = (_write_csv, _write_parquet)
    for name, writer in zip(_table_names(stem, suffix), writers, strict=False):
        outputs.write(name, partial(writer, table))


def _write_csv(table: "pd.DataFrame", path: Path) -> None:
    table.to_csv(path, index=False)


def _write_parquet(table: "pd.DataFrame", path: Path) -> None:
    # A column of Parquet has one type; a parameter that is a number here and a text there becomes a text.
    mixed = {
        name: table[name].astype(str)
        for name in table.columns
        if table[name].dtype == object and len({type(value) for value in table[name]}) > 1
    }
    table.assign(**mixed).to_parquet(path, index=False)


def _tell_status(plan: Plan, store: Store, as_json: bool) -> None:
    finished, wrong = store.keys(failed=False), store.keys(failed=True)
    done, failed, missing = plan.state(finished, wrong)
    stored = (len(finished) + len(wrong)) // 16
    failures = store.failures(plan.keys, _SHOWN) if failed else []
    if as_json:
        content = {"store": store.path, "points": len(plan), "done": done, "failed": failed, "missing": missing}
        listed = [{"parameters": changes, "seed": seed, "status": status} for changes, seed, status in failures]
        _print_json({"command": "sweep", **content, "in_store": stored, "meta": store.meta, "failures": listed})
        return
    _tell_failures(failures, failed)
    print(f"of {len(plan)} points {done} are done, {failed} failed and {missing} missing; the store holds {stored} in all")
    print(f"made {store.meta['made']} by curriculode {store.meta['curriculode']}, {store.meta['environment']}")


def _tell_failures(failures: list[tuple[dict[str, Any], int, str]], count: int) -> None:
    for changes, seed, status in failures:
        place = ", ".join(f"{name} = {value}" for name, value in {**changes, "seed": seed}.items())
        print(f"failed: {place}: {status}")
    if count > len(failures):
        print(f"and {count - len(failures)} more failed points, with their reasons in the table")


def dask_executor(address: str) -> "Executor":
    """An executor on the workers of the Dask scheduler at `address`, such as tcp://127.0.0.1:8786."""
    try:
        from distributed import Client
    except ImportError:
        raise InputError("--dask needs dask.distributed, which is not installed; pip install 'curriculode[cluster]'") from None
    try:
        client = Client(address, timeout=5)
    except (OSError, ValueError, ImportError) as error:
        raise InputError(
            f"--dask {address!r}: no scheduler answers there ({error}); give its address, such as tcp://host:8786"
        ) from None
    # A point computed twice must be two points to Dask, which otherwise would remember the first.
    executor: Executor = client.get_executor(pure=False)
    return executor


def run_merge(out: Path, stores: list[Path], as_json: bool) -> int:
    """Join stores."""
    from curriculode.sims.sweep.merge import merge

    merged = merge(out, stores)
    if as_json:
        _print_json({"command": "merge", "store": out, **vars(merged)})
        return 0
    print(f"{out} holds {merged.done} finished and {merged.failed} failed points; {merged.new} of the finished ones are new")
    if merged.otherwise:
        print(f"{merged.otherwise} points were done in several stores with different numbers; the first of them was kept")
    return 0


def run_diagram(
    path: Path, x: str, y: str, value: str, gap: str | None, where: list[str], levels: str | None, out: Path, force: bool,
    as_json: bool,
) -> int:  # fmt: skip
    """A phase diagram of a table."""
    import hashlib

    import pandas as pd

    from curriculode.figures.plots.phase_diagram import phase_diagram

    try:
        content = path.read_bytes()
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:  # a file that is no table is a ValueError to pandas
        reason = (getattr(error, "strerror", None) or str(error)).strip().splitlines()[0]
        raise InputError(f"the table {path} cannot be read ({reason}); give the CSV of a sweep") from None
    contours = None if levels is None else [parse.value(level) for level in levels.split(",")]
    if contours is not None and not all(isinstance(level, (int, float)) and not isinstance(level, bool) for level in contours):
        raise InputError(f"--levels {levels!r} is not understood; give numbers separated by commas, such as 0.1,0.2")
    orders = None if gap is None else parse.names(gap)
    chosen = parse.changes(where, "--where")
    diagram = phase_diagram(table, x, y, value, gap=orders, where=chosen, levels=sorted(contours) if contours is not None else None)
    stem = f"{path.stem}-diagram"
    settings = f"{hashlib.sha256(content).hexdigest()} {x} {y} {value} {orders} {chosen} {contours}"
    outputs = Outputs(out, "diagram", settings, [f"{stem}.{suffix}" for suffix in ("png", "pdf", "csv")], force)
    _save_figure(outputs, stem, diagram.ax.figure)
    outputs.write(f"{stem}.csv", partial(_write_csv, diagram.table))
    if as_json:
        _print_json({"command": "diagram", "table": diagram.table.to_dict("list"), "files": outputs.written})
        return 0
    if gap is not None:
        significant = int(diagram.table["significant"].sum())
        print(f"the gap is significant in {significant} of {len(diagram.table)} cells (paired t test, p <= 0.05)")
    _print_files(outputs)
    return 0
