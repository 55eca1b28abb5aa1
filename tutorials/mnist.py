# %% [markdown]
# # Handwritten digits: MNIST
#
# The lectures train three networks on the 70,000 digits of MNIST. In full that takes 10, 5 and 10 epochs, the
# last of them with 12 million weights. This page is to run in about a minute on two cores, so it trains the
# first two networks for 3 epochs on all digits and the third for 80 steps, and asserts what they reach in
# that time. What the full runs reach is in a table at the end of each section.

# %%
import matplotlib.pyplot as plt
import numpy as np

import nnx
import nnx.plotting
from nnx.datasets import mnist
from nnx.layers import Dense, Dropout

# %% [markdown]
# ## The data
#
# [`nnx.datasets.mnist.load_data`][nnx.datasets.mnist.load_data] gives 60,000 digits for training and 10,000
# for the test, from the folder that `NNX_DATA_DIR` names, or from the web (11.6 MB, kept for the next time).

# %%
(pictures, digits), (test_pictures, test_digits) = mnist.load_data()
print(pictures.shape, pictures.dtype, test_pictures.shape)
assert pictures.shape == (60000, 28, 28)
assert test_pictures.shape == (10000, 28, 28)

# %%
# figure: The first seven digits of the training set: 5 0 4 1 9 2 1
fig, axes = plt.subplots(1, 7, figsize=(9, 1.7))
for ax, picture, digit in zip(axes, pictures, digits, strict=False):
    ax.imshow(picture, cmap="gray_r")
    ax.set(title=int(digit), xticks=[], yticks=[])
assert digits[:7].tolist() == [5, 0, 4, 1, 9, 2, 1]

# %% [markdown]
# A dense network takes rows of numbers. So a picture becomes a row of $28 \cdot 28 = 784$ grey values,
# divided by 255 to lie between 0 and 1, and a digit becomes a one-hot row of ten.

# %%
x_train = pictures.reshape(60000, 784).astype("float32") / 255
x_test = test_pictures.reshape(10000, 784).astype("float32") / 255
y_train = nnx.utils.to_categorical(digits, 10)
y_test = nnx.utils.to_categorical(test_digits, 10)
print(x_train.shape, y_train.shape, y_train[0])
assert y_train[0].argmax() == 5
assert (x_train.min(), x_train.max()) == (0.0, 1.0)

# %% [markdown]
# ## With dropout
#
# Two layers of 512 relu neurons, each followed by dropout: in training every activation is set to 0 with
# probability 0.2 and the others are divided by 0.8, anew in every step. No neuron can rely on another one
# being there, which works against overfitting. In prediction nothing is dropped. The last layer is softmax
# over the ten digits, the cost the cross-entropy, and the rule is [`RMSprop`][nnx.optimizers.RMSprop].

# %%


def network(dropout):
    model = nnx.Sequential(seed=0)
    model.add(Dense(512, activation="relu", input_shape=(784,)))
    if dropout:
        model.add(Dropout(dropout))
    model.add(Dense(512, activation="relu"))
    if dropout:
        model.add(Dropout(dropout))
    model.add(Dense(10, activation="softmax"))
    model.compile(loss="categorical_crossentropy", optimizer=nnx.optimizers.RMSprop(), metrics=["accuracy"])
    return model


with_dropout = network(0.2)
with_dropout.summary()
assert with_dropout.count_params() == 669_706

# %%
history = with_dropout.fit(
    x_train, y_train, batch_size=128, epochs=3, verbose=2, validation_data=(x_test, y_test)
)
loss, accuracy = with_dropout.evaluate(x_test, y_test, verbose=0)
print(f"Test loss: {loss:.4f}, test accuracy: {accuracy:.4f}")
assert accuracy > 0.95  # seeds 0 to 6 gave 0.972 to 0.981, single epochs before the third 0.958

# %% [markdown]
# | 784-512-512-10, dropout 0.2, 10 epochs | parameters | test accuracy |
# |---|---|---|
# | the lectures (Keras), test loss 0.0758 | 669,706 | 0.9810 |
# | nnx, median of three seeds | 669,706 | 0.9838 |
#
# The second row was measured with `python benchmarks/mnist_mlp.py --epochs 10 --seed 0` (and 1, 2).
#
# ## Without dropout
#
# The same network without the two dropout layers. Dropout has no weights, so the number of parameters stays.

# %%
without = network(0.0)
assert without.count_params() == 669_706
plain = without.fit(x_train, y_train, batch_size=128, epochs=3, verbose=2, validation_data=(x_test, y_test))
loss, accuracy = without.evaluate(x_test, y_test, verbose=0)
print(f"Test loss: {loss:.4f}, test accuracy: {accuracy:.4f}")
assert accuracy > 0.95  # seeds 0 to 6 gave 0.976 to 0.982, single epochs before the third 0.952

# %%
# figure: Loss and accuracy over three epochs, with dropout (above) and without (below)
fig, axes = plt.subplots(2, 2, figsize=(9, 6.4), sharey="col", layout="constrained")
for row, name, record in zip(axes, ("with dropout", "without dropout"), (history, plain), strict=True):
    for ax, metric in zip(row, ("loss", "accuracy"), strict=True):
        nnx.plotting.learning_curves(record, metric, ax=ax)
        ax.set_title(f"{metric}, {name}")

