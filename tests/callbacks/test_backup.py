"""A training that was killed ends, bit for bit, where it would have ended without."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nnx
from nnx import callbacks as cb
from nnx.callbacks import BackupAndRestore, LambdaCallback
from nnx.errors import FileFormatError, OptionError
from nnx.layers import Dense, Dropout, GaussianNoise

random = np.random.default_rng(0)
X = random.standard_normal((40, 3)).astype("float32")
Y = (X @ np.asarray([[1.0], [-2.0], [0.5]]) + 0.1).astype("float32")
STEPS = 5  # batches of 8


class Killed(Exception):
    """The interruption."""


def network(backend=None, optimizer="adam", seed=1, metrics=("mae",), loss="mse", **options):
    layers = [Dense(6, "relu", input_shape=(3,)), GaussianNoise(0.1), Dropout(0.3), Dense(1)]
    if optimizer not in ("adam", "sgd") and isinstance(optimizer, str):
        layers = [Dense(4, "tanh", input_shape=(3,)), Dense(1)]
    model = nnx.Sequential(layers, backend=backend, seed=seed, **options)
    model.compile(optimizer, loss, metrics=list(metrics))
    return model


def kill_at(epoch, batch=None):
    """A callback that interrupts training before an epoch (or after one of its batches)."""
    at = [-1]

    def begins(now, logs):
        at[0] = now
        if batch is None and now == epoch:
            raise Killed

    def after(now, logs):
        if (at[0], now) == (epoch, batch):
            raise Killed

    return LambdaCallback(on_epoch_begin=begins, on_train_batch_end=after)


def fit(model, callbacks, epochs=6, **options):
    options = {"batch_size": 8, "validation_data": (X[:16], Y[:16]), **options}
    return model.fit(X, Y, epochs=epochs, verbose=0, callbacks=callbacks, **options)


def continued(make, folder, kill, others=list, save_freq="epoch", **options):
    """The model and history of a training that is killed (perhaps more than once), and of one that is not."""
    whole = make()
    expected = fit(whole, others(), **options)
    for interruption in (*kill, None):
        model = make()
        callbacks = [BackupAndRestore(folder, save_freq), *others()]
        if interruption is None:
            found = fit(model, callbacks, **options)
        else:
            with pytest.raises(Killed):
                fit(model, [*callbacks, kill_at(*interruption)], **options)
    return model, found, whole, expected


def assert_same(model, found, whole, expected, first):
    for mine, theirs in zip(model.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    mine, theirs = model.trainer.state, whole.trainer.state
    assert mine.numbers() == theirs.numbers()
    for name, vector in theirs.vectors().items():
        np.testing.assert_array_equal(nnx.to_numpy(mine.vectors()[name]), nnx.to_numpy(vector))
    assert found.epoch == expected.epoch[first:]
    for name, values in expected.history.items():
        if name != "evaluations":
            assert found.history[name] == values[first:], name


KILLS = [
    ([(3,)], "epoch", 3),
    ([(3, 2)], "epoch", 3),
    ([(0, 2)], "epoch", 0),
    ([(2,), (4, 1)], "epoch", 4),
    ([(3, 3)], 1, 3),
    ([(2, 3)], 3, 2),  # in the middle of an epoch, and of what lies between two backups
    ([(1, 1), (4, 4)], 7, 4),
    ([(5, STEPS - 1)], 5, 5),
    ([(1, 0)], 1000, 0),  # before there is a backup
]


@pytest.mark.parametrize(("kill", "save_freq", "first"), KILLS)
def test_it_goes_on_bit_for_bit(kill, save_freq, first, tmp_path):
    """Shuffles, dropout, noise, the running means of the epoch, validation."""
    folder = tmp_path / "backup"
    ran = continued(network, folder, kill, save_freq=save_freq)
    assert_same(*ran, first)
    assert not folder.exists()


@pytest.mark.parametrize("save_freq", ["epoch", 3])
def test_on_every_backend(save_freq, backend, tmp_path):
    assert_same(*continued(lambda: network(backend), tmp_path / "b", [(2, 3)], save_freq=save_freq), 2)


def schedule(name):
    makers = {
        "decay": lambda: nnx.optimizers.SGD(nnx.optimizers.schedules.ExponentialDecay(0.01, 3, 0.9), 0.9),
        "ema": lambda: nnx.optimizers.Adam(use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=7),
        "own rule": lambda: nnx.optimizers.SGD(lambda step: 0.1 / (1 + step)),
    }
    return makers[name]()


@pytest.mark.parametrize("name", ["decay", "ema", "own rule"])
@pytest.mark.parametrize("save_freq", ["epoch", 2])
def test_schedules_and_averages(name, save_freq, tmp_path):
    make = lambda: network(optimizer=schedule(name))  # noqa: E731
    assert_same(*continued(make, tmp_path / "b", [(3, 2)], save_freq=save_freq), 3)


class Lower(cb.Callback):
    """Lowers the rate after each batch."""

    def on_train_batch_end(self, batch, logs=None):
        self.model.optimizer.learning_rate *= 0.9


OTHERS = {
    "early stopping": lambda: [cb.EarlyStopping("loss", patience=2, min_delta=10.0)],
    "best weights": lambda: [cb.EarlyStopping(patience=9, restore_best_weights=True)],
    "plateau": lambda: [cb.ReduceLROnPlateau("loss", patience=2, min_delta=10.0, cooldown=1, factor=0.5)],
    "scheduler": lambda: [cb.LearningRateScheduler(lambda epoch, rate: rate * 0.7)],
    "rates of batches": lambda: [Lower(), cb.LearningRateScheduler(lambda epoch, rate: rate * 1.5)],
    "step norm": lambda: [cb.StopOnStepNorm(1e-9)],
    "goal and gradient": lambda: [cb.StopOnGoal(1e-9), cb.StopOnGradientNorm(1e-9)],
}


@pytest.mark.parametrize("save_freq", ["epoch", 2])
@pytest.mark.parametrize("name", OTHERS)
def test_what_other_callbacks_remember_goes_on_too(name, save_freq, backend, tmp_path):
    ran = continued(lambda: network(backend), tmp_path / "b", [(2, 3)], OTHERS[name], save_freq, epochs=5)
    ended = ran[3].epoch[-1] + 1
    assert ended == (3 if name == "early stopping" else 5)
    assert_same(*ran, 2)
    assert ran[1].reason == ran[3].reason


@pytest.mark.parametrize("name", ["bfgs", "levenberg_marquardt", "scaled_conjugate_gradient", "irprop_plus"])
def test_methods_on_all_data(name, tmp_path):
    make = lambda: network(optimizer=name, dtype="float64")  # noqa: E731
    options = {"batch_size": None, "epochs": 12}
    assert_same(*continued(make, tmp_path / "b", [(4,), (7, 0)], save_freq=1, **options), 7)


def test_a_seed_that_nobody_chose_goes_on(tmp_path):
    """In a new process the model has another seed: weights, shuffles and masks are those of the backup."""
    first, second = (network(seed=None) for _ in range(2))
    assert first.seed != second.seed
    twin = network(seed=first.seed)
    fit(twin, [])
    with pytest.raises(Killed):
        fit(first, [BackupAndRestore(tmp_path / "b"), kill_at(3, 2)])
    fit(second, [BackupAndRestore(tmp_path / "b")])
    assert second.seed == twin.seed
    for mine, theirs in zip(second.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("built", [True, False])
def test_a_model_need_not_be_built(built, tmp_path):
    """Keras refuses a model that is not."""

    def make():
        layers = [Dense(4, "relu"), Dropout(0.5), Dense(1)]
        model = nnx.Sequential(layers, seed=3)
        model.compile("adam", "mse")
        if built:
            model.build((3,))
        return model

    assert_same(*continued(make, tmp_path / "b", [(3, 1)]), 3)


def test_the_place_in_the_list_is_of_no_importance(tmp_path):
    """A rate that another callback sets at the end of an epoch is in the backup of that epoch."""
    runs = []
    for backup_first in (True, False):
        others = OTHERS["plateau"]()
        for kill in ([kill_at(2)], []):
            backup = [BackupAndRestore(tmp_path / "b")]
            callbacks = [*backup, *others, *kill] if backup_first else [*kill, *others, *backup]
            model = network()
            try:
                runs.append(fit(model, callbacks).history["learning_rate"])
            except Killed:
                others = OTHERS["plateau"]()
    assert runs[0] == runs[1]


def test_the_backups_epoch_takes_the_place_of_initial_epoch(tmp_path):
    with pytest.raises(Killed):
        fit(network(), [BackupAndRestore(tmp_path / "b"), kill_at(3)])
    assert fit(network(), [BackupAndRestore(tmp_path / "b")], initial_epoch=1).epoch == [3, 4, 5]
    assert fit(network(), [BackupAndRestore(tmp_path / "b")], initial_epoch=4).epoch == [4, 5]


def test_validated_epochs_are_those_of_the_whole_training(tmp_path):
    with pytest.raises(Killed):
        fit(network(), [BackupAndRestore(tmp_path / "b"), kill_at(1)], validation_freq=2)
    found = fit(network(), [BackupAndRestore(tmp_path / "b")], validation_freq=2, initial_epoch=4)
    assert found.epoch == [1, 2, 3, 4, 5] and len(found.history["val_loss"]) == 3


def test_a_kept_backup_has_nothing_left_to_do_until_there_are_more_epochs(tmp_path):
    keep = lambda: [BackupAndRestore(tmp_path / "b", delete_checkpoint=False)]  # noqa: E731
    whole = network()
    fit(whole, [], epochs=5)
    fit(network(), keep(), epochs=3)
    model = network()
    record = fit(model, keep(), epochs=3)
    assert record.epoch == [] and record.reason == "The last epoch is done."
    assert fit(model, keep(), epochs=5).epoch == [3, 4]
    for mine, theirs in zip(model.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_training_that_had_been_stopped_stays_stopped(tmp_path):
    """Killed between its last epoch and the end of fit."""
    die = LambdaCallback(on_train_end=lambda logs: (_ for _ in ()).throw(Killed))
    stop = lambda: cb.EarlyStopping("loss", patience=1, min_delta=10.0)  # noqa: E731
    with pytest.raises(Killed):
        fit(network(), [BackupAndRestore(tmp_path / "b"), die, stop()])
    record = fit(network(), [BackupAndRestore(tmp_path / "b"), stop()])
    assert record.epoch == [] and record.reason.startswith("'loss' has not improved for 1 epoch")


def test_one_more_callback_begins_anew_and_one_less_is_no_harm(tmp_path):
    stop = lambda: cb.EarlyStopping("loss", patience=50)  # noqa: E731
    with pytest.raises(Killed):
        fit(network(), [BackupAndRestore(tmp_path / "b"), stop(), cb.StopOnGoal(0.0), kill_at(2)])
    more = [stop(), stop()]
    fit(network(), [BackupAndRestore(tmp_path / "b"), *more])
    assert more[0].best_epoch is not None and more[1].best_epoch >= 2


def test_a_callback_of_ones_own_is_remembered(tmp_path):
    class Counts(cb.Callback):
        remembers = ("seen", "last")

        def on_train_begin(self, logs=None):
            self.seen, self.last = [], None

        def on_epoch_end(self, epoch, logs=None):
            self.seen.append({"epoch": epoch, "loss": logs["loss"]})
            self.last = np.full((2,), epoch)

    with pytest.raises(Killed):
        fit(network(), [BackupAndRestore(tmp_path / "b"), Counts(), kill_at(3)])
    own = Counts()
    fit(network(), [BackupAndRestore(tmp_path / "b"), own])
    assert [entry["epoch"] for entry in own.seen] == [0, 1, 2, 3, 4, 5]
    own.last = print
    with pytest.raises(OptionError, match=r"backup/callbacks/Counts/0/last is .*cannot keep: it keeps num"):
        BackupAndRestore.on_epoch_end(_begun(tmp_path / "c", own), 0)


def _begun(folder, *others):
    backup = BackupAndRestore(folder)
    backup.set_params({"steps": 1})
    backup.set_model(network())
    backup.others = others
    return backup


def test_what_is_not_registered_can_be_backed_up(tmp_path):
    """A checkpoint of the model would need its layers, losses and metrics by name; a backup does not."""
    make = lambda: network(loss=lambda y, p: (y - p) ** 2, metrics=[lambda y, p: abs(y - p)])  # noqa: E731
    assert_same(*continued(make, tmp_path / "b", [(3, 2)], save_freq=2), 3)


# -- the folder -------------------------------------------------------------------------------------------


def test_nothing_but_the_backup_is_deleted(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    fit(network(), [BackupAndRestore(tmp_path)])
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_the_folder_is_made_with_those_above_it(tmp_path):
    folder = tmp_path / "a" / "b"
    seen = []
    look = LambdaCallback(on_epoch_begin=lambda epoch, logs: seen.append(sorted(os.listdir(folder))))
    fit(network(), [BackupAndRestore(folder), look], epochs=2)
    assert seen == [[], ["training.safetensors"]]
    assert not folder.exists()


def test_two_backups_are_kept_with_double_checkpoint(tmp_path):
    with pytest.raises(Killed):
        fit(network(), [BackupAndRestore(tmp_path, double_checkpoint=True), kill_at(3)])
    assert sorted(os.listdir(tmp_path)) == ["previous.safetensors", "training.safetensors"]
    (tmp_path / "training.safetensors").write_bytes(b"damaged")
    model, whole = network(), network()
    fit(whole, [])
    with pytest.warns(UserWarning, match=r"not a whole safetensors file.*The backup before it is taken"):
        record = fit(model, [BackupAndRestore(tmp_path, double_checkpoint=True)])
    assert record.epoch == [2, 3, 4, 5]
    for mine, theirs in zip(model.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_the_first_of_two_is_enough(tmp_path):
    """Killed after the last backup was set aside, and before the next one was there."""
    with pytest.raises(Killed):
        fit(network(), [BackupAndRestore(tmp_path, double_checkpoint=True), kill_at(3)])
    (tmp_path / "training.safetensors").unlink()
    assert fit(network(), [BackupAndRestore(tmp_path)]).epoch == [2, 3, 4, 5]


# -- what does not fit ------------------------------------------------------------------------------------


def unchanged(model, call):
    """``call()`` raises and leaves the weights, the optimizer's state and the seed as they were."""
    before, seed, built = model.get_weights() if model.built else None, model.seed, model.built
    with pytest.raises((OptionError, FileFormatError)) as caught:
        call()
    assert (model.seed, model.built) == (seed, built)
    if built:
        for mine, theirs in zip(model.get_weights(), before, strict=True):
            np.testing.assert_array_equal(mine, theirs)
        assert model.optimizer.iterations == 0
    return str(caught.value) + " ".join(getattr(caught.value, "__notes__", []))


