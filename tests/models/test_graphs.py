"""Networks between symbols: residual sums, several inputs, shared layers, models on symbols, deep graphs."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import nnx
from nnx.backend import namespace, to_numpy
from nnx.errors import OptionError, ShapeError
from nnx.layers import (
    Activation,
    Add,
    Average,
    BatchNormalization,
    Concatenate,
    Dense,
    Dropout,
    Maximum,
    Multiply,
    Subtract,
)
from nnx.models.objective import Batch

RNG = np.random.default_rng(0)
A, B, Y = RNG.normal(size=(20, 4)), RNG.normal(size=(20, 3)), RNG.normal(size=(20, 2))


def residual():
    x = nnx.Input((4,))
    return nnx.Model(x, Dense(2)(Dense(4, "tanh")(x) + x), dtype="float64", seed=1), A


def two_inputs():
    a, b = nnx.Input((4,), name="a"), nnx.Input((3,), name="b")
    joined = Concatenate()([Dense(4, "tanh")(a), Dense(2, "sigmoid")(b)])
    return nnx.Model([a, b], Dense(2)(joined), dtype="float64", seed=1), [A, B]


def shared():
    x = nnx.Input((4,))
    twice = Dense(4, "tanh")
    return nnx.Model(x, Dense(2)(twice(twice(x)) * x), dtype="float64", seed=1), A


def shared_by_two_inputs():
    a, b = nnx.Input((4,)), nnx.Input((4,))
    encode = Dense(3, "tanh")
    return nnx.Model([a, b], Dense(2)(encode(a) - encode(b)), dtype="float64", seed=1), [A, A[:, ::-1].copy()]


def everything():
    a, b = nnx.Input((4,)), nnx.Input((3,))
    d = Dense(4, "tanh")
    h = d(a)
    k = d(h + a) * 0.5 - 1.0
    wide = Concatenate()([Maximum()(h, k), Dense(2)(b), Average()(h, k, a)])
    return nnx.Model([a, b], Dense(2)(wide), dtype="float64", seed=1), [A, B]


def unused_input():
    a, b = nnx.Input((4,)), nnx.Input((3,))
    return nnx.Model([a, b], Dense(2)(a), dtype="float64", seed=1), [A, B]


GRAPHS = [residual, two_inputs, shared, shared_by_two_inputs, everything, unused_input]


def rows(model, xs, y):
    """The rows of the Jacobian of the residuals that Levenberg-Marquardt is given."""
    trainer, moved = model.trainer, model.backend.asarray
    xs = xs if isinstance(xs, list) else [xs]
    batch = Batch(tuple(moved(x, dtype="float64") for x in xs), (moved(y, dtype="float64"),), (None,))
    trainer.problem.show(batch, 0)
    blocks = trainer.problem.at(model.own_weights().trained).blocks(float("inf"))
    return np.concatenate([to_numpy(block).copy() for block, _ in blocks])


def placed(make, backend):
    """The graph again on a backend, with the same seed."""
    model, xs = make()
    return type(model).from_config(model.get_config(), backend=backend, dtype="float64", seed=1), xs


@pytest.mark.parametrize("make", GRAPHS)
def test_rows_of_a_graph_are_those_of_its_jacobian(make, backend):
    model, xs = placed(make, backend)
    model.compile("levenberg_marquardt", "mse")
    f, _ = model.as_function()
    moved = [backend.asarray(x, dtype="float64") for x in (xs if isinstance(xs, list) else [xs])]
    w = model.backend.xp.asarray(model.weights_vector, copy=True)
    jacobian = to_numpy(nnx.jacobian(lambda w: f(w, moved))(w))  # (samples, outputs, weights)
    expected = np.concatenate([jacobian[:, 0], jacobian[:, 1]]) * np.sqrt(2.0 / Y.size)
    np.testing.assert_allclose(np.abs(rows(model, xs, Y)), np.abs(expected), atol=1e-13)


@pytest.mark.parametrize("make", GRAPHS)
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs", "levenberg_marquardt"])
def test_graphs_learn_alike_on_every_backend(make, optimizer, backend):
    found = []
    for place in (None, backend):
        model, xs = placed(make, place)
        model.compile(optimizer, "mse")
        history = model.fit(xs, Y, epochs=4, verbose=0).history["loss"]
        assert history[-1] < history[0]
        found.append((history, model.predict(xs)))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-6)
    np.testing.assert_allclose(found[0][1], to_numpy(found[1][1]), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("make", GRAPHS)
@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m)), "file"])
def test_graphs_are_copied_and_saved(make, way, tmp_path):
    model, xs = make()
    model.compile("adam", "mse")
    model.fit(xs, Y, verbose=0)
    if way == "file":
        model.save(tmp_path / "m.safetensors")
        other = nnx.load_model(tmp_path / "m.safetensors")
    else:
        other = way(model)
    for both in (model, other):
        both.fit(xs, Y, epochs=2, verbose=0)
    np.testing.assert_array_equal(model.predict(xs), other.predict(xs))
    assert other.input_names == model.input_names


def test_gradients_of_a_shared_layer_add_up(backend):
    model, _ = placed(shared, backend)
    f, w = model.as_function()
    x = backend.asarray(A, dtype="float64")

    def total(y):
        return namespace(y).sum(y)

    together = nnx.grad(lambda w: total(f(w, x)))(w)

    def apart(first, second):
        xp = namespace(first["dense/kernel"])
        h = xp.tanh(x @ first["dense/kernel"] + first["dense/bias"])
        h = xp.tanh(h @ second["dense/kernel"] + second["dense/bias"]) * x
        return total(h @ w["dense_1/kernel"] + w["dense_1/bias"])

    for name in ("dense/kernel", "dense/bias"):
        by_first, by_second = nnx.grad(apart, argnums=(0, 1))(w, w)
        np.testing.assert_allclose(
            to_numpy(together[name]), to_numpy(by_first[name]) + to_numpy(by_second[name]), atol=1e-12
        )


# -- inputs --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("declared", ["list", "names", "dict"])
def test_inputs_come_as_a_list_or_by_name(declared, backend):
    own = ("a", "b") if declared == "names" else (None, None)
    a, b = nnx.Input((4,), name=own[0]), nnx.Input((3,), name=own[1])
    output = Dense(2)(Concatenate()([a, b]))
    model = nnx.Model({"a": a, "b": b} if declared == "dict" else [a, b], output, backend=backend)
    names = ("input_0", "input_1") if declared == "list" else ("a", "b")
    assert model.input_names == names
    assert model.input_shape == [(None, 4), (None, 3)]
    listed = model.predict([A, B])
    by_name = model.predict(dict(zip(reversed(names), (B, A), strict=True)))
    np.testing.assert_array_equal(listed, by_name)
    arrays = [backend.asarray(x, dtype="float32") for x in (A, B)]
    f, w = model.as_function()
    for given in (arrays, dict(zip(names, arrays, strict=True))):
        for output in (model(given), f(w, given)):
            np.testing.assert_allclose(to_numpy(output), listed, rtol=1e-5, atol=1e-6)
    model.compile("adam", "mse")
    history = model.fit(
        dict(zip(names, (A, B), strict=True)), Y, validation_data=([A, B], Y), epochs=2, verbose=0
    )
    assert len(history.history["val_loss"]) == 2


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (A, "list .or dict. of 2 arrays.*'a', 'b'.*ndarray"),
        ([A], "2 arrays.*1 arrays"),
        ([A, B, A], "2 arrays.*3 arrays"),
        ({"a": A}, "has the inputs 'a', 'b'"),
        ({"a": A, "c": B}, "'a', 'c'.*'a', 'b'"),
        ([B, A], r"built for samples of shape \(4,\)"),
        ([A, B[:5]], r"20 samples, x\[1\] has 5"),
    ],
)
def test_inputs_that_do_not_fit_are_named(given, words):
    model, _ = two_inputs()
    for ask in (model.predict, lambda x: (model.compile("sgd", "mse"), model.fit(x, Y, verbose=0))):
        with pytest.raises(ShapeError, match=words):
            ask(given)


@pytest.mark.parametrize("given", [[A, A], {"left": A, "right": A}])
def test_two_inputs_for_a_model_of_one(given):
    model, _ = residual()
    with pytest.raises(ShapeError, match="input"):
        model.predict(given)


@pytest.mark.parametrize("given", [A, [A], {"a": A}, {"a": A, "c": B}, [A, nnx.Input((3,))], [A, B, B]])
def test_calls_with_other_inputs_are_refused(given):
    model, _ = two_inputs()
    with pytest.raises((ShapeError, OptionError), match="Model"):
        model(given)


# -- models on symbols ---------------------------------------------------------------------------------


def test_a_model_on_symbols_is_its_layers_with_its_numbers(backend):
    part = nnx.Sequential(
        [nnx.Input((4,)), Dense(4, "tanh"), BatchNormalization(), Dropout(0.5)], backend=backend
    )
    part.compile("adam", "mse")
    part.fit(A, A, verbose=0)
    x = nnx.Input((4,))
    whole = nnx.Model(x, part(x) + x, backend=backend)
    np.testing.assert_allclose(whole.predict(A), part.predict(A) + A, rtol=1e-5, atol=1e-6)
    assert [type(layer).__name__ for layer in whole.layers] == [
        "Dense",
        "BatchNormalization",
        "Dropout",
        "Add",
    ]
    assert not set(whole.layers) & set(part.layers)
    before = part.get_weights()
    whole.compile("adam", "mse")
    whole.fit(A, A, verbose=0)
    for a, b in zip(before, part.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    twice = nnx.Model(x, part(part(x)))
    assert len(twice.layers) == 3
    assert nnx.Sequential([part, whole, Dense(1)]).predict(A).shape == (20, 1)


def test_training_false_on_symbols_keeps_statistics_and_dropout_off(tmp_path):
    part = nnx.Sequential([nnx.Input((4,)), BatchNormalization(), Dropout(0.9)], seed=1)
    x = nnx.Input((4,))
    model = nnx.Model(x, Dense(1)(part(x, training=False)), seed=1, dtype="float64")
    model.compile("adam", "mse")
    model.save(tmp_path / "m.safetensors")
    for other in (model, copy.deepcopy(model), nnx.load_model(tmp_path / "m.safetensors")):
        np.testing.assert_allclose(other(A, training=True), other.predict(A))
        other.fit(A, Y[:, :1], verbose=0)
        assert not other.layers[0].moving_mean.any()
    with pytest.raises(OptionError, match="training=True"):
        Dropout(0.5)(x, training=True)


def test_one_call_of_a_layer_may_be_as_in_prediction_and_another_not():
    x, noise = nnx.Input((50,)), Dropout(0.5)
    model = nnx.Model(x, Concatenate()([noise(x, training=False), noise(x), noise(x)]), seed=1)
    y = np.asarray(model(np.ones((2, 50)), training=True))
    assert (y[:, :50] == 1.0).all()
    assert set(np.unique(y[:, 50:])) == {0.0, 2.0}
    assert (y[:, 50:100] != y[:, 100:]).any(), "each call of a dropout layer has a mask of its own"


# -- deep graphs ---------------------------------------------------------------------------------------


def test_graphs_of_thousands_of_layers_need_no_recursion():
    x = y = nnx.Input((2,))
    for i in range(3000):
        y = Activation("tanh")(y) if i % 3 else y + x
    model = nnx.Model(x, Dense(1)(y), dtype="float64")
    model.compile("sgd", "mse")
    model.fit(A[:, :2], Y[:, :1], verbose=0)
    for way in (copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))):
        np.testing.assert_array_equal(way(model).predict(A[:, :2]), model.predict(A[:, :2]))
    assert len(repr(y)) < 100
    f, w = model.as_function()
    assert np.isfinite(nnx.grad(lambda w: f(w, A[:, :2])[0, 0])(w)["dense/kernel"]).all()


def test_merging_layers_of_one_input():
    x = nnx.Input((4,))
    for kind in (Add, Multiply, Average, Concatenate):
        np.testing.assert_array_equal(nnx.Model(x, kind()([x])).predict(A), A.astype("float32"))
    with pytest.raises(ShapeError, match="takes 2 input"):
        Subtract()([x])
