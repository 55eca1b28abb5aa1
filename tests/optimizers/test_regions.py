"""The best step within a trust region agrees with a dense solution, whatever system it comes from."""

from __future__ import annotations

import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest

from nnx.backend import namespace, to_numpy
from nnx.optimizers import ResidualProblem
from nnx.optimizers.squares.attempts import Attempt
from nnx.optimizers.squares.linearized import Linearization, Penalized
from nnx.optimizers.squares.radius import first_radius, follow
from nnx.optimizers.squares.regions import FactoredRegion, SpectralRegion, TruncatedRegion, region
from nnx.optimizers.squares.scale import forget, lengths, memory, numbers, plateau, turns

RNG = np.random.default_rng(11)
M, N = 15, 5
JACOBIAN = RNG.normal(size=(M, N)) * [1.0, 30.0, 0.2, 5.0, 1e-3]
RESIDUAL, WEIGHTS = RNG.normal(size=M), RNG.normal(size=N)
SCALE = np.sum(JACOBIAN**2, axis=0) * [1.0, 2.0, 0.5, 1.0, 3.0]
RIDGE = RNG.uniform(0.1, 2.0, N) * np.sum(JACOBIAN**2, axis=0)
FREE = np.asarray([1.0, 0.0, 1.0, 1.0, 1.0])
KINDS = {"cholesky": FactoredRegion, "qr": SpectralRegion, "products": TruncatedRegion}

each_solver = pytest.mark.parametrize("solver", ["cholesky", "qr"])
free_or_all = pytest.mark.parametrize("free", [None, FREE], ids=["all", "free"])
ridge_or_none = pytest.mark.parametrize("ridge", [None, RIDGE], ids=["plain", "ridge"])


def dense(ridge=None, jacobian=JACOBIAN):
    """G = JᵀJ and g, with the ridge."""
    d = np.zeros(N) if ridge is None else ridge
    return jacobian.T @ jacobian + np.diag(d), jacobian.T @ RESIDUAL + d * WEIGHTS


def inside(backend, solver, free=None, ridge=None, jacobian=JACOBIAN):
    """The steps for r + J(v − w), at w."""
    as_array = lambda a: None if a is None else backend.asarray(a, dtype="float64")  # noqa: E731
    j, r, w, scale = (as_array(a) for a in (jacobian, RESIDUAL, WEIGHTS, SCALE))
    problem = ResidualProblem(lambda v: r + j @ (v - w))
    problem.ridge = as_array(ridge)
    found = region(Linearization(solver, 2.0**27).at(problem, w).system, scale, as_array(free))
    assert type(found) is KINDS[solver]
    return found


def solved(g, matrix, mu, free):
    """The step by a dense solution, with 0 for what may not move."""
    move, p = np.ones(N, bool) if free is None else free > 0.0, np.zeros(N)
    damped = matrix + mu * np.diag(SCALE)
    p[move] = -np.linalg.solve(damped[np.ix_(move, move)], g[move])
    return p


# -- steps ---------------------------------------------------------------------------------------------------


@each_solver
@free_or_all
@ridge_or_none
def test_steps_solve_the_secular_equation(backend, solver, free, ridge):
    matrix, g = dense(ridge)
    newton = solved(g, matrix, 0.0, free)
    whole = float(np.linalg.norm(np.sqrt(SCALE) * newton))
    found = inside(backend, solver, free, ridge)
    for share in (1e-6, 1e-3, 0.1, 0.5, 0.85):
        for guess in (0.0, 1e-8, 1e6):
            p, mu, length = found.step(share * whole, guess)
            expected = solved(g, matrix, mu, free)
            size = np.linalg.norm(np.sqrt(SCALE) * expected)
            assert mu > 0.0
            assert abs(size - share * whole) <= 0.1 * share * whole * (1.0 + 1e-9)
            assert length == pytest.approx(size, rel=1e-6)
            # measured by D; a condition of 1e6 squared
            error = np.sqrt(SCALE) * (to_numpy(p) - expected)
            assert np.linalg.norm(error) <= 1e-6 * size
    p, mu, length = found.step(2.0 * whole, 1.0)
    assert (mu, length) == (0.0, pytest.approx(whole, rel=1e-6))
    np.testing.assert_allclose(to_numpy(p), newton, rtol=1e-6, atol=1e-12)


