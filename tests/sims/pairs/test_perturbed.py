"""Perturbations in overlap space against those of real weights, in `compare`, and as parameters of a sweep."""

from typing import Any

import numpy as np
import pytest

import curriculode as cu
from curriculode.sims.spaces.draws import stage_counts
from curriculode.sims.spaces.model import Model
from curriculode.sims.spaces.perturb_overlaps import perturb_overlaps
from curriculode.theory.describe.perturbation import KINDS
from curriculode.theory.dynamics.setting import Setting

SMALL = 12  # inputs: where what is of order 1/D is seen


def small(xor: cu.Experiment, **event: Any) -> cu.Experiment:
    return xor.replace({"student.width": 2, "protocol.order": "random", "protocol.duration": 4.0}).replace(
        {f"protocol.perturbation.{name}": value for name, value in event.items()}
    )


@pytest.mark.parametrize("kind", KINDS)
def test_overlap_space_has_the_law_of_perturbed_weights(xor: cu.Experiment, kind: str, seed: int) -> None:
    """After 24 steps in 12 inputs, and 24 steps later: means and sizes of all order parameters, at 1e-4 over all of them."""
    experiment, runs = small(xor, kind=kind, at=2.0, size=0.7), 1000
    start, found = experiment.initial(SMALL, seed + 3), {}
    for i, space in enumerate(("overlap", "weight")):
        ensemble = cu.simulate(
            experiment, dimension=SMALL, runs=runs, start=start, seed=2 * seed + i, space=space, points=64,
            times=[2.0 + 1.0 / SMALL, 4.0],
        )  # fmt: skip
        found[space] = ensemble.entries()
    for name, values in found["overlap"].items():
        other = found["weight"][name]
        for read in (lambda x: x, lambda x: np.abs(x - np.median(x, axis=0))):
            x, y = read(values), read(other)
            error = np.sqrt(x.var(axis=0) / runs + y.var(axis=0) / runs)
            assert (np.abs(x.mean(axis=0) - y.mean(axis=0)) <= 4.7 * error).all(), name


@pytest.mark.parametrize("kind", ["noise", "reinitialise"])
def test_what_is_isotropic_costs_the_same_at_any_dimension(xor: cu.Experiment, kind: str, rng: np.random.Generator) -> None:
    """At D = 10^9 the maps of D -> infinity; M moves by a draw of order D^(-1/2)."""
    D, experiment = 10**9, small(xor, kind=kind, size=0.5)
    model, (Q, M, _) = Model.of(Setting.of(experiment, perturbed=True), D), experiment.initial(D, 1).blocked()
    draws = [perturb_overlaps(model, Q, M, cu.Perturbation(kind=kind, size=0.5), rng) for _ in range(200)]
    expected = Q + 0.25 * np.eye(2) if kind == "noise" else np.eye(2)[None]
    np.testing.assert_allclose(draws[0][0], expected, atol=1e-3)
    moved = np.array([after - (M if kind == "noise" else 0.0) for _, after in draws])
    assert np.sqrt(D) * moved.std() == pytest.approx(0.5 if kind == "noise" else 1.0, rel=4 / np.sqrt(2 * moved.size))
    ensemble = cu.simulate(
        small(xor, kind=kind, size=0.5, at=0.0).replace({"protocol.duration": 1e-6}), dimension=D, runs=2, times=2
    )
    assert np.isfinite(ensemble.Q).all()


def test_blocks_with_few_inputs_have_few_new_directions(xor: cu.Experiment, rng: np.random.Generator) -> None:
    """Where the known directions fill a block fresh weights have no others: Q = M T^+ M' there, at 2 + 2 inputs."""
    experiment = small(xor)
    model, (Q, M, _) = Model.of(Setting.of(experiment), 4), experiment.initial(4, 1).blocked()
    draws = [perturb_overlaps(model, Q, M, cu.Perturbation(kind="reinitialise"), rng)[0] for _ in range(4000)]
    mean, error = np.mean(draws, axis=0)[0], np.std(draws, axis=0)[0] / np.sqrt(len(draws))
    assert (np.abs(mean - np.eye(2)) < 4 * error).all()


