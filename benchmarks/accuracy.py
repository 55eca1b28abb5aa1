"""Deep networks on real data, trained in full: accuracies and perplexities, medians over seeds.

| name | network | data |
|---|---|---|
| mnist | Conv32-Conv64-MaxPool-Dropout-Dense128-Dropout-Dense10 | MNIST |
| fashion | the same | Fashion-MNIST |
| rows | LSTM(128) that reads an image row by row | MNIST |
| shakespeare | Embedding(64)-LSTM(256)-Dense over letters, beside the same in PyTorch | Tiny Shakespeare |
| depth | 50 layers of convolutions, plain and with skip connections | MNIST, 10 000 images of 14×14 |

Run: python benchmarks/accuracy.py [NAME ...] [--seeds 3] [--epochs N] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import nnx
from nnx.datasets import fashion_mnist, mnist, tiny_shakespeare
from nnx.layers import (
    LSTM,
    Activation,
    Add,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePooling2D,
    MaxPooling2D,
)

_LENGTH = 64  # letters in a row that the text is cut into


def images(load: Callable[[], Any], *axes: int) -> Any:
    """Training and test images as numbers from 0 to 1 with further ``axes``, and what they are."""
    (x_train, y_train), (x_test, y_test) = load()
    scaled = [x.reshape(*x.shape, *axes).astype("float32") / 255 for x in (x_train, x_test)]
    return (scaled[0], y_train), (scaled[1], y_test)


def decreasing(rate: float, steps: int) -> Any:
    """A learning rate that falls to 0 over so many steps, as half a cosine."""
    return nnx.optimizers.schedules.CosineDecay(rate, decay_steps=steps)


def classifier(model: nnx.Model, train: Any, test: Any, epochs: int, rate: float = 1e-3) -> dict[str, float]:
    """The test accuracy of a model after its training."""
    steps = epochs * -(-len(train[0]) // 128)
    model.compile(
        nnx.optimizers.Adam(decreasing(rate, steps)), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    history = model.fit(*train, batch_size=128, epochs=epochs, verbose=2, validation_data=test).history
    return {"accuracy": history["val_accuracy"][-1], "training loss": history["loss"][-1]}


def small_cnn(load: Callable[[], Any], seed: int, epochs: int) -> dict[str, float]:
    train, test = images(load, 1)
    layers = [
        nnx.Input((28, 28, 1)),
        Conv2D(32, 3, activation="relu"),
        Conv2D(64, 3, activation="relu"),
        MaxPooling2D(2),
        Dropout(0.25),
        Flatten(),
        Dense(128, "relu"),
        Dropout(0.5),
        Dense(10, "softmax"),
    ]
    return classifier(nnx.Sequential(layers, seed=seed), train, test, epochs)


def run_mnist(seed: int, epochs: int) -> dict[str, float]:
    return small_cnn(mnist.load_data, seed, epochs)


def run_fashion(seed: int, epochs: int) -> dict[str, float]:
    return small_cnn(fashion_mnist.load_data, seed, epochs)


def run_rows(seed: int, epochs: int) -> dict[str, float]:
    train, test = images(mnist.load_data)
    model = nnx.Sequential([nnx.Input((28, 28)), LSTM(128), Dense(10, "softmax")], seed=seed)
    return classifier(model, train, test, epochs, rate=2e-3)


# -- a text ----------------------------------------------------------------------------------------


def letters() -> Any:
    """Rows of letters as numbers and the letters that follow: nine tenths to train on, the last to test."""
    text = tiny_shakespeare.load_data()
    kinds = sorted(set(text))
    numbers = np.array([kinds.index(letter) for letter in text])
    cut = int(0.9 * len(numbers))
    parts = []
    for part in (numbers[:cut], numbers[cut:]):
        rows = (len(part) - 1) // _LENGTH
        x, y = (part[start : start + rows * _LENGTH].reshape(rows, _LENGTH) for start in (0, 1))
        parts.append((x, y))
    return parts[0], parts[1], len(kinds)


def run_shakespeare(seed: int, epochs: int) -> dict[str, float]:
    train, test, kinds = letters()
    model = nnx.Sequential(
        [
            nnx.Input((_LENGTH,)),
            Embedding(kinds, 64),
            LSTM(256, return_sequences=True),
            Dense(kinds, "softmax"),
        ],
        seed=seed,
    )
    steps = epochs * -(-len(train[0]) // 64)
    model.compile(nnx.optimizers.Adam(decreasing(4e-3, steps)), "sparse_categorical_crossentropy")
    history = model.fit(*train, batch_size=64, epochs=epochs, verbose=2, validation_data=test).history
    return {
        "perplexity": float(np.exp(history["val_loss"][-1])),
        "PyTorch's perplexity": torch_perplexity(seed, epochs),
    }


def torch_perplexity(seed: int, epochs: int) -> float:
    """The same network, data, optimizer and schedule in PyTorch."""
    import torch

    torch.manual_seed(seed)
    train, test, kinds = letters()

    class Letters(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = torch.nn.Embedding(kinds, 64)
            self.lstm = torch.nn.LSTM(64, 256, batch_first=True)
            self.dense = torch.nn.Linear(256, kinds)
            # Keras' and nnx's first values, so that only the arithmetic differs
            torch.nn.init.uniform_(self.embedding.weight, -0.05, 0.05)
            torch.nn.init.xavier_uniform_(self.lstm.weight_ih_l0)
            torch.nn.init.orthogonal_(self.lstm.weight_hh_l0)
            torch.nn.init.zeros_(self.lstm.bias_ih_l0), torch.nn.init.zeros_(self.lstm.bias_hh_l0)
            self.lstm.bias_ih_l0.data[256:512] = 1.0
            # PyTorch adds two biases; Adam would move their sum twice as fast as one
            self.lstm.bias_hh_l0.requires_grad_(False)
            torch.nn.init.xavier_uniform_(self.dense.weight), torch.nn.init.zeros_(self.dense.bias)

        def forward(self, x: Any) -> Any:
            return self.dense(self.lstm(self.embedding(x))[0])

    model = Letters()
    x, y = map(torch.asarray, train)
    steps, step = epochs * -(-len(x) // 64), 0
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3, eps=1e-7)
    cost = torch.nn.functional.cross_entropy
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(64):
            optimizer.param_groups[0]["lr"] = 4e-3 * 0.5 * (1 + np.cos(np.pi * step / steps))
            optimizer.zero_grad()
            cost(model(x[rows]).transpose(1, 2), y[rows]).backward()
            optimizer.step()
            step += 1
    with torch.no_grad():
        losses = [
            cost(model(torch.asarray(a)).transpose(1, 2), torch.asarray(b), reduction="sum")
            for a, b in zip(np.array_split(test[0], 20), np.array_split(test[1], 20), strict=True)
        ]
    return float(np.exp(sum(map(float, losses)) / test[1].size))


# -- depth -----------------------------------------------------------------------------------------


def deep(skips: bool, seed: int, blocks: int = 24) -> nnx.Model:
    """50 layers with weights: a convolution, 24 blocks of two, and a dense one."""
    x = nnx.Input((14, 14, 1))

    def normal(x: Any, activation: str | None = "relu") -> Any:
        y = BatchNormalization()(Conv2D(16, 3, padding="same", use_bias=False)(x))
        return Activation(activation)(y) if activation else y

    y = normal(x)
    for _ in range(blocks):
        inner = normal(normal(y), None)
        y = Activation("relu")(Add()([y, inner]) if skips else inner)
    return nnx.Model(x, Dense(10, "softmax")(GlobalAveragePooling2D()(y)), seed=seed)


def run_depth(seed: int, epochs: int) -> dict[str, float]:
    (x, y), (u, v) = images(mnist.load_data, 1)
    # means over 2×2 pixels
    halves = [a.reshape(-1, 14, 2, 14, 2, 1).mean(axis=(2, 4)) for a in (x, u)]
    train, test = (halves[0][:10_000], y[:10_000]), (halves[1], v)
    found = {}
    for name, skips in (("plain", False), ("residual", True)):
        result = classifier(deep(skips, seed), train, test, epochs)
        found |= {f"{name}: {key}": value for key, value in result.items()}
    return found


#: name → what it runs, and for how many epochs
RUNS: dict[str, tuple[Callable[[int, int], dict[str, float]], int]] = {
    "mnist": (run_mnist, 10),
    "fashion": (run_fashion, 12),
    "rows": (run_rows, 10),
    "shakespeare": (run_shakespeare, 6),
    "depth": (run_depth, 6),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[*RUNS, []], default=list(RUNS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=None)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    report: dict[str, Any] = {}
    for name in args.names:
        run, epochs = RUNS[name]
        started, results = time.perf_counter(), []
        for seed in range(args.seeds):
            results.append(run(seed, args.epochs or epochs))
            print(name, "seed", seed, {k: round(v, 4) for k, v in results[-1].items()}, flush=True)
        medians = {key: float(np.median([r[key] for r in results])) for key in results[0]}
        minutes = (time.perf_counter() - started) / 60
        rounded = {k: round(v, 4) for k, v in medians.items()}
        print(f"{name}: medians of {args.seeds} seeds", rounded, f"{minutes:.1f} min", flush=True)
        report[name] = {"medians": medians, "seeds": results, "minutes": minutes}
    if args.json:
        args.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
