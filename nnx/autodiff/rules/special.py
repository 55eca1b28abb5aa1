"""Rules of SciPy's special functions, by SciPy's names: ``xp.special.erf``.

They are written in special functions again, so derivatives of every order follow. Where a textbook's
formula is 0/0 or loses digits, a regular one is used (the derivative of ``exprel`` is ½·₁F₁(2; 3; x)).
Derivatives by an order or a parameter that have no such form are refused by name.

Source of the formulas: NIST Digital Library of Mathematical Functions, https://dlmf.nist.gov.
"""

from __future__ import annotations

import math
from typing import Any

from nnx.autodiff.array import raw
from nnx.autodiff.rules.bessel import BESSEL
from nnx.autodiff.rules.distributions import DISTRIBUTIONS, hazard
from nnx.autodiff.rules.elementwise import pow_base, pow_exponent
from nnx.autodiff.rules.hypergeometric import HYPERGEOMETRIC, POLYNOMIALS
from nnx.autodiff.rules.partials import ORDER, Partials, one, several
from nnx.autodiff.rules.saturation import ended

_LN2, _LN10, _DEGREE = math.log(2.0), math.log(10.0), math.pi / 180.0
_ERF = 2.0 / math.sqrt(math.pi)  # the derivative of erf at 0

CBRT = one("cbrt", ended(lambda xp, y: 1.0 / (3.0 * y * y)), of_result=True)


def _degree(xp: Any, x: Any) -> Any:
    """π/180; NaN beyond 10¹⁴ degrees, where SciPy gives 0, since too few digits of the angle are left."""
    x = raw(x)
    return xp.where(xp.abs(x) > 1e14, math.nan, xp.full_like(x, _DEGREE))


def _exprel(xp: Any, x: Any) -> Any:
    """½·₁F₁(2; 3; x), the slope of (eˣ − 1)/x. SciPy's ₁F₁ does not come back from x = ∞."""
    top = xp.isinf(raw(x))
    slope = 0.5 * xp.special.hyp1f1(2.0, 3.0, xp.where(top, 0.0, x))
    return xp.where(top, xp.exp(xp.where(top, x, 0.0)), slope)


ELEMENTARY = (
    CBRT,
    one("exp2", lambda xp, y: _LN2 * y, of_result=True),
    one("exp10", lambda xp, y: _LN10 * y, of_result=True),
    one("expm1", lambda xp, x: xp.exp(x)),
    one("log1p", lambda xp, x: 1.0 / (1.0 + x)),
    one("cosm1", lambda xp, x: -xp.sin(x)),
    one("sindg", lambda xp, x: _degree(xp, x) * xp.special.cosdg(x)),
    one("cosdg", lambda xp, x: -_degree(xp, x) * xp.special.sindg(x)),
    one("tandg", lambda xp, x: _degree(xp, x) * (1.0 + xp.special.tandg(x) ** 2)),
    one("cotdg", lambda xp, x: -_degree(xp, x) * (1.0 + xp.special.cotdg(x) ** 2)),
    Partials(
        "radian",
        d=lambda xp, y, d, m, s: xp.full_like(y, _DEGREE),
        m=lambda xp, y, d, m, s: xp.full_like(y, _DEGREE / 60.0),
        s=lambda xp, y, d, m, s: xp.full_like(y, _DEGREE / 3600.0),
    ),
    Partials(
        "powm1",
        x=pow_base,
        y=lambda xp, r, x, y: pow_exponent(xp, x**y, x, y),
    ),
    one("exprel", _exprel),
    # Not y·(1 − y), which is 0 from x = 37 on.
    one("expit", lambda xp, x: xp.special.expit(x) * xp.special.expit(-x)),
    one("log_expit", lambda xp, x: xp.special.expit(-x)),
    one("logit", lambda xp, x: 1.0 / (x * (1.0 - x))),
    Partials(
        "lambertw", z=lambda xp, w, z, *_: xp.exp(-w) / (1.0 + w), k=ORDER, tol=ORDER
    ),
    one("wrightomega", lambda xp, y: y / (1.0 + y), of_result=True),
)  # fmt: skip

