"""Learning curves, activations, gradients by layer: the numbers that are drawn."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib import pyplot as plt

import nnx
from nnx.errors import DataError, NonFiniteError, NotBuilt, OptionError, UnknownName
from nnx.layers import BatchNormalization, Dense, Dropout
from nnx.plotting import activation, gradient_norms, learning_curves

X = np.random.default_rng(0).normal(size=(40, 3))
T = np.sin(X.sum(axis=1))


def network(*layers, optimizer="sgd", backend=None):
    layers = layers or (Dense(5, "tanh", input_shape=(3,)), Dense(4, "sigmoid"), Dense(1))
    model = nnx.Sequential(layers, seed=3, dtype="float64", backend=backend)
    model.compile(optimizer, "mse", metrics=["mean_absolute_error"])
    return model


# -- learning curves ------------------------------------------------------------------------------------


def test_the_curves_are_the_history():
    history = network().fit(X, T, epochs=4, validation_split=0.25, verbose=0)
    ax = learning_curves(history, "mean_absolute_error")
    training, validation = ax.lines
    np.testing.assert_array_equal(training.get_xdata(), [1, 2, 3, 4])
    np.testing.assert_array_equal(training.get_ydata(), history.history["mean_absolute_error"])
    np.testing.assert_array_equal(validation.get_ydata(), history.history["val_mean_absolute_error"])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["training", "validation"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "mean absolute error")
    assert training.get_linestyle() != validation.get_linestyle()
    assert training.get_color() != validation.get_color()


@pytest.mark.parametrize(("freq", "epochs"), [(2, [2, 4]), ([1, 3], [1, 3])])
def test_validations_stand_at_their_epochs(freq, epochs):
    history = network().fit(X, T, epochs=5, validation_split=0.25, validation_freq=freq, verbose=0)
    assert learning_curves(history, validation_freq=freq).lines[1].get_xdata() == pytest.approx(epochs)
    with pytest.raises(DataError, match=r"holds 2 validations of 5 epochs.*validation_freq=1 .* 5"):
        learning_curves(history)


def test_epochs_count_on_from_the_initial_one():
    history = network().fit(X, T, initial_epoch=3, epochs=5, verbose=0)
    assert list(learning_curves(history).lines[0].get_xdata()) == [4, 5]


def test_several_trainings_on_one_ax_differ():
    ax = learning_curves({"loss": [2.0, 1.0], "val_loss": [2.0, 1.5]}, label="SGD")
    learning_curves({"loss": [1.0, 0.5], "val_loss": [1.0, 0.9]}, label="Adam", ax=ax)
    assert [curve.get_label() for curve in ax.lines] == [
        "SGD: training",
        "SGD: validation",
        "Adam: training",
        "Adam: validation",
    ]
    assert len({curve.get_color() for curve in ax.lines}) == 4


def test_ticks_that_were_chosen_for_an_ax_stay():
    _, ax = plt.subplots()
    ax.set_xticks([1, 2, 3])
    nnx.plotting.learning_curves({"loss": [3.0, 2.0, 1.0]}, ax=ax)
    np.testing.assert_array_equal(ax.get_xticks(), [1, 2, 3])
    _, ax = plt.subplots()
    ax.set_xscale("log")
    assert len(nnx.plotting.learning_curves({"loss": [3.0, 2.0, 1.0]}, ax=ax).lines) == 1


def test_a_metric_that_is_not_there_lists_those_that_are():
    with pytest.raises(OptionError, match=r"no metric 'accuracy'\. It has: 'loss', 'mae'"):
        learning_curves({"loss": [1.0], "mae": [1.0], "val_loss": [1.0]}, "accuracy")
    with pytest.raises(OptionError, match="without 'val_'"):
        learning_curves({"loss": [1.0], "val_loss": [1.0]}, "val_loss")


@pytest.mark.parametrize(
    ("history", "error", "match"),
    [
        ([1.0, 2.0], OptionError, "must be what fit returned"),
        ({}, OptionError, "It has: none"),
        ({"loss": []}, DataError, "no epoch of 'loss'"),
        ({"loss": [np.eye(2)]}, DataError, "not one number for each epoch"),
    ],
)
def test_what_is_no_history_is_refused(history, error, match):
    with pytest.raises(error, match=match):
        learning_curves(history)


# -- activations ----------------------------------------------------------------------------------------


def test_a_curve_and_its_derivative_are_those_of_the_formula():
    ax = activation("sigmoid", limits=(-4.0, 5.0))
    value, slope = ax.lines
    z = value.get_xdata()
    assert (z[0], z[-1], len(z)) == (-4.0, 5.0, 601)
    s = 1.0 / (1.0 + np.exp(-z))
    np.testing.assert_allclose(value.get_ydata(), s, rtol=1e-14)
    # one rounding in each of three operations
    np.testing.assert_allclose(slope.get_ydata(), s * (1.0 - s), rtol=1e-14, atol=1e-16)
    assert [line.get_label() for line in ax.lines] == ["$g(z)$", "$g'(z)$"]


@pytest.mark.parametrize(
    "entry", [e for e in nnx.activations.registry if not e.required], ids=lambda e: e.name
)
def test_every_activation_is_drawn_or_refused_as_a_function_of_vectors(entry):
    if entry.traits.limits is None and entry.name in VECTORS:
        with pytest.raises(OptionError, match=f"{entry.name} is a function of whole vectors"):
            activation(entry.name)
        return
    value, slope = activation(entry.name).lines
    z, y, s = value.get_xdata(), value.get_ydata(), slope.get_ydata()
    np.testing.assert_array_equal(y[::50], entry.target(z[::50]))
    # Away from jumps the derivative lies between those at both sides, and the slope from there to there too.
    unit = np.nanmax(s) - np.nanmin(s) + 1e-9
    smooth = ~np.isnan(y[2:] + y[1:-1] + y[:-2] + s[2:] + s[:-2]) & (np.abs(s[2:] - s[:-2]) < 0.05 * unit)
    between = (y[2:] - y[:-2])[smooth] / (z[2:] - z[:-2])[smooth]
    assert smooth.sum() > 550
    np.testing.assert_allclose(s[1:-1][smooth], between, atol=0.05 * unit)


VECTORS = {"softmax", "log_softmax", "sparsemax", "glu"}


@pytest.mark.parametrize(
    ("g", "jumps"),
    [
        ("relu", [0.0]),
        (nnx.activations.LeakyReLU(negative_slope=0.3), [0.0]),
        ("hard_tanh", [-1.0, 1.0]),
        (nnx.activations.HardShrink(threshold=0.7), [-0.7, 0.7]),
        (nnx.activations.HardShrink(threshold=0.123456), [-0.123456, 0.123456]),
        (lambda z: z * nnx.backend.namespace(z).abs(z), []),
        ("elu", []),
        (lambda z: np.tanh(10.0 * z), []),
    ],
)
def test_a_curve_has_a_gap_where_it_jumps_and_nowhere_else(g, jumps):
    for curve in activation(g).lines:
        z, y = curve.get_data()
        np.testing.assert_allclose(z[np.isnan(y)], jumps, atol=1e-15)
        # Nothing is drawn across. Of the smooth ones tanh(10z) is the steepest: 0.08 of its range per point.
        drawn = ~np.isnan(y[1:] - y[:-1])
        assert np.abs(np.diff(y))[drawn].max() < 0.11 * max(1.0, np.nanmax(y) - np.nanmin(y))
        assert (np.diff(z) >= 0.0).all()


def test_a_function_of_the_user_has_its_name():
    def bent(z):
        return np.tanh(z) + z

    ax = activation(bent, limits=(0.0, 1.0))
    assert ax.get_title() == "bent"
    assert ax.lines[1].get_ydata()[0] == 2.0


@pytest.mark.parametrize("limits", [(1.0, 1.0), (0.0, np.inf), 3.0, (1, 2, 3), "ab"])
def test_limits_that_are_no_interval_are_refused(limits):
    with pytest.raises(OptionError, match="activation: limits must be two finite numbers"):
        activation("tanh", limits=limits)


def test_unknown_activations_are_named():
    with pytest.raises(UnknownName, match="tanh"):
        activation("tanhh")


# -- gradients by layer ---------------------------------------------------------------------------------


def mean_square(errors):
    return nnx.backend.namespace(errors).mean(errors**2)


def test_norms_are_those_of_the_gradient_of_the_loss(backend):
    model = network(backend=backend)
    ax = gradient_norms(model, backend.asarray(X, dtype="float64"), backend.asarray(T, dtype="float64"))
    f, w = model.as_function()
    x, t = backend.asarray(X, dtype="float64"), backend.asarray(T[:, None], dtype="float64")
    g = nnx.grad(lambda w: mean_square(f(w, x) - t))(w)
    expected = [
        np.sqrt(
            sum((nnx.to_numpy(part) ** 2).sum() for name, part in g.items() if name.startswith(f"{layer}/"))
        )
        for layer in ("dense", "dense_1", "dense_2")
    ]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), expected, rtol=1e-12)
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["dense", "dense_1", "dense_2"]
    assert ax.get_yscale() == "log"


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "levenberg_marquardt", "lbfgs"])
def test_the_model_stays_as_it_is(optimizer):
    model, other = network(optimizer=optimizer), network(optimizer=optimizer)
    gradient_norms(model, X, T)
    for one in (model, other):
        one.fit(X, T, epochs=2, verbose=0)
    np.testing.assert_array_equal(model.weights_vector, other.weights_vector)


def test_the_gradient_is_that_of_training():
    """Dropout is on, and batch normalization takes the batch's statistics, as in the next step."""
    layers = Dense(5, "tanh", input_shape=(3,)), BatchNormalization(), Dropout(0.4), Dense(1)
    model = network(*layers)
    ax = gradient_norms(model, X, T)
    state = [w.copy() for w in model.non_trainable_weights]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["dense", "batch_normalization", "dense_1"]
    np.testing.assert_array_equal(state[0], np.zeros(5))
    model.train_on_batch(X, T)
    g = model.gradient_vector
    parts = g[:20], g[20:30], g[30:]
    norms = [np.linalg.norm(part) for part in parts]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), norms, rtol=1e-12)


