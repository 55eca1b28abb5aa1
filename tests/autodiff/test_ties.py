"""A maximum that is compared with its own argument: SciPy's logsumexp, and code of one's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nnx
from nnx.backend import namespace, to_numpy

POINTS = {
    "all equal": [0.0, 0.0, 0.0, 0.0],
    "some equal": [1.0, 0.5, 1.0, -2.0],
    "none": [1.0, 0.5, 2.0, -2.0],
    "one alone": [3.0],
    "minus infinity": [-np.inf, 0.0, 0.0, -1.0],
}
# SciPy looks at SCIPY_ARRAY_API when it is imported: so in a process of its own.
_PROGRAM = """
import json, sys
import numpy as np, nnx, scipy.special as sp

def derivatives(x, weights):
    def f(x):
        b = None if weights is None else x.__array_namespace__().asarray(np.asarray(weights))
        return sp.logsumexp(x, b=b)
    x = np.asarray(x)
    direction = np.arange(1.0, x.size + 1.0)
    third = nnx.jacobian(lambda x: nnx.hvp(f, x, direction))(x)
    mapped = nnx.vmap(nnx.hessian(f))(np.stack([x, x[::-1]]))[0]
    return [d.tolist() for d in (nnx.grad(f)(x), nnx.hessian(f)(x), third, mapped)]

def by_weights(x, weights):
    f = lambda b: sp.logsumexp(b.__array_namespace__().asarray(np.asarray(x)), b=b)
    return nnx.grad(f)(np.asarray(weights)).tolist()

cases = json.load(sys.stdin)
json.dump([[derivatives(x, b), None if b is None else by_weights(x, b)] for x, b in cases], sys.stdout)
"""


def _of_scipy(cases):
    root = str(Path(__file__).parents[2])
    environment = os.environ | {"SCIPY_ARRAY_API": "1", "PYTHONPATH": root}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        env=environment, input=json.dumps(cases), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_all_derivatives_of_scipys_logsumexp_are_right():
    scipy = pytest.importorskip("scipy", minversion="1.17")
    assert scipy is not None
    cases = [(x, b) for x in POINTS.values() for b in (None, [2.0, 1.0, 0.5, 0.25][: len(x)])]
    for (x, b), ((first, second, third, mapped), by_b) in zip(cases, _of_scipy(cases), strict=True):
        powers = np.exp(x) * (1.0 if b is None else b)
        p, v = powers / np.sum(powers), np.arange(1.0, len(x) + 1.0)
        curved = np.diag(p) - np.outer(p, p)
        np.testing.assert_allclose(first, p, rtol=1e-14, atol=1e-15)
        np.testing.assert_allclose(second, curved, atol=1e-15)
        np.testing.assert_allclose(mapped, curved, atol=1e-15)
        # ∂(Hv)/∂x with H = diag(p) − ppᵀ and ∂p/∂x = H
        expected = np.diag(v) @ curved - curved * (p @ v) - np.outer(p, curved @ v)
        np.testing.assert_allclose(third, expected, atol=1e-14)
        if b is not None:
            np.testing.assert_allclose(by_b, np.exp(x) / np.sum(powers), rtol=1e-14)


def without_ties(x):
    """ln Σ exp(xᵢ), as SciPy computes it."""
    xp = namespace(x)
    largest = xp.max(x)
    tie = x == largest
    k = xp.sum(xp.astype(tie, x.dtype))
    rest = xp.sum(xp.where(tie, xp.zeros_like(x), xp.exp(x - largest)))
    return largest + xp.log(k) + xp.log1p(rest / k)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_in_code_of_ones_own_the_second_derivative_is_nan_at_ties_alone(backend):
    for x in POINTS.values():
        p = np.exp(x) / np.sum(np.exp(x))
        there = backend.asarray(x, dtype="float64")
        np.testing.assert_allclose(to_numpy(nnx.grad(without_ties)(there)), p, rtol=1e-14, atol=1e-15)
        found = to_numpy(nnx.hessian(without_ties)(there))
        tie = np.equal(x, max(x)) & (x.count(max(x)) > 1)
        assert np.all(np.isnan(found[np.outer(tie, tie)]))
        right = np.isclose(found, np.diag(p) - np.outer(p, p), rtol=0.0, atol=1e-15)
        assert np.all(right | (np.isnan(found) & tie))  # a NaN goes on to all that is computed from it


def test_a_maximum_that_is_compared_with_something_else_keeps_its_slope(backend):
    x = backend.asarray([1.0, 1.0, 0.5], dtype="float64")

    def f(x):
        xp = namespace(x)
        return xp.max(x * x) ** 2 * xp.astype(x[0] != 3.0, x.dtype) + xp.sum(xp.astype(x == 3.0, x.dtype))

    expected = np.asarray([[4.0, 2.0, 0.0], [2.0, 4.0, 0.0], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(to_numpy(nnx.hessian(f)(x)), expected)
