"""Names made of other names."""

from __future__ import annotations

import itertools
from collections.abc import Container


def snake_case(name: str) -> str:
    """``LeCunNormal`` → ``le_cun_normal``; runs of capitals stay together (``RMSprop`` → ``rmsprop``).

    >>> from nnx.registry import snake_case
    >>> snake_case("LeCunNormal"), snake_case("RMSprop")
    ('le_cun_normal', 'rmsprop')
    """
    out = ""
    for i, c in enumerate(name):
        if c.isupper() and i and name[i - 1].islower():
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
