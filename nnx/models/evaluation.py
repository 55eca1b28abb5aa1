"""A pass over data without training: running means of loss and metrics, or the outputs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from nnx.backend import Backend, adapter_of, device_of, to_numpy
from nnx.callbacks import CallbackList
from nnx.models.data import Batches
from nnx.models.objective import Objective
from nnx.models.weights import Weights


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


def evaluate(
    objective: Objective, weights: Weights, batches: Batches, totals: Totals, callbacks: CallbackList
) -> dict[str, float]:
    """The loss and the metrics over all batches."""
    params = weights.own_params()
    n = -1
    callbacks.on_test_begin()
    try:
        for n, batch in enumerate(batches.in_order()):
            callbacks.on_test_batch_begin(n)
            cost, statistics = objective.evaluate(params, batch, weights.keep)
            totals.add(cost, batch.size, statistics)
            callbacks.on_test_batch_end(n, totals)
    except Exception as error:
        error.add_note(f"  in batch {max(n, 0) + 1} of {len(batches)} of the evaluation")
        raise
    found = dict(totals)
    callbacks.on_test_end(found)
    return found


def predict(weights: Weights, batches: Batches, given: Any, callbacks: CallbackList) -> Any:
    """The outputs for all batches, each as one array of the library and on the device of ``given``."""
    params, home = weights.own_params(), adapter_of(given)
    stays, device = home is weights.backend.adapter, device_of(given)
    whole, start = list[Any](), 0
    callbacks.on_predict_begin()
    for n, batch in enumerate(batches.in_order()):
        callbacks.on_predict_batch_begin(n)
        ys = weights.program.predict(params, batch.xs, weights.keep)
        ys = ys if stays else [home.asarray(to_numpy(y), device=device) for y in ys]
        if not whole:
            whole = [_room(home.xp, y, batches.size, device) for y in ys]
        for y, out in zip(ys, whole, strict=True):
            out[start : start + batch.size, ...] = y
        start += batch.size
        callbacks.on_predict_batch_end(n, {"outputs": weights.network.answer(ys)})
    callbacks.on_predict_end()
    return weights.network.answer(whole)


def _room(xp: Any, y: Any, n: int, device: Any) -> Any:
    """An array for n samples like those of ``y``."""
    return xp.empty((n, *y.shape[1:]), dtype=y.dtype, device=device)
