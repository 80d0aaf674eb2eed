"""What a user adds to the package is swept like what is built in, in this process and in others."""

import textwrap
from pathlib import Path

import pytest

import curriculode as cu
from curriculode.sims.sweep.point import Code
from curriculode.theory.core import registry
from curriculode.theory.results.registered import OBSERVABLES
from curriculode.theory.tasks import TASKS

from .conftest import QUICK
from .test_sweep import same

MODULE = """
    from typing import Literal

    import numpy as np

    import curriculode as cu


    @cu.register_task
    class Louder(cu.XorMixture):
        kind: Literal["louder-xor"] = "louder-xor"

        def reference_overlap(self):
            return 2.0 * super().reference_overlap()


    cu.register_observable("longest", lambda state: np.sqrt(np.diagonal(state.Q)).max(), tasks="louder-xor")
"""


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone after it."""
    for things in (TASKS, OBSERVABLES):
        monkeypatch.setattr(things, "_things", dict(things._things))
    monkeypatch.setattr(registry, "_outside", {})


def of(task: cu.Task, like: cu.Experiment) -> cu.Experiment:
    return cu.Experiment(task=task, student=like.student, training=like.training, protocol=like.protocol)


@pytest.mark.slow
@pytest.mark.usefixtures("clean")
def test_tasks_and_observables_of_a_module_reach_other_processes(
    small: cu.Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "louder.py").write_text(textwrap.dedent(MODULE))
    monkeypatch.syspath_prepend(tmp_path)
    import louder  # type: ignore[import-not-found]

    experiment = of(louder.Louder(), small)
    one = cu.sweep(experiment, {"student.width": [1, 2]}, seeds=2, workers=1, store=tmp_path / "a.sqlite", **QUICK)
    assert (one["longest"] > 0).all()
    parents = cu.sweep(small, {"student.width": [1, 2]}, seeds=2, workers=1, **QUICK)
    assert (one["generalization_error"] != parents["generalization_error"]).all()
    same(one, cu.sweep(experiment, {"student.width": [1, 2]}, seeds=2, workers=2, **QUICK))


class Wilder(cu.XorMixture):
    """A task of a user's own under the kind of another, which its text does not lead to."""

    def reference_overlap(self):
        return 3.0 * super().reference_overlap()


def test_a_class_that_is_not_registered_is_computed_here_or_refused(small: cu.Experiment, tmp_path: Path) -> None:
    own, store = of(Wilder(), small), tmp_path / "a.sqlite"
    with pytest.raises(cu.InputError, match=r"a class that other processes do not find, .*Wilder: register it"):
        cu.sweep(own, workers=2, store=store, **QUICK)
    assert not store.exists()
    parents = cu.sweep(small, workers=1, store=store, **QUICK)
    table = cu.sweep(own, workers=1, store=store, **QUICK)
    exact = cu.integrate(own, own.initial(100, 0), times=[1.0], points=64).generalization_error[-1]
    assert table["generalization_error"][0] == exact != parents["generalization_error"][0]


@pytest.mark.usefixtures("clean")
def test_what_a_script_registers_itself_stays_in_this_process(small: cu.Experiment, tmp_path: Path) -> None:
    def first(state):
        return state.v[0]

    first.__module__ = "__main__"
    cu.register_observable("first", first)
    with pytest.raises(cu.InputError, match=r"registered in the script or notebook itself.* or use workers = 1"):
        cu.sweep(small, workers=2, store=tmp_path / "a.sqlite", **QUICK)
    assert not list(tmp_path.iterdir())
    table = cu.sweep(small, workers=1, observables=["first", "v[0]"], **QUICK)
    assert table["first"].tolist() == table["v[0]"].tolist()


def test_workers_that_do_not_fit_say_so() -> None:
    here = Code.here(("accuracy",))
    here.check()
    for code, message in [
        (Code("9.9", here.sources), "but the sweep 9.9; install the same"),
        (Code(here.version, "0"), "a worker has other sources"),
        (
            Code(here.version, here.sources, ("no_such_module",)),
            "cannot import what is registered .No module named",
        ),
        (Code(here.version, here.sources, (), ("joy",)), "a worker does not know observable 'joy'"),
    ]:
        with pytest.raises(cu.InputError, match=message):
            code.check()
