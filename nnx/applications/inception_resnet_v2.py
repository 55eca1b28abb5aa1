"""InceptionResNetV2: inception branches as residuals, which are scaled before they are added."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nnx.applications.application import application
from nnx.applications.imagenet_utils import decode_predictions
from nnx.applications.imagenet_utils import preprocess_tf as preprocess_input
from nnx.applications.inception_v3 import averaged, branch, conv, halved, joined, stem
from nnx.applications.published import Published
from nnx.errors import ShapeError
from nnx.layers import Activation, BatchNormalization, Conv2D, Layer, Spec, Symbol, register
from nnx.options import number

__all__ = ["CustomScaleLayer", "InceptionResNetV2", "decode_predictions", "preprocess_input"]


@register()
@dataclass(frozen=True)
class CustomScaleLayer(Layer):
    """The first input plus ``scale`` times the second: a scaled residual.

    Shapes: (n, ...), (n, ...) → (n, ...). Source: Keras' ``applications.InceptionResNetV2``, whose layers
    bear this name.

    >>> x = np.ones((1, 2))
    >>> nnx.applications.inception_resnet_v2.CustomScaleLayer(0.5)(x, 2.0 * x)
    array([[2., 2.]])
    """

    arity: ClassVar[int | None] = 2
    scale: float = number()

    def spec(self, shape: tuple[int, ...], residual: tuple[int, ...]) -> Spec:  # type: ignore[override]
        if shape != residual:
            raise ShapeError(f"CustomScaleLayer adds samples of one shape, got {shape} and {residual}.")
        return Spec(shape)

    def forward(self, p: Mapping[str, Any], x: Any, residual: Any) -> Any:
        return x + residual * self.scale


#: for each kind of block how many there are, the scale of its residuals, and its branches
_BLOCKS: dict[str, tuple[int, float, tuple[Any, ...]]] = {
    "block35": (10, 0.17, (((32, 1),), ((32, 1), (32, 3)), ((32, 1), (48, 3), (64, 3)))),
    "block17": (20, 0.1, (((192, 1),), ((128, 1), (160, (1, 7)), (192, (7, 1))))),
    "block8": (10, 0.2, (((192, 1),), ((192, 1), (224, (1, 3)), (256, (3, 1))))),
}


def _blocks(x: Symbol, kind: str) -> Symbol:
    """All blocks of a kind, one after the other; the very last is neither scaled nor activated."""
    count, scale, branches = _BLOCKS[kind]
    for i in range(1, count + 1):
        name, last = f"{kind}_{i}", kind == "block8" and i == count
        mixed = joined(f"{name}_mixed", *(branch(x, *steps) for steps in branches))
        residual = Conv2D(x.shape[-1], 1, padding="same", name=f"{name}_conv")(mixed)
        x = CustomScaleLayer(1.0 if last else scale)([x, residual])
        x = x if last else Activation("relu", name=f"{name}_ac")(x)
    return x


@application("inception_resnet_v2", Published.usual("inception_resnet_v2"), size=299, least=75)
def InceptionResNetV2(x: Symbol) -> Symbol:  # noqa: N802
    """InceptionResNetV2, a :class:`nnx.Model`: 40 scaled residual blocks, 55 873 736 weights.

    Pictures are 299×299 (at least 75×75).
    The arguments, such as ``classes`` ≥ 1, and what is raised are those of all: see :mod:`nnx.applications`.

    Source: C. Szegedy, S. Ioffe, V. Vanhoucke, A. Alemi, "Inception-v4, Inception-ResNet and the impact of
    residual connections on learning", AAAI 2017, figure 15; Keras' ``applications.InceptionResNetV2``.

    >>> len(nnx.applications.InceptionResNetV2(weights=None).layers)
    781
    """
    x = stem(x)
    first, double = branch(x, (48, 1), (64, 5)), branch(x, (64, 1), (96, 3), (96, 3))
    x = _blocks(joined("mixed_5b", conv(x, 96, 1), first, double, averaged(x, 64)), "block35")
    double = branch(x, (256, 1), (256, 3), (384, 3, 2))
    x = _blocks(joined("mixed_6a", branch(x, (384, 3, 2)), double, halved(x)), "block17")
    first, second = branch(x, (256, 1), (384, 3, 2)), branch(x, (256, 1), (288, 3, 2))
    double = branch(x, (256, 1), (288, 3), (320, 3, 2))
    x = _blocks(joined("mixed_7a", first, second, double, halved(x)), "block8")
    x = Conv2D(1536, 1, padding="same", use_bias=False, name="conv_7b")(x)
    return Activation("relu", name="conv_7b_ac")(BatchNormalization(scale=False, name="conv_7b_bn")(x))
