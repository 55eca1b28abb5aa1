"""Rules that see one weight array at a time, in its shape: norms, rows and columns, matrix products."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from nnx.backend import device_of, namespace
from nnx.backend.programs import without_aliases
from nnx.optimizers.first_order.base import FirstOrder, Rule
from nnx.optimizers.first_order.update import Plan, make_plan, matching
from nnx.optimizers.problem import Problem
from nnx.optimizers.state import State
from nnx.parameters import Layout

Array = Any
Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class ArrayPlan(Plan):
    """A plan for one weight array, whose rule is no function of single entries."""

    #: the shapes of the array and of its slots
    shape: Shape = ()
    slot_shapes: tuple[Shape, ...] = ()

    def run(
        self,
        read: tuple[Array, ...],
        write: tuple[Array, ...],
        rate: float,
        step: int,
        scalars: tuple[float, ...],
    ) -> None:
        shapes = (self.shape,) * (len(read) - len(self.slot_shapes)) + self.slot_shapes
        xp = namespace(*read)
        arrays = [xp.reshape(vector, shape) for vector, shape in zip(read, shapes, strict=True)]
        own = () if self.plain else self.scalars(rate, step)
        store(self.function, arrays, write, (*own, *scalars))


def store(
    function: Callable[..., Any], read: Sequence[Array], write: Sequence[Array], scalars: Sequence[float]
) -> None:
    """Evaluates ``function(xp, *read, *scalars)`` of whole arrays, and stores its results as vectors."""
    xp = namespace(*read)
    # All results are there before the first is stored: ``read`` may be views of the same buffers.
    results = without_aliases(xp, function(xp, *read, *scalars), read)
    for target, result in zip(write, results, strict=True):
        target[...] = xp.reshape(result, (-1,))


class Place(NamedTuple):
    """One weight array: its plan, where it lies in vectors like the weights, and where in each slot."""

    plan: Plan
    weights: slice
    slots: tuple[slice, ...]


@dataclass(frozen=True, eq=False)
class PlanOfArrays(Plan):
    """A plan that is a plan for each weight array."""

    places: tuple[Place, ...] = ()

    def run(
        self,
        read: tuple[Array, ...],
        write: tuple[Array, ...],
        rate: float,
        step: int,
        scalars: tuple[float, ...],
    ) -> None:
        own = [next(i for i, vector in enumerate(read) if vector is out) for out in write]
        for plan, weights, slots in self.places:
            parts = (weights,) * (len(read) - len(slots)) + slots
            pieces = tuple(vector[part] for vector, part in zip(read, parts, strict=True))
            plan.run(pieces, tuple(pieces[i] for i in own), rate, step, scalars)


@dataclass(frozen=True)
class PerArray(FirstOrder):
    """Base class of optimizers whose rule needs a whole weight array: w, slots ← rule(w, g, slots) for each.

    As in :class:`nnx.optimizers.FirstOrder` a subclass says ``slots``, ``scalars`` and its rule, a pure
    function ``(xp, w, g, *slots, *scalars)`` → ``(w, *slots)``. Here it is called once for each weight array
    and not for blocks of a vector, so it may use all of the standard: sums, means, matrix products. It gives
    new arrays, or some as they were given, but no views of these. Without a layout the weights are one array.

    Where arrays of other names or shapes need other rules, the subclass says so in :meth:`rule_of`; where a
    slot has another shape than its array, in :meth:`slot_shape`; and :meth:`decay_of` is the weight decay.

    Clipping, weight decay, masks and the average are those of every optimizer. Where a mask holds a part of
    an array, the rule sees zero gradients there, and the moves that it makes there are left out; norms and
    means are those of the whole array.

    >>> from dataclasses import dataclass
    >>> def unit_step(xp, w, g, rate):
    ...     return (w - rate * g / xp.linalg.vector_norm(g),)
    >>> @dataclass(frozen=True)
    ... class Normalised(nnx.optimizers.PerArray):
    ...     @property
    ...     def rule(self):
    ...         return unit_step
    >>> one = {"maxiter": 1}
    >>> nnx.minimize(lambda w: np.sum(w * w), [3.0, 4.0], method=Normalised(1.0), options=one).x.round(6)
    array([2.4, 3.2])
    """

    # -- what a subclass may say ----------------------------------------------------------------------

    def rule_of(self, name: str, shape: Shape) -> Rule:
        """The rule of the weight array with this name (without a layout: "") and shape."""
        return self.rule

    def slot_shape(self, slot: str, name: str, shape: Shape) -> Shape:
        """The shape of a slot of that weight array; ``(0,)`` where it needs none."""
        return shape

    def decay_of(self, name: str, shape: Shape) -> float | None:
        """The weight decay of that weight array, if it is not excluded."""
        return self.weight_decay

    def elementwise(self, name: str, shape: Shape) -> bool:
        """Whether that weight array's rule is one of single entries, which can run as one fused kernel."""
        return False

    # -- the protocol ---------------------------------------------------------------------------------

    def init(self, problem: Problem, w: Array) -> State:
        self.check_weights(problem, w)
        xp, layout = namespace(w), problem.layout or Layout(("",), (tuple(w.shape),))
        of_slots = {slot: self._layout_of(slot, layout) for slot in self.slots()}
        slots = {
            slot: xp.full((of_slots[slot].size,), fill, dtype=w.dtype, device=device_of(w))
            for slot, fill in self.slots().items()
        }
        plan = self._plan(problem, w, layout, tuple(of_slots.values()))
        return State(plan, slots, {"ema": xp.asarray(w, copy=True)} if self.use_ema else {})

    def _layout_of(self, slot: str, layout: Layout) -> Layout:
        arrays = zip(layout.names, layout.shapes, strict=True)
        return Layout(layout.names, tuple(self.slot_shape(slot, name, shape) for name, shape in arrays))

    def _plan(self, problem: Problem, w: Array, layout: Layout, of_slots: tuple[Layout, ...]) -> Plan:
        made = make_plan(self, problem, w)
        whole = {f.name: getattr(made, f.name) for f in fields(made)} | {"decays": None}
        places = []
        for i, decay in enumerate(self._decays(problem, layout)):
            name, shape, options = layout.names[i], layout.shapes[i], whole | {"decay": decay}
            if 0 in shape:
                continue  # an array without entries has no norm
            if self.elementwise(name, shape):
                plan = Plan(**options)
            else:
                plan = ArrayPlan(**options, shape=shape, slot_shapes=tuple(own.shapes[i] for own in of_slots))
            plan = plan.around(self.rule_of(name, shape), len(of_slots))
            places.append(Place(plan, layout.slices[i], tuple(own.slices[i] for own in of_slots)))
        # What remains of the whole is what comes before the arrays: vectors of masks, and clipping by norm.
        plain = all(place.plan.plain for place in places)
        return PlanOfArrays(**whole | {"decay": None, "plain": plain, "places": tuple(places)})

    def _decays(self, problem: Problem, layout: Layout) -> list[float | None]:
        """The weight decay of each array."""
        arrays = zip(layout.names, layout.shapes, strict=True)
        decays = [self.decay_of(name, shape) for name, shape in arrays]
        excluded = self.exclude_from_weight_decay
        if not excluded or all(decay is None for decay in decays):
            return decays
        option = f"{type(self).__name__}: exclude_from_weight_decay"
        spared = matching(option, excluded, problem.layout)
        return [None if spare else decay for spare, decay in zip(spared, decays, strict=True)]
