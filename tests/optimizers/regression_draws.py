"""Families of regressions as they are met in practice: each draw is a data set with a random start.

A parameter has a kind, a range for its true value, and its units as powers of those of y and of x, so that
data, parameters and predictor can be in any units. Distributions:

- true values: log-uniform over the range where both ends are positive, else uniform;
- data: y = model + noise·max|model|·N(0, 1), noise as the family says, and none in one draw of ten;
- starts, by kind: a ``scale`` is off by the factor 10^N(0, 0.4); a ``place`` is uniform over the range of x;
  a ``phase`` uniform in ±π; a ``level`` off by N(0, 1)·max|y|; a ``tight`` one (frequencies, powers) by the
  factor exp(N(0, 0.15)).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import pi
from typing import Any, NamedTuple

import numpy as np
from optimizers.least_squares_problem import LeastSquares

from nnx.backend import device_of, namespace

Array = Any
Rng = np.random.Generator


class Parameter(NamedTuple):
    """Its kind, the range of its true value, and its units: y to the power ``of_y`` times x to ``of_x``."""

    kind: str
    low: float
    high: float
    of_y: int = 0
    of_x: int = 0

    def true(self, rng: Rng) -> float:
        if self.low > 0.0:
            return float(np.exp(rng.uniform(np.log(self.low), np.log(self.high))))
        return float(rng.uniform(self.low, self.high))

    def start(self, rng: Rng, true: float, x: Array, y: Array) -> float:
        return {
            "scale": lambda: true * 10.0 ** (0.4 * rng.normal()),
            "tight": lambda: true * np.exp(0.15 * rng.normal()),
            "place": lambda: rng.uniform(np.min(x), np.max(x)),
            "phase": lambda: rng.uniform(-pi, pi),
            "level": lambda: true + rng.normal() * np.max(np.abs(y)),
        }[self.kind]()


@dataclass(frozen=True)
class Family:
    """``model(xp, x, *p)``, its parameters, and the predictor's range, number of points and noise."""

    name: str
    model: Callable[..., Array]
    parameters: tuple[Parameter, ...]
    low: float
    high: float
    points: int
    noise: float

    def draw(self, rng: Rng, of_y: float = 1.0, of_x: float = 1.0, ones: bool = False) -> DataProblem:
        """A data set in those units and a random start, or a start of ones in these units."""
        x = np.linspace(self.low, self.high, self.points)
        true = [p.true(rng) for p in self.parameters]
        y = self.model(np, x, *true)
        noise = 0.0 if rng.random() < 0.1 else self.noise
        y = y + noise * np.max(np.abs(y)) * rng.normal(size=y.size)
        start = [p.start(rng, t, x, y) for p, t in zip(self.parameters, true, strict=True)]
        units = [of_y**p.of_y * of_x**p.of_x for p in self.parameters]
        first = np.ones(len(units)) if ones else np.array(start) * units
        return data_problem(self.name, self.model, of_x * x, of_y * y, tuple(map(float, first)))


@dataclass(frozen=True)
class DataProblem(LeastSquares):
    """A least-squares problem that is a curve through data: ``curve(x, *p)`` as ``curve_fit`` wants it."""

    curve: Callable[..., Array]
    x: Array
    y: Array


def data_problem(
    name: str, model: Callable[..., Array], x: Array, y: Array, start: tuple[float, ...]
) -> DataProblem:
    """The residuals model − y of a model and data; no minimum is known."""

    def residual(xp: Any, p: Array) -> Array:
        t, data = (xp.asarray(a, dtype=p.dtype, device=device_of(p)) for a in (x, y))
        return model(xp, t, *(p[i] for i in range(p.shape[0]))) - data

    def curve(t: Array, *p: Array) -> Array:
        return model(namespace(*p), t, *p)

    return DataProblem(name, residual, start, (), "data", curve, x, y)
