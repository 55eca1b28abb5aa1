# %% [markdown]
# # Learning-rate schedules and stopping
#
# Two questions remain in gradient descent: how long should a step be, and when is it enough? This page tries
# the lectures' answers to both. The schedules of the slides: power, piecewise constant, by performance, and
# MATLAB's adaptive rule. The stopping rules: a small gradient, the number of epochs, a goal, a small change,
# early stopping, a time limit.

# %%
import time

import matplotlib.pyplot as plt
import numpy as np

import nnx
import nnx.plotting
from nnx import callbacks
from nnx.optimizers import schedules

# %% [markdown]
# ## Why the rate should fall
#
# On one quadratic direction with curvature $\lambda$, gradient descent multiplies the distance from the
# minimum by $1 - \eta\lambda$ in each step. With $\eta > 1/\lambda$ the weight jumps from one wall of the
# valley to the other; with $\eta > 2/\lambda$ the jumps grow. A small rate is safe, and slow. So: large steps
# first, small ones later.

# %%
curvature = 4.0
for eta in (0.05, 0.4, 0.55):
    w = np.array([1.0])
    rule, problem = (
        nnx.optimizers.SGD(eta),
        nnx.optimizers.FunctionProblem(lambda w: 0.5 * curvature * np.sum(w * w)),
    )
    state, seen = rule.init(problem, w), [1.0]
    for _ in range(8):
        w, state, _ = rule.step(problem, w, state)
        seen.append(float(w[0]))
    print(f"η = {eta}: factor {1.0 - eta * curvature:+.1f}  ", np.round(seen[:6], 3).tolist())
    assert np.allclose(seen, (1.0 - eta * curvature) ** np.arange(9), rtol=1e-12)

# %% [markdown]
# ## Power and piecewise constant schedules
#
# A schedule is a function from the number of the step $i$, counted from 0, to the rate.
# [`PowerDecay`][nnx.optimizers.schedules.PowerDecay] is the slides'
#
# $$ \eta_i = \frac{\eta_0}{(1 + i / c_1)^{c_2}} , $$
#
# with $c_1$ = `decay_steps` and $c_2$ = `power`. Keras' old `SGD(lr=0.01, decay=1e-4)` is $c_2 = 1$,
# $c_1 = 1/$`decay`. [`PiecewiseConstantDecay`][nnx.optimizers.schedules.PiecewiseConstantDecay] holds a rate
# for so many steps and goes on with the next one.

# %%
power = schedules.PowerDecay(0.01, decay_steps=1e4)  # SGD(lr=0.01, decay=1e-4)
steeper = schedules.PowerDecay(0.1, decay_steps=20, power=2.0)
pieces = schedules.PiecewiseConstantDecay([50, 120], [0.1, 0.01, 0.001])
print([power(i) for i in (0, 10_000, 30_000)])
print([steeper(i) for i in (0, 20, 40)])
print([pieces(i) for i in (0, 50, 51, 120, 121)])

for i in (0, 1, 777, 10_000):
    assert abs(power(i) - 0.01 / (1.0 + 1e-4 * i)) < 1e-17  # one rounding of a number below 0.01
assert np.allclose([steeper(0), steeper(20), steeper(40)], [0.1, 0.1 / 4, 0.1 / 9], rtol=1e-15)
assert [pieces(i) for i in (0, 50, 51, 120, 121)] == [0.1, 0.1, 0.01, 0.01, 0.001]

# %%
# figure: Learning rates over 200 steps: power with exponents 1 and 2, three constant pieces, cosine
fig, ax = plt.subplots(figsize=(7, 3.8))
shown = {
    "power, $c_1 = 20$, $c_2 = 1$": schedules.PowerDecay(0.1, decay_steps=20),
    "power, $c_1 = 20$, $c_2 = 2$": steeper,
    "piecewise constant": pieces,
    "cosine": schedules.CosineDecay(0.1, decay_steps=200),
}
for label, schedule in shown.items():
    ax.plot([schedule(i) for i in range(200)], label=label)
