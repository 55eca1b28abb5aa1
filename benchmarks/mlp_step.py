"""One training step of the lectures' MLP: 784-512-512-10, relu, dropout 0.2, batch 128, RMSprop, float32.

Every contender gathers its batch from the same array by shuffled rows, as ``fit`` does. The first one is the
eight bare matrix products of the step in NumPy and nothing else: what no implementation can go below.
"""

from __future__ import annotations

import math
import os
from itertools import pairwise

import _turns
import numpy as np
from _training import DECAY, EPSILON, RATE, N, Training

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


def by_hand():
    """The step that ``fit`` makes, as one writes it in plain NumPy: each result into a place of its own."""
    random = np.random.default_rng(0)
    x, y = data()
    shapes = [shape for m, n in pairwise(SIZES) for shape in ((m, n), (n,))]
    ends = np.cumsum([0, *map(math.prod, shapes)])
    weights, gradient, means, scratch = np.zeros((4, ends[-1]), np.float32)

    def parts(vector):
        return [vector[a:b].reshape(s) for a, b, s in zip(ends, ends[1:], shapes, strict=False)]

    (w1, b1, w2, b2, w3, b3), (g1, h1, g2, h2, g3, h3) = parts(weights), parts(gradient)
    for w in (w1, w2, w3):
        w[...] = random.normal(size=w.shape, scale=w.shape[0] ** -0.5)
    batch, target = (np.empty((BATCH, a.shape[1]), np.float32) for a in (x, y))
    a1, a2, m1, m2, d1, d2 = (np.empty((BATCH, n), np.float32) for n in SIZES[1:3] * 3)
    (k1, k2), z = (np.empty((BATCH, n), bool) for n in SIZES[1:3]), np.empty((BATCH, SIZES[3]), np.float32)
    ones = np.ones(BATCH, np.float32)
    keep, scale, share = np.float32(1 - DROPOUT), np.float32(1 / (1 - DROPOUT)), np.float32(1 / BATCH)

    def hidden(a, w, b, out, mask, kept):
        np.matmul(a, w, out=out)
        out += b
        random.random(dtype=np.float32, out=mask)
        np.less(mask, keep, out=kept)
        kept &= out > 0
        np.multiply(kept, scale, out=mask)
        out *= mask

    def update():
        means[...] *= np.float32(DECAY)
        np.multiply(gradient, gradient, out=scratch)
        scratch[...] *= np.float32(1 - DECAY)
        means[...] += scratch
        np.sqrt(means, out=scratch)
        scratch[...] += np.float32(EPSILON)
        np.divide(gradient, scratch, out=scratch)
        scratch[...] *= np.float32(RATE)
        weights[...] -= scratch

    def step(rows):
        x.take(rows, axis=0, out=batch, mode="clip")
        y.take(rows, axis=0, out=target, mode="clip")
        hidden(batch, w1, b1, a1, m1, k1)
        hidden(a1, w2, b2, a2, m2, k2)
        np.matmul(a2, w3, out=z)
        np.add(z, b3, out=z)
        hits = np.count_nonzero(z.argmax(1) == target.argmax(1))
        np.subtract(z, z.max(1, keepdims=True), out=z)
        e = np.exp(z)
        total = e.sum(1, keepdims=True)
        value = -np.vdot(target, z - np.log(total)) / BATCH
        e /= total
        e -= target
        e *= share
        np.matmul(a2.T, e, out=g3)
        np.matmul(ones, e, out=h3)
        np.matmul(e, w3.T, out=d2)
        np.multiply(d2, m2, out=d2)
        np.matmul(a1.T, d2, out=g2)
        np.matmul(ones, d2, out=h2)
        np.matmul(d2, w2.T, out=d1)
        np.multiply(d1, m1, out=d1)
        np.matmul(batch.T, d1, out=g1)
        np.matmul(ones, d1, out=h1)
        if math.isfinite(np.vdot(gradient, gradient)):  # as fit does before it moves
            update()
        return value, hits

    def epoch():
        order = random.permutation(N)
        for i in range(0, N, BATCH):
            step(order[i : i + BATCH])

    return TRAINING.per_step(epoch)


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
            "the same calls by hand": by_hand,
            "nnx fit": nnx_without_numba,
            "nnx fit with Numba": nnx_fit,
            "JAX jit + optax": jax_jit,
            "PyTorch eager": torch_eager,
            "Keras on JAX": keras_jax,
        },
        "ms",
        "MLP 784-512-512-10, batch 128, dropout, RMSprop: one step",
    )
