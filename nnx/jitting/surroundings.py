"""What a function reads beside its arguments, and whether it is still what it was.

A recording holds what closures, global names, defaults and attributes were when it was made. They are looked
through once, and before each run of the program it is asked whether they are the same: the same objects, the
same items of lists and dictionaries, the same bits of arrays.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from functools import partial
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from nnx.errors import RecordingError
from nnx.jitting.functions import is_ufunc
from nnx.jitting.recorded import Recorded
from nnx.jitting.recorder import KEPT

#: modules whose functions read nothing that changes: their global names are not looked through
_TRUSTED = frozenset(sys.stdlib_module_names) | {
    "nnx", "numpy", "scipy", "cupy", "torch", "array_api_compat", "array_api_strict", "numba", "sklearn",
    "pytest", "_pytest", "pluggy", "IPython", "matplotlib",
}  # fmt: skip
_FIXED = (bool, int, float, complex, str, bytes, type(None), type(...), range, BuiltinFunctionType)
#: modules whose answers are others whenever they are asked
_CLOCKS = frozenset("time datetime secrets uuid".split())
#: so many objects are looked at: more are no surroundings, but a program's data
_MOST = 10_000
#: functions of Python that read what is outside of it
_READERS = frozenset("open input".split())


class Surroundings:
    """The things that a function reads, with their state at one time."""

    def __init__(self, *roots: Any) -> None:
        self._checks: list[tuple[str, Callable[[], Any], Callable[[Any], bool]]] = []
        self._seen: dict[int, Any] = {}
        for root in roots:
            self._look("", root)
        self._random = _states(self._seen.values())

    def changed(self) -> str | None:
        """What is another thing now than it was, in words; None if all is the same."""
        for path, read, same in self._checks:
            try:
                if not same(read()):
                    return path
            except (AttributeError, KeyError, ValueError, NameError, RuntimeError):
                return path  # it is not there any more
        return None

    def drew(self) -> str | None:
        """Which generator of random numbers was used meanwhile; None if none was."""
        now = _states(self._seen.values())
        return next((name for name in now if now[name] != self._random.get(name)), None)

    # -- looking through -----------------------------------------------------------------------------

    def _look(self, path: str, x: Any) -> None:
        if isinstance(x, _FIXED) or id(x) in self._seen or is_ufunc(x):
            return
        if len(self._seen) >= _MOST:
            raise RecordingError(
                f"The function under nnx.jit reads more than {_MOST} objects from outside of it, {path} "
                "among them: too many to be compared before each run. Make what it needs arguments."
            )
        self._seen[id(x)] = x
        if isinstance(x, Recorded):
            raise RecordingError(f"The function under nnx.jit reads {path}, {KEPT}")
        if isinstance(x, FunctionType):
            self._function(path, x)
        elif isinstance(x, MethodType):
            self._look(path, x.__func__)
            self._look(path, x.__self__)
        elif isinstance(x, ModuleType | CodeType):
            return
        elif not isinstance(x, type) and hasattr(x, "dtype") and hasattr(x, "tobytes"):
            state = _bits(x)
            self._checks.append((path, lambda: x, lambda x: _bits(x) == state))
        elif hasattr(type(x), "__next__"):
            raise RecordingError(
                f"The function under nnx.jit reads from an iterator ({path}), which the program would not. "
                "Take from it outside, and give what it yields as an argument."
            )
        elif isinstance(x, dict):
            self._items(path, lambda: list(x.items()))
        elif isinstance(x, tuple):
            for k, part in enumerate(x):
                self._look(f"{path}[{k}]", part)
        elif isinstance(x, list | set | frozenset):
            self._items(path, lambda: list(enumerate(x)))
        elif isinstance(x, type):
            if not _trusted(x.__module__):
                for base in x.__mro__:
                    if not _trusted(base.__module__):
                        self._items(path, partial(_plain_items, base), ".")
        else:
            self._object(path, x)

    def _function(self, path: str, f: FunctionType) -> None:
        where = f"{path} in " if path else ""
        trusted = _trusted(f.__module__)
        for cell, name in zip(f.__closure__ or (), f.__code__.co_freevars, strict=True):
            self._name(f"{where}{name}", partial(getattr, cell, "cell_contents"), f, not trusted)
        if hasattr(f, "__wrapped__"):
            self._look(path, f.__wrapped__)
        if trusted:
            return
        for part in ("__code__", "__defaults__", "__kwdefaults__"):
            self._place(f"{where}{part} of {f.__name__}", partial(getattr, f, part))
        names = f.__globals__
        for name in _names(f.__code__):
            if name in _READERS and name not in names and _loads(f.__code__, name):
                raise RecordingError(
                    f"The function under nnx.jit uses {name}, and what that reads is not compared. Read it "
                    "outside, and give it as an argument."
                )
            if name in names:
                self._name(f"{where}{name}", partial(names.__getitem__, name), f)

    def _name(self, path: str, read: Callable[[], Any], f: FunctionType, varies: bool = True) -> None:
        """A name of a function's code; of a module only those attributes that the code names."""
        self._place(path, read, varies)
        try:
            x = read()
        except ValueError:  # an empty cell
            return
        if varies and getattr(x, "__name__" if isinstance(x, ModuleType) else "__module__", "") in _CLOCKS:
            raise RecordingError(
                f"The function under nnx.jit uses {path}, which gives another answer whenever it is asked. "
                "Ask outside, and give the answer as an argument."
            )
        if isinstance(x, ModuleType) and x.__name__ == "os" and {"environ", "getenv"} & {*_names(f.__code__)}:
            raise RecordingError(
                f"The function under nnx.jit reads the environment ({path}), which is not compared. Read it "
                "outside, and give it as an argument."
            )
        if isinstance(x, ModuleType) and not _trusted(x.__name__):
            for attribute in _names(f.__code__):
                if hasattr(x, attribute):
                    self._place(f"{path}.{attribute}", partial(getattr, x, attribute))

    def _place(self, path: str, read: Callable[[], Any], varies: bool = True) -> None:
        """A name, which may come to stand for another object (if it ``varies``)."""
        try:
            x = read()
        except (ValueError, AttributeError):  # an empty cell
            return
        if varies:
            self._checks.append((path, read, lambda now: now is x or _equal(now, x)))
        self._look(path, x)

    def _items(self, path: str, items: Callable[[], list[tuple[Any, Any]]], dot: str = "") -> None:
        """A container's keys and values (or an object's attributes, with a ``dot``)."""
        before = items()

        def same(now: list[tuple[Any, Any]]) -> bool:
            return (
                len(now) == len(before)
                and all(k is m or k == m for (k, _), (m, _) in zip(now, before, strict=True))
                and all(v is w or _equal(v, w) for (_, v), (_, w) in zip(now, before, strict=True))
            )

        self._checks.append((f"an attribute of {path}" if dot else path, items, same))
        for key, value in before:
            self._look(f"{path}.{key}" if dot else f"{path}[{key!r}]", value)

    def _object(self, path: str, x: Any) -> None:
        kind = type(x)
        if hasattr(x, "func") and hasattr(x, "keywords"):  # functools.partial
            for part in (x.func, x.args, x.keywords):
                self._look(path, part)
        if isinstance(getattr(x, "__dict__", None), dict):
            self._items(path, lambda: list(vars(x).items()), ".")
        for name in (n for base in kind.__mro__ for n in _slots(base)):
            if hasattr(x, name):
                self._place(f"{path}.{name}", partial(getattr, x, name))
        self._look(path, kind)


