"""InceptionV3: branches of convolutions side by side, joined along the channels."""

from __future__ import annotations

from nnx.applications.application import application
from nnx.applications.imagenet_utils import decode_predictions
from nnx.applications.imagenet_utils import preprocess_tf as preprocess_input
from nnx.applications.published import Published
from nnx.layers import (
    Activation,
    AveragePooling2D,
    BatchNormalization,
    Concatenate,
    Conv2D,
    MaxPooling2D,
    Symbol,
)

__all__ = ["InceptionV3", "decode_predictions", "preprocess_input"]

Window = int | tuple[int, int]
#: a convolution: its filters, its window, and 2 where it halves the picture
Step = tuple[int, Window] | tuple[int, Window, int]


def conv(x: Symbol, filters: int, window: Window, stride: int = 1, padding: str = "same") -> Symbol:
    """A convolution, normalized without a scale, and relu."""
    x = Conv2D(filters, window, strides=stride, padding=padding, use_bias=False)(x)
    return Activation("relu")(BatchNormalization(scale=False)(x))


def branch(x: Symbol, *steps: Step) -> Symbol:
    """Convolutions one after the other; one that halves the picture has no padding."""
    for filters, window, *stride in steps:
        x = conv(x, filters, window, 2, "valid") if stride else conv(x, filters, window)
    return x


def halved(x: Symbol) -> Symbol:
    """The largest of 3×3, in steps of two."""
    return MaxPooling2D(3, strides=2)(x)


def averaged(x: Symbol, filters: int) -> Symbol:
    """The mean of 3×3, and a 1×1 convolution."""
    return conv(AveragePooling2D(3, strides=1, padding="same")(x), filters, 1)


def stem(x: Symbol) -> Symbol:
    """What both Inceptions begin with: 192 features of a picture an eighth as high and wide."""
    x = conv(conv(x, 32, 3, 2, "valid"), 32, 3, padding="valid")
    x = halved(conv(x, 64, 3))
    return halved(conv(conv(x, 80, 1, padding="valid"), 192, 3, padding="valid"))


def joined(name: str | None, *branches: Symbol) -> Symbol:
    """Branches along the channels."""
    return Concatenate(name=name)(list(branches))


def _wide(x: Symbol, n: int, name: str) -> Symbol:
    """Branches with windows 1×7 and 7×1."""
    across, down = (1, 7), (7, 1)
    return joined(
        name,
        conv(x, 192, 1),
        branch(x, (n, 1), (n, across), (192, down)),
        branch(x, (n, 1), (n, down), (n, across), (n, down), (192, across)),
        averaged(x, 192),
    )


def _forked(x: Symbol, number: int) -> Symbol:
    """Branches that end in 1×3 and 3×1 side by side."""
    short, long = conv(x, 384, 1), branch(x, (448, 1), (384, 3))
    return joined(
        f"mixed{9 + number}",
        conv(x, 320, 1),
        joined(f"mixed9_{number}", conv(short, 384, (1, 3)), conv(short, 384, (3, 1))),
        joined(None, conv(long, 384, (1, 3)), conv(long, 384, (3, 1))),
        averaged(x, 192),
    )


@application("inception_v3", Published.usual("inception_v3"), size=299, least=75)
def InceptionV3(x: Symbol) -> Symbol:  # noqa: N802
    """InceptionV3, a :class:`nnx.Model`: 94 convolutions, 23 851 784 weights.

    Pictures are 299×299 (at least 75×75).
    The arguments, such as ``classes`` ≥ 1, and what is raised are those of all: see :mod:`nnx.applications`.

    Source: C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens, Z. Wojna, "Rethinking the Inception architecture
    for computer vision", CVPR 2016, table 1; Keras' ``applications.InceptionV3``.

    >>> len(nnx.applications.InceptionV3(weights=None).layers)
    312
    """
    x = stem(x)
    for i, pooled in enumerate((32, 64, 64)):
        double = branch(x, (64, 1), (96, 3), (96, 3))
        x = joined(f"mixed{i}", conv(x, 64, 1), branch(x, (48, 1), (64, 5)), double, averaged(x, pooled))
    x = joined("mixed3", branch(x, (384, 3, 2)), branch(x, (64, 1), (96, 3), (96, 3, 2)), halved(x))
    for i, n in enumerate((128, 160, 160, 192), 4):
        x = _wide(x, n, f"mixed{i}")
    wide = branch(x, (192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3, 2))
    x = joined("mixed8", branch(x, (192, 1), (320, 3, 2)), wide, halved(x))
    return _forked(_forked(x, 0), 1)
