"""Bayesian regularization: the evidence's fixed point, found independently, and what it is good for."""

from __future__ import annotations

import math

import numpy as np
import pytest

import nnx
from nnx.errors import OptionError
from nnx.optimizers import BayesianRegularization, ResidualProblem

LINEAR = {"many data": (200, 5), "few data": (40, 12), "fewer than weights": (20, 30)}
HIDDEN = 20
X = np.linspace(-1.0, 1.0, 41)


def linear(kind):
    """A linear regression of which two thirds of the true weights are 0."""
    m, n = LINEAR[kind]
    rng = np.random.default_rng(4)
    x = rng.normal(size=(m, n)) * np.linspace(0.1, 1.0, n)
    return x, x @ (rng.normal(size=n) * (np.arange(n) % 3 == 0)) + 0.3 * rng.normal(size=m)


def network(w, x):
    first, second, third = w[:HIDDEN], w[HIDDEN : 2 * HIDDEN], w[2 * HIDDEN : 3 * HIDDEN]
    return np.tanh(x[:, None] * first + second) @ third + w[3 * HIDDEN]


def its_jacobian(w, x):
    first, second, third = w[:HIDDEN], w[HIDDEN : 2 * HIDDEN], w[2 * HIDDEN : 3 * HIDDEN]
    hidden = np.tanh(x[:, None] * first + second)
    back = (1.0 - hidden**2) * third
    return np.concatenate([back * x[:, None], back, hidden, np.ones((x.size, 1))], axis=1)


def noisy_sine(seed):
    rng = np.random.default_rng(seed)
    spread = np.concatenate([np.full(HIDDEN, 3.0), np.full(HIDDEN, 2.0), np.full(HIDDEN + 1, 0.3)])
    return np.sin(np.pi * X) + 0.1 * rng.normal(size=X.size), rng.normal(size=spread.size) * spread


@pytest.mark.parametrize("solver", ["cholesky", "qr"])
@pytest.mark.parametrize("kind", LINEAR)
def test_it_ends_at_the_evidences_fixed_point_as_scikit_learn_finds_it(kind, solver):
    ridge = pytest.importorskip("sklearn.linear_model").BayesianRidge
    x, y = linear(kind)
    flat = dict.fromkeys(("alpha_1", "alpha_2", "lambda_1", "lambda_2"), 1e-300)
    other = ridge(fit_intercept=False, tol=1e-13, max_iter=100_000, **flat).fit(x, y)
    result = nnx.least_squares(
        lambda w: x @ w - y, np.ones(x.shape[1]), method="trainbr", options={"solver": solver}
    )
    assert result.success
    # its α is our 2β, its λ our 2α; "fewer than weights" takes hundreds of steps that shrink by 0.97 each
    np.testing.assert_allclose(
        [2.0 * result.beta, 2.0 * result.alpha], [other.alpha_, other.lambda_], rtol=2e-5
    )
    np.testing.assert_allclose(result.x, other.coef_, atol=1e-6)


def test_the_effective_number_follows_from_its_definition():
    """γ = n − 2α·tr H⁻¹, α = γ/(2E_W), β = (N − γ)/(2E_D) at the end, all computed anew."""
    x, y = linear("few data")
    result = nnx.least_squares(lambda w: x @ w - y, np.ones(12), method="bayesian")
    hessian = 2.0 * result.beta * x.T @ x + 2.0 * result.alpha * np.eye(12)
    gamma = 12.0 - 2.0 * result.alpha * np.trace(np.linalg.inv(hessian))
    assert result.effective_parameters == pytest.approx(gamma, rel=1e-6)
    assert result.sum_of_squared_weights == pytest.approx(np.sum(result.x**2), rel=1e-6)
    assert result.alpha == pytest.approx(gamma / (2.0 * np.sum(result.x**2)), rel=1e-6)
    assert result.beta == pytest.approx((40.0 - gamma) / (2.0 * np.sum(result.fun**2)), rel=1e-6)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_network_that_is_too_large_stays_smooth(seed):
    y, start = noisy_sine(seed)
    between = np.linspace(-0.97, 0.97, 200)
    error = {}
    for method in ("bayesian", "lm"):
        result = nnx.least_squares(
            lambda w: network(w, X) - y,
            start,
            lambda w: its_jacobian(w, X),
            method=method,
            options={"maxiter": 150},
        )
        error[method] = np.sqrt(np.mean((network(result.x, between) - np.sin(np.pi * between)) ** 2))
        if method == "bayesian":
            # 61 weights; a cubic would do with 4 of them
            assert 4.0 < result.effective_parameters < 15.0
            # the noise's deviation, which it was not told: 0.1 ± 11 %, and 3 of these
            assert (2.0 * result.beta) ** -0.5 == pytest.approx(0.1, rel=0.35)
    assert error["bayesian"] < 0.9 * error["lm"]


def test_a_signal_that_takes_long_to_learn_is_not_taken_for_noise():
    """Three periods, from weights as a layer draws them; an α/β without a limit sends all weights to 0."""
    rng = np.random.default_rng(0)
    y = np.sin(3.0 * np.pi * X) + 0.1 * rng.normal(size=X.size)
    wide = math.sqrt(6.0 / (1 + HIDDEN))
    start = np.zeros(3 * HIDDEN + 1)
    start[:HIDDEN], start[2 * HIDDEN : -1] = rng.uniform(-wide, wide, (2, HIDDEN))
    found = {}
    for rise in (1.5, 1e6):
        result = nnx.least_squares(
            lambda w: network(w, X) - y,
            start,
            lambda w: its_jacobian(w, X),
            method="bayesian",
            options={"maxiter": 150, "rise": rise},
        )
        found[rise] = result.effective_parameters
    assert found[1.5] > 10.0
    assert found[1e6] < 1.0


