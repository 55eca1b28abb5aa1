# %% [markdown]
# # Adam and its bias correction
#
# ## Claim
#
# Adam keeps a moving average $m$ of the gradients and $s$ of their squares, both started from 0. In step
# $t = 1, 2, \dots$
#
# $$ m \leftarrow \beta_1 m + (1 - \beta_1)\, g, \qquad s \leftarrow \beta_2 s + (1 - \beta_2)\, g^2, $$
#
# $$ \hat m = \frac{m}{1 - \beta_1^t}, \qquad \hat s = \frac{s}{1 - \beta_2^t}, \qquad
#    w \leftarrow w - \eta\, \frac{\hat m}{\sqrt{\hat s} + \varepsilon}, $$
#
# all entry by entry. Then
#
# 1. $\hat m$ and $\hat s$ are weighted means of the past gradients and squares, with weights whose sum is
#    exactly 1. Without the correction the sum is $1 - \beta^t$: after the first step 0.1 for $m$ and 0.001
#    for $s$.
# 2. The first step is $-\eta \operatorname{sign}(g)$ for $|g| \gg \varepsilon$, whatever the size of $g$; for
#    a constant gradient every step is.
# 3. Steps do not depend on the unit of the cost, as long as $\varepsilon$ does not matter.
# 4. The form that nnx computes (and Keras), with $\alpha_t = \eta \sqrt{1 - \beta_2^t}/(1 - \beta_1^t)$ and
#    $w \leftarrow w - \alpha_t\, m/(\sqrt s + \varepsilon)$, is the same with
#    $\hat\varepsilon = \varepsilon/\sqrt{1 - \beta_2^t}$ in place of $\varepsilon$.
#
# ## Derivation
#
# **Claim 1.** Put $m_{t-1}$ into the equation of $m_t$ again and again, down to $m_0 = 0$:
#
# $$ m_t = (1 - \beta) \sum_{i=1}^{t} \beta^{t-i} g_i, \qquad
#    (1 - \beta) \sum_{i=1}^{t} \beta^{t-i} = (1 - \beta)\, \frac{1 - \beta^t}{1 - \beta} = 1 - \beta^t. $$
#
# If all $g_i$ have the expectation $\mathbb{E} g$, then $\mathbb{E} m_t = (1 - \beta^t)\, \mathbb{E} g$. This
# is the bias, and the division removes it. The same holds for $s$. ∎ The power $t$ matters: the slides print
# $\hat m = m/(1 - \beta)$, which is right for $t = 1$ alone and in the end makes $\hat m$ 10 times and
# $\hat s$ 1000 times too large ([erratum](errata.md#adam-the-power-t)).
#
# **Claim 2.** For constant $g$, $\hat m = g$ and $\hat s = g^2$ in every step, and
# $g/(|g| + \varepsilon) \approx \operatorname{sign}(g)$. Any first step has one gradient only. ∎ Without the
# correction the first step would be $0.1\,g/\sqrt{0.001\,g^2} = 3.16 \operatorname{sign}(g)$: too long by the
# factor $(1 - \beta_1)/\sqrt{1 - \beta_2}$. With $\beta_2 = 0.999$ the average $s$ takes some thousand steps
# to fill; the steps would be too long for all that time.
#
# **Claim 3.** Multiply the cost by $c > 0$: $g$ and $\hat m$ by $c$, $\hat s$ by $c^2$, the quotient stays. ∎
#
# **Claim 4.** Divide numerator and denominator of $m/(\sqrt s + \varepsilon)$ by $\sqrt{1 - \beta_2^t}$:
#
# $$ \eta\, \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t} \cdot \frac{m}{\sqrt s + \varepsilon}
#    = \eta\, \frac{m/(1 - \beta_1^t)}{\sqrt{s/(1 - \beta_2^t)} + \varepsilon/\sqrt{1 - \beta_2^t}}. $$
#
# ∎ One number for all weights carries both corrections, so no array is divided by them. In the first step
# $\hat\varepsilon = 31.6\,\varepsilon$.
#
# **A bound.** By Cauchy and Schwarz, with $\beta_1^2 < \beta_2$,
#
# $$ m_t^2 \le (1 - \beta_1)^2 \sum_i (\beta_1^2/\beta_2)^{t-i} \cdot \sum_i \beta_2^{t-i} g_i^2
#    \le \frac{(1 - \beta_1)^2}{(1 - \beta_2)(1 - \beta_1^2/\beta_2)}\, s_t , $$
#
# so no step is longer than about $7.27\,\alpha_t$ with the usual $\beta$, whatever the gradients do.
#
# ## The code
#
# <!-- source: nnx.optimizers.first_order.adam:adam -->
#
# <!-- source: nnx.optimizers.first_order.averages:mean_square -->
#
# <!-- source: nnx.optimizers.first_order.adam:Adam.scalars -->
#
# ## A run
#
# The printed form of the paper in NumPy, with Keras' place of $\varepsilon$, and nnx, on Beale's function.

