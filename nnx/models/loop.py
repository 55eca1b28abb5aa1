"""The training loop: steps, running means, and how a run ends early without harm."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from nnx.backend import Stream, philox, to_numpy
from nnx.callbacks import CallbackList, TerminateOnNaN
from nnx.errors import NonFiniteError
from nnx.models.data import Batches
from nnx.models.guard import Guard
from nnx.models.objective import BatchProblem, evaluate_batch

if TYPE_CHECKING:
    from nnx.models.model import Model


class Totals(Mapping[str, float]):
    """The running means of an epoch, by name; numbers come back from the device when they are asked for."""

    def __init__(self, model: Model) -> None:
        objective = model._objective
        self._metrics = (*objective.metrics, *objective.weighted_metrics)
        self._names = tuple(model.metrics_names[1:])
        self._free = model.backend.adapter.reads_are_free
        self._cost: Any = 0.0
        self._size = 0
        self._sums: list[Any] = []
        #: what the optimizer measured in the last step
        self.measures: Mapping[str, float] = {}

    def add(self, cost: Any, size: int, statistics: list[Any]) -> None:
        """Takes in one batch."""
        self._cost = self._cost + (float(cost) if self._free else cost) * size
        self._size += size
        self._sums = (
            [a + b for a, b in zip(self._sums, statistics, strict=True)] if self._sums else statistics
        )

    def __getitem__(self, name: str) -> float:
        if name == "loss":
            cost = self._cost if isinstance(self._cost, float) else float(to_numpy(self._cost))
            return cost / max(self._size, 1)
        if name not in self._names:
            raise KeyError(name)
        i = self._names.index(name)
        return _number(self._metrics[i].value(to_numpy(self._sums[i]))) if self._sums else math.nan

    def __iter__(self) -> Iterator[str]:
        return iter(("loss", *self._names))

    def __len__(self) -> int:
        return 1 + len(self._names)


def _number(x: Any) -> Any:
    return float(x) if getattr(x, "shape", ()) == () else x


def train(
    model: Model,
    batches: Batches,
    validation: Batches | None,
    callbacks: CallbackList,
    epochs: range,
    shuffle: bool,
    average: bool = True,
) -> None:
    """Trains ``model`` for the given epochs; an error or Ctrl-C leaves it with good weights.

    At the end the optimizer's average, if it keeps one, takes the weights' place, unless not asked to; the
    callbacks' ``on_train_end`` sees the weights as they stay.
    """
    model.stop_training, model.history = False, callbacks.history
    model._prepare()
    problem = model._problem()
    problem.counts.clear()
    terminate = any(isinstance(c, TerminateOnNaN) for c in callbacks)
    with deferred_interrupt() as pressed, closing(callbacks):
        callbacks.on_train_begin()
        for epoch in epochs:
            if model.stop_training:
                break
            callbacks.on_epoch_begin(epoch)
            start = time.perf_counter()
            try:
                totals = _epoch(model, problem, batches, callbacks, shuffle, pressed, epoch)
            except NonFiniteError:
                model.stop_training = True
                if not terminate:
                    raise
                break
            logs = {**totals, **totals.measures}
            if validation is not None:
                logs |= {f"val_{k}": v for k, v in evaluate(model, validation).items()}
            model._epochs_seen += 1
            callbacks.on_epoch_end(epoch, logs, time.perf_counter() - start)
        if average or not getattr(model.optimizer, "use_ema", False):
            model._w = model.optimizer.finalize(model._w, model._state)
        callbacks.on_train_end()


def _epoch(
    model: Model,
    problem: BatchProblem,
    batches: Batches,
    callbacks: CallbackList,
    shuffle: bool,
    pressed: list[int],
    epoch: int,
) -> Totals:
    totals = Totals(model)
    n = 0
    once = None if problem.strict else batches.whole()
    try:
        with Guard(model, problem) as guard:
            for n, batch in enumerate([once] if once else _batches(model, batches, shuffle)):
                callbacks.on_train_batch_begin(n)
                info = guard.step(batch)
                totals.add(info.point.value, batch.size, info.point.statistics)
                guard.look(totals)
                callbacks.on_train_batch_end(n, totals)
                if pressed:
                    raise KeyboardInterrupt
                if model.stop_training:
                    break
            guard.look(totals, now=True)
        totals.measures = info.measures
        if info.stop is not None:
            model.stop_training = True
            callbacks.history.reason = info.stop.message
    except Exception as error:
        error.add_note(f"  in batch {n + 1} of {len(batches)}, epoch {epoch + 1}")
        raise
    return totals


def _batches(model: Model, batches: Batches, shuffle: bool) -> Iterator[Any]:
    if not shuffle:
        return batches.in_order()
    stream = Stream(model.seed, philox.SHUFFLE, 0, model._epochs_seen)
    return batches.shuffled(philox.generator(stream).permutation(batches.size))


def evaluate(model: Model, batches: Batches, progress: Any = None) -> dict[str, float]:
    """The loss and the metrics over all batches, without training."""
    totals = Totals(model)
    trained, fixed = model._pieces()
    n = -1
    try:
        for n, batch in enumerate(batches.in_order()):  # noqa: B007 (the error below names the batch)
            cost, statistics = evaluate_batch(model._objective, trained, fixed, batch)
            totals.add(cost, batch.size, statistics)
            if progress is not None:
                progress.update()
    except Exception as error:
        error.add_note(f"  in batch {max(n, 0) + 1} of {len(batches)} of the evaluation")
        raise
    return dict(totals)


@contextmanager
def deferred_interrupt() -> Iterator[list[int]]:
    """Lets the step that is under way end before Ctrl-C raises: no weights are left half updated.

    The list gets an entry when Ctrl-C is pressed. Pressed a second time, it interrupts at once.
    """
    pressed: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield pressed
        return
    before = signal.getsignal(signal.SIGINT)

    def handler(number: int, frame: Any) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(number)

    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, handler)
    try:
        yield pressed
    finally:
        if before is signal.default_int_handler:
            signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt
