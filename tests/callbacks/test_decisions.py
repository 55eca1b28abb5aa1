"""EarlyStopping, ReduceLROnPlateau, ModelCheckpoint: the decisions of Keras 3, and where ours differ."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from callbacks.driver import FakeModel, train
from hypothesis import given
from hypothesis import strategies as st

from nnx.callbacks import EarlyStopping, LearningRateScheduler, ModelCheckpoint, ReduceLROnPlateau
from nnx.errors import OptionError

NAN = math.nan
# Eighths: Keras compares in float32, where these are exact as they are in float64.
EIGHTHS = st.integers(-12, 12).map(lambda n: n / 8)
SEQUENCES = st.lists(EIGHTHS, min_size=1, max_size=14)
MODES = st.sampled_from(["auto", "min", "max"])
DELTAS = st.sampled_from([0.0, 0.125, -0.25, 0.5])


class KerasModel(FakeModel):
    """The fake model, as Keras' callbacks want one: the learning rate belongs to the optimizer."""

    def __init__(self):
        super().__init__()
        self.optimizer = SimpleNamespace(learning_rate=1.0)
        self.metrics = []

    def save(self, path, overwrite):
        super().save(path)

    def save_weights(self, path, overwrite):
        super().save_weights(path)


def train_keras(callback, losses, steps=1):
    """What :func:`train` does, for one of Keras' callbacks."""
    model = KerasModel()
    callback.set_params({"epochs": len(losses), "steps": steps, "verbose": 0})
    callback.set_model(model)
    model.rates = []
    callback.on_train_begin({})
    for epoch, loss in enumerate(losses):
        if model.stop_training:
            break
        callback.on_epoch_begin(epoch, {})
        for n in range(steps):
            callback.on_train_batch_begin(n, {})
            model.epoch = epoch + 1
            callback.on_train_batch_end(n, {"loss": loss})
        callback.on_epoch_end(epoch, {"loss": loss})
        model.rates.append(model.optimizer.learning_rate)
    callback.on_train_end({})
    return model


class TestLikeKeras:
    @given(
        losses=SEQUENCES,
        mode=MODES,
        min_delta=DELTAS,
        patience=st.integers(0, 4),
        baseline=st.none() | EIGHTHS,
        restore_best_weights=st.booleans(),
        start_from_epoch=st.integers(0, 3),
    )
    def test_early_stopping(self, keras, losses, **options):
        theirs = keras.callbacks.EarlyStopping("loss", **options)
        ours = EarlyStopping("loss", **options)
        expected = train_keras(theirs, losses)
        for _ in range(2):  # the second training with the same object ends as the first
            model, _ = train([ours], losses)
            assert (model.epoch, model.stop_training) == (expected.epoch, expected.stop_training)
            for name in ("stopped_epoch", "best", "best_epoch", "wait"):
                assert getattr(ours, name) == getattr(theirs, name), name

    @given(
        losses=SEQUENCES,
        mode=MODES,
        min_delta=DELTAS,
        factor=st.sampled_from([0.5, 0.25]),
        patience=st.integers(0, 4),
        cooldown=st.integers(0, 3),
        min_lr=st.sampled_from([0.0, 0.125, 0.2, 1.0]),
    )
    def test_reduce_on_plateau(self, keras, losses, **options):
        theirs = keras.callbacks.ReduceLROnPlateau("loss", **options)
        ours = ReduceLROnPlateau("loss", **options)
        expected = train_keras(theirs, losses)
        for _ in range(2):
            seen = []
            model = FakeModel()
            watch = LearningRateScheduler(lambda epoch, rate: seen.append(rate) or rate)  # noqa: B023
            _, run = train([watch, ours], losses, model)
            assert [*seen[1:], model.learning_rate] == expected.rates
            # What is recorded is the rate that the epoch was trained with.
            assert run.history.history["learning_rate"] == [1.0, *expected.rates[:-1]]
            for name in ("best", "wait", "cooldown_counter"):
                assert getattr(ours, name) == getattr(theirs, name), name

    @given(
        losses=SEQUENCES,
        mode=MODES,
        save_best_only=st.booleans(),
        save_weights_only=st.booleans(),
        save_freq=st.just("epoch") | st.integers(1, 7),
        initial_value_threshold=st.none() | EIGHTHS,
        steps=st.integers(1, 4),
    )
    def test_model_checkpoint(self, keras, losses, steps, **options):
        end = ".weights.h5" if options["save_weights_only"] else ".keras"
        name = "{epoch}-{loss:.3f}" + ("" if options["save_freq"] == "epoch" else "-{batch}") + end
        with tempfile.TemporaryDirectory() as folder:
            theirs = keras.callbacks.ModelCheckpoint(f"{folder}/{name}", "loss", **options)
            ours = ModelCheckpoint(f"{folder}/{name}", "loss", **options)
            theirs._set_monitor_op()  # which Keras 3.15 does too late for save_freq=1
            expected = train_keras(theirs, losses, steps)
            model, _ = train([ours], losses, steps=steps)
        assert model.saved == expected.saved
        assert ours.best == theirs.best

    def test_the_defaults(self, keras):
        import inspect

        for ours in (EarlyStopping, ReduceLROnPlateau, ModelCheckpoint, LearningRateScheduler):
            theirs = inspect.signature(getattr(keras.callbacks, ours.__name__)).parameters.values()
            wanted = [(p.name, p.default) for p in theirs if p.kind is p.POSITIONAL_OR_KEYWORD]
            assert [(p.name, p.default) for p in inspect.signature(ours).parameters.values()] == wanted


