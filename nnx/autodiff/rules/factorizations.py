"""Rules of the factorizations of matrices: Cholesky, QR, eigenvalues, singular values.

Symmetric or Hermitian arguments (``cholesky``, ``eigh``, ``eigvalsh``): the library reads one triangle only;
the gradient is that of a function of symmetric matrices, so it is symmetric too.

**Equal eigenvalues or singular values.** Eigenvectors have the derivative Σⱼ vⱼ (vⱼᵀ·dA·vᵢ) / (λᵢ − λⱼ), and
singular vectors alike. Where λᵢ = λⱼ (up to rounding) no choice of vectors is differentiable, and the
quotient counts as 0:

- right: first derivatives of symmetric functions of the eigenvalues or singular values (trace, nuclear norm,
  log-determinant), for they need no derivative of a vector; first derivatives of functions of a whole
  invariant subspace (a projection V₁V₁ᵀ with all vectors of the eigenvalue); the polar factor U·Vh;
- not right: V·f(λ)·Vᵀ. The part f′(λ)·dA within the subspace is missing, for a rule that sees the values
  f(λ) cannot know f′. Write it without eigenvectors (``solve``, ``inv``, ``matrix_power``, ``cholesky``), or
  perturb the matrix so that the eigenvalues differ;
- NaN: second derivatives, for which f″ would be missing: the derivative of the vectors within a pullback;
- a largest or smallest eigenvalue that is not simple: one subgradient, by the vector that the library found.

A singular value of 0 is treated alike: a quotient by it counts as 0, second derivatives are NaN. ``qr`` needs
linearly independent leading columns (NumPy raises ``LinAlgError``, CuPy gives inf or nan).

**Complex matrices.** Eigenvalues, singular values and the Cholesky factor (with its positive diagonal) are
unique. Vectors are fixed only up to a phase each, which the library chooses. What does not depend on the
phases has a derivative; reverse mode sees the others by a cotangent along i·v and refuses them. Forward mode
moves vectors without turning them, Im vᴴ·dv = 0. ``qr`` of complex matrices is refused.
Formulas: M. Giles, "An extended collection of matrix derivative results for forward and reverse mode"
(2008); J. Townsend, "Differentiating the singular value decomposition" (2016).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from nnx.autodiff.array import Traced, raw
from nnx.autodiff.families import Pull, Rule, is_complex
from nnx.autodiff.pullbacks import Fused, FusedSeveral, with_zeros
from nnx.backend import namespace
from nnx.errors import DerivativeError


class EighResult(NamedTuple):
    """What ``linalg.eigh`` gives: x = V·diag(λ)·Vᵀ."""

    eigenvalues: Any
    eigenvectors: Any


class QRResult(NamedTuple):
    """What ``linalg.qr`` gives: x = Q·R."""

    Q: Any
    R: Any


class SVDResult(NamedTuple):
    """What ``linalg.svd`` gives: x = U·diag(S)·Vh."""

    U: Any
    S: Any
    Vh: Any


class _Determined(Rule):
    """Refuses, when the function is called, what a factorization's rule does not cover."""

    name: str

    def pull(self, argnums: Any, answer: Any, values: Any, kwargs: Any) -> Pull:
        x = raw(values[0])
        if self.name == "linalg.qr" and namespace(x).isdtype(x.dtype, "complex floating"):
            raise DerivativeError(
                "xp.linalg.qr of a complex matrix has no derivative rule in nnx: its factors are fixed only "
                "up to phases, which each library chooses in its own way. For the factor of Xᴴ·X with a "
                "positive diagonal there is cholesky, for least squares pinv and lstsq."
            )
        _refuse_free_columns(self.name, x.shape, **kwargs)
        return super().pull(argnums, answer, values, kwargs)


def _refuse_free_columns(
    name: str, shape: tuple[int, ...], mode: str = "reduced", full_matrices: bool | None = None, **_: Any
) -> None:
    """Refuses a factor that is larger than the matrix, which does not determine all of its columns."""
    m, n = shape[-2:]
    if name == "linalg.qr" and mode == "complete" and m > n:
        raise DerivativeError(
            f"xp.linalg.qr(x, mode='complete') of {m} × {n} matrices has no derivative: the last {m - n} "
            "columns of Q are any that complete the others. Use mode='reduced'."
        )
    if name == "linalg.svd" and full_matrices is not False and m != n:
        raise DerivativeError(
            f"xp.linalg.svd(x, full_matrices=True) of {m} × {n} matrices has no derivative: "
            f"{abs(m - n)} of its singular vectors are any that complete the others. Use full_matrices=False."
        )


class _Matrix(_Determined, Fused):
    """A factorization that gives one array."""


class _Matrices(_Determined, FusedSeveral):
    """A factorization that gives several arrays."""


