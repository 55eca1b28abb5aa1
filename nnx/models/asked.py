"""Calls that say more than their inputs: parts that hand a layer its mask and the options of a call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nnx.layers import Context, Layer
from nnx.layers.per_sample import Pullback, without_weights


@dataclass(frozen=True)
class Asked(Layer):
    """A layer as one call uses it: with the call's options, and with masks as further inputs.

    ``masked`` says for each input whether its mask follows the inputs; it is empty where there is none.
    """

    layer: Layer
    options: Mapping[str, Any] = field(default_factory=dict)
    masked: tuple[bool, ...] = ()
    #: the names of the layer's weights
    names: tuple[str, ...] = ()

    @property
    def takes(self) -> tuple[str, ...]:  # type: ignore[override]
        """The names of the weights that it takes: all of the layer's."""
        return self.names

    @property
    def random(self) -> bool:  # type: ignore[override]
        """Whether the layer needs random numbers."""
        return self.layer.random

    @property
    def stateful(self) -> bool:  # type: ignore[override]
        """Whether the layer returns changes of its state."""
        return self.layer.stateful

    def forward(self, p: Mapping[str, Any], *xs: Any) -> Any:
        context = xs[-1:] if self.random or self.stateful else ()
        inputs, said = self._split(xs[: len(xs) - len(context)])
        return self.layer.forward(p, *inputs, *context, **said)

    def per_sample(
        self, p: Mapping[str, Any], names: Sequence[str], xs: Sequence[Any], context: Context, **said: Any
    ) -> tuple[Any, Pullback]:
        inputs, asked = self._split(xs)
        y, back = self.layer.per_sample(p, names, inputs, context, **asked)
        nothing = (None,) * (len(xs) - len(inputs))

        def with_masks(g: Any) -> Any:
            by_inputs, gradients = back(g)
            return (*by_inputs, *nothing), gradients

        return y, with_masks

    def _split(self, xs: Sequence[Any]) -> tuple[Sequence[Any], dict[str, Any]]:
        """The inputs, and what forward takes by name."""
        said = dict(self.options)
        if not self.masked:
            return xs, said
        count = len(self.masked)
        masks = _spread(self.masked, xs[count:])
        said["mask"] = masks[0] if count == 1 else masks
        return xs[:count], said


@dataclass(frozen=True)
class MaskOf(Layer):
    """The mask of a layer's output, from its inputs and their masks."""

    layer: Layer
    masked: tuple[bool, ...]

    def forward(self, p: Mapping[str, Any], *xs: Any) -> Any:
        count = len(self.masked)
        return self.layer.compute_mask(xs[:count], _spread(self.masked, xs[count:]))

    def per_sample(
        self, p: Mapping[str, Any], names: Sequence[str], xs: Sequence[Any], context: Context, **said: Any
    ) -> tuple[Any, Pullback]:
        return self.forward(p, *xs), lambda g: ((None,) * len(xs), without_weights)


def _spread(masked: tuple[bool, ...], masks: Sequence[Any]) -> tuple[Any, ...]:
    """One entry for each input: its mask, or None."""
    those = iter(masks)
    return tuple(next(those) if there else None for there in masked)
