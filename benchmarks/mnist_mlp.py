"""The lectures' networks on handwritten digits in full: train one, test it, draw its learning curves.

`nox -s demo` runs it. tutorials/mnist.py explains the networks, and trains them for about a minute.

Run: python benchmarks/mnist_mlp.py [--epochs 10] [--no-dropout | --deep] [--seed 0] [--backend numpy]
"""

from __future__ import annotations

import argparse

import matplotlib.pyplot as plt

import nnx
from nnx.datasets import digits, mnist
from nnx.errors import DownloadError
from nnx.layers import Dense, Dropout
from nnx.plotting import learning_curves


def load():
    """Training and test digits as rows of numbers from 0 to 1, and what they are."""
    try:
        (x_train, y_train), (x_test, y_test) = mnist.load_data()
        name, top = "MNIST", 255
    except DownloadError as error:
        print(f"Full MNIST is not to be had here ({str(error).splitlines()[0]})")
        (x_train, y_train), (x_test, y_test) = digits.load_data()
        name, top = "the digits that scikit-learn ships", 16
    flat = [x.reshape(len(x), -1).astype("float32") / top for x in (x_train, x_test)]
    hot = [nnx.utils.to_categorical(y, 10) for y in (y_train, y_test)]
    return (flat[0], hot[0]), (flat[1], hot[1]), name


def network(kind, inputs, **options):
    """The lectures' networks: 512-512-10 with or without dropout, or the deep one with tanh."""
    model = nnx.Sequential(**options)
    if kind == "deep":
        for i, units in enumerate((2500, 2000, 1500, 1000, 500)):
            model.add(Dense(units, activation="tanh", input_shape=(inputs,) if i == 0 else None))
    else:
        model.add(Dense(512, activation="relu", input_shape=(inputs,)))
        if kind == "dropout":
            model.add(Dropout(0.2))
        model.add(Dense(512, activation="relu"))
        if kind == "dropout":
            model.add(Dropout(0.2))
    model.add(Dense(10, activation="softmax"))
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=None, help="default: 10, without dropout 5")
    parser.add_argument("--no-dropout", dest="kind", action="store_const", const="plain", default="dropout")
    parser.add_argument("--deep", dest="kind", action="store_const", const="deep")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--backend", default=None, help="numpy (default), cupy, torch")
    parser.add_argument("--verbose", type=int, default=1)
    parser.add_argument("--picture", default="learning_curves.png")
    args = parser.parse_args()

    (x_train, y_train), (x_test, y_test), name = load()
    print(f"Training on {name}: {len(x_train)} images, tested on {len(x_test)} others.")
    model = network(args.kind, x_train.shape[1], seed=args.seed, backend=args.backend)
    model.summary()
    model.compile(optimizer="rmsprop", loss="categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(
        x_train,
        y_train,
        batch_size=128,
        epochs=args.epochs or (5 if args.kind == "plain" else 10),
        verbose=args.verbose,
        validation_data=(x_test, y_test),
    )
    loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
    print(f"Test loss: {loss:.4f}")
    print(f"Test accuracy: {accuracy:.4f}")
    figure, panels = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    for panel, metric in zip(panels, ("loss", "accuracy"), strict=True):
        learning_curves(history, metric, ax=panel)
    figure.suptitle(f"Digits: {name}")
    figure.savefig(args.picture, dpi=120)
    print(f"Learning curves: {args.picture}")


if __name__ == "__main__":
    main()
