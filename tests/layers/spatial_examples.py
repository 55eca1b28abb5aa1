"""Examples for the layers' contract, with a shape of samples that each takes: of space, and of noise."""

from __future__ import annotations

from nnx import layers

SHAPES = ((7, 2), (5, 4, 2), (3, 4, 2, 2))


def of_each_rank(stem, *args, **options):
    """A layer for one, two and three axes of space."""
    made = [(f"{stem}{axes}D", shape) for axes, shape in enumerate(SHAPES, 1)]
    return {layers.registry.entry(n).name: (getattr(layers, n)(*args, **options), s) for n, s in made}


SPATIAL = {
    **of_each_rank("MaxPooling", 3, strides=2, padding="same"),
    **of_each_rank("AveragePooling", 2, strides=1, padding="same"),
    **of_each_rank("GlobalMaxPooling"),
    **of_each_rank("GlobalAveragePooling", keepdims=True),
    **of_each_rank("ZeroPadding", 2),
    "cropping1d": (layers.Cropping1D((1, 2)), SHAPES[0]),
    "cropping2d": (layers.Cropping2D(((1, 0), (1, 2))), SHAPES[1]),
    "cropping3d": (layers.Cropping3D((1, 1, 0)), SHAPES[2]),
    **of_each_rank("SpatialDropout", 0.4),
    "alpha_dropout": (layers.AlphaDropout(0.4), (5,)),
    "gaussian_dropout": (layers.GaussianDropout(0.4), (5,)),
    "center_crop": (layers.CenterCrop(3, 3), SHAPES[1]),
    "normalization": (layers.Normalization((1, -1), mean=(1.0, -2.0), variance=(4.0, 0.5)), SHAPES[1]),
    "random_crop": (layers.RandomCrop(3, 2), SHAPES[1]),
    "random_flip": (layers.RandomFlip(), SHAPES[1]),
    "random_rotation": (layers.RandomRotation(0.2), SHAPES[1]),
    "random_translation": (layers.RandomTranslation(0.3, 0.4, "constant"), SHAPES[1]),
    "random_zoom": (layers.RandomZoom(0.3), SHAPES[1]),
    "resizing": (layers.Resizing(3, 6), SHAPES[1]),
    **of_each_rank("UpSampling", 2),
    "up_sampling2d": (layers.UpSampling2D((2, 3), interpolation="bilinear"), SHAPES[1]),
}
