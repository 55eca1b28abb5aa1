"""Stopping rules: gradient norm, step norm, goal, time, a loss that is not finite."""

from __future__ import annotations

import math

import numpy as np
import pytest
from callbacks.driver import FakeModel, train

from nnx.callbacks import (
    Callback,
    CallbackList,
    LambdaCallback,
    StopOnGoal,
    StopOnGradientNorm,
    StopOnStepNorm,
    StoppingRule,
    TerminateOnNaN,
    TimeLimit,
    stopping,
)
from nnx.errors import NonFiniteError, OptionError


class Descends(Callback):
    """Stands for the optimizer: halves the weights, at first (3, 4), in each step; their gradient is w."""

    def __init__(self, backend):
        self.backend = backend

    def on_train_begin(self, logs=None):
        self.model.weights_vector = self.backend.asarray([3.0, 4.0], dtype="float64")

    def on_train_batch_end(self, batch, logs=None):
        self.model.gradient_vector = self.model.weights_vector * 1.0
        self.model.weights_vector = self.model.weights_vector * 0.5


def test_gradient_norm_after_each_epoch(backend):
    rule = StopOnGradientNorm(1.25)
    # Norms of the last gradient of each epoch of two steps: 2.5, 0.625.
    _, run = train([Descends(backend), rule], [1.0] * 9, steps=2)
    assert run.history.epoch == [0, 1]
    assert rule.norm == 0.625 and rule.stopped_epoch == 1
    assert rule.reason == "the norm of the gradient is 0.625, at most 1.25."


def test_gradient_norm_after_each_batch(backend):
    rule = StopOnGradientNorm(1.25, every="batch")
    batches = []
    count = LambdaCallback(on_train_batch_end=lambda batch, logs: batches.append(batch))
    train([Descends(backend), rule, count], [1.0] * 9, steps=2)
    # 5, 2.5 | 1.25: at most the threshold includes the threshold.
    assert batches == [0, 1, 0] and rule.norm == 1.25 and rule.stopped_epoch == 1


def test_without_a_gradient_there_is_nothing_to_look_at():
    rule = StopOnGradientNorm(1.0)
    _, run = train([rule], [1.0] * 3)
    assert len(run.history.epoch) == 3 and rule.norm is None and rule.reason is None


def test_step_norm_after_each_epoch(backend):
    rule = StopOnStepNorm(1.0, verbose=0)
    # Weights have norms 5, then 1.25, 0.3125 after epochs of two steps: they moved by 3.75, 0.9375.
    _, run = train([Descends(backend), rule], [1.0] * 9, steps=2)
    assert run.history.epoch == [0, 1] and rule.norm == 0.9375
    assert rule.reason == "the norm of the change of the weights is 0.938, at most 1."


def test_step_norm_after_each_batch(backend):
    rule = StopOnStepNorm(1.25, every="batch")
    _, run = train([Descends(backend), rule], [1.0] * 9, steps=4)
    assert run.history.epoch == [0] and rule.norm == 1.25  # 2.5, 1.25


def test_step_norm_sees_weights_that_are_changed_in_place():
    rule = StopOnStepNorm(0.5)

    def move(batch, logs):
        model.weights_vector[...] += 2.0**-model.epoch

    model = FakeModel()
    train([LambdaCallback(on_train_batch_end=move), rule], [1.0] * 9, model)
    # √3 · 2^-epoch: 0.866, 0.433
    assert rule.norm == pytest.approx(math.sqrt(3) / 4)
    assert rule.stopped_epoch == 1


def test_weights_that_stand_still_stop_even_at_threshold_zero():
    rule = StopOnStepNorm(0.0)
    train([rule], [1.0] * 3)
    assert rule.norm == 0.0 and rule.stopped_epoch == 0


def test_a_norm_that_is_nan_does_not_stop():
    rule = StopOnGradientNorm(1.0)
    model = FakeModel()
    model.gradient_vector = np.array([math.nan, 0.0])
    _, run = train([rule], [1.0] * 2, model)
    assert len(run.history.epoch) == 2 and math.isnan(rule.norm)


