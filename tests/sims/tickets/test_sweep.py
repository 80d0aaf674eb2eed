"""Grids of tickets: paired, resumed, and failures as rows."""

import pytest

import curriculode as cu
from curriculode.sims.tickets import sweep as module

GRID = {"pruning.keep": [0.1, 0.4], "training.learning_rate": [0.5, 1.5]}
QUICK = cu.Numerics(points=64)


@pytest.fixture
def brief(xor: cu.Experiment) -> cu.Experiment:
    return xor.replace({"protocol.duration": 1.0})


def test_a_sweep_goes_on_where_it_ended(brief: cu.Experiment, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"seeds": 2, "nodes": 200, "numerics": QUICK, "store": tmp_path / "store", "treatments": ["ticket", "reinit"]}
    table = cu.sweep_tickets(brief, cu.Pruning(keep=0.2), GRID, **options)
    assert len(table) == 2 * 2 * 2 * 3
    assert len(list((tmp_path / "store").glob("*.npz"))) == 8
    asked = []
    monkeypatch.setattr(module, "tickets", lambda *a, **k: asked.append(k["seed"]) or cu.tickets(*a, **k))
    again = cu.sweep_tickets(brief, cu.Pruning(keep=0.2), GRID, **options)
    assert again.equals(table)
    assert asked == []
    more = cu.sweep_tickets(brief, cu.Pruning(keep=0.2), GRID, **{**options, "seeds": 3})
    assert asked == [2] * 4
    assert more[more["seed"] < 2].reset_index(drop=True).equals(table)
    gaps = cu.ticket_gaps(more, "reinit", "ticket")
    assert len(gaps) == 4
    assert (gaps["networks"] == 3).all()
    one = more[(more["pruning.keep"] == 0.1) & (more["training.learning_rate"] == 0.5)]
    by_hand = one.pivot_table(index="seed", columns="treatment", values="generalization_error")
    row = gaps[(gaps["pruning.keep"] == 0.1) & (gaps["training.learning_rate"] == 0.5)].iloc[0]
    assert row["difference"] == pytest.approx((by_hand["reinit"] - by_hand["ticket"]).mean())


def test_a_sweep_of_simulations(brief: cu.Experiment) -> None:
    table = cu.sweep_tickets(brief, cu.Pruning(keep=0.2), {"student.width": [2, 3]}, dimension=100, runs=2, numerics=QUICK)
    assert len(table) == 2 * 2 * 4
    assert not table["failed"].any()


def test_what_cannot_be_computed_is_a_row(brief: cu.Experiment) -> None:
    table = cu.sweep_tickets(brief, cu.Pruning(keep=0.2), {"pruning.rewind": [0.5, 7.0]}, nodes=200, numerics=QUICK)
    failed = table[table["failed"]]
    assert set(failed["pruning.rewind"]) == {7.0}
    assert failed["status"].str.startswith("rewind = 7 is not allowed").all()


def test_mistakes_are_told(brief: cu.Experiment) -> None:
    with pytest.raises(cu.InputError, match=r"^over: pruning setting 'kept' is unknown \(did you mean 'keep'"):
        cu.sweep_tickets(brief, cu.Pruning(keep=0.2), {"pruning.kept": [0.1]})
    with pytest.raises(cu.InputError, match=r"^Pruning: keep = 2"):
        cu.sweep_tickets(brief, cu.Pruning(keep=0.2), {"pruning.keep": [2.0]})
    table = cu.sweep_tickets(brief, cu.Pruning(keep=0.2), {"pruning.keep": [0.3]}, nodes=200, numerics=QUICK)
    with pytest.raises(cu.InputError, match=r"^treatment 'tickets' is unknown"):
        cu.ticket_gaps(table, "tickets", "reinit")
    with pytest.raises(cu.InputError, match=r"^table is not one of sweep_tickets"):
        cu.ticket_gaps(table, "ticket", "reinit", "nothing")
