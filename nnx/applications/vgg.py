"""VGG16 and VGG19: 3×3 convolutions in five blocks, and three dense layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnx.applications.application import application
from nnx.applications.published import Published
from nnx.layers import Conv2D, Dense, Flatten, MaxPooling2D, Symbol

_FILTERS = (64, 128, 256, 512, 512)


def _features(x: Symbol, convolutions: Sequence[int]) -> Symbol:
    """Five blocks of so many convolutions, each halved by a pooling."""
    for block, (count, filters) in enumerate(zip(convolutions, _FILTERS, strict=True), 1):
        for i in range(1, count + 1):
            conv = Conv2D(filters, 3, padding="same", activation="relu", name=f"block{block}_conv{i}")
            x = conv(x)
        x = MaxPooling2D(2, name=f"block{block}_pool")(x)
    return x


def _top(x: Symbol, classes: int, activation: Any) -> Symbol:
    x = Flatten(name="flatten")(x)
    for name in ("fc1", "fc2"):
        x = Dense(4096, activation="relu", name=name)(x)
    return Dense(classes, activation=activation, name="predictions")(x)


@application("vgg16", Published.usual("vgg16"), top=_top)
def VGG16(x: Symbol) -> Symbol:  # noqa: N802
    """VGG16, a :class:`nnx.Model`: 13 convolutions and 3 dense layers, 138 357 544 weights.

    Pictures are 224×224 (at least 32×32).
    The arguments, such as ``classes`` ≥ 1, and what is raised are those of all: see :mod:`nnx.applications`.

    Source: K. Simonyan, A. Zisserman, "Very deep convolutional networks for large-scale image recognition",
    ICLR 2015, table 1, column D; Keras' ``applications.VGG16``.

    >>> model = nnx.applications.VGG16(False, weights=None, input_shape=(32, 32, 3))
    >>> model.output_shape, model.count_params()
    ((None, 1, 1, 512), 14714688)
    """
    return _features(x, (2, 2, 3, 3, 3))


@application("vgg19", Published.usual("vgg19"), top=_top)
def VGG19(x: Symbol) -> Symbol:  # noqa: N802
    """VGG19, a :class:`nnx.Model`: 16 convolutions and 3 dense layers, 143 667 240 weights.

    Pictures are 224×224 (at least 32×32).
    The arguments, such as ``classes`` ≥ 1, and what is raised are those of all: see :mod:`nnx.applications`.

    Source: K. Simonyan, A. Zisserman, "Very deep convolutional networks for large-scale image recognition",
    ICLR 2015, table 1, column E; Keras' ``applications.VGG19``.

    >>> len(nnx.applications.VGG19(weights=None).layers)
    25
    """
    return _features(x, (2, 2, 4, 4, 4))
