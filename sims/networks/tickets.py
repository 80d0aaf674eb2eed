"""The verb `networks.tickets`: prune real networks by the magnitude of their weights, and train what is kept.

Layer by layer with the masks of `theory/tickets/masks.py`; the readout and the biases are not pruned, and go back to where the
ticket begins. Every training sees rows of its own.
"""

import threading
from collections.abc import Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from curriculode.sims.networks.course import Course, Lesson, Stopped, needs_extra
from curriculode.sims.networks.describe import NetworkExperiment, checked_network_experiment
from curriculode.sims.networks.draws import MASKS
from curriculode.sims.networks.indicators import matrices
from curriculode.sims.networks.record import MIXTURE, OfNetworks, at_level, libraries
from curriculode.sims.runs.crew import spread, worker_count
from curriculode.sims.runs.progress import Told
from curriculode.theory.core.arguments import checked
from curriculode.theory.core.checks import text
from curriculode.theory.core.environment import environment
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.numerics import Numerics, numerics_with
from curriculode.theory.describe.order_parameters import child_seed
from curriculode.theory.describe.pruning import Pruning
from curriculode.theory.tickets.masks import best, scores
from curriculode.theory.tickets.study import DENSE, TicketStudy
from curriculode.theory.tickets.treatments import TREATMENTS, UNTRAINED, checked_treatments, random_mask, treated_weights

if TYPE_CHECKING:
    import pandas as pd

    from curriculode.sims.networks.layers import Weights

_OF_THEORY = ("overlaps", "supermask")
NETWORK_TREATMENTS = tuple(name for name in TREATMENTS if name not in _OF_THEORY)
_PARTS = {"classification_error": ("run", "level"), "loss": ("run", "level"), "kept": ("run", "layer"), "signs": ("run",)}
Masks = list[np.ndarray]


