# ruff: noqa: D103 (each is NumPy's function of that name)
"""Products of vectors and matrices."""

from __future__ import annotations

from typing import Any

from nnx.autodiff.families import is_complex
from nnx.autodiff.numpy_api.table import arrays, axes_of, axis_of, flat, integer, shown, stands_for


@stands_for("dot")
def dot(xp: Any, a: Any, b: Any, out: Any = None) -> Any:
    a, b = arrays(xp, a, b)
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    if b.ndim <= 2:
        return a @ b
    return xp.tensordot(a, b, axes=((a.ndim - 1,), (b.ndim - 2,)))


@stands_for("inner")
def inner(xp: Any, a: Any, b: Any, /) -> Any:
    a, b = arrays(xp, a, b)
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    return a @ b if b.ndim == 1 else xp.tensordot(a, b, axes=((a.ndim - 1,), (b.ndim - 1,)))


@stands_for("outer")
def outer(xp: Any, a: Any, b: Any, out: Any = None) -> Any:
    a, b = (flat(xp, x) for x in arrays(xp, a, b))
    return xp.expand_dims(a, axis=1) * b


@stands_for("linalg.outer")
def linalg_outer(xp: Any, x1: Any, x2: Any, /) -> Any:
    return outer(xp, x1, x2)


@stands_for("vdot")
def vdot(xp: Any, a: Any, b: Any, /) -> Any:
    a, b = (flat(xp, x) for x in arrays(xp, a, b))
    return _conj(xp, a) @ b


def _conj(xp: Any, x: Any) -> Any:
    return xp.conj(x) if is_complex(xp, x) else x


def _last(name: str, xp: Any, x: Any, axis: Any) -> Any:
    """``x`` with one axis moved to the end."""
    axis = axis_of(name, axis, x)
    return x if axis == x.ndim - 1 else xp.moveaxis(x, axis, -1)


def _vecdot(name: str) -> None:
    def vecdot(xp: Any, x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
        x1, x2 = (_last(name, xp, x, axis) for x in arrays(xp, x1, x2))
        return xp.vecdot(x1, x2, axis=-1)

    stands_for(name)(vecdot)


_vecdot("vecdot")
_vecdot("linalg.vecdot")


@stands_for("matvec")
def matvec(xp: Any, x1: Any, x2: Any) -> Any:
    x1, x2 = arrays(xp, x1, x2)
    return xp.squeeze(x1 @ xp.expand_dims(x2, axis=-1), axis=-1)


@stands_for("vecmat")
def vecmat(xp: Any, x1: Any, x2: Any) -> Any:
    x1, x2 = arrays(xp, x1, x2)
    return xp.squeeze(xp.expand_dims(_conj(xp, x1), axis=-2) @ x2, axis=-2)


@stands_for("linalg.matmul")
def matmul(xp: Any, x1: Any, x2: Any, /) -> Any:
    return x1 @ x2


@stands_for("tensordot")
def tensordot(xp: Any, a: Any, b: Any, axes: Any = 2) -> Any:
    return _tensordot("tensordot", xp, a, b, axes)


@stands_for("linalg.tensordot")
def linalg_tensordot(xp: Any, x1: Any, x2: Any, /, *, axes: Any = 2) -> Any:
    return _tensordot("linalg.tensordot", xp, x1, x2, axes)


def _tensordot(name: str, xp: Any, a: Any, b: Any, axes: Any) -> Any:
    a, b = arrays(xp, a, b)
    if hasattr(axes, "__len__"):
        first, second = axes
    else:
        n = integer(name, axes)
        first, second = range(-n, 0), range(n)
    return xp.tensordot(a, b, axes=(axes_of(name, first, a), axes_of(name, second, b)))


@stands_for("kron")
def kron(xp: Any, a: Any, b: Any) -> Any:
    a, b = arrays(xp, a, b)
    n = max(a.ndim, b.ndim)
    a, b = (xp.reshape(x, (1,) * (n - x.ndim) + tuple(x.shape)) for x in (a, b))
    wide = xp.reshape(a, tuple(k for size in a.shape for k in (size, 1)))
    y = wide * xp.reshape(b, tuple(k for size in b.shape for k in (1, size)))
    return xp.reshape(y, tuple(i * j for i, j in zip(a.shape, b.shape, strict=True)))


@stands_for("cross")
def cross(
    xp: Any, a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Any:
    if axis is not None:
        axisa = axisb = axisc = axis
    return _cross("cross", xp, a, b, axisa, axisb, axisc)


@stands_for("linalg.cross")
def linalg_cross(xp: Any, x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    return _cross("linalg.cross", xp, x1, x2, axis, axis, axis)


def _cross(name: str, xp: Any, a: Any, b: Any, axisa: int, axisb: int, axisc: int) -> Any:
    a, b = arrays(xp, a, b)
    a, b = _last(name, xp, a, axisa), _last(name, xp, b, axisb)
    if a.shape[-1] not in (2, 3) or b.shape[-1] not in (2, 3):
        raise ValueError(f"{shown(name)} takes vectors of 2 or 3 entries.")
    x, y = ([v[..., i] for i in range(v.shape[-1])] for v in (a, b))
    last = x[0] * y[1] - x[1] * y[0]
    if len(x) == len(y) == 2:
        return last
    zero = [None if len(v) == 3 else 0.0 for v in (x, y)]
    x2, y2 = (v[2] if z is None else z for v, z in zip((x, y), zero, strict=True))
    parts = [x[1] * y2 - x2 * y[1], x2 * y[0] - x[0] * y2, last]
    axis = axis_of(name, axisc, last, new=1)
    return xp.stack(xp.broadcast_arrays(*parts), axis=axis)
