"""What becomes of small changes of a state at rest: growth rates, and names for what grows, stays or decays.

The Jacobian is read in R (along the references), C^b = Q^b - M T^-1 M' in its own eigenvectors, and v. Where C has no weight in
some directions (idle units, units that are one, students within the references' span) a change of C there is the square of a
change of weights: it moves nothing else to first order and is moved by nothing else, so that the spectrum falls into that of
the weights and, apart, that of the mean squares of what is born across. A negative square is no state: of that block the
leading rate alone decides, and belongs to a positive one (the flow keeps C positive, Krein & Rutman).
"""

from typing import NamedTuple

import numpy as np

from curriculode.theory.landscape.newton import StageEquations
from curriculode.theory.landscape.rays import rays
from curriculode.theory.units.activations import Activation

_EMPTY = 1e-8  # of the largest weights' square: less is none
_ZERO = 1e-5  # of the largest rate: less is none, or less than the steps of a net
_MOST = 0.9  # share of a mode that gives it its name


class Spectrum(NamedTuple):
    """Rates of growth (modes,), largest first, and angular frequencies; what each mode is; mean squares of directions without
    weights.

    zero : below which a rate is none
    """

    growth: np.ndarray
    frequency: np.ndarray
    names: tuple[str, ...]
    squares: np.ndarray
    zero: float

    @property
    def unstable(self) -> int:
        """How many modes grow."""
        return int((self.growth > self.zero).sum())

    @property
    def neutral(self) -> int:
        """How many modes do neither."""
        return int((np.abs(self.growth) <= self.zero).sum())

    @property
    def leading(self) -> float:
        """The largest rate of all, that of squares among them."""
        return float(max(self.growth.max(initial=-np.inf), self.squares.max(initial=-np.inf)))

    @property
    def stable(self) -> bool:
        """Whether nothing grows."""
        return self.leading <= self.zero


class Units(NamedTuple):
    """idle : units (K,) without weights and readout;  twins : groups of units whose weights are parallel."""

    idle: np.ndarray
    twins: tuple[tuple[int, ...], ...]


def units_of(equations: StageEquations, y: np.ndarray) -> Units:
    """Which units of a state y (n,) are idle, and which are one."""
    Q, _, v = equations.coordinates.overlaps(y, equations.v)
    total = Q.sum(axis=0)
    size = np.diagonal(total)
    largest = max(float(size.max()), 1e-6)
    idle = size <= _EMPTY * largest
    if equations.setting.readout_trained:
        idle &= v**2 <= _EMPTY * max(float((v**2).max()), 1e-6)
    groups: list[tuple[int, ...]] = []
    seen = {int(k) for k in np.flatnonzero(idle)}
    for k in range(v.size):
        if k in seen:
            continue
        with np.errstate(invalid="ignore", divide="ignore"):
            cosine = total[k] / np.sqrt(size[k] * size)
        same = [int(n) for n in np.flatnonzero(cosine > 1.0 - _EMPTY) if n not in seen and np.sign(v[n]) == np.sign(v[k])]
        seen.update(same)
        if len(same) > 1:
            groups.append(tuple(same))
    return Units(idle, tuple(groups))


def spectrum(equations: StageEquations, y: np.ndarray) -> Spectrum:
    """The spectrum of a state at rest y (n,)."""
    place, K, P = equations.coordinates, equations.coordinates.K, equations.coordinates.P
    J = equations.jacobian(y)
    Q, M, _ = place.overlaps(y, equations.v)
    rows, born, units_hit = [], [], []
    upper = [(i, j) for i in range(K) for j in range(i, K)]
    across = place.across(y, equations.v)
    largest = max(float(np.einsum("bkk->k", Q).max()), 1e-6)
    for b in range(place.blocks):
        values, vectors = np.linalg.eigh(across[b])
        none = values <= _EMPTY * largest
        inverse = np.linalg.pinv(equations.setting.blocks.T[b], hermitian=True)
        begins = place.blocks * len(upper) + b * K * P
        for i, j in upper:
            row, pair = np.zeros(y.size), np.outer(vectors[:, i], vectors[:, j])
            both = pair + pair.T
            for n, (k, m) in enumerate(upper):
                row[b * len(upper) + n] = both[k, m] / (2.0 if k == m else 1.0)
            # d(M T^-1 M')_km along dM: both[k, m] is paired with dM_k T^-1 M_m
            row[begins : begins + K * P] = -(both @ M[b] @ inverse).ravel()
            rows.append(row)
            born.append(bool(none[i] and none[j]))
            units_hit.append(0.5 * (vectors[:, i] ** 2 + vectors[:, j] ** 2))
        values, vectors = np.linalg.eigh(equations.setting.blocks.T[b])
        for p in map(int, np.flatnonzero(values > 1e-12 * max(float(values.max(initial=0.0)), 1e-300))):
            for k in range(K):
                row = np.zeros(y.size)
                row[begins + k * P : begins + (k + 1) * P] = vectors[:, p]
                rows.append(row)
                born.append(False)
                units_hit.append(np.eye(K)[k])
    for k in range(place.trained):
        rows.append(np.eye(y.size)[y.size - place.trained + k])
        born.append(False)
        units_hit.append(np.eye(K)[k])
    to, square = np.array(rows), np.array(born)
    back = np.linalg.pinv(to)  # overlaps with what is no reference are left out
    turned = to @ J @ back
    rates, vectors = np.linalg.eig(turned[~square][:, ~square])
    order = np.lexsort((rates.imag, -rates.real.round(12)))
    rates, vectors = rates[order], vectors[:, order]
    squares = np.sort(np.linalg.eigvals(turned[square][:, square]).real)[::-1] if square.any() else np.zeros(0)
    zero = max(_ZERO, equations.stairs) * max(float(np.abs(rates).max(initial=0.0)), 1e-300)
    names = _names(equations, y, rates, vectors, np.array(units_hit)[~square], back[:, ~square], zero)
    growth, frequency = rates.real.copy(), rates.imag.copy()
    idle = np.flatnonzero(units_of(equations, y).idle)
    if idle.size and place.trained and equations.setting.activation.kinked:
        growth, frequency, names = _with_rays(equations, y, idle, growth, frequency, names)
    return Spectrum(growth, frequency, names, squares, zero)


