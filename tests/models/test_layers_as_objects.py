"""Layers as objects that users hold: what is taken out of a model, put into another, copied, frozen, set."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import nnx
from nnx.errors import DataError, NotBuilt, OptionError, ShapeError
from nnx.layers import Dense, Dropout

X = np.random.default_rng(0).normal(size=(32, 6)).astype("float32")
Y = X[:, :1]
WAYS = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda thing: pickle.loads(pickle.dumps(thing)),
}


@pytest.fixture(params=WAYS)
def way(request):
    return WAYS[request.param]


def trained(backend=None, *layers):
    layers = layers or (Dense(8, "tanh"), Dense(1))
    model = nnx.Sequential([nnx.Input((6,)), *layers], seed=1, backend=backend)
    model.compile("adam", "mse")
    model.fit(X, X[:, : model.output_shape[1]], verbose=0)
    return model


def hidden(model):
    kernel, bias = model.layers[0].get_weights()
    return np.tanh(X @ kernel + bias)


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)  # float32, sums in another order


# -- taken out and put in ------------------------------------------------------------------------------


def by_list(model):
    return nnx.Sequential(model.layers[:-1])


def by_add(model):
    other = nnx.Sequential()
    other.add(model.layers[0])
    return other


def by_pop(model):
    model.pop()
    return nnx.Sequential([model.layers[0]])


def by_popped_layer(model):
    model.pop()
    return nnx.Sequential([nnx.Input((6,)), model.pop()])


def by_name(model):
    return nnx.Sequential([nnx.Input((6,)), model.get_layer("dense")])


def by_symbol(model):
    x = nnx.Input((6,))
    return nnx.Model(x, model.layers[0](x))


def into_an_unbuilt_one(model):
    other = nnx.Sequential([model.layers[0]])
    other.build((6,))
    return other


def into_a_built_one(model):
    other = nnx.Sequential([nnx.Input((6,)), nnx.layers.Rescaling(1.0)])
    other.predict(X)
    other.add(model.layers[0])
    return other


def by_copy(model):
    return nnx.Sequential([nnx.Input((6,)), copy.copy(model.layers[0])])


def by_pickle(model):
    return nnx.Sequential([nnx.Input((6,)), pickle.loads(pickle.dumps(model.layers[0]))])


@pytest.mark.parametrize(
    "taken",
    [
        by_list,
        by_add,
        by_pop,
        by_popped_layer,
        by_name,
        by_symbol,
        into_an_unbuilt_one,
        into_a_built_one,
        by_copy,
        by_pickle,
    ],
)
def test_layers_come_with_their_weights(taken, backend):
    model = trained(backend)
    expected = hidden(model)
    features = taken(model)
    close(features.predict(X), expected)


def test_two_models_are_apart_from_the_moment_that_one_takes_the_others_layer():
    model = trained()
    features, before = by_list(model), model.get_weights()
    features.compile("sgd", "mse")
    features.fit(X, np.zeros((32, 8)), epochs=3, verbose=0)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(features.layers[0].kernel, model.layers[0].kernel)


def test_a_popped_layer_is_in_no_model_and_can_come_back():
    model = trained()
    answers, top = model.predict(X), model.layers[1]
    assert model.pop() is top
    assert top.home is None
    assert top.built
    with pytest.raises(NotBuilt, match="output's shape"):
        top.output_shape  # noqa: B018
    model.add(top)
    np.testing.assert_array_equal(model.predict(X), answers)


def test_a_layer_with_weights_for_other_inputs_is_refused_where_it_is_put():
    top = trained().pop()  # a kernel of shape (8, 1)
    model = nnx.Sequential([nnx.Input((6,)), Dense(3)])
    with pytest.raises(ShapeError, match=r"\(8, 1\).*made for other inputs.*\(3, 1\)"):
        model.add(top)
    assert len(model.layers) == 1
    assert top.home is None
    unbuilt = nnx.Sequential([top])
    with pytest.raises(ShapeError, match="made for other inputs"):
        unbuilt.build((5,))
    with pytest.raises(ShapeError, match="made for other inputs"):
        top(nnx.Input((5,)))


# -- identity ------------------------------------------------------------------------------------------


def test_layers_are_found_as_any_object():
    model = trained(None, Dense(8), Dropout(0.1), Dense(1))
    first, drop, _ = model.layers
    assert isinstance(first, Dense)
    assert not isinstance(drop, Dense)
    assert type(drop).__name__ == drop.__class__.__name__ == "Dropout"
    assert drop in model.layers
    assert Dropout(0.1) not in model.layers
    assert model.layers.index(drop) == 1
    assert model.layers[1] is drop
    assert drop == drop
    assert drop != Dropout(0.1)
    assert {first: "first"}[model.layers[0]] == "first"
    assert [type(layer) for layer in model.layers] == [Dense, Dropout, Dense]


def test_a_layer_is_the_object_that_was_given(backend):
    layer = Dense(2)
    model = nnx.Sequential([nnx.Input((6,)), layer], backend=backend)
    assert model.layers[0] is layer
    np.testing.assert_array_equal(layer.kernel, model.get_weights()[0])
    assert layer.name == "dense"


@pytest.mark.parametrize("places", [(0, 0), (0, 1, 0), (0, 0, 1, 0)])
def test_a_layer_that_stands_twice_is_shared_also_in_copies(places, way, tmp_path):
    own = Dense(6, "tanh"), Dense(6)
    model = trained(None, *(own[i] for i in places))
    assert model.count_params() == 42 * len(set(places))
    x = X
    for i in places:
        x = x @ own[i].kernel + own[i].bias
        x = np.tanh(x) if i == 0 else x
    close(model.predict(X), x)
    model.save(tmp_path / "m.safetensors")
    for other in (way(model), nnx.load_model(tmp_path / "m.safetensors")):
        assert [[a is b for b in other.layers] for a in other.layers] == [
            [i == j for j in places] for i in places
        ]
        assert not set(other.layers) & set(model.layers)
        np.testing.assert_array_equal(other.predict(X), model.predict(X))
        other.fit(X, X, verbose=0)
    model.pop()
    assert len(model.layers) == len(places) - 1
    assert model.layers[0] is own[0]


# -- frozen and set ------------------------------------------------------------------------------------


def test_a_loop_freezes_the_layers_of_a_kind(backend):
    model = trained(backend, Dense(8, "relu"), Dropout(0.1), Dense(1))
    for layer in model.layers[:-1]:
        if isinstance(layer, Dense):
            layer.trainable = False
    before = model.get_weights()
    model.fit(X, Y, verbose=0)
    same = [np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert same == [True, True, False, False]
    assert [w.shape for w in model.non_trainable_weights] == [(6, 8), (8,)]
    assert [w.shape for w in model.trainable_weights] == [(8, 1), (1,)]


def test_a_model_of_frozen_layers_is_trained_without_a_change():
    for optimizer in ("adam", "lbfgs"):
        model = trained()
        model.trainable = False
        model.compile(optimizer, "mse")
        before = model.get_weights()
        model.fit(X, Y, verbose=0)
        for a, b in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        assert not model.trainable


REFUSED = {
    "units": (9, OptionError, "other weights"),
    "use_bias": (False, OptionError, "other weights"),
    "input_shape": ((7,), ShapeError, r"input_shape=\(7,\)"),
    "trainable": (1, OptionError, "True or False"),
    "activation": ("tanhh", OptionError, "tanh"),
    "name": (3, OptionError, "string"),
    "kernel": (np.ones((2, 2)), ShapeError, "kernel"),
    "bias": (np.full(8, np.nan), DataError, "NaN"),
    "colour": ("red", AttributeError, "units"),
    "weights": ([], AttributeError, "cannot be set"),
    "built": (True, AttributeError, "cannot be set"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_assignment_that_is_refused_changes_nothing(name):
    value, error, words = REFUSED[name]
    model = trained()
    layer, answers = model.layers[0], model.predict(X)
    before = layer.get_config()
    with pytest.raises(error, match=words):
        setattr(layer, name, value)
    assert layer.get_config() == before
    np.testing.assert_array_equal(model.predict(X), answers)


def test_assigned_options_are_what_runs():
    model = trained(None, Dense(8, "tanh"), Dropout(0.1), Dense(1))
    first, drop, last = model.layers
    first.activation, drop.rate, last.kernel = "relu", 0.9, np.ones((8, 1))
    assert first.activation.name == "relu"
    kernel, bias = first.get_weights()
    close(model.predict(X), np.maximum(X @ kernel + bias, 0.0) @ np.ones((8, 1)) + last.bias)
    zeros = sum(np.asarray(nnx.Sequential([drop])(np.ones((20, 50)), training=True) == 0.0).ravel())
    assert 850 < zeros < 950  # of 1000, 9.5 deviations from 900 either way


def test_names_are_given_once_and_follow_the_layers():
    model = nnx.Sequential([Dense(4, name="a", input_shape=(6,)), Dense(1, name="b"), Dense(1)])
    model.layers[0].name = "c"
    model.layers[1].name = "a"
    model.add(Dense(2, name="b"))
    assert [layer.name for layer in model.layers] == ["c", "a", "dense", "b"]
    with pytest.raises(OptionError, match="named 'b'"):
        model.layers[0].name = "b"
    with pytest.raises(OptionError, match="named 'c'"):
        model.add(Dense(2, name="c"))
    assert model.get_layer("a") is model.layers[1]
    model.pop()
    model.add(Dense(3, name="b"))
