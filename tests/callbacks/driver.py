"""A training without a network: the loop calls the callbacks, the numbers are given beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nnx.callbacks import CallbackList


class FakeModel:
    """What callbacks use of a model. ``epoch`` stands for its weights: 0 at the start, then 1, 2, ..."""

    def __init__(self, learning_rate=1.0):
        self.stop_training = False
        self.learning_rate = learning_rate
        self.epoch = 0
        self.saved = []
        self.weights_vector = np.zeros(3)
        self.gradient_vector = None

    def get_weights(self):
        return [np.array(float(self.epoch))]

    def set_weights(self, weights):
        self.epoch = int(weights[0])

    def save(self, path):
        self._write(path, "model")

    def save_weights(self, path):
        self._write(path, "weights")

    def _write(self, path, kind):
        Path(path).write_text(kind)
        self.saved.append((kind, Path(path).name, self.epoch))


class Running(Mapping):
    """The running means as the training loop gives them. Looks are counted: each would wait for a GPU."""

    looks = 0

    def __init__(self, values):
        self.values_ = values

    def __getitem__(self, name):
        Running.looks += 1
        return self.values_[name]

    def __iter__(self):
        return iter(self.values_)

    def __len__(self):
        return len(self.values_)


def train(callbacks, logs, model=None, steps=1, verbose=0, epochs=None, initial_epoch=0):
    """``(model, callback list)`` after a training whose epochs end with the given logs (dicts, or losses)."""
    model = model or FakeModel()
    logs = [entry if isinstance(entry, dict) else {"loss": float(entry)} for entry in logs]
    params = {"epochs": epochs or len(logs), "steps": steps, "verbose": verbose}
    run = CallbackList(callbacks, add_history=True, add_progbar=verbose > 0, model=model, **params)
    model.stop_training = False
    run.on_train_begin()
    for epoch, entry in enumerate(logs, initial_epoch):
        if model.stop_training:
            break
        run.on_epoch_begin(epoch)
        for n in range(steps):
            run.on_train_batch_begin(n)
            model.epoch = epoch + 1
            run.on_train_batch_end(n, Running(entry))
            if model.stop_training:
                break
        run.on_epoch_end(epoch, dict(entry))
    run.on_train_end()
    return model, run
