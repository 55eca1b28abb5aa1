"""Checks of options that must agree with each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nnx.errors import OptionError

#: takes what was called and all its options by name, defaults included; raises where they do not agree
Agreement = Callable[[str, Mapping[str, Any]], None]


@dataclass(frozen=True)
class Ordered:
    """The check that one option is at most another: the two are the bounds of an interval.

    Raises :class:`nnx.errors.OptionError` where they are not.

    >>> from nnx.options import Ordered
    >>> Ordered("min_value", "max_value")("MinMaxNorm", {"min_value": 3.0, "max_value": 2.0})
    Traceback (most recent call last):
        ...
    nnx.errors.OptionError: MinMaxNorm: min_value must be at most max_value, got 3.0 and 2.0.
    """

    low: str
    high: str

    def __call__(self, where: str, options: Mapping[str, Any]) -> None:
        low, high = options[self.low], options[self.high]
        if low > high:
            raise OptionError(f"{where}: {self.low} must be at most {self.high}, got {low!r} and {high!r}.")
