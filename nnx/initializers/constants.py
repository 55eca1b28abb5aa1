"""Initial weights without chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnx.errors import ShapeError
from nnx.initializers.base import FINITE, host, in_blocks, registry

Array = Any
Shape = Sequence[int]


@registry.register("zero", in_blocks=True, formula="0", use="Biases.")
def zeros(shape: Shape, random: Any = None, out: Array = None) -> Array:
    """An array of zeros.

    Shapes: any. Source: Keras' ``initializers.zeros``.

    >>> nnx.initializers.zeros((2,))
    array([0., 0.])
    """
    return constant(shape, random, out, value=0.0)


@registry.register("one", in_blocks=True, formula="1", use="Scales.")
def ones(shape: Shape, random: Any = None, out: Array = None) -> Array:
    """An array of ones.

    Shapes: any. Source: Keras' ``initializers.ones``.

    >>> nnx.initializers.ones((2,))
    array([1., 1.])
    """
    return constant(shape, random, out, value=1.0)


@registry.register(
    checks={"value": FINITE},
    in_blocks=True,
    formula="c",
    use="Weights that are known. All weights of a layer equal: they stay equal.",
)
def constant(shape: Shape, random: Any = None, out: Array = None, *, value: float = 0.0) -> Array:
    """An array filled with ``value``.

    Raises :class:`nnx.errors.OptionError` for a ``value`` that is no finite number.
    Shapes: any. Source: Keras' ``initializers.constant``.

    >>> nnx.initializers.Constant(0.5)((2,))
    array([0.5, 0.5])
    """
    return in_blocks(lambda n: value, shape, out)


@registry.register(
    "IdentityInitializer", checks={"gain": FINITE}, formula=r"g \, \delta_{ij}", use="Recurrent weights."
)
def identity(shape: Shape, random: Any = None, *, gain: float = 1.0) -> Array:
    """The identity matrix times ``gain``; raises :class:`nnx.errors.ShapeError` for other than two axes.

    Shapes: (n, m). Source: Keras' ``initializers.identity``.

    >>> nnx.initializers.identity((2, 2))
    array([[1., 0.],
           [0., 1.]])
    """
    if len(shape) != 2:
        raise ShapeError(f"identity makes matrices, asked for shape {tuple(shape)}.")
    xp = host()
    return gain * xp.eye(*shape, dtype=xp.float64)
