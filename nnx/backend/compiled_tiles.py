"""The transforms of :mod:`nnx.backend.tiles` in compiled loops, each in one pass.

Imported only where Numba is installed. The compiled code is cached on disk. A place (a tile, a pixel) has at
least as many channels as a vector has lanes; where their number is no multiple of it, the last vector begins
earlier and computes some channels again.
"""

from __future__ import annotations

from typing import Any

import numba

from nnx.backend.vectors import BYTES, between, load, store

Array = Any


def address(x: Array) -> int:
    """Where in memory the first entry of an array lies."""
    return int(x.__array_interface__["data"][0])


def of_input(x: Array, v: Array) -> None:
    """As :func:`nnx.backend.tiles.of_input`."""
    n, height, width, channels = x.shape
    _of_input(
        address(x), x.strides, n, height // 2 - 1, width // 2 - 1, channels * x.itemsize, address(v),
        x.dtype.type(0),
    )  # fmt: skip


def of_products(m: Array, bias: Array, bounds: tuple[float, float], y: Array) -> None:
    """As :func:`nnx.backend.tiles.of_products`."""
    n, height, width, filters = y.shape
    _of_products(
        address(m), address(bias), address(y), y.strides, n, height // 2, width // 2,
        filters * y.itemsize, y.dtype.type(bounds[0]), y.dtype.type(bounds[1]),
    )  # fmt: skip


def of_gradient(g: Array, d: Array) -> None:
    """As :func:`nnx.backend.tiles.of_gradient`."""
    n, height, width, filters = g.shape
    _of_gradient(
        address(g), g.strides, n, height // 2, width // 2, filters * g.itemsize, address(d), g.dtype.type(0)
    )


@numba.njit(error_model="numpy", nogil=True, cache=True)
def _of_input(
    x: Any, strides: Any, n: Any, h: Any, w: Any, length: Any, v: Any, like: Any
) -> None:  # pragma: no cover
    image, row, pixel, _ = strides
    step = n * h * w * length
    for t in range(n * h * w):
        tile = x + t // (h * w) * image + t // w % h * 2 * row + t % w * 2 * pixel
        at = 0
        while at < length:
            at = min(at, length - BYTES)
            p, q = tile + at, v + t * length + at
            a0, a1, a2, a3 = (
                load(p, like), load(p + pixel, like), load(p + 2 * pixel, like), load(p + 3 * pixel, like)
            )  # fmt: skip
            p += row
            b0, b1, b2, b3 = (
                load(p, like), load(p + pixel, like), load(p + 2 * pixel, like), load(p + 3 * pixel, like)
            )  # fmt: skip
            p += row
            c0, c1, c2, c3 = (
                load(p, like), load(p + pixel, like), load(p + 2 * pixel, like), load(p + 3 * pixel, like)
            )  # fmt: skip
            p += row
            d0, d1, d2, d3 = (
                load(p, like), load(p + pixel, like), load(p + 2 * pixel, like), load(p + 3 * pixel, like)
            )  # fmt: skip
            _differences(q, step, a0 - c0, a1 - c1, a2 - c2, a3 - c3)
            _differences(q + 4 * step, step, b0 + c0, b1 + c1, b2 + c2, b3 + c3)
            _differences(q + 8 * step, step, c0 - b0, c1 - b1, c2 - b2, c3 - b3)
            _differences(q + 12 * step, step, b0 - d0, b1 - d1, b2 - d2, b3 - d3)
            at += BYTES


@numba.njit(error_model="numpy", nogil=True, cache=True)
def _differences(q: Any, step: Any, a: Any, b: Any, c: Any, d: Any) -> None:  # pragma: no cover
    store(q, a - c)
    store(q + step, b + c)
    store(q + 2 * step, c - b)
    store(q + 3 * step, b - d)


@numba.njit(error_model="numpy", nogil=True, cache=True)
def _of_products(
    m: Any, bias: Any, y: Any, strides: Any, n: Any, h: Any, w: Any, length: Any, least: Any, most: Any
) -> None:  # pragma: no cover
    like = least
    image, row, pixel, _ = strides
    step = n * h * w * length
    for t in range(n * h * w):
        tile = y + t // (h * w) * image + t // w % h * 2 * row + t % w * 2 * pixel
        at = 0
        while at < length:
            at = min(at, length - BYTES)
            p, q, offset = m + t * length + at, tile + at, load(bias + at, like)
            a0, b0 = _pair(p, 4 * step, like)
            a1, b1 = _pair(p + step, 4 * step, like)
            a2, b2 = _pair(p + 2 * step, 4 * step, like)
            a3, b3 = _pair(p + 3 * step, 4 * step, like)
            store(q, between(a0 + a1 + a2 + offset, least, most))
            store(q + pixel, between(a1 - a2 - a3 + offset, least, most))
            store(q + row, between(b0 + b1 + b2 + offset, least, most))
            store(q + row + pixel, between(b1 - b2 - b3 + offset, least, most))
            at += BYTES


@numba.njit(error_model="numpy", nogil=True, cache=True)
def _pair(p: Any, step: Any, like: Any) -> Any:  # pragma: no cover
    a, b, c, d = load(p, like), load(p + step, like), load(p + 2 * step, like), load(p + 3 * step, like)
    return a + b + c, b - c - d


@numba.njit(error_model="numpy", nogil=True, cache=True)
def _of_gradient(
    g: Any, strides: Any, n: Any, h: Any, w: Any, length: Any, d: Any, like: Any
) -> None:  # pragma: no cover
    image, row, pixel, _ = strides
    step = n * h * w * length
    for t in range(n * h * w):
        tile = g + t // (h * w) * image + t // w % h * 2 * row + t % w * 2 * pixel
        at = 0
        while at < length:
            at = min(at, length - BYTES)
            p, q = tile + at, d + t * length + at
            a, b = load(p, like), load(p + pixel, like)
            c, e = load(p + row, like), load(p + row + pixel, like)
            _spread(q, step, a, b)
            _spread(q + 4 * step, step, a + c, b + e)
            _spread(q + 8 * step, step, a - c, b - e)
            _spread(q + 12 * step, step, c - (c + c), e - (e + e))
            at += BYTES


@numba.njit(error_model="numpy", nogil=True, cache=True)
def _spread(q: Any, step: Any, a: Any, b: Any) -> None:  # pragma: no cover
    store(q, a)
    store(q + step, a + b)
    store(q + 2 * step, a - b)
    store(q + 3 * step, b - (b + b))
