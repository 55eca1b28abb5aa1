"""Second derivatives where a number is exactly 0, tied, at a pole or saturated: right, or not finite.

The table of exceptions below is that of docs/differentiation.md, "Second derivatives at kinks".
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from autodiff.special_cases import EXAMPLES, on_backend
from walks import walk

import nnx
from nnx.autodiff.families import Elementwise
from nnx.autodiff.space import RULES, space_of
from nnx.backend import namespace, to_numpy

#: Finite where there is no second derivative: the slope counts as a constant at a tie, jump or corner.
CONSTANT_SLOPES = {"maximum", "minimum", "copysign", "remainder"}
#: NaN (or infinite) at some points where there is a second derivative: 0·∞ that no rule resolves.
NOT_FINITE = {
    "pow", "hypot",  # 0 to a differentiated exponent ≤ 1; some entries at (0, 0), where others do not exist
    *("special." + name for name in (
        "powm1", "poch", "rel_entr", "kl_div", "pseudo_huber",  # at x = 0; δ = 0
        # at an end of their range
        "betainc", "betaincc", "gdtr", "gdtrc", "pdtr", "pdtrc", "bdtr", "bdtrc", "nbdtr", "nbdtrc",
    )),
}  # fmt: skip

POINTS = {1: (0.0, -0.0, 1.0, -1.0, 0.5, 20.0, -20.0), 2: (0.0, -0.0, 1.0, 0.5), 3: (0.0, 1.0)}
STEPS = (2e-3, 1e-3)
GAUSS = np.array([1.0, 2.0])


def _total(f):
    return lambda *xs: sum(namespace(part).sum(part) for part in nnx.autodiff.flatten(f(*xs))[0])


def _quotients(gradient, xs, t, sign):
    """Differences of the gradient on one side, extrapolated: NaN where they do not settle, inf outside."""
    here, by_step = gradient(*xs), []
    for h in STEPS:
        there = gradient(*(x + sign * h * v for x, v in zip(xs, t, strict=True)))
        by_step.append([(g - g0) / (sign * h) for g, g0 in zip(there, here, strict=True)])
    coarse, fine = (np.stack(d) for d in by_step)
    settled = np.where(abs(fine - coarse) < 0.1 * (1.0 + abs(fine)), 2.0 * fine - coarse, np.nan)
    return np.where(np.isnan(np.stack(there)), np.inf, settled)


def _judged(f, n, backend):
    """``(point, i, j, what)`` for the second derivatives ∂i∂j of an elementwise f that are to be judged."""
    xs = [np.asarray(c) for c in zip(*itertools.product(POINTS[n], repeat=n), strict=True)]
    slopes = nnx.grad(_total(f), argnums=tuple(range(n)))
    gradient = on_backend(backend, slopes)
    both = on_backend(backend, lambda *xs: nnx.jvp(slopes, xs[:n], xs[n:]))
    for j in range(n):
        t = tuple(np.full(x.shape, float(i == j)) for i, x in enumerate(xs))
        here, found = both(*xs, *t)
        right, left = (_quotients(gradient, xs, t, sign) for sign in (1.0, -1.0))
        right, left = np.where(np.isinf(right), left, right), np.where(np.isinf(left), right, left)
        for i, k in np.argwhere(np.isfinite(here)):
            point, got = tuple(float(x[k]) for x in xs), found[i][k]
            mean, scale = 0.5 * (right[i, k] + left[i, k]), 1.0 + abs(right[i, k]) + abs(left[i, k])
            exists = abs(right[i, k] - left[i, k]) < 1e-2 * scale  # False where either is NaN
            if exists and not np.isfinite(got):
                yield point, int(i), j, "not finite"
            # The extrapolated quotients are off by h² times a fourth derivative.
            elif exists and abs(got - mean) > 1e-3 * scale:
                yield point, int(i), j, "wrong"
            elif not exists and np.isfinite(got):
                yield point, int(i), j, "constant slope"


def _judge(name, f, n, backend):
    allowed = {"wrong": set(), "not finite": NOT_FINITE, "constant slope": CONSTANT_SLOPES}
    with np.errstate(all="ignore"):
        for point, i, j, what in _judged(f, n, backend):
            assert name in allowed[what], f"∂{i}∂{j} of {name} at {point}: {what}"


@pytest.mark.filterwarnings("ignore")
@walk("name", [n for n, r in RULES.items() if r.entrywise and n != "kinked" and not n.startswith("special.")])
def test_every_elementwise_rule(name, backend):
    n = 1 if isinstance(RULES[name], Elementwise) else 2
    _judge(name, lambda *xs: getattr(space_of(xs[0]), name)(*xs), n, backend)


@pytest.mark.filterwarnings("ignore")
@walk("example", {e.name: e for e in EXAMPLES}.values(), ids=lambda e: e.name)
def test_every_special_function(example, backend):
    _judge(
        "special." + example.name,
        lambda *xs: example.function(space_of(xs[0]).special, *xs),
        len(example.ranges),
        backend,
    )


# -- distances: a kink, but their powers are smooth ------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "expected"),
    [
        (lambda xp, x: xp.sum(xp.abs(x + 2j * x) ** 2), 10.0 * np.eye(2)),
        (lambda xp, x: xp.sum(xp.abs(xp.fft.fft(xp.astype(x, xp.complex128))) ** 2), 4.0 * np.eye(2)),
        (lambda xp, x: xp.sum(xp.abs(x) ** 2), 2.0 * np.eye(2)),
        (lambda xp, x: xp.sum(xp.square(xp.abs(x))), 2.0 * np.eye(2)),
        (lambda xp, x: xp.sum(xp.hypot(x, 2.0 * x) ** 2), 10.0 * np.eye(2)),
        (lambda xp, x: xp.exp(-(xp.linalg.vector_norm(x) ** 2)), -2.0 * np.eye(2)),
        (
            lambda xp, x: xp.sum(xp.linalg.vector_norm(x[None, :], axis=1, keepdims=True) ** 2),
            2.0 * np.eye(2),
        ),
        (lambda xp, x: xp.linalg.matrix_norm(x[:, None]) ** 2.0, 2.0 * np.eye(2)),
        (lambda xp, x: xp.linalg.vector_norm(x) ** 4, np.zeros((2, 2))),
        (lambda xp, x: xp.linalg.vector_norm(x) ** 3, np.zeros((2, 2))),
        (lambda xp, x: xp.linalg.vector_norm(x), np.full((2, 2), np.nan)),
        (lambda xp, x: xp.sum(xp.cos(xp.abs(x))), np.diag([np.nan] * 2)),  # −1, but nobody can know
        (lambda xp, x: xp.std(x) ** 2, np.full((2, 2), np.nan)),
        (lambda xp, x: xp.sqrt(xp.sum(x * x)) ** 2, np.full((2, 2), np.nan)),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore")
def test_hessians_of_distances_at_0(f, expected, backend):
    x = backend.asarray([0.0, 0.0], dtype="float64")
    found = to_numpy(nnx.hessian(lambda x: f(namespace(x), x))(x))
    wanted = np.isfinite(np.diag(expected)).all()
    np.testing.assert_allclose(found if wanted else np.diag(found), expected if wanted else np.diag(expected))


def test_gaussian_kernel_at_coincident_points():
    kernel = lambda a, b: np.exp(-(np.linalg.norm(a - b) ** 2))  # noqa: E731
    mixed = nnx.jacobian(lambda b: nnx.grad(lambda a: kernel(a, b))(GAUSS))(GAUSS)
    np.testing.assert_allclose(mixed, 2.0 * np.eye(2))


def test_powers_of_distances_to_higher_orders():
    f = lambda x: abs(x) ** 4  # noqa: E731
    for expected in (0.0, 0.0, 0.0, 24.0):
        f = nnx.grad(f)
        assert float(f(0.0)) == expected
    third = nnx.grad(nnx.grad(nnx.grad(lambda x: abs(x) ** 3)))
    assert float(third(2.0)) == 6.0
    assert np.isnan(float(third(0.0)))


def test_a_distance_that_was_written_into_is_none():
    def f(x):
        y = np.abs(x)
        y[0] = 3.0 * x[1]
        return np.sum(y**2)

    np.testing.assert_allclose(nnx.hessian(f)(np.array([1.0, 2.0])), np.diag([0.0, 20.0]))


def test_losses_at_a_residual_of_0():
    for name, expected in (("huber", 1.0), ("log_cosh", 1.0), ("mean_absolute_error", 0.0)):
        loss = nnx.losses.get(name)
        second = nnx.hessian(lambda p, loss=loss: loss(np.zeros((1, 1)), np.reshape(p, (1, 1)))[0])
        assert float(second(np.zeros(()))) == expected


# -- ties ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "f",
    [
        np.logaddexp.reduce,
        lambda x: np.log(np.sum(np.exp(x - np.max(x)))) + np.max(x),  # the shift cancels
        lambda x: np.logaddexp(np.logaddexp(x[0], x[1]), x[2]),
    ],
)
def test_log_sum_exp_of_equal_numbers(f):
    np.testing.assert_allclose(nnx.hessian(f)(np.zeros(3)), np.eye(3) / 3 - 1 / 9, atol=1e-15)


def test_log_sum_exp_over_columns_of_minus_infinity():
    a = np.array([[-np.inf, 0.0], [-np.inf, 1.0]])
    whole = lambda t: np.logaddexp.reduce(np.logaddexp.reduce(a + t, axis=0))  # noqa: E731
    assert float(nnx.grad(whole)(0.5)) == 1.0
    assert float(nnx.grad(nnx.grad(whole))(0.5)) == 0.0


@pytest.mark.parametrize("values", ["eigvalsh", "eigh", "svdvals", "svd"])
@pytest.mark.filterwarnings("ignore")
def test_hessians_through_equal_eigenvalues_are_nan(values):
    def f(v):
        m = np.stack([np.stack([v[0], v[1]]), np.stack([v[1], v[2]])])
        found = getattr(namespace(v).linalg, values)(m)
        found = found[0] if values == "eigh" else found[1] if values == "svd" else found
        return np.sum(found**2)

    apart = np.array([1.0, 0.5, 3.0])
    np.testing.assert_allclose(nnx.hessian(f)(apart), np.diag([2.0, 4.0, 2.0]), atol=1e-14)
    np.testing.assert_allclose(nnx.grad(f)(np.array([1.0, 0.0, 1.0])), [2.0, 0.0, 2.0])
    assert np.isnan(nnx.hessian(f)(np.array([1.0, 0.0, 1.0]))).all()


def _second_minors(a):
    """∂²det by the entries of a, from determinants of what is left without two rows and two columns."""
    n = len(a)
    h = np.zeros((n, n, n, n))
    for i, j, k, m in itertools.product(range(n), repeat=4):
        if i != k and j != m:
            rest = np.delete(np.delete(a, [i, k], 0), [j, m], 1)
            h[i, j, k, m] = (-1) ** (i + j + k + m + ((i < k) != (j < m))) * np.linalg.det(rest)
    return h


@pytest.mark.parametrize("rank", [0, 1, 2, 3, 4])
def test_hessian_of_the_determinant_whatever_the_rank(rank):
    r = np.random.default_rng(rank)
    a = r.normal(size=(4, rank)) @ r.normal(size=(rank, 4))
    np.testing.assert_allclose(nnx.hessian(np.linalg.det)(a), _second_minors(a), atol=1e-12)


@pytest.mark.parametrize("rank", [0, 1, 2, 3, 4])
def test_third_and_fourth_derivatives_of_the_determinant(rank):
    r = np.random.default_rng(rank)
    a, step = r.normal(size=(4, rank)) @ r.normal(size=(rank, 4)), r.normal(size=(4, 4))
    f = lambda t: np.linalg.det(a + t * step)  # noqa: E731
    ts = np.linspace(-1.0, 1.0, 5)
    fourth, third, *_ = np.polyfit(ts, [f(t) for t in ts], 4)  # exact but for rounding
    for _ in range(3):
        f = nnx.grad(f)
    np.testing.assert_allclose([f(0.0), nnx.grad(f)(0.0)], [6.0 * third, 24.0 * fourth], atol=1e-11)


def test_third_derivatives_of_a_large_singular_determinant_are_nan():
    f = lambda t: np.linalg.det((1.0 + t) * np.diag([*range(9), 0.0]) + t)  # noqa: E731
    assert np.isfinite(nnx.grad(nnx.grad(f))(0.0))
    assert np.isnan(nnx.grad(nnx.grad(nnx.grad(f)))(0.0))


def test_third_derivatives_of_the_determinant():
    a, e = np.random.default_rng(0).normal(size=(3, 3)), np.zeros((3, 3))
    e[0, 1] = 1e-3  # ∂²det of 3×3 is linear: differences are exact but for rounding
    second = nnx.hessian(np.linalg.det)
    differences = (second(a + e) - second(a - e)) / 2e-3
    np.testing.assert_allclose(nnx.jacobian(second)(a)[..., 0, 1], differences, atol=1e-11)


def test_mixed_second_derivatives_of_a_power():
    h = nnx.hessian(lambda v: v[0] ** v[1])(np.array([23.0, 0.0]))
    np.testing.assert_allclose(h, [[0.0, 1 / 23], [1 / 23, np.log(23.0) ** 2]], rtol=1e-14)


def test_cube_roots_are_numpys():
    value, slope = nnx.value_and_grad(lambda x: x * np.floor(np.cbrt(x)))(64.0)
    assert (value, slope) == (256.0, 4.0)
    with np.errstate(divide="ignore"):
        assert nnx.grad(np.cbrt)(0.0) == np.inf


def test_fmod_at_0():
    assert float(nnx.grad(np.fmod)(0.0, 2.0)) == 1.0  # not that of abs


# -- saturation ------------------------------------------------------------------------------------------

_A = nnx.activations
_SATURATING = {
    "tanh": (np.tanh, lambda mp, x: mp.tanh(x)),
    "expm1": (np.expm1, lambda mp, x: mp.expm1(x)),
    "activation tanh": (_A.tanh, lambda mp, x: mp.tanh(x)),
    "sigmoid": (_A.sigmoid, lambda mp, x: 1 / (1 + mp.exp(-x))),
    "elu": (_A.elu, lambda mp, x: mp.expm1(x) if x < 0 else x),
    "celu": (_A.celu, lambda mp, x: mp.expm1(x) if x < 0 else x),
    "selu": (_A.selu, lambda mp, x: mp.expm1(x) if x < 0 else x),
    "softplus": (_A.softplus, lambda mp, x: mp.log1p(mp.exp(x))),
    "log_sigmoid": (_A.log_sigmoid, lambda mp, x: -mp.log1p(mp.exp(-x))),
    "erf": (_A.erf, lambda mp, x: mp.erf(x)),
    "arctan": (np.arctan, lambda mp, x: mp.atan(x)),
    "arcsin": (lambda x: np.arcsin(x), lambda mp, x: mp.asin(x)),
    "log1p": (np.log1p, lambda mp, x: mp.log1p(x)),
}


@pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-12), ("float32", 1e-5)])
@pytest.mark.parametrize("name", _SATURATING)
def test_slopes_of_saturated_functions(name, dtype, rtol, backend):
    mp = pytest.importorskip("mpmath")
    f, reference = _SATURATING[name]
    points = [-30.0, -9.0, -4.0, -2.5, 0.3, 2.5, 4.0, 9.0, 30.0]
    points = {"arcsin": [-0.9999, 0.5, 0.999999], "log1p": [-0.999999, -0.5, 1e-3]}.get(name, points)
    x = backend.asarray(points, dtype=dtype)
    if isinstance(f, np.ufunc) or name == "arcsin":
        standard = {"arctan": "atan", "arcsin": "asin"}.get(name, name)
        f = lambda x: getattr(namespace(x), standard)(x)  # noqa: E731
    found = to_numpy(nnx.grad(lambda x: namespace(x).sum(f(x)))(x))
    scale = _SELU_SCALE if name == "selu" else 1.0
    with mp.workdps(60):
        expected = [
            float(mp.diff(lambda t: reference(mp, t), mp.mpf(float(v)), h=mp.mpf(10) ** -20))
            for v in to_numpy(x)
        ]
    keep = np.abs(expected) > 1e-30  # float32 ends at 1e-38
    left = np.asarray(points) < 0.0
    factor = np.where(left, scale * 1.6732632423543772, scale) if name == "selu" else 1.0
    np.testing.assert_allclose(found[keep], (expected * np.asarray(factor))[keep], rtol=rtol)


_SELU_SCALE = 1.0507009873554805
