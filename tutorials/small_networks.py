# %% [markdown]
# # Small networks, trained as MATLAB's users do
#
# Many engineers know neural networks from MATLAB: one hidden layer, all data at once, `trainlm`, data
# divided 70/15/15, six validation failures, a regression plot. This page does the same in nnx, step by
# step, and then uses Bayesian regularization, which needs no validation data at all.
#
# Derivations: [Levenberg–Marquardt](../derivations/levenberg_marquardt.md), [the effective number of
# parameters](../derivations/effective_parameters.md), [Nguyen–Widrow](../derivations/initialization.md).
# Argument by argument: [coming from MATLAB](../coming_from_matlab.md).

# %%
import matplotlib.pyplot as plt
import numpy as np

import nnx
from nnx import plotting
from nnx.layers import Dense
from nnx.utils import train_test_split

# %% [markdown]
# ## Data with noise
#
# 100 points of $\sin(10x)/(10x)$ with noise of standard deviation 0.1. We know the curve, so we can tell in
# the end which network is right. Inputs and targets lie in about $[-1, 1]$, so MATLAB's `mapminmax` would
# change little; it is left out.

# %%
NOISE = 0.1
x, y = nnx.datasets.sinc(100, noise=NOISE, seed=1, dtype="float64")


def truth(x):
    return np.sinc(10.0 * x / np.pi)


# %% [markdown]
# ## `dividerand`: 70 / 15 / 15
#
# Training data determine the weights. Validation data decide when to stop. Test data are used for nothing
# but the last number.

# %%
x_train, x_rest, y_train, y_rest = train_test_split(x, y, test_size=0.3, seed=0)
x_val, x_test, y_val, y_test = train_test_split(x_rest, y_rest, test_size=0.5, seed=0)
print(len(x_train), "to train,", len(x_val), "to validate,", len(x_test), "to test")
assert (len(x_train), len(x_val), len(x_test)) == (70, 15, 15)

# %% [markdown]
# ## `fitnet(20, "trainlm")`
#
# One hidden layer of 20 neurons with tanh (`tansig`), a linear output, Nguyen–Widrow weights (`initnw`),
# double precision. MATLAB's names of the training functions are known: `"trainlm"` is
# [`LevenbergMarquardt`][nnx.optimizers.LevenbergMarquardt].


# %%
def fitnet(hidden, optimizer, seed=9):
    first = Dense(
        hidden,
        "tanh",
        input_shape=(1,),
        kernel_initializer="nguyen_widrow",
        bias_initializer=nnx.initializers.NguyenWidrow(inputs=1),
    )
    net = nnx.Sequential([first, Dense(1)], dtype="float64", seed=seed)
    net.compile(optimizer, "mse")
    return net


def mse(net, x, y):
    return float(np.mean((net.predict(x) - y) ** 2))


net = fitnet(20, "trainlm")
net.summary()

# %% [markdown]
# ## Training with early stopping
#
# An epoch is one iteration of Levenberg–Marquardt on all training data. With validation data, training ends
# after six epochs in a row without a lower validation error (MATLAB's `max_fail`), and the weights of the
# best epoch come back.

# %%
stopped = net.fit(x_train, y_train, validation_data=(x_val, y_val), epochs=300, verbose=0)
best = int(np.argmin(stopped.history["val_loss"]))
print(stopped.reason)
print(f"{len(stopped.epoch)} epochs, the best was number {best + 1}")
print(f"mean squared errors: train {mse(net, x_train, y_train):.4f}, validation {mse(net, x_val, y_val):.4f}")
assert len(stopped.epoch) == best + 1 + 6
assert abs(mse(net, x_val, y_val) - min(stopped.history["val_loss"])) < 1e-12  # the best weights are back

# %% [markdown]
# Without validation data nothing stops it. The training error goes on falling, below the variance of the
# noise: the network learns the noise.

