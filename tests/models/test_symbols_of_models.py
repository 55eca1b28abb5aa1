"""Models as graphs: their symbols, parts taken out of them, names inside, clones, JSON, freezing."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest

import nnx
from nnx import layers as own_layers
from nnx.errors import FileFormatError, NotBuilt, OptionError, ShapeError
from nnx.layers import BatchNormalization, Concatenate, Dense

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 3))


def stack(name="stack", seed=1, **place):
    layers = [Dense(4, "tanh", name="first"), Dense(2, name="second")]
    return nnx.Sequential([nnx.Input((3,)), *layers], name=name, seed=seed, **place)


def graph():
    a, b = nnx.Input((3,), name="a"), nnx.Input((2,), name="b")
    shared = Dense(3, "tanh", name="shared")
    h = shared(a)
    joined = Concatenate(name="join")([shared(h), b])
    return nnx.Model({"a": a, "b": b}, {"y": Dense(1, name="y")(joined), "h": h}, seed=1)


# -- symbols -----------------------------------------------------------------------------------------------


def test_what_a_layer_gives_makes_a_model_of_its_own(tmp_path):
    whole = stack()
    whole.save(tmp_path / "model.safetensors")
    for model in (whole, nnx.load_model(tmp_path / "model.safetensors")):
        half = nnx.Model(model.inputs, model.get_layer("first").output)
        np.testing.assert_array_equal(half.predict(X), model.layers[0](X.astype("float32")))
        assert (model.input.shape, model.output.shape, model.outputs[0].shape) == ((3,), (2,), (2,))
        assert model.get_layer("second").input is model.get_layer("first").output
        before = half.predict(X)
        model.set_weights([np.zeros_like(w) for w in model.get_weights()])  # copies: it stays what it was
        np.testing.assert_array_equal(half.predict(X), before)


def test_more_layers_on_top_of_a_model():
    base = stack()
    x = nnx.Input((3,))
    model = nnx.Model(x, nnx.Model(x, base(x)).output)
    np.testing.assert_array_equal(model.predict(X), base.predict(X))
    top = nnx.Model(base.input, Dense(5)(base.output))
    assert [layer.name for layer in top.layers] == ["first", "second", "dense"]
    np.testing.assert_array_equal(top.get_weights()[0], base.get_weights()[0])


def test_symbols_of_graphs():
    model = graph()
    assert [s.name for s in model.inputs] == ["a", "b"] and model.input == model.inputs
    assert list(model.output) == ["y", "h"] and model.output["y"] is model.outputs[0]
    join = model.get_layer("join")
    assert join.input[1] is model.inputs[1] and join.output.shape == (5,)
    # the first call of a shared layer
    assert model.get_layer("shared").input is model.inputs[0]
    assert model.get_layer("shared").output is model.outputs[1]
    part = nnx.Model(model.inputs, [join.output, model.get_layer("shared").output])
    data = {"a": X, "b": X[:, :2]}
    np.testing.assert_array_equal(part.predict(data)[1], model.predict(data)["h"])
    assert len(part.network.calls) == 3  # nothing is computed twice


def test_a_part_needs_no_inputs_that_it_does_not_read():
    model = graph()
    part = nnx.Model(model.inputs[0], model.get_layer("shared").output)
    np.testing.assert_array_equal(part.predict(X), model.predict([X, X[:, :2]])["h"])
    with pytest.raises(OptionError, match=r"needs an input 'b'.*not among the model's"):
        nnx.Model(model.inputs[0], model.get_layer("join").output)
    unread = nnx.Model(model.inputs, model.get_layer("shared").output)
    np.testing.assert_array_equal(unread.predict([X, X[:, :2]]), part.predict(X))


def test_the_symbols_follow_the_layers():
    model = stack()
    old = model.output
    model.add(Dense(7))
    assert (old.shape, model.output.shape) == ((2,), (7,))
    assert model.output is model.outputs[0]


def test_a_class_of_ones_own_has_symbols_once_it_is_built():
    class Own(nnx.Model):
        def __init__(self):
            super().__init__()
            self.h = Dense(3, name="h")

        def call(self, x):
            return self.h(x) * 2.0

    model = Own()
    with pytest.raises(NotBuilt):
        model.inputs  # noqa: B018
    with pytest.raises(NotBuilt, match="no output of it yet"):
        model.h.output  # noqa: B018
    model.build((3,))
    part = nnx.Model(model.inputs, model.h.output)
    np.testing.assert_allclose(2.0 * part.predict(X), model.predict(X), rtol=1e-6)


def test_layers_without_a_model_have_no_symbols():
    for layer in (Dense(3), nnx.Sequential([Dense(3)]).layers[0]):
        with pytest.raises(NotBuilt):
            layer.input  # noqa: B018


def test_symbols_survive_copies(tmp_path):
    import copy
    import pickle

    model = graph()
    before = model.output["y"]
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert again.output["y"] is not before
        part = nnx.Model(again.inputs, again.output["h"])
        np.testing.assert_array_equal(part.predict([X, X[:, :2]]), model.predict([X, X[:, :2]])["h"])


# -- names -------------------------------------------------------------------------------------------------


def test_layers_of_one_name_out_of_two_models():
    x = nnx.Input((3,))
    left, right, again = stack("left"), stack("right", seed=2), stack("right", seed=3)
    joined = Concatenate()([left(x), right(x), again(x)])
    model = nnx.Model(x, Dense(1, name="first")(joined))
    names = [layer.name for layer in model.layers]
    assert names == [
        "left_first",
        "right_first",
        "right_first_1",
        "second",
        "right_second",
        "right_second_1",
        "concatenate",
        "first",
    ]
    parts = nnx.Model(x, joined).predict(X)
    expected = np.concatenate([m.predict(X) for m in (left, right, again)], axis=1)
    np.testing.assert_allclose(parts, expected, rtol=1e-6)
    assert [layer.name for layer in right.layers] == ["first", "second"]
    assert [layer.name for layer in nnx.Model.from_config(model.get_config()).layers] == names


def test_a_model_twice_is_shared():
    a, b = nnx.Input((3,)), nnx.Input((3,))
    encoder = stack("encoder")
    model = nnx.Model([a, b], encoder(a) - encoder(b))
    assert [layer.name for layer in model.layers] == ["first", "second", "subtract"]
    np.testing.assert_allclose(model.predict([X, X]), 0.0)


def test_models_in_a_stack_are_told_apart():
    model = nnx.Sequential([stack("left"), Dense(3), stack("right")])
    assert [layer.name for layer in model.layers] == [
        "first",
        "second",
        "dense",
        "right_first",
        "right_second",
    ]
    with pytest.raises(OptionError, match="named 'first'"):
        model.add(Dense(1, name="first"))
    with pytest.raises(OptionError, match="named 'd'"):
        x = nnx.Input((3,))
        nnx.Model(x, Dense(1, name="d")(Dense(1, name="d")(x)))


# -- freezing ----------------------------------------------------------------------------------------------


def test_freezing_before_and_after_a_model_was_called_on_symbols():
    x = nnx.Input((3,))
    base = stack()
    base.trainable = False
    model = nnx.Model(x, Dense(1)(base(x)), seed=1)
    assert len(model.trainable_weights) == 2 and len(model.non_trainable_weights) == 4
    base.trainable = True  # its own layers: the model has copies
    assert len(model.trainable_weights) == 2
    model.compile("sgd", "mse")
    model.fit(X, X[:, :1], verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], base.get_weights()[0])
    for layer in base.layers:
        model.get_layer(layer.name).trainable = True
    assert len(model.trainable_weights) == 6
    model.fit(X, X[:, :1], verbose=0)
    assert not np.array_equal(model.get_weights()[0], base.get_weights()[0])
    model.trainable = False
    assert not model.trainable and model.count_params() == model.network.state_layout.size
    model.get_layer("second").trainable = True
    assert len(model.trainable_weights) == 2


# -- clones and JSON ---------------------------------------------------------------------------------------


def several_outputs():
    x = nnx.Input((3,))
    h = BatchNormalization()(stack("inner")(x))
    return nnx.Model(x, [Dense(1, name="one")(h), h + stack("other")(x)], seed=1)


MODELS = {"stack": stack, "graph": graph, "several": several_outputs}


@dataclass(frozen=True)
class Unregistered(nnx.layers.Layer):
    """A layer of one's own that no registry knows."""

    factor: float = 2.0

    def forward(self, p, x):
        return x * self.factor


