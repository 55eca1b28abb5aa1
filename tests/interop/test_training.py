"""How a model is trained goes with it: loss, metrics, and the optimizer's state, for training to go on."""

from __future__ import annotations

import json
import zipfile

import h5py
import numpy as np
import pytest

import nnx
from nnx.errors import FileFormatError, UnknownName
from nnx.interop.keras.training import OTHER_FORM

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((64, 3)).astype("float32")
Y = RANDOM.standard_normal((64, 1)).astype("float32")

OPTIMIZERS = {
    "SGD": [{"learning_rate": 0.1}, {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True}],
    "RMSprop": [{}, {"momentum": 0.5, "centered": True}],
    "Adam": [{}, {"amsgrad": True}, {"use_ema": True}, {"clipnorm": 0.1}],
    "AdamW": [{}],
    "Adamax": [{}],
    "Nadam": [{}],
    "Adagrad": [{}],
    "Adadelta": [{"learning_rate": 0.1}],
    "Ftrl": [{}],
    "Lion": [{}],
    "Lamb": [{}],
}
CASES = [(name, options) for name, several in OPTIMIZERS.items() for options in several]


def theirs(keras, optimizer, loss="mse", metrics=("mae",)):
    keras.utils.set_random_seed(0)
    L = keras.layers  # noqa: N806
    model = keras.Sequential([keras.Input((3,)), L.Dense(4, "tanh"), L.BatchNormalization(), L.Dense(1)])
    model.compile(optimizer, loss, metrics=list(metrics))
    return model


def trained(model):
    model.fit(X, Y, epochs=2, verbose=0, shuffle=False)
    return model.predict(X, verbose=0)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_training_goes_on_where_it_stopped(name, options, keras, tmp_path):
    model = theirs(keras, getattr(keras.optimizers, name)(**options))
    trained(model)
    model.save(tmp_path / "x.keras")
    ours = nnx.load_model(tmp_path / "x.keras")
    assert ours.optimizer.iterations == 4 and type(ours.optimizer.configured).__name__ == name
    ours.save(tmp_path / "y.keras")
    again = keras.models.load_model(tmp_path / "y.keras")
    expected = trained(model)
    # 4 steps in float32 of two libraries: roundings of single gradients, divided by √v in Adam's family
    np.testing.assert_allclose(trained(ours), expected, atol=2e-5)
    np.testing.assert_array_equal(trained(again), expected)


