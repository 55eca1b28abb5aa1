"""Differentiable namespaces for the standard's test suite, which knows nothing of derivatives.

``space`` is the namespace as it is: what its creators give depends on nothing. In ``differentiated`` their
floating-point arrays are leaves of an open trace, so every operation of the suite is recorded and, at once,
pulled back: each cotangent must have its argument's shape and data type, whatever the suite's
arrays are (without elements, without dimensions, complex, of many types).
"""

from __future__ import annotations

import random
from typing import Any

from nnx.autodiff import array
from nnx.autodiff import space as spaces
from nnx.autodiff.array import Traced, raw
from nnx.autodiff.bind import Part
from nnx.autodiff.trace import CONSTANT, Parts, Tape
from nnx.backend.selection import adapter

random.seed(0)  # the suite's special cases are drawn with Strategy.example(), which no option seeds


def base(library: str) -> Any:
    return adapter(library).xp


def space(library: str) -> Any:
    return spaces.space_over(adapter(library))


def differentiated(library: str) -> Any:
    """The namespace of ``library`` with creators whose arrays are being differentiated."""
    trace = PullingTape()

    def lifted(x: Any, space: Any) -> Any:
        if type(x) in (tuple, list):
            return type(x)(lifted(part, space) for part in x)
        if type(x) is Traced or not (hasattr(x, "dtype") and hasattr(x, "shape")):
            return x
        return trace.leaf(x, space) if floating(space, x) else Traced(x, CONSTANT, None, space)

    spaces.lifted = lifted
    array._constant = lambda x, what, shared=False: raw(x)  # the suite reads the numbers
    return space(library)


def floating(space: Any, x: Any) -> bool:
    return space.base.isdtype(x.dtype, ("real floating", "complex floating"))


class PullingTape(Tape):
    """A tape that pulls a cotangent of ones back through every operation that it records."""

    __slots__ = ()

    def record(self, rule, answer, argnums, marks, values, kwargs, space, nested):
        out = super().record(rule, answer, argnums, marks, values, kwargs, space, nested)
        args = [values[i] for i in argnums]
        if rule.several:
            ones = Parts({k: space.base.ones_like(a) for k, a in enumerate(answer)})
            check(rule, out.mark, space, ones, args)
        elif not isinstance(rule, Part) and floating(space, answer):
            check(rule, out.mark, space, space.base.ones_like(answer), args)
        return out


def check(rule: Any, node: Any, space: Any, g: Any, args: Any) -> None:
    try:
        cotangents = node.pull(space.base, g)
    except Exception as error:
        if type(error).__name__ == "LinAlgError":  # a singular matrix: there is no derivative there
            return
        raise
    for x, c in zip(args, cotangents, strict=True):
        assert (tuple(c.shape), c.dtype) == (tuple(x.shape), x.dtype), (
            f"The pullback of {rule.name}: {c.shape}, {c.dtype} for an argument of {x.shape}, {x.dtype}."
        )
