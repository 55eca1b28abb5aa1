"""Symbols: their operators, and errors in words for what no symbol can and what is no graph."""

from __future__ import annotations

import re

import numpy as np
import pytest

import nnx
from nnx.errors import DerivativeError, NnxError, OptionError, ShapeError
from nnx.layers import Activation, Add, Dense

A = np.random.default_rng(0).normal(size=(20, 4))


# -- operators -----------------------------------------------------------------------------------------

OPERATORS = {
    "a + b": lambda a, b: a + b,
    "a - b": lambda a, b: a - b,
    "a * b": lambda a, b: a * b,
    "a + 2": lambda a, b: a + 2,
    "2 - a": lambda a, b: 2 - a,
    "a - 2.5": lambda a, b: a - 2.5,
    "0.5 * a": lambda a, b: 0.5 * a,
    "a / 4": lambda a, b: a / 4,
    "-a": lambda a, b: -a,
    "+a * b": lambda a, b: +a * b,
    "sum": lambda a, b: sum([a, b]),
    "float32 * a": lambda a, b: np.float32(2.0) * a,
    "float64 - a": lambda a, b: np.float64(2.0) - a,
    "a / int64": lambda a, b: a / np.int64(2),
    "int64 + a": lambda a, b: np.int64(2) + a,
}


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_mean_what_they_mean_for_arrays(name, backend):
    operator = OPERATORS[name]
    a, b = nnx.Input((4,)), nnx.Input((4,))
    model = nnx.Model(
        [a, b], Activation("linear")(operator(a, b)) + 0.0 * b, dtype="float64", backend=backend
    )
    np.testing.assert_allclose(model.predict([A, 2.0 * A]), operator(A, 2.0 * A), rtol=1e-15)


