"""The table of the page with sliders: `python docs/explore/compute.py` computes docs/explore/curves.csv anew.

Accuracy on the hard level along the mean-field equations, mean and standard error over starts, which both orders share; and the gap
of a pair, the same start in both orders.
"""

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

import curriculode as cu
from curriculode.sims.runs.progress import Progress

WIDTHS = (2, 4, 8, 16, 32)
NOISES = (0.3, 0.4, 0.5, 0.6, 0.7)
SHARES = (0.1, 0.2, 0.3, 0.4)
ORDERS = ("curriculum", "random")
STARTS = {2: 48, 4: 48, 8: 32, 16: 16, 32: 8}  # wide committees scatter less
TIMES = 21
DIMENSION = 200  # of the starts: M = O(D^(-1/2))


def curves(width: int, noise: float, share: float) -> pd.DataFrame:
    """Rows (order, t) of one place."""
    base = cu.load("xor-curriculum").replace(
        {"student.width": width, "levels.hard.noise": noise, "levels.easy.share": share, "levels.hard.share": 1.0 - share}
    )
    accuracy = {order: [] for order in ORDERS}
    for seed in range(STARTS[width]):
        start = base.initial(dimension=DIMENSION, seed=seed)
        for order in ORDERS:
            ordered = base.replace({"protocol.order": order})
            found = cu.integrate(ordered, start, points=256, times=TIMES, scrambling=seed, estimate_error=False, rtol=1e-4)
            accuracy[order].append(1.0 - found.classification_error)
    gap = np.array(accuracy["curriculum"]) - np.array(accuracy["random"])
    root = np.sqrt(len(gap))
    parts = [
        pd.DataFrame(
            {
                "t": found.t,
                "accuracy": np.mean(accuracy[order], axis=0),
                "error": np.std(accuracy[order], axis=0, ddof=1) / root,
                "gap": gap.mean(axis=0),
                "gap_error": gap.std(axis=0, ddof=1) / root,
            }
        ).assign(order=order)
        for order in ORDERS
    ]
    return pd.concat(parts).assign(width=width, noise=noise, share=share)


def main() -> None:
    """All places, as one table."""
    places = list(product(WIDTHS, NOISES, SHARES))
    parts = []
    with Progress("curves", len(places)) as bar:
        for number, place in enumerate(places, 1):
            parts.append(curves(*place))
            bar.update(number)
    columns = ["width", "noise", "share", "order", "t", "accuracy", "error", "gap", "gap_error"]
    pd.concat(parts)[columns].to_csv(Path(__file__).with_name("curves.csv"), index=False, float_format="%.4g")


if __name__ == "__main__":
    main()
