"""A layer as an object that users hold: its weights, wherever they lie, and attributes that can be set."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, NoReturn, Protocol, Self

from nnx.backend import asarray, to_numpy
from nnx.errors import NotBuilt, ShapeError
from nnx.options import Options, changed_fields, hand_written, made_with, refused
from nnx.registry import from_config, to_config
from nnx.registry.configs import described, made_from

Shape = tuple[int, ...]


class Home(Protocol):
    """Where the weights of a layer lie: the weights of a model."""

    def arrays_of(self, layer: Any) -> list[Any]:
        """Copies of the layer's weights, on the host; none before the model is built."""

    def put(self, layer: Any, arrays: Sequence[Any]) -> None:
        """Puts arrays in place of the layer's weights."""

    def weights_of(self, layer: Any) -> tuple[Any, ...]:
        """The descriptions of the layer's weights; none before the model is built."""

    def names_of(self, layer: Any) -> tuple[str, ...]:
        """The names of the layer's weights; none before the model is built."""

    def output_shape_of(self, layer: Any) -> Shape | None:
        """The shape of one sample's output; None before the model is built."""

    def name_of(self, layer: Any) -> str | None:
        """The layer's name, unique in the model."""

    @property
    def title(self) -> str:
        """The model's name."""

    def symbols_of(self, layer: Any) -> tuple[list[Any], list[Any]] | None:
        """The symbols that the layer reads and gives where it is called first; None before it is built."""

    def exchange(self, layer: Any, change: Callable[[], None], attribute: str) -> None:
        """Makes a change of the layer's attribute, after which the model is made anew with its weights."""


class Name:
    """The attribute ``name`` of a layer: the one it was given, else the one that its model found for it."""

    def __get__(self, layer: Any, kind: type) -> Any:
        if layer is None:
            return None  # the default of the dataclass' field
        given, home = vars(layer).get("name"), vars(layer).get("_home")
        return home.name_of(layer) if given is None and home is not None else given

    def __set__(self, layer: Any, value: Any) -> None:
        vars(layer)["name"] = value


