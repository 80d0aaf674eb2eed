"""How online SGD at finite D approaches the mean-field equations: scatter as D^(-1/2), mean shift as 1/D, both as predicted."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.words import settings_in_words
from curriculode.figures.plots.style import CYCLE, new_figure, style
from curriculode.sims.runs.simulate import simulate
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.describe.study import Study
from curriculode.theory.finite_d.fluctuations import Fluctuations, fluctuations
from curriculode.theory.solve.integrate import integrate

_EXPERIMENT = "finite-size"
# Runs at each D: many where the shift of the mean is to be resolved, few where each run has hundreds of millions of steps.
_RUNS = {10**2: 40_000, 10**3: 40_000, 10**4: 10_000, 10**5: 1_000, 10**6: 100, 10**7: 16, 10**8: 16}
_SCRAMBLINGS = 8
_STUDY = Study.load(_EXPERIMENT)


def _quantities(Q: np.ndarray, M: np.ndarray, v: np.ndarray, start: OrderParameters) -> dict[str, np.ndarray]:
    """Numbers read off final states, linear in Q, M and v, for leading axes of any shape."""
    return {
        "trace of Q": np.einsum("...kk->...", Q),
        "M along its start": np.einsum("...kp,kp->...", M, start.M) / np.linalg.norm(start.M),
        "v along its start": np.einsum("...k,k->...", v, start.v) / np.linalg.norm(start.v),
    }


def predicted(found: Fluctuations, start: OrderParameters) -> dict[str, tuple[float, float]]:
    """Of the `_quantities` at the end D times the shift of the mean, and D^(1/2) times the scatter of a run."""
    result, (K, P) = {}, start.M.shape
    size = {"trace of Q": 1.0, "M along its start": np.linalg.norm(start.M), "v along its start": np.linalg.norm(start.v)}
    slopes: dict[str, dict[str, float]] = {
        "trace of Q": {f"Q[{k},{k}]": 1.0 for k in range(K)},
        "M along its start": {f"M[{k},{p}]": float(start.M[k, p]) for k in range(K) for p in range(P)},
        "v along its start": {f"v[{k}]": float(start.v[k]) for k in range(K)},
    }
    for name, slope in slopes.items():
        gradient = np.array([slope.get(entry, 0.0) for entry in found.names]) / size[name]
        result[name] = float(gradient @ found.shift[-1]), float((gradient @ found.covariance[-1] @ gradient) ** 0.5)
    return result


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """One row a D and quantity: mean shift from the mean field, its standard error, the scatter of a run, and both as predicted."""
    experiment = _STUDY.experiment
    duration = experiment.protocol.duration
    start = experiment.initial(dimension=100, seed=1)
    numerics = Numerics(times=(duration,), points=2**13, rtol=1e-9, estimate_error=False)
    finals = []
    for scrambling in range(_SCRAMBLINGS):
        end = integrate(experiment, start, numerics=numerics.set(scrambling=scrambling))
        finals.append(_quantities(end.Q[-1], end.M[-1], end.v[-1], start))
    expected = predicted(fluctuations(experiment, start, times=[duration], points=2**12), start)
    dimensions = [D for D in _RUNS if scale >= 1 or max(10**6 * scale, 10**4) >= D]
    steps = {D: D * max(16, round(scale * _RUNS[D])) for D in dimensions}
    done, rows = 0.0, []
    for D in dimensions:

        def advance(fraction: float, D: int = D, done: float = done) -> None:
            report((done + fraction * steps[D]) / sum(steps.values()))

        runs = max(16, round(scale * _RUNS[D]))
        ensemble = simulate(experiment, dimension=D, runs=runs, start=start, times=[duration], progress=advance)
        if ensemble.interrupted:
            raise KeyboardInterrupt
        for name, value in _quantities(ensemble.Q[:, -1], ensemble.M[:, -1], ensemble.v[:, -1], start).items():
            theory = np.array([final[name] for final in finals])
            deviation = value - theory.mean()
            scatter = deviation.std(ddof=1)
            rows.append(
                {
                    "dimension": D,
                    "quantity": name,
                    "runs": runs,
                    "theory": theory.mean(),
                    "theory_error": theory.std(ddof=1) / np.sqrt(_SCRAMBLINGS),
                    "shift": deviation.mean(),
                    "shift_error": np.hypot(scatter / np.sqrt(runs), theory.std(ddof=1) / np.sqrt(_SCRAMBLINGS)),
                    "scatter": scatter,
                    "scatter_error": scatter / np.sqrt(2 * (runs - 1)),
                    "predicted_shift": expected[name][0] / D,
                    "predicted_scatter": expected[name][1] / np.sqrt(D),
                }
            )
        done += steps[D]
    return pd.DataFrame(rows)


def exponents(table: pd.DataFrame) -> pd.DataFrame:
    """Fitted exponents of scatter and |shift| against D, with standard errors, by quantity.

    Weighted least squares on logarithms, of the shift at those D where it exceeds three of its standard errors. The scatter at
    D = 100 is left out: it is measured so precisely that it would fit the next order in 1/D instead.
    """
    rows = []
    for name, part in table.groupby("quantity", sort=False):
        for what in ("scatter", "shift"):
            value, error = part[what].abs().to_numpy(), part[f"{what}_error"].to_numpy()
            seen = (value > 3 * error) & (part["dimension"].to_numpy() >= (1000 if what == "scatter" else 0))
            if seen.sum() < 2:
                continue
            x, y, weight = np.log(part["dimension"].to_numpy()[seen]), np.log(value[seen]), value[seen] / error[seen]
            design = np.stack([x, np.ones_like(x)], axis=1) * weight[:, None]
            covariance = np.linalg.inv(design.T @ design)
            slope = (covariance @ design.T @ (y * weight))[0]
            rows.append(
                {"quantity": name, "what": what, "exponent": slope, "error": covariance[0, 0] ** 0.5, "points": int(seen.sum())}
            )
    return pd.DataFrame(rows)


def draw(table: pd.DataFrame) -> Any:
    """Scatter and shift against D on logarithmic axes, with lines as predicted."""
    fits = exponents(table)
    with style():
        figure, axes = new_figure(1, 2, width=3.6, height=3.0)
        for axis, what in zip(axes[0], ("scatter", "shift"), strict=True):
            for colour, (name, part) in zip(CYCLE, table.groupby("quantity", sort=False), strict=False):
                fit = fits[(fits["quantity"] == name) & (fits["what"] == what)]
                label = str(name)
                if len(fit):
                    label += f": {fit['exponent'].iloc[0]:.3f} ± {fit['error'].iloc[0]:.3f}"
                value, error = part[what].abs(), part[f"{what}_error"]
                seen, D = value > 2 * error, part["dimension"]
                look: Any = {"fmt": "o", "color": colour, "markersize": 4, "capsize": 2, "label": label}
                axis.errorbar(D[seen], value[seen], yerr=2 * error[seen], **look)
                if (~seen).any():  # not resolved: two standard errors are an upper limit
                    axis.plot(D[~seen], (value + 2 * error)[~seen], "v", color=colour, markersize=4, fillstyle="none")
                axis.plot(D, part[f"predicted_{what}"].abs(), color=colour, linewidth=0.9)
            axis.set_xscale("log")
            axis.set_yscale("log")
            axis.set_xlabel("input dimension D")
            axis.legend(loc="lower left" if what == "scatter" else "upper right", title="fitted exponent", alignment="left")
        axes[0, 0].set_title(r"scatter of a run, of order $D^{-1/2}$")
        axes[0, 1].set_title(r"shift of the mean, of order $1/D$")
        axes[0, 0].set_ylabel("deviation from the mean field")
        axes[0, 1].set_ylim(bottom=3e-6, top=50 * table["shift"].abs().max())  # room for the legend
    return figure


def _power(dimension: int) -> str:
    return f"10^{len(str(dimension)) - 1}"


_LEAST, _MOST = min(_RUNS), max(_RUNS)

FIGURE = NamedFigure(
    title=f"Finite size: scatter ~ D^(-1/2) and mean shift ~ 1/D, from D = {_power(_LEAST)} to {_power(_MOST)}",
    caption=(
        f"Deviation of online SGD from the mean-field equations at t = {_STUDY.experiment.protocol.duration:g}, all runs from the "
        f"same overlaps; bars are two standard errors. {_RUNS[_LEAST]:,} runs in overlap space at D = {_power(_LEAST)} down to "
        f"{_RUNS[_MOST]} at {_power(_MOST)}. Triangles: upper limits where the shift is not resolved. Lines: scatter and "
        "shift of the expansion in 1/D, nothing fitted; the legend has the exponents fitted to the points. Settings: "
        f"{settings_in_words(_STUDY.experiment, ['protocol.duration'])}."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
