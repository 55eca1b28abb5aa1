# %% [markdown]
# # BFGS and DFP
#
# ## Claim
#
# Variable metric methods step along $p = -Vg$, where $V \approx H^{-1}$ is learned from the steps $s = w_k -
# w_{k-1}$ and the changes of the gradient $r = g_k - g_{k-1}$. With the [secant equation](secant.md) $V_k r =
# s$ there are two classical updates (on the right sides $V = V_{k-1}$):
#
# $$
# \text{BFGS:} \quad V_k = V + \left( 1 + \frac{r^\top V r}{s^\top r} \right) \frac{s s^\top}{s^\top r} -
# \frac{s r^\top V + V r s^\top}{s^\top r}, \qquad \text{DFP:} \quad V_k = V + \frac{s s^\top}{s^\top r} -
# \frac{V r r^\top V}{r^\top V r} .
# $$
#
# 1. Among all symmetric matrices with $V_k r = s$, BFGS is the one nearest to $V$, in a norm that weighs
#    with $H$.
# 2. DFP is the same construction for $B = V^{-1} \approx H$ instead of $V$: the two are **dual**.
#    Exchanging $s$ with $r$ and $V$ with $B$ turns one into the other.
# 3. If $V$ is positive definite and $s^\top r > 0$, both keep it **positive definite**, so $-Vg$ stays a
#    descent direction.
# 4. On a quadratic with exact line searches, from $V_0 = I$, both take the same path, that of [conjugate
#    gradients](conjugate_gradients.md). It ends after at most $n$ steps, and after $n$ of them $V_n =
#    H^{-1}$.

# %% [markdown]
# ## Derivation
#
# **1. BFGS is the least change of $V$.** Let $W$ be a symmetric positive definite matrix with $W s = r$ (one
# exists since $s^\top r > 0$; the mean Hessian along $s$ is one where it is positive definite). We look for
#
# $$
# \min_{V_k} \left\| W^{1/2} (V_k - V) W^{1/2} \right\|_F \quad \text{subject to} \quad V_k = V_k^\top, \; V_k
# r = s .
# $$
#
# The weights make the problem free of units: $V$ carries those of $w^2/E$, $W$ those of $E/w^2$.
#
# Write $D = W^{1/2}(V_k - V) W^{1/2}$ and $u = W^{-1/2} r = W^{1/2} s$ (equal because $W s = r$). The secant
# equation, multiplied by $W^{1/2}$ from the left, becomes
#
# $$
# D u = d, \qquad d = W^{1/2} (s - V r) .
# $$
#
# Choose an orthonormal basis that begins with $u/\|u\|$. The first column of $D$ in that basis is then fixed,
# and by symmetry so is the first row; all other entries are free. The Frobenius norm is the root of the sum
# of the squares of the entries, so it is smallest when these are 0. That matrix is
#
# $$
# D = \frac{d u^\top + u d^\top}{u^\top u} - \frac{u^\top d}{(u^\top u)^2}\, u u^\top .
# $$
#
# (Check: $Du = d + u\, (d^\top u)/(u^\top u) - u\, (u^\top d)/(u^\top u) = d$, and $x^\top D y = 0$ for $x, y
# \perp u$.) Now go back: $W^{-1/2} d = s - Vr$, $W^{-1/2} u = s$, $u^\top u = s^\top r$ and $u^\top d =
# r^\top (s - Vr) = s^\top r - r^\top V r$. So
#
# $$
# V_k = V + \frac{(s - Vr) s^\top + s (s - Vr)^\top}{s^\top r} - \frac{s^\top r - r^\top V r}{(s^\top r)^2}\,
# s s^\top ,
# $$
#
# and collecting the three terms with $s s^\top$ gives the formula of the claim. $W$ has disappeared from it.
# ∎
#
# Multiplied out, the same matrix is the **product form**
#
# $$
# V_k = P V P^\top + \frac{s s^\top}{s^\top r}, \qquad P = I - \frac{s r^\top}{s^\top r} .
# $$
#
# **2. Duality.** For $B \approx H$ the secant equation is $B_k s = r$: $s$ and $r$ have changed places, and
# so have the weights $W$ and $W^{-1}$. The same derivation, word by word, gives
#
# $$
# B_k = P^\top B P + \frac{r r^\top}{s^\top r} .
# $$
#
# *This $B_k$ is the inverse of DFP's $V_k$ if $B = V^{-1}$.* It is enough to check $B_k V_k x = x$ for $x =
# r$ and for all $x$ with $s^\top x = 0$; together they span everything, as $s^\top r \ne 0$. For $x = r$:
# $V_k r = s$ and, since $Ps = 0$, $B_k s = r$. For $s^\top x = 0$: $V_k x = V(x - c r)$ with $c = r^\top V x
# / r^\top V r$, which is orthogonal to $r$; so $P$ leaves it as it is and the second term of $B_k$ sends it
# to 0:
#
# $$
# B_k V_k x = P^\top B V (x - c r) = P^\top x - c P^\top r = x ,
# $$
#
# because $P^\top x = x - r (s^\top x)/(s^\top r) = x$ and $P^\top r = 0$. ∎
#
# Read the other way round, with $s \leftrightarrow r$, $V \leftrightarrow B$: the inverse of BFGS's $V_k$ is
#
# $$
# B_k = B + \frac{r r^\top}{s^\top r} - \frac{B s s^\top B}{s^\top B s} .
# $$
#
# **3. Positive definiteness.** *BFGS.* For any $x$, with $y = P^\top x = x - r\, (s^\top x)/(s^\top r)$,
#
# $$
# x^\top V_k x = y^\top V y + \frac{(s^\top x)^2}{s^\top r} .
# $$
#
# Both terms are $\ge 0$. If the second is 0 then $s^\top x = 0$, so $y = x$ and the first is $x^\top V x > 0$
# unless $x = 0$. *DFP.* With $a = V^{1/2} x$ and $b = V^{1/2} r$,
#
# $$
# x^\top V_k x = a^\top a - \frac{(a^\top b)^2}{b^\top b} + \frac{(s^\top x)^2}{s^\top r} .
# $$
#
# The first two terms together are $\ge 0$ by Cauchy and Schwarz, and 0 only for $a = \lambda b$, that is $x =
# \lambda r$. Then the third is $\lambda^2 s^\top r > 0$ unless $x = 0$. ∎
#
# **4. Quadratics.** Let $E$ have the constant Hessian $H$, so $r_j = H s_j$ for every step. Assume that after
# $k$ steps $V_k r_j = s_j$ and $s_i^\top H s_j = 0$ for all $i \ne j < k$. An exact search leaves
# $g_{j+1}^\top s_j = 0$, and $g_k - g_{j+1} = \sum_{i=j+1}^{k-1} H s_i$ is orthogonal to $s_j$ too; hence
# $g_k^\top s_j = 0$ for all $j < k$. The next direction is conjugate to all before:
#
# $$
# p_k^\top H s_j = -g_k^\top V_k r_j = -g_k^\top s_j = 0 .
# $$
#
# And the update with $s_k, r_k$ forgets nothing: in both formulas every term beyond $V$, applied to $r_j$,
# has a factor $s_k^\top r_j = s_k^\top H s_j = 0$ or $r_k^\top V_k r_j = r_k^\top s_j = 0$, so $V_{k+1} r_j =
# V_k r_j = s_j$. After $n$ steps the $s_j$ span $\mathbb R^n$ and $V_n H s_j = s_j$: $V_n = H^{-1}$. With
# $V_0 = \gamma I$ each $p_k$ lies in the span of $g_0, \dots, g_k$, where only one direction is conjugate to
# the earlier steps; and the exact search fixes its length. So the path is the same for both. ∎

