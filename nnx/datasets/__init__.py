"""Data sets to learn on: the usual files (MNIST and its kin) and generators of small problems.

The modules have ``load_data()`` as in Keras; the functions return ``(x, y)`` and are the same numbers
for the same ``seed`` on every machine. Everything comes as NumPy arrays: the training loop moves
batches to the device.
"""

from nnx.datasets import digits, fashion_mnist, mnist, tiny_shakespeare
from nnx.datasets.generators import four_pixel_camera, sinc, spiral, two_moons, xor

__all__ = [
    "digits",
    "fashion_mnist",
    "four_pixel_camera",
    "mnist",
    "sinc",
    "spiral",
    "tiny_shakespeare",
    "two_moons",
    "xor",
]
