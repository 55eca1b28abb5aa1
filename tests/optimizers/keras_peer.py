"""Keras 3 beside nnx: what its optimizers and schedules give, computed now or read from a file."""

from __future__ import annotations

import importlib.util
import json
import os
from contextlib import contextmanager, nullcontext
from functools import cache

import numpy as np
import pytest
from keras_on_torch import usual_type


def label(case):
    return " ".join([case[0], *(f"{k}={v}" for k, v in case[1].items())])


def beside_keras(cases, thorough):
    """What ``parametrize(("case", "peer"), ...)`` takes: every case beside the numbers that Keras once gave.

    Beside Keras as it is installed, only the first case of each optimizer, and all of the one named
    ``thorough``; the others are slow tests, which find out whether the file still holds what Keras gives.
    """
    first = dict(reversed(cases))
    slow = [case for case in cases if case[0] != thorough and first[case[0]] is not case[1]]
    marks = {"live": pytest.mark.slow, "written": ()}
    return [
        pytest.param(case, peer, id=f"{peer}-{label(case)}", marks=marks[peer] if case in slow else ())
        for peer in ("live", "written")
        for case in cases
    ]


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
        variables = [self.variable(*name.split("/"), piece) for name, piece in pieces]
        with new_values() if name == "ScheduleFreeAdamW" else nullcontext():
            for _ in range(self.problem.steps):
                gradient = self.problem.gradient(self.flat(variables))
                pieces = layout.views(gradient)
                tensors = [self.keras.ops.convert_to_tensor(g, dtype="float64") for g in pieces]
                optimizer.apply(tensors, variables)
        if optimizer.use_ema:
            optimizer.finalize_variable_values(variables)
        return self.flat(variables).tolist()

    def variable(self, layer, name, piece):
        with self.keras.name_scope(layer):
            return self.keras.Variable(piece, dtype="float64", name=name)

    def schedule(self, name, options):
        return getattr(self.keras.optimizers.schedules, name)(**options)

    def rates(self, name, options):
        schedule = self.schedule(name, options)
        return [float(schedule(step)) for step in range(60)]

    @staticmethod
    def flat(variables):
        return np.concatenate([np.asarray(v.numpy()).reshape(-1) for v in variables])


@cache
def written(file):
    return json.loads(file.read_text())


class WrittenKeras:
    """What :class:`LiveKeras` gave, from a file."""

    def __init__(self, file):
        self.written = written(file)

    def trajectory(self, name, options):
        return self.written[label((name, options))]

    rates = trajectory


@contextmanager
def live_keras(problem):
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras
    from keras.src import ops
    from keras.src.backend.common import dtypes

    def root(x):  # of a whole number: in single precision otherwise (Muon's factor)
        return sqrt(ops.cast(x, "float64"))

    table, sqrt = dict(dtypes.BIT64_TO_BIT32_DTYPE), ops.sqrt
    try:
        dtypes.BIT64_TO_BIT32_DTYPE.pop("float64", None)
        ops.sqrt = root
        with usual_type(keras, "float64"):
            yield LiveKeras(keras, problem)
    finally:
        ops.sqrt = sqrt
        dtypes.BIT64_TO_BIT32_DTYPE.update(table)


@contextmanager
def new_values():
    """A variable that is assigned to holds another tensor, as on Keras' other backends.

    Its schedule-free AdamW keeps ``momentum.value`` as the old momentum, and then assigns. On PyTorch that is
    done in place, so that the new momentum stands where the old one is meant.
    """
    import torch
    from keras.src.backend.torch.core import Variable

    def assign(self, value):
        self._value = torch.nn.Parameter(value.detach().clone(), requires_grad=False)

    before, Variable._direct_assign = Variable._direct_assign, assign
    try:
        yield
    finally:
        Variable._direct_assign = before


@contextmanager
def keras_peer(which, file, problem):
    """Keras, "live" or "written" in a file; skips the test where it is not installed."""
    if which == "written":
        yield WrittenKeras(file)
        return
    if importlib.util.find_spec("keras") is None or importlib.util.find_spec("torch") is None:
        pytest.skip("could not import 'keras' on 'torch'")
    with live_keras(problem) as keras:
        yield keras


def write(file, found):
    """Writes a file of trajectories: one case in a line."""
    lines = (f"{json.dumps(name)}: {json.dumps(numbers)}" for name, numbers in found.items())
    file.write_text("{\n" + ",\n".join(lines) + "\n}\n")
