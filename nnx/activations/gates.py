"""Activations of the form x·gate(x): smooth relatives of relu, and the gated linear unit."""

from __future__ import annotations

import math
from typing import Any

from nnx.activations.base import AXIS, FAR, need_axis, registry
from nnx.activations.bounded import hard_sigmoid, sigmoid
from nnx.activations.exponentials import softplus
from nnx.autodiff import fused
from nnx.backend import adapter_of, namespace
from nnx.errors import ShapeError
from nnx.options import truth

Array = Any

# Beyond ±1e4 the gates of gelu are 0 and 1 exactly; its cube stays finite there in float32.
_FLAT = 1e4
_TANH_SCALE = math.sqrt(2.0 / math.pi)
_TANH_CUBIC = 0.044715


def _clip(xp: Any, x: Array, bound: float) -> Array:
    return xp.minimum(xp.maximum(x, -bound), bound)


@fused(derivative=lambda xp, x, y: (2.0 / math.sqrt(math.pi)) * xp.exp(-(x * x)))
def erf(x: Array) -> Array:
    """The error function 2/√π ∫₀ˣ e^(−t²) dt, in (−1, 1), by the array library's own or W. J. Cody's method.

    Shapes: (...) → (...). Source: W. J. Cody, Math. Comp. 23 (1969) 631–637; SciPy's ``special.erf``.

    >>> nnx.activations.erf(np.asarray([0.0, 1.0, np.inf]))
    array([0.        , 0.84270079, 1.        ])
    """
    return adapter_of(x).erf(x)


@fused(derivative=lambda xp, x, y: (-2.0 / math.sqrt(math.pi)) * xp.exp(-(x * x)))
def _erfc(x: Array) -> Array:
    return adapter_of(x).erfc(x)


def _silu_slope(xp: Any, x: Array, y: Array) -> Array:
    s = sigmoid(x)
    return s + xp.minimum(y, FAR) * (1.0 - s)


@registry.register(
    "swish",
    formula=r"z \, \sigma(z)",
    derivative=r"\sigma(z) + a (1 - \sigma(z))",
    range="[-0.2784645427610738, ∞)",
    limits=(0.0, float("inf")),
    slopes=(0.0, 1.0),
    use="Deep networks, in place of relu: smooth, with a small dip to the left of 0.",
)
@fused(derivative=_silu_slope)
def silu(x: Array) -> Array:
    """x·sigmoid(x), also called swish. At −∞ it is 0, its limit (a plain product would give nan).

    Shapes: (...) → (...).
    Source: P. Ramachandran, B. Zoph, Q. Le, "Searching for activation functions", arXiv 1710.05941, 2017.

    >>> nnx.activations.silu(np.asarray([-1.0, 0.0, 1.0]))
    array([-0.26894142,  0.        ,  0.73105858])
    """
    return namespace(x).maximum(x, -FAR) * sigmoid(x)


def _hard_silu_slope(xp: Any, x: Array, y: Array) -> Array:
    inside = xp.astype((x > -3.0) & (x < 3.0), x.dtype)
    return inside * (_clip(xp, x, 3.0) * (1.0 / 3.0) + 0.5) + xp.astype(x >= 3.0, x.dtype)


@registry.register(
    "hard_swish",
    formula=r"z \max(0, \min(1, z/6 + 1/2))",
    derivative=r"z/3 + 1/2 \text{ for } |z| < 3, \; 0 \text{ for } z \le -3, \; 1 \text{ for } z \ge 3",
    range="[-0.375, ∞)",
    limits=(0.0, float("inf")),
    slopes=(0.0, 1.0),
    kinks=(-3.0, 3.0),
    use="A cheap silu without an exponential, as in MobileNetV3.",
)
@fused(derivative=_hard_silu_slope)
def hard_silu(x: Array) -> Array:
    """x·hard_sigmoid(x). The derivative at the kinks −3 and 3 is 0 and 1.

    Shapes: (...) → (...).
    Source: A. Howard et al., "Searching for MobileNetV3", ICCV 2019.

    >>> nnx.activations.hard_silu(np.asarray([-4.0, 0.0, 1.5, 4.0]))
    array([-0.   ,  0.   ,  1.125,  4.   ])
    """
    return namespace(x).maximum(x, -FAR) * hard_sigmoid(x)


def _tanh_argument(x: Array) -> Array:
    return _TANH_SCALE * (x + _TANH_CUBIC * (x * x * x))


def _gelu_slope(xp: Any, x: Array, y: Array, approximate: bool = False) -> Array:
    x = _clip(xp, x, _FLAT)
    if approximate:
        s = sigmoid(2.0 * _tanh_argument(x))
        inner = (2.0 * _TANH_SCALE) * (1.0 + (3.0 * _TANH_CUBIC) * (x * x))
        return s + x * (s * (1.0 - s) * inner)
    density = (1.0 / math.sqrt(2.0 * math.pi)) * xp.exp(-0.5 * (x * x))
    return 0.5 * _erfc(-math.sqrt(0.5) * x) + x * density


