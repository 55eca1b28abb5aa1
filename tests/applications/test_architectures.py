"""Each network has Keras' layers under Keras' names, and its weights in Keras' order."""

from __future__ import annotations

import inspect

import pytest

import nnx

# The lectures' table of networks; the second number are the weights that are not trained.
COUNTS = {
    "Xception": (22_910_480, 54_528),
    "VGG16": (138_357_544, 0),
    "VGG19": (143_667_240, 0),
    "ResNet50": (25_636_712, 53_120),
    "ResNet101": (44_707_176, 105_344),
    "ResNet152": (60_419_944, 151_424),
    "ResNet50V2": (25_613_800, 45_440),
    "ResNet101V2": (44_675_560, 97_664),
    "ResNet152V2": (60_380_648, 143_744),
    "InceptionV3": (23_851_784, 34_432),
    "InceptionResNetV2": (55_873_736, 60_544),
    "MobileNet": (4_253_864, 21_888),
    "MobileNetV2": (3_538_984, 34_112),
}


def of_keras_without_weights(keras, name, **options):
    keras.backend.clear_session()
    with keras.device("meta"):
        return getattr(keras.applications, name)(weights=None, **options)


def same_layers(network, theirs):
    """The layers' names and classes, and the weights' shapes, are those of Keras, in its order."""
    names = [(layer.name, type(layer).__name__) for layer in theirs.layers if "input" not in layer.name]
    assert [(layer.name, type(layer).__name__) for layer in network.layers] == names
    shapes = [slot.weight.shape for row in network.slots for slot in row]
    assert shapes == [tuple(w.shape) for w in theirs.weights]
    flags = [slot.trained for row in network.slots for slot in row]
    trained = {id(w) for w in theirs.trainable_weights}
    assert flags == [id(w) in trained for w in theirs.weights]


@pytest.mark.parametrize("name", COUNTS)
def test_the_counts_of_the_lectures(name, network_of):
    network, _ = network_of(name)
    total, not_trained = COUNTS[name]
    assert network.layout.size + network.state_layout.size == total
    assert network.state_layout.size == not_trained


#: these differ from a smaller one in numbers of blocks alone, which the counts tell
DEEPER = {
    "VGG19", "ResNet101", "ResNet152", "ResNet101V2", "ResNet152V2", "InceptionV3", "InceptionResNetV2",
}  # fmt: skip


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in DEEPER)) for name in COUNTS]
)
def test_layers_weights_and_options_are_those_of_keras(name, network_of, keras):
    theirs = of_keras_without_weights(keras, name)
    network, label = network_of(name)
    same_layers(network, theirs)
    same_options(network, theirs)
    assert label == theirs.name


def same_options(network, theirs):
    """What shapes do not tell: strides, paddings, epsilons, momenta, scales, activations."""
    wanted = ("strides", "padding", "epsilon", "momentum", "pool_size", "max_value", "scale", "rate")
    others = {layer.name: layer for layer in theirs.layers}
    for layer in network.layers:
        config, own = others[layer.name].get_config(), vars(layer)
        for option in wanted:
            if option in config and option in own:
                assert plain(own[option]) == plain(config[option]), (layer.name, option)
        if "activation" in config:
            assert getattr(own["activation"], "name", "linear") == config["activation"], layer.name


def plain(value):
    return [plain(v) for v in value] if isinstance(value, tuple | list) else value


@pytest.mark.parametrize(
    ("name", "pooling"),
    [("VGG16", None), ("VGG19", "avg"), ("ResNet50", "avg"), ("ResNet50V2", "max"), ("MobileNetV2", "max")],
)
def test_without_a_top(name, pooling, network_of, keras):
    options = {"include_top": False, "pooling": pooling, "input_shape": (96, 107, 3)}
    theirs = of_keras_without_weights(keras, name, **options)
    network, _ = network_of(name, **options)
    same_layers(network, theirs)
    assert network.output_shape == theirs.output_shape[1:]


@pytest.mark.parametrize(
    ("name", "alpha", "size"),
    [
        ("MobileNet", 0.5, 97), ("MobileNet", 0.75, 32),
        ("MobileNetV2", 0.35, 32), ("MobileNetV2", 0.5, 97),
        ("MobileNetV2", 1.3, 33), ("MobileNetV2", 1.4, 128),
    ],
)  # fmt: skip
def test_widths_and_sizes_of_mobile_nets(name, alpha, size, network_of, keras):
    options = {"alpha": alpha, "input_shape": (size, size + 2, 3), "classes": 7}
    theirs = of_keras_without_weights(keras, name, **options)
    network, label = network_of(name, **options)
    same_layers(network, theirs)
    assert label == theirs.name


def test_depth_multiplier(network_of, keras):
    options = {"depth_multiplier": 2, "alpha": 0.25, "dropout": 0.5}
    same_layers(
        network_of("MobileNet", **options)[0], of_keras_without_weights(keras, "MobileNet", **options)
    )


@pytest.mark.parametrize("name", COUNTS)
def test_arguments_are_those_of_keras(name, keras):
    own = dict(inspect.signature(getattr(nnx.applications, name)).parameters)
    own.pop("place")
    theirs = inspect.signature(getattr(keras.applications, name)).parameters
    assert list(own) == list(theirs)
    for argument, parameter in own.items():
        assert parameter.default == theirs[argument].default, argument


def test_every_application_is_in_the_table():
    functions = {n for n in nnx.applications.__all__ if n[0].isupper()}
    assert functions == set(COUNTS)
