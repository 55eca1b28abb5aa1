# %% [markdown]
# # LSTM and backpropagation through time
#
# A recurrent layer is a deep network whose layers share their weights. Its gradient is
# [backpropagation's](backpropagation.md), step by step from the end of the sequence to its start.
#
# ## Claim: the plain recurrent layer
#
# For inputs $x_1, \dots, x_T$ (rows), $h_0 = 0$ and
#
# $$ z_t = x_t W + h_{t-1} U + b, \qquad h_t = \tanh z_t, $$
#
# let $g_t = \partial J/\partial h_t$ be what the cost gives to the output of step $t$ directly (0 where only
# the last one is used). Then with $\delta_t = \partial J/\partial z_t$, from $t = T$ down to 1,
#
# $$ \delta_t = \bigl( g_t + \delta_{t+1} U^\top \bigr) \odot (1 - h_t^2), \qquad \delta_{T+1} = 0, $$
#
# $$ \nabla_W J = \sum_t x_t^\top \delta_t, \qquad \nabla_U J = \sum_t h_{t-1}^\top \delta_t, \qquad
#    \nabla_b J = \sum_t \delta_t, \qquad \frac{\partial J}{\partial x_t} = \delta_t W^\top. $$
#
# ## Claim: LSTM
#
# With $z_t = x_t W + h_{t-1} U + b$ of $4u$ numbers, split into $z^i, z^f, z^c, z^o$ (Keras' order),
#
# $$ i = \sigma(z^i), \quad f = \sigma(z^f), \quad \tilde c = \tanh z^c, \quad o = \sigma(z^o), \qquad
#    c_t = f \odot c_{t-1} + i \odot \tilde c, \qquad h_t = o \odot \tanh c_t. $$
#
# With $\eta_t = g_t + \delta_{t+1} U^\top$, the gradient by $h_t$, and $\gamma_t$, that by $c_t$,
#
# $$ \gamma_t = \gamma_{t+1} \odot f_{t+1} + \eta_t \odot o_t \odot (1 - \tanh^2 c_t), $$
#
# $$ \delta_t = \bigl(\, \gamma_t \odot \tilde c \odot i(1 - i), \;\; \gamma_t \odot c_{t-1} \odot f(1 - f),
#    \;\; \gamma_t \odot i \odot (1 - \tilde c^2), \;\; \eta_t \odot \tanh(c_t) \odot o(1 - o) \,\bigr), $$
#
# and the gradients by $W$, $U$, $b$ and $x_t$ are the same four sums as above.
#
# ## Derivation
#
# **Plain layer.** $z_t$ reaches $J$ through $h_t$ alone. $h_t$ reaches it directly, with $g_t$, and through
# $z_{t+1} = x_{t+1} W + h_t U + b$, with $\delta_{t+1} U^\top$ (BP2). The factor $1 - h_t^2$ is the
# derivative of tanh. The weights are the same in every step; each use of them gives BP3 and BP4, and the uses
# add up.
#
# **LSTM.** $c_t$ reaches $J$ through $h_t = o \odot \tanh c_t$, and through $c_{t+1} = f_{t+1} \odot c_t +
# \dots$: these are the two terms of $\gamma_t$. Each gate's $z$ reaches $J$ through one product: $z^i$
# through $i \odot \tilde c$ in $c_t$ and so on; $z^o$ through $h_t$. The slopes are $\sigma' = \sigma(1 -
# \sigma)$ and $\tanh' = 1 - \tanh^2$. $\square$
#
# **Why gradients vanish, and why the LSTM's do not.** In the plain layer $\partial h_t/\partial h_{t-1} =
# U^\top$ scaled by $1 - h_t^2 \le 1$; over $k$ steps the gradient is multiplied by $k$ such matrices, and
# shrinks or grows like the $k$-th power of their size. In the LSTM, along the cell, $\partial c_t/\partial
# c_{t-1} = f_t$ entry by entry (when the paths through the gates are left out): no matrix, and no slope of a
# saturating function. With $f$ near 1 the gradient of $k$ steps ago is nearly the present one. That is why
# the bias of $f$ starts at 1 (`unit_forget_bias`).
#
# **All steps at once.** $x_t W + b$ does not depend on $h$: one matrix product for all steps, before the
# loop. On the way back the $\delta_t$ of all steps are kept, and $\nabla_W$, $\nabla_U$ and $\partial
# J/\partial x$ are one product each, after the loop. Only $h_{t-1} U$ and $\delta_{t+1} U^\top$ must wait for
# one another.
#
# ## A run

# %%
import numpy as np

import nnx

rng = np.random.default_rng(0)
n, T, d, u = 3, 5, 4, 2
x = rng.normal(size=(n, T, d))
W, U, b = rng.normal(size=(d, 4 * u)), rng.normal(size=(u, 4 * u)), rng.normal(size=4 * u)
g = rng.normal(size=(n, T, u))


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def step(xt, h, c, W, U, b):
    z = xt @ W + h @ U + b
    i, f, o = (sigmoid(z[:, k * u : (k + 1) * u]) for k in (0, 1, 3))
    new = np.tanh(z[:, 2 * u : 3 * u])
    c = f * c + i * new
    return o * np.tanh(c), c, (i, f, new, o)


