"""How indexing, and what is written in its terms, works on batched arrays.

An index of slices and of arrays that all samples share gets a full slice in front. Where the index differs
from sample to sample, it becomes the places of the entries in the flat array of all samples: then ``take``,
``set_at`` and ``scatter_add`` of one vector do the work in every library, and their derivatives are known.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, NamedTuple

from nnx.autodiff.array import raw
from nnx.autodiff.batching.array import Batched
from nnx.autodiff.batching.calls import Call, leaves_of
from nnx.autodiff.batching.rules import batching, common_shape
from nnx.autodiff.places import Place
from nnx.autodiff.raw import has_array, is_mask

Array = Any


@batching("getitem")
def _getitem(call: Call, x: Array, key: Any) -> Any:
    if _simple(call, key):
        return call.wrap(_chosen(call, x.value, (slice(None), *_parts(key))))
    where = _places(call, key, x.shape, call.mapped(x), x.device)
    value = call.under(x)
    xp = call.xp(value, where.index)
    found = xp.take(xp.reshape(value, (-1,)), xp.reshape(where.index, (-1,)), axis=0)
    return call.wrap(xp.reshape(found, (call.n, *where.shape)))


@batching("item")
def _item(call: Call, x: Array, key: Any) -> Any:
    if not _simple(call, key):
        return _getitem(call, x, key)  # by ``take``, which makes an array of its own
    return call.wrap(call.xp(x.value).item(x.value, _mapped(call, key)))


def _chosen(call: Call, value: Array, key: Any) -> Any:
    """``value[key]``, also where an outer map's array is in the key alone."""
    outer = type(value) is not Batched and any(type(part) is Batched for part in leaves_of(key))
    return call.adapter.space.getitem(value, key) if outer else value[key]


@batching("take")
def _take(call: Call, x: Array, indices: Array, /, *, axis: Any = None) -> Any:
    place = 0 if axis is None else axis % x.ndim
    if call.mapped(indices):
        return _getitem(call, x, ((slice(None),) * place + (indices,)))
    return call.wrap(call.xp(x.value).take(x.value, indices, axis=place + 1))


@batching("laid_out")
def _laid_out(call: Call, x: Array, like: Array) -> Any:
    return x  # the layout of batched arrays is nobody's


@batching("set_at")
def _put(call: Call, x: Array, value: Any, *, key: Any, own: bool = False) -> Any:
    if call.mapped(key) and is_mask(key) and not getattr(value, "ndim", 0):
        space = call.adapter.space
        mask = space.reshape(key, (*key.shape, *(1,) * (x.ndim - key.ndim)))
        return space.astype(space.where(mask, value, x), x.dtype, copy=False)
    whole, ndim = call.full(x), getattr(value, "ndim", 0)
    if _simple(call, key):
        key = _mapped(call, key)
        goes = _ndim_at(call, whole, key) - 1 if ndim or call.mapped(value) else 0
        given = _without_extra(call, value, goes)
        return call.wrap(call.xp(whole, given).set_at(whole, call.spread(given, goes), key=key))
    where = _places(call, key, x.shape, True, x.device)
    values = (
        call.adapter.space.broadcast_to(_without_extra(call, value, len(where.shape)), where.shape)
        if ndim
        else value
    )
    xp = call.xp(whole, where.index, call.under(values))
    given = xp.reshape(call.full(values), (-1,)) if ndim else call.under(values)
    if not ndim and call.mapped(value):
        given = xp.reshape(
            xp.broadcast_to(call.spread(value, len(where.shape)), (call.n, *where.shape)), (-1,)
        )
    flat = xp.set_at(xp.reshape(whole, (-1,)), given, key=xp.reshape(where.index, (-1,)))
    return call.wrap(xp.reshape(flat, whole.shape))


@batching("add_at")
def _add_at(call: Call, total: Array, g: Any, *, key: Any, own: bool) -> Any:
    if not _simple(call, key):
        return total + call.adapter.own["scatter"](g, key, total.shape)
    whole, added = call.full(total), call.full(g)
    own = own and call.mapped(total)
    return call.wrap(call.xp(whole, added).add_at(whole, added, key=_mapped(call, key), own=own))


