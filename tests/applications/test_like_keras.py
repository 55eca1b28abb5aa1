"""With the same random weights each network gives what Keras' own gives."""

from __future__ import annotations

import numpy as np
import pytest

# The smallest pictures, where the classes' logits tell more than their nearly equal probabilities.
SMALL = {
    "ResNet50": 32,
    "MobileNet": 32,
    "MobileNetV2": 45,
}
LARGE = {
    "Xception": 71,
    "ResNet50V2": 40,
    "InceptionV3": 75,
    "VGG16": 32,
    "VGG19": 40,
    "ResNet101": 33,
    "ResNet152": 32,
    "ResNet101V2": 32,
    "ResNet152V2": 33,
    "InceptionResNetV2": 75,
}
CASES = [*SMALL, *(pytest.param(name, marks=pytest.mark.slow) for name in LARGE)]


def compare(of_both, of_keras, name, dtype, tolerance, **options):
    size = (SMALL | LARGE)[name]
    options = {"classifier_activation": None, "classes": 20} | options
    own, theirs = of_both(name, dtype, input_shape=(size, size, 3), **options)
    # rounded to float32, as Keras' input does whatever the type of the layers is
    x = np.random.default_rng(0).uniform(-1.0, 1.0, (2, size, size, 3)).astype("float32").astype(dtype)
    y, expected = own.predict(x), of_keras(theirs, x, training=False)
    assert y.shape == expected.shape and y.dtype == dtype
    assert np.abs(expected).max() > 0 and np.ptp(expected, axis=0).max() > 0  # the pictures are told apart
    assert np.abs(y - expected).max() <= tolerance * np.abs(expected).max()


@pytest.mark.parametrize("name", CASES)
def test_logits_in_float32(name, of_both, of_keras):
    # judged by 1e-4; two ways to sum in float32 through up to 150 layers differ by a few 1e-6
    compare(of_both, of_keras, name, "float32", 5e-5)


@pytest.mark.parametrize("name", ["MobileNet", pytest.param("InceptionV3", marks=pytest.mark.slow)])
def test_features_in_float64(name, of_both, of_keras):
    # float64 rounds 5e8 times finer: no systematic difference hides behind float32's rounding
    compare(of_both, of_keras, name, "float64", 1e-12, include_top=False, pooling="max")
