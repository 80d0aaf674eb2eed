"""The order parameters Q, M, v: shapes, random starts, and the set of physical values.

    Q^b_kl = w_k . w_l / D,    M^b_kp = w_k . u_p / D  (both within block b),    v_k

In the package they always carry the block axis, Q (blocks, K, K) and M (blocks, K, P); users may leave it out, and get it
left out, where there is one block.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from curriculode.theory.core.arguments import CHECKS, checked, inside, instance
from curriculode.theory.core.checks import checked_seed, numbers, plain
from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.core.linear_algebra import gram_spectrum, semidefinite_factor
from curriculode.theory.tasks.blocks import Blocks

if TYPE_CHECKING:
    from curriculode.theory.describe.committee import Committee

_LARGEST = 1e15  # of an order parameter of a start


@dataclass(frozen=True, eq=False)
class OrderParameters:
    """A state of the student.

    Overlaps and readout are::

        Q^b_kl = w_k . w_l / D,    M^b_kp = w_k . u_p / D  (both within block b),    v_k

    Parameters
    ----------
    Q : array_like of shape (K, K) or (blocks, K, K)
        Overlaps of units, symmetric.
    M : array_like of shape (K, P) or (blocks, K, P)
        Overlaps of units with references.
    v : array_like of shape (K,)
        Readout.

    Raises
    ------
    InputError
        For entries that are not finite numbers, shapes that do not fit together, and a Q that is not symmetric.

    Examples
    --------
    >>> OrderParameters(Q=[[1.0]], M=[[0.1, 0.0]], v=[0.5]).width
    1
    """

    Q: np.ndarray
    M: np.ndarray
    v: np.ndarray

    def __post_init__(self) -> None:
        for name in ("Q", "M", "v"):
            try:
                value = numbers(name, getattr(self, name), finite=False)
            except InputError as error:
                why = "with no value missing" if "masked" in str(error) else "of numbers"
                raise InputError(f"order parameter {name} must be an array {why}") from None
            if not np.isfinite(value).all():
                raise InputError(f"order parameter {name} has entries that are not finite numbers")
            value.flags.writeable = False
            object.__setattr__(self, name, value)
        K = self.v.size
        if K == 0:
            raise InputError("order parameters of no unit at all; a student has at least one")
        if self.v.ndim != 1 or self.Q.shape[-2:] != (K, K) or self.M.ndim != self.Q.ndim or self.M.shape[:-1] != self.Q.shape[:-1]:
            raise InputError(
                f"shapes Q {self.Q.shape}, M {self.M.shape}, v {self.v.shape} do not fit together; "
                "allowed: Q (K, K), M (K, P), v (K,), or Q (blocks, K, K), M (blocks, K, P), v (K,)"
            )
        if not np.allclose(self.Q, np.swapaxes(self.Q, -1, -2), rtol=1e-9, atol=1e-12):
            raise InputError("order parameter Q must be symmetric: Q_kl = w_k . w_l / D")

    @property
    def width(self) -> int:
        """K, the number of hidden units."""
        return int(self.v.size)

    def blocked(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the arrays, always with the block axis.

        Returns
        -------
        Q : ndarray of shape (blocks, K, K)
            Overlaps of units.
        M : ndarray of shape (blocks, K, P)
            Overlaps of units with references.
        v : ndarray of shape (K,)
            Readout.
        """
        return (self.Q[None], self.M[None], self.v) if self.Q.ndim == 2 else (self.Q, self.M, self.v)

    def canonical_order(self) -> np.ndarray:
        """Return an order of the hidden units that depends neither on their numbering nor on the sign of the readout.

        The points of an average tell units apart by their number. Numbered this way, a permuted student gets the permuted
        result exactly, not only within the error of the averages.

        Returns
        -------
        ndarray of int of shape (K,)
            Numbers of the units, in that order.
        """
        Q = self.blocked()[0]
        return np.lexsort((np.einsum("bkk->k", Q), np.abs(self.v)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OrderParameters) and all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in ("Q", "M", "v")
        )

    def __hash__(self) -> int:
        return hash((self.Q.tobytes(), self.M.tobytes(), self.v.tobytes()))

    def permuted(self, order: np.ndarray) -> "OrderParameters":
        """Return the same student with its hidden units in another order.

        Parameters
        ----------
        order : array_like of int of shape (K,)
            Numbers of the units, in the order wanted.

        Returns
        -------
        OrderParameters
            The permuted state.

        Raises
        ------
        InputError
            Where `order` is no permutation.
        """
        units = numbers("order", order)
        if units.ndim != 1 or not np.array_equal(np.sort(units), np.arange(self.width)):
            raise InputError(f"order {shown(plain(order))} is no permutation of the {self.width} units 0 ... {self.width - 1}")
        order = units.astype(np.int64)
        return OrderParameters(self.Q[..., order, :][..., :, order], self.M[..., order, :], self.v[order])

    @checked(T=inside)
    def check(self, width: int, T: np.ndarray) -> None:
        """Raise `InputError` unless this is a state of `width` units with references of overlap `T`.

        Parameters
        ----------
        width : int
            K.
        T : ndarray of shape (blocks, P, P)
            Overlaps u_p . u_q / D of the references within each block.

        Raises
        ------
        InputError
            For another width, other numbers of blocks or references, overlaps that no weights can have, and numbers beyond 1e15.
        """
        Q, M, _ = self.blocked()
        T = numbers("T", T)
        if T.ndim != 3 or T.shape[1] != T.shape[2]:
            raise InputError(f"T of shape {T.shape} is not allowed; give the overlaps of references, of shape (blocks, P, P)")
        blocks, references = T.shape[:2]
        if max(np.abs(part).max(initial=0.0) for part in (Q, M, self.v)) > _LARGEST:
            raise InputError(f"the start has an order parameter beyond {_LARGEST:g}; no student begins there")
        if self.width != width:
            raise InputError(f"the start has {self.width} hidden units, but the experiment's student.width is {width}")
        if Q.shape[0] != blocks or M.shape[2] != references:
            raise InputError(
                f"the start has {Q.shape[0]} blocks and {M.shape[2]} references, but the task has {blocks} and {references}"
            )
        for b in range(blocks):
            lowest, scale = gram_spectrum(Q[b], M[b], T[b])
            if lowest < -1e-9 * scale:
                raise InputError(
                    f"the start is not physical: in block {b} the matrix of overlaps [[T, M'], [M, Q]] has the negative "
                    f"eigenvalue {lowest:.3g}, which no weights can have"
                )


