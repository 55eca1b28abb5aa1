"""What runs: parts, fused pairs, values that are freed in time, and the activation at the end taken off."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import nnx
from nnx import layers
from nnx.backend import namespace, to_numpy
from nnx.layers import Activation, Concatenate, Context, Dense, Dropout, Rescaling
from nnx.layers.dropout import ReluDropout
from nnx.models.compiling import compiled
from nnx.models.program import Program

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 5))
CLASSES = np.eye(3)[np.arange(12) % 3]


def program_of(model):
    return compiled(model.network)


def kinds(program):
    return [type(step.part).__name__ for step in program.steps]


# -- fused pairs ---------------------------------------------------------------------------------------


def relu_then_dropout(rate=0.4):
    return nnx.Sequential([nnx.Input((5,)), Dense(6, "relu"), Dropout(rate, seed=3), Dense(1)], seed=1)


def apart(program):
    """The same program with each fused pair as the two parts that it stands for."""
    n, steps, where = program.inputs, [], list(range(program.inputs))
    for step in program.steps:
        pair = (Activation("relu"), step.part.dropout) if isinstance(step.part, ReluDropout) else (step.part,)
        reads = tuple(where[i] for i in step.reads)
        for part in pair:
            steps.append(step._replace(part=part, reads=reads, dead=()))
            reads = (n + len(steps) - 1,)
        where.append(reads[0])
    return Program(program.network, n, tuple(steps), tuple(where[i] for i in program.outputs))


@pytest.mark.parametrize("training", [True, False])
def test_relu_and_dropout_in_one_are_the_two(training, backend):
    model = relu_then_dropout()
    program = program_of(model)
    assert kinds(program) == ["Affine", "ReluDropout", "Affine"]
    two = apart(program)
    assert kinds(two) == ["Affine", "Activation", "Dropout", "Affine"]
    names = [tuple(slot.name for slot in row) for row in model.network.slots]
    own = [[backend.asarray(w, dtype="float64") for w in layer.get_weights()] for layer in model.layers]
    x, context = backend.asarray(X, dtype="float64"), Context(training, 1, 5)

    def output(program):
        def f(x, kernel):
            weights = [[kernel, own[0][1]], *own[1:]]
            p = [dict(zip(n, w, strict=True)) for n, w in zip(names, weights, strict=True)]
            y = program.run(p, [x], context).outputs[0]
            return namespace(y).sum(namespace(y).tanh(y))

        return f

    def slope(program):
        return lambda *at: namespace(at[0]).sum(nnx.grad(output(program), argnums=1)(*at) ** 2)

    at = x, own[0][0]
    for f in (output, slope):
        np.testing.assert_allclose(to_numpy(f(program)(*at)), to_numpy(f(two)(*at)), rtol=1e-13)
        for a, b in zip(*(nnx.grad(f(p), argnums=(0, 1))(*at) for p in (program, two)), strict=True):
            np.testing.assert_allclose(to_numpy(a), to_numpy(b), rtol=1e-12, atol=1e-13)


def read_by_another():
    x = nnx.Input((5,))
    h = Dense(6, "relu")(x)
    return nnx.Model(x, Dense(1)(Concatenate()([Dropout(0.4)(h), h])))


def with_a_penalty():
    layers = [Dense(6, "relu", activity_regularizer="l2"), Dropout(0.4), Dense(1)]
    return nnx.Sequential([nnx.Input((5,)), *layers])


def no_dropout():
    return relu_then_dropout(0.0)


def another_activation():
    return nnx.Sequential([nnx.Input((5,)), Dense(6, "tanh"), Dropout(0.4), Dense(1)])


def with_options():
    layers = [Dense(6), nnx.layers.ReLU(max_value=1.0), Dropout(0.4), Dense(1)]
    return nnx.Sequential([nnx.Input((5,)), *layers])


@pytest.mark.parametrize(
    "make", [read_by_another, with_a_penalty, no_dropout, another_activation, with_options]
)
def test_pairs_that_are_more_than_a_pair_stay_two(make):
    assert "ReluDropout" not in kinds(program_of(make()))


def test_dropout_that_stands_as_in_prediction_is_off_where_it_is_fused():
    x = nnx.Input((50,))
    model = nnx.Model(x, Dropout(0.5)(Activation("relu")(x), training=False))
    assert kinds(program_of(model)) == ["ReluDropout"]
    np.testing.assert_array_equal(model(np.ones((2, 50)), training=True), np.ones((2, 50)))


@pytest.mark.parametrize("kind", [Dropout, nnx.layers.GaussianNoise])
def test_each_call_of_a_random_layer_draws_for_itself(kind):
    noise, x = kind(0.5), nnx.Input((50,))
    both = nnx.Model(x, Concatenate()([noise(x), noise(x)]), seed=1)
    y = np.asarray(both(np.ones((3, 50)), training=True))
    assert (y[:, :50] != y[:, 50:]).any()
    again = np.asarray(both(np.ones((3, 50)), training=True))
    assert (y != again).any()
    np.testing.assert_array_equal(both.predict(np.ones((3, 50))), np.ones((3, 100)))


# -- the activation at the end -------------------------------------------------------------------------


def last(x):
    return Dense(3, "softmax")(Dense(4, "tanh")(x))


def two_softmaxes(x):
    return Activation("softmax")(Dense(3, "softmax")(x))


def shared_softmax(x):
    softmax = Activation("softmax")
    inner = softmax(Dense(3)(x))
    return softmax(Dense(3)(inner) + inner)


def read_elsewhere(x):
    z = Dense(3)(x)
    return Activation("softmax")(z) * z


def penalized(x):
    return Dense(3, "softmax", activity_regularizer="l2")(x)


def frozen(x):
    return Dense(3, "softmax", trainable=False)(Dense(4)(x))


HEADS = {last: True, two_softmaxes: True, shared_softmax: True, frozen: True}
HEADS |= {read_elsewhere: False, penalized: False}


@pytest.mark.parametrize("make", HEADS)
def test_the_activation_at_the_end_is_taken_off_where_the_loss_has_it(make, backend):
    x = nnx.Input((5,))
    model = nnx.Model(x, make(x), dtype="float64", seed=1, backend=backend)
    model.compile("sgd", "categorical_crossentropy", metrics=["categorical_crossentropy"])
    objective = model.trainer.objective
    assert objective.linear == (HEADS[make],)
    assert len(objective.whole.steps) - len(objective.program.steps) == HEADS[make]
    loss, metric = model.evaluate(X, CLASSES, verbose=0)
    if make is not read_elsewhere:  # whose outputs are no probabilities
        p = to_numpy(model.predict(X))
        expected = -np.mean(np.sum(CLASSES * np.log(p), axis=1))
        assert metric == pytest.approx(expected, rel=1e-6)
        penalty = 0.01 * np.sum(p**2) / len(p) if make is penalized else 0.0
        assert loss == pytest.approx(expected + penalty, rel=1e-6)


def test_taking_off_never_underflows_and_leaves_the_output():
    x = nnx.Input((1,))
    model = nnx.Model(x, Activation("sigmoid")(Rescaling(1000.0)(Dense(1, kernel_initializer="ones")(x))))
    model.compile("sgd", "binary_crossentropy")
    assert model.evaluate(np.ones((2, 1)), np.zeros((2, 1)), verbose=0) == pytest.approx(1000.0)
    np.testing.assert_array_equal(model.predict(np.ones((2, 1))), [[1.0], [1.0]])


# -- memory --------------------------------------------------------------------------------------------


def peak(f):
    """The most memory in use at once, in bytes, of the second run."""
    f()
    tracemalloc.start()
    try:
        f()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def chain_of(depth):
    return nnx.Sequential([nnx.Input((64,)), *(Dense(64, "tanh") for _ in range(depth))], seed=1)


def tree_of(depth):
    x = y = nnx.Input((64,))
    for _ in range(depth):
        y = Dense(64, "tanh")(y) + y
    return nnx.Model(x, y, seed=1)


@pytest.mark.parametrize(("make", "values"), [(chain_of, 4), (tree_of, 5)])
def test_values_are_freed_after_their_last_use(make, values):
    """However deep a network is, prediction needs a few of its values at once, and the output."""
    x = np.ones((2000, 64), dtype="float32")
    for depth in (3, 12):
        model = make(depth)
        assert peak(lambda model=model: model.predict(x, batch_size=2000)) < (values + 0.5) * x.nbytes


def test_unused_values_are_let_go_and_outputs_kept():
    x = nnx.Input((5,))
    h = Dense(4)(x)
    steps = program_of(nnx.Model(x, Dense(2)(h + Dense(4)(h)))).steps
    assert [step.reads for step in steps] == [(0,), (1,), (1, 2), (3,)]
    assert [sorted(step.dead) for step in steps] == [[0], [], [1, 2], [3]]


def test_errors_say_in_which_layer():
    class Broken(nnx.layers.Layer):
        def forward(self, p, x):
            raise RuntimeError("broken")

    x = nnx.Input((5,))
    model = nnx.Model(x, Dense(1)(Broken(name="b")(Dense(4)(x))))
    with pytest.raises(RuntimeError, match="broken") as caught:
        model.predict(X)
    assert "in layer 2 (Broken 'b') of Model" in "".join(caught.value.__notes__)


@pytest.mark.parametrize(
    "then",
    [
        layers.Conv2D(3, 3, strides=2),
        layers.DepthwiseConv2D(3),
        layers.SeparableConv2D(5, 3),
        layers.Conv2D(4, 3, groups=2, dilation_rate=2, activation="relu"),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_zeros_before_a_convolution_are_its_cells_outside(then):
    padding = layers.ZeroPadding2D(((1, 2), (0, 1)))
    model = nnx.Sequential([nnx.Input((9, 7, 4)), padding, then], dtype="float64")
    x = np.random.default_rng(0).normal(size=(2, 9, 7, 4))
    y = model.predict(x)
    kinds = [type(step.part).__name__ for step in model._weights.program.steps]
    assert "ZeroPadding2D" not in kinds
    np.testing.assert_allclose(y, model.layers[1](model.layers[0](x)), rtol=1e-13, atol=1e-13)
    features = nnx.Model(model.inputs, [model.layers[0].output, model.layers[1].output], dtype="float64")
    np.testing.assert_allclose(features.predict(x)[1], y, rtol=1e-13, atol=1e-13)  # zeros read twice stay
    same = nnx.Sequential(
        [nnx.Input((9, 7, 4)), layers.ZeroPadding2D(1), layers.Conv2D(2, 3, padding="same")]
    )
    same.predict(x)
    assert type(same._weights.program.steps[0].part).__name__ == "ZeroPadding2D"
