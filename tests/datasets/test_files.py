"""Finding and downloading the files of a data set; the network is a server on 127.0.0.1."""

from __future__ import annotations

import gzip
import hashlib
import os
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
from idx_files import encode

from nnx.datasets import download as downloading
from nnx.datasets import files, mnist
from nnx.datasets.download import MirrorsFailed, download
from nnx.datasets.sources import FASHION_MNIST, MNIST, Source
from nnx.errors import DownloadError, FileFormatError, NnxError, OptionError

NAMES = tuple(MNIST.sha256)
ARRAYS = dict(
    zip(
        NAMES,
        [
            np.arange(6 * 2 * 2, dtype=np.uint8).reshape(6, 2, 2),
            np.arange(6, dtype=np.uint8),
            np.ones((2, 2, 2), np.uint8),
            np.array([3, 4], np.uint8),
        ],
        strict=True,
    )
)
PLAIN = {name: encode(array) for name, array in ARRAYS.items()}
PACKED = {name: gzip.compress(data, mtime=0) for name, data in PLAIN.items()}


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def small_source(*mirrors: str, title: str = "Small") -> Source:
    """A data set of MNIST's file names with six pictures of 2×2."""
    return Source(
        title=title,
        folders=("small", "small_too"),
        mirrors=mirrors,
        sha256={name: (sha(PACKED[name]), sha(PLAIN[name])) for name in NAMES},
    )


def fill(folder: Path, contents: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in contents.items():
        (folder / name).write_bytes(data)


def check(split: files.Split) -> None:
    flat = [array for pair in split for array in pair]
    for found, expected in zip(flat, ARRAYS.values(), strict=True):
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == np.uint8


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


# -- finding ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["small", "small_too", "."])
@pytest.mark.parametrize("packed", [True, False])
def test_files_are_found_in_the_data_folder(tmp_path, monkeypatch, empty_home, folder, packed):
    plain = {name.removesuffix(".gz"): data for name, data in PLAIN.items()}
    fill(tmp_path / "data" / folder, PACKED if packed else plain)
    monkeypatch.setenv("NNX_DATA_DIR", str(tmp_path / "data"))
    check(files.load_split(small_source()))
    assert not empty_home.exists()


def test_files_are_found_in_the_cache(empty_home):
    fill(empty_home / "small", PACKED)
    check(files.load_split(small_source()))


def test_the_data_folder_wins_over_the_cache_and_each_file_is_searched_by_itself(
    tmp_path, monkeypatch, empty_home
):
    fill(tmp_path / "data" / "small", {NAMES[0]: PACKED[NAMES[0]]})
    fill(empty_home / "small", {name: PACKED[name] for name in NAMES[1:]} | {NAMES[0]: b"never read"})
    monkeypatch.setenv("NNX_DATA_DIR", str(tmp_path / "data"))
    check(files.load_split(small_source()))


@pytest.mark.parametrize("where", ["data", "cache"])
def test_a_wrong_checksum_names_file_and_both_checksums(tmp_path, monkeypatch, empty_home, where):
    folder = (tmp_path / "data" if where == "data" else empty_home) / "small"
    damaged = bytearray(PACKED[NAMES[0]])
    damaged[-8] ^= 4  # of the checksum that gzip keeps
    fill(folder, PACKED | {NAMES[0]: bytes(damaged)})
    monkeypatch.setenv("NNX_DATA_DIR", str(tmp_path / "data"))
    with pytest.raises(FileFormatError) as caught:
        files.load_split(small_source())
    for part in (str(folder / NAMES[0]), sha(PACKED[NAMES[0]]), sha(damaged), "Delete or replace"):
        assert part in str(caught.value)


def test_a_packed_file_under_the_unpacked_name_is_taken_too(empty_home):
    fill(empty_home / "small", {name.removesuffix(".gz"): data for name, data in PACKED.items()})
    check(files.load_split(small_source()))


@pytest.mark.parametrize("suffix", [".gz", ""])
def test_what_was_packed_again_is_told_by_its_content(empty_home, monkeypatch, suffix):
    again = {n.removesuffix(".gz") + suffix: gzip.compress(d, 1, mtime=7) for n, d in PLAIN.items()}
    fill(empty_home / "small", again)
    check(files.load_split(small_source()))

    # Also where it is another data set's.
    monkeypatch.setattr(files, "SOURCES", (small_source(title="Other"),))
    mine = Source("Mine", ("small",), (), dict.fromkeys(NAMES, ("", "")))
    with pytest.raises(FileFormatError, match="this is Other's"):
        files.load_split(mine)


def test_another_data_sets_files_of_the_same_names_are_passed_over(tmp_path, monkeypatch, empty_home):
    # NNX_DATA_DIR points into the folder of one data set, and the other one is asked for.
    monkeypatch.setattr(files, "SOURCES", (small_source(title="Other"),))
    fill(tmp_path / "other", PACKED)
    others = {name: gzip.compress(encode(array + 1), mtime=0) for name, array in ARRAYS.items()}
    mine = Source("Mine", ("mine",), (), {n: (sha(d), "") for n, d in others.items()})
    fill(empty_home / "mine", others)
    monkeypatch.setenv("NNX_DATA_DIR", str(tmp_path / "other"))
    (x, _), _ = files.load_split(mine)
    np.testing.assert_array_equal(x, ARRAYS[NAMES[0]] + 1)

    fill(tmp_path / "other" / "mine", PACKED)  # but in the folder of this very set they are a mistake
    with pytest.raises(FileFormatError, match="this is Other's"):
        files.load_split(mine)


@pytest.mark.parametrize("variable", ["NNX_CACHE_DIR", "NNX_DATA_DIR"])
def test_homes_of_nobody(monkeypatch, variable):
    monkeypatch.setenv(variable, "~no-such-user/x")
    with pytest.raises(OptionError, match=f"{variable}='~no-such-user/x'.*home"):
        files.search_folders(small_source())


def test_where_the_cache_is(monkeypatch, tmp_path):
    for name in ("NNX_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr(sys, "platform", "linux")
    assert files.cache_dir() == tmp_path / ".cache" / "nnx"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert files.cache_dir() == tmp_path / "xdg" / "nnx"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert files.cache_dir() == tmp_path / "Library" / "Caches" / "nnx"
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "Local"))
    assert files.cache_dir() == tmp_path / "Local" / "nnx" / "Cache"
    monkeypatch.setenv("NNX_CACHE_DIR", str(tmp_path / "chosen"))
    assert files.cache_dir() == tmp_path / "chosen"


