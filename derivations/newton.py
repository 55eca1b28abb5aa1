# %% [markdown]
# # Newton's method
#
# ## Claim
#
# Newton's method steps to the stationary point of the quadratic [Taylor polynomial](taylor.md):
#
# $$
# p = -H^{-1} g, \qquad w_{k+1} = w_k + \eta_k\, p_k .
# $$
#
# 1. $p$ is a **descent direction** where $H$ is positive definite and $g \ne 0$.
# 2. Newton's steps do not depend on the units of the weights: it is **affine invariant**.
# 3. Let $w^*$ be a minimum where $H$ is positive definite, and let $H$ be Lipschitz continuous with
#    constant $M$ near it. From a start close enough, full steps ($\eta = 1$) converge **quadratically**:
#
#     $$
#     \|w_{k+1} - w^*\| \le M \|H(w^*)^{-1}\| \; \|w_k - w^*\|^2 .
#     $$
#
#     Gradient descent with a fixed rate converges linearly: $\|w_{k+1} - w^*\| \le c\, \|w_k - w^*\|$ with $c
#     \ge (\kappa - 1)/(\kappa + 1)$ in the worst case, $\kappa$ the condition number of $H(w^*)$. With exact
#     searches instead of a rate, a step on a quadratic multiplies $E - E^*$ by up to $\left( (\kappa -
#     1)/(\kappa + 1) \right)^2$: the same speed.
# 4. Where $H$ is not positive definite $p$ may point uphill. With the first $\tau \ge 0$ that makes $H +
#    \tau I$ positive definite, $p = -(H + \tau I)^{-1} g$ is a descent direction again.

# %% [markdown]
# ## Derivation
#
# **1. Descent.** $g^\top p = -g^\top H^{-1} g < 0$, for the inverse of a positive definite matrix is positive
# definite.
#
# **2. Units.** Let $w = A v$ with an invertible $A$, and $F(v) = E(Av)$. Then $\nabla F = A^\top g$,
# $\nabla^2 F = A^\top H A$, and $-(\nabla^2 F)^{-1} \nabla F = -A^{-1} H^{-1} A^{-\top} A^\top g = A^{-1} p$:
# the same step in other units. A gradient step in $v$ is $-A^\top g$; the one in $w$, written in $v$, is
# $-A^{-1} g$: another one.
#
# **3. Quadratic convergence.** Write $e_k = w_k - w^*$. Since $g(w^*) = 0$,
#
# $$
# g_k = g(w_k) - g(w^*) = \int_0^1 H(w^* + t e_k)\, e_k\, dt ,
# $$
#
# and so
#
# $$
# e_{k+1} = e_k - H_k^{-1} g_k = H_k^{-1} \left( H_k e_k - g_k \right) = H_k^{-1} \int_0^1 \left( H(w_k) -
# H(w^* + t e_k) \right) e_k\, dt .
# $$
#
# The points $w_k$ and $w^* + t e_k$ are $(1 - t)\|e_k\|$ apart. So the integral is at most $\int_0^1 M (1 -
# t) \|e_k\|^2 dt = \tfrac M2 \|e_k\|^2$ and
#
# $$
# \|e_{k+1}\| \le \tfrac M2 \|H_k^{-1}\|\, \|e_k\|^2 .
# $$
#
# Close to $w^*$, $\|H_k^{-1}\| \le 2 \|H(w^*)^{-1}\|$ by continuity. This is the claim. If $M \|H(w^*)^{-1}\|
# \|e_0\| < 1$, the error falls in every step and the bound applies to all of them. ∎
#
# In words: the number of right digits doubles in every step. In one dimension the constant can be read off:
# $e_{k+1} \approx \frac{E'''(w^*)}{2 E''(w^*)}\, e_k^2$.
#
# For **gradient descent** on the quadratic $\tfrac12 e^\top H e$: $e_{k+1} = (I - \eta H)\, e_k$. The
# component along an eigenvector is multiplied by $1 - \eta\lambda$. The largest factor $\max(|1 - \eta
# \lambda_{\min}|, |1 - \eta \lambda_{\max}|)$ is smallest for $\eta = 2/(\lambda_{\min} + \lambda_{\max})$,
# where it is $(\kappa - 1)/(\kappa + 1)$.
#
# With **exact searches**, $\eta = g^\top g / g^\top H g$, the cost falls by $(g^\top g)^2 / (2\, g^\top H g)$
# in a step, and $E - E^* = \tfrac12\, g^\top H^{-1} g$. So
#
# $$
# \frac{E_{k+1} - E^*}{E_k - E^*} = 1 - \frac{(g^\top g)^2}{g^\top H g \; g^\top H^{-1} g} \le \left(
# \frac{\kappa - 1}{\kappa + 1} \right)^2 .
# $$
#
# The bound is *Kantorovich's inequality*. Let $a = \lambda_{\min}$, $b = \lambda_{\max}$ and $\|g\| = 1$.
# Every eigenvalue has $(\lambda - a)(b - \lambda) \ge 0$, that is $1/\lambda \le (a + b - \lambda)/(ab)$.
# With $t = g^\top H g$ therefore $t \cdot g^\top H^{-1} g \le t\, (a + b - t)/(ab) \le (a + b)^2/(4ab)$, and
# $1 - 4ab/(a + b)^2 = \left( (b - a)/(b + a) \right)^2$. ∎
#
# **4. Indefinite $H$.** $H + \tau I$ has the eigenvalues $\lambda_i + \tau$, so every $\tau >
# -\lambda_{\min}$ makes it positive definite, and $g^\top (H + \tau I)^{-1} g > 0$. Large $\tau$ gives $p
# \approx -g/\tau$, a short step of gradient descent. Whether a matrix is positive definite is found out by
# trying its Cholesky factors: they exist exactly then, and they are what solves the system.

