"""Evaluation with the average of the weights."""

from __future__ import annotations

from typing import Any

from nnx.callbacks.base import Callback, Logs
from nnx.errors import OptionError
from nnx.options import truth


class SwapEMAWeights(Callback):
    """Evaluates with the moving average of the weights that an optimizer with ``use_ema=True`` keeps.

    Before an evaluation or a prediction the average changes places with the weights, and back afterwards.
    ``swap_on_epoch=True`` swaps at the end of an epoch as well, until the next one begins: for callbacks that
    come after it in the list, such as :class:`ModelCheckpoint`. At the end of ``fit`` the average takes the
    weights' place in any case. Raises :class:`nnx.errors.OptionError` where the optimizer keeps no average.

    Source: B. Polyak, A. Juditsky, Acceleration of stochastic approximation by averaging, SIAM Journal on
    Control and Optimization 30 (1992), 838–855.

    >>> model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(2,))])
    >>> model.compile(nnx.optimizers.SGD(use_ema=True), "mse")
    >>> data = np.ones((8, 2)), np.ones(8)
    >>> swap = nnx.callbacks.SwapEMAWeights()
    >>> record = model.fit(*data, epochs=3, validation_data=data, callbacks=[swap], verbose=0)
    """

    def __init__(self, swap_on_epoch: bool = False) -> None:
        self.swap_on_epoch = truth(type(self).__name__, "swap_on_epoch", swap_on_epoch)
        if self.swap_on_epoch:
            self.on_epoch_begin = self._hide  # type: ignore[method-assign, assignment]
            self.on_epoch_end = self._show  # type: ignore[method-assign, assignment]

    def before_training(self, of_batch: Logs, of_epoch: Logs) -> None:
        self._need_average()

    def on_test_begin(self, logs: Logs | None = None) -> None:
        self._show()

    def on_test_end(self, logs: Logs | None = None) -> None:
        self._hide()

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        self._show()

    def on_predict_end(self, logs: Logs | None = None) -> None:
        self._hide()

    def at_exit(self) -> None:
        if getattr(self.model.optimizer, "use_ema", False) and self.model.built:
            self._hide()

    def _show(self, *args: Any) -> None:
        self._need_average()
        self.model.trainer.show_average(True)

    def _hide(self, *args: Any) -> None:
        self.model.trainer.show_average(False)

    def _need_average(self) -> None:
        if not getattr(self.model.optimizer, "use_ema", False):
            raise OptionError(
                f"{type(self).__name__} needs an optimizer that keeps an average of the weights: "
                "use_ema=True, as in nnx.optimizers.SGD(use_ema=True)."
            )
