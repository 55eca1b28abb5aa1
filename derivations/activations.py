# %% [markdown]
# # Activation functions: derivatives and stable forms
#
# ## Claim
#
# For every activation that nnx has registered, with its default options and in float32:
#
# 1. values and derivatives for $|z| \le 10^4$ differ from the printed formula, computed with 80 decimal
#    digits, by at most $6u$ and $24u$, where $u = 2^{-24}$ is half a unit in the last place of 1 (for results
#    above 1 the error is relative to them);
# 2. nothing overflows but the exponential function itself;
# 3. at $\pm\infty$ value and slope are the limits, and value and slope of NaN are NaN (but the slope of
#    `linear`, which is 1 everywhere);
# 4. all values lie in the stated range.
#
# The formulas as printed break this in float32: $(e^z - e^{-z})/(e^z + e^{-z})$ is $\infty/\infty$ from
# $|z| = 88.7$ on, and $\ln(1 + e^z)$ is infinite right of 88.7 and 0 left of $-17$. (With Python's
# `math.exp`, as in the lectures' plots, even $1/(1 + e^{-z})$ ends in an `OverflowError` left of $-709$.)
#
# ## Derivation
#
# | name | $a = g(z)$ | $g'(z)$ | computed as |
# |---|---|---|---|
# | `sigmoid` | $1/(1 + e^{-z})$ | $a(1 - a)$ | $\max(t, [z > 0])/(1 + t)$, $t = e^{-\lvert z \rvert}$ |
# | `tanh` | $(e^z - e^{-z})/(e^z + e^{-z})$ | $1 - a^2$ | the library's |
# | `softsign` | $z/(1 + \lvert z \rvert)$ | $1/(1 + \lvert z \rvert)^2$ | $z$ cut at $\pm 10^{30}$ |
# | `hard_sigmoid` | $\max(0, \min(1, z/6 + 1/2))$ | $1/6$ for $\lvert z \rvert < 3$ | |
# | `hard_tanh` | $\max(-1, \min(1, z))$ | $1$ for $\lvert z \rvert < 1$ | |
# | `sparse_sigmoid` | $\max(0, \min(1, (z + 1)/2))$ | $1/2$ for $\lvert z \rvert < 1$ | |
# | `exponential` | $e^z$ | $a$ | |
# | `softplus` | $\ln(1 + e^z)$ | $\sigma(z) = 1 - e^{-a}$ | $\max(z, 0) + \ln(1 + e^{-\lvert z \rvert})$ |
# | `log_sigmoid` | $-\ln(1 + e^{-z})$ | $1 - e^{a}$ | $\min(z, 0) - \ln(1 + e^{-\lvert z \rvert})$ |
# | `elu` | $z$; $e^z - 1$ for $z \le 0$ | $1$; $e^z = a + 1$ | $\max(z, 0) + \mathrm{expm1}(\min(z, 0))$ |
# | `celu` | $z$; $e^z - 1$ for $z \le 0$ | $1$; $e^z = a + 1$ | the same |
# | `selu` | $\lambda z$; $\lambda\alpha(e^z - 1)$ for $z \le 0$ | $\lambda$; $\lambda\alpha e^z$ | the same |
# | `silu` (swish) | $z\,\sigma(z)$ | $\sigma(z) + a(1 - \sigma(z))$ | $\max(z, -10^{30})\,\sigma(z)$ |
# | `hard_silu` | $z \max(0, \min(1, z/6 + 1/2))$ | $z/3 + 1/2$ for $\lvert z \rvert < 3$; 0; 1 | |
# | `mish` | $z\,t$, $t = \tanh \ln(1 + e^z)$ | $t + z\,\sigma(z)(1 - t^2)$ | `softplus` as above |
# | `gelu` | $z\,\Phi(z)$ | $\Phi(z) + z\,\varphi(z)$ | $\Phi(z) = \operatorname{erfc}(-z/\sqrt 2)/2$ |
# | `linear` | $z$ | $1$ | |
# | `relu` | $\max(z, 0)$ | $1$ for $z > 0$ | |
# | `leaky_relu` | $z$; $0.2\,z$ for $z \le 0$ | $1$; $0.2$ | $\max(z, 0.2\,z)$ |
# | `relu6` | $\min(\max(z, 0), 6)$ | $1$ for $0 < z < 6$ | |
# | `sparse_plus` | $(z + 1)^2/4$ for $\lvert z \rvert < 1$; 0; $z$ | $\max(0, \min(1, (z + 1)/2))$ | |
# | `squareplus` | $(z + \sqrt{z^2 + 4})/2$ | $(1 + z/\sqrt{z^2 + 4})/2$ | see below |
# | `tanh_shrink` | $z - \tanh z$ | $\tanh^2 z$ | see below |
# | `soft_shrink` | $\max(z - \frac12, 0) + \min(z + \frac12, 0)$ | $1$ for $\lvert z \rvert > \frac12$ | |
# | `hard_shrink` | $z$ for $\lvert z \rvert > \frac12$, else 0 | $1$ for $\lvert z \rvert > \frac12$ | |
# | `threshold` | $z$ for $z > t$, else $c$ | $1$ for $z > t$ | |
# | `softmax` | $e^{z_i}/\sum_k e^{z_k}$ | $a_i([i = j] - a_j)$ | $z - \max z$ first |
# | `log_softmax` | $z_i - \ln \sum_k e^{z_k}$ | $[i = j] - e^{a_j}$ | $z - \max z$ first |
# | `sparsemax` | $\max(z_i - \tau, 0)$ | $[i = j] - 1/k$ on the support of $k$ | $z - \max z$ first |
# | `glu` | $u\,\sigma(v)$, $z = (u, v)$ | $(\sigma(v), u\,\sigma(v)(1 - \sigma(v)))$ | `sigmoid` as above |
#
# `gelu(approximate=True)` has $\Phi(z) \approx \tfrac12 (1 + \tanh(\sqrt{2/\pi}\,(z + 0.044715\,z^3)))$.
# In `sparsemax` $\tau$ is such that $\sum_i a_i = 1$. Where a function or slope is given in two or three
# pieces, they are those to the right, to the left (and outside).
#
# **The sigmoid.** Differentiate $a = (1 + e^{-z})^{-1}$:
# $a' = e^{-z}(1 + e^{-z})^{-2} = a \cdot \frac{e^{-z}}{1 + e^{-z}} = a(1 - a)$. Multiply numerator and
# denominator by $e^z$ where $z < 0$: $a = e^z/(1 + e^z)$. In both cases the exponential is
# $t = e^{-|z|} \le 1$, which cannot overflow; the numerator is 1 to the right and $t$ to the left.
#
# **tanh and the sigmoid** (the exercise of the Czech slides). With $e^{z/2}$ as a common factor,
#
# $$ \frac{1 + \tanh(z/2)}{2}
#    = \frac12 \cdot \frac{(e^{z/2} + e^{-z/2}) + (e^{z/2} - e^{-z/2})}{e^{z/2} + e^{-z/2}}
#    = \frac{e^{z/2}}{e^{z/2} + e^{-z/2}} = \frac{1}{1 + e^{-z}} = \sigma(z). $$
#
# So $\tanh z = 2\sigma(2z) - 1$ and $\tanh' z = 4\sigma'(2z) = 4\sigma(2z)(1 - \sigma(2z)) = 1 - \tanh^2 z$.
#
# **softplus.** $\ln(1 + e^z) = \ln(e^z(e^{-z} + 1)) = z + \ln(1 + e^{-z})$: take the first form left of 0,
# the second right of it. `log1p` keeps the digits of a small $e^{-|z|}$ that $1 + e^{-|z|}$ would round away.
# Its slope from the value: $1 - e^{-a} = 1 - 1/(1 + e^z) = \sigma(z)$, with `expm1` where $a$ is small.
#
# **elu and its kin.** The exponential is taken of $\min(z, 0)$, so the branch that is not chosen cannot
# overflow (it would poison the gradient: $0 \cdot \infty$). `expm1` keeps the digits of $e^z - 1$ near 0.
#
# **silu, mish, gelu.** At $-\infty$ the product is $-\infty \cdot 0$, NaN, though the limit is 0. The first
# factor is cut at a number so far out that the second is 0 there. The slopes follow from the product rule and
# $\sigma' = \sigma(1 - \sigma)$, $(\tanh \operatorname{softplus} z)' = (1 - t^2)\,\sigma(z)$,
# $\Phi' = \varphi$. Left of 0, $(1 + \operatorname{erf}(z/\sqrt 2))/2$ subtracts nearly equal numbers; the
# complement $\operatorname{erfc} x = 1 - \operatorname{erf} x$ is computed without that.
#
# **squareplus.** Left of 0, $z + \sqrt{z^2 + b}$ subtracts nearly equal numbers. Multiply by the conjugate:
# $\frac{z + \sqrt{z^2 + b}}{2} = \frac{b/2}{\sqrt{z^2 + b} - z}$, and for $z > 0$ it is
# $z + \frac{b/2}{\sqrt{z^2 + b} + z}$. Both are one formula with $|z|$. The slope
# $(1 + z/\sqrt{z^2 + b})/2 = a/\sqrt{z^2 + b}$ is taken in the second form there.
#
# **tanh_shrink.** Near 0, $z - \tanh z = z^3/3 - \dots$ subtracts nearly equal numbers. Lambert's continued
# fraction is $\tanh z = \frac{z}{1 + c}$ with
#
# $$ c = \cfrac{z^2}{3 + \cfrac{z^2}{5 + \cfrac{z^2}{7 + \cdots}}}, \qquad
#    z - \tanh z = \frac{z\,c}{1 + c}. $$
#
# All its terms are positive, so nothing cancels. For $|z| \le 1$ nine of them ($3, 5, \dots, 19$) give all
# digits of float64, five those of float32; beyond, the difference itself loses no more than two bits.
#
# **Maxout** is a layer, [`nnx.layers.Maxout`][nnx.layers.Maxout], since it has weights of its own:
# $a_j = \max_k (x \Theta_k + \beta_k)_j$, the largest of several affine functions. With
# $\delta = \partial J/\partial a_j$, the largest piece gets the gradients $x^\top \delta$ and $\delta$; the
# others get 0. It is convex in $x$, takes any value and does not saturate; relu is the case of two pieces of
# which one is 0.
#
# **Kinks.** Where the slope jumps nnx takes one of the two sides (for `relu` the left, 0, as everyone does);
# the docstring of each function says which. softmax and log_softmax: [softmax with
# cross-entropy](softmax_crossentropy.md).
#
# ## The code
#
# <!-- source: nnx.activations.bounded:sigmoid -->
#
# <!-- source: nnx.activations.exponentials:softplus -->
#
# <!-- source: nnx.activations.gates:silu -->
#
# <!-- source: nnx.activations.gates:_silu_slope -->
#
# <!-- source: nnx.activations.rectifiers:squareplus -->
#
# <!-- source: nnx.activations.shrinkage:_fraction -->
#
# <!-- source: nnx.activations.shrinkage:tanh_shrink -->
#
# ## A run
#
# Each formula of the table, as printed, in plain NumPy. NumPy applies them to arrays of `Decimal` too, so the
# same line serves twice: with 80 digits and no overflow as the truth, and in float32 to see what the printed
# form does there.

