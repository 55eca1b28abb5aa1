# %% [markdown]
# # Conjugate gradients
#
# ## Claim
#
# Steepest descent undoes in one step what it won in another. Conjugate gradients keep one vector of memory,
# the last direction $p$, and go along
#
# $$
# p \leftarrow -n + \beta p ,
# $$
#
# where $g$ and $n$ are the gradients before and after the last step, $y = n - g$, and
#
# $$
# \beta = \frac{n^\top n}{g^\top g} \;\text{(Fletcher–Reeves)}, \qquad \beta = \frac{n^\top y}{g^\top g}
# \;\text{(Polak–Ribière)}, \qquad \beta = \frac{n^\top y}{p^\top y} \;\text{(Hestenes–Stiefel)}, \qquad
# \beta = \frac{n^\top n}{p^\top y} \;\text{(Dai–Yuan)} .
# $$
#
# 1. On a quadratic $E = \tfrac12 w^\top H w - c^\top w$ with exact searches all four are equal, the
#    directions are **conjugate**, $p_i^\top H p_j = 0$, and the minimum is reached after at most $n$ steps;
#    after as many as $H$ has different eigenvalues.
# 2. Before that, the error falls in each step by a factor that depends on the *root* of the condition
#    number $\kappa$ of $H$:
#
#     $$
#     \|w_k - w^*\|_H \le 2 \left( \frac{\sqrt\kappa - 1}{\sqrt\kappa + 1} \right)^k \|w_0 - w^*\|_H, \qquad
#     \|e\|_H^2 = e^\top H e .
#     $$
#
# 3. On any function, Fletcher–Reeves gives descent directions if the searches keep the [strong Wolfe
#    conditions](line_search.md) with $c_2 < \tfrac12$.

# %% [markdown]
# ## Derivation
#
# **1. Conjugate directions.** Let $p_0, \dots, p_{n-1}$ be conjugate, and take exact steps, $w_{k+1} = w_k +
# \alpha_k p_k$ with $g_{k+1}^\top p_k = 0$. Then $g_{k+1}$ is orthogonal to *all* directions so far, for
# $g_{k+1} = g_{j+1} + \sum_{i=j+1}^{k} \alpha_i H p_i$, and the product of $p_j$ with each term is 0. After
# $n$ steps $g_n$ is orthogonal to $n$ independent vectors: $g_n = 0$.
#
# *Making them.* Take $-g_k$ and subtract what is not conjugate to the earlier directions (Gram and Schmidt
# with the inner product $u^\top H v$): $p_k = -g_k + \sum_{j<k} \beta_{kj} p_j$ with
#
# $$
# \beta_{kj} = \frac{g_k^\top H p_j}{p_j^\top H p_j} = \frac{g_k^\top (g_{j+1} - g_j)}{p_j^\top (g_{j+1} -
# g_j)},
# $$
#
# since $\alpha_j H p_j = g_{j+1} - g_j$. Every $g_j$ with $j < k$ lies in the span of $p_0, \dots, p_{j}$, to
# which $g_k$ is orthogonal. So $\beta_{kj} = 0$ for $j < k - 1$: **one direction of memory is enough.** For
# $j = k - 1$ the formula is Hestenes and Stiefel's. With $n^\top p = 0$ (exact search) and $g^\top p =
# -g^\top g$ (as $g$ is orthogonal to the direction before) its denominator is $p^\top y = g^\top g$: Polak
# and Ribière's. With $n^\top g = 0$ besides, the numerator is $n^\top n$: Fletcher and Reeves'. On other
# functions these equalities do not hold, and the formulas differ.
#
# **2. The bound.** The directions span the Krylov space of $g_0, H g_0, \dots, H^{k-1} g_0$, and $w_k$
# minimises $E$, that is $\|w - w^*\|_H$, over $w_0$ plus that space. So with $e_0 = w_0 - w^*$, $g_0 = H
# e_0$,
#
# $$
# \|e_k\|_H = \min_{q} \|q(H)\, e_0\|_H \le \min_q \max_{\lambda} |q(\lambda)| \; \|e_0\|_H
# $$
#
# over the polynomials of degree $k$ with $q(0) = 1$; $\lambda$ runs over the eigenvalues. If $H$ has only $m$
# different ones, $q(\lambda) = \prod_i (1 - \lambda/\lambda_i)$ is 0 at all of them: $e_m = 0$. In general
# the Chebyshev polynomial $T_k$, shifted to $[\lambda_{\min}, \lambda_{\max}]$, is at most
# $1/T_k\!\left(\frac{\kappa + 1}{\kappa - 1}\right)$ there, and $T_k(x) = \tfrac12 \left( (x + \sqrt{x^2 -
# 1})^k + (x - \sqrt{x^2 - 1})^k \right) \ge \tfrac12 (x + \sqrt{x^2 - 1})^k$ with $x + \sqrt{x^2 - 1} =
# \frac{\sqrt\kappa + 1}{\sqrt\kappa - 1}$. ∎
#
# **3. Descent of Fletcher–Reeves** (Al-Baali). Let $\rho_k = g_k^\top p_k / \|g_k\|^2$. Then
#
# $$
# -\frac{1}{1 - c_2} \le \rho_k \le \frac{2 c_2 - 1}{1 - c_2} < 0 .
# $$
#
# For $k = 0$, $\rho_0 = -1$ lies between the two. From $p_{k+1} = -g_{k+1} + \frac{\|g_{k+1}\|^2}{\|g_k\|^2}
# p_k$ follows $\rho_{k+1} = -1 + g_{k+1}^\top p_k / \|g_k\|^2$, and the curvature condition says
# $|g_{k+1}^\top p_k| \le -c_2\, g_k^\top p_k$. So
#
# $$
# -1 + c_2 \rho_k \le \rho_{k+1} \le -1 - c_2 \rho_k ,
# $$
#
# and with $\rho_k \ge -1/(1 - c_2)$ the left side is at least $-1 - \frac{c_2}{1 - c_2} = -\frac1{1 - c_2}$,
# the right one at most $-1 + \frac{c_2}{1 - c_2} = \frac{2c_2 - 1}{1 - c_2}$. ∎

