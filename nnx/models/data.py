"""Data for a model: checked once when they come in, then handed out batch by batch on the model's device."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nnx.backend import Backend, adapter_of, asarray, device_of, make_backend, namespace, to_numpy
from nnx.errors import DataError, DtypeError, ShapeError
from nnx.losses import class_weights
from nnx.models.network import Network
from nnx.models.objective import Batch
from nnx.registry import Choice

#: Data up to this many bytes move to another library's device at once; larger ones batch by batch.
RESIDENT_BYTES = 1 << 30
_CHECKED_AT_ONCE = 1 << 18


@dataclass(frozen=True)
class Examples:
    """Inputs, targets and weights of equal length, as they were given (on any device)."""

    x: Any
    y: Any = None
    weight: Any = None

    @property
    def size(self) -> int:
        return int(self.x.shape[0])

    def part(self, start: int, stop: int | None) -> Examples:
        """The examples from ``start`` up to ``stop``."""
        arrays = [None if a is None else a[start:stop, ...] for a in (self.x, self.y, self.weight)]
        return Examples(*arrays)


def examples(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    class_weight: Mapping[int, float] | None = None,
    what: str = "x",
) -> Examples:
    """The given data as :class:`Examples`: arrays of equal length without NaN, or an error with the place."""
    x = as_array(_unwrapped(x), what)
    _need_axes(x, what)
    n = int(x.shape[0])
    if n == 0:
        raise DataError(f"{what} is empty (shape {tuple(x.shape)}): there is nothing to compute with.")
    _check_finite(x, what)
    if y is not None:
        target = what.replace("x", "y")
        y = as_array(_unwrapped(y), target)
        _need_axes(y, target)
        _same_length(n, y, what, target)
        _check_finite(y, target)
    weight = None
    if sample_weight is not None:
        weight = as_array(sample_weight, "sample_weight")
        _same_length(n, weight, what, "sample_weight")
        if weight.ndim != 1:
            raise ShapeError(
                f"sample_weight must have one number for each sample, got shape {tuple(weight.shape)}."
            )
        _check_finite(weight, "sample_weight")
    if class_weight is not None:
        if y is None:
            raise DataError("class_weight was given without y: it needs to know the classes.")
        of_classes = to_numpy(class_weights(y, class_weight, namespace(y).float32))
        weight = of_classes if weight is None else of_classes * to_numpy(weight)
    return Examples(x, y, weight)


def as_array(x: Any, what: str) -> Any:
    """``x`` (an array, nested lists, anything with ``__array__``) as a numeric array."""
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
    kind = getattr(getattr(x, "dtype", None), "kind", "f")
    if kind in "OSUMmV":
        raise DtypeError(
            f"{what} holds {x.dtype}, not numbers. Convert it first, for example with x.astype('float32')."
        )
    return x


def fit_shapes(data: Examples, network: Network, loss: Choice | None = None) -> Examples:
    """The data in the shapes that the network and the loss take: single numbers become rows of one."""
    x, y = data.x, data.y
    if x.ndim == 1 and network.input_shape == (1,):
        x = namespace(x).expand_dims(x, axis=1)
    if tuple(x.shape[1:]) != network.input_shape:
        raise ShapeError(
            f"{network.model} was built for samples of shape {network.input_shape}, got x of shape "
            f"{tuple(x.shape)} (samples first). {_reshape_hint(x, network.input_shape)}"
        )
    if y is not None and loss is not None:
        y = _fit_targets(y, network, loss)
    return Examples(x, y, data.weight)


def _fit_targets(y: Any, network: Network, loss: Choice) -> Any:
    out = network.output_shape
    if loss.facts.get("targets") == "indices":
        if y.ndim == len(out) + 1 and y.shape[-1] == 1:
            y = namespace(y).squeeze(y, axis=-1)
        if tuple(y.shape[1:]) != out[:-1]:
            raise ShapeError(
                f"{loss.name} needs one class number for each sample (y of shape (n,)), got y of shape "
                f"{tuple(y.shape)}. For one-hot rows use categorical_crossentropy."
            )
        _check_labels(y, out[-1], loss)
        return y
    if y.ndim == 1 and out == (1,):
        y = namespace(y).expand_dims(y, axis=1)
    if tuple(y.shape[1:]) != out:
        hint = ""
        if y.ndim == 1 and loss.name == "categorical_crossentropy":
            hint = " For class numbers use sparse_categorical_crossentropy or nnx.utils.to_categorical(y)."
        raise ShapeError(
            f"{network.model} gives outputs of shape {out} for each sample, "
            f"got y of shape {tuple(y.shape)}.{hint}"
        )
    return y


def _check_labels(y: Any, classes: int, loss: Choice) -> None:
    # On the host: a GPU library would wrap a label that is out of range, and train on a wrong class.
    labels = to_numpy(y)
    wrong = (labels < 0) | (labels >= classes) | (labels != labels.astype("int64"))
    if wrong.any():
        i = int(wrong.reshape(len(labels), -1).any(axis=1).argmax())
        raise DataError(
            f"{loss.name}: y[{i}] is {labels[i]}, but the network has {classes} outputs, so class numbers "
            f"must be whole numbers from 0 to {classes - 1} ({int(wrong.sum())} of {wrong.size} are not)."
        )


def _unwrapped(x: Any) -> Any:
    # Keras takes a list of inputs: [x] is x. A list of numbers or rows stays what it is.
    if isinstance(x, list | tuple) and len(x) == 1 and getattr(x[0], "ndim", 0) >= 2:
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
    xp = namespace(x)
    if not adapter_of(x).is_floating(x.dtype):
        return
    # A sum needs no memory; only if it is not finite, look for the place block by block.
    if math.isfinite(to_numpy(xp.sum(x))):
        return
    rows = max(1, _CHECKED_AT_ONCE // max(1, math.prod(x.shape[1:])))
    for start in range(0, x.shape[0], rows):
        bad = ~to_numpy(xp.isfinite(x[start : start + rows, ...]))
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
        arrays = [a for a in (data.x, data.y, data.weight) if a is not None]
        self._home = adapter_of(*arrays[:1])
        foreign = [a for a in arrays if adapter_of(a) is not backend.adapter]
        mixed = 0 < len(foreign) < len(arrays)  # a part is on the device already: the rest joins it
        if mixed or (foreign and sum(map(_bytes, arrays)) <= RESIDENT_BYTES):
            x, y = self._moved(data.x, False), None if data.y is None else self._moved(data.y, labels)
            self.data = Examples(x, y, None if data.weight is None else self._moved(data.weight, False))
            self._home = backend.adapter
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
        index = (
            order if self._home.name == "numpy" else self._home.asarray(order, device=device_of(self.data.x))
        )
        for start in range(0, self.size, self.batch_size):
            rows = index[start : min(start + self.batch_size, self.size)]
            yield Batch(*self._ready(*(self._rows(name, rows) for name in ("x", "y", "weight"))))

    def _rows(self, name: str, rows: Any) -> Any:
        array = getattr(self.data, name)
        if array is None:
            return None
        key = (name, int(rows.shape[0]))
        if self._home.fills_buffers and key not in self._buffers:
            shape = (key[1], *array.shape[1:])
            self._buffers[key] = self._home.xp.empty(shape, dtype=array.dtype, device=device_of(array))
        return self._home.take_rows(array, rows, self._buffers.get(key))

    def _ready(self, x: Any, y: Any, weight: Any) -> tuple[Any, Any, Any]:
        return (
            self._moved(x, False),
            None if y is None else self._moved(y, self._labels),
            None if weight is None else self._moved(weight, False),
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


def _bytes(a: Any) -> int:
    return 8 * math.prod(a.shape)
