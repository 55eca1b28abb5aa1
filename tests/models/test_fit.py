"""Training through the Keras face, on every backend."""

from __future__ import annotations

import numpy as np
import pytest
from tripwire import no_reads

import nnx
from nnx.backend import make_backend, to_numpy
from nnx.errors import DataError, OptionError
from nnx.layers import Dense, Dropout, GaussianNoise


def camera(n=256, seed=0):
    x, y = nnx.datasets.four_pixel_camera(n, seed=seed)
    return x.reshape(n, 4), nnx.utils.to_categorical(y, 4)


def small(backend=None, dropout=0.2, **options):
    model = nnx.Sequential(
        [Dense(16, "tanh", input_shape=(4,)), Dropout(dropout), Dense(4, "softmax")],
        backend=backend,
        seed=7,
        **options,
    )
    model.compile(nnx.optimizers.Adam(0.01), "categorical_crossentropy", metrics=["accuracy"])
    return model


def test_fit_learns_and_reports(backend):
    x, y = camera()
    model = small(backend)
    history = model.fit(x, y, batch_size=32, epochs=40, verbose=0, validation_split=0.25)
    assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert len(history.history["loss"]) == 40
    assert history.history["loss"][-1] < 0.5 * history.history["loss"][0]
    loss, accuracy = model.evaluate(x, y, verbose=0)
    assert accuracy > 0.95
    assert model.evaluate(x, y, verbose=0, return_dict=True) == {"loss": loss, "accuracy": accuracy}


def test_same_seed_same_run_on_every_backend(backend):
    x, y = camera()
    runs = []
    for chosen in ("numpy", backend):
        model = small(chosen, dtype="float64")
        model.fit(x, y, batch_size=32, epochs=2, verbose=0)
        runs.append(model.get_weights())
    for a, b in zip(*runs, strict=True):
        # float64 sums in another order: rounding of 16 steps.
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_predict_answers_in_the_kind_of_array_it_was_given(backend):
    x, _ = camera(10)
    model = small(backend)
    own = backend.asarray(x, dtype="float32")
    assert type(model.predict(own)) is type(own)
    assert type(model.predict(x)) is np.ndarray
    np.testing.assert_array_equal(model.predict([x]), model.predict(x))
    np.testing.assert_allclose(model.predict(x, batch_size=3), model.predict(x), rtol=1e-6)
    np.testing.assert_allclose(to_numpy(model.predict(own)), model.predict(x), rtol=1e-6)


