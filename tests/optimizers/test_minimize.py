"""``nnx.minimize``: SciPy's form of call and result, and what a run does besides its method."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

import nnx
from nnx.backend import namespace, to_numpy
from nnx.errors import DerivativeError, DtypeError, OptionError, ShapeError
from nnx.optimizers import registry

START = [-1.2, 1.0]
PLAIN = [e for e in registry if not e.traits.least_squares]


def rosenbrock(x):
    xp = namespace(x)
    return xp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def test_the_result_has_scipys_fields():
    result = nnx.minimize(rosenbrock, START)
    np.testing.assert_allclose(result.x, [1.0, 1.0], rtol=1e-8)
    assert result.success
    assert result["fun"] == result.fun < 1e-16
    assert result.jac.shape == result.x.shape
    assert result.nfev >= result.nit > 0
    assert result.njev > 0
    np.testing.assert_allclose(result.hess_inv, np.linalg.inv(nnx.hessian(rosenbrock)(result.x)), rtol=0.1)
    with pytest.raises(AttributeError, match="no 'nothing'; it has"):
        _ = result.nothing


def test_the_counts_are_those_of_the_calls():
    calls = []

    def f(x):
        calls.append(1)
        return rosenbrock(x)

    result = nnx.minimize(f, START, jac=nnx.grad(rosenbrock))
    assert result.nfev == len(calls)


@pytest.mark.parametrize(
    "x0",
    [
        START,
        tuple(START),
        [np.float32(-1.2), np.float64(1.0)],
        [np.int64(-1), np.int64(1)],
        np.asarray(START),
        np.asarray([-1, 1]),
    ],
    ids=["list", "tuple", "numpy numbers", "numpy integers", "array", "integers"],
)
def test_forms_of_a_vector(x0):
    result = nnx.minimize(rosenbrock, x0)
    assert result.x.dtype == np.float64
    np.testing.assert_allclose(result.x, [1.0, 1.0], rtol=1e-8)


def test_containers_keep_their_form_and_the_start_is_not_written_to():
    x0 = {"a": np.zeros((2, 3)), "b": [np.ones(2), 5.0]}
    result = nnx.minimize(lambda p: np.sum((p["a"] - 1.0) ** 2) + np.sum(p["b"][0] ** 2) + p["b"][1] ** 2, x0)
    assert result.x["a"].shape == result.jac["a"].shape == (2, 3)
    np.testing.assert_allclose(result.x["a"], 1.0, atol=1e-8)
    np.testing.assert_allclose(result.x["b"][1], 0.0, atol=1e-8)
    np.testing.assert_array_equal(x0["a"], 0.0)


@pytest.mark.parametrize("method", ["bfgs", "lbfgs", "cg", "newton", "newton-cg", "adam"])
def test_it_stays_on_the_arrays_that_it_was_given(method, backend):
    x0 = backend.asarray(START, dtype="float64")
    options = {"maxiter": 30}
    result = nnx.minimize(rosenbrock, x0, method=method, options=options)
    assert type(result.x) is type(x0)
    expected = nnx.minimize(rosenbrock, START, method=method, options=options)
    np.testing.assert_allclose(to_numpy(result.x), expected.x, rtol=1e-6)


def test_false_and_none_are_automatic_derivatives():
    found = [nnx.minimize(rosenbrock, START, jac=given, hess=given) for given in (False, None)]
    np.testing.assert_array_equal(found[0].x, found[1].x)
    assert found[0].success


def test_a_given_hessian_serves_methods_that_ask_for_products():
    calls = []

    def hess(x):
        calls.append(1)
        return np.asarray([[1200.0 * x[0] ** 2 - 400.0 * x[1] + 2.0, -400.0 * x[0]], [-400.0 * x[0], 200.0]])

    result = nnx.minimize(rosenbrock, START, method="newton-cg", hess=hess)
    np.testing.assert_allclose(result.x, [1.0, 1.0], rtol=1e-6)
    assert calls


class TestAGradientThatCannotBeDifferentiated:
    """Python's own numbers in ``jac``: products with the Hessian are differences of it."""

    @staticmethod
    def fun(x):
        return math.cosh(x[0]) + float(x[1]) ** 2

    @staticmethod
    def jac(x):
        return np.asarray([math.sinh(x[0]), 2.0 * float(x[1])])

    @pytest.mark.parametrize("method", ["scg", "newton-cg", "newton"])
    def test_it_is_differenced_for_methods_that_need_products(self, method):
        for fun, jac in ((self.fun, self.jac), (lambda x: (self.fun(x), self.jac(x)), True)):
            result = nnx.minimize(fun, [1.0, 2.0], method=method, jac=jac)
            assert result.success
            np.testing.assert_allclose(result.x, 0.0, atol=1e-6)
        result = nnx.minimize(
            self.fun,
            [1.0, 2.0],
            method=method,
            jac=self.jac,
            hessp=lambda x, p: np.asarray([math.cosh(x[0]) * p[0], 2.0 * p[1]]),
        )
        np.testing.assert_allclose(result.x, 0.0, atol=1e-6)

    def test_the_others_do_not(self):
        assert nnx.minimize(self.fun, [1.0, 2.0], jac=self.jac).success

    def test_without_a_given_gradient_the_error_is_that_of_the_function(self):
        with pytest.raises(DerivativeError) as caught:
            nnx.minimize(self.fun, [1.0, 2.0], method="scg")
        assert "hessp" not in str(caught.value)


