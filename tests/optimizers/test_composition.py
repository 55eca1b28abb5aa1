"""How the methods are put together: what a class implements, no class below it implements again."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import textwrap

import numpy as np
import pytest

import nnx
from nnx import optimizers
from nnx.optimizers import Deterministic
from nnx.optimizers.squares.bayesian import BayesianRegularization
from nnx.optimizers.squares.dogleg import DoglegPath
from nnx.optimizers.squares.levenberg_marquardt import ByProblem, Damped, TrustRegion
from nnx.optimizers.squares.step_control import GainRatio


def classes():
    """Every class that is written in the sub-rooms of the deterministic methods."""
    for package in ("descent", "squares"):
        room = importlib.import_module(f"nnx.optimizers.{package}")
        for info in pkgutil.iter_modules(room.__path__, f"{room.__name__}."):
            module = importlib.import_module(info.name)
            yield from (c for c in vars(module).values() if getattr(c, "__module__", "") == info.name)


def is_hook(function):
    """Whether a subclass may say it: it raises NotImplementedError, or has a default of a single value."""
    node = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    code = node.body[1:] if ast.get_docstring(node) else node.body
    if not code or "NotImplementedError" in ast.unparse(code[0]):
        return True
    value = code[0].value if len(code) == 1 and isinstance(code[0], ast.Return) else None
    makes = isinstance(value, ast.Call) and isinstance(value.func, ast.Name)  # Evaluation(problem, w)
    return makes or isinstance(value, ast.Constant | ast.Name | ast.Dict)


def functions(cls):
    for name, thing in vars(cls).items():
        function = getattr(thing, "fget", getattr(thing, "func", thing))
        if inspect.isfunction(function) and not name.startswith("__"):
            yield name, function


def implemented_twice(cls):
    found = {}
    for base in cls.__mro__:
        if base.__module__.startswith("nnx.optimizers"):
            for name, function in functions(base):
                found.setdefault(name, []).append((base.__name__, function))
    return [
        (name, [owner for owner, _ in above])
        for name, above in found.items()
        if any(not is_hook(function) for _, function in above[1:])
    ]


@pytest.mark.parametrize("cls", [c for c in classes() if inspect.isclass(c)], ids=lambda c: c.__name__)
def test_nothing_that_is_implemented_is_implemented_again_below(cls):
    assert implemented_twice(cls) == []


def test_a_second_implementation_is_noticed():
    class Again(BayesianRegularization):
        def move(self, problem, here, state):
            return super().move(problem, here, state)

    Again.__module__ = "nnx.optimizers.planted"
    assert implemented_twice(Again) == [("move", ["Again", "BayesianRegularization", "Deterministic"])]


def test_methods_are_few_classes_deep():
    for entry in optimizers.registry:
        if issubclass(entry.target, Deterministic):
            own = [c for c in entry.target.__mro__ if c.__module__.startswith("nnx.optimizers")]
            # Options, Method, Deterministic, a family, a kind, itself
            assert len(own) <= 6, own


def test_each_method_for_sums_of_squares_is_a_path_and_a_control():
    kinds = {"lm": ByProblem, "bayesian": Damped, "dogleg": DoglegPath}
    for name, path in kinds.items():
        control = optimizers.get(name).control
        assert type(control) is GainRatio
        assert type(control.path) is path
    chosen = {"trust_region": TrustRegion, "nielsen": Damped, "matlab": Damped}
    for damping, path in chosen.items():
        assert type(nnx.optimizers.LevenbergMarquardt(damping=damping).control.path) is path
    assert not issubclass(BayesianRegularization, nnx.optimizers.LevenbergMarquardt)


def test_the_options_of_a_method_are_those_of_its_parts():
    method = nnx.optimizers.LevenbergMarquardt(mu=0.5, mu_max=7.0, factor=3.0, xtol=1e-3, scaling="identity")
    path = method.control.path
    assert (path.alike.mu, path.alike.mu_max, path.others.factor) == (0.5, 7.0, 3.0)
    assert (method.control.xtol, method.control.scaling) == (1e-3, "identity")


def test_a_run_that_a_limit_of_the_damping_ended_can_go_on():
    problem = nnx.optimizers.ResidualProblem(lambda w: np.stack([w[0] - 1.0, w[0] + 1.0]))
    for method in (
        nnx.optimizers.LevenbergMarquardt(damping="matlab", mu_max=1.0),
        nnx.optimizers.BayesianRegularization(mu_max=1.0),
    ):
        w = np.asarray([3.0])
        state = method.init(problem, w)
        state.values["mu"] = 2.0
        _, state, info = method.step(problem, w, state)
        assert info.stop.status == 6
        method.finalize(w, state)
        assert state.values["mu"] == method.mu
        assert method.step(problem, w, state)[2].accepted
