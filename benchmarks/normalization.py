"""Batch and layer normalization in float32, alone: forward and backward in training, and inference.

Three sizes: batch normalization of 128×24×24×64 and 8×56×56×256, layer normalization of 128×64×512. PyTorch
computes batch normalization in both of its layouts in memory (channels first, and channels_last). nnx's
times are those of the layer's function and of its pullback for the gradients by x, γ and β.
"""

from __future__ import annotations

import os
from functools import partial

import _turns
import numpy as np

BATCHES = {"128×24×24×64": (128, 24, 24, 64), "8×56×56×256": (8, 56, 56, 256)}
ROWS = {"128×64×512": (128, 64, 512)}
REPEAT, WARMUP = 20, 5


def arrays(shape):
    """A batch and a gradient of that shape, and γ and β for its last axis."""
    random = np.random.default_rng(0)
    x, g = (random.standard_normal(shape, dtype=np.float32) for _ in range(2))
    return x, g, np.ones(shape[-1], dtype=np.float32), np.zeros(shape[-1], dtype=np.float32)


def time_of(step):
    return _turns.median_time(step, REPEAT, WARMUP)


def of_nnx(layer, shape, training, numba=True):
    if not numba:
        os.environ["NNX_NUMBA"] = "0"
    import nnx

    x, g, gamma, beta = arrays(shape)
    state = {"moving_mean": np.zeros_like(gamma), "moving_variance": np.ones_like(gamma)}
    context = nnx.layers.Context(training)

    def forward(x, gamma, beta):
        p = {"gamma": gamma, "beta": beta, **state}
        return layer.forward(p, x, context)[0] if layer.stateful else layer.forward(p, x)

    if not training:
        return time_of(lambda: forward(x, gamma, beta))
    return time_of(lambda: nnx.vjp(forward, x, gamma, beta)[1](g))


def batch(shape, training, numba=True):
    import nnx

    return of_nnx(nnx.layers.BatchNormalization(), shape, training, numba)


def rows(shape, training, numba=True):
    import nnx

    return of_nnx(nnx.layers.LayerNormalization(), shape, training, numba)


def of_torch(layer, x, g, training):
    import torch

    layer.train(training)
    if not training:
        with torch.no_grad():
            return time_of(lambda: layer(x))

    leaves = [x.requires_grad_(True), *layer.parameters()]

    def step():
        torch.autograd.grad(layer(x), leaves, g)

    return time_of(step)


def torch_batch(shape, training, last):
    import torch

    layout = torch.channels_last if last else torch.contiguous_format
    x, g = (torch.tensor(a).permute(0, 3, 1, 2).contiguous(memory_format=layout) for a in arrays(shape)[:2])
    return of_torch(torch.nn.BatchNorm2d(shape[-1], eps=1e-3), x, g, training)


def torch_rows(shape, training):
    import torch

    x, g = (torch.tensor(a) for a in arrays(shape)[:2])
    return of_torch(torch.nn.LayerNorm(shape[-1], eps=1e-3), x, g, training)


CONTENDERS = {}
for training, what in ((True, "training"), (False, "inference")):
    for name, shape in BATCHES.items():
        start = f"batch {name} {what}, "
        CONTENDERS[start + "PyTorch, channels first"] = partial(torch_batch, shape, training, False)
        CONTENDERS[start + "PyTorch, channels_last"] = partial(torch_batch, shape, training, True)
        CONTENDERS[start + "nnx with Numba"] = partial(batch, shape, training)
        CONTENDERS[start + "nnx"] = partial(batch, shape, training, False)
    for name, shape in ROWS.items():
        start = f"layer {name} {what}, "
        CONTENDERS[start + "PyTorch"] = partial(torch_rows, shape, training)
        CONTENDERS[start + "nnx with Numba"] = partial(rows, shape, training)
        CONTENDERS[start + "nnx"] = partial(rows, shape, training, False)


def main():
    """Prints each case's times, and nnx's ratio to the faster layout of PyTorch."""
    title = "Normalization in float32: ratio to the faster of PyTorch's eager modes"
    results, missing = _turns.in_turns(__file__, CONTENDERS, title)
    print(f"{title}\n{'contender':<52}{'median':>12}{'min':>10}{'ratio':>8}")
    for name in results:
        if not results[name]:
            print(_turns.not_run(name, missing))
            continue
        case = name.partition(", ")[0]
        theirs = [t for other, t in results.items() if other.startswith(case + ", PyTorch") and t]
        times = sorted(results[name])
        median = times[len(times) // 2]
        best = min((sorted(t)[len(t) // 2] for t in theirs), default=float("nan"))
        print(f"{name:<52}{median * 1e3:>9.2f} ms{times[0] * 1e3:>10.2f}{median / best:>8.2f}")


if __name__ == "__main__":
    main()
