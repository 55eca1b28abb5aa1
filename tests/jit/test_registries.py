"""Every layer and every activation under ``nnx.jit``: value and gradients have the bits without it."""

from __future__ import annotations

import numpy as np
import pytest
from layers.test_layers import EXAMPLES, NAMES, run

import nnx
from nnx.backend import make_backend

pytestmark = pytest.mark.usefixtures("sizes")


def same_leaves(found, wanted) -> None:
    for a, b in zip(nnx.autodiff.flatten(found)[0], nnx.autodiff.flatten(wanted)[0], strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b), strict=True)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_every_layer(name, training):
    layer, shape = EXAMPLES[name]
    _, p, x, f = run(layer, shape, make_backend("numpy"), training)
    xs = x if isinstance(x, tuple) else (x,)
    p = {name: np.abs(value) for name, value in p.items()}  # variances are not negative

    def cost(p, *xs):
        return np.sum(f(p, *xs) ** 2)

    gradient = nnx.grad(cost, argnums=tuple(range(1 + len(xs))))
    elsewhere = [x[::-1] * 0.5 for x in xs]
    for function in (f, gradient):
        jitted = nnx.jit(function)
        for arguments in (xs, xs, elsewhere):
            same_leaves(jitted(p, *arguments), function(p, *arguments))
