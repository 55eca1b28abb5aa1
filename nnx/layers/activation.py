"""Activation functions as layers, and as the last part of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from nnx import activations, constraints, initializers, regularizers
from nnx.activations.base import ones_where
from nnx.backend import namespace
from nnx.errors import ShapeError
from nnx.layers.base import Layer, chosen, registry
from nnx.layers.per_sample import Pullback, elementwise_back
from nnx.layers.spec import Context, Spec, Weight
from nnx.layers.symbols import Shape
from nnx.options import Numbers, number, option


def activated(activation: Any, shape: Shape) -> Shape:
    """The shape that an activation function makes of a sample's."""
    change = activation.traits.shape if activation is not None else None
    return change(shape) if change else shape


def activation_parts(activation: Any) -> tuple[Layer, ...]:
    """The part of a layer that applies its activation function: none where there is nothing to do."""
    if activation is None or activation.function is activations.linear:
        return ()
    return (Activation(activation),)


@registry.register()
@dataclass(frozen=True)
class Activation(Layer):
    """An activation function as a layer of its own.

    Shapes: (n, ...) → (n, ...). Source: Keras' ``layers.Activation``.

    >>> nnx.layers.Activation("relu").activation.name
    'relu'
    """

    supports_masking: ClassVar[bool] = True

    activation: Any = chosen(activations.registry)

    def spec(self, input_shape: Shape) -> Spec:  # type: ignore[override]
        return Spec(activated(self.activation, input_shape))

    def forward(self, p: Mapping[str, Any], x: Any) -> Any:
        return x if self.activation is None else self.activation(x)

    def per_sample(
        self, p: Mapping[str, Any], names: Sequence[str], xs: Sequence[Any], context: Context, **said: Any
    ) -> tuple[Any, Pullback]:
        return elementwise_back(self.activation or activations.get("linear"), xs[0])


class _Named(Layer):
    """Base of the layers that are one activation function with its options."""

    supports_masking: ClassVar[bool] = True

    def choice(self) -> Any:
        """The activation function with the layer's options."""
        raise NotImplementedError

    def spec(self, input_shape: Shape) -> Spec:  # type: ignore[override]
        return Spec(activated(self.choice(), input_shape))

    def parts(self) -> tuple[Layer, ...]:
        return (Activation(self.choice()),)


@registry.register()
@dataclass(frozen=True)
class ReLU(_Named):
    """max(0, x), cut off at ``max_value``, with ``negative_slope`` below ``threshold``.

    Shapes: (n, ...) → (n, ...). Source: Keras' ``layers.ReLU``.

    >>> nnx.layers.ReLU(max_value=6.0)(np.asarray([[-1.0, 8.0]]))
    array([[0., 6.]])
    """

    max_value: float | None = number(None, least=0.0, optional=True)
    negative_slope: float = number(0.0, least=0.0)
    threshold: float = number(0.0, least=0.0)

    def choice(self) -> Any:
        usual = {"max_value": None, "negative_slope": 0.0, "threshold": 0.0}
        own = {name: value for name in usual if (value := getattr(self, name)) != usual[name]}
        # without options it is the plain function, which networks know how to fuse
        return activations.registry.entry("relu").create(**own)


@registry.register()
@dataclass(frozen=True)
class LeakyReLU(_Named):
    """max(0, x) + ``negative_slope``·min(0, x).

    Shapes: (n, ...) → (n, ...).
    Source: A. Maas, A. Hannun, A. Ng, "Rectifier nonlinearities improve neural network acoustic models", ICML
    2013, section 2.

    >>> nnx.layers.LeakyReLU(0.5)(np.asarray([[-1.0, 8.0]]))
    array([[-0.5,  8. ]])
    """

    negative_slope: float = number(0.3, least=0.0)

    def choice(self) -> Any:
        return activations.registry.entry("leaky_relu").create(negative_slope=self.negative_slope)


@registry.register()
@dataclass(frozen=True)
class ELU(_Named):
    """x where x > 0, else ``alpha``·(eˣ − 1).

    Shapes: (n, ...) → (n, ...).
    Source: D.-A. Clevert, T. Unterthiner, S. Hochreiter, "Fast and accurate deep network learning by
    exponential linear units (ELUs)", ICLR 2016, equation 15.

    >>> nnx.layers.ELU()(np.asarray([[0.0, 8.0]]))
    array([[0., 8.]])
    """

    alpha: float = number(1.0, above=0.0)

    def choice(self) -> Any:
        return activations.registry.entry("elu").create(alpha=self.alpha)