def test_products_end_at_the_edge_and_inside_at_the_newton_step(backend):
    matrix, g = dense()
    newton = solved(g, matrix, 0.0, None)
    whole = float(np.linalg.norm(np.sqrt(SCALE) * newton))
    found = inside(backend, "products")
    model = lambda p: g @ p + 0.5 * p @ matrix @ p  # noqa: E731
    falls = []
    for share in (1e-6, 1e-3, 0.1, 0.5):
        p, mu, length = found.step(share * whole, 0.0)
        p = to_numpy(p)
        assert mu > 0.0
        assert length == pytest.approx(share * whole, rel=1e-9)
        assert np.linalg.norm(np.sqrt(SCALE) * p) == pytest.approx(share * whole, rel=1e-9)
        falls.append(-model(p))
    assert all(0.0 < a < b for a, b in itertools.pairwise(falls))
    p, mu, _ = found.step(10.0 * whole, 0.0)
    assert mu == 0.0
    # where conjugate gradients end
    assert np.linalg.norm(matrix @ to_numpy(p) + g) <= 1e-3 * np.linalg.norm(g)


@pytest.mark.parametrize("solver", KINDS)
@free_or_all
@ridge_or_none
def test_the_decrement_is_the_fall_of_the_whole_step(backend, solver, free, ridge):
    matrix, g = dense(ridge)
    p = solved(g, matrix, 0.0, free)
    assert inside(backend, solver, free, ridge).decrement == pytest.approx(-0.5 * g @ p, rel=1e-6)


@pytest.mark.parametrize("solver", KINDS)
def test_directions_without_influence_are_left_out(backend, solver):
    jacobian = JACOBIAN.copy()
    jacobian[:, 4] = 2.0 * jacobian[:, 0]
    p = -np.linalg.lstsq(jacobian, RESIDUAL, rcond=1e-12)[0]
    expected = -0.5 * (jacobian.T @ RESIDUAL) @ p
    found = inside(backend, solver, jacobian=jacobian)
    assert found.decrement == pytest.approx(expected, rel=1e-6)
    if found.knows_rank:  # the shortest of the steps, by D
        step = to_numpy(found.step(math.inf, 0.0).p)
        np.testing.assert_allclose(jacobian @ step, jacobian @ p, rtol=1e-9)
        null = np.asarray([2.0, 0.0, 0.0, 0.0, -1.0])
        assert abs(null @ (SCALE * step)) <= 1e-9 * np.linalg.norm(SCALE * step)


@each_solver
def test_a_penalty_of_the_method_is_a_ridge(solver):
    problem = ResidualProblem(lambda v: RESIDUAL + JACOBIAN @ (v - WEIGHTS))
    here = Penalized(Linearization(solver, 2.0**27).at(problem, WEIGHTS.copy()), 0.7)
    matrix, g = dense(np.full(N, 0.7))
    found = region(here.system, SCALE, None)
    assert found.decrement == pytest.approx(0.5 * g @ np.linalg.solve(matrix, g), rel=1e-6)
    p, mu, length = found.step(0.01, 0.0)
    assert abs(length - 0.01) <= 0.1 * 0.01
    np.testing.assert_allclose(p, solved(g, matrix, mu, None), rtol=1e-6)


def test_the_spread_without_a_matrix_is_that_of_the_diagonal_in_the_mean():
    w = np.abs(RNG.normal(size=400)) + 0.1
    j = RNG.normal(size=(50, 400))
    problem = ResidualProblem(lambda v: j @ v)
    exact = np.sum(w**2 * np.sum(j**2, axis=0))
    for solver, near in (("qr", 1e-9), ("products", 0.5)):  # a variance of 2/50
        spread = Linearization(solver, 2.0**27).at(problem, w).system.spread(w)
        assert spread == pytest.approx(exact, rel=near)


# -- the radius ----------------------------------------------------------------------------------------------


def attempt(gain, scaled=2.0, binds=True, slope=-2.0, total=10.0):
    return Attempt(None, total, gain, 1.0, slope, scaled, scaled, 1.0, binds)


@pytest.mark.parametrize(
    ("tried", "radius", "mu"),
    [
        (attempt(0.9), 4.0, 2.0),  # twice the step
        (attempt(0.9, scaled=1.0), 2.0, 2.0),
        (attempt(0.5), 3.0, 4.0),  # stays
        (attempt(0.5, binds=False), 4.0, 2.0),
        (attempt(0.1), 1.5, 8.0),  # a half
        (attempt(0.1, scaled=0.1), 0.5, 8.0),  # of at most ten steps
        (attempt(-2.0), 0.75, 16.0),  # the parabola with slope −2 and rise 2 has its minimum at a quarter
        (attempt(-100.0), 0.3, 40.0),  # not below a tenth
        (attempt(-1e9), 0.3, 40.0),
        (attempt(-math.inf), 0.3, 40.0),
        (attempt(math.nan), 0.3, 40.0),
        (None, 0.3, 40.0),
    ],
)
def test_the_radius_follows_the_gain(tried, radius, mu):
    values = {"radius": 3.0, "mu": 4.0}
    follow(values, tried)
    assert values == pytest.approx({"radius": radius, "mu": mu})


