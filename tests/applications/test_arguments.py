"""Arguments of applications: what they do, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx.applications import VGG16, MobileNet, MobileNetV2, ResNet50
from nnx.errors import OptionError, ShapeError
from nnx.layers import Dense, Rescaling


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """No folder with published weights."""
    monkeypatch.setenv("NNX_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("NNX_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path


SMALL = {"input_shape": (32, 32, 3), "weights": None, "seed": 0}
TINY = {**SMALL, "alpha": 0.25}


def test_weights_come_from_a_file(tmp_path):
    model = MobileNet(**TINY, classes=10)
    path = tmp_path / "w.safetensors"
    model.save_weights(path)
    again = MobileNet(**TINY | {"weights": path, "seed": 1}, classes=10)
    x = np.random.default_rng(0).normal(size=(2, 32, 32, 3))
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    with pytest.raises(ShapeError):
        MobileNet(**TINY | {"weights": path}, classes=11)


def test_published_weights_are_searched_for_by_name(nowhere):
    base = "https://storage.googleapis.com/tensorflow/keras-applications/"
    cases = [
        (VGG16, {}, "vgg16/vgg16_weights_tf_dim_ordering_tf_kernels.h5"),
        (ResNet50, {}, "resnet/resnet50_weights_tf_dim_ordering_tf_kernels.h5"),
        (ResNet50, {"include_top": False}, "resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"),
        (MobileNet, {"alpha": 0.75}, "mobilenet/mobilenet_7_5_224_tf.h5"),
        (MobileNet, {"include_top": False, "input_shape": (160, 160, 3)},
         "mobilenet/mobilenet_1_0_160_tf_no_top.h5"),
        (MobileNetV2, {"alpha": 1.4},
         "mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.4_224.h5"),
        (MobileNetV2, {"include_top": False, "input_shape": (96, 96, 3)},
         "mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_96_no_top.h5"),
    ]  # fmt: skip
    for application, options, file in cases:
        with pytest.raises(OptionError, match=r"weights=None makes random") as caught:
            application(**options)
        assert base + file in str(caught.value)
        assert str(nowhere / "data" / "applications") in str(caught.value)


def test_published_weights_that_are_there_are_read(nowhere):
    folder = nowhere / "data" / "applications"
    folder.mkdir(parents=True)
    (folder / "mobilenet_2_5_224_tf.h5").write_bytes(b"no weights")
    with pytest.raises(Exception, match=r"mobilenet_2_5_224_tf\.h5"):  # found, and what it holds is told
        MobileNet(alpha=0.25)


def test_an_input_tensor():
    raw = nnx.Input((40, 32, 3), name="raw")
    model = MobileNet(alpha=0.25, weights=None, classes=4, input_tensor=Rescaling(1.0 / 255.0)(raw))
    assert type(model.layers[0]) is Rescaling and model.input_names == ("raw",)
    assert model.predict(np.zeros((1, 40, 32, 3))).shape == (1, 4)
    assert model.name == "mobilenet_0.25_40"


def test_as_features_of_a_new_model():
    base = MobileNetV2(**TINY, include_top=False, pooling="avg")
    base.trainable = False
    x = nnx.Input((32, 32, 3))
    model = nnx.Model(x, Dense(2, "softmax")(base(x, training=False)), seed=0)
    assert [len(w.shape) for w in model.trainable_weights] == [2, 1]
    model.compile("sgd", "categorical_crossentropy")
    before = model.get_layer("Conv1").get_weights()[0]
    model.fit(np.random.default_rng(0).normal(size=(4, 32, 32, 3)), np.eye(2)[[0, 1, 0, 1]], verbose=0)
    np.testing.assert_array_equal(model.get_layer("Conv1").get_weights()[0], before)


def test_two_of_one_kind_fit_into_one_model_by_other_names():
    x = nnx.Input((32, 32, 3))
    one = MobileNet(**TINY, include_top=False, pooling="avg", input_tensor=x)
    assert one.get_layer("global_average_pooling2d").output_shape == (None, 256)


def test_place_and_seed(backend):
    model = MobileNet(**TINY, backend=backend, dtype="float64", classes=3)
    same = MobileNet(**TINY, dtype="float64", classes=3)
    for a, b in zip(model.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    x = np.random.default_rng(0).normal(size=(1, 32, 32, 3))
    np.testing.assert_allclose(model.predict(x), same.predict(x), rtol=1e-10)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"pooling": "avgg"}, OptionError, "pooling must be"),
        ({"include_top": 1}, OptionError, "include_top must be True or False"),
        ({"classes": 0}, OptionError, "classes must be"),
        ({"classes": 2.5}, OptionError, "classes must be"),
        ({"name": 3}, OptionError, "name must be"),
        ({"input_shape": (32, 32)}, OptionError, "input_shape must be"),
        ({"input_shape": (None, None, 3)}, OptionError, "input_shape must be"),
        ({"input_shape": (31, 32, 3)}, ShapeError, "at least 32×32"),
        ({"input_tensor": nnx.Input((8,))}, ShapeError, "at least 32×32"),
        ({"input_tensor": nnx.Input((40, 40, 3)), "input_shape": (32, 32, 3)}, ShapeError, "but input_"),
        ({"input_tensor": np.zeros((1, 32, 32, 3))}, OptionError, "input_tensor must be a symbol"),
        ({"weights": 3}, OptionError, "weights must be"),
        ({"weights": "imagenet", "classes": 10}, OptionError, "for 1000 classes"),
        ({"weights": "nowhere.h5"}, FileNotFoundError, "nowhere.h5"),
        ({"weights": "nowhere.h5", "classifier_activation": "relu"}, OptionError, "'softmax' or None"),
        ({"classifier_activation": "softmaxx"}, OptionError, "softmax"),
        ({"weight": None}, Exception, "weight"),
    ],
)  # fmt: skip
def test_what_is_refused(options, error, message):
    for application in (ResNet50, MobileNet, MobileNetV2):
        with pytest.raises(error, match=message):
            application(**{"weights": None} | options)


@pytest.mark.parametrize("alpha", [0.0, -1.0, float("nan"), "1"])
def test_widths_that_are_refused(alpha):
    for application in (MobileNet, MobileNetV2):
        with pytest.raises(OptionError, match="alpha must be"):
            application(weights=None, alpha=alpha)
