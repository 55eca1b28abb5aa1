# %% [markdown]
# # Costs from maximum likelihood
#
# Half the mean of squares, binary cross-entropy and cross-entropy are not three inventions: each is the
# negative logarithm of a probability.
#
# ## Claim
#
# Let the output $\hat y = h(w, x)$ be the parameter of a distribution of the target $y$, and let the samples
# be independent. The $w$ that makes the observed targets most probable minimises the mean of
#
# | distribution of $y$ | output | cost of one sample | in nnx |
# |---|---|---|---|
# | normal, mean $\hat y$ | linear | $\tfrac12 (\hat y - y)^2$ | `"mse"`, twice this |
# | 1 with probability $\hat y$, else 0 | sigmoid | $-y \ln \hat y - (1 - y) \ln(1 - \hat y)$ | `"bce"` |
# | class $k$: probability $\hat y_k$ | softmax | $-\sum_k y_k \ln \hat y_k$ | `"categorical_crossentropy"` |
#
# and with each of these pairs the error of the output layer is the same:
#
# $$ \delta^{(L)} = \frac{\partial J}{\partial z^{(L)}} = \hat y - y . $$
#
# ## Derivation
#
# **Likelihood.** The probability (or density) of all targets is the product
# $\prod_i p(y^{(i)} \mid x^{(i)}, w)$. Its logarithm has its maximum at the same $w$ and is a sum, so we
# minimise
#
# $$ J(w) = -\frac1m \sum_{i=1}^m \ln p\bigl(y^{(i)} \mid x^{(i)}, w\bigr). $$
#
# **Normal.** $p(y) = (2\pi\sigma^2)^{-1/2} \exp(-(y - \hat y)^2 / (2\sigma^2))$, hence
#
# $$ -\ln p = \frac{1}{\sigma^2} \cdot \tfrac12 (\hat y - y)^2 + \tfrac12 \ln(2\pi\sigma^2). $$
#
# Neither the factor $1/\sigma^2$ nor the constant moves the minimum. What remains is the lectures'
# $J = \frac{1}{2m} \sum_i (h(x^{(i)}) - y^{(i)})^2$. Keras and nnx leave the ½ out: the cost and its gradient
# are twice as large, so the same path needs half the learning rate.
#
# **Two classes.** $p(y) = \hat y^{\,y} (1 - \hat y)^{1 - y}$ for $y \in \{0, 1\}$, and $-\ln p$ is binary
# cross-entropy.
#
# **Many classes.** With a one-hot row $y$, $p(y) = \prod_k \hat y_k^{\,y_k}$, and
# $-\ln p = -\sum_k y_k \ln \hat y_k$. For two classes with $\hat y = (1 - q, q)$ this is binary cross-entropy
# again.
#
# **The error of the output.** Linear: $\hat y = z$, so $\partial J/\partial z = \hat y - y$. Sigmoid: with
# $\hat y = \sigma(z)$ and $\sigma' = \hat y (1 - \hat y)$,
#
# $$ \frac{\partial J}{\partial z}
#    = \left( -\frac{y}{\hat y} + \frac{1 - y}{1 - \hat y} \right) \hat y (1 - \hat y)
#    = -y (1 - \hat y) + (1 - y) \hat y = \hat y - y. $$
#
# Softmax: see [softmax with cross-entropy](softmax_crossentropy.md). This is no accident: in all three the
# output is the mean of $y$, and $z$ is what multiplies $y$ in $\ln p$ (the *natural parameter* of the
# distribution).
#
# **What is learned.** At the minimum over all functions $h$, the output is the conditional mean of the
# target. For one output $c$ and random $y$, the derivative of $\mathbb{E}\,\tfrac12 (c - y)^2$ by $c$ is
# $c - \mathbb{E}\,y$; for binary cross-entropy the derivative is $(c - \mathbb{E}\,y)/(c(1 - c))$. Both
# vanish at $c = \mathbb{E}\,y$. For probabilities $c_k$ of many classes with $p_k = \mathbb{E}\,y_k$, use
# $\ln u \le u - 1$ (equality at $u = 1$ alone):
#
# $$ \sum_k p_k \ln \frac{c_k}{p_k} \le \sum_k p_k \Bigl( \frac{c_k}{p_k} - 1 \Bigr)
#    = \sum_k c_k - \sum_k p_k = 0, $$
#
# so $-\sum_k p_k \ln c_k$ is least for $c = p$. A classifier learns probabilities.
#
# **Why not squares for a classifier.** With a sigmoid and $\tfrac12(\hat y - y)^2$ the error is
# $(\hat y - y)\, \hat y (1 - \hat y)$. An output that is confidently wrong ($y = 1$, $\hat y \approx 0$) then
# has almost no gradient; with cross-entropy its gradient is almost 1.
#
# ## The code
#
# <!-- source: nnx.losses.regression:mean_squared_error -->
#
# <!-- source: nnx.losses.crossentropies:binary_crossentropy -->
#
# <!-- source: nnx.losses.crossentropies:categorical_crossentropy -->
#
# ## A run
#
# First the costs by the formulas, beside nnx:

