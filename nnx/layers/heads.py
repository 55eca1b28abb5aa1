"""Base of attention with several heads: projections, and what a call can say of masks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from nnx.activations import sigmoid
from nnx.backend import namespace
from nnx.errors import ShapeError
from nnx.layers.attending import as_bools, attended, both, near, of_steps
from nnx.layers.base import Layer
from nnx.layers.dense import WithKernel, affine
from nnx.layers.spec import Context, Spec, Weight
from nnx.layers.symbols import Shape
from nnx.options import Seed, flag, option


class Heads(NamedTuple):
    """How many heads there are for queries, and for keys and values; their sizes; what else they do."""

    queries: int
    values: int
    key_dim: int
    value_dim: int
    use_bias: bool
    dropout: float
    window: int | None


@dataclass(frozen=True, kw_only=True)
class WithHeads(WithKernel):
    """Base of the layers that project queries, keys and values and let each head attend by itself."""

    supports_masking: ClassVar[bool] = True
    takes_mask: ClassVar[bool] = True
    arity: ClassVar[int | None] = None
    call_options: ClassVar[tuple[str, ...]] = ("further", "return_attention_scores", "use_causal_mask")
    renamed: ClassVar[Mapping[str, str]] = {
        **Layer.renamed,
        "flash_attention": "nothing in its place (there is one way to compute it)",
    }

    use_gate: bool = flag(False)
    seed: int | None = option(Seed(), None)

    @property
    def heads(self) -> Heads:
        """The heads that the options make."""
        raise NotImplementedError

    @property
    def random(self) -> bool:  # type: ignore[override]
        """Whether there is dropout."""
        return self.heads.dropout > 0.0

    # -- calling ----------------------------------------------------------------------------------

    def __call__(
        self,
        *xs: Any,
        query: Any = None,
        value: Any = None,
        key: Any = None,
        attention_mask: Any = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        training: bool | None = None,
        mask: Any = None,
        **said: Any,
    ) -> Any:
        """The output for ``query, value, key=value``, symbols or arrays; see the class for the rest."""
        if len(xs) == 1 and isinstance(xs[0], list | tuple):
            xs = tuple(xs[0])
        xs = (*((query,) if query is not None else ()), *xs, *((value,) if value is not None else ()))
        if len(xs) not in (2, 3) or (len(xs) == 3 and key is not None):
            raise self._of_inputs(len(xs))
        key = xs[2] if len(xs) == 3 else key
        more = {"key": key, "attention_mask": attention_mask}
        further = tuple(name for name, x in more.items() if x is not None)
        if further not in ((), ("key",)):
            said["further"] = further
        masks = (query_mask, value_mask, *((key_mask,) if key is not None else ()))
        if mask is None and any(m is not None for m in masks):
            mask = masks
        if isinstance(mask, list | tuple):
            mask = (*mask, *(None,) * (2 + len(further) - len(mask)))
        inputs = (*xs[:2], *(more[name] for name in further))
        return super().__call__(inputs, training=training, mask=mask, **said)

    def _named(self, xs: Sequence[Any], further: Sequence[str] | None) -> dict[str, Any]:
        """The inputs by name; without ``further`` a third one is the key."""
        names = ("key",) if further is None else tuple(further)
        if len(xs) < 2 or (further is not None and len(xs) != 2 + len(names)):
            raise self._of_inputs(len(xs))
        return dict(zip(("query", "value", *names), xs, strict=False))

    def _of_inputs(self, n: int) -> ShapeError:
        takes = "a query, a value and, if it is another, a key"
        return ShapeError(f"{self.described} takes {takes}; got {n} inputs.")

    def gives_mask(self, masked: tuple[bool, ...]) -> int:
        return int(masked[0])

    def compute_mask(self, xs: Sequence[Any], masks: Sequence[Any]) -> Any:
        return masks[0]

    # -- shapes -----------------------------------------------------------------------------------

    def places(self, rank: int) -> tuple[int, ...]:
        """The axes over which it attends, of arrays with ``rank`` ≥ 3 axes.

        Raises :class:`nnx.errors.ShapeError` where the arrays have not these axes.
        """
        return tuple(range(1, rank - 1))

    def output_of(self, query: Shape) -> Shape:
        """What stands in the place of a query's features in the output."""
        return query[-1:]

    def spec(
        self,
        *input_shapes: Shape,
        further: Sequence[str] | None = None,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Spec:
        named = self._named(input_shapes, further)
        query, value, key = named["query"], named["value"], named.get("key", named["value"])
        places = self._fitting(query, value, key)
        if use_causal_mask and len(places) > 1:
            raise ShapeError(
                f"{self.described}: use_causal_mask needs one axis of steps, not the axes {places}."
            )
        own = self.heads
        scores = (
            *(n for i, n in enumerate(query[:-1], 1) if i not in places),
            own.queries,
            *(shape[i - 1] for shape in (query, value) for i in places),
        )
        if "attention_mask" in named:
            self._need_mask(named["attention_mask"], scores, len(places))
        output = self.output_of(query)
        weights = [
            ("query", (query[-1], own.queries, own.key_dim), 1),
            ("key", (key[-1], own.values, own.key_dim), 1),
            *([("gate", (query[-1], own.queries, own.value_dim), 1)] if self.use_gate else []),
            ("value", (value[-1], own.values, own.value_dim), 1),
            ("attention_output", (own.queries, own.value_dim, *output), 2),
        ]
        made = [w for name, shape, inputs in weights for w in self._pair(name, shape, shape[inputs:])]
        return Spec((*query[:-1], *output), tuple(made), more=(scores,) if return_attention_scores else ())

    def _pair(self, name: str, kernel: Shape, bias: Shape) -> list[Weight]:
        """The kernel of a projection, and its bias if there is one."""
        first = Weight(
            f"{name}/kernel", kernel, self.kernel_initializer, self.kernel_regularizer, self.kernel_constraint
        )
        if not self.heads.use_bias:
            return [first]
        return [
            first,
            Weight(f"{name}/bias", bias, self.bias_initializer, self.bias_regularizer, self.bias_constraint),
        ]

    def _fitting(self, query: Shape, value: Shape, key: Shape) -> tuple[int, ...]:
        """The axes over which it attends, for samples that fit each other."""
        if min(map(len, (query, value, key))) < 2 or len(query) != len(value):
            raise ShapeError(
                f"{self.described} needs samples (steps, features), with as many axes in query and value; "
                f"got query {query} and value {value}."
            )
        if value[:-1] != key[:-1]:
            raise ShapeError(
                f"{self.described}: value and key may differ in their last axis alone; got {value} and {key}."
            )
        places = self.places(len(query) + 1)
        for i in range(1, len(query)):
            if i not in places and query[i - 1] != value[i - 1]:
                raise ShapeError(
                    f"{self.described} attends over the axes {places}: query {query} and value {value} must "
                    f"agree in axis {i}, which it leaves alone."
                )
        return places

    def _need_mask(self, mask: Shape, scores: Shape, axes: int) -> None:
        fits = len(mask) >= 2 * axes and len(mask) <= len(scores)
        mine = self._with_heads(mask, len(scores), axes) if fits else mask
        if not fits or any(m not in (1, n) for m, n in zip(mine, scores, strict=True)):
            raise ShapeError(
                f"{self.described}: attention_mask of shape {mask} for each sample does not fit scores of "
                f"shape {scores}: it needs (query steps, value steps), and may have the heads before them."
            )

    @staticmethod
    def _with_heads(shape: Shape, rank: int, axes: int) -> Shape:
        """The shape of a mask with axes for heads, and whatever else it lacks, before those of the steps."""
        at = len(shape) - 2 * axes
        return (*shape[:at], *(1,) * (rank - len(shape)), *shape[at:])

    # -- computing --------------------------------------------------------------------------------

    def forward(
        self,
        p: Mapping[str, Any],
        *xs: Any,
        mask: Any = None,
        further: Sequence[str] | None = None,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        context: Context | None = None
        if self.random:
            *xs, context = xs  # type: ignore[assignment]
        named = self._named(xs, further)
        query, value = named["query"], named["value"]
        key, own = named.get("key", value), self.heads
        xp, places = namespace(*xs, *p.values()), self.places(query.ndim)
        q = self._apart(self._projected(p, "query", query), places)
        k = self._apart(self._projected(p, "key", key), places)
        v = self._apart(self._projected(p, "value", value), places)
        if own.queries != own.values:  # several heads of queries share one of keys and values
            k, v = (xp.repeat(a, own.queries // own.values, axis=-3) for a in (k, v))
        allowed = near(q.shape[-2], v.shape[-2], causal=use_causal_mask, window=own.window, like=q)
        kept = both(self._kept(named, mask, places, q.ndim), allowed)
        scores = (q * (1.0 / math.sqrt(own.key_dim))) @ xp.matrix_transpose(k)
        y, weights = attended(scores, v, kept, own.dropout, self.seed, context)
        y = self._together(y, query.shape, places)
        if self.use_gate:
            y = y * sigmoid(self._projected(p, "gate", query))
        y = self._projected(p, "attention_output", y, inputs=2)
        if not return_attention_scores:
            return y
        steps = (*(query.shape[i] for i in places), *(value.shape[i] for i in places))
        return y, xp.reshape(weights, (*weights.shape[:-2], *steps))

    def _projected(self, p: Mapping[str, Any], name: str, x: Any, inputs: int = 1) -> Any:
        """The product with a kernel over the last axes, as many as are its ``inputs``, and the bias."""
        kernel, bias = p[f"{name}/kernel"], p.get(f"{name}/bias")
        xp, outputs = namespace(x, kernel), kernel.shape[inputs:]
        rest = x.shape[: x.ndim - inputs]
        rows = xp.reshape(x, (math.prod(rest), math.prod(kernel.shape[:inputs])))
        matrix = xp.reshape(kernel, (rows.shape[1], math.prod(outputs)))
        z = rows @ matrix if bias is None else affine(rows, matrix, xp.reshape(bias, (-1,)))
        return xp.reshape(z, (*rest, *outputs))

    def _order(self, rank: int, places: tuple[int, ...]) -> tuple[int, ...]:
        """The axes (samples, left alone, heads, attended, size of a head) of projected samples."""
        alone = tuple(i for i in range(1, rank - 2) if i not in places)
        return (0, *alone, rank - 2, *places, rank - 1)

    def _apart(self, x: Any, places: tuple[int, ...]) -> Any:
        """(..., heads, steps, size), with all axes of steps as one."""
        xp = namespace(x)
        y = xp.permute_dims(x, self._order(x.ndim, places))
        n = y.ndim - 1 - len(places)
        return xp.reshape(y, (*y.shape[:n], math.prod(y.shape[n:-1]), y.shape[-1]))

    def _together(self, y: Any, query: Shape, places: tuple[int, ...]) -> Any:
        """What :func:`_apart` took apart, with the steps of the query."""
        xp, order = namespace(y), self._order(len(query) + 1, places)
        y = xp.reshape(y, (*y.shape[:-2], *(query[i] for i in places), y.shape[-1]))
        return xp.permute_dims(y, tuple(order.index(i) for i in range(len(order))))

    def _kept(self, named: Mapping[str, Any], mask: Any, places: tuple[int, ...], rank: int) -> Any:
        """Which scores count, as far as masks say, for scores of that rank; None where all do."""
        of = dict(zip(named, mask or (), strict=False))
        masks = [of.get(name) for name in ("query", "value", "key")]
        shape = named["query"].shape[1:]
        if any(m is not None for m in masks) and len(shape) != 2:
            raise ShapeError(
                f"{self.described}: masks of steps need samples (steps, features), got {shape}. Use "
                "attention_mask."
            )
        steps, given = of_steps(*masks), named.get("attention_mask")
        if given is not None:
            lead, axes = given.ndim - 2 * len(places), len(places)
            sizes = (math.prod(given.shape[i : i + axes]) for i in (lead, lead + axes))
            flat = self._with_heads((*given.shape[:lead], *sizes), rank, 1)
            given = as_bools(namespace(given).reshape(given, flat))
        return both(None if steps is None else steps[:, None, :, :], given)
