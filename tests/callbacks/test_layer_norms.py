"""Norms of gradients and activations, layer by layer, in the course of a training."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest

import nnx
from nnx.backend import to_numpy
from nnx.callbacks import LayerNorms
from nnx.errors import OptionError
from nnx.layers import Add, BatchNormalization, Dense, Dropout

X = np.random.default_rng(0).normal(size=(12, 3))
T = X[:, :1] ** 2


def network(backend="numpy", optimizer="sgd"):
    layers = [Dense(4, "tanh", input_shape=(3,), kernel_regularizer="l2"), Dropout(0.2), Dense(1)]
    model = nnx.Sequential(layers, backend=backend, dtype="float64", seed=2)
    model.compile(optimizer, "mse")
    return model


def test_norms_of_every_step_are_those_of_its_gradient_and_its_batch(backend):
    norms, model, seen = LayerNorms(every=1), network(backend), []

    class See(nnx.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            g = to_numpy(self.model.gradient_vector).copy()
            seen.append((np.linalg.norm(g[:16]), np.linalg.norm(g[16:]), self.model.get_weights()))

    model.fit(X, T, batch_size=5, epochs=2, shuffle=False, verbose=0, callbacks=[norms, See()])
    assert norms.steps == [1, 2, 3, 4, 5, 6]
    assert list(norms.gradients) == ["dense", "dense_1"]
    assert list(norms.activations) == ["dense", "dropout", "dense_1"]
    for i, (first, last, (kernel, bias, out, shift)) in enumerate(seen):
        x = X[5 * (i % 3) : 5 * (i % 3) + 5]
        a = np.tanh(x @ kernel + bias)
        # float64: sums in another order
        np.testing.assert_allclose(
            [norms.gradients["dense"][i], norms.gradients["dense_1"][i]], [first, last], rtol=1e-12
        )
        wanted = [np.linalg.norm(y) / np.sqrt(len(x)) for y in (a, a, a @ out + shift)]
        found = [norms.activations[name][i] for name in norms.activations]
        np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_norms_are_those_that_plotting_draws():
    pytest.importorskip("matplotlib")
    model, norms = network(), LayerNorms()
    drawn = nnx.plotting.gradient_norms(model, X, T).lines[0].get_ydata()
    model.fit(X, T, batch_size=12, shuffle=False, verbose=0, callbacks=[norms])
    np.testing.assert_array_equal(drawn, [norms.gradients[name][0] for name in norms.gradients])


@pytest.mark.parametrize(("every", "steps"), [("epoch", [3, 6, 9]), (4, [4, 8]), (3, [3, 6, 9]), (10, [])])
def test_how_often(every, steps):
    norms = LayerNorms(every)
    for _ in range(2):  # a second fit begins a new record
        network().fit(X, T, batch_size=4, epochs=3, verbose=0, callbacks=[norms], validation_split=0.1)
        assert norms.steps == steps
        assert all(
            len(found) == len(steps) for found in (*norms.gradients.values(), *norms.activations.values())
        )


def test_nothing_of_the_training_changes():
    a, b = network(optimizer="adam"), network(optimizer="adam")
    a.fit(X, T, batch_size=4, epochs=3, verbose=0)
    history = b.fit(X, T, batch_size=4, epochs=3, verbose=0, callbacks=[LayerNorms(1)])
    np.testing.assert_array_equal(a.weights_vector, b.weights_vector)
    assert list(history.history) == ["loss"]


def test_graphs_shared_layers_running_statistics_and_clipping():
    x, shared = nnx.Input((3,)), Dense(3, "tanh", name="shared")
    h = BatchNormalization()(shared(Add()([shared(x), x])))
    model = nnx.Model(x, Dense(1, trainable=False)(h), seed=0)
    model.compile(nnx.optimizers.SGD(0.1, clipnorm=1e-6), "mse")
    norms = LayerNorms()
    model.fit(X, T, verbose=0, callbacks=[norms])
    assert list(norms.gradients) == ["shared", "batch_normalization"]
    assert norms.gradients["shared"][0] > 1e-3  # before it was clipped
    shared = model.get_layer("shared")
    kernel, bias = shared.get_weights()
    first = np.tanh(X @ kernel + bias)
    both = np.concatenate([first, np.tanh((first + X) @ kernel + bias)])
    assert norms.activations["shared"][0] == pytest.approx(np.linalg.norm(both) / np.sqrt(12), rel=1e-5)


@pytest.mark.parametrize("optimizer", ["levenberg_marquardt", "bfgs"])
def test_methods_on_all_samples(optimizer):
    model = nnx.Sequential([Dense(2, "tanh", input_shape=(3,)), Dense(1)], dtype="float64", seed=0)
    model.compile(optimizer, "mse")
    norms = LayerNorms()
    model.fit(X, T, epochs=3, verbose=0, callbacks=[norms])
    whole = np.hypot(*(norms.gradients[name][-1] for name in norms.gradients))
    assert whole == pytest.approx(np.linalg.norm(model.gradient_vector), rel=1e-12)
    out = X @ model.layers[0].get_weights()[0] + model.layers[0].get_weights()[1]
    assert norms.activations["dense"][-1] == pytest.approx(np.linalg.norm(np.tanh(out)) / np.sqrt(12))


def test_numbers_whose_squares_overflow_or_vanish():
    from nnx.models.norms import _norm

    assert _norm(np.asarray([3e200, 4e200])) == pytest.approx(5e200, rel=1e-15)
    assert _norm(np.asarray([3e-30, 4e-30], dtype="float32")) == pytest.approx(5e-30, rel=1e-6)
    assert _norm(np.zeros((2, 0))) == 0.0 and _norm(np.zeros(3)) == 0.0
    assert np.isnan(_norm(np.asarray([np.nan, 1.0]))) and _norm(np.asarray([np.inf])) == np.inf


def test_a_restored_training_has_the_whole_record(tmp_path):
    def killed(epoch, logs):
        if epoch == 2:
            raise RuntimeError

    def run(*more):
        norms = LayerNorms()
        backup = nnx.callbacks.BackupAndRestore(tmp_path / "b")
        with suppress(RuntimeError):
            network().fit(X, T, epochs=4, verbose=0, callbacks=[norms, backup, *more])
        return norms

    run(nnx.callbacks.LambdaCallback(on_epoch_begin=killed))
    resumed, whole = run(), run()
    assert resumed.steps == whole.steps == [1, 2, 3, 4]
    assert resumed.gradients == whole.gradients and resumed.activations == whole.activations


@pytest.mark.parametrize("every", ["batch", 0, 1.5, None])
def test_other_intervals_are_refused(every):
    with pytest.raises(OptionError, match="every"):
        LayerNorms(every)
