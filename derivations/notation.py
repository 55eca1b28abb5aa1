# %% [markdown]
# # Notation and feedforward
#
# This page fixes the letters that all derivations use, and what a network computes with them.
#
# ## Claim
#
# A feedforward network of $L$ layers is one function $h(w, x)$ of an input $x$ and of **one** vector $w$ that
# holds all its weights. In the lectures' convention, where samples are rows, layer $l$ computes
#
# $$ a^{(0)} = x, \qquad z^{(l)} = a^{(l-1)} \Theta^{(l)} + \beta^{(l)}, \qquad a^{(l)} = g^{(l)}(z^{(l)}). $$
#
# A [`Dense`][nnx.layers.Dense] layer computes this, for one sample or for a whole batch, with the same
# formula.
#
# | symbol | meaning | shape |
# |---|---|---|
# | $x$, $X$ | one sample, a batch of $m$ samples as rows | $(n_0,)$, $(m, n_0)$ |
# | $n_l$ | number of neurons of layer $l$ | |
# | $\Theta^{(l)}$ | kernel: weights from layer $l-1$ to layer $l$ | $(n_{l-1}, n_l)$ |
# | $\beta^{(l)}$ | bias | $(n_l,)$ |
# | $z^{(l)}$ | pre-activation | $(n_l,)$ or $(m, n_l)$ |
# | $g^{(l)}$ | activation function, applied entry by entry (softmax: row by row) | |
# | $a^{(l)}$ | activation; $a^{(L)}$ is the output, also written $\hat y$ | as $z^{(l)}$ |
# | $y$ | target | as $a^{(L)}$ |
# | $E$, $J$ | cost: one number | |
# | $\delta^{(l)}$ | error of a layer, $\partial J / \partial z^{(l)}$ | as $z^{(l)}$ |
# | $w$ | all weights as one vector | $(n,)$ |
# | $g = \nabla E(w)$ | gradient; on pages about optimizers $g$ is this and not an activation | $(n,)$ |
# | $H$ | Hessian, the matrix of second derivatives of $E$ | $(n, n)$ |
# | $\eta$ (also $\alpha$) | learning rate | a number |
# | $t$ | number of the step, counted from 1 | |
# | $\odot$ | product entry by entry | |
#
# ## Derivation
#
# **One neuron.** Neuron $j$ of layer $l$ adds up its inputs, each times a weight, and a bias:
#
# $$ z_j = \sum_{i=1}^{n_{l-1}} a_i \Theta_{ij} + \beta_j. $$
#
# The first index of $\Theta_{ij}$ is where the connection comes from, the second where it goes. The sum is
# entry $j$ of the row vector $a$ times the matrix $\Theta$, so all neurons together are
# $z = a \Theta + \beta$.
#
# **A batch.** Put the samples $x^{(1)}, \dots, x^{(m)}$ into the rows of $X$. Row $i$ of a matrix product
# $A\Theta$ depends on row $i$ of $A$ alone: it is $a^{(i)} \Theta$. With the bias added to every row,
#
# $$ Z = A\,\Theta + \mathbf{1}\beta \qquad (\mathbf{1}: m \text{ ones as a column}) $$
#
# has $z$ of sample $i$ as its row $i$. No formula changes between one sample and a batch: this is why samples
# are rows.
#
# **The bias as a weight.** $z = a\Theta + \beta$ is the product of $(a, 1)$ and $\Theta$ with $\beta$ as one
# more row. The lectures replace "the column of ones" of linear regression by $\beta$ for this reason.
#
# **Counting.** Layer $l$ has $n_{l-1} n_l$ weights and $n_l$ biases, so
#
# $$ n = \sum_{l=1}^{L} (n_{l-1} + 1)\, n_l . $$
#
# **One vector.** Reshape $\Theta^{(1)}, \beta^{(1)}, \Theta^{(2)}, \dots$ to vectors and write them one after
# the other. That is $w$. Nothing is lost, because the shapes say where each piece lies. An optimizer sees $w$
# and $\nabla E(w)$ and need not know that there are layers.
#
# **Column vectors.** Many books (Nielsen, Bishop) write samples as columns: $z = W a + b$ with
# $W = \Theta^\top$. Transposing both sides turns one convention into the other; mixing them in one formula is
# an [erratum of the lectures](errata.md#bp2-mixes-two-conventions).
#
# ## The code
#
# The affine map of `Dense`, and the layout that names the pieces of $w$:
#
# <!-- source: nnx.layers.dense:Affine.forward -->
#
# <!-- source: nnx.parameters:Layout -->
#
# ## A run
#
# A network 3-4-2, once by the formula in NumPy and once by nnx.

