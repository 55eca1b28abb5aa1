# %% [markdown]
# # Symmetry: equal weights stay equal
#
# The slides ask: what if all neurons start with the same weights, and there is no dropout? Their answer:
# after training they have the same weights still. This page measures it for three training algorithms,
# shows why, and watches random numbers as small as $10^{-8}$ break the symmetry.
#
# Derivations used here: [backpropagation](../derivations/backpropagation.md),
# [initialization](../derivations/initialization.md).

# %%
import matplotlib.pyplot as plt
import numpy as np

import nnx
from nnx import plotting
from nnx.layers import Dense, Dropout

# %% [markdown]
# ## The problem
#
# Two half moons, a hidden layer of eight neurons with tanh, one output. Every weight of a layer starts at
# the same number, here 0.3.

# %%
x, y = nnx.datasets.two_moons(200, noise=0.1, seed=0, dtype="float64")


def network(start, *, dropout=0.0, seed=0):
    layers = [
        Dense(8, "tanh", input_shape=(2,), kernel_initializer=start),
        Dropout(dropout),
        Dense(1, "sigmoid", kernel_initializer=start),
    ]
    return nnx.Sequential(layers if dropout else [layers[0], layers[2]], dtype="float64", seed=seed)


def train(model, optimizer, epochs, batch_size=200):
    model.compile(optimizer, "bce", metrics=["accuracy"])
    model.fit(x, y, epochs=epochs, batch_size=batch_size, verbose=0)
    return model.evaluate(x, y, verbose=0)[1]


def spread(model):
    """The largest difference between two hidden neurons in any of their weights."""
    into, bias = model.layers[0].get_weights()
    out = model.layers[-1].get_weights()[0].T  # one column for each neuron, as in the others
    return max(np.ptp(into, axis=1).max(), np.ptp(bias), np.ptp(out, axis=1).max())


same = nnx.initializers.Constant(0.3)

# %% [markdown]
# ## Measured
#
# Whatever the algorithm, the eight neurons go on as one.

# %%
for optimizer, epochs in ((nnx.optimizers.SGD(0.5), 300), (nnx.optimizers.Adam(0.05), 300), ("bfgs", 100)):
    model = network(same)
    accuracy = train(model, optimizer, epochs)
    name = optimizer if isinstance(optimizer, str) else type(optimizer).__name__
    print(f"{name:5} accuracy {accuracy:.3f}, largest difference between two neurons {spread(model):.1e}")
    # A matrix product may round its columns differently (the last bit, 1e-16), and that grows: see below.
    assert spread(model) < 1e-9
    assert accuracy < 0.92  # what a single neuron can do: a straight line
into, bias = model.layers[0].get_weights()
print(into.round(4))

# %% [markdown]
# The two *rows* differ: they belong to the two inputs. The slides' "the weights of all neurons have the
# same values" means this: neurons of one layer are copies of each other. It does not mean that all weights
# are one number.
#
# ## Why
#
# By [BP2 and BP4](../derivations/backpropagation.md), with rows for samples,
#
# $$ \delta_j^{(1)} = \bigl(\delta^{(2)} \Theta^{(2)}_{j}\bigr)\, g'(z_j^{(1)}), \qquad
#    \frac{\partial J}{\partial \Theta^{(1)}_{ij}} = x_i\, \delta_j^{(1)}, \qquad
#    \frac{\partial J}{\partial \Theta^{(2)}_{j}} = a_j^{(1)}\, \delta^{(2)}. $$
#
# If all columns $j$ of $\Theta^{(1)}$, all $\beta_j$ and all $\Theta^{(2)}_j$ are equal, then so are $z_j$,
# $a_j$, and all $\delta_j$: the gradient has equal entries for all neurons. Any rule that makes equal steps
# of equal entries keeps them equal: gradient descent, Adam, and also BFGS from $V_0 = I$. The gradient of
# our network:

# %%
f, weights = network(same).as_function()
w = {name: nnx.to_numpy(part) for name, part in weights.items()}


def cost(w):
    return np.mean(nnx.losses.binary_crossentropy(y[:, None].astype(float), f(w, x)))


first, *_ = gradient = list(nnx.grad(cost)(w).values())
print(first.round(5))
assert np.ptp(first, axis=1).max() < 1e-15 and np.linalg.norm(first) > 1e-3

# %% [markdown]
# So the network of eight is a network of one, with the output's weight eight times as large. We build that
# network from the trained one and compare their outputs.