ax.set(xlabel="step", ylabel="learning rate", yscale="log", ylim=(5e-4, 0.2))
ax.legend()
ax.grid(alpha=0.3)

# %% [markdown]
# ## By epochs, as in the slides
#
# The slides change the rate by the *epoch*: 0.1 for the first five, 0.01 up to epoch 20, then 0.001. This is
# the callback [`LearningRateScheduler`][nnx.callbacks.LearningRateScheduler], with the slides' own function.
#
# The task: two half moons with so much noise that they overlap, a network 2-20-20-1, and momentum with
# mini-batches of four. Their noise needs a falling rate ([why](gradient_descent_variants.md)).

# %%
x, y = nnx.datasets.two_moons(200, noise=0.3, seed=1, dtype="float64")
validation = nnx.datasets.two_moons(200, noise=0.3, seed=2, dtype="float64")


def network(optimizer, seed=0):
    layers = [nnx.layers.Dense(20, "tanh", input_shape=(2,)), nnx.layers.Dense(20, "tanh")]
    model = nnx.Sequential([*layers, nnx.layers.Dense(1, "sigmoid")], dtype="float64", seed=seed)
    model.compile(optimizer, "binary_crossentropy", metrics=["accuracy"])
    return model


def piecewise_constant(epoch):
    if epoch < 5:
        return 0.1
    elif epoch < 20:
        return 0.01
    else:
        return 0.001


def train(*more):
    """The history of 40 epochs with momentum and mini-batches of four, from rate 0.1."""
    model = network(nnx.optimizers.SGD(0.1, momentum=0.9))
    record = model.fit(
        x, y, batch_size=4, epochs=40, validation_data=validation, callbacks=list(more), verbose=0
    )
    return record.history


runs = {
    "constant 0.1": train(),
    "0.1, 0.01, 0.001": train(callbacks.LearningRateScheduler(piecewise_constant)),
}
for label, history in runs.items():
    wobble = np.std(history["loss"][-10:])
    print(f"{label:16} training loss {history['loss'][-1]:.3f}, deviation in the last 10 epochs {wobble:.4f}")

constant, falling = runs.values()
assert falling["learning_rate"] == [0.1] * 5 + [0.01] * 15 + [0.001] * 20
assert falling["loss"][-1] < constant["loss"][-1]
assert np.std(falling["loss"][-10:]) < 0.1 * np.std(constant["loss"][-10:])

# %% [markdown]
# ## By performance
#
# The times of the steps above were guesses. *Performance scheduling* looks at the validation cost instead,
# and lowers the rate when that has stopped falling: here to three tenths after five epochs without a better
# one ([`ReduceLROnPlateau`][nnx.callbacks.ReduceLROnPlateau]).

# %%
runs["by performance"] = train(callbacks.ReduceLROnPlateau("val_loss", factor=0.3, patience=5))
by_performance = runs["by performance"]
steps_down = np.flatnonzero(np.diff(by_performance["learning_rate"]))
print("rates:", sorted({round(r, 6) for r in by_performance["learning_rate"]}, reverse=True))
print(f"training loss {by_performance['loss'][-1]:.3f}")
assert len(steps_down) >= 2
for k in steps_down:
    before, after = by_performance["learning_rate"][k : k + 2]
    assert abs(after - 0.3 * before) < 1e-15
    last_five, earlier = by_performance["val_loss"][k - 4 : k + 1], by_performance["val_loss"][: k - 4]
    assert min(last_five) > min(earlier) - 1e-4  # none was better; 1e-4 is min_delta
assert by_performance["loss"][-1] < constant["loss"][-1]

# %%
# figure: Validation loss and learning rate over 40 epochs: the constant rate wavers, the others settle
fig, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
for label, history in runs.items():
    axes[0].plot(range(1, 41), history["val_loss"], label=label)
    axes[1].semilogy(
        range(1, 41), history.get("learning_rate", [0.1] * 40), drawstyle="steps-mid", label=label
    )
