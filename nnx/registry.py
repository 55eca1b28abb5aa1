"""Names for things: one registry per kind (activations, losses, optimizers, layers, ...).

A registered function becomes usable by its name (``"relu"``), by its aliases, by the name of its
class in Keras (``ReLU``), and with options (``activations.LeakyRelu(negative_slope=0.1)``).
Tests and documentation walk the registry, so a new entry is tested and documented by being there.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import itertools
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import FrozenInstanceError, dataclass, field, fields, is_dataclass
from numbers import Integral, Real
from typing import Any, ClassVar

from nnx.errors import FileFormatError, OptionError, UnknownName


@dataclass(frozen=True)
class Check:
    """What an option must be: ``words`` say it, ``holds`` tells it of a number.

    Arrays, which may be traced, are taken on trust where ``arrays`` may be given.
    """

    words: str
    holds: Callable[[Any], bool]
    whole: bool = False
    optional: bool = False
    arrays: bool = True

    def __call__(self, where: str, name: str, value: Any) -> None:
        if value is None and self.optional:
            return
        if isinstance(value, Integral if self.whole else Real) and not isinstance(value, bool):
            if self.holds(value):
                return
        elif self.arrays and hasattr(value, "dtype") and not isinstance(value, Real):
            return
        raise OptionError(f"{where}: {name} must be {self.words}, got {value!r}.")


def need_known(where: str, allowed: Sequence[str], options: Iterable[str]) -> None:
    """Raises :class:`nnx.errors.OptionError` for a name that is not among those ``allowed``."""
    for name in options:
        if name not in allowed:
            known = ", ".join(allowed) or "none"
            raise OptionError(f"{where} has no option '{name}'. Its options: {known}.")


@dataclass(frozen=True)
class Choice:
    """A registered function together with its options: ``leaky_relu`` with ``negative_slope=0.1``."""

    kind: str
    name: str
    function: Callable[..., Any] = field(repr=False)
    options: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, *args: Any, **extra: Any) -> Any:
        if not extra and not self.options:
            return self.function(*args)
        return self.function(*args, **{**self.options, **extra})

    @property
    def facts(self) -> Mapping[str, Any]:
        """What was declared at registration (formula, domain, ...); empty for a user's function."""
        entry = Registry.kinds[self.kind].find(self.function, self.name)
        return entry.facts if entry else {}

    def __hash__(self) -> int:
        return hash((self.kind, self.name))


