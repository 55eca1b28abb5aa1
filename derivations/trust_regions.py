# %% [markdown]
# # Trust regions
#
# ## Claim
#
# A line search fixes the direction and looks for the length. A trust region fixes the length, the radius
# $\Delta$ within which a quadratic model of the cost is believed, and looks for the best step in it:
#
# $$
# \min_p \; m(p) = g^\top p + \tfrac12 p^\top B p \quad \text{subject to} \quad \|p\| \le \Delta ,
# $$
#
# where $B$ is the Hessian, an approximation, or $J^\top J$. After a trial $\Delta$ follows the ratio $\rho$
# of the fall of the cost and the fall that the model promised.
#
# 1. $p$ solves this problem **if and only if** there is a $\lambda \ge 0$ with
#
#     $$
#     (B + \lambda I)\, p = -g, \qquad \lambda\, (\Delta - \|p\|) = 0, \qquad B + \lambda I \text{ positive
#     semidefinite} .
#     $$
#
#     $B$ may be indefinite.
# 2. Where the region binds, $\lambda$ is the root of the **secular equation**
#
#     $$
#     \frac{1}{\|p(\lambda)\|} = \frac1\Delta , \qquad p(\lambda) = -(B + \lambda I)^{-1} g .
#     $$
#
#     Its left side is nearly linear in $\lambda$, so two or three steps of Newton's method are enough.
# 3. The **dog-leg** needs one linear system for all radii: from 0 to the minimum along $-g$ (Cauchy's
#    step), then straight on to $-B^{-1} g$. Along it $\|p\|$ grows and $m$ falls, if $B$ is positive
#    definite.
# 4. **Steihaug's** method needs products $Bv$ only: conjugate gradients from $p = 0$, which end at the
#    radius or along a direction of negative curvature. The lengths of its iterates grow in every step.

