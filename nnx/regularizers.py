"""Room 2: penalties on weights, added to the cost: pure functions of an array that return one number."""

from __future__ import annotations

from typing import Any

from nnx.autodiff import fused
from nnx.backend import device_of, namespace
from nnx.errors import ShapeError
from nnx.options import Number, OneOf, Options
from nnx.registry import Registry, Traits

Array = Any


class Regularizer(Options):
    """Base class of penalties of your own, as in Keras: ``__call__(w)`` returns a 0-d array.

    Any function or object that can be called will do. ``@nnx.regularizers.registry.register()`` above a
    class makes models with it savable.

    >>> @nnx.regularizers.registry.register()
    ... class Cubic(nnx.regularizers.Regularizer):
    ...     def __init__(self, factor):
    ...         self.factor = factor
    ...     def __call__(self, w):
    ...         return self.factor * abs(w**3).sum()
    >>> nnx.regularizers.get(Cubic(0.5))(np.asarray([1.0, -2.0]))
    np.float64(4.5)
    """

    def __call__(self, w: Array) -> Array:
        raise NotImplementedError(f"{type(self).__name__} must define __call__(self, w).")


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

    Shapes: (...) → (). Source: Keras' ``regularizers.l1``.

    >>> round(float(nnx.regularizers.L1(0.1)(np.asarray([1.0, -2.0]))), 12)
    0.3
    """
    return l1 * _sum_of_absolutes(w)


@registry.register(
    checks={"l2": _FACTOR}, formula=r"\lambda \sum_i w_i^2", use="Small weights: weight decay."
)
def l2(w: Array, *, l2: float = 0.01) -> Array:
    """l2·Σ w², a 0-d array; without the factor ½ of some books, so its gradient is 2·l2·w.

    Shapes: (...) → (). Source: Keras' ``regularizers.l2``.

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

    Shapes: (...) → (). Source: Keras' ``regularizers.l1_l2``.

    >>> float(nnx.regularizers.L1L2(l1=0.5, l2=0.25)(np.asarray([1.0, -2.0])))
    2.75
    """
    return l1 * _sum_of_absolutes(w) + l2 * _sum_of_squares(w)


@registry.register(
    checks={"factor": _FACTOR, "mode": OneOf(("rows", "columns"))},
    formula=r"\frac{\lambda}{m(m-1)} \sum_{i \ne j} |\cos(w_i, w_j)|",
    use="Rows (or columns) of a matrix that shall point in different directions.",
)
def orthogonal_regularizer(w: Array, *, factor: float = 0.01, mode: str = "rows") -> Array:
    """Factor times the mean of abs(cos) over all pairs of rows (or columns, by ``mode``) of the matrix ``w``.

    A vector shorter than 1e−6 counts as divided by 1e−6. Raises :class:`nnx.errors.ShapeError` for other than
    two axes; one row alone has no pairs: 0 (where Keras gives NaN).

    Shapes: (rows, columns) → (). Source: Keras' ``regularizers.orthogonal_regularizer``.

    >>> round(float(nnx.regularizers.OrthogonalRegularizer(1.0)(np.asarray([[1.0, 1.0], [1.0, 0.0]]))), 6)
    0.707107
    """
    xp = namespace(w)
    if w.ndim != 2:
        raise ShapeError(f"orthogonal_regularizer needs a matrix, got weights of shape {tuple(w.shape)}.")
    rows = w if mode == "rows" else xp.matrix_transpose(w)
    m = rows.shape[0]
    rows = rows / xp.sqrt(xp.maximum(xp.sum(rows * rows, axis=1, keepdims=True), 1e-12))
    others = 1.0 - xp.eye(m, dtype=w.dtype, device=device_of(w))
    return (factor / max(m * (m - 1), 1)) * _sum_of_absolutes((rows @ xp.matrix_transpose(rows)) * others)


get = registry.get
__getattr__ = registry.attribute


def __dir__() -> list[str]:
    return sorted({*globals(), *registry.attributes()})
