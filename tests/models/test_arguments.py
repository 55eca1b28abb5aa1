"""What may be written in ``compile``, ``fit``, ``evaluate`` and ``predict``, and what it means."""

from __future__ import annotations

import functools
from fractions import Fraction

import numpy as np
import pytest

import nnx
from nnx import losses, metrics
from nnx.backend import namespace, to_numpy
from nnx.errors import DataError, OptionError, ShapeError
from nnx.layers import Activation, Dense, Dropout, Reshape

RANDOM = np.random.default_rng(0)
X = RANDOM.random((24, 4), dtype="float32")
LABELS = np.arange(24) % 3
HOT = np.eye(3, dtype="float32")[LABELS]


def model(*layers, backend=None, **options):
    m = nnx.Sequential(layers or [Dense(3, "softmax")], backend=backend, seed=3)
    m.compile("sgd", **{"loss": "sparse_categorical_crossentropy", **options})
    return m


# -- what is computed is what the network says -------------------------------------------------------


def softmax(x):
    e = namespace(x).exp(0.1 * x)
    return e / namespace(x).sum(e, axis=-1, keepdims=True)


def sigmoid(x):
    return 1.0 / (1.0 + namespace(x).exp(-0.1 * x))


@functools.wraps(nnx.activations.softmax)
def softened(x):
    return nnx.activations.softmax(0.1 * x)


@pytest.mark.parametrize(
    ("activation", "loss"),
    [
        (softmax, "sparse_categorical_crossentropy"),
        (softened, "sparse_categorical_crossentropy"),
        (sigmoid, "binary_crossentropy"),
    ],
)
def test_a_users_function_with_the_name_of_nnxs_own_is_the_users(activation, loss, backend):
    y = HOT if loss == "binary_crossentropy" else LABELS
    m = model(Dense(3, activation), backend=backend, loss=loss)
    p = m.predict(X)
    kernel, bias = m.get_weights()
    np.testing.assert_allclose(p, activation(X @ kernel + bias), rtol=1e-5)
    expected = np.mean(losses.get(loss)(y, p.astype("float64")))
    assert m.evaluate(X, y, verbose=0) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("axis", [1, -2, 2, -1])
def test_cross_entropy_along_another_axis_than_softmax(axis):
    y = np.eye(4)[np.arange(24) % 4].reshape(24, 2, 2)
    loss = losses.CategoricalCrossentropy(axis=axis)
    m = model(Dense(4), Reshape((2, 2)), Activation("softmax"), loss=loss)
    expected = np.mean(loss(y, m.predict(X).astype("float64")))
    assert m.evaluate(X, y, verbose=0) == pytest.approx(expected, rel=1e-5)
    assert m.trainer.objective.linear == (axis in (-1, 2),)


def test_class_weights_are_for_training_only():
    weight = {0: 1.0, 1: 5.0, 2: 0.3}
    m, plain = model(), model()
    h = m.fit(X, LABELS, class_weight=weight, validation_split=0.25, verbose=0).history
    plain.fit(X[:18], LABELS[:18], sample_weight=[weight[i] for i in LABELS[:18]], verbose=0)
    assert h["loss"] == plain.history.history["loss"]
    assert h["val_loss"] == [plain.evaluate(X[18:], LABELS[18:], verbose=0)]


def test_a_column_of_sample_weights_is_a_vector_of_them(backend):
    w = backend.asarray(np.linspace(0.0, 2.0, 24), dtype="float32")
    m = model(backend=backend)
    m.build((4,))
    assert m.evaluate(X, LABELS, sample_weight=w[:, None], verbose=0) == m.evaluate(
        X, LABELS, sample_weight=w, verbose=0
    )
    with pytest.raises(ShapeError, match="one number for each sample"):
        m.evaluate(X, LABELS, sample_weight=np.ones((24, 3)), verbose=0)


# -- metrics ---------------------------------------------------------------------------------------


class Unnamed(metrics.Metric):
    def statistics(self, y_true, y_pred, sample_weight=None):
        return namespace(y_pred).sum(y_pred)[None]

    def value(self, sums):
        return float(sums[0])


def loss(y_true, y_pred):
    return y_pred[:, 0]


