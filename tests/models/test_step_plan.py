"""Training steps that are recorded and replayed give the bits of steps as they are."""

from __future__ import annotations

import copy
import inspect
import pickle

import numpy as np
import pytest

import nnx
from nnx.jitting import replayed
from nnx.layers import (
    GRU,
    LSTM,
    AlphaDropout,
    AveragePooling2D,
    BatchNormalization,
    Bidirectional,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GaussianDropout,
    GaussianNoise,
    GlobalMaxPooling2D,
    GroupNormalization,
    Lambda,
    LayerNormalization,
    MaxPooling2D,
    ReLU,
    SeparableConv2D,
    SimpleRNN,
    SpatialDropout2D,
    TimeDistributed,
)

#: name → layers and the shape of a sample
NETWORKS = {
    "dense": (lambda: [Dense(5, "tanh"), Dense(4, "sigmoid"), Dense(3)], (4,)),
    "activations": (
        lambda: (
            [Dense(5, a) for a in ("gelu", "silu", "elu", "selu", "softplus", "mish", "leaky_relu")]
            + [Dense(3, "softmax")]
        ),
        (4,),
    ),
    "dropout": (
        lambda: [Dense(8, "relu"), Dropout(0.3), Dense(8, "tanh"), Dropout(0.2), Dense(3)],
        (4,),
    ),
    "noise": (
        lambda: [
            GaussianNoise(0.1),
            Dense(8),
            GaussianDropout(0.3),
            AlphaDropout(0.2),
            Dense(3),
        ],
        (4,),
    ),
    "batch normalization": (lambda: [Dense(8), BatchNormalization(), ReLU(), Dense(3)], (4,)),
    "layer normalization": (lambda: [Dense(8), LayerNormalization(), ReLU(), Dense(3)], (4,)),
    "convolution": (
        lambda: [
            Conv2D(4, 3, activation="relu"),
            MaxPooling2D(),
            Conv2D(3, 2, padding="same"),
            AveragePooling2D(2),
            Flatten(),
            Dense(3),
        ],
        (10, 10, 2),
    ),
    "depthwise": (
        lambda: [DepthwiseConv2D(3), SeparableConv2D(4, 3), GlobalMaxPooling2D(), Dense(3)],
        (10, 10, 2),
    ),
    "groups": (
        lambda: [
            Conv2D(4, 3),
            GroupNormalization(2),
            SpatialDropout2D(0.3),
            Flatten(),
            Dense(2),
        ],
        (6, 6, 2),
    ),
    "gates": (lambda: [LSTM(4, return_sequences=True), GRU(3), Dense(2)], (5, 2)),
    "recurrent dropout": (lambda: [SimpleRNN(4, dropout=0.2, recurrent_dropout=0.2), Dense(2)], (5, 2)),
    "both ways": (lambda: [Bidirectional(LSTM(3)), Dense(2)], (5, 2)),
    "in time": (lambda: [TimeDistributed(Dense(3, "tanh")), Flatten(), Dense(2)], (5, 2)),
    "penalties": (
        lambda: [
            Dense(5, "tanh", kernel_regularizer="l2", activity_regularizer="l1"),
            Dense(3, kernel_constraint="max_norm"),
        ],
        (4,),
    ),
}
LOSSES = [
    e.name
    for e in nnx.losses.registry
    if e.name not in ("loss_function_wrapper", "ctc", "circle") and "sparse" not in e.name
    and e.name != "categorical_generalized_cross_entropy"
]  # fmt: skip


def trained(monkeypatch, before, layers, shape, *, loss="mse", optimizer="adam", metrics=(), epochs=5, n=40):
    """History, weights and model of a training with steps of two shapes, recorded after ``before`` steps."""
    monkeypatch.setattr(replayed, "BEFORE", before)
    random = np.random.default_rng(0)
    model = nnx.Sequential([nnx.Input(shape), *layers()], seed=3)
    x = random.normal(size=(n, *shape)).astype(np.float32)
    y = random.uniform(0.1, 0.9, (n, *model.output_shape[1:])).astype(np.float32)
    model.compile(optimizer, loss, metrics=list(metrics))
    history = model.fit(x, y, batch_size=16, epochs=epochs, verbose=0).history
    return history, np.asarray(model.weights_vector).tobytes(), model


