"""Layers that multiply by a matrix of weights: Dense and Maxout."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from nnx import activations, constraints, initializers, regularizers
from nnx.autodiff import fused
from nnx.backend import adapter_of, namespace
from nnx.backend.ending import Ending
from nnx.layers.activation import activated, activation_parts
from nnx.layers.base import Layer, chosen, need_features, registry
from nnx.layers.per_sample import Gradients, Pullback
from nnx.layers.product import Product
from nnx.layers.spec import Context, Spec, Weight
from nnx.layers.symbols import Shape
from nnx.options import flag, number


def _affine_reverse(
    xp: Any, g: Any, needs: Any, y: Any, x: Any, kernel: Any, bias: Any
) -> tuple[Any, Any, Any]:
    return (
        None if needs[0] is False else g @ kernel.T,
        None if needs[1] is False else xp.matmul_into(x.T, g, needs[1]),
        # a product with ones: BLAS adds up rows faster than a reduction does
        None if needs[2] is False else xp.matmul_into(_ones(xp, g), g, needs[2]),
    )


def _ones(xp: Any, g: Any) -> Any:
    return xp.ones(g.shape[0], dtype=g.dtype, device=xp.device_of(g))


def _affine_forward(xp: Any, tangents: Any, y: Any, x: Any, kernel: Any, bias: Any) -> Any:
    tx, tk, tb = tangents
    terms = (None if tx is None else tx @ kernel, None if tk is None else x @ tk, tb)
    first, *others = (term for term in terms if term is not None)
    return sum(others, start=first)


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


def _affine_samples(xp: Any, g: Any, needs: Any, y: Any, x: Any, kernel: Any, bias: Any) -> tuple[Any, ...]:
    """With δ the gradient by z, sample i's by the kernel is xᵢδᵢᵀ, by the bias δᵢ."""
    return None, _products(x, g) if needs[1] else None, _added(g) if needs[2] else None


@fused(reverse=_affine_reverse, forward=_affine_forward, fills=True, samples=_affine_samples, reads=False)
def affine(x: Any, kernel: Any, bias: Any) -> Any:
    """Z = xΘ + β for a matrix ``x`` of samples; the equations BP2–BP4 of the lectures are its derivative.

    Shapes: (n, inputs), (inputs, units), (units,) → (n, units). Source: lectures, "Feedforward".

    >>> nnx.layers.affine(np.ones((1, 2)), np.asarray([[1.0], [2.0]]), np.asarray([0.5]))
    array([[3.5]])
    """
    z = x @ kernel
    z += bias
    return z


def _flat(x: Any) -> Any:
    """All axes but the last made one, so that one matrix product does it all."""
    return x if x.ndim == 2 else namespace(x).reshape(x, (math.prod(x.shape[:-1]), x.shape[-1]))


@dataclass(frozen=True)
class Affine(Product):
    """The part of Dense and Maxout that has the weights: z = xΘ + β, for samples of any number of axes."""

    takes: ClassVar[tuple[str, ...]] = ("kernel", "bias")
    linear: ClassVar[bool] = True

    def forward(self, p: Mapping[str, Any], x: Any) -> Any:
        kernel, bias = p["kernel"], p.get("bias")
        flat = _flat(x)
        z = flat @ kernel if bias is None else affine(flat, kernel, bias)
        return z if x.ndim == 2 else namespace(z).reshape(z, (*x.shape[:-1], z.shape[-1]))

    def ended(self, p: Mapping[str, Any], x: Any, ending: Ending) -> Any:
        z = _flat(x) @ p["kernel"]
        z = z if x.ndim == 2 else namespace(z).reshape(z, (*x.shape[:-1], z.shape[-1]))
        return adapter_of(x).ended(z, ending)

    def per_sample(
        self, p: Mapping[str, Any], names: Sequence[str], xs: Sequence[Any], context: Context, **said: Any
    ) -> tuple[Any, Pullback]:
        """With δ the gradient by z, sample i's by the kernel is xᵢδᵢᵀ, by the bias δᵢ."""
        (x,) = xs

        def back(delta: Any) -> tuple[tuple[Any], Gradients]:
            def gradients(part: slice) -> dict[str, Any]:
                some, found = delta[part, ...], {}
                if "kernel" in names:
                    found["kernel"] = _products(x[part, ...], some)
                if "bias" in names:
                    found["bias"] = _added(some)
                return found

            return (delta @ p["kernel"].T,), gradients

        return self.forward(p, x), back


