"""Models of many layers: the work of building, naming and freezing them grows as their number."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest

import nnx
from nnx.layers import Layer, Spec


@dataclass(frozen=True)
class Counting(Layer):
    """Counts what it is asked."""

    counts: Counter = None

    def spec(self, input_shape):
        self.counts["spec"] += 1
        return Spec(input_shape)

    def forward(self, p, x):
        return x


def chain_by_list(layers):
    return nnx.Sequential([nnx.Input((3,)), *layers])


def chain_by_add(layers):
    model = nnx.Sequential([nnx.Input((3,))])
    for layer in layers:
        model.add(layer)
    return model


def chain_built_later(layers):
    model = nnx.Sequential(layers)
    model.build((3,))
    return model


def chain_of_symbols(layers):
    x = y = nnx.Input((3,))
    for layer in layers:
        y = layer(y)
    return nnx.Model(x, y)


@pytest.mark.parametrize("chain", [chain_by_list, chain_by_add, chain_built_later, chain_of_symbols])
def test_the_work_of_a_deep_chain_grows_as_its_layers(chain, monkeypatch):
    counts = Counter()
    layers = [Counting(counts) for _ in range(200)]
    model = chain(layers)
    assert model.count_params() == 0
    assert counts["spec"] <= 4 * len(layers)
    counts.clear()
    names = nnx.models.network.Network.names
    monkeypatch.setattr(names, "func", counted(names.func, counts))
    seen = []
    for layer in layers:  # each line on its own would be easy; together they must not build anew each time
        layer.trainable = False
        layer.set_weights(layer.get_weights())
        seen.append((layer.name, layer.count_params()))
    assert len(set(seen)) == len(layers)
    assert model.count_params() == 0
    assert counts["spec"] <= 2 * len(layers)
    assert counts["names"] <= 3


def counted(function, counts):
    def counting(self):
        counts["names"] += 1
        return function(self)

    return counting
