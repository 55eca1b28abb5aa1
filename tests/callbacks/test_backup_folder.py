"""The folder of a backup: what is in it, what may be in it, and what is refused."""

from __future__ import annotations

import inspect
import os
import re

import numpy as np
import pytest
from callbacks.interrupted import Killed, X, Y, fit, kill_at, network

import nnx
from nnx import callbacks as cb
from nnx.callbacks import BackupAndRestore, LambdaCallback
from nnx.errors import FileFormatError, OptionError
from nnx.layers import Dense


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
    kinds = (BackupAndRestore, keras.callbacks.BackupAndRestore)
    ours, theirs = ([(p.name, p.default) for p in inspect.signature(k).parameters.values()] for k in kinds)
    assert ours == theirs
