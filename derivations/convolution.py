# %% [markdown]
# # Convolution and its backward pass
#
# A convolution has two derivatives, and both are convolutions again.
#
# ## Claim
#
# For images $x$ of shape $(m, h, w, c)$, a kernel $K$ of shape $(k, l, c, f)$ and a bias $\beta$ of $f$
# numbers,
#
# $$ y_{n,i,j,o} = \beta_o + \sum_{a,b,c} x_{n,\; i+a,\; j+b,\; c}\; K_{a,b,c,o} \qquad \text{(forward)} $$
#
# and with $g = \partial J/\partial y$
#
# $$ \begin{aligned}
#   \frac{\partial J}{\partial K_{a,b,c,o}} &= \sum_{n,i,j} x_{n,\; i+a,\; j+b,\; c}\; g_{n,i,j,o}
#   & \text{(by the kernel)} \\
#   \frac{\partial J}{\partial x_{n,u,v,c}} &= \sum_{a,b,o} g_{n,\; u-a,\; v-b,\; o}\; K_{a,b,c,o}
#   & \text{(by the input)} \\
#   \frac{\partial J}{\partial \beta_o} &= \sum_{n,i,j} g_{n,i,j,o} & \text{(by the bias)}
# \end{aligned} $$
#
# where $g$ outside of its range counts as 0. The gradient by the input is the forward formula for $g$ with a
# border of zeros and the kernel turned by 180°, with its channels exchanged. Each of the three costs as many
# multiplications as the forward pass.
#
# (What networks call a convolution does not turn the kernel; in signal processing it is a correlation.)
#
# ## Derivation
#
# Take the number $\langle g, y \rangle = \sum_{n,i,j,o} g_{n,i,j,o}\, y_{n,i,j,o}$ with $\beta = 0$:
#
# $$ T(x, K, g) = \sum_{n,i,j,o} \; \sum_{a,b,c} \; x_{n,\;i+a,\;j+b,\;c} \; K_{a,b,c,o} \; g_{n,i,j,o}. $$
#
# $T$ is linear in each of its three arguments. By the chain rule the gradient of $J$ by $K$ is the derivative
# of $T$ by $K$ for fixed $x$ and $g$, and that by $x$ is the derivative of $T$ by $x$: read off the factor
# that stands beside $K_{a,b,c,o}$, and beside $x_{n,u,v,c}$ (substitute $u = i + a$, $v = j + b$). Beside $g$
# stands the forward formula. So there are three functions,
#
# $$ C(x, K) = \partial T/\partial g, \qquad C_x(K, g) = \partial T/\partial x, \qquad
#    C_K(x, g) = \partial T/\partial K, $$
#
# and the derivative of each of them by each of its arguments is one of the three: they are **mutually
# transposed**. That is why nnx needs no rule for second derivatives of convolutions: the three functions name
# one another, and every order follows.
#
# **Strides and dilation.** With stride $s$, dilation $d$ and $p$ zeros in front, $i + a$ becomes $s\,i + d\,a
# - p$. $T$ stays linear in each argument, and nothing else in the derivation changes. The sum for $\partial
# J/\partial x_u$ runs over the pairs with $s\,i + d\,a - p = u$: as if $g$ had $s - 1$ zeros between its
# entries. A layer whose *forward* pass is $C_x$ is called a transposed convolution: it makes images larger.
#
# **Groups.** With $r$ groups, output $o$ sees only the channels of its own group: $T$ is a sum of $r$ such
# forms. With as many groups as channels (a depthwise convolution) the sum over $c$ is gone.
#
# ## As a matrix product
#
# For a fixed place $(n, i, j)$ the forward formula is a product of a row, the $k\,l\,c$ numbers of $x$ that
# the kernel sees there, with a matrix of shape $(k\,l\,c,\, f)$. With one such row for each place (*im2col*),
#
# $$ Y = X_{\text{col}}\, K, \qquad \frac{\partial J}{\partial K} = X_{\text{col}}^\top\, G, \qquad
#    \frac{\partial J}{\partial X_{\text{col}}} = G\, K^\top, $$
#
# which is [backpropagation's](backpropagation.md) BP4 and BP2; the last one is then added up at the places
# where the rows were taken from. $X_{\text{col}}$ is $k\,l$ times as large as $x$, so nnx makes it for a few
# images at a time, which stay in the processor's cache.
#
# ## Fewer multiplications: Winograd
#
# Two neighbouring outputs of a kernel of three taps take six multiplications:
# $y_0 = d_0 k_0 + d_1 k_1 + d_2 k_2$, $y_1 = d_1 k_0 + d_2 k_1 + d_3 k_2$. Four are enough:
#
# $$ \begin{aligned}
#   m_1 &= (d_0 - d_2)\, k_0, & m_2 &= (d_1 + d_2)\, \tfrac{k_0 + k_1 + k_2}{2}, \\
#   m_4 &= (d_1 - d_3)\, k_2, & m_3 &= (d_2 - d_1)\, \tfrac{k_0 - k_1 + k_2}{2},
# \end{aligned} \qquad
#    y_0 = m_1 + m_2 + m_3, \quad y_1 = m_2 - m_3 - m_4. $$
#
# To check it, collect the factors of each product $d_q k_r$; the code below does so. In matrices,
# $y = A^\top\bigl[(G k) \odot (B^\top d)\bigr]$. In two dimensions the same is done for rows and columns,
#
# $$ Y = A^\top \bigl[(G K G^\top) \odot (B^\top D B)\bigr] A, $$
#
# with 16 multiplications in place of 36 for each channel, four outputs and a 3×3 kernel. The transform of the
# kernel is made once, that of the input costs additions only. With many channels the products dominate, and
# they become 16 matrix products over the channels. All maps are linear, so the gradient by the kernel is the
# transposed one,
#
# $$ \frac{\partial J}{\partial K} = G^\top \Bigl[\sum (B^\top D B) \odot (A\, g\, A^\top)\Bigr] G. $$
#
# ## A run
#
# The three formulas as loops over the taps of the kernel, beside nnx.

