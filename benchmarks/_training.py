"""What the benchmarks of one training step share: the libraries' own loops over shuffled batches of N rows.

RMSprop with the lectures' numbers, categorical cross-entropy, accuracy. A :class:`Training` knows the data
and the batch; what network each library trains on them, the scripts say.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import _turns
import numpy as np

N, EPOCHS, WARMUP = 12_800, 12, 3
RATE, DECAY, EPSILON = 1e-3, 0.9, 1e-7


@dataclass(frozen=True)
class Training:
    """One network's training; each method returns the time of a step in seconds."""

    data: Callable[[], tuple[np.ndarray, np.ndarray]]
    batch: int

    @property
    def steps(self) -> int:
        """How many there are in an epoch."""
        return N // self.batch

    def per_step(self, epoch: Callable[[], object]) -> float:
        """The median over epochs of an epoch's time, divided by its steps; ``epoch()`` trains one."""
        return _turns.median_time(epoch, EPOCHS, WARMUP) / self.steps

    def fit(self, model: Any, callback: type) -> float:
        """By the ``fit`` of nnx or of Keras, with a callback of the library's class."""
        clock, epochs = _turns.epoch_clock(callback), EPOCHS + WARMUP
        model.fit(*self.data(), batch_size=self.batch, epochs=epochs, verbose=0, callbacks=[clock])
        return float(np.median(clock.times[WARMUP:])) / self.steps

    def keras_jax(self, layers: Callable[[Any], Sequence[Any]]) -> float:
        """Keras on JAX: ``layers(keras.layers)`` are those of the network."""
        os.environ["KERAS_BACKEND"] = "jax"
        import keras

        model = keras.Sequential([keras.Input(self.data()[0].shape[1:]), *layers(keras.layers)])
        model.compile("rmsprop", "categorical_crossentropy", metrics=["accuracy"])
        return self.fit(model, keras.callbacks.Callback)

    def jax_jit(self, params: Any, logits: Callable[..., Any], key: Any = None) -> float:
        """JAX with optax: ``logits(params, x, key)`` is the network, with a new key in each step if any."""
        import jax
        import jax.numpy as jnp
        import optax

        optimizer = optax.rmsprop(RATE, decay=DECAY, eps=EPSILON)

        def loss(params: Any, x: Any, y: Any, key: Any) -> Any:
            z = logits(params, x, key)
            hits = jnp.sum(jnp.argmax(z, 1) == jnp.argmax(y, 1))
            return -jnp.mean(jnp.sum(y * jax.nn.log_softmax(z), axis=1)), hits

        @jax.jit
        def step(params: Any, state: Any, key: Any, x: Any, y: Any) -> Any:
            key, own = (None, None) if key is None else jax.random.split(key)
            (value, hits), g = jax.value_and_grad(loss, has_aux=True)(params, x, y, own)
            updates, state = optimizer.update(g, state)
            return optax.apply_updates(params, updates), state, key, value, hits

        x, y = self.data()
        held, random = [params, optimizer.init(params), key], np.random.default_rng(1)

        def epoch() -> None:
            order = random.permutation(N)
            for i in range(0, N, self.batch):
                rows = order[i : i + self.batch]
                *held[:], value, _ = step(*held, x.take(rows, axis=0), y.take(rows, axis=0))
            value.block_until_ready()

        return self.per_step(epoch)

    def torch_eager(self, model: Any) -> float:
        """PyTorch: ``model`` gives logits."""
        import torch

        x, y = (torch.from_numpy(a) for a in self.data())
        optimizer = torch.optim.RMSprop(model.parameters(), RATE, alpha=DECAY, eps=EPSILON)
        cost = torch.nn.CrossEntropyLoss()

        def epoch() -> None:
            order = torch.randperm(N)
            for i in range(0, N, self.batch):
                rows = order[i : i + self.batch]
                target = y[rows]
                optimizer.zero_grad()
                out = model(x[rows])
                cost(out, target).backward()
                optimizer.step()
                (out.argmax(1) == target.argmax(1)).sum().item()

        return self.per_step(epoch)
