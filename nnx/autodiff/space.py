"""The differentiable namespace over a library's own: what a traced array's ``__array_namespace__()`` gives.

Each name of the base namespace is here, in one of four states: differentiated by a rule, a composition of
such functions, constant (its result carries no gradient), or refused with the reason.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import cache, update_wrapper, wraps
from types import ModuleType, SimpleNamespace
from typing import Any

from nnx.autodiff import aliasing, numpy_api, views
from nnx.autodiff.array import Traced, is_traced, plain
from nnx.autodiff.batching.array import Batched
from nnx.autodiff.bind import bind
from nnx.autodiff.levels import current, running
from nnx.autodiff.raw import Namespace, raw_namespace
from nnx.autodiff.rules import distances, elementwise, fourier, linalg, saturation, special, ties
from nnx.autodiff.rules.compositions import COMPOSITIONS as MAIN_COMPOSITIONS
from nnx.autodiff.rules.compositions import VIEWING
from nnx.autodiff.rules.constants import CONSTANTS, CREATION, INSPECTION, REFUSED
from nnx.autodiff.rules.elementwise import ELEMENTWISE
from nnx.autodiff.rules.manipulation import MANIPULATION, VIEWS
from nnx.autodiff.rules.products import PRODUCTS
from nnx.autodiff.rules.reductions import REDUCTIONS
from nnx.autodiff.trace import CONSTANT, lifted
from nnx.backend import Adapter, SpecialFunctions, adapter_of
from nnx.errors import DerivativeError

RULES = {
    rule.name: rule
    for rule in (
        *ELEMENTWISE, *REDUCTIONS, *PRODUCTS, *MANIPULATION, *linalg.LINALG, *fourier.FOURIER,
        *special.SPECIAL, distances.KINKED, saturation.RESTORED,
    )
}  # fmt: skip
COMPOSITIONS = (
    MAIN_COMPOSITIONS | elementwise.COMPOSITIONS | linalg.COMPOSITIONS | fourier.COMPOSITIONS
    | special.COMPOSITIONS
)  # fmt: skip

OPERATORS = {
    "neg": "negative", "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide",
    "pow": "pow", "mod": "remainder", "matmul": "matmul",
}  # fmt: skip
CONSTANT_OPERATORS = {
    "eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater",
    "ge": "greater_equal", "floordiv": "floor_divide", "and": "bitwise_and", "or": "bitwise_or",
    "xor": "bitwise_xor", "lshift": "bitwise_left_shift", "rshift": "bitwise_right_shift",
    "invert": "bitwise_invert",
}  # fmt: skip
#: Python's own operators, by those names; a library may have its own.
_PYTHONS = SimpleNamespace(
    getitem=operator.getitem,
    **{name: getattr(operator, name) for name in OPERATORS},
    **{name: getattr(operator, name + "_" * (name in ("and", "or"))) for name in CONSTANT_OPERATORS},
)


def space_of(x: Any) -> Any:
    """The differentiable namespace for a raw or traced array.

    Raises :class:`nnx.errors.DtypeError` for what is no array.

    >>> xp = nnx.autodiff.space_of(np.ones(2))
    >>> xp.sin(np.asarray([0.0]))
    array([0.])
    """
    space = _spaces.get(type(x))
    if space is None:
        space = x.space if type(x) is Traced else space_over(adapter_of(x))
        if type(x) in space.kinds and not hasattr(x, "adapter"):  # which would be its own, not its class's
            _spaces[type(x)] = space
    return current(space) if running else space


_spaces: dict[type, Any] = {}  #: by the classes of plain arrays that were met


class DifferentiableNamespace(Namespace):
    """What traced arrays give as their ``__array_namespace__()``."""

    def _find(self, name: str) -> Any:
        return _differentiable(name, getattr(self.adapter.xp, name, None), self)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *COMPOSITIONS})


#: Functions beyond the standard that rules use: with a rule of their own, and without a gradient.
_BOUND = (
    "add_at", "converted", "from_parts", "item", "kinked", "laid_out", "restored", "scatter",
    "scatter_add", "set_at",
)  # fmt: skip
_CONSTANT = ("device_of", "element_count", "last_written", "positions", "shares_memory")


@cache
def space_over(adapter: Adapter) -> Any:
    """The differentiable namespace over one library, made once; its functions on first use."""
    space: Any = DifferentiableNamespace(f"nnx.autodiff.over_{adapter.name}", adapter)
    base = space.base = raw_namespace(adapter)
    space.kinds = adapter.kinds
    for name in _BOUND:
        setattr(space, name, bind(RULES[name], getattr(base, name), space))
    for name in _CONSTANT:
        setattr(space, name, getattr(base, name))
    space.to_device = views.viewing(bind(RULES["to_device"], base.to_device, space), "to_device")
    space.special = SpecialFunctions(
        lambda name: _differentiable("special." + name, getattr(base.special, name), space)
    )
    # The standard passes the arrays of concat and stack as a list, a rule sees them one by one.
    for name in ("concat", "stack"):
        setattr(space, "joined_" + name, bind(RULES[name], _one_by_one(getattr(base, name)), space))
    # So code that asks for one common namespace finds it in ``x`` and ``x > 0``; but not every library takes
    # such a constant for an index of its own arrays: there ``x > 0`` is a plain array. (PyTorch takes short
    # ones with a warning only.)
    space.constant = (lambda y: lifted(y, space)) if adapter.takes_index_by_protocol else (lambda y: y)
    space.differentiated = frozenset((*RULES, *COMPOSITIONS))
    space.newaxis = None
    space.matmul_into = lambda a, b, place: a @ b
    space.summed = lambda x, axis=None, keepdims=False: space.sum(x, axis=axis, keepdims=keepdims)
    space.broadcast_copy = lambda x, shape: space.broadcast_to(x, shape)
    space.hand_out = views.hand_out
    space.assign = aliasing.assign
    space.update = aliasing.update
    operators = adapter.operator or _PYTHONS
    for short, name in OPERATORS.items():
        setattr(space, "op_" + short, bind(RULES[name], getattr(operators, short), space))
    space.op_pow = distances.powers(space.op_pow)
    space.restored = saturation.where_needed(space.restored, adapter)
    for short in CONSTANT_OPERATORS:
        if short != "invert":
            question = _question(getattr(operators, short), space)
            asks = CONSTANT_OPERATORS[short] in ties.COMPARISONS
            setattr(space, "op_" + short, ties.comparing(question) if asks else question)
    space.op_invert = constant(operators.invert, space)
    space.chosen = bind(RULES["getitem"], operators.getitem, space)
    space.getitem = views.reading(space.chosen, operators.getitem)
    numpy_api.attach(space)
    return space


def _differentiable(name: str, function: Any, space: Any) -> Any:
    """What the differentiable namespace has for ``name``; of an extension as "linalg.solve"."""
    if name not in RULES and space.adapter.below is None and callable(function):
        function = _or_batched(name, function)
    if name in COMPOSITIONS:
        return _composed(name, function, space)
    if function is None:
        raise AttributeError(f"The array API of {space.adapter.name} has no {name!r}.")
    if name in RULES:
        bound = bind(RULES[name], function, space)
        if name in distances.MEASURES:
            return distances.remembering(name, bound)
        if name in ties.EXTREMES:
            return ties.remembering(bound, lambda rule: bind(rule, function, space))
        if name in ("pow", "square"):
            return distances.powers(bound, 2 if name == "square" else None)
        return views.viewing(bound, name) if name in VIEWS else bound
    if name in CREATION:
        return _creating(name, function, space)
    if name in CONSTANTS:
        question = constant(function, space)
        return ties.comparing(question) if name in ties.COMPARISONS else question
    if name in INSPECTION:
        return constant(function)
    if isinstance(function, ModuleType):
        return _Extension(name, function, space)
    if not callable(function) or isinstance(function, type):
        return function
    return refused(name, function, space)


def _or_batched(name: str, function: Any) -> Any:
    """A library's ``function``, which gives batched arrays to that of the same name over the library."""
    if isinstance(function, type | ModuleType):
        return function

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        for a in args:
            if type(a) is Batched:
                return a.adapter.named(name)(*args, **kwargs)
        return function(*args, **kwargs)

    return call


