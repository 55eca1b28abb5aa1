"""What a user's function does beside computing, found by a look at its code: then it is not recorded.

A program repeats the calls of array functions and nothing else. Functions that print, count, draw random
numbers, or take another way when an error is raised, must be called. So must those of which it is not known:
only instructions of Python and functions of libraries that are listed here as harmless are. Of a function of
the user's that is called the same is asked, and of whatever it may reach.
"""

from __future__ import annotations

import builtins
import dis
import functools
import types
from collections.abc import Iterable, Iterator
from functools import lru_cache
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

from nnx.autodiff.numpy_api import FUNCTIONS
from nnx.backend.known_functions import ARRAY, NUMBER, computes_only, of_numpy
from nnx.errors import RecordingError
from nnx.jitting.functions import is_ufunc
from nnx.jitting.surroundings import Surroundings, trusted

#: how the names of instructions begin that change nothing but a function's own variables
_HARMLESS = (
    "BEFORE_WITH", "BINARY_", "BUILD_", "CACHE", "CALL", "COMPARE_OP", "CONTAINS_OP", "COPY", "DELETE_FAST",
    "DICT_", "END_FOR", "EXTENDED_ARG", "FOR_ITER", "GET_ITER", "GET_LEN", "JUMP_", "KW_NAMES", "LIST_",
    "LOAD_ASSERTION_ERROR", "LOAD_ATTR", "LOAD_CLOSURE", "LOAD_COMMON_CONSTANT", "LOAD_CONST", "LOAD_DEREF",
    "LOAD_FAST", "LOAD_GLOBAL", "LOAD_METHOD", "LOAD_SMALL_INT", "LOAD_SPECIAL", "MAKE_", "MAP_ADD", "NOP",
    "NOT_TAKEN", "POP_", "PRECALL", "PUSH_NULL", "RAISE_VARARGS", "RERAISE", "RESUME", "RETURN_", "SET_",
    "STORE_FAST", "SWAP", "TO_BOOL", "UNARY_", "UNPACK_", "WITH_EXCEPT_START", "YIELD_VALUE",
)  # fmt: skip
#: what others do, by the beginnings of their names
_DOES = {
    "STORE_GLOBAL": "it changes the global name {}",
    "DELETE_GLOBAL": "it deletes the global name {}",
    "STORE_ATTR": "it sets the attribute {}",
    "DELETE_ATTR": "it deletes the attribute {}",
    "IMPORT_": "it imports {}",
    "FORMAT_": "it makes text of values",
    "CONVERT_VALUE": "it makes text of values",
    "MATCH_": "it asks for types (match)",
    "LOAD_BUILD_CLASS": "it makes a class",
}
_BUILTINS = frozenset(
    "abs all any bool complex dict divmod enumerate float frozenset int len list map max min pow range "
    "reversed round set slice sorted sum tuple zip".split()
)
#: modules all of whose functions compute from their arguments alone
_PURE_MODULES = ("math", "cmath", "_operator", "operator", "itertools", "_functools", "functools")
#: modules whose names may be read
_KNOWN_MODULES = frozenset(
    "builtins _operator _functools numpy numpy.linalg numpy.fft math cmath operator itertools functools nnx "
    "nnx.autodiff nnx.activations nnx.losses nnx.backend scipy scipy.special scipy.constants".split()
)
#: and the parts of nnx whose functions do so
_PURE_PARTS = ("nnx.autodiff.", "nnx.activations.", "nnx.losses.", "nnx.optimizers.functions.")
#: functions of these modules that change an argument, or keep something
_CHANGING = frozenset(
    "setitem delitem iadd isub imul itruediv iconcat ior iand ixor cache lru_cache cached_property count "
    "cycle repeat singledispatch register_ufunc custom_derivative".split()
)
#: methods of arrays, lists, generators that do more than to compute
_METHODS = frozenset("tofile dump dumps setflags at send throw".split())
#: methods that change lists, dicts, sets
_MUTATING = frozenset(
    "append extend insert pop remove clear update setdefault add discard sort reverse popitem".split()
)
#: what a dataclass has by itself
_OWN_DUNDERS = frozenset(
    "__init__ __post_init__ __repr__ __eq__ __hash__ __setattr__ __delattr__ __call__ __replace__ __new__ "
    "__annotate__ __annotate_func__".split()
)
_PLAIN = (
    type(None), type(...), bool, int, float, complex, str, bytes, range, CodeType, MethodType, NUMBER,
)  # fmt: skip
_BINDERS = (
    functools.partial, types.SimpleNamespace, types.MemberDescriptorType, staticmethod, classmethod,
)  # fmt: skip
_CONTAINERS = (dict, list, set)