class TestCallback:
    def test_it_may_write_into_what_it_is_given(self):
        result = nnx.minimize(rosenbrock, START, callback=lambda x: x.__setitem__(slice(None), 0.0))
        np.testing.assert_allclose(result.x, [1.0, 1.0], rtol=1e-8)

    def test_both_of_scipys_signatures(self):
        seen = []
        nnx.minimize(rosenbrock, START, callback=lambda intermediate_result: seen.append(intermediate_result))
        assert seen[-1].fun < seen[0].fun
        assert seen[0].x.shape == (2,)

    def test_stop_iteration_ends_the_run(self):
        def stop(x):
            raise StopIteration

        result = nnx.minimize(rosenbrock, START, callback=stop)
        assert (result.status, result.nit, result.success) == (99, 1, False)


class TestLimits:
    def test_iterations(self):
        result = nnx.minimize(rosenbrock, START, options={"maxiter": 3})
        assert (result.nit, result.status, result.success) == (3, 1, False)
        assert "3 iterations" in result.message

    def test_none_at_all_gives_the_start(self):
        result = nnx.minimize(rosenbrock, START, options={"maxiter": 0})
        np.testing.assert_array_equal(result.x, START)

    def test_evaluations_goal_and_time(self):
        assert "5 evaluations" in nnx.minimize(rosenbrock, START, options={"maxfev": 5}).message
        reached = nnx.minimize(rosenbrock, START, options={"goal": 1e-2})
        assert (reached.status, reached.success) == (0, True)
        assert reached.fun <= 1e-2
        assert "time limit" in nnx.minimize(rosenbrock, START, options={"maxtime": 1e-9}).message

    def test_the_reason_is_printed_if_asked(self, capsys):
        nnx.minimize(rosenbrock, START, options={"disp": True})
        assert "The gradient is" in capsys.readouterr().out


def test_tol_is_the_methods_gtol():
    loose, tight = (nnx.minimize(rosenbrock, START, tol=tol) for tol in (1e-2, 1e-10))
    assert loose.nit < tight.nit
    assert loose.status == tight.status == 0
    assert loose.optimality <= 1e-2
    assert tight.optimality <= 1e-10


