"""The registry of losses, and what is declared with each."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from nnx.registry import Registry, Traits


@dataclass(frozen=True)
class LossTraits(Traits):
    """What is declared with a loss of one sample with outputs ŷ and targets y."""

    #: what it is a loss of: "regression" (any numbers), "positive" (numbers ≥ 0), "binary", "categorical"
    #: (one-hot rows), "sparse" (class numbers), "signs" (−1 and 1) or "other"; a model refuses targets
    #: outside of the task's range, see ``RANGES``
    task: str = ""
    #: what ``y_true`` is: "same" (the shape of ``y_pred``), "indices" (class numbers, without the last axis),
    #: or None, as of a user's function: whatever comes
    targets: Literal["same", "indices"] | None = None
    #: the last activation of a network for which the loss, called with ``from_logits=True`` on what goes into
    #: the activation, has the same value, but is stable and faster
    canonical_activation: Literal["softmax", "sigmoid"] | None = None
    #: a function ``(y_true, y_pred, sample_weight=None)`` → a vector whose sum of squares is the loss,
    #: averaged over the batch as by :func:`reduce`: for Gauss–Newton and Levenberg–Marquardt
    residual: Callable[..., Any] | None = None


registry = Registry("loss", LossTraits, module="nnx.losses")

#: Keras' ``epsilon()``: probabilities are kept this far away from 0 and 1.
EPSILON = 1e-7

#: From where to where the targets of a task reach. (Losses of signs take 0 and 1 as well.)
RANGES = {
    "positive": (0.0, math.inf),
    "binary": (0.0, 1.0),
    "categorical": (0.0, 1.0),
    "signs": (-1.0, 1.0),
}
