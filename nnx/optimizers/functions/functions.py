"""Functions as problems: the value and the derivatives of any function that nnx can differentiate."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

from nnx.autodiff import Traced, flatten, grad, jvp, value_and_grad, zeros_absorb
from nnx.backend import adapter_of, device_of, namespace
from nnx.errors import DerivativeError, DtypeError, OptionError, ShapeError
from nnx.jitting import Guarded, Kept, Watch, summary
from nnx.optimizers.descent.box import Box
from nnx.optimizers.functions.differences import Differences, cannot_be_traced, rounding
from nnx.optimizers.functions.mending import mended
from nnx.optimizers.problem import Point, before_a_call
from nnx.parameters import Layout

Array = Any
_KEPT = Kept()


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

    def copied(self, w: Array) -> Any:
        """The same for a copy of ``w``, which the function may write into."""
        return self.split(namespace(w).asarray(w, copy=True))

    def join(self, tree: Any, w: Array) -> Array:
        """The vector, like ``w``, of an argument or of a derivative in its form."""
        if self.layout is None or self.build is None:
            return tree
        leaves = [as_array_like(w, leaf) for leaf in flatten(tree)[0]]
        if len(self.layout.shapes) == len(leaves) == math.prod(w.shape) == 1:
            return namespace(w).reshape(leaves[0], (1,))  # one number in any shape
        return self.layout.pack(leaves)


class FunctionProblem:
    """The problem of minimising ``f(w)``, where ``f`` is any function of a vector that returns one number.

    Its derivatives are automatic, unless others are given: ``gradient``, ``hessian`` and ``hvp(x, v)`` are
    functions, or (the first two) :class:`nnx.optimizers.functions.differences.Differences`; ``gradient=True``
    says that ``f`` returns the pair of value and gradient. A given gradient that cannot be differentiated is
    differenced ("2-point") where products with the Hessian are needed. Mended derivatives (``mend``) call
    ``f`` within ``box`` only. Functions that are not traced get a copy of their argument. Raises
    :class:`nnx.errors.ShapeError` and :class:`nnx.errors.DtypeError` where one returns another shape or type,
    :class:`nnx.errors.OptionError` where a derivative that is needed cannot be had.

    ``counts`` says how many values, gradients, products with the Hessian ("hvp") and Hessians were computed,
    those for differences included. ``layout`` names the pieces of ``w``; with ``build`` the function takes
    what that makes of the list of pieces (a dict, say) instead of the vector.

    >>> problem = nnx.optimizers.FunctionProblem(lambda w: np.sum(w * w))
    >>> point = problem.at(np.asarray([1.0, 2.0]))
    >>> point.gradient, float(point.value), dict(problem.counts)
    (array([2., 4.]), 5.0, {'value': 1, 'gradient': 1})
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
        box: Box | None = None,
    ) -> None:
        self.f = f
        self.layout = layout
        self.packed = Packed(layout, build)
        self.counts: Counter[str] = Counter()
        self._gradient, self._hvp, self._box = gradient, hvp, box
        #: whether the gradient is the user's, which may be wrong
        self.given_gradient = gradient is not None and not isinstance(gradient, Differences)
        self._hessian = None if isinstance(hessian, Differences) else hessian
        self._differences = hessian if isinstance(hessian, Differences) else None
        self._both = value_and_grad(lambda x: _one_number(f(x)))
        if callable(gradient):
            self._slope = gradient
        else:
            self._slope = grad(lambda x: _one_number(f(x)[0] if gradient is True else f(x)))
        # the gradient's kind is a part of what is the same, a layout never is
        known = (f, gradient if callable(gradient) else type(gradient), layout if layout is None else self)
        self._guarded = _KEPT.of(known, self._recordings)

    def at(self, w: Array) -> Point:
        """The :class:`Point` at ``w``, a vector."""
        return Point(self, w)

    # -- what a point asks for ------------------------------------------------------------------------

    def argument(self, w: Array) -> Any:
        """``w``, a vector, in the form that the functions take."""
        return self.packed.split(w)

    def value(self, point: Point) -> Array | None:
        # A function that returns both is called once; so is one whose calls are limited and that is
        # differentiated, which would take another call.
        """f(w), an array of shape ()."""
        if self._gradient is True or (self._gradient is None and getattr(self.counts, "scarce", False)):
            return None
        returned = point.aux["returned"] = self.f(self.packed.copied(point.w))
        return self._cost(returned, point.w)

    def gradient(self, point: Point) -> Array | None:
        """The gradient that is given, or by differences; None: it comes with the value."""
        w, given = point.w, self._gradient
        if isinstance(given, Differences):
            value = point.value
            return given.columns(self._cost_at, w, value, rounding(w, point.aux["returned"]))
        return self._as_gradient(given(self.packed.copied(w)), w) if callable(given) else None

    def value_and_gradient(self, point: Point) -> tuple[Array, Array]:
        """``(f(w), ∇f(w))``: a number, an array of shape (), and a vector."""
        w = point.w
        if self._gradient is True:
            value, g = self.f(self.packed.copied(w))
            return self._cost(value, w), self._as_gradient(g, w)
        value, g, point.aux["returned"] = self._guarded["value and gradient"](w)
        return value, g

    def hvp(self, point: Point, v: Array) -> Array:
        """The product H·v, a vector: automatic, as given, or a difference of the given gradient."""
        if self._hvp is not None:
            product = self._hvp(self.packed.copied(point.w), self.packed.copied(v))
        elif self._hessian is not None:
            return point.hessian @ v
        elif isinstance(self._gradient, Differences):
            raise OptionError(
                "The method needs products of the Hessian with vectors, and differences of differences are "
                "too inaccurate. Give jac, hess or hessp as functions, or take a method that needs gradients "
                "only ('bfgs', 'lbfgs', 'cg')."
            )
        else:
            product = self._slope_along(point, v)
        return as_vector(self.packed.join(product, point.w), point.w, "The Hessian's product with a vector")

    @property
    def exact_products(self) -> bool:
        """Whether products with the Hessian are more than differences, as far as is known."""
        given = self._hvp is not None or self._hessian is not None
        return given or not (self._differences or isinstance(self._gradient, Differences))

    def hessian(self, point: Point) -> Array | None:
        """H, (n, n), where it is given or by differences; None: it is made of products."""
        if self._hessian is None:
            return None
        h, n = as_array_like(point.w, self._hessian(self.packed.copied(point.w))), point.w.shape[0]
        if math.prod(h.shape) == n == 1:
            h = namespace(h).reshape(h, (1, 1))
        if tuple(h.shape) != (n, n):
            raise ShapeError(f"hess must return an array of shape ({n}, {n}), got {tuple(h.shape)}.")
        return h

    def mend(self, point: Point) -> dict[str, Array] | None:
        """A finite gradient where the automatic one is not: see :func:`mended`."""
        if self._gradient is not None:
            return None
        w, value = point.w, point.value

        broken, eps = point.gradient, rounding(w, point.aux["returned"])
        with zeros_absorb():
            absorbed = self._gradient_at(w)
        found = mended(self._cost_at, w, value, broken, absorbed, eps, self._box)
        point.aux["absorbs"] = found is not None
        return None if found is None else {"gradient": found}

    @property
    def recorded(self) -> str:
        """What is recorded, in words, and why something is not."""
        return summary(self._guarded)

    # -- details --------------------------------------------------------------------------------------

    def _recordings(self) -> dict[str, Guarded]:
        watch = Watch(self.f, self._gradient) if callable(self._gradient) else Watch(self.f)
        return {
            "value and gradient": Guarded(self._value_and_gradient, watch),
            "product with the Hessian": Guarded(self._slope_derivative, watch),
        }

    def _value_and_gradient(self, w: Array) -> tuple[Array, Array, Any]:
        """The cost and its gradient at ``w``, and what the function returned."""
        value, g = self._traced(lambda: self._both(self.packed.split(w)), w)
        return self._cost(value, w), self._as_gradient(g, w), value

    def _slope_derivative(self, w: Array, v: Array) -> Any:
        """The derivative of the automatic gradient at ``w`` along ``v``."""
        return jvp(self._slope, (self.packed.split(w),), (self.packed.split(v),))[1]

    def _traced(self, call: Callable[[], Any], w: Array) -> Any:
        try:
            return call()
        except MemoryError:
            raise
        except Exception as error:
            raise cannot_be_traced(error, lambda: self._cost(self.f(self.packed.copied(w)), w)) from error

    def _slope_along(self, point: Point, v: Array) -> Any:
        """The derivative of the gradient along ``v``."""
        if self._differences is None:
            self._count_slope()
            try:
                if not point.aux.get("absorbs"):
                    return self._guarded["product with the Hessian"](point.w, v)
                with zeros_absorb():
                    return self._slope_derivative(point.w, v)
            except Exception:
                if self._gradient is None:
                    raise
                # it gave a gradient before: what fails is that it is differentiated
                self._differences = Differences()
        g = point.gradient
        return self._differences.along(self._gradient_at, point.w, v, g, rounding(point.w, g))

    def _count_slope(self) -> None:
        """Counts what a gradient takes, before it is computed: a call of ``jac``, or of the function."""
        if callable(self._gradient):
            self.counts["gradient"] += 1
            return
        before_a_call(self.counts)
        self.counts["value"] += 1

    def _gradient_at(self, w: Array) -> Array:
        self._count_slope()
        x = self.packed.split(w)
        g = self.f(x)[1] if self._gradient is True else self._slope(x)
        return self._as_gradient(g, w)

    def _as_gradient(self, g: Any, w: Array) -> Array:
        return as_vector(self.packed.join(g, w), w, "The gradient")

    def _cost_at(self, w: Array) -> Array:
        """The cost at a vector that the function may write into, which may be complex ("cs")."""
        before_a_call(self.counts)
        self.counts["value"] += 1
        return self._cost(self.f(self.packed.split(w)), w)

    def _cost(self, value: Any, w: Array) -> Array:
        value = _one_number(value)
        shape = tuple(getattr(value, "shape", ()))
        if shape != ():
            raise ShapeError(
                f"The function to be minimised must return one number, got an array of shape {shape}. "
                "Sum it, or take nnx.least_squares for a vector of residuals."
            )
        if holds_complex(value) != holds_complex(w):
            if holds_complex(w):
                raise not_analytic("The function")
            raise DtypeError(
                "The function to be minimised must return a real number, got a complex one: return its real "
                "part or abs(z)**2."
            )
        return as_array_like(w, value)


