"""Functions as problems: the value and the derivatives of any function that nnx can differentiate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cached_property
from typing import Any

from nnx.autodiff import flatten, grad, jvp, value_and_grad
from nnx.backend import adapter_of, device_of, namespace
from nnx.errors import DerivativeError, ShapeError
from nnx.parameters import Layout

Array = Any


class Packed:
    """How a vector of weights is a function's argument, and back: pieces of a layout in a container.

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
    """The problem of making ``f(w)`` small, where ``f`` is any function that nnx can differentiate.

    ``counts`` says how many values, gradients, products with the Hessian ("hvp") and Hessians were computed.
    ``layout`` names the pieces of ``w``; with ``build`` the function takes what that makes of the list of
    pieces (a dict, say) instead of the vector. ``gradient``, ``hessian`` and ``hvp(x, v)``, where they are
    given, take the place of automatic differentiation; ``gradient=True`` says that ``f`` returns the pair of
    value and gradient.

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
        self._given = {"hessian": hessian, "hvp": hvp}
        if gradient is True:
            self.both = f
        elif gradient is None:
            self.both = value_and_grad(f)
        else:
            self.both = lambda x: (f(x), gradient(x))
        self.pair, self.own_gradient = gradient is True, gradient is None
        self.slope = gradient if callable(gradient) else grad(self.value_of)

    def value_of(self, x: Any) -> Array:
        """``f(x)`` alone."""
        return self.f(x)[0] if self.pair else self.f(x)

    def at(self, w: Array) -> FunctionPoint:
        return FunctionPoint(self, w)


class FunctionPoint:
    """:class:`FunctionProblem` at one ``w``."""

    def __init__(self, problem: FunctionProblem, w: Array) -> None:
        self.w = w
        self._problem = problem
        self._value: Array = None
        self._gradient: Array = None

    @cached_property
    def x(self) -> Any:
        """What the function takes."""
        return self._problem.packed.split(self.w)

    @property
    def value(self) -> Array:
        if self._value is None and self._problem.pair:
            self.gradient  # noqa: B018 (the function gives both: it is called once)
        elif self._value is None:
            self._keep(self._problem.value_of(self.x))
        return self._value

    @property
    def gradient(self) -> Array:
        if self._gradient is None:
            value, g = self._problem.both(self.x)
            self._gradient = as_vector(self._problem.packed.join(g, self.w), self.w, "The gradient")
            self._problem.counts["gradient"] += 1
            if self._value is None:
                self._keep(value)
        return self._gradient

    def hvp(self, v: Array) -> Array:
        """The product H·v of the Hessian with a vector."""
        problem = self._problem
        problem.counts["hvp"] += 1
        split, given = problem.packed.split, problem._given["hvp"]
        if given is not None:
            product = given(self.x, split(v))
        elif problem._given["hessian"] is not None:
            return self.hessian @ v
        else:
            product = self._slope_along(split(v))
        return as_vector(problem.packed.join(product, self.w), self.w, "The Hessian's product with a vector")

    def _slope_along(self, v: Any) -> Any:
        """The derivative of the gradient along ``v``."""
        try:
            return jvp(self._problem.slope, (self.x,), (v,))[1]
        except Exception as error:
            if self._problem.own_gradient:
                raise
            # it gave a gradient before: what fails is that it is differentiated
            raise DerivativeError(
                "The method needs products of the Hessian with vectors, and the given jac cannot be "
                "differentiated for them. Give hessp= (or hess=), leave jac out so that nnx differentiates "
                "the function, or take a method that needs gradients only ('bfgs', 'lbfgs', 'cg'). "
                f"What went wrong: {error}"
            ) from error

    @cached_property
    def hessian(self) -> Array:
        """The Hessian, n × n and symmetric, from n products with the unit vectors."""
        problem, xp, n = self._problem, namespace(self.w), self.w.shape[0]
        given = problem._given["hessian"]
        if given is not None:
            problem.counts["hessian"] += 1
            h = beside(self.w, given(self.x))
            if tuple(h.shape) != (n, n):
                raise ShapeError(f"hess must return an array of shape ({n}, {n}), got {tuple(h.shape)}.")
            return h
        eye = xp.eye(n, dtype=self.w.dtype, device=device_of(self.w))
        h = xp.stack([self.hvp(eye[i, :]) for i in range(n)])
        problem.counts["hvp"] -= n
        problem.counts["hessian"] += 1
        return 0.5 * (h + h.T)

    def _keep(self, value: Any) -> None:
        shape = tuple(getattr(value, "shape", ()))
        if shape != ():
            raise ShapeError(
                f"The function to be minimised must return one number, got an array of shape {shape}. "
                "Sum it, or take nnx.least_squares for a vector of residuals."
            )
        self._value = beside(self.w, value)
        self._problem.counts["value"] += 1


def beside(w: Array, x: Any) -> Array:
    """``x`` as an array of the library, type and device of ``w``, without a graph of the library's own."""
    return adapter_of(w).asarray(x, dtype=w.dtype, device=device_of(w))


def as_vector(g: Any, w: Array, what: str) -> Array:
    """``g`` as an array like the vector ``w``; :class:`nnx.errors.ShapeError` if its shape is another."""
    g = beside(w, g)
    if g.shape != w.shape:
        raise ShapeError(
            f"{what} must have shape {tuple(w.shape)}, like the variables; got {tuple(g.shape)}."
        )
    return g
