# %% [markdown]
# # Levenberg–Marquardt
#
# ## Claim
#
# For a sum of squares $E = \tfrac12 \|e(w)\|^2$ with the Jacobian $J = \partial e/\partial w$ (first
# derivatives: the slide's second ones are in the
# [errata](errata.md#the-jacobian-of-levenberg-and-marquardt)) the lectures' form is
#
# $$
# g = J^\top e, \qquad G = J^\top J + \nu I, \qquad p = -G^{-1} g, \qquad \nu > 0 .
# $$
#
# 1. $G$ is positive definite for every $J$, so $p$ always exists and is a descent direction.
# 2. $\nu \to 0$ gives the [Gauss–Newton](gauss_newton.md) step, and $p \approx -g/\nu$ for large $\nu$: a
#    short step of gradient descent.
# 3. As $\nu$ grows, $\|p\|$ falls and the angle between $p$ and $-g$ falls.
# 4. (Moré) $p(\nu)$ is the **best step of its length**: it minimises the linear model $\|Jp + e\|$ among
#    all steps with $\|p\| \le \Delta = \|p(\nu)\|$. So instead of a damping one may choose a radius $\Delta$,
#    within which the model is trusted, and take the damping that belongs to it.

# %% [markdown]
# ## Derivation
#
# **1.** $x^\top G x = \|Jx\|^2 + \nu \|x\|^2 > 0$ for $x \ne 0$, and $g^\top p = -g^\top G^{-1} g < 0$.
#
# **2.** $p = -(J^\top J + \nu I)^{-1} g$ is continuous in $\nu$ where $J^\top J$ is invertible; and $\nu p =
# -(I + J^\top J/\nu)^{-1} g \to -g$.
#
# **3. Along the singular vectors.** Let $J = U \Sigma V^\top$, $b = U^\top e$. Then $g = V \Sigma b$ and
#
# $$
# p(\nu) = -\sum_i \frac{\sigma_i b_i}{\sigma_i^2 + \nu}\, v_i, \qquad \|p(\nu)\|^2 = \sum_i \frac{\sigma_i^2
# b_i^2}{(\sigma_i^2 + \nu)^2} .
# $$
#
# Directions that the errors feel little ($\sigma_i^2 \ll \nu$) are damped, the others are not. Every term of
# the norm falls. For the angle, with weights $a_i = \sigma_i^2 b_i^2 \ge 0$ and $x_i = 1/(\sigma_i^2 + \nu)$,
#
# $$
# \cos^2 \theta = \frac{(g^\top p)^2}{\|g\|^2 \|p\|^2} = \frac{\left( \sum a_i x_i \right)^2}{\sum a_i \, \sum
# a_i x_i^2} .
# $$
#
# Since $dx_i/d\nu = -x_i^2$, the sign of its derivative is that of $\sum a_i x_i \sum a_i x_i^3 - \left( \sum
# a_i x_i^2 \right)^2$, which is $\ge 0$ by Cauchy and Schwarz.
#
# **4. The trust region.** Let $m(q) = \tfrac12 \|Jq + e\|^2$. The gradient of $m(q) + \tfrac12 \nu \|q\|^2$
# is $J^\top(Jq + e) + \nu q$, and it is 0 at $q = p(\nu)$, which is the minimum because the function is
# strictly convex. So for every $q$ with $\|q\| \le \|p\|$
#
# $$
# m(q) \ge m(p) + \tfrac12 \nu \left( \|p\|^2 - \|q\|^2 \right) \ge m(p) .
# $$
#
# ∎
#
# The equation $\|p(\nu)\| = \Delta$ and how it is solved: [trust regions](trust_regions.md).
#
# **Units.** With a matrix $D$ in place of $I$, $p = -(J^\top J + \mu D)^{-1} g$, the same proof holds in the
# norm $\|\sqrt D\, p\|$. For $D = \operatorname{diag}(J^\top J)$ (Marquardt; Moré takes the largest value so
# far) the method does not depend on the units of the weights: with $w_j = c_j v_j$ every entry $D_j$ is
# multiplied by $c_j^2$, as is $(J^\top J)_{jj}$, and the step in $v$ is the same step.
#
# **Relative to the variables.** Columns of $J$ change on the way, and the largest so far may be long out of
# date. Another measure without units asks by which part of itself a variable changes:
#
# $$
# D_j = \left( \frac{\max_i \sqrt{(J^\top J)_{ii}}\, s_i}{s_j} \right)^2, \qquad s_j = \text{the largest }
# |w_j| \text{ so far}.
# $$
#
# With $w_j = c_j v_j$ the $s_j$ are divided by $c_j$ and the entries of $\sqrt{J^\top J}$ multiplied by it,
# so that $D_j$ is multiplied by $c_j^2$, as above. Neither measure is best for every function. nnx begins
# with the columns. After 30 steps in a row that the region held short and that did not halve the cost it
# takes the relative measure, with a new radius, after 45 more such steps the columns again, and so on, each
# time with half as much patience again.
#
# **How $\mu$ follows success.** Let $\rho$ be the fall of the cost, divided by the fall that the linear model
# promised. All rules accept a step only if the cost fell.
#
# - *The lectures, MATLAB's `trainlm`*: $\mu \leftarrow 0.1\, \mu$ after an accepted step; else $\mu
#   \leftarrow 10\, \mu$ and another try. The run ends where $\mu > 10^{10}$.
# - *Nielsen*: $\mu \leftarrow \mu \cdot \max\left(\tfrac13,\; 1 - (2\rho - 1)^3\right)$ and $\nu \leftarrow
#   2$ after an accepted step; else $\mu \leftarrow \nu\mu$, $\nu \leftarrow 2\nu$ and another try.
# - *Moré*: the radius $\Delta$ becomes twice the length of the step where $\rho \ge \tfrac34$ or where the
#   whole Gauss–Newton step was inside; where $\rho \le \tfrac14$ it shrinks to between 0.1 and 0.5 of itself.
#
# Nielsen's factor is a smooth function of $\rho$: 1 at $\rho = \tfrac12$, $\tfrac13$ at $\rho = 1$, and 2 at
# $\rho = 0$. (His $\nu$ is a counter of failures, not the lectures' $\nu$.)
#
# **Valleys that bend** (Transtrum and Sethna). The linear model holds on a straight way, and valleys of least
# squares bend. Follow a parabola instead, $w(t) = w + t p + \tfrac12 t^2 a$. The errors along it are
#
# $$
# e(w(t)) = e + t\, J p + \tfrac12 t^2 \left( J a + k \right) + O(t^3), \qquad k = \left. \frac{d^2}{dt^2}\,
# e(w + t p) \right|_{t = 0} .
# $$
#
# The model without its $t^2$ is kept as well as possible if $a$ solves $J a = -k$ as $p$ solves $J p = -e$:
#
# $$
# a = -(J^\top J + \mu D)^{-1} J^\top k ,
# $$
#
# and the step is $p + \tfrac12 a$. A difference gives $k$: $\tfrac12 h^2 k \approx e(w + h p) - e - h J p$
# with $h = 0.1$, for one more evaluation of the errors. Where $a$ is not small beside $p$, $\|\sqrt D a\| >
# \tfrac34 \|\sqrt D p\|$, the parabola is not believed, and the step is rejected.
#
# **Digits.** Near the minimum $E$ and $E'$, the costs before and after a step, agree in nearly all digits.
# Their difference keeps its own if it is computed from that of the errors:
#
# $$
# E - E' = \tfrac12 (e - e')^\top (e + e') .
# $$

