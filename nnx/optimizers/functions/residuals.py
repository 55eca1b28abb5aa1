"""Vectors of residuals as problems: the cost ½‖r(w)‖², and what Gauss–Newton needs of it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

from nnx.autodiff import flatten, jvp, vjp, zeros_absorb
from nnx.autodiff.recording import jacobian_by_rows
from nnx.autodiff.tree import aligned
from nnx.backend import adapter_of, device_of, namespace
from nnx.errors import DataError, DtypeError, RecordingError, ShapeError
from nnx.jitting import Guarded, Kept, Watch, recording, summary
from nnx.optimizers.descent.box import Box
from nnx.optimizers.functions.contradiction import contradicted
from nnx.optimizers.functions.differences import Differences, cannot_be_traced, rounding
from nnx.optimizers.functions.functions import Packed, as_array_like, holds_complex, not_analytic
from nnx.optimizers.functions.mending import confirmed, mended
from nnx.optimizers.problem import Point, before_a_call
from nnx.parameters import Layout

Array = Any
_KEPT = Kept()


#: a run that may make fewer calls than this spends none on a check of the user's Jacobian
_SPARED = 20


class ResidualProblem:
    """The problem of minimising ½‖r(w)‖² for a function ``r`` that returns an array of residuals.

    Complex residuals count as their real parts followed by their imaginary parts, so that the cost is ½Σ|r|².
    ``counts`` says how many values and Jacobians, and products with them, were computed; calls for
    differences are not counted. ``layout`` and ``build`` as in :class:`nnx.optimizers.FunctionProblem`;
    ``jacobian(x)``, where it is given, returns ∂r/∂x, (m, n), or what :func:`nnx.jacobian` makes of ``r``; it
    may also be :class:`nnx.optimizers.functions.differences.Differences`. Mended derivatives (``mend``) call
    ``r`` within ``box`` only. Functions that are not traced get a copy of their argument. Raises
    :class:`nnx.errors.ShapeError`, :class:`nnx.errors.DtypeError` and :class:`nnx.errors.DataError` where one
    returns what fits nothing.

    >>> problem = nnx.optimizers.ResidualProblem(lambda w: w**2 - np.asarray([1.0, 4.0]))
    >>> point = problem.at(np.asarray([2.0, 1.0]))
    >>> float(point.value), point.jacobian, point.gradient
    (9.0, array([[4., 0.],
           [0., 2.]]), array([12., -6.]))
    """

    #: changes where the same weights no longer have the same cost
    version = 0

    def __init__(
        self,
        r: Callable[..., Any],
        layout: Layout | None = None,
        build: Callable[[list[Any]], Any] | None = None,
        *,
        jacobian: Callable[..., Any] | Differences | None = None,
        box: Box | None = None,
    ) -> None:
        self.r = r
        self.layout = layout
        self.packed = Packed(layout, build)
        self.counts: Counter[str] = Counter()
        self._jacobian, self._box = jacobian, box
        self._mixed = False  #: whether the function was found to mix its samples
        self._guarded = _KEPT.of((r, layout if layout is None else self), self._recordings)

    def at(self, w: Array) -> Point:
        """The :class:`Point` at ``w``, a vector."""
        return Point(self, w)

    # -- what a point asks for ------------------------------------------------------------------------

    def argument(self, w: Array) -> Any:
        """``w``, a vector, in the form that the functions take."""
        return self.packed.split(w)

    def residual(self, point: Point) -> Array:
        """r(w), a vector (m,)."""
        returned = point.aux["returned"] = self.r(self.packed.copied(point.w))
        return _vector(returned, point.w)

    def jacobian(self, point: Point) -> Array:
        """All rows in one pass back, where each residual belongs to one sample.

        Otherwise row by row in reverse mode, or by columns in forward mode if these are half as many.
        """
        w, given = point.w, self._jacobian
        if isinstance(given, Differences):
            return given.columns(self._called(point), w, point.residual, self._rounding(point))
        if given is not None:
            return _matrix(given(self.packed.copied(w)), point, (point.residual.shape[0], w.shape[0]))
        if point.aux.get("absorbs"):
            return self._all_rows(point)
        return self._guarded["Jacobian"](w, point.residual)

    def blocks(self, point: Point, memory_limit: float) -> Iterator[tuple[Array, Array]] | None:
        """None where the limit holds all rows, or where they are given; else some at a time.

        That is ``memory_limit`` / (bytes of a row) of them; all in one pass back, or each in one of its own.
        """
        xp, w = namespace(point.w), point.w
        m, n = point.residual.shape[0], w.shape[0]
        size = max(1, int(memory_limit / (n * (xp.finfo(w.dtype).bits // 8))))
        if size >= m or self._jacobian is not None:
            return None
        return self._rows(point, m, size)

    def jvp(self, point: Point, v: Array) -> Array:
        """The product J·v, a vector (m,)."""
        given = self._jacobian
        if given is None and point.aux.get("absorbs"):
            return self._pushed(point, v)
        if given is None:
            return self._guarded["product with the Jacobian"](point.w, v)
        if isinstance(given, Differences) and given.box is None and not point.knows("jacobian"):
            return given.along(self._called(point), point.w, v, point.residual, self._rounding(point))
        return point.jacobian @ v

    def vjp(self, point: Point, u: Array) -> Array:
        """The product Jᵀ·u, a vector (n,)."""
        if self._jacobian is not None:
            return u @ point.jacobian
        if point.aux.get("absorbs"):
            return self._pullback(point)(u)
        return self._guarded["product with its transpose"](point.w, u)

    def mend(self, point: Point) -> dict[str, Array] | None:
        """Finite derivatives where the automatic ones are not: see :func:`mended`."""
        if self._jacobian is not None:
            return None
        point.aux["absorbs"] = True
        w, r, call, eps = point.w, point.residual, self._called(point), self._rounding(point)
        if point.knows("jacobian"):
            found = mended(call, w, r, point.jacobian, self._row_by_row(point), eps, self._box)
            return None if found is None else {"jacobian": found}
        good = confirmed(
            call,
            w,
            r,
            lambda v: self._pushed(point, v),
            lambda v: abs(self._pushed(point, v)),
            eps,
            self._box,
        )
        point.aux["absorbs"] = good  # from now on products are those of the mended derivatives
        return {} if good else None

    def contradiction(self, point: Point) -> str:
        """In words, that a Jacobian that the user gave contradicts the residuals; "" where it does not.

        That takes one call of them, or three. It is left out where few calls are left.
        """
        unlimited = getattr(self.counts, "left", math.inf) >= _SPARED
        if self._jacobian is None or isinstance(self._jacobian, Differences) or not unlimited:
            return ""
        call = self._called(point)

        def counted(w: Array) -> Array:
            before_a_call(self.counts)
            self.counts["value"] += 1
            return call(w)

        return contradicted(
            counted, point.w, point.residual, point.jacobian, self._rounding(point), self._box
        )

    @property
    def recorded(self) -> str:
        """What is recorded, in words, and why something is not."""
        return summary(self._guarded)

    # -- details ------------------------------------------------------------------------------------

    def _recordings(self) -> dict[str, Guarded]:
        watch = Watch(self.r)
        return {
            "Jacobian": Guarded(lambda w, r: self._all_rows(Point(self, w, {"residual": r})), watch),
            "product with the Jacobian": Guarded(lambda w, v: self._pushed(Point(self, w), v), watch),
            "product with its transpose": Guarded(lambda w, u: self._pullback(Point(self, w))(u), watch),
        }

    def _all_rows(self, point: Point) -> Array:
        rows = self._by_rows(point)
        return self._row_by_row(point) if rows is None else rows(0, point.residual.shape[0])

    def _called(self, point: Point) -> Callable[[Array], Array]:
        """The residuals at a vector that they may write into, which may be complex ("cs")."""
        _ = point.residual
        complex_step = isinstance(self._jacobian, Differences) and self._jacobian.scheme == "cs"
        if complex_step and any(map(holds_complex, flatten(point.aux["returned"])[0])):
            raise DtypeError(
                "jac='cs' needs residuals that are real where x is, got complex ones. Take '3-point'."
            )
        return lambda w: _vector(self.r(self.packed.split(w)), w)

    def _rounding(self, point: Point) -> float:
        _ = point.residual
        return rounding(point.w, point.aux["returned"])

    def _row_by_row(self, point: Point) -> Array:
        w, xp = point.w, namespace(point.w)
        m, n = point.residual.shape[0], w.shape[0]
        if 2 * n <= m:  # a row costs half a column, which computes the function anew
            eye = xp.eye(n, dtype=w.dtype, device=device_of(w))
            return xp.stack([self._pushed(point, eye[i, :]) for i in range(n)], axis=1)
        pullback = self._pullback(point)
        eye = xp.eye(m, dtype=w.dtype, device=device_of(w))
        return xp.stack([pullback(eye[i, :]) for i in range(m)])

    def _rows(self, point: Point, m: int, size: int) -> Iterator[tuple[Array, Array]]:
        xp, w = namespace(point.w), point.w
        if (some := self._by_rows(point)) is not None:
            for start in range(0, m, size):
                stop = min(start + size, m)
                yield some(start, stop), point.residual[start:stop]
            return
        pullback = self._pullback(point)
        for start in range(0, m, size):
            stop = min(start + size, m)
            units = xp.eye(stop - start, m, k=start, dtype=w.dtype, device=device_of(w))
            rows = [pullback(units[i, :]) for i in range(stop - start)]
            yield xp.stack(rows), point.residual[start:stop]

    def _pushed(self, point: Point, v: Array) -> Array:
        directions = (self.packed.split(v),)
        return _vector(self._traced(point, lambda: jvp(self._flat, (point.x,), directions))[1], point.w)

    def _by_rows(self, point: Point) -> Callable[[int, int], Array] | None:
        """The function that gives the rows from start to stop; None, from then on, where they are mixed.

        None at a point where 0·∞ is to be 0, too.
        """
        if point.aux.get("absorbs"):
            return None
        found = None if self._mixed else jacobian_by_rows(self.r, point.x)
        if found is None and recording() and not self._mixed:
            raise RecordingError("The rows of the Jacobian come in another way when they are recorded.")
        self._mixed = found is None
        if found is None:
            return None
        w, xp = point.w, namespace(point.w)

        def rows(start: int, stop: int) -> Array:
            blocks = [as_array_like(w, g) for g in found.rows(start, stop)]
            return xp.concat([xp.reshape(g, (stop - start, -1)) for g in blocks], axis=1)

        return rows

    def _pullback(self, point: Point) -> Callable[[Array], Array]:
        _, pullback = self._traced(point, lambda: vjp(self._flat, point.x))
        return lambda u: as_array_like(point.w, self.packed.join(pullback(u)[0], point.w))

    def _traced(self, point: Point, call: Callable[[], Any]) -> Any:
        try:
            with zeros_absorb() if point.aux.get("absorbs") else nullcontext():
                return call()
        except MemoryError:
            raise
        except Exception as error:
            raise cannot_be_traced(error, lambda: self.residual(point)) from error

    def _flat(self, x: Any) -> Array:
        leaves = flatten(self.r(x))[0]
        xp = namespace(*leaves)
        return xp.concat([part for leaf in leaves for part in _real_parts(leaf)])


def _real_parts(leaf: Array) -> list[Array]:
    """The entries of an array as vectors of real numbers: of a complex one, its real and imaginary parts."""
    xp = namespace(leaf)
    leaf = xp.reshape(leaf, (-1,))
    return [xp.real(leaf), xp.imag(leaf)] if holds_complex(leaf) else [leaf]


def _matrix(given: Any, point: Point, shape: tuple[int, int]) -> Array:
    """What ``jac`` returned, as one array: it is that, or a block for each array of r and each of x.

    A copy: the function may return the same array again.
    """
    w = point.w
    xp = namespace(w)
    plain = all(isinstance(leaf, int | float) for leaf in flatten(given)[0])  # a list of lists of numbers
    if tuple(getattr(given, "shape", ())) == shape or (plain and not isinstance(given, dict)):
        return _checked(as_array_like(w, given), shape)
    outs, build = flatten(point.aux["returned"])
    blocks = iter(aligned(given, build([point.x] * len(outs)), "What jac returned"))
    rows = []
    for leaf in outs:
        out, row = tuple(getattr(leaf, "shape", ())), []
        for x in flatten(point.x)[0]:
            block = next(blocks)
            if tuple(block.shape) != (*out, *x.shape):
                raise ShapeError(
                    f"jac must return an array of shape {shape}, or for residuals of shape {out} "
                    f"and variables of shape {tuple(x.shape)} one of shape {(*out, *x.shape)}; got "
                    f"{tuple(block.shape)}."
                )
            row.append(namespace(block).reshape(block, (math.prod(out), math.prod(x.shape))))
        parts = _parts_of_rows(row, holds_complex(leaf))
        rows += [xp.concat([as_array_like(w, block) for block in part], axis=1) for part in parts]
    return xp.concat(rows)


def _parts_of_rows(blocks: list[Array], split: bool) -> list[list[Array]]:
    """The rows of real residuals; of complex ones those of real parts, then those of imaginary parts."""
    if not split:
        return [blocks]
    whole = [b if holds_complex(b) else b + 0j for b in blocks]
    return [[namespace(b).real(b) for b in whole], [namespace(b).imag(b) for b in whole]]


def _checked(matrix: Array, shape: tuple[int, int]) -> Array:
    xp = namespace(matrix)
    if math.prod(matrix.shape) == math.prod(shape) == 1:
        matrix = xp.reshape(matrix, shape)
    if tuple(matrix.shape) != shape:
        raise ShapeError(f"jac must return an array of shape {shape}, got {tuple(matrix.shape)}.")
    return xp.asarray(matrix, copy=True)


def _vector(r: Any, w: Array) -> Array:
    """An array, or a container of them, as one vector like ``w``; complex ones in parts unless ``w`` is."""
    xp, complex_wanted = namespace(w), holds_complex(w)
    numbers = isinstance(r, list | tuple) and r and all(isinstance(v, int | float) for v in r)
    leaves = [list(r)] if numbers else flatten(r)[0]
    if complex_wanted and not any(map(holds_complex, leaves)):
        raise not_analytic("The function of the residuals")
    parts = []
    for leaf in leaves:
        if complex_wanted or not holds_complex(leaf):
            parts.append(xp.reshape(as_array_like(w, leaf), (-1,)))
        else:
            both = _real_parts(adapter_of(w).asarray(leaf, device=device_of(w)))
            parts += [as_array_like(w, part) for part in both]
    vector = xp.concat(parts)
    if not vector.shape[0]:
        raise DataError("The function of the residuals returned none: there is nothing to minimise.")
    return vector