# %%
import numpy as np

import nnx

rng = np.random.default_rng(0)
x, K = rng.normal(size=(2, 6, 7, 3)), rng.normal(size=(3, 3, 3, 4))
beta, g = rng.normal(size=4), rng.normal(size=(2, 4, 5, 4))
taps = [(a, b) for a in range(3) for b in range(3)]


def forward(x, K, beta):
    return beta + sum(x[:, a : a + 4, b : b + 5] @ K[a, b] for a, b in taps)


def by_kernel(x, g):
    return np.stack([np.einsum("nijc,nijo->co", x[:, a : a + 4, b : b + 5], g) for a, b in taps]).reshape(
        K.shape
    )


def by_input(K, g):
    total = np.zeros_like(x)
    for a, b in taps:
        total[:, a : a + 4, b : b + 5] += g @ K[a, b].T
    return total


layer = nnx.layers.Conv2D(4, 3)
model = nnx.Sequential([nnx.Input((6, 7, 3)), layer], dtype="float64")
layer.set_weights([K, beta])
print("output", model.predict(x).shape)

# %% [markdown]
# The gradients by `nnx.grad`, of $\langle g, y \rangle$:


# %%
def run(x, K, beta):
    return layer.forward({"kernel": K, "bias": beta}, x)


found = nnx.grad(lambda *a: np.sum(g * run(*a)), argnums=(0, 1, 2))(x, K, beta)
by_hand = by_input(K, g), by_kernel(x, g), g.sum((0, 1, 2))
for name, mine, theirs in zip(("x", "K", "beta"), by_hand, found, strict=True):
    print(f"by {name}: largest difference {np.max(np.abs(mine - theirs)):.1e}")

# %% [markdown]
# The gradient by the input once more, as a convolution of the padded $g$ by the turned kernel:

# %%
padded = np.pad(g, ((0, 0), (2, 2), (2, 2), (0, 0)))
turned = K[::-1, ::-1].transpose(0, 1, 3, 2)
again = sum(padded[:, a : a + 6, b : b + 7] @ turned[a, b] for a, b in taps)
print(f"largest difference {np.max(np.abs(again - found[0])):.1e}")

# %% [markdown]
# Winograd's identity, and its gradient by the kernel, on one tile of 4×4 inputs and 2×2 outputs:

# %%
B = np.array([[1, 0, 0, 0], [0, 1, -1, 1], [-1, 1, 1, 0], [0, 0, 0, -1]], dtype=float)  # the transposed of Bᵀ
G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
A = np.array([[1, 0], [1, 1], [1, -1], [0, -1]], dtype=float)

tile, kernel, back = rng.normal(size=(4, 4)), rng.normal(size=(3, 3)), rng.normal(size=(2, 2))
direct = sum(kernel[a, b] * tile[a : a + 2, b : b + 2] for a, b in taps)
winograd = A.T @ ((G @ kernel @ G.T) * (B.T @ tile @ B)) @ A
of_kernel = G.T @ ((B.T @ tile @ B) * (A @ back @ A.T)) @ G
direct_of_kernel = np.array([[np.sum(back * tile[a : a + 2, b : b + 2]) for b in range(3)] for a in range(3)])
print(f"output {np.max(np.abs(direct - winograd)):.1e}")
print(f"gradient {np.max(np.abs(of_kernel - direct_of_kernel)):.1e}")

# %% [markdown]
# ## The check
#
# Sums of up to 40 products of size 1 in float64; second derivatives by finite differences to their own
# accuracy.

# %%
assert np.allclose(forward(x, K, beta), model.predict(x), rtol=0, atol=1e-13)
assert np.allclose(found[0], again, rtol=0, atol=1e-13)
for mine, theirs in zip(by_hand, found, strict=True):
    assert np.allclose(mine, theirs, rtol=0, atol=1e-13)
assert np.allclose(winograd, direct, rtol=0, atol=1e-13)
assert np.allclose(of_kernel, direct_of_kernel, rtol=0, atol=1e-13)
small = rng.normal(size=(1, 4, 4, 2)), rng.normal(size=(3, 3, 2, 2)), rng.normal(size=2)
nnx.check_derivatives(lambda x, K, beta: np.tanh(run(x, K, beta)), *small, order=2)

# %% [markdown]
# ## When it fails
#
# - Winograd adds and subtracts inputs before it multiplies. In float32 the error is a few times that of
#   direct sums for F(2×2, 3×3), and grows quickly for larger tiles; nnx takes no larger ones.
# - With few channels the transforms cost more than the products save. nnx takes Winograd only for 3×3 kernels
#   with stride 1 and many channels.
# - "same" padding with a stride of 2 puts one zero more at the end than in front where the total is odd, as
#   in Keras. PyTorch's symmetric padding gives other numbers there.
#
# ## References
#
# - Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document recognition",
#   Proceedings of the IEEE 86 (1998) 2278–2324.
# - K. Chellapilla, S. Puri, P. Simard, "High performance convolutional neural networks for document
#   processing", IWFHR 2006: convolution as a matrix product.
# - A. Lavin, S. Gray, "Fast algorithms for convolutional neural networks", CVPR 2016, sections 4 and 5.
