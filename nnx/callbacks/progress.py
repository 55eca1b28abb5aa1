"""How far training is, on the screen: a bar that moves, and a line for each epoch that stays."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

from nnx.callbacks.bar import REFRESH, Bar, can_be_redrawn, say_in_lines
from nnx.callbacks.base import Callback, Logs

_MANY = 100  # epochs; where there are more, quick ones share a line
_SHARED = 1.0  # seconds between two lines then


class ProgressBar(Callback):
    """A moving bar for each epoch, then a line that stays: ``fit`` shows it with ``verbose=1``.

    ::

        Epoch 1/3 4.1s loss=0.2571 accuracy=0.9218 val_loss=0.1304 val_accuracy=0.9599
        Epoch 2/3:  47%|█████▏     | 220/469 [00:02<00:02, loss=0.1102 accuracy=0.9663]

    The bar appears in terminals and notebooks; in a pipe or a file there are only the lines. The values are
    read from the device when the bar is drawn, at most ten times a second. In a training of more than 100
    epochs, those that take less than a second share a line: there is at most one a second, and the last.
    In ``evaluate`` and ``predict`` there is a bar that leaves nothing behind. Keras' name for it is
    ``ProgbarLogger``, known here too.

    Source: Keras' ``callbacks.ProgbarLogger``.

    >>> bar = nnx.callbacks.ProgressBar()
    """

    def __init__(self) -> None:
        self._bar = Bar()
        self._started = 0.0
        self._epoch = 0
        self._due = math.inf
        self._pending = ""
        self._shown = -math.inf
        self._training = False

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._begin()
        self._training = True
        self._pending = ""
        self._shown = -math.inf

    def _begin(self) -> None:
        self.at_exit()
        self._started = time.perf_counter()
        self._due = self._started + REFRESH if can_be_redrawn() else math.inf

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch = epoch
        self._started = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if time.perf_counter() >= self._due:
            self._draw(epoch_title(self._epoch, self._param("epochs")), batch, logs)

    def _draw(self, title: str, batch: int, logs: Logs | None) -> None:
        self._bar.draw(title, batch + 1, self._param("steps"), self._started, measured(logs or {}))
        self._due = time.perf_counter() + REFRESH

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        now = time.perf_counter()
        epochs = self._param("epochs")
        self._pending = epoch_line(epoch, epochs, now - self._started, logs or {})
        if epochs <= _MANY or now - self._shown >= _SHARED:
            self._print(now)

    def on_train_end(self, logs: Logs | None = None) -> None:
        self.at_exit()
        if self._pending:
            self._print(time.perf_counter())

    def _print(self, now: float) -> None:
        self._bar.close()
        say_in_lines(self._pending)
        self._pending = ""
        self._shown = now

    def _param(self, name: str) -> int:
        return int((self.params or {}).get(name) or 0)

    # -- evaluation and prediction --------------------------------------------------------------------

    def on_test_begin(self, logs: Logs | None = None) -> None:
        if not self._training:
            self._begin()

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if not self._training and time.perf_counter() >= self._due:
            self._draw("evaluate", batch, logs)

    def on_test_end(self, logs: Logs | None = None) -> None:
        if not self._training:
            self.at_exit()

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        self._begin()

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if time.perf_counter() >= self._due:
            self._draw("predict", batch, None)

    def on_predict_end(self, logs: Logs | None = None) -> None:
        self.at_exit()

    def at_exit(self) -> None:
        """Takes the bar off the screen."""
        self._training = False
        self._bar.close()


class EpochLines(Callback):
    """A line for each epoch: training prints it with ``verbose=2``.

    Source: Keras' ``fit(verbose=2)``.

    >>> lines = nnx.callbacks.EpochLines()
    """

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        epochs = int((self.params or {}).get("epochs") or 0)
        say_in_lines(epoch_line(epoch, epochs, time.perf_counter() - self._started, logs or {}))


def epoch_line(epoch: int, epochs: int, seconds: float, logs: Mapping[str, Any]) -> str:
    """``Epoch  3/10 4.1s loss=0.0512 accuracy=0.9843``."""
    return f"{epoch_title(epoch, epochs)} {duration(seconds)} {measured(logs)}".rstrip()


def epoch_title(epoch: int, epochs: int) -> str:
    """``Epoch  3/10`` for epoch 2, which is the third."""
    return f"Epoch {epoch + 1:{len(str(epochs))}}/{epochs}"


def duration(seconds: float) -> str:
    """A time in at most four or five characters.

    >>> from nnx.callbacks.progress import duration
    >>> [duration(s) for s in (0.00123, 0.0123, 0.123, 4.12, 41.2, 123.0, 7300.0)]
    ['1.2ms', '12ms', '0.1s', '4.1s', '41s', '2m03s', '2h01m']
    """
    if seconds < 0.0995:
        return f"{seconds * 1e3:.1f}ms" if seconds < 0.00995 else f"{seconds * 1e3:.0f}ms"
    if seconds < 59.5:
        return f"{seconds:.1f}s" if seconds < 9.95 else f"{seconds:.0f}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest:02d}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02d}m"


def measured(logs: Mapping[str, Any]) -> str:
    """``loss=0.0512 accuracy=0.9843``: the values of the logs, without arrays."""
    return " ".join(f"{name}={figure(value)}" for name, value in logs.items() if isinstance(value, Real))


def figure(value: Real) -> str:
    """A number in few characters.

    >>> from nnx.callbacks.progress import figure
    >>> [figure(x) for x in (0.98431, 1.0, 12.3456, 123456.0, 0.000123, 0.0, 7)]
    ['0.9843', '1.0000', '12.346', '1.23e+05', '1.23e-04', '0.0000', '7']
    """
    number = float(value)
    size = abs(number)
    if isinstance(value, Integral) or not math.isfinite(size):
        return str(value)
    if size != 0.0 and (size < 0.001 or size >= 99999.5):
        return f"{number:.2e}"
    whole = len(str(int(size)))
    return f"{number:.{5 - whole}f}"
