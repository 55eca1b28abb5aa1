# ruff: noqa: D103 (each is NumPy's function of that name)
"""Convolution and correlation of sequences."""

from __future__ import annotations

from typing import Any

from nnx.autodiff.families import is_complex
from nnx.autodiff.numpy_api.table import arrays, stands_for


@stands_for("convolve")
def convolve(xp: Any, a: Any, v: Any, mode: str = "full") -> Any:
    a, v = arrays(xp, a, v)
    a, v = (xp.reshape(x, (1,)) if x.ndim == 0 else x for x in (a, v))
    if a.shape[0] < v.shape[0]:
        a, v = v, a
    n, m = a.shape[0], v.shape[0]
    return _full(xp, a, v)[_part(n, m, mode, (m - 1) // 2)]


def _part(n: int, m: int, mode: str, before: int) -> slice:
    """The part of the full convolution (n + m − 1 entries, m ≤ n) that a mode keeps."""
    if mode == "full":
        return slice(0, n + m - 1)
    if mode == "valid":
        return slice(m - 1, n)
    if mode != "same":
        raise ValueError(f"mode must be one of 'full', 'same', 'valid', got {mode!r}.")
    return slice(before, before + n)


def _full(xp: Any, a: Any, v: Any) -> Any:
    """The full convolution: the shorter sequence's entries times the longer one, shifted."""
    n, m = a.shape[0], v.shape[0]
    frame = xp.base.zeros((n + 2 * (m - 1),), dtype=a.dtype, device=xp.device_of(a))
    wide = xp.set_at(frame, a, key=slice(m - 1, m - 1 + n)) if m > 1 else a
    total = None
    for j in range(m):
        start = m - 1 - j
        term = v[j] * wide[start : start + n + m - 1]
        total = term if total is None else total + term
    return total


@stands_for("correlate")
def correlate(xp: Any, a: Any, v: Any, mode: str = "valid") -> Any:
    a, v = arrays(xp, a, v)
    n, m = a.shape[0], v.shape[0]
    v = xp.flip(xp.conj(v) if is_complex(xp, v) else v)
    if n >= m:
        return _full(xp, a, v)[_part(n, m, mode, (m - 1) // 2)]
    return _full(xp, v, a)[_part(m, n, mode, n // 2)]
