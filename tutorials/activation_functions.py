# %% [markdown]
# # Activation functions
#
# Without an activation function a deep network is one matrix product. This page shows the activations of the
# lectures with their derivatives, says what saturation is, and measures the drawback of the sigmoid that the
# lectures describe. Formulas, derivatives and stable forms of all of them are derived under
# [Activations](../derivations/activations.md). The [live page](../activations_live.md) has sliders.

# %%
import matplotlib.pyplot as plt
import numpy as np

import nnx
import nnx.plotting

# %% [markdown]
# ## Function and derivative
#
# As in the notes, $z$ runs from −3 to 3. The derivative is what backpropagation multiplies by in each layer.

# %%
# figure: Twelve activation functions with their derivatives for z from -3 to 3
names = "sigmoid tanh relu leaky_relu elu selu silu gelu mish softplus softsign linear".split()
fig, axes = plt.subplots(4, 3, figsize=(9, 10), layout="constrained")
for ax, name in zip(axes.flat, names, strict=True):
    nnx.plotting.activation(name, limits=(-3.0, 3.0), ax=ax)
    ax.set_title(name)

# %% [markdown]
# Softmax and maxout are not in the figure, since they are functions of several numbers:
# [`softmax`][nnx.activations.softmax] turns the outputs of a layer into probabilities that add up to 1, and
# [`Maxout`][nnx.layers.Maxout] is a layer whose neurons give the largest of several weighted sums.
#
# ## Range and saturation
#
# Where the derivative is near 0, a neuron is *saturated*: its weights get next to no gradient and stay as
# they are. The table shows the range of each function and its derivative at some points.

# %%


def slope(name, z):
    """The derivative of the activation at the points z."""
    return nnx.jvp(nnx.activations.get(name), (z,), (np.ones_like(z),))[1]


points = np.array([-5.0, -2.0, 0.5, 5.0])
print(f"{'':12}{'range':>28}" + "".join(f"{f'g′({z:g})':>10}" for z in points))
for name in names:
    facts = nnx.activations.registry.entry(name).traits
    print(f"{name:12}{facts.range:>28}" + "".join(f"{g:10.4f}" for g in slope(name, points)))

z = np.linspace(-6.0, 6.0, 1201)
largest = {name: float(np.max(slope(name, z))) for name in ("sigmoid", "tanh")}
assert abs(largest["sigmoid"] - 0.25) < 1e-12  # at z = 0, which is one of the points
assert abs(largest["tanh"] - 1.0) < 1e-12
assert np.all(slope("sigmoid", np.array([-5.0, 5.0])) < 0.01)  # saturated on both sides
assert np.all(slope("relu", np.array([0.5, 2.0, 1000.0])) == 1.0)  # never to the right

# %% [markdown]
# The sigmoid and tanh saturate on both sides. The derivative of the sigmoid is nowhere larger than 1/4;
# through many layers the product of such factors vanishes ([Vanishing gradients](vanishing_gradients.md)).
# relu does not saturate to the right, but a neuron whose $z$ is negative for all examples gets no gradient at
# all. leaky_relu, elu and their kin keep a slope there.
#
# ## The sigmoid and tanh are one function
#
# The exercise of the lectures: $\sigma(z) = \frac12 (1 + \tanh \frac z2)$. Proof: multiply numerator and
# denominator of $\tanh \frac z2 = (e^{z/2} - e^{-z/2}) / (e^{z/2} + e^{-z/2})$ by $e^{z/2}$. This gives
# $(e^z - 1) / (e^z + 1)$, so
#
# $$ \frac{1 + \tanh \frac z2}{2} = \frac12 \cdot \frac{(e^z + 1) + (e^z - 1)}{e^z + 1}
#    = \frac{e^z}{e^z + 1} = \frac{1}{1 + e^{-z}} = \sigma(z) . $$

# %%
z = np.linspace(-30.0, 30.0, 601)
difference = nnx.activations.sigmoid(z) - (1.0 + nnx.activations.tanh(z / 2.0)) / 2.0
print("largest difference:", np.max(np.abs(difference)))
assert np.max(np.abs(difference)) < 3e-16  # two or three roundings of numbers up to 1

