"""Data for a model: checked once when they come in, then handed out batch by batch on the model's device."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from nnx.backend import (
    Adapter,
    Backend,
    adapter_of,
    asarray,
    device_of,
    make_backend,
    namespace,
    need_numbers,
    to_numpy,
)
from nnx.errors import DataError, DtypeError, ShapeError
from nnx.losses import Loss
from nnx.models.network import Network
from nnx.models.objective import Batch
from nnx.models.targets import extremes, fit_targets

#: Data up to this many bytes move to another library's device at once; larger ones batch by batch.
RESIDENT_BYTES = 1 << 30
_CHECKED_AT_ONCE = 1 << 18


@dataclass(frozen=True)
class Examples:
    """Inputs, targets and weights of equal length, as they were given (on any device)."""

    x: Any
    y: Any = None
    weight: Any = None
    #: what they are, for messages: "" or "validation "
    of: str = ""

    @property
    def size(self) -> int:
        return int(self.x.shape[0])

    def part(self, start: int, stop: int | None) -> Examples:
        """The examples from ``start`` up to ``stop``."""
        x, y, weight = (None if a is None else a[start:stop, ...] for a in (self.x, self.y, self.weight))
        return Examples(x, y, weight, self.of)


def examples(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    of: str = "",
) -> Examples:
    """The given data as :class:`Examples`: arrays of equal length without NaN, or an error with the place."""
    inputs, outputs, weights = f"{of}x", f"{of}y", f"{of}sample_weight"
    x = as_array(_unwrapped(x), inputs)
    _need_axes(x, inputs)
    n = int(x.shape[0])
    if n == 0:
        raise DataError(f"{inputs} is empty (shape {tuple(x.shape)}): there is nothing to compute with.")
    _check_finite(x, inputs)
    if y is not None:
        y = as_array(_unwrapped(y, n), outputs)
        _need_axes(y, outputs)
        _same_length(n, y, inputs, outputs)
        _check_finite(y, outputs)
    weight = None
    if sample_weight is not None:
        weight = as_array(sample_weight, weights)
        _same_length(n, weight, inputs, weights)
        if tuple(weight.shape) == (n, 1):
            weight = namespace(weight).squeeze(weight, axis=1)
        if weight.ndim != 1:
            raise ShapeError(
                f"{weights} must have one number for each sample, got shape {tuple(weight.shape)}."
            )
        _check_finite(weight, weights)
        if (least := extremes(weight)[0]) < 0.0:
            raise DataError(
                f"{weights} must not be negative, got {least:g}: the model would unlearn the sample."
            )
    return Examples(x, y, weight, of)


def as_array(x: Any, what: str) -> Any:
    """``x`` (an array, nested lists, anything with ``__array__``) as an array of real numbers."""
    if hasattr(x, "toarray"):
        raise DtypeError(
            f"{what} is sparse ({type(x).__name__}); nnx takes dense arrays: use {what}.toarray()."
        )
    if hasattr(x, "__next__"):
        raise DtypeError(
            f"{what} is a {type(x).__name__}. Call train_on_batch or partial_fit for each batch."
        )
    need_numbers(x, what)
    try:
        adapter_of(x)
    except DtypeError:
        host = make_backend("numpy").adapter
        try:
            x = host.asarray(x)
        except ValueError as error:
            raise ShapeError(
                f"{what} is not a regular array: {error}. Are its rows of equal length?"
            ) from error
    x = asarray(x)
    if namespace(x).isdtype(x.dtype, "complex floating"):
        raise DtypeError(
            f"{what} holds complex numbers ({x.dtype}). Give real and imaginary part one by one."
        )
    if not namespace(x).isdtype(x.dtype, ("bool", "integral", "real floating")):
        raise DtypeError(
            f"{what} holds {x.dtype}, not numbers. Convert it first, for example with x.astype('float32')."
        )
    return x


def fit_shapes(data: Examples, network: Network, loss: Loss | None = None) -> Examples:
    """The data in the shapes that the network and the loss take: single numbers become rows of one."""
    x, y = data.x, data.y
    if x.ndim == 1 and network.input_shape == (1,):
        x = namespace(x).expand_dims(x, axis=1)
    if tuple(x.shape[1:]) != network.input_shape:
        raise ShapeError(
            f"{network.model} was built for samples of shape {network.input_shape}, got {data.of}x of shape "
            f"{tuple(x.shape)} (samples first). {_reshape_hint(x, network.input_shape)}"
        )
    if y is not None and loss is not None:
        y = fit_targets(y, network, loss, f"{data.of}y")
    return Examples(x, y, data.weight, data.of)


def _unwrapped(x: Any, n: int = 1) -> Any:
    # Keras takes a list of inputs: [x] is x, and [y] is y for n samples. Other lists stay what they are.
    if isinstance(x, list | tuple) and len(x) == 1:
        shape = getattr(x[0], "shape", ())
        if len(shape) >= 2 or (shape == (n,) and n > 1):
            return x[0]
    return x


def _need_axes(x: Any, what: str) -> None:
    if x.ndim == 0:
        raise ShapeError(f"{what} must have samples along its first axis, got a single number.")


def _same_length(n: int, y: Any, what: str, other: str) -> None:
    if y.ndim == 0 or int(y.shape[0]) != n:
        given = "a single number" if y.ndim == 0 else f"{y.shape[0]}"
        raise ShapeError(f"{what} has {n} samples, {other} has {given}: they must have the same number.")


def _check_finite(x: Any, what: str) -> None:
    own = adapter_of(x)
    if not own.is_floating(x.dtype):
        return
    # A sum needs no memory; only if it is not finite, look for the place block by block.
    if own.sum_is_finite(x):
        return
    rows = max(1, _CHECKED_AT_ONCE // max(1, math.prod(x.shape[1:])))
    for start in range(0, x.shape[0], rows):
        bad = ~to_numpy(own.xp.isfinite(x[start : min(start + rows, x.shape[0]), ...]))
        if bad.any():
            i = start + int(bad.reshape(bad.shape[0], -1).any(axis=1).argmax())
            raise DataError(
                f"{what} has NaN or infinite numbers, the first in sample {i} ({what}[{i}]). Remove or "
                "replace them before training: every weight that they touch would become NaN."
            )


def _reshape_hint(x: Any, shape: tuple[int, ...]) -> str:
    if math.prod(x.shape[1:]) == math.prod(shape):
        return f"Reshape it: x.reshape({(-1, *shape)})."
    if tuple(x.shape) == shape:
        return "For a single sample add the first axis: x[None, ...]."
    return "Give it data of that shape, or build the model with another input_shape."


class Batches:
    """Hands out examples in batches as arrays of the model's library, data type and device."""

    def __init__(self, data: Examples, backend: Backend, batch_size: int, labels: bool) -> None:
        self.data = data
        self.size = data.size
        self.batch_size = batch_size
        self._backend = backend
        self._dtype = backend.adapter.dtype(backend.dtype)
        self._labels = labels
        for name in ("x", "y", "weight"):
            self._check_size(getattr(data, name), data.of + name.replace("weight", "sample_weight"))
        arrays = [a for a in (data.x, data.y, data.weight) if a is not None]
        foreign = [a for a in arrays if adapter_of(a) is not backend.adapter]
        mixed = 0 < len(foreign) < len(arrays)  # a part is on the device already: the rest joins it
        if mixed or (foreign and sum(map(_bytes, arrays)) <= RESIDENT_BYTES):
            x, y = self._moved(data.x, False), None if data.y is None else self._moved(data.y, labels)
            weight = None if data.weight is None else self._moved(data.weight, False)
            self.data = Examples(x, y, weight, data.of)
        self._buffers: dict[tuple[str, int], Any] = {}
        self._whole: Batch | None = None

    def __len__(self) -> int:
        return math.ceil(self.size / self.batch_size)

    def in_order(self) -> Iterator[Batch]:
        """The batches one after the other; nothing is copied where library and type fit."""
        for start in range(0, self.size, self.batch_size):
            part = self.data.part(start, min(start + self.batch_size, self.size))
            yield Batch(*self._ready(part.x, part.y, part.weight))

    def whole(self) -> Batch:
        """All examples as one batch: the same arrays every time."""
        if self._whole is None:
            self._whole = Batch(*self._ready(self.data.x, self.data.y, self.data.weight))
        return self._whole

    def shuffled(self, order: Any) -> Iterator[Batch]:
        """The batches of the examples in the given ``order`` (host integers).

        The arrays of a batch are overwritten by the next one's.
        """
        given = {name: getattr(self.data, name) for name in ("x", "y", "weight")}
        indices = {name: _index(order, a) for name, a in given.items() if a is not None}
        for start in range(0, self.size, self.batch_size):
            part = slice(start, min(start + self.batch_size, self.size))
            taken = {name: self._rows(name, home, index[part]) for name, (home, index) in indices.items()}
            yield Batch(*self._ready(*map(taken.get, given)))

    def _rows(self, name: str, home: Adapter, rows: Any) -> Any:
        array, key = getattr(self.data, name), (name, int(rows.shape[0]))
        if home.fills_buffers and key not in self._buffers:
            shape = (key[1], *array.shape[1:])
            self._buffers[key] = home.xp.empty(shape, dtype=array.dtype, device=device_of(array))
        return home.take_rows(array, rows, self._buffers.get(key))

    def _ready(self, x: Any, y: Any, weight: Any) -> tuple[Any, Any, Any]:
        return (
            self._moved(x, False),
            None if y is None else self._moved(y, self._labels),
            None if weight is None else self._moved(weight, False),
        )

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

    def _moved(self, a: Any, labels: bool) -> Any:
        """``a`` in the model's library, data type (labels stay integers) and device."""
        adapter, dtype = self._backend.adapter, self._dtype
        if labels:
            dtype = adapter.dtype("int64")
        if adapter_of(a) is adapter:
            if a.dtype != dtype:
                a = adapter.xp.astype(a, dtype)
            return (
                a if device_of(a) == self._backend.device else adapter.asarray(a, device=self._backend.device)
            )
        return adapter.asarray(to_numpy(a), dtype=dtype, device=self._backend.device)


def _index(order: Any, a: Any) -> tuple[Adapter, Any]:
    """The library of ``a``, and ``order`` as an array beside ``a``."""
    home = adapter_of(a)
    return home, order if home.name == "numpy" else home.asarray(order, device=device_of(a))


def _bytes(a: Any) -> int:
    return 8 * math.prod(a.shape)
