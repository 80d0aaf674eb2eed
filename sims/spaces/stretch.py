"""Finite D by the diffusion that online SGD becomes as D grows: its nonlinearity is kept, and the cost does not know D.

    dY = (f - J f / (2 D) + e / D) dt + D^(-1/2) B^(1/2) dW

with f the rate of the equations, B and e those of one step (`theory/finite_d/step.py`). A stretch of h D examples is one step of
Heun's scheme with the noise of Y + h f / 2, which knows nothing of the stretch, so that the noise is Ito's:

    Y' = Y + h (1/2 + 1/(2 h D)) f(Y) + h (1/2 - 1/(2 h D)) f(Y + h f(Y) + noise) + h e / D + noise

The difference of the two f gives the second term of the drift, and h = 1/D is SGD's own step. Stretches are as long as the change
of f allows. Of a mixed stage the examples of each level in a stretch are drawn without replacement, as SGD draws them.

The rate is a closed form for erf students of erf teachers, else it is averaged by nets that change from stretch to stretch, so that
their errors do not add up: scrambled anew, each with its mirror image, and not whitened, which would make small ones err in one
direction. The noise needs no root of B:
of n examples of a level with components of probability pi_c, with N fresh examples i of each and f_c their mean of d,

    sum_c sqrt(n pi_c (1 - (1 - pi_c) / N) / (N - 1)) / D sum_i (eps_ci - mean eps_c) d_ci  +  sum_c (n_c - n pi_c) / D f_c

with eps ~ N(0, 1) and multinomial n_c has the covariance n B / D^2 in the mean over examples for any N, and few are enough where
many stretches add up. Its opposite is as likely.

Two copies of a network are one of 2K units whose Q holds their cross overlaps X, with an error signal each. Where they meet
examples of their own, each level is two, from which one of them learns, and steps taken at once add

    d2[X^b_kl] = eta^2 E[F1_k xi_b] . E[F2_l xi_b]

with xi_b the coordinates of an example in the span of weights and references.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np

from curriculode.sims.spaces.draws import drawn_levels
from curriculode.sims.spaces.model import Model
from curriculode.theory.averages.erf_closed_form import ErfClosedForm
from curriculode.theory.averages.quasi_monte_carlo import least_points
from curriculode.theory.core.compiled import inner, kernel
from curriculode.theory.core.linear_algebra import fill
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.describe.training import Rates
from curriculode.theory.dynamics.online import OnlineLearning, State, erf_right_hand_side, packed
from curriculode.theory.dynamics.packing import pack, unpack
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.finite_d.increments import Bench, Laws, add_increments, add_push, add_second, law_of
from curriculode.theory.finite_d.step import centre, factors
from curriculode.theory.units.losses import LOSSES

_CHANGE, _OF_NOISE = 3e-4, 0.15  # by which Heun's step may differ from Euler's: of 1 + |y|, and of the largest noise
_NETS, _ROWS, _MOST_POINTS = 64, 64, 4096
_MANY = 16  # coordinates, from which a small net scatters as random points do, and whitening it is the lesser evil
_EXAMPLES, _OF_COMPONENT = 64, 16  # fresh ones for the noise of a level, at least so many of a component


class Draws(NamedTuple):
    """Random numbers of a stretch, several times over.

    z (draws, levels, components, 1, coordinates, rows) : of examples
    weights (draws, levels, components, rows) : of their increments, times D
    share (draws, levels) : of the levels among the examples
    """

    z: np.ndarray
    weights: np.ndarray
    share: np.ndarray


class ClosedForm(NamedTuple):
    """What `erf_right_hand_side` is called with; the probabilities of the levels are its numbers from `at` on."""

    numbers: np.ndarray
    at: int
    levels: int
    blocks: int
    K: int
    P: int
    components: int
    noise_terms: bool


class Work(NamedTuple):
    """What a step is computed in.

    drift, noise : benches;  state, total, second : a state, and sums of d and d2
    first, other, ahead, random, mean : state vectors (n,);  uniform (levels, components, rows) : weights of the points of a net
    inverse (blocks, P, P) : T^+;  rest (K, K) : what of Q is not along the references
    push (copies, blocks, K, coordinates) : means of F xi', of copies that meet examples of their own
    """

    drift: Bench
    noise: Bench
    state: State
    total: State
    second: State
    first: np.ndarray
    other: np.ndarray
    ahead: np.ndarray
    random: np.ndarray
    mean: np.ndarray
    uniform: np.ndarray
    inverse: np.ndarray
    rest: np.ndarray
    push: np.ndarray

    @classmethod
    def empty(cls, setting: Setting, v: np.ndarray, size: int, levels: int, points: int, rows: int) -> "Work":
        """For state vectors of `size`, a net of so many points, and noise of so many examples of a component."""
        blocks, K, P = setting.shape
        states = [State(np.zeros((blocks, K, K)), np.zeros((blocks, K, P)), u) for u in (v.copy(), np.zeros(K), np.zeros(K))]
        vectors = [np.zeros(size) for _ in range(5)]
        inverse = np.array([np.linalg.pinv(T, hermitian=True) for T in setting.blocks.T])
        benches = Bench.empty(blocks, K, P, _ROWS), Bench.empty(blocks, K, P, rows)
        uniform = np.multiply.outer(np.ones(levels), np.outer(setting.laws[0].probability, np.full(_ROWS, 1.0 / points)))
        push = np.zeros((levels // len(setting.laws), blocks, K, P + K))
        return cls(*benches, *states, *vectors, uniform, inverse, np.empty((K, K)), push)  # type: ignore[call-arg,arg-type]


@dataclass(frozen=True)
class Stretch:
    """What a stretch of `taken` examples is drawn to be: so many of each level, (draws, copies levels), a net, and the noise."""

    taken: int
    counts: np.ndarray
    net: np.ndarray
    draws: Draws


class Diffuser:
    """Steps of the diffusion from one start; not shared by threads."""

    def __init__(
        self,
        model: Model,
        start: OrderParameters,
        noise_terms: bool = True,
        points: int | None = None,
        copies: Literal["independent", "same"] | None = None,
        draws: int = 1,
    ) -> None:
        """copies : which examples the two halves of the units meet, where these are two networks;  draws : of the noise at once."""
        setting, examples = model.setting, model.examples
        (blocks, K, P), size = setting.shape, packed(setting, start).size
        self.model, self._v, self._noise_terms = model, np.array(start.v, dtype=float), noise_terms
        learns = np.eye(2, dtype=np.int64) if copies == "independent" else np.ones((1, 2 if copies else 1), dtype=np.int64)
        ends = np.linspace(0, K, learns.shape[1] + 1).astype(np.int64)
        networks = np.array([np.column_stack([ends[:-1], ends[1:], row]) for row in learns]).repeat(len(setting.laws), axis=0)
        gain, scale = (np.concatenate([part] * len(learns)) for part in (examples.gain, examples.scale))
        blocked = setting.blocks
        self._laws = Laws(setting.laws[0].probability, gain, scale, examples.labels, blocked.fractions, blocked.T, networks)
        coordinates = blocks * (K + P) + any(law.labels.noise > 0 for law in setting.laws)
        # The error of changing nets is noise of its own, which falls with D as that of SGD does.
        wanted = points or min(_MOST_POINTS, max(2 * _ROWS, 4 << int(np.log2(model.dimension) / 2)))
        points = max(wanted, least_points(coordinates))
        self._net_size = coordinates, points
        levels, components = len(networks), self._laws.probability.size
        rows = max(_OF_COMPONENT, _EXAMPLES // components)
        shape = (draws, levels, components, 1, coordinates, rows)
        self._draws = Draws(np.zeros(shape), np.zeros((draws, levels, components, rows)), np.zeros((draws, levels)))
        self._work = Work.empty(setting, self._v, size, levels, points, rows)
        self._codes = setting.activation.code, LOSSES[setting.loss]
        self._forms: dict[Rates, ClosedForm] = {}
        engine = setting.engine("auto", 1 << 20, 0, noise_terms)
        self._engine = engine if copies is None and isinstance(engine.first, ErfClosedForm) and engine.exact else None

    def _form(self, rates: Rates) -> ClosedForm | None:
        """The closed form of the rate, where there is one."""
        if self._engine is None:
            return None
        if rates not in self._forms:
            setting = self.model.setting
            every = OnlineLearning(setting, self._engine, np.ones(len(setting.laws)), rates, self._v)
            numbers, levels, blocks, K, P, components, noise_terms = every.erf_arguments()
            at = numbers.size - every.numbers_given
            self._forms[rates] = ClosedForm(numbers, at, levels, blocks, K, P, components, noise_terms)
        return self._forms[rates]

    def draw(self, rng: np.random.Generator, remaining: np.ndarray, taken: int) -> Stretch:
        """A stretch of `taken` examples from the numbers of each level still `remaining`, until the next is drawn.

        remaining : (..., levels), of every draw, and of both copies where they meet examples of their own
        """
        draws = self._draws
        each = [drawn_levels(rng, left, taken) for left in remaining.reshape(-1, remaining.shape[-1])]
        counts = np.concatenate(each).reshape(draws.share.shape)
        draws.share[:] = counts / taken
        _draw_normals(rng, counts, self._laws.probability, draws)
        if self._laws.probability.size > 1:
            p, rows = self._laws.probability, draws.weights.shape[-1]
            met = np.nonzero(counts)
            numbers = counts[met]
            draws.weights[met] += ((rng.multinomial(numbers, p) - np.multiply.outer(numbers, p)) / rows)[:, :, None]
        net = _net(*self._net_size, int(rng.integers(_NETS)))
        # Coordinates in another order and of other signs: what errors so many nets share does not tell one unit from another.
        order, signs = rng.permutation(net.shape[-2]), np.where(rng.random(net.shape[-2]) < 0.5, -1.0, 1.0)
        return Stretch(taken, counts, np.ascontiguousarray(net[..., order, :] * signs[:, None]), draws)

    def step(
        self, states: np.ndarray, rates: Rates, stretch: Stretch, shares: np.ndarray, signs: np.ndarray, drawn: np.ndarray
    ) -> float:
        """Move the states (paths, n) over a stretch, and return how much Heun's step differs from Euler's, of what is allowed.

        shares : (paths, levels) of the examples;  signs : (paths,) of the noise, 0 for the equations alone, without 1 / D
        drawn : (paths,) by which of the draws
        """
        change = advance(
            states,
            shares,
            signs,
            drawn,
            float(stretch.taken),
            float(self.model.dimension),
            rates,
            stretch.net,
            stretch.draws,
            self._form(rates),
            self._laws,
            *self._codes,
            self._noise_terms,
            self._work,
        )
        if change >= 0.0:
            return float(change)
        for y in states:
            self._make_physical(y)
        return float(-1.0 - change)

    def _make_physical(self, y: np.ndarray) -> None:
        """Make Q no smaller than what its M says: noise may push a state out of the physical ones."""
        Q, M, v = self.overlaps(y)
        if not np.isfinite(y).all():
            return
        for b, inverse in enumerate(self._work.inverse):
            along = M[b] @ inverse @ M[b].T
            w, V = np.linalg.eigh(Q[b] - along)
            Q[b] = along + (V * np.maximum(w, 0.0)) @ V.T
        pack(Q, M, v, y)

    def overlaps(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Q (blocks, K, K), M (blocks, K, P), v (K,) of a state."""
        blocks, K, P = self.model.setting.shape
        Q, M, v = np.empty((blocks, K, K)), np.empty((blocks, K, P)), self._v.copy()
        unpack(y, Q, M, v)
        return Q, M, v


