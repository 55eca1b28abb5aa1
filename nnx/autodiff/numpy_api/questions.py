# ruff: noqa: D103 (each is NumPy's function of that name)
"""Tests of arrays, for libraries without NumPy's own functions."""

from __future__ import annotations

from typing import Any

from nnx.autodiff.array import plain
from nnx.autodiff.numpy_api.table import arrays, stands_for


@stands_for("isclose")
def isclose(xp: Any, a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    a, b = plain(arrays(xp, a, b))
    base = xp.base
    close = base.abs(a - b) <= atol + rtol * base.abs(b)
    same = base.equal(a, b)
    if equal_nan:
        same = same | (base.isnan(a) & base.isnan(b))
    return base.where(base.isfinite(a) & base.isfinite(b), close, same)


@stands_for("allclose")
def allclose(
    xp: Any, a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    return bool(xp.base.all(isclose(xp, a, b, rtol, atol, equal_nan)))


@stands_for("array_equal")
def array_equal(xp: Any, a1: Any, a2: Any, equal_nan: bool = False) -> bool:
    a1, a2 = plain(arrays(xp, a1, a2))
    return tuple(a1.shape) == tuple(a2.shape) and allclose(xp, a1, a2, 0.0, 0.0, equal_nan)


@stands_for("iscomplexobj")
def iscomplexobj(xp: Any, x: Any) -> bool:
    return bool(xp.base.isdtype(x.dtype, "complex floating"))


@stands_for("isrealobj")
def isrealobj(xp: Any, x: Any) -> bool:
    return not iscomplexobj(xp, x)
