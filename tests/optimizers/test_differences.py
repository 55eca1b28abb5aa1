"""``jac="2-point"``, ``"3-point"``, ``"cs"`` (and ``hess``): SciPy's, for functions that cannot be traced."""

from __future__ import annotations

import math

import numpy as np
import pytest

import nnx
from nnx.backend import namespace, to_numpy
from nnx.errors import DerivativeError, DtypeError, OptionError
from nnx.optimizers.descent.box import Box
from nnx.optimizers.functions.differences import SCHEMES, Differences, rounding

optimize = pytest.importorskip("scipy.optimize")
integrate = pytest.importorskip("scipy.integrate")
_numdiff = pytest.importorskip("scipy.optimize._numdiff")

X = np.linspace(0.0, 4.0, 20)
each_scheme = pytest.mark.parametrize("scheme", SCHEMES)
real_schemes = pytest.mark.parametrize("scheme", ["2-point", "3-point"])


def decay(x, a, b):
    return a * np.exp(-b * x)


def rosenbrock(x):
    return np.array([10 * (x[1] - x[0] ** 2), 1 - x[0]])


def vector(w):
    xp = namespace(w)
    return xp.stack([w[0] * xp.sin(w[1]), xp.exp(w[0] * 1e-3) * w[2] ** 2, w[1] * w[2]])


# -- the same numbers as SciPy's ------------------------------------------------------------------------

POINTS = ([1.0, 0.5, -2.0], [0.0, -3e3, 1e-9], [-2.5e4, 7.0, 1e2])
BOXES = (
    (-np.inf, np.inf),
    ([-3e4, -3e3, -2.0], [1.0, 7.0, np.inf]),
    ([0.0, -1e9, -np.inf], [0.0 + 1e-9, 1e9, 1e2]),
    ([-1e-10, -3e3 - 1e-6, 1e-9 - 1e-12], [1e-10, -3e3 + 1e-6, 1e-9 + 1e-12]),
)


@each_scheme
@pytest.mark.parametrize("point", POINTS, ids=str)
@pytest.mark.parametrize("rel_step", [None, 1e-4, [1e-3, 1e-5, 1e-18]], ids=str)
def test_columns_are_scipys(scheme, point, rel_step, backend):
    w = backend.asarray(point, dtype="float64")
    differences = Differences(scheme, rel_step=rel_step)
    found = differences.columns(vector, w, vector(w), rounding(w, vector(w)))
    assert type(found) is type(w)
    scipys = None if rel_step is None else np.asarray(rel_step)
    expected = _numdiff.approx_derivative(vector, np.asarray(point), scheme, rel_step=scipys)
    # the same steps: what differs is how two libraries round sin and exp, over the step
    steps = np.abs(to_numpy(differences.steps(w, 2.2e-16)))
    allowed = 8 * 2.2e-16 * np.max(np.abs(to_numpy(vector(w)))) / steps
    assert np.all(np.abs(to_numpy(found) - expected) <= allowed + 1e-13 * np.abs(expected))


@real_schemes
@pytest.mark.parametrize("box", BOXES, ids=str)
@pytest.mark.parametrize("point", POINTS, ids=str)
def test_within_bounds_too_and_never_outside(scheme, point, box):
    w = np.clip(np.asarray(point), *box)
    lower, upper = (np.zeros(3) + side for side in box)
    if np.any(lower >= upper):
        pytest.skip("SciPy has no bounds that meet")
    seen = []

    def f(x):
        seen.append(x)
        return vector(x)

    found = Differences(scheme, box=Box(lower, upper)).columns(f, w, vector(w), 2.0**-52)
    expected = _numdiff.approx_derivative(vector, w, scheme, bounds=(lower, upper))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert all(np.all((lower <= x) & (x <= upper)) for x in seen)


@each_scheme
def test_a_product_is_that_with_the_columns(scheme, backend):
    w, v = (backend.asarray(x, dtype="float64") for x in ([1.0, 0.5, -2.0], [0.3, -2.0, 1e-3]))
    differences = Differences(scheme)
    found = differences.along(vector, w, v, vector(w), 2.0**-52)
    expected = to_numpy(nnx.jvp(vector, (w,), (v,))[1])
    # f's rounding errors, 4e-16 at size 4, over steps of 1.5e-8 and 6e-6; else the step's square
    np.testing.assert_allclose(to_numpy(found), expected, atol=1e-7 if scheme == "2-point" else 1e-9)
    nothing = differences.along(vector, w, v * 0.0, vector(w), 2.0**-52)
    np.testing.assert_array_equal(to_numpy(nothing), 0.0)


