# %% [markdown]
# # The secant equation
#
# ## Claim
#
# Newton's method needs the Hessian $H$. Two gradients already say something about it. With the step $s =
# w_k - w_{k-1}$ and the change of the gradient $r = g_k - g_{k-1}$,
#
# $$
# r = \bar H s, \qquad \bar H = \int_0^1 \nabla^2 E(w_{k-1} + t s)\, dt ,
# $$
#
# where $\bar H$ is the mean Hessian along the step. So an approximation $B$ of $H$ should satisfy the
# **secant equation** $B s = r$, and an approximation $V$ of $H^{-1}$ its dual form
#
# $$
# V r = s .
# $$
#
# 1. For $n = 1$ it determines $V = s/r$: the secant method, which converges with the order $\tfrac12 (1 +
#    \sqrt 5) \approx 1.618$.
# 2. For $n > 1$ it is $n$ equations for the $\tfrac12 n(n+1)$ entries of a symmetric $V$: one asks for the
#    solution that changes $V$ least ([BFGS and DFP](bfgs.md)).
# 3. It has a symmetric positive definite solution if and only if $s^\top r > 0$.

# %% [markdown]
# ## Derivation
#
# **The mean Hessian.** The function $t \mapsto \nabla E(w_{k-1} + ts)$ has the derivative $\nabla^2
# E(w_{k-1} + ts)\, s$. Its integral from 0 to 1 is $g_k - g_{k-1}$. ∎ On a quadratic $\bar H = H$ exactly.
#
# **1. One dimension.** $B = r/s$ is the slope of the chord through two values of $E'$, and $w_{k+1} = w_k -
# g_k\, s/r$ is where that chord is 0. Let $e_k = w_k - w^*$ and $E'(w^* + e) = a e + b e^2 + O(e^3)$, $a \neq
# 0$. Then $r/s = a + b (e_k + e_{k-1}) + \dots$ and
#
# $$
# e_{k+1} = e_k - \frac{a e_k + b e_k^2 + \dots}{a + b(e_k + e_{k-1}) + \dots} \approx \frac ba\, e_k e_{k-1}
# .
# $$
#
# With $|e_{k+1}| \approx C |e_k|^q$ this needs $q^2 = q + 1$, so $q = \tfrac12(1 + \sqrt 5)$.
#
# **3. The sign.** If $V$ is positive definite and $V r = s$, $r \ne 0$, then $s^\top r = r^\top V r > 0$.
# Conversely, let $s^\top r > 0$. Then
#
# $$
# V = \gamma \left( I - \frac{s r^\top}{s^\top r} \right) \left( I - \frac{r s^\top}{s^\top r} \right) +
# \frac{s s^\top}{s^\top r}, \qquad \gamma > 0 ,
# $$
#
# satisfies $V r = s$, since the right bracket sends $r$ to 0; and it is positive definite: in $x^\top V x$
# both terms are $\ge 0$; if the second vanishes then $s^\top x = 0$, and the first is $\gamma \|x\|^2$. ∎
#
# **When is $s^\top r > 0$?** On a convex function always ($s^\top r = s^\top \bar H s$). On others it is the
# [line search](line_search.md) that sees to it: a step that satisfies the curvature condition of Wolfe has
# $s^\top r \ge (1 - c_2)\, \alpha\, |\varphi'(0)| > 0$.
#
# **A number instead of a matrix.** The best multiple of $I$ for $V r = s$ in the sense of least squares,
# $\min_\gamma \|\gamma r - s\|$, is
#
# $$
# \gamma = \frac{s^\top r}{r^\top r} ,
# $$
#
# the inverse of a Rayleigh quotient of the Hessian. nnx gives $V$ that size before its first update, so that
# the units of the cost do not matter.

# %% [markdown]
# ## In nnx
#
# Pairs whose $s^\top r$ is not positive beyond rounding are not used:
#
# <!-- source: nnx.optimizers.descent.quasi_newton:safely_positive -->
#
# What all variable metric methods do with a pair:
#
# <!-- source: nnx.optimizers.descent.quasi_newton:QuasiNewton.learn -->

# %%
import numpy as np
from scipy.integrate import quad_vec
from scipy.optimize import root_scalar

import nnx


def beale(w):
    x, y = w[0], w[1]
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


before, now = np.array([2.0, 0.2]), np.array([2.5, 0.4])
s, r = now - before, nnx.grad(beale)(now) - nnx.grad(beale)(before)
mean_hessian, _ = quad_vec(lambda t: nnx.hessian(beale)(before + t * s), 0.0, 1.0, epsabs=1e-12)
print("r", r, " mean Hessian times s", mean_hessian @ s)
assert np.allclose(mean_hessian @ s, r, rtol=1e-10)  # the quadrature's accuracy

# %% [markdown]
# ## Assertions
#
# Every variable metric method of nnx ends each of its updates with $V r = s$. Here each iteration's pair is
# made from the iterates outside, and compared with the `hess_inv` that the method has after so many steps.


