"""Calls of functions recorded on a tape, and what is pulled back over it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from nnx.autodiff.array import Traced
from nnx.autodiff.boundary import arrived, floating, like, settled, split_aux, traced_call
from nnx.autodiff.families import cast, shape_of
from nnx.autodiff.rowwise import Mixed, RowTape, RowwiseJacobian
from nnx.autodiff.space import space_of
from nnx.autodiff.trace import Tape, backward
from nnx.autodiff.tree import aligned, flatten
from nnx.errors import DerivativeError, ShapeError


class Recorded(NamedTuple):
    """A call of a function on a tape: its variables and its outputs, flattened."""

    leaves: list[Any]
    build: Callable[[list[Any]], Any]
    marks: list[Any]
    nodes: list[Any]
    values: list[Any]
    build_out: Callable[[list[Any]], Any]
    aux: Any


def record(who: str, f: Callable[..., Any], primals: Sequence[Any], has_aux: bool, tape: Tape) -> Recorded:
    """The call ``f(*primals)``, recorded on ``tape``."""
    check_function(who, f)
    given, build = flatten(primals)
    leaves = [floating(leaf, who) for leaf in given]
    inputs = [tape.leaf(leaf, space_of(leaf)) for leaf in leaves]
    marks = [x.mark for x in inputs]  # before f, which may write into its arguments
    out, aux = split_aux(traced_call(f, build(inputs), {}, tape, leaves), has_aux, tape)
    outs, build_out = flatten(out)
    outs = [settled(o) for o in outs]
    own = [type(o) is Traced and o.tracer is tape for o in outs]
    nodes = [o.mark if mine else None for o, mine in zip(outs, own, strict=True)]
    values = [o.value if mine else o for o, mine in zip(outs, own, strict=True)]
    return Recorded(leaves, build, marks, nodes, values, build_out, aux)


def pullback_of(who: str, recorded: Recorded) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """The outputs in their container, and the function from their cotangents to those of the variables."""
    leaves, build, marks, nodes, values, build_out, _ = recorded

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        gs = aligned(cotangent, result, f"{who}: the cotangent given to the pullback")
        seeds = []
        for node, value, g in zip(nodes, values, gs, strict=True):
            if node is not None:
                g = cast(space_of(value), like(g, value), value.dtype)
                if g.shape != value.shape:
                    raise ShapeError(
                        f"{who}: cotangent of shape {g.shape} for an output of shape {value.shape}."
                    )
                seeds.append((node, g))
        return build(arrived(backward(seeds, marks), leaves, gs))

    result = build_out(values)
    return result, pullback


def rowwise(tape: RowTape, recorded: Recorded, limit: float = math.inf) -> RowwiseJacobian:
    """The Jacobian of what was recorded, all rows in one pass; :class:`nnx.autodiff.rowwise.Mixed` if not."""
    for y in recorded.values:
        if not hasattr(y, "dtype") or not space_of(y).base.isdtype(y.dtype, "real floating"):
            raise Mixed("the output is no array of real numbers")
    outputs = list(zip(recorded.nodes, recorded.values, strict=True))
    return RowwiseJacobian(tape, recorded.marks, recorded.leaves, outputs, limit)


def check_function(who: str, f: Any) -> None:
    """Raises an error if ``f``, which the transform ``who`` is to differentiate, is no function."""
    if not callable(f):
        raise DerivativeError(
            f"nnx.{who} differentiates a function, got {type(f).__name__}: pass the function itself, f, "
            "not its value f(x)."
        )


def jacobian_by_rows(f: Callable[..., Any], x: Any) -> RowwiseJacobian | None:
    """The Jacobian of ``f(x)`` with all rows in one pass back; None where they cannot be kept apart.

    None also where ``f`` cannot be recorded, and where other ways are cheaper: row by row, if passes for more
    than half the rows were needed, or by columns (a pass takes the time of two to five of them).
    """
    tape = RowTape()
    try:
        recorded = record("jacobian", f, (x,), False, tape)
        entries = (
            sum(math.prod(shape_of(a)) for a in arrays) for arrays in (recorded.values, recorded.leaves)
        )
        rows, variables = entries
        return rowwise(tape, recorded, min(rows, variables / 2))
    except Exception:  # if it is the function's own, it comes again where it is called next
        return None
