"""A stack of layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from nnx.errors import NotBuilt, OptionError, ShapeError, located
from nnx.layers import Layer, Symbol
from nnx.models.model import Model
from nnx.models.network import Network
from nnx.registry import from_config, to_config
from nnx.registry.configs import described

Shape = tuple[int, ...]


class Sequential(Model):
    """A model that applies its layers one after the other.

    A layer that is put in twice is shared: it has its weights once. One that belongs to another model comes
    as a copy with its weights (see :class:`nnx.layers.Layer`); a model is put in as its layers.

    ``seed``: a whole number from 0 to 2⁶⁴ − 1; ``backend``, ``device``, ``dtype`` as in :class:`Model`.
    Source: Keras' ``Sequential``.

    >>> model = nnx.Sequential()
    >>> model.add(nnx.layers.Dense(512, activation="relu", input_shape=(784,)))
    >>> model.add(nnx.layers.Dropout(0.2))
    >>> model.add(nnx.layers.Dense(10, activation="softmax"))
    >>> model.count_params()
    407050
    """

    def __init__(
        self,
        layers: Sequence[Layer] | None = None,
        name: str | None = None,
        *,
        backend: Any = None,
        device: Any = None,
        dtype: str | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(name=name, backend=backend, device=device, dtype=dtype, seed=seed)
        self._layers: list[Layer] = []
        self._given: set[str] = set()
        self._shape: Shape | None = None
        self._declared = False
        #: the shape of the output so far, where it is known
        self._end: Shape | None = None
        for layer in [layers] if isinstance(layers, Layer | Symbol) else layers or ():
            self.add(layer)

    @property
    def layers(self) -> list[Layer]:
        return list(self._layers)

    def add(self, layer: Any) -> None:
        """Puts a layer on top. The weights of the layers below stay as they are.

        Raises :class:`nnx.errors.ShapeError` for one that does not fit; then nothing is changed.
        """
        if isinstance(layer, Symbol):
            self._declare(layer)
        elif isinstance(layer, Model):
            for inner in layer.layers:
                self._put_on_top(inner, copied=True)
        elif not isinstance(layer, Layer):
            forgot = ": did you forget the parentheses?" if isinstance(layer, type) else "."
            raise OptionError(f"add needs a layer (such as nnx.layers.Dense(10)), got {layer!r}{forgot}")
        else:
            self._put_on_top(layer)

    def _declare(self, symbol: Symbol) -> None:
        if self._layers or self._declared:
            raise OptionError("Input must be the first thing of a model.")
        if symbol.layer is not None:
            raise OptionError(f"A Sequential takes layers, got {symbol!r}: use nnx.Model(inputs, outputs).")
        self._shape = self._end = symbol.shape
        self._declared = True

    def _put_on_top(self, layer: Layer, copied: bool = False) -> None:
        name = vars(layer).get("name")
        mine = layer.home is self._residents
        if name in self._given and not mine and not copied:
            raise OptionError(f"There is a layer named '{name}' in model '{self.name}' already.")
        end = self._shape or layer.input_shape if not self._layers else self._output_so_far()
        if end is not None:
            with located(lambda: f"in layer {len(self._layers) + 1} ({layer.label}) of {self.label}"):
                spec = layer.spec_for([end])
            self._end = spec.output_shape
        if not self._layers and self._shape is None:
            self._shape = layer.input_shape
        self._layers.append(self._residents.admit(layer))
        self._residents.tell_apart(list(dict.fromkeys(self._layers)))
        self._given = self._given_names()
        self._changed()

    def _given_names(self) -> set[str]:
        """The names that layers were given."""
        return {name for layer in self._layers if (name := vars(layer).get("name")) is not None}

    def _output_so_far(self) -> Shape | None:
        if self._end is None and self._shape is not None:
            self._end = self._network_for((self._shape,)).output_shape
        return self._end

    def pop(self) -> Layer:
        """Takes the last layer off and returns it, with its weights.

        Raises :class:`nnx.errors.OptionError` where there is none.

        >>> model = nnx.Sequential([nnx.layers.Dense(2, input_shape=(3,)), nnx.layers.Dense(1)])
        >>> model.pop().units, len(model.layers)
        (1, 1)
        """
        if not self._layers:
            raise OptionError(f"Model '{self.name}' has no layer to pop.")
        self._present_weights()  # the weights of all, for what stays and for what goes
        top = self._layers[-1]
        name = vars(top).get("name")
        if self._layers.count(top) == 1:
            top.moves_out()
            self._given.discard(name)
        self._layers.pop()
        if not self._layers and not self._declared:
            self._shape = None
        self._end = None if self._layers else self._shape
        self._changed()
        return top

    def _exchange(self, layer: Layer, change: Any, attribute: str) -> None:
        super()._exchange(layer, change, attribute)
        if attribute == "name":
            self._given = self._given_names()
        self._end = None

    # -- the network ------------------------------------------------------------------------------

    def _known_shapes(self) -> tuple[Shape, ...] | None:
        return None if self._shape is None or not self._layers else (self._shape,)

    def _known_outputs(self) -> tuple[str, ...] | None:
        return (str(self._layers[-1].name),) if self._layers else None

    def _adopt(self, network: Network | None) -> None:
        self._shape, self._end = None if network is None else network.inputs[0], None

    def _network_for(self, shapes: tuple[Shape, ...]) -> Network:
        if not self._layers:
            raise NotBuilt(f"Model '{self.name}' has no layers: add some first.")
        if len(shapes) != 1:
            raise ShapeError(f"Model '{self.name}' has one input, got shapes for {len(shapes)}.")
        if self._declared and self._shape is not None and self._shape != shapes[0]:
            raise ShapeError(
                f"Model '{self.name}' was declared for samples of {self._shape}, got {shapes[0]}."
            )
        return Network.chain(self._layers, shapes[0], self.label).checked()

    # -- configuration ----------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """What the model is made of: layers, and the shape of a sample; no weights."""
        own = list({id(layer): layer for layer in self._layers}.values())
        config: dict[str, Any] = {
            "name": self.name,
            "layers": [to_config(layer) for layer in own],
            "input_shape": None if self._shape is None else list(self._shape),
        }
        if len(own) < len(self._layers):  # shared ones stand there once
            config["order"] = [own.index(layer) for layer in self._layers]
        return config

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None, **place: Any
    ) -> Self:
        """A model with the layers that :meth:`get_config` gave, and new weights.

        Of a class of your own it is a plain Sequential. ``place`` are the options ``backend``, ``device``,
        ``dtype`` and ``seed``.

        Raises :class:`nnx.errors.FileFormatError` for a configuration that is none,
        :class:`nnx.errors.UnknownName` for things that are neither registered nor in ``custom_objects``.
        """
        with described(cls.__name__, config, ("name", "layers", "input_shape")):
            own = [from_config(layer, custom_objects) for layer in config["layers"]]
            layers = [own[i] for i in config.get("order", range(len(own)))]
            shape = None if config["input_shape"] is None else tuple(config["input_shape"])
        model = cls.plain()(layers, name=config["name"], **place)
        if shape is not None:
            model.build(shape)
        return model
