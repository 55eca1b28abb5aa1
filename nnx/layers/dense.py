"""Layers that multiply by a matrix of weights: Dense and Maxout."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nnx import activations, constraints, initializers, regularizers
from nnx.autodiff import fused
from nnx.backend import namespace
from nnx.errors import OptionError
from nnx.layers.base import Context, Layer, Shape, Spec, Weight, need_features, positive, registry, truth
from nnx.layers.per_sample import Back, Gradients, with_pullback


def _affine_reverse(
    xp: Any, g: Any, needs: Any, y: Any, x: Any, kernel: Any, bias: Any
) -> tuple[Any, Any, Any]:
    return (
        None if needs[0] is False else g @ kernel.T,
        None if needs[1] is False else xp.matmul_into(x.T, g, needs[1]),
        # a product with ones: BLAS adds up rows faster than a reduction does
        None if needs[2] is False else xp.ones(g.shape[0], dtype=g.dtype, device=xp.device_of(g)) @ g,
    )


def _affine_forward(xp: Any, tangents: Any, y: Any, x: Any, kernel: Any, bias: Any) -> Any:
    tx, tk, tb = tangents
    terms = (None if tx is None else tx @ kernel, None if tk is None else x @ tk, tb)
    first, *others = (term for term in terms if term is not None)
    return sum(others, start=first)


@fused(reverse=_affine_reverse, forward=_affine_forward, fills=True)
def affine(x: Any, kernel: Any, bias: Any) -> Any:
    """Z = xΘ + β for a matrix ``x`` of samples; the equations BP2–BP4 of the lectures are its derivative."""
    z = x @ kernel
    z += bias
    return z


def _rows(x: Any) -> Any:
    """``x`` with all axes but the last made one, so that one matrix product does it all."""
    if x.ndim == 2:
        return x
    return namespace(x).reshape(x, (math.prod(x.shape[:-1]), x.shape[-1]))


class Affine(Layer):
    """What Dense and Maxout share: a kernel and a bias, with their options."""

    units: int
    use_bias: bool
    kernel_initializer: Any
    bias_initializer: Any
    kernel_regularizer: Any
    bias_regularizer: Any
    kernel_constraint: Any
    bias_constraint: Any

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("units", positive(self.units, f"units of {self.label}"))
        self._set("use_bias", truth(self.use_bias, f"use_bias of {self.label}"))
        normalise(self, kernel_initializer=initializers, bias_initializer=initializers)
        normalise(self, kernel_regularizer=regularizers, bias_regularizer=regularizers)
        normalise(self, kernel_constraint=constraints, bias_constraint=constraints)

    def spec(self, input_shape: Shape) -> Spec:
        n, m = need_features(self.label, input_shape), self.columns
        kernel = Weight(
            "kernel", (n, m), self.kernel_initializer, self.kernel_regularizer, self.kernel_constraint
        )
        bias = Weight("bias", (m,), self.bias_initializer, self.bias_regularizer, self.bias_constraint)
        return Spec((*input_shape[:-1], self.units), (kernel, bias) if self.use_bias else (kernel,))

    @property
    def columns(self) -> int:
        """The number of columns of the kernel."""
        return self.units

    def preactivation(self, p: Mapping[str, Any], x: Any) -> Any:
        """The numbers z = xΘ + β, before the activation."""
        bias = p.get("bias")
        if p["kernel"].ndim == 3:
            return _each(x, p["kernel"], bias)
        rows = _rows(x)
        z = rows @ p["kernel"] if bias is None else affine(rows, p["kernel"], bias)
        return z if x.ndim == 2 else namespace(z).reshape(z, (*x.shape[:-1], self.columns))

    @property
    def finisher(self) -> Callable[[Any], Any] | None:
        """The function that makes the output of the pre-activations; None where they are the output."""
        return self.finish

    def finish(self, z: Any) -> Any:
        """The output that the pre-activations ``z`` become."""
        raise NotImplementedError

    def forward(self, p: Mapping[str, Any], x: Any) -> Any:
        return self.finish(self.preactivation(p, x))

    def per_sample(
        self, p: Mapping[str, Any], names: Sequence[str], x: Any, context: Context
    ) -> tuple[Any, Back]:
        """With δ the gradient by z, sample i's by the kernel is xᵢδᵢᵀ, by the bias δᵢ."""
        y, finished = with_pullback(self.finisher, self.preactivation(p, x))

        def back(g: Any) -> tuple[Any, Gradients]:
            delta = finished(g)

            def gradients(part: slice) -> dict[str, Any]:
                some, found = delta[part, ...], {}
                if "kernel" in names:
                    found["kernel"] = _products(x[part, ...], some)
                if "bias" in names:
                    found["bias"] = _added(some)
                return found

            return delta @ p["kernel"].T, gradients

        return y, back


