# %% [markdown]
# # Momentum, and Nesterov's two forms
#
# ## Claim
#
# 1. The two forms of momentum in the lectures are the same:
#    $m \leftarrow \beta m - \eta g,\ w \leftarrow w + m$ and
#    $w_{i+1} = w_i - \eta g + \beta (w_i - w_{i-1})$.
# 2. Down a constant slope momentum becomes $1/(1 - \beta)$ times as fast as plain gradient descent: 10 times
#    for $\beta = 0.9$.
# 3. Nesterov's method takes the gradient ahead, at $w + \beta m$. Keras and nnx compute
#    $m \leftarrow \beta m - \eta g(v),\ v \leftarrow v + \beta m - \eta g(v)$, with the gradient where they
#    stand. **Both forms visit the same points:** $v_t = w_t + \beta m_t$ for every step, if $\beta$ is
#    constant.
#
# ## Derivation
#
# **Claim 1.** From $w_{i+1} = w_i + m_{i+1}$ follows $m_i = w_i - w_{i-1}$. Put it into
# $m_{i+1} = \beta m_i - \eta g$. ∎
#
# **Claim 2.** With constant $g$ and $m_0 = 0$,
# $m_t = -\eta g\,(1 + \beta + \dots + \beta^{t-1}) = -\eta g\, \frac{1 - \beta^t}{1 - \beta}$. It tends to
# $-\eta g/(1 - \beta)$, the fixed point of the slide. It takes about $1/(1 - \beta)$ steps to get there: the
# first step is as long as without momentum. Added up, after $t$ steps
#
# $$ w_t - w_0 = -\frac{\eta g}{1 - \beta} \Bigl( t - \beta\, \frac{1 - \beta^t}{1 - \beta} \Bigr). $$
#
# **Claim 3.** Nesterov's own form, with step numbers:
#
# $$ m_{t+1} = \beta m_t - \eta \nabla E(w_t + \beta m_t), \qquad w_{t+1} = w_t + m_{t+1}. $$
#
# Let $v_t = w_t + \beta m_t$, the point where the gradient is taken. The first equation is
# $m_{t+1} = \beta m_t - \eta \nabla E(v_t)$. And
#
# $$ v_{t+1} = w_{t+1} + \beta m_{t+1} = (w_t + m_{t+1}) + \beta m_{t+1}
#    = (v_t - \beta m_t) + m_{t+1} + \beta m_{t+1}. $$
#
# Since $m_{t+1} - \beta m_t = -\eta \nabla E(v_t)$,
#
# $$ v_{t+1} = v_t + \beta m_{t+1} - \eta \nabla E(v_t), $$
#
# which needs no other point than $v_t$. With $m_0 = 0$ both start at $v_0 = w_0$. By induction the sequences
# $m_t$ agree, and $v_t = w_t + \beta m_t$. ∎
#
# Why Nesterov's helps: expand $\nabla E(w + \beta m) \approx \nabla E(w) + \beta H m$. The extra term
# $-\eta \beta H m$ brakes where the curvature along the motion is positive, before the hill is climbed. On a
# quadratic with curvature $h$ momentum's iteration has the characteristic polynomial
# $z^2 - (1 + \beta - \eta h)\, z + \beta$ and Nesterov's
# $z^2 - (1 + \beta)(1 - \eta h)\, z + \beta (1 - \eta h)$: where its roots are complex they have the modulus
# $\sqrt{\beta}$ for momentum and $\sqrt{\beta (1 - \eta h)}$, which is less, for Nesterov.
#
# ## The code
#
# <!-- source: nnx.optimizers.first_order.gradient_descent:descend_with_momentum -->
#
# <!-- source: nnx.optimizers.first_order.gradient_descent:descend_nesterov -->
#
# ## A run
#
# Beale's function, from $(1, 1.5)$, 200 steps. Nesterov's own form in NumPy; nnx's `SGD(nesterov=True)`
# beside it.

# %%
import numpy as np

import nnx


def beale(w):
    x, y = w[0], w[1]
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


gradient = nnx.grad(beale)
start, eta, beta, steps = np.asarray([1.0, 1.5]), 0.002, 0.9, 200


def path(method, function=beale, start=start, steps=steps):
    """The points that an optimizer of nnx visits, the start first."""
    problem = nnx.optimizers.FunctionProblem(function)
    w = start.copy()
    state, points = method.init(problem, w), [start.copy()]
    for _ in range(steps):
        w, state, _ = method.step(problem, w, state)
        points.append(w.copy())
    return np.asarray(points)


def nesterov_ahead(start):
    """Nesterov's own form: w and v = w + βm of every step."""
    w, m = start.copy(), np.zeros_like(start)
    own, ahead = [w], [w]
    for _ in range(steps):
        m = beta * m - eta * gradient(w + beta * m)
        w = w + m
        own.append(w)
        ahead.append(w + beta * m)
    return np.asarray(own), np.asarray(ahead)


own, ahead = nesterov_ahead(start)
by_nnx = path(nnx.optimizers.SGD(eta, momentum=beta, nesterov=True))
for t in (1, 10, 200):
    print(f"step {t:3}: w {own[t]}, v = w + βm {ahead[t]}, nnx {by_nnx[t]}")
print("largest difference between v and nnx:", abs(ahead - by_nnx).max())

# %% [markdown]
# Momentum in both forms of the lectures, and the factor 10 on a constant slope:

