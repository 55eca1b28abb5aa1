"""The training loop: steps, running means, and how a run ends early without harm."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

from nnx.backend import Backend, to_numpy
from nnx.callbacks import CallbackList, TerminateOnNaN
from nnx.callbacks.backup import Place
from nnx.errors import NonFiniteError
from nnx.models.data import Batches
from nnx.models.epochs import Epochs
from nnx.models.guard import Guard
from nnx.models.objective import Batch, Objective
from nnx.models.trainer import Trainer
from nnx.models.weights import Weights


class Totals(Mapping[str, float]):
    """The running means of an epoch, by name; numbers come back from the device when they are asked for."""

    def __init__(self, objective: Objective, names: tuple[str, ...], backend: Backend) -> None:
        self._metrics = (*objective.metrics, *objective.weighted_metrics)
        self._names = names
        self._backend = backend
        self._free = backend.adapter.reads_are_free
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

    def sums(self) -> dict[str, Any]:
        """What was added up so far: for a backup in the middle of an epoch."""
        return {"cost": self._cost, "size": self._size, "statistics": self._sums}

    def go_on(self, sums: Mapping[str, Any]) -> None:
        """Takes the sums of earlier batches (arrays are NumPy's) for a beginning."""
        asarray, device = self._backend.adapter.asarray, self._backend.device
        cost, self._size = sums["cost"], sums["size"]
        self._cost = cost if isinstance(cost, float) else asarray(cost, device=device)
        self._sums = [asarray(x, device=device) for x in sums["statistics"]]

    def __getitem__(self, name: str) -> float:
        if name == "loss":
            cost = self._cost if isinstance(self._cost, float) else float(to_numpy(self._cost))
            return cost / max(self._size, 1)
        if name not in self._names:
            raise KeyError(name)
        i = self._names.index(name)
        return _number(self._metrics[i].result(to_numpy(self._sums[i]))) if self._sums else math.nan

    def __iter__(self) -> Iterator[str]:
        return iter(("loss", *self._names))

    def __len__(self) -> int:
        return 1 + len(self._names)


def _number(x: Any) -> Any:
    return float(x) if getattr(x, "shape", ()) == () else x


@dataclass
class Run:
    """One call of ``fit``: what is trained, on what, for how long, and who is told."""

    trainer: Trainer
    #: the names of the metrics, in the order of the objective's
    names: tuple[str, ...]
    batches: Batches
    callbacks: CallbackList
    epochs: Epochs
    shuffle: bool = True
    validation: Batches | None = None
    #: whether an epoch (from 0) is followed by a validation
    validates: Callable[[int], bool] = lambda epoch: True
    #: whether an average of the weights that the optimizer keeps takes their place at the end
    average: bool = True

    def totals(self) -> Totals:
        """Running means that begin anew."""
        return Totals(self.trainer.objective, self.names, self.trainer.weights.backend)

    def train(self, epochs: range) -> None:
        """Trains for the given epochs, or for what a backup has left of them.

        An error or Ctrl-C leaves good weights. The callbacks' ``on_train_end`` sees the weights as they stay.
        """
        callbacks, trainer = self.callbacks, self.trainer
        trainer.problem.counts.clear()
        terminate = any(isinstance(c, TerminateOnNaN) for c in callbacks)
        with deferred_interrupt() as pressed, closing(callbacks):
            start = callbacks.resume(epochs.start)
            callbacks.stopping = start.stopped
            callbacks.on_train_begin()
            for epoch in range(start.epoch, epochs.stop):
                if callbacks.stopping:
                    break
                callbacks.on_epoch_begin(epoch)
                try:
                    totals = self._epoch(pressed, start if epoch == start.epoch else Place(epoch))
                except NonFiniteError:
                    callbacks.stopping = True
                    if not terminate:
                        raise
                    break
                logs = {**totals, **totals.measures}
                if self.validation is not None and self.validates(epoch):
                    logs |= {f"val_{k}": v for k, v in self.evaluate(self.validation).items()}
                self.epochs.seen += 1
                callbacks.on_epoch_end(epoch, logs)
            if self.average or not getattr(trainer.optimizer, "use_ema", False):
                trainer.finish()
            callbacks.on_train_end()

    def _epoch(self, pressed: list[int], start: Place) -> Totals:
        trainer, callbacks, totals = self.trainer, self.callbacks, self.totals()
        n = start.batch
        if n:
            totals.go_on(start.sums)
        try:
            with Guard(trainer) as guard:
                for n, batch in islice(enumerate(self._batches()), start.batch, None):
                    callbacks.on_train_batch_begin(n)
                    info = trainer.step(batch, guard.judge)
                    totals.add(info.point.value, batch.size, info.point.statistics)
                    guard.check(totals)
                    callbacks.on_train_batch_end(n, totals)
                    if pressed:
                        raise KeyboardInterrupt
                    if callbacks.stopping:
                        break
                guard.check(totals, now=True)
            totals.measures = info.measures
            if info.stop is not None:
                callbacks.stopping = True
                callbacks.history.reason = info.stop.message
        except Exception as error:
            error.add_note(f"  in batch {n + 1} of {len(self.batches)}, epoch {start.epoch + 1}")
            raise
        return totals

    def _batches(self) -> Iterator[Batch]:
        if not self.trainer.first_order:
            return iter([self.batches.whole()])  # the same arrays in every epoch
        if not self.shuffle:
            return self.batches.in_order()
        return self.batches.shuffled(self.epochs.order(self.batches.size))

    def evaluate(self, batches: Batches) -> dict[str, float]:
        """The loss and the metrics over all batches, without training."""
        trainer = self.trainer
        return evaluate(trainer.objective, trainer.weights, batches, self.totals(), self.callbacks)


def evaluate(
    objective: Objective, weights: Weights, batches: Batches, totals: Totals, callbacks: CallbackList
) -> dict[str, float]:
    """The loss and the metrics over all batches, without training."""
    params = weights.own_params()
    n = -1
    callbacks.on_test_begin()
    try:
        for n, batch in enumerate(batches.in_order()):
            callbacks.on_test_batch_begin(n)
            cost, statistics = objective.evaluate(params, batch)
            totals.add(cost, batch.size, statistics)
            callbacks.on_test_batch_end(n, totals)
    except Exception as error:
        error.add_note(f"  in batch {max(n, 0) + 1} of {len(batches)} of the evaluation")
        raise
    found = dict(totals)
    callbacks.on_test_end(found)
    return found


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
