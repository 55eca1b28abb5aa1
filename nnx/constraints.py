"""Room 2: constraints on weights, applied after every step: pure functions from weights to weights."""

from __future__ import annotations

from typing import Any

from nnx.backend import namespace
from nnx.options import Number, Numbers, Options, Ordered
from nnx.registry import Registry, Traits

Array = Any
Axis = int | tuple[int, ...]


class Constraint(Options):
    """Base class of constraints of your own, as in Keras: ``__call__(w)`` returns allowed weights.

    Any function or object that can be called will do. ``@nnx.constraints.registry.register()`` above a
    class makes models with it savable.

    >>> class Rounded(nnx.constraints.Constraint):
    ...     def __call__(self, w):
    ...         return np.round(w)
    >>> nnx.constraints.get(Rounded)(np.asarray([0.2, 0.9]))
    array([0., 1.])
    """

    def __call__(self, w: Array) -> Array:
        raise NotImplementedError(f"{type(self).__name__} must define __call__(self, w).")


#: Declared with each: ``formula`` (LaTeX) and ``use``, in one line.
registry = Registry("constraint", Traits, makers=True)

_AXIS = {"axis": Numbers("an axis or several, whole numbers")}
_LENGTH = Number(least=0.0)

_EPSILON = 1e-7  # Keras' epsilon(), in the denominator


def _scaled(w: Array, axis: Axis, length: Any) -> Array:
    """``w`` with its vectors along ``axis`` given the lengths ``length(xp, norms)``."""
    xp = namespace(w)
    norms = xp.sqrt(xp.sum(w * w, axis=axis, keepdims=True))
    return w * (length(xp, norms) / (norms + _EPSILON))


@registry.register(
    checks={"max_value": Number(least=0.0, finite=False), **_AXIS},
    formula=r"w \, \min(1, m / \lVert w \rVert)",
    use="With dropout: large weights are cut down.",
)
def max_norm(w: Array, *, max_value: float = 2, axis: Axis = 0) -> Array:
    """``w`` with the vectors along ``axis`` (0: the weights into one neuron) no longer than ``max_value``.

    Shapes: (inputs, ...) → (inputs, ...).
    Source: N. Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15
    (2014), section 5.1.

    >>> nnx.to_numpy(nnx.constraints.MaxNorm(5.0)(np.asarray([[6.0, 1.0], [8.0, 1.0]]))).round(6)
    array([[3., 1.],
           [4., 1.]])
    """
    return _scaled(w, axis, lambda xp, norms: xp.minimum(norms, float(max_value)))


@registry.register(formula=r"\max(w, 0)", use="Weights that are amounts.")
def non_neg(w: Array) -> Array:
    """``w`` with 0 in place of negative entries.

    Shapes: (...) → (...). Source: Keras' ``constraints.non_neg``.

    >>> nnx.constraints.NonNeg()(np.asarray([-1.0, 2.0]))
    array([0., 2.])
    """
    return namespace(w).maximum(w, 0.0)


@registry.register(
    checks=_AXIS, formula=r"w / \lVert w \rVert", use="Directions: all neurons weigh the same."
)
def unit_norm(w: Array, *, axis: Axis = 0) -> Array:
    """``w`` with the vectors along ``axis`` of length 1 (a zero vector stays zero).

    Shapes: (inputs, ...) → (inputs, ...). Source: Keras' ``constraints.unit_norm``.

    >>> nnx.to_numpy(nnx.constraints.UnitNorm()(np.asarray([[3.0, 0.0], [4.0, 0.0]]))).round(6)
    array([[0.6, 0. ],
           [0.8, 0. ]])
    """
    return _scaled(w, axis, lambda xp, norms: xp.ones_like(norms))


@registry.register(
    checks={"min_value": _LENGTH, "max_value": _LENGTH, "rate": Number(least=0.0, most=1.0), **_AXIS},
    agree=Ordered("min_value", "max_value"),
    formula=r"w \, (r \operatorname{clip}(\lVert w \rVert, m, M) / \lVert w \rVert + 1 - r)",
    use="Lengths kept between two bounds, strictly (r = 1) or little by little.",
)
def min_max_norm(
    w: Array, *, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Axis = 0
) -> Array:
    """``w`` with the lengths along ``axis`` moved into [min_value, max_value], the share ``rate`` of the way.

    Raises :class:`nnx.errors.OptionError` for ``min_value`` > ``max_value``.
    Shapes: (inputs, ...) → (inputs, ...). Source: Keras' ``constraints.min_max_norm``.

    >>> nnx.to_numpy(nnx.constraints.MinMaxNorm(1.0, 2.0)(np.asarray([[3.0, 0.5], [4.0, 0.0]]))).round(6)
    array([[1.2, 1. ],
           [1.6, 0. ]])
    """

    def length(xp: Any, norms: Array) -> Array:
        inside = xp.minimum(xp.maximum(norms, float(min_value)), float(max_value))
        return rate * inside + (1.0 - rate) * norms

    return _scaled(w, axis, length)


get = registry.get
__getattr__ = registry.attribute


def __dir__() -> list[str]:
    return sorted({*globals(), *registry.attributes()})
