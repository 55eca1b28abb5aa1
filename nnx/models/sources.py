"""Where batches come from, for all who need no more: so many in an epoch, one after the other."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator
from itertools import islice
from typing import Any, Protocol

from nnx.models.objective import Batch

#: the order of n things in an epoch: host integers
Order = Callable[[int], Any]


class Source(Protocol):
    """Arrays in memory, data that come in pieces, or so many batches of either."""

    @property
    def steps(self) -> int | None:
        """The batches of an epoch; None where nobody knows."""

    @property
    def size(self) -> int | None:
        """The samples of an epoch; None where nobody knows."""

    @property
    def spent(self) -> bool:
        """Whether the last epoch lacked batches, and a further one would."""

    def epoch(self, order: Order | None = None) -> Generator[Batch]:
        """The batches of the next epoch, in a given order where it can; close it where it is not used up."""

    def close(self) -> None:
        """Ends what it has begun."""


class Rationed:
    """So many batches an epoch of another source.

    With ``goes_on`` an epoch begins where the last one ended, and the source is begun anew where it ends;
    else each epoch begins with the source, and ends with it at the latest.
    """

    size = None

    def __init__(self, source: Source, steps: int, goes_on: bool) -> None:
        self.steps = steps
        self.spent = False
        self._source, self._goes_on = source, goes_on
        self._running: Generator[Batch] | None = None

    def epoch(self, order: Order | None = None) -> Generator[Batch]:
        if self._running is None:
            self._running = self._passes(order)
        n = 0
        try:
            for n, batch in enumerate(islice(self._running, self.steps), 1):  # noqa: B007
                yield batch
            self.spent = n < self.steps
        finally:
            if not self._goes_on:
                self.close()

    def _passes(self, order: Order | None) -> Generator[Batch]:
        while not self._source.spent:
            yield from self._source.epoch(order)
            if not self._goes_on:
                return

    def close(self) -> None:
        if self._running is not None:
            self._running.close()
            self._running = None
        self._source.close()


def rationed(source: Source, steps: int | None, goes_on: bool = False) -> Source:
    """The source itself, or ``steps`` batches an epoch of it."""
    return source if steps is None else Rationed(source, steps, goes_on)


def counted(n: int, source: Source) -> str:
    """``batch 3 of 10`` for n = 2; without the end where nobody knows it."""
    return f"batch {n + 1}" + (f" of {source.steps}" if source.steps is not None else "")


def warn_if_spent(source: Source, n: int, then: str) -> None:
    """Warns where an epoch ended after n batches because there were no more; ``then`` says what follows."""
    if source.spent:
        asked = f" of {source.steps}" if source.steps is not None else ""
        warnings.warn(
            f"The data ran out after {n}{asked} batches of this epoch: {then} Give data that go on "
            "(a generator with 'while True', an object that can be iterated over anew), or ask for fewer.",
            stacklevel=2,
        )
