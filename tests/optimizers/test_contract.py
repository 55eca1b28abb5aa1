"""What every registered optimizer of first order keeps; a new one is tested by being registered."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest
import tripwire

import nnx
from nnx import optimizers
from nnx.backend import kernels, namespace, to_numpy
from nnx.optimizers import FunctionProblem
from nnx.optimizers.first_order import per_array
from nnx.parameters import Layout
from nnx.registry import from_config, to_config

ENTRIES = [entry for entry in optimizers.registry if issubclass(entry.target, optimizers.FirstOrder)]
LAYOUT = Layout(("dense/kernel", "dense/bias"), ((4, 2), (2,)))
START = np.linspace(-1.0, 2.0, 10)
OPTIONS = {
    "plain": {},
    "everything": {
        "weight_decay": 0.01,
        "exclude_from_weight_decay": ("bias",),
        "clipvalue": 0.5,
        "use_ema": True,
        "ema_momentum": 0.9,
        "ema_overwrite_frequency": 3,
        "mask": ("kernel", "bias"),
    },
    "clipnorm": {"clipnorm": 0.3},
    "global_clipnorm": {"global_clipnorm": 0.3},
}

each_optimizer = pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: e.class_name)
each_option = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)


def quadratic(backend, dtype="float64"):
    """½ Σ aᵢ(wᵢ − cᵢ)² with known minimum; gives the problem and weights that the caller owns."""
    a = backend.asarray(np.linspace(0.5, 3.0, 10), dtype=dtype)
    c = backend.asarray(np.cos(np.arange(10.0)), dtype=dtype)

    def f(w):
        return 0.5 * namespace(w).sum(a * (w - c) * (w - c))

    w = backend.xp.asarray(backend.asarray(START, dtype=dtype), copy=True)
    return FunctionProblem(f, LAYOUT), w


def steps(optimizer, problem, w, state, count):
    for _ in range(count):
        w, state, info = optimizer.step(problem, w, state)
    return w, state, info


@each_optimizer
def test_the_cost_of_a_convex_quadratic_falls_on_every_backend_without_waiting_for_it(entry, backend):
    problem, w = quadratic(backend)
    optimizer = entry.create()
    state, before = optimizer.init(problem, w), float(to_numpy(problem.f(w)))
    quiet = backend.name == "array_api_strict" and not entry.traits.reads_the_cost
    with tripwire.no_reads() if quiet else nullcontext():
        same, state, info = steps(optimizer, problem, w, state, 20)
    assert same is w
    assert state.step == 20
    assert info.learning_rate >= 0.0
    assert float(to_numpy(problem.f(w))) < before


@each_optimizer
@each_option
def test_every_backend_takes_the_same_way(entry, options, backend):
    problem, w = quadratic(backend)
    reference, v = quadratic(nnx.backend.make_backend("numpy"))
    optimizer = entry.create(**options)
    steps(optimizer, problem, w, optimizer.init(problem, w), 20)
    steps(optimizer, reference, v, optimizer.init(reference, v), 20)
    # the same operations in the same order; what is left is how each library rounds sums and roots
    np.testing.assert_allclose(to_numpy(w), v, rtol=1e-12)


@each_optimizer
@each_option
def test_single_precision_stays_single(entry, options, backend):
    problem, w = quadratic(backend, "float32")
    optimizer = entry.create(**options)
    w, state, info = steps(optimizer, problem, w, optimizer.init(problem, w), 3)
    float32 = backend.adapter.dtype("float32")
    assert w.dtype == float32
    assert info.point.gradient.dtype == float32
    assert all(x.dtype == float32 for x in state.vectors().values())


@each_optimizer
@each_option
def test_training_goes_on_bit_for_bit_from_a_saved_state(entry, options, backend):
    optimizer = entry.create(**options)
    problem, w = quadratic(backend, "float32")
    w, state, _ = steps(optimizer, problem, w, optimizer.init(problem, w), 4)
    state.learning_rate = optimizer.rate(state) * 0.5
    saved = {name: np.array(to_numpy(x)) for name, x in state.vectors().items()}
    numbers, weights = state.numbers(), np.array(to_numpy(w))
    assert all(type(x) in (int, float) for x in numbers.values())
    w, state, _ = steps(optimizer, problem, w, state, 5)

    again = backend.xp.asarray(backend.asarray(weights), copy=True)
    restored = optimizer.restore(problem, again, saved, numbers)
    again, restored, _ = steps(optimizer, problem, again, restored, 5)
    np.testing.assert_array_equal(to_numpy(again), to_numpy(w))
    assert restored.numbers() == state.numbers()
    assert restored.vectors().keys() == state.vectors().keys()
    for name, x in restored.vectors().items():
        np.testing.assert_array_equal(to_numpy(x), to_numpy(state.vectors()[name]))


@pytest.mark.parametrize("compiles", [False, True], ids=["blocks", "numba"])
@each_optimizer
@each_option
def test_kernels_change_nothing(entry, options, compiles, monkeypatch):
    if compiles:
        pytest.importorskip("numba")
    else:
        monkeypatch.setattr(kernels, "compiled", lambda recording, targets, bools: None)
    n = 4 * kernels.BLOCK + 40  # with a short last block
    rng = np.random.default_rng(1)
    a, start = rng.uniform(0.5, 3.0, n), rng.standard_normal(n)
    problem = FunctionProblem(lambda w: 0.5 * np.sum(a * w * w), Layout(("kernel", "bias"), ((n - 9,), (9,))))
    optimizer, ends = entry.create(**options), []
    for block in (kernels.BLOCK, 1 << 30):  # by a kernel, and the rule as it stands
        monkeypatch.setattr(kernels, "BLOCK", block)
        w = start.copy()
        steps(optimizer, problem, w, optimizer.init(problem, w), 2)
        ends.append(w)
    assert not np.array_equal(ends[0], start)
    # vector instructions and the rest of a loop may round differently
    np.testing.assert_allclose(*ends, rtol=1e-14)


class Lone(float):
    """A number that takes part in arithmetic with arrays only."""

    def _with(self, other):
        if isinstance(other, int | float):
            raise AssertionError("a rule computed with two scalars: kernels round that to the arrays' type")
        return NotImplemented

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _with
    __pow__ = __rpow__ = _with

    def __neg__(self):
        return self._with(0.0)


@each_optimizer
@each_option
def test_a_rule_is_pure_and_computes_with_arrays(entry, options, monkeypatch):
    # pure: it can be compiled, and run block by block, since it writes to nothing that it was given
    problem, w = quadratic(nnx.backend.make_backend("numpy"))
    optimizer, calls = entry.create(**options), []

    def evaluate(function, read, write, scalars, scalar=Lone):
        calls.append(function)
        for array in (read := tuple(np.array(x) for x in read)):
            array.flags.writeable = False
        results = function(np, *read, *map(scalar, scalars))
        assert all(type(x) is float for x in scalars)
        assert len(results) == len(write)
        for target, result in zip(write, results, strict=True):
            assert (result.size, result.dtype) == (target.size, target.dtype)
            target[...] = result.reshape(target.shape)

    def mapping(function, read, write, count):
        return lambda scalars: evaluate(function, read, write, scalars)

    monkeypatch.setattr(nnx.backend.adapter_of(w), "mapping", mapping)
    monkeypatch.setattr(per_array, "store", partial(evaluate, scalar=float))  # no kernel: scalars may meet
    steps(optimizer, problem, w, optimizer.init(problem, w), 3)
    functions = set(calls)  # one, so that it is compiled once, or one for each kind of weight array
    assert len(functions) == 1 or issubclass(entry.target, optimizers.PerArray)
    again, v = quadratic(nnx.backend.make_backend("numpy"))
    same = entry.create(**options)
    steps(same, again, v, same.init(again, v), 1)
    assert set(calls) == functions  # and another optimizer with these options has them as well


@each_optimizer
@each_option
def test_a_vector_without_weights_is_no_accident(entry, options):
    problem = FunctionProblem(lambda w: np.sum(w * w), Layout(("kernel", "bias"), ((0,), (0, 3))))
    optimizer, w = entry.create(**options), np.zeros(0)
    w, state, _ = steps(optimizer, problem, w, optimizer.init(problem, w), 2)
    assert (w.shape, state.step) == ((0,), 2)


@each_optimizer
@each_option
def test_what_a_file_says_makes_the_same_optimizer(entry, options):
    optimizer = entry.create(**options)
    assert from_config(to_config(optimizer)) == optimizer
    assert hash(from_config(to_config(optimizer))) == hash(optimizer)


@each_optimizer
def test_it_is_known_by_its_names(entry):
    for name in (entry.name, entry.class_name, entry.class_name.lower(), *entry.aliases):
        assert optimizers.get(name) == entry.target()
    assert getattr(optimizers, entry.class_name) is entry.target
    assert entry.class_name in dir(optimizers)


@each_optimizer
def test_it_says_its_equation_and_its_source(entry):
    assert "w ←" in entry.traits.formula or "same as" in entry.traits.formula
    assert entry.traits.source
    assert "Source" in entry.target.__doc__ or "same as" in entry.target.__doc__


@each_optimizer
def test_the_learning_rate_of_the_state_replaces_its_own(entry):
    problem, w = quadratic(nnx.backend.make_backend("numpy"))
    optimizer = entry.create()
    state = optimizer.init(problem, w)
    state.learning_rate = 0.125
    assert optimizer.step(problem, w, state)[2].learning_rate == 0.125
    for wrong in (-1.0, float("nan"), float("inf")):
        state.learning_rate = wrong
        with pytest.raises(nnx.errors.OptionError, match=r"state\.learning_rate"):
            optimizer.step(problem, w, state)


def test_a_new_optimizer_needs_one_class_and_nothing_else():
    from dataclasses import dataclass

    registry = optimizers.registry
    entries, names = dict(registry._entries), dict(registry._names)
    try:

        @optimizers.register(formula="w ← w − η·sign(g)", source="a test")
        @dataclass(frozen=True)
        class SignDescent(optimizers.FirstOrder):
            @property
            def rule(self):
                return lambda xp, w, g, eta: (w - eta * xp.sign(g),)

        assert optimizers.SignDescent is SignDescent
        problem, w = quadratic(nnx.backend.make_backend("numpy"))
        optimizer = optimizers.get("sign_descent")
        optimizer.step(problem, w, optimizer.init(problem, w))
        assert set(np.round(np.abs(w - START), 12)) == {0.01}
    finally:
        registry._entries, registry._names = entries, names