@pytest.mark.parametrize(
    ("plain", "weighted", "names"),
    [
        (["accuracy"], ["accuracy", "accuracy"], ["accuracy", "weighted_accuracy", "weighted_accuracy_1"]),
        (
            [metrics.BinaryAccuracy(threshold=t) for t in (0.3, 0.5, 0.7)],
            None,
            ["binary_accuracy", "binary_accuracy_1", "binary_accuracy_2"],
        ),
        ([metrics.Precision(class_id=i) for i in (0, 1)], None, ["precision", "precision_1"]),
        ([lambda y, p: p[:, 0], lambda y, p: p[:, 1]], None, ["<lambda>", "<lambda>_1"]),
        ([loss, Unnamed()], None, ["loss_1", "unnamed"]),
        (["ce", "accuracy"], ["mse"], ["ce", "accuracy", "mse"]),
    ],
)
def test_every_metric_is_reported_under_a_name_of_its_own(plain, weighted, names):
    m = model(loss="categorical_crossentropy", metrics=plain, weighted_metrics=weighted)
    m.build((4,))
    found = m.evaluate(X, HOT, sample_weight=np.linspace(0, 2, 24), return_dict=True, verbose=0)
    assert list(found) == m.metrics_names == ["loss", *names]
    things = [metrics.get(spec) for spec in [*plain, *(weighted or [])]]
    for thing, name, weights in zip(
        things, names, [None] * len(plain) + [np.linspace(0, 2, 24)] * 2, strict=False
    ):
        expected = thing.value(to_numpy(thing.statistics(HOT, m.predict(X), weights)))
        assert found[name] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("wrong", [[None], [[None]], [3]])
def test_what_is_no_metric_is_refused(wrong):
    with pytest.raises(OptionError, match="metrics takes names"):
        model(metrics=wrong)


# -- functions of any kind ---------------------------------------------------------------------------


def power(y_true, y_pred, p=2.0):
    return namespace(y_pred).mean(namespace(y_pred).abs(y_true - y_pred) ** p, axis=-1)


class Power:
    def __call__(self, y_true, y_pred):
        return power(y_true, y_pred)

    def method(self, y_true, y_pred):
        return power(y_true, y_pred)


@pytest.mark.parametrize("f", [power, functools.partial(power, p=2.0), Power(), Power().method, Power])
def test_whatever_can_be_called_is_a_loss_and_a_metric(f, backend):
    m, same = (model(backend=backend, loss=g, metrics=[g]) for g in (f, "mse"))
    for each in (m, same):
        each.fit(X, HOT, verbose=0)
    a, b = (np.asarray(each.evaluate(X, HOT, verbose=0)) for each in (m, same))
    np.testing.assert_allclose(a, b, rtol=1e-5)
    assert b[0] == pytest.approx(b[1])


@pytest.mark.parametrize("f", [np.tanh, functools.partial(nnx.activations.softmax, axis=-1)])
def test_whatever_can_be_called_is_an_activation(f):
    for layers in ([Dense(3), Activation(f)], [Dense(3, f)]):
        m = model(*layers, loss="mse")
        m.fit(X, HOT, verbose=0)
        kernel, bias = m.get_weights()
        np.testing.assert_allclose(m.predict(X), f(X @ kernel + bias), rtol=1e-5)
    m.compile("lm", "mse")
    before = m.evaluate(X, HOT, verbose=0)
    m.fit(X, HOT, epochs=3, verbose=0)
    assert m.evaluate(X, HOT, verbose=0) < before


