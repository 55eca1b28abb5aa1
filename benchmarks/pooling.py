"""Pooling in float32, alone: forward, and forward with backward, of MaxPooling2D and AveragePooling2D.

Two sizes: 128×24×24×64 and 8×112×112×64. PyTorch pools in both of its layouts in memory (channels first, and
channels_last). nnx's times are those of the layer's function and of its pullback for the gradient by x.
"""

from __future__ import annotations

import os
from functools import partial

import _turns
import numpy as np

BATCHES = {"128×24×24×64": (128, 24, 24, 64), "8×112×112×64": (8, 112, 112, 64)}
#: name: kind, size, stride and cells outside at each end
WINDOWS = {
    "max 2": ("max", 2, 2, 0),
    "max 3, strides 2": ("max", 3, 2, 0),
    "average 2": ("avg", 2, 2, 0),
    "average 3, strides 1, same": ("avg", 3, 1, 1),
}
REPEAT, WARMUP = 20, 5


def time_of(step):
    return _turns.median_time(step, REPEAT, WARMUP)


def images(shape):
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def of_nnx(shape, window, backward, numba=True):
    if not numba:
        os.environ["NNX_NUMBA"] = "0"
    import nnx

    kind, size, strides, outside = window
    cls = nnx.layers.MaxPooling2D if kind == "max" else nnx.layers.AveragePooling2D
    layer, x = cls(size, strides, "same" if outside else "valid"), images(shape)

    def forward(x):
        return layer.forward({}, x)

    if not backward:
        return time_of(lambda: forward(x))
    g = np.ones_like(forward(x))
    return time_of(lambda: nnx.vjp(forward, x)[1](g))


def of_torch(shape, window, backward, last):
    import torch

    kind, size, strides, outside = window
    layout = torch.channels_last if last else torch.contiguous_format
    x = torch.tensor(images(shape)).permute(0, 3, 1, 2).contiguous(memory_format=layout)
    options = {} if kind == "max" else {"count_include_pad": False}
    layer = {"max": torch.nn.MaxPool2d, "avg": torch.nn.AvgPool2d}[kind](size, strides, outside, **options)
    if not backward:
        with torch.no_grad():
            return time_of(lambda: layer(x))
    x.requires_grad_(True)
    g = torch.ones_like(layer(x))
    return time_of(lambda: torch.autograd.grad(layer(x), x, g))


CONTENDERS = {
    f"{name}, {window}, {what}; {who}": partial(run, shape, WINDOWS[window], backward, option)
    for name, shape in BATCHES.items()
    for window in WINDOWS
    for backward, what in ((False, "forward"), (True, "both"))
    for who, run, option in (
        ("PyTorch, channels first", of_torch, False),
        ("PyTorch, channels_last", of_torch, True),
        ("nnx with Numba", of_nnx, True),
        ("nnx", of_nnx, False),
    )
}


def main():
    """Prints each case's times, and nnx's ratio to the faster layout of PyTorch."""
    title = "Pooling in float32: ratio to the faster of PyTorch's eager modes"
    results, missing = _turns.in_turns(__file__, CONTENDERS, title)
    print(f"{title}\n{'contender':<72}{'median':>12}{'min':>10}{'ratio':>8}")
    for name, times in results.items():
        if not times:
            print(_turns.not_run(name, missing))
            continue
        case = name.partition(";")[0]
        rivals = [sorted(t) for other, t in results.items() if other.startswith(f"{case}; PyTorch") and t]
        median = sorted(times)[len(times) // 2]
        best = min((t[len(t) // 2] for t in rivals), default=float("nan"))
        print(f"{name:<72}{median * 1e3:>9.2f} ms{min(times) * 1e3:>10.2f}{median / best:>8.2f}")


if __name__ == "__main__":
    main()
