"""Things made of registered parts as JSON, and back.

A configuration is ``{"kind": "activation", "name": "leaky_relu", "options": {"negative_slope": 0.1}}``; where
fields were changed after a thing was made, they stand under ``"fields"``.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any

from nnx import later
from nnx.errors import FileFormatError, NnxError, OptionError, UnknownName
from nnx.options import changed_fields, made_with
from nnx.registry.entries import Choice, Entry
from nnx.registry.naming import snake_case

#: the registries, by the kind of their things
KINDS: dict[str, Any] = {}


def to_config(thing: Any) -> Any:
    """A description of ``thing`` that JSON can hold; inverse of :func:`from_config`.

    Plain values, sequences and dicts of them, and what is registered: a function, a function with options, an
    instance of a class with the arguments that it was made with. Raises :class:`nnx.errors.OptionError` for
    anything else, and says why it cannot be named in a file.

    >>> from nnx.registry import to_config
    >>> to_config(nnx.regularizers.L2(0.1))
    {'kind': 'regularizer', 'name': 'l2', 'options': {'l2': 0.1}}
    """
    if thing is None or isinstance(thing, bool | int | float | str):
        return thing
    if hasattr(thing, "tolist"):  # an array, or a number of NumPy's
        return to_config(thing.tolist())
    if isinstance(thing, tuple | list):
        return [to_config(part) for part in thing]
    if isinstance(thing, dict):
        return {"kind": "dict", "options": _mapping(thing)}
    if isinstance(thing, Choice):
        return _of_choice(thing)
    if (named := _registered(thing)) is not None:  # a function
        return {"kind": named.kind, "name": named.name, "options": {}}
    named = _registered(type(thing))
    if named is None:
        raise OptionError(_why_not(thing, getattr(type(thing), "kind", "")))
    # A function's class (MeanSquaredError) goes by its own name: that of the function means the function.
    name = named.name if named.target is type(thing) else named.class_name
    config = {"kind": named.kind, "name": name, "options": _mapping(made_with(thing))}
    changed = changed_fields(thing)
    return config | {"fields": _mapping(changed)} if changed else config


def _of_choice(choice: Choice[Any]) -> Any:
    """The configuration of a function with options, or of an object that was taken for a function."""
    named = _registered(choice.function, choice.kind)
    if named is not None:
        return {"kind": named.kind, "name": named.name, "options": _mapping(choice.options)}
    if not choice.options and _registered(type(choice.function)) is not None:
        return to_config(choice.function)
    raise OptionError(_why_not(choice.function, choice.kind))


def _mapping(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: to_config(value) for key, value in options.items()}


def _registered(target: Any, kind: str = "") -> Entry[Any] | None:
    """The entry of a function or class, in the registry of that kind first."""
    for registry in (*([KINDS[kind]] if kind in KINDS else []), *KINDS.values()):
        if (found := registry.find(target)) is not None:
            return found
    return None


def _why_not(thing: Any, kind: str) -> str:
    """Why a file cannot name ``thing``, and what to do."""
    what, rest = (f"the {kind} {thing!r}" if kind else repr(thing)), "or save the weights alone."
    register = f"{KINDS[kind].module}.registry" if kind in KINDS else "nnx.layers.registry"
    decorate = f"`@{register}.register()`"
    function = inspect.isfunction(thing)
    target = thing if function else type(thing)
    name = getattr(target, "__name__", "")
    if name == "<lambda>":
        return (
            f"Cannot save {what}: a lambda is not registered, it has no name. Write it with def, decorate it "
            f"with {decorate}, {rest}"
        )
    if inspect.ismethod(thing) or target.__module__ in ("functools", "builtins", "numpy"):
        sort = "method" if inspect.ismethod(thing) else target.__name__
        return (
            f"Cannot save {what}: a {sort} is not registered, and only registered things can be written to a "
            f"file. Write a function with def, decorate it with {decorate}, {rest}"
        )
    if kind in KINDS and name and (name in KINDS[kind] or snake_case(name) in KINDS[kind]):
        return (
            f"Cannot save {what}: it is not registered, but another {kind} of its name is: that would be "
            f"loaded in its place. Give it another name and decorate it with {decorate}, {rest}"
        )
    sort = "the function" if function else "its class"
    return (
        f"Cannot save {what}: {sort} {name} is not registered, and only registered things can be written "
        f"to a file. Decorate it with {decorate}, {rest}"
    )


def from_config(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The thing that :func:`to_config` described.

    ``custom_objects`` maps names of classes and functions to themselves, as in Keras: what they name need not
    be registered here. Raises :class:`nnx.errors.FileFormatError` for what :func:`to_config` did not write
    and :class:`nnx.errors.UnknownName` for names that nothing has.

    >>> from nnx.registry import from_config
    >>> from_config({"kind": "regularizer", "name": "l2", "options": {"l2": 0.1}})
    Choice(kind='regularizer', name='l2', options={'l2': 0.1})
    """
    if isinstance(config, list):
        return tuple(from_config(part, custom_objects) for part in config)
    if not isinstance(config, Mapping):
        return config
    kind, options = config.get("kind"), config.get("options")
    if str(kind) not in {"dict", *KINDS}:
        later.load("things with names")
    name, changed = config.get("name", "" if kind == "dict" else None), config.get("fields", {})
    named = isinstance(kind, str) and isinstance(name, str) and (kind == "dict" or kind in KINDS)
    if not (named and isinstance(options, Mapping) and isinstance(changed, Mapping)):
        raise FileFormatError(
            f"Not a configuration that nnx wrote: {config!r}. One has 'kind' ({', '.join(KINDS)} or dict), "
            "'name' and 'options'."
        )
    values = {key: from_config(value, custom_objects) for key, value in options.items()}
    if kind == "dict":
        return values
    thing = made_from(_constructor(KINDS[str(kind)], str(name), custom_objects or {}), values, str(name))
    for name, value in changed.items():
        if not is_dataclass(thing) or name not in {f.name for f in fields(thing)}:
            raise FileFormatError(f"{type(thing).__name__} has no field '{name}': {config!r}.")
        object.__setattr__(thing, name, from_config(value, custom_objects))
    return thing


