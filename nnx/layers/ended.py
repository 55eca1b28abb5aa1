"""A product, the normalization and the rectifier behind it are one: a product with an ending."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import NoneType
from typing import Any

from nnx import activations
from nnx.autodiff.array import is_traced
from nnx.backend.ending import Ending
from nnx.layers.activation import Activation
from nnx.layers.base import Layer
from nnx.layers.dropout import ReluDropout
from nnx.layers.merging import Add
from nnx.layers.normalization import BatchNormalization
from nnx.layers.product import Product
from nnx.layers.spec import Context


@dataclass(frozen=True)
class Ended(Layer):
    """The ``product`` with its bias, normalized by running moments, then cut off: between 0 and ``most``.

    With running moments a normalization is y·factor + offset, feature by feature, and so is a bias; both and
    the rectifier are computed while the outputs are in the cache. Where it ``adds`` it has a second input, as
    at the end of a residual block, which is added before the cut. Its weights are those of both layers.
    Arrays of a transform go through one after the other, where each has its derivatives.
    """

    product: Product
    normalization: BatchNormalization | None = None
    most: float | None = None
    adds: bool = False

    @property
    def spreads(self) -> bool:  # type: ignore[override]
        return self.product.spreads

    def forward(self, p: Mapping[str, Any], x: Any, *plus: Any) -> Any:
        traced = any(map(is_traced, (x, *plus, *p.values())))
        if traced or any(other.ndim != x.ndim for other in plus):
            return self._one_by_one(p, x, *plus)
        return self.product.ended(p, x, self._ending(p, *plus))

    def _ending(self, p: Mapping[str, Any], plus: Any = None) -> Ending:
        bias = p.get("bias") if "bias" in self.product.takes else None
        if self.normalization is None:
            return Ending(None, bias, self.most, plus)
        return Ending(*self.normalization.as_product(p, bias), self.most, plus)

    def _one_by_one(self, p: Mapping[str, Any], x: Any, *plus: Any) -> Any:
        y = self.product.forward(p, x)
        if self.normalization is not None:
            y, _ = self.normalization.forward(p, y, Context())
        if plus:
            y = Add().forward({}, y, *plus)
        bound = {} if self.most is None or self.most == math.inf else {"max_value": self.most}
        return y if self.most is None else activations.relu(y, **bound)


def ended(part: Layer, then: Layer, rank: int, reads: int) -> Ended | None:
    """What ``part`` and the part ``then``, which reads it, are together in prediction; None: not one.

    ``rank`` counts the axes of a batch that ``then`` gives, and ``reads`` what it reads.
    """
    one = Ended(part) if isinstance(part, Product) else part
    if not isinstance(one, Ended) or one.most is not None:
        return None
    if type(then) is BatchNormalization:
        fits = one.normalization is None and not one.adds and then.axis in (-1, rank - 1)
        return replace(one, normalization=then) if fits else None
    if type(then) is Add:
        return None if one.adds or reads > 2 else replace(one, adds=True)
    most = _most(then)
    return None if most is None else replace(one, most=most)


def _most(part: Layer) -> float | None:
    """Where a rectifier cuts off, infinite where it does not; None for any other part."""
    if type(part) is ReluDropout:
        return math.inf
    choice: Any = part.activation if type(part) is Activation else None
    if choice is None or choice.function not in (activations.relu, activations.relu6):
        return None
    if choice.function is activations.relu6:
        return 6.0
    slope, bound, threshold = map(choice.options.get, ("negative_slope", "max_value", "threshold"))
    if slope or threshold or not isinstance(bound, int | float | NoneType):
        return None
    return math.inf if bound is None else float(bound)
