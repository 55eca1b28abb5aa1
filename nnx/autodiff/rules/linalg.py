"""Rules of the linear algebra extension; the factorizations have theirs in :mod:`.factorizations`.

All take stacks of matrices (..., m, n), complex ones too unless stated otherwise.

- ``det`` of a real matrix: first and second derivatives are right for every matrix, all up to 8 × 8
  (:mod:`.cofactors`). The nuclear norm has a second derivative at full rank (:mod:`.polar`).
- ``slogdet``, ``inv`` and ``solve`` have no derivative at a singular matrix: there the library's ``inv`` and
  ``solve`` decide (NumPy raises ``LinAlgError``, CuPy gives inf or nan).
- ``pinv`` is differentiated at constant rank: singular values below the cut count as zero and stay there.
- Norms at kinks: a zero vector has gradient 0 for every order (a subgradient); so has an entry that is 0
  for orders below 2. Entries that share the largest or smallest modulus share the gradient. Order 0 counts:
  its gradient is 0. Matrix norms by singular values (nuc, 2, −2) are for real matrices.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from nnx.autodiff.families import Bilinear, Reduction, is_complex, unbroadcast
from nnx.autodiff.pullbacks import Fused, FusedSeveral, with_zeros
from nnx.autodiff.rules.cofactors import cofactors
from nnx.autodiff.rules.distances import direction, ratio
from nnx.autodiff.rules.factorizations import FACTORIZATIONS
from nnx.autodiff.rules.manipulation import Choosing
from nnx.autodiff.rules.polar import nuclear_norm

INFINITY = float("inf")


class SlogdetResult(NamedTuple):
    """What ``linalg.slogdet`` gives: det x = sign · exp(logabsdet)."""

    sign: Any
    logabsdet: Any


def _as_matrices(xp: Any, v: Any) -> Any:
    """A scalar for each matrix of a stack as a stack of 1 × 1 matrices."""
    return xp.expand_dims(xp.expand_dims(v, axis=-1), axis=-1)


# -- systems of equations, inverses --------------------------------------------------------------------


def _solve(xp: Any, g: Any, needs: Any, y: Any, a: Any, b: Any) -> tuple[Any, Any]:
    """b̄ = A⁻ᵀ·ȳ and Ā = −b̄·yᵀ."""
    vector = b.ndim == 1
    rhs, solution = (xp.expand_dims(g, axis=-1), xp.expand_dims(y, axis=-1)) if vector else (g, y)
    # Not every library broadcasts a stack of matrices against that of the right-hand sides.
    stack = (*rhs.shape[:-2], *a.shape[-2:])
    at = xp.matrix_transpose(a if a.shape == stack else xp.broadcast_to(a, stack))
    gb = xp.linalg.solve(at, rhs)
    ga = (
        unbroadcast(xp, -xp.matmul(gb, xp.matrix_transpose(solution)), a.shape, a.dtype) if needs[0] else None
    )
    return ga, unbroadcast(xp, xp.squeeze(gb, axis=-1) if vector else gb, b.shape, b.dtype)


def _inv(xp: Any, g: Any, needs: Any, y: Any, x: Any) -> tuple[Any]:
    """−Yᵀ·Ȳ·Yᵀ of Y = X⁻¹."""
    yt = xp.matrix_transpose(y)
    return (-xp.matmul(xp.matmul(yt, g), yt),)


def _pinv(xp: Any, g: Any, needs: Any, y: Any, x: Any, rtol: Any = None) -> tuple[Any]:
    """Golub and Pereyra's formula (1973), transposed: −YᵀȲYᵀ + conj((I − XY)·Ȳᵀ·YYᴴ + YᴴY·Ȳᵀ·(I − YX))."""
    gt = xp.matrix_transpose(g)
    conj = xp.conj if is_complex(xp, x) else lambda z: z
    yh = conj(xp.matrix_transpose(y))
    rows, columns = _product(xp, gt, y, yh), _product(xp, yh, y, gt)
    free = rows - _product(xp, x, y, rows) + columns - _product(xp, columns, y, x)
    return (conj(free) - xp.matrix_transpose(_product(xp, y, gt, y)),)


def _product(xp: Any, a: Any, b: Any, c: Any) -> Any:
    """A·B·C of p×q, q×p and p×q matrices by way of the smaller square."""
    if a.shape[-2] >= a.shape[-1]:
        return xp.matmul(a, xp.matmul(b, c))
    return xp.matmul(xp.matmul(a, b), c)


# -- determinants ------------------------------------------------------------------------------------------


def _det(xp: Any, g: Any, needs: Any, y: Any, x: Any) -> tuple[Any]:
    """The matrix of cofactors, for complex matrices as det X · X⁻ᵀ."""
    if is_complex(xp, x):
        return (_as_matrices(xp, g * y) * xp.matrix_transpose(xp.linalg.inv(x)),)
    return (_as_matrices(xp, g) * cofactors(x),)


@with_zeros
def _slogdet(xp: Any, gs: Any, needs: Any, answers: Any, x: Any) -> tuple[Any]:
    """X⁻ᵀ for the logarithm; the sign of a complex determinant turns by Im tr(X⁻¹·dX)."""
    g_sign, g = gs
    if is_complex(xp, x):
        turn = g_sign * answers[0]
        g = g + 0.5 * (turn - xp.conj(turn))
    return (_as_matrices(xp, g) * xp.matrix_transpose(xp.linalg.inv(x)),)


# -- norms -------------------------------------------------------------------------------------------------


