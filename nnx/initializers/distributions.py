"""Initial weights drawn from a distribution that is given outright."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from nnx.errors import OptionError
from nnx.initializers.base import FINITE, NOT_NEGATIVE, SEED, host, in_blocks, registry, source
from nnx.options import Check

Array = Any
Shape = Sequence[int]


def _need_width(where: str, options: Mapping[str, Any]) -> None:
    """The check that the interval of a uniform distribution has a finite width >= 0."""
    low, high = options["minval"], options["maxval"]
    if not 0.0 <= high - low < math.inf:
        raise OptionError(f"{where} needs 0 ≤ maxval − minval < inf, got {low!r} and {high!r}.")


@registry.register(
    "uniform",
    checks={"minval": FINITE, "maxval": FINITE, **SEED},
    agree=_need_width,
    in_blocks=True,
    formula=r"U(a, b)",
    use="Weights of small networks.",
)
def random_uniform(
    shape: Shape,
    random: Any = None,
    out: Array = None,
    *,
    minval: float = -0.05,
    maxval: float = 0.05,
    seed: int | None = None,
) -> Array:
    """Uniformly distributed entries in [minval, maxval).

    Raises :class:`nnx.errors.OptionError` for ``maxval`` < ``minval``.
    Shapes: any. Source: Keras' ``initializers.random_uniform``.

    >>> w = nnx.initializers.RandomUniform(0.0, 2.0, seed=1)((1000,))
    >>> bool(0 <= w.min() and w.max() < 2), round(float(w.mean()))
    (True, 1)
    """
    draw = source(random, seed)
    return in_blocks(lambda n: draw.uniform(minval, maxval, n), shape, out)


_NORMAL: dict[str, Check] = {"mean": FINITE, "stddev": NOT_NEGATIVE, **SEED}


@registry.register(
    "normal", checks=_NORMAL, in_blocks=True, formula=r"N(\mu, \sigma^2)", use="Weights of small networks."
)
def random_normal(
    shape: Shape,
    random: Any = None,
    out: Array = None,
    *,
    mean: float = 0.0,
    stddev: float = 0.05,
    seed: int | None = None,
) -> Array:
    """Normally distributed entries with the given mean and standard deviation.

    Raises :class:`nnx.errors.OptionError` for a ``mean`` that is not finite, a negative ``stddev`` or a
    ``seed`` out of range.
    Shapes: any. Source: Keras' ``initializers.random_normal``.

    >>> nnx.initializers.RandomNormal(stddev=0.1, seed=1)((1000,)).std().round(1)
    np.float64(0.1)
    """
    draw = source(random, seed)
    return in_blocks(lambda n: draw.normal(mean, stddev, n), shape, out)


@registry.register(
    checks=_NORMAL,
    in_blocks=True,
    formula=r"N(\mu, \sigma^2) \text{ within } \mu \pm 2\sigma",
    use="As normal, without outliers.",
)
def truncated_normal(
    shape: Shape,
    random: Any = None,
    out: Array = None,
    *,
    mean: float = 0.0,
    stddev: float = 0.05,
    seed: int | None = None,
) -> Array:
    """Normally distributed entries, drawn again where they are more than two ``stddev`` away from ``mean``.

    Their standard deviation is therefore only 0.88·stddev.

    Raises :class:`nnx.errors.OptionError` for a ``mean`` that is not finite, a negative ``stddev`` or a
    ``seed`` out of range.
    Shapes: any. Source: Keras' ``initializers.truncated_normal``.

    >>> w = nnx.initializers.TruncatedNormal(stddev=1.0, seed=1)((1000,))
    >>> bool(abs(w).max() <= 2.0)
    True
    """
    draw, xp = source(random, seed), host()
    if out is None:
        out = xp.empty(math.prod(shape), dtype=xp.float64)
    places, drawn = [], 0  # where to draw again, once all are drawn

    def block(n: int) -> Array:
        nonlocal drawn
        x = draw.standard_normal(n)
        places.append(drawn + xp.nonzero(xp.abs(x) > 2.0)[0])
        drawn += n
        return mean + stddev * x

    entries = in_blocks(block, shape, out)
    again = xp.concat(places) if places else ()
    while len(again):
        x = draw.standard_normal(len(again))
        out[again] = mean + stddev * x
        again = again[xp.abs(x) > 2.0]
    return entries