axes[0].set(xlabel="epoch", ylabel="validation loss", ylim=(0.1, 0.8))
axes[1].set(xlabel="epoch", ylabel="learning rate")
axes[0].legend()
for ax in axes:
    ax.grid(alpha=0.3)

# %% [markdown]
# ## MATLAB's adaptive rule
#
# With all examples in each step, the cost itself can say whether the rate was right. MATLAB's `traingda`
# (with momentum `traingdx`) does this: if the cost fell, $\eta \leftarrow 1.05 \, \eta$; if not,
# $\eta \leftarrow 0.7 \, \eta$; and if it rose by more than 4 %, the step is taken back as well. In nnx it is
# [`AdaptiveLearningRate`][nnx.optimizers.AdaptiveLearningRate].
#
# First on the quadratic from above, from the rate 0.55 with which gradient descent diverged:

# %%
rule = nnx.optimizers.AdaptiveLearningRate(0.55, momentum=0.0)
problem = nnx.optimizers.FunctionProblem(lambda w: 0.5 * curvature * np.sum(w * w))
w = np.array([1.0])
state = rule.init(problem, w)
for step in range(4):
    before, rate = float(w[0]), rule.rate(state)
    w, state, info = rule.step(problem, w, state)
    word, after = "accepted" if info.accepted else "refused", float(w[0])
    print(
        f"step {step}: η = {rate:.4f}, w {before:+.4f} -> {after:+.4f}, {word}, next η {rule.rate(state):.4f}"
    )
    if step == 0:
        # the step to −1.2 would raise the cost by the factor 1.44
        assert not info.accepted
        assert float(w[0]) == 1.0
        assert abs(rule.rate(state) - 0.7 * 0.55) < 1e-15
    else:
        assert info.accepted
        assert abs(rule.rate(state) - 1.05 * rate) < 1e-15

# %% [markdown]
# Now on the network. Both start with the rate 0.01; the adaptive rule finds out that much longer steps are
# possible, goes too far from time to time, and draws back.

# %%


def full_batch(optimizer, epochs=500):
    """Losses and learning rates of training with all examples in each step."""
    model, rates = network(optimizer), []
    watch = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: rates.append(model.learning_rate))
    record = model.fit(x, y, batch_size=len(x), epochs=epochs, callbacks=[watch], verbose=0)
    return np.array(record.history["loss"]), np.array(rates)


fixed, _ = full_batch(nnx.optimizers.SGD(0.01))
adaptive, rates = full_batch(nnx.optimizers.AdaptiveLearningRate(0.01, momentum=0.0))
print(f"cost after 500 steps: fixed {fixed[-1]:.3f}, adaptive {adaptive[-1]:.3f}; top η {rates.max():.2f}")

factors = rates[1:] / rates[:-1]
assert np.all(np.isclose(factors, 1.05) | np.isclose(factors, 0.7))
assert adaptive[-1] < 0.75 * fixed[-1]
assert rates.max() > 10 * 0.01

# %%
# figure: Cost (left) and learning rate (right) of the adaptive rule: the rate climbs, drops, and climbs again
fig, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
axes[0].plot(fixed, label="constant 0.01")
axes[0].plot(adaptive, label="adaptive")
axes[0].set(xlabel="step", ylabel="cost")
axes[0].legend()
axes[1].semilogy(rates, color="tab:orange")
axes[1].set(xlabel="step", ylabel="learning rate")
for ax in axes:
    ax.grid(alpha=0.3)

# %% [markdown]
# Methods with a *line search* choose the length of each step anew, and need no rate at all:
# [Line searches](../derivations/line_search.md).
#
# ## Stopping
#
# Each rule of the slides is a callback or an argument, and says why it stopped.

# %%


