"""Nonsense for every option: each is refused where it is given, by an error of nnx's."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from walks import walk

import nnx
from nnx.errors import NnxError, OptionError
from nnx.layers import LSTM, LSTMCell
from nnx.registry import Registry


class Nonsense:
    """No number, no name, no array, nothing that can be called."""


#: what the options without a default may be
NEEDED = {
    "activation": "relu", "alpha": 0.1, "axes": 1, "b": 1.0, "boundaries": [1], "decay_rate": 0.5,
    "decay_steps": 10,
    "default_value": 0.0, "dims": (1,), "first_decay_steps": 10, "filters": 2,
    "input_dim": 5, "output_dim": 2, "n": 3, "cell": LSTMCell(2), "cells": [LSTMCell(2)], "layer": LSTM(2),
    "fn": lambda y_true, y_pred: y_pred, "function": np.tanh, "head_dim": 2, "key_dim": 2, "num_heads": 2,
    "num_key_value_heads": 2, "num_query_heads": 2,
    "initial_learning_rate": 0.1, "kernel_size": 3, "num_classes": 2, "pool_size": 2, "precision": 0.5,
    "rate": 0.5, "recall": 0.5, "scale": 1.0, "schedule": 0.1, "sensitivity": 0.5, "specificity": 0.5,
    "stddev": 0.1, "step": 1.0,
    "steps": 3, "target_class_ids": [0], "target_shape": (3,), "threshold": 0.0, "units": 3,
    "values": [0.1, 0.2], "height": 2, "width": 3, "factor": 0.1, "height_factor": 0.1, "width_factor": 0.1,
}  # fmt: skip
#: texts that are what they say: names of arrays or layers, and any name
TEXTS = {"name", "exclude_from_weight_decay", "exclude_layers", "mask"}
#: the methods of nnx/optimizers/squares take bounds on trust: nnx.minimize checks them
UNCHECKED = {("levenberg_marquardt", "bounds"), ("dogleg", "bounds")}

OPTIONS = [
    (registry, entry, name)
    for registry in Registry.kinds.values()
    for entry in registry
    if (entry.target.__module__ or "").startswith("nnx.")
    for name, parameter in inspect.signature(entry.target).parameters.items()
    if (name in entry.options or inspect.isclass(entry.target))
    and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    and (entry.name, name) not in UNCHECKED
]


def made(registry, entry, **options):
    parameters = inspect.signature(entry.target).parameters.values()
    required = {p.name for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD}
    if not inspect.isclass(entry.target):
        required = set(entry.required)
    return registry.constructor(entry.class_name)(**{name: NEEDED[name] for name in required} | options)


@walk("registry, entry, name", OPTIONS, ids=lambda of: f"{of[0].kind}-{of[1].name}-{of[2]}")
def test_no_option_of_anything_takes_nonsense(registry, entry, name):
    made(registry, entry)
    values = [Nonsense(), 7j] if name in TEXTS else [Nonsense(), 7j, "nonsense"]
    for value in values:
        with pytest.raises(NnxError):
            made(registry, entry, **{name: value})


def test_there_are_options_of_every_kind():
    kinds = {registry.kind for registry, _, _ in OPTIONS}
    assert kinds >= {
        "activation",
        "layer",
        "loss",
        "metric",
        "optimizer",
        "schedule",
        "search",
        "initializer",
    }
    assert len(OPTIONS) > 400


def model():
    found = nnx.Sequential([nnx.layers.Dense(2, input_shape=(3,))], seed=0)
    found.compile("sgd", "mse")
    return found


X, Y, T = np.ones((4, 3)), np.ones((4, 2)), np.linspace(1.0, 2.0, 5)
LOSS = nnx.losses.categorical_crossentropy


def squares(w):
    return np.sum(w * w)


def line(t, a):
    return a * t


CALLS = {
    "reduce": ("reduction", lambda v: nnx.losses.reduce(T, None, v)),
    "crossentropy": ("from_logits", lambda v: LOSS(Y, Y, from_logits=v)),
    "crossentropy axis": ("axis", lambda v: LOSS(Y, Y, axis=v)),
    "sparse": (
        "from_logits",
        lambda v: nnx.losses.sparse_categorical_crossentropy(Y[:, 0], Y, from_logits=v),
    ),
    "binary": ("from_logits", lambda v: nnx.losses.binary_crossentropy(Y, Y, from_logits=v)),
    "focal": ("from_logits", lambda v: nnx.losses.binary_focal_crossentropy(Y, Y, from_logits=v)),
    "balancing": (
        "apply_class_balancing",
        lambda v: nnx.losses.binary_focal_crossentropy(Y, Y, apply_class_balancing=v),
    ),
    "categorical focal": (
        "from_logits",
        lambda v: nnx.losses.categorical_focal_crossentropy(Y, Y, from_logits=v),
    ),
    "circle": ("remove_diagonal", lambda v: nnx.losses.circle(Y[:, 0], Y, remove_diagonal=v)),
    "gelu": ("approximate", lambda v: nnx.activations.gelu(X, approximate=v)),
    "softmax": ("axis", lambda v: nnx.activations.softmax(X, axis=v)),
    "log_softmax": ("axis", lambda v: nnx.activations.log_softmax(X, axis=v)),
    "sparsemax": ("axis", lambda v: nnx.activations.sparsemax(X, axis=v)),
    "glu": ("axis", lambda v: nnx.activations.glu(Y, axis=v)),
    "grad": ("has_aux", lambda v: nnx.grad(squares, has_aux=v)),
    "value_and_grad": ("has_aux", lambda v: nnx.value_and_grad(squares, has_aux=v)),
    "jacobian": ("has_aux", lambda v: nnx.jacobian(squares, has_aux=v)),
    "vjp": ("has_aux", lambda v: nnx.vjp(squares, T, has_aux=v)),
    "jvp": ("has_aux", lambda v: nnx.jvp(squares, (T,), (T,), has_aux=v)),
    "per_sample_grad": ("stacked", lambda v: nnx.per_sample_grad(squares, stacked=v)),
    "per_sample_jacobian": ("stacked", lambda v: nnx.per_sample_jacobian(squares, stacked=v)),
    "check_derivatives": ("modes", lambda v: nnx.check_derivatives(squares, T, modes=v)),
    "check_derivatives order": ("order", lambda v: nnx.check_derivatives(squares, T, order=v)),
    "minimize": ("options", lambda v: nnx.minimize(squares, T, options=v)),
    "least_squares": ("options", lambda v: nnx.least_squares(lambda w: w, T, options=v)),
    "curve_fit": ("options", lambda v: nnx.curve_fit(line, T, T, options=v)),
    "absolute_sigma": ("absolute_sigma", lambda v: nnx.curve_fit(line, T, T, absolute_sigma=v)),
    "full_output": ("full_output", lambda v: nnx.curve_fit(line, T, T, full_output=v)),
    "evaluate": ("return_dict", lambda v: model().evaluate(X, Y, verbose=0, return_dict=v)),
    "test_on_batch": ("return_dict", lambda v: model().test_on_batch(X, Y, return_dict=v)),
    "train_on_batch": ("return_dict", lambda v: model().train_on_batch(X, Y, return_dict=v)),
    "check_save": ("weights_only", lambda v: model().check_save("model.safetensors", weights_only=v)),
    "load_model": ("compile", lambda v: nnx.load_model("model.safetensors", compile=v)),
    "scaler mean": ("with_mean", lambda v: nnx.utils.StandardScaler(with_mean=v)),
    "scaler deviation": ("with_std", lambda v: nnx.utils.StandardScaler(with_std=v)),
    "history": ("add_history", lambda v: nnx.callbacks.CallbackList(None, add_history=v)),
    "bar": ("add_progbar", lambda v: nnx.callbacks.CallbackList(None, add_progbar=v)),
    "plateau": ("verbose", lambda v: nnx.callbacks.ReduceLROnPlateau(verbose=v)),
    "scheduler": ("verbose", lambda v: nnx.callbacks.LearningRateScheduler(abs, verbose=v)),
    "early stopping": ("verbose", lambda v: nnx.callbacks.EarlyStopping(verbose=v)),
    "checkpoints": ("verbose", lambda v: nnx.callbacks.ModelCheckpoint("m.safetensors", verbose=v)),
    "goal": ("verbose", lambda v: nnx.callbacks.StopOnGoal(0.1, verbose=v)),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_function_names_the_option_that_is_nonsense(call):
    option, of = CALLS[call]
    for value in ("nonsense", 2.5):
        with pytest.raises(OptionError, match=rf"\b{option} must (be|name)\b.*got (\(?'nonsense'|2\.5)"):
            of(value)


def test_a_confidence_band_says_so_too():
    pytest.importorskip("matplotlib")
    with pytest.raises(OptionError, match="fit: absolute_sigma must be True or False, got 'yes'"):
        nnx.plotting.fit(line, [1.0], [[1.0]], T, T, absolute_sigma="yes")


def test_a_refused_step_leaves_the_model_as_it_was():
    own = model()
    before = own.get_weights()
    with pytest.raises(OptionError, match="return_dict"):
        own.train_on_batch(X, Y, return_dict="yes")
    for a, b in zip(before, own.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_flags_of_numpy_are_flags():
    assert nnx.losses.CategoricalCrossentropy(from_logits=np.True_).options["from_logits"] is True
    assert nnx.grad(squares, has_aux=np.False_)(T).shape == T.shape


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda: nnx.constraints.MinMaxNorm(3, 2),
            "MinMaxNorm: min_value must be at most max_value, got 3.0 and",
        ),
        (
            lambda: nnx.constraints.min_max_norm(3),
            "MinMaxNorm: min_value must be at most max_value, got 3.0 and 1",
        ),
        (
            lambda: nnx.constraints.min_max_norm(Y, min_value=3),
            "min_max_norm: min_value must be at most max_value",
        ),
        (
            lambda: nnx.initializers.RandomUniform(2, 1),
            "RandomUniform needs 0 ≤ maxval − minval < inf, got 2.0 and 1",
        ),
        (lambda: nnx.initializers.RandomUniform(minval=1), "got 1.0 and 0.05"),
        (lambda: nnx.initializers.RandomUniform(-1e308, 1e308), "< inf"),
        (lambda: nnx.initializers.random_uniform((2,), minval=1.0, maxval=0.0), "random_uniform needs"),
        (lambda: nnx.optimizers.LBFGS(bounds=[(0.0, 1.0)]), r"LBFGS: bounds must be None here: .*minimize"),
        (lambda: nnx.optimizers.SGD(mask=3), "SGD: mask must be names, a vector of bools or None, got 3"),
    ],
)
def test_options_that_do_not_go_together_are_refused_when_made(make, says):
    with pytest.raises(OptionError, match=says):
        make()
