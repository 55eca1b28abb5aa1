"""What bears Keras' name is Keras' thing: weights in its order, penalties on outputs, configurations."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx import layers as own_layers

RNG = np.random.default_rng(0)
X, Z = RNG.normal(size=(24, 4)), RNG.normal(size=(24, 3))
CLASSES = np.eye(3)[np.arange(24) % 3]


# -- graphs, written once for both libraries -----------------------------------------------------------


def chain(layers, inputs):
    a = inputs((4,))
    return a, layers.Dense(3)(layers.BatchNormalization()(layers.Dense(5, "tanh")(a)))


def residual(layers, inputs):
    a = inputs((4,))
    h = layers.Dense(4, "tanh")(a)
    return a, layers.Dense(3)(layers.Add()([layers.Dense(4)(h), a, h]))


def branches(layers, inputs):
    """Branches of different depths: the order of weights is not that of the calls."""
    a = inputs((4,))
    short = layers.Dense(6, "relu")(a)
    long = layers.Dense(5)(layers.Dense(2, use_bias=False)(layers.BatchNormalization()(a)))
    joined = layers.Concatenate()([short, long])
    return a, layers.Dense(3)(layers.Add()([joined, layers.Dense(11)(joined)]))


def shared(layers, inputs):
    a = inputs((4,))
    twice = layers.Dense(4, "tanh")
    first = layers.Dense(4)(a)
    return a, layers.Dense(3)(layers.Multiply()([twice(first), twice(layers.Dense(4)(twice(a)))]))


def two_inputs(layers, inputs):
    a, b = inputs((4,)), inputs((3,))
    deep = layers.Dense(2)(layers.BatchNormalization(scale=False)(layers.Dense(7)(b)))
    return [a, b], layers.Dense(3)(layers.Concatenate()([deep, layers.Dense(2, "tanh")(a)]))


GRAPHS = [chain, residual, branches, shared, two_inputs]


def pair(graph, keras):
    """nnx's model and Keras' with the same random weights, and data for them."""
    theirs = keras.Model(*graph(keras.layers, lambda shape: keras.Input(shape, dtype="float32")))
    ours = nnx.Model(*graph(own_layers, nnx.Input))
    weights = [(RNG.normal(size=w.shape) ** 2 + 0.1).astype("float32") for w in theirs.get_weights()]
    theirs.set_weights(weights)
    ours.set_weights(weights)
    return ours, theirs, [X, Z] if len(ours.input_names) == 2 else [X]


@pytest.mark.parametrize("graph", GRAPHS)
def test_weights_stand_in_keras_order(graph, keras, of_keras):
    ours, theirs, xs = pair(graph, keras)
    for name in ("weights", "trainable_weights", "non_trainable_weights"):
        own = getattr(ours, name)
        assert [w.shape for w in own] == [tuple(w.shape) for w in getattr(theirs, name)]
        for a, b in zip(own, getattr(theirs, name), strict=True):
            np.testing.assert_array_equal(a, b.numpy())
    kinds = [type(layer).__name__ for layer in theirs.layers if type(layer).__name__ != "InputLayer"]
    assert [type(layer).__name__ for layer in ours.layers] == kinds
    found = of_keras(theirs, *(x.astype("float32") for x in xs))
    scale = np.abs(found).max()  # float32, sums in another order
    np.testing.assert_allclose(ours.predict(xs if len(xs) > 1 else xs[0]), found, atol=1e-5 * scale)


@pytest.mark.parametrize("graph", GRAPHS)
def test_freezing_moves_the_same_weights_in_keras(graph, keras):
    ours, theirs, _ = pair(graph, keras)
    own = [layer for layer in theirs.layers if type(layer).__name__ != "InputLayer"]
    for a, b in list(zip(ours.layers, own, strict=True))[::2]:
        a.trainable = b.trainable = False
    for name in ("trainable_weights", "non_trainable_weights"):
        assert [w.shape for w in getattr(ours, name)] == [tuple(w.shape) for w in getattr(theirs, name)]


# -- penalties on outputs ------------------------------------------------------------------------------


def penalized(library, of_layers, **of_model):
    l1, l2 = library.regularizers.L1(0.1), library.regularizers.L2(0.3)
    return library.Sequential(
        [
            library.Input((4,)),
            library.layers.Dense(5, "relu", activity_regularizer=l1, **of_layers),
            library.layers.Dropout(0.0, **of_layers),
            library.layers.Dense(3, "softmax", activity_regularizer=l2, **of_layers),
        ],
        **of_model,
    )


@pytest.mark.parametrize("batch_size", [24, 10])
def test_penalties_on_outputs_are_keras(batch_size, keras, backend):
    theirs = penalized(keras, {"dtype": "float64"})
    ours = penalized(nnx, {}, dtype="float64", backend=backend)
    ours.set_weights(theirs.get_weights())
    for model, optimizer in ((theirs, keras.optimizers.SGD(0.1)), (ours, nnx.optimizers.SGD(0.1))):
        model.compile(optimizer, "categorical_crossentropy")
    options = {"batch_size": batch_size, "verbose": 0}
    a, b = theirs.evaluate(X, CLASSES, **options), ours.evaluate(X, CLASSES, **options)
    assert b == pytest.approx(a, rel=1e-6)  # Keras' running means are float32
    a, b = (m.fit(X, CLASSES, epochs=3, shuffle=False, **options).history["loss"] for m in (theirs, ours))
    np.testing.assert_allclose(b, a, rtol=1e-6)
    for a, b in zip(theirs.get_weights(), ours.get_weights(), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-6, atol=1e-8)


def test_a_penalty_is_none_for_methods_of_sums_of_squares_and_keeps_the_head(backend):
    model = penalized(nnx, {}, dtype="float64", backend=backend)
    model.compile("levenberg_marquardt", "mse")
    with pytest.raises(nnx.errors.OptionError, match=r"layer 1 \(Dense 'dense'\).*activity_regularizer"):
        model.fit(X, CLASSES, verbose=0)
    model.compile("lbfgs", "categorical_crossentropy")
    history = model.fit(X, CLASSES, epochs=3, verbose=0).history["loss"]
    assert model.evaluate(X, CLASSES, verbose=0) == pytest.approx(history[-1])
    assert history[-1] < history[0]


# -- names ---------------------------------------------------------------------------------------------


def compiled():
    model = nnx.Sequential([nnx.Input((4,)), own_layers.Dense(3, "tanh"), own_layers.Dense(1)], seed=1)
    model.compile("adam", "mse", metrics=["mae"])
    return model


def test_batches_are_answered_whole():
    model, y = compiled(), Z[:, :1]
    assert model.test_on_batch(X, y) == model.evaluate(X, y, batch_size=24, verbose=0)
    assert list(model.test_on_batch(X, y, return_dict=True)) == ["loss", "mae"]
    np.testing.assert_array_equal(model.predict_on_batch(X), model.predict(X))


def test_clones_have_the_layers_and_new_weights(backend):
    x = nnx.Input((4,))
    graph = nnx.Model(x, own_layers.Dense(4, name="d")(x) + x, backend=backend, dtype="float64")
    for model in (compiled(), graph):
        clone = nnx.models.clone_model(model)
        assert type(clone) is type(model)
        assert clone.optimizer is None
        assert clone.backend == model.backend
        assert clone.get_config() == model.get_config()
        assert not np.array_equal(clone.get_weights()[0], model.get_weights()[0])
        again = type(model).from_config(model.get_config())
        assert [layer.get_config() for layer in again.layers] == [
            layer.get_config() for layer in model.layers
        ]


def test_a_model_comes_without_its_training(tmp_path):
    model = compiled()
    model.fit(X, Z[:, :1], verbose=0)
    model.save(tmp_path / "m.safetensors")
    bare = nnx.load_model(tmp_path / "m.safetensors", compile=False)
    assert bare.optimizer is None
    np.testing.assert_array_equal(bare.predict(X), model.predict(X))
    with pytest.raises(nnx.errors.NotBuilt, match="not compiled"):
        bare.evaluate(X, Z)


def printed(model):
    lines = []
    model.summary(print_fn=lines.append)
    return lines[0].splitlines()


def test_the_summary_of_a_graph_says_what_is_connected():
    a, b = nnx.Input((4,), name="a"), nnx.Input((3,), name="b")
    d = own_layers.Dense(4, "tanh", name="encode_the_patients_history_as_a_vector")
    joined = own_layers.Concatenate()([d(d(a) + a), b])
    lines = printed(nnx.Model([a, b], own_layers.Dense(2)(joined)))
    rows = [line.split("  ") for line in lines[4:-4]]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert cells == [
        ["a (Input)", "(None, 4)", "0", "-"],
        ["b (Input)", "(None, 3)", "0", "-"],
        [f"{d.name} (Dense)", "(None, 4)", "20", "a, add"],
        ["add (Add)", "(None, 4)", "0", f"{d.name}, a"],
        ["concatenate (Concatenate)", "(None, 7)", "0", f"{d.name}, b"],
        ["dense (Dense)", "(None, 2)", "16", "concatenate"],
    ]
    assert "Connected to" in lines[2]
    assert lines[-3:] == ["Total params: 36 (144 B)", "Trainable params: 36", "Non-trainable params: 0"]


@pytest.mark.parametrize("length", [1, 33, 34, 35, 80])
def test_columns_of_a_summary_stay_apart(length):
    model = nnx.Sequential([own_layers.Dense(4, name="n" * length, input_shape=(6,))])
    row = next(line for line in printed(model) if "nnn" in line or length == 1)
    assert "Connected" not in printed(model)[2]
    assert length == 1 or f"{'n' * length} (Dense)  " in row
    unbuilt = printed(nnx.Sequential([own_layers.Dense(4, name="n" * length)]))
    assert "?" in unbuilt[4]
    assert "Not built" in unbuilt[-1]
