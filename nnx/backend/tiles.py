"""The transforms of Winograd's F(2×2, 3×3) in NumPy: see :mod:`nnx.backend.winograd`.

A batch of transformed tiles is (16, tiles, channels): for each of the 16 places of a tile one matrix.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnx.backend.numpy_ending import cut_off
from nnx.backend.team import TEAM

Array = Any


def of_input(x: Array, v: Array) -> None:
    """Bᵀ d B of the tiles d of 4×4, two apart, of images ``x`` (n, 2h + 2, 2w + 2, c), into ``v``."""
    n, height, width, channels = x.shape
    h, w = height // 2 - 1, width // 2 - 1
    v = v.reshape(4, 4, n, h, w, channels)
    one = TEAM.buffer("row", (n, h, width, channels), x.dtype)
    rows = [x[:, i : i + 2 * h : 2] for i in range(4)]
    for i in range(4):
        _difference(rows, i, one)
        columns = [one[:, :, j : j + 2 * w : 2] for j in range(4)]
        for j in range(4):
            _difference(columns, j, v[i, j])


def _difference(d: list[Array], i: int, out: Array) -> None:
    """Row ``i`` of Bᵀ."""
    a, b = ((0, 2), (1, 2), (2, 1), (1, 3))[i]
    (np.add if i == 1 else np.subtract)(d[a], d[b], out=out)


def of_products(m: Array, bias: Array, bounds: tuple[float, float], y: Array) -> None:
    """Aᵀ m A of the products ``m``, plus the ``bias``, into the outputs ``y`` (n, 2h, 2w, filters).

    What is beyond the ``bounds``, the least output and the largest one, becomes these.
    """
    n, height, width, filters = y.shape
    m = m.reshape(4, 4, n, height // 2, width // 2, filters)
    both = TEAM.buffer("row", (4, *m.shape[2:]), m.dtype)
    for i in range(2):
        _output(m, i, both)
        for j in range(2):
            out = y[:, i::2, j::2]
            _output(both, j, out)
            out += bias
            if bounds[0] > -math.inf:
                cut_off(out, bounds[1])


def _output(m: Array, i: int, out: Array) -> None:
    """Row ``i`` of Aᵀ."""
    if i == 0:
        np.add(m[0], m[1], out=out)
        out += m[2]
    else:
        np.subtract(m[1], m[2], out=out)
        out -= m[3]


def of_gradient(g: Array, d: Array) -> None:
    """A g Aᵀ of the outputs' gradients ``g`` (n, 2h, 2w, filters), into ``d``."""
    n, height, width, filters = g.shape
    d = d.reshape(4, 4, n, height // 2, width // 2, filters)
    row = TEAM.buffer("row", (n, height // 2, width, filters), g.dtype)
    for i in range(4):
        _spread(g[:, ::2], g[:, 1::2], i, row)
        for j in range(4):
            _spread(row[:, :, ::2], row[:, :, 1::2], j, d[i, j])


def _spread(a: Array, b: Array, i: int, out: Array) -> None:
    """Row ``i`` of A."""
    if i == 0:
        np.copyto(out, a)
    elif i == 3:
        np.negative(b, out=out)
    else:
        (np.add if i == 1 else np.subtract)(a, b, out=out)


def of_taps(kernel: Array) -> Array:
    """G k Gᵀ of the kernel (3, 3, channels, filters): (16, channels, filters)."""
    channels, filters = kernel.shape[2:]
    u = np.empty((4, 4, channels, filters), kernel.dtype)

    def do(part: slice) -> None:
        some = np.ascontiguousarray(kernel[:, :, part])
        row = np.empty((4, *some.shape[1:]), kernel.dtype)
        _by_g(some, row)
        _by_g(np.swapaxes(row, 0, 1), np.swapaxes(u[:, :, part], 0, 1))

    TEAM.run(do, _parts(channels, filters))
    return u.reshape(16, channels, filters)


def _by_g(k: Array, out: Array) -> None:
    """G along the first axis: k₀, (k₀ + k₁ + k₂) / 2, (k₀ − k₁ + k₂) / 2, k₂."""
    half = (k[0] + k[2]) * 0.5
    middle = k[1] * 0.5
    out[0], out[3] = k[0], k[2]
    np.add(half, middle, out=out[1])
    np.subtract(half, middle, out=out[2])


def gradient_of_taps(d: Array) -> Array:
    """Gᵀ d G of the gradient by :func:`of_taps`'s result: (3, 3, channels, filters)."""
    channels, filters = d.shape[1:]
    row = np.empty((3, 4, channels, filters), d.dtype)
    out = np.empty((3, 3, channels, filters), d.dtype)
    _by_transpose_of_g(d.reshape(4, 4, channels, filters), row)
    _by_transpose_of_g(np.swapaxes(row, 0, 1), np.swapaxes(out, 0, 1))
    return out


def _by_transpose_of_g(d: Array, out: Array) -> None:
    half = (d[1] + d[2]) * 0.5
    np.add(d[0], half, out=out[0])
    np.add(d[3], half, out=out[2])
    np.subtract(d[1], d[2], out=out[1])
    out[1] *= 0.5


def _parts(channels: int, filters: int) -> list[slice]:
    """The channels in parts whose transforms stay in the cache."""
    step = max(1, (1 << 13) // filters)
    return [slice(a, min(a + step, channels)) for a in range(0, channels, step)]
