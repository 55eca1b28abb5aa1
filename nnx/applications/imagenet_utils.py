"""Pictures as the networks were trained on them, and the names of the 1000 classes of ImageNet."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

from nnx.backend import adapter_of, asarray, device_of, get_backend, namespace, to_numpy
from nnx.datasets.files import load_file
from nnx.datasets.sources import CLASS_INDEX, IMAGENET_CLASSES
from nnx.errors import DataError, FileFormatError, OptionError, ShapeError
from nnx.options import Number, OneOf

Array = Any

_MODE = OneOf(("caffe", "tf", "torch"))
_TOP = Number(least=1, most=1000, whole=True)
#: mean of ImageNet's pictures: blue, green, red from 0 to 255
_BGR_MEAN = (103.939, 116.779, 123.68)
#: mean and standard deviation: red, green, blue from 0 to 1
_RGB_MEAN, _RGB_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def preprocess_input(x: Array, data_format: str | None = None, mode: str = "caffe") -> Array:
    """Pictures with red, green, blue from 0 to 255 in the form that a network was trained on: a new array.

    ``mode``: "caffe" is blue, green, red minus their means over ImageNet (VGG, ResNet); "tf" is x/127.5 − 1,
    from −1 to 1 (Xception, ResNet V2, the Inceptions and MobileNets); "torch" is x/255 minus the mean,
    divided by the standard deviation. Whole numbers become the current backend's floating type. Unlike in
    Keras the argument is never changed. Raises :class:`nnx.errors.OptionError` for another mode, and for
    ``data_format="channels_first"``; :class:`nnx.errors.ShapeError` for pictures without a last axis of 3.

    Shapes: (n, height, width, 3) or (height, width, 3), unchanged.
    Source: Keras' ``applications.imagenet_utils.preprocess_input``.

    >>> x = np.asarray([[[0.0, 127.5, 255.0]]])
    >>> nnx.applications.imagenet_utils.preprocess_input(x, mode="tf")
    array([[[-1.,  0.,  1.]]])
    >>> nnx.applications.imagenet_utils.preprocess_input(x)
    array([[[ 151.061,   10.721, -123.68 ]]])
    """
    _MODE("preprocess_input", "mode", mode)
    if data_format not in (None, "channels_last"):
        raise OptionError(
            f"preprocess_input: data_format must be 'channels_last' or None, got {data_format!r}: nnx's "
            "pictures have their channels last (x.transpose(0, 2, 3, 1) moves them there)."
        )
    x = asarray(x)
    xp = namespace(x)
    if not xp.isdtype(x.dtype, "real floating"):
        x = xp.astype(x, adapter_of(x).dtype(get_backend().dtype))
    if mode == "tf":
        return x / 127.5 - 1.0
    if x.ndim not in (3, 4) or x.shape[-1] != 3:
        raise ShapeError(
            "preprocess_input takes pictures of shape (n, height, width, 3) or (height, width, 3), got "
            f"{tuple(x.shape)}."
        )
    numbers = partial(xp.asarray, dtype=x.dtype, device=device_of(x))
    if mode == "caffe":
        return xp.flip(x, axis=-1) - numbers(_BGR_MEAN)
    return (x / 255.0 - numbers(_RGB_MEAN)) / numbers(_RGB_STD)


def preprocess_caffe(x: Array, data_format: str | None = None) -> Array:
    """Blue, green, red minus their means over ImageNet: what VGG and ResNet were trained on.

    :func:`preprocess_input` with ``mode="caffe"``, which says what it takes and raises.

    Shapes: (n, height, width, 3) or (height, width, 3), unchanged.

    >>> nnx.applications.vgg16.preprocess_input(np.asarray([[[0.0, 128.0, 255.0]]]))
    array([[[ 151.061,   11.221, -123.68 ]]])
    """
    return preprocess_input(x, data_format, mode="caffe")


def preprocess_tf(x: Array, data_format: str | None = None) -> Array:
    """x/127.5 − 1, from −1 to 1: what Xception, ResNet V2, the Inceptions and MobileNets were trained on.

    :func:`preprocess_input` with ``mode="tf"``, which says what it takes and raises.

    Shapes: (n, height, width, channels) or (height, width, channels), unchanged.

    >>> nnx.applications.mobilenet.preprocess_input(np.asarray([[[0.0, 127.5, 255.0]]]))
    array([[[-1.,  0.,  1.]]])
    """
    return preprocess_input(x, data_format, mode="tf")


def decode_predictions(preds: Array, top: int = 5, *, class_index: Any = None) -> list[list[tuple[Any, ...]]]:
    """For each row of predictions its ``top`` likeliest classes: tuples of WordNet's id, name and score.

    ``class_index`` is the path of Keras' ``imagenet_class_index.json``, or what is in it; None searches for
    that file as the data sets do (``NNX_DATA_DIR``, the cache) and else downloads it, 35 kB. ``top`` is from
    1 to 1000. Raises :class:`nnx.errors.ShapeError` for other than 1000 columns,
    :class:`nnx.errors.DataError` for NaN, :class:`nnx.errors.FileFormatError` for a file that is no class
    index, and :class:`nnx.errors.DownloadError` where there is none.

    Shapes: (n, 1000). Source: Keras' ``applications.imagenet_utils.decode_predictions``.

    >>> names = {str(i): (f"n{i:08}", f"class {i}") for i in range(1000)}
    >>> scores = np.eye(1, 1000, k=7)
    >>> nnx.applications.imagenet_utils.decode_predictions(scores, 1, class_index=names)
    [[('n00000007', 'class 7', np.float64(1.0))]]
    """
    count = _TOP("decode_predictions", "top", top)
    shape = tuple(getattr(preds, "shape", ()))
    if len(shape) != 2 or shape[1] != 1000:
        raise ShapeError(
            f"decode_predictions takes predictions of shape (n, 1000), the classes of ImageNet; got {shape}."
        )
    names, found = _names(class_index), []
    for row in to_numpy(preds):
        if any(score != score for score in row):
            raise DataError("decode_predictions: the predictions have NaN entries.")
        best = sorted(range(1000), key=row.__getitem__, reverse=True)[:count]
        found.append([(*names[i], row[i]) for i in best])
    return found


def _names(given: Any) -> list[tuple[str, str]]:
    """WordNet's id and the name of each of the 1000 classes."""
    if given is None:
        return _published_names()
    if isinstance(given, Mapping):
        return _checked(given, "class_index")
    if not isinstance(given, str | os.PathLike):
        raise OptionError(f"decode_predictions: class_index must be a path or a dict, got {given!r}.")
    return _parsed(Path(given).read_bytes(), os.fspath(given))


@cache
def _published_names() -> list[tuple[str, str]]:
    path, data = load_file(IMAGENET_CLASSES, CLASS_INDEX)
    return _parsed(data, str(path))


def _parsed(data: bytes, where: str) -> list[tuple[str, str]]:
    try:
        return _checked(json.loads(data), where)
    except ValueError as error:
        raise FileFormatError(f"{where} is no class index: {error}") from error


def _checked(index: Any, where: str) -> list[tuple[str, str]]:
    try:
        pairs = [index[str(i)] for i in range(1000)]
        return [(str(identity), str(name)) for identity, name in pairs]
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(
            f'{where} is no class index: it must map "0" to "999" to pairs of an id and a name, like Keras\' '
            "imagenet_class_index.json."
        ) from error
