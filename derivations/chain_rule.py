# %% [markdown]
# # The chain rule
#
# Every derivative in nnx is a product of small ones. This page says why, and in which order to multiply.
#
# ## Claim
#
# **Composition.** The derivative of a composition is the product of the derivatives (Jacobian matrices): for
# $f = f_K \circ \dots \circ f_1$,
#
# $$ f'(x) = f_K'(u_{K-1}) \cdots f_2'(u_1)\, f_1'(x), \qquad u_k = f_k(u_{k-1}), \; u_0 = x. $$
#
# **Paths.** If several quantities $q$ carry $x$ to the result, the derivatives along these paths **add up**:
#
# $$ \frac{\partial f}{\partial x} = \sum_q \frac{\partial f}{\partial q} \frac{\partial q}{\partial x}. $$
#
# **Order.** If $f$ returns one number, multiplying from the left (backwards) gives the gradient by all $n$
# variables for a small multiple of the cost of $f$ itself; multiplying from the right (forwards) takes $n$
# such passes.
#
# ## Derivation
#
# **Derivative.** $f$ has the derivative $A$ (a matrix) at $x$ if $f(x + h) = f(x) + A h + r(h)$ with
# $\lVert r(h) \rVert / \lVert h \rVert \to 0$. For one variable this is the limit in the lectures, multiplied
# by $h$. (On this page, as in calculus, $h$ and $f$ are columns; the row convention of the other pages
# transposes every product.)
#
# **Product.** Let $u = f_1(x)$, $A = f_1'(x)$, $B = f_2'(u)$. Then
#
# $$ f_2(f_1(x + h)) = f_2(u + \underbrace{A h + r_1(h)}_{k}) = f_2(u) + B A h + B\, r_1(h) + r_2(k). $$
#
# $\lVert k \rVert \le (\lVert A \rVert + 1) \lVert h \rVert$ for small $h$, so $B\,r_1(h)$ and $r_2(k)$ both
# vanish faster than $\lVert h \rVert$. Hence the derivative is $BA$. Repeating it gives the formula. ∎
#
# **Sum over paths.** Entry $(i, j)$ of the product $BA$ is $\sum_q B_{iq} A_{qj}$: the sum over all
# intermediate numbers $q$ of the claim. In the lectures' example $f = (x + y) z$ every variable has one path
# only, so the sum does not show. For $f = (x + y)\,x$ it does: $\partial f/\partial x = x + (x + y)$, one
# term for each use of $x$.
#
# **Order.** Let each $f_k$ map $n$ numbers to $n$ numbers and the last one to a single number, so that $f_K'$
# is one row. Matrix products are associative; their costs are not. From the left, (row · matrix) · matrix …,
# each step costs $n^2$ multiplications, as much as applying the matrix to a vector once: $K n^2$ in all. From
# the right, matrix · matrix costs $n^3$ a step. Neither is needed in full: nobody builds the matrices, each
# operation knows how to multiply a row by its Jacobian (its *pullback*). Backwards is *reverse mode* or
# backpropagation, forwards is *forward mode*.
#
# Reverse mode needs all $u_k$ when it comes back, so it needs memory for the intermediate values of the whole
# computation.
#
# ## The code
#
# Reverse mode is this loop: newest operation first, each cotangent (a row of the product so far) is pulled
# back to the operation's arguments, and where several arrive at one place they are added, which is the sum
# over paths.
#
# <!-- source: nnx.autodiff.trace:backward -->
#
# ## A run
#
# The lectures' first example, $f = (x + y)\,z$ at $(-2, 5, -4)$, by hand as printed there and by nnx:

# %%
import numpy as np

import nnx

x, y, z = -2.0, 5.0, -4.0
q = x + y  # forward
f = q * z
df_dq, df_dz = z, q  # backward through f = q z
df_dx, df_dy = df_dq * 1.0, df_dq * 1.0  # backward through q = x + y
print("forward", q, f, " backward", (df_dx, df_dy, df_dz))
by_nnx = nnx.grad(lambda x, y, z: (x + y) * z, argnums=(0, 1, 2))(x, y, z)
print("nnx.grad", tuple(float(d) for d in by_nnx))

# %% [markdown]
# The second, a sigmoid neuron with $w = (2, -3, -3)$ and $x = (-1, -2)$. With $s = w_0 x_0 + w_1 x_1 + w_2$
# and $f = \sigma(s)$, $\partial f/\partial s = f(1 - f)$, and each derivative is this number times the other
# factor.

# %%
w, v = np.asarray([2.0, -3.0, -3.0]), np.asarray([-1.0, -2.0])
s = w[0] * v[0] + w[1] * v[1] + w[2]
value = 1.0 / (1.0 + np.exp(-s))
slope = (1.0 - value) * value
dx, dw = slope * w[:2], slope * np.asarray([v[0], v[1], 1.0])
dw_nnx, dx_nnx = nnx.grad(
    lambda w, x: nnx.activations.sigmoid(w[0] * x[0] + w[1] * x[1] + w[2]), argnums=(0, 1)
)(w, v)
print(dx_nnx.tolist())
print(dw_nnx.tolist())

