"""Layer, group, RMS and unit normalization against Keras and NumPy: values, gradients, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx.backend import namespace, to_numpy
from nnx.errors import OptionError, ShapeError
from nnx.layers import GroupNormalization, LayerNormalization, RMSNormalization, UnitNormalization
from nnx.layers.moments import normalized_rows

RNG = np.random.default_rng(0)
PARTS = [{}, {"center": False}, {"scale": False}, {"center": False, "scale": False}]


def weights_of(layer, shape):
    return {w.name: RNG.normal(size=w.shape) + 0.5 for w in layer.spec(shape).weights}


def agrees(layer, theirs, shape, backend):
    """Same weights, output and gradients as Keras' layer."""
    import torch

    theirs.build((None, *shape))
    p = weights_of(layer, shape)
    theirs.set_weights(list(p.values()))
    x, g = RNG.normal(size=(3, *shape)), RNG.normal(size=(3, *shape))
    pb = {name: backend.asarray(w, dtype="float64") for name, w in p.items()}
    xb, gb = backend.asarray(x, dtype="float64"), backend.asarray(g, dtype="float64")
    y, pull = nnx.vjp(layer.forward, pb, xb)
    given = torch.tensor(x, requires_grad=True)
    wanted = theirs(given)
    np.testing.assert_allclose(to_numpy(y), wanted.detach().numpy(), rtol=1e-10, atol=1e-12)
    leaves = [given, *(w.value for w in theirs.weights)]
    slopes = torch.autograd.grad(torch.sum(wanted * torch.tensor(g)), leaves)
    by_p, by_x = pull(gb)
    for a, b in zip([by_x, *by_p.values()], slopes, strict=True):
        np.testing.assert_allclose(to_numpy(a), b.numpy(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("shape", "axis"),
    [((5,), -1), ((4, 5), -1), ((4, 5), 2), ((4, 5), (1, 2)), ((4, 5), [-1, -2]), ((2, 3, 4), [2, 3])],
)
@pytest.mark.parametrize("parts", PARTS, ids=str)
def test_layer_normalization(shape, axis, parts, keras, backend):
    theirs = keras.layers.LayerNormalization(axis=axis, dtype="float64", **parts)
    agrees(LayerNormalization(axis, **parts), theirs, shape, backend)


@pytest.mark.parametrize(
    ("shape", "groups", "axis"),
    [
        ((6,), 2, -1),
        ((6,), 3, 1),
        ((4, 6), 1, -1),
        ((4, 6), -1, -1),
        ((3, 2, 6), 3, 3),
        ((6, 4), 2, 1),
        ((2, 6, 3), 2, -2),
    ],
)
@pytest.mark.parametrize("parts", PARTS, ids=str)
def test_group_normalization(shape, groups, axis, parts, keras, backend):
    theirs = keras.layers.GroupNormalization(groups, axis=axis, dtype="float64", **parts)
    agrees(GroupNormalization(groups, axis, **parts), theirs, shape, backend)


@pytest.mark.parametrize(("shape", "axis"), [((5,), -1), ((4, 5), -1), ((4, 5), [1, 2])])
def test_rms_normalization(shape, axis, keras, backend):
    agrees(RMSNormalization(axis), keras.layers.RMSNormalization(axis, dtype="float64"), shape, backend)


@pytest.mark.parametrize(("shape", "axis"), [((5,), -1), ((4, 5), -1), ((4, 5), 1), ((4, 5), (1, 2))])
def test_unit_normalization(shape, axis, keras, backend):
    agrees(UnitNormalization(axis), keras.layers.UnitNormalization(axis, dtype="float64"), shape, backend)


@pytest.mark.parametrize("axis", [1, (1, 3), (3, 1), 2])
def test_axes_that_are_not_the_last(axis, backend):
    """Keras on PyTorch looks at their lengths alone, so the formula is written out here."""
    x, places = RNG.normal(size=(2, 3, 4, 3)), tuple(sorted(np.atleast_1d(axis).tolist()))
    lengths = tuple(n if i in places else 1 for i, n in enumerate(x.shape))
    xb = backend.asarray(x, dtype="float64")
    layer, rms = LayerNormalization(axis), RMSNormalization(axis)
    for one in (layer, rms):
        assert one.spec(x.shape[1:]).weights[0].shape == tuple(x.shape[i] for i in places)
    p = weights_of(layer, x.shape[1:])
    normal = (x - x.mean(axis=places, keepdims=True)) / np.sqrt(x.var(axis=places, keepdims=True) + 1e-3)
    wanted = normal * p["gamma"].reshape(lengths) + p["beta"].reshape(lengths)
    found = layer.forward({name: backend.asarray(w, dtype="float64") for name, w in p.items()}, xb)
    np.testing.assert_allclose(to_numpy(found), wanted, rtol=1e-12, atol=1e-14)
    scale = p["gamma"]
    wanted = x / np.sqrt(np.mean(x * x, axis=places, keepdims=True) + 1e-6) * scale.reshape(lengths)
    found = rms.forward({"scale": backend.asarray(scale, dtype="float64")}, xb)
    np.testing.assert_allclose(to_numpy(found), wanted, rtol=1e-12)


@pytest.mark.parametrize(
    "kind", ["LayerNormalization", "GroupNormalization", "RMSNormalization", "UnitNormalization"]
)
def test_defaults_are_those_of_keras(kind, keras):
    own, theirs = (getattr(layers, kind)() for layers in (nnx.layers, keras.layers))
    for name in {"axis", "epsilon", "center", "scale", "groups"} & set(own.get_config()):
        assert getattr(own, name) == getattr(theirs, name)
    theirs.build((None, 64))
    model = nnx.Sequential([nnx.Input((64,)), own])
    assert [w.name for w in own.spec((64,)).weights] == [w.name for w in theirs.weights]
    for a, b in zip(model.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("with_gamma", [True, False])
def test_the_derivative_of_rows_is_that_of_its_plain_body(with_gamma, backend):
    x, gamma, beta = (backend.asarray(RNG.normal(size=s), dtype="float64") for s in ((4, 3), (3,), (3,)))

    def of(function):
        def f(x, gamma, beta):
            y, mean, inverse = function(x, *((gamma, beta) if with_gamma else (None, None)), epsilon=1e-2)
            xp = namespace(y)
            moments = xp.sum(mean**3) + xp.sum(inverse**2)
            return xp.sum(xp.tanh(y) ** 2) + moments + 0.0 * xp.sum(gamma * beta)

        return f

    args = (x, gamma, beta)
    first = [nnx.grad(of(f), argnums=(0, 1, 2))(*args) for f in (normalized_rows, normalized_rows.plain)]
    second = [
        nnx.jvp(nnx.grad(of(f), argnums=(0, 1, 2)), args, args)[1]
        for f in (normalized_rows, normalized_rows.plain)
    ]
    for ours, plain in (first, second):
        for a, b in zip(ours, plain, strict=True):
            np.testing.assert_allclose(to_numpy(a), to_numpy(b), rtol=1e-11, atol=1e-11)
    nnx.check_derivatives(of(normalized_rows), *args)


def test_large_samples_go_other_ways(backend):
    """On NumPy: through loops, compiled where Numba is installed."""
    x = RNG.normal(size=(40, 60, 64)) + 3.0
    for layer in (LayerNormalization(), LayerNormalization((1, 2)), GroupNormalization(4)):
        p = weights_of(layer, x.shape[1:])
        pb = {name: backend.asarray(w, dtype="float64") for name, w in p.items()}
        y, pull = nnx.vjp(layer.forward, pb, backend.asarray(x, dtype="float64"))
        few = nnx.vjp(layer.forward, p, x[:1])
        np.testing.assert_allclose(to_numpy(y)[:1], few[0], rtol=1e-12, atol=1e-12)
        by_x = to_numpy(pull(y)[1])
        np.testing.assert_allclose(by_x[:1], few[1](few[0])[1], rtol=1e-10, atol=1e-10)


def test_a_sample_of_zeros_has_no_direction(backend):
    y, pull = nnx.vjp(
        lambda x: UnitNormalization().forward({}, x), backend.asarray([[0.0, 0.0]], dtype="float32")
    )
    np.testing.assert_array_equal(to_numpy(y), [[0.0, 0.0]])
    assert np.all(np.isfinite(to_numpy(pull(y)[0])))


def test_what_is_refused():
    with pytest.raises(ShapeError, match=r"groups=32\) cannot divide 6 features"):
        GroupNormalization().spec((6,))
    with pytest.raises(OptionError, match="groups must be a whole number >= 1, or -1"):
        GroupNormalization(0)
    with pytest.raises(OptionError, match="at least one axis"):
        LayerNormalization(())
    with pytest.raises(ShapeError, match="named twice"):
        LayerNormalization((1, -1)).spec((3,))
    for layer in (
        LayerNormalization(0),
        RMSNormalization((1, 3)),
        UnitNormalization(-3),
        GroupNormalization(1, 3),
    ):
        with pytest.raises(ShapeError, match="axes 1 to 2"):
            layer.spec((3, 4))
    with pytest.raises(OptionError, match="epsilon"):
        LayerNormalization(epsilon=0.0)