# %% [markdown]
# ## In nnx
#
# <!-- source: nnx.optimizers.descent.newton:newton_direction -->
#
# The length $\eta$ comes from a [line search](line_search.md) that tries 1 first:
#
# <!-- source: nnx.optimizers.descent.newton:Newton.first_trial -->

# %%
import matplotlib.pyplot as plt
import numpy as np

import nnx


def cost(w):
    return np.sum(np.cosh(w - 1.0)) + 0.2 * (w[0] - 1.0) ** 3 + 0.5 * (w[0] - w[1]) ** 2


minimum = np.ones(2)
assert np.all(nnx.grad(cost)(minimum) == 0.0)


def path_of(method, start, f=cost, **options):
    """The iterates of a run, the start included."""
    iterates = [np.asarray(start)]
    nnx.minimize(f, start, method=method, options=options, callback=lambda x: iterates.append(x.copy()))
    return np.array(iterates)


path = path_of("newton", [1.6, 0.4])
errors = np.linalg.norm(path - minimum, axis=1)
h = nnx.hessian(cost)(minimum)
eta = 2.0 / np.linalg.eigvalsh(h)[[0, -1]].sum()
v, slow = np.array([1.6, 0.4]), []
for _ in range(40):
    slow.append(np.linalg.norm(v - minimum))
    v = v - eta * nnx.grad(cost)(v)
slow = np.array(slow)
for k in range(len(errors)):
    print(f"step {k}: Newton's error {errors[k]:.2e}   gradient descent's {slow[k]:.2e}")

# %%
# figure: errors by step, logarithmic: Newton's curve bends down, gradient descent's is a straight line
figure, axes = plt.subplots(figsize=(6, 4))
axes.semilogy(np.maximum(errors, 1e-17), "o-", label="Newton: quadratic")
axes.semilogy(slow, ".-", label="gradient descent, best fixed rate: linear")
axes.set_xlabel("step")
axes.set_ylabel(r"$\|w_k - w^*\|$")
axes.legend()

