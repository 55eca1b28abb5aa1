"""Layers around one layer: both directions of a sequence, the same at every step; and RepeatVector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from nnx.autodiff import vjp
from nnx.backend import namespace
from nnx.errors import OptionError, ShapeError
from nnx.layers.base import Layer, registry
from nnx.layers.inner import inner_layer, made_again, outer_weights, part_of, ran
from nnx.layers.per_sample import Gradients, Pullback
from nnx.layers.recurrent.recurrent import Recurrent
from nnx.layers.spec import Context, Spec
from nnx.layers.symbols import Shape
from nnx.options import OneOf, number, option

Array = Any
_FORWARD, _BACKWARD = "forward_layer", "backward_layer"


def _recurrent(where: str, name: str, value: Any) -> Any:
    """The check that an option is a recurrent layer."""
    if not isinstance(value, Recurrent):
        raise OptionError(f"{where}: {name} must be a recurrent layer (LSTM, GRU, ...), got {value!r}.")
    return value


def _recurrent_or_none(where: str, name: str, value: Any) -> Any:
    """The check that an option is a recurrent layer, or None."""
    return None if value is None else _recurrent(where, name, value)


@registry.register()
@dataclass(frozen=True)
class Bidirectional(Layer):
    """A recurrent layer through a sequence from both ends: two layers with weights of their own.

    ``layer`` goes forward; the other one is a copy of it that goes backwards, or ``backward_layer``. With
    ``return_sequences`` the second one's outputs are turned around, so that both belong to the same step.
    ``merge_mode`` joins the two outputs: "concat", "sum", "mul", "ave" (the mean), or None for both of them.
    States (``return_state``, ``initial_state``) are those of the first layer, then those of the second.
    Weights are called ``"forward_layer/kernel"``, ..., ``"backward_layer/kernel"``, ...

    As in Keras, with ``return_sequences`` the outputs of steps that a mask leaves out are 0, whatever the
    layer's ``zero_output_for_mask`` says.
    Raises :class:`nnx.errors.OptionError` for layers that go in the same direction or differ in
    ``return_sequences``, ``return_state`` or ``stateful``.
    Source: M. Schuster, K. K. Paliwal, "Bidirectional recurrent neural networks", IEEE Trans. Signal Process.
    45 (1997) 2673–2681; Keras' ``Bidirectional``.

    Shapes: (n, steps, features) → (n, 2·units).

    >>> layer = nnx.layers.Bidirectional(nnx.layers.LSTM(3, return_sequences=True))
    >>> layer(np.ones((2, 5, 4))).shape
    (2, 5, 6)
    """

    arity: ClassVar[int | None] = None
    takes_mask: ClassVar[bool] = True
    spreads: ClassVar[bool] = True

    layer: Any = option(_recurrent)
    merge_mode: str | None = option(OneOf(("concat", "sum", "mul", "ave", None)), "concat")
    backward_layer: Any = option(_recurrent_or_none, None)

    def __post_init__(self) -> None:
        super().__post_init__()
        zero = {"zero_output_for_mask": self.layer.return_sequences}
        forward = made_again(self.layer, **zero)
        other = self.backward_layer
        backwards = (
            made_again(self.layer, go_backwards=True, **zero) if other is None else made_again(other, **zero)
        )
        if forward.go_backwards == backwards.go_backwards:
            raise OptionError(
                "Bidirectional needs layers of different directions: exactly one with go_backwards=True."
            )
        for name in ("return_sequences", "return_state", "stateful"):
            if getattr(forward, name) != getattr(backwards, name):
                raise OptionError(
                    f"Bidirectional: both layers must have the same {name}, got {getattr(forward, name)} and "
                    f"{getattr(backwards, name)}."
                )
        self._set("_both", (forward, backwards))

    @property
    def both(self) -> tuple[Any, Any]:
        """The layer that goes forward, and the one that goes backwards."""
        return vars(self)["_both"]

    @property
    def random(self) -> bool:  # type: ignore[override]
        """Whether one of the two draws random numbers."""
        return any(one.random for one in self.both)

    @property
    def stateful(self) -> bool:  # type: ignore[override]
        """Whether the two keep their states."""
        return bool(self.both[0].stateful)

    def __call__(self, *xs: Any, initial_state: Any = None, **options: Any) -> Any:
        """As a recurrent layer's; ``initial_state``: those of the first layer, then those of the second."""
        if initial_state is not None:
            first = tuple(xs[0]) if len(xs) == 1 and isinstance(xs[0], list | tuple) else xs
            xs = (*first, *initial_state)
        return super().__call__(*xs, **options)

    def _split(self, xs: Sequence[Any]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """The inputs of each of the two."""
        x, *states = xs
        count = len(self.both[0].state_size)
        return (x, *states[:count]), (x, *states[count:])

    def spec(self, *input_shapes: Shape) -> Spec:
        pairs = zip(self.both, self._split(input_shapes), strict=True)
        first, second = (one.spec(*shapes) for one, shapes in pairs)
        shapes = [first.output_shape, second.output_shape]
        if self.merge_mode == "concat":
            shapes = [(*shapes[0][:-1], shapes[0][-1] + shapes[1][-1])]
        elif self.merge_mode is not None:
            if shapes[0] != shapes[1]:
                raise ShapeError(
                    f"{self.label}(merge_mode='{self.merge_mode}') needs outputs of one shape, got {shapes}."
                )
            shapes = shapes[:1]
        weights = (
            *outer_weights(self.both[0], _FORWARD, first.weights),
            *outer_weights(self.both[1], _BACKWARD, second.weights),
        )
        return Spec(shapes[0], weights, more=(*shapes[1:], *first.more, *second.more))

    def gives_mask(self, masked: tuple[bool, ...]) -> int:
        there = int(self.both[0].return_sequences and masked[0])
        return 2 * there if self.merge_mode is None else there

    def _joined(self, first: Any, second: Any) -> Any:
        """The outputs, out of those of the two."""
        states: tuple[Any, ...] = ()
        if self.both[0].return_state:
            (first, *one), (second, *other) = first, second
            states = (*one, *other)
        xp = namespace(first, second)
        if self.both[0].return_sequences:
            second = xp.flip(second, axis=1)
        if self.merge_mode is None:
            return (first, second, *states)
        if self.merge_mode == "concat":
            y = xp.concat([first, second], axis=-1)
        elif self.merge_mode == "mul":
            y = first * second
        else:
            y = first + second
            y = y * 0.5 if self.merge_mode == "ave" else y
        return (y, *states) if states else y

    def forward(self, p: Mapping[str, Any], *xs: Any, mask: Any = None) -> Any:
        context = Context()
        if self.random or self.stateful:
            *xs, context = xs  # type: ignore[assignment]
        found: list[Any] = []
        changes: dict[str, Any] = {}
        for k, (name, own) in enumerate(zip((_FORWARD, _BACKWARD), self._split(xs), strict=True)):
            y, new = ran(self.both[k], part_of(p, name), own, context.inside(k), mask=mask)
            found.append(y)
            changes |= {f"{name}/{key}": value for key, value in new.items()}
        outputs = self._joined(*found)
        return (outputs, changes) if self.stateful else outputs

    def per_sample(
        self, p: Mapping[str, Any], names: Sequence[str], xs: Sequence[Any], context: Context, **said: Any
    ) -> tuple[Any, Pullback]:
        made = []
        for k, (name, own) in enumerate(zip((_FORWARD, _BACKWARD), self._split(xs), strict=True)):
            inner = [n.removeprefix(f"{name}/") for n in names if n.startswith(f"{name}/")]
            made.append(self.both[k].per_sample(part_of(p, name), inner, own, context.inside(k), **said))
        y, pullback = vjp(self._joined, *(y for y, _ in made))

        def back(g: Any) -> tuple[Sequence[Any], Gradients]:
            if isinstance(y, tuple):
                xp = namespace(*y)
                g = tuple(xp.zeros_like(a) if b is None else b for a, b in zip(y, g, strict=True))
            (by_first, one), (by_second, other) = (
                back(list(g) if isinstance(g, tuple) else g)
                for (_, back), g in zip(made, pullback(g), strict=True)
            )

            def gradients(part: slice) -> dict[str, Array]:
                first = {f"{_FORWARD}/{name}": g for name, g in one(part).items()}
                return first | {f"{_BACKWARD}/{name}": g for name, g in other(part).items()}

            return (by_first[0] + by_second[0], *by_first[1:], *by_second[1:]), gradients

        return y, back

    def reset_state(self) -> None:
        """Sets the states that the two layers keep to zero; returns nothing.

        Raises :class:`nnx.errors.OptionError` where they are not stateful.
        """
        if not self.stateful:
            raise OptionError(f"{self.described} keeps no state: its layer was made without stateful=True.")
        names = self.weight_names
        if names:
            pairs = zip(names, self.get_weights(), strict=True)
            self.set_weights([0.0 * w if "/state_" in name else w for name, w in pairs])


@registry.register()
@dataclass(frozen=True)
class TimeDistributed(Layer):
    """``layer`` applied to every step of a sequence, with the same weights, called ``"layer/kernel"``, ...

    All steps are computed together, as a batch of n·steps samples; layers in which samples mix or that change
    their state take one step after the other, as in Keras. A mask passes on unchanged. Raises
    :class:`nnx.errors.ShapeError` for samples without an axis of steps.
    Source: Keras' ``TimeDistributed``.

    Shapes: (n, steps, ...) → (n, steps, ...).

    >>> nnx.layers.TimeDistributed(nnx.layers.Dense(3))(np.ones((2, 5, 4))).shape
    (2, 5, 3)
    """

    supports_masking: ClassVar[bool] = True

    layer: Any = option(inner_layer)

    @property
    def random(self) -> bool:  # type: ignore[override]
        """Whether the layer draws random numbers."""
        return bool(self.layer.random)

    @property
    def stateful(self) -> bool:  # type: ignore[override]
        """Whether the layer returns changes of its state."""
        return bool(self.layer.stateful)

    @property
    def spreads(self) -> bool:  # type: ignore[override]
        """Whether its layer does."""
        return bool(self.layer.spreads)

    @property
    def mixes_samples(self) -> bool:  # type: ignore[override]
        """Whether the layer mixes samples."""
        return bool(self.layer.mixes_samples)

    def spec(self, input_shape: Shape) -> Spec:  # type: ignore[override]
        if not input_shape:
            raise ShapeError(f"{self.label} takes samples of shape (steps, ...), got single numbers.")
        inner, steps = self.layer.spec(tuple(input_shape[1:])), input_shape[0]
        first, *more = ((steps, *shape) for shape in inner.output_shapes)
        return Spec(first, outer_weights(self.layer, "layer", inner.weights), more=tuple(more))

    def forward(self, p: Mapping[str, Any], x: Any, context: Context = Context()) -> Any:  # noqa: B008
        own = part_of(p, "layer")
        if not (self.stateful or self.mixes_samples):
            y, _ = ran(self.layer, own, (_merged(x),), context)
            return _each(lambda a: _parted(a, x), y)
        found, changes = [], dict[str, Any]()
        for t in range(x.shape[1]):
            y, new = ran(self.layer, {**own, **changes}, (x[:, t, ...],), context.inside(t))
            found.append(y)
            changes |= new
        y = _stacked(found)
        return (y, {f"layer/{name}": value for name, value in changes.items()}) if self.stateful else y

    def per_sample(
        self, p: Mapping[str, Any], names: Sequence[str], xs: Sequence[Any], context: Context, **said: Any
    ) -> tuple[Any, Pullback]:
        if self.stateful or self.mixes_samples:
            return super().per_sample(p, names, xs, context, **said)
        (x,) = xs
        steps, own = x.shape[1], [name.removeprefix("layer/") for name in names]
        y, inner = self.layer.per_sample(part_of(p, "layer"), own, (_merged(x),), context)

        def back(g: Any) -> tuple[Sequence[Any], Gradients]:
            (by_x,), gradients = inner(_each(_merged, g))

            def sums(part: slice) -> dict[str, Array]:
                start, stop, _ = part.indices(x.shape[0])
                found = gradients(slice(start * steps, stop * steps))
                xp = namespace(x)
                return {
                    f"layer/{name}": xp.sum(xp.reshape(a, (-1, steps, *a.shape[1:])), axis=1)
                    for name, a in found.items()
                }

            return (None if by_x is None else _parted(by_x, x),), sums

        return _each(lambda a: _parted(a, x), y), back


def _each(f: Any, y: Any) -> Any:
    """``f`` of an output, or of each of several (None stays)."""
    if isinstance(y, list | tuple):
        return tuple(None if a is None else f(a) for a in y)
    return f(y)


def _merged(x: Array) -> Array:
    """Samples and steps as one axis."""
    return namespace(x).reshape(x, (x.shape[0] * x.shape[1], *x.shape[2:]))


def _parted(y: Array, like: Array) -> Array:
    """The samples and steps of ``like`` out of one axis."""
    return namespace(y).reshape(y, (*like.shape[:2], *y.shape[1:]))


def _stacked(found: Sequence[Any]) -> Any:
    if isinstance(found[0], tuple):
        return tuple(map(_stacked, zip(*found, strict=True)))
    return namespace(*found).stack(list(found), axis=1)


@registry.register()
@dataclass(frozen=True)
class RepeatVector(Layer):
    """The input ``n`` times, one after the other: a sequence of equal steps.

    Raises :class:`nnx.errors.ShapeError` for samples of more or fewer axes than one.
    Shapes: (m, features) → (m, n, features). Source: Keras' ``RepeatVector``.

    >>> nnx.layers.RepeatVector(2)(np.asarray([[1.0, 2.0]]))
    array([[[1., 2.],
            [1., 2.]]])
    """

    n: int = number(least=1, whole=True)

    def spec(self, input_shape: Shape) -> Spec:  # type: ignore[override]
        if len(input_shape) != 1:
            raise ShapeError(f"{self.label} takes samples of shape (features,), got {input_shape}.")
        return Spec((self.n, *input_shape))

    def forward(self, p: Mapping[str, Any], x: Any) -> Any:
        return namespace(x).stack([x] * self.n, axis=1)
