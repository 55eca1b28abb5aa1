from __future__ import annotations

import contextlib
import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from idx_files import CODES, encode

from nnx.datasets import idx
from nnx.errors import FileFormatError

IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)


@pytest.fixture(params=["plain", "gz"])
def write(request: pytest.FixtureRequest, tmp_path: Path):
    """Writes the bytes of an IDX file, packed or not, and returns the file's path."""

    def writer(data: bytes) -> Path:
        path = tmp_path / "some-idx3-ubyte"
        path.write_bytes(gzip.compress(data) if request.param == "gz" else data)
        return path

    return writer


@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("shape", [(7,), (2, 3), (2, 3, 4), (1, 2, 3, 4), (0, 5)])
def test_round_trip(write, dtype: str, shape: tuple[int, ...]) -> None:
    array = (np.arange(np.prod(shape)) - 3).reshape(shape).astype(dtype)
    read = idx.read(write(encode(array)))
    np.testing.assert_array_equal(read, array)
    assert read.dtype == array.dtype and read.dtype.isnative
    assert read.flags.writeable and read.flags.c_contiguous


def test_path_as_a_string(write) -> None:
    np.testing.assert_array_equal(idx.read(str(write(encode(IMAGES)))), IMAGES)


@pytest.mark.parametrize(
    ("damage", "parts"),
    [
        (lambda d: b"", ["4 bytes", "found 0"]),
        (lambda d: d[:3], ["4 bytes", "found 3"]),
        (lambda d: b"\x89PNG" + d[4:], ["not an IDX file", "magic number", "89 50 4e 47"]),
        (lambda d: b"\x00\x00\x07\x03" + d[4:], ["not an IDX file", "00 00 07 03"]),
        (lambda d: d[:10], ["truncated", "16 bytes", "has 10"]),
        (lambda d: d[:-1], ["truncated", "(2, 3, 4)", "24 bytes", "found 23"]),
        (lambda d: d + b"\x00", ["corrupt", "(2, 3, 4)", "24 bytes", "found 25"]),
        (lambda d: d[:4] + struct.pack(">I", 3) + d[8:], ["truncated", "(3, 3, 4)", "36 bytes", "found 24"]),
        # Absurd lengths must not be allocated first and doubted later.
        (lambda d: d[:4] + b"\xff" * 12 + d[16:], ["truncated", "found 24"]),
        (lambda d: b"\x00\x00\x08\xff" + b"\x00\x00\x00\x00" * 255, ["corrupt"]),
    ],
    ids=[
        "empty", "three bytes", "magic of PNG", "unknown type", "inside the header", "one byte short",
        "one byte long", "wrong count", "absurd lengths", "255 axes",
    ],
)  # fmt: skip
def test_damaged_files_are_refused_with_what_was_expected_and_found(write, damage, parts) -> None:
    path = write(damage(encode(IMAGES)))
    with pytest.raises(FileFormatError) as caught:
        idx.read(path)
    for part in [str(path), *parts]:
        assert part in str(caught.value)


@pytest.mark.parametrize("keep", [2, 9, 20, -9, -1])
def test_truncated_gzip(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "cut.gz"
    path.write_bytes(gzip.compress(encode(IMAGES))[:keep])
    with pytest.raises(FileFormatError, match=r"cut\.gz is truncated.*gzip") as caught:
        idx.read(path)
    assert f"{path.stat().st_size} bytes" in str(caught.value)


@pytest.mark.parametrize("place", [-8, -1], ids=["crc", "length"])
def test_gzip_with_a_wrong_checksum(tmp_path: Path, place: int) -> None:
    data = bytearray(gzip.compress(encode(IMAGES)))
    data[place] ^= 1
    path = tmp_path / "bad.gz"
    path.write_bytes(data)
    with pytest.raises(FileFormatError, match=r"bad\.gz is corrupt.*cannot be unpacked"):
        idx.read(path)


def test_gzip_followed_by_rubbish(tmp_path: Path) -> None:
    path = tmp_path / "more.gz"
    path.write_bytes(gzip.compress(encode(IMAGES)) + b"rubbish")
    with pytest.raises(FileFormatError, match="corrupt"):
        idx.read(path)


def test_missing_file_says_so() -> None:
    with pytest.raises(FileNotFoundError):
        idx.read("no-such-file")


@given(st.binary(max_size=60), st.booleans())
def test_no_bytes_whatever_raise_anything_else(data: bytes, packed: bool) -> None:
    with contextlib.suppress(FileFormatError):
        assert isinstance(idx.parse(gzip.compress(data) if packed else data, "x"), np.ndarray)


@given(st.integers(0, 39), st.integers(1, 255))
def test_a_damaged_header_never_gives_another_array_of_that_size(place: int, flip: int) -> None:
    data = bytearray(encode(IMAGES))
    data[place] ^= flip
    try:
        found = idx.parse(bytes(data), "x")
    except FileFormatError:
        return
    # What a reader cannot see: other pixels, uint8 as int8, or a length's factors moved about.
    assert found.nbytes == IMAGES.nbytes


@given(st.binary(min_size=2, max_size=80))
def test_damaged_gzip_streams(rubbish: bytes) -> None:
    with pytest.raises(FileFormatError):
        idx.parse(b"\x1f\x8b" + rubbish, "x")
