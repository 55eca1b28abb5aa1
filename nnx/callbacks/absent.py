"""Callbacks of Keras' that nnx does not have: what to use instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from nnx.errors import UnknownName

ABSENT = {
    "TensorBoard": (
        "it writes TensorFlow's event files. CSVLogger writes the same numbers into a table; for TensorBoard "
        "itself call torch.utils.tensorboard.SummaryWriter in a LambdaCallback(on_epoch_end=...)."
    ),
    "RemoteMonitor": (
        "nnx sends nothing over the network. Send the logs in a LambdaCallback(on_epoch_end=...), for "
        "example with urllib.request."
    ),
    "OrbaxCheckpoint": (
        "it writes JAX's format. ModelCheckpoint saves models (load_model reads them), BackupAndRestore "
        "continues a training that was killed."
    ),
}


def refusal(name: str) -> Callable[..., NoReturn]:
    """A function in the place of a callback that is absent: to call it is an error with the reason."""

    def refuse(*args: Any, **options: Any) -> NoReturn:
        raise UnknownName(f"nnx.callbacks has no {name}: {ABSENT[name]}")

    refuse.__name__ = refuse.__qualname__ = name
    return refuse
