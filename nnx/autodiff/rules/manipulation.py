"""Rules of the functions that move, choose and join entries."""

from __future__ import annotations

import math
from itertools import accumulate
from typing import Any

from nnx.autodiff.families import JointlyLinear, Linear, Pull, along, cast, shape_of, unbroadcast
from nnx.autodiff.places import Place
from nnx.autodiff.raw import has_array, is_mask
from nnx.autodiff.sums import into_sum, onward, through
from nnx.backend import device_of


def _permute(xp: Any, g: Any, old: Any, /, axes: Any) -> Any:
    axes = tuple(a % len(axes) for a in axes)
    return xp.permute_dims(g, tuple(axes.index(i) for i in range(len(axes))))


def _flip(xp: Any, x: Any, /, *_: Any, axis: Any = None) -> Any:
    return xp.flip(x, axis=axis)


def _roll_back(xp: Any, g: Any, old: Any, /, shift: Any, axis: Any = None) -> Any:
    back = tuple(-s for s in shift) if isinstance(shift, tuple) else -shift
    return xp.roll(g, back, axis=axis)


def _broadcast_back(xp: Any, g: Any, old: Any, /, shape: Any) -> Any:
    return unbroadcast(xp, g, old, None)


def _repeat_back(xp: Any, g: Any, shape: Any, /, repeats: Any, axis: Any = None) -> Any:
    if hasattr(repeats, "shape"):
        n = math.prod(shape) if axis is None else shape[axis]
        origin = xp.repeat(xp.positions((n,), g), repeats)
        if axis is None:
            return xp.reshape(xp.scatter_add(g, origin, n), shape)
        return xp.moveaxis(xp.scatter_add(xp.moveaxis(g, axis, 0), origin, n), 0, axis)
    if axis is None or not shape:
        return xp.reshape(xp.sum(xp.reshape(g, (math.prod(shape), repeats)), axis=1), shape)
    axis %= len(shape)
    return xp.sum(xp.reshape(g, (*shape[: axis + 1], repeats, *shape[axis + 1 :])), axis=axis + 1)


def _tile_back(xp: Any, g: Any, shape: Any, repetitions: Any) -> Any:
    extra = max(len(repetitions) - len(shape), 0)
    full = (1,) * extra + tuple(shape)
    counts = (1,) * (len(full) - len(repetitions)) + tuple(repetitions)
    split = [n for pair in zip(counts, full, strict=True) for n in pair]
    return xp.reshape(xp.sum(xp.reshape(g, tuple(split)), axis=tuple(range(0, len(split), 2))), shape)


def _concat(xp: Any, *arrays: Any, axis: Any = 0) -> Any:
    return xp.concat(arrays, axis=axis)


def _concat_back(xp: Any, g: Any, i: int, shapes: Any, fixed: Any, axis: Any = 0) -> Any:
    return _part(xp, g, sum(_sizes(shapes[:i], axis)), shapes[i], axis)


def _sizes(shapes: Any, axis: Any) -> list[int]:
    return [math.prod(s) if axis is None else s[axis] for s in shapes]


def _part(xp: Any, g: Any, start: int, shape: Any, axis: Any) -> Any:
    if axis is None:
        return xp.reshape(g[start : start + math.prod(shape)], shape)
    return g[along(axis % len(shape), slice(start, start + shape[axis]))]


class _Concat(JointlyLinear):
    """Joined along an axis, or along all as flat arrays: each argument gets its part of the cotangent."""

    def __init__(self) -> None:
        super().__init__("concat", _concat, _concat_back)

    def pull(self, argnums: Any, answer: Any, values: Any, kwargs: Any) -> Pull:
        shapes, dtypes, axis = [shape_of(v) for v in values], [v.dtype for v in values], kwargs.get("axis", 0)
        starts = list(accumulate(_sizes(shapes, axis), initial=0))  # once: one sum for each takes n² steps
        return lambda xp, g: [cast(xp, _part(xp, g, starts[i], shapes[i], axis), dtypes[i]) for i in argnums]


def _stack(xp: Any, *arrays: Any, axis: int = 0) -> Any:
    return xp.stack(arrays, axis=axis)


