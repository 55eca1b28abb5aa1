"""Classes made of functions: Keras has both ``MeanSquaredError`` and ``mean_squared_error``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nnx.errors import OptionError
from nnx.options import made_with, need_known
from nnx.registry.entries import Entry


def function_class(entry: Entry[Any], base: Any, module: str, own: Sequence[str]) -> type:
    """A class derived from ``base`` whose instances hold the function of ``entry`` with options.

    They are made with the function's options and the fields ``own`` of ``base``; of those, strings need no
    name (no function has options that are strings). ``module`` is where pickle finds the class.
    """

    def __init__(self: Any, *args: Any, **options: Any) -> None:  # noqa: N807
        label = type(self).__name__
        options = _by_name(label, args, options, entry.options, own)
        need_known(label, [*entry.options, *own], options, base.hints())
        fields = {name: options.pop(name) for name in own if name in options}
        if fields.get("name") is None:
            fields["name"] = getattr(entry.traits, "label", "") or entry.name
        function = entry.create(**options)
        missing = [name for name in entry.required if name not in function.options]
        if missing:
            raise OptionError(f"{label} needs {', '.join(f'{name}=...' for name in missing)}.")
        base.__init__(self, function, **fields)
        kept = {**function.options, **{name: getattr(self, name) for name in own}}
        object.__setattr__(self, "_made_with", kept)

    members: dict[str, Any] = {
        "__init__": __init__,
        "__repr__": _shown,
        "__doc__": f"The class of :func:`{entry.name}`, with its options:\n\n    {entry.target.__doc__}",
        "__module__": module,
    }
    return type(entry.class_name, (base,), members)


def _by_name(
    label: str, args: Sequence[Any], options: Mapping[str, Any], functions: Sequence[str], own: Sequence[str]
) -> dict[str, Any]:
    """All arguments by name, in the order of the function's options and then ``own``; strings are ``own``."""
    found, left, rest = dict(options), list(functions), list(own)
    for value in args:
        names = rest if isinstance(value, str) or not left else left
        if not names:
            raise OptionError(
                f"{label} takes {len(functions) + len(own)} arguments ({', '.join([*functions, *own])}), got "
                f"{len(args)} without a name: {value!r} is too much."
            )
        if (name := names.pop(0)) in found:
            raise OptionError(f"{label} was given its argument '{name}' twice.")
        found[name] = value
    return found


def _shown(self: Any) -> str:
    options = ", ".join(f"{name}={value!r}" for name, value in made_with(self).items())
    return f"{type(self).__name__}({options})"
