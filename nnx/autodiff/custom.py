"""User-defined derivatives: of a function, and of a foreign ufunc."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from nnx.autodiff.array import Traced, is_traced
from nnx.autodiff.boundary import one_array, unwritable
from nnx.autodiff.families import broadcast_like, shape_of
from nnx.autodiff.fused import FusedFunction, fused
from nnx.autodiff.numpy_api import FOREIGN, FUNCTIONS
from nnx.autodiff.numpy_api.names import CONSTANTS, UFUNCS
from nnx.autodiff.numpy_api.protocol import name_of
from nnx.autodiff.numpy_api.table import array
from nnx.autodiff.pullbacks import Fused, transposed
from nnx.autodiff.space import space_of, space_over
from nnx.autodiff.tree import flatten
from nnx.errors import DerivativeError


class _Custom(Fused):
    """A rule with a hand-written tangent, whose transpose is the pullback unless ``reverse`` is given."""

    def __init__(self, name: str, forward: Callable[..., Any], reverse: Callable[..., Any] | None) -> None:
        super().__init__(name, reverse)  # type: ignore[arg-type]
        self.forward = forward

    def push(self, xp: Any, argnums: Any, tangents: Any, answer: Any, values: Any, kwargs: Any) -> Any:
        given = dict(zip(argnums, tangents, strict=True))
        directions = [given.get(i) for i in range(len(values))]
        tangent = self.forward(xp, directions, answer, *values, **kwargs)
        _check_fit(f"forward= of {self.name}: the tangent", tangent, answer)
        return broadcast_like(xp, tangent, answer)

    def pull(self, argnums: Any, answer: Any, values: Any, kwargs: Any) -> Any:
        if self.reverse is not None:
            return super().pull(argnums, answer, values, kwargs)

        def pull(xp: Any, g: Any, places: Any = None) -> list[Any]:
            space = space_over(xp.adapter)

            def forward(directions: Any) -> list[Any]:
                return [self.push(space, argnums, directions, answer, values, kwargs)]

            return transposed(space, forward, [g], [values[i] for i in argnums])

        return pull


def custom_derivative(
    bare: None = None,
    /,
    *,
    derivative: Callable[..., Any] | None = None,
    forward: Callable[..., Any] | None = None,
    reverse: Callable[..., Any] | None = None,
) -> Callable[[Callable[..., Any]], FusedFunction]:
    """A decorator that gives a function a derivative that you write: for stability, speed or foreign code.

    The function is called with plain arrays (array arguments are positional, options keywords) and may do
    anything: call compiled code, write into its own arrays, iterate. It returns one array. Its derivative is
    one of

    - ``derivative(xp, x, y, **options)``: f′(x), in x's shape, of an elementwise function ``y = f(x)``;
    - ``forward(xp, directions, y, *args, **options)``: the tangent of y, ẏ = Σᵢ ∂y/∂xᵢ · vᵢ, linear in
      ``directions``, the vᵢ: one for each argument, None for an argument that is not differentiated;
    - ``reverse(xp, g, needs, y, *args, **options)``: the cotangents x̄ᵢ = gᵀ · ∂y/∂xᵢ in a tuple, one of each
      argument's shape from ``g`` of y's (None where ``needs[i]`` is false).

    ``forward`` and ``reverse`` may both be given; where one is missing it is the transpose of the other.
    Write them in functions of ``xp`` and operators, then derivatives of every order follow; call the function
    itself (or others with a derivative) for what ``xp`` lacks.

    Raises ``TypeError`` for any other combination of rules, :class:`nnx.errors.DerivativeError` where the
    result of a rule does not fit the arguments or the result, or where an array that is differentiated is
    passed by name or in a container, and ``ValueError`` (read-only) where the function writes into its
    arguments.

    >>> @nnx.custom_derivative(forward=lambda xp, d, y, x: d[0] * xp.cos(x))
    ... def sine(x):
    ...     return np.sin(x)
    >>> float(nnx.grad(nnx.grad(sine))(1.0)) == float(-np.sin(1.0))
    True
    >>> def distance_back(xp, g, needs, y, a, b):  # y = |a − b|, ∂y/∂a = (a − b) / y = −∂y/∂b
    ...     u = g * (a - b) / y
    ...     return u if needs[0] else None, -u if needs[1] else None
    >>> @nnx.custom_derivative(reverse=distance_back)
    ... def distance(a, b):
    ...     return np.linalg.norm(a - b)
    >>> nnx.grad(distance, argnums=1)(np.asarray([3.0, 4.0]), np.zeros(2))
    array([-0.6, -0.8])

    Source of the transposition: A. Radul, A. Paszke, R. Frostig, M. J. Johnson, D. Maclaurin, "You only
    linearize once: tangents transpose to gradients", Proc. ACM Program. Lang. 7 (POPL 2023) article 43.
    """
    if bare is not None:
        raise DerivativeError(
            "nnx.custom_derivative was used without a rule: write @nnx.custom_derivative(derivative=...), or "
            "forward=, or reverse=."
        )
    if (derivative is None) == (forward is None and reverse is None):
        raise TypeError("custom_derivative takes derivative= alone, or forward= and reverse= (one or both).")

    def wrap(function: Callable[..., Any]) -> FusedFunction:
        name = getattr(function, "__name__", "the function")

        @wraps(function)
        def plain(*args: Any, **options: Any) -> Any:
            _only_arrays(name, args, options)
            with unwritable(args):
                y = function(*args, **options)
            return one_array(f"{name}, which has a rule of nnx.custom_derivative,", y)

        back = None if reverse is None else _checked(name, reverse)
        slope = None if derivative is None else _checked_slope(name, derivative)
        if forward is None:
            return fused(derivative=slope, reverse=back)(plain)
        return FusedFunction(plain, _Custom(name, forward, back))

    return wrap


def _only_arrays(name: str, args: Any, options: Any) -> None:
    """Raises an error if an array that is differentiated is in a keyword or a container."""
    for place, x in [*enumerate(args), *options.items()]:
        if any(map(is_traced, flatten(x)[0])):
            where = f"{place}=" if type(place) is str else f"argument {place}, a {type(x).__name__},"
            raise DerivativeError(
                f"{name} has a rule of nnx.custom_derivative, so arrays that are differentiated must be its "
                f"arguments, each given by position: {where} holds one."
            )


def _check_fit(what: str, x: Any, y: Any) -> None:
    """Raises an error unless ``x`` is an array or a number that broadcasts to the shape of ``y``."""
    shape, wanted = tuple(shape_of(x)), tuple(y.shape)
    number = hasattr(x, "dtype") or isinstance(x, int | float | complex)
    ends = zip(reversed(shape), reversed(wanted), strict=False)
    if not number or len(shape) > len(wanted) or any(n not in (1, m) for n, m in ends):
        raise DerivativeError(
            f"{what} must have the shape of the result, {wanted}, got "
            f"{shape if hasattr(x, 'shape') else type(x).__name__}."
        )


def _checked_slope(name: str, derivative: Callable[..., Any]) -> Callable[..., Any]:
    """``derivative`` with a check that its result fits the function's."""

    def checked(xp: Any, x: Any, y: Any, **options: Any) -> Any:
        slope = derivative(xp, x, y, **options)
        _check_fit(f"derivative= of {name}: dy/dx", slope, y)
        return slope

    return checked


