"""Methods that take all data at once, in ``fit``, in extreme cases: nothing raises, and words say why."""

from __future__ import annotations

import re

import numpy as np
import pytest

import nnx
from nnx.backend import namespace
from nnx.layers import Activation, Dense
from nnx.optimizers import Deterministic, registry

METHODS = [e.name for e in registry if issubclass(e.target, Deterministic)]
#: the answer is its last point, as its cost is another one
BAYESIAN = "bayesian_regularization"
X = np.linspace(-1.0, 1.0, 12)[:, None]
Y = np.sin(3.0 * X)

each_method = pytest.mark.parametrize("method", METHODS)
pytestmark = pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid", "ignore:divide")


def network(method, *, units=3, use_bias=True, last=(), backend=None, dtype="float64"):
    layers = [Dense(units, "tanh", use_bias=use_bias, input_shape=(1,)), Dense(1, use_bias=use_bias), *last]
    model = nnx.Sequential(layers, backend=backend, dtype=dtype, seed=2)
    model.compile(method, "mse")
    return model


def filled(model, number):
    model.set_weights([np.full_like(w, number) for w in model.get_weights()])
    return model


def logarithm():
    return Activation(lambda z: namespace(z).log(z))


@each_method
@pytest.mark.parametrize("bad", ["nan", "inf"])
def test_a_start_without_a_finite_cost_is_told_and_left_as_it_is(method, bad):
    model = filled(network(method), 1e200) if bad == "inf" else network(method, last=[logarithm()])
    before = model.get_weights()
    record = model.fit(X, Y, epochs=20, verbose=0)
    assert len(record.epoch) == 1
    assert f"No step was made: the cost is {bad}" in record.reason
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


@each_method
def test_a_cost_that_is_nan_behind_a_wall_is_stepped_back_from(method):
    model = network(method, last=[logarithm()])
    kernel, bias, out, _ = model.get_weights()
    model.set_weights([kernel, bias, out, np.ones(1)])
    y = np.full_like(X, -4.0)  # the logarithm of 0.018; the way there leads over the edge
    before = model.evaluate(X, y, verbose=0)
    record = model.fit(X, y, epochs=25, verbose=0)
    losses = record.history["loss"]
    assert np.isfinite(losses).all()
    assert model.evaluate(X, y, verbose=0) == pytest.approx(losses[-1], rel=1e-12)
    assert losses[-1] < before


@each_method
def test_a_jacobian_of_zeros_ends_at_once(method):
    record = filled(network(method, use_bias=False), 0.0).fit(X, Y, epochs=20, verbose=0)
    assert len(record.epoch) == 1
    assert re.match("The (gradient|Jacobian) is zero", record.reason)


@each_method
def test_a_perfect_fit_is_known_as_one(method):
    """The targets are what the network answers: there is nothing to gain."""
    model = network(method)
    y = model.predict(X)
    before = model.get_weights()
    record = model.fit(X, y, epochs=20, verbose=0)
    assert len(record.epoch) == 1
    assert record.reason in ("The gradient is zero.", "The squares of all residuals are zero.")
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


@each_method
@pytest.mark.parametrize(
    ("units", "x", "y"),
    [(3, X, np.full_like(X, 2.0)), (40, X[::4], Y[::4]), (3, X[:1], Y[:1]), (3, 0.0 * X, Y)],
    ids=["constant output", "more weights than samples", "one sample", "constant input"],
)
def test_a_singular_jacobian_lets_the_cost_fall(method, units, x, y):
    model = network(method, units=units)
    before = model.evaluate(x, y, verbose=0)
    record = model.fit(x, y, epochs=30, verbose=0)
    after = model.evaluate(x, y, verbose=0)
    assert after == pytest.approx(record.history["loss"][-1], rel=1e-12, abs=1e-30)
    assert all(np.isfinite(w).all() for w in model.get_weights())
    if method != BAYESIAN:
        assert (np.diff([before, *record.history["loss"]]) <= 1e-13 * before).all()
    assert after < max(np.var(y) * 1.05, 1e-3) or method == BAYESIAN
    assert record.reason is not None or len(record.epoch) == 30


def test_levenberg_marquardt_fits_fewer_samples_than_weights_exactly():
    model = network("lm", units=40)
    record = model.fit(X[::4], Y[::4], epochs=200, verbose=0)
    assert record.reason is not None
    assert record.history["loss"][-1] < 1e-28  # rounding: (1e-14)²


# -- backends and precision ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method", ["levenberg_marquardt", "bayesian_regularization", "lbfgs", "scg", "newton_cg"]
)
def test_every_backend_takes_the_same_way(method, backend):
    runs = []
    for chosen in ("numpy", backend):
        model = network(method, backend=chosen)
        record = model.fit(X, Y, epochs=6, verbose=0, validation_data=(X + 0.05, Y))
        runs.append((record.history, model.get_weights()))
    (expected, weights), (found, others) = runs
    assert found.keys() == expected.keys()
    assert found["evaluations"] == expected["evaluations"]
    for name in ("loss", "val_loss", "gradient_norm"):
        # rounding in another order, which a search or a trust region amplifies from step to step
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-6, atol=1e-10)
    for a, b in zip(others, weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8)


@each_method
def test_single_precision_stays_single_and_finite(method, backend):
    model = network(method, backend=backend, dtype="float32")
    record = model.fit(X, Y, epochs=25, verbose=0)
    assert all(w.dtype == np.float32 for w in model.get_weights())
    assert all(np.isfinite(w).all() for w in model.get_weights())
    for values in record.history.values():
        assert np.isfinite(values).all()
    if method != BAYESIAN:
        assert record.history["loss"][-1] <= record.history["loss"][0]
