"""Reverse and forward mode, and the transforms that are made of them.

The first argument of each, ``who``, is the name of the public function (:mod:`nnx.autodiff.transforms`) that
was called, for its errors.
"""

from __future__ import annotations

import math
import operator
import reprlib
from collections.abc import Callable, Sequence
from typing import Any

from nnx.autodiff.absorbing import new_dual, new_tape
from nnx.autodiff.array import Traced
from nnx.autodiff.boundary import (
    arrived,
    check_continuous,
    check_scalar,
    floating,
    holds_complex,
    like,
    settled,
    split_aux,
    traced_call,
    zeros,
)
from nnx.autodiff.families import cast, shape_of
from nnx.autodiff.mapping import mapped
from nnx.autodiff.recording import Recorded, check_function, pullback_of, record, rowwise
from nnx.autodiff.rowwise import Mixed, RowTape, RowwiseJacobian
from nnx.autodiff.space import space_of
from nnx.autodiff.trace import Tape, backward
from nnx.autodiff.tree import aligned, flatten
from nnx.errors import DerivativeError, ShapeError
from nnx.options import truth

Argnums = int | Sequence[int]


def pull_back(who: str, f: Callable[..., Any], primals: Sequence[Any], has_aux: bool = False) -> Any:
    """What :func:`vjp` returns."""
    truth(who, "has_aux", has_aux)
    recorded = record(who, f, primals, has_aux, new_tape())
    result, pullback = pullback_of(who, recorded)
    return (result, pullback, recorded.aux) if has_aux else (result, pullback)


def push_forward(
    who: str, f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False
) -> Any:
    """What :func:`jvp` returns."""
    truth(who, "has_aux", has_aux)
    check_function(who, f)
    if not isinstance(primals, tuple | list) or not isinstance(tangents, tuple | list):
        raise DerivativeError(
            f"{who} takes primals and tangents as two tuples, one entry for each argument of the function: "
            f"nnx.{who}(f, (x,), (v,))."
        )
    trace = new_dual()
    given, build = flatten(tuple(primals))
    directions = aligned(tuple(tangents), tuple(primals), f"{who}: tangents")
    inputs = []
    for leaf, t in zip(given, directions, strict=True):
        x = floating(leaf, who)
        t = cast(space_of(x), like(t, x), x.dtype)
        if t.shape != x.shape:
            raise ShapeError(f"{who}: tangent of shape {t.shape} for a primal of shape {x.shape}.")
        inputs.append(Traced(x, trace, t, space_of(x)))
    leaves = [x.value for x in inputs]
    out, aux = split_aux(traced_call(f, build(inputs), {}, trace, leaves), has_aux, trace)
    outs, build_out = flatten(out)
    outs = [settled(o) for o in outs]
    own = [type(o) is Traced and o.tracer is trace for o in outs]
    values = build_out([o.value if mine else o for o, mine in zip(outs, own, strict=True)])
    tangents = [o.mark if mine else None for o, mine in zip(outs, own, strict=True)]
    moved = build_out(arrived(tangents, outs, directions))
    return (values, moved, aux) if has_aux else (values, moved)