def test_a_variable_that_its_bounds_fix_has_the_derivative_0():
    w = np.asarray([1.0, 2.0, 3.0])
    box = Box(np.asarray([0.0, 2.0, 0.0]), np.asarray([5.0, 2.0, 5.0]))
    for scheme in ("2-point", "3-point"):
        found = Differences(scheme, box=box).columns(vector, w, vector(w), 2.0**-52)
        np.testing.assert_array_equal(found[:, 1], 0.0)
        assert np.all(np.isfinite(found))


@each_scheme
def test_the_step_is_that_of_the_coarser_type(scheme):
    def coarse(w):
        kind = np.complex64 if np.iscomplexobj(w) else np.float32
        return vector(w).astype(kind)

    w = np.asarray([1.0, 0.5, -2.0])
    found = Differences(scheme).columns(coarse, w, coarse(w), rounding(w, coarse(w)))
    np.testing.assert_allclose(found, nnx.jacobian(vector)(w), atol=5e-3)
    result = nnx.least_squares(
        lambda p: coarse(p) - vector(w).astype("float32"), [0.9, 0.6, -1.8], jac=scheme
    )
    np.testing.assert_allclose(result.x, w, rtol=1e-3)


# -- functions that nnx cannot look into ------------------------------------------------------------------


def quad(x, a, b):
    return np.array([integrate.quad(lambda u: a * np.exp(-b * u), 0, xi)[0] for xi in x])


def odeint(x, a, b):
    return integrate.odeint(lambda y, t: -b * y, a, x)[:, 0]


def solve_ivp(x, a, b):
    return integrate.solve_ivp(lambda t, y: -b * y, (0.0, 4.0), [a], t_eval=x, rtol=1e-9, atol=1e-12).y[0]


def interpolated(x, a, b):
    return np.interp(x, X[::2], [a * math.exp(-b * t) for t in X[::2]])


vectorized = np.vectorize(lambda x, a, b: a * math.exp(-b * x))


def listed(x, a, b):
    return [float(a) * math.exp(-float(b) * float(xi)) for xi in x]


def filled(x, a, b):
    r = np.zeros_like(x)
    for i, xi in enumerate(x):
        r[i] = a * math.exp(-b * xi)
    return r


def piecewise(x, a, b):
    return np.piecewise(x, [x < 1.0, x >= 1.0], [lambda u: a * np.exp(-b * u), lambda u: a * np.exp(-b * u)])


MODELS = (quad, odeint, solve_ivp, interpolated, vectorized, listed, filled, piecewise)


@pytest.mark.parametrize("f", MODELS, ids=lambda f: getattr(f, "__name__", "vectorize"))
@real_schemes
def test_curve_fit_of_what_cannot_be_traced(f, scheme):
    y = np.asarray(f(X, 2.0, 1.3))
    popt, pcov = nnx.curve_fit(f, X, y, [1.0, 1.0], method="trf", jac=scheme)
    # odeint's own errors of 1.5e-8, over a step of 1.5e-8, are in its derivatives
    np.testing.assert_allclose(popt, [2.0, 1.3], rtol=1e-4)
    assert np.all(np.isfinite(pcov))
    noisy = y + 0.01 * np.cos(40.0 * X)
    fit, expected = (
        nnx.curve_fit(f, X, noisy, [1.0, 1.0], jac=scheme),
        optimize.curve_fit(f, X, noisy, [1.0, 1.0]),
    )
    np.testing.assert_allclose(fit.popt, expected[0], rtol=1e-4)
    np.testing.assert_allclose(fit.pcov, expected[1], rtol=1e-2)


