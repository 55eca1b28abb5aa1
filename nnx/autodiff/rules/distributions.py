"""Rules of distribution functions and their inverses: the derivative is the density, or one over it."""

from __future__ import annotations

import math
from typing import Any

from nnx.autodiff.rules.partials import PARAMETER, Partials


def hazard(xp: Any, x: Any) -> Any:
    """φ(x)/Φ(x), the derivative of log Φ, without underflow in the left tail."""
    left = x < 0
    a, b = xp.where(left, x, 0.0), xp.where(left, 0.0, x)
    tail = math.sqrt(2 / math.pi) / xp.special.erfcx(a * -math.sqrt(0.5))
    body = xp.exp(-0.5 * b * b) / (math.sqrt(2 * math.pi) * xp.special.ndtr(b))
    return xp.where(left, tail, body)


def _gamma(xp: Any, a: Any, x: Any) -> Any:
    """The density of the gamma distribution, x^(a−1) e^(−x) / Γ(a)."""
    return xp.exp(xp.special.xlogy(a - 1.0, x) - x - xp.special.gammaln(a))


def _beta(xp: Any, a: Any, b: Any, x: Any) -> Any:
    """The density of the beta distribution, x^(a−1) (1−x)^(b−1) / B(a, b)."""
    powers = xp.special.xlogy(a - 1.0, x) + xp.special.xlog1py(b - 1.0, -x)
    return xp.exp(powers - xp.special.betaln(a, b))


def _f(xp: Any, m: Any, n: Any, x: Any) -> Any:
    """The density of Snedecor's F distribution."""
    whole = n + m * x
    return _beta(xp, 0.5 * m, 0.5 * n, m * x / whole) * m * n / (whole * whole)


def _student(xp: Any, df: Any, t: Any) -> Any:
    """The density of Student's t distribution."""
    s, more = xp.special, 0.5 * (df + 1.0)
    return xp.exp(s.gammaln(more) - s.gammaln(0.5 * df) - more * xp.log1p(t * t / df)) / xp.sqrt(math.pi * df)


DISTRIBUTIONS = (
    Partials("gammainc", a=PARAMETER, x=lambda xp, y, a, x: _gamma(xp, a, x)),
    Partials("gammaincc", a=PARAMETER, x=lambda xp, y, a, x: -_gamma(xp, a, x)),
    Partials("gammaincinv", a=PARAMETER, y=lambda xp, x, a, y: 1.0 / _gamma(xp, a, x)),
    Partials("gammainccinv", a=PARAMETER, y=lambda xp, x, a, y: -1.0 / _gamma(xp, a, x)),
    Partials("betainc", a=PARAMETER, b=PARAMETER, x=lambda xp, y, a, b, x: _beta(xp, a, b, x)),
    Partials("betaincc", a=PARAMETER, b=PARAMETER, x=lambda xp, y, a, b, x: -_beta(xp, a, b, x)),
    Partials("betaincinv", a=PARAMETER, b=PARAMETER, y=lambda xp, x, a, b, y: 1.0 / _beta(xp, a, b, x)),
    Partials("betainccinv", a=PARAMETER, b=PARAMETER, y=lambda xp, x, a, b, y: -1.0 / _beta(xp, a, b, x)),
    Partials("chdtr", v=PARAMETER, x=lambda xp, y, v, x: 0.5 * _gamma(xp, 0.5 * v, 0.5 * x)),
    Partials("chdtrc", v=PARAMETER, x=lambda xp, y, v, x: -0.5 * _gamma(xp, 0.5 * v, 0.5 * x)),
    Partials("chdtri", v=PARAMETER, p=lambda xp, x, v, p: -2.0 / _gamma(xp, 0.5 * v, 0.5 * x)),
    Partials("fdtr", dfn=PARAMETER, dfd=PARAMETER, x=lambda xp, y, m, n, x: _f(xp, m, n, x)),
    Partials("fdtrc", dfn=PARAMETER, dfd=PARAMETER, x=lambda xp, y, m, n, x: -_f(xp, m, n, x)),
    Partials("fdtri", dfn=PARAMETER, dfd=PARAMETER, p=lambda xp, x, m, n, p: 1.0 / _f(xp, m, n, x)),
    Partials(
        "gdtr",
        a=lambda xp, y, a, b, x: x * _gamma(xp, b, a * x),
        b=PARAMETER,
        x=lambda xp, y, a, b, x: a * _gamma(xp, b, a * x),
    ),
    Partials(
        "gdtrc",
        a=lambda xp, y, a, b, x: -x * _gamma(xp, b, a * x),
        b=PARAMETER,
        x=lambda xp, y, a, b, x: -a * _gamma(xp, b, a * x),
    ),
    Partials("stdtr", df=PARAMETER, t=lambda xp, y, df, t: _student(xp, df, t)),
    Partials("stdtrit", df=PARAMETER, p=lambda xp, t, df, p: 1.0 / _student(xp, df, t)),
    # Discrete distributions, in their continuous parameter: k counts events, and SciPy rounds it down.
    Partials("pdtr", k=PARAMETER, m=lambda xp, y, k, m: -_gamma(xp, xp.floor(k) + 1.0, m)),
    Partials("pdtrc", k=PARAMETER, m=lambda xp, y, k, m: _gamma(xp, xp.floor(k) + 1.0, m)),
    Partials("bdtr", k=PARAMETER, n=PARAMETER, p=lambda xp, y, k, n, p: -_binomial(xp, k, n, p)),
    Partials("bdtrc", k=PARAMETER, n=PARAMETER, p=lambda xp, y, k, n, p: _binomial(xp, k, n, p)),
    Partials("nbdtr", k=PARAMETER, n=PARAMETER, p=lambda xp, y, k, n, p: _beta(xp, n, k + 1.0, p)),
    Partials("nbdtrc", k=PARAMETER, n=PARAMETER, p=lambda xp, y, k, n, p: -_beta(xp, n, k + 1.0, p)),
)  # fmt: skip


def _binomial(xp: Any, k: Any, n: Any, p: Any) -> Any:
    # n = k gives 1/B(0, ·) = 0, as it must: the sum is then 1 for every p.
    return _beta(xp, xp.floor(k) + 1.0, n - xp.floor(k), p)
