"""Confidence bands beside SciPy, regression plots and error histograms beside NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib import pyplot as plt

import nnx
from nnx.errors import DataError, OptionError, ShapeError
from nnx.plotting import error_histogram, fit, regression

stats = pytest.importorskip("scipy.stats")
optimize = pytest.importorskip("scipy.optimize")

RANDOM = np.random.default_rng(7)
X = np.linspace(0.0, 4.0, 25)


def decay(x, a, b, c):
    return a * np.exp(-b * x) + c


Y = decay(X, 2.5, 1.3, 0.5) + 0.1 * RANDOM.standard_normal(25)


def edges(ax):
    """The band's points x, lower and upper end, out of the polygon that is drawn."""
    vertices = ax.collections[0].get_paths()[0].vertices
    x = np.unique(vertices[:, 0])
    ends = [vertices[vertices[:, 0] == at, 1] for at in x]
    return x, np.asarray([e.min() for e in ends]), np.asarray([e.max() for e in ends])


# -- fit ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_the_band_is_that_of_scipys_covariance_and_quantile(confidence):
    popt, pcov = optimize.curve_fit(decay, X, Y, (1.0, 1.0, 1.0))
    x, low, high = edges(fit(decay, popt, pcov, X, Y, confidence=confidence))
    # J by central differences of step 1e-5: truncation h²f‴/6 ≈ 1e-10, rounding 1e-16/1e-5 = 1e-11
    steps = 1e-5 * np.eye(3)
    j = np.stack([(decay(x, *(popt + h)) - decay(x, *(popt - h))) / 2e-5 for h in steps], axis=1)
    half = stats.t.ppf(0.5 + 0.5 * confidence, 22) * np.sqrt(np.einsum("ij,jk,ik->i", j, pcov, j))
    np.testing.assert_allclose(0.5 * (high - low), half, rtol=1e-7)
    np.testing.assert_allclose(0.5 * (high + low), decay(x, *popt), rtol=1e-12)


def test_for_a_straight_line_it_is_the_textbooks_band():
    """ŷ ± t·s·√(1/m + (x − x̄)²/Sxx): N. R. Draper, H. Smith, Applied Regression Analysis, section 1.4."""
    y = 2.0 * X - 1.0 + RANDOM.standard_normal(25)
    popt, pcov = nnx.curve_fit(lambda x, a, b: a * x + b, X, y)
    x, low, high = edges(fit(lambda x, a, b: a * x + b, popt, pcov, X, y))
    slope, offset = np.polyfit(X, y, 1)
    s = np.sqrt(np.sum((y - slope * X - offset) ** 2) / 23)
    sxx = np.sum((X - X.mean()) ** 2)
    half = stats.t.ppf(0.975, 23) * s * np.sqrt(1.0 / 25 + (x - X.mean()) ** 2 / sxx)
    np.testing.assert_allclose(0.5 * (high - low), half, rtol=1e-6)  # where curve_fit has ended


def test_the_band_holds_the_true_curve_as_often_as_it_says():
    (_, ax), truth, held = plt.subplots(), (2.5, 1.3, 0.5), 0
    for _ in range(100):
        y = decay(X, *truth) + 0.1 * RANDOM.standard_normal(25)
        ax.clear()
        x, low, high = edges(fit(decay, *nnx.curve_fit(decay, X, y, truth), X, y, confidence=0.9, ax=ax))
        held += low[60] <= decay(x[60], *truth) <= high[60]
    # 100 draws with 0.9: mean 90, standard deviation 3; three of them.
    assert abs(held - 90) <= 9


def test_absolute_deviations_take_the_normal_quantile():
    sigma = np.full(25, 0.1)
    popt, pcov = nnx.curve_fit(decay, X, Y, sigma=sigma, absolute_sigma=True)
    _, low, high = edges(fit(decay, popt, pcov, X, Y, absolute_sigma=True))
    _, narrow, wide = edges(fit(decay, popt, pcov, X, Y))
    ratio = (high - low) / (wide - narrow)
    np.testing.assert_allclose(ratio, stats.norm.ppf(0.975) / stats.t.ppf(0.975, 22), rtol=1e-9)


