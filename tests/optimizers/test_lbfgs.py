"""L-BFGS: the two loops, the ring of pairs, and bounds."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize

import nnx
from nnx.backend import namespace, to_numpy
from nnx.errors import OptionError
from nnx.optimizers import BFGS, LBFGS, FunctionProblem
from nnx.optimizers.descent.lbfgs import two_loops
from nnx.optimizers.searches import StrongWolfe


def rosenbrock(w):
    xp = namespace(w)
    return xp.sum(100.0 * (w[1:] - w[:-1] ** 2) ** 2 + (1.0 - w[:-1]) ** 2)


def bowl(n, seed=0):
    random = np.random.default_rng(seed)
    a = random.standard_normal((n, n))
    h = a @ a.T / n + np.diag(np.geomspace(1e-2, 10.0, n))
    b = random.standard_normal(n)
    return h, b, lambda w: 0.5 * (w @ (h @ w)) - b @ w


def updated(v, s, r):
    """BFGS's update of a matrix, as a product."""
    left = np.eye(s.size) - np.outer(s, r) / (s @ r)
    return left @ v @ left.T + np.outer(s, s) / (s @ r)


def test_the_two_loops_are_updates_of_a_matrix():
    random, n, m = np.random.default_rng(1), 7, 4
    h = bowl(n)[0]
    s = random.standard_normal((m, n))
    pairs, g = np.concatenate([s, s @ h]), random.standard_normal(n)
    order = [2, 1, 0, 3]  # a ring: the newest lies in the third row, the oldest in the fourth
    gamma, c = two_loops(order, (pairs @ pairs.T).tolist(), (pairs @ g).tolist())
    newest = pairs[2], pairs[2 + m]
    v = np.eye(n) * (newest[0] @ newest[1]) / (newest[1] @ newest[1])
    np.testing.assert_allclose(gamma, v[0, 0])
    for i in reversed(order):
        v = updated(v, pairs[i], pairs[i + m])
    np.testing.assert_allclose(np.asarray(c) @ pairs - gamma * g, -v @ g, rtol=1e-9)


def test_pairs_that_do_not_count_have_no_part():
    gamma, c = two_loops([], [[1.0, 2.0], [2.0, 3.0]], [1.0, 1.0])
    assert (gamma, c) == (1.0, [0.0, 0.0])


def test_the_products_that_are_kept_are_those_of_the_pairs(backend):
    method, problem = LBFGS(maxcor=3), FunctionProblem(rosenbrock)
    w = backend.xp.asarray(backend.asarray([-1.2, 1.0, 0.5, 2.0], dtype="float64"), copy=True)
    state = method.init(problem, w)
    for _ in range(8):  # the ring of three is written to more than twice
        method.step(problem, w, state)
    pairs = to_numpy(state.memory["pairs"])
    np.testing.assert_allclose(to_numpy(state.memory["products"]), pairs @ pairs.T, rtol=1e-12)


def test_an_iteration_asks_for_numbers_once_for_the_direction(monkeypatch):
    from nnx.optimizers.descent import lbfgs

    asked = []
    monkeypatch.setattr(lbfgs, "read_vector", lambda x: asked.append(x.shape) or [float(v) for v in x])
    monkeypatch.setattr(lbfgs, "read", lambda *x: pytest.fail("a second transfer"))
    method, problem, w = LBFGS(maxcor=2), FunctionProblem(rosenbrock), np.asarray([-1.2, 1.0, 0.5])
    state = method.init(problem, w)
    for _ in range(4):
        method.step(problem, w, state)
    assert asked == [(4 * 4 + 4,)] * 3  # not at the first step


def test_with_memory_enough_it_takes_the_path_of_bfgs_on_a_quadratic():
    n = 6
    _, _, f = bowl(n)
    paths, exact = [], StrongWolfe(c1=1e-10, c2=1e-9)
    for method in (BFGS(search=exact), LBFGS(search=exact)):
        problem, w, path = FunctionProblem(f), np.zeros(n), []
        state = method.init(problem, w)
        for _ in range(n):
            method.step(problem, w, state)
            path.append(w.copy())
        paths.append(path)
    np.testing.assert_allclose(*paths, atol=1e-6)


