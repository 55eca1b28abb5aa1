# %% [markdown]
# # Pictures: `nnx.plotting`
#
# The module draws what one looks at while a network is trained or a curve is fitted, with Matplotlib
# (`pip install '.[plot]'` in a copy of the repository). This page shows each function with its picture. It
# takes a few seconds.
#
# Three things hold for all of them:
#
# - Each takes `ax=None` and returns the Matplotlib `Axes` that it has drawn on. Without `ax` it makes a
# new figure, which a notebook shows below the cell; in a script, `plt.show()` does. What comes back can
# be changed: `ax.set_yscale("log")`, `ax.figure.savefig("picture.png")`.
# - Data are arrays of any library that nnx knows (NumPy, CuPy, PyTorch), or lists.
# - Curves differ in colour and in dashes or markers, so they can be told apart in print and with any kind
# of colour vision. Text and contours take the colour of the style in force:
# `plt.style.use("dark_background")` is enough for a dark ground.

# %%
import numpy as np
from matplotlib import pyplot as plt

import nnx

# %% [markdown]
# ## Activations
#
# [`activation`][nnx.plotting.activation] draws a function $g$ and its derivative $g'$, which nnx finds by
# itself. It takes a name, an object with options, or a function of yours.

# %%
# figure: Sigmoid, tanh, relu and leaky relu, each with its derivative, for z from -3 to 3.
figure, panels = plt.subplots(2, 2, figsize=(9.0, 6.0), layout="constrained")
leaky = nnx.activations.LeakyReLU(negative_slope=0.1)
for g, ax in zip(("sigmoid", "tanh", "relu", leaky), panels.flat, strict=True):
    nnx.plotting.activation(g, ax=ax)

# %% [markdown]
# The derivative of the sigmoid is at most 1/4, at $z = 0$; that of relu jumps from 0 to 1 there, and the
# gap stays open. The curves can be read back from the `Axes`:

# %%
slope = panels[0, 0].lines[1].get_ydata()
print(slope.max())
assert slope.max() == 0.25  # z = 0 is one of the points, and σ(0)(1 − σ(0)) is exact in binary

# %% [markdown]
# ## Learning curves
#
# [`learning_curves`][nnx.plotting.learning_curves] takes what `fit` returned, and the name of a quantity.
# If there was validation, its curve is dashed. With `ax` several quantities stand side by side.