# %%
from itertools import pairwise

import numpy as np

import nnx
from nnx.layers import Dense

model = nnx.Sequential([Dense(4, "tanh", input_shape=(3,)), Dense(2, "softmax")], dtype="float64", seed=1)
theta1, beta1, theta2, beta2 = model.get_weights()
print([piece.shape for piece in (theta1, beta1, theta2, beta2)])


def feedforward(x):
    a1 = np.tanh(x @ theta1 + beta1)
    z2 = a1 @ theta2 + beta2
    e = np.exp(z2 - z2.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


rng = np.random.default_rng(0)
X = rng.normal(size=(5, 3))
print(feedforward(X))

# %% [markdown]
# The same weights as one vector, and the network as a function of it, $h(w, x)$:

# %%
layout = nnx.parameters.Layout(
    ("kernel 1", "bias 1", "kernel 2", "bias 2"), tuple(p.shape for p in model.get_weights())
)
w = layout.pack(model.get_weights())
h, _ = model.as_function()  # the network as a pure function of all weights and a batch
print(h(w, X)[0], feedforward(X)[0])
print("n =", layout.size, "  ", dict(zip(layout.names, layout.slices, strict=True)))


# %% [markdown]
# The networks of the lectures, counted by the formula:


# %%
def count(*neurons):
    return sum((a + 1) * b for a, b in pairwise(neurons))


def network(*neurons):
    first, *others = neurons[1:]
    return nnx.Sequential([Dense(first, input_shape=(neurons[0],)), *map(Dense, others)])


lectures = {
    "MNIST": (784, 512, 512, 10),
    "deep tanh": (784, 2500, 2000, 1500, 1000, 500, 10),
    "camera": (4, 4, 4, 8, 4),
}
for name, neurons in lectures.items():
    print(f"{name:10} {count(*neurons):>12,}")

# %% [markdown]
# ## The check
#
# The tolerance is some units in the last place of float64: both sides do the same sums, perhaps in another
# order.

# %%
assert np.allclose(model.predict(X, verbose=0), feedforward(X), rtol=1e-14, atol=0)
# a row depends on its own sample
assert np.allclose(feedforward(X)[2], feedforward(X[2]), rtol=1e-14, atol=0)
assert np.allclose(h(w, X), feedforward(X), rtol=1e-14, atol=0)
assert all(np.array_equal(a, b) for a, b in zip(layout.views(w), model.get_weights(), strict=True))
assert layout.size == count(3, 4, 2) == model.count_params()
with_ones = np.concatenate([X, np.ones((5, 1))], axis=1) @ np.vstack([theta1, beta1])
assert np.allclose(with_ones, X @ theta1 + beta1, rtol=1e-14, atol=1e-15)
printed = {"MNIST": 669_706, "deep tanh": 11_972_510, "camera": 116}  # what the notes print
assert {name: count(*neurons) for name, neurons in lectures.items()} == printed
assert network(*lectures["MNIST"]).count_params() == printed["MNIST"]

# %% [markdown]
# ## When it fails
#
# - **A vector is not a batch.** A model takes a batch, shape $(m, n_0)$. One sample of shape $(n_0,)$ must be
#   given as `x[None, :]`. nnx refuses the other shape instead of guessing:

# %%
try:
    model.predict(X[0], verbose=0)
except (nnx.errors.ShapeError, nnx.errors.DataError) as error:
    print(type(error).__name__, "-", error)
else:
    raise AssertionError("a single vector was taken for a batch")

# %% [markdown]
# - **Broadcasting hides mistakes.** A target of shape $(m,)$ minus an output of shape $(m, 1)$ is a matrix
#   $(m, m)$ in NumPy, without an error. The losses of nnx give such a target its missing axis, and refuse
#   other shapes that differ.
# - **Not every layer is affine.** Dropout depends on random numbers, batch normalization on the whole batch:
#   there a row of the result depends on more than its own sample, and the network is a function of $w$, $x$
#   and more.
# - **Rounding.** In float32 the order of a sum matters in the seventh digit, so a row computed alone and the
#   same row in a batch may differ there.
#
# ## References
#
# - Lectures: "10. Sieci neuronowe – propagacja wsteczna", section 10.1, *Feedforward*.
# - D. E. Rumelhart, G. E. Hinton, R. J. Williams, "Learning representations by back-propagating errors",
#   *Nature* 323 (1986) 533–536: equations 1 and 2.
# - C. M. Bishop, *Pattern Recognition and Machine Learning*, Springer 2006, section 5.1, pp. 227–232.
# - M. Nielsen, *Neural Networks and Deep Learning*, Determination Press 2015, chapter 2: the same with column
#   vectors.