def reciprocal(xp: Any, x: Any, noise: Any = 0.0) -> Any:
    """1/x, and 0 (with all its derivatives) where x is 0, or not more than ``noise`` away."""
    zero = xp.abs(raw(x)) <= noise
    return xp.where(zero, 0.0, 1.0 / xp.where(zero, 1.0, x))


def columns(xp: Any, x: Any, factors: Any) -> Any:
    """The matrix x with its columns multiplied by factors: x·diag(factors)."""
    return x * xp.expand_dims(factors, axis=-2)


def _pairs(xp: Any, v: Any) -> tuple[Any, Any]:
    """vⱼ and vᵢ for the entry (i, j) of a matrix."""
    return xp.expand_dims(v, axis=-2), xp.expand_dims(v, axis=-1)


def noise_of(xp: Any, v: Any) -> Any:
    """The distance that rounding may put between equal entries of v (sorted), as 1 × 1 matrices."""
    v, n = raw(v), v.shape[-1]
    ends = xp.abs(v[..., : min(n, 1)]) + xp.abs(v[..., max(n - 1, 0) :])
    bound = float(xp.finfo(v.dtype).eps) * n * ends
    return xp.expand_dims(bound, axis=-1)


def _apart(xp: Any, vectors: Any, values: Any, axis: int, least: Any = None) -> Any:
    """Eigenvectors (their index along ``axis``), for a pullback: those of equal values have no derivative.

    Nor have those of singular values that are not above ``least``.
    """
    if type(vectors) is not Traced:
        return vectors
    values = raw(values)
    later, earlier = _pairs(xp, values)
    near = xp.abs(later - earlier) <= noise_of(xp, values)
    meets = xp.sum(xp.astype(near, values.dtype), axis=-1) > 1.0
    if least is not None:
        meets = meets | (values <= least)
    return xp.kinked(vectors, at=xp.expand_dims(meets, axis=-1 if axis == -2 else -2))


def _conj(xp: Any, x: Any) -> Any:
    return xp.conj(x) if is_complex(xp, x) else x


def adjoint(xp: Any, x: Any) -> Any:
    """The transpose, of a complex matrix the conjugate one."""
    return _conj(xp, xp.matrix_transpose(x))


def paired(reverse: Any) -> Any:
    """A pullback by cotangents that pair as Re(ḡᴴ·dx), for the cotangents of nnx, which pair as Re(gᵀ·dx)."""

    def conjugated(xp: Any, g: Any, needs: Any, answer: Any, x: Any, **options: Any) -> tuple[Any]:
        if is_complex(xp, x):
            g = [_conj(xp, part) for part in g] if isinstance(g, list) else _conj(xp, g)
        return (_conj(xp, reverse(xp, g, needs, answer, x, **options)[0]),)

    return conjugated


def _without_turning(xp: Any, name: str, turning: Any) -> None:
    """Refuses a cotangent that would turn complex vectors: with imaginary parts on the diagonals."""
    base = xp.base if hasattr(xp, "base") else xp
    m = raw(turning)
    if not is_complex(base, m) or not base.element_count(m.shape):
        return
    turn = base.max(base.abs(base.imag(base.linalg.diagonal(m))))
    # The cotangent's own rounding is amplified by whatever lies between it and the result.
    if bool(turn > float(base.finfo(m.dtype).eps) ** 0.5 * base.max(base.abs(m))):
        raise DerivativeError(
            f"xp.{name} of a complex matrix: the result depends on the phases of the vectors, which each "
            "library chooses in its own way, so it has no derivative. Compute what does not depend on them, "
            "from the vectors of one call: |v|², vᴴ·A·v, a projection v·vᴴ, or v divided by the phase of "
            "one of its entries."
        )


def _symmetric(xp: Any, x: Any) -> Any:
    return 0.5 * (x + adjoint(xp, x))


def _mirrored(xp: Any, x: Any) -> Any:
    """The symmetric matrix with x's lower triangle, the Hermitian one with a real diagonal."""
    y = xp.tril(x) + adjoint(xp, xp.tril(x, k=-1))
    return _symmetric(xp, y) if is_complex(xp, x) else y


@paired
def _cholesky(xp: Any, g: Any, needs: Any, factor: Any, x: Any, upper: bool = False) -> tuple[Any]:
    """½ L⁻ᴴ·mirrored(Lᴴ·L̄)·L⁻¹."""

    def t(z: Any) -> Any:
        return adjoint(xp, z)

    lower, g = (t(factor), t(g)) if upper else (factor, g)
    half = xp.linalg.solve(t(lower), _mirrored(xp, xp.matmul(t(lower), g)))
    return (_symmetric(xp, 0.5 * xp.linalg.solve(t(lower), t(half))),)


