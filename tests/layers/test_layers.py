"""A contract for every layer in the registry, and what each one computes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from layers.sequence_examples import SEQUENCES
from layers.spatial_examples import SPATIAL

import nnx
from nnx.applications.inception_resnet_v2 import CustomScaleLayer
from nnx.backend import namespace, to_numpy
from nnx.layers import (
    ELU,
    Activation,
    ActivityRegularization,
    Add,
    AdditiveAttention,
    Attention,
    Average,
    BatchNormalization,
    Concatenate,
    Context,
    Conv1D,
    Conv1DTranspose,
    Conv2D,
    Conv2DTranspose,
    Conv3D,
    Conv3DTranspose,
    Dense,
    DepthwiseConv1D,
    DepthwiseConv2D,
    Dot,
    Dropout,
    Flatten,
    GaussianNoise,
    GroupNormalization,
    GroupQueryAttention,
    Identity,
    Lambda,
    Layer,
    LayerNormalization,
    LeakyReLU,
    Maximum,
    Maxout,
    Minimum,
    MultiHeadAttention,
    Multiply,
    Permute,
    PReLU,
    ReLU,
    Rescaling,
    Reshape,
    RMSNormalization,
    SeparableConv1D,
    SeparableConv2D,
    Softmax,
    Spec,
    Subtract,
    UnitNormalization,
    Weight,
)
from nnx.layers.dense import affine
from nnx.layers.dropout import relu_dropout
from nnx.models.compiling import compiled
from nnx.models.network import Call, Network
from nnx.registry import from_config, to_config

#: An example of every registered layer, with a shape of samples that it takes.
EXAMPLES = {
    "additive_attention": (AdditiveAttention(), ((2, 3), (4, 3))),
    "attention": (Attention(use_scale=True, score_mode="concat"), ((2, 3), (4, 3))),
    "group_query_attention": (GroupQueryAttention(2, 4, 2), ((3, 2), (2, 2))),
    "multi_head_attention": (MultiHeadAttention(2, 2, dropout=0.2, use_gate=True), ((2, 3), (4, 2))),
    "activity_regularization": (ActivityRegularization(0.1, 0.2), (3,)),
    "dot": (Dot((1, 2), normalize=True), ((3, 2), (4, 3))),
    "identity": (Identity(), (3,)),
    "lambda": (Lambda(nnx.activations.tanh), ((3,),)),
    "activation": (Activation("tanh"), (3,)),
    "add": (Add(), ((3,), (2, 3))),
    "average": (Average(), ((3,), (3,), (3,))),
    "batch_normalization": (BatchNormalization(), (3,)),
    "concatenate": (Concatenate(axis=1), ((2, 3), (1, 3))),
    "conv1d": (Conv1D(2, 2, padding="causal", activation="tanh"), (4, 2)),
    "conv1d_transpose": (Conv1DTranspose(2, 3, strides=2, padding="same"), (3, 2)),
    "conv2d": (Conv2D(2, (2, 3), strides=(2, 1), padding="same", groups=2), (4, 3, 2)),
    "conv2d_transpose": (Conv2DTranspose(2, (2, 1), activation="tanh"), (2, 2, 3)),
    "conv3d": (Conv3D(1, 2, dilation_rate=(1, 2, 1), use_bias=False), (2, 3, 2, 2)),
    "conv3d_transpose": (Conv3DTranspose(1, (1, 2, 1), strides=(1, 1, 2)), (1, 2, 2, 2)),
    "custom_scale_layer": (CustomScaleLayer(0.5), ((3,), (3,))),
    "dense": (Dense(4, "tanh"), (3,)),
    "depthwise_conv1d": (DepthwiseConv1D(2, depth_multiplier=2, activation="tanh"), (4, 2)),
    "depthwise_conv2d": (DepthwiseConv2D(2, padding="same", use_bias=False), (3, 2, 2)),
    "dropout": (Dropout(0.4), (5,)),
    "elu": (ELU(0.5), (3,)),
    "flatten": (Flatten(), (2, 3)),
    "gaussian_noise": (GaussianNoise(0.3), (4,)),
    "group_normalization": (GroupNormalization(2), (3, 4)),
    "layer_normalization": (LayerNormalization(), (2, 4)),
    "leaky_re_lu": (LeakyReLU(0.1), (3,)),
    "maximum": (Maximum(), ((3,), (3,))),
    "maxout": (Maxout(4, pieces=3), (3,)),
    "minimum": (Minimum(), ((3,), (3,))),
    "multiply": (Multiply(), ((3,), (3,))),
    "permute": (Permute((2, 1)), (2, 3)),
    "pre_lu": (PReLU("ones"), (3,)),
    "re_lu": (ReLU(max_value=1.0, negative_slope=0.1), (3,)),
    "rescaling": (Rescaling(0.5, 1.0), (3,)),
    "reshape": (Reshape((3, -1)), (2, 3)),
    "rmsnormalization": (RMSNormalization(), (4,)),
    "softmax": (Softmax(), (3,)),
    "subtract": (Subtract(), ((3,), (3,))),
    **SEQUENCES,
    "unit_normalization": (UnitNormalization(), (4,)),
    "separable_conv1d": (SeparableConv1D(3, 2), (3, 2)),
    "separable_conv2d": (SeparableConv2D(2, 2, depth_multiplier=2, activation="softmax"), (3, 2, 2)),
    **SPATIAL,
}
NAMES = [entry.name for entry in nnx.layers.registry if entry.target.__module__.startswith("nnx.")]


def shapes_of(layer, shape):
    """The shapes of the inputs of an example: one, or several for a layer that joins them."""
    return (shape,) if layer.arity == 1 else shape


def inputs(layer, shape, draw):
    return tuple(map(draw, shapes_of(layer, shape)))


def run_of(layer, context):
    """The layer's (first) output as a function of weights and inputs, with the random numbers of a step."""

    def f(p, *xs):
        y = layer.forward(p, *xs, context) if layer.random or layer.stateful else layer.forward(p, *xs)
        y = y[0] if layer.stateful else y
        return y[0] if isinstance(y, tuple) else y

    return f