ERROR = (
    one("erf", ended(lambda xp, x: _ERF * xp.exp(-x * x))),
    one("erfc", ended(lambda xp, x: -_ERF * xp.exp(-x * x))),
    Partials("erfcx", x=lambda xp, y, x: 2.0 * x * y - _ERF),
    one("erfi", lambda xp, x: _ERF * xp.exp(x * x)),
    one("erfinv", lambda xp, y: xp.exp(y * y) / _ERF, of_result=True),
    one("erfcinv", lambda xp, y: -xp.exp(y * y) / _ERF, of_result=True),
    Partials("dawsn", x=lambda xp, y, x: 1.0 - 2.0 * x * y),
    Partials("wofz", z=lambda xp, y, z: 1j * _ERF - 2.0 * z * y),
    several(
        "fresnel",
        lambda xp, y, x: (xp.sin(math.pi / 2 * x * x), xp.cos(math.pi / 2 * x * x)),
    ),
    one("ndtr", ended(lambda xp, x: xp.exp(-0.5 * x * x) / math.sqrt(2 * math.pi))),
    one("log_ndtr", lambda xp, x: hazard(xp, x)),
    one("ndtri", lambda xp, y: math.sqrt(2 * math.pi) * xp.exp(0.5 * y * y), of_result=True),
    one("ndtri_exp", lambda xp, y: 1.0 / hazard(xp, y), of_result=True),
    Partials(
        "owens_t",
        h=lambda xp, y, h, a: (
            -xp.exp(-0.5 * h * h) * xp.special.erf(a * h / math.sqrt(2)) / math.sqrt(8 * math.pi)
        ),
        a=lambda xp, y, h, a: xp.exp(-0.5 * h * h * (1.0 + a * a)) / (2 * math.pi * (1.0 + a * a)),
    ),
)  # fmt: skip


def _rgamma(xp: Any, y: Any, x: Any) -> Any:
    # 1/Γ is smooth everywhere. Left of ½ by the reflection 1/Γ(x) = sin(πx) Γ(1 − x)/π.
    s, left = xp.special, x < 0.5
    a, b = xp.where(left, x, 0.0), xp.where(left, 1.0, x)
    slope = xp.cos(math.pi * a) - xp.sin(math.pi * a) * s.psi(1.0 - a) / math.pi
    return xp.where(left, s.gamma(1.0 - a) * slope, -s.psi(b) * s.rgamma(b))


def _psi_difference(xp: Any, a: Any, b: Any) -> Any:
    return xp.special.psi(a) - xp.special.psi(b)


GAMMA = (
    Partials("gamma", x=lambda xp, y, x: y * xp.special.psi(x)),
    Partials("rgamma", x=_rgamma),
    one("gammaln", lambda xp, x: xp.special.psi(x)),
    one("loggamma", lambda xp, x: xp.special.psi(x)),
    one("psi", lambda xp, x: xp.special.zeta(2.0, x)),
    Partials("polygamma", n=ORDER, x=lambda xp, y, n, x: xp.special.polygamma(n + 1, x)),
    Partials(
        "zeta",
        x="nnx has no rule for the derivative with respect to the exponent of the zeta function",
        q=lambda xp, y, x, q: -x * xp.special.zeta(x + 1.0, q),
    ),
    Partials(
        "beta",
        a=lambda xp, y, a, b: y * _psi_difference(xp, a, a + b),
        b=lambda xp, y, a, b: y * _psi_difference(xp, b, a + b),
    ),
    Partials(
        "betaln",
        a=lambda xp, y, a, b: _psi_difference(xp, a, a + b),
        b=lambda xp, y, a, b: _psi_difference(xp, b, a + b),
    ),
    Partials(
        "binom",
        n=lambda xp, y, n, k: y * _psi_difference(xp, n + 1.0, n - k + 1.0),
        k=lambda xp, y, n, k: y * _psi_difference(xp, n - k + 1.0, k + 1.0),
    ),
    Partials(
        "poch",
        z=lambda xp, y, z, m: y * _psi_difference(xp, z + m, z),
        m=lambda xp, y, z, m: y * xp.special.psi(z + m),
    ),
)  # fmt: skip