CHECKS["start"] = instance(OrderParameters, "give OrderParameters, such as experiment.initial(dimension=1000)")


def random_start(student: "Committee", blocks: Blocks, *, dimension: int, seed: int | np.random.SeedSequence) -> OrderParameters:
    """Overlaps of Gaussian weights w ~ N(0, weight_scale^2) with the references, in law exactly, for any `dimension`.

    Along the P reference directions of a block the weights are P Gaussian coordinates; the rest of them has a Wishart Gram
    matrix with D_b - P degrees of freedom, drawn by Bartlett's decomposition. Cost O(K^3), whatever D. Of units in pairs one each
    is drawn, and the other has its weights and the opposite readout.
    """
    sizes = blocks.sizes(dimension, student.width)
    K, P, T = student.width // 2 if student.pairs else student.width, blocks.references, blocks.T
    rng = np.random.default_rng(checked_seed(seed))
    Q, M = np.zeros((sizes.size, K, K)), np.zeros((sizes.size, K, P))
    for b, size in enumerate(sizes):
        along = rng.standard_normal((K, P))
        bartlett = np.tril(rng.standard_normal((K, K)), -1)
        bartlett[np.diag_indices(K)] = np.sqrt(rng.chisquare(size - P - np.arange(K)))
        M[b] = student.weight_scale * along @ semidefinite_factor(T[b]).T / np.sqrt(dimension)
        Q[b] = student.weight_scale**2 * (along @ along.T + bartlett @ bartlett.T) / dimension
    v = rng.standard_normal(K) if student.readout_start == "gaussian" else np.ones(K)
    Q = 0.5 * (Q + np.swapaxes(Q, 1, 2))
    if student.pairs:
        twice = np.repeat(np.arange(K), 2)
        Q, M, v = Q[:, twice][:, :, twice], M[:, twice], v[twice] * np.tile([1.0, -1.0], K)
    if sizes.size == 1:
        Q, M = Q[0], M[0]
    return OrderParameters(Q, M, student.v_scale * v)


def child_seed(seed: int | np.random.SeedSequence, *key: int) -> np.random.SeedSequence:
    """The stream of random numbers of that key under a seed: (i,) is the noise of run i, (1, j) start number j."""
    root = checked_seed(seed)
    return np.random.SeedSequence(root.entropy, spawn_key=(*root.spawn_key, *key))