class NetworkTickets(OfNetworks):
    """What becomes of what is kept of real networks, one a run.

    Made by `networks.tickets` and `load_record`; its constructor is that of `Record`. Arrays are called TREATMENT.NAME, with
    "dense" for the training before the pruning: `classification_error` and `loss` (runs, levels) in the end, `kept` (runs, layers)
    the share of the weights of each layer that is kept, `signs` (runs,) the share of those whose sign the training changed.

    Attributes
    ----------
    run : ndarray of int of shape (runs,)
        Numbers of the runs.
    """

    kind: ClassVar[str] = "network-tickets"
    dimensions: ClassVar[dict[str, tuple[str, ...]]] = {"run": ("run",)}
    needed: ClassVar[tuple[str, ...]] = ("run", "dense.classification_error")
    run: np.ndarray

    def _dimensions(self, name: str) -> tuple[str, ...]:
        return _PARTS.get(name.rpartition(".")[2], super()._dimensions(name))

    @property
    def pruning(self) -> Pruning:
        """What was kept."""
        return Pruning(**self.statistics["pruning"])

    @property
    def treatments(self) -> tuple[str, ...]:
        """Names of the treatments."""
        return tuple(self.statistics["treatments"])

    @property
    def density(self) -> float:
        """The share of the weights that the first treatment keeps, over all layers that are pruned."""
        sizes = np.array(self.statistics["sizes"], dtype=float)
        return float((self.arrays[f"{self.treatments[0]}.kept"] @ sizes).mean() / sizes.sum())

    @checked(name=text)
    def final(self, name: str = MIXTURE) -> "pd.DataFrame":
        """Return the classification error at the end of each treatment.

        Parameters
        ----------
        name : str, default "mixture"
            Of a level.

        Returns
        -------
        DataFrame
            One row a run, one column a treatment, "dense" first.
        """
        import pandas as pd

        errors = {each: self.arrays[f"{each}.classification_error"] for each in (DENSE, *self.treatments)}
        columns = {each: at_level(self.experiment, value, name) for each, value in errors.items()}
        return pd.DataFrame(columns, index=pd.Index(self.run, name="run"))

    @checked(one=text, other=text)
    def paired(self, one: str, other: str, level: str = MIXTURE) -> dict[str, float]:
        """Return how much higher the error of `one` is than that of `other`, paired over runs.

        Parameters
        ----------
        one, other : str
            Names of treatments.
        level : str, default "mixture"
            Of the error.

        Returns
        -------
        dict of str to float
            `difference`, `standard_error`, and `p`, that of a paired t test of no difference.
        """
        return TicketStudy.paired(self, one, other, level)  # type: ignore[arg-type]

    def summary(self) -> "pd.DataFrame":
        """Return what each treatment ends with.

        Returns
        -------
        DataFrame
            One row a treatment and level: treatment, kept, level, classification_error, standard_error, signs.
        """
        import pandas as pd

        rows, sizes = [], np.array(self.statistics["sizes"], dtype=float)
        for each in (DENSE, *self.treatments):
            kept = 1.0 if each == DENSE else float((self.arrays[f"{each}.kept"] @ sizes).mean() / sizes.sum())
            signs = self.arrays.get(f"{each}.signs")
            for level in (*self.levels, MIXTURE):
                error = at_level(self.experiment, self.arrays[f"{each}.classification_error"], level)
                several = error.size > 1
                rows.append(
                    {
                        "treatment": each,
                        "kept": kept,
                        "level": level,
                        "classification_error": float(error.mean()),
                        "standard_error": float(error.std(ddof=1) / np.sqrt(error.size)) if several else np.nan,
                        "signs": np.nan if signs is None else float(signs.mean()),
                    }
                )
        return pd.DataFrame(rows)

    def to_frame(self) -> "pd.DataFrame":
        """Return every network as a row for each treatment and level.

        Returns
        -------
        DataFrame
            treatment, run, level, classification_error.
        """
        import pandas as pd

        parts = []
        for level in (*self.levels, MIXTURE):
            table = self.final(level).reset_index()
            parts.append(table.melt("run", var_name="treatment", value_name="classification_error").assign(level=level))
        return pd.concat(parts, ignore_index=True)[["treatment", "run", "level", "classification_error"]]


