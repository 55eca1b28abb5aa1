"""Whose threads take the cores: BLAS's, or those of kernels that share their work by themselves."""

import numpy as np
import pytest

import nnx
from nnx.backend.numpy_adapter import NumpyAdapter
from nnx.layers import LSTM, Bidirectional, Conv1D, Conv1DTranspose, Dense, Flatten, MaxPooling1D


@pytest.fixture
def held(monkeypatch):
    """How often BLAS was held to one thread."""
    found, before = [], NumpyAdapter.held
    monkeypatch.setattr(NumpyAdapter, "held", lambda self: found.append(1) or before(self))
    return found


@pytest.mark.parametrize(
    "layer", [Conv1D(3, 2, activation="relu"), Conv1DTranspose(3, 2), Bidirectional(LSTM(2)), Dense(3)]
)
def test_blas_is_held_while_layers_spread_their_work(layer, held):
    model = nnx.Sequential([nnx.Input((6, 2)), layer, Flatten(), Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.ones((8, 6, 2)), np.ones((8, 1))
    model.fit(x, y, batch_size=4, epochs=2, verbose=0)
    spreads = not isinstance(layer, Dense)
    assert len(held) == 4 * spreads
    model.evaluate(x, y, batch_size=4, verbose=0)
    model.predict(x, batch_size=4, verbose=0)
    assert len(held) == 8 * spreads


@pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")
def test_an_error_in_a_step_lets_go_of_blas(held):
    from threadpoolctl import threadpool_info

    def threads():
        return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]

    before = threads()
    model = nnx.Sequential([nnx.Input((6, 2)), Conv1D(3, 2), MaxPooling1D(), Flatten(), Dense(1)])
    model.compile(nnx.optimizers.SGD(1e30), "mse")
    with pytest.raises(nnx.errors.NnxError):
        model.fit(np.ones((8, 6, 2)), np.ones((8, 1)), epochs=50, verbose=0)
    assert held
    assert threads() == before