def stopped_by(rule, epochs=2000, **options):
    """The number of epochs made until the rule stopped a training with all examples in each step."""
    model = network(nnx.optimizers.SGD(0.5, momentum=0.9))
    record = model.fit(x, y, batch_size=len(x), epochs=epochs, callbacks=[rule], verbose=0, **options)
    print(f"{type(rule).__name__:20} after {len(record.epoch):4} epochs: {rule.reason}")
    return len(record.epoch), record.history


small_gradient = callbacks.StopOnGradientNorm(0.02)
goal = callbacks.StopOnGoal(0.25)
small_change = callbacks.StopOnStepNorm(0.05)
limit = callbacks.TimeLimit(0.2)

epochs, _ = stopped_by(small_gradient)
assert small_gradient.norm <= 0.02
assert epochs < 2000
epochs, history = stopped_by(goal)
assert history["loss"][-1] <= 0.25 < min(history["loss"][:-1])
epochs, _ = stopped_by(small_change)
assert small_change.norm <= 0.05
assert epochs < 2000
begin = time.perf_counter()
stopped_by(limit, epochs=10**6)
assert (
    0.2 < time.perf_counter() - begin < 10.0
)  # the limit, and at most one step more; on a busy machine a long one

# %% [markdown]
# The number of epochs is the argument `epochs` of `fit`, the simplest rule of all. A small gradient or a
# small change means that training goes slowly, which is so in a minimum, but also on a plateau or near a
# saddle point. The methods of second order bring stopping rules of their own; `history.reason` and
# `result.message` say which one it was, and the page [Success](../success.md) what can be concluded from it.
#
# ## Early stopping
#
# All rules so far look at the training cost. What counts is the cost on *new* examples, and that rises again
# when the network begins to learn noise by heart. [`EarlyStopping`][nnx.callbacks.EarlyStopping] watches the
# validation cost, waits for `patience` epochs, and can put the best weights back. We provoke it with 30
# training examples.

# %%
few_x, few_y = x[:30], y[:30]
overfitted = network(nnx.optimizers.Adam(0.01))
to_the_end = overfitted.fit(
    few_x, few_y, batch_size=30, epochs=600, validation_data=validation, verbose=0
).history

stop = callbacks.EarlyStopping("val_loss", patience=40, restore_best_weights=True)
model = network(nnx.optimizers.Adam(0.01))
stopped = model.fit(
    few_x, few_y, batch_size=30, epochs=600, validation_data=validation, callbacks=[stop], verbose=0
).history
print(stop.reason)
kept, accuracy = model.evaluate(*validation, verbose=0)
spoilt, accuracy_at_the_end = overfitted.evaluate(*validation, verbose=0)
print(f"validation loss of the stopped one {kept:.4f}, accuracy {accuracy:.3f}")
print(f"after 600 epochs                  {spoilt:.4f}, accuracy {accuracy_at_the_end:.3f}")

assert len(stopped["loss"]) == stop.best_epoch + 1 + 40
assert abs(kept - min(stopped["val_loss"])) < 1e-12  # the best weights are back
assert kept < 0.8 * spoilt
assert (
    to_the_end["loss"][-1] < to_the_end["loss"][stop.best_epoch]
)  # although the training cost went on falling

# %%
# figure: Training loss falls to 0, validation loss has a minimum and rises; lines mark best epoch and stop
fig, ax = plt.subplots(figsize=(7, 4))
nnx.plotting.learning_curves(to_the_end, "loss", ax=ax)
ax.axvline(stop.best_epoch + 1, color="k", ls=":", label="best epoch")
ax.axvline(len(stopped["loss"]), color="k", ls="--", label="stopped here")
ax.legend()
ax.grid(alpha=0.3)

# %% [markdown]
# ## What to take along
#
# - Let the rate fall: by a schedule, by the validation cost, or by the cost itself.
# - A stopping rule that fires says that training became slow, or good enough. It does not say that this is a
#   minimum.
# - Early stopping is a regularizer as much as a stopping rule.
#
# Next: [Second order](second_order.md), where steps find their own length.
