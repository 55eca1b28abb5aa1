"""Where arrays enter a transform, checked and traced, and where they leave it as plain arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from nnx.autodiff.array import Traced, raw
from nnx.autodiff.explain import annotate, behind
from nnx.autodiff.families import is_complex
from nnx.autodiff.space import space_of
from nnx.autodiff.trace import CONSTANT, release
from nnx.autodiff.tree import flatten
from nnx.backend import adapter_of, get_backend
from nnx.errors import DerivativeError, DtypeError


@cache
def _is_real(base: Any, dtype: Any) -> bool:
    try:
        return base.isdtype(dtype, "real floating")
    except TypeError:  # NumPy's fields, objects, texts, dates
        raise DerivativeError(
            f"A derivative is with respect to real floating-point numbers, got {dtype!r}: take a field, "
            "x['name'], or convert with x.astype(float)."
        ) from None


def floating(x: Any, who: str) -> Any:
    """``x`` as an array that can be differentiated; Python numbers become float64 arrays."""
    if isinstance(x, bool | str) or not (hasattr(x, "dtype") or isinstance(x, float | int)):
        raise DerivativeError(f"{who} can differentiate arrays and numbers, got {type(x).__name__}.")
    if not hasattr(x, "dtype"):
        return get_backend().asarray(float(x), dtype="float64")
    x = settled(x)
    if type(x) is Traced:
        x = x.snapshot()
    base = _own_kind(x, who)
    if _is_real(base, x.dtype):
        return base.adapter.copied_if_small(x)  # a pullback may need it: the caller may change his own
    if holds_complex(x):
        raise DerivativeError(
            f"{who} needs arrays of a real floating-point type, got {x.dtype}: most functions of complex "
            "numbers, abs among them, have no complex derivative. Differentiate with respect to the real and "
            "the imaginary part: lambda re, im: f(re + 1j * im), with argnums=(0, 1)."
        )
    raise DerivativeError(
        f"{who} needs arrays of a real floating-point type, got {x.dtype}: a derivative with respect to "
        "integers is not defined. Convert with xp.astype(x, xp.float64), or do not differentiate this "
        "argument: choose the others by argnums, or by a function of them, lambda x: f(x, n)."
    )


def _own_kind(x: Any, who: str) -> Any:
    """The namespace for rules on ``x``; an error, in the name of ``who``, if it is of a subclass."""
    space = space_of(x)
    if type(x) not in space.kinds and type(x) is not Traced and (problem := space.adapter.own_kind(x)):
        raise DerivativeError(f"{who} was given {problem}.")
    return space.base


def _problem(x: Any) -> str:
    """What is wrong with ``x`` if it is an array of a subclass; else empty."""
    try:
        return "" if type(x) is Traced else adapter_of(x).own_kind(x)
    except DtypeError:  # no array
        return ""


def settled(x: Any) -> Any:
    """``x`` up to date and, if it depends on nothing, as a plain array."""
    if type(x) is not Traced:
        return x
    if x.link is not None:
        x.link.refresh(x)
    return x.value if x.tracer is CONSTANT else x


def like(g: Any, x: Any) -> Any:
    """``g`` as an array of x's library, data type and device (a Python number is a 0-d array)."""
    if type(g) is not float and holds_complex(g) and not holds_complex(x):
        raise DerivativeError(
            f"The cotangent (vjp) or tangent (jvp) of a real array of {x.dtype} is complex: its imaginary "
            "part would be lost. Give real numbers, xp.real(g)."
        )
    if hasattr(g, "dtype"):
        _own_kind(g, "A transform, as a cotangent or tangent,")
    else:
        space = space_of(x)
        device = None if space.adapter.reads_are_free else space.device_of(x)  # on the host there is one
        g = space.adapter.asarray(g, dtype=x.dtype, device=device)
    return g


def zeros(x: Any) -> Any:
    """Zeros like ``x``."""
    if not hasattr(x, "dtype"):
        return 0.0
    return space_of(x).base.zeros_like(raw(x))


def holds_complex(x: Any) -> bool:
    """Whether ``x`` is a complex number or array, of any library."""
    return is_complex(space_of(x).base if hasattr(x, "dtype") else None, x)


