"""The transforms: from a function to its derivatives. They nest, so every order works."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nnx.autodiff.array import Traced, raw
from nnx.autodiff.boundary import (
    arrived,
    check_number,
    floating,
    holds_complex,
    like,
    settled,
    split_aux,
    traced_call,
    zeros,
)
from nnx.autodiff.families import cast
from nnx.autodiff.space import space_of
from nnx.autodiff.trace import Dual, Tape, backward
from nnx.autodiff.tree import flatten
from nnx.errors import DerivativeError, ShapeError

Argnums = int | Sequence[int]


def stop_gradient(x: Any) -> Any:
    """``x`` as a constant: its value, without any gradient. Works on nested containers.

    >>> float(nnx.grad(lambda x: x * nnx.stop_gradient(x))(3.0))
    3.0
    """
    leaves, build = flatten(x)
    return build([_copied(leaf) if type(leaf) is Traced else leaf for leaf in leaves])


def vjp(f: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """``(f(*primals), pullback)``, and ``aux`` if ``has_aux``; the vector–Jacobian product of reverse mode.

    ``pullback(g)`` takes a cotangent shaped like the output and returns a tuple with gᵀ·∂f/∂x for each
    primal, of a complex output Re(gᵀ·∂f/∂x). It may be called any number of times.

    >>> y, pullback = nnx.vjp(lambda x: x * x, np.asarray([1.0, 2.0]))
    >>> pullback(np.asarray([1.0, 10.0]))[0]
    array([ 2., 40.])
    """
    tape = Tape(locks=True)
    leaves, build = flatten(primals)
    leaves = [floating(leaf, "vjp") for leaf in leaves]
    inputs = [tape.leaf(leaf, space_of(leaf)) for leaf in leaves]
    marks = [x.mark for x in inputs]  # before f, which may write into its arguments
    out, aux = split_aux(traced_call(f, build(inputs), {}, tape), has_aux, tape)
    outs, build_out = flatten(out)
    outs = [settled(o) for o in outs]
    own = [type(o) is Traced and o.tracer is tape for o in outs]
    nodes = [o.mark if mine else None for o, mine in zip(outs, own, strict=True)]
    values = [o.value if mine else o for o, mine in zip(outs, own, strict=True)]

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        gs, _ = flatten(cotangent)
        if len(gs) != len(values):
            raise ShapeError(f"The pullback needs {len(values)} cotangents, one per output, got {len(gs)}.")
        seeds = []
        for node, value, g in zip(nodes, values, gs, strict=True):
            if node is not None:
                g = cast(space_of(value), like(g, value), value.dtype)
                if g.shape != value.shape:
                    raise ShapeError(f"Cotangent of shape {g.shape} for an output of shape {value.shape}.")
                seeds.append((node, g))
        return build(arrived(backward(seeds, marks), leaves, gs))

    result = build_out(values)
    return (result, pullback, aux) if has_aux else (result, pullback)


def jvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False) -> Any:
    """``(f(*primals), ∂f·tangents)``, and ``aux`` if ``has_aux``: forward mode along one direction.

    >>> nnx.jvp(lambda x: x * x, (np.asarray([1.0, 2.0]),), (np.asarray([1.0, 10.0]),))[1]
    array([ 2., 40.])
    """
    trace = Dual()
    leaves, build = flatten(tuple(primals))
    directions, _ = flatten(tuple(tangents))
    if len(leaves) != len(directions):
        raise ShapeError(f"jvp got {len(leaves)} primal arrays and {len(directions)} tangents.")
    inputs = []
    for leaf, t in zip(leaves, directions, strict=True):
        x = floating(leaf, "jvp")
        t = like(t, x)
        if t.shape != x.shape:
            raise ShapeError(f"Tangent of shape {t.shape} for a primal of shape {x.shape}.")
        inputs.append(Traced(x, trace, t, space_of(x)))
    out, aux = split_aux(traced_call(f, build(inputs), {}, trace), has_aux, trace)
    outs, build_out = flatten(out)
    outs = [settled(o) for o in outs]
    own = [type(o) is Traced and o.tracer is trace for o in outs]
    values = build_out([o.value if mine else o for o, mine in zip(outs, own, strict=True)])
    tangents = [o.mark if mine else None for o, mine in zip(outs, own, strict=True)]
    moved = build_out(arrived(tangents, outs, directions))
    return (values, moved, aux) if has_aux else (values, moved)


def value_and_grad(f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that returns ``(f(...), gradient)``; ``f`` must return one number (a 0-d array).

    The gradient has the structure of argument ``argnums`` (a tuple of them for several argnums). With
    ``has_aux``, ``f`` returns ``(value, aux)`` and the result is ``((value, aux), gradient)``. An output that
    does not depend on the argument has gradient zero. Raises :class:`nnx.errors.DerivativeError` for an
    output that is not a number, and for integer arguments.

    >>> value, g = nnx.value_and_grad(lambda w: np.sum(w * w))(np.asarray([1.0, 2.0]))
    >>> float(value), g
    (5.0, array([2., 4.]))
    """

    def both(*args: Any, **kwargs: Any) -> Any:
        chosen, rebuild = _choose(args, argnums)
        tape = Tape(locks=True)
        leaves, build = flatten(chosen)
        leaves = [floating(leaf, "grad") for leaf in leaves]
        inputs = [tape.leaf(leaf, space_of(leaf)) for leaf in leaves]
        marks = [x.mark for x in inputs]  # before f, which may write into its arguments
        out, aux = split_aux(traced_call(f, rebuild(build(inputs)), kwargs, tape), has_aux, tape)
        out = settled(out)
        seeds, value = [], out
        if type(out) is Traced and out.tracer is tape:
            value = out.value
            seeds.append((out.mark, like(1.0, value)))
        check_number(value)
        seen = iter(seeds)
        del out, seeds  # so that the way back frees what each operation kept for it
        gradient = build(arrived(backward(seen, marks), leaves))
        return ((value, aux), gradient) if has_aux else (value, gradient)

    return both


