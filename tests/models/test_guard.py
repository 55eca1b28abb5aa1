"""Whatever ends a training, the model has good weights: finite ones, with a finite cost."""

from __future__ import annotations

import os
import signal
import warnings

import numpy as np
import pytest

import nnx
from nnx.callbacks import LambdaCallback, TerminateOnNaN
from nnx.errors import NonFiniteError, OptionError
from nnx.layers import Dense
from nnx.models import guard as guards
from nnx.optimizers import SGD, Adam

random = np.random.default_rng(0)
X = random.standard_normal((40, 3)).astype("float32")
Y = random.standard_normal((40, 1)).astype("float32")

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # overflows are what is provoked here


def network(optimizer, backend=None, activation="relu", **options):
    layers = [Dense(5, activation, input_shape=(3,)), Dense(1, **options)]
    model = nnx.Sequential(layers, backend=backend, seed=1)
    model.compile(optimizer, "mse")
    return model


def fit(model, epochs=1, batch_size=4, **options):
    return model.fit(X, Y, batch_size=batch_size, epochs=epochs, verbose=0, **options)


def is_good(model):
    finite = all(np.isfinite(w).all() for w in model.get_weights())
    return finite and np.isfinite(model.evaluate(X, Y, verbose=0))


def test_an_error_says_where_and_leaves_good_weights():
    def broken(n, logs):
        if n == 2:
            raise RuntimeError("broken callback")

    model = network("adam")
    with pytest.raises(RuntimeError, match="broken callback") as caught:
        fit(model, callbacks=[LambdaCallback(on_train_batch_end=broken)])
    assert "in batch 3 of 10, epoch 1" in " ".join(caught.value.__notes__)
    assert is_good(model)
    fit(model)


def test_ctrl_c_ends_after_the_step_under_way(ctrl_c_interrupts):
    model, seen = network("adam"), []

    def press(n, logs):
        seen.append(n)
        if n == 1:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        fit(model, epochs=2, callbacks=[LambdaCallback(on_train_batch_end=press)])
    assert seen == [0, 1]
    assert is_good(model)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_terminate_on_nan_stops_quietly(backend):
    model = network(SGD(1e6), backend, "linear")
    fit(model, epochs=50, callbacks=[TerminateOnNaN()])
    assert is_good(model)
    assert len(model.history.epoch) < 50


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
@pytest.mark.parametrize("batch", [0, 8])
@pytest.mark.parametrize("rate", [1e6, 1e38])
def test_an_interrupt_after_divergence_leaves_good_weights(error, batch, rate, backend):
    def stop(n, logs):
        if n == batch:
            raise error

    model = network(SGD(rate, momentum=0.9), backend)
    with pytest.raises((error, NonFiniteError)):
        fit(model, callbacks=[LambdaCallback(on_train_batch_end=stop)])
    assert is_good(model)


@pytest.mark.parametrize("optimizer", [SGD(1e15), SGD(1e15, momentum=0.9), Adam(1e15)], ids=repr)
@pytest.mark.parametrize("batch_size", [4, 40])
def test_after_divergence_training_can_go_on(optimizer, batch_size, backend):
    model = network(optimizer, backend)
    with pytest.raises(NonFiniteError, match="became NaN or infinite") as caught:
        fit(model, epochs=9, batch_size=batch_size)
    notes = " ".join(caught.value.__notes__)
    assert "the last good weights are back" in notes and "epoch 1" in notes
    assert is_good(model)
    model.learning_rate = 1e-3
    before = model.evaluate(X, Y, verbose=0)
    fit(model, epochs=3)
    assert model.evaluate(X, Y, verbose=0) < before


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_the_last_step_is_looked_at_too(activation, backend):
    model = network(SGD(1e38), backend, activation)
    with pytest.raises(NonFiniteError):
        model.fit(X, 10 * Y, batch_size=40, verbose=0)
    assert is_good(model)
    for _ in range(2):
        with pytest.raises(NonFiniteError):
            model.train_on_batch(X, 10 * Y)
        assert is_good(model)


def test_a_state_that_overflows_is_no_good_state(backend):
    # The squares of these gradients leave float32: Adam's steps would be 0 for ever, without a word.
    model = network(Adam(1e-3), backend, "linear")
    with pytest.raises(NonFiniteError):
        model.fit(1e15 * X, 1e10 * Y, batch_size=40, verbose=0)
    assert is_good(model)
    fit(model)


def test_a_look_that_finds_good_weights_is_what_one_goes_back_to(backend, monkeypatch):
    monkeypatch.setattr(guards, "CHECK_EVERY", 4)
    model, seen = network(SGD(1e-3), backend), []

    def raise_rate(n, logs):
        seen.append(model.get_weights())
        if n == 4:
            model.learning_rate = 1e30

    with pytest.raises(NonFiniteError):
        fit(model, callbacks=[LambdaCallback(on_train_batch_end=raise_rate)])
    last = seen[4] if model.backend.adapter.reads_are_free else seen[3]
    for mine, then in zip(model.get_weights(), last, strict=True):
        np.testing.assert_array_equal(mine, then)
    assert model.trainer.state.step > 4


def test_an_interrupt_of_a_sound_training_changes_nothing(backend):
    model, seen = network(Adam(1e-2), backend), []

    def stop(n, logs):
        if n == 2:
            seen.append((model.get_weights(), [v + 0 for v in model.trainer.state.vectors().values()]))
            raise RuntimeError("broken callback")

    with pytest.raises(RuntimeError, match="broken callback") as caught:
        fit(model, callbacks=[LambdaCallback(on_train_batch_end=stop)])
    assert not any("good weights" in note for note in caught.value.__notes__)
    (weights, state), *_ = seen
    for mine, then in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(mine, then)
    for mine, then in zip(model.trainer.state.vectors().values(), state, strict=True):
        np.testing.assert_array_equal(nnx.to_numpy(mine), nnx.to_numpy(then))


def test_a_constraint_of_ones_own_that_fails(backend):
    model = network(SGD(1e-3), backend, kernel_constraint=lambda w: w / 0.0)
    with pytest.raises(NonFiniteError):
        fit(model)
    assert is_good(model)


def test_sound_training_on_numpy_takes_no_copies(monkeypatch):
    monkeypatch.setattr(guards.Guard, "_keep", lambda self: pytest.fail("a copy was made"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for optimizer in ("adam", "rmsprop", "adadelta", SGD(0.1, momentum=0.9), "rprop"):
            fit(network(optimizer), epochs=2, batch_size=40)


@pytest.mark.parametrize(
    "optimizer", [SGD(0.1, weight_decay=1e3), Adam(0.1, weight_decay=1e60)], ids=["by steps", "at once"]
)
def test_weights_that_decay_beyond_zero_are_put_back(optimizer, backend):
    model = network(optimizer, backend)
    with pytest.raises(NonFiniteError):
        fit(model, epochs=100)
    assert is_good(model)


@pytest.mark.parametrize("hook", ["on_train_batch_end", "on_epoch_end", "on_epoch_begin"])
@pytest.mark.parametrize("change", ["compile", "pop"])
def test_a_model_that_a_callback_compiles_or_changes_says_so(hook, change):
    model = network("adam")
    changes = {"compile": lambda: model.compile("sgd", "mse"), "pop": model.pop}
    callback = LambdaCallback(**{hook: lambda *_: changes[change]()})
    with pytest.raises(OptionError, match="was compiled, or its layers were changed"):
        fit(model, epochs=2, callbacks=[callback])