def forward(x, W, U, b):
    h = c = np.zeros((n, u))
    outputs = []
    for t in range(T):
        h, c, _ = step(x[:, t], h, c, W, U, b)
        outputs.append(h)
    return np.stack(outputs, axis=1)


def backward(x, W, U, b, g):
    """The gradients by x, W, U and b, as derived."""
    hs, cs, gates = [np.zeros((n, u))], [np.zeros((n, u))], []
    for t in range(T):
        h, c, gate = step(x[:, t], hs[-1], cs[-1], W, U, b)
        hs.append(h), cs.append(c), gates.append(gate)
    delta, of_c = np.zeros((n, 4 * u)), np.zeros((n, u))
    of_W, of_U, of_b, of_x = np.zeros_like(W), np.zeros_like(U), np.zeros_like(b), np.zeros_like(x)
    for t in reversed(range(T)):
        i, f, new, o = gates[t]
        squashed = np.tanh(cs[t + 1])
        of_h = g[:, t] + delta @ U.T
        of_c = of_c + of_h * o * (1 - squashed**2)
        parts = (
            of_c * new * i * (1 - i),
            of_c * cs[t] * f * (1 - f),
            of_c * i * (1 - new**2),
            of_h * squashed * o * (1 - o),
        )
        delta, of_c = np.concatenate(parts, axis=1), of_c * f
        of_W, of_U, of_b = of_W + x[:, t].T @ delta, of_U + hs[t].T @ delta, of_b + delta.sum(axis=0)
        of_x[:, t] = delta @ W.T
    return of_x, of_W, of_U, of_b


found = nnx.grad(lambda *a: np.sum(g * forward(*a)), argnums=(0, 1, 2, 3))(x, W, U, b)
for name, mine, theirs in zip("xWUb", backward(x, W, U, b, g), found, strict=True):
    print(f"by {name}: largest difference {np.max(np.abs(mine - theirs)):.1e}")

# %% [markdown]
# The layer computes the same:

# %%
layer = nnx.layers.LSTM(u, return_sequences=True)
model = nnx.Sequential([nnx.Input((T, d)), layer], dtype="float64")
layer.set_weights([W, U, b])
outputs = model.predict(x)
print(f"largest difference {np.max(np.abs(outputs - forward(x, W, U, b))):.1e}")

# %% [markdown]
# ## How far back does the gradient reach?
#
# The norm of $\partial h_T/\partial x_t$ for a sequence of 60 steps, at the start of training: the plain
# layer with the orthogonal $U$ that Keras and nnx take, and the LSTM with its forget gate's bias at 1 and at
# 0.

# %%
import matplotlib.pyplot as plt

from nnx.layers import LSTM, SimpleRNN

long = rng.normal(size=(1, 60, 8)).astype("float64")
reach = {}
for name, kind in (
    ("SimpleRNN", SimpleRNN(32)),
    ("LSTM", LSTM(32)),
    ("LSTM, forget bias 0", LSTM(32, unit_forget_bias=False)),
):
    net = nnx.Sequential([nnx.Input((60, 8)), kind], dtype="float64", seed=1)
    of_x = nnx.grad(lambda a, net=net: np.sum(net(a) ** 2) / 2)(long)
    reach[name] = np.linalg.norm(of_x[0], axis=1)
    print(f"{name:20s} last step {reach[name][-1]:.2e}, first step {reach[name][0]:.2e}")

# figure: Norm of the gradient by each step's input, on a logarithmic axis: SimpleRNN and LSTM
fig, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
for name, norms in reach.items():
    ax.semilogy(np.arange(1, 61), norms, label=name)
ax.set_xlabel("step t")
ax.set_ylabel("norm of the gradient by x(t)")
_ = ax.legend()


# %% [markdown]
# ## The check

# %%
for mine, theirs in zip(backward(x, W, U, b, g), found, strict=True):
    assert np.allclose(mine, theirs, rtol=0, atol=1e-13)  # sums of 15 numbers of size 1
assert np.allclose(outputs, forward(x, W, U, b), rtol=0, atol=1e-14)
nnx.check_derivatives(lambda W, U, b: forward(x, W, U, b), W, U, b, order=2)

# %% [markdown]
# ## When it fails
#
# - The factor $f_t$ must be learned near 1 for long memories; with the bias at 0 it starts at one half, and
#   the gradient of 60 steps ago starts at $2^{-60}$ along the cell.
# - Gradients of recurrent layers may also grow from step to step. Clipping their norm (`clipnorm` or
#   `global_clipnorm` of an optimizer) bounds the step.
# - All outputs and gates of all steps are kept for the way back: memory grows with the length of the
#   sequence.
# - Masked steps (padding) repeat the state; their gradient passes through unchanged.
#
# ## References
#
# - S. Hochreiter, J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997) 1735–1780.
# - F. A. Gers, J. Schmidhuber, F. Cummins, "Learning to forget: continual prediction with LSTM", Neural
#   Computation 12 (2000) 2451–2471: the forget gate.
# - P. J. Werbos, "Backpropagation through time: what it does and how to do it", Proceedings of the IEEE 78
#   (1990) 1550–1560.
# - R. Jozefowicz, W. Zaremba, I. Sutskever, "An empirical exploration of recurrent network architectures",
#   ICML 2015, section 2.1: the bias of the forget gate.
