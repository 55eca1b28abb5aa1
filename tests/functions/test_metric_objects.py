"""Metrics on their own, as in Keras; what Keras counts; and functions that return what they like."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from functions.targets import example

import nnx
from nnx import metrics
from nnx.backend import namespace, to_numpy
from nnx.errors import DtypeError, OptionError, ShapeError

RANDOM = np.random.default_rng(0)


def run(metric, y_true, y_pred, weight=None):
    """The result after two batches of different lengths."""
    for part in (slice(0, 5), slice(5, None)):
        metric.update_state(y_true[part], y_pred[part], None if weight is None else weight[part])
    return np.asarray(metric.result())


def labels(n=20, k=3, seed=1):
    random = np.random.default_rng(seed)
    return random.integers(0, k, n), random.integers(0, k, n)


def hot(a, k=3):
    return np.eye(k)[a]


CASES = [
    ("Accuracy", {}, labels()),
    ("TruePositives", {}, example("binary", n=20)),
    ("FalsePositives", {"thresholds": 0.3}, example("binary", n=20)),
    ("TrueNegatives", {"thresholds": [0.2, 0.5, 0.8]}, example("binary", n=20)),
    ("FalseNegatives", {"thresholds": [0.2, 0.9]}, example("binary", n=20)),
    ("FBetaScore", {"beta": 2.0}, example("categorical", n=20)),
    ("FBetaScore", {"average": "macro", "beta": 0.5}, example("categorical", n=20)),
    ("FBetaScore", {"average": "micro", "beta": 3.0, "threshold": 0.4}, example("binary", n=20)),
    ("FBetaScore", {"average": "weighted", "beta": 2.0}, example("categorical", n=20)),
    ("SensitivityAtSpecificity", {"specificity": 0.6}, example("binary", n=40, k=1)),
    ("SensitivityAtSpecificity", {"specificity": 0.4, "num_thresholds": 1}, example("binary", n=40, k=1)),
    ("SpecificityAtSensitivity", {"sensitivity": 0.6, "num_thresholds": 11}, example("binary", n=40)),
    ("SpecificityAtSensitivity", {"sensitivity": 0.3, "class_id": 1}, example("binary", n=40)),
    ("PrecisionAtRecall", {"recall": 0.7}, example("binary", n=40, k=1)),
    ("RecallAtPrecision", {"precision": 0.5}, example("binary", n=40)),
    ("RecallAtPrecision", {"precision": 1.0, "num_thresholds": 3}, example("binary", n=40)),
    ("IoU", {"num_classes": 3, "target_class_ids": [0, 2]}, labels()),
    ("IoU", {"num_classes": 3, "target_class_ids": (1,), "ignore_class": 2}, labels()),
    ("IoU", {"num_classes": 3, "target_class_ids": [0], "sparse_y_pred": False}, example("sparse", n=20)),
    ("MeanIoU", {"num_classes": 4}, labels()),
    ("MeanIoU", {"num_classes": 2}, labels()),
    ("BinaryIoU", {}, example("binary", n=20)),
    ("BinaryIoU", {"target_class_ids": [1], "threshold": 0.3}, example("binary", n=20)),
    ("OneHotIoU", {"num_classes": 3, "target_class_ids": [0, 1]}, example("categorical", n=20)),
    ("OneHotMeanIoU", {"num_classes": 3}, example("categorical", n=20)),
    ("OneHotMeanIoU", {"num_classes": 3, "sparse_y_pred": True}, (hot(labels()[0]), labels()[1])),
    ("PearsonCorrelation", {}, example("regression", n=20)),
    ("ConcordanceCorrelation", {}, example("regression", n=20)),
    ("LogCoshError", {}, example("regression", n=20)),
    ("KLDivergence", {}, example("categorical", n=20)),
    ("Hinge", {}, example("signs", n=20)),
    ("SquaredHinge", {}, example("signs", n=20)),
    ("CategoricalHinge", {}, example("categorical", n=20)),
    ("Poisson", {}, example("positive", n=20)),
    ("MeanSquaredError", {}, example("regression", n=20)),
    ("MeanAbsoluteError", {}, example("regression", n=20)),
    ("MeanAbsolutePercentageError", {}, example("regression", n=20)),
    ("MeanSquaredLogarithmicError", {}, example("positive", n=20)),
    ("RootMeanSquaredError", {}, example("regression", n=20)),
    ("R2Score", {}, example("regression", n=20)),
    ("AUC", {}, example("binary", n=20)),
    ("Precision", {}, example("binary", n=20)),
    ("SparseTopKCategoricalAccuracy", {"k": 2}, example("sparse", n=20)),
]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("name", "options", "data"), CASES, ids=[f"{n}-{o}" for n, o, _ in CASES])
def test_counts_as_keras_does(name, options, data, weighted, keras):
    y, p = data
    weight = RANDOM.integers(1, 4, len(y)).astype("float64") if weighted else None
    # Keras has no weights of samples there.
    each = weighted and name == "BinaryIoU"
    of_theirs = weight[:, None] * np.ones((1, 3)) if each else weight
    theirs = run(getattr(keras.metrics, name)(**options), y, p, of_theirs)
    ours = getattr(metrics, name)(**options)
    # Keras adds 1e-7 to some denominators, and counts in float32.
    np.testing.assert_allclose(run(ours, y, p, weight), theirs, rtol=3e-6, atol=1e-7)
    # Keras counts the objects of a class.
    assert getattr(keras.metrics, name)(**options).name.startswith(ours.name)


def test_the_state_is_kept_and_forgotten(keras):
    ours, theirs = metrics.MeanSquaredError(), keras.metrics.MeanSquaredError()
    y, p = example("regression", n=12)
    assert ours.result() == float(theirs.result()) == 0.0
    for part in (slice(0, 5), slice(5, None)):
        assert ours(y[part], p[part]) == pytest.approx(float(theirs(y[part], p[part])), rel=1e-12)
    ours.reset_state()
    assert ours.result() == 0.0
    assert ours(y[:3], p[:3]) == pytest.approx(np.mean((y[:3] - p[:3]) ** 2), rel=1e-14)


def test_the_state_is_no_part_of_what_a_metric_is(backend):
    metric = metrics.AUC()
    y, p = example("binary")
    metric.update_state(backend.asarray(y, dtype="float64"), backend.asarray(p, dtype="float64"))
    assert metric == metrics.AUC() and hash(metric) == hash(metrics.AUC())
    assert metric.result() == metric.value(to_numpy(metric.statistics(y, p)))
    assert copy.deepcopy(metric).result() == metric.result() == pickle.loads(pickle.dumps(metric)).result()


@pytest.mark.parametrize(
    "metric",
    [
        metrics.MeanSquaredError("x"),
        metrics.BinaryAccuracy(threshold=0.3),
        metrics.LogCoshError(),
        metrics.Mean("m"),
        metrics.Accuracy(),
    ],
    ids=repr,
)
def test_they_are_classes_that_can_be_pickled(metric):
    assert pickle.loads(pickle.dumps(metric)) == metric and type(metric).__name__ in repr(metric)
    assert isinstance(metric, metrics.Metric)


def test_a_metric_of_a_model_may_be_used_alone_meanwhile():
    metric = metrics.MeanAbsoluteError()
    metric.update_state([1.0], [3.0])
    model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(2,))])
    model.compile("sgd", "mse", metrics=[metric])
    model.fit(np.ones((8, 2)), np.zeros(8), verbose=0)
    assert metric.result() == 2.0


def test_accuracy_of_class_numbers_by_name_stays_that_by_shapes():
    y, p = np.asarray([1, 2, 3, 4]), np.asarray([0, 2, 3, 4])
    assert metrics.get("accuracy")(y, p) == metrics.Accuracy()(y, p) == 0.75
    assert metrics.get("accuracy")([0, 1], [[0.9, 0.1], [0.8, 0.2]]) == 0.5


# -- of values ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Mean", "Sum"])
@pytest.mark.parametrize(
    ("values", "weight"),
    [
        (3.0, None),
        (3.0, 2.0),
        ([1.0, 3.0, 5.0, 7.0], None),
        ([1, 3, 5, 7], [1, 1, 0, 0]),
        (RANDOM.normal(size=(4, 3)), None),
        (RANDOM.normal(size=(4, 3)), RANDOM.uniform(size=4)),
        (RANDOM.normal(size=(4, 3)), RANDOM.uniform(size=(4, 3))),
    ],
)
def test_means_and_sums_of_values_are_keras(name, values, weight, keras):
    ours, theirs = getattr(metrics, name)(), getattr(keras.metrics, name)()
    for _ in range(2):
        ours.update_state(values, sample_weight=weight)
        theirs.update_state(values, sample_weight=weight)
    assert ours.result() == pytest.approx(float(theirs.result()), rel=1e-6)  # Keras: float32 weights


def test_they_are_refused_as_metrics_of_a_model():
    model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(2,))])
    with pytest.raises(OptionError, match="of values, not of targets and outputs"):
        model.compile("sgd", "mse", metrics=[metrics.Mean()])


# -- functions that return what they like -------------------------------------------------------------------

RETURNED = [
    (lambda y, p: 0.25, 0.25),
    (lambda y, p: 1, 1.0),
    (lambda y, p: True, 1.0),
    (lambda y, p: np.float32(0.25), 0.25),
    (lambda y, p: np.int64(2), 2.0),
    (lambda y, p: np.bool_(True), 1.0),
    (lambda y, p: np.asarray(0.25), 0.25),
    (lambda y, p: [0.0, 1.0, 0.0, 1.0], 0.5),
    (lambda y, p: np.asarray([True, False, False, False]), 0.25),
    (lambda y, p: np.asarray([1, 2, 3, 4]), 2.5),
    (lambda y, p: y[:, 0] == y[:, 0], 1.0),
    (lambda y, p: namespace(p).max(p), 3.0),
]


@pytest.mark.parametrize(("function", "expected"), RETURNED, ids=range(len(RETURNED)))
def test_a_function_may_return_numbers_of_any_library(function, expected, backend):
    y, p = (backend.asarray(a, dtype="float64") for a in (np.zeros((4, 1)), np.arange(4.0)[:, None]))
    weight = backend.asarray(np.ones(4), dtype="float64")
    metric = metrics.get(function)
    for given in (None, weight):
        sums = metric.statistics(y, p, given)
        assert namespace(sums) is backend.xp
        assert metric.value(to_numpy(sums)) == expected


@pytest.mark.parametrize("returned", [None, "0.5", 1j, np.asarray([1j]), object()])
def test_what_is_no_number_is_refused(returned):
    with pytest.raises(DtypeError, match="metric 'odd' must return real numbers"):
        metrics.MeanMetricWrapper(lambda y, p: returned, "odd").statistics(np.zeros(2), np.zeros(2))


def test_numbers_of_batches_count_by_their_samples():
    metric = metrics.get(lambda y, p: float(np.max(p)))
    sums = metric.statistics(np.zeros(3), np.full(3, 2.0)) + metric.statistics(np.zeros(1), np.zeros(1))
    assert metric.value(sums) == 1.5


def scikit_learns():
    sk = pytest.importorskip("sklearn.metrics")
    return {
        "f1": lambda y, p: sk.f1_score(y[:, 0] > 0.5, p[:, 0] > 0.5),
        "accuracy": lambda y, p: sk.accuracy_score(y[:, 0] > 0.5, p[:, 0] > 0.5),
        "log_loss": lambda y, p: sk.log_loss(y[:, 0], p[:, 0], labels=[0, 1]),
        "zero_one": lambda y, p: sk.zero_one_loss(y[:, 0] > 0.5, p[:, 0] > 0.5, normalize=False),
    }


@pytest.mark.parametrize("name", ["f1", "accuracy", "log_loss", "zero_one"])
def test_scikit_learns_metrics_run_in_a_model(name):
    function = scikit_learns()[name]
    x = np.random.default_rng(0).normal(size=(64, 4))
    y = (x.sum(axis=1) > 0).astype("float32")
    model = nnx.Sequential([nnx.layers.Dense(1, "sigmoid", input_shape=(4,))], seed=1)
    model.compile("adam", "binary_crossentropy", metrics=[metrics.MeanMetricWrapper(function, name)])
    history = model.fit(x, y, batch_size=64, epochs=2, verbose=0).history
    assert len(history[name]) == 2
    found = model.evaluate(x, y, batch_size=64, verbose=0, return_dict=True)[name]
    assert found == pytest.approx(function(y[:, None], model.predict(x)), rel=1e-6)


def test_a_function_that_fails_on_a_library_says_which_arrays_it_got(backend):
    def strict(y_true, y_pred):
        if not isinstance(y_pred, np.ndarray):
            raise TypeError("I want NumPy.")
        return 1.0

    y = backend.asarray(np.zeros(2), dtype="float64")
    metric = metrics.get(strict)
    if backend.name == "numpy":
        assert metric(y, y) == 1.0
        return
    with pytest.raises(TypeError, match="NumPy") as caught:
        metric.statistics(y, y)
    assert f"got arrays of {backend.name}" in caught.value.__notes__[0]
    assert "nnx.to_numpy" in caught.value.__notes__[0]
    on_the_host = metrics.get(lambda y, p: strict(to_numpy(y), to_numpy(p)))
    assert on_the_host(y, y) == 1.0


# -- options and shapes --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: metrics.IoU(), TypeError, "num_classes"),
        (lambda: metrics.IoU(3, [3]), OptionError, "less than num_classes=3"),
        (lambda: metrics.IoU(0, [0]), OptionError, "num_classes must be a whole number >= 1"),
        (lambda: metrics.IoU(3, [-1]), OptionError, "target_class_ids must be class numbers"),
        (lambda: metrics.MeanIoU(2.5), OptionError, "num_classes must be"),
        (
            lambda: metrics.RecallAtPrecision(1.5),
            OptionError,
            "precision must be a finite",
        ),
        (lambda: metrics.PrecisionAtRecall(0.5, num_thresholds=0), OptionError, "num_thresholds must be"),
        (lambda: metrics.TruePositives(thresholds=[2.0]), OptionError, "thresholds must be"),
        (lambda: metrics.FBetaScore(beta=0.0), OptionError, "beta must be"),
        (lambda: metrics.Mean(dtype="float32"), OptionError, "nothing in its place"),
        (lambda: metrics.MeanMetricWrapper(3), OptionError, "fn must be a function"),
        (lambda: metrics.IoU(3, [0])([0, 1], [[0.1, 0.9], [0.3, 0.7]]), ShapeError, "sparse_y_pred=False"),
        (lambda: metrics.MeanIoU(3)([0, 1, 2], [0, 1, 2], [1.0, 1.0]), ShapeError, "sample_weight of shape"),
        (lambda: metrics.PrecisionAtRecall(0.5, class_id=3)(*example("binary")), ShapeError, "no class 3"),
    ],
)
def test_what_is_wrong_is_said(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_one_that_overrides_the_wrong_methods_is_told_which_to_write():
    class Kerass(metrics.Metric):
        def update_state(self, y_true, y_pred, sample_weight=None):
            pass

    with pytest.raises(NotImplementedError, match=r"must define statistics.*update_state stays as it is"):
        Kerass().statistics(np.zeros(2), np.zeros(2))


@pytest.mark.parametrize("name", ["MeanSquaredError", "RootMeanSquaredError", "MeanAbsoluteError", "R2Score"])
def test_sums_of_half_precision_do_not_overflow(name):
    n = 70_000  # more than float16 can count
    y = np.tile(np.asarray([0.0, 4.0], dtype=np.float16), n // 2)
    p = y + np.float16(0.5)
    found = getattr(nnx.metrics, name)()(y, p)
    expected = {"MeanSquaredError": 0.25, "R2Score": 1.0 - 0.25 / 4.0}.get(name, 0.5)
    np.testing.assert_allclose(found, expected, rtol=1e-6)  # added up in float32
    assert nnx.metrics.Sum()(y) == 2.0 * n
    assert nnx.metrics.Mean()(y) == 2.0
