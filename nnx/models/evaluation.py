"""A pass over data without training: running means of loss and metrics, or the outputs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

from nnx.backend import Backend, adapter_of, device_of, to_numpy
from nnx.callbacks import CallbackList
from nnx.errors import DataError
from nnx.jitting import Replayed
from nnx.layers import Context
from nnx.models.objective import Batch, Objective
from nnx.models.sources import Source, counted, warn_if_spent
from nnx.models.weights import Weights

Array = Any


class Totals(Mapping[str, float]):
    """The running means of an epoch, by name; numbers come back from the device when they are asked for."""

    def __init__(self, objective: Objective, backend: Backend) -> None:
        self._measures = tuple(report.measure for report in objective.reports)
        self._names = tuple(report.name for report in objective.reports)
        self._backend = backend
        self._free = backend.adapter.reads_are_free
        self._cost: Any = 0.0
        self._size = 0
        self._sums: list[Any] = []
        #: what the optimizer measured in the last step
        self.measures: Mapping[str, float] = {}

    def add(self, cost: Any, size: int, statistics: list[Any]) -> None:
        """Takes in one batch."""
        self._cost = self._cost + (float(cost) if self._free else cost) * size
        self._size += size
        self._sums = (
            [a + b for a, b in zip(self._sums, statistics, strict=True)] if self._sums else statistics
        )

    def sums(self) -> dict[str, Any]:
        """What was added up so far: for a backup in the middle of an epoch."""
        return {"cost": self._cost, "size": self._size, "statistics": self._sums}

    def go_on(self, sums: Mapping[str, Any]) -> None:
        """Takes the sums of earlier batches (arrays are NumPy's) for a beginning."""
        asarray, device = self._backend.adapter.asarray, self._backend.device
        cost, self._size = sums["cost"], sums["size"]
        self._cost = cost if isinstance(cost, float) else asarray(cost, device=device)
        self._sums = [asarray(x, device=device) for x in sums["statistics"]]

    def __getitem__(self, name: str) -> float:
        if name == "loss":
            cost = self._cost if isinstance(self._cost, float) else float(to_numpy(self._cost))
            return cost / max(self._size, 1)
        if name not in self._names:
            raise KeyError(name)
        i = self._names.index(name)
        return _number(self._measures[i].value(to_numpy(self._sums[i]))) if self._sums else math.nan

    def __iter__(self) -> Iterator[str]:
        return iter(("loss", *self._names))

    def __len__(self) -> int:
        return 1 + len(self._names)


def _number(x: Any) -> Any:
    return float(x) if getattr(x, "shape", ()) == () else x


class Evaluation:
    """Loss and metrics of one batch after the other, without training."""

    def __init__(self, objective: Objective, weights: Weights) -> None:
        self.weights = weights

        def evaluated(trained: Array, state: Array, *arrays: Array) -> tuple[Array, list[Array], Any]:
            params, batch = weights.params_of(trained, state), objective.batch_of(arrays)
            ran = objective.predicting.run(params, batch.xs, Context())
            return objective.total(ran, batch, params), objective.statistics(ran, batch), ran.changes

        held = weights.trained, weights.state
        #: the same, of the arrays of a batch
        self.function = Replayed(evaluated, held=held, reason=objective.users_own)

    def __call__(self, batch: Batch) -> tuple[Array, list[Array]]:
        """``(cost, statistics)`` of a batch; what layers change in prediction too is kept."""
        with self.weights.computing():
            cost, statistics, changes = self.function(*batch.arrays)
            self.weights.keep(changes)
        return cost, statistics


def evaluate(
    evaluation: Evaluation, batches: Source, totals: Totals, callbacks: CallbackList
) -> dict[str, float]:
    """The loss and the metrics over all batches."""
    n = 0
    callbacks.on_test_begin()
    try:
        with closing(batches.epoch()) as found:
            while (batch := next(found, None)) is not None:
                callbacks.on_test_batch_begin(n)
                cost, statistics = evaluation(batch)
                totals.add(cost, batch.size, statistics)
                callbacks.on_test_batch_end(n, totals)
                n += 1
    except Exception as error:
        error.add_note(f"  in {counted(n, batches)} of the evaluation")
        raise
    _need_batches(batches, n, "the evaluation")
    logs = dict(totals)
    callbacks.on_test_end(logs)
    return logs


def predict(weights: Weights, batches: Source, given: Any, callbacks: CallbackList) -> Any:
    """The outputs for all batches, each as one array of the library and on the device of ``given``."""
    home = adapter_of(given)
    stays, device = home is weights.backend.adapter, device_of(given)
    whole = _Whole(home.xp, batches.size, device)
    n = 0
    callbacks.on_predict_begin()
    try:
        with closing(batches.epoch()) as found:
            while (batch := next(found, None)) is not None:
                callbacks.on_predict_batch_begin(n)
                with weights.computing():
                    ys = weights.predict(batch.xs)
                ys = ys if stays else [home.asarray(to_numpy(y), device=device) for y in ys]
                whole.add(ys)
                callbacks.on_predict_batch_end(n, {"outputs": weights.network.answer(ys)})
                n += 1
    except Exception as error:
        error.add_note(f"  in {counted(n, batches)} of the prediction")
        raise
    _need_batches(batches, n, "the prediction")
    callbacks.on_predict_end()
    return weights.network.answer(whole.arrays())


class _Whole:
    """The outputs of all batches, one array each: made at once where the number of samples is known."""

    def __init__(self, xp: Any, size: int | None, device: Any) -> None:
        self._xp, self._size, self._device = xp, size, device
        self._start = 0
        self._rooms: list[Any] = []
        self._parts: list[list[Any]] = []

    def add(self, ys: list[Any]) -> None:
        """Adds the outputs of a batch."""
        if self._size is None:
            self._parts.append(ys)
            return
        if not self._rooms:
            shapes = [(self._size, *y.shape[1:]) for y in ys]
            pairs = zip(shapes, ys, strict=True)
            self._rooms = [self._xp.empty(s, dtype=y.dtype, device=self._device) for s, y in pairs]
        stop = self._start + ys[0].shape[0]
        for y, room in zip(ys, self._rooms, strict=True):
            room[self._start : stop, ...] = y
        self._start = stop

    def arrays(self) -> list[Any]:
        """The outputs of all batches so far."""
        if self._size is not None:
            return self._rooms
        return [self._xp.concat(list(parts), axis=0) for parts in zip(*self._parts, strict=True)]


def _need_batches(batches: Source, n: int, what: str) -> None:
    if not n:
        raise DataError(f"There was no batch for {what}: the data are used up.")
    warn_if_spent(batches, n, f"{what} is of these alone.")
