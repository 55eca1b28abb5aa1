"""The transforms: from a function to its derivatives. They nest, so every order works."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nnx.autodiff.array import Traced, raw
from nnx.autodiff.modes import (
    Argnums,
    gradient_of,
    hessian_of,
    jacobian_of,
    pull_back,
    push_forward,
    value_and_gradient,
)
from nnx.autodiff.tree import flatten


def stop_gradient(x: Any) -> Any:
    """``x`` as a constant: the plain arrays below it, with derivative zero. Works on nested containers.

    The arrays are copies of the shape and data type of ``x``: writing into them changes nothing else. An
    array that is not being differentiated is returned as it is.

    Source: JAX's ``jax.lax.stop_gradient``.

    >>> float(nnx.grad(lambda x: x * nnx.stop_gradient(x))(3.0))
    3.0
    """
    leaves, build = flatten(x)
    return build([_copied(leaf) if type(leaf) is Traced else leaf for leaf in leaves])


def vjp(f: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """``(f(*primals), pullback)``, and ``aux`` if ``has_aux``: the vector–Jacobian product of reverse mode.

    ``pullback(g)`` takes a cotangent with the structure and shapes of the output, and returns a tuple with

        x̄ᵢ = gᵀ · ∂f/∂xᵢ   (x̄ᵢ = Re(gᵀ · ∂f/∂xᵢ) where the output is complex: nothing is conjugated)

    for each primal, of its structure and shapes. It may be called any number of times, and costs a small
    multiple of ``f``, however large the primals are. Primals and outputs may be nested containers.

    Raises :class:`nnx.errors.DerivativeError` for primals that are not real floating-point arrays or Python's
    numbers; ``pullback`` raises it for a complex cotangent of a real output, and
    :class:`nnx.errors.ShapeError` for one of another structure or shape than the output's.

    >>> y, pullback = nnx.vjp(lambda x: x * x, np.asarray([1.0, 2.0]))
    >>> pullback(np.asarray([1.0, 10.0]))[0]
    array([ 2., 40.])

    Source: A. Griewank, A. Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, section 3.2; S. Linnainmaa,
    "Taylor expansion of the accumulated rounding error", BIT 16 (1976) 146–160.
    """
    return pull_back("vjp", f, primals, has_aux)


def jvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False) -> Any:
    """``(f(*primals), ∂f/∂x · v)``, and ``aux`` if ``has_aux``: the Jacobian–vector product of forward mode.

    ``primals`` and ``tangents`` are tuples with one element for each argument of ``f``: x₁, x₂, … and v₁, v₂,
    … Each vᵢ has the structure and shapes of xᵢ. The second result

        ẏ = Σᵢ ∂f/∂xᵢ · vᵢ

    has the structure and shapes of the output. It is computed together with the value, at the cost of a small
    multiple of ``f``, and no intermediate value is stored for it.

    Raises :class:`nnx.errors.DerivativeError` for primals that are not real floating-point arrays or Python's
    numbers and for complex tangents, and :class:`nnx.errors.ShapeError` for tangents of another structure or
    shape than the primals'.

    >>> nnx.jvp(lambda x: x * x, (np.asarray([1.0, 2.0]),), (np.asarray([1.0, 10.0]),))[1]
    array([ 2., 40.])

    Source: R. E. Wengert, "A simple automatic derivative evaluation program", Communications of the ACM 7
    (1964) 463–464; A. Griewank, A. Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, section 3.1.
    """
    return push_forward("jvp", f, primals, tangents, has_aux)


def value_and_grad(f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that returns ``(f(...), gradient)``; ``f`` must return one real number (a 0-d array).

    The gradient ∂f/∂x has the structure and shapes of argument ``argnums`` (it is a tuple of such for
    several argnums); Python's numbers count as float64 arrays. With ``has_aux``, ``f`` returns
    ``(value, aux)`` and the result is ``((value, aux), gradient)``. An output that does not depend on the
    argument has gradient zero. Keyword arguments are passed on and not differentiated.

    Raises :class:`nnx.errors.DerivativeError` for an output that is not one real number, for arguments that
    are arrays of integers, booleans or complex numbers, and for argnums beyond the arguments of ``f``.

    >>> value, g = nnx.value_and_grad(lambda w: np.sum(w * w))(np.asarray([1.0, 2.0]))
    >>> float(value), g
    (5.0, array([2., 4.]))

    Source: A. Griewank, A. Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, section 3.2.
    """
    return value_and_gradient("value_and_grad", f, argnums, has_aux)


