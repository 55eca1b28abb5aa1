"""What a function reads beside its arguments, and whether it is still what it was.

A recording holds what closures, global names, defaults and attributes were when it was made. They are looked
through once, and before each run of the program it is asked whether they are the same: the same objects, the
same items of lists and dictionaries, the same bits of arrays.
"""

from __future__ import annotations

import builtins
import random
import sys
from collections.abc import Callable, Iterator
from functools import partial
from operator import eq, is_
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from nnx.autodiff.array import Traced
from nnx.autodiff.batching.array import Batched
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
#: raised where something is not there any more
_GONE = (AttributeError, KeyError, ValueError, NameError, RuntimeError)


class Surroundings:
    """The things that a function reads, with their state at one time."""

    def __init__(self, *roots: Any) -> None:
        self._checks: list[tuple[str, Callable[[], Any], Callable[[Any], bool]]] = []
        #: names and attributes: where they stand, how they are read, what is read
        self._paths: list[str] = []
        self._reads: list[Callable[[], Any]] = []
        self._values: list[Any] = []
        self._seen: dict[int, Any] = {}
        self.arrays: list[Any] = []
        #: the names of those things that were seen as attributes of classes only, by id
        self.members: dict[int, str] = {}
        for root in roots:
            self._look("", root)
        self._random = _states(self._seen.values())

    @property
    def things(self) -> list[Any]:
        """What was found, but for numbers and text."""
        return list(self._seen.values())

    def changed(self) -> str | None:
        """What is another thing now than it was, in words; None if all is the same."""
        try:  # the commonest case, in few steps of Python
            if not all(map(is_, [read() for read in self._reads], self._values)):
                return self._moved()
        except _GONE:
            return self._moved()
        for path, read, same in self._checks:
            try:
                if not same(read()):
                    return path
            except _GONE:
                return path
        return None

    def _moved(self) -> str | None:
        """The first name or attribute that stands for another thing now."""
        for path, read, value in zip(self._paths, self._reads, self._values, strict=True):
            try:
                now = read()
            except _GONE:
                return path
            if now is not value and not _equal(now, value):
                return path
        return None

    def drew(self) -> str | None:
        """Which generator of random numbers was used meanwhile; None if none was."""
        now = _states(self._seen.values())
        return next((name for name in now if now[name] != self._random.get(name)), None)

    # -- looking through -----------------------------------------------------------------------------

    def _look(self, path: str, x: Any) -> None:
        if isinstance(x, _FIXED) or id(x) in self._seen or is_ufunc(x):
            if isinstance(x, BuiltinFunctionType):
                self._seen[id(x)] = x
            self.members.pop(id(x), None)
            return
        if len(self._seen) >= _MOST:
            raise RecordingError(
                f"The function under nnx.jit reads more than {_MOST} objects from outside of it, {path} "
                "among them: too many to be compared before each run. Make what it needs arguments."
            )
        self._seen[id(x)] = x
        if isinstance(x, Recorded):
            raise RecordingError(f"The function under nnx.jit reads {path}, {KEPT}")
        if isinstance(x, Traced | Batched):
            raise RecordingError(f"The function under nnx.jit reads {path}, an array of a transform's.")
        if isinstance(x, FunctionType):
            self._function(path, x)
        elif isinstance(x, MethodType):
            self._look(path, x.__func__)
            self._look(path, x.__self__)
        elif isinstance(x, ModuleType | CodeType):
            return
        elif not isinstance(x, type) and hasattr(x, "dtype") and hasattr(x, "tobytes"):
            self.arrays.append(x)
            self._checks.append((path, partial(_bits, x), partial(eq, _bits(x))))
        elif hasattr(type(x), "__next__"):
            raise RecordingError(
                f"The function under nnx.jit reads from an iterator ({path}), which the program would not. "
                "Take from it outside, and give what it yields as an argument."
            )
        elif isinstance(x, dict):
            self._items(path, partial(_entries, x))
        elif isinstance(x, tuple):
            for k, part in enumerate(x):
                self._look(f"{path}[{k}]", part)
        elif isinstance(x, list | set | frozenset):
            self._items(path, lambda: (range(len(x)), list(x)))
        elif isinstance(x, type):
            if not trusted(x.__module__):
                for base in x.__mro__:
                    if not trusted(base.__module__):
                        new = {id(v): k for k, v in vars(base).items() if id(v) not in self._seen}
                        self._items(path, partial(_plain_items, base), ".", partial(_all_of, base))
                        self.members |= new
        else:
            self._object(path, x)

    def _function(self, path: str, f: FunctionType) -> None:
        where = f"{path} in " if path else ""
        of_library = trusted(f.__module__)
        for cell, name in zip(f.__closure__ or (), f.__code__.co_freevars, strict=True):
            self._name(f"{where}{name}", partial(getattr, cell, "cell_contents"), f, not of_library)
        if hasattr(f, "__wrapped__"):
            self._look(path, f.__wrapped__)
        if of_library:
            return
        if vars(f):
            self._items(f"{where}{f.__name__}", lambda: _entries(vars(f)), ".")
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
            elif hasattr(builtins, name):  # a global name may come to stand before Python's own
                self._place(f"{where}{name}", partial(names.get, name))

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
        if isinstance(x, ModuleType) and not trusted(x.__name__):
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
            self._paths.append(path)
            self._reads.append(read)
            self._values.append(x)
        self._look(path, x)

    def _items(
        self, path: str, read: Callable[[], tuple[Any, list[Any]]], dot: str = "", more: Any = None
    ) -> None:
        """A container's keys and values (or an object's attributes, with a ``dot``).

        ``more`` reads quickly what may be too much: where that is the same, all is.
        """
        keys, values = read()
        quick, known = more or read, more() if more else None

        def same(now: Any) -> bool:
            if known is not None:
                if len(now) == len(known) and all(map(is_, now, known)):
                    return True
                now = read()
            if len(now[1]) != len(values) or now[0] != keys:
                return False
            return all(map(is_, now[1], values)) or all(
                v is w or _equal(v, w) for v, w in zip(now[1], values, strict=True)
            )

        self._checks.append((f"an attribute of {path}" if dot else path, quick, same))
        for key, value in zip(keys, values, strict=True):
            self._look(f"{path}.{key}" if dot else f"{path}[{key!r}]", value)

    def _object(self, path: str, x: Any) -> None:
        kind = type(x)
        if hasattr(x, "func") and hasattr(x, "keywords"):  # functools.partial
            for part in (x.func, x.args, x.keywords):
                self._look(path, part)
        if isinstance(getattr(x, "__dict__", None), dict):
            self._items(path, lambda: _entries(vars(x)), ".")
        for name in (n for base in kind.__mro__ for n in _slots(base)):
            if hasattr(x, name):
                self._place(f"{path}.{name}", partial(getattr, x, name))
        self._look(path, kind)


def trusted(module: Any) -> bool:
    """Whether the module of this name is one whose functions are taken to read nothing that changes."""
    return str(module).partition(".")[0] in _TRUSTED


def _slots(kind: type) -> tuple[str, ...]:
    own = kind.__dict__.get("__slots__", ())
    return () if trusted(kind.__module__) else (own,) if isinstance(own, str) else tuple(own)


def _entries(x: dict[Any, Any]) -> tuple[list[Any], list[Any]]:
    return list(x), list(x.values())


def _all_of(kind: type) -> list[Any]:
    return [*vars(kind), *vars(kind).values()]


def _plain_items(kind: type) -> tuple[list[Any], list[Any]]:
    """The attributes of a class, without what Python itself keeps there."""
    return _entries({k: v for k, v in vars(kind).items() if not k.startswith("__") or k == "__call__"})


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
    return x.shape, x.dtype, x.tobytes()


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
