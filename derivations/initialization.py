# %% [markdown]
# # Initialization: how large the first weights are
#
# ## Claim
#
# For random weights with mean 0 and independent entries, biases 0, and layers of $n_{in}$ inputs and
# $n_{out}$ outputs:
#
# | name | variance of a weight | keeps | for |
# |---|---|---|---|
# | LeCun | $1/n_{in}$ | the variance of $z$ from layer to layer | slopes near 1 at 0; selu |
# | Glorot | $2/(n_{in} + n_{out})$ | $z$ forwards and $\delta$ backwards, each half | tanh, sigmoid |
# | He | $2/n_{in}$ | the variance of $z$ | relu |
#
# A uniform distribution on $(-l, l)$ has variance $l^2/3$, so $l$ is the root of three times the variance:
# $\sqrt{3/n_{in}}$, $\sqrt{6/(n_{in} + n_{out})}$, $\sqrt{6/n_{in}}$. Nguyen and Widrow set the weights of
# one hidden layer by geometry instead: $S$ tanh neurons with $R$ inputs in $[-1, 1]$ share out the input
# space if their weight vectors have length $0.7 \cdot 2 \cdot S^{1/R}$.
#
# ## Derivation
#
# **Forwards.** $z_j = \sum_i a_i \Theta_{ij}$ with weights independent of each other and of $a$, mean 0,
# variance $v$. The products have mean 0 and are uncorrelated, so
#
# $$ \operatorname{Var} z_j = \sum_{i=1}^{n_{in}} \mathbb{E}[a_i^2]\, \mathbb{E}[\Theta_{ij}^2]
#    = n_{in}\, v\, \mathbb{E}[a^2]. $$
#
# It is the mean **square** of $a$ that counts, not its variance. Now let the $z$ of the layer below have
# variance $q$ and a distribution symmetric about 0, which it has because the weights there are symmetric.
#
# - Linear, or tanh near 0: $\mathbb{E}[a^2] = q$. The variance is kept for $n_{in} v = 1$.
# - relu: $a^2$ is $z^2$ for half of the values and 0 for the others: $\mathbb{E}[a^2] = q/2$. It is kept for
#   $n_{in} v = 2$.
#
# After $L$ layers the variance is $(n_{in} v)^L$ (relu: $(n_{in} v/2)^L$) times that of the input: any other
# $v$ lets it grow or fade exponentially.
#
# **Backwards.** By BP2, $\delta_i = g'(z_i) \sum_{j=1}^{n_{out}} \delta_j \Theta_{ij}$. With the same
# assumptions the mean square of $\delta$ is multiplied by $n_{out}\, v\, \mathbb{E}[g'(z)^2]$: by $n_{out} v$
# where slopes are 1, by $n_{out} v/2$ for relu. So the gradient asks for $1/n_{out}$.
#
# For selu with $z \sim N(0, 1)$, where the forward pass is kept,
# $\mathbb{E}[g'^2] = \lambda^2 (\tfrac12 + \alpha^2 e^2 \Phi(-2)) = 1.0716$: the gradient grows by 7 % a
# layer.
#
# **Glorot.** Both cannot hold unless $n_{in} = n_{out}$. The compromise $\tfrac12 (n_{in} + n_{out})\, v = 1$
# makes the product of the factors $n_{in} v$ and $n_{out} v$ at most 1, and their mean exactly 1.
#
# **Truncated normal.** Draws beyond two standard deviations are drawn again. That lowers the variance to
# $1 - 4\varphi(2)/(2\Phi(2) - 1) = 0.7737$, so the standard deviation is divided by $\sqrt{0.7737} = 0.8796$
# first.
#
# **Nguyen–Widrow.** $\tanh(\theta x + \beta)$ of one input is active (far from both limits) for
# $|\theta x + \beta| < r$, $r = 2$: on an interval of length $2r/|\theta|$ around $-\beta/\theta$. $S$ such
# intervals cover $[-1, 1]$, of length 2, without overlap if $2r/|\theta| = 2/S$: $|\theta| = r S$. The factor
# 0.7 makes them overlap. With $R$ inputs, slices $S^{1/R}$ to an axis do the same:
# $\lVert \theta \rVert = 0.7\, r\, S^{1/R}$. Biases evenly spaced in $\pm \lVert \theta \rVert$ put the
# centres evenly on $[-1, 1]$.
#
# ## The code
#
# <!-- source: nnx.initializers.scaling:variance_scaling -->
#
# <!-- source: nnx.initializers.directions:nguyen_widrow -->
#
# ## A run
#
# Variances of drawn kernels beside the formulas:

# %%
import math
from itertools import pairwise

import numpy as np

import nnx

