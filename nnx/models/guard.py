"""The net under training: weights that a step has spoiled are put back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from nnx.backend import to_numpy
from nnx.errors import NonFiniteError, OptionError
from nnx.optimizers.problem import Info, read

if TYPE_CHECKING:
    from nnx.models.model import Model
    from nnx.models.objective import Batch, BatchProblem

#: Steps between two looks at the numbers, where looking waits for the device.
LOOK_EVERY = 64
#: Up to this norm neither a step nor the weights can make numbers overflow; beyond it they are looked at.
_CALM = 1e3


class Guard:
    """``with Guard(model, problem) as guard:`` steps, each followed by a look; an error leaves good weights.

    Good are weights that are finite, with a finite state of the optimizer and a finite cost. They are copied

    - where looking waits for the device: at the start, and after every so many steps, which are looked at;
    - where it is free: only before a step that is a leap (the learning rate times the gradient is large),
      which is looked at at once. So training needs no memory for copies; the gradient is always looked at.

    Where an error or Ctrl-C finds weights that are not good, the copy takes their place. The optimizer's
    averages are made of the numbers that were too large, so they start anew.
    """

    def __init__(self, model: Model, problem: BatchProblem) -> None:
        self._model = model
        self._problem = problem
        self._free = model.backend.adapter.reads_are_free
        self._steps = 0
        self._copy: Any = None
        # Of a rule or a constraint that is a user's own nothing is known: each step may be a leap.
        rules = (model.optimizer, *(weight.constraint for _, weight in model.network.constrained))
        self._wary = not all(map(_known, rules))

    def __enter__(self) -> Guard:
        if self._problem.strict and self._free:
            self._problem.watch = self._watch
        elif self._problem.strict:
            self._keep()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._problem.watch = None
        if error is None or self._copy is None:
            return
        if isinstance(error, NonFiniteError) or not self._good():
            self._go_back()
            error.add_note("  the last good weights are back, and the optimizer's state starts anew")

    def step(self, batch: Batch) -> Info:
        """One step of the optimizer."""
        model = self._model
        if model._kept_problem is not self._problem:
            self._copy = None
            raise OptionError(
                f"Model '{model.name}' was compiled, or its layers were changed, while it was trained (by a "
                "callback?). Do so before fit or after it; a callback can set model.learning_rate."
            )
        return model._step_on(self._problem, batch)

    def look(self, totals: Mapping[str, float], now: bool = False) -> None:
        """After a step: where a look is due, or ``now``, NonFiniteError if the weights are not good."""
        self._steps += 1
        due = self._copy is not None if self._free else self._steps % LOOK_EVERY == 0
        if not self._problem.strict or not (due or now):
            return
        if not (math.isfinite(totals["loss"]) and self._good()):
            since = "in this step" if self._free else f"within the last {LOOK_EVERY} steps"
            raise NonFiniteError(
                f"The loss, the weights or the optimizer's state became NaN or infinite {since} (mean loss "
                f"of the epoch so far: {totals['loss']:g}). Take a smaller learning rate, or clipnorm=1.0."
            )
        self._copy = None
        if not self._free and not now:
            self._keep()

    def _watch(self, squares: Any) -> None:
        """Before a step along a gradient with that square: keeps the weights if it is a leap."""
        model = self._model
        rate = max(model.optimizer.rate(model._state), 1e-6)
        decays = rate * (getattr(model.optimizer, "weight_decay", None) or 0.0)
        leap = not rate * rate * max(float(squares), 1.0) <= _CALM * _CALM
        if self._wary or leap or decays > 2.0:  # a decay by more than twice a weight makes it grow
            self._keep()

    def _keep(self) -> None:
        self._copy = self._model.backend.xp.asarray(self._model._w, copy=True)

    def _good(self) -> bool:
        model, xp = self._model, self._model.backend.xp
        if model._kept_problem is not self._problem:
            return True  # others by now
        vectors = [xp.reshape(v, (-1,)) for v in (model._w, *model._state.vectors().values())]
        if read(sum(v @ v for v in vectors))[0] <= _CALM * _CALM:
            return True
        if not all(to_numpy(xp.all(xp.isfinite(v))) for v in vectors):
            return False
        try:
            return math.isfinite(read(self._problem.at(model._w).value)[0])
        except Exception:  # an error is being raised already, by what is called here again
            return False

    def _go_back(self) -> None:
        model, before = self._model, self._model._state
        model._w[...] = self._copy
        model._state = model.optimizer.init(self._problem, model._w)
        model._state.step, model._state.learning_rate = before.step, before.learning_rate
        model._gradient = None


def _known(thing: Any) -> bool:
    """Whether an optimizer or a constraint is one of nnx's own."""
    made = getattr(thing, "function", type(thing))
    return str(getattr(made, "__module__", "")).startswith("nnx.")
