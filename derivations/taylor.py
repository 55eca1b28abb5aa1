# %% [markdown]
# # Taylor's theorem: first and second order
#
# Every method that trains a network replaces the cost by a simpler function near the present weights and
# steps to that one's minimum. The simpler functions are the first terms of Taylor's series.
#
# ## Claim
#
# Let $E$ be a function of the weights $w \in \mathbb R^n$ with gradient $g = \nabla E(w)$ and Hessian $H =
# \nabla^2 E(w)$, whose second derivatives are Lipschitz continuous with constant $M$. Then
#
# $$
# E(w + p) = E(w) + g^\top p + \tfrac12\, p^\top H p + R(p), \qquad |R(p)| \le \tfrac{M}{6} \|p\|^3 .
# $$
#
# 1. To **first order** the cost falls fastest, among directions of length 1, along $-g / \|g\|$.
# 2. To **second order** the stationary point is where $g + Hp = 0$. If $H$ is positive definite it is the
#    minimum, and the model falls there by $\tfrac12 g^\top H^{-1} g$.
# 3. At a minimum $g = 0$ and $H$ has no negative eigenvalue. Where $g = 0$ and $H$ is positive definite
#    there is a minimum; where $g = 0$ and $H$ has eigenvalues of both signs there is a saddle point.

# %% [markdown]
# ## Derivation
#
# Go along the line: $\varphi(t) = E(w + tp)$ is a function of one number, with $\varphi'(t) = \nabla E(w +
# tp)^\top p$ and $\varphi''(t) = p^\top \nabla^2 E(w + tp)\, p$ by the chain rule. The fundamental theorem of
# calculus, used twice (the second time after an integration by parts), says
#
# $$
# \varphi(1) = \varphi(0) + \int_0^1 \varphi'(t)\, dt = \varphi(0) + \varphi'(0) + \int_0^1 (1 - t)\,
# \varphi''(t)\, dt .
# $$
#
# Since $\int_0^1 (1 - t)\, dt = \tfrac12$, subtracting $\tfrac12 \varphi''(0)$ leaves the remainder
#
# $$
# R(p) = \int_0^1 (1 - t) \left( \varphi''(t) - \varphi''(0) \right) dt .
# $$
#
# Lipschitz continuity bounds the bracket by $M t \|p\| \cdot \|p\|^2$, and $\int_0^1 (1 - t)\, t\, dt =
# \tfrac16$. ∎
#
# In the same way $E(w + p) = E(w) + g^\top p + R_1(p)$ with $|R_1(p)| \le \tfrac L2 \|p\|^2$ if the
# *gradient* is Lipschitz continuous with constant $L$: this one is called the descent lemma.
#
# **1. Steepest descent.** By Cauchy and Schwarz $g^\top u \ge -\|g\|$ for $\|u\| = 1$, with equality for $u =
# -g/\|g\|$ alone. With $p = -\eta g$ the descent lemma gives
#
# $$
# E(w - \eta g) \le E(w) - \eta \left( 1 - \tfrac12 L \eta \right) \|g\|^2 :
# $$
#
# the cost falls for every learning rate $0 < \eta < 2/L$, and this bound is best for $\eta = 1/L$.
#
# **2. The quadratic model.** $m(p) = g^\top p + \tfrac12 p^\top H p$ has the gradient $g + Hp$. If $H$ is
# positive definite and $p^* = -H^{-1} g$, then $m(p) = m(p^*) + \tfrac12 (p - p^*)^\top H (p - p^*)$
# (multiply it out), so $p^*$ is the only minimum, and $m(p^*) = -\tfrac12 g^\top H^{-1} g$.
#
# **3. Conditions for a minimum.** If $g \ne 0$, then $E(w - \eta g) < E(w)$ for small $\eta$. If $g = 0$ and
# $Hv = \lambda v$, $\|v\| = 1$, then $E(w + tv) = E(w) + \tfrac12 \lambda t^2 + O(t^3)$: with $\lambda < 0$
# the cost falls both ways along $v$. If all $\lambda_i \ge \lambda_{\min} > 0$, then $E(w + p) \ge E(w) +
# (\tfrac12 \lambda_{\min} - \tfrac M6 \|p\|) \|p\|^2 > E(w)$ for small $p \ne 0$. ∎

