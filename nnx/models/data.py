"""Data for a model: checked once when they come in, then handed out batch by batch on the model's device."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from nnx.backend import Adapter, Backend, adapter_of, device_of, namespace, to_numpy
from nnx.errors import DataError, ShapeError
from nnx.losses import Loss
from nnx.models.entrance import as_array, check_finite, inputs_of, need_axes, same_length, unwrapped
from nnx.models.network import Network
from nnx.models.objective import Batch
from nnx.models.sources import Order
from nnx.models.targets import extremes, fit_targets

#: Data up to this many bytes move to another library's device at once; larger ones batch by batch.
RESIDENT_BYTES = 1 << 30


@dataclass(frozen=True)
class Examples:
    """Inputs, targets and weights of equal length, as they were given (on any device)."""

    xs: tuple[Any, ...]
    y: Any = None
    weight: Any = None
    #: what they are, for messages: "" or "validation "
    of: str = ""

    @property
    def size(self) -> int:
        return int(self.xs[0].shape[0])

    @property
    def arrays(self) -> tuple[Any, ...]:
        """Inputs, targets and weights one after the other; None for what is not there."""
        return (*self.xs, self.y, self.weight)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What the arrays are called in messages."""
        xs = ("x",) if len(self.xs) == 1 else tuple(f"x[{i}]" for i in range(len(self.xs)))
        return tuple(self.of + name for name in (*xs, "y", "sample_weight"))

    def with_arrays(self, arrays: Sequence[Any]) -> Examples:
        """Other arrays in the order of :attr:`arrays`."""
        *xs, y, weight = arrays
        return Examples(tuple(xs), y, weight, self.of)

    def part(self, start: int, stop: int | None) -> Examples:
        """The examples from ``start`` up to ``stop``."""
        return self.with_arrays([None if a is None else a[start:stop, ...] for a in self.arrays])


def examples(
    x: Any, y: Any = None, sample_weight: Any = None, of: str = "", inputs: Sequence[str] = ("input",)
) -> Examples:
    """The given data as :class:`Examples`: arrays of equal length without NaN, or an error with the place.

    ``inputs`` are the names of the model's inputs.
    """
    outputs, weights = f"{of}y", f"{of}sample_weight"
    xs = inputs_of(x, inputs, f"{of}x")
    names = Examples(xs, of=of).names
    for array, name in zip(xs, names, strict=False):
        need_axes(array, name)
        if int(array.shape[0]) == 0:
            raise DataError(
                f"{name} is empty (shape {tuple(array.shape)}): there is nothing to compute with."
            )
        same_length(int(xs[0].shape[0]), array, names[0], name)
        check_finite(array, name)
    n = int(xs[0].shape[0])
    if y is not None:
        y = as_array(unwrapped(y, n), outputs)
        need_axes(y, outputs)
        same_length(n, y, names[0], outputs)
        check_finite(y, outputs)
    weight = None if sample_weight is None else _weights(sample_weight, n, names[0], weights)
    return Examples(xs, y, weight, of)


def _weights(sample_weight: Any, n: int, inputs: str, what: str) -> Any:
    weight = as_array(sample_weight, what)
    same_length(n, weight, inputs, what)
    if tuple(weight.shape) == (n, 1):
        weight = namespace(weight).squeeze(weight, axis=1)
    if weight.ndim != 1:
        raise ShapeError(f"{what} must have one number for each sample, got shape {tuple(weight.shape)}.")
    check_finite(weight, what)
    if (least := extremes(weight)[0]) < 0.0:
        raise DataError(f"{what} must not be negative, got {least:g}: the model would unlearn the sample.")
    return weight


def fit_shapes(data: Examples, network: Network, loss: Loss | None = None) -> Examples:
    """The data in the shapes that the network and the loss take: single numbers become rows of one."""
    triples = zip(data.xs, network.inputs, data.names, strict=False)
    xs = [_fit_input(x, shape, name, network.model) for x, shape, name in triples]
    y = data.y
    if y is not None and loss is not None:
        y = fit_targets(y, network, loss, f"{data.of}y")
    return Examples(tuple(xs), y, data.weight, data.of)


def _fit_input(x: Any, shape: tuple[int, ...], what: str, model: str) -> Any:
    if x.ndim == 1 and shape == (1,):
        x = namespace(x).expand_dims(x, axis=1)
    if tuple(x.shape[1:]) != shape:
        raise ShapeError(
            f"{model} was built for samples of shape {shape}, got {what} of shape {tuple(x.shape)} "
            f"(samples first). {_reshape_hint(x, shape)}"
        )
    return x


def _reshape_hint(x: Any, shape: tuple[int, ...]) -> str:
    if math.prod(x.shape[1:]) == math.prod(shape):
        return f"Reshape it: x.reshape({(-1, *shape)})."
    if tuple(x.shape) == shape:
        return "For a single sample add the first axis: x[None, ...]."
    return "Give it data of that shape, or build the model with another input_shape."


