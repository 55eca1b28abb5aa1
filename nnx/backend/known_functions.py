"""NumPy's names, and which of its functions compute from their arguments alone: what a look at code needs."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import numpy as np

#: the types of NumPy's arrays and of its numbers
ARRAY, NUMBER = np.ndarray, np.generic
#: functions beside those that can be differentiated: of shapes, of indices, or of what is constant
_OTHERS = frozenset(
    "all any arange argmax argmin argsort around array_equiv bartlett blackman broadcast_shapes concat "
    "count_nonzero digitize einsum_path errstate eye finfo fix flatnonzero hamming hanning identity iinfo "
    "isdtype isneginf isposinf isscalar issubdtype iscomplex isreal kaiser ndim nonzero ones permute_dims "
    "polydiv promote_types result_type roots round searchsorted shape size tri tril_indices triu_indices "
    "zeros".split()
)
#: functions that write into arguments, or call a function that they are given
_DO_MORE = frozenset(
    "apply_along_axis apply_over_axes copyto fill_diagonal piecewise put put_along_axis putmask".split()
)


def of_numpy(name: str) -> Any:
    """What NumPy has under that name; None where it has nothing."""
    return getattr(np, name, None)


def computes_only(x: Any, derivatives: Container[str]) -> bool:
    """Whether a function of NumPy's, or of a library that wraps it, computes from its arguments alone.

    ``derivatives`` has the names of those that can be differentiated ("sum", "linalg.norm").

    >>> from nnx.backend.known_functions import computes_only
    >>> computes_only(np.sum, ["sum"]), computes_only(np.save, ["sum"])
    (True, False)
    """
    (part, _, rest), name = str(getattr(x, "__module__", "")).partition("."), getattr(x, "__name__", "")
    if part not in ("numpy", "array_api_compat") or name in _DO_MORE:
        return False
    wraps = part == "array_api_compat" and isinstance(of_numpy(name), np.ufunc)
    return wraps or name in _OTHERS or name in derivatives or f"{rest}.{name}" in derivatives
