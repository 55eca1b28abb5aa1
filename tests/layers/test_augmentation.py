"""Images changed at random: each by itself, in training only, and as Keras does by the same numbers."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx import layers
from nnx.backend import namespace, to_numpy
from nnx.errors import OptionError, ShapeError
from nnx.layers import Context
from nnx.layers.augmentation import drawn

RNG = np.random.default_rng(0)
TRAINING = Context(training=True, seed=1, step=3)
X = RNG.normal(size=(5, 6, 7, 2))
LAYERS = [
    layers.RandomFlip(),
    layers.RandomFlip("vertical"),
    layers.RandomCrop(4, 3),
    layers.RandomTranslation(0.3, (0.1, 0.4)),
    layers.RandomRotation(0.2),
    layers.RandomZoom(0.4),
    layers.RandomZoom((-0.5, -0.2), 0.3, "constant", "nearest"),
]
MODES = ["constant", "nearest", "reflect", "wrap"]


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_every_library_gives_the_same_for_a_step(layer, backend):
    given = backend.asarray(X, dtype="float64")
    y = to_numpy(layer.forward({}, given, TRAINING))
    # cosines differ in the last digits
    np.testing.assert_allclose(y, layer.forward({}, X, TRAINING), rtol=1e-12, atol=1e-13)
    other = to_numpy(layer.forward({}, given, Context(training=True, seed=1, step=4)))
    assert np.any(np.abs(y - other) > 1e-3)
    small = to_numpy(layer.forward({}, backend.asarray(X, dtype="float32"), TRAINING))
    np.testing.assert_allclose(small, y, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("layer", [a for a in LAYERS if not isinstance(a, layers.RandomCrop)], ids=repr)
def test_in_prediction_images_stay_as_they_are(layer, backend):
    given = backend.asarray(X, dtype="float64")
    np.testing.assert_array_equal(to_numpy(layer.forward({}, given, Context(seed=1))), X)


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_each_image_is_changed_by_itself(layer):
    same = np.broadcast_to(X[:1], (40, *X.shape[1:]))
    y = layer.forward({}, same, TRAINING).reshape(40, -1)
    # flips have two or four outcomes, a crop of 4 × 3 from 6 × 7 has 15
    assert len(np.unique(np.round(y, 9), axis=0)) >= (2 if isinstance(layer, layers.RandomFlip) else 8)


def test_flips_are_fair_and_independent(backend):
    corner = np.zeros((4000, 2, 2, 1))
    corner[:, 0, 0] = 1.0
    y = to_numpy(layers.RandomFlip().forward({}, backend.asarray(corner, dtype="float32"), TRAINING))
    # each of the four outcomes has the share 1/4, with standard deviation 0.007
    np.testing.assert_allclose(y.mean(axis=0).ravel(), 0.25, atol=0.03)


def test_a_crop_is_a_part_of_its_image(backend):
    x = np.arange(8 * 5 * 6.0).reshape(8, 5, 6, 1)
    y = to_numpy(layers.RandomCrop(3, 2).forward({}, backend.asarray(x, dtype="float64"), TRAINING))
    for image, part in zip(x[..., 0], y[..., 0], strict=True):
        views = np.lib.stride_tricks.sliding_window_view(image, (3, 2))
        assert (views == part).all(axis=(2, 3)).sum() == 1
    whole = layers.RandomCrop(5, 6).forward({}, x, TRAINING)
    np.testing.assert_array_equal(whole, x)


@pytest.mark.parametrize("shape", [(4, 3), (6, 7), (3, 7), (9, 4)])
def test_a_crop_in_prediction_is_the_largest_window_in_the_middle_resized(shape, keras, backend):
    y = to_numpy(layers.RandomCrop(*shape).forward({}, backend.asarray(X, dtype="float64"), Context()))
    resized = keras.layers.Resizing(*shape, crop_to_aspect_ratio=True, dtype="float64")(X)
    np.testing.assert_allclose(y, resized.numpy(), rtol=1e-12, atol=1e-14)


def affine(layer, u, height, width):
    """Keras' eight numbers of an affine map for the uniform numbers ``u``."""
    zero, one = np.zeros(len(u)), np.ones(len(u))

    def between(k, factor):
        return factor[0] + u[:, k] * (factor[1] - factor[0])

    middle = (height - 1) / 2, (width - 1) / 2
    if isinstance(layer, layers.RandomTranslation):
        down, right = between(0, layer.height_factor) * height, between(1, layer.width_factor) * width
        rows = [one, zero, -right, zero, one, -down]
    elif isinstance(layer, layers.RandomZoom):
        down = 1.0 + between(0, layer.height_factor)
        right = down if layer.width_factor is None else 1.0 + between(1, layer.width_factor)
        rows = [right, zero, middle[1] * (1 - right), zero, down, middle[0] * (1 - down)]
    else:
        angle = 2.0 * np.pi * between(0, layer.factor)
        c, s = np.cos(angle), np.sin(angle)
        rows = [c, -s, middle[1] - middle[1] * c + middle[0] * s]
        rows += [s, c, middle[0] - middle[1] * s - middle[0] * c]
    return np.stack([*rows, zero, zero], axis=1)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
