"""What is documented where there is no derivative (ties, kinks, poles); arrays without numbers or axes."""

from __future__ import annotations

import numpy as np
import pytest
from walks import walk

import nnx
from nnx.backend import namespace, to_numpy

INF = float("inf")


def _gradients(name, backend, *numbers):
    args = [backend.asarray(x, dtype="float64") for x in numbers]
    with np.errstate(divide="ignore"):
        found = nnx.grad(lambda *xs: getattr(namespace(*xs), name)(*xs), argnums=tuple(range(len(args))))(
            *args
        )
    return [float(to_numpy(g)) for g in found]


@pytest.mark.parametrize(
    ("name", "at", "expected"),
    [
        ("abs", (0.0,), [0.0]),
        ("sqrt", (0.0,), [INF]),
        ("log", (0.0,), [INF]),
        ("hypot", (0.0, 0.0), [0.0, 0.0]),
        ("hypot", (3.0, -4.0), [0.6, -0.8]),
        ("maximum", (2.0, 2.0), [0.5, 0.5]),
        ("minimum", (2.0, 2.0), [0.5, 0.5]),
        ("clip", (0.0, 0.0, 1.0), [1.0, 0.0, 0.0]),
        ("clip", (1.0, 0.0, 1.0), [1.0, 0.0, 0.0]),
        ("clip", (2.0, 0.0, 1.0), [0.0, 0.0, 1.0]),
        ("logaddexp", (-INF, -INF), [0.5, 0.5]),
        ("logaddexp", (-INF, 1.0), [0.0, 1.0]),
        ("logaddexp", (INF, 1.0), [1.0, 0.0]),
        ("pow", (0.0, 2.0), [0.0, 0.0]),
        ("pow", (0.0, 1.0), [1.0, 0.0]),
        ("pow", (2.0, 0.0), [0.0, np.log(2.0)]),
        ("remainder", (5.0, 3.0), [1.0, -1.0]),
        ("copysign", (-2.0, 1.0), [-1.0, 0.0]),
        ("nextafter", (1.0, 2.0), [1.0, 0.0]),
    ],
)
def test_elementwise(name, at, expected, backend):
    assert _gradients(name, backend, *at) == expected


def test_a_side_that_where_does_not_choose_must_have_a_finite_slope(backend):
    x = backend.asarray([0.0, 4.0], dtype="float64")

    def guarded_result(x):
        xp = namespace(x)
        return xp.sum(xp.where(x > 0.0, xp.sqrt(x), 0.0))

    def guarded_argument(x):
        xp = namespace(x)
        return xp.sum(xp.where(x > 0.0, xp.sqrt(xp.where(x > 0.0, x, 1.0)), 0.0))

    with np.errstate(divide="ignore", invalid="ignore"):
        np.testing.assert_array_equal(to_numpy(nnx.grad(guarded_result)(x)), [np.nan, 0.25])
    np.testing.assert_array_equal(to_numpy(nnx.grad(guarded_argument)(x)), [0.0, 0.25])


@pytest.mark.parametrize(
    ("name", "x", "expected"),
    [
        ("max", [3.0, 1.0, 3.0], [0.5, 0.0, 0.5]),
        ("min", [1.0, 1.0, 1.0, 2.0], [1 / 3, 1 / 3, 1 / 3, 0.0]),
        ("std", [2.0, 2.0, 2.0], [0.0, 0.0, 0.0]),
        ("var", [2.0, 2.0, 2.0], [0.0, 0.0, 0.0]),
        ("prod", [2.0, 0.0, 3.0], [0.0, 6.0, 0.0]),
        ("prod", [0.0, 0.0, 3.0], [0.0, 0.0, 0.0]),
    ],
)
def test_reductions(name, x, expected, backend):
    g = nnx.grad(lambda x: getattr(namespace(x), name)(x))(backend.asarray(x, dtype="float64"))
    np.testing.assert_allclose(to_numpy(g), expected, rtol=1e-15)


def test_second_derivatives_of_a_distance_are_nan_where_it_is_zero(backend):
    x = backend.asarray([0.0, 0.0, 1.0], dtype="float64")
    second = to_numpy(nnx.hessian(lambda x: namespace(x).sum(namespace(x).hypot(x, x * 2.0)))(x))
    np.testing.assert_allclose(np.diag(second), [np.nan, np.nan, 0.0], atol=1e-15)
    second = to_numpy(nnx.hessian(lambda x: namespace(x).std(x[:2]))(x))
    assert np.isnan(second[:2, :2]).all()


