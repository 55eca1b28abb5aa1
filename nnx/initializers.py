"""Initial numbers of weights. Names and defaults are those of Keras.

An initializer is called with the shape of a weight and a host generator of random numbers
(:func:`nnx.backend.philox.generator`); it returns float64 numbers on the host, which the model moves to its
device. So the same seed gives the same weights on every array library. For a kernel of shape (inputs, outputs)
fan_in and fan_out are these two; for convolutions, (…, in, out), they are multiplied by the window's size.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Any

from nnx.backend import Stream, namespace, philox
from nnx.errors import OptionError, ShapeError
from nnx.registry import Registry

registry = Registry("initializer")
register = registry.register
Shape = tuple[int, ...]

#: A standard normal variable cut at ±2 has this standard deviation.
_CUT = 0.87962566103423978


def seeded(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: gives an initializer Keras' option ``seed``, which replaces the generator it is called with."""

    @wraps(function)
    def call(shape: Shape, random: Any = None, *, seed: int | None = None, **options: Any) -> Any:
        if seed is not None or random is None:
            random = philox.generator(Stream(seed or 0, philox.WEIGHTS))
        return function(tuple(shape), random, **options)

    return call


@registry.register("zero", formula=r"0")
def zeros(shape: Shape, random: Any = None) -> Any:
    """All 0.

    >>> nnx.initializers.zeros((2,))
    array([0., 0.])
    """
    return _filled(shape, 0.0)


@registry.register("one", formula=r"1")
def ones(shape: Shape, random: Any = None) -> Any:
    """All 1."""
    return _filled(shape, 1.0)


@registry.register(formula=r"c")
def constant(shape: Shape, random: Any = None, *, value: float = 0.0) -> Any:
    """All ``value``.

    >>> nnx.initializers.Constant(3.0)((2,))
    array([3., 3.])
    """
    return _filled(shape, value)


def _filled(shape: Shape, value: float) -> Any:
    # A generator's output is the one host array to be had without importing an array library.
    return philox.generator(Stream(0)).random(shape) * 0.0 + value


@registry.register("uniform", formula=r"U(\mathrm{minval}, \mathrm{maxval})")
@seeded
def random_uniform(
    shape: Shape, random: Any, *, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None
) -> Any:
    """Uniform in [minval, maxval)."""
    return random.uniform(minval, maxval, shape)


@registry.register("normal", formula=r"N(\mathrm{mean}, \mathrm{stddev}^2)")
@seeded
def random_normal(
    shape: Shape, random: Any, *, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None
) -> Any:
    """Normal."""
    return random.normal(mean, stddev, shape)


@registry.register(formula=r"N(\mathrm{mean}, \mathrm{stddev}^2)\ \text{within two deviations}")
@seeded
def truncated_normal(
    shape: Shape, random: Any, *, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None
) -> Any:
    """Normal, with what is more than two standard deviations away drawn again."""
    z = random.standard_normal(shape)
    while (far := abs(z) > 2.0).any():
        z[far] = random.standard_normal(int(far.sum()))
    return mean + stddev * z


@registry.register(formula=r"\mathrm{Var} = \mathrm{scale} / \mathrm{fan}")
@seeded
def variance_scaling(
    shape: Shape,
    random: Any,
    *,
    scale: float = 1.0,
    mode: str = "fan_in",
    distribution: str = "truncated_normal",
    seed: int | None = None,
) -> Any:
    """Of variance scale/n, where n is fan_in, fan_out or (``mode="fan_avg"``) their mean.

    ``distribution`` is ``"truncated_normal"``, ``"untruncated_normal"`` or ``"uniform"``.

    >>> w = nnx.initializers.VarianceScaling(2.0, distribution="uniform", seed=1)((100, 50))
    >>> bool(abs(w).max() <= (6.0 / 100) ** 0.5)
    True
    """
    fan_in, fan_out = fans(shape)
    means = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2.0}
    if mode not in means or scale <= 0:
        raise OptionError(
            f"variance_scaling needs scale > 0 and mode in {tuple(means)}, got {scale!r}, {mode!r}."
        )
    variance = scale / max(1.0, means[mode])
    if distribution == "uniform":
        limit = math.sqrt(3.0 * variance)
        return random.uniform(-limit, limit, shape)
    if distribution == "untruncated_normal":
        return random.normal(0.0, math.sqrt(variance), shape)
    if distribution == "truncated_normal":
        return truncated_normal(shape, random, stddev=math.sqrt(variance) / _CUT)
    raise OptionError(
        f"distribution must be 'truncated_normal', 'untruncated_normal' or 'uniform', got {distribution!r}."
    )


def _scaled(
    name: str, scale: float, mode: str, distribution: str, doc: str, formula: str, *aliases: str
) -> Any:
    @seeded
    def initializer(shape: Shape, random: Any, *, seed: int | None = None) -> Any:
        return variance_scaling(shape, random, scale=scale, mode=mode, distribution=distribution)

    initializer.__name__ = initializer.__qualname__ = name
    initializer.__doc__ = doc
    return registry.register(*aliases, formula=formula)(initializer)


