"""The digits of activations and losses, near 0, near their zeros and far out, against mpmath."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import nnx
from nnx import activations, losses
from nnx.backend import to_numpy

mp = pytest.importorskip("mpmath")

#: so many that z − tanh z keeps 20 of them at 1e-30
DIGITS = 90
FORMULAS = {
    "sigmoid": lambda z: 1 / (1 + mp.exp(-z)),
    "tanh": mp.tanh,
    "softsign": lambda z: z / (1 + abs(z)),
    "exponential": mp.exp,
    "softplus": lambda z: mp.log1p(mp.exp(z)),
    "log_sigmoid": lambda z: -mp.log1p(mp.exp(-z)),
    "elu": lambda z: z if z > 0 else mp.expm1(z),
    "celu": lambda z: z if z > 0 else mp.expm1(z),
    "selu": lambda z: SCALE * (z if z > 0 else ALPHA * mp.expm1(z)),
    "silu": lambda z: z / (1 + mp.exp(-z)),
    "gelu": lambda z: z * mp.erfc(-z / mp.sqrt(2)) / 2,
    "approximate gelu": lambda z: z / (1 + mp.exp(-2 * mp.sqrt(2 / mp.pi) * (z + CUBIC * z**3))),
    "mish": lambda z: z * mp.tanh(mp.log1p(mp.exp(z))),
    "squareplus": lambda z: (z + mp.sqrt(z * z + 4)) / 2,
    "tanh_shrink": lambda z: z - mp.tanh(z),
    "erf": mp.erf,
}
SCALE, ALPHA = mp.mpf("1.0507009873554804934193349852946"), mp.mpf("1.6732632423543772848170429916717")
CUBIC = mp.mpf("0.044715")
#: how often the derivative is checked too; the slopes of sigmoid and tanh are right to a rounding of 1 only
ORDERS = {"tanh_shrink": 2, "squareplus": 1, "gelu": 1}


def points(dtype, least=-30.0):
    sizes = np.concatenate([np.geomspace(10.0**least, 80.0, 60), np.random.default_rng(0).uniform(0, 12, 40)])
    return np.concatenate([sizes, -sizes]).astype(dtype)


def worst(found, true, dtype, conditions=0.0):
    """The largest relative error in units of rounding, of results that are ordinary numbers.

    One unit is allowed for each of ``conditions``: what a rounding of the argument makes of the result.
    """
    errors, info = [0.0], np.finfo(dtype)
    for f, t, c in zip(found.tolist(), true, np.broadcast_to(conditions, found.shape).tolist(), strict=True):
        if 8.0 * float(info.tiny) < abs(t) < float(info.max):
            errors.append(float(abs(mp.mpf(f) - t) / abs(t) / float(info.eps)) / (1.0 + c))
    assert np.all(np.isfinite(errors))
    return max(errors)


def function(name):
    if name == "approximate gelu":
        return lambda x: activations.gelu(x, approximate=True)
    return getattr(activations, name)


def derivative(f):
    return lambda x: nnx.jvp(f, (x,), (nnx.backend.namespace(x).ones_like(x),))[1]


@cache
def truth(name, dtype):
    """For each order the values at the points, and how much a rounding of the point changes them."""
    exact, found = FORMULAS[name], []
    with mp.workdps(DIGITS):
        z = [mp.mpf(v) for v in points(dtype).tolist()]
        for order in range(ORDERS.get(name, 0) + 1):
            true = [exact(v) if order == 0 else mp.diff(exact, v, order) for v in z]
            slopes = [mp.diff(exact, v, order + 1) for v in z]
            of = [float(abs(v * s / t)) if t else 0.0 for v, s, t in zip(z, slopes, true, strict=True)]
            found.append((true, of))
    return found


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FORMULAS)
def test_an_activation_keeps_its_digits(name, dtype, backend):
    f, x = function(name), backend.asarray(points(dtype))
    for true, conditions in truth(name, dtype):
        with np.errstate(all="ignore"):
            found = to_numpy(f(x))
        assert worst(found, true, dtype, conditions) <= 10.0
        f = derivative(f)


def test_every_smooth_activation_is_among_them():
    smooth = {entry.name for entry in activations.registry if entry.traits.limits and not entry.traits.kinks}
    assert smooth - {"linear"} <= FORMULAS.keys()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tanh_shrink_is_one_function_where_its_two_forms_meet(dtype):
    around = np.nextafter(np.asarray([1.0, 1.0, -1.0, -1.0], dtype), np.asarray([0, 2, 0, -2], dtype))
    with mp.workdps(DIGITS):
        true = [mp.mpf(v) - mp.tanh(mp.mpf(v)) for v in around.tolist()]
        assert worst(activations.tanh_shrink(around), true, dtype) <= 10.0


# -- losses: of one number each ----------------------------------------------------------------------------


def clipped(p, dtype):
    low, high = (float(np.asarray(v, dtype)) for v in (1e-7, 1.0))
    return min(max(p, mp.mpf(low)), mp.mpf(float(np.asarray(high - 1e-7, dtype))))


def of_the_target(t, p, dtype):
    return p if t else 1 - p


def log_of_the_target(t, p, dtype):
    p = clipped(p, dtype)
    return mp.log(p if t else 1 - p)


def msle(t, p, dtype):
    least = mp.mpf(float(np.asarray(1e-7, dtype)))
    return mp.log((1 + max(p, least)) / (1 + max(t, least))) ** 2


def huber(t, p, dtype):
    a = abs(p - t)
    return a * a / 2 if a <= 1 else a - mp.mpf(0.5)


def focal(t, p, dtype):
    return -((1 - of_the_target(t, p, dtype)) ** 2) * log_of_the_target(t, p, dtype)


def dice(t, p, dtype):
    return 1 - 2 * t * p / (t + p + mp.mpf(float(np.asarray(1e-7, dtype))))


def tversky(t, p, dtype):
    return 1 - t * p / (t * p + (t * (1 - p) + (1 - t) * p) / 2 + mp.mpf(float(np.asarray(1e-7, dtype))))


def close_to_the_target(random):
    t = random.uniform(0.1, 5.0, 200)
    return t, t * (1.0 + 10.0 ** random.uniform(-6, 0, 200) * random.choice([-1, 1], 200))


def far_from_the_target(random):
    return 10.0 ** random.uniform(-9, 9, 200), 10.0 ** random.uniform(-9, 9, 200)


def around_zero(random):
    return np.zeros(200), 10.0 ** random.uniform(-12, 1.8, 200) * random.choice([-1, 1], 200)


def probabilities(random):
    p = 10.0 ** random.uniform(-6.5, -0.31, 200)
    return random.integers(0, 2, 200), np.where(random.random(200) < 0.5, p, 1.0 - p)


def almost_found(random):
    return np.ones(200), 1.0 - 10.0 ** random.uniform(-6.5, -0.31, 200)


def logits(random):
    return random.integers(0, 2, 200), random.uniform(-60.0, 60.0, 200)


LOSSES = {
    "msle near": (losses.mean_squared_logarithmic_error, msle, close_to_the_target),
    "msle far": (losses.mean_squared_logarithmic_error, msle, far_from_the_target),
    "mse": (losses.mean_squared_error, lambda t, p, d: (p - t) ** 2, close_to_the_target),
    "mape": (
        losses.mean_absolute_percentage_error,
        lambda t, p, d: 100 * abs(p - t) / t,
        close_to_the_target,
    ),
    "huber": (losses.huber, huber, around_zero),
    "log_cosh": (losses.log_cosh, lambda t, p, d: mp.log(mp.cosh(p - t)), around_zero),
    "binary": (losses.binary_crossentropy, lambda *a: -log_of_the_target(*a), probabilities),
    "binary, logits": (
        lambda t, p: losses.binary_crossentropy(t, p, from_logits=True),
        lambda t, p, d: mp.log1p(mp.exp(-p if t else p)),
        logits,
    ),
    "focal": (losses.binary_focal_crossentropy, focal, probabilities),
    "dice": (lambda t, p: losses.dice(t, p, axis=-1), dice, almost_found),
    "tversky": (lambda t, p: losses.tversky(t, p, axis=-1), tversky, almost_found),
    "squared_hinge": (
        losses.squared_hinge,
        lambda t, p, d: max(1 - (1 if t else -1) * p, 0) ** 2,
        logits,
    ),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_keeps_its_digits(name, dtype, backend):
    loss, exact, given = LOSSES[name]
    t, p = (a.astype(dtype) for a in given(np.random.default_rng(0)))
    found = to_numpy(loss(*(backend.asarray(a[:, None], dtype=dtype) for a in (t, p))))
    with mp.workdps(DIGITS):
        true = [exact(mp.mpf(a), mp.mpf(b), dtype) for a, b in zip(t.tolist(), p.tolist(), strict=True)]
        assert worst(found, true, dtype) <= 10.0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_generalised_crossentropy_keeps_its_digits(dtype, backend):
    p = almost_found(np.random.default_rng(0))[1].astype(dtype)
    both = backend.asarray(np.stack([1.0 - p, p], axis=1).astype(dtype))
    labels = backend.asarray(np.ones(len(p), dtype="int64"))
    found = to_numpy(losses.categorical_generalized_cross_entropy(labels, both, q=0.5))
    with mp.workdps(DIGITS):
        assert worst(found, [(1 - mp.sqrt(mp.mpf(v))) * 2 for v in p.tolist()], dtype) <= 10.0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_focal_loss_of_logits_keeps_its_digits(dtype):
    z = np.linspace(5.0, 30.0, 60).astype(dtype)
    found = losses.binary_focal_crossentropy(np.ones((60, 1), dtype), z[:, None], from_logits=True)
    with mp.workdps(DIGITS):
        p = [1 / (1 + mp.exp(-mp.mpf(v))) for v in z.tolist()]
        true = [(1 - q) ** 2 * -mp.log(clipped(q, dtype)) for q in p]
        # −ln p itself is only as good as p near 1, as it is for probabilities: compared without it.
        factor = found / -np.log(np.clip(activations.sigmoid(z), 1e-7, np.asarray(1 - 1e-7, dtype)))
        assert (
            worst(factor, [t / -mp.log(clipped(q, dtype)) for t, q in zip(true, p, strict=True)], dtype)
            <= 10.0
        )
