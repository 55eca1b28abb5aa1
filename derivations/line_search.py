# %% [markdown]
# # Line searches and the Wolfe conditions
#
# A method has chosen a direction $p$ at the weights $w$. A line search chooses the length of the step: it
# looks at the function of one number
#
# $$
# \varphi(\alpha) = E(w + \alpha p), \qquad \varphi'(\alpha) = \nabla E(w + \alpha p)^\top p,
# $$
#
# with $\varphi'(0) < 0$, so that the cost falls at first. The lectures call it *minimalizacja kierunkowa*:
# follow the direction while the cost falls.
#
# ## Claim
#
# Let $0 < c_1 < c_2 < 1$. The **strong Wolfe conditions** are
#
# $$
# \varphi(\alpha) \le \varphi(0) + c_1 \alpha \varphi'(0) \quad \text{(sufficient decrease)}, \qquad
# |\varphi'(\alpha)| \le c_2 |\varphi'(0)| \quad \text{(curvature)}.
# $$
#
# 1. If $\varphi$ has a continuous derivative and is bounded below for $\alpha > 0$, there is a whole
#    interval of step lengths that satisfy both.
# 2. If $\nabla E$ is Lipschitz continuous with constant $L$, every $\alpha \le 2(1 - c_1)\,|\varphi'(0)| /
#    (L \|p\|^2)$ satisfies the first. So backtracking (shorter and shorter steps) ends.
# 3. A step $s = \alpha p$ that satisfies the second changes the gradient by an $r$ with $s^\top r \ge (1 -
#    c_2)\,\alpha\,|\varphi'(0)| > 0$. This is what BFGS needs.

# %% [markdown]
# ## Derivation
#
# **1. Existence.** The line $\ell(\alpha) = \varphi(0) + c_1 \alpha \varphi'(0)$ falls without bound, and
# $\varphi$ is bounded below. Near 0 the graph of $\varphi$ lies below $\ell$, because its slope there,
# $\varphi'(0)$, is steeper than $c_1 \varphi'(0)$. So the two meet; let $\alpha' > 0$ be the smallest step
# with $\varphi(\alpha') = \ell(\alpha')$. All shorter steps satisfy the sufficient decrease. By the mean
# value theorem there is an $\alpha''$ in $(0, \alpha')$ with
#
# $$
# \varphi'(\alpha'') = \frac{\varphi(\alpha') - \varphi(0)}{\alpha'} = c_1 \varphi'(0) .
# $$
#
# Since $c_1 < c_2$ and $\varphi'(0) < 0$, we have $|\varphi'(\alpha'')| = c_1 |\varphi'(0)| < c_2
# |\varphi'(0)|$. The inequality is strict, and so is that of the decrease, since $\alpha'' < \alpha'$. Both
# therefore hold in a whole neighbourhood of $\alpha''$, for $\varphi'$ is continuous. ∎
#
# **2. Backtracking.** From $\|\nabla E(w + \alpha p) - \nabla E(w)\| \le L \alpha \|p\|$ follows
# $\varphi'(\alpha) \le \varphi'(0) + L \alpha \|p\|^2$, and by integration
#
# $$
# \varphi(\alpha) \le \varphi(0) + \alpha \varphi'(0) + \tfrac12 L \alpha^2 \|p\|^2 .
# $$
#
# The right side is at most $\varphi(0) + c_1 \alpha \varphi'(0)$ as soon as $\tfrac12 L \alpha \|p\|^2 \le
# (1 - c_1) |\varphi'(0)|$. ∎
#
# **3. The change of the gradient.** With $s = \alpha p$ and $r = \nabla E(w + s) - \nabla E(w)$,
#
# $$
# s^\top r = \alpha \left( \varphi'(\alpha) - \varphi'(0) \right) \ge \alpha (c_2 - 1) \varphi'(0) = (1 -
# c_2)\, \alpha\, |\varphi'(0)| .
# $$
#
# ∎
#
# **Why this is enough for convergence.** Let $\theta$ be the angle between $p$ and $-g$. The curvature
# condition and the Lipschitz constant bound the step from below: $(c_2 - 1) \varphi'(0) \le
# \varphi'(\alpha) - \varphi'(0) \le L \alpha \|p\|^2$. Put into the sufficient decrease, this gives
#
# $$
# E(w_{k+1}) \le E(w_k) - \frac{c_1 (1 - c_2)}{L} \cos^2\theta_k \, \|g_k\|^2 .
# $$
#
# Summed over all steps, with $E$ bounded below: $\sum_k \cos^2 \theta_k \|g_k\|^2 < \infty$ (**Zoutendijk's
# theorem**). For steepest descent $\cos \theta_k = 1$, so the gradients tend to 0, whatever the start.
#
# **The length that is tried next.** What is known of $\varphi$ after a trial $\alpha$ that was too long is
# $\varphi(0)$, $\varphi'(0)$ and $\varphi(\alpha)$. The parabola through them has its minimum at
#
# $$
# \alpha_{\text{next}} = \frac{-\varphi'(0)\, \alpha^2}{2 \left( \varphi(\alpha) - \varphi(0) - \alpha
# \varphi'(0) \right)} ,
# $$
#
# and backtracking takes that, kept between 0.1 and 0.5 of the last step.

