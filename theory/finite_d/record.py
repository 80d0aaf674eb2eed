"""The record of what runs at finite D do: their mean, how they scatter, and bands of any observable."""

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from curriculode.theory.core.arguments import checked
from curriculode.theory.core.checks import text, whole_number
from curriculode.theory.core.errors import InputError
from curriculode.theory.dynamics.packing import state_names
from curriculode.theory.results.registered import observable_names
from curriculode.theory.results.states import StateRecord, Trajectory

if TYPE_CHECKING:
    import pandas as pd

_DRAWN = 512  # states that means of observables are taken over


class Fluctuations(Trajectory):
    """What runs at finite D do: their mean, and how they scatter.

    Made by `fluctuations`; a `Trajectory` of the mean with two arrays more.

    Attributes
    ----------
    Q, M, v : ndarray
        Without a dimension ybar, the equations' own trajectory; else the mean at D.
    covariance : ndarray of shape (times, n, n)
        C, so that runs at D scatter with the covariance C / D.
    shift : ndarray of shape (times, n)
        m, so that the mean of runs at D is ybar + m / D; zero with a dimension, whose mean has it in it.
    path_Q, path_M, path_v : ndarray
        By the diffusion alone: the paths that mean and covariance are those of, paths first, always with the block axis.
    statistics : mapping of str to value
        Among others `way`, "expansion", "closure" or "diffusion", and `trusted_until`, the time up to which the closure holds: B
        averaged over its points is within a quarter of B, and its mean within a quarter of a standard deviation of the expansion's.
    """

    kind: ClassVar[str] = "fluctuations"
    dimensions: ClassVar[Any] = {
        "covariance": ("time", "entry", "other_entry"),
        "shift": ("time", "entry"),
        "path_Q": ("path", "time", "block", "unit", "other_unit"),
        "path_M": ("path", "time", "block", "unit", "reference"),
        "path_v": ("path", "time", "unit"),
    }
    covariance: np.ndarray
    shift: np.ndarray
    path_Q: np.ndarray
    path_M: np.ndarray
    path_v: np.ndarray

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The entries of `covariance` and `shift`: "Q[0,0]", "Q[0,1]", ..., "M[0,0]", ..., "v[0]"."""
        _, M, v = self.blocked
        trained = self.experiment.student.readout == "trained"
        return state_names(M.shape[1], range(v.shape[-1]), M.shape[-1], trained)

    @checked(quantity=text)
    def band(self, quantity: str = "accuracy", dimension: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation of a quantity over runs at D.

        Order parameters have theirs in closed form; of anything else they are those over the paths of the diffusion, or over 512
        states drawn from the Gaussian law of the order parameters, each with the same net, so that no error has to be
        differentiated.

        Parameters
        ----------
        quantity : str, default "accuracy"
            An observable, "accuracy" or an order parameter such as "Q[0,0]".
        dimension : int, optional
            D, by default that of the closure.

        Returns
        -------
        mean : ndarray of shape (times,)
            Over runs.
        standard_deviation : ndarray of shape (times,)
            Of a single run.

        Raises
        ------
        InputError
            For a quantity that is not known, or without a dimension.
        """
        D = self._at(dimension)
        if quantity in self.names:
            i = self.names.index(quantity)
            return self.observable(quantity) + self.shift[:, i] / D, np.sqrt(np.maximum(self.covariance[:, i, i], 0.0) / D)
        values = self._drawn(D).observable(quantity)
        return values.mean(axis=0), values.std(axis=0, ddof=1)

    @checked
    def to_frame(self, order_parameters: bool = True, dimension: int | None = None) -> "pd.DataFrame":
        """Return means and standard deviations of runs at D as a table.

        Parameters
        ----------
        order_parameters : bool, default True
            Whether every order parameter has its columns.
        dimension : int, optional
            D, by default that of the closure.

        Returns
        -------
        DataFrame
            One row a time: t, and for each observable and order parameter its mean and `NAME_scatter`, its standard deviation.

        Raises
        ------
        InputError
            Without a dimension.
        """
        import pandas as pd

        columns: dict[str, Any] = {"t": self.t}
        names = [*observable_names(self.experiment.task), *(self.names if order_parameters else ())]
        drawn = self._drawn(self._at(dimension))
        for name in names:
            if name in self.names:
                columns[name], columns[f"{name}_scatter"] = self.band(name, dimension)
            else:
                values = drawn.observable(name)
                columns[name], columns[f"{name}_scatter"] = values.mean(axis=0), values.std(axis=0, ddof=1)
        return pd.DataFrame(columns)

    def _at(self, dimension: int | None) -> int:
        if dimension is None:
            if self.dimension is None:
                raise InputError("a band needs the dimension of the runs; give dimension=, such as dimension=200")
            return self.dimension
        D = whole_number("dimension", dimension)
        if self.dimension not in (None, D):
            raise InputError(f"dimension = {D} is not that of the closure, {self.dimension}; leave it out, or compute another")
        return D

    def _drawn(self, D: int) -> "_Drawn":
        """States from N(ybar + m / D, C / D), the same standard normals at all times; outside of what is physical on its edge."""
        if "path_Q" in self.arrays:
            return self._states_of_runs(self.path_Q, self.path_M, self.path_v, "paths of the diffusion", D)
        Q, M, v = (np.array(part) for part in self.blocked)
        times, blocks, K = Q.shape[:3]
        n = len(self.names)
        normals = np.random.default_rng([n, _DRAWN]).standard_normal((_DRAWN // 2, n))
        normals = np.concatenate([normals, -normals])  # no error of first order in the means
        T = self.experiment.task.reference_overlap()
        shape = (_DRAWN, times)
        drawn = np.empty((*shape, *Q.shape[1:])), np.empty((*shape, *M.shape[1:])), np.empty((*shape, K))
        upper = np.triu_indices(K)
        for i in range(times):
            w, V = np.linalg.eigh(self.covariance[i])
            change = (normals * np.sqrt(np.maximum(w, 0.0) / D)) @ V.T + self.shift[i] / D
            at, size = 0, upper[0].size
            for b in range(blocks):
                drawn[0][:, i, b] = Q[i, b]
                drawn[0][:, i, b, upper[0], upper[1]] += change[:, at : at + size]
                drawn[0][:, i, b, upper[1], upper[0]] = drawn[0][:, i, b, upper[0], upper[1]]
                at += size
            drawn[1][:, i] = M[i] + change[:, at : at + M[i].size].reshape(_DRAWN, *M.shape[1:])
            at += M[i].size
            drawn[2][:, i] = v[i] + (change[:, at:] if at < n else 0.0)
            for b in range(blocks):
                drawn[0][:, i, b] = _physical(drawn[0][:, i, b], drawn[1][:, i, b], T[b])
        return self._states_of_runs(*drawn, "drawn from their Gaussian law", D)

    def _states_of_runs(self, Q: np.ndarray, M: np.ndarray, v: np.ndarray, status: str, D: int) -> "_Drawn":
        arrays = {"t": self.t.copy(), "run": np.arange(len(v)), "Q": Q, "M": M, "v": v}
        if Q.shape[2] == 1:
            arrays |= {"Q": Q[:, :, 0].copy(), "M": M[:, :, 0].copy()}
        return _Drawn(self.experiment, self.numerics, arrays, status, dimension=D)


class _Drawn(StateRecord):
    """States from the law of runs: all averaged by the net of the theory."""

    kind: ClassVar[str] = "drawn states"
    lead: ClassVar[tuple[str, ...]] = ("run", "time")
    dimensions: ClassVar[Any] = {"run": ("run",)}

    def _scrambling(self, index: tuple[int, ...]) -> int:
        return self.numerics.scrambling


def _physical(Q: np.ndarray, M: np.ndarray, T: np.ndarray) -> np.ndarray:
    """Q (states, K, K) with what is left of it beside the references, Q - M T^+ M', made positive semi-definite."""
    along = M @ np.linalg.pinv(T, hermitian=True) @ np.swapaxes(M, -1, -2)
    w, V = np.linalg.eigh(Q - along)
    if (w >= 0).all():
        return Q
    projected: np.ndarray = along + (V * np.maximum(w, 0.0)[..., None, :]) @ np.swapaxes(V, -1, -2)
    return projected
