"""Special functions by SciPy's names, for each library: ``special(adapter).erf(x)``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnx.errors import BackendNotInstalled, DerivativeError

#: Names under which functions of scipy.special arrive at an array → their public names.
ALIASES = {
    "digamma": "psi", "jn": "jv", "_zeta": "zeta", "_riemann_zeta": "zeta", "_lambertw": "lambertw",
    "_spherical_jn": "spherical_jn", "_spherical_yn": "spherical_yn",
    "_spherical_in": "spherical_in", "_spherical_kn": "spherical_kn",
}  # fmt: skip


class UnknownFunction(DerivativeError, AttributeError):
    """A function that neither nnx nor SciPy has; an AttributeError too, for ``hasattr``."""


class ScipyNotInstalled(BackendNotInstalled, AttributeError):
    """SciPy, which computes special functions, is not installed; an AttributeError too, for ``hasattr``."""


class SpecialFunctions:
    """The functions of one library's arrays, each looked up when it is first used.

    ``find(name)`` gives the function of that name; other names that SciPy knows it under lead to the same.

    >>> functions = nnx.backend.SpecialFunctions({"psi": len}.get)
    >>> functions.digamma is functions.psi is len
    True
    """

    def __init__(self, find: Callable[[str], Any]) -> None:
        self._find = find

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        known = ALIASES.get(name, name)
        value = self._find(name) if known == name else getattr(self, known)
        setattr(self, name, value)
        return value


def of_scipy(name: str) -> Callable[..., Any]:
    """SciPy's function of NumPy arrays."""
    try:
        import scipy.special
    except ImportError as error:
        raise ScipyNotInstalled(
            f"xp.special.{name} is computed by SciPy, which is not installed. Install it: pip install scipy."
        ) from error
    function = getattr(scipy.special, name, None)
    if function is None:
        raise UnknownFunction(
            f"nnx does not know the function {name!r}: neither the array API standard nor scipy.special has "
            "it. Give it a derivative with nnx.custom_derivative, or cut the gradient on "
            "purpose with nnx.stop_gradient(x)."
        )
    return function


def on_the_host(name: str, to_numpy: Callable[[Any], Any], asarray: Callable[..., Any]) -> Callable[..., Any]:
    """SciPy's function for the arrays of another library, which it moves to the host and back: slow."""
    function = of_scipy(name)

    def call(*args: Any, **options: Any) -> Any:
        like = next(a for a in args if hasattr(a, "shape"))
        answer = function(*(to_numpy(a) if hasattr(a, "shape") else a for a in args), **options)
        device = getattr(like, "device", None)
        if isinstance(answer, tuple):
            return tuple(asarray(part, device=device) for part in answer)
        return asarray(answer, device=device)

    call.__name__ = name
    call.__doc__ = function.__doc__
    return call