def test_data_curve_and_names_are_drawn():
    popt, pcov = nnx.curve_fit(decay, X, Y)
    ax = fit(decay, popt, pcov, X, Y, confidence=0.9)
    data, curve = ax.lines
    np.testing.assert_array_equal(data.get_xydata(), np.stack([X, Y], axis=1))
    np.testing.assert_allclose(curve.get_ydata(), decay(curve.get_xdata(), *popt), rtol=1e-12)
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["data", "fit", "90 % confidence"]


def test_the_arrays_of_the_parameters_compute(backend):
    popt, pcov = nnx.curve_fit(decay, X, Y)

    def f(x, a, b, c):
        return a * nnx.backend.namespace(x, a).exp(-b * x) + c

    to = {"dtype": "float64"}
    given = [backend.asarray(part, **to) for part in (popt, pcov, X, Y)]
    for found, expected in zip(edges(fit(f, *given)), edges(fit(decay, popt, pcov, X, Y)), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_a_constant_model_has_a_band_of_one_width():
    popt, pcov = nnx.curve_fit(lambda x, c: c + 0.0 * x, X, Y)
    for f in (lambda x, c: c + 0.0 * x, lambda x, c: c):
        _, low, high = edges(fit(f, popt, pcov, X, Y))
        error = stats.t.ppf(0.975, 24) * Y.std(ddof=1) / 5.0  # the textbook's interval of a mean
        np.testing.assert_allclose(0.5 * (high - low), error, rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"confidence": 1.0}, OptionError, "confidence must be a finite number > 0 and < 1"),
        ({"pcov": np.eye(2)}, ShapeError, r"got shapes \(3,\) and \(2, 2\)"),
        ({"pcov": np.full((3, 3), np.inf)}, DataError, "pcov is not finite"),
        ({"pcov": -np.eye(3)}, DataError, "negative variance"),
        ({"xdata": X[:24]}, ShapeError, "xdata has 24 samples, ydata has 25"),
        ({"xdata": np.ones((25, 2)), "ydata": np.ones((25, 2))}, ShapeError, "one number for each datum"),
        ({"xdata": X[:3], "ydata": Y[:3]}, DataError, "3 data for 3 parameters leave no degree of freedom"),
        ({"f": lambda x, a, b, c: np.stack([x, x]) * a}, ShapeError, r"one number for each x, \(200,\)"),
    ],
)
def test_what_has_no_band_is_refused(change, error, match):
    given = {"f": decay, "popt": [2.5, 1.3, 0.5], "pcov": np.eye(3), "xdata": X, "ydata": Y} | change
    with pytest.raises(error, match=match):
        fit(**given)


# -- regression -----------------------------------------------------------------------------------------


def test_the_line_and_r_are_numpys():
    t = RANDOM.normal(size=(50, 2))
    y = 0.8 * t + 0.3 + 0.2 * RANDOM.normal(size=(50, 2))
    ax = regression(t, y)
    points, (line, same) = ax.collections[0].get_offsets(), ax.lines
    np.testing.assert_array_equal(points, np.stack([t.ravel(), y.ravel()], axis=1))
    slope, offset = np.polyfit(t.ravel(), y.ravel(), 1)
    np.testing.assert_allclose(line.get_ydata(), slope * line.get_xdata() + offset, rtol=1e-12)
    np.testing.assert_array_equal(same.get_xdata(), same.get_ydata())
    assert ax.get_title() == f"R = {np.corrcoef(t.ravel(), y.ravel())[0, 1]:.5g}"
    assert ax.get_ylabel() == f"output ≈ {slope:.3g} · target + {offset:.2g}"
    assert ax.get_xlim() == ax.get_ylim()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["data", "fit", "Y = T"]


def test_a_negative_offset_has_a_minus():
    assert regression([0.0, 1.0], [-0.5, 0.5]).get_ylabel() == "output ≈ 1 · target − 0.5"


def test_equal_outputs_have_no_correlation():
    assert regression([0.0, 1.0], [0.5, 0.5]).get_title() == "R is not defined: equal outputs"