def _with_rays(
    equations: StageEquations,
    y: np.ndarray,
    idle: np.ndarray,
    growth: np.ndarray,
    frequency: np.ndarray,
    names: tuple[str, ...],
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """The spectrum with the rays of idle units of a kink in place of their modes, which have no derivative."""
    kept = [i for i, name in enumerate(names) if not name.startswith("idle")]
    found = rays(equations, y, int(idle[0]))  # all idle units are alike
    born = [(ray.growth, f"idle unit {k} born at {'+-'[ray.side < 0]}{chr(97 + ray.reference)}") for k in idle for ray in found]
    every = [*((growth[i], frequency[i], names[i]) for i in kept), *((rate, 0.0, name) for rate, name in born)]
    every.sort(key=lambda mode: -mode[0])
    return np.array([mode[0] for mode in every]), np.array([mode[1] for mode in every]), tuple(mode[2] for mode in every)


def _names(
    equations: StageEquations,
    y: np.ndarray,
    rates: np.ndarray,
    vectors: np.ndarray,
    hit: np.ndarray,
    back: np.ndarray,
    zero: float,
) -> tuple[str, ...]:
    """What each mode (columns of `vectors`) is; `hit` (coordinates, K) says which units a coordinate belongs to."""
    units = units_of(equations, y)
    K = equations.coordinates.K
    power = np.abs(vectors) ** 2
    share = (power / power.sum(axis=0)).T @ hit  # (modes, K)
    rescaled = _rescalings(equations, y)
    found = []
    for i, rate in enumerate(rates):
        change = (back @ vectors[:, i]).real
        if abs(rate) <= zero and rescaled.size:
            part = rescaled @ np.linalg.lstsq(rescaled, change, rcond=None)[0]
            if part @ part >= _MOST * (change @ change):
                found.append("rescaling of weights against the readout")
                continue
        part_of = share[i][units.idle].sum()
        twins = next((group for group in units.twins if share[i][list(group)].sum() >= _MOST), None)
        if part_of >= _MOST:
            idle = [int(k) for k in np.flatnonzero(units.idle & (share[i] > 0.5 / K))]
            found.append(f"idle {_listed(idle or list(np.flatnonzero(units.idle)))}")
        elif twins is not None and _parting(equations, change, twins):
            found.append(f"{'sharing among' if abs(rate) <= zero else 'parting of'} {_listed(list(twins))}, which are one")
        else:
            moved = [int(k) for k in range(K) if share[i][k] > 0.5 / K]
            found.append("all units" if len(moved) == K else _listed(moved))
    return tuple(found)


def _listed(units: list[int]) -> str:
    numbers = ", ".join(str(k) for k in units)
    return f"unit {numbers}" if len(units) == 1 else f"units {numbers}"


def _homogeneous(g: Activation) -> bool:
    """Whether g(a x) = a g(x) for a > 0."""
    return all(np.isclose(float(g(2.0 * x)), 2.0 * float(g(x))) for x in (-1.0, 1.0))


def _rescalings(equations: StageEquations, y: np.ndarray) -> np.ndarray:
    """Directions (n, units) in which a unit's weights grow and its readout shrinks as much, of units that are homogeneous."""
    place = equations.coordinates
    g = equations.setting.activation
    if not place.trained or not _homogeneous(g):
        return np.zeros((y.size, 0))
    A, v = place.weights(y, equations.v)
    slopes, found = place.slopes(A), []
    for k in range(place.K):
        step = np.zeros_like(A)
        step[:, k] = A[:, k]
        opposite = np.zeros(place.K)
        opposite[k] = -v[k]
        found.append(slopes @ np.concatenate([step.ravel(), opposite]))
    return np.array(found).T


def _parting(equations: StageEquations, change: np.ndarray, group: tuple[int, ...]) -> bool:
    """Whether a change moves the units of a group against each other: their sum stays nearly where it is."""
    _, M, v = equations.coordinates.overlaps(change, np.zeros_like(equations.v))
    moved = np.concatenate([M[:, list(group)].swapaxes(0, 1).reshape(len(group), -1), v[list(group), None]], axis=1)
    size = float((moved**2).sum())
    return size > 0.0 and float((moved.mean(axis=0) ** 2).sum()) * len(group) <= (1.0 - _MOST) * size
