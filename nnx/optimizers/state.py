"""What an optimizer remembers between two steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nnx.backend import adapter_of, device_of, namespace, to_numpy
from nnx.errors import FileFormatError, ShapeError
from nnx.options import Number

Array = Any


@dataclass
class State:
    """The memory of an optimizer. Steps write into it in place: who made it owns it.

    ``step`` ≥ 0 counts the steps made. ``learning_rate`` ≥ 0, where it is not None, replaces the optimizer's
    own from the next step on (callbacks set it). ``slots`` are the vectors that the rule updates (momentum,
    moving averages), ``memory`` other arrays (the average of the weights is ``memory["ema"]``), ``values``
    floats. ``plan``: options prepared for these weights. ``point``: the last evaluated point. Neither is
    saved.

    A checkpoint is ``vectors()`` (arrays, live ones) and ``numbers()``; the optimizer's ``restore`` makes a
    state of them with which training goes on bit for bit.

    >>> problem, w = nnx.optimizers.FunctionProblem(lambda w: np.sum(w * w)), np.asarray([1.0, 2.0])
    >>> state = nnx.optimizers.SGD(0.1, momentum=0.9).init(problem, w)
    >>> state.vectors(), state.numbers()
    ({'momentum': array([0., 0.])}, {'step': 0})
    >>> state.take_numbers({"step": 7})
    >>> state.step
    7
    """

    plan: Any
    slots: dict[str, Array]
    memory: dict[str, Array] = field(default_factory=dict)
    values: dict[str, float] = field(default_factory=dict)
    step: int = 0
    learning_rate: float | None = None
    point: Any = None

    def vectors(self) -> dict[str, Array]:
        """Every array of the state by its name."""
        return self.slots | self.memory

    def numbers(self) -> dict[str, int | float]:
        """Every scalar of the state by its name."""
        found: dict[str, int | float] = {"step": self.step, **self.values}
        if self.learning_rate is not None:
            found["learning_rate"] = self.learning_rate
        return found

    def take_numbers(self, numbers: Mapping[str, int | float]) -> None:
        """Sets what :meth:`numbers` returned; :class:`nnx.errors.FileFormatError` for values out of range."""
        given = dict(numbers)
        step, rate = given.pop("step"), given.pop("learning_rate", None)
        known = rate is None or Number(least=0.0).allows(rate)
        if not known or not Number(least=0, whole=True).allows(step):
            raise FileFormatError(
                f"A state has a step and a learning rate >= 0, not step={step!r}, learning_rate={rate!r}."
            )
        self.step, self.learning_rate = int(step), rate
        self.values = {name: float(given[name]) for name in self.values}


def restored(name: str, saved: Any, own: Array, dtype: Any) -> Array:
    """A copy of a checkpoint's array on the device of ``own``, the array of a new state that it replaces."""
    xp, adapter = namespace(own), adapter_of(own)
    found = xp.asarray(adapter.asarray(saved, dtype=dtype, device=device_of(own)), copy=True)
    if tuple(found.shape) != tuple(own.shape):
        raise ShapeError(f"'{name}' must have shape {tuple(own.shape)}, got {tuple(found.shape)}.")
    if to_numpy(xp.any(xp.isfinite(own) & ~xp.isfinite(found))):
        raise FileFormatError(f"'{name}' of the optimizer's state has NaN or infinite entries.")
    return found