class Look(NamedTuple):
    """What the code of a function says."""

    #: what it does beside computing, in words; empty where nothing is seen
    reason: str
    names: frozenset[str]
    attributes: frozenset[str]
    #: names of outer functions that it changes
    nonlocals: frozenset[str]
    #: whether it puts something into containers, which may be its own
    stores: bool


@lru_cache(maxsize=1024)
def look(code: CodeType) -> Look:
    """A look at the code of a function, and of those inside of it."""
    reason, stores = "", False
    names, attributes, nonlocals = set(), set(), set()
    before: Any = None
    instructions = list(dis.get_instructions(code))
    for now, after in zip(instructions, [*instructions[1:], None], strict=True):
        op = now.opname
        if op == "LOAD_GLOBAL":
            names.add(now.argval)
        elif op in ("LOAD_ATTR", "LOAD_METHOD"):
            attributes.add(now.argval)
        elif op in ("STORE_SUBSCR", "STORE_SLICE", "DELETE_SUBSCR"):
            stores = True
        elif op == "STORE_DEREF":
            nonlocals |= {now.argval} & {*code.co_freevars}
        elif op == "PUSH_EXC_INFO":
            if after is None or after.opname != "WITH_EXCEPT_START":
                reason = reason or "it handles exceptions"
        elif op == "IS_OP":
            if before is None or before.opname != "LOAD_CONST":
                reason = reason or "it asks whether objects are the same"
        elif not op.startswith(_HARMLESS):
            says = next((words for start, words in _DOES.items() if op.startswith(start)), f"it does {op}")
            reason = reason or says.format(now.argval)
        before = now
    for part in code.co_consts:
        if isinstance(part, CodeType):
            inner = look(part)
            reason = reason or inner.reason
            names |= inner.names
            attributes |= inner.attributes
            nonlocals |= inner.nonlocals - {*code.co_cellvars}
            stores = stores or inner.stores
    return Look(reason, frozenset(names), frozenset(attributes), frozenset(nonlocals), stores)


def effect(surroundings: Surroundings) -> str:
    """What a function and what it reaches do beside computing, in words ("it uses print"), or ""."""
    things = surroundings.things
    try:
        looks = list(_looks(surroundings))
        used = frozenset(name for _, seen in looks for name in seen.attributes)
        for f, seen in looks:
            _judge_names(f, seen)
        _judge_attributes(used)
        kinds = {type(x) for x in things}
        for x in things:
            unused = surroundings.members.get(id(x), "__call__") not in {"__call__", *used}
            if not unused and not (isinstance(x, type) and x in kinds):  # its objects are judged
                _judge(x)
        if any(seen.stores or used & _MUTATING for _, seen in looks):
            own = {id(x.keywords) for x in things if isinstance(x, functools.partial)}
            found = next((x for x in things if type(x) in _CONTAINERS and id(x) not in own), None)
            _need(found is None, f"it may put something into a {type(found).__name__} from outside")
    except RecordingError as error:
        return str(error)
    return ""


def _need(condition: bool, reason: str) -> None:
    if not condition:
        raise RecordingError(reason)


def _looks(surroundings: Surroundings) -> Iterator[tuple[FunctionType, Look]]:
    """The functions of the user's that may be called, with what their code says."""
    functions = [x for x in surroundings.things if isinstance(x, FunctionType) and not trusted(x.__module__)]
    used = {"__call__"}
    while ready := [f for f in functions if surroundings.members.get(id(f), "__call__") in used]:
        functions = [f for f in functions if f not in ready]
        for f in ready:
            seen = look(f.__code__)
            _need(not seen.reason, seen.reason)
            _need(not seen.nonlocals, f"it changes {', '.join(seen.nonlocals)}, which is outside of it")
            used |= seen.attributes
            yield f, seen


