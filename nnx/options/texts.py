"""Checks of options that are texts."""

from __future__ import annotations

import os
from typing import Any

from nnx.errors import OptionError


def text(where: str, name: str, value: Any) -> str | None:
    """The check that an option is a string or None.

    Raises :class:`nnx.errors.OptionError` for anything else.

    >>> from nnx.options import text
    >>> text("Dense", "name", "hidden")
    'hidden'
    """
    if not isinstance(value, str | None):
        raise OptionError(f"{where}: {name} must be a string, got {value!r}.")
    return value


def path(where: str, name: str, value: Any) -> str:
    """The check that an option is a path, kept as a string.

    Raises :class:`nnx.errors.OptionError` for anything else.

    >>> from nnx.options import path
    >>> path("CSVLogger", "filename", "log.csv")
    'log.csv'
    """
    if not isinstance(value, str | os.PathLike) or not os.fspath(value):
        raise OptionError(f"{where}: {name} must be a path, got {value!r}.")
    return os.fsdecode(value)
