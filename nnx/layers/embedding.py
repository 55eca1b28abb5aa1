"""Whole numbers as vectors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from nnx import constraints, initializers, regularizers
from nnx.autodiff.array import raw
from nnx.backend import adapter_of, namespace, to_numpy
from nnx.errors import DataError, OptionError, ShapeError
from nnx.layers.base import Layer, chosen, registry
from nnx.layers.per_sample import Gradients, Pullback
from nnx.layers.spec import Context, Spec, Weight
from nnx.layers.symbols import Shape
from nnx.options import flag, number

Array = Any
#: float32 holds every whole number up to this one
_EXACT = 1 << 24


@registry.register()
@dataclass(frozen=True)
class Embedding(Layer):
    """Row i of a table for the id i: ids such as those of words as vectors that are learned.

    Ids are whole numbers from 0 to ``input_dim`` − 1, as integers or as floats; ``embeddings`` has shape
    (input_dim, output_dim). With ``mask_zero`` the id 0 is no word: steps with it are left out by the layers
    that take masks. fit, evaluate and predict refuse data with other numbers, by
    :class:`nnx.errors.DataError`; called directly, the layer cuts off fractions and takes the nearest row.

    Raises :class:`nnx.errors.ShapeError` for samples that are single numbers, and
    :class:`nnx.errors.OptionError` in a float32 model for more than 2²⁴ ids, which float32 cannot hold.
    Source: Y. Bengio et al., "A neural probabilistic language model", JMLR 3 (2003) 1137–1155; Keras'
    ``Embedding``.

    Shapes: (n, ...) → (n, ..., output_dim).

    >>> layer = nnx.layers.Embedding(10, 4)
    >>> y = layer(np.asarray([[3, 3, 0]]))
    >>> y.shape, bool((y[0, 0] == layer.embeddings[3]).all())
    ((1, 3, 4), True)
    """

    renamed: ClassVar[Mapping[str, str]] = {
        "input_length": "nothing in its place (the data say how long they are)",
        "weights": "layer.set_weights",
    }

    input_dim: int = number(least=1, whole=True)
    output_dim: int = number(least=1, whole=True)
    embeddings_initializer: Any = chosen(initializers.registry, "uniform")
    embeddings_regularizer: Any = chosen(regularizers.registry)
    embeddings_constraint: Any = chosen(constraints.registry)
    mask_zero: bool = flag(False)

    def spec(self, input_shape: Shape) -> Spec:  # type: ignore[override]
        if not input_shape:
            raise ShapeError(
                f"{self.label} takes samples of shape (steps,) or more axes, got single numbers. Give x the "
                "shape (samples, steps), for example with x.reshape(-1, 1)."
            )
        table = Weight(
            "embeddings",
            (self.input_dim, self.output_dim),
            self.embeddings_initializer,
            self.embeddings_regularizer,
            self.embeddings_constraint,
        )
        return Spec((*input_shape, self.output_dim), (table,))

    def check_data(self, x: Array, what: str) -> None:
        if not math.prod(x.shape):
            return
        xp = namespace(x)
        low, high = float(to_numpy(xp.min(x))), float(to_numpy(xp.max(x)))
        if low < 0 or high >= self.input_dim:
            raise DataError(
                f"{what} goes from {low:g} to {high:g}, but {self.described} has rows for the ids 0 to "
                f"{self.input_dim - 1}. Make it with a larger input_dim, or give other ids."
            )
        if xp.isdtype(x.dtype, "real floating") and not bool(to_numpy(xp.all(x == xp.floor(x)))):
            raise DataError(f"{what} has fractions, but {self.described} takes ids, which are whole numbers.")

    def _ids(self, x: Array) -> Array:
        """The rows to take, one after the other."""
        plain = raw(x)
        xp = namespace(plain)
        if self.input_dim > _EXACT and plain.dtype == xp.float32:
            raise OptionError(
                f"{self.described}: float32 cannot hold all of {self.input_dim} ids. Make the model with "
                "dtype='float64'."
            )
        ids = xp.astype(xp.reshape(plain, (-1,)), xp.int64)
        return xp.clip(ids, 0, self.input_dim - 1)

    def forward(self, p: Mapping[str, Any], x: Any) -> Any:
        table = p["embeddings"]
        xp = namespace(table)
        rows = xp.take(table, self._ids(x), axis=0)
        return xp.reshape(rows, (*x.shape, self.output_dim))

    def per_sample(
        self, p: Mapping[str, Any], names: Sequence[str], xs: Sequence[Any], context: Context, **said: Any
    ) -> tuple[Any, Pullback]:
        (x,) = xs
        ids = self._ids(x)
        count, length = x.shape[0], math.prod(x.shape[1:])

        def back(g: Array) -> tuple[Sequence[Any], Gradients]:
            def gradients(part: slice) -> dict[str, Array]:
                if not names:
                    return {}
                start, stop, _ = part.indices(count)
                xp, n = namespace(g), stop - start
                own = xp.reshape(ids[start * length : stop * length], (n, length))
                own = own + self.input_dim * xp.arange(n, dtype=own.dtype, device=own.device)[:, None]
                values = xp.reshape(g[part, ...], (n * length, self.output_dim))
                rows = adapter_of(g).scatter_add(n * self.input_dim, xp.reshape(own, (-1,)), values)
                return {"embeddings": xp.reshape(rows, (n, self.input_dim, self.output_dim))}

            return (namespace(x).zeros_like(x),), gradients

        return self.forward(p, x), back

    def gives_mask(self, masked: tuple[bool, ...]) -> int:
        return int(self.mask_zero)

    def compute_mask(self, xs: Sequence[Any], masks: Sequence[Any]) -> Any:
        plain = raw(xs[0])
        xp = namespace(plain)
        return xp.astype(plain, xp.int64) != 0