# %%
import math

import numpy as np

import nnx


def beale(w):
    x, y = w[0], w[1]
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


gradient, start = nnx.grad(beale), np.asarray([1.0, 1.5])
b1, b2, eps = 0.9, 0.999, 1e-7


def adam(gradient, steps, eta=0.05, keras=True, scale=1.0):
    """The path of Adam: the equations as printed."""
    w, m, s, points = start.copy(), np.zeros(2), np.zeros(2), [start.copy()]
    for t in range(1, steps + 1):
        g = scale * gradient(w)
        m, s = b1 * m + (1 - b1) * g, b2 * s + (1 - b2) * g**2
        m_hat, s_hat = m / (1 - b1**t), s / (1 - b2**t)
        epsilon = eps / math.sqrt(1 - b2**t) if keras else eps
        w = w - eta * m_hat / (np.sqrt(s_hat) + epsilon)
        points.append(w.copy())
    return np.asarray(points)


def path(method, function, start, steps):
    problem, w = nnx.optimizers.FunctionProblem(function), start.copy()
    state, points = method.init(problem, w), [start.copy()]
    for _ in range(steps):
        w, state, _ = method.step(problem, w, state)
        points.append(w.copy())
    return np.asarray(points)


by_formula, by_nnx = adam(gradient, 200), path(nnx.optimizers.Adam(0.05), beale, start, 200)
paper = adam(gradient, 200, keras=False)
print("after 200 steps:", by_formula[-1], by_nnx[-1])
print("first step:", by_nnx[1] - by_nnx[0], " gradient there:", gradient(start))
print("largest distance to the paper's place of ε:", abs(paper - by_nnx).max())
print("the cost times 1000:", abs(adam(gradient, 200, scale=1000.0) - by_formula).max())

# %% [markdown]
# The bias, measured: 2000 runs of gradients that are noise around 1; means of $m$, $\hat m$, and of the
# slides' $m/(1 - \beta)$.

# %%
rng = np.random.default_rng(0)
m = np.zeros(2000)
print("  t   mean of m   of m̂   of the slides' m/(1 − β)")
for t in range(1, 51):
    m = b1 * m + (1 - b1) * rng.normal(1.0, 1.0, size=m.shape)
    if t in (1, 2, 5, 10, 50):
        print(f"{t:3}  {m.mean():9.3f} {(m / (1 - b1**t)).mean():7.3f} {(m / (1 - b1)).mean():9.3f}")

# %% [markdown]
# ## The check

# %%
assert abs(by_formula - by_nnx).max() < 1e-11  # 200 steps of rounding on a curved function
assert np.allclose(by_nnx[1] - by_nnx[0], -0.05 * np.sign(gradient(start)), rtol=1e-5)
assert (
    abs(adam(gradient, 200, scale=1000.0) - by_formula).max() < 1e-5
)  # ε is not scaled: 1e-7 matters a little

