"""Every callback of Keras' is there with its arguments, or refused by name with a reason."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import nnx
from nnx import callbacks as cb
from nnx.callbacks.absent import ABSENT
from nnx.errors import OptionError, UnknownName
from nnx.layers import Dense

X = np.linspace(-1.0, 1.0, 24).reshape(12, 2)
Y = X @ np.asarray([[1.0], [-2.0]]) + 0.5


def names_of(keras):
    return [name for name, kind in vars(keras.callbacks).items() if isinstance(kind, type)]


def test_every_callback_is_there_with_keras_arguments_or_refused(keras):
    there, refused = set(), set()
    for name in names_of(keras):
        if name in ABSENT:
            refused.add(name)
            continue
        there.add(name)
        found = []
        for kind in (getattr(cb, name), getattr(keras.callbacks, name)):
            parameters = inspect.signature(kind).parameters.values()
            found.append([(p.name, p.default) for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD])
        assert found[0] == found[1], name
        assert name in cb.__all__
    assert refused == {*ABSENT} and len(there) >= 13


@pytest.mark.parametrize("name", ABSENT)
def test_what_is_absent_says_what_to_use(name, keras):
    kind = getattr(cb, name)  # so that `from nnx.callbacks import TensorBoard` works until it is made
    with pytest.raises(
        UnknownName, match=rf"nnx\.callbacks has no {name}: .*(LambdaCallback|ModelCheckpoint)"
    ):
        kind("a", update_freq="epoch")
    assert name not in cb.__all__
    theirs = type(name, (), {"__module__": "keras.src.callbacks"})()
    with pytest.raises(OptionError, match=f"Keras' own {name}: it|Keras' own {name}: nnx sends"):
        cb.CallbackList([theirs])


def test_a_name_that_nobody_has_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no callback called 'EarlyStoping'"):
        cb.EarlyStoping  # noqa: B018
    assert not hasattr(cb, "Early")


def test_a_loop_of_ones_own_calls_the_list_as_in_keras(keras):
    """The hooks of CallbackList take Keras' arguments."""

    def loop(library, callbacks, model):
        run = library.callbacks.CallbackList(callbacks, add_history=True, model=model, epochs=2, steps=2)
        run.on_train_begin()
        for epoch in range(2):
            run.on_epoch_begin(epoch)
            for batch in range(2):
                run.on_train_batch_begin(batch)
                run.on_train_batch_end(batch, {"loss": 1.0})
            run.on_test_begin()
            run.on_test_batch_begin(0)
            run.on_test_batch_end(0, {"loss": 2.0})
            run.on_test_end({"loss": 2.0})
            run.on_epoch_end(epoch, {"loss": 1.0 / (epoch + 1), "val_loss": 2.0})
        run.on_train_end({"loss": 0.5})
        run.on_predict_begin()
        run.on_predict_batch_begin(0)
        run.on_predict_batch_end(0, {"outputs": 0})
        run.on_predict_end()

    calls = []
    for library in (nnx, keras):
        seen, history = [], library.callbacks.History()

        class Seen(library.callbacks.Callback):
            def __getattribute__(self, name, seen=seen):
                if name.startswith("on_") and name not in ("on_batch_begin", "on_batch_end"):
                    return lambda *args, logs=None: seen.append((name, *args, *([logs] if logs else [])))
                return super().__getattribute__(name)

        model = nnx.Sequential([Dense(1)])
        loop(library, [Seen(), history], model)
        # Whether empty logs are {} or None, by place or by name, is not what is compared.
        calls.append([tuple(x for x in call if x not in ({}, None)) for call in seen])
        assert history.history == {"loss": [1.0, 0.5], "val_loss": [2.0, 2.0]}
    assert calls[0] == calls[1]


# -- the optimizer in callbacks ----------------------------------------------------------------------------


def line(optimizer, backend=None):
    model = nnx.Sequential([Dense(1, input_shape=(2,))], backend=backend, dtype="float64", seed=1)
    model.compile(optimizer, "mse")
    return model