# %% [markdown]
# ## In nnx
#
# [`nnx.grad`][nnx.grad] gives $g$, [`nnx.hessian`][nnx.hessian] gives $H$, and [`nnx.hvp`][nnx.hvp] gives
# $Hp$ without $H$: the derivative of the gradient along $p$.
#
# <!-- source: nnx.autodiff.transforms:hvp -->
#
# How small is "small"? What the quadratic model promises, $\tfrac12 g^\top H^{-1} g$, is the *Newton
# decrement*. It has the units of the cost, and nnx takes it to decide whether anything is left to gain ([what
# success means](../success.md)).

# %%
import matplotlib.pyplot as plt
import numpy as np

import nnx


def beale(w):
    x, y = w[0], w[1]
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


w = np.array([1.0, 0.5])
g, h = nnx.grad(beale)(w), nnx.hessian(beale)(w)
p = np.array([0.6, -0.8])  # of length 1
steps = 2.0 ** -np.arange(1, 11)
first = np.array([abs(beale(w + t * p) - beale(w) - t * (g @ p)) for t in steps])
second = np.array([abs(beale(w + t * p) - beale(w) - t * (g @ p) - 0.5 * t**2 * (p @ h @ p)) for t in steps])
print("   t       error, 1st order  ratio   error, 2nd order  ratio")
for i in range(1, len(steps)):
    print(f"{steps[i]:.5f}   {first[i]:.3e}         {first[i - 1] / first[i]:.2f}    {second[i]:.3e}         "
          f"{second[i - 1] / second[i]:.2f}")  # fmt: skip

# %% [markdown]
# Halving the step divides the error of the first order by 4, that of the second order by 8. On logarithmic
# axes these are lines of slope 2 and 3.

# %%
# figure: two straight lines on logarithmic axes: first order with slope 2, second order with slope 3
figure, axes = plt.subplots(figsize=(6, 4))
axes.loglog(steps, first, "o-", label="first order")
axes.loglog(steps, second, "s-", label="second order")
axes.set_xlabel("length of the step")
axes.set_ylabel("error of the Taylor polynomial")
axes.legend()

# %% [markdown]
# ## Assertions
#
# The orders, from the last halvings (from there on higher terms no longer matter at the second decimal).

# %%
order_first = np.log2(first[-2] / first[-1])
order_second = np.log2(second[-2] / second[-1])
print(order_first, order_second)
# one further term of the series changes the order by about the last step, 2⁻¹⁰, times a ratio of derivatives
assert abs(order_first - 2.0) < 0.02 and abs(order_second - 3.0) < 0.02

# %% [markdown]
# The derivatives themselves, by hand. With $u_k = c_k - x + x y^k$ and $E = u_1^2 + u_2^2 + u_3^2$: $\nabla
# u_k = (y^k - 1,\; k x y^{k-1})$, $g = 2 \sum u_k \nabla u_k$, $H = 2 \sum (\nabla u_k \nabla u_k^\top + u_k
# \nabla^2 u_k)$.

# %%
x, y = w
by_hand_g, by_hand_h = np.zeros(2), np.zeros((2, 2))
for k, c in ((1, 1.5), (2, 2.25), (3, 2.625)):
    u = c - x + x * y**k
    du = np.array([y**k - 1.0, k * x * y ** (k - 1)])
    cross = k * y ** (k - 1)
    ddu = np.array([[0.0, cross], [cross, k * (k - 1) * x * y ** max(k - 2, 0)]])
    by_hand_g += 2.0 * u * du
    by_hand_h += 2.0 * (np.outer(du, du) + u * ddu)
