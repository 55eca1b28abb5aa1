"""The inverse Hessian that L-BFGS tells of: an operator."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import nnx
from nnx.backend import namespace, to_numpy
from nnx.errors import ShapeError
from nnx.optimizers.descent.inverse_hessian import InverseHessian

START = [-1.2, 1.0]


def rosenbrock(x):
    xp = namespace(x)
    return xp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def test_the_inverse_hessian_of_lbfgs_is_an_operator():
    a = np.diag([1.0, 4.0, 9.0]) + 0.5

    def f(x):
        return 0.5 * x @ (a @ x) - namespace(x).sum(x)

    for bounds in (None, [(-9.0, 9.0)] * 3):
        result = nnx.minimize(f, np.zeros(3), method="l-bfgs-b", bounds=bounds)
        v = result.hess_inv
        dense = v.todense()
        np.testing.assert_allclose(dense, dense.T, atol=1e-12)
        assert np.all(np.linalg.eigvalsh(dense) > 0.0)
        x = np.asarray([1.0, -2.0, 0.5])
        np.testing.assert_allclose(v @ x, dense @ x, rtol=1e-12)
        np.testing.assert_allclose(v.matvec(x), dense @ x, rtol=1e-12)
        np.testing.assert_allclose(v @ np.eye(3)[:, :2], dense[:, :2], rtol=1e-12)
        assert (v.shape, v.dtype) == ((3, 3), np.float64)
        same = pickle.loads(pickle.dumps(result)).hess_inv
        np.testing.assert_array_equal(same.todense(), dense)
        with pytest.raises(ShapeError, match=r"\(3, 3\)"):
            v @ np.ones(4)


def test_it_is_the_matrix_of_the_updates():
    """V ← (I − ρsrᵀ)V(I − ρrsᵀ) + ρssᵀ with ρ = 1/sᵀr, from γI; a pair with sᵀr < 0 is left out."""
    rng = np.random.default_rng(4)
    a = np.diag([1.0, 4.0, 9.0, 2.0]) + 0.5
    s = rng.normal(size=(3, 4))
    r = s @ a
    r[1] = -r[1]
    order = [2, 0]  # the newest first
    v = np.eye(4) * (s[2] @ r[2]) / (r[2] @ r[2])
    for i in reversed(order):
        left = np.eye(4) - np.outer(s[i], r[i]) / (s[i] @ r[i])
        v = left @ v @ left.T + np.outer(s[i], s[i]) / (s[i] @ r[i])
    operator = InverseHessian(np.concatenate([s, r]), [2, 1, 0])
    np.testing.assert_allclose(operator.todense(), v, rtol=1e-12, atol=1e-14)
    pairs = np.concatenate([s[[0, 2]], r[[0, 2]]])
    np.testing.assert_allclose(InverseHessian(pairs, [1, 0]) @ np.ones(4), v @ np.ones(4), rtol=1e-12)


def test_the_updates_of_that_operator_are_those_of_bfgs():
    """V r = s for the newest pair, whatever the others; I where there is none."""
    seen = []
    result = nnx.minimize(
        rosenbrock, START, method="lbfgs", callback=lambda x: seen.append(x), options={"maxiter": 7}
    )
    slope = nnx.grad(rosenbrock)
    s, r = seen[-1] - seen[-2], slope(seen[-1]) - slope(seen[-2])
    np.testing.assert_allclose(result.hess_inv @ r, s, rtol=1e-6)
    none = nnx.minimize(rosenbrock, START, method="lbfgs", options={"maxiter": 0})
    np.testing.assert_array_equal(none.hess_inv.todense(), np.eye(2))


def test_that_operator_stays_on_its_backend(backend):
    x0 = backend.asarray(START, dtype="float64")
    v = nnx.minimize(rosenbrock, x0, method="lbfgs").hess_inv
    assert type(v.todense()) is type(v @ x0) is type(x0)
    np.testing.assert_allclose(to_numpy(v @ x0), to_numpy(v.todense()) @ np.asarray(START), rtol=1e-12)
