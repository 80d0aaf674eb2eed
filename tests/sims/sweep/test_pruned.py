"""Sweeps of pruned networks: the same store, resumed; a row a treatment; paired tests."""

import numpy as np
import pandas as pd
import pytest

import curriculode as cu
from curriculode.sims.sweep import workers

GRID = {"pruning.keep": [0.1, 0.4], "training.learning_rate": [0.5, 1.5]}
KEEP = cu.Pruning(keep=0.2)
QUICK = {"pruning": KEEP, "treatments": ["ticket", "reinit"], "dimension": 150, "points": 64, "workers": 1}


@pytest.fixture
def brief(xor: cu.Experiment) -> cu.Experiment:
    return xor.replace({"protocol.duration": 1.0})


def test_a_sweep_goes_on_where_it_ended(brief: cu.Experiment, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {**QUICK, "store": tmp_path / "tickets.sqlite"}
    table = cu.sweep(brief, GRID, seeds=2, **options)
    assert len(table) == 2 * 2 * 2 * 3
    assert table.attrs["status"] == "8 of 8 points done, 0 failed"
    computed = []
    real = workers.compute
    monkeypatch.setattr(workers, "compute", lambda job: computed.append((job.changes, job.seed)) or real(job))
    again = cu.sweep(brief, GRID, seeds=2, **options)
    pd.testing.assert_frame_equal(again, table)
    assert computed == []
    more = cu.sweep(brief, {**GRID, "pruning.keep": [0.1, 0.2, 0.4]}, seeds=2, **options)
    assert {changes["pruning.keep"] for changes, _ in computed} == {0.2}
    assert len(computed) == 4
    # A point is the same from whatever base it is varied.
    computed.clear()
    alone = cu.sweep(brief.replace({"training.learning_rate": 0.5}), seeds=2, **options)
    assert computed == []
    here = (more["pruning.keep"] == 0.2) & (more["training.learning_rate"] == 0.5)
    np.testing.assert_array_equal(alone["generalization_error"], more[here]["generalization_error"])


def test_rows_are_those_of_the_study(brief: cu.Experiment) -> None:
    """By theory seed s is a draw of D random nodes; a run a network with masked weights; dense is that of an ordinary sweep."""
    table = cu.sweep(brief, seeds=[3], runs=2, observables=["generalization_error", "M[0,0]"], **QUICK)
    assert table["treatment"].tolist() == ["dense", "ticket", "reinit"]
    numerics = cu.Numerics(times=(1.0,), points=64, scrambling=3)
    start, names = brief.initial(150, 3), ["ticket", "reinit"]
    theory = cu.tickets(brief, KEEP, start=[start], treatments=names, nodes=150, net=False, seed=3, numerics=numerics)
    runs = cu.tickets(brief, KEEP, start=start, treatments=names, dimension=150, runs=2, seed=3, numerics=numerics)
    for name, row in table.set_index("treatment").iterrows():
        for column in ("generalization_error", "M[0,0]"):
            assert row[column] == pytest.approx(theory.final(column)[name][0], rel=1e-12)
            assert row[f"{column}_simulation"] == pytest.approx(runs.final(column)[name].mean(), rel=1e-12)
    plain = cu.sweep(brief, seeds=[3], dimension=150, points=64, workers=1)
    assert table["generalization_error"][0] == pytest.approx(plain["generalization_error"][0], rel=1e-3)


def test_prizes_are_paired_tests(brief: cu.Experiment) -> None:
    from scipy.stats import ttest_rel

    table = cu.sweep(brief, GRID, seeds=4, **QUICK)
    found = cu.prizes(table, list(GRID), value="generalization_error").set_index(list(GRID))
    for place in ((0.1, 0.5), (0.4, 1.5)):
        rows = table[(table["pruning.keep"] == place[0]) & (table["training.learning_rate"] == place[1])]
        ends = rows.pivot_table(index="seed", columns="treatment", values="generalization_error")
        by_hand = ttest_rel(ends["reinit"], ends["ticket"])
        row = found.loc[place]
        assert row["difference"] == pytest.approx((ends["reinit"] - ends["ticket"]).mean())
        assert row["p_value"] == pytest.approx(by_hand.pvalue)
        assert row["wins"] == ("" if by_hand.pvalue > 0.05 else "ticket" if by_hand.statistic > 0 else "reinit")
    swapped = cu.prizes(table, list(GRID), "reinit", "ticket", "generalization_error").set_index(list(GRID))
    assert swapped["wins"].tolist() == found["wins"].tolist()
    np.testing.assert_allclose(swapped["difference"], -found["difference"])


def test_networks_that_diverge_are_failed_rows(brief: cu.Experiment) -> None:
    """All rows of a network that diverges have failed, with the reason; the sweep goes on."""
    wild = brief.replace({"student.readout": "fixed", "student.readout_scale": 1.0})
    table = cu.sweep(wild, {"training.learning_rate": [1.0, 300.0]}, **QUICK)
    failed = table.groupby("training.learning_rate")["failed"].sum()
    assert failed.to_dict() == {1.0: 0, 300.0: 3}
    assert table[table["failed"]]["status"].str.contains("diverged").all()


def test_mistakes_are_told(brief: cu.Experiment) -> None:
    for arguments, words in (
        ({"over": {"pruning.kept": [0.1]}}, r"^Pruning: setting 'kept' is unknown \(did you mean 'keep'"),
        ({"over": {"pruning.keep": [2.0]}}, r"^Pruning: keep = 2"),
        ({"over": {"pruning.rewind": [0.5, 7.0]}}, r"^rewind = 7 is not allowed"),
        ({"treatments": ["tickets"]}, r"^treatment 'tickets' is unknown"),
        ({"pruning": None}, r"^treatments are of what a pruning keeps"),
        ({"pruning": None, "treatments": None, "over": {"pruning.keep": [0.1]}}, r"^pruning.keep is not allowed without a pruning"),
    ):
        with pytest.raises(cu.InputError, match=words):
            cu.sweep(brief, **{**QUICK, **arguments})
    table = cu.sweep(brief, {"pruning.keep": [0.3]}, **QUICK)
    with pytest.raises(cu.InputError, match=r"^gap = .* is not allowed; give two different orders of the table"):
        cu.prizes(table, "pruning.keep", "tickets", "reinit")
    with pytest.raises(cu.InputError, match=r"^gap = .* one of them is an order and one a treatment"):
        cu.prizes(table, "pruning.keep", "curriculum", "reinit")
    ranges = ("levels.hard.noise", 0.2, 0.8), ("training.learning_rate", 0.5, 2.0)
    with pytest.raises(cu.InputError, match=r"^refine follows one boundary, and a pruning has one for each treatment"):
        cu.refine(brief, *ranges, level=0.2, pruning=QUICK["pruning"])
