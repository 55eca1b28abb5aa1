# %% [markdown]
# # Batch normalization and its backward pass
#
# Each feature of a batch is brought to mean 0 and variance 1. The mean and the variance depend on all
# samples, so the gradient of one sample holds a part of all others.
#
# ## Claim
#
# For one feature with the values $x_1, \dots, x_m$ of a batch,
#
# $$ \mu = \frac1m \sum_i x_i, \quad \sigma^2 = \frac1m \sum_i (x_i - \mu)^2, \quad
#    \hat x_i = \frac{x_i - \mu}{\sqrt{\sigma^2 + \varepsilon}}, \quad y_i = \gamma\, \hat x_i + \beta, $$
#
# and with $g_i = \partial J/\partial y_i$, $s = \sqrt{\sigma^2 + \varepsilon}$,
#
# $$ \frac{\partial J}{\partial \beta} = \sum_i g_i, \qquad
#    \frac{\partial J}{\partial \gamma} = \sum_i g_i\, \hat x_i, \qquad
#    \frac{\partial J}{\partial x_i} = \frac{\gamma}{s}
#    \Bigl( g_i - \frac1m \frac{\partial J}{\partial \beta}
#         - \hat x_i\, \frac1m \frac{\partial J}{\partial \gamma} \Bigr). $$
#
# In images the mean is over all places as well: $m$ is then samples × height × width.
#
# ## Derivation
#
# $\beta$ and $\gamma$ are read off $y_i = \gamma \hat x_i + \beta$. For $x$, write $c_i = x_i - \mu$, so
# $\hat x_i = c_i / s$, and let $h_i = \gamma g_i = \partial J/\partial \hat x_i$.
#
# $s$ depends on all $c$: $s^2 = \frac1m \sum_j c_j^2 + \varepsilon$, hence
# $\dfrac{\partial s}{\partial c_i} = \dfrac{c_i}{m\, s} = \dfrac{\hat x_i}{m}$. So
#
# $$ \frac{\partial J}{\partial c_i} = \frac{h_i}{s} + \sum_j h_j\, c_j \cdot \Bigl(-\frac{1}{s^2}\Bigr)
#    \frac{\hat x_i}{m} = \frac1s \Bigl( h_i - \hat x_i\, \frac1m \sum_j h_j \hat x_j \Bigr). $$
#
# Last, $c_j = x_j - \frac1m \sum_i x_i$ takes the mean away, and taking the mean away is a symmetric map: the
# gradient by $x$ is that by $c$ minus its own mean. $\sum_i \hat x_i = 0$, so the second term has mean 0 and
# only $\frac1m \sum_j h_j / s$ goes. With $h = \gamma g$ this is the claim. $\square$
#
# Three things follow.
#
# - $\sum_i \partial J/\partial x_i = 0$: a shift of all samples changes nothing. A bias before batch
#   normalization has no effect, and is left out (`use_bias=False`).
# - For $\varepsilon = 0$, $\sum_i \hat x_i\, \partial J/\partial x_i = 0$: a factor changes nothing. Weights
#   before it may grow without changing the output, and the larger they are, the smaller their gradient: with
#   $y(aw) = y(w)$, $\nabla_w J(aw) = \frac1a \nabla_w J(w)$.
# - The derivative by $x_i$ of $y_j$ is not 0 for $j \ne i$. Rows of a Jacobian "of each sample" do not exist,
#   and Levenberg–Marquardt refuses the layer in training.
#
# **In prediction** there is no batch. The layer keeps running averages, $\mu \leftarrow \rho \mu + (1 - \rho)
# \mu_B$, and is then an affine map of every feature by itself: $y = \frac{\gamma}{s} x + \bigl(\beta -
# \frac{\gamma}{s} \mu\bigr)$.
#
# ## The code
#
# <!-- source: nnx.layers.normalization:BatchNormalization.forward -->
#
# ## A run

# %%
import numpy as np

import nnx

rng = np.random.default_rng(0)
m, epsilon = 6, 1e-3
x, g = rng.normal(3.0, 2.0, size=(m, 2)), rng.normal(size=(m, 2))
gamma, beta = np.array([1.5, 0.5]), np.array([0.1, -0.2])


def backward(x, g, gamma):
    """The gradients by x, γ and β, as derived."""
    centred = x - x.mean(axis=0)
    s = np.sqrt((centred**2).mean(axis=0) + epsilon)
    normal = centred / s
    of_beta, of_gamma = g.sum(axis=0), (g * normal).sum(axis=0)
    return gamma / s * (g - of_beta / m - normal * of_gamma / m), of_gamma, of_beta


layer = nnx.layers.BatchNormalization(epsilon=epsilon)
training = nnx.layers.Context(training=True)
still = {"moving_mean": np.zeros(2), "moving_variance": np.ones(2)}


def J(x, gamma, beta):
    y, _ = layer.forward({**still, "gamma": gamma, "beta": beta}, x, training)
    return np.sum(g * y)


found = nnx.grad(J, argnums=(0, 1, 2))(x, gamma, beta)
for name, mine, theirs in zip(("x", "gamma", "beta"), backward(x, g, gamma), found, strict=True):
    print(f"by {name}: largest difference {np.max(np.abs(mine - theirs)):.1e}")
print("sum of the gradient by x over the batch:", np.round(found[0].sum(axis=0), 15))

# %% [markdown]
# ## Why the variance is computed in two passes
#
# $\overline{x^2} - \bar x^2$ is the same number as $\overline{(x - \bar x)^2}$ and needs one pass. In float32
# it is useless where the mean is large beside the spread: both terms are rounded to seven digits, and their
# difference is what was rounded away.

# %%
far = (10_000.0 + 0.5 * np.arange(8)).astype("float32")
print(
    "exact 1.3125, two passes",
    np.mean((far - far.mean()) ** 2),
    ", one pass",
    np.mean(far * far) - np.mean(far) ** 2,
)

# %% [markdown]
# ## The check

# %%
for mine, theirs in zip(backward(x, g, gamma), found, strict=True):
    assert np.allclose(mine, theirs, rtol=0, atol=1e-13)  # sums of six numbers of size 1
assert np.allclose(found[0].sum(axis=0), 0.0, atol=1e-14)
nnx.check_derivatives(J, x, gamma, beta, order=2)
y, _ = layer.forward({**still, "gamma": np.ones(1), "beta": np.zeros(1)}, far[:, None], training)
assert abs(float(np.var(y)) - 1.3125 / (1.3125 + epsilon)) < 1e-5  # float32

# %% [markdown]
# ## When it fails
#
# - A batch of one sample has $\hat x = 0$: the output is $\beta$, and nothing is learned.
# - Small batches give noisy means; training and prediction then differ. Layer normalization, whose mean is
#   over the features of one sample, has no such trouble and is the same map in both.
# - After few steps the running averages still remember their start (mean 0, variance 1): with $\rho = 0.99$
#   its weight is $0.99^{100} = 0.37$ after 100 steps.
# - Frozen (`trainable=False`) the layer uses its running averages in training too, as in Keras.
#
# ## References
#
# - S. Ioffe, C. Szegedy, "Batch normalization: accelerating deep network training by reducing internal
#   covariate shift", ICML 2015, algorithms 1 and 2 and section 3.
# - J. L. Ba, J. R. Kiros, G. E. Hinton, "Layer normalization", 2016,
#   [arXiv:1607.06450](https://arxiv.org/abs/1607.06450).
# - T. F. Chan, G. H. Golub, R. J. LeVeque, "Algorithms for computing the sample variance", The American
#   Statistician 37 (1983) 242–247.
