"""One contract for every metric of the registry, and for every loss as a metric; then single ones."""

from __future__ import annotations

import warnings
from operator import attrgetter

import numpy as np
import pytest
import tripwire
from functions.targets import example, same_defaults
from walks import walk

from nnx import losses, metrics
from nnx.backend import device_of, namespace, to_numpy
from nnx.errors import OptionError, ShapeError, UnknownName
from nnx.registry import from_config, to_config

ENTRIES = [
    e
    for e in metrics.registry
    if e.target is not metrics.MeanMetricWrapper and e.traits.task not in ("values", "other")
]
# What has no defaults, or takes class numbers as outputs.
ARGUMENTS = {
    "sensitivity_at_specificity": {"specificity": 0.6},
    "specificity_at_sensitivity": {"sensitivity": 0.6},
    "precision_at_recall": {"recall": 0.6},
    "recall_at_precision": {"precision": 0.6},
    "io_u": {"num_classes": 3, "target_class_ids": [0, 2], "sparse_y_pred": False},
    "mean_io_u": {"num_classes": 3, "sparse_y_pred": False},
    "one_hot_io_u": {"num_classes": 3, "target_class_ids": [0, 2]},
    "one_hot_mean_io_u": {"num_classes": 3},
    # Without an axis they are one number for the batch.
    "dice": {"axis": -1},
    "tversky": {"axis": -1},
}


def by_name(entries):
    return {"argvalues": entries, "ids": [e.name for e in entries]}


def data(entry, n=12, seed=0):
    task = entry.traits.task
    return example("categorical" if task == "labels" else task, n=n, seed=seed)


def made(entry):
    if entry.name in ARGUMENTS:
        return getattr(metrics, entry.class_name)(**ARGUMENTS[entry.name])
    return metrics.get(entry.target)


def on(backend, *arrays):
    return [backend.asarray(a, dtype="int64" if a.dtype.kind == "i" else "float64") for a in arrays]


def value(metric, *args):
    return metric.value(to_numpy(metric.statistics(*args)))


# -- the contract --------------------------------------------------------------------------------------


@walk("entry", ENTRIES, ids=attrgetter("name"))
def test_says_what_it_is(entry):
    assert entry.traits.use and entry.traits.task
    assert ">>>" in entry.target.__doc__
    assert (
        getattr(metrics, entry.name if not isinstance(entry.target, type) else entry.class_name)
        is entry.target
    )
    metric = made(entry)
    assert metric == metrics.get(metric)
    assert metric == getattr(metrics, entry.class_name)(**ARGUMENTS.get(entry.name, {}))
    assert entry.name in (*ARGUMENTS, "equality") or metrics.get(metric.name) == metric
    assert metric.direction in ("up", "down") or entry.name == "confusion_matrix"


@walk("entry", ENTRIES, ids=attrgetter("name"))
def test_is_the_same_on_every_backend_without_waiting_for_it(entry, backend):
    y_true, y_pred = data(entry)
    weight = np.linspace(0.5, 1.5, len(y_pred))
    metric = made(entry)
    args = on(backend, y_true, y_pred, weight)
    with tripwire.no_reads():
        statistics, weighted = metric.statistics(*args[:2]), metric.statistics(*args)
    assert namespace(statistics) is backend.xp and device_of(statistics) == backend.device
    np.testing.assert_allclose(
        to_numpy(statistics), metric.statistics(y_true, y_pred), rtol=1e-12, atol=1e-14
    )
    np.testing.assert_allclose(
        to_numpy(weighted), metric.statistics(y_true, y_pred, weight), rtol=1e-12, atol=1e-14
    )
    found = metric.value(to_numpy(statistics))
    assert isinstance(found, float | np.ndarray)


@walk("entry", ENTRIES, ids=attrgetter("name"))
def test_statistics_of_batches_add_up(entry):
    y_true, y_pred = data(entry)
    w = np.random.default_rng(1).uniform(0, 2, len(y_pred))
    metric = made(entry)
    whole = metric.statistics(y_true, y_pred, w)
    parts = [
        metric.statistics(y_true[s], y_pred[s], w[s]) for s in (slice(0, 5), slice(5, 6), slice(6, None))
    ]
    np.testing.assert_allclose(sum(parts), whole, rtol=1e-12, atol=1e-14)


