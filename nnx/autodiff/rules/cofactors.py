"""The derivatives of the determinant of a real matrix, which is a polynomial: also where it is singular.

With X = U·diag(s)·Vh and ε = det U · det Vh = ±1, det(X + B) = ε·det(diag(s) + UᵀBV). So a cofactor is a
product of all singular values but one, and a second derivative one of all but two: nothing is divided.
Where all matrices are far from the singular ones, and one may ask, they are det X · X⁻ᵀ, which is quicker.
Third derivatives of matrices up to 8 × 8 go on by the cofactors of their minors, of which there are n²; those
of larger ones by det X and X⁻¹, and are NaN where X is singular, or almost.
Source: I. C. F. Ipsen and R. Rehman, "Perturbation bounds for determinants and characteristic polynomials",
SIAM J. Matrix Anal. Appl. 30 (2008) 762–776.
"""

from __future__ import annotations

from itertools import product
from typing import Any

from nnx.autodiff.array import Traced, raw
from nnx.autodiff.bind import bind
from nnx.autodiff.pullbacks import Fused
from nnx.autodiff.raw import raw_namespace
from nnx.backend import adapter_of


def _matrix(xp: Any, x: Any) -> Any:
    """A number for each matrix of a stack as a stack of 1 × 1 matrices."""
    return xp.expand_dims(xp.expand_dims(x, axis=-1), axis=-1)


def _factors(xp: Any, x: Any) -> tuple[Any, Any, Any, Any]:
    """U, s, Vh and ε·U."""
    u, s, vh = xp.linalg.svd(x, full_matrices=False)
    return u, s, vh, u * _matrix(xp, xp.linalg.det(u) * xp.linalg.det(vh))


def _excluding(xp: Any, x: Any) -> Any:
    """For each entry of the last axis the product of the others."""
    before = xp.cumulative_prod(x, axis=-1, include_initial=True)[..., :-1]
    after = xp.cumulative_prod(xp.flip(x, axis=-1), axis=-1, include_initial=True)[..., :-1]
    return before * xp.flip(after, axis=-1)


#: The condition number, in the Frobenius norm, up to which X⁻¹ is as exact as the singular values are.
_WELL = 100.0


def _by_inverse(xp: Any, x: Any) -> Any:
    """The product det X · X⁻ᵀ, in a sixth of the time; None where a matrix is near a singular one."""
    det = xp.linalg.det(x)
    if not bool(xp.all(det != 0.0)):
        return None
    inverse = xp.linalg.inv(x)
    squares = xp.sum(x * x, axis=(-2, -1)) * xp.sum(inverse * inverse, axis=(-2, -1))
    if not bool(xp.all(squares < _WELL**2)):
        return None
    return _matrix(xp, det) * xp.matrix_transpose(inverse)


def _cofactors(x: Any) -> Any:
    xp = raw_namespace(adapter_of(x))
    if xp.adapter.reads_are_free and (found := _by_inverse(xp, x)) is not None:
        return found
    _, s, vh, turned = _factors(xp, x)
    return xp.matmul(turned * xp.expand_dims(_excluding(xp, s), axis=-2), vh)


def _back(xp: Any, g: Any, needs: Any, y: Any, x: Any) -> tuple[Any]:
    """In the singular vectors' basis, with pᵢₖ = Πₘ sₘ, m ≠ i, k: pᵢₖ·gᵢᵢ at (k, k), −pᵢₖ·gᵢₖ at (k, i)."""
    t, n = xp.matrix_transpose, x.shape[-1]
    u, s, vh, turned = _factors(xp, raw(x))
    eye = xp.eye(n, dtype=s.dtype, device=xp.device_of(s))
    pairs = (1.0 - eye) * _excluding(xp, xp.where(eye == 1.0, 1.0, xp.expand_dims(s, axis=-2)))
    inner = xp.matmul(xp.matmul(t(u), g), t(vh))
    diagonal = xp.matmul(pairs, xp.sum(inner * eye, axis=-1, keepdims=True))
    c = xp.matmul(xp.matmul(turned, eye * diagonal - pairs * t(inner)), vh)
    if type(x) is not Traced:
        return (c,)
    if n <= _FEW:
        return (_by_minors(xp, g, x),)
    regular = xp.all(s > float(xp.finfo(s.dtype).eps) ** 0.5 * s[..., :1], axis=-1)
    regular = _matrix(xp, regular)
    inverse = t(xp.linalg.inv(xp.where(regular, x, eye)))
    trace = _matrix(xp, xp.sum(g * inverse, axis=(-2, -1)))
    by_inverse = trace * inverse - xp.matmul(xp.matmul(inverse, t(g)), inverse)
    singular = xp.kinked(c + 0.0 * x, at=~regular)
    return (xp.where(regular, _matrix(xp, xp.linalg.det(x)) * by_inverse, singular),)


#: The number of rows up to which minors are taken, n² of (n − 1) × (n − 1).
_FEW = 8


def _by_minors(xp: Any, g: Any, x: Any) -> Any:
    """Σᵢⱼ ±gᵢⱼ times the cofactors of x without row i and column j, each at its place in x."""
    n = x.shape[-1]
    if n < 2:
        return 0.0 * x
    stack, rest = x.shape[:-2], [[k for k in range(n) if k != i] for i in range(n)]
    device = xp.device_of(raw(x))

    def taken(a: Any, places: list[int], shape: tuple[int, ...]) -> Any:
        flat = xp.reshape(a, (*stack, -1))
        places = xp.asarray(places, dtype=xp.int64, device=device)
        return xp.reshape(xp.take(flat, places, axis=-1), (*stack, *shape))

    places = [k * n + m for rows in rest for columns in rest for k in rows for m in columns]
    c = cofactors(taken(x, places, (n * n, n - 1, n - 1)))
    signs = xp.asarray(
        [1.0 - 2.0 * ((i + j) % 2) for i in range(n) for j in range(n)], dtype=x.dtype, device=device
    )
    c = c * _matrix(xp, xp.reshape(g, (*stack, -1)) * signs)
    # To the entry (k, m) of x contribute all minors that have it.
    places = [
        ((i * n + j) * (n - 1) + rest[i].index(k)) * (n - 1) + rest[j].index(m)
        for k, m in product(range(n), repeat=2)
        for i in rest[k]
        for j in rest[m]
    ]
    return xp.sum(taken(c, places, (n, n, (n - 1) ** 2)), axis=-1)


#: The matrix of cofactors of x, (..., n, n), also while x is being differentiated.
cofactors = bind(Fused("cofactors", _back), _cofactors, None)
