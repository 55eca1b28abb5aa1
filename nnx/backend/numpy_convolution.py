"""Convolution of NumPy's arrays: which way is the fastest for which windows."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from nnx.backend import columns, depthwise, winograd
from nnx.backend.ending import Ending, Endings
from nnx.backend.windows import Windows

Array = Any
_TYPES = (np.dtype(np.float32), np.dtype(np.float64))


class NumpyConvolution(Endings):
    """The functions of :class:`nnx.backend.convolution.Convolution` for NumPy's arrays, and with an ending.

    Each is computed in blocks that stay in the cache, spread over the cores, and gives the same bits however
    many there are.
    """

    def convolve(self, x: Array, kernel: Array, bias: Array | None, windows: Windows) -> Array:
        if not _plain(x, kernel, bias):
            return super().convolve(x, kernel, bias, windows)
        return self._ended(x, kernel, Ending(None, bias), windows)

    def convolve_ended(self, x: Array, kernel: Array, ending: Ending, windows: Windows) -> Array:
        factor, offset, _, plus = ending
        outputs = x.shape[0], *windows.outputs, kernel.shape[-1]
        if not _plain(x, kernel, factor, offset, plus) or (plus is not None and plus.shape != outputs):
            return super().convolve_ended(x, kernel, ending, windows)
        return self._ended(x, kernel, ending, windows)

    def _ended(self, x: Array, kernel: Array, ending: Ending, w: Windows) -> Array:
        """The convolution with that ending, in the fastest way."""
        x, kernel = np.ascontiguousarray(x), np.ascontiguousarray(kernel)
        factor, offset, plus = (
            None if a is None else np.ascontiguousarray(a)
            for a in (ending.factor, ending.offset, ending.plus)
        )
        way = _way(x.shape[0], kernel.shape[-2], kernel.shape[-1], x.itemsize, w)
        if plus is None or way is columns:
            return way.forward(x, kernel, Ending(factor, offset, ending.most, plus), w)
        y = way.forward(x, kernel, Ending(factor, offset), w)
        return self.ended(y, Ending(None, None, ending.most, plus))

    def convolve_input(self, g: Array, kernel: Array, windows: Windows) -> Array:
        if not _plain(g, kernel):
            return super().convolve_input(g, kernel, windows)
        g, kernel = np.ascontiguousarray(g), np.ascontiguousarray(kernel)
        way = _way(g.shape[0], kernel.shape[-2], kernel.shape[-1], g.itemsize, windows)
        return way.input_gradient(g, kernel, windows)

    def convolve_kernel(self, x: Array, g: Array, windows: Windows) -> Array:
        if not _plain(x, g):
            return super().convolve_kernel(x, g, windows)
        x, g = np.ascontiguousarray(x), np.ascontiguousarray(g)
        way = _way(x.shape[0], x.shape[-1] // windows.groups, g.shape[-1], x.itemsize, windows)
        return way.kernel_gradient(x, g, windows)


def _plain(*arrays: Array | None) -> bool:
    """Whether all are NumPy's own arrays of one of the types that BLAS multiplies, and none is empty."""
    there = [a for a in arrays if a is not None]
    first = there[0].dtype
    return first in _TYPES and all(type(a) is np.ndarray and a.dtype == first and a.size for a in there)


def _way(n: int, channels: int, filters: int, itemsize: int, w: Windows) -> ModuleType:
    """The module that computes them: ``channels`` are those of one group."""
    if channels == 1 and w.groups > 1:
        return depthwise
    return winograd if winograd.pays(n, channels, filters, itemsize, w) else columns