def constant(function: Callable[..., Any], space: Any = None) -> Callable[..., Any]:
    """A function whose result carries no gradient: computed on plain arrays.

    Given the ``space``, the result for traced arrays is a constant of it (``space.constant``).
    """

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        answer = function(*map(plain, args), **plain(kwargs))
        return space.constant(answer) if space is not None and any(map(_holds_trace, args)) else answer

    return call


def _question(function: Callable[..., Any], space: Any) -> Callable[..., Any]:
    """:func:`constant` for an operator, of which a program has many: quicker."""
    if not space.adapter.takes_index_by_protocol:
        return constant(function)

    def call(a: Any, b: Any) -> Any:
        answer = function(plain(a), plain(b))
        return Traced(answer, CONSTANT, None, space) if hasattr(answer, "dtype") else answer

    return call


def _creating(name: str, function: Callable[..., Any], space: Any) -> Callable[..., Any]:
    """A function that creates arrays: constants of the differentiable namespace, and writable."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if name in REFUSED and any(map(is_traced, (*args, *kwargs.values()))):
            raise _refusal(name)
        return lifted(function(*map(plain, args), **{k: plain(v) for k, v in kwargs.items()}), space)

    return call


def refused(name: str, function: Callable[..., Any], space: Any) -> Callable[..., Any]:
    """A function without a rule: plain arrays pass, traced ones raise :class:`DerivativeError`."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        given = (*args, *kwargs.values())
        if any(map(is_traced, given)):
            raise _refusal(name)
        answer = function(*map(plain, args), **{k: plain(v) for k, v in kwargs.items()})
        return lifted(answer, space) if any(_holds_trace(a) for a in given) else answer

    return call


