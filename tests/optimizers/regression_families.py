"""The families of regressions: decays, peaks, saturation, waves, growth, and their kin."""

from __future__ import annotations

from math import pi

from optimizers.regression_draws import Family, Parameter


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
        "two exponentials", decay, (amplitude(), rate(0.2, 0.6), amplitude(), rate(1.5, 4)), 0, 10, 60, 0.003
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
    Family("sech squared", lambda xp, x, a, m, w: a / xp.cosh((x - m) / w) ** 2, peak(0.0), -5, 5, 60, 0.02),
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
    Family("dose and response", four_logistic, (LEVEL, amplitude(), width(0.5, 3), POWER), 0.1, 10, 24, 0.02),
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
