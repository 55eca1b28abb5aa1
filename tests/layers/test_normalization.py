"""BatchNormalization against Keras and PyTorch: values, running statistics, gradients to second order."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx.backend import namespace, to_numpy
from nnx.errors import OptionError, ShapeError
from nnx.layers import BatchNormalization, Context

RNG = np.random.default_rng(0)
#: the shape of a sample, and the axis of the features
PLACES = [((5,), -1), ((5,), 1), ((4, 3), -1), ((4, 3), 1), ((4, 3), 2), ((2, 3, 4), -3), ((2, 3, 4), 2)]
PARTS = [{}, {"center": False}, {"scale": False}, {"center": False, "scale": False}]


def weights_of(layer, shape):
    """Random weights: variances are positive."""
    return {w.name: RNG.normal(size=w.shape) ** 2 + 0.1 for w in layer.spec(shape).weights}


def step(layer, p, x, **context):
    """The output, and the weights after the step."""
    y, changes = layer.forward(p, x, Context(**context))
    return y, {**p, **changes}


@pytest.mark.parametrize(("shape", "axis"), PLACES)
@pytest.mark.parametrize("parts", PARTS, ids=str)
def test_keras_has_the_same_outputs_and_running_statistics(shape, axis, parts, keras, of_keras, backend):
    options = {"axis": axis, "momentum": 0.9, **parts}
    ours, theirs = BatchNormalization(**options), keras.layers.BatchNormalization(**options, dtype="float64")
    theirs.build((None, *shape))
    p = weights_of(ours, shape)
    theirs.set_weights(list(p.values()))
    p = {name: backend.asarray(w, dtype="float64") for name, w in p.items()}
    for _ in range(3):
        x = RNG.normal(size=(8, *shape))
        y, p = step(ours, p, backend.asarray(x, dtype="float64"), training=True)
        np.testing.assert_allclose(to_numpy(y), of_keras(theirs, x, training=True), rtol=1e-10, atol=1e-12)
        for a, b in zip(p.values(), theirs.get_weights(), strict=True):
            np.testing.assert_allclose(to_numpy(a), b, rtol=1e-12)
    y, _ = step(ours, p, backend.asarray(x, dtype="float64"))
    np.testing.assert_allclose(to_numpy(y), of_keras(theirs, x), rtol=1e-10, atol=1e-12)


def test_defaults_are_those_of_keras(keras):
    own, theirs = BatchNormalization(), keras.layers.BatchNormalization()
    for name in ("axis", "momentum", "epsilon", "center", "scale"):
        assert getattr(own, name) == getattr(theirs, name)
    theirs.build((None, 3))
    assert [w.name for w in own.spec((3,)).weights] == [w.name for w in theirs.weights]
    model = nnx.Sequential([nnx.Input((3,)), own])
    for a, b in zip(model.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(own.trainable_weights) == len(theirs.trainable_weights) == 2
    theirs.trainable = own.trainable = False
    assert len(own.trainable_weights) == len(theirs.trainable_weights) == 0


@pytest.mark.parametrize("shape", [(5,), (5, 4)])
def test_pytorch_has_the_same_gradients_to_second_order(shape, backend):
    torch = pytest.importorskip("torch")
    ours = BatchNormalization(axis=1, momentum=0.8)
    theirs = torch.nn.BatchNorm1d(5, eps=1e-3, momentum=0.2, dtype=torch.float64)
    x, v, p = RNG.normal(size=(8, *shape)), RNG.normal(size=(8, *shape)), weights_of(ours, shape)
    with torch.no_grad():
        theirs.weight[:], theirs.bias[:] = torch.tensor(p["gamma"]), torch.tensor(p["beta"])
        theirs.running_mean[:] = torch.tensor(p["moving_mean"])
        theirs.running_var[:] = torch.tensor(p["moving_variance"])

    def loss(layer_of, x, tanh, total):
        return total(tanh(layer_of(x)) ** 3)

    given = torch.tensor(x, requires_grad=True)
    value = loss(theirs, given, torch.tanh, torch.sum)
    leaves = [given, theirs.weight, theirs.bias]
    first = torch.autograd.grad(value, leaves, create_graph=True)
    second = torch.autograd.grad(torch.sum(first[0] * torch.tensor(v)), leaves)

    moved = {name: backend.asarray(w, dtype="float64") for name, w in p.items()}
    along = backend.asarray(v, dtype="float64")

    def f(x, gamma, beta):
        xp = namespace(x)
        q = {**moved, "gamma": gamma, "beta": beta}
        return loss(lambda x: ours.forward(q, x, Context(training=True))[0], x, xp.tanh, xp.sum)

    def slope(*at):
        return namespace(at[0]).sum(nnx.grad(f)(*at) * along)

    at = backend.asarray(x, dtype="float64"), moved["gamma"], moved["beta"]
    for a, b in zip(nnx.grad(f, argnums=(0, 1, 2))(*at), first, strict=True):
        np.testing.assert_allclose(to_numpy(a), b.detach().numpy(), rtol=1e-9, atol=1e-11)
    for a, b in zip(nnx.grad(slope, argnums=(0, 1, 2))(*at), second, strict=True):
        np.testing.assert_allclose(to_numpy(a), b.numpy(), rtol=1e-9, atol=1e-10)
    # PyTorch's running variance is that of the population, n / (n - 1) times the batch's
    _, after = step(ours, moved, at[0], training=True)
    n = x.size // 5
    biased = (theirs.running_var.numpy() - 0.8 * p["moving_variance"]) * (n - 1) / n
    np.testing.assert_allclose(to_numpy(after["moving_mean"]), theirs.running_mean.numpy(), rtol=1e-12)
    np.testing.assert_allclose(to_numpy(after["moving_variance"]) - 0.8 * p["moving_variance"], biased)


@pytest.mark.parametrize("axis", [0, 3, -3])
def test_axes_that_samples_do_not_have(axis):
    with pytest.raises(ShapeError, match=rf"axis={axis}.*axes 1 to 2"):
        BatchNormalization(axis=axis).spec((4, 3))


@pytest.mark.parametrize("wrong", [{"momentum": 1.5}, {"epsilon": 0.0}, {"center": 1}, {"axis": 0.5}])
def test_options_that_cannot_be(wrong):
    with pytest.raises(OptionError, match="BatchNormalization: " + next(iter(wrong))):
        BatchNormalization(**wrong)


def test_a_batch_of_one_sample_is_its_own_mean(backend):
    layer = BatchNormalization()
    p = {name: backend.asarray(w, dtype="float64") for name, w in weights_of(layer, (3,)).items()}
    y, after = step(layer, p, backend.asarray([[1.0, 2.0, 3.0]], dtype="float64"), training=True)
    np.testing.assert_allclose(to_numpy(y)[0], to_numpy(p["beta"]))
    np.testing.assert_allclose(to_numpy(after["moving_variance"]), 0.99 * to_numpy(p["moving_variance"]))