def run(layer, shape, backend, training=False):
    spec = layer.spec(*shapes_of(layer, shape))
    random = np.random.default_rng(0)
    p = {w.name: backend.asarray(random.standard_normal(w.shape), dtype="float64") for w in spec.weights}
    x = inputs(layer, shape, lambda s: backend.asarray(random.standard_normal((6, *s)), dtype="float64"))
    f = run_of(layer, Context(training=training, seed=3, step=2))
    return (spec, p, x, f) if len(x) > 1 else (spec, p, x[0], f)


@pytest.mark.parametrize("name", NAMES)
def test_contract(name, backend):
    layer, shape = EXAMPLES[name]
    spec, p, x, f = run(layer, shape, backend, training=True)
    xs = x if isinstance(x, tuple) else (x,)
    y = f(p, *xs)
    assert tuple(y.shape) == (6, *spec.output_shape)
    assert y.dtype == xs[0].dtype
    assert nnx.backend.device_of(y) == nnx.backend.device_of(xs[0])
    nnx.check_derivatives(f, p, *xs)
    # with frozen randomness a layer is a function: the same step gives the same output
    np.testing.assert_array_equal(to_numpy(f(p, *xs)), to_numpy(y))
    again = from_config(to_config(layer))
    assert type(again) is type(layer)
    assert again.get_config() == layer.get_config()
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()


@pytest.mark.parametrize("name", NAMES)
def test_parts_are_the_layer(name, backend):
    """The program of a layer's parts gives the bits of the layer's own forward."""
    layer, shape = EXAMPLES[name]
    _, p, x, f = run(layer, shape, backend, training=True)
    xs = x if isinstance(x, tuple) else (x,)
    shapes = shapes_of(layer, shape)
    calls = (Call(0, tuple(range(len(shapes)))),)
    program = compiled(Network((layer,), shapes, calls, (len(shapes),)))
    ran = program.run((p,), xs, Context(training=True, seed=3, step=2))
    np.testing.assert_array_equal(to_numpy(ran.outputs[0]), to_numpy(f(p, *xs)))


