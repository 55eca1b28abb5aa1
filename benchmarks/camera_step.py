"""One training step of the lectures' network for the four-pixel camera: 4-4-4-8-4, 116 weights, float32.

tanh, tanh, relu, softmax; cross-entropy, accuracy, RMSprop, batch 32. There is hardly anything to compute:
what is measured is what a library spends beside the arithmetic. Every contender gathers its batch from the
same array by shuffled rows, as ``fit`` does. The first one is a step written out by hand in NumPy.
"""

from __future__ import annotations

from itertools import pairwise

import _turns
import numpy as np
from _training import DECAY, EPSILON, RATE, N, Training

BATCH, SIZES = 32, (4, 4, 4, 8, 4)
ACTIVATIONS = ("tanh", "tanh", "relu", "softmax")


def data():
    """Pictures as rows of ±1, equally many of the four kinds, and one-hot rows."""
    signs = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, -1, -1, 1], [1, 1, -1, -1]], np.float32)
    random = np.random.default_rng(0)
    kind = random.permutation(N) % 4
    sign = random.choice(np.array([1, -1], np.float32), (N, 1))
    return signs[kind] * sign, np.eye(4, dtype=np.float32)[kind]


TRAINING = Training(data, BATCH)
STEPS = TRAINING.steps


def network():
    """The network in nnx, ready for training."""
    import nnx
    from nnx.layers import Dense

    model = nnx.Sequential(
        [
            Dense(4, "tanh", input_shape=(4,)),
            Dense(4, "tanh"),
            Dense(8, "relu"),
            Dense(4, "softmax"),
        ]
    )
    model.compile("rmsprop", "categorical_crossentropy", metrics=["accuracy"])
    return model


def kernels(random):
    """Glorot uniform kernels, as Keras and nnx draw them."""
    return [random.uniform(-1, 1, s).astype(np.float32) * (6 / sum(s)) ** 0.5 for s in pairwise(SIZES)]


def by_hand():
    return TRAINING.per_step(by_hand_epochs())


def by_hand_epochs(seed=0):
    """``epoch()``, which trains one and returns its mean loss and accuracy."""
    x, y = data()
    random = np.random.default_rng(seed)
    w, g, s = np.zeros((3, 116), np.float32)
    scratch = np.empty_like(w)
    theta, beta, d_theta, d_beta, start = [], [], [], [], 0
    for kernel in kernels(random):
        middle, stop = start + kernel.size, start + kernel.size + kernel.shape[1]
        w[start:middle] = kernel.ravel()
        for vector, matrices, vectors in ((w, theta, beta), (g, d_theta, d_beta)):
            matrices.append(vector[start:middle].reshape(kernel.shape))
            vectors.append(vector[middle:stop])
        start = stop

    def step(a0, target):
        a1 = np.tanh(a0 @ theta[0] + beta[0])
        a2 = np.tanh(a1 @ theta[1] + beta[1])
        a3 = np.maximum(a2 @ theta[2] + beta[2], 0.0)
        z = a3 @ theta[3] + beta[3]
        z -= z.max(axis=1, keepdims=True)
        e = np.exp(z)
        total = e.sum(axis=1, keepdims=True)
        loss = (np.log(total).sum() - np.vdot(z, target)) / BATCH
        delta = (e / total - target) / BATCH
        for i, a in ((3, a3), (2, a2), (1, a1), (0, a0)):
            np.matmul(a.T, delta, out=d_theta[i])
            delta.sum(axis=0, out=d_beta[i])
            if i:
                delta = delta @ theta[i].T
                delta *= a > 0 if i == 3 else 1.0 - a * a
        np.multiply(g, g, out=scratch)
        np.multiply(scratch, 1.0 - DECAY, out=scratch)
        np.multiply(s, DECAY, out=s)
        np.add(s, scratch, out=s)
        np.add(s, EPSILON, out=scratch)
        np.sqrt(scratch, out=scratch)
        np.divide(g, scratch, out=scratch)
        np.multiply(scratch, RATE, out=scratch)
        np.subtract(w, scratch, out=w)
        return loss, np.count_nonzero(z.argmax(axis=1) == target.argmax(axis=1))

    def epoch():
        order = random.permutation(N)
        cost = hits = 0
        for i in range(0, N, BATCH):
            rows = order[i : i + BATCH]
            loss, right = step(x.take(rows, axis=0), y.take(rows, axis=0))
            cost += loss
            hits += right
        return cost / STEPS, hits / N

    return epoch


def nnx_fit():
    import nnx

    return TRAINING.fit(network(), nnx.callbacks.Callback)


def jax_jit():
    import jax
    import jax.numpy as jnp

    params = [(jnp.asarray(k), jnp.zeros(k.shape[1])) for k in kernels(np.random.default_rng(0))]
    functions = (jnp.tanh, jnp.tanh, jax.nn.relu, lambda z: z)

    def logits(params, x, key):
        for (kernel, bias), function in zip(params, functions, strict=True):
            x = function(x @ kernel + bias)
        return x

    return TRAINING.jax_jit(params, logits)


def torch_eager():
    import torch

    made = [torch.nn.Linear(*shape) for shape in pairwise(SIZES)]
    functions = (torch.nn.Tanh(), torch.nn.Tanh(), torch.nn.ReLU())
    parts = (part for pair in zip(made, functions, strict=False) for part in pair)
    return TRAINING.torch_eager(torch.nn.Sequential(*parts, made[-1]))


def keras_jax():
    return TRAINING.keras_jax(
        lambda layers: [layers.Dense(n, a) for n, a in zip(SIZES[1:], ACTIVATIONS, strict=True)]
    )


if __name__ == "__main__":
    _turns.main(
        __file__,
        {
            "by hand (NumPy)": by_hand,
            "nnx fit": nnx_fit,
            "JAX jit + optax": jax_jit,
            "PyTorch eager": torch_eager,
            "Keras on JAX": keras_jax,
        },
        "µs",
        "Four-pixel camera 4-4-4-8-4, 116 weights, batch 32, RMSprop: one step",
    )
