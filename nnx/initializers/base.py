"""The registry of initializers, and where their random numbers come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnx.backend import Stream, make_backend, next_seed
from nnx.backend.philox import WEIGHTS, generator
from nnx.options import Check, Number, Options, Seed
from nnx.registry import Registry, Traits

registry = Registry(
    "initializer",
    Traits,
    makers=True,
    refused=dict.fromkeys(
        ("stft", "STFT", "STFTInitializer"),
        "it makes the kernels of a spectrogram layer, which nnx does not have",
    ),
)

#: the checks of options that several have
SEED: dict[str, Check] = {"seed": Seed()}
FINITE = Number()
NOT_NEGATIVE = Number(least=0.0)


class Initializer(Options):
    """Base class of initializers of your own, as in Keras: ``__call__(shape, random)`` returns an array.

    ``random`` is the model's generator, a ``numpy.random.Generator``. Any function or object that can be
    called so will do. ``@nnx.initializers.registry.register()`` above a class makes models with it savable.

    >>> class Ramp(nnx.initializers.Initializer):
    ...     def __call__(self, shape, random=None):
    ...         return np.linspace(-1.0, 1.0, shape[0])
    >>> nnx.initializers.get(Ramp)((3,))
    array([-1.,  0.,  1.])
    """

    def __call__(self, shape: Sequence[int], random: Any = None) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define __call__(self, shape, random=None).")


def source(random: Any, seed: int | None) -> Any:
    """The generator to draw from: that of ``seed`` if there is one, else ``random``, else a new one."""
    if seed is not None:
        return generator(Stream(seed, WEIGHTS))
    return generator(Stream(next_seed(), WEIGHTS)) if random is None else random


def host() -> Any:
    """The namespace of the host's arrays: what a generator gives belongs to it."""
    return make_backend("numpy").xp