# %%
def rosenbrock(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


start = np.array([-1.2, 1.0, 0.7])
for method in ("bfgs", "dfp", "lbfgs"):
    for steps in (1, 2, 5, 10):
        points = [start]
        v = nnx.minimize(
            rosenbrock,
            start,
            method=method,
            options={"maxiter": steps},
            callback=lambda x: points.append(x.copy()),  # noqa: B023
        ).hess_inv
        s = points[-1] - points[-2]
        r = nnx.grad(rosenbrock)(points[-1]) - nnx.grad(rosenbrock)(points[-2])
        # relative to the sizes that are added up in V r: r is in the hundreds, so rounding is seen at 1e-12
        assert np.allclose(v @ r, s, rtol=1e-9, atol=1e-12 * np.linalg.norm(r))
        assert s @ r > 0.0
print("V r", v @ r, " s", s)

# %% [markdown]
# The symmetric rank-one update `"sr1"` satisfies $Bs = r$ too, but its $B$ may be indefinite: it goes with a
# [trust region](trust_regions.md).
#
# **Claim 1**, with the secant method for $E' = 0$, $E = \cosh(w - 1) + 0.2 (w - 1)^3$; SciPy's secant method
# finds the same root. The products $e_{k+1}/(e_k e_{k-1})$ tend to $b/a$. For $n = 1$ BFGS has $V = s/r$
# after each step.

# %%
slope = nnx.grad(lambda w: np.cosh(w - 1.0) + 0.2 * (w - 1.0) ** 3)
w = [1.3, 1.2]
while abs(w[-1] - 1.0) > 1e-12 and len(w) < 12:
    w.append(w[-1] - slope(w[-1]) * (w[-1] - w[-2]) / (slope(w[-1]) - slope(w[-2])))
e = np.abs(np.array(w) - 1.0)
products = e[2:] / (e[1:-1] * e[:-2])
print("errors", e)
print("e₊/(e·e₋)", products, " b/a = E'''/(2E'') =", 0.6)
assert abs(products[-2] - 0.6) < 0.01  # the last one is rounding
theirs = root_scalar(slope, x0=1.3, x1=1.2, method="secant")
assert abs(theirs.root - 1.0) < 1e-10

one = nnx.minimize(lambda w: np.sum(np.cosh(w - 1.0) + 0.2 * (w - 1.0) ** 3), [1.2], method="bfgs",
                   options={"maxiter": 1})  # fmt: skip
s, r = one.x[0] - 1.2, slope(one.x[0]) - slope(1.2)
assert np.isclose(one.hess_inv[0, 0], s / r, rtol=1e-12)  # rounding of a difference of close gradients

# %% [markdown]
# **Claim 3** on random pairs: the constructed $V$ is positive definite exactly where $s^\top r > 0$.

# %%
rng = np.random.default_rng(0)
signs = []
for _ in range(200):
    s, r = rng.normal(size=4), rng.normal(size=4)
    sr = s @ r
    shift = np.eye(4) - np.outer(r, s) / sr
    v = shift.T @ shift + np.outer(s, s) / sr
    assert np.allclose(v @ r, s, rtol=1e-6, atol=1e-8)  # sᵀr may be small, and 1/sᵀr large
    assert bool(np.linalg.eigvalsh(v)[0] > 0.0) == (sr > 0.0)
    signs.append(sr > 0.0)
assert 80 < sum(signs) < 120  # both cases were seen

# %% [markdown]
# ## When it fails
#
# - **$s^\top r \le 0$.** Along a direction of negative curvature, after a search that asks for values only
#   (`"armijo"`). nnx skips the update. Damping it (Powell 1978) or SR1 are other ways.
# - **Rounding.** Near a minimum $r$ is a difference of nearly equal gradients, and its last digits are
#   noise. This is why `safely_positive` compares $s^\top r$ with $\varepsilon \|s\| \|r\|$ and not with 0.
# - **Noise.** Gradients of *different* mini-batches differ by more than $\bar H s$. nnx's variable metric
#   methods therefore take all samples in each step, and refuse a smaller `batch_size`.

# %%
concave = nnx.minimize(
    lambda w: np.sum(np.cos(w)), [0.3], method="bfgs", options={"maxiter": 1, "search": "armijo"}
)
s, r = concave.x[0] - 0.3, -np.sin(concave.x[0]) + np.sin(0.3)
print("sᵀr =", s * r, " V =", concave.hess_inv)
assert s * r < 0.0 and concave.hess_inv[0, 0] == 1.0  # no update: V is still I

# %% [markdown]
# ## References
#
# - W. C. Davidon, *Variable metric method for minimization*, report ANL-5990 (1959); SIAM J. Optim. 1
#   (1991) 1–17.
# - C. G. Broyden, *A class of methods for solving nonlinear simultaneous equations*, Math. Comp. 19 (1965)
#   577–593.
# - J. Nocedal, S. J. Wright, *Numerical Optimization*, 2nd ed., Springer 2006: section 6.1, equations
#   (6.6)–(6.8) (pp. 136–138), the first size of $V$: (6.20), p. 143.
# - J. E. Dennis, J. J. Moré, *Quasi-Newton methods, motivation and theory*, SIAM Review 19 (1977) 46–89.
# - J. Barzilai, J. M. Borwein, *Two-point step size gradient methods*, IMA J. Numer. Anal. 8 (1988) 141–148
#   ($\gamma$).
