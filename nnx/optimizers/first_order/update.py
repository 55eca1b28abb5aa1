"""What is done around the rule of every first-order optimizer: clipping, weight decay, masks, the average.

The order is Keras': the gradient is clipped, the weights decay, the rule moves them, the average follows.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from operator import is_
from typing import Any

from nnx.backend import adapter_of, device_of, namespace
from nnx.errors import OptionError, ShapeError
from nnx.parameters import Layout

Array = Any


@dataclass(frozen=True)
class Update:
    """The elementwise function of a whole step: the rule, and around it what was asked for.

    Called as ``update(xp, w, g, *own vectors, *the rule's vectors, *own scalars, *the rule's scalars)``, the
    own ones in the order of the fields below; returns the new w, the new slots and the new average. Two equal
    updates are one function, so that a backend which compiles them does so once.
    """

    rule: Callable[..., Any]
    rule_vectors: int
    masked: bool = False  # vector: True where weights move
    excluded: bool = False  # vector: True where weights decay
    averaged: bool = False  # vector: the average; last of the own scalars: how much of it is kept
    bounded: bool = False  # scalars: the bounds of clipping by value, upper and lower
    decayed: bool = False  # scalar: what part of a weight decays

    def __call__(self, xp: Any, w: Array, g: Array, *rest: Any) -> tuple[Array, ...]:
        given = iter(rest)
        moves: Array = next(given) if self.masked else None
        decays: Array = next(given) if self.excluded else None
        average: Array = next(given) if self.averaged else None
        vectors = [next(given) for _ in range(self.rule_vectors)]
        bound, below = (next(given), next(given)) if self.bounded else (None, None)
        decay: Any = next(given) if self.decayed else None
        keep: Any = next(given) if self.averaged else None

        if self.masked:
            g = xp.where(moves, g, 0.0)
        if self.bounded:
            g = xp.maximum(xp.minimum(g, bound), below)
        start = w
        if self.excluded:
            start = xp.where(decays, w - decay * w, w)
        elif self.decayed:
            start = w - decay * w
        moved, *slots = self.rule(xp, start, g, *vectors, *given)
        if self.masked:
            moved = xp.where(moves, moved, w)
        if self.averaged:
            return moved, *slots, moved + keep * (average - moved)
        return moved, *slots


@dataclass(frozen=True, eq=False)
class Plan:
    """The options of an optimizer, made ready for one vector of weights."""

    function: Any = None
    plain: bool = True
    moves: Array = None
    decays: Array = None
    pieces: tuple[slice, ...] = ()
    norm: float | None = None
    bound: float | None = None
    decay: float | None = None
    ema_momentum: float | None = None
    #: the function of a whole step for the arrays of the last one, and these
    ready: dict[str, Any] = field(default_factory=dict, repr=False)

    def around(self, rule: Callable[..., Any], rule_vectors: int) -> Plan:
        """This plan with the function of a whole step: the rule, and around it what was asked for."""
        bare = Update(rule, rule_vectors)
        update = replace(
            bare,
            masked=self.moves is not None,
            excluded=self.decays is not None,
            averaged=self.ema_momentum is not None,
            bounded=self.bound is not None,
            decayed=self.decay is not None,
        )
        plain = update == bare
        return replace(self, function=rule if plain else update, plain=plain and self.norm is None)

    def run(
        self,
        read: tuple[Array, ...],
        write: tuple[Array, ...],
        rate: float,
        step: int,
        scalars: tuple[float, ...],
    ) -> None:
        """Evaluates the function of ``read`` and the rule's ``scalars``, into the vectors ``write``."""
        given = scalars if self.plain else (*self.scalars(rate, step), *scalars)
        arrays = (*read, *write)
        known = self.ready.get("arrays", ())
        if len(known) != len(arrays) or not all(map(is_, known, arrays)):  # they mostly are those of before
            move = adapter_of(write[0]).mapping(self.function, read, write, len(given))
            self.ready.update(arrays=arrays, move=move)
        self.ready["move"](given)

    def vectors(self, average: Array) -> tuple[Array, ...]:
        """The own vectors of :class:`Update`."""
        return tuple(v for v in (self.moves, self.decays, average) if v is not None)

    def scalars(self, rate: float, step: int) -> tuple[float, ...]:
        """The own scalars of :class:`Update`."""
        decay = None if self.decay is None else self.decay * rate
        keep = None if self.ema_momentum is None else self.ema_momentum if step else 0.0
        below = None if self.bound is None else -self.bound
        return tuple(s for s in (self.bound, below, decay, keep) if s is not None)

    def clipped(self, g: Array) -> Array:
        """The gradient g·limit/max(‖g‖, limit), piece by piece."""
        if self.norm is None:
            return g
        xp = namespace(g)
        if self.moves is not None:
            g = xp.where(self.moves, g, 0.0)
        pieces = [g[part] for part in self.pieces]
        norms = xp.sqrt(xp.stack([piece @ piece for piece in pieces]))
        fits = norms < math.inf
        scales = xp.where(fits, self.norm / xp.maximum(norms, self.norm), math.nan)
        scaled = [scales[i] * piece for i, piece in enumerate(pieces)]
        if not adapter_of(g).reads_are_free or not bool(xp.all(fits)):
            scaled = [
                xp.where(fits[i], s, _of_norm(xp, piece, self.norm))
                for i, (s, piece) in enumerate(zip(scaled, pieces, strict=True))
            ]
        return scaled[0] if len(scaled) == 1 else xp.concat(scaled)


