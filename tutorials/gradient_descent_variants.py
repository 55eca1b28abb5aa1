# %% [markdown]
# # Batch, stochastic, mini-batch, online
#
# Gradient descent needs the gradient of the cost. Over which examples? Over all of them (*batch*), over one
# (*stochastic*), or over a few (*mini-batch*). This page counts the iterations of each, measures the noise of
# their gradients, shows what the noise does, and ends with *online* learning, where examples arrive while
# training goes on.

# %%
import matplotlib.pyplot as plt
import numpy as np

import nnx
import nnx.plotting

# %% [markdown]
# ## Iterations per epoch
#
# An *epoch* has shown every example once, and an *iteration* is one step of the weights. With the lectures'
# $N = 20000$ examples and the mean squared error:
#
# | variant | cost of one step | iterations per epoch |
# |---|---|---|
# | batch | $\frac{1}{20000} \sum_{k=1}^{20000} (T_k - Y_k)^2$ | 1 |
# | mini-batch | $\frac{1}{100} \sum_{k=1}^{100} (T_k - Y_k)^2$, drawn at random | 20000 / 100 = 200 |
# | stochastic | $(T_k - Y_k)^2$, drawn at random | 20000 |
#
# The model is as small as can be, a linear neuron $\hat y = x w$ with two weights, so that we can draw its
# path. In nnx the variant is the argument `batch_size` of `fit`. A callback keeps the weights after each
# step.

# %%
N = 20000
rng = np.random.default_rng(0)
x = rng.normal(size=(N, 2)) * [1.0, 0.6]
truth = np.array([2.0, -1.0])
t = x @ truth + 0.5 * rng.normal(size=N)
w_best = np.linalg.lstsq(x, t, rcond=None)[0]  # the minimum of the cost over all examples


def neuron(rate, start=(0.0, 0.0)):
    layer = nnx.layers.Dense(1, use_bias=False, input_shape=(2,))
    model = nnx.Sequential([layer], dtype="float64", seed=0)
    model.set_weights([np.array(start)[:, None]])
    model.compile(nnx.optimizers.SGD(rate), "mse")
    return model


def weights_of(model):
    return np.array(nnx.to_numpy(model.get_weights()[0])[:, 0])


def descend(rate, batch_size, epochs=1, examples=N):
    """The model after training, and its weights before the first and after each step."""
    model = neuron(rate)
    path = [weights_of(model)]
    keep = nnx.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: path.append(weights_of(model)))
    model.fit(x[:examples], t[:examples], batch_size=batch_size, epochs=epochs, callbacks=[keep], verbose=0)
    return model, np.array(path)


runs = {}
for label, size in {"batch": N, "mini-batch": 100, "stochastic": 1}.items():
    model, runs[label] = descend(0.05, size)
    print(f"{label:10} batch_size {size:5}: {model.optimizer.iterations:5} iterations in one epoch")
    assert model.optimizer.iterations == N // size == len(runs[label]) - 1

# %% [markdown]
# ## One epoch of each
#
# All three have seen the same 20,000 examples once, at the same learning rate. The figure shows the cost over
# all examples against the number of examples seen. The batch variant has made its one step at the end; the
# mini-batches have long arrived; the stochastic variant arrived after some hundred examples, and then goes on
# trembling.


# %%
hessian_half, least = x.T @ x / N, np.mean((x @ w_best - t) ** 2)


def cost(w):
    """Mean squared error over all examples at w, or at each row of w: its minimum plus a quadratic form."""
    gap = np.asarray(w) - w_best
    return least + np.sum((gap @ hessian_half) * gap, axis=-1)


costs = {label: cost(path) for label, path in runs.items()}
for label, c in costs.items():
    print(f"{label:10} cost {c[0]:.4f} -> {c[-1]:.4f}   (minimum {cost(w_best):.4f})")
assert abs(cost(truth) - np.mean((x @ truth - t) ** 2)) < 1e-12
assert costs["batch"][-1] > 0.8 * costs["batch"][0]
assert costs["mini-batch"][-1] < 1.01 * cost(w_best)

