"""Pictures before, and names of classes after: preprocess_input and decode_predictions."""

from __future__ import annotations

import json

import numpy as np
import pytest

import nnx
from nnx.applications import imagenet_utils
from nnx.backend import to_numpy
from nnx.datasets import download
from nnx.errors import DataError, DownloadError, FileFormatError, OptionError, ShapeError

MODULES = {
    "vgg16": "caffe",
    "vgg19": "caffe",
    "resnet": "caffe",
    "resnet50": "caffe",
    "resnet_v2": "tf",
    "xception": "tf",
    "inception_v3": "tf",
    "inception_resnet_v2": "tf",
    "mobilenet": "tf",
    "mobilenet_v2": "tf",
}
PICTURES = np.random.default_rng(0).uniform(0.0, 255.0, (2, 4, 5, 3))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mode", ["caffe", "tf", "torch"])
def test_every_mode_is_keras_own_and_changes_nothing(mode, dtype, keras, backend):
    x = backend.asarray(PICTURES, dtype=dtype)
    y = imagenet_utils.preprocess_input(x, mode=mode)
    expected = keras.applications.imagenet_utils.preprocess_input(PICTURES.astype(dtype), mode=mode)
    assert to_numpy(y).dtype == dtype
    # the same operations in the same order, so the same bits; torch divides float32 by a reciprocal
    np.testing.assert_allclose(to_numpy(y), expected, rtol=2 * np.finfo(dtype).eps, atol=1e-6)
    np.testing.assert_array_equal(to_numpy(x), PICTURES.astype(dtype))


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_the_mode_of_keras(module, keras):
    own, theirs = getattr(nnx.applications, module), getattr(keras.applications, module)
    y = own.preprocess_input(PICTURES)
    np.testing.assert_allclose(y, theirs.preprocess_input(PICTURES.copy()), rtol=1e-15, atol=1e-13)
    np.testing.assert_array_equal(y, imagenet_utils.preprocess_input(PICTURES, mode=MODULES[module]))
    assert own.decode_predictions is imagenet_utils.decode_predictions


def test_whole_numbers_and_single_pictures():
    x = np.asarray([[[0, 128, 255]]], dtype="uint8")
    y = imagenet_utils.preprocess_input(x)
    assert y.dtype == "float32"
    np.testing.assert_allclose(y[0, 0], [151.061, 11.221, -123.68], rtol=1e-6)
    np.testing.assert_allclose(
        imagenet_utils.preprocess_input(x, mode="torch")[0, 0], [-2.1179, 0.2052, 2.64], atol=1e-4
    )


def test_preprocessing_can_be_differentiated():
    gradient = nnx.grad(lambda x: nnx.backend.namespace(x).sum(imagenet_utils.preprocess_input(x) ** 2))
    y = gradient(PICTURES)
    np.testing.assert_allclose(y, 2.0 * imagenet_utils.preprocess_input(PICTURES)[..., ::-1], rtol=1e-15)


def test_pictures_that_do_not_fit():
    with pytest.raises(OptionError, match="channels last"):
        imagenet_utils.preprocess_input(PICTURES, data_format="channels_first")
    with pytest.raises(OptionError, match="mode must be"):
        imagenet_utils.preprocess_input(PICTURES, mode="keras")
    for shape in ((2, 3, 4, 5), (3,), (4, 3)):
        with pytest.raises(ShapeError, match=r"\(n, height, width, 3\)"):
            imagenet_utils.preprocess_input(np.zeros(shape))


# -- names of classes ----------------------------------------------------------------------------------

INDEX = {str(i): [f"n{i:08}", f"thing_{i}"] for i in range(1000)}
SCORES = np.random.default_rng(1).random((3, 1000)).astype("float32")


@pytest.fixture
def index_file(tmp_path):
    path = tmp_path / "classes.json"
    path.write_text(json.dumps(INDEX), encoding="utf-8")
    return path


def test_decoding_is_keras_own(keras, index_file, monkeypatch, backend):
    from keras.src.applications import imagenet_utils as theirs

    monkeypatch.setattr(theirs, "CLASS_INDEX", INDEX)
    own = imagenet_utils.decode_predictions(
        backend.asarray(SCORES, dtype="float32"), 7, class_index=index_file
    )
    assert own == theirs.decode_predictions(SCORES, top=7)


def test_five_are_usual_and_of_equals_the_first_is_first(index_file):
    (found,) = imagenet_utils.decode_predictions(np.zeros((1, 1000)), class_index=str(index_file))
    assert [name for _, name, _ in found] == [f"thing_{i}" for i in range(5)]


def test_predictions_that_do_not_fit(index_file):
    for wrong in (np.zeros((1, 999)), np.zeros(1000), [[0.0] * 1000], None):
        with pytest.raises(ShapeError, match=r"\(n, 1000\)"):
            imagenet_utils.decode_predictions(wrong, class_index=index_file)
    with pytest.raises(DataError, match="NaN"):
        imagenet_utils.decode_predictions(np.full((1, 1000), np.nan), class_index=index_file)
    for top in (0, 1001, 2.5):
        with pytest.raises(OptionError, match="top must be"):
            imagenet_utils.decode_predictions(SCORES, top, class_index=index_file)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"0": 1}', json.dumps({str(i): ["one"] for i in range(1000)}), "\xff"]
)
def test_a_file_that_is_no_class_index(content, tmp_path):
    path = tmp_path / "wrong.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(FileFormatError, match=r"wrong.json is no class index"):
        imagenet_utils.decode_predictions(SCORES, class_index=path)


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """No folders with data, and no network."""
    monkeypatch.setenv("NNX_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("NNX_CACHE_DIR", str(tmp_path / "cache"))

    def unreachable(url, *args):
        raise OSError("no network")

    monkeypatch.setattr(download, "_copy", unreachable)
    imagenet_utils._published_names.cache_clear()
    yield tmp_path
    imagenet_utils._published_names.cache_clear()


def test_without_a_network_the_error_says_what_to_do(nowhere):
    with pytest.raises(DownloadError, match=r"imagenet_class_index.json(?s:.*)NNX_DATA_DIR"):
        imagenet_utils.decode_predictions(SCORES)


def test_a_file_of_that_name_with_other_content_is_refused(nowhere):
    folder = nowhere / "data" / "imagenet"
    folder.mkdir(parents=True)
    (folder / "imagenet_class_index.json").write_text(json.dumps(INDEX), encoding="utf-8")
    with pytest.raises(FileFormatError, match="is another file"):
        imagenet_utils.decode_predictions(SCORES)