def _of_norm(xp: Any, g: Array, norm: float) -> Array:
    """``g`` scaled to this norm, though the square of its own may overflow; nan if an entry is not finite.

    So a gradient that is not finite stays visible: infinity would be clipped to zero.
    """
    top = xp.max(xp.abs(g))
    finite = top < math.inf
    unit = g / xp.where(finite, xp.maximum(top, float(xp.finfo(g.dtype).smallest_normal)), 1.0)
    return unit * xp.where(finite, norm / xp.sqrt(unit @ unit), math.nan)


def make_plan(optimizer: Any, problem: Any, w: Array) -> Plan:
    """The plan of a :class:`nnx.optimizers.FirstOrder` for the weights ``w``, still without a rule."""
    name = type(optimizer).__name__
    layout: Layout | None = problem.layout
    whole = slice(0, w.shape[0])
    excluded = optimizer.exclude_from_weight_decay if optimizer.weight_decay is not None else ()
    decays = None
    if excluded:
        option = f"{name}: exclude_from_weight_decay"
        decays = namespace(w).logical_not(mask_of_names(option, excluded, layout, w))
    return Plan(
        moves=_moving(name, optimizer.mask, problem, w),
        decays=decays,
        pieces=layout.slices if layout is not None and optimizer.clipnorm is not None else (whole,),
        norm=optimizer.clipnorm if optimizer.clipnorm is not None else optimizer.global_clipnorm,
        bound=optimizer.clipvalue,
        decay=optimizer.weight_decay,
        ema_momentum=optimizer.ema_momentum if optimizer.use_ema else None,
    )


def matching(option: str, patterns: Sequence[str], layout: Layout | None) -> tuple[bool, ...]:
    """Which pieces have a name that contains one of the patterns: one at least."""
    if layout is None:
        raise OptionError(
            f"{option}={patterns} names weights, but the weights of this problem have no names."
        )
    wanted = re.compile("|".join(patterns))
    found = tuple(wanted.search(name) is not None for name in layout.names)
    if not any(found):
        raise OptionError(f"{option}={patterns} matches none of the weights: {', '.join(layout.names)}.")
    return found


def mask_of_names(option: str, patterns: Sequence[str], layout: Layout | None, w: Array) -> Array:
    """A vector of bools like ``w``: True in the pieces whose name contains one of the patterns."""
    found, xp = matching(option, patterns, layout), namespace(w)
    pieces = [
        xp.full((part.stop - part.start,), match, dtype=xp.bool, device=device_of(w))
        for match, part in zip(found, layout.slices if layout else (), strict=True)
    ]
    return xp.concat(pieces)


def _moving(name: str, mask: Any, problem: Any, w: Array) -> Array:
    """True where weights move, by the option ``mask`` and by the problem's own; None if all do."""
    xp = namespace(w)
    own = getattr(problem, "mask", None)
    masks = [] if own is None else [_mask_vector("The problem's mask", own, w)]
    option = f"{name}: mask"
    if isinstance(mask, tuple):
        masks.append(mask_of_names(option, mask, problem.layout, w))
    elif mask is not None:
        masks.append(_mask_vector(option, mask, w))
    return None if not masks else masks[0] if len(masks) == 1 else xp.logical_and(*masks)


def _mask_vector(option: str, mask: Any, w: Array) -> Array:
    xp = namespace(w)
    vector = adapter_of(w).asarray(mask, device=device_of(w))
    if tuple(vector.shape) != tuple(w.shape):
        raise ShapeError(
            f"{option} must have the shape of the weights, {tuple(w.shape)}, got {tuple(vector.shape)}."
        )
    return xp.astype(vector, xp.bool, copy=False)
