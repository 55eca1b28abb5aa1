"""Initializers, activations, losses, optimizers, layers, ... as Keras writes them in JSON, and back.

Keras' form is ``{"module": "keras.initializers", "class_name": "HeNormal", "config": {"seed": null}, ...}``;
nnx's is that of :mod:`nnx.registry`. Names and arguments are the same in both, but for what stands in the
tables here. Nothing is looked up outside nnx's registries and the ``custom_objects`` that are given.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from nnx.errors import FileFormatError, OptionError, located
from nnx.layers import Layer
from nnx.options import Options, built_in, hand_written
from nnx.registry import Entry, Registry, to_config
from nnx.registry.configs import made_from

#: where Keras keeps its things
MODULES = {
    "activation": "keras.activations",
    "constraint": "keras.constraints",
    "initializer": "keras.initializers",
    "layer": "keras.layers",
    "loss": "keras.losses",
    "metric": "keras.metrics",
    "optimizer": "keras.optimizers",
    "regularizer": "keras.regularizers",
    "schedule": "keras.optimizers.schedules",
}
#: what Keras keeps in a place of its own, by kind and name
ELSEWHERE = {("layer", "custom_scale_layer"): "keras.src.applications.inception_resnet_v2"}
#: of a module's name, the parts that say what kind of things it holds, the telling one first
_PARTS = {module.rpartition(".")[2]: kind for kind, module in reversed(MODULES.items())}

#: what nnx has and Keras 3 has not, by kind and name
ABSENT: dict[str, frozenset[str]] = {
    "initializer": frozenset({"nguyen_widrow"}),
    "layer": frozenset({"maxout"}),
    "loss": frozenset(),
    "optimizer": frozenset(
        "steepest_descent conjugate_gradient fletcher_reeves polak_ribiere bfgs dfp lbfgs newton newton_cg "
        "one_step_secant scaled_conjugate_gradient sr1 adaptive_learning_rate rprop irprop_minus irprop_plus "
        "gauss_newton levenberg_marquardt bayesian_regularization dogleg".split()
    ),
    "schedule": frozenset({"power_decay", "warm_up"}),
}
#: what cannot be told to Keras, and why
NOT_TOLD = {
    ("layer", "lambda"): "Keras keeps its function as Python's bytecode, which nnx neither writes nor reads"
}
#: what Keras knows by a name alone, and chooses itself by the shapes
BY_NAME = {("metric", "AccuracyByShape"): "accuracy", ("metric", "CrossentropyByShape"): "crossentropy"}
#: nnx's name for what Keras makes by an option: (kind, name) → class and option
OPTION_OF = {("optimizer", "amsgrad"): ("Adam", {"amsgrad": True})}
#: nnx's options that Keras does not have, by kind; one that is used cannot be written
OWN_OPTIONS: dict[str, dict[str, Any]] = {
    "layer": {"input_shape": ..., "activity_regularizer": None, "batch_size": None},
    "optimizer": {"exclude_from_weight_decay": [], "mask": None},
}
#: options that nnx keeps as a tuple of one number, where Keras takes the number alone: (class, option)
ONE_NUMBER = {("UpSampling1D", "size")}
#: options of Keras' that say nothing to nnx, whatever their value
_SILENT = {
    "dtype", "autocast", "batch_input_shape", "batch_shape", "build_config", "implementation", "jit_compile",
    "quantization_config", "renorm_momentum", "loss_scale_factor", "input_axes", "output_axes",
}  # fmt: skip
#: values by which an option of Keras' that nnx does not have changes nothing
_NEUTRAL: tuple[Any, ...] = (None, False, "channels_last", "auto", [], {})


# -- to Keras -------------------------------------------------------------------------------------


def serialized(thing: Any, **more: Any) -> Any:
    """A thing of nnx's as Keras writes it; ``more`` are further entries of its config.

    Raises :class:`nnx.errors.OptionError` for what Keras does not have.
    """
    return translated(to_config(thing), more)


def translated(config: Any, more: Mapping[str, Any] | None = None) -> Any:
    """A configuration of nnx's (see :func:`nnx.registry.to_config`) as Keras'; other JSON as it is."""
    if isinstance(config, list):
        return [translated(part) for part in config]
    if not isinstance(config, Mapping):
        return config
    kind, options = config["kind"], dict(config["options"])
    if kind == "dict":
        return {key: translated(value) for key, value in options.items()}
    options |= config.get("fields", {})
    entry = Registry.kinds[kind].entry(config["name"])
    name, class_name = entry.name, entry.class_name
    if (kind, class_name) in BY_NAME:
        return BY_NAME[kind, class_name]
    if (kind, name) in OPTION_OF:
        class_name, extra = OPTION_OF[kind, name]
        options |= extra
    elif name in ABSENT.get(kind, ()):
        raise OptionError(
            f"Keras has no {kind} {entry.class_name}, so it cannot be written to a file of Keras'. Save to "
            "a name that ends in .safetensors."
        )
    elif (kind, name) in NOT_TOLD:
        raise OptionError(f"{class_name} cannot be written to a file of Keras': {NOT_TOLD[kind, name]}.")
    for option, unused in OWN_OPTIONS.get(kind, {}).items():
        value = options.get(option, unused)
        if option == "activity_regularizer" and value is not None:
            continue  # every layer of Keras' takes it, and few write it
        if unused is not ... and value not in (unused, None):
            raise OptionError(f"{class_name}: Keras has no option {option}, so {value!r} cannot be written.")
        options.pop(option, None)
    if kind == "layer" and options.get("trainable") is True:
        del options["trainable"]  # what a layer of Keras' is anyway; SpatialDropout does not take it
    if kind == "activation":
        return _activation(name, class_name, options)
    if name == config["name"] and kind in ("loss", "metric") and not options:
        return name
    if kind == "initializer" and not inspect.isclass(entry.target):
        options = _defaults(entry) | options  # Keras' Constant cannot be read without its value
    for option in options:
        if (class_name, option) in ONE_NUMBER:
            (options[option],) = options[option]
    own = not built_in(entry.target)
    module = ELSEWHERE.get((kind, name), MODULES[kind])
    return {
        "module": None if own else module,
        "class_name": class_name,
        "config": {key: translated(value) for key, value in options.items()} | dict(more or {}),
        "registered_name": class_name if own or module != MODULES[kind] else None,
    }


def _activation(name: str, class_name: str, options: Mapping[str, Any]) -> Any:
    """A function by its name; with options it is the layer that applies it, which Keras takes as well."""
    if not options:
        return name
    layers = Registry.kinds["layer"]
    if class_name in layers and set(options) <= set(arguments(layers.entry(class_name).target) or ()):
        return {
            "module": MODULES["layer"],
            "class_name": class_name,
            "config": dict(options),
            "registered_name": None,
        }
    raise OptionError(
        f"Keras cannot write the activation {name} with options ({', '.join(options)}) to a file."
    )


# -- from Keras -----------------------------------------------------------------------------------


def deserialized(config: Any, kind: str, custom_objects: Mapping[str, Any]) -> Any:
    """The thing that Keras described; names stay strings, which nnx understands.

    ``kind`` is what is expected where the file does not say it. Raises
    :class:`nnx.errors.FileFormatError` for what is no description, :class:`nnx.errors.UnknownName` for what
    nnx does not have.
    """
    if isinstance(config, str):
        return custom_objects.get(config, config)
    if isinstance(config, list):
        return [deserialized(part, kind, custom_objects) for part in config]
    if not isinstance(config, Mapping):
        return _shortest(config)
    if "class_name" not in config:
        return {key: deserialized(value, kind, custom_objects) for key, value in config.items()}
    class_name, options = config["class_name"], config.get("config")
    if class_name in ("Lambda", "__lambda__"):
        raise OptionError(
            "The file holds a Lambda, which is a program in Python's bytecode. nnx runs nothing out of a "
            "file: write a layer class and save the model with it, or take a layer of nnx's in its place."
        )
    if class_name == "function" and isinstance(options, str):
        return _named(options, kind, custom_objects)
    if class_name == "__numpy__" or class_name == "__tensor__":
        return options.get("value") if isinstance(options, Mapping) else None
    if not isinstance(class_name, str) or not isinstance(options, Mapping):
        raise FileFormatError(f"The file describes no {kind}: {_short(config)}.")
    make, kind = _maker(config, kind, custom_objects)
    with located(lambda: f"in Keras' {class_name}"):
        given = {
            key: value if key == "name" else _as_argument(key, value, custom_objects)
            for key, value in _known(class_name, make, options).items()
        }
        return made_from(make, _unusual(make, given), class_name)


def _shortest(number: Any) -> Any:
    """0.001 for the float32 nearest to it, which Keras writes as 0.0010000000474974513."""
    if isinstance(number, float) and float(short := np.float32(number)) == number:
        return float(str(short))
    return number


def _named(name: str, kind: str, custom_objects: Mapping[str, Any]) -> Any:
    if name in custom_objects:
        return custom_objects[name]
    return Registry.kinds[kind].get(name)


def kind_of(config: Mapping[str, Any], expected: str) -> str:
    """What kind of thing a description is of, by Keras' module; ``expected`` where that does not say."""
    parts = str(config.get("module")).split(".")
    return next((kind for part, kind in _PARTS.items() if part in parts), expected)