# %%
m, w, previous = np.zeros(2), start.copy(), start.copy()
other = start.copy()
for _ in range(steps):
    m = beta * m - eta * gradient(w)
    w = w + m
    other, previous = other - eta * gradient(other) + beta * (other - previous), other
with_momentum = path(nnx.optimizers.SGD(eta, momentum=beta))
print("after 200 steps:", w, other, with_momentum[-1])

slope = np.asarray([1.0])
line = path(nnx.optimizers.SGD(0.01, momentum=0.9), lambda w: w[0], np.zeros(1))
lengths = -np.diff(line[:, 0]) / 0.01
print("length of step 1, 2, 10, 50, 200 in units of ηg:", lengths[[0, 1, 9, 49, 199]].round(4))

# %% [markdown]
# ## The check
#
# The paths agree to a few hundred roundings of $2 \cdot 10^{-16}$, which the curvature of Beale's function
# may amplify.

# %%
assert abs(ahead - by_nnx).max() < 1e-12
assert abs(own - by_nnx).max() > 1e-2  # and they are not the same points: nnx reports v
assert abs(with_momentum[-1] - w).max() < 1e-12 and abs(other - w).max() < 1e-12
t = np.arange(1, steps + 1)
assert np.allclose(lengths, (1 - 0.9**t) / (1 - 0.9), rtol=1e-12)
assert np.allclose(line[1:, 0], -0.01 / 0.1 * (t - 0.9 * (1 - 0.9**t) / 0.1), rtol=1e-12)

# %% [markdown]
# The moduli of the derivation, from the path on $\tfrac12 h w^2$: the amplitude shrinks by $\sqrt\beta$ or
# $\sqrt{\beta(1 - \eta h)}$ a step.

# %%
h, eta_h = 1.0, 0.1
for nesterov, modulus in ((False, np.sqrt(0.9)), (True, np.sqrt(0.9 * (1 - 0.1)))):
    points = path(nnx.optimizers.SGD(eta_h, 0.9, nesterov), lambda w: 0.5 * h * w[0] ** 2, np.ones(1))[:, 0]
    # three points in a row determine the quadratic form that shrinks by modulus² in every step
    trace = 1.9 - 0.1 if not nesterov else 1.9 * 0.9
    form = points[1:] ** 2 - trace * points[1:] * points[:-1] + modulus**2 * points[:-1] ** 2
    print(
        "Nesterov" if nesterov else "momentum",
        "shrinks by",
        np.sqrt(form[50] / form[49]),
        "predicted",
        modulus,
    )
    assert abs(np.sqrt(form[50] / form[49]) - modulus) < 1e-9

# %% [markdown]
# ## When it fails
#
# - **$\beta$ or $\eta$ that change.** The proof uses one $\beta$ in $v_t$ and $v_{t+1}$; with a schedule for
#   $\beta$ the forms drift apart. A changing $\eta$ does no harm to this equivalence. But PyTorch keeps
#   $\eta$ outside of its momentum, $m \leftarrow \beta m + g$, $w \leftarrow w - \eta (g + \beta m)$: the
#   same for constant $\eta$, another path when $\eta$ falls.

# %%
rates = [0.002] * 50 + [0.0002] * 50


def two_conventions(rates):
    keras, torch = start.copy(), start.copy()
    m_keras, m_torch = np.zeros(2), np.zeros(2)
    for rate in rates:
        m_keras = beta * m_keras - rate * gradient(keras)
        keras = keras + beta * m_keras - rate * gradient(keras)
        m_torch = beta * m_torch + gradient(torch)
        torch = torch - rate * (gradient(torch) + beta * m_torch)
    return abs(keras - torch).max()


print("constant η:", two_conventions([0.002] * 100), "  η falls:", two_conventions(rates))
assert two_conventions([0.002] * 100) < 1e-12 and two_conventions(rates) > 1e-2

# %% [markdown]
# - **$\beta = 1$** has no friction: on a quadratic $w$ swings for ever, although the slides allow
#   $\beta \in [0, 1]$ ([erratum](errata.md#momentum-without-friction)).
# - **Noise.** $1/(1 - \beta)$ also multiplies the noise of stochastic gradients; a momentum of 0.9 with the
#   same $\eta$ is about as far from the minimum in the end as a learning rate ten times as large.
# - **No promise of speed.** Nesterov's rate for convex functions, an error of order $1/t^2$, needs a $\beta$
#   that grows with $t$; for networks there is no such theorem, with either form.
# - **The last point.** The weights in the model are $v = w + \beta m$, not $w$. They come together as
#   $m \to 0$.
#
# ## References
#
# - Lectures: "Uczenie sieci neuronowych", slides *Gradient prosty z momentem*, *Algorytm Nesterowa*; "11.
#   Wielowarstwowe sieci neuronowe w praktyce", section 11.3 (there $v = -m$, $\gamma = \beta$).
# - B. T. Polyak, "Some methods of speeding up the convergence of iteration methods", *USSR Computational
#   Mathematics and Mathematical Physics* 4, no. 5 (1964) 1–17.
# - Y. E. Nesterov, "A method for solving the convex programming problem with convergence rate $O(1/k^2)$",
#   *Soviet Mathematics Doklady* 27 (1983) 372–376.
# - I. Sutskever, J. Martens, G. Dahl, G. Hinton, "On the importance of initialization and momentum in deep
#   learning", ICML 2013, PMLR 28, 1139–1147.
# - Y. Bengio, N. Boulanger-Lewandowski, R. Pascanu, "Advances in optimizing recurrent networks", ICASSP 2013,
#   8624–8628, section 3.5: the rewritten form.