SCHEDULES = {
    "ExponentialDecay": (0.1, 2, 0.5),
    "InverseTimeDecay": (0.1, 10, 0.5),
    "PiecewiseConstantDecay": ([2, 5], [0.1, 0.05, 0.01]),
    "PolynomialDecay": (0.1, 10),
    "CosineDecay": (0.1, 20),
    "CosineDecayRestarts": (0.1, 10),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(name, keras, tmp_path):
    rate = getattr(keras.optimizers.schedules, name)(*SCHEDULES[name])
    model = theirs(keras, keras.optimizers.SGD(rate, momentum=0.5))
    trained(model)
    model.save(tmp_path / "x.keras")
    ours = nnx.load_model(tmp_path / "x.keras")
    assert ours.learning_rate == pytest.approx(float(np.asarray(rate(4))), rel=1e-6)
    expected = trained(model)
    np.testing.assert_allclose(trained(ours), expected, atol=1e-6)  # as above, without a √v


@pytest.mark.parametrize("name", OTHER_FORM)
def test_a_memory_of_another_form_starts_anew_and_that_is_said(name, keras, tmp_path):
    model = theirs(keras, getattr(keras.optimizers, name)())
    trained(model)
    model.save(tmp_path / "x.keras")
    with pytest.warns(UserWarning, match=f"memory of {name} starts anew"):
        ours = nnx.load_model(tmp_path / "x.keras")
    assert ours.optimizer.iterations == 0


def test_a_rate_that_a_callback_changed(keras, tmp_path):
    model = theirs(keras, "adam")
    model.optimizer.learning_rate = 0.25
    model.save(tmp_path / "x.keras")
    ours = nnx.load_model(tmp_path / "x.keras")
    assert ours.learning_rate == 0.25
    ours.learning_rate = 0.125
    ours.save(tmp_path / "y.keras")
    assert float(keras.models.load_model(tmp_path / "y.keras").optimizer.learning_rate) == 0.125


def test_loss_and_metrics(keras, tmp_path):
    metrics = ["mae", "accuracy", keras.metrics.RootMeanSquaredError(name="rmse")]
    model = theirs(keras, "sgd", keras.losses.LogCosh(), metrics)
    expected = model.evaluate(X, Y, verbose=0, return_dict=True)
    model.save(tmp_path / "x.keras")
    ours = nnx.load_model(tmp_path / "x.keras")
    assert ours.metrics_names == ["loss", "mae", "accuracy", "rmse"]
    result = ours.evaluate(X, Y, verbose=0, return_dict=True)
    assert list(result.values()) == pytest.approx([expected[k] for k in ("loss", "mae", "accuracy", "rmse")])
    ours.save(tmp_path / "y.keras")
    again = keras.models.load_model(tmp_path / "y.keras")
    assert again.evaluate(X, Y, verbose=0, return_dict=True) == pytest.approx(expected)
    # where no optimizer is wanted
    assert nnx.load_model(tmp_path / "x.keras", compile=False).optimizer is None


def test_a_loss_of_ones_own(keras, tmp_path):
    def cubic(y_true, y_pred):
        return abs(y_true - y_pred) ** 3

    model = theirs(keras, "sgd", cubic)
    model.save(tmp_path / "x.keras")
    with pytest.raises(UnknownName, match="cubic"):
        nnx.load_model(tmp_path / "x.keras")
    ours = nnx.load_model(tmp_path / "x.keras", custom_objects={"cubic": cubic})
    assert ours.evaluate(X, Y, verbose=0)[0] == pytest.approx(model.evaluate(X, Y, verbose=0)[0], rel=1e-5)


def test_a_method_that_keras_does_not_have_leaves_the_model_alone(keras, tmp_path):
    model = nnx.Sequential([nnx.layers.Dense(2, "tanh", input_shape=(3,)), nnx.layers.Dense(1)])
    model.compile(nnx.optimizers.LevenbergMarquardt(), "mse")
    with pytest.warns(UserWarning, match="without loss, metrics and optimizer.*LevenbergMarquardt"):
        model.save(tmp_path / "x.keras")
    again = keras.models.load_model(tmp_path / "x.keras")
    np.testing.assert_allclose(again.predict(X, verbose=0), model.predict(X), atol=1e-6)
    assert nnx.load_model(tmp_path / "x.keras").optimizer is None


def damaged(path, change):
    """The same file with a change made to the HDF5 file of the weights."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    weights = path.with_suffix(".h5")
    weights.write_bytes(members["model.weights.h5"])
    with h5py.File(weights, "a") as file:
        change(file["optimizer/vars"])
    members["model.weights.h5"] = weights.read_bytes()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def _other_shape(group):
    del group["2"]
    group["2"] = np.zeros((7, 7), "f4")


def _step(value):
    def change(group):
        del group["0"]
        group["0"] = value

    return change


@pytest.mark.parametrize(
    "change",
    [lambda g: g.__delitem__("9"), _other_shape, _step(np.int32(-3)), _step(np.zeros(2, "i4"))],
)
def test_a_state_that_does_not_fit(change, tmp_path):
    model = nnx.Sequential([nnx.layers.Dense(4, input_shape=(3,)), nnx.layers.Dense(1)])
    model.compile("adam", "mse")
    trained(model)
    model.save(tmp_path / "x.keras")
    damaged(tmp_path / "x.keras", change)
    with pytest.raises(FileFormatError, match="state does not fit Adam"):
        nnx.load_model(tmp_path / "x.keras")
    assert nnx.load_model(tmp_path / "x.keras", compile=False).count_params() == 21


def test_the_version_that_a_file_names(tmp_path):
    model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(3,))])
    model.save(tmp_path / "x.keras")
    with zipfile.ZipFile(tmp_path / "x.keras") as archive:
        assert archive.namelist() == ["metadata.json", "config.json", "model.weights.h5"]
        assert json.loads(archive.read("metadata.json")) == {"keras_version": "3.12.0"}