def _stack_back(xp: Any, g: Any, i: int, shapes: Any, fixed: Any, axis: int = 0) -> Any:
    return g[along(axis % len(g.shape), i)]


def _where_back(xp: Any, g: Any, i: int, shapes: Any, fixed: Any) -> Any:
    return xp.where(fixed[0], g, 0.0) if i == 1 else xp.where(fixed[0], 0.0, g)


def _triangle(name: str) -> Linear:
    def apply(xp: Any, x: Any, *, k: int = 0) -> Any:
        return getattr(xp, name)(x, k=k)

    return Linear(name, apply, lambda xp, g, shape, k=0: getattr(xp, name)(g, k=k))


def _same(name: str) -> Any:
    return lambda xp, x, /, *rest, **kw: getattr(xp, name)(x, *rest, **kw)


def _reshape(xp: Any, x: Any, /, shape: Any, copy: Any = None) -> Any:
    return xp.reshape(x, shape)


def _reshape_back(xp: Any, g: Any, old: Any, /, *_: Any, **__: Any) -> Any:
    return xp.reshape(g, old)


def _take_back(xp: Any, g: Any, shape: Any, indices: Any, axis: Any = None) -> Any:
    axis = 0 if axis is None else axis % len(shape)
    n, indices = shape[axis], xp.astype(indices, xp.int64, copy=False)  # small integers cannot hold n
    rows = xp.moveaxis(g, axis, 0) if axis else g
    out = xp.scatter_add(rows, xp.where(indices < 0, indices + n, indices), n)
    return xp.moveaxis(out, 0, axis) if axis else out


def _chosen(xp: Any, x: Any, key: Any) -> Any:
    return xp.item(x, key) if type(key) is Place else x[key]


def _scattered(xp: Any, g: Any, shape: Any, key: Any) -> Any:
    return xp.scatter(g, key, shape)


def _given(xp: Any, g: Any, shape: Any, key: Any) -> Any:
    return key


def _taken(xp: Any, g: Any, shape: Any, indices: Any, axis: Any = None) -> Any:
    return along(0 if axis is None else axis % len(shape), indices) if xp.adapter.adds_at_places else None


#: Functions whose result may share memory with their argument, as the library's own result does.
VIEWS = frozenset(
    """
    reshape expand_dims squeeze permute_dims moveaxis flip broadcast_to matrix_transpose real imag
    linalg.diagonal
    """.split()
)


class Choosing(Linear):
    """Entries of x by index: the cotangent is added to the sum for x at ``key(xp, g, shape, *rest)``.

    ``key`` gives None where the library cannot add there without making a whole array first.
    """

    passes = staticmethod(into_sum)

    def __init__(
        self, name: str, apply: Any, transpose: Any, key: Any = lambda xp, g, shape, key: key
    ) -> None:
        super().__init__(name, apply, transpose)
        self.key = key

    def pull(self, argnums: Any, answer: Any, values: Any, kwargs: Any) -> Pull:
        shape, dtype, rest = values[0].shape, values[0].dtype, values[1:]

        def pull(xp: Any, g: Any, total: Any = None, own: bool = False) -> tuple[Any]:
            if g.dtype != dtype:
                g = cast(xp, g, dtype)
            key = None if total is None else self.key(xp, g, shape, *rest, **kwargs)
            if key is not None:
                return (xp.add_at(total, g, key=key, own=own),)
            c = self.transpose(xp, g, shape, *rest, **kwargs)
            return (c if total is None else total + c,)

        return pull


class _AddAt(JointlyLinear):
    """``total`` with ``g`` added at ``key``, as where cotangents are summed up."""

    def __init__(self) -> None:
        super().__init__(
            "add_at",
            lambda xp, total, g, *, key, own: xp.add_at(total, g, key=key, own=own),
            lambda xp, g, i, shapes, fixed, *, key, own: _chosen(xp, g, key) if i else g,
        )