@pytest.mark.parametrize(
    ("rule", "epochs", "reason"),
    [
        (StopOnGoal(2.0), 3, "'loss' is 2, the goal is 2."),
        (StopOnGoal(0.8, "val_accuracy"), 4, "'val_accuracy' is 0.9, the goal is 0.8."),
        (StopOnGoal(0.65, "val_accuracy", mode="min"), 1, "'val_accuracy' is 0.6, the goal is 0.65."),
        (StopOnGoal(-1.0), 5, None),
    ],
)
def test_goal(rule, epochs, reason):
    logs = [{"loss": 5.0 - i, "val_accuracy": a} for i, a in enumerate([0.6, 0.5, 0.7, 0.9, 0.7], 1)]
    _, run = train([rule], logs)
    assert len(run.history.epoch) == epochs
    assert rule.reason == reason
    assert rule.stopped_epoch == (None if reason is None else epochs - 1)


def test_a_goal_for_what_is_not_measured_is_an_error():
    with pytest.raises(OptionError, match=r"StopOnGoal: there is no 'val_loss' to watch\. Known here: loss"):
        train([StopOnGoal(1.0, "val_loss")], [1.0])


class Clock:
    """Seconds pass only when something is done."""

    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr(stopping.time, "perf_counter", lambda: self.now)

    def passes(self, seconds):
        self.now += seconds


def test_time_limit_stops_within_an_epoch(monkeypatch):
    clock = Clock(monkeypatch)
    rule = TimeLimit(2.5)
    seen = []

    def step(batch, logs):
        clock.passes(1.0)
        seen.append(batch)

    train([LambdaCallback(on_train_batch_end=step), rule], [1.0] * 5, steps=2)
    assert seen == [0, 1, 0]
    assert rule.stopped_epoch == 1 and rule.reason == "the time limit of 2.5 seconds is over."


def test_time_limit_counts_validation_and_starts_anew(monkeypatch):
    clock = Clock(monkeypatch)
    rule = TimeLimit(2.5)
    validate = LambdaCallback(on_epoch_end=lambda epoch, logs: clock.passes(1.0))
    for _ in range(2):
        _, run = train([validate, rule], [1.0] * 5)
        assert len(run.history.epoch) == 3 and rule.stopped_epoch == 2


@pytest.mark.parametrize(
    "rule",
    [StopOnGradientNorm(9.0), StopOnGoal(0.5), StopOnStepNorm(9.0, every="batch")],
    ids=lambda r: type(r).__name__,
)
def test_a_rule_forgets_the_training_before(rule):
    model = FakeModel()
    model.gradient_vector = np.ones(2)
    train([rule], [0.1], model)
    assert rule.reason and rule.stopped_epoch == 0
    rule.on_train_begin()
    assert rule.reason is None and rule.stopped_epoch is None


def test_a_rule_of_ones_own(capsys):
    class OnFriday(StoppingRule):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                self.stop("it is Friday.")
                self.stop("it is late.")

    rule = OnFriday(verbose=1)
    _, run = train([rule], [1.0] * 3)
    assert len(run.history.epoch) == 2 and rule.stopped_epoch == 1 and rule.reason == "it is Friday."
    assert capsys.readouterr().out == "Epoch 2: training stopped: it is Friday.\n"


class TestTerminateOnNaN:
    def leave(self, rule):
        """What the training loop does when a step gives no finite loss: the epoch has no end."""
        model = FakeModel()
        run = CallbackList([rule], add_history=True, model=model, epochs=3, steps=1)
        run.on_train_begin()
        run.on_epoch_begin(0)
        run.on_epoch_end(0, {"loss": 1.0})
        run.on_epoch_begin(1)
        model.stop_training = True
        run.on_train_end()
        return run

    def test_it_tells_what_happened(self, capsys):
        rule = TerminateOnNaN()
        assert self.leave(rule).history.epoch == [0]
        assert rule.stopped_epoch == 1
        assert rule.reason == "the loss became NaN or infinite; the weights are the last good ones."
        assert "Epoch 2: training stopped: the loss became NaN" in capsys.readouterr().out

    def test_it_can_raise(self):
        with pytest.raises(NonFiniteError, match="Epoch 2: the loss became NaN"):
            self.leave(TerminateOnNaN(raise_error=True))

    @pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
    def test_a_loss_of_an_epoch_that_is_not_finite_stops(self, loss):
        rule = TerminateOnNaN()
        _, run = train([rule], [1.0, loss, 1.0])
        assert run.history.epoch == [0, 1] and rule.stopped_epoch == 1

    def test_a_sound_training_is_left_alone(self, capsys):
        rule = TerminateOnNaN()
        _, run = train([rule], [1.0, 2.0])
        assert run.history.epoch == [0, 1] and rule.reason is None and capsys.readouterr().out == ""
