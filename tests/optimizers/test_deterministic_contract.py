"""What every method keeps that compares costs from step to step; a new one is tested by being registered."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

import nnx
from nnx import optimizers
from nnx.backend import namespace, to_numpy
from nnx.optimizers import FunctionProblem, ResidualProblem
from nnx.registry import from_config, to_config

ENTRIES = [e for e in optimizers.registry if issubclass(e.target, optimizers.Deterministic)]
START = np.linspace(-1.0, 2.0, 6)
CURVATURE = np.linspace(0.5, 3.0, 6)
CENTRE = np.cos(np.arange(6.0))

each_method = pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: e.class_name)


def least_squares(entry):
    return bool(entry.traits.least_squares)


def owned(backend, x, dtype="float64"):
    return backend.xp.asarray(backend.asarray(x, dtype=dtype), copy=True)


def problem_of(entry, residual, scale=1.0):
    """The problem of ½‖residual(w)‖²·scale in the form that the method takes."""
    if least_squares(entry):
        return ResidualProblem(lambda w: math.sqrt(scale) * residual(w))
    return FunctionProblem(lambda w: (0.5 * scale) * namespace(w).sum(residual(w) ** 2))


def bowl(entry, backend, dtype="float64"):
    """½ Σ aᵢ(wᵢ − cᵢ)², and weights that the caller owns."""
    root, c = (backend.asarray(x, dtype=dtype) for x in (np.sqrt(CURVATURE), CENTRE))
    return problem_of(entry, lambda w: root * (w - c)), owned(backend, START, dtype)


def valley(entry, scale=1.0, dtype="float64"):
    """Rosenbrock's function, a sum of two squares."""

    def residual(w):
        xp = namespace(w)
        return xp.stack([10.0 * (w[1] - w[0] ** 2), 1.0 - w[0]])

    return problem_of(entry, residual, scale), np.asarray([-1.2, 1.0], dtype=dtype)


def walk(method, problem, w, count):
    """Steps until one says stop, and all that they told."""
    state, told = method.init(problem, w), []
    for _ in range(count):
        w, state, info = method.step(problem, w, state)
        told.append(info)
        if info.stop is not None:
            break
    return w, state, told


def is_bayesian(entry):
    """Its cost is not the sum of squares alone: its minimum is elsewhere."""
    return entry.class_name == "BayesianRegularization"


@each_method
def test_it_finds_the_minimum_of_a_convex_quadratic_on_every_backend(entry, backend):
    problem, w = bowl(entry, backend)
    before = float(to_numpy(problem.at(w).value))
    same, state, told = walk(entry.create(), problem, w, 300)
    assert same is w
    assert state.step == len(told)
    if is_bayesian(entry):
        assert float(to_numpy(problem.at(w).value)) < before
        return
    np.testing.assert_allclose(to_numpy(w), CENTRE, atol=1e-6)  # √eps, where the cost is level
    assert told[-1].stop.success, told[-1].stop
    assert told[-1].stop.status in optimizers.REASONS


@each_method
def test_every_backend_takes_the_same_way(entry, backend):
    problem, w = bowl(entry, backend)
    reference, v = bowl(entry, nnx.backend.make_backend("numpy"))
    walk(entry.create(), problem, w, 3)
    walk(entry.create(), reference, v, 3)
    # a search's decisions are the same; what is left is rounding, which the curvature of a search amplifies
    np.testing.assert_allclose(to_numpy(w), v, rtol=1e-9, atol=1e-9)


@each_method
def test_the_cost_never_rises_and_the_best_point_is_kept(entry):
    problem, w = valley(entry)
    costs, method = [float(problem.at(w).value)], entry.create()
    state = method.init(problem, w)
    for _ in range(40):
        w, state, info = method.step(problem, w, state)
        costs.append(float(problem.at(w).value))
        if info.stop is not None:
            break
    if not is_bayesian(entry):
        # 1e-14: what a search takes for rounding
        assert all(b <= a * (1.0 + 1e-13) for a, b in pairwise(costs)), costs
    assert costs[-1] < 0.2 * costs[0]


@each_method
@pytest.mark.parametrize("scale", [2.0**-20, 2.0**20])
def test_the_scale_of_the_cost_changes_nothing(entry, scale):
    plain, w = valley(entry)
    scaled, v = valley(entry, scale)
    # a power of two, and √scale one as well: every number is the same but for its exponent
    w, _, told = walk(entry.create(), plain, w, 12)
    v, _, told_too = walk(entry.create(), scaled, v, 12)
    assert len(told) == len(told_too)
    np.testing.assert_allclose(v, w, rtol=1e-6)