def test_the_first_radius_is_in_lengths_of_the_start():
    scale = np.asarray([4.0, 9.0])
    for w, expected in (([1.0, 2.0], 100.0 * math.sqrt(40.0)), ([0.0, 0.0], 100.0)):
        values = {"radius": 0.0}
        assert first_radius(SimpleNamespace(w=np.asarray(w)), scale, values, 100.0)
        assert values["radius"] == pytest.approx(expected)
        assert not first_radius(SimpleNamespace(w=np.asarray([7.0, 7.0])), scale, values, 100.0)
        assert values["radius"] == pytest.approx(expected)


# -- D -------------------------------------------------------------------------------------------------------


def at(backend, diagonal):
    diagonal = backend.asarray(diagonal, dtype="float64")
    w = namespace(diagonal).zeros_like(diagonal)
    return SimpleNamespace(w=w, free=None, system=SimpleNamespace(diagonal=diagonal))


def test_lengths_are_the_largest_so_far_and_fall_where_they_are_out_of_date(backend):
    here = at(backend, [4.0, 0.0])
    state = SimpleNamespace(memory=memory(here.w), values=numbers() | {"crawled": 3.0})
    step = lambda d: to_numpy(lengths(at(backend, d), state, "jac", None)).tolist()  # noqa: E731
    assert step([4.0, 0.0]) == [4.0, 4.0]  # a column of zeros takes the scale of the others
    assert step([1.0, 9.0]) == [4.0, 9.0]
    assert step([1e-12, 9.0]) == pytest.approx([0.04, 9.0])  # a hundredth in each step
    assert step([1e-12, 9.0]) == pytest.approx([4e-4, 9.0])
    assert step([1e-12, 9.0]) == pytest.approx([1e-4, 9.0])  # down to 1e8 times the present one
    assert step([1e-12, 0.0]) == pytest.approx([1e-4, 0.09])
    assert to_numpy(state.memory["most"]).tolist() == [4.0, 9.0]
    assert to_numpy(state.memory["last"]).tolist() == [1e-12, 9.0]
    forget(state)
    assert state.values["crawled"] == 0.0
    assert step([1e-12, 1e-3]) == [1e-12, 1e-3]


def test_lengths_that_are_alike_stay_those_of_the_start(backend):
    def constant(diagonals, units=None):
        state = SimpleNamespace(memory=memory(at(backend, diagonals[0]).w), values=numbers())
        return [to_numpy(lengths(at(backend, d), state, "identity", units)).tolist() for d in diagonals]

    assert constant([[4.0, 1.0], [9.0, 100.0]]) == [[4.0, 4.0], [4.0, 4.0]]
    units = backend.asarray([1.0, 10.0], dtype="float64")
    assert constant([[4.0, 1.0]], units) == [[100.0, 1.0]]  # there the second weight's entry is the largest


def test_relative_lengths_are_those_of_the_variables_largest_sizes(backend):
    here = at(backend, [4.0, 1.0])
    state = SimpleNamespace(memory=memory(here.w), values=numbers())

    def step(diagonal, w, measure="relative"):
        there = at(backend, diagonal)
        there.w = backend.asarray(w, dtype="float64")
        return to_numpy(lengths(there, state, measure, None)).tolist()

    # the longest column, in units of the variable's size, is ‖J₁‖·|w₁| = 2 · 10
    assert step([4.0, 1.0], [10.0, -5.0]) == [4.0, 16.0]
    assert step([4.0, 1.0], [1.0, -20.0]) == [4.0, 1.0]  # the largest sizes so far: 10 and 20
    assert step([0.0, 0.0], [1.0, 1.0]) == [1.0, 1.0]  # no influence at all
    state.memory["size"] = 0.0 * state.memory["size"]
    assert step([4.0, 9.0], [0.0, 2.0]) == [9.0, 9.0]  # a variable that was always 0 takes the largest size


def test_the_measure_turns_after_steps_that_were_held_short(backend):
    state = SimpleNamespace(memory=memory(at(backend, [4.0, 1.0]).w), values=numbers())
    turned = [turns(slow, state) for slow in [True] * 29 + [False] + [True] * 75]
    assert [i for i, turn in enumerate(turned) if turn] == [59, 104]  # after 30 in a row, then after 45
    assert state.values["relative"] == 0.0


def test_a_column_that_vanishes_in_a_step_is_a_plateau(backend):
    most = backend.asarray([4.0, 9.0], dtype="float64")
    here = at(backend, [1.0, 1e-20])
    assert plateau(here, at(backend, [1e-17, 1e-20]), most)
    assert not plateau(here, at(backend, [1e-15, 1e-20]), most)
    assert not plateau(here, at(backend, [1.0, 0.0]), most)  # which was negligible before
