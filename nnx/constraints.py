"""Projections that keep weights where they may be, after every step. Names and defaults are those of Keras."""

from __future__ import annotations

from typing import Any

from nnx.backend import namespace
from nnx.registry import Registry

registry = Registry("constraint")
register = registry.register

#: Keras' ``epsilon()``: a norm of 0 divides by this.
_EPSILON = 1e-7


@registry.register(formula=r"w \min(1, c/\|w\|)")
def max_norm(w: Any, *, max_value: float = 2.0, axis: Any = 0) -> Any:
    """``w`` with every norm along ``axis`` (0: the weights into one unit) at most ``max_value``.

    Source: N. Srivastava et al., JMLR 15 (2014), section 5.1.

    >>> nnx.constraints.MaxNorm(1.0)(np.asarray([[3.0, 0.3], [4.0, 0.4]]))
    array([[0.6, 0.3],
           [0.8, 0.4]])
    """
    norm = _norm(w, axis)
    xp = namespace(w)
    return w * (xp.minimum(norm, max_value) / xp.maximum(norm, _EPSILON))


@registry.register(formula=r"\max(w, 0)")
def non_neg(w: Any) -> Any:
    """``w`` with negative numbers replaced by 0.

    >>> nnx.constraints.NonNeg()(np.asarray([-1.0, 2.0]))
    array([0., 2.])
    """
    return namespace(w).maximum(w, 0.0)


@registry.register(formula=r"w/\|w\|")
def unit_norm(w: Any, *, axis: Any = 0) -> Any:
    """``w`` with every norm along ``axis`` equal to 1.

    >>> np.round(nnx.constraints.UnitNorm()(np.asarray([[3.0], [4.0]])), 6)
    array([[0.6],
           [0.8]])
    """
    return w / (_norm(w, axis) + _EPSILON)


@registry.register(formula=r"w\,(\rho\,\mathrm{clip}(\|w\|) + (1-\rho)\|w\|)/\|w\|")
def min_max_norm(
    w: Any, *, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Any = 0
) -> Any:
    """``w`` with every norm along ``axis`` moved by ``rate`` (1: all the way) into [min_value, max_value].

    >>> np.round(nnx.constraints.MinMaxNorm(1.0, 2.0)(np.asarray([[0.3], [0.4]])), 6)
    array([[0.6],
           [0.8]])
    """
    xp = namespace(w)
    norm = _norm(w, axis)
    wanted = rate * xp.minimum(xp.maximum(norm, min_value), max_value) + (1.0 - rate) * norm
    return w * (wanted / (norm + _EPSILON))


def _norm(w: Any, axis: Any) -> Any:
    xp = namespace(w)
    axis = tuple(axis) if isinstance(axis, list) else axis
    return xp.sqrt(xp.sum(w * w, axis=axis, keepdims=True))


def get(spec: Any) -> Any:
    """The constraint that a name, a class name, a function or a configuration stands for."""
    return registry.get(spec)


def __getattr__(name: str) -> Any:
    return registry.factory(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *registry.class_names()})
