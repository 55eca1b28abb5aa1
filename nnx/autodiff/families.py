"""The families of derivative rules. A rule is declared once and serves both modes.

==============  ==================================================================================
Elementwise     y = f(x), entry by entry: one derivative f′; pushes t·f′, pulls g·f′
ElementwisePair y = f(x1, x2) with broadcasting: two partial derivatives
Reduction       y = f(x) over axes: ∂y/∂x as an array of x's shape
Linear          f is linear in its first argument: pushes f(t), pulls its transpose
JointlyLinear   f is linear in several arguments together (add, where, concat)
Bilinear        f is linear in each of two arguments (multiply, matmul)
==============  ==================================================================================

A function with a hand-written pullback has a rule of :mod:`nnx.autodiff.pullbacks`.

``pull(argnums, answer, values, kwargs)`` returns a function ``(xp, g)`` → cotangents of the arguments
``argnums``; it keeps alive only what it needs. ``push(xp, argnums, tangents, answer, values, kwargs)``
returns the tangent of the answer. ``xp`` in a pullback is the raw namespace, or the differentiable one if
an outer transform differentiates the pullback: so derivatives of derivatives need no further rule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Pull = Callable[..., Sequence[Any]]


def shape_of(x: Any) -> tuple[int, ...]:
    """The shape of an array or of a Python number."""
    return getattr(x, "shape", ())


def unbroadcast(xp: Any, g: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """The transpose of broadcasting: ``g`` summed over the axes along which its shape was broadcast."""
    if g.shape != shape:
        extra = len(g.shape) - len(shape)
        if extra:
            g = xp.sum(g, axis=tuple(range(extra)))
        stretched = tuple(i for i, n in enumerate(shape) if n == 1 and g.shape[i] != 1)
        if stretched:
            g = xp.sum(g, axis=stretched, keepdims=True)
    return g if dtype is None or g.dtype == dtype else cast(xp, g, dtype)


def unchanged(xp: Any, g: Any) -> Sequence[Any]:
    """The pullback of an operation of one argument, x + 1 say, that has the cotangent of its result."""
    return (g,)


def keeps_form(answer: Any, x: Any) -> bool:
    """Whether ``answer`` has the shape and data type of its argument ``x``: nothing was broadcast."""
    return answer.dtype is x.dtype and answer.shape == x.shape


def is_complex(xp: Any, x: Any) -> bool:
    """Whether ``x`` is a complex number or array."""
    return type(x) is complex or (hasattr(x, "dtype") and xp.isdtype(x.dtype, "complex floating"))


def cast(xp: Any, g: Any, dtype: Any) -> Any:
    """The cotangent ``g`` in a data type; for a real argument the real part of a complex cotangent.

    The cotangent z̄ of a complex z pairs with its tangent as Re(z̄·dz), without conjugation: so holomorphic
    functions have the rules of real ones.
    """
    if g.dtype == dtype:
        return g
    if xp.isdtype(g.dtype, "complex floating") and not xp.isdtype(dtype, "complex floating"):
        g = xp.real(g)
    return g if g.dtype == dtype else xp.astype(g, dtype)


def broadcast_like(xp: Any, t: Any, answer: Any) -> Any:
    """The tangent ``t`` broadcast to the answer's shape."""
    return t if shape_of(t) == answer.shape else xp.broadcast_to(t, answer.shape)


def normal_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """``axis`` of a reduction as a tuple of non-negative integers."""
    if axis is None or ndim == 0:  # NumPy allows axis 0 of a scalar
        return tuple(range(ndim))
    return tuple(a % ndim for a in (axis if isinstance(axis, tuple) else (axis,)))


def keep_dims(xp: Any, y: Any, shape: tuple[int, ...], axis: Any, keepdims: bool) -> Any:
    """A reduction's result so that it broadcasts against ``shape``: the reduced axes with length 1.

    The result of a reduction over all axes does so as it is.
    """
    if keepdims or axis is None or not shape:
        return y
    if isinstance(axis, int):
        axis %= len(shape)
        return xp.reshape(y, (*shape[:axis], 1, *shape[axis + 1 :]))
    axes = normal_axes(axis, len(shape))
    return xp.reshape(y, tuple(1 if i in axes else n for i, n in enumerate(shape)))


def along(axis: int, part: Any) -> tuple[Any, ...]:
    """The index that takes ``part`` of one axis and all of the others."""
    return (slice(None),) * axis + (part, ...)


