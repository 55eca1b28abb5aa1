"""The loops of :mod:`nnx.backend.ending` compiled by Numba.

Imported only where Numba is installed. The compiled code is cached on disk.
"""

from __future__ import annotations

from typing import Any

import numba

_jit = numba.njit(error_model="numpy", nogil=True, cache=True, fastmath={"contract"})


@_jit
def end(y: Any, factor: Any, offset: Any, least: Any, most: Any) -> None:
    """y·factor + offset, not below ``least`` and not above ``most``, in place; NaN stays."""
    for i in range(y.shape[0]):
        row = y[i]
        for j in range(row.shape[0]):
            v = row[j] * factor[j] + offset[j]
            v = least if v < least else v
            row[j] = most if v > most else v


@_jit
def end_sum(y: Any, plus: Any, factor: Any, offset: Any, least: Any, most: Any) -> None:
    """The same of y·factor + offset + plus."""
    for i in range(y.shape[0]):
        row, more = y[i], plus[i]
        for j in range(row.shape[0]):
            v = row[j] * factor[j] + offset[j] + more[j]
            v = least if v < least else v
            row[j] = most if v > most else v
