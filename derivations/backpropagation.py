# %% [markdown]
# # Backpropagation: BP1 to BP4
#
# The chain rule, applied to a feedforward network once and for all.
#
# ## Claim
#
# For a network $z^{(l)} = a^{(l-1)} \Theta^{(l)} + \beta^{(l)}$, $a^{(l)} = g^{(l)}(z^{(l)})$ with
# activations that work entry by entry, a cost $J$ of one sample, and
# $\delta^{(l)} = \partial J / \partial z^{(l)}$ (a row, like $z^{(l)}$):
#
# $$ \begin{aligned}
#   \delta^{(L)} &= \nabla_{a^{(L)}} J \odot g^{(L)\prime}(z^{(L)}) & \text{(BP1)} \\
#   \delta^{(l)} &= (\delta^{(l+1)} \Theta^{(l+1)\top}) \odot g^{(l)\prime}(z^{(l)}) & \text{(BP2)} \\
#   \nabla_{\beta^{(l)}} J &= \delta^{(l)} & \text{(BP3)} \\
#   \nabla_{\Theta^{(l)}} J &= a^{(l-1)\top} \delta^{(l)} & \text{(BP4)}
# \end{aligned} $$
#
# For a batch, whose samples are the rows of $A$ and of $\Delta$, the same products give the **sums** over the
# samples: $\nabla_\beta = \mathbf{1}^\top \Delta$ and $\nabla_\Theta = A^\top \Delta$. All gradients together
# cost about twice as many multiplications as the forward pass.
#
# ## Derivation
#
# Everything is the chain rule in indices,
# $\partial J/\partial x = \sum_q (\partial J/\partial q)(\partial q/\partial x)$ over all numbers $q$ that
# depend on $x$ directly.
#
# **BP1.** $J$ depends on $z_j^{(L)}$ through $a_j^{(L)} = g(z_j^{(L)})$ alone:
# $\delta_j^{(L)} = \dfrac{\partial J}{\partial a_j^{(L)}}\, g'(z_j^{(L)})$.
#
# For softmax this is not so: every $a_k$ depends on every $z_j$. There the product is with the whole
# Jacobian, $\delta^{(L)} = \nabla_a J \; \partial a/\partial z$, and with cross-entropy it is
# [$a^{(L)} - y$](softmax_crossentropy.md).
#
# **BP2.** $z_j^{(l)}$ reaches $J$ through all
# $z_k^{(l+1)} = \sum_i g(z_i^{(l)})\, \Theta_{ik}^{(l+1)} + \beta_k$, and
# $\partial z_k^{(l+1)} / \partial z_j^{(l)} = g'(z_j^{(l)})\, \Theta_{jk}^{(l+1)}$. Hence
#
# $$ \delta_j^{(l)} = \sum_k \delta_k^{(l+1)} \Theta_{jk}^{(l+1)} \, g'(z_j^{(l)})
#    = \bigl(\delta^{(l+1)} \Theta^{(l+1)\top}\bigr)_j \, g'(z_j^{(l)}). $$
#
# **BP3 and BP4.** $\beta_j$ and $\Theta_{ij}$ reach $J$ through $z_j^{(l)}$ alone, with derivatives 1 and
# $a_i^{(l-1)}$:
#
# $$ \frac{\partial J}{\partial \beta_j^{(l)}} = \delta_j^{(l)}, \qquad
#    \frac{\partial J}{\partial \Theta_{ij}^{(l)}} = a_i^{(l-1)} \delta_j^{(l)}. $$
#
# All pairs $(i, j)$ form the outer product of a column and a row, a matrix of the shape of $\Theta$. (The
# lectures' slide prints $\odot$ here, which has no meaning for vectors of different lengths:
# [erratum](errata.md#bp4-an-outer-product).)
#
# **Batch.** The cost of a batch is a sum over samples, and derivatives add up. Entry $(i, j)$ of
# $A^\top \Delta$ is $\sum_s A_{si} \Delta_{sj}$, the sum of the outer products of all samples. The mean of
# the cost has a factor $1/m$, which is put into $\delta^{(L)}$ and travels along.
#
# **Cost.** Forward, layer $l$ takes $m\, n_{l-1} n_l$ multiplications. Backward, $A^\top \Delta$ takes as
# many, and $\Delta \Theta^\top$ again as many (the first layer can skip it). So the gradient costs about
# twice the forward pass, whatever $n$ is. One forward pass for each weight, as finite differences need, would
# be $n$ times the forward pass.
#
# **The algorithm**, for a batch:
#
# 1. forward: $A^{(0)} = X$; for $l = 1, \dots, L$ compute and keep $Z^{(l)}$ and $A^{(l)}$;
# 2. $\Delta^{(L)}$ by BP1;
# 3. for $l = L, \dots, 1$: the gradients by BP3 and BP4, then $\Delta^{(l-1)}$ by BP2;
# 4. descend: $\Theta \leftarrow \Theta - \alpha \nabla_\Theta J$,
#    $\beta \leftarrow \beta - \alpha \nabla_\beta J$.
#
# ## The code
#
# In nnx the affine map is one operation with a pullback written by hand; given $g = \Delta$, its three lines
# are the product of BP2, BP4 and BP3. The factor $\odot\, g'(z)$ is the pullback of the activation.
#
# <!-- source: nnx.layers.dense:_affine_reverse -->
#
# <!-- source: nnx.layers.dense:affine -->
#
# ## A run
#
# The lectures' network: three layers of tanh, cost $\frac{1}{2m}\sum (h(x) - y)^2$, here with 3-5-4-2 neurons
# and 7 samples.

# %%
from itertools import pairwise

import numpy as np

import nnx
from nnx.layers import Dense

