"""Convolution by kernels of 3×3 with 16 products for four outputs instead of 36: Winograd's F(2×2, 3×3).

A tile d of 4×4 entries gives 2×2 outputs y, for a kernel k, by products entry by entry (⊙):

    y = Aᵀ [(G k Gᵀ) ⊙ (Bᵀ d B)] A

Over all channels each of the 16 products is one of matrices. Transposed, the same identity gives the gradient
by the kernel, Gᵀ [(Bᵀ d B) · (A g Aᵀ)] G for the gradient g by the outputs. The constants are 1, −1 and ½, so
that rounding errors are about those of an ordinary convolution, relative to its largest output. An infinity
or NaN reaches all outputs of its tiles, where it would reach only those whose windows see it.

Source: S. Winograd, "Arithmetic complexity of computations", SIAM, 1980; A. Lavin, S. Gray, "Fast algorithms
for convolutional neural networks", CVPR 2016, section 4.1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nnx.backend import loops, tiles
from nnx.backend.columns import Block, cut, padded, summed
from nnx.backend.ending import Ending
from nnx.backend.numpy_ending import offsets
from nnx.backend.team import TEAM
from nnx.backend.tiles import gradient_of_taps, of_taps
from nnx.backend.windows import Windows

Array = Any
#: how many tiles of a block, at least: then a product of matrices takes longer than what it costs to begin it
TILES = 256
#: where it pays: tiles of a batch, so that the kernel's transform is repaid; channels, for NumPy's transforms
LEAST_TILES, LEAST_CHANNELS = 32, 64
#: bytes of a block's tiles before and after the products
CACHED = 1 << 21


def pays(n: int, channels: int, filters: int, itemsize: int, w: Windows) -> bool:
    """Whether it is possible, and faster than :mod:`nnx.backend.columns`."""
    if not (w.taps == (3, 3) and w.strides == w.dilation == (1, 1) and w.groups == 1):
        return False
    if n * math.prod(w.outputs) < 4 * LEAST_TILES:
        return False
    in_numpy = _transforms(n, channels, filters, itemsize, w) is tiles
    return min(channels, filters) >= (LEAST_CHANNELS if in_numpy else 16)


def forward(x: Array, kernel: Array, ending: Ending, w: Windows) -> Array:
    """The convolution of ``x`` by ``kernel``, with that ``ending``."""
    u = of_taps(kernel)
    if ending.factor is not None:
        u *= ending.factor
    return _convolved(x, u, ending, w)


def input_gradient(g: Array, kernel: Array, w: Windows) -> Array:
    """The gradient by the input: the convolution of ``g`` by the turned kernel."""
    u = of_taps(np.swapaxes(kernel[::-1, ::-1], 2, 3))
    before = tuple(2 - b for b in w.before)
    return _convolved(g, u, Ending(), replace(w, size=w.outputs, outputs=w.size, before=before))


def _convolved(x: Array, u: Array, ending: Ending, w: Windows) -> Array:
    """The convolution by a kernel whose transform is ``u``, the factor of the ``ending`` in it."""
    channels, filters = u.shape[1:]
    out = np.empty((x.shape[0], *w.outputs, filters), x.dtype)
    even, blocks = _tiles(x, w, channels + filters)
    offset, bounds = offsets(ending, filters, x.dtype), ending.bounds
    transforms = _transforms(x.shape[0], channels, filters, x.itemsize, w)

    def do(block: Block) -> None:
        v = _of_input(x, even, block, transforms)
        m = TEAM.buffer("products", (16, v.shape[1], filters), x.dtype)
        np.matmul(v, u, out=m)
        target = out[block.images, block.rows]
        n, rows = target.shape[0], block.rows.stop - block.rows.start
        if target.shape[1:3] == (rows, even.outputs[1]):
            transforms.of_products(m, offset, bounds, target)
        else:
            whole = TEAM.buffer("outputs", (n, rows, even.outputs[1], filters), x.dtype)
            transforms.of_products(m, offset, bounds, whole)
            target[...] = whole[:, : target.shape[1], : target.shape[2]]

    TEAM.run(do, blocks)
    return out


def kernel_gradient(x: Array, g: Array, w: Windows) -> Array:
    """The gradient by the kernel."""
    channels, filters = x.shape[-1], g.shape[-1]
    even, blocks = _tiles(x, w, channels + filters)
    transforms = _transforms(x.shape[0], channels, filters, x.itemsize, w)

    def product(some: Sequence[Block], part: slice) -> Array:
        shape = (16, part.stop - part.start, filters)
        total, one = TEAM.buffer("total", shape, x.dtype), TEAM.buffer("part", shape, x.dtype)
        for k, block in enumerate(some):
            v = _of_input(x[..., part], even, block, transforms)
            d = TEAM.buffer("products", (16, v.shape[1], filters), x.dtype)
            transforms.of_gradient(_evenly(g, even, block), d)
            np.matmul(np.swapaxes(v, 1, 2), d, out=one if k else total)
            if k:
                total += one
        return gradient_of_taps(total)

    return summed(product, blocks, channels)


def _tiles(x: Array, w: Windows, channels: int) -> tuple[Windows, list[Block]]:
    """Windows with an even number of outputs along each axis, and blocks of whole tiles."""
    down, along = (-(-o // 2) for o in w.outputs)
    tile = 16 * channels * x.itemsize
    blocks = cut(x.shape[0], down, along * tile, max(CACHED, TILES * tile))
    doubled = [Block(b.images, slice(2 * b.rows.start, 2 * b.rows.stop)) for b in blocks]
    return replace(w, outputs=(2 * down, 2 * along)), doubled


def _of_input(x: Array, even: Windows, block: Block, transforms: Any) -> Array:
    """The block's tiles of ``x``, transformed: (16, tiles, channels)."""
    seen = padded(x, even, block)
    n, height, width, channels = seen.shape
    v = TEAM.buffer("tiles", (16, n * (height // 2 - 1) * (width // 2 - 1), channels), x.dtype)
    transforms.of_input(seen, v)
    return v


def _evenly(g: Array, even: Windows, block: Block) -> Array:
    """The block's outputs' gradients, with zeros where there are no outputs."""
    some = g[block.images, block.rows]
    shape = (some.shape[0], block.rows.stop - block.rows.start, even.outputs[1], g.shape[-1])
    if some.shape == shape:
        return some
    whole = TEAM.buffer("outputs", shape, g.dtype)
    whole[:, some.shape[1] :] = 0.0
    whole[:, :, some.shape[2] :] = 0.0
    whole[:, : some.shape[1], : some.shape[2]] = some
    return whole


def _transforms(n: int, channels: int, filters: int, itemsize: int, w: Windows) -> Any:
    """The transforms of tiles: compiled ones where Numba is installed, and it pays to load it."""
    fitting = min(channels, filters) * itemsize >= 64
    worth = n * math.prod(w.outputs) * (channels + filters) >= loops.WORTH_COMPILING
    return (loops.compiled("tiles") if fitting and worth else None) or tiles
