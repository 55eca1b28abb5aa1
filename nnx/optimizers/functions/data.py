"""Data of a fit as users have them: numbers, lists, columns of data frames, arrays of any type."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from nnx.backend import given, namespace
from nnx.errors import DataError, DtypeError
from nnx.optimizers.problem import read

Array = Any

#: integers that single precision holds exactly
_SHORT = ("bool", "int8", "uint8", "int16", "uint16")


def numbers(x: Any, what: str, *, real: bool = True) -> Array:
    """``x`` as an array, as by :func:`nnx.backend.given`; an array of objects as one of their numbers."""
    if _kind(x) == "O":
        try:
            x = x.astype(float)
        except (TypeError, ValueError) as error:
            raise DtypeError(f"{what} has entries that are no real numbers: {error}.") from error
    return given(x, what, real=real)


def independent(x: Any) -> Any:
    """``xdata`` with arrays in place of lists and of what else is not an array of a library.

    A data frame becomes a :class:`Table`, a mapping one of arrays. What nothing can make an array of stays.
    """
    if isinstance(x, Mapping):
        return {name: independent(part) for name, part in x.items()}
    if not _is_array_like(x) or _kind(x) == "V":  # a structured array has its columns as they are
        return x
    return Table(x) if _is_table(x) else numbers(x, "curve_fit: xdata", real=False)


def _is_array_like(x: Any) -> bool:
    return isinstance(x, list | tuple | range) or hasattr(x, "__array__")


def _is_table(x: Any) -> bool:
    return hasattr(x, "columns") and hasattr(x, "__getitem__")


class Table:
    """A data frame for a function that is differentiated: its columns, and its parts, are arrays.

    ``table["t"]``, ``table.t``, ``table[["t", "u"]]`` (a table), ``table.values``, ``len(table)``.
    """

    def __init__(self, frame: Any, finish: Callable[[Any], Any] | None = None) -> None:
        self._frame, self._finish = frame, finish
        self._known: dict[str, Any] = {}

    def finished(self, finish: Callable[[Any], Any]) -> Table:
        """The same table, where each array goes through ``finish`` as well, once."""
        before = self._finish
        return Table(self._frame, finish if before is None else lambda column: finish(before(column)))

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, str):
            return self._part(self._frame[key])
        if key not in self._known:
            self._known[key] = self._part(self._frame[key])
        return self._known[key]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self[name] if name in self._frame.columns else self._part(getattr(self._frame, name))

    def __len__(self) -> int:
        return len(self._frame)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._frame.columns)

    def _part(self, part: Any) -> Any:
        if not _is_array_like(part) or isinstance(part, list | tuple | range):
            return part
        if _is_table(part):
            return Table(part, self._finish)
        column = numbers(part, "curve_fit: a column of xdata", real=False)
        return column if self._finish is None else self._finish(column)


def in_all_arrays(change: Callable[[Any], Any], x: Any) -> Any:
    """``x`` with each of its arrays changed; what is none stays."""
    if isinstance(x, Mapping):
        return {name: in_all_arrays(change, part) for name, part in x.items()}
    if isinstance(x, Table):
        return x.finished(change)
    return change(x) if _is_array(x) else x


def _is_array(x: Any) -> bool:
    """Whether it is an array of numbers, and not one of strings, dates or records."""
    return hasattr(x, "dtype") and hasattr(x, "shape") and _kind(x) in ("", *"biufc")


def _kind(x: Any) -> str:
    """The kind of type that NumPy tells of ("" for other libraries)."""
    return str(getattr(getattr(x, "dtype", None), "kind", ""))


def common_type(p: Array, *data: Any) -> Any:
    """The floating-point type in which none of these loses digits: at least that of ``p``.

    Integers of more than 16 bits ask for double precision, and so does a table.
    """
    xp, dtype = namespace(p), p.dtype
    for x in data:
        if isinstance(x, Mapping):
            dtype = xp.result_type(dtype, common_type(p, *x.values()))
        elif isinstance(x, Table):
            dtype = xp.result_type(dtype, xp.float64)
        elif _is_array(x):
            dtype = xp.result_type(dtype, _least_float(namespace(x), x.dtype, dtype))
    return dtype


def _least_float(xp: Any, dtype: Any, without: Any) -> Any:
    if xp.isdtype(dtype, "real floating"):
        return dtype
    if xp.isdtype(dtype, "complex floating"):
        return xp.float32 if dtype == xp.complex64 else xp.float64
    short = any(dtype == getattr(xp, name, None) for name in _SHORT)
    return without if short or not xp.isdtype(dtype, "integral") else xp.float64


def real_as(dtype: Any) -> Callable[[Any], Any]:
    """A function that returns arrays of real numbers in that type, and others as they are."""

    def change(x: Array) -> Array:
        xp = namespace(x)
        real = xp.isdtype(x.dtype, ("integral", "bool", "real floating"))
        return xp.astype(x, dtype, copy=False) if real else x

    return change


def need_finite(x: Array, name: str) -> Array:
    """``x``, if it is finite; :class:`nnx.errors.DataError` otherwise."""
    xp = namespace(x)
    if not read(xp.astype(xp.all(xp.isfinite(x)), xp.float64))[0]:
        raise DataError(
            f"curve_fit: {name} must be finite, and has NaN or infinite values. Take those points out; "
            "check_finite=False leaves this check out."
        )
    return x
