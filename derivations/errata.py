# %% [markdown]
# # Errata to the lectures
#
# The site follows four documents, called here by short names:
#
# - **N10**: notebook "10. Sieci neuronowe – propagacja wsteczna" (neural networks: backpropagation);
# - **N11**: notebook "11. Wielowarstwowe sieci neuronowe w praktyce" (multilayer networks in practice);
# - **S**: slides "Uczenie sieci neuronowych" (training of neural networks);
# - **C**: slides "Jak zefektivnit učení NN" (how to make the learning of networks more efficient).
#
# Each section says where, what is printed, what is right, and shows it by a computation. "Loose" marks what
# is not wrong but says too much, too little, or something else than meant. Slips of the pen stand [at the
# end](#slips-of-the-pen). [The index](../lecture_index.md) leads from the lectures' sections to the pages of
# this site.

# %%
import math
import time
from itertools import pairwise

import numpy as np

import nnx
from nnx.layers import Dense, Dropout

rng = np.random.default_rng(0)
sigmoid = nnx.activations.sigmoid

# %% [markdown]
# ## The gradient of a maximum
#
# - *Where:* N10, section 10.1, "Gradient – przykłady".
# - *Printed:* $f(x_1, x_2) = \max(x_1 + x_2)$ with $\nabla f = ([x \ge y], [y \ge x])$, where $[\cdot]$ is 1
#   if it holds, else 0 (the notebook writes a double-struck 1).
# - *Right:* $\max(x_1, x_2)$, and $x_1, x_2$ in place of $x, y$. At $x_1 = x_2$ there is no gradient. The
#   printed $(1, 1)$ is not even a subgradient: those are $(\lambda, 1 - \lambda)$, $0 \le \lambda \le 1$. nnx
#   takes $\lambda = \tfrac12$.

# %%
tie = np.asarray([1.0, 1.0])
d = np.asarray([1.0, 1.0])
along = (np.max(tie + 1e-6 * d) - np.max(tie)) / 1e-6  # how fast the maximum really grows along (1, 1)
print(
    "along (1, 1):",
    along,
    " printed gradient says",
    np.asarray([1.0, 1.0]) @ d,
    " nnx",
    nnx.grad(np.max)(tie) @ d,
)
assert abs(along - 1.0) < 1e-9 and nnx.grad(np.max)(tie).tolist() == [0.5, 0.5]
assert nnx.grad(np.max)(np.asarray([3.0, 2.0])).tolist() == [1.0, 0.0]

# %% [markdown]
# ## BP1 and softmax
#
# - *Where:* N10, section 10.2, "(BP1)"; section 10.1 prescribes softmax for classification.
# - *Printed:* $\delta^{(L)} = \nabla_{a} J \odot g'(z^{(L)})$ for every network.
# - *Right (loose):* this holds where $a_j$ depends on $z_j$ alone. For softmax the product is with the whole
#   Jacobian, and with cross-entropy $\delta^{(L)} = a^{(L)} - y$ ([derivation](softmax_crossentropy.md)).

# %%
z, y = np.asarray([0.3, -0.2, 0.5]), np.asarray([0.0, 1.0, 0.0])
a = nnx.activations.softmax(z)
delta = nnx.grad(lambda z: -np.sum(y * np.log(nnx.activations.softmax(z))))(z)
entry_by_entry = -y / a * (a * (1 - a))
print("printed", entry_by_entry, " right", delta)
assert np.allclose(delta, a - y, rtol=0, atol=1e-15) and np.max(abs(entry_by_entry - delta)) > 0.4

# %% [markdown]
# ## BP2 mixes two conventions
#
# - *Where:* N10, section 10.2, "Podstawowe równania" and "(BP2)".
# - *Printed:* $\delta^{l} = ((\Theta^{l+1})^\top \delta^{l+1}) \odot g'(z^l)$, for columns, in a text with
#   rows and $\Theta$ of shape (in, out).
# - *Right:* $\delta^{l} = (\delta^{l+1} (\Theta^{l+1})^\top) \odot g'(z^l)$, as the algorithm further down in
#   the notebook has it. With this $\Theta$ even columns would need $\Theta\,\delta$: the printed product does
#   not fit. It is a matrix, not a "vector", of weights that is transposed, and the result is a vector, not a
#   "matrix".

# %%
theta, delta_above = rng.normal(size=(4, 3)), rng.normal(size=3)
print("delta @ Θᵀ:", (delta_above @ theta.T).shape, " needed: (4,)")
try:
    print((theta.T @ delta_above).shape)
except ValueError as error:
    print("Θᵀ @ delta:", error)
else:
    raise AssertionError("the printed product fits")

# %% [markdown]
# ## BP3 names the wrong gradient
#
# - *Where:* N10, section 10.2, "(BP3)".
# - *Printed:* "the error in layer $l$ is equal to the value of the gradient of the cost function".
# - *Right (loose):* it is the gradient by the **biases** of that layer, as the formula says, of **one**
#   sample. For a batch the rows of $\delta$ are added up.

# %%
x = rng.normal(size=(5, 4))
beta = np.zeros(3)
of_z = nnx.grad(lambda z: np.sum(np.tanh(z) ** 2))(x @ theta + beta)
of_beta = nnx.grad(lambda beta: np.sum(np.tanh(x @ theta + beta) ** 2))(beta)
print(of_z.shape, of_beta.shape)
assert np.allclose(of_beta, of_z.sum(axis=0), rtol=0, atol=1e-14)

# %% [markdown]
# ## BP4: an outer product
#
# - *Where:* N10, section 10.2, "(BP4)".
# - *Printed:* $\nabla_{\Theta^l} J = a^{l-1} \odot \delta^l$, "the product by coordinates".
# - *Right:* $\partial J/\partial \Theta_{ij} = a_i \delta_j$: the outer product $a^{l-1\,\top} \delta^l$. The
#   vectors have different lengths; where the lengths agree, $\odot$ gives the diagonal only.

# %%
of_theta = nnx.grad(lambda theta: np.sum(np.tanh(x @ theta + beta) ** 2))(theta)
assert np.allclose(of_theta, x.T @ of_z, rtol=0, atol=1e-13)
try:
    print(x[0] * of_z[0])
except ValueError as error:
    print("a ⊙ δ:", error)
else:
    raise AssertionError("the printed product fits")

# %% [markdown]
# ## A regression network that ends in tanh
#
# - *Where:* N10, section 10.2, $h_\Theta(x)$ and "cost function for regression".
# - *Printed:* $h_\Theta(x) = \tanh(\dots \tanh(\dots) + \beta^{(3)})$ with a squared error.
# - *Right (loose):* such a network answers within $(-1, 1)$. Either the targets are scaled into that
#   interval, or the output is linear, as section 10.1 says.

