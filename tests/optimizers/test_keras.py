"""The same trajectories and schedules as Keras 3, in double precision.

Keras' side is computed where Keras is installed, and read from ``keras_3.json`` where it is not. The file is
written by ``python tests/optimizers/test_keras.py`` (Keras 3.15 on PyTorch).
"""

from __future__ import annotations

import importlib.util
import json
import os
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from nnx import optimizers
from nnx.optimizers import schedules

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Keras, with new NumPy

FILE = Path(__file__).with_name("keras_3.json")
STEPS = 100

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


def label(case):
    return " ".join([case[0], *(f"{k}={v}" for k, v in case[1].items())])


class LiveKeras:
    """Keras 3 on PyTorch, computing in double precision (which its tables of types would make single)."""

    def __init__(self, keras, problem):
        self.keras, self.problem = keras, problem

    def trajectory(self, name, options):
        options = dict(options)
        spared = options.pop("exclude_from_weight_decay", None)
        if isinstance(options.get("learning_rate"), list):
            options["learning_rate"] = self.schedule(*options["learning_rate"])
        optimizer = getattr(self.keras.optimizers, name)(**options)
        if spared:
            optimizer.exclude_from_weight_decay(var_names=spared)
        layout = self.problem.layout
        pieces = zip(layout.names, layout.views(self.problem.start.copy()), strict=True)
        variables = [self.keras.Variable(piece, dtype="float64", name=n.split("/")[1]) for n, piece in pieces]
        for _ in range(STEPS):
            gradient = self.problem.gradient(self.flat(variables))
            tensors = [self.keras.ops.convert_to_tensor(g, dtype="float64") for g in layout.views(gradient)]
            optimizer.apply(tensors, variables)
        if optimizer.use_ema:
            optimizer.finalize_variable_values(variables)
        return self.flat(variables).tolist()

    def schedule(self, name, options):
        return getattr(self.keras.optimizers.schedules, name)(**options)

    def rates(self, name, options):
        schedule = self.schedule(name, options)
        return [float(schedule(step)) for step in range(60)]

    @staticmethod
    def flat(variables):
        return np.concatenate([np.asarray(v.numpy()).reshape(-1) for v in variables])


class WrittenKeras:
    """What :class:`LiveKeras` gave, from the file."""

    def __init__(self):
        self.written = json.loads(FILE.read_text())

    def trajectory(self, name, options):
        return self.written[label((name, options))]

    rates = trajectory


@contextmanager
def live_keras(problem):
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras
    from keras.src.backend.common import dtypes

    before, table = keras.config.floatx(), dict(dtypes.BIT64_TO_BIT32_DTYPE)
    try:
        keras.config.set_floatx("float64")
        dtypes.BIT64_TO_BIT32_DTYPE.pop("float64", None)
        yield LiveKeras(keras, problem)
    finally:
        keras.config.set_floatx(before)
        dtypes.BIT64_TO_BIT32_DTYPE.update(table)


@pytest.fixture(params=["live", "written"])
def peer(request, problem):
    if request.param == "written":
        yield WrittenKeras()
        return
    if importlib.util.find_spec("keras") is None or importlib.util.find_spec("torch") is None:
        pytest.skip("could not import 'keras' on 'torch'")
    with live_keras(problem) as keras:
        yield keras


@pytest.mark.parametrize("case", CASES, ids=label)
def test_a_hundred_steps_end_where_those_of_keras_end(case, peer, problem, run):
    name, options = case
    options = dict(options)
    if isinstance(options.get("learning_rate"), list):
        schedule, arguments = options["learning_rate"]
        options["learning_rate"] = getattr(schedules, schedule)(**arguments)
    optimizer = getattr(optimizers, name)(**options)
    w, state = run(optimizer, STEPS)
    w = optimizer.finalize(w, state)
    assert np.max(np.abs(w - problem.start)) > 1e-3  # it went somewhere
    np.testing.assert_allclose(w, peer.trajectory(*case), rtol=1e-12)


def test_amsgrad_by_its_own_name_is_that_of_keras(peer, run):
    w, _ = run(optimizers.AMSGrad(), STEPS)
    np.testing.assert_allclose(w, peer.trajectory("Adam", {"amsgrad": True}), rtol=1e-12)


@pytest.mark.parametrize("case", SCHEDULES, ids=label)
def test_learning_rates_are_those_of_keras(case, peer):
    name, options = case
    schedule = getattr(schedules, name)(**options)
    # close to zero the cosine is a difference of two ones: absolute there
    np.testing.assert_allclose(
        [schedule(step) for step in range(60)], peer.rates(name, options), rtol=1e-12, atol=1e-16
    )


def write(problem):
    with live_keras(problem) as keras:
        found = {label(case): keras.trajectory(*case) for case in CASES}
        found |= {label(case): keras.rates(*case) for case in SCHEDULES}
    lines = (f"{json.dumps(name)}: {json.dumps(numbers)}" for name, numbers in found.items())
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    from conftest import HandWritten  # the one beside this file

    write(HandWritten())
