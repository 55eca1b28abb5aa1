# %% [markdown]
# # Vanishing and exploding gradients
#
# For many years networks with more than two hidden layers could hardly be trained: the gradient of the first
# layers was next to nothing. This page measures it layer by layer, shows where it comes from, and tries the
# remedies that the lectures list, each on the same network and data.

# %%
import matplotlib.pyplot as plt
import numpy as np

import nnx
import nnx.plotting
from nnx.layers import LSTM, Activation, BatchNormalization, Dense, Dropout, SimpleRNN

# %% [markdown]
# ## Ten layers of sigmoids
#
# Two half moons of points are to be told apart by a network of ten hidden layers with 20 neurons each. Two
# layers would do; the point is what ten make of the gradient.

# %%
x, y = nnx.datasets.two_moons(400, noise=0.1, dtype="float64")
y = y[:, None].astype("float64")


def deep(activation, initializer="glorot_uniform", layers=10, backend=None):
    model = nnx.Sequential(dtype="float64", seed=1, backend=backend)
    for k in range(layers):
        shape = {"input_shape": (2,)} if k == 0 else {}
        model.add(Dense(20, activation, kernel_initializer=initializer, **shape))
    model.add(Dense(1, "sigmoid"))
    return model


def kernel_gradients(model):
    """The norm of ∂J/∂Θ⁽ˡ⁾ for each layer with weights, first layer first."""
    model.compile(nnx.optimizers.SGD(0.0), "binary_crossentropy")  # a step of length 0 computes the gradient
    model.train_on_batch(x, y)
    layout = model.network.layout
    pieces = zip(layout.names, layout.views(model.gradient_vector), strict=True)
    return np.array(
        [np.linalg.norm(nnx.to_numpy(piece)) for name, piece in pieces if name.endswith("kernel")]
    )


sigmoids, tanhs = kernel_gradients(deep("sigmoid")), kernel_gradients(deep("tanh"))
print("sigmoid:", sigmoids)
print("tanh:   ", tanhs)
assert sigmoids[0] < 1e-4 * sigmoids[-1]
assert tanhs[0] > 0.1 * tanhs[-1]

# %%
# figure: Norm of the gradient in each layer: lost on the way back through sigmoids, level for tanh
fig, ax = plt.subplots(figsize=(8, 3.8), layout="constrained")
for activation in ("sigmoid", "tanh"):
    model = deep(activation)
    model.compile("sgd", "binary_crossentropy")
    nnx.plotting.gradient_norms(model, x, y, label=f"ten layers of {activation}", ax=ax)

# %% [markdown]
# ## Why
#
# On the way back every layer multiplies the error by its weights and by the derivative of its activation
# (BP2):
#
# $$ \delta^{(l)} = \left( \delta^{(l+1)} \, \Theta^{(l+1)\top} \right) \odot g'(z^{(l)}) $$
#
# With Glorot's initial weights the product with $\Theta^\top$ keeps the size of $\delta$ on average
# ([why](../derivations/initialization.md)). What is left is $g'$. For the sigmoid it is at most 1/4, so ten
# layers make a factor of about $4^{-10} \approx 10^{-6}$. For tanh it is at most 1, and near 1 where $z$ is
# small.
#
# Now for many depths: how does the output depend on the weights of the *first* layer? The figure shows the
# norm of the derivative of the mean output (without the sigmoid at the end).

# %%
VarianceScaling = nnx.initializers.VarianceScaling
settings = {
    "sigmoid, Glorot": ("sigmoid", "glorot_uniform"),
    "tanh, Glorot": ("tanh", "glorot_uniform"),
    "relu, He": ("relu", "he_uniform"),
    # He's scale, the variance times the fan-in, is 2. Twice the weights are four times the variance.
    "relu, twice He's weights": ("relu", VarianceScaling(8.0, "fan_in", "uniform")),
}
depths = (1, 2, 5, 10, 20, 40)