# %% [markdown]
# ## Assertions
#
# **Quadratic.** The bound of the proof, with $M$ over a ball that holds all iterates. The third derivatives
# of this cost are $\sinh(w_i - 1)$, and 1.2 more for $w_0$, so $M = \sinh(0.7) + 1.2$ within 0.7 of the
# minimum in each coordinate.

# %%
m = np.sinh(0.7) + 1.2
ratios = []
for before, e, after in zip(path[:-1], errors[:-1], errors[1:], strict=True):
    inverse = np.linalg.norm(np.linalg.inv(nnx.hessian(cost)(before)), 2)
    if e > 1e-8:  # below, e² is smaller than the rounding of w = 1
        assert np.all(np.abs(before - minimum) <= 0.7)
        assert after <= 0.5 * m * inverse * e**2 + 1e-15
        ratios.append(after / e**2)
print("‖e₊‖/‖e‖²:", ratios)

# %% [markdown]
# **Linear.** The last ratios of gradient descent's errors tend to $(\kappa - 1)/(\kappa + 1)$.

# %%
values = np.linalg.eigvalsh(h)
kappa = values[-1] / values[0]
print(slow[-1] / slow[-2], (kappa - 1.0) / (kappa + 1.0))
assert np.isclose(
    slow[-1] / slow[-2], (kappa - 1.0) / (kappa + 1.0), rtol=1e-3
)  # the higher terms have died out

# %% [markdown]
# **Exact searches.** The bound for random $H$ and $g$, and the start at which every step attains it: $w =
# (\kappa, 1)$ on $H = \mathrm{diag}(1, \kappa)$, followed by nnx.

# %%
rng = np.random.default_rng(0)
for _ in range(1000):
    a = rng.normal(size=(4, 4))
    q, g = a @ a.T + 0.1 * np.eye(4), rng.normal(size=4)
    ratio = 1.0 - (g @ g) ** 2 / ((g @ q @ g) * (g @ np.linalg.solve(q, g)))
    k = np.linalg.cond(q)
    assert ratio <= ((k - 1.0) / (k + 1.0)) ** 2 + 1e-12  # rounding times the condition, some hundreds

exact = nnx.optimizers.searches.Brent(xtol=1e-10)
zigzag = path_of("steepest_descent", [10.0, 1.0], lambda w: 0.5 * (w[0] ** 2 + 10.0 * w[1] ** 2),
                 search=exact, maxiter=10)  # fmt: skip
costs = 0.5 * (zigzag[:, 0] ** 2 + 10.0 * zigzag[:, 1] ** 2)
print("ratios of the cost:", costs[1:] / costs[:-1], " bound", (9.0 / 11.0) ** 2)
assert np.allclose(costs[1:] / costs[:-1], (9.0 / 11.0) ** 2, rtol=1e-6)  # Brent's α has half the digits

# %% [markdown]
# **The formula.** One step of nnx is $-H^{-1}g$ to rounding; on a quadratic it is the whole way, from
# anywhere. **Units.** Scaling the weights by factors of $10^{-3}$ to $10^3$ leads along the same points.

# %%
start = np.array([1.6, 0.4])
one = path_of("newton", start, maxiter=1, search="none")[1]
assert np.allclose(one, start - np.linalg.solve(nnx.hessian(cost)(start), nnx.grad(cost)(start)), rtol=1e-14)

a = rng.normal(size=(5, 5))
q, b = a @ a.T + np.eye(5), rng.normal(size=5)
to_the_end = nnx.minimize(lambda w: 0.5 * w @ q @ w - b @ w, 10.0 * rng.normal(size=5), method="newton",
                          options={"maxiter": 1}).x  # fmt: skip
assert np.allclose(
    to_the_end, np.linalg.solve(q, b), rtol=1e-10
)  # the condition of q, about 30, times rounding

units = np.array([1e-3, 1e3])
scaled = path_of("newton", start / units, lambda v: cost(units * v)) * units
assert np.allclose(scaled[:5], path[:5], rtol=1e-9)  # the condition of the scaled H is 1e12, and costs digits