def _without_extra(call: Call, value: Any, ndim: int) -> Any:
    """``value`` without the leading axes of length 1 that an assignment drops."""
    extra = getattr(value, "ndim", 0) - ndim
    return call.adapter.space.reshape(value, value.shape[extra:]) if extra > 0 else value


@batching("scatter")
def _scatter(call: Call, g: Array, key: Any, shape: Any) -> Any:
    whole = call.full(g)
    if _simple(call, key):
        return call.wrap(call.xp(whole).scatter(whole, _mapped(call, key), (call.n, *shape)))
    where = _places(call, key, shape, True, g.device)
    xp = call.xp(whole, where.index)
    size = math.prod(shape)
    flat = xp.scatter_add(xp.reshape(whole, (-1,)), xp.reshape(where.index, (-1,)), call.n * size)
    return call.wrap(xp.reshape(flat, (call.n, *shape)))


@batching("scatter_add")
def _scatter_add(call: Call, values: Array, index: Array, n: int) -> Any:
    if not call.mapped(index):
        xp = call.xp(values.value)
        rows = xp.scatter_add(xp.moveaxis(values.value, 1, 0), index, n)
        return call.wrap(xp.moveaxis(rows, 0, 1))
    value, where = call.full(values), call.under(index)
    xp = call.xp(value, where)
    first = xp.arange(call.n, device=index.device)[:, None] * n
    rows = xp.reshape(value, (call.n * values.shape[0], *values.shape[1:]))
    found = xp.scatter_add(rows, xp.reshape(where + first, (-1,)), call.n * n)
    return call.wrap(xp.reshape(found, (call.n, n, *values.shape[1:])))


@batching("last_written")
def _last_written(call: Call, g: Array, key: Any) -> Any:
    if not has_array(key):
        return 1.0
    if type(key) is Place:
        return call.xp(g.value).last_written(g.value[0, ...], key)  # all samples share it
    where = _places(call, key, g.shape, True, g.device)
    xp = call.xp(where.index, call.under(g))
    flat = xp.zeros((call.n * math.prod(g.shape),), dtype=g.dtype, device=g.device)
    found = xp.last_written(flat, xp.reshape(where.index, (-1,)))
    return call.wrap(xp.reshape(found, (call.n, *where.shape)))


@batching("positions")
def _positions(call: Call, shape: Any, like: Array) -> Any:
    xp = call.adapter.below.xp
    return xp.reshape(xp.arange(math.prod(shape), device=like.device), shape)


# -- places ----------------------------------------------------------------------------------------------


def _parts(key: Any) -> tuple[Any, ...]:
    return key if type(key) is tuple else (key,)


def _mapped(call: Call, key: Any) -> Any:
    """A simple ``key`` for all samples along the first axis."""
    return key.mapped(call.n) if type(key) is Place else (slice(None), *_parts(key))


def _ndim_at(call: Call, x: Array, key: Any) -> int:
    """How many axes ``x[key]`` has."""
    x = raw(x)
    return int(key.of(call.xp(x), x).ndim if type(key) is Place else x[key].ndim)


def _is_number(part: Any) -> bool:
    return not hasattr(part, "dtype") and hasattr(part, "__index__") and not isinstance(part, bool)


def _simple(call: Call, key: Any) -> bool:
    """Whether all samples share the key, and its arrays are side by side: their axes then stay in place."""
    if type(key) is Place:
        return True
    if any(type(part) is Batched for part in leaves_of(_parts(key))):
        return False
    advanced = [not (isinstance(part, slice) or part is None or part is ...) for part in _parts(key)]
    if not has_array(key):
        return True
    if not call.adapter.below.mixes_indices:
        return False
    first = advanced.index(True)
    return not any(after and not before for before, after in pairwise(advanced[first:]))


class _Places(NamedTuple):
    index: Array  #: in the flat array of all samples (or of the one that all share)
    shape: tuple[int, ...]  #: of what one sample's index chooses


