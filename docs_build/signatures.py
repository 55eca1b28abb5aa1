"""Signatures as the reference shows them."""

from __future__ import annotations

import inspect
import re
from typing import Any

#: types that say nothing: an array is Any, since only the backend knows whose it is
SILENT = {"Any", "Array", "None", ""}
#: beside the signature stand its kind and the link to the source
WIDTH = 72


def of(value: Any, *, bound: bool = False) -> str | None:
    """The arguments of a function or class with the types that say something; None if Python knows none.

    ``bound`` leaves out the first one (``self``).
    """
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return None
    parameters = [_plain(p) for p in signature.parameters.values()]
    if bound:
        parameters = parameters[1:]
    returned = signature.return_annotation
    if _silent(returned) or inspect.isclass(value):
        returned = inspect.Signature.empty
    text = str(signature.replace(parameters=parameters, return_annotation=returned))
    return re.sub(r"(: |-> )'([^']*)'", r"\1\2", text)


def _plain(parameter: inspect.Parameter) -> inspect.Parameter:
    if _silent(parameter.annotation):
        parameter = parameter.replace(annotation=inspect.Parameter.empty)
    default = parameter.default
    if default is not parameter.empty and not isinstance(default, int | float | str | tuple | None):
        parameter = parameter.replace(default=_Named(default))
    return parameter


def _silent(annotation: Any) -> bool:
    return annotation is inspect.Parameter.empty or str(annotation) in SILENT or annotation is Any


class _Named:
    """Shown by the name of the value, where its repr is an address."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        text = repr(self.value)
        return getattr(self.value, "__name__", type(self.value).__name__) if text.startswith("<") else text


def broken(name: str, arguments: list[str], returned: str) -> str:
    """A signature on one line, or with one argument on each where it is long."""
    end = f" -> {returned}" if returned else ""
    line = f"{name}({', '.join(arguments)}){end}"
    if len(line) <= WIDTH:
        return line
    return f"{name}(\n" + "".join(f"    {argument},\n" for argument in arguments) + f"){end}"
