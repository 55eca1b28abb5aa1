"""Convolution of each channel by itself on NumPy: the taps' products, added up in blocks in the cache.

``einsum`` multiplies and adds in one pass over memory, of which its inner loop takes what lies side by side.
Where windows move by one pixel, what neighbouring windows see through a tap lies side by side as well: the
weights of a tap are repeated for as many pixels as make the inner loop :data:`WIDE`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from nnx.backend import loops
from nnx.backend.columns import Block, cut, moved, padded, turned
from nnx.backend.ending import Ending
from nnx.backend.numpy_ending import cut_off, offsets
from nnx.backend.team import TEAM
from nnx.backend.windows import Shape, Windows

Array = Any
#: bytes of a block's outputs: where NumPy passes over them again and again, once, and in compiled loops
CACHED, ONCE, LOOPS = 1 << 19, 1 << 21, 1 << 22
#: entries of one inner loop: enough to hide its start, and few enough that all taps' stay in the first cache
WIDE = 512
#: channels from which on the gradient by the kernel is quicker by ``einsum`` than tap by tap
_MANY = 64


def forward(x: Array, kernel: Array, ending: Ending, w: Windows) -> Array:
    """The convolution of ``x`` by ``kernel``, with that ``ending``."""
    x = np.ascontiguousarray(x)  # neighbouring pixels side by side
    n, channels, filters = x.shape[0], x.shape[-1], kernel.shape[-1]
    out = np.empty((n, *w.outputs, filters), x.dtype)
    offset = offsets(ending, filters, x.dtype)
    scaled = kernel if ending.factor is None else kernel * ending.factor
    weights = np.ascontiguousarray(scaled).reshape(-1, channels, filters // channels)
    fast = _loops(x, weights, w)
    columns = [] if fast is not None else [weights[..., j] for j in range(weights.shape[-1])]

    def do(block: Block) -> None:
        target = out[block.images, block.rows]
        if fast is not None:
            fast.forward(x[block.images], block.rows.start, weights, offset, ending.bounds, w, target)
            return
        seen = padded(x, w, block)
        for j, column in enumerate(columns):
            mine = target[..., j :: len(columns)]
            total = mine if len(columns) == 1 else TEAM.buffer("total", mine.shape, x.dtype)
            _add_up(seen, column, w, total)
            if ending.offset is not None or total is not mine:
                np.add(total, offset[j :: len(columns)], out=mine)
        if ending.most is not None:
            cut_off(target, ending.most)

    TEAM.run(do, _blocks(x, out.shape, ONCE if fast is None else LOOPS))
    return out


def input_gradient(g: Array, kernel: Array, w: Windows) -> Array:
    """The gradient by the input."""
    channels, filters = w.groups, kernel.shape[-1]
    if channels == filters and max(w.strides) == 1:
        back, windows = turned(kernel, w)
        return forward(g, back, Ending(), windows)
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
    TEAM.run(do, cut(g.shape[0], 1, image, CACHED if fast is None else LOOPS))
    return out


def kernel_gradient(x: Array, g: Array, w: Windows) -> Array:
    """The gradient by the kernel."""
    x = np.ascontiguousarray(x)
    channels, filters = x.shape[-1], g.shape[-1]
    shape = (math.prod(w.taps), channels, filters // channels)
    fast = _loops(x, np.empty(shape, x.dtype), w)
    once = fast is not None or channels == filters >= _MANY

    def do(block: Block) -> Array:
        seen, some = padded(x, w, block), g[block.images, block.rows]
        found = np.empty(shape, x.dtype)
        if fast is not None:
            fast.kernel_gradient(seen, some, w, found)
            return found
        if once:
            return _sums(seen, some, w, found)
        ones = np.ones(math.prod(some.shape[:-1]), x.dtype)
        for j in range(shape[-1]):
            mine = some[..., j :: shape[-1]]
            one = TEAM.buffer("part", mine.shape, x.dtype)
            for t, part in enumerate(_by_taps(seen, w, mine.shape[1])):
                np.multiply(part, mine, out=one)
                found[t, :, j] = ones @ one.reshape(-1, channels)
        return found

    parts = TEAM.run(do, _blocks(x, g.shape, ONCE if once else CACHED))
    total = parts[0]
    for part in parts[1:]:
        total += part
    return total.reshape(*w.taps, 1, filters)


def _add_up(seen: Array, weights: Array, w: Windows, out: Array) -> None:
    """The products of what the windows see and the weights (taps, channels), added up over the taps."""
    pixels, channels = out.shape[-2:]
    wide = max(1, min(pixels, WIDE // channels)) if w.strides[-1] == 1 else 1
    first = np.repeat(weights.reshape(*w.taps, 1, channels), wide, axis=-2).reshape(*w.taps, -1)
    whole = pixels - pixels % wide
    for start, stop, width in ((0, whole, wide), (whole, pixels, pixels % wide)):
        if start == stop:
            continue
        view = _in_rows(seen, w, out.shape[1:-1], start, width)
        target = out[..., start:stop, :]
        # the view of the target by strides: the last pixels of a row leave no array that reshape takes
        shape = *target.shape[:-2], (stop - start) // width, width * channels
        strides = *target.strides[:-2], target.strides[-2] * width, target.strides[-1]
        axes, taps = list(range(len(shape))), [len(shape) + i for i in range(len(w.taps))]
        seen_axes = [*axes[:-1], *taps, axes[-1]]
        np.einsum(
            view, seen_axes, first[..., : width * channels], [*taps, axes[-1]], axes,
            out=as_strided(target, shape, strides), order="K",
        )  # fmt: skip


def _sums(seen: Array, g: Array, w: Windows, out: Array) -> Array:
    """What windows see through each tap times ``g``, added up over the windows into (taps, channels, 1)."""
    axes = list(range(g.ndim))
    taps = [g.ndim + i for i in range(len(w.taps))]
    view = _in_rows(seen, w, g.shape[1:-1], 0, 1)
    total = out.reshape(*w.taps, -1)
    np.einsum(view, [*axes[:-1], *taps, axes[-1]], g, axes, [*taps, axes[-1]], out=total, order="K")
    return out


def _in_rows(seen: Array, w: Windows, outputs: Shape, start: int, width: int) -> Array:
    """A view (n, *outputs, *taps, width·channels) of what windows see, ``width`` neighbours side by side.

    From the ``start``-th of the last axis on; that axis has a ``width``-th of the outputs, rounded down.
    """
    channels = seen.shape[-1]
    steps = [a * s for a, s in zip(seen.strides[1:-1], w.strides, strict=True)]
    taps = [a * d for a, d in zip(seen.strides[1:-1], w.dilation, strict=True)]
    count = (outputs[-1] - start) // width
    shape = (seen.shape[0], *outputs[:-1], count, *w.taps, width * channels)
    strides = (seen.strides[0], *steps[:-1], steps[-1] * width, *taps, seen.strides[-1])
    return as_strided(seen[..., start * w.strides[-1] :, :], shape, strides, writeable=False)


def _blocks(x: Array, outputs: Shape, cached: int) -> list[Block]:
    return cut(x.shape[0], outputs[1], math.prod(outputs[2:]) * x.itemsize, cached)


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