@walk("entry", ENTRIES, ids=attrgetter("name"))
def test_a_weight_counts_as_so_many_examples(entry):
    y_true, y_pred = data(entry)
    times = np.asarray([0, 1, 2, 3] * 3)
    metric = made(entry)
    expected = value(metric, np.repeat(y_true, times, axis=0), np.repeat(y_pred, times, axis=0))
    for weight in (times.astype("float64"), times, times[:, None].astype("float32")):
        np.testing.assert_allclose(value(metric, y_true, y_pred, weight), expected, rtol=1e-6)


@pytest.mark.parametrize(
    "entry", **by_name([e for e in ENTRIES if e.name not in ("poisson", "confusion_matrix")])
)
def test_being_right_is_better_than_being_wrong(entry):
    y_true, y_pred = data(entry)
    right = np.eye(3)[y_true] if entry.traits.task == "sparse" else y_true
    best, some = (np.mean(value(made(entry), y_true, p)) for p in (right, y_pred))
    if "top_k" in entry.name:
        assert best == some == 1.0  # 3 classes are all among the best 5
    else:
        assert best > some if made(entry).direction == "up" else best < some


@walk("entry", ENTRIES, ids=attrgetter("name"))
def test_can_be_saved_and_read_again(entry):
    metric = made(entry)
    assert from_config(to_config(metric)) == metric
    assert metrics.get(to_config(metric)) == metric


@walk("entry", ENTRIES, ids=attrgetter("name"))
def test_of_no_examples_is_zero_and_silent(entry):
    y_true, y_pred = data(entry)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = value(made(entry), y_true, y_pred, np.zeros(len(y_pred)))
    # R² of no variance counts as met exactly.
    np.testing.assert_array_equal(
        found, np.ones_like(found) if entry.name == "r2score" else np.zeros_like(found)
    )


@pytest.mark.parametrize(
    "entry",
    **by_name([e for e in losses.registry if not isinstance(e.target, type) and e.traits.task != "other"]),
)
def test_every_loss_is_a_metric(entry):
    if entry.name == "cosine_similarity":
        return  # the metric of that name has the other sign
    y_true, y_pred = data(entry)
    metric = metrics.get(entry.name)
    assert metric.direction == "down" and metric.name == entry.name
    np.testing.assert_allclose(value(metric, y_true, y_pred), np.mean(entry.target(y_true, y_pred)))
    by_object = metrics.get(getattr(losses, entry.class_name)())
    assert by_object == type(by_object)(name=entry.name) and type(metrics.get(entry.target)) is type(
        by_object
    )


# -- other libraries -----------------------------------------------------------------------------------


def in_batches(metric, y_true, y_pred, weight):
    for part in (slice(0, 5), slice(5, None)):
        metric.update_state(y_true[part], y_pred[part], None if weight is None else weight[part])
    return np.asarray(metric.result())


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("name", "options", "task"),
    [
        ("BinaryAccuracy", {}, "binary"),
        ("BinaryAccuracy", {"threshold": 0.3}, "binary"),
        ("CategoricalAccuracy", {}, "categorical"),
        ("SparseCategoricalAccuracy", {}, "sparse"),
        ("TopKCategoricalAccuracy", {"k": 2}, "categorical"),
        ("SparseTopKCategoricalAccuracy", {"k": 2}, "sparse"),
        ("SparseTopKCategoricalAccuracy", {"k": 1}, "sparse"),
        ("Precision", {}, "binary"),
        ("Precision", {"thresholds": [0.2, 0.5, 0.7]}, "binary"),
        ("Precision", {"top_k": 2}, "binary"),
        ("Precision", {"class_id": 1}, "binary"),
        ("Recall", {}, "binary"),
        ("Recall", {"thresholds": 0.4}, "binary"),
        ("Recall", {"top_k": 2, "class_id": 2}, "binary"),
        ("F1Score", {}, "categorical"),
        ("F1Score", {"average": "macro"}, "categorical"),
        ("F1Score", {"average": "micro"}, "categorical"),
        ("F1Score", {"average": "weighted"}, "categorical"),
        ("F1Score", {"average": "macro", "threshold": 0.4}, "binary"),
        ("AUC", {}, "binary"),
        ("AUC", {"curve": "PR"}, "binary"),
        ("AUC", {"num_thresholds": 7, "summation_method": "minoring"}, "binary"),
        ("AUC", {"num_thresholds": 7, "summation_method": "majoring", "curve": "PR"}, "binary"),
        ("AUC", {"num_thresholds": 7, "curve": "PR"}, "binary"),
        ("R2Score", {}, "regression"),
        ("R2Score", {"class_aggregation": None}, "regression"),
        ("R2Score", {"class_aggregation": "variance_weighted_average"}, "regression"),
        ("RootMeanSquaredError", {}, "regression"),
        ("CosineSimilarity", {}, "regression"),
        ("MeanSquaredError", {}, "regression"),
        ("MeanAbsolutePercentageError", {}, "regression"),
        ("CategoricalCrossentropy", {"label_smoothing": 0.1}, "categorical"),
        ("BinaryCrossentropy", {"from_logits": True}, "binary"),
        ("KLDivergence", {}, "categorical"),
    ],
)
def test_equals_keras(name, options, task, weighted, keras):
    y_true, y_pred = example(task, n=20, k=4)
    weight = np.random.default_rng(2).uniform(0, 2, 20) if weighted else None
    expected = in_batches(getattr(keras.metrics, name)(**options), y_true, y_pred, weight)
    got = value(getattr(metrics, name)(**options), y_true, y_pred, weight)
    # Keras adds 1e-7 to the denominators of the F1 score, and counts for the AUC in float32.
    np.testing.assert_allclose(got, expected, rtol=3e-7 if name in ("F1Score", "AUC") else 1e-12)


