"""The list of callbacks: who is called when, with what, and what is refused."""

from __future__ import annotations

import warnings

import pytest
from callbacks.driver import Running, train

from nnx import callbacks as cb
from nnx.callbacks import Callback, History, LambdaCallback
from nnx.callbacks.base import HOOKS
from nnx.callbacks.given import overridden
from nnx.errors import NnxError, OptionError


class Recorder(Callback):
    """Writes down every call."""

    def __init__(self):
        self.calls = []

    def __getattribute__(self, name):
        if name in HOOKS and "batch_" not in name.replace("train_batch_", ""):
            return lambda *args: self.calls.append((name, *args))
        return super().__getattribute__(name)


def test_every_hook_is_called_in_its_place():
    seen = Recorder()
    train([seen], [3.0, 2.0], steps=2)
    names = [call[0].removeprefix("on_") for call in seen.calls]
    epoch = ["epoch_begin", *["train_batch_begin", "train_batch_end"] * 2, "epoch_end"]
    assert names == ["train_begin", *epoch, *epoch, "train_end"]
    assert seen.calls[-1] == ("on_train_end", {"loss": 2.0})  # the last epoch's logs, as Keras gives them
    batches = [call for call in seen.calls if call[0] == "on_train_batch_end"]
    assert [call[1] for call in batches] == [0, 1, 0, 1]
    assert batches[0][2]["loss"] == 3.0


def test_a_callback_knows_the_model_and_the_parameters():
    seen = Callback()
    model, _ = train(seen, [1.0], steps=7, verbose=0)  # one alone needs no list
    assert seen.model is model
    assert seen.params == {"verbose": 0, "epochs": 1, "steps": 7}


def test_a_subclass_need_not_call_the_constructor_of_its_base():
    class Mine(Callback):
        def __init__(self):
            pass

        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True

    model, run = train([Mine()], [1.0, 2.0])
    assert model.stop_training and run.history.epoch == [0]


def test_hooks_that_nobody_overrides_are_not_called():
    quiet = [
        cb.EarlyStopping("loss"),
        cb.ReduceLROnPlateau("loss"),
        cb.ModelCheckpoint("model"),
        cb.CSVLogger("log.csv"),
        cb.LearningRateScheduler(lambda epoch: 0.1),
        cb.StopOnGradientNorm(0.1),
        cb.StopOnStepNorm(0.1),
        cb.StopOnGoal(0.1),
        cb.TerminateOnNaN(),
        LambdaCallback(on_epoch_end=lambda epoch, logs: None),
        Callback(),
    ]
    quiet += [cb.SwapEMAWeights(swap_on_epoch=True), cb.BackupAndRestore("backup")]
    for callback in quiet:
        for name in ("on_train_batch_begin", "on_train_batch_end"):
            assert overridden(callback, name) is None, (callback, name)


def test_a_hook_may_be_overridden_in_any_of_the_ways_of_python():
    seen = []

    class Mixin:
        def on_train_batch_end(self, batch, logs=None):
            seen.append("mixin")

    class Mixed(Mixin, Callback):
        pass

    class Older(Callback):
        def on_batch_end(self, batch, logs=None):
            seen.append("older name")

    class Both(Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append("newer")
            super().on_train_batch_end(batch, logs)

        def on_batch_end(self, batch, logs=None):
            seen.append("older")

    class Static(Callback):
        @staticmethod
        def on_train_batch_end(batch, logs=None):
            seen.append("static")

    own = Callback()
    own.on_train_batch_end = lambda batch, logs: seen.append("attribute")
    older = LambdaCallback(on_batch_end=lambda batch, logs: seen.append("older attribute"))
    train([Mixed(), Older(), Both(), Static(), own, older], [1.0])
    assert seen == ["mixin", "older name", "newer", "older", "static", "attribute", "older attribute"]


def test_reading_no_numbers_costs_no_look():
    Running.looks = 0
    train([cb.TimeLimit(1e9), LambdaCallback(on_train_batch_end=lambda batch, logs: None)], [1.0], steps=50)
    assert Running.looks == 0


def test_history_is_always_there_and_comes_after_the_others():
    _, run = train(
        [cb.LearningRateScheduler(lambda epoch: 1.0 / (epoch + 1))], [{"loss": 3.0, "val_loss": 4.0}, 2.0]
    )
    assert run.history.history == {"loss": [3.0, 2.0], "val_loss": [4.0], "learning_rate": [1.0, 0.5]}
    assert run.history.epoch == [0, 1]
    assert len(run.history.seconds) == 2 and min(run.history.seconds) >= 0.0


def test_a_history_of_ones_own_is_used_and_starts_anew_in_a_second_training():
    own = History()
    for losses in ([3.0, 2.0], [1.0]):
        _, run = train([own], losses)
        assert run.history is own
        assert own.history == {"loss": losses} and own.epoch == list(range(len(losses)))
    assert sum(isinstance(c, History) for c in run) == 1


def test_history_begins_at_the_initial_epoch():
    _, run = train([], [1.0, 2.0], initial_epoch=5)
    assert run.history.epoch == [5, 6]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (
            [cb.EarlyStopping],
            r"callbacks\[0\].*the class EarlyStopping itself: write EarlyStopping\(\.\.\.\)",
        ),
        (cb.History, "the class History itself"),
        ([Callback(), 3], r"callbacks\[1\] must be a callback, got 3"),
        ([print], "the function .*LambdaCallback"),
        ([None], "got None"),
        ("early", "got 'early'"),
        ({"a": 1}, "got {'a': 1}"),
        ([dict], "the class dict itself"),
        ([[cb.History()]], r"got \["),
    ],
)
def test_what_is_no_callback_is_refused(wrong, words):
    with pytest.raises(OptionError, match=words):
        train(wrong, [1.0])