# -- each by itself -------------------------------------------------------------------------------------

WATCHERS = [
    EarlyStopping,
    ReduceLROnPlateau,
    lambda monitor="val_loss": ModelCheckpoint("never", monitor, save_best_only=True),
]


@pytest.mark.parametrize("watcher", WATCHERS)
def test_a_name_that_is_not_measured_is_an_error(watcher):
    with pytest.raises(
        OptionError, match=r"no 'val_loss' to watch. Known here: loss, accuracy.*validation_data="
    ):
        train([watcher()], [{"loss": 1.0, "accuracy": 0.5}])
    with pytest.raises(
        OptionError, match=r"no 'val_loss' to watch. Known here: loss, val_mae.*\.$"
    ) as caught:
        train([watcher()], [{"loss": 1.0, "val_mae": 0.5}])
    assert "validation_data" not in str(caught.value)


@pytest.mark.parametrize("watcher", WATCHERS)
def test_an_array_cannot_be_watched(watcher):
    import numpy as np

    with pytest.raises(OptionError, match=r"'loss' is an array of shape \(2, 2\), not a single number"):
        train([watcher("loss")], [{"loss": np.eye(2)}])


@pytest.mark.parametrize(
    ("name", "falls"),
    [
        ("loss", True),
        ("val_loss", True),
        ("mse", True),
        ("val_mean_absolute_error", True),
        ("root_mean_squared_error", True),
        ("accuracy", False),
        ("val_acc", False),
        ("auc", False),
        ("precision", False),
        ("r2_score", False),
        ("cosine_similarity", False),
    ],
)
def test_the_name_tells_which_way_is_better(name, falls):
    stop = EarlyStopping(name, patience=1)
    rising = [{name: x} for x in (1.0, 2.0, 3.0, 4.0)]
    _, run = train([stop], rising)
    assert len(run.history.epoch) == (2 if falls else 4)


def test_early_stopping_tells_when_and_why(capsys):
    stop = EarlyStopping("loss", patience=2, restore_best_weights=True, verbose=1)
    model, _ = train([stop], [3.0, 2.0, 2.5, 2.5, 1.0])
    assert (stop.stopped_epoch, stop.best, stop.best_epoch) == (3, 2.0, 1)
    assert stop.reason == "'loss' has not improved for 2 epochs; its best was 2 in epoch 2."
    assert model.epoch == 2
    out = capsys.readouterr().out
    assert out == (
        "Epoch 4: early stopping: 'loss' has not improved for 2 epochs; its best was 2 in epoch 2.\n"
        "Restoring the weights from the end of the best epoch: 2.\n"
    )


def test_the_best_weights_come_back_also_when_no_epoch_is_left():
    stop = EarlyStopping("loss", patience=10, restore_best_weights=True)
    model, _ = train([stop], [3.0, 2.0, 2.5, 2.5])
    assert model.epoch == 2 and stop.reason is None and not model.stop_training


@pytest.mark.parametrize("losses", [[NAN, 2.0, 1.0, 3.0, 3.0, 0.0], [3.0, NAN, 2.0, 1.0, NAN, NAN, 0.0]])
def test_nan_is_never_the_best(losses):
    # Keras takes a first NaN for the best, after which nothing is better.
    stop = EarlyStopping("loss", patience=2, restore_best_weights=True)
    model, _ = train([stop], losses)
    assert stop.best == 1.0
    assert stop.stopped_epoch == len(losses) - 2
    assert model.epoch == losses.index(1.0) + 1


def test_nothing_but_nan_ends_training():
    stop = EarlyStopping("loss", patience=2, restore_best_weights=True)
    model, _ = train([stop], [NAN] * 9)
    assert stop.stopped_epoch == 1 and stop.best is None and model.epoch == 1
    assert stop.reason == "'loss' has not improved for 2 epochs; its best was NaN."


def test_reducing_says_so(capsys):
    train([ReduceLROnPlateau("loss", patience=1, factor=0.5, verbose=1)], [1.0, 1.0])
    assert capsys.readouterr().out == "Epoch 2: 'loss' is on a plateau; learning rate 1 -> 0.5.\n"