def made_from(make: Any, options: Mapping[str, Any], what: str) -> Any:
    """``make(**options)``; :class:`nnx.errors.OptionError` where options of ``what`` are missing."""
    try:
        thing = make(**options)
    except TypeError:
        entry = getattr(make, "__self__", None)
        missing = _required(entry.target if isinstance(entry, Entry) else make) - options.keys()
        if not missing:
            raise
        raise _incomplete(what, missing, options) from None
    if isinstance(thing, Choice) and (missing := _required(thing.function, keyword=True) - options.keys()):
        raise _incomplete(what, missing, options)
    return thing


def _required(function: Any, keyword: bool = False) -> set[str]:
    """The names of the arguments without a default; with ``keyword`` those that are keywords alone."""
    parameters = inspect.signature(function).parameters.values()
    open_ones = [p for p in parameters if p.default is p.empty]
    if not keyword:
        return {p.name for p in open_ones if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}
    return {p.name for p in open_ones if p.kind is p.KEYWORD_ONLY}


def _incomplete(what: str, missing: set[str], options: Mapping[str, Any]) -> OptionError:
    return OptionError(
        f"{what} cannot be made of this configuration: it lacks {', '.join(sorted(missing))} and has "
        f"{', '.join(options) or 'nothing'}. Give the whole of what get_config returned."
    )


@contextmanager
def described(what: str, config: Any, needed: Sequence[str] = ()) -> Iterator[None]:
    """Raises :class:`nnx.errors.FileFormatError` for a configuration of ``what`` that is none.

    That is one without the keys ``needed``, and one of which the block cannot make sense.
    """
    given = f"{what}.from_config takes the dict that {what}.get_config() returned"
    if not isinstance(config, Mapping):
        raise FileFormatError(f"{given}, got {config!r}.")
    if missing := [key for key in needed if key not in config]:
        raise FileFormatError(
            f"{given}, with {', '.join(map(repr, needed))}; this one lacks {', '.join(map(repr, missing))} "
            f"and has {', '.join(map(repr, config)) or 'nothing'}."
        )
    try:
        yield
    except NnxError:
        raise
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise FileFormatError(f"{given}; this one is damaged ({error!r}).") from error


def _constructor(registry: Any, name: str, custom_objects: Mapping[str, Any]) -> Any:
    """What makes the thing called ``name``, of the user's own ones first."""
    for given, target in custom_objects.items():
        if snake_case(name) == snake_case(given):
            entry = registry.entry_of(target)
            of_class = name == entry.class_name and registry.class_of is not None
            return registry.class_of(entry) if of_class and not inspect.isclass(target) else entry.create
    try:
        return registry.constructor(name)
    except UnknownName as error:
        error.add_note(f"  If it is your own: import its module, or custom_objects={{'{name}': ...}}.")
        raise