def test_compiled_code():
    numba = pytest.importorskip("numba")

    @numba.njit
    def f(x, a, b):
        out = np.empty_like(x)
        for i in range(len(x)):
            out[i] = a * math.exp(-b * x[i])
        return out

    popt = nnx.curve_fit(f, X, decay(X, 2.0, 1.3), [1.0, 1.0], jac="2-point")[0]
    np.testing.assert_allclose(popt, [2.0, 1.3], rtol=1e-6)
    with pytest.raises(
        DerivativeError, match=r"(?s)on an array that is being differentiated it raised .*2-point"
    ):
        nnx.curve_fit(f, X, decay(X, 2.0, 1.3), [1.0, 1.0])


@each_scheme
def test_a_vector_of_differences_runs_on_every_backend(scheme, backend):
    x, y, p0 = (backend.asarray(v, dtype="float64") for v in (X, decay(X, 2.0, 1.3), [1.0, 1.0]))
    traced = []

    def residual(p):
        traced.append(type(p) is nnx.autodiff.Traced)
        return p[0] * namespace(p).exp(-p[1] * x) - y

    result = nnx.least_squares(residual, p0, jac=scheme)
    assert namespace(result.x) is namespace(result.jac) is backend.xp
    np.testing.assert_allclose(to_numpy(result.x), [2.0, 1.3], rtol=1e-7)
    found = nnx.minimize(lambda p: namespace(p).sum(residual(p) ** 2), p0, jac=scheme)
    assert type(found.x) is type(p0)
    np.testing.assert_allclose(to_numpy(found.x), [2.0, 1.3], rtol=1e-4)
    assert not any(traced)


@real_schemes
def test_numpy_and_lists_may_come_back_to_any_backend(scheme, backend):
    p0 = backend.asarray([1.0, 1.0], dtype="float64")
    for answer in (np.asarray, list, tuple):

        def residual(p, answer=answer):
            a, b = (float(v) for v in to_numpy(p))
            return answer([a * math.exp(-b * t) - 2.0 * math.exp(-1.3 * t) for t in X])

        result = nnx.least_squares(residual, p0, jac=scheme)
        assert type(result.x) is type(p0)
        np.testing.assert_allclose(to_numpy(result.x), [2.0, 1.3], rtol=1e-6)
        found = nnx.minimize(lambda p: sum(r * r for r in residual(p)), p0, jac=scheme)
        np.testing.assert_allclose(to_numpy(found.x), [2.0, 1.3], rtol=1e-3)
    x, y = (backend.asarray(v, dtype="float64") for v in (X, decay(X, 2.0, 1.3)))
    fit = nnx.curve_fit(
        lambda x, a, b: decay(to_numpy(x), float(to_numpy(a)), float(to_numpy(b))), x, y, p0, jac=scheme
    )
    np.testing.assert_allclose(to_numpy(fit.popt), [2.0, 1.3], rtol=1e-6)


def test_containers():
    def residual(p):
        return {"data": listed(X, p["a"], p["b"][0]), "prior": 0.01 * (p["b"] - 1.0)}

    start = {"a": np.asarray(1.0), "b": np.ones(1)}
    result = nnx.least_squares(
        lambda p: [np.asarray(residual(p)["data"]) - 1.0, residual(p)["prior"]], start, jac="3-point"
    )
    exact = nnx.least_squares(lambda p: [p["a"] * np.exp(-p["b"] * X) - 1.0, 0.01 * (p["b"] - 1.0)], start)
    np.testing.assert_allclose(result.x["b"], exact.x["b"], atol=1e-6)
    np.testing.assert_allclose(result.jac, exact.jac, atol=1e-6)


# -- what the error says -------------------------------------------------------------------------------------


@pytest.mark.parametrize("f", MODELS[:-1], ids=lambda f: getattr(f, "__name__", "vectorize"))
def test_the_error_names_the_way(f):  # but piecewise, which is differentiated
    with pytest.raises(DerivativeError, match="jac='2-point'"):
        nnx.curve_fit(f, X, np.asarray(f(X, 2.0, 1.3)), [1.0, 1.0])
    with pytest.raises(DerivativeError, match="jac='2-point'"):
        nnx.minimize(lambda p: float(np.sum(np.asarray(f(X, p[0], p[1])))), [1.0, 1.0])


