"""Training in groups: the compiled equations against plain numpy, and what does not depend on the grouping."""

import numpy as np
import pytest

import curriculode as cu
from curriculode.theory.dynamics.groups import GroupLearning, Groups
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.solve.groups import train_groups
from curriculode.theory.solve.way import Way
from curriculode.theory.tickets.coordinates import group, nodes

TIGHT = cu.Numerics(points=128, rtol=1e-10, atol=1e-12, method="DOP853")


def masked(experiment: cu.Experiment, rng: np.random.Generator, count: int = 600) -> tuple[Setting, Groups, np.ndarray]:
    """Groups of random masks, some coordinates kept by nobody, some by all."""
    setting, start = Setting.of(experiment), experiment.initial(300)
    Q, M, v = start.blocked()
    coordinates, W, _ = nodes(setting, Q, M, count, 0, rng, False)
    groups, where = group(coordinates, W, rng.random(W.shape) < 0.4)
    assert (where == -1).any()
    return setting, groups, v


@pytest.mark.parametrize("name", ["xor-fading", "perceptron-curriculum", "committee-plateau"])
def test_the_rates_of_groups_are_their_equations(name: str, rng: np.random.Generator) -> None:
    experiment = cu.load(name).replace({"student.width": 3, "training.weight_decay": 0.2})
    setting, groups, v = masked(experiment, rng)
    riders = rng.standard_normal((groups.block.size, 3, 2)) * groups.pattern[:, :, None]
    groups = groups.with_riders(riders, rng.standard_normal((groups.block.size, groups.T.shape[-1], 2)))
    stage = setting.stages[-1]
    way = Way.of(setting, TIGHT)
    learning = GroupLearning(setting, way.engine, stage.probability, stage.rates, groups, v, transports=True)
    y = learning.packed(groups, v)
    y[: int(learning.layout.offset[-1])] += 0.01 * rng.standard_normal(int(learning.layout.offset[-1]))
    at, _, moved = learning.unpacked(y, groups)
    after, _, slopes = learning.unpacked(learning.rate(0.0, y), groups)
    A, G, N, _ = learning.law.at(*at.summed(setting.shape[0]), v)
    transposed = [1, 0]
    for g, b in enumerate(groups.block):
        Pi, a, drive = np.diag(groups.pattern[g].astype(float)), A[b], G[b]
        first = a @ at.Q[g] + drive @ at.M[g].T
        np.testing.assert_allclose(after.Q[g], Pi @ (groups.share[g] * N[b] - first - first.transpose(transposed)) @ Pi, atol=1e-12)
        np.testing.assert_allclose(after.M[g], -Pi @ (a @ at.M[g] + drive @ groups.T[g]), atol=1e-12)
        np.testing.assert_allclose(after.riders[g], -Pi @ (a @ at.riders[g] + drive @ groups.drive[g]), atol=1e-12)
        R, S, Xi = (moved[each][g] for each in ("R", "S", "Xi"))
        np.testing.assert_allclose(slopes["R"][g], -Pi @ a @ R, atol=1e-12)
        np.testing.assert_allclose(slopes["S"][g], -Pi @ (a @ S + drive), atol=1e-12)
        np.testing.assert_allclose(slopes["Xi"][g], Pi @ (N[b] - a @ Xi - Xi @ a.T) @ Pi, atol=1e-12)


def test_overlaps_of_masked_groups_follow_from_their_transports(xor: cu.Experiment, rng: np.random.Generator) -> None:
    setting, groups, v = masked(xor.replace({"protocol.duration": 2.0}), rng)
    found = train_groups(Way.of(setting, TIGHT), groups, v, 0.5, 2.0, np.array([2.0]), transports=True)
    R, S, Xi = (found.transports[each] for each in ("R", "S", "Xi"))
    cross = R @ groups.M @ np.swapaxes(S, 1, 2)
    Q = R @ groups.Q @ np.swapaxes(R, 1, 2) + cross + np.swapaxes(cross, 1, 2) + S @ groups.T @ np.swapaxes(S, 1, 2)
    np.testing.assert_allclose(Q + groups.share[:, None, None] * Xi, found.groups.Q, atol=1e-9)
    np.testing.assert_allclose(R @ groups.M + S @ groups.T, found.groups.M, atol=1e-9)
    outside = ~groups.pattern[:, :, None] & np.ones(groups.M.shape, bool)
    assert (found.groups.M[outside] == 0).all()