def shapes(model):
    return [w.shape for w in model.get_weights()]


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_clones_and_json_are_the_model_with_new_weights(make):
    model = make()
    clones = [
        nnx.models.clone_model(model),
        nnx.models.clone_model(model, clone_function=lambda layer: layer.from_config(layer.get_config())),
        nnx.models.clone_model(model, [nnx.Input(s) for s in model.network.inputs]),
        nnx.models.model_from_json(model.to_json(), seed=3),
        type(model).from_config(json.loads(json.dumps(model.get_config()))),
    ]
    data = [X, X[:, :2]] if len(model.inputs) > 1 else X
    for clone in clones:
        assert type(clone) is type(model) and clone.name == model.name
        assert shapes(clone) == shapes(model) and not np.array_equal(
            clone.get_weights()[0], model.get_weights()[0]
        )
        assert (clone.output_names, clone.output_shape) == (model.output_names, model.output_shape)
        assert [layer.name for layer in clone.layers] == [layer.name for layer in model.layers]
        clone.set_weights(model.get_weights())
        found, expected = clone.predict(data), model.predict(data)
        if isinstance(expected, dict):
            found, expected = list(found.values()), list(expected.values())
        for own, theirs in zip(
            np.atleast_1d(found) if isinstance(found, np.ndarray) else found, expected, strict=True
        ):
            np.testing.assert_array_equal(own, theirs)


