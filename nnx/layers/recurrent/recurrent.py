"""What recurrent layers do with their steps: sequences, states, masks, directions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from nnx import initializers
from nnx.autodiff import stop_gradient, vjp
from nnx.backend import namespace
from nnx.errors import OptionError, ShapeError
from nnx.layers.base import Layer
from nnx.layers.per_sample import Gradients, Pullback
from nnx.layers.recurrent import sequences
from nnx.layers.recurrent.steps import NO_NOISE, Steps
from nnx.layers.spec import Context, Spec, Weight
from nnx.layers.symbols import Shape
from nnx.options import flag, number

Array = Any


@dataclass(frozen=True, kw_only=True)
class Recurrent(Layer):
    """Base of recurrent layers: their options and outputs; ``walk`` goes through the steps.

    Its inputs are a sequence and, if they are given, the first states.
    """

    arity: ClassVar[int | None] = None
    takes_mask: ClassVar[bool] = True
    spreads: ClassVar[bool] = True

    return_sequences: bool = flag(False)
    return_state: bool = flag(False)
    go_backwards: bool = flag(False)
    stateful: bool = flag(False)  # type: ignore[misc]
    unroll: bool = flag(False)
    zero_output_for_mask: bool = flag(False)
    #: with ``stateful`` the number of samples in a batch
    batch_size: int | None = number(None, least=1, whole=True, optional=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stateful and self.batch_size is None:
            raise OptionError(
                f"{self.label}(stateful=True) keeps a state for each sample of a batch, so it needs "
                "batch_size=, the number of samples in every batch."
            )

    # -- what a subclass says ---------------------------------------------------------------------

    @property
    def state_size(self) -> tuple[int, ...]:
        """The lengths of its states."""
        raise NotImplementedError

    @property
    def output_size(self) -> int:
        """The length of what a step gives."""
        raise NotImplementedError

    def step_weights(self, shape: Shape) -> tuple[Weight, ...]:
        """The weights, for steps of that shape."""
        raise NotImplementedError

    def walk(
        self,
        p: Mapping[str, Any],
        x: Array,
        states: Sequence[Array],
        mask: Any,
        context: Context,
        given: bool,
    ) -> tuple[Array, ...]:
        """``(output, last states...)``; ``given``: whether the first states may be other than zero."""
        raise NotImplementedError

    # -- shapes -----------------------------------------------------------------------------------

    def spec(self, *input_shapes: Shape) -> Spec:
        sequence, *states = input_shapes
        if len(sequence) < 2:
            raise ShapeError(
                f"{self.label} takes sequences: samples of shape (steps, features), got {sequence}."
            )
        own = tuple((size,) for size in self.state_size)
        if states and tuple(map(tuple, states)) != own:
            raise ShapeError(
                f"{self.label} has {len(own)} initial states, of shapes {', '.join(map(str, own))} for each "
                f"sample; got {', '.join(map(str, states))}."
            )
        weights = self.step_weights(tuple(sequence[1:]))
        if self.stateful:
            weights += tuple(
                Weight(name, (self.batch_size, size), initializers.get("zeros"), trainable=False)  # type: ignore[arg-type]
                for name, size in zip(self._state_names, self.state_size, strict=True)
            )
        shape = (sequence[0], self.output_size) if self.return_sequences else (self.output_size,)
        return Spec(shape, weights, more=own if self.return_state else ())

    @property
    def _state_names(self) -> tuple[str, ...]:
        return tuple(f"state_{k}" for k in range(len(self.state_size)))

    def gives_mask(self, masked: tuple[bool, ...]) -> int:
        return int(self.return_sequences and masked[0])

    # -- computing --------------------------------------------------------------------------------

    def __call__(self, *xs: Any, initial_state: Any = None, **options: Any) -> Any:
        """As every layer's; ``initial_state``: the first states, symbols or arrays, one or a list of them.

        They are inputs as well: ``layer(x, initial_state=[h, c])`` is ``layer([x, h, c])``.
        """
        if initial_state is not None:
            several = isinstance(initial_state, list | tuple)
            first = tuple(xs[0]) if len(xs) == 1 and isinstance(xs[0], list | tuple) else xs
            xs = (*first, *(initial_state if several else (initial_state,)))
        return super().__call__(*xs, **options)

    def forward(self, p: Mapping[str, Any], *xs: Any, mask: Any = None) -> Any:
        context = Context()
        if self.random or self.stateful:
            *xs, context = xs  # type: ignore[assignment]
        x, states, mask, given = self._started(p, xs, mask)
        y, *last = self.walk(p, x, states, mask, context, given)
        outputs = (y, *last) if self.return_state else y
        if not self.stateful:
            return outputs
        new = zip(self._state_names, map(stop_gradient, last), strict=True)
        return outputs, dict(new)

    def _started(
        self, p: Mapping[str, Any], xs: Sequence[Array], mask: Any
    ) -> tuple[Array, Sequence[Array], Any, bool]:
        """The sequence and its mask in the order of the steps, and the first states."""
        x, *states = xs
        mask = mask[0] if isinstance(mask, tuple) else mask
        given = bool(states) or self.stateful
        if self.stateful and x.shape[0] != self.batch_size:
            raise ShapeError(
                f"{self.described} is stateful with batch_size={self.batch_size}, so every batch must have "
                f"{self.batch_size} samples; got {x.shape[0]}."
            )
        if not states:
            kept = [p[name] for name in self._state_names] if self.stateful else None
            states = kept or [sequences.zeros(x, x.shape[0], size) for size in self.state_size]
        if self.go_backwards:
            xp = namespace(x)
            x = xp.flip(x, axis=1)
            mask = None if mask is None else namespace(mask).flip(mask, axis=1)
        return x, states, mask, given

    def reset_state(self) -> None:
        """Sets the states that a stateful layer keeps to zero; returns nothing.

        Raises :class:`nnx.errors.OptionError` for a layer that is not stateful.
        """
        if not self.stateful:
            raise OptionError(f"{self.described} keeps no state: it was made without stateful=True.")
        names = self.weight_names
        if names:
            kept = self._state_names
            pairs = zip(names, self.get_weights(), strict=True)
            self.set_weights([0.0 * w if name in kept else w for name, w in pairs])

    reset_states = reset_state


def masked_steps(
    layer: Recurrent, x: Array, states: Sequence[Array], mask: Any, step: Any
) -> tuple[Array, ...]:
    """``(output, last states...)`` of ``step(x_t, states)``, one after the other.

    Where the mask leaves a step out, the states stay, and the output is that of the step before, or zero.
    """
    found, y = [], None
    for t in range(x.shape[1]):
        out, *new = step(x[:, t, ...], states)
        xp = namespace(out, *new)
        if mask is not None:
            here = mask[:, t]
            before = xp.zeros_like(out) if y is None or layer.zero_output_for_mask else y
            out = xp.where(_beside(here, out), out, before)
            new = [xp.where(_beside(here, a), a, b) for a, b in zip(new, states, strict=True)]
        y, states = out, new
        found.append(out)
    return namespace(*found).stack(found, axis=1) if layer.return_sequences else y, *states


def _beside(mask: Array, like: Array) -> Array:
    """A mask of samples with the axes of ``like``."""
    return namespace(mask).reshape(mask, (mask.shape[0], *(1,) * (like.ndim - 1)))


@dataclass(frozen=True, kw_only=True)
class OfSteps(Steps, Recurrent):
    """Base of the recurrent layers that are their own cell."""

    def walk(
        self,
        p: Mapping[str, Any],
        x: Array,
        states: Sequence[Array],
        mask: Any,
        context: Context,
        given: bool,
    ) -> tuple[Array, ...]:
        noise = self.noise(context, x) if self.random else NO_NOISE
        if self.is_whole and noise[1] is None:
            if noise[0] is not None:
                x = x * noise[0][0, :, None, :]
            every = self.return_sequences
            found = sequences.over(self.whole, x, states, self.whole_weights(p, x), mask, every)
            return self._shown(found[0], mask, given), *found[1:]
        return masked_steps(self, x, states, mask, lambda x, states: self.step(p, x, states, noise))

    def _shown(self, y: Array, mask: Any, given: bool) -> Array:
        """All h or the last one, and 0 where the mask leaves steps out: everywhere, or at the beginning."""
        if mask is None or not (given or self.zero_output_for_mask):
            return y
        xp = namespace(y)
        there = mask
        if not self.zero_output_for_mask:
            plain = namespace(mask)
            there = plain.cumulative_sum(plain.astype(mask, plain.int64), axis=1) > 0
        there = there[:, :, None] if self.return_sequences else there[:, -1:]
        return xp.where(there, y, xp.zeros_like(y))

    def per_sample(
        self, p: Mapping[str, Any], names: Sequence[str], xs: Sequence[Any], context: Context, **said: Any
    ) -> tuple[Any, Pullback]:
        if self.stateful or not self.is_whole or (self.random and context.training):
            return super().per_sample(p, names, xs, context, **said)
        x, states, mask, given = self._started(p, xs, said.get("mask"))
        results, back = sequences.each_sample(self.whole, x, states, self.whole_weights(p, x), mask)

        def outputs(hs: Array, *last: Array) -> Any:
            y = self._shown(hs if self.return_sequences else last[0], mask, given)
            return (y, *last) if self.return_state else y

        y, pullback = vjp(outputs, *results)

        def each(g: Any) -> tuple[Sequence[Any], Gradients]:
            if self.return_state:
                xp = namespace(*y)
                g = tuple(xp.zeros_like(a) if b is None else b for a, b in zip(y, g, strict=True))
            by_x, by_states, gradients = back(pullback(g))
            if self.go_backwards:
                by_x = namespace(by_x).flip(by_x, axis=1)

            def of_names(part: slice) -> dict[str, Array]:
                found = gradients(part)
                return {name: found[name] for name in names}

            return (by_x, *by_states[: len(xs) - 1]), of_names

        return y, each
