"""Prediction in fewer passes: what the layers give one by one, to rounding, and never out of date."""

from __future__ import annotations

import numpy as np
import pytest
from walks import walk

import nnx
from nnx.backend import columns, loops, namespace, numpy_ending, to_numpy
from nnx.layers import (
    Activation,
    BatchNormalization,
    Conv1D,
    Conv2D,
    Conv2DTranspose,
    Conv3D,
    Dense,
    DepthwiseConv1D,
    DepthwiseConv2D,
    Dropout,
    ReLU,
    SeparableConv2D,
)

RNG = np.random.default_rng(0)
#: products, and the shape of a sample that they take
PRODUCTS = {
    "dense": (Dense(5), (4,)),
    "dense of steps, no bias": (Dense(5, use_bias=False), (3, 4)),
    "conv1d": (Conv1D(5, 3, padding="causal"), (9, 4)),
    "conv2d": (Conv2D(5, 3), (6, 7, 4)),
    "conv2d, no bias": (Conv2D(5, 3, padding="same", use_bias=False), (6, 7, 4)),
    "conv2d, strided groups": (Conv2D(6, 3, strides=2, groups=2), (6, 7, 4)),
    "conv2d of winograd": (Conv2D(64, 3, padding="same"), (8, 8, 64)),
    "pointwise": (Conv2D(5, 1), (6, 7, 4)),
    "conv3d": (Conv3D(3, 2, dilation_rate=2), (4, 4, 4, 2)),
    "depthwise": (DepthwiseConv2D(3, padding="same"), (6, 7, 16)),
    "depthwise, strided": (DepthwiseConv2D(3, strides=2, use_bias=False), (6, 7, 16)),
    "depthwise, multiplied": (DepthwiseConv1D(3, depth_multiplier=2), (9, 4)),
    "separable": (SeparableConv2D(5, 3), (6, 7, 4)),
    "transposed": (Conv2DTranspose(5, 3, strides=2), (4, 3, 2)),
}
NORMALIZATIONS = {
    "plain": {},
    "no scale": {"scale": False, "epsilon": 0.1},
    "no center": {"center": False},
    "neither": {"scale": False, "center": False, "epsilon": 1e-7},
    "none": None,
}
RECTIFIERS = {
    "relu": lambda: [Activation("relu")],
    "relu6": lambda: [Activation("relu6")],
    "cut off": lambda: [ReLU(max_value=0.5)],
    "before dropout": lambda: [Activation("relu"), Dropout(0.5)],
    "none": list,
}
CASES = [
    *((p, n, "cut off") for p in PRODUCTS for n in ("plain", "none")),
    *((p, n, "relu") for p in ("dense", "conv2d, no bias") for n in NORMALIZATIONS),
    *(("conv2d", n, r) for n in ("plain", "none") for r in RECTIFIERS),
]


def network(product, normalization, rectifier, **options):
    layer, shape = PRODUCTS[product]
    how = NORMALIZATIONS[normalization]
    norm = [] if how is None else [BatchNormalization(**how)]
    layers = [nnx.Input(shape), layer.duplicate(), *norm, *RECTIFIERS[rectifier]()]
    return shaken(nnx.Sequential(layers, **options))


def shaken(model):
    """The model with random weights, outputs of about 1; variances are positive."""
    names = [name for layer in model.layers for name in layer.weight_names]
    model.set_weights([_random(n, w.shape) for n, w in zip(names, model.get_weights(), strict=True)])
    return model


def _random(name, shape):
    if name == "moving_variance":
        return RNG.uniform(0.5, 2.0, shape)
    return RNG.normal(size=shape) / np.sqrt(np.prod(shape[:-1]))


def kinds(model):
    return [type(step.part).__name__ for step in model._weights.predicting.steps]


def one_by_one(model, x):
    """What the layers give one after the other: the program that is differentiated."""
    weights = model._weights
    return to_numpy(weights.program.predict(weights.own_params, [x])[0])


def assert_near(mine, wanted, dtype):
    """To a few roundings of what is cut off at the largest entry: the order of the products is another."""
    tolerance = {"float64": 1e-13, "float32": 1e-5}[dtype]
    assert mine.shape == wanted.shape and mine.dtype == wanted.dtype
    assert np.max(np.abs(mine - wanted)) <= tolerance * np.max(np.abs(wanted))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@walk("product, normalization, rectifier", CASES)
