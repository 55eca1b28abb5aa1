"""One training step of the lectures' MLP: 784-512-512-10, relu, dropout 0.2, batch 128, RMSprop, float32.

Every contender gathers its batch from the same array by shuffled rows, as ``fit`` does. The first one is the
eight bare matrix products of the step in NumPy and nothing else: what no implementation can go below.
"""

from __future__ import annotations

import os
from itertools import pairwise

import _turns
import numpy as np
from _training import N, Training

BATCH, SIZES, DROPOUT = 128, (784, 512, 512, 10), 0.2


def data():
    """Centred rows, and the class that a linear teacher gives them: a network that learns stays alive."""
    random = np.random.default_rng(0)
    x = random.standard_normal((N, SIZES[0]), dtype=np.float32)
    kind = np.argmax(x @ random.standard_normal((SIZES[0], SIZES[-1]), dtype=np.float32), axis=1)
    return x, np.eye(SIZES[-1], dtype=np.float32)[kind]


TRAINING = Training(data, BATCH)
STEPS = TRAINING.steps


def network():
    """The MLP in nnx, ready for training."""
    import nnx
    from nnx.layers import Dense, Dropout

    model = nnx.Sequential(
        [
            Dense(SIZES[1], "relu", input_shape=(SIZES[0],)),
            Dropout(DROPOUT),
            Dense(SIZES[2], "relu"),
            Dropout(DROPOUT),
            Dense(SIZES[3], "softmax"),
        ]
    )
    model.compile("rmsprop", "categorical_crossentropy", metrics=["accuracy"])
    return model


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
    os.environ["NNX_NUMBA"] = "0"
    return nnx_fit()


def nnx_fit():
    import nnx

    return TRAINING.fit(network(), nnx.callbacks.Callback)


def jax_jit():
    import jax
    import jax.numpy as jnp

    shapes = list(pairwise(SIZES))
    keys = jax.random.split(jax.random.key(0), len(shapes))
    params = [
        (jax.random.normal(key, (m, n)) * (1.0 / m) ** 0.5, jnp.zeros(n))
        for key, (m, n) in zip(keys, shapes, strict=True)
    ]

    def logits(params, x, key):
        for i, (w, b) in enumerate(params):
            x = x @ w + b
            if i < 2:
                key, own = jax.random.split(key)
                kept = jax.random.bernoulli(own, 1 - DROPOUT, x.shape)
                x = jnp.where(kept, jax.nn.relu(x) / (1 - DROPOUT), 0.0)
        return x

    return TRAINING.jax_jit(params, logits, jax.random.key(1))


def torch_eager():
    from torch import nn

    hidden = (
        part for m, n in pairwise(SIZES[:-1]) for part in (nn.Linear(m, n), nn.ReLU(), nn.Dropout(DROPOUT))
    )
    return TRAINING.torch_eager(nn.Sequential(*hidden, nn.Linear(*SIZES[-2:])))


def keras_jax():
    def layers(layers):
        for n in SIZES[1:-1]:
            yield from (layers.Dense(n, "relu"), layers.Dropout(DROPOUT))
        yield layers.Dense(SIZES[-1], "softmax")

    return TRAINING.keras_jax(layers)


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
