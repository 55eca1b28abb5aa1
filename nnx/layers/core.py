"""Layers that have few or no weights: shapes, activations, noise."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from nnx import activations, constraints, initializers, regularizers
from nnx.autodiff.array import raw
from nnx.backend import adapter_of, device_of, namespace
from nnx.backend.philox import DROPOUT, NOISE
from nnx.errors import OptionError, ShapeError
from nnx.layers.base import (
    Context,
    Layer,
    Shape,
    Spec,
    Weight,
    fraction,
    own_seed,
    registry,
    shape_of_sample,
    whole_numbers,
)
from nnx.layers.dense import normalise
from nnx.options import Number


@registry.register()
@dataclass(frozen=True)
class Input(Layer):
    """The shape of one sample, as the first thing of a model.

    >>> nnx.Sequential([nnx.layers.Input((4,)), nnx.layers.Dense(3)]).output_shape
    (None, 3)
    """

    shape: Shape

    def __post_init__(self) -> None:
        self._set("shape", shape_of_sample(self.shape, "shape of Input"))
        self._set("input_shape", self.shape)

    def forward(self, p: Mapping[str, Any], x: Any) -> Any:
        return x


@registry.register()
@dataclass(frozen=True)
class Activation(Layer):
    """An activation function as a layer of its own.

    >>> nnx.layers.Activation("relu").activation.name
    'relu'
    """

    activation: Any

    def __post_init__(self) -> None:
        super().__post_init__()
        normalise(self, activation=activations)

    def preactivation(self, p: Mapping[str, Any], x: Any) -> Any:
        """The input: what comes before the activation."""
        return x

    def spec(self, input_shape: Shape) -> Spec:
        shape = self.activation.traits.shape if self.activation is not None else None
        return Spec(shape(input_shape) if shape else input_shape)

    def forward(self, p: Mapping[str, Any], x: Any) -> Any:
        return x if self.activation is None else self.activation(x)


@registry.register()
@dataclass(frozen=True)
class Dropout(Layer):
    """In training, each input is 0 with probability ``rate``, else divided by 1 − rate; else unchanged.

    The mask is a function of the seed (the layer's ``seed``, or the model's), the layer and the step (to
    2⁻¹⁶ in the probability), so the same on every array library. Source: N. Srivastava et al., JMLR 15
    (2014) 1929–1958, section 4; the division at training time ("inverted dropout") keeps the expected value.

    >>> x = np.ones((2, 3), dtype="float32")
    >>> float(np.max(nnx.layers.Dropout(0.5).forward({}, x, nnx.layers.Context(training=False))))
    1.0
    """

    random: ClassVar[bool] = True
    rate: float
    seed: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("rate", fraction(self.rate, "rate of Dropout"))
        self._set("seed", own_seed(self.seed, "seed of Dropout"))

    def forward(self, p: Mapping[str, Any], x: Any, context: Context) -> Any:  # type: ignore[override]
        if not context.training or self.rate == 0.0:
            return x
        stream = context.stream(DROPOUT, self.seed)
        return x * adapter_of(x).keep_mask(stream, self.rate, x.shape, x.dtype, device_of(x))

    def rectified(self, z: Any, context: Context) -> Any:
        """``forward`` of relu(z) in training, by one mask for both: fewer passes over the numbers."""
        return z * adapter_of(z).positive_keep_mask(context.stream(DROPOUT, self.seed), self.rate, raw(z))


@registry.register()
@dataclass(frozen=True)
class GaussianNoise(Layer):
    """In training, adds normal noise of standard deviation ``stddev``; else nothing.

    The noise follows from the layer's ``seed``, or the model's, as the mask of :class:`Dropout` does.
    Source: C. M. Bishop, "Training with noise is equivalent to Tikhonov regularization", Neural Computation 7
    (1995) 108–116.

    >>> nnx.layers.GaussianNoise(0.1).stddev
    0.1
    """

    random: ClassVar[bool] = True
    stddev: float
    seed: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("stddev", Number(least=0.0)("GaussianNoise", "stddev", self.stddev))
        self._set("seed", own_seed(self.seed, "seed of GaussianNoise"))

    def forward(self, p: Mapping[str, Any], x: Any, context: Context) -> Any:  # type: ignore[override]
        if not context.training or self.stddev == 0.0:
            return x
        noise = adapter_of(x).normal(context.stream(NOISE, self.seed), x.shape, x.dtype, device_of(x))
        return x + noise * self.stddev


@registry.register()
@dataclass(frozen=True)
class Flatten(Layer):
    """Each sample as one vector.

    >>> nnx.layers.Flatten().spec((2, 3)).output_shape
    (6,)
    """

    def spec(self, input_shape: Shape) -> Spec:
        return Spec((math.prod(input_shape),))

    def forward(self, p: Mapping[str, Any], x: Any) -> Any:
        return namespace(x).reshape(x, (x.shape[0], math.prod(x.shape[1:])))


@registry.register()
@dataclass(frozen=True)
class Reshape(Layer):
    """Each sample in the shape ``target_shape``; one of its numbers may be −1, which is then computed.

    >>> nnx.layers.Reshape((2, -1)).spec((6,)).output_shape
    (2, 3)
    """

    target_shape: Shape

    def __post_init__(self) -> None:
        super().__post_init__()
        what = "positive integers and at most one -1"
        shape = whole_numbers(self.target_shape, "target_shape of Reshape", what, lambda n: n > 0 or n == -1)
        if shape.count(-1) > 1:
            raise OptionError(f"target_shape of Reshape must be {what}, got {self.target_shape!r}.")
        self._set("target_shape", shape)

    def spec(self, input_shape: Shape) -> Spec:
        total, known = math.prod(input_shape), math.prod(n for n in self.target_shape if n != -1)
        if total % known if -1 in self.target_shape else total != known:
            raise ShapeError(f"Reshape cannot make {self.target_shape} of samples of shape {input_shape}.")
        return Spec(tuple(total // known if n == -1 else n for n in self.target_shape))

    def forward(self, p: Mapping[str, Any], x: Any) -> Any:
        return namespace(x).reshape(x, (x.shape[0], *self.spec(x.shape[1:]).output_shape))


@registry.register()
@dataclass(frozen=True)
class Permute(Layer):
    """Each sample with its axes in the order ``dims``, which counts from 1 as in Keras.

    >>> nnx.layers.Permute((2, 1)).spec((3, 5)).output_shape
    (5, 3)
    """

    dims: Shape

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set(
            "dims", whole_numbers(self.dims, "dims of Permute", "a permutation of 1, 2, ..., as (2, 1)")
        )
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise OptionError(f"dims must be a permutation of 1 … {len(self.dims)}, got {self.dims}.")

    def spec(self, input_shape: Shape) -> Spec:
        if len(input_shape) != len(self.dims):
            raise ShapeError(
                f"Permute{self.dims} needs samples of {len(self.dims)} axes, got shape {input_shape}."
            )
        return Spec(tuple(input_shape[d - 1] for d in self.dims))

    def forward(self, p: Mapping[str, Any], x: Any) -> Any:
        return namespace(x).permute_dims(x, (0, *self.dims))


@registry.register()
@dataclass(frozen=True)
class PReLU(Layer):
    """max(0, x) + α·min(0, x) with a learned α for each input (one for all along ``shared_axes``, from 1).

    Source: K. He et al., "Delving deep into rectifiers", ICCV 2015, section 2.1.

    >>> nnx.Sequential([nnx.layers.PReLU(input_shape=(7,))]).count_params()
    7
    """

    alpha_initializer: Any = "zeros"
    alpha_regularizer: Any = None
    alpha_constraint: Any = None
    shared_axes: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        normalise(self, alpha_initializer=initializers, alpha_regularizer=regularizers)
        normalise(self, alpha_constraint=constraints)
        if self.shared_axes is not None:
            axes = whole_numbers(
                self.shared_axes, "shared_axes of PReLU", "axes, counted from 1", lambda n: n > 0
            )
            self._set("shared_axes", axes)

    def spec(self, input_shape: Shape) -> Spec:
        shared = self.shared_axes or ()
        if max(shared, default=0) > len(input_shape):
            raise ShapeError(f"PReLU cannot share axes {shared} of samples of shape {input_shape}.")
        shape = tuple(1 if i + 1 in shared else n for i, n in enumerate(input_shape))
        alpha = Weight("alpha", shape, self.alpha_initializer, self.alpha_regularizer, self.alpha_constraint)
        return Spec(input_shape, (alpha,))

    def forward(self, p: Mapping[str, Any], x: Any) -> Any:
        return namespace(x, p["alpha"]).where(x > 0, x, p["alpha"] * x)


@registry.register()
@dataclass(frozen=True)
class Rescaling(Layer):
    """``x · scale + offset``, for example ``Rescaling(1 / 255)`` for pixels.

    >>> nnx.layers.Rescaling(0.5, offset=1.0).forward({}, np.asarray([[2.0]]))
    array([[2.]])
    """

    scale: float
    offset: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("scale", Number()("Rescaling", "scale", self.scale))
        self._set("offset", Number()("Rescaling", "offset", self.offset))

    def forward(self, p: Mapping[str, Any], x: Any) -> Any:
        return x * self.scale + self.offset