# %%
single = nnx.Sequential([Dense(1, "tanh", input_shape=(2,)), Dense(1, "sigmoid")], dtype="float64")
out, out_bias = model.layers[-1].get_weights()
single.set_weights([into[:, :1], bias[:1], out.sum(axis=0, keepdims=True), out_bias])
difference = abs(single.predict(x) - model.predict(x)).max()
print(
    f"{model.count_params()} weights and {single.count_params()} weights: outputs differ by {difference:.1e}"
)
assert difference < 1e-9

# %% [markdown]
# ## All zeros
#
# Worse still: if all weights are 0, then $a^{(1)} = \tanh 0 = 0$ and $\Theta^{(2)} = 0$, so both gradients
# above vanish. Only the output's bias can move.

# %%
f, weights = network("zeros").as_function()
w = {name: nnx.to_numpy(part) for name, part in weights.items()}
for name, part in nnx.grad(cost)(w).items():
    print(f"{name:20} largest entry of the gradient {abs(part).max():.1e}")
kernels = [part for name, part in nnx.grad(cost)(w).items() if "kernel" in name]
assert all(abs(part).max() == 0.0 for part in kernels)

# %% [markdown]
# ## Breaking it
#
# Random starts: every neuron is another function from the beginning. The default, Glorot's initialization,
# is one.

# %%
broken = network("glorot_uniform", seed=1)
accuracy = train(broken, nnx.optimizers.Adam(0.05), 500)
print(f"random start: accuracy {accuracy:.3f}, largest difference between two neurons {spread(broken):.2f}")
assert accuracy > 0.98 and spread(broken) > 1.0

# %%
# figure: equal neurons can draw one straight line between the moons only; different ones follow their shape.
figure, axes = plt.subplots(1, 2, figsize=(10.0, 4.0), layout="constrained")
for ax, each, title in zip(axes, (model, broken), ("equal start", "random start"), strict=True):
    plotting.decision_regions(each, x, y, ax=ax)
    ax.set_title(f"{title}: accuracy {each.evaluate(x, y, verbose=0)[1]:.3f}")

# %% [markdown]
# How random must it be? We add to the equal start random numbers of $10^{-8}$, $10^{-4}$ and $10^{-1}$. The
# best symmetric weights are a saddle of the cost: small differences grow exponentially, a straight line on
# the logarithmic axis. A smaller start costs time, nothing else. (Rounding in matrix products is such noise
# too, of $10^{-16}$, where a processor rounds the columns differently. Above, BFGS saw some of it.)

# %%


class Watch(nnx.callbacks.Callback):
    """Records after each epoch how different the neurons are."""

    def __init__(self):
        super().__init__()
        self.spreads = []

    def on_epoch_end(self, epoch, logs=None):
        self.spreads.append(spread(self.model))


runs = {}
for size in (0.0, 1e-8, 1e-4, 1e-1):
    noisy, watch = network(same), Watch()
    generator = np.random.default_rng(2)
    noisy.set_weights([part + size * generator.standard_normal(part.shape) for part in noisy.get_weights()])
    noisy.compile(nnx.optimizers.Adam(0.05), "bce", metrics=["accuracy"])
    noisy.fit(x, y, epochs=900, batch_size=200, verbose=0, callbacks=[watch])
    runs[size] = watch.spreads
    accuracy = noisy.evaluate(x, y, verbose=0)[1]
    print(f"noise {size:.0e}: difference at the end {watch.spreads[-1]:.1e}, accuracy {accuracy:.3f}")
    assert (accuracy > 0.98) == (size > 0.0)

# %%
# figure: the difference between neurons grows exponentially from any noise and stays zero without it.
figure, ax = plt.subplots(figsize=(6.5, 4.0), layout="constrained")
for size, spreads in runs.items():
    ax.semilogy(np.maximum(spreads, 1e-17), label=f"noise {size:.0e}" if size else "equal")
ax.set(xlabel="epoch", ylabel="largest difference of two neurons", title="Symmetry breaks exponentially fast")
ax.legend()
ax.grid(alpha=0.3)

# %% [markdown]
# Dropout breaks it too, as the slides' condition says: in each step other neurons are switched off, so
# their gradients differ. Small batches do not help: all neurons see the same samples.

# %%
dropped, batches = network(same, dropout=0.3), network(same)
with_dropout = train(dropped, nnx.optimizers.Adam(0.05), 300)
with_batches = train(batches, nnx.optimizers.Adam(0.05), 100, batch_size=20)
print(f"dropout 0.3:      accuracy {with_dropout:.3f}, difference {spread(dropped):.1e}")
print(f"batches of 20:    accuracy {with_batches:.3f}, difference {spread(batches):.1e}")
assert spread(dropped) > 0.1 and spread(batches) < 1e-9