def _one_number(value: Any) -> Any:
    """What holds one number, as an array of shape () or as that number; anything else as it is."""
    if isinstance(value, float):
        return value
    while isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    shape = getattr(value, "shape", ())
    return namespace(value).reshape(value, ()) if shape != () and math.prod(shape) == 1 else value


def holds_complex(x: Any) -> bool:
    """Whether ``x`` is a complex number or array."""
    if isinstance(x, float | int | complex):  # as NumPy's float64 and complex128 are
        return isinstance(x, complex)
    return hasattr(x, "dtype") and hasattr(x, "shape") and _is_complex(namespace(x), x.dtype)


@cache
def _is_complex(xp: Any, dtype: Any) -> bool:
    return xp.isdtype(dtype, "complex floating")


def not_analytic(what: str) -> DerivativeError:
    """The error where a complex step came back as a real number."""
    return DerivativeError(
        f"'cs' gives the function complex x, and must get complex values. {what} returned real ones (of abs, "
        "real, a comparison, or an array made for real numbers?): take '3-point'."
    )


def as_array_like(w: Array, x: Any) -> Array:
    """``x`` as an array of the library, type and device of ``w``, without a graph of the library's own."""
    if holds_complex(x) and not holds_complex(w):
        raise DtypeError("Real numbers are wanted, got complex ones: their imaginary parts would be lost.")
    return adapter_of(w).asarray(x, dtype=w.dtype, device=device_of(w))


def as_vector(g: Any, w: Array, what: str) -> Array:
    """``g`` as an array like the vector ``w``; :class:`nnx.errors.ShapeError` if its shape is another."""
    g = as_array_like(w, g)
    if math.prod(g.shape) == w.shape[0] == 1:
        g = namespace(g).reshape(g, (1,))
    if g.shape != w.shape:
        raise ShapeError(
            f"{what} must have shape {tuple(w.shape)}, like the variables; got {tuple(g.shape)}."
        )
    return g


def beside(y: Array, values: Any) -> Any:
    """What a function returned, as an array of the library of ``y`` and on its device; a traced one stays."""
    if type(values) is Traced or not hasattr(values, "shape") or adapter_of(values) is adapter_of(y):
        return values
    return adapter_of(y).asarray(values, device=device_of(y))
