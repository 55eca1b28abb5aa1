"""The damped linear system in its three forms: they agree with each other and with a dense solution."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from nnx.backend import namespace, to_numpy
from nnx.optimizers import LevenbergMarquardt, ResidualProblem
from nnx.optimizers.squares.systems import MatrixFree, NormalEquations, OrthogonalFactors

RNG = np.random.default_rng(7)
M, N = 20, 5
JACOBIAN, RESIDUAL, WEIGHTS = RNG.normal(size=(M, N)), RNG.normal(size=M), RNG.normal(size=N)
RIDGE, DAMPING, RIGHT = RNG.uniform(0.1, 2.0, N), RNG.uniform(0.1, 2.0, N), RNG.normal(size=N)
FREE = np.asarray([1.0, 0.0, 1.0, 1.0, 0.0])

ridge_or_none = pytest.mark.parametrize("ridge", [None, RIDGE], ids=["plain", "ridge"])


class Accurate(MatrixFree):
    """Conjugate gradients to the end, so that they can be compared."""

    tolerance = 1e-13


def systems(backend, ridge=None, parts=1):
    """The three, of the same numbers; the rows in so many blocks."""
    j, r, w = (backend.asarray(x, dtype="float64") for x in (JACOBIAN, RESIDUAL, WEIGHTS))
    ridge = None if ridge is None else backend.asarray(ridge, dtype="float64")
    cuts = np.linspace(0, M, parts + 1).astype(int).tolist()
    blocks = [(j[a:b, :], r[a:b]) for a, b in itertools.pairwise(cuts)]
    point = ResidualProblem(lambda v: r + j @ (v - w)).at(w)
    gradient = point.gradient if ridge is None else point.gradient + ridge * w

    class Penalized:
        jvp, vjp = point.jvp, point.vjp

    Penalized.gradient = gradient
    return (
        NormalEquations(blocks, ridge, w),
        OrthogonalFactors(blocks, ridge, w),
        Accurate(Penalized, ridge, w),
    )


def dense(ridge=None):
    """JᵀJ and the gradient, by hand."""
    matrix, g = JACOBIAN.T @ JACOBIAN, JACOBIAN.T @ RESIDUAL
    return (matrix, g) if ridge is None else (matrix + np.diag(ridge), g + ridge * WEIGHTS)


@ridge_or_none
def test_all_solve_the_same_system_on_every_backend(backend, ridge):
    matrix, g = dense(ridge)
    damping, right, p = (backend.asarray(x, dtype="float64") for x in (DAMPING, RIGHT, WEIGHTS))
    for system in systems(backend, ridge):
        np.testing.assert_allclose(to_numpy(system.gradient), g, rtol=1e-12)
        np.testing.assert_allclose(to_numpy(system.image(p)), matrix @ WEIGHTS, rtol=1e-12)
        expected = np.linalg.solve(matrix + np.diag(DAMPING), -g)
        np.testing.assert_allclose(to_numpy(system.solve(damping)), expected, rtol=1e-10)
        expected = np.linalg.solve(matrix + np.diag(DAMPING), -RIGHT)
        np.testing.assert_allclose(to_numpy(system.solve(damping, right=right)), expected, rtol=1e-10)


@ridge_or_none
def test_what_a_bound_holds_stays_and_the_others_solve_their_part(backend, ridge):
    matrix, g = dense(ridge)
    damping, free, right = (backend.asarray(x, dtype="float64") for x in (DAMPING, FREE, RIGHT))
    index = np.flatnonzero(FREE)
    part = (matrix + np.diag(DAMPING))[np.ix_(index, index)]
    for system in systems(backend, ridge):
        for given, b in ((None, g), (right, RIGHT)):
            expected = np.zeros(N)
            expected[index] = np.linalg.solve(part, -b[index])
            np.testing.assert_allclose(to_numpy(system.solve(damping, free, given)), expected, atol=1e-12)


@ridge_or_none
def test_blocks_of_rows_change_nothing(backend, ridge):
    damping = backend.asarray(DAMPING, dtype="float64")
    for whole, split in zip(systems(backend, ridge)[:2], systems(backend, ridge, parts=7)[:2], strict=True):
        for name in ("gradient", "diagonal", "spectrum"):
            np.testing.assert_allclose(
                np.sort(to_numpy(getattr(split, name))), np.sort(to_numpy(getattr(whole, name))), rtol=1e-11
            )
        np.testing.assert_allclose(
            to_numpy(split.solve(damping)), to_numpy(whole.solve(damping)), rtol=1e-11, atol=1e-12
        )


@ridge_or_none
def test_spectrum_and_diagonal_are_those_of_the_matrix(backend, ridge):
    matrix, _ = dense(ridge)
    for system in systems(backend, ridge)[:2]:
        np.testing.assert_allclose(to_numpy(system.diagonal), np.diag(matrix), rtol=1e-12)
        spectrum = np.sort(to_numpy(system.spectrum))
        np.testing.assert_allclose(spectrum, np.linalg.eigvalsh(matrix), rtol=1e-11)


def test_fewer_rows_than_columns(backend):
    j, r, w = (backend.asarray(x, dtype="float64") for x in (JACOBIAN[:3], RESIDUAL[:3], WEIGHTS))
    matrix, g = JACOBIAN[:3].T @ JACOBIAN[:3], JACOBIAN[:3].T @ RESIDUAL[:3]
    damping = backend.asarray(DAMPING, dtype="float64")
    for kind in (NormalEquations, OrthogonalFactors):
        system = kind([(j, r)], None, w)
        expected = np.linalg.solve(matrix + np.diag(DAMPING), -g)
        np.testing.assert_allclose(to_numpy(system.solve(damping)), expected, rtol=1e-10)
        assert np.min(to_numpy(system.spectrum)) >= 0.0


def test_qr_keeps_the_digits_that_the_square_of_the_condition_costs():
    # columns that agree in 6 digits: the condition is 2e6, its square 4e12
    base = RNG.normal(size=(M, 1))
    j = np.concatenate([base, base + 1e-6 * RNG.normal(size=(M, 1))], axis=1)
    truth = np.asarray([1.0, -2.0])
    error = []
    for kind in (NormalEquations, OrthogonalFactors):
        p = kind([(j, -(j @ truth))], None, np.zeros(2)).solve(np.zeros(2))
        error.append(np.max(np.abs(p - truth)))
    assert error[1] < 1e-8 < error[0]


def test_a_singular_system_without_damping_has_no_solution():
    j = np.concatenate([JACOBIAN[:, :1], np.zeros((M, 1))], axis=1)
    for kind in (NormalEquations, OrthogonalFactors):
        system = kind([(j, RESIDUAL)], None, np.zeros(2))
        assert system.solve(np.zeros(2)) is None
        assert system.solve(np.full(2, 0.1))[1] == 0.0


def test_numbers_of_any_size_are_solved():
    """Variables in units from 1e-8 to 1e8: the scaled solution is the same."""
    unit = 10.0 ** np.asarray([-8.0, -4.0, 0.0, 4.0, 8.0])
    for kind in (NormalEquations, OrthogonalFactors):
        plain = kind([(JACOBIAN, RESIDUAL)], None, WEIGHTS).solve(DAMPING)
        scaled = kind([(JACOBIAN / unit, RESIDUAL)], None, WEIGHTS).solve(DAMPING / unit**2)
        np.testing.assert_allclose(scaled / unit, plain, rtol=1e-9)


class RidgedProblem(ResidualProblem):
    ridge = RIDGE


@pytest.mark.parametrize("solver", ["cholesky", "qr", "products"])
def test_a_ridge_is_the_same_as_residuals_of_its_own(solver):
    def r(w):
        return namespace(w).tanh(JACOBIAN @ w) - RESIDUAL

    def both(w):
        return np.concatenate([r(w), np.sqrt(RIDGE) * w])

    method = LevenbergMarquardt(solver=solver)
    ends = []
    for problem in (RidgedProblem(r), ResidualProblem(both)):
        w = np.array(WEIGHTS)
        state = method.init(problem, w)
        for _ in range(100):
            w, state, info = method.step(problem, w, state)
            if info.stop is not None:
                break
        ends.append((w, float(problem.at(w).value)))
    np.testing.assert_allclose(ends[0][0], ends[1][0], atol=1e-6)
    np.testing.assert_allclose(ends[0][1], ends[1][1], rtol=1e-12)