def test_prediction_is_that_of_the_layers_one_after_the_other(
    product, normalization, rectifier, dtype, backend
):
    model = network(product, normalization, rectifier, dtype=dtype, backend=backend)
    x = backend.asarray(RNG.normal(size=(3, *PRODUCTS[product][1])), dtype=dtype)
    found = to_numpy(model.predict(x))
    assert_near(found, one_by_one(model, x), dtype)
    first = ["DepthwiseFirst"] if product == "separable" else []
    alone = (normalization, rectifier) == ("none", "none")
    assert kinds(model) == [*first, "Convolving" if alone else "Ended"]


@walk("product, normalization, rectifier", CASES)
def test_compiled_loops_end_as_numpys_do(product, normalization, rectifier, monkeypatch):
    pytest.importorskip("numba", exc_type=ImportError)
    x = RNG.normal(size=(3, *PRODUCTS[product][1]))
    for dtype in ("float32", "float64"):
        model, found = network(product, normalization, rectifier, dtype=dtype), []
        for name, value in (("WORTH_COMPILING", 0), ("compiled", lambda name: None)):
            with monkeypatch.context() as patched:
                patched.setattr(loops, name, value)
                found.append(model.predict(x.astype(dtype)))
        assert_near(*found, dtype)


@pytest.fixture(params=["NumPy", "Numba"])
def numba(request, monkeypatch):
    """Without compiled loops, and with them even for the smallest arrays."""
    if request.param == "NumPy":
        monkeypatch.setattr(loops, "compiled", lambda name: None)
    else:
        pytest.importorskip("numba", exc_type=ImportError)
        monkeypatch.setattr(loops, "WORTH_COMPILING", 0)


def test_the_formula_of_a_dense_layer_that_is_normalized():
    model = network("dense", "plain", "cut off", dtype="float64")
    x = RNG.normal(size=(7, 4))
    kernel, bias, gamma, beta, mean, variance = model.get_weights()
    y = np.clip((x @ kernel + bias - mean) / np.sqrt(variance + 1e-3) * gamma + beta, 0.0, 0.5)
    np.testing.assert_allclose(model.predict(x), y, rtol=1e-13, atol=1e-14)
    assert 0.0 < np.mean(y == 0.5) < np.mean(y > 0.0) < 1.0  # all three pieces occur


@pytest.mark.parametrize("product", ["dense", "conv2d", "depthwise", "conv2d of winograd", "transposed"])
def test_nan_stays_and_infinities_are_cut_off(product, numba):
    weights = network(product, "plain", "cut off", dtype="float64")._settled()
    params, x = weights.own_params, RNG.normal(size=(2, *PRODUCTS[product][1]))
    for number in (np.nan, np.inf):
        x[0, ..., 0] = number
        with np.errstate(invalid="ignore"):
            (found,), (wanted,) = (
                program.predict(params, [x]) for program in (weights.predicting, weights.program)
            )
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-13)
        assert np.isfinite(found[1]).all()
        assert np.isnan(found[0]).any() or number == np.inf  # of which a dense layer makes no NaN


# -- with another array added, as at the end of a residual block ----------------------------------------

SUMS = {
    "dense": (Dense(4), (4,)),
    "dense of steps": (Dense(4), (3, 4)),
    "pointwise": (Conv2D(4, 1), (6, 7, 4)),
    "conv2d of winograd": (Conv2D(64, 3, padding="same"), (8, 8, 64)),
    "depthwise": (DepthwiseConv2D(3, padding="same"), (6, 7, 16)),
    "transposed": (Conv2DTranspose(4, 3, padding="same"), (6, 7, 4)),
}
ORDERS = {"first": lambda x, y: y + x, "second": lambda x, y: x + y}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@walk("product, normal, order", [(p, n, o) for p in SUMS for n in (True, False) for o in ORDERS])
def test_a_residual_block_ends_in_one(product, normal, order, dtype, backend):
    layer, shape = SUMS[product]
    x = nnx.Input(shape)
    y = layer.duplicate()(x)
    y = ORDERS[order](x, BatchNormalization()(y) if normal else y)
    model = shaken(nnx.Model(x, ReLU()(y), dtype=dtype, backend=backend))
    given = backend.asarray(RNG.normal(size=(3, *shape)), dtype=dtype)
    assert_near(to_numpy(model.predict(given)), one_by_one(model, given), dtype)
    assert kinds(model) == ["Ended"]


