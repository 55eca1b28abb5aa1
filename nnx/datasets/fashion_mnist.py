"""Fashion-MNIST: 70 000 pictures of clothes, a harder problem in MNIST's format."""

from __future__ import annotations

from nnx.datasets.files import Split, load_split
from nnx.datasets.sources import FASHION_MNIST as SOURCE

__all__ = ["CLASS_NAMES", "load_data"]

#: What the labels 0 to 9 mean.
CLASS_NAMES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


def load_data() -> Split:
    """Returns ``(x_train, y_train), (x_test, y_test)``: Fashion-MNIST as ``uint8`` NumPy arrays.

    Shapes and types are MNIST's: (60000, 28, 28) and (10000, 28, 28), labels 0 to 9, named by
    ``CLASS_NAMES``. The four IDX files are taken from ``$NNX_DATA_DIR/fashion-mnist`` or ``$NNX_DATA_DIR``,
    else from the cache, else downloaded into the cache (31 MB), as with
    :func:`nnx.datasets.mnist.load_data`.

    Raises :class:`nnx.errors.DownloadError` where they are in neither place and cannot be fetched, and
    :class:`nnx.errors.FileFormatError` where a file is corrupt.

    >>> nnx.datasets.fashion_mnist.CLASS_NAMES[9]
    'Ankle boot'

    Source: H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine
    learning algorithms", arXiv:1708.07747 (2017). MIT licence, copyright Zalando SE.
    """
    return load_split(SOURCE)