def sensitivity(activation, initializer, layers):
    """‖∂(mean output)/∂Θ⁽¹⁾‖ of a network that ends in one linear neuron."""
    model = deep(activation, initializer, layers, backend="numpy")  # x is an array of NumPy's
    model.pop()
    model.add(Dense(1))
    f, w = model.as_function()
    return float(np.linalg.norm(nnx.grad(lambda w: np.mean(f(w, x)))(w)["dense/kernel"]))


curves = {label: [sensitivity(*how, layers) for layers in depths] for label, how in settings.items()}
print(f"{'hidden layers':26}", " ".join(f"{depth:9}" for depth in depths))
for label, values in curves.items():
    print(f"{label:26}", " ".join(f"{v:9.2g}" for v in values))

ratio = np.array(curves["relu, twice He's weights"]) / np.array(curves["relu, He"])
# a factor of 2 for each layer above the first
assert np.allclose(ratio, 2.0 ** (np.array(depths) - 1), rtol=1e-9)
assert curves["sigmoid, Glorot"][3] < 1e-5 * curves["sigmoid, Glorot"][0]
assert min(curves["tanh, Glorot"]) > 0.01 * max(curves["tanh, Glorot"])

# %%
# figure: Sensitivity to the first layer against depth: down for sigmoids, up for large weights, else level
fig, ax = plt.subplots(figsize=(6.5, 4.2))
for label, values in curves.items():
    ax.semilogy(depths, values, "o-", label=label)
ax.set(xlabel="hidden layers", ylabel="norm of the derivative by the first kernel")
ax.legend()
ax.grid(alpha=0.3)

# %% [markdown]
# The sigmoids fall along a straight line in this logarithmic picture: a constant factor for each layer. relu
# with weights twice as large as He's doubles with each layer, exactly, since relu of twice a number is twice
# its relu. That is an *exploding* gradient. In between, tanh with Glorot's weights and relu with He's stay
# level for ten layers, and sag in deeper networks.
#
# ## What it does to training
#
# Gradient descent with a large learning rate, on the ten layers of sigmoids and of tanh:

# %%


def train(model, optimizer, epochs=500):
    """The losses of training on all points at once."""
    model.compile(optimizer, "binary_crossentropy", metrics=["accuracy"])
    return model.fit(x, y, batch_size=len(x), epochs=epochs, verbose=0).history["loss"]


losses = {"sigmoid, SGD": train(deep("sigmoid"), nnx.optimizers.SGD(0.5))}
losses["tanh, SGD"] = train(deep("tanh"), nnx.optimizers.SGD(0.1))
for label, values in losses.items():
    print(f"{label}: loss {values[0]:.4f} -> {values[-1]:.4f}")
assert abs(losses["sigmoid, SGD"][-1] - np.log(2.0)) < 1e-3  # log 2: both classes get probability 1/2
assert losses["tanh, SGD"][-1] < 0.05

# %% [markdown]
# The sigmoids have learned that there are equally many points of both classes, which is what the last layer
# can find out alone. Nothing else.
#
# ## Remedy: an optimizer that does not mind small gradients
#
# [`Rprop`][nnx.optimizers.Rprop] uses only the *sign* of each entry of the gradient, so its size does not
# matter. [`RMSprop`][nnx.optimizers.RMSprop] divides each entry by its own recent size; that should do as
# well. Yet with its default options it does not move. The reason is the ε that prevents a division by zero:
#
# $$ w \leftarrow w - \eta \frac{g}{\sqrt{s + \varepsilon}}, \qquad \varepsilon = 10^{-7} . $$
#
# Entries of $g$ below $\sqrt\varepsilon \approx 3 \cdot 10^{-4}$ are not scaled up, and in the first layers
# they are around $10^{-8}$. With $\varepsilon = 10^{-16}$ the same rule trains the network. (In
# [`Adam`][nnx.optimizers.Adam] ε stands outside the root and means something else; see
# [Adam](../derivations/adam.md).)