# %% [markdown]
# ## In nnx
#
# Functions take Moré's form by default (`damping="trust_region"`), networks in `fit` Nielsen's rule;
# `damping="matlab"` is `trainlm`'s. The last two in the source:
#
# <!-- source: nnx.optimizers.squares.levenberg_marquardt:Damped.accepted -->
#
# <!-- source: nnx.optimizers.squares.levenberg_marquardt:Damped.rejected -->
#
# The step of all of them, by Cholesky factors of $J^\top J + \operatorname{diag}(d)$ with a unit diagonal:
#
# <!-- source: nnx.optimizers.squares.systems:NormalEquations.solve -->
#
# What becomes of a step is decided in one place, for the dog-leg as well:
#
# <!-- source: nnx.optimizers.squares.step_control:Attempt.gain -->
#
# <!-- source: nnx.optimizers.squares.step_control:GainRatio._lower -->
#
# The two measures of functions, and when they change places. `scaling="jac"` or `"relative"` holds to one of
# them. Networks in `fit` have $D = I$ times a constant (`scaling="identity"`), for their weights have like
# units, and a weight without influence at the moment must not run away
# ([measured](../training_algorithms.md)).
#
# <!-- source: nnx.optimizers.squares.scale:_columns -->
#
# <!-- source: nnx.optimizers.squares.scale:_relative -->
#
# <!-- source: nnx.optimizers.squares.scale:turns -->
#
# The bent step. It is tried where ten steps in a row did not halve the cost (with a damping of its own: one
# step); `geodesic=True` bends every step, `False` none.
#
# <!-- source: nnx.optimizers.squares.levenberg_marquardt:bent -->
#
# The errors of a network are linear in the weights of a linear output layer. Where the targets are not of
# about the size of the outputs at the start (their root mean square below 0.01 or above 100), the first step
# sets these weights alone, to their best values with a small ridge:
#
# <!-- source: nnx.optimizers.squares.step_control:_linear_step -->

