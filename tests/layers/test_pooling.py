"""Pooling: against Keras, and by hand where Keras differs from backend to backend; ties, NaN, bad input."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import nnx
from nnx import layers
from nnx.backend import namespace, to_numpy
from nnx.errors import OptionError, ShapeError

RNG = np.random.default_rng(0)
SAMPLES = {1: (7, 2), 2: (5, 6, 2), 3: (4, 5, 3, 2)}
WINDOWS = [(2, None), (2, 1), (3, 2), (3, 1), (1, 2), (2, 3)]
CASES = [c for c in itertools.product((1, 2, 3), WINDOWS, ("valid", "same")) if c[0] < 3 or c[1][0] == 3]


def pooled(x, size, strides, padding, reduce):
    """Pooling by hand: ``reduce`` of the cells inside each window."""
    axes = x.ndim - 2
    places = []
    for length in x.shape[1:-1]:
        if padding == "same":
            count = -(-length // strides)
            before = max((count - 1) * strides + size - length, 0) // 2
        else:
            count, before = (length - size) // strides + 1, 0
        starts = [i * strides - before for i in range(count)]
        places.append([slice(max(start, 0), start + size) for start in starts])
    y = np.empty((x.shape[0], *map(len, places), x.shape[-1]))
    for index in itertools.product(*(range(len(along)) for along in places)):
        cells = x[(slice(None), *(along[i] for along, i in zip(places, index, strict=True)))]
        y[(slice(None), *index)] = reduce(cells, axis=tuple(range(1, axes + 1)))
    return y


def of_torch(layer, x, weights):
    """Output and gradient of Σ weights·output of a layer of Keras'."""
    import torch

    given = torch.tensor(x, requires_grad=True)
    y = layer(given)
    (y * torch.tensor(weights)).sum().backward()
    return y.detach().numpy(), given.grad.numpy()


def gradient(layer, x, weights):
    return nnx.grad(lambda x: namespace(x).sum(layer.forward({}, x) * weights))(x)


