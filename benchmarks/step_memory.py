"""Peak memory of training steps of deep networks, beside PyTorch's eager mode: the process' own peak.

A contender builds a network, trains five steps, and says by how much the peak of the process' memory (what
the operating system counts, BLAS libraries' buffers and all) lies above what it was before the network and
its data were made. The limit is 1.2 × PyTorch's.

| network | batch |
|---|---|
| CNN | 128 images of 28×28: two 3×3 convolutions, pooling, dropout, two dense layers |
| residual | 32 images of 32×32×16, twelve 3×3 convolutions of 64 filters with batch normalization and skips |
| LSTM | 128 texts of 100 steps, embedding 64, LSTM 256, a dense layer at each step |
"""

from __future__ import annotations

import ctypes
import gc
import resource
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import _turns
import numpy as np

STEPS, LIMIT = 5, 1.2
CNN, RESIDUAL, LSTM = (128, 28, 28, 1), (32, 32, 32, 16), (128, 100)
LETTERS = 64


def _now() -> float:
    """The process' resident memory in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return float(pages * resource.getpagesize())


def beyond(make: Callable[[int], Callable[[], Any]]) -> float:
    """Peak memory of steps in bytes, beyond what is there when a step of an eighth of the batch was made.

    That step loads and compiles what the network needs; what it leaves behind goes back to the system.
    """
    make(8)()
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    before = _now()
    step = make(1)
    for _ in range(STEPS):
        step()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0 - before


def data(network: str, share: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """A batch, or that share of one."""
    random = np.random.default_rng(0)
    n, *rest = {"LSTM": LSTM, "CNN": CNN, "residual": RESIDUAL}[network]
    shape = (n // share, *rest)
    if network == "LSTM":
        return tuple(random.integers(0, LETTERS, shape) for _ in range(2))  # type: ignore[return-value]
    return random.random(shape, dtype=np.float32), random.integers(0, 10, shape[0])


# -- nnx ---------------------------------------------------------------------------------------------------


def _residual(nnx: Any) -> Any:
    from nnx.layers import Activation, Add, BatchNormalization, Conv2D, Dense, GlobalAveragePooling2D

    def normal(x: Any) -> Any:
        return BatchNormalization()(Conv2D(64, 3, padding="same", use_bias=False)(x))

    x = nnx.Input(RESIDUAL[1:])
    y = Activation("relu")(normal(x))
    for _ in range(6):
        y = Activation("relu")(Add()([y, normal(Activation("relu")(normal(y)))]))
    return nnx.Model(x, Dense(10, "softmax")(GlobalAveragePooling2D()(y)))


def network_in_nnx(network: str) -> Any:
    import nnx
    from nnx.layers import Conv2D, Dense, Dropout, Embedding, Flatten, MaxPooling2D

    if network == "residual":
        return _residual(nnx)
    if network == "LSTM":
        body = [Embedding(LETTERS, 64), nnx.layers.LSTM(256, return_sequences=True)]
        return nnx.Sequential([nnx.Input(LSTM[1:]), *body, Dense(LETTERS, "softmax")])
    convolutions = (Conv2D(32, 3, activation="relu"), Conv2D(64, 3, activation="relu"), MaxPooling2D())
    head = (Dropout(0.25), Flatten(), Dense(128, "relu"), Dropout(0.5), Dense(10, "softmax"))
    return nnx.Sequential([nnx.Input(CNN[1:]), *convolutions, *head])


def in_nnx(network: str) -> float:
    def make(share: int) -> Callable[[], Any]:
        model, (x, y) = network_in_nnx(network), data(network, share)
        model.compile("adam", "sparse_categorical_crossentropy")
        return lambda: model.train_on_batch(x, y)

    return beyond(make)


# -- PyTorch -----------------------------------------------------------------------------------------------


def network_in_torch(network: str) -> Any:
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self, channels: int) -> None:
            super().__init__()
            self.one, self.two = (nn.Conv2d(c, 64, 3, padding=1, bias=False) for c in (channels, 64))
            self.first, self.second = nn.BatchNorm2d(64), nn.BatchNorm2d(64)

        def forward(self, x: Any) -> Any:
            y = self.second(self.two(torch.relu(self.first(self.one(x)))))
            return torch.relu(x + y)

    class Letters(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.dense = nn.Embedding(LETTERS, 64), nn.Linear(256, LETTERS)
            self.lstm = nn.LSTM(64, 256, batch_first=True)

        def forward(self, x: Any) -> Any:
            return self.dense(self.lstm(self.embedding(x))[0]).transpose(1, 2)

    if network == "LSTM":
        return Letters()
    if network == "residual":
        start = (nn.Conv2d(16, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU())
        head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
        return nn.Sequential(*start, *(Block(64) for _ in range(6)), *head)
    convolutions = (nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2))
    head = (nn.Dropout(0.25), nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5))
    return nn.Sequential(*convolutions, *head, nn.Linear(128, 10))


def in_torch(network: str, layout: str) -> float:
    import torch

    order, spatial = getattr(torch, layout), network != "LSTM"

    def make(share: int) -> Callable[[], Any]:
        x, y = map(torch.asarray, data(network, share))
        model = network_in_torch(network)
        if spatial:
            x = x.permute(0, 3, 1, 2).contiguous(memory_format=order)
            model = model.to(memory_format=order)
        optimizer = torch.optim.Adam(model.parameters())

        def step() -> None:
            optimizer.zero_grad(set_to_none=True)
            torch.nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()

        return step

    return beyond(make)


CONTENDERS = {
    f"{network} | {name}": run
    for network in ("CNN", "residual", "LSTM")
    for name, run in (
        ("PyTorch", partial(in_torch, network, "contiguous_format")),
        ("PyTorch channels_last", partial(in_torch, network, "channels_last")),
        ("nnx", partial(in_nnx, network)),
    )
    if not (network == "LSTM" and name.endswith("last"))
}


def main() -> None:
    title = f"Peak memory of a training step beyond the library (limit: {LIMIT} × PyTorch's smaller)"
    results, missing = _turns.in_turns(__file__, CONTENDERS, title, turns=3)
    print(f"{title}\n{'network':<36}{'median':>12}{'ratio':>9}")
    for name, times in results.items():
        if not times:
            print(_turns.not_run(name, missing))
            continue
        network, median = name.partition(" | ")[0], sorted(times)[len(times) // 2]
        rivals = [
            sorted(t)[len(t) // 2] for n, t in results.items() if n.startswith(f"{network} | PyTorch") and t
        ]
        print(f"{name:<36}{median / 1e6:>9.1f} MB{median / min(rivals, default=float('nan')):>9.2f}")


if __name__ == "__main__":
    main()