# -- downloading --------------------------------------------------------------------------------------


def test_download_into_the_cache_with_a_progress_bar(server, empty_home, capsys):
    server.answers = {f"/set/{name}": data for name, data in PACKED.items()}
    source = small_source(server.url + "set/")
    check(files.load_split(source))
    bars = capsys.readouterr().err
    for name in NAMES:
        assert f"{name}: 100%" in bars
    assert leftovers(empty_home) == sorted(NAMES)
    assert len(server.asked) == 4
    check(files.load_split(source))
    assert len(server.asked) == 4, "the second time, all comes from the cache"


def test_without_progress_nothing_is_printed(server, tmp_path, capsys):
    server.answers = {"/x": b"abc"}
    download([server.url + "x"], sha(b"abc"), tmp_path / "x", progress=False)
    assert (tmp_path / "x").read_bytes() == b"abc"
    assert capsys.readouterr() == ("", "")


@pytest.mark.skipif(os.name != "posix", reason="file permissions are POSIX'")
def test_a_downloaded_file_can_be_read_by_others(server, tmp_path):
    server.answers = {"/x": b"abc"}
    download([server.url + "x"], sha(b"abc"), tmp_path / "x", progress=False)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o644


def test_mirrors_are_tried_in_turn(server, empty_home):
    good = {f"/good/{name}": data for name, data in PACKED.items()}
    bad = {f"/bad/{name}": b"an error page" for name in PACKED}
    server.answers = good | bad
    refused = f"http://127.0.0.1:{free_port()}/"
    check(
        files.load_split(small_source(refused, *(server.url + part for part in ("none/", "bad/", "good/"))))
    )
    assert server.asked[:3] == [f"/{part}/{NAMES[0]}" for part in ("none", "bad", "good")]
    assert leftovers(empty_home) == sorted(NAMES)


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def failure(mirror: str, cache: Path) -> str:
    """The message when the only mirror fails; nothing may be left in the cache."""
    with pytest.raises(DownloadError) as caught:
        files.load_split(small_source(mirror))
    assert isinstance(caught.value, NnxError) and isinstance(caught.value, OSError)
    assert leftovers(cache) == []
    return str(caught.value)


