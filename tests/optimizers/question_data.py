"""Measured data of public questions and textbooks: numbers, the model asked for, the start that was taken.

``best`` is the lowest Σ r² that SciPy found from many starts (``test_question_data.py`` checks that it is a
minimum). Where that is not reached at finite parameters it is the infimum, and ``finite`` is False.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from optimizers import question_columns as columns
from optimizers.regression_draws import DataProblem, data_problem


class Question(NamedTuple):
    """One fit: ``model(xp, x, *p)``, x, y, the start, and the best Σ r² known."""

    name: str
    source: str
    model: Callable[..., Any]
    x: Any
    y: Any
    start: tuple[float, ...]
    best: float
    finite: bool = True

    @property
    def problem(self) -> DataProblem:
        found = data_problem(self.name, self.model, self.x, self.y, self.start)
        return replace(found, minima=(self.best,))


def row(text: str) -> Any:
    return np.array([float(number) for number in text.split()])


def offset_decay(xp, x, a, b, c):
    return a * xp.exp(-b * x) + c


def sigmoid(xp, x, x0, k, a, c):
    return a / (1.0 + xp.exp(-k * (x - x0))) + c


def logistic(xp, x, top, middle, scale):
    return top / (1.0 + xp.exp((middle - x) / scale))


def michaelis_menten(xp, x, v, k):
    return v * x / (k + x)


def two_decays(xp, x, a, b, c, d):
    return a * xp.exp(-b * x) + c * xp.exp(-d * x)


def nelson_siegel(xp, x, b0, b1, b2, tau):
    t = x / tau
    e = xp.exp(-t)
    return b0 + b1 * (1.0 - e) / t + b2 * ((1.0 - e) / t - e)


def one_compartment(xp, x, ke, ka, cl):
    rates = xp.exp(ke), xp.exp(ka)
    size = 4.02 * xp.exp(ke + ka - cl) / (rates[1] - rates[0])
    return size * (xp.exp(-rates[0] * x) - xp.exp(-rates[1] * x))


ONES_2, ONES_3, ONES_4 = (1.0,) * 2, (1.0,) * 3, (1.0,) * 4

QUESTIONS = [
    Question(
        "step as a logistic",
        "scipy issue 5980",
        lambda xp, x, b, c, d: b / (1.0 + xp.exp(-(c + d * x))),
        np.arange(27.0),
        row(columns.STEP),
        (0.5, 0.5, 0.5),
        0.713899317778,
        False,
    ),
    Question(
        "growing cases",
        "StackOverflow 61452274",
        offset_decay,
        np.arange(36.0, 73.0),
        row(columns.CASES),
        ONES_3,
        569924.587561,
    ),
    Question(
        "five points of a decay",
        "StackOverflow 13370059",
        offset_decay,
        np.arange(40.0, 61.0, 5.0),
        row(columns.DECAY),
        ONES_3,
        0.000500834469346,
    ),
    Question(
        "small x and y",
        "a question on curve_fit with data of 1e-6",
        lambda xp, x, a, b, c: a * xp.exp(-b * x) - c,
        row(columns.SMALL_X),
        row(columns.SMALL_Y),
        ONES_3,
        5.08401035491e-14,
    ),
    Question(
        "power law at 1e-8",
        "StackOverflow 57981208",
        lambda xp, x, a, b, c: a / x**b + c,
        row("7e-9 9e-9 1e-8 2e-8 1e-6"),
        row("790 870 2400 2450 3100"),
        ONES_3,
        865533.515219,
    ),
    Question(
        "two points of an exponential",
        "StackOverflow 41667232",
        lambda xp, x, a, b: xp.exp(a * x + b),
        row("350 380"),
        row("48 17"),
        (-0.01, 1.0),
        0.0,
    ),
    Question(
        "retention",
        "R-help, starting values of nls2, P. Gao",
        lambda xp, x, b0, b1, th: xp.exp(b0 * xp.exp(b1 * x**th)),
        row(columns.AREA),
        row(columns.RETENTION),
        (3.82, 0.02, 0.01),
        686.78028064,
    ),
    Question(
        "failures of software",
        "StackOverflow 22376433",
        lambda xp, x, a, b, c, d: (a / c) * (1.0 - xp.exp(-(c * x) / b)) ** d,
        row(columns.FAILURES),
        np.arange(1.0, 137.0),
        (100.0, 10000.0, 0.5, 0.5),
        938.791613275,
    ),
    Question(
        "Nelson–Siegel",
        "scipy issue 10287",
        nelson_siegel,
        row(columns.MATURITY),
        row(columns.YIELD),
        ONES_4,
        0.925281464246,
    ),
    Question(
        "a day's temperature",
        "StackOverflow 72352673",
        lambda xp, x, a, b, c: a * xp.sin(b * x) + c,
        np.arange(24.0),
        row(columns.TEMPERATURE),
        ONES_3,
        0.44271765205,
    ),
    Question(
        "sigmoid with two asymptotes",
        "SciPy-User, September 2010",
        sigmoid,
        row(columns.SIGMOID_X),
        row(columns.SIGMOID_Y),
        ONES_4,
        0.0139099625466,
    ),
    Question(
        "sigmoid reversed",
        "SciPy-User, September 2010",
        sigmoid,
        row(columns.SIGMOID_X),
        row(columns.SIGMOID_Y)[::-1],
        ONES_4,
        0.0846966501395,
    ),
    Question(
        "sigmoid",
        "SciPy-User, September 2010",
        lambda xp, x, x0, k: 1.0 / (1.0 + xp.exp(-k * (x - x0))),
        row("0 1 3 4.3 7 8 8.5 10 12"),
        row("0.01 0.02 0.04 0.11 0.43 0.7 0.89 0.95 0.99"),
        ONES_2,
        0.0127187506292,
    ),
    Question(
        "Hill",
        "Computational Science StackExchange 41948",
        lambda xp, x, v, n, k: v * x**n / (k**n + x**n),
        row(columns.HILL_X),
        row(columns.HILL_Y),
        ONES_3,
        0.0303317375999,
    ),
    Question(
        "power law and constant",
        "StackOverflow 16107884",
        lambda xp, x, m, c, c0: c0 + x**m * c,
        row(columns.POWER_X),
        row(columns.POWER_Y),
        ONES_3,
        0.448943896788,
    ),
    Question(
        "puromycin, treated",
        "Treloar 1974; Bates and Watts, A1.3; R: ?Puromycin",
        michaelis_menten,
        row(columns.CONCENTRATION),
        row("76 47 97 107 123 139 159 152 191 201 207 200"),
        (200.0, 0.05),
        1195.44881444,
    ),
    Question(
        "puromycin, untreated",
        "Treloar 1974; Bates and Watts, A1.3; R: ?Puromycin",
        michaelis_menten,
        row(columns.CONCENTRATION)[:-1],
        row("67 51 84 86 98 115 131 124 144 158 160"),
        (160.0, 0.05),
        859.604293779,
    ),
    Question(
        "oxygen demand",
        "Bates and Watts, A1.4; R: ?BOD",
        lambda xp, x, a, lrc: a * (1.0 - xp.exp(-xp.exp(lrc) * x)),
        row("1 2 3 4 5 7"),
        row("8.3 10.3 19 16 15.6 19.8"),
        (20.0, float(np.log(0.35))),
        25.9902672819,
    ),
    Question(
        "cooling of a cannon",
        "Count Rumford 1798; Bates and Watts, A1.2",
        lambda xp, x, k: 60.0 + 70.0 * xp.exp(-k * x),
        row("4 5 7 12 14 16 20 24 28 31 34 37.5 41"),
        row("126 125 123 120 119 118 116 115 114 113 112 111 110"),
        (1.0,),
        44.1557948341,
    ),
    Question(
        "indomethacin",
        "R: ?Indometh, subject 1",
        two_decays,
        row("0.25 0.5 0.75 1 1.25 2 3 4 5 6 8"),
        row("1.5 0.94 0.78 0.48 0.37 0.19 0.12 0.11 0.08 0.07 0.05"),
        (1.0, 1.0, 1.0, 0.1),
        0.0117820139355,
    ),
    Question(
        "sulfisoxazole",
        "Kaplan et al. 1972; Bates and Watts, A1.10",
        two_decays,
        row("0.25 0.5 0.75 1 1.5 2 3 4 6 12 24 48"),
        row("215.6 189.2 176 162.8 138.6 121 101.2 88 61.6 22 4.4 0.1"),
        (1.0, 1.0, 1.0, 0.1),
        34.3764709806,
    ),
    Question(
        "loblolly pine",
        "R: ?Loblolly, seed 301; start of ?SSasymp",
        lambda xp, x, top, r0, lrc: top + (r0 - top) * xp.exp(-xp.exp(lrc) * x),
        row("3 5 10 15 20 25"),
        row("4.51 10.89 28.72 41.74 52.7 60.92"),
        (100.0, -8.5, -3.2),
        1.1811834921,
    ),
    Question(
        "orange tree",
        "R: ?Orange, tree 1",
        logistic,
        row("118 484 664 1004 1231 1372 1582"),
        row("30 58 87 115 120 142 145"),
        (200.0, 725.0, 350.0),
        176.99486168,
    ),
    Question(
        "chick",
        "R: ?ChickWeight, chick 1; start of ?SSlogis",
        logistic,
        row("0 2 4 6 8 10 12 14 16 18 20 21"),
        row("42 51 59 64 76 93 106 125 149 171 199 205"),
        (368.0, 14.0, 6.0),
        76.6623562562,
    ),
    Question(
        "DNase assay",
        "R: ?DNase, run 1",
        lambda xp, x, top, middle, scale: logistic(xp, xp.log(x), top, middle, scale),
        row(columns.ASSAY),
        row(columns.DENSITY),
        (3.0, 0.0, 1.0),
        0.00478956896995,
    ),
    Question(
        "weeds",
        "Hobbs; Nash, Compact Numerical Methods, 12.1",
        lambda xp, x, a, b, c: a / (1.0 + b * xp.exp(-c * x)),
        np.arange(1.0, 13.0),
        row(columns.WEEDS),
        ONES_3,
        2.58727739528,
    ),
    Question(
        "theophylline",
        "R: ?Theoph, subject 1",
        one_compartment,
        row("0 0.25 0.57 1.12 2.02 3.82 5.1 7.03 9.05 12.12 24.37"),
        row("0.74 2.84 6.57 10.5 9.66 8.58 8.36 7.47 6.89 5.94 3.28"),
        (-2.5, 0.5, -3.0),
        4.2860090243,
    ),
]