# %%
for label, optimizer in {
    "sigmoid, Rprop": nnx.optimizers.Rprop(),
    "sigmoid, RMSprop": nnx.optimizers.RMSprop(0.01),
    "sigmoid, RMSprop, ε = 1e-16": nnx.optimizers.RMSprop(0.01, epsilon=1e-16),
}.items():
    losses[label] = train(deep("sigmoid"), optimizer)
    print(f"{label}: loss {losses[label][-1]:.4f}")

assert losses["sigmoid, Rprop"][-1] < 0.35
assert abs(losses["sigmoid, RMSprop"][-1] - np.log(2.0)) < 0.01
assert losses["sigmoid, RMSprop, ε = 1e-16"][-1] < 0.35

# %%
# figure: Loss over 500 epochs: SGD and RMSprop stay at log 2 with sigmoids, Rprop, small ε and tanh get down
fig, ax = plt.subplots(figsize=(7, 4.6), layout="constrained")
for style, (label, values) in zip(("-", "-", "-", "--", "-"), losses.items(), strict=True):
    ax.plot(values, style, lw=1.3, label=label)
ax.axhline(np.log(2.0), color="k", ls=":", label="log 2, guessing")
ax.set(xlabel="epoch", ylabel="loss", ylim=(0.0, 0.8))
fig.legend(loc="outside lower center", ncols=3, fontsize=8)
ax.grid(alpha=0.3)

# %% [markdown]
# ## Remedies in the network itself
#
# The other remedies change what comes back in the first place. For each we measure the norm of the first
# layer's gradient and that of the tenth.
#
# - **Activations that do not saturate**, with **initial weights that fit them**: relu with He's, selu with
#   LeCun's.
# - **Initial weights four times as large** make up for the sigmoid's 1/4, as long as its neurons do not
#   saturate.
# - **Batch normalization** ([`BatchNormalization`][nnx.layers.BatchNormalization]) brings every $z$ back to
#   mean 0 and variance 1 before the activation.
# - **Skip connections**, $h \leftarrow h + g(h\Theta + \beta)$: the sum passes the error on unchanged,
#   whatever $g'$ is.
# - **Dropout** and **more data** are in the lectures' list, too. They are remedies against overfitting
#   ([erratum](../derivations/errata.md#dropout-and-more-data-as-remedies)).

# %%


def with_extra(layer):
    """Ten layers of sigmoids, with another layer in each."""
    model = nnx.Sequential([nnx.Input((2,))], dtype="float64", seed=1)
    for _ in range(10):
        model.add(Dense(20))
        if isinstance(layer(), BatchNormalization):
            model.add(layer())
        model.add(Activation("sigmoid"))
        if isinstance(layer(), Dropout):
            model.add(layer())
    model.add(Dense(1, "sigmoid"))
    return model


def with_skips():
    inputs = nnx.Input((2,))
    h = Dense(20, "sigmoid")(inputs)
    for _ in range(9):
        h = h + Dense(20, "sigmoid")(h)
    return nnx.Model(inputs, Dense(1, "sigmoid")(h), dtype="float64", seed=1)


networks = {
    "sigmoid": deep("sigmoid"),
    "sigmoid, weights times 4": deep("sigmoid", VarianceScaling(16.0, "fan_avg", "uniform")),
    "sigmoid, dropout 0.2": with_extra(lambda: Dropout(0.2)),
    "sigmoid, batch normalization": with_extra(BatchNormalization),
    "sigmoid, skip connections": with_skips(),
    "tanh, Glorot": deep("tanh"),
    "relu, He": deep("relu", "he_uniform"),
    "selu, LeCun": deep("selu", "lecun_normal"),
}
first_to_tenth = {}
for label, model in networks.items():
    norms = kernel_gradients(model)
    first_to_tenth[label] = norms[0] / norms[9]
    print(f"{label:30} first {norms[0]:.1e}   tenth {norms[9]:.1e}   ratio {first_to_tenth[label]:.1e}")

