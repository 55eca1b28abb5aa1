"""Several callbacks that are called as one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from nnx.callbacks.backup import BackupAndRestore, Place
from nnx.callbacks.base import HOOKS, Callback, Logs, say
from nnx.callbacks.expected import expected
from nnx.callbacks.given import callbacks_of, overridden
from nnx.callbacks.learning_rate import LearningRateScheduler, ReduceLROnPlateau
from nnx.callbacks.progress import EpochLines, ProgressBar
from nnx.callbacks.records import History
from nnx.errors import OptionError
from nnx.options import built_in, truth

Kind = TypeVar("Kind", bound=Callback)
#: the hooks of a list without callbacks, as predict mostly has it
_NONE: Mapping[str, tuple[Any, ...]] = dict.fromkeys(HOOKS, ())


class CallbackList(Callback):
    """The given callbacks as one: each hook calls those that override it, in order.

    Args:
        callbacks: None, a callback, a list of them or a CallbackList; :class:`nnx.errors.OptionError` names
            what is none.
        add_history: True adds a :class:`History`, if there is none; :attr:`history` is the one in the list.
        add_progbar: True adds what prints progress: a :class:`ProgressBar`, or with ``verbose=2`` a line for
            each epoch.
        model: the model that they are about.
        params: ``epochs``, ``steps`` and ``verbose``, which each callback finds in its own ``params``.

    History and progress come after the others, so that they see what these add to the logs; last comes a
    :class:`BackupAndRestore`, which keeps what all others remember.

    A training loop of one's own:

    Source: Keras' ``callbacks.CallbackList``.

    >>> losses = []
    >>> keep = nnx.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: losses.append(logs["loss"]))
    >>> model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(2,))])
    >>> model.compile("sgd", "mse")
    >>> callbacks = nnx.callbacks.CallbackList([keep], add_history=True, model=model, epochs=2)
    >>> callbacks.on_train_begin()
    >>> for epoch in range(2):
    ...     callbacks.on_epoch_begin(epoch)
    ...     loss = model.train_on_batch(np.ones((4, 2)), np.ones(4))
    ...     callbacks.on_epoch_end(epoch, {"loss": loss})
    >>> callbacks.on_train_end()
    >>> callbacks.history.history["loss"] == losses
    True
    """

    def __init__(
        self,
        callbacks: Any = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ) -> None:
        add_history = truth("CallbackList", "add_history", add_history)
        add_progbar = truth("CallbackList", "add_progbar", add_progbar)
        chosen = callbacks_of([*callbacks] if isinstance(callbacks, CallbackList) else callbacks)
        backups = [c for c in chosen if isinstance(c, BackupAndRestore)]
        if len(backups) > 1:
            raise OptionError("callbacks has two BackupAndRestore: a training goes on from one place.")
        chosen = [c for c in chosen if c not in backups]
        history = _found(chosen, History, add_history)
        if add_progbar:
            _found(chosen, EpochLines if params.get("verbose") == 2 else ProgressBar, True)
        #: the record of the training
        self.history = history or History()
        self._backup = backups[0] if backups else None
        if self._backup is not None:
            self._backup.others = tuple(chosen)
        self._callbacks = (*chosen, *backups)
        self._hooks = _hooks(self._callbacks) if self._callbacks else _NONE
        self._batch_begin = self._hooks["on_train_batch_begin"]
        self._batch_end = self._hooks["on_train_batch_end"]
        self._last: Logs = {}
        self._began = 0.0
        self.set_params(params)
        if model is not None:
            self.set_model(model)

    def __iter__(self) -> Iterator[Callback]:
        return iter(self._callbacks)

    def set_model(self, model: Any) -> None:
        self.model = model
        for callback in self:
            callback.set_model(model)

    def set_params(self, params: Mapping[str, Any]) -> None:
        self.params = params
        for callback in self:
            callback.set_params(params)

    # -- what a training asks -------------------------------------------------------------------------

    def check(
        self,
        measured: Sequence[str],
        validated: bool,
        more: bool = False,
        example: Callable[[str], Any] = lambda name: 0.0,
    ) -> None:
        """Lets each callback refuse what would fail later anyway, before anything is changed.

        ``measured`` are the names in the logs of a batch, ``validated`` says whether some epochs are,
        ``more`` whether the optimizer adds measures of its own; ``example`` gives for a measured name what
        its value may look like.
        """
        sets_rates = any(isinstance(c, LearningRateScheduler | ReduceLROnPlateau) for c in self)
        # A user's own callback may add to the logs what it likes.
        anything = not all(map(built_in, self._hooks["on_epoch_end"]))
        logs = expected(
            measured,
            validated,
            ["learning_rate"] if sets_rates else [],
            lambda name: anything or (more and not name.startswith("val_")),
            example,
        )
        for callback in self:
            callback.before_training(*logs)

    def resume(self, epoch: int) -> Place:
        """Where training begins: at the place of a backup, with the model as it was then, or ``epoch``."""
        place = None if self._backup is None else self._backup.resume()
        return place or Place(epoch)

    @property
    def stopping(self) -> bool:
        """Whether training is to end after this batch or epoch: the model's ``stop_training``."""
        return bool(self.model.stop_training)

    @stopping.setter
    def stopping(self, value: bool) -> None:
        self.model.stop_training = value

    def close(self) -> None:
        """Puts the screen and the weights in order: for the end of a call, however it came about."""
        for callback in self:
            callback.at_exit()

    # -- training -------------------------------------------------------------------------------------

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._last = {}
        self._call("on_train_begin", logs or {})

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Called once after the last epoch, by default with its logs."""
        self._call("on_train_end", self._last if logs is None else logs)
        history = self.history
        if history.reason is None:
            given = (r for c in self if (r := getattr(c, "reason", None)))
            stopped = getattr(self.model, "stop_training", False)
            history.reason = next(
                given, "A callback set stop_training." if stopped else "The last epoch is done."
            )
        elif (self.params or {}).get("verbose"):
            say(f"Epoch {history.epoch[-1] + 1}: training stopped: {history.reason}")

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._call("on_epoch_begin", epoch, logs or {})
        self._began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._last = {} if logs is None else logs
        self.history.seconds.append(time.perf_counter() - self._began)
        self._call("on_epoch_end", epoch, self._last)

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        for hook in self._batch_begin:
            hook(batch, {})

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        for hook in self._batch_end:
            hook(batch, logs)

    # -- evaluation and prediction --------------------------------------------------------------------

    def on_test_begin(self, logs: Logs | None = None) -> None:
        self._call("on_test_begin", logs or {})

    def on_test_end(self, logs: Logs | None = None) -> None:
        self._call("on_test_end", logs or {})

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        self._call("on_test_batch_begin", batch, logs or {})

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._call("on_test_batch_end", batch, logs)

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        self._call("on_predict_begin", logs or {})

    def on_predict_end(self, logs: Logs | None = None) -> None:
        self._call("on_predict_end", logs or {})

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        self._call("on_predict_batch_begin", batch, logs or {})

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._call("on_predict_batch_end", batch, logs or {})

    def _call(self, name: str, *args: Any) -> None:
        for hook in self._hooks[name]:
            hook(*args)


def _found(callbacks: list[Callback], kind: type[Kind], add: bool) -> Kind | None:
    """The callback of that kind, which is added if there is none and ``add``; else None."""
    for callback in callbacks:
        if isinstance(callback, kind):
            return callback
    if not add:
        return None
    callbacks.append(kind())
    return callbacks[-1]  # type: ignore[return-value]


def _hooks(callbacks: Sequence[Callback]) -> Mapping[str, tuple[Any, ...]]:
    """For each hook those of the callbacks that override it."""
    found = {name: [overridden(c, name) for c in callbacks] for name in HOOKS}
    return {name: tuple(h for h in hooks if h is not None) for name, hooks in found.items()}
