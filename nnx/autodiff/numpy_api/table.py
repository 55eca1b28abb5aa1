"""The table of NumPy's functions that are composed of others, and what all of them use."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from nnx.autodiff.array import raw
from nnx.autodiff.families import is_complex
from nnx.errors import AxisError, DerivativeError

#: NumPy's name ("sum", "linalg.norm") → ``f(xp, *args)`` with NumPy's signature and xp the differentiable
#: namespace.
FUNCTIONS: dict[str, Callable[..., Any]] = {}

#: Ufuncs that are not NumPy's, and the functions to call instead: see :func:`nnx.register_ufunc`.
FOREIGN: dict[Any, Callable[..., Any]] = {}


def stands_for(*names: str) -> Callable[[Any], Any]:
    """Decorator: ``function(xp, ...)`` is what NumPy's functions of these names do on traced arrays."""

    def register(function: Any) -> Any:
        FUNCTIONS.update(dict.fromkeys(names, function))
        return function

    return register


def shown(name: str) -> str:
    """A function's name as its user writes it; one that is not NumPy's own has the prefix "foreign."."""
    return name.removeprefix("foreign.") if name.startswith("foreign.") else f"np.{name}"


def refuse(name: str, reason: str, instead: str) -> NoReturn:
    """Raises the error for a NumPy call that cannot be differentiated."""
    raise DerivativeError(f"{shown(name)} cannot be differentiated as called here: {reason}. {instead}")


def refuse_out(name: str) -> NoReturn:
    """Raises the error for ``out=``."""
    raise DerivativeError(
        f"{shown(name)} was asked to write its result into an existing array (out=, or `a += b` with a plain "
        "array a and a traced b). A traced value cannot be stored there: assign the result to a name, as in "
        "a = a + b, or make the array of the traced one (np.zeros_like(x)) and write a[...] = b."
    )


def first_array(xs: Iterable[Any]) -> Any:
    """The first array among (nested) arguments, as a plain array; None without one."""
    for x in xs:
        found = first_array(x) if type(x) in (tuple, list) else raw(x) if hasattr(x, "shape") else None
        if found is not None:
            return found
    return None


def array(xp: Any, x: Any, like: Any = None) -> Any:
    """``x`` as an array: lists of (traced) arrays and numbers are stacked, as NumPy does.

    New arrays are made on the device of ``like``.
    """
    if hasattr(x, "shape"):
        return x
    if type(x) in (tuple, list):
        like = first_array(x) if like is None else like
        if first_array(x) is not None:
            return xp.stack([array(xp, part, like) for part in x])
    device = None if like is None else xp.device_of(like)
    return xp.base.asarray(x, dtype=_precision(xp, x), device=device)


def _precision(xp: Any, x: Any) -> Any:
    """NumPy's data type for (lists of) Python's numbers, whatever the library's default."""
    if type(x) in (tuple, list):
        kinds = [_precision(xp, part) for part in x]
        return next((t for t in (xp.base.complex128, xp.base.float64) if t in kinds), None)
    return {float: xp.base.float64, complex: xp.base.complex128}.get(type(x))


def arrays(xp: Any, *xs: Any) -> list[Any]:
    """Several arguments as arrays, on the device of the first array."""
    like = first_array(xs)
    return [array(xp, x, like) for x in xs]


def operands(xp: Any, *xs: Any) -> list[Any]:
    """Several arguments as arrays, Python's real numbers in the data type of the first array."""
    like = first_array(xs)
    return [
        xp.base.asarray(x, dtype=like.dtype, device=xp.device_of(like))
        if type(x) in (int, float) and like is not None
        else array(xp, x, like)
        for x in xs
    ]


def double(xp: Any, x: Any) -> Any:
    """``x`` in double precision, in which NumPy computes some functions of any type."""
    return cast(xp, x, xp.base.complex128 if is_complex(xp.base, x) else xp.base.float64)


def dtype_of(xp: Any, dtype: Any) -> Any:
    """The library's data type for what NumPy takes as one: also ``float``, "float32"."""
    return xp.base.empty((0,), dtype=dtype).dtype


def cast(xp: Any, x: Any, dtype: Any) -> Any:
    """``x`` in NumPy's ``dtype``; unchanged for None."""
    return x if dtype is None else xp.astype(x, dtype_of(xp, dtype), copy=False)


def flat(xp: Any, x: Any) -> Any:
    """All entries of ``x`` in one dimension."""
    return x if x.ndim == 1 else xp.reshape(x, (-1,) if x.size else (0,))


def axis_of(name: str, axis: Any, x: Any, new: int = 0) -> int:
    """``axis`` of the array ``x``, to which ``new`` axes are added, counted from the front.

    The error for a wrong axis names the function; its class is NumPy's.
    """
    place, n = integer(name, axis), x.ndim + new
    if not -n <= place < n:
        raise AxisError(
            f"{shown(name)}: axis {axis} of an array that {'gets' if new else 'has'} {n} dimension"
            f"{'s' * (n != 1)}.{' np.atleast_1d(x) makes an array of a number.' if not n else ''}"
        )
    return place % n


def integer(name: str, axis: Any) -> int:
    """``axis`` as Python's integer; for anything else, 1.0 too, an error that names the function."""
    try:
        return operator.index(axis)
    except TypeError:
        raise TypeError(f"{shown(name)}: axis {axis!r} is not an integer.") from None


def axes_of(name: str, axes: Any, x: Any, new: int = 0, *, twice: bool = False) -> tuple[int, ...]:
    """As :func:`axis_of` for one axis, a sequence or all (None); ``twice`` allows repeated axes."""
    places = tuple(axis_of(name, axis, x, new) for axis in (range(x.ndim) if axes is None else several(axes)))
    if len(set(places)) < len(places) and not twice:
        raise AxisError(f"{shown(name)}: an axis is there twice in {axes}.")
    return places


def several(axes: Any) -> tuple[Any, ...]:
    """One axis or a sequence of them as a tuple."""
    return tuple(axes) if hasattr(axes, "__len__") and getattr(axes, "shape", None) != () else (axes,)


def along_axis(name: str, xp: Any, a: Any, axis: Any) -> tuple[Any, int]:
    """The array and the axis; for None all entries of ``a`` in one dimension, and axis 0."""
    return (flat(xp, a), 0) if axis is None else (a, axis_of(name, axis, a))


def indices(xp: Any, positions: Any, like: Any) -> Any:
    """An index array of Python's integers, on the device of ``like``."""
    int64 = xp.base.int64
    return xp.base.asarray(list(positions), dtype=int64, device=xp.device_of(like))


def pick(xp: Any, x: Any, positions: Iterable[int], axis: int) -> Any:
    """The entries of ``x`` at some positions along one axis."""
    return xp.take(x, indices(xp, positions, x), axis=axis)