rng = np.random.default_rng(0)
sizes, m = (3, 5, 4, 2), 7
thetas = [rng.normal(size=(a, b)) for a, b in pairwise(sizes)]
betas = [rng.normal(size=b) for b in sizes[1:]]
X, Y = rng.normal(size=(m, 3)), rng.uniform(-1, 1, size=(m, 2))


def backpropagation(thetas, betas, x, y):
    """The gradients of (1/2m) Σ (h(x) − y)², layer by layer."""
    a = [x]
    for theta, beta in zip(thetas, betas, strict=True):
        a.append(np.tanh(a[-1] @ theta + beta))  # tanh′(z) = 1 − a², so z need not be kept
    delta = (a[-1] - y) / len(x) * (1.0 - a[-1] ** 2)  # BP1
    gradients = []
    for layer in reversed(range(len(thetas))):
        gradients.append((a[layer].T @ delta, delta.sum(axis=0)))  # BP4, BP3
        delta = delta @ thetas[layer].T * (1.0 - a[layer] ** 2)  # BP2
    return gradients[::-1]


by_hand = backpropagation(thetas, betas, X, Y)
for layer, (of_theta, of_beta) in enumerate(by_hand, start=1):
    print(layer, of_theta.shape, of_beta.shape, f"norm {np.linalg.norm(of_theta):.6f}")

# %% [markdown]
# The same by `nnx.grad` of the plain formula, and by a model. A loss of Keras has no ½ and takes the mean
# over the two outputs, which makes it the same number here: $\frac{1}{m} \cdot \frac{1}{2} \sum$.


# %%
def cost(weights):
    a = X
    for theta, beta in zip(weights[::2], weights[1::2], strict=True):
        a = np.tanh(a @ theta + beta)
    return np.sum((a - Y) ** 2) / (2 * m)


weights = [piece for pair in zip(thetas, betas, strict=True) for piece in pair]
by_grad = nnx.grad(cost)(weights)

layers = [Dense(5, "tanh", input_shape=(3,)), Dense(4, "tanh"), Dense(2, "tanh")]
model = nnx.Sequential(layers, dtype="float64")
model.set_weights(weights)
model.compile(nnx.optimizers.SGD(learning_rate=0.1), "mse")
model.fit(X, Y, batch_size=m, epochs=1, verbose=0)  # one step of the algorithm
moved = model.get_weights()
print("mse before", cost(weights), "and after", cost(moved))

# %% [markdown]
# ## The check
#
# The tolerance is that of sums of about ten numbers of size 1 in float64.

# %%
flat = [piece for pair in by_hand for piece in pair]
for mine, theirs, before, after in zip(flat, by_grad, weights, moved, strict=True):
    assert np.allclose(mine, theirs, rtol=0, atol=1e-14)
    assert np.allclose(before - 0.1 * mine, after, rtol=0, atol=1e-14)

# a batch is the mean of its samples: the lectures' Δ += (1/m) ∇J⁽ⁱ⁾
mean = [np.zeros_like(piece) for piece in flat]
for i in range(m):
    of_sample = backpropagation(thetas, betas, X[i : i + 1], Y[i : i + 1])
    for total, piece in zip(mean, (p for pair in of_sample for p in pair), strict=True):
        total += piece / m
assert all(np.allclose(a, b, rtol=0, atol=1e-14) for a, b in zip(mean, flat, strict=True))

# finite differences know nothing of the chain rule: error about ε^(2/3) for central ones
h = 1e-5
theta = thetas[0].copy()
theta[1, 2] += h
above = cost([theta, *weights[1:]])
theta[1, 2] -= 2 * h
slope = (above - cost([theta, *weights[1:]])) / (2 * h)
print(slope, by_hand[0][0][1, 2])
assert abs(slope - by_hand[0][0][1, 2]) < 1e-9

# %% [markdown]
# ## When it fails
#
# - **An activation of whole vectors.** BP1 as printed, with $g'$ entry by entry, is wrong for softmax: here
#   the diagonal of its Jacobian in place of the Jacobian.

# %%
z, target = np.asarray([0.3, -0.2, 0.5]), np.asarray([0.0, 1.0, 0.0])
p = nnx.activations.softmax(z)
wrong = -target / p * (p * (1.0 - p))
right = -target / p @ (np.diag(p) - np.outer(p, p))
print("entry by entry", wrong, "  with the Jacobian", right)
assert np.allclose(right, p - target, rtol=0, atol=1e-15) and abs(wrong[0] - right[0]) > 0.3

# %% [markdown]
# - **A weight that is used twice** (shared layers, convolutions, recurrent layers) has one term of BP4 for
#   each use; they add up.
# - **Small derivatives multiply.** BP2 multiplies by $g'$ and $\Theta$ in every layer: gradients can [vanish
#   or explode](../tutorials/vanishing_gradients.md).
# - **Equal weights stay equal.** Two neurons of a layer with the same weights in and out get the same
#   $\delta$: see [symmetry](../tutorials/symmetry.md).
# - **Memory.** All $A^{(l)}$ of a batch are kept until the way back has used them.
#
# ## References
#
# - Lectures: "10. Sieci neuronowe – propagacja wsteczna", section 10.2.
# - D. E. Rumelhart, G. E. Hinton, R. J. Williams, "Learning representations by back-propagating errors",
#   *Nature* 323 (1986) 533–536.
# - P. J. Werbos, *Beyond Regression*, PhD thesis, Harvard University 1974.
# - A. Griewank, "Who invented the reverse mode of differentiation?", *Documenta Mathematica*, Extra Volume
#   ISMP (2012) 389–400.
# - M. Nielsen, *Neural Networks and Deep Learning*, Determination Press 2015, chapter 2: BP1 to BP4 with
#   columns.
