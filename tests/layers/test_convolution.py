"""Convolution layers: the numbers and gradients of Keras', over options and sizes; rows; errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import nnx
from nnx.backend import namespace, to_numpy
from nnx.errors import OptionError, ShapeError
from nnx.layers import Conv1D, Conv2D, Conv2DTranspose, Dense, DepthwiseConv2D, Flatten, SeparableConv2D


def both(keras, name, options, shape, seed=0):
    """``(y, cotangents)`` of our layer and of Keras' with the same weights: by x and by each weight."""
    import torch

    random = np.random.default_rng(seed)
    own = getattr(nnx.layers, name)(**options)
    theirs = getattr(keras.layers, name)(**options, dtype="float64")
    theirs.build((None, *shape))
    spec = own.spec(shape)
    assert [w.shape for w in spec.weights] == [tuple(w.shape) for w in theirs.weights]
    assert [w.name for w in spec.weights] == [w.name for w in theirs.weights]
    p = {w.name: random.standard_normal(w.shape) for w in spec.weights}
    theirs.set_weights(list(p.values()))
    x = random.standard_normal((2, *shape))

    y, pullback = nnx.vjp(own.forward, p, x)
    g = random.standard_normal(y.shape)
    by_weights, by_x = pullback(g)
    assert y.shape[1:] == spec.output_shape

    tensor = torch.tensor(x, requires_grad=True)
    out = theirs(tensor)
    out.backward(torch.tensor(g))
    found = [tensor.grad, *(w.value.grad for w in theirs.weights)]
    assert tuple(out.shape) == y.shape
    return [y, by_x, *by_weights.values()], [t.detach().numpy() for t in (out, *found)]


def assert_as_in_keras(keras, name, options, shape):
    for mine, theirs in zip(*both(keras, name, options, shape), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-10, atol=1e-10)


@st.composite
def along(draw, kind, rank):
    """Options and a shape: kernels, strides, dilations and sizes of each axis by itself."""
    options = {"kernel_size": tuple(draw(st.integers(1, 4)) for _ in range(rank))}
    paddings = ["valid", "same"] + ["causal"] * (kind == "Conv" and rank == 1)
    options["padding"] = draw(st.sampled_from(paddings))
    option = draw(st.sampled_from(["strides", "dilation_rate"]))
    options[option] = tuple(draw(st.integers(1, 3)) for _ in range(rank))
    channels = draw(st.integers(1, 3))
    if kind == "Conv":
        options["groups"] = draw(st.sampled_from([1, 2, 3]))
        channels, options["filters"] = channels * options["groups"], 2 * options["groups"]
    else:
        options["depth_multiplier"] = draw(st.integers(1, 2))
        if kind == "SeparableConv":
            options["filters"] = 3
    options["use_bias"] = draw(st.booleans())
    size = tuple(draw(st.integers(1, 7)) for _ in range(rank))
    dilation = options.get("dilation_rate", (1,) * rank)
    reach = [(k - 1) * d + 1 for k, d in zip(options["kernel_size"], dilation, strict=True)]
    assume(options["padding"] != "valid" or all(n >= r for n, r in zip(size, reach, strict=True)))
    return options, (*size, channels)


@pytest.mark.parametrize(
    ("kind", "rank"),
    [("Conv", 3), *((kind, rank) for kind in ("Conv", "DepthwiseConv", "SeparableConv") for rank in (1, 2))],
)
def test_they_are_kerass(kind, rank, keras):
    @settings(max_examples=30)
    @given(along(kind, rank))
    def check(drawn):
        options, shape = drawn
        assert_as_in_keras(keras, f"{kind}{rank}D", options, shape)

    check()


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_transposed_ones_are_kerass(rank, keras):
    @settings(max_examples=40)
    @given(st.data())
    def check(data):
        draw = data.draw
        options = {"filters": 2, "kernel_size": tuple(draw(st.integers(1, 4)) for _ in range(rank))}
        options["padding"] = draw(st.sampled_from(["valid", "same"]))
        option = draw(st.sampled_from(["strides", "dilation_rate"]))
        options[option] = tuple(draw(st.integers(1, 3)) for _ in range(rank))
        if option == "strides" and draw(st.booleans()):
            options["output_padding"] = tuple(draw(st.integers(0, s - 1)) for s in options["strides"])
        assert_as_in_keras(keras, f"Conv{rank}DTranspose", options, (*[draw(st.integers(1, 5))] * rank, 3))

    check()


