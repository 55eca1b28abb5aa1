"""What a layer is: a frozen description, from which building, counting, saving and running follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any, ClassVar

from nnx import regularizers
from nnx.errors import OptionError, ShapeError
from nnx.layers.calling import Called
from nnx.layers.per_sample import Pullback, by_directions
from nnx.layers.placed import Name
from nnx.layers.spec import Context, Spec, Weight
from nnx.layers.symbols import SHAPE, Shape
from nnx.options import Check, flag, option
from nnx.registry import Registry, Traits

registry = Registry("layer", Traits)
register = registry.register
#: What other libraries, and older versions of Keras, call these arguments.
_ELSEWHERE = {
    "batch_input_shape": "input_shape, without the batch axis",
    "batch_shape": "input_shape (of Input: shape), without the batch axis",
    "dtype": "dtype of the model",
    "init": "kernel_initializer",
    "input_dim": "input_shape=(n,)",
    "nb_units": "units",
    "out_features": "units",
    "output_dim": "units",
    "p": "rate",
    "sigma": "stddev",
    "weights": "model.layers[i].set_weights",
}


def found(things: Registry[Any]) -> Check:
    """The check that turns a name, a function or a configuration into one of the things of a registry."""

    def check(where: str, name: str, value: Any) -> Any:
        thing = things.get(value)
        if thing is not None and not callable(thing):
            raise OptionError(
                f"{where}: {name} must be a name, a function or one of nnx.{things.kind}s, got {value!r}."
            )
        return thing

    check.__doc__ = f"The check that an option is a name, a function or an object of nnx.{things.kind}s."
    return check


def chosen(things: Registry[Any], default: Any = None) -> Any:
    """A dataclass field for one of the things of a registry: an activation, an initializer, ..."""
    return option(found(things), default)


def _name(where: str, name: str, value: Any) -> Any:
    if not isinstance(value, str | None):
        raise OptionError(f"{where}: {name} must be a string, got {value!r}.")
    return value


def _shape(where: str, name: str, value: Any) -> Any:
    """The check that an option is the shape of one sample, a tuple of positive integers, or None."""
    return None if value is None else SHAPE(where, name, value)


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer(Called):
    """Base class of layers; derive a frozen dataclass from it to make your own.

    ``spec(input_shape)`` says which weights there are and what shape comes out, without touching arrays.
    ``forward(p, x)`` is a pure function of the named weights ``p`` and a batch ``x`` (first axis: samples),
    written with ``nnx.backend.namespace(x)``. There are three kinds of forward:

    - plain: ``forward(p, x)``;
    - ``random = True``: ``forward(p, x, context)``, for layers that need random numbers or behave differently
      in training (see :class:`Context`);
    - ``stateful = True``: ``forward(p, x, context)`` returns ``(y, {name: new})``: what the weights of those
      names, which are not trained, become if the step is accepted.

    A layer of several inputs has ``spec(*input_shapes)`` and ``forward(p, *xs)``; one of several outputs says
    so in its :class:`Spec`. One in which a sample's output depends on the rest of the batch sets
    ``mixes_samples = True``. A layer that is made of others says so in ``parts()``. What else a call may say
    (``layer(x, option=...)``) stands in ``call_options``, and arrives in ``spec`` and ``forward`` by name.

    A mask says which steps of a sequence count: a bool array (n, steps), False for those left out, as
    a layer that makes one gives it. With ``supports_masking = True`` it passes on to the output, else it ends
    here; with ``takes_mask = True`` forward gets it as ``mask=`` where there is one (of several inputs as a
    tuple, with None for those without). A layer that makes or changes masks says when in ``gives_mask``, and
    which in ``compute_mask``.

    Raises :class:`nnx.errors.OptionError` for options out of range, and where it is used
    :class:`nnx.errors.ShapeError` for inputs that do not fit. ``@nnx.layers.register()`` makes models with it
    savable.

    A layer that is called on a :class:`Symbol` gives the symbol of its output (``y = Dense(3)(x)``); called
    on arrays it gives its output for them, with weights that are made if it has none.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Scale(nnx.layers.Layer):
    ...     start: float = 1.0
    ...     def spec(self, input_shape):
    ...         start = nnx.initializers.Constant(self.start)
    ...         return nnx.layers.Spec(input_shape, (nnx.layers.Weight("scale", input_shape, start),))
    ...     def forward(self, p, x):
    ...         return x * p["scale"]
    >>> model = nnx.Sequential([Scale(2.0, input_shape=(3,))])
    >>> model.predict(np.ones((1, 3), dtype="float32"))
    array([[2., 2., 2.]], dtype=float32)
    >>> layer = model.layers[0]
    >>> layer.built, layer.weight_names, layer.count_params(), layer.output_shape
    (True, ('scale',), 3, (None, 3))
    >>> layer.set_weights([np.zeros(3)])
    >>> layer.get_weights(), len(layer.weights)
    ([array([0., 0., 0.], dtype=float32)], 1)
    >>> len(layer.trainable_weights), len(layer.non_trainable_weights)
    (1, 0)
    >>> Scale.from_config(layer.get_config()).start
    2.0
    """

    kind: ClassVar[str] = "layer"
    renamed: ClassVar[Mapping[str, str]] = _ELSEWHERE
    #: whether a sample's output depends on the other samples of its batch
    mixes_samples: ClassVar[bool] = False
    #: whether its output is linear in its weights, for a layer that is its only part
    linear: ClassVar[bool] = False
    #: whether a mask of the input is one of the output
    supports_masking: ClassVar[bool] = False
    #: whether its kernels spread their work over the cores by themselves; then BLAS takes one thread
    spreads: ClassVar[bool] = False
    #: as a part of another layer: the names of that one's weights that it takes
    takes: ClassVar[tuple[str, ...]] = ()

    input_shape: Shape | None = option(_shape, None)
    name: str | None = Name()  # type: ignore[assignment]
    trainable: bool = flag(True)
    #: a penalty on the layer's outputs, added to the loss as a mean over the samples of the batch
    activity_regularizer: Any = chosen(regularizers.registry)

    def __post_init__(self) -> None:
        super().__post_init__()
        _name(type(self).__name__, "name", vars(self).get("name"))

    # -- what a subclass says ---------------------------------------------------------------------

    def spec(self, *input_shapes: Shape) -> Spec:
        """The weights and the output shape for samples of ``input_shapes``."""
        return Spec(input_shapes[0])

    def parts(self) -> tuple[Layer, ...]:
        """The layers that it is made of, one after the other; itself if it is made of none."""
        return (self,)

    def forward(self, p: Mapping[str, Any], *xs: Any) -> Any:
        """The layer's output for batches ``xs``: that of its parts, one after the other."""
        parts = self.parts()
        if parts[0] is self:
            hint = " Keras' call is called so here; the weights come by name in p." * hasattr(self, "call")
            raise NotImplementedError(f"{type(self).__name__} must define forward(self, p, x).{hint}")
        y = parts[0].forward(p, *xs)
        for part in parts[1:]:
            y = part.forward(p, y)
        return y

    def per_sample(
        self, p: Mapping[str, Any], names: Sequence[str], xs: Sequence[Any], context: Context, **said: Any
    ) -> tuple[Any, Pullback]:
        """``(y, back)``: the output for inputs ``xs``, and the pullback sample by sample.

        ``back(g)`` of the gradient by y returns the gradients by each of ``xs``, and a function that makes of
        a slice of the samples a dict with each one's gradient by each of the weights called ``names``, of
        shape ``(n, *shape)``. This one serves every layer that does not mix samples; a layer with many
        weights has a faster one. ``said``: what forward takes by name besides. Of several outputs y is a
        tuple, and ``back`` takes a list with None for those that no gradient comes from.
        """
        run: Any = partial(self.forward, **said) if said else self.forward
        if self.random or self.stateful:
            of_context = run
            run = lambda q, *xs: of_context(q, *xs, context)  # noqa: E731
        if self.stateful:
            of_state = run
            run = lambda q, *xs: self.with_changes(of_state(q, *xs))[0]  # noqa: E731
        return by_directions(run, p, names, xs)

    def check_data(self, x: Any, what: str) -> None:
        """Raises :class:`nnx.errors.DataError` for data that it cannot take; returns nothing.

        Asked where data enter a model, of the layers that read them first; ``what`` is what they are called.

        >>> nnx.layers.Embedding(3, 2).check_data(np.asarray([[0, 5]]), "x")
        Traceback (most recent call last):
        nnx.errors.DataError: x goes from 0 to 5, but Embedding has rows for the ids 0 to 2. ...
        """

    # -- masks ------------------------------------------------------------------------------------

    def gives_mask(self, masked: tuple[bool, ...]) -> int:
        """How many of the outputs, from the first on, have a mask; ``masked``: which inputs have one.

        >>> nnx.layers.Dense(3).gives_mask((True,)), nnx.layers.Flatten().gives_mask((True,))
        (1, 0)
        """
        return int(self.supports_masking and any(masked))

    def compute_mask(self, xs: Sequence[Any], masks: Sequence[Any]) -> Any:
        """The mask of the output, for inputs ``xs`` with ``masks`` (None where there is none).

        Shapes: (n, steps), bool; a step counts where it does in every mask.

        >>> nnx.layers.Dense(3).compute_mask([np.ones((1, 2, 4))], [np.asarray([[True, False]])])
        array([[ True, False]])
        """
        there = [mask for mask in masks if mask is not None]
        return reduce(lambda a, b: a & b, there)

    # -- details ----------------------------------------------------------------------------------

    def trained_flags(self) -> tuple[bool, ...]:
        flags = {w.name: w.trainable for w in self.weight_facts()}
        return tuple(self.trainable and flags.get(name, True) for name in self.weight_names)

    def weight_facts(self) -> tuple[Weight, ...]:
        """The weights' descriptions, where the layer is in a built model."""
        return self.home.weights_of(self) if self.home is not None else ()

    def _set(self, name: str, value: Any) -> None:
        """Normalises a field of the frozen dataclass; for ``__post_init__`` only."""
        object.__setattr__(self, name, value)


def parts_of(layer: Layer) -> tuple[Layer, ...]:
    """The parts of a layer; the layer itself if its class overrides ``forward`` of a class with parts.

    >>> nnx.layers.parts_of(nnx.layers.Dense(3, "relu"))
    (Affine(), Activation(activation='relu'))
    """
    order = type(layer).__mro__
    says_parts, says_forward = (
        next(i for i, base in enumerate(order) if name in vars(base)) for name in ("parts", "forward")
    )
    return layer.parts() if says_parts <= says_forward else (layer,)


def need_features(label: str, input_shape: Shape) -> int:
    """The length of the last axis, or an error for samples that have none."""
    if not input_shape:
        raise ShapeError(
            f"{label} needs samples with at least one axis (features), got single numbers. "
            "Give x the shape (samples, features), for example with x.reshape(-1, 1)."
        )
    return input_shape[-1]
