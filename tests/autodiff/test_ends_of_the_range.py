"""First and second derivatives at infinities and at subnormal, tiny and huge numbers: right, or not finite.

At an infinity the limit of the derivative counts: a number, an infinity, or none (sin). A finite number where
the limit is another one, or where there is none, is wrong, and nothing excuses it. What is NaN or infinite
although there is a limit is listed here, as in docs/differentiation.md.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from autodiff.special_cases import EXAMPLES, on_backend
from walks import walk

import nnx
from nnx.autodiff.families import Elementwise
from nnx.autodiff.space import RULES, space_of
from nnx.backend import namespace

INF, TINY = math.inf, 5e-324
SUBNORMAL = (TINY, -TINY, 1e-310, -1e-310)
ONE = (INF, -INF, *SUBNORMAL, 1e-200, -1e-200, 1e200, -1e200)
TWO = [
    pair
    for pair in itertools.product((INF, -INF, TINY, -1e-310, 1e-200, 1e200, 1.0, -0.5), repeat=2)
    if {1.0, -0.5}.isdisjoint(pair) or not {1.0, -0.5}.issuperset(pair)
]

#: The slopes of equal numbers are shared; those of logaddexp, of two equal infinities.
TIES = {"maximum", "minimum", "logaddexp"}
#: Not finite at some points where there is a limit: 0·∞, ∞/∞ or ∞ − ∞ within the rule, or on the way to it.
NOT_FINITE = {"pow", "atan2", "hypot", "divide", "remainder"}
NAN_AT_INFINITY = set(
    "beta betaln binom boxcox boxcox1p chdtr chdtrc cosdg cotdg dawsn ellipe ellipk erfcx eval_hermite "
    "eval_hermitenorm expi fdtr fdtrc fresnel gamma gammainc gammaincc gdtr gdtrc i0e i1e "
    "inv_boxcox1p log_ndtr ndtri_exp owens_t pdtr pdtrc poch powm1 pseudo_huber rgamma shichi sici sindg "
    "gammaln loggamma psi digamma polygamma multigammaln "  # on PyTorch, whose zeta(2, inf) is NaN
    "stdtr struve tandg wofz wrightomega".split()
)
#: SciPy's functions in the rule are NaN there (iv, spherical_jn), or overflow.
NAN_AT_SUBNORMALS = set(
    "bdtr bdtrc beta boxcox chdtr chdtrc chdtri gammainccinv gdtr gdtrc i0 i1 ive k0 k0e k1e lambertw "
    "modstruve nbdtr nbdtrc pdtr pdtrc poch powm1 pseudo_huber shichi sici sinc spherical_jn struve y1 yn "
    "yv".split()
)
#: SciPy's value is another one than the function's: inv_boxcox(1.65, TINY) is e², not e^1.65.
SCIPYS = {"inv_boxcox"}
HANGS = {"hyp1f1"}
#: Relative and absolute ones, where rounding is not that of the derivative alone.
TOLERANCES = {
    **dict.fromkeys(("acos", "asin", "atanh"), (1e-12, 1e-15)),  # −2x is found as (1 − x) − (1 + x)
    "hypot": (
        0.5,
        1e-15,
    ),  # √2·TINY, by which the slopes divide, is TINY; (1 − slope²)/hypot has rounding's 0
}


def _derivatives(f, xs, backend):
    """``(orders, values)`` for first and second derivatives of an elementwise f, an argument at a time."""

    def total(*xs):
        return sum(namespace(part).sum(part) for part in nnx.autodiff.flatten(f(*xs))[0])

    n = len(xs)
    unit = np.eye(n, dtype=int)
    for j in range(n):
        yield tuple(unit[j]), on_backend(backend, nnx.grad(total, argnums=j))(*xs)
    for i, j in itertools.product(range(n), repeat=2):

        def second(*xs, i=i, j=j):
            slope = lambda x: nnx.grad(total, argnums=i)(*xs[:j], x, *xs[j + 1 :])  # noqa: E731
            return nnx.jvp(slope, (xs[j],), (namespace(xs[j]).ones_like(xs[j]),))[1]

        yield tuple(unit[i] + unit[j]), on_backend(backend, second)(*xs)


# -- the standard's functions, against sympy's derivatives in mpmath's numbers ---------------------------


def _reference(sp, name, a, b):
    same = "acos acosh asin asinh atan atan2 atanh cos cosh exp log sin sinh sqrt tan tanh"
    if name in same.split():
        return getattr(sp, name)(*(a, b)[: 2 if name == "atan2" else 1])
    absolute = sp.Piecewise((a, a >= 0), (-a, True))
    return {
        "abs": lambda: absolute,
        "copysign": lambda: absolute * sp.Piecewise((1, b >= 0), (-1, True)),
        "divide": lambda: a / b,
        "expm1": lambda: sp.exp(a) - 1,
        "hypot": lambda: sp.sqrt(a * a + b * b),
        "log1p": lambda: sp.log(1 + a),
        "log2": lambda: sp.log(a) / sp.log(2),
        "log10": lambda: sp.log(a) / sp.log(10),
        "logaddexp": lambda: (a + b) / 2 + sp.log(2 * sp.cosh((a - b) / 2)),
        "maximum": lambda: sp.Piecewise((a, a > b), (b, True)),
        "minimum": lambda: sp.Piecewise((a, a < b), (b, True)),
        "multiply": lambda: a * b,
        "nextafter": lambda: a,
        "pow": lambda: a**b,
        "reciprocal": lambda: 1 / a,
        "remainder": lambda: a - b * sp.Symbol("quotient"),  # floor(a/b), whose jumps do not count
        "square": lambda: a * a,
    }[name]()


def _exact(mp, f, point):
    """f at a point, at infinities its limit: a number, None where there is none, NaN if not to be judged."""
    infinite = [math.isinf(x) for x in point]
    found = set()
    t = 10**210 if 1e200 in point else 10**10  # beyond the finite ones
    # two infinities are approached from three sides
    for pace in ((1, 1), (1, 2), (2, 1)) if sum(infinite) > 1 else ((1, 1),):
        seen = []
        for far in (t, 10 * t, 10**9 * t) if any(infinite) else (1,):
            at = [pace[i] * int(math.copysign(1, x)) * far if infinite[i] else x for i, x in enumerate(point)]
            try:
                y = mp.mpmathify(f(*map(mp.mpf, at)))
            except ZeroDivisionError:
                return math.nan
            if y.imag != 0:
                return math.nan  # the power of a negative number
            seen.append(y.real)
        found.add(_limit(seen))
    return found.pop() if len(found) == 1 else None


def _limit(seen):
    """Of numbers that settle, of those that vanish, of those that grow to an infinity; else None."""
    *_, before, last = (seen[0], *seen)
    if abs(last - before) <= 1e-3 * abs(last):
        return float(last)
    if abs(last) < 1e-20 or (abs(last) <= abs(before) and abs(last) < 1e-3):
        return 0.0
    return math.copysign(INF, last) if before * last > 0 and abs(last) > max(1.01 * abs(before), 4) else None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name", [n for n, r in RULES.items() if r.entrywise and n != "kinked" and not n.startswith("special.")]
)
def test_every_elementwise_rule(name, backend):
    sp, mp = pytest.importorskip("sympy"), pytest.importorskip("mpmath")
    n = 1 if isinstance(RULES[name], Elementwise) else 2
    points = [(x,) for x in ONE] if n == 1 else [p for p in TWO if name not in TIES or p[0] != p[1]]
    xs = [np.asarray(c) for c in zip(*points, strict=True)]
    variables = sp.symbols("a b", real=True)
    reference = _reference(sp, name, *variables)
    f = lambda *xs: getattr(space_of(xs[0]), name)(*xs)  # noqa: E731
    with np.errstate(all="ignore"), mp.workdps(60):
        for orders, found in _derivatives(f, xs, backend):
            derivative = sp.diff(reference, *zip(variables, orders, strict=False))
            derivative = derivative.subs("quotient", sp.floor(variables[0] / variables[1]))
            exact = sp.lambdify(variables[:n], derivative, "mpmath")
            for point, y, got in zip(points, on_backend(backend, f)(*xs), found, strict=True):
                expected = math.nan if math.isnan(y) else _exact(mp, exact, point)
                where = f"∂{orders} of {name} at {point}: {got}, not {expected}"
                if expected is None:
                    assert not np.isfinite(got), where
                elif not np.isfinite(got):
                    assert math.isnan(expected) or expected == got or name in NOT_FINITE, where
                elif not math.isnan(expected):
                    rtol, atol = TOLERANCES.get(name, (1e-12, 1e-290))  # below, numbers lose digits
                    atol /= max(map(abs, point)) if name == "hypot" else 1.0
                    np.testing.assert_allclose(got, expected, rtol, atol, err_msg=where)


# -- SciPy's special functions, against their own derivatives at ordinary points --------------------------

#: Ordinary points on the way to an infinity, and beside the subnormal numbers, where a derivative is one of 0
#: up to a logarithm, or a power beyond every tolerance.
_APPROACH, _BESIDE = (30.0, 1e3, 1e5, 1e6), (1e-290,)


def _expected(x, seen):
    if not math.isinf(x):
        return seen[-1]
    return _limit(seen) if np.isfinite(seen).all() else seen[-1]


def _is_number(x):
    return x is not None and not math.isnan(x)


def _agree(got, expected):
    if not _is_number(expected):
        return False
    beyond = min(abs(got), abs(expected)) > 1e90 and got * expected > 0
    return beyond or math.isclose(got, expected, rel_tol=0.3, abs_tol=1e-3)


@pytest.mark.filterwarnings("ignore")
@walk("example", [example for example in EXAMPLES if example.name not in HANGS])
def test_every_special_function(example, backend):
    f = lambda *xs: example.function(space_of(xs[0]).special, *xs)  # noqa: E731
    points = np.asarray(ONE[: -4 if example.name != "multigammaln" else 1])
    inside = [0.4 * low + 0.6 * high for low, high in example.ranges]
    with np.errstate(all="ignore"):
        for k in range(len(inside)):

            def at(xs, k=k):
                return [np.asarray(xs) if i == k else np.full(len(xs), x) for i, x in enumerate(inside)]

            value = sum(
                np.real(part) for part in nnx.autodiff.flatten(on_backend(backend, f)(*at(points)))[0]
            )
            ways = [np.copysign(_APPROACH if np.isinf(x) else _BESIDE, x) for x in points]
            near = dict(_derivatives(f, at(np.concatenate(ways)), backend))
            ends = np.cumsum([len(way) for way in ways])[:-1]
            for orders, found in _derivatives(f, at(points), backend):
                for x, y, got, seen in zip(points, value, found, np.split(near[orders], ends), strict=True):
                    where = f"∂{orders} of {example} by argument {k} at {x}: {got}, beside {seen}"
                    expected = _expected(x, seen)
                    if math.isnan(y) or example.name in SCIPYS or _agree(got, expected):
                        continue
                    assert not np.isfinite(got), where
                    known = NAN_AT_INFINITY if np.isinf(x) else NAN_AT_SUBNORMALS
                    assert not _is_number(expected) or example.name in known, where
