"""Room 2: penalties on weights, added to the cost: pure functions of an array that return one number."""

from __future__ import annotations

from typing import Any

from nnx.autodiff import fused
from nnx.backend import namespace
from nnx.options import Number
from nnx.registry import Registry, Traits

Array = Any

#: Declared with each: ``formula`` (LaTeX) and ``use``, in one line.
registry = Registry("regularizer", Traits, makers=True)

_FACTOR = Number(least=0.0, arrays=True)


def _absolute_back(xp: Any, g: Array, needs: Any, y: Array, w: Array) -> tuple[Array]:
    return (g * xp.sign(w),)


@fused(reverse=_absolute_back)
def _sum_of_absolutes(w: Array) -> Array:
    xp = namespace(w)
    return xp.sum(xp.abs(w))


def _squares_back(xp: Any, g: Array, needs: Any, y: Array, w: Array) -> tuple[Array]:
    return ((2.0 * g) * w,)


@fused(reverse=_squares_back)
def _sum_of_squares(w: Array) -> Array:
    return namespace(w).sum(w * w)


@registry.register(
    checks={"l1": _FACTOR}, formula=r"\lambda \sum_i |w_i|", use="Sparse weights: many become 0."
)
def l1(w: Array, *, l1: float = 0.01) -> Array:
    """l1·Σ abs(w), a 0-d array. The derivative at 0 is 0.

    >>> float(nnx.regularizers.L1(0.1)(np.asarray([1.0, -2.0])).round(12))
    0.3
    """
    return l1 * _sum_of_absolutes(w)


@registry.register(
    checks={"l2": _FACTOR}, formula=r"\lambda \sum_i w_i^2", use="Small weights: weight decay."
)
def l2(w: Array, *, l2: float = 0.01) -> Array:
    """l2·Σ w², a 0-d array; without the factor ½ of some books, so its gradient is 2·l2·w.

    >>> float(nnx.regularizers.L2(0.1)(np.asarray([1.0, -2.0])))
    0.5
    """
    return l2 * _sum_of_squares(w)


@registry.register(
    "l1l2",
    class_name="L1L2",
    checks={"l1": _FACTOR, "l2": _FACTOR},
    formula=r"\lambda_1 \sum_i |w_i| + \lambda_2 \sum_i w_i^2",
    use="Both: elastic net.",
)
def l1_l2(w: Array, *, l1: float = 0.0, l2: float = 0.0) -> Array:
    """l1·Σ abs(w) + l2·Σ w², a 0-d array. Raises :class:`nnx.errors.OptionError` for factors below 0.

    >>> float(nnx.regularizers.L1L2(l1=0.5, l2=0.25)(np.asarray([1.0, -2.0])))
    2.75
    """
    return l1 * _sum_of_absolutes(w) + l2 * _sum_of_squares(w)


get = registry.get
__getattr__ = registry.attribute


def __dir__() -> list[str]:
    return sorted({*globals(), *registry.attributes()})
