"""What users may write in ``compile`` and ``fit``, turned into what the code works with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnx import metrics
from nnx.callbacks import EarlyStopping
from nnx.errors import DataError, OptionError
from nnx.models.data import Examples, examples


def named_metrics(specs: Sequence[Any] | None, what: str) -> list[tuple[str, Any]]:
    """The metrics with the names under which they are reported."""
    if specs is None:
        return []
    if isinstance(specs, str) or not isinstance(specs, list | tuple):
        raise OptionError(f"{what} must be a list, for example {what}=['accuracy'], got {specs!r}.")
    named = []
    for spec in specs:
        thing = metrics.get(spec)
        named.append((spec if isinstance(spec, str) else thing.name, thing))
    return named


def targets(y: Any) -> Any:
    """``y`` itself; an error if it is missing."""
    if y is None:
        raise DataError("y is missing: fit, evaluate and train_on_batch need the targets beside x.")
    return y


def validation_examples(data: Any) -> Examples | None:
    """The examples of ``validation_data=(x, y)`` or ``(x, y, sample_weight)``."""
    if data is None:
        return None
    if not isinstance(data, tuple | list) or len(data) not in (2, 3):
        raise DataError("validation_data must be a tuple (x, y) or (x, y, sample_weight).")
    x, y, *weight = data
    return examples(x, y, weight[0] if weight else None, what="validation x")


def split(data: Examples, share: Any) -> tuple[Examples, Examples]:
    """The examples without, and with only, the last ``share`` of them."""
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0.0 <= share < 1.0:
        raise OptionError(f"validation_split must be a number in [0, 1), got {share!r}.")
    at = int(data.size * (1.0 - share))
    if not 0 < at < data.size:
        raise DataError(f"validation_split={share} of {data.size} samples leaves one of the two parts empty.")
    return data.part(0, at), data.part(at, None)


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