def test_columns_and_vectors_go_together(backend):
    ax = regression(
        backend.asarray([1.0, 2.0, 3.0], dtype="float64"),
        backend.asarray([[1.0], [2.0], [4.0]], dtype="float64"),
    )
    np.testing.assert_array_equal(ax.collections[0].get_offsets(), [[1.0, 1.0], [2.0, 2.0], [3.0, 4.0]])


@pytest.mark.parametrize(
    ("t", "y", "error", "match"),
    [
        ([1.0, 1.0], [0.0, 1.0], DataError, "all targets are 1: they determine no line"),
        ([1.0, 2.0], [0.0, np.nan], DataError, r"outputs has NaN .* \(outputs\[1\]\)"),
        ([1.0, 2.0], [0.0], ShapeError, "targets has 2 samples, outputs has 1"),
        (np.ones((2, 3)), np.ones((2, 2)), ShapeError, r"targets has shape \(2, 3\), outputs \(2, 2\)"),
        (np.ones((2, 3)), np.ones((2, 1)), ShapeError, "they must have the same"),
        ([], [], ShapeError, "empty"),
        (1.0, 1.0, ShapeError, "got a single number"),
    ],
)
@pytest.mark.parametrize("function", [regression, error_histogram])
def test_what_cannot_be_compared_is_refused(function, t, y, error, match):
    if function is error_histogram and "no line" in match:
        assert function(t, y).patches
        return
    with pytest.raises(error, match=match):
        function(t, y)


# -- error histogram ------------------------------------------------------------------------------------


@pytest.mark.parametrize("bins", [1, 7, 20])
def test_the_counts_are_numpys(bins):
    t, y = RANDOM.normal(size=300), RANDOM.normal(size=300)
    ax = error_histogram(t, y, bins=bins)
    counts, borders = np.histogram(t - y, bins)
    np.testing.assert_array_equal([bar.get_height() for bar in ax.patches], counts)
    np.testing.assert_allclose([bar.get_x() for bar in ax.patches], borders[:-1], rtol=1e-12)
    np.testing.assert_allclose([bar.get_width() for bar in ax.patches], np.diff(borders), rtol=1e-9)
    assert list(ax.lines[0].get_xdata()) == [0.0, 0.0]
    assert ax.get_title() == (
        "Error histogram with 1 bin" if bins == 1 else f"Error histogram with {bins} bins"
    )
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("error = target − output", "instances")


def test_sets_are_stacked_over_the_same_bins():
    sets = {name: RANDOM.normal(size=n) for name, n in (("training", 70), ("validation", 15), ("test", 15))}
    ax = error_histogram(sets, {name: np.zeros_like(t) for name, t in sets.items()}, bins=10)
    borders = np.histogram_bin_edges(np.concatenate(list(sets.values())), 10)
    below = np.zeros(10)
    for bars, (name, t) in zip(ax.containers, sets.items(), strict=True):
        counts = np.histogram(t, borders)[0]
        assert bars.get_label() == name
        np.testing.assert_array_equal([bar.get_height() for bar in bars], counts)
        np.testing.assert_array_equal([bar.get_y() for bar in bars], below)
        below = below + counts
    assert below.sum() == 100


def test_equal_errors_are_one_bar():
    ax = error_histogram([1.0, 2.0], [0.5, 1.5], bins=4)
    assert sorted(bar.get_height() for bar in ax.patches) == [0.0, 0.0, 0.0, 2.0]


@pytest.mark.parametrize(
    ("t", "y", "bins", "match"),
    [
        ({"training": [1.0]}, {"test": [1.0]}, 20, r"same names; got \['training'\] and \['test'\]"),
        ({"training": [1.0]}, [1.0], 20, r"got \['training'\] and list"),
        ({}, {}, 20, "same names"),
        ([1.0], [1.0], 0, "bins must be a whole number >= 1"),
        ([1.0], [1.0], 2.5, "bins must be a whole number >= 1"),
    ],
)
def test_sets_and_bins_that_do_not_fit_are_refused(t, y, bins, match):
    with pytest.raises(OptionError, match=match):
        error_histogram(t, y, bins=bins)
