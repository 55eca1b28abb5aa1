"""Each sample's own gradient by the weights of a layer: what Jacobians of networks are made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nnx.autodiff import jvp, vjp
from nnx.autodiff.fused import FusedFunction
from nnx.backend import device_of, namespace

Array = Any
#: by name each sample's gradient by the weights, (n, *shape), for a slice of the samples
Gradients = Callable[[slice], dict[str, Array]]
#: from the gradient by a layer's output: those by its inputs, and those of the samples by the weights
Pullback = Callable[[Array], tuple[Sequence[Array], Gradients]]


def without_weights(part: slice) -> dict[str, Array]:
    """The gradients of a layer that has no weights."""
    return {}


def elementwise_back(f: Callable[[Array], Array], x: Array) -> tuple[Array, Pullback]:
    """``(y, back)`` of y = f(x), a function without weights."""
    function = getattr(f, "function", f)
    if isinstance(function, FusedFunction):
        y, pullback = function.with_pullback(x, **getattr(f, "options", {}))
        return y, lambda g: ((pullback(g),), without_weights)
    y, pull = vjp(f, x)
    return y, lambda g: (pull(g), without_weights)


def by_directions(
    forward: Callable[..., Array],
    p: Mapping[str, Any],
    names: Sequence[str],
    xs: Sequence[Array],
) -> tuple[Array, Pullback]:
    """``(y, back)`` of any layer that does not mix samples: one pass of forward mode for each weight.

    Right for every layer, and slow for many weights: layers with many of them say it better themselves.
    """
    y, pullback = vjp(lambda *xs: forward(p, *xs), *xs)
    moves = {name: _moves(forward, p, name, xs) for name in names}
    several = isinstance(y, tuple)

    def back(g: Any) -> tuple[Sequence[Array], Gradients]:
        if several:
            g = tuple(namespace(a).zeros_like(a) if b is None else b for a, b in zip(y, g, strict=True))

        def gradients(part: slice) -> dict[str, Array]:
            flat = _rows(g, part)
            n, xp = flat.shape[0], namespace(flat)
            found = {}
            for name, columns in moves.items():
                along = [xp.vecdot(flat, _rows(column, part)) for column in columns]
                found[name] = xp.reshape(xp.stack(along, axis=1), (n, *p[name].shape))
            return found

        return pullback(g), gradients

    return y, back


def _rows(values: Any, part: slice) -> Array:
    """A slice of the samples, each as one row; several arrays side by side."""
    arrays = [a[part, ...] for a in (values if isinstance(values, tuple) else (values,))]
    xp = namespace(*arrays)
    rows = [xp.reshape(a, (a.shape[0], -1)) for a in arrays]
    return rows[0] if len(rows) == 1 else xp.concat(rows, axis=1)


def _moves(forward: Any, p: Mapping[str, Any], name: str, xs: Sequence[Array]) -> list[Array]:
    """How the output moves with each entry of a weight."""
    weight = p[name]
    xp, size = namespace(weight), math.prod(weight.shape)
    eye = xp.eye(size, dtype=weight.dtype, device=device_of(weight))
    units = [xp.reshape(eye[i, :], weight.shape) for i in range(size)]
    # The inputs take part, with tangents of zero: layers are written in the functions of x's library.
    still = tuple(namespace(x).zeros_like(x) for x in xs)

    def f(w: Array, *xs: Array) -> Array:
        return forward({**p, name: w}, *xs)

    return [jvp(f, (weight, *xs), (unit, *still))[1] for unit in units]
