"""What every model is: layers under names, and weights made for them where the input shape is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

from nnx.backend import Backend, make_backend, next_seed
from nnx.errors import NotBuilt, OptionError, ShapeError, UnknownName
from nnx.layers import Layer
from nnx.layers.symbols import SHAPE
from nnx.models.network import Network
from nnx.models.residents import Residents
from nnx.models.summary import table
from nnx.models.weights import Weights
from nnx.options import Number, Seed, built_in, text, truth

Shape = tuple[int, ...]
_SEED: Any = Seed(optional=False)
_WIDTH = Number(least=1, whole=True, optional=True)


class Structure:
    """Layers, their weights, and where they live; a subclass says which there are, and who reads whom."""

    def __init__(
        self,
        *,
        name: str | None = None,
        backend: Any = None,
        device: Any = None,
        dtype: str | None = None,
        seed: int | None = None,
    ) -> None:
        self.backend: Backend = make_backend(backend, device, dtype)
        self.name = text(type(self).__name__, "name", name) or type(self).__name__.lower()
        self.seed = next_seed() if seed is None else _SEED(type(self).__name__, "seed", seed)
        self._start()

    def _start(self) -> None:
        """What follows from nothing: no weights, no names."""
        self._weights: Weights | None = None
        self._stale = True
        self._names: dict[int, str] | None = None
        self._residents = Residents(
            self._present_weights,
            self._weights_holding,
            self._layer_names,
            self._exchange,
            self._symbols_of,
            lambda: self.name,
        )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") and not name.startswith("__") and "_residents" not in vars(self):
            raise OptionError(
                f"{type(self).__name__}.__init__ must call super().__init__() before the model is used."
            )
        raise AttributeError(f"{type(self).__name__} has no attribute '{name}'.")

    @classmethod
    def plain(cls) -> type[Self]:
        """The class of nnx's that it is or derives from: what a configuration makes."""
        return next(base for base in cls.__mro__ if built_in(base))

    # -- what a subclass says ---------------------------------------------------------------------

    @property
    def layers(self) -> list[Layer]:
        """The layers, each with its weights."""
        raise NotImplementedError

    @property
    def input_names(self) -> tuple[str, ...]:
        """What the inputs are called: the keys of a dict of data."""
        return ("input",)

    def _known_shapes(self) -> tuple[Shape, ...] | None:
        """The shapes of the inputs' samples; None where they are not known yet."""
        raise NotImplementedError

    def _network_for(self, shapes: tuple[Shape, ...]) -> Network:
        """The network for samples of these shapes, or an error that says why there is none."""
        raise NotImplementedError

    def _adopt(self, network: Network | None) -> None:
        """From now on the inputs have the shapes of this network's; None: they are not known."""
        raise NotImplementedError

    def _symbols_of(self, layer: Layer) -> tuple[list[Any], list[Any]] | None:
        """The symbols that a layer reads and gives; None where the input shape is not known."""
        raise NotImplementedError

    def _forget_training(self) -> None:
        """What has to start anew when layers or weights are others."""

    # -- what there is ----------------------------------------------------------------------------

    @property
    def built(self) -> bool:
        """Whether the input shape is known and the weights exist."""
        return self._present_weights() is not None

    @property
    def network(self) -> Network:
        """Which layers there are, and who reads whom; NotBuilt before the input shape is known."""
        return self._settled().network

    @property
    def label(self) -> str:
        """What messages call the model."""
        kind = type(self).__name__
        return kind if self.name == kind.lower() else f"{kind} '{self.name}'"

    @property
    def input_shape(self) -> Any:
        """The shape of a batch of inputs (a list of them for several); None is the number of samples."""
        shapes: list[Any] = [(None, *shape) for shape in self.network.inputs]
        return shapes[0] if len(shapes) == 1 else shapes

    @property
    def output_shape(self) -> Any:
        """The shape of a batch of outputs (a list or dict of them for several)."""
        return self.network.answer([(None, *shape) for shape in self.network.output_shapes])

    @property
    def output_names(self) -> list[str]:
        """What the outputs are called: the keys of a dict, else the names of the layers that give them.

        A layer that gives two of them has a number in the second one's name.
        """
        return list(self.network.output_names)

    def _known_outputs(self) -> tuple[str, ...] | None:
        """The names of the outputs; None where it is not known yet which there are."""
        return self.network.output_names if self._known_shapes() is not None else None

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer of that name or number; :class:`nnx.errors.UnknownName` if there is none.

        ``name`` is the layer's; ``index`` counts from 0, or from −1 backwards.

        >>> model = nnx.Sequential([nnx.layers.Dense(2, input_shape=(3,), name="first"), nnx.layers.Dense(1)])
        >>> model.get_layer("first").units, model.get_layer(index=-1).name
        (2, 'dense')
        """
        layers = self.layers
        names = [str(layer.name) for layer in layers]
        if index is None and name in names:
            index = names.index(name)
        if not isinstance(index, int) or not -len(names) <= index < len(names):
            asked = f"named {name!r}" if index is None else f"number {index!r}"
            raise UnknownName(f"Model '{self.name}' has no layer {asked}. It has: {', '.join(names)}.")
        return layers[index]

    @property
    def trainable(self) -> bool:
        """Whether any layer is trained; assigning sets it for all of them, and the optimizer starts anew."""
        return any(layer.trainable for layer in self.layers)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for layer in self.layers:
            layer.trainable = value  # type: ignore[misc]

    def summary(
        self,
        line_length: int | None = None,
        print_fn: Any = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
    ) -> None:
        """Prints a table of the layers: name and type, output shape, number of weights, and connections.

        ``line_length`` ≥ 1: how wide it is at least; ``print_fn``: what the text is given to, in place of
        ``print``; ``show_trainable``: with a column that says which layers are trained. Models that are parts
        of this one are shown as their layers, with ``expand_nested`` and without.

        >>> nnx.Sequential([nnx.layers.Dense(2, input_shape=(3,))], name="small").summary()
        Model: "small"
        ────────────────────────────────────────────────────────────────────
        Layer (type)                      Output Shape               Param #
        ────────────────────────────────────────────────────────────────────
        dense (Dense)                     (None, 2)                        8
        ────────────────────────────────────────────────────────────────────
        Total params: 8 (32 B)
        Trainable params: 8
        Non-trainable params: 0
        """
        truth("summary", "expand_nested", expand_nested)
        shown = truth("summary", "show_trainable", show_trainable)
        width = _WIDTH("summary", "line_length", line_length)
        (print_fn or print)(table(self.name, self.layers, self._present_weights(), width, shown))

    # -- building ---------------------------------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Makes the weights for inputs of ``input_shape`` (with or without a leading None).

        For a model of several inputs it is a list of shapes. Raises :class:`nnx.errors.ShapeError` for
        another shape than that of weights that exist.

        >>> model = nnx.Sequential([nnx.layers.Dense(2)])
        >>> model.build((3,))
        >>> model.count_params()
        8
        """
        several = isinstance(input_shape, list) and input_shape and isinstance(input_shape[0], list | tuple)
        shapes = tuple(map(_sample, input_shape if several else [input_shape]))
        known = self._known_shapes()
        if known is not None and self.built and known != shapes:
            one = known[0] if len(known) == 1 else list(known)
            asked = shapes[0] if len(shapes) == 1 else list(shapes)
            raise ShapeError(f"Model '{self.name}' is built for {one}, not {asked}.")
        self._adopt(self._network_for(shapes))
        self._settled()

    def own_weights(self) -> Weights:
        """The two vectors with their network; NotBuilt before the input shape is known."""
        return self._settled()

    def _settled(self) -> Weights:
        weights = self._present_weights()
        if weights is None:
            raise NotBuilt(
                f"Model '{self.name}' is not built: its input shape is not known yet. Give the first layer "
                "input_shape=..., call model.build(input_shape), or fit it on data."
            )
        return weights

    def _present_weights(self) -> Weights | None:
        """The weights, made anew where layers have changed; None where the input shape is not known."""
        if self._stale or self._weights is None:
            shapes = self._known_shapes()
            if shapes is None:
                return None
            network = self._network_for(shapes)
            self._weights = Weights(network, self.backend, self.seed, self._weights)
            for layer in network.layers:
                layer.settles()
            self._stale = False
        return self._weights

    def _weights_holding(self, layer: Layer) -> Weights | None:
        """The weights in which a layer's lie: a change of other layers does not move them yet."""
        kept = self._weights
        return kept if kept is not None and kept.has(layer) else self._present_weights()

    @contextmanager
    def _building(self, network: Network) -> Iterator[None]:
        """Builds the model, if it is not; what then fails before the first step leaves it as it was."""
        new = self._present_weights() is None
        if new:
            self._adopt(network)
        try:
            yield
        except BaseException:
            if new and not self._has_trained():
                self._unbuild()
            raise

    def _has_trained(self) -> bool:
        """Whether a step was made since the weights are there."""
        return False

    def _unbuild(self) -> None:
        weights, self._weights, self._stale = self._weights, None, True
        for layer in weights.network.layers if weights is not None else ():
            if weights is not None and id(layer) in weights.brought:
                layer.brings(weights.brought[id(layer)], [slot.name for slot in weights.slots_of(layer)])
        self._adopt(None)
        self._forget_training()

    def _layer_names(self) -> dict[int, str]:
        """The name of each layer by the identity of the object."""
        if self._names is None:
            layers = list({id(layer): layer for layer in self.layers}.values())
            names = Network.chain(layers, (), self.label).names
            self._names = {id(layer): name for layer, name in zip(layers, names, strict=True)}
        return self._names

    def _changed(self) -> None:
        """Layers came, went or were changed."""
        self._names, self._stale = None, True
        self._forget_training()

    def _exchange(self, layer: Layer, change: Callable[[], None], attribute: str) -> None:
        """Makes a change of a layer that leaves the weights' shapes as they are, or raises OptionError."""
        shapes = self._known_shapes() if attribute not in ("trainable", "name") else None
        before = None if shapes is None else _weight_shapes(self._network_for(shapes))
        change()
        if attribute == "name":
            self._names = None
            self._layer_names()
        if shapes is not None and _weight_shapes(self._network_for(shapes)) != before:
            raise OptionError(f"Layer '{layer.name}' would have other weights then: make a new model.")
        self._stale = True
        self._forget_training()


def _sample(shape: Any) -> Shape:
    """``shape`` as one sample's; a leading None for the batch axis goes."""
    if isinstance(shape, Sequence) and not isinstance(shape, str) and shape and shape[0] is None:
        shape = shape[1:]
    found: Any = SHAPE("build", "input_shape", shape)
    return found


def _weight_shapes(network: Network) -> list[list[tuple[str, Shape]]]:
    return [[(weight.name, weight.shape) for weight in spec.weights] for spec in network.specs]