@pytest.mark.parametrize("kind", ["noise", "signs", "reinitialise"])
def test_compare_knows_perturbed_weights(xor: cu.Experiment, kind: str, seed: int) -> None:
    experiment = xor.replace({"student.width": 2, "protocol.duration": 3.0, "protocol.perturbation.kind": kind})
    experiment = experiment.replace({"protocol.perturbation.at": 1.5, "protocol.perturbation.size": 0.5})
    options: dict[str, Any] = {"dimension": 200, "runs": 32, "times": [1.5, 1.6, 3.0], "points": 256, "seed": seed}
    found = cu.compare(experiment, **options)
    assert found.agrees, found.verdict()
    if kind == "noise":  # of another size
        (cell,) = found.cells
        wrong = cu.compare(experiment.replace({"protocol.perturbation.size": 1.0}), **options).cells[0].ensemble
        cell = type(cell)(cell.labels, experiment, cell.theory, wrong, cell.start_of_run, cell.perturbed, cell.finite_size)
        assert not type(found)([cell], 200, seed, "").agrees


def test_time_kind_and_size_are_parameters_of_a_sweep(xor: cu.Experiment) -> None:
    grid = {"protocol.perturbation.at": [1.0, 2.0], "protocol.perturbation.size": [0.0, 0.5]}
    base = small(xor, kind="noise")
    table = cu.sweep(base, grid, seeds=2, runs=2, dimension=60, points=64, workers=1)
    assert len(table) == 8
    assert not table["failed"].any()
    place = (table["protocol.perturbation.at"] == 2.0) & (table["protocol.perturbation.size"] == 0.5) & (table["seed"] == 1)
    row, start = table[place].iloc[0], base.initial(60, 1)
    told = {"protocol.perturbation.at": 2.0, "protocol.perturbation.size": 0.5}
    runs = cu.simulate(base.replace(told), dimension=60, runs=2, seed=1, start=start, times=2, points=64)
    assert row["generalization_error_simulation"] == pytest.approx(runs.generalization_error[:, -1].mean(), rel=1e-12)
    # Theory draws what is new of M of the seed, at D.
    drawn = base.replace({**told, "protocol.perturbation.dimension": 60, "protocol.perturbation.seed": 1})
    theory = cu.integrate(drawn, start, points=64, times=2, scrambling=1, estimate_error=False)
    assert row["generalization_error"] == pytest.approx(theory.generalization_error[-1], rel=1e-9)
    # Noise of size 0 is none.
    plain = cu.sweep(small(xor), seeds=2, dimension=60, points=64, workers=1)
    none = table[(table["protocol.perturbation.size"] == 0.0) & (table["protocol.perturbation.at"] == 1.0)]
    np.testing.assert_allclose(none["generalization_error"], plain["generalization_error"], rtol=1e-4)


@pytest.mark.parametrize("order", ["curriculum", "anti-curriculum", "random", "hard-only"])
def test_a_perturbation_changes_no_example(xor: cu.Experiment, order: str) -> None:
    """As many examples of each level as without it, to one, in all and before it."""
    plain = xor.replace({"protocol.order": order}).protocol
    cut = xor.replace({"protocol.order": order, "protocol.perturbation.kind": "noise", "protocol.perturbation.at": 3.0}).protocol
    before, after = (np.array(stage_counts(protocol, 101)) for protocol in (plain, cut))
    assert after.sum() == before.sum() == 808
    assert np.abs(after.sum(axis=0) - before.sum(axis=0)).max() <= 1
    first = sum(int(count.sum()) for count, stage in zip(after, cut.stages(), strict=True) if stage.end <= 3.0)
    assert first == 303


def test_mistakes_are_told(xor: cu.Experiment) -> None:
    assert cu.Experiment.from_toml((found := small(xor, kind="signs", at=1.0)).to_toml()) == found
    with pytest.raises(cu.InputError, match=r"^at = 9 is not allowed; weights are perturbed within the protocol"):
        small(xor, kind="signs", at=9.0)
    with pytest.raises(cu.InputError, match=r"^TimedPerturbation needs 'kind'"):
        small(xor, size=1.0)
    twice = small(xor, kind="signs", at=1.0)
    protocol = twice.protocol.perturbed("shuffle-inputs", at=2.0)
    twice = cu.Experiment(task=twice.task, student=twice.student, training=twice.training, protocol=protocol)
    with pytest.raises(cu.InputError, match=r"^overlap space cannot follow 'shuffle-inputs' after 'signs': it does not know"):
        cu.simulate(twice, dimension=60, runs=2)
    assert cu.simulate(twice, dimension=60, runs=2, space="weight", times=2).success
    with pytest.raises(cu.InputError, match=r"^the perturbation 'signs' moves single weights, which at D = 1e\+09 need"):
        cu.simulate(small(xor, kind="signs", at=1.0), dimension=10**9, runs=1)
    with pytest.raises(cu.InputError, match=r"^the diffusion has no weights to perturb"):
        cu.simulate(small(xor, kind="noise", at=1.0), dimension=60, runs=1, space="diffusion")
