"""The net under training: a step that would spoil the weights is found, and good weights are put back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from nnx.backend import to_numpy
from nnx.errors import NonFiniteError
from nnx.models.trainer import Trainer
from nnx.optimizers import Point
from nnx.optimizers.problem import read
from nnx.options import built_in

#: Steps between two checks, where reading a number waits for the device.
CHECK_EVERY = 64
#: Up to this norm neither a step nor the weights can overflow; beyond it they are checked.
_CALM = 1e3


class Guard:
    """``with Guard(trainer) as guard:`` around steps that it judges and checks; an error leaves good weights.

    Weights are good if they, the optimizer's state and the cost are finite. Where reading a number waits for
    the device, they are checked and copied every 64 steps; elsewhere copied only before a step long enough
    to overflow (the learning rate times the gradient is large), and checked after it. So training needs no
    permanent copy; the gradient is always checked.

    Where an error or Ctrl-C finds weights that are not good, the copy takes their place (both vectors: what
    is trained, and running statistics), and the optimizer's averages start anew.
    """

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._free = trainer.weights.backend.adapter.reads_are_free
        self._steps = 0
        self._copy: tuple[Any, Any] | None = None
        # Of a rule or a constraint that is a user's own nothing is known: each step may be long.
        rules = (trainer.optimizer, *(w.constraint for _, w in trainer.weights.network.constrained))
        self._wary = not all(map(built_in, rules))

    def __enter__(self) -> Guard:
        if self._trainer.first_order and not self._free:
            self._keep()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or self._copy is None or self._trainer.retired:
            return
        if isinstance(error, NonFiniteError) or not self._good():
            self._trainer.go_back(*self._copy)
            error.add_note("  the last good weights are back, and the optimizer's state starts anew")

    def judge(self, point: Point) -> None:
        """Before a step of first order: NonFiniteError for a point that would spoil the weights.

        Where reading is free; elsewhere :meth:`check` finds it later. Copies the weights before a long step.
        """
        if not self._free:
            return
        gradient = point.gradient  # which computes the value as well
        if not math.isfinite(point.value):
            raise NonFiniteError(f"The loss became {float(point.value)}.")
        squares = gradient @ gradient
        if not math.isfinite(squares) and not self._all_finite(gradient):
            raise NonFiniteError("The gradient of the loss has NaN or infinite entries.")
        if not self.is_calm(self._trainer.optimizer.rate(self._trainer.state), point.value, squares):
            self._keep()

    def is_calm(self, rate: float, value: Any, squares: Any) -> bool:
        """Whether a step at this rate cannot overflow: ``squares`` is the squared norm of the gradient."""
        if self._wary or not self._free or not math.isfinite(value):
            return False
        rate = max(rate, 1e-6)
        decays = rate * (getattr(self._trainer.optimizer, "weight_decay", None) or 0.0)
        # a decay by more than twice a weight makes it grow
        return decays <= 2.0 and rate * rate * max(float(squares), 1.0) <= _CALM * _CALM

    def check(self, totals: Mapping[str, float], now: bool = False) -> None:
        """After a step: where a check is due, or ``now``, NonFiniteError if the weights are not good."""
        self._steps += 1
        due = self._copy is not None if self._free else self._steps % CHECK_EVERY == 0
        if not self._trainer.first_order or not (due or now):
            return
        if not (math.isfinite(totals["loss"]) and self._good()):
            since = "in this step" if self._free else f"within the last {CHECK_EVERY} steps"
            raise NonFiniteError(
                f"The loss, the weights or the optimizer's state became NaN or infinite {since} (mean loss "
                f"of the epoch so far: {totals['loss']:g}). Take a smaller learning rate, or clipnorm=1.0."
            )
        self._copy = None
        if not self._free and not now:
            self._keep()

    def _keep(self) -> None:
        self._copy = self._trainer.weights.copy_of()

    def _all_finite(self, vector: Any) -> bool:
        xp = self._trainer.weights.backend.xp
        return bool(to_numpy(xp.all(xp.isfinite(vector))))

    def _good(self) -> bool:
        trainer, xp = self._trainer, self._trainer.weights.backend.xp
        if trainer.retired:
            return True  # others by now
        own = (trainer.weights.trained, trainer.weights.state, *trainer.state.vectors().values())
        vectors = [xp.reshape(v, (-1,)) for v in own]
        if read(sum(v @ v for v in vectors))[0] <= _CALM * _CALM:
            return True
        if not all(map(self._all_finite, vectors)):
            return False
        try:
            return math.isfinite(read(trainer.problem.at(trainer.weights.trained).value)[0])
        except Exception:  # an error is being raised already, by what is called here again
            return False
