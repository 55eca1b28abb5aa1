"""What methods that take all data at once minimise in ``fit``, and which losses and layers they refuse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

import nnx
from nnx.backend import namespace
from nnx.errors import OptionError
from nnx.layers import Dense, Layer, Spec, Weight
from nnx.optimizers import Deterministic, registry

ENTRIES = [e for e in registry if issubclass(e.target, Deterministic)]
SQUARES = [e for e in ENTRIES if e.traits.least_squares]
OTHERS = [e for e in ENTRIES if not e.traits.least_squares]
BAYESIAN = "bayesian_regularization"


def each(entries):
    return pytest.mark.parametrize("method", [e.name for e in entries])


def curve(outputs=1):
    random = np.random.default_rng(0)
    x = random.uniform(-1.0, 1.0, (60, 1))
    return x, np.sin(3.0 * x + 0.5 * np.arange(outputs)) + 0.1 * random.standard_normal((60, outputs))


def network(method, *layers, loss="mse", **options):
    model = nnx.Sequential(layers, dtype="float64", seed=1)
    model.compile(method, loss, **options)
    return model


# -- what is refused ----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Centred(Layer):
    """What comes in, less its mean over the batch."""

    mixes_samples: ClassVar[bool] = True

    def spec(self, input_shape):
        return Spec(input_shape)

    def forward(self, p, x):
        return x - namespace(x).mean(x, axis=0)


@each(SQUARES)
def test_layers_that_mix_samples_are_refused_by_name(method):
    x, y = curve()
    layers = Dense(4, "tanh", input_shape=(1,)), Centred(name="centre"), Dense(1)
    with pytest.raises(OptionError, match=r"'centre'.*mixes the samples.*lbfgs"):
        network(method, *layers).fit(x, y, verbose=0)
    losses = network("lbfgs", *layers).fit(x, y, epochs=60, verbose=0).history["loss"]
    assert losses[-1] < 0.2 * losses[0]


def classes(n=90):
    random = np.random.default_rng(3)
    labels = np.arange(n) % 3
    centres = np.asarray([[0.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    return centres[labels] + 0.3 * random.standard_normal((n, 2)), nnx.utils.to_categorical(labels, 3)


def classifier(method, loss="categorical_crossentropy"):
    layers = Dense(5, "tanh", input_shape=(2,)), Dense(3, "softmax")
    return network(method, *layers, loss=loss, metrics=["accuracy"])


@each(SQUARES)
def test_cross_entropy_is_refused_and_another_method_named(method):
    with pytest.raises(OptionError, match=r"sum of squares.*categorical_crossentropy.*optimizer='lbfgs'"):
        classifier(method).fit(*classes(), verbose=0)


@each(OTHERS)
def test_cross_entropy_is_learned_by_methods_with_gradients(method):
    record = classifier(method).fit(*classes(), epochs=40, verbose=0).history
    assert record["accuracy"][-1] >= 0.95
    assert record["loss"][-1] < 0.5 * record["loss"][0]


# -- what is minimised --------------------------------------------------------------------------------------


@each([e for e in ENTRIES if e.name != BAYESIAN])
def test_weighted_samples_several_outputs_and_l2_penalties_have_the_optimum_of_the_normal_equations(method):
    random = np.random.default_rng(4)
    x, weight, penalty = random.normal(size=(30, 3)), random.uniform(0.0, 2.0, 30), 0.05
    y = x @ random.normal(size=(3, 2)) + random.normal(size=(30, 2))
    l2 = nnx.regularizers.L2(penalty)
    model = network(method, Dense(2, kernel_regularizer=l2, input_shape=(3,)))
    record = model.fit(x, y, sample_weight=weight, epochs=400, verbose=0)
    ones = np.column_stack([x, np.ones(30)])
    weighted = ones.T * (weight / y.size)
    expected = np.linalg.solve(weighted @ ones + penalty * np.diag([1.0, 1.0, 1.0, 0.0]), weighted @ y)
    kernel, bias = model.get_weights()
    # methods with gradients end where the gradient has lost 11 digits, in float64 at the least 7
    np.testing.assert_allclose(np.vstack([kernel, bias]), expected, rtol=1e-6, atol=1e-7)
    errors = np.mean((ones @ expected - y) ** 2, axis=1)
    cost = np.mean(weight * errors) + penalty * np.sum(expected[:3] ** 2)
    assert record.history["loss"][-1] == pytest.approx(cost, rel=1e-10)


def test_the_optimum_of_levenberg_marquardt_with_a_penalty_is_one_for_bfgs_too():
    x, y = curve(outputs=2)
    l2 = nnx.regularizers.L1L2(0.0, 1e-3)
    layers = [
        Dense(3, "tanh", kernel_regularizer=l2, bias_regularizer=l2, input_shape=(1,)),
        Dense(2, kernel_regularizer=l2),
    ]
    found = network("lm", *layers)
    record = found.fit(x, y, epochs=500, verbose=0)
    model = network("bfgs", *layers)
    model.set_weights(found.get_weights())
    again = model.fit(x, y, epochs=50, verbose=0)
    assert again.history["loss"][-1] == pytest.approx(record.history["loss"][-1], rel=1e-9)
    for a, b in zip(model.get_weights(), found.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_penalties_that_are_no_squares_are_refused():
    first = Dense(4, "tanh", kernel_regularizer="l1", name="first", input_shape=(1,))
    with pytest.raises(OptionError, match=r"first/kernel.*no sum of squares.*lbfgs"):
        network("lm", first, Dense(1)).fit(*curve(), verbose=0)
    with pytest.raises(OptionError, match=r"finds the penalty.*levenberg_marquardt"):
        network(BAYESIAN, Dense(1, kernel_regularizer="l2", input_shape=(1,))).fit(*curve(), verbose=0)


@pytest.mark.parametrize("method", ["levenberg_marquardt", "lbfgs"])
def test_weights_of_classes_are_weights_of_their_samples(method):
    x, y = classes()
    each_sample = np.where(np.argmax(y, axis=1) == 2, 3.0, 1.0)
    a, b = classifier(method, "mse"), classifier(method, "mse")
    a.fit(x, y, epochs=5, verbose=0, class_weight={2: 3.0})
    b.fit(x, y, epochs=5, verbose=0, sample_weight=each_sample)
    for u, v in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(u, v)
    plain = classifier(method, "mse").fit(x, y, epochs=5, verbose=0)
    assert a.history.history["loss"][-1] != pytest.approx(plain.history["loss"][-1], rel=1e-3)


class Centre(Layer):
    """A user's layer that mixes samples, and does not say so."""

    def forward(self, p, x):
        return x - namespace(x).mean(x, axis=0, keepdims=True)


class Stretch(Layer):
    """A user's layer with a weight, sample by sample."""

    def spec(self, input_shape):
        return Spec(input_shape, (Weight("stretch", input_shape, nnx.initializers.Constant(1.5)),))

    def forward(self, p, x):
        return x * p["stretch"]


def test_rows_of_a_users_layer_are_checked_once():
    def model(layer):
        layers = [Dense(3, "tanh", input_shape=(1,)), layer, Dense(1)]
        made = nnx.Sequential(layers, dtype="float64", seed=1)
        made.compile("levenberg_marquardt", "mse")
        return made

    x = np.linspace(-1.0, 1.0, 20)[:, None]
    record = model(Stretch()).fit(x, np.sin(x), epochs=20, verbose=0)
    assert record.history["loss"][-1] < 1e-6
    mixed = model(Centre())
    mixed.build((1,))
    before = mixed.get_weights()
    with pytest.raises(OptionError, match=r"'centre'.* mixes the samples.*lbfgs"):
        mixed.fit(x, np.sin(x), verbose=0)
    for old, new in zip(before, mixed.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
