# ruff: noqa: E501 (a table reads best with a row in a line)
"""SciPy's special functions: values, derivatives to second order, edge points, and what is refused."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from autodiff.special_cases import EXAMPLES, P, of
from walks import walk

import nnx
from nnx.autodiff.space import COMPOSITIONS, RULES, space_of
from nnx.backend import to_numpy
from nnx.errors import DerivativeError

special = pytest.importorskip("scipy.special")


def on(example):
    """The example as a function of arrays alone."""
    return lambda *xs: example.function(space_of(xs[0]).special, *xs)


@walk("example", EXAMPLES)
def test_derivatives_agree_with_finite_differences(example, backend):
    # Two numbers are enough: a rule works number by number. Broadcasting has a test of its own.
    arrays = [backend.asarray(x, dtype="float64") for x in example.arrays([(2,)] * 3)]
    nnx.check_derivatives(on(example), *arrays)


@walk("example", EXAMPLES)
def test_value_is_scipys(example, backend):
    plain = example.arrays()
    expected = example.function(_ScipyWithItsHiddenNames(), *plain)
    out = nnx.vjp(on(example), *[backend.asarray(x, dtype="float64") for x in plain])[0]
    for a, b in zip(nnx.autodiff.flatten(out)[0], nnx.autodiff.flatten(expected)[0], strict=True):
        np.testing.assert_allclose(to_numpy(a), b, rtol=1e-12, atol=1e-13)


class _ScipyWithItsHiddenNames:
    def __getattr__(self, name):
        return getattr(special, name.removeprefix("_"))


def test_every_rule_has_an_example():
    rules = {name for name in {*RULES, *COMPOSITIONS} if name.startswith("special.")}
    assert rules <= {f"special.{example.name}" for example in EXAMPLES}


@pytest.mark.parametrize("example", of("xlogy beta boxcox", P, P) + of("radian", P, P, P), ids=str)
def test_arguments_broadcast(example, backend):
    arrays = [backend.asarray(x, dtype="float64") for x in example.arrays()]
    nnx.check_derivatives(on(example), *arrays, order=1)
    out, pullback = nnx.vjp(on(example), *arrays)
    assert out.shape == (2, 3)
    assert [g.shape for g in pullback(out)] == [x.shape for x in arrays]


@pytest.mark.parametrize("name", ["erf", "expit", "gammaln", "j1", "log_ndtr", "rgamma", "cbrt"])
def test_float32_stays(name, backend):
    x = backend.asarray([0.5, 1.5], dtype="float32")
    out, pullback = nnx.vjp(lambda x: getattr(space_of(x).special, name)(x), x)
    assert out.dtype == x.dtype
    assert pullback(out)[0].dtype == x.dtype
    assert nnx.jvp(lambda x: getattr(space_of(x).special, name)(x), (x,), (x,))[1].dtype == x.dtype


def slope(name, *args, argnum=0, order=1):
    """The derivative in one argument, as a Python float."""
    f = lambda *xs: getattr(space_of(xs[argnum]).special, name)(*xs)  # noqa: E731
    for _ in range(order):
        f = nnx.grad(f, argnums=argnum)
    with np.errstate(all="ignore"):
        return float(f(*args))


INF = math.inf


class TestEdges:
    """Where formulas overflow, cancel or divide 0 by 0."""

    @pytest.mark.parametrize(
        ("name", "x", "expected"),
        [
            ("erf", INF, 0.0), ("erf", -INF, 0.0), ("erfc", INF, 0.0), ("erfcx", 0.0, -2 / math.sqrt(math.pi)),
            ("expit", 1e4, 0.0), ("expit", -1e4, 0.0), ("expit", INF, 0.0), ("expit", -INF, 0.0),
            ("expit", 40.0, math.exp(-40.0)), ("expit", -40.0, math.exp(-40.0)),
            ("log_expit", 1e4, 0.0), ("log_expit", -1e4, 1.0), ("log_expit", -INF, 1.0),
            ("logit", 0.0, INF), ("logit", 1.0, INF), ("ndtri", 0.0, INF), ("erfinv", 1.0, INF),
            ("ndtr", 1e4, 0.0), ("ndtr", -INF, 0.0), ("log_ndtr", INF, 0.0), ("log_ndtr", 1e4, 0.0),
            ("log_ndtr", -1e4, 1e4 + 1e-4), ("log_ndtr", -1e8, 1e8),
            ("entr", 0.0, INF), ("exprel", 0.0, 0.5), ("exprel", -1e4, 1e-8), ("spence", 1.0, -1.0),
            ("rgamma", 0.0, 1.0), ("rgamma", -1.0, -1.0), ("rgamma", -2.0, 2.0), ("rgamma", -3.0, -6.0),
            ("j0", 0.0, 0.0), ("j1", 0.0, 0.5), ("i1", 0.0, 0.5), ("i0e", 0.0, 0.0),
            ("ellipk", 0.0, math.pi / 8), ("ellipe", 0.0, -math.pi / 8), ("cbrt", 0.0, INF),
        ],
    )  # fmt: skip
    def test_slope(self, name, x, expected):
        assert slope(name, x) == pytest.approx(expected, rel=1e-12, abs=0)

    @pytest.mark.parametrize(
        ("name", "args", "argnum", "expected"),
        [
            ("xlogy", (0.0, 2.0), 0, math.log(2.0)), ("xlogy", (0.0, 2.0), 1, 0.0),
            ("xlogy", (0.0, 0.0), 1, 0.0), ("xlogy", (0.0, 0.0), 0, -INF), ("xlogy", (2.0, 0.0), 1, INF),
            ("xlog1py", (0.0, -1.0), 1, 0.0), ("rel_entr", (0.0, 0.0), 1, 0.0), ("kl_div", (0.0, 0.0), 1, 1.0),
            ("rel_entr", (0.0, 1.0), 0, -INF), ("boxcox", (2.0, 0.0), 1, math.log(2.0) ** 2 / 2),
            ("pseudo_huber", (1.0, 0.0), 1, 0.0), ("pseudo_huber", (1.0, 1e-4), 0, 1e-16 / 4),
            ("huber", (1.0, 1.0), 1, 1.0), ("jv", (0, 0.0), 1, 0.0), ("jv", (1, 0.0), 1, 0.5),
            ("gammainc", (1.0, 0.0), 1, 1.0), ("gammainc", (2.0, 0.0), 1, 0.0), ("betainc", (1.0, 1.0, 0.0), 2, 1.0),
            ("gammainc", (1e3, 1e3), 1, 0.01261461134871), ("bdtr", (5, 5, 0.3), 2, 0.0),
        ],
    )  # fmt: skip
    def test_slope_of_several_arguments(self, name, args, argnum, expected):
        assert slope(name, *args, argnum=argnum) == pytest.approx(expected, rel=1e-7, abs=0)

    @pytest.mark.parametrize(
        ("name", "x", "order", "expected"),
        [
            ("log_ndtr", -40.0, 1, 40.024968847207),  # x − 1/x + 2/x³ ... of Mills' ratio
            ("log_ndtr", -40.0, 2, -0.99937733),
            ("log_ndtr", 40.0, 2, 0.0),
            ("exprel", 0.0, 3, 0.25),  # 1/(k+1) for order k
            ("spence", 1.0, 2, 0.5),
            ("j1", 0.0, 3, -0.375),
            ("i1", 0.0, 3, 0.375),
            ("rgamma", 0.0, 2, 2 * 0.5772156649015329),
        ],
    )
    def test_higher_orders(self, name, x, order, expected):
        assert slope(name, x, order=order) == pytest.approx(expected, rel=1e-8, abs=0)

    @pytest.mark.parametrize(("n", "expected"), [(0, 0.0), (1, 1 / 3), (2, 0.0)])
    def test_spherical_bessel_at_zero(self, n, expected):
        assert slope("spherical_jn", n, 0.0, argnum=1) == pytest.approx(expected, abs=1e-15)


class TestAgainstMpmath:
    """Derivatives of high order, which finite differences cannot check."""

    @pytest.mark.parametrize(
        ("name", "ours", "x"),
        [
            ("psi", "psi", 0.7), ("gamma", "gamma", 1.3), ("erf", "erf", 0.4), ("besselj2", "jv", 0.6),
            ("expm1", "exprel", 0.3), ("ellipk", "ellipk", 0.4), ("lambertw", "lambertw", 0.5),
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("order", [1, 2, 3, 4])
    def test_order(self, name, ours, x, order):
        mp = pytest.importorskip("mpmath")
        reference = {
            "besselj2": lambda t: mp.besselj(2, t), "expm1": lambda t: mp.expm1(t) / t,
            "lambertw": lambda t: mp.re(mp.lambertw(t)), "psi": lambda t: mp.psi(0, t),
        }.get(name) or getattr(mp, name)  # fmt: skip
        with mp.workdps(40):
            expected = float(mp.diff(reference, mp.mpf(x), order))

        def f(t):
            s = space_of(t)
            if ours == "jv":
                return s.special.jv(2, t)
            return s.real(s.special.lambertw(t)) if ours == "lambertw" else getattr(s.special, ours)(t)

        for _ in range(order):
            f = nnx.grad(f)
        assert float(f(x)) == pytest.approx(expected, rel=1e-10)


# JAX has these to any order in float64; the ranges are those of the examples.
IN_JAX = set(
    "beta betaln digamma entr erf erfc erfinv expi expit gamma gammaln i0 i0e i1 i1e kl_div log_ndtr logit ndtr "
    "ndtri rel_entr xlog1py xlogy".split()
)


@pytest.mark.parity
@pytest.mark.parametrize("example", [e for e in EXAMPLES if e.name in IN_JAX], ids=str)
def test_first_and_second_derivatives_are_those_of_jax(example):
    jax = pytest.importorskip("jax")
    with jax.enable_x64(True):
        arrays = example.arrays([(3,)] * 3)
        everything = tuple(range(len(arrays)))

        def ours(*xs):
            return space_of(xs[0]).sum(example.function(space_of(xs[0]).special, *xs))

        def theirs(*xs):
            return jax.numpy.sum(example.function(jax.scipy.special, *xs))

        first = [np.asarray(g) for g in jax.grad(theirs, everything)(*arrays)]
        for got, expected in zip(nnx.grad(ours, everything)(*arrays), first, strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-9)
        v = [np.ones(3)] * len(arrays)
        second = jax.jvp(jax.grad(theirs, everything), tuple(arrays), tuple(v))[1]
        _, got_second = nnx.jvp(nnx.grad(ours, everything), tuple(arrays), tuple(v))
        for got, expected in zip(got_second, second, strict=True):
            np.testing.assert_allclose(got, np.asarray(expected), rtol=1e-8, atol=1e-10)


class TestAsUfuncs:
    """The functions of scipy.special themselves, called on traced arrays."""

    x = np.asarray([0.3, 1.2, 2.5])

    @pytest.mark.parametrize(
        "f",
        [
            special.erf, special.expit, special.gammaln, special.psi, special.ndtr, special.i0, special.exprel,
            lambda x: special.xlogy(x, x + 1.0), lambda x: special.jv(1, x), lambda x: special.zeta(3, x),
            lambda x: special.kn(2, x), lambda x: special.gammainc(1.5, x), lambda x: special.lambertw(x).real,
            lambda x: special.softplus(x), lambda x: special.betaln(x, np.asarray([1.0, 2.0, 3.0])),
            lambda x: special.sici(x)[0], lambda x: special.cbrt(x), lambda x: special.exp2(x),
            lambda x: special.expm1(x), lambda x: special.huber(1.0, x),
        ],
    )  # fmt: skip
    def test_gradient(self, f):
        nnx.check_derivatives(f, self.x)

    def test_constants_carry_no_gradient(self):
        def f(x):
            np.testing.assert_array_equal(special.gammasgn(x), special.gammasgn(self.x))
            return np.sum(x)

        nnx.grad(f)(self.x)

    @pytest.mark.parametrize(
        ("f", "message"),
        [
            (lambda x: special.jv(x, 1.0), "'v': it is an order"),
            (lambda x: special.gammainc(x, 1.0), r"gammainc cannot be differentiated in its argument 'a'"),
            (lambda x: special.zeta(x), "'x'.*exponent"),
            (lambda x: special.ellipkinc(1.0, x / 3), "'m'.*finite at m = 0"),
            (special.airye, "airye"),
            (special.kolmogorov, "kolmogorov"),
            # Functions in Python that turn their arguments into NumPy arrays: nobody can intercept that.
            (lambda x: special.polygamma(1, x), "a call that nnx cannot intercept"),
        ],
    )
    def test_refused(self, f, message):
        with pytest.raises(DerivativeError, match=message):
            nnx.grad(lambda x: np.sum(f(x)))(self.x)

    def test_a_name_that_scipy_does_not_have(self):
        with pytest.raises(DerivativeError, match="nnx does not know the function 'no_such_function'"):
            space_of(self.x).special.no_such_function  # noqa: B018
        assert not hasattr(space_of(self.x).special, "no_such_function")

    def test_complex_arguments_of_functions_scaled_by_the_real_part(self):
        with pytest.raises(DerivativeError, match="ive has no complex derivative"):
            nnx.grad(lambda x: np.sum(special.ive(1, x * (1.0 + 1.0j)).real))(self.x)


def test_without_scipy_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    s = space_of(np.ones(1)).special
    monkeypatch.delitem(vars(s), "erf", raising=False)
    monkeypatch.delitem(vars(space_of(np.ones(1)).base.special), "erf", raising=False)
    with pytest.raises(nnx.errors.BackendNotInstalled, match="pip install scipy"):
        s.erf(np.ones(1))
