"""Layers in no model, and layers whose class has an ``__init__`` of its own."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import nnx
from nnx.backend import namespace
from nnx.errors import DtypeError, ShapeError
from nnx.layers import Dense, Layer

X = np.random.default_rng(0).normal(size=(32, 6)).astype("float32")
WAYS = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda thing: pickle.loads(pickle.dumps(thing)),
}


@pytest.fixture(params=WAYS)
def way(request):
    return WAYS[request.param]


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)  # float32, sums in another order


def test_a_layer_without_a_model_has_weights_from_its_first_call(way):
    layer = Dense(2, "tanh")
    assert layer.get_weights() == []
    y = layer(X)
    close(y, np.tanh(X @ layer.kernel + layer.bias))
    assert len(layer.trainable_weights) == 2
    layer.trainable = False
    assert layer.trainable_weights == []
    layer.bias = np.asarray([1.0, 2.0])
    other = way(layer)
    layer.kernel = np.zeros((6, 2))
    close(layer(X), np.tanh(np.broadcast_to([1.0, 2.0], (32, 2))))
    close(other(X), np.tanh(X @ other.kernel + [1.0, 2.0]))
    model = nnx.Sequential([nnx.Input((6,)), layer])
    assert not model.layers[0].kernel.any()
    assert not layer.trainable


def test_arrays_of_every_library_go_through_a_layer(backend):
    layer = Dense(2, "tanh")
    x = backend.asarray(X, dtype="float64")
    y = layer(x)
    assert y.dtype == x.dtype
    assert nnx.backend.device_of(y) == nnx.backend.device_of(x)
    close(nnx.to_numpy(y), np.tanh(X @ layer.kernel + layer.bias))
    f = nnx.grad(lambda x: namespace(x).sum(layer(x)))
    assert f(x).shape == x.shape


@pytest.mark.parametrize("given", [np.arange(12).reshape(2, 6), np.ones((2, 6), dtype=bool)])
def test_whole_numbers_are_converted_and_not_the_weights(given):
    layer = Dense(3)
    close(layer(given), given.astype("float32") @ layer.kernel)


@pytest.mark.parametrize("given", [None, 3.0, "text", [1.0, 2.0], {"a": X}, np.float32(3.0)], ids=repr)
def test_what_is_no_batch_is_refused_by_a_layer_and_by_a_model(given):
    for called in (Dense(1), nnx.Sequential([Dense(1)])):
        with pytest.raises((ShapeError, DtypeError), match=r"Dense|Sequential"):
            called(given)


def test_a_layer_called_on_other_shapes_says_which_weights_it_has():
    layer = Dense(1)
    layer(X)
    with pytest.raises(ShapeError, match=r"\(6, 1\).*samples of shape \(4,\)"):
        layer(X[:, :4])
    in_model = nnx.Sequential([nnx.Input((6,)), Dense(8)]).layers[0]
    with pytest.raises(ShapeError, match=r"\(6, 8\).*samples of shape \(4,\)"):
        in_model(X[:, :4])


def test_arguments_of_other_numbers_are_counted():
    with pytest.raises(ShapeError, match="takes 1 input, got 0"):
        Dense(1)()
    with pytest.raises(ShapeError, match="takes 2 input, got 3"):
        nnx.layers.Subtract()(X, X, X)
    with pytest.raises(ShapeError, match="at least one input"):
        nnx.layers.Add()([])


# -- layers with a hand-written __init__ ---------------------------------------------------------------


class Leak(Layer):
    def __init__(self, slope=0.1, **options):
        super().__init__(**options)
        self.slope = slope

    def forward(self, p, x):
        return namespace(x).where(x > 0, x, self.slope * x)


class WithoutOptions(Leak):
    def __init__(self, slope=0.1):
        super().__init__()
        self.slope = slope


class WithoutSuper(Leak):
    def __init__(self, slope=0.1):
        self.slope = slope


class AttributesFirst(Leak):
    def __init__(self, slope, **options):
        self.slope, self.kept = slope, [1, 2]
        Layer.__init__(self, **options)


class Needed(Leak):
    def __init__(self, slope, **options):
        super().__init__(slope, **options)


@pytest.mark.parametrize("kind", [Leak, WithoutOptions, WithoutSuper, AttributesFirst, Needed])
def test_layers_with_an_init_keep_their_options(kind, way):
    layer = kind(0.5)
    model = nnx.Sequential([nnx.Input((6,)), layer, Dense(1)], seed=1)
    answers = model.predict(X)
    model.trainable = False
    assert not layer.trainable
    layer.trainable = True
    layer.name = "leak"
    np.testing.assert_array_equal(model.predict(X), answers)
    np.testing.assert_array_equal(way(model).predict(X), answers)
    other = way(layer)
    assert (type(other), other.slope, other.name) == (kind, 0.5, "leak")
    assert type(layer).from_config(layer.get_config()).slope == 0.5
    layer.slope = 0.25
    close(model.predict(X), np.where(X > 0, X, 0.25 * X) @ model.layers[1].kernel)


SHORT = {
    "Dense(units=8, activation='tanh', input_shape=(6,))": Dense(8, "tanh", input_shape=(6,)),
    "Dense(units=1, trainable=False)": Dense(1, None, trainable=False),
    "Dropout(rate=0.2, name='noise')": nnx.layers.Dropout(0.2, name="noise"),
    "LeakyReLU()": nnx.layers.LeakyReLU(),
    "Add()": nnx.layers.Add(),
    "Leak(slope=0.5)": Leak(0.5),
}


@pytest.mark.parametrize("text", SHORT)
def test_a_layer_is_shown_by_the_options_that_were_given(text):
    assert repr(SHORT[text]) == text


class Bent(Layer):
    """A layer with a hand-written ``__init__`` that takes nothing of the base class'."""

    def __init__(self, slope=0.1):
        super().__init__()
        self.slope = slope

    def forward(self, p, x):
        return nnx.backend.namespace(x).where(x > 0, x, self.slope * x)


def test_what_is_assigned_to_a_hand_written_layer_is_in_its_configuration(tmp_path):
    layer = Bent(0.5)
    layer.slope = 0.9
    layer.trainable = False
    assert layer.get_config() == {"slope": 0.9, "trainable": False}
    again = Bent.from_config(layer.get_config())
    assert (again.slope, again.trainable) == (0.9, False)
    nnx.layers.register()(Bent)
    model = nnx.Sequential([nnx.Input((2,)), layer])
    model.save(tmp_path / "m.safetensors")
    loaded = nnx.load_model(tmp_path / "m.safetensors").layers[0]
    assert (loaded.slope, loaded.trainable) == (0.9, False)
    np.testing.assert_allclose(model.predict(-np.ones((1, 2))), [[-0.9, -0.9]], rtol=1e-6)


def test_a_wrong_call_of_a_hand_written_class_names_it():
    with pytest.raises(TypeError, match=r"Bent: .*'steep'"):
        Bent(steep=1.0)


def test_a_layer_in_keras_words_is_told_ours():
    class Theirs(Layer):
        def call(self, x):
            return x

    with pytest.raises(NotImplementedError, match=r"Theirs must define forward.*Keras' call is called so"):
        nnx.Sequential([Theirs(input_shape=(2,))]).predict(np.ones((1, 2)))
