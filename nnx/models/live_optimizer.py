"""The optimizer of a compiled model, as users see it: its present learning rate and number of steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from typing import Any

from nnx.models.trainer import Trainer
from nnx.options import Number

_STEPS = Number(least=0, whole=True)


class LiveOptimizer:
    """``model.optimizer``: the optimizer that ``compile`` was given, at the present state of training.

    ``learning_rate`` is that of the next step and ``iterations`` the number of steps made; both can be
    assigned to. Everything else is the optimizer's own (``isinstance`` holds): it stays as it was made.

    >>> model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(2,))])
    >>> model.compile(nnx.optimizers.SGD(0.1), "mse")
    >>> _ = model.fit(np.ones((64, 2)), np.ones(64), verbose=0)
    >>> model.optimizer.learning_rate = 0.05
    >>> model.optimizer.learning_rate, model.optimizer.iterations
    (0.05, 2)
    """

    def __init__(
        self, optimizer: Any, trainer: Callable[[], Trainer | None], exchange: Callable[[Any], None]
    ) -> None:
        vars(self).update(_optimizer=optimizer, _trainer=trainer, _exchange=exchange)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self._optimizer)

    def __getattr__(self, name: str) -> Any:
        if name in ("_optimizer", "_trainer", "_exchange"):  # not there yet, in a copy for example
            raise AttributeError(name)
        return getattr(self._optimizer, name)

    @property
    def configured(self) -> Any:
        """The optimizer as ``compile`` was given it."""
        return self._optimizer

    @property
    def learning_rate(self) -> Any:
        """The learning rate of the next step."""
        trainer = self._trainer()
        if trainer is not None:
            return trainer.learning_rate
        rate = self._optimizer.learning_rate
        return float(rate(0)) if callable(rate) else rate

    @property
    def iterations(self) -> int:
        """How many steps were made."""
        trainer = self._trainer()
        return 0 if trainer is None else int(trainer.state.step)

    def __setattr__(self, name: str, value: Any) -> None:
        trainer = self._trainer()
        if name == "learning_rate" and trainer is not None:
            trainer.learning_rate = value
        elif name == "learning_rate":
            self._optimizer.constant_rate(value)
            self._exchange(replace(self._optimizer, learning_rate=value))
        elif name == "iterations" and trainer is not None:
            trainer.state.step = _STEPS("model.optimizer", "iterations", value)
        else:
            raise FrozenInstanceError(
                f"'{name}' of the optimizer cannot be set: it stays as it was made. Assign learning_rate or "
                "iterations; for anything else call model.compile with another optimizer."
            )

    def __eq__(self, other: object) -> bool:
        return bool(self._optimizer == getattr(other, "_optimizer", other))

    def __hash__(self) -> int:
        return hash(self._optimizer)

    def __repr__(self) -> str:
        return repr(self._optimizer)

    def __reduce__(self) -> Any:
        return self._optimizer.__reduce__()
