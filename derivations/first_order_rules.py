# %% [markdown]
# # The first-order rules, in the lectures' form and in Keras'
#
# Notation: $g = \nabla E(w)$; all products, quotients and roots are entry by entry; $t = 1, 2, \dots$ counts
# steps; all state starts from 0 unless the page says otherwise.
#
# ## Claim
#
# Every first-order rule that Keras has, nnx computes in Keras' form with Keras' defaults (a test compares
# with recorded paths of Keras 3.15). The lectures' forms are the same up to three things: the place of
# $\varepsilon$, what the state starts from, and corrections that the slides misprint. Where both have the
# same form, the paths agree to rounding; where not, the difference is written down below and measured.
#
# $\varepsilon$ *inside* the root, $g/\sqrt{s + \varepsilon}$, acts like $\sqrt\varepsilon$ *outside*,
# $g/(\sqrt s + \sqrt\varepsilon)$: with $\varepsilon = 10^{-7}$ steps begin to shrink where $|g|$ is below
# $3 \cdot 10^{-4}$ already, and outside only below $10^{-7}$.
#
# ## Derivation
#
# **The place of $\varepsilon$.** Let $s = g^2$. Then $g/\sqrt{g^2 + \varepsilon}$ is half of its limit 1
# where $g^2 = \varepsilon/3$, and $g/(|g| + \varepsilon)$ where $|g| = \varepsilon$. So the sizes to compare
# with $|g|$ are $\sqrt\varepsilon$ and $\varepsilon$.
#
# **Why roots of mean squares.** In $w - \eta g/\sqrt s$ the unit of the cost cancels: each weight gets a step
# of its own, about $\eta$ long. AdaGrad's sum makes it $\eta/\sqrt t$ for gradients of constant size, so it
# slows down for ever; a moving mean (RMSProp, AdaDelta, Adam) forgets.
#
# ### SGD and momentum
#
# - *Lectures:* $w \leftarrow w - \eta g$; $m \leftarrow \beta m - \eta g$, $w \leftarrow w + m$; defaults
#   $\beta = 0.9$
# - *Keras, nnx:* the same; defaults $\eta = 0.01$, $\beta = 0$
# - *Difference:* none. PyTorch: $m \leftarrow \beta m + g$, $w \leftarrow w - \eta m$, which differs once
#   $\eta$ changes
#
# ### Nesterov (NAG)
#
# - *Lectures:* $m \leftarrow \beta m - \eta \nabla E(w + \beta m)$, $w \leftarrow w + m$
# - *Keras, nnx:* $m \leftarrow \beta m - \eta g$, $w \leftarrow w + \beta m - \eta g$
# - *Difference:* Keras' $w$ is the lectures' $w + \beta m$: [proved](nesterov.md)
#
# ### AdaGrad
#
# - *Lectures:* $s \leftarrow s + g^2$, $w \leftarrow w - \eta g/\sqrt{s + \varepsilon}$; $s_0 = 0$
# - *Keras, nnx:* the same; defaults $\eta = 0.001$, $s_0 = 0.1$, $\varepsilon = 10^{-7}$
# - *Difference:* $s_0$ only. PyTorch: $\sqrt s + \varepsilon$ with $10^{-10}$
#
# ### RMSProp
#
# - *Lectures:* $s \leftarrow \rho s + (1 - \rho) g^2$, $w \leftarrow w - \eta g/\sqrt{s + \varepsilon}$;
#   defaults $\rho = 0.9$
# - *Keras, nnx:* the same; defaults $\eta = 0.001$, $\rho = 0.9$, $\varepsilon = 10^{-7}$
# - *Difference:* none. PyTorch: $\sqrt s + \varepsilon$, $\rho = 0.99$. No correction: the first step is
#   $\eta/\sqrt{1 - \rho}$ long
#
# ### AdaDelta
#
# - *Lectures:* $s \leftarrow \rho s + (1 - \rho) g^2$,
#   $\Delta = -\sqrt{u + \varepsilon}/\sqrt{s + \varepsilon}\; g$,
#   $u \leftarrow \rho u + (1 - \rho) \Delta^2$, $w \leftarrow w + \Delta$
# - *Keras, nnx:* $w \leftarrow w + \eta \Delta$, else the same; defaults $\eta = 0.001$, $\rho = 0.95$,
#   $\varepsilon = 10^{-7}$
# - *Difference:* the factor $\eta$; Zeiler has none ($\eta = 1$), and with Keras' default the rule hardly
#   moves
#
# ### RProp
#
# - *Lectures (by name):* $\Delta \leftarrow \eta^+ \Delta$ or $\eta^- \Delta$ by the sign of
#   $g\,g_{\text{last}}$, $w \leftarrow w - \operatorname{sign}(g)\,\Delta$; defaults $1.2$, $0.5$
# - *Keras:* has none
# - *nnx (as PyTorch):* iRprop⁻: where the sign changed, $g$ counts as 0 in this step and the next comparison;
#   defaults $\Delta_0 = 0.01$
# - *Difference:* Riedmiller and Braun take the last step back there; iRprop⁺ does so if the cost rose
#
# ### Adam
#
# - *Lectures (corrected):* $m, s$ as means of $g$ and $g^2$; $\hat m = m/(1 - \beta_1^t)$,
#   $\hat s = s/(1 - \beta_2^t)$, $w \leftarrow w - \eta\, \hat m/(\sqrt{\hat s} + \varepsilon)$
# - *Keras, nnx:* $\alpha_t = \eta \sqrt{1 - \beta_2^t}/(1 - \beta_1^t)$,
#   $w \leftarrow w - \alpha_t\, m/(\sqrt s + \varepsilon)$
# - *Difference:* Keras' $\varepsilon$ is $\varepsilon/\sqrt{1 - \beta_2^t}$ in the lectures' form, at first
#   $31.6\,\varepsilon$: [derived](adam.md). PyTorch has the lectures'
#
# Defaults in Keras and nnx: $\eta = 0.001$, $\beta_1 = 0.9$, $\beta_2 = 0.999$, $\varepsilon = 10^{-7}$
# (PyTorch $10^{-8}$), also for the next two. The slides print $\sqrt{\hat s + \varepsilon}$, $1 - \beta$
# without the power $t$, and a plus: [errata](errata.md#adam-the-power-t).
#
# ### Nadam
#
# - *Lectures (by name):* Adam with
#   $\hat m = \beta_1 m/(1 - \beta_1^{t+1}) + (1 - \beta_1)\, g/(1 - \beta_1^t)$
# - *Keras, nnx:* $\mu_t = \beta_1 (1 - \tfrac12 \cdot 0.96^t)$ in place of $\beta_1$ there, and
#   $\mu_1 \cdots \mu_t$ in place of $\beta_1^t$
# - *Difference:* the momentum grows from $0.52\,\beta_1$ to $\beta_1$ in the first hundred steps;
#   $\varepsilon$ stands after the correction, as in the lectures' Adam
#
# ### AMSGrad
#
# - *Lectures (by name):* Adam with the largest $\hat s$ so far
# - *Keras, nnx:* Adam with the largest $s$ so far, corrected afterwards
# - *Difference:* early $\hat s$ are means of few squares and may be large; Keras does not remember those. The
#   paper has no correction
#
# ### Beyond the lectures
#
# `AdamW`, `Adamax`, `Lion`, `Lamb`, `Ftrl`, `Adafactor`, `Muon`, `ScheduleFreeAdamW` are Keras' too;
# `AdaptiveLearningRate` follows MATLAB's `traingdx` and the lectures' "η × 1.05 or × 0.7". Their equations
# open their docstrings; here they are run beside NumPy.
#
# ## The code
#
# <!-- source: nnx.optimizers.first_order.adaptive_gradient:adagrad -->
#
# <!-- source: nnx.optimizers.first_order.adaptive_gradient:rmsprop -->
#
# <!-- source: nnx.optimizers.first_order.adaptive_gradient:adadelta -->
#
# <!-- source: nnx.optimizers.first_order.sign:irprop_minus -->
#
# <!-- source: nnx.optimizers.first_order.adam:amsgrad -->
#
# <!-- source: nnx.optimizers.first_order.adam:Nadam.scalars -->
#
# ## A run
#
# A function of four weights (a 2 × 2 kernel, for the rules that look at matrices): Beale's, and two weights
# with gradients of about $10^{-5}$, so that $\varepsilon$ matters.

