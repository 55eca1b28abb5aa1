"""What changes between the batches of a recorded training: the bits of one that is never recorded."""

from __future__ import annotations

import copy
import pickle
import threading

import numpy as np
import pytest
from walks import walk

import nnx
from nnx.callbacks import Callback, EarlyStopping, ReduceLROnPlateau
from nnx.jitting import replayed
from nnx.layers import BatchNormalization, Dense, Dropout

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(40, 4)).astype("float32")
Y = RANDOM.uniform(0.1, 0.9, (40, 3)).astype("float32")


def model(optimizer="adam", seed=3):
    layers = [Dense(5, "tanh", input_shape=(4,)), BatchNormalization(), Dropout(0.2), Dense(3)]
    made = nnx.Sequential(layers, seed=seed)
    made.compile(optimizer, "mse")
    return made


class After(Callback):
    """Calls ``action(model)`` after the seventh batch, when steps are replayed."""

    def __init__(self, action):
        super().__init__()
        self.action, self.batches = action, 0

    def on_train_batch_end(self, batch, logs=None):
        self.batches += 1
        if self.batches == 7:
            self.action(self.model)


def fit(m, *callbacks, x=X, y=Y, **options):
    given = {"batch_size": 8, "epochs": 3, "verbose": 0, **options}
    return m.fit(x, y, callbacks=list(callbacks), **given).history


def within(action):
    """A training with an action in the middle, and what follows."""

    def run(path):
        m = model()
        return m, fit(m, After(lambda m: action(m, path)))

    return run


def halved(m):
    m.set_weights([0.5 * w for w in m.get_weights()])


def saved(m, path):
    m.save_weights(path / "w.safetensors")
    halved(m)
    m.load_weights(path / "w.safetensors")


def best_weights(path):
    m = model(nnx.optimizers.SGD(0.5))
    best = EarlyStopping(monitor="loss", patience=1, min_delta=0.05, restore_best_weights=True)
    return m, fit(m, best, epochs=6), fit(m)


def failed(path):
    def fails(m):
        raise KeyError("in a callback")

    m = model()
    with pytest.raises(KeyError):
        fit(m, After(fails))
    return m, fit(m)


def copied(path):
    m = model()
    fit(m)
    m.save(path / "m.nnx")
    others = [copy.deepcopy(m), pickle.loads(pickle.dumps(m)), nnx.load_model(path / "m.nnx")]
    return *others, m, [fit(each) for each in (*others, m)]


def inputs(path):
    m, x = model(), X.copy()
    found = []
    for given in (x, x, X.astype("float64"), np.asfortranarray(X), X.astype(">f4"), X[:, ::-1]):
        found.append(fit(m, x=given))
        x *= 1.5  # the array of the first two
    return m, found


def batches(path):
    m = model()
    sizes = [fit(m, batch_size=size) for size in (8, 16, 7, 8)]
    weights = [fit(m, sample_weight=w) for w in (np.linspace(0.0, 1.0, 40), None, np.linspace(1.0, 0.0, 40))]
    return m, sizes, weights


def one_batch(path):
    """A batch that is the same array with other numbers, and results that the caller writes into."""
    m, x, found = model(), X[:8].copy(), []
    for _ in range(9):
        outputs = m.predict(x)
        found += [outputs.tobytes(), m.train_on_batch(x, Y[:8])]
        outputs[:] = 9.0
        x *= 1.1
    return m, found


def shared(path):
    layer = Dense(4, "tanh")
    both = [nnx.Sequential([nnx.Input((4,)), layer, Dense(3)], seed=k) for k in (1, 2)]
    for m in both:
        m.compile("adam", "mse")
    return *both, [fit(m) for m in both * 3]


def compiled_again(path):
    m = model()
    first = fit(m)
    m.compile("sgd", "mae", metrics=["mse"])
    return m, first, fit(m)


def searches(path):
    """What methods on all samples ask for, after weights and data have changed."""
    m = model("lbfgs")
    first = fit(m, After(halved), batch_size=None, epochs=12)
    return m, first, fit(m, x=2.0 * X, batch_size=None, epochs=9), fit(m, batch_size=None, epochs=9)


def at_once(path):
    models = [model(seed=k) for k in range(3)]
    found = {}
    threads = [threading.Thread(target=lambda k=k: found.update({k: fit(models[k])})) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return *models, [found[k] for k in range(3)]


TRAININGS = {
    "weights": within(lambda m, path: halved(m)),
    "weights of a layer": within(
        lambda m, path: m.layers[0].set_weights([0.5 * w for w in m.layers[0].get_weights()])
    ),
    "learning rate": within(lambda m, path: setattr(m, "learning_rate", 0.5)),
    "prediction and evaluation": within(lambda m, path: (m.predict(X), m.evaluate(X, Y, verbose=0))),
    "a step of its own": within(lambda m, path: m.train_on_batch(X[:8], Y[:8])),
    "a step of a copy": within(lambda m, path: copy.deepcopy(m).train_on_batch(X, Y)),
    "saved and loaded": within(saved),
    "the end": within(lambda m, path: setattr(m, "stop_training", True)),
    "schedule": lambda path: (
        m := model(nnx.optimizers.Adam(nnx.optimizers.schedules.ExponentialDecay(0.01, 3, 0.9))),
        fit(m),
    ),
    "plateau": lambda path: (
        m := model(nnx.optimizers.SGD(1.0)),
        fit(m, ReduceLROnPlateau(monitor="loss", patience=0, factor=0.1, min_delta=1.0), epochs=4),
    ),
    "best weights": best_weights,
    "an error in a callback": failed,
    "copies": copied,
    "inputs": inputs,
    "batches": batches,
    "one batch": one_batch,
    "shared layers": shared,
    "compiled again": compiled_again,
    "searches": searches,
    "threads": at_once,
}


@walk("name", TRAININGS)
def test_a_recorded_training_sees_what_changes(name, monkeypatch, tmp_path):
    def told(before):
        monkeypatch.setattr(replayed, "BEFORE", before)
        found = TRAININGS[name](tmp_path)
        models = [thing for thing in found if isinstance(thing, nnx.Model)]
        rest = [thing for thing in found if not isinstance(thing, nnx.Model)]
        return [np.asarray(m.weights_vector).tobytes() for m in models], repr(rest), models[-1]

    weights, plain, _ = told(10**9)
    others, history, m = told(2)
    assert m.step_plan.startswith("program(")
    assert history == plain
    assert weights == others