# %% [markdown]
# ## In nnx
#
# The direction, and what is learned from a step:
#
# <!-- source: nnx.optimizers.descent.conjugate_gradient:ConjugateGradient.direction -->
#
# <!-- source: nnx.optimizers.descent.conjugate_gradient:ConjugateGradient.learn -->
#
# Five rules for $\beta$ are registered. Polak–Ribière and Hestenes–Stiefel are cut at 0, $\beta = \max(0,
# \cdot)$: where the formula is negative, the method starts anew with $-n$. Fletcher–Reeves and Dai–Yuan start
# anew where successive gradients are far from orthogonal, $|g^\top n| \ge 0.2\, n^\top n$ (Powell's test).
# The default, Powell and Beale's rule, keeps one more direction. MATLAB's names work: `"traincgf"`,
# `"traincgp"`, `"traincgb"`. nnx's search has $c_2 = 0.1$ here.
#
# `"scg"` (MATLAB's `trainscg`) needs no search: on the quadratic model the exact length is $\alpha = -g^\top
# p / p^\top H p$, and $Hp$ costs a small multiple of a gradient ([the cost of the Hessian](hessian_cost.md)).
# Where $p^\top H p$ is not positive, $\lambda p^\top p$ is added.

# %%
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
from scipy.sparse.linalg import cg

import nnx
from nnx.optimizers.descent.conjugate_gradient import BETAS, InnerProducts


def linear_cg(h, c, steps):
    """The iterates of conjugate gradients for Hw = c from 0, and the directions."""
    w, g = np.zeros(len(c)), -c
    p, points, directions = -g, [np.zeros(len(c))], []
    for _ in range(steps):
        alpha = -(g @ p) / (p @ h @ p)
        w, n = w + alpha * p, g + alpha * h @ p
        points.append(w)
        directions.append(p)
        p, g = -n + (n @ n) / (g @ g) * p, n
    return np.array(points), np.array(directions)


rng = np.random.default_rng(0)
basis = np.linalg.qr(rng.normal(size=(6, 6)))[0]
h = basis @ np.diag([1.0, 3.0, 8.0, 20.0, 40.0, 100.0]) @ basis.T
c = rng.normal(size=6)
quadratic = lambda w: 0.5 * w @ h @ w - c @ w  # noqa: E731
points, directions = linear_cg(h, c, 6)
conjugate = directions @ h @ directions.T
print(np.abs(conjugate / np.sqrt(np.outer(np.diag(conjugate), np.diag(conjugate))) - np.eye(6)).max())

