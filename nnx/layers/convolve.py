"""Convolution as three functions, each the derivative of the other two.

With x the images, k the kernel, g the gradient by the output, all three are derivatives of the one sum
T(x, k, g) that is linear in each of them (:mod:`nnx.backend.convolution`): the output is ∂T/∂g, the gradient
by the input ∂T/∂x, that by the kernel ∂T/∂k. So the derivatives of each are the other two, to any order.
"""

from __future__ import annotations

import math
from typing import Any

from nnx.autodiff import fused
from nnx.backend import adapter_of
from nnx.backend.convolution import correlated
from nnx.backend.windows import Windows

Array = Any


def _sum_over_places(xp: Any, g: Array) -> Array:
    """The sum over all axes but the last: as a product with ones, which BLAS does faster than a reduction."""
    n = math.prod(g.shape[:-1])
    return xp.ones(n, dtype=g.dtype, device=xp.device_of(g)) @ xp.reshape(g, (n, g.shape[-1]))


def _convolve_reverse(
    xp: Any, g: Array, needs: Any, y: Array, x: Array, kernel: Array, bias: Any, *, windows: Windows
) -> tuple[Any, ...]:
    return (
        convolve_input(g, kernel, windows=windows) if needs[0] else None,
        convolve_kernel(x, g, windows=windows) if needs[1] else None,
        _sum_over_places(xp, g) if needs[2] else None,
    )


def _convolve_forward(
    xp: Any, tangents: Any, y: Array, x: Array, kernel: Array, bias: Any, *, windows: Windows
) -> Array:
    tx, tk, tb = tangents
    terms = (
        None if tx is None else convolve(tx, kernel, None, windows=windows),
        None if tk is None else convolve(x, tk, None, windows=windows),
        None if tb is None else xp.broadcast_to(tb, y.shape),
    )
    first, *others = (term for term in terms if term is not None)
    return sum(others, start=first)


def kernel_rows(xp: Any, x: Array, g: Array, windows: Windows) -> Array:
    """Each sample's own gradient by the kernel, ``(n, *kernel.shape)``."""
    return correlated(xp, x, g, windows, rows=True)


def bias_rows(xp: Any, g: Array) -> Array:
    """Each sample's own gradient by the bias, (n, filters)."""
    return xp.sum(xp.reshape(g, (g.shape[0], -1, g.shape[-1])), axis=1)


def _convolve_samples(
    xp: Any, g: Array, needs: Any, y: Array, x: Array, kernel: Array, bias: Any, *, windows: Windows
) -> tuple[Any, ...]:
    return (
        None,
        kernel_rows(xp, x, g, windows) if needs[1] else None,
        bias_rows(xp, g) if needs[2] else None,
    )


@fused(reverse=_convolve_reverse, forward=_convolve_forward, samples=_convolve_samples, reads=False)
def convolve(x: Array, kernel: Array, bias: Array | None, *, windows: Windows) -> Array:
    """The convolution of the images ``x`` by ``kernel``, plus ``bias`` where there is one.

    Shapes: ``(n, *size, channels)``, ``(*taps, channels / groups, filters)``, (filters,) →
    ``(n, *outputs, filters)``. Source: Keras' ``ops.conv``.
    """
    return adapter_of(x).convolve(x, kernel, bias, windows)


def _input_reverse(
    xp: Any, h: Array, needs: Any, y: Array, g: Array, kernel: Array, *, windows: Windows
) -> tuple[Any, ...]:
    return (
        convolve(h, kernel, None, windows=windows) if needs[0] else None,
        convolve_kernel(h, g, windows=windows) if needs[1] else None,
    )


def _input_forward(xp: Any, tangents: Any, y: Array, g: Array, kernel: Array, *, windows: Windows) -> Array:
    tg, tk = tangents
    terms = (
        None if tg is None else convolve_input(tg, kernel, windows=windows),
        None if tk is None else convolve_input(g, tk, windows=windows),
    )
    first, *others = (term for term in terms if term is not None)
    return sum(others, start=first)


def _input_samples(
    xp: Any, h: Array, needs: Any, y: Array, g: Array, kernel: Array, *, windows: Windows
) -> tuple[Any, ...]:
    return None, kernel_rows(xp, h, g, windows) if needs[1] else None


@fused(reverse=_input_reverse, forward=_input_forward, samples=_input_samples, reads=False)
def convolve_input(g: Array, kernel: Array, *, windows: Windows) -> Array:
    """The transposed convolution of ``g``: the gradient of :func:`convolve` by its input.

    Shapes: ``(n, *outputs, filters)``, ``(*taps, channels / groups, filters)`` → ``(n, *size, channels)``.
    """
    return adapter_of(g).convolve_input(g, kernel, windows)


def _kernel_reverse(
    xp: Any, h: Array, needs: Any, y: Array, x: Array, g: Array, *, windows: Windows
) -> tuple[Any, ...]:
    return (
        convolve_input(g, h, windows=windows) if needs[0] else None,
        convolve(x, h, None, windows=windows) if needs[1] else None,
    )


def _kernel_forward(xp: Any, tangents: Any, y: Array, x: Array, g: Array, *, windows: Windows) -> Array:
    tx, tg = tangents
    terms = (
        None if tx is None else convolve_kernel(tx, g, windows=windows),
        None if tg is None else convolve_kernel(x, tg, windows=windows),
    )
    first, *others = (term for term in terms if term is not None)
    return sum(others, start=first)


@fused(reverse=_kernel_reverse, forward=_kernel_forward, reads=False)
def convolve_kernel(x: Array, g: Array, *, windows: Windows) -> Array:
    """The gradient of :func:`convolve` by its kernel.

    Shapes: ``(n, *size, channels)``, ``(n, *outputs, filters)`` → ``(*taps, channels / groups, filters)``.
    """
    return adapter_of(x).convolve_kernel(x, g, windows)
