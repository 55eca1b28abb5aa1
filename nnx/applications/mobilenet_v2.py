"""MobileNetV2: residual blocks that are wide inside and narrow at both ends."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from nnx.applications.application import Asked, classifier, made
from nnx.applications.imagenet_utils import decode_predictions
from nnx.applications.imagenet_utils import preprocess_tf as preprocess_input
from nnx.applications.mobilenet import published_rows
from nnx.applications.published import Published
from nnx.layers import Add, BatchNormalization, Conv2D, DepthwiseConv2D, ReLU, Symbol, ZeroPadding2D
from nnx.models import Model
from nnx.options import Number

__all__ = ["MobileNetV2", "decode_predictions", "preprocess_input"]

_Norm = partial(BatchNormalization, momentum=0.999)
#: stages: filters, how many blocks, and the stride of the first one
_STAGES = ((16, 1, 1), (24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1))
_POSITIVE = Number(above=0.0)
#: the sizes of pictures that weights are published for
_SIZES = (96, 128, 160, 192, 224)


def _eights(filters: float) -> int:
    """The nearest multiple of 8 that is not more than a tenth smaller, and at least 8."""
    nearest = max(8, int(filters + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * filters else nearest


def _pointwise(x: Symbol, filters: int, name: str) -> Symbol:
    return Conv2D(filters, 1, padding="same", use_bias=False, name=name)(x)


def _block(x: Symbol, filters: int, stride: int, expansion: int, name: str) -> Symbol:
    """1×1 convolution to ``expansion`` times the channels, depthwise 3×3, and 1×1 to few again."""
    y = x
    if expansion > 1:
        y = _Norm(name=f"{name}_expand_BN")(_pointwise(x, expansion * x.shape[-1], f"{name}_expand"))
        y = ReLU(6.0, name=f"{name}_expand_relu")(y)
    if stride == 2:
        odd = [(n % 2, 1) for n in y.shape[:2]]  # so that the windows end with the picture
        y = ZeroPadding2D(tuple(odd), name=f"{name}_pad")(y)
    depthwise = DepthwiseConv2D(
        3,
        strides=stride,
        padding="same" if stride == 1 else "valid",
        use_bias=False,
        name=f"{name}_depthwise",
    )
    y = ReLU(6.0, name=f"{name}_depthwise_relu")(_Norm(name=f"{name}_depthwise_BN")(depthwise(y)))
    y = _Norm(name=f"{name}_project_BN")(_pointwise(y, filters, f"{name}_project"))
    return Add(name=f"{name}_add")([x, y]) if stride == 1 and x.shape[-1] == filters else y


def _features(x: Symbol, alpha: float) -> Symbol:
    conv = Conv2D(_eights(32 * alpha), 3, strides=2, padding="same", use_bias=False, name="Conv1")
    x = ReLU(6.0, name="Conv1_relu")(_Norm(name="bn_Conv1")(conv(x)))
    number = 0
    for filters, blocks, first in _STAGES:
        for i in range(blocks):
            name = f"block_{number}" if number else "expanded_conv"
            stride = first if i == 0 else 1
            x = _block(x, _eights(int(filters * alpha)), stride, 6 if number else 1, name)
            number += 1
    last = Conv2D(_eights(1280 * max(alpha, 1.0)), 1, use_bias=False, name="Conv_1")
    return ReLU(6.0, name="out_relu")(_Norm(name="Conv_1_bn")(last(x)))


def MobileNetV2(  # noqa: N802
    input_shape: Any = None,
    alpha: float = 1.0,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Symbol | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
    **place: Any,
) -> Model:
    """MobileNetV2, a :class:`nnx.Model`: 17 blocks, narrow at both ends, 3 538 984 weights.

    ``alpha`` > 0 multiplies the filters. Pictures are 224×224 (at least 32×32).
    The arguments, such as ``classes`` ≥ 1, and what is raised are those of all: see :mod:`nnx.applications`.

    Source: M. Sandler, A. Howard, M. Zhu, A. Zhmoginov, L.-C. Chen, "MobileNetV2: inverted residuals and
    linear bottlenecks", CVPR 2018, table 2; Keras' ``applications.MobileNetV2``.

    >>> nnx.applications.MobileNetV2((32, 32, 3), alpha=0.35, weights=None, classes=10).output_shape
    (None, 10)
    """
    _POSITIVE("MobileNetV2", "alpha", alpha)
    asked = Asked(
        "MobileNetV2", include_top, weights, input_tensor, input_shape, pooling, classes,
        classifier_activation, name,
    )  # fmt: skip
    picture = asked.picture()
    rows = published_rows(picture, _SIZES)
    stem = f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{float(alpha)}_{rows}"
    files = Published("mobilenet_v2", stem, "_no_top")
    asked = replace(asked, name=name or f"mobilenetv2_{alpha:0.2f}_{picture.shape[0]}")
    features, top = partial(_features, alpha=alpha), partial(classifier, pool=None)
    return made(features, asked, picture, files, place, top)