@each_method
def test_single_precision_stays_single_and_finite(entry, backend):
    problem, w = bowl(entry, backend, "float32")
    w, state, told = walk(entry.create(), problem, w, 60)
    float32 = backend.adapter.dtype("float32")
    assert w.dtype == float32
    assert all(x.dtype == float32 for x in state.vectors().values())
    assert np.isfinite(to_numpy(w)).all()
    assert all(math.isfinite(x) for info in told for x in info.measures.values())
    if not is_bayesian(entry):
        np.testing.assert_allclose(to_numpy(w), CENTRE, atol=1e-2)


@each_method
def test_training_goes_on_bit_for_bit_from_a_saved_state(entry, backend):
    def residual(w):
        xp = namespace(w)
        return xp.concat([10.0 * (w[1:] - w[:-1] ** 2), 1.0 - w[:-1]])

    method, problem = entry.create(), problem_of(entry, residual)
    w = owned(backend, [-1.2, 1.0, 0.5])
    w, state, _ = walk(method, problem, w, 5)
    saved = {name: np.array(to_numpy(x)) for name, x in state.vectors().items()}
    numbers, weights = state.numbers(), np.array(to_numpy(w))
    assert all(type(x) in (int, float) for x in numbers.values())
    for _ in range(5):
        w, state, _ = method.step(problem, w, state)

    again = owned(backend, weights)
    restored = method.restore(problem, again, saved, numbers)
    for _ in range(5):
        again, restored, _ = method.step(problem, again, restored)
    np.testing.assert_array_equal(to_numpy(again), to_numpy(w))
    assert restored.numbers() == state.numbers()
    for name, x in restored.vectors().items():
        np.testing.assert_array_equal(to_numpy(x), to_numpy(state.vectors()[name]))


@each_method
def test_a_state_of_another_method_is_refused(entry):
    problem, w = valley(entry)
    state = entry.create().init(problem, w)
    with pytest.raises(nnx.errors.FileFormatError, match=entry.class_name):
        entry.create().restore(problem, w, {"foreign": w}, state.numbers())


@each_method
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_start_without_a_finite_cost_is_a_status(entry, bad):
    problem = problem_of(entry, lambda w: w * bad)
    w, _, told = walk(entry.create(), problem, np.asarray([1.0, 2.0]), 3)
    np.testing.assert_array_equal(w, [1.0, 2.0])
    assert len(told) == 1
    assert told[0].stop.status == -1
    assert not told[0].stop.success
    assert "finite" in told[0].stop.message or "nan" in told[0].stop.message or "inf" in told[0].stop.message


@each_method
def test_a_wall_of_nan_is_stepped_back_from(entry):
    # log is nan beyond 0, where the first steps of most methods lead
    problem = problem_of(entry, lambda w: namespace(w).log(w) + 3.0)
    with np.errstate(all="ignore"):
        w, _, _ = walk(entry.create(), problem, np.asarray([2.0]), 400)
    assert np.isfinite(w).all()
    if not is_bayesian(entry):
        np.testing.assert_allclose(w, math.exp(-3.0), rtol=1e-5)


@each_method
def test_a_constant_cost_ends_at_once(entry):
    problem = problem_of(entry, lambda w: 0.0 * w + 2.0)
    w, _, told = walk(entry.create(), problem, np.asarray([1.0, 2.0]), 3)
    if is_bayesian(entry):  # it makes weights small that the data do not need
        assert np.linalg.norm(w) < 1.0
        return
    np.testing.assert_array_equal(w, [1.0, 2.0])
    assert told[-1].stop is not None
    assert told[-1].stop.status == 1


@each_method
def test_weights_of_a_wrong_kind_are_an_error(entry):
    problem, _ = valley(entry)
    with pytest.raises(nnx.errors.ShapeError, match="vector"):
        entry.create().init(problem, np.zeros((2, 1)))
    with pytest.raises(nnx.errors.DtypeError, match="floating"):
        entry.create().init(problem, np.zeros(2, dtype=int))


@each_method
def test_there_is_no_learning_rate(entry):
    problem, w = valley(entry)
    method = entry.create()
    with pytest.raises(nnx.errors.OptionError, match="learning rate"):
        method.rate(method.init(problem, w))


@each_method
def test_what_a_file_says_makes_the_same_method(entry):
    method = entry.create()
    assert from_config(to_config(method)) == method
    assert hash(from_config(to_config(method))) == hash(method)


@each_method
def test_it_is_known_by_its_names(entry):
    for name in (entry.name, entry.class_name, entry.class_name.lower(), *entry.aliases):
        assert optimizers.get(name) == entry.target()
    assert getattr(optimizers, entry.class_name) is entry.target


@each_method
def test_it_says_its_equation_and_its_source(entry):
    assert entry.traits.formula
    assert entry.traits.source
    assert entry.traits.full_batch
    assert "Source" in entry.target.__doc__
    assert ">>>" in entry.target.__doc__
