"""Logs as they will be: what callbacks are asked about before training, so that errors come first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any


class Expected(Mapping[str, Any]):
    """Logs as they will be: ``example(name)`` for the given names, 0 for any that ``others`` is true of."""

    def __init__(
        self,
        names: Sequence[str],
        others: Callable[[str], bool] = lambda name: False,
        example: Callable[[str], Any] = lambda name: 0.0,
    ) -> None:
        self._names = tuple(names)
        self._others = others
        self._example = example

    def __getitem__(self, name: str) -> Any:
        if name in self._names:
            return self._example(name)
        if self._others(name):
            return 0.0
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def expected(
    measured: Sequence[str],
    validated: bool,
    added: Sequence[str],
    others: Callable[[str], bool],
    example: Callable[[str], Any],
) -> tuple[Expected, Expected]:
    """The logs of a batch and of an epoch.

    ``measured`` are the names in the logs of a batch; those of an epoch have them with ``val_`` as well where
    some epochs are validated, and what callbacks have ``added``. ``example`` says what the value of a
    measured name may look like.
    """
    counterparts = [f"val_{name}" for name in measured] if validated else []

    def value(name: str) -> Any:
        plain = name.removeprefix("val_")
        return example(plain) if plain in measured else 0.0

    return Expected(measured, example=value), Expected([*measured, *counterparts, *added], others, value)
