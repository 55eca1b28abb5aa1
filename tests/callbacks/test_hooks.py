"""Every hook in its place, with its arguments: as in Keras, in fit, evaluate and predict."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx import callbacks as cb
from nnx.backend import to_numpy
from nnx.callbacks.base import HOOKS
from nnx.errors import OptionError
from nnx.layers import Dense

X, Y = np.linspace(-1.0, 1.0, 20).reshape(10, 2), np.ones((10, 1))
NEWER = [name for name in HOOKS if name not in ("on_batch_begin", "on_batch_end")]


def recorder(base, calls):
    """A callback derived from ``base`` that notes each hook with its arguments (of logs: names and kinds)."""

    def note(name):
        def hook(self, *args, **options):
            *numbers, logs = [*args, *options.values()]
            calls.append((name, *numbers, {key: np.ndim(value) for key, value in logs.items()}))

        return hook

    return type("Recorder", (base,), {name: note(name) for name in NEWER})()


def ours(backend=None, **options):
    model = nnx.Sequential([Dense(1, input_shape=(2,))], backend=backend, seed=1)
    model.compile(options.pop("optimizer", "sgd"), "mse", metrics=["mae"])
    return model


def theirs(keras):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    return model


def use(model, callback, how, **options):
    if how == "fit":
        model.fit(X, Y, batch_size=4, epochs=3, verbose=0, callbacks=[callback], **options)
    elif how == "evaluate":
        model.evaluate(X, Y, batch_size=4, verbose=0, callbacks=[callback])
    else:
        model.predict(X, batch_size=4, verbose=0, callbacks=[callback])


CALLS = [
    ("fit", {}),
    ("fit", {"validation_data": (X[:6], Y[:6])}),
    ("fit", {"validation_data": (X[:6], Y[:6]), "validation_batch_size": 2, "validation_freq": 2}),
    ("fit", {"validation_data": (X[:6], Y[:6]), "validation_freq": [1, 3]}),
    ("fit", {"initial_epoch": 2}),
    ("evaluate", {}),
    ("predict", {}),
]


@pytest.mark.parametrize(("how", "options"), CALLS)
def test_order_and_arguments_are_those_of_keras(how, options, keras):
    mine: list[tuple] = []
    kerass: list[tuple] = []
    use(ours(), recorder(cb.Callback, mine), how, **options)
    use(theirs(keras), recorder(keras.callbacks.Callback, kerass), how, **options)
    assert mine == kerass
    assert len(mine) >= 6


@pytest.mark.parametrize(("how", "options"), CALLS)
def test_the_same_on_every_backend(how, options, backend):
    here: list[tuple] = []
    numpy: list[tuple] = []
    use(ours(backend), recorder(cb.Callback, here), how, **options)
    use(ours(), recorder(cb.Callback, numpy), how, **options)
    assert here == numpy


@pytest.mark.parametrize(("how", "options"), CALLS)
def test_functions_are_called_like_methods(how, options):
    methods: list[tuple] = []
    use(ours(), recorder(cb.Callback, methods), how, **options)
    calls: list[tuple] = []

    def note(name):
        def hook(*args):
            *numbers, logs = args
            calls.append((name, *numbers, {key: np.ndim(value) for key, value in logs.items()}))

        return hook

    use(ours(), cb.LambdaCallback(**{name: note(name) for name in NEWER}), how, **options)
    assert calls == methods


def test_what_the_logs_hold():
    seen = {}
    names = ("on_test_batch_end", "on_predict_batch_end")
    hooks = {name: lambda n, logs, name=name: seen.update({(name, n): dict(logs)}) for name in names}
    hooks["on_test_end"] = lambda logs: seen.update(end=logs)
    callback = cb.LambdaCallback(**hooks)
    model = ours()
    result = model.evaluate(X, Y, batch_size=4, verbose=0, callbacks=callback, return_dict=True)
    assert seen["end"] == result
    # The last batch's running means are the means of all.
    assert seen["on_test_batch_end", 2] == result
    first = model.evaluate(X[:4], Y[:4], verbose=0, return_dict=True)
    assert seen["on_test_batch_end", 0] == pytest.approx(first, rel=1e-6)  # float32
    outputs = model.predict(X, batch_size=4, callbacks=callback)
    parts = [to_numpy(seen["on_predict_batch_end", n]["outputs"]) for n in range(3)]
    assert [part.shape for part in parts] == [(4, 1), (4, 1), (2, 1)]
    np.testing.assert_array_equal(np.concatenate(parts), outputs)


def test_the_parameters_say_how_much_there_is():
    seen = []

    class Asks(cb.Callback):
        def on_test_begin(self, logs=None):
            seen.append(dict(self.params))

        on_predict_begin = on_test_begin

    model, data = ours(), (X, Y)
    model.evaluate(*data, batch_size=4, verbose=0, callbacks=[Asks()])
    model.predict(X, batch_size=3, verbose=2, callbacks=[Asks()])
    model.fit(*data, batch_size=5, epochs=7, verbose=0, callbacks=[Asks()], validation_data=data)
    assert seen[:2] == [
        {"epochs": 1, "steps": 3, "verbose": 0},
        {"epochs": 1, "steps": 4, "verbose": 2},
    ]
    assert seen[2] == {"epochs": 7, "steps": 2, "verbose": 0}


@pytest.mark.parametrize("how", ["evaluate", "predict"])
@pytest.mark.parametrize(
    ("wrong", "words"), [([3], "must be a callback, got 3"), (cb.History, "the class History itself")]
)
def test_what_is_no_callback_is_refused_in_evaluate_and_predict(how, wrong, words):
    with pytest.raises(OptionError, match=words):
        getattr(ours(), how)(*((X, Y) if how == "evaluate" else (X,)), callbacks=wrong)


def test_callbacks_about_training_do_nothing_in_evaluate_and_predict(tmp_path):
    model = ours()
    training = [
        cb.EarlyStopping(restore_best_weights=True),
        cb.ModelCheckpoint(tmp_path / "a"),
        cb.BackupAndRestore(tmp_path / "b"),
        cb.CSVLogger(tmp_path / "c"),
        cb.History(),
        cb.TerminateOnNaN(),
        cb.ReduceLROnPlateau(),
        cb.TimeLimit(1.0),
    ]
    expected = model.evaluate(X, Y, verbose=0), model.predict(X)
    assert model.evaluate(X, Y, verbose=0, callbacks=training) == expected[0]
    np.testing.assert_array_equal(model.predict(X, callbacks=training), expected[1])
    assert list(tmp_path.iterdir()) == []


# -- epochs without validation ------------------------------------------------------------------------------


def watched(make, **options):
    """The callback and the history after 8 epochs at a rate of 0, validated every second time."""
    callback, model = make(), ours(optimizer=nnx.optimizers.SGD(0.0))
    options = {"epochs": 8, "validation_freq": 2, "validation_data": (X, Y), **options}
    record = model.fit(X, Y, verbose=0, callbacks=[callback], **options)
    return callback, record, model


def test_early_stopping_waits_for_the_next_validation():
    stop, record, _ = watched(lambda: cb.EarlyStopping(patience=2, restore_best_weights=True))
    assert len(record.history["val_loss"]) == 3
    assert (stop.stopped_epoch, stop.best_epoch, len(record.epoch)) == (5, 1, 6)


def test_a_goal_waits_for_the_next_validation():
    goal, record, _ = watched(lambda: cb.StopOnGoal(1e9, monitor="val_mae"))
    assert record.epoch == [0, 1] and goal.stopped_epoch == 1


def test_a_plateau_waits_for_the_next_validation():
    model = ours(optimizer=nnx.optimizers.SGD(1e-30))
    reduce = cb.ReduceLROnPlateau(patience=1, factor=0.5, cooldown=1)
    options = {"validation_data": (X, Y), "validation_freq": 2}
    record = model.fit(X, Y, epochs=9, verbose=0, callbacks=[reduce], **options)
    # Validated are epochs 2, 4, 6, 8 (from 1): a best, a reduction, the cooldown with its count, a reduction.
    rates = [rate / 1e-30 for rate in record.history["learning_rate"]]
    assert rates == pytest.approx([1.0] * 4 + [0.5] * 2 + [0.25] * 2 + [0.125], rel=1e-12)


def test_decisions_with_validation_freq_are_those_of_keras(keras):
    """The same logs, with and without a validation: Keras' callbacks warn and skip, ours skip."""
    import warnings

    from callbacks.test_decisions import KerasModel

    losses = [3.0, 2.0, 2.0, 2.5, 2.5, 2.5, 2.5, 2.5]
    logs = [{"loss": 1.0} | ({"val_loss": x} if n % 2 else {}) for n, x in enumerate(losses)]
    kinds = [("EarlyStopping", {"patience": 2}), ("ReduceLROnPlateau", {"patience": 1, "cooldown": 1})]
    for name, options in kinds:
        found = []
        for library in (nnx, keras):
            callback, model = getattr(library.callbacks, name)(**options), KerasModel()
            callback.set_model(model)
            if library is nnx:
                callback.watch.learn({"loss": 0.0, "val_loss": 0.0})
            with warnings.catch_warnings():
                warnings.simplefilter("ignore" if library is keras else "error")
                callback.on_train_begin({})
                for epoch, entry in enumerate(logs):
                    callback.on_epoch_end(epoch, dict(entry))
            rate = model.learning_rate if library is nnx else model.optimizer.learning_rate
            found.append((callback.best, callback.wait, model.stop_training, pytest.approx(rate)))
        assert found[0] == found[1], name


