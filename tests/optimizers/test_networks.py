"""The family of training algorithms on small networks whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
from optimizers.network_problems import parity, sin, sinc, train

import nnx
from nnx.layers import Dense
from nnx.optimizers import Deterministic, registry

METHODS = [entry.name for entry in registry if issubclass(entry.target, Deterministic)]
BY_RESIDUALS = ("levenberg_marquardt", "gauss_newton", "dogleg", "bayesian_regularization")

# -- to a goal, as in MATLAB's comparison --------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_levenberg_marquardt_learns_the_sine_within_a_few_evaluations(seed):
    outcome = train(sin, "levenberg_marquardt", seed)
    assert outcome.reached
    assert outcome.evaluations <= 40  # of 60 seeds: 12 in the median, 51 in the worst; Rprop takes 120


@pytest.mark.parametrize("seed", range(3))
def test_levenberg_marquardt_learns_sinc_to_eight_digits(seed):
    outcome = train(sinc, "levenberg_marquardt", seed)
    assert outcome.reached  # a mean squared error of 1e-8
    assert outcome.iterations <= 150  # of 10 seeds: 65 to 68


@pytest.mark.parametrize("method", ["levenberg_marquardt", "scg", "bfgs"])
@pytest.mark.parametrize("seed", range(3))
def test_parity(method, seed):
    outcome = train(parity, method, seed)
    assert outcome.reached
    assert outcome.evaluations <= 250  # of a dozen seeds: 135 in the worst


@pytest.mark.filterwarnings("ignore:overflow")  # of steps that go too far, and are not made
def test_without_a_scaling_weights_are_measured_alike_and_variables_by_their_columns():
    """The default is the better one in either case."""
    own, identity, jac = (
        train(sin, nnx.optimizers.LevenbergMarquardt(scaling=scaling), 2, epochs=50)
        for scaling in (None, "identity", "jac")
    )
    assert own.error == identity.error
    assert own.evaluations < jac.evaluations

    def residual(b):
        return b[0] * np.exp(-b[1] * np.arange(10.0)) - 3000.0 * np.exp(-0.5 * np.arange(10.0))

    own, jac, identity = (
        nnx.least_squares(residual, [1000.0, 1.0], options={"scaling": scaling})
        for scaling in (None, "jac", "identity")
    )
    assert own.nfev == jac.nfev
    assert own.nfev < identity.nfev
    np.testing.assert_allclose(own.x, [3000.0, 0.5], rtol=1e-10)


# -- Hagan, Demuth, Beale, De Jesús, Neural Network Design, chapter 12 ---------------------------------------
# A 1-2-1 network with logistic sigmoids in both layers is to learn what it computes with these weights, for
# inputs −2, −1.9, ..., 2: there the error is zero.

P = np.linspace(-2.0, 2.0, 41)[:, None]
BEST = [np.array([[10.0, 10.0]]), np.array([-5.0, 5.0]), np.array([[1.0], [1.0]]), np.array([-1.0])]
#: what w¹₁₁ and w²₁₁ are at the minimum of the error that the book warns of, with all else at its best
VALLEY = (0.88, 38.6)


def network(weights):
    model = nnx.Sequential([Dense(2, "sigmoid", input_shape=(1,)), Dense(1, "sigmoid")], dtype="float64")
    model.set_weights(weights)
    return model


TARGET = network(BEST).predict(P)


def with_two_weights(v):
    """The errors of the network with w¹₁₁ and w²₁₁ as given, the other weights at their best."""

    def sigmoid(z):
        return 0.5 + 0.5 * np.tanh(0.5 * z)

    first, second = sigmoid(v[0] * P - 5.0), sigmoid(10.0 * P + 5.0)
    return np.reshape(sigmoid(v[1] * first + second - 1.0) - TARGET, (-1,))


def minimized(method, start):
    if method in BY_RESIDUALS:
        return nnx.least_squares(with_two_weights, start, method=method)
    return nnx.minimize(lambda v: np.mean(with_two_weights(v) ** 2), start, method=method)


#: bends of the valley are too much for it: it gets there, but not in a test's time
SLOW = "steepest_descent"
QUICK = [name for name in METHODS if name != SLOW]


@pytest.mark.parametrize("start", [(6.0, 4.0), (13.0, 0.0)])
@pytest.mark.parametrize("method", QUICK)
def test_two_weights_of_hagans_network_come_to_the_exact_optimum(method, start):
    result = minimized(method, list(start))
    assert result.success, result.message
    # methods with gradients end where the gradient has lost seven digits, so at most half of them in w
    np.testing.assert_allclose(result.x, [10.0, 1.0], rtol=1e-6)


@pytest.mark.parametrize("method", sorted(set(QUICK) - {"bayesian_regularization"}))
def test_from_the_other_side_the_valley_ends_in_hagans_local_minimum(method):
    result = minimized(method, [3.0, 14.0])
    assert result.success, result.message
    np.testing.assert_allclose(result.x, VALLEY, rtol=5e-3)  # the digits that the book prints


def trained(method, epochs):
    """Hagan's network by ``fit`` with all seven weights free, each at first up to 30 % off its best."""
    random = np.random.default_rng(0)
    model = network([w * random.uniform(0.7, 1.3, w.shape) for w in BEST])
    model.compile(method, "mse")
    return model, model.fit(P, TARGET, epochs=epochs, verbose=0)


@pytest.mark.parametrize("method", QUICK)
def test_all_weights_of_hagans_network_come_to_the_exact_optimum(method):
    model, record = trained(method, 3000)
    assert record.reason is not None  # it stopped by a rule of its own, not by the number of epochs
    assert record.history["loss"][-1] < 1e-15
    for found, best in zip(model.get_weights(), BEST, strict=True):
        # The Hessian's condition, 7e4, stands between a gradient that has lost seven digits and the weights.
        np.testing.assert_allclose(found, best, rtol=1e-12 if method in BY_RESIDUALS else 1e-5)


def test_steepest_descent_is_slow_on_hagans_network_but_always_falls():
    _, record = trained(SLOW, 200)
    losses = record.history["loss"]
    assert np.all(np.diff(losses) < 0.0)
    assert losses[-1] < 0.1 * losses[0]
