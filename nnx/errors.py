"""The exceptions of nnx, and how an error learns the place where it happened.

Every message says what was asked, what was given and what to do. :func:`located` adds where::

    ShapeError: Dense(10) expects inputs whose last axis has 784 features, got shape (32, 783).
      in layer 2 (Dense) of Sequential, batch 17
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class NnxError(Exception):
    """Base class of every error that nnx raises on purpose."""


class BackendUnavailable(NnxError, RuntimeError):
    """An array library was asked for that cannot be used here."""


class BackendNotInstalled(BackendUnavailable):
    """The array library is not installed."""


class NoUsableDevice(BackendUnavailable):
    """The array library is installed, but there is no device (GPU) that it can use."""


class IncompleteLibraries(BackendUnavailable):
    """Library and device are there, but libraries that it needs (CUDA's) are missing."""


class ShapeError(NnxError, ValueError):
    """Arrays whose shapes or lengths do not fit."""


class AxisError(ShapeError, IndexError):
    """An axis that an array does not have, or that is given twice: as NumPy's own, an IndexError too."""


class DtypeError(NnxError, TypeError):
    """An array of a data type that the operation does not take."""


class DataError(NnxError, ValueError):
    """Data that cannot be right: NaN, a label out of range, an empty set."""


class OptionError(NnxError, ValueError):
    """A hyper-parameter or option out of its range, or one that does not exist."""


class UnknownName(OptionError):
    """A string that names no activation, loss, optimizer, ...; the message lists what is near."""


class NotBuilt(NnxError, RuntimeError):
    """A model was used before its input shape was known, or before ``compile``."""


class LoopWarning(UserWarning):
    """``vmap`` calls a function sample by sample, for which it has no rule: the result is right, but slow."""


class NonFiniteError(NnxError, ArithmeticError):
    """A cost became NaN or infinite during training."""


class FitError(NnxError, RuntimeError):
    """A fit ended without success; ``result`` is what was found until then.

    It is a RuntimeError as well, as what SciPy's ``curve_fit`` raises.
    """

    def __init__(self, message: str, result: object = None) -> None:
        super().__init__(message)
        self.result = result


class FileFormatError(NnxError, ValueError):
    """A file is truncated, corrupt, or not of the format that was expected."""


class DownloadError(NnxError, OSError):
    """A data set could neither be found nor downloaded."""


class RecordingError(NnxError, TypeError):
    """A function that :func:`nnx.jit` cannot record: it asks for numbers, or changes what is outside."""


class DerivativeError(NnxError, TypeError):
    """A derivative that does not exist, has no rule, or would silently be wrong."""


@contextmanager
def located(where: Callable[[], str]) -> Iterator[None]:
    """Adds ``where()`` to any exception that leaves the block, as a note below its message.

    ``where`` is called only when something is raised, so that the happy path formats nothing.

    >>> with nnx.errors.located(lambda: "in layer 2"):
    ...     raise nnx.errors.ShapeError("does not fit")
    Traceback (most recent call last):
        ...
    nnx.errors.ShapeError: does not fit
    in layer 2
    """
    try:
        yield
    except Exception as error:
        error.add_note(f"  {where()}")
        raise
