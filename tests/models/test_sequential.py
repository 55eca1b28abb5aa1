"""Stacks of layers: building, looking, changing."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import nnx
from nnx.errors import OptionError, ShapeError, UnknownName
from nnx.layers import Dense, Dropout, Input


def lectures_mlp():
    model = nnx.Sequential()
    model.add(Dense(512, activation="relu", input_shape=(784,)))
    model.add(Dropout(0.2))
    model.add(Dense(512, activation="relu"))
    model.add(Dropout(0.2))
    model.add(Dense(10, activation="softmax"))
    return model


def test_parameters_of_the_lectures_networks():
    assert lectures_mlp().count_params() == 669_706
    deep = nnx.Sequential(
        [Input((784,)), *[Dense(n, "tanh") for n in (2500, 2000, 1500, 1000, 500)], Dense(10)]
    )
    assert deep.count_params() == 11_972_510


def test_summary_shows_names_shapes_and_numbers(capsys):
    lectures_mlp().summary()
    text = capsys.readouterr().out
    for part in ("dense_1 (Dense)", "(None, 512)", "401,920", "Total params: 669,706 (2.55 MB)", "dropout_1"):
        assert part in text
    lines = []
    nnx.Sequential([Dense(3)]).summary(print_fn=lines.append)
    assert "?" in lines[0]
    assert "Not built" in lines[0]


def test_three_ways_to_say_the_input_shape_and_none():
    declared = nnx.Sequential([Input((4,)), Dense(3)], seed=1)
    first = nnx.Sequential([Dense(3, input_shape=(4,))], seed=1)
    built = nnx.Sequential([Dense(3)], seed=1)
    built.build((None, 4))
    deferred = nnx.Sequential([Dense(3)], seed=1)
    deferred.predict(np.zeros((2, 4)))
    for model in (first, built, deferred):
        for a, b in zip(declared.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    assert declared.input_shape == (None, 4)
    assert declared.output_shape == (None, 3)


def test_add_and_pop_keep_the_weights_below():
    model = nnx.Sequential([Dense(5, input_shape=(4,))])
    below = model.get_weights()
    model.add(Dense(3))
    np.testing.assert_array_equal(model.get_weights()[0], below[0])
    assert len(model.get_weights()) == 4
    model.pop()
    np.testing.assert_array_equal(model.get_weights()[0], below[0])
    assert model.output_shape == (None, 5)


def test_layers_know_their_weights():
    model = lectures_mlp()
    assert [layer.name for layer in model.layers] == ["dense", "dropout", "dense_1", "dropout_1", "dense_2"]
    kernel, bias = model.layers[2].get_weights()
    assert kernel.shape == (512, 512)
    model.layers[2].set_weights([np.ones_like(kernel), np.zeros_like(bias)])
    assert model.layers[2].get_weights()[0].min() == 1.0
    assert model.layers[2].units == 512
    assert model.layers[2].count_params() == 512 * 512 + 512
    assert model.layers[0].output_shape == (None, 512)


def test_get_weights_are_copies():
    model = nnx.Sequential([Dense(2, input_shape=(2,))])
    model.get_weights()[0][...] = 7.0
    assert np.abs(model.get_weights()[0]).max() < 7.0


def test_the_four_pixel_camera_with_weights_set_by_hand(backend):
    model = nnx.Sequential(
        [Dense(4, "tanh", input_shape=(4,)), Dense(4, "tanh"), Dense(8, "relu"), Dense(4, "softmax")],
        backend=backend,
    )
    assert model.count_params() == 116
    pairs = np.repeat(np.eye(4), 2, axis=1)
    weights = [
        [[1, 0, 1, 0], [0, 1, 0, 1], [1, 0, -1, 0], [0, 1, 0, -1]],
        [[1, -1, 0, 0], [1, 1, 0, 0], [0, 0, 1, -1], [0, 0, -1, -1]],
        pairs * np.tile([1.0, -1.0], 4),
        pairs.T,
    ]
    for layer, kernel in zip(model.layers, weights, strict=True):
        kernel = np.asarray(kernel, dtype="float32")
        layer.set_weights([kernel, np.zeros(kernel.shape[1], dtype="float32")])
    got = model.predict([np.asarray([[1.0, 1.0], [-1.0, -1.0]]).reshape(1, 4)])
    # the lectures print float32
    np.testing.assert_allclose(got, [[0.17831734, 0.17831734, 0.17831734, 0.465048]], rtol=1e-6)
    x, y = nnx.datasets.four_pixel_camera(400, seed=3)
    model.compile("adagrad", "sparse_categorical_crossentropy", metrics=["accuracy"])
    assert model.evaluate(x.reshape(-1, 4), y, verbose=0)[1] == 1.0


def test_the_seed_decides_the_weights_and_the_library_seed_the_seeds():
    a, b = (nnx.Sequential([Dense(3, input_shape=(4,))], seed=3) for _ in range(2))
    np.testing.assert_array_equal(a.get_weights()[0], b.get_weights()[0])
    runs = []
    for _ in range(2):
        nnx.utils.set_random_seed(11)
        runs.append([nnx.Sequential([Dense(3, input_shape=(4,))]).get_weights()[0] for _ in range(2)])
    np.testing.assert_array_equal(runs[0], runs[1])
    assert np.any(runs[0][0] != runs[0][1])


def test_double_precision_models(backend):
    model = nnx.Sequential([Dense(3, input_shape=(4,))], backend=backend, dtype="float64")
    y = model.predict(backend.asarray(np.ones((2, 4)), dtype="float64"))
    assert y.dtype == backend.adapter.dtype("float64")


@pytest.mark.parametrize("shape", [(), (1,), (3, 2)])
def test_single_numbers_and_more_axes(shape):
    model = nnx.Sequential([nnx.layers.Flatten(), Dense(1)])
    model.compile("adam", "mse")
    x = np.random.default_rng(0).random((12, *shape), dtype="float32")
    if shape:
        model.fit(x, np.zeros(12), verbose=0)
        assert model.predict(x).shape == (12, 1)


def test_one_input_and_one_output_take_plain_vectors():
    model = nnx.Sequential([Dense(8, "tanh", input_shape=(1,)), Dense(1)], seed=0)
    model.compile(nnx.optimizers.Adam(0.02), "mse")
    x, y = nnx.datasets.sinc(128, seed=0)
    history = model.fit(x, y, epochs=60, verbose=0).history["loss"]
    assert history[-1] < 0.5 * history[0]


def trained(backend, optimizer="adam", epochs=1):
    model = nnx.Sequential(
        [Dense(5, "relu", input_shape=(4,)), Dropout(0.2), Dense(1)], backend=backend, seed=1
    )
    model.compile(optimizer, "mse", metrics=["mae"])
    model.fit(EXAMPLES, EXAMPLES[:, 0], epochs=epochs, verbose=0)
    return model


EXAMPLES = np.random.default_rng(0).random((20, 4), dtype="float32")


def test_freezing_a_layer_of_a_model_keeps_its_weights_from_training(backend):
    model = trained(backend)
    before = model.get_weights()
    model.layers[0].trainable = False
    for u, v in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(u, v)
    model.fit(EXAMPLES, EXAMPLES[:, 0], verbose=0)
    same = [np.array_equal(u, v) for u, v in zip(before, model.get_weights(), strict=True)]
    assert same == [True, True, False, False]
    assert model.weights_vector.shape == (6,)
    model.trainable = False
    model.fit(EXAMPLES, EXAMPLES[:, 0], verbose=0)
    model.trainable = True
    assert model.weights_vector.shape == (31,)
    np.testing.assert_array_equal(before[0], model.get_weights()[0])


def test_attributes_of_layers_in_a_model_can_be_set_or_say_why_not():
    model = nnx.Sequential([Dense(5, "relu", input_shape=(4,)), Dense(1)])
    model.layers[0].activation = "tanh"
    model.layers[1].name = "out"
    assert model.layers[0].activation.name == "tanh"
    assert model.get_layer("out").units == 1
    x = np.ones((1, 4), dtype="float32")
    w, b, v, c = model.get_weights()
    np.testing.assert_allclose(model.predict(x), np.tanh(x @ w + b) @ v + c, rtol=1e-5)
    refused = {"units": 9, "use_bias": False, "activation": 3, "output_shape": (2,), "colour": "red"}
    for name, value in refused.items():
        with pytest.raises((OptionError, AttributeError), match=f"{name}|other weights"):
            setattr(model.layers[0], name, value)
    with pytest.raises(OptionError, match="named 'out'"):
        model.layers[0].name = "out"
    assert model.layers[0].units == 5


def test_weights_by_name_are_read_only_copies_and_can_be_assigned(backend):
    model = nnx.Sequential([Dense(2, input_shape=(3,))], backend=backend)
    layer = model.get_layer(index=0)
    np.testing.assert_array_equal(layer.kernel, model.get_weights()[0])
    with pytest.raises(ValueError, match="read-only"):
        layer.kernel[0, 0] = 1.0
    layer.bias = [1.0, 2.0]
    np.testing.assert_array_equal(model.get_weights()[1], [1.0, 2.0])
    with pytest.raises(ShapeError, match="'bias' of layer 'dense'"):
        layer.bias = [1.0]
    with pytest.raises(AttributeError, match="gamma"):
        layer.gamma  # noqa: B018
    for asked in ({"name": "conv"}, {"index": 1}, {}):
        with pytest.raises(UnknownName, match="It has: dense"):
            model.get_layer(**asked)


@pytest.mark.parametrize(
    "way",
    [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))],
    ids=["copy", "deepcopy", "pickle"],
)
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_copies_go_on_as_the_model_would_and_by_themselves(way, optimizer, backend):
    model = trained(backend, optimizer)
    other = way(model)
    before = other.get_weights()
    model.fit(EXAMPLES, EXAMPLES[:, 0], epochs=2, verbose=0)
    for u, v in zip(before, other.get_weights(), strict=True):
        np.testing.assert_array_equal(u, v)
    other.fit(EXAMPLES, EXAMPLES[:, 0], epochs=2, verbose=0)
    for u, v in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(u, v)
    assert other.layers[0].activation.function is nnx.activations.relu


def test_copies_of_models_with_functions_of_ones_own_and_without_weights():
    model = trained(None, epochs=0)
    model.compile("sgd", lambda y, p: (y - p)[:, 0] ** 2, metrics=[lambda y, p: abs(y - p)])
    np.testing.assert_array_equal(copy.deepcopy(model).predict(EXAMPLES), model.predict(EXAMPLES))
    assert not pickle.loads(pickle.dumps(nnx.Sequential([Dense(3)]))).built


def test_a_seed_of_a_layers_own_decides_its_noise():
    def noise(model_seed, **options):
        layers = [Dropout(0.5, input_shape=(50,), **options), nnx.layers.GaussianNoise(0.1, **options)]
        return nnx.Sequential(layers, seed=model_seed)(np.ones((2, 50), dtype="float32"), training=True)

    np.testing.assert_array_equal(noise(1, seed=7), noise(2, seed=7))
    assert np.any(noise(1) != noise(2))
    assert np.any(noise(1, seed=7) != noise(1, seed=8))
