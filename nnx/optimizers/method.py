"""What every method shares: the check of the weights, and a state that is made from a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from nnx.backend import namespace
from nnx.errors import DtypeError, FileFormatError, ShapeError
from nnx.optimizers.options import Options
from nnx.optimizers.problem import Problem
from nnx.optimizers.state import State, restored

Array = Any


class Method(Options):
    """Base class of all optimizers: a frozen dataclass of options that makes states and steps."""

    kind: ClassVar[str] = "optimizer"
    #: scalars of a state that not every checkpoint has
    optional_numbers: ClassVar[frozenset[str]] = frozenset()

    def init(self, problem: Problem, w: Array) -> State:
        """The state before the first step on the weights ``w``."""
        raise NotImplementedError(f"{type(self).__name__} must say its first state.")

    def restore(
        self, problem: Problem, w: Array, vectors: Mapping[str, Array], numbers: Mapping[str, int | float]
    ) -> State:
        """The state of a checkpoint, that is, of what ``state.vectors()`` and ``state.numbers()`` returned.

        The arrays are copied to the device and the type of ``w``. Raises
        :class:`nnx.errors.FileFormatError` for the state of another method, or of other options.
        """
        state = self.init(problem, w)
        own, known = state.vectors(), state.numbers()
        missing = [*(own.keys() - vectors.keys()), *(known.keys() - numbers.keys())]
        foreign = [
            *(vectors.keys() - own.keys()),
            *(numbers.keys() - known.keys() - self.optional_numbers),
        ]
        if missing or foreign:
            raise FileFormatError(
                f"This is not a state of {type(self).__name__} with these options: "
                f"it lacks {sorted(missing) or 'nothing'}, and {sorted(foreign) or 'nothing'} in it has no "
                "place."
            )
        for name, mine in own.items():
            # a cost keeps the type that it was saved in
            dtype = mine.dtype if name in state.slots or len(mine.shape) else None
            saved = restored(name, vectors[name], mine, dtype)
            (state.slots if name in state.slots else state.memory)[name] = saved
        state.take_numbers(numbers)
        return state

    def check_weights(self, problem: Problem, w: Array) -> None:
        """Raises a :class:`nnx.errors.NnxError` for weights that are no vector of a floating-point type."""
        name = type(self).__name__
        if len(w.shape) != 1:
            raise ShapeError(f"{name} needs the weights as one vector, got shape {tuple(w.shape)}.")
        if not namespace(w).isdtype(w.dtype, "real floating"):
            raise DtypeError(f"{name} needs weights of a floating-point type, got {w.dtype}.")
        layout = getattr(problem, "layout", None)
        if layout is not None and layout.size != w.shape[0]:
            raise ShapeError(f"The layout names {layout.size} weights, the vector has {w.shape[0]}.")