REFUSED = {
    "np.tanh(a)": (lambda a: np.tanh(a), DerivativeError, "layer"),
    "np.add.reduce(a)": (lambda a: np.add.reduce(a), DerivativeError, "layer"),
    "np.concatenate": (lambda a: np.concatenate([a, a]), DerivativeError, "layer"),
    "np.asarray": (lambda a: np.asarray(a), DerivativeError, "layer"),
    "namespace": (lambda a: nnx.backend.namespace(a), DerivativeError, "layer"),
    "a @ x": (lambda a: a @ A.T, DerivativeError, "layer"),
    "x @ a": (lambda a: A @ a, DerivativeError, "layer"),
    "a ** 2": (lambda a: a**2, DerivativeError, "layer"),
    "2 ** a": (lambda a: 2**a, DerivativeError, "layer"),
    "2 / a": (lambda a: 2 / a, DerivativeError, "layer"),
    "a / a": (lambda a: a / a, DerivativeError, "layer"),
    "a // 2": (lambda a: a // 2, DerivativeError, "layer"),
    "a % 2": (lambda a: a % 2, DerivativeError, "layer"),
    "a > 0": (lambda a: a > 0, DerivativeError, "layer"),
    "abs": (abs, DerivativeError, "layer"),
    "round": (round, DerivativeError, "layer"),
    "bool": (bool, DerivativeError, "layer"),
    "float": (float, DerivativeError, "layer"),
    "len": (len, DerivativeError, "layer"),
    "a[0]": (lambda a: a[0], DerivativeError, "layer"),
    "list": (list, DerivativeError, "layer"),
    "a / 0": (lambda a: a / 0, OptionError, "finite"),
    "a * nan": (lambda a: a * float("nan"), OptionError, "finite"),
    "a * True": (lambda a: a * True, OptionError, "bool"),
    "a + x": (lambda a: a + A, OptionError, "input of the model"),
    "x + a": (lambda a: A + a, OptionError, "input of the model"),
    "a + '1'": (lambda a: a + "1", OptionError, "str"),
    "Add(a, x)": (lambda a: Add()(a, A), OptionError, "symbols and arrays"),
    "Add([x, a])": (lambda a: Add()([A, a]), OptionError, "symbols and arrays"),
    "predict": (lambda a: nnx.Sequential([Dense(1)]).predict(a), DerivativeError, "layer"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_symbol_can_is_refused_in_words(name):
    do, error, words = REFUSED[name]
    with pytest.raises(error, match=words):
        do(nnx.Input((4,)))


# -- what is no graph ----------------------------------------------------------------------------------


def unknown_input():
    return nnx.Model(nnx.Input((4,)), Dense(1)(nnx.Input((4,), name="lost")))


def twice_the_same_input():
    x = nnx.Input((4,))
    return nnx.Model([x, x], Dense(1)(x))


def twice_the_same_name():
    a, b = nnx.Input((4,), name="a"), nnx.Input((4,), name="a")
    return nnx.Model([a, b], Dense(1)(a + b))


def two_layers_of_one_name():
    x = nnx.Input((4,))
    return nnx.Model(x, Dense(4, name="d")(Dense(4, name="d")(x)))


def shapes_that_cannot_be_added():
    return Add(name="total")(nnx.Input((3,)), nnx.Input((4,)))


def other_declared_shape():
    return Dense(2, name="first", input_shape=(3,))(nnx.Input((4,)))


def single_numbers():
    return Dense(2, name="first")(nnx.Input(()))


def shared_layer_of_two_widths():
    a, b, d = nnx.Input((4,)), nnx.Input((5,)), Dense(2, name="d")
    return nnx.Model([a, b], d(a) + d(b))


def model_of_another_width():
    return nnx.Sequential([Dense(1, input_shape=(3,))])(nnx.Input((4,)))


def symbol(make):
    return lambda: make(nnx.Input((4,)))


NO_GRAPHS = [
    (unknown_input, OptionError, r"'lost' of shape \(4,\) that is not among"),
    (twice_the_same_input, OptionError, "Input 1 of the model is there twice"),
    (twice_the_same_name, OptionError, "different names, got a, a"),
    (two_layers_of_one_name, OptionError, "named 'd'"),
    (shapes_that_cannot_be_added, ShapeError, r"\(3,\), \(4,\)[^$]*in Add 'total'"),
    (other_declared_shape, ShapeError, r"input_shape=\(3,\)[^$]*in Dense 'first'"),
    (single_numbers, ShapeError, "one axis[^$]*in Dense 'first'"),
    (shared_layer_of_two_widths, ShapeError, "Dense 'd' is called on samples of other shapes"),
    (model_of_another_width, ShapeError, r"built for \(3,\), not \(4,\)"),
    (symbol(lambda x: nnx.Model(x, x)), OptionError, "no layer in between"),
    (symbol(lambda x: nnx.Model(A, Dense(1)(x))), OptionError, "nnx.Input.shape. gave, got a ndarray"),
    (symbol(lambda x: nnx.Model(Dense(1), Dense(1)(x))), OptionError, "got a Dense as input 0"),
    (symbol(lambda x: nnx.Model(x + x, Dense(1)(x + x))), OptionError, "made by Add"),
    (symbol(lambda x: nnx.Model(x, Dense(1))), OptionError, "output of a model is a symbol.*a Dense"),
    (
        symbol(lambda x: nnx.Model(x, {"y": {"z": Dense(1)(x)}})),
        OptionError,
        "output of a model is a symbol.*a dict",
    ),
    (symbol(lambda x: nnx.Model(x, Dense)), OptionError, "the class Dense"),
    (symbol(lambda x: nnx.Model(x)), OptionError, "inputs and outputs"),
    (symbol(lambda x: nnx.Model([], Dense(1)(x))), OptionError, "not among the model's"),
    (symbol(lambda x: nnx.Sequential([Dense(1), x])), OptionError, "first thing"),
    (symbol(lambda x: nnx.Sequential([x + x])), OptionError, r"nnx.Model\(inputs, outputs\)"),
    (symbol(lambda x: nnx.Sequential()(x)), NnxError, "no layers"),
]


@pytest.mark.parametrize(("make", "error", "words"), NO_GRAPHS)
def test_what_is_no_graph_is_refused_in_words(make, error, words):
    with pytest.raises(error) as caught:
        make()
    notes = getattr(caught.value, "__notes__", [])
    assert re.search(words, "\n".join([str(caught.value), *notes])), str(caught.value)
