"""The nuclear norm and its derivative, the polar factor: smooth wherever the rank is full.

Of X = U·diag(s)·Vᴴ the norm is Σs and its derivative U·Vᴴ, unique also where singular values are equal. So is
the derivative of U·Vᴴ: with A = Uᴴ·dX·V it is (A − Aᴴ)ᵢⱼ / (sᵢ + sⱼ) between the columns of U and V, and of a
matrix that is not square the rest of dX by 1/sⱼ. No difference of singular values is in it. Third derivatives
go on through U and V, and are NaN where singular values are equal.
Source: N. J. Higham, "Functions of Matrices: Theory and Computation" (SIAM 2008), section 8.
"""

from __future__ import annotations

from typing import Any

from nnx.autodiff.array import raw
from nnx.autodiff.bind import bind
from nnx.autodiff.pullbacks import Fused
from nnx.autodiff.raw import raw_namespace
from nnx.autodiff.rules.factorizations import adjoint, columns, noise_of, paired, singular_apart
from nnx.backend import adapter_of


def _norm(x: Any) -> Any:
    xp = raw_namespace(adapter_of(x))
    return xp.sum(xp.linalg.svdvals(x), axis=-1)


@paired
def _norm_back(xp: Any, g: Any, needs: Any, y: Any, x: Any) -> tuple[Any]:
    return (xp.expand_dims(xp.expand_dims(g, axis=-1), axis=-1) * polar(x),)


def _polar(x: Any) -> Any:
    xp = raw_namespace(adapter_of(x))
    u, _, vh = xp.linalg.svd(x, full_matrices=False)
    return xp.matmul(u, vh)


@paired
def _polar_back(xp: Any, g: Any, needs: Any, y: Any, x: Any) -> tuple[Any]:
    u, s, vh = xp.linalg.svd(x, full_matrices=False)
    u, vh = singular_apart(xp, u, s, vh)
    s = xp.where(raw(s)[..., -1:] <= noise_of(xp, s)[..., 0], float("nan"), s)  # a corner of the norm
    uh, v = adjoint(xp, u), adjoint(xp, vh)
    a = xp.matmul(xp.matmul(uh, g), v)
    inner = (a - adjoint(xp, a)) / (xp.expand_dims(s, axis=-1) + xp.expand_dims(s, axis=-2))
    left = xp.matmul(u, inner)
    m, n = x.shape[-2:]
    if m > n:
        left = left + columns(xp, xp.matmul(g, v) - xp.matmul(u, a), 1.0 / s)
    c = xp.matmul(left, vh)
    if n > m:
        c = c + xp.matmul(columns(xp, u, 1.0 / s), xp.matmul(uh, g) - xp.matmul(a, vh))
    return (c,)


#: The factor U·Vᴴ of x, (..., m, n), also while x is being differentiated.
polar = bind(Fused("polar factor", _polar_back), _polar, None)
#: The sum of the singular values of x.
nuclear_norm = bind(Fused("nuclear norm", _norm_back), _norm, None)