def test_every_layer_of_the_lectures_is_registered():
    wanted = {
        "dense",
        "activation",
        "dropout",
        "gaussian_noise",
        "flatten",
        "reshape",
        "permute",
        "maxout",
        "pre_lu",
    }
    assert wanted | {"rescaling"} <= set(NAMES)
    assert set(NAMES) == set(EXAMPLES)


def test_affine_is_its_plain_body_and_bp2_to_bp4(backend):
    arrays = [np.random.default_rng(i).standard_normal(s) for i, s in enumerate([(5, 3), (3, 2), (2,)])]
    x, k, b = (backend.asarray(a, dtype="float64") for a in arrays)

    def second(f):
        def loss(x, k, b):
            y = f(x, k, b)
            return namespace(y).sum(y * y * y)

        grads = nnx.grad(loss, argnums=(0, 1, 2))(x, k, b)
        hvps = nnx.jvp(nnx.grad(loss, argnums=(0, 1, 2)), (x, k, b), (x, k, b))[1]
        return [*grads, *hvps]

    for a, c in zip(second(affine), second(affine.plain), strict=True):
        np.testing.assert_allclose(to_numpy(a), to_numpy(c), rtol=1e-12)
    for moved in ((0,), (1,), (2,), (0, 2), (0, 1, 2)):  # tangents have a rule of their own, for those given

        def pushed(f, moved=moved):
            def of_some(*some):
                return f(*(some[moved.index(i)] if i in moved else a for i, a in enumerate((x, k, b))))

            some = tuple((x, k, b)[i] for i in moved)
            return to_numpy(nnx.jvp(of_some, some, some)[1])

        np.testing.assert_allclose(pushed(affine), pushed(lambda x, k, b: x @ k + b), rtol=1e-13)
    delta = np.random.default_rng(9).standard_normal((5, 2))
    gx, gk, gb = nnx.vjp(affine, x, k, b)[1](backend.asarray(delta, dtype="float64"))
    np.testing.assert_allclose(to_numpy(gx), delta @ arrays[1].T, rtol=1e-13)
    np.testing.assert_allclose(to_numpy(gk), arrays[0].T @ delta, rtol=1e-13)
    np.testing.assert_allclose(to_numpy(gb), delta.sum(axis=0), rtol=1e-13)


def test_dense_on_more_than_two_axes(backend):
    layer = Dense(4)
    spec, p, x, f = run(layer, (2, 3), backend)
    assert spec.output_shape == (2, 4)
    expected = to_numpy(x) @ to_numpy(p["kernel"]) + to_numpy(p["bias"])
    np.testing.assert_allclose(to_numpy(f(p, x)), expected, rtol=1e-13)


def test_maxout_takes_the_largest_piece(backend):
    _, p, x, f = run(Maxout(2, pieces=3), (4,), backend)
    z = to_numpy(x) @ to_numpy(p["kernel"]) + to_numpy(p["bias"])
    np.testing.assert_allclose(to_numpy(f(p, x)), z.reshape(6, 2, 3).max(axis=-1), rtol=1e-13)


def test_dropout_keeps_the_mean_and_scales(backend):
    x = backend.asarray(np.ones((200, 500)), dtype="float32")
    y = to_numpy(Dropout(0.2).forward({}, x, Context(training=True, seed=1)))
    assert set(np.unique(y)) == {np.float32(0.0), np.float32(1.25)}
    # 100 000 draws: the standard deviation of the kept share is 0.0013
    assert abs((y > 0).mean() - 0.8) < 0.006
    other = to_numpy(Dropout(0.2).forward({}, x, Context(training=True, seed=1, step=1)))
    assert np.any(other != y)
    np.testing.assert_array_equal(to_numpy(Dropout(0.2).forward({}, x, Context())), np.ones((200, 500)))


def test_gaussian_noise_has_its_deviation(backend):
    x = backend.asarray(np.zeros((100, 400)), dtype="float64")
    y = to_numpy(GaussianNoise(0.5).forward({}, x, Context(training=True, seed=1)))
    assert abs(y.std() - 0.5) < 0.01
    assert abs(y.mean()) < 0.01