def test_impulses_show_where_taps_and_zeros_lie(backend):
    """Facts of Keras: not turned, the odd zero at the end, causal ones in front, transposes cut in front."""
    impulse = backend.asarray([[[0.0], [1.0], [0.0], [0.0]]], dtype="float64")
    p = {"kernel": backend.asarray([[[1.0]], [[10.0]], [[100.0]]], dtype="float64")}

    def of(layer, x=impulse):
        return to_numpy(layer.forward(p, x)).ravel()

    np.testing.assert_array_equal(of(Conv1D(1, 3, padding="same", use_bias=False)), [100, 10, 1, 0])
    steps = backend.asarray(np.arange(1.0, 7.0).reshape(1, 6, 1), dtype="float64")
    causal = Conv1D(1, 3, strides=2, padding="causal", use_bias=False)
    np.testing.assert_array_equal(of(causal, steps), [100, 321, 543])
    same = Conv1D(1, 3, strides=2, padding="same", use_bias=False)
    np.testing.assert_array_equal(of(same, steps), [321, 543, 65])
    transposed = nnx.layers.Conv1DTranspose(1, 3, strides=2, padding="same", use_bias=False)
    np.testing.assert_array_equal(of(transposed), [0, 0, 1, 10, 100, 0, 0, 0])


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (Conv2D(4, 3, strides=2, padding="same", groups=2), (5, 4, 2)),
        (Conv2D(2, (3, 2), dilation_rate=(1, 2)), (4, 4, 3)),
        (SeparableConv2D(3, 2, depth_multiplier=2, strides=2), (4, 5, 2)),
        (Conv2DTranspose(2, 3, strides=(2, 1), padding="same"), (2, 3, 2)),
    ],
    ids=lambda x: type(x).__name__ if isinstance(x, nnx.layers.Layer) else "",
)
def test_derivatives_of_second_order(layer, shape, backend):
    """In x and the weights together, where the three functions are each other's derivatives."""
    random = np.random.default_rng(2)
    p = {
        w.name: backend.asarray(random.standard_normal(w.shape), dtype="float64")
        for w in layer.spec(shape).weights
    }
    x = backend.asarray(random.standard_normal((2, *shape)), dtype="float64")

    def cubed(p, x):
        y = layer.forward(p, x)
        return namespace(y).sum(y * y * y)

    nnx.check_derivatives(cubed, p, x)
    nnx.check_derivatives(nnx.grad(cubed, argnums=(0, 1)), p, x)


def small_network(dtype="float64"):
    return nnx.Sequential(
        [
            nnx.Input((7, 6, 2)),
            Conv2D(3, 3, activation="tanh"),
            DepthwiseConv2D(2, strides=2, padding="same", activation="tanh"),
            SeparableConv2D(3, 2, activation="tanh"),
            Conv2DTranspose(2, 2, strides=2, activation="tanh"),
            Flatten(),
            Dense(1),
        ],
        dtype=dtype,
    )


def test_levenberg_marquardt_trains_a_small_cnn():
    random = np.random.default_rng(0)
    x = random.standard_normal((30, 7, 6, 2))
    y = np.tanh(x[:, 2:4, 2:4, 0].sum(axis=(1, 2)) - x[:, 1, 1, 1])
    nnx.backend.set_seed(3)
    model = small_network()
    model.compile(nnx.optimizers.LevenbergMarquardt(), "mse")
    history = model.fit(x, y, epochs=25, verbose=0)
    assert history.history["loss"][-1] < 0.01 * history.history["loss"][0]