@checked(experiment=checked_network_experiment, treatments=lambda name, value: network_treatments(value))
def tickets(
    experiment: NetworkExperiment,
    pruning: Pruning,
    *,
    treatments: Sequence[str] = ("ticket", "reinit", "random"),
    runs: int = 16,
    first: int = 0,
    seed: int | np.random.SeedSequence = 0,
    numerics: Numerics | None = None,
    workers: int | None = None,
    progress: Told = None,
) -> NetworkTickets:
    """Train real networks, prune them in rounds, and train what is kept (Frankle & Carbin 2019, 1803.03635).

    As `tickets` of the theory: after every round the largest weights of each unit or layer are kept, and go back to those of time
    k = `pruning.rewind`. The readout and the biases are not pruned. Every training sees rows of its own, in the experiment's order.

    Parameters
    ----------
    experiment : NetworkExperiment
        What is learnt, by whom, how, and from which examples.
    pruning : Pruning
        What is kept, in how many rounds, and to which time it is rewound.
    treatments : sequence of str, default ("ticket", "reinit", "random")
        What is done with what is kept: all of `tickets` but "overlaps" and "supermask".
    runs : int, default 16
        Networks.
    first : int, default 0
        Number of the first.
    seed : int or SeedSequence, default 0
        Of all.
    numerics : Numerics, optional
        How; only its `workers` count.
    workers : int, optional
        Threads, by default one a core.
    progress : bool or callable, optional
        As for `simulate`.

    Returns
    -------
    NetworkTickets
        Errors of each treatment, `summary()`, `paired()`.

    Raises
    ------
    InputError
        For a rewinding after the end, and unknown treatments.

    Examples
    --------
    >>> from curriculode import Pruning, networks
    >>> experiment = networks.load("digits-curriculum").replace({"protocol.duration": 4.0})
    >>> networks.tickets(experiment, Pruning(keep=0.2), runs=2, progress=False).final().shape
    (2, 4)
    """
    needs_extra()
    images = experiment.data.images()
    settings = numerics_with(numerics, workers=workers)
    shapes = experiment.network.shapes(experiment.data.known.shape, experiment.data.known.classes)[:-1]
    pruning.check(experiment.protocol.duration, min(int(np.prod(shape[1:])) for shape in shapes))
    total = runs * (pruning.rounds + sum(name not in UNTRAINED for name in treatments)) * experiment.examples
    done, lock = [0], threading.Lock()

    def told(count: int) -> None:
        with lock:
            done[0] += count

    def work(number: int, stop: threading.Event) -> dict[str, "_Treated"] | None:
        try:
            return _Tickets(Lesson(experiment, images, child_seed(seed, number)), pruning, stop, told).all(tuple(treatments))
        except Stopped:
            return None

    found, interrupted = spread(
        f"pruning {runs} networks", work, list(range(first, first + runs)), min(worker_count(settings.workers), runs),
        lambda: min(done[0] / total, 1.0), progress,
    )  # fmt: skip
    kept = [(number, each) for number, each in zip(range(first, first + runs), found, strict=True) if each is not None]
    if not kept:
        raise KeyboardInterrupt
    arrays: dict[str, np.ndarray] = {"run": np.array([number for number, _ in kept])}
    diverged = 0
    for name in (DENSE, *treatments):
        parts = [each[name] for _, each in kept]
        diverged += sum(not np.isfinite(part.values).all() for part in parts)
        for i, part in enumerate(("classification_error", "loss")):
            arrays[f"{name}.{part}"] = np.array([each.values[i] for each in parts])
        if name != DENSE:
            arrays[f"{name}.kept"] = np.array([[mask.mean() for mask in each.masks] for each in parts])
            arrays[f"{name}.signs"] = np.array([each.signs for each in parts])
    status = f"{len(kept)} of {runs} networks pruned to {100 * pruning.keep:.3g} % of their weights" + (
        "; interrupted" if interrupted else ""
    )
    status += f"; {diverged} trainings diverged (a smaller learning_rate may help)" if diverged else ""
    return NetworkTickets(
        experiment,  # type: ignore[arg-type]
        settings,
        arrays,
        status,
        success=not interrupted and not diverged,
        seed=seed,
        dimension=experiment.data.inputs,
        statistics={
            "data": images.fingerprint,
            "pruning": pruning.to_dict(),
            "treatments": list(treatments),
            "sizes": [int(np.prod(shape)) for shape in shapes],
        },
        environment={**environment(), **libraries()},
    )


def network_treatments(treatments: object) -> tuple[str, ...]:
    """Names of treatments that networks know, or `InputError`."""
    names = checked_treatments(treatments)
    for name in names:
        if name in _OF_THEORY:
            raise InputError(
                f"treatment {name!r} is one of the theory's weights, which networks of layers do not know; allowed: "
                f"{', '.join(NETWORK_TREATMENTS)}"
            )
    return names


class _Treated:
    """A treatment: values (2, levels) in the end, masks, and the share of what is kept whose sign the training changed."""

    def __init__(self, values: np.ndarray, masks: Masks, signs: float = np.nan) -> None:
        self.values, self.masks, self.signs = values, masks, signs


