# %% [markdown]
# # Second order: what curvature buys
#
# The gradient tells a training algorithm which way is down. The Hessian tells it how far. This page
# measures the difference: the order of Taylor's expansions, linear against quadratic convergence, the
# zigzag of steepest descent and Newton's single step, and three methods that take the same path on a
# quadratic: BFGS, DFP and conjugate gradients.
#
# The proofs are in the derivations: [Taylor](../derivations/taylor.md), [Newton](../derivations/newton.md),
# [line searches](../derivations/line_search.md), [BFGS and DFP](../derivations/bfgs.md), [conjugate
# gradients](../derivations/conjugate_gradients.md).

# %%
import matplotlib.pyplot as plt
import numpy as np

import nnx
from nnx.optimizers import BFGS, DFP, ConjugateGradient, FunctionProblem, SteepestDescent
from nnx.optimizers.searches import StrongWolfe

# %% [markdown]
# ## Taylor's expansion of a network's cost
#
# Let $w$ be all weights of a network as one vector, $g = \nabla E(w)$ and $H$ the matrix of second
# derivatives. For a step $p$
#
# $$ E(w + p) = E(w) + g^\top p + \tfrac12\, p^\top H p + O(\|p\|^3). $$
#
# The linear model leaves out the second term, so for a step $t\,p$ its error falls like $t^2$ as $t$ goes to
# zero. The quadratic model's error falls like $t^3$. We take a real network, 2-4-1, on the XOR problem.
# [`as_function`][nnx.Model.as_function] gives it as a pure function of its weights, by name or as one vector.

# %%
x = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
y = np.array([[0.0], [1.0], [1.0], [0.0]])
layers = [nnx.layers.Dense(4, "tanh", input_shape=(2,)), nnx.layers.Dense(1)]
f, weights = nnx.Sequential(layers, dtype="float64", seed=3).as_function()
w = np.concatenate([nnx.to_numpy(part).ravel() for part in weights.values()])


def cost(w):
    return 0.5 * np.sum((f(w, x) - y) ** 2)


g, H = nnx.grad(cost)(w), nnx.hessian(cost)(w)
print(f"{w.size} weights, ‖g‖ = {np.linalg.norm(g):.3f}, H has shape {H.shape}")

# %% [markdown]
# Along a random direction $p$ of length 1 the errors of both models are straight lines on logarithmic axes,
# with slopes 2 and 3.

# %%
p = np.random.default_rng(0).standard_normal(w.size)
p /= np.linalg.norm(p)
t = np.geomspace(1e-4, 1e-2, 9)
exact = np.array([cost(w + s * p) for s in t])
linear = cost(w) + t * (g @ p)
quadratic = linear + 0.5 * t**2 * (p @ H @ p)
slopes = {}
for name, model in (("linear model", linear), ("quadratic model", quadratic)):
    slopes[name] = np.polyfit(np.log(t), np.log(abs(exact - model)), 1)[0]
    print(f"{name:16} error ~ t^{slopes[name]:.2f}")
# The next terms of the series bend the lines by O(t), t ≤ 0.01; rounding, 1e-15, is far below the errors.
assert abs(slopes["linear model"] - 2.0) < 0.05
assert abs(slopes["quadratic model"] - 3.0) < 0.05

# %%
# figure: errors of the linear and the quadratic Taylor model against the length of the step, slopes 2 and 3.
figure, ax = plt.subplots(figsize=(6.0, 4.0), layout="constrained")
ax.loglog(t, abs(exact - linear), "o-", label="linear model: slope 2")
ax.loglog(t, abs(exact - quadratic), "s-", label="quadratic model: slope 3")
ax.set(
    xlabel="length of the step t", ylabel="|E(w + tp) − model|", title="Taylor's models of a network's cost"
)
ax.legend()
ax.grid(alpha=0.3)

# %% [markdown]
# ## A quadratic, and the zigzag of steepest descent
#
# Near a minimum every smooth cost looks like a quadratic $E(w) = \tfrac12 w^\top A w$. Its minimum here is
# at 0. With the best step along $-g$, $\alpha = g^\top g / g^\top A g$, the new gradient is perpendicular
# to the old one: the path turns by 90° in every step and zigzags through the valley. The narrower the
# valley, the slower: with $\kappa$ = largest / smallest eigenvalue of $A$ (its *condition number*), each
# step multiplies the cost by at most
#
# $$ \Bigl(\frac{\kappa - 1}{\kappa + 1}\Bigr)^2. $$
#
# From the start $w_0 = (\kappa, 1)$ on $A = \mathrm{diag}(1, \kappa)$ it is exactly that in every step.
#
# nnx's [`SteepestDescent`][nnx.optimizers.SteepestDescent] takes any search. `StrongWolfe` with a tiny `c2`
# goes on until the slope along the direction is practically 0, so it is an exact search.