def test_rows_of_the_jacobian(backend):
    """Those of a function that applies the layers, row by row, and those of one sample after the other."""
    random = np.random.default_rng(4)
    layers = small_network().layers
    shape, weights = (7, 6, 2), []
    for layer in layers:
        spec = layer.spec(shape)
        weights.append({w.name: random.standard_normal(w.shape) * 0.5 for w in spec.weights})
        shape = spec.output_shape
    p = [{k: backend.asarray(a, dtype="float64") for k, a in own.items()} for own in weights]
    x = backend.asarray(random.standard_normal((3, 7, 6, 2)), dtype="float64")

    def outputs(p, x=x):
        for layer, own in zip(layers, p, strict=True):
            x = layer.forward(own, x)
        return x[:, 0]

    rows = nnx.jacobian(outputs)(p)
    for i in range(3):
        one = nnx.grad(lambda p, i=i: outputs(p, x[i : i + 1, ...])[0])(p)
        for mine, wanted in zip(rows, one, strict=True):
            for name in wanted:
                found, expected = to_numpy(mine[name])[i], to_numpy(wanted[name])
                np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-13)


def test_the_jacobian_of_a_model_is_nnx_jacobians():
    from nnx.layers import Context
    from nnx.models.compiling import compiled

    model = small_network()
    random = np.random.default_rng(5)
    x = random.standard_normal((4, 7, 6, 2))
    program = compiled(model.network)
    params = [dict(zip(layer.weight_names, layer.get_weights(), strict=True)) for layer in model.layers]
    ran, back = program.per_sample(params, [x], Context())
    found = back([np.ones_like(ran.outputs[0])])(slice(0, 4))
    wanted = nnx.jacobian(lambda p: program.run(p, [x], Context()).outputs[0][:, 0])(params)
    flat = [array for own in wanted for array in own.values()]
    for mine, expected in zip(found, flat, strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Conv2D(4, 3).spec((28, 28)), ShapeError, r"x\[..., None\]"),
        (lambda: Conv2D(4, 3).spec((2, 8, 8, 1)), ShapeError, r"\(height, width, channels\)"),
        (lambda: Conv2D(4, 5).spec((4, 8, 1)), ShapeError, "does not fit into an image of size"),
        (lambda: Conv1D(4, 3, dilation_rate=3).spec((6, 1)), ShapeError, "spans 7"),
        (lambda: Conv2D(4, 3, groups=2).spec((8, 8, 3)), ShapeError, "does not divide the 3 channels"),
        (lambda: DepthwiseConv2D(5).spec((4, 4, 3)), ShapeError, "padding='same'"),
        (lambda: Conv2D(3, 3, groups=2), OptionError, "multiple of groups"),
        (lambda: Conv2D(4, 3, strides=2, dilation_rate=2), OptionError, "cannot be combined"),
        (lambda: Conv2DTranspose(4, 3, strides=2, dilation_rate=2), OptionError, "cannot be combined"),
        (lambda: Conv2D(4, 3, padding="causal"), OptionError, "padding must be one of"),
        (lambda: SeparableConv2D(4, 3, padding="causal"), OptionError, "padding must be one of"),
        (lambda: Conv2D(4, 3, data_format="channels_first"), OptionError, "channels are the last axis"),
        (lambda: Conv2D(4, (3, 3, 3)), OptionError, "one number or 2"),
        (lambda: Conv2D(4, 0), OptionError, "kernel_size must be"),
        (lambda: Conv2D(0, 3), OptionError, "filters must be"),
        (lambda: Conv2D(4, 3, strides=(1, 0)), OptionError, "strides must be"),
        (lambda: Conv2DTranspose(4, 3, strides=2, output_padding=2), OptionError, "smaller than strides"),
        (lambda: Conv2D(4, 3, dtype="float64"), OptionError, "dtype of the model"),
    ],
)
def test_bad_input_is_refused_with_advice(make, error, words):
    with pytest.raises(error, match=words):
        make()
