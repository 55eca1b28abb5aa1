"""Which class each sample belongs to, in whatever form it is given."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnx.backend import given, to_numpy
from nnx.errors import DataError, ShapeError
from nnx.models.entrance import check_finite

#: how far beyond 0 … 1 a probability may lie that was computed in single precision
_ROUNDING = 1e-5


def class_numbers(y: Any, what: str) -> Any:
    """The class of each sample as whole numbers (n,) of NumPy's.

    ``y`` are class numbers (n,) or (n, 1); rows (n, k) with a number for each class (one-hot, probabilities,
    scores), of which the largest counts; or one probability for each sample, (n,) or (n, 1), which means
    class 1 above 0.5 and class 0 else.

    >>> from nnx.plotting.classes import class_numbers
    >>> class_numbers([2, 0], "y"), class_numbers([[0.1, 0.9], [0.8, 0.2]], "y"), class_numbers([0.7], "y")
    (array([2, 0]), array([1, 0]), array([1]))
    """
    y = to_numpy(given(y, what, on_host=True))
    if y.ndim not in (1, 2) or 0 in y.shape:
        raise ShapeError(f"{what} must have shape (n,) or (n, classes), got {y.shape}.")
    check_finite(y, what)
    if y.ndim == 2 and y.shape[1] > 1:
        return np.argmax(y, axis=1)
    y = y.reshape(-1)
    if (y == np.floor(y)).all():
        if (y < 0).any():
            raise DataError(f"{what} has the class {y.min():g}: classes are numbered from 0.")
        return y.astype(np.int64)
    if y.min() < -_ROUNDING or y.max() > 1.0 + _ROUNDING:
        raise DataError(
            f"{what} must be class numbers, or probabilities from 0 to 1; got numbers from {y.min():g} to "
            f"{y.max():g}. Outputs without a sigmoid: compare them with 0 first, as in model.predict(x) > 0."
        )
    return (y > 0.5).astype(np.int64)