# %% [markdown]
# ## Derivation
#
# **1. If.** Let the three conditions hold. Then $\hat m(q) = g^\top q + \tfrac12 q^\top (B + \lambda I)\, q$
# is convex with gradient 0 at $q = p$, so $\hat m(q) \ge \hat m(p)$ for all $q$, that is
#
# $$
# m(q) \ge m(p) + \tfrac\lambda2 \left( \|p\|^2 - \|q\|^2 \right) .
# $$
#
# If $\lambda = 0$ we are done. Otherwise $\|p\| = \Delta \ge \|q\|$, and the bracket is $\ge 0$.
#
# **Only if.** Inside the region ($\|p\| < \Delta$) a minimum has $g + Bp = 0$ and a positive semidefinite
# $B$: take $\lambda = 0$. At the edge the constraint $\|p\|^2 = \Delta^2$ has a Lagrange multiplier, $g +
# Bp + \lambda p = 0$. For any other $q$ with $\|q\| = \Delta$, $m(q) \ge m(p)$; adding
# $\tfrac\lambda2(\|q\|^2 - \|p\|^2) = 0$ and using $g = -(B + \lambda I)p$ this becomes $\tfrac12 (q -
# p)^\top (B + \lambda I)(q - p) \ge 0$. The directions $q - p$ reach, up to their length and sign, all that
# are not orthogonal to $p$, and these are dense: $B + \lambda I$ is positive semidefinite. If $\lambda$ were
# negative, the inequality of the first part would say $m(q) \ge m(p)$ for all longer $q$ too: then $p$
# minimises $m$ everywhere, and the conditions hold with $\lambda = 0$. ∎
#
# **2. The secular equation.** With the eigenvalues $\beta_i$ of $B$ and $\gamma_i$, the components of $g$
# along its eigenvectors, $\|p(\lambda)\|^2 = \sum \gamma_i^2/(\beta_i + \lambda)^2$. Near the pole at
# $-\beta_{\min}$ the norm is like $|\gamma|/(\lambda + \beta_{\min})$: it bends, but its inverse is nearly a
# straight line. Newton's step for $\psi(\lambda) = 1/\|p\| - 1/\Delta$ uses
#
# $$
# \frac{d}{d\lambda} \tfrac12 \|p\|^2 = p^\top \frac{dp}{d\lambda} = -p^\top (B + \lambda I)^{-1} p , \qquad
# \psi' = \frac{p^\top (B + \lambda I)^{-1} p}{\|p\|^3}, \qquad \lambda \leftarrow \lambda + \frac{\|p\| -
# \Delta}{\Delta} \cdot \frac{\|p\|^2}{p^\top (B + \lambda I)^{-1} p} .
# $$
#
# **3. The dog-leg.** Along $-g$ the model $-t \|g\|^2 + \tfrac12 t^2 g^\top B g$ is least for $t =
# \|g\|^2/g^\top B g$: Cauchy's step $p_C$. Let $p_N = -B^{-1} g$. On the second leg, $p_C + \tau (p_N -
# p_C)$, the model falls, for it is convex and $p_N$ is its minimum. That $\|p\|$ grows: half the derivative
# of $\|p\|^2$ at $\tau = 0$ is
#
# $$
# p_C^\top (p_N - p_C) = t\, g^\top B^{-1} g - t^2 \|g\|^2 = t\, g^\top B^{-1} g \left( 1 -
# \frac{\|g\|^4}{g^\top B g \; g^\top B^{-1} g} \right) \ge 0 ,
# $$
#
# since $\|g\|^4 = \left( (B^{1/2} g)^\top (B^{-1/2} g) \right)^2 \le g^\top B g \; g^\top B^{-1} g$ by Cauchy
# and Schwarz, and the derivative itself grows with $\tau$.
#
# **4. Steihaug.** In [conjugate gradients](conjugate_gradients.md) from 0, $p_k = \sum_{j<k} \alpha_j d_j$
# with $\alpha_j > 0$. From $d_j = -r_j + \beta_{j-1} d_{j-1}$, and since the residual $r_j$ is orthogonal to
# all earlier directions, $d_j^\top d_i = \beta_{j-1}\, d_{j-1}^\top d_i$ for $i < j$: by induction positive.
# So $\|p_{k+1}\|^2 = \|p_k\|^2 + 2\alpha_k p_k^\top d_k + \alpha_k^2 \|d_k\|^2 > \|p_k\|^2$. Once outside of
# the region it never comes back, and the step to the edge is the place to end. ∎

# %% [markdown]
# ## In nnx
#
# `"newton-cg"` and `"sr1"` use Steihaug's method (for SR1 the matrix $B$ may be indefinite):
#
# <!-- source: nnx.optimizers.descent.trust_region:steihaug -->
#
# Levenberg–Marquardt solves the secular equation, by singular values where $J = QR$ is known. Ten per cent of
# $\Delta$ more or less is as good:
#
# <!-- source: nnx.optimizers.squares.regions:SpectralRegion.step -->
#
# `"dogleg"`:
#
# <!-- source: nnx.optimizers.squares.dogleg:DoglegPath.steps -->
#
# The radius of the methods for sums of squares, by Moré's rules:
#
# <!-- source: nnx.optimizers.squares.radius:follow -->

# %%
import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import brentq, minimize

import nnx
from nnx.optimizers.descent.trust_region import steihaug

rng = np.random.default_rng(0)


def best_step(b, g, radius):
    """The solution of claim 1 by eigenvalues, and its λ (no hard case)."""
    values, vectors = np.linalg.eigh(b)
    along = vectors.T @ g
    length = lambda lam: np.linalg.norm(along / (values + lam))  # noqa: E731
    if values[0] > 0.0 and length(0.0) <= radius:
        lam = 0.0
    else:
        least = max(0.0, -values[0])
        low = least + 1e-3 * (abs(along[0]) / radius)
        while length(low) < radius:
            low = least + 0.1 * (low - least)
        lam = brentq(lambda x: 1.0 / length(x) - 1.0 / radius, low, least + np.linalg.norm(g) / radius)
    return -vectors @ (along / (values + lam)), lam


