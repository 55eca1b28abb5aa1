# %% [markdown]
# # The optimizer race
#
# The notes end with two animations: optimizers running over the contours of Beale's function, and optimizers
# leaving a saddle point. This page draws both and counts the steps. The films themselves are made anew on the
# page [The lectures' two animations](lecture_animations.md), and under [Race](../race.md) you can choose
# start, rules and rates yourself. Each rule is derived under
# [First-order rules](../derivations/first_order_rules.md).

# %%
import matplotlib.pyplot as plt
import numpy as np

import nnx
import nnx.plotting
from nnx import optimizers

# %% [markdown]
# ## The rules
#
# All are steps from the gradient $g = \nabla E(w)$ alone, and differ in what they remember:
#
# | rule | remembers | step |
# |---|---|---|
# | SGD | nothing | $-\eta g$ |
# | momentum | a velocity $m$ | $m \leftarrow \beta m - \eta g$, then $w \leftarrow w + m$ |
# | [Nesterov](../derivations/nesterov.md) | a velocity | the same, with the gradient taken ahead |
# | AdaGrad | the sum of $g^2$ | $-\eta g / \sqrt{s + \varepsilon}$ |
# | AdaDelta | means of $g^2$ and of the squared steps | their quotient, times $g$ |
# | RMSprop | a fading mean of $g^2$ | $-\eta g / \sqrt{s + \varepsilon}$ |
# | Rprop | the last sign and a step size for each weight | that size, against the sign of $g$ |
# | [Adam](../derivations/adam.md) | means of $g$ and $g^2$ | $-\eta \hat m / (\sqrt{\hat s} + \varepsilon)$ |
# | Nadam | as Adam | Adam with Nesterov's look-ahead |
# | AMSGrad | as Adam, and the largest $s$ | Adam with that $s$ |
#
# The learning rates are ours: each rule gets one with which it does well here. AdaDelta needs no rate, but
# its first steps have the size of $\sqrt\varepsilon$; with the default $10^{-7}$ it would not get far in 300
# steps.

# %%
rules = {
    "SGD": optimizers.SGD(0.01),
    "momentum": optimizers.SGD(0.01, momentum=0.9),
    "Nesterov": optimizers.SGD(0.01, momentum=0.9, nesterov=True),
    "AdaGrad": optimizers.Adagrad(0.5),
    "AdaDelta": optimizers.Adadelta(1.0, epsilon=1e-4),
    "RMSprop": optimizers.RMSprop(0.05),
    "Rprop": optimizers.Rprop(0.05),
    "Adam": optimizers.Adam(0.1),
    "Nadam": optimizers.Nadam(0.1),
    "AMSGrad": optimizers.AMSGrad(0.1),
}
plain = {label: rules[label] for label in ("SGD", "momentum", "Nesterov", "AdaGrad", "AdaDelta")}
adaptive = {label: rules[label] for label in ("RMSprop", "Rprop", "Adam", "Nadam", "AMSGrad")}

# %% [markdown]
# As an example of how nnx writes a rule, this is RMSprop's equation, as it is computed:
#
# <!-- source: nnx.optimizers.first_order.adaptive_gradient:rmsprop -->
#
# ## Beale's function
#
# $$ E(x, y) = (1.5 - x + xy)^2 + (2.25 - x + xy^2)^2 + (2.625 - x + xy^3)^2 $$
#
# It has its minimum 0 at $(3, 0.5)$, in a long flat valley with steep walls, as costs of networks have. The
# race starts from $(1, -1.5)$ and takes 300 steps.

# %%
minimum = np.array([3.0, 0.5])


def beale(w):
    x, y = w[0], w[1]
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


assert beale(minimum) == 0.0
assert np.array_equal(nnx.grad(beale)(minimum), [0.0, 0.0])

# %%
# figure: Ten paths over the contours of Beale's function, from the lower left to the minimum (3, 0.5)
limits = ((0.0, 4.2), (-2.0, 1.6))
fig, axes = plt.subplots(1, 2, figsize=(12, 4.6), sharey=True, layout="constrained")
for ax, group in zip(axes, (plain, adaptive), strict=True):
    nnx.plotting.race(beale, (1.0, -1.5), group, steps=300, limits=limits, ax=ax)

