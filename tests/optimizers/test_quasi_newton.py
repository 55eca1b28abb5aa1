"""BFGS and DFP: the theorems about quadratics, and V as an inverse Hessian."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st
from optimizers.paths import bowl, walk

import nnx
from nnx.backend import namespace, to_numpy
from nnx.errors import OptionError
from nnx.optimizers import BFGS, DFP, FunctionProblem, SteepestDescent
from nnx.optimizers.searches import Brent, StrongWolfe

BOTH = [BFGS, DFP]
EXACT = {"wolfe": StrongWolfe(c1=1e-10, c2=1e-9), "brent": Brent()}

each_method = pytest.mark.parametrize("method", BOTH, ids=lambda m: m.__name__)


@each_method
@pytest.mark.parametrize("search", EXACT.values(), ids=EXACT)
@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_with_exact_searches_a_quadratic_takes_n_steps(method, search, n):
    h, b, f = bowl(n, 20.0)
    w = walk(method(search=search), f, np.zeros(n), n + 1)[-1].w
    # Brent's minimum has half the digits: values near a minimum differ by its distance squared
    np.testing.assert_allclose(w, np.linalg.solve(h, b), atol=1e-7 if search == EXACT["wolfe"] else 1e-5)


@pytest.mark.parametrize("n", [2, 5, 8])
def test_with_exact_searches_both_have_one_path_and_one_inverse_hessian(n):
    h, _, f = bowl(n, 20.0)
    search = StrongWolfe(c1=1e-10, c2=1e-9)
    paths = [walk(method(search=search), f, np.zeros(n), n) for method in BOTH]
    for one, other in zip(*paths, strict=True):
        np.testing.assert_allclose(one.w, other.w, atol=1e-7)
    bfgs, dfp = (path[-1].memory["inverse_hessian"] for path in paths)
    np.testing.assert_allclose(bfgs, dfp, atol=1e-6)
    np.testing.assert_allclose(bfgs, np.linalg.inv(h), atol=1e-6)


@each_method
def test_each_update_satisfies_the_secant_equation(method):
    f = scipy_rosenbrock
    w, problem, m = np.asarray([-1.2, 1.0, 0.3]), FunctionProblem(f), method()
    state = m.init(problem, w)
    for _ in range(15):
        old, g = w.copy(), nnx.grad(f)(w)
        m.step(problem, w, state)
        s, r = w - old, nnx.grad(f)(w) - g
        v = state.memory["inverse_hessian"]
        np.testing.assert_allclose(v @ r, s, rtol=1e-7, atol=1e-9 * np.linalg.norm(s))


def scipy_rosenbrock(w):
    return np.sum(100.0 * (w[1:] - w[:-1] ** 2) ** 2 + (1.0 - w[:-1]) ** 2)


@each_method
@given(seed=st.integers(0, 10**6), n=st.integers(1, 6), power=st.sampled_from([1, 2]))
@settings(max_examples=25)
def test_v_stays_symmetric_and_positive_definite(method, seed, n, power):
    random = np.random.default_rng(seed)
    a, c = random.standard_normal((2 * n, n)), random.standard_normal(2 * n)

    def convex(w):
        z = a @ w - c
        return np.sum(np.sqrt(1.0 + z * z)) + 0.1 * np.sum(z ** (2 * power))

    for at in walk(method(), convex, 3.0 * random.standard_normal(n), 30):
        v = at.memory["inverse_hessian"]
        np.testing.assert_array_equal(v, v.T)
        assert np.linalg.eigvalsh(v)[0] > 0.0


@each_method
def test_where_the_curvature_is_negative_v_stays_positive_definite(method):
    # Armijo's search ends where sᵀr may be negative: these updates are left out
    def saddle(w):
        return 0.25 * w[0] ** 4 - w[0] ** 2 + 0.5 * w[1] ** 2

    path = walk(method(search="armijo"), saddle, [0.1, 1.0], 40)
    assert all(np.linalg.eigvalsh(at.memory["inverse_hessian"])[0] > 0.0 for at in path)
    np.testing.assert_allclose(path[-1].w, [np.sqrt(2.0), 0.0], atol=1e-5)


@each_method
def test_the_result_has_the_inverse_hessian(method, backend):
    h, b, _ = bowl(4, 10.0)
    h_there, b_there = (backend.asarray(x, dtype="float64") for x in (h, b))

    def f(w):
        xp = namespace(w)
        return 0.5 * xp.sum(w * (h_there @ w)) - xp.sum(b_there * w)

    start = backend.asarray(np.zeros(4), dtype="float64")
    exact = StrongWolfe(c1=1e-10, c2=1e-9)
    found = nnx.minimize(f, start, method=method(search=exact, gtol=1e-10))
    assert type(found.hess_inv) is type(start)
    np.testing.assert_allclose(to_numpy(found.x), np.linalg.solve(h, b), atol=1e-8)
    np.testing.assert_allclose(to_numpy(found.hess_inv), np.linalg.inv(h), atol=1e-6)


@each_method
def test_the_inverse_hessian_of_a_network_like_function_is_near_the_true_one(method):
    found = nnx.minimize(scipy_rosenbrock, np.asarray([-1.2, 1.0]), method=method(gtol=1e-11))
    true = np.linalg.inv(nnx.hessian(scipy_rosenbrock)(found.x))
    # V converges with the path, not faster: two digits are what SciPy's hess_inv has too
    np.testing.assert_allclose(found.hess_inv, true, rtol=0.1)


def test_bfgs_ends_where_scipys_ends_with_as_many_gradients():
    start = np.asarray([-1.2, 1.0, 0.5, 2.0])
    mine = nnx.minimize(scipy_rosenbrock, start, method="BFGS")
    theirs = scipy.optimize.minimize(scipy_rosenbrock, start, jac=nnx.grad(scipy_rosenbrock), method="BFGS")
    np.testing.assert_allclose(mine.x, theirs.x, atol=1e-4)
    assert mine.success
    assert mine.njev <= 1.5 * theirs.njev


def test_dfp_recovers_from_inexact_searches():
    found = nnx.minimize(scipy_rosenbrock, np.asarray([-1.2, 1.0]), method="dfp")
    # the formula alone needs about 400 here
    assert found.success
    assert found.njev < 100


@pytest.mark.parametrize("condition", [3.0, 20.0])
def test_steepest_descent_converges_linearly_with_the_known_ratio(condition):
    h = np.diag([1.0, condition])
    w = np.asarray([condition, 1.0])  # the worst start: its ratio is that of the bound, in every step

    def f(w):
        return 0.5 * (w @ (h @ w))

    method, problem = SteepestDescent(search=StrongWolfe(c1=1e-10, c2=1e-9)), FunctionProblem(f)
    state, costs = method.init(problem, w), [f(w)]
    for _ in range(8):
        method.step(problem, w, state)
        costs.append(f(w))
    ratios = np.asarray(costs[1:]) / np.asarray(costs[:-1])
    np.testing.assert_allclose(ratios, ((condition - 1.0) / (condition + 1.0)) ** 2, rtol=1e-6)


def test_options_are_checked():
    with pytest.raises(OptionError, match="search"):
        BFGS(search=3.0)
    with pytest.raises(OptionError, match="no argument"):
        DFP(learning_rate=0.1)