@lru_cache(maxsize=4 * _NETS)
def _net(coordinates: int, points: int, number: int) -> np.ndarray:
    """Points of the rate, (1, 1, chunks, coordinates, rows): half a net, and its mirror image.

    Whitened in many coordinates alone: their fourth moments would be too small throughout, by 5 % of 64 points in 6 coordinates.
    """
    from scipy.special import ndtri
    from scipy.stats import qmc

    uniform = qmc.Sobol(coordinates, scramble=True, rng=np.random.default_rng([number, coordinates])).random(points // 2)
    z = ndtri(np.clip(uniform, 2.0**-53, 1.0 - 2.0**-53)).T
    if coordinates > _MANY:
        z = np.linalg.solve(np.linalg.cholesky(z @ z.T * (2.0 / points)), z)
    return np.concatenate([z, -z], axis=1).reshape(coordinates, -1, _ROWS).swapaxes(0, 1)[None, None].copy()


@kernel
def _draw_normals(rng, counts, probability, draws):
    """Examples, and the weights of their noise within a component, of the levels that are met."""
    number, levels, components, _, coordinates, rows = draws.z.shape
    for draw in range(number):
        for level in range(levels):
            if counts[draw, level] == 0:
                continue
            for c in range(components):
                z, weights = draws.z[draw, level, c, 0], draws.weights[draw, level, c]
                for j in range(coordinates):
                    for i in range(rows):
                        z[j, i] = rng.standard_normal()
                mean = 0.0
                for i in range(rows):
                    weights[i] = rng.standard_normal()
                    mean += weights[i]
                p = probability[c]
                # The mean of so few examples, met a random number of times, has some of the noise already.
                size = np.sqrt(counts[draw, level] * p * (1.0 - (1.0 - p) / rows) / (rows - 1.0))
                for i in range(rows):
                    weights[i] = size * (weights[i] - mean / rows)


@kernel
def advance(states, shares, signs, drawn, taken, dimension, rates, net, draws, form, laws, activation, loss, noise_terms, work):
    """One stretch of all paths; the change, and less than -1 by as much where a state has become unphysical."""
    first, other, ahead, random, mean = work.first, work.other, work.ahead, work.random, work.mean
    h, worst, physical = taken / dimension, 0.0, True
    for path in range(states.shape[0]):
        y, sign, draw = states[path], signs[path], drawn[path]
        finite = True
        for a in range(y.size):
            finite = finite and np.isfinite(y[a])
        if not finite:
            continue  # diverged: it is recorded as it is
        largest = 0.0
        for part_of_step in range(3):  # one call of what is long to compile: the rate, the noise half way, the rate at the end
            noise = part_of_step == 1
            if noise:
                for a in range(y.size):
                    ahead[a] = y[a] + 0.5 * h * first[a]
                    random[a] = 0.0
                    mean[a] = 0.0
                if sign == 0.0:
                    continue
            elif part_of_step == 2:
                for a in range(y.size):
                    largest = max(largest, abs(random[a]) / dimension)
                    ahead[a] = y[a] + h * first[a] + sign / dimension * random[a]
            at, into = ahead if part_of_step else y, random if noise else other if part_of_step else first
            closed = False
            if form is not None:  # noqa: SIM102 - another type: without a closed form none is compiled
                if not noise:
                    closed, share = True, shares[path]
                    form.numbers[form.at : form.at + form.levels] = share
                    erf_right_hand_side(
                        at, form.numbers, form.levels, form.blocks, form.K, form.P, form.components, form.noise_terms, into
                    )
            if not closed:
                share = draws.share[draw] if noise else shares[path]
                z, weights = draws.z[draw] if noise else net, draws.weights[draw] if noise else work.uniform
                bench = work.noise if noise else work.drift
                _sum(at, share, rates, z, weights, laws, activation, loss, not noise, noise or noise_terms, work, bench, into)
            if noise:
                pack(work.second.Q, work.second.M, work.second.v, mean)
        for a in range(y.size):
            change = 0.5 * h * (other[a] - first[a])
            worst = max(worst, abs(change) / (_CHANGE * (1.0 + abs(y[a])) + _OF_NOISE * largest))
            y[a] = ahead[a] + (change if sign == 0.0 else (1.0 - 1.0 / taken) * change + h / dimension * mean[a])
        unpack(y, work.state.Q, work.state.M, work.state.v)
        physical = physical and _is_physical(work.state.Q, work.state.M, work.inverse, work.rest)
    return worst if physical else -1.0 - worst


@inner
def _sum(y, share, rates, z, weights, laws, activation, loss, drifts, all_terms, work, bench, into):
    """Into `into` the sum of increments at the state y: of a drift, with its decay and share[level] times the weights of a
    component, or of a noise, with the mean of d2 in work.second.

    z (1 or levels, 1 or components, chunks, coordinates, rows) : examples;  weights (levels, components, rows)
    """
    state, total, second = work.state, work.total, work.second
    blocks, K, P = state.M.shape
    own, kappa = z.shape[1] > 1, rates.kappa if drifts else 0.0
    unpack(y, state.Q, state.M, state.v)
    for k in range(K):
        total.v[k] = -rates.eta_v * kappa * state.v[k]
        for b in range(blocks):
            for m in range(K):
                total.Q[b, k, m] = -2.0 * rates.eta * kappa * state.Q[b, k, m]
                second.Q[b, k, m] = (rates.eta * rates.kappa) ** 2 * state.Q[b, k, m]
            for p in range(P):
                total.M[b, k, p] = -rates.eta * kappa * state.M[b, k, p]
    factors(state, laws.T, bench.room)
    apart = work.push.shape[0] > 1 and not drifts
    for copy in range(work.push.shape[0] if apart else 0):
        for b in range(blocks):
            fill(work.push[copy, b], 0.0)
    for level in range(share.size):
        if share[level] == 0.0:
            continue
        law, factor = law_of(laws, level), share[level] if drifts else 1.0
        for chunk in range(z.shape[2]):
            for c in range(laws.probability.size):
                points = z[level if z.shape[0] > 1 else 0, c if own else 0, chunk]
                if own or c == 0:
                    centre(points, law, bench.room)
                add_increments(points, c, factor, weights[level, c], law, activation, loss, rates, all_terms, state, bench, total)
                if not drifts:
                    add_second(share[level] * laws.probability[c], rates, bench, second.Q)
                if apart:
                    copy = level * work.push.shape[0] // share.size
                    add_push(share[level] * laws.probability[c], points, c, law, bench.room, work.push[copy])
    if apart:
        for b in range(blocks):
            for k in range(K):
                for m in range(K):
                    for j in range(work.push.shape[3]):
                        both = work.push[0, b, k, j] * work.push[1, b, m, j] + work.push[0, b, m, j] * work.push[1, b, k, j]
                        second.Q[b, k, m] += rates.eta * rates.eta * both
    pack(total.Q, total.M, total.v, into)


@inner
def _is_physical(Q, M, inverse, rest):
    """Whether Q - M T^+ M' is positive semi-definite in every block, by its pivots."""
    blocks, K, P = M.shape
    for b in range(blocks):
        for k in range(K):
            for m in range(k + 1):
                total = Q[b, k, m]
                for p in range(P):
                    for q in range(P):
                        total -= M[b, k, p] * inverse[b, p, q] * M[b, m, q]
                rest[k, m] = total
        for j in range(K):
            if not rest[j, j] > 0.0:
                return False
            for i in range(j + 1, K):
                factor = rest[i, j] / rest[j, j]
                for m in range(j + 1, i + 1):
                    rest[i, m] -= factor * rest[m, j]
    return True
