"""A training that is interrupted, and what it is compared with."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx.callbacks import BackupAndRestore, LambdaCallback
from nnx.layers import Dense, Dropout, GaussianNoise

random = np.random.default_rng(0)
X = random.standard_normal((40, 3)).astype("float32")
Y = (X @ np.asarray([[1.0], [-2.0], [0.5]]) + 0.1).astype("float32")
STEPS = 5  # batches of 8


class Killed(Exception):
    """The interruption."""


def network(backend=None, optimizer="adam", seed=1, metrics=("mae",), loss="mse", **options):
    layers = [Dense(6, "relu", input_shape=(3,)), GaussianNoise(0.1), Dropout(0.3), Dense(1)]
    if optimizer not in ("adam", "sgd") and isinstance(optimizer, str):
        layers = [Dense(4, "tanh", input_shape=(3,)), Dense(1)]
    model = nnx.Sequential(layers, backend=backend, seed=seed, **options)
    model.compile(optimizer, loss, metrics=list(metrics))
    return model


def kill_at(epoch, batch=None):
    """A callback that interrupts training before an epoch (or after one of its batches)."""
    at = [-1]

    def begins(now, logs):
        at[0] = now
        if batch is None and now == epoch:
            raise Killed

    def after(now, logs):
        if (at[0], now) == (epoch, batch):
            raise Killed

    return LambdaCallback(on_epoch_begin=begins, on_train_batch_end=after)


def fit(model, callbacks, epochs=6, **options):
    options = {"batch_size": 8, "validation_data": (X[:16], Y[:16]), **options}
    return model.fit(X, Y, epochs=epochs, verbose=0, callbacks=callbacks, **options)


def continued(make, folder, kill, others=list, save_freq="epoch", **options):
    """The model and history of a training that is killed (perhaps more than once), and of one that is not."""
    whole = make()
    expected = fit(whole, others(), **options)
    for interruption in (*kill, None):
        model = make()
        callbacks = [BackupAndRestore(folder, save_freq), *others()]
        if interruption is None:
            found = fit(model, callbacks, **options)
        else:
            with pytest.raises(Killed):
                fit(model, [*callbacks, kill_at(*interruption)], **options)
    return model, found, whole, expected


def assert_same(model, found, whole, expected, first):
    for mine, theirs in zip(model.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    mine, theirs = model.trainer.state, whole.trainer.state
    assert mine.numbers() == theirs.numbers()
    for name, vector in theirs.vectors().items():
        np.testing.assert_array_equal(nnx.to_numpy(mine.vectors()[name]), nnx.to_numpy(vector))
    assert found.epoch == expected.epoch[first:]
    for name, values in expected.history.items():
        if name != "evaluations":
            assert found.history[name] == values[first:], name
