"""Functions of one variable, and costs in an array of one entry: SciPy takes either form."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from nnx.backend import namespace


def one_number(fun: Callable[..., Any], pair: bool = False) -> Callable[..., Any]:
    """``fun`` whose value, if it is an array of one entry, has shape (); with ``pair`` that of a pair."""

    def cost(*args: Any) -> Any:
        found = fun(*args)
        if not pair:
            return of_shape(found, ())
        value, gradient = found
        return of_shape(value, ()), gradient

    return cost


def of_shape(value: Any, shape: tuple[int, ...]) -> Any:
    """An array of one entry in the ``shape`` of one entry; anything else as it is.

    >>> from nnx.optimizers.functions.single import of_shape
    >>> of_shape(np.asarray([2.0]), ()).shape, of_shape(np.ones(3), ()).shape
    ((), (3,))
    """
    own = getattr(value, "shape", None)
    if own is None or tuple(own) == shape or math.prod(own) != 1:
        return value
    return namespace(value).reshape(value, shape)
