"""Small problems made on the spot, the same for the same seed on every machine.

Each function returns NumPy arrays ``(x, y)`` in random order, so that the last examples (a
``validation_split``) are like the first. Class labels are ``int64``. ``seed=None`` asks the library-wide
seed (:func:`nnx.utils.set_random_seed`) for a new one.
"""

from __future__ import annotations

import math

import numpy as np

from nnx.backend import Stream, next_seed, philox
from nnx.options import Number, OneOf, Seed

Pair = tuple[np.ndarray, np.ndarray]

_COUNT = Number(least=1, whole=True)
_NOISE = Number(least=0.0)
_DTYPE = OneOf(("float32", "float64"))


def spiral(
    n_samples: int = 300,
    n_classes: int = 3,
    noise: float = 0.2,
    seed: int | None = 0,
    dtype: str = "float32",
) -> Pair:
    """Returns points (n_samples, 2) on as many spiral arms as classes, and their labels (n_samples,).

    With t = 1/m, 2/m, …, 1 along the m points of arm k of K, the point is

        t · (cos θ, sin θ),   θ = 2πk/K + 4t + noise · N(0, 1)

    Classes have equally many points (the first ones get one more where it does not come out even).
    Raises :class:`nnx.errors.OptionError` for an option out of its range.

    >>> x, y = nnx.datasets.spiral(300, n_classes=3, seed=1)
    >>> x.shape, np.bincount(y)
    ((300, 2), array([100, 100, 100]))

    Source: the problem of K. J. Lang and M. J. Witbrock, "Learning to tell two spirals apart", Proc. 1988
    Connectionist Models Summer School; with noise on the angle as in Stanford's course CS231n.
    """
    draw = _Draw("spiral", n_samples, noise, seed, dtype)
    n_classes = _COUNT("spiral", "n_classes", n_classes)
    label = np.arange(draw.n) % n_classes
    along = (np.arange(draw.n) // n_classes + 1.0) / np.bincount(label, minlength=n_classes)[label]
    angle = 2 * math.pi * label / n_classes + 4.0 * along + draw.noise((draw.n,))
    points = along[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return draw.shuffled(points, label)


def two_moons(n_samples: int = 200, noise: float = 0.1, seed: int | None = 0, dtype: str = "float32") -> Pair:
    """Returns points (n_samples, 2) on two interleaved half circles, and their labels 0 and 1 (n_samples,).

    With a from 0 to π, class 0 is (cos a, sin a) and class 1 is (1 − cos a, 1/2 − sin a), each coordinate
    plus noise · N(0, 1). Classes have equally many points (class 0 one more if ``n_samples`` is odd).
    ``seed`` is a whole number from 0 to 2⁶⁴ − 1; None: the library's next one. Raises
    :class:`nnx.errors.OptionError` for an option out of its range.

    >>> x, y = nnx.datasets.two_moons(4, noise=0.0)
    >>> x[y == 0][:, 0].min().item()
    -1.0

    Source: scikit-learn's ``make_moons``.
    """
    draw = _Draw("two_moons", n_samples, noise, seed, dtype)
    upper, lower = (np.linspace(0.0, math.pi, m) for m in (draw.n - draw.n // 2, draw.n // 2))
    points = np.concatenate(
        [
            np.stack([np.cos(upper), np.sin(upper)], axis=1),
            np.stack([1.0 - np.cos(lower), 0.5 - np.sin(lower)], axis=1),
        ]
    )
    label = np.repeat([0, 1], [upper.size, lower.size])
    return draw.shuffled(points + draw.noise(points.shape), label)


def xor(n_samples: int = 200, noise: float = 0.0, seed: int | None = 0, dtype: str = "float32") -> Pair:
    """Returns points (n_samples, 2) of the square [−1, 1]² and labels (n_samples,): 1 where signs differ.

    y = 1 where x₁x₂ < 0, else 0: no straight line separates the two. Points are uniform in each quadrant
    and quadrants have equally many (to one); ``noise`` · N(0, 1) is added to the coordinates after
    labelling, so that some points near the axes then lie on the wrong side.
    ``seed`` is a whole number from 0 to 2⁶⁴ − 1; None: the library's next one. Raises
    :class:`nnx.errors.OptionError` for an option out of its range.

    >>> x, y = nnx.datasets.xor(4)
    >>> bool(np.all((x[:, 0] * x[:, 1] < 0) == y))
    True

    Source: parity of two inputs, the classic of M. Minsky, S. Papert, "Perceptrons", MIT Press 1969.
    """
    draw = _Draw("xor", n_samples, noise, seed, dtype)
    quadrant = np.arange(draw.n) % 4
    signs = np.stack([1.0 - 2.0 * (quadrant % 2), 1.0 - 2.0 * (quadrant // 2)], axis=1)
    # 1 − u lies in (0, 1]: never on an axis, where there would be no sign.
    points = signs * (1.0 - draw.uniform((draw.n, 2)))
    label = (signs[:, 0] != signs[:, 1]).astype(np.int64)
    return draw.shuffled(points + draw.noise(points.shape), label)


def sinc(n_samples: int = 200, noise: float = 0.0, seed: int | None = 0, dtype: str = "float32") -> Pair:
    """Returns a regression problem: x (n_samples, 1), uniform in [−1, 1], and y (n_samples, 1).

        y = sin(10x) / (10x) + noise · N(0, 1),   y(0) = 1 without noise

    ``seed`` is a whole number from 0 to 2⁶⁴ − 1; None: the library's next one. Raises
    :class:`nnx.errors.OptionError` for an option out of its range.

    Source: the usual test of regression, sin(x)/x on an interval around 0.

    >>> x, y = nnx.datasets.sinc(100, dtype="float64")
    >>> bool(np.allclose(y, np.sin(10 * x) / (10 * x)))
    True
    """
    draw = _Draw("sinc", n_samples, noise, seed, dtype)
    x = 2.0 * draw.uniform((draw.n, 1)) - 1.0
    y = np.sinc(10.0 * x / math.pi) + draw.noise(x.shape)  # NumPy's sinc(u) is sin(πu)/(πu)
    return x.astype(draw.dtype), y.astype(draw.dtype)


def four_pixel_camera(n_samples: int = 1000, seed: int | None = 0, dtype: str = "float32") -> Pair:
    """Returns pictures (n_samples, 2, 2) of ±1 and their labels (n_samples,): what a 4-pixel camera saw.

    Labels are 0 solid, 1 vertical, 2 diagonal, 3 horizontal. Each comes in two variants (a picture and
    its negative), and the eight pictures come equally often (to one). ``x.reshape(-1, 4)`` is what a
    dense network takes.
    ``seed`` is a whole number from 0 to 2⁶⁴ − 1; None: the library's next one. Raises
    :class:`nnx.errors.OptionError` for an option out of its range.

    Source: lectures, the example of the four-pixel camera.

    >>> x, y = nnx.datasets.four_pixel_camera(8)
    >>> np.bincount(y)
    array([2, 2, 2, 2])
    """
    draw = _Draw("four_pixel_camera", n_samples, 0.0, seed, dtype)
    solid, vertical = [[1.0, 1.0], [1.0, 1.0]], [[1.0, -1.0], [1.0, -1.0]]
    diagonal, horizontal = [[1.0, -1.0], [-1.0, 1.0]], [[1.0, 1.0], [-1.0, -1.0]]
    pictures = np.array([solid, vertical, diagonal, horizontal])
    label, variant = np.arange(draw.n) % 4, np.arange(draw.n) // 4 % 2
    return draw.shuffled(pictures[label] * (1.0 - 2.0 * variant)[:, None, None], label)


class _Draw:
    """The checked options of one call and its random numbers."""

    def __init__(self, name: str, n_samples: int, noise: float, seed: int | None, dtype: str) -> None:
        self.n = _COUNT(name, "n_samples", n_samples)
        self._scale, self.dtype = _NOISE(name, "noise", noise), _DTYPE(name, "dtype", dtype)
        given = Seed()(name, "seed", seed)
        self._seed = next_seed() if given is None else given

    def uniform(self, shape: tuple[int, ...]) -> np.ndarray:
        return philox.uniform(self._stream(0), shape)

    def noise(self, shape: tuple[int, ...]) -> np.ndarray:
        return self._scale * philox.normal(self._stream(1), shape)

    def shuffled(self, x: np.ndarray, label: np.ndarray) -> Pair:
        # The order of raw Philox numbers: it does not depend on NumPy's version.
        order = np.argsort(philox.uniform(self._stream(2), (self.n,)), kind="stable")
        return x[order].astype(self.dtype), label[order].astype(np.int64)

    def _stream(self, step: int) -> Stream:
        return Stream(self._seed, philox.DATA, step=step)