# %%
from fractions import Fraction
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import least_squares

import nnx

rng = np.random.default_rng(0)
t = np.linspace(0.0, 2.0, 30)
y = 3.0 * np.exp(-2.0 * t) + np.sin(3.0 * t) + 0.02 * rng.normal(size=30)


def errors(w):
    return w[0] * np.exp(-w[1] * t) + np.sin(w[2] * t) - y


start = np.array([1.0, 0.3, 2.0])
problem = nnx.optimizers.ResidualProblem(errors)
point = problem.at(start)
j, e = point.jacobian, point.residual
g, gauss_newton = j.T @ e, np.linalg.lstsq(j, -e, rcond=None)[0]
damping = 10.0 ** np.linspace(-6, 4, 200)
steps = np.array([-np.linalg.solve(j.T @ j + nu * np.eye(3), g) for nu in damping])
lengths = np.linalg.norm(steps, axis=1)
cosines = -(steps @ g) / lengths / np.linalg.norm(g)

# %% [markdown]
# The length of the step falls as $\nu$ grows, from that of Gauss–Newton to 0; the cosine between $p$ and $-g$
# rises to 1.

# %%
# figure: against the damping, the length of the step falls to 0 and the cosine with -g rises to 1
figure, axes = plt.subplots(figsize=(6, 4))
axes.semilogx(damping, lengths / np.linalg.norm(gauss_newton), label=r"$\|p(\nu)\|$ / Gauss–Newton's")
axes.semilogx(damping, cosines, label=r"cosine between $p(\nu)$ and $-g$")
axes.set_xlabel(r"damping $\nu$")
axes.legend()

# %% [markdown]
# ## Assertions
#
# **Claims 2 to 4**: limits, monotony, and the best step of its length, tried against 2000 others no longer
# than it.

# %%
assert np.allclose(steps[0], gauss_newton, rtol=1e-4)  # ν = 1e-6, and the smallest σ² is about 0.1
assert np.allclose(damping[-1] * steps[-1], -g, rtol=0.02)  # JᵀJ/ν is a few thousandths there
assert np.all(np.diff(lengths) < 0.0) and np.all(np.diff(cosines) > -1e-12)
for p in steps[::40]:
    others = rng.normal(size=(2000, 3))
    others *= (
        (rng.random((2000, 1)) ** 0.3) * np.linalg.norm(p) / np.linalg.norm(others, axis=1, keepdims=True)
    )
    others = np.concatenate([others, p + 0.01 * others])
    others = others[np.linalg.norm(others, axis=1) <= np.linalg.norm(p)]
    best = np.linalg.norm(j @ p + e)
    assert np.all(np.linalg.norm(others @ j.T + e, axis=1) >= best - 1e-12)

# %% [markdown]
# **The lectures' method in twenty lines** of NumPy, with MATLAB's and with Nielsen's rule, beside nnx's.
# nnx's $\mu$ counts in units of the largest entry of $J^\top J$ at the start, so that the scale of the cost
# does not matter; $D$ is that times $I$. All iterates agree.


# %%
def lectures(w, rule, steps, mu=1e-3):
    """Levenberg–Marquardt with G = JᵀJ + νI."""
    path, failures = [w], 2.0
    unit = None
    while len(path) <= steps:
        e, j = errors(w), nnx.jacobian(errors)(w)
        unit = np.max(np.sum(j * j, axis=0)) if unit is None else unit
        while True:
            p = -np.linalg.solve(j.T @ j + mu * unit * np.eye(len(w)), j.T @ e)
            fall = 0.5 * (e @ e - errors(w + p) @ errors(w + p))
            rho = fall / (-(j.T @ e) @ p - 0.5 * (j @ p) @ (j @ p))
            if fall > 0.0 and rho >= 1e-4:
                break
            mu *= 10.0 if rule == "matlab" else failures
            failures *= 2.0
        w, failures = w + p, 2.0
        mu *= 0.1 if rule == "matlab" else max(1.0 / 3.0, 1.0 - (2.0 * min(rho, 1.0) - 1.0) ** 3)
        path.append(w)
    return np.array(path)


