"""The training loop: epochs of steps, and how a run ends early without harm."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

from nnx.callbacks import CallbackList, TerminateOnNaN
from nnx.callbacks.backup import Place
from nnx.errors import NonFiniteError
from nnx.models.data import Batches
from nnx.models.epochs import Epochs
from nnx.models.evaluation import Totals, evaluate
from nnx.models.guard import Guard
from nnx.models.objective import Batch
from nnx.models.trainer import Trainer


@dataclass
class Run:
    """One call of ``fit``: what is trained, on what, for how long, and who is told."""

    trainer: Trainer
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
        return Totals(self.trainer.objective, self.trainer.weights.backend)

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
                    totals.add(info.point.value, batch.size, trainer.problem.statistics(info.point))
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