class Rule:
    """Base of the families."""

    name: str

    #: How cotangents go on that the pullback computes into arrays given to it: see :mod:`nnx.autodiff.sums`.
    passes: Any = None
    #: Whether the pullback needs arguments that are not differentiated: until then they are locked.
    keeps = True
    #: Whether the function gives several arrays; ``result`` then makes its answer of them.
    several = False
    #: Whether it works entry by entry, with broadcasting: then a product with a slope is one of entries.
    entrywise = False

    def pull(self, argnums: Any, answer: Any, values: Any, kwargs: Any) -> Pull:
        raise NotImplementedError

    def push(self, xp: Any, argnums: Any, tangents: Any, answer: Any, values: Any, kwargs: Any) -> Any:
        raise NotImplementedError


class Elementwise(Rule):
    """y = f(x). The derivative is ``d(xp, x)``, or ``d(xp, y)`` if ``of_result``.

    If it ``divides``, ``d`` is 1/f′: dividing by that saves a pass over the array.
    """

    entrywise = True

    def __init__(
        self, name: str, d: Callable[..., Any], *, of_result: bool = False, divides: bool = False
    ) -> None:
        self.name, self.d, self.of_result, self.divides = name, d, of_result, divides

    def pull(self, argnums: Any, answer: Any, values: Any, kwargs: Any) -> Pull:
        d, saved = self.d, answer if self.of_result else values[0]
        if self.divides:
            return lambda xp, g: (g / d(xp, saved),)
        return lambda xp, g: (g * d(xp, saved),)

    def push(self, xp: Any, argnums: Any, tangents: Any, answer: Any, values: Any, kwargs: Any) -> Any:
        d = self.d(xp, answer if self.of_result else values[0])
        return tangents[0] / d if self.divides else tangents[0] * d


class ElementwisePair(Rule):
    """y = f(x1, x2) with broadcasting; the partial derivatives are ``d(xp, y, x1, x2)``."""

    entrywise = True

    def __init__(self, name: str, d1: Callable[..., Any], d2: Callable[..., Any]) -> None:
        self.name, self.d = name, (d1, d2)

    def pull(self, argnums: Any, answer: Any, values: Any, kwargs: Any) -> Pull:
        x1, x2 = values
        d = self.d
        if len(argnums) == 1 and type(values[1 - argnums[0]]) in (float, int):
            slope = d[argnums[0]]
            if keeps_form(answer, values[argnums[0]]):
                return lambda xp, g: (g * slope(xp, answer, x1, x2),)
        return lambda xp, g: [
            unbroadcast(xp, g * d[i](xp, answer, x1, x2), values[i].shape, values[i].dtype) for i in argnums
        ]

    def push(self, xp: Any, argnums: Any, tangents: Any, answer: Any, values: Any, kwargs: Any) -> Any:
        terms = [t * self.d[i](xp, answer, *values) for i, t in zip(argnums, tangents, strict=True)]
        return broadcast_like(xp, terms[0] if len(terms) == 1 else terms[0] + terms[1], answer)


class Reduction(Rule):
    """y = f(x, axis=, keepdims=); ``d(xp, x, y, axis, **options)`` is ∂y/∂x, with y's axes kept.

    ``axis`` arrives as given, and the derivative broadcasts against ``x``.
    """

    def __init__(self, name: str, d: Callable[..., Any]) -> None:
        self.name, self.d = name, d

    def pull(self, argnums: Any, answer: Any, values: Any, kwargs: Any) -> Pull:
        x = values[0]
        axis, keepdims, options = _split(kwargs)

        def pull(xp: Any, g: Any) -> tuple[Any]:
            y = keep_dims(xp, answer, x.shape, axis, keepdims)
            d = self.d(xp, x, y, axis, **options)
            return (cast(xp, keep_dims(xp, g, x.shape, axis, keepdims) * d, x.dtype),)

        return pull

    def push(self, xp: Any, argnums: Any, tangents: Any, answer: Any, values: Any, kwargs: Any) -> Any:
        x = values[0]
        axis, keepdims, options = _split(kwargs)
        d = self.d(xp, x, keep_dims(xp, answer, x.shape, axis, keepdims), axis, **options)
        return cast(xp, xp.sum(tangents[0] * d, axis=axis, keepdims=keepdims), answer.dtype)


def _split(kwargs: Any) -> tuple[Any, bool, dict[str, Any]]:
    options = dict(kwargs)
    return options.pop("axis", None), options.pop("keepdims", False), options