class TestHonesty:
    """No success where nothing moves any more, but the gradient is not that of a minimum."""

    @pytest.mark.parametrize("method", ["bfgs", "dfp", "lbfgs", "oss", "scg", "sr1", "cg", "newton"])
    def test_variables_of_very_different_sizes(self, method):
        s = np.asarray([1e4, 1e-4])
        result = nnx.minimize(
            lambda x: np.sum((x * s - 1.0) ** 4) + np.sum((x * s) ** 2), 0.5 / s, method=method
        )
        assert result.fun < 0.57855 or not result.success

    @pytest.mark.parametrize("method", ["sr1", "newton-cg", "lbfgs", "bfgs", "cg"])
    def test_a_kink(self, method):
        result = nnx.minimize(lambda x: np.sum(np.abs(x)), [1.0, -2.0], method=method)
        assert result.fun < 1e-6 or not result.success

    def test_a_cost_without_a_minimum(self):
        result = nnx.minimize(lambda x: -np.sum(x), [1.0, 2.0])
        assert not result.success


class TestCostsOfVeryDifferentScales:
    """1e±200: the square of the gradient is no number. What needs it says so, the others do not care."""

    @pytest.mark.parametrize("scale", [1e-200, 1e200])
    @pytest.mark.parametrize("method", ["scg", "newton", "newton_cg", "sr1"])
    def test_they_do_not_matter_where_nothing_is_squared(self, method, scale):
        result = nnx.minimize(lambda x: scale * rosenbrock(x), START, method=method)
        assert result.success
        np.testing.assert_allclose(result.x, 1.0, rtol=1e-8)

    @pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning", "ignore:invalid value:RuntimeWarning")
    @pytest.mark.parametrize("scale", [1e-200, 1e200])
    @pytest.mark.parametrize("entry", PLAIN, ids=lambda e: e.class_name)
    def test_no_method_breaks_down_or_tells_of_a_success_that_is_none(self, entry, scale):
        result = nnx.minimize(
            lambda x: scale * rosenbrock(x), START, method=entry.name, options={"maxiter": 99}
        )
        assert np.isfinite(result.x).all()
        assert result.success == bool(result.fun < 1e-9 * scale)

    @pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
    @pytest.mark.parametrize("method", ["bfgs", "dfp", "lbfgs", "cg", "oss", "steepest_descent"])
    def test_the_message_says_what_happened_and_what_helps(self, method):
        for scale, words in ((1e-200, "too small.* 1e198"), (1e200, "too large.* 1e-202")):
            result = nnx.minimize(lambda x, s=scale: s * rosenbrock(x), START, method=method)
            assert (result.status, result.success, result.nit) == (3, False, 0)
            assert re.search(f"gradient.*{words}", result.message), result.message
            np.testing.assert_array_equal(result.x, START)


