"""Models whose inner values are computed again on the way back: the same numbers from less memory."""

from __future__ import annotations

import copy
import gc
import tracemalloc

import numpy as np
import pytest

import nnx
from nnx.backend import to_numpy
from nnx.errors import OptionError, UnknownName
from nnx.layers import Add, BatchNormalization, Dense, Dropout

X = np.random.default_rng(0).normal(size=(24, 6))
Y = np.eye(3)[np.arange(24) % 3]
CUTS = [2, 3, 7, ["add_0"], ["dense_0", "add_1"], ["inner_0", "inner_1"], ["shared"]]


def residual(recompute=None, optimizer="adam", backend="numpy"):
    """Skips across the cuts, dropout, running statistics, penalties, and a layer that is called twice."""
    x = nnx.Input((6,))
    shared = Dense(8, "tanh", name="shared")
    h = Dense(8, "tanh", name="dense_0")(x)
    for i in range(2):
        a = BatchNormalization()(Dense(8, "relu", name=f"inner_{i}")(h))
        a = shared(Dropout(0.3)(a))
        h = Add(name=f"add_{i}")([h, Dense(8, activity_regularizer="l2", kernel_regularizer="l2")(a)])
    model = nnx.Model(x, Dense(3, "softmax")(h), seed=1, dtype="float64", backend=backend)
    model.compile(optimizer, "categorical_crossentropy", metrics=["accuracy"], recompute=recompute)
    return model


@pytest.mark.parametrize("recompute", CUTS, ids=str)
@pytest.mark.parametrize("optimizer", ["adam", "bfgs"])
def test_the_numbers_are_the_same_bit_for_bit(recompute, optimizer):
    def run(cut):
        model = residual(cut, optimizer)
        size = 8 if optimizer == "adam" else None
        record = model.fit(X, Y, batch_size=size, epochs=3, verbose=0, validation_data=(X, Y))
        return model.get_weights(), record.history

    (plain, history), (found, same) = run(None), run(recompute)
    for a, b in zip(plain, found, strict=True):
        np.testing.assert_array_equal(a, b)
    assert history == same


@pytest.mark.parametrize("recompute", [3, ["add_0"]], ids=str)
def test_on_every_library(recompute, backend):
    plain, found = residual(None, backend=backend), residual(recompute, backend=backend)
    for model in (plain, found):
        model.fit(X, Y, batch_size=8, epochs=2, shuffle=False, verbose=0)
    for a, b in zip(plain.get_weights(), found.get_weights(), strict=True):
        np.testing.assert_array_equal(to_numpy(a), to_numpy(b))


@pytest.mark.parametrize("optimizer", ["levenberg_marquardt", "newton"])
def test_hessians_too_and_rows_of_the_jacobian_are_as_without(optimizer):
    def run(recompute):
        layers = [Dense(2, "tanh", input_shape=(6,)), Dense(2, "tanh"), Dense(3)]
        model = nnx.Sequential(layers, seed=1, dtype="float64")
        model.compile(optimizer, "mse", recompute=recompute)
        model.fit(X, Y, epochs=2, verbose=0)
        return model.weights_vector

    np.testing.assert_array_equal(run(None), run(2))


def test_the_gradient_of_third_order_goes_through_cuts():
    def cost(recompute):
        layers = [Dense(3, "tanh", input_shape=(6,)), Dropout(0.2), Dense(3, "tanh"), Dense(3)]
        model = nnx.Sequential(layers, seed=1, dtype="float64")
        model.compile("bfgs", "mse", recompute=recompute)
        model.fit(X, Y, epochs=1, verbose=0)
        trainer = model.trainer  # whose problem is about the batch of the last step
        pieces = trainer.weights.network.layout.views(trainer.weights.trained)
        v = [np.linspace(0.5, 1.0, p.size).reshape(p.shape) for p in pieces]

        def along(f):
            return lambda p: nnx.jvp(f, (p,), (v,))[1]

        slope = nnx.grad(along(along(lambda p: trainer.problem.cost(p)[0])))(pieces)
        return np.concatenate([to_numpy(g).ravel() for g in slope])

    # float64: sums in another order
    np.testing.assert_allclose(cost(None), cost(2), rtol=1e-10, atol=1e-14)