class Linear(Rule):
    """``apply(xp, x, *rest, **options)`` is linear in x; ``transpose(xp, g, x_shape, *rest, **options)``.

    The cotangent is cast back where the result has another data type than x.
    """

    def __init__(self, name: str, apply: Callable[..., Any], transpose: Callable[..., Any]) -> None:
        self.name, self.apply, self.transpose = name, apply, transpose

    def pull(self, argnums: Any, answer: Any, values: Any, kwargs: Any) -> Pull:
        shape, dtype, rest, transpose = values[0].shape, values[0].dtype, values[1:], self.transpose

        def pull(xp: Any, g: Any) -> tuple[Any]:
            c = transpose(xp, g, shape, *rest, **kwargs)
            return (c if c.dtype == dtype else cast(xp, c, dtype),)

        return pull

    def push(self, xp: Any, argnums: Any, tangents: Any, answer: Any, values: Any, kwargs: Any) -> Any:
        return self.apply(xp, tangents[0], *values[1:], **kwargs)


class JointlyLinear(Rule):
    """Linear in all of its differentiable arguments together.

    ``transpose(xp, g, i, shapes, values, **options)`` is the cotangent of argument i before
    unbroadcasting; ``values`` are those of the leading ``constants`` arguments, which are not
    differentiable. ``apply(xp, *args, **options)`` is the function itself.
    """

    def __init__(
        self, name: str, apply: Callable[..., Any], transpose: Callable[..., Any], constants: int = 0
    ) -> None:
        self.name, self.apply, self.transpose, self.constants = name, apply, transpose, constants
        self.keeps = constants > 0

    def pull(self, argnums: Any, answer: Any, values: Any, kwargs: Any) -> Pull:
        transpose, fixed = self.transpose, values[: self.constants]
        shapes = [getattr(v, "shape", ()) for v in values]
        if len(argnums) == 1:
            i = argnums[0]
            shape, dtype = shapes[i], values[i].dtype
            return lambda xp, g: (
                unbroadcast(xp, transpose(xp, g, i, shapes, fixed, **kwargs), shape, dtype),
            )
        dtypes = [values[i].dtype for i in argnums]
        return lambda xp, g: [
            unbroadcast(xp, transpose(xp, g, i, shapes, fixed, **kwargs), shapes[i], dtype)
            for i, dtype in zip(argnums, dtypes, strict=True)
        ]

    def push(self, xp: Any, argnums: Any, tangents: Any, answer: Any, values: Any, kwargs: Any) -> Any:
        args = list(values[: self.constants]) + [_zero(xp, v) for v in values[self.constants :]]
        for i, t in zip(argnums, tangents, strict=True):
            args[i] = t
        return broadcast_like(xp, self.apply(xp, *args, **kwargs), answer)


def _zero(xp: Any, x: Any) -> Any:
    return xp.zeros_like(x) if hasattr(x, "shape") else 0j if type(x) is complex else 0.0


class Bilinear(Rule):
    """``apply(xp, x1, x2, **options)`` is linear in each argument.

    ``transposes[i](xp, g, other, shape_i, **options)`` is the cotangent of argument i before unbroadcasting.
    """

    def __init__(
        self,
        name: str,
        apply: Callable[..., Any],
        *transposes: Callable[..., Any],
        entrywise: bool = False,
    ) -> None:
        self.name, self.apply, self.transposes, self.entrywise = name, apply, transposes, entrywise

    def pull(self, argnums: Any, answer: Any, values: Any, kwargs: Any) -> Pull:
        transposes = self.transposes
        if len(argnums) == 1:  # keeps only the other factor alive
            i = argnums[0]
            transpose, other, shape, dtype = transposes[i], values[1 - i], values[i].shape, values[i].dtype
            return lambda xp, g: (unbroadcast(xp, transpose(xp, g, other, shape, **kwargs), shape, dtype),)
        (one, two), (x1, x2) = transposes, values
        if x1 is x2 and one is two:  # x * x: the same product for both

            def pull(xp: Any, g: Any) -> tuple[Any, Any]:
                c = unbroadcast(xp, one(xp, g, x1, x1.shape, **kwargs), x1.shape, x1.dtype)
                return c, c

            return pull
        return lambda xp, g: (
            unbroadcast(xp, one(xp, g, x2, x1.shape, **kwargs), x1.shape, x1.dtype),
            unbroadcast(xp, two(xp, g, x1, x2.shape, **kwargs), x2.shape, x2.dtype),
        )

    def push(self, xp: Any, argnums: Any, tangents: Any, answer: Any, values: Any, kwargs: Any) -> Any:
        total = None
        for i, t in zip(argnums, tangents, strict=True):
            term = (
                self.apply(xp, t, values[1], **kwargs) if i == 0 else self.apply(xp, values[0], t, **kwargs)
            )
            total = term if total is None else total + term
        return broadcast_like(xp, total, answer)