# %%
EXACT = StrongWolfe(c1=1e-10, c2=1e-9)


def walk(method, f, w, steps):
    """The iterates of a method, the start first, and its state."""
    problem, w = FunctionProblem(f), np.array(w, dtype=float)
    state, path = method.init(problem, w), [np.array(w)]
    for _ in range(steps):
        w, state, info = method.step(problem, w, state)
        if not info.accepted:
            break
        path.append(np.array(w))
        if info.stop is not None:
            break
    return np.array(path), state


def valley(kappa):
    return lambda w: 0.5 * (w[0] ** 2 + kappa * w[1] ** 2)


kappa = 6.0
E = valley(kappa)
zigzag, _ = walk(SteepestDescent(search=EXACT), E, [kappa, 1.0], 25)
costs = np.array([E(w) for w in zigzag])
ratios = costs[1:] / costs[:-1]
bound = ((kappa - 1.0) / (kappa + 1.0)) ** 2
print(f"measured ratio of costs {ratios.min():.6f} to {ratios.max():.6f}, theory {bound:.6f}")
np.testing.assert_allclose(ratios, bound, rtol=1e-6)  # the search leaves 1e-9 of the slope

steps = np.diff(zigzag, axis=0)
lengths = np.linalg.norm(steps, axis=1)
turns = np.sum(steps[1:] * steps[:-1], axis=1) / (lengths[1:] * lengths[:-1])
print(f"largest |cosine| between successive steps: {abs(turns).max():.1e}")
assert abs(turns).max() < 1e-6

# %% [markdown]
# ## Newton's single step
#
# The quadratic model is smallest where its derivative by $p$ is 0: $g + Hp = 0$, so $p = -H^{-1} g$. On a
# quadratic the model is the function, and one step ends at the minimum, whatever $\kappa$ is.

# %%
for k in (10.0, 1e3, 1e6):
    newton = nnx.minimize(valley(k), np.array([k, 1.0]), method="newton")
    print(f"κ = {k:9.0f}: Newton {newton.nit} iteration, E = {newton.fun:.1e}")
    assert newton.nit == 1
    assert newton.fun < 1e-20 * valley(k)(np.array([k, 1.0]))  # rounding of the solve: 1e-16, squared

# %%
# figure: contours of a narrow valley, the zigzag of steepest descent and Newton's single step to the minimum.
figure, ax = plt.subplots(figsize=(8.0, 3.2), layout="constrained")
u, v = np.meshgrid(np.linspace(-1.0, 6.5, 200), np.linspace(-1.3, 1.3, 200))
ax.contour(u, v, 0.5 * (u**2 + kappa * v**2), levels=costs[:10][::-1], colors="0.75", linewidths=0.8)
ax.plot(*zigzag.T, "o-", markersize=4, label="steepest descent, exact search")
ax.plot([kappa, 0.0], [1.0, 0.0], "s--", markersize=6, label="Newton")
ax.set(title=f"κ = {kappa:.0f}", xlabel="w₁", ylabel="w₂", aspect="equal")
_ = ax.legend(loc="upper left")

# %% [markdown]
# The price of the zigzag grows with $\kappa$. To lower the cost by $10^{-10}$ takes about $\ln 10^{10}
# \,/\, \bigl(4/\kappa\bigr) \approx 5.8\,\kappa$ steps, since $\ln(1/\text{ratio}) \approx 4/\kappa$.

# %%
needed = {}
for k in (10.0, 100.0, 1000.0):
    path, _ = walk(SteepestDescent(search=EXACT), valley(k), [k, 1.0], 10_000)
    low = np.array([valley(k)(w) for w in path]) <= 1e-10 * valley(k)(path[0])
    needed[k] = int(np.argmax(low))
    print(f"κ = {k:5.0f}: {needed[k]:5d} steps, {needed[k] / k:.2f} κ")
    assert low.any() and abs(needed[k] / k - 5.76) < 0.3  # ln(1e10)/4 = 5.756; a whole number of steps

