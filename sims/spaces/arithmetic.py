"""What the kernels of a step are written with: parts that are no calls, sums to the bit, many generators."""

from typing import Any

import numba
import numpy as np
from numba import types
from numba.core import cgutils
from numba.core.imputils import impl_ret_borrowed
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


def states_of(rngs: list[np.random.Generator]) -> np.ndarray:
    """The addresses at which the states of generators lie; for `in_state`, and good for as long as the generators live."""
    if len({type(rng.bit_generator) for rng in rngs}) > 1:
        raise TypeError("runs side by side need generators of one kind")
    return np.array([rng.bit_generator.ctypes.state.value for rng in rngs], dtype=np.uintp)


def _in_state(typing_context: Any, rng: Any, state: Any) -> Any:
    """The generator `rng`, but drawing from the `state` at that address, which one of the same kind has.

    To read 32 generators in a call from Python takes two seconds to compile; an array of numbers takes none.
    """

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        generator = cgutils.create_struct_proxy(rng)(context, builder, value=arguments[0])
        kind = types.NumPyRandomBitGeneratorType("bit_generator")
        bits = cgutils.create_struct_proxy(kind)(context, builder, value=generator.bit_generator)
        bits.state = arguments[1]
        generator.bit_generator = bits._getvalue()
        return impl_ret_borrowed(context, builder, rng, generator._getvalue())

    return rng(rng, types.uintp), code


in_state: Any = intrinsic(_in_state)
