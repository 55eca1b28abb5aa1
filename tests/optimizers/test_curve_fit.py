"""``curve_fit`` beside SciPy's, and NIST's certified standard deviations."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from optimizers.nist_problems import PROBLEMS

import nnx
from nnx.backend import namespace, to_numpy
from nnx.errors import DataError, FitError, OptionError, ShapeError
from nnx.optimizers.functions.student import student_quantile

scipy_optimize = pytest.importorskip("scipy.optimize")

RNG = np.random.default_rng(11)
T = np.linspace(0.0, 4.0, 40)
Y = 2.5 * np.exp(-1.3 * T) + 0.5 + 0.05 * RNG.normal(size=T.size)
SIGMA = RNG.uniform(0.02, 0.2, T.size)
MIX = 0.1 * RNG.normal(size=(T.size, T.size))
COVARIANCE = MIX @ MIX.T + np.diag(SIGMA**2)


def decay(t, a, b, c):
    return a * namespace(b).exp(-b * t) + c


def decay_jacobian(t, a, b, c):
    e = np.exp(-b * t)
    return np.stack([e, -a * t * e, np.ones_like(t)], axis=1)


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("sigma", [None, 0.1, SIGMA, COVARIANCE], ids=["none", "one", "each", "covariance"])
@pytest.mark.parametrize("method", ["lm", "trf", "dogbox"])
def test_parameters_and_covariance_are_scipys(method, sigma, absolute):
    tight = dict.fromkeys(("ftol", "xtol", "gtol"), 1e-14)
    each = np.full(T.size, sigma) if isinstance(sigma, float) else sigma  # SciPy's jac wants them all
    expected = scipy_optimize.curve_fit(
        decay, T, Y, None, each, absolute, method=method, jac=decay_jacobian, **tight
    )
    popt, pcov = nnx.curve_fit(decay, T, Y, None, sigma, absolute, method=method)
    np.testing.assert_allclose(popt, expected[0], rtol=1e-7)
    np.testing.assert_allclose(pcov, expected[1], rtol=1e-6)


@pytest.mark.parametrize("name", PROBLEMS)
def test_nists_standard_deviations(name):
    problem = PROBLEMS[name]

    def f(x, *b):
        return problem.model(namespace(*b).stack(list(b)), x)

    fit = nnx.curve_fit(f, problem.x, problem.y, problem.starts[1])
    assert problem.digits(fit.popt) >= 6
    if name != "Lanczos1":  # its sum of squares, 1.4e-25, is that of rounding
        np.testing.assert_allclose(fit.perr, problem.deviations, rtol=5e-6)


def test_the_interval_is_students_and_the_normal_one_for_known_deviations():
    stats = pytest.importorskip("scipy.stats")
    for confidence in (0.5, 0.95, 0.999):
        fit = nnx.curve_fit(decay, T, Y, confidence=confidence)
        wide = stats.t.ppf(0.5 + 0.5 * confidence, T.size - 3) * fit.perr
        np.testing.assert_allclose(fit.confidence_interval.low, fit.popt - wide, rtol=1e-9)
        np.testing.assert_allclose(fit.confidence_interval.high, fit.popt + wide, rtol=1e-9)
        known = nnx.curve_fit(decay, T, Y, sigma=SIGMA, absolute_sigma=True, confidence=confidence)
        wide = stats.norm.ppf(0.5 + 0.5 * confidence) * known.perr
        np.testing.assert_allclose(known.confidence_interval.high - known.popt, wide, rtol=1e-9)


def test_intervals_cover_the_truth_as_often_as_they_say():
    """A line through 6 points with normal errors, 400 times: 95 % ± 3 of the deviations of that count."""
    x, rng, hits = np.arange(6.0), np.random.default_rng(1), 0
    for _ in range(400):
        y = 2.0 * x - 1.0 + rng.normal(size=6)
        low, high = nnx.curve_fit(
            lambda x, a, b: a * x + b, x, y, jac=lambda x, a, b: np.stack([x, np.ones_like(x)], axis=1)
        ).confidence_interval
        hits += low[0] <= 2.0 <= high[0]
    assert abs(hits / 400 - 0.95) < 3.0 * np.sqrt(0.95 * 0.05 / 400)


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 10, 29, 100, 999, 1000, 1001, 10_000])
def test_students_quantile_is_scipys(freedom):
    stats = pytest.importorskip("scipy.stats")
    for confidence in (0.01, 0.5, 0.6827, 0.9, 0.95, 0.99, 0.9999):
        expected = stats.t.ppf(0.5 + 0.5 * confidence, freedom)
        assert student_quantile(confidence, freedom) == pytest.approx(expected, rel=1e-9)


def test_it_runs_on_every_backend(backend):
    t, y, sigma = (backend.asarray(x, dtype="float64") for x in (T, Y, SIGMA))
    expected = nnx.curve_fit(decay, T, Y, sigma=SIGMA)
    fit = nnx.curve_fit(decay, t, y, sigma=sigma)
    assert namespace(fit.popt) is namespace(fit.pcov) is namespace(fit.perr) is backend.xp
    np.testing.assert_allclose(to_numpy(fit.popt), expected.popt, rtol=1e-9)
    np.testing.assert_allclose(to_numpy(fit.pcov), expected.pcov, rtol=1e-7)
    whole = nnx.curve_fit(decay, t, y, sigma=backend.asarray(COVARIANCE, dtype="float64"))
    np.testing.assert_allclose(
        to_numpy(whole.popt), nnx.curve_fit(decay, T, Y, sigma=COVARIANCE).popt, rtol=1e-9
    )
    inside = nnx.curve_fit(decay, t, y, bounds=([0.0, 0.0, 0.6], [5.0, 5.0, 5.0]))
    assert to_numpy(inside.popt)[2] == 0.6


def test_single_precision_data_are_fitted_in_double():
    fit = nnx.curve_fit(decay, T.astype("float32"), Y.astype("float32"))
    assert fit.popt.dtype == np.float64
    np.testing.assert_allclose(fit.popt, nnx.curve_fit(decay, T, Y).popt, rtol=1e-5)


def test_single_precision_parameters_stay_single():
    start = np.ones(3, dtype="float32")
    fit = nnx.curve_fit(decay, T.astype("float32"), Y.astype("float32"), start, options={"xtol": 1e-5})
    assert fit.popt.dtype == np.float32
    np.testing.assert_allclose(fit.popt, nnx.curve_fit(decay, T, Y).popt, rtol=1e-3)


def test_lists_integers_and_several_predictors():
    def plane(x, a, b, c):
        return a * x[0] + b * x[1] + c

    rows = [[0, 1, 2, 3, 4], [1, 0, 2, 0, 1]]
    fit = nnx.curve_fit(plane, rows, [1, 4, 2, 8, 7])
    expected = scipy_optimize.curve_fit(plane, np.asarray(rows), [1, 4, 2, 8, 7])
    np.testing.assert_allclose(fit.popt, expected[0], rtol=1e-6)
    np.testing.assert_allclose(fit.pcov, expected[1], atol=1e-9)  # SciPy's Jacobian is one of differences


def test_a_jacobian_may_be_given():
    calls = []

    def jac(*args):
        calls.append(args)
        return decay_jacobian(*args)

    for sigma in (SIGMA, COVARIANCE):
        popt, pcov = nnx.curve_fit(decay, T, Y, sigma=sigma, jac=jac)
        own = nnx.curve_fit(decay, T, Y, sigma=sigma)
        np.testing.assert_allclose(popt, own.popt, rtol=1e-9)
        np.testing.assert_allclose(pcov, own.pcov, rtol=1e-7)
    assert calls
    np.testing.assert_allclose(nnx.curve_fit(decay, T, Y, jac="3-point").popt, own_fit().popt, rtol=1e-8)


def own_fit():
    return nnx.curve_fit(decay, T, Y)


@pytest.mark.parametrize(
    "bounds",
    [(0.0, np.inf), ([0.0, 0.0, 0.6], [5.0, 5.0, 5.0]), ([-np.inf, 2.0, -np.inf], np.inf)],
    ids=["one side", "box", "mixed"],
)
def test_bounds_are_scipys(bounds):
    expected, _ = scipy_optimize.curve_fit(decay, T, Y, bounds=bounds, ftol=1e-14, xtol=1e-14, gtol=1e-14)
    np.testing.assert_allclose(nnx.curve_fit(decay, T, Y, bounds=bounds).popt, expected, rtol=1e-5)


def test_full_output_has_scipys_five():
    popt, pcov, info, message, flag = nnx.curve_fit(decay, T, Y, full_output=True)
    np.testing.assert_array_equal(pcov, own_fit().pcov)
    np.testing.assert_allclose(info["fvec"], decay(T, *popt) - Y, rtol=1e-12)
    assert info["nfev"] > 0
    assert isinstance(message, str)
    assert flag in (1, 2, 3, 4)


def test_the_answer_unpacks_copies_and_tells_more():
    fit = own_fit()
    popt, pcov = fit
    assert popt is fit.popt
    assert pcov is fit.pcov
    assert fit.result.success
    np.testing.assert_allclose(fit.perr, np.sqrt(np.diag(pcov)), rtol=1e-15)
    for same in (copy.copy(fit), pickle.loads(pickle.dumps(fit))):
        np.testing.assert_array_equal(same.confidence_interval.low, fit.confidence_interval.low)
        assert same.result.nit == fit.result.nit


def test_parameters_that_the_data_do_not_determine_have_infinite_deviations():
    with pytest.warns(UserWarning, match="full rank"):
        fit = nnx.curve_fit(lambda t, a, b: (a + b) * t, T, Y)
    assert np.isinf(fit.pcov).all()
    with pytest.warns(UserWarning, match="full rank"):
        fit = nnx.curve_fit(lambda t, a, b: a * t + 0.0 * b, T, Y)
    assert np.isinf(fit.pcov).all()
    with pytest.warns(UserWarning, match="too few"):
        fit = nnx.curve_fit(lambda t, a, b: a * t + b, T[:2], Y[:2])
    assert np.isinf(fit.pcov).all()
    assert np.isinf(fit.confidence_interval.high).all()


def test_parameters_of_very_different_sizes_are_not_taken_for_dependent_ones():
    unit = 1e12
    _, pcov = nnx.curve_fit(lambda t, a, b: a * t + b / unit, T, Y)
    _, plain = nnx.curve_fit(lambda t, a, b: a * t + b, T, Y)
    np.testing.assert_allclose(pcov / np.outer([1.0, unit], [1.0, unit]), plain, rtol=1e-7)


def test_a_fit_that_fails_says_so_and_keeps_the_best_point():
    with pytest.raises(FitError, match="limit of 2 evaluations") as caught:
        nnx.curve_fit(decay, T, Y, max_nfev=2)
    assert isinstance(caught.value, RuntimeError)
    assert np.isfinite(caught.value.result.x).all()
    with np.errstate(all="ignore"), pytest.raises(FitError, match="cost is nan"):
        nnx.curve_fit(lambda t, a: np.log(-a) * t, T, Y)


def test_errors_teach():
    with pytest.raises(OptionError, match="give p0"):
        nnx.curve_fit(lambda t, *p: p[0] * t, T, Y)
    with pytest.raises(OptionError, match="give p0"):
        nnx.curve_fit(lambda t: t, T, Y)
    with pytest.raises(DataError, match="ydata must be finite"):
        nnx.curve_fit(decay, T, np.where(T > 3.0, np.nan, Y))
    with pytest.raises(DataError, match="xdata must be finite"):
        nnx.curve_fit(decay, np.where(T > 3.0, np.inf, T), Y)
    with pytest.raises(ShapeError, match=r"ydata's shape \(40,\), got \(40, 1\)"):
        nnx.curve_fit(lambda t, a: a * t[:, None], T, Y)
    with pytest.raises(ShapeError, match="sigma must be one number"):
        nnx.curve_fit(decay, T, Y, sigma=SIGMA[:5])
    with pytest.raises(OptionError, match="positive definite"):
        nnx.curve_fit(decay, T, Y, sigma=-COVARIANCE)
    with pytest.raises(OptionError, match="nowhere 0 nor NaN"):
        nnx.curve_fit(decay, T, Y, sigma=np.zeros(T.size))
    with pytest.raises(OptionError, match="confidence"):
        nnx.curve_fit(decay, T, Y, confidence=95)
    with pytest.raises(OptionError, match=r"no argument 'loss'\..*robust"):
        nnx.curve_fit(decay, T, Y, loss="soft_l1")
    with pytest.raises(OptionError, match=r"no argument 'nan_policy'\. Use nothing in its place .*NaN"):
        nnx.curve_fit(decay, T, Y, nan_policy="omit")
    with pytest.raises(OptionError, match=r"no argument 'verbose'\. Use disp"):
        nnx.curve_fit(decay, T, Y, verbose=2)
    with pytest.raises(ShapeError, match="jac must return"):
        nnx.curve_fit(decay, T, Y, jac=lambda t, *p: np.ones((T.size, 2)))
