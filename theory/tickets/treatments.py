"""What is done with the weights that are kept: the rounds of pruning and the treatments, whoever trains.

The same plan serves theory and simulation: a `Trainer` trains masked weights, by groups of the law of one weight or by SGD.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from curriculode.theory.core.description import unknown
from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.describe.pruning import Pruning
from curriculode.theory.tickets.coordinates import Coordinates
from curriculode.theory.tickets.masks import best, scores

TREATMENTS = {
    "ticket": "the weights w(k) under the mask, trained",
    "reinit": "fresh weights under the mask, trained",
    "random": "the weights w(k) under a random mask that leaves each unit as many, trained",
    "fine-tune": "the weights w(T) under the mask, trained on from the schedule of time k; pruned so in every round",
    "untrained": "the weights w(0) under the mask, not trained",
    "untrained-signs": "the signs of w(0) times one constant, the weight scale, under the mask, not trained",
    "signs": "the signs of w(k) with the sizes of fresh weights under the mask, trained",
    "magnitudes": "the sizes of w(k) with random signs under the mask, trained",
    "supermask": "the weights w(k), which stay; a mask learnt by training their scores",
    "overlaps": "fresh weights under the mask with the ticket's Q and M, trained",
}
USUAL = ("ticket", "reinit", "random")
UNTRAINED = ("untrained", "untrained-signs")
_NEWTON, _CLOSE = 20, 1e-12  # steps, and what is close enough, for weights of given overlaps
RENEWAL = 0.05  # examples per input dimension between two masks of learnt scores


@dataclass(frozen=True)
class Course:
    """A training as it is recorded: times (n,), Q (n, blocks, K, K), M (n, blocks, K, P), v (n, K), and why it failed, or None.

    signs : (n, K) share of the weights that each unit keeps whose sign is not that of the beginning, where that was asked for
    """

    t: np.ndarray
    Q: np.ndarray
    M: np.ndarray
    v: np.ndarray
    failure: str | None = None
    signs: np.ndarray | None = None


@dataclass(frozen=True)
class Snapshots:
    """Weights (K, n) and readouts (K,) of the dense training at 0, k and T, and its course."""

    weights: tuple[np.ndarray, np.ndarray, np.ndarray]
    readouts: tuple[np.ndarray, np.ndarray, np.ndarray]
    course: Course


class Copies(NamedTuple):
    """Two copies at the end: Q (2, blocks, K, K), M (2, blocks, K, P), v (2, K) of each, and X (blocks, K, K)."""

    Q: np.ndarray
    M: np.ndarray
    v: np.ndarray
    X: np.ndarray


class Trainer(ABC):
    """Who trains: theory or simulation.

    coordinates : of the weights;  weight_scale : of fresh weights;  signs : whether courses of masked weights tell their signs
    """

    coordinates: Coordinates
    weight_scale: float
    signs: bool = False

    @abstractmethod
    def dense(self) -> Snapshots:
        """The dense training from its start."""

    @abstractmethod
    def train(self, W: np.ndarray, mask: np.ndarray, v: np.ndarray, go_on: bool) -> tuple[Course, np.ndarray, np.ndarray]:
        """Train the weights W (K, n) under a mask from time k to the end; with `go_on` also the weights it ends with."""

    def train_kept(self, W: np.ndarray, mask: np.ndarray, v: np.ndarray, final: bool) -> Course:
        """Train what a mask keeps of the weights W (K, n) of time k, or with `final` of the end, from time k to the end."""
        return self.train(mask * W, mask, v, False)[0]

    def signal(self, mask: np.ndarray, pruned: bool) -> np.ndarray:
        """sum_i mu_i m_ki u_pi^2, (K, P), over what a mask (K, n) keeps; whether that is the one of the `pruned` network."""
        found: np.ndarray = (mask * self.coordinates.share) @ (self.coordinates.u**2).T
        return found

    @abstractmethod
    def copies(self, W: np.ndarray, mask: np.ndarray, v: np.ndarray) -> Copies | None:
        """Two copies of masked weights (K, n), trained from time k to the end on examples of their own; None if they diverge."""

    @abstractmethod
    def learn_mask(self, W: np.ndarray, v: np.ndarray, choose: Callable[[np.ndarray], np.ndarray]) -> tuple[Course, np.ndarray]:
        """Train the scores of weights (K, n) that do not move, from |w| at time k to the end; the last mask as well.

        choose : scores (K, n) -> mask, renewed every `RENEWAL`
        """

    @abstractmethod
    def look(self, W: np.ndarray, v: np.ndarray) -> Course:
        """The course of weights that are not trained: one time, k."""


@dataclass
class Treated:
    """A treatment: its course, its mask (K, n), and sum_i mu_i m_ki u_pi^2 (K, P) over what it keeps."""

    course: Course
    mask: np.ndarray
    signal: np.ndarray


@dataclass
class Outcome:
    """What came of one network: the dense course and each treatment."""

    dense: Course
    treated: dict[str, Treated] = field(default_factory=dict)


def checked_treatments(treatments: object) -> tuple[str, ...]:
    """Names of treatments, or `InputError`."""
    names = [treatments] if isinstance(treatments, str) else treatments
    if not isinstance(names, (list, tuple)) or not names or len({str(name) for name in names}) < len(names):
        raise InputError(
            f"treatments = {shown(treatments)} is not allowed; give a list of different ones of {', '.join(TREATMENTS)}"
        )
    for name in names:
        if not isinstance(name, str) or name not in TREATMENTS:
            raise InputError(unknown("treatment", name, list(TREATMENTS)))
    return tuple(names)


def treat(
    trainer: Trainer, pruning: Pruning, treatments: tuple[str, ...], rng: np.random.Generator, given: np.ndarray | None
) -> Outcome:
    """Train dense, prune in rounds, and train each treatment; `given` is a mask (K, n) in place of the criterion's."""
    before = trainer.dense()
    outcome = Outcome(before.course)
    if before.course.failure is not None:
        return outcome
    share = trainer.coordinates.share
    w0, wk, wT = before.weights
    v0, vk, vT = before.readouts
    v = vk if pruning.readout == "rewound" else vT

    def mask_after(number: int, alive: np.ndarray, last: np.ndarray) -> np.ndarray:
        if given is not None:
            return given
        return best(scores(pruning.criterion, w0, last, rng), alive, share, pruning.left(number), pruning.scope)

    mask, last = np.ones(w0.shape, bool), wT
    for number in range(1, pruning.rounds + 1):
        mask = mask_after(number, mask, last)
        if number < pruning.rounds:
            _, last, _ = trainer.train(mask * wk, mask, v, True)
    for name in treatments:
        if name == "fine-tune":
            outcome.treated[name] = _fine_tuned(trainer, pruning, mask_after, wT, vT)
            continue
        if name == "supermask":
            everything, keep = np.ones(w0.shape, bool), mask @ share

            def choose(found: np.ndarray, everything: np.ndarray = everything, keep: np.ndarray = keep) -> np.ndarray:
                return best(found, everything, share, keep, "unit")

            course, kept = trainer.learn_mask(wk, v, choose)
            outcome.treated[name] = Treated(course, kept, trainer.signal(kept, False))
            continue
        kept = random_mask(mask, share, rng) if name == "random" else mask
        if name == "ticket":
            outcome.treated[name] = Treated(trainer.train_kept(wk, mask, v, False), mask, trainer.signal(mask, True))
            continue
        W = treated_weights(name, trainer, w0, wk, kept, rng)
        course = trainer.look(W, v0) if name in UNTRAINED else trainer.train(W, kept, v, False)[0]
        outcome.treated[name] = Treated(course, kept, trainer.signal(kept, name != "random"))
    return outcome