assert first_to_tenth["sigmoid"] < 1e-3
assert first_to_tenth["sigmoid, dropout 0.2"] < 1e-3  # no better
for label in list(networks)[3:]:
    assert first_to_tenth[label] > 0.05

# %%
# figure: Ratio of the first layer's gradient to the tenth's: far below 1 for plain sigmoids and with dropout
fig, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
ax.barh(list(first_to_tenth), list(first_to_tenth.values()))
ax.set(xscale="log", xlabel="gradient of the first layer / gradient of the tenth layer")
ax.axvline(1.0, color="k", ls=":")
ax.invert_yaxis()

# %% [markdown]
# ## Fifty layers
#
# Skip connections are what made networks of a hundred layers trainable. Here are 50 layers of 20 relu neurons
# in blocks of two, with He's initial weights and batch normalization, once without and once with $h
# \leftarrow \mathrm{relu}(h + f(h))$ around each block. Everything else is the same.

# %%


def fifty(skips):
    inputs = nnx.Input((2,))
    h = Dense(20, "relu", kernel_initializer="he_normal")(inputs)
    for _ in range(24):
        z = Dense(20, kernel_initializer="he_normal", use_bias=False)(h)
        z = Activation("relu")(BatchNormalization()(z))
        z = BatchNormalization()(Dense(20, kernel_initializer="he_normal", use_bias=False)(z))
        h = Activation("relu")(h + z if skips else z)
    return nnx.Model(inputs, Dense(1, "sigmoid")(h), dtype="float64", seed=1)


curves = {}
for name, skips in (("plain", False), ("with skip connections", True)):
    model = fifty(skips)
    rule = nnx.optimizers.SGD(0.05, momentum=0.9, global_clipnorm=1.0)
    model.compile(rule, "binary_crossentropy", metrics=["accuracy"])
    curves[name] = model.fit(x, y, batch_size=50, epochs=30, verbose=0).history
    print(f"{name:22} loss {curves[name]['loss'][-1]:.3f}, accuracy {curves[name]['accuracy'][-1]:.3f}")
assert curves["plain"]["loss"][-1] > 0.6  # ln 2 = 0.69 is what a constant reaches
assert curves["with skip connections"]["accuracy"][-1] > 0.98

# %%
# figure: Training loss of 50 layers: the plain network stays at the loss of guessing, that with skips falls
fig, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
for name, history in curves.items():
    ax.plot(history["loss"], label=name)
ax.set(xlabel="epoch", ylabel="training loss", yscale="log")
ax.legend()

# %% [markdown]
# The same on digits, with 50 layers of convolutions: `python benchmarks/accuracy.py depth`.
#
# ## Depth in time: LSTM
#
# A recurrent layer that reads 100 steps is a network of 100 layers which share their weights. What counts is
# again the factor of one step. In a plain layer it is the recurrent matrix times tanh′; orthogonal matrices,
# the usual start, keep lengths, and Glorot's shrink them. In an LSTM, along the cell, it is the forget gate
# ([derivation](../derivations/lstm.md)). Its bias starts at 1, which makes it $\sigma(1) = 0.73$: after 100
# steps next to nothing is left. At 3 it is 0.95. The task: of 100 numbers the first is $\pm 1$ and all others
# are noise; say at the end what the first one was.

# %%
rng = np.random.default_rng(0)
sequences = 0.3 * rng.standard_normal((512, 100, 1))
signs = rng.integers(0, 2, 512).astype("float64")
sequences[:, 0, 0] = 2.0 * signs - 1.0