def test_clones_keep_input_names_and_backend():
    clone = nnx.models.clone_model(
        graph(), clone_function=lambda layer: layer.from_config(layer.get_config())
    )
    assert clone.input_names == ("a", "b")
    assert nnx.models.clone_model(stack(dtype="float64")).backend.dtype == "float64"


def test_a_clone_of_other_layers():
    def wider(layer):
        config = layer.get_config()
        return layer.from_config({**config, "units": 5})

    model = stack()
    assert shapes(nnx.models.clone_model(model, clone_function=wider)) == [(3, 5), (5,), (5, 5), (5,)]
    assert shapes(nnx.models.clone_model(model, nnx.Input((7,)), wider))[0] == (7, 5)
    same = nnx.models.clone_model(model, clone_function=lambda layer: layer)
    np.testing.assert_array_equal(same.get_weights()[0], model.get_weights()[0])
    unregistered = nnx.Sequential([Unregistered(3.0, input_shape=(3,))])
    clone = nnx.models.clone_model(
        unregistered, clone_function=lambda layer: layer.from_config(layer.get_config())
    )
    np.testing.assert_array_equal(clone.predict(X), unregistered.predict(X))
    open_end = nnx.models.clone_model(nnx.Sequential([Dense(2)]), clone_function=wider)
    assert not open_end.built and open_end.layers[0].units == 5


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: nnx.models.clone_model(graph(), nnx.Input((3,))), OptionError, "has 2 inputs, got 1"),
        (lambda: nnx.models.clone_model(stack(), X), OptionError, "what nnx.Input gives"),
        (
            lambda: nnx.models.clone_model(stack(), clone_function=lambda x: None),
            OptionError,
            "must return a layer",
        ),
        (lambda: nnx.models.clone_model(graph(), [nnx.Input((3,))] * 2), OptionError, "there twice"),
        (lambda: nnx.models.model_from_json("{"), FileFormatError, "to_json"),
        (
            lambda: nnx.models.model_from_json('{"class_name": "Functional", "config": {}}'),
            FileFormatError,
            "another",
        ),
        (lambda: graph().predict(X), ShapeError, "2 arrays"),
        (lambda: graph()(X), ShapeError, "takes 2 inputs"),
        (lambda: stack()([X, X]), ShapeError, "got 2"),
        (lambda: stack().summary(line_length=0), OptionError, "line_length"),
    ],
)
def test_what_does_not_fit_is_said(call, error, words):
    with pytest.raises(error, match=words):
        call()


# -- order and summary -------------------------------------------------------------------------------------


def test_layers_of_several_outputs_stand_in_keras_order(keras):
    keras.utils.clear_session()  # its names are numbered through all models

    def made(layers, inputs):
        x = inputs((4,))
        late = layers.Dense(3, name="late")(x)
        d = layers.Dense(3, name="d3")(layers.Dense(2, name="d2")(layers.Dense(5, name="d1")(x)))
        side = layers.Dense(2, name="s1")(x)
        return x, [
            layers.Dense(1, name="o1")(d),
            layers.Dense(2, name="o2")(layers.Add(name="sum")([d, late])),
            side,
        ]

    theirs, ours = keras.Model(*made(keras.layers, keras.Input)), nnx.Model(*made(own_layers, nnx.Input))
    names = [layer.name for layer in theirs.layers if not isinstance(layer, keras.layers.InputLayer)]
    assert [layer.name for layer in ours.layers] == names
    assert [w.shape for w in ours.weights] == [tuple(w.shape) for w in theirs.weights]


def test_the_summary_shows_connections_and_what_is_trained():
    model, lines = graph(), []
    model.get_layer("shared").trainable = False
    model.summary(line_length=120, print_fn=lines.append, expand_nested=True, show_trainable=True)
    rows = lines[0].splitlines()
    assert set(map(len, (row for row in rows if row.startswith("─")))) == {120}
    by_name = {row.split()[0]: row for row in rows[4:-4]}
    assert "shared, b" in by_name["join"] and by_name["join"].endswith("Y")
    assert by_name["shared"].endswith("N") and "a, shared" in by_name["shared"]
    assert by_name["a"].split()[1] == "(Input)"
