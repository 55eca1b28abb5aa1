"""What an error says about the place in the user's program where it happened."""

from __future__ import annotations

import inspect
import linecache
import sys
import threading
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Any

from nnx.errors import DerivativeError, NnxError

_LONGEST = 80


#: What helps where a call came through a module of a library.
_ADVICE = {
    "numpy.ma": "Masked arrays (np.ma) have no derivatives in nnx: leave the masked entries out, "
    "x[~mask], or take np.where(mask, 0.0, x). ",
    "scipy.optimize": "The solvers of scipy.optimize compute with plain numbers: nnx.implicit(root=...) (or "
    "minimum=, fixed_point=) around the solver differentiates the equation that it solves. ",
    "scipy.integrate": "The solvers of scipy.integrate compute with plain numbers: write the "
    "quadrature or the time steps in array calls, or give the function a derivative of its own with "
    "nnx.custom_derivative. ",
}


class _Refusals(threading.local):
    """The last refusal in this thread: its message, and the modules and transform that it passes through."""

    message, through, level = "", frozenset[str](), -1


_refusals = _Refusals()


def leaves_the_trace(what: str, level: int = -1) -> DerivativeError:
    """The error for a call ``what`` that asks for the plain value of an array that is differentiated.

    ``level`` is that of the transform that differentiates it.
    """
    here, through = calling()
    advice = next((words for module, words in _ADVICE.items() if module in through), "")
    asks = f"`{here}` asks for plain numbers ({what})" if here else what
    message = (
        f"{advice}{asks}: the value of an array that is being differentiated would leave the trace, and its "
        "gradient would silently be lost. Compute with the array itself (comparisons give constants, "
        "xp.where chooses; np.stack([a, b]), np.concatenate and np.array([[a, b], [c, d]], like=a) join; "
        "plain @ x multiplies). It cannot be stored in a plain array (plain[i] = x): make the array with "
        "np.zeros_like(x) or np.zeros(n, like=x). Or use nnx.stop_gradient(x) if the value is meant as a "
        "constant."
    )
    _refusals.message, _refusals.through, _refusals.level = message, frozenset(through), level
    return DerivativeError(message)


def behind(error: Exception, level: int) -> DerivativeError | None:
    """The refusal that a library turned into ``error``, in the transform of that level; None without one.

    NumPy covers it by an error of its own (``plain[0] = traced``). SciPy's C code goes on calling after it
    (brentq), so that anything may come out, or forgets it (root).
    """
    if isinstance(error, NnxError):
        return None
    if isinstance(error.__cause__, DerivativeError):
        return error.__cause__
    if level != _refusals.level:
        return None
    modules = {_module(frame) for frame, _ in traceback.walk_tb(error.__traceback__) if _of_a_library(frame)}
    lost = (modules & _refusals.through) - {"nnx.autodiff"}
    return DerivativeError(_refusals.message) if lost else None


class ShownNumber(str):
    """A traced number as text, to be shown: read back, it would be a plain number without its gradient."""

    __slots__ = ()

    def _read(self) -> Any:
        raise leaves_the_trace("reading a number that was formatted as text")

    __float__ = __int__ = __complex__ = _read


def calling() -> tuple[str, set[str]]:
    """The user's expression that is being evaluated, as ``np.sum([a, b])``; "" where its text is not known.

    That is the innermost one outside nnx and the installed libraries. Beside it the modules that any call
    on the way comes from, as "scipy.optimize".
    """
    frame = sys._getframe(1)
    through = _modules(frame)
    while frame.f_back is not None and _of_a_library(frame):
        frame = frame.f_back
    info = inspect.getframeinfo(frame, 0)
    place = info.positions
    if place is None or None in place or _of_a_library(frame):
        return "", through
    lines = linecache.getlines(info.filename, frame.f_globals)[place.lineno - 1 : place.end_lineno]  # type: ignore[operator]
    if not lines:
        return "", through
    lines[-1] = lines[-1].encode()[: place.end_col_offset].decode()  # columns are counted in bytes
    lines[0] = lines[0].encode()[place.col_offset :].decode()
    text = " ".join("".join(lines).split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 2] + " …", through


def _modules(frame: FrameType | None) -> set[str]:
    """The modules of the calls from ``frame`` outwards to the transform: two parts of their names."""
    found: set[str] = set()
    while frame is not None:
        if frame.f_globals.get("__name__") == "nnx.autodiff.boundary":  # where the function is called
            break
        found.add(_module(frame))
        frame = frame.f_back
    return found


def _module(frame: FrameType) -> str:
    return ".".join(frame.f_globals.get("__name__", "").split(".")[:2])


def _of_a_library(frame: FrameType) -> bool:
    name, file = frame.f_globals.get("__name__", ""), frame.f_code.co_filename
    return name.partition(".")[0] == "nnx" or file.startswith((sys.prefix, sys.base_prefix, "<frozen"))


def annotate(error: Exception, traced: type, problem: Callable[[Any], str]) -> None:
    """Adds to a library's ``error`` what it means when arrays (of class ``traced``) are differentiated.

    ``problem(x)`` says what is wrong with an array of a subclass.
    """
    for found in () if isinstance(error, NnxError) else _problems(error, problem):
        error.add_note(f"  An array that is being differentiated met {found}.")
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


def _problems(error: Exception, problem: Callable[[Any], str]) -> set[str]:
    """What is wrong with the arguments of nnx's own functions that ``error`` has passed through."""
    found: set[str] = set()
    for frame, _ in traceback.walk_tb(error.__traceback__):
        for x in frame.f_locals.values():
            if _module(frame) == "nnx.autodiff":
                found.update(map(problem, x if type(x) in (tuple, list) else (x,)))
    return found - {""}


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
