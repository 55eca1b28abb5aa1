"""Options of things that users make: checked where they are given, with errors that name the right one.

A *check* is a function ``check(where, name, value)`` that returns the value to keep, or raises
:class:`nnx.errors.OptionError`: ``where`` is what was called (``"Dropout"``, ``"fit"``), ``name`` the option.
The classes here are checks; :func:`number`, :func:`flag`, ... put them on the fields of a dataclass, and a
dataclass that derives from :class:`Options` runs them.
"""

from nnx.options.allowed import allowed_values, words
from nnx.options.checks import (
    Check,
    Number,
    Numbers,
    OneOf,
    Seed,
    Several,
    flag,
    fraction,
    number,
    one_of,
    option,
    truth,
)
from nnx.options.classes import Options
from nnx.options.made import built_in, changed_fields, hand_written, made_with, refused, remembering
from nnx.options.names import need_known, no_argument
from nnx.options.pairs import Ordered
from nnx.options.texts import path, text

__all__ = [
    "Check",
    "Number",
    "Numbers",
    "OneOf",
    "Options",
    "Ordered",
    "Seed",
    "Several",
    "allowed_values",
    "built_in",
    "changed_fields",
    "flag",
    "fraction",
    "hand_written",
    "made_with",
    "need_known",
    "no_argument",
    "number",
    "one_of",
    "option",
    "path",
    "refused",
    "remembering",
    "text",
    "truth",
    "words",
]
