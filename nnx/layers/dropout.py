"""Layers that are noise in training and nothing else: Dropout and GaussianNoise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nnx import activations
from nnx.autodiff.array import raw
from nnx.backend import adapter_of, device_of
from nnx.backend.philox import DROPOUT, NOISE
from nnx.layers.activation import Activation
from nnx.layers.base import Layer, registry
from nnx.layers.fusion import fusion
from nnx.layers.spec import Context
from nnx.options import Seed, fraction, number, option


@registry.register()
@dataclass(frozen=True)
class Dropout(Layer):
    """In training, each input is 0 with probability ``rate``, else divided by 1 − rate; else unchanged.

    The mask is a function of the seed (the layer's ``seed``, or the model's), the layer and the step (to 2⁻¹⁶
    in the probability), so the same on every array library.
    Source: N. Srivastava et al., JMLR 15 (2014) 1929–1958, section 4; the division at training time
    ("inverted dropout") keeps the expected value.

    Shapes: (n, ...) → (n, ...).

    >>> x = np.ones((2, 3), dtype="float32")
    >>> float(np.max(nnx.layers.Dropout(0.5).forward({}, x, nnx.layers.Context(training=False))))
    1.0
    """

    supports_masking: ClassVar[bool] = True
    random: ClassVar[bool] = True
    rate: float = fraction()
    seed: int | None = option(Seed(), None, kw_only=True)

    def forward(self, p: Mapping[str, Any], x: Any, context: Context) -> Any:
        if not context.training or self.rate == 0.0:
            return x
        stream = context.stream(DROPOUT, self.seed)
        return x * adapter_of(x).keep_mask(stream, self.rate, x.shape, x.dtype, device_of(x))


@dataclass(frozen=True)
class ReluDropout(Layer):
    """Dropout of relu(x), by one mask for both: fewer passes over the entries."""

    random: ClassVar[bool] = True
    dropout: Dropout

    def forward(self, p: Mapping[str, Any], x: Any, context: Context) -> Any:
        rate = self.dropout.rate
        if not context.training:
            return activations.relu(x)
        stream = context.stream(DROPOUT, self.dropout.seed)
        adapter, plain = adapter_of(x), raw(x)
        return x * adapter.unless_nan(plain, adapter.positive_keep_mask(stream, rate, plain))


@fusion
def relu_dropout(first: Layer, then: Layer) -> Layer | None:
    """What the relu ``first`` and the dropout ``then`` are together; None for any other pair."""
    if not (type(first) is Activation and type(then) is Dropout and then.rate > 0.0):
        return None
    choice: Any = first.activation
    plain = choice is not None and choice.function is activations.relu and not choice.options
    return ReluDropout(then) if plain else None


@registry.register()
@dataclass(frozen=True)
class GaussianNoise(Layer):
    """In training, adds normal noise of standard deviation ``stddev``; else nothing.

    The noise follows from the layer's ``seed``, or the model's, as the mask of :class:`Dropout` does.
    Shapes: (n, ...) → (n, ...).
    Source: C. M. Bishop, "Training with noise is equivalent to Tikhonov regularization", Neural Computation 7
    (1995) 108–116.

    >>> nnx.layers.GaussianNoise(0.1).stddev
    0.1
    """

    supports_masking: ClassVar[bool] = True
    random: ClassVar[bool] = True
    stddev: float = number(least=0.0)
    seed: int | None = option(Seed(), None)

    def forward(self, p: Mapping[str, Any], x: Any, context: Context) -> Any:
        if not context.training or self.stddev == 0.0:
            return x
        noise = adapter_of(x).normal(context.stream(NOISE, self.seed), x.shape, x.dtype, device_of(x))
        return x + noise * self.stddev
