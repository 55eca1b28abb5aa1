"""Models between symbols: said by inputs and outputs, or by a method ``call`` of a class."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NoReturn, Self

from nnx.errors import NotBuilt, OptionError, ShapeError
from nnx.layers import Input, Layer, Symbol
from nnx.models.entrance import several
from nnx.models.graph import drawn
from nnx.models.network import Call, Network
from nnx.models.symbolic import Symbolic
from nnx.registry import from_config, to_config
from nnx.registry.configs import described

Shape = tuple[int, ...]


class Drawn(Symbolic):
    """A structure whose network is drawn with symbols."""

    #: the network as it was drawn; None before it is, also where __init__ has not come so far
    _graph: Network | None = None

    def __init__(self, inputs: Any = None, outputs: Any = None, **options: Any) -> None:
        super().__init__(**options)
        self._graph = None
        #: how ``call`` takes the inputs: one, as a list, or as a dict
        self._takes: type = object
        self._keys: tuple[str, ...] = ("input",)
        if (inputs is None) != (outputs is None):
            raise OptionError(f"{type(self).__name__} needs inputs and outputs, or a method call.")
        if inputs is not None:
            self._draw(inputs, outputs)

    def _draw(self, inputs: Any, outputs: Any) -> None:
        names = tuple(map(str, inputs)) if isinstance(inputs, Mapping) else None
        symbols = list(inputs.values()) if isinstance(inputs, Mapping) else _several(inputs)
        ends, form, keys = _ends(outputs)
        self._graph = drawn(symbols, ends, self._residents, self.label, names, form, keys)
        self._given_inputs = symbols
        self._keys = self._graph.input_names

    # -- what a structure says --------------------------------------------------------------------

    @property
    def layers(self) -> list[Layer]:
        if self._graph is not None:
            return list(self._graph.layers)
        own = {id(layer): layer for value in vars(self).values() for layer in _held(value)}
        return [self._residents.admit(layer) for layer in own.values()]

    @property
    def input_names(self) -> tuple[str, ...]:
        return self._keys

    def _input_names_for(self, x: Any) -> tuple[str, ...]:
        """The names of the inputs for such data: the model's, or what the data say before it is drawn."""
        if self._graph is not None or type(self).call is Drawn.call:
            return self.input_names
        self._takes, self._keys = object, ("input",)
        if isinstance(x, Mapping):
            self._takes, self._keys = dict, tuple(map(str, x))
        elif several(x) or (isinstance(x, list | tuple) and any(isinstance(one, Symbol) for one in x)):
            self._keys = tuple(f"input_{i}" for i in range(len(x)))
        return self._keys

    def call(self, x: Any) -> Any:
        """The output for an input (or a list or dict of several): for classes of one's own, in layers.

        Raises :class:`nnx.errors.NotBuilt` where the class does not say it.

        >>> class Residual(nnx.Model):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.inner = nnx.layers.Dense(3, "relu")
        ...     def call(self, x):
        ...         return x + self.inner(x)
        >>> Residual().predict(np.zeros((1, 3), dtype="float32"))
        array([[0., 0., 0.]], dtype=float32)
        """
        raise NotBuilt(
            f"{type(self).__name__} has no layers: make it of inputs and outputs, nnx.Model(inputs, "
            "outputs), take nnx.Sequential, or derive a class with a method call(self, x)."
        )

    def _known_shapes(self) -> tuple[Shape, ...] | None:
        return None if self._graph is None else self._graph.inputs

    def _adopt(self, network: Network | None) -> None:
        if network is None:
            self._graph = None
        elif self._graph is None:
            self._graph, self._keys = network, network.input_names

    def _network_for(self, shapes: tuple[Shape, ...]) -> Network:
        if self._graph is not None:
            if shapes != self._graph.inputs:
                raise ShapeError(
                    f"{self.label} was made for samples of {list(self._graph.inputs)}, got {list(shapes)}."
                )
            return replace(self._graph).checked()  # what followed from the layers is found anew
        names = self._keys if len(self._keys) == len(shapes) else [f"input_{i}" for i in range(len(shapes))]
        symbols = [Input(shape, name) for shape, name in zip(shapes, names, strict=True)]
        taken: Any = symbols[0]
        if self._takes is dict:
            taken = dict(zip(names, symbols, strict=True))
        elif len(symbols) > 1:
            taken = symbols
        output = self._call(taken)
        ends, form, keys = _ends(output)
        if not ends or not all(isinstance(end, Symbol) for end in ends):
            raise OptionError(
                f"{type(self).__name__}.call must return what its layers give, got {type(output).__name__}: "
                "it is called once, on symbols, to find out which layers read which."
            )
        return drawn(symbols, ends, self._residents, self.label, form=form, out=keys)

    def _call(self, taken: Any) -> Any:
        """What ``call`` makes of symbols."""
        parameters = inspect.signature(self.call).parameters
        extra = {"training": _Unknown()} if "training" in parameters else {}
        required = [p.name for p in parameters.values() if p.default is p.empty and p.kind in _NAMED]
        if len(set(required) - extra.keys()) > 1:
            raise OptionError(
                f"{type(self).__name__}.call takes {', '.join(required)}: give it one argument x (a list or "
                "dict for several inputs), and training if it is needed."
            )
        return self.call(taken, **extra)

    def __setattr__(self, name: str, value: Any) -> None:
        if self._graph is not None and name in vars(self) and next(_held(value), None) is not None:
            raise OptionError(
                f"'{name}' of {self.label} cannot be set: it is built, and its network was drawn with the "
                "layers that it had. Make a new model."
            )
        super().__setattr__(name, value)

    # -- configuration ----------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """What the model is made of: layers and calls, no weights.

        Raises :class:`nnx.errors.OptionError` for layers that are not registered,
        :class:`nnx.errors.NotBuilt` before the input shape is known.

        >>> x = nnx.Input((3,))
        >>> config = nnx.Model(x, nnx.layers.Dense(2)(x)).get_config()
        >>> nnx.Model.from_config(config).output_shape
        (None, 2)
        """
        network = self.network
        return {
            "name": self.name,
            "layers": [to_config(layer) for layer in network.layers],
            "inputs": [list(shape) for shape in network.inputs],
            "input_names": list(self.input_names),
            "calls": [_written(call) for call in network.calls],
            "outputs": list(network.outputs),
            **({"output_names": list(network.keys)} if network.form is dict else {}),
        }

    def to_json(self, **options: Any) -> str:
        """The configuration as JSON, for :func:`nnx.models.model_from_json`: layers and calls, no weights.

        ``options`` are those of ``json.dumps``, such as ``indent=2``. Raises as :meth:`get_config` does.

        >>> nnx.Sequential([nnx.layers.Dense(2, input_shape=(3,))], name="small").to_json()[:60]
        '{"class_name": "Sequential", "config": {"name": "small", "lay'
        """
        return json.dumps({"class_name": self.plain().__name__, "config": self.get_config()}, **options)

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None, **place: Any
    ) -> Self:
        """A model with the layers and calls that :meth:`get_config` gave, and new weights.

        Of a class of your own it is a plain Model. ``place`` are the options ``backend``, ``device``,
        ``dtype`` and ``seed``.

        Raises :class:`nnx.errors.FileFormatError` for a configuration that is none,
        :class:`nnx.errors.UnknownName` for things that are neither registered nor in ``custom_objects``.

        >>> x = nnx.Input((3,))
        >>> model = nnx.Model.from_config(nnx.Model(x, nnx.layers.Dense(2)(x)).get_config(), seed=1)
        >>> model.count_params()
        8
        """
        with described(cls.__name__, config, _KEYS):
            layers = [from_config(layer, custom_objects) for layer in config["layers"]]
            named = zip(config["inputs"], config["input_names"], strict=True)
            symbols = [Input(shape, name) for shape, name in named]
            values = list(symbols)
            for i, reads, *said in config["calls"]:
                made = layers[i].draw([values[r] for r in reads], *said)
                values.extend(made if isinstance(made, list) else [made])
            ends: Any = [values[i] for i in config["outputs"]]
            if (keys := config.get("output_names")) is not None:
                ends = dict(zip(keys, ends, strict=True))
        return cls.plain()(symbols, ends, name=config["name"], **place)


#: what the configuration of a model holds
_KEYS = ("name", "layers", "inputs", "input_names", "calls", "outputs")

#: how a parameter that ``call`` needs is given
_NAMED = {
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.KEYWORD_ONLY,
}


class _Unknown:
    """``training`` while a network is drawn: layers take it, but nothing can be decided by it."""

    def __bool__(self) -> NoReturn:
        raise OptionError(
            "call is run once, on symbols: whether the model trains is not known there, so no `if training`. "
            "Give it to the layers, as in self.dropout(x, training=training): they do what is right."
        )


def _ends(outputs: Any) -> tuple[list[Any], type, tuple[str, ...]]:
    """The outputs that a model was given or ``call`` returned, how they are given, and the keys of a dict."""
    if isinstance(outputs, Mapping):
        return list(outputs.values()), dict, tuple(map(str, outputs))
    ends = _several(outputs)
    return ends, object if len(ends) == 1 else list, ()


def _written(call: Call) -> list[Any]:
    """A call in a configuration: the layer, what it reads, and what else was said."""
    said = [call.training, dict(call.options)] if call.options else [call.training]
    return [call.layer, list(call.reads), *([] if said == [None] else said)]


def _several(symbols: Any) -> list[Any]:
    return list(symbols) if isinstance(symbols, list | tuple) else [symbols]


def _held(value: Any) -> Iterator[Layer]:
    """The layers that an attribute holds: itself, or in lists, tuples and dicts."""
    if isinstance(value, Layer):
        yield value
    elif isinstance(value, list | tuple):
        yield from (layer for part in value for layer in _held(part))
    elif isinstance(value, dict):
        yield from (layer for part in value.values() for layer in _held(part))
