"""How the classes of this room become known by their names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnx.registry import Registry


def registering(registry: Registry[Any]) -> Callable[..., Callable[[Any], Any]]:
    """``register(*aliases, **facts)`` of a registry: a decorator that makes a class known by its names.

    ``facts`` are kept with the entry. Where no ``formula`` is among them, it is the equation that the
    docstring opens with, as in "Gradient descent: w ← w − ηg."
    """

    def register(*aliases: str, **facts: Any) -> Callable[[Any], Any]:
        """Decorator of a class: makes it known by its name, its class name and ``aliases``.

        Above a class: ``@nnx.optimizers.register("creep", source="a paper")``. ``facts`` are kept with the
        entry. Raises :class:`nnx.errors.OptionError` for facts that are none and for a name that another has.

        >>> nnx.optimizers.register(paper="a paper")(nnx.optimizers.SGD)
        Traceback (most recent call last):
            ...
        nnx.errors.OptionError: register of nnx's optimizers has no argument 'paper'. Its arguments: ...
        """

        def add(cls: Any) -> Any:
            return registry.register(*aliases, **({"formula": _equation(cls)} | facts))(cls)

        return add

    return register


def _equation(cls: Any) -> str:
    """What follows the first colon of a docstring, to the end of that sentence or line."""
    first_line = (cls.__doc__ or "").strip().partition("\n")[0].replace("``", "")
    return first_line.partition(": ")[2].partition(". ")[0].removesuffix(".")
