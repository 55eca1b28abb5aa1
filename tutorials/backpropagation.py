# %% [markdown]
# # Backpropagation by hand
#
# This page writes the gradient of a network in NumPy, from the four equations that the lectures call BP1 to
# BP4, and lays it beside [`nnx.grad`][nnx.grad], which knows nothing of networks. Then it trains with it, and
# lays that beside [`nnx.Sequential`][nnx.Sequential]. The equations are derived on the page
# [BP1–BP4](../derivations/backpropagation.md), and the symbols are explained under
# [Notation](../derivations/notation.md).

# %%
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np

import nnx

# %% [markdown]
# ## The network
#
# The lectures' example has three layers of tanh:
#
# $$ h_\Theta(x) = \tanh(\tanh(\tanh(x \Theta^{(1)} + \beta^{(1)}) \Theta^{(2)} + \beta^{(2)}) \Theta^{(3)} +
#    \beta^{(3)}) $$
#
# An example $x$ is a *row*. $\Theta^{(l)}$ has a row for each neuron that it comes from and a column for each
# neuron that it goes to. We take two inputs, layers of 4 and 3 neurons, and one output: 31 weights.

# %%
sizes = (2, 4, 3, 1)
random = np.random.default_rng(0)
thetas = [random.normal(size=(a, b)) / np.sqrt(a) for a, b in pairwise(sizes)]
betas = [0.1 * random.normal(size=b) for b in sizes[1:]]


def feedforward(thetas, betas, x):
    """All pre-activations z and all activations a, layer by layer; a[0] is the input."""
    z, a = [], [x]
    for theta, beta in zip(thetas, betas, strict=True):
        z.append(a[-1] @ theta + beta)
        a.append(np.tanh(z[-1]))
    return z, a


x, y = np.array([0.6, -0.4]), np.array([0.5])
z, a = feedforward(thetas, betas, x)
print("weights:", sum(t.size for t in thetas) + sum(b.size for b in betas))
print("shapes of a:", [layer.shape for layer in a], " output:", a[-1])
assert sum(t.size for t in thetas) + sum(b.size for b in betas) == 31

# %% [markdown]
# ## The error of a neuron
#
# For one example the cost is $J = \frac12 (a^{(L)} - y)^2$. Call
# $\delta^{(l)}_j = \partial J / \partial z^{(l)}_j$ the *error* of neuron $j$ in layer $l$. It says how much
# the cost changes when the neuron's pre-activation moves a little, by $\Delta z$: about
# $\delta^{(l)}_j \, \Delta z$. If $\delta$ is large, a small change against its sign lowers the cost; if it
# is near 0, this neuron cannot help.
#
# Two equations find all errors, from the last layer to the first:
#
# $$ \delta^{(L)} = \nabla_{a^{(L)}} J \odot g'(z^{(L)}) \qquad \text{(BP1)} $$
#
# $$ \delta^{(l)} = \left( \delta^{(l+1)} \, \Theta^{(l+1)\top} \right)
#    \odot g'(z^{(l)}) \qquad \text{(BP2)} $$
#
# and two more turn them into the gradient:
#
# $$ \nabla_{\beta^{(l)}} J = \delta^{(l)} \qquad \text{(BP3)} \qquad\qquad
#    \frac{\partial J}{\partial \Theta^{(l)}_{ij}} = a^{(l-1)}_i \, \delta^{(l)}_j \qquad \text{(BP4)} $$
#
# As a matrix BP4 is $a^{(l-1)\top} \delta^{(l)}$, an outer product. The lectures' summary prints it as an
# elementwise product $\odot$, and BP2 with $\Theta^\top$ on the left, which is right for columns but not for
# their rows: see the [errata](../derivations/errata.md#bp2-mixes-two-conventions). For tanh,
# $g'(z) = 1 - \tanh^2 z = 1 - a^2$, so the activations
# are all that must be kept.

# %%


def backpropagate(thetas, betas, x, y):
    """The gradient of one example's cost, by every Θ and every β, and the errors δ."""
    _, a = feedforward(thetas, betas, x)
    delta = (a[-1] - y) * (1.0 - a[-1] ** 2)  # BP1
    by_theta, by_beta = [], []
    for layer in reversed(range(len(thetas))):
        by_beta.insert(0, delta)  # BP3
        by_theta.insert(0, np.outer(a[layer], delta))  # BP4
        if layer > 0:
            delta = (delta @ thetas[layer].T) * (1.0 - a[layer] ** 2)  # BP2
    return by_theta, by_beta