def test_equal_numbers_are_sorted_as_they_stand(backend):
    # A stable sort keeps equal numbers in order, so each keeps its own cotangent.
    x = backend.asarray([2.0, 1.0, 2.0, 1.0], dtype="float64")
    weights = backend.asarray([1.0, 10.0, 100.0, 1000.0], dtype="float64")
    g = nnx.grad(lambda x: namespace(x).sum(namespace(x).sort(x, stable=True) * weights))(x)
    np.testing.assert_array_equal(to_numpy(g), [100.0, 1.0, 1000.0, 10.0])


@pytest.mark.filterwarnings("ignore")  # the libraries' own, of the plain call
def test_variance_of_too_few_numbers_is_nan(backend):
    x = backend.asarray([2.0], dtype="float64")
    g = nnx.grad(lambda x: namespace(x).var(x, correction=1))(x)
    assert np.isnan(to_numpy(g)).all()


UNARY = "abs acos asin asinh atan atanh conj cos cosh exp expm1 log1p negative real sin sinh square tan tanh"
BINARY = "add atan2 copysign divide hypot logaddexp maximum minimum multiply nextafter pow remainder subtract"
REDUCTIONS = ("sum", "prod", "cumulative_sum", "cumulative_prod")


@walk("name", UNARY.split())
@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3)])
def test_unary_functions_of_arrays_without_numbers_or_axes(name, shape, backend):
    x = backend.asarray(np.full(shape, 0.3), dtype="float64")
    nnx.check_derivatives(lambda x: getattr(namespace(x), name)(x), x)
    assert nnx.grad(lambda x: namespace(x).sum(getattr(namespace(x), name)(x)))(x).shape == shape


@walk("name", BINARY.split())
@pytest.mark.parametrize("shapes", [((), ()), ((0,), ()), ((2, 1), (0,)), ((0, 3), (0, 3))])
def test_binary_functions_of_arrays_without_numbers_or_axes(name, shapes, backend):
    args = [backend.asarray(np.full(s, v), dtype="float64") for s, v in zip(shapes, (0.3, 0.7), strict=True)]
    nnx.check_derivatives(lambda a, b: getattr(namespace(a, b), name)(a, b), *args)
    found = nnx.grad(lambda *xs: namespace(*xs).sum(getattr(namespace(*xs), name)(*xs)), argnums=(0, 1))(
        *args
    )
    assert [g.shape for g in found] == list(shapes)


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 2)])
def test_reductions_of_arrays_without_numbers(name, shape, backend):
    x = backend.asarray(np.zeros(shape), dtype="float64")
    for axis in range(len(shape)):
        nnx.check_derivatives(lambda x, axis=axis: getattr(namespace(x), name)(x, axis=axis), x)
    if "cumulative" in name:
        nnx.check_derivatives(lambda x: getattr(namespace(x), name)(x, axis=0, include_initial=True), x)


@pytest.mark.parametrize("name", ["sum", "prod", "mean", "max", "min", "var"])
def test_reductions_of_one_number(name, backend):
    nnx.check_derivatives(lambda x: getattr(namespace(x), name)(x), backend.asarray(0.7, dtype="float64"))
    nnx.check_derivatives(
        lambda x: getattr(namespace(x), name)(x, axis=()) if name in ("sum", "prod") else x,
        backend.asarray([0.7, 0.4], dtype="float64"),
    )


@pytest.mark.parametrize("name", ["count_nonzero", "signbit", "isnan", "sign", "argmax"])
def test_constants_cut_the_gradient(name, backend):
    x = backend.asarray([1.5, -2.5], dtype="float64")
    g = nnx.grad(lambda x: namespace(x).sum(_as_floats(getattr(namespace(x), name)(x), x) * x))(x)
    plain = getattr(namespace(x), name)(x)
    np.testing.assert_array_equal(to_numpy(g), np.broadcast_to(to_numpy(plain), (2,)))


def _as_floats(y, x):
    return namespace(y).astype(y, namespace(y).float64)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 1000])
def test_running_product_to_second_order_whatever_is_zero(n):
    # The formula with one factor left out, by brute force, at up to three zeros.
    random = np.random.default_rng(n)
    x = random.uniform(-1.5, 1.5, n)
    x[random.integers(0, n, 3)] = 0.0
    g = random.standard_normal(n)
    found = nnx.grad(lambda x: np.sum(g * np.cumulative_prod(x)))(x)
    expected = [np.sum((g * np.cumprod(np.where(np.arange(n) == i, 1.0, x)))[i:]) for i in range(n)]
    # 1000 factors: the error of a product grows with their number.
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
