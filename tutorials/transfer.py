# %% [markdown]
# # Transfer: a trained network as features
#
# A network that was trained on many pictures has learned kernels that other pictures need as well. With few
# pictures of a new kind one keeps these weights fixed, takes what the network makes of a picture as features,
# and trains a small layer on top. [`nnx.applications`][nnx.applications] has the thirteen networks of the
# lectures' table for it.
#
# Their published weights are files that Keras offers; with one of them on disk,
# `nnx.applications.MobileNetV2(weights="mobilenet_v2_weights.h5", include_top=False)` is the place to start.
# This page must run without them. So it trains a small network on clothes (Fashion-MNIST), and moves it on to
# digits (MNIST), of which it shows it 200 only.

# %%
import matplotlib.pyplot as plt
import numpy as np

import nnx
from nnx.datasets import fashion_mnist, mnist
from nnx.layers import BatchNormalization, Conv2D, Dense, GlobalAveragePooling2D, MaxPooling2D

(clothes, kinds), _ = fashion_mnist.load_data()
(digits, labels), (test_digits, test_labels) = mnist.load_data()


def as_input(pictures):
    return pictures[:, :, :, None].astype("float32") / 255


# %% [markdown]
# ## The base, trained on clothes

# %%
inputs = nnx.Input((28, 28, 1), name="picture")
h = inputs
for width in (16, 32, 64):
    h = Conv2D(width, 3, padding="same", activation="relu", use_bias=False)(h)
    h = BatchNormalization()(h)
    h = MaxPooling2D(2)(h)
base = nnx.Model(inputs, h, name="base", seed=0)
on_clothes = nnx.Model(inputs, Dense(10, "softmax")(GlobalAveragePooling2D()(base(inputs))), seed=0)
on_clothes.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
history = on_clothes.fit(as_input(clothes[:10_000]), kinds[:10_000], batch_size=64, epochs=3, verbose=0)
print(f"accuracy on the clothes it was trained on: {history.history['accuracy'][-1]:.3f}")
assert history.history["accuracy"][-1] > 0.8

# %% [markdown]
# ## Frozen, as features
#
# A model called on a symbol becomes a part of the new model, as copies of its layers with copies of its
# weights. With `trainable = False` they stay as they are: their weights are not trained, and batch
# normalization keeps its running averages. The sub-model up to the last pooling is read off the trained
# model.


# %%
def with_head(body, seed):
    """A classifier of digits on what a body makes of a picture."""
    picture = nnx.Input((28, 28, 1))
    features = GlobalAveragePooling2D()(body(picture, training=False))
    model = nnx.Model(picture, Dense(10, "softmax", name="head")(features), seed=seed)
    model.compile(nnx.optimizers.Adam(1e-2), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


last = [layer for layer in on_clothes.layers if isinstance(layer, MaxPooling2D)][-1]
trained = nnx.Model(on_clothes.inputs, last.output, name="trained")
trained.trainable = False
frozen = with_head(trained, seed=1)
frozen.summary()

# %%
few, few_labels = as_input(digits[:200]), labels[:200]
test, expected = as_input(test_digits[:2000]), test_labels[:2000]
before = [w.copy() for w in frozen.layers[1].get_weights()]
frozen.fit(few, few_labels, batch_size=32, epochs=60, verbose=0)
assert all(np.array_equal(a, b) for a, b in zip(before, frozen.layers[1].get_weights(), strict=True))
print(f"frozen base: test accuracy {frozen.evaluate(test, expected, verbose=0)[1]:.3f}")

# %% [markdown]
# ## Beside a base that was never trained, and one that is trained with the head
#
# The same three networks, each from several seeds: features of random kernels, the frozen base, and
# everything trained from random weights on the 200 digits.

# %%
results = {"random features": [], "frozen base": [], "all from scratch": []}
for seed in range(3):
    untrained = nnx.models.clone_model(trained)
    untrained.trainable = False
    scratch = nnx.models.clone_model(trained)
    scratch.trainable = True
    for name, body in (
        ("random features", untrained),
        ("frozen base", trained),
        ("all from scratch", scratch),
    ):
        model = with_head(body, seed)
        model.fit(few, few_labels, batch_size=32, epochs=60, verbose=0)
        results[name].append(model.evaluate(test, expected, verbose=0)[1])
for name, found in results.items():
    print(f"{name:18}", [round(a, 3) for a in found])
medians = {name: float(np.median(found)) for name, found in results.items()}
assert medians["frozen base"] > medians["random features"]

# %%
# figure: Test accuracy with 200 digits: for random features, the frozen base, and training from scratch
fig, ax = plt.subplots(figsize=(6, 2.6), layout="constrained")
ax.barh(list(medians), list(medians.values()))
ax.set(xlabel="test accuracy (median of three)", xlim=(0, 1))
ax.invert_yaxis()

# %% [markdown]
# ## Fine tuning
#
# Once the head is trained, the base may move as well, in small steps: a large one would spoil it before the
# head is any good.

# %%
for layer in frozen.layers:
    layer.trainable = not isinstance(layer, BatchNormalization)
frozen.compile(nnx.optimizers.Adam(3e-4), "sparse_categorical_crossentropy", metrics=["accuracy"])
frozen.fit(few, few_labels, batch_size=32, epochs=20, verbose=0)
print(f"after fine tuning: test accuracy {frozen.evaluate(test, expected, verbose=0)[1]:.3f}")

# %% [markdown]
# Next: [Normalization](../derivations/batch_normalization.md) explains why batch normalization stays frozen
# while one fine-tunes on few pictures: its averages would move to those of 200 digits.
