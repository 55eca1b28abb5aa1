"""Conjugate gradients by every β, Møller's and Battiti's methods: on quadratics, and where they go wrong."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
from optimizers.paths import bowl, walk

import nnx
from nnx.errors import OptionError
from nnx.optimizers import ConjugateGradient, FunctionProblem, OneStepSecant, ScaledConjugateGradient
from nnx.optimizers.descent.conjugate_gradient import BETAS
from nnx.optimizers.searches import StrongWolfe

EXACT = StrongWolfe(c1=1e-10, c2=1e-9)

each_beta = pytest.mark.parametrize("beta", BETAS)


def rosenbrock(w):
    return np.sum(100.0 * (w[1:] - w[:-1] ** 2) ** 2 + (1.0 - w[:-1]) ** 2)


def linear_conjugate_gradients(h, b, steps):
    """The path of Hestenes and Stiefel's method for H w = b from 0."""
    w, r = np.zeros_like(b), b
    p, path = r, []
    for _ in range(steps):
        alpha = (r @ r) / (p @ h @ p)
        w, new = w + alpha * p, r - alpha * (h @ p)
        p, r = new + (new @ new) / (r @ r) * p, new
        path.append(w)
    return path


@each_beta
def test_on_a_quadratic_with_exact_searches_it_is_the_linear_method(beta):
    n = 6
    h, b, f = bowl(n, 20.0)
    path = [at.w for at in walk(ConjugateGradient(search=EXACT, beta=beta), f, np.zeros(n), n)]
    np.testing.assert_allclose(path, linear_conjugate_gradients(h, b, n), atol=1e-6)
    np.testing.assert_allclose(path[-1], np.linalg.solve(h, b), atol=1e-6)