by_theta, by_beta = backpropagate(thetas, betas, x, y)
print("errors of the last hidden layer:", by_beta[1])
print("shapes of the gradient:", [g.shape for g in by_theta])

# %% [markdown]
# `nnx.grad` gets the cost as a function of the weights, and no formula:

# %%


def cost(weights, x, y):
    _, a = feedforward(weights["thetas"], weights["betas"], x)
    return 0.5 * np.sum((a[-1] - y) ** 2)


by_nnx = nnx.grad(cost)({"thetas": thetas, "betas": betas}, x, y)
gaps = [np.max(np.abs(u - v)) for u, v in zip(by_theta, by_nnx["thetas"], strict=True)]
gaps += [np.max(np.abs(u - v)) for u, v in zip(by_beta, by_nnx["betas"], strict=True)]
print("largest difference:", max(gaps))
assert max(gaps) < 1e-15  # the same products, added up in another order; all entries are below 1

# %% [markdown]
# The meaning of $\delta$ can be tried out. We push one neuron of the second layer by $\Delta z$ and compare
# the change of the cost with $\delta \, \Delta z$.

# %%


def cost_with_a_push(push):
    """J when the pre-activations of the second layer are moved by ``push``."""
    a1 = np.tanh(x @ thetas[0] + betas[0])
    a2 = np.tanh(a1 @ thetas[1] + betas[1] + push)
    return 0.5 * np.sum((np.tanh(a2 @ thetas[2] + betas[2]) - y) ** 2)


small = 1e-5
for j, push in enumerate(small * np.eye(3)):
    change = (cost_with_a_push(push) - cost_with_a_push(-push)) / 2.0
    print(f"neuron {j}: change of J {change:+.6e}, δ Δz {by_beta[1][j] * small:+.6e}")
    assert abs(change - by_beta[1][j] * small) < 1e-14  # the cubic term, 1e-15, and rounding

# %% [markdown]
# ## The algorithm: example by example, then averaged
#
# For $m$ examples the cost is the mean, $J = \frac{1}{2m} \sum_i (h(x^{(i)}) - y^{(i)})^2$. The lectures'
# algorithm starts from $\Delta = 0$, adds $\frac1m \nabla J^{(i)}$ for each example, and then makes the step
# $\Theta \leftarrow \Theta - \alpha \Delta$.

# %%
xs = random.uniform(-1.0, 1.0, size=(50, 2))
ys = 0.8 * np.sin(2.0 * xs[:, :1]) * np.cos(xs[:, 1:])


def averaged(thetas, betas, xs, ys):
    """The gradient of the mean cost, one example after the other."""
    delta_theta, delta_beta = [np.zeros_like(t) for t in thetas], [np.zeros_like(b) for b in betas]
    for x, y in zip(xs, ys, strict=True):
        by_theta, by_beta = backpropagate(thetas, betas, x, y)
        for total, part in zip(delta_theta + delta_beta, by_theta + by_beta, strict=True):
            total += part / len(xs)
    return delta_theta, delta_beta


# %% [markdown]
# In practice the examples of a batch are the rows of one matrix. The equations stay, with matrices in place
# of rows: BP3 adds up the rows of $\delta$, and in BP4 the product $a^\top \delta$ adds up the outer products
# by itself.

# %%


def averaged_at_once(thetas, betas, xs, ys):
    """The same, for all examples at once."""
    _, a = feedforward(thetas, betas, xs)
    delta = (a[-1] - ys) / len(xs) * (1.0 - a[-1] ** 2)  # BP1
    by_theta, by_beta = [], []
    for layer in reversed(range(len(thetas))):
        by_beta.insert(0, np.sum(delta, axis=0))  # BP3
        by_theta.insert(0, a[layer].T @ delta)  # BP4
        if layer > 0:
            delta = (delta @ thetas[layer].T) * (1.0 - a[layer] ** 2)  # BP2
    return by_theta, by_beta


