"""Derivatives of factorizations of complex matrices: in both modes, to second order; phases are refused."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx.errors import DerivativeError

RNG = np.random.default_rng(0)


def draw(*shape):
    return RNG.normal(size=shape) + 1j * RNG.normal(size=shape)


B, C, D, RIGHT = draw(3, 3), draw(4, 3), draw(4, 3), draw(4)
WEIGHTS, W = RNG.normal(size=(3, 3)), RNG.normal(size=3)
X = np.asarray([0.7, 0.3, 0.5])


def hermitian(x):
    m = B * x[0] + B @ B * x[1]
    return m @ np.conj(m.T) + 0.1 * x[2] * np.eye(3)


def tall(x):
    return C * x[0] + D * x[1] ** 2 + 1j * x[2] * C


def parts(m):
    return np.sum(WEIGHTS * np.real(m)) + np.sum(WEIGHTS.T * np.imag(m))


def projection(x):
    v = np.linalg.eigh(hermitian(x))[1][:, :2]
    return parts(v @ np.conj(v.T))


def with_real_ends(x):
    v = np.linalg.eigh(hermitian(x))[1]
    return parts(v * np.conj(v[2:, :] / np.abs(v[2:, :])))


def product(x, of=lambda s: s, wide=False):
    m = tall(x).T if wide else tall(x)
    u, s, vh = np.linalg.svd(m, full_matrices=False)
    return parts((u * of(s) @ vh)[:3, :3])


def least_squares(x):
    solution, rest, rank, _ = np.linalg.lstsq(tall(x), RIGHT, rcond=None)
    return np.sum(np.abs(W * solution + 0.3) ** 2) + rest[0] * rank


FUNCTIONS = {
    "eigvalsh": lambda x: np.sum(W * np.linalg.eigvalsh(hermitian(x)) ** 2),
    "eigvalsh of the upper triangle": lambda x: np.sum(W * np.linalg.eigvalsh(hermitian(x), UPLO="U")),
    "cholesky": lambda x: parts(np.linalg.cholesky(hermitian(x))),
    "svdvals": lambda x: np.sum(W * np.linalg.svdvals(tall(x))),
    "norm 2": lambda x: np.linalg.norm(tall(x), 2),
    "norm -2": lambda x: np.linalg.norm(tall(x), -2),
    "norm nuc": lambda x: np.linalg.norm(tall(x), "nuc"),
    "norm fro": lambda x: np.linalg.norm(tall(x)),
    "cond": lambda x: np.linalg.cond(tall(x)),
    "cond 1": lambda x: np.linalg.cond(hermitian(x), 1),
    "lstsq": least_squares,
    "pinv": lambda x: parts(np.linalg.pinv(tall(x))[:, :3]),
    "slogdet": lambda x: np.real(sum(np.linalg.slogdet(hermitian(x) + tall(x)[:3]))),
    "matrix_rank": lambda x: x[0] * np.linalg.matrix_rank(tall(x)),
    "projection": projection,
    "vectors with a real entry": with_real_ends,
    "|v|": lambda x: np.sum(WEIGHTS * np.abs(np.linalg.eigh(hermitian(x))[1]) ** 2),
    "U S Vh": product,
    "polar factor": lambda x: product(x, np.ones_like),
    "polar factor of a wide matrix": lambda x: product(x, np.ones_like, wide=True),
    "U f(S) Vh": lambda x: product(x, np.exp),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives_are_those_of_finite_differences(name):
    nnx.check_derivatives(FUNCTIONS[name], X)


def test_analytic_values():
    a = np.asarray([[2.0, 1j], [-1j, 2.0]])  # eigenvalues 1 and 3
    slope = nnx.grad(lambda t: np.sum(np.linalg.eigvalsh(a * t) ** 2))
    np.testing.assert_allclose([slope(1.0), slope(2.5)], [20.0, 50.0], rtol=1e-14)
    np.testing.assert_allclose(nnx.grad(lambda t: np.linalg.norm(a * t, 2))(1.5), 3.0, rtol=1e-14)
    np.testing.assert_allclose(nnx.grad(lambda t: np.linalg.norm(a * t, "nuc"))(1.5), 4.0, rtol=1e-14)
    # the factor of t²·A is t times that of A
    factor = np.linalg.cholesky(a)
    moved = nnx.jvp(lambda t: np.linalg.cholesky(a * t**2), (3.0,), (1.0,))[1]
    np.testing.assert_allclose(moved, factor, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sum(np.real(np.linalg.eigh(hermitian(x))[1])),
        lambda x: np.sum(np.imag(np.linalg.svd(tall(x), full_matrices=False)[0])),
        lambda x: np.sum(np.real(np.linalg.svd(tall(x), full_matrices=False)[2])),
    ],
)
def test_what_depends_on_phases_is_refused(f):
    with pytest.raises(DerivativeError, match="depends on the phases"):
        nnx.grad(f)(X)


def test_qr_of_complex_matrices_is_refused():
    with pytest.raises(DerivativeError, match=r"linalg\.qr of a complex matrix.*cholesky"):
        nnx.grad(lambda x: np.sum(np.abs(np.linalg.qr(tall(x))[1])))(X)


def test_pytorch_agrees():
    torch = pytest.importorskip("torch")
    x = torch.asarray(X, requires_grad=True)
    b = torch.asarray(B)
    m = b * x[0] + b @ b * x[1]
    h = m @ m.conj().T + 0.1 * x[2] * torch.eye(3, dtype=torch.float64)
    values, v = torch.linalg.eigh(h)
    weights = torch.asarray(WEIGHTS)
    (torch.sum(weights * torch.abs(v) ** 2) + torch.sum(torch.asarray(W) * values)).backward()

    def same(x):
        values, v = np.linalg.eigh(hermitian(x))
        return np.sum(WEIGHTS * np.abs(v) ** 2) + np.sum(W * values)

    np.testing.assert_allclose(nnx.grad(same)(X), x.grad.numpy(), rtol=1e-10)