def _checked(name: str, reverse: Callable[..., Any]) -> Callable[..., Any]:
    """``reverse`` with a check that there is one cotangent for each argument, of its shape."""

    def checked(xp: Any, g: Any, needs: Any, y: Any, *args: Any, **options: Any) -> Any:
        cotangents = reverse(xp, g, needs, y, *args, **options)
        if not isinstance(cotangents, tuple | list) or len(cotangents) != len(args):
            raise DerivativeError(
                f"reverse= of {name} must return a tuple of one cotangent for each of {len(args)} arguments "
                f"(None where needs[i] is false), got {type(cotangents).__name__}"
                f"{f' of {len(cotangents)}' if isinstance(cotangents, tuple | list) else ''}."
            )
        for i, (c, x, needed) in enumerate(zip(cotangents, args, needs, strict=True)):
            found, wanted = getattr(c, "shape", None), getattr(x, "shape", ())
            if needed is not False and (found is None or tuple(found) != tuple(wanted)):
                raise DerivativeError(
                    f"reverse= of {name}: the cotangent of argument {i} must have its shape, "
                    f"{tuple(wanted)}, got {type(c).__name__ if found is None else tuple(found)}."
                )
        return cotangents

    return checked


def register_ufunc(
    ufunc: Any,
    *,
    derivative: Callable[..., Any] | None = None,
    forward: Callable[..., Any] | None = None,
    reverse: Callable[..., Any] | None = None,
) -> None:
    """Teaches nnx the derivative of a NumPy ufunc that it does not know; returns nothing.

    From then on the ufunc (made by ``np.frompyfunc`` or ``numba.vectorize``, or by another library) can be
    called on arrays that are being differentiated. The rules are those of :func:`custom_derivative`.

    Raises :class:`nnx.errors.DerivativeError` for anything but a ufunc with one result, and for a ufunc that
    nnx already has a rule for.

    >>> cube = np.frompyfunc(lambda x: x**3, 1, 1)
    >>> nnx.register_ufunc(cube, derivative=lambda xp, x, y: 3.0 * x * x)
    >>> float(nnx.grad(lambda x: cube(x))(2.0))
    12.0
    """
    if getattr(ufunc, "nout", None) != 1 or not hasattr(ufunc, "nin"):
        raise DerivativeError(f"register_ufunc takes a NumPy ufunc with one result, got {ufunc!r}.")
    if (name := name_of(ufunc)) in UFUNCS or name in FUNCTIONS or name in CONSTANTS:
        raise DerivativeError(f"register_ufunc: nnx knows {ufunc!r} already; its rule cannot be replaced.")

    def plain(*args: Any) -> Any:
        y = ufunc(*args)
        # np.frompyfunc gives object arrays, and Python's numbers for those without dimensions.
        x = next(a for a in args if hasattr(a, "dtype"))
        if not hasattr(y, "dtype"):
            return space_of(x).base.asarray(y, dtype=x.dtype)
        return y.astype(x.dtype) if str(y.dtype) == "object" else y

    plain.__name__ = ufunc.__name__
    wrapped = custom_derivative(derivative=derivative, forward=forward, reverse=reverse)(plain)

    def call(*args: Any) -> Any:
        if len({x.shape for x in args if hasattr(x, "shape")}) > 1:  # broadcasting has a rule of its own
            space = next(x.space for x in args if type(x) is Traced)
            args = tuple(space.broadcast_arrays(*[array(space, x) for x in args]))
        return wrapped(*args)

    FOREIGN[ufunc] = call