# %% [markdown]
# A chain of matrices: $f(x) = \lVert \tanh(\tanh(x A) B) \rVert^2$. The Jacobians multiplied in either order,
# and `nnx.grad`:

# %%
rng = np.random.default_rng(0)
A, B = rng.normal(size=(5, 4)), rng.normal(size=(4, 3))
x5 = rng.normal(size=5)


def first(x):
    return np.tanh(x @ A)


def second(u):
    return np.tanh(u @ B)


def last(v):
    return np.sum(v * v)


u = first(x5)
J1, J2, J3 = nnx.jacobian(first)(x5), nnx.jacobian(second)(u), nnx.grad(last)(second(u))
backwards, forwards = (J3 @ J2) @ J1, J3 @ (J2 @ J1)
gradient = nnx.grad(lambda x: last(second(first(x))))(x5)
print(J1.shape, J2.shape, J3.shape)
print(gradient)

# %% [markdown]
# ## The check
#
# The lectures' numbers to the last digits that they print, and the three ways of the chain to rounding.

# %%
assert (q, f) == (3.0, -12.0) and by_nnx == (-4.0, -4.0, 3.0)
printed_dx = [0.3932238664829637, -0.5898357997244456]
printed_dw = [-0.19661193324148185, -0.3932238664829637, 0.19661193324148185]
for found in (dx, dx_nnx):
    assert np.allclose(found, printed_dx, rtol=0, atol=1e-15)
for found in (dw, dw_nnx):
    assert np.allclose(found, printed_dw, rtol=0, atol=1e-15)
assert np.allclose(backwards, forwards, rtol=1e-13) and np.allclose(gradient, backwards, rtol=1e-13)

# two paths from x, two terms
assert nnx.grad(lambda x: (x + 5.0) * x)(3.0) == 3.0 + (3.0 + 5.0)

# %% [markdown]
# ## When it fails
#
# - **Kinks.** Where a function has no derivative the rule has nothing to multiply. $\max(x_1, x_2)$ has none
#   at $x_1 = x_2$: the slope to one side is 1, to the other 0. nnx splits the gradient evenly,
#   $(\tfrac12, \tfrac12)$. That is a subgradient: the derivative along $(1, 1)$, which exists, comes out
#   right. The lectures print 1 for both ([erratum](errata.md#the-gradient-of-a-maximum)).

# %%
tie = nnx.grad(lambda x: np.maximum(x[0], x[1]))(np.asarray([1.0, 1.0]))
print(tie, "along (1, 1):", tie.sum())
assert tie.tolist() == [0.5, 0.5]

# %% [markdown]
# - **0 · ∞.** $\sqrt{x^2}$ at 0: the outer derivative is infinite, the inner one 0, and their product is NaN,
#   though the function is $|x|$. nnx says NaN and not a number that looks right:

# %%
with np.errstate(all="ignore"):
    unknown = nnx.grad(lambda x: np.sqrt(x * x))(0.0)
print(unknown)
assert np.isnan(unknown)

# %% [markdown]
# - **A limit in floating point.** The definition as a limit is no way to compute: the error of
#   $(f(x + h) - f(x))/h$ is about $\tfrac{h}{2} |f''|$ from the formula plus $2 \varepsilon |f|/h$ from
#   rounding, never less than about $\sqrt{\varepsilon} \approx 10^{-8}$ here, and it takes $n + 1$
#   evaluations for $n$ variables.

# %%
exact = np.cos(1.0)
errors = {h: abs((np.sin(1.0 + h) - np.sin(1.0)) / h - exact) for h in 10.0 ** np.arange(-14, 0)}
for h, error in errors.items():
    print(f"h = {h:.0e}   error {error:.1e}")
assert 1e-11 < min(errors.values()) < 1e-7 and min(errors, key=errors.get) in (1e-9, 1e-8, 1e-7)
assert abs(nnx.grad(np.sin)(1.0) - exact) < 1e-15

# %% [markdown]
# - **Memory.** Reverse mode keeps what the way back needs. [`nnx.checkpoint`][nnx.checkpoint] computes parts
#   of it again instead. [How the autodiff works](autodiff.md) says more.
#
# ## References
#
# - Lectures: "10. Sieci neuronowe – propagacja wsteczna", section 10.1: *Pochodna funkcji* to *Obliczanie
#   gradientów – podsumowanie*.
# - A. Griewank, A. Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, chapter 3 (forward and reverse
#   mode) and section 3.3 (the cost of a gradient).
# - S. Linnainmaa, "Taylor expansion of the accumulated rounding error", *BIT* 16 (1976) 146–160: the reverse
#   order for a general computation.
# - W. Rudin, *Principles of Mathematical Analysis*, 3rd ed., McGraw-Hill 1976, theorem 9.15, pp. 214–215.