# %%
overfitted = fitnet(20, "trainlm")
unstopped = overfitted.fit(x_train, y_train, epochs=300, verbose=0)
print(f"train {mse(overfitted, x_train, y_train):.4f}, test {mse(overfitted, x_test, y_test):.4f}", end=", ")
print(f"variance of the noise {NOISE**2:.4f}")
assert mse(overfitted, x_train, y_train) < 0.6 * NOISE**2 < NOISE**2 < mse(overfitted, x_test, y_test)

# %%
# figure: training error falls from epoch to epoch while the validation error rises after its minimum.
figure, ax = plt.subplots(figsize=(6.0, 3.8), layout="constrained")
plotting.learning_curves(stopped, ax=ax)
ax.axvline(best + 1, color="0.6", linestyle=":")
ax.set(yscale="log", title="Early stopping: six epochs without a better validation error")
ax.grid(alpha=0.3)

# %% [markdown]
# ## Bayesian regularization: `trainbr`
#
# Early stopping spends 15 % of the data on one number.
# [`BayesianRegularization`][nnx.optimizers.BayesianRegularization] keeps all for training and minimizes
#
# $$ F = \beta E_D + \alpha E_W, \qquad E_D = \sum_i e_i^2, \qquad E_W = \sum_j w_j^2, $$
#
# with $\alpha$ and $\beta$ that follow from the data. For $N$ errors and $n$ weights, with $H = 2\beta
# J^\top J + 2\alpha I$,
#
# $$ \gamma = n - 2\alpha\,\mathrm{tr}\,H^{-1}, \qquad \alpha = \frac{\gamma}{2E_W}, \qquad
#    \beta = \frac{N - \gamma}{2E_D}. $$
#
# $\gamma$ is the *effective number of parameters*: how many of the $n$ weights the data determine. And
# $1/\sqrt{2\beta}$ estimates the standard deviation of the noise. Nobody told the network that it is 0.1.

# %%
x_both, y_both = np.concatenate([x_train, x_val]), np.concatenate([y_train, y_val])
bayesian = fitnet(20, "trainbr")
record = bayesian.fit(x_both, y_both, epochs=300, verbose=0).history
gamma, noise = record["effective_parameters"][-1], (2.0 * record["beta"][-1]) ** -0.5
print(f"{bayesian.count_params()} weights, of which the data determine γ = {gamma:.1f}")
print(f"estimated noise {noise:.4f}, true {NOISE}")
# An estimate of σ from N − γ errors scatters by 1/√(2(N − γ)) = 0.08; twice that.
assert abs(noise / NOISE - 1.0) < 0.16

# %% [markdown]
# The same data, three networks. Their errors against the true curve, which no training saw:

# %%
grid = np.linspace(-1.0, 1.0, 401)[:, None]
nets = {"trainlm, early stopping": net, "trainlm, 300 epochs": overfitted, "trainbr": bayesian}
off = {name: mse(each, grid, truth(grid)) ** 0.5 for name, each in nets.items()}
for name, error in off.items():
    print(f"{name:24} root mean square distance from the curve {error:.4f}")
assert off["trainbr"] < off["trainlm, early stopping"] < off["trainlm, 300 epochs"]

# %%
# figure: noisy data and three fits; the network trained too long follows the noise.
figure, axes = plt.subplots(1, 3, figsize=(11.0, 3.6), sharey=True, layout="constrained")
for ax, (name, each) in zip(axes, nets.items(), strict=True):
    ax.plot(x_both, y_both, ".", color="0.6", markersize=5, label="data")
    ax.plot(grid, truth(grid), "k--", linewidth=1.0, label="true curve")
    ax.plot(grid, each.predict(grid), color="tab:red", label="network")
    ax.set(title=f"{name}\noff by {off[name]:.3f}", xlabel="x", ylim=(-0.6, 1.3))
_ = axes[0].legend()

