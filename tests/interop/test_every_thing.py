"""Every registered initializer, loss, metric, ... becomes Keras' and comes back."""

from __future__ import annotations

import inspect

import pytest

import nnx
from nnx.errors import OptionError
from nnx.interop.keras.objects import ABSENT, deserialized, serialized
from nnx.registry import Registry, to_config

#: options for things that cannot be made without
NEEDED = {
    "CosineDecay": {"initial_learning_rate": 0.1, "decay_steps": 10},
    "CosineDecayRestarts": {"initial_learning_rate": 0.1, "first_decay_steps": 10},
    "ExponentialDecay": {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5},
    "InverseTimeDecay": {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5},
    "PiecewiseConstantDecay": {"boundaries": [2, 5], "values": [0.1, 0.05, 0.01]},
    "PolynomialDecay": {"initial_learning_rate": 0.1, "decay_steps": 10},
    "MeanIoU": {"num_classes": 3},
    "IoU": {"num_classes": 3, "target_class_ids": [0]},
    "OneHotIoU": {"num_classes": 3, "target_class_ids": [0]},
    "OneHotMeanIoU": {"num_classes": 3},
    "BinaryIoU": {},
    "SensitivityAtSpecificity": {"specificity": 0.5},
    "SpecificityAtSensitivity": {"sensitivity": 0.5},
    "PrecisionAtRecall": {"recall": 0.5},
    "RecallAtPrecision": {"precision": 0.5},
}
#: wrappers of functions of one's own; what Keras' compile alone understands, by name (test_training.py);
#: AMSGrad, which is Adam with an option there; Threshold, which needs options that Keras cannot write
APART = {
    "LossFunctionWrapper", "MeanMetricWrapper", "AccuracyByShape", "CrossentropyByShape", "AMSGrad",
    "Threshold",
}  # fmt: skip
KINDS = ("activation", "constraint", "initializer", "loss", "metric", "optimizer", "regularizer", "schedule")
THINGS = [
    (kind, entry.class_name)
    for kind in KINDS
    for entry in Registry.kinds[kind]
    if entry.target.__module__.startswith("nnx.") and entry.class_name not in APART
]


def made(kind, class_name):
    registry = Registry.kinds[kind]
    if kind == "activation":
        return registry.get(registry.entry(class_name).name)
    return registry.constructor(class_name)(**NEEDED.get(class_name, {}))


def whole(thing):
    """What a thing is, with the options that it was not given, flat."""
    config = to_config(thing)
    entry = Registry.kinds[config["kind"]].entry(config["name"])
    usual = {
        name: parameter.default
        for name, parameter in inspect.signature(entry.target).parameters.items()
        if name in entry.options and parameter.default is not parameter.empty
    }
    flat = {"kind": config["kind"], "name": config["name"]}
    for name, value in (usual | config["options"]).items():
        values = value if isinstance(value, list | tuple) else [value]
        flat |= {f"{name} {i}": one for i, one in enumerate(values)}
    return flat


def is_absent(kind, class_name):
    return Registry.kinds[kind].entry(class_name).name in ABSENT.get(kind, ())


@pytest.mark.parametrize(("kind", "class_name"), [t for t in THINGS if not is_absent(*t)])
def test_there_and_back(kind, class_name, keras):
    thing = made(kind, class_name)
    there = serialized(thing)
    module = (
        keras.optimizers.schedules
        if kind == "schedule"
        else getattr(keras, "losses" if kind == "loss" else f"{kind}s")
    )
    theirs = module.get(there) if isinstance(there, str) else module.deserialize(there)
    back = there if kind in ("loss", "metric") and isinstance(there, str) else module.serialize(theirs)
    again = deserialized(back, kind, {})
    again = Registry.kinds[kind].get(again) if isinstance(again, str) else again
    assert whole(again) == pytest.approx(whole(thing))


@pytest.mark.parametrize(("kind", "class_name"), [t for t in THINGS if is_absent(*t)])
def test_what_keras_does_not_have_is_refused_by_name(kind, class_name):
    if kind == "schedule":
        pytest.skip("it needs options; the optimizer that has it is refused with it")
    with pytest.raises(OptionError, match=class_name):
        serialized(made(kind, class_name))


def test_an_activation_with_options_is_keras_layer(keras):
    layer = nnx.layers.Dense(2, nnx.activations.LeakyReLU(negative_slope=0.5))
    theirs = keras.layers.deserialize(serialized(layer))
    assert theirs.activation.negative_slope == 0.5
    again = deserialized(keras.layers.serialize(theirs), "layer", {})
    assert again.activation.options == {"negative_slope": 0.5}


def test_amsgrad_is_an_option_of_adam(keras):
    theirs = keras.optimizers.deserialize(serialized(nnx.optimizers.AMSGrad(0.5)))
    assert isinstance(theirs, keras.optimizers.Adam) and theirs.amsgrad
    assert deserialized(keras.optimizers.serialize(theirs), "optimizer", {}).amsgrad


def test_an_activation_whose_options_keras_cannot_write_is_refused():
    with pytest.raises(OptionError, match="threshold with options"):
        serialized(nnx.activations.Threshold(threshold=0.5, default_value=1.0))
