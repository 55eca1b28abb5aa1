"""BatchNormalization against Keras and PyTorch: values, running statistics, gradients to second order."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx.backend import namespace, to_numpy
from nnx.errors import OptionError, ShapeError
from nnx.layers import BatchNormalization, Context
from nnx.layers.moments import normalized_columns, scaled_columns

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


@pytest.mark.parametrize("shape", [(40, 7, 33), (64, 9, 9, 16)])
@pytest.mark.parametrize("parts", PARTS, ids=str)
def test_large_batches_have_the_gradients_of_pytorch(shape, parts, backend):
    """On NumPy these go through loops, compiled where Numba is installed."""
    torch = pytest.importorskip("torch")
    layer, p = BatchNormalization(**parts), weights_of(BatchNormalization(**parts), shape[1:])
    x, g = RNG.normal(size=shape) + 2.0, RNG.normal(size=shape)
    leaves = {name: torch.tensor(w, requires_grad=True) for name, w in p.items() if "moving" not in name}
    given = torch.tensor(x, requires_grad=True)
    wanted = torch.nn.functional.batch_norm(
        torch.movedim(given, -1, 1),
        None,
        None,
        leaves.get("gamma"),
        leaves.get("beta"),
        training=True,
        eps=1e-3,
    )
    wanted = torch.movedim(wanted, 1, -1)
    slopes = torch.autograd.grad(torch.sum(wanted * torch.tensor(g)), [given, *leaves.values()])
    pb = {name: backend.asarray(w, dtype="float64") for name, w in p.items()}

    def f(x, own):
        return layer.forward({**pb, **own}, x, Context(training=True))[0]

    own = {name: pb[name] for name in leaves}
    y, pull = nnx.vjp(f, backend.asarray(x, dtype="float64"), own)
    by_x, by_own = pull(backend.asarray(g, dtype="float64"))
    np.testing.assert_allclose(to_numpy(y), wanted.detach().numpy(), rtol=1e-10, atol=1e-12)
    for a, b in zip([by_x, *by_own.values()], slopes, strict=True):
        np.testing.assert_allclose(to_numpy(a), b.numpy(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("features", [1, 3])
def test_steps_that_a_mask_leaves_out_do_not_count(features, keras, backend):
    layer = BatchNormalization(momentum=0.9)
    x, mask = RNG.normal(size=(4, 6, features)), RNG.random((4, 6)) > 0.4
    p = weights_of(layer, x.shape[1:])
    pb, mb = {n: backend.asarray(w, dtype="float64") for n, w in p.items()}, backend.asarray(mask)
    holes = np.where(mask[..., None], x, np.nan)
    y, changes = layer.forward(pb, backend.asarray(holes, dtype="float64"), Context(training=True), mask=mb)
    mean, variance = x[mask].mean(axis=0), x[mask].var(axis=0)
    wanted = (x - mean) / np.sqrt(variance + 1e-3) * p["gamma"] + p["beta"]
    np.testing.assert_allclose(to_numpy(y)[mask], wanted[mask], rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(
        to_numpy(changes["moving_mean"]), 0.9 * p["moving_mean"] + 0.1 * mean, rtol=1e-12
    )
    moved = 0.9 * p["moving_variance"] + 0.1 * variance
    np.testing.assert_allclose(to_numpy(changes["moving_variance"]), moved, rtol=1e-12)
    if features == 1:
        return  # Keras raises "tuple index out of range"
    theirs = keras.layers.BatchNormalization(momentum=0.9, dtype="float64")
    theirs.build(x.shape)
    theirs.set_weights(list(p.values()))
    y, _ = layer.forward(pb, backend.asarray(x, dtype="float64"), Context(training=True), mask=mb)
    # Keras divides by the number of steps + 1e-7
    np.testing.assert_allclose(to_numpy(y), theirs(x, training=True, mask=mask).detach().numpy(), atol=1e-6)
    np.testing.assert_allclose(to_numpy(y), wanted, rtol=1e-11, atol=1e-12)


def test_masks_with_nothing_left_and_masks_that_do_not_fit(backend):
    layer, x = BatchNormalization(), backend.asarray(RNG.normal(size=(2, 3, 4)), dtype="float64")
    p = {n: backend.asarray(w, dtype="float64") for n, w in weights_of(layer, (3, 4)).items()}
    none = backend.asarray(np.zeros((2, 3), dtype=bool))
    _, changes = layer.forward(p, x, Context(training=True), mask=none)
    np.testing.assert_allclose(to_numpy(changes["moving_mean"]), 0.99 * to_numpy(p["moving_mean"]))
    with pytest.raises(ShapeError, match="one entry for each step"):
        layer.forward(p, x, Context(training=True), mask=none[:, :2])
    with pytest.raises(ShapeError, match="along the last axis"):
        BatchNormalization(axis=1).forward(p, x, Context(training=True), mask=none)


def test_gradients_flow_through_masked_moments(backend):
    layer, x = BatchNormalization(), backend.asarray(RNG.normal(size=(3, 4, 2)), dtype="float64")
    p = {n: backend.asarray(w, dtype="float64") for n, w in weights_of(layer, (4, 2)).items()}
    mask = backend.asarray(RNG.random((3, 4)) > 0.3)
    nnx.check_derivatives(lambda x: layer.forward(p, x, Context(training=True), mask=mask)[0], x)


@pytest.mark.parametrize("with_scale", [True, False])
def test_the_derivative_is_that_of_the_plain_body(with_scale, backend):
    x, gamma, beta = (backend.asarray(RNG.normal(size=s), dtype="float64") for s in ((5, 3), (3,), (3,)))

    def of(function):
        def f(x, gamma, beta):
            y, mean, variance = function(x, *((gamma, beta) if with_scale else (None, None)), epsilon=1e-2)
            xp = namespace(y)
            return (
                xp.sum(xp.tanh(y) ** 2) + xp.sum(mean**3) + xp.sum(variance**2) + 0.0 * xp.sum(gamma * beta)
            )

        return f

    args, both = (x, gamma, beta), (normalized_columns, normalized_columns.plain)
    first = [nnx.grad(of(f), argnums=(0, 1, 2))(*args) for f in both]
    second = [nnx.jvp(nnx.grad(of(f), argnums=(0, 1, 2)), args, args)[1] for f in both]
    for ours, plain in (first, second):
        for a, b in zip(ours, plain, strict=True):
            np.testing.assert_allclose(to_numpy(a), to_numpy(b), rtol=1e-11, atol=1e-11)
    nnx.check_derivatives(of(normalized_columns), *args)


def test_scaled_columns_has_the_derivatives_of_its_plain_body(backend):
    args = tuple(backend.asarray(RNG.normal(size=s), dtype="float64") for s in ((5, 3), (3,), (3,)))
    nnx.check_derivatives(scaled_columns, *args)
    for moved in ((0,), (1,), (0, 2)):

        def of_some(*some, moved=moved):
            return scaled_columns(*(some[moved.index(i)] if i in moved else a for i, a in enumerate(args)))

        nnx.check_derivatives(of_some, *(args[i] for i in moved))


def test_variances_are_right_where_the_mean_is_large(backend):
    """Keras on PyTorch gives 8 for these in float32, where 1.3125 is right."""
    x = backend.asarray(10000.0 + 0.5 * np.arange(8.0)[:, None], dtype="float32")
    p = {n: backend.asarray(w, dtype="float32") for n, w in weights_of(BatchNormalization(), (1,)).items()}
    _, after = BatchNormalization(momentum=0.0).forward(p, x, Context(training=True))
    np.testing.assert_allclose(to_numpy(after["moving_variance"]), 1.3125)


@pytest.mark.parametrize("name", ["synchronized", "renorm", "renorm_momentum"])
def test_what_keras_has_and_nnx_has_not(name):
    with pytest.raises(OptionError, match=f"no argument '{name}'.*nothing in its place"):
        BatchNormalization(**{name: True})