@pytest.mark.parametrize("shared", [1, 3])
@walk("product", SUMS)
def test_large_residual_blocks_are_shared_by_the_cores(product, shared, numba, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", str(shared))
    monkeypatch.setattr(numpy_ending, "_WORTH_SHARING", 64)
    monkeypatch.setattr(columns, "PRODUCTS", 2000)
    layer, shape = SUMS[product]
    x = nnx.Input(shape)
    y = BatchNormalization()(layer.duplicate()(x)) + x
    model = shaken(nnx.Model(x, ReLU()(y), dtype="float64"))
    given = RNG.normal(size=(6, *shape))
    assert_near(model.predict(given), one_by_one(model, given), "float64")


def test_sums_that_stretch_an_array_or_have_three_terms(backend):
    x, row, scalar = nnx.Input((6, 5, 3)), nnx.Input((1, 5, 3)), nnx.Input((3,))
    for others in ((row,), (scalar,), (row, x)):
        y = nnx.layers.Add()([*others, BatchNormalization()(Conv2D(3, 3, padding="same")(x))])
        model = shaken(nnx.Model([x, row, scalar], ReLU()(y), dtype="float64", backend=backend))
        given = [backend.asarray(RNG.normal(size=(2, *s.shape)), dtype="float64") for s in (x, row, scalar)]
        found, weights = to_numpy(model.predict(given)), model._weights
        wanted = to_numpy(weights.program.predict(weights.own_params, given)[0])
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-13)
        assert len(kinds(model)) == (1 if len(others) == 1 else 3)


# -- what stays apart ----------------------------------------------------------------------------------


def read_twice(x):
    y = Dense(4)(x)
    return BatchNormalization()(y) + y


def an_output(x):
    y = Dense(4)(x)
    return [y, BatchNormalization()(y)]


def penalized(x):
    return BatchNormalization()(Dense(4, activity_regularizer="l2")(x))


def activated(x):
    return BatchNormalization()(Dense(4, "tanh")(x))


def along_another_axis(x):
    return BatchNormalization(axis=1)(Dense(4)(x))


def masked(x):
    return BatchNormalization()(Dense(4)(nnx.layers.Masking()(x)))


def rectified_before(x):
    return BatchNormalization()(Dense(4, "relu")(x))


def leaking(x):
    return ReLU(negative_slope=0.1)(Dense(4)(x))


def with_a_threshold(x):
    return ReLU(threshold=0.1)(Dense(4)(x))


@nnx.layers.register()
class Own(BatchNormalization):
    """A normalization that does something else."""

    def forward(self, p, x, context, mask=None):
        y, changes = super().forward(p, x, context, mask)
        return 2.0 * y, changes


def of_an_own_class(x):
    return Own()(Dense(4)(x))


APART = {
    read_twice: 0, an_output: 0, penalized: 0, activated: 0, along_another_axis: 0, masked: 0,
    rectified_before: 1, leaking: 0, with_a_threshold: 0, of_an_own_class: 0,
}  # fmt: skip


@walk("make, together", APART.items(), ids=lambda pair: pair[0].__name__)
def test_pairs_that_are_more_than_a_pair_stay_two(make, together):
    x = nnx.Input((3, 5))
    model = shaken(nnx.Model(x, make(x), dtype="float64"))
    given = RNG.normal(size=(2, 3, 5))
    given[0, 1] = 0.0
    found = model.predict(given)
    assert kinds(model).count("Ended") == together
    wanted = model._weights.program.predict(model._weights.own_params, [given])
    for mine, other in zip(found if isinstance(found, list) else [found], wanted, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-13, atol=1e-14)


def test_a_layer_with_two_normalizations_of_its_own_and_a_shared_one():
    """A dense layer that is called twice, with a normalization each; and one normalization of two layers."""
    x = nnx.Input((5,))
    dense, shared = Dense(5), BatchNormalization()
    y = BatchNormalization()(dense(x)) + BatchNormalization()(dense(x))
    y = shared(Dense(4)(y)) + shared(Dense(4)(y))
    model = shaken(nnx.Model(x, y, dtype="float64"))
    given = RNG.normal(size=(6, 5))
    found = model.predict(given)
    assert kinds(model) == ["Ended"] * 4
    np.testing.assert_allclose(found, one_by_one(model, given), rtol=1e-13, atol=1e-14)


# -- nothing is out of date, nothing else changes ------------------------------------------------------


def small():
    layers = [
        Conv2D(6, 3),
        BatchNormalization(momentum=0.5),
        ReLU(),
        nnx.layers.Flatten(),
        Dense(3),
        Dropout(0.3),
    ]
    model = nnx.Sequential([nnx.Input((6, 6, 2)), *layers, Activation("softmax")], dtype="float64", seed=1)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


X, CLASSES = RNG.normal(size=(40, 6, 6, 2)), np.arange(40) % 3


