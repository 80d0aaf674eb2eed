"""One BLAS thread, wherever the package multiplies matrices: they are small, and the same seed must give the same bits."""

from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController


@cache
def _libraries() -> ThreadpoolController:
    """The linear algebra of this process; looked for once, since that takes two milliseconds."""
    import scipy.linalg  # noqa: F401  the BLAS that compiled kernels use is scipy's: it must be loaded to be found

    return ThreadpoolController()


def one_blas_thread() -> Any:
    """A context in which BLAS keeps to one thread, on a busy machine as on an idle one."""
    return _libraries().limit(limits=1, user_api="blas")
