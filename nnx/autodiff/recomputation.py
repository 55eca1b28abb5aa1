"""Recomputing instead of storing."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import CellType, FunctionType
from typing import Any

from nnx.autodiff.array import Traced, raw
from nnx.autodiff.bind import bind
from nnx.autodiff.boundary import unwritable
from nnx.autodiff.families import Rule
from nnx.autodiff.recording import check_function
from nnx.autodiff.transforms import jvp, vjp
from nnx.autodiff.tree import flatten
from nnx.autodiff.views import link
from nnx.errors import DerivativeError


def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """``f`` whose intermediate values are recomputed, not stored, in reverse mode.

    This saves memory at the cost of time: a chain of n steps in √n checkpointed pieces keeps about 2√n steps
    instead of n, for one more forward pass. ``f`` takes and returns arrays or nested containers of them. The
    variables of its closure count as arguments, with the values that they have when ``f`` is called, and
    gradients flow through them.

    Raises :class:`nnx.errors.DerivativeError` if an array that is differentiated reaches ``f`` in any other
    way (in a global, an object, a container in its closure), and if ``f`` assigns an array to a variable of
    its closure.

    Source: A. Griewank, A. Walther, *Evaluating Derivatives*, SIAM 2008, chapter 12.

    >>> square = nnx.checkpoint(lambda x: x * x)
    >>> float(nnx.grad(lambda x: square(square(x)))(2.0))
    32.0
    """
    check_function("checkpoint", f)

    @wraps(f)
    def call(*args: Any, **kwargs: Any) -> Any:
        leaves, build = flatten((args, kwargs))
        given = len(leaves)
        leaves += [cell.cell_contents for cell in _variables(f)]
        places = [i for i, leaf in enumerate(leaves) if hasattr(type(leaf), "__dlpack__")]
        if not any(type(leaf) is Traced for leaf in leaves):
            return f(*args, **kwargs)
        arrays = [leaves[i] for i in places]
        # The tape will keep the function below, which must keep neither the tape nor any array.
        for i in places:
            leaves[i] = None
        rebuilt: list[Any] = []

        def flat(*arrays: Any) -> tuple[Any, ...]:
            full = list(leaves)
            for i, x in zip(places, arrays, strict=True):
                full[i] = x
            a, k = build(full[:given])
            with unwritable(arrays):
                outs, build_out = flatten(_called(f, full[given:], a, k))
            rebuilt[:] = [build_out]
            return tuple(outs)

        bound = bind(_Recomputed(flat), flat, None)
        outs = bound(*arrays)
        _look_into(outs, arrays, bound)
        return rebuilt[0]([y.space.constant(raw(y)) if _is_constant(y) else y for y in outs])

    return call


def _is_constant(y: Any) -> bool:
    """Whether a result can carry no gradient: truth values and integers are constants, as everywhere."""
    return type(y) is Traced and y.space.base.isdtype(y.dtype, ("bool", "integral"))


def _variables(f: Any) -> list[CellType]:
    """The variables of the closure of ``f`` that have values."""
    cells = (f.__closure__ or ()) if type(f) is FunctionType else ()
    return [cell for cell in cells if cell != CellType()]


def _called(f: Any, contents: list[Any], args: Any, kwargs: Any) -> Any:
    """``f(*args, **kwargs)`` with other values of the variables of its closure."""
    if not contents:
        return f(*args, **kwargs)
    own = _variables(f)
    new = {id(cell): CellType(content) for cell, content in zip(own, contents, strict=True)}
    closure = tuple(new.get(id(cell), cell) for cell in f.__closure__)
    g = FunctionType(f.__code__, f.__globals__, f.__name__, f.__defaults__, closure)
    g.__kwdefaults__ = f.__kwdefaults__
    out = g(*args, **kwargs)
    for cell, before in zip(own, contents, strict=True):
        after = new[id(cell)].cell_contents
        if after is not before:
            if hasattr(after, "dtype"):
                raise DerivativeError(
                    f"The checkpointed function {f.__name__} assigns an array to a nonlocal variable: its "
                    "gradient would be lost. Let it return the array."
                )
            cell.cell_contents = after  # a counter, say
    return out


def _look_into(outs: Any, arrays: list[Any], bound: Callable[..., Any]) -> None:
    """Links results that are views of an argument to it: a write into either shows in both."""
    now = [x.snapshot() if type(x) is Traced else x for x in arrays]

    def made(i: int, k: int) -> Callable[[Any], Any]:
        return lambda root: bound(*now[:i], root, *now[i + 1 :])[k]

    for k, y in enumerate(outs):
        for i, x in enumerate(arrays):
            if type(y) is Traced and type(x) is Traced and y.link is None:
                link(y, x, made(i, k))


class _Recomputed(Rule):
    """The rule of a whole function: its own derivatives, taken when they are needed."""

    several = True
    result = tuple

    def __init__(self, function: Callable[..., tuple[Any, ...]]) -> None:
        self.name, self.function = "checkpoint", function

    def _of(self, argnums: Any, values: Any) -> Callable[..., Any]:
        def function(*chosen: Any) -> tuple[Any, ...]:
            full = list(values)
            for i, x in zip(argnums, chosen, strict=True):
                full[i] = x
            return self.function(*full)

        return function

    def pull(self, argnums: Any, answers: Any, values: Any, kwargs: Any) -> Any:
        _need_arguments(answers, values)
        function = self._of(argnums, values)

        def pull(xp: Any, parts: Any) -> Any:
            gs = tuple(parts.gs[k] if k in parts.gs else xp.zeros_like(a) for k, a in enumerate(answers))
            return vjp(function, *[values[i] for i in argnums])[1](gs)

        return pull

    def push(self, xp: Any, argnums: Any, tangents: Any, answers: Any, values: Any, kwargs: Any) -> Any:
        _need_arguments(answers, values)
        return jvp(self._of(argnums, values), [values[i] for i in argnums], tangents)[1]


def _need_arguments(answers: Any, values: Any) -> None:
    """An error if the answers depend on a traced array that is not among the ``values``."""

    def level(arrays: Any) -> int:
        return max((x.tracer.level for x in arrays if type(x) is Traced), default=-1)

    if level(answers) > level(values):
        raise DerivativeError(
            "A checkpointed function uses an array that is being differentiated and is neither an argument "
            "nor a variable of its closure: it is in a global, an object, a container or a function that it "
            "calls. Its gradient would be lost: make it an argument."
        )
