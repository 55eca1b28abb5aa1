# %% [markdown]
# # Your own activation, loss, layer and optimizer
#
# Each of the four takes one file of about twenty lines. Registered with a decorator it works like nnx's
# own: by name in `compile`, with options, in saved models, on every array library, and with every training
# algorithm that its mathematics allows. The derivatives are found automatically; where you write one
# yourself, [`nnx.check_derivatives`][nnx.check_derivatives] compares it with finite differences.
#
# Each code cell below that begins with a file name is that file, but for its imports, which stand here.

# %%
import tempfile
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import nnx
from nnx import plotting
from nnx.layers import Dense

# %% [markdown]
# ## An activation: snake
#
# $g(z) = z + \sin^2(az)/a$ grows like $z$ and repeats itself, so a network of it can continue a periodic
# function (L. Ziyin, T. Hartwig, M. Ueda, NeurIPS 2020). Its derivative is $1 + \sin 2az$. The formulas in
# the decorator appear in tables; `checks` looks at options when they are given.

# %%
# snake.py


@nnx.activations.registry.register(
    formula=r"z + \frac{1}{a} \sin^2(a z)",
    derivative=r"1 + \sin(2 a z)",
    range="(-∞, ∞)",
    limits=(-np.inf, np.inf),
    checks={"frequency": nnx.options.Number(above=0.0)},
    use="Functions that repeat themselves.",
)
@nnx.custom_derivative(derivative=lambda xp, z, y, frequency=1.0: 1.0 + xp.sin(2.0 * frequency * z))
def snake(z, *, frequency=1.0):
    """The sum of z and sin²(frequency·z)/frequency."""
    xp = nnx.backend.namespace(z)
    return z + xp.sin(frequency * z) ** 2 / frequency


# %% [markdown]
# The hand-written derivative saves time; without it nnx would find the same. We check it, to second order,
# in both modes. A wrong one is found:

# %%
z = np.linspace(-3.0, 3.0, 13)
nnx.check_derivatives(snake, z)
nnx.check_derivatives(lambda z: snake(z, frequency=2.5), z)


@nnx.custom_derivative(derivative=lambda xp, z, y: 1.0 + xp.sin(z))  # the factor 2 is forgotten
def wrong(z):
    return snake(z)


try:
    nnx.check_derivatives(wrong, z)
except nnx.errors.DerivativeError as error:
    print(error)
else:
    raise AssertionError("the wrong derivative was not found")

# %%
# figure: snake and its derivative, a staircase around the line y = z with slopes from zero to two
figure, ax = plt.subplots(figsize=(6.0, 3.6), layout="constrained")
plotting.activation("snake", limits=(-5.0, 5.0), ax=ax)
ax.grid(alpha=0.3)

# %% [markdown]
# Used by its name, or with options by the name of its class. Two networks see the sine on $[-3, 3]$; we ask
# them about $[3, 6]$ too.

# %%
print(nnx.activations.Snake(frequency=2.0))
t, beyond = np.linspace(-3.0, 3.0, 100)[:, None], np.linspace(3.0, 6.0, 50)[:, None]
grid = np.linspace(-3.0, 6.0, 300)[:, None]
answers, errors = {}, {}
for name in ("tanh", "snake"):
    model = nnx.Sequential([Dense(8, name, input_shape=(1,)), Dense(1)], dtype="float64", seed=0)
    model.compile("trainlm", "mse")
    model.fit(t, np.sin(2.0 * t), epochs=200, verbose=0)
    answers[name] = model.predict(grid)
    errors[name] = [np.sqrt(np.mean((model.predict(s) - np.sin(2.0 * s)) ** 2)) for s in (t, beyond)]
    print(f"{name:6} error on the data {errors[name][0]:.1e}, beyond them {errors[name][1]:.1e}")
assert errors["snake"][1] < 0.05 < 0.5 < errors["tanh"][1]

# %%
# figure: to the right of the data the network of tanh leaves the sine, the network of snake goes on along it.
figure, ax = plt.subplots(figsize=(7.0, 3.4), layout="constrained")
ax.axvspan(-3.0, 3.0, color="0.93", label="data")
ax.plot(grid, np.sin(2.0 * grid), "k--", linewidth=1.0, label="sin 2t")
for name, answer in answers.items():
    ax.plot(grid, answer, label=name)
ax.set(ylim=(-3.0, 3.0), xlabel="t")
ax.legend(ncols=4, loc="lower left", fontsize=8)
ax.grid(alpha=0.3)

# %% [markdown]
# ## A loss: Cauchy's
#
# Squares grow so fast that a few outliers bend the whole fit. $\ell = \ln\bigl(1 + (e/c)^2\bigr)$ with $e =
# \hat y - y$ grows slowly. A loss takes `(y_true, y_pred)` and returns one value for each sample, the mean
# over the last axis.
#
# Declared with a `residual` $r$ whose squares add up to the mean loss, it is also a loss for
# Levenberg–Marquardt. Here $r = e\,\sqrt{\ln(1 + u)/u}\,/\,c$ with $u = (e/c)^2$. At $u = 0$ that is 0/0:
# the inner `where` keeps 0 out of the division, the outer one puts the limit, $1 - u/2$, in its place.