# %%
import math
from decimal import Decimal, getcontext

import numpy as np

import nnx

getcontext().prec = 80

each_ln = np.frompyfunc(Decimal.ln, 1, 1)
each_erfc = np.frompyfunc(math.erfc, 1, 1)  # all digits of float64, also far to the left


def ln(x):
    return each_ln(x) if x.dtype == object else np.log(x)


def in_arithmetic_of(z, numbers):
    """float64 numbers in the arithmetic of z, Decimal or float32."""
    return (
        np.asarray([Decimal(v) for v in numbers], dtype=object)
        if z.dtype == object
        else numbers.astype(z.dtype)
    )


def upper(z):
    """Φ(z), the distribution function of the standard normal distribution."""
    return in_arithmetic_of(z, 0.5 * each_erfc(-z.astype(np.float64) / math.sqrt(2.0)).astype(np.float64))


def density(z):
    """φ(z), its density."""
    return in_arithmetic_of(z, np.exp(-0.5 * z.astype(np.float64) ** 2) / math.sqrt(2.0 * math.pi))


def constant(z, digits):
    """A number in the arithmetic of z."""
    return Decimal(digits) if z.dtype == object else z.dtype.type(digits)


def sigma(z):
    return 1 / (1 + np.exp(-z))


def tanh(z):
    return (np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z))


