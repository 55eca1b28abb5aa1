"""Convolution as three functions, in standard calls: a sum over the taps of the kernel.

The output, the gradient by the input and the gradient by the kernel are the derivatives of one sum over
images i, outputs o and taps t, linear in each of its three arrays:

    Σ x[i, o·stride + t·dilation − before, c] · kernel[t, c, f] · g[i, o, f]

``x`` is ``(n, *size, channels)``, ``kernel`` ``(*taps, channels / groups, filters)``, the output and ``g``
are ``(n, *outputs, filters)``. A library's own adapter may do the same faster.
"""

from __future__ import annotations

from typing import Any

from nnx.backend.windows import Windows

Array = Any
_ALL = slice(None)


class Convolution:
    """The three functions for the arrays of one library."""

    xp: Any

    def convolve(self, x: Array, kernel: Array, bias: Array | None, windows: Windows) -> Array:
        """The convolution of the images ``x`` by ``kernel``, plus the ``bias`` (filters,) if there is one.

        Source: Keras' ``ops.conv``, channels last.
        """
        y = convolved(self.xp, x, kernel, windows)
        return y if bias is None else y + bias

    def convolve_input(self, g: Array, kernel: Array, windows: Windows) -> Array:
        """The gradient by the input: each entry of ``g`` times the kernel, put where its window lies."""
        return spread(self.xp, g, kernel, windows)

    def convolve_kernel(self, x: Array, g: Array, windows: Windows) -> Array:
        """The gradient by the kernel: for each tap the products of what it sees with ``g``, summed."""
        return correlated(self.xp, x, g, windows)


def convolved(xp: Any, x: Array, kernel: Array, windows: Windows) -> Array:
    """The output, tap by tap."""
    padded, total = with_zeros(xp, x, windows), None
    for tap, part in windows.by_taps():
        term = _times(xp, padded[(_ALL, *part, ...)], kernel[(*tap, ...)], windows.groups)
        total = term if total is None else total + term
    return total


def spread(xp: Any, g: Array, kernel: Array, windows: Windows) -> Array:
    """The gradient by the input, tap by tap."""
    channels = kernel.shape[-2] * windows.groups
    out = xp.zeros((g.shape[0], *windows.padded, channels), dtype=g.dtype, device=g.device)
    for tap, part in windows.by_taps():
        place = (_ALL, *part, ...)
        out[place] = out[place] + _back(xp, g, kernel[(*tap, ...)], windows.groups)
    return out[(_ALL, *windows.inside, ...)]


def correlated(xp: Any, x: Array, g: Array, windows: Windows, rows: bool = False) -> Array:
    """The gradient by the kernel, tap by tap; with ``rows`` each one's of the first axis by itself.

    Then there may be further axes between the first and those of the images: they are summed over.
    """
    padded, groups = with_zeros(xp, x, windows), windows.groups
    lead = (_ALL,) * (x.ndim - 1 - len(windows.size))
    n = x.shape[0] if rows else 1
    d = _grouped(xp, xp.reshape(g, (n, -1, g.shape[-1])), groups)
    found = []
    for _, part in windows.by_taps():
        seen = padded[(*lead, *part, ...)]
        seen = _grouped(xp, xp.reshape(seen, (n, -1, seen.shape[-1])), groups)
        if groups == 1:
            found.append(xp.matrix_transpose(seen) @ d)
        else:
            each = xp.matrix_transpose(seen) @ d  # (n, groups, channels of one, filters of one)
            found.append(xp.reshape(xp.permute_dims(each, (0, 2, 1, 3)), (n, each.shape[2], g.shape[-1])))
    stacked = xp.reshape(xp.stack(found, axis=1), (n, *windows.taps, *found[0].shape[1:]))
    return stacked if rows else stacked[0, ...]


def with_zeros(xp: Any, x: Array, windows: Windows) -> Array:
    """``x`` with the zeros of the padding around it."""
    if windows.padded == windows.size:
        return x
    lead = x.shape[: x.ndim - 1 - len(windows.size)]
    out = xp.zeros((*lead, *windows.padded, x.shape[-1]), dtype=x.dtype, device=x.device)
    out[(*(_ALL,) * len(lead), *windows.inside, ...)] = x
    return out


def _times(xp: Any, x: Array, w: Array, groups: int) -> Array:
    """``x`` (..., channels) times the part ``w`` of the kernel that belongs to one tap."""
    if groups == 1:
        return x @ w
    if w.shape[0] == 1:
        each = x[..., None] * xp.reshape(w, (groups, -1))
        return xp.reshape(each, (*x.shape[:-1], w.shape[1]))
    each = xp.reshape(x, (*x.shape[:-1], groups, 1, w.shape[0])) @ _by_group(xp, w, groups)
    return xp.reshape(each, (*x.shape[:-1], w.shape[1]))


def _back(xp: Any, g: Array, w: Array, groups: int) -> Array:
    """``g`` (..., filters) times the transpose of ``w``."""
    if groups == 1:
        return g @ w.T
    if w.shape[0] == 1:
        return xp.sum(xp.reshape(g * w[0, :], (*g.shape[:-1], groups, -1)), axis=-1)
    turned = xp.matrix_transpose(_by_group(xp, w, groups))
    each = xp.reshape(g, (*g.shape[:-1], groups, 1, w.shape[1] // groups)) @ turned
    return xp.reshape(each, (*g.shape[:-1], w.shape[0] * groups))


def _by_group(xp: Any, w: Array, groups: int) -> Array:
    """``w`` (channels of a group, filters) as one matrix for each group."""
    return xp.permute_dims(xp.reshape(w, (w.shape[0], groups, -1)), (1, 0, 2))


def _grouped(xp: Any, a: Array, groups: int) -> Array:
    """``a`` (n, places, channels) as (n, groups, places, channels of one); as it is for one group."""
    if groups == 1:
        return a
    return xp.permute_dims(xp.reshape(a, (*a.shape[:2], groups, -1)), (0, 2, 1, 3))