def _maker(config: Mapping[str, Any], expected: str, custom_objects: Mapping[str, Any]) -> tuple[Any, str]:
    """What makes the thing of a description, and its kind."""
    name, kind = config["class_name"], kind_of(config, expected)
    registered = str(config.get("registered_name") or "").rpartition(">")[2]
    for known in (name, registered, str(config.get("registered_name"))):
        if known in custom_objects:
            return custom_objects[known], kind
    try:
        return Registry.kinds[kind].constructor(name), kind
    except OptionError as error:
        error.add_note(f"  If it is your own: custom_objects={{'{name}': ...}}.")
        raise


def arguments(make: Any) -> list[str] | None:
    """The names of the arguments of what makes a thing; None where it takes any."""
    if isinstance(entry := getattr(make, "__self__", None), Entry):
        if not inspect.isclass(entry.target):
            return list(entry.options)
        make = entry.target
    if inspect.isclass(make) and issubclass(make, Options) and not hand_written(make):
        return _fields(make)
    of_function = _function_of(make) if inspect.isclass(make) and issubclass(make, Options) else None
    if of_function is not None:
        return [*of_function.options, *_fields(make)]
    parameters = inspect.signature(make).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return [p.name for p in parameters]


def _fields(cls: type) -> list[str]:
    """The arguments that make an object of a dataclass."""
    return [f.name for f in fields(cls) if f.init]


