"""Compile the kernels that most tests use, once, before several processes run them: `python -m tests.warm theory`, or `sims`."""

import subprocess
import sys

import curriculode as cu

SHARED = "CURRICULODE_TEST_SHARED"  # a folder that several processes of one run of the tests have in common


def theory() -> None:
    """The equations of both tasks, by nets and by closed forms, their errors, and batch learning."""
    xor, committee = cu.load("xor-curriculum"), cu.load("committee-plateau")
    teacher = {"task.teacher_activation": "relu", "student.activation": "gelu", "student.readout": "trained"}
    for case in (
        xor,
        xor.replace({"student.activation": "relu", "training.loss": "logistic"}),
        committee,
        committee.replace(teacher),
        xor.replace({"student.activation": "quadratic", "training.learning_rate": 0.01}),
    ):
        short = case.replace({"protocol.duration": 0.1})
        for way in ("auto", "quasi-Monte Carlo"):
            record = cu.integrate(short, short.initial(100), points=64, times=2, averages=way, estimate_error=False)
            _ = record.generalization_error
    short = xor.replace({"protocol.duration": 0.1})
    cu.tickets(short, cu.Pruning(keep=0.5, rounds=2), nodes=128, points=64, times=2, signs=True, treatments=["ticket", "fine-tune"])
    cu.state_evolution(cu.load("batch-perceptron"))
    for case in (short, cu.load("perceptron-curriculum").replace({"protocol.duration": 0.1})):
        cu.worth(case, case.initial(100), points=64, intervals=1, rtol=0.1)


def sims() -> None:
    """Both spaces, one run and many, both tasks; the diffusion; masked weights; minimisation."""
    for name in ("xor-curriculum", "perceptron-curriculum"):
        case = cu.load(name).replace({"protocol.duration": 0.2})
        for space, runs in (("overlap", 1), ("overlap", 16), ("weight", 1)):
            cu.simulate(case, dimension=60, runs=runs, times=2, space=space)
        cu.branch(case, dimension=60, runs=2, times=2)
    xor = cu.load("xor-curriculum").replace({"protocol.duration": 0.2})
    cu.tickets(xor, cu.Pruning(keep=0.5), dimension=60, runs=1, points=64, times=2, treatments=["ticket", "supermask"])
    cu.compare(xor, dimension=60, runs=4, points=64, times=2)
    cu.minimize(cu.load("batch-perceptron"), dimension=40, runs=1)


def everything() -> None:
    """Both at once, each in a process of its own."""
    parts = [subprocess.Popen([sys.executable, "-m", "tests.warm", part]) for part in ("sims", "theory")]
    assert [part.wait() for part in parts] == [0, 0]


if __name__ == "__main__":
    {"theory": theory, "sims": sims}[sys.argv[1]]()