def test_prediction_follows_weights_and_moments():
    model = small()
    seen = [model.predict(X)]
    for change in (
        lambda: model.fit(X, CLASSES, epochs=1, verbose=0),
        lambda: model.set_weights([w + 0.1 for w in model.get_weights()]),
        lambda: model.layers[1].set_weights([1.5 + w for w in model.layers[1].get_weights()]),
        lambda: model.fit(X, CLASSES, epochs=2, verbose=0),
    ):
        change()
        seen.append(model.predict(X))
        np.testing.assert_allclose(seen[-1], model(X), rtol=1e-12)
        assert np.abs(seen[-1] - seen[-2]).max() > 1e-4


def test_evaluation_is_that_of_the_outputs():
    model = small()
    model.fit(X, CLASSES, epochs=2, verbose=0)
    p = np.asarray(model(X))
    loss, accuracy = model.evaluate(X, CLASSES, verbose=0, batch_size=16)
    assert loss == pytest.approx(-np.mean(np.log(p[np.arange(40), CLASSES])), rel=1e-12)
    assert accuracy == np.mean(p.argmax(axis=1) == CLASSES)
    steps = model._objective.predicting.steps
    assert [type(step.part).__name__ for step in steps[:1]] == ["Ended"]


def test_what_is_saved_and_loaded_predicts_the_same(tmp_path):
    model = small()
    model.fit(X, CLASSES, epochs=1, verbose=0)
    model.save(tmp_path / "model.safetensors")
    again = nnx.load_model(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


def test_features_of_a_layer_inside():
    model = small()
    features = nnx.Model(model.inputs, [layer.output for layer in model.layers[:3]], dtype="float64")
    conv, normal, positive = features.predict(X)
    np.testing.assert_allclose(conv, model.layers[0](X), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(positive, np.maximum(normal, 0.0), rtol=1e-12, atol=1e-13)
    assert normal.min() < 0.0


def test_arrays_of_a_transform_have_the_derivatives_of_the_layers(backend):
    model = network("conv2d", "plain", "cut off", dtype="float64", backend=backend)
    weights = model._settled()
    x = backend.asarray(RNG.normal(size=(2, 6, 7, 4)), dtype="float64")
    params = weights.own_params

    def cost(program):
        def f(x, kernel, gamma):
            p = {**params[0], "kernel": kernel}, {**params[1], "gamma": gamma}, *params[2:]
            y = program.predict(p, [x])[0]
            return namespace(y).sum(y * y)

        return f

    at = x, params[0]["kernel"], params[1]["gamma"]
    mine, wanted = (
        nnx.grad(cost(program), argnums=(0, 1, 2))(*at) for program in (weights.predicting, weights.program)
    )
    for a, b in zip(mine, wanted, strict=True):
        np.testing.assert_allclose(to_numpy(a), to_numpy(b), rtol=1e-12, atol=1e-13)
        assert np.abs(to_numpy(a)).max() > 0.0


@pytest.mark.parametrize(
    "layers, shape",
    [
        ([Dense(5, "tanh"), BatchNormalization(), Dense(2, "softmax")], (3,)),
        ([nnx.layers.LSTM(4, return_sequences=True), nnx.layers.GRU(3)], (6, 2)),
        ([nnx.layers.Masking(), nnx.layers.SimpleRNN(3)], (5, 2)),
    ],
)
def test_predictions_are_replayed_with_the_same_bits(layers, shape, monkeypatch):
    from nnx.jitting import replayed

    monkeypatch.setattr(replayed, "BEFORE", 2)
    model = nnx.Sequential([nnx.Input(shape), *layers], seed=1)
    x = np.random.default_rng(0).normal(size=(44, *shape))
    x[::3, 1] = 0.0
    replays = model.predict(x, batch_size=4, verbose=0)
    recorded = model._weights._predicted
    assert recorded.programs and not recorded.reason
    model.set_weights([0.5 * w for w in model.get_weights()])  # programs read the weights as they are
    monkeypatch.setattr(replayed, "BEFORE", 10**9)
    plain = nnx.Sequential([nnx.Input(shape), *nnx.models.clone_model(model).layers], seed=1)
    plain.set_weights([2.0 * w for w in model.get_weights()])
    np.testing.assert_array_equal(replays, plain.predict(x, batch_size=4, verbose=0))
    plain.set_weights(model.get_weights())
    np.testing.assert_array_equal(
        model.predict(x, batch_size=4, verbose=0), plain.predict(x, batch_size=4, verbose=0)
    )


def test_a_users_own_layer_is_called_for_every_batch():
    calls = []

    def counted(x):
        calls.append(len(x))
        return x * 2.0

    model = nnx.Sequential([nnx.Input((2,)), nnx.layers.Lambda(counted)])
    calls.clear()
    model.predict(np.ones((100, 2)), batch_size=1, verbose=0)
    assert calls.count(1) == 100