# %% [markdown]
# ## In nnx
#
# The condition of the strong Wolfe search, with what it does where rounding hides the decrease:
#
# <!-- source: nnx.optimizers.searches.wolfe:StrongWolfe.accepts -->
#
# <!-- source: nnx.optimizers.searches.wolfe:StrongWolfe._fell -->
#
# Backtracking, and the minimum of its parabola:
#
# <!-- source: nnx.optimizers.searches.armijo:Armijo.accepts -->
#
# <!-- source: nnx.optimizers.searches.armijo:Armijo.steps -->
#
# <!-- source: nnx.optimizers.searches.armijo:_quadratic -->
#
# Six searches are registered: `Fixed` (no search), `Armijo` (backtracking, values only), `StrongWolfe` (Moré
# and Thuente), `HagerZhang`, and two that look for the minimum itself, `GoldenSection` and `Brent`. A search
# is called with a line, the trial at $\alpha = 0$ and a first step, and computes with Python's floats only.
# Every method that goes along a direction takes one by its option `search`.

# %%
import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import line_search

import nnx
from nnx.optimizers.searches import Armijo, Brent, Fixed, GoldenSection, HagerZhang, ScalarLine, StrongWolfe


def phi(a):
    return 1.0 - 1.5 * a + 0.5 * a**2 + 0.25 * (np.cos(6.0 * a) - 1.0)


dphi = nnx.grad(phi)
c1, c2 = 1e-4, 0.9
searches = [
    Fixed(0.1),
    Armijo(c1=c1),
    StrongWolfe(c1=c1, c2=c2),
    StrongWolfe(c1=c1, c2=0.1),
    HagerZhang(c1=0.1, c2=c2),
    GoldenSection(),
    Brent(),
]
for search in searches:
    line = ScalarLine(phi, dphi)
    start = line.slope(0.0)
    answer = search(line, start, 4.0)
    name = f"{type(search).__name__}({getattr(search, 'c2', '')})"
    alpha, asked = answer.trial.alpha, f"values {line.values - 1}, slopes {line.slopes - 1}"
    print(f"{name:18} α = {alpha:.6f}  φ = {phi(alpha):+.6f}  φ' = {dphi(alpha):+.1e}  {asked}")

# %% [markdown]
# The picture shows $\varphi$, the line of sufficient decrease for a larger $c_1 = 0.2$, and, shaded, the step
# lengths that satisfy both conditions with $c_2 = 0.5$. They lie around the minima, and around maxima that
# are low enough: the conditions ask for a flat and low point, not for a minimum.

