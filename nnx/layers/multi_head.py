"""Attention with several heads, each with keys and values of its own, or shared among some."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nnx.errors import OptionError, ShapeError
from nnx.layers.base import registry
from nnx.layers.heads import Heads, WithHeads
from nnx.layers.spec import Spec
from nnx.layers.symbols import SHAPE, Shape
from nnx.layers.wanted import WantedShape, wanted_shape
from nnx.options import Numbers, flag, fraction, number, option

_AXES = Numbers("axes of the samples, which count from 1", optional=True)


@registry.register()
@dataclass(frozen=True)
class MultiHeadAttention(WithHeads):
    """Each of ``num_heads`` heads looks up values by softmax(q·kᵀ/√``key_dim``)·v; these are projected.

    Called as ``layer(query, value, key=value)``: q, k and v are affine functions of these, with ``key_dim``
    and ``value_dim`` (``key_dim`` if None) numbers for each head, and the output one of all heads' results,
    with as many features as the query or of the shape ``output_shape``. A call may also have

    - ``use_causal_mask=True``: a step sees no later one;
    - ``attention_mask``, an input of bools (query steps, value steps), True where it may see, or one for
      each head (heads, query steps, value steps);
    - ``query_mask``, ``value_mask``, ``key_mask`` (n, steps) for arrays; between symbols they flow by
      themselves, and the query's passes on to the output;
    - ``return_attention_scores=True``: then the softmax is a second output.

    Where nothing may be seen the looked up value is 0. ``attention_axes`` are the axes of steps (None: all
    between the samples' and the features'); other axes are left alone, as that of the samples. With
    ``sliding_window`` only steps less than that far away are seen. ``use_gate`` multiplies the heads' results
    by the sigmoid of another affine function of the query. ``dropout`` in [0, 1) drops entries of the softmax
    in training. The weights are ``query/kernel`` (features, heads, key_dim), ``query/bias`` and so on, in
    Keras' order. ``activity_regularizer`` is one of the output.

    Raises :class:`nnx.errors.ShapeError` where query, value, key and attention_mask do not fit each other.
    Shapes: (n, t, d), (n, s, e) → (n, t, d). The softmax has the shape (n, heads, t, s).
    Source: A. Vaswani et al., "Attention is all you need", NeurIPS 2017, section 3.2. Names and defaults are
    Keras'.

    >>> layer, x = nnx.layers.MultiHeadAttention(num_heads=2, key_dim=3), nnx.Input((5, 4))
    >>> y, scores = layer(x, x, use_causal_mask=True, return_attention_scores=True)
    >>> y.shape, scores.shape
    ((5, 4), (2, 5, 5))
    >>> nnx.Model(x, y).count_params()
    118
    """

    num_heads: int = number(least=1, whole=True)
    key_dim: int = number(least=1, whole=True)
    value_dim: int | None = number(None, least=1, whole=True, optional=True)
    dropout: float = fraction(0.0)
    use_bias: bool = flag(True)
    output_shape: Any = WantedShape()  # noqa: RUF009  # it stays in the class, as a property does
    attention_axes: tuple[int, ...] | None = option(_AXES, None)
    sliding_window: int | None = number(None, least=1, whole=True, optional=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if (wanted := wanted_shape(self)) is not None:
            self._set("output_shape", SHAPE("MultiHeadAttention", "output_shape", wanted))
        if self.attention_axes is not None and not self.attention_axes:
            raise OptionError("MultiHeadAttention: attention_axes must name at least one axis, got none.")

    @property
    def heads(self) -> Heads:
        n, size = self.num_heads, self.value_dim or self.key_dim
        return Heads(n, n, self.key_dim, size, self.use_bias, self.dropout, self.sliding_window)

    def output_of(self, query: Shape) -> Shape:
        return wanted_shape(self) or query[-1:]

    def places(self, rank: int) -> tuple[int, ...]:
        if self.attention_axes is None:
            return super().places(rank)
        places = tuple(axis + rank if axis < 0 else axis for axis in self.attention_axes)
        if not all(0 < i < rank - 1 for i in places) or len(set(places)) < len(places):
            raise ShapeError(
                f"{self.described}: attention_axes={self.attention_axes} must be different axes from 1 to "
                f"{rank - 2} for a query of {rank - 1} axes, of which the last is that of the features."
            )
        return places


@registry.register("GroupedQueryAttention")
@dataclass(frozen=True)
class GroupQueryAttention(WithHeads):
    """Attention in which several heads of queries share the keys and values of one.

    As :class:`MultiHeadAttention`, and called in the same way; ``num_query_heads`` heads of ``head_dim``
    numbers are divided among ``num_key_value_heads`` in order, so that fewer keys and values are projected.
    Raises :class:`nnx.errors.OptionError` where they cannot be divided evenly.

    Shapes: (n, t, d), (n, s, d) → (n, t, d). The softmax has the shape (n, query heads, t, s).
    Source: J. Ainslie et al., "GQA: training generalized multi-query transformer models from multi-head
    checkpoints", EMNLP 2023, section 2.2. Names and defaults are Keras'.

    >>> layer = nnx.layers.GroupQueryAttention(3, num_query_heads=4, num_key_value_heads=2)
    >>> [w.shape for w in layer.spec((5, 6), (5, 6)).weights[:3]]
    [(6, 4, 3), (4, 3), (6, 2, 3)]
    """

    head_dim: int = number(least=1, whole=True)
    num_query_heads: int = number(least=1, whole=True)
    num_key_value_heads: int = number(least=1, whole=True)
    dropout: float = fraction(0.0)
    use_bias: bool = flag(True)
    sliding_window: int | None = number(None, least=1, whole=True, optional=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_query_heads % self.num_key_value_heads:
            raise OptionError(
                f"GroupQueryAttention: num_query_heads={self.num_query_heads} must be a multiple of "
                f"num_key_value_heads={self.num_key_value_heads}."
            )

    @property
    def heads(self) -> Heads:
        queries, values, size = self.num_query_heads, self.num_key_value_heads, self.head_dim
        return Heads(queries, values, size, size, self.use_bias, self.dropout, self.sliding_window)

    def spec(self, *input_shapes: Shape, further: Sequence[str] | None = None, **said: Any) -> Spec:
        if any(len(shape) != 2 for shape in input_shapes[:2]):
            raise ShapeError(f"{self.described} needs samples (steps, features), got {input_shapes}.")
        return super().spec(*input_shapes, further=further, **said)
