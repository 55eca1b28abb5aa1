"""Things by name: one registry for each kind (activations, losses, optimizers, layers, ...).

A registered function can be asked for by its name (``"relu"``), by its aliases, by the name of its class in
Keras (``ReLU``), and with options (``activations.LeakyReLU(negative_slope=0.1)``). Tests and documentation
walk the registry, so a new entry is tested and documented by being there.
"""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from numbers import Real
from typing import Any, ClassVar, Generic

from nnx import later
from nnx.errors import OptionError, UnknownName
from nnx.options import Check, need_known, remembering
from nnx.options.pairs import Agreement
from nnx.registry.configs import KINDS, from_config, to_config
from nnx.registry.entries import Choice, Entry, T, Traits
from nnx.registry.frozen import explain_assignment
from nnx.registry.naming import camel_case, snake_case


class Registry(Generic[T]):
    """Objects of one kind (activations, losses, ...) by name.

    ``traits`` is the class of the facts that are declared with each; ``module`` is where users find the
    registry. With ``makers``, calling a registered function with options only gives a configured copy, as in
    Keras: ``l2(0.01)`` is ``L2(0.01)``. ``refused`` says why names that other libraries have do not exist.
    ``class_of`` makes the class that a function has under its class name (in place of a :class:`Choice`) out
    of its entry.

    >>> from nnx.registry import Registry
    >>> shapes = Registry("shape")
    >>> @shapes.register("disc")
    ... def circle(r, *, scale=1.0):
    ...     return scale * 3.0 * r * r
    >>> shapes.get("disc")(1.0)
    3.0
    >>> shapes.constructor("Circle")(scale=2.0)(1.0)
    6.0
    >>> entry = shapes.entry("circle")
    >>> shapes.find(entry.target) is entry is shapes.entry_of(entry.target), shapes.attributes()
    (True, ['Circle', 'circle', 'disc'])
    >>> shapes.attribute("disc") is entry.target, shapes.class_for(entry)(scale=2.0).options
    (True, {'scale': 2.0})
    """

    kinds: ClassVar[dict[str, Registry[Any]]] = KINDS

    def __init__(
        self,
        kind: str,
        traits: type[T] = Traits,  # type: ignore[assignment]
        *,
        module: str = "",
        makers: bool = False,
        refused: Mapping[str, str] | None = None,
        class_of: Callable[[Entry[T]], type] | None = None,
    ) -> None:
        self.kind = kind
        self.traits = traits
        self.module = module or f"nnx.{kind}s"
        self.makers = makers
        self.refused = refused or {}
        self.class_of = class_of
        self._entries: dict[str, Entry[T]] = {}
        self._names: dict[str, str] = {}
        self._classes: dict[str, type] = {}
        KINDS[kind] = self

    # -- registering ----------------------------------------------------------------------------------

    def register(
        self,
        *aliases: str,
        class_name: str | None = None,
        checks: Mapping[str, Check] | None = None,
        agree: Agreement | None = None,
        **traits: Any,
    ) -> Callable[[Any], Any]:
        """Decorator: makes a function or class known under its name, its class name and ``aliases``.

        ``traits`` are the fields of the registry's traits (formula, use, ...). ``checks`` are those of a
        function's options (see :mod:`nnx.options`), made where it is given them; ``agree`` checks all of them
        together, as :class:`nnx.options.Ordered` does. The same name again replaces the entry; a name that
        belongs to another raises :class:`nnx.errors.OptionError`.
        """
        need_known(f"register of nnx's {self.kind}s", [f.name for f in fields(self.traits)], traits)
        declared = self.traits(**traits)

        def add(target: Any) -> Any:
            entry = self._entry(target, aliases, class_name, declared, checks or {}, agree)
            if not str(getattr(target, "__module__", "")).startswith("nnx."):
                later.load(self.module)  # a user's own comes after those that it may replace
            names = (entry.name, entry.class_name, *aliases)
            for known in names:
                if (owner := self._names.get(known, entry.name)) != entry.name:
                    raise OptionError(
                        f"Cannot register {entry.name}: {self.kind} '{known}' is {owner} already."
                    )
            if inspect.isclass(target):
                _prepare(target)
            self._names.update(dict.fromkeys(names, entry.name))
            self._names.setdefault(entry.class_name.lower(), entry.name)
            self._entries[entry.name] = entry
            self._classes.pop(entry.name, None)
            return entry.target

        return add

    def _entry(
        self,
        target: Any,
        aliases: tuple[str, ...] = (),
        class_name: str | None = None,
        traits: T | None = None,
        checks: Mapping[str, Check] | None = None,
        agree: Agreement | None = None,
    ) -> Entry[T]:
        name = getattr(target, "__name__", "")
        if not name.isidentifier() or not callable(target):
            raise OptionError(
                f"Cannot register {target!r} as {self.kind}: register a class, or a function made by def."
            )
        if inspect.isclass(target):
            class_name, name = name, snake_case(name)
        elif self.makers and inspect.isfunction(target):
            target = self._or_maker(target, checks or {})
        declared = self.traits() if traits is None else traits
        class_name = class_name or camel_case(name)
        return Entry(self.kind, name, target, class_name, aliases, declared, checks or {}, agree)

    def _or_maker(self, function: Callable[..., Any], checks: Mapping[str, Check]) -> Callable[..., Any]:
        """``function``, with its options checked, and a maker where it is called with options alone."""
        name, subject = function.__name__, next(iter(inspect.signature(function).parameters))

        @functools.wraps(function)
        def either(*args: Any, **options: Any) -> Any:
            if subject in options or (args and not isinstance(args[0], Real)):
                for option in checks.keys() & options.keys():
                    options[option] = checks[option](name, option, options[option])
                self.entry(name).need_agreement(name, options)
                return function(*args, **options)
            return self.entry(name).create(*args, **options)

        return either

    # -- finding --------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Entry[T]]:
        later.load(self.module)
        return iter([*self._entries.values()])  # what is done with one may import others

    def __contains__(self, name: str) -> bool:
        return name in self._names or any(name in self._names for _ in later.loading(self.module))

    def entry(self, name: str) -> Entry[T]:
        """The row of a name, an alias or a class name.

        Raises :class:`nnx.errors.UnknownName` with the nearest names.
        """
        if name not in self and (lower := str(name).lower()) in self._names:
            name = lower
        if name in self.refused:
            raise UnknownName(f"There is no {self.kind} '{name}': {self.refused[name]}.")
        if name not in self._names:
            spellings: dict[str, str] = {}
            for known in self._names:
                spellings.setdefault(known.lower(), known)
            near = difflib.get_close_matches(str(name).lower(), list(spellings), n=3)
            hint = f" Did you mean {' or '.join(repr(spellings[n]) for n in near)}?" if near else ""
            every = ", ".join(sorted(self._entries))
            raise UnknownName(f"Unknown {self.kind} '{name}'.{hint} Known: {every}.")
        return self._entries[self._names[name]]

    def find(self, target: Any) -> Entry[T] | None:
        """The row of a function or class, which must be the registered one and not a namesake."""
        for entry in self._entries.values():  # what is registered in a module not yet imported, nobody has
            if entry.target is target or (target is not None and self._classes.get(entry.name) is target):
                return entry
        return None

    def entry_of(self, target: Any) -> Entry[T]:
        """The row that a function or class has, or would have if it were registered."""
        return self.find(target) or self._entry(target)

    def constructor(self, name: str) -> Callable[..., Any]:
        """What makes the thing of that name, alias or class name, given its options."""
        entry = self.entry(name)
        return self.class_for(entry) if name == entry.class_name else entry.create

    def class_for(self, entry: Entry[T]) -> Callable[..., Any]:
        """What makes an object of an entry: its class, or that which ``class_of`` makes for a function."""
        if self.class_of is None or inspect.isclass(entry.target):
            return entry.create
        if entry.name not in self._classes:
            self._classes[entry.name] = self.class_of(entry)
        return self._classes[entry.name]

    def get(self, spec: Any) -> Any:
        """The thing that a user wrote as a name, class, instance, function or configuration.

        Raises :class:`nnx.errors.UnknownName` with the nearest names, :class:`nnx.errors.OptionError` where
        options without a default are missing, :class:`nnx.errors.FileFormatError` for a mapping that is no
        configuration.
        """
        if isinstance(spec, str):
            return self._complete(self.entry(spec), spec)
        if isinstance(spec, Mapping):
            return from_config(spec)
        if inspect.isclass(spec) or isinstance(getattr(spec, "__self__", None), Entry):  # HeNormal, uncalled
            spec = spec()
        if (entry := self.find(spec)) is not None:
            return self._complete(entry, entry.name)
        # Whatever else can be called is a function: a method, functools.partial, an object of a user's class.
        known = isinstance(spec, Choice) or getattr(spec, "kind", None) in KINDS
        if not callable(spec) or known:
            return spec
        name = getattr(spec, "__name__", "") or snake_case(type(spec).__name__)
        return Choice(self.kind, name, spec, traits=self.traits())

    def _complete(self, entry: Entry[T], name: str) -> Any:
        """The thing of an entry with its default options; an error where some have none."""
        if not inspect.isclass(entry.target) and (missing := entry.required):
            values = ", ".join(f"{option}=..." for option in missing)
            raise OptionError(
                f"The {self.kind} {entry.name} needs options: {self.module}.{entry.class_name}({values})."
            )
        return self.constructor(name)()

    # -- a module's attributes ------------------------------------------------------------------------

    def attribute(self, name: str) -> Any:
        """What a module holds under ``name``: the thing itself for its name and aliases, else its maker.

        ``AttributeError`` if there is none, so that it can be a module's ``__getattr__``.
        """
        for entry in self:
            if name == entry.class_name and not inspect.isclass(entry.target):
                return self.constructor(name)
            if name in (entry.name, entry.class_name, *entry.aliases):
                return entry.target
        if name in ("serialize", "deserialize"):  # Keras' names
            return to_config if name == "serialize" else from_config
        reason = f": {self.refused[name]}" if name in self.refused else ""
        raise AttributeError(f"There is no {self.kind} called '{name}'{reason}.")

    def attributes(self) -> list[str]:
        """The names that :meth:`attribute` knows, for ``dir()`` of a module."""
        every = [(entry.name, entry.class_name, *entry.aliases) for entry in self]
        return sorted({name for names in every for name in names if name.isidentifier()})


def _prepare(cls: type) -> None:
    """Makes a class fit for files: it remembers its arguments, and explains that it stays as it was made."""
    init = cls.__init__  # type: ignore[misc]
    if is_dataclass(cls):
        explain_assignment(cls)
        if set(inspect.signature(init).parameters) == {"self", *(f.name for f in fields(cls) if f.init)}:
            return  # made by dataclass
    if inspect.isfunction(init) and not hasattr(init, "written"):
        cls.__init__ = remembering(init)  # type: ignore[misc]
