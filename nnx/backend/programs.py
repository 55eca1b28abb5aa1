"""What a library does for functions that are recorded once and called often: rules of optimizers, programs.

:class:`Programs` says what is asked for; here everything is called as it stands. A library's adapter makes
kernels of functions of entries, and knows which of its calls are the quickest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

Array = Any


class Programs:
    """The part of an adapter that is about recorded functions."""

    xp: Any

    def map_inplace(
        self,
        function: Callable[..., tuple[Array, ...]],
        read: tuple[Array, ...],
        write: tuple[Array, ...],
        scalars: tuple[float, ...] = (),
    ) -> None:
        """Evaluates an elementwise ``function(xp, *read, *scalars)``; stores its results into ``write``.

        All arrays are vectors of one length; ``write`` may be among ``read``. Only the owner of the
        ``write`` buffers may call this: so an optimizer updates weights and state. Values that change from
        step to step are ``scalars``, so that one compiled kernel serves all steps; the ``function`` must be
        hashable and always the same object (or compare equal).
        """
        self.mapping(function, read, write, len(scalars))(scalars)

    def mapping(
        self,
        function: Callable[..., tuple[Array, ...]],
        read: tuple[Array, ...],
        write: tuple[Array, ...],
        scalars: int,
    ) -> Callable[[tuple[float, ...]], None]:
        """:meth:`map_inplace` for these arrays, as a function of ``scalars`` ≥ 0 numbers."""

        def evaluate(given: tuple[float, ...]) -> None:
            results = without_aliases(self.xp, function(self.xp, *read, *given), read)
            for target, value in zip(write, results, strict=True):
                target[...] = value

        return evaluate

    def direct(self, function: Any, args: Any, kwargs: Any, kinds: Any) -> tuple[Any, Any, Any] | None:
        """A quicker call for ``function(*args, **kwargs)`` with the same bits; None where there is none.

        In ``args`` there are other things in the place of arrays; ``kinds`` says of each argument what array
        it is (None where it is none). For programs that make the same call many times (:mod:`nnx.jitting`).
        """
        return None

    def into(self, function: Any) -> Any:
        """The entry-by-entry function that takes a place for its result as ``out``; None where there is none.

        ``function`` may be an operator of Python's.
        """
        return None

    #: bytes of a result from which on chains of entry-by-entry calls are joined; 0 where they are not
    worth_joining = 0

    def entrywise(self, function: Any, args: Any, kwargs: Any, kinds: Any) -> tuple[str, list[Any]] | None:
        """Name (of :mod:`nnx.backend.recording`) and operands of an entry-by-entry call; None for others.

        ``kinds`` says of each argument what array it is (None where it is none).
        """
        return None

    def reduction(self, function: Any, args: Any, kwargs: Any, kind: Any) -> Any:
        """What :meth:`joined` computes in the place of this call on a result of a chain; None for others.

        ``args`` are those after the array, of which ``kind`` tells.
        """
        return None

    def joined(
        self, recording: Any, given: Any, shape: tuple[int, ...], dtype: Any, asked: Any, exact: bool
    ) -> Any:
        """One function for recorded calls; None where that does not pay.

        ``given`` says of each argument its shape and whether it holds bools; ``shape``, the number of entries
        along each axis, is that of all results, and ``dtype`` that of those that are not bools. ``asked`` are
        the numbers of the outputs that are returned, and pairs of a number and what :meth:`reduction` said.
        Where ``exact`` the bits are those of the calls.
        """
        return None

    def captured(
        self, function: Callable[..., Sequence[Any]], arrays: Sequence[Array]
    ) -> Callable[..., Sequence[Any]]:
        """``function`` of arrays like these as one launch on the device; ``function`` where that cannot be.

        For a program that waits for nothing and does not write into its arguments.
        """
        return function

    def ready(self, x: Any, shape: tuple[int, ...], dtype: Any) -> Any:
        """A number, or an array, as an array of that shape and type; None where it is as quick as it is."""
        return None


def without_aliases(xp: Any, results: Sequence[Array], inputs: Sequence[Array]) -> list[Array]:
    """The results, with a copy for each one that is an input, so that writing the others does not change it.

    For example, a rule that keeps its last weights returns ``(w - step, w)``.
    """
    given = {id(x) for x in inputs}
    return [xp.asarray(r, copy=True) if id(r) in given else r for r in results]


class Under:
    """A function that is called under other settings of ``np.errstate`` than the program that calls it."""

    def __init__(self, function: Any, settings: Any) -> None:
        self._function, self._settings = function, settings
        self.__name__ = str(getattr(function, "__name__", type(function).__name__))
        self.__module__ = getattr(function, "__module__", "")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with np.errstate(**self._settings):
            return self._function(*args, **kwargs)


def error_settings() -> Any:
    """What NumPy does about divisions by zero and the like, at the moment: arguments of ``np.errstate``."""
    return np.geterr()


def raising(settings: Any) -> AbstractContextManager[Any]:
    """A time in which what would warn under these settings of ``np.errstate`` is an error."""
    if all(what == "ignore" for what in settings.values()):
        return nullcontext()
    strict: Any = {kind: "ignore" if what == "ignore" else "raise" for kind, what in settings.items()}
    return np.errstate(**strict)