# %% [markdown]
# So a network of sigmoids can be written as one of tanh, with other weights:
#
# $$ \sigma(x\Theta + \beta) V + c =
#    \tanh\left(x\tfrac{\Theta}{2} + \tfrac{\beta}{2}\right) \tfrac{V}{2} + c
#    + \tfrac12 \sum_k V_{k\cdot} . $$
#
# The two can represent the same functions. They differ in how they *train*.

# %%


def one_hidden_layer(activation, weights=None):
    layers = [nnx.layers.Dense(5, activation, input_shape=(3,)), nnx.layers.Dense(2)]
    model = nnx.Sequential(layers, dtype="float64", seed=3)
    if weights is not None:
        model.set_weights(weights)
    return model


x = np.random.default_rng(0).normal(size=(100, 3))
of_sigmoids = one_hidden_layer("sigmoid")
theta, beta, v, c = of_sigmoids.get_weights()
of_tanh = one_hidden_layer("tanh", [theta / 2.0, beta / 2.0, v / 2.0, c + 0.5 * np.sum(v, axis=0)])
gap = np.max(np.abs(of_sigmoids.predict(x, verbose=0) - of_tanh.predict(x, verbose=0)))
print("largest difference of the outputs:", gap)
assert gap < 1e-14  # sums of five numbers around 1

# %% [markdown]
# ## The sigmoid's sign problem
#
# By BP4 the gradient of the weight from neuron $k$ to neuron $j$ is $a_k \delta_j$. The activations $a_k$ of
# a sigmoid layer are all positive. So, for one example, *all* weights into neuron $j$ have gradients with the
# sign of $\delta_j$: they all grow in this step, or all shrink. If some should grow and others shrink, that
# takes several steps.
#
# We measure it on a network 8-10-6-1: for how many examples and neurons of the second hidden layer do the ten
# weights into the neuron *not* have gradients of both signs?

# %%
rng = np.random.default_rng(1)
x, y = rng.normal(size=(200, 8)), rng.normal(size=(200, 1))


def gradients_into_layer_2(activation):
    """∂J/∂Θ⁽²⁾ for each example, of shape (examples, 10, 6)."""
    model = nnx.Sequential(
        [
            nnx.layers.Dense(10, activation, input_shape=(8,)),
            nnx.layers.Dense(6, activation, name="second"),
            nnx.layers.Dense(1),
        ],
        dtype="float64",
        seed=0,
        backend="numpy",  # the arrays below are NumPy's
    )
    f, w = model.as_function()
    of_each = nnx.per_sample_grad(lambda w, x, y: 0.5 * (f(w, x) - y)[:, 0] ** 2, stacked=True)
    return of_each(w, x, y)["second/kernel"]


def share_of_one_sign(g):
    """How often the entries along axis −2 (the weights into one neuron) do not have both signs."""
    return float(np.mean(~(np.any(g > 0.0, axis=-2) & np.any(g < 0.0, axis=-2))))


for activation in ("sigmoid", "tanh", "relu"):
    g = gradients_into_layer_2(activation)
    print(
        f"{activation:8} one example at a time: {share_of_one_sign(g):6.1%}"
        f"   mean over 200 examples: {share_of_one_sign(np.mean(g, axis=0)):6.1%}"
    )

assert share_of_one_sign(gradients_into_layer_2("sigmoid")) == 1.0
assert share_of_one_sign(gradients_into_layer_2("tanh")) < 0.02  # if signs were coins: 2/2¹⁰ = 0.2 %

# %% [markdown]
# For one example the sigmoid's gradients always have one sign, those of tanh practically never. relu's
# activations are not negative either, so it shares the drawback; but where an activation is 0 the weight
# stays as it is, and which ones are 0 changes from example to example.
#
# For the mean over a batch there is no such law, since $\delta_j$ has different signs for different examples.
# This sigmoid network shows it all the same: with random weights its activations are near 1/2 for every
# example, and the mean of $a_k \delta_j$ is about $\frac12$ times the mean of $\delta_j$, the same for all
# $k$.
#
# What it costs can be seen on one linear neuron with two inputs. It starts from $w = (0, 0)$ and should reach
# $w^* = (1, -1)$: one weight up, the other down. Once its inputs are positive, like the outputs of sigmoids,
# and once they are centred, like those of tanh.