@with_zeros
def _qr(xp: Any, gs: Any, needs: Any, answers: Any, x: Any, mode: str = "reduced") -> tuple[Any]:
    """Of x = [X Y] with X = Q·R₁ square or tall and Y = Q·R₂: (Q̄ + Q·mirrored(R·R̄ᵀ − Q̄ᵀ·Q))·R⁻ᵀ for X."""
    t, (q, r), (gq, gr) = xp.matrix_transpose, answers, gs
    k = q.shape[-1]
    wide = x.shape[-1] > k
    if wide:
        rest, gq_rest = x[..., k:], gr[..., k:]
        gq = gq + xp.matmul(rest, t(gq_rest))
        r, gr = r[..., :k], gr[..., :k]
    inner = _mirrored(xp, xp.matmul(r, t(gr)) - xp.matmul(t(gq), q))
    first = t(xp.linalg.solve(r, t(gq + xp.matmul(q, inner))))
    return (xp.concat([first, xp.matmul(q, gq_rest)], axis=-1) if wide else first,)


@with_zeros
@paired
def _eigh(xp: Any, gs: Any, needs: Any, answers: Any, x: Any) -> tuple[Any]:
    """V·(diag(λ̄) + (Vᴴ·V̄)ᵢⱼ / (λⱼ − λᵢ))·Vᴴ."""
    (values, v), (g_values, g_v) = answers, gs
    v = _apart(xp, v, values, -1)
    vh = adjoint(xp, v)
    in_v = xp.matmul(vh, g_v)
    _without_turning(xp, "linalg.eigh", in_v)
    later, earlier = _pairs(xp, values)
    inner = in_v * reciprocal(xp, later - earlier, noise_of(xp, values))
    return (_symmetric(xp, xp.matmul(xp.matmul(v, inner) + columns(xp, v, g_values), vh)),)


@paired
def _eigvalsh(xp: Any, g: Any, needs: Any, y: Any, x: Any) -> tuple[Any]:
    """V·diag(λ̄)·Vᴴ."""
    v = _apart(xp, xp.linalg.eigh(x)[1], y, -1)
    return (xp.matmul(columns(xp, v, g), adjoint(xp, v)),)


@with_zeros
@paired
def _svd(xp: Any, gs: Any, needs: Any, answers: Any, x: Any, full_matrices: bool = True) -> tuple[Any]:
    """Townsend's formula, with quotients by sⱼ² − sᵢ² split into quotients by the difference and by the sum.

    With J = UᴴŪ − ŪᴴU and K = VᴴV̄ − V̄ᴴV: (J·sⱼ + K·sᵢ) / (sⱼ² − sᵢ²) = ½(J + K) / (sⱼ − sᵢ) +
    ½(J − K) / (sⱼ + sᵢ). The second part is finite where singular values are equal; on its diagonal of a
    complex matrix is the turn of uⱼ against vⱼ, the only one that the matrix determines.
    """
    (u, s, vh), (g_u, g_s, g_vh) = answers, gs
    u, vh = singular_apart(xp, u, s, vh)

    def t(z: Any) -> Any:
        return adjoint(xp, z)

    in_u, in_v = xp.matmul(t(u), g_u), xp.matmul(vh, t(g_vh))
    _without_turning(xp, "linalg.svd", in_u + in_v)
    j, k = in_u - t(in_u), in_v - t(in_v)
    (later, earlier), noise = _pairs(xp, s), noise_of(xp, s)
    by_difference = (j + k) * reciprocal(xp, later - earlier, noise)
    inner = 0.5 * (by_difference + (j - k) * reciprocal(xp, later + earlier, noise))
    by_s = reciprocal(xp, s, noise[..., 0])
    left = xp.matmul(u, inner) + columns(xp, u, g_s)
    m, n = x.shape[-2:]
    if m > n:  # the part outside the columns of U
        left = left + columns(xp, g_u - xp.matmul(u, in_u), by_s)
    g = xp.matmul(left, vh)
    if n > m:
        outside = g_vh - xp.matmul(t(in_v), vh)
        g = g + xp.matmul(columns(xp, u, by_s), outside)
    return (g,)


def singular_apart(xp: Any, u: Any, s: Any, vh: Any) -> tuple[Any, Any]:
    """Singular vectors for a pullback: those of equal values or of 0 have no derivative."""
    least = noise_of(xp, s)[..., 0]
    return _apart(xp, u, s, -1, least), _apart(xp, vh, s, -2, least)


@paired
def _svdvals(xp: Any, g: Any, needs: Any, y: Any, x: Any) -> tuple[Any]:
    """U·diag(s̄)·Vh."""
    u, vh = singular_apart(xp, *xp.linalg.svd(x, full_matrices=False))
    return (xp.matmul(columns(xp, u, g), vh),)


FACTORIZATIONS = (
    _Matrix("linalg.cholesky", _cholesky),
    _Matrices("linalg.qr", _qr, result=lambda parts: QRResult(*parts)),
    _Matrices("linalg.eigh", _eigh, result=lambda parts: EighResult(*parts)),
    _Matrix("linalg.eigvalsh", _eigvalsh),
    _Matrices("linalg.svd", _svd, result=lambda parts: SVDResult(*parts)),
    _Matrix("linalg.svdvals", _svdvals),
)
