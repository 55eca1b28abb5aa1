"""Convolution on NumPy as products of matrices: what windows see, copied side by side (im2col), in blocks.

A block is a few images, or a few rows of one, so that its copy stays in a core's cache; the copy of the whole
batch, as many times larger than it as the kernel has taps, never exists.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from nnx.backend.ending import Ending
from nnx.backend.numpy_ending import over
from nnx.backend.team import TEAM
from nnx.backend.windows import Windows

Array = Any
#: bytes of a block's copy; and below which a block is not worth a thread
CACHED, SMALL = 1 << 21, 1 << 16
#: bytes of a block of factors and products, where nothing is copied
PRODUCTS = 1 << 19
#: channels of a part of the kernel's gradient, at least; and how many shares of it there are, about
CHANNELS, SHARES = 64, 8


@dataclass(frozen=True)
class Block:
    """Some images, and some places along the first axis of their outputs."""

    images: slice
    rows: slice


def cut(n: int, rows: int, bytes_of_row: int, cached: int = CACHED) -> list[Block]:
    """Blocks of ``n`` images of so many ``rows`` of outputs: cut the same way on every machine.

    At least four where there is enough to do, in shares that are equal for two cores and for four.
    """
    image = max(rows * bytes_of_row, 1)
    pieces = max(-(-image // cached), -(-min(4, n * image // SMALL) // n))
    if pieces > 1:
        inner = _evenly(rows, min(pieces, rows))
        return [Block(slice(i, i + 1), part) for i in range(n) for part in inner]
    count = -(-n // max(1, min(cached, n * image // 4) // image))
    return [Block(part, slice(0, rows)) for part in _evenly(n, min(n, -(-count // 4) * 4))]


def _evenly(n: int, count: int) -> list[slice]:
    """0 … n − 1 in ``count`` parts."""
    ends = [n * i // count for i in range(count + 1)]
    return [slice(a, b) for a, b in pairwise(ends)]


def padded(x: Array, w: Windows, block: Block) -> Array:
    """What the block's windows see of ``x``, with zeros around it where they see beyond."""
    start = block.rows.start * w.strides[0] - w.before[0]
    length = (block.rows.stop - block.rows.start - 1) * w.strides[0] + w.reach[0]
    spans = [(start, start + length)]
    spans += [
        (-b, s * (o - 1) + r - b)
        for b, s, o, r in zip(w.before[1:], w.strides[1:], w.outputs[1:], w.reach[1:], strict=True)
    ]
    # none of the image where a block sees zeros alone
    inside = tuple(
        slice(min(max(a, 0), n), max(min(b, n), 0)) for (a, b), n in zip(spans, w.size, strict=True)
    )
    seen = x[(block.images, *inside)]
    shape = (seen.shape[0], *(b - a for a, b in spans), x.shape[-1])
    if shape == seen.shape:
        return seen
    out = TEAM.buffer("padded", shape, x.dtype)
    out[...] = 0.0
    place = tuple(slice(i.start - a, i.stop - a) for i, (a, _) in zip(inside, spans, strict=True))
    out[(slice(None), *place)] = seen
    return out


def side_by_side(seen: Array, w: Windows, rows: int) -> Array:
    """For each output of a block what its window sees of ``seen``, one row of a matrix each."""
    outputs, channels = (rows, *w.outputs[1:]), seen.shape[-1]
    n, along, (*_, inner) = seen.shape[0], seen.strides[1:-1], seen.strides
    shape = (n, *outputs, *w.taps, channels)
    if math.prod(w.taps) == 1 and seen.flags.c_contiguous and seen.shape[1:-1] == outputs:
        return seen.reshape(-1, channels)
    view = as_strided(
        seen,
        shape,
        (
            seen.strides[0],
            *(s * step for s, step in zip(along, w.strides, strict=True)),
            *(s * step for s, step in zip(along, w.dilation, strict=True)),
            inner,
        ),
        writeable=False,
    )
    columns = TEAM.buffer("columns", shape, seen.dtype)
    np.copyto(columns, view)
    return columns.reshape(n * math.prod(outputs), -1)


def _bytes_of_row(w: Windows, channels: int, dtype: Any) -> int:
    return math.prod((*w.outputs[1:], *w.taps)) * channels * int(dtype.itemsize)


def _group(a: Array, i: int, groups: int) -> Array:
    """The channels of group ``i``."""
    n = a.shape[-1] // groups
    return a if groups == 1 else a[..., i * n : (i + 1) * n]


def forward(x: Array, kernel: Array, ending: Ending, w: Windows) -> Array:
    """The convolution of ``x`` by ``kernel``, with that ``ending``."""
    filters = kernel.shape[-1]
    out = np.empty((x.shape[0], *w.outputs, filters), x.dtype)
    matrix = kernel.reshape(-1, filters)
    end = over(ending, w.outputs[-1] if len(w.outputs) > 1 else 1, filters, out.size, x.dtype)

    def do(block: Block) -> None:
        seen, rows = padded(x, w, block), block.rows.stop - block.rows.start
        target = out[block.images, block.rows]
        flat = target.reshape(-1, filters)
        for i in range(w.groups):
            columns = side_by_side(_group(seen, i, w.groups), w, rows)
            np.matmul(columns, _group(matrix, i, w.groups), out=_group(flat, i, w.groups))
        end(target, None if ending.plus is None else ending.plus[block.images, block.rows])

    TEAM.run(do, _blocks_of(x, filters, w))
    return out