def test_an_error_of_the_functions_own_stays_what_it_is():
    class Mine(Exception):
        pass

    def f(p):
        raise Mine("of the model")

    for call in (nnx.minimize, nnx.least_squares):
        with pytest.raises(Mine, match="of the model"):
            call(f, [1.0])


@pytest.mark.parametrize("given", ["oops", "4-point", 3, ["2-point"], True], ids=str)
def test_what_is_no_derivative_is_refused_with_the_choices(given):
    words = "must be None .*function, '2-point', '3-point' or 'cs'"
    with pytest.raises(OptionError, match=f"least_squares: jac {words}"):
        nnx.least_squares(rosenbrock, [1.0, 1.0], jac=given)
    with pytest.raises(OptionError, match=f"minimize: hess {words}"):
        nnx.minimize(lambda x: np.sum(x * x), [1.0], hess=given)
    if given is not True:
        with pytest.raises(OptionError, match=rf"minimize: jac {words}.*True"):
            nnx.minimize(lambda x: np.sum(x * x), [1.0], jac=given)


def test_what_does_not_go_together_is_refused():
    with pytest.raises(OptionError, match=r"diff_step.*jac='2-point'"):
        nnx.least_squares(rosenbrock, [1.0, 1.0], diff_step=1e-6)
    with pytest.raises(OptionError, match="diff_step must be a"):
        nnx.least_squares(rosenbrock, [1.0, 1.0], "2-point", diff_step="small")
    with pytest.raises(OptionError, match="differences of differences"):
        nnx.minimize(optimize.rosen, [1.0, 2.0], jac="2-point", hess="2-point")
    with pytest.raises(OptionError, match="differences of differences"):
        nnx.minimize(optimize.rosen, [1.0, 2.0], jac="2-point", method="newton-cg")
    with pytest.raises(OptionError, match="hess='cs' needs"):
        nnx.minimize(optimize.rosen, [1.0, 2.0], hess="cs")
    with pytest.raises(DerivativeError, match=r"complex.*3-point"):
        nnx.minimize(lambda x: float(np.sum(np.abs(x) ** 2)), [1.0, 2.0], jac="cs")
    with pytest.raises(DerivativeError, match=r"complex.*3-point"):
        nnx.least_squares(lambda x: np.abs(x) - 1.0, [2.0], jac="cs")
    with pytest.raises(DtypeError, match=r"real where x is"):
        nnx.least_squares(lambda x: x * 1j - 1.0, [2.0], jac="cs")


# -- steps and counts that users give and read -------------------------------------------------------------


@pytest.mark.parametrize("step", [1e-3, [1e-3, 1e-5], np.asarray([1e-3, 1e-5])], ids=str)
def test_diff_step_and_finite_diff_rel_step_are_the_relative_steps(step):
    seen = []

    def residual(x):
        seen.append(np.array(x))
        return rosenbrock(x)

    nnx.least_squares(residual, [-1.2, 2.0], "2-point", diff_step=step, max_nfev=1)
    size = np.zeros(2) + step
    np.testing.assert_allclose(seen[1], [-1.2 - size[0] * 1.2, 2.0], rtol=1e-15)
    np.testing.assert_allclose(seen[2], [-1.2, 2.0 + size[1] * 2.0], rtol=1e-15)
    seen.clear()
    nnx.minimize(
        lambda x: np.sum(residual(x) ** 2),
        [-1.2, 2.0],
        jac="2-point",
        options={"finite_diff_rel_step": step, "maxiter": 0},
    )
    np.testing.assert_allclose(seen[1], [-1.2 - size[0] * 1.2, 2.0], rtol=1e-15)


def test_eps_is_the_step_itself_and_curve_fit_takes_diff_step():
    seen = []
    nnx.minimize(
        lambda x: (seen.append(np.array(x)), np.sum(x * x))[1],
        [-1.2, 2.0],
        jac="2-point",
        options={"eps": 1e-3, "maxiter": 0},
    )
    np.testing.assert_allclose(seen[1:3], [[-1.199, 2.0], [-1.2, 2.001]], rtol=1e-15)
    seen.clear()
    nnx.curve_fit(
        lambda t, a: (seen.append(float(a)), a * t)[1], X, 3.0 * X, [2.0], jac="2-point", diff_step=1e-2
    )
    assert seen[1] == pytest.approx(2.02, rel=1e-15)


