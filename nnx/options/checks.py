"""Checks of single options, and the fields of dataclasses that carry them."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Hashable, Sequence
from dataclasses import MISSING, dataclass, field
from numbers import Integral, Real
from typing import Any

from nnx.errors import OptionError

#: takes what was called, the option's name and its value; returns the value to keep
Check = Callable[[str, str, Any], Any]

_SEED = "a whole number from 0 to 2**64 - 1"


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

    def __str__(self) -> str:
        return self.words + (" or None" if self.optional and "None" not in self.words else "")


@dataclass(frozen=True)
class Several:
    """The check that an option is a tuple or list of numbers that ``each`` allows, kept as a tuple of them.

    ``count`` says how many there are; None: any number of them.

    >>> from nnx.options import Number, Several
    >>> Several(Number(least=0), count=2)("Rprop", "etas", [0.5, 1.2])
    (0.5, 1.2)
    """

    each: Number
    count: int | None = None

    def __call__(self, where: str, name: str, value: Any) -> tuple[Any, ...]:
        fits = isinstance(value, tuple | list) and self.count in (None, len(value))
        if not fits or not all(map(self.each.allows, value)):
            raise OptionError(f"{where}: {name} must be {self}, got {value!r}.")
        return tuple(self.each(where, name, number) for number in value)

    def __str__(self) -> str:
        return f"{'several' if self.count is None else self.count} numbers, each {self.each}"


@dataclass(frozen=True)
class OneOf:
    """The check that an option is one of a few values."""

    allowed: tuple[Any, ...]

    def __call__(self, where: str, name: str, value: Any) -> Any:
        if not isinstance(value, Hashable) or value not in self.allowed:
            raise OptionError(f"{where}: {name} must be {self}, got {value!r}.")
        return value

    def __str__(self) -> str:
        return f"one of {', '.join(map(repr, self.allowed))}"


def truth(where: str, name: str, value: Any) -> bool:
    """The check that an option is True or False.

    Python's or NumPy's; 1 and 0 are neither.
    """
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
            raise OptionError(f"{where}: {name} must be {_SEED}, got {value!r}.")
        return int(value)

    def __str__(self) -> str:
        return _SEED + (" or None" if self.optional else "")


def _is_array(value: Any) -> bool:
    return hasattr(value, "dtype") and not isinstance(value, Real)


# -- fields of dataclasses --------------------------------------------------------------------------


def option(check: Check, default: Any = MISSING, **settings: Any) -> Any:
    """A dataclass field with its ``check``; ``settings`` are those of ``dataclasses.field``."""
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
