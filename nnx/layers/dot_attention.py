"""Attention without projections: by products, and by sums (Luong's and Bahdanau's)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from nnx import initializers
from nnx.backend import namespace
from nnx.errors import ShapeError
from nnx.layers.attending import attended, both, near, of_steps
from nnx.layers.base import Layer, registry
from nnx.layers.spec import Context, Spec, Weight
from nnx.layers.symbols import Shape
from nnx.options import Seed, flag, fraction, one_of, option


class LooksUp(Layer):
    """Base of the layers that look up values by the scores of a query and keys, without projections."""

    supports_masking: ClassVar[bool] = True
    takes_mask: ClassVar[bool] = True
    arity: ClassVar[int | None] = None
    call_options: ClassVar[tuple[str, ...]] = ("return_attention_scores", "use_causal_mask")

    dropout: float
    seed: int | None

    def own_weights(self, features: int) -> tuple[Weight, ...]:
        """The weights for keys of ``features`` ≥ 1 numbers."""
        raise NotImplementedError

    def scores(self, xp: Any, p: Mapping[str, Any], query: Any, key: Any) -> Any:
        """How well each step of the query and each of the key go together, (n, t, s)."""
        raise NotImplementedError

    @property
    def random(self) -> bool:  # type: ignore[override]
        """Whether there is dropout."""
        return self.dropout > 0.0

    def spec(
        self, *input_shapes: Shape, return_attention_scores: bool = False, use_causal_mask: bool = False
    ) -> Spec:
        if len(input_shapes) not in (2, 3) or any(len(shape) != 2 for shape in input_shapes):
            raise ShapeError(
                f"{self.described} takes a list of query, value and, if it is another, key, each with "
                f"samples (steps, features); got {', '.join(map(str, input_shapes))}."
            )
        query, value, key = *input_shapes[:2], input_shapes[-1]
        if query[-1] != key[-1] or value[0] != key[0]:
            raise ShapeError(
                f"{self.described}: query and key need as many features, key and value as many steps; got "
                f"query {query}, value {value} and key {key}."
            )
        more = ((query[0], value[0]),) if return_attention_scores else ()
        return Spec((query[0], value[1]), self.own_weights(query[-1]), more=more)

    def gives_mask(self, masked: tuple[bool, ...]) -> int:
        return int(masked[0])

    def compute_mask(self, xs: Sequence[Any], masks: Sequence[Any]) -> Any:
        return masks[0]

    def forward(
        self,
        p: Mapping[str, Any],
        *xs: Any,
        mask: Any = None,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        context: Context | None = None
        if self.random:
            *xs, context = xs  # type: ignore[assignment]
        query, value, key = xs[0], xs[1], xs[-1]
        xp = namespace(*xs, *p.values())
        masks = mask or (None, None)
        scores = self.scores(xp, p, query, key)
        allowed = near(query.shape[1], key.shape[1], causal=use_causal_mask, window=None, like=query)
        kept = both(of_steps(None, masks[1], None), allowed)
        if kept is not None:  # where nothing may be seen, everything is
            kept = kept | ~xp.any(kept, axis=-1, keepdims=True)
        y, weights = attended(scores, value, kept, self.dropout, self.seed, context)
        if masks[0] is not None:
            y = xp.where(masks[0][:, :, None], y, xp.zeros_like(y))
        return (y, weights) if return_attention_scores else y


@registry.register()
@dataclass(frozen=True)
class Attention(LooksUp):
    """softmax(scores)·value, with scores query·keyᵀ: each step of the query looks up values by their keys.

    Called on a list of query, value and, if it is not the value, key. The scores are q·k for steps q of the
    query and k of the key, times a trained ``scale`` if ``use_scale``; or with ``score_mode="concat"``
    w·Σtanh(scale·(q + k)), with a trained number w. The call may have ``use_causal_mask=True`` (a step sees
    no later one) and ``return_attention_scores=True`` (a second output, the softmax). The value's mask leaves
    steps out; where it leaves out all that may be seen, they all count, as in Keras. The query's mask makes
    the steps that it leaves out 0, and passes on. In training ``dropout`` in [0, 1) drops entries of the
    softmax.

    Raises :class:`nnx.errors.ShapeError` where query, value and key do not fit each other.
    Shapes: (n, t, d), (n, s, d) → (n, t, d). The softmax has the shape (n, t, s).
    Source: M.-T. Luong, H. Pham, C. D. Manning, "Effective approaches to attention-based neural machine
    translation", EMNLP 2015, section 3.1. Names and defaults are Keras'.

    >>> query, value = np.asarray([[[100.0, 0.0]]]), np.asarray([[[1.0, 0.0], [0.0, 1.0]]])
    >>> nnx.layers.Attention()([query, value])
    array([[[1.00000000e+00, 3.72007598e-44]]])
    """

    use_scale: bool = flag(False)
    score_mode: str = one_of("dot", "concat", default="dot")
    dropout: float = fraction(0.0)
    seed: int | None = option(Seed(), None)

    def own_weights(self, features: int) -> tuple[Weight, ...]:
        names = ["scale"] * self.use_scale + ["concat_score_weight"] * (self.score_mode == "concat")
        return tuple(Weight(name, (), initializers.get("ones")) for name in names)

    def scores(self, xp: Any, p: Mapping[str, Any], query: Any, key: Any) -> Any:
        if self.score_mode == "dot":
            products = query @ xp.matrix_transpose(key)
            return products * p["scale"] if self.use_scale else products
        sums = query[:, :, None, :] + key[:, None, :, :]
        sums = sums * p["scale"] if self.use_scale else sums
        return xp.sum(xp.tanh(sums), axis=-1) * p["concat_score_weight"]


@registry.register()
@dataclass(frozen=True)
class AdditiveAttention(LooksUp):
    """softmax(scores)·value, with scores Σ ``scale``·tanh(query + key) over the features.

    As :class:`Attention`, and called in the same way. ``scale`` is a trained number for each feature, or 1
    without ``use_scale``.

    Shapes: (n, t, d), (n, s, d) → (n, t, d). The softmax has the shape (n, t, s).
    Source: D. Bahdanau, K. Cho, Y. Bengio, "Neural machine translation by jointly learning to align and
    translate", ICLR 2015, appendix A.1.2. Names and defaults are Keras'.

    >>> x = nnx.Input((5, 4))
    >>> nnx.Model(x, nnx.layers.AdditiveAttention()([x, x])).count_params()
    4
    """

    use_scale: bool = flag(True)
    dropout: float = fraction(0.0)
    seed: int | None = option(Seed(), None, kw_only=True)

    def own_weights(self, features: int) -> tuple[Weight, ...]:
        return (Weight("scale", (features,), initializers.get("glorot_uniform")),) * self.use_scale

    def scores(self, xp: Any, p: Mapping[str, Any], query: Any, key: Any) -> Any:
        bent = xp.tanh(query[:, :, None, :] + key[:, None, :, :])
        return xp.sum(bent * p["scale"] if self.use_scale else bent, axis=-1)
