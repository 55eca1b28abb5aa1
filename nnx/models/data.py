"""Data for a model: checked once when they come in, then handed out batch by batch on the model's device."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from operator import is_not
from typing import Any

from nnx.backend import Adapter, Backend, adapter_of, device_of, namespace, to_numpy
from nnx.errors import DataError, ShapeError
from nnx.models.entrance import (
    as_array,
    by_output,
    check_finite,
    inputs_of,
    need_axes,
    same_length,
    unwrapped,
)
from nnx.models.goals import Goal
from nnx.models.network import Network
from nnx.models.objective import Batch
from nnx.models.sources import Order
from nnx.models.targets import extremes, fit_targets

#: Data up to this many bytes move to another library's device at once; larger ones batch by batch.
RESIDENT_BYTES = 1 << 30


@dataclass(frozen=True)
class Examples:
    """Inputs, and for each output targets and weights, of equal length and as they were given."""

    xs: tuple[Any, ...]
    #: None for an output of which nothing is asked
    ys: tuple[Any, ...] = ()
    #: None for an output whose samples all count the same
    weights: tuple[Any, ...] = ()
    #: what they are, for messages: "" or "validation "
    of: str = ""

    @property
    def size(self) -> int:
        return int(self.xs[0].shape[0])

    @cached_property
    def arrays(self) -> tuple[Any, ...]:
        """Inputs, targets and weights one after the other; None for what is not there."""
        return (*self.xs, *self.ys, *self.weights)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What the arrays are called in messages."""
        kinds = (("x", self.xs), ("y", self.ys), ("sample_weight", self.weights))
        return tuple(name for kind, arrays in kinds for name in numbered(self.of + kind, len(arrays)))

    def with_arrays(self, arrays: Sequence[Any]) -> Examples:
        """Other arrays in the order of :attr:`arrays`."""
        return Examples(*self.sorted(arrays), self.of)

    def sorted(self, arrays: Sequence[Any]) -> tuple[tuple[Any, ...], tuple[Any, ...], tuple[Any, ...]]:
        """Arrays in the order of :attr:`arrays` as inputs, targets and weights."""
        n, m = self._ends
        return tuple(arrays[:n]), tuple(arrays[n:m]), tuple(arrays[m:])

    @cached_property
    def _ends(self) -> tuple[int, int]:
        """Where the inputs and the targets end among all arrays."""
        return len(self.xs), len(self.xs) + len(self.ys)

    def part(self, start: int, stop: int | None) -> Examples:
        """The examples from ``start`` up to ``stop``."""
        return self.with_arrays([None if a is None else a[start:stop, ...] for a in self.arrays])


def numbered(what: str, count: int) -> tuple[str, ...]:
    """What messages call so many arrays of a kind: "x", or "x[0]", "x[1]", ..."""
    return (what,) if count == 1 else tuple(f"{what}[{i}]" for i in range(count))


def inputs(x: Any, names: Sequence[str], of: str = "") -> Examples:
    """The given inputs, called ``names``: arrays of equal length without NaN, or an error with the place."""
    data = Examples(inputs_of(x, names, f"{of}x"), of=of)
    for array, name in zip(data.xs, data.names, strict=True):
        need_axes(array, name)
        if int(array.shape[0]) == 0:
            raise DataError(
                f"{name} is empty (shape {tuple(array.shape)}): there is nothing to compute with."
            )
        same_length(data.size, array, data.names[0], name)
        check_finite(array, name)
    return data


def fit_inputs(data: Examples, network: Network) -> Examples:
    """The inputs in the shapes that the network takes: single numbers become rows of one."""
    triples = zip(data.xs, network.inputs, data.names, strict=False)
    xs = tuple(_fit_input(x, shape, name, network.model) for x, shape, name in triples)
    for i, reads, *_ in network.calls:
        for k in reads:
            if k < len(xs):
                network.layers[i].check_data(xs[k], data.names[k])
    return replace(data, xs=xs)


