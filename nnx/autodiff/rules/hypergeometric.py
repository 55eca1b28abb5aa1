"""Rules of hypergeometric and elliptic functions, exponential integrals and orthogonal polynomials."""

from __future__ import annotations

import math
from typing import Any

from nnx.autodiff.rules.partials import ORDER, PARAMETER, Partials, one, several

_MODULUS = "nnx has no form of this derivative that stays finite at m = 0"


def _root(xp: Any, phi: Any, m: Any) -> Any:
    return xp.sqrt(1.0 - m * xp.sin(phi) ** 2)


def _expn(xp: Any, y: Any, n: Any, x: Any) -> Any:
    if isinstance(n, int) and n == 0:  # SciPy has no E_{−1}
        return -y * (1.0 + 1.0 / x)
    return -xp.special.expn(n - 1, x)


def _genlaguerre(xp: Any, y: Any, n: Any, alpha: Any, x: Any) -> Any:
    if isinstance(n, int) and n == 0:  # SciPy has no L_{−1}
        return xp.zeros_like(y)
    return -xp.special.eval_genlaguerre(n - 1, alpha + 1.0, x)


HYPERGEOMETRIC = (
    Partials("hyp0f1", v=PARAMETER, z=lambda xp, y, v, z: xp.special.hyp0f1(v + 1.0, z) / v),
    Partials(
        "hyp1f1",
        a=PARAMETER,
        b=PARAMETER,
        x=lambda xp, y, a, b, x: a / b * xp.special.hyp1f1(a + 1.0, b + 1.0, x),
    ),
    Partials(
        "hyp2f1",
        a=PARAMETER,
        b=PARAMETER,
        c=PARAMETER,
        z=lambda xp, y, a, b, c, z: a * b / c * xp.special.hyp2f1(a + 1.0, b + 1.0, c + 1.0, z),
    ),
    Partials(
        "hyperu",
        a=PARAMETER,
        b=PARAMETER,
        x=lambda xp, y, a, b, x: -a * xp.special.hyperu(a + 1.0, b + 1.0, x),
    ),
    Partials(
        "wright_bessel",
        a=PARAMETER,
        b=PARAMETER,
        x=lambda xp, y, a, b, x: xp.special.wright_bessel(a, a + b, x),
    ),
    one("ellipk", lambda xp, m: math.pi / 8 * xp.special.hyp2f1(1.5, 1.5, 2.0, m)),
    one("ellipe", lambda xp, m: -math.pi / 8 * xp.special.hyp2f1(0.5, 1.5, 2.0, m)),
    Partials("ellipkinc", phi=lambda xp, y, phi, m: 1.0 / _root(xp, phi, m), m=_MODULUS),
    Partials("ellipeinc", phi=lambda xp, y, phi, m: _root(xp, phi, m), m=_MODULUS),
    one("spence", lambda xp, x: -xp.special.hyp2f1(1.0, 1.0, 2.0, 1.0 - x)),
    one("exp1", lambda xp, x: -xp.exp(-x) / x),
    one("expi", lambda xp, x: xp.exp(x) / x),
    Partials("expn", n=ORDER, x=_expn),
    several("sici", lambda xp, y, x: (xp.special.spherical_jn(0, x), xp.cos(x) / x)),
    several("shichi", lambda xp, y, x: (xp.special.spherical_in(0, x), xp.cosh(x) / x)),
)  # fmt: skip


def _gegenbauer(xp: Any, n: Any, alpha: Any, x: Any) -> Any:
    """The Gegenbauer polynomial of degree n − 1, in which most derivatives are written."""
    return xp.special.eval_gegenbauer(n - 1, alpha, x)


def _of_degree(name: str, d: Any) -> Partials:
    return Partials(name, n=ORDER, x=d)


POLYNOMIALS = (
    _of_degree("eval_legendre", lambda xp, y, n, x: _gegenbauer(xp, n, 1.5, x)),
    _of_degree("eval_chebyt", lambda xp, y, n, x: n * xp.special.eval_chebyu(n - 1, x)),
    _of_degree("eval_chebyu", lambda xp, y, n, x: 2.0 * _gegenbauer(xp, n, 2.0, x)),
    _of_degree("eval_chebyc", lambda xp, y, n, x: n * xp.special.eval_chebyu(n - 1, 0.5 * x)),
    _of_degree("eval_chebys", lambda xp, y, n, x: _gegenbauer(xp, n, 2.0, 0.5 * x)),
    _of_degree("eval_sh_legendre", lambda xp, y, n, x: 2.0 * _gegenbauer(xp, n, 1.5, 2.0 * x - 1.0)),
    _of_degree("eval_sh_chebyt", lambda xp, y, n, x: 2.0 * n * xp.special.eval_chebyu(n - 1, 2.0 * x - 1.0)),
    _of_degree("eval_sh_chebyu", lambda xp, y, n, x: 4.0 * _gegenbauer(xp, n, 2.0, 2.0 * x - 1.0)),
    # SciPy's Hermite polynomial of degree −1 is nan; here its factor is 0.
    _of_degree("eval_hermite", lambda xp, y, n, x: 2.0 * n * xp.special.eval_hermite(abs(n - 1), x)),
    _of_degree("eval_hermitenorm", lambda xp, y, n, x: n * xp.special.eval_hermitenorm(abs(n - 1), x)),
    _of_degree("eval_laguerre", lambda xp, y, n, x: _genlaguerre(xp, y, n, 0.0, x)),
    Partials("eval_genlaguerre", n=ORDER, alpha=ORDER, x=_genlaguerre),
    Partials(
        "eval_gegenbauer",
        n=ORDER,
        alpha=ORDER,
        x=lambda xp, y, n, alpha, x: 2.0 * alpha * _gegenbauer(xp, n, alpha + 1.0, x),
    ),
    Partials(
        "eval_jacobi",
        n=ORDER,
        alpha=ORDER,
        beta=ORDER,
        x=lambda xp, y, n, a, b, x: (
            0.5 * (n + a + b + 1.0) * xp.special.eval_jacobi(n - 1, a + 1.0, b + 1.0, x)
        ),
    ),
)  # fmt: skip
