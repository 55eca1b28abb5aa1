"""Penalties on weights that are added to the cost. Names and defaults are those of Keras."""

from __future__ import annotations

from typing import Any

from nnx.backend import namespace
from nnx.registry import Registry

registry = Registry("regularizer")
register = registry.register


@registry.register(class_name="L1", formula=r"\lambda \sum |w_i|")
def l1(w: Any, *, l1: float = 0.01) -> Any:
    """l1·Σ|w|, a 0-d array: drives weights to exactly 0. The derivative at 0 is taken as 0.

    >>> float(nnx.regularizers.L1(0.5)(np.asarray([1.0, -3.0])))
    2.0
    """
    xp = namespace(w)
    return l1 * xp.sum(xp.abs(w))


@registry.register(class_name="L2", formula=r"\lambda \sum w_i^2")
def l2(w: Any, *, l2: float = 0.01) -> Any:
    """l2·Σw², a 0-d array: keeps weights small (ridge, weight decay of plain gradient descent).

    >>> float(nnx.regularizers.L2(0.5)(np.asarray([1.0, -3.0])))
    5.0
    """
    return l2 * namespace(w).sum(w * w)


@registry.register("l1l2", class_name="L1L2", formula=r"\lambda_1 \sum |w_i| + \lambda_2 \sum w_i^2")
def l1_l2(w: Any, *, l1: float = 0.0, l2: float = 0.0) -> Any:
    """l1·Σ|w| + l2·Σw², a 0-d array: the elastic net.

    >>> float(nnx.regularizers.L1L2(l1=1.0, l2=0.5)(np.asarray([1.0, -3.0])))
    9.0
    """
    xp = namespace(w)
    return l1 * xp.sum(xp.abs(w)) + l2 * xp.sum(w * w)


def get(spec: Any) -> Any:
    """The regularizer that a name, a class name, a function or a configuration stands for."""
    return registry.get(spec)


def __getattr__(name: str) -> Any:
    return registry.factory(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *registry.class_names()})
