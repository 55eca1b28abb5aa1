"""Whole models of Keras': graphs, models inside models, objects of one's own; and nnx's opened by Keras."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass

import numpy as np
import pytest

import nnx
from nnx.errors import FileFormatError, OptionError, ShapeError, UnknownName


@pytest.fixture
def layers(keras):
    return keras.layers


def with_weights(model):
    random = np.random.default_rng(0)
    model.set_weights([random.uniform(0.5, 1.0, w.shape) for w in model.get_weights()])
    return model


def chain(keras, x):
    inner = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, "tanh"), keras.layers.BatchNormalization()]
    )
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(4), inner, keras.layers.Dense(2)])


def twice(keras, x):
    dense = keras.layers.Dense
    inner = keras.Sequential([keras.Input((4,)), dense(3, "tanh"), dense(4)])
    return keras.Model(x, dense(2)(inner(dense(4)(inner(dense(4)(x))))))


def shared(keras, x):
    one = keras.layers.Dense(4, "tanh")
    return keras.Model(x, keras.layers.Dense(1)(keras.layers.Add()([one(one(x)), x])))


def branches(keras, x):
    dense = keras.layers.Dense
    short, long = dense(4)(x), dense(4)(dense(4)(x))
    return keras.Model(x, dense(1)(keras.layers.Subtract()([long, short])))


def two_inputs_inside(keras, x):
    ends = [keras.Input((4,), name="u"), keras.Input((4,), name="v")]
    inner = keras.Model(ends, keras.layers.Dense(4)(keras.layers.Concatenate()(ends)))
    return keras.Model(x, keras.layers.Dense(1)(inner([keras.layers.Dense(4)(x), x])))


def operations(keras, x):
    y = keras.layers.Dense(4)(x)
    return keras.Model(x, keras.layers.Dense(2)((2.0 * y - x) / 4.0 + 1.0 - (-y) * x))


def three_deep(keras, x):
    dense = keras.layers.Dense
    inner = keras.Sequential(
        [keras.Input((4,)), dense(4), keras.Sequential([keras.Input((4,)), dense(4), dense(4)])]
    )
    return keras.Model(x, dense(1)(inner(x)))


GRAPHS = [chain, twice, shared, branches, two_inputs_inside, operations, three_deep]


@pytest.mark.parametrize("make", GRAPHS)
def test_graphs_there_and_back(make, keras, tmp_path):
    theirs = with_weights(make(keras, keras.Input((4,), name="x")))
    x = np.random.default_rng(1).uniform(-1, 1, (5, 4)).astype("float32")
    theirs.save(tmp_path / "of_keras.keras")
    model = nnx.load_model(tmp_path / "of_keras.keras")
    # float32 in two libraries, sums of a dozen products of numbers up to 20
    np.testing.assert_allclose(model.predict(x), theirs.predict(x, verbose=0), rtol=2e-6, atol=1e-6)
    model.save(tmp_path / "of_nnx.keras")
    again = keras.models.load_model(tmp_path / "of_nnx.keras")
    np.testing.assert_allclose(
        again.predict(x, verbose=0), theirs.predict(x, verbose=0), rtol=2e-6, atol=1e-6
    )


@pytest.mark.parametrize("make", GRAPHS)
@pytest.mark.parametrize("file", ["x.weights.h5", "x.h5", "x.keras"])
def test_their_weights_alone(make, file, keras, tmp_path):
    theirs = with_weights(make(keras, keras.Input((4,), name="x")))
    theirs.save(tmp_path / "of_keras.keras")
    model = nnx.load_model(tmp_path / "of_keras.keras")
    expected = model.get_weights()
    model.set_weights([np.zeros_like(w) for w in expected])
    (theirs.save_weights if "weights" in file else theirs.save)(tmp_path / file)
    model.load_weights(tmp_path / file)
    for a, b in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_model_inside_needs_the_names_where_nnx_made_the_model(keras, tmp_path):
    theirs = with_weights(twice(keras, keras.Input((4,), name="x")))
    theirs.save_weights(tmp_path / "x.weights.h5")
    model = nnx.Sequential([nnx.Input((4,)), *(nnx.layers.Dense(4) for _ in range(5))])
    with pytest.raises(ShapeError, match=r"found by their names.*load_model"):
        model.load_weights(tmp_path / "x.weights.h5")


def test_names_that_are_there_twice_are_told_apart(keras, tmp_path):
    dense = keras.layers.Dense
    inner = keras.Sequential([keras.Input((4,)), dense(4, name="same")])
    keras.Sequential([keras.Input((4,)), dense(4, name="same"), inner]).save(tmp_path / "x.keras")
    assert [layer.name for layer in nnx.load_model(tmp_path / "x.keras").layers] == ["same", "same_1"]


def test_training_false_of_a_call_means_nothing_in_keras_files(keras, tmp_path):
    # Keras writes it for some Dropouts that were called without it, and drops in training where it was said
    x, ones = keras.Input((100,)), np.ones((1, 100), "float32")
    for said in ({}, {"training": False}):
        theirs = keras.Model(x, keras.layers.Dropout(0.5)(x, **said))
        theirs.save(tmp_path / "x.keras")
        with zipfile.ZipFile(tmp_path / "x.keras") as archive:
            if said:
                assert b'"training": false' in archive.read("config.json")
        for model in (theirs, nnx.load_model(tmp_path / "x.keras")):
            assert 0.0 in np.asarray(model(ones, training=True))
    fixed = nnx.Input((100,))
    model = nnx.Model(fixed, nnx.layers.Dropout(0.5)(fixed, training=False))
    with pytest.warns(UserWarning, match="trained again in Keras"):
        model.save(tmp_path / "y.keras")


def test_double_precision_stays_double(keras, tmp_path):
    theirs = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, dtype="float64")])
    theirs.save(tmp_path / "x.keras")
    model = nnx.load_model(tmp_path / "x.keras")
    assert model.backend.dtype == "float64"
    np.testing.assert_array_equal(model.get_weights()[0], theirs.get_weights()[0])
    model.save(tmp_path / "y.keras")
    assert keras.models.load_model(tmp_path / "y.keras").layers[0].dtype == "float64"


def test_frozen_layers_and_penalties(keras, tmp_path):
    L = keras.layers  # noqa: N806
    theirs = keras.Sequential(
        [keras.Input((3,)), L.Dense(2, trainable=False), L.Dense(1, activity_regularizer="l2")]
    )
    theirs.compile("sgd", "mse")
    x, y = np.ones((4, 3), "float32"), np.zeros((4, 1), "float32")
    theirs.save(tmp_path / "x.keras")
    model = nnx.load_model(tmp_path / "x.keras")
    assert [layer.trainable for layer in model.layers] == [False, True]
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0), theirs.evaluate(x, y, verbose=0), rtol=1e-6)
    model.save(tmp_path / "y.keras")
    again = keras.models.load_model(tmp_path / "y.keras")
    np.testing.assert_allclose(again.evaluate(x, y, verbose=0), theirs.evaluate(x, y, verbose=0), rtol=1e-6)


def test_a_frozen_model_with_layers_that_have_nothing_to_freeze(keras, tmp_path):
    model = nnx.Sequential([nnx.Input((4, 2)), nnx.layers.SpatialDropout1D(0.5), nnx.layers.Dense(2)])
    model.trainable = False
    model.save(tmp_path / "x.keras")
    assert not keras.models.load_model(tmp_path / "x.keras").trainable_weights


# -- objects of one's own -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shift(nnx.layers.Layer):
    by: float = 1.0

    def forward(self, p, x):
        return x + self.by


def test_layers_of_ones_own_in_both_directions(keras, tmp_path):
    @keras.saving.register_keras_serializable("mine")
    class Shift_(keras.layers.Layer):  # noqa: N801
        def __init__(self, by=1.0, **options):
            super().__init__(**options)
            self.by = by

        def call(self, x):
            return x + self.by

        def get_config(self):
            return super().get_config() | {"by": self.by}

    keras.Sequential([keras.Input((2,)), Shift_(2.0)]).save(tmp_path / "x.keras")
    with pytest.raises(UnknownName, match=r"Unknown layer 'Shift_'"):
        nnx.load_model(tmp_path / "x.keras")
    for name in ("Shift_", "mine>Shift_"):
        model = nnx.load_model(tmp_path / "x.keras", custom_objects={name: Shift})
        np.testing.assert_array_equal(model.predict(np.zeros((1, 2))), [[2.0, 2.0]])


def test_functions_of_ones_own(keras, tmp_path):
    def cubed(x):
        return x * x * x

    theirs = keras.Sequential([keras.Input((2,)), keras.layers.Activation(cubed)])
    theirs.save(tmp_path / "x.keras")
    with pytest.raises(UnknownName, match="cubed"):
        nnx.load_model(tmp_path / "x.keras")
    model = nnx.load_model(tmp_path / "x.keras", custom_objects={"cubed": cubed})
    np.testing.assert_array_equal(model.predict(np.full((1, 2), 2.0)), [[8.0, 8.0]])


def test_a_registered_layer_of_ones_own_goes_to_keras(keras, tmp_path):
    @nnx.layers.register()
    @dataclass(frozen=True)
    class Halved(nnx.layers.Layer):
        share: float = 0.5

        def forward(self, p, x):
            return x * self.share

    class Theirs(keras.layers.Layer):
        def __init__(self, share=0.5, **options):
            super().__init__(**options)
            self.share = share

        def call(self, x):
            return x * self.share

    nnx.Sequential([Halved(0.25, input_shape=(2,))]).save(tmp_path / "x.keras")
    again = keras.models.load_model(tmp_path / "x.keras", custom_objects={"Halved": Theirs})
    np.testing.assert_array_equal(again.predict(np.ones((1, 2)), verbose=0), [[0.25, 0.25]])


def test_a_lambda_layer_is_refused(keras, tmp_path):
    keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: x * 2)]).save(tmp_path / "x.keras")
    with pytest.raises(OptionError, match="Lambda"):
        nnx.load_model(tmp_path / "x.keras")


def test_other_operations_are_refused_by_name(keras, tmp_path):
    x = keras.Input((2,))
    keras.Model(x, keras.ops.sin(x)).save(tmp_path / "x.keras")
    with pytest.raises(OptionError, match="operation Sin"):
        nnx.load_model(tmp_path / "x.keras")


def test_lengths_that_vary_are_refused(keras, tmp_path):
    keras.Sequential([keras.Input((None, 3)), keras.layers.Dense(2)]).save(tmp_path / "x.keras")
    with pytest.raises(OptionError, match="needs to know all lengths"):
        nnx.load_model(tmp_path / "x.keras")


def test_options_that_change_the_numbers_are_refused(keras, tmp_path):
    theirs = keras.Sequential([keras.Input((2,)), keras.layers.BatchNormalization(renorm=True)])
    theirs.save(tmp_path / "x.keras")
    with pytest.raises(OptionError, match="renorm=True"):
        nnx.load_model(tmp_path / "x.keras")


def test_a_class_derived_from_keras_model_gives_its_weights_alone(keras, tmp_path):
    @keras.saving.register_keras_serializable("mine")
    class Own(keras.Model):
        def __init__(self, **options):
            super().__init__(**options)
            self.dense = keras.layers.Dense(2)

        def call(self, x):
            return self.dense(x)

    theirs = Own()
    theirs(np.ones((1, 3)))
    theirs.save(tmp_path / "x.keras")
    with pytest.raises(OptionError, match=r"holds a Own.*load_weights"):
        nnx.load_model(tmp_path / "x.keras")
    with pytest.raises((ShapeError, FileFormatError), match=r"layers|dense"):
        nnx.Sequential([nnx.layers.Dense(2, input_shape=(3,))]).load_weights(tmp_path / "x.keras")
