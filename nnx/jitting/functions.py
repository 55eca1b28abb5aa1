"""What is known of functions by their names: which describe their arguments, write, or keep shapes."""

from __future__ import annotations

import operator
from typing import Any

from nnx.jitting.program import Attribute, Method, Slot, places

#: functions of shapes and types alone: their results are the same in every run of a program
_DESCRIBE = frozenset(
    "shape ndim size result_type can_cast isdtype finfo iinfo broadcast_shapes may_share_memory "
    "shares_memory iscomplexobj isrealobj issubdtype common_type min_scalar_type isfortran isscalar "
    "__array_namespace_info__".split()
)
#: attributes that say how an array lies in memory, and of what it is
DESCRIBING = frozenset("shape ndim size dtype strides itemsize nbytes flags device".split())
#: methods of NumPy's arrays that write into them
IN_PLACE_METHODS = frozenset("sort fill put partition".split())
#: methods that hand the numbers to Python, or change the array as a whole
ESCAPES = frozenset(
    "item tolist tobytes tofile dump dumps data ctypes setflags resize byteswap setfield "
    "get cpu numpy detach".split()
)

OPERATORS = (
    "add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and_", "or_", "xor", "lshift",
    "rshift",
)  # fmt: skip
COMPARISONS = ("lt", "le", "gt", "ge", "eq", "ne")
UNARY = ("neg", "pos", "invert", "abs")
_PURE = {getattr(operator, name) for name in (*OPERATORS, *COMPARISONS, *UNARY)}
_REDUCING = frozenset("sum prod max min mean std var any all argmax argmin cumsum cumprod dot".split())
_MOVING = frozenset(
    "reshape transpose swapaxes ravel flatten squeeze astype copy conj conjugate round clip".split()
)


def describes(function: Any, answer: Any) -> bool:
    """Whether a result tells of shapes and types only: then it is no value of a program."""
    if getattr(function, "__name__", "") in _DESCRIBE:
        return True
    if isinstance(answer, str | type) or callable(answer):
        return True
    return type(answer).__name__ == "dtype" or (hasattr(answer, "kind") and not hasattr(answer, "shape"))


#: functions whose result depends on the shape and the type of their first argument alone
_FILL = frozenset(["zeros_like", "ones_like", "full_like"])


def fills(function: Any, args: Any, kwargs: Any) -> bool:
    """Whether a call fills an array of the first argument's shape with what is known."""
    name = str(getattr(function, "__name__", "")).lstrip("_")
    rest = (*args[1:], *kwargs.values())
    return name in _FILL and not any(type(place) is Slot for place in places(rest))


#: functions that give back an argument itself or a copy of it, as shapes and types alone decide
_GIVE_BACK = frozenset("asarray copied_if_small laid_out materialized ascontiguousarray asanyarray".split())


#: functions whose result is a copy or the argument itself, to shield it from later writes
COPIES = frozenset(["copied_if_small"])


def may_give_back(function: Any) -> bool:
    """Whether a call that gave back an argument itself has computed nothing, and never will."""
    return getattr(function, "__name__", "") in _GIVE_BACK


#: functions that give back an argument or another array, as the numbers decide
_EITHER = frozenset(["unless_nan", "restored"])


def gives_back_by_numbers(function: Any) -> bool:
    """Whether the result may be an argument in one run of a program, and another array in the next."""
    return getattr(function, "__name__", "") in _EITHER


def makes_new(function: Any) -> bool:
    """Whether the result surely is an array of its own, which nobody else has."""
    if type(function) is Method:
        return function.name in ("dot", "copy")
    return function is operator.matmul


def is_ufunc(function: Any) -> bool:
    """Whether it is an entry-by-entry function of NumPy's (or CuPy's) kind."""
    return hasattr(function, "nin") and hasattr(function, "nout")


def pure(function: Any) -> bool:
    """Whether the same arguments surely give the same result, and nothing else happens."""
    if is_ufunc(function) or function in _PURE or function is operator.getitem:
        return True
    if type(function) is Attribute or _name(function) == "reshape":
        return True
    return type(function) is Method and function.name in _REDUCING | _MOVING


#: functions of arrays whose results have shapes that depend on the numbers
_OWN_SHAPE = frozenset(
    "nonzero flatnonzero argwhere where unique unique_all unique_counts unique_inverse unique_values extract "
    "compress trim_zeros union1d intersect1d setdiff1d setxor1d bincount repeat delete insert".split()
)
#: libraries of which all functions but these make shapes from shapes
_LIBRARIES = frozenset("numpy scipy array_api_compat cupy nnx".split())


def keeps_shape(function: Any, args: Any) -> bool:
    """Whether the shape of the result surely follows from those of the arguments."""
    if function is operator.getitem:
        return not _has_array(args[1])
    if pure(function):
        return True
    if type(function) is Method:
        return function.name not in _OWN_SHAPE
    name = _name(function)
    return bool(name) and (name not in _OWN_SHAPE or (name == "where" and len(args) == 3))


def _name(function: Any) -> str:
    """The name of a known library's function; empty for others."""
    library = str(getattr(function, "__module__", "")).partition(".")[0]
    return str(getattr(function, "__name__", "")) if library in _LIBRARIES else ""


def _has_array(key: Any) -> bool:
    return any(
        hasattr(part, "dtype") or type(part) is list for part in (key if type(key) is tuple else (key,))
    )
