"""Data that come in pieces: generators, iterables, loaders, and objects that give a batch for its number."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from itertools import chain, cycle
from typing import Any

from nnx.errors import DataError, DtypeError, OptionError
from nnx.models.objective import Batch
from nnx.models.sources import Order
from nnx.utils.prefetch import Prefetch, ahead

#: what one array, or arrays that lie in a container, are: no pieces
_ARRAYS = ("dtype", "shape", "__array__", "__dlpack__", "toarray")
_CONTAINERS = (list, tuple, Mapping, str, bytes)
#: (x, y, sample_weight) as they were given
Given = tuple[Any, Any, Any]


def in_pieces(data: Any) -> bool:
    """Whether ``data`` are no arrays, but give one batch after the other.

    >>> from nnx.models.pieces import in_pieces
    >>> in_pieces(iter([])), in_pieces(np.ones(3)), in_pieces([[1.0]]), in_pieces({"a": np.ones(3)})
    (True, False, False, False)
    """
    if isinstance(data, _CONTAINERS) or any(hasattr(data, name) for name in _ARRAYS):
        return False
    return any(hasattr(data, name) for name in ("__next__", "__iter__", "__getitem__"))


class Stream:
    """Data in pieces, as passes over them; the first piece is fetched at once, to see what they are.

    Objects with ``__len__`` and ``__getitem__`` give their pieces in any order, others in their own. What has
    ``__next__`` (a generator) gives one pass in all. ``of`` says in messages what they are for: "" or
    "validation ".
    """

    def __init__(self, data: Any, of: str = "") -> None:
        self.of = of
        self._ahead = 0
        if isinstance(data, Prefetch):
            data, self._ahead = data.data, data.max_queue_size
        elif isinstance(workers := getattr(data, "workers", 0), int) and workers > 1:
            self._ahead = int(getattr(data, "max_queue_size", 10))
        _refuse_samples(data, f"{of}x")
        self._data = data
        self._by_number = hasattr(data, "__getitem__") and hasattr(data, "__len__")
        self._once = hasattr(data, "__next__")
        #: a pass that has begun with the first piece
        self._begun: Iterator[Any] | None = None
        self.first = self._unpacked(self._look())

    def _look(self) -> Any:
        if self._by_number:
            if len(self._data):
                return self._data[0]
        else:
            pieces = iter(self._data)
            for first in pieces:
                self._begun = chain([first], pieces)
                return first
        hint = " A generator can be used once: make a new one." if self._once else ""
        raise DataError(f"{self.of}x is a {type(self._data).__name__} that gives no batch.{hint}")

    @property
    def steps(self) -> int | None:
        """The number of pieces of a pass, if the data say it."""
        try:
            return len(self._data)
        except TypeError:  # also of a loader whose data set does not know it
            return None

    def need_end(self, passes: int, name: str) -> None:
        """OptionError where a pass never ends, or there are fewer; the argument ``name`` asks for less."""
        kind = type(self._data).__name__
        if isinstance(self._data, cycle) or getattr(self._data, "num_batches", 0) is None:
            raise OptionError(
                f"{self.of}x is a {kind}, which never ends: say {name}=, as many as are to be used."
            )
        if self._once and passes > 1:
            raise OptionError(
                f"{self.of}x is a {kind}, which can be passed over once, but {passes} epochs need it: say "
                f"{name}=, so many batches of it for each, or give an object that can be iterated over again."
            )

    def one_pass(self, order: Order | None = None) -> Generator[Given]:
        """All pieces once; a thread loads them ahead where that was asked for."""
        pieces = self._pieces(order)
        with closing(ahead(pieces, self._ahead) if self._ahead else pieces) as found:
            for piece in found:
                yield self._unpacked(piece)

    def _pieces(self, order: Order | None) -> Generator[Any]:
        if self._by_number:
            n = len(self._data)
            for i in range(n) if order is None else order(n):
                yield self._data[int(i)]
            return
        pieces, self._begun = self._begun or iter(self._data), None
        for piece in pieces:  # noqa: UP028 ("yield from" would close a user's generator, which can go on)
            yield piece

    def tell(self, moment: str) -> None:
        """Calls the data's ``on_epoch_begin`` or ``on_epoch_end``, if they have it."""
        getattr(self._data, moment, lambda: None)()

    def _unpacked(self, piece: Any) -> Given:
        if not isinstance(piece, tuple | list):
            return piece, None, None
        if not 1 <= len(piece) <= 3:
            raise DataError(
                f"{self.of}x must give batches (x, y), (x, y, sample_weight), (x,) or x; a "
                f"{type(self._data).__name__} gave a {type(piece).__name__} of {len(piece)} things. Several "
                "inputs are a tuple or a dict in the place of x: ((a, b), y)."
            )
        return (*piece, None, None)[:3]


def _refuse_samples(data: Any, what: str) -> None:
    """DtypeError for what gives samples one by one."""
    bases = [base for base in type(data).__mro__ if base.__module__.startswith("torch.utils.data")]
    if any(base.__name__ in ("Dataset", "IterableDataset") for base in bases):
        raise DtypeError(
            f"{what} is a {type(data).__name__}, which gives samples one by one. Give batches: "
            "torch.utils.data.DataLoader(dataset, batch_size=32), or arrays, as in x=dataset.tensors[0]."
        )


class Pieces:
    """The batches of data that come in pieces: each piece is one, made when it is its turn.

    ``made`` turns ``x, y, sample_weight`` into a batch, or raises what is wrong with them.
    """

    size = None

    def __init__(self, stream: Stream, made: Callable[[Any, Any, Any], Batch]) -> None:
        self.spent = False
        self._stream, self._made = stream, made

    @property
    def steps(self) -> int | None:
        return self._stream.steps

    def epoch(self, order: Order | None = None) -> Generator[Batch]:
        n = 0
        self._stream.tell("on_epoch_begin")
        with closing(self._stream.one_pass(order)) as pieces:
            for n, piece in enumerate(pieces, 1):  # noqa: B007
                yield self._made(*piece)
        self.spent = n == 0
        self._stream.tell("on_epoch_end")

    def close(self) -> None:
        """Nothing: an epoch ends what it has begun."""
