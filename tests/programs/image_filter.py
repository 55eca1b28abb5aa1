"""Blind deconvolution: a picture and the filter that blurred it, from the blurred picture.

The convolution is a sum of shifted pictures, the penalty a smooth total variation. Source: T. F. Chan, C.-K.
Wong, "Total variation blind deconvolution", IEEE Trans. Image Processing 7 (1998) 370–375.
"""

import numpy as np

CANNOT = {"autograd"}  # pads with constants only


def filtered(image, kernel):
    rows, columns = image.shape
    height, width = kernel.shape
    padded = np.pad(image, ((height // 2, height // 2), (width // 2, width // 2)), mode="edge")
    out = 0.0
    for i in range(height):
        for j in range(width):
            out += kernel[i, j] * padded[i : i + rows, j : j + columns]
    return out


def cost(image, kernel, blurred):
    """The squared error and the total variation of the picture; the filter is normalised to sum to one."""
    error = filtered(image, kernel / np.sum(kernel)) - blurred
    dy, dx = np.diff(image, axis=0)[:, :-1], np.diff(image, axis=1)[:-1, :]
    return 0.5 * (error**2).mean() + 0.05 * np.sqrt(dx**2 + dy**2 + 0.01).sum() / image.size


def example():
    """The function, where it is differentiated, its data."""
    random = np.random.default_rng(17)
    y, x = np.mgrid[0:9, 0:11]
    sharp = ((x - 5) ** 2 + (y - 4) ** 2 < 10).astype(float)
    blurred = filtered(sharp, np.full((3, 3), 1.0 / 9.0))
    return (
        cost,
        (sharp + 0.2 * random.normal(size=sharp.shape), 0.5 + random.uniform(size=(3, 3))),
        (blurred,),
    )
