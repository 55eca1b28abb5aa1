"""The ``Shapes:`` lines of docstrings, computed: what goes in as they say comes out as they say.

``(..., n), (..., n) → (...)``: on the left the arrays that are given, on the right the result. ``...`` stands
for any number of axes, and a name for a length; ``2n``, ``a·b`` and ``p + q`` are read as they look.
Initializers have only the shapes that they are asked for; "any" is ``(...)``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from math import prod
from typing import Any

import numpy as np
import pytest
from docs.public_objects import Public, public_objects

import nnx

KINDS = ("activation", "constraint", "initializer", "layer", "loss", "metric", "regularizer")
OBJECTS = [thing for thing in public_objects() if thing.kind in KINDS]
#: Options that have no default, or with which the shape is as it says.
OPTIONS: dict[str, dict[str, Any]] = {
    **{f"AveragePooling{axes}D": {"pool_size": 2} for axes in (1, 2, 3)},
    **{f"SpatialDropout{axes}D": {"rate": 0.5} for axes in (1, 2, 3)},
    "AlphaDropout": {"rate": 0.5},
    "CenterCrop": {"height": 4, "width": 6},
    "RandomCrop": {"height": 4, "width": 6},
    "RandomRotation": {"factor": 0.5},
    "RandomTranslation": {"height_factor": 0.5, "width_factor": 0.5},
    "RandomZoom": {"height_factor": 0.5},
    "Resizing": {"height": 4, "width": 6},
    "GaussianDropout": {"rate": 0.5},
    "Activation": {"activation": "relu"},
    "Bidirectional": {"layer": nnx.layers.GRU(4)},
    "Conv1D": {"filters": 4, "kernel_size": 3, "padding": "same"},
    "Conv1DTranspose": {"filters": 4, "kernel_size": 3, "padding": "same"},
    "Conv2D": {"filters": 4, "kernel_size": 3, "padding": "same"},
    "Conv2DTranspose": {"filters": 4, "kernel_size": 3, "padding": "same"},
    "Conv3D": {"filters": 4, "kernel_size": 3, "padding": "same"},
    "Conv3DTranspose": {"filters": 4, "kernel_size": 3, "padding": "same"},
    "CustomScaleLayer": {"scale": 0.5},
    "Dense": {"units": 4},
    "DepthwiseConv1D": {"kernel_size": 3, "padding": "same", "depth_multiplier": 2},
    "DepthwiseConv2D": {"kernel_size": 3, "padding": "same", "depth_multiplier": 2},
    "Dot": {"axes": (2, 1)},
    "Dropout": {"rate": 0.5},
    "Embedding": {"input_dim": 5, "output_dim": 4},
    "GRU": {"units": 4},
    "GRUCell": {"units": 4},
    "GaussianNoise": {"stddev": 1.0},
    "GroupNormalization": {"groups": 3},
    "GroupQueryAttention": {"head_dim": 2, "num_query_heads": 4, "num_key_value_heads": 2},
    "IoU": {"num_classes": 2, "target_class_ids": [0]},
    "LSTM": {"units": 4},
    "LSTMCell": {"units": 4},
    "Lambda": {"function": np.tanh},
    "LossFunctionWrapper": {"fn": nnx.losses.mean_squared_error},
    "Maxout": {"units": 4},
    "MeanIoU": {"num_classes": 2},
    "MeanMetricWrapper": {"fn": nnx.losses.mean_squared_error},
    "MultiHeadAttention": {"num_heads": 2, "key_dim": 3},
    "OneHotIoU": {"num_classes": 5, "target_class_ids": [0]},
    "OneHotMeanIoU": {"num_classes": 5},
    "Permute": {"dims": (2, 1)},
    "PrecisionAtRecall": {"recall": 0.5},
    "RNN": {"cell": nnx.layers.LSTMCell(4)},
    "RecallAtPrecision": {"precision": 0.5},
    "RepeatVector": {"n": 6},
    "Rescaling": {"scale": 2.0},
    "Reshape": {"target_shape": (2, 3)},
    "SensitivityAtSpecificity": {"specificity": 0.5},
    "SeparableConv1D": {"filters": 4, "kernel_size": 3, "padding": "same"},
    "SeparableConv2D": {"filters": 4, "kernel_size": 3, "padding": "same"},
    "SimpleRNN": {"units": 4},
    "SimpleRNNCell": {"units": 4},
    "SpecificityAtSensitivity": {"sensitivity": 0.5},
    "StackedRNNCells": {"cells": [nnx.layers.SimpleRNNCell(4)]},
    "TimeDistributed": {"layer": nnx.layers.Activation("tanh")},
    "threshold": {"threshold": 0.5, "default_value": 0.0},
}
LENGTHS = {
    "a": 2, "b": 3, "classes": 5, "d": 4, "e": 2, "k": 5, "s": 2, "t": 3,
    "inputs": 3, "labels": 3, "longest": 2, "m": 4, "n": 6,
    "outputs": 2, "p": 2, "q": 3, "rows": 3, "columns": 4, "times": 7, "units": 4,
    "*window": (2, 2), "*target_shape": (2, 3), "channels": 3, "depth_multiplier": 2, "filters": 4,
    "features": 3, "output_dim": 4, "steps": 5, "depth": 2, "height": 3, "width": 4,
    "new_steps": 5, "new_depth": 2, "new_height": 3, "new_width": 4,
}  # fmt: skip
#: What "..." may stand for; the samples of the second and third have the size of Reshape's target.
AXES = [(), (6,), (2, 3)]


def line_of(thing: Public) -> tuple[str, ...]:
    """Left and right of its ``Shapes:`` line; an initializer has no right."""
    found = re.search(r"^Shapes: ((?:[^.]|\.\.\.)+)\.(?!\.)", thing.doc, re.M)
    assert found, "no line 'Shapes: ... → ...'"
    return tuple(found[1].replace("``", "").replace("any", "(...)").split(" → "))


def shapes(text: str, axes: tuple[int, ...]) -> list[tuple[int, ...]]:
    return [tuple(lengths(inside, axes)) for inside in re.findall(r"\(([^()]*)\)", text)]


def lengths(text: str, axes: tuple[int, ...]) -> Iterator[int]:
    for part in filter(None, (p.strip() for p in text.split(","))):
        if part == "...":
            yield from axes
        elif part.startswith("*"):
            yield from LENGTHS[part]
        else:
            yield sum(prod(map(length, re.findall(r"\d+|[a-z_]+", term))) for term in part.split("+"))


def length(name: str) -> int:
    return int(name) if name.isdigit() else LENGTHS[name]


def fitting(thing: Public) -> Iterable[tuple[int, ...]]:
    if "..." not in "".join(line_of(thing)):
        return [()]
    return AXES[1:] if thing.kind in ("layer", "constraint") else AXES  # which need an axis or two


@pytest.mark.parametrize("thing", OBJECTS, ids=str)
def test_what_goes_in_and_comes_out(thing: Public) -> None:
    name = thing.name.rpartition(".")[2]
    for axes in fitting(thing):
        left, *right = line_of(thing)
        if thing.kind == "initializer":
            for shape in shapes(left, axes):
                options = {"inputs": 3} if name == "nguyen_widrow" and len(shape) == 1 else {}
                assert thing.target(shape, **options).shape == shape
            continue
        (expected,) = shapes(right[0], axes)
        assert result(thing, name, shapes(left, axes)).shape == expected, axes


def result(thing: Public, name: str, given: list[tuple[int, ...]]) -> np.ndarray:
    options = OPTIONS.get(name, {})
    arrays = [np.linspace(0.1, 0.9, prod(shape)).reshape(shape) for shape in given]
    if thing.kind in ("loss", "metric") and len(given) == 2:
        arrays[0] = np.zeros(given[0], dtype=int)  # class numbers, and targets of every loss
    with np.errstate(invalid="ignore"):  # correlations with constant targets
        if isinstance(thing.target, type):
            found = thing.target(**options)(*arrays)
            return np.asarray(found[0] if isinstance(found, tuple) else found)  # a cell gives its states too
        return np.asarray(thing.target(*arrays, **options))
