"""How layers are called in Keras' files: arguments of a node, with symbols in the place of Keras' tensors."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from nnx.errors import FileFormatError, OptionError
from nnx.layers import Symbol

#: which output of which call of which layer
History = tuple[str, int, int]

#: what attention with heads is called on, in the order of Keras' arguments
_OF_HEADS = ("query", "value", "key", "query_mask", "value_mask", "key_mask", "attention_mask")
#: layers that take their inputs as arguments with names
INPUTS: Mapping[str, tuple[str, ...]] = {"MultiHeadAttention": _OF_HEADS, "GroupQueryAttention": _OF_HEADS}
#: of these arguments those that nnx counts as inputs too, and names where a call has them
FURTHER = ("key", "attention_mask")
#: arguments that hold masks: between symbols of nnx they flow by themselves
_MASKS = ("mask", "query_mask", "value_mask", "key_mask")
#: the names of the first states of recurrent layers, and of those of a cell
_STATES = ("initial_state", "states")
#: what may stand in a call and says nothing
_SILENT: tuple[Any, ...] = (None, False)
#: what Keras does for +, -, ... between its tensors, which is no layer
OPERATIONS: Mapping[str, Callable[..., Any]] = {
    "Add": lambda x, y: x + y,
    "Subtract": lambda x, y: x - y,
    "Multiply": lambda x, y: x * y,
    "Divide": lambda x, y: x / y,
    "TrueDivide": lambda x, y: x / y,
    "Negative": lambda x: -x,
}


class Given(NamedTuple):
    """What a layer is called on: its inputs in nnx's order, and what else the call says."""

    inputs: list[Any]
    options: dict[str, Any]


def by_name(label: str, node: Mapping[str, Any]) -> Mapping[str, Any]:
    """A node of a layer whose arguments have names with all of them in ``kwargs``; others as they are."""
    args, named, names = node.get("args", []), node.get("kwargs", {}), INPUTS.get(label)
    if names is None or not isinstance(args, list) or not isinstance(named, Mapping):
        return node
    if len(args) > len(names):
        raise FileFormatError(f"The file calls {label} on {len(args)} arguments.")
    return {"args": [], "kwargs": dict(zip(names, args, strict=False)) | dict(named)}


def histories(node: Mapping[str, Any]) -> list[History]:
    """Where the tensors of a node come from, but for masks."""
    found: list[History] = []
    _replaced([node.get("args"), without(node.get("kwargs"))], lambda history: found.append(history))
    return found


def masks(node: Mapping[str, Any]) -> list[History]:
    """Where the masks of a node come from: between symbols of nnx they flow by themselves."""
    found: list[History] = []
    named = node.get("kwargs")
    said = [named.get(name) for name in _MASKS] if isinstance(named, Mapping) else None
    _replaced(said, lambda history: found.append(history))
    return found


def without(named: Any) -> Any:
    """Arguments by name without masks, and without ``training``.

    Keras writes ``training: false`` for every Dropout and LSTM that was called without it, and trains them
    all the same; so it does where it was said on purpose.
    """
    if not isinstance(named, Mapping):
        return named
    return {name: what for name, what in named.items() if name not in (*_MASKS, "training")}


def given(
    label: str, node: Mapping[str, Any], value: Callable[[History], Any], options: Collection[str] = ()
) -> Given:
    """The inputs of a node, out of its ``args`` and ``kwargs``; ``options`` are what else a call may say."""
    args = _replaced(node.get("args", []), value)
    named = _replaced(without(node.get("kwargs", {})), value)
    if not isinstance(args, list) or not isinstance(named, dict):
        raise FileFormatError(f"The file does not say what {label} is called on.")
    inputs, further = _flat(args), tuple(name for name in FURTHER if named.get(name) is not None)
    for name in (*INPUTS.get(label, ("inputs", "sequences")), *_STATES):
        inputs += _flat([named.pop(name, None)])
    said = {name: what for name, what in named.items() if _flat([what]) and what not in _SILENT}
    for name, what in said.items():
        if name not in options or not isinstance(what, bool | int | float | str):
            raise OptionError(
                f"{label} is called with {name}={what!r} in the file, which nnx's layer does not take."
            )
    if label in INPUTS and further not in ((), FURTHER[:1]):
        said["further"] = further
    return Given(inputs, said)


def _flat(values: Any) -> list[Any]:
    """The values of nested lists in a row, without None."""
    if isinstance(values, list):
        return [value for part in values for value in _flat(part)]
    return [] if values is None else [values]


def _replaced(config: Any, value: Callable[[History], Any]) -> Any:
    """Arguments of a call with ``value(history)`` for each of Keras' tensors."""
    if isinstance(config, list):
        return [_replaced(part, value) for part in config]
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "__keras_tensor__":
        return value(history(config.get("config", {}).get("keras_history")))
    if "class_name" in config:
        return config
    return {key: _replaced(part, value) for key, part in config.items()}


def history(entry: Any) -> History:
    """``["dense", 0, 0]``: a layer's name, the number of its call, and of that call's output."""
    if not (
        isinstance(entry, list)
        and len(entry) >= 3
        and isinstance(entry[0], str)
        and all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in entry[1:3])
    ):
        raise FileFormatError(f"The file names no output of a layer: {entry!r}.")
    return entry[0], entry[1], entry[2]


def operation(name: str, inputs: list[Any]) -> Symbol:
    """The symbol of one of :data:`OPERATIONS`; OptionError for others."""
    if name not in OPERATIONS:
        raise OptionError(
            f"The model uses the operation {name} of keras.ops between its layers, which nnx cannot put into "
            f"a network. Known: {', '.join(OPERATIONS)}."
        )
    found: Any = OPERATIONS[name](*inputs)
    if not isinstance(found, Symbol):
        raise FileFormatError(f"{name} joins no tensors in the file.")
    return found
