"""Stopping rules: small gradient, goal reached, small step, time over, loss no longer finite.

With :class:`nnx.callbacks.EarlyStopping` and the number of epochs these are the rules of the lectures. Where
the optimizer uses all data at once an epoch is one iteration; with mini-batches it is many.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from nnx.backend import adapter_of, device_of, namespace, to_numpy
from nnx.callbacks.base import VERBOSE, Callback, Logs, say
from nnx.callbacks.monitor import Watch
from nnx.errors import NonFiniteError
from nnx.options import Number, OneOf, truth

#: where a norm is checked
_HOOK = {"epoch": "on_epoch_end", "batch": "on_train_batch_end"}
_EVERY = OneOf(tuple(_HOOK))
_THRESHOLD = Number(least=0.0)
_SECONDS = Number(above=0.0)
_GOAL = Number()


class StoppingRule(Callback):
    """Base class: call ``self.stop(reason)`` in a hook.

    Afterwards ``stopped_epoch`` is the epoch (from 0) in which the rule stopped training and ``reason`` says
    why in words; both are None if it did not. ``verbose=1`` prints the reason.

    >>> class Enough(nnx.callbacks.StoppingRule):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         if logs["loss"] < 0.5:
    ...             self.stop("the loss is small enough")
    >>> model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(2,))])
    >>> model.compile("sgd", "mse")
    >>> rule = Enough()
    >>> record = model.fit(np.zeros((4, 2)), np.zeros(4), epochs=9, verbose=0, callbacks=[rule])
    >>> rule.reason, rule.stopped_epoch
    ('the loss is small enough', 0)
    """

    remembers: ClassVar[tuple[str, ...]] = ("stopped_epoch", "reason")

    def __init__(self, verbose: int = 0) -> None:
        self.verbose = VERBOSE(type(self).__name__, "verbose", verbose)
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

    remembers: ClassVar[tuple[str, ...]] = (*StoppingRule.remembers, "norm")
    _what = ""

    def __init__(self, threshold: float, every: str = "epoch", verbose: int = 0) -> None:
        super().__init__(verbose)
        self.threshold = _THRESHOLD(type(self).__name__, "threshold", threshold)
        self.every = _EVERY(type(self).__name__, "every", every)
        #: the norm at the last check
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
    ``every="batch"`` checks after each step, which on a GPU waits for it; the default is after each epoch.
    ``norm`` is that of the last check.

    Source: lectures, stopping rules; MATLAB's ``trainParam.min_grad``.

    >>> rule = nnx.callbacks.StopOnGradientNorm(1e-6)
    """

    _what = "gradient"

    def _vector(self) -> Any:
        return self.model.gradient_vector


class StopOnStepNorm(_NormRule):
    """Stops when ‖w − w′‖ ≤ ``threshold``, where w′ are the weights at the previous check.

    ``every="epoch"`` (default) takes the change over a whole epoch, which is one iteration for an optimizer
    that uses all data at once; ``every="batch"`` takes that of each step, and on a GPU waits for it each
    time. It needs one more copy of the weights. ``norm`` is that of the last check.

    Source: lectures, stopping rules; MATLAB's ``StepTolerance``.

    >>> rule = nnx.callbacks.StopOnStepNorm(1e-8)
    """

    remembers = (*_NormRule.remembers, "before")
    _what = "change of the weights"

    def on_train_begin(self, logs: Logs | None = None) -> None:
        super().on_train_begin(logs)
        #: the weights at the previous check
        self.before = self._copy()

    def recall(self, memory: Mapping[str, Any]) -> None:
        here = self.before
        super().recall(memory)
        self.before = adapter_of(here).asarray(self.before, dtype=here.dtype, device=device_of(here))

    def on_train_end(self, logs: Logs | None = None) -> None:
        self.before = None

    def _copy(self) -> Any:
        w = self.model.weights_vector
        return namespace(w).asarray(w, copy=True)

    def _vector(self) -> Any:
        step = self.model.weights_vector - self.before
        self.before = self._copy()
        return step


class StopOnGoal(StoppingRule):
    """Stops when ``monitor`` has reached ``goal`` at the end of an epoch.

    ``mode`` says which way the value improves: ``"min"`` stops at value ≤ goal, ``"max"`` at value ≥ goal,
    ``"auto"`` tells from the name. With ``validation_freq`` a ``val_`` value is compared in the epochs that
    have it. Raises :class:`nnx.errors.OptionError` when ``monitor`` is not measured.

    Source: MATLAB's ``trainParam.goal``.

    >>> rule = nnx.callbacks.StopOnGoal(0.99, monitor="val_accuracy")
    """

    def __init__(self, goal: float, monitor: str = "loss", mode: str = "auto", verbose: int = 0) -> None:
        super().__init__(verbose)
        where = type(self).__name__
        self.goal = _GOAL(where, "goal", goal)
        self.monitor = monitor
        self.mode = mode
        self.watch = Watch(where, monitor, mode)

    def before_training(self, of_batch: Logs, of_epoch: Logs) -> None:
        self.watch.expect(of_epoch)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        value = self.watch.read(logs or {})
        if value is None:
            return
        if value <= self.goal if self.watch.lower else value >= self.goal:
            self.stop(f"'{self.monitor}' is {value:.6g}, the goal is {self.goal:g}.")


class TimeLimit(StoppingRule):
    """Stops after the first step (or validation) that ends more than ``seconds`` after the start of training.

    Source: MATLAB's ``trainParam.time``.

    >>> rule = nnx.callbacks.TimeLimit(60 * 60)
    """

    def __init__(self, seconds: float, verbose: int = 0) -> None:
        super().__init__(verbose)
        self.seconds = _SECONDS(type(self).__name__, "seconds", seconds)
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

    Source: Keras' ``callbacks.TerminateOnNaN``.

    >>> rule = nnx.callbacks.TerminateOnNaN()
    """

    def __init__(self, raise_error: bool = False) -> None:
        super().__init__(verbose=1)
        self.raise_error = truth(type(self).__name__, "raise_error", raise_error)
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