def traced_call(
    f: Callable[..., Any], inputs: Sequence[Any], kwargs: Any, trace: Any, held: Sequence[Any]
) -> Any:
    """``f`` on traced inputs; afterwards the trace is closed.

    ``held`` are the plain arrays below the inputs: they are locked while ``f`` runs.
    """
    locks = _locked(held)
    try:
        out = f(*inputs, **kwargs)
        for leaf in flatten(out)[0]:
            settled(leaf)  # a view whose root was written to is made again, while that can be recorded
        return out
    except Exception as error:
        if isinstance(error, TypeError | ValueError):
            annotate(error, Traced, _problem)
        if refusal := behind(error, trace.level):
            raise refusal from error
        raise
    finally:
        try:
            trace.close()
        finally:
            release(locks)


def _locked(arrays: Iterable[Any]) -> list[Callable[[], Any]]:
    found = [adapter_of(x).lock(x) for x in arrays if hasattr(x, "dtype") and type(x) is not Traced]
    return [lock for lock in found if lock is not None]


@contextmanager
def unwritable(arrays: Iterable[Any]) -> Iterator[None]:
    """Locks the plain ``arrays`` while foreign code runs on them, for the tape keeps them."""
    locks = _locked(arrays)
    try:
        yield
    finally:
        release(locks)


def split_aux(out: Any, has_aux: bool, trace: Any) -> tuple[Any, Any]:
    """``(value, aux)`` of what the function returned, aux without this trace."""
    if not has_aux:
        return out, None
    if not isinstance(out, tuple) or len(out) != 2:
        raise DerivativeError(
            f"has_aux=True needs a function that returns (value, aux), got {_describe(out)}."
        )
    leaves, build = flatten(out[1])
    leaves = [settled(leaf) for leaf in leaves]
    lowered = [leaf.value if type(leaf) is Traced and leaf.tracer is trace else leaf for leaf in leaves]
    return out[0], build(lowered)


def check_scalar(value: Any, who: str) -> None:
    """Raises an error, in the name of the transform ``who``, if ``value`` is not one real number."""
    if isinstance(value, float):  # as NumPy's float64 is
        return
    check_continuous(value, who)
    if getattr(value, "shape", ()) != () or not (hasattr(value, "dtype") or isinstance(value, float | int)):
        raise DerivativeError(
            f"{who} needs a function that returns one number, got {_describe(value)}. Sum or average it "
            "first, or use nnx.jacobian or nnx.vjp."
        )
    if holds_complex(value):
        raise DerivativeError(
            f"{who} needs a function that returns a real number, got a complex one. Return xp.real(z), "
            "xp.imag(z) or xp.abs(z), or differentiate real and imaginary part on their own."
        )


def check_continuous(value: Any, who: str) -> None:
    """Raises an error, in the name of ``who``, if ``value`` is a truth value or an integer (or array)."""
    if isinstance(value, int) or (
        hasattr(value, "dtype") and space_of(value).base.isdtype(value.dtype, ("bool", "integral"))
    ):
        kind = value.dtype if hasattr(value, "dtype") else type(value).__name__
        raise DerivativeError(
            f"{who} needs a function that returns real numbers, got {kind}: truth values and integers (of a "
            "comparison, np.allclose, argmax, round, ...) change in jumps, so there is no derivative. Return "
            "what they are computed from, or a float (0.0) if a constant is meant."
        )


def one_array(who: str, y: Any) -> Any:
    """``y``, the result of ``who``, if it is an array or a number; else an error."""
    if hasattr(y, "dtype") or isinstance(y, int | float | complex):
        return y
    raise DerivativeError(
        f"{who} must return one array, got {type(y).__name__}. Join its results in one (xp.stack, "
        "xp.concat), or write a function for each."
    )


def arrived(found: Sequence[Any], leaves: Sequence[Any], seeds: Sequence[Any] = ()) -> list[Any]:
    """The cotangents of the leaves, zeros where none arrived: arrays that the caller owns.

    So each is a copy if it aliases another, or one of the ``seeds``, which a pullback may pass through.
    """
    out: list[Any] = []
    for x, c in zip(leaves, found, strict=True):
        g = zeros(x) if c is None else settled(c)
        if type(g) is not Traced:
            space = space_of(g)
            taken = (out or seeds) and _is_among(g, (*out, *seeds), space.adapter.shares_memory)
            g = space.base.asarray(g, copy=True) if taken else space.adapter.materialized(g)
        out.append(g)
    return out


def _is_among(g: Any, others: Sequence[Any], share: Callable[[Any, Any], bool]) -> bool:
    """Whether ``g`` is one of the others, or shares the memory of one."""
    return any(g is x or (type(x) is type(g) and share(g, x) if g.ndim else False) for x in others)


def _describe(x: Any) -> str:
    shape = getattr(x, "shape", None)
    return f"an array of shape {tuple(shape)}" if shape is not None else f"{type(x).__name__}"