@pytest.mark.parametrize(
    ("y_true", "y_pred"),
    [
        ((8, 1), (8, 1)), ((8,), (8, 1)), ((8, 3), (8, 3)), ((8,), (8, 3)), ((8, 1), (8, 3)),
        ((8, 5, 3), (8, 5, 3)), ((8, 5), (8, 5, 3)),
    ],
)  # fmt: skip
def test_accuracy_chooses_as_keras_does(y_true, y_pred, keras):
    from keras.src.trainers.compile_utils import get_metric

    random = np.random.default_rng(0)
    p = random.random(y_pred)
    y = random.integers(0, 2, y_true)
    theirs = get_metric("accuracy", y, p)
    theirs.update_state(y, p)
    assert value(metrics.get("accuracy"), y, p) == pytest.approx(float(theirs.result()))


@pytest.mark.parametrize(
    "entry",
    **by_name(
        [
            e
            for e in ENTRIES
            if e.name not in ("accuracy", "equality", "crossentropy", "confusion_matrix")
            and losses.registry.find(e.target) is None
        ]
    ),
)
def test_defaults_are_those_of_keras(entry, keras):
    same_defaults(entry.target, getattr(keras.metrics, entry.class_name))


def test_equals_scikit_learn():
    sk = pytest.importorskip("sklearn.metrics")
    labels, p = example("sparse", n=60, k=4)
    w = np.random.default_rng(5).uniform(0, 2, 60)
    guess = np.argmax(p, axis=-1)
    for average in (None, "micro", "macro", "weighted"):
        f1 = value(metrics.F1Score(average=average), labels, p, w)
        np.testing.assert_allclose(f1, sk.f1_score(labels, guess, average=average, sample_weight=w))
    matrix = value(metrics.ConfusionMatrix(), labels, p, w)
    np.testing.assert_allclose(matrix, sk.confusion_matrix(labels, guess, sample_weight=w))
    accuracy = value(metrics.get("accuracy"), labels, p, w)
    assert accuracy == pytest.approx(sk.accuracy_score(labels, guess, sample_weight=w))
    assert accuracy == pytest.approx(np.trace(matrix) / matrix.sum())
    for k in (1, 2, 3):
        top = value(metrics.SparseTopKCategoricalAccuracy(k=k), labels, p, w)
        assert top == pytest.approx(sk.top_k_accuracy_score(labels, p, k=k, sample_weight=w))

    y, q = example("binary", n=200, k=1)
    weight = np.random.default_rng(6).uniform(0, 2, 200)
    for name in ("precision", "recall"):
        expected = getattr(sk, name + "_score")(y[:, 0], q[:, 0] > 0.5, sample_weight=weight)
        assert value(metrics.get(name), y, q, weight) == pytest.approx(expected)
    matrix = value(metrics.ConfusionMatrix(), y, q, weight)
    np.testing.assert_allclose(matrix, sk.confusion_matrix(y[:, 0], q[:, 0] > 0.5, sample_weight=weight))
    # 200 thresholds stand for all: the area is known to about 1/200.
    expected = sk.roc_auc_score(y[:, 0], q[:, 0], sample_weight=weight)
    assert value(metrics.AUC(), y, q, weight) == pytest.approx(expected, abs=5e-3)
    assert value(metrics.AUC(20_000), y, q, weight) == pytest.approx(expected, abs=5e-5)

    t, f = example("regression", n=50, k=3)
    weight = np.random.default_rng(7).uniform(0, 2, 50)
    for aggregation, multioutput in ((None, "raw_values"), ("uniform_average",) * 2,
                                     ("variance_weighted_average", "variance_weighted")):  # fmt: skip
        expected = sk.r2_score(t, f, multioutput=multioutput, sample_weight=weight)
        np.testing.assert_allclose(value(metrics.R2Score(aggregation), t, f, weight), expected)
    rmse = value(metrics.get("rmse"), t[:, 0], f[:, 0], weight)
    assert rmse == pytest.approx(sk.root_mean_squared_error(t[:, 0], f[:, 0], sample_weight=weight))