def same(monkeypatch, layers, shape, shapes=2, **options):
    """The recorded training, whose bits are those of the same training as it is."""
    plain, weights, _ = trained(monkeypatch, 10**9, layers, shape, **options)
    history, others, model = trained(monkeypatch, 2, layers, shape, **options)
    np.testing.assert_equal(history, plain)
    assert weights == others
    functions = model.trainer.problem.functions()
    assert not any(function.reason for function in functions)
    assert sum(len(function.programs) for function in functions) == shapes
    return model


@pytest.mark.parametrize("name", NETWORKS)
def test_recorded_training_has_the_same_bits(name, monkeypatch):
    same(monkeypatch, *NETWORKS[name], epochs=7)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss(loss, monkeypatch):
    same(monkeypatch, *NETWORKS["activations"], loss=loss, optimizer="sgd", metrics=["mae"])


OPTIMIZERS = [
    entry.name
    for entry in nnx.optimizers.registry
    if issubclass(entry.target, nnx.optimizers.FirstOrder) and entry.target.__module__.startswith("nnx.")
]
OPTIONS = {
    "plain": {},
    "decay and average": {"weight_decay": 0.01, "use_ema": True, "ema_overwrite_frequency": 3},
    "clipped": {"clipnorm": 0.05},
    "schedule": {"learning_rate": nnx.optimizers.schedules.ExponentialDecay(0.01, 5, 0.9)},
}


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_of_first_order(name, options, monkeypatch):
    given = OPTIONS[options]
    kinds = {entry.name: entry.target for entry in nnx.optimizers.registry}
    if "learning_rate" in given and "learning_rate" not in inspect.signature(kinds[name]).parameters:
        pytest.skip("it has no learning rate")
    try:
        optimizer = kinds[name](**given)
    except nnx.errors.OptionError as error:
        pytest.skip(str(error))
    whole = nnx.optimizers.registry.find(kinds[name]).traits.full_batch
    size = {"shapes": 1, "n": 16, "epochs": 15} if whole else {"epochs": 6}
    same(monkeypatch, lambda: [Dense(6, "tanh"), Dense(3)], (4,), optimizer=optimizer, **size)


@pytest.mark.parametrize("optimizer", ["rmsprop", "adam", "sgd"])
def test_settled_steps_go_the_short_way(optimizer, monkeypatch):
    _, _, model = trained(monkeypatch, 1, *NETWORKS["dense"], optimizer=optimizer)
    assert model.trainer._quick() is not None
    assert model.trainer._quick()._last[2].replay is not None  # the last batch was replayed


def test_a_long_step_goes_the_long_way(monkeypatch):
    """Weights are kept before a step that may spoil them, and come back."""
    random = np.random.default_rng(0)
    model = nnx.Sequential([Dense(4, "tanh", input_shape=(3,)), Dense(1)], seed=1)
    x, y = random.normal(size=(32, 3)), random.normal(size=(32, 1))
    model.compile("sgd", "mse")
    model.fit(x, y, batch_size=16, epochs=20, verbose=0)
    assert model.trainer._quick() is not None
    before = model.get_weights()
    model.learning_rate = 1e37
    with pytest.raises(nnx.errors.NonFiniteError):
        model.fit(x, y, batch_size=16, epochs=5, verbose=0)
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_metrics_and_weights_of_samples(monkeypatch):
    metrics = ["accuracy", "mae", "cosine_similarity", "precision", "auc", "r2_score"]
    same(monkeypatch, *NETWORKS["activations"], metrics=metrics)


def test_line_searches_replay_it_at_other_weights(monkeypatch):
    model = same(monkeypatch, *NETWORKS["dense"], shapes=1, optimizer="lbfgs", n=16, epochs=12)
    assert "tanh" in model.step_plan


def test_masks_are_drawn_anew_in_every_step(monkeypatch):
    _, _, model = trained(monkeypatch, 1, *NETWORKS["dropout"], epochs=8)
    assert model.step_plan.count("keep_mask(") == 4
    same(monkeypatch, *NETWORKS["dropout"], epochs=20)


