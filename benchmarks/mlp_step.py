"""One training step of the lectures' MLP: 784-512-512-10, relu, dropout 0.2, batch 128, RMSprop, float32.

Every contender gathers its batch from the same array by shuffled rows, as ``fit`` does. The first one is the
eight bare matrix products of the step in NumPy and nothing else: what no implementation can go below.
"""

from __future__ import annotations

from itertools import pairwise

import _turns
import numpy as np

N, BATCH, SIZES, RATE = 12_800, 128, (784, 512, 512, 10), 0.2
STEPS, EPOCHS = N // BATCH, 12


def data():
    """Centred rows, and the class that a linear teacher gives them: a network that learns stays alive."""
    random = np.random.default_rng(0)
    x = random.standard_normal((N, SIZES[0]), dtype=np.float32)
    kind = np.argmax(x @ random.standard_normal((SIZES[0], SIZES[-1]), dtype=np.float32), axis=1)
    return x, np.eye(SIZES[-1], dtype=np.float32)[kind]


def network():
    """The MLP in nnx, ready for training."""
    import nnx
    from nnx.layers import Dense, Dropout

    model = nnx.Sequential(
        [
            Dense(SIZES[1], "relu", input_shape=(SIZES[0],)),
            Dropout(RATE),
            Dense(SIZES[2], "relu"),
            Dropout(RATE),
            Dense(SIZES[3], "softmax"),
        ]
    )
    model.compile("rmsprop", "categorical_crossentropy", metrics=["accuracy"])
    return model


def per_step(epoch):
    """The median over epochs of an epoch's time, divided by its steps; ``epoch()`` trains one."""
    return _turns.median_time(epoch, EPOCHS, warmup=3) / STEPS


def gemms():
    random = np.random.default_rng(0)

    def matrix(*shape):
        return random.standard_normal(shape, dtype=np.float32)

    a0, a1, a2 = (matrix(BATCH, n) for n in SIZES[:3])
    w1, w2, w3 = (matrix(m, n) for m, n in pairwise(SIZES))
    d1, d2, d3 = (matrix(BATCH, n) for n in SIZES[1:])
    pairs = [(a0, w1), (a1, w2), (a2, w3), (a2.T, d3), (a1.T, d2), (a0.T, d1), (d3, w3.T), (d2, w2.T)]

    def step():
        for a, b in pairs:
            a @ b

    return _turns.median_time(step, 1000)


def nnx_without_numba():
    from nnx.backend import kernels

    kernels.compiled = lambda recording, targets: None
    return nnx_fit()


def nnx_fit():
    import nnx

    clock = _turns.epoch_clock(nnx.callbacks.Callback)
    network().fit(*data(), batch_size=BATCH, epochs=EPOCHS + 3, verbose=0, callbacks=[clock])
    return float(np.median(clock.times[3:])) / STEPS


def jax_jit():
    import jax
    import jax.numpy as jnp
    import optax

    x, y = data()
    optimizer = optax.rmsprop(1e-3, decay=0.9, eps=1e-7)
    keys = jax.random.split(jax.random.key(0), 3)
    params = [
        (jax.random.normal(k, (m, n)) * (1.0 / m) ** 0.5, jnp.zeros(n))
        for k, m, n in zip(keys, SIZES, SIZES[1:], strict=False)
    ]

    def loss(params, x, y, key):
        for i, (w, b) in enumerate(params):
            x = x @ w + b
            if i < 2:
                key, sub = jax.random.split(key)
                x = jnp.where(jax.random.bernoulli(sub, 1 - RATE, x.shape), jax.nn.relu(x) / (1 - RATE), 0.0)
        hits = jnp.sum(jnp.argmax(x, 1) == jnp.argmax(y, 1))
        return -jnp.mean(jnp.sum(y * jax.nn.log_softmax(x), axis=1)), hits

    @jax.jit
    def step(params, state, key, x, y):
        key, sub = jax.random.split(key)
        (value, hits), g = jax.value_and_grad(loss, has_aux=True)(params, x, y, sub)
        updates, state = optimizer.update(g, state)
        return optax.apply_updates(params, updates), state, key, value, hits

    held = [params, optimizer.init(params), jax.random.key(1)]
    random = np.random.default_rng(1)

    def epoch():
        order = random.permutation(N)
        for i in range(0, N, BATCH):
            rows = order[i : i + BATCH]
            *held[:], value, _ = step(*held, x.take(rows, axis=0), y.take(rows, axis=0))
        value.block_until_ready()

    return per_step(epoch)


def torch_eager():
    import torch

    x, y = (torch.from_numpy(a) for a in data())
    model = torch.nn.Sequential(
        torch.nn.Linear(784, 512), torch.nn.ReLU(), torch.nn.Dropout(RATE),
        torch.nn.Linear(512, 512), torch.nn.ReLU(), torch.nn.Dropout(RATE), torch.nn.Linear(512, 10),
    )  # fmt: skip
    optimizer = torch.optim.RMSprop(model.parameters(), 1e-3, alpha=0.9, eps=1e-7)
    cost = torch.nn.CrossEntropyLoss()

    def epoch():
        order = torch.randperm(N)
        for i in range(0, N, BATCH):
            rows = order[i : i + BATCH]
            target = y[rows]
            optimizer.zero_grad()
            out = model(x[rows])
            value = cost(out, target)
            value.backward()
            optimizer.step()
            (out.argmax(1) == target.argmax(1)).sum().item()

    return per_step(epoch)


def keras_jax():
    import os

    os.environ["KERAS_BACKEND"] = "jax"
    import keras

    x, y = data()
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((784,)), layers.Dense(512, "relu"), layers.Dropout(RATE),
            layers.Dense(512, "relu"), layers.Dropout(RATE), layers.Dense(10, "softmax"),
        ]
    )  # fmt: skip
    model.compile("rmsprop", "categorical_crossentropy", metrics=["accuracy"])

    def epoch():
        model.fit(x, y, batch_size=BATCH, epochs=1, verbose=0)

    return per_step(epoch)


if __name__ == "__main__":
    _turns.main(
        __file__,
        {
            "eight bare GEMMs (NumPy)": gemms,
            "nnx fit": nnx_without_numba,
            "nnx fit with Numba": nnx_fit,
            "JAX jit + optax": jax_jit,
            "PyTorch eager": torch_eager,
            "Keras on JAX": keras_jax,
        },
        "ms",
        "MLP 784-512-512-10, batch 128, dropout, RMSprop: one step",
    )
