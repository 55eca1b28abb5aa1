"""Every registered layer goes to Keras and comes back, or stands here with a reason."""

from __future__ import annotations

import numpy as np
import pytest
from layers.test_layers import EXAMPLES, NAMES, shapes_of

import nnx
from nnx.errors import OptionError
from nnx.interop.keras.objects import ABSENT, ELSEWHERE, NOT_TOLD

REFUSED = {*ABSENT["layer"], *(name for kind, name in NOT_TOLD if kind == "layer")}
TO_KERAS = [name for name in NAMES if name not in REFUSED]
#: what Keras 3.15.1 does otherwise in prediction, so that its outputs are not compared
OTHERWISE = {"random_crop": "transform_images does nothing but in training: images come out uncropped"}


def example(name: str):
    """A model of one layer with random weights, and inputs for it."""
    layer, shape = EXAMPLES[name]
    random = np.random.default_rng(0)
    shapes = shapes_of(layer, shape)
    inputs = [nnx.Input(s, f"in_{i}") for i, s in enumerate(shapes)]
    made = layer.duplicate().draw(inputs)
    if isinstance(made, list):  # of several outputs all, side by side
        made = nnx.layers.Concatenate()([nnx.layers.Flatten()(y) for y in made])
    model = nnx.Model(inputs, made, seed=0)
    model.set_weights([random.uniform(0.5, 1.5, w.shape).astype("float32") for w in model.weights])
    ids = name == "embedding"  # which takes whole numbers from 0 on
    draw = (lambda s: random.integers(0, 3, s)) if ids else random.standard_normal
    xs = [draw((4, *s)).astype("float32") for s in shapes]
    return model, xs if len(xs) > 1 else xs[0]


def close(a, b):
    # float32, two libraries that add up in other orders: sums of a few dozen products of numbers near 1
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", TO_KERAS)
def test_there_and_back(name, keras, tmp_path):
    model, x = example(name)
    model.save(tmp_path / "of_nnx.keras")
    theirs = keras.models.load_model(tmp_path / "of_nnx.keras")
    if name in OTHERWISE:
        assert theirs.predict(x, verbose=0).shape != theirs.output_shape  # Keras' fault is still there
    else:
        close(theirs.predict(x, verbose=0), model.predict(x))
    theirs.save(tmp_path / "of_keras.keras")
    again = nnx.load_model(tmp_path / "of_keras.keras")
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    again.save(tmp_path / "once_more.keras")
    once_more = keras.models.load_model(tmp_path / "once_more.keras")
    assert [layer.get_config() for layer in once_more.layers] == [
        layer.get_config() for layer in theirs.layers
    ]


@pytest.mark.parametrize("name", TO_KERAS)
def test_weights_alone_and_legacy_files(name, keras, tmp_path):
    model, x = example(name)
    if not model.weights:
        pytest.skip("no weights")
    model.save(tmp_path / "m.keras")
    theirs = keras.models.load_model(tmp_path / "m.keras")
    for file in ("x.weights.h5", "x.h5"):
        (theirs.save_weights if "weights" in file else theirs.save)(tmp_path / file)
        other, _ = example(name)
        other.set_weights([np.zeros_like(w) for w in other.weights])
        other.load_weights(tmp_path / file)
        np.testing.assert_array_equal(other.predict(x), model.predict(x))
    other.save_weights(tmp_path / "y.weights.h5")
    theirs.set_weights([np.zeros_like(w) for w in theirs.get_weights()])
    theirs.load_weights(tmp_path / "y.weights.h5")
    close(theirs.predict(x, verbose=0), model.predict(x))


@pytest.mark.parametrize("name", [name for name in NAMES if name in REFUSED])
def test_what_keras_does_not_have_is_refused_by_name(name, tmp_path):
    model, _ = example(name)
    with pytest.raises(OptionError, match=type(EXAMPLES[name][0]).__name__):
        model.save(tmp_path / "x.keras")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", sorted(ABSENT))
def test_what_is_called_absent_is_absent_in_keras_and_the_rest_is_there(kind, keras):
    module = keras.optimizers.schedules if kind == "schedule" else getattr(keras, f"{kind}s", keras.losses)
    registry = nnx.registry.Registry.kinds[kind]
    own = [entry for entry in registry if entry.target.__module__.startswith("nnx.")]
    lacking = {entry.name for entry in own if not hasattr(module, entry.class_name)}
    made_by_an_option = {"amsgrad"}
    wrappers = {"loss_function_wrapper"}
    elsewhere = {name for other, name in ELSEWHERE if other == kind}
    assert lacking - made_by_an_option - wrappers - elsewhere == ABSENT[kind]
