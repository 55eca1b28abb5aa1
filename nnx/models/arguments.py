"""What users may write in ``compile`` and ``fit``, turned into what the code works with."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from nnx import losses, metrics, optimizers
from nnx.backend import adapter_of, device_of, namespace, to_numpy
from nnx.callbacks import EarlyStopping
from nnx.errors import DataError, OptionError
from nnx.models.data import Examples
from nnx.models.goals import Report
from nnx.options import Number, no_argument

P = ParamSpec("P")
R = TypeVar("R")

_SHARE = Number(least=0.0, below=1.0)
_COUNT = Number(least=1, whole=True)
_NOTHING = "nothing in its place"
#: what Keras has beyond nnx, and older versions had
_ELSEWHERE = {
    "auto_scale_loss": f"{_NOTHING} (nnx computes nothing in half precision)",
    "jit_compile": f"{_NOTHING} (every step runs as it is written)",
    "learning_rate": "an optimizer that has it, as in optimizer=nnx.optimizers.Adam(learning_rate=0.01)",
    "lr": "an optimizer that has it, as in optimizer=nnx.optimizers.Adam(learning_rate=0.01)",
    "max_queue_size": f"{_NOTHING} (data are arrays)",
    "classes": f"{_NOTHING} (the loss and the output's shape say what the targets are)",
    "nb_epoch": "epochs",
    "reset_metrics": f"{_NOTHING} (metrics are those of the batch)",
    "run_eagerly": f"{_NOTHING} (every step runs as it is written)",
    "sample_weight_mode": "sample_weight in fit",
    "steps": "fewer samples (all that are given are taken, batch by batch)",
    "steps_per_epoch": "batch_size, or fewer samples (an epoch takes all of them once)",
    "steps_per_execution": f"{_NOTHING} (every step runs as it is written)",
    "use_multiprocessing": f"{_NOTHING} (data are arrays)",
    "validation_steps": "fewer samples in validation_data (all of them are taken)",
    "workers": f"{_NOTHING} (data are arrays)",
}


def explained(method: Callable[P, R]) -> Callable[P, R]:
    """Decorator: a keyword that the method does not have raises OptionError and says what to use instead."""
    _, *allowed = inspect.signature(method).parameters

    @wraps(method)
    def checked(*args: P.args, **options: P.kwargs) -> R:
        for name in options:
            if name not in allowed:
                raise no_argument(method.__name__, name, allowed, _ELSEWHERE)
        return method(*args, **options)

    return checked


def example_for(
    reports: Sequence[Report], ys: Sequence[Any], shapes: Sequence[tuple[int, ...]]
) -> Callable[[str], Any]:
    """By the name of a report what its result looks like, a number or an array, from two targets.

    ``shapes`` are those of a sample of each output. It is 0 where nobody can tell.
    """
    of_metrics = {r.name: r for r in reports if isinstance(r.measure, metrics.Metric)}

    def example(name: str) -> Any:
        if name not in of_metrics:
            return 0.0
        _, k, metric, _ = of_metrics[name]
        y = ys[k][:2, ...]
        adapter, shape = adapter_of(y), (min(2, y.shape[0]), *shapes[k])
        zeros = adapter.xp.zeros(shape, dtype=adapter.dtype("float32"), device=device_of(y))
        try:
            return metric.value(to_numpy(metric.statistics(y, zeros)))
        except Exception:  # a function of the user's own that does not like these two
            return 0.0

    return example


def targets(y: Any, of: str = "") -> Any:
    """``y`` itself; an error if it is missing."""
    if y is None:
        raise DataError(
            f"{of}y is missing: fit, evaluate and train_on_batch need the targets beside x. "
            "(Batches out of a generator go to train_on_batch or partial_fit one by one.)"
        )
    return y


def validation_parts(data: Any) -> tuple[Any, Any, Any]:
    """Inputs, targets and weights of ``validation_data=(x, y)`` or ``(x, y, sample_weight)``."""
    if not isinstance(data, tuple | list) or len(data) not in (2, 3):
        raise DataError("validation_data must be a tuple (x, y) or (x, y, sample_weight).")
    x, y, *weight = data
    return x, targets(y, "validation "), weight[0] if weight else None


def split(data: Examples, share: Any) -> tuple[Examples, Examples]:
    """The examples without, and with only, the last ``share`` of them."""
    _SHARE("fit", "validation_split", share)
    at = int(data.size * (1.0 - share))
    if not 0 < at < data.size:
        raise DataError(f"validation_split={share} of {data.size} samples leaves one of the two parts empty.")
    return data.part(0, at), data.part(at, None)


def weighted(data: Examples, class_weight: Mapping[int, float] | None) -> Examples:
    """The examples with their weights multiplied by those of their classes."""
    if class_weight is None:
        return data
    if len(data.ys) > 1:
        raise OptionError(
            "class_weight is for models with one output: its classes are those of the targets. Give "
            "sample_weight a list, with the weights of the samples for each output."
        )
    (y,), (given,) = data.ys, data.weights
    of_classes = to_numpy(losses.class_weights(y, class_weight, namespace(y).float32))
    return replace(data, weights=(of_classes if given is None else of_classes * to_numpy(given),))


def batch_length(where: str, name: str, given: Any, usual: int, samples: int) -> int:
    """The samples in a batch: as given, else the usual number, but not more than there are."""
    size: int = _COUNT(where, name, usual if given is None else given)
    return min(size, samples)


def training_batch(optimizer: Any, given: Any, samples: int) -> int:
    """The samples in a batch of ``fit``: all of them for methods that compare steps."""
    name = type(optimizer).__name__
    entry = optimizers.registry.find(type(optimizer))
    needs_all = isinstance(optimizer, optimizers.Deterministic) or (
        entry is not None and entry.traits.full_batch
    )
    size = batch_length("fit", "batch_size", given, samples if needs_all else 32, samples)
    if needs_all and size < samples:
        raise OptionError(
            f"{name} compares gradients or costs from step to step, so it needs all {samples} samples in one "
            f"batch; got batch_size={given}. Leave batch_size out."
        )
    return size


def validates(freq: Any) -> Callable[[int], bool]:
    """Whether an epoch (from 0) is followed by a validation: every ``freq``-th, or those listed (from 1)."""
    if isinstance(freq, list | tuple | set | frozenset | range):
        listed = {_COUNT("fit", "validation_freq", n) for n in freq}
        return lambda epoch: epoch + 1 in listed
    every = _COUNT("fit", "validation_freq", freq)
    return lambda epoch: (epoch + 1) % every == 0


def verbosity(verbose: Any) -> int:
    """0, 1 or 2."""
    level = 1 if verbose == "auto" else verbose
    if level not in (0, 1, 2):
        raise OptionError(
            f"verbose must be 'auto', 0 (silent), 1 (progress bar) or 2 (a line per epoch), got {verbose!r}."
        )
    return int(level)


def with_early_stopping(callbacks: Any, max_fail: int | None, verbose: int) -> Any:
    """The callbacks, with MATLAB's stop by the validation loss where no other early stopping is given."""
    given = list(callbacks) if isinstance(callbacks, list | tuple) else [callbacks] if callbacks else []
    if max_fail is None or any(isinstance(c, EarlyStopping) for c in given):
        return callbacks
    return [*given, EarlyStopping(patience=max_fail, restore_best_weights=True, verbose=verbose)]
