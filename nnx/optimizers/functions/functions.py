"""Functions as problems: the value and the derivatives of any function that nnx can differentiate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from nnx.autodiff import flatten, grad, jvp, value_and_grad
from nnx.backend import adapter_of, device_of, namespace
from nnx.errors import DerivativeError, ShapeError
from nnx.optimizers.problem import Point
from nnx.parameters import Layout

Array = Any


class Packed:
    """How a vector of weights becomes a function's argument, and back: pieces of a layout in a container.

    Without a ``layout`` the argument is the vector itself.
    """

    def __init__(self, layout: Layout | None = None, build: Callable[[list[Any]], Any] | None = None) -> None:
        self.layout = layout
        self.build = build

    def split(self, w: Array) -> Any:
        """The function's argument for the vector ``w``."""
        if self.layout is None or self.build is None:
            return w
        return self.build(self.layout.views(w))

    def join(self, tree: Any, w: Array) -> Array:
        """The vector, like ``w``, of an argument or of a derivative in its form."""
        if self.layout is None or self.build is None:
            return tree
        xp = namespace(w)
        return self.layout.pack([xp.astype(leaf, w.dtype, copy=False) for leaf in flatten(tree)[0]])


class FunctionProblem:
    """The problem of minimising ``f(w)``, where ``f`` is any function that nnx can differentiate.

    ``counts`` says how many values, gradients, products with the Hessian ("hvp") and Hessians were computed.
    ``layout`` names the pieces of ``w``; with ``build`` the function takes what that makes of the list of
    pieces (a dict, say) instead of the vector. ``gradient``, ``hessian`` and ``hvp(x, v)``, where they are
    given, replace automatic differentiation; ``gradient=True`` says that ``f`` returns the pair of value and
    gradient.

    >>> problem = nnx.optimizers.FunctionProblem(lambda w: np.sum(w * w))
    >>> point = problem.at(np.asarray([1.0, 2.0]))
    >>> point.gradient, float(point.value), dict(problem.counts)
    (array([2., 4.]), 5.0, {'gradient': 1, 'value': 1})
    """

    #: changes where the same weights no longer have the same cost
    version = 0

    def __init__(
        self,
        f: Callable[..., Any],
        layout: Layout | None = None,
        build: Callable[[list[Any]], Any] | None = None,
        *,
        gradient: Any = None,
        hessian: Any = None,
        hvp: Any = None,
    ) -> None:
        self.f = f
        self.layout = layout
        self.packed = Packed(layout, build)
        self.counts: Counter[str] = Counter()
        self._hessian, self._hvp = hessian, hvp
        self._returns_both, self._own_gradient = gradient is True, gradient is None
        #: whether the gradient is the user's, which may be wrong
        self.given_gradient = gradient is not None
        if gradient is True:
            self._both = f
        elif gradient is None:
            self._both = value_and_grad(f)
        else:
            self._both = lambda x: (f(x), gradient(x))
        self._slope = gradient if callable(gradient) else grad(lambda x: f(x)[0] if gradient else f(x))

    def at(self, w: Array) -> Point:
        return Point(self, w)

    # -- what a point asks for ------------------------------------------------------------------------

    def argument(self, w: Array) -> Any:
        return self.packed.split(w)

    def value(self, point: Point) -> Array | None:
        # a function that returns both is called once
        return None if self._returns_both else self._cost(self.f(point.x), point.w)

    def gradient(self, point: Point) -> Array | None:
        # without the function's value only where it is a function of its own
        if not self.given_gradient or self._returns_both:
            return None
        return as_vector(self.packed.join(self._slope(point.x), point.w), point.w, "The gradient")

    def value_and_gradient(self, point: Point) -> tuple[Array, Array]:
        value, g = self._both(point.x)
        g = as_vector(self.packed.join(g, point.w), point.w, "The gradient")
        return self._cost(value, point.w), g

    def hvp(self, point: Point, v: Array) -> Array:
        if self._hvp is not None:
            product = self._hvp(point.x, self.packed.split(v))
        elif self._hessian is not None:
            return point.hessian @ v
        else:
            product = self._slope_along(point.x, self.packed.split(v))
        return as_vector(self.packed.join(product, point.w), point.w, "The Hessian's product with a vector")

    def hessian(self, point: Point) -> Array | None:
        if self._hessian is None:
            return None
        h, n = as_array_like(point.w, self._hessian(point.x)), point.w.shape[0]
        if tuple(h.shape) != (n, n):
            raise ShapeError(f"hess must return an array of shape ({n}, {n}), got {tuple(h.shape)}.")
        return h

    # -- details --------------------------------------------------------------------------------------

    def _slope_along(self, x: Any, v: Any) -> Any:
        """The derivative of the gradient along ``v``."""
        try:
            return jvp(self._slope, (x,), (v,))[1]
        except Exception as error:
            if self._own_gradient:
                raise
            # it gave a gradient before: what fails is that it is differentiated
            raise DerivativeError(
                "The method needs products of the Hessian with vectors, and the given jac cannot be "
                "differentiated for them. Give hessp= (or hess=), leave jac out so that nnx differentiates "
                "the function, or take a method that needs gradients only ('bfgs', 'lbfgs', 'cg'). "
                f"What went wrong: {error}"
            ) from error

    def _cost(self, value: Any, w: Array) -> Array:
        shape = tuple(getattr(value, "shape", ()))
        if shape != ():
            raise ShapeError(
                f"The function to be minimised must return one number, got an array of shape {shape}. "
                "Sum it, or take nnx.least_squares for a vector of residuals."
            )
        return as_array_like(w, value)


def as_array_like(w: Array, x: Any) -> Array:
    """``x`` as an array of the library, type and device of ``w``, without a graph of the library's own."""
    return adapter_of(w).asarray(x, dtype=w.dtype, device=device_of(w))


def as_vector(g: Any, w: Array, what: str) -> Array:
    """``g`` as an array like the vector ``w``; :class:`nnx.errors.ShapeError` if its shape is another."""
    g = as_array_like(w, g)
    if g.shape != w.shape:
        raise ShapeError(
            f"{what} must have shape {tuple(w.shape)}, like the variables; got {tuple(g.shape)}."
        )
    return g