# %%
# figure: a wavy function of the step length, the line of sufficient decrease, shaded intervals of steps
alphas = np.linspace(0.0, 3.2, 2000)
values, slopes = phi(alphas), np.array([dphi(a) for a in alphas])
decrease = phi(0.0) + 0.2 * alphas * dphi(0.0)
both = (values <= decrease) & (np.abs(slopes) <= 0.5 * abs(dphi(0.0)))
figure, axes = plt.subplots(figsize=(7, 4))
axes.plot(alphas, values, label=r"$\varphi(\alpha)$")
axes.plot(alphas, decrease, "--", label=r"$\varphi(0) + c_1\alpha\varphi'(0)$, $c_1 = 0.2$")
axes.fill_between(
    alphas, 0, 1, where=both, alpha=0.2, transform=axes.get_xaxis_transform(), label="strong Wolfe"
)
axes.set_xlabel(r"step length $\alpha$")
axes.legend()

# %% [markdown]
# ## Assertions
#
# The conditions are computed here from $\varphi$ and $\varphi'$ alone, for 300 random functions, starts,
# directions and first steps that span eight orders of magnitude. Each function is bounded below, so claim 1
# says that a step exists.

# %%
rng = np.random.default_rng(0)
for _ in range(300):
    n = int(rng.integers(1, 6))
    a, b, w = rng.normal(size=(n, n)), rng.normal(size=n), rng.normal(size=n)

    def cost(w, a=a, b=b):
        return np.sum(np.cos(a @ w)) + 0.05 * np.sum(w**4) + b @ w

    gradient = nnx.grad(cost)
    g = gradient(w)
    p = -(np.eye(n) + 0.3 * np.diag(rng.random(n))) @ g  # a descent direction, not quite −g
    line = ScalarLine(lambda t: cost(w + t * p), lambda t: gradient(w + t * p) @ p)  # noqa: B023
    start = line.slope(0.0)
    for search in (StrongWolfe(), StrongWolfe(c2=0.1), Armijo()):
        answer = search(line, start, float(10.0 ** rng.uniform(-4, 4)))
        t = answer.trial.alpha
        assert answer.converged
        # 1e-12 of φ(0): rounding, for which the searches allow as well (epsilon, 1e-14)
        assert cost(w + t * p) <= start.value + search.c1 * t * start.slope + 1e-12 * abs(start.value)
        if isinstance(search, StrongWolfe):
            assert abs(gradient(w + t * p) @ p) <= search.c2 * abs(start.slope)
            s, r = t * p, gradient(w + t * p) - g
            # claim 3; the factor leaves room for the rounding of sᵀr
            assert s @ r >= (1.0 - 1e-9) * (1.0 - search.c2) * t * abs(start.slope)

# %% [markdown]
# Claim 2 on a quadratic, where $L$ is the largest eigenvalue: a step of exactly the bound satisfies the
# decrease, and with equality if $p$ is the eigenvector of $L$. The parabola of backtracking then finds the
# minimum in its second trial, wherever it lies between 0.1 and 0.5 of the first.

# %%
h = np.diag([1.0, 4.0, 25.0])
w, p = np.array([0.0, 0.0, 1.0]), np.array([0.0, 0.0, -25.0])  # along the eigenvector of L = 25, p = −g


def quadratic(t):
    return 0.5 * (w + t * p) @ h @ (w + t * p)


slope = (h @ w) @ p
bound = 2.0 * (1.0 - c1) * abs(slope) / (25.0 * (p @ p))
assert np.isclose(quadratic(bound), quadratic(0.0) + c1 * bound * slope, rtol=1e-12)  # rounding
assert quadratic(1.001 * bound) > quadratic(0.0) + c1 * 1.001 * bound * slope
line = ScalarLine(quadratic, lambda t: (h @ (w + t * p)) @ p)
answer = Armijo()(line, line.slope(0.0), 0.1)  # the minimum is at α = 1/25
assert np.isclose(answer.trial.alpha, 1.0 / 25.0, rtol=1e-12) and line.values == 3  # the start and two trials

