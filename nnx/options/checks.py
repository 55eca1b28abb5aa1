"""Checks of single options, and the fields of dataclasses that carry them."""

from __future__ import annotations

import math
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
    which may be traced, is taken on trust and kept as it is. Raises :class:`nnx.errors.OptionError` for
    anything else.

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
        """Whether ``value`` is such a number.

        >>> from nnx.options import Number
        >>> Number(least=0).allows(-1.0)
        False
        """
        if not isinstance(value, Integral if self.whole else Real) or isinstance(value, bool):
            return False
        try:
            size = float(value)
        except OverflowError:  # a whole number above 1.8e308
            return False
        return (
            (math.isfinite(size) or (not self.finite and not math.isnan(size)))
            and self.least <= size <= self.most
            and (self.above < size < self.below or not self._open)
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

    Raises :class:`nnx.errors.OptionError` for anything else. ``count`` is a whole number ≥ 1, or None for any
    number of them.

    >>> from nnx.options import Numbers
    >>> Numbers("whole numbers ≥ 0", lambda n: n >= 0)("Permute", "dims", [2, 1])
    (2, 1)
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

    Raises :class:`nnx.errors.OptionError` for anything else.

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
    """The check that an option is one of a few values.

    Raises :class:`nnx.errors.OptionError` for anything else.

    >>> from nnx.options import OneOf
    >>> OneOf(("rows", "columns"))("OrthogonalRegularizer", "mode", "rows")
    'rows'
    """

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

    Raises :class:`nnx.errors.OptionError` for anything else.

    >>> from nnx.options import truth
    >>> truth("SGD", "nesterov", np.True_)
    True
    """
    if type(value).__name__ not in ("bool", "bool_"):
        raise OptionError(f"{where}: {name} must be True or False, got {value!r}.")
    return bool(value)


@dataclass(frozen=True)
class Seed:
    """The check of a seed, a whole number from 0 to 2⁶⁴ − 1, or None where ``optional``.

    Raises :class:`nnx.errors.OptionError` for anything else.

    >>> from nnx.options import Seed
    >>> Seed()("Dropout", "seed", 7)
    7
    """

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
    """A dataclass field with its ``check``; ``settings`` are those of ``dataclasses.field``.

    >>> from dataclasses import dataclass
    >>> from nnx.options import Number, Options, option
    >>> @dataclass(frozen=True)
    ... class Step(Options):
    ...     size: float = option(Number(above=0), 1.0)
    >>> Step(-1.0)
    Traceback (most recent call last):
        ...
    nnx.errors.OptionError: Step: size must be a finite number > 0, got -1.0.
    """
    return field(default=default, metadata={"check": check}, **settings)


def number(default: Any = MISSING, **limits: Any) -> Any:
    """A dataclass field for a :class:`Number`.

    >>> from dataclasses import dataclass
    >>> from nnx.options import Options, number
    >>> @dataclass(frozen=True)
    ... class Step(Options):
    ...     size: float = number(1.0, above=0)
    >>> Step(2).size
    2.0
    """
    return option(Number(**limits), default)


def fraction(default: Any = MISSING) -> Any:
    """A dataclass field for a number in [0, 1), such as what a moving average keeps of the past.

    >>> from dataclasses import dataclass
    >>> from nnx.options import Options, fraction
    >>> @dataclass(frozen=True)
    ... class Step(Options):
    ...     momentum: float = fraction(0.9)
    >>> Step(1.0)
    Traceback (most recent call last):
        ...
    nnx.errors.OptionError: Step: momentum must be a finite number >= 0 and < 1, got 1.0.
    """
    return number(default, least=0.0, below=1.0)


def flag(default: Any = MISSING) -> Any:
    """A dataclass field for True or False.

    >>> from dataclasses import dataclass
    >>> from nnx.options import Options, flag
    >>> @dataclass(frozen=True)
    ... class Step(Options):
    ...     nesterov: bool = flag(False)
    >>> Step(True).nesterov
    True
    """
    return option(truth, default)


def one_of(*allowed: Any, default: Any = MISSING) -> Any:
    """A dataclass field for one of a few values.

    >>> from dataclasses import dataclass
    >>> from nnx.options import Options, one_of
    >>> @dataclass(frozen=True)
    ... class Step(Options):
    ...     mode: str = one_of("min", "max", default="min")
    >>> Step().mode
    'min'
    """
    return option(OneOf(allowed), default)