class Placed(Options):
    """Base of all layers: what users do with the objects that they hold.

    A layer has at most one home, the model that it was first put into; its weights lie there. Another model
    that it is put into gets a copy of the layer with a copy of its weights: from then on they are apart.
    A layer taken out of its model (``pop``) keeps its weights.
    """

    _home: Home | None = None
    _arrays: list[Any] | None = None

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        # Two layers are equal if they are one object, and a short text says what they are; a dataclass
        # leaves alone what it finds here.
        for name in ("__eq__", "__hash__", "__repr__"):
            if name not in vars(cls):
                setattr(cls, name, _repr if name == "__repr__" else getattr(object, name))

    def __new__(cls, *args: Any, **options: Any) -> Self:
        if cls.__setattr__ is not _assign:  # a frozen dataclass made its own
            cls.__setattr__ = _assign  # type: ignore[method-assign]
        return super().__new__(cls, *args, **options)

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and name in (names := self.weight_names):
            array = self.get_weights()[names.index(name)]
            array.flags.writeable = False
            return array
        hint = "" if self.built else " It is in no built model yet, so it has no weights."
        raise AttributeError(f"{type(self).__name__} has no attribute '{name}'.{hint}")

    # -- weights ----------------------------------------------------------------------------------

    @property
    def built(self) -> bool:
        """Whether the layer's weights exist."""
        return self._arrays is not None or (
            self._home is not None and self._home.output_shape_of(self) is not None
        )

    @property
    def weight_names(self) -> tuple[str, ...]:
        """The names of its weights, as in ``("kernel", "bias")``; empty before they exist."""
        if self._arrays is not None:
            return tuple(name for name, _ in self._arrays)
        return self._home.names_of(self) if self._home is not None else ()

    def get_weights(self) -> list[Any]:
        """Copies of the layer's weights as NumPy arrays (Dense: kernel and bias); none before they exist."""
        if self._arrays is not None:
            return [array.copy() for _, array in self._arrays]
        return self._home.arrays_of(self) if self._home is not None else []

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Puts arrays in place of the weights; nothing is changed if number or shapes do not fit.

        Raises :class:`nnx.errors.ShapeError`, and :class:`nnx.errors.NotBuilt` before the weights exist.
        """
        if self._arrays is not None:
            own = [(name, array.shape, array.dtype) for name, array in self._arrays]
            given = [to_numpy(asarray(w)) for w in weights]
            if [shape for _, shape, _ in own] != [w.shape for w in given]:
                raise ShapeError(
                    f"{type(self).__name__} has weights of shapes {[shape for _, shape, _ in own]}, got "
                    f"{[w.shape for w in given]}."
                )
            pairs = zip(own, given, strict=True)
            vars(self)["_arrays"] = [(name, w.astype(dtype)) for (name, _, dtype), w in pairs]
        elif self._home is not None:
            self._home.put(self, weights)
        else:
            self.not_built()

    def not_built(self) -> NoReturn:
        """Raises :class:`nnx.errors.NotBuilt` for weights that are asked for before they exist."""
        raise NotBuilt(
            f"{type(self).__name__} is in no built model, so its weights have no shape yet. Give the "
            "first layer input_shape=..., or call model.build(input_shape)."
        )

    @property
    def weights(self) -> list[Any]:
        """All weights: read-only copies as NumPy arrays."""
        return _locked(self.get_weights())

    @property
    def trainable_weights(self) -> list[Any]:
        """The weights that training moves: read-only copies."""
        return [w for w, moves in self._with_flags() if moves]

    @property
    def non_trainable_weights(self) -> list[Any]:
        """The weights that training does not move: read-only copies."""
        return [w for w, moves in self._with_flags() if not moves]

    def _with_flags(self) -> list[tuple[Any, bool]]:
        flags = self.trained_flags() if self.built else ()
        return list(zip(self.weights, flags, strict=True))

    def trained_flags(self) -> tuple[bool, ...]:
        """For each weight, whether training moves it."""
        raise NotImplementedError

    def count_params(self) -> int:
        """The number of entries of all weights."""
        return sum(math.prod(w.shape) for w in self.get_weights())

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        """The shape of a batch of outputs; :class:`nnx.errors.NotBuilt` for a layer in no built model."""
        shape = self._home.output_shape_of(self) if self._home is not None else None
        if shape is None:
            raise NotBuilt(f"{type(self).__name__} is in no built model: its output's shape is not known.")
        return (None, *shape)

    @property
    def input(self) -> Any:
        """The symbol that the layer reads in its model (a list of several), where it is called first.

        Raises :class:`nnx.errors.NotBuilt` for a layer in no built model.
        """
        return _alone(self._symbols()[0])

    @property
    def output(self) -> Any:
        """The symbol that the layer gives in its model (a list of several), where it is called first.

        Raises :class:`nnx.errors.NotBuilt` for a layer in no built model.

        >>> model = nnx.Sequential([nnx.layers.Dense(4, input_shape=(3,)), nnx.layers.Dense(1)])
        >>> nnx.Model(model.inputs, model.layers[0].output).output_shape
        (None, 4)
        """
        return _alone(self._symbols()[1])

    def _symbols(self) -> tuple[list[Any], list[Any]]:
        found = self._home.symbols_of(self) if self._home is not None else None
        if found is None:
            raise NotBuilt(
                f"{type(self).__name__} is in no built model: there is no input and no output of it yet."
            )
        return found

    # -- configuration ----------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """The options of the layer as they are now, as :meth:`from_config` takes them (no weights).

        Raises :class:`nnx.errors.OptionError` for options that a file cannot name, such as a lambda.
        """
        options = made_with(self) | changed_fields(self)
        if "name" in options:
            options["name"] = self.name  # in a model also one that nobody gave it
        return {name: to_config(value) for name, value in options.items()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """A new layer with the options that :meth:`get_config` gave.

        Raises :class:`nnx.errors.FileFormatError` for what is no configuration,
        :class:`nnx.errors.OptionError` for options that the layer does not have, and for those that it needs
        and that are missing.
        """
        with described(cls.__name__, config):
            options = {name: from_config(value) for name, value in config.items()}
        # an __init__ of its own may not take what was assigned later
        later = {name: options.pop(name) for name in refused(cls, options)}
        layer: Self = made_from(cls, options, cls.__name__)
        for name, value in later.items():
            setattr(layer, name, value)
        return layer

    # -- moving: for models -----------------------------------------------------------------------

    @property
    def home(self) -> Home | None:
        """Where the weights lie, if the layer is in a model."""
        return self._home

    def moves_in(self, home: Home) -> None:
        """Makes ``home`` the place of its weights, once :meth:`settles` has been called."""
        vars(self)["_home"] = home

    def settles(self) -> None:
        """The home has taken over the weights that the layer brought along."""
        vars(self)["_arrays"] = None

    def moves_out(self) -> None:
        """Takes the layer out of its model: it keeps its weights itself."""
        vars(self).update(_arrays=self._named_arrays(), _home=None)

    def brings(self, arrays: Sequence[Any], names: Sequence[str]) -> None:
        """The layer gets weights that no model has yet: host arrays."""
        vars(self)["_arrays"] = list(zip(names, arrays, strict=True))

    @property
    def brought(self) -> list[Any] | None:
        """The weights that a layer has itself, which no model has taken over: host arrays."""
        return None if self._arrays is None else [array for _, array in self._arrays]

    def duplicate(self) -> Self:
        """A copy in no model, with a copy of the weights."""
        return copy.copy(self)

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_home": None, "_arrays": self._named_arrays()}

    def _named_arrays(self) -> list[tuple[str, Any]] | None:
        return list(zip(self.weight_names, self.get_weights(), strict=True)) if self.built else None


def _alone(symbols: list[Any]) -> Any:
    return symbols[0] if len(symbols) == 1 else symbols


def _repr(layer: Any) -> str:
    """The class with the options that are not the defaults, as one writes them."""
    usual = {f.name: repr(f.default) for f in fields(layer)}
    options = {name: repr(_plain(value)) for name, value in made_with(layer).items()}
    order = layer.argument_names()  # its own first, those that all layers have last
    names = sorted(options, key=lambda name: order.index(name) if name in order else -1)
    own = [f"{name}={options[name]}" for name in names if options[name] != usual.get(name)]
    return f"{type(layer).__name__}({', '.join(own)})"


def _plain(value: Any) -> Any:
    """The name of a registered function that was chosen without options; whatever else as it is."""
    return value.name if getattr(value, "options", None) == {} else value


def _assign(layer: Any, name: str, value: Any) -> None:
    """``layer.name = value``: an option, or one of the weights."""
    own = [f.name for f in fields(layer) if f.init]
    if name in own:
        _change(layer, name, value)
    elif name in layer.weight_names:
        arrays = layer.get_weights()
        arrays[layer.weight_names.index(name)] = value
        layer.set_weights(arrays)
    elif hand_written(type(layer)):
        object.__setattr__(layer, name, value)
    else:
        settable = ", ".join([*own, *layer.weight_names])
        raise AttributeError(f"'{name}' of {type(layer).__name__} cannot be set. What can: {settable}.")


def _change(layer: Any, name: str, value: Any) -> None:
    """Sets an option after its checks; what the model then refuses leaves everything as it was."""
    before, trial = dict(vars(layer)), object.__new__(type(layer))
    vars(trial).update(before, **{name: value})
    if not hand_written(type(layer)):
        trial.__post_init__()
    checked = {f.name: vars(trial)[f.name] for f in fields(layer) if f.name in vars(trial)}
    if layer.home is None:
        vars(layer).update(checked)
        return
    try:
        layer.home.exchange(layer, lambda: vars(layer).update(checked), name)
    except BaseException:
        vars(layer).clear()
        vars(layer).update(before)
        raise


def _locked(arrays: list[Any]) -> list[Any]:
    for array in arrays:
        array.flags.writeable = False
    return arrays
