"""The blocks of the inputs: which fraction of them each holds, and how the references overlap there."""

from dataclasses import dataclass

import numpy as np

from curriculode.theory.core.checks import dimension_of_inputs, numbers
from curriculode.theory.core.errors import InputError
from curriculode.theory.tasks.task import Task


@dataclass(frozen=True)
class Blocks:
    """The blocks of a task.

    fractions : phi_b > 0, (blocks,), sums to 1;  T : u_p . u_q / D within each block, (blocks, P, P), positive semi-definite

    Raises `InputError` where these are no blocks of any inputs.
    """

    fractions: np.ndarray
    T: np.ndarray

    def __post_init__(self) -> None:
        fractions, T = (
            np.ascontiguousarray(numbers(name, value, finite=False))
            for name, value in (("block_fractions", self.fractions), ("reference_overlap", self.T))
        )
        if fractions.ndim != 1 or T.ndim != 3 or T.shape[0] != fractions.size or T.shape[1] != T.shape[2]:
            raise InputError(
                f"block fractions {fractions.shape} and overlaps of references {T.shape} do not fit together; allowed: (blocks,) "
                "and (blocks, P, P)"
            )
        if not (fractions > 0).all() or abs(fractions.sum() - 1.0) > 1e-9:
            raise InputError(f"block fractions {fractions.tolist()} are not allowed; they must be above 0 and sum to 1")
        finite = bool(np.isfinite(T).all())
        spectrum = np.linalg.eigvalsh(T) if finite and T.shape[1] else np.full((1, 1), -1.0)
        across = np.swapaxes(T, 1, 2)
        # As np.allclose, at a third of its cost: blocks are made several times for each point of a sweep.
        symmetric = finite and bool((np.abs(T - across) <= 1e-8 + 1e-5 * np.abs(across)).all())
        if not symmetric or (spectrum[:, 0] < -1e-9 * np.abs(spectrum).max()).any():
            raise InputError("the overlaps of the references are no covariance; in each block they must be positive semi-definite")
        object.__setattr__(self, "fractions", fractions)
        object.__setattr__(self, "T", T)

    @classmethod
    def of(cls, task: Task) -> "Blocks":
        """The blocks of a task."""
        return cls(task.block_fractions(), task.reference_overlap())

    @property
    def count(self) -> int:
        """Number of blocks."""
        return int(self.fractions.size)

    @property
    def references(self) -> int:
        """P, the number of references."""
        return int(self.T.shape[1])

    def sizes(self, dimension: int, width: int) -> np.ndarray:
        """Number of inputs D_b in each block, summing to `dimension`; at least K + P each, or `InputError`."""
        dimension = dimension_of_inputs("dimension", dimension)
        edges = np.rint(dimension * np.cumsum(np.concatenate([[0.0], self.fractions]))).astype(np.int64)
        edges[-1] = dimension
        sizes = np.diff(edges)
        needed = width + self.references
        if sizes.min() < needed:
            least = int(np.ceil(needed / np.min(self.fractions)))
            detail = "" if sizes.size == 1 else f" in its smallest block ({sizes.min()} inputs)"
            raise InputError(
                f"dimension D = {dimension} is too small{detail}: a student of width {width} and {self.references} references need "
                f"K + P = {needed} inputs in each block; use D of at least {least}, or a smaller width"
            )
        return sizes