@dataclass(frozen=True)
class Entry:
    """One row of a registry."""

    kind: str
    name: str
    target: Callable[..., Any]
    class_name: str
    aliases: tuple[str, ...]
    facts: Mapping[str, Any]
    checks: Mapping[str, Check] = field(default_factory=dict)

    def create(self, *args: Any, **options: Any) -> Any:
        """An instance of a registered class, or a :class:`Choice` of a registered function."""
        if inspect.isclass(self.target):
            return self.target(*args, **options)
        allowed = self.options
        if len(args) > len(allowed):
            raise OptionError(
                f"{self.class_name} takes {len(allowed)} options {allowed}, got {len(args)} values."
            )
        need_known(self.class_name, allowed, options)
        for name in allowed[: len(args)]:
            if name in options:
                raise OptionError(f"{self.class_name} was given its option '{name}' twice.")
        options = dict(zip(allowed, args, strict=False)) | options
        for name in self.checks.keys() & options.keys():
            self.checks[name](self.class_name, name, options[name])
        return Choice(self.kind, self.name, self.target, options)

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the keyword-only parameters, in order: these are the options."""
        parameters = inspect.signature(self.target).parameters.values()
        return tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)


def _explain_assignment(cls: Any) -> None:
    """Makes a frozen dataclass say what to do instead of assigning to it, with its ``instead`` added."""
    bare = cls.__setattr__

    def assign(self: Any, name: str, value: Any) -> None:
        try:
            bare(self, name, value)
        except FrozenInstanceError as error:
            instead = getattr(self, "instead", "")
            raise FrozenInstanceError(
                f"'{name}' of a {type(self).__name__} cannot be set: it stays as it was made. "
                f"dataclasses.replace(it, {name}=...) makes another one.{instead and ' ' + instead}"
            ) from error

    cls.__setattr__ = assign


class Registry:
    """The things of one kind, by name.

    >>> shapes = Registry("shape")
    >>> @shapes.register("disc")
    ... def circle(r, *, scale=1.0):
    ...     return scale * 3.0 * r * r
    >>> shapes.get("disc")(1.0)
    3.0
    >>> shapes.factory("Circle")(scale=2.0)(1.0)
    6.0
    """

    kinds: ClassVar[dict[str, Registry]] = {}

    def __init__(self, kind: str, makers: bool = False) -> None:
        self.kind = kind
        self.makers = makers
        self._entries: dict[str, Entry] = {}
        self._names: dict[str, str] = {}
        Registry.kinds[kind] = self

    def register(
        self,
        *aliases: str,
        class_name: str | None = None,
        checks: Mapping[str, Check] | None = None,
        **facts: Any,
    ) -> Callable[[Any], Any]:
        """Decorator: makes a function or class known under its name, its class name and ``aliases``.

        ``facts`` are kept with the entry, for tests and documentation (formula, domain, ...). ``checks`` say
        what the options of a function must be where it is made with them (see :class:`Check`).
        With ``makers`` a function that is called without what it works on, or with a number in its place,
        is its own maker, as in Keras: ``l2(0.01)`` is ``L2(0.01)``.
        The same name again replaces the entry; a name that belongs to another raises ``OptionError``.
        """

        def add(target: Any) -> Any:
            name = target.__name__
            if inspect.isclass(target):
                own_class, name = name, snake_case(name)
            else:
                own_class = class_name or "".join(part.capitalize() for part in name.split("_"))
            names = (name, own_class, own_class.lower(), *aliases)
            for known in names:
                if (owner := self._names.get(known, name)) != name:
                    raise OptionError(f"Cannot register {name}: {self.kind} '{known}' is {owner} already.")
            if self.makers and inspect.isfunction(target):
                target = self._or_maker(target)
            if is_dataclass(target):
                _explain_assignment(target)
            self._names.update(dict.fromkeys(names, name))
            self._entries[name] = Entry(self.kind, name, target, own_class, aliases, facts, checks or {})
            return target

        return add

    def _or_maker(self, function: Callable[..., Any]) -> Callable[..., Any]:
        name, subject = function.__name__, next(iter(inspect.signature(function).parameters))

        @functools.wraps(function)
        def either(*args: Any, **options: Any) -> Any:
            if subject in options or (args and not isinstance(args[0], Real)):
                return function(*args, **options)
            return self.entry(name).create(*args, **options)

        return either

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def entry(self, name: str) -> Entry:
        """The row of a name, an alias or a class name; ``UnknownName`` lists the nearest ones."""
        if name not in self._names and (lower := str(name).lower()) in self._names:
            name = lower
        if name not in self._names:
            spellings = {known.lower(): known for known in reversed(self._names)}
            near = difflib.get_close_matches(str(name).lower(), spellings, n=3, cutoff=0.5)
            hint = f" Did you mean {' or '.join(repr(spellings[n]) for n in near)}?" if near else ""
            known = ", ".join(sorted(self._entries))
            raise UnknownName(f"Unknown {self.kind} '{name}'.{hint} Known: {known}.")
        return self._entries[self._names[name]]

    def get(self, spec: Any) -> Any:
        """Turns what a user wrote (name, class, instance, function, configuration) into the thing."""
        if isinstance(spec, str):
            return self.entry(spec).create()
        if isinstance(spec, Mapping):
            return from_config(spec)
        if inspect.isclass(spec) or isinstance(getattr(spec, "__self__", None), Entry):  # HeNormal, uncalled
            spec = spec()
        name = getattr(spec, "__name__", "") or snake_case(type(spec).__name__)
        if (entry := self.find(spec, name)) is not None:
            return entry.create()
        # Whatever else can be called is a function: a method, functools.partial, an object of a user's class.
        known = isinstance(spec, Choice) or getattr(spec, "kind", None) in Registry.kinds
        return Choice(self.kind, name, spec) if callable(spec) and not known else spec

    def factory(self, class_name: str) -> Callable[..., Any]:
        """``create`` of the entry with that class name; ``AttributeError`` if there is none."""
        for entry in self._entries.values():
            if entry.class_name == class_name:
                return entry.create
        raise AttributeError(f"There is no {self.kind} called '{class_name}'.")

    def class_names(self) -> list[str]:
        """The class names, for ``dir()`` of the module that holds the registry."""
        return [entry.class_name for entry in self]

    def find(self, target: Any, name: str) -> Entry | None:
        """The row of that name if it is ``target``'s own, and not that of a namesake."""
        entry = self._entries.get(name)
        return entry if entry is not None and entry.target is target else None


