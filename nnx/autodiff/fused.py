"""Functions with a hand-written derivative, for stability or speed."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any

from nnx.autodiff.families import Elementwise
from nnx.autodiff.space import space_of
from nnx.autodiff.trace import bind
from nnx.autodiff.whole import Fused


class FusedFunction:
    """A function of arrays together with its derivative; made by :func:`fused`.

    ``plain`` is the body without the derivative, for the test that both agree to second order.
    """

    def __init__(self, plain: Callable[..., Any], rule: Any) -> None:
        self.plain = plain
        self.rule = rule
        self._call = bind(rule, plain, None)
        update_wrapper(self, plain)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(*args, **kwargs)

    def __reduce__(self) -> str:
        return self.plain.__qualname__  # copied and pickled as a function is: by its name

    def with_pullback(self, x: Any, **options: Any) -> tuple[Any, Callable[[Any], Any]]:
        """``(y, back)`` for the only array ``x``, which nobody traces: as :func:`nnx.vjp`, without a tape."""
        y = self.plain(x, **options)
        pull, xp = self.rule.pull((0,), y, (x,), options), space_of(x).base
        return y, lambda g: pull(xp, g)[0]


class _ElementwiseWithOptions(Elementwise):
    """Elementwise in the first argument; options reach the derivative ``d(xp, x, y, **options)``."""

    def pull(self, argnums: Any, answer: Any, values: Any, kwargs: Any) -> Any:
        x, d = values[0], self.d
        return lambda xp, g: (g * d(xp, x, answer, **kwargs),)

    def push(self, xp: Any, argnums: Any, tangents: Any, answer: Any, values: Any, kwargs: Any) -> Any:
        return tangents[0] * self.d(xp, values[0], answer, **kwargs)


def fused(
    *,
    derivative: Callable[..., Any] | None = None,
    reverse: Callable[..., Any] | None = None,
    forward: Callable[..., Any] | None = None,
    fills: bool = False,
) -> Callable[[Callable[..., Any]], FusedFunction]:
    """Decorator that gives a function of arrays a hand-written derivative.

    ``derivative(xp, x, y, **options)`` is dy/dx of a function ``y = f(x, **options)`` that works number by
    number; it serves forward and reverse mode. ``reverse(xp, g, needs, y, *args, **options)`` returns one
    cotangent per argument of any function (None where ``needs[i]`` is false); forward mode is its transpose,
    or for speed ``forward(xp, tangents, y, *args, **options)`` (None where an argument has no tangent).
    Write them in ``xp`` and operators only, then derivatives of any order follow. With ``fills``,
    ``needs[i]`` may be an array instead of True: a place for ``xp.matmul_into``.

    >>> @nnx.autodiff.fused(derivative=lambda xp, x, y: 3.0 * x * x)
    ... def cube(x):
    ...     return x * x * x
    >>> float(nnx.grad(nnx.grad(cube))(2.0))
    12.0
    """
    if (derivative is None) == (reverse is None):
        raise TypeError("fused needs either derivative= (elementwise) or reverse= (any function).")

    def wrap(function: Callable[..., Any]) -> FusedFunction:
        name = function.__name__
        rule = Fused(name, reverse, forward, fills) if reverse else _ElementwiseWithOptions(name, derivative)  # type: ignore[arg-type]
        return FusedFunction(function, rule)

    return wrap