def test_a_loss_of_ones_own_gets_the_targets_as_they_come(backend):
    def of_numbers(y, p):
        xp = namespace(p)
        y = xp.astype(y, xp.int64)[:, None] == xp.arange(3, device=nnx.backend.device_of(p))
        return -xp.sum(xp.where(y, xp.log(p), 0.0), axis=-1)

    m, same = (model(backend=backend, loss=g) for g in (of_numbers, "sparse_categorical_crossentropy"))
    for each in (m, same):
        each.fit(X, LABELS, validation_split=0.5, verbose=0)
    # float32: the other one computes from what goes into the softmax.
    for u, v in zip(m.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_allclose(u, v, rtol=1e-4, atol=1e-6)
    # But what would broadcast is made a column first.
    m = model(Dense(1), loss=lambda y, p: (y - p)[:, 0] ** 2)
    m.fit(X, X[:, 0], verbose=0)
    assert m.evaluate(X, X[:, 0], verbose=0) == pytest.approx(np.mean((m.predict(X)[:, 0] - X[:, 0]) ** 2))


@pytest.mark.parametrize(
    ("returned", "got"),
    [
        (lambda errors: None, "got a NoneType"),
        (lambda errors: 3.0, "got a float"),
        (lambda errors: errors[:3, 0], r"each of the 12 samples, .* got one of shape \(3,\)"),
    ],
)
def test_a_loss_that_is_not_about_every_sample_is_refused(returned, got, backend):
    def own_loss(y, p):
        return returned((y - p) ** 2)

    m = model(Dense(3, input_shape=(4,)), backend=backend, loss=own_loss)
    for call in (m.fit, m.evaluate):
        with pytest.raises(ShapeError, match=f"'own_loss' must return an array.*{got}"):
            call(X, HOT, batch_size=12, verbose=0)


def test_a_loss_may_be_one_number_for_the_batch(backend):
    def total(y, p):
        return namespace(p).mean((y - p) ** 2)

    m, same = (model(backend=backend, loss=loss) for loss in (total, "mse"))
    for each in (m, same):
        each.fit(X, HOT, verbose=0)
    for u, v in zip(m.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_allclose(u, v, rtol=1e-5, atol=1e-7)  # float32, added up in another order


# -- numbers and keywords ----------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, -1, False, 2.5])
def test_batch_sizes_that_cannot_be(size):
    m = model()
    with pytest.raises(OptionError, match=f"predict: batch_size must.* got {size}"):
        m.predict(X, batch_size=size)
    assert not m.built
    m.build((4,))
    with pytest.raises(OptionError, match=f"evaluate: batch_size must.* got {size}"):
        m.evaluate(X, LABELS, batch_size=size, verbose=0)
    with pytest.raises(OptionError, match=f"fit: validation_batch_size must.* got {size}"):
        m.fit(X, LABELS, validation_split=0.5, validation_batch_size=size, verbose=0)


def test_a_share_may_be_any_real_number():
    for share in (np.float32(0.25), np.float64(0.25), Fraction(1, 4)):
        m = model()
        m.fit(X, LABELS, validation_split=share, verbose=0)
        assert Dropout(share).rate == 0.25
    for wrong in ("a", float("nan"), True, np.asarray(0.25)):
        with pytest.raises(OptionError, match=r"validation_split must be a finite number >= 0 and < 1, got"):
            model().fit(X, LABELS, validation_split=wrong, verbose=0)


def test_validation_has_batches_of_its_own():
    seen = []

    def size(y, p):
        seen.append(len(p))
        return namespace(p).sum(p, axis=-1)

    m = model(loss="mse", metrics=[size])
    m.fit(X, HOT, batch_size=6, validation_split=0.5, validation_batch_size=4, verbose=0)
    assert seen == [6, 6, 4, 4, 4]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m: m.predict(X, steps=3), "predict has no argument 'steps'. Use fewer samples"),
        (
            lambda m: m.train_on_batch(X, LABELS, reset_metrics=True),
            "no argument 'reset_metrics'. Use nothing",
        ),
        (
            lambda m: m.partial_fit(X, LABELS, classes=[0, 1, 2]),
            "partial_fit has no argument 'classes'. Use no",
        ),
        (lambda m: m.fit(X, LABELS, steps_per_epoch=3), "fit has no argument 'steps_per_epoch'. Use batch_s"),
        (lambda m: m.fit(X, LABELS, nb_epoch=2), "Use epochs"),
        (lambda m: m.fit(X, LABELS, epoch=2), "Use epochs"),
        (lambda m: m.compile("sgd", "mse", run_eagerly=True), "every step runs as it is written"),
        (lambda m: m.compile("sgd", "mse", jit_compile=False), "every step runs as it is written"),
        (lambda m: m.compile("sgd", "mse", lr=0.1), "nnx.optimizers.Adam"),
        (lambda m: m.evaluate(X, LABELS, steps=3), "Use fewer samples"),
    ],
)
def test_keywords_of_keras_that_nnx_lacks_are_explained(call, words):
    with pytest.raises(OptionError, match=words):
        call(model())


# -- calls that fail -----------------------------------------------------------------------------------


def broken(y_true, y_pred):
    raise RuntimeError("broken metric")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"metrics": ["mse"]}, ShapeError),
        ({"metrics": [broken]}, RuntimeError),
        ({"optimizer": nnx.optimizers.Adam(mask=np.ones(7, bool))}, Exception),
        ({"optimizer": "lbfgs", "metrics": [broken]}, RuntimeError),
    ],
)
def test_a_call_that_fails_before_the_first_step_does_not_build(options, error):
    m = nnx.Sequential([Dense(3, "softmax")], seed=3)
    m.compile(**{"optimizer": "sgd", "loss": "sparse_categorical_crossentropy", **options})
    for call in (m.fit, m.train_on_batch):
        with pytest.raises(error):
            call(X, LABELS)
        assert not m.built
        assert m.weights_vector is None
    m.compile("sgd", "sparse_categorical_crossentropy")
    m.fit(X[:, :2], LABELS, verbose=0)
    assert m.input_shape == (None, 2)


def test_class_weights_of_a_regression_are_refused():
    m = model(Dense(1), loss="mse")
    with pytest.raises(DataError, match="class_weight"):
        m.fit(X, X[:, 0], class_weight={0: 2.0}, verbose=0)
