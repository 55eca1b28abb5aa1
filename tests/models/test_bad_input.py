# ruff: noqa: C408 (the arguments of a call read best as one)
"""What users get wrong: an error that says what was asked and given and what to do; never a wrong answer."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx.errors import DataError, DtypeError, NotBuilt, OptionError, ShapeError, UnknownName
from nnx.layers import Dense, Dropout, Flatten, Input, Permute, Reshape

X = np.random.default_rng(0).random((20, 4), dtype="float32")
Y = np.eye(3, dtype="float32")[np.arange(20) % 3]


def model(loss="categorical_crossentropy"):
    m = nnx.Sequential([Dense(5, "relu", input_shape=(4,)), Dense(3, "softmax")])
    m.compile("sgd", loss, metrics=["accuracy"])
    return m


FIT = [
    (dict(x=X[:, :3], y=Y), ShapeError, r"samples of shape \(4,\), got x of shape \(20, 3\)"),
    (dict(x=X[0], y=Y[:4]), ShapeError, "got x of shape"),
    (dict(x=X, y=Y[:19]), ShapeError, "x has 20 samples, y has 19"),
    (dict(x=X, y=Y[:, :2]), ShapeError, r"outputs of shape \(3,\).*got y of shape \(20, 2\)"),
    (
        dict(x=X, y=np.arange(20) % 3),
        ShapeError,
        "sparse_categorical_crossentropy or nnx.utils.to_categorical",
    ),
    (dict(x=X[:0], y=Y[:0]), DataError, "empty"),
    (dict(x=X, y=Y, batch_size=0), OptionError, "batch_size.*at least 1.*got 0"),
    (dict(x=X, y=Y, batch_size=2.5), OptionError, "batch_size"),
    (dict(x=X, y=Y, epochs=-1), OptionError, "epochs.*got -1"),
    (dict(x=X, y=Y, validation_split=1.2), OptionError, r"validation_split.*\[0, 1\).*1.2"),
    (dict(x=X, y=Y, validation_split=0.99999), DataError, "empty"),
    (dict(x=X, y=Y, validation_data=(X,)), DataError, r"\(x, y\)"),
    (dict(x=X, y=Y, validation_data=(X, Y[:3])), ShapeError, "validation x has 20"),
    (dict(x=X, y=Y, sample_weight=np.ones(3)), ShapeError, "sample_weight has 3"),
    (dict(x=X, y=Y, sample_weight=np.full(20, np.nan)), DataError, "sample_weight has NaN"),
    (dict(x=X, y=Y, class_weight={0: "a"}), OptionError, "class_weight"),
    (dict(x=X, y=np.where(Y > 0, np.inf, 0.0)), DataError, "y has NaN or infinite"),
    (dict(x=X.astype("U4"), y=Y), DtypeError, "not numbers"),
    (dict(x=[[1.0, 2.0], [3.0]], y=Y), ShapeError, "equal length"),
    (dict(x=X, y=Y, verbose=7), OptionError, "verbose"),
    (dict(x=X), DataError, "y is missing"),
    (dict(x=X, y=Y, callbacks=[42]), (TypeError, ValueError), "allback"),
]


@pytest.mark.parametrize(("arguments", "error", "words"), FIT, ids=[w for _, _, w in FIT])
def test_fit_refuses(arguments, error, words):
    m = model()
    before = m.get_weights()
    with pytest.raises(error, match=words):
        m.fit(**{"verbose": 0, **arguments})
    for u, v in zip(before, m.get_weights(), strict=True):
        np.testing.assert_array_equal(u, v)


@pytest.mark.parametrize("label", [3, -1, 1.5])
def test_labels_out_of_range_are_found(label, backend):
    m = nnx.Sequential([Dense(3, "softmax", input_shape=(4,))], backend=backend)
    m.compile("sgd", "sparse_categorical_crossentropy")
    y = np.zeros(20)
    y[11] = label
    with pytest.raises(DataError, match=rf"y\[11\] is {label}.*whole numbers from 0 to 2"):
        m.fit(backend.asarray(X), backend.asarray(y), verbose=0)


def test_a_failed_fit_does_not_build():
    m = nnx.Sequential([Dense(3, "softmax")])
    m.compile("sgd", "categorical_crossentropy")
    with pytest.raises(ShapeError):
        m.fit(X, Y[:, :2], verbose=0)
    assert not m.built
    m.fit(X, Y, verbose=0)


def test_unbuilt_and_uncompiled_models_say_what_to_do():
    m = nnx.Sequential([Dense(3)])
    for use in (m.count_params, m.get_weights, lambda: m.layers[0].get_weights(), lambda: m.save("x")):
        with pytest.raises(NotBuilt, match="input_shape"):
            use()
    with pytest.raises(NotBuilt, match=r"compile"):
        m.fit(X, Y)
    with pytest.raises(NotBuilt, match=r"compile"):
        m.evaluate(X, Y)
    with pytest.raises(NotBuilt, match="no layers"):
        nnx.Sequential().predict(X)


def test_unknown_names_list_what_is_near():
    with pytest.raises(UnknownName, match="relu"):
        Dense(3, activation="rulu")
    with pytest.raises(UnknownName, match="categorical_crossentropy"):
        model("categorical_crosentropy")
    with pytest.raises(UnknownName, match="adam"):
        m = model()
        m.compile("adma", "mse")
    with pytest.raises(UnknownName, match="accuracy"):
        model().compile("adam", "mse", metrics=["acuracy"])
    with pytest.raises(OptionError, match="list"):
        model().compile("adam", "mse", metrics="accuracy")
    with pytest.raises(OptionError, match="loss"):
        model().compile("adam")


def test_compile_that_fails_leaves_the_model_compiled_as_it_was():
    m = model()
    with pytest.raises(UnknownName):
        m.compile("adam", "nonsense")
    assert type(m.optimizer).__name__ == "SGD"
    m.fit(X, Y, verbose=0)


def test_what_is_no_optimizer_or_loss_is_refused():
    for arguments in ({"optimizer": 3, "loss": "mse"}, {"optimizer": "sgd", "loss": 42}):
        with pytest.raises(OptionError, match="must be a name"):
            model().compile(**arguments)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Dense(4, input_dim=3), r"Dense has no argument 'input_dim'. Use input_shape=\(n,\)"),
        (lambda: Dense(4, activatoin="relu"), "Use activation"),
        (lambda: Dropout(p=0.2), "Use rate"),
        (lambda: Dense(0), "units"),
        (lambda: Dense(2.5), "units"),
        (lambda: Dense("relu"), "units"),
        (lambda: Dropout(1.0), "rate"),
        (lambda: Dropout(-0.1), "rate"),
        (lambda: Dropout(float("nan")), "rate"),
        (lambda: Input((0,)), "shape"),
        (lambda: Dense(3, input_shape=(None, None)), "input_shape"),
        (lambda: Reshape((-1, -1)), "-1"),
        (lambda: Permute((1, 3)), "permutation"),
    ],
)
def test_layers_refuse_impossible_options(make, words):
    with pytest.raises(OptionError, match=words):
        make()


def test_layers_that_do_not_fit_are_named_with_their_place():
    with pytest.raises(ShapeError) as caught:
        nnx.Sequential([Dense(5, input_shape=(4,)), Dense(3, input_shape=(4,))])
    assert "in layer 2 (Dense" in " ".join(caught.value.__notes__)
    with pytest.raises(ShapeError, match="Reshape cannot"):
        nnx.Sequential([Flatten(input_shape=(2, 3)), Reshape((4, 2))])
    m = nnx.Sequential([Dense(5, input_shape=(4,))])
    with pytest.raises(ShapeError):
        m.add(Dense(3, input_shape=(9,)))
    assert len(m.layers) == 1
    assert m.output_shape == (None, 5)


def test_add_explains_what_a_layer_is():
    with pytest.raises(OptionError, match="parentheses"):
        nnx.Sequential([Flatten])
    with pytest.raises(OptionError, match="needs a layer"):
        nnx.Sequential().add("dense")
    with pytest.raises(OptionError, match="first"):
        nnx.Sequential([Dense(2), Input((3,))])
    with pytest.raises(OptionError, match="named 'a'"):
        nnx.Sequential([Dense(2, name="a"), Dense(2, name="a")])


def test_weights_of_other_shapes_are_refused_and_nothing_changes():
    m = model()
    before = m.get_weights()
    with pytest.raises(ShapeError, match=r"'kernel' of layer 'dense_1' has shape \(5, 3\), got \(3, 5\)"):
        m.set_weights([*before[:2], before[2].T, before[3]])
    with pytest.raises(ShapeError, match="4 weight arrays, got 3"):
        m.set_weights(before[:3])
    for u, v in zip(before, m.get_weights(), strict=True):
        np.testing.assert_array_equal(u, v)


def test_learning_rates_that_cannot_be_are_refused():
    for bad in (-1.0, float("nan"), "fast"):
        with pytest.raises(OptionError, match="learning_rate"):
            nnx.optimizers.SGD(bad)
    m = model()
    m.fit(X, Y, verbose=0)
    with pytest.raises((OptionError, ValueError)):
        m.learning_rate = float("nan")
    assert m.learning_rate == 0.01


def test_nan_in_predict_is_found():
    bad = X.copy()
    bad[7, 1] = np.nan
    with pytest.raises(DataError, match="sample 7"):
        model().predict(bad)


def test_backends_and_types_that_do_not_exist():
    with pytest.raises(UnknownName, match="Known: numpy"):
        nnx.Sequential(backend="nympy")
    with pytest.raises(OptionError, match="float32"):
        nnx.Sequential(dtype="float16")
