"""What happens along with training: records, stopping rules, learning rates, checkpoints, the progress bar.

Callbacks are given to ``fit``, ``evaluate`` or ``predict`` in a list. A callback has a method for each moment
(a *hook*) and reaches the model as ``self.model``; see :class:`Callback` for how to write one.
"""

from typing import Any

from nnx.callbacks.absent import ABSENT, refusal
from nnx.callbacks.averaged import SwapEMAWeights
from nnx.callbacks.backup import BackupAndRestore
from nnx.callbacks.base import Callback, LambdaCallback
from nnx.callbacks.callback_list import CallbackList
from nnx.callbacks.checkpoint import ModelCheckpoint
from nnx.callbacks.early_stopping import EarlyStopping
from nnx.callbacks.layer_norms import LayerNorms
from nnx.callbacks.learning_rate import LearningRateScheduler, ReduceLROnPlateau
from nnx.callbacks.progress import EpochLines, ProgressBar
from nnx.callbacks.records import CSVLogger, History
from nnx.callbacks.stopping import (
    StopOnGoal,
    StopOnGradientNorm,
    StopOnStepNorm,
    StoppingRule,
    TerminateOnNaN,
    TimeLimit,
)

#: Keras' name
ProgbarLogger = ProgressBar

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "EpochLines",
    "History",
    "LambdaCallback",
    "LayerNorms",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ProgbarLogger",
    "ProgressBar",
    "ReduceLROnPlateau",
    "StopOnGoal",
    "StopOnGradientNorm",
    "StopOnStepNorm",
    "StoppingRule",
    "SwapEMAWeights",
    "TerminateOnNaN",
    "TimeLimit",
]


def __getattr__(name: str) -> Any:
    """Callbacks that Keras has beyond these: they can be imported, and to make one says what to use."""
    if name in ABSENT:
        return refusal(name)
    raise AttributeError(f"There is no callback called '{name}'.")
