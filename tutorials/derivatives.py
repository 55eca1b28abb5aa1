# %% [markdown]
# # Derivatives and the chain rule
#
# Training a network means to change its weights so that the cost falls. The derivative says which way to go.
# This page goes from the derivative of one variable to the gradient of a neuron, with the numbers of the
# lectures, and ends with the two ways in which a program can compute derivatives: forward and reverse.
#
# You need to know what a function of several variables is. The proofs are on the pages
# [Chain rule](../derivations/chain_rule.md) and [How the autodiff works](../derivations/autodiff.md).

# %%
import math

import matplotlib.pyplot as plt
import numpy as np

import nnx

# %% [markdown]
# ## The derivative
#
# The derivative measures how fast the value of a function changes with its argument:
#
# $$ f'(x) = \lim_{h \to 0} \frac{f(x + h) - f(x)}{h} $$
#
# A computer cannot take the limit, but it can take a small $h$. Two formulas are common, the *forward* and
# the *central* difference:
#
# $$ \frac{f(x + h) - f(x)}{h} = f'(x) + \frac{h}{2} f''(x) + \dots \qquad
#    \frac{f(x + h) - f(x - h)}{2h} = f'(x) + \frac{h^2}{6} f'''(x) + \dots $$
#
# [`nnx.grad`][nnx.grad] needs no $h$: it returns the function that computes the derivative.

# %%
x = 1.0
exact = math.cos(x)  # the derivative of sin


def forward_difference(f, x, h):
    return (f(x + h) - f(x)) / h


def central_difference(f, x, h):
    return (f(x + h) - f(x - h)) / (2.0 * h)


print("exact    ", exact)
print("nnx.grad ", float(nnx.grad(np.sin)(x)))
print("forward  ", forward_difference(math.sin, x, 1e-5))
print("central  ", central_difference(math.sin, x, 1e-5))

assert abs(float(nnx.grad(np.sin)(x)) - exact) < 1e-15  # a few roundings of 1.1e-16
assert abs(forward_difference(math.sin, x, 1e-5) - exact) < 1e-5  # h·|f''|/2 = 0.42e-5
assert abs(central_difference(math.sin, x, 1e-5) - exact) < 1e-10  # rounding, 1.1e-16/h, is the larger part

# %% [markdown]
# How small should $h$ be? The figure shows the error for many $h$. From right to left the error first falls
# as the formulas say: ten times smaller $h$ means an error ten times smaller for the forward difference, and
# a hundred times smaller for the central one. Then it rises again: $f(x+h)$ and $f(x-h)$ agree in most of
# their digits, and the difference keeps only what is left. Rounding contributes about $\varepsilon / h$ with
# $\varepsilon = 1.1 \cdot 10^{-16}$. At its best the forward difference has about eight right digits, the
# central one ten or eleven.

# %%
# figure: Error of the forward and the central difference against h, both falling with h and then rising again
h = np.logspace(-14, 0, 57)
errors = {
    "forward difference": np.array([abs(forward_difference(math.sin, x, s) - exact) for s in h]),
    "central difference": np.array([abs(central_difference(math.sin, x, s) - exact) for s in h]),
}
fig, ax = plt.subplots(figsize=(6.5, 4))
for label, error in errors.items():
    ax.loglog(h, error, marker=".", label=label)
ax.loglog(h, 1.1e-16 / h, "k:", label="rounding, ε/h")
ax.set(xlabel="h", ylabel="error of the derivative of sin at 1", ylim=(1e-14, 1e1))
ax.legend()
ax.grid(alpha=0.3)

# the order: how many times smaller the error gets from h = 0.1 to h = 0.01
coarse, fine = (int(np.argmin(abs(h - s))) for s in (1e-1, 1e-2))
ratio = {label: error[coarse] / error[fine] for label, error in errors.items()}
assert 9.0 < ratio["forward difference"] < 11.0  # 10 and terms of the next order
assert 99.0 < ratio["central difference"] < 101.0  # 100, likewise
best = {label: error.min() for label, error in errors.items()}
assert best["central difference"] < 1e-10  # theory: about ε^(2/3) = 2e-11, by luck less
assert best["forward difference"] < 1e-7  # theory: about ε^(1/2) = 1e-8, by luck less

# %% [markdown]
# Central differences are good for checking derivatives, and [`nnx.check_derivatives`][nnx.check_derivatives]
# does that. For training they are too slow: a function of $n$ variables needs $2n$ evaluations for one
# gradient.
#
# ## Partial derivatives and the gradient
#
# A *partial derivative* measures how the value changes with one argument while the others stay. The
# *gradient* is the vector of all of them:
#
# $$ \nabla f = \left( \frac{\partial f}{\partial x_1}, \dots, \frac{\partial f}{\partial x_n} \right) $$
#
# The lectures have three examples. The first two are the sum, $\nabla (x_1 + x_2) = (1, 1)$, and the product,
# $\nabla (x_1 x_2) = (x_2, x_1)$.

