"""The CSV file: a row for each epoch, whatever happens."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from callbacks.driver import train

import nnx
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


# -- files as other programs, and interruptions, leave them --------------------------------------------------

HEADER, FIRST, SECOND = "epoch,loss", "0,1.0", "1,0.5"
#: what stands in the file, and what it is after an epoch more
FORMS = {
    "ours": (f"{HEADER}\r\n{FIRST}\r\n", f"{HEADER}\r\n{FIRST}\r\n{SECOND}\r\n"),
    "no last newline": (f"{HEADER}\n{FIRST}", f"{HEADER}\n{FIRST}\n{SECOND}\n"),
    "no last newline, CRLF": (f"{HEADER}\r\n{FIRST}", f"{HEADER}\r\n{FIRST}\r\n{SECOND}\r\n"),
    "half a CRLF": (f"{HEADER}\r\n{FIRST}\r", f"{HEADER}\r\n{FIRST}\r\n{SECOND}\r\n"),
    "newlines alone": (f"{HEADER}\n{FIRST}\n", f"{HEADER}\n{FIRST}\n{SECOND}\n"),
    "carriage returns alone": (f"{HEADER}\r{FIRST}\r", f"{HEADER}\r{FIRST}\r{SECOND}\r"),
    "a header": (f"{HEADER}\n", f"{HEADER}\n{SECOND}\n"),
    "a header without newline": (HEADER, f"{HEADER}\r\n{SECOND}\r\n"),
    "a header with half a CRLF": (f"{HEADER}\r", f"{HEADER}\r\n{SECOND}\r\n"),
    "a mark of UTF-8": (f"\ufeff{HEADER}\n{FIRST}\n", f"\ufeff{HEADER}\n{FIRST}\n{SECOND}\n"),
    "empty lines at the end": (f"{HEADER}\n{FIRST}\n\n", f"{HEADER}\n{FIRST}\n\n{SECOND}\n"),
    "quoted": ('"epoch","loss"\n"0","1.0"', f'"epoch","loss"\n"0","1.0"\n{SECOND}\n'),
    "nothing": ("", f"{HEADER}\r\n{SECOND}\r\n"),
    "empty lines": ("\n\n", f"{HEADER}\r\n{SECOND}\r\n"),
}


def appended(file, text, model=None, **options):
    """The text of the file after one epoch (its number is 1) of a real training has been added."""
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(text.encode())
    log = CSVLogger(file, append=True, **options)
    train([log], [0.5], initial_epoch=1)
    return file.read_bytes().decode()


@pytest.mark.parametrize("name", FORMS)
def test_the_form_of_the_file_is_kept(name, file):
    before, after = FORMS[name]
    assert appended(file, before) == after


def test_a_missing_newline_is_added_once(file):
    appended(file, f"{HEADER}\n{FIRST}")
    train([CSVLogger(file, append=True)], [0.25, 0.125], initial_epoch=2)
    assert rows(file) == [["epoch", "loss"], ["0", "1.0"], ["1", "0.5"], ["2", "0.25"], ["3", "0.125"]]


@pytest.mark.parametrize("separator", [";", "\t", "|", "#"])
def test_other_separators_are_appended_with_too(separator, file):
    text = f"epoch{separator}loss\n0{separator}1.0"
    assert appended(file, text, separator=separator) == f"{text}\n1{separator}0.5\n"


def test_an_array_over_several_lines_is_one_row(file):
    train([CSVLogger(file)], [{"loss": 1.0, "matrix": np.arange(60.0).reshape(2, 30)}])
    assert "\n" in rows(file)[1][2]
    train([CSVLogger(file, append=True)], [{"loss": 0.5, "matrix": np.eye(2)}], initial_epoch=1)
    assert [row[:2] for row in rows(file)] == [["epoch", "loss"], ["0", "1.0"], ["1", "0.5"]]


REFUSED = {
    "a cut row": (
        f"{HEADER},mae\n0,1.0,2.0\n1,0.",
        r"its last row, '1,0\.', .*columns epoch, loss, mae: .*cut",
    ),
    "a cut number of the epoch": (f"{HEADER}\n{FIRST}\n1", "its last row, '1', does not have a value"),
    "a cut text": (f'{HEADER}\n0,1.0\n1,"[0.5, ', "it is damaged, or was cut off"),
    "zeros of a lost block": (f"{HEADER}\n{FIRST}\n\0\0\0,\0\0", "its last row, .*does not have a value"),
    "another separator": (
        "epoch;loss\n0;1.0\n",
        r"its separator seems to be ';', not ','\. Say separator=';'",
    ),
    "tabs": ("epoch\tloss\n", r"its separator seems to be '\\t'"),
    "other columns": ("epoch,mae\n0,1.0", "it has the columns epoch, mae, this training epoch, loss"),
    "no columns": ("0.5,1.0\n0.25,2.0\n", "it has the columns 0.5, 1.0, this training"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_go_on_is_refused_before_training_and_stays(name, file):
    text, words = REFUSED[name]
    file.parent.mkdir()
    file.write_bytes(text.encode())
    model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(2,))])
    model.compile("sgd", "mse")
    with pytest.raises(OptionError, match=f"(?s)CSVLogger: cannot append to .*log.csv: {words}"):
        model.fit(np.ones((4, 2)), np.ones(4), verbose=0, callbacks=CSVLogger(file, append=True))
    assert model.optimizer.iterations == 0
    assert file.read_bytes() == text.encode()


def test_a_file_that_is_no_text_is_refused(file):
    file.parent.mkdir()
    file.write_bytes(b"epoch,loss\n0,\xff\xfe")
    with pytest.raises(OptionError, match="it is no text in UTF-8"):
        train([CSVLogger(file, append=True)], [1.0])


def test_without_append_any_file_is_replaced(file):
    file.parent.mkdir()
    file.write_bytes(b"\xff\0 cut, off")
    train([CSVLogger(file)], [1.0])
    assert rows(file) == [["epoch", "loss"], ["0", "1.0"]]


def fitted(file, epochs, append=False, validated=True, **options):
    model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(2,))])
    model.compile("sgd", "mse")
    data = np.ones((8, 2)), np.ones(8)
    options |= {"validation_data": data} if validated else {}
    model.fit(*data, epochs=epochs, verbose=0, callbacks=CSVLogger(file, append=append), **options)
    return rows(file)


def test_columns_of_validations_that_come_later(file):
    """Keras makes such columns, and others, for any training."""
    found = fitted(file, 4, validation_freq=2)
    assert found[0] == ["epoch", "loss", "val_loss"]
    assert [row[2] == "NA" for row in found[1:]] == [True, False, True, False]
    again = fitted(file, 6, append=True, initial_epoch=4, validation_freq=[6])
    assert again[:5] == found
    assert [row[2] == "NA" for row in again[5:]] == [True, False]


def test_there_is_no_column_for_a_validation_that_no_epoch_has(file):
    assert fitted(file, 2, validation_freq=3)[0] == ["epoch", "loss"]
    with pytest.raises(
        OptionError, match="it has the columns epoch, loss, this training epoch, loss, val_loss"
    ):
        fitted(file, 2, append=True)


def test_the_case_of_the_lost_newline(file):
    """Two epochs must not end up in one row."""
    fitted(file, 2, validated=False)
    file.write_text(file.read_text().rstrip("\n"))  # an editor, or git, took the last newline off
    found = fitted(file, 4, append=True, validated=False, initial_epoch=2)
    assert [row[0] for row in found] == ["epoch", "0", "1", "2", "3"]
    assert all(len(row) == 2 for row in found)