def _judge_names(f: FunctionType, seen: Look) -> None:
    """The global names of a function: those of modules, and Python's own."""
    for name in sorted(seen.names):
        if name in f.__globals__:
            x = f.__globals__[name]
            if isinstance(x, ModuleType) and trusted(x.__name__):
                _judge_parts(x, seen.attributes)
            _need(not isinstance(x, type) or _is_number_type(x), f"it uses the class {name}")
        else:
            x = getattr(builtins, name, None)
            error = isinstance(x, type) and issubclass(x, Exception)
            _need(name in _BUILTINS or error or x is None, f"it uses {name}")


def _judge_parts(module: ModuleType, attributes: Iterable[str]) -> None:
    """What a function may read of a module of a library."""
    _judge(module)
    for name in attributes:
        x = vars(module).get(name)
        x = getattr(module, name, None) if x is None else x
        if isinstance(x, ModuleType):
            _judge_parts(x, [a for a in attributes if a != name])
        elif x is not None and not _is_number_type(x):
            _judge(x)


def _judge_attributes(used: Iterable[str]) -> None:
    """Attributes of what the code does not name: methods, or functions of an array's namespace."""
    for name in sorted(used):
        _need(name not in _METHODS, f"it uses the method {name}")
        _need(not name.startswith("__") or name == "__array_namespace__", f"it uses {name}")
        found = of_numpy(name)
        if found is not None and name not in _MUTATING and not _is_number_type(found):
            _judge(found)


def _judge(x: Any) -> None:
    """Raises an error, whose text is the reason, for what may do more than to compute."""
    kind = type(x)
    if isinstance(x, _PLAIN) or kind in _BINDERS or kind in _CONTAINERS or kind is frozenset or is_ufunc(x):
        return
    if kind is ARRAY:
        _need(x.dtype != object, "it uses an array of objects")
    elif isinstance(x, tuple):
        _need(kind is tuple or hasattr(kind, "_fields"), f"it uses a {kind.__name__}")
    elif isinstance(x, ModuleType):
        known = x.__name__ in _KNOWN_MODULES or not trusted(x.__name__)
        _need(known or x.__name__.startswith("array_api_compat"), f"it uses the module {x.__name__}")
    elif isinstance(x, BuiltinFunctionType) and not isinstance(x.__self__, ModuleType | None):
        _need(False, f"it calls {x.__name__} of a {type(x.__self__).__name__}")
    elif callable(x) and trusted(getattr(x, "__module__", None) or kind.__module__):
        _need(_is_pure(x), f"it uses {getattr(x, '__name__', kind.__name__)}")
    elif not isinstance(x, FunctionType):  # these are looked at
        _need(not isinstance(x, type) and _is_plain_class(kind), f"it uses a {kind.__name__}")


def _is_pure(x: Any) -> bool:
    """Whether a function of a library computes from its arguments alone."""
    module, name = str(getattr(x, "__module__", "")), str(getattr(x, "__name__", ""))
    if name in _CHANGING:
        return False
    if module in _PURE_MODULES or f"{module}.".startswith(_PURE_PARTS):
        return True
    if module == "builtins":
        return name in _BUILTINS
    if module.startswith("nnx.backend"):
        return name == "namespace"
    return computes_only(x, FUNCTIONS)


def _is_number_type(x: Any) -> bool:
    """Whether it is a type of numbers, as ``np.float64``, or of what an error says."""
    return isinstance(x, type) and (issubclass(x, NUMBER | Exception) or x in (bool, int, float, complex))


def _is_plain_class(kind: type) -> bool:
    """Whether objects of this class are attributes and functions, and nothing that Python calls by itself."""
    for base in kind.__mro__[:-1]:
        if trusted(base.__module__):
            return False
        own = (name for name, x in vars(base).items() if isinstance(x, FunctionType))
        if any(name.startswith("__") and name not in _OWN_DUNDERS for name in own):
            return False
    return True
