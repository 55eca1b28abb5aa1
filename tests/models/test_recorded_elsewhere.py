"""Steps, evaluations and predictions are recorded on every library, with the bits of those as they are."""

from __future__ import annotations

from contextlib import nullcontext

import cupy_double
import numpy as np
import pytest
from models.test_step_plan import LOSSES
from walks import walk

import nnx
from nnx.jitting import replayed
from nnx.layers import BatchNormalization, Conv2D, Dense, Dropout, Flatten, GaussianNoise, MaxPooling2D

LIBRARIES = ["cupy", "array_api_strict:device1", "torch"]
PICTURES = (
    lambda: [
        Conv2D(2, 3),
        BatchNormalization(),
        MaxPooling2D(),
        Flatten(),
        GaussianNoise(0.1),
        Dense(4, "relu", kernel_regularizer="l2", activity_regularizer="l1"),
        Dropout(0.3),
        Dense(3, "softmax", kernel_constraint="max_norm"),
    ],
    (6, 6, 1),
)
SMALL = lambda: [Dense(3, "softmax")], (2,)
METRICS = ["accuracy", "mae", "cosine_similarity", "precision", "auc", "r2_score", "f1_score"]


@pytest.fixture(params=LIBRARIES)
def library(request):
    pytest.importorskip(request.param.partition(":")[0]) if request.param != "cupy" else None
    with cupy_double.in_cupys_place() if request.param == "cupy" else nullcontext():
        yield request.param


def trained(library, layers, shape, *, loss="mse", optimizer="sgd", metrics=(), epochs=1, batch_size=4):
    """History, evaluation, outputs and weights after a training on batches of one shape, and the model."""
    random = np.random.default_rng(0)
    model = nnx.Sequential([nnx.Input(shape), *layers()], seed=3, backend=library)
    x = random.normal(size=(20, *shape)).astype(np.float32)
    y = random.uniform(0.1, 0.9, (20, *model.output_shape[1:])).astype(np.float32)
    model.compile(optimizer, loss, metrics=list(metrics))
    history = model.fit(x, y, batch_size=batch_size, epochs=epochs, verbose=0).history
    found = model.evaluate(x, y, batch_size=4, verbose=0), model.predict(x, batch_size=4, verbose=0)
    return (history, *found, nnx.to_numpy(model.weights_vector)), model


def recorded(model):
    """Those functions of the model that are recorded, with no reason against it."""
    functions = model.trainer.problem.functions()
    functions += [model._evaluation.function, model._weights._predicted]
    assert not any(f.reason for f in functions), [f.reason for f in functions if f.reason]
    return [f.name for f in functions if f.programs]


def same(library, monkeypatch, *args, **options):
    """The recorded names; all numbers are those without recording."""
    monkeypatch.setattr(replayed, "BEFORE", 10**9)
    plain, _ = trained(library, *args, **options)
    monkeypatch.setattr(replayed, "BEFORE", 1)
    found, model = trained(library, *args, **options)
    for a, b in zip(found, plain, strict=True):
        np.testing.assert_equal(a, b)
    return recorded(model)


def test_a_network(library, monkeypatch):
    names = same(library, monkeypatch, *PICTURES, optimizer="adam")
    assert names == ["_step", "evaluated", "predicted"]


@walk("loss", LOSSES)
def test_losses(loss, library, monkeypatch):
    monkeypatch.setattr(replayed, "BEFORE", 1)
    _, model = trained(library, *SMALL, loss=loss)
    assert recorded(model) == ["_step", "evaluated", "predicted"]


def test_metrics(library, monkeypatch):
    assert len(same(library, monkeypatch, *SMALL, metrics=METRICS)) == 3


@pytest.mark.parametrize("method, name", [("lm", "residual"), ("newton_cg", "hvp")])
def test_methods_on_all_samples(method, name, monkeypatch):
    with cupy_double.in_cupys_place():
        assert name in same("cupy", monkeypatch, *SMALL, optimizer=method, epochs=4, batch_size=None)


def test_halves_that_cannot_be_told_apart(library, monkeypatch):
    """Where a library does not say which arrays share memory, residuals and rows are not cut in two."""
    monkeypatch.setattr(replayed, "BEFORE", 1)
    _, model = trained(library, *SMALL, optimizer="lm", epochs=4, batch_size=None)
    assert ("later writes" in model.step_plan) is (library != "cupy")