# %% [markdown]
# SciPy's search for the strong Wolfe conditions, on Rosenbrock's function along $-g$: another algorithm, and
# so another step, but one that satisfies the same conditions. Both are checked by the same two lines.


# %%
def rosenbrock(x):
    return 100.0 * (x[1] - x[0] ** 2) ** 2 + (1.0 - x[0]) ** 2


gradient = nnx.grad(rosenbrock)
x = np.array([-1.2, 1.0])
p = -gradient(x)
theirs = line_search(rosenbrock, gradient, x, p, c1=1e-4, c2=0.1)[0]
line = ScalarLine(lambda t: rosenbrock(x + t * p), lambda t: gradient(x + t * p) @ p)
start = line.slope(0.0)
ours = StrongWolfe(c1=1e-4, c2=0.1)(line, start, 1.0).trial.alpha
for alpha in (theirs, ours):
    assert rosenbrock(x + alpha * p) <= start.value + 1e-4 * alpha * start.slope
    assert abs(gradient(x + alpha * p) @ p) <= 0.1 * abs(start.slope)
print(theirs, ours)

# %% [markdown]
# ## When it fails
#
# - **$c_1 \ge \tfrac12$.** At the minimum of a parabola $\varphi(\alpha^*) = \varphi(0) + \tfrac12 \alpha^*
#   \varphi'(0)$: it does not satisfy the decrease for $c_1 > \tfrac12$, and Newton's full step would be
#   refused at every minimum. nnx refuses such a $c_1$ for `StrongWolfe`.
# - **No lower bound.** For $\varphi(\alpha) = -\alpha$ the slope never flattens; no step satisfies the
#   curvature condition. The search says so and returns the lowest trial.
# - **Kinks.** $\varphi(\alpha) = |\alpha - 1|$ has slopes $\pm 1$ only: $|\varphi'| \le c_2$ holds nowhere.
#   `Armijo` and `GoldenSection` need values only.
# - **Rounding.** Close to a minimum the decrease is smaller than the rounding of $\varphi(0)$. Then the
#   slopes, which are still right, judge (Hager and Zhang's approximate condition), see `_fell` above.
# - **Decrease alone is not enough.** `Armijo` accepts $\alpha = 10^{-8}$ if it is tried first. It gives no
#   bound from below and no $s^\top r > 0$; that is the purpose of the second condition.

# %%
unbounded = ScalarLine(lambda a: -a, lambda a: -1.0)
nowhere = StrongWolfe()(unbounded, unbounded.slope(0.0), 1.0)
kink = ScalarLine(lambda a: abs(a - 1.0), lambda a: -1.0 if a < 1.0 else 1.0)
no_wolfe = StrongWolfe()(kink, kink.slope(0.0), 0.3)
golden = GoldenSection()(kink, kink.slope(0.0), 0.3)
assert not nowhere.converged and not no_wolfe.converged
assert golden.converged and abs(golden.trial.alpha - 1.0) < 1e-7  # xtol is 2⁻²⁶ = 1.5e-8
print(nowhere.message)

# %% [markdown]
# ## References
#
# - L. Armijo, *Minimization of functions having Lipschitz continuous first partial derivatives*, Pacific J.
#   Math. 16 (1966) 1–3.
# - P. Wolfe, *Convergence conditions for ascent methods*, SIAM Review 11 (1969) 226–235.
# - J. Nocedal, S. J. Wright, *Numerical Optimization*, 2nd ed., Springer 2006: Lemma 3.1 (p. 35), Theorem
#   3.2 (Zoutendijk, p. 38), section 3.5 (pp. 56–62).
# - J. J. Moré, D. J. Thuente, *Line search algorithms with guaranteed sufficient decrease*, ACM Trans.
#   Math. Software 20 (1994) 286–307.
# - W. W. Hager, H. Zhang, *A new conjugate gradient method with guaranteed descent and an efficient line
#   search*, SIAM J. Optim. 16 (2005) 170–192.
