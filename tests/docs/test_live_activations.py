"""The live activations are nnx's functions and derivatives."""

from __future__ import annotations

import numpy as np
import pytest
from docs.live_javascript import run

import nnx
from docs_build.live import activations
from docs_build.live.scripts import activations_script

CURVES = {curve.key: curve for curve in activations.curves()}
#: between the kinks, at the kinks, far out, and what is no finite number
GRID = [*np.linspace(-9.0, 9.0, 721).tolist(), -0.0, 1e-8, -1e-300, 40.0, -40.0, 800.0, -800.0, 1e4, -1e4]
EXTREMES = ["Infinity", "-Infinity", "NaN"]


def test_only_functions_of_whole_vectors_are_left_out():
    left_out = {entry.name for entry in nnx.activations.registry} - CURVES.keys()
    assert left_out == {"softmax", "log_softmax", "sparsemax", "glu"}


@pytest.fixture(scope="module")
def computed():
    return run(f"""{activations_script()}
        const grid = [{", ".join(map(repr, GRID))}, {", ".join(EXTREMES)}], result = {{}};
        for (const [name, f] of Object.entries(globalThis.nnxLive.activations))
          result[name] = [grid.map((x) => f.value(x)), grid.map((x) => f.slope(x))];""")


@pytest.mark.parametrize("key", CURVES)
def test_function_and_derivative(key, computed):
    x = np.asarray([*GRID, *map(float, EXTREMES)])
    f = CURVES[key].f
    with np.errstate(all="ignore"):
        value, back = nnx.vjp(f, x)
        (slope,) = back(np.ones_like(x))
    # exp, tanh, ... of two libraries differ by a few units in the last place; 1 + erf(z) and 1 − tanh² lose
    # digits against 1, hence the absolute part: 1e-15·max(1, |z|)
    for got, expected in zip(computed[key], (value, slope), strict=True):
        got, finite = np.asarray(got, dtype=float), np.isfinite(expected)
        size = np.where(np.isfinite(x), np.maximum(1.0, np.abs(x)), 1.0)[finite]
        allowed = 1e-13 * np.abs(expected[finite]) + 1e-15 * size
        assert np.all(np.abs(got[finite] - expected[finite]) <= allowed)
        np.testing.assert_array_equal(got[~finite], expected[~finite])


def test_the_error_function_to_the_last_digits():
    """gelu needs erf, which JavaScript does not have: Cody's approximation is recorded from nnx."""
    mpmath = pytest.importorskip("mpmath")
    x = np.linspace(-6.0, 6.0, 241)
    found = run(f"""{activations_script()}
        const f = globalThis.nnxLive.activations.gelu;
        const result = [{", ".join(map(repr, x.tolist()))}].map((x) => f.value(x));""")
    expected = [float(mpmath.mpf(z) * mpmath.ncdf(mpmath.mpf(z))) for z in x.tolist()]
    # Φ is (1 + erf)/2: an error of one rounding of numbers up to 2, times |z|/2
    assert np.max(np.abs(np.asarray(found) - expected) / np.maximum(1.0, np.abs(x))) <= 4e-16
