"""Dropout with a noise_shape, of channels, for self-normalizing networks, by normal factors."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx import layers
from nnx.backend import to_numpy
from nnx.errors import OptionError, ShapeError
from nnx.layers import Context
from nnx.layers.dropout import relu_dropout

TRAINING = Context(training=True, seed=1, step=3)
NOISY = [
    layers.Dropout(0.3, noise_shape=(None, 1, 2)),
    layers.SpatialDropout1D(0.3),
    layers.AlphaDropout(0.3),
    layers.AlphaDropout(0.3, (None, 1, None)),
    layers.GaussianDropout(0.3),
]


@pytest.mark.parametrize("layer", NOISY, ids=repr)
def test_noise_is_that_of_the_step_on_every_library_and_none_in_prediction(layer, backend):
    x = np.random.default_rng(0).normal(size=(6, 4, 2))
    given = backend.asarray(x, dtype="float64")
    y = to_numpy(layer.forward({}, given, TRAINING))
    # cosines and logarithms of normal numbers differ in the last digits
    np.testing.assert_allclose(y, layer.forward({}, x, TRAINING), rtol=1e-14, atol=1e-15)
    assert np.any(y != to_numpy(layer.forward({}, given, Context(training=True, seed=1, step=4))))
    np.testing.assert_array_equal(to_numpy(layer.forward({}, given, Context(seed=1, step=3))), x)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_a_channel_of_a_sample_falls_as_a_whole(axes, backend):
    layer = getattr(layers, f"SpatialDropout{axes}D")(0.25)
    x = backend.asarray(np.ones((300, *(3,) * axes, 40)), dtype="float32")
    y = to_numpy(layer.forward({}, x, TRAINING)).reshape(300, -1, 40)
    np.testing.assert_array_equal(y, np.broadcast_to(y[:, :1], y.shape))
    assert set(np.unique(y)) == {np.float32(0.0), np.float32(1.0 / 0.75)}
    # 12 000 draws: the standard deviation of the kept share is 0.004
    assert abs((y[:, 0] > 0).mean() - 0.75) < 0.016


def test_lengths_of_one_in_noise_shape_are_shared(backend):
    x = backend.asarray(np.ones((50, 8, 40)), dtype="float32")
    y = to_numpy(layers.Dropout(0.5, noise_shape=(50, 1, None)).forward({}, x, TRAINING))
    np.testing.assert_array_equal(y, np.broadcast_to(y[:, :1], y.shape))
    # 2 000 draws: the standard deviation of the kept share is 0.011
    assert abs((y > 0).mean() - 0.5) < 0.05
    whole = to_numpy(layers.Dropout(0.5, noise_shape=(None, None, None)).forward({}, x, TRAINING))
    np.testing.assert_array_equal(whole, to_numpy(layers.Dropout(0.5).forward({}, x, TRAINING)))


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_alpha_dropout_keeps_mean_and_variance(rate, backend):
    x = np.random.default_rng(0).normal(size=(400, 500))
    y = to_numpy(layers.AlphaDropout(rate).forward({}, backend.asarray(x, dtype="float64"), TRAINING))
    # 200 000 numbers: standard deviations 0.002 of the mean, and 0.005 of the variance
    assert abs(y.mean()) < 0.01
    assert abs(y.var() - 1.0) < 0.02
    values, counts = np.unique(np.round(y, 12), return_counts=True)
    # what was dropped has one value; its share has the standard deviation 0.0011
    assert abs(counts.max() / y.size - rate) < 0.006
    assert values[np.argmax(counts)] < 0.0


def test_alpha_dropout_is_that_of_keras_for_the_same_mask(keras, monkeypatch):
    """Keras' uniform numbers are put in the place of a mask that nnx drew."""
    x = np.random.default_rng(0).normal(size=(20, 30))
    y = layers.AlphaDropout(0.3).forward({}, x, TRAINING)
    marks = layers.AlphaDropout(0.3).forward({}, x + 1e9, TRAINING)  # what was kept is large
    uniform = np.where(marks > 1e6, 0.9, 0.0)
    drawn = lambda *args, **options: keras.ops.array(uniform)  # noqa: E731
    monkeypatch.setattr("keras.src.backend.random.uniform", drawn)
    theirs = keras.layers.AlphaDropout(0.3, dtype="float64")(x, training=True)
    np.testing.assert_allclose(y, theirs.detach().numpy(), rtol=1e-12)


def test_gaussian_dropout_has_the_variance_of_dropout(backend):
    x = backend.asarray(np.full((400, 500), 2.0), dtype="float64")
    y = to_numpy(layers.GaussianDropout(0.2).forward({}, x, TRAINING)) / 2.0
    # 200 000 factors of variance 1/4: standard deviations 0.0011 of the mean, and 0.0008 of the variance
    assert abs(y.mean() - 1.0) < 0.006
    assert abs(y.var() - 0.25) < 0.005


def test_relu_and_dropout_of_whole_channels_are_not_fused():
    relu = layers.Activation("relu")
    assert relu_dropout(relu, layers.Dropout(0.5)) is not None
    assert relu_dropout(relu, layers.Dropout(0.5, noise_shape=(None, 1))) is None


@pytest.mark.parametrize("wrong", [2, (), (0, 1), (1.5,), "12", (None, True)])
def test_noise_shapes_that_cannot_be(wrong):
    with pytest.raises(OptionError, match="noise_shape must be a tuple"):
        layers.Dropout(0.5, noise_shape=wrong)


def test_noise_shapes_that_do_not_fit_say_so():
    for shape in ((None, 2), (None, 3, 1), (5, 4, 1)):
        with pytest.raises(ShapeError, match=r"noise_shape=.*does not fit a batch of shape \(6, 4, 2\)"):
            layers.AlphaDropout(0.5, shape)(np.ones((6, 4, 2)), training=True)
    with pytest.raises(ShapeError, match="SpatialDropout2D needs samples of 3 axes"):
        nnx.Sequential([nnx.Input((4, 2)), layers.SpatialDropout2D(0.5)])