# %% [markdown]
# **Indefinite.** At $w = (0, 0.1)$ of $E = w_0^4 - w_0^2 + w_1^2 + w_0$ the Hessian has eigenvalues of both
# signs, and $-H^{-1}g$ points uphill. nnx's direction points down, and it is $-(H + \tau I)^{-1}g$ for a
# $\tau > -\lambda_{\min}$: from $(H + \tau I)p = -g$ follows $\tau p = -g - Hp$, so that vector must be a
# multiple of $p$.

# %%
from nnx.optimizers.descent.newton import newton_direction


def double_well(w):
    return w[0] ** 4 - w[0] ** 2 + w[1] ** 2 + w[0]


w = np.array([0.0, 0.1])
g, h = nnx.grad(double_well)(w), nnx.hessian(double_well)(w)
plain, ours = np.linalg.solve(h, -g), newton_direction(h, g)
print("eigenvalues of H", np.linalg.eigvalsh(h), " gᵀp: plain", g @ plain, " nnx", g @ ours)
assert g @ plain > 0.0 > g @ ours
tau = (-g - h @ ours) / ours
assert np.isclose(tau[0], tau[1], rtol=1e-12) and tau[0] > -np.linalg.eigvalsh(h)[0]
result = nnx.minimize(double_well, w, method="newton")
assert result.success and np.all(np.linalg.eigvalsh(nnx.hessian(double_well)(result.x)) > 0.0)
print("τ =", tau[0], " minimum", result.x)

# %% [markdown]
# ## When it fails
#
# - **Far from the minimum full steps may diverge.** For $E = \sqrt{1 + w^2}$ Newton's step leads from $w$
#   to $-w^3$: from $|w| > 1$ the errors are cubed. A line search repairs that.
# - **Singular $H$ at the minimum.** For $w^4$ the error is multiplied by $\tfrac23$ in each step: linear,
#   not quadratic.
# - **At a saddle point** with $g = 0$ exactly no direction is found, by no method that uses $g$ alone.
# - **Price.** $n^2$ numbers and about $\tfrac13 n^3$ multiplications for the factors: [the cost of the
#   Hessian](hessian_cost.md). For many weights: [BFGS](bfgs.md) and its L-BFGS form, or conjugate gradients
#   on products $Hv$ ([trust regions](trust_regions.md)).


# %%
def hyperbola(w):
    return np.sum(np.sqrt(1.0 + w * w))


w, plain = 1.5, [1.5]
for _ in range(3):
    w = w - nnx.grad(hyperbola)(w) / nnx.hessian(hyperbola)(w)
    plain.append(w)
searched = nnx.minimize(hyperbola, [1.5], method="newton")
print("full steps:", plain, " with a line search:", searched.x)
assert np.allclose(plain[1:], [-(q**3) for q in plain[:-1]], rtol=1e-8)
assert searched.success and abs(searched.x[0]) < 1e-8  # where E differs from 1 by less than rounding

quartic = path_of("newton", [1.0], lambda w: np.sum(w**4), maxiter=8, search="none")[:, 0]
assert np.allclose(quartic[1:] / quartic[:-1], 2.0 / 3.0, rtol=1e-12)

# %% [markdown]
# ## References
#
# - J. Nocedal, S. J. Wright, *Numerical Optimization*, 2nd ed., Springer 2006: Theorem 3.5 (quadratic
#   convergence, p. 44), section 3.4 (modified Hessians, pp. 48–56), algorithms 3.2 (p. 48) and 3.3 (p. 51).
# - J. E. Dennis, R. B. Schnabel, *Numerical Methods for Unconstrained Optimization and Nonlinear
#   Equations*, SIAM 1996: Theorem 5.2.1 (p. 90), section 5.5.
# - L. V. Kantorovich, *Functional analysis and applied mathematics*, Uspekhi Mat. Nauk 3:6 (1948) 89–185.
# - T. J. Ypma, *Historical development of the Newton–Raphson method*, SIAM Review 37 (1995) 531–551.