paths = {}
for beta in BETAS:
    paths[beta] = [np.zeros(6)]
    nnx.minimize(
        quadratic,
        np.zeros(6),
        method="cg",
        options={"beta": beta, "search": "brent", "maxiter": 6},
        callback=lambda w, path=paths[beta]: path.append(w.copy()),
    )
    print(f"{beta:17} farthest from linear CG: {np.abs(np.array(paths[beta]) - points).max():.1e}")

# %% [markdown]
# ## Assertions
#
# **Claim 1.** The directions are conjugate to rounding, six steps reach the minimum, nnx takes the same steps
# by each of its formulas, and SciPy's solver agrees. With three different eigenvalues three steps are enough.

# %%
solution = np.linalg.solve(h, c)
scaled = conjugate / np.sqrt(np.outer(np.diag(conjugate), np.diag(conjugate)))
assert np.abs(scaled - np.eye(6)).max() < 1e-10  # rounding times the condition, 100, over six steps
assert np.allclose(points[-1], solution, rtol=1e-9)
assert np.allclose(cg(h, c, rtol=1e-12)[0], solution, rtol=1e-9)
for path in paths.values():
    # Brent knows α to 1.5e-8 of it; errors of one direction enter the next times the condition, 100
    assert np.allclose(np.array(path)[:7], points, atol=1e-5)

three = basis @ np.diag([2.0, 2.0, 5.0, 5.0, 5.0, 9.0]) @ basis.T
assert np.allclose(linear_cg(three, c, 3)[0][-1], np.linalg.solve(three, c), rtol=1e-10)

# %% [markdown]
# **Claim 2.** 200 variables with eigenvalues spread from 1 to 1000: the error lies below the bound, and
# steepest descent needs hundreds of steps for what conjugate gradients do in some tens.

# %%
# figure: errors by step, logarithmic: steepest descent hardly falls, conjugate gradients below their bound
values = np.linspace(1.0, 1000.0, 200)
diagonal, right = np.diag(values), rng.normal(size=200)
exact = right / values
norm = lambda e: np.sqrt(e @ (values * e))  # noqa: E731
errors = np.array([norm(w - exact) for w in linear_cg(diagonal, right, 100)[0]])
ratio = (np.sqrt(1000.0) - 1.0) / (np.sqrt(1000.0) + 1.0)
bound = 2.0 * ratio ** np.arange(101) * errors[0]
w, steepest = np.zeros(200), []
for _ in range(101):
    g = values * w - right
    steepest.append(norm(w - exact))
    w = w - (g @ g) / (g @ (values * g)) * g
figure, axes = plt.subplots(figsize=(6, 4))
axes.semilogy(errors, label="conjugate gradients")
axes.semilogy(bound, "--", label="bound")
axes.semilogy(steepest, label="steepest descent, exact searches")
axes.set_xlabel("step")
axes.set_ylabel(r"$\|w_k - w^*\|_H$")
axes.legend()

# %%
assert np.all(errors <= bound * (1.0 + 1e-9))
assert errors[100] < 1e-3 * errors[0] and steepest[100] > 0.1 * steepest[0]

# %% [markdown]
# **The formulas** of nnx are those of the claim. Each run on Rosenbrock's function is followed from outside:
# the step that nnx makes must lie along the direction that the formula gives for the gradients at its
# iterates.


