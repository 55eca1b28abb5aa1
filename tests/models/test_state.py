"""Stateful layers in training: state moves where a step is accepted, and nowhere else."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

import nnx
from nnx.backend import namespace, to_numpy
from nnx.callbacks import Callback
from nnx.errors import NonFiniteError, OptionError, ShapeError
from nnx.layers import BatchNormalization, Context, Dense, Layer, Spec, Weight

X = np.random.default_rng(0).normal(size=(32, 6))
Y = np.sin(X[:, :1])


def normalized(backend=None, **options):
    layers = [nnx.Input((6,)), Dense(5, "tanh"), BatchNormalization(**options), Dense(1)]
    return nnx.Sequential(layers, dtype="float64", seed=3, backend=backend)


@nnx.layers.register()
@dataclass(frozen=True)
class Seen(Layer):
    """Counts the steps, and keeps the largest entry that each feature had."""

    stateful: ClassVar[bool] = True

    def spec(self, input_shape):
        zero, low = nnx.initializers.Zeros(), nnx.initializers.Constant(-1e3)
        steps = Weight("steps", (), zero, trainable=False)
        return Spec(input_shape, (steps, Weight("top", input_shape, low, trainable=False)))

    def forward(self, p, x, context):
        if not context.training:
            return x, {}
        xp = namespace(x, *p.values())
        top = xp.maximum(p["top"], nnx.stop_gradient(xp.max(x, axis=0)))
        return x * 1.0, {"steps": p["steps"] + 1.0, "top": top}


def seen(backend=None):
    layers = [nnx.Input((6,)), Seen(), Dense(3, "tanh"), Dense(1)]
    return nnx.Sequential(layers, dtype="float64", seed=1, backend=backend)


STEPS = {"adam": 4, "sgd": 4, "lbfgs": 1, "newton_cg": 1, "levenberg_marquardt": 1}


@pytest.mark.parametrize("optimizer", STEPS)
def test_a_layers_own_state_moves_once_with_each_step(optimizer, backend, tmp_path):
    model = seen(backend)
    model.compile(optimizer, "mse")
    batches = {"batch_size": 8} if STEPS[optimizer] == 4 else {}
    model.fit(X, Y, epochs=3, verbose=0, **batches)
    layer = model.layers[0]
    assert layer.steps == 3 * STEPS[optimizer]
    np.testing.assert_array_equal(layer.top, X.max(axis=0))
    model.evaluate(X, Y, verbose=0)
    model.predict(10.0 * X)
    assert layer.steps == 3 * STEPS[optimizer]
    model.save(tmp_path / "m.safetensors")
    assert nnx.load_model(tmp_path / "m.safetensors").layers[0].steps == layer.steps


def test_a_stateful_layer_that_is_called_twice_goes_on_from_its_first_call(backend):
    x, layer = nnx.Input((6,)), Seen()
    model = nnx.Model(x, Dense(1)(layer(layer(x) * 2.0)), dtype="float64", backend=backend)
    model.compile("sgd", "mse")
    model.fit(X, Y, batch_size=32, verbose=0)
    assert layer.steps == 2.0
    np.testing.assert_allclose(layer.top, 2.0 * X.max(axis=0))


class Log(Callback):
    """Keeps the weights of each epoch's end, state among them."""

    def on_train_begin(self, logs=None):
        self.found = []

    def on_epoch_end(self, epoch, logs=None):
        self.found.append(self.model.get_weights())


def moved_once(before, w, momentum=0.99):
    """The running mean after one step from ``before``, if the statistics are those at weights ``w``."""
    h = np.tanh(X @ w[0] + w[1])
    return momentum * before + (1.0 - momentum) * h.mean(axis=0)


@pytest.mark.parametrize("optimizer", ["lbfgs", "bfgs", "steepest_descent", "newton_cg"])
def test_a_line_search_moves_the_statistics_once_to_where_it_ended(optimizer, backend):
    model = normalized(backend)
    model.compile(optimizer, "mse")
    before = np.zeros(5)
    for _ in range(3):
        history = model.fit(X, Y, verbose=0).history
        expected = moved_once(before, model.get_weights())
        np.testing.assert_allclose(model.layers[1].moving_mean, expected, rtol=1e-10, atol=1e-14)
        before = model.layers[1].moving_mean
    assert history["evaluations"][-1] >= 1