class _Put(JointlyLinear):
    """``x`` with ``x[key]`` replaced by ``value``, as an assignment does: in place where x is our ``own``."""

    passes = staticmethod(through)

    def __init__(self) -> None:
        super().__init__("set_at", lambda xp, x, value, **at: xp.set_at(x, value, **at), lambda *_: None)

    def pull(self, argnums: Any, answer: Any, values: Any, kwargs: Any) -> Pull:
        shape, dtype, key = shape_of(values[1]), getattr(values[1], "dtype", None), kwargs["key"]
        one = all(n == 1 for n in shape)

        def of_value(xp: Any, g: Any) -> Any:
            if one and is_mask(key):  # without x[mask], whose length depends on the mask
                mask = xp.reshape(key, (*key.shape, *(1,) * (len(g.shape) - len(key.shape))))
                c = xp.sum(xp.where(mask, g, xp.zeros_like(g)))
                return xp.reshape(c if dtype is None else cast(xp, c, dtype), shape)
            c = xp.item(g, key)
            if has_array(key):
                c = c * xp.last_written(g, key)
            extra = max(len(shape) - len(c.shape), 0)  # axes of length 1 that an assignment drops
            c = unbroadcast(xp, c, shape[extra:], dtype)
            return c if c.shape == shape else xp.reshape(c, shape)

        def pull(xp: Any, g: Any, own: bool = False) -> list[Any]:
            found = [of_value(xp, g) if i else None for i in argnums]  # before its place in g is set to 0
            return [
                c if i else xp.set_at(g, 0.0, key=key, own=own) for i, c in zip(argnums, found, strict=True)
            ]

        return pull


class _LaidOut(Linear):
    """The same entries with another array's layout in memory; of that array nothing is kept."""

    passes = staticmethod(onward)

    def __init__(self) -> None:
        super().__init__("laid_out", lambda xp, x, like: x, lambda xp, g, shape, like: g)

    def pull(self, argnums: Any, answer: Any, values: Any, kwargs: Any) -> Pull:
        return lambda xp, g: (g,)


class _Reshape(Linear):
    passes = staticmethod(onward)


class _ToDevice(Linear):
    """A move to another device: the cotangent moves back."""

    def __init__(self) -> None:
        super().__init__("to_device", lambda xp, x, device: xp.to_device(x, device), _reshape_back)

    def pull(self, argnums: Any, answer: Any, values: Any, kwargs: Any) -> Pull:
        device = device_of(values[0])
        return lambda xp, g: (xp.to_device(g, device),)


MANIPULATION = (
    _Reshape("reshape", _reshape, _reshape_back),
    Linear("expand_dims", _same("expand_dims"), _reshape_back),
    Linear("squeeze", _same("squeeze"), _reshape_back),
    Linear("permute_dims", _same("permute_dims"), _permute),
    Linear("moveaxis", _same("moveaxis"), lambda xp, g, shape, a, b: xp.moveaxis(g, b, a)),
    Linear("flip", _flip, _flip),
    Linear("roll", _same("roll"), _roll_back),
    Linear("broadcast_to", _same("broadcast_to"), _broadcast_back),
    Linear("repeat", _same("repeat"), _repeat_back),
    Linear("tile", _same("tile"), _tile_back),
    _triangle("tril"),
    _triangle("triu"),
    Linear("converted", _same("converted"), lambda xp, g, shape, dtype: g),
    _ToDevice(),
    # Choosing by index, and its transpose: putting into zeros, where repeated positions add up.
    Choosing("getitem", lambda xp, x, key: x[key], _scattered, _given),
    Choosing("item", lambda xp, x, key: xp.item(x, key), _scattered, _given),
    _AddAt(),
    Linear(
        "scatter",
        lambda xp, g, key, shape: xp.scatter(g, key, shape),
        lambda xp, t, _, key, shape: _chosen(xp, t, key),
    ),
    Choosing("take", _same("take"), _take_back, _taken),
    Linear(
        "scatter_add",
        lambda xp, v, index, n: xp.scatter_add(v, index, n),
        lambda xp, t, shape, index, n: xp.take(t, index, axis=0),
    ),
    # z = x + iy, but for infinite y, where the product would make the real part nan: Re(g·i·dy).
    JointlyLinear(
        "from_parts",
        lambda xp, x, y: xp.from_parts(x, y),
        lambda xp, g, i, shapes, fixed: 1j * g if i else g,
    ),
    _LaidOut(),
    _Put(),
    _Concat(),
    JointlyLinear("stack", _stack, _stack_back),
    JointlyLinear("where", lambda xp, c, a, b: xp.where(c, a, b), _where_back, constants=1),
)