class Batches:
    """Hands out examples in batches as arrays of the model's library, data type and device."""

    spent = False

    def __init__(self, data: Examples, backend: Backend, batch_size: int, labels: bool) -> None:
        self.size = data.size
        self.batch_size = batch_size
        self._backend = backend
        self._dtype = backend.adapter.dtype(backend.dtype)
        #: for each of the arrays whether they are class numbers, which stay integers
        self._labels = tuple(labels and i == len(data.xs) for i in range(len(data.arrays)))
        for array, name in zip(data.arrays, data.names, strict=True):
            self._check_size(array, name)
        arrays = [a for a in data.arrays if a is not None]
        foreign = [a for a in arrays if adapter_of(a) is not backend.adapter]
        mixed = 0 < len(foreign) < len(arrays)  # a part is on the device already: the rest joins it
        resident = mixed or (foreign and sum(map(_bytes, arrays)) <= RESIDENT_BYTES)
        self.data = data.with_arrays(self._moved(data.arrays)) if resident else data
        #: whether batches are what they have to be as they are cut out
        self._ready = all(map(self._stays, self.data.arrays, self._labels))
        self._buffers: dict[tuple[int, int], Any] = {}
        self._whole: Batch | None = None

    @property
    def steps(self) -> int:
        return math.ceil(self.size / self.batch_size)

    def epoch(self, order: Order | None = None) -> Generator[Batch]:
        """All batches once, of the samples in the given order; a single one is the same every time."""
        if order is not None:
            yield from self.shuffled(order(self.size))
        elif self.steps == 1:
            yield self.whole()
        else:
            yield from self.in_order()

    def close(self) -> None:
        """Nothing: arrays need no end."""

    def in_order(self) -> Iterator[Batch]:
        """The batches one after the other; nothing is copied where library and type fit."""
        for start in range(0, self.size, self.batch_size):
            part = self.data.part(start, min(start + self.batch_size, self.size))
            yield self._batch(part.arrays)

    def whole(self) -> Batch:
        """All examples as one batch: the same arrays every time."""
        if self._whole is None:
            self._whole = self._batch(self.data.arrays)
        return self._whole

    def shuffled(self, order: Any) -> Iterator[Batch]:
        """The batches of the examples in the given ``order`` (host integers).

        The arrays of a batch are overwritten by the next one's.
        """
        indices = [None if a is None else _index(order, a) for a in self.data.arrays]
        for start in range(0, self.size, self.batch_size):
            part = slice(start, min(start + self.batch_size, self.size))
            yield self._batch(
                [None if at is None else self._rows(i, at[0], at[1][part]) for i, at in enumerate(indices)]
            )

    def _rows(self, i: int, home: Adapter, rows: Any) -> Any:
        array, key = self.data.arrays[i], (i, int(rows.shape[0]))
        if home.fills_buffers and key not in self._buffers:
            shape = (key[1], *array.shape[1:])
            self._buffers[key] = home.xp.empty(shape, dtype=array.dtype, device=device_of(array))
        return home.take_rows(array, rows, self._buffers.get(key))

    def _batch(self, arrays: Sequence[Any]) -> Batch:
        *xs, y, weight = arrays if self._ready else self._moved(arrays)
        return Batch(tuple(xs), y, weight)

    def _check_size(self, a: Any, what: str) -> None:
        """Numbers that the model's data type cannot hold would become infinite on the way there."""
        if a is None or not adapter_of(a).is_floating(a.dtype):
            return
        most = float(self._backend.xp.finfo(self._dtype).max)
        if float(namespace(a).finfo(a.dtype).max) <= most:
            return
        low, high = extremes(a)
        if max(-low, high) > most:
            raise DataError(
                f"{what} goes from {low:g} to {high:g}, but {self._backend.dtype} ends at {most:.2g}. "
                f"Scale {what}, or make the model with dtype='float64'."
            )

    def _moved(self, arrays: Sequence[Any]) -> list[Any]:
        pairs = zip(arrays, self._labels, strict=True)
        return [None if a is None else self._move(a, labels) for a, labels in pairs]

    def _move(self, a: Any, labels: bool) -> Any:
        """``a`` in the model's library, data type (labels stay integers) and device."""
        adapter, dtype, device = self._backend.adapter, self._dtype_of(labels), self._backend.device
        if adapter_of(a) is not adapter:
            return adapter.asarray(to_numpy(a), dtype=dtype, device=device)
        if a.dtype != dtype:
            a = adapter.xp.astype(a, dtype)
        return a if device_of(a) == device else adapter.asarray(a, device=device)

    def _stays(self, a: Any, labels: bool) -> bool:
        """Whether :meth:`_move` has nothing to do."""
        backend = self._backend
        return a is None or (
            adapter_of(a) is backend.adapter
            and a.dtype == self._dtype_of(labels)
            and device_of(a) == backend.device
        )

    def _dtype_of(self, labels: bool) -> Any:
        return self._backend.adapter.dtype("int64") if labels else self._dtype


def _index(order: Any, a: Any) -> tuple[Adapter, Any]:
    """The library of ``a``, and ``order`` as an array beside ``a``."""
    home = adapter_of(a)
    return home, order if home.name == "numpy" else home.asarray(order, device=device_of(a))


def _bytes(a: Any) -> int:
    return 8 * math.prod(a.shape)
