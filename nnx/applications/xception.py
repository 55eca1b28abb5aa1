"""Xception: residual blocks of separable convolutions."""

from __future__ import annotations

from functools import partial

from nnx.applications.application import application
from nnx.applications.imagenet_utils import decode_predictions
from nnx.applications.imagenet_utils import preprocess_tf as preprocess_input
from nnx.applications.published import Published
from nnx.layers import Activation, Add, BatchNormalization, Conv2D, MaxPooling2D, SeparableConv2D, Symbol

__all__ = ["Xception", "decode_predictions", "preprocess_input"]

_conv = partial(Conv2D, use_bias=False)


def _active(x: Symbol, name: str) -> Symbol:
    return Activation("relu", name=f"{name}_act")(x)


def _separable(x: Symbol, filters: int, name: str) -> Symbol:
    conv = SeparableConv2D(filters, 3, padding="same", use_bias=False, name=name)
    return BatchNormalization(name=f"{name}_bn")(conv(x))


def _block(x: Symbol, number: int, *widths: int, halved: bool = True) -> Symbol:
    """Separable convolutions of so many filters each, beside a shortcut; halved by both at the end."""
    shortcut = x
    if halved:
        projected = _conv(widths[-1], 1, strides=2, padding="same")(x)
        shortcut = BatchNormalization()(projected)
    for i, filters in enumerate(widths, 1):
        name = f"block{number}_sepconv{i}"
        if number > 2 or i > 1:  # block 2 begins after an activation
            x = _active(x, name)
        x = _separable(x, filters, name)
    if halved:
        x = MaxPooling2D(3, strides=2, padding="same", name=f"block{number}_pool")(x)
    return Add()([x, shortcut])


@application("xception", Published.usual("xception"), size=299, least=71)
def Xception(x: Symbol) -> Symbol:  # noqa: N802
    """Xception, a :class:`nnx.Model`: 34 separable convolutions, 22 910 480 weights.

    Pictures are 299×299 (at least 71×71).
    The arguments, such as ``classes`` ≥ 1, and what is raised are those of all: see :mod:`nnx.applications`.

    Source: F. Chollet, "Xception: deep learning with depthwise separable convolutions", CVPR 2017, figure 5;
    Keras' ``applications.Xception``.

    >>> len(nnx.applications.Xception(weights=None).layers)
    133
    """
    for i, (filters, stride) in enumerate([(32, 2), (64, 1)], 1):
        name = f"block1_conv{i}"
        x = BatchNormalization(name=f"{name}_bn")(_conv(filters, 3, strides=stride, name=name)(x))
        x = _active(x, name)
    for number, filters in enumerate([128, 256, 728], 2):
        x = _block(x, number, filters, filters)
    for number in range(5, 13):
        x = _block(x, number, 728, 728, 728, halved=False)
    x = _block(x, 13, 728, 1024)
    for i, filters in enumerate([1536, 2048], 1):
        name = f"block14_sepconv{i}"
        x = _active(_separable(x, filters, name), name)
    return x
