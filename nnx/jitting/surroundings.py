"""What a function reads beside its arguments, and whether it is still what it was.

A recording holds what closures, global names, defaults and attributes were when it was made. They are looked
through once, and before each run of the program it is asked whether they are the same: the same objects, the
same items of lists and dictionaries, the same bits of arrays.
"""

from __future__ import annotations

import builtins
import sys
import weakref
from collections.abc import Callable, Collection, Mapping
from contextvars import ContextVar
from functools import partial
from operator import is_
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, MethodWrapperType, ModuleType
from typing import Any

from nnx.autodiff.array import Traced
from nnx.autodiff.batching.array import Batched
from nnx.backend.programs import error_settings
from nnx.errors import RecordingError
from nnx.jitting.code_names import CodeNames, code_names
from nnx.jitting.functions import is_ufunc
from nnx.jitting.readers import Reads, imported, need_comparable, need_no_readers
from nnx.jitting.recorded import Recorded
from nnx.jitting.recorder import KEPT
from nnx.jitting.states import FIXED, bits_of, equal, is_array, states

#: modules whose functions read nothing that changes: their global names are not looked through
_TRUSTED = frozenset(sys.stdlib_module_names) | {
    "nnx", "numpy", "scipy", "cupy", "torch", "array_api_compat", "array_api_strict", "numba", "sklearn",
    "pytest", "_pytest", "pluggy", "IPython", "matplotlib",
}  # fmt: skip
_BOUND = (BuiltinFunctionType, MethodWrapperType)
#: so many objects are looked at: more are no surroundings, but a program's data
_MOST = 10_000
#: raised where something is not there any more
_GONE = (AttributeError, KeyError, ValueError, NameError, RuntimeError)


class Wrapper:
    """An object that reads nothing beside what the function ``__wrapped__`` reads."""

    __wrapped__: Callable[..., Any]


