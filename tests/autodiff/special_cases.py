# ruff: noqa: E501 (a table reads best with a row in a line)
"""Examples of every special function that has a derivative: (name, function of (special, *arrays), ranges).

One range for each argument that is differentiated. A test fails when a rule has no example here.
"""

from __future__ import annotations

import zlib
from typing import Any, NamedTuple

import numpy as np

import nnx
from nnx.backend import to_numpy

R = (-2.0, 2.0)  # no singularity at 0
P = (0.3, 3.0)  # positive
U = (0.1, 0.9)  # probabilities
I = (-0.9, 0.9)  # noqa: E741 (cosines)


def on_backend(backend: Any, function: Any) -> Any:
    """``function``, of NumPy's arrays and with NumPy's arrays as results, computed by the backend's library."""

    def call(*xs: Any) -> Any:
        answers = function(*(backend.asarray(x, dtype="float64") for x in xs))
        leaves, build = nnx.autodiff.flatten(answers)
        return build([to_numpy(x) for x in leaves])

    return call


class Example(NamedTuple):
    name: str
    function: Any
    ranges: tuple[tuple[float, float], ...]
    label: str

    def __str__(self) -> str:
        return self.name + self.label

    def arrays(self, shapes: Any = ((2, 3), (3,), (2, 1))) -> list[np.ndarray]:
        """One array for each range, which broadcast against each other."""
        random = np.random.default_rng(zlib.crc32(str(self).encode()))
        return [random.uniform(*r, shape) for r, shape in zip(self.ranges, shapes, strict=False)]


def of(
    names: str, *ranges: tuple[float, float], before: tuple[Any, ...] = (), after: tuple[Any, ...] = ()
) -> list[Example]:
    """Examples of several functions with the same ranges and the same constants before and after the arrays."""
    label = f"{before}{ranges}{after}".replace(" ", "")
    return [
        Example(n, lambda s, *xs, n=n: getattr(s, n)(*before, *xs, *after), ranges, label) for n in names.split()
    ]  # fmt: skip


def _part(
    name: str, range: tuple[float, float], *, before: tuple[Any, ...] = (), after: tuple[Any, ...] = ()
) -> Example:
    """Of a complex result a real combination of both parts."""

    def function(s: Any, x: Any) -> Any:
        y = getattr(s, name)(*before, x, *after)
        xp = y.__array_namespace__() if hasattr(y, "__array_namespace__") else np
        return xp.real(y * (1.0 + 2.0j))

    return Example(name, function, (range,), f"{before}{range}{after}".replace(" ", ""))


EXAMPLES: list[Example] = [
    *of("exp2 expm1 cosm1 exprel expit log_expit wrightomega", R), *of("exp10 erfi", (-1.0, 1.0)), *of("cbrt log1p", P), *of("logit ndtri", U),
    *of("sindg cosdg", (-90.0, 90.0)), *of("tandg", (-45.0, 45.0)), *of("cotdg", (20.0, 160.0)), *of("radian", R, R, R), *of("powm1", P, R),
    *of("erf erfc erfcx dawsn fresnel ndtr airy", R), *of("erfinv", I), *of("erfcinv", (0.2, 1.8)), *of("log_ndtr", (-9.0, 3.0)),
    *of("ndtri_exp", (-9.0, -0.3)), *of("owens_t", R, R),
    *of("gamma gammaln loggamma psi digamma", P), *of("gamma gammaln psi", (-0.8, -0.2)), *of("rgamma", R),
    *of("polygamma", P, before=(0,)), *of("polygamma", P, before=(1,)), *of("polygamma", (1.0, 3.0), before=(3,)),
    *of("zeta", P, before=(2.5,)), *of("_zeta", P, before=(3,)), *of("beta betaln poch", P, P), *of("binom", (3.2, 4.0), (0.5, 2.5)),
    *of("multigammaln", (2.0, 4.0), after=(3,)),
    *of("xlogy xlog1py", R, P), *of("xlogy", P, before=(2.0,)), *of("xlogy", R, after=(2.0,)), *of("entr", P), *of("rel_entr kl_div", P, P),
    *of("huber", (0.8, 0.9), (-0.7, 0.7)), *of("huber", (0.4, 0.5), (0.7, 2.0)), *of("huber pseudo_huber", (0.2, 1.0), before=(1.5,)),
    *of("pseudo_huber", P, R), *of("boxcox boxcox1p", P, R), *of("boxcox", P, after=(0.0,)), *of("inv_boxcox inv_boxcox1p", P, (0.2, 1.0)),
    *of("gammainc gammaincc", P, before=(1.5,)), *of("gammaincinv gammainccinv", U, before=(1.5,)),
    *of("betainc betaincc betaincinv betainccinv", U, before=(1.5, 2.5)), *of("chdtr chdtrc", P, before=(3.0,)), *of("chdtri", U, before=(3.0,)),
    *of("fdtr fdtrc", P, before=(3.0, 5.0)), *of("fdtri", U, before=(3.0, 5.0)), *of("stdtr", R, before=(4.0,)), *of("stdtrit", U, before=(4.0,)),
    *of("gdtr gdtrc", P, after=(2.0, 1.5)), *of("gdtr gdtrc", P, before=(1.5, 2.0)), *of("pdtr pdtrc", P, before=(2,)),
    *of("bdtr bdtrc", U, before=(2, 5)), *of("bdtr bdtrc", U, before=(5, 5)), *of("nbdtr nbdtrc", U, before=(2, 3)),
    *of("j0 j1 i0 i1", R), *of("i0e i1e", (-3.0, -0.3)), *of("y0 y1 i0e i1e k0 k1 k0e k1e itj0y0 iti0k0", P),
    *of("jv jn iv", R, before=(2,)), *of("jn iv", R, before=(0,)), *of("jv iv yv kv ive kve struve modstruve", P, before=(1.5,)), *of("yn kn", P, before=(1,)), *of("kn", P, before=(0,)),
    *of("spherical_jn spherical_in spherical_kn", P, before=(0,)), *of("spherical_jn spherical_yn spherical_in spherical_kn _spherical_jn", P, before=(2,)),
    _part("hankel1", P, before=(1.5,)), _part("hankel2", P, before=(1,)), _part("wofz", R), _part("lambertw", (-0.2, 2.0)), _part("lambertw", (-0.3, -0.1), after=(-1,)),
    *of("hyp0f1", R, before=(1.5,)), *of("hyp1f1", R, before=(1.5, 2.5)), *of("hyp2f1", (-2.0, 0.7), before=(0.5, 1.5, 2.5)),
    *of("hyperu wright_bessel", P, before=(0.5, 1.5)), *of("ellipk ellipe", (-2.0, 0.8)), *of("ellipkinc ellipeinc", R, after=(0.6,)),
    *of("spence exp1 expi sici shichi", P), *of("expn", P, before=(2,)), *of("expn", P, before=(0,)), *of("sinc", R),
    *[e for n in (1, 4) for e in of("eval_legendre eval_chebyt eval_chebyu eval_chebyc eval_chebys eval_sh_legendre eval_sh_chebyt eval_sh_chebyu", U, before=(n,))],
    *[e for n in (1, 4) for e in of("eval_hermite eval_hermitenorm eval_laguerre", R, before=(n,))],
    *of("eval_genlaguerre eval_gegenbauer", I, before=(3, 0.5)), *of("eval_jacobi", I, before=(3, 0.5, 1.5)),
]  # fmt: skip