def deep(recompute, depth=24):
    layers = [Dense(64, "relu", input_shape=(64,))]
    for _ in range(depth - 1):
        layers += [Dense(64, "relu"), Dropout(0.1)]
    model = nnx.Sequential([*layers, Dense(3, "softmax")], seed=0)
    model.compile("sgd", "categorical_crossentropy", recompute=recompute)
    return model


def peak(recompute):
    x, y = np.ones((512, 64), dtype="float32"), np.eye(3, dtype="float32")[np.arange(512) % 3]
    model = deep(recompute)
    model.train_on_batch(x, y)
    gc.collect()
    gc.disable()  # what is to be freed must not wait for it
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        model.train_on_batch(x, y)
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
        gc.enable()


def test_a_step_takes_less_memory():
    plain, in_pieces = peak(None), peak(5)
    # 24 layers keep two values each; 5 pieces keep theirs one after the other, and 4 values between them
    assert in_pieces < 0.5 * plain  # 0.41: the plain step keeps only what a derivative reads


def test_a_sum_of_many_contributions_across_cuts_may_differ_in_the_last_bit():
    def run(recompute):
        x = nnx.Input((6,))
        h = Dense(8, "tanh", name="read")(x)
        total = Add(name="total")([Dense(8, "tanh")(h), Dense(8, "tanh")(h), Dense(8, "tanh")(h)])
        y = Dense(3, "softmax")(Add()([total, h, Dense(8)(h)]))
        model = nnx.Model(x, y, seed=1, dtype="float64")
        model.compile("sgd", "categorical_crossentropy", recompute=recompute)
        model.fit(X, Y, verbose=0)
        return model.weights_vector

    # one step: five numbers are added in another order
    np.testing.assert_allclose(run(None), run(["read", "total"]), rtol=1e-14, atol=1e-16)


def test_prediction_and_copies():
    model = residual(["add_0"])
    model.fit(X, Y, verbose=0)
    plain = residual()
    plain.set_weights(model.get_weights())
    np.testing.assert_array_equal(model.predict(X), plain.predict(X))
    assert model.evaluate(X, Y, verbose=0) == plain.evaluate(X, Y, verbose=0)
    twin = copy.deepcopy(model)
    for m in (model, twin):
        m.fit(X, Y, verbose=0)
    np.testing.assert_array_equal(model.weights_vector, twin.weights_vector)


@pytest.mark.parametrize(
    ("recompute", "error", "words"),
    [
        (1, OptionError, "recompute.*>= 2, got 1"),
        (2.5, OptionError, "recompute"),
        (True, OptionError, "number of pieces, or a list of the names"),
        ("add_0", OptionError, "a list of the names"),
        ([], OptionError, "a list of the names"),
        ([3], OptionError, "a list of the names"),
        (100, OptionError, "recompute=100 pieces, but Model has"),
        (["add_7"], UnknownName, "names the layer 'add_7', which Model does not have. It has: dense_0"),
    ],
    ids=str,
)
def test_what_cannot_be_cut(recompute, error, words):
    with pytest.raises(error, match=words):
        residual(recompute).fit(X, Y, verbose=0)


def test_a_cut_after_the_last_layer_or_between_fused_ones_changes_nothing():
    a, b = deep(None, 3), deep(["dense_3", "dense_1"], 3)
    x, y = np.ones((8, 64)), np.eye(3)[np.arange(8) % 3]
    for m in (a, b):
        m.fit(x, y, epochs=2, verbose=0)
    np.testing.assert_array_equal(a.weights_vector, b.weights_vector)