far = np.array([1.0, 5.0, 1.0])
for rule in ("matlab", "nielsen"):
    path = [far]
    result = nnx.least_squares(
        errors,
        far,
        method="lm",
        options={"damping": rule, "scaling": "identity", "geodesic": False, "mu": 1e-3, "maxiter": 8},
        callback=lambda x, path=path: path.append(x.copy()),
    )
    plain = lectures(far, rule, len(path) - 1)
    difference = np.abs(np.array(path) - plain).max()
    print(f"{rule:8} {len(path) - 1} steps, {result.nfev} evaluations, largest difference {difference:.1e}")
    # the condition of JᵀJ is some hundreds, and errors of a step enter the next ones
    assert difference < 1e-12 and result.nfev > len(path)  # and some trials were rejected

# %% [markdown]
# **Moré's form.** Each step of nnx's default must lie on the curve $-(J^\top J + \mu D)^{-1} g$, with the
# largest $\operatorname{diag}(J^\top J)$ so far as $D$: then $-g - J^\top J p$ is the same multiple $\mu \ge
# 0$ of $D p$ in every entry.

# %%
path = [far]
options = {"geodesic": False, "factor": 0.1}  # a first radius so small that the region binds
result = nnx.least_squares(errors, far, options=options, callback=lambda x: path.append(x.copy()))
largest, dampings = np.zeros(3), []
for before, after in pairwise(path[:6]):
    j, e = nnx.jacobian(errors)(before), errors(before)
    largest = np.maximum(largest, np.sum(j * j, axis=0))
    p = after - before
    mu = (-(j.T @ e) - j.T @ j @ p) / (largest * p)
    dampings.append(mu.mean())
    # an entry of p may be short, and is known to its rounding: 1e-16·|w|/|p|
    assert np.allclose(mu, mu.mean(), atol=1e-5) and mu.mean() > -1e-6
print("μ of the first steps:", np.round(dampings, 5))
theirs = least_squares(errors, far, jac=nnx.jacobian(errors), method="lm", x_scale="jac")
print("cost: nnx", result.cost, "SciPy (MINPACK)", theirs.cost)
assert result.success and np.allclose(result.x, theirs.x, rtol=1e-6)
assert max(dampings) > 1e-2  # the region did bind

# %% [markdown]
# **Units.** The same fit with the parameters in units of $10^{-6}$ and $10^{9}$ takes the same way.

# %%
units = np.array([1e-6, 1e9, 1.0])
scaled = nnx.least_squares(lambda v: errors(units * v), start / units)
plain = nnx.least_squares(errors, start)
assert scaled.nit == plain.nit and np.allclose(scaled.x * units, plain.x, rtol=1e-8)

# %% [markdown]
# **Relative or by columns.** Brown and Dennis' function from its usual start: evaluations with either
# measure, and with both in turn, the default.

# %%
ti = np.arange(1, 21) / 5.0


def brown_dennis(w):
    return (w[0] + ti * w[1] - np.exp(ti)) ** 2 + (w[2] + w[3] * np.sin(ti) - np.cos(ti)) ** 2


counts = {}
for measure in ("jac", "relative", None):
    found = nnx.least_squares(brown_dennis, [25.0, 5.0, -5.0, -1.0], options={"scaling": measure})
    counts[measure] = found.nfev
    assert found.success and np.isclose(2.0 * found.cost, 85822.2016263563, rtol=1e-12)  # the known minimum
print(counts)
assert counts[None] < counts["jac"]

# %% [markdown]
# **The bent step.** The difference that gives $k$ has an error of the order of $h$: half of $h$, half the
# error. Then one step of nnx beside the formula.

# %%
e, j = errors(start), nnx.jacobian(errors)(start)
unit = np.max(np.sum(j * j, axis=0))
g_matrix = j.T @ j + unit * np.eye(3)
p = -np.linalg.solve(g_matrix, j.T @ e)
exact = nnx.jvp(lambda w: nnx.jvp(errors, (w,), (p,))[1], (start,), (p,))[1]
by_difference = {h: 2.0 / h**2 * (errors(start + h * p) - e - h * (j @ p)) for h in (0.1, 0.05, 0.025)}
wrong = {h: np.linalg.norm(k - exact) for h, k in by_difference.items()}
assert np.isclose(wrong[0.05] / wrong[0.025], 2.0, rtol=0.1)  # the next term of the series: another h
a = -np.linalg.solve(g_matrix, j.T @ by_difference[0.1])
options = {"damping": "nielsen", "scaling": "identity", "geodesic": True, "mu": 1.0, "maxiter": 1}
one = nnx.least_squares(errors, start, options=options)
assert one.nfev == 3  # the start, the errors at w + hp, those at the end of the step
assert np.allclose(one.x, start + p + 0.5 * a, rtol=1e-9)  # h² takes two of the digits of k

