"""Every derivative rule against finite differences, to second order, in both modes, on every backend."""

from __future__ import annotations

import numpy as np
from autodiff.derivative_cases import CASES
from walks import walk

import nnx
from nnx.autodiff.space import COMPOSITIONS, RULES
from nnx.backend import namespace, to_numpy

# Reached only through the transposes of other rules (getitem), or through a method.
INTERNAL = {
    "kinked",
    "restored",
    "laid_out",
    "scatter",
    "scatter_add",
    "set_at",
    "add_at",
    "item",
    "converted",
    "to_device",
    "from_parts",
}


@walk("case", CASES)
def test_rule_agrees_with_finite_differences(case, backend):
    arrays = [backend.asarray(x, dtype="float64") for x in case.arrays()]
    nnx.check_derivatives(lambda *xs: case.function(namespace(*xs), *xs), *arrays)


# astype changes the type on purpose; the others take arrays where the standard knows numbers only.
BEYOND_THE_PLAIN_CALL = {"astype", "full", "full_like", "linspace", "asarray"}


@walk("case", [c for c in CASES if c.name not in BEYOND_THE_PLAIN_CALL])
def test_value_and_dtype_are_those_of_the_plain_call(case, backend):
    arrays = [backend.asarray(x, dtype="float32") for x in case.arrays()]
    plain = case.function(namespace(*arrays), *arrays)
    out, pullback = nnx.vjp(lambda *xs: case.function(namespace(*xs), *xs), *arrays)
    for a, b in zip(nnx.autodiff.flatten(plain)[0], nnx.autodiff.flatten(out)[0], strict=True):
        np.testing.assert_allclose(to_numpy(a), to_numpy(b), rtol=1e-6, atol=1e-6)
        assert a.dtype == b.dtype
    for x, g in zip(arrays, pullback(out), strict=True):
        assert g.dtype == x.dtype
        assert g.shape == x.shape


def test_every_rule_has_an_example():
    known = {case.name for case in CASES} | INTERNAL
    rules = {name for name in {*RULES, *COMPOSITIONS} if not name.startswith("special.")}  # test_special.py
    assert rules <= known


def test_ties_are_shared():
    assert [float(g) for g in nnx.grad(np.maximum, argnums=(0, 1))(1.0, 1.0)] == [0.5, 0.5]
    np.testing.assert_array_equal(nnx.grad(np.max)(np.asarray([1.0, 3.0, 3.0])), [0.0, 0.5, 0.5])
    assert float(nnx.grad(np.abs)(0.0)) == 0.0


def test_zero_size_arrays():
    x = np.zeros((0, 3))
    assert nnx.grad(lambda x: np.sum(x * x))(x).shape == (0, 3)
    assert nnx.grad(lambda x: np.sum(np.concatenate([x, x + 1.0])))(x).shape == (0, 3)