def _ratio(xp: Any, x: Any, y: Any) -> Any:
    """The quotient x / y, and 0 where both are 0, without derivatives."""
    both = (x == 0) & (y == 0)
    return xp.kinked(x / xp.where(both, 1.0, y), at=both)


def _boxcox_slope(xp: Any, x: Any, lmbda: Any) -> Any:
    """The derivative of (x^λ − 1)/λ with respect to λ, also at λ = 0."""
    log = xp.log(x)
    return log * log * _exprel(xp, lmbda * log)


def _pseudo_huber(xp: Any, y: Any, delta: Any, r: Any) -> Any:
    # With u = r/δ and q = √(1 + u²) it is δ·(2(q − 1) − u²/q), here without the cancellation at small u.
    u2 = (r / delta) ** 2
    q = xp.sqrt(1.0 + u2)
    return delta * u2 * u2 / (q * (1.0 + q) ** 2)


INFORMATION = (
    Partials("xlogy", x=lambda xp, r, x, y: xp.log(y), y=lambda xp, r, x, y: _ratio(xp, x, y)),
    Partials("xlog1py", x=lambda xp, r, x, y: xp.log1p(y), y=lambda xp, r, x, y: _ratio(xp, x, 1.0 + y)),
    one("entr", lambda xp, x: -1.0 - xp.log(x)),
    Partials(
        "rel_entr",
        x=lambda xp, r, x, y: xp.log(x) - xp.log(y) + 1.0,
        y=lambda xp, r, x, y: -_ratio(xp, x, y),
    ),
    Partials(
        "kl_div",
        x=lambda xp, r, x, y: xp.log(x) - xp.log(y),
        y=lambda xp, r, x, y: 1.0 - _ratio(xp, x, y),
    ),
    Partials(
        "huber",
        delta=lambda xp, y, delta, r: xp.where(xp.abs(r) <= delta, 0.0, xp.abs(r) - delta),
        r=lambda xp, y, delta, r: xp.where(xp.abs(r) <= delta, r, delta * xp.sign(r)),
    ),
    Partials(
        "pseudo_huber",
        delta=_pseudo_huber,
        r=lambda xp, y, delta, r: r / xp.hypot(r / delta, xp.ones_like(y)),
    ),
    Partials(
        "boxcox",
        x=lambda xp, y, x, lmbda: x ** (lmbda - 1.0),
        lmbda=lambda xp, y, x, lmbda: _boxcox_slope(xp, x, lmbda),
    ),
    Partials(
        "boxcox1p",
        x=lambda xp, y, x, lmbda: (1.0 + x) ** (lmbda - 1.0),
        lmbda=lambda xp, y, x, lmbda: _boxcox_slope(xp, 1.0 + x, lmbda),
    ),
    Partials(
        "inv_boxcox",
        y=lambda xp, x, y, lmbda: x ** (1.0 - lmbda),
        lmbda=lambda xp, x, y, lmbda: -_boxcox_slope(xp, x, lmbda) * x ** (1.0 - lmbda),
    ),
    Partials(
        "inv_boxcox1p",
        y=lambda xp, x, y, lmbda: (1.0 + x) ** (1.0 - lmbda),
        lmbda=lambda xp, x, y, lmbda: -_boxcox_slope(xp, 1.0 + x, lmbda) * (1.0 + x) ** (1.0 - lmbda),
    ),
)  # fmt: skip


SPECIAL = (
    *ELEMENTARY, *ERROR, *GAMMA, *INFORMATION, *DISTRIBUTIONS, *BESSEL, *HYPERGEOMETRIC, *POLYNOMIALS
)  # fmt: skip

#: Functions of SciPy that are no ufuncs; SciPy asks for them when SCIPY_ARRAY_API=1.
COMPOSITIONS = {
    "special.sinc": lambda xp, x: xp.special.spherical_jn(0, math.pi * x),
    "special.multigammaln": lambda xp, a, d: sum(
        (xp.special.gammaln(a - 0.5 * j) for j in range(int(d))), start=d * (d - 1) / 4 * math.log(math.pi)
    ),
}
