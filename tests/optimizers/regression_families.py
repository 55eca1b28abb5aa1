"""Families of regressions as they are met in practice: each draw is a data set with a random start.

A parameter has a kind, a range for its true value, and its units as powers of those of y and of x, so that
data, parameters and predictor can be in any units. Distributions:

- true values: log-uniform over the range where both ends are positive, else uniform;
- data: y = model + noise·max|model|·N(0, 1), noise as the family says, and none in one draw of ten;
- starts, by kind: a ``scale`` is off by the factor 10^N(0, 0.4); a ``place`` is uniform over the range of x; a
  ``phase`` uniform in ±π; a ``level`` off by N(0, 1)·max|y|; a ``tight`` one (frequencies, powers) by the
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


def gaussian(xp, x, a, m, s):
    return a * xp.exp(-0.5 * ((x - m) / s) ** 2)


def lorentzian(xp, x, a, m, w):
    return a / (1.0 + ((x - m) / w) ** 2)


def decay(xp, x, *p):
    return sum(a * xp.exp(-b * x) for a, b in zip(p[::2], p[1::2], strict=True))


def pseudo_voigt(xp, x, a, m, w, mixed, c):
    return mixed * lorentzian(xp, x, a, m, w) + (1.0 - mixed) * gaussian(xp, x, a, m, w / 1.1774) + c


def four_logistic(xp, x, low, high, middle, slope):
    return low + (high - low) / (1.0 + (x / middle) ** slope)


def amplitude(low: float = 0.5, high: float = 5.0) -> Parameter:
    return Parameter("scale", low, high, of_y=1)


def rate(low: float, high: float) -> Parameter:
    return Parameter("scale", low, high, of_x=-1)


def width(low: float, high: float) -> Parameter:
    return Parameter("scale", low, high, of_x=1)


def place(low: float, high: float) -> Parameter:
    return Parameter("place", low, high, of_x=1)


def peak(m: float, low: float = 0.3, high: float = 0.9) -> tuple[Parameter, ...]:
    return amplitude(), place(m - 0.5, m + 0.5), width(low, high)


def frequency(low: float, high: float) -> Parameter:
    return Parameter("tight", low, high, of_x=-1)


LEVEL = Parameter("level", -1.0, 1.0, of_y=1)
SLOPE = Parameter("level", -0.1, 0.1, of_y=1, of_x=-1)
PHASE = Parameter("phase", -pi, pi)
POWER = Parameter("tight", 0.8, 3.0)

FAMILIES = [
    Family("exponential", decay, (amplitude(), rate(0.3, 3)), 0, 5, 30, 0.02),
    Family(
        "exponential and offset",
        lambda xp, x, a, b, c: a * xp.exp(-b * x) + c,
        (amplitude(), rate(0.3, 3), LEVEL),
        0,
        5,
        40,
        0.02,
    ),
    Family(
        "two exponentials",
        decay,
        (amplitude(), rate(0.2, 0.6), amplitude(), rate(1.5, 4)),
        0,
        10,
        60,
        0.003,
    ),
    Family(
        "three exponentials",
        decay,
        (amplitude(), rate(0.1, 0.2), amplitude(), rate(0.8, 1.5), amplitude(), rate(6, 10)),
        0,
        12,
        200,
        1e-4,
    ),
    Family(
        "saturation",
        lambda xp, x, a, b: a * (1.0 - xp.exp(-b * x)),
        (amplitude(), rate(0.2, 2)),
        0.5,
        8,
        12,
        0.03,
    ),
    Family("Gaussian", gaussian, peak(0.0), -4, 4, 60, 0.02),
    Family(
        "Gaussian and line",
        lambda xp, x, a, m, s, c, d: gaussian(xp, x, a, m, s) + c + d * x,
        (*peak(0.0), LEVEL, SLOPE),
        -4,
        4,
        80,
        0.02,
    ),
    Family(
        "two Gaussians",
        lambda xp, x, *p: gaussian(xp, x, *p[:3]) + gaussian(xp, x, *p[3:6]) + p[6],
        (*peak(-1.5), *peak(1.5), LEVEL),
        -5,
        5,
        100,
        0.02,
    ),
    Family(
        "three Gaussians",
        lambda xp, x, *p: sum(gaussian(xp, x, *p[i : i + 3]) for i in (0, 3, 6)),
        (*peak(-3), *peak(0), *peak(3)),
        -6,
        6,
        120,
        0.01,
    ),
    Family(
        "Lorentzian",
        lambda xp, x, a, m, w, c: lorentzian(xp, x, a, m, w) + c,
        (*peak(0.0), LEVEL),
        -5,
        5,
        80,
        0.02,
    ),
    Family(
        "two Lorentzians",
        lambda xp, x, *p: lorentzian(xp, x, *p[:3]) + lorentzian(xp, x, *p[3:]),
        (*peak(-1.5), *peak(1.5)),
        -6,
        6,
        100,
        0.02,
    ),
    Family("pseudo-Voigt", pseudo_voigt, (*peak(0.0), Parameter("tight", 0.2, 0.8), LEVEL), -5, 5, 100, 0.01),
    Family(
        "sech squared",
        lambda xp, x, a, m, w: a / xp.cosh((x - m) / w) ** 2,
        peak(0.0),
        -5,
        5,
        60,
        0.02,
    ),
    Family(
        "Michaelis–Menten",
        lambda xp, x, v, k: v * x / (k + x),
        (amplitude(), width(0.05, 0.5)),
        0.02,
        1.1,
        12,
        0.05,
    ),
    Family(
        "substrate inhibition",
        lambda xp, x, v, k, i: v * x / (k + x + x**2 / i),
        (amplitude(), width(0.3, 1), width(3, 10)),
        0.1,
        20,
        20,
        0.02,
    ),
    Family(
        "Hill",
        lambda xp, x, a, k, h: a / (1.0 + (k / x) ** h),
        (amplitude(), width(0.5, 3), POWER),
        0.1,
        10,
        20,
        0.02,
    ),
    Family(
        "dose and response",
        four_logistic,
        (LEVEL, amplitude(), width(0.5, 3), POWER),
        0.1,
        10,
        24,
        0.02,
    ),
    Family(
        "Langmuir and linear",
        lambda xp, x, q, k, d: q * k * x / (1.0 + k * x) + d * x,
        (amplitude(), rate(0.5, 5), Parameter("scale", 0.01, 0.2, 1, -1)),
        0.05,
        10,
        25,
        0.01,
    ),
    Family(
        "sinusoid",
        lambda xp, x, a, f, p, c: a * xp.sin(2.0 * pi * f * x + p) + c,
        (amplitude(), frequency(0.2, 0.6), PHASE, LEVEL),
        0,
        6,
        80,
        0.1,
    ),
    Family(
        "damped sinusoid",
        lambda xp, x, a, b, f, p: a * xp.exp(-b * x) * xp.cos(2.0 * pi * f * x + p),
        (amplitude(), rate(0.1, 0.5), frequency(0.3, 0.8), PHASE),
        0,
        8,
        120,
        0.03,
    ),
    Family(
        "two sinusoids",
        lambda xp, x, a, f, p, b, g, q: a * xp.sin(2 * pi * f * x + p) + b * xp.sin(2 * pi * g * x + q),
        (amplitude(), frequency(0.2, 0.3), PHASE, amplitude(), frequency(0.6, 0.9), PHASE),
        0,
        8,
        120,
        0.05,
    ),
    Family(
        "logistic",
        lambda xp, x, a, m, s: a / (1.0 + xp.exp(-(x - m) / s)),
        (amplitude(), place(-1, 1), width(0.3, 1)),
        -5,
        5,
        40,
        0.02,
    ),
    Family(
        "Gompertz",
        lambda xp, x, a, b, k: a * xp.exp(-xp.exp(b - k * x)),
        (amplitude(), Parameter("scale", 0.5, 2.5), rate(0.3, 1.5)),
        0,
        10,
        25,
        0.02,
    ),
    Family(
        "stretched exponential",
        lambda xp, x, a, t, b: a * xp.exp(-((x / t) ** b)),
        (amplitude(), width(0.5, 3), Parameter("tight", 0.4, 1.3)),
        0,
        8,
        50,
        0.01,
    ),
    Family(
        "Arrhenius",
        lambda xp, x, a, e: a * xp.exp(-e / x),
        (Parameter("scale", 1e4, 1e8, of_y=1), Parameter("tight", 4e3, 7e3, of_x=1)),
        290,
        360,
        15,
        0.03,
    ),
    Family(
        "rational",
        lambda xp, x, a, b, c: (a + b * x) / (1.0 + c * x),
        (LEVEL, Parameter("scale", 0.5, 3, 1, -1), rate(0.1, 1)),
        0,
        10,
        30,
        0.01,
    ),
    Family(
        "Antoine",
        lambda xp, x, a, b, c: a - b / (x + c),
        (amplitude(4, 8), Parameter("scale", 1000, 2000, 1, 1), Parameter("tight", 150, 250, of_x=1)),
        10,
        120,
        20,
        1e-3,
    ),
]