# %% [markdown]
# ## Linear and quadratic convergence, measured
#
# The lectures define both by the distance $e_k = \|w^* - w_k\|$ to the minimum $w^*$:
#
# $$ e_{k+1} \le c\,e_k \quad\text{(linear)}, \qquad e_{k+1} \le C\,e_k^2 \quad\text{(quadratic)}. $$
#
# Take logarithms: plotted against $\log e_k$, $\log e_{k+1}$ is a straight line whose slope is the *order*
# of convergence, 1 or 2. A linear method finds one more digit in every so many steps. A quadratic one
# doubles the number of digits in every step. We measure both on a function that is not quadratic.

# %%


def curved(w):
    return np.sum(np.cosh(w)) + 0.5 * (w[0] + 2.0 * w[1]) ** 2 + 0.1 * w[0] ** 3


best = nnx.minimize(curved, np.array([0.1, 0.1]), method="newton").x
runs = {
    "gradient descent, η = 0.1": nnx.optimizers.SGD(0.1),
    "steepest descent": SteepestDescent(search=EXACT),
    "BFGS": BFGS(),
    "Newton": nnx.optimizers.Newton(),
}
errors, orders = {}, {}
for name, method in runs.items():
    path, _ = walk(method, curved, [2.0, 1.5], 60)
    e = np.linalg.norm(path - best, axis=1)
    errors[name] = e = e[e > 1e-13]  # below, rounding decides
    near = e[e < 1.0]  # the theorems speak of the neighbourhood of the minimum
    orders[name] = np.polyfit(np.log(near[:-1]), np.log(near[1:]), 1)[0]
    print(f"{name:26} {len(e) - 1:3} steps to {e[-1]:.0e}, order {orders[name]:.2f}")

# %% [markdown]
# Newton's distances in full: the exponent doubles from step to step.

# %%
print("Newton: ", "  ".join(f"{e:.1e}" for e in errors["Newton"]))
# Tolerances: a fit through the few steps that are near enough for the theorem and above rounding.
assert abs(orders["gradient descent, η = 0.1"] - 1.0) < 0.05
assert abs(orders["steepest descent"] - 1.0) < 0.05
assert abs(orders["Newton"] - 2.0) < 0.15
assert 1.05 < orders["BFGS"] < 2.0

# %% [markdown]
# BFGS lies between: its convergence is *superlinear*, $e_{k+1}/e_k \to 0$, although it never sees a second
# derivative.

# %%
# figure: the distance to the minimum against the step: straight lines for linear methods, a plunge for Newton
figure, ax = plt.subplots(figsize=(6.5, 4.0), layout="constrained")
for (name, e), mark in zip(errors.items(), "os^D", strict=True):
    ax.semilogy(e, mark + "-", markersize=4, label=name)
ax.set(xlabel="step", ylabel="distance to the minimum", xlim=(-1, 40), title="Linear, superlinear, quadratic")
ax.legend()
ax.grid(alpha=0.3)

# %% [markdown]
# ## How many steps for one more digit?
#
# The slides say that gradient descent with a constant rate may take $O(1/\varepsilon)$ steps to the
# accuracy $\varepsilon$, so ten times as many for one more digit, and call its convergence linear. These
# are two different cases. Linear convergence takes $O(\log 1/\varepsilon)$ steps: each digit costs the
# same. $O(1/\varepsilon)$ bounds the steps on convex functions without a lower bound on the curvature,
# where convergence is slower than linear: at the minimum of $w^4$ the second derivative is 0. We count the
# steps of gradient descent to $E \le 10^{-2}, 10^{-4}, 10^{-6}$.

# %%


def steps_to(gradient, energy, rate):
    w, count, goals = 1.0, 0, []
    for goal in (1e-2, 1e-4, 1e-6):
        while energy(w) > goal:
            w, count = w - rate * gradient(w), count + 1
        goals.append(count)
    return goals


bowl = steps_to(lambda w: w, lambda w: 0.5 * w**2, 0.1)
flat = steps_to(lambda w: 4.0 * w**3, lambda w: w**4, 0.1)
print(f"½w²: {bowl} steps, linear\nw⁴:  {flat} steps, slower than linear")
# Two digits more cost as many steps each time on the bowl, ten times as many on w⁴ (E falls like 1/k²).
assert abs((bowl[2] - bowl[1]) - (bowl[1] - bowl[0])) <= 1
assert 9.0 < flat[2] / flat[1] < 11.0

