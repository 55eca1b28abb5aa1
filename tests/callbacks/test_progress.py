"""What training prints: a bar in a terminal, lines in a file, and never too much of it."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import time
from contextlib import closing

import numpy as np
import pytest
import tqdm
from callbacks.driver import FakeModel, Running, train

from nnx.callbacks import CallbackList, EpochLines, LambdaCallback, ProgressBar

LOGS = {"loss": 0.05123, "accuracy": 0.98431, "val_loss": 0.0758, "val_accuracy": 0.98}


class Screen(io.StringIO):
    """A terminal of 80 columns that keeps what was written."""

    encoding = "utf-8"

    def isatty(self):
        return True

    def __enter__(self):
        # Not in the fixture: pytest puts its own stdout in place between a fixture and its test.
        self.before, sys.stdout = sys.stdout, self
        return self

    def __exit__(self, *error):
        sys.stdout = self.before

    def lines(self):
        """What can be read in the end: a carriage return goes back, later text covers earlier text."""
        shown = []
        for line in self.getvalue().split("\n"):
            cells: list[str] = []
            for part in line.split("\r"):
                cells[: len(part)] = part
            shown.append("".join(cells).rstrip())
        return [line for line in shown if line]

    def pictures(self):
        """Every state of the bar."""
        return [part.rstrip() for part in re.split("[\r\n]", self.getvalue()) if "|" in part]


class Clock:
    def __init__(self):
        self.now = 1000.0

    def tick(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    for module, name in ((time, "perf_counter"), (time, "time"), (tqdm.std, "time")):
        monkeypatch.setattr(module, name, lambda: clock.now)
    return clock


@pytest.fixture
def screen(monkeypatch):
    """``with screen:`` prints go to it."""
    monkeypatch.setenv("COLUMNS", "80")
    return Screen()


def steps_of(clock, seconds):
    return LambdaCallback(on_train_batch_end=lambda batch, logs: clock.tick(seconds))


def test_a_line_for_each_epoch_in_a_file(clock, capsys):
    train([steps_of(clock, 0.41)], [LOGS] * 2, steps=10, verbose=1)
    line = "4.1s loss=0.0512 accuracy=0.9843 val_loss=0.0758 val_accuracy=0.9800"
    assert capsys.readouterr().out == f"Epoch 1/2 {line}\nEpoch 2/2 {line}\n"


def test_a_file_is_not_read_to_from_the_device(clock, capsys):
    Running.looks = 0
    train([steps_of(clock, 1.0)], [1.0], steps=100, verbose=1)
    assert Running.looks == 0


def test_verbose_two_prints_every_epoch(clock, capsys):
    train([steps_of(clock, 0.002)], [1.0] * 200, verbose=2)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 200
    assert lines[6] == "Epoch   7/200 2.0ms loss=1.0000"


def test_verbose_zero_is_silent(capsys):
    train([], [1.0], verbose=0)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_the_bar_in_a_terminal(clock, screen):
    Running.looks = 0
    with screen:
        train([steps_of(clock, 0.03)], [LOGS] * 3, steps=100, verbose=1)
    lines = [
        f"Epoch {i}/3 3.0s loss=0.0512 accuracy=0.9843 val_loss=0.0758 val_accuracy=0.9800" for i in (1, 2, 3)
    ]
    assert screen.lines() == lines  # of the bars nothing is left
    pictures = screen.pictures()
    # Every 0.12 s (the fourth step is the first after 0.1 s) of 9 s.
    assert len(pictures) == 75
    assert Running.looks == 75 * len(LOGS)
    assert re.fullmatch(
        r"Epoch 1/3:   4%\|.+\| 4/100 \[00:00<00:02, loss=0.0512 accuracy=0.9843 val_loss.*", pictures[0]
    )
    assert max(map(len, pictures)) < 80


def test_few_numbers_leave_room_for_the_bar(clock, screen):
    with screen:
        train([steps_of(clock, 0.125)], [{"loss": 0.05, "accuracy": 0.98}], steps=469, verbose=1)
    half = screen.pictures()[219]
    assert re.fullmatch(
        r"Epoch 1/1:  47%\|.{11,}\| 220/469 \[00:27<00:31, loss=0.0500 accuracy=0.9800\]", half
    )
    assert len(half) <= 79


def test_a_long_line_is_broken_between_words(clock, screen):
    with screen:
        train([steps_of(clock, 0.5)], [LOGS | {"learning_rate": 1e-5}], verbose=1)
    assert screen.lines() == [
        "Epoch 1/1 0.5s loss=0.0512 accuracy=0.9843 val_loss=0.0758 val_accuracy=0.9800",
        "    learning_rate=1.00e-05",
    ]


def test_quick_epochs_share_a_line(clock, capsys):
    train([steps_of(clock, 0.01)], [1.0 / (i + 1) for i in range(5000)], verbose=1)
    lines = capsys.readouterr().out.splitlines()
    # The first, then one each second of 50, then the last.
    assert 50 <= len(lines) <= 52
    assert lines[0].startswith("Epoch    1/5000 ") and lines[-1].startswith("Epoch 5000/5000 ")


def test_the_line_of_the_last_epoch_is_there_after_an_early_stop(clock, capsys):
    stop = LambdaCallback(on_epoch_end=lambda epoch, logs: setattr(stop.model, "stop_training", epoch == 6))
    train([steps_of(clock, 0.001), stop], [1.0] * 500, verbose=1)
    assert [line.split("/")[0] for line in capsys.readouterr().out.splitlines()] == ["Epoch   1", "Epoch   7"]


def test_slow_epochs_have_a_line_each_however_many(clock, capsys):
    train([steps_of(clock, 1.5)], [1.0] * 150, verbose=1)
    assert len(capsys.readouterr().out.splitlines()) == 150


def test_what_callbacks_print_stands_above_the_bar(clock, screen):
    from nnx.callbacks.base import say

    speak = LambdaCallback(on_train_batch_end=lambda batch, logs: say("hello") if batch == 5 else None)
    with screen:
        train([steps_of(clock, 0.2), speak], [1.0], steps=10, verbose=1)
    assert screen.lines() == ["hello", "Epoch 1/1 2.0s loss=1.0000"]


def test_a_bar_of_ones_own_is_the_only_one(clock, capsys):
    _, run = train([ProgressBar()], [1.0], verbose=1)
    assert sum(isinstance(c, ProgressBar) for c in run) == 1
    assert len(capsys.readouterr().out.splitlines()) == 1
    train([EpochLines()], [1.0], verbose=2)
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_close_takes_an_interrupted_bar_away(clock, screen):
    run = CallbackList([], add_progbar=True, model=FakeModel(), epochs=1, steps=9, verbose=1)
    with screen:
        run.on_train_begin()
        run.on_epoch_begin(0)
    clock.tick(0.2)
    with screen:
        run.on_train_batch_end(0, {"loss": 1.0})
        assert screen.lines()
        run.close()
        run.close()
    assert screen.lines() == []


def test_a_bar_is_reusable(clock, capsys):
    own = ProgressBar()
    for _ in range(2):
        train([own, steps_of(clock, 0.001)], [1.0] * 150, verbose=1)
        assert len(capsys.readouterr().out.splitlines()) == 2


def test_numbers_of_many_kinds(clock, capsys):
    logs = {
        "loss": np.float32(0.5),
        "nan": float("nan"),
        "matrix": np.eye(2),
        "count": 7,
        "big": 1e9,
        "word": "x",
    }
    train([], [logs], verbose=2)
    assert capsys.readouterr().out == "Epoch 1/1 0.0ms loss=0.5000 nan=nan count=7 big=1.00e+09\n"


def evaluation(clock, kind, n=50, seconds=0.0625, verbose=1):
    """The hooks of an evaluation (``kind`` "test") or a prediction, and the list."""
    run = CallbackList([], add_progbar=verbose > 0, epochs=1, steps=n, verbose=verbose)
    getattr(run, f"on_{kind}_begin")()
    for batch in range(n):
        clock.tick(seconds)
        yield batch, run
        logs = Running({"loss": 0.5}) if kind == "test" else {"outputs": np.zeros((4, 2))}
        getattr(run, f"on_{kind}_batch_end")(batch, logs)
    getattr(run, f"on_{kind}_end")()


KINDS = [("test", r"evaluate:   4%\|.+\| 2/50 \[00:00<00:03, loss=0.5000\]")]
KINDS += [("predict", r"predict:   4%\|.+\| 2/50 \[00:00<00:03\]")]


@pytest.mark.parametrize(("kind", "picture"), KINDS)
class TestEvaluation:
    def test_in_a_terminal_the_bar_comes_and_goes(self, clock, screen, kind, picture):
        with screen:
            assert len(list(evaluation(clock, kind))) == 50
        assert screen.lines() == []
        assert len(screen.pictures()) == 25
        assert re.fullmatch(picture, screen.pictures()[0])

    def test_what_is_quick_shows_nothing(self, clock, screen, kind, picture):
        with screen:
            list(evaluation(clock, kind, seconds=0.0))
        assert screen.getvalue() == ""

    @pytest.mark.parametrize("verbose", [0, 1, 2])
    def test_elsewhere_it_is_silent(self, clock, capsys, kind, picture, verbose):
        list(evaluation(clock, kind, seconds=1.0, verbose=verbose))
        assert capsys.readouterr() == ("", "")

    @pytest.mark.parametrize("verbose", [0, 2])
    def test_it_is_not_asked_for(self, clock, screen, kind, picture, verbose):
        with screen:
            list(evaluation(clock, kind, seconds=1.0, verbose=verbose))
        assert screen.getvalue() == ""

    def test_an_error_takes_it_away(self, clock, screen, kind, picture):
        with pytest.raises(RuntimeError), screen:
            for batch, run in evaluation(clock, kind, seconds=1.0):
                if batch == 2:
                    assert screen.lines()
                    with closing(run):
                        raise RuntimeError
        assert screen.lines() == []


def test_the_validation_in_a_training_has_no_bar_of_its_own(clock, screen):
    run = CallbackList([], add_progbar=True, model=FakeModel(), epochs=1, steps=9, verbose=1)
    with screen:
        run.on_train_begin()
        run.on_epoch_begin(0)
        run.on_test_begin()
        clock.tick(1.0)
        run.on_test_batch_end(0, {"loss": 1.0})
        run.on_test_end({"loss": 1.0})
        assert screen.getvalue() == ""
        run.on_train_batch_end(0, {"loss": 1.0})
    assert "Epoch 1/1" in screen.lines()[0]


def test_importing_nnx_does_not_import_tqdm():
    code = "import sys, nnx.callbacks; sys.exit('tqdm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
