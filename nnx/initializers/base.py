"""The registry of initializers, and where their random numbers come from."""

from __future__ import annotations

from typing import Any

from nnx.backend import Stream, make_backend, next_seed
from nnx.backend.philox import WEIGHTS, generator
from nnx.options import Check, Number, Seed
from nnx.registry import Registry, Traits

registry = Registry("initializer", Traits, makers=True)

#: the checks of options that several have
SEED: dict[str, Check] = {"seed": Seed()}
FINITE = Number()
NOT_NEGATIVE = Number(least=0.0)


def source(random: Any, seed: int | None) -> Any:
    """The generator to draw from: that of ``seed`` if there is one, else ``random``, else a new one."""
    if seed is not None:
        return generator(Stream(seed, WEIGHTS))
    return generator(Stream(next_seed(), WEIGHTS)) if random is None else random


def host() -> Any:
    """The namespace of the host's arrays: what a generator gives belongs to it."""
    return make_backend("numpy").xp
