"""Newton's method, and what it and its relatives with a trust region do where the Hessian is indefinite."""

from __future__ import annotations

import statistics

import numpy as np
import pytest
from optimizers.classical import FUNCTIONS

import nnx
from nnx.backend import make_backend, namespace, to_numpy
from nnx.errors import OptionError
from nnx.optimizers import BFGS, SR1, FunctionProblem, Newton, NewtonCG
from nnx.optimizers.descent.newton import newton_direction

FUNCTION = {f.name: f for f in FUNCTIONS}
NAMED = ("Rosenbrock", "Beale", "Wood", "Powell singular", "helical valley")
METHODS = {"newton": Newton(), "armijo": Newton(search="armijo"), "newton_cg": NewtonCG(), "sr1": SR1()}

each_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


def own(backend, numbers, dtype="float64"):
    """Weights that the method may write to."""
    return backend.xp.asarray(backend.asarray(np.asarray(numbers), dtype=dtype), copy=True)


def path(method, f, w, steps):
    """The weights after each step, and how the last one ended."""
    problem, states = FunctionProblem(f), []
    state = method.init(problem, w)
    for _ in range(steps):
        w, state, info = method.step(problem, w, state)
        states.append(np.array(to_numpy(w)))
        if info.stop is not None:
            break
    return np.stack(states), info


def two_wells(w):
    """Minima at (±1, 0) with value −1, a saddle point at 0 between them; indefinite wherever |x| < 1/√3."""
    return w[0] ** 4 - 2.0 * w[0] ** 2 + w[1] ** 2 + 0.1 * w[1] ** 2 * w[0] ** 2


class TestDirection:
    def symmetric(self, seed, eigenvalues):
        q = np.linalg.qr(np.random.default_rng(seed).standard_normal((len(eigenvalues),) * 2))[0]
        h = (q * np.asarray(eigenvalues)) @ q.T
        return 0.5 * (h + h.T)

    def test_solves_the_system_of_a_positive_definite_hessian(self, backend):
        h, expected = self.symmetric(0, [1.0, 2.0, 5.0, 10.0]), np.asarray([1.0, -2.0, 3.0, -4.0])
        p = newton_direction(backend.asarray(h), backend.asarray(-(h @ expected)))
        np.testing.assert_allclose(to_numpy(p), expected, rtol=1e-13)  # condition 10, a few roundings

    @pytest.mark.parametrize("seed", range(5))
    @pytest.mark.parametrize("least", [-1e-6, -0.1, -3.0])
    def test_shifts_an_indefinite_one_no_more_than_the_sequence_says(self, backend, least, seed):
        h = self.symmetric(seed, [least, 0.0, 0.5, 1.0, 3.0])
        g = np.random.default_rng(seed + 100).standard_normal(5)
        p = to_numpy(newton_direction(backend.asarray(h), backend.asarray(g)))
        tau = -((h @ p + g) @ p) / (p @ p)
        # (H + τI)p = −g: rounding is that of numbers of the size of Hp
        np.testing.assert_allclose(h @ p + tau * p, -g, atol=1e-12 * np.linalg.norm(p) * 3.0)
        first = max(0.0, -np.diag(h).min()) + 1e-3 * abs(h).max()
        assert -least < tau <= max(first, -2.0 * least) * (1 + 1e-9)
        assert p @ g < 0.0

    @pytest.mark.parametrize("h", [np.zeros((2, 2)), np.full((2, 2), np.nan), np.diag([np.inf, 1.0]) * -1.0])
    def test_goes_down_the_gradient_where_there_is_nothing_to_learn(self, backend, h):
        p = newton_direction(backend.asarray(h), backend.asarray(np.asarray([3.0, 4.0])))
        np.testing.assert_allclose(to_numpy(p), [-0.6, -0.8], rtol=1e-15)

    @pytest.mark.parametrize("eigenvalues", [[1.0, 3.0, 9.0], [-2.0, 1.0, 3.0], [-3.0, -2.0, -1.0]])
    def test_does_not_know_the_scale_of_the_cost(self, eigenvalues):
        h, g = self.symmetric(1, eigenvalues), np.asarray([1.0, -2.0, 0.5])
        for scale in (2.0**-20, 2.0**20):  # powers of two: without rounding
            np.testing.assert_array_equal(newton_direction(scale * h, scale * g), newton_direction(h, g))


