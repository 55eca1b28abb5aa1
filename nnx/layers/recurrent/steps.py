"""What recurrent layers and their cells share: options, weights, and one step of each kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from nnx import activations, constraints, initializers, regularizers
from nnx.backend import adapter_of, device_of, namespace
from nnx.backend.philox import DROPOUT, RECURRENT
from nnx.errors import ShapeError
from nnx.layers.base import Layer, chosen
from nnx.layers.recurrent import sequences
from nnx.layers.spec import Context, Weight
from nnx.layers.symbols import Shape
from nnx.options import Seed, flag, fraction, number, option

Array = Any
#: the masks of dropout for inputs and states, (1 or gates, n, width), None where nothing is dropped
Noise = tuple[Any, Any]
NO_NOISE: Noise = (None, None)


@dataclass(frozen=True, kw_only=True)
class Steps(Layer):
    """Base of recurrent layers and cells: the weights of a step, and the step.

    Those of several gates have the gates' columns side by side in their kernels and their bias.
    """

    renamed: ClassVar[Mapping[str, str]] = {
        "implementation": "nothing in its place (nnx computes it in one way)",
        "inner_activation": "recurrent_activation",
        "time_major": "nothing in its place (sequences are (n, steps, features))",
        "use_cudnn": "nothing in its place (nnx computes on arrays of any library)",
    }
    #: how many blocks of columns the kernels have
    gates: ClassVar[int]
    #: the function of whole sequences
    whole: ClassVar[sequences.Cell]
    if TYPE_CHECKING:  # each kind has them in its own order
        units: int
        activation: Any
        use_bias: bool

    kernel_initializer: Any = chosen(initializers.registry, "glorot_uniform")
    recurrent_initializer: Any = chosen(initializers.registry, "orthogonal")
    bias_initializer: Any = chosen(initializers.registry, "zeros")
    kernel_regularizer: Any = chosen(regularizers.registry)
    recurrent_regularizer: Any = chosen(regularizers.registry)
    bias_regularizer: Any = chosen(regularizers.registry)
    kernel_constraint: Any = chosen(constraints.registry)
    recurrent_constraint: Any = chosen(constraints.registry)
    bias_constraint: Any = chosen(constraints.registry)
    dropout: float = fraction(0.0)
    recurrent_dropout: float = fraction(0.0)
    seed: int | None = option(Seed(), None)

    @property
    def random(self) -> bool:  # type: ignore[override]
        """Whether it drops anything in training."""
        return self.dropout > 0.0 or self.recurrent_dropout > 0.0

    @property
    def state_size(self) -> tuple[int, ...]:
        """The lengths of its states."""
        return (self.units,) * self.whole.states

    @property
    def output_size(self) -> int:
        """The length of what a step gives."""
        return self.units

    # -- weights ----------------------------------------------------------------------------------

    def step_weights(self, shape: Shape) -> tuple[Weight, ...]:
        """The weights, for steps of that shape; ShapeError for more or fewer axes than one."""
        if len(shape) != 1:
            raise ShapeError(f"{self.label} takes one axis of features at every step, got {shape}.")
        wide = self.gates * self.units
        kernel = Weight(
            "kernel", (*shape, wide), self.kernel_initializer, self.kernel_regularizer, self.kernel_constraint
        )
        recurrent = Weight(
            "recurrent_kernel",
            (self.units, wide),
            self.recurrent_initializer,
            self.recurrent_regularizer,
            self.recurrent_constraint,
        )
        bias = Weight("bias", self.bias_shape, self.first_bias(), self.bias_regularizer, self.bias_constraint)
        return (kernel, recurrent, bias) if self.use_bias else (kernel, recurrent)

    @property
    def bias_shape(self) -> Shape:
        """The shape of the bias."""
        return (self.gates * self.units,)

    def first_bias(self) -> Any:
        """What gives the bias its first entries."""
        return self.bias_initializer

    # -- computing --------------------------------------------------------------------------------

    @property
    def is_whole(self) -> bool:
        """Whether the function of whole sequences computes what these options ask for."""
        return _is(self.activation, activations.tanh)

    def whole_weights(self, p: Mapping[str, Any], x: Array) -> tuple[Array, Array, Array]:
        """Kernel, recurrent kernel and bias as the function of whole sequences takes them."""
        bias = p.get("bias")
        if bias is None:
            bias = sequences.zeros(x, *sequences.bias_shape(self.whole.name, self.gates * self.units))
        return p["kernel"], p["recurrent_kernel"], bias

    def noise(self, context: Context, x: Array) -> Noise:
        """The masks of dropout of a batch like ``x``, (n, ..., features): the same ones at every step."""
        if not context.training:
            return NO_NOISE
        blocks = (
            self.gates if self.recurrent_dropout else 1
        )  # as in Keras: with this one each gate has its own

        def mask(purpose: int, rate: float, width: int) -> Any:
            if not rate:
                return None
            stream, shape = context.stream(purpose, self.seed), (blocks, x.shape[0], width)
            return adapter_of(x).keep_mask(stream, rate, shape, x.dtype, device_of(x))

        return (
            mask(DROPOUT, self.dropout, x.shape[-1]),
            mask(RECURRENT, self.recurrent_dropout, self.units),
        )

    def step(
        self, p: Mapping[str, Any], x: Array, states: Sequence[Array], noise: Noise
    ) -> tuple[Array, ...]:
        """``(output, new states...)`` for inputs ``x``, (n, features)."""
        raise NotImplementedError


def _is(choice: Any, function: Any) -> bool:
    return choice is not None and choice.function is function and not choice.options


def _applied(choice: Any, x: Array) -> Array:
    return x if choice is None else choice(x)


def _product(x: Array, kernel: Array, mask: Any) -> Array:
    """The product, where ``mask`` drops some of x: each block of columns has its own, or all have one."""
    if mask is None:
        return x @ kernel
    if mask.shape[0] == 1:
        return (x * mask[0, ...]) @ kernel
    wide = kernel.shape[1] // mask.shape[0]
    blocks = [(x * mask[k, ...]) @ kernel[:, k * wide : (k + 1) * wide] for k in range(mask.shape[0])]
    return namespace(*blocks).concat(blocks, axis=1)


def _with(z: Array, bias: Any) -> Array:
    return z if bias is None else z + bias


@dataclass(frozen=True)
class SimpleSteps(Steps):
    """Steps h′ = activation(x·K + h·R + b)."""

    gates: ClassVar[int] = 1
    whole: ClassVar[sequences.Cell] = sequences.SIMPLE

    units: int = number(least=1, whole=True)
    activation: Any = chosen(activations.registry, "tanh")
    use_bias: bool = flag(True)

    def step(
        self, p: Mapping[str, Any], x: Array, states: Sequence[Array], noise: Noise
    ) -> tuple[Array, ...]:
        z = _product(x, p["kernel"], noise[0]) + _product(states[0], p["recurrent_kernel"], noise[1])
        h = _applied(self.activation, _with(z, p.get("bias")))
        return h, h


@dataclass(frozen=True)
class _Gated(Steps):
    """Base of steps with gates."""

    units: int = number(least=1, whole=True)
    activation: Any = chosen(activations.registry, "tanh")
    recurrent_activation: Any = chosen(activations.registry, "sigmoid")
    use_bias: bool = flag(True)

    @property
    def is_whole(self) -> bool:
        return super().is_whole and _is(self.recurrent_activation, activations.sigmoid)

    def gate(self, z: Array) -> Array:
        """The gate of its argument."""
        return _applied(self.recurrent_activation, z)

    def new(self, z: Array) -> Array:
        """The activation of its argument."""
        return _applied(self.activation, z)


@dataclass(frozen=True)
class LstmSteps(_Gated):
    """Steps of a long short-term memory: its gates are i, f, c, o."""

    gates: ClassVar[int] = 4
    whole: ClassVar[sequences.Cell] = sequences.LSTM

    unit_forget_bias: bool = field(default=True, kw_only=True, metadata=flag(True).metadata)

    def first_bias(self) -> Any:
        return (
            _ForgetBias(self.bias_initializer, self.units) if self.unit_forget_bias else super().first_bias()
        )

    def step(
        self, p: Mapping[str, Any], x: Array, states: Sequence[Array], noise: Noise
    ) -> tuple[Array, ...]:
        u, (h, c) = self.units, states
        z = _product(x, p["kernel"], noise[0]) + _product(h, p["recurrent_kernel"], noise[1])
        z = _with(z, p.get("bias"))
        c = self.gate(z[:, u : 2 * u]) * c + self.gate(z[:, :u]) * self.new(z[:, 2 * u : 3 * u])
        h = self.gate(z[:, 3 * u :]) * self.new(c)
        return h, h, c


class _ForgetBias:
    """The first bias of an LSTM: 1 for the forget gate, else what an initializer gives."""

    def __init__(self, initializer: Any, units: int) -> None:
        self.initializer, self.units = initializer, units

    def __call__(self, shape: Shape, random: Any = None) -> Any:
        u = self.units
        first, rest = self.initializer((u,), random), self.initializer((2 * u,), random)
        xp = namespace(first)
        return xp.concat([first, xp.ones_like(first), rest])


@dataclass(frozen=True)
class GruSteps(_Gated):
    """Steps of a gated recurrent unit: its gates are z, r, h."""

    gates: ClassVar[int] = 3
    whole: ClassVar[sequences.Cell] = sequences.GRU

    reset_after: bool = field(default=True, kw_only=True, metadata=flag(True).metadata)

    @property
    def bias_shape(self) -> Shape:
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    @property
    def is_whole(self) -> bool:
        return super().is_whole and self.reset_after

    def step(
        self, p: Mapping[str, Any], x: Array, states: Sequence[Array], noise: Noise
    ) -> tuple[Array, ...]:
        u, (h,), recurrent, bias = self.units, states, p["recurrent_kernel"], p.get("bias")
        of_input, of_state = (
            (bias[0, :], bias[1, :]) if self.reset_after and bias is not None else (bias, None)
        )
        from_x = _with(_product(x, p["kernel"], noise[0]), of_input)
        if self.reset_after:
            from_h = _with(_product(h, recurrent, noise[1]), of_state)
            last = from_h[:, 2 * u :]
        else:
            drop, again = (None, None) if noise[1] is None else (noise[1][:2, ...], noise[1][2:, ...])
            from_h = _product(h, recurrent[:, : 2 * u], drop)
        both = self.gate(from_x[:, : 2 * u] + from_h[:, : 2 * u])
        z, r = both[:, :u], both[:, u:]
        if not self.reset_after:  # the mask drops entries of r∘h, as it does of h
            last = _product(r * h, recurrent[:, 2 * u :], again)
        new = self.new(from_x[:, 2 * u :] + (r * last if self.reset_after else last))
        h = z * h + (1.0 - z) * new
        return h, h
