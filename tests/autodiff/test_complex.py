"""Complex numbers between real inputs and real outputs: a cotangent z̄ pairs with its tangent as Re(z̄·dz)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backend import namespace, to_numpy
from nnx.errors import DerivativeError

#: Away from all branch cuts, which lie on the axes.
RE, IM = [[0.4, -0.9, 1.3], [0.7, -1.6, -0.2]], [[0.5, 0.8, -0.6], [-1.2, -0.4, 1.1]]
HOLOMORPHIC = (
    "acos acosh asin asinh atan atanh cos cosh exp expm1 log log10 log1p log2 negative positive reciprocal "
    "sin sinh sqrt square tan tanh"
).split()


def _is_writable(backend: Any) -> bool:
    return getattr(backend.xp.real(backend.asarray([1j])), "flags", np.zeros(1).flags).writeable


def _parts(backend: Any) -> tuple[Any, Any]:
    return backend.asarray(RE, dtype="float64"), backend.asarray(IM, dtype="float64")


@pytest.mark.parametrize("name", HOLOMORPHIC)
def test_rules_of_holomorphic_functions_are_those_of_real_ones(name, backend):
    nnx.check_derivatives(lambda a, b: getattr(namespace(a), name)(a + 1j * b), *_parts(backend))


def _matrix(xp: Any, a: Any, b: Any) -> Any:
    return xp.matrix_transpose(a + 1j * b)


#: Functions of two real arrays a and b of shape (2, 3), with complex numbers in between.
MIXED = {
    "add": lambda xp, a, b: (a + 1j * b) + a - (2j - b) + (1.0 - 1j),
    "multiply": lambda xp, a, b: a * (b + 1j * a) * 2j,
    "divide": lambda xp, a, b: a / (a + 1j * b) + (2.0 - 1j * b) / a + 1j / b,
    "pow of real exponents": lambda xp, a, b: (a + 1j * b) ** 3 + (a + 1j * b) ** a,
    "pow of complex exponents": lambda xp, a, b: xp.abs(a) ** (b + 1j * a) + a ** (1j * b) + xp.abs(b) ** 1j,
    "pow of a number": lambda xp, a, b: 2.0 ** (a + 1j * b) + (1.0 + 1j) ** a,
    "matmul": lambda xp, a, b: (a + 0j) @ _matrix(xp, a, b),
    "tensordot": lambda xp, a, b: xp.tensordot(a + 1j * b, b + 0j, axes=2),
    "vecdot": lambda xp, a, b: xp.vecdot(a + 1j * b, b - 1j * a),
    "vecdot of a real array": lambda xp, a, b: xp.vecdot(a, b - 1j * a, axis=-2),
    "vecdot with a real array": lambda xp, a, b: xp.vecdot(b - 1j * a, a, axis=-2),
    "where": lambda xp, a, b: xp.where(a > 0, a, 1j * b) + xp.where(b > 0, b, 2j),
    "concat": lambda xp, a, b: xp.concat([a, 1j * b, b], axis=1),
    "stack": lambda xp, a, b: xp.stack([1j * a * b, b]),
    "astype": lambda xp, a, b: xp.astype(a, xp.complex128) * (b + 1j),
    "sum": lambda xp, a, b: xp.sum((a + 1j * b) ** 2, axis=0),
    "sum of a data type": lambda xp, a, b: xp.sum(a * b, dtype=xp.complex128) * 1j,
    "mean": lambda xp, a, b: xp.mean((a + 1j * b) ** 2, axis=1, keepdims=True),
    "prod": lambda xp, a, b: xp.prod(a + 1j * b, axis=1),
    "prod of a data type": lambda xp, a, b: xp.prod(a + b, dtype=xp.complex128) * 1j,
    "cumulative_sum": lambda xp, a, b: xp.cumulative_sum((a + 1j * b) * a, axis=1),
    "cumulative_sum of a data type": lambda xp, a, b: xp.cumulative_sum(a, axis=1, dtype=xp.complex128) * b,
    "cumulative_prod": lambda xp, a, b: xp.cumulative_prod(a + 1j * b, axis=1, include_initial=True),
    "cumulative_prod of a data type": lambda xp, a, b: xp.cumulative_prod(a, axis=1, dtype=xp.complex128) * b,
    "indexing": lambda xp, a, b: (a + 1j * b)[0, 1:] * (a + 1j * b)[:, 1:2],
    "abs": lambda xp, a, b: xp.abs((a + 1j * b) ** 2 + a),
    "parts": lambda xp, a, b: xp.real(xp.exp(1j * a) * b) * xp.imag(xp.conj(a + 1j * b) ** 3),
    "phase": lambda xp, a, b: (a + 1j * b) / xp.abs(a + 1j * b),
    "argument": lambda xp, a, b: xp.atan2(xp.imag((a + 1j * b) ** 2), xp.real((a + 1j * b) ** 2)),
    "linear maps": lambda xp, a, b: xp.roll(xp.flip(xp.tril(a + 1j * b), axis=1), 1) * xp.tile(a, (1, 1)),
}


@pytest.mark.parametrize("label", MIXED)
def test_real_and_complex_arguments_mix(label, backend):
    nnx.check_derivatives(lambda a, b: MIXED[label](namespace(a), a, b), *_parts(backend))


@pytest.mark.parametrize(
    "label", [label for label in MIXED if "data type" not in label and label != "astype"]
)
def test_tangents_and_gradients_keep_the_precision(label, backend):
    a, b = (backend.asarray(x, dtype="float32") for x in (RE, IM))
    value, tangent = nnx.jvp(lambda a, b: MIXED[label](namespace(a), a, b), (a, b), (b, a))
    assert tangent.dtype == value.dtype
    assert tangent.dtype == MIXED[label](namespace(a), a, b).dtype

    def size(a, b):
        xp = namespace(a)
        return xp.sum(xp.abs(MIXED[label](xp, a, b)))

    for g in nnx.grad(size, argnums=(0, 1))(a, b):
        assert g.dtype == a.dtype


@pytest.mark.parametrize("name", ["var", "std"])
def test_variance_of_complex_numbers(name):
    # Beyond the standard, which asks for real numbers: array-api-strict refuses the plain call.
    x = np.asarray(RE), np.asarray(IM)
    nnx.check_derivatives(lambda a, b: getattr(np, name)(a + 1j * b, axis=0), *x)
    nnx.check_derivatives(lambda a, b: getattr(namespace(a), name)(a + 1j * b, correction=1), *x)


def test_numbers_without_dimensions():
    # d|exp(it) − 1|²/dt = d(2 − 2 cos t)/dt = 2 sin t; NumPy's numbers are Python's floats as well.
    for f in (
        lambda t: np.abs(np.exp(1j * t) - 1) ** 2,
        lambda t: abs((1.0 + 0j) * np.exp(t * 1j) + (-1 + 0j)) ** 2,
        lambda t: np.real((1j - 1j * np.exp(1j * t)) * np.conj(1j - 1j * np.exp(1j * t))),
    ):
        assert float(nnx.grad(f)(0.7)) == pytest.approx(2 * np.sin(0.7), rel=1e-14)
        assert float(nnx.grad(nnx.grad(f))(0.7)) == pytest.approx(2 * np.cos(0.7), rel=1e-14)
        assert float(nnx.jvp(f, (0.7,), (1.0,))[1]) == pytest.approx(2 * np.sin(0.7), rel=1e-14)
    assert complex(nnx.jvp(lambda t: 1j + 2j * t, (0.7,), (1.0,))[1]) == 2j


def test_cotangents_are_complex_where_the_output_is(backend):
    a, b = _parts(backend)
    pullback = nnx.vjp(lambda a, b: (a + 1j * b) ** 2, a, b)[1]
    cotangent = backend.asarray(np.asarray(IM) + 2j * np.asarray(RE), dtype="complex128")
    w = to_numpy(cotangent) * 2 * (np.asarray(RE) + 1j * np.asarray(IM))
    # Re(z̄·dz) with dz = 2z·(da + i db); four roundings.
    for got, expected in zip(pullback(cotangent), (w.real, (1j * w).real), strict=True):
        np.testing.assert_allclose(to_numpy(got), expected, rtol=1e-14)
        assert got.dtype == a.dtype
    # A real cotangent of a complex output asks for its real part.
    real = pullback(b)
    as_complex = pullback(namespace(b).astype(b, namespace(b).complex128))
    np.testing.assert_array_equal(to_numpy(real[0]), to_numpy(as_complex[0]))
    _, pullback = nnx.vjp(lambda a: a * 2.0, a)
    with pytest.raises(DerivativeError, match="imaginary"):
        pullback(cotangent)


def test_at_zero_the_modulus_has_the_gradient_zero_and_no_second_derivative(backend):
    zero = backend.asarray([0.0, 3.0], dtype="float64")
    other = backend.asarray([0.0, -4.0], dtype="float64")
    f = lambda a, b: namespace(a).sum(namespace(a).abs(a + 1j * b))  # noqa: E731
    ga, gb = nnx.grad(f, argnums=(0, 1))(zero, other)
    np.testing.assert_allclose(to_numpy(ga), [0.0, 0.6], rtol=1e-15)
    np.testing.assert_allclose(to_numpy(gb), [0.0, -0.8], rtol=1e-15)
    second = to_numpy(nnx.hvp(lambda a: f(a, other), zero, zero + 1.0))
    np.testing.assert_allclose(second, [np.nan, 4.0 * 16.0 / 125.0], rtol=1e-14)  # ∂²|a + ib|/∂a² = b²/|z|³


def test_writing_into_real_and_imaginary_parts(backend):
    """They are views on NumPy, torch and array-api-strict alike; the other part must stay."""
    if not _is_writable(backend):
        pytest.skip("read-only results: the plain call cannot write into its view")

    def f(x):
        xp = namespace(x)
        z = x * x + 1j * x
        real, imag = xp.real(z), xp.imag(z)
        real[0] = 5.0 * x[1]
        imag[1:] = x[:2] ** 3
        return xp.abs(z) ** 2, real, xp.imag(z)

    x = backend.asarray([0.5, 2.0, -1.5], dtype="float64")
    nnx.check_derivatives(f, x)
    plain, traced = f(x), nnx.vjp(f, x)[0]
    for a, b in zip(plain, traced, strict=True):
        np.testing.assert_allclose(to_numpy(a), to_numpy(b), rtol=1e-15)


def test_what_is_refused_says_what_to_do(backend):
    a, b = _parts(backend)
    xp = namespace(a)
    z = a + 1j * b
    for transform in (nnx.grad, nnx.jacobian, nnx.hessian):
        with pytest.raises(DerivativeError, match=r"re \+ 1j \* im"):
            transform(lambda z: xp.sum(xp.abs(z)))(z)
    with pytest.raises(DerivativeError, match=r"re \+ 1j \* im"):
        nnx.jvp(lambda z: z, (z,), (z,))
    with pytest.raises(DerivativeError, match=r"xp.real\(z\)"):
        nnx.grad(lambda a: namespace(a).sum(a + 1j * b))(a)
    with pytest.raises(DerivativeError, match=r"xp.real\(z\)"):
        nnx.jacobian(lambda a: a + 1j * b)(a)
    with pytest.raises(DerivativeError, match=r"xp.sign of a complex array.*x / xp.abs\(x\)"):
        nnx.jvp(lambda a: namespace(a).sign(a + 1j * b), (a,), (a,))


# -- Fourier transforms --------------------------------------------------------------------------------


def test_gradient_of_the_energy_follows_from_parseval(backend):
    # Σ|X_k|² = n·Σx², whose gradient is 2n·x; the FFT's error grows as log n.
    x = backend.asarray(np.linspace(-1.0, 2.0, 12), dtype="float64")
    energy = lambda x: namespace(x).sum(namespace(x).abs(namespace(x).fft.fft(x + 0j)) ** 2)  # noqa: E731
    np.testing.assert_allclose(to_numpy(nnx.grad(energy)(x)), 24 * to_numpy(x), rtol=1e-13, atol=1e-13)


def test_convolution_by_transforms_has_the_gradient_of_the_sum(backend):
    x, w = (backend.asarray(v, dtype="float64") for v in ([1.0, -2.0, 0.5, 3.0], [0.3, 0.1, -0.7]))

    def by_transform(x, w):
        fft = namespace(x, w).fft
        return fft.irfft(fft.rfft(x, n=6) * fft.rfft(w, n=6), n=6)

    def by_sum(x, w):
        xp = namespace(x, w)
        zeros = xp.zeros_like(x[:3])
        padded = xp.concat([zeros[:2], x, zeros[:2]])
        return xp.stack([xp.sum(padded[i : i + 3] * xp.flip(w)) for i in range(6)])

    for argnum in (0, 1):
        a, b = (to_numpy(nnx.jacobian(f, argnum)(x, w)) for f in (by_transform, by_sum))
        np.testing.assert_allclose(a, b, atol=1e-15)


def test_frequencies_are_constants_that_can_be_written_into(backend):
    if not _is_writable(backend):
        pytest.skip("read-only results: the plain call cannot write into its frequencies")

    def f(x):
        xp = namespace(x)
        k = xp.fft.fftfreq(4, dtype=x.dtype, device=x.device)
        k[0] = x[0]
        return k * x

    nnx.check_derivatives(f, backend.asarray([0.4, 1.0, -2.0, 0.3], dtype="float64"))


# -- against JAX ---------------------------------------------------------------------------------------

_A, _B = np.linspace(-1.1, 1.4, 12).reshape(3, 4), np.cos(np.arange(12.0)).reshape(3, 4)

#: Real functions of two real arrays, written for NumPy and jax.numpy alike.
AGAINST_JAX = {
    "fft": lambda np, a, b: np.sum(np.abs(np.fft.fft(a + 1j * b, n=6, axis=0, norm="ortho")) ** 3),
    "ifft": lambda np, a, b: np.sum(np.real(np.fft.ifft(a + 1j * b, n=3) ** 2) * b[:, :3]),
    "fftn": lambda np, a, b: np.sum(np.abs(np.fft.fftn(a * (1 + 2j), s=(2, 5), axes=(0, 1))) * 1.5),
    "ifftn": lambda np, a, b: np.sum(np.imag(np.fft.ifftn(a + 1j * b, norm="forward")) * a),
    "rfft": lambda np, a, b: np.sum(np.abs(np.fft.rfft(a * b, n=5, axis=1)) ** 2),
    "irfft": lambda np, a, b: np.sum(np.fft.irfft(a + 1j * b, n=5) ** 3),
    "rfftn": lambda np, a, b: np.sum(np.abs(np.fft.rfftn(a * b)) * 2.0),
    "irfftn": lambda np, a, b: np.sum(np.sin(np.fft.irfftn(a + 1j * b, norm="ortho"))),
    "hfft": lambda np, a, b: np.sum(np.fft.hfft(a + 1j * b, n=7) ** 2),
    "ihfft": lambda np, a, b: np.sum(np.abs(np.fft.ihfft(a * b, norm="forward")) ** 2),
    "fftshift": lambda np, a, b: np.sum(np.abs(np.fft.fftshift(np.fft.fft(a, axis=0), axes=0) * b) ** 2),
    "elementwise": lambda np, a, b: np.sum(
        np.real(np.sqrt(a + 1j * b) * np.log(a - 2j) / np.tanh(b + 1j * a))
    ),
    "inverse functions": lambda np, a, b: np.sum(np.imag(np.arcsin(a + 2j * b) + np.arctan(a * 1j + b))),
    "powers": lambda np, a, b: np.sum(np.real((a + 1j * b) ** (b - 0.5j) + (a + 1j * b) ** 3)),
    "products": lambda np, a, b: np.abs(np.prod((a + 1j * b)[0]) + np.vdot(a + 1j * b, b * 2j)),
    "matrices": lambda np, a, b: np.sum(np.abs((a + 1j * b) @ (b - 1j * a).T) ** 2),
    "running": lambda np, a, b: np.sum(np.imag(np.cumprod(a + 1j * b, axis=1) * np.cumsum(a * 1j, axis=1))),
    "choice": lambda np, a, b: np.sum(
        np.abs(np.where(a > 0, a, 1j * b) + np.concatenate([1j * a[:1], b[1:]]))
    ),
}


@pytest.mark.parity
@pytest.mark.parametrize("label", AGAINST_JAX)
def test_gradients_are_those_of_jax(label):
    jax = pytest.importorskip("jax")
    with jax.experimental.enable_x64() if hasattr(jax.experimental, "enable_x64") else jax.enable_x64(True):
        expected = jax.grad(lambda a, b: AGAINST_JAX[label](jax.numpy, a, b), argnums=(0, 1))(_A, _B)
    got = nnx.grad(lambda a, b: AGAINST_JAX[label](np, a, b), argnums=(0, 1))(_A, _B)
    for g, e in zip(got, expected, strict=True):
        # Both in float64, through a few dozen operations.
        np.testing.assert_allclose(g, np.asarray(e), rtol=1e-11, atol=1e-12)
