"""Resizing, CenterCrop and Normalization against Keras; bad input."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx import layers
from nnx.backend import namespace, to_numpy
from nnx.errors import DataError, OptionError, ShapeError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 6, 7, 2))
SIZES = [(6, 7), (3, 4), (9, 7), (13, 5), (1, 1), (12, 14)]
RATIOS = [{}, {"crop_to_aspect_ratio": True}, {"pad_to_aspect_ratio": True, "fill_value": 0.5}]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
@pytest.mark.parametrize("ratio", RATIOS, ids=str)
def test_resizing_is_that_of_keras(size, interpolation, ratio, keras, backend):
    import torch

    ours = layers.Resizing(*size, interpolation, **ratio)
    theirs = keras.layers.Resizing(*size, interpolation, **ratio, dtype="float64")
    leaf = torch.tensor(X, requires_grad=True)
    y, given = theirs(leaf), backend.asarray(X, dtype="float64")
    np.testing.assert_allclose(to_numpy(ours(given)), y.detach().numpy(), rtol=1e-12, atol=1e-14)
    weights = RNG.normal(size=(3, *size, 2))
    (y * torch.tensor(weights)).sum().backward()
    along = backend.asarray(weights, dtype="float64")
    slope = nnx.grad(lambda x: namespace(x).sum(ours.forward({}, x) * along))(given)
    np.testing.assert_allclose(to_numpy(slope), leaf.grad.numpy(), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("size", [(6, 7), (3, 4), (2, 7), (7, 9), (9, 4), (4, 8)])
def test_center_crop_is_that_of_keras(size, keras, of_keras, backend):
    theirs = of_keras(keras.layers.CenterCrop(*size, dtype="float64"), X)
    y = layers.CenterCrop(*size)(backend.asarray(X, dtype="float64"))
    np.testing.assert_allclose(to_numpy(y), theirs, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("axis", [-1, 1, (1, 3), (-1, 2), None])
@pytest.mark.parametrize("invert", [False, True])
def test_normalization_takes_moments_from_data(axis, invert, keras, of_keras, backend):
    ours = layers.Normalization(axis, invert=invert)
    theirs = keras.layers.Normalization(axis, invert=invert, dtype="float64")
    data = 3.0 * RNG.normal(size=(20, 6, 7, 2)) + 5.0
    theirs.adapt(data)
    ours.adapt(backend.asarray(data, dtype="float64"))
    y = ours(backend.asarray(X, dtype="float64"))
    # the moments of a layer in no model are kept in float32
    np.testing.assert_allclose(to_numpy(y), of_keras(theirs, X), rtol=1e-5, atol=1e-5)
    for a, b in zip(ours.get_weights()[:2], theirs.get_weights()[:2], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    assert [w.shape for w in ours.get_weights()] == [w.shape for w in theirs.get_weights()]
    batches = layers.Normalization(axis)
    batches.adapt([data[:3], data[3:4], data[4:]])
    for a, b in zip(batches.get_weights(), ours.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize(
    ("axis", "mean", "variance"),
    [
        (-1, 2.0, 3.0),
        (-1, [1.0, 2.0], [3.0, 0.0]),
        (None, 2.0, 3.0),
        ((1, 3), RNG.normal(size=(6, 2)), RNG.random((6, 2))),
    ],
    ids=str,
)
def test_normalization_by_given_moments(axis, mean, variance, keras, of_keras, backend):
    ours = layers.Normalization(axis, mean, variance)
    theirs = keras.layers.Normalization(axis, mean, variance, dtype="float64")
    y = ours(backend.asarray(X, dtype="float64"))
    # Keras rounds given moments to float32
    np.testing.assert_allclose(to_numpy(y), of_keras(theirs, X), rtol=1e-5)
    again = layers.Normalization.from_config(ours.get_config())
    np.testing.assert_array_equal(again(X), ours(X))


def test_moments_stay_in_training_and_in_files(tmp_path):
    normal = layers.Normalization()
    x = RNG.normal(size=(30, 3)).astype("float32") * 4.0 + 2.0
    normal.adapt(x)
    model = nnx.Sequential([nnx.Input((3,)), normal, layers.Dense(1)])
    model.compile("sgd", "mse")
    before = normal.get_weights()
    model.fit(x, x[:, :1], epochs=1, verbose=0)
    for a, b in zip(normal.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    assert model.layers[0].trainable_weights == []
    model.save(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(nnx.load_model(tmp_path / "m.safetensors").predict(x), model.predict(x))
    normal.adapt(2.0 * x)  # in the model as well
    np.testing.assert_allclose(model.layers[0].get_weights()[0], 2.0 * x.mean(axis=0), rtol=1e-5)


def test_bad_input():
    for make, message in (
        (lambda: layers.Normalization(mean=1.0), "both of mean and variance"),
        (lambda: layers.Normalization(mean="a", variance=1.0), "mean must be a finite number"),
        (lambda: layers.Normalization(mean=[1.0, np.nan], variance=1.0), "mean must be a finite number"),
        (lambda: layers.Normalization(mean=1.0, variance=1.0).adapt(X), "was given its mean"),
        (lambda: layers.Resizing(2, 2, crop_to_aspect_ratio=True, pad_to_aspect_ratio=True), "choose one"),
        (lambda: layers.Resizing(2, 2, antialias=True), "antialias=True is not there"),
        (lambda: layers.Resizing(2, 2, "lanczos3"), "Use 'bilinear' or 'nearest'"),
        (lambda: layers.CenterCrop(2, 2.5), "width must be a whole number"),
    ):
        with pytest.raises(OptionError, match=message):
            make()
    for axis in (0, 4, (1, -3), -4):
        with pytest.raises(ShapeError, match="have the axes 1 to 3"):
            layers.Normalization(axis).adapt(X)
    with pytest.raises(ShapeError, match=r"mean has the shape \(3,\), .* features of shape \(2,\)"):
        layers.Normalization(mean=[1.0] * 3, variance=[1.0] * 3)(X)
    with pytest.raises(ShapeError, match="samples of shapes"):
        layers.Normalization().adapt([X, X[:, 1:]])
    for empty in ([], X[:0]):
        with pytest.raises(DataError, match="there are no data"):
            layers.Normalization().adapt(empty)
    with pytest.raises(DataError, match="NaN or infinite"):
        layers.Normalization().adapt(np.asarray([[1.0], [np.nan]]))
    with pytest.raises(ShapeError, match="Resizing needs samples of 3 axes"):
        layers.Resizing(2, 2)(X[0])
