"""What the kernels of a step are written with: parts that are no calls, and sums of which no compiler changes a bit."""

from typing import Any

import numba
from numba import types
from numba.extending import intrinsic

# A named part of a kernel, written into the kernels that use it and compiled with their options: a call that hands over its arrays
# costs 20 to 100 ns, and what is known of the caller (a single run) would be lost in it.
part = numba.njit(inline="always")


def _fma(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
    """A b + c of floats, rounded once, in the order written.

    Kernels let sums be reordered, which a sum over units or rows would be where runs do not lie innermost. Sums of these are not:
    whichever loop becomes vector instructions, and however wide they are, the bits of a run are the same.
    """

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fma(*arguments)

    return types.float64(types.float64, types.float64, types.float64), code


fma: Any = intrinsic(_fma)