# %%
# cauchy.py


def _cauchy_residual(y_true, y_pred, sample_weight=None, *, scale=0.3):
    xp = nnx.backend.namespace(y_true, y_pred)
    e = (y_pred - y_true) / scale
    u = e * e
    near = u < 1e-8
    safe = xp.where(near, 1.0, u)
    r = e * xp.where(near, 1.0 - 0.5 * u, xp.sqrt(xp.log1p(safe) / safe))
    if sample_weight is not None:
        r = r * xp.sqrt(sample_weight)[:, None]
    return xp.reshape(r, (-1,)) / r.size**0.5


@nnx.losses.registry.register(
    formula=r"\frac{1}{n} \sum_i \ln(1 + (e_i/c)^2)",
    task="regression",
    targets="same",
    residual=_cauchy_residual,
    use="Regression with outliers.",
)
def cauchy(y_true, y_pred, *, scale=0.3):
    """The mean of ln(1 + (e/scale)²) over the last axis, e = y_pred − y_true."""
    xp = nnx.backend.namespace(y_true, y_pred)
    return xp.mean(xp.log1p(((y_pred - y_true) / scale) ** 2), axis=-1)


# %%
random = np.random.default_rng(0)
targets, outputs = random.standard_normal((5, 2)), random.standard_normal((5, 2))
nnx.check_derivatives(lambda out: cauchy(targets, out), outputs)
nnx.check_derivatives(lambda out: _cauchy_residual(targets, out), outputs)
nnx.check_derivatives(lambda out: _cauchy_residual(targets, out), targets)  # at e = 0, where the limit stands
total = np.sum(_cauchy_residual(targets, outputs) ** 2)
print(f"mean loss {np.mean(cauchy(targets, outputs)):.12f}, sum of squared residuals {total:.12f}")
assert abs(total - np.mean(cauchy(targets, outputs))) < 1e-14

# %% [markdown]
# ## A layer: radial basis functions
#
# The hidden layer of MATLAB's `newrb`: unit $j$ answers with a bump around its centre $c_j$,
#
# $$ a_j = \exp\Bigl(-\sum_i \bigl((x_i - c_{ij})\,s_j\bigr)^2\Bigr). $$
#
# A layer is a frozen dataclass. `spec` says which weights there are and what shape comes out. `forward` is
# a pure function of the weights by name and a batch. Everything else follows: counting, saving, gradients,
# and the rows of the Jacobian for Levenberg–Marquardt.

# %%
# radial_basis.py


@nnx.layers.register()
@dataclass(frozen=True)
class RadialBasis(nnx.layers.Layer):
    """Bumps around trained centres, of trained widths: exp(−Σᵢ ((xᵢ − cᵢⱼ)·sⱼ)²)."""

    units: int = 10
    sharpness: float = 3.0

    def spec(self, input_shape):
        centers = nnx.initializers.RandomUniform(-1.0, 1.0)
        weights = (
            nnx.layers.Weight("centers", (*input_shape, self.units), centers),
            nnx.layers.Weight("sharpness", (self.units,), nnx.initializers.Constant(self.sharpness)),
        )
        return nnx.layers.Spec((self.units,), weights)

    def forward(self, p, x):
        xp = nnx.backend.namespace(x, p["centers"])
        apart = (x[:, :, None] - p["centers"][None, :, :]) * p["sharpness"]
        return xp.exp(-xp.sum(apart * apart, axis=1))


# %%
layer = RadialBasis(4)
nnx.check_derivatives(
    lambda centers, sharpness, x: layer.forward({"centers": centers, "sharpness": sharpness}, x),
    random.standard_normal((2, 4)),
    np.full(4, 0.7),
    random.standard_normal((5, 2)),
)
model = nnx.Sequential([RadialBasis(10, input_shape=(2,)), Dense(1)])
model.summary()
assert model.count_params() == 2 * 10 + 10 + 10 + 1

# %% [markdown]
# ## An optimizer: Yogi
#
# Adam's mean of squares forgets quickly when small gradients follow large ones. Yogi (M. Zaheer, S. Reddi,
# D. Sachan, S. Kale, S. Kumar, NeurIPS 2018) changes it by steps of limited size,
#
# $$ v \leftarrow v - (1 - \beta_2)\,\mathrm{sign}(v - g^2)\,g^2, \qquad
#    w \leftarrow w - \eta\,\hat m / (\sqrt{\hat v} + \varepsilon). $$
#
# The hats stand for Adam's bias correction. A first-order optimizer says three things. `rule` is the
# equation, a function of arrays. `slots` are the vectors that it updates, with their first value. `scalars`
# are the numbers of this step. Clipping, weight decay, averages, masks, schedules, and the fused kernel on
# large networks come from [`FirstOrder`][nnx.optimizers.FirstOrder].

# %%
# yogi.py


def yogi_rule(xp, w, g, m, v, rate, beta_1, rest_1, rest_2, unbias, epsilon):
    m = beta_1 * m + rest_1 * g
    v = v - rest_2 * xp.sign(v - g * g) * g * g
    return w - rate * m / (xp.sqrt(v) * unbias + epsilon), m, v