def _function_of(make: type) -> Any:
    """The entry of the function that a class was made of, as ``MeanSquaredError``; None for other classes."""
    kind = getattr(make, "kind", None)
    entry = Registry.kinds[kind].find(make) if kind in Registry.kinds else None
    return None if entry is None or inspect.isclass(entry.target) else entry


def _known(class_name: str, make: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments without those that nnx does not have and that say nothing."""
    known = arguments(make)
    options: dict[str, Any] = {}
    for name, value in given.items():
        if known is None or name in known:
            options[name] = value
        elif name not in _SILENT and name != "name" and value not in _NEUTRAL:
            raise OptionError(
                f"The file's {class_name} has {name}={_short(value)}, which nnx's does not have. It takes "
                f"{', '.join(known)}."
            )
    return options


def _unusual(make: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """A function's options without its defaults, which Keras writes out: as one writes them by hand."""
    entry = getattr(make, "__self__", None)
    if not isinstance(entry, Entry) or inspect.isclass(entry.target):
        return dict(options)
    usual = _defaults(entry)
    return {name: value for name, value in options.items() if name not in usual or value != usual[name]}


def _defaults(entry: Any) -> dict[str, Any]:
    """The options of a registered function that have a default, with it."""
    parameters = inspect.signature(entry.target).parameters
    return {
        name: parameters[name].default
        for name in entry.options
        if parameters[name].default is not inspect.Parameter.empty
    }


def _as_argument(name: str, config: Any, custom_objects: Mapping[str, Any]) -> Any:
    """An option's value as nnx takes it; ``kernel_initializer``, ``activation``, ... say what it is."""
    last = name.rpartition("_")[2]
    value = deserialized(config, last if last in MODULES else "layer", custom_objects)
    if not (isinstance(value, Layer) and last == "activation"):
        return value
    choice = getattr(value, "choice", None)  # Keras gives an activation with options as a layer
    if choice is None:
        raise OptionError(f"{name}: nnx takes functions, not the layer {value!r}.")
    return choice()


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:97]}..."