# %% [markdown]
# **Digits** of $E - E'$ for errors that change in their thirteenth digit; the true difference by fractions.

# %%
before = 1.0 + rng.random(30)
after = before - 1e-13 * rng.random(30)
true = sum(Fraction(b) ** 2 - Fraction(a) ** 2 for b, a in zip(before, after, strict=True)) / 2
plainly = 0.5 * (before @ before) - 0.5 * (after @ after)
from_errors = 0.5 * (before - after) @ (before + after)
print("relative errors:", abs(plainly / float(true) - 1.0), abs(from_errors / float(true) - 1.0))
assert abs(from_errors / float(true) - 1.0) < 1e-14 < 1e-6 < abs(plainly / float(true) - 1.0)

# %% [markdown]
# A network, as MATLAB's users train it: 10 tanh neurons, `trainlm`, the sine. Nielsen's $\mu$ falls as the
# model gets better.

# %%
x = np.linspace(-1.0, 1.0, 41)[:, None]
layers = [nnx.layers.Dense(10, "tanh", input_shape=(1,)), nnx.layers.Dense(1)]
net = nnx.Sequential(layers, dtype="float64", seed=1)
net.compile(optimizer="trainlm", loss="mse")
history = net.fit(x, np.sin(np.pi * x), epochs=100, verbose=0).history
print("loss", history["loss"][0], "→", history["loss"][-1], "  μ", history["mu"][0], "→", history["mu"][-1])
assert history["loss"][-1] < 1e-6 and history["mu"][-1] < history["mu"][0]

# %% [markdown]
# Targets of thousands and of millions: the first step moves the output layer alone, and in units of the
# targets the loss after it is the same, and less than half of that of an output of 0.

# %%
losses = []
for size in (1e3, 1e6):
    layers = [nnx.layers.Dense(10, "tanh", input_shape=(1,)), nnx.layers.Dense(1)]
    net = nnx.Sequential(layers, dtype="float64", seed=1)
    hidden = np.asarray(net.layers[0].kernel).copy()
    net.compile(optimizer="trainlm", loss="mse")
    losses.append(net.fit(x, size * np.sin(np.pi * x), epochs=1, verbose=0).history["loss"][0] / size**2)
    assert np.array_equal(net.layers[0].kernel, hidden)
print("loss after the first step, in units of the targets:", losses)
assert np.isclose(losses[0], losses[1], rtol=1e-6) and losses[1] < 0.25  # ½ is the mean of sin²

# %% [markdown]
# ## When it fails
#
# - **Memory.** $J^\top J$ has $n^2$ entries, and each step takes about $\tfrac12 N n^2 + \tfrac16 n^3$
#   multiplications: fine up to some thousand weights. Above a limit nnx uses products with $J$ only, and
#   conjugate gradients.
# - **Mini-batches.** A rejected step is judged by the cost on the same samples: all samples, or none.
# - **Other costs.** It needs a sum of squares. For cross-entropy nnx names other methods.
# - **$D$ of columns that were large once** holds a variable fast that has lost its influence. nnx lets such
#   an entry fall where its root is more than $10^4$ times the present length of the column, and the relative
#   measure does not look at columns that were.
# - **A minimum of many.** It finds the nearest one; from another start another.

# %% [markdown]
# ## References
#
# - K. Levenberg, *A method for the solution of certain non-linear problems in least squares*, Q. Appl.
#   Math. 2 (1944) 164–168.
# - D. W. Marquardt, *An algorithm for least-squares estimation of nonlinear parameters*, SIAM J. 11 (1963)
#   431–441: theorems 1–3 (claims 3 and 4).
# - J. J. Moré, *The Levenberg–Marquardt algorithm: implementation and theory*, Lecture Notes in Mathematics
#   630 (1978) 105–116.
# - M. T. Hagan, M. B. Menhaj, *Training feedforward networks with the Marquardt algorithm*, IEEE Trans.
#   Neural Networks 5 (1994) 989–993.
# - H. B. Nielsen, *Damping parameter in Marquardt's method*, report IMM-REP-1999-05, DTU 1999.
# - M. K. Transtrum, J. P. Sethna, *Improvements to the Levenberg–Marquardt algorithm for nonlinear
#   least-squares minimization*, arXiv:1201.5885 (the geodesic acceleration that `geodesic=` switches).