class Reads(cb.Callback):
    """What Keras' guides read of the optimizer at the end of an epoch."""

    def __init__(self):
        self.rates, self.iterations = [], []

    def on_epoch_end(self, epoch, logs=None):
        self.rates.append(float(self.model.optimizer.learning_rate))
        self.iterations.append(int(self.model.optimizer.iterations))


def fit(model, *callbacks, epochs=4):
    return model.fit(X, Y, batch_size=4, epochs=epochs, verbose=0, callbacks=list(callbacks))


def test_the_rate_of_a_scheduler(backend):
    reads = Reads()
    model = line(nnx.optimizers.SGD(0.1), backend)
    fit(model, cb.LearningRateScheduler(lambda epoch: 0.1 / 10**epoch), reads)
    assert reads.rates == [0.1 / 10**epoch for epoch in range(4)]
    assert reads.iterations == [3, 6, 9, 12]
    fit(model, reads, epochs=1)
    assert reads.rates[-1] == model.learning_rate == 0.1 / 10**3 and reads.iterations[-1] == 15


def test_the_rate_of_a_plateau(backend):
    reads = Reads()
    reduce = cb.ReduceLROnPlateau("loss", patience=1, factor=0.5, min_delta=100.0)
    record = fit(line(nnx.optimizers.SGD(0.1), backend), reduce, reads)
    assert reads.rates == [0.1, 0.05, 0.025, 0.0125]
    assert record.history["learning_rate"] == [0.1, 0.1, 0.05, 0.025]  # what the epochs were trained with


def test_the_rate_of_a_schedule(backend):
    reads = Reads()
    decay = nnx.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)
    model = line(nnx.optimizers.SGD(decay), backend)
    fit(model, reads)
    assert reads.rates == [decay(step) for step in (3, 6, 9, 12)]

    class Sets(cb.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.optimizer.learning_rate = 0.5

    with pytest.raises(OptionError, match="SGD has a schedule"):
        fit(model, Sets())


@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_begin", "on_train_batch_begin", "on_epoch_end"])
def test_a_rate_that_a_callback_sets_is_that_of_the_next_step(hook, backend):
    """Compared with a training that is told the rate of each step."""

    def sets(self, *args):
        if hook != "on_train_batch_begin" or args[0] == 1:
            self.model.optimizer.learning_rate = 0.02

    model = line(nnx.optimizers.SGD(0.1), backend)
    fit(model, type("Sets", (cb.Callback,), {hook: sets})(), epochs=1)
    twin = line(nnx.optimizers.SGD(0.1), backend)
    rates = iter({"on_train_batch_begin": [0.1, 0.02, 0.02], "on_epoch_end": [0.1] * 3}.get(hook, [0.02] * 3))
    by_hand = cb.LambdaCallback(
        on_train_batch_begin=lambda n, logs: setattr(twin, "learning_rate", next(rates))
    )
    fit(twin, by_hand, epochs=1)
    for mine, theirs in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert model.optimizer.learning_rate == model.learning_rate == 0.02


def test_rates_in_callbacks_are_those_of_keras(keras):
    """A scheduler, a plateau and a callback of one's own that reads and sets, in one training."""

    def run(library, model):
        class Halves(library.callbacks.Callback):
            def on_train_batch_begin(self, batch, logs=None):
                rate = float(np.asarray(self.model.optimizer.learning_rate))
                seen.append(rate)
                if batch == 2:
                    self.model.optimizer.learning_rate = rate / 2

        seen: list[float] = []
        scheduler = library.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 3)
        plateau = library.callbacks.ReduceLROnPlateau("loss", patience=1, factor=0.25, min_delta=100.0)
        fit(model, scheduler, plateau, Halves())
        return seen

    theirs = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    theirs.compile(keras.optimizers.SGD(2.0**-10), "mse")
    # Keras keeps the rate in float32, where these are exact but for what 3**n needs.
    assert run(nnx, line(nnx.optimizers.SGD(2.0**-10))) == pytest.approx(run(keras, theirs), rel=1e-6)
