"""Stopping rules: small gradient, goal reached, small step, time over, loss no longer finite.

With :class:`nnx.callbacks.EarlyStopping` and the number of epochs these are the rules of the lectures. Where
the optimizer uses all data at once an epoch is one iteration; with mini-batches it is many.
"""

from __future__ import annotations

import math
import time
from typing import Any

from nnx.backend import namespace, to_numpy
from nnx.callbacks.base import Callback, Logs, say
from nnx.callbacks.monitor import checked, lower_is_better, monitored
from nnx.errors import NonFiniteError, OptionError

#: where a norm is looked at
_HOOK = {"epoch": "on_epoch_end", "batch": "on_train_batch_end"}


class StoppingRule(Callback):
    """Base class: call ``self.stop(reason)`` in a hook.

    Afterwards ``stopped_epoch`` is the epoch (from 0) in which the rule stopped training and ``reason`` says
    why in words; both are None if it did not. ``verbose=1`` prints the reason.
    """

    def __init__(self, verbose: int = 0) -> None:
        self.verbose = verbose
        self.stopped_epoch: int | None = None
        self.reason: str | None = None
        self._epoch = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.stopped_epoch, self.reason = None, None

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch = epoch

    def stop(self, reason: str) -> None:
        """Ends training after this batch or epoch; only the first reason counts."""
        self.model.stop_training = True
        if self.reason is None:
            self.stopped_epoch, self.reason = self._epoch, reason
            if self.verbose:
                say(f"Epoch {self._epoch + 1}: training stopped: {reason}")


class _NormRule(StoppingRule):
    """A norm that is compared with a threshold after every epoch or every batch."""

    _what = ""

    def __init__(self, threshold: float, every: str = "epoch", verbose: int = 0) -> None:
        super().__init__(verbose)
        self.threshold = checked(self, "threshold", threshold, least=0.0)
        if every not in _HOOK:
            raise OptionError(f"{type(self).__name__}: every must be 'epoch' or 'batch', got {every!r}.")
        self.every = every
        #: the norm that was looked at last
        self.norm: float | None = None
        # The other hook stays the empty one of the base class, which training does not even call.
        setattr(self, _HOOK[every], self._check)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        super().on_train_begin(logs)
        self.norm = None

    def _check(self, number: int, logs: Any = None) -> None:
        vector = self._vector()
        if vector is None:
            return
        self.norm = float(to_numpy(namespace(vector).linalg.vector_norm(vector)))
        if self.norm <= self.threshold:
            self.stop(f"the norm of the {self._what} is {self.norm:.3g}, at most {self.threshold:g}.")

    def _vector(self) -> Any:
        raise NotImplementedError


class StopOnGradientNorm(_NormRule):
    """Stops when ‖∇E(w)‖ ≤ ``threshold`` (the Euclidean norm over all trained weights).

    The gradient is that of the last training step: with mini-batches an estimate from one of them.
    ``every="batch"`` looks after each step, which on a GPU waits for it; the default is after each epoch.
    ``norm`` is the last one seen.

    >>> rule = nnx.callbacks.StopOnGradientNorm(1e-6)
    """

    _what = "gradient"

    def _vector(self) -> Any:
        return self.model.gradient_vector


class StopOnStepNorm(_NormRule):
    """Stops when ‖w − w′‖ ≤ ``threshold``, where w′ are the weights at the previous look.

    ``every="epoch"`` (default) takes the change over a whole epoch, which is one iteration for an optimizer
    that uses all data at once; ``every="batch"`` takes that of each step, and on a GPU waits for it each
    time. It needs one more copy of the weights. ``norm`` is the last one seen.

    >>> rule = nnx.callbacks.StopOnStepNorm(1e-8)
    """

    _what = "change of the weights"

    def on_train_begin(self, logs: Logs | None = None) -> None:
        super().on_train_begin(logs)
        self._before = self._copy()

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._before = None

    def _copy(self) -> Any:
        w = self.model.weights_vector
        return namespace(w).asarray(w, copy=True)

    def _vector(self) -> Any:
        step = self.model.weights_vector - self._before
        self._before = self._copy()
        return step


class StopOnGoal(StoppingRule):
    """Stops when ``monitor`` has reached ``goal`` at the end of an epoch.

    ``mode`` says which way the number improves: ``"min"`` stops at value ≤ goal, ``"max"`` at value ≥ goal,
    ``"auto"`` tells from the name. Raises :class:`nnx.errors.OptionError` when ``monitor`` is not measured.

    >>> rule = nnx.callbacks.StopOnGoal(0.99, monitor="val_accuracy")
    """

    def __init__(self, goal: float, monitor: str = "loss", mode: str = "auto", verbose: int = 0) -> None:
        super().__init__(verbose)
        self.goal = checked(self, "goal", goal)
        self.monitor = monitor
        self.mode = mode
        self._lower = lower_is_better("StopOnGoal", monitor, mode)

    def before_training(self, of_batch: Logs, of_epoch: Logs) -> None:
        monitored("StopOnGoal", self.monitor, of_epoch)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        value = monitored("StopOnGoal", self.monitor, logs or {})
        if value <= self.goal if self._lower else value >= self.goal:
            self.stop(f"'{self.monitor}' is {value:.6g}, the goal is {self.goal:g}.")


class TimeLimit(StoppingRule):
    """Stops after the first step (or validation) that ends more than ``seconds`` after the start of training.

    >>> rule = nnx.callbacks.TimeLimit(60 * 60)
    """

    def __init__(self, seconds: float, verbose: int = 0) -> None:
        super().__init__(verbose)
        self.seconds = checked(self, "seconds", seconds, above=0.0)
        self._end = math.inf

    def on_train_begin(self, logs: Logs | None = None) -> None:
        super().on_train_begin(logs)
        self._end = time.perf_counter() + self.seconds

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if time.perf_counter() > self._end:
            self.stop(f"the time limit of {self.seconds:g} seconds is over.")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.on_train_batch_end(0)


class TerminateOnNaN(StoppingRule):
    """Ends training without an error when the loss becomes NaN or infinite.

    The model keeps its last good weights, and what happened is printed. Without this callback ``fit``
    raises :class:`nnx.errors.NonFiniteError`; so does ``raise_error=True``, at the end of training.

    >>> rule = nnx.callbacks.TerminateOnNaN()
    """

    def __init__(self, raise_error: bool = False) -> None:
        super().__init__(verbose=1)
        self.raise_error = raise_error
        self._open = False

    def on_train_begin(self, logs: Logs | None = None) -> None:
        super().on_train_begin(logs)
        self._open = False

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        super().on_epoch_begin(epoch, logs)
        self._open = True

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._open = False
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            self._terminate(f"the loss is {loss}.")

    def on_train_end(self, logs: Logs | None = None) -> None:
        # Training leaves an epoch without its end only when the loss was not finite in one of its steps.
        if self._open:
            self._terminate("the loss became NaN or infinite; the weights are the last good ones.")

    def _terminate(self, reason: str) -> None:
        self.stop(reason)
        if self.raise_error:
            raise NonFiniteError(f"Epoch {self._epoch + 1}: {reason}")
