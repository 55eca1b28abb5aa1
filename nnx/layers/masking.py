"""Which steps of a sequence count, from the numbers themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from nnx.autodiff.array import raw
from nnx.backend import namespace
from nnx.errors import ShapeError
from nnx.layers.base import Layer, registry
from nnx.layers.spec import Spec
from nnx.layers.symbols import Shape
from nnx.options import number


@registry.register()
@dataclass(frozen=True)
class Masking(Layer):
    """Leaves out the steps whose numbers all equal ``mask_value``: sets them to 0, and gives a mask.

    Layers that take masks (recurrent ones, for example) pass over these steps. Raises
    :class:`nnx.errors.ShapeError` for samples that are no sequences.
    Source: Keras' ``Masking``.

    Shapes: (n, steps, ...) → (n, steps, ...).

    >>> nnx.layers.Masking(9.0)(np.asarray([[[9.0, 9.0], [9.0, 1.0]]]))
    array([[[0., 0.],
            [9., 1.]]])
    """

    supports_masking: ClassVar[bool] = True

    mask_value: float = number(0.0)

    def spec(self, input_shape: Shape) -> Spec:  # type: ignore[override]
        if len(input_shape) < 2:
            raise ShapeError(
                f"{self.label} takes sequences: samples of shape (steps, features), got {input_shape}."
            )
        return Spec(input_shape)

    def _there(self, x: Any) -> Any:
        plain = raw(x)
        return namespace(plain).any(plain != self.mask_value, axis=-1)

    def forward(self, p: Mapping[str, Any], x: Any) -> Any:
        there = self._there(x)
        return x * namespace(there).astype(there, x.dtype)[..., None]

    def gives_mask(self, masked: tuple[bool, ...]) -> int:
        return 1

    def compute_mask(self, xs: Sequence[Any], masks: Sequence[Any]) -> Any:
        return self._there(xs[0])