@pytest.mark.parametrize(
    "layers, told",
    [
        (lambda: [Lambda(lambda x: x * 2.0), Dense(2)], "<lambda>"),
        (lambda: [Dense(3, lambda x: x * x), Dense(2)], "<lambda>"),
        (
            lambda: [TimeDistributed(Lambda(lambda x: x + 1.0)), Flatten(), Dense(2)],
            "<lambda>",
        ),
    ],
)
def test_what_is_a_users_own_is_computed_as_it_is(layers, told, monkeypatch):
    shape = (5, 2) if "TimeDistributed" in repr(layers()) else (4,)
    _, _, model = trained(monkeypatch, 0, layers, shape)
    assert model.step_plan.startswith("Steps are computed as they are") and told in model.step_plan


def test_losses_and_metrics_of_a_user_are_called_in_every_step(monkeypatch):
    calls = []

    def loss(y, p):
        calls.append("loss")
        return nnx.losses.mean_squared_error(y, p)

    def metric(y, p):
        calls.append("metric")
        return nnx.metrics.mean_absolute_error(y, p)

    trained(monkeypatch, 0, *NETWORKS["dense"], loss=loss, metrics=[metric], epochs=4, n=32)
    assert calls.count("loss") >= 8 and calls.count("metric") >= 8


def test_other_bits_are_refused(monkeypatch):
    true = replayed.compiled

    def wrong(program, *others):
        replay = true(program, *others)

        def other(*arrays):
            (answer,) = replay(*arrays)
            return ((answer[0] * np.float32(1.0000002), *answer[1:]),)

        return other

    plain = trained(monkeypatch, 10**9, *NETWORKS["dense"])
    monkeypatch.setattr(replayed, "compiled", wrong)
    found = trained(monkeypatch, 1, *NETWORKS["dense"])
    assert "same bits" in found[2].step_plan
    assert found[0] == plain[0] and found[1] == plain[1]


def test_no_failure_of_a_recording_reaches_the_user(monkeypatch):
    def broken(program, *others):
        raise KeyError("something that nobody thought of")

    plain = trained(monkeypatch, 10**9, *NETWORKS["dense"])
    monkeypatch.setattr(replayed, "compiled", broken)
    found = trained(monkeypatch, 1, *NETWORKS["dense"])
    assert "KeyError" in found[2].step_plan
    assert found[0] == plain[0] and found[1] == plain[1]


def test_large_constants_are_not_kept(monkeypatch):
    monkeypatch.setattr(replayed, "MOST", 10)
    _, _, model = trained(monkeypatch, 0, *NETWORKS["convolution"])
    assert "10 bytes" in model.step_plan


def test_many_shapes_do_not_pile_up(monkeypatch):
    monkeypatch.setattr(replayed, "BEFORE", 1)
    monkeypatch.setattr(replayed, "KINDS", 8)
    model = nnx.Sequential([Dense(3, "tanh", input_shape=(2,)), Dense(1)])
    model.compile("sgd", "mse")
    for n in range(1, 14):
        for _ in range(4):
            model.train_on_batch(np.ones((n, 2)), np.ones((n, 1)))
    assert model.step_plan.count("program(") == 8


def test_an_error_of_a_step_is_its_own(monkeypatch):
    monkeypatch.setattr(replayed, "BEFORE", 1)
    model = nnx.Sequential([Dense(3, "tanh", input_shape=(2,)), Dense(1)])
    model.compile(nnx.optimizers.SGD(1e30), "mse")
    with pytest.raises(nnx.errors.NonFiniteError):
        model.fit(np.ones((64, 2)), np.ones((64, 1)), batch_size=8, epochs=9, verbose=0)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_models_with_recorded_steps_are_copied(copied, monkeypatch):
    _, _, model = trained(monkeypatch, 1, *NETWORKS["dense"])
    other = copied(model)
    x, y = np.ones((16, 4), np.float32), np.ones((16, 3), np.float32)
    for each in (model, other):
        each.train_on_batch(x, y)
    np.testing.assert_array_equal(model.weights_vector, other.weights_vector)