# %% [markdown]
# ## How large a network?
#
# With `trainbr` the question loses its weight. $n$ grows with the number of hidden neurons; $\gamma$ stops
# growing as soon as the network is large enough for what the data hold.

# %%
sizes, effective = (2, 4, 6, 10, 20, 30), []
for hidden in sizes:
    each = fitnet(hidden, "trainbr")
    log = each.fit(x_both, y_both, epochs=1000, verbose=0).history
    effective.append(log["effective_parameters"][-1])
    distance = mse(each, grid, truth(grid)) ** 0.5
    print(f"{hidden:3} neurons: n = {each.count_params():3}, γ = {effective[-1]:5.1f}, off by {distance:.3f}")
assert max(effective[3:]) - min(effective[3:]) < 2.5  # from 10 neurons on γ stays, while n triples

# %%
# figure: the number of weights grows with the hidden neurons, the effective number of parameters levels off.
figure, ax = plt.subplots(figsize=(6.0, 3.8), layout="constrained")
ax.plot(sizes, [3 * hidden + 1 for hidden in sizes], "o--", label="weights n")
ax.plot(sizes, effective, "s-", label="effective number γ")
ax.set(xlabel="hidden neurons", ylim=(0, 95), title="What the data determine")
ax.legend()
ax.grid(alpha=0.3)

# %% [markdown]
# ## `ploterrhist` and `plotregression`
#
# Two pictures that MATLAB shows after training. Errors should scatter around 0 without a pattern. Outputs
# against targets should lie on the diagonal; $R$ is their correlation.

# %%
outputs = bayesian.predict(x_test)
R = np.corrcoef(y_test[:, 0], outputs[:, 0])[0, 1]
print(f"test data: R = {R:.3f}, mean error {np.mean(y_test - outputs):.3f}")
assert R > 0.9

# %%
# figure: histogram of the errors of all data, around zero, and test outputs against targets near the diagonal
figure, (left, right) = plt.subplots(1, 2, figsize=(10.0, 4.0), layout="constrained")
plotting.error_histogram(y, bayesian.predict(x), bins=20, ax=left)
plotting.regression(y_test, outputs, ax=right)
_ = left.set_title("errors, all data"), right.set_title(f"test data, R = {R:.3f}")

# %% [markdown]
# ## `patternnet`: classification
#
# For classes MATLAB's default is `trainscg` with cross-entropy:
# [`ScaledConjugateGradient`][nnx.optimizers.ScaledConjugateGradient] needs no search and no matrix.
# Validation works as before.

# %%
points, labels = nnx.datasets.two_moons(300, noise=0.15, seed=2)
p_train, p_rest, l_train, l_rest = train_test_split(points, labels, test_size=0.3, stratify=labels, seed=0)
p_val, p_test, l_val, l_test = train_test_split(p_rest, l_rest, test_size=0.5, stratify=l_rest, seed=0)
pattern = nnx.Sequential([Dense(10, "tanh", input_shape=(2,)), Dense(2, "softmax")], seed=0)
pattern.compile("trainscg", "sparse_categorical_crossentropy", metrics=["accuracy"])
history = pattern.fit(p_train, l_train, validation_data=(p_val, l_val), epochs=500, verbose=0)
accuracy = pattern.evaluate(p_test, l_test, verbose=0)[1]
print(f"{history.reason}\n{len(history.epoch)} epochs, test accuracy {accuracy:.3f}")
assert accuracy > 0.9

# %%
# figure: the two half moons and the regions that the network assigns to each class.
figure, ax = plt.subplots(figsize=(5.5, 4.2), layout="constrained")
plotting.decision_regions(pattern, p_test, l_test, ax=ax)
_ = ax.set_title("patternnet, trainscg: test data")

# %% [markdown]
# ## Where to go on
#
# - [Every method on two small networks](../training_algorithms.md), measured.
# - [Test errors on real data](../regression_data.md) with these methods.
# - [Choosing an optimizer](../choose.md).