def reader(layer, forget=None):
    model = nnx.Sequential([nnx.Input((100, 1)), layer, Dense(1, "sigmoid")], dtype="float64", seed=1)
    model.compile(nnx.optimizers.Adam(0.01, global_clipnorm=1.0), "binary_crossentropy", metrics=["accuracy"])
    if forget is not None:
        kernel, recurrent, bias = layer.get_weights()
        bias[16:32] = forget  # gates i, f, c, o of 16 numbers each
        layer.set_weights([kernel, recurrent, bias])
    return model


readers = {
    "SimpleRNN, Glorot": reader(SimpleRNN(16, recurrent_initializer="glorot_uniform")),
    "SimpleRNN, orthogonal": reader(SimpleRNN(16)),
    "LSTM, forget bias 1": reader(LSTM(16)),
    "LSTM, forget bias 3": reader(LSTM(16), forget=3.0),
}
reach, learned = {}, {}
for name, model in readers.items():
    of_inputs = nnx.grad(lambda a, model=model: np.sum(model(a)))(sequences[:32])
    norms = np.linalg.norm(of_inputs[:, :, 0], axis=0)
    reach[name] = norms[0] / norms[-1]
    learned[name] = model.fit(sequences, signs, batch_size=64, epochs=25, verbose=0).history["accuracy"]
    print(
        f"{name:22} gradient by the first step / by the last {reach[name]:.0e}, "
        f"accuracy after 1, 5, 25 epochs {[round(learned[name][k], 2) for k in (0, 4, 24)]}"
    )
assert reach["SimpleRNN, Glorot"] < 1e-4 and reach["LSTM, forget bias 1"] < 1e-6
assert reach["LSTM, forget bias 3"] > 0.1
assert learned["LSTM, forget bias 3"][4] > 0.95 > 0.7 > learned["LSTM, forget bias 1"][4]
assert learned["LSTM, forget bias 1"][24] > 0.95  # it learns to keep its forget gate open

# %%
# figure: Accuracy over 25 epochs of four recurrent layers: the better the gradient reaches back, the sooner
fig, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
for name, history in learned.items():
    ax.plot(np.arange(1, 26), history, label=name)
ax.set(xlabel="epoch", ylabel="training accuracy")
ax.legend()

# %% [markdown]
# The gate is learned: with bias 1 the LSTM sees nothing of the first step at the start, and still finds out
# within 25 epochs. A plain layer has no such gate, and what it starts with decides.
#
# ## Remedy against explosion: clipping
#
# Where gradients explode, one step can throw the weights so far away that nothing can be learned any more.
# Clipping scales a gradient whose norm exceeds a bound down to it: the direction stays, the length is
# limited.

# %%


def explosive():
    return deep("relu", VarianceScaling(8.0, "fan_in", "uniform"))


try:
    with np.errstate(over="ignore", invalid="ignore"):  # the overflow is what the cell shows
        train(explosive(), nnx.optimizers.SGD(0.01), epochs=300)
    raise AssertionError("expected the training without clipping to fail")
except nnx.errors.NonFiniteError as error:
    print("without clipping:", error)

clipped = train(explosive(), nnx.optimizers.SGD(0.01, global_clipnorm=1.0), epochs=300)
print(f"with global_clipnorm=1: loss {clipped[0]:.3g} -> {clipped[-1]:.3g}")
assert clipped[-1] < 0.05 * clipped[0]

# %% [markdown]
# Clipping rescues the training, but the network stays a bad one: its loss is still above 1. It is meant for
# rare large gradients, as they come in recurrent networks. For the first steps the right initial weights are
# the better remedy.

# %% [markdown]
# ## What to take along
#
# - Backpropagation multiplies a factor for each layer. Below 1 the gradient vanishes, above 1 it explodes,
#   with the power of the depth.
# - Initialization and activation decide the factor at the start: Glorot with tanh, He with relu.
# - Skip connections and normalization keep it near 1 in very deep networks.
# - The optimizer can help, if its ε lets it.
#
# Next: [Variants of gradient descent](gradient_descent_variants.md).
