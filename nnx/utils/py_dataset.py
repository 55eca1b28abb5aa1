"""Data that are loaded batch by batch, by number: Keras' base class for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nnx.errors import OptionError
from nnx.options import Number, truth

_COUNT = Number(least=1, whole=True)
_WORKERS = Number(least=0, whole=True)


class PyDataset:
    """Base class of data that are loaded batch by batch: say ``__len__`` and ``__getitem__``.

    ``len(data)`` is the number of batches, ``data[i]`` the i-th one from 0: ``(x, y)``,
    ``(x, y, sample_weight)``, ``(x,)`` or x. ``on_epoch_begin`` and ``on_epoch_end`` are called before and
    after each pass over all of them. :meth:`nnx.Model.fit` takes the batches in a new order in each epoch
    (``shuffle=False``: as they are). Any object with the two methods does; this class adds the options.

    ``workers`` (≥ 0): more than 1 loads batches ahead, as :class:`Prefetch` does. It is one thread, however
    many are asked for. ``max_queue_size`` (≥ 1) is the number of batches that may wait.
    ``use_multiprocessing=True`` raises :class:`nnx.errors.OptionError`: nnx starts no processes.

    >>> class Squares(nnx.utils.PyDataset):
    ...     def __len__(self):
    ...         return 4
    ...     def __getitem__(self, i):
    ...         x = np.linspace(i, i + 1, 8)[:, None]
    ...         return x, x**2
    >>> model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(1,))])
    >>> model.compile("adam", "mse")
    >>> model.fit(Squares(workers=2), epochs=2, verbose=0).epoch
    [0, 1]

    Source: Keras' ``utils.PyDataset``.
    """

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10) -> None:
        where = type(self).__name__
        self.workers: int = _WORKERS(where, "workers", workers)
        self.max_queue_size: int = _COUNT(where, "max_queue_size", max_queue_size)
        if truth(where, "use_multiprocessing", use_multiprocessing):
            raise OptionError(
                f"{where}: use_multiprocessing must be False: nnx starts no processes. Take workers=2, which "
                "loads ahead in a thread, or a PyTorch DataLoader with num_workers."
            )

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} must say __len__(self): the number of batches.")

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must say __getitem__(self, index): a batch.")

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def on_epoch_begin(self) -> None:
        """Called before each pass over the batches.

        >>> nnx.utils.PyDataset().on_epoch_begin()
        """

    def on_epoch_end(self) -> None:
        """Called after each pass over the batches, to order or change them anew.

        >>> nnx.utils.PyDataset().on_epoch_end()
        """