def test_layers_without_gradient_are_marked_and_frozen_ones_left_out():
    dead = Dense(4, "relu", input_shape=(3,), bias_initializer=nnx.initializers.Constant(-100.0))
    model = network(dead, Dense(4, trainable=False), Dense(1))
    ax = gradient_norms(model, X, T)
    norms = ax.lines[0].get_ydata()
    assert np.isnan(norms[0])
    assert norms[1] > 0.0
    assert [(text.get_text(), text.xy[0]) for text in ax.texts] == [("0", 0)]
    ax.figure.canvas.draw()


def test_class_numbers_are_taken_as_fit_takes_them():
    model = nnx.Sequential([Dense(4, "tanh", input_shape=(3,)), Dense(3, "softmax")], seed=1, dtype="float64")
    model.compile("sgd", "sparse_categorical_crossentropy")
    labels = np.arange(40) % 3
    drawn = gradient_norms(model, X, labels).lines[0].get_ydata()
    model.train_on_batch(X, labels)
    g = model.gradient_vector
    np.testing.assert_allclose(drawn, [np.linalg.norm(g[:16]), np.linalg.norm(g[16:])], rtol=1e-12)


def test_labels_make_a_legend_and_curves_differ():
    ax = gradient_norms(network(), X, T, label="one")
    gradient_norms(network(Dense(2, input_shape=(3,)), Dense(2), Dense(1)), X, T, label="two", ax=ax)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["one", "two"]
    one, two = ax.lines
    assert one.get_color() != two.get_color()
    assert one.get_linestyle() != two.get_linestyle()
    assert one.get_marker() != two.get_marker()


def test_what_cannot_have_a_gradient_is_refused():
    with pytest.raises(OptionError, match="must be a model of nnx, got function"):
        gradient_norms(lambda x: x, X, T)
    with pytest.raises(NotBuilt, match="not compiled"):
        gradient_norms(nnx.Sequential([Dense(1, input_shape=(3,))]), X, T)
    with pytest.raises(OptionError, match=r"no layer of .* has weights that are trained"):
        gradient_norms(network(Dense(1, input_shape=(3,), trainable=False)), X, T)
    huge = network(Dense(1, input_shape=(3,)))
    huge.set_weights([np.full((3, 1), 1.7e308), np.zeros(1)])
    with pytest.raises(NonFiniteError, match="not finite"), np.errstate(all="ignore"):
        gradient_norms(huge, X, T)