@pytest.mark.parametrize(
    "make",
    [
        lambda *how: layers.RandomTranslation(0.9, (-0.8, 0.3), *how, fill_value=0.7),
        lambda *how: layers.RandomRotation(0.4, *how, fill_value=0.7),
        lambda *how: layers.RandomZoom((-0.6, 0.9), None, *how, fill_value=0.7),
        lambda *how: layers.RandomZoom(0.9, (0.2, 1.0), *how, fill_value=0.7),
    ],
    ids=["translation", "rotation", "zoom", "zoom of each axis"],
)
def test_keras_has_the_same_image_for_the_same_numbers(make, mode, interpolation, keras, backend):
    layer = make(mode, interpolation)
    given = backend.asarray(X, dtype="float64")
    transform = affine(layer, to_numpy(drawn(X, TRAINING, None, 2)), 6, 7)
    options = {"interpolation": interpolation, "fill_mode": mode, "fill_value": 0.7}
    theirs = keras.ops.image.affine_transform(X, transform, **options, data_format="channels_last").numpy()
    y = to_numpy(layer.forward({}, given, TRAINING))
    np.testing.assert_allclose(y, theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("RandomTranslation", ((0.21, 0.21), (-0.34, -0.34))),
        ("RandomRotation", ((0.13, 0.13),)),
        ("RandomZoom", ((0.2, 0.2),)),
        ("RandomZoom", ((-0.3, -0.3), (0.1, 0.1))),
    ],
)
def test_keras_layers_have_the_same_signs_and_defaults(name, arguments, keras, of_keras):
    ours, theirs = getattr(layers, name)(*arguments), getattr(keras.layers, name)(*arguments)
    # Keras' places are in float32
    found = of_keras(theirs, X.astype("float32"), training=True)
    np.testing.assert_allclose(ours.forward({}, X, TRAINING), found, atol=1e-5)


def test_gradients_are_transposes(backend):
    given = backend.asarray(X, dtype="float64")
    for layer in LAYERS:
        nnx.check_derivatives(lambda x, layer=layer: layer.forward({}, x, TRAINING), given, order=1)
    layer = layers.RandomRotation(0.4)

    def f(x):
        return namespace(x).sum(layer.forward({}, x, TRAINING) ** 3)

    nnx.check_derivatives(f, given)


def test_a_model_with_augmentation_trains(backend):
    x = X.astype("float32")
    model = nnx.Sequential(
        [
            nnx.Input((6, 7, 2)),
            layers.RandomFlip("horizontal"),
            layers.RandomTranslation(0.1, 0.1),
            layers.RandomRotation(0.05),
            layers.RandomZoom(0.1),
            layers.RandomCrop(5, 5),
            layers.Flatten(),
            layers.Dense(1),
        ],
        seed=0,
        backend=backend,
    )
    model.compile("sgd", "mse")
    history = model.fit(x, np.ones((5, 1), "float32"), epochs=2, verbose=0).history["loss"]
    assert np.isfinite(history).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: layers.RandomTranslation(1.5, 0.1),
            "must be a number >= -1 and <= 1, or a pair",
        ),
        (lambda: layers.RandomTranslation(0.1, (0.1, 0.2, 0.3)), "width_factor must be"),
        (lambda: layers.RandomZoom(-1.0), "height_factor must be a number > -1"),
        (lambda: layers.RandomZoom(True), "height_factor must be"),
        (lambda: layers.RandomRotation(0.1, "mirror"), "fill_mode must be one of 'reflect'"),
        (lambda: layers.RandomRotation(0.1, interpolation="bicubic"), "Use 'bilinear' or 'nearest'"),
        (lambda: layers.RandomFlip("diagonal"), "mode must be one of"),
        (lambda: layers.RandomCrop(0, 3), "height must be a whole number >= 1"),
    ],
)
def test_options_that_cannot_be(make, message):
    with pytest.raises(OptionError, match=message):
        make()


def test_samples_that_are_no_images_are_refused():
    with pytest.raises(ShapeError, match=r"RandomFlip needs samples of 3 axes \(height, width, channels\)"):
        nnx.Sequential([nnx.Input((4, 4)), layers.RandomFlip()])
