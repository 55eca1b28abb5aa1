# ruff: noqa: D103 (each is NumPy's function of that name)
"""Functions that write into their first argument: into a traced array, by assignment."""

from __future__ import annotations

from typing import Any

from nnx.autodiff.array import Traced
from nnx.autodiff.numpy_api.choosing import condition, positions
from nnx.autodiff.numpy_api.table import array, axis_of, flat, refuse, stands_for


def _target(name: str, x: Any) -> None:
    if type(x) is not Traced:
        refuse(
            name,
            "it writes a traced value into a plain array, which cannot hold it",
            "Make the array of a traced one, as np.zeros_like(x) does, or compute a new one (np.where, "
            "np.concatenate, np.stack).",
        )


@stands_for("copyto")
def copyto(xp: Any, dst: Any, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    _target("copyto", dst)
    dst[...] = src if where is True else xp.where(condition(xp, where, dst), src, dst)


@stands_for("putmask")
def putmask(xp: Any, a: Any, mask: Any, values: Any) -> None:
    _target("putmask", a)
    values = array(xp, values, a)
    if not values.size:
        return
    if values.size != 1 and tuple(values.shape) != tuple(a.shape):
        values = xp.reshape(repeated(xp, flat(xp, values), a.size), a.shape)
    a[...] = xp.where(condition(xp, mask, a), xp.astype(values, a.dtype), a)


@stands_for("put")
def put(xp: Any, a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    _target("put", a)
    if mode != "raise":
        refuse("put", f"nnx does not know mode={mode!r}", "Bring the indices into range before.")
    index = xp.base.reshape(positions(xp, ind, a), (-1,))
    values = flat(xp, array(xp, v, a))
    if values.shape[0]:
        a[_places(xp, index, a.shape)] = repeated(xp, values, index.shape[0])


def repeated(xp: Any, values: Any, n: int) -> Any:
    """``n`` values: repeated or cut to that length as NumPy does, a single one broadcast."""
    k = values.shape[0]
    if not k:
        raise ValueError("There are no values to be written.")
    return values if k in (1, n) else xp.tile(values, (-(-n // k),))[:n]


def _places(xp: Any, index: Any, shape: Any) -> tuple[Any, ...]:
    """Positions in the flattened array as one index for each axis."""
    places = []
    size = 1
    for n in shape:
        size *= n
    index = xp.base.where(index < 0, index + size, index)
    for n in reversed(shape):
        places.append(index % n)
        index = index // n
    return tuple(reversed(places))


@stands_for("put_along_axis")
def put_along_axis(xp: Any, arr: Any, indices: Any, values: Any, axis: int | None) -> None:
    _target("put_along_axis", arr)
    if axis is None:
        put(xp, arr, indices, values)
        return
    base, index = xp.base, positions(xp, indices, arr)
    axis = axis_of("put_along_axis", axis, arr)
    shape = tuple(index.shape[i] if i == axis else n for i, n in enumerate(arr.shape))
    key = tuple(
        base.broadcast_to(index, shape)
        if i == axis
        else base.reshape(
            base.arange(n, device=xp.device_of(index)), tuple(n if k == i else 1 for k in range(arr.ndim))
        )
        for i, n in enumerate(arr.shape)
    )
    arr[key] = values


@stands_for("fill_diagonal")
def fill_diagonal(xp: Any, a: Any, val: Any, wrap: bool = False) -> None:
    _target("fill_diagonal", a)
    if wrap:
        refuse("fill_diagonal", "nnx does not know wrap=True", "Write a[rows, columns] = val.")
    if a.ndim < 2 or (a.ndim > 2 and len(set(a.shape)) > 1):
        raise ValueError("array must be at least 2-d, and its dimensions equal if there are more.")
    n = min(a.shape)
    index = xp.base.arange(n, device=xp.device_of(a))
    values = flat(xp, array(xp, val, a))
    if values.shape[0]:
        a[(index,) * a.ndim] = repeated(xp, values, n)
