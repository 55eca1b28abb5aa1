"""Objects that stay as they were made, and say so."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any


def explain_assignment(cls: Any) -> None:
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