def softplus(z):
    return ln(1 + np.exp(z))


def clipped(z, low, high):
    return np.maximum(low, np.minimum(high, z))


def choose(condition, yes, no):
    return np.where(np.asarray(condition, dtype=bool), yes, no)


SELU = "1.0507009873554804934193349852946", "1.6732632423543772848170429916717"  # λ, α


def selu(z):
    scale, alpha = (constant(z, digits) for digits in SELU)
    return choose(z > 0, scale * z, scale * alpha * (np.exp(z) - 1))


def selu_slope(z):
    scale, alpha = (constant(z, digits) for digits in SELU)
    return choose(z > 0, scale, scale * alpha * np.exp(z))


def mish_slope(z):
    t = tanh(softplus(z))
    return t + z * sigma(z) * (1 - t * t)


def root(z):
    return np.sqrt(z * z + 4)


# %% [markdown]
# Function and slope of each, and options where there is no default:

# %%
FORMULAS = {
    "sigmoid": (sigma, lambda z: sigma(z) * (1 - sigma(z))),
    "tanh": (tanh, lambda z: 1 - tanh(z) ** 2),
    "softsign": (lambda z: z / (1 + abs(z)), lambda z: 1 / (1 + abs(z)) ** 2),
    "hard_sigmoid": (lambda z: clipped((z + 3) / 6, 0, 1), lambda z: (abs(z) < 3) * constant(z, 1) / 6),
    "hard_tanh": (lambda z: clipped(z, -1, 1), lambda z: 1 * (abs(z) < 1)),
    "sparse_sigmoid": (lambda z: clipped((z + 1) / 2, 0, 1), lambda z: (abs(z) < 1) * constant(z, 1) / 2),
    "exponential": (np.exp, np.exp),
    "softplus": (softplus, sigma),
    "log_sigmoid": (lambda z: -softplus(-z), lambda z: 1 - sigma(z)),
    "elu": (lambda z: choose(z > 0, z, np.exp(z) - 1), lambda z: choose(z > 0, 1, np.exp(z))),
    "celu": (lambda z: choose(z > 0, z, np.exp(z) - 1), lambda z: choose(z > 0, 1, np.exp(z))),
    "selu": (selu, selu_slope),
    "silu": (lambda z: z * sigma(z), lambda z: sigma(z) + z * sigma(z) * (1 - sigma(z))),
    "hard_silu": (
        lambda z: z * clipped((z + 3) / 6, 0, 1),
        lambda z: choose(abs(z) < 3, (2 * z + 3) / 6, 1 * (z > 0)),
    ),
    "mish": (lambda z: z * tanh(softplus(z)), mish_slope),
    "gelu": (lambda z: z * upper(z), lambda z: upper(z) + z * density(z)),
    "linear": (lambda z: z, lambda z: 1 + 0 * z),
    "relu": (lambda z: np.maximum(z, 0), lambda z: 1 * (z > 0)),
    "leaky_relu": (lambda z: choose(z > 0, z, z / 5), lambda z: choose(z > 0, 1, constant(z, 1) / 5)),
    "relu6": (lambda z: clipped(z, 0, 6), lambda z: 1 * ((z > 0) & (z < 6))),
    "sparse_plus": (
        lambda z: choose(abs(z) < 1, (z + 1) ** 2 / 4, np.maximum(z, 0)),
        lambda z: clipped((z + 1) / 2, 0, 1),
    ),
    "squareplus": (lambda z: (z + root(z)) / 2, lambda z: (1 + z / root(z)) / 2),
    "tanh_shrink": (lambda z: z - tanh(z), lambda z: tanh(z) ** 2),
    "soft_shrink": (
        lambda z: np.maximum((2 * z - 1) / 2, 0) + np.minimum((2 * z + 1) / 2, 0),
        lambda z: 1 * (2 * abs(z) > 1),
    ),
    "hard_shrink": (lambda z: choose(2 * abs(z) > 1, z, 0), lambda z: 1 * (2 * abs(z) > 1)),
    "threshold": (lambda z: choose(z > 1, z, -2), lambda z: 1 * (z > 1)),
}
OPTIONS = {"threshold": {"threshold": 1.0, "default_value": -2.0}}
VECTORS = {"softmax", "log_softmax", "sparsemax", "glu"}  # functions of whole rows: below