# %%
goal = np.array([1.0, -1.0])


def path(inputs, rate, steps=400):
    """The weights during gradient descent, one example in each step."""
    w = [np.zeros(2)]
    for a in inputs[:steps]:
        w.append(w[-1] - rate * (w[-1] @ a - goal @ a) * a)
    return np.array(w)


uniform = np.random.default_rng(4).uniform(0.0, 1.0, size=(400, 2))
cases = {"positive inputs, 0 to 1": uniform, "centred inputs, −1 to 1": 2.0 * uniform - 1.0}
paths = {label: path(a, 0.3) for label, a in cases.items()}
needed = {}
for label, w in paths.items():
    needed[label] = int(np.argmax(np.linalg.norm(w - goal, axis=1) < 0.1))
    moves = np.diff(w[:100], axis=0)
    opposite = np.mean(np.prod(moves, axis=1) < 0.0)
    print(
        f"{label}: {needed[label]} steps; the weights move in opposite directions in {opposite:.0%} of them"
    )

positive, centred = needed.values()
assert np.all(np.prod(np.diff(paths["positive inputs, 0 to 1"][:100], axis=0), axis=1) >= 0.0)
assert positive > 3 * centred > 0

# %%
# figure: Two paths from (0, 0) to (1, -1): a long zigzag for positive inputs, a short way for centred ones
fig, axes = plt.subplots(1, 2, figsize=(9, 4.3), sharex=True, sharey=True, layout="constrained")
for ax, (label, w) in zip(axes, paths.items(), strict=True):
    ax.plot(w[:, 0], w[:, 1], ".-", lw=0.8, ms=3)
    ax.plot(*goal, "k*", ms=12)
    ax.set(title=f"{label}: {needed[label]} steps", xlabel="$w_1$", ylabel="$w_2$", aspect="equal")
    ax.grid(alpha=0.3)

# %% [markdown]
# The same in the language of curvature: the Hessian of this cost is the mean of $a^\top a$. For inputs
# between 0 and 1 its eigenvalues are 7/12 and 1/12, so the cost is seven times as steep along $(1, 1)$ as
# along $(1, -1)$; for centred inputs both are 1/3, and the cost is round. That is also why inputs are centred
# before training.

# %%
for (label, a), expected in zip(cases.items(), ([1 / 12, 7 / 12], [1 / 3, 1 / 3]), strict=True):
    eigenvalues = np.linalg.eigvalsh(a.T @ a / len(a))
    print(label, eigenvalues.round(3), "expected", np.round(expected, 3))
    assert np.allclose(eigenvalues, expected, atol=0.05)  # a mean of 400: standard deviation about 0.02

# %% [markdown]
# ## Far out
#
# A formula can be right and still fail in floating point. In single precision $e^{100}$ overflows, so the
# textbook sigmoid warns, and its logarithm is $-\infty$ where the answer is −100. nnx evaluates its
# activations in forms that hold for every $z$.

# %%
far = np.array([-100.0, -1e4, 1e4], dtype="float32")
with np.errstate(over="ignore", divide="ignore"):
    textbook = np.log(1.0 / (1.0 + np.exp(-far)))
print("textbook log σ:", textbook)
print("nnx:           ", nnx.activations.log_sigmoid(far))
assert np.isneginf(textbook[0])
assert np.array_equal(nnx.activations.log_sigmoid(far), np.array([-100.0, -1e4, 0.0], dtype="float32"))

# %% [markdown]
# ## Which one
#
# The registry knows what each is for:

# %%
for name in (*names, "softmax"):
    print(f"{name:12} {nnx.activations.registry.entry(name).traits.use}")

# %% [markdown]
# Next: [Vanishing and exploding gradients](vanishing_gradients.md), where these derivatives are multiplied.
