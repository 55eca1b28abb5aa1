"""Rules of the Bessel functions and their kin, by recurrences that are regular at 0 where the function is."""

from __future__ import annotations

from typing import Any

from nnx.autodiff.rules.distances import direction
from nnx.autodiff.rules.partials import ORDER, Partials, one, several
from nnx.errors import DerivativeError


def _cylinder(name: str, below: float, above: float, itself: Any = None) -> Partials:
    """f_v' = below·f_{v−1} + above·f_{v+1} (+ itself(xp, x)·f_v)."""

    def d(xp: Any, y: Any, v: Any, x: Any) -> Any:
        f = getattr(xp.special, name)
        slope = below * f(v - 1, x) + above * f(v + 1, x)
        return slope if itself is None else slope + itself(xp, x) * y

    return Partials(name, v=ORDER, z=d)


def _spherical(name: str, sign: float, above: float) -> Partials:
    """f_n' = sign·(n f_{n−1} + above·(n+1) f_{n+1}) / (2n+1); f_{−1} is not needed, as its factor is 0."""

    def d(xp: Any, y: Any, n: Any, z: Any) -> Any:
        f = getattr(xp.special, name)
        share = sign / (2.0 * n + 1.0)
        return share * n * f(abs(n - 1), z) + share * above * (n + 1.0) * f(n + 1, z)

    return Partials(name, n=ORDER, z=d)


def _minus_sign(xp: Any, x: Any) -> Any:
    """The derivative of the scale exp(−|Re x|), over the scale."""
    if xp.isdtype(x.dtype, "complex floating"):
        raise DerivativeError(
            "xp.special.ive has no complex derivative: it is scaled by exp(-|Re z|). Use xp.special.iv."
        )
    return -direction(xp, x)


def _struve(name: str) -> Partials:
    return Partials(
        name,
        v=ORDER,
        x=lambda xp, y, v, x: getattr(xp.special, name)(v - 1, x) - v * y / x,
    )


BESSEL = (
    one("j0", lambda xp, x: -xp.special.j1(x)),
    one("j1", lambda xp, x: 0.5 * (xp.special.j0(x) - xp.special.jv(2, x))),
    one("y0", lambda xp, x: -xp.special.y1(x)),
    Partials("y1", x=lambda xp, y, x: xp.special.y0(x) - y / x),
    one("i0", lambda xp, x: xp.special.i1(x)),
    one("i1", lambda xp, x: 0.5 * (xp.special.i0(x) + xp.special.iv(2, x))),
    Partials("i0e", x=lambda xp, y, x: xp.special.i1e(x) - direction(xp, x) * y),
    Partials(
        "i1e",
        x=lambda xp, y, x: 0.5 * (xp.special.i0e(x) + xp.special.ive(2, x)) - direction(xp, x) * y,
    ),
    one("k0", lambda xp, x: -xp.special.k1(x)),
    Partials("k1", x=lambda xp, y, x: -xp.special.k0(x) - y / x),
    Partials("k0e", x=lambda xp, y, x: y - xp.special.k1e(x)),
    Partials("k1e", x=lambda xp, y, x: y - xp.special.k0e(x) - y / x),
    _cylinder("jv", 0.5, -0.5),
    _cylinder("yn", 0.5, -0.5),
    _cylinder("yv", 0.5, -0.5),
    _cylinder("hankel1", 0.5, -0.5),
    _cylinder("hankel2", 0.5, -0.5),
    _cylinder("iv", 0.5, 0.5),
    _cylinder("ive", 0.5, 0.5, _minus_sign),
    _cylinder("kn", -0.5, -0.5),
    _cylinder("kv", -0.5, -0.5),
    _cylinder("kve", -0.5, -0.5, lambda xp, x: 1.0),
    _spherical("spherical_jn", 1.0, -1.0),
    _spherical("spherical_yn", 1.0, -1.0),
    _spherical("spherical_in", 1.0, 1.0),
    _spherical("spherical_kn", -1.0, 1.0),
    _struve("struve"),
    _struve("modstruve"),
    several("airy", lambda xp, y, x: (y[1], x * y[0], y[3], x * y[2])),
    several("itj0y0", lambda xp, y, x: (xp.special.j0(x), xp.special.y0(x))),
    several("iti0k0", lambda xp, y, x: (xp.special.i0(x), xp.special.k0(x))),
)  # fmt: skip
