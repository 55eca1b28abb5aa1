"""Options of things that users make: checked where they are given, with errors that name the right one.

A *check* is a function ``check(where, name, value)`` that returns the value to keep, or raises
:class:`nnx.errors.OptionError`: ``where`` is what was called (``"Dropout"``, ``"fit"``), ``name`` the option.
The classes here are checks; :func:`number`, :func:`flag`, ... put them on the fields of a dataclass, and a
dataclass that derives from :class:`Options` runs them.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import math
import os
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from numbers import Integral, Real
from typing import Any, ClassVar, Self

from nnx.errors import OptionError

#: takes what was called, the option's name and its value; returns the value to keep
Check = Callable[[str, str, Any], Any]


# -- checks -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Number:
    """The check that an option is a number in an interval; it is kept as Python's float or int.

    NaN, True and False are no numbers; infinity is one where ``finite`` is False. With ``arrays`` an array,
    which may be traced, is taken on trust and kept as it is.

    >>> from nnx.options import Number
    >>> Number(least=0, below=1)("Dropout", "rate", 0.5)
    0.5
    """

    least: float = -math.inf
    above: float = -math.inf
    most: float = math.inf
    below: float = math.inf
    whole: bool = False
    optional: bool = False
    finite: bool = True
    arrays: bool = False

    def __call__(self, where: str, name: str, value: Any) -> Any:
        if (value is None and self.optional) or (self.arrays and _is_array(value)):
            return value
        if not self.allows(value):
            raise OptionError(f"{where}: {name} must be {self}, got {value!r}.")
        return int(value) if self.whole else float(value)

    def allows(self, value: Any) -> bool:
        """Whether ``value`` is such a number."""
        return (
            isinstance(value, Integral if self.whole else Real)
            and not isinstance(value, bool)
            and (math.isfinite(value) or (not self.finite and not math.isnan(value)))
            and self.least <= float(value) <= self.most
            and (self.above < float(value) < self.below or not self._open)
        )

    @property
    def _open(self) -> bool:
        return self.above != -math.inf or self.below != math.inf

    def __str__(self) -> str:
        limits = [
            f"{sign} {limit:g}"
            for sign, limit in ((">=", self.least), (">", self.above), ("<=", self.most), ("<", self.below))
            if math.isfinite(limit)
        ]
        kind = "a whole number" if self.whole else "a finite number" if self.finite else "a number"
        return " ".join([kind, " and ".join(limits)]).rstrip() + (" or None" if self.optional else "")


@dataclass(frozen=True)
class Numbers:
    """The check that an option is one whole number or several, kept as a tuple of ints.

    ``words`` say what they must be, ``holds`` tells it of one of them, ``count`` how many there are.
    """

    words: str
    holds: Callable[[int], bool] = lambda n: True
    count: int | None = None
    optional: bool = False

    def __call__(self, where: str, name: str, value: Any) -> tuple[int, ...] | None:
        if value is None and self.optional:
            return None
        several = isinstance(value, Sequence) and not isinstance(value, str)
        parts = tuple(value) if several else (value,)
        whole = all(isinstance(n, Integral) and not isinstance(n, bool) for n in parts)
        if not whole or not all(map(self.holds, parts)) or self.count not in (None, len(parts)):
            raise OptionError(f"{where}: {name} must be {self.words}, got {value!r}.")
        return tuple(map(int, parts))


@dataclass(frozen=True)
class OneOf:
    """The check that an option is one of a few values."""

    allowed: tuple[Any, ...]

    def __call__(self, where: str, name: str, value: Any) -> Any:
        if not isinstance(value, Hashable) or value not in self.allowed:
            known = ", ".join(map(repr, self.allowed))
            raise OptionError(f"{where}: {name} must be one of {known}, got {value!r}.")
        return value


def truth(where: str, name: str, value: Any) -> bool:
    """The check that an option is True or False (Python's or NumPy's, not 1 or 0)."""
    if type(value).__name__ not in ("bool", "bool_"):
        raise OptionError(f"{where}: {name} must be True or False, got {value!r}.")
    return bool(value)


def path(where: str, name: str, value: Any) -> str:
    """The check that an option is a path, kept as a string."""
    if not isinstance(value, str | os.PathLike) or not os.fspath(value):
        raise OptionError(f"{where}: {name} must be a path, got {value!r}.")
    return os.fsdecode(value)


@dataclass(frozen=True)
class Seed:
    """The check of a seed, a whole number from 0 to 2⁶⁴ − 1, or None where ``optional``."""

    optional: bool = True

    def __call__(self, where: str, name: str, value: Any) -> int | None:
        if value is None and self.optional:
            return None
        if not isinstance(value, Integral) or isinstance(value, bool) or not 0 <= int(value) < 2**64:
            raise OptionError(f"{where}: {name} must be a whole number from 0 to 2**64 - 1, got {value!r}.")
        return int(value)


def _is_array(value: Any) -> bool:
    return hasattr(value, "dtype") and not isinstance(value, Real)


# -- fields of dataclasses --------------------------------------------------------------------------


def option(check: Check, default: Any = MISSING, **settings: Any) -> Any:
    """A dataclass field whose value ``check`` looks at; ``settings`` are those of ``dataclasses.field``."""
    return field(default=default, metadata={"check": check}, **settings)


def number(default: Any = MISSING, **limits: Any) -> Any:
    """A dataclass field for a :class:`Number`."""
    return option(Number(**limits), default)


def fraction(default: Any = MISSING) -> Any:
    """A dataclass field for a number in [0, 1), such as what a moving average keeps of the past."""
    return number(default, least=0.0, below=1.0)


def flag(default: Any = MISSING) -> Any:
    """A dataclass field for True or False."""
    return option(truth, default)


def one_of(*allowed: Any, default: Any = MISSING) -> Any:
    """A dataclass field for one of a few values."""
    return option(OneOf(allowed), default)


# -- classes with options ---------------------------------------------------------------------------


class Options:
    """Base class of dataclasses whose arguments are checked.

    A subclass may say in ``renamed`` what other libraries call its own arguments. An argument that does not
    exist raises :class:`nnx.errors.OptionError` with the name to use instead:

    >>> nnx.optimizers.SGD(lr=0.1)
    Traceback (most recent call last):
    nnx.errors.OptionError: SGD has no argument 'lr'. Use learning_rate. Its arguments: learning_rate, ...
    """

    renamed: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        # What stands here now was written by hand: a dataclass makes its own __init__ later.
        if "__init__" in vars(cls):
            cls.__init__ = _remembering(cls.__init__)  # type: ignore[method-assign]

    def __new__(cls, *args: Any, **options: Any) -> Self:
        # A dataclass answers an unknown keyword with a bare TypeError from __init__; this runs before it.
        if not hand_written(cls):
            cls._check_arguments(args, options)
        return super().__new__(cls)

    @classmethod
    def _check_arguments(cls, args: Sequence[Any], options: Iterable[str]) -> None:
        positional = [f.name for f in fields(cls) if f.init and not f.kw_only]  # type: ignore[arg-type]
        allowed = cls.arguments()
        if "__dataclass_fields__" not in vars(cls) and vars(cls).get("__annotations__", {}).keys() - {
            *allowed
        }:
            raise OptionError(
                f"{cls.__name__} has fields of its own: write @dataclass(frozen=True) above the class."
            )
        if len(args) > len(positional):
            raise OptionError(
                f"{cls.__name__} takes {len(positional)} arguments without a name "
                f"({', '.join(positional)}), got {len(args)}. Its arguments: {', '.join(allowed)}."
            )
        need_known(cls.__name__, allowed, options, cls.hints())

    def __post_init__(self) -> None:
        own: Sequence[Any] = fields(self) if is_dataclass(self) else ()
        for f in own:
            check: Check | None = f.metadata.get("check")
            if check is not None:
                object.__setattr__(self, f.name, check(type(self).__name__, f.name, getattr(self, f.name)))

    @classmethod
    def arguments(cls) -> list[str]:
        """The names of its arguments, those that may be given without a name first."""
        own = [f for f in fields(cls) if f.init]  # type: ignore[arg-type]
        return [f.name for f in sorted(own, key=lambda f: bool(f.kw_only))]

    @classmethod
    def hints(cls) -> dict[str, str]:
        """What other libraries call its arguments, ``renamed`` of its base classes included."""
        known = [vars(base).get("renamed", {}) for base in reversed(cls.__mro__)]
        return {theirs: ours for names in known for theirs, ours in names.items()}


def hand_written(cls: type) -> bool:
    """Whether instances are made by an ``__init__`` that somebody wrote, and not by one of a dataclass."""
    init = next(vars(base)["__init__"] for base in cls.__mro__ if "__init__" in vars(base))
    return hasattr(init, "written") or not is_dataclass(cls)


def _remembering(init: Callable[..., None]) -> Callable[..., None]:
    """``init``, which first notes the arguments that it is called with: see :func:`made_with`."""
    signature = inspect.signature(init)

    @functools.wraps(init)
    def __init__(self: Any, *args: Any, **options: Any) -> None:  # noqa: N807
        if "_made_with" not in vars(self):  # a base class's, called by this one's, adds nothing
            object.__setattr__(self, "_made_with", signature.bind(self, *args, **options))
        init(self, *args, **options)

    __init__.written = True  # type: ignore[attr-defined]
    return __init__


def made_with(thing: Any) -> dict[str, Any]:
    """The arguments that make another one like ``thing``: by name, as they are now where they are fields.

    >>> from nnx.options import made_with
    >>> made_with(nnx.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5))["decay_steps"]
    10.0
    """
    if not hand_written(type(thing)):
        own = vars(thing)  # an attribute may tell more than it was given: the name of a layer in a model
        return {f.name: own.get(f.name, getattr(thing, f.name)) for f in fields(thing) if f.init}
    bound = vars(thing).get("_made_with")
    found: dict[str, Any] = {}
    for name, value in list(bound.arguments.items())[1:] if bound else ():
        kind = bound.signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            raise OptionError(
                f"{type(thing).__name__} takes *{name}, which cannot be kept: name its arguments."
            )
        found |= value if kind is inspect.Parameter.VAR_KEYWORD else {name: value}
    return found


def built_in(thing: Any) -> bool:
    """Whether nnx itself defines the thing (or its class): of a user's own nothing is known.

    >>> from nnx.options import built_in
    >>> built_in(nnx.optimizers.Adam()), built_in(np.tanh)
    (True, False)
    """
    made = getattr(thing, "function", thing)
    made = made if hasattr(made, "__qualname__") else type(made)
    return str(getattr(made, "__module__", "")).startswith("nnx.")


# -- errors -----------------------------------------------------------------------------------------


def no_argument(
    where: str, name: str, allowed: Sequence[str], hints: Mapping[str, str], further: Sequence[str] = ()
) -> OptionError:
    """The error for an argument that ``where`` does not have: what to use instead, and what there is.

    ``hints`` maps names that other libraries use to the ones here (or to advice in words); ``further`` are
    arguments that may be given as well.
    """
    advice, known = hints.get(name, ""), [*allowed, *further]
    if not advice or (advice.isidentifier() and advice not in known):
        advice = "".join(difflib.get_close_matches(name, known, n=1))
    words = [f"{where} has no argument '{name}'."]
    words += [f"Use {advice}."] if advice else []
    words += [f"Its arguments: {', '.join(allowed) or 'none'}."]
    words += [f"Options of every run: {', '.join(further)}."] if further else []
    return OptionError(" ".join(words))


def need_known(
    where: str, allowed: Sequence[str], options: Iterable[str], hints: Mapping[str, str] | None = None
) -> None:
    """Raises :func:`no_argument` for a name that is not among those ``allowed``."""
    for name in options:
        if name not in allowed:
            raise no_argument(where, name, allowed, hints or {})
