"""Options of optimizers and schedules beyond those of :mod:`nnx.options`: learning rates and names."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from nnx import options
from nnx.errors import OptionError
from nnx.options import Number

#: a number, or a schedule: step → number
LearningRate = float | Callable[[int], float]

_CLIPPING = "clipnorm (each weight array), global_clipnorm (all weights together) or clipvalue"
_DECAY = (
    "learning_rate=PowerDecay(0.01, decay_steps=1 / decay) for 0.01 / (1 + decay * step), "
    "or weight_decay to shrink the weights"
)
#: what other libraries, and older versions of Keras, call these options
ELSEWHERE = {
    "alpha": "learning_rate",
    "base_lr": "learning_rate",
    "beta1": "beta_1",
    "beta2": "beta_2",
    "betas": "beta_1 and beta_2",
    "clip": _CLIPPING,
    "clip_norm": _CLIPPING,
    "clip_value": "clipvalue",
    "decay": _DECAY,
    "ema": "use_ema=True, ema_momentum",
    "ema_decay": "use_ema=True, ema_momentum",
    "eps": "epsilon",
    "eta": "learning_rate",
    "gradient_accumulation_steps": "a larger batch_size in fit (nnx does not accumulate gradients)",
    "initial_lr": "learning_rate (in a schedule: initial_learning_rate)",
    "l2": "weight_decay, or a regularizer of the layer",
    "learning_rate_schedule": "learning_rate, which takes a schedule as well",
    "loss_scale_factor": "dtype='float32' for the model (nnx computes nothing in half precision)",
    "lr": "learning_rate",
    "lr_decay": _DECAY,
    "max_grad_norm": _CLIPPING,
    "mu": "momentum",
    "name": "nothing in its place (optimizers and schedules need no name)",
    "schedule": "learning_rate, which takes a schedule as well",
}


class Options(options.Options):
    """Base class of the frozen dataclasses of this room, with the names that other libraries have."""

    renamed: ClassVar[Mapping[str, str]] = ELSEWHERE


def learning_rate(where: str, name: str, value: Any) -> Any:
    """The check that an option is a finite number >= 0, or a schedule: step → number."""
    if callable(value) and not isinstance(value, type):
        return value
    if not Number(least=0.0).allows(value):
        raise OptionError(
            f"{where}: {name} must be a finite number >= 0 or a schedule (step -> number), got {value!r}."
        )
    return float(value)


def as_rate(given: Any) -> float:
    """What a schedule returned as a float; NaN, which no step accepts, for what is no number."""
    try:
        return math.nan if isinstance(given, bool) else float(given)
    except (TypeError, ValueError):
        return math.nan


def patterns(where: str, name: str, value: Any) -> tuple[str, ...]:
    """The check that an option is one or several regular expressions for names.

    They are searched for in the names of the weight arrays.
    """
    given = (value,) if isinstance(value, str) else value
    try:
        found = tuple(given)
        for pattern in found:
            re.compile(pattern)
    except (TypeError, re.error) as error:
        raise OptionError(
            f"{where}: {name} must be names or regular expressions, as in ('bias', 'gamma'), "
            f"got {value!r}: {error}."
        ) from error
    return found
