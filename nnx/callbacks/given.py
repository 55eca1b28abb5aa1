"""What a user gave as ``callbacks=``: a list of callbacks, or an error that says what is none."""

from __future__ import annotations

import warnings
from typing import Any

from nnx.callbacks.absent import ABSENT
from nnx.callbacks.base import HOOKS, Callback
from nnx.errors import OptionError


def callbacks_of(given: Any) -> list[Callback]:
    """The callbacks of None, a callback or a list of them, each once; OptionError for anything else."""
    if given is None:
        return []
    if isinstance(given, Callback) or not isinstance(given, list | tuple):
        given = [given]
    for i, callback in enumerate(given):
        if not isinstance(callback, Callback):
            raise OptionError(f"callbacks[{i}] must be a callback, got {_described(callback)}")
        if any(callback is other for other in given[:i]):
            raise OptionError(f"callbacks[{i}] ({type(callback).__name__}) is in the list twice.")
        _warn_of_unknown_hooks(type(callback))
    return list(given)


def _described(thing: Any) -> str:
    if isinstance(thing, type):
        hint = f"write {thing.__name__}(...)." if issubclass(thing, Callback) else "and no callback's."
        return f"the class {thing.__name__} itself: {hint}"
    name = type(thing).__name__
    if type(thing).__module__.startswith(("keras.", "tensorflow.")):
        return f"Keras' own {name}: {ABSENT.get(name, 'take the one of nnx.callbacks.')}"
    if callable(thing):
        return f"the function {thing!r}: wrap it, as in LambdaCallback(on_epoch_end=function)."
    return f"{thing!r}."


def _warn_of_unknown_hooks(kind: type) -> None:
    """A method that looks like a hook and is none would silently never run."""
    for name in dir(kind):
        if name.startswith("on_") and name not in HOOKS and callable(getattr(kind, name)):
            warnings.warn(
                f"{kind.__name__}.{name} is never called: there is no such hook. Hooks: {', '.join(HOOKS)}.",
                stacklevel=5,
            )


def overridden(callback: Callback, name: str) -> Any:
    """The callback's own hook, or None where it is the empty one of the base class."""
    hook = getattr(callback, name)
    if getattr(hook, "__func__", None) is not getattr(Callback, name):
        return hook
    older = name.replace("train_batch", "batch")
    # The empty hooks of batches forward to Keras' older names.
    return overridden(callback, older) if older != name else None
