"""Losses that look at a whole batch, or whose targets have other shapes than the outputs."""

from __future__ import annotations

import itertools
from functools import partial

import numpy as np
import pytest
from functions.targets import OF_BATCHES, example, same_defaults

import nnx
from nnx import losses
from nnx.backend import to_numpy
from nnx.errors import AxisError, OptionError, ShapeError

LABELS, SEQUENCES = OF_BATCHES["ctc"]
CLASSES, UNIT = OF_BATCHES["circle"]

CASES = [
    ("dice", {}, *example("binary")),
    ("dice", {"axis": -1}, *example("binary")),
    ("dice", {"axis": (0, 1)}, *example("binary")),
    ("tversky", {"alpha": 0.3, "beta": 0.7}, *example("binary")),
    ("tversky", {"alpha": 0.3, "beta": 0.7, "axis": 1}, *example("binary")),
    ("circle", {"gamma": 2.0}, CLASSES, UNIT),
    ("circle", {"gamma": 80.0, "margin": 0.25}, CLASSES[:, None], UNIT),
    ("circle", {"remove_diagonal": False, "gamma": 3.0}, CLASSES, UNIT),
    ("ctc", {}, LABELS, SEQUENCES),
]
IDS = [f"{name}-{options}" for name, options, _, _ in CASES]


@pytest.mark.parametrize(("name", "options", "y", "p"), CASES, ids=IDS)
def test_equals_keras(name, options, y, p, keras):
    expected = np.asarray(getattr(keras.losses, name)(y, p, **options))
    got = getattr(losses, name)(y, p, **options)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=1e-11)


@pytest.mark.parametrize(("name", "options", "y", "p"), CASES, ids=IDS)
def test_is_the_same_on_every_backend_with_right_derivatives(name, options, y, p, backend):
    function = partial(getattr(losses, name), **options)
    own = backend.asarray(y, dtype="int64" if y.dtype.kind == "i" else "float64")
    p_own = backend.asarray(p, dtype="float64")
    np.testing.assert_allclose(to_numpy(function(own, p_own)), function(y, p), rtol=1e-11)
    # With the diagonal, the distances that are 0 lie on a kink.
    if backend.name == "numpy" and options.get("remove_diagonal", True):
        nnx.check_derivatives(lambda p: function(own, p), p_own)  # to second order, in both modes


@pytest.mark.parametrize("name", ["dice", "tversky", "circle", "ctc"])
def test_defaults_are_those_of_keras(name, keras):
    same_defaults(getattr(losses, name), getattr(keras.losses, name))


def test_tversky_of_halves_is_dice():
    y, p = example("binary")
    np.testing.assert_allclose(losses.tversky(y, p), losses.dice(y, p), rtol=1e-7)  # the 1e−7 below


def test_circle_with_references_equals_keras(keras):
    options = {"ref_labels": np.asarray([0, 1]), "ref_embeddings": UNIT[:2], "remove_diagonal": False}
    expected = np.asarray(keras.losses.circle(CLASSES, UNIT, gamma=5.0, **options))
    np.testing.assert_allclose(losses.circle(CLASSES, UNIT, gamma=5.0, **options), expected, rtol=1e-11)


@pytest.mark.parametrize("labels", [np.zeros(6, dtype="int64"), np.arange(6)])
def test_circle_without_pairs_costs_nothing_and_moves_nothing(labels):
    value, g = nnx.value_and_grad(lambda p: losses.circle(labels, p).sum())(UNIT)
    assert value == 0.0 and np.array_equal(g, np.zeros_like(UNIT))


def all_paths(labels, log_p):
    """The probability of labels by listing every path: the definition of CTC."""
    times, classes = log_p.shape
    total = 0.0
    for path in itertools.product(range(classes), repeat=times):
        merged = [c for c, _ in itertools.groupby(path)]
        if [c for c in merged if c] == list(labels):
            total += np.exp(sum(log_p[t, c] for t, c in enumerate(path)))
    return -np.log(total)


@pytest.mark.parametrize("labels", [[], [1], [1, 2], [1, 1], [2, 1, 2]])
def test_ctc_adds_up_all_paths(labels):
    z = np.random.default_rng(5).normal(size=(1, 5, 3))
    log_p = z[0] - np.log(np.exp(z[0]).sum(axis=-1, keepdims=True))
    padded = np.asarray([labels + [0] * (4 - len(labels))])
    np.testing.assert_allclose(losses.ctc(padded, z), [all_paths(labels, log_p)], rtol=1e-12)


def test_ctc_of_too_many_labels_is_infinite_without_a_gradient():
    z = SEQUENCES[:1, :3]
    for labels in ([1, 1, 2], [1, 2, 3, 1]):
        y = np.asarray([labels])
        value, g = nnx.value_and_grad(lambda p, y=y: losses.ctc(y, p).sum())(z)
        assert np.isposinf(value) and np.array_equal(g, np.zeros_like(z))
    assert np.isfinite(losses.ctc(np.asarray([[1, 2, 3]]), z)).all()


def test_ctc_of_large_logits_is_silent_and_finite():
    with np.errstate(all="raise", under="ignore"):
        value, g = nnx.value_and_grad(lambda p: losses.ctc(LABELS, p).sum())(1e4 * SEQUENCES)
    assert np.isfinite(value) and np.isfinite(g).all()


def test_ctc_has_pytorchs_gradient():
    torch = pytest.importorskip("torch")
    z = torch.tensor(SEQUENCES, requires_grad=True)
    log_p = torch.log_softmax(z, dim=-1).transpose(0, 1)
    lengths = torch.tensor((LABELS != 0).sum(axis=1))
    torch.nn.functional.ctc_loss(
        log_p, torch.tensor(LABELS), torch.full((4,), 7), lengths, reduction="sum"
    ).backward()
    ours = nnx.grad(lambda p: losses.ctc(LABELS, p).sum())(SEQUENCES)
    np.testing.assert_allclose(ours, z.grad, rtol=1e-9, atol=1e-12)


def test_ctc_trains_a_model():
    x = np.random.default_rng(6).normal(size=(12, 6 * 4)).astype("float32")
    y = np.random.default_rng(7).integers(1, 4, (12, 2))
    model = nnx.Sequential([nnx.layers.Dense(24, input_shape=(24,)), nnx.layers.Reshape((6, 4))], seed=1)
    model.compile(nnx.optimizers.Adam(0.01), nnx.losses.CTC())
    history = model.fit(x, y, epochs=30, batch_size=12, verbose=0).history["loss"]
    assert history[-1] < 0.5 * history[0]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: losses.ctc(LABELS[0], SEQUENCES), ShapeError, "labels of shape"),
        (lambda: losses.circle(CLASSES[:5], UNIT), ShapeError, "one class number for each"),
        (lambda: losses.circle(CLASSES, UNIT[:, 0]), ShapeError, "one vector for each"),
        (lambda: losses.dice(*example("binary"), axis=2), AxisError, "no axis 2"),
        (lambda: losses.Dice(axis=1.5), OptionError, "axis must be"),
        (lambda: losses.Tversky(alpha=-1.0), OptionError, "alpha must be"),
        (lambda: losses.Circle(gamma=0.0), OptionError, "gamma must be"),
        (lambda: losses.Circle(remove_diagonal=1), OptionError, "remove_diagonal must be"),
    ],
)
def test_what_is_wrong_is_said(call, error, message):
    with pytest.raises(error, match=message):
        call()
