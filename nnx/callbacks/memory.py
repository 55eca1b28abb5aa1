"""What callbacks remember, as JSON with the arrays apart: the form that fits into a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnx.backend import to_numpy
from nnx.errors import FileFormatError, OptionError

#: marks the place of an array in the JSON
_ARRAY = "__array__"


def packed(value: Any, name: str, arrays: dict[str, Any]) -> Any:
    """``value`` as JSON has it; the arrays in it go into ``arrays`` under names that begin with ``name``.

    Raises :class:`nnx.errors.OptionError` for what is neither number, text, None, array, list nor dict.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [packed(part, f"{name}/{i}", arrays) for i, part in enumerate(value)]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: packed(part, f"{name}/{key}", arrays) for key, part in value.items()}
    if hasattr(value, "dtype"):
        arrays[name] = to_numpy(value)
        return {_ARRAY: name}
    raise OptionError(
        f"{name} is {value!r}, which a backup cannot keep: it keeps numbers, text, None, arrays, and "
        "lists and dicts of them."
    )


def unpacked(value: Any, arrays: Mapping[str, Any]) -> Any:
    """What :func:`packed` was given, with lists for tuples and NumPy arrays."""
    if isinstance(value, list):
        return [unpacked(part, arrays) for part in value]
    if isinstance(value, dict) and value.keys() == {_ARRAY}:
        if value[_ARRAY] not in arrays:
            raise FileFormatError(f"The array {value[_ARRAY]!r} is missing.")
        return arrays[value[_ARRAY]]
    if isinstance(value, dict):
        return {key: unpacked(part, arrays) for key, part in value.items()}
    return value