b = np.array([[2.0, 0.6], [0.6, 0.5]])
g = np.array([1.0, -0.8])
newton = -np.linalg.solve(b, g)
cauchy = -(g @ g) / (g @ b @ g) * g
curve = np.array([best_step(b, g, d)[0] for d in np.linspace(0.01, np.linalg.norm(newton), 60)])

# %% [markdown]
# The model's contours, the curve of the best steps for all radii, and the dog-leg, which has a corner where
# that curve bends.

# %%
# figure: elliptic contours of the model, a curve from the origin to their centre, two straight legs beside it
x, y = np.meshgrid(np.linspace(-2.5, 1.5, 200), np.linspace(-1.7, 4.5, 200))
model = g[0] * x + g[1] * y + 0.5 * (b[0, 0] * x * x + 2.0 * b[0, 1] * x * y + b[1, 1] * y * y)
figure, axes = plt.subplots(figsize=(6, 5))
axes.contour(x, y, model, levels=15, linewidths=0.6, colors="gray")
axes.plot(*curve.T, label="best steps $p(\\lambda)$")
axes.plot(*np.array([[0.0, 0.0], cauchy, newton]).T, "o-", label="dog-leg")
circle = np.linspace(0.0, 2.0 * np.pi, 200)
axes.plot(1.5 * np.cos(circle), 1.5 * np.sin(circle), "--", label=r"$\|p\| = \Delta$")
axes.set_aspect("equal")
axes.legend()

# %% [markdown]
# ## Assertions
#
# **Claim 1**, for 100 random symmetric matrices, many of them indefinite: no step of 1000 within the region
# is better, and SciPy's minimiser on the sphere does not find one either.

# %%
for trial in range(100):
    n = int(rng.integers(2, 6))
    a = rng.normal(size=(n, n))
    b_n, g_n, radius = a + a.T, rng.normal(size=n), float(10.0 ** rng.uniform(-1, 1))
    p, lam = best_step(b_n, g_n, radius)
    m = lambda q: g_n @ q + 0.5 * q @ b_n @ q  # noqa: B023, E731
    assert lam >= 0.0 and np.linalg.eigvalsh(b_n)[0] + lam > -1e-12
    assert np.linalg.norm(p) <= radius * (1.0 + 1e-9)
    assert np.allclose((b_n + lam * np.eye(n)) @ p, -g_n, atol=1e-8)
    others = rng.normal(size=(1000, n))
    others *= radius * rng.random((1000, 1)) ** (1.0 / n) / np.linalg.norm(others, axis=1, keepdims=True)
    assert min(m(q) for q in others) >= m(p) - 1e-9
    if trial < 5:
        inside = {"type": "ineq", "fun": lambda q: radius**2 - q @ q}  # noqa: B023
        assert minimize(m, p + 0.1 * radius * rng.normal(size=n), constraints=inside).fun >= m(p) - 1e-5

# %% [markdown]
# **Claim 2.** nnx's region for a random $J$ and a $D$: its step is $-(J^\top J + \mu D)^{-1} g$, and $\|\sqrt
# D p\|$ is within a tenth of $\Delta$. Newton's method for $1/\|p\| = 1/\Delta$ from $\lambda = 0$ gets to
# ten digits in a few steps.

# %%
from nnx.optimizers.squares.regions import region
from nnx.optimizers.squares.systems import NormalEquations, OrthogonalFactors

j, e = rng.normal(size=(20, 4)) * [1.0, 3.0, 0.1, 10.0], rng.normal(size=20)
d = np.sum(j * j, axis=0)
whole = np.linalg.norm(np.sqrt(d) * np.linalg.lstsq(j, -e, rcond=None)[0])
for kind in (OrthogonalFactors, NormalEquations):
    system = kind([(j, e)], None, np.zeros(4))
    for fraction in (2.0, 0.5, 0.1, 0.01):
        p, mu, length = region(system, d, None).step(fraction * whole, 0.0)
        assert np.allclose(p, -np.linalg.solve(j.T @ j + mu * np.diag(d), j.T @ e), rtol=1e-8)
        assert np.isclose(length, np.linalg.norm(np.sqrt(d) * p), rtol=1e-10)
        assert (mu == 0.0) if fraction > 1.0 else abs(length - fraction * whole) <= 0.1 * fraction * whole

