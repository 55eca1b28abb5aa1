"""The registry of initializers, where their random numbers come from, and how they fill a vector."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nnx.backend import Stream, make_backend, next_seed, to_numpy
from nnx.backend.philox import WEIGHTS, generator
from nnx.errors import DataError, ShapeError
from nnx.options import Check, Number, Options, Seed
from nnx.registry import Registry, Traits

#: how many entries are drawn at a time: as float64 numbers they stay in the cache
BLOCK = 1 << 16


@dataclass(frozen=True)
class InitializerTraits(Traits):
    """What is declared with an initializer.

    >>> nnx.initializers.registry.entry("he_normal").traits.in_blocks
    True
    """

    #: whether it takes a vector ``out`` to write to, and so never holds all of its entries in float64
    in_blocks: bool = False


registry = Registry(
    "initializer",
    InitializerTraits,
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


def in_blocks(draw: Callable[[int], Any], shape: Sequence[int], out: Any = None) -> Any:
    """What ``draw(n)`` gives, n numbers at a time, in ``shape``: a view of the vector ``out``.

    Without ``out`` it is a new float64 array. Not more than :data:`BLOCK` numbers are asked for at once.
    """
    xp, size = host(), math.prod(shape)
    if out is None:
        out = xp.empty(size, dtype=xp.float64)
    for start in range(0, size, BLOCK):
        stop = min(start + BLOCK, size)
        out[start:stop] = draw(stop - start)
    return xp.reshape(out, tuple(shape))


def fill(out: Any, initializer: Any, shape: Sequence[int], random: Any, what: str) -> None:
    """Writes into the vector ``out`` what an initializer gives for a weight of ``shape``, called ``what``.

    Raises :class:`nnx.errors.ShapeError` for entries of another shape, and :class:`nnx.errors.DataError` for
    NaN or infinite ones.
    """
    xp = host()
    if getattr(getattr(initializer, "traits", None), "in_blocks", False):
        initializer(shape, random, out)
    else:
        entries = to_numpy(initializer(shape, random))
        if tuple(entries.shape) != tuple(shape):
            raise ShapeError(
                f"The initializer of '{what}' gave an array of shape {tuple(entries.shape)}, asked for "
                f"{tuple(shape)}."
            )
        out[...] = xp.reshape(entries, (-1,))
    for start in range(0, out.shape[0], BLOCK):
        if not xp.all(xp.isfinite(out[start : start + BLOCK])):
            raise DataError(f"The initializer of '{what}' gave NaN or infinite entries.")