z = np.concatenate([s * np.geomspace(1e-6, 1e4, 101) for s in (-1.0, 1.0)] + [np.linspace(-12.0, 12.0, 97)])
z = np.unique(z).astype(np.float32)
exact_z = np.asarray([Decimal(float(v)) for v in z], dtype=object)
decimals = np.frompyfunc(lambda v: v if isinstance(v, Decimal) else Decimal(int(v)), 1, 1)
U = 2.0**-24


def distance(found, true):
    """The largest error in units of u, relative to max(1, |true|); ∞ is right beyond float32's range."""
    errors = []
    for f, t in zip(found.tolist(), true.tolist(), strict=True):
        overflows = abs(t) > Decimal(float(np.finfo(np.float32).max))
        right = overflows and math.isinf(f)
        errors.append(0.0 if right else float(abs(Decimal(f) - t) / max(Decimal(1), abs(t))) / U)
    return max(errors)


# %% [markdown]
# The loop over the registry. The last column counts the points where the printed formula in float32 is not
# finite, or off by more than 1 %, though the true value is an ordinary float32 number.

# %%
measured = {}
ones = np.ones_like(z)
print(f"{'':15} error of g   error of g'   lost as printed (of {len(z)})")
with np.errstate(all="ignore"):
    for entry in nnx.activations.registry:
        if entry.name in VECTORS:
            continue
        value, slope = FORMULAS[entry.name]
        g = entry.create(**OPTIONS.get(entry.name, {}))
        a, da = nnx.jvp(g, (z,), (ones,))
        true, printed = decimals(value(exact_z)), np.asarray(value(z), dtype=np.float64)
        wrong = [
            not math.isfinite(p) or abs(Decimal(float(p)) - t) > abs(t) / 100
            for p, t in zip(printed, true, strict=True)
            if t == 0 or Decimal("1e-37") < abs(t) < Decimal("1e38")
        ]
        of_value, of_slope = distance(a, true), distance(da, decimals(slope(exact_z)))
        measured[entry.name] = of_value, of_slope
        print(f"{entry.name:15} {of_value:8.1f} u {of_slope:10.1f} u {sum(wrong):12}")