@registry.register(
    class_name="GELU",
    checks={"approximate": truth},
    formula=r"z \, \Phi(z) = \tfrac{1}{2} z (1 + \operatorname{erf}(z / \sqrt{2}))",
    derivative=r"\Phi(z) + z \, \varphi(z)",
    range="[-0.16997120747990363, ∞)",
    limits=(0.0, float("inf")),
    slopes=(0.0, 1.0),
    use="Transformers.",
)
@fused(derivative=_gelu_slope)
def gelu(x: Array, *, approximate: bool = False) -> Array:
    """x·Φ(x), with Φ the distribution function of the standard normal distribution.

    ``approximate=True`` takes Φ(x) ≈ (1 + tanh(√(2/π)(x + 0.044715 x³))) / 2 instead (error below 5e−4).
    Raises :class:`nnx.errors.OptionError` where it is neither True nor False.
    Shapes: (...) → (...).
    Source: D. Hendrycks, K. Gimpel, "Gaussian error linear units", arXiv 1606.08415, 2016.

    >>> nnx.to_numpy(nnx.activations.gelu(np.asarray([-1.0, 0.0, 1.0]))).round(8)
    array([-0.15865525,  0.        ,  0.84134475])
    """
    truth("gelu", "approximate", approximate)
    xp = namespace(x)
    inner = _clip(xp, x, _FLAT)
    if approximate:
        return xp.maximum(x, -_FLAT) * sigmoid(2.0 * _tanh_argument(inner))  # (1 + tanh u)/2 = σ(2u)
    return (0.5 * xp.maximum(x, -_FLAT)) * _erfc(-math.sqrt(0.5) * inner)


def _mish_slope(xp: Any, x: Array, y: Array) -> Array:
    t = xp.tanh(softplus(x))
    return t + _clip(xp, x, FAR) * (sigmoid(x) * (1.0 - t * t))


@registry.register(
    formula=r"z \tanh(\ln(1 + e^z))",
    derivative=r"t + z \, \sigma(z) (1 - t^2), \; t = \tanh(\ln(1 + e^z))",
    range="[-0.30884341301725043, ∞)",
    limits=(0.0, float("inf")),
    slopes=(0.0, 1.0),
    use="Deep networks for images; close to silu.",
)
@fused(derivative=_mish_slope)
def mish(x: Array) -> Array:
    """x·tanh(softplus(x)). At −∞ it is 0, its limit.

    Shapes: (...) → (...).
    Source: D. Misra, "Mish: a self regularized non-monotonic activation function", BMVC 2020.

    >>> nnx.activations.mish(np.asarray([-1.0, 0.0, 1.0]))
    array([-0.30340146,  0.        ,  0.86509839])
    """
    xp = namespace(x)
    return xp.maximum(x, -FAR) * xp.tanh(softplus(x))


def _halves(x: Array, axis: int) -> tuple[Array, Array]:
    n = x.shape[axis]
    if n % 2:
        raise ShapeError(
            f"glu splits axis {axis} into halves: its length must be even, got shape {tuple(x.shape)}."
        )
    before = (slice(None),) * (axis % x.ndim)
    return x[(*before, slice(0, n // 2))], x[(*before, slice(n // 2, n))]


def _glu_back(xp: Any, g: Array, needs: Any, y: Array, x: Array, axis: int = -1) -> tuple[Array]:
    a, b = _halves(x, axis)
    s = sigmoid(b)
    return (xp.concat([g * s, g * a * (s * (1.0 - s))], axis=axis),)


def _half_shape(shape: tuple[int, ...], axis: int = -1) -> tuple[int, ...]:
    axis %= len(shape)
    return (*shape[:axis], shape[axis] // 2, *shape[axis + 1 :])


@registry.register(
    class_name="GLU",
    checks={"axis": AXIS},
    formula=r"a \, \sigma(b), \; z = (a, b)",
    derivative=r"(\sigma(b), \; a \, \sigma(b) (1 - \sigma(b)))",
    range="(-∞, ∞)",
    shape=_half_shape,
    use="One half of the features opens and closes the other half.",
)
@fused(reverse=_glu_back, samples=True)
def glu(x: Array, *, axis: int = -1) -> Array:
    """a·sigmoid(b) where a and b are the halves of ``x`` along ``axis``: that axis becomes half as long.

    Raises :class:`nnx.errors.ShapeError` where its length is odd, :class:`nnx.errors.AxisError` for an
    ``axis`` that ``x`` does not have.
    Shapes: (..., 2n) → (..., n).
    Source: Y. Dauphin et al., "Language modeling with gated convolutional networks", ICML 2017.

    >>> nnx.activations.glu(np.asarray([[3.0, 4.0, 0.0, 0.0]]))
    array([[1.5, 2. ]])
    """
    need_axis("Inputs of glu", x, axis)
    a, b = _halves(x, axis)
    return a * sigmoid(b)
