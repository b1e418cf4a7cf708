"""How loops over arrays become machine code; the only importer of numba but the kernels' types.

A kernel is compiled at its first call, which takes seconds, and kept on disk: beside the source, or
in the folder named by NUMBA_CACHE_DIR. No fast-math and no threads inside: the same numbers in give
the same bits out. The interpreter's lock is released while a kernel runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """The function as machine code; functions that it calls must stand in the same file.

    numba notices that a cached kernel is out of date by its own file alone.
    """
    return cast("Callable[P, R]", numba.njit(cache=True, nogil=True)(function))


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """The same for a small part of kernels, which is compiled into each of its callers."""
    return cast("Callable[P, R]", numba.njit(nogil=True, inline="never")(function))
