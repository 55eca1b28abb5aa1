"""Methods that take all data at once, in ``fit``: what they measure, when they stop, what they refuse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

import nnx
from nnx.backend import namespace
from nnx.callbacks import (
    EarlyStopping,
    LambdaCallback,
    LearningRateScheduler,
    ReduceLROnPlateau,
    StopOnGoal,
    StopOnGradientNorm,
    TimeLimit,
)
from nnx.errors import OptionError
from nnx.layers import Dense, Dropout, Layer, Spec
from nnx.models.objective import Batch
from nnx.optimizers import Deterministic, registry

ENTRIES = [e for e in registry if issubclass(e.target, Deterministic)]
#: its cost may rise, as it makes the weights small beside the errors
BAYESIAN = "bayesian_regularization"


def each(entries):
    return pytest.mark.parametrize("method", [e.name for e in entries])


def curve(n=60, noise=0.3, outputs=1, seed=0):
    random = np.random.default_rng(seed)
    x = random.uniform(-1.0, 1.0, (n, 1))
    y = np.sin(3.0 * x + 0.5 * np.arange(outputs))
    return x, y + noise * random.standard_normal(y.shape)


def network(method, *layers, loss="mse", units=6, backend=None, dtype="float64", **options):
    layers = layers or (Dense(units, "tanh", input_shape=(1,)), Dense(1))
    model = nnx.Sequential(layers, backend=backend, dtype=dtype, seed=1)
    model.compile(method, loss, **options)
    return model


def assert_same_weights(a, b):
    for u, v in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(u, v)


# -- validation, as in MATLAB -------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["levenberg_marquardt", "bfgs"])
def test_six_epochs_without_a_better_validation_loss_end_training_and_the_best_weights_return(method):
    (x, y), validation = curve(), curve(40, seed=1)
    model = network(method, units=12)
    record = model.fit(x, y, epochs=200, validation_data=validation, verbose=0)
    losses = record.history["val_loss"]
    best = int(np.argmin(losses))
    assert 0 < best < len(losses) - 1 < 199
    fails = np.asarray(losses) > np.minimum.accumulate(losses)
    assert fails[-6:].all()  # and never six before
    assert not any(fails[i : i + 6].all() for i in range(len(fails) - 6))
    assert "'val_loss' has not improved for 6 epochs" in record.reason
    assert f"in epoch {best + 1}" in record.reason
    assert model.evaluate(*validation, verbose=0) == pytest.approx(losses[best], rel=1e-12)
    plain = network(method, units=12)
    plain.fit(x, y, epochs=best + 1, verbose=0)
    assert_same_weights(model, plain)


def test_the_number_of_failures_is_an_option_and_an_early_stopping_of_the_users_own_goes_first():
    (x, y), validation = curve(), curve(40, seed=1)

    def epochs(optimizer, **more):
        model = network(optimizer, units=12)
        return len(model.fit(x, y, epochs=25, validation_data=validation, verbose=0, **more).epoch)

    lm = nnx.optimizers.LevenbergMarquardt
    assert epochs(lm(max_fail=2)) < epochs(lm()) < epochs(lm(max_fail=None)) == 25
    assert epochs(lm(), callbacks=EarlyStopping(patience=10)) > epochs(lm())
    assert epochs(BAYESIAN) == 25  # it needs no validation


# -- what is measured ---------------------------------------------------------------------------------------


@each(ENTRIES)
def test_the_history_tells_of_the_point_where_each_epoch_ended(method):
    x, y = curve(noise=0.0)
    model, seen = network(method), []

    def look(epoch, logs):
        f, w = model.as_function()
        gradient = nnx.grad(lambda w: namespace(x).mean((f(w, x) - y) ** 2))(w)
        seen.append((model.evaluate(x, y, verbose=0), max(np.max(np.abs(g)) for g in gradient.values())))

    record = model.fit(x, y, epochs=5, verbose=0, callbacks=LambdaCallback(on_epoch_end=look))
    history = record.history
    assert {"loss", "gradient_norm", "step", "evaluations"} <= history.keys()
    np.testing.assert_allclose(history["loss"], [loss for loss, _ in seen], rtol=1e-12)
    if method != BAYESIAN:  # whose gradient is that of its own cost
        unit = [norm for _, norm in seen]
        np.testing.assert_allclose(history["gradient_norm"], unit, rtol=1e-9)
    assert all(a < b for a, b in zip(history["evaluations"], history["evaluations"][1:], strict=False))
    damping = {"levenberg_marquardt": "mu", BAYESIAN: "mu", "dogleg": "radius", "newton_cg": "radius"}
    if method in damping:
        assert all(v > 0.0 for v in history[damping[method]])


@each(ENTRIES)
def test_a_learning_rate_is_recorded_where_steps_are_multiples_of_a_direction(method):
    x, y = curve(noise=0.0)
    history = network(method).fit(x, y, epochs=3, verbose=0).history
    without = {"levenberg_marquardt", BAYESIAN, "dogleg", "newton_cg", "sr1"}
    assert ("learning_rate" in history) == (method not in without)
    assert history.get("learning_rate", [1.0])[0] > 0.0


def test_the_lines_on_the_screen_tell_it_too(capsys):
    x, y = curve()
    record = network("lm", Dense(1, input_shape=(1,))).fit(x, y, epochs=300, verbose=2)
    *lines, last = capsys.readouterr().out.splitlines()
    assert len(lines) == len(record.epoch) < 300
    for name in ("loss=", "mu=", "gradient_norm=", "step="):
        assert name in lines[0]
    assert f"evaluations={record.history['evaluations'][-1]}" in lines[-1]
    assert last == f"Epoch {len(lines)}: training stopped: {record.reason}"
    network("lm", units=12).fit(x, y, epochs=100, validation_data=curve(40, seed=1), verbose=1)
    *_, stopped, restored = capsys.readouterr().out.splitlines()
    assert "early stopping: 'val_loss' has not improved for 6 epochs" in stopped
    assert "best epoch" in restored
    network("lm").fit(x, y, epochs=3, verbose=0)
    assert capsys.readouterr().out == ""


# -- callbacks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["levenberg_marquardt", "lbfgs"])
def test_callbacks_end_training_at_an_iteration(method):
    x, y = curve(noise=0.0)
    record = network(method).fit(x, y, epochs=500, verbose=0, callbacks=StopOnGoal(1e-3))
    assert record.history["loss"][-1] <= 1e-3 < record.history["loss"][-2]
    assert "the goal is 0.001" in record.reason
    record = network(method).fit(x, y, epochs=500, verbose=0, callbacks=TimeLimit(1e-9))
    assert len(record.epoch) == 1
    assert "time limit" in record.reason
    rule = StopOnGradientNorm(1e-2)
    model = network(method)
    record = model.fit(x, y, epochs=500, verbose=0, callbacks=rule)
    assert "norm of the gradient" in record.reason
    f, w = model.as_function()
    gradient = nnx.grad(lambda w: namespace(x).mean((f(w, x) - y) ** 2))(w)
    norm = np.sqrt(sum(np.sum(g**2) for g in gradient.values()))
    assert rule.norm == pytest.approx(norm, rel=1e-9)
    assert np.linalg.norm(model.gradient_vector) == pytest.approx(norm, rel=1e-9)


@pytest.mark.parametrize(
    "callback", [LearningRateScheduler(lambda epoch: 0.1), ReduceLROnPlateau("loss", patience=1)]
)
def test_callbacks_of_the_learning_rate_are_refused_with_the_reason(callback):
    with pytest.raises(OptionError, match=r"LevenbergMarquardt has no learning rate.*first-order"):
        network("lm").fit(*curve(), epochs=3, verbose=0, callbacks=callback)


# -- one function in one step --------------------------------------------------------------------------------


@each(ENTRIES)
def test_batches_are_refused_with_the_reason(method):
    x, y = curve()
    model = network(method)
    with pytest.raises(OptionError, match=r"all 60 samples in one batch; got batch_size=16. Leave"):
        model.fit(x, y, batch_size=16, verbose=0)
    assert len(model.fit(x, y, batch_size=60, epochs=1, verbose=0).epoch) == 1


@pytest.mark.parametrize("method", ["lbfgs", "scg", "newton", "levenberg_marquardt"])
def test_dropout_stays_the_same_within_a_step(method):
    x, y = curve(noise=0.0)
    seen = []

    @dataclass(frozen=True, kw_only=True)
    class Spy(Layer):
        random: ClassVar[bool] = True

        def spec(self, input_shape):
            return Spec(input_shape)

        def forward(self, p, x, context):
            seen.append(context.step)
            return x

    layers = Dense(8, "tanh", input_shape=(1,)), Dropout(0.3), Spy(), Dense(1)
    model, before, steps = network(method, *layers), [], []

    def begin(epoch, logs):
        trainer = model.trainer
        trainer.problem.show(Batch((x,), (y,), (None,)), trainer.state.step)
        before.append(float(trainer.problem.at(model.weights_vector).value))
        seen.clear()

    watch = LambdaCallback(on_epoch_begin=begin, on_epoch_end=lambda *_: steps.append(list(seen)))
    losses = model.fit(x, y, epochs=8, verbose=0, callbacks=watch).history["loss"]
    assert [set(found) for found in steps] == [{i} for i in range(len(steps))]
    assert max(map(len, steps)) > 1
    # a fall, with the units dropped of the same step before and after
    assert all(after <= start for start, after in zip(before, losses, strict=True))
    assert len(set(losses)) > 1


# -- going on -----------------------------------------------------------------------------------------------


@each([e for e in ENTRIES if e.name != "gauss_newton"])  # which has no memory, and ends at once from here
def test_a_training_saved_halfway_goes_on_bit_for_bit(method, tmp_path):
    x, y = curve()
    path, model = tmp_path / "half.safetensors", network(method)
    save = LambdaCallback(on_epoch_end=lambda epoch, logs: model.save(path) if epoch == 3 else None)
    whole = model.fit(x, y, epochs=8, verbose=0, callbacks=save)
    copy = nnx.load_model(path)
    rest = copy.fit(x, y, epochs=8, initial_epoch=4, verbose=0)
    assert_same_weights(copy, model)
    for name in whole.history.keys() - {"evaluations"}:  # these are counted anew
        assert rest.history[name] == whole.history[name][4:], name
    assert rest.reason == whole.reason