# %%
import numpy as np

import nnx

rng = np.random.default_rng(0)


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


z = rng.normal(size=(6, 3))
numbers, bits, onehot = (
    rng.normal(size=(6, 3)),
    rng.integers(0, 2, (6, 3)) * 1.0,
    np.eye(3)[[0, 2, 1, 1, 0, 2]],
)

by_formula = {
    "mse": np.mean((z - numbers) ** 2),  # twice the negative log-likelihood, without its constant
    "bce": np.mean(-bits * np.log(sigmoid(z)) - (1 - bits) * np.log(1 - sigmoid(z))),
    "cce": np.mean(-np.sum(onehot * np.log(softmax(z)), axis=-1)),
}
by_nnx = {
    "mse": nnx.losses.mean_squared_error(numbers, z).mean(),
    "bce": nnx.losses.binary_crossentropy(bits, sigmoid(z)).mean(),
    "cce": nnx.losses.categorical_crossentropy(onehot, softmax(z)).mean(),
}
for name in by_formula:
    print(f"{name}: {by_formula[name]:.12f}  {by_nnx[name]:.12f}")

# %% [markdown]
# The same as densities, multiplied: the likelihood of the six samples.

# %%
sigma = 0.7
density = np.exp(-((numbers - z) ** 2) / (2 * sigma**2)) / np.sqrt(2 * np.pi * sigma**2)
constant = 0.5 * np.log(2 * np.pi * sigma**2)
print(-np.log(np.prod(density)) / 18, "=", 0.5 * by_formula["mse"] / sigma**2 + constant)

# %% [markdown]
# What is learned: one number $c$ for 1000 draws, found by [`nnx.minimize`][nnx.minimize]. It is the mean of
# the draws for squares and for cross-entropy.

# %%
draws = rng.exponential(size=1001)
coins = (rng.uniform(size=(1000, 1)) < 0.3) * 1.0


def best(loss):
    return nnx.minimize(loss, np.asarray([0.5]), method="bfgs").x[0]


mean = best(lambda c: np.mean(0.5 * (c - draws) ** 2))


def bce_of_logit(z):
    return np.mean(nnx.losses.binary_crossentropy(coins, z + 0.0 * coins, from_logits=True))


share = sigmoid(best(bce_of_logit))
print("squares:", mean, "mean:", draws.mean())
print("binary cross-entropy:", share, "share of ones:", coins.mean())

# %% [markdown]
# The gradient of a sigmoid neuron that should say 1, by $z$, for both costs:

# %%
one = np.asarray([[1.0]])
print("   z    squares    cross-entropy")
for at in (0.0, -4.0, -10.0):
    z_at = np.asarray([[at]])
    squares = nnx.grad(lambda z: np.sum(0.5 * (nnx.activations.sigmoid(z) - one) ** 2))(z_at)
    entropy = nnx.grad(lambda z: np.sum(nnx.losses.binary_crossentropy(one, z, from_logits=True)))(z_at)
    print(f"{at:5.0f} {squares[0, 0]:12.2e} {entropy[0, 0]:12.5f}")