hessian, gradient = (j / np.sqrt(d)).T @ (j / np.sqrt(d)), (j / np.sqrt(d)).T @ e
lam, radius, lengths = 0.0, 0.3 * whole, []
for _ in range(6):
    p = -np.linalg.solve(hessian + lam * np.eye(4), gradient)
    lengths.append(np.linalg.norm(p) / radius)
    q = p @ np.linalg.solve(hessian + lam * np.eye(4), p)
    lam += (np.linalg.norm(p) - radius) / radius * (p @ p) / q
print("‖p‖/Δ step by step:", lengths)
assert abs(lengths[2] - 1.0) < 0.1 and abs(lengths[5] - 1.0) < 1e-10

# %% [markdown]
# **Claim 3.** Length and model along the dog-leg for 50 random positive definite $B$. Then nnx's `"dogleg"`
# on Rosenbrock's errors: each step is a point of the path made from $J$ and $e$ outside.

# %%
for _ in range(50):
    a = rng.normal(size=(4, 4))
    b_n, g_n = a @ a.T + 0.1 * np.eye(4), rng.normal(size=4)
    p_c, p_n = -(g_n @ g_n) / (g_n @ b_n @ g_n) * g_n, -np.linalg.solve(b_n, g_n)
    legs = np.concatenate(
        [np.linspace(0, 1, 50)[:, None] * p_c, p_c + np.linspace(0, 1, 50)[:, None] * (p_n - p_c)]
    )
    values = legs @ g_n + 0.5 * np.sum(legs @ b_n * legs, axis=1)
    assert np.all(np.diff(np.linalg.norm(legs, axis=1)) > -1e-12) and np.all(np.diff(values) < 1e-12)


def rosenbrock(x):
    return np.stack([10.0 * (x[1] - x[0] ** 2), 1.0 - x[0]])


path = [np.array([-1.2, 1.0])]
result = nnx.least_squares(
    rosenbrock,
    path[0],
    method="dogleg",
    options={"scaling": "identity"},
    callback=lambda x: path.append(x.copy()),
)
legs_used = []
for k in range(len(path) - 1):
    e, j, s = rosenbrock(path[k]), nnx.jacobian(rosenbrock)(path[k]), path[k + 1] - path[k]
    g_k = j.T @ e
    p_c, p_n = -(g_k @ g_k) / ((j @ g_k) @ (j @ g_k)) * g_k, -np.linalg.solve(j, e)
    if np.linalg.norm(s) <= np.linalg.norm(p_c) * (1.0 + 1e-9):
        tau, base, leg = np.linalg.norm(s) / np.linalg.norm(p_c), np.zeros(2), p_c
    else:
        tau, base, leg = (s - p_c) @ (p_n - p_c) / ((p_n - p_c) @ (p_n - p_c)), p_c, p_n - p_c
    legs_used.append("second" if base.any() else "first")
    assert -1e-9 <= tau <= 1.0 + 1e-9
    assert np.allclose(s, base + tau * leg, atol=1e-8 * max(1.0, np.linalg.norm(p_n)))
print(result.nit, "steps to", result.x, legs_used)
assert result.success and np.allclose(result.x, 1.0, atol=1e-8)

# %% [markdown]
# **Claim 4.** nnx's `steihaug` on random matrices: inside the region it ends at $-B^{-1}g$; at the edge its
# length is $\Delta$ (also where $B$ is indefinite); and it is at least as good as Cauchy's step. The iterates
# of a plain conjugate gradient method get longer and longer.

