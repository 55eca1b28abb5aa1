"""Errors for arguments that do not exist, with the name to use instead."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence

from nnx.errors import OptionError


def no_argument(
    where: str, name: str, allowed: Sequence[str], hints: Mapping[str, str], further: Sequence[str] = ()
) -> OptionError:
    """The error for an argument that ``where`` does not have: what to use instead, and what there is.

    ``hints`` maps names that other libraries use to the ones here (or to advice in words); ``further`` are
    arguments that may be given as well.

    >>> from nnx.options import no_argument
    >>> no_argument("SGD", "lr", ["learning_rate"], {"lr": "learning_rate"})
    OptionError("SGD has no argument 'lr'. Use learning_rate. Its arguments: learning_rate.")
    """
    advice, known = hints.get(name, ""), [*allowed, *further]
    if not advice or (advice.isidentifier() and advice not in known):
        advice = "".join(difflib.get_close_matches(name, known, n=1))
    words = [f"{where} has no argument '{name}'."]
    words += [f"Use {advice}."] if advice else []
    words += [f"Its arguments: {', '.join(allowed) or 'none'}."]
    words += [f"Options of every run: {', '.join(further)}."] if further else []
    return OptionError(" ".join(words))


def need_known(
    where: str, allowed: Sequence[str], options: Iterable[str], hints: Mapping[str, str] | None = None
) -> None:
    """Raises :func:`no_argument` for a name that is not among those ``allowed``.

    >>> from nnx.options import need_known
    >>> need_known("fit", ["epochs"], ["epoch"])
    Traceback (most recent call last):
        ...
    nnx.errors.OptionError: fit has no argument 'epoch'. Use epochs. Its arguments: epochs.
    """
    for name in options:
        if name not in allowed:
            raise no_argument(where, name, allowed, hints or {})
