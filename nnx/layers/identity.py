"""Layers that change nothing: Identity, and ActivityRegularization with its penalty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from nnx import regularizers
from nnx.layers.base import Layer, registry
from nnx.options import number


@registry.register()
@dataclass(frozen=True)
class Identity(Layer):
    """Its input as it is, as a place for a layer that may come later.

    Shapes: (n, ...) → (n, ...). Source: Keras' ``layers.Identity``.

    >>> nnx.layers.Identity()(np.asarray([[1.0, 2.0]]))
    array([[1., 2.]])
    """

    supports_masking: ClassVar[bool] = True

    def forward(self, p: Mapping[str, Any], x: Any) -> Any:
        return x


@registry.register()
@dataclass(frozen=True)
class ActivityRegularization(Identity):
    """Its input as it is; adds ``l1``·Σ|x| + ``l2``·Σx², a mean over the samples, to the loss.

    ``l1`` and ``l2`` are ≥ 0.

    Shapes: (n, ...) → (n, ...). Source: Keras' ``layers.ActivityRegularization``.

    >>> model = nnx.Sequential([nnx.Input((2,)), nnx.layers.ActivityRegularization(l1=0.5)])
    >>> model.compile("sgd", "mse")
    >>> model.evaluate(np.ones((4, 2)), np.ones((4, 2)), verbose=0)
    1.0
    """

    l1: float = number(0.0, least=0.0)
    l2: float = number(0.0, least=0.0)
    activity_regularizer: Any = field(init=False, default=None)

    def __post_init__(self) -> None:
        super().__post_init__()
        penalty = regularizers.registry.entry("l1_l2").create(l1=self.l1, l2=self.l2)
        self._set("activity_regularizer", penalty)