def test_only_the_pattern_matters(xor: cu.Experiment, rng: np.random.Generator) -> None:
    """Coordinates of one pattern may be cut into any groups: the sums stay."""
    setting, start = Setting.of(xor.replace({"protocol.duration": 2.0})), xor.initial(300)
    Q, M, v = start.blocked()
    coordinates, W, _ = nodes(setting, Q, M, 500, 0, rng, False)
    mask = rng.random(W.shape) < 0.5
    way, t = Way.of(setting, TIGHT), np.array([2.0])
    one = train_groups(way, group(coordinates, W, mask)[0], v, 0.0, 2.0, t)
    cut = train_groups(way, group(coordinates, W, mask, strata=rng.integers(0, 3, 500))[0], v, 0.0, 2.0, t)
    assert cut.groups.block.size > one.groups.block.size
    for part in ("Q", "M", "v"):
        np.testing.assert_allclose(getattr(cut, part), getattr(one, part), atol=1e-8)


def test_a_mask_of_ones_is_dense_training(xor: cu.Experiment, seed: int) -> None:
    start = xor.initial(300, seed)
    study = cu.tickets(xor, cu.Pruning(keep=1.0), start=start, treatments=["ticket"], nodes=512, points=256, rtol=1e-9, times=3)
    dense, ticket = study.trajectories["dense"], study.trajectories["ticket"]
    np.testing.assert_allclose(ticket.Q, dense.Q, atol=1e-6)
    exact = cu.integrate(xor, start, points=256, estimate_error=False, rtol=1e-9, times=3)
    np.testing.assert_allclose(dense.M, exact.M, atol=1e-7)


def test_units_without_weights_drop_out(xor: cu.Experiment, rng: np.random.Generator) -> None:
    """A masked unit is as good as none: the others learn as the narrower student does."""
    start, n = xor.initial(300), 256
    mask = np.ones((4, n), bool)
    mask[2] = False
    options = {"points": 256, "rtol": 1e-9, "times": 3, "averages": "quasi-Monte Carlo"}
    study = cu.tickets(xor, cu.Pruning(keep=0.5), start=start, treatments=["ticket"], nodes=n, mask=mask, **options)
    rest = [0, 1, 3]
    narrow = cu.OrderParameters(start.Q[np.ix_(rest, rest)], start.M[rest], start.v[rest])
    alone = cu.integrate(xor.replace({"student.width": 3}), narrow, estimate_error=False, **options)
    ticket = study.trajectories["ticket"]
    assert (ticket.v[:, 2] == 0).all()
    assert (ticket.Q[:, 2] == 0).all()
    np.testing.assert_allclose(ticket.v[:, rest], alone.v, atol=5e-3)  # the nets are others
    np.testing.assert_allclose(ticket.M[:, rest], alone.M, atol=5e-3)


@pytest.mark.parametrize("activation", ["erf", "relu", "gelu", "quadratic"])
def test_closed_forms_bear_units_without_weights(activation: str, xor: cu.Experiment) -> None:
    rate = {"training.learning_rate": 0.01} if activation == "quadratic" else {}
    experiment, n = xor.replace({"student.activation": activation, **rate}), 128
    mask = np.ones((4, n), bool)
    mask[1] = False
    study = cu.tickets(experiment, cu.Pruning(keep=0.5), nodes=n, mask=mask, treatments=["ticket"], points=64, times=3)
    assert study.success
    assert np.isfinite(study.trajectories["ticket"].generalization_error).all()
