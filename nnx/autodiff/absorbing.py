"""Derivatives in which 0 times an infinite slope is 0, for those who can check the answer.

a/(1 + eˣ) is 0 where eˣ overflows, and so is its derivative; the chain rule finds 0·∞ there. The same happens
to (t/τ)ᵇ with b < 1 at t = 0, to √ of what is 0 in every direction, and to the side that ``where`` does not
choose. Mostly 0 is right. It is not for (√x)² at 0, whose derivative is 1 = 0·∞: so ``grad``, ``jvp`` and the
others answer NaN, and only a caller that compares with differences may ask for the 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

from nnx.autodiff.families import Pull, Rule, broadcast_like, shape_of, unbroadcast
from nnx.autodiff.trace import Dual, Tape

_asked: ContextVar[bool] = ContextVar("nnx_zeros_absorb", default=False)


@contextmanager
def zeros_absorb() -> Iterator[None]:
    """A context for transforms: entry by entry, 0·∞ and ∞·0 of a slope and what it multiplies are 0, not NaN.

    >>> x = np.asarray([0.0, 4.0])
    >>> with np.errstate(divide="ignore", invalid="ignore"), nnx.autodiff.zeros_absorb():
    ...     nnx.grad(lambda x: np.sum(np.where(x > 0.0, np.sqrt(x), 0.0)))(x)
    array([0.  , 0.25])
    """
    token = _asked.set(True)
    try:
        yield
    finally:
        _asked.reset(token)


def new_tape(plain: Callable[[], Tape] = lambda: Tape(locks=True)) -> Tape:
    """The trace of a transform in reverse mode; ``plain()`` where 0·∞ is not to be 0."""
    return _AbsorbingTape(locks=True) if _asked.get() else plain()


def new_dual() -> Dual:
    """The trace of a transform in forward mode."""
    return _AbsorbingDual() if _asked.get() else Dual()


class _AbsorbingTape(Tape):
    __slots__ = ()

    def record(self, rule: Any, *operation: Any) -> Any:
        return super().record(_absorbing(rule) if rule.entrywise else rule, *operation)


class _AbsorbingDual(Dual):
    __slots__ = ()

    def record(self, rule: Any, *operation: Any) -> Any:
        return super().record(_absorbing(rule) if rule.entrywise else rule, *operation)


class _Absorbing(Rule):
    """``rule``, of a function that works entry by entry, with 0 for each 0·∞."""

    def __init__(self, rule: Rule) -> None:
        self.rule, self.name, self.keeps = rule, rule.name, rule.keeps

    def pull(self, argnums: Any, answer: Any, values: Any, kwargs: Any) -> Pull:
        def pull(xp: Any, g: Any) -> Sequence[Any]:
            # stretched before: a sum over what was broadcast would spread a NaN
            full = [broadcast_like(xp, v, answer) if hasattr(v, "shape") else v for v in values]
            found = self.rule.pull(argnums, answer, full, kwargs)(xp, g)
            return [
                unbroadcast(xp, _absorbed(xp, g, c), shape_of(values[i]), values[i].dtype)
                for i, c in zip(argnums, found, strict=True)
            ]

        return pull

    def push(self, xp: Any, argnums: Any, tangents: Any, answer: Any, values: Any, kwargs: Any) -> Any:
        total = None
        for i, t in zip(argnums, tangents, strict=True):
            term = _absorbed(xp, t, self.rule.push(xp, (i,), (t,), answer, values, kwargs))
            total = term if total is None else total + term
        return total


_absorbing = cache(_Absorbing)


def _absorbed(xp: Any, factor: Any, product: Any) -> Any:
    """The product of ``factor`` with a slope: 0 where it is NaN and the factor is 0 or infinite."""
    return xp.where(xp.isnan(product) & ((factor == 0.0) | xp.isinf(factor)), 0.0, product)
