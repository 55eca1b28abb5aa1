"""Losses as objects: Keras' calls and numbers, and what a model takes out of them."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest
from functions.targets import example

import nnx
from nnx import losses
from nnx.backend import namespace, to_numpy
from nnx.errors import OptionError, ShapeError
from nnx.registry import from_config, to_config

REDUCTIONS = ["sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None]
CLASSES = [
    ("MeanSquaredError", "regression"),
    ("MeanAbsoluteError", "regression"),
    ("MeanAbsolutePercentageError", "regression"),
    ("MeanSquaredLogarithmicError", "positive"),
    ("Huber", "regression"),
    ("LogCosh", "regression"),
    ("Poisson", "positive"),
    ("CosineSimilarity", "regression"),
    ("Hinge", "signs"),
    ("SquaredHinge", "signs"),
    ("CategoricalHinge", "categorical"),
    ("BinaryCrossentropy", "binary"),
    ("BinaryFocalCrossentropy", "binary"),
    ("CategoricalCrossentropy", "categorical"),
    ("CategoricalFocalCrossentropy", "categorical"),
    ("CategoricalGeneralizedCrossEntropy", "sparse"),
    ("SparseCategoricalCrossentropy", "sparse"),
    ("KLDivergence", "categorical"),
    ("Dice", "binary"),
    ("Tversky", "binary"),
]


@pytest.mark.parametrize(("name", "task"), CLASSES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
def test_a_call_is_keras_call(name, task, reduction, weighted, keras):
    y_true, y_pred = example(task)
    weight = np.random.default_rng(1).uniform(0, 2, len(y_pred)) if weighted else None
    expected = getattr(keras.losses, name)(reduction=reduction)(y_true, y_pred, weight)
    got = getattr(losses, name)(reduction=reduction)(y_true, y_pred, weight)
    assert got.shape == tuple(expected.shape)
    np.testing.assert_allclose(got, expected, rtol=1e-12)


@pytest.mark.parametrize(("name", "task"), CLASSES)
def test_it_is_the_same_on_every_backend_and_differentiable(name, task, backend):
    y_true, y_pred = example(task, n=3)
    loss = getattr(losses, name)()
    whole = y_true.dtype.kind == "i"
    y, p = (
        backend.asarray(y_true, dtype="int64" if whole else "float64"),
        backend.asarray(y_pred, dtype="float64"),
    )
    np.testing.assert_allclose(to_numpy(loss(y, p)), loss(y_true, y_pred), rtol=1e-12)
    nnx.check_derivatives(lambda p: loss(y, p), p, order=1)


def test_lists_are_taken(keras):
    y, p, w = [[0.0, 1.0], [0.0, 0.0]], [[1.0, 1.0], [1.0, 0.0]], [0.7, 0.3]
    for reduction in REDUCTIONS:
        expected = keras.losses.MeanSquaredError(reduction=reduction)(y, p, sample_weight=w)
        got = losses.MeanSquaredError(reduction=reduction)(y, p, sample_weight=w)
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, expected, rtol=1e-6)
    assert float(losses.MeanSquaredError()([[0, 1], [0, 0]], [[1, 1], [1, 0]])) == 0.5
    assert float(losses.SparseCategoricalCrossentropy()([1], [[0.5, 0.5]])) == pytest.approx(
        np.log(2), rel=1e-6
    )


def test_lists_beside_arrays_go_where_these_are(backend):
    p = backend.asarray([[1.0], [3.0]], dtype="float64")
    got = losses.MeanSquaredError()([[0.0], [0.0]], p, [1.0, 0.0])
    assert namespace(got) is backend.xp and float(to_numpy(got)) == 0.5
    assert float(to_numpy(losses.MeanSquaredError()(p, [[0.0], [0.0]]))) == 5.0


def test_strings_need_no_name_and_options_are_checked():
    loss = losses.Huber(2.0, "sum", "far")
    assert (loss.options, loss.reduction, loss.name) == ({"delta": 2.0}, "sum", "far")
    assert repr(loss) == "Huber(delta=2.0, reduction='sum', name='far')"
    assert losses.Huber().name == "huber" and isinstance(loss, losses.Huber) and isinstance(loss, losses.Loss)
    for make, message in (
        (lambda: losses.Huber(reduction="avg"), "reduction must be one of 'sum_over_batch_size', 'sum'"),
        (
            lambda: losses.Huber(dleta=1.0),
            "no argument 'dleta'. Use delta. Its arguments: delta, reduction, name",
        ),
        (lambda: losses.Huber(dtype="float32"), "dtype'. Use nothing in its place"),
        (lambda: losses.MeanSquaredError("sum", "a", "b"), "got 3 without a name: 'b' is too much"),
        (lambda: losses.MeanSquaredError("sum", reduction="sum"), "'reduction' twice"),
        (lambda: losses.Huber(delta=-1.0), "delta must be"),
    ):
        with pytest.raises(OptionError, match=message):
            make()


@pytest.mark.parametrize(
    "loss",
    [
        losses.Huber(2.0, reduction="sum"),
        losses.MeanSquaredError(name="error"),
        losses.CategoricalCrossentropy(label_smoothing=0.1),
        losses.CategoricalFocalCrossentropy(alpha=[0.1, 0.2, 0.7]),
        losses.Dice(axis=(1,)),
    ],
    ids=repr,
)
def test_they_can_be_saved_copied_and_pickled(loss):
    assert from_config(json.loads(json.dumps(to_config(loss)))) == loss
    assert pickle.loads(pickle.dumps(loss)) == loss == copy.deepcopy(loss)
    assert losses.get(loss) is loss and losses.get(to_config(loss)) == loss
    assert losses.get(losses.Huber) == losses.get("Huber") == losses.Huber()


class Cubic(losses.Loss):
    def __init__(self, scale=1.0, name="cubic", **options):
        super().__init__(name=name, **options)
        self.scale = scale

    def call(self, y_true, y_pred):
        return self.scale * abs(y_pred - y_true) ** 3


def test_a_class_of_ones_own_reduces_as_keras(keras):
    class Theirs(keras.losses.Loss):
        def call(self, y_true, y_pred):
            return 2.0 * abs(y_pred - y_true) ** 3

    y, p, w = np.zeros(4), np.asarray([1.0, 2.0, -1.0, 0.5]), np.asarray([1.0, 0.0, 2.0, 0.5])
    for reduction in REDUCTIONS:
        expected = Theirs(reduction=reduction)(y, p, w)
        np.testing.assert_allclose(Cubic(2.0, reduction=reduction)(y, p, w), expected, rtol=1e-12)


# -- one number for the batch -----------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weights", [None, [1.0, 0.5, 0.0, 2.0]])
def test_a_loss_in_one_number_is_weighted_as_in_keras(reduction, weights, keras):
    from keras.src.losses.loss import reduce_weighted_values

    weight = None if weights is None else np.asarray(weights)
    expected = reduce_weighted_values(np.asarray(3.0), weight, reduction=reduction)
    got = losses.reduce(np.asarray(3.0), weight, reduction)
    np.testing.assert_allclose(got, expected, rtol=1e-14)


def test_weights_whose_sum_is_zero_give_zero():
    assert losses.reduce(np.ones(3), np.zeros(3), "mean_with_sample_weight") == 0.0


def rmse(y_true, y_pred):
    return ((y_true - y_pred) ** 2).mean() ** 0.5


@pytest.mark.parametrize("given", [rmse, Cubic(reduction="sum_over_batch_size"), "dice"])
def test_models_take_weights_with_every_kind_of_loss(given):
    x = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")
    y = (x[:, :1] > 0).astype("float32")

    def trained(**options):
        model = nnx.Sequential([nnx.layers.Dense(1, "sigmoid", input_shape=(4,))], seed=1)
        model.compile(nnx.optimizers.SGD(0.1), given)
        model.fit(x, y, batch_size=16, verbose=0, **options)
        return (
            model.weights_vector
            if hasattr(model, "weights_vector")
            else np.concatenate([w.ravel() for w in model.get_weights()])
        )

    start = np.concatenate(
        [
            w.ravel()
            for w in nnx.Sequential([nnx.layers.Dense(1, "sigmoid", input_shape=(4,))], seed=1).get_weights()
        ]
    )
    plain, doubled = trained(), trained(sample_weight=np.full(16, 2.0))
    np.testing.assert_allclose(doubled - start, 2.0 * (plain - start), rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(trained(class_weight={0: 2.0, 1: 2.0}), doubled, rtol=1e-6)


# -- models -----------------------------------------------------------------------------------------------


def model(loss, optimizer="sgd", activation=None, **layer):
    made = nnx.Sequential(
        [nnx.layers.Dense(3, activation, input_shape=(4,), **layer)], dtype="float64", seed=1
    )
    made.compile(optimizer, loss)
    return made


X = np.random.default_rng(0).normal(size=(8, 4))
Y = np.random.default_rng(1).normal(size=(8, 3))
W = np.random.default_rng(2).uniform(0.5, 1.5, 8)


@pytest.mark.parametrize("given", ["mse", "MeanSquaredError", losses.mse, losses.MeanSquaredError,
                                   losses.MeanSquaredError()])  # fmt: skip
def test_every_way_to_name_a_loss_trains_alike(given):
    expected = model("mean_squared_error")
    made = model(given)
    assert made.fit(X, Y, verbose=0).history == expected.fit(X, Y, verbose=0).history


def test_the_sum_multiplies_the_gradient_by_the_samples():
    mean, total = model("mse"), model(losses.MeanSquaredError("sum"), nnx.optimizers.SGD(0.01 / 8))
    mean.compile(nnx.optimizers.SGD(0.01), "mse")
    a, b = (m.fit(X, Y, batch_size=8, sample_weight=W, verbose=0).history["loss"][0] for m in (mean, total))
    assert b == pytest.approx(8 * a, rel=1e-12)
    for u, v in zip(mean.get_weights(), total.get_weights(), strict=True):
        np.testing.assert_allclose(u, v, rtol=1e-12)


@pytest.mark.parametrize("reduction", [None, "none"])
def test_values_of_samples_cannot_be_minimised(reduction):
    with pytest.raises(OptionError, match=r"minimises one number.*Take another reduction"):
        model(losses.MeanSquaredError(reduction))


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean", "mean_with_sample_weight"])
@pytest.mark.parametrize("weight", [None, W])
def test_the_residual_of_an_object_is_that_of_its_reduction(reduction, weight, backend):
    loss = losses.MeanSquaredError(reduction)
    args = [backend.asarray(a, dtype="float64") for a in (Y, X[:, :3])]
    w = None if weight is None else backend.asarray(weight, dtype="float64")
    r = to_numpy(loss.residual(*args, w))
    assert np.sum(r * r) == pytest.approx(float(to_numpy(loss(*args, w))), rel=1e-12)
    assert losses.Huber().residual is None


@pytest.mark.parametrize("reduction", ["sum", "mean_with_sample_weight"])
def test_levenberg_marquardt_takes_every_reduction(reduction):
    made = model(losses.MeanSquaredError(reduction), "levenberg_marquardt")
    found = made.fit(X, Y, epochs=3, sample_weight=W, verbose=0).history["loss"][-1]
    values = losses.mse(Y, made.predict(X))
    best = np.linalg.lstsq(np.sqrt(W)[:, None] * np.c_[X, np.ones(8)], np.sqrt(W)[:, None] * Y, rcond=None)[0]
    expected = losses.reduce(losses.mse(Y, np.c_[X, np.ones(8)] @ best), W, reduction)
    assert found == pytest.approx(float(expected), rel=1e-8)
    assert float(losses.reduce(values, W, reduction)) == pytest.approx(found, rel=1e-8)


@pytest.mark.parametrize(
    "given", ["categorical_crossentropy", losses.CategoricalCrossentropy(label_smoothing=0.1)]
)
def test_the_canonical_activation_of_objects_is_used(given):
    made = model(given, activation="softmax", kernel_initializer=nnx.initializers.Constant(0.0))
    made.set_weights([w + 1000.0 * np.arange(w.shape[-1]) for w in made.get_weights()])
    hot = np.eye(3)[[0] * 8]
    # From probabilities the loss would stop at −ln 1e−7 = 16.1.
    assert made.evaluate(np.abs(X), hot, verbose=0) > 100.0


def test_a_loss_object_is_a_metric_too():
    made = model("mse")
    made.compile("sgd", "mse", metrics=[losses.MeanAbsoluteError(), losses.MeanSquaredError("sum", "total")])
    found = made.evaluate(X, Y, verbose=0, return_dict=True)
    p = made.predict(X)
    assert found["mean_absolute_error"] == pytest.approx(np.abs(p - Y).mean(), rel=1e-12)
    assert found["total"] == pytest.approx(np.sum(losses.mse(Y, p)), rel=1e-12)


def test_a_model_with_a_loss_object_is_saved(tmp_path):
    made = model(losses.Huber(2.0, reduction="sum", name="far"))
    made.fit(X, Y, verbose=0)
    made.save(tmp_path / "m.safetensors")
    again = nnx.load_model(tmp_path / "m.safetensors")
    assert again._wishes.loss == made._wishes.loss
    assert again.fit(X, Y, verbose=0).history == made.fit(X, Y, verbose=0).history


def test_values_of_other_lengths_are_still_refused():
    with pytest.raises(ShapeError, match="one number for each of the 8 samples"):
        model(lambda y, p: (p - y)[:3, 0]).fit(X, Y, verbose=0)