def _each(x: Any, kernel: Any, bias: Any) -> Any:
    """The numbers z = xΘ + β where each sample has a kernel and a bias of its own."""
    xp = namespace(x, kernel)
    z = xp.reshape(x, (x.shape[0], -1, x.shape[-1])) @ kernel
    z = z if bias is None else z + bias[:, None, :]
    return xp.reshape(z, (z.shape[0], *x.shape[1:-1], z.shape[-1]))


def _products(x: Any, delta: Any) -> Any:
    """xᵢδᵢᵀ for each sample i, added up over axes between the first and the last."""
    if x.ndim == 2:
        return x[:, :, None] * delta[:, None, :]
    xp, n = namespace(x, delta), x.shape[0]
    rows, moved = (xp.reshape(a, (n, -1, a.shape[-1])) for a in (x, delta))
    return xp.matrix_transpose(rows) @ moved


def _added(delta: Any) -> Any:
    """The rows of each sample added up."""
    if delta.ndim == 2:
        return delta
    xp = namespace(delta)
    return xp.sum(xp.reshape(delta, (delta.shape[0], -1, delta.shape[-1])), axis=1)


@registry.register()
@dataclass(frozen=True)
class Dense(Affine):
    """A layer in which every output is connected to every input: ``g(xΘ + β)``.

    ``kernel`` Θ has shape (inputs, units), ``bias`` β (units,); samples are rows. Names and defaults are
    those of Keras. Source: lectures, "Feedforward"; D. E. Rumelhart, G. E. Hinton, R. J. Williams,
    Nature 323 (1986) 533.

    >>> model = nnx.Sequential([nnx.layers.Dense(10, activation="softmax", input_shape=(784,))])
    >>> model.count_params()
    7850
    """

    units: int
    activation: Any = None
    use_bias: bool = True
    kernel_initializer: Any = "glorot_uniform"
    bias_initializer: Any = "zeros"
    kernel_regularizer: Any = None
    bias_regularizer: Any = None
    kernel_constraint: Any = None
    bias_constraint: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        normalise(self, activation=activations)

    @property
    def finisher(self) -> Callable[[Any], Any] | None:
        return None if self.activation.function is activations.linear else self.activation

    def finish(self, z: Any) -> Any:
        return z if self.activation is None else self.activation(z)


@registry.register()
@dataclass(frozen=True)
class Maxout(Affine):
    """The largest of ``pieces`` affine functions for each unit: ``max_k (xΘ_k + β_k)``.

    ``kernel`` has shape (inputs, units · pieces): the pieces of one unit lie side by side.
    Source: I. Goodfellow et al., "Maxout networks", ICML 2013, section 3.

    >>> nnx.Sequential([nnx.layers.Maxout(4, pieces=3, input_shape=(5,))]).count_params()
    72
    """

    units: int
    pieces: int = 2
    use_bias: bool = True
    kernel_initializer: Any = "glorot_uniform"
    bias_initializer: Any = "zeros"
    kernel_regularizer: Any = None
    bias_regularizer: Any = None
    kernel_constraint: Any = None
    bias_constraint: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("pieces", positive(self.pieces, f"pieces of {self.label}"))

    @property
    def columns(self) -> int:
        return self.units * self.pieces

    def finish(self, z: Any) -> Any:
        xp = namespace(z)
        return xp.max(xp.reshape(z, (*z.shape[:-1], self.units, self.pieces)), axis=-1)


def normalise(layer: Layer, **fields: Any) -> None:
    """Turns names in the given fields into the functions of the given modules."""
    for name, module in fields.items():
        found = module.get(given := getattr(layer, name))
        if found is not None and not callable(found):
            raise OptionError(
                f"{name} of {layer.label} must be a name, a function or one of {module.__name__}, "
                f"got {given!r}."
            )
        layer._set(name, found)