@nnx.optimizers.register(source="Zaheer et al. 2018")
@dataclass(frozen=True)
class Yogi(nnx.optimizers.FirstOrder):
    """Yogi: Adam with additive changes of the mean of squares."""

    learning_rate: float = 0.01
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-3

    @property
    def rule(self):
        return yogi_rule

    def slots(self):
        return {"momentum": 0.0, "velocity": 1e-6}

    def scalars(self, rate, state):
        t = state.step + 1
        first, second = 1.0 - self.beta_1**t, 1.0 - self.beta_2**t
        return rate / first, self.beta_1, 1.0 - self.beta_1, 1.0 - self.beta_2, second**-0.5, self.epsilon


# %% [markdown]
# Three steps by hand, from the formulas, and the same by the class. Then the same rule on 40,000 weights,
# where nnx runs it as a kernel over blocks.

# %%


def by_hand(w, steps, eta=0.01, b1=0.9, b2=0.999, eps=1e-3):
    m, v = np.zeros_like(w), np.full_like(w, 1e-6)
    for t in range(1, steps + 1):
        g = 2.0 * w  # the gradient of Σ w²
        m = b1 * m + (1.0 - b1) * g
        v = v - (1.0 - b2) * np.sign(v - g**2) * g**2
        w = w - eta * (m / (1.0 - b1**t)) / (np.sqrt(v / (1.0 - b2**t)) + eps)
    return w


for size in (5, 40_000):
    w = np.linspace(-1.0, 2.0, size)
    expected = by_hand(w, 3)
    problem, yogi = nnx.optimizers.FunctionProblem(lambda w: np.sum(w * w)), Yogi()
    state = yogi.init(problem, w)
    for _ in range(3):
        w, state, _ = yogi.step(problem, w, state)
    print(f"{size:6} weights: largest difference {abs(w - expected).max():.1e}")
    np.testing.assert_allclose(w, expected, rtol=1e-12, atol=1e-14)  # the order of a few roundings

# %% [markdown]
# ## All four in one model
#
# Data on a curve, every eighth an outlier. The same network is trained with squares and with Cauchy's loss,
# by Yogi and by Levenberg–Marquardt, everything by name. The network is small on purpose. Cauchy's loss
# does not forbid a spike that reaches an outlier, and Levenberg–Marquardt is good enough to find one where
# a network has the units for it.

# %%
x = np.linspace(-1.0, 1.0, 120)[:, None]
curve = np.sin(5.0 * x) + 0.5 * x
y = curve + 0.05 * random.standard_normal(x.shape)
y[::8] += 2.0


def network():
    layers = [RadialBasis(4, input_shape=(1,)), Dense(3, "snake"), Dense(1)]
    return nnx.Sequential(layers, dtype="float64", seed=2)


models, off = {}, {}
for optimizer, loss, epochs in (("yogi", "mse", 1000), ("yogi", "cauchy", 1000), ("trainlm", "cauchy", 60)):
    model = models[optimizer, loss] = network()
    model.compile(optimizer, loss)
    model.fit(x, y, batch_size=None if optimizer == "trainlm" else 120, epochs=epochs, verbose=0)
    off[optimizer, loss] = np.sqrt(np.mean((model.predict(x) - curve) ** 2))
    print(f"{optimizer:8} {loss:7} root mean square distance from the curve {off[optimizer, loss]:.3f}")
assert off["yogi", "cauchy"] < 0.5 * off["yogi", "mse"]
assert off["trainlm", "cauchy"] < 0.5 * off["yogi", "mse"]

# %%
# figure: squares are drawn towards the outliers, Cauchy's loss leaves them out and follows the curve.
figure, ax = plt.subplots(figsize=(7.0, 3.8), layout="constrained")
ax.plot(x, y, ".", color="0.6", label="data")
ax.plot(x, curve, "k--", linewidth=1.0, label="curve")
for (optimizer, loss), each in models.items():
    ax.plot(x, each.predict(x), label=f"{loss}, {optimizer}")
ax.legend(fontsize=8)
ax.grid(alpha=0.3)

# %% [markdown]
# What is registered can be saved. Where the model is loaded, the files above must have been imported.

# %%
trained = models["yogi", "cauchy"]
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "own.safetensors"
    trained.save(path)
    again = nnx.load_model(path)
assert np.array_equal(again.predict(x), trained.predict(x))
again.fit(x, y, batch_size=120, epochs=1, verbose=0)
trained.fit(x, y, batch_size=120, epochs=1, verbose=0)
assert np.array_equal(again.predict(x), trained.predict(x))  # Yogi's state was saved too
print("loaded, same predictions, and the training goes on bit for bit")

# %% [markdown]
# To make one of these a part of nnx itself: put the file into its room (`nnx/activations/`, `nnx/losses/`,
# `nnx/layers/`, `nnx/optimizers/first_order/`). The tests walk the registries and hold it to the same
# contract as all others. `CONTRIBUTING.md` has the table.
