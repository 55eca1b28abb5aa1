"""Windows that are pooled, with derivatives of every order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnx.autodiff import fused
from nnx.autodiff.array import raw
from nnx.backend import adapter_of
from nnx.backend.pooling import Window
from nnx.errors import ShapeError
from nnx.layers.space import windows_along
from nnx.layers.symbols import Shape

Array = Any
Windows = tuple[Window, ...]


# -- windows --------------------------------------------------------------------------------------------


def windows_of(where: str, lengths: Shape, sizes: Shape, strides: Shape, padding: str) -> Windows:
    """The windows along each axis: inside it (``"valid"``), or ⌈length / stride⌉ of them (``"same"``).

    Raises :class:`nnx.errors.ShapeError` for windows that do not fit inside.
    """
    found = []
    for length, size, stride in zip(lengths, sizes, strides, strict=True):
        placed = windows_along(length, size, stride, padding)
        if placed is None:
            raise ShapeError(
                f"{where}: windows of {sizes} cells do not fit into samples of {lengths}. Make them smaller, "
                "or use padding='same'."
            )
        found.append(Window(length, size, stride, *placed))
    return tuple(found)


# -- pooling, with derivatives of every order -----------------------------------------------------------
#
# A maximum chooses entries of x. Which ones follows from x and y, held constant: so the tangent and the
# cotangent are linear, and each the other's transpose.


def _linear(transpose: Callable[..., Array]) -> Callable[[Callable[..., Array]], Callable[..., Array]]:
    """Decorator of a function that is linear in its first argument, with its transpose for the cotangents."""

    def wrap(function: Callable[..., Array]) -> Callable[..., Array]:
        def reverse(
            xp: Any, g: Array, needs: Any, y: Array, x: Array, *fixed: Array, windows: Windows
        ) -> Any:
            return (transpose(g, *fixed, windows=windows), *(None for _ in fixed))

        def forward(xp: Any, tangents: Any, y: Array, x: Array, *fixed: Array, windows: Windows) -> Array:
            return made(tangents[0], *fixed, windows=windows)

        made = fused(reverse=reverse, forward=forward, samples=True, reads=False)(function)
        return made

    return wrap


@_linear(lambda g, x, y, *, windows: from_maxima(g, x, y, windows=windows))
def at_maxima(t: Array, x: Array, y: Array, *, windows: Windows) -> Array:
    """The entries of ``t`` where the windows of ``x`` have their maxima ``y``."""
    return adapter_of(t).at_maxima(t, x, y, windows)


@_linear(at_maxima)
def from_maxima(g: Array, x: Array, y: Array, *, windows: Windows) -> Array:
    """The entries of ``g`` added up where the windows of ``x`` have their maxima ``y``."""
    return adapter_of(g).from_maxima(g, x, y, windows)


def _max_pool_back(xp: Any, g: Array, needs: Any, y: Array, x: Array, *, windows: Windows) -> tuple[Array]:
    return (from_maxima(g, raw(x), raw(y), windows=windows),)


def _max_pool_forward(xp: Any, tangents: Any, y: Array, x: Array, *, windows: Windows) -> Array:
    return at_maxima(tangents[0], raw(x), raw(y), windows=windows)


@fused(reverse=_max_pool_back, forward=_max_pool_forward, samples=True)
def max_pool(x: Array, *, windows: Windows) -> Array:
    """The largest entry of each window; of several equal ones the first is differentiated."""
    return adapter_of(x).max_pool(x, windows)


@_linear(lambda g, *, windows: from_means(g, windows=windows))
def mean_pool(x: Array, *, windows: Windows) -> Array:
    """The mean of the entries in each window."""
    return adapter_of(x).mean_pool(x, windows)


@_linear(mean_pool)
def from_means(g: Array, *, windows: Windows) -> Array:
    """Each entry of ``g`` shared out to the cells of its window."""
    return adapter_of(g).from_means(g, windows)