# %%
ramp = np.linspace(-2.0, 2.0, 21)[:, None]
for last in ("tanh", "linear"):
    model = nnx.Sequential([Dense(5, "tanh", input_shape=(1,)), Dense(1, last)], dtype="float64", seed=0)
    model.compile("levenberg_marquardt", "mse")
    model.fit(ramp, ramp, epochs=50, verbose=0)
    print(f"{last:7} mean squared error of y = x on [−2, 2]: {model.evaluate(ramp, ramp, verbose=0):.1e}")
    largest = abs(model.predict(ramp, verbose=0)).max()
    assert largest <= 1.0 if last == "tanh" else largest > 1.9
least = np.mean(np.maximum(abs(ramp) - 1.0, 0.0) ** 2)
print("least possible with outputs in [−1, 1]:", least)

# %% [markdown]
# ## The printed result of the MNIST run
#
# - *Where:* N10, section 10.3, MNIST with dropout.
# - *Printed:* ten epochs that end with test loss 0.0958 and accuracy 0.9812 (cell 12); below them "Test loss:
#   0.0758, Test accuracy: 0.9810" (cell 8).
# - *Right:* the two belong to different runs. `validation_data` is the test set, so the last epoch and
#   `evaluate` must agree; in the other three runs of the notebook they do. The cell numbers say that
#   `evaluate` ran first; and a first epoch with accuracy 0.9708 is one of a network that has been trained
#   before. (It also means that the test set has watched the training.)

# %%
RUNS = {  # loss and accuracy: of the last epoch on the test set, and of evaluate
    "with dropout": ((0.0958, 0.9812), (0.0757974311709404, 0.9810000061988831)),
    "without dropout": ((0.0736, 0.9801), (0.07358124107122421, 0.9800999760627747)),
    "deep tanh": ((0.1095, 0.9698), (0.10945799201726913, 0.9697999954223633)),
    "camera": ((0.1225, 1.0), (0.1224619448184967, 1.0)),
}
agree = {
    name: np.allclose(last, of_evaluate, rtol=0, atol=6e-5) for name, (last, of_evaluate) in RUNS.items()
}
print(agree)
assert agree == {"with dropout": False, "without dropout": True, "deep tanh": True, "camera": True}