shape = (400, 600)
FORMULAS = {
    "lecun_uniform": 1 / 400,
    "lecun_normal": 1 / 400,
    "glorot_uniform": 2 / 1000,
    "glorot_normal": 2 / 1000,
    "he_uniform": 2 / 400,
    "he_normal": 2 / 400,
}
drawn = {name: nnx.initializers.get(name)(shape, np.random.default_rng(0)) for name in FORMULAS}
for name, kernel in drawn.items():
    print(
        f"{name:15} {kernel.var():.6f}  formula {FORMULAS[name]:.6f}  largest entry {abs(kernel).max():.4f}"
    )

# %% [markdown]
# Thirty layers of 300 neurons: mean square of $z$ from layer to layer, and of $\delta$ on the way back.

# %%
N, DEPTH = 300, 30
X = np.random.default_rng(0).normal(size=(400, N))


def signals(initializer, activation, sizes=(N,) * (DEPTH + 1)):
    """Mean squares of z and of δ in every layer; the δ of the last layer is random of size 1."""
    g, a, layers = nnx.activations.get(activation), X[:, : sizes[0]], []
    for layer, shape in enumerate(pairwise(sizes)):
        kernel = nnx.initializers.get(initializer)(shape, np.random.default_rng(100 + layer))
        z = a @ kernel
        a, slope = nnx.jvp(g, (z,), (np.ones_like(z),))
        layers.append((kernel, np.mean(z**2), slope))
    delta, backwards = np.random.default_rng(1).normal(size=z.shape), []
    for i in reversed(range(len(layers))):
        backwards.append(np.mean(delta**2))
        if i:
            delta = delta @ layers[i][0].T * layers[i - 1][2]  # BP2
    return np.asarray([q for _, q, _ in layers]), np.asarray(backwards[::-1])


PAIRS = [
    ("lecun_normal", "linear"),
    ("he_normal", "relu"),
    ("glorot_uniform", "relu"),
    ("glorot_uniform", "tanh"),
    ("lecun_normal", "selu"),
    ("glorot_uniform", "sigmoid"),
]
found = {pair: signals(*pair) for pair in PAIRS}
print(f"{'':24} z: layer 1   layer 30    δ: layer 30    layer 1")
for (initializer, activation), (forward, backward) in found.items():
    ends = f"{forward[0]:11.3f}{forward[-1]:11.1e}{backward[-1]:15.3f}{backward[0]:11.1e}"
    print(f"{initializer:15}{activation:9}{ends}")

# %% [markdown]
# Layers that are not square: 400 and 100 neurons in turn, linear. Predicted factors for each layer:
# $n_{in} v$ forwards.

# %%
zigzag = (300, 100) * 5
predicted = {
    "lecun_normal": np.cumprod([1.0] * 9),
    "glorot_normal": np.cumprod([2 * a / (a + b) for a, b in pairwise(zigzag)]),
}
measured = {name: signals(name, "linear", zigzag)[0] for name in predicted}
for name in predicted:
    print(name, "predicted", predicted[name].round(3), "measured", measured[name].round(3))

# %% [markdown]
# Nguyen–Widrow, one input and 20 neurons: where each neuron is centred and how long its active interval is.
# Then the best output layer (linear least squares) on top of the untrained hidden layer, for
# $\sin(3\pi x + 1)$. With biases 0 all neurons are odd functions with their centre at 0, nearly multiples of
# each other: they miss the even part of the target, and reach the odd part with enormous weights.

# %%
S = 20
theta = nnx.initializers.get("nguyen_widrow")((1, S), np.random.default_rng(0))
beta = nnx.initializers.NguyenWidrow(inputs=1)((S,))
centres, lengths = -beta / theta[0], 2 * 2.0 / abs(theta[0])
print("centres", np.sort(centres).round(2), " length of each active interval", lengths[0].round(4))

x = np.linspace(-1.0, 1.0, 200)[:, None]
target = np.sin(3 * np.pi * x[:, 0] + 1.0)


def best_output(theta, beta):
    """Root mean square error of the best linear combination of the hidden neurons and a constant."""
    features = np.concatenate([np.tanh(x @ theta + beta), np.ones((len(x), 1))], axis=1)
    weights, *_ = np.linalg.lstsq(features, target, rcond=1e-10)
    return math.sqrt(np.mean((features @ weights - target) ** 2)), abs(weights).max()


glorot = nnx.initializers.get("glorot_uniform")((1, S), np.random.default_rng(0))
for name, (error, largest) in {
    "Nguyen-Widrow": best_output(theta, beta),
    "Glorot, β = 0": best_output(glorot, np.zeros(S)),
}.items():
    print(f"{name:14} error {error:.1e}, largest weight of the output layer {largest:.1e}")