# -- single metrics ------------------------------------------------------------------------------------


def test_a_function_of_ones_own_is_a_metric(backend):
    def within_a_tenth(y_true, y_pred):
        return namespace(y_pred).abs(y_pred - y_true)[..., 0] < 0.1

    metric = metrics.get(within_a_tenth)
    y, p = on(backend, np.zeros((4, 1)), np.asarray([[0.0], [0.05], [0.5], [-0.01]]))
    assert metric.name == "within_a_tenth" and metric.direction is None
    assert value(metric, y, p) == 0.75

    def largest(y_true, y_pred):
        return namespace(y_pred).max(y_pred)

    metric = metrics.get(largest)
    both = [to_numpy(metric.statistics(y[part, :], p[part, :])) for part in (slice(0, 4), slice(0, 1))]
    assert metric.value(sum(both)) == pytest.approx((4 * 0.5 + 1 * 0.0) / 5)


def test_a_class_of_ones_own_is_a_metric():
    class Largest(metrics.Metric):
        def statistics(self, y_true, y_pred, sample_weight=None):
            return np.sum(y_pred)[None]

        def value(self, sums):
            return float(sums[0])

    assert value(metrics.get(Largest(name="largest")), np.zeros(2), np.ones(2)) == 2.0
    assert metrics.get(Largest).direction is None


def test_a_new_metric_touches_one_place():
    before = dict(metrics.registry._entries), dict(metrics.registry._names)
    try:

        @metrics.registry.register(use="for this test", task="regression", direction="down")
        def worst_output(y_true, y_pred, *, power=1.0):
            return namespace(y_pred).max(abs(y_pred - y_true) ** power, axis=-1)

        assert metrics.worst_output is worst_output
        assert metrics.WorstOutput(power=2.0, name="w").name == "w"
        assert value(metrics.WorstOutput(power=2.0), np.zeros((2, 2)), np.full((2, 2), 3.0)) == 9.0
    finally:
        metrics.registry._entries, metrics.registry._names = before


def test_names_are_those_that_were_asked_for():
    assert metrics.get("acc").name == "acc"
    assert metrics.get("accuracy").name == "accuracy"
    assert metrics.get("MSE").name == "MSE"
    assert metrics.get("f1_score").name == "f1_score"
    assert metrics.get(losses.Huber(delta=2.0)).name == "huber"
    assert metrics.BinaryAccuracy(name="b", threshold=0.3).name == "b"
    assert metrics.Precision(name="p").name == "p"
    assert metrics.get(None) is None
    assert {"BinaryAccuracy", "AUC", "MeanSquaredError"} <= set(dir(metrics))
    with pytest.raises(UnknownName, match=r"Did you mean 'accuracy'.*mean_squared_error"):
        metrics.get("acuracy")
    with pytest.raises(AttributeError, match="no metric"):
        metrics.NoSuchThing  # noqa: B018


def test_class_numbers_serve_where_rows_do(backend):
    labels, p = example("sparse", n=20)
    hot = np.eye(3)[labels]
    for metric in (metrics.Precision(), metrics.Recall(class_id=1), metrics.F1Score(), metrics.AUC(),
                   metrics.ConfusionMatrix()):  # fmt: skip
        expected = value(metric, hot, p)
        np.testing.assert_allclose(value(metric, *on(backend, labels, p)), expected, rtol=1e-12)
        np.testing.assert_allclose(value(metric, *on(backend, labels[:, None], p)), expected, rtol=1e-12)


