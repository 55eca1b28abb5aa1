"""Lambda: its shape, its masks, what a file can hold of it."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx.backend import namespace, to_numpy
from nnx.errors import OptionError, ShapeError
from nnx.layers import Dense, Lambda

RNG = np.random.default_rng(0)


@nnx.layers.functions.register()
def halves(x, *, times=1.0):
    """The mean of each two neighbours."""
    return times * 0.5 * (x[:, ::2] + x[:, 1::2])


def of_two(xs):
    return xs[0] * xs[1]


def test_values_and_gradients_go_through_it(backend):
    x = RNG.normal(size=(5, 4))
    model = nnx.Sequential(
        [nnx.Input((4,)), Lambda(halves, arguments={"times": 3.0}), Dense(1)],
        dtype="float64",
        backend=backend,
    )
    kernel, bias = model.layers[1].get_weights()
    wanted = 1.5 * (x[:, ::2] + x[:, 1::2]) @ kernel + bias
    np.testing.assert_allclose(to_numpy(model.predict(backend.asarray(x))), wanted, rtol=1e-12)
    nnx.check_derivatives(lambda x: Lambda(halves).forward({}, x), backend.asarray(x, dtype="float64"))


@pytest.mark.parametrize(
    ("function", "inputs", "shape"),
    [
        (np.tanh, [(3,)], (3,)),
        (lambda x: np.sum(x**2, axis=-1, keepdims=True), [(4, 3)], (4, 1)),
        (lambda x: namespace(x).sum(x, axis=(1, 2)), [(4, 3)], ()),
        (of_two, [(3,), (3,)], (3,)),
    ],
)
def test_the_shape_is_found_as_keras_finds_it(function, inputs, shape):
    assert Lambda(function).spec(*inputs).output_shape == shape


def test_a_shape_that_is_given_is_taken(keras):
    def half(shape):
        return (shape[0], shape[1] // 2)

    for wanted in ((2,), [2], half):
        layer = Lambda(lambda x: x[:, :2], output_shape=wanted)
        assert layer(nnx.Input((4,))).shape == (2,)
        theirs = keras.layers.Lambda(
            lambda x: x[:, :2], output_shape=tuple(wanted) if wanted == [2] else wanted
        )
        assert theirs(keras.Input((4,))).shape == (None, 2)
    assert Lambda(of_two, output_shape=lambda shapes: shapes[1]).spec((3,), (3,)).output_shape == (3,)


def test_training_and_masks_reach_the_function(backend):
    def f(x, training=False, mask=None):
        y = x * 2.0 if training else x
        return y if mask is None else y * namespace(x).astype(mask, x.dtype)[..., None]

    x, mask = (
        backend.asarray(RNG.normal(size=(2, 3, 2)), dtype="float64"),
        backend.asarray(RNG.random((2, 3)) > 0.5),
    )
    layer = Lambda(f)
    np.testing.assert_array_equal(to_numpy(layer(x, training=True)), 2.0 * to_numpy(x))
    kept = to_numpy(x) * to_numpy(mask)[..., None]
    np.testing.assert_array_equal(to_numpy(layer(x, mask=mask)), kept)
    assert layer.random and layer.takes_mask and not Lambda(of_two).takes_mask
    own = Lambda(f, mask=lambda x, mask: mask)
    assert own.gives_mask((True,)) == 1 and layer.gives_mask((True,)) == 0
    np.testing.assert_array_equal(to_numpy(own.compute_mask([x], [mask])), to_numpy(mask))


def test_registered_functions_are_saved_by_name(tmp_path):
    model = nnx.Sequential(
        [nnx.Input((4,)), Lambda(halves, arguments={"times": 2.0}), Lambda(nnx.activations.tanh), Dense(1)]
    )
    model.save(tmp_path / "m.safetensors")
    again = nnx.load_model(tmp_path / "m.safetensors")
    x = RNG.normal(size=(3, 4)).astype("float32")
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    assert again.layers[0].arguments == {"times": 2.0}
    assert Lambda("halves").function.function is halves


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (lambda x: x, "a lambda is not registered.*nnx.layers.functions.registry.register"),
        (of_two, "function of_two is not registered.*nnx.layers.functions.registry.register"),
        (np.tanh, "ufunc"),
    ],
)
def test_others_are_refused_by_files(function, why, tmp_path):
    model = nnx.Sequential([nnx.Input((4,)), Lambda(function, output_shape=(4,)), Dense(1)])
    with pytest.raises(OptionError, match=why):
        model.save(tmp_path / "m.safetensors")


def test_what_is_wrong_is_said():
    with pytest.raises(ShapeError, match=r"samples along the first axis.*two samples of shape \(3,\)"):
        Lambda(np.sum).spec((3,))
    with pytest.raises(ShapeError, match=r"run on two samples of shape \(3,\).*output_shape="):
        Lambda(lambda x: x @ np.ones((4, 2))).spec((3,))
    with pytest.raises(OptionError, match="function must be"):
        Lambda(None)
    with pytest.raises(OptionError, match="function must be a name, a function"):
        Lambda(3)
    with pytest.raises(OptionError, match="arguments must be a dict"):
        Lambda(np.tanh, arguments=[1])
    with pytest.raises(OptionError, match="output_shape"):
        Lambda(np.tanh, output_shape=(0,))