def test_checkpoints_wait_for_the_next_validation(tmp_path):
    """Keras saves an epoch without validation over the best one."""
    make = lambda: cb.ModelCheckpoint(tmp_path / "{epoch}", save_best_only=True)  # noqa: E731
    watched(make)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["2"]  # at a rate of 0 the first is the best


def test_a_file_name_with_a_validation_waits_too(tmp_path):
    watched(lambda: cb.ModelCheckpoint(tmp_path / "{epoch}-{val_mae:.0f}"), epochs=4)
    watched(lambda: cb.ModelCheckpoint(tmp_path / "every" / "{epoch}"), epochs=4)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["2-1", "4-1", "every"]
    assert len(list((tmp_path / "every").iterdir())) == 4


@pytest.mark.parametrize("freq", [9, [9, 20], []])
def test_where_no_epoch_is_validated_there_is_nothing_to_wait_for(freq):
    with pytest.raises(OptionError, match=r"no 'val_loss' to watch.*validation_freq that some epoch meets"):
        watched(cb.EarlyStopping, validation_freq=freq)


def test_a_name_that_no_validation_has_is_still_an_error():
    with pytest.raises(OptionError, match="no 'val_accuracy' to watch"):
        watched(lambda: cb.EarlyStopping("val_accuracy"))


def test_a_value_that_a_callback_of_ones_own_adds_now_and_then():
    class Adds(cb.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if "val_loss" in logs:
                logs["val_extra"] = float(epoch)

    stop = cb.EarlyStopping("val_extra", mode="min", patience=2)
    record = ours().fit(
        X, Y, epochs=8, verbose=0, callbacks=[Adds(), stop], validation_data=(X, Y), validation_freq=2
    )
    assert record.epoch[-1] == 5 and record.history["val_extra"] == [1.0, 3.0, 5.0]
    with pytest.raises(OptionError, match="no 'extra' to watch"):  # nothing says when that one comes
        ours().fit(X, Y, verbose=0, callbacks=[Adds(), cb.EarlyStopping("extra", mode="min")])