def test_the_answer_is_the_last_point_although_its_cost_is_not_the_lowest():
    x, y = linear("few data")
    seen = []
    # from the minimum of the cost alone the penalty leads upwards
    start = np.linalg.lstsq(x, y, rcond=None)[0]
    result = nnx.least_squares(
        lambda w: x @ w - y, start, method="bayesian", callback=lambda w: seen.append(np.array(w))
    )
    np.testing.assert_array_equal(seen[-1], result.x)
    assert result.cost > 0.5 * np.sum((x @ start - y) ** 2)
    assert result.cost == pytest.approx(0.5 * np.sum((x @ result.x - y) ** 2), rel=1e-12)
    np.testing.assert_allclose(result.grad, x.T @ (x @ result.x - y), rtol=1e-9)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_scale_of_the_cost_changes_beta_alone(scale):
    x, y = linear("few data")
    plain = nnx.least_squares(lambda w: x @ w - y, np.ones(12), method="bayesian")
    root = scale**0.5
    scaled = nnx.least_squares(lambda w: root * (x @ w - y), np.ones(12), method="bayesian")
    np.testing.assert_allclose(scaled.x, plain.x, atol=1e-7)
    assert scaled.alpha == pytest.approx(plain.alpha, rel=1e-6)
    assert scaled.beta * scale == pytest.approx(plain.beta, rel=1e-6)


def test_a_network_in_fit_tells_its_numbers_for_the_errors():
    y, _ = noisy_sine(0)
    model = nnx.Sequential(
        [nnx.Input((1,)), nnx.layers.Dense(HIDDEN, "tanh"), nnx.layers.Dense(1)], dtype="float64"
    )
    model.compile(optimizer="trainbr", loss="mse")
    history = model.fit(X[:, None], y[:, None], epochs=60, verbose=0).history
    assert 4.0 < history["effective_parameters"][-1] < 15.0
    # β = (N − γ)/(2E_D), where the loss is E_D/N
    errors = model.predict(X[:, None]) - y[:, None]
    beta = (X.size - history["effective_parameters"][-1]) / (2.0 * np.sum(errors**2))
    assert history["beta"][-1] == pytest.approx(beta, rel=1e-3)
    assert history["alpha"][-1] > 0.0


def test_the_numbers_are_in_the_history(backend):
    x, y = (backend.asarray(a, dtype="float64") for a in linear("many data"))
    problem = ResidualProblem(lambda w: x @ w - y)
    w = backend.xp.asarray(backend.asarray(np.ones(5), dtype="float64"), copy=True)
    method = BayesianRegularization()
    state = method.init(problem, w)
    for _ in range(4):
        w, state, info = method.step(problem, w, state)
    assert 0.0 < info.measures["effective_parameters"] < 5.0
    assert info.measures["alpha"] > 0.0
    assert info.measures["beta"] > 0.0
    assert info.measures["sum_of_squared_weights"] > 0.0
    assert info.measures["mu"] > 0.0


def test_data_that_determine_nothing_end_with_all_weights_at_zero():
    x = np.linspace(0.0, 1.0, 30)[:, None] ** np.arange(1, 4)
    noise = np.cos(40.0 * np.arange(30.0) ** 2)
    noise -= x @ np.linalg.lstsq(x, noise, rcond=None)[0]  # nothing of it along the columns of x
    result = nnx.least_squares(lambda w: x @ w - noise, np.ones(3), method="bayesian")
    assert np.max(np.abs(result.x)) < 1e-6
    assert result.effective_parameters < 1e-3


def test_data_without_noise_are_fitted():
    x, _ = linear("many data")
    truth = np.arange(1.0, 6.0)
    result = nnx.least_squares(lambda w: x @ (w - truth), np.ones(5), method="bayesian")
    np.testing.assert_allclose(result.x, truth, rtol=1e-6)
    assert result.effective_parameters == pytest.approx(5.0, rel=1e-6)


def test_all_weights_may_start_at_zero():
    x, y = linear("fewer than weights")
    zero = nnx.least_squares(lambda w: x @ w - y, np.zeros(30), method="bayesian", options={"maxiter": 3000})
    one = nnx.least_squares(lambda w: x @ w - y, np.ones(30), method="bayesian", options={"maxiter": 3000})
    np.testing.assert_allclose(zero.x, one.x, atol=1e-4)


def test_what_it_cannot_do_is_refused_with_the_reason():
    x, y = linear("many data")

    def r(w):
        return x @ w - y

    with pytest.raises(OptionError, match="n × n"):
        nnx.least_squares(r, np.ones(5), method="bayesian", options={"solver": "products"})
    with pytest.raises(OptionError, match="memory_limit"):
        nnx.least_squares(r, np.ones(5), method="bayesian", options={"memory_limit": 100.0})
    with pytest.raises(OptionError, match=r"knows no bounds.*levenberg_marquardt") as caught:
        nnx.least_squares(r, np.ones(5), method="bayesian", bounds=(0.0, 1.0))
    assert "bayesian_regularization" not in str(caught.value)
    with pytest.raises(OptionError, match="no argument 'bounds'"):
        BayesianRegularization(bounds=(0.0, 1.0))

    class Decaying(ResidualProblem):
        ridge = np.full(5, 0.1)

    with pytest.raises(OptionError, match="L2 regularizers"):
        BayesianRegularization().init(Decaying(r), np.ones(5))


def test_defaults_are_those_of_matlab():
    method = nnx.optimizers.get("trainbr")
    assert (method.mu, method.mu_dec, method.mu_inc, method.mu_max) == (0.005, 0.1, 10.0, 1e10)
    assert (method.damping, method.scaling, method.max_fail) == ("matlab", "identity", None)
