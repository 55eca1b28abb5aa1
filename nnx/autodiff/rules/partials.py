"""The family of special functions: elementwise, some arguments without a derivative."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnx.autodiff.families import Elementwise, Pull, Rule, broadcast_like, cast, unbroadcast
from nnx.autodiff.pullbacks import FusedSeveral
from nnx.errors import DerivativeError

#: Why there is no derivative in an argument. An order stays as it is given; other scalars become arrays.
ORDER = "it is an order, and the derivative with respect to it is no function that SciPy has"
PARAMETER = "the derivative with respect to this parameter is no function that SciPy has"


class Partials(Rule):
    """y = f(x₁, …, xₙ), entry by entry, with broadcasting.

    For each argument by its name: its partial derivative ``d(xp, y, *args)``, or why it is refused.
    """

    entrywise = True

    def __init__(self, name: str, /, **partials: Callable[..., Any] | str) -> None:
        self.name, self.arguments, self.d = "special." + name, tuple(partials), tuple(partials.values())

    def _must_have(self, argnums: Any) -> None:
        for i in argnums:
            if isinstance(reason := self.d[i], str):
                raise DerivativeError(
                    f"xp.{self.name} cannot be differentiated in its argument {self.arguments[i]!r}: "
                    f"{reason}. Make that one a constant (a plain number or array, "
                    "nnx.stop_gradient(x)), or give the function a derivative of your own with "
                    "nnx.custom_derivative."
                )

    def _at(self, xp: Any, i: int, y: Any, values: Any) -> Any:
        args = [
            v if d is ORDER or hasattr(v, "shape") else xp.full_like(y, v)
            for v, d in zip(values, self.d, strict=False)
        ]
        return self.d[i](xp, y, *args)  # type: ignore[operator]  # not a reason: see _must_have

    def pull(self, argnums: Any, answer: Any, values: Any, kwargs: Any) -> Pull:
        self._must_have(argnums)
        return lambda xp, g: [
            unbroadcast(xp, g * self._at(xp, i, answer, values), values[i].shape, values[i].dtype)
            for i in argnums
        ]

    def push(self, xp: Any, argnums: Any, tangents: Any, answer: Any, values: Any, kwargs: Any) -> Any:
        self._must_have(argnums)
        terms = [t * self._at(xp, i, answer, values) for i, t in zip(argnums, tangents, strict=True)]
        return cast(xp, broadcast_like(xp, sum(terms[1:], start=terms[0]), answer), answer.dtype)


def one(name: str, d: Callable[..., Any], *, of_result: bool = False) -> Elementwise:
    """One argument; the derivative is ``d(xp, x)``, or ``d(xp, y)`` if ``of_result``."""
    return Elementwise("special." + name, d, of_result=of_result)


def several(name: str, d: Callable[..., Any]) -> FusedSeveral:
    """One argument and several results, whose derivatives are ``d(xp, answers, x)``."""

    def reverse(xp: Any, gs: Any, needs: Any, answers: Any, x: Any) -> tuple[Any]:
        slopes = d(xp, answers, x)
        parts = [g * slope for g, slope in zip(gs, slopes, strict=True) if g is not None]
        return (sum(parts[1:], start=parts[0]),)

    return FusedSeveral("special." + name, reverse)
