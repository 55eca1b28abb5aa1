"""``nnx.minimize``: SciPy's form of call and result, and what a run does besides its method."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx.backend import namespace, to_numpy
from nnx.errors import DtypeError, OptionError, ShapeError

START = [-1.2, 1.0]


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


@pytest.mark.parametrize("given", [False, "2-point", None], ids=str)
def test_differences_are_the_exact_derivatives(given):
    assert nnx.minimize(rosenbrock, START, jac=given, hess=given).success


def test_a_given_hessian_serves_methods_that_ask_for_products():
    calls = []

    def hess(x):
        calls.append(1)
        return np.asarray([[1200.0 * x[0] ** 2 - 400.0 * x[1] + 2.0, -400.0 * x[0]], [-400.0 * x[0], 200.0]])

    result = nnx.minimize(rosenbrock, START, method="newton-cg", hess=hess)
    np.testing.assert_allclose(result.x, [1.0, 1.0], rtol=1e-6)
    assert calls


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
        assert (result.nit, result.status, result.success) == (3, 0, False)
        assert "3 iterations" in result.message

    def test_none_at_all_gives_the_start(self):
        result = nnx.minimize(rosenbrock, START, options={"maxiter": 0})
        np.testing.assert_array_equal(result.x, START)

    def test_evaluations_goal_and_time(self):
        assert "5 evaluations" in nnx.minimize(rosenbrock, START, options={"maxfev": 5}).message
        reached = nnx.minimize(rosenbrock, START, options={"goal": 1e-2})
        assert (reached.status, reached.success) == (4, True)
        assert reached.fun <= 1e-2
        assert "time limit" in nnx.minimize(rosenbrock, START, options={"maxtime": 1e-9}).message

    def test_the_reason_is_printed_if_asked(self, capsys):
        nnx.minimize(rosenbrock, START, options={"disp": True})
        assert "The gradient is small" in capsys.readouterr().out


def test_tol_is_the_methods_gtol():
    loose, tight = (nnx.minimize(rosenbrock, START, tol=tol) for tol in (1e-2, 1e-10))
    assert loose.nit < tight.nit
    assert loose.status == tight.status == 1


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


class TestErrors:
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
        with pytest.raises(OptionError, match="x0 has no numbers"):
            nnx.least_squares(lambda x: np.ones(3), np.zeros(0))


def test_a_fixed_variable_and_scipys_bounds():
    optimize = pytest.importorskip("scipy.optimize")
    fixed = nnx.minimize(rosenbrock, START, bounds=[(0.5, 0.5), (None, None)])
    np.testing.assert_allclose(fixed.x, [0.5, 0.25], rtol=1e-6)
    boxed = nnx.minimize(rosenbrock, START, bounds=optimize.Bounds(-2.0, 0.5))
    expected = optimize.minimize(
        rosenbrock, START, bounds=optimize.Bounds(-2.0, 0.5), jac=nnx.grad(rosenbrock)
    )
    np.testing.assert_allclose(boxed.x, expected.x, rtol=1e-5)
