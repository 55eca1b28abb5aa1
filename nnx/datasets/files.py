"""Where the files of a data set are: ``NNX_DATA_DIR``, else a cache, else downloaded into the cache."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

from nnx.datasets import idx
from nnx.datasets.download import MirrorsFailed, download
from nnx.datasets.sources import SOURCES, TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS, Source
from nnx.errors import DownloadError, FileFormatError, OptionError

Split = tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def load_split(source: Source) -> Split:
    """``(x_train, y_train), (x_test, y_test)`` of a data set published as MNIST's four IDX files."""
    x_train, y_train, x_test, y_test = (
        load_array(source, name) for name in (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)
    )
    return (x_train, y_train), (x_test, y_test)


def load_array(source: Source, name: str) -> np.ndarray:
    """The array in the file ``name`` of a data set; the file is searched for, else downloaded."""
    path, data = load_file(source, name)
    return idx.parse(data, str(path))


def load_file(source: Source, name: str) -> tuple[Path, bytes]:
    """Path and content of the file ``name`` of a data set; it is searched for, else downloaded."""
    found = find(source, name)
    if found is None:
        path = _fetch(source, name)
        found = path, path.read_bytes()
    return found


def cache_dir() -> Path:
    r"""The folder for downloaded files: ``NNX_CACHE_DIR``, else the platform's usual place.

    That is ``$XDG_CACHE_HOME/nnx`` or ``~/.cache/nnx``, on macOS ``~/Library/Caches/nnx``, and on Windows
    ``%LOCALAPPDATA%\nnx\Cache``.
    """
    if chosen := os.environ.get("NNX_CACHE_DIR"):
        return _folder("NNX_CACHE_DIR", chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "nnx" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "nnx"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nnx"


def _folder(variable: str, chosen: str) -> Path:
    try:
        return Path(chosen).expanduser()
    except RuntimeError as error:
        raise OptionError(f"{variable}={chosen!r}: there is no such user's home folder.") from error


def search_folders(source: Source) -> list[Path]:
    """The folders that may hold the files of a data set, in the order in which they are searched."""
    folders = []
    if chosen := os.environ.get("NNX_DATA_DIR"):
        root = _folder("NNX_DATA_DIR", chosen)
        folders += [root / folder for folder in source.folders] + [root]
    return [*folders, cache_dir() / source.folders[0]]


def find(source: Source, name: str) -> tuple[Path, bytes] | None:
    """Path and content of a file (packed, or unpacked under its name without ``.gz``), if it is there.

    MNIST's file names are used by several data sets: where ``NNX_DATA_DIR`` is the folder of another one, its
    files are passed over.
    Raises :class:`nnx.errors.FileFormatError` where its checksum and its content's are wrong.
    """
    import hashlib  # here because `import nnx` must stay quick

    for folder in search_folders(source):
        for path in (folder / name, folder / name.removesuffix(".gz")):
            if not path.is_file():
                continue
            digests = []
            for data in idx.contents(path.read_bytes(), str(path)):
                digests.append(hashlib.sha256(data).hexdigest())
                if digests[-1] in source.sha256[name]:
                    return path, data
            owner = _other_owner(source, name, digests)
            found = f"{digests[0]} ({owner or f'{path.stat().st_size} bytes'})"
            if owner is None or folder.name in source.folders:
                packed, unpacked = source.sha256[name]
                expected = packed if path.suffix == ".gz" else unpacked
                raise FileFormatError(
                    f"{path} is corrupt or is another file: {source.title}'s {path.name} has sha256 "
                    f"{expected}, found {found}. Delete or replace it."
                )
    return None


def _other_owner(source: Source, name: str, digests: list[str]) -> str | None:
    """The other data set whose file of that name this is."""
    for other in SOURCES:
        if other.title != source.title and any(digest in other.sha256.get(name, ()) for digest in digests):
            return f"this is {other.title}'s"
    return None


def _fetch(source: Source, name: str) -> Path:
    target = cache_dir() / source.folders[0] / name
    try:
        download([mirror + name for mirror in source.mirrors], source.sha256[name][0], target)
    except MirrorsFailed as error:
        raise DownloadError(_not_found(source, name, str(error))) from error
    return target


def _not_found(source: Source, name: str, reasons: str) -> str:
    folder, files = source.folders[0], ", ".join(source.sha256)
    searched = "\n".join(
        f"  {place}{'' if place.is_dir() else ' (no such folder)'}" for place in search_folders(source)
    )
    hint = "" if os.environ.get("NNX_DATA_DIR") else " (NNX_DATA_DIR is not set)"
    tried = "\n".join(f"  {line}" for line in reasons.splitlines())
    return (
        f"{source.title}: {name} was not found and could not be downloaded.\n"
        f"Folders searched{hint}:\n{searched}\n"
        f"Addresses tried:\n{tried}\n"
        f"Without a network, put the files ({files}) into a folder named '{folder}' and set NNX_DATA_DIR to "
        f"the folder that holds '{folder}'; or put them into {cache_dir() / folder} (NNX_CACHE_DIR moves the "
        "cache)."
    )