# %% [markdown]
# The paths by number: how many steps until the distance from the minimum is below 0.1? An optimizer of nnx is
# an object with `init` and `step`, which works on any function; this is all that the race needs.

# %%


def path(function, start, rule, steps):
    """The weights before the first and after each step."""
    problem, w = optimizers.FunctionProblem(function), np.array(start)
    state = rule.init(problem, w)
    visited = [w.copy()]
    for _ in range(steps):
        w, state, _ = rule.step(problem, w, state)
        visited.append(w.copy())
    return np.array(visited)


def first(condition):
    """The first step at which the condition holds; None if it never does."""
    return int(np.argmax(condition)) if np.any(condition) else None


arrival = {}
for label, rule in rules.items():
    distances = np.linalg.norm(path(beale, (1.0, -1.5), rule, 300) - minimum, axis=1)
    arrival[label] = first(distances < 0.1)
    when = "never" if arrival[label] is None else f"after {arrival[label]:3} steps"
    print(f"{label:9} within 0.1: {when:16} distance after 300: {distances[-1]:.4f}")

assert arrival["SGD"] is None  # still on its way
assert arrival["Nesterov"] < arrival["momentum"] < 100
assert max(arrival[label] for label in adaptive) < 250

# %% [markdown]
# Plain gradient descent takes small steps along the valley, where the slope is small. Momentum gathers speed
# there; Nesterov's variant brakes earlier and does not swing as far. Rules that divide by a *recent* size of
# the gradient (RMSprop, Adam and its kin) go along the valley at nearly constant speed, however flat it is.
# AdaGrad divides by the root of a sum that only grows, so its steps shrink: it has not arrived after 300.
#
# One race says little about which rule is best. With another start or other rates the order changes, and with
# this rate momentum even diverges from $(1, 1.5)$, where the walls are steep:

# %%
with np.errstate(over="ignore", invalid="ignore"):
    lost = path(beale, (1.0, 1.5), rules["momentum"], 50)
print("momentum from (1, 1.5):", lost[:5].round(2).tolist(), "...")
assert not np.all(np.isfinite(lost)) or np.max(np.abs(lost)) > 100.0

# %% [markdown]
# ## Leaving a saddle point
#
# $E(x, y) = x^2 - y^2$ falls along $y$ in both directions and rises along $x$. A start at $(1, 10^{-4})$ is
# nearly on the ridge: gradient descent first runs towards the saddle at the origin, where the gradient is
# small, and then has to find the way out. How many steps until $|y| > 1$?

# %%


def saddle(w):
    return w[0] ** 2 - w[1] ** 2


escape = {}
for label, rule in rules.items():
    escape[label] = first(np.abs(path(saddle, (1.0, 1e-4), rule, 600)[:, 1]) > 1.0)
    print(f"{label:9} {escape[label]:4} steps")

assert escape["SGD"] > 4 * escape["momentum"] > 4 * max(escape[label] for label in adaptive)

# %%
# figure: Paths from (1, 0.0001) over the saddle: SGD goes to the origin first, adaptive rules turn away
limits = ((-1.2, 1.2), (-1.2, 1.2))
fig, axes = plt.subplots(1, 2, figsize=(12, 4.6), sharey=True, layout="constrained")
for ax, group in zip(axes, (plain, adaptive), strict=True):
    nnx.plotting.race(saddle, (1.0, 1e-4), group, steps=100, limits=limits, ax=ax)

# %% [markdown]
# For SGD the count can be computed. Along $y$ the gradient is $-2y$, so each step multiplies $y$ by
# $1 + 2\eta = 1.02$, and $10^{-4} \cdot 1.02^n > 1$ needs $n > 4 \log 10 / \log 1.02 \approx 465.1$. The
# rules that divide by the size of the gradient do not care that it is $10^{-4}$: their first step along $y$
# is as long as that along $x$.