def others(kind):
    if kind == "layers":
        model = nnx.Sequential([Dense(6, "relu", input_shape=(3,), name="other"), Dense(1)])
    elif kind == "shapes":
        model = nnx.Sequential([Dense(7, "relu", input_shape=(3,)), Dense(1)])
    elif kind == "not built":
        model = nnx.Sequential([Dense(7, "relu"), Dense(1)])
    else:
        model = network(dtype="float64" if kind == "dtype" else None)
    optimizers = {"optimizer": "sgd", "options": nnx.optimizers.Adam(use_ema=True)}
    model.compile(optimizers.get(kind, "adam"), "mse")
    return model


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("layers", "lacks .*other/kernel"),
        ("shapes", r"'dense/kernel' has shape \(3, 7\) in the model, \(3, 6\) in the file"),
        ("not built", r"\(3, 7\) in the model"),
        ("dtype", "its dtype was float32, here it is float64"),
        ("optimizer", "its optimizer was Adam, here it is SGD"),
        ("options", "not a state of Adam with these options: it lacks .*ema"),
    ],
)
def test_the_backup_of_another_model_is_refused(kind, words, tmp_path):
    import re

    with pytest.raises(Killed):
        fit(network(), [BackupAndRestore(tmp_path / "b"), kill_at(2)])
    model, log = others(kind), tmp_path / "log.csv"
    log.write_text("mine")
    said = unchanged(model, lambda: fit(model, [cb.CSVLogger(log), BackupAndRestore(tmp_path / "b")]))
    assert re.search(f"BackupAndRestore: .* holds the backup of another training: .*{words}", said)
    assert "Choose another backup_dir, or delete this one" in said
    assert log.read_text() == "mine"  # nothing of the training had begun
    assert fit(network(), [BackupAndRestore(tmp_path / "b")]).epoch == [2, 3, 4, 5]


