"""What becomes of the outputs of a convolution or a product in prediction, in standard calls.

A bias, a normalization by known moments, the sum with another array and a rectifier behind it are one
function of each output: y·factor + offset + plus, cut off. A library's own adapter may compute it while the
outputs are in the cache.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from nnx.backend.convolution import Convolution
from nnx.backend.normalizing import Normalizing
from nnx.backend.windows import Windows

Array = Any


class Ending(NamedTuple):
    """The vectors ``factor`` and ``offset``, an entry for each filter, and where outputs are cut off.

    None stands for ones and zeros; a factor has an offset beside it. With ``most`` outputs below 0 become 0,
    and those above ``most``, which may be infinite, become ``most``; with None nothing is cut off. ``plus``
    is an array of the outputs' shape, added before that.
    """

    factor: Array | None = None
    offset: Array | None = None
    most: float | None = None
    plus: Array | None = None

    @property
    def bounds(self) -> tuple[float, float]:
        """The least output and the largest one."""
        return (-math.inf, math.inf) if self.most is None else (0.0, self.most)


class Endings(Convolution, Normalizing):
    """The functions that end in it, for the arrays of one library; none of them is differentiated."""

    def rectified(self, x: Array, most: float | None = None) -> Array:
        """max(x, 0), and not above ``most``, where that is given."""
        xp = self.xp
        if most is not None:
            return xp.clip(x, 0.0, most)  # one pass where maximum and minimum are two
        # A row of zeros, not the number 0: NumPy's loop over two arrays is four times as fast.
        return xp.maximum(x, xp.zeros_like(x[0, ...]) if x.ndim > 1 and x.shape[0] else 0.0)

    def ended(self, y: Array, ending: Ending) -> Array:
        """The outputs ``y`` (..., filters) with the ending; what ``y`` was may be lost."""
        factor, offset, most, plus = ending
        if factor is not None:
            rows = self.xp.reshape(y, (math.prod(y.shape[:-1]), y.shape[-1]))
            y = self.xp.reshape(self.scaled_columns(rows, None, factor, offset), y.shape)
        elif offset is not None:
            y = y + offset
        y = y if plus is None else y + plus
        return y if most is None else self.rectified(y, most if most < math.inf else None)

    def convolve_ended(self, x: Array, kernel: Array, ending: Ending, windows: Windows) -> Array:
        """The convolution of the images ``x`` by ``kernel`` with the ending."""
        return self.ended(self.convolve(x, kernel, None, windows), ending)
