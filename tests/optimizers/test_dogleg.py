"""Powell's dog-leg: its path, its radius, and NIST's regressions from the near starts."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from optimizers.nist_problems import PROBLEMS

import nnx
from nnx.optimizers import Dogleg, ResidualProblem
from nnx.optimizers.descent.box import Box

RNG = np.random.default_rng(3)
JACOBIAN, RESIDUAL = RNG.normal(size=(12, 4)) * [1.0, 3.0, 0.2, 10.0], RNG.normal(size=12)


def rosenbrock(x):
    return np.stack([10.0 * (x[1] - x[0] ** 2), 1.0 - x[0]])


def path(scale, bounds=None):
    """The step as a function of Δ, for a linear model with r at w = 0; and the first Δ."""
    method = Dogleg(bounds=bounds)
    problem = ResidualProblem(lambda w: RESIDUAL + JACOBIAN @ w)
    here = method.evaluate(problem, np.zeros(4))
    values = method.path.numbers()
    step = method.path.steps(problem, here, scale, values)

    def at(radius):
        values["radius"] = radius
        return step().linear

    return at, values["radius"]


def model(p):
    return 0.5 * np.sum((RESIDUAL + JACOBIAN @ p) ** 2)


@pytest.mark.parametrize("scale", [np.ones(4), np.sum(JACOBIAN**2, axis=0)], ids=["identity", "jac"])
def test_steps_have_the_length_of_the_radius_and_lower_the_model_the_longer_they_are(scale):
    at, _ = path(scale)
    newton = -np.linalg.lstsq(JACOBIAN, RESIDUAL, rcond=None)[0]
    whole = np.linalg.norm(np.sqrt(scale) * newton)
    radii = whole * np.linspace(0.01, 1.0, 40)
    lengths = [np.linalg.norm(np.sqrt(scale) * at(radius)) for radius in radii]
    np.testing.assert_allclose(lengths, radii, rtol=1e-10)
    models = [model(at(radius)) for radius in radii]
    assert all(b < a for a, b in itertools.pairwise(models))
    np.testing.assert_allclose(at(2.0 * whole), newton, rtol=1e-9)


def test_short_steps_go_along_the_steepest_descent_and_the_bend_is_its_minimum():
    scale = np.sum(JACOBIAN**2, axis=0)
    at, _ = path(scale)
    g = JACOBIAN.T @ RESIDUAL
    down = -g / scale
    # the minimum of the model along the steepest descent, gᵀd/‖Jd‖² times d
    cauchy = -(g @ down) / np.sum((JACOBIAN @ down) ** 2) * np.linalg.norm(np.sqrt(scale) * down)
    short = at(0.3 * cauchy)
    np.testing.assert_allclose(short / np.linalg.norm(short), down / np.linalg.norm(down), rtol=1e-10)
    bend = at(cauchy)
    assert all(model(bend) <= model(factor * bend) for factor in (0.99, 1.01))


def test_what_a_bound_holds_does_not_move():
    held = np.sign(JACOBIAN[:, 2] @ RESIDUAL)  # where the gradient would take it to: its bound
    bound = np.asarray([9.0, 9.0, 0.0, 9.0])
    at, _ = path(np.ones(4), Box(-bound, 9.0 * np.ones(4)) if held > 0 else Box(-9.0 * np.ones(4), bound))
    for radius in (1e-3, 0.05, 1e3):
        assert at(radius)[2] == 0.0


@pytest.mark.parametrize("name", PROBLEMS)
def test_nist_from_the_near_start(name):
    problem = PROBLEMS[name]
    result = nnx.least_squares(problem.residual, problem.starts[1], method="dogleg")
    assert problem.digits(result.x) >= 6
    assert result.success, result.message


def test_a_singular_jacobian_is_no_obstacle():
    # only the sum of the two counts
    result = nnx.least_squares(
        lambda w: np.stack([w[0] + w[1] - 3.0, 2.0 * (w[0] + w[1]) - 6.0]), [5.0, 7.0], method="dogleg"
    )
    assert result.success
    np.testing.assert_allclose(np.sum(result.x), 3.0, rtol=1e-9)


def test_bounds_are_kept():
    result = nnx.least_squares(rosenbrock, [-1.2, 1.0], method="dogbox", bounds=([-2.0, -1.0], [0.5, 3.0]))
    np.testing.assert_allclose(result.x, [0.5, 0.25], rtol=1e-6)
    assert result.success


def test_a_step_into_nan_is_stepped_back_from():
    with np.errstate(invalid="ignore", divide="ignore"):
        result = nnx.least_squares(lambda w: np.log(w) + 3.0, [2.0], method="dogleg")
    np.testing.assert_allclose(result.x, np.exp(-3.0), rtol=1e-8)


def test_units_of_the_variables_do_not_matter():
    unit = np.asarray([2.0**-12, 2.0**12])
    plain = nnx.least_squares(rosenbrock, [-1.2, 1.0], method="dogleg", options={"maxiter": 8})
    scaled = nnx.least_squares(
        lambda x: rosenbrock(x / unit),
        np.asarray([-1.2, 1.0]) * unit,
        method="dogleg",
        options={"maxiter": 8},
    )
    np.testing.assert_allclose(scaled.x / unit, plain.x, rtol=1e-9)


def test_the_radius_is_in_the_history():
    problem, w, method = ResidualProblem(rosenbrock), np.asarray([-1.2, 1.0]), Dogleg()
    _, state, info = method.step(problem, w, method.init(problem, w))
    assert info.measures["radius"] == state.values["radius"] > 0.0
