"""What is promised to be checked before training is; what cannot learn is said."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import nnx
from nnx.callbacks import EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from nnx.errors import OptionError, ShapeError
from nnx.layers import Activation, Dense, Flatten, Reshape

X = np.random.default_rng(0).normal(size=(90, 4)).astype("float32")
LABELS = np.arange(90) % 3


def classifier(*metrics):
    model = nnx.Sequential([Dense(3, "softmax", input_shape=(4,))], seed=1)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=list(metrics))
    return model


def several(y_true, y_pred):
    """A user's metric, a number for the batch."""
    return nnx.backend.namespace(y_pred).mean(y_pred)


class PerClass(nnx.metrics.Metric):
    """A user's metric that is an array."""

    def statistics(self, y_true, y_pred, sample_weight=None):
        return nnx.backend.namespace(y_pred).sum(y_pred, axis=0)

    def value(self, sums):
        return sums


@pytest.mark.parametrize("metric", ["f1_score", "confusion_matrix", PerClass(name="per_class")])
@pytest.mark.parametrize("prefix", ["", "val_"])
@pytest.mark.parametrize(
    "watch",
    [
        lambda name: EarlyStopping(name, mode="max"),
        lambda name: ReduceLROnPlateau(name, mode="max"),
        lambda name: ModelCheckpoint("m.safetensors", monitor=name, mode="max", save_best_only=True),
    ],
)
def test_a_metric_that_is_an_array_cannot_be_watched_and_nothing_is_trained(metric, prefix, watch):
    model = classifier(metric)
    name = prefix + model.metrics_names[1]
    before = model.get_weights()
    with pytest.raises(OptionError, match="is an array of shape"):
        model.fit(X, LABELS, epochs=2, validation_split=0.2, verbose=0, callbacks=[watch(name)])
    for mine, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, old)
    assert model.optimizer.iterations == 0


@pytest.mark.parametrize("metric", [nnx.metrics.F1Score(average="macro"), several, "accuracy"])
def test_a_metric_that_is_a_number_can(metric):
    model = classifier(metric)
    name = "val_" + model.metrics_names[1]
    history = model.fit(
        X, LABELS, epochs=2, validation_split=0.2, verbose=0, callbacks=[EarlyStopping(name, mode="max")]
    )
    assert len(history.history[name]) == 2


@pytest.mark.parametrize("shape", [(28, 28), (2, 3, 4)])
def test_a_forgotten_flatten_is_named(shape):
    model = nnx.Sequential([Dense(10, "softmax", input_shape=shape)])
    model.compile("adam", "sparse_categorical_crossentropy")
    with pytest.raises(ShapeError, match="Flatten") as caught:
        model.fit(np.zeros((30, *shape)), np.zeros(30, int), verbose=0)
    assert str((*shape[:-1], 10)) in str(caught.value)
    model = nnx.Sequential([Flatten(input_shape=shape), Dense(10, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(np.zeros((30, *shape)), np.zeros(30, int), verbose=0)


def test_class_numbers_of_too_many_axes_are_refused_with_the_shape_that_is_wanted():
    model = classifier()
    with pytest.raises(ShapeError, match="one class number"):
        model.fit(X, np.zeros((90, 2), int), verbose=0)


CANNOT_LEARN = {
    "softmax of one unit": ([Dense(1, "softmax")], "binary_crossentropy", (90,)),
    "as a layer of its own": ([Dense(1), Activation("softmax")], "mse", (90,)),
    "log-softmax": ([Dense(1, "log_softmax")], "mse", (90,)),
    "cross-entropy of one output": ([Dense(1)], "categorical_crossentropy", (90, 1)),
    "of class numbers": ([Dense(1, "sigmoid")], "sparse_categorical_crossentropy", (90,)),
}


@pytest.mark.parametrize("case", CANNOT_LEARN)
def test_a_network_that_can_learn_nothing_is_warned_of(case):
    layers, loss, shape = CANNOT_LEARN[case]
    model = nnx.Sequential([nnx.Input((4,)), *layers])
    model.compile("adam", loss)
    with pytest.warns(UserWarning, match="can learn nothing.*sigmoid"):
        model.fit(X, np.zeros(shape, int), verbose=0)


@pytest.mark.parametrize(
    ("layers", "loss", "y"),
    [
        ([Dense(1, "sigmoid")], "binary_crossentropy", np.arange(90) % 2),
        ([Dense(2, "softmax")], "sparse_categorical_crossentropy", np.arange(90) % 2),
        # a softmax along another axis than the last one, which has one entry
        ([Dense(3), Reshape((3, 1)), nnx.layers.Softmax(axis=1)], "mse", np.zeros((90, 3, 1))),
    ],
)
def test_one_that_can_is_not(layers, loss, y):
    model = nnx.Sequential([nnx.Input((4,)), *layers])
    model.compile("adam", loss)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X, y, verbose=0)
