"""Plain NumPy code on traced arrays: NumPy hands its calls over by its own protocols (NEP 13, NEP 18).

``np.tanh(t)`` and ``a @ t`` arrive as ufuncs, ``np.sum(t)`` and ``np.concatenate([t, t])`` as functions. One
table leads from NumPy's names to the standard's; a name that is in neither is refused.
"""

from __future__ import annotations

from typing import Any

from nnx.errors import DerivativeError

#: NumPy's name → the standard's, where they differ.
NAMES = {
    "absolute": "abs", "arccos": "acos", "arccosh": "acosh", "arcsin": "asin", "arcsinh": "asinh",
    "arctan": "atan", "arctan2": "atan2", "arctanh": "atanh", "power": "pow", "float_power": "pow",
    "concatenate": "concat", "transpose": "permute_dims", "conjugate": "conj", "fabs": "abs",
    "true_divide": "divide", "mod": "remainder", "amax": "max", "amin": "min",
    "cumsum": "cumulative_sum", "cumprod": "cumulative_prod", "around": "round", "rint": "round",
    "invert": "bitwise_invert",
}  # fmt: skip
_REDUCING = {"add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min"}


def ufunc(space: Any, name: str, method: str, inputs: Any, kwargs: Any) -> Any:
    """The answer to ``np.<name>(*inputs)`` (or its ``.reduce``) with a traced array among the inputs."""
    if kwargs.get("out") is not None:
        raise DerivativeError(
            f"np.{name} was asked to write its result into an existing array (out=, or a += b with a plain "
            "array a and a traced b). A traced value cannot be stored there: write a = a + b instead."
        )
    if method == "reduce" and name in _REDUCING:
        kwargs = {k: v for k, v in kwargs.items() if k in ("axis", "keepdims")}
        return getattr(space, _REDUCING[name])(*inputs, **({"axis": 0} | kwargs))
    if method != "__call__" or kwargs:
        options = ", ".join([f".{method}"] * (method != "__call__") + sorted(kwargs))
        raise DerivativeError(f"np.{name} with {options} has no derivative rule in nnx.")
    return find(space, name)(*inputs)


def function(space: Any, func: Any, args: Any, kwargs: Any) -> Any:
    """The answer to ``np.<func>(*args, **kwargs)`` with a traced array among the arguments."""
    name = func.__name__
    if kwargs.get("out") is not None:
        raise DerivativeError(f"np.{name}(out=...) cannot store a traced value: assign the result instead.")
    if name == "transpose":
        axes = args[1] if len(args) > 1 else kwargs.get("axes")
        return space.permute_dims(args[0], tuple(axes or reversed(range(args[0].ndim))))
    if name in _AXIS_SECOND and len(args) > 1:
        args, kwargs = args[:1], {"axis": args[1], **kwargs}
    return find(space, name)(*args, **kwargs)


# NumPy takes these functions' axis as the second positional argument, the standard by keyword only.
_AXIS_SECOND = frozenset(
    "sum prod mean std var max min amax amin concatenate stack cumsum cumprod argmax argmin flip squeeze "
    "any all sort argsort".split()
)


def find(space: Any, name: str) -> Any:
    """The differentiable function for NumPy's ``name``, or an error that names it."""
    target = getattr(space, NAMES.get(name, name), None)
    if target is None or not callable(target):
        raise DerivativeError(
            f"np.{name} has no counterpart in the array API standard that nnx can differentiate. Compose it "
            "of functions that have one, or cut the gradient on purpose with nnx.stop_gradient(x)."
        )
    return target


def method(space: Any, x: Any, name: str) -> Any:
    """NumPy's method or attribute ``name`` of a traced array."""
    raise AttributeError(f"Arrays that are being differentiated have no attribute {name!r}.")