def with_targets(
    data: Examples, y: Any, sample_weight: Any, network: Network, goals: Sequence[Goal]
) -> Examples:
    """The inputs with targets and weights for each output, in the shapes that the losses take.

    Raises :class:`nnx.errors.ShapeError` and :class:`nnx.errors.DataError` for what does not fit.
    """
    n, first, names = data.size, data.names[0], [goal.name for goal in goals]
    needed = [goal.needs_targets for goal in goals]
    ys, weights = by_output(y, names, f"{data.of}y", needed), _weights_for_each(sample_weight, names, data.of)
    found: list[tuple[Any, Any]] = []
    for k, (goal, shape) in enumerate(zip(goals, network.output_shapes, strict=True)):
        y = weight = None
        if ys[k] is not None and goal.needs_targets:
            what = numbered(f"{data.of}y", len(goals))[k]
            y = as_array(unwrapped(ys[k], n), what)
            need_axes(y, what)
            same_length(n, y, first, what)
            check_finite(y, what)
            if goal.loss is not None:
                y = fit_targets(y, shape, goal.loss, what, network.model)
        if weights[k] is not None and goal.needs_targets:
            weight = _weights(weights[k], n, shape, first, numbered(f"{data.of}sample_weight", len(goals))[k])
        found.append((y, weight))
    return replace(data, ys=tuple(y for y, _ in found), weights=tuple(w for _, w in found))


def _weights_for_each(given: Any, names: Sequence[str], of: str) -> tuple[Any, ...]:
    """The weights for each output: an array is for all of them."""
    per_output = isinstance(given, list | tuple) and any(x is None or hasattr(x, "__len__") for x in given)
    if isinstance(given, Mapping) or (per_output and len(names) > 1):
        return by_output(given, names, f"{of}sample_weight", [False] * len(names))
    return (given,) * len(names)


def _weights(sample_weight: Any, n: int, out: tuple[int, ...], inputs: str, what: str) -> Any:
    """Weights of n samples, or of the places in each, with outputs of shape ``out``."""
    weight = as_array(sample_weight, what)
    same_length(n, weight, inputs, what)
    if tuple(weight.shape) == (n, 1) and out[:1] != (1,):
        weight = namespace(weight).squeeze(weight, axis=1)
    if weight.ndim != 1 and (len(out) < weight.ndim or tuple(weight.shape[1:]) != out[: weight.ndim - 1]):
        places = f", or for each of its places, {(n, *out[:-1])}" if len(out) > 1 else ""
        raise ShapeError(
            f"{what} must have one number for each sample{places}; got shape {tuple(weight.shape)}."
        )
    check_finite(weight, what)
    if (least := extremes(weight)[0]) < 0.0:
        raise DataError(f"{what} must not be negative, got {least:g}: the model would unlearn the sample.")
    return weight


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

    def __init__(self, data: Examples, backend: Backend, batch_size: int, labels: Sequence[bool]) -> None:
        self.size = data.size
        self.batch_size = batch_size
        self._backend = backend
        self._dtype = backend.adapter.dtype(backend.dtype)
        #: for each of the arrays whether they are class numbers, which stay integers
        plain = (False,)
        self._labels = (*plain * len(data.xs), *labels, *plain * len(data.weights))
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
        rooms: list[Any] = []
        last, held = -1, [None]
        for start in range(0, self.size, self.batch_size):
            stop = min(start + self.batch_size, self.size)
            if stop - start != last:
                last = stop - start
                rooms = [None if at is None else self._room(i, at[0], last) for i, at in enumerate(indices)]
            batch = [
                None if at is None else at[0].take_rows(array, at[1][start:stop], room)
                for array, at, room in zip(self.data.arrays, indices, rooms, strict=True)
            ]
            if not self._ready or any(map(is_not, batch, held)):  # else it lies where the last one lay
                known, held = self._batch(batch), batch
            yield known

    def _room(self, i: int, home: Adapter, n: int) -> Any:
        """A buffer for n rows of an array; None where the library makes new ones."""
        array, key = self.data.arrays[i], (i, n)
        if home.fills_buffers and key not in self._buffers:
            shape = (n, *array.shape[1:])
            self._buffers[key] = home.xp.empty(shape, dtype=array.dtype, device=device_of(array))
        return self._buffers.get(key)

    def _batch(self, arrays: Sequence[Any]) -> Batch:
        return Batch(*self.data.sorted(arrays if self._ready else self._moved(arrays)))

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