@dataclass(frozen=True, kw_only=True)
class WithKernel(Layer):
    """Base of layers with a kernel and a bias: where these start from, their penalties and constraints."""

    kernel_initializer: Any = chosen(initializers.registry, "glorot_uniform")
    bias_initializer: Any = chosen(initializers.registry, "zeros")
    kernel_regularizer: Any = chosen(regularizers.registry)
    bias_regularizer: Any = chosen(regularizers.registry)
    kernel_constraint: Any = chosen(constraints.registry)
    bias_constraint: Any = chosen(constraints.registry)

    def kernel_weight(self, shape: Shape) -> Weight:
        """The kernel, of that shape."""
        return Weight(
            "kernel", shape, self.kernel_initializer, self.kernel_regularizer, self.kernel_constraint
        )

    def bias_weight(self, n: int) -> Weight:
        """The bias, a vector of ``n`` ≥ 1 entries."""
        return Weight("bias", (n,), self.bias_initializer, self.bias_regularizer, self.bias_constraint)


@registry.register()
@dataclass(frozen=True)
class Dense(WithKernel):
    """A layer in which every output is connected to every input: ``g(xΘ + β)``.

    ``kernel`` Θ has shape (inputs, units), ``bias`` β (units,); samples are rows. Names and defaults are
    those of Keras.
    Source: lectures, "Feedforward"; D. E. Rumelhart, G. E. Hinton, R. J. Williams, Nature 323 (1986) 533.

    Shapes: (n, ..., inputs) → (n, ..., units).

    >>> model = nnx.Sequential([nnx.layers.Dense(10, activation="softmax", input_shape=(784,))])
    >>> model.count_params()
    7850
    """

    supports_masking: ClassVar[bool] = True

    units: int = number(least=1, whole=True)
    activation: Any = chosen(activations.registry)
    use_bias: bool = flag(True)

    def spec(self, input_shape: Shape) -> Spec:  # type: ignore[override]
        kernel, bias = (
            self.kernel_weight((need_features(self.label, input_shape), self.units)),
            self.bias_weight(self.units),
        )
        shape = activated(self.activation, (*input_shape[:-1], self.units))
        return Spec(shape, (kernel, bias) if self.use_bias else (kernel,))

    def parts(self) -> tuple[Layer, ...]:
        return Affine(), *activation_parts(self.activation)


@dataclass(frozen=True)
class LargestPiece(Layer):
    """The part of Maxout after the affine one: the largest of each unit's pieces, which lie side by side."""

    units: int
    pieces: int

    def forward(self, p: Mapping[str, Any], x: Any) -> Any:
        xp = namespace(x)
        return xp.max(xp.reshape(x, (*x.shape[:-1], self.units, self.pieces)), axis=-1)


@registry.register()
@dataclass(frozen=True)
class Maxout(WithKernel):
    """The largest of ``pieces`` affine functions for each unit: ``max_k (xΘ_k + β_k)``.

    ``kernel`` has shape (inputs, units · pieces): the pieces of one unit lie side by side.
    Shapes: (n, ..., inputs) → (n, ..., units).
    Source: I. Goodfellow et al., "Maxout networks", ICML 2013, section 3.

    >>> nnx.Sequential([nnx.layers.Maxout(4, pieces=3, input_shape=(5,))]).count_params()
    72
    """

    units: int = number(least=1, whole=True)
    pieces: int = number(2, least=1, whole=True)
    use_bias: bool = flag(True)

    def spec(self, input_shape: Shape) -> Spec:  # type: ignore[override]
        columns = self.units * self.pieces
        n = need_features(self.label, input_shape)
        kernel, bias = self.kernel_weight((n, columns)), self.bias_weight(columns)
        return Spec((*input_shape[:-1], self.units), (kernel, bias) if self.use_bias else (kernel,))

    def parts(self) -> tuple[Layer, ...]:
        return Affine(), LargestPiece(self.units, self.pieces)
