"""The callbacks of one training, called together."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from nnx.callbacks.base import HOOKS, Callback, say
from nnx.callbacks.learning_rate import LearningRateScheduler, ReduceLROnPlateau
from nnx.callbacks.monitor import Expected
from nnx.callbacks.progress import EpochLines, ProgressBar
from nnx.callbacks.records import History
from nnx.errors import OptionError


class CallbackList:
    """The given callbacks, a :class:`History`, and what prints progress (``verbose`` 1: a bar, 2: lines).

    ``callbacks`` is None, a callback or a list of them; :class:`nnx.errors.OptionError` names what is none.
    The training loop calls the hooks; each forwards to those callbacks that override it and to no other.
    """

    def __init__(self, callbacks: Any, model: Any, *, epochs: int, steps: int, verbose: int = 0) -> None:
        chosen = _checked(callbacks)
        # Last, so that they see what the others add to the logs.
        self.history: History = _own(chosen, History)
        if verbose == 1:
            _own(chosen, ProgressBar)
        elif verbose == 2:
            _own(chosen, EpochLines)
        self._callbacks = tuple(chosen)
        params = {"verbose": verbose, "epochs": epochs, "steps": steps}
        for callback in chosen:
            callback.set_params(params)
            callback.set_model(model)
        hooks = {name: tuple(_overridden(c, name) for c in chosen) for name in HOOKS}
        self._hooks = {name: tuple(h for h in found if h is not None) for name, found in hooks.items()}
        self._batch_begin = self._hooks["on_train_batch_begin"]
        self._batch_end = self._hooks["on_train_batch_end"]
        self._last: dict[str, Any] = {}
        self._model = model
        self._verbose = verbose

    def __iter__(self) -> Iterator[Callback]:
        return iter(self._callbacks)

    def check(
        self,
        measured: Sequence[str],
        validated: bool,
        more: bool = False,
        example: Callable[[str], Any] = lambda name: 0.0,
    ) -> None:
        """Lets each callback refuse what would fail later anyway, before anything is changed.

        ``measured`` are the names in the logs of a batch; those of an epoch have them with ``val_`` as well
        where there is validation, and the optimizer's own measures if there are ``more``. ``example`` gives
        for a name of a batch's logs what its value may look like.
        """
        names = (*measured, *(f"val_{name}" for name in measured)) if validated else tuple(measured)
        if any(isinstance(c, LearningRateScheduler | ReduceLROnPlateau) for c in self):
            names = (*names, "learning_rate")
        # A user's own callback may add to the logs what it likes.
        own = not all(map(_ours, self._hooks["on_epoch_end"]))
        known = {*measured}

        def value(name: str) -> Any:
            plain = name.removeprefix("val_")
            return example(plain) if plain in known else 0.0

        of_epoch = Expected(names, lambda name: own or (more and not name.startswith("val_")), value)
        for callback in self:
            callback.before_training(Expected(tuple(measured), example=value), of_epoch)

    def on_train_begin(self) -> None:
        """Before the first epoch."""
        self._last = {}
        self._call("on_train_begin", {})

    def on_train_end(self) -> None:
        """After the last epoch."""
        self._call("on_train_end", self._last)
        history = self.history
        if history.reason is None:
            given = (r for c in self if (r := getattr(c, "reason", None)))
            stopped = history.model.stop_training
            history.reason = next(
                given, "A callback set stop_training." if stopped else "The last epoch is done."
            )
        elif self._verbose:
            say(f"Epoch {history.epoch[-1] + 1}: training stopped: {history.reason}")

    def on_epoch_begin(self, epoch: int) -> None:
        """Before each epoch."""
        self._call("on_epoch_begin", epoch, {})

    def on_epoch_end(self, epoch: int, logs: dict[str, Any], seconds: float) -> None:
        """After each epoch, which took so many seconds."""
        self._last = logs
        self.history.seconds.append(seconds)
        self._call("on_epoch_end", epoch, logs)

    def on_train_batch_begin(self, batch: int) -> None:
        """Before each step."""
        for hook in self._batch_begin:
            hook(batch, {})

    def on_train_batch_end(self, batch: int, totals: Any) -> None:
        """After each step; ``totals`` are the running means, read when asked for."""
        for hook in self._batch_end:
            hook(batch, totals)

    # -- evaluation and prediction --------------------------------------------------------------------

    def count_batches(self, hook: str, count: Callable[[], None]) -> None:
        """Calls ``count()`` after each batch, besides the callbacks' own hooks of that name."""
        self._hooks[hook] = (*self._hooks[hook], lambda batch, logs=None: count())

    def on_test_begin(self) -> None:
        """Before an evaluation."""
        self._call("on_test_begin", {})

    def on_test_end(self, logs: dict[str, Any]) -> None:
        """After an evaluation."""
        self._call("on_test_end", logs)

    def on_test_batch_begin(self, batch: int) -> None:
        """Before each batch of an evaluation."""
        self._call("on_test_batch_begin", batch, {})

    def on_test_batch_end(self, batch: int, totals: Any) -> None:
        """After each batch of an evaluation; ``totals`` are the running means, read when asked for."""
        self._call("on_test_batch_end", batch, totals)

    def on_predict_begin(self) -> None:
        """Before a prediction."""
        self._call("on_predict_begin", {})

    def on_predict_end(self) -> None:
        """After a prediction."""
        self._call("on_predict_end", {})

    def on_predict_batch_begin(self, batch: int) -> None:
        """Before each batch of a prediction."""
        self._call("on_predict_batch_begin", batch, {})

    def on_predict_batch_end(self, batch: int, outputs: Any) -> None:
        """After each batch of a prediction."""
        self._call("on_predict_batch_end", batch, {"outputs": outputs})

    @property
    def stopping(self) -> bool:
        """Whether training is to end after this batch or epoch: the model's ``stop_training``."""
        return bool(self._model.stop_training)

    @stopping.setter
    def stopping(self, value: bool) -> None:
        self._model.stop_training = value

    def close(self) -> None:
        """Takes the progress bar off the screen: for the end of a training, however it came about."""
        for callback in self._callbacks:
            if isinstance(callback, ProgressBar):
                callback.close()

    def _call(self, name: str, *args: Any) -> None:
        for hook in self._hooks[name]:
            hook(*args)


