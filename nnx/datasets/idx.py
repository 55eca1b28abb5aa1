"""The IDX file format, in which MNIST and its kin are published.

A file is a header (two zero bytes, a code of the number type, the number of axes, and the length of
each axis as a big-endian 32-bit number) followed by the numbers, big-endian, last axis fastest.
Source: Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits".
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from os import PathLike, fspath
from pathlib import Path

import numpy as np

from nnx.errors import FileFormatError

#: code of the number type → NumPy's name for it
_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP = b"\x1f\x8b"


def read(path: str | PathLike[str]) -> np.ndarray:
    """Returns the array that an IDX file holds, packed with gzip or not.

    The array has the file's number type (``uint8``, ``int8``, ``int16``, ``int32``, ``float32`` or
    ``float64``) in the machine's byte order and may be written to.
    Raises :class:`nnx.errors.FileFormatError` where the file is truncated, corrupt or of another format.

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "three.idx")
    ...     with open(path, "wb") as file:
    ...         _ = file.write(bytes([0, 0, 0x08, 1,  0, 0, 0, 3,  7, 8, 9]))
    ...     nnx.datasets.idx.read(path)
    array([7, 8, 9], dtype=uint8)
    """
    return parse(Path(path).read_bytes(), fspath(path))


def parse(data: bytes, where: str) -> np.ndarray:
    """Returns the array in the bytes of an IDX file; ``where`` names the file in error messages."""
    if data[:2] == _GZIP:
        data = _unpack(data, where)
    if len(data) < 4:
        raise FileFormatError(
            f"{where} is not an IDX file or is truncated: its header starts with 4 bytes, found {len(data)}."
        )
    zeros, code, axes = struct.unpack(">HBB", data[:4])
    if zeros or code not in _TYPES:
        known = ", ".join(f"0x{known:02x}" for known in _TYPES)
        raise FileFormatError(
            f"{where} is not an IDX file: expected the magic number 00 00 TT NN with a type TT among "
            f"{known}, found {data[:4].hex(' ')}."
        )
    start = 4 + 4 * axes
    if len(data) < start:
        raise FileFormatError(
            f"{where} is truncated: the header of an IDX file with {axes} axes has {start} bytes, "
            f"the file has {len(data)}."
        )
    shape = struct.unpack(f">{axes}I", data[4:start])
    dtype = np.dtype(_TYPES[code])
    expected, found = math.prod(shape) * dtype.itemsize, len(data) - start
    if found != expected:
        state = "truncated" if found < expected else "corrupt"
        raise FileFormatError(
            f"{where} is {state}: its header announces shape {shape} of {dtype.name}, that is {expected} "
            f"bytes of data, found {found}."
        )
    try:
        big_endian = np.frombuffer(data, dtype, offset=start).reshape(shape)
    except ValueError as error:  # more axes than NumPy knows, or an absurd length beside a zero
        raise FileFormatError(f"{where} is corrupt: its header announces shape {shape} ({error}).") from error
    return big_endian.astype(dtype.newbyteorder("="))


def contents(data: bytes, where: str) -> Iterator[bytes]:
    """Yields the bytes of a file and, where they are a sound gzip stream, what it holds.

    The same content packed again has other bytes.
    """
    yield data
    if data[:2] == _GZIP:
        with suppress(FileFormatError):
            yield _unpack(data, where)


def _unpack(data: bytes, where: str) -> bytes:
    import gzip  # here because `import nnx` must stay quick

    try:
        return gzip.decompress(data)
    except EOFError as error:
        raise FileFormatError(
            f"{where} is truncated: its {len(data)} bytes end before the gzip stream does. Fetch it again."
        ) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise FileFormatError(
            f"{where} is corrupt: expected a sound gzip stream, found one that cannot be unpacked ({error}). "
            "Fetch it again."
        ) from error