def _vector_norm(xp: Any, x: Any, y: Any, axis: Any, ord: Any = 2) -> Any:
    """∂y/∂x = unit(x)·(|x|/y)^(p−1); y has its axes kept."""
    if ord == 0:
        return xp.zeros_like(x)
    straight = xp.conj(x) if is_complex(xp, x) else x
    if ord == 2:
        return ratio(xp, straight, y)
    if 2 < ord < INFINITY:
        share = ratio(xp, straight, y)
        if ord % 2 == 0 and not is_complex(xp, x):
            return share ** (int(ord) - 1)
        return share * xp.abs(share) ** (ord - 2.0)
    unit = direction(xp, x)
    if ord == 1:
        return unit
    size = xp.abs(x)
    if ord in (INFINITY, -INFINITY):
        hits = xp.astype(size == y, size.dtype)
        return unit * (hits / xp.sum(hits, axis=axis, keepdims=True))
    zero = size == 0  # an entry or all of them: the unit, 0 there, has the kink
    return unit * (xp.where(zero, 1.0, size) / xp.where(y == 0, 1.0, y)) ** (ord - 1.0)


def _matrix_norm(xp: Any, x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    if ord in ("fro", None):
        return xp.linalg.vector_norm(x, axis=(-2, -1), keepdims=keepdims)
    if ord == "nuc":
        y = nuclear_norm(x)
    elif ord in (2, -2):
        y = _extreme(xp, xp.linalg.svdvals(x), ord)
    elif ord in (1, -1, INFINITY, -INFINITY):
        y = _extreme(xp, xp.sum(xp.abs(x), axis=-2 if abs(ord) == 1 else -1), ord)
    else:
        raise ValueError(f"xp.linalg.matrix_norm knows ord='fro', 'nuc', ±1, ±2 and ±inf; got {ord!r}.")
    return _as_matrices(xp, y) if keepdims else y


def _extreme(xp: Any, sizes: Any, ord: float) -> Any:
    return (xp.max if ord > 0 else xp.min)(sizes, axis=-1)


# -- the rest ----------------------------------------------------------------------------------------------


def _onto_diagonal(xp: Any, g: Any, shape: tuple[int, ...], offset: int = 0) -> Any:
    """The transpose of taking a diagonal: g as the diagonal of matrices that are zero elsewhere."""
    m, n = shape[-2:]
    on = xp.eye(m, n, k=offset, dtype=xp.bool, device=xp.device_of(g))
    # One entry for each row (or for each column, below the main diagonal), whichever are more.
    missing = (m if offset >= 0 else n) - g.shape[-1]
    if missing:
        g = xp.concat([g, xp.zeros((*g.shape[:-1], missing), dtype=g.dtype, device=xp.device_of(g))], axis=-1)
    return xp.where(on, xp.expand_dims(g, axis=-1 if offset >= 0 else -2), 0.0)


def _diagonal(xp: Any, x: Any, /, *, offset: int = 0) -> Any:
    return xp.linalg.diagonal(x, offset=offset)


def _diagonal_key(xp: Any, g: Any, shape: tuple[int, ...], offset: int = 0) -> Any:
    if not xp.adapter.adds_at_places:
        return None
    along = xp.positions(g.shape[-1:], g)
    return (..., along + max(-offset, 0), along + max(offset, 0))


def _trace(xp: Any, x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    diagonal = xp.linalg.diagonal(x, offset=offset)
    return xp.sum(diagonal if dtype is None else xp.astype(diagonal, dtype), axis=-1)


def _cross(xp: Any, a: Any, b: Any, axis: int = -1) -> Any:
    return xp.linalg.cross(a, b, axis=axis)


def _outer(xp: Any, x1: Any, x2: Any, /) -> Any:
    return xp.expand_dims(x1, axis=-1) * x2


def _matrix_power(xp: Any, x: Any, n: int, /) -> Any:
    """By repeated squaring."""
    if n < 0:
        x, n = xp.linalg.inv(x), -n
    elif n == 1:
        return xp.positive(x)  # a copy: x may be written into
    power = None
    while n:
        if n % 2:
            power = x if power is None else xp.matmul(power, x)
        n //= 2
        if n:
            x = xp.matmul(x, x)
    if power is not None:
        return power
    return xp.broadcast_to(xp.eye(x.shape[-1], dtype=x.dtype, device=xp.device_of(x)), x.shape)


def _main(name: str) -> Any:
    """The function of the same name in the main namespace."""
    return lambda xp, *args, **options: getattr(xp, name)(*args, **options)


LINALG = (
    Fused("linalg.solve", _solve),
    Fused("linalg.inv", _inv),
    Fused("linalg.pinv", _pinv),
    Fused("linalg.det", _det),
    FusedSeveral("linalg.slogdet", _slogdet, result=lambda parts: SlogdetResult(*parts)),
    Reduction("linalg.vector_norm", _vector_norm),
    Choosing(
        "linalg.diagonal", lambda xp, x, **kw: xp.linalg.diagonal(x, **kw), _onto_diagonal, _diagonal_key
    ),
    Bilinear(
        "linalg.cross",
        _cross,
        lambda xp, g, other, shape, axis=-1: _cross(xp, other, g, axis),
        lambda xp, g, other, shape, axis=-1: _cross(xp, g, other, axis),
    ),
    *FACTORIZATIONS,
)
COMPOSITIONS: dict[str, Any] = {
    "linalg.matrix_norm": _matrix_norm,
    "linalg.matrix_power": _matrix_power,
    "linalg.outer": _outer,
    "linalg.trace": _trace,
    **{f"linalg.{name}": _main(name) for name in ("matmul", "matrix_transpose", "tensordot", "vecdot")},
}