# %%
expected = int(np.ceil(4.0 * np.log(10.0) / np.log(1.02)))
print("expected for SGD:", expected, "measured:", escape["SGD"])
assert escape["SGD"] == expected

first_step = np.abs(np.diff(path(saddle, (1.0, 1e-4), rules["Adam"], 1), axis=0)[0])
print("first step of Adam along x and y:", first_step)
assert np.allclose(first_step, 0.1, rtol=0.02)  # η; along y, ε = 1e-7 is 1.6 % of √s = √0.001 · 2e-4

# %% [markdown]
# ## Momentum is ten times faster down a constant slope
#
# The argument of the slides: if the slope is constant, the velocity settles where $m = \beta m - \eta g$,
# that is
#
# $$ m = -\frac{\eta g}{1 - \beta} . $$
#
# With $\beta = 0.9$ that is ten times the step of gradient descent. We let it run down $E(w) = 2 w$.

# %%
eta, slope = 0.01, 2.0
speeds = {}
for beta in (0.0, 0.5, 0.9, 0.99):
    w = path(lambda w: slope * w[0], [0.0], optimizers.SGD(eta, momentum=beta), 3000)[:, 0]
    speeds[beta] = -np.diff(w) / (eta * slope)  # in steps of gradient descent
    print(f"β = {beta}: {speeds[beta][-1]:.6f} times as fast, 1/(1 − β) = {1.0 / (1.0 - beta):.6f}")
    assert abs(speeds[beta][-1] - 1.0 / (1.0 - beta)) < 1e-6  # after 3000 steps 0.99³⁰⁰⁰ ≈ 1e-13 is left

# %%
# figure: Speed relative to gradient descent over 60 steps: 2 for β = 0.5, rising to 10 for 0.9, more for 0.99
fig, ax = plt.subplots(figsize=(6.5, 3.8))
for beta, speed in speeds.items():
    ax.plot(range(1, 61), speed[:60], label=f"β = {beta}")
ax.axhline(10.0, color="k", ls=":")
ax.set(xlabel="step", ylabel="step / step of gradient descent", ylim=(0, 20))
ax.legend()
ax.grid(alpha=0.3)

# the way to full speed: after t steps it is (1 − βᵗ)/(1 − β)
t = np.arange(1, 61)
assert np.allclose(speeds[0.9][:60], (1.0 - 0.9**t) / 0.1, rtol=1e-9)

# %% [markdown]
# It takes about $1/(1-\beta)$ steps to get there. On a real cost the slope is not constant, and the speed
# must be lost again at the bottom: a large β overshoots. What momentum gains in a valley can be measured,
# too. On a quadratic whose curvatures are 1 and 100, with the best rates for each (gradient descent
# $2/(1 + 100)$; momentum $4/(\sqrt{100} + 1)^2$ with $\beta = ((\sqrt{100} - 1)/(\sqrt{100} + 1))^2$), from
# distance $\sqrt2$ to $10^{-6}$:

# %%
curvatures = np.array([1.0, 100.0])
contest = {
    "gradient descent": optimizers.SGD(2.0 / 101.0),
    "momentum": optimizers.SGD(4.0 / 121.0, momentum=(9.0 / 11.0) ** 2),
}
needed = {}
for label, rule in contest.items():
    w = path(lambda w: 0.5 * np.sum(curvatures * w * w), [1.0, 1.0], rule, 1000)
    needed[label] = first(np.linalg.norm(w, axis=1) < 1e-6)
    print(f"{label:16} {needed[label]} steps")
# (99/101)ⁿ·√2 = 1e-6 for gradient descent
assert needed["gradient descent"] == int(np.ceil(np.log(np.sqrt(2.0) * 1e6) / np.log(101.0 / 99.0)))
assert needed["momentum"] < needed["gradient descent"] / 5

# %% [markdown]
# Methods that know the curvature need a handful of steps for such a cost: [Second order](second_order.md).
# But first: [Learning-rate schedules and stopping](schedules_and_stopping.md).