def test_streaming_gives_the_same_run_as_resident_data(backend, monkeypatch):
    x, y = camera()
    runs = []
    for limit in (1 << 30, 0):
        monkeypatch.setattr(nnx.models.data, "RESIDENT_BYTES", limit)
        model = small(backend)
        model.fit(x, y, batch_size=48, epochs=2, verbose=0)
        runs.append(model.get_weights())
    for a, b in zip(*runs, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("places", [(0, 1, 0), (1, 0, 1), (0, 0, 1), (0, 1, None), (1, 1, None)])
def test_streamed_arrays_may_be_of_several_libraries(places, backend, monkeypatch):
    pytest.importorskip("torch")
    pytest.importorskip("array_api_strict")
    known = [make_backend(name) for name in ("numpy", "torch", "array_api_strict")]
    foreign = [other for other in known if other.adapter is not backend.adapter]
    data = (*camera(), np.linspace(0.5, 2.0, 256))
    models = []
    for limit in (1 << 30, 0):
        monkeypatch.setattr(nnx.models.data, "RESIDENT_BYTES", limit)
        x, y, weight = (
            None if place is None else foreign[place].asarray(a)
            for a, place in zip(data, places, strict=True)
        )
        model = small(backend)
        model.fit(x, y, 48, 2, 0, sample_weight=weight, class_weight={2: 3.0} if weight is None else None)
        assert model.predict(x).shape == (256, 4)
        models.append(model)
    for a, b in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_step_reads_nothing_back():
    pytest.importorskip("array_api_strict")
    from tripwire import like_a_gpu

    from nnx.models.objective import Batch

    with like_a_gpu():
        backend = nnx.backend.make_backend("array_api_strict:device1")
        x, y = camera(32)
        model = small(backend)
        model.fit(x, y, epochs=1, verbose=0)
        batch = Batch((backend.asarray(x),), (backend.asarray(y),), (None,))
        with no_reads():
            model.trainer.step(batch)


def test_validation_data_and_split_are_the_last_samples():
    x, y = camera(100)
    a, b = small(), small()
    a.fit(x, y, epochs=2, verbose=0, validation_split=0.2)
    b.fit(x[:80], y[:80], epochs=2, verbose=0, validation_data=(x[80:], y[80:]))
    assert a.history.history == b.history.history


def test_sample_and_class_weights_scale_the_loss():
    x, y = camera(64)
    labels = np.argmax(y, axis=1)
    weights = np.where(labels == 2, 3.0, 1.0)
    a, b = small(dropout=0.0), small(dropout=0.0)
    a.fit(x, y, epochs=3, verbose=0, sample_weight=weights)
    b.fit(x, y, epochs=3, verbose=0, class_weight={2: 3.0})
    for u, v in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_allclose(u, v, rtol=1e-6)
    plain = small(dropout=0.0)
    expected = -np.sum(y * np.log(plain.predict(x)), axis=1) * weights
    assert plain.evaluate(x, y, sample_weight=weights, verbose=0)[0] == pytest.approx(
        expected.mean(), rel=1e-5
    )


def test_sparse_labels_and_one_hot_rows_train_alike(backend):
    x, y = camera(64)
    a, b = small(backend), small(backend)
    b.compile(nnx.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    a.fit(x, y, epochs=2, verbose=0)
    b.fit(x, np.argmax(y, axis=1), epochs=2, verbose=0)
    for u, v in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_allclose(u, v, rtol=2e-5, atol=1e-6)
    assert a.history.history["accuracy"] == pytest.approx(b.history.history["accuracy"])


def test_softmax_with_cross_entropy_is_the_same_with_and_without_the_link():
    x, y = camera(32)
    linked = small(dtype="float64", dropout=0.0)
    apart = nnx.Sequential(
        [
            Dense(16, "tanh", input_shape=(4,)),
            Dense(4),
            nnx.layers.Activation(lambda z: nnx.activations.softmax(z)),
        ],
        dtype="float64",
    )
    apart.set_weights(linked.get_weights())
    apart.compile(nnx.optimizers.Adam(0.01), "categorical_crossentropy")
    for model in (linked, apart):
        model.fit(x, y, epochs=2, batch_size=8, shuffle=False, verbose=0)
    for u, v in zip(linked.get_weights(), apart.get_weights(), strict=True):
        np.testing.assert_allclose(u, v, rtol=1e-9, atol=1e-12)


def test_an_option_that_repeats_the_default_changes_nothing():
    x, y = camera(32)
    runs = []
    for loss in ("categorical_crossentropy", nnx.losses.CategoricalCrossentropy(from_logits=False)):
        model = small()
        model.compile("sgd", loss)
        runs.append(model.fit(x, y, epochs=2, verbose=0).history)
    assert runs[0] == runs[1]


def test_regularizers_and_constraints():
    x, y = camera(64)
    model = nnx.Sequential(
        [
            Dense(8, "relu", input_shape=(4,), kernel_regularizer=nnx.regularizers.L2(0.1)),
            Dense(4, "softmax", kernel_constraint=nnx.constraints.MaxNorm(0.5)),
        ]
    )
    model.compile("sgd", "categorical_crossentropy")
    model.fit(x, y, epochs=3, verbose=0)
    assert np.linalg.norm(model.layers[1].get_weights()[0], axis=0).max() <= 0.5 + 1e-6
    kernel = model.layers[0].get_weights()[0]
    expected = -np.mean(np.sum(y * np.log(model.predict(x)), axis=1)) + 0.1 * np.sum(kernel**2)
    assert model.evaluate(x, y, verbose=0) == pytest.approx(expected, rel=1e-5)


def test_layers_that_are_not_trainable_stay():
    x, y = camera(64)
    model = nnx.Sequential([Dense(8, "relu", input_shape=(4,), trainable=False), Dense(4, "softmax")])
    before = model.get_weights()
    model.compile("adam", "categorical_crossentropy")
    model.fit(x, y, epochs=1, verbose=0)
    after = model.get_weights()
    np.testing.assert_array_equal(before[0], after[0])
    assert np.any(before[2] != after[2])
    assert model.count_params() == 4 * 8 + 8 + 8 * 4 + 4


def test_online_learning_takes_examples_as_they_arrive():
    x, y = camera(800)
    model = small(dropout=0.0)
    for i in range(len(x)):
        model.partial_fit(x[i : i + 1], y[i : i + 1])
    assert model.evaluate(x, y, verbose=0)[1] > 0.9
    assert model.trainer.state.step == 800


def test_online_learning_goes_on_from_the_weights_beside_their_average(backend):
    x, y = camera(64)
    ema = {"use_ema": True, "ema_momentum": 0.9}
    models = [small(backend, dropout=0.0) for _ in range(3)]
    for model, options in zip(models, ({}, ema, ema), strict=True):
        model.compile(nnx.optimizers.Adam(0.01, **options), "categorical_crossentropy")
    plain, averaged, at_once = models
    for model in (plain, averaged):
        for i in range(0, 64, 16):
            model.partial_fit(x[i : i + 16], y[i : i + 16])
    for a, b in zip(plain.get_weights(), averaged.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    at_once.fit(x, y, batch_size=16, shuffle=False, verbose=0)
    average = at_once.trainer.state.memory["ema"]
    np.testing.assert_allclose(
        to_numpy(averaged.trainer.state.memory["ema"]), to_numpy(average), rtol=1e-5, atol=1e-7
    )
    np.testing.assert_array_equal(to_numpy(at_once.weights_vector), to_numpy(average))


def test_train_on_batch_returns_the_loss_before_the_step():
    x, y = camera(32)
    model = small(dropout=0.0)
    model.build((None, 4))
    loss, accuracy = model.evaluate(x, y, verbose=0)
    got = model.train_on_batch(x, y, return_dict=True)
    assert got["loss"] == pytest.approx(loss, rel=1e-5)
    assert got["accuracy"] == pytest.approx(accuracy)
    assert model.evaluate(x, y, verbose=0)[0] < loss


def test_fit_goes_on_where_it_stopped():
    x, y = camera(64)
    a, b = small(), small()
    a.fit(x, y, epochs=4, verbose=0)
    b.fit(x, y, epochs=2, verbose=0)
    h = b.fit(x, y, epochs=4, initial_epoch=2, verbose=0)
    assert h.epoch == [2, 3]
    for u, v in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(u, v)


def test_noise_and_dropout_only_in_training():
    x, _ = camera(16)
    model = nnx.Sequential([GaussianNoise(1.0, input_shape=(4,)), Dropout(0.5)], seed=1)
    np.testing.assert_array_equal(model.predict(x), x)
    noisy = model(x, training=True)
    assert not np.allclose(noisy, x)
    assert np.any(noisy != model(x, training=True))  # drawn anew in every call
    again = nnx.Sequential([GaussianNoise(1.0, input_shape=(4,)), Dropout(0.5)], seed=1)
    np.testing.assert_array_equal(noisy, again(x, training=True))  # and the same in each run


def test_gradient_through_a_model():
    model = nnx.Sequential([Dense(3, "tanh", input_shape=(2,)), Dense(1)], dtype="float64")
    nnx.check_derivatives(lambda x: model(x), np.asarray([[0.3, -0.2], [1.0, 0.5]]))


def test_a_deterministic_optimizer_takes_all_samples():
    x, y = camera(64)
    model = small(dropout=0.0)
    model.compile(nnx.optimizers.AdaptiveLearningRate(0.1), "categorical_crossentropy")
    history = model.fit(x, y, epochs=30, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]
    with pytest.raises(OptionError, match="all 64 samples"):
        model.fit(x, y, batch_size=8, verbose=0)


def test_calls_that_fail_change_nothing():
    x, y = camera(64)
    model = small()
    model.fit(x, y, verbose=0)
    before, steps = model.get_weights(), model.trainer.state.step
    bad = x.copy()
    bad[5, 2] = np.nan
    with pytest.raises(DataError, match=r"sample 5"):
        model.fit(bad, y, verbose=0)
    with pytest.raises(DataError):
        model.set_weights([w * np.nan for w in before])
    assert model.trainer.state.step == steps
    for u, v in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(u, v)