def _trusted(module: Any) -> bool:
    return str(module).partition(".")[0] in _TRUSTED


def _slots(kind: type) -> tuple[str, ...]:
    own = kind.__dict__.get("__slots__", ())
    return () if _trusted(kind.__module__) else (own,) if isinstance(own, str) else tuple(own)


def _plain_items(kind: type) -> list[tuple[str, Any]]:
    """The attributes of a class, without what Python itself keeps there."""
    return [(k, v) for k, v in vars(kind).items() if not k.startswith("__") or k == "__call__"]


def _names(code: CodeType) -> Iterator[str]:
    """The names that a function may read as global ones or attributes, also in functions inside of it."""
    yield from code.co_names
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield from _names(part)


def _loads(code: CodeType, name: str) -> bool:
    """Whether the code, or that of a function inside of it, reads the global ``name``: no attribute of it."""
    import dis  # hardly ever needed

    own = any(i.argval == name and i.opname.startswith("LOAD_GLOBAL") for i in dis.get_instructions(code))
    return own or any(_loads(part, name) for part in code.co_consts if isinstance(part, CodeType))


def _equal(x: Any, y: Any) -> bool:
    """Whether two objects that Python makes anew are the same number or text."""
    return (
        type(x) is type(y)
        and isinstance(x, _FIXED)
        and (x == y or (x != x and y != y))
        and repr(x) == repr(y)
    )


def _bits(x: Any) -> Any:
    return x.shape, str(x.dtype), x.tobytes()


def _states(things: Any) -> dict[str, Any]:
    """The states of the generators of random numbers that are known."""
    found: dict[str, Any] = {"Python's random": random.getstate()}
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        kind, key, *rest = numpy.random.get_state()
        found["np.random"] = kind, key.tobytes(), *rest
    for x in things:
        bits = getattr(x, "bit_generator", None)
        if bits is not None and hasattr(bits, "state"):
            found[f"a {type(x).__name__} of NumPy's"] = repr(bits.state)
    return found
