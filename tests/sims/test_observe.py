"""Streamed statistics of large ensembles are those of the trajectories they do not keep."""

import numpy as np
import pytest

import curriculode as cu
from curriculode.theory.results.observations import wilson_interval


def test_observations_are_those_of_the_trajectories(xor: cu.Experiment) -> None:
    """600 runs, more than one batch: the same numbers as in one ensemble, run by run."""
    settings = dict(dimension=40, runs=600, seed=3, times=3, points=64)
    seen = cu.observe(xor, ["generalization_error", "covered_clusters", "Q[0,1]", "v[2]"], **settings)
    kept = cu.simulate(xor, **settings)
    assert np.array_equal(seen.values["Q[0,1]"], kept.Q[:, :, 0, 1])
    assert np.array_equal(seen.values["v[2]"], kept.v[:, :, 2])
    assert np.array_equal(seen.values["generalization_error"], kept.generalization_error)
    assert np.array_equal(seen.run, np.arange(600))
    assert np.allclose(seen.mean("v[2]"), kept.v[:, :, 2].mean(axis=0))
    assert np.allclose(seen.covariance()[2, 3], np.cov(kept.Q[:, -1, 0, 1], kept.v[:, -1, 2])[0, 1])
    assert np.allclose(seen.quantile("v[2]", [0.1, 0.9]), np.quantile(kept.v[:, :, 2], [0.1, 0.9], axis=0))
    frame = seen.to_frame()
    assert len(frame) == 12
    assert {"mean", "standard_error", "scatter", "q5", "q50", "q95"} <= set(frame.columns)
    assert seen.frequencies("covered_clusters", range(5))["runs"].sum() == 600
    assert seen.status == "600 of 600 runs finished"


def test_wilson_interval_by_hand() -> None:
    low, high = wilson_interval(np.array([0, 50, 100]), 100)
    assert low == pytest.approx([0.0, 0.4038, 0.9630], abs=1e-4)
    assert high == pytest.approx([0.0370, 0.5962, 1.0], abs=1e-4)


def test_observe_refuses(xor: cu.Experiment) -> None:
    with pytest.raises(cu.InputError, match=r"observable 'Q\[0,9\]' is unknown"):
        cu.observe(xor, ["Q[0,9]"], dimension=40, runs=3)
    with pytest.raises(cu.InputError, match="observables is empty"):
        cu.observe(xor, [], dimension=40, runs=3)
    with pytest.raises(cu.InputError, match="runs = 1 is not allowed"):
        cu.observe(xor, dimension=40, runs=1)
