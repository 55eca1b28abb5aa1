# %% [markdown]
# # A convolutional network for MNIST
#
# A dense network does not know that pixels have neighbours: permute all pixels of all pictures alike, and it
# learns just as well. A convolution looks at small windows, with the same few weights everywhere. On digits
# that is worth many of the remaining errors: a larger network of this kind reached 99.2 % in six epochs on
# all 60,000 digits (the median of three runs), where the [dense one](mnist.md) reaches 98.1 % in ten. To stay
# near a minute on two cores, this page trains on 12,000 digits.

# %%
import matplotlib.pyplot as plt
import numpy as np

import nnx
import nnx.plotting
from nnx.datasets import mnist
from nnx.layers import Conv2D, Dense, Dropout, Flatten, MaxPooling2D

# %% [markdown]
# ## The network
#
# Pictures have the shape (height, width, channels), channels last; grey ones have one channel.

# %%
(pictures, digits), (test_pictures, test_digits) = mnist.load_data()
x_train, y_train = pictures[:12_000, :, :, None].astype("float32") / 255, digits[:12_000]
x_test, y_test = test_pictures[:, :, :, None].astype("float32") / 255, test_digits

model = nnx.Sequential(
    [
        nnx.Input((28, 28, 1)),
        Conv2D(16, 3, activation="relu", name="edges"),
        Conv2D(32, 3, activation="relu", name="parts"),
        MaxPooling2D(2),
        Dropout(0.25),
        Flatten(),
        Dense(64, "relu"),
        Dropout(0.5),
        Dense(10, "softmax"),
    ],
    seed=1,
)
model.summary()

# %% [markdown]
# The first layer has 16 kernels of 3×3 weights and 16 biases: 160 numbers, whatever the size of the picture.
# The second has $3 \cdot 3 \cdot 16 \cdot 32 + 32 = 4640$. Without padding each takes a border of one pixel
# away. Pooling keeps the largest of each 2×2 window: a quarter of the numbers, and a picture moved by one
# pixel changes little. Nearly all weights are in the first dense layer.

# %%
assert model.get_layer("edges").count_params() == 3 * 3 * 1 * 16 + 16
assert model.get_layer("parts").count_params() == 3 * 3 * 16 * 32 + 32
assert model.get_layer("parts").output_shape == (None, 24, 24, 32)

# %% [markdown]
# ## Training

# %%
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(x_train, y_train, batch_size=64, epochs=3, verbose=0)
loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
print(f"test accuracy {accuracy:.4f} after {len(history.epoch)} epochs on {len(x_train)} digits")
assert accuracy > 0.965

# %% [markdown]
# A dense network of about as many weights, on the same data:

# %%
dense = nnx.Sequential(
    [nnx.Input((28, 28, 1)), Flatten(), Dense(350, "relu"), Dropout(0.2), Dense(10, "softmax")], seed=1
)
dense.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
dense.fit(x_train, y_train, batch_size=64, epochs=3, verbose=0)
dense_accuracy = dense.evaluate(x_test, y_test, verbose=0)[1]
print(
    f"dense, {dense.count_params():,} weights: test accuracy {dense_accuracy:.4f}; "
    f"convolutions, {model.count_params():,}: {accuracy:.4f}"
)
assert accuracy > dense_accuracy + 0.01

# %% [markdown]
# ## What it looks at
#
# A model's layers can be read off as a model: from its input to any layer's output. What the first layers
# make of a digit:

# %%
# figure: A digit, and what four kernels of the first and of the second convolution make of it
features = nnx.Model(model.inputs, [model.get_layer("edges").output, model.get_layer("parts").output])
edges, parts = features.predict(x_test[:1])
fig, axes = plt.subplots(2, 5, figsize=(9, 3.8), layout="constrained")
for row, (name, maps) in enumerate((("edges", edges), ("parts", parts))):
    axes[row, 0].imshow(x_test[0, :, :, 0], cmap="gray_r")
    axes[row, 0].set(ylabel=name)
    strongest = np.argsort(-maps[0].sum(axis=(0, 1)))[:4]
    for ax, k in zip(axes[row, 1:], strongest, strict=True):
        ax.imshow(maps[0, :, :, k], cmap="gray_r")
        ax.set(title=f"kernel {k}")
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])

# %% [markdown]
# ## Moved pictures
#
# The weights are the same everywhere, so a moved picture gives moved feature maps. (The dense layers above
# them do know places, so the network as a whole is not indifferent to a move.)

# %%
moved = np.roll(x_test[:1], 2, axis=2)
first = features.predict(x_test[:1])[0]
again = features.predict(moved)[0]
difference = np.abs(first[:, :, 2:-4] - again[:, :, 4:-2]).max()
print("largest difference between moved feature maps:", difference)
assert difference < 1e-6  # float32

# %% [markdown]
# ## More pictures from the same ones
#
# Digits that are turned and moved a little are the same digits. Layers that do so in training, and nothing in
# prediction, give the network a new picture in every step.

# %%
# figure: One digit eight times, each time moved, turned and scaled a little differently
augment = nnx.Sequential(
    [
        nnx.Input((28, 28, 1)),
        nnx.layers.RandomTranslation(0.1, 0.1, fill_mode="constant"),
        nnx.layers.RandomRotation(0.04, fill_mode="constant"),
        nnx.layers.RandomZoom(0.1, fill_mode="constant"),
    ],
    seed=3,
)
several = np.asarray(augment(np.repeat(x_test[2:3], 8, axis=0), training=True))
fig, axes = plt.subplots(1, 8, figsize=(10, 1.5))
for ax, picture in zip(axes, several, strict=True):
    ax.imshow(picture[:, :, 0], cmap="gray_r")
    ax.set(xticks=[], yticks=[])
assert np.array_equal(augment.predict(x_test[2:3]), x_test[2:3])

# %% [markdown]
# ## The full run
#
# `python benchmarks/accuracy.py mnist` trains the network with 32 and 64 kernels and 128 neurons on all
# 60,000 digits.
#
# How a convolution is computed and differentiated: [Convolution](../derivations/convolution.md). Next:
# [Transfer](transfer.md).