def test_batches_of_another_number_are_refused_in_the_middle_of_an_epoch(tmp_path):
    for save_freq, epoch in ((3, 0), ("epoch", 1)):
        with pytest.raises(Killed):
            fit(network(), [BackupAndRestore(tmp_path / "b", save_freq), kill_at(epoch, 3)])
        if save_freq == 3:
            model, backup = network(), BackupAndRestore(tmp_path / "b", 3)
            said = unchanged(model, lambda: fit(model, [backup], batch_size=10))  # noqa: B023
            assert "it stopped in an epoch of 5 batches, now an epoch has 4" in said
    assert fit(network(), [BackupAndRestore(tmp_path / "b")], batch_size=10).epoch[-1] == 5


@pytest.mark.parametrize("damage", ["empty", "cut", "other file", "no notes", "model file"])
def test_a_damaged_backup_is_an_error(damage, tmp_path):
    with pytest.raises(Killed):
        fit(network(), [BackupAndRestore(tmp_path / "b"), kill_at(2)])
    file = tmp_path / "b" / "training.safetensors"
    data = file.read_bytes()
    if damage == "model file":
        network().save(file)
    elif damage == "no notes":
        network().save_training(file, {}, {})
    else:
        texts = {"empty": b"", "cut": data[: len(data) // 2], "other file": b"epoch,loss\n" * 9}
        file.write_bytes(texts[damage])
    model = network()
    said = unchanged(model, lambda: fit(model, [BackupAndRestore(tmp_path / "b")]))
    assert "To begin anew delete the folder" in said


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "b").write_text("mine")
    model = network()
    assert "is a file, no folder" in unchanged(model, lambda: fit(model, [BackupAndRestore(tmp_path / "b")]))


def test_two_of_them_are_refused(tmp_path):
    two = [BackupAndRestore(tmp_path / "a"), BackupAndRestore(tmp_path / "b")]
    with pytest.raises(OptionError, match="two BackupAndRestore"):
        fit(network(), two)


def test_the_file_holds_the_weights_for_others_too(tmp_path):
    with pytest.raises(Killed):
        fit(network(), [BackupAndRestore(tmp_path), kill_at(2)])
    model = network(seed=9)
    model.load_weights(tmp_path / "training.safetensors")
    with pytest.raises(FileFormatError, match="holds weights but no model"):
        nnx.load_model(tmp_path / "training.safetensors")


# -- as Keras ---------------------------------------------------------------------------------------------


def test_epochs_are_those_of_keras(keras, tmp_path):
    """Which epochs the second call of fit makes, and what is left behind."""

    def run(library, make, folder, **options):
        callback = library.callbacks.BackupAndRestore(str(folder), **options)

        class Interrupt(library.callbacks.Callback):
            def on_epoch_begin(self, epoch, logs=None):
                if epoch == 3:
                    raise Killed

        with pytest.raises(Killed):
            make().fit(X, Y, epochs=5, batch_size=8, verbose=0, callbacks=[callback, Interrupt()])
        record = make().fit(X, Y, epochs=5, batch_size=8, verbose=0, callbacks=[callback])
        return record.epoch, folder.exists()

    def theirs():
        model = keras.Sequential([keras.layers.Dense(1)])
        model.build((None, 3))
        model.compile("sgd", "mse")
        return model

    for i, options in enumerate([{}, {"delete_checkpoint": False}, {"double_checkpoint": True}]):
        ours = run(nnx, network, tmp_path / f"ours{i}", **options)
        assert ours == run(keras, theirs, tmp_path / f"theirs{i}", **options)


def test_arguments_are_those_of_keras(keras):
    import inspect

    kinds = (BackupAndRestore, keras.callbacks.BackupAndRestore)
    ours, theirs = ([(p.name, p.default) for p in inspect.signature(k).parameters.values()] for k in kinds)
    assert ours == theirs


# -- killed for good ----------------------------------------------------------------------------------------

PROGRAM = """
import json, os, signal, sys
sys.path.insert(0, {tests!r})
from callbacks.test_backup import X, Y, network, fit
import nnx
from nnx import callbacks as cb

at = json.loads(sys.argv[1])
save_freq, folder, end = json.loads(sys.argv[2]), sys.argv[3], sys.argv[4]

class Kill(cb.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
    def on_train_batch_end(self, batch, logs=None):
        if [self.epoch, batch] == at:
            os.kill(os.getpid(), signal.SIGKILL)

if at == "while saving":
    saved = []
    sync = os.fsync
    def fsync(file):
        saved.append(1)
        if len(saved) == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        sync(file)
    os.fsync = fsync

rate = nnx.optimizers.schedules.ExponentialDecay(0.01, 10, 0.9)
model = network(optimizer=nnx.optimizers.Adam(rate))
stop = cb.EarlyStopping(patience=20, restore_best_weights=True)
backup = cb.BackupAndRestore(folder, save_freq)
record = fit(model, [backup, stop, Kill()], validation_freq=2)
model.save(end)
print(json.dumps([record.epoch, record.history]))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL on Windows")
@pytest.mark.parametrize(
    ("kill", "save_freq", "first"), [([3, 2], "epoch", 3), ([3, 2], 2, 3), ("while saving", "epoch", 3)]
)
def test_killed_by_the_system(kill, save_freq, first, tmp_path):
    def run(at, folder, end):
        code = PROGRAM.format(tests=str(Path(__file__).parents[1]))
        arguments = [json.dumps(at), json.dumps(save_freq), str(folder), str(end)]
        command = [sys.executable, "-c", code, *arguments]
        root = Path(nnx.__file__).parents[1]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=root, timeout=300)

    whole = run(None, tmp_path / "other", tmp_path / "whole.safetensors")
    assert whole.returncode == 0, whole.stderr
    folder, end = tmp_path / "b", tmp_path / "continued.safetensors"
    killed = run(kill, folder, end)
    assert killed.returncode == -signal.SIGKILL and not end.exists(), killed.stderr
    parts = [p.name for p in folder.iterdir() if p.name.endswith(".part")]
    assert len(parts) == (kill == "while saving")
    again = run(None, folder, end)
    assert again.returncode == 0, again.stderr
    assert not folder.exists()  # with what the killed save had left
    assert end.read_bytes() == (tmp_path / "whole.safetensors").read_bytes()
    (epochs, history), (all_epochs, full) = (json.loads(r.stdout) for r in (again, whole))
    assert epochs == all_epochs[first:]
    assert history["loss"] == full["loss"][first:]
    assert history["val_loss"] == full["val_loss"][-len(history["val_loss"]) :]