x, y = rng.normal(size=(200, 4)), rng.integers(0, 2, 200)
model = nnx.Sequential([Dense(8, "relu", input_shape=(4,)), Dropout(0.2), Dense(2, "softmax")], seed=0)
model.compile("rmsprop", "sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(x[:100], y[:100], epochs=3, validation_data=(x[100:], y[100:]), verbose=0).history
loss, accuracy = model.evaluate(x[100:], y[100:], verbose=0)
assert abs(history["val_loss"][-1] - loss) < 1e-6 and abs(history["val_accuracy"][-1] - accuracy) < 1e-6

# %% [markdown]
# ## Dropout, and what two runs show
#
# - *Where:* N10, section 10.3, text after the MNIST run.
# - *Printed:* "part of the nodes is removed at random"; runs with dropout (ten epochs and more, 0.9812) and
#   without (five epochs, 0.9801).
# - *Right (loose):* nodes are left out in **training** only, anew for each batch, and the others are divided
#   by $1 - p$ so that means are kept; in prediction all are there. The two runs show no effect of dropout:
#   epochs differ, and on 10 000 test images accuracies near 0.98 have a standard error of 0.0014 each.

# %%
error = math.sqrt(0.9806 * (1 - 0.9806) / 10_000)
print(
    "difference", round(0.9812 - 0.9801, 4), " standard error of a difference", round(math.sqrt(2) * error, 4)
)
assert math.sqrt(2) * error > 0.9812 - 0.9801

model = nnx.Sequential([Dropout(0.2, input_shape=(100_000,))], seed=0)
ones = np.ones((1, 100_000), dtype=np.float32)
in_training = model(ones, training=True)
print("in training: values", np.unique(in_training), " mean", in_training.mean())
assert abs(in_training.mean() - 1.0) < 0.01 and np.array_equal(model.predict(ones, verbose=0), ones)

# %% [markdown]
# ## What is changed is z
#
# - *Where:* N10, section 10.2, "W kierunku propagacji wstecznej".
# - *Printed:* "a small change of the **weight** $\Delta z_j^l$ … brings about a small change of the cost
#   $\frac{\partial J}{\partial z_j} \Delta z_j$".
# - *Right (loose):* $z$ is the pre-activation, and the equality holds to first order: the error is of order
#   $(\Delta z)^2$.

# %%
slope = nnx.grad(lambda z: 0.5 * (np.tanh(z) - 1.0) ** 2)(0.5)
for change in (0.1, 0.01, 0.001):
    true = 0.5 * (np.tanh(0.5 + change) - 1.0) ** 2 - 0.5 * (np.tanh(0.5) - 1.0) ** 2
    print(f"Δz = {change}: change of the cost {true:.3e}, first order {slope * change:.3e}")
    assert abs(true - slope * change) < change**2

# %% [markdown]
# ## What backpropagation is faster than
#
# - *Where:* N10, section 10.2, "Propagacja wsteczna – podsumowanie".
# - *Printed:* Rumelhart, Hinton and Williams "showed in 1986 that it is much faster than earlier methods".
# - *Right (loose):* the paper shows that hidden units learn useful features; of speed it says that methods
#   with second derivatives converge faster. What is certain is the count: $n$ derivatives for about two
#   further passes, instead of $n$ passes.

# %%
calls = 0


def counted(w):
    global calls
    calls += 1
    return np.sum(np.tanh(w) ** 2)


w = rng.normal(size=500)
gradient = nnx.grad(counted)(w)
by_backpropagation, calls = calls, 0
base = counted(w)
differences = np.asarray([(counted(w + 1e-6 * e) - base) / 1e-6 for e in np.eye(500)])
print("calls of the function:", by_backpropagation, "and", calls)
assert by_backpropagation == 1 and calls == 501 and np.allclose(gradient, differences, rtol=0, atol=1e-5)

# %% [markdown]
# ## Why gradients vanish
#
# - *Where:* N11, section 11.1, "Problem zanikającego gradientu".
# - *Printed:* sigmoidal functions limit the **values** to small intervals; in backpropagation many small
#   values are multiplied.
# - *Right (loose):* multiplied are the **derivatives** (and weights), not the values. $\sigma' \le \tfrac14$
#   and $\tanh' \le 1$ are what counts. A bounded function need not vanish, and an unbounded one can.


# %%
def slope_of_chain(g, layers=30):
    def chain(z):
        for _ in range(layers):
            z = g(z)
        return z

    return float(nnx.grad(chain)(0.0))


chains = {"sin (bounded)": np.sin, "z/2 (unbounded)": lambda z: 0.5 * z, "sigmoid": sigmoid}
slopes = {name: slope_of_chain(g) for name, g in chains.items()}
print(slopes)
assert (
    slopes["sin (bounded)"] == 1.0 and slopes["z/2 (unbounded)"] == 0.5**30 and slopes["sigmoid"] < 0.25**29
)

# %% [markdown]
# ## Dropout and more data as remedies
#
# - *Where:* N11, section 11.1, "Sposoby na zanikający gradient".
# - *Printed:* among the remedies: dropout layers; more data, more computing power.
# - *Right (loose):* what is lost over ten layers is not given back by either: below dropout changes the ratio
#   of first to last gradient by less than ten times, of a loss of more than a million. Both help against
#   overfitting, and patience helps against small steps. relu with He's weights gives it back.


# %%
def first_to_last(activation, samples, dropout=0.0, initializer="glorot_uniform"):
    draws = np.random.default_rng(1)
    shapes = [(20, 50)] + [(50, 50)] * 9 + [(50, 3)]
    kernels = [nnx.initializers.get(initializer)(shape, draws) for shape in shapes]
    x, labels = draws.normal(size=(samples, 20)), draws.integers(0, 3, samples)
    masks = [(draws.uniform(size=(samples, 50)) >= dropout) / (1 - dropout) for _ in range(10)]

    def cost(kernels):
        a = x
        for kernel, mask in zip(kernels[:-1], masks, strict=True):
            a = activation(a @ kernel) * mask
        return np.mean(nnx.losses.sparse_categorical_crossentropy(labels, a @ kernels[-1], from_logits=True))

    norms = [np.linalg.norm(g) for g in nnx.grad(cost)(kernels)]
    return norms[0] / norms[9]


ratios = {
    "sigmoid, 300 samples": first_to_last(sigmoid, 300),
    "sigmoid, 3000 samples": first_to_last(sigmoid, 3000),
    "sigmoid, dropout 0.3": first_to_last(sigmoid, 300, dropout=0.3),
    "relu, He": first_to_last(nnx.activations.relu, 300, initializer="he_uniform"),
}
for name, ratio in ratios.items():
    print(f"{name:22} {ratio:.1e}")
assert all(ratio < 1e-3 for name, ratio in ratios.items() if "sigmoid" in name) and ratios["relu, He"] > 0.1

# %% [markdown]
# ## relu and exploding gradients
#
# - *Where:* N11, section 11.1, "ReLU – wady"; S, "Problem zanikających/eksplodujących gradientów".
# - *Printed:* "for large values the gradient may explode"; exploding gradients "may occur in recurrent
#   networks".
# - *Right (loose):* the derivative of relu is at most 1, at $10^4$ as at 1: large values alone do nothing.
#   What explodes are products of **weights**, in deep feedforward networks too. With variance $4/n$ instead
#   of He's $2/n$ the gradient doubles in every layer.

# %%
assert nnx.grad(nnx.activations.relu)(1e4) == 1.0
n, layers = 200, 20
delta = {2.0: rng.normal(size=(50, n)), 4.0: rng.normal(size=(50, n))}
for gain in delta:
    start = np.mean(delta[gain] ** 2)
    for _ in range(layers):
        active = rng.uniform(size=(50, n)) < 0.5  # relu's derivative: 1 for about half of the neurons
        delta[gain] = (delta[gain] @ rng.normal(scale=math.sqrt(gain / n), size=(n, n))) * active
    growth = np.mean(delta[gain] ** 2) / start
    print(f"variance {gain:.0f}/n: the mean square of δ grows {growth:.2g} times in {layers} layers")
    assert 1 / 4 < growth / (gain / 2) ** layers < 4

# %% [markdown]
# ## Zeros do not make a dense layer faster
#
# - *Where:* N11, section 11.1, "ReLU – zalety".
# - *Printed:* zeroing negative values makes the network sparse, "which speeds up the computation".
# - *Right (loose):* a matrix product multiplies zeros like other numbers. Only code for sparse matrices
#   gains, and half zeros are too few for it. relu is fast because it needs no exponential. (The time ratio
#   below depends on the machine.)

# %%
dense = rng.normal(size=(600, 600))
half_zero, kernel, times = nnx.activations.relu(dense), rng.normal(size=(600, 600)), {}
for name, left in [("dense", dense), ("relu", half_zero)] * 10:
    begin = time.perf_counter()
    left @ kernel
    times[name] = min(times.get(name, math.inf), time.perf_counter() - begin)
print(f"zeros: {np.mean(half_zero == 0):.2f}, time ratio: {times['relu'] / times['dense']:.2f}")
assert abs(np.mean(half_zero == 0) - 0.5) < 0.01

# %% [markdown]
# ## Formulas that overflow
#
# - *Where:* N11, section 11.1, the plots of the logistic function and of softplus; N10, the sigmoid neuron.
# - *Printed:* `1 / (1 + math.exp(-x))` and `math.log(1 + math.exp(x))`.
# - *Right (loose):* on $[-3, 3]$ they are fine. For $x < -709$ the first ends in an error, the second for
#   $x > 709$; and softplus is 0 left of $-37$ where it should be $e^x$. [Stable forms](activations.md).

# %%
for name, formula, at in [
    ("logistic", lambda x: 1 / (1 + math.exp(-x)), -1000.0),
    ("softplus", lambda x: math.log(1 + math.exp(x)), 1000.0),
]:
    try:
        formula(at)
    except OverflowError as error:
        print(f"{name}({at:.0f}): OverflowError: {error}")
    else:
        raise AssertionError(name)
far_left = nnx.activations.softplus(np.asarray(-40.0))
print("softplus(-40) as printed:", math.log(1 + math.exp(-40.0)), " nnx:", far_left)
assert sigmoid(np.asarray(-1000.0)) == 0.0 and nnx.activations.softplus(np.asarray(1000.0)) == 1000.0
assert math.log(1 + math.exp(-40.0)) == 0.0
assert abs(nnx.activations.softplus(np.asarray(-40.0)) / math.exp(-40.0) - 1) < 1e-15

# %% [markdown]
# ## SGD can get stuck too
#
# - *Where:* N11, section 11.2, "Stochastic gradient descent".
# - *Printed:* "thanks to this it does not get stuck in bad local minima". (S says "can sometimes escape".)
# - *Right:* S is right. Whether it escapes depends on the learning rate. Below: two samples with the costs
#   $\tfrac14 (w^2 - 1)^2 + 0.2\,w \pm 0.5\,w$; the good minimum is at $-1.1$, the bad one at 0.9.

# %%
leftmost = {}
for eta in (0.01, 0.8):
    w, path, draws, sgd = 0.9, [], np.random.default_rng(0), nnx.optimizers.SGD().rule
    for _ in range(5000):
        g = w**3 - w + 0.2 + draws.choice([-0.5, 0.5])
        (w,) = sgd(np, w, g, eta)
        path.append(float(w))
    leftmost[eta] = min(path)
    print(f"η = {eta}: w between {min(path):.3f} and {max(path):.3f} in 5000 steps")
assert leftmost[0.01] > 0.5 and leftmost[0.8] < -0.8

# %% [markdown]
# ## AdaGrad's rate always falls
#
# - *Where:* N11, section 11.3, "Adagrad".
# - *Printed:* drawback: "the learning rate may **sometimes** decrease **abruptly**".
# - *Right (loose):* each weight's rate $\eta/\sqrt{s + \varepsilon}$ can never grow, since $s$ is a sum of
#   squares. For gradients of constant size it falls like $1/\sqrt t$: slowly, but without end.

# %%
adagrad, s, rates = nnx.optimizers.Adagrad().rule, np.zeros(1), []
for _ in range(100):
    before, (after, s) = np.zeros(1), adagrad(np, np.zeros(1), np.ones(1), s, 1.0, 0.0)
    rates.append(float(before[0] - after[0]))
print("rates of steps 1, 4, 100:", rates[0], rates[3], rates[99])
assert np.allclose(rates, 1 / np.sqrt(np.arange(1, 101)), rtol=1e-14) and (np.diff(rates) < 0).all()

# %% [markdown]
# ## What AMSGrad is for
#
# - *Where:* N11, section 11.3, "AMSGrad".
# - *Printed:* "a variant of Adam better adapted to tasks such as object recognition or machine translation".
# - *Right:* AMSGrad mends a gap in Adam's proof: there are simple convex problems on which Adam converges to
#   the **worst** point. Tasks are where people had seen poor results, not what it is adapted to. The example
#   of Reddi et al. (ICLR 2018) in ten lines is run on [the page on Adam](adam.md#when-it-fails); here its
#   heart: the rare large gradient, divided by its own size.

# %%
large, small, beta_2 = (
    4.0,
    -1.0,
    1 / 17,
)  # two small gradients for each large one: their sum is +2, descent is to the left
s = top = 0.0
moves = {"Adam": 0.0, "AMSGrad": 0.0}
for t in range(300):
    g = large if t % 3 == 0 else small
    s = beta_2 * s + (1 - beta_2) * g * g
    top = max(top, s)
    moves["Adam"] -= g / math.sqrt(s)
    moves["AMSGrad"] -= g / math.sqrt(top)
print(moves)
assert moves["Adam"] > 0 > moves["AMSGrad"]

# %% [markdown]
# ## Two speeds of convergence
#
# - *Where:* S, "Gradient prosty".
# - *Printed:* "Linear convergence. With a constant learning rate it may take $O(1/\epsilon)$ iterations … ten
#   times the accuracy may need ten times the iterations."
# - *Right:* these are two different cases. Linear convergence means $O(\log 1/\epsilon)$: each further digit
#   costs the **same number** of iterations. $O(1/\epsilon)$ is the slower case of convex functions without
#   curvature at the minimum, such as the logistic cost of separable classes, $\ln(1 + e^{-w})$.


# %%
def iterations(gradient, cost, w, eta, goals):
    found, k = [], 0
    for goal in goals:
        while cost(w) > goal:
            w, k = w - eta * gradient(w), k + 1
        found.append(k)
    return found


goals = [1e-1, 1e-2, 1e-3, 1e-4]
quadratic = iterations(lambda w: w, lambda w: 0.5 * w * w, 1.0, 0.1, goals)
logistic = iterations(lambda w: -1 / (1 + math.exp(w)), lambda w: math.log1p(math.exp(-w)), 0.0, 1.0, goals)
print("½w²:", quadratic, " ln(1 + e^−w):", logistic)
assert len(set(np.diff(quadratic[1:]))) == 1  # the same number for each digit
assert all(abs(b / a - 10) < 1.5 for a, b in pairwise(logistic[1:]))

# %% [markdown]
# ## The constant of linear convergence
#
# - *Where:* S, "metoda najszybszego spadku" and "metoda Newtona".
# - *Printed:* $\lVert w^* - w_{i+1} \rVert \le c\, \lVert w^* - w_i \rVert$; "the distances fall
#   **linearly**"; for Newton $\le c\, \lVert w^* - w_k \rVert^2$.
# - *Right:* $0 < c < 1$ must be said: with $c = 2$ diverging sequences satisfy it. The distances then fall
#   **geometrically**, like $c^i$; it is their logarithm that falls linearly. For Newton any $c$ will do, but
#   only from a start with $c\,\lVert w^* - w_0 \rVert < 1$. Example: $E'(w) = \arctan w$, where $E'' > 0$
#   everywhere.

# %%
distances = 2.0 ** np.arange(10)
assert (distances[1:] <= 2 * distances[:-1]).all() and distances[-1] > distances[
    0
]  # "linear convergence" away from w*


def newton(w, steps=6):
    path = [w]
    for _ in range(steps):
        w = w - math.atan(w) * (1 + w * w)
        path.append(w)
    return path


print("from 1.3:", np.round(newton(1.3), 6), " from 1.5:", np.round(newton(1.5), 1))
assert abs(newton(1.3)[-1]) < 1e-6 and abs(newton(1.5)[-1]) > 100

# %% [markdown]
# ## The L2 norm is not the RMSE
#
# - *Where:* S, "metoda najszybszego spadku": "Norma L2 - RMSE".
# - *Right:* $\text{RMSE} = \lVert e \rVert_2/\sqrt n$. They differ by $\sqrt n$, for VGG16 a factor of 11
# 763. (The ratio of two norms of equal length, as on the slide, is the same for both.)

# %%
e = rng.normal(size=10_000)
print(np.linalg.norm(e), np.sqrt(np.mean(e**2)), " √138357544 =", round(math.sqrt(138_357_544)))
assert (
    abs(np.linalg.norm(e) / np.sqrt(np.mean(e**2)) - 100) < 1e-10 and round(math.sqrt(138_357_544)) == 11763
)

# %% [markdown]
# ## The sign of the descent condition
#
# - *Where:* S, "alg. gradientowe pierwszego rzędu".
# - *Printed:* for $p = -\nabla E$: "$-[\nabla E(w)]^\top p < 0$, because $[\nabla E]^\top \nabla E > 0$".
# - *Right:* $[\nabla E(w)]^\top p = -[\nabla E]^\top \nabla E < 0$. With the printed minus in front the left
#   side is $+\lVert \nabla E \rVert^2 > 0$.

# %%
g = nnx.grad(lambda w: np.sum(w**4))(np.asarray([1.0, -2.0]))
p = -g
print("−gᵀp =", -g @ p, "  gᵀp =", g @ p)
assert -g @ p > 0 > g @ p

# %% [markdown]
# ## Definiteness at a minimum
#
# - *Where:* S, "Uczenie metodą Newtona".
# - *Printed:* if the gradient is 0, "the matrix $H$ **must be** positive definite for this point to be a
#   minimum"; it is probably so near a local minimum.
# - *Right:* positive definite is sufficient, not necessary; necessary is semidefinite. For networks $H$ is
#   mostly **singular** at a minimum: whole curves of weights give the same function, as $(u, v)$ and
#   $(cu, v/c)$ in $(uv - 1)^2$.

# %%
H = nnx.hessian(lambda w: 0.5 * (w[0] * w[1] - 1.0) ** 2)(np.asarray([1.0, 1.0]))
print(
    "eigenvalues at the minimum (1, 1):",
    np.linalg.eigvalsh(H),
    "  w⁴ at 0:",
    nnx.hessian(lambda w: w**4)(0.0),
)
assert (
    np.allclose(np.linalg.eigvalsh(H), [0.0, 2.0], rtol=0, atol=1e-14)
    and nnx.hessian(lambda w: w**4)(0.0) == 0.0
)

# %% [markdown]
# ## A semidefinite inverse
#
# - *Where:* S, "Uczenie metodą Newtona".
# - *Printed:* "if $[H(w)]^{-1}$ is positive **semi**definite, $p$ is a descent direction".
# - *Right:* positive definite. An inverse that is semidefinite is definite anyway; but for an approximation
#   $V$ of the inverse, semidefinite is not enough: $g^\top V g$ can be 0.

# %%
V, g = np.diag([1.0, 0.0]), np.asarray([0.0, 1.0])
print("p =", -V @ g, " gᵀp =", -g @ V @ g)
assert g @ V @ g == 0.0

# %% [markdown]
# ## The exponent 2.7
#
# - *Where:* S, "Uczenie metodą Newtona": inversion in $O(n^3)$, "or with a better algorithm $O(n^{2,7})$".
# - *Right (loose):* Strassen's algorithm has $\log_2 7 = 2.807$, which is 2.8; what is known to have a
#   smaller exponent is of no use in practice. And nobody inverts $H$: one Cholesky factorization and two
#   triangular systems take $n^3/3$ multiplications.

# %%
print("log₂ 7 =", math.log2(7))
A = rng.normal(size=(50, 50))
H, g = A @ A.T + np.eye(50), rng.normal(size=50)
L = np.linalg.cholesky(H)
p = -np.linalg.solve(L.T, np.linalg.solve(L, g))
assert 2.80 < math.log2(7) < 2.81 and np.allclose(H @ p, -g, rtol=0, atol=1e-8)

# %% [markdown]
# ## What keeps V positive definite
#
# - *Where:* S, "metoda zmiennej metryki" (BFGS, DFP).
# - *Printed:* "with $V_0 = I$ and a search along the direction in every step positive definiteness can be
#   ensured".
# - *Right (loose):* the condition is $s^\top r > 0$ in every step, and any positive definite $V_0$. A search
#   to the minimum along the direction, or to Wolfe's conditions, gives it; a search that only makes the cost
#   fall does not. In one dimension $V = s/r$:


# %%
def bell(w):
    return -np.exp(-w * w)


w0, w1 = 2.0, 1.5
s, r = w1 - w0, nnx.grad(bell)(w1) - nnx.grad(bell)(w0)
print("the cost falls by", bell(w0) - bell(w1), " sᵀr =", s * r, " V =", s / r)
assert bell(w1) < bell(w0) and s * r < 0 and s / r < 0

# %% [markdown]
# ## The Jacobian of Levenberg and Marquardt
#
# - *Where:* S, "Algorytm Levenberga-Marquardta".
# - *Printed:* $J$ with the entries $\dfrac{\partial^2 e_i}{\partial w_j}$; "for **MSE**" beside
#   $E = \tfrac12 \sum_j (y_j - d_j)^2$.
# - *Right:* first derivatives, $J_{ij} = \partial e_i/\partial w_j$. Only then $\nabla E = J^\top e$ and
#   $J^\top J \approx H$. $E$ is half the **sum** of squares, not their mean: the minimum is the same, but
#   $\nu$ must be scaled along. ($e_j = y_j - d_j$ are numbers, not vectors.) See
#   [Levenberg–Marquardt](levenberg_marquardt.md).

# %%
t = np.linspace(0.0, 2.0, 8)
observed = 2.0 * np.exp(-1.3 * t) + 0.05 * rng.normal(size=8)


def e(w):
    return w[0] * np.exp(w[1] * t) - observed


w = np.asarray([1.0, -1.0])
gradient, J = nnx.grad(lambda w: 0.5 * np.sum(e(w) ** 2))(w), nnx.jacobian(e)(w)
second = np.stack([np.diag(h) for h in nnx.jacobian(nnx.jacobian(e))(w)])  # ∂²e_i/∂w_j², as (nearly) printed
print("∇E", gradient, "  Jᵀe", J.T @ e(w), "  with second derivatives", second.T @ e(w))
assert np.allclose(J.T @ e(w), gradient, rtol=1e-13) and not np.allclose(second.T @ e(w), gradient, rtol=0.1)

# %% [markdown]
# ## Gauss-Newton is not Newton
#
# - *Where:* S, "Algorytm Levenberga-Marquardta", both slides.
# - *Printed:* a combination of steepest descent and **Newton**; $\nu$ "must be reduced down to zero" near the
#   solution.
# - *Right (loose):* for $\nu = 0$ it is **Gauss–Newton**, with $J^\top J$ in place of
#   $H = J^\top J + \sum_i e_i \nabla^2 e_i$. Where residuals stay large it converges linearly only; and where
#   $J^\top J$ is singular, $\nu = 0$ is not possible. For $e = (w + 1,\ \lambda w^2 + w - 1)$ the minimum is
#   at 0 and each step of Gauss–Newton leaves the part $\lambda$ of the error.

# %%
lam, w, ratios = 0.5, 0.1, []
for _ in range(12):
    residual, slope = np.asarray([w + 1, lam * w * w + w - 1]), np.asarray([1.0, 2 * lam * w + 1])
    w, before = w - slope @ residual / (slope @ slope), w
    ratios.append(w / before)
H = nnx.hessian(lambda w: 0.5 * ((w + 1) ** 2 + (lam * w * w + w - 1) ** 2))(0.0)
print("error ratios of Gauss-Newton:", np.round(ratios[-3:], 4), " H =", H, " JᵀJ = 2")
assert abs(ratios[-1] - lam) < 1e-3 and abs(H - (2 - 2 * lam)) < 1e-15

# %% [markdown]
# ## MATLAB's adaptive learning rate
#
# - *Where:* S, "Harmonogramowanie wydajnościowe".
# - *Printed:* "in MATLAB, if $E$ falls in the next epoch, the learning rate is increased by 5 %,
#   **otherwise** it is reduced by 30 %".
# - *Right:* `traingda` reduces it (and takes the step back) only if $E$ rose by more than 4 % (`max_perf_inc`
#   1.04); between, the step stands and the rate stays. It looks at the training cost. nnx follows the slide
#   where $E$ rose by less, since MATLAB's rule can oscillate there for ever, and refuses the step as MATLAB
#   does. On $E = w^2$ a step multiplies $E$ by $(1 - 2\eta)^2$:

# %%
outcomes = {}
for eta in (0.1, 1.005, 1.1):
    method, w = nnx.optimizers.AdaptiveLearningRate(learning_rate=eta, momentum=0.0), np.asarray([1.0])
    problem = nnx.optimizers.FunctionProblem(lambda w: np.sum(w * w))
    w, state, info = method.step(problem, w, method.init(problem, w))
    matlab = 1.05 if (1 - 2 * eta) ** 2 < 1 else 1.0 if (1 - 2 * eta) ** 2 <= 1.04 else 0.7
    outcomes[eta] = (round(state.learning_rate / eta, 4), info.accepted, matlab)
    change = f"E × {(1 - 2 * eta) ** 2:.3f}"
    print(f"{change}: η × {outcomes[eta][0]}, accepted {info.accepted}; MATLAB: η × {matlab}")
assert outcomes == {0.1: (1.05, True, 1.05), 1.005: (0.7, True, 1.0), 1.1: (0.7, False, 0.7)}

# %% [markdown]
# ## Momentum without friction
#
# - *Where:* S, "gradient prosty z momentem".
# - *Printed:* $\beta \in [0, 1]$.
# - *Right:* $\beta < 1$. With $\beta = 1$ there is no friction: down a constant slope the speed grows without
#   bound, and in a valley $w$ swings for ever. nnx refuses it.

# %%
swings = {}
for beta in (0.9, 1.0):
    w, m, path = 1.0, 0.0, []
    for _ in range(400):
        m = beta * m - 0.1 * w  # E = ½w²
        w = w + m
        path.append(abs(w))
    swings[beta] = max(path[-40:])
print("amplitude after 400 steps:", swings)
assert swings[0.9] < 1e-8 and swings[1.0] > 0.9
try:
    nnx.optimizers.SGD(momentum=1.0)
except nnx.errors.OptionError as error:
    print(error)
else:
    raise AssertionError("momentum=1 was taken")

# %% [markdown]
# ## Ten times faster, after a start
#
# - *Where:* S, "Gradient prosty z momentem", the argument for the factor 10.
# - *Printed:* with a constant gradient and $\beta = 0.9$ the changes of the weights are 10 times faster.
# - *Right (loose):* the printed $m = -\eta g/(1 - \beta)$ is the limit. Step $t$ is
#   $(1 - \beta^t)/(1 - \beta)$ times as long as without momentum: once in the first step, 6.5 times in the
#   tenth. ([Derivation](nesterov.md).)

# %%
m, lengths = 0.0, []
for _ in range(50):
    m = 0.9 * m + 1.0
    lengths.append(m)
print("steps 1, 10, 22, 50:", np.round([lengths[i - 1] for i in (1, 10, 22, 50)], 2))
assert np.allclose(lengths, (1 - 0.9 ** np.arange(1, 51)) / 0.1, rtol=1e-14)

# %% [markdown]
# ## AdaGrad lengthens small gradients
#
# - *Where:* S, "AdaGrad".
# - *Printed:* "the gradient vector is **reduced** by $\sqrt{s + \varepsilon}$".
# - *Right (loose):* it is divided by it, which lengthens it where $s < 1$. A gradient of $10^{-3}$ makes a
#   first step of $\eta$, as one of $10^3$ does.

# %%
for size in (1e-3, 1.0, 1e3):
    (w, s) = nnx.optimizers.Adagrad().rule(np, np.zeros(1), np.full(1, size), np.zeros(1), 1.0, 0.0)
    print(f"g = {size:g}: step {w[0]:g}")
    assert abs(w[0] + 1.0) < 1e-15

# %% [markdown]
# ## The root in RMSProp
#
# - *Where:* S, "Wyjaśnienie nazwy RMSProp".
# - *Printed:* "in the second equation there is the root of the **square** of the elements of the gradient".
# - *Right (loose):* the root of the **moving mean** of the squares. The root of the square is $|g|$, and
#   $g/|g|$ is the sign: that would be RProp's step. For gradients 1 and 10 in turn:

# %%
s, steps = np.zeros(1), []
for t in range(200):
    g = np.asarray([1.0 if t % 2 else 10.0])
    w, s = nnx.optimizers.RMSprop().rule(np, np.zeros(1), g, s, 1.0, 0.1, 0.0)
    steps.append(float(-w[0]))
print("steps of RMSProp for g = 10 and g = 1:", np.round(steps[-2:], 3), "; sign: 1 and 1")
assert 1.3 < steps[-2] < 1.4 and 0.1 < steps[-1] < 0.2

# %% [markdown]
# ## Adam: the power t
#
# - *Where:* S, "ADAM".
# - *Printed:* $\hat m = m/(1 - \beta)$, $\hat s = s/(1 - \rho)$.
# - *Right:* $\hat m = m/(1 - \beta^t)$, $\hat s = s/(1 - \rho^t)$ in step $t$. ([Derivation](adam.md).) The
#   printed form is right for $t = 1$; with a constant gradient 1 it ends with $\hat m = 10$, $\hat s = 1000$
#   and steps of $0.316\,\eta$ instead of $\eta$. The slide also has $\varepsilon$ inside the root; the paper,
#   Keras and PyTorch add it outside.

# %%
m = s = 0.0
print("   t  printed m̂, ŝ, step   right m̂, ŝ, step")
for t in range(1, 10_001):
    m, s = 0.9 * m + 0.1, 0.999 * s + 0.001
    printed, right = (m / (1 - 0.9), s / (1 - 0.999)), (m / (1 - 0.9**t), s / (1 - 0.999**t))
    if t in (1, 10, 100, 10_000):
        print(f"{t:5} ", *(f"{a:8.3f} {b:8.3f} {a / math.sqrt(b):6.3f}  " for a, b in (printed, right)))
assert abs(printed[0] - 10) < 1e-9 and abs(printed[1] / 1000 - 1) < 1e-4 and abs(right[0] - 1) < 1e-12

# %% [markdown]
# ## Adam: the sign
#
# - *Where:* S, "ADAM".
# - *Printed:* $w \leftarrow w + \eta\, \hat m \div \sqrt{\hat s + \varepsilon}$ with
#   $m \leftarrow \beta m + (1 - \beta) \nabla E(w)$.
# - *Right:* $w \leftarrow w - \dots$. With the plus it climbs. (The slides before collect $-\eta \nabla E$ in
#   $m$ and rightly add it.)


# %%
def parabola(w):
    return np.sum((w - 3.0) ** 2)


for sign in (+1, -1):
    w, m, s = 0.0, 0.0, 0.0
    for t in range(1, 501):
        g = 2 * (w - 3.0)
        m, s = 0.9 * m + 0.1 * g, 0.999 * s + 0.001 * g * g
        w = w + sign * 0.05 * (m / (1 - 0.9**t)) / (math.sqrt(s / (1 - 0.999**t)) + 1e-7)
    print(f"sign {sign:+}: from cost 9 to {parabola(w):.4g}")
    assert parabola(w) > 9 if sign > 0 else parabola(w) < 0.01
method, options = nnx.optimizers.Adam(0.05), {"maxiter": 500}
assert nnx.minimize(parabola, np.zeros(1), method=method, options=options).fun < 0.01

# %% [markdown]
# ## Which equal weights stay equal
#
# - *Where:* S, "Alg. gradientowe", the question about equal first weights.
# - *Printed:* "the weights of **all neurons** would have the same values after training".
# - *Right (loose):* the neurons **of one hidden layer** stay copies of each other. Weights from different
#   inputs become different, and so do the neurons of the output layer, whose targets differ.
#   ([Tutorial](../tutorials/symmetry.md).)

# %%
x, y = rng.normal(size=(64, 2)), rng.integers(0, 3, 64)
layers = [
    Dense(4, "tanh", kernel_initializer="ones", input_shape=(2,)),
    Dense(3, "softmax", kernel_initializer="ones"),
]
model = nnx.Sequential(layers, dtype="float64", seed=0)
model.compile(nnx.optimizers.SGD(0.5), "sparse_categorical_crossentropy")
model.fit(x, y, epochs=20, batch_size=64, verbose=0)
hidden, _, output, _ = model.get_weights()
print("hidden\n", hidden.round(4), "\noutput\n", output.round(4))
assert np.ptp(hidden, axis=1).max() < 1e-12 < 1e-3 < abs(hidden[0, 0] - hidden[1, 0])
assert np.ptp(output, axis=0).max() < 1e-12 < 1e-3 < np.ptp(output, axis=1).min()

# %% [markdown]
# ## The square of MobileNetV2's parameters
#
# - *Where:* S, the slide with the table of networks.
# - *Printed:* "$3538984^2 = 3538984 \approx 13 \cdot 10^{12}$ elements (more than 12 teta elements)".
# - *Right:* $3\,538\,984^2 = 12\,524\,407\,752\,256 \approx 12.5 \cdot 10^{12}$, 12.5 tera. VGG16's square is
#   printed rightly. Both count every entry; $H$ is symmetric, so $n(n + 1)/2$ numbers would do: half of it.

# %%
print(f"{3_538_984**2:,}  {138_357_544**2:,}  in bytes (float32): {4 * 3_538_984**2 / 1e12:.1f} TB")
squares = [n * n for n in (3_538_984, 138_357_544)]
assert squares == [12_524_407_752_256, 19_142_809_981_711_936]

# %% [markdown]
# ## Parameters that are not trained
#
# - *Where:* S, the table of networks; "parameters (weights) **changed during training**".
# - *Right (loose):* for VGG16 it is so. In networks with batch normalization the column counts running means
#   and variances too, which no gradient changes: 34 112 of MobileNetV2's. Its Hessian would have
#   $3\,504\,872^2$ entries.

# %%
normalized, weights, channels = [32], 3 * 9 * 32, 32  # the first convolution; all are without bias
BLOCKS = [(1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1)]
for expansion, out, repeats in BLOCKS:
    for _ in range(repeats):
        inner = expansion * channels
        weights += (channels * inner if expansion > 1 else 0) + 9 * inner + inner * out
        normalized += ([inner] if expansion > 1 else []) + [inner, out]
        channels = out
weights += 320 * 1280 + 1280 * 1000 + 1000
normalized.append(1280)
total, running = weights + 4 * sum(normalized), 2 * sum(normalized)
print(f"MobileNetV2: {total:,} in all, {running:,} running statistics, {total - running:,} trained")
assert (total, running) == (3_538_984, 34_112)

# %% [markdown]
# ## The columns depth and size
#
# - *Where:* S, the table of networks.
# - *Printed:* VGG16 has depth 23, VGG19 26; sizes in MB.
# - *Right (loose):* the numbers in the names, 16 and 19, are the layers with weights. The column counts all
#   layers of Keras' model, input, pooling and flattening included (and is empty for the ResNets). "MB" are
#   MiB, $2^{20}$ bytes, of float32 numbers.

# %%
vgg = {"VGG16": [2, 2, 3, 3, 3], "VGG19": [2, 2, 4, 4, 4]}  # convolutions in each of the five blocks
depth = {name: (sum(blocks) + 3, 1 + sum(blocks) + len(blocks) + 1 + 3) for name, blocks in vgg.items()}
print("with weights, in all:", depth)
assert depth == {"VGG16": (16, 23), "VGG19": (19, 26)}
TABLE = {"Xception": (22_910_480, 88), "VGG16": (138_357_544, 528), "VGG19": (143_667_240, 549)}
TABLE |= {"ResNet50": (25_636_712, 98), "InceptionV3": (23_851_784, 92), "MobileNetV2": (3_538_984, 14)}
for n, size in TABLE.values():
    assert abs(4 * n / 2**20 - size) <= 1.5  # a file has a head too
print(f"VGG16: {4 * 138_357_544 / 2**20:.0f} MiB = {4 * 138_357_544 / 1e6:.0f} MB")

# %% [markdown]
# ## The sign argument holds for one sample
#
# - *Where:* C, "Potenciální nedostatek sigmoid neuronů".
# - *Printed:* activations of sigmoid neurons are positive, so the gradients $a_k^l \delta_j^{l+1}$ of all
#   weights into neuron $j$ have one sign, and the weights "all decrease or all increase together".
# - *Right (loose):* for **one** sample. Over a batch $\sum_i a_k^{(i)} \delta_j^{(i)}$ is added up, and where
#   $\delta$ has both signs, so can the sums. The drawback is real but weaker; and it does not concern the
#   first layer, whose inputs may be negative.

# %%
positive = sigmoid(rng.normal(size=(2, 3)) * 3)  # activations of two samples
positive = np.asarray([[0.9, 0.5, 0.1], [0.1, 0.5, 0.9]])
targets, w = np.asarray([1.0, 0.0]), np.zeros(3)


def of_samples(w, rows):
    return np.sum(0.5 * (sigmoid(positive[rows] @ w) - targets[rows]) ** 2)


for rows in ([0], [1], [0, 1]):
    print("samples", rows, "gradient", nnx.grad(of_samples)(w, rows).round(4))
both = np.sign(nnx.grad(of_samples)(w, [0, 1]))
assert all(len(set(np.sign(nnx.grad(of_samples)(w, [i])))) == 1 for i in (0, 1)) and set(both) == {
    -1.0,
    0.0,
    1.0,
}

# %% [markdown]
# ## What networks can approximate
#
# - *Where:* C, "Alternativní model neuronu".
# - *Printed:* a network of sigmoid neurons "can in theory approximate **any** function".
# - *Right (loose):* any **continuous** function on a **bounded closed** set, as closely as one likes in the
#   maximum norm (Cybenko 1989). A network is continuous, so at a jump of height 1 its largest error is never
#   below ½, however steep it is:

# %%
near = np.asarray([-1e-9, 1e-9])
for steepness in (1.0, 1e3, 1e6):
    error = abs(sigmoid(steepness * near) - (near > 0)).max()
    print(f"steepness {steepness:g}: largest error {error:.4f}")
    assert error > 0.499

# %% [markdown]
# ## Code that does not run
#
# - *Where and printed:* S: `SGD(lr=0.001, momentum=0,9)`, `SGD(lr=0.001, momentum=0.9, Nesterov=True)`,
#   `SGD(lr=0.01, decay=1e-4)`. N10: `model3 = Sequential()` without an import of `Sequential`.
# - *Right:* `SGD(learning_rate=0.001, momentum=0.9, nesterov=True)`: a decimal point, a small letter, and the
#   names that Keras has had since version 2.3. `decay` is a schedule now. nnx says so:

# %%
try:
    compile("SGD(lr=0.001, momentum=0,9)", "slide", "eval")
except SyntaxError as error:
    print("SyntaxError:", error.msg)
else:
    raise AssertionError("it compiles")
for wrong in (
    {"lr": 0.01},
    {"learning_rate": 0.001, "Nesterov": True},
    {"learning_rate": 0.01, "decay": 1e-4},
):
    try:
        nnx.optimizers.SGD(**wrong)
    except nnx.errors.OptionError as error:
        print(str(error).split(" Its arguments")[0])
    else:
        raise AssertionError(wrong)
decay = nnx.optimizers.schedules.PowerDecay(0.01, decay_steps=1 / 1e-4)
assert decay(10_000) == 0.005

# %% [markdown]
# ## Slips of the pen
#
# | where | printed | right |
# |---|---|---|
# | N10, 10.1, *Feedforward* | $n$-layer network, then $\Theta^{(1)}, \dots, \Theta^{(L)}$ | $L$ layers |
# | N10, 10.1 | "for $i = 0$ we take $a^{(0)} = x$" | $l = 0$ |
# | N10, 10.3 | `keras/examples/minst_mlp.py` | `mnist_mlp.py`; no longer at that address |
# | N11, 11.1 | Rectifier Linear Unit | rectified linear unit |
# | N11, 11.2 | $y^{(i : i_n)}$ in the mini-batch formula | $y^{(i : i + n)}$ |
# | S, first and last list | Adaptive **momentum** estimation | adaptive moment estimation |
# | S, mini-batch | $\sum_{k=1}^{100}$ in every iteration | sum over 100 indices drawn at random |
# | S, *Gradient prosty* (near the end) | $w_{i+1} = w_k - \eta \nabla E(w_i)$ | $w_i - \eta \nabla E(w_i)$ |
# | S, schedules | learning scheduling | learning rate scheduling |
# | S, Taylor's series | number (1) for the series and its linear part | two numbers |
# | S, BFGS | Broyden-Goldfarb-Fletcher-Shanno | Broyden–Fletcher–Goldfarb–Shanno |
# | S, Levenberg–Marquardt | $[J(w)_k]^\top J(w_k)$ | $[J(w_k)]^\top J(w_k)$ |
# | S, ADAM | $\rho$ often has the value "0,99.9" | 0.999 |
# | S, memory | "12 teta" | 12 tera |
# | C, list of functions | MISCH | mish |
# | C, exercise 1 | starts from what it proves | [proof](activations.md#derivation) |
#
# ## References
#
# - D. E. Rumelhart, G. E. Hinton, R. J. Williams, "Learning representations by back-propagating errors",
#   *Nature* 323 (1986) 533–536: p. 535 on second derivatives.
# - G. Cybenko, "Approximation by superpositions of a sigmoidal function", *Mathematics of Control, Signals,
#   and Systems* 2 (1989) 303–314.
# - V. Strassen, "Gaussian elimination is not optimal", *Numerische Mathematik* 13 (1969) 354–356.
# - N. Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", *JMLR* 15
#   (2014) 1929–1958.
# - J. Nocedal, S. J. Wright, *Numerical Optimization*, 2nd ed., Springer 2006: rates of convergence pp.
#   619–620; second-order conditions pp. 15–16; sᵀr > 0 p. 137; Gauss–Newton pp. 254–257.
# - K. Madsen, H. B. Nielsen, O. Tingleff, *Methods for Non-Linear Least Squares Problems*, 2nd ed., Technical
#   University of Denmark 2004, section 3.1: the example with λ.
# - S. J. Reddi, S. Kale, S. Kumar, "On the convergence of Adam and beyond", ICLR 2018, section 3.
