"""ResNet50, ResNet101 and ResNet152: residual blocks of three convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from nnx.applications.application import NAMED_POOLS, application
from nnx.applications.imagenet_utils import decode_predictions
from nnx.applications.imagenet_utils import preprocess_caffe as preprocess_input
from nnx.applications.published import Published
from nnx.layers import Activation, Add, BatchNormalization, Conv2D, MaxPooling2D, Symbol, ZeroPadding2D

__all__ = ["ResNet50", "ResNet101", "ResNet152", "decode_predictions", "preprocess_input"]

Norm = partial(BatchNormalization, epsilon=1.001e-5)


def relu(x: Symbol, name: str) -> Symbol:
    """The activation of all ResNets, as a layer of its own."""
    return Activation("relu", name=name)(x)


def begun(x: Symbol) -> Symbol:
    """A picture after the first convolution, 7×7 with stride 2."""
    return Conv2D(64, 7, strides=2, name="conv1_conv")(ZeroPadding2D(3, name="conv1_pad")(x))


def pooled(x: Symbol) -> Symbol:
    """Half as high and wide; the padding is 0, so this needs values that are not negative to be a maximum."""
    return MaxPooling2D(3, strides=2, name="pool1_pool")(ZeroPadding2D(1, name="pool1_pad")(x))


def _normed(x: Symbol, filters: int, size: int, name: str, stride: int = 1) -> Symbol:
    padding = "valid" if size == 1 else "same"
    conv = Conv2D(filters, size, strides=stride, padding=padding, name=f"{name}_conv")
    return Norm(name=f"{name}_bn")(conv(x))


def _block(x: Symbol, filters: int, stride: int, project: bool, name: str) -> Symbol:
    """1×1, 3×3 and 1×1 convolutions beside a shortcut, which is a 1×1 convolution where shapes change."""
    shortcut = _normed(x, 4 * filters, 1, f"{name}_0", stride) if project else x
    y = relu(_normed(x, filters, 1, f"{name}_1", stride), f"{name}_1_relu")
    y = relu(_normed(y, filters, 3, f"{name}_2"), f"{name}_2_relu")
    y = _normed(y, 4 * filters, 1, f"{name}_3")
    return relu(Add(name=f"{name}_add")([shortcut, y]), f"{name}_out")


def _features(x: Symbol, blocks: Sequence[int]) -> Symbol:
    """Four stages of so many blocks; each but the first halves the picture in its first block."""
    x = pooled(relu(Norm(name="conv1_bn")(begun(x)), "conv1_relu"))
    for stage, count in enumerate(blocks):
        for i in range(count):
            stride = 2 if stage and not i else 1
            x = _block(x, 64 * 2**stage, stride, not i, f"conv{stage + 2}_block{i + 1}")
    return x


@application("resnet50", Published.usual("resnet50", "resnet"), pools=NAMED_POOLS)
def ResNet50(x: Symbol) -> Symbol:  # noqa: N802
    """ResNet50, a :class:`nnx.Model`: 16 residual blocks, 25 636 712 weights.

    Pictures are 224×224 (at least 32×32).
    The arguments, such as ``classes`` ≥ 1, and what is raised are those of all: see :mod:`nnx.applications`.

    Source: K. He, X. Zhang, S. Ren, J. Sun, "Deep residual learning for image recognition", CVPR 2016,
    table 1; Keras' ``applications.ResNet50``.

    >>> model = nnx.applications.ResNet50(False, weights=None, input_shape=(32, 32, 3), pooling="avg")
    >>> model.output_shape, model.get_layer("conv5_block3_out").output_shape
    ((None, 2048), (None, 1, 1, 2048))
    """
    return _features(x, (3, 4, 6, 3))


@application("resnet101", Published.usual("resnet101", "resnet"), pools=NAMED_POOLS)
def ResNet101(x: Symbol) -> Symbol:  # noqa: N802
    """ResNet101, a :class:`nnx.Model`: 33 residual blocks, 44 707 176 weights.

    Pictures are 224×224 (at least 32×32).
    The arguments, such as ``classes`` ≥ 1, and what is raised are those of all: see :mod:`nnx.applications`.

    Source: K. He, X. Zhang, S. Ren, J. Sun, "Deep residual learning for image recognition", CVPR 2016,
    table 1; Keras' ``applications.ResNet101``.

    >>> len(nnx.applications.ResNet101(weights=None).layers)
    346
    """
    return _features(x, (3, 4, 23, 3))


@application("resnet152", Published.usual("resnet152", "resnet"), pools=NAMED_POOLS)
def ResNet152(x: Symbol) -> Symbol:  # noqa: N802
    """ResNet152, a :class:`nnx.Model`: 50 residual blocks, 60 419 944 weights.

    Pictures are 224×224 (at least 32×32).
    The arguments, such as ``classes`` ≥ 1, and what is raised are those of all: see :mod:`nnx.applications`.

    Source: K. He, X. Zhang, S. Ren, J. Sun, "Deep residual learning for image recognition", CVPR 2016,
    table 1; Keras' ``applications.ResNet152``.

    >>> len(nnx.applications.ResNet152(weights=None).layers)
    516
    """
    return _features(x, (3, 8, 36, 3))
