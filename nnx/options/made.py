"""What a thing was made with: the arguments that make another one like it, and who wrote its class."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from nnx.errors import OptionError


def hand_written(cls: type) -> bool:
    """Whether instances are made by an ``__init__`` that somebody wrote, and not by one of a dataclass.

    >>> from nnx.options import hand_written
    >>> hand_written(nnx.layers.Dense), hand_written(nnx.callbacks.EarlyStopping)
    (False, True)
    """
    init = next(vars(base)["__init__"] for base in cls.__mro__ if "__init__" in vars(base))
    return hasattr(init, "written") or not is_dataclass(cls)


def remembering(init: Callable[..., None]) -> Callable[..., None]:
    """``init``, which also notes the arguments that it was called with: see :func:`made_with`.

    The result raises ``TypeError`` for arguments that ``init`` does not take.

    >>> from nnx.options import made_with, remembering
    >>> class Own:
    ...     @remembering
    ...     def __init__(self, factor):
    ...         self.factor = factor
    >>> made_with(Own(2.0))
    {'factor': 2.0}
    """
    signature = inspect.signature(init)

    @functools.wraps(init)
    def __init__(self: Any, *args: Any, **options: Any) -> None:  # noqa: N807
        if "_made_with" in vars(self):  # called by the __init__ of a derived class, which noted its own
            init(self, *args, **options)
            return
        object.__setattr__(self, "_made_with", _by_name(type(self), signature, (self, *args), options))
        init(self, *args, **options)
        object.__setattr__(self, "_made_as", _fields(self))
        # an attribute that is the argument of its name goes on telling it when it is assigned to
        held = vars(self)
        kept = tuple(name for name, value in held["_made_with"].items() if held.get(name, held) is value)
        object.__setattr__(self, "_kept", kept)

    __init__.written = True  # type: ignore[attr-defined]
    return __init__


def _by_name(
    cls: type, signature: inspect.Signature, args: Sequence[Any], options: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments of a call by name; for *args, which have none, an error when they are asked for."""
    try:
        bound = signature.bind(*args, **options)
    except TypeError as error:
        raise TypeError(f"{cls.__name__}: {error}") from None
    found: dict[str, Any] = {}
    for name, value in list(bound.arguments.items())[1:]:
        kind = signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            return {f"*{name}": value}
        found |= value if kind is inspect.Parameter.VAR_KEYWORD else {name: value}
    return found


def _fields(thing: Any) -> dict[str, Any]:
    own: Sequence[Any] = fields(thing) if is_dataclass(thing) else ()
    held = vars(thing)  # an attribute may tell more than it was given: the name of a layer in a model
    return {f.name: held.get(f.name, getattr(thing, f.name, None)) for f in own if f.init}


def made_with(thing: Any) -> dict[str, Any]:
    """The arguments that make another one like ``thing``: the fields of a dataclass as they are now.

    Of a class with an ``__init__`` that somebody wrote they are the arguments of the call;
    :func:`changed_fields` are the rest. Raises :class:`nnx.errors.OptionError` where it was called with
    ``*args``.

    >>> from nnx.options import made_with
    >>> made_with(nnx.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5))["decay_steps"]
    10.0
    """
    if not hand_written(type(thing)):
        return _fields(thing)
    found: dict[str, Any] = vars(thing).get("_made_with", {})
    for name in found:
        if name.startswith("*"):
            raise OptionError(
                f"{type(thing).__name__} takes {name}, which cannot be kept: name its arguments."
            )
    held = vars(thing)
    return {name: held[name] if name in held.get("_kept", ()) else value for name, value in found.items()}


def refused(cls: type, names: Iterable[str]) -> list[str]:
    """Those of the names that a hand-written ``__init__`` of the class takes no argument for.

    >>> from nnx.options import refused
    >>> refused(nnx.callbacks.EarlyStopping, ["patience", "horizon"])
    ['horizon']
    """
    if not hand_written(cls):
        return []
    parameters = inspect.signature(cls).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return []
    taken = {p.name for p in parameters}
    return [name for name in names if name not in taken]


def changed_fields(thing: Any) -> dict[str, Any]:
    """The fields of a dataclass that an ``__init__`` made, and that have another value now, by name.

    >>> from nnx.options import changed_fields
    >>> changed_fields(nnx.optimizers.Adam())
    {}
    """
    before: dict[str, Any] = vars(thing).get("_made_as", {}) if hand_written(type(thing)) else {}
    now = _fields(thing)
    return {name: now[name] for name, old in before.items() if now[name] is not old and now[name] != old}


def built_in(thing: Any) -> bool:
    """Whether nnx itself defines the thing (or its class): of a user's own nothing is known.

    >>> from nnx.options import built_in
    >>> built_in(nnx.optimizers.Adam()), built_in(np.tanh)
    (True, False)
    """
    made = getattr(thing, "function", thing)
    made = made if hasattr(made, "__qualname__") else type(made)
    return str(getattr(made, "__module__", "")).startswith("nnx.")