_GLOROT = "\n\n    Source: X. Glorot, Y. Bengio, AISTATS 2010, equation 16."
_HE = "\n\n    Source: K. He et al., ICCV 2015, section 2.2."
_LECUN = '\n\n    Source: Y. LeCun et al., "Efficient BackProp", 1998, section 4.6.'
_U, _N = "uniform", "truncated_normal"
glorot_uniform = _scaled(
    "glorot_uniform", 1.0, "fan_avg", _U, "Uniform in ±√(6/(fan_in + fan_out))." + _GLOROT,
    r"U\left(\pm\sqrt{6/(n_{in}+n_{out})}\right)", "xavier_uniform",
)  # fmt: skip
glorot_normal = _scaled(
    "glorot_normal", 1.0, "fan_avg", _N, "Truncated normal of variance 2/(fan_in + fan_out)." + _GLOROT,
    r"N\left(0, 2/(n_{in}+n_{out})\right)", "xavier_normal",
)  # fmt: skip
he_uniform = _scaled(
    "he_uniform",
    2.0,
    "fan_in",
    _U,
    "Uniform in ±√(6/fan_in): for relu." + _HE,
    r"U\left(\pm\sqrt{6/n_{in}}\right)",
)
he_normal = _scaled(
    "he_normal",
    2.0,
    "fan_in",
    _N,
    "Truncated normal of variance 2/fan_in: for relu." + _HE,
    r"N(0, 2/n_{in})",
)
lecun_uniform = _scaled(
    "lecun_uniform", 1.0, "fan_in", _U, "Uniform in ±√(3/fan_in): for selu." + _LECUN,
    r"U\left(\pm\sqrt{3/n_{in}}\right)",
)  # fmt: skip
lecun_normal = _scaled(
    "lecun_normal",
    1.0,
    "fan_in",
    _N,
    "Truncated normal of variance 1/fan_in: for selu." + _LECUN,
    r"N(0, 1/n_{in})",
)


@registry.register("OrthogonalInitializer", formula=r"W^T W = \mathrm{gain}^2 I")
@seeded
def orthogonal(shape: Shape, random: Any, *, gain: float = 1.0, seed: int | None = None) -> Any:
    """``gain`` times a random matrix with orthonormal columns (or rows, if there are fewer of them).

    Axes before the last are taken as one. Source: A. Saxe et al., ICLR 2014, section 3.

    >>> q = nnx.initializers.Orthogonal(seed=0)((4, 4))
    >>> bool(abs(q @ q.T - np.eye(4)).max() < 1e-12)
    True
    """
    if len(shape) < 2:
        raise ShapeError(f"orthogonal needs a weight with at least two axes, got shape {shape}.")
    rows, columns = math.prod(shape[:-1]), shape[-1]
    z = random.standard_normal((max(rows, columns), min(rows, columns)))
    xp = namespace(z)
    q, r = xp.linalg.qr(z)
    # The signs of R's diagonal are the algorithm's choice: without them Q is uniform (Haar).
    q = q * xp.sign(xp.linalg.diagonal(r))
    return gain * xp.reshape(q if rows >= columns else xp.matrix_transpose(q), shape)


@registry.register("IdentityInitializer", formula=r"\mathrm{gain} \cdot I")
def identity(shape: Shape, random: Any = None, *, gain: float = 1.0) -> Any:
    """``gain`` on the diagonal of a matrix, else 0."""
    if len(shape) != 2:
        raise ShapeError(f"identity needs a matrix, got a weight of shape {shape}.")
    xp = namespace(_filled((1,), 0.0))
    return gain * xp.eye(*shape)


@registry.register(formula=r"\|w_j\| = 0.7\, H^{1/N}")
@seeded
def nguyen_widrow(shape: Shape, random: Any, *, inputs: int | None = None, seed: int | None = None) -> Any:
    """Weights of a tanh layer whose units share the range of the inputs (in [−1, 1]) evenly between them.

    For a kernel (N inputs, H units): random directions of length 0.7·H^(1/N). For the bias (H,), give
    ``inputs=N``: numbers spread evenly over ±0.7·H^(1/N), in random order.
    Source: D. Nguyen, B. Widrow, IJCNN 1990, vol. 3, 21–26; MATLAB's ``initnw``.

    >>> w = nnx.initializers.NguyenWidrow(seed=0)((2, 9))
    >>> np.round(np.sqrt(np.sum(w * w, axis=0)), 12)
    array([2.1, 2.1, 2.1, 2.1, 2.1, 2.1, 2.1, 2.1, 2.1])
    """
    n = shape[0] if len(shape) == 2 else inputs
    if n is None or len(shape) > 2:
        raise OptionError(
            f"nguyen_widrow takes a kernel (inputs, units) or, with inputs=N, a bias; got {shape}."
        )
    units = shape[-1]
    length = 0.7 * units ** (1.0 / n)
    if len(shape) == 2:
        w = random.uniform(-1.0, 1.0, shape)
        return length * w / (w * w).sum(axis=0) ** 0.5
    spread = random.permutation(units) * (2.0 / max(units - 1, 1)) - (1.0 if units > 1 else 0.0)
    return length * spread


def fans(shape: Shape) -> tuple[int, int]:
    """fan_in and fan_out of a weight: how many numbers go into, and come out of, each unit."""
    if len(shape) < 2:
        n = shape[0] if shape else 1
        return n, n
    window = math.prod(shape[:-2])
    return shape[-2] * window, shape[-1] * window


def get(spec: Any) -> Any:
    """The initializer that a name, a class name, a function or a configuration stands for."""
    return registry.get(spec)


def __getattr__(name: str) -> Any:
    return registry.factory(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *registry.class_names()})