class TestNewton:
    def test_one_step_minimises_a_quadratic(self, backend):
        a, c = np.asarray([[4.0, 1.0], [1.0, 3.0]]), np.asarray([1.0, -2.0])
        a_there, c_there = backend.asarray(a), backend.asarray(c)

        def f(w):
            return 0.5 * namespace(w).vecdot(w - c_there, a_there @ (w - c_there))

        found, info = path(Newton(gtol=1e-12), f, own(backend, [5.0, 7.0]), 2)
        np.testing.assert_allclose(found[0], c, rtol=1e-14)
        assert len(found) == 1
        assert info.stop.status == 1
        assert info.learning_rate == 1.0

    def test_the_error_becomes_its_square(self):
        # f = Σ eʷ − w has its minimum at 0, where f'' = f''' = 1: error/error² → f'''/(2f'') = ½
        found, _ = path(Newton(), lambda w: np.sum(np.exp(w) - w), np.asarray([1.0, -0.7]), 20)
        error = np.abs(found[:-1])  # the last step found nothing to gain, and stayed
        ratio = (error[1:] / error[:-1] ** 2)[(error[:-1] < 0.05) & (error[1:] > 1e-14)]
        assert len(ratio) >= 3
        np.testing.assert_allclose(ratio, 0.5, atol=0.05)  # the next term is error/3 at most

    def test_the_error_of_gradient_descent_does_not(self):
        method = nnx.optimizers.SteepestDescent(search=nnx.optimizers.searches.Fixed(0.1))
        found, _ = path(method, lambda w: np.sum(np.exp(w) - w), np.asarray([0.1, -0.07]), 50)
        error = np.abs(found)
        np.testing.assert_allclose(error[21:] / error[20:-1], 0.9, atol=0.01)  # 1 − αf''

    def test_takes_the_hessian_that_is_given(self):
        asked = []

        def hess(x):
            asked.append(x)
            return np.diag(12.0 * x**2)

        result = nnx.minimize(lambda x: np.sum(x**4), [1.0, 2.0], method="newton", hess=hess)
        assert result.success
        assert result.nit <= len(asked) <= result.nit + 1  # and the step that promised nothing any more

    @pytest.mark.parametrize("method", [Newton(), NewtonCG()], ids=["newton", "newton_cg"])
    def test_says_what_a_problem_lacks(self, method):
        class Point:
            value = np.asarray(1.0)
            gradient = np.asarray([1.0])

        class Problem:
            layout = None

            def at(self, w):
                return Point()

        with pytest.raises(OptionError, match=r"(?s)points have (hessian|hvp).*'lbfgs'"):
            method.init(Problem(), np.asarray([1.0]))
        BFGS().init(Problem(), np.asarray([1.0]))


class TestClassicalFunctions:
    @each_method
    @pytest.mark.parametrize("name", [*NAMED, "Brown–Dennis", "Biggs EXP6", "Chebyquad, n = 8"])
    def test_a_minimum_is_reached(self, method, name):
        f = FUNCTION[name]
        # A gradient of 1e-7 of the first is not yet the minimum of Powell's singular function.
        result = nnx.minimize(f, np.asarray(f.start), method=type(method)(gtol=1e-10))
        assert f.reached(result.fun) is not None
        assert result.success

    def test_a_thousand_variables(self):
        f = FUNCTION["extended Rosenbrock, n = 1000"]
        result = nnx.minimize(f, np.asarray(f.start), method="Newton-CG")
        assert f.reached(result.fun) is not None
        assert result.nhev < 100  # products: nothing of a Hessian, which takes 1000

    @pytest.mark.parametrize(
        ("method", "theirs"),
        [
            ("newton", "trust-exact"),
            ("newton_cg", "Newton-CG"),
            ("newton_cg", "trust-ncg"),
            ("sr1", "trust-constr"),
        ],
    )
    def test_no_more_gradients_than_scipy_in_the_median(self, method, theirs):
        optimize = pytest.importorskip("scipy.optimize")
        ratios = []
        for f in (f for f in FUNCTIONS if len(f.start) <= 4):
            x0, g = np.asarray(f.start), nnx.grad(f)
            second = {
                "trust-exact": {"hess": nnx.hessian(f)},
                "trust-constr": {"hess": optimize.SR1()},
            }.get(theirs, {"hessp": lambda x, v, g=g: nnx.jvp(g, (x,), (v,))[1]})
            other = optimize.minimize(
                lambda x, f=f: float(f(x)), x0, jac=g, method=theirs, options={"maxiter": 200}, **second
            )
            own = nnx.minimize(f, x0, method=method, tol=1e-5)  # theirs stop at 1e-4 to 1e-8
            if f.reached(own.fun) is not None and f.reached(other.fun) is not None:
                ratios.append(own.njev / other.njev)
        assert len(ratios) >= 8
        assert statistics.median(ratios) <= 1.25


