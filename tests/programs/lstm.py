"""A long short-term memory cell by hand, trained to foretell the next character.

Source: S. Hochreiter, J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997) 1735–1780, with
the forget gate of F. A. Gers, J. Schmidhuber, F. Cummins, ibid. 12 (2000) 2451–2471.
"""

import numpy as np


def sigmoid(x):
    return 0.5 * (np.tanh(0.5 * x) + 1.0)


def loss(p, inputs, targets):
    """The mean cross-entropy; ``inputs`` (time, batch, letters) one-hot, ``targets`` (time, batch) codes."""
    time, batch, _ = inputs.shape
    size = p["hidden"].shape[-1]
    h = np.tile(p["hidden"], (batch, 1))
    c = np.tile(p["cell"], (batch, 1))
    total = 0.0
    for t in range(time):
        gates = np.hstack([inputs[t], h]) @ p["kernel"] + p["bias"]
        forget, update, out = (sigmoid(gates[:, k * size : (k + 1) * size]) for k in range(3))
        c = forget * c + update * np.tanh(gates[:, 3 * size :])
        h = out * np.tanh(c)
        scores = h @ p["readout"]
        scores -= scores.max(axis=1, keepdims=True)
        log_probabilities = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        total -= log_probabilities[np.arange(batch), targets[t]].mean()
    return total / time


def example():
    """The function, where it is differentiated, its data."""
    random = np.random.default_rng(11)
    text = "hello world, hello moon"
    letters = sorted(set(text))
    codes = np.array([letters.index(letter) for letter in text])
    x, y = np.stack([codes[:8], codes[9:17]], axis=1), np.stack([codes[1:9], codes[10:18]], axis=1)
    n, size = len(letters), 4
    parameters = {
        "hidden": 0.3 * random.normal(size=size),
        "cell": 0.3 * random.normal(size=size),
        "kernel": 0.4 * random.normal(size=(n + size, 4 * size)),
        "bias": 0.1 * random.normal(size=4 * size),
        "readout": random.normal(size=(size, n)),
    }
    return loss, (parameters,), (np.eye(n)[x], y)
