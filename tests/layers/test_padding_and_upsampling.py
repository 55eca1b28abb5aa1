"""ZeroPadding, Cropping and UpSampling against Keras; bad input."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx import layers
from nnx.backend import namespace, to_numpy
from nnx.errors import OptionError, ShapeError

RNG = np.random.default_rng(0)
SAMPLES = {1: (7, 2), 2: (5, 6, 2), 3: (4, 5, 6, 2)}
CASES = [
    ("ZeroPadding1D", {}),
    ("ZeroPadding1D", {"padding": (0, 3)}),
    ("ZeroPadding2D", {}),
    ("ZeroPadding2D", {"padding": 2}),
    ("ZeroPadding2D", {"padding": (0, 2)}),
    ("ZeroPadding2D", {"padding": ((1, 2), (3, 0))}),
    ("ZeroPadding3D", {}),
    ("ZeroPadding3D", {"padding": ((1, 0), (0, 0), (2, 1))}),
    ("Cropping1D", {}),
    ("Cropping1D", {"cropping": (0, 2)}),
    ("Cropping1D", {"cropping": 3}),
    ("Cropping2D", {}),
    ("Cropping2D", {"cropping": (2, 1)}),
    ("Cropping2D", {"cropping": ((1, 2), (3, 0))}),
    ("Cropping3D", {}),
    ("Cropping3D", {"cropping": ((1, 0), (0, 0), (2, 1))}),
    ("UpSampling1D", {}),
    ("UpSampling1D", {"size": 3}),
    ("UpSampling2D", {}),
    ("UpSampling2D", {"size": (3, 1)}),
    ("UpSampling2D", {"interpolation": "bilinear"}),
    ("UpSampling2D", {"size": (3, 4), "interpolation": "bilinear"}),
    ("UpSampling3D", {}),
    ("UpSampling3D", {"size": (1, 2, 3)}),
]


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_keras_has_the_same_outputs_and_gradients(name, options, keras, backend):
    import torch

    ours, theirs = getattr(layers, name)(**options), getattr(keras.layers, name)(**options, dtype="float64")
    shape = SAMPLES[int(name[-2])]
    x, weights = RNG.normal(size=(2, *shape)), RNG.normal(size=(2, *ours.spec(shape).output_shape))
    leaf = torch.tensor(x, requires_grad=True)
    y = theirs(leaf)
    (y * torch.tensor(weights)).sum().backward()
    given, along = (backend.asarray(a, dtype="float64") for a in (x, weights))
    np.testing.assert_allclose(to_numpy(ours(given)), y.detach().numpy(), rtol=1e-12, atol=1e-15)
    slope = nnx.grad(lambda x: namespace(x).sum(ours.forward({}, x) * along))(given)
    np.testing.assert_allclose(to_numpy(slope), leaf.grad.numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("ZeroPadding1D", {"padding": -1}, r"a whole number >= 0, or two \(left, right\)"),
        ("ZeroPadding1D", {"padding": (1, 2, 3)}, "padding must be"),
        ("ZeroPadding2D", {"padding": (1, 2, 3)}, "or 2 of them, or 2 pairs"),
        ("Cropping2D", {"cropping": ((1, 2), (3,))}, "cropping must be"),
        ("Cropping3D", {"cropping": "12"}, "cropping must be"),
        ("Cropping3D", {"cropping": 1.5}, "cropping must be"),
        ("UpSampling1D", {"size": 0}, "size must be a whole number >= 1"),
        ("UpSampling2D", {"size": (1, 2, 3)}, "one number or 2"),
        ("UpSampling2D", {"interpolation": "bicubic"}, "Use 'bilinear' or 'nearest'"),
        ("UpSampling2D", {"interpolation": "linear"}, "one of 'nearest', 'bilinear'"),
        ("ZeroPadding2D", {"data_format": "channels_first"}, "channels are the last axis"),
    ],
    ids=str,
)
def test_options_that_cannot_be(name, wrong, message):
    with pytest.raises(OptionError, match=message):
        getattr(layers, name)(**wrong)


def test_what_does_not_fit_says_so():
    with pytest.raises(ShapeError, match=r"leaves nothing of samples of shape \(2, 5, 1\)"):
        layers.Cropping2D(1)(np.ones((3, 2, 5, 1)))
    with pytest.raises(ShapeError, match="ZeroPadding3D needs samples of 4 axes"):
        layers.ZeroPadding3D()(np.ones((3, 2, 5, 1)))
    with pytest.raises(ShapeError, match=r"UpSampling1D needs samples of 2 axes \(steps, channels\)"):
        nnx.Sequential([nnx.Input((4,)), layers.UpSampling1D()])