def test_refused_steps_leave_the_statistics(backend):
    """AdaptiveLearningRate takes back a step that raised the cost too much."""
    model = normalized(backend)
    model.compile(nnx.optimizers.AdaptiveLearningRate(learning_rate=50.0), "mse")
    log = Log()
    start = model.get_weights()
    model.fit(X, Y, epochs=30, verbose=0, callbacks=[log])
    accepted, before = 0, start
    for weights in log.found:
        if np.array_equal(weights[0], before[0]):
            np.testing.assert_array_equal(weights[4], before[4])
            np.testing.assert_array_equal(weights[5], before[5])
        else:
            accepted += 1  # a method of first order: the statistics are those where the step began
            np.testing.assert_allclose(weights[4], moved_once(before[4], before), rtol=1e-10, atol=1e-14)
        before = weights
    assert 0 < accepted < 30


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_training_goes_on_bit_for_bit_from_a_file(optimizer, backend, tmp_path):
    model = normalized(backend)
    model.compile(optimizer, "mse")
    model.fit(X, Y, epochs=2, verbose=0)
    model.save(tmp_path / "m.safetensors")
    other = nnx.load_model(tmp_path / "m.safetensors", backend=backend)
    for both in (model, other):
        both.fit(X, Y, epochs=2, verbose=0)
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_step_to_nan_puts_statistics_and_weights_back(backend):
    model = normalized(backend)
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    before = model.get_weights()
    model.compile(nnx.optimizers.SGD(1e200), "mse")
    with np.errstate(all="ignore"), pytest.raises(NonFiniteError) as caught:
        model.fit(X, Y, batch_size=8, epochs=3, verbose=0)
    assert "last good weights are back" in "".join(caught.value.__notes__)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_ctrl_c_leaves_statistics_and_weights_of_one_step(ctrl_c_interrupts, backend):
    class Press(Callback):
        def on_train_batch_end(self, batch, logs=None):
            os.kill(os.getpid(), signal.SIGINT)

    pressed, other = normalized(backend), normalized(backend)
    for model in (pressed, other):
        model.compile("adam", "mse")
    with pytest.raises(KeyboardInterrupt):
        pressed.fit(X, Y, batch_size=32, epochs=9, verbose=0, callbacks=[Press()])
    other.fit(X, Y, batch_size=32, verbose=0)
    for a, b in zip(pressed.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_methods_of_single_samples_refuse_batch_statistics_by_name_and_take_frozen_ones(backend):
    model = normalized(backend)
    model.compile("levenberg_marquardt", "mse")
    with pytest.raises(OptionError, match=r"layer 2 \(BatchNormalization 'batch_normalization'\).*lbfgs"):
        model.fit(X, Y, verbose=0)
    model.layers[1].trainable = False
    history = model.fit(X, Y, epochs=5, verbose=0).history["loss"]
    assert history[-1] < history[0]
    assert not model.layers[1].moving_mean.any()


def test_frozen_statistics_are_used_in_training_too(backend):
    model = normalized(backend, trainable=False)
    model.layers[1].moving_mean = np.arange(5.0)
    x = model.backend.asarray(X, dtype="float64")
    np.testing.assert_array_equal(to_numpy(model(x, training=True)), to_numpy(model(x)))
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    np.testing.assert_array_equal(model.layers[1].moving_mean, np.arange(5.0))
    assert len(model.trainable_weights) == 4


# -- what a stateful layer may not return --------------------------------------------------------------


@dataclass(frozen=True)
class Returning(Layer):
    """Returns what a test says."""

    stateful: ClassVar[bool] = True
    answer: object = None

    def spec(self, input_shape):
        ones = nnx.initializers.Ones()
        return Spec(
            input_shape, (Weight("w", input_shape, ones), Weight("s", input_shape, ones, trainable=False))
        )

    def forward(self, p, x, context):
        return self.answer(p, x)


REFUSED = {
    "unknown": (lambda p, x: (x * p["w"], {"t": p["s"]}), OptionError, r"change of 't'.*it has \['s'\]"),
    "trained": (lambda p, x: (x * p["w"], {"w": p["w"]}), OptionError, "change of 'w'"),
    "shape": (lambda p, x: (x * p["w"], {"s": p["s"][:1]}), ShapeError, r"\(1,\); its shape is \(6,\)"),
    "array": (lambda p, x: x * p["w"], OptionError, r"must return \(y, {name: new}\)"),
    "list": (lambda p, x: (x * p["w"], [p["s"]]), OptionError, "returned a tuple"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs", "levenberg_marquardt"])
def test_changes_that_cannot_be_are_refused_before_a_step(name, frozen, optimizer, backend):
    answer, error, words = REFUSED[name]
    layers = [nnx.Input((6,)), Returning(answer), Dense(1)]
    model = nnx.Sequential(layers, dtype="float64", backend=backend)
    model.layers[0].trainable = not frozen
    before = model.get_weights()
    model.compile(optimizer, "mse")
    with pytest.raises(error, match=words):
        model.fit(X, Y, verbose=0)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_stateful_layer_on_arrays_answers_and_says_what_it_must_return():
    layer = BatchNormalization()
    x = np.asarray(X)
    np.testing.assert_allclose(layer(x), X / np.sqrt(1.001))
    np.testing.assert_allclose(layer(x, training=True).mean(axis=0), np.zeros(6), atol=1e-12)
    with pytest.raises(OptionError, match="must return"):
        Returning(lambda p, x: x)(x)
    assert Context(training=True).at(3, fixed=False) == Context(training=False, index=3)
