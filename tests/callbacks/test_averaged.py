"""SwapEMAWeights: what is evaluated is the average of the weights, and nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx import callbacks as cb
from nnx.errors import OptionError
from nnx.layers import Dense

X = np.linspace(-1.0, 1.0, 24).reshape(12, 2)
Y = X @ np.asarray([[1.0], [-2.0]]) + 0.5


def line(optimizer, backend=None):
    model = nnx.Sequential([Dense(1, input_shape=(2,))], backend=backend, dtype="float64", seed=1)
    model.compile(optimizer, "mse")
    return model


def averaging(backend=None):
    return line(nnx.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9), backend)


def average_of(model):
    return nnx.to_numpy(model.trainer.state.memory["ema"]).copy()


def test_the_validation_is_that_of_the_average(backend):
    data, found = (X, Y), []

    class Looks(cb.Callback):
        def on_test_begin(self, logs=None):
            found.append((self.model.get_weights(), average_of(self.model)))

        def on_epoch_end(self, epoch, logs=None):
            found.append((self.model.get_weights(), average_of(self.model)))

    plain, swapped = averaging(backend), averaging(backend)
    options = {"epochs": 4, "batch_size": 4, "verbose": 0, "validation_data": data}
    without = plain.fit(*data, callbacks=[Looks()], **options)
    with_swap = swapped.fit(*data, callbacks=[cb.SwapEMAWeights(), Looks()], **options)
    half = len(found) // 2
    for n in range(0, half, 2):
        (w, ema), (seen, kept), (after, average) = found[n], found[half + n], found[half + n + 1]
        np.testing.assert_array_equal(np.concatenate([a.reshape(-1) for a in seen]), ema)
        np.testing.assert_array_equal(np.concatenate([a.reshape(-1) for a in w]), kept)
        np.testing.assert_array_equal(average, ema)
        np.testing.assert_array_equal(after[0], w[0])
    assert with_swap.history["loss"] == without.history["loss"]
    assert with_swap.history["val_loss"] != without.history["val_loss"]
    for a, b in zip(plain.get_weights(), swapped.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)  # both end with the average
    # The last validation is that of the weights that stay.
    assert with_swap.history["val_loss"][-1] == swapped.evaluate(*data, batch_size=4, verbose=0)


def test_as_keras(keras, tmp_path):
    theirs = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    theirs.compile(keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9), "mse")
    ours = line(nnx.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9))
    ours.set_weights([np.asarray(w) for w in theirs.get_weights()])
    found = []
    for library, model in ((nnx, ours), (keras, theirs)):
        seen = []
        look = library.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs, s=seen, m=model: s.append(m.get_weights()[0].copy())
        )
        swap = library.callbacks.SwapEMAWeights(swap_on_epoch=True)
        record = model.fit(
            X, Y, batch_size=12, epochs=4, verbose=0, callbacks=[swap, look], validation_data=(X, Y)
        )
        found.append((seen, record.history["val_loss"], model.get_weights()[0]))
    for mine, kerass in zip(*found, strict=True):
        np.testing.assert_allclose(mine, kerass, rtol=2e-5)  # Keras computes in float32


def test_checkpoints_of_the_average(tmp_path, backend):
    model = averaging(backend)
    averages = []
    look = cb.LambdaCallback(on_test_begin=lambda logs: averages.append(average_of(model)))
    keep = cb.ModelCheckpoint(tmp_path / "{epoch}", save_weights_only=True)
    swap = cb.SwapEMAWeights(swap_on_epoch=True)
    model.fit(X, Y, epochs=3, verbose=0, callbacks=[look, swap, keep], validation_data=(X, Y))
    for epoch, average in enumerate(averages, 1):
        saved = averaging()
        saved.load_weights(tmp_path / f"{epoch}")
        np.testing.assert_array_equal(nnx.to_numpy(saved.weights_vector), average)


def test_evaluate_and_predict(backend):
    model = averaging(backend)
    model.partial_fit(X, Y, batch_size=4)  # which leaves the weights themselves
    weights, average = model.get_weights(), average_of(model)
    twin = averaging()
    twin.set_weights([average[:2].reshape(2, 1), average[2:]])
    swap = cb.SwapEMAWeights()
    found = model.evaluate(X, Y, verbose=0, callbacks=[swap])
    assert found == pytest.approx(twin.evaluate(X, Y, verbose=0), rel=1e-12)
    assert found != model.evaluate(X, Y, verbose=0)
    np.testing.assert_allclose(model.predict(X, callbacks=[swap]), twin.predict(X), rtol=1e-12)
    for mine, before in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(mine, before)


@pytest.mark.parametrize("how", ["fit", "evaluate", "predict"])
def test_an_error_puts_the_weights_back(how, backend):
    def fails(n, logs):
        raise RuntimeError("mine")

    model = averaging(backend)
    model.partial_fit(X, Y, batch_size=4)
    before = model.get_weights()
    hook = "on_predict_batch_end" if how == "predict" else "on_test_batch_end"
    callbacks = [cb.SwapEMAWeights(), cb.LambdaCallback(**{hook: fails})]
    options = {"callbacks": callbacks, "verbose": 0}
    with pytest.raises(RuntimeError, match="mine"):
        if how == "predict":
            model.predict(X, **options)
        elif how == "evaluate":
            model.evaluate(X, Y, **options)
        else:
            rate = cb.LearningRateScheduler(lambda epoch: 0.0)
            options["callbacks"] = [*callbacks, rate]
            model.fit(X, Y, validation_data=(X, Y), **options)
    for mine, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, old)


@pytest.mark.parametrize("swap_on_epoch", [False, True])
def test_a_backup_goes_on_bit_for_bit(swap_on_epoch, tmp_path):
    def run(model, *others):
        swap = cb.SwapEMAWeights(swap_on_epoch)
        options = {"epochs": 5, "batch_size": 4, "verbose": 0, "validation_data": (X, Y)}
        return model.fit(X, Y, callbacks=[swap, *others], **options).history["val_loss"]

    whole, model = averaging(), averaging()
    expected = run(whole)
    killed = cb.LambdaCallback(on_epoch_begin=lambda epoch, logs: 1 / (3 - epoch))
    with pytest.raises(ZeroDivisionError):
        run(averaging(), cb.BackupAndRestore(tmp_path), killed)
    assert run(model, cb.BackupAndRestore(tmp_path)) == expected[3:]
    for mine, theirs in zip(model.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("optimizer", ["sgd", "bfgs"])
@pytest.mark.parametrize("how", ["fit", "evaluate", "predict"])
def test_an_optimizer_without_an_average_is_refused(how, optimizer):
    model = line(optimizer)
    before = model.get_weights()
    with pytest.raises(OptionError, match=r"SwapEMAWeights needs .*use_ema=True, as in nnx.optimizers"):
        getattr(model, how)(*((X,) if how == "predict" else (X, Y)), callbacks=[cb.SwapEMAWeights()])
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
