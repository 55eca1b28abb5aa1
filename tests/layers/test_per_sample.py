"""Each sample's own gradient by a layer's weights, against reverse mode for one sample at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from layers.test_layers import EXAMPLES, inputs, run_of, shapes_of

import nnx
from nnx.backend import namespace, to_numpy
from nnx.layers import Context, Dense, Layer, Maxout, PReLU, Spec, Weight, parts_of

N = 5


@dataclass(frozen=True)
class Wave(Layer):
    """A user's layer: two weights of different shapes, and nothing said about single samples."""

    def spec(self, input_shape: tuple[int, ...]) -> Spec:
        return Spec(
            input_shape,
            (
                Weight("amplitude", input_shape, nnx.initializers.get("ones")),
                Weight("shift", (), nnx.initializers.get("zeros")),
            ),
        )

    def forward(self, p: Mapping[str, Any], x: Any) -> Any:
        return p["amplitude"] * namespace(x).sin(x + p["shift"])


CASES = EXAMPLES | {
    "dense, rows in a sample": (Dense(4, "tanh"), (2, 3)),
    "dense, grids in a sample": (Dense(2, "sigmoid"), (2, 3, 3)),
    "dense, linear": (Dense(4), (3,)),
    "dense, no bias": (Dense(4, "relu", use_bias=False), (3,)),
    "dense, options": (Dense(4, nnx.activations.LeakyReLU(negative_slope=0.3)), (3,)),
    "dense, softmax": (Dense(4, "softmax"), (3,)),
    "dense, a user's activation": (Dense(4, lambda z: z * z * z), (3,)),
    "maxout, rows in a sample": (Maxout(2, pieces=2), (2, 3)),
    "pre_lu, shared": (PReLU("ones", shared_axes=(1,)), (2, 3)),
    "a user's layer": (Wave(), (2, 3)),
}


def prepared(case, backend):
    """The layer's function of weights and inputs, its name of weights, and what ``per_sample`` answers."""
    layer, shape = CASES[case]
    random = np.random.default_rng(1)
    spec = layer.spec(*shapes_of(layer, shape))
    p = {w.name: backend.asarray(random.standard_normal(w.shape), dtype="float64") for w in spec.weights}
    xs = inputs(layer, shape, lambda s: backend.asarray(random.standard_normal((N, *s)), dtype="float64"))
    g = backend.asarray(random.standard_normal((N, *spec.output_shape)), dtype="float64")
    context = Context(training=True, seed=3, step=2)

    return run_of(layer, context), p, xs, g, lambda names: per_sample_of(layer, p, names, xs, context)


def per_sample_of(layer, p, names, xs, context):
    """As a program does it: part by part, each with those of the weights that it takes."""
    backs, y = [], None
    for part in parts_of(layer):
        own = [n for n in names if part is layer or n in part.takes]
        y, back = part.per_sample(p, own, xs if y is None else (y,), context)
        backs.append(back)

    single = not isinstance(y, tuple)

    def back(g):
        found = []
        by_inputs = (g if single else [g, *(None for _ in y[1:])],)
        for one in reversed(backs):
            by_inputs, gradients = one(by_inputs[0])
            found.append(gradients)
        return by_inputs, lambda part: {k: v for gradients in found for k, v in gradients(part).items()}

    return y if single else y[0], back


# a layer that mixes samples has no gradients of single ones
ALONE = [case for case in CASES if not CASES[case][0].mixes_samples]


@pytest.mark.parametrize("case", ALONE)
def test_gradients_are_those_of_one_sample_after_the_other(case, backend):
    f, p, xs, g, per_sample = prepared(case, backend)
    xp = namespace(*xs)
    y, back = per_sample(tuple(p))
    np.testing.assert_array_equal(to_numpy(y), to_numpy(f(p, *xs)))
    by_inputs, gradients = back(g)
    found = gradients(slice(0, N))
    assert set(found) == set(p)
    for mine, wanted in zip(by_inputs, nnx.vjp(lambda *xs: f(p, *xs), *xs)[1](g), strict=True):
        np.testing.assert_allclose(to_numpy(mine), to_numpy(wanted), rtol=1e-13)
    for i in range(N):
        # the whole batch, for random numbers belong to it; of the gradients by the output only one
        only = xp.zeros_like(g)
        only[i, ...] = g[i, ...]
        wanted, *_ = nnx.vjp(f, p, *xs)[1](only)
        for name, one in wanted.items():
            assert found[name].shape == (N, *p[name].shape)
            np.testing.assert_allclose(
                to_numpy(found[name][i, ...]), to_numpy(one), rtol=1e-12, atol=1e-14, err_msg=name
            )


@pytest.mark.parametrize("case", ["dense", "dense, rows in a sample", "maxout", "pre_lu", "a user's layer"])
def test_parts_of_the_samples_are_parts_of_the_gradients(case, backend):
    _, p, _, g, per_sample = prepared(case, backend)
    gradients = per_sample(tuple(p))[1](g)[1]
    whole, part = gradients(slice(0, N)), gradients(slice(1, 4))
    for name in p:
        np.testing.assert_allclose(to_numpy(part[name]), to_numpy(whole[name][1:4, ...]), rtol=1e-13)


@pytest.mark.parametrize("case", ["dense", "maxout", "a user's layer"])
def test_only_the_named_weights_are_there(case, backend):
    _, p, _, g, per_sample = prepared(case, backend)
    first = next(iter(p))
    assert set(per_sample((first,))[1](g)[1](slice(0, N))) == {first}
    assert per_sample(())[1](g)[1](slice(0, N)) == {}


def test_it_is_nnx_per_sample_grad_of_a_loss(backend):
    f, p, (x,), _, per_sample = prepared("dense", backend)

    def loss(p, row):
        y = f(p, row[None, :])
        return namespace(y).sum(y * y)

    y, back = per_sample(tuple(p))
    found = back(2.0 * y)[1](slice(0, N))
    wanted = nnx.per_sample_grad(loss)(p, x)
    for name in p:
        np.testing.assert_allclose(to_numpy(found[name]), to_numpy(wanted[name]), rtol=1e-12, atol=1e-14)
