"""Rows of Jacobians by several cores: the same bits as by one, and never with layers of a user's own."""

import threading
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

import nnx
from nnx.backend import team
from nnx.backend.numpy_adapter import NumpyAdapter
from nnx.layers import Dense, Layer, Spec


@dataclass(frozen=True)
class Noted(Layer):
    """A layer of a user's own, which notes the threads in which it is called."""

    callers: ClassVar[set[int]] = set()

    def spec(self, input_shape):
        return Spec(input_shape)

    def forward(self, p, x):
        self.callers.add(threading.get_ident())
        return x * x


@pytest.fixture
def many_parts(monkeypatch):
    monkeypatch.setattr(NumpyAdapter, "cached_entries", 41 * 60)
    monkeypatch.setattr(team, "_libraries", lambda: ())
    monkeypatch.setattr(team.TEAM, "_blas", None)


def share(monkeypatch, cores):
    """From here on ``cores`` threads share the blocks, whatever BLAS is there."""
    monkeypatch.setattr(team, "cores", lambda: cores)
    monkeypatch.setattr(team.TEAM, "_hold_blas", lambda: cores)
    monkeypatch.setattr(team.TEAM, "_release_blas", lambda: None)


def trained(optimizer, *between):
    random = np.random.default_rng(0)
    x = random.uniform(-1.0, 1.0, (700, 3))
    y = np.stack([np.sin(x.sum(axis=1)), x[:, 0] * x[:, 1]], axis=1)
    model = nnx.Sequential([Dense(6, "tanh", input_shape=(3,)), *between, Dense(2)], dtype="float64", seed=1)
    model.compile(optimizer, "mse")
    losses = model.fit(x, y, epochs=4, verbose=0).history["loss"]
    return losses, np.asarray(model.weights_vector)


@pytest.mark.parametrize("solver", ["cholesky", "qr", "products"])
def test_several_cores_give_the_bits_of_one(solver, many_parts, monkeypatch):
    share(monkeypatch, 1)
    losses, weights = trained(nnx.optimizers.LevenbergMarquardt(solver=solver))
    share(monkeypatch, 3)
    others, same = trained(nnx.optimizers.LevenbergMarquardt(solver=solver))
    assert losses == others
    np.testing.assert_array_equal(weights, same)
    assert losses[-1] < 0.1 * losses[0]


def test_layers_of_a_user_stay_in_the_calling_thread(many_parts, monkeypatch):
    share(monkeypatch, 3)
    Noted.callers.clear()
    trained("levenberg_marquardt", Noted())
    assert Noted.callers == {threading.get_ident()}
