"""Merging layers and activations as layers compute what Keras' do, or refuse what Keras refuses."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx.backend import to_numpy
from nnx.errors import ShapeError

RNG = np.random.default_rng(0)
MERGING = ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"]
SHAPES = [
    ((4,), (4,)),
    ((3, 4), (4,)),
    ((4,), (3, 4)),
    ((3, 1), (3, 4)),
    ((3, 1), (4,)),
    ((1,), (4,)),
    ((3, 4), (4,), (1, 4)),
    ((3,), (4,)),
    ((2, 3), (3, 2)),
    ((2, 3), (3,), (2,)),
]


@pytest.mark.parametrize("name", MERGING)
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_merging_layers(name, shapes, keras, of_keras, backend):
    if name == "Subtract" and len(shapes) > 2:
        pytest.skip("takes two inputs")
    xs = [RNG.normal(size=(2, *shape)) for shape in shapes]
    own, symbols = getattr(nnx.layers, name)(), [nnx.Input(shape) for shape in shapes]
    try:
        theirs = of_keras(getattr(keras.layers, name)(dtype="float64"), *xs)
    except Exception:  # Keras has no common class of errors
        with pytest.raises(ShapeError, match=f"{name} cannot join"):
            own(symbols)
        return
    y = own([backend.asarray(x, dtype="float64") for x in xs])
    np.testing.assert_allclose(to_numpy(y), theirs, rtol=1e-15)
    assert own(symbols).shape == theirs.shape[1:]


@pytest.mark.parametrize("axis", [-1, 1, 2, -2])
def test_concatenate_along_an_axis(axis, keras, of_keras, backend):
    xs = [RNG.normal(size=(2, 3, 4)) for _ in range(3)]
    y = nnx.layers.Concatenate(axis=axis)([backend.asarray(x, dtype="float64") for x in xs])
    theirs = of_keras(keras.layers.Concatenate(axis=axis, dtype="float64"), *xs)
    np.testing.assert_array_equal(to_numpy(y), theirs)


ACTIVATIONS = [
    ("ReLU", {}),
    ("ReLU", {"max_value": 6.0}),
    ("ReLU", {"negative_slope": 0.1}),
    ("ReLU", {"threshold": 1.0}),
    ("ReLU", {"max_value": 4.0, "negative_slope": 0.2, "threshold": 0.5}),
    ("LeakyReLU", {}),
    ("LeakyReLU", {"negative_slope": 0.05}),
    ("ELU", {}),
    ("ELU", {"alpha": 0.5}),
    ("Softmax", {}),
    ("Softmax", {"axis": 1}),
    ("PReLU", {}),
]


@pytest.mark.parametrize(("name", "options"), ACTIVATIONS)
def test_activations_as_layers(name, options, keras, of_keras, backend):
    x = 4.0 * RNG.normal(size=(5, 4, 3))
    own, theirs = (
        getattr(nnx.layers, name)(**options),
        getattr(keras.layers, name)(**options, dtype="float64"),
    )
    y = own(backend.asarray(x, dtype="float64"))
    np.testing.assert_allclose(to_numpy(y), of_keras(theirs, x), rtol=1e-14, atol=1e-15)
    model = nnx.Sequential([nnx.Input((4, 3)), own], dtype="float64", backend=backend)
    np.testing.assert_allclose(model.predict(x), of_keras(theirs, x), rtol=1e-14, atol=1e-15)
