"""The 27 nonlinear regressions of NIST's Statistical Reference Datasets, with certified answers.

The files of ``nist/`` say everything but the models, which are here as NIST prints them. ``SOURCE.txt`` there
tells where the files come from and what is odd about them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnx.backend import namespace

Array = Any
FOLDER = Path(__file__).parent / "nist"
#: what certified values have: no comparison can show more
DIGITS = 11


def _saturation(xp, x, b1, b2):
    return b1 * (1 - xp.exp(-b2 * x))


def _three_exponentials(xp, x, b1, b2, b3, b4, b5, b6):
    return b1 * xp.exp(-b2 * x) + b3 * xp.exp(-b4 * x) + b5 * xp.exp(-b6 * x)


def _two_peaks(xp, x, b1, b2, b3, b4, b5, b6, b7, b8):
    peaks = b3 * xp.exp(-((x - b4) ** 2) / b5**2) + b6 * xp.exp(-((x - b7) ** 2) / b8**2)
    return b1 * xp.exp(-b2 * x) + peaks


def _decay_over_line(xp, x, b1, b2, b3):
    return xp.exp(-b1 * x) / (b2 + b3 * x)


def _cubic_over_cubic(xp, x, b1, b2, b3, b4, b5, b6, b7):
    return (b1 + b2 * x + b3 * x**2 + b4 * x**3) / (1 + b5 * x + b6 * x**2 + b7 * x**3)


def _three_cycles(xp, x, b1, b2, b3, b4, b5, b6, b7, b8, b9):
    year, second, third = (2 * math.pi * x / period for period in (12, b4, b7))
    seasons = b2 * xp.cos(year) + b3 * xp.sin(year)
    return b1 + seasons + b5 * xp.cos(second) + b6 * xp.sin(second) + b8 * xp.cos(third) + b9 * xp.sin(third)


#: the models: functions of the array namespace, the predictor and the parameters
MODELS: dict[str, Callable[..., Array]] = {
    "Bennett5": lambda xp, x, b1, b2, b3: b1 * (b2 + x) ** (-1 / b3),
    "BoxBOD": _saturation,
    "Chwirut1": _decay_over_line,
    "Chwirut2": _decay_over_line,
    "DanWood": lambda xp, x, b1, b2: b1 * x**b2,
    "ENSO": _three_cycles,
    "Eckerle4": lambda xp, x, b1, b2, b3: b1 / b2 * xp.exp(-0.5 * ((x - b3) / b2) ** 2),
    "Gauss1": _two_peaks,
    "Gauss2": _two_peaks,
    "Gauss3": _two_peaks,
    "Hahn1": _cubic_over_cubic,
    "Kirby2": lambda xp, x, b1, b2, b3, b4, b5: (b1 + b2 * x + b3 * x**2) / (1 + b4 * x + b5 * x**2),
    "Lanczos1": _three_exponentials,
    "Lanczos2": _three_exponentials,
    "Lanczos3": _three_exponentials,
    "MGH09": lambda xp, x, b1, b2, b3, b4: b1 * (x**2 + x * b2) / (x**2 + x * b3 + b4),
    "MGH10": lambda xp, x, b1, b2, b3: b1 * xp.exp(b2 / (x + b3)),
    "MGH17": lambda xp, x, b1, b2, b3, b4, b5: b1 + b2 * xp.exp(-x * b4) + b3 * xp.exp(-x * b5),
    "Misra1a": _saturation,
    "Misra1b": lambda xp, x, b1, b2: b1 * (1 - (1 + b2 * x / 2) ** -2),
    "Misra1c": lambda xp, x, b1, b2: b1 * (1 - (1 + 2 * b2 * x) ** -0.5),
    "Misra1d": lambda xp, x, b1, b2: b1 * b2 * x / (1 + b2 * x),
    "Nelson": lambda xp, x, b1, b2, b3: b1 - b2 * x[0, :] * xp.exp(-b3 * x[1, :]),
    "Rat42": lambda xp, x, b1, b2, b3: b1 / (1 + xp.exp(b2 - b3 * x)),
    "Rat43": lambda xp, x, b1, b2, b3, b4: b1 / (1 + xp.exp(b2 - b3 * x)) ** (1 / b4),
    "Roszman1": lambda xp, x, b1, b2, b3, b4: b1 - b2 * x - xp.atan(b3 / (x - b4)) / math.pi,
    "Thurber": _cubic_over_cubic,
}


@dataclass(frozen=True)
class Problem:
    """One regression. ``x`` has one predictor, or a row for each; arrays are NumPy's, in float64."""

    name: str
    level: str
    starts: tuple[Array, Array]
    parameters: Array
    deviations: Array
    rss: float
    x: Array
    y: Array

    def curve(self, x: Array, *b: Array) -> Array:
        return MODELS[self.name](namespace(*b), x, *b)

    def model(self, b: Array, x: Array) -> Array:
        return self.curve(x, *(b[i] for i in range(b.shape[0])))

    def residual(self, b: Array) -> Array:
        return self.model(b, self.x) - self.y

    def digits(self, b: Array) -> float:
        """How many digits of the worst parameter are right: −log₁₀ of its relative error, from 0 to 11."""
        error = float(np.max(np.abs(b - self.parameters) / np.abs(self.parameters)))
        if not math.isfinite(error):
            return 0.0
        return min(max(-math.log10(max(error, 10.0**-DIGITS)), 0.0), float(DIGITS))


def load(name: str) -> Problem:
    """The problem of the file ``<name>.dat``."""
    head, _, data = (FOLDER / f"{name}.dat").read_text(encoding="ascii").rpartition("Data:")
    rows = re.findall(r"^ *b\d+ = +(\S+) +(\S+) +(\S+) +(\S+)", head, re.MULTILINE)
    first, second, parameters, deviations = np.array(rows, dtype=float).T
    y, *x = np.array([line.split() for line in data.splitlines()[1:] if line.strip()], dtype=float).T
    if name == "Roszman1":
        parameters = parameters - [1.0, 0.0, 0.0, 0.0]
    return Problem(
        name,
        _after(r"(\w+) Level of Difficulty", head),
        (first, second),
        parameters,
        deviations,
        float(_after(r"Residual Sum of Squares: +(\S+)", head)),
        x[0] if len(x) == 1 else np.stack(x),
        np.log(y) if name == "Nelson" else y,
    )


def _after(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    assert found is not None
    return found[1]


PROBLEMS = {name: load(name) for name in MODELS}