assert np.allclose(g, by_hand_g, rtol=1e-14, atol=0) and np.allclose(h, by_hand_h, rtol=1e-14, atol=1e-14)
assert np.allclose(nnx.hvp(beale, w, p), by_hand_h @ p, rtol=1e-13)  # rounding of a few products

# %% [markdown]
# Claim 1: of 100 000 directions none falls faster than $-g/\|g\|$. Claim 2, where $H$ is positive definite
# (at the minimum, moved a little): the model's minimum and its fall.

# %%
rng = np.random.default_rng(0)
directions = rng.normal(size=(100_000, 2))
directions /= np.linalg.norm(directions, axis=1, keepdims=True)
assert (directions @ g).min() >= -np.linalg.norm(g) * (1.0 + 1e-15)
near = np.array([2.9, 0.48])
g, h = nnx.grad(beale)(near), nnx.hessian(beale)(near)
assert np.all(np.linalg.eigvalsh(h) > 0.0)
best = np.linalg.solve(h, -g)
model = lambda p: g @ p + 0.5 * p @ h @ p  # noqa: E731
assert np.isclose(model(best), -0.5 * g @ np.linalg.solve(h, g), rtol=1e-12)
assert all(model(best + 1e-2 * d) > model(best) for d in directions[:1000])
print("the model promises", -model(best), "and the cost falls by", beale(near) - beale(near + best))

# %% [markdown]
# Claim 3 at the two stationary points of Beale's function that are known in closed form: the minimum $(3,
# \tfrac12)$ and the saddle point $(0, 1)$.

# %%
for point in (np.array([3.0, 0.5]), np.array([0.0, 1.0])):
    values = np.linalg.eigvalsh(nnx.hessian(beale)(point))
    print(point, "gradient", nnx.grad(beale)(point), "eigenvalues of H", values)
    assert np.all(nnx.grad(beale)(point) == 0.0)  # exact: all numbers are short binary fractions
minimum, saddle = (np.linalg.eigvalsh(nnx.hessian(beale)(np.array(q))) for q in ([3.0, 0.5], [0.0, 1.0]))
assert np.all(minimum > 0.0) and saddle[0] < 0.0 < saddle[1]

# %% [markdown]
# ## When it fails
#
# - **No derivative.** The theorem needs it: at the kink of $|x|$ or `relu` the error of the first order
#   does not fall as $t^2$. nnx gives one-sided or split derivatives there, see
#   [differentiation](../differentiation.md).
# - **$H$ singular at a stationary point.** Claim 3 is silent: $x^4$ has a minimum at 0, $x^3$ has none, and
#   both have $g = 0$, $H = 0$.
# - **Far away.** $\tfrac M6 \|p\|^3$ is a bound for small steps. A model is trusted only as far as it was
#   seen to hold: [line searches](line_search.md) and [trust regions](trust_regions.md).
# - **Small differences.** $E(w + p) - E(w)$ loses all its digits when it falls below the rounding of $E$:
#   for a cost of size 1 in double precision with $\|p\|$ below about $10^{-8}$ at a minimum.

# %%
at_kink = nnx.grad(np.abs)(0.0)
kinked = [abs(t) - at_kink * t for t in steps]
print("derivative of |x| at 0:", at_kink, " halving the step divides the error by", kinked[-2] / kinked[-1])
assert kinked[-2] / kinked[-1] == 2.0  # not 4

# %% [markdown]
# ## References
#
# - B. Taylor, *Methodus incrementorum directa et inversa*, London 1715.
# - J. Nocedal, S. J. Wright, *Numerical Optimization*, 2nd ed., Springer 2006: Theorem 2.1 (p. 14),
#   Theorems 2.2–2.4 (pp. 15–16).
# - A. R. Conn, N. I. M. Gould, P. L. Toint, *Trust-Region Methods*, SIAM 2000: section 3.1.
# - E. M. L. Beale, *On an iterative method for finding a local minimum of a function of more than one
#   variable*, Technical Report 25, Princeton University 1958.