def _fine_tuned(trainer: Trainer, pruning: Pruning, mask_after: Callable, W: np.ndarray, v: np.ndarray) -> Treated:
    """Prune and go on training, in every round: learning-rate rewinding (Renda, Frankle & Carbin 2020)."""
    mask = np.ones(W.shape, bool)
    if pruning.rounds == 1:
        mask = mask_after(1, mask, W)
        return Treated(trainer.train_kept(W, mask, v, True), mask, trainer.signal(mask, True))
    for number in range(1, pruning.rounds + 1):
        mask = mask_after(number, mask, W)
        course, W, v = trainer.train(mask * W, mask, v, number < pruning.rounds)
    return Treated(course, mask, trainer.signal(mask, False))


def random_mask(mask: np.ndarray, share: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A mask that leaves each unit the same share of the coordinates, at random."""
    return best(rng.random(mask.shape), np.ones(mask.shape, bool), share, mask @ share, "unit")


def treated_weights(
    name: str, trainer: Trainer, w0: np.ndarray, wk: np.ndarray, mask: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """The weights (K, n) that a treatment begins with."""
    scale = trainer.weight_scale
    if name == "reinit":
        return mask * (scale * rng.standard_normal(wk.shape))
    if name == "untrained":
        return mask * w0
    if name == "untrained-signs":
        return mask * (scale * np.sign(w0))
    if name == "signs":
        return mask * (np.sign(wk) * scale * np.abs(rng.standard_normal(wk.shape)))
    if name == "magnitudes":
        return mask * (np.abs(wk) * np.where(rng.random(wk.shape) < 0.5, -1.0, 1.0))
    if name == "overlaps":
        return _alike(trainer.coordinates, mask * wk, mask, rng)
    return mask * wk


def _alike(coordinates: Coordinates, W: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Fresh weights under the mask with the Q and M, in every block, of W (K, n).

    w_k = along u + f_k on the weights that unit k keeps, f_k random with nothing of u left in it: that is M and, by the size of
    f_k, the diagonal of Q. The rest of Q is met by f_k + sum_l Lambda_kl f_l, Lambda symmetric, the f_l seen by unit k's mask.
    """
    result = np.zeros_like(W)
    for b in np.unique(coordinates.block):
        here = np.flatnonzero(coordinates.block == b)
        u, mu, kept, w = coordinates.u[:, here], coordinates.share[here], mask[:, here], W[:, here]
        inverse = [np.linalg.pinv((u * mu * m) @ u.T, hermitian=True) for m in kept]

        def seen(k: int, f: np.ndarray, u: Any = u, mu: Any = mu, kept: Any = kept, inverse: Any = inverse) -> np.ndarray:
            """Rows f (..., n) under the mask of unit k, with nothing of u left in them."""
            f = f * kept[k]
            left: np.ndarray = f - kept[k] * ((f * mu) @ u.T @ inverse[k] @ u)
            return left

        fresh = np.array([seen(k, rng.standard_normal(here.size)) for k in range(len(w))])
        along = np.array([w[k] * kept[k] - seen(k, w[k]) for k in range(len(w))])
        rest = np.maximum(((w - along) ** 2 * kept) @ mu, 0.0)
        size = fresh**2 @ mu
        fresh *= np.sqrt(np.divide(rest, size, out=np.zeros_like(rest), where=size > 0.0))[:, None]
        result[:, here] = along + _with_overlaps(along, fresh, (w * mu) @ w.T, mu, seen)
    return result


def _with_overlaps(
    along: np.ndarray, fresh: np.ndarray, Q: np.ndarray, mu: np.ndarray, seen: Callable[[int, np.ndarray], np.ndarray]
) -> np.ndarray:
    """Change f (K, n) little, by Newton's method, so that along + f has the overlaps Q; left alone where that is not possible."""
    K = len(Q)
    upper = np.triu_indices(K)
    best, f = fresh, fresh
    error = np.inf
    for _ in range(_NEWTON):
        w = along + f
        missing = (Q - (w * mu) @ w.T)[upper]
        if not np.abs(missing).max() < error:
            break
        best, error = f, float(np.abs(missing).max())
        if error < _CLOSE * max(1.0, float(np.abs(Q).max())):
            break
        moves = np.array([seen(k, f) for k in range(K)])  # (K, K, n): f_l as unit k sees it
        slope = np.einsum("kmi,li->kml", moves * mu, w)  # of Q_kl with Lambda_km
        J = np.zeros((K, K, len(missing)))
        for j, (m, n) in enumerate(zip(*upper, strict=True)):
            J[m, :, j] += slope[m, n]
            if m != n:
                J[n, :, j] += slope[n, m]
        J = (J + J.transpose(1, 0, 2))[upper]
        step = np.linalg.lstsq(J, missing, rcond=None)[0]
        Lambda = np.zeros((K, K))
        Lambda[upper] = step
        Lambda = Lambda + np.triu(Lambda, 1).T
        f = f + np.einsum("km,kmi->ki", Lambda, moves)
    return best