class TestIndefiniteHessians:
    @each_method
    @pytest.mark.parametrize("start", [(0.01, 1.0), (-1e-6, 0.5), (0.3, -2.0), (1e-3, 0.0)])
    def test_a_saddle_point_is_left(self, method, backend, start):
        found, info = path(method, two_wells, own(backend, start), 100)
        assert info.stop.success
        # f − f* ≈ 4(x − 1)², and its gradient fell to 1e-7 of at most 40
        np.testing.assert_allclose(np.abs(found[-1]), [1.0, 0.0], atol=1e-5)

    @each_method
    @pytest.mark.parametrize("start", [(0.0, 0.3), (2.0, 3.0), (-1.9, 1.9)])
    def test_a_maximum_is_left(self, method, start):
        def f(w):  # maxima, saddle points and minima side by side
            return np.sum(np.cos(w) + 0.1 * w**2) + 0.1 * w[0] * w[1]

        found, info = path(method, f, np.asarray(start), 100)
        assert info.stop.success
        assert np.linalg.eigvalsh(nnx.hessian(f)(found[-1]))[0] > 0.0


class TestAllOfThem:
    @each_method
    def test_every_step_goes_down(self, method):
        problem, w = FunctionProblem(FUNCTION["Wood"]), np.asarray(FUNCTION["Wood"].start)
        state, costs = method.init(problem, w), [float(problem.at(w).value)]
        for _ in range(20):
            w, state, info = method.step(problem, w, state)
            assert info.accepted
            costs.append(float(problem.at(w).value))
        assert np.all(np.diff(costs) < 0.0)

    @each_method
    @pytest.mark.parametrize("scale", [2.0**-20, 2.0**20])
    def test_the_way_does_not_depend_on_the_scale_of_the_cost(self, method, scale):
        f, x0 = FUNCTION["Rosenbrock"], FUNCTION["Rosenbrock"].start
        plain, _ = path(method, f, np.asarray(x0), 60)
        scaled, _ = path(method, lambda w: scale * f(w), np.asarray(x0), 60)
        np.testing.assert_array_equal(scaled, plain)  # a power of two: without rounding

    @each_method
    def test_every_backend_takes_the_same_way(self, method, backend):
        f, x0 = FUNCTION["Rosenbrock"], FUNCTION["Rosenbrock"].start
        found, _ = path(method, f, own(backend, x0), 8)
        expected, _ = path(method, f, own(make_backend("numpy"), x0), 8)
        # rounding differs between the libraries' sums and solutions, and grows along the valley
        np.testing.assert_allclose(found, expected, rtol=1e-9)

    @each_method
    @pytest.mark.parametrize("name", ["Wood", "helical valley"])
    def test_single_precision_has_no_nan(self, method, backend, name):
        f = FUNCTION[name]
        found, info = path(method, f, own(backend, f.start, "float32"), 100)
        assert found.dtype == np.float32
        assert np.all(np.isfinite(found))
        assert info.stop.success
        # values of the size of 1e3 are sums of squares whose roots have errors of 1e-6
        assert float(f(found[-1].astype("float64"))) < 1e-4

    @each_method
    @pytest.mark.filterwarnings("error")
    @pytest.mark.parametrize("scale", [1e-30, 1e30])
    def test_single_precision_bears_any_scale_of_the_cost(self, method, scale):
        f, start = FUNCTION["Rosenbrock"], np.asarray(FUNCTION["Rosenbrock"].start, dtype=np.float32)
        found, info = path(method, lambda w: scale * f(w), start, 100)
        assert info.stop.success
        np.testing.assert_allclose(found[-1], 1.0, atol=1e-3)  # √ of the precision, at least

    @each_method
    def test_nan_beyond_a_wall_is_not_entered(self, method):
        def f(w):  # nan for w ≥ 1; a minimum at 0.9, close to the wall
            with np.errstate(invalid="ignore"):
                return np.sum(-np.log(1.0 - w) - 10.0 * w)

        found, info = path(method, f, np.asarray([-3.0, 0.5]), 100)
        assert info.stop.success
        np.testing.assert_allclose(found[-1], 0.9, rtol=1e-6)
