"""What an error says about the place in the user's program where it happened."""

from __future__ import annotations

import inspect
import linecache
import sys
import traceback
from types import FrameType
from typing import Any

from nnx.errors import DerivativeError

_LONGEST = 80


def leaves_the_trace(what: str) -> DerivativeError:
    """The error for a call ``what`` that asks for the plain value of an array that is differentiated."""
    here = calling()
    return DerivativeError(
        f"{f'`{here}` asks for plain numbers ({what})' if here else what}: the value of an array that is "
        "being differentiated would leave the trace, and its gradient would silently be lost. Compute with "
        "the array itself (comparisons give constants, xp.where chooses; np.stack, np.concatenate and "
        "np.column_stack join, as in np.sum(np.stack([a, b])); plain @ x multiplies). It cannot be stored in "
        "a plain array (plain[i] = x): make the array with np.zeros_like(x) or np.zeros(n, like=x). "
        "Or use nnx.stop_gradient(x) if the value is meant as a constant."
    )


class ShownNumber(str):
    """A traced number as text, to be shown: read back, it would be a plain number without its gradient."""

    __slots__ = ()

    def _read(self) -> Any:
        raise leaves_the_trace("reading a number that was formatted as text")

    __float__ = __int__ = __complex__ = _read


def calling() -> str:
    """The user's expression that is being evaluated, as ``np.sum([a, b])``; "" where its text is not known.

    That is the innermost one outside nnx and the installed libraries.
    """
    frame = sys._getframe(1)
    while frame.f_back is not None and _of_a_library(frame):
        frame = frame.f_back
    info = inspect.getframeinfo(frame, 0)
    place = info.positions
    if place is None or None in place or _of_a_library(frame):
        return ""
    lines = linecache.getlines(info.filename, frame.f_globals)[place.lineno - 1 : place.end_lineno]  # type: ignore[operator]
    if not lines:
        return ""
    lines[-1] = lines[-1].encode()[: place.end_col_offset].decode()  # columns are counted in bytes
    lines[0] = lines[0].encode()[place.col_offset :].decode()
    text = " ".join("".join(lines).split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 2] + " …"


def _of_a_library(frame: FrameType) -> bool:
    name, file = frame.f_globals.get("__name__", ""), frame.f_code.co_filename
    return name.partition(".")[0] == "nnx" or file.startswith((sys.prefix, sys.base_prefix, "<frozen"))


def annotate(error: Exception, traced: type) -> None:
    """Adds to a library's ``error`` what it means when arrays (of class ``traced``) are differentiated."""
    if "read-only" in str(error):
        error.add_note(
            "  A plain array is read-only while a derivative needs it, or while a function with a rule of "
            "its own runs on it: a write would change the gradient. Write into a copy of it."
        )
    if "Multiple namespaces" in str(error):
        names = ", ".join(_plain_arrays(error, traced)) or "see the call"
        error.add_note(
            "  Some arguments are being differentiated, others are plain arrays, and this code does not mix "
            f"them (plain here: {names}). Make these arrays of the differentiable namespace before the call: "
            "xp = x.__array_namespace__(); y = xp.asarray(y)."
        )


def _plain_arrays(error: Exception, traced: type) -> list[str]:
    """The names of the plain arrays in the innermost function that has traced arrays too."""
    names: list[str] = []
    for frame, _ in traceback.walk_tb(error.__traceback__):
        found = frame.f_locals
        if any(type(v) is traced for v in found.values()):
            names = [n for n, v in found.items() if _is_plain_array(v, traced)] or names
    return names


def _is_plain_array(x: Any, traced: type) -> bool:
    return type(x) is not traced and not isinstance(x, type) and hasattr(x, "dtype") and hasattr(x, "shape")
