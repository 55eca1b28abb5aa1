"""Weights come out of the files that Keras writes; what was published has the form of the second."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx.errors import ShapeError

OPTIONS = {"input_shape": (75, 75, 3), "classes": 10, "classifier_activation": None}


def weights_file(keras, model, path):
    """The model's weights as Keras writes them: by the ending, or as the published files are."""
    if path.suffix == ".keras":
        model.save(path)
    elif path.name.endswith(".weights.h5"):
        model.save_weights(path)
    else:
        h5py = pytest.importorskip("h5py")
        from keras.src.legacy.saving import legacy_h5_format

        with h5py.File(path, "w") as file:
            legacy_h5_format.save_weights_to_hdf5_group(file, model)


ALWAYS = ["MobileNet", "MobileNetV2"]
SLOW = [
    "Xception", "VGG16", "VGG19", "ResNet50", "ResNet101", "ResNet152", "ResNet50V2", "ResNet101V2",
    "ResNet152V2", "InceptionV3", "InceptionResNetV2",
]  # fmt: skip
CASES = [*ALWAYS, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]


@pytest.mark.parametrize("name", CASES)
def test_weights_of_keras_files(name, of_both, of_keras, keras, tmp_path):
    own, theirs = of_both(name, "float32", **OPTIONS)
    x = np.random.default_rng(0).uniform(-1.0, 1.0, (2, 75, 75, 3)).astype("float32")
    expected = of_keras(theirs, x, training=False)
    for file in ("a.weights.h5", "b.h5", "c.keras"):
        weights_file(keras, theirs, tmp_path / file)
        again = getattr(nnx.applications, name)(weights=tmp_path / file, **OPTIONS)
        np.testing.assert_array_equal(again.weights_vector, own.weights_vector)
        # float32, summed in other orders
        assert np.abs(again.predict(x) - expected).max() <= 5e-5 * np.abs(expected).max()


@pytest.mark.parametrize("name", ["MobileNet", pytest.param("InceptionResNetV2", marks=pytest.mark.slow)])
def test_keras_opens_a_file_of_nnx(name, of_both, of_keras, keras, tmp_path):
    own, theirs = of_both(name, "float32", **OPTIONS)
    own.save(tmp_path / "own.keras")
    x = np.random.default_rng(0).uniform(-1.0, 1.0, (2, 75, 75, 3)).astype("float32")
    y = of_keras(keras.models.load_model(tmp_path / "own.keras"), x, training=False)
    np.testing.assert_array_equal(y, of_keras(theirs, x, training=False))


def test_a_file_of_another_network(keras, tmp_path):
    keras.backend.clear_session()
    small = keras.applications.MobileNet(weights=None, alpha=0.25, **OPTIONS)
    for file in ("a.weights.h5", "b.h5"):
        weights_file(keras, small, tmp_path / file)
        with pytest.raises(ShapeError, match="conv1"):  # the first that does not fit
            nnx.applications.MobileNet(weights=tmp_path / file, alpha=0.5, **OPTIONS)


def test_the_published_file_is_found_by_its_name(keras, tmp_path, monkeypatch):
    keras.backend.clear_session()
    theirs = keras.applications.MobileNet(weights=None, alpha=0.25, include_top=False)
    folder = tmp_path / "applications"
    folder.mkdir()
    monkeypatch.setenv("NNX_DATA_DIR", str(tmp_path))
    weights_file(keras, theirs, folder / "mobilenet_2_5_224_tf_no_top.h5")
    own = nnx.applications.MobileNet(alpha=0.25, include_top=False)
    np.testing.assert_array_equal(own.get_weights()[0], keras.ops.convert_to_numpy(theirs.weights[0]))