def test_missing_on_the_server(server, empty_home):
    assert "404" in failure(server.url, empty_home)


def test_wrong_checksum_of_a_download(server, empty_home):
    server.answers = {"/" + NAMES[0]: b"an error page"}
    message = failure(server.url, empty_home)
    assert "wrong checksum" in message
    assert sha(b"an error page") in message and sha(PACKED[NAMES[0]]) in message


def test_connection_that_breaks_half_way(server, empty_home):
    server.answers = {"/" + NAMES[0]: PACKED[NAMES[0]][:-5]}
    server.announced_extra = 5
    n = len(PACKED[NAMES[0]])
    assert f"connection broke after {n - 5} of {n} bytes" in failure(server.url, empty_home)


def test_an_interrupt_leaves_nothing_behind(server, empty_home, monkeypatch):
    server.answers = {"/" + NAMES[0]: PACKED[NAMES[0]]}
    copy = downloading._copy

    def interrupted(*args):
        copy(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(downloading, "_copy", interrupted)
    with pytest.raises(KeyboardInterrupt):
        files.load_split(small_source(server.url))
    assert leftovers(empty_home) == []


def test_refused_connection_says_all_there_is_to_know(tmp_path, monkeypatch, empty_home):
    mirror = f"http://127.0.0.1:{free_port()}/"
    message = failure(mirror, empty_home)
    assert "Small: " + NAMES[0] in message
    assert f"{mirror}{NAMES[0]}: " in message and "refused" in message
    assert "NNX_DATA_DIR is not set" in message
    assert f"{empty_home / 'small'}" in message
    assert all(name in message for name in NAMES)
    assert "folder named 'small'" in message

    data = tmp_path / "data"
    data.mkdir()
    monkeypatch.setenv("NNX_DATA_DIR", str(data))
    message = failure(mirror, empty_home)
    assert "is not set" not in message
    assert f"  {data}\n" in message
    assert f"  {data / 'small'} (no such folder)\n" in message
    monkeypatch.setenv("NNX_DATA_DIR", str(tmp_path / "mistyped"))
    assert f"{tmp_path / 'mistyped'} (no such folder)" in failure(mirror, empty_home)


def test_a_cache_that_cannot_be_written(server, tmp_path, monkeypatch, empty_home):
    server.answers = {"/" + NAMES[0]: PACKED[NAMES[0]]}
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("NNX_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(DownloadError, match="NNX_CACHE_DIR") as caught:
        files.load_split(small_source(server.url))
    assert str(tmp_path / "file") in str(caught.value)


def test_no_mirrors_at_all(tmp_path):
    with pytest.raises(MirrorsFailed):
        download([], "", tmp_path / "x")


# -- the published sets -------------------------------------------------------------------------------


def test_offline_message_of_mnist(monkeypatch, empty_home):
    monkeypatch.setattr(mnist, "SOURCE", Source("MNIST", ("mnist",), ("http://127.0.0.1:9/",), MNIST.sha256))
    with pytest.raises(DownloadError, match=r"MNIST: train-images-idx3-ubyte\.gz was not found"):
        mnist.load_data()


@pytest.mark.parametrize("source", [MNIST, FASHION_MNIST], ids=lambda s: s.title)
def test_sources_are_well_formed(source):
    assert all(mirror.startswith("http") and mirror.endswith("/") for mirror in source.mirrors)
    assert len(source.mirrors) >= 2
    sums = [digest for pair in source.sha256.values() for digest in pair]
    assert len(sums) == len(set(sums)) == 8
    assert all(len(digest) == 64 and int(digest, 16) for digest in sums)
