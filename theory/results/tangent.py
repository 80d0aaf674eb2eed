"""What is read off a record of training in a tangent space, and how far any training has left its own: its laziness."""

from typing import Any, ClassVar

import numpy as np

from curriculode.theory.core.arguments import checked, inside
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.tangent.frame import Moved
from curriculode.theory.tangent.rows import Rows, tangent_errors
from curriculode.theory.tangent.space import TangentSpace


def tangent_arrays(frame: Any, moved: "list[Moved]") -> dict[str, np.ndarray]:
    """Q, M, v over times with the start as passenger, as records hold them, without the block axis where there is one block."""
    arrays = {name: np.array([getattr(each, name) for each in moved]) for name in ("Q", "M", "v")}
    arrays["passengers"] = np.array([each.C for each in moved])[:, None]
    arrays |= {"remembered_Q": frame.Q[None], "remembered_M": frame.M[None]}
    if frame.Q.shape[0] == 1:
        for name in ("Q", "M", "passengers", "remembered_Q", "remembered_M"):
            arrays[name] = arrays[name][..., 0, :, :]
    return arrays | {"remembered": np.zeros(1), "remembered_v": frame.v[None]}


class TangentReadings:
    """Of a record of states: what the tangent space of its start says of it."""

    experiment: Experiment
    arrays: Any
    numerics: Any
    statistics: Any
    lead: ClassVar[tuple[str, ...]]
    t: np.ndarray

    @property
    def threshold(self) -> float:
        """Interpolation threshold alpha* of a ridge in a tangent space: up to so many examples the least norm fits them all."""
        if "threshold" not in self.statistics:
            raise InputError(
                f'training.kind = "{self.experiment.training.kind}" has no interpolation threshold; "tangent-ridge" has'
            )
        return float(self.statistics["threshold"])

    @checked(s=inside)
    def laziness(self, s: float = 0.0) -> np.ndarray:
        """Return |w(t) - w(s)| / |w(s)| of each unit: small where training is lazy, and the tangent space of s holds.

        The square is (Q_kk(t) - 2 C_kk(t, s) + Q_kk(s)) / Q_kk(s), over all blocks together.

        Parameters
        ----------
        s : float, default 0.0
            A time that was remembered, `integrate(..., remember=[0.0])`; records of tangent spaces remember their start.

        Returns
        -------
        ndarray of shape (..., times, K)
            At least 0.

        Raises
        ------
        InputError
            For a time that was not remembered.
        """
        Q = self.blocked[0]  # type: ignore[attr-defined]
        C = self.two_time(s)  # type: ignore[attr-defined]
        C = C if C.ndim == Q.ndim else C[..., None, :, :]
        axis = len(self.lead) - 1
        past = np.take(self.arrays["remembered_Q"], self._memory(s), axis=axis)  # type: ignore[attr-defined]
        past = past if past.ndim == Q.ndim - 1 else past[..., None, :, :]
        now, between, before = (np.einsum("...bkk->...k", part) for part in (Q, C, np.expand_dims(past, axis)))
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.sqrt(np.maximum(now - 2.0 * between + before, 0.0) / before)

    def _tangent_errors(self, level: int, scrambling: Any) -> tuple[np.ndarray, np.ndarray]:
        """Both errors of the linear model at a level, leading axes as in `v`."""
        Q, M, v = self.blocked  # type: ignore[attr-defined]
        C = self.two_time(0.0)  # type: ignore[attr-defined]
        C = C if C.ndim == Q.ndim else C[..., None, :, :]
        result = np.full((2, *v.shape[:-1]), np.nan)
        known: dict[tuple, tuple[TangentSpace, Rows]] = {}
        for index in np.ndindex(v.shape[:-1]):
            state = Moved(Q[index], M[index], v[index], C[index])
            if not all(np.isfinite(part).all() for part in (state.Q, state.M, state.v, state.C)):
                continue
            start, net = self._start_of(index[:-1]), scrambling((*index[:-1], 0))
            order = start.canonical_order()
            key = (hash(start), net)
            if key not in known:
                known.clear()
                space = TangentSpace.of(self.experiment, start.permuted(order))
                chosen = np.zeros(len(space.laws))
                chosen[level] = 1.0
                known[key] = space, space.rows(chosen, space.points(self.numerics), net)
            space, rows = known[key]
            placed = Moved(state.Q[:, order][:, :, order], state.M[:, order], state.v[order], state.C[:, order][:, :, order])
            result[(slice(None), *index)] = tangent_errors(rows, space.model, space.frame.change(placed))
        return result[0], result[1]

    def _start_of(self, index: tuple[int, ...]) -> OrderParameters:
        """The start of a run, or of the trajectory."""
        arrays = self.arrays
        v = arrays["remembered_v"][index][0] if "remembered_v" in arrays else arrays["start_v"][index]
        return OrderParameters(arrays["remembered_Q"][index][0], arrays["remembered_M"][index][0], v)
