"""Whether anything is left to gain where a run ends: the model's promise, and a second look around."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from nnx.backend import device_of, namespace
from nnx.optimizers.descent.evaluation import Evaluation, precision
from nnx.optimizers.descent.third_look import lower_point
from nnx.optimizers.problem import read

Array = Any

#: Units of rounding of the cost that a promised fall may have and still be nothing
_ROUNDING = 10.0
#: ... and one that a second look in another direction finds: the model's errors are not those of the look
_LOOSE = 10.0 * _ROUNDING
#: A step of so many units of rounding of each variable moves nothing
_STILL = 4.0
#: Differences of values that are so many times their rounding are known to about three digits
_VISIBLE = 1e3
#: A variable whose entry of the gradient changes by no more than this share of it has shown no curvature
_UNBENT = 0.05
#: Where its own look leads too far, it becomes shorter: by this factor, so often
_SHORTER, _TRIES = 1e-6, 25


class Outlook(NamedTuple):
    """The parabola along a descent direction: the step to its minimum, and the fall that it promises there.

    ``missed`` says by how much the values near that step are not those of the parabola (NaN: none was seen),
    ``flat`` whether they are all the same.
    """

    step: Array
    fall: float
    missed: float = math.nan
    flat: bool = False


class Verdict(NamedTuple):
    """Whether this is a minimum as far as can be told, why, in words, and a lower point where one was met."""

    success: bool
    words: str
    lower: Evaluation | None = None


def verdict(here: Evaluation, outlook: Outlook | None, largest: float) -> Verdict:
    """Whether nothing is left to gain at ``here``, where the gradient is not zero.

    Two things must say so. First the method's own model, ``outlook`` (None: it has none): the fall that it
    promises is below the rounding of the cost, or its step below the rounding of each variable. The rounding
    of a cost that is a small difference of larger terms is not that of its value: there the parabola must
    hold farther out, though the values near by deny it (``largest``, a magnitude that the cost had, says how
    far out).
    Then a second look, one more gradient, in the direction of steepest descent in the variables' own units:
    the model may know nothing of it, or have learned it elsewhere. Where that agrees, a third one in further
    directions, by products with the Hessian, where these are exact (third_look.py).
    """
    rounding = lost(here, largest)
    if outlook is None:
        return _second_look(here, None, rounding, 0.0, largest)
    # values that are visibly others say that the model does not know how far to go
    known = outlook.fall > 0.0 and not outlook.missed > _VISIBLE * _eps(here) * largest
    times = math.sqrt(100.0 * rounding / outlook.fall) if known else 0.0
    if outlook.fall <= _ROUNDING * rounding or _share(outlook.step, here.sizes) <= _STILL * _eps(here):
        return _second_look(here, outlook, rounding, times, largest)
    if math.isnan(outlook.missed):
        fell = here.cost - here.neighbour(here.w + outlook.step).cost
        outlook = outlook._replace(missed=abs(fell - outlook.fall), flat=fell == 0.0)
    hidden = 0.5 * outlook.fall <= outlook.missed < math.inf
    times = _parabola_farther_out(here, outlook, largest) if hidden else 0.0
    if not times:
        return Verdict(False, f"a step promises a fall of {outlook.fall:.1e} from {here.cost:.6g}")
    return _second_look(here, outlook, outlook.missed, times, largest)


def lost(here: Evaluation, largest: float) -> float:
    """Up to where differences of the cost at ``here`` are nothing: its rounding.

    Nor is there anything below a cost whose squares underflow, if it is also below the fourth power of the
    rounding of what it was (``largest``): where the minimum is 0, at x = 0, rounding alone never ends a run.
    """
    eps, least = precision(here.w)
    return max(eps * abs(here.cost), min(least, eps**4 * largest))


def _eps(here: Evaluation) -> float:
    return precision(here.w).eps


def _share(step: Array, sizes: Array) -> float:
    """The largest entry of ``step`` relative to that of ``sizes``; 0/0 is 0."""
    xp = namespace(step)
    step = xp.abs(step)
    part = step / xp.where(sizes > 0.0, sizes, xp.ones_like(sizes))
    return read(xp.max(xp.where((sizes > 0.0) | (step == 0.0), part, xp.full_like(part, math.inf))))[0]


def _parabola_farther_out(here: Evaluation, outlook: Outlook, largest: float) -> float:
    """How many steps away value and slope are those of the parabola, in two tries; 0: they are not."""
    # where all values near by are the same, they do not tell their rounding: that of ``largest`` may be it
    for noise in (outlook.missed, _eps(here) * largest)[: 1 + outlook.flat]:
        ratio = 1e4 * noise / outlook.fall if outlook.fall > 0.0 else math.inf
        if not 0.0 < ratio < math.inf:
            continue
        times = max(10.0, math.sqrt(ratio))
        there = here.neighbour(here.w + times * outlook.step).compute()
        if not there.finite:
            continue
        slope, end = -2.0 * outlook.fall, there.slope(outlook.step)
        curvature, change = (end - slope) / times, 0.5 * times * (slope + end)
        # the slopes at hand may be rounding in their greater part
        bends = 0.1 <= curvature / (2.0 * outlook.fall) <= 10.0
        # a wrong gradient of the right curvature would miss by ``times`` as much as near by
        misses = abs(there.cost - here.cost - change)
        if bends and misses <= max(1e-3 * abs(change), 3.0 * outlook.missed) <= 0.1 * abs(change):
            return times
    return 0.0


def _second_look(
    here: Evaluation, outlook: Outlook | None, rounding: float, times: float, largest: float
) -> Verdict:
    """The curvature in the direction −gᵢsᵢ², s the sizes of the variables, and what it leaves to gain.

    The point is a few millionths of the sizes away. A variable next to 0, compared with its step in the
    model, has no size of its own: there it is ``times`` that step, which the rounding of the gradient does
    not hide. Variables whose entries of the gradient nearly stay as they are have shown no curvature of
    their own, whatever size was taken: they get another look (:func:`_unsized_gain_nothing`).
    """
    xp, eps, unit = namespace(here.w), _eps(here), here.norm
    near, sizes = eps ** (1.0 / 3.0), here.sizes
    if outlook is not None and 0.0 < times < math.inf:
        step = xp.abs(outlook.step)
        sizes = xp.where(step > near * sizes, xp.maximum(sizes, (times / near) * step), sizes)
    longest = read(xp.max(sizes))[0] or 1.0
    known = xp.where(sizes > 0.0, sizes / longest, xp.ones_like(sizes))
    g = here.projected_gradient / unit
    inclined = g * known
    steepest = read(xp.max(xp.abs(inclined)))[0]
    inclined, known = (inclined / steepest, known) if steepest > 0.0 else (g, xp.ones_like(g))
    there = here.neighbour(here.w - (near * longest) * inclined * known).compute()
    if not there.finite:
        return Verdict(False, "cost or gradient are not finite near by")
    moved = there.w - here.w
    change = there.gradient / unit - here.gradient / unit
    unbent = (g != 0.0) & (xp.abs(change) <= _UNBENT * xp.abs(g))
    slope, bend, unsized = read(
        xp.vecdot(g, moved), xp.vecdot(change, moved), xp.astype(xp.any(unbent), g.dtype)
    )
    promise = "" if outlook is None else f"the model promises a fall of {outlook.fall:.1e}, "
    if not (slope < 0.0 < bend):
        return Verdict(False, f"{promise}the slope does not become less along the negative gradient")
    times = -slope / bend
    fall = 0.5 * times * unit * -slope
    step = times * _share(moved, here.sizes)
    if fall <= _LOOSE * rounding or step <= eps ** (2.0 / 3.0):
        if unsized and not _unsized_gain_nothing(here, unbent, rounding):
            return Verdict(False, "a variable that hardly bends the cost here may have far to go: scale it")
        # residuals that are rounding of what they were are small enough
        enough = max(_LOOSE * rounding, eps * eps * largest)
        if (lower := lower_point(here, known, longest, enough)) is not None:
            return Verdict(False, f"a step in another direction lowers it to {lower.cost:.6g}", lower)
        return Verdict(True, f"{promise}a second look {fall:.1e}, of {here.cost:.6g}")
    return Verdict(False, f"a second look promises a fall of {fall:.1e} from {here.cost:.6g}")


def _unsized_gain_nothing(here: Evaluation, unbent: Array, rounding: float) -> bool:
    """Whether the variables ``unbent``, whose sizes do not tell how far they go, have nothing to gain.

    Each moves as far as its slope takes to promise a fall that counts, or, where that is too far for a
    parabola, as far as its entry of the gradient takes to change.
    """
    xp, eps, g, enough = namespace(here.w), _eps(here), here.projected_gradient, _LOOSE * rounding
    slope = xp.where(unbent, xp.abs(g), xp.ones_like(g))
    length = xp.minimum(2.0 * enough / slope, xp.ones_like(g) / precision(here.w).least)
    step, shorter = xp.where(unbent, -xp.sign(g) * length, xp.zeros_like(g)), 1.0
    for _ in range(_TRIES):
        there = here.neighbour(here.w + shorter * step).compute()
        if there.finite:
            moved = there.w - here.w
            bend = xp.sign(moved) * (there.gradient - here.gradient) / slope
            promise, seen = 0.5 * xp.abs(g * moved), bend > math.sqrt(eps)
            # ... or a bound, or the rounding of the variable, leaves no such step
            nothing = ~unbent | (seen & (promise <= enough * bend)) | (promise <= 0.5 * shorter * enough)
            good, visible = read(
                xp.min(xp.astype(nothing, g.dtype)), xp.max(xp.astype(unbent & seen, g.dtype))
            )
            if good and here.cost - there.cost <= enough:
                return True
            if not visible:
                return False
        shorter *= _SHORTER
    return False


def stationary(here: Evaluation, arrived: bool) -> Verdict:
    """The verdict where the gradient is zero: no saddle, and no plateau on which the run began.

    Two looks: in all variables at once, and in those alone in which the gradient then leads away.
    """
    xp = namespace(here.w)
    n = here.w.shape[0]
    if not n:
        return Verdict(True, "There are no variables")
    sizes = here.sizes
    longest = read(xp.max(sizes))[0] or 1.0
    sizes = xp.where(sizes > 0.0, sizes, longest * xp.ones_like(sizes))
    turn = xp.cos(1.7 * xp.arange(n, dtype=here.w.dtype, device=device_of(here.w)) + 0.5)
    # what a bound holds has a gradient, and stays
    d = xp.where(here.gradient == 0.0, _eps(here) ** (1.0 / 3.0) * sizes * turn, xp.zeros_like(sizes))
    held = not read(xp.max(xp.abs(d)))[0] > 0.0
    bends = []
    for _ in range(2):
        there = here.neighbour(here.w + d).compute()
        moved = there.w - here.w
        product = (there.gradient - here.gradient) * moved
        total, least, most = read(xp.sum(product), xp.min(product), xp.max(xp.abs(product)))
        if not there.finite or total < 0.0:
            return Verdict(
                False, "The gradient is zero, but the cost curves down: this is a saddle or a maximum"
            )
        bends.append(most)
        if not least < 0.0:
            break
        d = xp.where(product < 0.0, moved, xp.zeros_like(moved))
    if bends[0] == 0.0 and not arrived and not held:
        return Verdict(False, "The gradient is zero, and so is the curvature: no variable has influence here")
    return Verdict(True, "The gradient is zero")


def contradiction(here: Evaluation, p: Array, slope: float, alpha: float) -> str:
    """Two values, at ±αp, against the slope along p: in words, that a gradient is not theirs; else empty."""
    ahead, back = (here.neighbour(here.w + sign * alpha * p).cost for sign in (1.0, -1.0))
    rises = (ahead - here.cost) / alpha / slope, (here.cost - back) / alpha / slope
    if not all(map(math.isfinite, rises)) or ahead == here.cost:
        return ""
    visible = alpha * abs(slope) > _VISIBLE * _eps(here) * abs(here.cost)
    agree = abs(rises[0] - rises[1]) <= 0.2 * max(abs(rises[0]), abs(rises[1]))
    mean = 0.5 * (rises[0] + rises[1])
    if not (visible and agree and abs(mean - 1.0) > 0.3):
        return ""
    return (
        "The given jac contradicts the function: along the step the slope is "
        f"{mean * slope:.3g} by differences of values, and {slope:.3g} by jac."
    )
