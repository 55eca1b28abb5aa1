"""One contract for every regularizer of the registry, and parity with Keras."""

from __future__ import annotations

import numpy as np
import pytest
from functions.targets import same_defaults

import nnx
from nnx import regularizers
from nnx.backend import device_of, namespace, to_numpy
from nnx.errors import OptionError
from nnx.registry import from_config, to_config

ENTRIES = list(regularizers.registry)
W = np.asarray([[0.5, -2.0, 1.0], [3.0, -0.25, 0.1]])


def by_name(entries):
    return {"argvalues": entries, "ids": [e.name for e in entries]}


def strong(entry):
    """The regularizer with every option different from its default."""
    return getattr(regularizers, entry.class_name)(
        **{name: "columns" if name == "mode" else 0.1 * (i + 1) for i, name in enumerate(entry.options)}
    )


@pytest.mark.parametrize("entry", **by_name(ENTRIES))
def test_contract(entry, backend):
    assert entry.traits.formula and entry.traits.use and ">>>" in entry.target.__doc__
    penalty = strong(entry)
    assert from_config(to_config(penalty)) == penalty == regularizers.get(penalty)
    assert regularizers.get(entry.name) == regularizers.get(entry.class_name)
    for dtype in ("float32", "float64"):
        w = backend.asarray(W, dtype=dtype)
        value, gradient = nnx.value_and_grad(penalty)(w)
        assert tuple(value.shape) == () and value.dtype == gradient.dtype == w.dtype
        assert namespace(gradient) is backend.xp and device_of(gradient) == backend.device
        np.testing.assert_allclose(to_numpy(value), penalty(W), rtol=1e-6 if dtype == "float32" else 1e-14)
    nnx.check_derivatives(penalty, backend.asarray(W, dtype="float64"))


@pytest.mark.parametrize("function", [regularizers._sum_of_absolutes, regularizers._sum_of_squares])
def test_hand_written_pullback_is_that_of_the_body(function):
    np.testing.assert_allclose(nnx.grad(function)(W), nnx.grad(function.plain)(W), rtol=1e-15)
    np.testing.assert_allclose(nnx.hvp(function, W, W), nnx.hvp(function.plain, W, W), rtol=1e-15)


@pytest.mark.parametrize("entry", **by_name(ENTRIES))
def test_equals_keras(entry, keras):
    torch = pytest.importorskip("torch")
    for options in ({}, dict(strong(entry).options)):
        mine = getattr(regularizers, entry.class_name)(**options)
        t = torch.tensor(W, requires_grad=True)
        value = getattr(keras.regularizers, entry.class_name)(**options)(t)
        # Keras holds the factor of L1 in float32.
        assert float(mine(W)) == pytest.approx(float(value.detach()), rel=1e-7)
        if value.requires_grad:
            value.backward()
            np.testing.assert_allclose(nnx.grad(mine)(W), t.grad.numpy(), rtol=1e-7)


@pytest.mark.parametrize("entry", **by_name(ENTRIES))
def test_defaults_are_those_of_keras(entry, keras):
    same_defaults(entry.target, getattr(keras.regularizers, entry.class_name))


def test_keras_names_all_work(keras):
    for name in keras.src.regularizers.ALL_OBJECTS_DICT:
        if "egularizer" not in name:
            assert regularizers.get(name).name in {e.name for e in ENTRIES}


def test_the_derivative_of_l1_at_zero_is_zero():
    assert nnx.grad(regularizers.l1)(np.zeros(3)).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("wrong", [-0.1, float("nan"), float("inf"), "a", True])
def test_factors_out_of_range_are_refused(wrong):
    with pytest.raises(OptionError, match="l1"):
        regularizers.L1(wrong)
    with pytest.raises(OptionError, match="l2"):
        regularizers.L1L2(l2=wrong)
    with pytest.raises(OptionError, match="l1"):
        regularizers.l1(W, l1=wrong)
    with pytest.raises(OptionError, match="Its arguments: l2"):
        regularizers.L2(l1=0.1)
