"""What is known of functions by their names: which describe their arguments, write, or keep shapes."""

from __future__ import annotations

import operator
from typing import Any

from nnx.jitting.program import Attribute, Method, Slot, places

#: functions of shapes and types alone: their results are the same in every run of a program
_DESCRIBE = frozenset(
    "shape ndim size result_type can_cast isdtype finfo iinfo broadcast_shapes "
    "iscomplexobj isrealobj issubdtype common_type isfortran isscalar "
    "__array_namespace_info__".split()
)
#: attributes that say how an array lies in memory, and of what it is
DESCRIBING = frozenset("shape ndim size dtype strides itemsize nbytes device".split())
#: those of ``x.flags`` that follow from shape and strides
FLAGS = frozenset("c_contiguous f_contiguous contiguous fortran forc fnc".split())
#: methods of NumPy's arrays that write into them
IN_PLACE_METHODS = frozenset("sort fill put partition".split())
#: methods that hand the numbers to Python, or change the array as a whole
ESCAPES = frozenset(
    "item tolist tobytes tofile dump dumps data ctypes base setflags resize byteswap setfield "
    "get cpu numpy detach".split()
)
#: functions that do so, or tell how arrays lie in memory
ESCAPING = frozenset(
    "shares_memory may_share_memory min_scalar_type array2string array_repr array_str".split()
)

OPERATORS = (
    "add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and_", "or_", "xor", "lshift",
    "rshift",
)  # fmt: skip
COMPARISONS = ("lt", "le", "gt", "ge", "eq", "ne")
UNARY = ("neg", "pos", "invert", "abs")
_PURE = {divmod, *(getattr(operator, name) for name in (*OPERATORS, *COMPARISONS, *UNARY))}
_REDUCING = frozenset("sum prod max min mean std var any all argmax argmin cumsum cumprod dot".split())
_MOVING = frozenset(
    "reshape transpose swapaxes ravel flatten squeeze astype copy conj conjugate round clip".split()
)


def describes(function: Any, answer: Any) -> bool:
    """Whether a result tells of shapes and types only: then it is no value of a program."""
    if getattr(function, "__name__", "") in _DESCRIBE:
        return True
    return type(answer).__name__ == "dtype" or (hasattr(answer, "kind") and not hasattr(answer, "shape"))


def tells(answer: Any) -> bool:
    """Whether a result is a text, a class or a function: no value of a program, maybe another next time."""
    return (isinstance(answer, str | type) and not hasattr(answer, "dtype")) or callable(answer)


#: functions of NumPy's that write into their first argument, with its name
_WRITING = {
    "copyto": "dst", "put": "a", "place": "arr", "putmask": "a", "fill_diagonal": "a",
    "put_along_axis": "arr",
}  # fmt: skip
#: functions of NumPy's that may give back an argument, and never write into it
_HARMLESS = frozenset("atleast_1d atleast_2d atleast_3d astype real imag real_if_close".split())


def targets(function: Any, args: Any, kwargs: Any) -> tuple[Any, ...]:
    """The arrays into which a function of NumPy's surely writes, as far as its name and arguments tell."""
    name = getattr(function, "__name__", "")
    if name in _WRITING:
        return args[:1] or (kwargs[_WRITING[name]],)
    if kwargs.get("overwrite_input"):
        return args[:1] or (kwargs["a"],)
    out = kwargs.get("out")
    return tuple(x for x in (out if type(out) is tuple else (out,)) if x is not None)


def may_have_written(function: Any, args: Any, k: int) -> bool:
    """Whether a function that gave back its k-th argument, k ≥ 0, may have written into it.

    So does ``x.sum(0, None, y)``, and ``np.nan_to_num(x, copy=False)``.
    """
    if type(function) is Method:
        return k > 0
    home = str(getattr(function, "__module__", "")).partition(".")[0]
    name = getattr(function, "__name__", "")
    return home in ("numpy", "cupy", "array_api_compat") and name not in _HARMLESS | _GIVE_BACK


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
    "compress trim_zeros union1d intersect1d setdiff1d setxor1d bincount repeat delete insert histogram "
    "histogram_bin_edges histogramdd histogram2d roots poly polymul polydiv lstsq".split()
)
#: functions of NumPy's whose results are complex as the numbers are
_OWN_TYPE = frozenset("eig eigvals roots poly polymul polydiv real_if_close".split())
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


def keeps_type(function: Any) -> bool:
    """Whether the data type of the result surely follows from those of the arguments."""
    if is_ufunc(function):
        return True
    if str(getattr(function, "__module__", "")).rpartition(".")[2] in ("scimath", "emath", "_scimath_impl"):
        return False
    return getattr(function, "__name__", "") not in _OWN_TYPE


def _has_array(key: Any) -> bool:
    return any(
        hasattr(part, "dtype") or type(part) is list for part in (key if type(key) is tuple else (key,))
    )
