# %% [markdown]
# # Attention and its backward pass
#
# Every step of a sequence asks all others; how much it takes from each is a softmax of inner products.
#
# ## Claim
#
# For queries $Q$ of shape $(T, d)$, keys $K$ of shape $(S, d)$ and values $V$ of shape $(S, v)$,
#
# $$ Z = \frac{1}{\sqrt d}\, Q K^\top, \qquad P = \operatorname{softmax}(Z) \text{ of each row},
#    \qquad Y = P\, V, $$
#
# and with $G = \partial J/\partial Y$
#
# $$ \frac{\partial J}{\partial V} = P^\top G, \qquad
#    \frac{\partial J}{\partial Z} = P \odot \bigl( G V^\top - \operatorname{rowsum}(P \odot G V^\top)
#    \bigr), $$
#
# $$ \frac{\partial J}{\partial Q} = \frac{1}{\sqrt d} \frac{\partial J}{\partial Z} K, \qquad
#    \frac{\partial J}{\partial K} = \frac{1}{\sqrt d} \frac{\partial J}{\partial Z}^{\!\top} Q. $$
#
# ## Derivation
#
# $Y = PV$ and $Z = QK^\top/\sqrt d$ are products of matrices; their gradients are
# [backpropagation's](backpropagation.md) BP4 and BP2. In between, each row $p = \operatorname{softmax}(z)$
# has the Jacobian $\partial p_s/\partial z_r = p_s (\delta_{sr} - p_r)$ (see
# [softmax](softmax_crossentropy.md)). With $h = \partial J/\partial p$, the row of $G V^\top$,
#
# $$ \frac{\partial J}{\partial z_r} = \sum_s h_s\, p_s (\delta_{sr} - p_r)
#    = p_r \Bigl( h_r - \sum_s p_s h_s \Bigr). \qquad \square $$
#
# Since $\sum_s p_s h_s$ is $g \cdot y$, the inner product of the row of $G$ with the row of $Y$, it can be
# had without $P$.
#
# **Why $\sqrt d$.** If the entries of $q$ and $k$ are independent with mean 0 and variance 1, then $q \cdot k
# = \sum_{i=1}^d q_i k_i$ has mean 0 and variance $d$. Without the factor the softmax saturates for large $d$:
# one $p_s$ is nearly 1, and $p_r (h_r - \sum p_s h_s)$ is nearly 0 for all $r$.
#
# **Masks.** A step that must not be seen gets $z = -\infty$ (a large negative number in practice), so $p =
# 0$: it neither gives to the output nor gets a gradient. A causal mask hides from step $t$ all steps after
# $t$: the output at $t$ depends on the steps up to $t$ only, so one pass trains the prediction of every next
# step.
#
# **Several heads.** With matrices of weights $W_Q^h, W_K^h, W_V^h$ of shapes $(\text{in}, d)$ and $W_O^h$,
# head $h$ sees $Q = X W_Q^h$ and so on; the output is $\sum_h Y^h W_O^h + \beta$. The heads are independent
# up to this sum.
#
# **Order does not count.** If the keys and the values are permuted alike, $Y$ stays the same: attention sees
# a set. Where order matters, the inputs have to say it (positions added to the embeddings, or a causal mask).
#
# **Cost.** $T S (d + v)$ multiplications and $T S$ numbers of memory for each head: quadratic in the length
# of the sequence, where a recurrent layer is linear but takes $T$ steps one after the other.
#
# ## The code
#
# <!-- source: nnx.layers.attending:attended -->
#
# ## A run

# %%
import numpy as np

import nnx

rng = np.random.default_rng(0)
T, S, d, v = 4, 5, 3, 2
Q, K, V, G = (rng.normal(size=shape) for shape in ((T, d), (S, d), (S, v), (T, v)))


def attention(Q, K, V):
    Z = Q @ K.T / np.sqrt(d)
    E = np.exp(Z - np.max(Z, axis=1, keepdims=True))
    return E / np.sum(E, axis=1, keepdims=True) @ V


def backward(Q, K, V, G):
    """The gradients by Q, K and V, as derived."""
    E = np.exp(Q @ K.T / np.sqrt(d))
    P = E / E.sum(axis=1, keepdims=True)
    H = G @ V.T
    dZ = P * (H - (G * (P @ V)).sum(axis=1, keepdims=True))
    return dZ @ K / np.sqrt(d), dZ.T @ Q / np.sqrt(d), P.T @ G


found = nnx.grad(lambda *a: np.sum(G * attention(*a)), argnums=(0, 1, 2))(Q, K, V)
for name, mine, theirs in zip("QKV", backward(Q, K, V, G), found, strict=True):
    print(f"by {name}: largest difference {np.max(np.abs(mine - theirs)):.1e}")

# %% [markdown]
# The layer, with one head and weights that are the identity, computes the same:

# %%
layer = nnx.layers.MultiHeadAttention(num_heads=1, key_dim=3, use_bias=False)
model_in = nnx.Input((T, 3))
model = nnx.Model(model_in, layer(model_in, model_in, use_causal_mask=True), dtype="float64")
layer.set_weights(
    [np.eye(3)[:, None, :], np.eye(3)[:, None, :], np.eye(3)[:, None, :], np.eye(3)[None, :, :]]
)
X = rng.normal(size=(T, 3))
whole = model.predict(X[None])[0]
print("the first output is the first input:", np.allclose(whole[0], X[0]))

# %% [markdown]
# The causal mask, seen from outside: a change of step 2 moves no earlier output.

# %%
changed = X.copy()
changed[2] += 1.0
moved = np.abs(model.predict(changed[None])[0] - whole).max(axis=1)
print("change of the outputs:", np.round(moved, 3))

# %% [markdown]
# The size of the logits without the factor, and what the softmax makes of it:


# %%
def largest_weight(z):
    """The mean of each row's largest entry of softmax(z)."""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return np.mean(1.0 / e.sum(axis=1))


for width in (4, 64, 1024):
    q, k = rng.normal(size=(200, width)), rng.normal(size=(200, width))
    z = q @ k.T
    print(
        f"d = {width:4d}: standard deviation {z.std():5.1f}, mean largest weight {largest_weight(z):.2f}, "
        f"with 1/√d {largest_weight(z / np.sqrt(width)):.2f}"
    )

# %% [markdown]
# ## The check

# %%
for mine, theirs in zip(backward(Q, K, V, G), found, strict=True):
    assert np.allclose(mine, theirs, rtol=0, atol=1e-14)  # sums of five numbers of size 1
assert np.all(moved[:2] == 0.0) and np.all(moved[2:] > 0.0)
assert np.allclose(whole[-1], attention(X[-1:], X, X)[0], rtol=0, atol=1e-14)
nnx.check_derivatives(attention, Q, K, V, order=2)

# %% [markdown]
# ## When it fails
#
# - Memory and time grow with the square of the length.
# - A step all of whose keys are masked has no softmax; what comes out then is a mean of values that mean
#   nothing, and it must be masked itself.
# - Without positions the order of the steps is lost.
#
# ## References
#
# - A. Vaswani et al., "Attention is all you need", NeurIPS 2017, sections 3.2 and 3.3, footnote 4 (on √d).
# - D. Bahdanau, K. Cho, Y. Bengio, "Neural machine translation by jointly learning to align and translate",
#   ICLR 2015: additive attention.