@pytest.mark.parametrize("n", [2, 50])
def test_it_ends_where_scipys_ends_with_as_many_gradients(n):
    start = np.tile([-1.2, 1.0], n // 2)
    mine = nnx.minimize(rosenbrock, start, method="l-bfgs")
    theirs = scipy.optimize.minimize(rosenbrock, start, jac=nnx.grad(rosenbrock), method="L-BFGS-B")
    assert mine.success
    np.testing.assert_allclose(mine.x, theirs.x, atol=1e-3)
    assert mine.njev <= 1.25 * theirs.nfev


def test_a_thousand_variables_take_no_matrix():
    method, w = LBFGS(), np.zeros(1000)
    memory = method.memory(FunctionProblem(rosenbrock), w)
    assert sum(x.size for x in memory.values()) == 20 * 1000 + 400


@pytest.mark.parametrize("maxcor", [1, 3, 30])
def test_any_memory_arrives(maxcor):
    found = nnx.minimize(rosenbrock, np.asarray([1.2, 0.8, 1.2, 0.8]), method=LBFGS(maxcor=maxcor, gtol=1e-9))
    assert found.success
    np.testing.assert_allclose(found.x, 1.0, atol=1e-5)


def test_its_option_has_scipys_name_and_knows_others():
    with pytest.raises(OptionError, match="Use maxcor"):
        LBFGS(history_size=5)
    with pytest.raises(OptionError, match="maxcor must be a whole number"):
        LBFGS(maxcor=0)


# -- bounds -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "low", "high"),
    [(2, -1.5, 0.5), (2, -2.0, 2.0), (10, -1.5, 0.5), (10, -1.5, 0.9), (50, 0.2, 1.5), (50, -1.5, 0.9)],
)
def test_bounded_rosenbrock_ends_where_scipys_ends(n, low, high):
    bounds, start = [(low, high)] * n, np.clip(np.tile([-1.2, 1.0], n // 2), low, high)
    mine = nnx.minimize(rosenbrock, start, bounds=bounds)
    tight = {"ftol": 1e-14, "gtol": 1e-9, "maxiter": 10_000}
    theirs = scipy.optimize.minimize(
        rosenbrock, start, jac=nnx.grad(rosenbrock), method="L-BFGS-B", bounds=bounds, options=tight
    )
    assert mine.success, mine.message
    np.testing.assert_allclose(mine.fun, theirs.fun, rtol=1e-8, atol=1e-9)
    assert np.all((mine.x >= low) & (mine.x <= high))
    np.testing.assert_array_equal(mine.x == high, np.isclose(theirs.x, high, atol=1e-9))


@pytest.mark.parametrize("n", [5, 20, 200])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_bounded_quadratic_meets_the_conditions_of_its_minimum(n, seed):
    h, b, f = bowl(n, seed)
    found = nnx.minimize(f, np.zeros(n), bounds=[(-0.2, 0.3)] * n, options={"gtol": 1e-10})
    x, g = found.x, h @ found.x - b
    low, high = x == -0.2, x == 0.3
    assert np.any(low | high)
    assert np.all(g[low] > 0.0)
    assert np.all(g[high] < 0.0)
    # √eps: where the cost is level, it no longer tells two points apart
    np.testing.assert_allclose(g[~(low | high)], 0.0, atol=1e-6)


def test_no_point_outside_the_bounds_is_ever_evaluated(backend):
    lower, upper = np.asarray([-1.5, 0.1, -0.4]), np.asarray([0.5, 0.2, 2.0])
    seen = []

    def f(w):
        seen.append(w)
        return rosenbrock(w)

    start = backend.asarray(np.asarray([0.1, 0.15, 1.0]), dtype="float64")
    found = nnx.minimize(f, start, jac=nnx.grad(rosenbrock), method="L-BFGS-B", bounds=(lower, upper))
    points = np.stack([to_numpy(w) for w in seen])
    assert np.all((points >= lower) & (points <= upper))
    expected = scipy.optimize.minimize(
        rosenbrock,
        [0.1, 0.15, 1.0],
        jac=nnx.grad(rosenbrock),
        method="L-BFGS-B",
        bounds=list(zip(lower, upper, strict=True)),
    )
    np.testing.assert_allclose(found.fun, expected.fun, rtol=1e-6)


def test_a_corner_that_the_gradient_pushes_into_is_a_minimum():
    found = nnx.minimize(lambda w: np.sum(w), np.asarray([0.0, 0.0]), bounds=[(0.0, None)] * 2)
    assert found.success
    np.testing.assert_array_equal(found.x, 0.0)
    assert found.nit == 0


def test_one_side_may_be_open():
    found = nnx.minimize(
        lambda w: np.sum((w - 3.0) ** 2), np.zeros(3), bounds=[(None, 1.0), (5.0, None), (None, None)]
    )
    np.testing.assert_allclose(found.x, [1.0, 5.0, 3.0], atol=1e-7)


@pytest.mark.parametrize("scale", [2.0**-20, 2.0**20])
def test_the_scale_of_a_bounded_cost_changes_nothing(scale):
    bounds, start = [(-1.5, 0.9)] * 6, np.tile([-1.2, 0.8], 3)
    plain = nnx.minimize(rosenbrock, start, bounds=bounds)
    scaled = nnx.minimize(lambda w: scale * rosenbrock(w), start, bounds=bounds)
    np.testing.assert_array_equal(plain.x, scaled.x)
    assert plain.nit == scaled.nit


def test_with_bounds_a_search_that_asks_for_slopes_gives_way_to_armijos():
    from nnx.optimizers.descent.box import Box

    box = Box(np.zeros(2), np.ones(2))
    assert type(LBFGS(bounds=box).search).__name__ == "Armijo"
    assert type(LBFGS(bounds=box, search="fixed").search).__name__ == "Fixed"


def test_methods_without_bounds_say_so():
    with pytest.raises(OptionError, match="lbfgs"):
        nnx.minimize(rosenbrock, np.asarray([-1.2, 1.0]), method="bfgs", bounds=[(0.0, 1.0)] * 2)
