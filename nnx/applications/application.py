"""What all applications share: Keras' arguments, the input, the top, names of layers, weights of a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from nnx import activations
from nnx.applications.published import Published
from nnx.errors import OptionError, ShapeError
from nnx.layers import Dense, GlobalAveragePooling2D, GlobalMaxPooling2D, Input, Symbol
from nnx.models import Model
from nnx.options import Number, Numbers, OneOf, text, truth
from nnx.registry import snake_case

#: from pictures to features
Features = Callable[[Symbol], Symbol]
#: from features, the number of classes and an activation to the model's output
Top = Callable[[Symbol, int, Any], Symbol]

_CLASSES = Number(least=1, whole=True)
_POOLING = OneOf((None, "avg", "max"))
_PICTURE = Numbers("three whole numbers ≥ 1, (height, width, channels)", lambda n: n > 0, 3, optional=True)
_POOLINGS = {"avg": GlobalAveragePooling2D, "max": GlobalMaxPooling2D}
#: names that ResNets give to what others leave without one
NAMED_POOLS = {"avg": "avg_pool", "max": "max_pool"}


class Application(Protocol):
    """A function with the arguments that the applications have in Keras."""

    def __call__(
        self,
        include_top: bool = True,
        weights: Any = "imagenet",
        input_tensor: Symbol | None = None,
        input_shape: Any = None,
        pooling: str | None = None,
        classes: int = 1000,
        classifier_activation: Any = "softmax",
        name: str | None = None,
        **place: Any,
    ) -> Model: ...


@dataclass(frozen=True)
class Asked:
    """What was asked of an application, checked."""

    label: str
    include_top: bool
    weights: Any
    input_tensor: Symbol | None
    input_shape: Any
    pooling: str | None
    classes: int
    classifier_activation: Any
    name: str | None

    def __post_init__(self) -> None:
        truth(self.label, "include_top", self.include_top)
        _POOLING(self.label, "pooling", self.pooling)
        _CLASSES(self.label, "classes", self.classes)
        _PICTURE(self.label, "input_shape", self.input_shape)
        text(self.label, "name", self.name)
        if self.weights is None or not self.include_top:
            return
        head = activations.get(self.classifier_activation)
        if head not in (None, activations.get("softmax"), activations.get("linear")):
            raise OptionError(
                f"{self.label}: with weights, classifier_activation must be 'softmax' or None, got "
                f"{self.classifier_activation!r}."
            )

    def picture(self, size: int = 224, least: int = 32) -> Symbol:
        """The symbol that the pictures come from: usually of that ``size``, and of the ``least`` at least."""
        given = self.input_tensor
        if given is not None and not isinstance(given, Symbol):
            raise OptionError(
                f"{self.label}: input_tensor must be a symbol, as nnx.Input(shape) gives it, got a "
                f"{type(given).__name__}."
            )
        usual = (size, size, 3)
        asked = usual if self.input_shape is None else tuple(self.input_shape)
        shape = asked if given is None else given.shape
        if given is not None and self.input_shape is not None and asked != shape:
            raise ShapeError(f"{self.label}: input_shape is {asked}, but input_tensor has shape {shape}.")
        if len(shape) != 3 or min(shape[:2]) < least:
            raise ShapeError(
                f"{self.label} takes pictures of shape (height, width, channels), at least {least}×{least}; "
                f"asked for {shape}."
            )
        return Input(shape) if given is None else given


def made(
    features: Features,
    asked: Asked,
    picture: Symbol,
    published: Published,
    place: Mapping[str, Any],
    top: Top | None = None,
    pools: Mapping[str, str] | None = None,
) -> Model:
    """The model on ``picture`` that was asked for; ``place``: backend, device, dtype and seed of a model."""
    weights = published.file(asked.label, asked.weights, asked.include_top, asked.classes)
    output = features(picture)
    if asked.include_top:
        output = (top or classifier)(output, asked.classes, asked.classifier_activation)
    elif asked.pooling is not None:
        output = _POOLINGS[asked.pooling](name=(pools or {}).get(asked.pooling))(output)
    _name_layers(output, picture)
    inputs = _sources(picture)
    model = Model(inputs if len(inputs) > 1 else inputs[0], output, name=asked.name, **place)
    if weights is not None:
        model.load_weights(weights)
    return model


def classifier(x: Symbol, classes: int, activation: Any, pool: str | None = "avg_pool") -> Symbol:
    """The usual top: the mean of each feature over the picture, and a dense layer."""
    x = GlobalAveragePooling2D(name=pool)(x)
    return Dense(classes, activation=activation, name="predictions")(x)


def application(
    name: str,
    published: Published,
    *,
    size: int = 224,
    least: int = 32,
    top: Top | None = None,
    pools: Mapping[str, str] | None = None,
) -> Callable[[Features], Application]:
    """Decorator: a function from pictures to features becomes one with Keras' arguments that gives a model.

    ``name`` is the model's usual one, ``size`` that of its pictures, ``least`` the smallest that it takes;
    ``pools`` are the names of the poolings without a top.
    """
    usual = name

    def decorator(features: Features) -> Application:
        def build(
            include_top: bool = True,
            weights: Any = "imagenet",
            input_tensor: Symbol | None = None,
            input_shape: Any = None,
            pooling: str | None = None,
            classes: int = 1000,
            classifier_activation: Any = "softmax",
            name: str | None = usual,
            **place: Any,
        ) -> Model:
            asked = Asked(
                label, include_top, weights, input_tensor, input_shape, pooling, classes,
                classifier_activation, name,
            )  # fmt: skip
            return made(features, asked, asked.picture(size, least), published, place, top, pools)

        label = build.__name__ = build.__qualname__ = features.__name__
        build.__doc__, build.__module__ = features.__doc__, features.__module__
        return build

    return decorator


def _name_layers(output: Symbol, picture: Symbol) -> None:
    """Names the layers without one as a fresh Keras does: by their classes, numbered as they were made.

    Left to itself a model numbers its layers in its own order, where what is made first need not be first.
    """
    counts = Counter[str]()
    for symbol in _in_order([output], picture):
        layer = symbol.layer
        if symbol is picture or layer is None or layer.name is not None:
            continue
        stem = snake_case(type(layer).__name__)
        layer.name = f"{stem}_{counts[stem]}" if counts[stem] else stem
        counts[stem] += 1


def _sources(symbol: Symbol) -> list[Symbol]:
    """The inputs that a symbol comes from, in the order in which its layers read them."""
    return [found for found in _in_order([symbol]) if found.layer is None]


def _in_order(ends: list[Symbol], start: Symbol | None = None) -> list[Symbol]:
    """Every symbol that these need, each after those that it is made of; not those before ``start``."""
    order: list[Symbol] = []
    done: set[int] = set()
    stack = [(symbol, False) for symbol in reversed(ends)]
    while stack:
        symbol, ready = stack.pop()
        if ready:
            order.append(symbol)
        elif id(symbol) not in done:
            done.add(id(symbol))
            stack.append((symbol, True))
            stack.extend((x, False) for x in reversed(symbol.inputs) if symbol is not start)
    return order