class _Tickets:
    """The rounds and treatments of one network."""

    def __init__(self, lesson: Lesson, pruning: Pruning, stop: threading.Event, told: Any) -> None:
        self._lesson, self._pruning, self._stop, self._told = lesson, pruning, stop, told
        self._experiment = lesson.experiment
        self._rng = np.random.default_rng(child_seed(lesson.seed, MASKS))
        self._rewind = min(round(pruning.rewind * self._experiment.data.inputs), self._experiment.examples)
        self._stream = 0

    def all(self, treatments: tuple[str, ...]) -> dict[str, _Treated]:
        """Train dense, prune in rounds, and train each treatment."""
        from curriculode.sims.networks.layers import deviations

        first = self._lesson.start(self._experiment)
        dense = self._train(first, None, begin=0, keep=[self._rewind])
        rewound, last = dense.kept[self._rewind], dense.weights
        scales = deviations(self._experiment.network, [layer["w"].shape for layer in first])
        begun = rewound if self._pruning.readout == "rewound" else [*rewound[:-1], last[-1]]
        alive: Masks = [np.ones(W.shape, bool) for W in matrices(first)]
        masks, now = alive, last
        for number in range(1, self._pruning.rounds + 1):
            masks = self._masks(number, first, now, masks)
            if number < self._pruning.rounds:
                now = self._train(begun, masks).weights
        found = {DENSE: _Treated(dense.values[-1], alive)}
        for name in treatments:
            if name == "fine-tune":
                found[name] = self._fine_tuned(first, last, alive)
                continue
            own = [random_mask(m, _even(m), self._rng) for m in masks] if name == "random" else masks
            weights = [dict(layer) for layer in begun]
            for layer, m, W0, Wk, scale in zip(weights, own, matrices(first), matrices(begun), scales, strict=False):
                scaled: Any = SimpleNamespace(weight_scale=scale)  # all that it asks of a trainer
                made = treated_weights(name, scaled, W0, Wk, m, self._rng)
                layer["w"] = made.astype(np.float32).reshape(layer["w"].shape)
            found[name] = self._look(weights, own) if name in UNTRAINED else self._treated(weights, own)
        return found

    def _masks(self, number: int, first: "Weights", now: "Weights", alive: Masks) -> Masks:
        """The masks after a round, layer by layer."""
        pruning = self._pruning
        return [
            best(scores(pruning.criterion, W0, W, self._rng), m, _even(m), pruning.left(number), pruning.scope)
            for W0, W, m in zip(matrices(first), matrices(now), alive, strict=True)
        ]

    def _train(self, weights: "Weights", masks: Masks | None, begin: int | None = None, keep: Sequence[int] = ()) -> Course:
        """Train from the rewinding, or from `begin`, on rows of their own."""
        self._stream += 1
        shaped = None
        if masks is not None:
            shaped = [*(m.astype(np.float32).reshape(layer["w"].shape) for m, layer in zip(masks, weights, strict=False)), None]
        return self._lesson.run(
            self._experiment, weights, begin=self._rewind if begin is None else begin, keep=keep, masks=shaped,
            stream=self._stream, stop=self._stop, told=self._told,
        )  # fmt: skip

    def _treated(self, weights: "Weights", masks: Masks) -> _Treated:
        course = self._train(weights, masks)
        pairs = list(zip(matrices(weights), matrices(course.weights), masks, strict=True))
        changed = sum((m & (np.sign(before) != np.sign(after))).sum() for before, after, m in pairs)
        return _Treated(course.values[-1], masks, float(changed / max(sum(m.sum() for m in masks), 1)))

    def _look(self, weights: "Weights", masks: Masks) -> _Treated:
        """Weights that are not trained."""
        course = self._lesson.run(self._experiment, weights, begin=self._experiment.examples, stop=self._stop)
        return _Treated(course.values[-1], masks)

    def _fine_tuned(self, first: "Weights", last: "Weights", alive: Masks) -> _Treated:
        """Prune and go on training, in every round."""
        masks, now, treated = alive, last, None
        for number in range(1, self._pruning.rounds + 1):
            masks = self._masks(number, first, now, masks)
            course = self._train(now, masks)
            now, treated = course.weights, _Treated(course.values[-1], masks)
        assert treated is not None
        return treated


def _even(mask: np.ndarray) -> np.ndarray:
    """The share of each input of a layer."""
    return np.full(mask.shape[1], 1.0 / mask.shape[1])
