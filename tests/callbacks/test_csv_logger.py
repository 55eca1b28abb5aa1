"""The CSV file: a row for each epoch, whatever happens."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from callbacks.driver import train

from nnx.callbacks import CSVLogger, LambdaCallback
from nnx.errors import OptionError

LOGS = [{"loss": 1.5, "accuracy": 0.25, "val_loss": 2.0}, {"loss": 0.1, "accuracy": 1e-20, "val_loss": 3.0}]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "runs" / "log.csv"


def rows(file, separator=","):
    with open(file, newline="") as stream:
        return list(csv.reader(stream, delimiter=separator))


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_the_file_is_that_of_keras(file, separator, keras):
    train([CSVLogger(file, separator=separator)], LOGS)
    theirs = keras.callbacks.CSVLogger(file.with_name("keras.csv"), separator=separator)
    theirs.on_train_begin()
    for epoch, logs in enumerate(LOGS):
        theirs.on_epoch_end(epoch, logs)
    theirs.on_train_end()
    assert rows(file, separator) == rows(file.with_name("keras.csv"), separator)


def test_numbers_come_back_exactly(file):
    train([CSVLogger(file)], [{"loss": 0.1 + 0.2}])
    assert float(rows(file)[1][1]) == 0.1 + 0.2


def test_there_are_no_columns_for_a_validation_that_is_not_made(file):
    train([CSVLogger(file)], [1.0])
    assert rows(file) == [["epoch", "loss"], ["0", "1.0"]]


def test_each_row_is_written_at_once(file):
    seen = []
    look = LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(len(rows(file))))
    train([CSVLogger(file), look], [1.0, 2.0, 3.0])
    assert seen == [2, 3, 4]


def test_a_second_training_replaces_or_appends(file):
    train([CSVLogger(file)], [1.0, 2.0])
    train([CSVLogger(file)], [3.0])
    assert rows(file) == [["epoch", "loss"], ["0", "3.0"]]
    log = CSVLogger(file, append=True)
    for loss in (4.0, 5.0):
        train([log], [loss], initial_epoch=int(loss))
    assert rows(file)[2:] == [["4", "4.0"], ["5", "5.0"]]


def test_appending_keeps_the_order_of_the_columns(file):
    file.parent.mkdir()
    file.write_text("epoch,val_loss,loss\n0,1.0,2.0\n")
    train([CSVLogger(file, append=True)], [{"loss": 3.0, "val_loss": 4.0}])
    assert rows(file)[-1] == ["0", "4.0", "3.0"]


def test_appending_to_a_file_with_other_columns_is_an_error(file):
    train([CSVLogger(file)], [1.0])
    before = file.read_text()
    with pytest.raises(
        OptionError, match=r"cannot append to .*columns epoch, loss, this training epoch, loss, val_loss"
    ):
        train([CSVLogger(file, append=True)], [{"loss": 3.0, "val_loss": 4.0}])
    assert file.read_text() == before


def test_appending_to_no_file_begins_one(file):
    train([CSVLogger(file, append=True)], [1.0])
    assert rows(file) == [["epoch", "loss"], ["0", "1.0"]]


def test_what_an_epoch_lacks_is_na_and_what_it_has_too_much_is_pointed_out(file):
    train([CSVLogger(file)], [{"loss": 1.0, "extra": 2.0}, {"loss": 1.0}])
    assert rows(file) == [["epoch", "extra", "loss"], ["0", "2.0", "1.0"], ["1", "NA", "1.0"]]
    with pytest.warns(
        UserWarning, match=r"no column for extra, which was logged in epoch 2 and not in the first"
    ):
        train([CSVLogger(file)], [{"loss": 1.0}, {"loss": 1.0, "extra": 2.0}])


def test_arrays_and_words(file):
    train([CSVLogger(file)], [{"counts": np.array([1.0, 2.0]), "name": "a, b", "one": np.array(0.5)}])
    assert rows(file)[1] == ["0", "[1.0, 2.0]", "a, b", "0.5"]


def test_a_file_that_cannot_be_written_is_known_before_training(tmp_path):
    began = []
    with pytest.raises(OSError, match="directory"):
        train([CSVLogger(tmp_path), LambdaCallback(on_epoch_begin=lambda *a: began.append(a))], [1.0])
    assert not began
