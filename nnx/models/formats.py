"""Which kind of file a name means: the one place where saving and loading look at a suffix.

nnx's own files are safetensors (``files``, ``loading``). Rooms above register the others here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from nnx import later
from nnx.errors import OptionError

#: what is written by others, and by nnx under another name
_NOT_WRITTEN = {".h5", ".hdf5", ".keras", ".pt", ".pth", ".npz", ".onnx", ".pkl"}


class Format(Protocol):
    """A kind of file beside nnx's own; a method that it does not have it refuses with OptionError."""

    def check(self, path: Any, weights_only: bool) -> None:
        """Raises what saving to ``path`` would raise."""

    def save(self, model: Any, path: Any) -> None:
        """Writes the whole model."""

    def save_weights(self, model: Any, path: Any) -> None:
        """Writes the weights alone."""

    def load_weights(self, model: Any, path: Any, by_name: bool, skip_mismatch: bool) -> None:
        """Puts the weights of a file into the model, all or none."""

    def load(
        self, path: Any, compile: bool, custom_objects: Mapping[str, Any] | None, place: Mapping[str, Any]
    ) -> Any:
        """The model of a file; ``place`` says the backend and the device."""


_FORMATS: dict[str, Format] = {}


def register_format(suffix: str, kind: Format) -> None:
    """Makes a kind of file known by its suffix; of two suffixes that fit, the longer one holds."""
    _FORMATS[suffix] = kind


def foreign(path: Any) -> Format | None:
    """The kind of file that the suffix of ``path`` means; None for nnx's own."""
    later.load("kinds of files")
    name = Path(path).name.lower()
    fitting = [suffix for suffix in _FORMATS if name.endswith(suffix)]
    return _FORMATS[max(fitting, key=len)] if fitting else None


def check_own(path: Any) -> None:
    """Raises OptionError for a suffix that nnx's own files do not have."""
    target = Path(path)
    if target.suffix.lower() in _NOT_WRITTEN:
        raise OptionError(
            f"nnx writes safetensors files, not {target.suffix}: "
            f"use {target.with_suffix('.safetensors').name!r}."
        )


def source_of(path: Any) -> Path:
    """The file at ``path``; FileNotFoundError where there is none."""
    source = Path(path)
    if not source.is_file():
        raise FileNotFoundError(
            f"{source} is a folder, not a file." if source.is_dir() else f"There is no file {source}."
        )
    return source


def target_of(path: Any) -> Path:
    """Where a file can be written for ``path``: what a link leads to, not the link."""
    target = Path(path).resolve()
    if target.is_dir():
        raise IsADirectoryError(f"{os.fspath(path)!r} is a folder: give the name of a file in it.")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"The folder {target.parent} for {target.name} does not exist.")
    return target
