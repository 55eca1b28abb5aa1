"""Calling a layer: on symbols it draws, on arrays it computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

from nnx.backend import adapter_of, device_of, get_backend, namespace, next_seed, to_numpy
from nnx.errors import OptionError, ShapeError, located
from nnx.layers.placed import Placed
from nnx.layers.spec import Context, Spec, Weight
from nnx.layers.symbols import Shape, Symbol

NOTHING: Mapping[str, Any] = MappingProxyType({})


class Called(Placed):
    """What every layer does when it is called, from what it says in ``spec`` and ``forward``."""

    random: ClassVar[bool] = False
    stateful: ClassVar[bool] = False
    #: how many inputs it takes: None is any number
    arity: ClassVar[int | None] = 1
    #: whether forward takes ``mask=``
    takes_mask: ClassVar[bool] = False
    #: the options that a call may have, besides ``training`` and ``mask``
    call_options: ClassVar[tuple[str, ...]] = ()

    input_shape: Shape | None
    name: str | None

    def spec(self, *input_shapes: Shape) -> Spec:
        """The weights and the output shape for samples of ``input_shapes``."""
        raise NotImplementedError

    def forward(self, p: Mapping[str, Any], *xs: Any) -> Any:
        """The layer's output for batches ``xs``."""
        raise NotImplementedError

    def with_changes(self, answer: Any) -> tuple[Any, Mapping[str, Any]]:
        """What a stateful layer's forward gave, ``(y, changes)``; OptionError where it is anything else."""
        if not (isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[1], Mapping)):
            raise OptionError(
                f"{self.label} is stateful, so its forward must return (y, {{name: new}}), or (y, {{}}) "
                f"where nothing changes; it returned a {type(answer).__name__}."
            )
        return answer

    def __call__(self, *xs: Any, training: bool | None = None, mask: Any = None, **options: Any) -> Any:
        """The symbol of the output for symbols, the output for arrays; a list where there are several.

        ``training=False`` on symbols holds whatever the model does: dropout is off, and running statistics
        are used and stay as they are. ``mask``: for arrays, that of the input (a list for several); between
        symbols masks flow by themselves. ``options``: those of ``call_options``.
        """
        if unknown := [name for name in options if name not in self.call_options]:
            takes = ", ".join(("training", "mask", *self.call_options))
            raise OptionError(f"{self.label} takes no option '{unknown[0]}' when it is called: only {takes}.")
        if len(xs) == 1 and isinstance(xs[0], list | tuple):
            xs = tuple(xs[0])
        if not xs or self.arity not in (None, len(xs)):
            takes = "at least one input" if self.arity is None else f"{self.arity} input"
            raise ShapeError(f"{self.label} takes {takes}, got {len(xs)}.")
        drawn = [isinstance(x, Symbol) for x in xs]
        if any(drawn):
            if not all(drawn):
                raise OptionError(f"{self.label} was called on symbols and arrays together.")
            if mask is not None:
                raise OptionError(f"{self.label}: between symbols masks flow by themselves; leave mask= out.")
            return self.draw(xs, training, options)
        return self._run_on(xs, bool(training), mask, options)

    def draw(
        self, xs: Sequence[Symbol], training: bool | None = None, options: Mapping[str, Any] = NOTHING
    ) -> Any:
        """The symbol of the output for symbols ``xs``; a list of them where there are several outputs.

        ``training`` and ``options`` are those of a call. Raises :class:`nnx.errors.OptionError` for
        ``training=True`` of a layer that draws random numbers or changes its state,
        :class:`nnx.errors.ShapeError` for samples that do not fit.

        >>> nnx.layers.Dense(3).draw([nnx.Input((4,))]).shape
        (3,)
        """
        if training is True and (self.random or self.stateful):
            raise OptionError(
                f"{self.label}: training=True cannot be fixed for a symbol. fit trains every layer, and "
                "model(x, training=True) computes the outputs as in training."
            )
        with located(lambda: f"in {self.described}"):
            spec = self.spec_for([x.shape for x in xs], options)
        shapes = spec.output_shapes
        how: Any = {"training": False if training is False else None, "options": dict(options)}
        how["count"] = len(shapes)
        first = Symbol(shapes[0], self, tuple(xs), **how)
        if len(shapes) == 1:
            return first
        others = enumerate(shapes[1:], start=1)
        return [first, *(Symbol(s, self, tuple(xs), output=i, first=first, **how) for i, s in others)]

    def spec_for(self, shapes: Sequence[Shape], options: Mapping[str, Any] = NOTHING) -> Spec:
        """What it becomes for inputs of these shapes; ShapeError where it was declared or made for others."""
        if self.input_shape is not None and tuple(self.input_shape) != shapes[0]:
            raise ShapeError(
                f"{self.label} was declared with input_shape={self.input_shape}, but it receives samples of "
                f"shape {shapes[0]}."
            )
        spec = self.spec(*shapes, **options)
        if self.brought is not None:
            self._must_fit(spec, self.brought, shapes)
        return spec

    def _must_fit(self, spec: Spec, arrays: Sequence[Any], shapes: Sequence[Shape]) -> None:
        own, needed = [tuple(a.shape) for a in arrays], [w.shape for w in spec.weights]
        if own != needed:
            raise ShapeError(
                f"{self.label} has weights of shapes {own}: it was made for other inputs than samples of "
                f"shape {', '.join(map(str, shapes))}, for which they would be {needed}."
            )

    def _run_on(self, xs: Sequence[Any], training: bool, mask: Any, options: Mapping[str, Any]) -> Any:
        for x in xs:
            if not getattr(x, "shape", None):
                raise ShapeError(
                    f"{self.label} takes arrays with samples along the first axis, or symbols, got {x!r}."
                )
        xp = namespace(*xs)
        floating = [x.dtype for x in xs if xp.isdtype(x.dtype, "real floating")]
        if len(floating) < len(xs):  # whole numbers and bools become what the others are
            kind = floating[0] if floating else adapter_of(xs[0]).dtype(get_backend().dtype)
            xs = [x if x.dtype in floating else xp.astype(x, kind) for x in xs]
        shapes = [tuple(x.shape[1:]) for x in xs]
        with located(lambda: f"in {self.described}"):
            spec = self.spec_for(shapes, options)
            if not self.built:
                self._make_weights(spec.weights)
            arrays = self.get_weights()
            self._must_fit(spec, arrays, shapes)
        adapter, like = adapter_of(xs[0]), xs[0]
        p = {
            w.name: adapter.asarray(array, dtype=like.dtype, device=device_of(like))
            for w, array in zip(spec.weights, arrays, strict=True)
        }
        said = dict(options)
        if mask is not None and self.takes_mask:
            said["mask"] = tuple(mask) if isinstance(mask, list | tuple) else mask
        if self.random or self.stateful:
            xs = (*xs, Context(training, next_seed() if training else 0))
        y = self.forward(p, *xs, **said)
        y = self.with_changes(y)[0] if self.stateful else y
        return list(y) if spec.more else y

    def _make_weights(self, weights: Sequence[Weight]) -> None:
        """First values for the weights of a layer in no model, in the current backend's data type."""
        seed, dtype = next_seed(), get_backend().dtype
        arrays = [to_numpy(w.first(seed, n)).astype(dtype) for n, w in enumerate(weights)]
        self.brings(arrays, [w.name for w in weights])

    @property
    def label(self) -> str:
        """The name of the layer's class, for messages."""
        return type(self).__name__

    @property
    def described(self) -> str:
        """The class and the layer's name, if it has one, for messages."""
        return self.label if self.name is None else f"{self.label} '{self.name}'"