@pytest.mark.parametrize(("axes", "window", "padding"), CASES)
def test_max_pooling_is_that_of_keras(axes, window, padding, keras, backend):
    size, strides = window
    shape = SAMPLES[axes]
    ours = getattr(layers, f"MaxPooling{axes}D")(size, strides, padding)
    theirs = getattr(keras.layers, f"MaxPooling{axes}D")(size, strides, padding, dtype="float64")
    x, weights = RNG.normal(size=(3, *shape)), RNG.normal(size=(3, *ours.spec(shape).output_shape))
    y, slope = of_torch(theirs, x, weights)
    given, along = (backend.asarray(a, dtype="float64") for a in (x, weights))
    np.testing.assert_array_equal(to_numpy(ours(given)), y)
    np.testing.assert_allclose(to_numpy(gradient(ours, given, along)), slope, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize(("axes", "window", "padding"), CASES)
def test_average_pooling_is_the_mean_of_the_cells_inside(axes, window, padding, backend):
    size, strides = window
    ours = getattr(layers, f"AveragePooling{axes}D")(size, strides, padding)
    x = RNG.normal(size=(3, *SAMPLES[axes]))
    y = pooled(x, size, size if strides is None else strides, padding, np.mean)
    np.testing.assert_allclose(to_numpy(ours(backend.asarray(x, dtype="float64"))), y, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(("axes", "window", "padding"), [c for c in CASES if c[2] == "valid"])
def test_average_pooling_is_that_of_keras(axes, window, padding, keras, backend):
    size, strides = window
    ours = getattr(layers, f"AveragePooling{axes}D")(size, strides)
    theirs = getattr(keras.layers, f"AveragePooling{axes}D")(size, strides, dtype="float64")
    shape = SAMPLES[axes]
    x, weights = RNG.normal(size=(3, *shape)), RNG.normal(size=(3, *ours.spec(shape).output_shape))
    y, slope = of_torch(theirs, x, weights)
    given, along = (backend.asarray(a, dtype="float64") for a in (x, weights))
    np.testing.assert_allclose(to_numpy(ours(given)), y, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(to_numpy(gradient(ours, given, along)), slope, rtol=1e-12, atol=1e-15)


def test_average_pooling_at_uneven_ends_is_that_of_keras_on_jax():
    """Measured with Keras 3.15.1 on JAX: 37, 3700, 55000 (on PyTorch the last is 70000)."""
    x = 10.0 ** np.arange(6).reshape(1, 6, 1)
    y = layers.AveragePooling1D(3, strides=2, padding="same")(x)
    np.testing.assert_allclose(y.ravel(), [37.0, 3700.0, 55000.0], rtol=1e-15)


@pytest.mark.parametrize("kind", ["GlobalMaxPooling", "GlobalAveragePooling"])
@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("keepdims", [False, True])
def test_global_pooling_is_that_of_keras(kind, axes, keepdims, keras, backend):
    ours = getattr(layers, f"{kind}{axes}D")(keepdims=keepdims)
    theirs = getattr(keras.layers, f"{kind}{axes}D")(keepdims=keepdims, dtype="float64")
    shape = SAMPLES[axes]
    x, weights = RNG.normal(size=(3, *shape)), RNG.normal(size=(3, *ours.spec(shape).output_shape))
    y, slope = of_torch(theirs, x, weights)
    given, along = (backend.asarray(a, dtype="float64") for a in (x, weights))
    np.testing.assert_allclose(to_numpy(ours(given)), y, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(to_numpy(gradient(ours, given, along)), slope, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("keepdims", [False, True])
def test_a_mask_leaves_steps_out_of_the_mean(keepdims, keras, backend):
    x, mask = RNG.normal(size=(3, 4, 2)), RNG.random((3, 4)) < 0.6
    mask[:, 0] = True
    theirs = keras.layers.GlobalAveragePooling1D(keepdims=keepdims, dtype="float64")(x, mask=mask)
    mask[2] = False
    given = backend.asarray(x, dtype="float64"), backend.asarray(mask)
    layer = layers.GlobalAveragePooling1D(keepdims=keepdims)
    y = to_numpy(layer.forward({}, given[0], mask=given[1]))
    np.testing.assert_allclose(y[:2], theirs.numpy()[:2], rtol=1e-14)
    np.testing.assert_array_equal(y[2], np.zeros_like(y[2]))
    nnx.check_derivatives(lambda x: layer.forward({}, x, mask=given[1]), given[0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_of_equal_maxima_the_first_is_differentiated(dtype, padding, backend, keras):
    """In PyTorch too, which Keras calls; all of them -inf included."""
    x = RNG.integers(0, 3, size=(4, 6, 7, 2)).astype(dtype)
    x[0, :3, :3] = -np.inf
    for size, strides in ((2, 2), (3, 2), (3, 1)):
        ours = layers.MaxPooling2D(size, strides, padding)
        weights = RNG.normal(size=(4, *ours.spec(x.shape[1:]).output_shape)).astype(dtype)
        y, slope = of_torch(keras.layers.MaxPooling2D(size, strides, padding, dtype=dtype), x, weights)
        given, along = backend.asarray(x), backend.asarray(weights)
        np.testing.assert_array_equal(to_numpy(ours(given)), y)
        found = to_numpy(nnx.vjp(lambda x, ours=ours: ours.forward({}, x), given)[1](along)[0])
        finite = np.isfinite(x)  # Keras pads with -inf itself, so there the padding wins the tie
        # sums of a few numbers in another order
        # which may cancel: two roundings of a number of size 1
        near = {"rtol": 1e-5, "atol": 3e-7} if dtype == "float32" else {"rtol": 1e-13}
        np.testing.assert_allclose(found[finite], slope[finite], **near)
        total = found.sum(axis=(1, 2), dtype="float64")
        # every window gives its weight to one cell
        np.testing.assert_allclose(total, weights.sum(axis=(1, 2), dtype="float64"), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("layer", [layers.MaxPooling2D(3, 2, "same"), layers.GlobalMaxPooling2D()])
def test_nan_is_the_largest(layer, backend):
    x = RNG.normal(size=(1, 5, 5, 1))
    x[0, 2, 2, 0] = np.nan
    given = backend.asarray(x, dtype="float64")
    y, pullback = nnx.vjp(lambda x: layer.forward({}, x), given)
    assert np.isnan(to_numpy(y)).sum() == 1
    slope = to_numpy(pullback(backend.xp.ones_like(y))[0])
    assert slope[0, 2, 2, 0] == 1.0
    assert slope.sum() == to_numpy(y).size


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_derivatives_of_products_to_third_order(axes, backend):
    """A function in which every derivative of the pooling meets another factor."""
    pool = getattr(layers, f"MaxPooling{axes}D")(3, 2, "same")
    mean = getattr(layers, f"AveragePooling{axes}D")(2, 2, "same")
    shape = (2, *SAMPLES[axes])
    apart = 0.5 + RNG.permutation(np.prod(shape)).reshape(shape) / np.prod(shape)  # no two nearly equal
    x = backend.asarray(apart, dtype="float64")

    def f(x):
        y = pool.forward({}, x * x * x) * mean.forward({}, x * x)
        return namespace(y).sum(y * y)

    nnx.check_derivatives(f, x)
    xp = namespace(x)

    def along_x(f):
        return lambda x: namespace(x).sum(nnx.grad(f)(x) * x)

    # f is homogeneous of degree 10 (the choice of maxima stays), and each derivative along x has its factor
    third = along_x(along_x(along_x(f)))
    np.testing.assert_allclose(to_numpy(third(x)), 1000.0 * to_numpy(f(x)), rtol=1e-10)
    rows = nnx.jacobian(lambda x: pool.forward({}, x))(x)
    v = xp.ones_like(x)
    along = nnx.jvp(lambda x: pool.forward({}, x), (x,), (v,))[1]
    np.testing.assert_allclose(to_numpy(rows).reshape(*along.shape, -1).sum(axis=-1), to_numpy(along))


def test_defaults_and_names_are_those_of_keras(keras):
    for axes in (1, 2, 3):
        for kind, short in (("Max", "Max"), ("Average", "Avg")):
            given = {} if kind == "Max" else {"pool_size": 2}
            ours = getattr(layers, f"{kind}Pooling{axes}D")(**given)
            theirs = getattr(keras.layers, f"{kind}Pooling{axes}D")(**given)
            assert ours.pool_size == tuple(theirs.pool_size)
            assert ours.strides == tuple(theirs.strides)
            assert ours.padding == theirs.padding
            assert getattr(layers, f"{short}Pool{axes}D") is type(ours)
            everywhere = f"Global{short}Pool{axes}D"
            assert getattr(layers, everywhere) is getattr(layers, f"Global{kind}Pooling{axes}D")
            assert type(layers.get(everywhere)) is getattr(layers, everywhere)


BAD_OPTIONS = [
    ({"pool_size": 0}, "pool_size must be a whole number >= 1"),
    ({"pool_size": (2, 2, 2)}, "pool_size must be one number or 2"),
    ({"strides": -1}, "strides must be a whole number >= 1"),
    ({"strides": (1, 2, 3)}, "strides must be one number or 2"),
    ({"padding": "causal"}, "padding must be one of 'valid', 'same'"),
    ({"data_format": "channels_first"}, "channels are the last axis"),
    ({"data_format": "NHWC"}, "data_format must be 'channels_last' or None"),
]


@pytest.mark.parametrize(("wrong", "message"), BAD_OPTIONS)
def test_options_that_cannot_be(wrong, message):
    with pytest.raises(OptionError, match=message):
        layers.MaxPooling2D(**wrong)


def test_what_does_not_fit_says_so():
    with pytest.raises(ShapeError, match=r"MaxPooling2D needs samples of 3 axes \(height, width, channels\)"):
        layers.MaxPooling2D()(np.ones((2, 4, 4)))
    with pytest.raises(ShapeError, match=r"windows of \(3, 3\) cells do not fit into samples of \(2, 5\)"):
        layers.AveragePooling2D(3)(np.ones((2, 2, 5, 1)))
    with pytest.raises(ShapeError, match="needs samples of 2 axes"):
        nnx.Sequential([nnx.Input((4,)), layers.GlobalMaxPooling1D()])