# %% [markdown]
# Compare the two curves of one panel. A training loss is the mean over the epoch, while the weights still
# change. Without dropout that of the third epoch lies well below the test loss: the network has begun to
# learn its training digits by heart. With dropout the training loss is measured on the thinned network, which
# makes it larger, and the two stay close.

# %%
gap_with = history.history["val_loss"][-1] - history.history["loss"][-1]
gap_without = plain.history["val_loss"][-1] - plain.history["loss"][-1]
print(f"test loss − training loss: with dropout {gap_with:+.4f}, without {gap_without:+.4f}")
assert plain.history["loss"][-1] < 0.85 * history.history["loss"][-1]  # 0.71 here
assert gap_without > 0.0

# %% [markdown]
# | 784-512-512-10, no dropout, 5 epochs | test accuracy |
# |---|---|
# | the lectures (Keras) | 0.9801 |
# | nnx, median of three seeds (`--no-dropout --epochs 5`) | 0.9802 |
#
# After so few epochs the two networks hardly differ on the test digits; dropout pays in longer training.
#
# ## What it gets wrong
#
# The confusion matrix has a row for each digit and a column for each answer. Off the diagonal are the
# mistakes.

# %%
# figure: Confusion matrix of the ten digits: nearly all counts on the diagonal
answers = nnx.to_numpy(with_dropout.predict(x_test, verbose=0)).argmax(axis=1)
fig, ax = plt.subplots(figsize=(6, 5.4))
ax = nnx.plotting.confusion_matrix(test_digits, answers, labels=[str(k) for k in range(10)], ax=ax)

# %%
# figure: Ten of the test digits that were mistaken, each with its label and the network's answer
wrong = np.flatnonzero(answers != test_digits)
fig, axes = plt.subplots(1, 10, figsize=(9, 1.5))
for ax, k in zip(axes, wrong, strict=False):
    ax.imshow(test_pictures[k], cmap="gray_r")
    ax.set(xticks=[], yticks=[])
    ax.set_title(f"{test_digits[k]}, not {answers[k]}", fontsize=8)
print(f"{len(wrong)} of {len(test_digits)} are wrong")
assert abs(len(wrong) / 10000 - (1.0 - with_dropout.evaluate(x_test, y_test, verbose=0)[1])) < 1e-6

# %% [markdown]
# ## A deep network of tanh
#
# The lectures' third network has five hidden layers of tanh, 2500-2000-1500-1000-500, and 18 times as many
# weights. An epoch took 130 s in the notes. Here we build it, count its weights, and make 80 steps on the
# first 10,240 digits, a sixth of an epoch.

# %%
deep = nnx.Sequential(seed=0)
for k, units in enumerate((2500, 2000, 1500, 1000, 500)):
    deep.add(Dense(units, activation="tanh", input_shape=(784,) if k == 0 else None))
deep.add(Dense(10, activation="softmax"))
deep.compile(loss="categorical_crossentropy", optimizer=nnx.optimizers.RMSprop(), metrics=["accuracy"])
deep.summary()
assert deep.count_params() == 11_972_510

# %%
losses = []
for start in range(0, 80 * 128, 128):
    batch = slice(start, start + 128)
    losses.append(deep.train_on_batch(x_train[batch], y_train[batch])[0])
loss, accuracy = deep.evaluate(x_test[:2000], y_test[:2000], verbose=0)
print(f"after {len(losses)} steps: loss {loss:.3f}, accuracy {accuracy:.3f} on 2000 test digits")
assert accuracy > 0.3  # guessing gives 0.1; the run wavers, as the figure shows (0.69 here)

# %%
# figure: Loss of the batch in each of the 80 steps: above the 2.3 of guessing at first, then below 1
fig, ax = plt.subplots(figsize=(6.5, 3.4))
ax.plot(range(1, len(losses) + 1), losses)
ax.axhline(np.log(10.0), color="k", ls=":", label="guessing, log 10")
ax.set(xlabel="step", ylabel="loss of the batch")
ax.legend()
ax.grid(alpha=0.3)
assert max(losses[1:20]) > np.log(10.0) > np.mean(losses[-10:])

# %% [markdown]
# At first it does worse than guessing. The reason is the rule: in RMSprop's first step $s = 0.1 \, g^2$, so
# every weight moves by $\eta / \sqrt{0.1} \approx 0.003$, however small its gradient. A neuron of the second
# layer has 2500 inputs, and all their weights move at once. A smaller learning rate at the start helps
# ([schedules](schedules_and_stopping.md)); the lectures use the default, and so does this page.
#
# | 2500-2000-1500-1000-500-10, tanh, 10 epochs | parameters | test accuracy |
# |---|---|---|
# | the lectures (Keras) | 11,972,510 | 0.9698 |
# | nnx, median of three seeds (`--deep --epochs 10`) | 11,972,510 | 0.9733 |
#
# With 18 times the weights it does worse than the network with two layers. More layers alone do not help: the
# gradient has a longer way back ([Vanishing gradients](vanishing_gradients.md)), and a picture's neighbouring
# pixels mean nothing to a dense layer.
#
# Next: [Activation functions](activation_functions.md).
