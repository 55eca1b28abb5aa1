"""The namespace in which derivative rules compute on plain arrays: the standard, and a few more functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from nnx.autodiff.array import raw
from nnx.autodiff.places import Place
from nnx.backend import Adapter, SpecialFunctions, device_of


class Namespace:
    """A namespace over a library's own whose names are looked up once, when they are first used.

    It is no module, for Python reads the attributes of one whose class has ``__getattr__`` a longer way: that
    took 4 % of the gradient of a small function.
    """

    def __init__(self, name: str, adapter: Adapter) -> None:
        self.__name__ = name
        self.adapter = adapter

    def _find(self, name: str) -> Any:
        return getattr(self.adapter.xp, name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in _PUBLIC_DUNDERS:
            raise AttributeError(name)
        value = self._find(name)
        setattr(self, name, value)
        return value

    def __dir__(self) -> list[str]:
        return dir(self.adapter.xp)

    def __repr__(self) -> str:
        return f"<namespace {self.__name__}>"


_PUBLIC_DUNDERS = ("__array_api_version__", "__array_namespace_info__")


class RawNamespace(Namespace):
    """The namespace of plain arrays for derivative rules."""

    def __init__(self, adapter: Adapter) -> None:
        super().__init__(f"nnx.autodiff.raw_{adapter.name}", adapter)
        self.isdtype = cache(adapter.xp.isdtype)  # once per data type: every transform asks it
        self.special = SpecialFunctions(adapter.special)
        self.device_of, self.element_count = device_of, math.prod
        self.shares_memory, self.laid_out = adapter.shares_memory, adapter.laid_out
        self.broadcast_copy, self.restored = adapter.broadcast_copy, adapter.restored
        self.summed = adapter.summed
        for name, function in adapter.own.items():
            setattr(self, name, function)

    def positions(self, shape: tuple[int, ...], like: Any) -> Any:
        """Each entry's own position, 0 … n−1, in an array of that shape."""
        return self.reshape(self.arange(math.prod(shape), device=device_of(like)), shape)

    def scatter_add(self, values: Any, index: Any, n: int) -> Any:
        """N zeros (or rows of zeros), to which the ``values`` are added at ``index``."""
        return self.adapter.scatter_add(n, index, values)

    def scatter(self, g: Any, key: Any, shape: tuple[int, ...]) -> Any:
        """The transpose of ``x[key]`` for x of that shape: g put into zeros, repeated positions added."""
        if type(key) is Place:
            zeros = self.zeros(shape, dtype=g.dtype, device=device_of(g))
            return self.add_at(zeros, g, key=key, own=True)
        if has_array(key):
            where = self.reshape(self.positions(shape, g)[key], (-1,))
            return self.reshape(self.scatter_add(self.reshape(g, (-1,)), where, math.prod(shape)), shape)
        out = self.zeros(shape, dtype=g.dtype, device=device_of(g))
        key, g = _without_new_axes(out, key, g, self)
        out[key] = g
        return out

    def add_at(self, total: Any, g: Any, *, key: Any, own: bool) -> Any:
        """``total`` with ``g`` added at ``key``, where positions repeat each time; in place if ``own``."""
        if total.dtype != g.dtype:
            return total + self.scatter(g, key, total.shape)
        if type(key) is Place:
            return self._changed(total, key, own, lambda y: self.add_at(y, g, key=key.key, own=True))
        array = has_array(key)
        if array and not own:
            return total + self.scatter(g, key, total.shape)
        if array:
            done = self.adapter.add_at(total, key, g)
            return total + self.scatter(g, key, total.shape) if done is None else done
        if not own or not total.shape:  # NumPy's sums of no axes are scalars, which cannot be written into
            total = self.asarray(total, copy=True)
        key, g = _without_new_axes(total, key, g, self)
        total[key] += g
        return total

    def item(self, x: Any, key: Any) -> Any:
        """``x[key]`` in memory of its own."""
        y = key.of(self, x) if type(key) is Place else x[key]
        return self.asarray(y, copy=True) if self.shares_memory(y, x) else y

    def matmul_into(self, a: Any, b: Any, place: Any) -> Any:
        """The product a @ b, computed into the array ``place`` if it is one and the library can."""
        return a @ b if place is True else self.adapter.matmul_into(a, b, place)

    def set_at(self, x: Any, value: Any, *, key: Any, own: bool = False) -> Any:
        """A copy of x in which ``x[key]`` is ``value``; x itself if that is our ``own``."""
        if type(key) is Place:
            return self._changed(x, key, own, lambda y: self.set_at(y, value, key=key.key, own=True))
        out = x if own and x.shape else self.asarray(x, copy=True)
        if hasattr(value, "dtype") and value.dtype != out.dtype:
            value = self.astype(value, out.dtype)
        out[key] = value
        return out

    def _changed(self, x: Any, place: Place, own: bool, change: Callable[[Any], Any]) -> Any:
        """A copy of x, or x itself if that is our ``own``, with ``change`` of its view at the place's steps.

        Where another layout in memory than that of ``x`` makes it a view, the answer has that layout.
        """
        x = x if own and x.shape else self.asarray(x, copy=True)
        for y in self._layouts(x):
            view = place.view(self, y)
            if self.shares_memory(view, y):
                new = change(view)
                if new is not view:
                    view[...] = new
                return y
        new = self.reshape(change(self.asarray(view, copy=True)), (-1,))
        where = self.reshape(place.view(self, self.positions(x.shape, x)), (-1,))
        n = math.prod(x.shape)
        old = self.scatter_add(self.ones_like(new), where, n) == 0
        flat = self.where(old, self.reshape(x, (-1,)), self.scatter_add(new, where, n))
        return self.reshape(flat, x.shape)

    def _layouts(self, x: Any) -> Iterator[Any]:
        """``x`` as it lies in memory, by rows, and by columns."""
        yield x
        if x.ndim > 1:
            yield self.reshape(self.reshape(x, (-1,)), x.shape)
            back = tuple(reversed(range(x.ndim)))
            y = self.permute_dims(x, back)
            yield self.permute_dims(self.reshape(self.reshape(y, (-1,)), y.shape), back)

    def last_written(self, g: Any, key: Any) -> Any:
        """1 where an assignment to ``g[key]`` is not overwritten by a later one to the same place, else 0."""
        if type(key) is Place:
            return self.last_written(key.view(self, raw(g)), key.key)
        parts = key if type(key) is tuple else (key,)
        arrays = [i for i, part in enumerate(parts) if type(part) not in _BASIC or type(part) is int]
        if not has_array(key):
            return 1.0
        if len(arrays) == 1:
            return self._last_of_one(g, parts, arrays[0])
        places = self.positions(g.shape, raw(g))[key]
        turns = self.positions(places.shape, raw(g))
        last = self.set_at(self.positions(g.shape, raw(g)), turns, key=key)
        return self.astype(last[key] == turns, g.dtype)

    def _last_of_one(self, g: Any, parts: tuple[Any, ...], place: int) -> Any:
        """:meth:`last_written` for an array ``parts[place]`` beside slices: found by sorting it alone."""
        index = self.asarray(parts[place], device=device_of(g))
        if is_mask(index) or math.prod(index.shape) < 2:
            return 1.0
        added = sum(part is None for part in parts)
        skipped = g.ndim - (len(parts) - added - (... in parts)) if ... in parts[:place] else 0
        axis = sum(type(part) is slice for part in parts[:place]) + skipped
        flat = self.astype(self.reshape(index, (-1,)), self.int64)  # a short type cannot hold all places
        flat = self.where(flat < 0, flat + g.shape[axis], flat)
        order = self.argsort(flat, stable=True)
        ordered = self.take(flat, order)
        last = self.concat(
            [ordered[1:] != ordered[:-1], self.ones((1,), dtype=self.bool, device=device_of(g))]
        )
        last = self.astype(self.take(last, self.argsort(order)), g.dtype)
        after = g.ndim - axis - 1 + sum(part is None for part in parts[place:])
        return self.reshape(last, (*index.shape, *(1,) * after))

    def kinked(self, x: Any, *, at: Any) -> Any:
        """``x``; the differentiable function says that its derivative is NaN where ``at`` holds."""
        return x

    def converted(self, x: Any, dtype: Any) -> Any:
        """``x`` in another data type."""
        return self.astype(x, dtype)

    def to_device(self, x: Any, device: Any) -> Any:
        """``x`` on another device of the library."""
        return self.adapter.asarray(x, device=self.adapter.device(device))

    def from_parts(self, x: Any, y: Any) -> Any:
        """The complex numbers x + iy."""
        z = self.asarray(self.astype(x, self.result_type(x.dtype, self.complex64)))
        self.imag(z)[...] = y  # a view, in every library
        return z


@cache
def raw_namespace(adapter: Adapter) -> Any:
    """The library's namespace for derivative rules, made once."""
    return RawNamespace(adapter)


def _without_new_axes(x: Any, key: Any, g: Any, xp: Any) -> tuple[Any, Any]:
    """``key`` and ``g`` for an assignment to ``x[key]``, for which the standard knows no new axes."""
    if type(key) is tuple and any(part is None for part in key):
        key = tuple(part for part in key if part is not None)
        g = xp.reshape(g, x[key].shape)
    return key, g


_BASIC = frozenset({int, slice, type(...), type(None)})


def is_mask(key: Any) -> bool:
    """Whether a part of an index is an array of truth values."""
    return "bool" in str(getattr(key, "dtype", ""))


def has_array(key: Any) -> bool:
    """Whether an array, a list or the like is in an index: then the result is a copy."""
    for part in key if type(key) is tuple else (key,):
        if type(part) not in _BASIC and getattr(part, "ndim", 1) > 0:  # an array, a list, a tuple, a range
            return type(part) is not Place or has_array(part.key)
    return False
