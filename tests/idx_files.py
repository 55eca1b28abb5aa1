"""IDX files for tests, written independently of nnx's reader."""

from __future__ import annotations

import struct

import numpy as np

CODES = {"uint8": 0x08, "int8": 0x09, "int16": 0x0B, "int32": 0x0C, "float32": 0x0D, "float64": 0x0E}


def encode(array: np.ndarray) -> bytes:
    """The bytes of an unpacked IDX file that holds the array."""
    header = bytes([0, 0, CODES[array.dtype.name], array.ndim])
    lengths = b"".join(struct.pack(">I", n) for n in array.shape)
    return header + lengths + array.astype(array.dtype.newbyteorder(">")).tobytes()