def test_the_same_callback_twice_is_refused():
    stop = cb.EarlyStopping()
    with pytest.raises(OptionError, match=r"callbacks\[1\] \(EarlyStopping\) is in the list twice"):
        train([stop, stop], [1.0])


def test_keras_own_callbacks_are_pointed_to_ours(keras):
    with pytest.raises(OptionError, match=r"Keras' own EarlyStopping: take the one of nnx\.callbacks"):
        train([keras.callbacks.EarlyStopping()], [1.0])


def test_a_method_that_only_looks_like_a_hook_is_pointed_out():
    class Misspelt(Callback):
        def on_epochs_end(self, epoch, logs=None):
            pass

    with pytest.warns(UserWarning, match=r"Misspelt.on_epochs_end is never called.*on_epoch_end"):
        train([Misspelt()], [1.0])


def test_sound_callbacks_warn_of_nothing(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train([cb.EarlyStopping("loss"), cb.CSVLogger(tmp_path / "log.csv"), Callback()], [1.0])


def test_a_list_may_be_given_as_callbacks():
    stop = cb.EarlyStopping("loss", patience=1)
    given = cb.CallbackList([stop], add_history=True)
    model, run = train(given, [1.0, 2.0, 3.0])
    assert [*run] == [stop, given.history] and run.history is given.history
    assert model.stop_training and given.history.epoch == [0, 1]


def test_an_error_in_a_callback_comes_through():
    def fails(epoch, logs):
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        train([LambdaCallback(on_epoch_end=fails)], [1.0])


def test_lambda_callback_calls_each_function():
    seen = []
    hooks = [name for name in HOOKS if "_batch_" not in name.replace("train_batch", "")]

    def note(name):
        return lambda *args: seen.append((name, len(args)))

    train([LambdaCallback(**{name: note(name) for name in hooks})], [1.0])
    assert seen == [
        ("on_train_begin", 1),
        ("on_epoch_begin", 2),
        ("on_train_batch_begin", 2),
        ("on_train_batch_end", 2),
        ("on_epoch_end", 2),
        ("on_train_end", 1),
    ]


@pytest.mark.parametrize(
    ("hooks", "words"),
    [
        ({"on_epochs_end": print}, "no hook 'on_epochs_end'. Hooks: .*on_epoch_end"),
        ({"set_model": print}, "no hook 'set_model'"),
        ({"on_epoch_end": 3}, "on_epoch_end must be a function, got 3"),
    ],
)
def test_lambda_callback_refuses(hooks, words):
    with pytest.raises(OptionError, match=words):
        LambdaCallback(**hooks)


def test_every_public_callback_is_documented_with_an_example():
    for name in cb.__all__:
        kind = getattr(cb, name)
        assert kind.__doc__, name
        if issubclass(kind, Callback) and kind not in (cb.StoppingRule, cb.ProgressBar, cb.EpochLines):
            assert ">>>" in kind.__doc__, name


WRONG_OPTIONS = [
    (cb.EarlyStopping, {"patience": -1}, "patience must be a whole number >= 0, got -1"),
    (cb.EarlyStopping, {"patience": 1.5}, "patience"),
    (cb.EarlyStopping, {"min_delta": float("nan")}, "min_delta"),
    (cb.EarlyStopping, {"baseline": "low"}, "baseline"),
    (cb.EarlyStopping, {"start_from_epoch": -1}, "start_from_epoch"),
    (cb.EarlyStopping, {"mode": "down"}, "mode must be one of 'auto', 'min', 'max', got 'down'"),
    (cb.EarlyStopping, {"monitor": 3}, "monitor must be a name such as 'val_loss', got 3"),
    (
        cb.EarlyStopping,
        {"monitor": "charm"},
        "the name 'charm' does not tell whether high or low.*mode='max'",
    ),
    (cb.ReduceLROnPlateau, {"factor": 1.0}, "factor must be a finite number > 0 and < 1, got 1.0"),
    (cb.ReduceLROnPlateau, {"factor": 0.0}, "factor"),
    (cb.ReduceLROnPlateau, {"min_lr": -1e-3}, "min_lr"),
    (cb.ReduceLROnPlateau, {"cooldown": -1}, "cooldown"),
    (cb.ReduceLROnPlateau, {"patience": True}, "patience"),
    (
        cb.ModelCheckpoint,
        {"filepath": "a", "save_freq": "batch"},
        "save_freq must be 'epoch' or a whole number of batches, got 'batch'",
    ),
    (cb.ModelCheckpoint, {"filepath": "a", "save_freq": 0}, "save_freq must be a whole number >= 1, got 0"),
    (cb.ModelCheckpoint, {"filepath": "a", "monitor": "charm", "save_best_only": True}, "charm"),
    (cb.LearningRateScheduler, {"schedule": 0.1}, "schedule must be a function of the epoch.*got 0.1"),
    (cb.CSVLogger, {"filename": "a", "separator": ", "}, "separator must be one character.*got ', '"),
    (
        cb.StopOnGradientNorm,
        {"threshold": -1.0},
        "StopOnGradientNorm: threshold must be a finite number >= 0, got -1",
    ),
    (
        cb.StopOnStepNorm,
        {"threshold": 1.0, "every": "step"},
        "every must be one of 'epoch', 'batch', got 'step'",
    ),
    (cb.StopOnGoal, {"goal": float("nan")}, "goal"),
    (cb.StopOnGoal, {"goal": 1.0, "monitor": "charm"}, "StopOnGoal: the name 'charm'"),
    (cb.CSVLogger, {"filename": "a", "separator": '"'}, "neither a quote nor the end of a line"),
    (cb.CSVLogger, {"filename": "a", "separator": "\n"}, "neither a quote nor the end of a line"),
    (cb.CSVLogger, {"filename": 3}, "CSVLogger: filename must be a path, got 3"),
    (cb.CSVLogger, {"filename": "a", "append": "yes"}, "append must be True or False, got 'yes'"),
    (cb.ModelCheckpoint, {"filepath": ""}, "ModelCheckpoint: filepath must be a path, got ''"),
    (cb.ModelCheckpoint, {"filepath": "a", "save_best_only": 1}, "save_best_only must be True or False"),
    (cb.EarlyStopping, {"restore_best_weights": None}, "restore_best_weights must be True or False"),
    (cb.TerminateOnNaN, {"raise_error": 1}, "raise_error must be True or False, got 1"),
    (cb.SwapEMAWeights, {"swap_on_epoch": 2}, "swap_on_epoch must be True or False, got 2"),
    (cb.BackupAndRestore, {"backup_dir": ""}, "BackupAndRestore: backup_dir must be a path, got ''"),
    (cb.BackupAndRestore, {"backup_dir": "a", "save_freq": False}, "save_freq must be a whole number >= 1"),
    (cb.BackupAndRestore, {"backup_dir": "a", "save_freq": "batch"}, "save_freq must be 'epoch' or a whole"),
    (cb.BackupAndRestore, {"backup_dir": "a", "double_checkpoint": 1}, "double_checkpoint must be True or F"),
    (cb.BackupAndRestore, {"backup_dir": "a", "delete_checkpoint": 0}, "delete_checkpoint must be True or F"),
    (cb.TimeLimit, {"seconds": 0}, "seconds must be a finite number > 0, got 0"),
]


@pytest.mark.parametrize(
    ("kind", "options", "words"), WRONG_OPTIONS, ids=lambda x: getattr(x, "__name__", str(x))
)
def test_options_are_checked_when_they_are_given(kind, options, words):
    with pytest.raises(OptionError, match=words) as caught:
        kind(**options)
    assert isinstance(caught.value, NnxError)
