"""Layers that are noise in training and nothing else: Dropout and GaussianNoise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from nnx import activations
from nnx.autodiff.array import raw
from nnx.backend import adapter_of, device_of
from nnx.backend.philox import DROPOUT, NOISE
from nnx.errors import OptionError, ShapeError
from nnx.layers.activation import Activation
from nnx.layers.base import Layer, registry
from nnx.layers.fusion import fusion
from nnx.layers.spec import Context
from nnx.layers.symbols import Shape
from nnx.options import Number, Seed, fraction, number, option


@dataclass(frozen=True)
class NoiseShape:
    """The check of ``noise_shape``: the shape of a mask, None where an axis is as long as the input's."""

    def __call__(self, where: str, name: str, value: Any) -> tuple[int | None, ...] | None:
        if value is None:
            return None
        lengths = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else ()
        if not lengths or not all(n is None or _LENGTH.allows(n) for n in lengths):
            raise OptionError(f"{where}: {name} must be {self}, got {value!r}.")
        return tuple(n if n is None else int(n) for n in lengths)

    def __str__(self) -> str:
        return "a tuple of whole numbers >= 1 or None, one for each axis of a batch, or None"


_LENGTH = Number(least=1, whole=True)


def noise_shape_for(where: str, noise_shape: tuple[int | None, ...] | None, shape: Shape) -> Shape:
    """The shape of the mask for a batch of ``shape``; ShapeError where it does not fit."""
    if noise_shape is None:
        return shape
    fits = len(noise_shape) == len(shape)
    if not fits or any(m not in (None, 1, n) for m, n in zip(noise_shape, shape, strict=True)):
        raise ShapeError(
            f"{where}: noise_shape={noise_shape} does not fit a batch of shape {shape}. Each length must be "
            "that of the axis, None (which means the same), or 1 (one number for the whole axis)."
        )
    return tuple(n if m is None else m for m, n in zip(noise_shape, shape, strict=True))


def mask_of(x: Any, shape: Shape, rate: float, context: Context, seed: int | None) -> Any:
    """The mask of this step: of ``shape``, 0 with probability ``rate``, else 1/(1 − rate)."""
    stream = context.stream(DROPOUT, seed)
    return adapter_of(x).keep_mask(stream, rate, shape, x.dtype, device_of(x))


@registry.register()
@dataclass(frozen=True)
class Dropout(Layer):
    """In training, each input is 0 with probability ``rate``, else divided by 1 − rate; else unchanged.

    The mask is a function of the seed (the layer's ``seed``, or the model's), the layer and the step (to 2⁻¹⁶
    in the probability), so the same on every array library. It has the shape ``noise_shape`` (with the axis
    of the samples; None in it is the input's length), and where that is 1 the inputs along an axis fall
    together.
    Raises :class:`nnx.errors.ShapeError` where ``noise_shape`` does not fit the batch.
    Source: N. Srivastava et al., JMLR 15 (2014) 1929–1958, section 4; the division at training time
    ("inverted dropout") keeps the expected value. ``noise_shape``: Keras' ``layers.Dropout``.

    Shapes: (n, ...) → (n, ...).

    >>> x = np.ones((2, 3), dtype="float32")
    >>> float(np.max(nnx.layers.Dropout(0.5).forward({}, x, nnx.layers.Context(training=False))))
    1.0
    >>> y = nnx.layers.Dropout(0.5, noise_shape=(None, 1), seed=1)(x, training=True)
    >>> [set(row) for row in y.tolist()]
    [{0.0}, {2.0}]
    """

    supports_masking: ClassVar[bool] = True
    random: ClassVar[bool] = True
    rate: float = fraction()
    noise_shape: tuple[int | None, ...] | None = option(NoiseShape(), None)
    seed: int | None = option(Seed(), None)

    def forward(self, p: Mapping[str, Any], x: Any, context: Context) -> Any:
        if not context.training or self.rate == 0.0:
            return x
        shape = noise_shape_for(self.label, self.noise_shape, x.shape)
        return x * mask_of(x, shape, self.rate, context, self.seed)


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
        return x * adapter_of(x).positive_keep_mask(stream, rate, raw(x))


@fusion
def relu_dropout(first: Layer, then: Layer) -> Layer | None:
    """What the relu ``first`` and the dropout ``then`` are together; None for any other pair."""
    if not (
        type(first) is Activation and type(then) is Dropout and then.rate > 0.0 and then.noise_shape is None
    ):
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
