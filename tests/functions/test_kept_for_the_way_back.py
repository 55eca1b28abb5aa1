"""What is kept for the way back: inputs and results that a derivative does not read are freed."""

import itertools
import weakref

import numpy as np
import pytest

import nnx
from nnx.activations import exponential, leaky_relu, log_sigmoid, relu, relu6, softplus
from nnx.autodiff.array import raw
from nnx.layers.inner import ran

OPTIONS = [
    {"negative_slope": slope, "max_value": most, "threshold": threshold}
    for slope, most, threshold in itertools.product(
        (0.0, 0.25, -0.5), (None, 0.0, 1.0, 6.0), (0.0, 1.0, 2.0, -1.0)
    )
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_slopes_of_relu_are_those_of_its_pieces(options):
    slope, most, threshold = options.values()
    x = np.asarray([-2.5, -0.75, -1e-310, -0.0, 0.0, 1e-310, 0.5, 1.5, 2.5, 5.5, 6.5, 1e300])
    kinks = {0.0, threshold, most}
    wanted = np.where(x > threshold, 1.0, slope)
    if most is not None:  # whatever is cut off at max_value has the slope 0
        value = np.where(x > threshold, x, slope * (x - threshold) if slope else 0.0)
        wanted[(x > threshold) & (value >= most)] = 0.0
    found = nnx.grad(lambda x: np.sum(relu(x, **options)))(x)
    apart = ~np.isin(x, [k for k in kinks if k is not None])
    np.testing.assert_array_equal(found[apart], wanted[apart])


@pytest.mark.parametrize(
    "options",
    [
        {"reverse": lambda xp, g, needs, y, x: (g,), "of_result": True},
        {"derivative": lambda xp, x, y: x, "reads": False},
    ],
)
def test_what_belongs_to_the_other_kind_of_derivative_is_refused(options):
    with pytest.raises(TypeError, match=r"fused: (of_result|reads)= is for"):
        nnx.autodiff.fused(**options)


@pytest.mark.parametrize("function", [relu, relu6, leaky_relu, exponential, softplus, log_sigmoid])
def test_the_input_is_not_kept(function):
    kept = []

    def f(x):
        z = 2.0 * x  # only the activation reads it
        kept.append(weakref.ref(raw(z)))
        return function(z)

    y, pullback = nnx.vjp(f, np.ones(1000))
    assert y.shape == (1000,)
    assert kept[0]() is None
    assert pullback(np.ones(1000))[0].shape == (1000,)


@pytest.mark.parametrize(
    "layer",
    [
        nnx.layers.Conv2D(4, 3),
        nnx.layers.DepthwiseConv2D(3),
        nnx.layers.Conv2DTranspose(4, 3),
        nnx.layers.AveragePooling2D(2),
        nnx.layers.BatchNormalization(),
        nnx.layers.LayerNormalization(),
        nnx.layers.Dense(4),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_the_result_is_not_kept(layer):
    x = np.ones((2, 8, 8, 5), "float32")
    params = {w.name: np.ones(w.shape, "float32") for w in layer.spec((8, 8, 5)).weights}
    kept = []

    def f(p, x):
        y, _ = ran(layer, p, (x,), nnx.layers.Context(True))
        kept.append(weakref.ref(raw(y)))
        return 2.0 * y

    y, pullback = nnx.vjp(f, params, x)
    assert kept[0]() is None
    assert pullback(np.ones_like(y))[1].shape == x.shape