weights = (1 - b1) * b1 ** np.arange(20)
assert abs(weights.sum() - (1 - b1**20)) < 1e-15
# 2000 draws with standard deviation √((1−β)/(1+β)) of m: the mean is known to 0.23/√2000 = 0.005
assert abs(m.mean() / (1 - b1**50) - 1.0) < 4 * math.sqrt((1 - b1) / (1 + b1) / 2000)

# the bound: gradients chosen as badly as can be, gᵢ proportional to (β₁/β₂)^(t−i)
worst = (1 - b1) / math.sqrt((1 - b2) * (1 - b1**2 / b2))
g = (b1 / b2) ** np.arange(400)[::-1]
m_worst = (1 - b1) * np.sum(b1 ** np.arange(400)[::-1] * g)
s_worst = (1 - b2) * np.sum(b2 ** np.arange(400)[::-1] * g**2)
print("m/√s at worst", m_worst / math.sqrt(s_worst), "bound", worst)
assert worst - 1e-6 < m_worst / math.sqrt(s_worst) <= worst + 1e-12 and abs(worst - 7.27) < 0.01

# %% [markdown]
# ## When it fails
#
# - **Rare large gradients are forgotten.** Reddi, Kale and Kumar: let the cost of step $t$ be $C x$ in every
#   third step and $-x$ in the others, with $C > 2$ and $x \in [-1, 1]$. On average the cost falls to the
#   left, and $x = -1$ is best. With $\beta_1 = 0$ and $\beta_2 = 1/(1 + C^2)$ Adam goes to the right: the one
#   large gradient is divided by its own size. AMSGrad, which never lets $\hat s$ fall, goes left. Here the
#   rules of nnx are called directly, with $C = 4$ and $\eta_t = 0.1/\sqrt t$.

# %%
C = 4.0


def worst_case(method, steps=3000):
    slots = [np.full(1, fill) for fill in method.slots().values()]
    x, gain = np.zeros(1), 1.0 - 1.0 / (1.0 + C**2)  # 1 − β₂
    for t in range(1, steps + 1):
        g = np.asarray([C if t % 3 == 1 else -1.0])
        x, *slots = method.rule(np, x, g, *slots, 0.1 / math.sqrt(t), 1.0, gain, 0.0)
        x = np.clip(x, -1.0, 1.0)
    return float(x[0])


ends = {
    type(method).__name__: worst_case(method) for method in (nnx.optimizers.Adam(), nnx.optimizers.AMSGrad())
}
print(ends)
assert ends["Adam"] > 0.9 and ends["AMSGrad"] < -0.9

# %% [markdown]
# - **Tiny gradients.** Where $|g|$ is not large beside $\hat\varepsilon$ (10⁻⁷, and in float32 squares below
#   10⁻³⁸ are 0), steps shrink with $g$ as in gradient descent.
# - **It does not settle.** With constant $\eta$ the steps near a minimum keep a size of about $\eta$: let
#   $\eta$ fall ([schedules](../tutorials/schedules_and_stopping.md)).
# - **L2 penalties** are divided by $\sqrt{\hat s}$ like the rest of the gradient, and so act unequally: use
#   `AdamW` for weight decay.
# - **The sign.** The slides write $w \leftarrow w + \eta \hat m/\dots$ with an $m$ that averages $+\nabla E$.
#   That climbs ([erratum](errata.md#adam-the-sign)).
#
# ## References
#
# - Lectures: "Uczenie sieci neuronowych", slides *ADAM*; "11. Wielowarstwowe sieci neuronowe w praktyce",
#   section 11.3.
# - D. P. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, arXiv:1412.6980: algorithm 1
#   (p. 2), section 3 on the bias correction (p. 3).
# - S. J. Reddi, S. Kale, S. Kumar, "On the convergence of Adam and beyond", ICLR 2018, arXiv:1904.09237:
#   section 3.
# - I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", ICLR 2019, arXiv:1711.05101.