# %% [markdown]
# ## The check
#
# Claim 1. NumPy's exponential function in float32 may be off by 2.5 units in the last place, which are $5u$,
# and one more rounding follows. The slope of `mish` needs the 24: $t$ is off by about $u$ near 1, so
# $1 - t^2$ by $2u$, and that is multiplied by $z$, up to about 10 where it matters, and by $\sigma$; the sum
# with $t$ adds the rest.

# %%
assert {entry.name for entry in nnx.activations.registry} == FORMULAS.keys() | VECTORS  # none is left out
for name, (of_value, of_slope) in measured.items():
    assert of_value <= 6.0 and of_slope <= 24.0, name

# %% [markdown]
# Claims 2 to 4, with what the registry declares about limits and ranges. (In floating point an open end of a
# range can be reached: $\sigma(20) = 1$ in float32.)

# %%
ends = np.asarray([-np.inf, np.inf, np.nan], dtype=np.float32)
for entry in nnx.activations.registry:
    traits = entry.traits
    if entry.name in VECTORS or traits.limits is None:
        continue
    g = nnx.activations.get(entry.name)
    with np.errstate(over="ignore"):
        a, da = nnx.jvp(g, (ends,), (np.ones_like(ends),))
        inside = g(z)
    assert np.allclose(a[:2], traits.limits, rtol=4 * U, atol=0), entry.name  # λ of selu is no float32 number
    assert np.allclose(da[:2], traits.slopes, rtol=4 * U, atol=0), entry.name
    assert np.isnan(a[2]) and (np.isnan(da[2]) or entry.name == "linear"), entry.name
    assert entry.name == "exponential" or np.isfinite(inside).all(), entry.name
    low, high = (float(end.replace("∞", "inf").replace("−", "-")) for end in traits.range[1:-1].split(", "))
    assert low - 1e-6 <= inside.min() and inside.max() <= high + 1e-6, entry.name
print("limits, slopes, NaN and ranges are as declared")

# %% [markdown]
# Functions of whole rows, in float32 with logits up to $10^4$. The truth is again the printed formula with 80
# digits.

# %%
rng = np.random.default_rng(0)
for scale in (1.0, 100.0, 1e4):
    rows = rng.uniform(-scale, scale, (20, 6)).astype(np.float32)
    exact = np.asarray([[Decimal(float(v)) for v in row] for row in rows], dtype=object)
    e = np.exp(exact)
    shares = e / e.sum(axis=1, keepdims=True)
    logs = exact - ln(e.sum(axis=1, keepdims=True))
    gated = exact[:, :3] * sigma(exact[:, 3:])
    for name, true in {"softmax": shares, "log_softmax": logs, "glu": gated}.items():
        worst = distance(nnx.activations.get(name)(rows).reshape(-1), true.reshape(-1))
        print(f"{name:12} logits up to {scale:7.0f}: {worst:.1f} u")
        assert worst <= 6.0, (name, scale)
    p = nnx.activations.sparsemax(rows)
    assert (p >= 0).all() and np.allclose(p.sum(axis=1), 1.0, rtol=0, atol=4 * U * max(1.0, scale))
    for row, share in zip(
        rows, p, strict=True
    ):  # optimal: z − a is one number τ on the support, z ≤ τ elsewhere
        tau, rounding = (row - share)[share > 0], 4 * U * max(1.0, scale)
        assert np.ptp(tau) <= rounding and (row[share == 0] <= tau.max() + rounding).all()