# %%
x, y = nnx.datasets.spiral(600, n_classes=3, noise=0.15)
layers = [nnx.layers.Dense(32, "tanh", input_shape=(2,)), nnx.layers.Dense(32, "tanh")]
model = nnx.Sequential([*layers, nnx.layers.Dense(3, "softmax")], seed=1)
model.compile(nnx.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(x, y, batch_size=32, epochs=30, validation_split=0.25, verbose=0)

# %%
# figure: Loss and accuracy over 30 epochs, in training and in validation; the loss falls, the accuracy rises.
figure, panels = plt.subplots(1, 2, figsize=(10.0, 3.8), layout="constrained")
for metric, ax in zip(("loss", "accuracy"), panels, strict=True):
    nnx.plotting.learning_curves(history, metric, ax=ax)

# %% [markdown]
# A name that the history does not hold is an error that lists what it holds:

# %%
try:
    nnx.plotting.learning_curves(history, "precision")
except nnx.errors.OptionError as error:
    print(error)

# %% [markdown]
# ## Decision regions
#
# [`decision_regions`][nnx.plotting.decision_regions] asks a classifier of two inputs for the class at
# every point of the plane, and draws the samples over the regions. The classifier is a model, anything
# with a method `predict` (as in scikit-learn), or a function.

# %%
# figure: Three spiral arms of points, each on a region of its own colour; the borders follow the arms.
ax = nnx.plotting.decision_regions(model, x, y, labels=["first arm", "second arm", "third arm"])

# %% [markdown]
# ## Confusion matrix
#
# [`confusion_matrix`][nnx.plotting.confusion_matrix] counts how many samples of each class (row) were
# taken for which class (column). `normalize="true"` gives the shares of each row: on the diagonal stands
# the recall.

# %%
# figure: Confusion matrices of three classes, counts and shares, with nearly all samples on the diagonal.
figure, panels = plt.subplots(1, 2, figsize=(9.0, 3.8), layout="constrained")
outputs = model.predict(x)
nnx.plotting.confusion_matrix(y, outputs, ax=panels[0])
nnx.plotting.confusion_matrix(y, outputs, normalize="true", ax=panels[1])

counts = np.asarray(panels[0].images[0].get_array())
accuracy = model.evaluate(x, y, verbose=0)[1]
print(panels[0].get_title())
assert counts.sum() == 600
assert abs(np.trace(counts) / 600 - accuracy) < 1e-6  # evaluate adds up in single precision

# %% [markdown]
# ## Models
#
# [`plot_model`][nnx.plotting.plot_model] draws a model's graph: a box for each call of a layer, and lines
# to what reads its output. Inputs are green, layers with weights blue, outputs have a thick edge. It needs
# no program outside of Python. The example is a block of a residual network: what comes in is added to what
# two convolutions make of it, and a convolution of size 1 gives it the same shape first.

# %%
conv, norm, relu = nnx.layers.Conv2D, nnx.layers.BatchNormalization, nnx.layers.Activation
image = nnx.Input((32, 32, 16), name="image")
h = relu("relu")(norm()(conv(32, 3, strides=2, padding="same", use_bias=False)(image)))
h = norm()(conv(32, 3, padding="same", use_bias=False)(h))
way_past = norm()(conv(32, 1, strides=2, use_bias=False)(image))
block = nnx.Model(image, relu("relu")(nnx.layers.Add()([h, way_past])))

# %%
# figure: From the image two columns of boxes go down, five layers and two, and meet in Add; relu follows.
ax = nnx.plotting.plot_model(block, show_shapes=True, show_layer_activations=True)

# %% [markdown]
# `rankdir="LR"` draws from the left to the right, `to_file="model.svg"` writes the picture to a file as
# well. A layer that is called twice has two boxes, which say so; with `show_layer_names` they bear the same
# name. Of a layer with several outputs `show_shapes` lists all shapes.

# %%
# figure: Two inputs through one embedding, drawn as two boxes, each to an LSTM; they join, with two outputs.
title, body = nnx.Input((10,), name="title"), nnx.Input((200,), name="body")
embedding = nnx.layers.Embedding(5000, 16, name="words")
texts = [nnx.layers.LSTM(16)(embedding(text)) for text in (title, body)]
joined = nnx.layers.Concatenate()(texts)
urgent = nnx.layers.Dense(1, "sigmoid", name="urgent")(joined)
topic = nnx.layers.Dense(4, "softmax", name="topic")(joined)
tickets = nnx.Model([title, body], [urgent, topic])
ax = nnx.plotting.plot_model(tickets, show_shapes=True, show_layer_names=True, rankdir="LR")

written = [text.get_text() for text in ax.texts]
assert written.count("words") == 2
assert "call 2 of 2" in written

# %% [markdown]
# ## Gradients, layer by layer
#
# [`gradient_norms`][nnx.plotting.gradient_norms] draws the norm of the cost's gradient by the weights of
# each layer. In a deep network of sigmoids it shrinks from layer to layer on the way back to the input:
# every layer multiplies it by derivatives of at most 1/4. With tanh it shrinks far less.

# %%
# figure: Gradient norms of ten layers, log scale: falling steeply to the input with sigmoid, level with tanh.
figure, ax = plt.subplots(figsize=(7.5, 4.0), layout="constrained")
norms = {}
for g in ("sigmoid", "tanh"):
    hidden = [nnx.layers.Dense(20, g) for _ in range(8)]
    deep = nnx.Sequential(
        [nnx.layers.Dense(20, g, input_shape=(2,)), *hidden, nnx.layers.Dense(3, "softmax")], seed=2
    )
    deep.compile("sgd", "sparse_categorical_crossentropy")
    nnx.plotting.gradient_norms(deep, x, y, label=g, ax=ax)
    norms[g] = ax.lines[-1].get_ydata()

shrinks = {g: n[-1] / n[0] for g, n in norms.items()}
print({g: f"{ratio:.1e}" for g, ratio in shrinks.items()})
# Seen were 9e5 and 1: the bounds leave a factor of nine.
assert shrinks["sigmoid"] > 1e5
assert shrinks["tanh"] < 9.0

# %% [markdown]
# ## Contours
#
# [`contours`][nnx.plotting.contours] draws a function of two variables, in the form in which
# [`nnx.minimize`][nnx.minimize] takes it. Where evenly spaced levels would leave the valley blank, as for
# the functions of Beale and Rosenbrock, the levels are spaced logarithmically.


# %%
def beale(w):
    a, b = w[0], w[1]
    return (1.5 - a + a * b) ** 2 + (2.25 - a + a * b**2) ** 2 + (2.625 - a + a * b**3) ** 2


def rosenbrock(w):
    return (1.0 - w[0]) ** 2 + 100.0 * (w[1] - w[0] ** 2) ** 2


def saddle(w):
    return w[0] ** 2 - w[1] ** 2


# %%
# figure: Contour lines of Beale's function, of Rosenbrock's curved valley, and of a saddle at the origin.
figure, panels = plt.subplots(1, 3, figsize=(12.5, 4.0), layout="constrained")
nnx.plotting.contours(beale, ((-4.5, 4.5), (-4.5, 4.5)), minima=[(3.0, 0.5)], ax=panels[0])
nnx.plotting.contours(rosenbrock, ((-2.0, 2.0), (-1.0, 3.0)), minima=[(1.0, 1.0)], ax=panels[1])
nnx.plotting.contours(saddle, ((-1.5, 1.5), (-1.5, 1.5)), ax=panels[2])
for ax, name in zip(panels, ("Beale", "Rosenbrock", "saddle"), strict=True):
    ax.set_title(name)

# %% [markdown]
# ## A race of optimizers
#
# [`race`][nnx.plotting.race] lets optimizers run from one start, by their own steps, and draws their
# paths. Methods that look for the length of each step themselves may take part.

# %%
# figure: Five paths over Beale's contours: BFGS is at the minimum, momentum swings wide, SGD is far behind.
rules = {
    "SGD": nnx.optimizers.SGD(0.002),
    "momentum": nnx.optimizers.SGD(0.002, momentum=0.9),
    "RMSprop": nnx.optimizers.RMSprop(0.03),
    "Adam": nnx.optimizers.Adam(0.1),
    "BFGS": "bfgs",
}
limits = ((-0.5, 4.0), (-1.7, 2.0))
ax = nnx.plotting.race(beale, [1.0, 1.5], rules, steps=100, limits=limits, minima=[(3.0, 0.5)])

# %% [markdown]
# The ends of the paths are in the lines of the `Axes`. BFGS has converged, to the accuracy with which the
# minimum of a function can be found in double precision:

# %%
ends = {line.get_label(): line.get_xydata()[-1] for line in ax.lines}
for label, end in ends.items():
    print(f"{label:10s} {end.round(3)}  f = {beale(end):.1e}")
# f is a sum of squares, zero at the minimum: nothing but rounding of its terms is left.
assert beale(ends["BFGS"]) < 1e-20
assert beale(ends["momentum"]) < beale(ends["SGD"])

# %% [markdown]
# [`race_animation`][nnx.plotting.race_animation] is the same race as a film, which
# `animation.save("race.gif", writer="pillow")` writes to a file. The page on [the lectures'
# animations](lecture_animations.md) does so.
#
# ## A fit and its confidence band
#
# [`fit`][nnx.plotting.fit] draws data, the curve that [`nnx.curve_fit`][nnx.curve_fit] has found, and the
# band
#
# $$
# f(x, \hat p) \pm t \sqrt{J(x)\, C\, J(x)^\top}, \qquad J(x) = \frac{\partial f(x, p)}{\partial p}
# $$
#
# by the delta method: $C$ is the covariance of the parameters, $J$ comes from automatic differentiation,
# and $t$ is the quantile of Student's distribution with $m - n$ degrees of freedom. At each $x$ it holds
# the true curve with the given probability, as far as $f$ is nearly linear over the uncertainty of $p$.
# It is no band for new data, whose own scatter is larger.


# %%
def decay(t, a, b, c):
    return a * np.exp(-b * t) + c


rng = np.random.default_rng(0)
t = np.linspace(0.0, 5.0, 25)
data = decay(t, 2.5, 1.3, 0.5) + 0.15 * rng.standard_normal(t.size)
popt, pcov = nnx.curve_fit(decay, t, data)

# %%
# figure: Noisy data that decay from 3 to 0.5, the fitted exponential, and a band, widest at t = 0.
ax = nnx.plotting.fit(decay, popt, pcov, t, data)

# %% [markdown]
# At $t = 0$ the curve is $a + c$, so its variance is $C_{aa} + 2C_{ac} + C_{cc}$. With 22 degrees of
# freedom the quantile of 95 % is 2.0739 (from a table), and the band there has the half width that
# follows:

# %%
band = ax.collections[0].get_paths()[0].vertices
at_zero = band[band[:, 0] == 0.0, 1]
half = (at_zero.max() - at_zero.min()) / 2.0
expected = 2.0739 * np.sqrt(pcov[0, 0] + 2.0 * pcov[0, 2] + pcov[2, 2])
print(f"{half:.4f} {expected:.4f}")
assert abs(half - expected) < 1e-4 * expected  # the quantile has five digits

# %% [markdown]
# ## Regression plot and error histogram
#
# Users of MATLAB know both: [`regression`][nnx.plotting.regression] is its `plotregression`, with the
# line of least squares through outputs over targets, and
# [`error_histogram`][nnx.plotting.error_histogram] its `ploterrhist`. The errors are targets minus
# outputs, as in MATLAB. With dicts the bars of several sets are stacked.

# %%
x, y = nnx.datasets.sinc(200, noise=0.05, dtype="float64")
y = y[:, 0]
train, test = slice(0, 140), slice(140, 200)
net = nnx.Sequential(
    [nnx.layers.Dense(10, "tanh", input_shape=(1,)), nnx.layers.Dense(1)], dtype="float64", seed=1
)
net.compile("levenberg_marquardt", "mse")
net.fit(x[train], y[train], epochs=60, verbose=0)
outputs = net.predict(x)[:, 0]

# %%
# figure: Outputs over targets close to the line Y = T; stacked bars of the errors of training and test.
figure, panels = plt.subplots(1, 2, figsize=(11.0, 4.4), layout="constrained")
nnx.plotting.regression(y[test], outputs[test], ax=panels[0])
nnx.plotting.error_histogram(
    {"training": y[train], "test": y[test]},
    {"training": outputs[train], "test": outputs[test]},
    ax=panels[1],
)

r = float(panels[0].get_title().removeprefix("R = "))
print(panels[0].get_title(), "|", panels[0].get_ylabel())
assert abs(r - np.corrcoef(y[test], outputs[test])[0, 1]) < 1e-5  # the title has five digits
