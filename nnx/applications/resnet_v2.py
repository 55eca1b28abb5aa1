"""ResNet50V2, ResNet101V2 and ResNet152V2: residual blocks that are normalized before they convolve."""

from __future__ import annotations

from collections.abc import Sequence

from nnx.applications.application import NAMED_POOLS, application
from nnx.applications.imagenet_utils import decode_predictions
from nnx.applications.imagenet_utils import preprocess_tf as preprocess_input
from nnx.applications.published import Published
from nnx.applications.resnet import Norm, begun, pooled, relu
from nnx.layers import Add, Conv2D, MaxPooling2D, Symbol, ZeroPadding2D

__all__ = ["ResNet50V2", "ResNet101V2", "ResNet152V2", "decode_predictions", "preprocess_input"]


def _active(x: Symbol, name: str) -> Symbol:
    return relu(Norm(name=f"{name}_bn")(x), f"{name}_relu")


def _block(x: Symbol, filters: int, stride: int, project: bool, name: str) -> Symbol:
    """1×1, 3×3 and 1×1 convolutions of the activated input, beside a shortcut from before or after that."""
    active = _active(x, f"{name}_preact")
    if project:
        shortcut = Conv2D(4 * filters, 1, strides=stride, name=f"{name}_0_conv")(active)
    else:
        shortcut = MaxPooling2D(1, strides=stride)(x) if stride > 1 else x
    y = _active(Conv2D(filters, 1, use_bias=False, name=f"{name}_1_conv")(active), f"{name}_1")
    y = ZeroPadding2D(1, name=f"{name}_2_pad")(y)
    y = _active(Conv2D(filters, 3, strides=stride, use_bias=False, name=f"{name}_2_conv")(y), f"{name}_2")
    return Add(name=f"{name}_out")([shortcut, Conv2D(4 * filters, 1, name=f"{name}_3_conv")(y)])


def _features(x: Symbol, blocks: Sequence[int]) -> Symbol:
    """Four stages of so many blocks; each but the last halves the picture in its last block."""
    x = pooled(begun(x))
    for stage, count in enumerate(blocks):
        for i in range(count):
            stride = 2 if stage < 3 and i == count - 1 else 1
            x = _block(x, 64 * 2**stage, stride, not i, f"conv{stage + 2}_block{i + 1}")
    return _active(x, "post")


@application("resnet50v2", Published.usual("resnet50v2", "resnet"), pools=NAMED_POOLS)
def ResNet50V2(x: Symbol) -> Symbol:  # noqa: N802
    """ResNet50V2, a :class:`nnx.Model`: 16 residual blocks, 25 613 800 weights.

    Pictures are 224×224 (at least 32×32).
    The arguments, such as ``classes`` ≥ 1, and what is raised are those of all: see :mod:`nnx.applications`.

    Source: K. He, X. Zhang, S. Ren, J. Sun, "Identity mappings in deep residual networks", ECCV 2016,
    figure 4(e); Keras' ``applications.ResNet50V2``.

    >>> len(nnx.applications.ResNet50V2(weights=None).layers)
    191
    """
    return _features(x, (3, 4, 6, 3))


@application("resnet101v2", Published.usual("resnet101v2", "resnet"), pools=NAMED_POOLS)
def ResNet101V2(x: Symbol) -> Symbol:  # noqa: N802
    """ResNet101V2, a :class:`nnx.Model`: 33 residual blocks, 44 675 560 weights.

    Pictures are 224×224 (at least 32×32).
    The arguments, such as ``classes`` ≥ 1, and what is raised are those of all: see :mod:`nnx.applications`.

    Source: K. He, X. Zhang, S. Ren, J. Sun, "Identity mappings in deep residual networks", ECCV 2016,
    figure 4(e); Keras' ``applications.ResNet101V2``.

    >>> len(nnx.applications.ResNet101V2(weights=None).layers)
    378
    """
    return _features(x, (3, 4, 23, 3))


@application("resnet152v2", Published.usual("resnet152v2", "resnet"), pools=NAMED_POOLS)
def ResNet152V2(x: Symbol) -> Symbol:  # noqa: N802
    """ResNet152V2, a :class:`nnx.Model`: 50 residual blocks, 60 380 648 weights.

    Pictures are 224×224 (at least 32×32).
    The arguments, such as ``classes`` ≥ 1, and what is raised are those of all: see :mod:`nnx.applications`.

    Source: K. He, X. Zhang, S. Ren, J. Sun, "Identity mappings in deep residual networks", ECCV 2016,
    figure 4(e); Keras' ``applications.ResNet152V2``.

    >>> len(nnx.applications.ResNet152V2(weights=None).layers)
    565
    """
    return _features(x, (3, 8, 36, 3))
