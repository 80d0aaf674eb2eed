"""What two times of a training have in common: overlaps of the weights with earlier ones, and the indicators read off them.

    C^b_lk(t, s) = w_l(t) . w_k(s) / D    (within block b)

of the times s that were remembered: `integrate(..., remember=[0.0])`, or `simulate` in weight space.
"""

from typing import Any, ClassVar

import numpy as np

from curriculode.theory.core.arguments import checked, inside
from curriculode.theory.core.checks import number_within
from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.results.magnitudes import changed_signs, common_share, in_strata

SHARES = (0.1, 0.2, 0.3, 0.4, 0.5)  # p of R_p that simulations measure: those of Liu et al. 2021


def _share(name: str, value: Any) -> float:
    found = number_within(name, value, 0.0, 1.0 + 1e-15, "it must be above 0 and at most 1")
    if found == 0.0:
        raise InputError(f"{name} = {shown(value)} is not allowed; it must be above 0 and at most 1")
    return found


class TwoTimes:
    """Of a record of states: what its weights share with those of the times that were remembered."""

    experiment: Experiment
    arrays: Any
    lead: ClassVar[tuple[str, ...]]
    t: np.ndarray

    def _memory(self, s: float) -> int:
        """The number of a remembered time."""
        if "remembered" not in self.arrays:
            raise InputError("no weights were remembered; ask for them, as in integrate(..., remember=[0.0])")
        known = self.arrays["remembered"]
        wanted = number_within("s", s, -np.inf, np.inf, "give one of the remembered times")
        found = np.flatnonzero(np.isclose(known, wanted, rtol=1e-9, atol=1e-12))
        if not found.size:
            raise InputError(
                f"s = {shown(s)} was not remembered; the remembered times are {', '.join(f'{each:g}' for each in known)}"
            )
        return int(found[0])

    @checked(s=inside)
    def two_time(self, s: float = 0.0) -> np.ndarray:
        """Return the overlaps C_lk(t, s) = w_l(t) . w_k(s) / D of the weights with those at a remembered time s.

        Parameters
        ----------
        s : float, default 0.0
            A time that was remembered.

        Returns
        -------
        ndarray of shape (..., times, [blocks,] K, K)
            NaN at times before s that were not remembered themselves.

        Raises
        ------
        InputError
            For a time that was not remembered.
        """
        memory = self._memory(s)
        return np.take(self.arrays["passengers"], memory, axis=len(self.lead))

    def _pair(self, s: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Variances at s and t, covariances (..., times, K, blocks * strata) of a coordinate, and the shares of the strata."""
        Q, M, _ = self.blocked  # type: ignore[attr-defined]
        C, memory, axis = self.two_time(s), self._memory(s), len(self.lead) - 1
        C = C if C.ndim == Q.ndim else C[..., None, :, :]
        past_Q, past_M = (self.arrays[name] for name in ("remembered_Q", "remembered_M"))
        one = past_Q.ndim == len(self.lead) + 2
        past_Q, past_M = (part[..., None, :, :] if one else part for part in (past_Q, past_M))
        past_Q, past_M = (np.expand_dims(np.take(part, memory, axis), axis) for part in (past_Q, past_M))
        strata = self.experiment.task.strata()
        after, shares = in_strata(Q, M, M, *strata)
        before, _ = in_strata(past_Q, past_M, past_M, *strata)
        between, _ = in_strata(C, M, past_M, *strata)
        return np.broadcast_to(before, after.shape), after, between, shares

    @checked(share=_share, s=inside)
    def weight_correlation(self, share: float, s: float = 0.0) -> np.ndarray:
        """Return R_p of Liu et al. 2021: which part of the largest weights at s is among the largest at t, averaged over units.

        R_p = (2/p) [Phi2(-tau, -tau; r) + Phi2(-tau, -tau; -r)] with r the correlation of a unit's weights at the two times and
        p = 2 Phi(-tau); with several blocks or strata their sum, at common thresholds. Without correlation it is p.

        Parameters
        ----------
        share : float
            p, in (0, 1]; of simulations .1, .2, .3, .4 or .5, where it is counted in the weights themselves.
        s : float, default 0.0
            A time that was remembered.

        Returns
        -------
        ndarray of shape (..., times)
            R_p in [0, 1]; NaN where C(t, s) is not known.

        Raises
        ------
        InputError
            For a time that was not remembered.
        """
        if "common_weights" in self.arrays:
            near = np.flatnonzero(np.isclose(SHARES, share))
            if not near.size:
                raise InputError(f"share = {share:g} was not counted; a simulation counts it at {', '.join(map(str, SHARES))}")
            return np.take(self.arrays["common_weights"][..., near[0]], self._memory(s), axis=len(self.lead))
        return common_share(*self._pair(s), share).mean(axis=-1)

    @checked(s=inside)
    def sign_changes(self, s: float = 0.0) -> np.ndarray:
        """Return the share of weights whose sign at t differs from that at s, arccos(r)/pi, averaged over units.

        Parameters
        ----------
        s : float, default 0.0
            A time that was remembered.

        Returns
        -------
        ndarray of shape (..., times)
            In [0, 1]; counted in the weights themselves for simulations.

        Raises
        ------
        InputError
            For a time that was not remembered.
        """
        if "changed_signs" in self.arrays:
            return np.take(self.arrays["changed_signs"], self._memory(s), axis=len(self.lead))
        return changed_signs(*self._pair(s)).mean(axis=-1)

    @checked(s=inside)
    def weight_distance(self, s: float = 0.0) -> np.ndarray:
        """Return the root mean square change of a weight since s, of (Q_kk(s) + Q_kk(t) - 2 C_kk(t, s)) averaged over units.

        Parameters
        ----------
        s : float, default 0.0
            A time that was remembered, such as the end.

        Returns
        -------
        ndarray of shape (..., times)
            At least 0.

        Raises
        ------
        InputError
            For a time that was not remembered.
        """
        before, after, between, shares = self._pair(s)
        square = (shares * (before + after - 2.0 * between)).sum(axis=-1).mean(axis=-1)
        return np.sqrt(np.where(square < 0, np.maximum(square, 0.0), square))

    @checked(s=inside)
    def weight_cosine(self, s: float = 0.0) -> np.ndarray:
        """Return the cosine between all weights at t and at s, sum_k C_kk(t, s) / sqrt(sum_k Q_kk(s) sum_k Q_kk(t)).

        Parameters
        ----------
        s : float, default 0.0
            A time that was remembered, such as the end.

        Returns
        -------
        ndarray of shape (..., times)
            In [-1, 1].

        Raises
        ------
        InputError
            For a time that was not remembered.
        """
        *parts, shares = self._pair(s)
        sums = [(shares * part).sum(axis=(-1, -2)) for part in parts]
        return sums[2] / np.sqrt(sums[0] * sums[1])