def _checked(callbacks: Any) -> list[Callback]:
    if callbacks is None:
        return []
    if isinstance(callbacks, Callback) or not isinstance(callbacks, list | tuple):
        callbacks = [callbacks]
    for i, callback in enumerate(callbacks):
        if not isinstance(callback, Callback):
            raise OptionError(f"callbacks[{i}] must be a callback, got {_described(callback)}")
        if any(callback is other for other in callbacks[:i]):
            raise OptionError(f"callbacks[{i}] ({type(callback).__name__}) is in the list twice.")
        _warn_of_unknown_hooks(type(callback))
    return list(callbacks)


def _described(thing: Any) -> str:
    if isinstance(thing, type):
        hint = f"write {thing.__name__}(...)." if issubclass(thing, Callback) else "and no callback's."
        return f"the class {thing.__name__} itself: {hint}"
    if type(thing).__module__.startswith(("keras.", "tensorflow.")):
        return f"Keras' own {type(thing).__name__}: take the one of nnx.callbacks."
    if callable(thing):
        return f"the function {thing!r}: wrap it, as in LambdaCallback(on_epoch_end=function)."
    return f"{thing!r}."


def _warn_of_unknown_hooks(kind: type) -> None:
    """A method that looks like a hook and is none would silently never run."""
    for name in dir(kind):
        if name.startswith("on_") and name not in HOOKS and callable(getattr(kind, name)):
            warnings.warn(
                f"{kind.__name__}.{name} is never called: there is no such hook. Hooks: {', '.join(HOOKS)}.",
                stacklevel=5,
            )


def _own(callbacks: list[Callback], kind: Any) -> Any:
    """The callback of that kind; one is added if there is none."""
    for callback in callbacks:
        if isinstance(callback, kind):
            return callback
    callbacks.append(kind())
    return callbacks[-1]


def _ours(hook: Any) -> bool:
    return str(getattr(hook, "__module__", "")).startswith("nnx.")


def _overridden(callback: Callback, name: str) -> Any:
    """The callback's own hook, or None where it is the empty one."""
    hook = getattr(callback, name)
    if getattr(hook, "__func__", None) is not getattr(Callback, name):
        return hook
    older = name.replace("train_batch", "batch")
    # The empty hooks of batches forward to Keras' older names.
    return _overridden(callback, older) if older != name else None
