"""What the options of a thing may be, in words, out of their checks: for documentation."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from nnx.options.checks import Check

_OPENING = "The check that an option is "


def words(check: Check) -> str:
    """What a check allows, in words: ``str`` of it, or for a function what its docstring says.

    That docstring begins with "The check that an option is ...". Any other gives "".

    >>> from nnx.options import Number, truth, words
    >>> words(Number(least=0, below=1)), words(truth)
    ('a finite number >= 0 and < 1', 'True or False')
    """
    if not inspect.isroutine(check):
        return str(check)
    first = " ".join((inspect.getdoc(check) or "").partition("\n\n")[0].split())
    return first.removeprefix(_OPENING).removesuffix(".") if first.startswith(_OPENING) else ""


def allowed_values(thing: Callable[..., Any], checks: Mapping[str, Check] | None = None) -> dict[str, str]:
    """What the checked options of a class or function may be, and their defaults, by name.

    Of a dataclass the checks stand on its fields. ``checks`` are further ones by name, such as the checks
    that a function is registered with (``entry.checks`` of a :class:`nnx.registry.Entry`).

    >>> from nnx.options import allowed_values
    >>> allowed_values(nnx.optimizers.NewtonCG)["initial_trust_radius"]
    'a finite number > 0 and <= 1e+100; default 1.0'
    >>> allowed_values(nnx.layers.Dropout)["rate"]
    'a finite number >= 0 and < 1; required'
    """
    known = dict(_with_defaults(thing))
    every = {name: check for name, (check, _) in known.items() if check is not None} | dict(checks or {})
    return {
        name: f"{words(check)}; {_if_not_given(known[name][1])}"
        for name, check in every.items()
        if name in known
    }


def _with_defaults(thing: Callable[..., Any]) -> Iterator[tuple[str, tuple[Check | None, Any]]]:
    """Each argument's name, with the check of its field, if it is one, and its default."""
    if inspect.isclass(thing) and is_dataclass(thing):
        for f in fields(thing):
            if f.init:
                made = f.default_factory() if f.default_factory is not MISSING else f.default
                yield f.name, (f.metadata.get("check"), made)
        return
    for name, parameter in inspect.signature(thing).parameters.items():
        yield name, (None, MISSING if parameter.default is parameter.empty else parameter.default)


def _if_not_given(default: Any) -> str:
    return "required" if default is MISSING else f"default {default!r}"