# %% [markdown]
# ## Three methods, one path
#
# *Variable metric* methods learn $V \approx H^{-1}$ from the steps $s = w_k - w_{k-1}$ and the changes of
# the gradient $r = g_k - g_{k-1}$, so that $V r = s$, and go along $-Vg$. Two of them are in the lectures,
# BFGS and DFP. These are the lines of nnx that update $V$:
#
# <!-- source: nnx.optimizers.descent.quasi_newton:BFGS.update -->
#
# <!-- source: nnx.optimizers.descent.quasi_newton:DFP.update -->
#
# The formulas differ. Yet on a quadratic with exact searches both take the path of conjugate gradients: $n$
# steps to the minimum, along directions with $p_i^\top A\,p_j = 0$, and at the end $V = A^{-1}$. Here $n =
# 6$.

# %%
n = 6
random = np.random.default_rng(1)
Q = np.linalg.qr(random.standard_normal((n, n)))[0]
A = (Q * np.geomspace(1.0, 50.0, n)) @ Q.T
A, b = 0.5 * (A + A.T), random.standard_normal(n)
minimum = np.linalg.solve(A, b)


def quadratic_cost(w):
    return 0.5 * (w @ (A @ w)) - b @ w


methods = {"BFGS": BFGS, "DFP": DFP, "conjugate gradients": ConjugateGradient}
paths, states = {}, {}
for name, method in methods.items():
    paths[name], states[name] = walk(method(search=EXACT), quadratic_cost, np.zeros(n), n)
    print(f"{name:20} {len(paths[name]) - 1} steps, error {np.linalg.norm(paths[name][-1] - minimum):.1e}")

# %% [markdown]
# The textbook's conjugate gradients, written by hand, give the path to compare with.

# %%
w, g = np.zeros(n), -b
p, by_hand = -g, [np.zeros(n)]
for _ in range(n):
    alpha = (g @ g) / (p @ A @ p)
    w, new = w + alpha * p, g + alpha * (A @ p)
    p, g = -new + (new @ new) / (g @ g) * p, new
    by_hand.append(w)
by_hand = np.array(by_hand)

for name, path in paths.items():
    # Exact up to what the search leaves of the slope, 1e-9, times the condition of A, 50.
    np.testing.assert_allclose(path, by_hand, atol=1e-7, err_msg=name)
s = np.diff(paths["BFGS"], axis=0)
conjugacy = s @ A @ s.T
off = abs(conjugacy - np.diag(np.diag(conjugacy))).max() / conjugacy.max()
print(f"largest |pᵢᵀApⱼ|, i ≠ j, relative to pᵢᵀApᵢ: {off:.0e}")
assert off < 1e-6
for name in ("BFGS", "DFP"):
    V = states[name].memory["inverse_hessian"]
    print(f"{name:4} V against the inverse of A: largest difference {abs(V - np.linalg.inv(A)).max():.0e}")
    np.testing.assert_allclose(V, np.linalg.inv(A), atol=1e-6)

# %% [markdown]
# ## Where they part
#
# With the inexact searches that one uses in practice the paths differ, and so do the numbers of steps.
# Rosenbrock's valley, from the classical start:

# %%


def rosenbrock(w):
    return 100.0 * (w[1] - w[0] ** 2) ** 2 + (1.0 - w[0]) ** 2


iterations = {}
for method in ("steepest_descent", "cg", "dfp", "bfgs", "newton"):
    result = nnx.minimize(
        rosenbrock, np.array([-1.2, 1.0]), method=method, options={"maxiter": 20_000, "goal": 1e-12}
    )
    iterations[method] = result.nit
    print(f"{method:17} {result.nit:6} iterations, {result.nfev:6} values, E = {result.fun:.0e}")
    assert result.fun <= 1e-12
assert iterations["newton"] < iterations["bfgs"] < iterations["steepest_descent"] / 10

# %% [markdown]
# Newton pays for its few steps with the Hessian: $n^2$ entries and $O(n^3)$ operations in each. What that
# means for large networks is the subject of [why deep nets use first order](hessian_memory.md). Curvature
# for sums of squares from first derivatives alone is the subject of [curve fitting](curve_fitting.md).
