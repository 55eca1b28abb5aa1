"""Names made of other names."""

from __future__ import annotations

import itertools
from collections.abc import Container


def snake_case(name: str) -> str:
    """``LeCunNormal`` → ``le_cun_normal``; runs of capitals stay together (``RMSprop`` → ``rmsprop``).

    The D of 1D, 2D, 3D ends a word.

    >>> from nnx.registry import snake_case
    >>> snake_case("LeCunNormal"), snake_case("RMSprop"), snake_case("Conv2DTranspose")
    ('le_cun_normal', 'rmsprop', 'conv2d_transpose')
    """
    out = ""
    for i, c in enumerate(name):
        if c.isupper() and i and (name[i - 1].islower() or (i > 1 and name[i - 2].isdigit())):
            out += "_"
        out += c.lower()
    return out


def camel_case(name: str) -> str:
    """``he_normal`` → ``HeNormal``."""
    return "".join(part.capitalize() for part in name.split("_"))


def unique_name(stem: str, taken: Container[str]) -> str:
    """``stem`` itself, or the first of ``stem_1``, ``stem_2``, ... that is not taken.

    >>> from nnx.registry import unique_name
    >>> unique_name("dense", {"dense", "dense_1"})
    'dense_2'
    """
    numbered = (f"{stem}_{number}" for number in itertools.count(1))
    return next(name for name in itertools.chain([stem], numbered) if name not in taken)
