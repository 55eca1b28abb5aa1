"""Every public object of nnx: what its modules export, what is registered, and methods of public classes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

import nnx
from nnx.options import Check
from nnx.registry import Registry

# Rooms that nnx does not export, for those who write optimizers, layers, registries of their own.
FOR_EXTENSIONS = ("options", "registry")


@dataclass(frozen=True)
class Public:
    """A public object: ``category`` is module, exception, class, function, method, property or constant.

    ``kind`` is that of its registry ("" where it is not registered), ``doc`` its own docstring, ``body`` the
    functions whose code it runs first, ``owner`` the class of a method.
    """

    name: str
    category: str
    target: Any
    doc: str
    kind: str = ""
    body: tuple[Callable[..., Any], ...] = ()
    owner: type | None = None
    checks: tuple[tuple[str, Check], ...] = ()

    def __str__(self) -> str:
        return self.name


@cache
def public_modules() -> tuple[ModuleType, ...]:
    """``nnx``, the modules that it exports, those that these export, and the rooms for extensions."""
    from nnx import options, registry

    found, ahead = [], [nnx, options, registry]
    while ahead:
        module = ahead.pop(0)
        if module not in found:
            found.append(module)
            ahead += [thing for name in exports(module) if inspect.ismodule(thing := getattr(module, name))]
    return tuple(found)


def exports(module: ModuleType) -> list[str]:
    """The names in ``__all__``; without one, what the module itself defines under a public name."""
    own = [
        name
        for name, thing in [*vars(module).items()]  # a name may be imported when it is looked at
        if not name.startswith("_") and getattr(thing, "__module__", None) == module.__name__
    ]
    return list(getattr(module, "__all__", own))


@cache
def public_objects() -> tuple[Public, ...]:
    """All of them, each once, under the first name that is found."""
    modules = public_modules()  # with which all registries are there
    entries = [entry for kind in [*Registry.kinds.values()] for entry in kind if own(entry)]
    registered = {id(entry.target): entry for entry in reversed(entries)}  # a loss is a metric as well
    found: dict[int, Public] = {}
    for module in modules:
        found[id(module)] = Public(module.__name__, "module", module, inspect.getdoc(module) or "")
        names = [(f"{module.__name__}.{name}", getattr(module, name)) for name in exports(module)]
        for name, thing in names:
            if id(thing) not in found and not inspect.ismodule(thing):
                found[id(thing)] = described(name, thing, registered.get(id(thing)))
    for key, entry in registered.items():
        if key not in found:
            name = f"{entry.target.__module__}.{entry.target.__name__}"
            found[key] = described(name, entry.target, entry)
    classes = [thing for thing in found.values() if thing.category == "class"]
    members = [member for thing in classes for member in public_members(thing, classes)]
    return (*found.values(), *members)


def own(entry: Any) -> bool:
    """Whether nnx registered it: other tests register things of their own."""
    return str(entry.target.__module__).startswith("nnx.")


def described(name: str, thing: Any, entry: Any) -> Public:
    kind = entry.kind if entry else ""
    checks = tuple(entry.checks.items()) if entry else ()
    if inspect.isclass(thing):
        category = "exception" if issubclass(thing, Exception) else "class"
        made_by = [vars(thing).get(n) for n in ("__new__", "__init__", "__post_init__", "__call__")]
        body = tuple(f for f in map(plain, made_by) if inspect.isfunction(f) and own_code(f))
        return Public(name, category, thing, own_doc(thing), kind, body, checks=checks)
    function = plain(thing)
    if inspect.isfunction(function) and not inspect.ismethod(thing):
        return Public(name, "function", thing, inspect.getdoc(thing) or "", kind, (function,), checks=checks)
    if inspect.ismethod(thing):  # `get` and `register` of a registry: documented there
        return Public(name, "bound method", thing, inspect.getdoc(thing) or "")
    return Public(name, "constant", thing, "")


def own_doc(cls: type) -> str:
    """The docstring that stands in the class itself, without what a dataclass makes up."""
    text = inspect.cleandoc(vars(cls).get("__doc__") or "")
    return "" if text.startswith(f"{cls.__name__}(") else text


def plain(thing: Any) -> Any:
    """The function below decorators, properties, and nnx's own FusedFunction."""
    for attribute in ("fget", "func", "__func__", "plain"):
        thing = getattr(thing, attribute, thing)
    return inspect.unwrap(thing) if callable(thing) else thing


def own_code(function: Callable[..., Any]) -> bool:
    return str(function.__module__).startswith("nnx.") and function.__code__.co_filename.endswith(".py")


def public_members(thing: Public, classes: list[Public]) -> Iterator[Public]:
    """Methods and properties that the class adds to its public base classes."""
    listed = {other.target for other in classes}
    mine = [base for base in thing.target.__mro__ if base.__module__.startswith("nnx.")]
    others = [base for base in mine[1:] if base in listed]
    seen: set[str] = set()
    for base in mine:
        if base in others:
            continue
        for name, member in vars(base).items():
            function = plain(member)
            hidden = name.startswith("_") or name in seen or not inspect.isfunction(function)
            hidden = hidden or function.__name__.startswith("_")  # as Symbol.value, which refuses
            documented_there = any(hasattr(other, name) for other in others)
            if hidden or documented_there or not own_code(function) or "<lambda>" in function.__qualname__:
                continue
            seen.add(name)
            category = "method" if inspect.isroutine(member) else "property"
            doc = inspect.getdoc(member) or inspect.getdoc(function) or inherited(thing.target, name)
            yield Public(f"{thing.name}.{name}", category, member, doc, "", (function,), thing.target)


def inherited(cls: type, name: str) -> str:
    """What a base class that is no public object (a protocol's part, a mixin) says about a method."""
    for base in cls.__mro__:
        member = plain(vars(base).get(name))
        if inspect.isfunction(member) and member.__doc__:
            return inspect.cleandoc(member.__doc__)
    return ""