def value_and_gradient(
    who: str, f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """What :func:`value_and_grad` returns."""
    truth(who, "has_aux", has_aux)
    check_function(who, f)
    positions = _positions(who, argnums)

    def both(*args: Any, **kwargs: Any) -> Any:
        chosen, rebuild = _choose(who, args, positions)
        tape = new_tape()
        given, build = flatten(chosen)
        leaves = [floating(leaf, who) for leaf in given]
        inputs = [tape.leaf(leaf, space_of(leaf)) for leaf in leaves]
        marks = [x.mark for x in inputs]  # before f, which may write into its arguments
        out, aux = split_aux(traced_call(f, rebuild(build(inputs)), kwargs, tape, leaves), has_aux, tape)
        out = settled(out)
        seeds, value = [], out
        if type(out) is Traced and out.tracer is tape:
            value = out.value
            seeds.append((out.mark, like(1.0, value)))
        check_scalar(value, who)
        seen = iter(seeds)
        del out, seeds  # so that backward frees what each operation kept for its pullback
        gradient = build(arrived(backward(seen, marks), leaves))
        return ((value, aux), gradient) if has_aux else (value, gradient)

    return both


def gradient_of(
    who: str, f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """What :func:`grad` returns."""
    both = value_and_gradient(who, f, argnums, has_aux)

    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, g = both(*args, **kwargs)
        return (g, value[1]) if has_aux else g

    return gradient


def jacobian_of(
    who: str, f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """What :func:`jacobian` returns."""
    truth(who, "has_aux", has_aux)
    check_function(who, f)
    positions = _positions(who, argnums)

    def jac(*args: Any, **kwargs: Any) -> Any:
        chosen, rebuild = _choose(who, args, positions)
        tape = new_tape(RowTape)
        recorded = record(who, lambda x: f(*rebuild(x), **kwargs), (chosen,), has_aux, tape)
        build_in = flatten(chosen)[1]
        rows = _apart(tape, recorded)
        if rows is None:
            out, pullback = pullback_of(who, recorded)
            outs, build_out = flatten(out)

            def row(cotangent: Any) -> list[Any]:
                return flatten(pullback(cotangent)[0])[0]

            result = _blocks(who, outs, build_out, row, recorded.leaves, build_in)
        else:
            result = _cut(rows, recorded)
        return (result, recorded.aux) if has_aux else result

    return jac


def _apart(tape: Tape, recorded: Recorded) -> RowwiseJacobian | None:
    """The Jacobian with all rows in one pass; None where they mix, or where 0·∞ is to be 0."""
    if not isinstance(tape, RowTape):
        return None
    try:
        return rowwise(tape, recorded, sum(map(_entries, recorded.values)))
    except Mixed:
        tape.operations.clear()
        return None


def hessian_of(who: str, f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """What :func:`hessian` returns: the gradient is pushed forward along each unit array."""
    check_function(who, f)
    positions = _positions(who, argnums)

    def hess(*args: Any, **kwargs: Any) -> Any:
        chosen, rebuild = _choose(who, args, positions)
        xs, build = flatten(chosen)
        xs = [floating(x, who) for x in xs]
        gradient = gradient_of(who, lambda new: f(*rebuild(new), **kwargs))

        def row(direction: Any) -> list[Any]:
            return flatten(push_forward(who, gradient, (build(xs),), (direction,))[1])[0]

        return _blocks(who, xs, build, row, xs, build)

    return hess


# -- details -------------------------------------------------------------------------------------------


def _positions(who: str, argnums: Any) -> int | tuple[int, ...]:
    """``argnums`` as an int or a tuple of ints; an error for anything else."""
    try:
        several = isinstance(argnums, tuple | list | range)
        return tuple([operator.index(n) for n in argnums]) if several else operator.index(argnums)
    except TypeError:
        raise DerivativeError(
            f"nnx.{who}: argnums is the position of the argument to differentiate by, or a tuple of "
            f"positions, got {type(argnums).__name__} {reprlib.repr(argnums)}. The point belongs into the "
            f"second call: nnx.{who}(f)(x)."
        ) from None


def _choose(
    who: str, args: Sequence[Any], argnums: int | tuple[int, ...]
) -> tuple[Any, Callable[[Any], list[Any]]]:
    """The argument (or tuple of arguments) to differentiate, and a function that replaces it."""
    positions = (argnums,) if isinstance(argnums, int) else argnums
    for n in positions:
        if not -len(args) <= n < len(args):
            raise DerivativeError(
                f"nnx.{who}: argnums={argnums}, but the function was given {len(args)} arguments by "
                "position. An argument passed by name cannot be differentiated."
            )
        if args[n] is None:
            raise DerivativeError(f"nnx.{who}: argument {n}, chosen by argnums, is None.")
    if len(positions) > 1 and len({n % len(args) for n in positions}) < len(positions):
        raise DerivativeError(f"nnx.{who}: argnums={argnums} names an argument twice.")

    def rebuild(new: Any) -> list[Any]:
        full = list(args)
        for n, x in zip(positions, (new,) if isinstance(argnums, int) else new, strict=True):
            full[n] = x
        return full

    return args[argnums] if isinstance(argnums, int) else tuple([args[n] for n in positions]), rebuild


def _blocks(
    who: str, outs: list[Any], build_out: Any, row: Callable[[Any], list[Any]], xs: list[Any], build_in: Any
) -> Any:
    """The derivatives of each of ``outs`` by each of ``xs``; ``row`` gives those of one unit array."""
    blocks = []
    for k, y in enumerate(outs):

        def of_unit(e: Any, k: int = k) -> tuple[Any, ...]:
            return tuple(row(build_out([settled(e) if i == k else zeros(o) for i, o in enumerate(outs)])))

        columns = _by_units(who, of_unit, _basis(who, y), _entries(y) + sum(map(_entries, xs)))
        shape = tuple(shape_of(y))
        blocks.append(
            build_in(
                [
                    space_of(c).reshape(c, (*shape, *c.shape[1:])) if math.prod(shape) else _empty(x, shape)
                    for c, x in zip(columns or xs, xs, strict=True)
                ]
            )
        )
    return build_out(blocks)


#: From so many unit arrays on they are taken together, if each call has no more entries than that: a call of
#: many costs two to four times the Python of a call of one, and stays in the cache.
_FEW, _CACHED = 6, 1 << 18


def _by_units(who: str, of_unit: Callable[..., Any], units: Any, size: int) -> list[Any]:
    """For each variable the derivatives along all units, along a first axis; none without units.

    As many units as the cache has room for are mapped over in one call; few, or of large arrays, one by one.
    """
    if type(units) is list:  # that of a Python number
        return [space_of(g).expand_dims(g, axis=0) for g in of_unit(units[0])]
    n, at_once = units.shape[0], _CACHED // max(size, 1)
    if min(n, at_once) < _FEW:
        rows = [of_unit(units[i, ...]) for i in range(n)]
        return [space_of(column[0]).stack(list(column)) for column in zip(*rows, strict=True)]
    together = mapped(who, of_unit, quiet=True)
    rows = [together(units[i : min(i + at_once, n), ...]) for i in range(0, n, at_once)]
    return [
        column[0] if len(rows) == 1 else space_of(column[0]).concat(list(column))
        for column in zip(*rows, strict=True)
    ]


def _empty(x: Any, shape: tuple[int, ...]) -> Any:
    """The derivatives by ``x`` of an array without entries."""
    base = space_of(x).base
    return base.zeros((*shape, *x.shape), dtype=x.dtype, device=base.device_of(x))


def _entries(x: Any) -> int:
    return math.prod(shape_of(x))


def _cut(rows: RowwiseJacobian, recorded: Recorded) -> Any:
    """The rows in the form of the outputs, each in that of the variables."""
    blocks, start = [], 0
    for y in recorded.values:
        stop = start + _entries(y)
        found = rows.rows(start, stop)
        cut = [space_of(g).reshape(g, (*y.shape, *g.shape[1:])) for g in found]
        blocks.append(recorded.build(cut)[0])
        start = stop
    return recorded.build_out(blocks)


def _basis(who: str, x: Any) -> Any:
    """The unit arrays of x's shape, one for each entry, along a first axis."""
    if not hasattr(x, "dtype") and not isinstance(x, int | float | complex):
        raise DerivativeError(
            f"{who} needs a function that returns arrays or numbers, got {type(x).__name__}."
        )
    check_continuous(x, who)
    if holds_complex(x):
        raise DerivativeError(
            f"{who} needs a function that returns real arrays, got complex ones: return their real and "
            "imaginary parts, (xp.real(z), xp.imag(z)), or use nnx.jvp or nnx.vjp."
        )
    if not hasattr(x, "dtype"):
        return [1.0]
    base = space_of(x).base
    n = base.element_count(x.shape)
    eye = base.eye(n, dtype=x.dtype, device=base.device_of(x))
    return base.reshape(eye, (n, *x.shape))