z0 = rng.normal(size=6)
a0 = nnx.activations.softmax(z0)
support = nnx.activations.sparsemax(z0) > 0
jacobians = {
    "softmax": np.diag(a0) - np.outer(a0, a0),
    "log_softmax": np.eye(6) - a0,
    "sparsemax": np.diag(support * 1.0) - np.outer(support, support) / support.sum(),
    "glu": np.hstack([np.diag(sigma(z0[3:])), np.diag(z0[:3] * sigma(z0[3:]) * (1 - sigma(z0[3:])))]),
}
for name, true in jacobians.items():
    assert np.allclose(nnx.jacobian(nnx.activations.get(name))(z0), true, rtol=0, atol=1e-15), name

t = np.linspace(-20.0, 20.0, 401)
assert np.allclose(nnx.activations.sigmoid(t), (1.0 + np.tanh(t / 2.0)) / 2.0, rtol=0, atol=2.3e-16)

# %% [markdown]
# ## When it fails
#
# - **Small errors, but not small relative errors.** Near 1 float32 has steps of $u$, so $1 - a^2$ has none of
#   the digits of $\tanh' z$ from $|z| \approx 9$ on, where it falls below $10^{-7}$, and soon becomes 0. So
#   has $a(1 - a)$ of $\sigma' z$ to the right. nnx looks for such small slopes and computes these alone once
#   more from $z$, with an exponential. `log_softmax` has no digit where a probability is nearer to 1 than
#   $u$. `tanh_shrink` as printed has no digit for $|z| < 3 \cdot 10^{-4}$; the continued fraction has all.

# %%
small = np.asarray([1e-2, 1e-3, 1e-4], dtype=np.float32)
computed = nnx.activations.tanh_shrink(small)
print("tanh_shrink:", computed, " z³/3:", small**3 / 3, " as printed:", small - np.tanh(small))
# z³/3 is right to z² (relative) here, and float32 to a few u
assert np.allclose(computed[1:], small[1:] ** 3 / 3, rtol=2e-6, atol=0)
assert small[2] - np.tanh(small[2]) == 0.0
far = np.asarray([12.0], dtype=np.float32)
slope_there = nnx.jvp(nnx.activations.tanh, (far,), (np.ones_like(far),))[1]
print("tanh' at 12:", slope_there, " true:", 1 / np.cosh(12.0) ** 2, " as printed:", 1 - np.tanh(far) ** 2)
assert np.isclose(slope_there[0], 1 / np.cosh(12.0) ** 2, rtol=1e-6, atol=0.0)
assert 1 - np.tanh(far[0]) ** 2 == 0.0

# %% [markdown]
# - **Saturation.** A slope that is 0 stops learning, exactly computed or not: [vanishing
#   gradients](../tutorials/vanishing_gradients.md).
# - **Dead neurons.** A relu neuron whose $z$ is negative for all samples has gradient 0 and stays as it is;
#   `leaky_relu`, `elu` and the smooth ones have a slope there.
# - **Second derivatives** of piecewise functions are 0 almost everywhere: Newton's method sees no curvature
#   in them.
# - **float16** has 11 bits and ends at 65 504; this page says nothing about it.
#
# ## References
#
# - Lectures: "11. Wielowarstwowe sieci neuronowe w praktyce", section 11.1; "Jak zefektivnit učení NN",
#   *Aktivační funkce*.
# - X. Glorot, A. Bordes, Y. Bengio, "Deep sparse rectifier neural networks", AISTATS 2011, PMLR 15, 315–323.
# - D.-A. Clevert, T. Unterthiner, S. Hochreiter, "Fast and accurate deep network learning by exponential
#   linear units", ICLR 2016, arXiv:1511.07289.
# - G. Klambauer et al., "Self-normalizing neural networks", NIPS 2017, 971–980.
# - D. Hendrycks, K. Gimpel, "Gaussian error linear units", arXiv:1606.08415 (2016).
# - P. Ramachandran, B. Zoph, Q. Le, "Searching for activation functions", arXiv:1710.05941 (2017).
# - A. Martins, R. Astudillo, "From softmax to sparsemax", ICML 2016, PMLR 48, 1614–1623.
# - N. J. Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., SIAM 2002, chapter 1
#   (cancellation, `expm1`, `log1p`).
