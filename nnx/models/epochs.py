"""How often a model has seen its data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nnx.backend import Stream, philox


@dataclass
class Epochs:
    """How many epochs a model has seen, which is where the shuffle of the next one lies."""

    seed: int
    seen: int = 0

    def order(self, n: int) -> Any:
        """The order of n examples in the next epoch: host integers."""
        return philox.generator(Stream(self.seed, philox.SHUFFLE, 0, self.seen)).permutation(n)