def grad(f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that returns the gradient of ``f``; with ``has_aux``, ``(gradient, aux)``.

    ``f`` must return one real number y; ∂y/∂x has the structure and shapes of argument ``argnums`` (it is a
    tuple of such for several argnums). Its cost is a small multiple of that of ``f``, however large x is.
    For arguments and errors see :func:`value_and_grad`, which also gives the value. ``grad(grad(f))`` and any
    other nesting give higher derivatives.

    >>> nnx.grad(lambda x, y: x * y, argnums=(0, 1))(2.0, 5.0)
    (np.float64(5.0), np.float64(2.0))
    >>> nnx.grad(lambda p: np.sum(p["w"] ** 2) + p["b"])({"w": np.asarray([1.0, 2.0]), "b": np.asarray(0.5)})
    {'w': array([2., 4.]), 'b': array(1.)}

    Source: A. Griewank, A. Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, section 3.2.
    """
    return gradient_of("grad", f, argnums, has_aux)


def jacobian(f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that returns ∂f/∂x as an array of shape ``f(x).shape + x.shape``, by reverse mode.

        J[i, j] = ∂fᵢ/∂xⱼ   (i and j stand for as many indices as output and argument have)

    One pass forward, and one pullback for each entry of the output: right for small outputs of large
    arguments. For the opposite, take columns J·eⱼ by :func:`jvp`. Argument and output may be nested
    containers: the result has the output's structure, and each of its leaves the argument's. With
    ``has_aux``, ``f`` returns ``(value, aux)`` and the result is ``(jacobian, aux)``.

    Raises :class:`nnx.errors.DerivativeError` for complex outputs, and for arguments as
    :func:`value_and_grad` does.

    >>> nnx.jacobian(lambda x: np.stack([x[0] * x[1], x[0]]))(np.asarray([2.0, 3.0]))
    array([[3., 2.],
           [1., 0.]])

    Source: A. Griewank, A. Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, section 3.2.
    """
    return jacobian_of("jacobian", f, argnums, has_aux)


def hessian(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """A function that returns ∂²f/∂x² of shape ``x.shape + x.shape``: forward over reverse mode.

        H[i, j] = ∂²f/∂xᵢ∂xⱼ   (i and j stand for as many indices as x has)

    ``f`` must return one real number. One tangent of the gradient is computed for each entry of x; for H·v
    alone, :func:`hvp` needs one only. For a nested container, or several argnums, the result has their
    structure, and each of its leaves their structure again.

    Raises :class:`nnx.errors.DerivativeError` as :func:`value_and_grad` does.

    >>> nnx.hessian(lambda x: x[0] ** 2 * x[1])(np.asarray([3.0, 5.0]))
    array([[10.,  6.],
           [ 6.,  0.]])

    Source: A. Griewank, A. Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, chapter 5.
    """
    return hessian_of("hessian", f, argnums)


def hvp(f: Callable[..., Any], x: Any, v: Any) -> Any:
    """The product H·v of the Hessian of ``f`` at ``x`` with ``v``, without forming H.

        H·v = d/dt ∇f(x + t·v) at t = 0

    H·v and ``v`` have the structure and shapes of ``x``. ``f`` takes x alone and must return one real number.
    Cost: a small multiple of one gradient.

    Raises :class:`nnx.errors.DerivativeError` as :func:`value_and_grad` does, and
    :class:`nnx.errors.ShapeError` if ``v`` is unlike ``x``.

    >>> nnx.hvp(lambda x: x[0] ** 2 * x[1], np.asarray([3.0, 5.0]), np.asarray([1.0, 0.0]))
    array([10.,  6.])

    Source: B. A. Pearlmutter, "Fast exact multiplication by the Hessian", Neural Computation 6 (1994)
    147–160.
    """
    return push_forward("hvp", gradient_of("hvp", f), (x,), (v,))[1]


def _copied(x: Traced) -> Any:
    """A copy of the plain array below ``x``: the tape keeps the array itself."""
    base, value = x.space.base, raw(x)
    return base.asarray(value, copy=True) if value.shape else value