# %% [markdown]
# ## The check
#
# The variance of $N$ drawn numbers is known to about $\sqrt{2/N}$ of itself (normal) or less (uniform), here
# 0.3 %; we take four times that.

# %%
for name, kernel in drawn.items():
    assert abs(kernel.var() / FORMULAS[name] - 1) < 4 * math.sqrt(2 / kernel.size), name
    if name.endswith("uniform"):
        assert abs(kernel).max() <= math.sqrt(3 * FORMULAS[name])

density, distribution = math.exp(-2.0) / math.sqrt(2 * math.pi), 0.5 * (1 + math.erf(math.sqrt(2.0)))
of_truncated = 1 - 4 * density / (2 * distribution - 1)
print("standard deviation of a normal distribution cut off at ±2:", math.sqrt(of_truncated))
plain = nnx.initializers.TruncatedNormal(stddev=1.0)((1000, 1000), np.random.default_rng(0))
assert abs(plain.std() - math.sqrt(of_truncated)) < 4e-3 and abs(plain).max() <= 2.0

# thirty factors near 1, each off by about √(2/300) = 8 %: within a factor of 3; the wrong pair is off by 2⁻²⁹
scale, alpha = 1.0507009873554805, 1.6732632423543772
selu_back = scale**2 * (0.5 + alpha**2 * math.exp(2.0) * 0.5 * math.erfc(math.sqrt(2.0)))
print("selu, factor of a layer on the way back:", selu_back)
PREDICTED = {("lecun_normal", "linear"): 1.0, ("he_normal", "relu"): 1.0, ("lecun_normal", "selu"): selu_back}
for pair, factor in PREDICTED.items():
    forward, backward = found[pair]
    assert 1 / 3 < forward[-1] / forward[0] < 3, pair
    assert 1 / 3 < backward[0] / backward[-1] / factor ** (DEPTH - 1) < 3, pair
forward, backward = found["glorot_uniform", "relu"]
assert 0.3 < forward[-1] / forward[0] * 2.0**29 < 3 and 0.3 < backward[0] / backward[-1] * 2.0**29 < 3
assert found["glorot_uniform", "sigmoid"][1][0] < 1e-30  # σ′ ≤ 1/4 in every layer

for name in predicted:
    assert np.all(abs(np.log(measured[name] / predicted[name])) < np.log(2.0)), name

assert np.allclose(np.sort(centres), np.linspace(-1, 1, S), rtol=0, atol=1e-12)
assert np.allclose(np.linalg.norm(theta, axis=0), 0.7 * 2 * S, rtol=1e-12)
assert lengths.sum() > 2.0 and np.allclose(lengths, 2 / (0.7 * S))  # they cover [−1, 1] and overlap
of_nguyen_widrow, of_glorot = best_output(theta, beta), best_output(glorot, np.zeros(S))
assert of_nguyen_widrow[0] < 0.1 < 0.5 < of_glorot[0]
assert of_nguyen_widrow[1] < 10 < 1e5 < of_glorot[1]

# %% [markdown]
# ## When it fails
#
# - **After the first steps.** The argument is about independent random weights. It says how training starts,
#   not how it goes on.
# - **tanh is not linear.** With LeCun's or Glorot's variance its signal still fades, slowly: the table shows
#   the mean square of $z$ after 30 layers. A slope of 1 holds at 0 alone.
# - **sigmoid.** $\mathbb{E}[a^2]$ is at least ¼ for every symmetric $z$, and $g' \le \tfrac14$: no variance
#   rescues a deep sigmoid net.
# - **Narrow layers.** The factor of a layer scatters by about $\sqrt{2/n}$ around its mean, and 30 such
#   factors multiply.
# - **Equal weights** have no variance at all: [symmetry](../tutorials/symmetry.md).
# - **Nguyen–Widrow** wants inputs scaled to $[-1, 1]$ and few of them: $S^{1/R}$ is close to 1 for many
#   inputs, and the slices no longer share out anything.
#
# ## References
#
# - Lectures: "Uczenie sieci neuronowych", slide *Walka z problemem zanikającego gradientu* (He, Glorot).
# - Y. LeCun, L. Bottou, G. Orr, K.-R. Müller, "Efficient BackProp", in *Neural Networks: Tricks of the
#   Trade*, LNCS 1524, Springer 1998, 9–50, section 4.6.
# - X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS
#   2010, PMLR 9, 249–256, equations 12 and 16.
# - K. He, X. Zhang, S. Ren, J. Sun, "Delving deep into rectifiers", ICCV 2015, 1026–1034, equation 10.
# - G. Klambauer et al., "Self-normalizing neural networks", NIPS 2017, 971–980.
# - D. Nguyen, B. Widrow, "Improving the learning speed of 2-layer neural networks by choosing initial values
#   of the adaptive weights", IJCNN 1990, vol. 3, 21–26.
