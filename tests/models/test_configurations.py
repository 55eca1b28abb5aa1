"""Configurations that are none, or not whole: what was asked, what was given and what to do."""

from __future__ import annotations

import pytest

import nnx
from nnx.errors import FileFormatError, OptionError, UnknownName
from nnx.registry import from_config, to_config

X = nnx.Input((3,))
GRAPH = nnx.Model(X, nnx.layers.Dense(2)(X)).get_config()
STACK = nnx.Sequential([nnx.layers.Dense(2, input_shape=(3,))]).get_config()


@pytest.mark.parametrize(
    ("kind", "config", "says"),
    [
        (
            nnx.Model,
            {"a": 1},
            "Model.get_config.. returned, with 'name', .*lacks 'name', 'layers', .*has 'a'",
        ),
        (nnx.Model, {}, "has nothing"),
        (nnx.Model, STACK, "lacks 'inputs', 'input_names', 'calls', 'outputs'"),
        (nnx.Model, None, "Model.from_config takes the dict that .* got None"),
        (nnx.Model, [GRAPH], "got \\["),
        (nnx.Model, GRAPH | {"calls": [[7, [0]]]}, "damaged .IndexError"),
        (nnx.Model, GRAPH | {"calls": 3}, "damaged .TypeError"),
        (nnx.Model, GRAPH | {"outputs": ["a"]}, "damaged .TypeError"),
        (nnx.Model, GRAPH | {"input_names": []}, "damaged .ValueError"),
        (
            nnx.Sequential,
            {"a": 1},
            "Sequential.get_config.. returned, .*lacks 'name', 'layers', 'input_shape'",
        ),
        (nnx.Sequential, GRAPH, "lacks 'input_shape'"),
        (nnx.Sequential, STACK | {"layers": None}, "damaged"),
        (nnx.Sequential, STACK | {"order": [0, 3]}, "damaged .IndexError"),
        (nnx.Sequential, STACK | {"input_shape": 3}, "damaged .TypeError"),
        (
            nnx.layers.Dense,
            None,
            "Dense.from_config takes the dict that Dense.get_config.. returned, got None",
        ),
    ],
)
def test_what_is_no_configuration_is_refused(kind, config, says):
    with pytest.raises(FileFormatError, match=says):
        kind.from_config(config)


def test_names_and_options_within_are_told_as_elsewhere():
    layer = STACK["layers"][0]
    with pytest.raises(UnknownName, match="dense"):
        nnx.Sequential.from_config(STACK | {"layers": [layer | {"name": "denze"}]})
    with pytest.raises(OptionError, match="units must be a whole number"):
        nnx.Sequential.from_config(STACK | {"layers": [layer | {"options": {"units": -1}}]})


class Written(nnx.layers.Layer):
    def __init__(self, slope, **options):
        super().__init__(**options)
        self.slope = slope

    def forward(self, p, x):
        return self.slope * x


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: nnx.layers.Dense.from_config({}), "Dense cannot be made .*lacks units and has nothing"),
        (lambda: nnx.layers.Dense.from_config({"use_bias": True}), "lacks units and has use_bias"),
        (lambda: nnx.layers.Dense.from_config({"unitz": 3}), "no argument 'unitz'. Use units"),
        (lambda: Written.from_config({}), "Written cannot be made .*lacks slope"),
        (
            lambda: from_config({"kind": "layer", "name": "dense", "options": {}}),
            "dense cannot .*lacks units",
        ),
        (
            lambda: from_config({"kind": "activation", "name": "threshold", "options": {}}),
            "lacks default_value, thr",
        ),
        (
            lambda: from_config({"kind": "schedule", "name": "power_decay", "options": {}}),
            "lacks decay_steps, init",
        ),
    ],
)
def test_missing_options_are_named(make, says):
    with pytest.raises(OptionError, match=says):
        make()


@pytest.mark.parametrize(
    "config",
    [
        {"kind": ["layer"], "name": "dense", "options": {"units": 3}},
        {"kind": "layer", "options": {"units": 3}},
        {"kind": "layer", "name": 3, "options": {"units": 3}},
        {"kind": "layer", "name": "dense", "options": {"units": 3}, "fields": 3},
    ],
)
def test_parts_that_cannot_be_right_are_no_configuration(config):
    with pytest.raises(FileFormatError, match=r"Not a configuration .*One has 'kind' .*'name' and 'options'"):
        from_config(config)


def test_a_whole_one_is_still_taken():
    assert (
        nnx.Model.from_config(GRAPH).count_params() == nnx.Sequential.from_config(STACK).count_params() == 8
    )
    config = to_config(nnx.activations.Threshold(threshold=0.5, default_value=1.0))
    assert from_config(config).options == {"threshold": 0.5, "default_value": 1.0}
    assert Written.from_config(Written(2.0).get_config()).slope == 2.0
