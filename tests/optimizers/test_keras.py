"""The same trajectories and schedules as Keras 3, in double precision.

Keras' side is computed where Keras is installed, and read from ``keras_3.json`` where it is not. The file is
written by ``PYTHONPATH=.:tests python tests/optimizers/test_keras.py`` (Keras 3.15 on PyTorch).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from optimizers.keras_peer import beside_keras, keras_peer, label, live_keras, write

from nnx import optimizers
from nnx.optimizers import schedules

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Keras, with new NumPy

FILE = Path(__file__).with_name("keras_3.json")

_SLOWER = {"decay_steps": 20, "decay_rate": 0.5}
OWN = {  # name → options, each a case of its own
    "SGD": [{"learning_rate": 0.05}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}],
    "Adagrad": [{"learning_rate": 0.1}, {"initial_accumulator_value": 0.5, "epsilon": 1e-3}],
    "Adadelta": [{"learning_rate": 1.0}, {"learning_rate": 0.5, "rho": 0.9, "epsilon": 1e-4}],
    "RMSprop": [
        {},
        {"rho": 0.8, "epsilon": 1e-3},
        {"momentum": 0.9},
        {"centered": True},
        {"learning_rate": 0.01, "centered": True, "momentum": 0.5},
    ],
    "Adam": [{"learning_rate": 0.01}, {"beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3}, {"amsgrad": True}],
    "AdamW": [{}, {"learning_rate": 0.01, "weight_decay": 0.1, "amsgrad": True}],
    "Adamax": [{"learning_rate": 0.01}, {"beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-2}],
    "Nadam": [{"learning_rate": 0.01}, {"beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3}],
    "Lion": [{}, {"learning_rate": 0.01, "beta_1": 0.8, "beta_2": 0.9}, {"beta_1": 1.0}],
    "Ftrl": [
        {"learning_rate": 0.1, "beta": 1.0},
        {"learning_rate": 0.1, "learning_rate_power": -0.3, "initial_accumulator_value": 0.5},
        {"learning_rate": 0.1, "l1_regularization_strength": 0.5, "l2_regularization_strength": 0.1},
        {"learning_rate": 0.1, "l2_shrinkage_regularization_strength": 0.1, "learning_rate_power": 0.0},
        {"learning_rate": ["InverseTimeDecay", {"initial_learning_rate": 0.1, **_SLOWER}]},
    ],
    "ScheduleFreeAdamW": [{}, {"beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3}, {"warmup_steps": 30}],
}
COMMON = [  # with every optimizer
    {"weight_decay": 0.3},
    {"weight_decay": 0.3, "exclude_from_weight_decay": ["bias"]},
    {"clipnorm": 0.4},
    {"clipvalue": 0.3},
    {"global_clipnorm": 0.7},
    {"use_ema": True, "ema_momentum": 0.9},
    {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 7},
    {"learning_rate": ["CosineDecay", {"initial_learning_rate": 0.05, "decay_steps": 80}]},
]
FAST = {"Adadelta": 5.0, "Adagrad": 0.1}  # others are fast enough with this one:
CASES = [
    (name, {"learning_rate": FAST.get(name, 0.02)} | options if options in COMMON else options)
    for name, own in OWN.items()
    for options in own + COMMON
    if (name, options) != ("Ftrl", COMMON[-1])  # that one ends at 0, which Ftrl divides by: NaN in Keras
]
LEVEL = {"initial_learning_rate": 0.1}
SCHEDULES = [
    ("ExponentialDecay", LEVEL | {"decay_steps": 7, "decay_rate": 0.9}),
    ("ExponentialDecay", LEVEL | {"decay_steps": 7, "decay_rate": 0.9, "staircase": True}),
    ("InverseTimeDecay", LEVEL | {"decay_steps": 7, "decay_rate": 0.5}),
    ("InverseTimeDecay", LEVEL | {"decay_steps": 7, "decay_rate": 0.5, "staircase": True}),
    ("PiecewiseConstantDecay", {"boundaries": [5, 20, 21], "values": [0.1, 0.05, 0.01, 0.001]}),
    ("PolynomialDecay", LEVEL | {"decay_steps": 30}),
    ("PolynomialDecay", LEVEL | {"decay_steps": 8, "power": 2.5, "cycle": True}),
    ("CosineDecay", LEVEL | {"decay_steps": 30, "alpha": 0.1}),
    ("CosineDecay", LEVEL | {"decay_steps": 30, "warmup_target": 0.2, "warmup_steps": 9}),
    ("CosineDecayRestarts", LEVEL | {"first_decay_steps": 6, "m_mul": 0.7, "alpha": 0.2}),
    ("CosineDecayRestarts", LEVEL | {"first_decay_steps": 6, "t_mul": 1.0}),
    ("CosineDecayRestarts", LEVEL | {"first_decay_steps": 9, "t_mul": 1.5, "m_mul": 0.9}),
]


@pytest.fixture(params=["live", "written"])
def peer(request, problem):
    with keras_peer(request.param, FILE, problem) as keras:
        yield keras


@pytest.mark.parametrize(("case", "peer"), beside_keras(CASES, "Adam"), indirect=["peer"])
def test_a_hundred_steps_end_where_those_of_keras_end(case, peer, problem, run):
    name, options = case
    options = dict(options)
    if isinstance(options.get("learning_rate"), list):
        schedule, arguments = options["learning_rate"]
        options["learning_rate"] = getattr(schedules, schedule)(**arguments)
    optimizer = getattr(optimizers, name)(**options)
    w, state = run(optimizer, problem.steps)
    w = optimizer.finalize(w, state)
    assert np.max(np.abs(w - problem.start)) > 1e-3  # it went somewhere
    np.testing.assert_allclose(w, peer.trajectory(*case), rtol=1e-12)


def test_amsgrad_by_its_own_name_is_that_of_keras(peer, run):
    w, _ = run(optimizers.AMSGrad())
    np.testing.assert_allclose(w, peer.trajectory("Adam", {"amsgrad": True}), rtol=1e-12)


@pytest.mark.parametrize("case", SCHEDULES, ids=label)
def test_learning_rates_are_those_of_keras(case, peer):
    name, options = case
    schedule = getattr(schedules, name)(**options)
    # close to zero the cosine is a difference of two ones: absolute there
    np.testing.assert_allclose(
        [schedule(step) for step in range(60)], peer.rates(name, options), rtol=1e-12, atol=1e-16
    )


if __name__ == "__main__":
    from optimizers.conftest import HandWritten

    with live_keras(HandWritten()) as keras:
        found = {label(case): keras.trajectory(*case) for case in CASES}
        write(FILE, found | {label(case): keras.rates(*case) for case in SCHEDULES})