# %%
for indefinite in (False, True):
    for _ in range(50):
        a = rng.normal(size=(6, 6))
        b_n, g_n = (a + a.T if indefinite else a @ a.T + 0.1 * np.eye(6)), rng.normal(size=6)
        radius = float(10.0 ** rng.uniform(-2, 2))
        found = steihaug(lambda v: b_n @ v, g_n, radius, 1e-10)  # noqa: B023
        m = lambda q: g_n @ q + 0.5 * q @ b_n @ q  # noqa: B023, E731
        length = np.linalg.norm(found.p)
        assert np.isclose(length, radius, rtol=1e-9) if found.at_edge else length <= radius
        if not found.at_edge and not indefinite:
            assert np.allclose(found.p, -np.linalg.solve(b_n, g_n), rtol=1e-6, atol=1e-6)
        bend = g_n @ b_n @ g_n
        t = radius / np.linalg.norm(g_n)
        t = min(t, (g_n @ g_n) / bend) if bend > 0.0 else t
        assert m(found.p) <= m(-t * g_n) + 1e-9

p, r, grow = np.zeros(6), g_n, []
b_n = a @ a.T + 0.1 * np.eye(6)
direction = -r
for _ in range(6):
    alpha = (r @ r) / (direction @ b_n @ direction)
    p, after = p + alpha * direction, r + alpha * b_n @ direction
    direction, r = -after + (after @ after) / (r @ r) * direction, after
    grow.append(np.linalg.norm(p))
print("lengths of the iterates:", np.round(grow, 3))
assert np.all(np.diff(grow) > 0.0)

# %% [markdown]
# ## When it fails
#
# - **The hard case.** If $B$ is indefinite and $g$ has no component along the eigenvector $v$ of
#   $\beta_{\min}$, then $\|p(\lambda)\|$ stays below $\Delta$ for all $\lambda > -\beta_{\min}$: the solution
#   is $p(-\beta_{\min}) + \tau v$. Steihaug's method does not see $v$ then. At a saddle point with $g = 0$
#   exactly none of them moves.
# - **Units.** The region is a ball in the units of the weights. With a $D$ (Levenberg–Marquardt's default
#   for functions) it is an ellipsoid that follows them; `"newton-cg"` and `"sr1"` have a ball.
# - **The dog-leg for an indefinite $B$** is not defined. nnx offers it for $J^\top J$ alone.
# - **Rounding.** Where the promised fall is below the rounding of the cost, $\rho$ is noise. nnx adds the
#   rounding to both falls, so that $\rho \to 1$.

# %%
saddle = nnx.minimize(lambda w: w[0] ** 2 - w[1] ** 2 + w[1] ** 4, [0.5, 0.0], method="newton-cg")
moved = nnx.minimize(lambda w: w[0] ** 2 - w[1] ** 2 + w[1] ** 4, [0.5, 1e-3], method="newton-cg")
print(saddle.x, saddle.success, " from a start off the axis:", moved.x, moved.success)
assert abs(saddle.x[1]) == 0.0  # no component along the negative curvature: it is never seen
assert moved.success and np.isclose(abs(moved.x[1]), np.sqrt(0.5), rtol=1e-6)

# %% [markdown]
# ## References
#
# - J. J. Moré, D. C. Sorensen, *Computing a trust region step*, SIAM J. Sci. Statist. Comput. 4 (1983)
#   553–572 (claim 1).
# - J. J. Moré, *The Levenberg–Marquardt algorithm: implementation and theory*, Lecture Notes in Mathematics
#   630 (1978) 105–116.
# - M. J. D. Powell, *A hybrid method for nonlinear equations*, in P. Rabinowitz (ed.), *Numerical Methods
#   for Nonlinear Algebraic Equations*, 1970, 87–114 (the dog-leg).
# - T. Steihaug, *The conjugate gradient method and trust regions in large scale optimization*, SIAM J.
#   Numer. Anal. 20 (1983) 626–637.
# - A. R. Conn, N. I. M. Gould, P. L. Toint, *Trust-Region Methods*, SIAM 2000: chapter 7.
# - J. Nocedal, S. J. Wright, *Numerical Optimization*, 2nd ed., Springer 2006: Theorem 4.1 (p. 70), Lemma
#   4.2 (the dog-leg, p. 75), algorithm 7.2 (p. 171).