# %% [markdown]
# ## The check
#
# Formulas and losses agree to rounding, and $\delta = \hat y - y$ for all three pairs.

# %%
for name in by_formula:  # a sum of six or eighteen numbers of size 1: a few units of 2.2e-16
    assert abs(by_formula[name] - by_nnx[name]) < 1e-14, name
assert abs(-np.log(np.prod(density)) / 18 - (0.5 * by_formula["mse"] / sigma**2 + constant)) < 1e-13

half_squares = nnx.grad(lambda z: 0.5 * np.sum((z - numbers) ** 2))(z)
bce = nnx.grad(lambda z: 3 * np.sum(nnx.losses.binary_crossentropy(bits, z, from_logits=True)))(
    z
)  # 3: it is a mean
cce = nnx.grad(lambda z: np.sum(nnx.losses.categorical_crossentropy(onehot, z, from_logits=True)))(z)
assert np.allclose(half_squares, z - numbers, rtol=0, atol=1e-14)
assert np.allclose(bce, sigmoid(z) - bits, rtol=0, atol=1e-14)
assert np.allclose(cce, softmax(z) - onehot, rtol=0, atol=1e-14)

# BFGS stops where the gradient is about 1e-5 or less (gtol of minimize): c is as near to the mean
assert abs(mean - draws.mean()) < 1e-4 and abs(share - coins.mean()) < 1e-4
assert abs(squares[0, 0]) < 1e-4 and abs(entropy[0, 0] + 1.0) < 1e-4  # the last row of the table, z = −10

# %% [markdown]
# ## When it fails
#
# - **Noise with heavy tails.** The normal distribution calls a large error next to impossible, so one wild
#   target moves the fit by $1/m$ of its error. `"mae"` (the median) and `"huber"` follow from other
#   distributions.
# - **Probabilities in place of logits.** Near 0 and 1 a probability has no digits left. Given probabilities,
#   nnx keeps them $10^{-7}$ away from 0 and 1, like Keras: the loss is at most $-\ln 10^{-7} = 16.1$, and
#   beyond that it has **no gradient**. Given logits (or in a model that ends in a sigmoid or a softmax, where
#   it takes them by itself) there is no such limit:

# %%
wrong = np.asarray([[40.0]])  # target 0
zero = np.asarray([[0.0]])
clipped = nnx.losses.binary_crossentropy(zero, sigmoid(wrong))[0]
exact = nnx.losses.binary_crossentropy(zero, wrong, from_logits=True)[0]
no_gradient = nnx.grad(lambda p: np.sum(nnx.losses.binary_crossentropy(zero, p)))(sigmoid(wrong))
print(f"from the probability {clipped:.3f} with gradient {no_gradient[0, 0]}, from the logit {exact:.3f}")
assert abs(clipped + np.log(1e-7)) < 1e-6 and exact == 40.0 and no_gradient[0, 0] == 0.0

# %% [markdown]
# - **Targets that are no probabilities.** Cross-entropy with targets outside $[0, 1]$ has no minimum; a model
#   refuses them.
# - **Samples that are not independent**, such as the frames of one video: the likelihood is then no product,
#   and the fit is surer of itself than it should be.
#
# ## References
#
# - Lectures: "10. Sieci neuronowe – propagacja wsteczna", section 10.2 (the cost $J$); "Uczenie sieci
#   neuronowych", slides *Gradient prosty* (mean square error).
# - C. M. Bishop, *Pattern Recognition and Machine Learning*, Springer 2006: sections 1.2.5 (pp. 28–30), 4.3.6
#   (pp. 212–214, canonical link functions), 5.2 (pp. 232–236).
# - S. A. Solla, E. Levin, M. Fleisher, "Accelerated learning in layered neural networks", *Complex Systems* 2
#   (1988) 625–639: cross-entropy beside squares.
# - J. S. Bridle, "Probabilistic interpretation of feedforward classification network outputs, with
#   relationships to statistical pattern recognition", in *Neurocomputing*, Springer 1990, 227–236.
