"""Recomputing instead of storing."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from nnx.autodiff.array import Traced
from nnx.autodiff.boundary import unwritable
from nnx.autodiff.families import Rule
from nnx.autodiff.trace import bind
from nnx.autodiff.transforms import jvp, vjp
from nnx.autodiff.tree import flatten
from nnx.errors import DerivativeError


def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """``f``, of which reverse mode keeps the arguments only and computes the rest again when it comes back.

    Memory for time: of a chain of n steps in √n checkpointed pieces, about 2√n steps are kept instead of n,
    for one more forward pass. ``f`` takes and returns arrays or nested containers of them; what it is to be
    differentiated by must be among its arguments, not in its closure
    (:class:`nnx.errors.DerivativeError`). Source: A. Griewank, A. Walther, *Evaluating Derivatives*,
    SIAM 2008, chapter 12.

    >>> square = nnx.checkpoint(lambda x: x * x)
    >>> float(nnx.grad(lambda x: square(square(x)))(2.0))
    32.0
    """

    @wraps(f)
    def call(*args: Any, **kwargs: Any) -> Any:
        leaves, build = flatten((args, kwargs))
        places = [i for i, leaf in enumerate(leaves) if type(leaf) is Traced]
        if not places:
            return f(*args, **kwargs)
        rebuilt: list[Any] = []

        def flat(*arrays: Any) -> tuple[Any, ...]:
            full = list(leaves)
            for i, x in zip(places, arrays, strict=True):
                full[i] = x
            a, k = build(full)
            with unwritable(arrays):
                outs, build_out = flatten(f(*a, **k))
            rebuilt[:] = [build_out]
            return tuple(outs)

        outs = bind(_Recomputed(flat), flat, None)(*[leaves[i] for i in places])
        return rebuilt[0](list(outs))

    return call


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
    """Of what the function depends on, nothing must come by its closure: it would be lost."""

    def level(arrays: Any) -> int:
        return max((x.tracer.level for x in arrays if type(x) is Traced), default=-1)

    if level(answers) > level(values):
        raise DerivativeError(
            "A checkpointed function uses an array of its closure that is being differentiated: hand it over "
            "as an argument, for the gradient flows through arguments only."
        )