class TestErrors:
    @pytest.mark.parametrize(
        ("call", "words"),
        [
            ({"options": {"maxfun": 5}}, r"BFGS has no argument 'maxfun'\. Use maxfev\..*every run: max"),
            ({"method": nnx.optimizers.BFGS(), "options": {"maxfun": 5}}, r"'maxfun'\. Use maxfev"),
            ({"method": "adam", "options": {"iprint": 5}}, r"'iprint'\. Use disp"),
            ({"method": "l-bfgs-b", "options": {"maxls": 5}}, r"StrongWolfe\(max_trials=\.\.\.\)"),
            ({"method": "cg", "options": {"eps": 1e-8}}, r"'eps'\. Use nothing in its place"),
            ({"maxiter": 5}, r"minimize has no argument 'maxiter'\. Use options=\{'maxiter': \.\.\.\}"),
            ({"maxfun": 5}, r"options=\{'maxfev': "),
            ({"method": "sgd", "learning_rate": 5}, r"options=\{'learning_rate': "),
            ({"methd": "cg"}, r"no argument 'methd'\. Use method\."),
        ],
        ids=lambda value: str(value)[:30],
    )
    def test_what_scipy_has_and_what_stands_elsewhere_is_named(self, call, words):
        with pytest.raises(OptionError, match=words):
            nnx.minimize(rosenbrock, START, **call)

    @pytest.mark.parametrize(
        ("call", "error", "words"),
        [
            ({"method": "nelder-mead"}, OptionError, "Unknown optimizer"),
            ({"method": "lm"}, OptionError, "least_squares"),
            ({"options": {"maxitr": 1}}, OptionError, "maxitr.*maxiter"),
            ({"method": "sgd", "options": {"lr": 1.0}}, OptionError, "learning_rate"),
            (
                {"method": nnx.optimizers.BFGS(), "options": {"gtol": 1.0}},
                OptionError,
                "belong to the method",
            ),
            ({"method": "bfgs", "bounds": [(0, 1), (0, 1)]}, OptionError, "no bounds.*lbfgs"),
            ({"bounds": [(0, 1)]}, ShapeError, "2 pairs"),
            ({"bounds": [(1, 0), (0, 1)]}, OptionError, "lower bound"),
            ({"constraints": {"type": "eq"}}, OptionError, "penalty"),
            ({"jac": lambda x: np.zeros(3)}, ShapeError, "gradient must have shape"),
            ({"callback": 3}, OptionError, "callback"),
            ({"method": "adam", "tol": 1e-3}, OptionError, "tol stands for.*goal"),
            ({"method": nnx.optimizers.BFGS(), "tol": 1e-3}, OptionError, "tol stands for"),
        ],
        ids=lambda value: str(value)[:30],
    )
    def test_they_say_what_to_do(self, call, error, words):
        with pytest.raises(error, match=words):
            nnx.minimize(rosenbrock, START, **call)

    def test_starts_that_are_none(self):
        with pytest.raises(OptionError, match="x0"):
            nnx.minimize(rosenbrock, None)
        with pytest.raises(DtypeError, match="x0"):
            nnx.minimize(rosenbrock, np.asarray([1j]))
        with pytest.raises(OptionError, match="x0 has no entries"):
            nnx.least_squares(lambda x: np.ones(3), np.zeros(0))


def test_optimality_leaves_out_what_a_bound_holds():
    free = nnx.minimize(rosenbrock, START)
    assert free.optimality == np.max(np.abs(free.jac))
    boxed = nnx.minimize(rosenbrock, START, bounds=[(None, 0.5), (None, None)])
    assert boxed.jac[0] < -0.9  # the way down leads out of the box
    assert boxed.optimality == abs(boxed.jac[1]) < 1e-8


def test_nothing_joins_the_graph_of_pytorchs_autograd():
    torch = pytest.importorskip("torch")
    x0 = torch.tensor(START, dtype=torch.float64, requires_grad=True)
    target = torch.tensor([1.0, 3.0], dtype=torch.float64, requires_grad=True)

    def residual(x):
        return namespace(x).exp(x) - target

    def cost(x):
        return namespace(x).sum(residual(x) ** 2)

    for x in (x0, x0 * 1.0):  # a leaf, and one that has a past
        results = [
            nnx.minimize(cost, x, method=method, options={"maxiter": 30})
            for method in ("bfgs", "newton", "adam")
        ]
        for result in (*results, nnx.least_squares(residual, x)):
            tensors = [v for v in result.values() if isinstance(v, torch.Tensor)]
            assert tensors
            assert not any(v.requires_grad for v in tensors)
    in_a_dict = nnx.minimize(lambda p: namespace(p["x"]).sum(residual(p["x"]) ** 2), {"x": x0})
    assert not in_a_dict.x["x"].requires_grad
    assert x0.requires_grad  # the user's own tensors are as they were
    assert x0.grad is None
    np.testing.assert_array_equal(to_numpy(x0), START)


def test_a_fixed_variable_and_scipys_bounds():
    optimize = pytest.importorskip("scipy.optimize")
    fixed = nnx.minimize(rosenbrock, START, bounds=[(0.5, 0.5), (None, None)])
    np.testing.assert_allclose(fixed.x, [0.5, 0.25], rtol=1e-6)
    boxed = nnx.minimize(rosenbrock, START, bounds=optimize.Bounds(-2.0, 0.5))
    expected = optimize.minimize(
        rosenbrock, START, bounds=optimize.Bounds(-2.0, 0.5), jac=nnx.grad(rosenbrock)
    )
    np.testing.assert_allclose(boxed.x, expected.x, rtol=1e-5)
