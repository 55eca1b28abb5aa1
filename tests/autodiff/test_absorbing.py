"""``zeros_absorb``: 0·∞ is 0 where it is asked for, entry by entry, in both modes and to second order."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx.autodiff import zeros_absorb
from nnx.backend import namespace, to_numpy

T = np.asarray([0.0, 1.0, 4.0])
Z = np.asarray([-1000.0, 0.0, 1000.0])


def logistic(p, t):
    return p[0] / (1.0 + namespace(p).exp(-(t - p[1]) / p[2]))


def stretched(p, t):
    return p[0] * namespace(p).exp(-((t / p[1]) ** p[2]))


def sech2(p, t):
    return p[0] / namespace(p).cosh((t - p[1]) / p[2]) ** 2


def freundlich(p, t):
    return p[0] * t ** (1.0 / p[1]) + namespace(p).sqrt(p[2] * t)


def soft_l1(p, t):
    xp = namespace(p)
    return xp.sqrt(2.0 * (xp.sqrt(1.0 + (p[0] * t + p[1]) ** 2) - 1.0)) + p[2] * t


# the derivatives by p, from the formulas' limits
MODELS = {
    "logistic": (logistic, Z, [2.0, 0.0, 1.0], [[0, 0, 0], [0.5, -0.5, 0], [1, 0, 0]]),
    "stretched": (
        stretched,
        T,
        [2.0, 1.0, 0.5],
        [
            [1, 0, 0],
            [np.exp(-1), np.exp(-1), 0],
            [np.exp(-2), 2 * np.exp(-2), -4 * np.log(4) * np.exp(-2)],
        ],
    ),
    "sech²": (sech2, Z, [2.0, 0.0, 1.0], [[0, 0, 0], [1, 0, 0], [0, 0, 0]]),
    "freundlich": (
        freundlich,
        T,
        [1.0, 2.0, 9.0],
        [[0, 0, 0], [1, 0, 1 / 6], [2, -np.log(4) / 2, 1 / 3]],
    ),
    "soft_l1": (
        soft_l1,
        np.asarray([0.0]),
        [1.0, 0.0, 2.0],
        [[0, 0, 0]],
    ),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", MODELS)
def test_models_of_every_day_have_their_limits_in_both_modes(name, backend):
    f, t, p, expected = MODELS[name]
    p, t, eye = (backend.asarray(x, dtype="float64") for x in (p, t, np.eye(3)))
    assert np.all(np.isfinite(to_numpy(f(p, t))))
    with zeros_absorb():
        rows = nnx.jacobian(f)(p, t)
        columns = [nnx.jvp(lambda p: f(p, t), (p,), (eye[i, :],))[1] for i in range(3)]
    np.testing.assert_allclose(to_numpy(rows), expected, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(np.stack([to_numpy(c) for c in columns], 1), expected, rtol=1e-14, atol=1e-15)
    assert not np.all(np.isfinite(to_numpy(nnx.jacobian(f)(p, t))))  # what users of grad see: as in JAX


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_where_both_sides_are_finite_nothing_changes(backend):
    def f(x):
        xp = namespace(x)
        y = xp.sqrt(x[:2, :] * x[0, :]) / x + xp.hypot(x, x[:1, :] ** x[1:, :]) - xp.maximum(x, 0.7 * x[1, :])
        return xp.sum(xp.tanh(y) * xp.log(x))

    x = backend.asarray([[0.4, 1.3, 2.0], [0.9, 0.2, 1.1]], dtype="float64")
    v = backend.asarray([[1.0, -1.0, 0.0], [0.5, 2.0, 0.0]], dtype="float64")
    plain = nnx.grad(f)(x), nnx.hvp(f, x, v), nnx.jvp(f, (x,), (v,))[1]
    with zeros_absorb():
        absorbing = nnx.grad(f)(x), nnx.hvp(f, x, v), nnx.jvp(f, (x,), (v,))[1]
    for a, b in zip(plain, absorbing, strict=True):
        np.testing.assert_allclose(to_numpy(a), to_numpy(b), rtol=1e-13, atol=1e-13)


def test_a_cotangent_that_is_zero_by_chance_keeps_its_second_derivative():
    with zeros_absorb():
        assert (
            nnx.hvp(lambda x: 0.5 * np.sum((np.sqrt(x) - 1.0) ** 2), np.ones(2), np.ones(2)).tolist()
            == [0.25] * 2
        )


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_it_ends_with_the_context_and_after_errors():
    def f(x):
        return np.sum(np.where(x > 0.0, np.sqrt(x), 0.0))

    x = np.asarray([0.0, 4.0])
    with pytest.raises(ZeroDivisionError), zeros_absorb():
        np.testing.assert_array_equal(nnx.grad(f)(x), [0.0, 0.25])
        raise ZeroDivisionError
    np.testing.assert_array_equal(nnx.grad(f)(x), [np.nan, 0.25])
    with zeros_absorb():
        assert nnx.grad(lambda x: np.sqrt(x))(0.0) == np.inf  # a slope of its own stays what it is