@registry.register()
@dataclass(frozen=True)
class Softmax(_Named):
    """eˣ / Σ eˣ along ``axis``, which counts the batch's axis as well (−1: the last one).

    With a mask that has as many axes as x, what it leaves out is 0 and does not count in the sum; where it
    leaves out all entries, all are 0. A mask of steps alone, with fewer axes, is passed on.

    Shapes: (n, ...) → (n, ...). Source: Keras' ``layers.Softmax``.

    >>> nnx.layers.Softmax()(np.asarray([[0.0, 0.0]]))
    array([[0.5, 0.5]])
    >>> nnx.layers.Softmax()(np.asarray([[0.0, 0.0, 9.0]]), mask=np.asarray([[True, True, False]]))
    array([[0.5, 0.5, 0. ]])
    """

    takes_mask: ClassVar[bool] = True

    axis: int = number(-1, whole=True)

    def choice(self) -> Any:
        return activations.registry.entry("softmax").create(
            **({} if self.axis == -1 else {"axis": self.axis})
        )

    def parts(self) -> tuple[Layer, ...]:
        return (Activation(self.choice()),)

    def forward(self, p: Mapping[str, Any], x: Any, mask: Any = None) -> Any:
        if mask is None or mask.ndim < x.ndim:
            return self.choice()(x)
        if any(m not in (1, n) for m, n in zip(mask.shape, x.shape, strict=True)):
            raise ShapeError(
                f"{self.described}: a mask of shape {tuple(mask.shape)} does not fit x of shape "
                f"{tuple(x.shape)}: each of its axes needs the length of that of x, or 1."
            )
        return masked_softmax(x, mask, self.axis)


def masked_softmax(x: Any, mask: Any, axis: int = -1) -> Any:
    """The softmax along ``axis`` of the entries that the mask keeps; the others are 0.

    ``mask`` is of bools, and can be broadcast to the shape of ``x``. Where it keeps none, all are 0.

    >>> from nnx.layers.activation import masked_softmax
    >>> masked_softmax(np.zeros((2, 2)), np.asarray([[True, False], [False, False]]))
    array([[1., 0.],
           [0., 0.]])
    """
    xp = namespace(x, mask)
    lowest = 0.25 * float(xp.finfo(x.dtype).min)
    y = activations.softmax(xp.where(mask, x, xp.full_like(x, lowest)), axis=axis)
    return xp.where(mask, y, xp.zeros_like(y))


@registry.register()
@dataclass(frozen=True)
class PReLU(Layer):
    """max(0, x) + α·min(0, x) with a learned α for each input (one for all along ``shared_axes``, from 1).

    Shapes: (n, ...) → (n, ...).
    Source: K. He et al., "Delving deep into rectifiers", ICCV 2015, section 2.1.

    >>> nnx.Sequential([nnx.layers.PReLU(input_shape=(7,))]).count_params()
    7
    """

    supports_masking: ClassVar[bool] = True

    alpha_initializer: Any = chosen(initializers.registry, "zeros")
    alpha_regularizer: Any = chosen(regularizers.registry)
    alpha_constraint: Any = chosen(constraints.registry)
    shared_axes: tuple[int, ...] | None = option(
        Numbers("axes, counted from 1", lambda n: n > 0, optional=True), None
    )

    def spec(self, input_shape: Shape) -> Spec:  # type: ignore[override]
        shared = self.shared_axes or ()
        if max(shared, default=0) > len(input_shape):
            raise ShapeError(f"PReLU cannot share axes {shared} of samples of shape {input_shape}.")
        shape = tuple(1 if i + 1 in shared else n for i, n in enumerate(input_shape))
        alpha = Weight("alpha", shape, self.alpha_initializer, self.alpha_regularizer, self.alpha_constraint)
        return Spec(input_shape, (alpha,))

    def forward(self, p: Mapping[str, Any], x: Any) -> Any:
        xp, alpha = namespace(x, p["alpha"]), p["alpha"]
        positive = ones_where(xp, x, x > 0)
        return x * (positive + alpha * (1.0 - positive))
