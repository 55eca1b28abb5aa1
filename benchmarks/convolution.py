"""Convolutions, forward and with both gradients, and the training step of a small CNN, beside PyTorch's.

PyTorch runs eagerly in either of its layouts; the ratios of each case are to the faster one. nnx runs with
and without Numba. ``--only`` takes names of contenders as they are printed, ``--cases`` some of the cases.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Callable
from functools import partial
from itertools import groupby
from typing import Any

import _turns
import numpy as np

#: images, size, channels, filters (0: depthwise)
CASES = {
    "3×3 128×26×26×32→64": (128, 26, 32, 64),
    "3×3 8×30×30×256→256": (8, 30, 256, 256),
    "3×3 8×16×16×512→512": (8, 16, 512, 512),
    "depthwise 32×58×58×64": (32, 58, 64, 0),
}
PASSES = ("forward", "forward+backward")
REPEAT, WARMUP, BATCH, SAMPLES, EPOCHS = 20, 4, 128, 2560, 5


def arrays(n: int, size: int, channels: int, filters: int) -> tuple[np.ndarray, ...]:
    """Pictures, a kernel in nnx's layout, and the gradient by the outputs."""
    random, depthwise = np.random.default_rng(0), not filters
    filters = filters or channels
    shapes = (n, size, size, channels), (3, 3, 1 if depthwise else channels, filters)
    x, kernel = (random.standard_normal(shape, dtype=np.float32) for shape in shapes)
    return x, kernel * 0.1, random.standard_normal((n, size - 2, size - 2, filters), dtype=np.float32)


def without_numba() -> None:
    os.environ["NNX_NUMBA"] = "0"


def in_nnx(case: str, passes: str, numba: bool = True) -> float:
    import nnx
    from nnx.backend.windows import Windows
    from nnx.layers.convolve import convolve

    if not numba:
        without_numba()
    x, kernel, g = arrays(*CASES[case])
    groups = x.shape[-1] // kernel.shape[-2]
    windows = Windows(x.shape[1:3], (3, 3), g.shape[1:3], (1, 1), (0, 0), (1, 1), groups)

    def forward(x: Any, kernel: Any) -> Any:
        return convolve(x, kernel, None, windows=windows)

    def step() -> None:
        if passes == "forward":
            forward(x, kernel)
        else:
            nnx.vjp(forward, x, kernel)[1](g)

    return _turns.median_time(step, REPEAT, WARMUP)


def in_torch(case: str, passes: str, layout: str) -> float:
    import torch

    order = getattr(torch, layout)
    x, kernel, g = arrays(*CASES[case])
    groups = x.shape[-1] // kernel.shape[-2]
    pictures, outputs = (torch.tensor(a).permute(0, 3, 1, 2).contiguous(memory_format=order) for a in (x, g))
    weights = torch.tensor(kernel).permute(3, 2, 0, 1).contiguous(memory_format=order)
    if passes != "forward":
        pictures.requires_grad_(True), weights.requires_grad_(True)

    def step() -> None:
        pictures.grad = weights.grad = None
        y = torch.nn.functional.conv2d(pictures, weights, groups=groups)
        if passes != "forward":
            y.backward(outputs)

    return _turns.median_time(step, REPEAT, WARMUP)


def pictures() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    x = random.random((SAMPLES, 28, 28, 1), dtype=np.float32)
    return x, np.eye(10, dtype=np.float32)[random.integers(0, 10, SAMPLES)]


def cnn_in_nnx(numba: bool = True) -> float:
    import nnx
    from nnx.layers import Conv2D, Dense, Dropout, Flatten, MaxPooling2D

    if not numba:
        without_numba()
    convolutions = (Conv2D(32, 3, activation="relu"), Conv2D(64, 3, activation="relu"), MaxPooling2D())
    head = (Dropout(0.25), Flatten(), Dense(128, "relu"), Dropout(0.5), Dense(10, "softmax"))
    model = nnx.Sequential([nnx.Input((28, 28, 1)), *convolutions, *head])
    model.compile("adam", "categorical_crossentropy")
    x, y = pictures()
    return _turns.median_time(lambda: model.fit(x, y, batch_size=BATCH, epochs=1, verbose=0), EPOCHS, 2) / (
        SAMPLES // BATCH
    )


def cnn_in_torch(layout: str) -> float:
    import torch
    from torch import nn

    order, (x, y) = getattr(torch, layout), pictures()
    convolutions = (nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2))
    head = (nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10))
    model = nn.Sequential(*convolutions, nn.Dropout(0.25), nn.Flatten(), *head).to(memory_format=order)
    images, targets = torch.tensor(x).permute(0, 3, 1, 2).contiguous(memory_format=order), torch.tensor(y)
    optimizer = torch.optim.Adam(model.parameters())

    def epoch() -> None:
        for rows in torch.randperm(SAMPLES).split(BATCH):
            optimizer.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(model(images[rows]), targets[rows]).backward()
            optimizer.step()

    return _turns.median_time(epoch, EPOCHS, 2) / (SAMPLES // BATCH)


def contenders(cases: str) -> dict[str, Callable[[], float]]:
    """By "case | contender"."""
    layouts = {"PyTorch contiguous": "contiguous_format", "PyTorch channels_last": "channels_last"}
    own = {"nnx": False, "nnx with Numba": True}
    found: dict[str, Callable[[], float]] = {}
    for case in CASES:
        for passes in PASSES:
            for name, layout in layouts.items():
                found[f"{case} {passes} | {name}"] = partial(in_torch, case, passes, layout)
            for name, numba in own.items():
                found[f"{case} {passes} | {name}"] = partial(in_nnx, case, passes, numba)
    found |= {f"a CNN's step | {name}": partial(cnn_in_torch, layout) for name, layout in layouts.items()}
    found |= {f"a CNN's step | {name}": partial(cnn_in_nnx, numba) for name, numba in own.items()}
    wanted = [word for word in cases.split(",") if word]
    return {name: run for name, run in found.items() if not wanted or any(word in name for word in wanted)}


def case_of(name: str) -> str:
    return name.partition(" | ")[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--cases", default=os.environ.get("NNX_CASES", ""), help="parts of names, with commas"
    )
    cases, _ = parser.parse_known_args()
    title = "Convolutions"
    results, missing = _turns.in_turns(__file__, contenders(cases.cases), title, turns=5, parser=parser)
    print(_turns.blas())
    for case, names in groupby(results, case_of):
        times = {name.partition(" | ")[2]: results[name] for name in names}
        # the faster layout first: the ratios are to the first
        torch = sorted(
            (n for n in times if n.startswith("PyTorch") and times[n]),
            key=lambda n: statistics.median(times[n]),
        )
        ordered = {name: times[name] for name in [*torch, *(n for n in times if n not in torch)]}
        lacking = {n.partition(" | ")[2]: why for n, why in missing.items() if case_of(n) == case}
        _turns.table(f"\n{case}", ordered, lacking, "ms")


if __name__ == "__main__":
    main()