def _refusal(name: str) -> DerivativeError:
    reason = REFUSED.get(name, "it has no derivative rule in nnx")
    return DerivativeError(
        f"xp.{name} cannot be part of a function that is being differentiated: {reason}. Compose it "
        "of functions that have a rule, give it one of your own with nnx.custom_derivative, or cut "
        "the gradient on purpose with nnx.stop_gradient(x)."
    )


class _Extension(Namespace):
    """A part of the namespace (linalg, fft)."""

    def __init__(self, name: str, module: ModuleType, space: Any) -> None:
        super().__init__(f"{space.__name__}.{name}", space.adapter)
        self._short, self._module, self._space = name, module, space

    def _find(self, name: str) -> Any:
        return _differentiable(f"{self._short}.{name}", getattr(self._module, name, None), self._space)

    def __dir__(self) -> list[str]:
        return dir(self._module)


def _composed(name: str, function: Any, space: Any) -> Callable[..., Any]:
    """``function`` on plain arrays; on traced ones its composition of differentiable functions."""
    composition, creates = COMPOSITIONS[name], name in CREATION
    takes = _holds_trace if name in VIEWING else is_traced

    def call(*args: Any, **kwargs: Any) -> Any:
        given = (*args, *kwargs.values())
        if function is None or any(map(takes, given)):
            return composition(current(space) if running else space, *args, **kwargs)
        if creates or any(map(_holds_trace, given)):
            answer = function(*map(plain, args), **{k: plain(v) for k, v in kwargs.items()})
            new = lifted(answer, space)
            if args and type(answer) is type(args[0]) and space.shares_memory(answer, args[0]):
                views.hand_out(new)  # xp.asarray(plain): the caller's array is never written to
            return new
        return function(*args, **kwargs)

    call.__name__ = name.rpartition(".")[2]
    return call if function is None else update_wrapper(call, function)


def _holds_trace(x: Any) -> bool:
    return type(x) is Traced or (type(x) in (tuple, list) and any(_holds_trace(part) for part in x))


def _one_by_one(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *arrays, axis=0: function(arrays, axis=axis)