def test_crossentropy_is_chosen_by_the_shapes(backend):
    labels, p = example("sparse", n=20)
    for y, q, loss in (
        (labels, p, losses.sparse_categorical_crossentropy),
        (labels[:, None], p, losses.sparse_categorical_crossentropy),
        (np.eye(3)[labels], p, losses.categorical_crossentropy),
        ((labels > 0)[:, None] * 1.0, p[:, :1], losses.binary_crossentropy),
    ):
        expected = np.mean(loss(y, q))
        assert value(metrics.get("ce"), *on(backend, y, q)) == pytest.approx(expected, rel=1e-12)
    assert metrics.get("crossentropy").name == "crossentropy"


def test_sequences_are_weighted_by_example_or_by_position(keras):
    random = np.random.default_rng(0)
    y, p = random.integers(0, 3, (6, 4)), random.random((6, 4, 3))
    for weight in (random.random(6), random.random((6, 4))):
        theirs = keras.metrics.SparseCategoricalAccuracy()
        theirs.update_state(y, p, weight)
        got = value(metrics.get("accuracy"), y, p, weight)
        assert got == pytest.approx(float(theirs.result()))


def test_ties_and_nan_in_top_k():
    y = np.asarray([[0.0, 1.0, 0.0]] * 3)
    p = np.asarray([[0.5, 0.5, 0.0], [0.1, np.nan, 0.2], [np.nan, 0.5, 0.4]])
    np.testing.assert_array_equal(metrics.top_k_categorical_accuracy(y, p, k=1), [1.0, 0.0, 0.0])
    np.testing.assert_array_equal(metrics.top_k_categorical_accuracy(y, p, k=2), [1.0, 0.0, 1.0])


def test_top_1_is_accuracy():
    y, p = example("categorical", n=50, k=6)
    top = metrics.top_k_categorical_accuracy(y, p, k=1)
    np.testing.assert_array_equal(top, metrics.categorical_accuracy(y, p))


def test_f1_of_one_output_uses_a_threshold_of_a_half():
    y, p = np.asarray([[1.0], [0.0], [1.0]]), np.asarray([[0.9], [0.2], [0.4]])
    assert value(metrics.F1Score(average="macro"), y, p) == pytest.approx(2 / 3)
    assert value(metrics.F1Score(average="macro"), y[:, 0], p[:, 0]) == pytest.approx(2 / 3)


def test_auc_takes_logits_and_does_not_hide_nan():
    y, p = example("binary", n=50)
    logits = np.log(p / (1 - p))
    assert value(metrics.AUC(from_logits=True), y, logits) == pytest.approx(value(metrics.AUC(), y, p))
    p[3, 1] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(value(metrics.AUC(), y, p))


def test_auc_is_the_trapezoidal_rule_over_its_thresholds():
    y, p = example("binary", n=50, k=2)
    w = np.random.default_rng(0).uniform(0, 2, (50, 1)) * np.ones((1, 2))
    limits = np.asarray([-1e-7, *np.arange(1, 9) / 9, 1 + 1e-7])
    hits, alarms = (
        np.asarray([np.sum((w * kind)[p > t]) / np.sum(w * kind) for t in limits]) for kind in (y, 1 - y)
    )
    assert value(metrics.AUC(10), y, p, w[:, 0]) == pytest.approx(-np.trapezoid(hits, alarms), rel=1e-13)


def test_r2_of_targets_far_from_zero_keeps_its_digits_in_float32():
    random = np.random.default_rng(0)
    y = (1000.0 + random.standard_normal(500)).astype("float32")
    p = y + 0.1 * random.standard_normal(500).astype("float32")
    exact = 1 - np.sum((y - p).astype("float64") ** 2) / np.sum((y - y.astype("float64").mean()) ** 2)
    assert value(metrics.R2Score(), y, p) == pytest.approx(exact, rel=1e-7)


