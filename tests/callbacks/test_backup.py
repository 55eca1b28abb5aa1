"""A training that was killed ends, bit for bit, where it would have ended without."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from callbacks.interrupted import STEPS, Killed, assert_same, continued, fit, kill_at, network

import nnx
from nnx import callbacks as cb
from nnx.callbacks import BackupAndRestore, LambdaCallback
from nnx.errors import OptionError
from nnx.layers import Dense, Dropout

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


def test_a_stop_in_the_middle_of_an_epoch_is_made_again(tmp_path):
    """Killed between the batch that ended the training and the end of its epoch."""

    class Stops(cb.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = self.model.optimizer.iterations == 8

    def killed(logs):
        if model.optimizer.iterations == 8:
            raise Killed

    whole, model = network(), network()
    expected = fit(whole, [Stops()])
    with pytest.raises(Killed):
        fit(model, [BackupAndRestore(tmp_path / "b", 1), Stops(), LambdaCallback(on_test_begin=killed)])
    model = network()
    found = fit(model, [BackupAndRestore(tmp_path / "b", 1), Stops()])
    assert expected.epoch == [0, 1]
    assert_same(model, found, whole, expected, 1)


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


# -- killed for good ----------------------------------------------------------------------------------------

PROGRAM = """
import json, os, signal, sys
sys.path.insert(0, {tests!r})
from callbacks.interrupted import fit, network
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


def run(at, save_freq, folder, end):
    """The program in a process of its own, killed where ``at`` says."""
    code = PROGRAM.format(tests=str(Path(__file__).parents[1]))
    arguments = [json.dumps(at), json.dumps(save_freq), str(folder), str(end)]
    command = [sys.executable, "-c", code, *arguments]
    root = Path(nnx.__file__).parents[1]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=root, timeout=300)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What the program prints and saves where nothing kills it; how often it made backups is not in there."""
    folder = tmp_path_factory.mktemp("undisturbed")
    whole = run(None, "epoch", folder / "b", folder / "whole.safetensors")
    assert whole.returncode == 0, whole.stderr
    return json.loads(whole.stdout), (folder / "whole.safetensors").read_bytes()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL on Windows")
@pytest.mark.parametrize(
    ("kill", "save_freq", "first"), [([3, 2], "epoch", 3), ([3, 2], 2, 3), ("while saving", "epoch", 3)]
)
def test_killed_by_the_system(kill, save_freq, first, tmp_path, undisturbed):
    (all_epochs, full), saved = undisturbed
    folder, end = tmp_path / "b", tmp_path / "continued.safetensors"
    killed = run(kill, save_freq, folder, end)
    assert killed.returncode == -signal.SIGKILL and not end.exists(), killed.stderr
    parts = [p.name for p in folder.iterdir() if p.name.endswith(".part")]
    assert len(parts) == (kill == "while saving")
    again = run(None, save_freq, folder, end)
    assert again.returncode == 0, again.stderr
    assert not folder.exists()  # with what the killed save had left
    assert end.read_bytes() == saved
    epochs, history = json.loads(again.stdout)
    assert epochs == all_epochs[first:]
    assert history["loss"] == full["loss"][first:]
    assert history["val_loss"] == full["val_loss"][-len(history["val_loss"]) :]