one_by_one, at_once = averaged(thetas, betas, xs, ys), averaged_at_once(thetas, betas, xs, ys)
pairs = zip(one_by_one[0] + one_by_one[1], at_once[0] + at_once[1], strict=True)
gap = max(np.max(np.abs(u - v)) for u, v in pairs)
print("largest difference:", gap)
assert gap < 1e-15  # sums of 50 numbers, each divided by 50

# %% [markdown]
# nnx's layer [`Dense`][nnx.layers.Dense] does this. Here is what it does backward: given $\delta$ (`g`), the
# errors that go on to the layer before, the gradient by the kernel $\Theta$, and that by the bias $\beta$.
#
# <!-- source: nnx.layers.dense:_affine_reverse -->
#
# ## Training
#
# The same network, trained by hand and by nnx. There is one thing to convert. Keras' and nnx's `"mse"` is the
# mean of the squares without the factor $\frac12$, so its gradient is twice ours, and the learning rate must
# be $\alpha / 2$.

# %%
alpha, steps = 0.5, 400
model = nnx.Sequential(dtype="float64", seed=0)
for inputs, units in pairwise(sizes):
    model.add(nnx.layers.Dense(units, activation="tanh", input_shape=(inputs,)))
model.set_weights([array for pair in zip(thetas, betas, strict=True) for array in pair])
model.compile(nnx.optimizers.SGD(alpha / 2.0), "mse")
history = model.fit(xs, ys, batch_size=len(xs), epochs=steps, verbose=0)

by_hand = []
w = [t.copy() for t in thetas], [b.copy() for b in betas]
for _ in range(steps):
    by_hand.append(np.mean((feedforward(*w, xs)[1][-1] - ys) ** 2))
    for weights, gradients in zip(w, averaged_at_once(*w, xs, ys), strict=True):
        for array, gradient in zip(weights, gradients, strict=True):
            array -= alpha * gradient

# %%
# figure: Mean squared error over 400 steps: the curve by hand and that of nnx lie on each other and fall
fig, ax = plt.subplots(figsize=(6.5, 3.6))
ax.semilogy(by_hand, lw=5, alpha=0.35, label="by hand")
ax.semilogy(history.history["loss"], lw=1.2, color="k", label="nnx")
ax.set(xlabel="step", ylabel="mean squared error")
ax.legend()
ax.grid(alpha=0.3)

final = model.get_weights()
gap = max(np.max(np.abs(u - v)) for u, v in zip(final[0::2] + final[1::2], w[0] + w[1], strict=True))
print("error before and after:", by_hand[0], by_hand[-1], " largest difference of the weights:", gap)
assert gap < 1e-12  # 400 steps, each with roundings of 1e-16 that later steps do not enlarge much
assert by_hand[-1] < 0.02 * by_hand[0]

# %% [markdown]
# ## Softmax with cross-entropy
#
# A classifier ends with softmax, and its cost is the cross-entropy $J = -\sum_k y_k \log a_k$. Then BP1
# becomes the simplest it can be, $\delta^{(L)} = a - y$
# ([derivation](../derivations/softmax_crossentropy.md)). The other three equations stay as they are.

# %%
z = np.array([1.0, -0.5, 2.0])
target = np.array([0.0, 1.0, 0.0])
softmax = np.exp(z) / np.sum(np.exp(z))
delta = nnx.grad(lambda z: -np.sum(target * np.log(np.exp(z) / np.sum(np.exp(z)))))(z)
print("a − y   ", softmax - target)
print("nnx.grad", delta)
assert np.max(np.abs(delta - (softmax - target))) < 1e-15

# %% [markdown]
# ## What to take along
#
# - One pass forward and one backward give the gradient by all weights. The backward pass has two matrix
#   products for each one of the forward pass, however many weights there are.
# - The error of a layer is the error of the next one, carried back through the same weights, times $g'(z)$.
#   Where $g'$ is small in many layers, the gradient fades: [Vanishing gradients](vanishing_gradients.md).
# - The method was introduced in the 1970s and became known through D. E. Rumelhart, G. E. Hinton and R. J.
#   Williams, "Learning representations by back-propagating errors", Nature 323 (1986) 533–536.
#
# Next: [The four-pixel camera](four_pixel_camera.md), a network that one can understand weight by weight.
