"""Linear algebra: against JAX and PyTorch, at the degenerate places, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from autodiff.derivative_cases import CASES

import nnx
from nnx.autodiff.array import is_traced
from nnx.backend import namespace, to_numpy
from nnx.errors import DerivativeError

EXAMPLES = [case for case in CASES if case.name.startswith("linalg.")]
# JAX compiles each, which takes a second: one example of each function.
FOR_JAX = {case.name: case for case in EXAMPLES if "complex" not in case.label}.values()


def _one_number(case, xp, arrays):
    """Σ sin(y²) over all results: does not depend on the signs that a factorization chooses."""
    results = nnx.autodiff.flatten(case.function(xp, *arrays))[0]
    return sum(xp.sum(xp.sin(y * y)) for y in results)


@pytest.mark.parity
@pytest.mark.parametrize("case", FOR_JAX, ids=str)
def test_gradient_is_that_of_jax(case):
    jax = pytest.importorskip("jax")
    arrays = case.arrays()
    where = tuple(range(len(arrays)))
    with jax.enable_x64(True):
        expected = jax.grad(lambda *xs: _one_number(case, jax.numpy, xs), where)(
            *map(jax.numpy.asarray, arrays)
        )
    ours = nnx.grad(lambda *xs: _one_number(case, namespace(*xs), xs), where)(*arrays)
    for a, b in zip(ours, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("case", EXAMPLES, ids=str)
def test_gradient_is_that_of_torch(case):
    torch = pytest.importorskip("torch")
    xp = namespace(torch.zeros(1))
    arrays = case.arrays()
    leaves = [torch.tensor(x, requires_grad=True) for x in arrays]
    total = _one_number(case, xp, leaves)
    if total.requires_grad:  # not that of the norm of order 0
        total.backward()
    ours = nnx.grad(lambda *xs: _one_number(case, namespace(*xs), xs), tuple(range(len(arrays))))(*arrays)
    for a, leaf in zip(ours, leaves, strict=True):
        np.testing.assert_allclose(a, 0.0 if leaf.grad is None else leaf.grad, rtol=1e-9, atol=1e-11)


# A rotation that mixes all coordinates, so that equal eigenvalues are equal up to rounding only.
ROTATION = np.linalg.qr(np.asarray([[1.0, 4.0, 3.0], [2.0, 3.0, 5.0], [4.0, 6.0, 11.0]]))[0]


def _rotated(*eigenvalues):
    return ROTATION @ np.diag(np.asarray(eigenvalues, dtype=float)) @ ROTATION.T


def _symmetric(x):
    return 0.5 * (x + namespace(x).matrix_transpose(x))


def _sum_of_cubes(x):
    return namespace(x).sum(namespace(x).linalg.eigvalsh(_symmetric(x)) ** 3)


def _projection(x):
    """Onto the eigenvectors of the two smallest eigenvalues."""
    v = namespace(x).linalg.eigh(_symmetric(x)).eigenvectors[:, :2]
    return v @ v.mT


def _polar(x):
    u, _, vh = namespace(x).linalg.svd(x)
    return u @ vh


def _nuclear(x):
    return namespace(x).linalg.matrix_norm(x, ord="nuc")


# What the docstrings promise where values are equal or zero: (function, matrix, highest
# order that is right).
DEGENERATE = {
    "cubes of eigenvalues": (_sum_of_cubes, _rotated(1, 1, 4), 1),
    "cubes of eigenvalues of the identity": (_sum_of_cubes, np.eye(3), 1),
    "projection": (_projection, _rotated(1, 1, 4), 1),
    "polar factor": (_polar, ROTATION, 1),
    "nuclear norm": (_nuclear, 2.0 * ROTATION, 2),
    "nuclear norm, tall": (_nuclear, 2.0 * ROTATION[:, :2], 2),
    "nuclear norm, wide": (_nuclear, 2.0 * ROTATION[:2], 2),
    "nuclear norm, distinct values": (_nuclear, np.asarray([[1.0, 2.0], [3.0, 5.0], [4.0, 1.0]]), 3),
    "det of the identity": (lambda x: namespace(x).linalg.det(x), np.eye(3), 3),
    "det of equal singular values": (lambda x: namespace(x).linalg.det(x), _rotated(2, 2, -2), 3),
    "det of integers": (lambda x: namespace(x).linalg.det(x), np.arange(1.0, 10.0).reshape(3, 3), 3),
    "det, rank 2": (lambda x: namespace(x).linalg.det(x), _rotated(3, 2, 0), 3),
    "det, rank 1": (lambda x: namespace(x).linalg.det(x), _rotated(3, 0, 0), 3),
    "det, rank 0": (lambda x: namespace(x).linalg.det(x), np.zeros((3, 3)), 3),
    "det, one singular of a stack": (
        lambda x: namespace(x).linalg.det(x), np.stack([_rotated(3, 2, 0), _rotated(1, 2, 3)]), 3,
    ),
    "norm of order 4 with a zero": (
        lambda x: namespace(x).linalg.vector_norm(x, ord=4), np.asarray([1.0, 0.0, -2.0]), 2,
    ),
    "norm of order 3 with a zero": (
        lambda x: namespace(x).linalg.vector_norm(x, ord=3), np.asarray([1.0, 0.0, -2.0]), 1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DEGENERATE)
def test_what_is_right_at_degenerate_places(name, backend):
    function, x, order = DEGENERATE[name]
    nnx.check_derivatives(function, backend.asarray(x, dtype="float64"), order=order)


def test_complex_nuclear_norm_at_equal_singular_values():
    turned, step = (
        np.asarray([[1.0, 1j], [1j, 1.0], [0.0, 0.0]]),
        np.asarray([[1j, 2.0], [0.5, 1.0], [1.0, -1j]]),
    )

    def f(t):
        return np.linalg.norm(turned + t * step, ord="nuc")

    h = 1e-3  # differences of values: off by h²/12 times a fourth derivative, and 1e−10 of rounding
    expected = (f(h) - 2.0 * f(0.0) + f(-h)) / h**2
    np.testing.assert_allclose(nnx.grad(nnx.grad(f))(0.0), expected, rtol=1e-5)
    assert np.isnan(nnx.grad(nnx.grad(nnx.grad(f)))(0.0))


@pytest.mark.filterwarnings("ignore")
def test_nuclear_norm_of_a_matrix_without_full_rank_has_no_second_derivative():
    x = np.diag([2.0, 1.0, 0.0])
    np.testing.assert_array_equal(nnx.grad(_nuclear)(x)[:2, :2], np.eye(2))
    assert np.isnan(nnx.hessian(_nuclear)(x)).all()


def test_what_equal_eigenvalues_hide():
    # V·diag(λ)·Vᵀ is x itself, but at the identity no basis is preferred: only the diagonal comes through
    def rebuilt(x):
        values, v = namespace(x).linalg.eigh(x)
        return np.sum(np.arange(9.0).reshape(3, 3) * ((v * values) @ v.mT))

    np.testing.assert_array_equal(nnx.grad(rebuilt)(np.eye(3)), np.diag([0.0, 4.0, 8.0]))
    apart = np.diag([1.0, 1.1, 1.2])
    np.testing.assert_allclose(nnx.grad(rebuilt)(apart), [[0, 2, 4], [2, 4, 6], [4, 6, 8]], atol=1e-12)


def test_gradient_with_respect_to_a_symmetric_matrix_is_symmetric(backend):
    x = backend.asarray([[4.0, 1.0, 0.5], [1.0, 3.0, 0.2], [0.5, 0.2, 2.0]], dtype="float64")
    for name in ("cholesky", "eigh", "eigvalsh"):

        def f(x, name=name):
            xp = namespace(x)
            result = getattr(xp.linalg, name)(x)
            return sum(xp.sum(xp.sin(part)) for part in nnx.autodiff.flatten(result)[0])

        g = to_numpy(nnx.grad(f)(x))
        np.testing.assert_allclose(g, g.T, atol=1e-14)  # rounding of numbers near 1


@pytest.mark.parametrize("order", [0, 0.5, 1, 1.5, 2, 3, 4, -1, np.inf, -np.inf])
@pytest.mark.filterwarnings("ignore:divide by zero")  # NumPy's own, of 0 to a negative power
def test_norm_of_a_zero_vector_has_gradient_zero(order, backend):
    def norm(x):
        return namespace(x).linalg.vector_norm(x, ord=order)

    x = backend.asarray([0.0, 0.0], dtype="float64")
    np.testing.assert_array_equal(to_numpy(nnx.grad(norm)(x)), [0.0, 0.0])
    second = to_numpy(nnx.hessian(norm)(x))
    assert np.all(second == 0.0) if order == 0 else np.all(np.isnan(second[[0, 1], [0, 1]]))  # a kink


def test_norm_shares_the_gradient_between_equal_elements():
    norm = lambda x: namespace(x).linalg.vector_norm(x, ord=np.inf)  # noqa: E731
    np.testing.assert_array_equal(nnx.grad(norm)(np.asarray([3.0, -3.0, 1.0])), [0.5, -0.5, 0.0])


@pytest.mark.parametrize("order", ["fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf])
def test_norm_of_a_zero_matrix_has_a_finite_gradient(order):
    g = nnx.grad(lambda x: namespace(x).linalg.matrix_norm(x, ord=order))(np.zeros((2, 3)))
    assert np.all(np.isfinite(g))


NAMED = {
    "eigh": ("eigenvalues", "eigenvectors"), "qr": ("Q", "R"), "slogdet": ("sign", "logabsdet"),
    "svd": ("U", "S", "Vh"),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMED)
def test_results_are_named(name):
    def f(x):
        result = getattr(namespace(x).linalg, name)(x)
        assert result._fields == NAMED[name]
        return np.sum(getattr(result, NAMED[name][-1]))

    assert nnx.grad(f)(np.eye(2)).shape == (2, 2)
    assert nnx.jvp(f, (np.eye(2),), (np.eye(2),))[1].shape == ()


def test_rank_and_zeroth_power_are_constants(backend):
    def f(x):
        xp = namespace(x)
        rank = xp.linalg.matrix_rank(x)
        assert not is_traced(rank)
        np.testing.assert_array_equal(to_numpy(rank), 2)
        return xp.sum(x * xp.linalg.matrix_power(x, 0))

    x = backend.asarray([[1.0, 2.0], [3.0, 4.0]], dtype="float64")
    np.testing.assert_array_equal(to_numpy(nnx.grad(f)(x)), np.eye(2))


def test_what_is_not_determined_is_refused():
    tall = np.ones((3, 2))
    with pytest.raises(DerivativeError, match=r"3 × 2 .* mode='reduced'"):
        nnx.vjp(lambda x: namespace(x).linalg.qr(x, mode="complete"), tall)
    for x in (tall, tall.T):
        with pytest.raises(DerivativeError, match="full_matrices=False"):
            nnx.vjp(lambda x: namespace(x).linalg.svd(x), x)


@pytest.mark.parametrize("name", ["eig", "eigvals"])
def test_eigenvalues_of_general_matrices_are_refused(name):
    with pytest.raises(DerivativeError, match=f"linalg.{name} .* complex numbers"):
        nnx.vjp(lambda x: getattr(namespace(x).linalg, name)(x), np.eye(2))


def test_unknown_order_of_a_matrix_norm():
    with pytest.raises(ValueError, match="nuc"):
        nnx.grad(lambda x: namespace(x).linalg.matrix_norm(x, ord=3))(np.eye(2))


@pytest.mark.parametrize(
    "name", ["cholesky", "det", "eigh", "inv", "pinv", "qr", "slogdet", "svd", "svdvals"]
)
def test_matrices_without_elements(name):
    out, pullback = nnx.vjp(lambda x: getattr(namespace(x).linalg, name)(x), np.zeros((2, 0, 0)))
    assert pullback(out)[0].shape == (2, 0, 0)


def test_a_diagonal_is_a_view_where_the_library_makes_it_one(backend):
    def f(x):
        xp = namespace(x)
        y = x * 1.0
        diagonal, transposed = xp.linalg.diagonal(y), xp.linalg.matrix_transpose(y)
        y[0, 0] = x[0, 1] * x[0, 1]
        return xp.sum(diagonal * diagonal) + xp.sum(transposed[1, :] * transposed[0, :])

    x = backend.asarray([[1.0, 2.0], [3.0, 4.0]], dtype="float64")
    nnx.check_derivatives(f, x)


def test_the_pullback_of_solve_stretches_stacks_itself():
    # CuPy does not: it takes a stack of matrices only with as many right-hand sides
    shapes = []

    def f(a, b):
        xp = namespace(a)
        return xp.sum(xp.linalg.solve(a, b))

    a, b = np.stack([np.eye(2), 2.0 * np.eye(2)]), np.asarray([1.0, 3.0])
    solve, space = np.linalg.solve, nnx.autodiff.space_of(a)
    with pytest.MonkeyPatch.context() as patch:

        def spy(a, b):
            shapes.append((a.shape, b.shape))
            return solve(a, b)

        patch.setattr(space.base.linalg, "solve", spy)
        ga, gb = nnx.grad(f, (0, 1))(a, b)
    assert shapes[-1] == ((2, 2, 2), (2, 2, 1))
    np.testing.assert_allclose(gb, [1.5, 1.5])
    np.testing.assert_allclose(ga[1], [[-0.25, -0.75], [-0.25, -0.75]])