def grad(f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that returns the gradient of ``f``; with ``has_aux``, ``(gradient, aux)``.

    See :func:`value_and_grad`. Source of the method: A. Griewank, A. Walther, *Evaluating Derivatives*,
    SIAM 2008, chapter 3.

    >>> nnx.grad(lambda x, y: x * y, argnums=(0, 1))(2.0, 5.0)
    (np.float64(5.0), np.float64(2.0))
    """
    both = value_and_grad(f, argnums, has_aux)

    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, g = both(*args, **kwargs)
        return (g, value[1]) if has_aux else g

    return gradient


def jacobian(f: Callable[..., Any], argnums: int = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that returns ∂f/∂x as an array of shape ``f(x).shape + x.shape``, by reverse mode.

    One forward pass, and one pullback for each number of the output. Argument and output may be nested
    containers: then the result is one of outputs' structure with the argument's structure in each leaf.

    >>> nnx.jacobian(lambda x: np.stack([x[0] * x[1], x[0]]))(np.asarray([2.0, 3.0]))
    array([[3., 2.],
           [1., 0.]])
    """

    def jac(*args: Any, **kwargs: Any) -> Any:
        chosen, rebuild = _choose(args, argnums)
        out = vjp(lambda x: f(*rebuild(x), **kwargs), chosen, has_aux=has_aux)
        outs, build_out = flatten(out[0])
        blocks = []
        for k, y in enumerate(outs):
            rows = []
            for e in _basis(y):
                g = [e if i == k else zeros(o) for i, o in enumerate(outs)]
                rows.append(flatten(out[1](build_out(g))[0])[0])
            xs, build_in = flatten(chosen)
            columns = zip(*rows, strict=True) if rows else ((),) * len(xs)
            blocks.append(build_in([_assemble(c, y, x) for c, x in zip(columns, xs, strict=True)]))
        result = build_out(blocks)
        return (result, out[2]) if has_aux else result

    return jac


def hessian(f: Callable[..., Any], argnums: int = 0) -> Callable[..., Any]:
    """A function that returns ∂²f/∂x² of shape ``x.shape + x.shape``: forward over reverse mode.

    >>> nnx.hessian(lambda x: x[0] ** 2 * x[1])(np.asarray([3.0, 5.0]))
    array([[10.,  6.],
           [ 6.,  0.]])
    """

    def hess(*args: Any, **kwargs: Any) -> Any:
        x = floating(args[argnums], "hessian")

        def of(v: Any) -> Any:
            return grad(f, argnums)(*args[:argnums], v, *args[argnums + 1 :], **kwargs)

        columns = [jvp(of, (x,), (e,))[1] for e in _basis(x)]
        return _assemble(columns, x, x)

    return hess


def hvp(f: Callable[..., Any], x: Any, v: Any) -> Any:
    """The product H·v of the Hessian of ``f`` at ``x`` with ``v``, without forming H.

    Cost: a small multiple of one gradient. Source: B. A. Pearlmutter, "Fast exact multiplication by the
    Hessian", Neural Computation 6 (1994) 147–160.

    >>> nnx.hvp(lambda x: x[0] ** 2 * x[1], np.asarray([3.0, 5.0]), np.asarray([1.0, 0.0]))
    array([10.,  6.])
    """
    return jvp(grad(f), (x,), (v,))[1]


# -- details -------------------------------------------------------------------------------------------


def _copied(x: Traced) -> Any:
    """The plain array below ``x``, the caller's own: the tape keeps the other."""
    base, value = x.space.base, raw(x)
    return base.asarray(value, copy=True) if value.shape else value


def _choose(args: Sequence[Any], argnums: Argnums) -> tuple[Any, Callable[[Any], list[Any]]]:
    """The argument (or a tuple of them) to differentiate, and what puts a new one into its place."""
    numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    for n in numbers:
        if not -len(args) <= n < len(args):
            raise DerivativeError(f"argnums={argnums}, but the function was given {len(args)} arguments.")

    def rebuild(new: Any) -> list[Any]:
        full = list(args)
        for n, x in zip(numbers, (new,) if isinstance(argnums, int) else new, strict=True):
            full[n] = x
        return full

    return args[argnums] if isinstance(argnums, int) else tuple([args[n] for n in numbers]), rebuild


def _basis(x: Any) -> list[Any]:
    """The unit arrays of x's shape, one for each of its numbers."""
    if holds_complex(x):
        raise DerivativeError(
            "jacobian needs a function that returns real arrays, got complex ones: return their real and "
            "imaginary parts, (xp.real(z), xp.imag(z)), or use nnx.jvp or nnx.vjp."
        )
    base = space_of(x).base
    n = base.element_count(x.shape)
    eye = base.eye(n, dtype=x.dtype, device=base.device_of(x))
    return [base.reshape(eye[i, :], x.shape) for i in range(n)]


def _assemble(parts: Sequence[Any], y: Any, x: Any) -> Any:
    """The parts, one for each number of ``y``, as one array of shape ``y.shape + part.shape``."""
    if not parts:  # y has no numbers
        return space_of(y).base.zeros(
            tuple(y.shape) + tuple(x.shape), dtype=x.dtype, device=space_of(x).device_of(x)
        )
    xp = next((p.space for p in parts if type(p) is Traced), space_of(parts[0]).base)
    return xp.reshape(xp.stack(list(parts)), tuple(y.shape) + tuple(parts[0].shape))
