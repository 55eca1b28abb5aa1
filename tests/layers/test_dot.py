"""Dot, Identity, ActivityRegularization and the mask of Softmax compute what Keras' do."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx.backend import namespace, to_numpy
from nnx.errors import OptionError, ShapeError
from nnx.layers import ActivityRegularization, Dense, Dot, Identity, Softmax

RNG = np.random.default_rng(0)
CASES = [
    ((4,), (4,), 1),
    ((4,), (4,), -1),
    ((3, 4), (5, 4), 2),
    ((3, 4), (4, 5), (2, 1)),
    ((3, 4), (3, 5), 1),
    ((4,), (5, 4), (1, 2)),
    ((5, 4), (4,), (-1, -1)),
    ((2, 3, 4), (5, 4), (3, 2)),
    ((2, 3, 4), (3, 5, 2), (2, 1)),
]


@pytest.mark.parametrize(("first", "second", "axes"), CASES, ids=str)
@pytest.mark.parametrize("normalize", [False, True])
def test_dot(first, second, axes, normalize, keras, of_keras, backend):
    x, y = RNG.normal(size=(2, *first)), RNG.normal(size=(2, *second))
    own = Dot(axes, normalize=normalize)
    wanted = of_keras(keras.layers.Dot(axes, normalize=normalize, dtype="float64"), x, y)
    xs = backend.asarray(x, dtype="float64"), backend.asarray(y, dtype="float64")
    np.testing.assert_allclose(to_numpy(own(*xs)), wanted, rtol=1e-12, atol=1e-14)
    assert own.spec(first, second).output_shape == wanted.shape[1:]
    nnx.check_derivatives(lambda x, y: own.forward({}, x, y), *xs)


def test_what_dot_refuses():
    with pytest.raises(ShapeError, match=r"axes of one length.*have 4 and 5"):
        Dot(1).spec((4,), (5,))
    with pytest.raises(ShapeError, match="axes 1 to 1"):
        Dot(2).spec((4,), (5, 4))
    for wrong in (0, (1, 0), (1, 2, 3), "1", None, ()):
        with pytest.raises(OptionError, match="axes must be an axis, or one of each input"):
            Dot(wrong)


def test_lengths_of_zero_have_no_angle(backend):
    x = backend.asarray([[0.0, 0.0]], dtype="float64")
    y, pull = nnx.vjp(lambda x: Dot(1, normalize=True).forward({}, x, x), x)
    assert to_numpy(y) == 0.0 and np.all(np.isfinite(to_numpy(pull(y)[0])))


@pytest.mark.parametrize(
    ("axis", "shape"), [(-1, (2, 3, 4)), (1, (2, 3, 4)), (-1, (2, 1, 4)), (2, (1, 3, 4))]
)
def test_softmax_of_what_a_mask_keeps(axis, shape, keras, backend):
    import torch

    x, mask = 4.0 * RNG.normal(size=(2, 3, 4)), RNG.random(shape) > 0.5
    mask[0, 0] = False  # nothing is kept
    wanted = keras.layers.Softmax(axis, dtype="float64")(torch.tensor(x), mask=torch.tensor(mask)).numpy()
    layer, mb = Softmax(axis), backend.asarray(mask)
    xb = backend.asarray(x, dtype="float64")
    np.testing.assert_allclose(to_numpy(layer(xb, mask=mb)), wanted, rtol=1e-13, atol=1e-15)
    y, pull = nnx.vjp(lambda x: layer.forward({}, x, mask=mb), xb)
    slope = to_numpy(pull(namespace(y).ones_like(y))[0])
    assert np.all(np.isfinite(slope)) and np.all(slope[~np.broadcast_to(mask, x.shape)] == 0.0)


def test_a_mask_of_steps_passes_a_softmax_and_one_that_does_not_fit_is_refused():
    x = RNG.normal(size=(2, 3, 4))
    np.testing.assert_array_equal(Softmax()(x, mask=np.asarray([[True, False, True]] * 2)), Softmax()(x))
    with pytest.raises(ShapeError, match="does not fit x"):
        Softmax()(x, mask=np.ones((2, 2, 4), dtype=bool))


def test_activity_regularization_adds_to_the_loss_as_in_keras(keras):
    x, y = RNG.normal(size=(6, 4)), RNG.normal(size=(6, 3))
    kernel, bias = RNG.normal(size=(4, 3)), RNG.normal(size=3)
    losses = []
    for layers, model_of in (
        (nnx.layers, lambda *parts: nnx.Sequential([nnx.Input((4,)), *parts], dtype="float64")),
        (keras.layers, lambda *parts: keras.Sequential([keras.Input((4,)), *parts])),
    ):
        other = {} if layers is nnx.layers else {"dtype": "float64"}
        model = model_of(
            layers.Dense(3, **other),
            layers.ActivityRegularization(l1=0.1, l2=0.3, **other),
            layers.Identity(**other),
        )
        model.compile("sgd", "mse")
        model.layers[0].set_weights([kernel, bias])
        losses.append(model.evaluate(x, y, verbose=0))
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-6)  # Keras sums its losses in float32


def test_activity_regularization_is_saved_and_identity_stays():
    layer = ActivityRegularization(0.1, 0.2)
    assert "activity_regularizer" not in layer.get_config()
    again = ActivityRegularization.from_config(layer.get_config())
    assert (again.l1, again.l2) == (0.1, 0.2)
    with pytest.raises(OptionError, match="l1"):
        ActivityRegularization(-1.0)
    model = nnx.Sequential([nnx.Input((3,)), Identity(), Dense(2)])
    assert model.layers[0].output_shape == (None, 3)