# %%
def rosenbrock(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


gradient = nnx.grad(rosenbrock)


def formula(beta, g, n, p):
    far = abs(g @ n) >= 0.2 * (n @ n)
    y = n - g
    return {
        "fletcher_reeves": 0.0 if far else (n @ n) / (g @ g),
        "polak_ribiere": max(0.0, (n @ y) / (g @ g)),
        "hestenes_stiefel": max(0.0, (n @ y) / (p @ y)),
        "dai_yuan": 0.0 if far else (n @ n) / (p @ y),
    }[beta]


start = np.array([-1.2, 1.0, 0.5])
for beta in ("fletcher_reeves", "polak_ribiere", "hestenes_stiefel", "dai_yuan"):
    path, least, restarts = [start], 1.0, 0
    result = nnx.minimize(
        rosenbrock,
        start,
        method="cg",
        options={"beta": beta, "maxiter": 40},
        callback=lambda x, path=path: path.append(x.copy()),
    )
    p = -gradient(start)
    for before, after in pairwise(path):
        g, n, s = gradient(before), gradient(after), after - before
        least = min(least, (s @ p) / np.linalg.norm(s) / np.linalg.norm(p))
        b = formula(beta, g, n, p)
        a = InnerProducts(g @ g, n @ n, g @ n, p @ g, p @ n)
        assert np.isclose(BETAS[beta](a), b, rtol=1e-9, atol=1e-12)
        assert abs(p @ n) <= 0.1 * abs(p @ g)  # the strong Wolfe condition, c₂ = 0.1
        if beta == "fletcher_reeves":  # claim 3
            assert -1.0 / 0.9 - 1e-12 <= (g @ p) / (g @ g) <= (0.2 - 1.0) / 0.9 + 1e-12
        restarts += b == 0.0
        p = -n + b * p
    print(
        f"{beta:17} cost {result.fun:.1e} after {result.nit} steps, {restarts} restarts, cosine {least:.12f}"
    )
    assert least > 1.0 - 1e-9  # every step lies along the formula's direction

# %% [markdown]
# ## When it fails
#
# - **Inexact searches.** Fletcher–Reeves with $c_2 \ge \tfrac12$ may give ascent directions. And after one
#   short step it goes on with short steps: if $p$ is nearly orthogonal to $g$, then $n \approx g$, $\beta
#   \approx 1$ and the next $p$ is nearly the last one. Polak–Ribière has $\beta \approx 0$ there, and starts
#   anew. That is why Fletcher–Reeves has Powell's restart in nnx.
# - **Polak–Ribière without the cut** can cycle for ever even with exact searches (Powell 1984).
# - **Rounding** destroys conjugacy where $\kappa$ is large: for a Hilbert matrix $n$ steps are not enough
#   (below).
# - **Where $n^2$ numbers fit into memory**, [BFGS](bfgs.md) needs fewer gradients: it does not forget.

# %%
hilbert = 1.0 / (np.arange(12)[:, None] + np.arange(12)[None, :] + 1.0)
ones = np.ones(12)
path, _ = linear_cg(hilbert, hilbert @ ones, 12)
residual = np.linalg.norm(hilbert @ (path[-1] - ones))
print("condition", np.linalg.cond(hilbert), " error after 12 steps", np.linalg.norm(path[-1] - ones))
assert np.linalg.norm(path[-1] - ones) > 1e-6 > residual  # far from the minimum, though the gradient is small

# %% [markdown]
# ## References
#
# - M. R. Hestenes, E. Stiefel, *Methods of conjugate gradients for solving linear systems*, J. Res. NBS 49
#   (1952) 409–436.
# - R. Fletcher, C. M. Reeves, *Function minimization by conjugate gradients*, Computer J. 7 (1964) 149–154.
# - E. Polak, G. Ribière, *Note sur la convergence de méthodes de directions conjuguées*, Rev. Fr. Inform.
#   Rech. Opér. 3 (1969) 35–43.
# - M. J. D. Powell, *Restart procedures for the conjugate gradient method*, Math. Programming 12 (1977)
#   241–254; *Nonconvex minimization calculations and the conjugate gradient method*, Lecture Notes in
#   Mathematics 1066 (1984) 122–141.
# - M. Al-Baali, *Descent property and global convergence of the Fletcher–Reeves method with inexact line
#   search*, IMA J. Numer. Anal. 5 (1985) 121–124.
# - Y. H. Dai, Y. Yuan, *A nonlinear conjugate gradient method with a strong global convergence property*,
#   SIAM J. Optim. 10 (1999) 177–182.
# - M. F. Møller, *A scaled conjugate gradient algorithm for fast supervised learning*, Neural Networks 6
#   (1993) 525–533.
# - J. Nocedal, S. J. Wright, *Numerical Optimization*, 2nd ed., Springer 2006: chapter 5, (5.36) (the
#   bound, p. 117), Lemma 5.6 (p. 125).
