# ruff: noqa: D103 (each is NumPy's function of that name)
"""Polynomials by their coefficients, the highest power first."""

from __future__ import annotations

from typing import Any

from nnx.autodiff.array import plain
from nnx.autodiff.numpy_api.choosing import diag
from nnx.autodiff.numpy_api.linalg import lstsq
from nnx.autodiff.numpy_api.shapes import trim_zeros
from nnx.autodiff.numpy_api.signals import convolve
from nnx.autodiff.numpy_api.table import array, arrays, double, flat, refuse, stands_for


@stands_for("polyval")
def polyval(xp: Any, p: Any, x: Any) -> Any:
    p, x = arrays(xp, p, x)
    y = xp.zeros_like(x)
    for i in range(p.shape[0]):
        y = y * x + p[i]
    return y


@stands_for("vander")
def vander(xp: Any, x: Any, N: int | None = None, increasing: bool = False) -> Any:  # noqa: N803
    n = x.shape[0] if N is None else N
    x = double(xp, x)
    powers = [xp.ones_like(x)]
    for _ in range(1, n):
        powers.append(powers[-1] * x)
    return xp.stack(powers[:n] if increasing else powers[:n][::-1], axis=1)


def _added(xp: Any, a1: Any, a2: Any, sign: float) -> Any:
    a1, a2 = (flat(xp, x) for x in arrays(xp, a1, a2))
    a1, a2 = (xp.reshape(x, (-1,)) for x in (a1, a2))
    n = max(a1.shape[0], a2.shape[0])

    def filled(x: Any) -> Any:
        zeros = xp.base.zeros((n - x.shape[0],), dtype=x.dtype, device=xp.device_of(x))
        return xp.concat([zeros, x], axis=0) if x.shape[0] < n else x

    return filled(a1) + sign * filled(a2)


@stands_for("polyadd")
def polyadd(xp: Any, a1: Any, a2: Any) -> Any:
    return _added(xp, a1, a2, 1.0)


@stands_for("polysub")
def polysub(xp: Any, a1: Any, a2: Any) -> Any:
    return _added(xp, a1, a2, -1.0)


@stands_for("polymul")
def polymul(xp: Any, a1: Any, a2: Any) -> Any:
    parts = [trim_zeros(xp, xp.reshape(x, (-1,)), "f") for x in arrays(xp, a1, a2)]
    return convolve(xp, *parts)


@stands_for("polyder")
def polyder(xp: Any, p: Any, m: int = 1) -> Any:
    p = double(xp, array(xp, p)) if m else array(xp, p)
    for _ in range(m):
        n = p.shape[0] - 1
        p = p[:-1] * xp.base.arange(n, 0, -1, dtype=p.dtype, device=xp.device_of(p))
    return p


@stands_for("polyint")
def polyint(xp: Any, p: Any, m: int = 1, k: Any = None) -> Any:
    p = double(xp, array(xp, p)) if m else array(xp, p)
    constants = [0.0] * m if k is None else list(k) if hasattr(k, "__len__") else [k] * m
    for constant in constants * (m if len(constants) == 1 else 1):
        n = p.shape[0]
        divided = p / xp.base.arange(n, 0, -1, dtype=p.dtype, device=xp.device_of(p))
        p = xp.concat([divided, xp.reshape(array(xp, constant, p), (1,))], axis=0)
    return p


@stands_for("poly")
def poly(xp: Any, seq_of_zeros: Any) -> Any:
    zeros = array(xp, seq_of_zeros)
    if zeros.ndim != 1:
        refuse("poly", "the characteristic polynomial needs eigenvalues", "Give the zeros themselves.")
    p = xp.ones_like(zeros[:1])
    for i in range(zeros.shape[0]):
        p = convolve(xp, p, xp.stack([xp.ones_like(zeros[i]), -zeros[i]]))
    return p


@stands_for("polyfit")
def polyfit(
    xp: Any, x: Any, y: Any, deg: int, rcond: Any = None, full: bool = False, w: Any = None, cov: Any = False
) -> Any:
    if full or cov:
        refuse("polyfit", "full= and cov= have no derivative in nnx", "Compute them from the residuals.")
    x, y = arrays(xp, x, y)
    a = vander(xp, x, deg + 1)
    if w is not None:
        w = array(xp, w, x)
        a, y = a * xp.expand_dims(w, axis=1), y * (w if y.ndim == 1 else xp.expand_dims(w, axis=1))
    scale = xp.base.sqrt(xp.base.sum(plain(a) ** 2, axis=0))
    rcond = x.shape[0] * float(xp.base.finfo(x.dtype).eps) if rcond is None else rcond
    c = lstsq(xp, a / scale, y, rcond)[0]
    return diag(xp, 1.0 / scale) @ c