# %% [markdown]
# ## In nnx
#
# <!-- source: nnx.optimizers.descent.quasi_newton:BFGS.update -->
#
# <!-- source: nnx.optimizers.descent.quasi_newton:DFP.update -->
#
# Both get their pairs from `learn`, shown with the [secant equation](secant.md). One thing is added to DFP,
# which recovers slowly from a $V$ that is too small: after a search that was not nearly exact, $V$ is
# enlarged first.
#
# <!-- source: nnx.optimizers.descent.quasi_newton:DFP.enlarge -->
#
# A run on Rosenbrock's function. The matrix that nnx ends with is compared with one made from the path alone,
# by the formulas above in plain NumPy.

# %%
import numpy as np
from scipy.linalg import sqrtm
from scipy.optimize import minimize

import nnx


def bfgs(v, s, r):
    """The lectures' formula."""
    sr, vr = s @ r, v @ r
    return v + (1.0 + r @ vr / sr) * np.outer(s, s) / sr - (np.outer(s, vr) + np.outer(vr, s)) / sr


def dfp(v, s, r):
    """The lectures' formula."""
    vr = v @ r
    return v + np.outer(s, s) / (s @ r) - np.outer(vr, vr) / (r @ vr)


def rosenbrock(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


start = np.array([-1.2, 1.0])
points = [start]
result = nnx.minimize(rosenbrock, start, method="bfgs", callback=lambda x: points.append(x.copy()))
gradient = nnx.grad(rosenbrock)
v, angles = np.eye(2), []
for k in range(len(points) - 1):
    s, r = points[k + 1] - points[k], gradient(points[k + 1]) - gradient(points[k])
    p = -v @ gradient(points[k])
    angles.append(p @ s / np.linalg.norm(p) / np.linalg.norm(s))  # 1: the step lies along −Vg
    v = bfgs(v if k else (s @ r) / (r @ r) * v, s, r)  # V₀ = I gets its size from the first pair
print(result.nit, "steps to", result.x)
print("made from the path:", v.ravel(), " nnx:", result.hess_inv.ravel())

# %% [markdown]
# ## Assertions
#
# Each step lies along $-Vg$, and the two matrices agree. The last pairs are differences of gradients that
# agree in half of their digits; the tolerance is theirs.

# %%
assert min(angles[:-3]) > 1.0 - 1e-9
assert np.allclose(v, result.hess_inv, rtol=1e-5)
assert result.success and np.allclose(result.x, 1.0, atol=1e-6)

# %% [markdown]
# **nnx's updates are the formulas**, keep $V$ symmetric and positive definite, satisfy the secant equation,
# and are dual to each other: 500 random draws of a positive definite $V$ and of pairs with $s^\top r > 0$. In
# each draw $\kappa$, the ratio of the largest and the smallest eigenvalue of $V$ and its update together,
# says how many digits are lost: errors are held against $\kappa$ times the rounding.


# %%
def updated(kind, v, s, r):
    """What nnx makes of a matrix: its update writes in place."""
    new = v.copy()
    vr = new @ r
    kind().update(new, s, vr, float(s @ r), float(r @ vr))
    return new


def close(a, b, kappa):
    return np.linalg.norm(a - b) <= 1e-14 * kappa * np.linalg.norm(
        b
    )  # 45 times the rounding; the worst draw takes 6


rng = np.random.default_rng(0)
draws, worst = 0, np.inf
while draws < 500:
    n = int(rng.integers(1, 9))
    q = np.linalg.qr(rng.normal(size=(n, n)))[0]
    v = (q * 10.0 ** rng.uniform(-1, 1, n)) @ q.T
    v = 0.5 * (v + v.T)
    s, r = rng.normal(size=n), rng.normal(size=n)
    if not s @ r > 0.1 * np.linalg.norm(s) * np.linalg.norm(r):
        continue  # sᵀr ≤ 0 is no pair for an update, and one near 0 leaves no digits to compare
    draws += 1
    b = np.linalg.inv(v)
    for kind, formula in ((nnx.optimizers.BFGS, bfgs), (nnx.optimizers.DFP, dfp)):
        new = updated(kind, v, s, r)
        values = np.linalg.eigvalsh(new)
        both = np.concatenate([values, np.linalg.eigvalsh(v)])
        kappa = both.max() / both.min()
        assert values[0] > 0.0  # claim 3
        worst = min(worst, values[0] / values[-1])
        assert np.array_equal(new, new.T)
        assert close(new, formula(v, s, r), kappa) and close(new @ r, s, kappa)
        # claim 2: the dual update of B = V⁻¹ with s and r exchanged is the inverse
        other = nnx.optimizers.DFP if kind is nnx.optimizers.BFGS else nnx.optimizers.BFGS
        assert close(updated(other, b, r, s), np.linalg.inv(new), kappa)
    # the inverse of BFGS, written out
    inverse = b + np.outer(r, r) / (s @ r) - np.outer(b @ s, b @ s) / (s @ b @ s)
    new = updated(nnx.optimizers.BFGS, v, s, r)
    assert close(new @ inverse, np.eye(n), kappa)
print("smallest ratio of eigenvalues among all updates:", worst)

# %% [markdown]
# **Least change.** All symmetric matrices with the secant equation are $V_k + Z$ with $Zr = 0$. The $D$ of
# the derivation is orthogonal to every $W^{1/2} Z W^{1/2}$, since its entries are 0 where those are not. So
# the squared distance from $V$ is that of BFGS's $V_k$ plus $\|W^{1/2} Z W^{1/2}\|_F^2$: nothing is nearer.
# Here with random $W$, $Ws = r$, and random $Z$.

# %%
trials = 0
while trials < 100:
    n = 5
    a, m, z = (rng.normal(size=(n, n)) for _ in range(3))
    s, r = rng.normal(size=n), rng.normal(size=n)
    if not s @ r > 0.1 * np.linalg.norm(s) * np.linalg.norm(r):
        continue  # as above
    trials += 1
    v = a @ a.T + np.eye(n)
    shift = np.eye(n) - np.outer(r, s) / (s @ r)
    w = shift @ (m @ m.T + np.eye(n)) @ shift.T + np.outer(r, r) / (s @ r)
    half = np.real(sqrtm(w))
    away = np.eye(n) - np.outer(r, r) / (r @ r)
    z = away @ (z + z.T) @ away
    nearest = updated(nnx.optimizers.BFGS, v, s, r)
    assert np.allclose(w @ s, r, rtol=1e-10, atol=1e-10)
    squared = lambda x: np.sum((half @ x @ half) ** 2)  # noqa: B023, E731
    # sums of squares that may differ by four orders of magnitude
    assert np.isclose(squared(nearest + z - v), squared(nearest - v) + squared(z), rtol=1e-9)

# %% [markdown]
# **Quadratics.** Six variables, exact searches (`Brent`): BFGS, DFP and conjugate gradients go through the
# same points, and the two matrices are $H^{-1}$ after six steps. SciPy's BFGS reaches the same minimum.

# %%
a = rng.normal(size=(6, 6))
h, c = a @ a.T + np.eye(6), rng.normal(size=6)
quadratic = lambda w: 0.5 * w @ h @ w - c @ w  # noqa: E731
exact = nnx.optimizers.searches.Brent()
paths, inverses = {}, {}
for name, options in (("bfgs", {}), ("dfp", {}), ("cg", {"beta": "hestenes_stiefel"})):
    paths[name] = []
    run = nnx.minimize(
        quadratic,
        np.zeros(6),
        method=name,
        options={"search": exact, "maxiter": 6, **options},
        callback=lambda x, path=paths[name]: path.append(x.copy()),
    )
    inverses[name] = run.get("hess_inv")
solution = np.linalg.solve(h, c)
for name, path in paths.items():
    print(f"{name:5} distance from the minimum by step", np.linalg.norm(path - solution, axis=1).round(6))
# Brent knows a minimum to 1.5e-8 of its α; κ ≈ 40 enlarges that from step to step
assert np.allclose(paths["bfgs"], paths["dfp"], atol=1e-5) and np.allclose(
    paths["bfgs"], paths["cg"], atol=1e-5
)
assert np.allclose(paths["bfgs"][-1], solution, atol=1e-5)
for name in ("bfgs", "dfp"):
    assert np.allclose(inverses[name] @ h, np.eye(6), atol=1e-4)
assert np.allclose(
    minimize(quadratic, np.zeros(6), method="BFGS").x, solution, atol=1e-4
)  # SciPy's gtol is 1e-5

# %% [markdown]
# ## When it fails
#
# - **$s^\top r \le 0$** makes $V$ indefinite: nnx skips such a pair. A search with Wolfe's curvature
#   condition never delivers one.
# - **A $V$ that is too small, with steps that are not exact, for DFP.** Powell's example: $E =
#   \tfrac12\|w\|^2$, unit steps, $V_0 = \mathrm{diag}(1, 1/\lambda)$, and a start with $\tan^2\psi =
#   \lambda$. DFP needs about $\lambda$ steps, BFGS about $\log \lambda$. Therefore nnx enlarges $V$ for DFP.
# - **Many weights.** $V$ has $n^2$ entries: 8 MB for 1000 weights in double precision, 3.6 TB for the 669
#   706 of the lectures' digit network. `LBFGS` keeps the last pairs instead.
# - **Noise.** Gradients of mini-batches give pairs that say nothing about $H$.

# %%
counts = {}
for size in (10.0, 100.0, 1000.0):
    for formula in (bfgs, dfp):
        psi, v, steps = np.arctan(np.sqrt(size)), np.diag([1.0, 1.0 / size]), 0
        w = np.array([np.cos(psi), np.sin(psi)])
        while np.linalg.norm(w) > 1e-4:
            s = -v @ w
            v, w, steps = formula(v, s, s), w + s, steps + 1  # H = I, so r = s
        counts[formula.__name__, size] = steps
print(counts)
assert counts["dfp", 1000.0] > 900 and counts["bfgs", 1000.0] < 20
assert 669_706**2 * 8 / 1e12 > 3.58

# %% [markdown]
# ## References
#
# - W. C. Davidon, *Variable metric method for minimization*, report ANL-5990 (1959); SIAM J. Optim. 1
#   (1991) 1–17.
# - R. Fletcher, M. J. D. Powell, *A rapidly convergent descent method for minimization*, Computer J. 6
#   (1963) 163–168.
# - C. G. Broyden, J. Inst. Math. Appl. 6 (1970) 76–90; R. Fletcher, Computer J. 13 (1970) 317–322; D.
#   Goldfarb, *A family of variable-metric methods derived by variational means*, Math. Comp. 24 (1970) 23–26;
#   D. F. Shanno, Math. Comp. 24 (1970) 647–656.
# - J. E. Dennis, J. J. Moré, *Quasi-Newton methods, motivation and theory*, SIAM Review 19 (1977) 46–89.
# - M. J. D. Powell, *How bad are the BFGS and DFP methods when the objective function is quadratic?*, Math.
#   Programming 34 (1986) 34–47.
# - J. Nocedal, S. J. Wright, *Numerical Optimization*, 2nd ed., Springer 2006: section 6.1 (pp. 136–143),
#   Theorem 6.4 (quadratics, p. 151).