# %%
from collections import defaultdict

import numpy as np

import nnx

START, STEPS = np.asarray([1.0, 1.5, 0.0, 0.0]), 100
LAYOUT = nnx.parameters.Layout(("kernel",), ((2, 2),))


def cost(w):
    x, y = w[0], w[1]
    beale = (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2
    return beale + 1e-5 * (w[2] - 1.0) ** 2 + 1e-5 * (w[3] + 2.0) ** 2


gradient = nnx.grad(cost)


def by_nnx(method, steps=STEPS):
    problem, w = nnx.optimizers.FunctionProblem(cost, LAYOUT), START.copy()
    state, points = method.init(problem, w), [START.copy()]
    for _ in range(steps):
        w, state, _ = method.step(problem, w, state)
        points.append(w.copy())
    return np.asarray(points)


def by_formula(rule, steps=STEPS):
    """The path of a rule: (t, w, g, memory) → w, where the memory is 0 at first."""
    w, memory, points = START.copy(), defaultdict(lambda: np.zeros(4)), [START.copy()]
    for t in range(1, steps + 1):
        w = rule(t, w, gradient(w), memory)
        points.append(w.copy())
    return np.asarray(points)


# %% [markdown]
# Keras' forms of the lectures' rules, in NumPy, with Keras' defaults:

# %%
sqrt = np.sqrt


def sgd(t, w, g, mem):
    return w - 0.01 * g


def momentum(t, w, g, mem):
    mem["m"] = 0.9 * mem["m"] - 0.002 * g
    return w + mem["m"]


def nesterov(t, w, g, mem):
    mem["m"] = 0.9 * mem["m"] - 0.002 * g
    return w + 0.9 * mem["m"] - 0.002 * g


def adagrad(t, w, g, mem, eta=0.001, start=0.1):
    mem["s"] = mem["s"] + g**2
    return w - eta * g / sqrt(start + mem["s"] + 1e-7)


def rmsprop(t, w, g, mem):
    mem["s"] = 0.9 * mem["s"] + 0.1 * g**2
    return w - 0.001 * g / sqrt(mem["s"] + 1e-7)


def adadelta(t, w, g, mem, eta=0.001):
    mem["s"] = 0.95 * mem["s"] + 0.05 * g**2
    delta = -sqrt(mem["u"] + 1e-7) / sqrt(mem["s"] + 1e-7) * g
    mem["u"] = 0.95 * mem["u"] + 0.05 * delta**2
    return w + eta * delta


def rprop(t, w, g, mem):
    if t == 1:
        mem["step"] = np.full(4, 0.01)
    agreement = g * mem["last"]
    mem["step"] = np.clip(
        mem["step"] * np.where(agreement > 0, 1.2, np.where(agreement < 0, 0.5, 1.0)), 1e-6, 50.0
    )
    mem["last"] = np.where(agreement < 0, 0.0, g)
    return w - np.sign(mem["last"]) * mem["step"]


def moments(g, mem):
    mem["m"], mem["s"] = 0.9 * mem["m"] + 0.1 * g, 0.999 * mem["s"] + 0.001 * g**2
    return mem["m"], mem["s"]


def adam(t, w, g, mem, eta=0.001):
    m, s = moments(g, mem)
    return w - eta * sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (sqrt(s) + 1e-7)


def amsgrad(t, w, g, mem):
    m, s = moments(g, mem)
    mem["top"] = np.maximum(mem["top"], s)
    return w - 0.001 * sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (sqrt(mem["top"]) + 1e-7)


def nadam(t, w, g, mem):
    m, s = moments(g, mem)
    mu = [0.9 * (1 - 0.5 * 0.96**i) for i in range(1, t + 2)]
    m_hat = mu[t] * m / (1 - np.prod(mu)) + (1 - mu[t - 1]) * g / (1 - np.prod(mu[:t]))
    return w - 0.001 * m_hat / (sqrt(s / (1 - 0.999**t)) + 1e-7)


# %% [markdown]
# And the rules beyond the lectures:


# %%
def adam_w(t, w, g, mem):
    return adam(t, w - 0.001 * 0.004 * w, g, mem)


def adamax(t, w, g, mem):
    mem["m"], mem["u"] = 0.9 * mem["m"] + 0.1 * g, np.maximum(0.999 * mem["u"], abs(g))
    return w - 0.001 / (1 - 0.9**t) * mem["m"] / (mem["u"] + 1e-7)


def lion(t, w, g, mem):
    step = np.sign(0.9 * mem["m"] + 0.1 * g)
    mem["m"] = 0.99 * mem["m"] + 0.01 * g
    return w - 0.001 * step


def lamb(t, w, g, mem):
    m, s = moments(g, mem)
    u = m / (1 - 0.9**t) / (sqrt(s / (1 - 0.999**t)) + 1e-7)
    return w - 0.001 * np.linalg.norm(w) / np.linalg.norm(u) * u


def ftrl(t, w, g, mem):
    before = 0.1 + mem["n"]
    mem["n"] = mem["n"] + g**2
    after = 0.1 + mem["n"]
    mem["z"] = mem["z"] + g - (sqrt(after) - sqrt(before)) / 0.001 * w
    return -mem["z"] / (sqrt(after) / 0.001)


def adafactor(t, w, g, mem):
    grad, kernel, beta = g.reshape(2, 2), w.reshape(2, 2), 1 - t**-0.8
    square = grad**2 + 1e-30
    mem["row"] = beta * mem["row"][:2] + (1 - beta) * square.mean(axis=1)
    mem["column"] = beta * mem["column"][:2] + (1 - beta) * square.mean(axis=0)
    step = grad / sqrt(np.outer(mem["row"], mem["column"]) / mem["row"].mean())
    alpha = min(0.001, 1 / sqrt(t)) * max(1e-3, sqrt(np.mean(kernel**2)))
    return (kernel - alpha * step / max(1.0, sqrt(np.mean(step**2)))).reshape(-1)


def muon(t, w, g, mem):
    w = w - 0.001 * 0.004 * w
    mem["m"] = 0.95 * mem["m"] + g
    x = (g + 0.95 * mem["m"]).reshape(2, 2)
    x = x / (np.linalg.norm(x) + 1e-7)
    for _ in range(5):
        a = x @ x.T
        x = 3.4445 * x + (-4.775 * a + 2.0315 * a @ a) @ x
    return w - 0.001 * 0.2 * sqrt(2) * x.reshape(-1)


def schedule_free(t, w, g, mem):
    if t == 1:
        mem["z"], mem["x"] = w.copy(), w.copy()
    mem["s"] = 0.999 * mem["s"] + 0.001 * g**2
    mem["z"] = mem["z"] - 0.0025 * g / (sqrt(mem["s"] / (1 - 0.999**t)) + 1e-8)
    mem["x"] = (1 - 1 / t) * mem["x"] + mem["z"] / t
    return 0.1 * mem["z"] + 0.9 * mem["x"]


def rprop_plus(t, w, g, mem):
    if t == 1:
        mem["step"], mem["cost"] = np.full(4, 0.01), np.inf
    agreement, rose = g * mem["last"], cost(w) > mem["cost"]
    mem["step"] = np.clip(
        mem["step"] * np.where(agreement > 0, 1.2, np.where(agreement < 0, 0.5, 1.0)), 1e-6, 50.0
    )
    mem["last"], mem["cost"] = np.where(agreement < 0, 0.0, g), cost(w)
    back = np.where((agreement < 0) & rose, mem["move"], 0.0)
    mem["move"] = -back - np.sign(mem["last"]) * mem["step"]
    return w + mem["move"]


def traingdx(t, w, g, mem):
    if t == 1:
        mem["eta"], mem["keep"] = 0.01, 0.0
    m = mem["keep"] * mem["m"] - mem["eta"] * (1 - mem["keep"]) * g
    before, after = cost(w), cost(w + m)
    fell, accepted = after < before, after <= 1.04 * before
    mem["eta"], mem["keep"] = mem["eta"] * (1.05 if fell else 0.7), 0.9 if fell else 0.0
    if accepted:
        mem["m"] = m
        return w + m
    return w


# %% [markdown]
# Each beside nnx's own object with its defaults (momentum: $\eta = 0.002$, since 0.01 is too long for Beale's
# function):

# %%
opt = nnx.optimizers
RULES = {
    "sgd": (opt.SGD(), sgd),
    "sgd, momentum": (opt.SGD(0.002, momentum=0.9), momentum),
    "sgd, nesterov": (opt.SGD(0.002, momentum=0.9, nesterov=True), nesterov),
    "adagrad": (opt.Adagrad(), adagrad),
    "rmsprop": (opt.RMSprop(), rmsprop),
    "adadelta": (opt.Adadelta(), adadelta),
    "rprop": (opt.Rprop(), rprop),
    "irprop_minus": (opt.IRpropMinus(), rprop),
    "irprop_plus": (opt.IRpropPlus(), rprop_plus),
    "adam": (opt.Adam(), adam),
    "amsgrad": (opt.AMSGrad(), amsgrad),
    "nadam": (opt.Nadam(), nadam),
    "adam_w": (opt.AdamW(), adam_w),
    "adamax": (opt.Adamax(), adamax),
    "lion": (opt.Lion(), lion),
    "lamb": (opt.Lamb(), lamb),
    "ftrl": (opt.Ftrl(), ftrl),
    "adafactor": (opt.Adafactor(), adafactor),
    "muon": (opt.Muon(), muon),
    "schedule_free_adam_w": (opt.ScheduleFreeAdamW(), schedule_free),
    "adaptive_learning_rate": (opt.AdaptiveLearningRate(), traingdx),
}
print(f"{'':24} after 100 steps: cost, largest difference from NumPy")
differences = {}
for name, (method, rule) in RULES.items():
    theirs, mine = by_nnx(method), by_formula(rule)
    differences[name] = abs(theirs - mine).max()
    print(f"{name:24} {cost(theirs[-1]):12.6f}   {differences[name]:.0e}")

# %% [markdown]
# The lectures' forms where they differ from Keras', and how far apart the paths are after 100 steps. In the
# last column nnx has the options that make it the lectures' rule.


# %%
def lectures_adam(t, w, g, mem):
    m, s = moments(g, mem)
    return w - 0.001 * (m / (1 - 0.9**t)) / (sqrt(s / (1 - 0.999**t)) + 1e-7)


def lectures_amsgrad(t, w, g, mem):
    m, s = moments(g, mem)
    mem["top"] = np.maximum(mem["top"], s / (1 - 0.999**t))
    return w - 0.001 * (m / (1 - 0.9**t)) / (sqrt(mem["top"]) + 1e-7)


def lectures_nadam(t, w, g, mem):
    m, s = moments(g, mem)
    m_hat = 0.9 * m / (1 - 0.9 ** (t + 1)) + 0.1 * g / (1 - 0.9**t)
    return w - 0.001 * m_hat / (sqrt(s / (1 - 0.999**t)) + 1e-7)


LECTURES = {
    "adagrad": (lambda *a: adagrad(*a, start=0.0), opt.Adagrad(initial_accumulator_value=0.0)),
    "adadelta": (lambda *a: adadelta(*a, eta=1.0), opt.Adadelta(learning_rate=1.0)),
    "adam": (lectures_adam, None),
    "amsgrad": (lectures_amsgrad, None),
    "nadam": (lectures_nadam, None),
}
apart = {}
for name, (rule, option) in LECTURES.items():
    lecture = by_formula(rule)
    apart[name] = abs(lecture - by_nnx(RULES[name][0])).max()
    closest = "" if option is None else f"{abs(lecture - by_nnx(option)).max():.0e}"
    print(f"{name:10} lectures against Keras: {apart[name]:.1e}   {closest}")

# %% [markdown]
# The place of $\varepsilon = 10^{-7}$: the first step of each rule for gradients from 1 down to $10^{-9}$, in
# units of its step for 1.

# %%
sizes = 10.0 ** -np.arange(0, 10)
first = {}
for method in (opt.Adagrad(initial_accumulator_value=0.0), opt.RMSprop(), opt.Adam(), opt.Nadam()):
    problem, w = opt.FunctionProblem(lambda w: np.sum(sizes * w)), np.zeros(10)
    w, _, _ = method.step(problem, w, method.init(problem, w))
    first[type(method).__name__] = w / w[0]
print("|g|     ", "".join(f"{size:9.0e}" for size in sizes))
for name, steps in first.items():
    print(f"{name:8}", "".join(f"{step:9.1e}" for step in steps))

# %% [markdown]
# ## The check
#
# Rounding in 100 steps of a curved function; the rules with $\operatorname{sign}(g)$ or comparisons of costs
# agree as well, since no comparison is close.

# %%
registered = {e.name for e in opt.registry if issubclass(e.target, opt.FirstOrder)}
assert registered <= {name.split(",")[0] for name in RULES}, "a rule of the registry is missing on this page"
for name, difference in differences.items():
    assert difference < 1e-11, (name, difference)
assert abs(by_formula(LECTURES["adagrad"][0]) - by_nnx(LECTURES["adagrad"][1])).max() < 1e-11
assert abs(by_formula(LECTURES["adadelta"][0]) - by_nnx(LECTURES["adadelta"][1])).max() < 1e-11
assert all(distance > 1e-6 for distance in apart.values())  # these differences are real, not rounding
# inside the root: half the step at |g| = √(ε/3); RMSProp's s is 0.1 g² in the first step
assert 0.25 < first["Adagrad"][4] < 0.35 and first["Adagrad"][6] < 0.01  # 1e-4/√(1e-8 + 1e-7) = 0.30
assert first["Nadam"][6] > 0.9 and abs(first["Nadam"][7] - 0.5) < 0.01  # outside: half at |g| = ε
assert first["Adam"][5] > 0.7 and first["Adam"][7] < 0.05  # outside, but 31.6 ε in the first step

# %% [markdown]
# ## When it fails
#
# - **A rule for batches on mini-batches.** RProp and MATLAB's adaptive rate compare steps with each other:
#   they need all samples in each.
# - **Keras' AdaDelta** with its default $\eta = 0.001$ is a thousand times slower than the paper's: give
#   `learning_rate=1.0`.
# - **$\varepsilon$ as a knob.** For networks in float32 gradients of $10^{-5}$ are common, and RMSProp with
#   $\varepsilon$ inside the root shrinks their steps. A larger $\varepsilon$ makes every one of these rules
#   more like momentum.
# - **`Ftrl`** forgets where it started in the first step: it is for linear models that start from 0.
#
# ## References
#
# - Lectures: "Uczenie sieci neuronowych", the slides of each rule; "11. Wielowarstwowe sieci neuronowe w
#   praktyce", section 11.3.
# - J. Duchi, E. Hazan, Y. Singer, "Adaptive subgradient methods for online learning and stochastic
#   optimization", *JMLR* 12 (2011) 2121–2159.
# - G. Hinton, *Neural Networks for Machine Learning*, lecture 6e (2012), slides 26–31: RMSProp.
# - M. D. Zeiler, "ADADELTA: an adaptive learning rate method", arXiv:1212.5701 (2012), algorithm 1.
# - M. Riedmiller, H. Braun, "A direct adaptive method for faster backpropagation learning: the RPROP
#   algorithm", ICNN 1993, 586–591; C. Igel, M. Hüsken, "Improving the Rprop learning algorithm", NC 2000,
#   115–121.
# - T. Dozat, "Incorporating Nesterov momentum into Adam", ICLR 2016 workshop, algorithm 2.
# - Adam, AMSGrad, AdamW: [their page](adam.md); momentum and Nesterov: [theirs](nesterov.md).
# - S. Ruder, "An overview of gradient descent optimization algorithms", arXiv:1609.04747 (2016).
