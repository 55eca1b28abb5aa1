"""Derivatives of solutions: the implicit function theorem."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from nnx.autodiff.array import Traced, is_traced, raw
from nnx.autodiff.boundary import one_array
from nnx.autodiff.fused import fused
from nnx.autodiff.modes import gradient_of, jacobian_of, pull_back
from nnx.autodiff.tree import flatten
from nnx.errors import DerivativeError, ShapeError


def implicit(
    bare: None = None,
    /,
    *,
    root: Callable[..., Any] | None = None,
    fixed_point: Callable[..., Any] | None = None,
    minimum: Callable[..., Any] | None = None,
    solve: Callable[..., Any] | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator for a solver ``solver(*args)`` → x: differentiates what x satisfies, not the solver's steps.

    The condition is one of ``root(x, *args)`` = 0, ``fixed_point(x, *args)`` = x, or ``minimum(x, *args)``,
    a real number that x minimizes. Written as g(x, θ) = 0 (g is the gradient of ``minimum``),

        dx/dθ = −(∂g/∂x)⁻¹ ∂g/∂θ,

    so the pullback solves one linear system with (∂g/∂x)ᵀ, and derivatives of any order follow from that.
    The solver runs on plain arrays and may be any code. The n × n matrix ∂g/∂x is formed, where n is the size
    of x; for large n give ``solve(multiply, b)``, which returns the y with ``multiply(y)`` = b for the linear
    map ``multiply`` (conjugate gradients, GMRES, …). The derivative is as exact as the solution is.

    The arguments are positional: arrays or nested containers of them. The solution is one array.

    Raises :class:`nnx.errors.DerivativeError` unless exactly one condition is given and the solution is one
    array, and :class:`nnx.errors.ShapeError` if the condition does not have its shape.

    Source: A. Griewank, A. Walther, *Evaluating Derivatives*, SIAM 2008, chapter 15; S. Bai et al.,
    "Deep equilibrium models", NeurIPS 2019.

    >>> @nnx.implicit(root=lambda x, a: x * x - a)
    ... def square_root(a):
    ...     x = a
    ...     for _ in range(30):
    ...         x = 0.5 * (x + a / x)
    ...     return x
    >>> round(float(nnx.grad(square_root)(4.0)), 6), round(float(nnx.grad(nnx.grad(square_root))(4.0)), 6)
    (0.25, -0.03125)
    """
    if bare is not None:
        raise DerivativeError(
            "nnx.implicit was used without a condition: write @nnx.implicit(root=...), or fixed_point=, or "
            "minimum=."
        )
    conditions = [c for c in (root, fixed_point, minimum) if c is not None]
    if len(conditions) != 1:
        raise DerivativeError("nnx.implicit takes exactly one of root=, fixed_point= and minimum=.")
    if root is not None:
        condition = root
    elif fixed_point is not None:
        condition = lambda x, *args: fixed_point(x, *args) - x  # noqa: E731
    else:
        condition = gradient_of("implicit with minimum=", minimum)  # type: ignore[arg-type]

    def wrap(solver: Callable[..., Any]) -> Callable[..., Any]:
        name = getattr(solver, "__name__", "the solver")

        @wraps(solver)
        def solution(*args: Any, **options: Any) -> Any:
            if options:
                raise DerivativeError(
                    f"{name}, which nnx.implicit differentiates, takes its arguments by position, as its "
                    f"condition does after x: got {', '.join(options)} by name."
                )
            leaves, build = flatten(args)
            places = [i for i, leaf in enumerate(leaves) if type(leaf) is Traced]

            def full(arrays: Any) -> Any:
                new = list(leaves)
                for i, x in zip(places, arrays, strict=True):
                    new[i] = x
                return build(new)

            def reverse(xp: Any, g: Any, needs: Any, x: Any, *arrays: Any) -> Any:
                u = _adjoint(xp, lambda z: condition(z, *full(arrays)), x, g, solve)
                return pull_back("implicit", lambda *a: condition(x, *full(a)), arrays)[1](-u)

            @fused(reverse=reverse)
            def solved(*arrays: Any) -> Any:
                return one_array(f"{name}, which nnx.implicit differentiates,", solver(*full(arrays)))

            x = solved(*[leaves[i] for i in places])
            residual = condition(raw(x), *build([raw(leaf) for leaf in leaves]))
            if is_traced(flatten(residual)[0]):
                raise DerivativeError(
                    "The condition of nnx.implicit uses an array of its closure that is differentiated: "
                    "make it an argument, for the gradient flows through arguments only."
                )
            return x

        return solution

    return wrap


def _adjoint(xp: Any, residual: Callable[..., Any], x: Any, g: Any, solve: Any) -> Any:
    """The u with (∂g/∂x)ᵀu = ḡ, in the shape of x."""
    value, pullback = pull_back("implicit", residual, (x,))
    if not hasattr(value, "shape") or tuple(value.shape) != tuple(x.shape):
        raise ShapeError(
            f"The condition of nnx.implicit must have the shape of the solution, {tuple(x.shape)}, got "
            f"{tuple(value.shape) if hasattr(value, 'shape') else type(value).__name__}."
        )
    if solve is not None:
        return xp.reshape(solve(lambda u: pullback(u)[0], g), x.shape)
    n = xp.element_count(x.shape)
    if n == 1:
        return g / xp.reshape(pullback(xp.ones_like(x))[0], x.shape)
    matrix = xp.reshape(jacobian_of("implicit", residual)(x), (n, n))
    return xp.reshape(xp.linalg.solve(xp.matrix_transpose(matrix), xp.reshape(g, (n, 1))), x.shape)