@pytest.mark.parametrize(("offset", "spread"), [(1e8, 3.0), (1e6, 0.1), (-1e7, 1.0)])
def test_r2_of_targets_far_from_zero_is_exact_however_they_are_cut(offset, spread, backend):
    random = np.random.default_rng(0)
    y = offset + spread * random.standard_normal((301, 2))
    p = y + 0.5 * spread * random.standard_normal((301, 2))
    centred = y - y.mean(axis=0)  # its error matters in second order only
    exact = np.mean(1 - np.sum((y - p) ** 2, axis=0) / np.sum(centred**2, axis=0))
    metric, (y, p) = metrics.R2Score(), on(backend, y, p)
    parts = [to_numpy(metric.statistics(y[i : i + 7, :], p[i : i + 7, :])) for i in range(0, 301, 7)]
    # 1e-20·(offset / spread)², where the spread is 3 beside 1e8 at the least
    for found in (value(metric, y, p), metric.value(sum(parts))):
        assert found == pytest.approx(exact, abs=2e-5)


def test_r2_of_a_ramp_far_from_zero():
    ramp = np.arange(10.0)[:, None]
    y = 1e8 + ramp
    assert value(metrics.R2Score(), y, y + 0.01) == pytest.approx(1 - 10 * 1e-4 / 82.5, rel=1e-7)


def test_r2_of_a_constant_target():
    y = np.full((5, 1), 0.1)
    assert value(metrics.R2Score(), y, y) == 1.0
    assert value(metrics.R2Score(), y, y + 1.0) == 0.0
    weighted = metrics.R2Score("variance_weighted_average")
    assert value(weighted, y, y) == 1.0
    assert value(weighted, y, y + 1.0) == 0.0
    random_weights = np.random.default_rng(0).uniform(0, 2, 5)
    assert value(metrics.R2Score(), y, y + 1.0, random_weights) == 0.0


def test_accuracy_of_class_numbers_compares_them():
    y = np.asarray([1, 2, 3, 4])
    assert value(metrics.Accuracy(), y, np.asarray([0, 2, 3, 4])) == 0.75


@pytest.mark.parametrize(
    "entry",
    **by_name(
        [e for e in metrics.registry if isinstance(e.target, type) and e.name != "mean_metric_wrapper"]
    ),
)
def test_an_unknown_option_is_answered_with_the_known_ones(entry):
    with pytest.raises(OptionError, match=r"has no argument 'multi_label'\. .*Its arguments: .*name"):
        entry.target(multi_label=True)


def test_a_metric_of_ones_own_may_take_its_own_arguments():
    class Counted(metrics.Metric):
        def __init__(self, times, **others):
            super().__init__(name=f"counted_{times}_{len(others)}")

    assert Counted(3, more=1).name == "counted_3_1"


def test_options_out_of_range_are_refused():
    for make in (
        lambda: metrics.Precision(thresholds=1.5),
        lambda: metrics.Recall(thresholds=(0.5, -0.1)),
        lambda: metrics.Recall(top_k=0),
        lambda: metrics.F1Score(average="mean"),
        lambda: metrics.F1Score(threshold=0.0),
        lambda: metrics.AUC(num_thresholds=1),
        lambda: metrics.AUC(curve="roc"),
        lambda: metrics.AUC(summation_method="sum"),
        lambda: metrics.R2Score("mean"),
        lambda: metrics.BinaryAccuracy(treshold=0.3),
        lambda: metrics.BinaryAccuracy(threshold="a"),
        lambda: metrics.BinaryAccuracy(3.0),
        lambda: metrics.AUC(num_thresholds=2.5),
        lambda: metrics.Precision(top_k=1.5),
        lambda: metrics.Precision(class_id=1.0),
        lambda: metrics.Recall(thresholds=[]),
        lambda: metrics.Recall(thresholds="0.5"),
        lambda: metrics.F1Score(threshold="a"),
        lambda: metrics.TopKCategoricalAccuracy(k=0),
        lambda: metrics.CosineSimilarity(axis=1.5),
    ):
        with pytest.raises(OptionError, match=r"must be| is |has no argument"):
            make()
    assert metrics.Precision(thresholds=np.float32(0.5), class_id=np.int64(1)).class_id == 1
    with pytest.raises(OptionError, match="threshold"):
        metrics.binary_accuracy(np.zeros((2, 1)), np.zeros((2, 1)), threshold=3.0)
    with pytest.raises(OptionError, match="k"):
        metrics.top_k_categorical_accuracy(np.eye(3), np.eye(3), k=0)
    with pytest.raises(ShapeError, match="class 5"):
        metrics.Precision(class_id=5).statistics(np.eye(3), np.eye(3))
    with pytest.raises(ShapeError):
        metrics.F1Score().statistics(np.zeros((4, 2)), np.zeros((4, 3)))
