"""A recurrent layer forward and backward: LSTM(128), 28 steps of 28 features, batch 128, float32.

The loss reads the last h, and gradients are taken by the layer's weights: what one training step of a
classifier of rows needs. ``--cell gru`` or ``simple_rnn`` measures the others. The first contender is PyTorch
in its eager mode; the second the bare matrix products in NumPy and nothing else.
"""

from __future__ import annotations

import os
import sys

import _turns
import numpy as np

BATCH, STEPS, FEATURES, UNITS = 128, 28, 28, 128
GATES = {"simple_rnn": 1, "lstm": 4, "gru": 3}
#: told to the contenders' processes in the environment, for they are called with a name only
CELL = os.environ.get("NNX_BENCHMARK_CELL", "lstm")
REPEAT = 150


def draw(*shape, scale=0.1):
    return scale * np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def torch_eager():
    import torch

    kind = {"simple_rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[CELL]
    net = kind(FEATURES, UNITS, batch_first=True)
    x, g = torch.tensor(draw(BATCH, STEPS, FEATURES, scale=1.0)), torch.tensor(draw(BATCH, UNITS))

    def step():
        net.zero_grad()
        y, _ = net(x)
        y[:, -1].backward(g)

    return _turns.median_time(step, REPEAT)


def gemms():
    wide = GATES[CELL] * UNITS
    w, back = draw(wide, UNITS + FEATURES), draw(UNITS, wide)
    seen, by_gates = draw(STEPS, UNITS + FEATURES, BATCH), draw(STEPS, wide, BATCH)
    gates, by_h = np.empty((wide, BATCH), np.float32), np.empty((UNITS, BATCH), np.float32)
    rows = [a.transpose(1, 0, 2).reshape(a.shape[1], -1).copy() for a in (seen, by_gates)]

    def step():
        for s in seen:
            np.matmul(w, s, out=gates)
        for g in by_gates:
            np.matmul(back, g, out=by_h)
        rows[0] @ rows[1].T

    return _turns.median_time(step, REPEAT)


def nnx_step():
    import nnx

    function = getattr(nnx.layers, CELL)
    wide = GATES[CELL] * UNITS
    bias = draw(2, wide) if CELL == "gru" else draw(wide)
    weights = draw(FEATURES, wide), draw(UNITS, wide), bias
    x, g = draw(BATCH, STEPS, FEATURES, scale=1.0), draw(BATCH, UNITS)

    def step():
        _, pullback = nnx.vjp(lambda *weights: function(x, *weights)[0], *weights)
        pullback(g)

    return _turns.median_time(step, REPEAT)


def nnx_without_numba():
    from nnx.backend import numpy_steps

    numpy_steps._compiled = lambda: None
    return nnx_step()


if __name__ == "__main__":
    if "--cell" in sys.argv:
        place = sys.argv.index("--cell")
        _, CELL = sys.argv[place : place + 2]
        del sys.argv[place : place + 2]
        os.environ["NNX_BENCHMARK_CELL"] = CELL
    _turns.main(
        __file__,
        {
            "PyTorch eager": torch_eager,
            "bare GEMMs (NumPy)": gemms,
            "nnx": nnx_without_numba,
            "nnx with Numba": nnx_step,
        },
        "ms",
        f"{CELL}, {UNITS} units, {STEPS} steps of {FEATURES}, batch {BATCH}: forward and backward",
    )
