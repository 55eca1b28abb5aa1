"""Any function of arrays as a layer."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass
from functools import cached_property
from typing import Any, ClassVar

from nnx.backend import get_backend
from nnx.errors import OptionError, ShapeError
from nnx.layers import functions
from nnx.layers.base import Layer, chosen, registry
from nnx.layers.spec import Spec
from nnx.layers.symbols import SHAPE, Shape
from nnx.layers.wanted import WantedShape, wanted_shape
from nnx.options import option


def _arguments(where: str, name: str, value: Any) -> dict[str, Any]:
    """The check that an option is a dict of keyword arguments, or None for none."""
    value = {} if value is None else value
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise OptionError(f"{where}: {name} must be a dict of keyword arguments, got {value!r}.")
    return dict(value)


@registry.register()
@dataclass(frozen=True)
class Lambda(Layer):
    """``function(x, **arguments)``, for a function of arrays in the standard's or NumPy's calls.

    The first axis of ``x`` is that of the samples, each of which the function must treat by itself. Several
    inputs come as a list. It gets ``training=`` and ``mask=`` too where it has parameters of these names. It
    has no weights: a layer of one's own can have them (:class:`nnx.layers.Layer`).

    ``output_shape`` is the shape of one sample's output, or a function that makes it from that of the inputs,
    ``(None, ...)`` with an axis for the samples, as Keras has it. Without it the function is run on a batch
    of two samples to find out. ``mask`` is a function ``(x, mask)`` that gives the mask of the output;
    without it masks end here. A file can name functions registered by ``@nnx.layers.functions.register()``,
    or elsewhere, as activations are; saving others raises :class:`nnx.errors.OptionError`.

    Shapes: (n, ...) → (n, ...). Source: Keras' ``layers.Lambda``.

    >>> layer = nnx.layers.Lambda(lambda x, power: np.sum(x**power, axis=1), arguments={"power": 2})
    >>> layer(np.asarray([[1.0, 2.0], [3.0, 4.0]]))
    array([ 5., 25.])
    >>> nnx.Sequential([nnx.Input((2, 3)), layer]).output_shape
    (None, 3)
    """

    arity: ClassVar[int | None] = None

    function: Any = chosen(functions.registry, MISSING)
    output_shape: Any = WantedShape()  # noqa: RUF009  # it stays in the class, as a property does
    mask: Any = chosen(functions.registry)
    arguments: Mapping[str, Any] | None = option(_arguments, None)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.function is None:
            raise OptionError("Lambda: function must be a function of arrays, got None.")
        wanted = wanted_shape(self)
        if callable(wanted) or isinstance(wanted, str):
            self._set("output_shape", functions.registry.get(wanted))
        elif wanted is not None:
            self._set("output_shape", SHAPE("Lambda", "output_shape", wanted))

    @cached_property
    def _parameters(self) -> frozenset[str]:
        try:
            return frozenset(inspect.signature(self.function.function).parameters)
        except ValueError:  # of some compiled functions nothing is known
            return frozenset()

    @property
    def random(self) -> bool:  # type: ignore[override]
        """Whether the function has a parameter ``training``."""
        return "training" in self._parameters

    @property
    def takes_mask(self) -> bool:  # type: ignore[override]
        """Whether the function has a parameter ``mask``."""
        return "mask" in self._parameters

    def gives_mask(self, masked: tuple[bool, ...]) -> int:
        return int(self.mask is not None)

    def compute_mask(self, xs: Sequence[Any], masks: Sequence[Any]) -> Any:
        one = len(xs) == 1
        return self.mask(xs[0] if one else list(xs), masks[0] if one else list(masks))

    def spec(self, *input_shapes: Shape) -> Spec:
        wanted = wanted_shape(self)
        if wanted is None:
            return Spec(self._found(input_shapes))
        if not callable(wanted):
            return Spec(wanted)
        batches = [(None, *shape) for shape in input_shapes]
        shape = wanted(batches[0] if len(batches) == 1 else batches)
        found = SHAPE("Lambda", "what output_shape gives, without its first axis", tuple(shape)[1:])
        return Spec(found or ())

    def _found(self, shapes: Sequence[Shape]) -> Shape:
        """The shape of one sample's output: the function is run on a batch of two."""
        backend = get_backend()
        xp = backend.xp
        xs = [xp.full((2, *shape), 0.5, dtype=xp.float32, device=backend.device) for shape in shapes]
        extra = {"training": False} if self.random else {}
        try:
            y = self._applied(xs, extra)
        except Exception as error:
            raise ShapeError(
                f"{self.described} was run on two samples of shape {', '.join(map(str, shapes))} to find its "
                f"output's shape, and failed: {error!r}. If that is no mistake in it, give output_shape=."
            ) from error
        shape = tuple(getattr(y, "shape", ()))
        if not shape or shape[0] != 2:
            raise ShapeError(
                f"{self.described} must give an array with the samples along the first axis; for two samples "
                f"of shape {', '.join(map(str, shapes))} it gave {f'shape {shape}' if shape else repr(y)}."
            )
        return shape[1:]

    def _applied(self, xs: Sequence[Any], extra: Mapping[str, Any]) -> Any:
        return self.function(xs[0] if len(xs) == 1 else list(xs), **{**(self.arguments or {}), **extra})

    def forward(self, p: Mapping[str, Any], *xs: Any, mask: Any = None) -> Any:
        extra = {"mask": mask} if self.takes_mask else {}
        if self.random:
            *xs, context = xs  # type: ignore[assignment]
            extra["training"] = context.training
        return self._applied(xs, extra)