def test_a_reduced_rate_is_not_below_the_least():
    model, _ = train([ReduceLROnPlateau("loss", patience=1, factor=0.1, min_lr=0.04)], [1.0] * 5)
    assert model.learning_rate == 0.04


class TestLearningRateScheduler:
    def test_the_lectures_piecewise_constant_rate(self):
        def rate(epoch):
            return 0.1 if epoch < 5 else 0.01 if epoch < 20 else 0.001

        _, run = train([LearningRateScheduler(rate)], [1.0] * 22)
        assert run.history.history["learning_rate"] == [0.1] * 5 + [0.01] * 15 + [0.001] * 2

    def test_it_may_look_at_the_present_rate(self, capsys):
        model, _ = train([LearningRateScheduler(lambda epoch, rate: rate / 2, verbose=1)], [1.0] * 3)
        assert model.learning_rate == 0.125
        assert capsys.readouterr().out.splitlines()[0] == "Epoch 1: learning rate set to 0.5."

    def test_an_object_that_can_be_called_will_do(self):
        class Schedule:
            def __call__(self, epoch, factor=0.5):  # two arguments: Keras gives it the rate as well
                return factor

        model, _ = train([LearningRateScheduler(Schedule())], [1.0])
        assert model.learning_rate == 1.0

    def test_a_type_error_of_the_function_is_not_hidden(self):
        def wrong(epoch, rate):
            return epoch + "1"

        with pytest.raises(TypeError, match="unsupported operand"):
            train([LearningRateScheduler(wrong)], [1.0])

    @pytest.mark.parametrize("result", [None, "0.1", NAN, math.inf, -0.1, True, [0.1]])
    def test_what_is_no_rate_is_refused(self, result):
        model = FakeModel()
        with pytest.raises(OptionError, match=r"must give a finite number >= 0, got .* for epoch 0"):
            train([LearningRateScheduler(lambda epoch: result)], [1.0], model)
        assert model.learning_rate == 1.0


class TestModelCheckpoint:
    def test_a_second_training_goes_on_with_the_best(self, tmp_path):
        keep = ModelCheckpoint(tmp_path / "best", "loss", save_best_only=True)
        first, _ = train([keep], [2.0, 1.0])
        second, _ = train([keep], [3.0, 0.5])
        assert len(first.saved) == 2
        assert second.saved == [("model", "best", 2)]

    def test_folders_are_made_and_names_filled_in(self, tmp_path, capsys):
        path = tmp_path / "runs" / "{epoch:02d}" / "{val_loss:.2f}"
        train([ModelCheckpoint(path, save_weights_only=True, verbose=1)], [{"loss": 1.0, "val_loss": 0.125}])
        assert (tmp_path / "runs" / "01" / "0.12").read_text() == "weights"
        assert capsys.readouterr().out == f"Epoch 1: saved to {tmp_path / 'runs' / '01' / '0.12'}.\n"

    def test_it_says_what_it_compares(self, tmp_path, capsys):
        train([ModelCheckpoint(tmp_path / "a", "loss", verbose=1, save_best_only=True)], [2.0, 3.0, 1.0])
        lines = capsys.readouterr().out.splitlines()
        assert [line for line in lines if "saved" not in line] == [
            "Epoch 1: 'loss' improved: 2.",
            "Epoch 2: 'loss' did not improve on 2: 3.",
            "Epoch 3: 'loss' improved from 2: 1.",
        ]
        assert len(lines) == 5

    def test_where_every_epoch_is_saved_any_monitor_will_do(self, tmp_path):
        model, _ = train([ModelCheckpoint(tmp_path / "a", "charm")], [1.0])
        assert model.saved

    @pytest.mark.parametrize("name", ["{val_loss}", "{batch}", "{}", "{loss:q}", "{loss"])
    def test_a_name_that_cannot_be_filled_in_is_an_error(self, name, tmp_path):
        with pytest.raises(
            OptionError, match=r"cannot make a path of .*Names that it may use here: loss, epoch"
        ):
            train([ModelCheckpoint(f"{tmp_path}/{name}")], [1.0])

    def test_a_folder_is_no_file(self, tmp_path):
        with pytest.raises(OptionError, match="is a folder"):
            train([ModelCheckpoint(tmp_path)], [1.0])

    def test_saving_by_steps_counts_on_over_epochs(self, tmp_path):
        keep = ModelCheckpoint(str(Path(tmp_path) / "{epoch}-{batch}"), save_freq=3)
        for _ in range(2):
            model, _ = train([keep], [1.0, 1.0, 1.0], steps=2)
            assert [name for _, name, _ in model.saved] == ["2-1", "3-2"]
