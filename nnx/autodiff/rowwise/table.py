"""What a row of an operation's result depends on: the table of what is known.

An entry answers for one argument of a recorded operation y = f(…, x, …), given the cotangents g of the rows
of y, each of which belongs to another row of the Jacobian. Either row i of y depends on row i of x alone:
then the operation's own pullback serves, for it mixes no rows. Or all rows share x: then each has a cotangent
of its own, which :class:`Each` makes for a slice of the rows. What is not in the table is not row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from nnx.autodiff.families import Elementwise, ElementwisePair, normal_axes
from nnx.autodiff.places import Place
from nnx.autodiff.pullbacks import Fused
from nnx.autodiff.rowwise.operation import BROADCASTING, ENTRYWISE, Each, Operation, Rows, grouped, shared
from nnx.autodiff.rules.partials import Partials
from nnx.autodiff.space import RULES

Array = Any


#: the cotangents that reach an argument; None where its rows do not go with those of the result
Arrivals = Iterable[tuple[Rows, Any]] | None
Entry = Callable[[Operation, int, Rows, Any], Arrivals]
TABLE: dict[Any, Entry] = {}


def arrivals(op: Operation, i: int, rows: Rows, g: Any) -> Arrivals:
    """What the cotangents ``g`` of the rows of the result bring to argument ``i``."""
    rule = op.rule
    if any(map(_is_foreign, op.values)):
        return None
    entry = TABLE.get(rule)
    if entry is None:
        if isinstance(rule, Elementwise | ElementwisePair | Partials):
            entry = _broadcast
        elif isinstance(rule, Fused) and rule.samples is not None:
            entry = _fused
        else:
            return None
    return entry(op, i, rows, g)


def _is_foreign(v: Any) -> bool:
    """Whether it is an object that acts as an array and is none (a table of pandas')."""
    return not hasattr(v, "__dlpack__") and getattr(v, "shape", ()) != ()


def entry(*names: str) -> Callable[[Entry], Entry]:
    """Decorator: the function is the entry of the rules of these names."""

    def add(function: Entry) -> Entry:
        TABLE.update({RULES[name]: function for name in names})
        return function

    return add


def _each(op: Operation, i: int, rows: Rows, g: Array) -> Arrivals:
    """The shared argument ``i`` of an operation that broadcasts."""
    operands = op.values[:1] if op.rule is RULES["broadcast_to"] else op.values
    if not all(hasattr(v, "shape") or isinstance(v, int | float | complex) for v in operands):
        return None  # a list or the like, from which no rows can be taken
    xp, n, ndim = op.xp(g), g.shape[0], g.ndim

    def of(a: int, b: int) -> Array:
        def part(v: Any) -> Any:
            goes_along = getattr(v, "ndim", 0) == ndim and v.shape[0] == n
            return grouped(v, rows, a, b, xp) if goes_along else v

        return shared(op, i, part(g), [part(v) for v in op.values], part(op.answer))

    return [(rows, Each(of))]


def _same(op: Operation, i: int, rows: Rows, g: Array) -> Arrivals:
    return [(rows, op.pull(i, g))]


# -- entry by entry --------------------------------------------------------------------------------------


@entry(*BROADCASTING, *ENTRYWISE)
def _broadcast(op: Operation, i: int, rows: Rows, g: Array) -> Arrivals:
    x = op.values[i]
    along = x.ndim == g.ndim and x.shape[0] == g.shape[0]
    return _same(op, i, rows, g) if along else _each(op, i, rows, g)


# -- products ------------------------------------------------------------------------------------------


@entry("matmul")
def _matmul(op: Operation, i: int, rows: Rows, g: Array) -> Arrivals:
    a, b = op.values
    if b.ndim > 2:  # a stack of matrices: its axes broadcast
        x = op.values[i]
        batched = x.ndim >= b.ndim and x.ndim >= a.ndim
        if batched and x.shape[0] == g.shape[0]:
            return _same(op, i, rows, g)
        return _each(op, i, rows, g) if x.ndim > 1 and a.ndim > 1 else None
    if a.ndim > 1:
        return _same(op, i, rows, g) if i == 0 else [(rows, Each(_outer(a, b, rows, g, op.xp(g))))]
    return [(rows, Each(_columns(b, rows, g, op.xp(g))))] if i == 0 and b.ndim == 2 else None


def _outer(x: Array, b: Array, rows: Rows, g: Array, xp: Any) -> Callable[[int, int], Array]:
    """xᵢδᵢᵀ, for each row, summed over further axes."""

    def of(start: int, stop: int) -> Array:
        rows_of_x, d = grouped(x, rows, start, stop, xp), grouped(g, rows, start, stop, xp)
        if b.ndim == 1:
            d = d[..., None]
        k, n, m = stop - start, x.shape[-1], d.shape[-1]
        if rows_of_x.ndim == 2:
            product = rows_of_x[:, :, None] * d[:, None, :]
        else:
            moved = xp.matrix_transpose(xp.reshape(rows_of_x, (k, -1, n)))
            product = moved @ xp.reshape(d, (k, -1, m))
        return xp.reshape(product, (k, *b.shape))

    return of


def _columns(b: Array, rows: Rows, g: Array, xp: Any) -> Callable[[int, int], Array]:
    """Of the vector x in x @ b: the columns of b, one for each row."""

    def of(start: int, stop: int) -> Array:
        scaled = xp.matrix_transpose(b) * g[:, None]
        some = grouped(scaled, rows, start, stop, xp)
        return some if rows.group == 1 else xp.sum(some, axis=1)

    return of


@entry("tensordot")
def _tensordot(op: Operation, i: int, rows: Rows, g: Array) -> Arrivals:
    axes, n = op.kwargs.get("axes", 2), op.values[0].ndim
    used = range(n - axes, n) if isinstance(axes, int) else [axis % n for axis in axes[0]]
    return _same(op, i, rows, g) if i == 0 and 0 not in used else None


def _fused(op: Operation, i: int, rows: Rows, g: Array) -> Arrivals:
    x, samples = op.values[i], op.rule.samples
    if callable(samples):
        first = op.values[0]
        if first.ndim < 2 or first.shape[0] != g.shape[0]:
            return None
        if i == 0:
            return _same(op, i, rows, g)
        xp, needs = op.xp(g), [j == i for j in range(len(op.values))]

        def of(a: int, b: int) -> Array:
            first, y, d = (grouped(v, rows, a, b, xp) for v in (op.values[0], op.answer, g))
            return samples(xp, d, needs, y, first, *op.values[1:], **op.kwargs)[i]

        return [(rows, Each(of))]
    axis = (samples | op.kwargs).get("axis", -1)
    rowwise = isinstance(axis, int) and x.ndim > 1 and axis % x.ndim and x.shape[0] == g.shape[0]
    return _same(op, i, rows, g) if rowwise else None


# -- along other axes ------------------------------------------------------------------------------------


@entry("sum", "mean", "max", "min", "var", "std", "prod", "cumulative_sum", "cumulative_prod", "flip")
def _other_axes(op: Operation, i: int, rows: Rows, g: Array) -> Arrivals:
    axes = normal_axes(op.option("axis"), op.values[0].ndim)
    return _same(op, i, rows, g) if 0 not in axes else None


@entry("roll", "repeat", "take")
def _one_axis(op: Operation, i: int, rows: Rows, g: Array) -> Arrivals:
    axis = op.option("axis", place=2)
    one = axis is not None and 0 not in normal_axes(axis, op.values[0].ndim)
    return _same(op, i, rows, g) if one else None


@entry("permute_dims", "moveaxis", "matrix_transpose", "tril", "triu")
def _transpose(op: Operation, i: int, rows: Rows, g: Array) -> Arrivals:
    n = op.values[0].ndim
    if op.rule.name == "permute_dims":
        stays = op.option("axes")[0] % n == 0
    elif op.rule.name == "moveaxis":
        moved = (op.option("source"), op.option("destination", place=2))
        stays = 0 not in {axis for ends in moved for axis in normal_axes(ends, n)}
    else:
        stays = n > 2
    return _same(op, i, rows, g) if stays else None


@entry("reshape", "expand_dims", "squeeze")
def _reshape(op: Operation, i: int, rows: Rows, g: Array) -> Arrivals:
    """Rows stay rows, are joined to longer ones, or cut into pieces."""
    x, y = op.values[0], op.answer
    if not x.ndim or 0 in x.shape:
        return None
    n, m, group = x.shape[0], y.shape[0], rows.group
    if m == n:
        return _same(op, i, rows, g)
    if n % m == 0:
        return [(rows._replace(group=group * (n // m)), op.pull(i, g))]
    if m % n:
        return None
    pieces = m // n
    if group % pieces == 0:
        return [(rows._replace(group=group // pieces), op.pull(i, g))]
    return cut(op.pull(i, g), pieces, rows, op.xp(g)) if group == 1 else None


def cut(g: Array, pieces: int, rows: Rows, xp: Any) -> Iterable[tuple[Rows, Array]]:
    """The cotangents of rows that are cut into ``pieces``, each with a row of the Jacobian: one by one."""
    whole = xp.reshape(g, (g.shape[0], pieces, -1))
    places = xp.reshape(xp.positions((pieces,), g), (1, pieces, 1))
    offset, stride, _, lo, hi = rows
    for c in range(pieces):
        some = Rows(offset + stride * c, stride * pieces, 1, -((c - lo) // pieces), -((c - hi) // pieces))
        yield some, xp.reshape(xp.where(places == c, whole, 0.0), g.shape) if pieces > 1 else g


# -- choosing and joining --------------------------------------------------------------------------------


_SLICES = (slice, type(None), type(...))


def _has_no_axis(part: Any) -> bool:
    """Whether an index is a boolean, or anything else without axes that is not an integer."""
    return not getattr(part, "ndim", 1) and "int" not in str(getattr(part, "dtype", ""))


def _start(key: Any, shape: Sequence[int]) -> int | None:
    """Where the rows that ``x[key]`` takes begin, all in order; None if it takes them otherwise."""
    if type(key) is Place:
        return None
    parts = key if type(key) is tuple else (key,)
    chosen = [part for part in parts if type(part) not in _SLICES]
    arrays = [part for part in chosen if type(part) is not int]
    if arrays and (len(chosen) > 1 or len(parts) > 2 or _has_no_axis(arrays[0])):
        return None  # NumPy may put the axes of an array first
    first = parts[0] if parts else ...
    if first is ...:
        used = [part for part in parts if part is not None and part is not ...]
        return 0 if not arrays and len(used) < len(shape) else None
    if type(first) is not slice:
        return None
    start, _, step = first.indices(shape[0])
    return start if step == 1 else None


@entry("getitem")
def _getitem(op: Operation, i: int, rows: Rows, g: Array) -> Arrivals:
    x, key = op.values
    start = _start(key, x.shape)
    if start is None or start % rows.group:
        return None
    return [(rows.shifted(start), op.pull(i, g))]


def _placed(op: Operation, i: int, rows: Rows, g: Array, start: int, n: int) -> Arrivals:
    """An argument whose ``n`` rows are rows of the result from ``start`` on."""
    if start % rows.group or n % rows.group:
        return None
    some = rows.shifted(-start).within(n)
    return [(some, op.pull(i, g))] if some.lo < some.hi else []


@entry("set_at")
def _put(op: Operation, i: int, rows: Rows, g: Array) -> Arrivals:
    if type(op.kwargs["key"]) is Place:
        return None
    if i == 0:
        return _same(op, i, rows, g)
    key, value, ndim = op.kwargs["key"], op.values[1], op.answer[op.kwargs["key"]].ndim
    start = _start(key, op.answer.shape)
    if start is None or value.ndim != ndim or value.shape[0] != op.answer[key].shape[0]:
        return None
    return _placed(op, i, rows, g, start, value.shape[0])


@entry("scatter")
def _scatter(op: Operation, i: int, rows: Rows, g: Array) -> Arrivals:
    x, key = op.values[0], op.option("key")
    start = _start(key, op.answer.shape)
    return None if start is None else _placed(op, i, rows, g, start, x.shape[0])


@entry("concat")
def _concat(op: Operation, i: int, rows: Rows, g: Array) -> Arrivals:
    axis = op.kwargs.get("axis", 0)
    if axis is None:
        return None
    if axis % g.ndim:
        return _same(op, i, rows, g)
    return _placed(op, i, rows, g, sum(v.shape[0] for v in op.values[:i]), op.values[i].shape[0])


@entry("stack")
def _stack(op: Operation, i: int, rows: Rows, g: Array) -> Arrivals:
    if op.kwargs.get("axis", 0) % g.ndim:
        return _same(op, i, rows, g)
    if rows.group > 1:
        return None
    if not rows.lo <= i < rows.hi:
        return []
    some = Rows(rows.offset + rows.stride * i, 1, 1, 0, 1)
    return [(some, Each(lambda a, b: g[i : i + 1, ...]))]  # the whole argument is one row
