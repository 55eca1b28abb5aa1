"""Derivatives against finite differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nnx.autodiff.array import raw
from nnx.autodiff.boundary import floating
from nnx.autodiff.families import cast
from nnx.autodiff.space import space_of
from nnx.autodiff.transforms import jvp, vjp
from nnx.autodiff.tree import flatten
from nnx.backend import Stream, adapter_of, device_of, to_numpy
from nnx.errors import DerivativeError, OptionError
from nnx.options import Number, OneOf

_ORDER = Number(least=1, whole=True)
_MODE = OneOf(("forward", "reverse"))


def check_derivatives(
    f: Callable[..., Any],
    *args: Any,
    order: int = 2,
    modes: Sequence[str] = ("forward", "reverse"),
    rtol: float = 1e-6,
    atol: float = 1e-6,
    step: float = 1e-3,
    seed: int = 0,
) -> None:
    """Returns nothing if forward and reverse mode agree with finite differences of ``f`` at ``args``.

    For a random direction v and a random cotangent c it compares ∂f·v and cᵀ∂f·v with the central
    difference of fourth order, ``(8(f(x+hv) − f(x−hv)) − (f(x+2hv) − f(x−2hv))) / 12h``, whose error is
    O(h⁴), and repeats that for the derivative functions themselves up to ``order``. ``args`` should be
    float64; results may be complex. Raises :class:`nnx.errors.DerivativeError` with the mode, the order and
    both values.

    ``order`` is 1 or more; ``rtol`` and ``atol`` ≥ 0 bound the difference, relative to the value and
    absolute; ``step`` > 0 is h; ``seed`` is a whole number ≥ 0. ``modes`` are "forward", "reverse" or both;
    :class:`nnx.errors.OptionError` for others. Source: JAX's ``jax.test_util.check_grads``.

    >>> nnx.check_derivatives(lambda x: np.tanh(x) ** 2, np.asarray([0.3, -1.2]))
    """
    where = "check_derivatives"
    _ORDER(where, "order", order)
    chosen = tuple(modes) if isinstance(modes, tuple | list) else (modes,)
    for mode in chosen:
        _MODE(where, "modes", mode)
    if not chosen:
        raise OptionError(f"{where}: modes must name 'forward', 'reverse' or both, got {modes!r}.")
    _check(f, args, order, chosen, (rtol, atol, step), seed, "f")


def _check(f: Any, args: Any, order: int, modes: Any, limits: Any, seed: int, name: str) -> None:
    leaves, build = flatten(tuple(args))
    x = [floating(leaf, "check_derivatives") for leaf in leaves]
    v = [_random(leaf, seed, i) for i, leaf in enumerate(x)]
    rtol, atol, step = limits

    def along(t: float) -> list[Any]:
        out = f(*build([a + t * b for a, b in zip(x, v, strict=True)]))
        return [raw(o) for o in flatten(out)[0]]

    p1, m1, p2, m2 = along(step), along(-step), along(2 * step), along(-2 * step)
    numeric = [(8.0 * (a - b) - (c - d)) / (12.0 * step) for a, b, c, d in zip(p1, m1, p2, m2, strict=True)]
    cot = [_random(o, seed + 1, i) for i, o in enumerate(along(0.0))]
    if "forward" in modes:
        tangent = flatten(jvp(f, build(x), build(v))[1])[0]
        for got, expected in zip(tangent, numeric, strict=True):
            _compare(f"forward mode of {name}", got, expected, rtol, atol)
        if order > 1:
            derivative = _forward(f, build(v))
            _check(derivative, build(x), order - 1, modes, limits, seed + 2, f"the jvp of {name}")
    if "reverse" in modes:
        out, pullback = vjp(f, *build(x))
        g = pullback(flatten(out)[1](cot))
        got = _inner(flatten(g)[0], v)
        _compare(f"reverse mode of {name}", got, _inner(cot, numeric), rtol, atol)
        if order > 1:
            _check(_reverse(f, cot), build(x), order - 1, modes, limits, seed + 3, f"the vjp of {name}")


def _forward(f: Any, v: Any) -> Any:
    return lambda *xs: jvp(f, xs, v)[1]


def _reverse(f: Any, cot: Any) -> Any:
    def derivative(*xs: Any) -> Any:
        out, pullback = vjp(f, *xs)
        return pullback(flatten(out)[1](cot))

    return derivative


def _random(x: Any, seed: int, index: int) -> Any:
    plain = raw(x)
    own = adapter_of(plain)

    def uniform(stream: int, dtype: Any) -> Any:
        return own.uniform(Stream(seed, stream, index), plain.shape, dtype, device_of(plain)) * 2.0 - 1.0

    if own.xp.isdtype(plain.dtype, "complex floating"):
        real = own.xp.real(plain).dtype
        return uniform(99, real) + 1j * uniform(98, real)
    return uniform(99, plain.dtype)


def _inner(a: Sequence[Any], b: Sequence[Any]) -> Any:
    total: Any = 0.0
    for u, w in zip(a, b, strict=True):
        xp = space_of(u).base
        total = total + cast(xp, xp.sum(u * w), xp.float64)
    return total


def _compare(what: str, got: Any, expected: Any, rtol: float, atol: float) -> None:
    got, expected = (to_numpy(raw(z)) if hasattr(z, "dtype") else z for z in (got, expected))
    error = abs(got - expected)
    bad = ~(error <= atol + rtol * abs(expected))
    if bad.any() if hasattr(bad, "any") else bad:
        raise DerivativeError(
            f"{what} disagrees with finite differences: got {got}, expected {expected} "
            f"(largest difference {error.max() if hasattr(error, 'max') else error:.3g})."
        )