class Surroundings:
    """The things that a function reads, with their state at one time."""

    def __init__(self, *roots: Any) -> None:
        self._checks: list[tuple[str, Callable[[], Any], Callable[[Any], bool]]] = []
        #: names and attributes: where they stand, how they are read, what is read
        self._paths: list[str] = []
        self._reads: list[Callable[[], Any]] = []
        self._values: list[Any] = []
        self._seen: dict[int, Any] = {}
        #: the names of those things that were seen as attributes of classes only, by id
        self.members: dict[int, str] = {}
        #: the attributes that functions ask for; modules; methods that read what cannot be compared
        self._named: set[str] = set()
        #: whether a function asks which object something is
        self.compares = False
        self._modules: dict[str, ModuleType] = {}
        self._readers: list[tuple[str, Reads]] = []
        for root in roots:
            self._look("", root)
        self._look_at_modules()
        for name, error in self._readers:
            if name in self._named:
                raise error
        self._random = states(self._seen.values())

    def changed(self) -> str | None:
        """What is another thing now than it was, in words; None if all is the same."""
        try:  # the commonest case, in few steps of Python
            same = all(map(is_, [read() for read in self._reads], self._values))
            if not same and (path := self._moved()) is not None:
                return path
        except _GONE:
            return self._moved()
        for path, read, is_same in self._checks:
            try:
                if not is_same(read()):
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
            if now is not value and not equal(now, value):
                return path
        return None

    def drew(self) -> str | None:
        """Which generator of random numbers was used meanwhile; None if none was."""
        now = states(self._seen.values())
        return next((name for name in now if now[name] != self._random.get(name)), None)

    def arrays(self) -> list[Any]:
        """The arrays that are read."""
        return [x for x in self._seen.values() if not isinstance(x, ModuleType) and is_array(x)]

    @property
    def things(self) -> list[Any]:
        """What was found, but for numbers and text."""
        return list(self._seen.values())

    # -- looking through -----------------------------------------------------------------------------

    def _look(self, path: str, x: Any) -> None:
        kind = type(x)
        if kind in FIXED or id(x) in self._seen or is_ufunc(x):
            self.members.pop(id(x), None)
            return
        if len(self._seen) >= _MOST:
            raise RecordingError(
                f"The function under nnx.jit reads more than {_MOST} objects from outside of it, {path} "
                "among them: too many to be compared before each run. Make what it needs arguments."
            )
        self._seen[id(x)] = x
        if kind is Recorded:
            raise RecordingError(f"The function under nnx.jit reads {path}, {KEPT}")
        if kind in (Traced, Batched):
            raise RecordingError(f"The function under nnx.jit reads {path}, an array of a transform's.")
        if isinstance(x, FunctionType | BuiltinFunctionType):
            need_comparable(path, "", x, None)
        if isinstance(x, FunctionType):
            self._function(path, x)
        elif isinstance(x, MethodType):
            self._look(path, x.__func__)
            self._look(path, x.__self__)
        elif isinstance(x, _BOUND):
            self._look(path, x.__self__)
        elif isinstance(x, Wrapper):
            self._look(path, x.__wrapped__)
        elif isinstance(x, CodeType):
            return
        elif isinstance(x, ModuleType):
            self._modules[path] = x
        elif isinstance(x, type):
            self._class(path, x)
        elif hasattr(kind, "__next__"):
            raise RecordingError(
                f"The function under nnx.jit reads from an iterator ({path}), which the program would not. "
                "Take from it outside, and give what it yields as an argument."
            )
        else:
            if (read := bits_of(x)) is not None:
                self._same(path, read)
            elif (items := _items_of(x)) is not None:
                self._items(path, items)
            self._object(path, x)

    def _class(self, path: str, x: type) -> None:
        for base in x.__mro__:
            if not trusted(base.__module__):
                new = {id(v): k for k, v in vars(base).items() if id(v) not in self._seen}
                number = len(self._checks)
                self._items(path, partial(_plain_items, base), ".", methods=True)
                self._hasten(number, partial(_all_of, base))
                self.members |= new

    def _function(self, path: str, f: FunctionType) -> None:
        where = f"{path} in " if path else ""
        of_library, names = trusted(f.__module__), code_names(f.__code__)
        for cell, name in zip(f.__closure__ or (), f.__code__.co_freevars, strict=True):
            self._name(where, name, partial(getattr, cell, "cell_contents"), names, not of_library)
        if hasattr(f, "__wrapped__"):
            self._look(path, f.__wrapped__)
        if of_library:
            return
        for part in ("__code__", "__defaults__", "__kwdefaults__"):
            self._place(f"{where}{part} of {f.__name__}", partial(getattr, f, part))
        if vars(f):
            self._items(f"{where}{f.__name__}", lambda: list(vars(f).items()), ".")
        self._named |= names.attributes
        self.compares |= names.compares
        need_no_readers(where, names, f.__globals__)
        if {"errstate", "seterr"} & (names.attributes | names.loaded):
            self._same("np.errstate", error_settings)  # the function may set what is set already
        for one in names.imported:
            for module in imported(one, f.__globals__):
                need_comparable(f"{where}{module.__name__}", module.__name__, module, names)
                self._look(f"{where}{module.__name__}", module)
        for name in names.loaded:
            self._global(where, name, names, f.__globals__)

    def _global(self, where: str, name: str, names: CodeNames, there: dict[str, Any]) -> None:
        if name in there:
            self._name(where, name, partial(there.__getitem__, name), names)
        elif not hasattr(builtins, name):  # it is not there yet
            self._same(f"{where}{name}", partial(there.__contains__, name))

    def _name(
        self, where: str, name: str, read: Callable[[], Any], names: CodeNames, varies: bool = True
    ) -> None:
        """A name of a function's code."""
        self._place(f"{where}{name}", read, varies)
        try:
            x = read()
        except ValueError:  # an empty cell
            return
        if varies and isinstance(x, type | ModuleType):
            need_comparable(f"{where}{name}", name, x, names)

    def _look_at_modules(self) -> None:
        """Of modules those attributes that a function names, of whatever it may ask for them."""
        done = set[tuple[str, str]]()
        while todo := {(path, name) for path in self._modules for name in self._named} - done:
            done |= todo
            for path, name in sorted(todo):
                module = self._modules[path]
                if not trusted(module.__name__) and hasattr(module, name):
                    self._place(f"{path}.{name}", partial(getattr, module, name))

    def _same(self, path: str, read: Callable[[], Any]) -> None:
        """What must give an equal answer again."""
        before = read()
        self._checks.append((path, read, lambda now: now == before))

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

    def _items(self, path: str, items: Callable[[], Any], dot: str = "", methods: bool = False) -> None:
        """A container's keys and values (or an object's attributes, with a ``dot``; those of a class).

        They are pairs, in a list.
        """
        before = items()
        values = [value for _, value in before]

        def same(now: list[tuple[Any, Any]]) -> bool:
            if len(now) == len(values) and all(map(is_, [v for _, v in now], values)):
                return [k for k, _ in now] == [k for k, _ in before]
            return (
                len(now) == len(before)
                and all(k is m or k == m for (k, _), (m, _) in zip(now, before, strict=True))
                and all(v is w or equal(v, w) for (_, v), (_, w) in zip(now, before, strict=True))
            )

        self._checks.append((f"an attribute of {path}" if dot else path, items, same))
        for key, value in before:
            try:
                self._look(f"{path}.{key}" if dot else f"{path}[{key!r}]", value)
            except Reads as error:
                if not methods:
                    raise
                self._readers.append((key, error))  # does anybody call it?

    def _hasten(self, number: int, read: Callable[[], Any]) -> None:
        """A check is made only where what is read quickly is not all the same as now."""
        before, (path, slowly, same) = read(), self._checks[number]

        def still(now: list[Any]) -> bool:
            return (len(now) == len(before) and all(map(is_, now, before))) or same(slowly())

        self._checks[number] = path, read, still

    def _object(self, path: str, x: Any) -> None:
        """What an object holds beside the items of a container: attributes, its class, what it refers to."""
        kind = type(x)
        for part in ("func", "args", "keywords") if hasattr(x, "keywords") else ("fget", "__func__"):
            if hasattr(x, part):  # functools.partial; properties, static methods, methods of classes
                self._look(path, getattr(x, part))
        if isinstance(x, weakref.ref):
            self._place(path, x)
        elif isinstance(x, ContextVar):
            self._place(path, partial(x.get, None))
        if isinstance(getattr(x, "__dict__", None), dict):
            self._items(path, lambda: [("__class__", type(x)), *vars(x).items()], ".")
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


def _all_of(kind: type) -> list[Any]:
    return [*vars(kind), *vars(kind).values()]


def _plain_items(kind: type) -> list[tuple[str, Any]]:
    """The attributes of a class, without what Python itself keeps there."""
    return [(k, v) for k, v in vars(kind).items() if not k.startswith("__") or isinstance(v, FunctionType)]


def _items_of(x: Any) -> Callable[[], list[tuple[Any, Any]]] | None:
    """A function that gives keys and items of a container of Python's or of an array of objects; or None."""
    if isinstance(x, dict):
        return lambda: list(x.items())
    if isinstance(x, tuple | list | set | frozenset):
        return lambda: list(enumerate(x))
    if is_array(x):
        return lambda: list(enumerate(x.ravel().tolist()))
    if not trusted(type(x).__module__) or hasattr(x, "__dict__") or not isinstance(x, Collection):
        return None
    return (lambda: list(x.items())) if isinstance(x, Mapping) else (lambda: list(enumerate(x)))
