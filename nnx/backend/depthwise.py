"""Convolution of each channel by itself on NumPy: the taps' products, added up in blocks in the cache.

The weights of a tap are repeated for each pixel of a row: where windows move by one pixel, what a row of them
sees through a tap lies side by side in memory, and a product of the two runs through both without a step.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnx.backend import loops
from nnx.backend.columns import Block, cut, moved, padded, turned
from nnx.backend.team import TEAM
from nnx.backend.windows import Shape, Windows

Array = Any
#: bytes of a block's outputs: where NumPy passes over them again and again, and in compiled loops
CACHED, COMPILED = 1 << 19, 1 << 22


def forward(x: Array, kernel: Array, bias: Array | None, w: Windows) -> Array:
    """The convolution of ``x`` by ``kernel``, plus ``bias``."""
    n, channels, filters = x.shape[0], x.shape[-1], kernel.shape[-1]
    out = np.empty((n, *w.outputs, filters), x.dtype)
    offset = np.zeros(filters, x.dtype) if bias is None else bias
    weights = np.ascontiguousarray(kernel).reshape(-1, channels, filters // channels)
    fast = _loops(x, weights, w)
    rows = [_in_a_row(weights[..., j], w) for j in range(weights.shape[-1])] if fast is None else []

    def do(block: Block) -> None:
        seen, target = padded(x, w, block), out[block.images, block.rows]
        if fast is not None:
            fast.forward(seen, weights, offset, w, target)
            return
        for j, row in enumerate(rows):
            mine = target[..., j :: len(rows)]
            total, one = (TEAM.buffer(name, mine.shape, x.dtype) for name in ("total", "part"))
            for t, part in enumerate(_by_taps(seen, w, mine.shape[1])):
                np.multiply(part, row[t], out=one if t else total)
                if t:
                    total += one
            np.add(total, offset[j :: len(rows)], out=mine)

    TEAM.run(do, _blocks(x, out.shape, fast))
    return out


def input_gradient(g: Array, kernel: Array, w: Windows) -> Array:
    """The gradient by the input."""
    channels, filters = w.groups, kernel.shape[-1]
    if channels == filters and max(w.strides) == 1:
        back, windows = turned(kernel, w)
        return forward(g, back, None, windows)
    out = np.empty((g.shape[0], *w.size, channels), g.dtype)
    weights = np.ascontiguousarray(kernel).reshape(-1, channels, filters // channels)
    fast = None if channels * g.itemsize % 64 else _loops(g, weights, w)
    rows = [_in_a_row(weights[..., j], w) for j in range(weights.shape[-1])] if fast is None else []

    def do(block: Block) -> None:
        some = g[block.images]
        whole = TEAM.buffer("padded", (some.shape[0], *w.padded, channels), g.dtype)
        whole[...] = 0.0
        one = TEAM.buffer("part", (*some.shape[:-1], channels), g.dtype)
        if fast is not None:
            fast.spread(some, weights[..., 0], w, whole)
        for j, row in enumerate(rows):
            for t, (_, place) in enumerate(w.by_taps()):
                target = whole[(slice(None), *place)]
                np.multiply(some[..., j :: len(rows)], row[t], out=one)
                target += one
        out[block.images] = whole[(slice(None), *w.inside)]

    image = math.prod(w.padded) * channels * g.itemsize
    TEAM.run(do, cut(g.shape[0], 1, image, CACHED if fast is None else COMPILED))
    return out


def kernel_gradient(x: Array, g: Array, w: Windows) -> Array:
    """The gradient by the kernel."""
    channels, filters = x.shape[-1], g.shape[-1]
    shape = (math.prod(w.taps), channels, filters // channels)
    fast = _loops(x, np.empty(shape, x.dtype), w)

    def do(block: Block) -> Array:
        seen, some = padded(x, w, block), g[block.images, block.rows]
        found = np.empty(shape, x.dtype)
        if fast is not None:
            fast.kernel_gradient(seen, some, w, found)
            return found
        ones = np.ones(math.prod(some.shape[:-1]), x.dtype)
        for j in range(shape[-1]):
            mine = some[..., j :: shape[-1]]
            one = TEAM.buffer("part", mine.shape, x.dtype)
            for t, part in enumerate(_by_taps(seen, w, mine.shape[1])):
                np.multiply(part, mine, out=one)
                found[t, :, j] = ones @ one.reshape(-1, channels)
        return found

    parts = TEAM.run(do, _blocks(x, g.shape, fast))
    total = parts[0]
    for part in parts[1:]:
        total += part
    return total.reshape(*w.taps, 1, filters)


def _blocks(x: Array, outputs: Shape, fast: Any) -> list[Block]:
    row = math.prod(outputs[2:]) * x.itemsize
    return cut(x.shape[0], outputs[1], row, CACHED if fast is None else COMPILED)


def _by_taps(seen: Array, w: Windows, rows: int) -> list[Array]:
    """What a block's windows see through each tap."""
    block = Block(slice(0, 0), slice(0, rows))
    return [seen[(slice(None), moved(place[0], block, w), *place[1:])] for _, place in w.by_taps()]


def _in_a_row(weights: Array, w: Windows) -> Array:
    """The weights (taps, channels) of each tap repeated along a row of outputs, if blocks have whole rows."""
    pixels = w.outputs[-1] if len(w.outputs) > 1 else 1
    shape = (weights.shape[0], pixels, weights.shape[1])
    return np.ascontiguousarray(np.broadcast_to(weights[:, None], shape))


def _loops(x: Array, weights: Array, w: Windows) -> Any:
    """The compiled loops, where Numba is installed and they do these windows of arrays of ``x``'s size."""
    fitting = weights.shape[-1] == 1 and w.taps == (3, 3) and x.shape[-1] * x.itemsize >= 64
    return loops.compiled("depthwise") if fitting and x.size >= loops.WORTH_COMPILING else None