def test_the_slope_of_nan_is_nan_in_layers_made_of_pieces_too(backend):
    x = backend.asarray([[np.nan, 2.0, -1.0]], dtype="float32")
    alpha = backend.asarray([0.5, 0.5, 0.5], dtype="float32")
    _, pullback = nnx.vjp(lambda x: PReLU().forward({"alpha": alpha}, x), x)
    np.testing.assert_array_equal(to_numpy(pullback(backend.xp.ones_like(x))[0]), [[np.nan, 1.0, 0.5]])
    context = Context(training=True, seed=1)
    both = relu_dropout(Activation("relu"), Dropout(0.5))
    y, pullback = nnx.vjp(lambda x: both.forward({}, x, context), x)
    slope = to_numpy(pullback(backend.xp.ones_like(x))[0])
    assert np.isnan(to_numpy(y)[0, 0]) and np.isnan(slope[0, 0])
    assert slope[0, 1] in (0.0, 2.0) and slope[0, 2] == 0.0


def test_prelu_shares_its_slope_along_axes():
    assert PReLU(shared_axes=(1,)).spec((4, 3)).weights[0].shape == (1, 3)
    y = PReLU().forward({"alpha": np.asarray([0.1, 0.2])}, np.asarray([[-1.0, 2.0], [3.0, -4.0]]))
    np.testing.assert_allclose(y, [[-0.1, 2.0], [3.0, -0.8]])


@pytest.mark.parametrize("module", [nnx.constraints, nnx.regularizers, nnx.initializers])
def test_lower_case_names_make_and_compute_as_in_keras(module):
    for entry in module.registry:
        function, maker = getattr(module, entry.name), getattr(module, entry.class_name)
        assert function() == maker() == module.get(function) == module.get(maker) == module.get(entry.name)
        if entry.options:
            n = 0 if entry.name == "random_uniform" else 1  # its first option is the lower of two bounds
            options = {entry.options[0]: n}
            assert function(n) == function(np.int64(n)) == function(**options) == maker(n)
        if module is not nnx.initializers:
            w = np.asarray([[3.0, -4.0]])
            np.testing.assert_array_equal(function(w), maker()(w))
            np.testing.assert_array_equal(function(w=w), maker()(w))
    with pytest.raises(nnx.errors.OptionError, match="no argument 'size'"):
        nnx.constraints.max_norm(size=3)
    np.testing.assert_array_equal(
        nnx.initializers.constant((2,), value=0.5), nnx.initializers.constant(0.5)((2,))
    )


@dataclass(frozen=True)
class Quadratic(Layer):
    units: int = 2
    scale: float = field(default=1.0)

    def spec(self, input_shape):
        return Spec((self.units,), (Weight("a", (input_shape[-1], self.units), nnx.initializers.Ones()),))

    def forward(self, p, x):
        return self.scale * (x @ p["a"]) ** 2


def test_a_layer_of_ones_own(tmp_path):
    model = nnx.Sequential([Quadratic(3, input_shape=(2,)), Dense(1)])
    assert model.predict(np.ones((1, 2), dtype="float32")).shape == (1, 1)
    model.compile("sgd", "mse")
    model.fit(np.ones((8, 2)), np.ones(8), verbose=0)
    with pytest.raises(nnx.errors.OptionError, match="not registered"):
        model.save(tmp_path / "m.safetensors")
    nnx.layers.register()(Quadratic)
    model.save(tmp_path / "m.safetensors")
    assert nnx.load_model(tmp_path / "m.safetensors").layers[0].units == 3


@pytest.mark.parametrize("wrong", ["no", None, 2, [True]])
def test_what_is_neither_true_nor_false_is_refused(wrong):
    for make in (
        lambda: Dense(2, use_bias=wrong),
        lambda: Maxout(2, use_bias=wrong),
        lambda: Dense(2, trainable=wrong),
        lambda: Dropout(0.5, trainable=wrong),
    ):
        with pytest.raises(nnx.errors.OptionError, match="must be True or False"):
            make()
    assert Dense(2, use_bias=np.bool_(False)).use_bias is False