def snake_case(name: str) -> str:
    """``LeCunNormal`` → ``le_cun_normal``; runs of capitals stay together (``RMSprop`` → ``rmsprop``)."""
    out = ""
    for i, c in enumerate(name):
        if c.isupper() and i and name[i - 1].islower():
            out += "_"
        out += c.lower()
    return out


def unique_name(stem: str, taken: Container[str]) -> str:
    """``stem`` itself, or the first of ``stem_1``, ``stem_2``, ... that is not taken."""
    numbered = (f"{stem}_{number}" for number in itertools.count(1))
    return next(name for name in itertools.chain([stem], numbered) if name not in taken)


def to_config(thing: Any) -> Any:
    """A JSON-able description of a thing made of registered parts; inverse of :func:`from_config`."""
    if thing is None or isinstance(thing, bool | int | float | str):
        return thing
    if hasattr(thing, "tolist"):  # an array, or a number of NumPy's
        return to_config(thing.tolist())
    if isinstance(thing, tuple | list):
        return [to_config(part) for part in thing]
    if isinstance(thing, Choice):
        _must_know(thing.kind, thing.name, thing.function, thing)
        return {"kind": thing.kind, "name": thing.name, "options": _mapping(thing.options)}
    if isinstance(thing, dict):
        return {"kind": "dict", "options": _mapping(thing)}
    kind = getattr(type(thing), "kind", None)
    if kind in Registry.kinds and is_dataclass(thing):
        name = snake_case(type(thing).__name__)
        _must_know(kind, name, type(thing), thing)
        values = {f.name: getattr(thing, f.name) for f in fields(thing) if f.init}
        return {"kind": kind, "name": name, "options": _mapping(values)}
    raise OptionError(
        f"Cannot save {thing!r}: only registered things can be written to a file. Register it "
        f"(nnx.{kind or 'layer'}s: `@register`), or save the weights alone."
    )


def from_config(config: Any) -> Any:
    """The thing that :func:`to_config` described."""
    if isinstance(config, list):
        return tuple(from_config(part) for part in config)
    if not isinstance(config, Mapping):
        return config
    kind, options = config.get("kind"), config.get("options")
    if not isinstance(options, Mapping) or (kind != "dict" and kind not in Registry.kinds):
        raise FileFormatError(f"Not a configuration that nnx wrote: {config!r}.")
    values = {key: from_config(value) for key, value in options.items()}
    if kind == "dict":
        return values
    return Registry.kinds[kind].entry(config.get("name", "")).create(**values)


def _mapping(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: to_config(value) for key, value in options.items()}


def _must_know(kind: str, name: str, target: Any, thing: Any) -> None:
    if Registry.kinds[kind].find(target, name) is None:
        raise OptionError(
            f"Cannot save the {kind} {thing!r}: it is not registered, so a file could not name it. "
            f"Decorate it with `@register` of nnx's {kind} registry, or save the weights alone."
        )