@each_beta
@pytest.mark.parametrize("n", [2, 10])
def test_every_beta_finds_rosenbrocks_minimum(beta, n):
    start = np.tile([-1.2, 1.0], n // 2)
    method = ConjugateGradient(beta=beta, gtol=1e-9)
    found = nnx.minimize(rosenbrock, start, method=method, options=None)
    assert found.success
    # the chain of 10 has a second minimum, 3.98658, where the first coordinate is -1
    assert min(abs(found.fun), abs(found.fun - 3.986579112347)) < 1e-9


def beta_after_one_step(beta, g, n, p):
    """What the method takes for β where the gradients and the direction are these."""
    from nnx.optimizers.descent.conjugate_gradient import InnerProducts

    return BETAS[beta](InnerProducts(g @ g, n @ n, g @ n, p @ g, p @ n))


def test_the_formulas():
    g, n, p = np.asarray([1.0, 2.0]), np.asarray([2.0, -1.2]), np.asarray([-1.0, -1.5])
    y = n - g
    np.testing.assert_allclose(beta_after_one_step("polak_ribiere", g, n, p), n @ y / (g @ g))
    np.testing.assert_allclose(beta_after_one_step("fletcher_reeves", g, n, p), n @ n / (g @ g))
    np.testing.assert_allclose(beta_after_one_step("hestenes_stiefel", g, n, p), n @ y / (p @ y))
    np.testing.assert_allclose(beta_after_one_step("dai_yuan", g, n, p), n @ n / (p @ y))
    np.testing.assert_allclose(beta_after_one_step("powell_beale", g, n, p), n @ y / (p @ y))


def test_plus_means_that_beta_is_never_negative():
    g, n, p = np.asarray([1.0, 2.0]), np.asarray([0.5, 1.0]), np.asarray([-1.0, -2.0])
    assert n @ (n - g) < 0.0
    assert beta_after_one_step("polak_ribiere", g, n, p) == 0.0
    # gradients that are parallel, not orthogonal: Powell's restart
    assert beta_after_one_step("fletcher_reeves", g, n, p) == 0.0
    assert beta_after_one_step("dai_yuan", g, n, p) == 0.0


def test_powell_and_beale_restart_after_n_steps():
    _, _, f = bowl(4, 1e4)
    path = walk(ConjugateGradient(search=EXACT), lambda w: f(w) + 0.05 * np.sum(w**4), np.zeros(4), 25)
    assert all(at.values["since_restart"] <= 4 for at in path)


def test_a_direction_that_leads_up_is_replaced():
    method, problem, w = ConjugateGradient(), FunctionProblem(rosenbrock), np.asarray([-1.2, 1.0])
    state = method.init(problem, w)
    method.step(problem, w, state)
    state.memory["direction"][...] = nnx.grad(rosenbrock)(w) * 100.0
    state.values["beta"] = 1.0
    before = rosenbrock(w)
    w, state, info = method.step(problem, w, state)
    assert info.accepted
    assert rosenbrock(w) < before


def test_as_many_gradients_as_scipys():
    start = np.tile([-1.2, 1.0], 25)
    mine = nnx.minimize(rosenbrock, start, method="CG")
    theirs = scipy.optimize.minimize(rosenbrock, start, jac=nnx.grad(rosenbrock), method="CG")
    assert mine.success
    assert mine.njev <= theirs.njev


def test_an_unknown_beta_is_an_error_that_lists_the_known():
    with pytest.raises(OptionError, match="one of 'polak_ribiere', 'fletcher_reeves'"):
        ConjugateGradient(beta="liu_storey")


# -- Møller -----------------------------------------------------------------------------------------


def test_scg_on_a_quadratic_is_the_linear_method():
    n = 6
    h, b, f = bowl(n, 20.0)
    path = [at.w for at in walk(ScaledConjugateGradient(lambda_start=1e-14), f, np.zeros(n), n)]
    np.testing.assert_allclose(path, linear_conjugate_gradients(h, b, n), atol=1e-9)


def test_scg_finds_rosenbrocks_minimum():
    found = nnx.minimize(rosenbrock, np.asarray([-1.2, 1.0]), method="trainscg", options={"gtol": 1e-10})
    assert found.success
    np.testing.assert_allclose(found.x, 1.0, atol=1e-6)
    # one gradient and one product with the Hessian an iteration
    assert found.njev <= found.nit + 1
    assert found.nhev <= found.nit + 1


def test_scg_raises_lambda_where_the_curvature_is_negative():
    def saddle(w):
        return 0.25 * w[0] ** 4 - w[0] ** 2 + 0.5 * w[1] ** 2

    method, problem, w = ScaledConjugateGradient(), FunctionProblem(saddle), np.asarray([0.1, 0.0])
    state = method.init(problem, w)
    before = saddle(w)
    w, state, info = method.step(problem, w, state)
    # pᵀHp + λpᵀp > 0 needs λ > 1.97
    assert info.accepted
    assert saddle(w) < before
    assert info.measures["learning_rate"] > 0.0
    path = walk(method, saddle, [0.1, 1.0], 60)
    np.testing.assert_allclose(path[-1].w, [np.sqrt(2.0), 0.0], atol=1e-5)


def test_scg_on_a_line_without_curvature_takes_a_step_of_length_one():
    path = walk(ScaledConjugateGradient(), lambda w: 3.0 * w[0] + 4.0 * w[1], [0.0, 0.0], 1)
    np.testing.assert_allclose(path[0].w, [-0.6, -0.8])


def test_scg_steps_back_from_what_is_not_finite():
    with np.errstate(all="ignore"):
        found = nnx.minimize(lambda w: np.sum(w - np.log(w)), np.asarray([30.0, 0.01]), method="scg")
    np.testing.assert_allclose(found.x, 1.0, atol=1e-4)


# -- Battiti ----------------------------------------------------------------------------------------


def test_the_direction_of_oss_is_that_of_one_bfgs_update():
    method, problem, w = OneStepSecant(), FunctionProblem(rosenbrock), np.asarray([-1.2, 1.0, 0.5])
    state = method.init(problem, w)
    old, g = w.copy(), nnx.grad(rosenbrock)(w)
    method.step(problem, w, state)
    s, r = w - old, nnx.grad(rosenbrock)(w) - g
    sr, eye = s @ r, np.eye(3)
    left = eye - np.outer(s, r) / sr
    v = left @ (sr / (r @ r) * eye) @ left.T + np.outer(s, s) / sr
    p = method.direction(method.here(problem, w, state), state)
    np.testing.assert_allclose(p, -v @ nnx.grad(rosenbrock)(w), rtol=1e-10)


def test_oss_takes_the_path_of_lbfgs_with_one_pair():
    start = np.asarray([-1.2, 1.0, 0.5])
    path, same = (walk(m, rosenbrock, start, 15) for m in (OneStepSecant(), nnx.optimizers.LBFGS(maxcor=1)))
    np.testing.assert_allclose([at.w for at in path], [at.w for at in same], rtol=1e-6)