def _places(call: Call, key: Any, shape: Any, batched: bool, device: Any) -> _Places:
    """Where the entries that ``key`` chooses lie in the flat array, for each sample along the first axis."""
    below = call.adapter.below.xp
    lists = (list, tuple, range)
    parts = [below.asarray(part, device=device) if isinstance(part, lists) else part for part in _parts(key)]
    shape = tuple(shape)
    used = sum(_axes_of(part) for part in parts)
    rest = [slice(None)] * (len(shape) - used)
    at = next((i for i, part in enumerate(parts) if part is ...), len(parts))
    parts[at : at + 1] = rest
    arrays = [part if hasattr(part, "dtype") else None for part in parts]
    if any(map(is_mask, arrays)):
        mask = next(a for a in arrays if a is not None and is_mask(a))
        if call.mapped(mask):
            mask.asks("x[mask], whose result is as long as the mask says")
        parts = _with_integers(call, parts)
        arrays = [part if hasattr(part, "dtype") else None for part in parts]
    spread = common_shape([tuple(a.shape) for a in arrays if a is not None])
    front, layout = _layout(parts)
    dims: list[int] = []
    place_of_arrays = 0 if front else None
    entries: list[tuple[Any, int, int]] = []  # (index, stride, its first axis in the result)
    axis = 0
    for part, kind in zip(parts, layout, strict=True):
        if kind == "new":
            dims.append(1)
            continue
        n, stride = shape[axis], math.prod(shape[axis + 1 :])
        axis += 1
        if kind == "slice":
            start, stop, step = part.indices(n)
            entries.append((range(start, stop, step), stride, len(dims)))
            dims.append(len(range(start, stop, step)))
        else:
            if place_of_arrays is None:
                place_of_arrays = len(dims)
            entries.append((_inside(call, part, n), stride, -1))
    place_of_arrays = place_of_arrays or 0
    whole = (*dims[:place_of_arrays], *spread, *dims[place_of_arrays:])
    base = call.adapter.below.xp
    total: Any = 0
    for index, stride, place in entries:
        if place >= 0:
            own = place if place < place_of_arrays else place + len(spread)
            line = base.arange(index.start, index.stop, index.step, device=device) * stride
            total = total + base.reshape(
                line, tuple(len(index) if i == own else 1 for i in range(len(whole)))
            )
        else:
            after = len(whole) - place_of_arrays - len(spread)
            total = total + _placed(call, index, after) * stride
    if batched:
        first = base.arange(call.n, device=device) * math.prod(shape)
        total = total + call.wrap(first)
    ndim = len(whole)
    index = call.spread(total, ndim) if call.mapped(total) else total
    return _Places(call.xp(index).broadcast_to(index, (call.n, *whole)), whole)


def _axes_of(part: Any) -> int:
    if part is None or part is ...:
        return 0
    return part.ndim if is_mask(part) else 1


def _layout(parts: list[Any]) -> tuple[bool, list[str]]:
    """Whether the axes of the arrays come first in the result, and the kind of each part."""
    kinds = ["new" if p is None else "slice" if isinstance(p, slice) else "array" for p in parts]
    places = [i for i, kind in enumerate(kinds) if kind == "array"]
    apart = bool(places) and places[-1] - places[0] + 1 != len(places)
    return apart, kinds


def _inside(call: Call, index: Any, n: int) -> Any:
    """An index counted from the front; one out of range becomes one that no array has."""
    if _is_number(index):
        index = int(index)
        if not -n <= index < n:
            raise IndexError(f"index {index} is out of bounds for an axis of size {n}")
        return index % n
    space = call.adapter.space
    index = space.astype(index, call.adapter.below.xp.int64, copy=False)
    index = space.where(index < 0, index + n, index)
    return space.where((index >= 0) & (index < n), index, _NOWHERE)


_NOWHERE = 2**40


def _placed(call: Call, index: Any, after: int) -> Any:
    """The array ``index`` with ``after`` axes of length 1 at its end."""
    if not getattr(index, "ndim", 0) or not after:
        return index
    return call.adapter.space.reshape(index, (*index.shape, *(1,) * after))


def _with_integers(call: Call, parts: list[Any]) -> list[Any]:
    """The parts of an index with the places of its true entries for each mask."""
    out: list[Any] = []
    for part in parts:
        out += list(call.adapter.below.xp.nonzero(part)) if is_mask(part) else [part]
    return out
