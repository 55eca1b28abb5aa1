"""Callbacks in the training of a real model, on every backend."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx import callbacks as cb
from nnx.backend import to_numpy
from nnx.errors import OptionError
from nnx.layers import Dense

X = np.linspace(-1.0, 1.0, 24).reshape(12, 2)
Y = X @ np.array([[1.0], [-2.0]]) + 0.5


def line(backend=None, rate=0.1, **options):
    """A linear model with a convex cost: gradient descent converges."""
    model = nnx.Sequential([Dense(1, input_shape=(2,))], backend=backend, dtype="float64", seed=1)
    model.compile(nnx.optimizers.SGD(rate), "mse", **options)
    return model


def fit(model, callbacks, epochs=5, batch_size=12, **options):
    return model.fit(X, Y, epochs=epochs, batch_size=batch_size, verbose=0, callbacks=callbacks, **options)


def norm(x):
    return float(np.linalg.norm(to_numpy(x)))


def test_the_gradient_norm_is_that_of_the_last_step(backend):
    rule = cb.StopOnGradientNorm(1e-3)
    model = line(backend)
    before = []
    keep = cb.LambdaCallback(on_epoch_begin=lambda epoch, logs: before.append(model.get_weights()))
    history = fit(model, [rule, keep], epochs=1000)
    assert len(history.epoch) == rule.stopped_epoch + 1 < 1000
    kernel, bias = before[-1]
    residual = X @ kernel + bias - Y
    by_hand = np.concatenate([2 * X.T @ residual / 12, 2 * residual.mean(axis=0)[None]])
    # The weights are float64: rounding of sums of twelve numbers.
    assert rule.norm == pytest.approx(np.linalg.norm(by_hand), rel=1e-9)
    assert rule.norm == pytest.approx(norm(model.gradient_vector), rel=1e-12)


def test_the_step_norm_is_learning_rate_times_gradient_norm(backend):
    step, gradient = cb.StopOnStepNorm(1e-4, every="batch"), cb.StopOnGradientNorm(0.0, every="batch")
    model = line(backend)
    fit(model, [step, gradient], epochs=1000)
    assert step.stopped_epoch is not None and step.stopped_epoch < 999
    # w − w′ = −0.1 g, up to the rounding of a difference of weights of size 1.
    assert step.norm == pytest.approx(0.1 * gradient.norm, abs=1e-14)


def test_stop_on_goal_and_time_limit():
    goal = cb.StopOnGoal(0.05)
    history = fit(line(), [goal], epochs=1000)
    assert history.history["loss"][-1] <= 0.05 < history.history["loss"][-2]
    limit = cb.TimeLimit(1e-9)
    history = fit(line(), [limit], epochs=1000, batch_size=1)
    assert history.epoch == [0] and limit.stopped_epoch == 0


def test_early_stopping_brings_the_best_weights_back(backend):
    # A rate that is too high: after a step or two the cost only grows.
    model = line(backend, rate=1.3)
    weights = []
    keep = cb.LambdaCallback(on_epoch_end=lambda epoch, logs: weights.append(model.get_weights()))
    stop = cb.EarlyStopping("loss", patience=3, restore_best_weights=True)
    history = fit(model, [stop, keep], epochs=50)
    best_epoch = int(np.argmin(history.history["loss"]))
    assert stop.best_epoch == best_epoch < 5
    assert history.epoch == list(range(best_epoch + 4))
    for mine, best in zip(model.get_weights(), weights[best_epoch], strict=True):
        np.testing.assert_array_equal(mine, best)


def test_a_name_that_is_not_measured_is_an_error():
    with pytest.raises(OptionError, match=r"no 'val_loss'.* Known here: loss, mae\..*validation_data="):
        fit(line(metrics=["mae"]), [cb.EarlyStopping()])


IMPOSSIBLE = [
    (lambda p: cb.EarlyStopping(), "no 'val_loss' to watch"),
    (lambda p: cb.EarlyStopping("val_mae"), "Nothing is validated"),
    (lambda p: cb.EarlyStopping("accuracy"), "no 'accuracy' to watch. Known here: loss, mae"),
    (lambda p: cb.ReduceLROnPlateau(), "no 'val_loss' to watch"),
    (lambda p: cb.StopOnGoal(0.1, "val_loss"), "no 'val_loss' to watch"),
    (lambda p: cb.ModelCheckpoint(p / "a", save_best_only=True), "no 'val_loss' to watch"),
    (lambda p: cb.ModelCheckpoint(p / "a-{val_loss}"), "cannot make a path"),
    (lambda p: cb.ModelCheckpoint(p / "a-{loss:q}"), "cannot make a path"),
    (lambda p: cb.ModelCheckpoint(p / "a-{learning_rate}", save_freq=2), "cannot make a path"),
    (lambda p: cb.ModelCheckpoint(p / "best.pt"), "use 'best.safetensors'"),
    (lambda p: cb.ModelCheckpoint(p / "{epoch}.npz", save_weights_only=True), "safetensors"),
    (lambda p: cb.ModelCheckpoint(p), "is a folder"),
    (lambda p: cb.ModelCheckpoint(p / "file" / "a"), "file"),
]


@pytest.mark.parametrize(("make", "words"), IMPOSSIBLE)
@pytest.mark.parametrize("built", [True, False])
def test_what_cannot_go_well_fails_before_the_first_step(make, words, built, tmp_path):
    (tmp_path / "file").touch()
    model = line(metrics=["mae"])
    if not built:
        model = nnx.Sequential([Dense(1)])
        model.compile("sgd", "mse", metrics=["mae"])
    before = model.get_weights() if built else None
    with pytest.raises((OptionError, OSError), match=words):
        fit(model, [make(tmp_path)])
    assert model.built == built
    if built:
        np.testing.assert_array_equal(model.get_weights()[0], before[0])
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_loss_that_cannot_be_saved_is_named_before_the_first_step(tmp_path):
    model = line()
    model.compile("sgd", lambda y, p: (y - p) ** 2)
    before = model.get_weights()
    with pytest.raises(OptionError, match="not registered"):
        fit(model, [cb.ModelCheckpoint(tmp_path / "a")])
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
    fit(model, [cb.ModelCheckpoint(tmp_path / "a", save_weights_only=True)])


def test_plateaus_of_an_optimizer_without_a_rate_are_refused_at_once():
    model = line()
    model.compile("lbfgs", "mse")
    before = model.get_weights()
    with pytest.raises(OptionError, match="no learning rate"):
        fit(model, [cb.ReduceLROnPlateau("loss")])
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


def test_what_may_be_in_the_logs_can_be_watched(tmp_path):
    class Extra(cb.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["val_extra"] = 1.0

    path = tmp_path / "{epoch}-{learning_rate}-{loss:.2f}"
    fit(line(), [cb.LearningRateScheduler(lambda epoch: 0.1), cb.ModelCheckpoint(path)], epochs=1)
    extra = cb.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(val_extra=1.0))
    for own in (Extra(), extra):
        fit(line(), [own, cb.EarlyStopping("val_extra", mode="max")], epochs=1)
    model = line()
    model.compile("lbfgs", "mse")
    fit(model, [cb.EarlyStopping("gradient_norm", mode="min")], epochs=2)
    with pytest.raises(OptionError, match="Nothing is validated"):
        fit(model, [cb.EarlyStopping()])


def test_learning_rates_are_set_and_recorded(backend):
    model = line(backend)
    history = fit(model, [cb.LearningRateScheduler(lambda epoch, rate: rate / 2)], epochs=3)
    assert history.history["learning_rate"] == [0.05, 0.025, 0.0125]
    assert model.learning_rate == 0.0125
    history = fit(model, [cb.ReduceLROnPlateau("loss", patience=1, factor=0.5, min_delta=10.0)], epochs=3)
    assert history.history["learning_rate"] == [0.0125, 0.0125, 0.00625]
    assert model.learning_rate == 0.003125


def test_a_rate_of_zero_moves_nothing(backend):
    model = line(backend)
    before = model.get_weights()
    fit(model, [cb.LearningRateScheduler(lambda epoch: 0.0)])
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_checkpoint_can_be_loaded(tmp_path):
    model = line(metrics=["mae"])
    path = tmp_path / "{epoch}-{val_mae:.3f}.safetensors"
    last = tmp_path / "last.safetensors"
    savers = [cb.ModelCheckpoint(path), cb.ModelCheckpoint(last, save_weights_only=True)]
    fit(model, savers, epochs=2, validation_data=(X, Y))
    names = sorted(p.name[:2] for p in tmp_path.iterdir())
    assert names == ["1-", "2-", "la"]
    again = nnx.load_model(next(tmp_path.glob("2-*")))
    other = line()
    other.load_weights(last)
    for found in (again, other):
        np.testing.assert_array_equal(found.predict(X), model.predict(X))


def test_the_csv_file_has_the_history(tmp_path):
    history = fit(line(metrics=["mae"]), [cb.CSVLogger(tmp_path / "log.csv")], validation_data=(X, Y))
    table = np.genfromtxt(tmp_path / "log.csv", delimiter=",", names=True)
    assert table.dtype.names == ("epoch", "loss", "mae", "val_loss", "val_mae")
    for name in ("loss", "val_mae"):
        np.testing.assert_array_equal(table[name], history.history[name])


@pytest.mark.parametrize(
    "callback",
    [cb.LearningRateScheduler(lambda epoch, rate: rate), cb.ReduceLROnPlateau("loss")],
    ids=lambda callback: type(callback).__name__,
)
def test_a_schedule_in_the_optimizer_is_not_overruled(callback):
    model = line()
    model.compile(nnx.optimizers.SGD(nnx.optimizers.schedules.ExponentialDecay(0.1, 1, 0.9)), "mse")
    before = model.get_weights()
    with pytest.raises(OptionError, match="SGD has a schedule, which says the learning rate of each step"):
        fit(model, [callback])
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
    with pytest.raises(OptionError, match="Compile the model with a number"):
        model.learning_rate = 0.5
    assert model.learning_rate == 0.1


def test_early_stopping_restores_the_best_weights_over_the_average_of_them(backend):
    model = line(backend)
    model.compile(nnx.optimizers.SGD(2.0, use_ema=True, ema_momentum=0.9), "mse")
    seen = []
    stop = cb.EarlyStopping("loss", patience=2, restore_best_weights=True)
    look = cb.LambdaCallback(on_train_end=lambda logs: seen.append(model.get_weights()))
    fit(model, [look, stop], epochs=5)
    average = to_numpy(model.trainer.state.memory["ema"])
    np.testing.assert_array_equal(np.concatenate([w.reshape(-1) for w in seen[0]]), average)
    for found, best in zip(model.get_weights(), stop.best_weights, strict=True):
        np.testing.assert_array_equal(found, best)


@pytest.mark.parametrize("columns", ["epoch,loss", "epoch,loss,mae,val_loss,val_mae", "loss,mae", "a,b,c"])
def test_a_csv_file_of_other_columns_is_refused_before_training(tmp_path, columns):
    file = tmp_path / "log.csv"
    file.write_text(columns + "\n")
    model = line(metrics=["mae"])
    before = model.get_weights()
    with pytest.raises(OptionError, match=r"cannot append .*this training epoch, loss, mae\."):
        fit(model, [cb.CSVLogger(file, append=True)])
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
    assert file.read_text() == columns + "\n"


def test_a_csv_file_goes_on_with_what_the_optimizer_measures(tmp_path):
    log = cb.CSVLogger(tmp_path / "log.csv", append=True)
    for epochs in (1, 2):
        model = line(metrics=["mae"])
        model.compile("levenberg_marquardt", "mse", metrics=["mae"])
        fit(model, [log], epochs=epochs)
    table = np.genfromtxt(tmp_path / "log.csv", delimiter=",", names=True)
    assert {"epoch", "loss", "mae", "mu"} <= {*table.dtype.names}
    assert len(table) >= 2


def test_what_fit_evaluate_and_predict_print(capsys):
    model = line(metrics=["mae"])
    model.fit(X, Y, epochs=2, validation_data=(X, Y))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("Epoch 2/2 ") and "val_mae=" in lines[1]
    model.evaluate(X, Y)
    model.predict(X, verbose=1)
    model.fit(X, Y, epochs=1, verbose=0)
    assert capsys.readouterr() == ("", "")


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_divergence_with_terminate_on_nan_ends_with_a_reason(backend, capsys):
    rule, stop = cb.TerminateOnNaN(), cb.EarlyStopping("loss", patience=10_000, restore_best_weights=True)
    model = line(backend, rate=1e3)
    history = fit(model, [stop, rule], epochs=10_000)
    assert rule.stopped_epoch is not None and rule.reason
    assert len(history.epoch) == rule.stopped_epoch
    assert all(np.isfinite(w).all() for w in model.get_weights())
    assert "training stopped: the loss became NaN or infinite" in capsys.readouterr().out


def test_a_second_fit_with_the_same_callbacks():
    callbacks = [
        cb.EarlyStopping("loss", patience=2),
        cb.StopOnGoal(1e-12),
        cb.TimeLimit(60),
        cb.TerminateOnNaN(),
    ]
    runs = [fit(line(), callbacks, epochs=4).history for _ in range(2)]
    assert runs[0] == runs[1]


def test_the_history_says_whether_a_callback_of_ones_own_ended_training():
    class Stops(nnx.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True

    model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(2,))])
    model.compile("sgd", "mse")
    data = np.ones((4, 2)), np.ones(4)
    assert model.fit(*data, epochs=2, verbose=0).reason == "The last epoch is done."
    history = model.fit(*data, epochs=5, verbose=0, callbacks=Stops())
    assert len(history.epoch) == 1 and history.reason == "A callback set stop_training."
