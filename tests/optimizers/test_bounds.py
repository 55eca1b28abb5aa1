"""Bounds in every form that users write, and a start outside of them."""

from __future__ import annotations

import numpy as np
import pytest
from optimizers.two_variables import START, line, residual, rosenbrock

import nnx
from nnx.backend import to_numpy
from nnx.errors import OptionError, ShapeError

optimize = pytest.importorskip("scipy.optimize")

SIDES = [[-2.0, -1.0], [0.5, 3.0]]


class Bounds:
    lb, ub = np.asarray([-2.0, -1.0]), [0.5, 3.0]


@pytest.mark.parametrize(
    "bounds",
    [
        SIDES,
        tuple(SIDES),
        np.asarray(SIDES),
        optimize.Bounds(*SIDES),
        Bounds(),
        tuple(map(np.asarray, SIDES)),
        (([None, -1.0]), (0.5, None)),
    ],
    ids=["lists", "tuple", "array", "SciPy's", "object", "arrays", "None"],
)
@pytest.mark.parametrize("method", ["lm", "dogleg"])
def test_forms_of_bounds_of_least_squares(bounds, method):
    expected = nnx.least_squares(residual, START, bounds=SIDES, method=method)
    result = nnx.least_squares(residual, START, bounds=bounds, method=method)
    np.testing.assert_array_equal(result.x, expected.x)
    np.testing.assert_array_equal(result.active_mask, [1, 0])
    t = np.arange(5.0)
    fit = nnx.curve_fit(line, t, 0.7 * t, bounds=bounds, method=method)
    np.testing.assert_array_equal(fit.result.active_mask, [1, 0])


@pytest.mark.parametrize(
    "bounds",
    [
        [(-2.0, 0.5), (-1.0, 3.0)],
        np.asarray([(-2.0, 0.5), (-1.0, 3.0)]),
        [np.asarray([-2.0, 0.5]), (-1.0, None)],
        optimize.Bounds(*SIDES),
        zip(*SIDES, strict=True),
    ],
    ids=["pairs", "array", "arrays", "SciPy's", "zip"],
)
def test_forms_of_bounds_of_minimize(bounds):
    result = nnx.minimize(rosenbrock, START, bounds=bounds)
    np.testing.assert_allclose(result.x, [0.5, 0.25], rtol=1e-6)


def test_arrays_of_pairs_and_of_sides_for_three_variables():
    low, high = np.asarray([0.0, 0.0, 0.0]), np.asarray([2.0, 2.0, 0.5])
    for bounds in (np.stack([low, high]), np.stack([low, high], axis=1)):
        result = nnx.least_squares(lambda x: x - 1.0, np.full(3, 0.25), bounds=bounds)
        np.testing.assert_allclose(result.x, [1.0, 1.0, 0.5], rtol=1e-9)
        result = nnx.minimize(lambda x: np.sum((x - 1.0) ** 2), np.full(3, 0.25), bounds=bounds)
        np.testing.assert_allclose(result.x, [1.0, 1.0, 0.5], rtol=1e-6)


def test_bounds_as_arrays_of_every_backend(backend):
    sides = backend.asarray(SIDES, dtype="float64")
    x0 = backend.asarray(START, dtype="float64")
    result = nnx.least_squares(residual, x0, bounds=sides)
    np.testing.assert_array_equal(to_numpy(result.active_mask), [1, 0])
    assert type(result.active_mask) is type(x0)
    pairs = nnx.minimize(rosenbrock, x0, bounds=backend.asarray([[-2.0, 0.5], [-1.0, 3.0]], dtype="float64"))
    np.testing.assert_allclose(to_numpy(pairs.x), [0.5, 0.25], rtol=1e-6)


@pytest.mark.parametrize(
    ("bounds", "error", "words"),
    [
        (([0.0], [3.0, 4.0]), ShapeError, r"shape \(2,\), like the variables; got \(1,\)"),
        (([0.0, 0.0], [3.0, 4.0, 5.0]), ShapeError, r"got \(3,\)"),
        (([[0.0, 0.0]], 5.0), ShapeError, r"got \(1, 2\)"),
        ((0.0, 1.0, 2.0), ShapeError, "got 3 entries"),
        (np.zeros((3, 2)), ShapeError, "got 3 entries"),
        (np.zeros(()), ShapeError, "got 0 entries"),
        (3.0, OptionError, "pairs"),
        ("none", OptionError, "pairs"),
        (([0.0, np.nan], 5.0), OptionError, "NaN"),
        (([0.0, 9.0], 5.0), OptionError, "above the upper"),
    ],
    ids=str,
)
def test_bounds_that_do_not_fit_are_refused(bounds, error, words):
    with pytest.raises(error, match=words):
        nnx.least_squares(lambda x: x - 1.0, [1.0, 2.0], bounds=bounds)
    t = np.arange(5.0)
    with pytest.raises(error, match=words):
        nnx.curve_fit(line, t, t, [1.0, 2.0], bounds=bounds)


@pytest.mark.parametrize(
    ("p0", "bounds"),
    [([5.0], (0, 2)), ([-1.0], (0.0, np.inf)), ([2.0], ([3.0], [4.0])), ([np.nan], (0, 2))],
)
def test_a_start_of_a_fit_outside_its_bounds_is_refused_as_in_scipy(p0, bounds):
    t = np.arange(5.0)
    with pytest.raises(ValueError, match="curve_fit: p0 is outside of the bounds: entry 0 is"):
        nnx.curve_fit(lambda t, a: a * t, t, t, p0, bounds=bounds)
    with pytest.raises(ValueError, match="outside of provided bounds"):
        optimize.curve_fit(lambda t, a: a * t, t, t, p0, bounds=bounds)


def test_active_mask_is_scipys_and_has_the_form_of_the_start():
    def r(x):
        return x - np.asarray([5.0, -5.0, 0.5])

    result = nnx.least_squares(r, np.full(3, 0.5), bounds=(0.0, 1.0))
    expected = optimize.least_squares(r, np.full(3, 0.5), bounds=(0.0, 1.0), method="dogbox")
    np.testing.assert_array_equal(result.active_mask, expected.active_mask)
    assert result.active_mask.tolist() == [1, -1, 0]
    formed = nnx.least_squares(
        lambda p: np.concatenate([p["a"] - 5.0, p["b"][0] + 5.0]),
        {"a": np.asarray([0.5]), "b": [np.asarray([0.5])]},
        bounds=(0.0, 1.0),
    )
    assert (int(formed.active_mask["a"][0]), int(formed.active_mask["b"][0][0])) == (1, -1)
