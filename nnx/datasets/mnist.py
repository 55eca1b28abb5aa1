"""MNIST: 70 000 handwritten digits."""

from __future__ import annotations

from nnx.datasets.files import Split, load_split
from nnx.datasets.sources import MNIST as SOURCE

__all__ = ["load_data"]


def load_data() -> Split:
    """Returns ``(x_train, y_train), (x_test, y_test)``: MNIST as ``uint8`` NumPy arrays.

    ``x_train`` has shape (60000, 28, 28) and ``x_test`` (10000, 28, 28), grey values 0 (paper) to 255
    (ink); ``y_train`` and ``y_test`` have shapes (60000,) and (10000,) with the digits 0 to 9.

    The four IDX files are taken from ``$NNX_DATA_DIR/mnist`` or ``$NNX_DATA_DIR``, else from the cache
    (``NNX_CACHE_DIR``, else the platform's usual place, ``~/.cache/nnx`` on Linux), else downloaded into the
    cache (11.6 MB). Their checksums are verified each time.

    Raises :class:`nnx.errors.DownloadError` where they are in neither place and cannot be fetched, and
    :class:`nnx.errors.FileFormatError` where a file is corrupt.

    >>> (x_train, y_train), (x_test, y_test) = nnx.datasets.mnist.load_data()  # doctest: +SKIP
    >>> x_train.shape, y_train[:5]  # doctest: +SKIP
    ((60000, 28, 28), array([5, 0, 4, 1, 9], dtype=uint8))

    Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document
    recognition", Proc. IEEE 86 (1998), 2278–2324. Commonly distributed under CC BY-SA 3.0.
    """
    return load_split(SOURCE)
