"""Loading ahead: a thread fetches the next pieces of data while the present one is worked on."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from contextvars import copy_context
from queue import Empty, Queue
from typing import Any

from nnx.errors import OptionError
from nnx.options import Number

_COUNT = Number(least=1, whole=True)
#: Seconds that the end waits for a piece which is being fetched; the thread then ends by itself, later.
_PATIENCE = 5.0
_END = object()


class Prefetch:
    """Data in pieces that are loaded ahead by a thread, at most ``max_queue_size`` (≥ 1) before their turn.

    ``data`` is what :meth:`nnx.Model.fit` takes in pieces (a generator, an iterable, an object with
    ``__len__`` and ``__getitem__``), and the result is given to ``fit``, ``evaluate`` and ``predict`` in its
    place; or one iterates over it. The pieces are the same in the same order. This pays where loading waits
    (for a disk, a network) or computes in code that lets other threads run, as NumPy's large operations do.

    The thread is there for one pass over the data and ends with it, also by an error or Ctrl-C; it only runs
    the code of ``data``. What that raises is raised where the piece was to be used. What was loaded and not
    used is lost: a generator that is stopped early has gone up to ``max_queue_size`` + 1 pieces further.

    Raises :class:`nnx.errors.OptionError` for data that cannot be iterated over.

    >>> slow = ((np.ones((4, 2)), np.ones(4)) for _ in range(3))
    >>> model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(2,))])
    >>> model.compile("sgd", "mse")
    >>> record = model.fit(nnx.utils.Prefetch(slow, max_queue_size=2), verbose=0)
    >>> model.optimizer.iterations
    3

    Source: TensorFlow's ``tf.data.Dataset.prefetch``.
    """

    def __init__(self, data: Any, max_queue_size: int = 10) -> None:
        if not (hasattr(data, "__iter__") or hasattr(data, "__getitem__")) or isinstance(data, Prefetch):
            raise OptionError(f"Prefetch takes data that come in pieces, got a {type(data).__name__}.")
        self.data = data
        self.max_queue_size: int = _COUNT("Prefetch", "max_queue_size", max_queue_size)

    def __iter__(self) -> Generator[Any]:
        return ahead(iter(self.data), self.max_queue_size)

    def __len__(self) -> int:
        return len(self.data)


def ahead(pieces: Iterable[Any], most: int) -> Generator[Any]:
    """What ``pieces`` gives, fetched by a thread up to ``most`` pieces ahead, which ends with the generator.

    Each pass starts a thread when the first piece is asked for. Close the generator where it is not used up.
    """
    waiting: Queue[Any] = Queue(most)
    stop = threading.Event()
    thread = threading.Thread(
        # in the context of the caller, whose backend may be set for a time
        target=copy_context().run,
        args=(_fetch, iter(pieces), waiting, stop),
        name="nnx prefetch",
        daemon=True,
    )
    thread.start()
    try:
        while True:
            piece, error = waiting.get()
            if error is not None:
                raise error
            if piece is _END:
                return
            yield piece
    finally:
        stop.set()
        with suppress(Empty):  # room, so that the thread can put down what it has and look
            while True:
                waiting.get_nowait()
        thread.join(_PATIENCE)


def _fetch(pieces: Iterator[Any], waiting: Queue[Any], stop: threading.Event) -> None:
    last: tuple[Any, BaseException | None] = (_END, None)
    try:
        for piece in pieces:
            waiting.put((piece, None))
            if stop.is_set():
                break
    except BaseException as error:
        last = (_END, error)
    if isinstance(pieces, Generator):
        pieces.close()
    if not stop.is_set():
        waiting.put(last)
