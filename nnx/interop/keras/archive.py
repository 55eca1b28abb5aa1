"""The ``.keras`` file: a zip archive of two JSON texts and an HDF5 file. Nothing is unpacked to a disk."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nnx.errors import FileFormatError

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
#: bytes of a JSON text; a member may be this many times larger than what is stored of it, or _ALWAYS bytes
_LONGEST_TEXT, _EXPANSION, _ALWAYS = 2**26, 100, 2**26


class Archive:
    """A ``.keras`` file that is open for reading."""

    def __init__(self, archive: zipfile.ZipFile, label: str) -> None:
        self._archive, self.label = archive, label
        names = archive.namelist()
        if len(set(names)) < len(names):
            raise FileFormatError(f"{label} has two members of one name.")

    def config(self) -> Mapping[str, Any]:
        """What config.json holds."""
        text = self._member(CONFIG, _LONGEST_TEXT)
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise FileFormatError(f"{self.label}: {CONFIG} is no JSON that can be read: {error}.") from error
        if not isinstance(found, dict):
            raise FileFormatError(f"{self.label}: {CONFIG} describes no model.")
        return found

    def weights(self) -> bytes:
        """The HDF5 file of the weights."""
        return self._member(WEIGHTS, None)

    def _member(self, name: str, most: int | None) -> bytes:
        try:
            info = self._archive.getinfo(name)
        except KeyError:
            raise FileFormatError(
                f"{self.label} is no .keras file of Keras 3: it has no {name}, but "
                f"{', '.join(self._archive.namelist()[:8]) or 'nothing'}."
            ) from None
        if info.file_size > (most or max(_ALWAYS, _EXPANSION * info.compress_size)):
            raise FileFormatError(
                f"{self.label}: {name} claims to be {info.file_size} bytes long. Nothing was read."
            )
        try:
            with self._archive.open(info) as file:  # checks length and checksum
                return file.read()
        except RuntimeError as error:  # a member with a password
            raise FileFormatError(f"{self.label} cannot be read: {error}.") from error


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """The archive at ``path``; FileFormatError where it is none, or damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield Archive(archive, str(path))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeDecodeError) as error:
        raise FileFormatError(f"{path} is no whole .keras file (a zip archive): {error}.") from error


def written(config: Mapping[str, Any], metadata: Mapping[str, Any], weights: bytes) -> bytes:
    """The bytes of a ``.keras`` file; the same members give the same bytes."""
    memory = io.BytesIO()
    texts = {METADATA: json.dumps(metadata), CONFIG: json.dumps(config)}
    members: dict[str, str | bytes] = {**texts, WEIGHTS: weights}
    with zipfile.ZipFile(memory, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)
    return memory.getvalue()
