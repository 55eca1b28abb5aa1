"""Tiny Shakespeare: forty thousand lines of plays, to learn letters from."""

from __future__ import annotations

from nnx.datasets.files import load_file
from nnx.datasets.sources import TEXT
from nnx.datasets.sources import TINY_SHAKESPEARE as SOURCE

__all__ = ["load_data"]


def load_data() -> str:
    """Returns the text: 1 115 394 letters of 65 kinds, from Shakespeare's plays.

    The file ``input.txt`` is taken from ``$NNX_DATA_DIR/tinyshakespeare`` or ``$NNX_DATA_DIR``, else from the
    cache (``NNX_CACHE_DIR``, else the platform's usual place, ``~/.cache/nnx`` on Linux), else downloaded
    into the cache (1.1 MB). Its checksum is verified each time.

    Raises :class:`nnx.errors.DownloadError` where it is in neither place and cannot be fetched, and
    :class:`nnx.errors.FileFormatError` where the file is corrupt.

    >>> text = nnx.datasets.tiny_shakespeare.load_data()  # doctest: +SKIP
    >>> len(text), len(set(text)), text[:14]  # doctest: +SKIP
    (1115394, 65, 'First Citizen:')

    Source: A. Karpathy, "The unreasonable effectiveness of recurrent neural networks", 2015, and its code
    char-rnn. The text is in the public domain.
    """
    return load_file(SOURCE, TEXT)[1].decode("ascii")
