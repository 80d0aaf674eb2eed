"""Rewinding, one shot against several rounds, and signs: the time of the weights hardly matters here, several rounds do."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.ticket_ends import COLOURS, draw_ends, ends
from curriculode.figures.gallery.words import percent, settings_in_words
from curriculode.figures.plots.labels import quantity_label
from curriculode.figures.plots.style import new_figure, style
from curriculode.sims.tickets.tickets import tickets
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.pruning import Pruning
from curriculode.theory.describe.study import Study

_EXPERIMENT = "xor-tickets"
_STUDY = Study.load(_EXPERIMENT)
_POINTS = 256
_TIMES = (0.0, 4.0, 8.0, 16.0, 28.0)
_MEASURED = (0.0, 8.0)
_ROUNDS = (1, 4)
_KEEP = 0.1
_TREATMENTS = ("ticket", "fine-tune")
_INSTANTS = 9
_DRAWS, _RUNS = 10, 10


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """Accuracies of tickets and of fine-tuning against the time of rewinding, one-shot and iterative."""
    parts, total = [], len(_TIMES) * len(_ROUNDS)
    for i, (rounds, rewind) in enumerate((rounds, rewind) for rounds in _ROUNDS for rewind in _TIMES):
        runs = max(2, round(scale * _RUNS)) if rewind in _MEASURED else 0
        pruning = Pruning(keep=_KEEP, rounds=rounds, rewind=rewind)
        found = ends(_STUDY.experiment, pruning, _TREATMENTS, _STUDY.dimension, max(3, round(scale * _DRAWS)), runs, _POINTS)
        parts.append(found.assign(rounds=rounds, rewind=rewind, part="ends"))
        report((i + 1) / (total + 1))
    return pd.concat([*parts, _signs(max(2, round(scale * _RUNS)))], ignore_index=True)


def _signs(networks: int) -> pd.DataFrame:
    """Share of the signs of what is kept that change after the rewinding, of tickets and fine-tuning, over time."""
    options: dict[str, Any] = {"treatments": _TREATMENTS, "signs": True, "progress": False}
    numerics = Numerics(points=_POINTS, times=_INSTANTS)
    parts = []
    sizes: dict[str, dict[str, Any]] = {
        "theory": {"nodes": _STUDY.dimension, "net": False},
        "simulation": {"dimension": _STUDY.dimension},
    }
    for by, size in sizes.items():
        pruning = Pruning(keep=_KEEP, rounds=_ROUNDS[-1])
        study = tickets(_STUDY.experiment, pruning, runs=networks, seed=1, numerics=numerics, **size, **options)
        for name in _TREATMENTS:
            changes = study.sign_changes(name).reshape(networks, -1).mean(axis=0)
            parts.append(pd.DataFrame({"by": by, "treatment": name, "t": study.trajectories[name].t, "changes": changes}))
    return pd.concat(parts, ignore_index=True).assign(part="signs")


def draw(table: pd.DataFrame) -> Any:
    """Accuracy against the time of rewinding, a panel for one shot and one for several rounds."""
    with style():
        figure, axes = new_figure(1, len(_ROUNDS) + 1, width=3.0, height=2.8)
        accuracies, signs = axes[0, :-1], axes[0, -1]
        ended = table[table["part"] == "ends"]
        dense = ended[ended["treatment"] == "dense"]["end"].mean()
        for axis, rounds in zip(accuracies, _ROUNDS, strict=True):
            draw_ends(axis, ended[ended["rounds"] == rounds], "rewind", _TREATMENTS)
            axis.axhline(dense, color=COLOURS["dense"], linewidth=0.9, label="dense")
            axis.set_title("one shot" if rounds == 1 else f"{rounds} rounds")
            axis.set_xlabel("rewound to t = k")
            axis.sharey(accuracies[0])
        accuracies[0].set_ylabel(quantity_label("accuracy", _STUDY.experiment))
        for name in _TREATMENTS:
            part = table[(table["part"] == "signs") & (table["treatment"] == name)]
            line, seen = part[part["by"] == "theory"], part[part["by"] == "simulation"]
            signs.plot(line["t"], line["changes"], color=COLOURS[name])
            signs.plot(seen["t"], seen["changes"], "o", color=COLOURS[name], markersize=3.5)
        signs.set_title(f"signs changed since k = 0, {_ROUNDS[-1]} rounds")
        signs.set_xlabel("t = n / D")
        signs.set_ylabel("share of the weights kept")
        signs.legend(*accuracies[0].get_legend_handles_labels(), loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


_SETTINGS = settings_in_words(_STUDY.experiment, [], _STUDY.dimension)

FIGURE = NamedFigure(
    title="Rewinding hardly matters to online SGD, several rounds of pruning do",
    caption=(
        f"Accuracy on the hard level with {percent(_KEEP)} of the weights, trained again from the weights of time k (ticket) "
        "or from those of the end (fine-tune: learning-rate rewinding), on the examples from k on. Left: pruned in one "
        f"shot; middle: in {_ROUNDS[-1]} rounds. Right: the share of the weights kept whose sign is no longer that of the "
        "beginning of their last training: fine-tuned weights keep theirs, and end better all the same. "
        f"Lines: theory, {_DRAWS} random starts with D random nodes, bands of two standard errors; points: {_RUNS} networks with "
        f"real masks. Settings: {_SETTINGS}."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