def _blocks_of(x: Array, filters: int, w: Windows) -> list[Block]:
    """Blocks for :func:`forward`, whose copies stay in the cache, or its outputs where nothing is copied."""
    if math.prod(w.taps) > 1:
        return cut(x.shape[0], w.outputs[0], _bytes_of_row(w, x.shape[-1], x.dtype))
    row = math.prod(w.outputs[1:]) * (x.shape[-1] + filters) * x.itemsize
    return cut(x.shape[0], w.outputs[0], row, PRODUCTS)


def kernel_gradient(x: Array, g: Array, w: Windows) -> Array:
    """The gradient by the kernel: products of the same copies with ``g``."""
    channels, filters = x.shape[-1] // w.groups, g.shape[-1]
    taps = math.prod(w.taps)

    def product(some: Sequence[Block], part: slice) -> Array:
        shape = (taps * (part.stop - part.start), filters)
        total, one = np.empty(shape, x.dtype), TEAM.buffer("part", shape, x.dtype)
        for k, block in enumerate(some):
            out = one if k else total
            seen, rows = padded(x, w, block), block.rows.stop - block.rows.start
            flat = g[block.images, block.rows].reshape(-1, filters)
            for i in range(w.groups):
                columns = side_by_side(_group(seen, i, w.groups)[..., part], w, rows)
                np.matmul(columns.T, _group(flat, i, w.groups), out=_group(out, i, w.groups))
            if k:
                total += one
        return total.reshape(*w.taps, -1, filters)

    blocks = cut(x.shape[0], w.outputs[0], _bytes_of_row(w, x.shape[-1], x.dtype))
    return summed(product, blocks, channels)


def summed(product: Any, blocks: Sequence[Block], channels: int) -> Array:
    """The kernel's gradient from ``product(blocks, channels)``: what blocks bring to some channels' part.

    How it is shared out, and the order of the sums, depend on the shapes alone, not on how many cores there
    are. Channels are shared first: their parts need not be added.
    """
    parts = max(1, channels // CHANNELS)
    shares = _evenly(len(blocks), min(len(blocks), max(1, SHARES // parts)))
    tasks = [(blocks[share], part) for share in shares for part in _evenly(channels, parts)]
    found = TEAM.run(lambda task: product(*task), tasks)
    whole = [np.concatenate(found[i : i + parts], axis=-2) for i in range(0, len(found), parts)]
    total = whole[0]
    for other in whole[1:]:
        total += other
    return total


def turned(kernel: Array, w: Windows) -> tuple[Array, Windows]:
    """The kernel and the windows with which the gradient by the input is a convolution of that by the output.

    For windows that move by one place at a time.
    """
    rank, (channels, filters) = len(w.taps), kernel.shape[-2:]
    back = kernel[(slice(None, None, -1),) * rank].reshape(*w.taps, channels, w.groups, -1)
    back = np.swapaxes(back, rank, rank + 2).reshape(*w.taps, filters // w.groups, -1)
    before = tuple(r - 1 - b for r, b in zip(w.reach, w.before, strict=True))
    return back, replace(w, size=w.outputs, outputs=w.size, before=before)


def input_gradient(g: Array, kernel: Array, w: Windows) -> Array:
    """The gradient by the input: a convolution where windows move by one place, else :func:`spread`."""
    if max(w.strides) > 1:
        return spread(g, kernel, w)
    back, windows = turned(kernel, w)
    return forward(g, back, Ending(), windows)


def spread(g: Array, kernel: Array, w: Windows) -> Array:
    """The gradient by the input: one product for all taps, and each tap's part added where it belongs."""
    n, channels, each = g.shape[0], kernel.shape[-2] * w.groups, kernel.shape[-2]
    out = np.empty((n, *w.size, channels), g.dtype)
    taps = math.prod(w.taps)
    matrix = kernel.reshape(-1, kernel.shape[-1]).T
    row = math.prod(w.outputs[1:]) * taps * each * g.dtype.itemsize

    def do(block: Block) -> None:
        whole = TEAM.buffer("padded", (block.images.stop - block.images.start, *w.padded, channels), g.dtype)
        whole[...] = 0.0
        for piece in cut(1, w.outputs[0], row * whole.shape[0]):
            some = g[block.images, piece.rows]
            flat = some.reshape(-1, g.shape[-1])
            columns = TEAM.buffer("columns", (flat.shape[0], taps * each), g.dtype)
            parts = columns.reshape(*some.shape[:-1], taps, each)
            for i in range(w.groups):
                np.matmul(_group(flat, i, w.groups), _rows(matrix, i, w.groups), out=columns)
                for t, (_, place) in enumerate(w.by_taps()):
                    target = _group(whole[(slice(None), moved(place[0], piece, w), *place[1:])], i, w.groups)
                    target += parts[..., t, :]
        out[block.images] = whole[(slice(None), *w.inside)]

    TEAM.run(do, cut(n, 1, w.outputs[0] * row))
    return out


def moved(place: slice, piece: Block, w: Windows) -> slice:
    """Those rows of a tap's ``place`` that belong to the outputs of a piece of the image."""
    start, last = (place.start + i * w.strides[0] for i in (piece.rows.start, piece.rows.stop - 1))
    return slice(start, last + 1, w.strides[0])


def _rows(matrix: Array, i: int, groups: int) -> Array:
    n = matrix.shape[0] // groups
    return matrix[i * n : (i + 1) * n]
