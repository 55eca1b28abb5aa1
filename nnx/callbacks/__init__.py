"""What happens beside training: records, stopping rules, learning rates, checkpoints, the progress bar.

A callback is given to ``fit`` in a list. It has a method for each moment of training (a *hook*) and
reaches the model as ``self.model``; see :class:`Callback` for how to write one.
"""

from nnx.callbacks.base import Callback, LambdaCallback
from nnx.callbacks.checkpoint import ModelCheckpoint
from nnx.callbacks.early_stopping import EarlyStopping
from nnx.callbacks.learning_rate import LearningRateScheduler, ReduceLROnPlateau
from nnx.callbacks.progress import EpochLines, ProgressBar
from nnx.callbacks.records import CSVLogger, History
from nnx.callbacks.run import CallbackList
from nnx.callbacks.stopping import (
    StopOnGoal,
    StopOnGradientNorm,
    StopOnStepNorm,
    StoppingRule,
    TerminateOnNaN,
    TimeLimit,
)

__all__ = [
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "EpochLines",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ProgressBar",
    "ReduceLROnPlateau",
    "StopOnGoal",
    "StopOnGradientNorm",
    "StopOnStepNorm",
    "StoppingRule",
    "TerminateOnNaN",
    "TimeLimit",
]