@pytest.mark.parametrize(("method", "scipys"), [("bfgs", "BFGS"), ("lbfgs", "L-BFGS-B"), ("cg", "CG")])
@real_schemes
def test_minimize_counts_every_call(method, scipys, scheme):
    calls = []

    def f(x):
        calls.append(1)
        return optimize.rosen(x)

    result = nnx.minimize(f, [-1.2, 1.0], jac=scheme, method=method)
    assert result.nfev == len(calls)
    assert result.njev < result.nfev
    np.testing.assert_allclose(result.x, 1.0, rtol=1e-4)
    assert optimize.minimize(f, [-1.2, 1.0], jac=scheme, method=scipys).nfev > 0


def test_least_squares_counts_no_differences():
    calls = []

    def f(x):
        calls.append(1)
        return rosenbrock(x)

    result = nnx.least_squares(f, [-1.2, 1.0], "2-point")
    assert len(calls) == result.nfev + 2 * result.njev
    np.testing.assert_allclose(result.x, 1.0, rtol=1e-7)


def test_matrix_free_products_are_single_differences():
    calls = []

    def f(x):
        calls.append(1)
        return np.array([float(v) for v in x * np.arange(1.0, 6.0) - 1.0])

    result = nnx.least_squares(f, np.zeros(5), "2-point", options={"solver": "products"})
    np.testing.assert_allclose(result.x, 1.0 / np.arange(1.0, 6.0), rtol=1e-6)


@real_schemes
def test_bounds_are_never_left(scheme):
    seen = []

    def f(x):
        seen.append(np.array(x))
        return np.array([math.sqrt(x[0]) - 0.1, math.sqrt(2.0 - x[1]) - 0.1, x[0] * x[1]])

    result = nnx.least_squares(f, [0.0, 2.0], scheme, bounds=([0.0, -np.inf], [1.0, 2.0]))
    minimal = nnx.minimize(
        lambda x: float(np.sum(f(x) ** 2)), [0.5, 1.0], jac=scheme, bounds=[(0.0, 1.0), (None, 2.0)]
    )
    first, second = np.stack(seen).T
    assert np.all((first >= 0.0) & (first <= 1.0) & (second <= 2.0))
    expected = optimize.least_squares(f, [0.5, 1.0], bounds=([0.0, -np.inf], [1.0, 2.0]), xtol=1e-12)
    assert minimal.fun == pytest.approx(2.0 * expected.cost, rel=1e-4)
    assert np.isfinite(result.cost)


# -- Hessians -----------------------------------------------------------------------------------------------


@real_schemes
@pytest.mark.parametrize("method", ["newton-cg", "newton", "scg"])
def test_hess_by_differences_of_the_gradient(scheme, method):
    gradients = []

    def jac(x):
        gradients.append(1)
        return optimize.rosen_der(x)

    result = nnx.minimize(optimize.rosen, [2.0, 2.0], jac=jac, hess=scheme, method=method)
    np.testing.assert_allclose(result.x, 1.0, rtol=1e-5)
    assert result.njev == len(gradients)
    automatic = nnx.minimize(
        lambda x: np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2),
        [2.0, 2.0],
        hess=scheme,
        method=method,
    )
    np.testing.assert_allclose(automatic.x, 1.0, rtol=1e-5)


def test_hess_cs_calls_a_jac_that_takes_complex_x():
    def jac(x):
        return np.array([-400 * x[0] * (x[1] - x[0] ** 2) - 2 * (1 - x[0]), 200 * (x[1] - x[0] ** 2)])

    result = nnx.minimize(optimize.rosen, [2.0, 2.0], jac=jac, hess="cs", method="newton-cg")
    np.testing.assert_allclose(result.x, 1.0, rtol=1e-6)


def test_newton_cg_differences_a_jac_that_cannot_be_traced():
    for jac in (optimize.rosen_der, lambda x: optimize.rosen_der(x).tolist()):
        result = nnx.minimize(optimize.rosen, [2.0, 2.0], jac=jac, method="newton-cg")
        np.testing.assert_allclose(result.x, 1.0, rtol=1e-5)
        assert result.success
