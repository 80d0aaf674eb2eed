"""Studies of tickets: their cost against width, nodes and groups, and that of a masked step beside a dense one."""

import numpy as np
from timing import best, experiment, head, once, row

import curriculode as cu

FIVE = ["ticket", "reinit", "random", "fine-tune", "signs"]


def tickets() -> None:
    head(
        "A study of tickets to t = 50, a fifth of the weights kept, 2^10 points, both cores, after compilation",
        "K",
        "nodes",
        "rounds",
        "treatments",
        "groups",
        "seconds",
        "dense training alone",
    )
    for K, nodes, rounds, treatments in (
        (4, 2**14, 1, FIVE),
        (8, 2**14, 1, FIVE),
        (8, 2**16, 2, ["ticket"]),
        (16, 2**12, 1, ["ticket"]),
        (16, 2**14, 1, ["ticket"]),
    ):
        case = experiment(K, protocol__order="curriculum")
        start = case.initial(dimension=1000, seed=1)
        pruning = cu.Pruning(keep=0.2, rounds=rounds)
        cu.tickets(case.replace({"protocol.duration": 0.1}), pruning, start=start, treatments=treatments, nodes=2**10)
        seconds = once(lambda: cu.tickets(case, pruning, start=start, treatments=treatments, nodes=nodes))  # noqa: B023
        dense = best(lambda: cu.integrate(case, start, points=1024, estimate_error=False), 1)  # noqa: B023
        row(
            K,
            f"2^{int(np.log2(nodes))}",
            rounds,
            len(treatments),
            groups_of(case, start, pruning, nodes),
            f"{seconds:.2f}",
            f"{dense:.3f}",
        )
    head(
        "Microseconds a step in weight space, one run, D = 1000, a fifth of the weights kept",
        "K",
        "dense",
        "masked",
        "masked / dense",
    )
    for K in (4, 8, 16):
        case = experiment(K, protocol__order="hard-only", protocol__duration=20.0)
        dense, masked = (weight_step(case, keep) for keep in (None, 0.2))
        row(K, f"{dense:.2f}", f"{masked:.2f}", f"{masked / dense:.2f}")


def groups_of(case: cu.Experiment, start: cu.OrderParameters, pruning: cu.Pruning, nodes: int) -> int:
    """Patterns of units among the nodes that a ticket keeps."""
    from curriculode.theory.dynamics.setting import Setting
    from curriculode.theory.solve.way import Way
    from curriculode.theory.tickets.coordinates import group
    from curriculode.theory.tickets.masks import best as kept
    from curriculode.theory.tickets.trainer import NodeTrainer

    way = Way.of(Setting.of(case), cu.Numerics(points=1024))
    end = np.array([case.protocol.duration])
    trainer = NodeTrainer(way, start, end, 0.0, 1.0, nodes, 0, np.random.default_rng(0), True, True, True)
    w0, _, wT = trainer.dense().weights
    mask = kept(np.abs(wT), np.ones(wT.shape, bool), trainer.coordinates.share, pruning.keep, "unit")
    return int(group(trainer.coordinates, w0, mask)[0].block.size)


def weight_step(case: cu.Experiment, keep: float | None) -> float:
    """Microseconds of a step of all weights, or of a random mask of them."""
    import threading

    from curriculode.sims.spaces.model import Model
    from curriculode.sims.tickets.trainer import Schedule, WeightTrainer
    from curriculode.theory.dynamics.setting import Setting

    D, setting = 1000, Setting.of(case)
    model = Model.of(setting, D)
    plan = Schedule(setting.stages, np.array([case.protocol.duration]), 0.0, D)
    rng = np.random.default_rng(0)
    trainer = WeightTrainer(model, case.initial(D), plan, 1.0, rng, threading.Event())
    W, v = rng.standard_normal((case.student.width, D)), case.initial(D).v
    mask = np.ones(W.shape, bool) if keep is None else rng.random(W.shape) < keep
    return 1e6 * best(lambda: trainer.train(W * mask, mask, v, False), 5) / plan.total
