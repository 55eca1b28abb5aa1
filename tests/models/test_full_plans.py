"""Methods that see all samples compute with recorded programs what they compute without: bit for bit."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import nnx
from nnx.jitting import replayed
from nnx.layers import GRU, Conv2D, Dense, Dropout, Flatten, GaussianNoise, Lambda

METHODS = {
    "lm": nnx.optimizers.LevenbergMarquardt(),
    "lm, region": nnx.optimizers.LevenbergMarquardt(damping="trust_region", scaling="jac"),
    "lm, qr": nnx.optimizers.LevenbergMarquardt(solver="qr"),
    "lm, products": nnx.optimizers.LevenbergMarquardt(solver="products"),
    "lm, few rows": nnx.optimizers.LevenbergMarquardt(memory_limit=2000.0),
    "bayesian": "bayesian_regularization",
    "gauss_newton": "gauss_newton",
    "dogleg": "dogleg",
    "steepest": nnx.optimizers.SteepestDescent(search="armijo"),
    "cg": "cg",
    "bfgs": "bfgs",
    "lbfgs": "lbfgs",
    "newton": "newton",
    "newton_cg": "newton_cg",
    "scg": "scg",
}
NETWORKS = {
    "dense": (lambda: [Dense(4, "tanh"), Dense(3, "sigmoid"), Dense(1)], (2,)),
    "two outputs": (lambda: [Dense(4, "tanh"), Dense(2)], (2,)),
    "noise": (lambda: [GaussianNoise(0.01), Dense(4, "tanh"), Dropout(0.05), Dense(1)], (2,)),
    "penalty": (lambda: [Dense(4, "tanh", kernel_regularizer="l2"), Dense(1)], (2,)),
    "convolution": (lambda: [Conv2D(2, 2, activation="tanh"), Flatten(), Dense(1)], (4, 4, 1)),
    "gates": (lambda: [GRU(2), Dense(1)], (3, 2)),
}


def as_they_are(monkeypatch):
    """Nothing is replayed from now on."""
    monkeypatch.setattr(replayed, "BEFORE", 10**9)


def soon(monkeypatch):
    """Calls are recorded after the first."""
    monkeypatch.setattr(replayed, "BEFORE", 1)


def trained(layers, shape, method, *, weighted=False, metrics=(), epochs=12, n=30):
    """History, weights and model of a training."""
    random = np.random.default_rng(0)
    model = nnx.Sequential([nnx.Input(shape), *layers()], seed=3, dtype="float64")
    x = random.normal(size=(n, *shape))
    y = np.sin(x.reshape(n, -1)[:, : model.output_shape[-1]])
    model.compile(method, "mse", metrics=list(metrics))
    sample_weight = random.uniform(0.5, 1.5, n) if weighted else None
    history = model.fit(x, y, epochs=epochs, verbose=0, sample_weight=sample_weight).history
    return history, np.asarray(model.weights_vector).tobytes(), model


def same(monkeypatch, *args, **options):
    """The model of a training by programs, which is that without."""
    with monkeypatch.context() as patch:
        as_they_are(patch)
        plain = trained(*args, **options)
    with monkeypatch.context() as patch:
        soon(patch)
        found = trained(*args, **options)
    assert found[0] == plain[0]
    assert found[1] == plain[1]
    return found[2]


def programs(model):
    return model.step_plan.count("program(")


@pytest.mark.parametrize("name", METHODS)
def test_every_method_takes_the_same_way(name, monkeypatch):
    model = same(monkeypatch, *NETWORKS["dense"], METHODS[name])
    assert programs(model) >= 1, model.step_plan
    assert "computed as" not in model.step_plan


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "dense"])
@pytest.mark.parametrize("method", ["lm", "newton_cg"])
def test_other_networks(name, method, monkeypatch):
    model = same(monkeypatch, *NETWORKS[name], METHODS[method])
    assert programs(model) >= 1, model.step_plan


@pytest.mark.parametrize("method", ["lm", "lbfgs", "bayesian"])
def test_weights_of_samples_and_metrics(method, monkeypatch):
    model = same(monkeypatch, *NETWORKS["dense"], METHODS[method], weighted=True, metrics=["mae"])
    assert programs(model) >= 1


def test_random_numbers_are_those_of_the_step(monkeypatch):
    """Of layers with noise every step is another function, and each evaluation in it the same."""
    model = same(monkeypatch, *NETWORKS["noise"], "lm", epochs=25)
    assert "keep_mask(" in model.step_plan


def test_residuals_and_rows_are_two_programs(monkeypatch):
    model = same(monkeypatch, *NETWORKS["dense"], "lm", epochs=20)
    forward, rows = model.step_plan.split("program(")[1:3]
    assert forward.count("tanh") == 1 and "tanh" not in rows and "[:, 0:8] =" in rows


def test_other_data_of_the_same_shape_are_other_numbers(monkeypatch):
    """The programs take the batch as arguments: a second ``fit`` is about its own data."""

    def twice():
        _, _, model = trained(*NETWORKS["dense"], "lm")
        x = np.random.default_rng(1).normal(size=(30, 2))
        model.fit(x, x[:, :1] ** 2, epochs=9, verbose=0)
        return np.asarray(model.weights_vector).tobytes()

    with monkeypatch.context() as patch:
        as_they_are(patch)
        plain = twice()
    soon(monkeypatch)
    assert twice() == plain


def test_samples_in_parts_are_not_recorded(monkeypatch):
    """Rows of more samples than a cache holds are made part by part, by the cores together."""
    soon(monkeypatch)
    _, _, model = trained(*NETWORKS["dense"], "lm", epochs=8, n=5000)
    assert "restored" not in model.step_plan and "[:, 0:8] =" not in model.step_plan


@pytest.mark.parametrize("method", ["lm", "newton_cg", "cg"])
def test_what_is_a_users_own_is_computed_as_it_is(method, monkeypatch):
    calls = []

    def layers():
        return [Lambda(lambda x: calls.append(1) or 2.0 * x), Dense(3, "tanh"), Dense(1)]

    counts = []
    for prepare in (as_they_are, soon):
        with monkeypatch.context() as patch:
            prepare(patch)
            calls.clear()
            _, _, model = trained(layers, (2,), METHODS[method], epochs=6)
            counts.append(len(calls))
    assert counts[0] == counts[1] > 6  # the calls of a user's layer are those without any program
    assert model.step_plan.startswith("Steps are computed as they are") and not programs(model)


def test_other_bits_are_refused(monkeypatch):
    true = replayed.compiled

    def wrong(program, *others):
        replay = true(program, *others)

        def other(*arrays):
            answer = replay(*arrays)
            (residual, ran), *kept = answer if type(answer[0]) is tuple else ((None, None),)
            return answer if residual is None else ((residual * (1.0 + 1e-15), ran), *kept)

        return other

    with monkeypatch.context() as patch:
        as_they_are(patch)
        plain = trained(*NETWORKS["dense"], "lm")
    soon(monkeypatch)
    monkeypatch.setattr(replayed, "compiled", wrong)
    found = trained(*NETWORKS["dense"], "lm")
    assert "residual is computed as it is" in found[2].step_plan and "same bits" in found[2].step_plan
    assert found[:2] == plain[:2]


def test_no_failure_of_a_recording_reaches_the_user(monkeypatch):
    def broken(program, *others):
        raise KeyError("something that nobody thought of")

    with monkeypatch.context() as patch:
        as_they_are(patch)
        plain = trained(*NETWORKS["dense"], "lm")
    soon(monkeypatch)
    monkeypatch.setattr(replayed, "compiled", broken)
    found = trained(*NETWORKS["dense"], "lm")
    assert "KeyError" in found[2].step_plan
    assert found[:2] == plain[:2]


def test_steps_that_go_too_far_are_judged_as_before(monkeypatch):
    """Residuals that are not finite come out of a program as they do without it."""

    def layers():
        return [Dense(4, "exponential"), Dense(1)]

    with np.errstate(all="ignore"):
        same(monkeypatch, layers, (2,), nnx.optimizers.LevenbergMarquardt(mu=1e-12), epochs=25)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_of_a_model_trains_on(copied, monkeypatch):
    soon(monkeypatch)
    _, _, model = trained(*NETWORKS["dense"], "lm")
    other = copied(model)
    x = np.random.default_rng(1).normal(size=(30, 2))
    found = [m.fit(x, x[:, :1] ** 2, epochs=4, verbose=0).history["loss"][-1] for m in (model, other)]
    assert found[0] == pytest.approx(found[1], rel=1e-3)