# %%
v = np.array([3.0, -2.0])
of_sum = nnx.grad(lambda v: v[0] + v[1])(v)
of_product = nnx.grad(lambda v: v[0] * v[1])(v)
print("sum    ", of_sum)
print("product", of_product)

assert np.array_equal(of_sum, [1.0, 1.0])
assert np.array_equal(of_product, [-2.0, 3.0])

# %% [markdown]
# The third is the larger of two numbers, $\max(x_1, x_2)$ (the notes print $\max(x_1 + x_2)$, see the
# [errata](../derivations/errata.md#the-gradient-of-a-maximum)).
# Its gradient is $(1, 0)$ where $x_1$ is larger and $(0, 1)$ where $x_2$ is. At a
# tie, $x_1 = x_2$, the function has a kink and no gradient. The notes write
# $(\mathbb{1}_{x_1 \ge x_2}, \mathbb{1}_{x_2 \ge x_1})$, which is $(1, 1)$ there. That is not a good choice:
# if both arguments grow by $t$, so does the maximum, but $(1, 1) \cdot (t, t) = 2t$. nnx gives each argument
# one half, the mean of the two gradients at the sides of the kink.

# %%
for point in ([3.0, -2.0], [-2.0, 3.0], [2.0, 2.0]):
    print(point, nnx.grad(lambda v: np.maximum(v[0], v[1]))(np.array(point)))

at_the_tie = nnx.grad(lambda v: np.maximum(v[0], v[1]))(np.array([2.0, 2.0]))
growth = central_difference(lambda t: max(2.0 + t, 2.0 + t), 0.0, 1e-3)  # both arguments grow together
assert np.array_equal(at_the_tie, [0.5, 0.5])
assert abs(at_the_tie @ np.ones(2) - growth) < 1e-12  # the half-half gradient says 1; (1, 1) would say 2

# %% [markdown]
# ## The chain rule
#
# Let $f(x, y, z) = (x + y) z$. With the intermediate value $q = x + y$ it is $f = q z$, and
#
# $$ \frac{\partial f}{\partial q} = z, \quad \frac{\partial f}{\partial z} = q, \quad
#    \frac{\partial q}{\partial x} = \frac{\partial q}{\partial y} = 1 . $$
#
# The chain rule puts the pieces together:
#
# $$ \frac{\partial f}{\partial x} = \frac{\partial f}{\partial q} \frac{\partial q}{\partial x}, \qquad
#    \frac{\partial f}{\partial y} = \frac{\partial f}{\partial q} \frac{\partial q}{\partial y} . $$
#
# Computed in this order it is *backpropagation*: first the values forward, from the inputs to $f$, then the
# derivatives backward, from $f$ to the inputs.

# %%
x, y, z = -2.0, 5.0, -4.0

# forward
q = x + y
f = q * z
# backward; df_dq stands for ∂f/∂q
df_dz, df_dq = q, z  # through f = q·z
df_dx, df_dy = 1.0 * df_dq, 1.0 * df_dq  # through q = x + y

print("forward ", (q, f))
print("backward", (df_dx, df_dy, df_dz))
by_nnx = nnx.grad(lambda v: (v[0] + v[1]) * v[2])(np.array([x, y, z]))
print("nnx.grad", by_nnx)

assert (q, f) == (3.0, -12.0)
assert (df_dx, df_dy, df_dz) == (-4.0, -4.0, 3.0) == tuple(by_nnx)  # whole numbers: exact

# %% [markdown]
# ## A neuron by hand
#
# A sigmoid neuron with two inputs computes
#
# $$ f(w, x) = \sigma(w_0 x_0 + w_1 x_1 + w_2), \qquad \sigma(z) = \frac{1}{1 + e^{-z}} . $$
#
# Its derivative needs one fact, $\sigma'(z) = (1 - \sigma(z)) \, \sigma(z)$
# ([why](../derivations/activations.md)). The rest is the chain rule: every partial derivative is $\sigma'(z)$
# times what stands beside the variable in $z$.

# %%
w, x = [2.0, -3.0, -3.0], [-1.0, -2.0]

# forward
dot = w[0] * x[0] + w[1] * x[1] + w[2]
f = 1.0 / (1.0 + math.exp(-dot))
# backward
d_dot = (1.0 - f) * f
dx = [w[0] * d_dot, w[1] * d_dot]
dw = [x[0] * d_dot, x[1] * d_dot, 1.0 * d_dot]
print("dx", dx)
print("dw", dw)


def neuron(w, x):
    return 1.0 / (1.0 + np.exp(-(w[0] * x[0] + w[1] * x[1] + w[2])))


dw_nnx, dx_nnx = nnx.grad(neuron, argnums=(0, 1))(np.array(w), np.array(x))
print("nnx", dx_nnx, dw_nnx)

# the numbers in the lectures; 1e-15 is a few roundings of numbers below 1
lecture_dx = [0.3932238664829637, -0.5898357997244456]
lecture_dw = [-0.19661193324148185, -0.3932238664829637, 0.19661193324148185]
assert dx == lecture_dx
assert dw == lecture_dw
assert np.max(np.abs(dx_nnx - lecture_dx)) < 1e-15
assert np.max(np.abs(dw_nnx - lecture_dw)) < 1e-15

