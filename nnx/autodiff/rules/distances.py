"""Distances: |x|, √(a² + b²) and Euclidean norms. They have a kink at 0, which their powers have not.

The slope x/|x| has no limit at 0 and counts as 0 there. Its own derivative counts as NaN: in ∂²(|x|²) the
product |x|·∂(x/|x|) is 0·∞ and has the limit 1, in ∂²|x| it is infinite, and no number would be right for
both. Powers are told apart: a traced distance remembers what it is the distance of, and the slope of its
n-th power, n ≥ 2, is n·|x|ⁿ⁻²·x, which is smooth for every even n.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnx.autodiff.array import Traced, raw
from nnx.autodiff.families import (
    Elementwise,
    Pull,
    Rule,
    broadcast_like,
    cast,
    is_complex,
    keep_dims,
    shape_of,
    unbroadcast,
)

_NAN = float("nan")


class _Kinked(Elementwise):
    """``kinked(v, at=...)``: v, with derivatives of every order that are NaN where ``at`` holds."""

    def __init__(self) -> None:
        super().__init__("kinked", _broken)

    def pull(self, argnums: Any, answer: Any, values: Any, kwargs: Any) -> Pull:
        v, d = values[0], self.d
        return lambda xp, g: (g * d(xp, v, **kwargs),)

    def push(self, xp: Any, argnums: Any, tangents: Any, answer: Any, values: Any, kwargs: Any) -> Any:
        return tangents[0] * self.d(xp, values[0], **kwargs)


def _broken(xp: Any, v: Any, at: Any) -> Any:
    """1, and NaN where ``at`` holds, which depends on v: so that the next derivative is NaN there again."""
    return xp.where(at, xp.kinked(_NAN * xp.where(at, v, 1.0), at=at), 1.0)


KINKED = _Kinked()


def ratio(xp: Any, part: Any, whole: Any) -> Any:
    """``part / whole``, and a kink's 0 where ``whole``, a distance of which ``part`` is a part, is 0."""
    zero = whole == 0
    slope = part / xp.where(zero, 1.0, whole)
    if type(slope) is not Traced:
        return slope
    # Of subnormal numbers too few digits are left for the next derivative, (1 − slope²)/whole.
    size = raw(whole)
    return xp.kinked(slope, at=size < float(xp.finfo(size.dtype).smallest_normal))


def direction(xp: Any, x: Any) -> Any:
    """The slope of |x|: its sign, or conj(x)/|x|."""
    if is_complex(xp, x):
        return ratio(xp, xp.conj(x), xp.abs(x))
    if type(x) is not Traced:
        return xp.sign(x)
    zero = x == 0
    return xp.kinked(xp.where(zero, x, xp.sign(x)), at=zero)


# -- powers ------------------------------------------------------------------------------------------------


class _Power(Rule):
    """yⁿ of a distance y from its own arguments, the parts: the cotangent of a part p is n·yⁿ⁻²·conj(p)·g."""

    name = "power of a distance"
    keeps = False

    def _slope(self, xp: Any, values: Any, kwargs: Any) -> Any:
        n = kwargs["n"]
        if n == 2:
            return 2.0
        y = kwargs["measure"](xp)(*values, **kwargs["options"])
        return n * (y if n == 3 else y ** (n - 2))

    def pull(self, argnums: Any, answer: Any, values: Any, kwargs: Any) -> Pull:
        options = kwargs["options"]

        def pull(xp: Any, g: Any) -> list[Any]:
            g = g * self._slope(xp, values, kwargs)
            if len(values) == 1:
                g = keep_dims(xp, g, values[0].shape, options.get("axis", ()), options.get("keepdims", False))
            return [
                unbroadcast(xp, g * _conj(xp, values[i]), shape_of(values[i]), values[i].dtype)
                for i in argnums
            ]

        return pull

    def push(self, xp: Any, argnums: Any, tangents: Any, answer: Any, values: Any, kwargs: Any) -> Any:
        terms = [t * _conj(xp, values[i]) for i, t in zip(argnums, tangents, strict=True)]
        total = sum(terms[1:], start=terms[0])
        if kwargs["options"]:
            total = xp.sum(total, **kwargs["options"])
        return cast(xp, broadcast_like(xp, self._slope(xp, values, kwargs) * total, answer), answer.dtype)


def _conj(xp: Any, x: Any) -> Any:
    return xp.conj(x) if is_complex(xp, x) else x


_POWER = _Power()

#: Functions that give a distance, and how each is found in a namespace.
MEASURES: dict[str, Callable[[Any], Any]] = {
    "abs": lambda xp: xp.abs,
    "hypot": lambda xp: xp.hypot,
    "linalg.vector_norm": lambda xp: xp.linalg.vector_norm,
}


def remembering(name: str, bound: Callable[..., Any]) -> Callable[..., Any]:
    """The function ``bound`` of :data:`MEASURES`, whose results know what they are the distance of.

    Only where an outer transform goes on to differentiate the slopes: a first derivative needs it not.
    """

    def measure(*parts: Any, ord: Any = 2, **options: Any) -> Any:
        if ord != 2:
            return bound(*parts, ord=ord, **options)
        y = bound(*parts, **options)
        if type(y) is Traced and type(y.value) is Traced:
            if name == "linalg.vector_norm":
                options = {"axis": None, "keepdims": False, **options}
            kept = [p.snapshot() if type(p) is Traced else p for p in parts]
            y.distance = (y.value, kept, MEASURES[name], options)
        return y

    return measure


def powers(bound: Callable[..., Any], n: float | None = None) -> Callable[..., Any]:
    """``bound``, x ↦ xⁿ or (x, n) ↦ xⁿ, with the rule of its own for distances."""

    def power(x: Any, *exponent: Any) -> Any:
        if type(x) is Traced and type(x.value) is Traced:
            given = exponent[0] if n is None else n
            if type(given) in (int, float) and given >= 2 and (found := _distance(x)):
                return _record(bound, exponent, given, x, *found)
        return bound(x, *exponent)

    return power


def _distance(x: Traced) -> Any:
    """What ``x`` is the distance of, if it still is: it may have been written into."""
    try:
        value, *rest = _REMEMBERED(x, Traced)
    except AttributeError:
        return None
    if x.link is not None:
        x.link.refresh(x)
    return rest if value is x.value else None


_REMEMBERED = vars(Traced)["distance"].__get__  # as an attribute it would be sought on NumPy's arrays


def _record(
    bound: Callable[..., Any], exponent: Any, n: float, y: Any, parts: Any, measure: Any, options: Any
) -> Any:
    """yⁿ on the trace of y, and on those below that are differentiated in their turn."""
    if type(y) is not Traced or type(y.value) is not Traced:
        return bound(y, *exponent)
    own = [i for i, p in enumerate(parts) if type(p) is Traced and p.tracer is y.tracer]
    marks = [parts[i].mark for i in own]
    values = [p.value if i in own else p for i, p in enumerate(parts)]
    answer = _record(bound, exponent, n, y.value, values, measure, options)
    kwargs = {"n": n, "measure": measure, "options": options}
    return y.tracer.record(_POWER, answer, own, marks, values, kwargs, y.space, True)
