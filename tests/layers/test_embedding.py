"""Embedding and Masking: rows and gradients, masks, ids out of range."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx.backend import to_numpy
from nnx.errors import DataError, OptionError, ShapeError

LAYERS = nnx.layers
IDS = np.asarray([[0, 3, 3], [1, 0, 4]])


def test_takes_rows_and_adds_up_their_gradients(backend):
    table = np.random.default_rng(0).normal(size=(5, 2))
    p = {"embeddings": backend.asarray(table, dtype="float64")}
    g = np.random.default_rng(1).normal(size=(2, 3, 2))
    layer = LAYERS.Embedding(5, 2)
    ids = backend.asarray(IDS, dtype="float64")
    y, pullback = nnx.vjp(lambda p: layer.forward(p, ids), p)
    np.testing.assert_array_equal(to_numpy(y), table[IDS])
    expected = np.zeros((5, 2))
    np.add.at(expected, IDS, g)
    found = pullback(backend.asarray(g, dtype="float64"))[0]["embeddings"]
    np.testing.assert_allclose(to_numpy(found), expected, rtol=1e-14)


def test_its_gradient_is_pytorchs():
    torch = pytest.importorskip("torch")
    table = np.random.default_rng(0).normal(size=(5, 2))
    theirs = torch.nn.Embedding(5, 2, _weight=torch.tensor(table))
    (theirs(torch.tensor(IDS)) ** 3).sum().backward()
    layer = LAYERS.Embedding(5, 2)
    mine = nnx.grad(lambda p: np.sum(layer.forward(p, IDS) ** 3))({"embeddings": table})
    np.testing.assert_allclose(mine["embeddings"], theirs.weight.grad.numpy(), rtol=1e-12)


@pytest.mark.parametrize("kind", ["int64", "int32", "uint8", "float32"])
def test_ids_of_every_kind_train(kind):
    x = (np.arange(24).reshape(8, 3) % 5).astype(kind)
    model = nnx.Sequential(
        [nnx.Input((3,)), LAYERS.Embedding(5, 4), LAYERS.Flatten(), LAYERS.Dense(5, "softmax")], seed=0
    )
    model.compile(nnx.optimizers.Adam(0.05), "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(x, x[:, 1].astype("int64"), epochs=60, verbose=0).history
    assert history["accuracy"][-1] == 1.0


def test_ids_out_of_range_are_refused_where_data_enter():
    model = nnx.Sequential([nnx.Input((3,)), LAYERS.Embedding(5, 2, name="words"), LAYERS.LSTM(2)])
    model.compile("sgd", "mse")
    for data, message in [
        (IDS + 1, "x goes from 1 to 5, but Embedding 'words' has rows for the ids 0 to 4"),
        (IDS - 1, "from -1 to 3"),
        (IDS + 0.5, "x has fractions"),
    ]:
        for call in (lambda x: model.fit(x, np.zeros((2, 2)), verbose=0), model.predict):
            with pytest.raises(DataError, match=message):
                call(data)
    # beyond that place nothing is looked at: the nearest row, as far as there are rows
    layer = model.layers[0]
    rows = layer.embeddings
    found = layer(np.asarray([[-3, 7, 2]]))
    np.testing.assert_array_equal(found[0], rows[[0, 4, 2]])


def test_more_ids_than_float32_holds():
    layer = LAYERS.Embedding((1 << 24) + 1, 1)
    with pytest.raises(OptionError, match="float32 cannot hold"):
        layer.forward({"embeddings": np.zeros((3, 1))}, np.zeros((1, 1), "float32"))
    with pytest.raises(ShapeError, match="single numbers"):
        layer.spec(())


@pytest.mark.parametrize("kind", ["SimpleRNN", "LSTM", "GRU"])
def test_the_mask_of_zeros_reaches_the_recurrent_layers_as_in_keras(keras, kind):
    ids = np.asarray([[0, 1, 2, 0, 3, 0], [0, 0, 0, 0, 0, 0], [2, 2, 1, 3, 0, 0]])
    theirs = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Embedding(4, 3, mask_zero=True),
            keras.layers.Bidirectional(getattr(keras.layers, kind)(2, return_sequences=True)),
            getattr(keras.layers, kind)(2, return_sequences=True, go_backwards=True),
            getattr(keras.layers, kind)(2),
        ]
    )
    mine = nnx.Sequential(
        [
            nnx.Input((6,)),
            LAYERS.Embedding(4, 3, mask_zero=True),
            LAYERS.Bidirectional(getattr(LAYERS, kind)(2, return_sequences=True)),
            getattr(LAYERS, kind)(2, return_sequences=True, go_backwards=True),
            getattr(LAYERS, kind)(2),
        ]
    )
    weights = [np.random.default_rng(k).normal(size=w.shape) for k, w in enumerate(theirs.get_weights())]
    theirs.set_weights(weights)
    mine.set_weights(weights)
    # float32, three layers
    np.testing.assert_allclose(mine.predict(ids), theirs.predict(ids, verbose=0), rtol=1e-4, atol=1e-5)


def test_masking_zeroes_steps_and_gives_their_mask(backend):
    x = backend.asarray([[[9.0, 9.0], [9.0, 1.0]], [[1.0, 9.0], [9.0, 9.0]]], dtype="float64")
    layer = LAYERS.Masking(9.0)
    np.testing.assert_array_equal(
        to_numpy(layer.forward({}, x)), [[[0.0, 0.0], [9.0, 1.0]], [[1.0, 9.0], [0.0, 0.0]]]
    )
    np.testing.assert_array_equal(to_numpy(layer.compute_mask([x], [None])), [[False, True], [True, False]])
    with pytest.raises(ShapeError, match="takes sequences"):
        layer.spec((3,))


def test_rows_of_a_table_for_levenberg_marquardt():
    x = np.random.default_rng(0).integers(0, 4, size=(40, 2))
    y = np.sin(x.sum(axis=1, keepdims=True) * 1.0)
    layers = [
        nnx.Input((2,)),
        LAYERS.Embedding(4, 2),
        LAYERS.Flatten(),
        LAYERS.Dense(6, "tanh"),
        LAYERS.Dense(1),
    ]
    model = nnx.Sequential(layers, dtype="float64", seed=0)
    model.compile("levenberg_marquardt", "mse")
    history = model.fit(x, y, epochs=60, verbose=0).history["loss"]
    assert history[-1] < 1e-8