# %% [markdown]
# Read the result as advice: to make the output larger, make $w_0$ and $w_1$ smaller and $w_2$ larger, and
# $w_1$ is the weight that counts most. A training step that wants the cost *smaller* goes against the
# gradient of the cost.
#
# nnx does the same as the cell above, operation by operation. This is the derivative of its own sigmoid, with
# the function beside it:
#
# <!-- source: nnx.activations.bounded:sigmoid -->
#
# ## Jacobian and Hessian
#
# A function with several results has a gradient for each of them. Together they are the rows of the
# *Jacobian*, $J_{ij} = \partial f_i / \partial x_j$. The *Hessian* of a function with one result is the
# Jacobian of its gradient, $H_{ij} = \partial^2 f / \partial x_i \partial x_j$; it says how the function
# bends, and Newton's method needs it.

# %%


def polar(v):  # radius and angle to x and y
    return np.stack([v[0] * np.cos(v[1]), v[0] * np.sin(v[1])])


def bent(v):
    return v[0] ** 2 * v[1] + np.sin(v[1])


r, t = 2.0, 0.7
jacobian = nnx.jacobian(polar)(np.array([r, t]))
hessian = nnx.hessian(bent)(np.array([r, t]))
print(jacobian.round(4))
print(hessian.round(4))

by_hand = [[math.cos(t), -r * math.sin(t)], [math.sin(t), r * math.cos(t)]]
assert np.max(np.abs(jacobian - by_hand)) < 1e-15  # roundings of numbers below 2
assert np.max(np.abs(hessian - [[2.0 * t, 2.0 * r], [2.0 * r, -math.sin(t)]])) < 1e-15
assert abs(np.linalg.det(jacobian) - r) < 1e-15  # the r of dx dy = r dr dφ

# %% [markdown]
# ## Forward or reverse
#
# The chain rule multiplies Jacobians. For $f = f_3 \circ f_2 \circ f_1$ it says $J = J_3 J_2 J_1$, and a
# program can multiply from either end:
#
# - **forward mode** goes from the right. It takes a direction $v$ of the inputs and computes $J v$ along with
#   the values: [`nnx.jvp`][nnx.jvp]. One pass gives one column of $J$.
# - **reverse mode** goes from the left. It takes weights $u$ of the outputs and computes $u^\top J$, backward
#   through what the forward pass kept: [`nnx.vjp`][nnx.vjp]. One pass gives one row of $J$.
#
# A cost has many weights and one value, so its Jacobian is one row: reverse mode needs one pass where forward
# mode needs as many as there are weights. We count how often the function is called.

# %%
calls = 0
n = 100
a = np.linspace(-1.0, 1.0, n)


def cost(w):
    global calls
    calls += 1
    return np.sum(np.tanh(w * a) ** 2) + np.prod(np.cos(w[:3]))


w = np.linspace(0.5, 1.5, n)
by_columns = np.array([nnx.jvp(cost, (w,), (e,))[1] for e in np.eye(n)])
forward_calls, calls = calls, 0
by_row = nnx.grad(cost)(w)
reverse_calls, calls = calls, 0
print(f"forward mode: {forward_calls} calls, reverse mode: {reverse_calls} call")

assert (forward_calls, reverse_calls) == (n, 1)
assert np.max(np.abs(by_columns - by_row)) < 1e-14  # the same numbers, up to a few roundings

# %% [markdown]
# The reverse pass has a price: it keeps the intermediate values of the forward pass, which takes memory.
# Forward mode keeps nothing. For the Jacobian of a function with few inputs and many outputs forward mode
# wins.
#
# Both can be combined. The Hessian times a vector, $H p$, is the derivative of the gradient in the direction
# $p$: forward mode over reverse mode, at the price of a few gradients and without the matrix $H$. This is
# [`nnx.hvp`][nnx.hvp], and why Newton's method can be used where $H$ does not fit into memory.

# %%
p = np.cos(np.arange(n))
product = nnx.hvp(cost, w, p)
whole = nnx.hessian(cost)(w)
by_two_modes = nnx.jvp(nnx.grad(cost), (w,), (p,))[1]
print("entries of H:", whole.size, " largest difference:", np.max(np.abs(product - whole @ p)))

assert np.max(np.abs(product - whole @ p)) < 1e-13  # sums of 100 products of numbers below 3
assert np.max(np.abs(product - by_two_modes)) < 1e-13

# %% [markdown]
# ## What to take along
#
# - Gradients of the pieces are put together by the chain rule, from the result backward.
# - At a kink there is no gradient; a library has to choose, and nnx lists its choices under
#   [Differentiation](../differentiation.md).
# - Reverse mode gives the gradient of a cost by any number of weights in one pass.
#
# Next: [Backpropagation by hand](backpropagation.md) writes the same in matrices, for a whole network.
