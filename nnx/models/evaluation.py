"""A pass over data without training: running means of loss and metrics, or the outputs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

from nnx.backend import Backend, adapter_of, device_of, to_numpy
from nnx.callbacks import CallbackList
from nnx.errors import DataError
from nnx.models.objective import Objective
from nnx.models.sources import Source, counted, warn_if_spent
from nnx.models.weights import Weights


class Totals(Mapping[str, float]):
    """The running means of an epoch, by name; numbers come back from the device when they are asked for."""

    def __init__(self, objective: Objective, names: tuple[str, ...], backend: Backend) -> None:
        self._metrics = (*objective.metrics, *objective.weighted_metrics)
        self._names = names
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
        return _number(self._metrics[i].value(to_numpy(self._sums[i]))) if self._sums else math.nan

    def __iter__(self) -> Iterator[str]:
        return iter(("loss", *self._names))

    def __len__(self) -> int:
        return 1 + len(self._names)


def _number(x: Any) -> Any:
    return float(x) if getattr(x, "shape", ()) == () else x


def evaluate(
    objective: Objective, weights: Weights, batches: Source, totals: Totals, callbacks: CallbackList
) -> dict[str, float]:
    """The loss and the metrics over all batches."""
    params = weights.own_params()
    n = 0
    callbacks.on_test_begin()
    try:
        with closing(batches.epoch()) as found:
            while (batch := next(found, None)) is not None:
                callbacks.on_test_batch_begin(n)
                cost, statistics = objective.evaluate(params, batch)
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
    """The outputs for all batches, as one array of the library and on the device of ``given``."""
    params, home = weights.own_params(), adapter_of(given)
    stays = home is weights.backend.adapter
    out, start, parts = None, 0, []
    n = 0
    callbacks.on_predict_begin()
    try:
        with closing(batches.epoch()) as found:
            while (batch := next(found, None)) is not None:
                callbacks.on_predict_batch_begin(n)
                y = weights.program.predict(params, batch.xs)
                y = y if stays else home.asarray(to_numpy(y), device=device_of(given))
                if batches.size is None:
                    parts.append(y)
                else:
                    if out is None:
                        shape = (batches.size, *y.shape[1:])
                        out = home.xp.empty(shape, dtype=y.dtype, device=device_of(given))
                    out[start : start + batch.size, ...] = y
                start += batch.size
                callbacks.on_predict_batch_end(n, {"outputs": y})
                n += 1
    except Exception as error:
        error.add_note(f"  in {counted(n, batches)} of the prediction")
        raise
    _need_batches(batches, n, "the prediction")
    callbacks.on_predict_end()
    return home.xp.concat(parts, axis=0) if parts else out


def _need_batches(batches: Source, n: int, what: str) -> None:
    if not n:
        raise DataError(f"There was no batch for {what}: the data are used up.")
    warn_if_spent(batches, n, f"{what} is of these alone.")
