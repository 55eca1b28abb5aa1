"""The training loop: epochs of steps, and how a run ends early without harm."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

from nnx.callbacks import CallbackList, TerminateOnNaN
from nnx.callbacks.backup import Place
from nnx.errors import NonFiniteError
from nnx.models.epochs import Epochs
from nnx.models.evaluation import Evaluation, Totals, evaluate
from nnx.models.guard import Guard
from nnx.models.objective import Batch
from nnx.models.sources import Source, counted, warn_if_spent
from nnx.models.trainer import Trainer


@dataclass
class Run:
    """One call of ``fit``: what is trained, on what, for how long, and who is told."""

    trainer: Trainer
    evaluation: Evaluation
    batches: Source
    callbacks: CallbackList
    epochs: Epochs
    shuffle: bool = True
    validation: Source | None = None
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
        with deferred_interrupt() as pressed, closing(callbacks), closing(self.batches):
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
                if totals is None:
                    break
                logs = {**totals, **totals.measures}
                if self.validation is not None and self.validates(epoch):
                    logs |= {f"val_{k}": v for k, v in self.evaluate(self.validation).items()}
                self.epochs.seen += 1
                callbacks.on_epoch_end(epoch, logs)
            if self.average or not getattr(trainer.optimizer, "use_ema", False):
                trainer.finish()
            callbacks.on_train_end()

    def _epoch(self, pressed: list[int], start: Place) -> Totals | None:
        """The running means of an epoch; None where no batch was left for it."""
        trainer, callbacks, totals, info = self.trainer, self.callbacks, self.totals(), None
        n = start.batch
        if n:
            totals.go_on(start.sums)
        try:
            with Guard(trainer) as guard, closing(self._batches(start.batch)) as batches:
                for n in count(start.batch):
                    if (batch := next(batches, None)) is None:
                        warn_if_spent(self.batches, n, "training ends here.")
                        break
                    callbacks.on_train_batch_begin(n)
                    info = trainer.step(batch, guard)
                    totals.add(info.point.value, batch.size, trainer.problem.statistics(info.point))
                    guard.check(totals)
                    callbacks.on_train_batch_end(n, totals)
                    if pressed:
                        raise KeyboardInterrupt
                    if callbacks.stopping:
                        break
                guard.check(totals, now=True)
        except Exception as error:
            error.add_note(f"  in {counted(n, self.batches)}, epoch {start.epoch + 1}")
            raise
        if self.batches.spent:
            self._stop("The data ran out.")
        if info is None:
            return totals if start.batch else None
        totals.measures = info.measures
        if info.stop is not None:
            self._stop(info.stop.message)
        return totals

    def _stop(self, reason: str) -> None:
        self.callbacks.stopping = True
        self.callbacks.history.reason = reason

    def _batches(self, start: int) -> Generator[Batch]:
        """The batches of the next epoch from number ``start`` on."""
        # Methods that compare costs see the same arrays in every epoch.
        shuffled = self.shuffle and self.trainer.first_order
        batches = self.batches.epoch(self.epochs.order if shuffled else None)
        for _ in range(start):
            next(batches, None)
        return batches

    def evaluate(self, batches: Source) -> dict[str, float]:
        """The loss and the metrics over all batches, without training."""
        return evaluate(self.evaluation, batches, self.totals(), self.callbacks)


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