# %%
# figure: Cost against examples seen: stochastic falls first and trembles, batch makes one step at the end
fig, ax = plt.subplots(figsize=(7, 4))
for label, c in costs.items():
    seen = 1 + np.arange(len(c)) * (N // (len(c) - 1))
    ax.plot(seen, c - least, drawstyle="steps-post", lw=0.8, label=label)
ax.set(xlabel="examples seen", ylabel="cost above its minimum", xscale="log", yscale="log", ylim=(1e-5, 10))
ax.legend(loc="lower left")
ax.grid(alpha=0.3)

# %% [markdown]
# The same in the plane of the two weights, with 60 epochs for the batch variant and the first 2,000 steps of
# the stochastic one.

# %%
# figure: Paths of the three variants over the contours of the cost: smooth, nearly smooth, and trembling
_, long_batch = descend(0.05, N, epochs=60)
ways = {"batch, 60 steps": long_batch, "mini-batch, 200 steps": runs["mini-batch"]}
ways["stochastic, 2000 steps"] = runs["stochastic"][:2000]
fig, axes = plt.subplots(1, 3, figsize=(10, 3.6), sharex=True, sharey=True, layout="constrained")
for ax, (label, w) in zip(axes, ways.items(), strict=True):
    nnx.plotting.contours(cost, ((-0.3, 2.6), (-1.6, 0.3)), minima=[w_best], ax=ax)
    ax.plot(w[:, 0], w[:, 1], ".-", lw=0.8, ms=2, color="tab:red")
    ax.set(title=label, xlabel="$w_1$", ylabel="$w_2$")
    ax.label_outer()

# %% [markdown]
# ## The noise of the gradient
#
# The gradient of a batch of $B$ random examples is an estimate of the gradient over all. Its mean is right,
# and its standard deviation falls like $1 / \sqrt B$. We take the gradients of all single examples with
# [`nnx.per_sample_grad`][nnx.per_sample_grad] at one point, and draw batches from them.

# %%
w_here = np.array([1.0, 0.0])
each = nnx.per_sample_grad(lambda w, x, t: (x @ w - t) ** 2, stacked=True)(w_here, x, t)
whole = np.mean(each, axis=0)
assert np.allclose(whole, nnx.grad(lambda w: np.mean((x @ w - t) ** 2))(w_here), rtol=1e-12)

sizes = np.array([1, 4, 16, 64, 256, 1024])
spread = []
for size in sizes:
    batches = each[rng.integers(0, N, size=(400, size))].mean(axis=1)
    spread.append(np.sqrt(np.mean(np.sum((batches - whole) ** 2, axis=1))))
    print(f"B = {size:5}: noise {spread[-1]:.4f}, noise·√B {spread[-1] * np.sqrt(size):.3f}")

slope = np.polyfit(np.log(sizes), np.log(spread), 1)[0]
print(f"slope in the logarithmic picture: {slope:.3f}")
assert abs(slope + 0.5) < 0.03  # each point has a relative error of about 1/√(2·400·2) = 2.5 %

# %% [markdown]
# So a batch that is 100 times larger has a gradient with 10 times less noise, for 100 times the work. That is
# why mini-batches are small: the typical size is 50 to 256, where matrix products use the machine well.
#
# ## A constant rate does not arrive
#
# Near the minimum the gradient of the whole cost goes to 0, but that of a single example does not. So the
# stochastic variant jumps about the minimum, at a squared distance in proportion to the learning rate. Either
# the rate is small, which is slow, or it shrinks while training goes on: a
# [schedule](schedules_and_stopping.md).

# %%


some = 8000
w_of_some = np.linalg.lstsq(x[:some], t[:some], rcond=None)[0]


def distance(rate):
    """Mean squared distance from the minimum over the last 4000 of 8000 steps, each with one example."""
    path = descend(rate, 1, examples=some)[1][-4000:]
    return np.mean(np.sum((path - w_of_some) ** 2, axis=1))


trembling = {rate: distance(rate) for rate in (0.04, 0.02, 0.01)}
shrinking = distance(nnx.optimizers.schedules.PowerDecay(0.04, decay_steps=500))
for rate, d in trembling.items():
    print(f"η = {rate}: mean squared distance {d:.2e}")
print(f"η = 0.04/(1 + i/500): mean squared distance {shrinking:.2e}")

half, quarter = trembling[0.04] / trembling[0.02], trembling[0.02] / trembling[0.01]
assert 1.4 < half < 3.0  # 2 to first order; means over a few hundred independent places
assert 1.4 < quarter < 3.0
assert shrinking < 0.5 * trembling[0.01]

# %% [markdown]
# ## Noise can help
#
# The trembling has a good side: it can carry the weights out of a bad local minimum. Take the cost
# $E(w) = (w^2 - 1)^2 + 0.3 w$ with a shallow minimum near 0.96 and a deep one near −1.04, where each example
# adds a tilt $c_k w$ of its own, with mean 0. Gradient descent over all examples sees no tilts and stays in
# the minimum in which it starts. With single examples, most of 200 runs end in the deep one.

# %%


def well(w):
    return (w**2 - 1.0) ** 2 + 0.3 * w


slope_of_well = nnx.grad(lambda w: np.sum(well(w)))
start = np.full(200, 1.2)  # 200 runs at once
batch, stochastic = start.copy(), start.copy()
tilts = rng.normal(size=(3000, 200)) * 5.0
for c in tilts:
    batch -= 0.02 * slope_of_well(batch)
    stochastic -= 0.02 * (slope_of_well(stochastic) + c)
print(f"in the deep minimum: batch {np.mean(batch < 0):.0%}, stochastic {np.mean(stochastic < 0):.0%}")
assert np.all(np.abs(batch - 0.96) < 0.01)
assert np.mean(stochastic < 0.0) > 0.5

# %% [markdown]
# The lectures add the warning: noise can carry the weights out of a good minimum as well.
#
# ## Online learning
#
# Where examples arrive one by one, no batch of all examples exists. Stochastic steps can start at once, and
# can follow a world that changes. [`partial_fit`][nnx.Model.partial_fit] makes one pass over the new examples
# and keeps the optimizer's state. Here the true weights turn slowly in a circle. One model is trained on the
# first 500 examples and left alone; the other one learns from each example after it has predicted it.

# %%
steps = 3000
angle = 2.0 * np.pi * np.arange(steps) / steps
moving = 2.0 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
stream = rng.normal(size=(steps, 2))
answers = np.sum(stream * moving, axis=1) + 0.1 * rng.normal(size=steps)

frozen, online = neuron(0.05), neuron(0.05)
frozen.fit(stream[:500], answers[:500], batch_size=50, epochs=20, verbose=0)
followed = []
for example, answer in zip(stream, answers, strict=True):
    followed.append(weights_of(online))
    online.partial_fit(example[None], answer[None])
followed = np.array(followed)

errors = {
    "trained once, on the first 500": (stream @ weights_of(frozen) - answers) ** 2,
    "online": (np.sum(stream * followed, axis=1) - answers) ** 2,
}
for label, e in errors.items():
    print(f"{label:32} mean squared error over the last 1000: {np.mean(e[-1000:]):.3f}")
assert np.mean(errors["online"][-1000:]) < 0.1 * np.mean(errors["trained once, on the first 500"][-1000:])

# %%
# figure: Squared error over time: the model trained once gets worse and better again, online stays low
fig, ax = plt.subplots(figsize=(7, 3.6))
for label, e in errors.items():
    ax.plot(np.convolve(e, np.ones(100) / 100, mode="valid"), label=label)
ax.set(xlabel="example", ylabel="squared error, mean of 100", yscale="log")
ax.legend()
ax.grid(alpha=0.3)

# %% [markdown]
# ## What to take along
#
# - Batch: exact gradients, few steps; the methods of [Second order](second_order.md) need it.
# - Stochastic: a step for every example, noise that needs a shrinking rate; works online.
# - Mini-batch: between the two, and what deep networks are trained with.
#
# Next: [The optimizer race](optimizer_race.md).
