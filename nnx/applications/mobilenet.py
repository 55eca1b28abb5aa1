"""MobileNet: depthwise and pointwise convolutions in turn."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from nnx.applications.application import Asked, made
from nnx.applications.imagenet_utils import decode_predictions
from nnx.applications.imagenet_utils import preprocess_tf as preprocess_input
from nnx.applications.published import Published
from nnx.layers import (
    Activation,
    BatchNormalization,
    Conv2D,
    DepthwiseConv2D,
    Dropout,
    GlobalAveragePooling2D,
    ReLU,
    Reshape,
    Symbol,
    ZeroPadding2D,
)
from nnx.models import Model
from nnx.options import Number

__all__ = ["MobileNet", "decode_predictions", "preprocess_input"]

#: filters of the pointwise convolutions; where these grow, the depthwise one before halves the picture,
#: but for the first
_FILTERS = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
_POSITIVE = Number(above=0.0)
#: the sizes of pictures that weights are published for
_SIZES = (128, 160, 192, 224)


def _active(x: Symbol, name: str) -> Symbol:
    return ReLU(6.0, name=f"{name}_relu")(BatchNormalization(name=f"{name}_bn")(x))


def _block(x: Symbol, filters: int, multiplier: int, halved: bool, number: int) -> Symbol:
    """A depthwise convolution and a pointwise one, each normalized and activated."""
    if halved:
        x = ZeroPadding2D(((0, 1), (0, 1)), name=f"conv_pad_{number}")(x)
    depthwise = DepthwiseConv2D(
        3,
        strides=2 if halved else 1,
        padding="valid" if halved else "same",
        depth_multiplier=multiplier,
        use_bias=False,
        name=f"conv_dw_{number}",
    )
    x = _active(depthwise(x), f"conv_dw_{number}")
    pointwise = Conv2D(filters, 1, padding="same", use_bias=False, name=f"conv_pw_{number}")
    return _active(pointwise(x), f"conv_pw_{number}")


def MobileNet(  # noqa: N802
    input_shape: Any = None,
    alpha: float = 1.0,
    depth_multiplier: int = 1,
    dropout: float = 0.001,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Symbol | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
    **place: Any,
) -> Model:
    """MobileNet, a :class:`nnx.Model`: 13 pairs of a depthwise and a 1×1 convolution, 4 253 864 weights.

    ``alpha`` > 0 multiplies the filters, ``depth_multiplier`` ≥ 1 those of the depthwise convolutions;
    ``dropout`` is the rate before the last convolution, from 0 to below 1.
    Pictures are 224×224 (at least 32×32).
    The arguments, such as ``classes`` ≥ 1, and what is raised are those of all: see :mod:`nnx.applications`.

    Source: A. G. Howard et al., "MobileNets: efficient convolutional neural networks for mobile vision
    applications", 2017 (arXiv:1704.04861), table 1; Keras' ``applications.MobileNet``.

    >>> nnx.applications.MobileNet((32, 32, 3), alpha=0.25, weights=None, classes=10).output_shape
    (None, 10)
    """
    _POSITIVE("MobileNet", "alpha", alpha)
    asked = Asked(
        "MobileNet", include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation,
        name,
    )  # fmt: skip
    picture = asked.picture()

    def features(x: Symbol) -> Symbol:
        x = Conv2D(int(32 * alpha), 3, strides=2, padding="same", use_bias=False, name="conv1")(x)
        x = _active(x, "conv1")
        for number, filters in enumerate(_FILTERS, 1):
            halved = number > 1 and filters > _FILTERS[number - 2]
            x = _block(x, int(filters * alpha), depth_multiplier, halved, number)
        return x

    def top(x: Symbol, classes: int, activation: Any) -> Symbol:
        x = Dropout(dropout, name="dropout")(GlobalAveragePooling2D(keepdims=True)(x))
        x = Conv2D(classes, 1, padding="same", name="conv_preds")(x)
        return Activation(activation, name="predictions")(Reshape((classes,), name="reshape_2")(x))

    width = {1.0: "1_0", 0.75: "7_5", 0.5: "5_0", 0.25: "2_5"}.get(alpha, f"{alpha}")
    files = Published("mobilenet", f"mobilenet_{width}_{published_rows(picture, _SIZES)}_tf", "_no_top")
    asked = replace(asked, name=name or f"mobilenet_{alpha:0.2f}_{picture.shape[0]}")
    return made(features, asked, picture, files, place, top)


def published_rows(picture: Symbol, sizes: tuple[int, ...]) -> int:
    """The height of pictures whose published weights fit best: that of square ones, else 224."""
    rows, columns = picture.shape[:2]
    return rows if rows == columns and rows in sizes else 224
