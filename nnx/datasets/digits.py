"""The 1797 small handwritten digits that scikit-learn ships: no download."""

from __future__ import annotations

import numpy as np

from nnx.backend import Stream, philox
from nnx.datasets.files import Split
from nnx.errors import DownloadError, OptionError
from nnx.options import Number, Seed

__all__ = ["load_data"]

_SHARE = Number(least=0.0, below=1.0)


def load_data(test_split: float = 0.2, seed: int = 113) -> Split:
    """Returns ``(x_train, y_train), (x_test, y_test)``: 8×8 digits as ``uint8`` NumPy arrays.

    With the default split, ``x_train`` has shape (1437, 8, 8) and ``x_test`` (360, 8, 8), grey values 0 to 16
    (not 255); ``y_train`` and ``y_test`` hold the digits 0 to 9. The examples are shuffled by ``seed``, and
    the last ``test_split`` of them (0 ≤ test_split < 1) are the test set.

    Raises :class:`nnx.errors.DownloadError` where scikit-learn, which holds the data, is not installed,
    and :class:`nnx.errors.OptionError` for a ``test_split`` out of its range.

    >>> (x_train, y_train), (x_test, y_test) = nnx.datasets.digits.load_data()  # doctest: +SKIP
    >>> x_train.shape, x_test.shape  # doctest: +SKIP
    ((1437, 8, 8), (360, 8, 8))

    Source: E. Alpaydin, C. Kaynak, "Optical recognition of handwritten digits", UCI Machine Learning
    Repository (1998), test part. CC BY 4.0.
    """
    _SHARE("digits.load_data", "test_split", test_split)
    seed = Seed(optional=False)("digits.load_data", "seed", seed) or 0
    stream = Stream(seed, philox.DATA)
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DownloadError(
            f"The digits are part of scikit-learn, which cannot be imported here ({error}). "
            "Install it: pip install 'nnx[data]'."
        ) from error
    pixels, labels = load_digits(return_X_y=True)
    n = labels.shape[0]
    # The order of raw Philox numbers: it does not depend on NumPy's version.
    order = np.argsort(philox.uniform(stream, (n,)), kind="stable")
    x = pixels.reshape(n, 8, 8).astype(np.uint8)[order]
    y = labels.astype(np.uint8)[order]
    cut = int(n * (1 - test_split))
    if cut == 0:
        raise OptionError(
            f"digits.load_data: test_split={test_split!r} leaves none of {n} digits to train on."
        )
    return (x[:cut], y[:cut]), (x[cut:], y[cut:])
