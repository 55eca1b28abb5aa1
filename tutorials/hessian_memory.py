# %% [markdown]
# # Why deep networks are trained by first order
#
# Newton's method needs a handful of steps where gradient descent needs thousands ([second
# order](second_order.md)). Deep networks are trained by gradients all the same. The reason is memory: a
# network of $n$ weights has a Hessian of $n^2$ entries. This page computes what that means for the 13
# networks of the slides' table, then measures memory and time on small networks, and ends with what second
# order can do without a matrix.
#
# The argument in full: [the Hessian's cost](../derivations/hessian_cost.md).

# %%
import time
import tracemalloc
from functools import partial
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np

import nnx
from nnx.layers import Dense

# %% [markdown]
# ## The table of the slides
#
# The slides list 13 networks for ImageNet, as Keras' documentation does. *Depth* counts the layers of Keras'
# model ([erratum](../derivations/errata.md#the-columns-depth-and-size)). *Top-1* is the share of pictures
# whose class is the most probable one, *top-5* that among the five most probable: in nnx
# [`sparse_categorical_accuracy`][nnx.metrics.sparse_categorical_accuracy] and
# [`sparse_top_k_categorical_accuracy`][nnx.metrics.sparse_top_k_categorical_accuracy] with `k=5`. All 13 are
# in [`nnx.applications`][nnx.applications]; here two of them are built, and the others are numbers.
#
# | network | parameters | depth | top-1 | top-5 |
# |---|---:|---:|---:|---:|
# | Xception | 22,910,480 | 126 | 0.790 | 0.945 |
# | VGG16 | 138,357,544 | 23 | 0.713 | 0.901 |
# | VGG19 | 143,667,240 | 26 | 0.713 | 0.900 |
# | ResNet50 | 25,636,712 | – | 0.749 | 0.921 |
# | ResNet101 | 44,707,176 | – | 0.764 | 0.928 |
# | ResNet152 | 60,419,944 | – | 0.766 | 0.931 |
# | ResNet50V2 | 25,613,800 | – | 0.760 | 0.930 |
# | ResNet101V2 | 44,675,560 | – | 0.772 | 0.938 |
# | ResNet152V2 | 60,380,648 | – | 0.780 | 0.942 |
# | InceptionV3 | 23,851,784 | 159 | 0.779 | 0.937 |
# | InceptionResNetV2 | 55,873,736 | 572 | 0.803 | 0.953 |
# | MobileNet | 4,253,864 | 88 | 0.704 | 0.895 |
# | MobileNetV2 | 3,538,984 | 88 | 0.713 | 0.901 |

# %%
scores = np.array([[0.40, 0.25, 0.15, 0.09, 0.08, 0.03]] * 3)  # three pictures, six classes
classes = np.array([0, 3, 5])
top_1 = nnx.metrics.sparse_categorical_accuracy(classes, scores)
top_5 = nnx.metrics.sparse_top_k_categorical_accuracy(classes, scores, k=5)
print("right at once:", top_1, " among the first five:", top_5)
assert top_1.tolist() == [1.0, 0.0, 0.0] and top_5.tolist() == [1.0, 1.0, 0.0]

# %% [markdown]
# A gradient has as many entries as the network has weights, the Hessian as many as their square. An entry in
# single precision takes 4 bytes. (The Hessian is symmetric, so half of it would do. That changes nothing.)

# %%
PARAMETERS = {
    "Xception": 22_910_480,
    "VGG16": 138_357_544,
    "VGG19": 143_667_240,
    "ResNet50": 25_636_712,
    "ResNet101": 44_707_176,
    "ResNet152": 60_419_944,
    "ResNet50V2": 25_613_800,
    "ResNet101V2": 44_675_560,
    "ResNet152V2": 60_380_648,
    "InceptionV3": 23_851_784,
    "InceptionResNetV2": 55_873_736,
    "MobileNet": 4_253_864,
    "MobileNetV2": 3_538_984,
}


def amount(number, unit=""):
    """A number with SI prefix, three digits: 1.91e16 → 19.1 P."""
    exponent = min(int(np.log10(number)) // 3, 6)
    return f"{number / 1000.0**exponent:.3g} {' kMGTPE'[exponent].strip()}{unit}"


print(f"{'network':18}{'weights n':>13} {'gradient':>9} {'entries of the Hessian n²':>28} {'memory':>9}")
for name, n in PARAMETERS.items():
    print(f"{name:18}{n:13,} {amount(4 * n, 'B'):>9} {n**2:28,} {amount(4 * n**2, 'B'):>9}")

# %% [markdown]
# The slides give two of these squares. VGG16 has 138,357,544 weights and a Hessian of
# 19,142,809,981,711,936 entries, 19 · 10¹⁵: *biliard* in Polish, the prefix *peta*. That is right. For
# MobileNetV2, the smallest, the product line is misprinted ("3538984² = 3538984"); the square is
# 12,524,407,752,256, about 12.5 · 10¹², *tera*. See the
# [errata](../derivations/errata.md#the-square-of-mobilenetv2s-parameters).

# %%
assert PARAMETERS["VGG16"] ** 2 == 19_142_809_981_711_936
assert PARAMETERS["MobileNetV2"] ** 2 == 12_524_407_752_256
assert min(PARAMETERS, key=PARAMETERS.get) == "MobileNetV2"

# %% [markdown]
# Where does the number come from? VGG16 is thirteen convolutions of 3 × 3, each with $9\,c_{in}\,c_{out}$
# weights and $c_{out}$ biases, and three dense layers.

# %%
channels = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
convolutions = sum(9 * a * b + b for a, b in pairwise(channels))
sizes = [7 * 7 * 512, 4096, 4096, 1000]
dense = sum(a * b + b for a, b in pairwise(sizes))
print(f"VGG16: {convolutions:,} in convolutions + {dense:,} in dense layers = {convolutions + dense:,}")
assert convolutions + dense == PARAMETERS["VGG16"]

# %% [markdown]
# Two of the networks, built: the smallest and the one of the slides' product. (Their weights are random
# numbers; VGG16's take half a gigabyte.)

# %%
for build in (nnx.applications.MobileNetV2, nnx.applications.VGG16):
    network = build(weights=None)
    print(f"{network.name}: {len(network.layers)} layers, {network.count_params():,} weights")
    assert network.count_params() in (PARAMETERS["MobileNetV2"], PARAMETERS["VGG16"])
del network

# %%
# figure: memory of the weights, below a gigabyte, and of the Hessian, 50 TB to 80 PB, by network
figure, ax = plt.subplots(figsize=(8.0, 4.6), layout="constrained")
names = sorted(PARAMETERS, key=PARAMETERS.get)
n = np.array([PARAMETERS[name] for name in names], dtype=float)
ax.barh(names, 4.0 * n**2, color="tab:red", label="Hessian, 4n² bytes")
ax.barh(names, 4.0 * n, color="tab:blue", label="weights or gradient, 4n bytes")
ax.axvline(1e12, color="k", linestyle=":", label="1 TB, the memory of a large server")
ticks = [1e6, 1e9, 1e12, 1e15]
ax.set(xscale="log", xlim=(1e6, 1e18), xlabel="memory", title="One gradient and one Hessian")
ax.set_xticks(ticks, ["1 MB", "1 GB", "1 TB", "1 PB"])
_ = ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=3, fontsize=8)

# %% [markdown]
# ## Time
#
# Memory alone decides. Were it there, solving $Hp = -g$ by Cholesky's factors takes $n^3/3$
# multiplications, or about $n^{2.7}$ operations with faster products, as the slides say. At $10^{12}$
# operations a second one Newton step takes

# %%
YEAR = 365.25 * 24 * 3600
for name in ("MobileNetV2", "VGG16"):
    n = float(PARAMETERS[name])
    cholesky, faster = n**3 / 3.0 / 1e12 / YEAR, n**2.7 / 1e12 / YEAR
    print(f"{name:12} {cholesky:10,.1f} years by Cholesky, {faster:8,.3f} years at n^2.7")
assert n**3 / 3.0 / 1e12 / YEAR > 10_000  # VGG16

# %% [markdown]
# ## Measured: memory and time against n
#
# Networks 8-h-1 with $10h + 1$ weights, 64 samples, double precision. The peak of the memory that NumPy
# asks for is what `tracemalloc` reports, so the models are held on NumPy. Times are the machine's that
# built this page; they tell orders of magnitude.

# %%
random = np.random.default_rng(0)
x = random.uniform(-1.0, 1.0, (64, 8))
y = np.sin(x.sum(axis=1, keepdims=True))
HIDDEN = (12, 25, 50, 100)


def network(hidden):
    layers = [Dense(hidden, "tanh", input_shape=(8,)), Dense(1)]
    return nnx.Sequential(layers, backend="numpy", dtype="float64", seed=0)


def measure(job):
    """Seconds of one call, and the peak of the memory in bytes of another."""
    begin = time.perf_counter()
    job()
    seconds = time.perf_counter() - begin
    tracemalloc.start()
    job()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return seconds, peak


def cost_of(hidden):
    f, weights = network(hidden).as_function()
    w = np.concatenate([part.ravel() for part in weights.values()])
    return (lambda w: 0.5 * np.sum((f(w, x) - y) ** 2)), w


derivatives = {
    "gradient": lambda cost, w: nnx.grad(cost)(w),
    "Hessian × vector": lambda cost, w: nnx.hvp(cost, w, np.ones_like(w)),
    "Hessian": lambda cost, w: nnx.hessian(cost)(w),
}
functions = [cost_of(hidden) for hidden in HIDDEN]
counts = [w.size for _, w in functions]
found = {}
for name, derivative in derivatives.items():
    derivative(*functions[0])  # what is made once (imports, caches) shall not count
    found[name] = [measure(partial(derivative, cost, w)) for cost, w in functions]
for name, row in found.items():
    columns = [f"{1e3 * seconds:8.1f} ms {amount(peak, 'B'):>8}" for seconds, peak in row]
    print(f"{name:17}", *columns)

# %% [markdown]
# A product with the Hessian costs a few gradients, in time and in memory. The Hessian is $n$ such products
# and $n^2$ entries. The next measurement is of training itself: two epochs of `fit` with methods that keep
# vectors, and with methods that keep a matrix.

# %%


def train(hidden, optimizer):
    model = network(hidden)
    model.compile(optimizer, "mse")
    model.fit(x, y, batch_size=64, epochs=2, verbose=0)


VECTORS, MATRICES = ("adam", "lbfgs", "newton-cg"), ("bfgs", "levenberg_marquardt")
for optimizer in VECTORS + MATRICES:
    train(HIDDEN[0], optimizer)
    found[optimizer] = [measure(partial(train, hidden, optimizer)) for hidden in HIDDEN]


def growth(name):
    """The exponent a of peak memory ~ nᵃ, between the two largest networks."""
    peaks = [peak for _, peak in found[name]]
    return np.log(peaks[-1] / peaks[-2]) / np.log(counts[-1] / counts[-2])


print(f"{'n':21}", "".join(f"{n:10}" for n in counts), "   memory ~")
for name, row in found.items():
    print(f"{name:21}", "".join(f"{amount(peak, 'B'):>10}" for _, peak in row), f"   n^{growth(name):.2f}")

# What does not grow (the data, Python's objects) lowers the exponents of small networks, here by under 0.1.
for name in MATRICES:
    assert 1.9 < growth(name) < 2.1, name
# nnx computes as many columns of the Hessian at once as the cache has room for: in small networks that takes
# more memory than the Hessian itself, which is the least.
assert all(peak > 8 * n * n for n, (_, peak) in zip(counts, found["Hessian"], strict=True))
for name in ("gradient", "Hessian × vector", *VECTORS):
    assert growth(name) < 1.1, name

# %%
# figure: peak memory against the number of weights: slope one with vectors, slope two with a matrix
figure, ax = plt.subplots(figsize=(8.0, 4.4), layout="constrained")
for name, row in found.items():
    flat = name in (*VECTORS, "gradient", "Hessian × vector")
    ax.loglog(counts, [peak for _, peak in row], "o--" if flat else "s-", markersize=4, label=name)
ax.loglog(counts, 8.0 * np.array(counts, dtype=float) ** 2, "k:", label="8n² bytes: one matrix")
ax.set(xlabel="weights n", ylabel="peak memory in bytes", title="Vectors (dashed) and matrices (solid)")
ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8)
ax.grid(alpha=0.3, which="both")

# %% [markdown]
# ## Second order without the matrix
#
# Many questions about $H$ need products $Hv$ only. [`nnx.hvp`][nnx.hvp] gives them by one forward
# derivative of the gradient. Two uses:
#
# - **The largest curvature** $\lambda_{max}$, above which gradient descent diverges with a rate $\eta >
#   2/\lambda_{max}$, by the power method: multiply and normalize. On the small network we can compare with
#   the eigenvalues of the whole matrix.

# %%
cost, w = cost_of(50)


def largest_curvature(cost, w, products):
    v = np.random.default_rng(1).standard_normal(w.size)
    for _ in range(products):
        v /= np.linalg.norm(v)
        hv = nnx.hvp(cost, w, v)
        v, eigenvalue = hv, v @ hv
    return eigenvalue


by_products = largest_curvature(cost, w, 60)
by_matrix = np.linalg.eigvalsh(nnx.hessian(cost)(w))[-1]
print(
    f"n = {w.size}: largest curvature {by_products:.6f} by 60 products, {by_matrix:.6f} by the whole Hessian"
)
assert abs(by_products / by_matrix - 1.0) < 1e-6  # (λ₂/λ₁)^120 is what the power method leaves

# %% [markdown]
# - **Newton's direction**, by conjugate gradients on $Hp = -g$: [`NewtonCG`][nnx.optimizers.NewtonCG], in a
#   trust region. It finds the minimum that [`Newton`][nnx.optimizers.Newton] finds, on $4n$ entries.

# %%


def valley(w):
    return np.sum(100.0 * (w[1:] - w[:-1] ** 2) ** 2 + (1.0 - w[:-1]) ** 2)


start = np.full(100, -0.5)
with_matrix = nnx.minimize(valley, start, method="newton")
with_products = nnx.minimize(valley, start, method="newton-cg")
for name, result in (("Newton", with_matrix), ("Newton-CG", with_products)):
    print(f"{name:10} {result.nit:4} iterations, cost {result.fun:.1e}, {result.message}")
assert with_matrix.fun < 1e-20 and with_products.fun < 1e-20

# %% [markdown]
# And on the lectures' network for MNIST, 784-512-512-10, with 669,706 weights and a batch of 128 random
# pictures, one product with a Hessian that would fill 1.8 TB in single precision:

# %%
layers = [Dense(512, "relu", input_shape=(784,)), Dense(512, "relu"), Dense(10)]
f, weights = nnx.Sequential(layers, backend="numpy", seed=0).as_function()
w = np.concatenate([part.ravel() for part in weights.values()])
pictures = random.uniform(size=(128, 784)).astype("float32")
digits = nnx.utils.to_categorical(random.integers(0, 10, 128), 10)


def crossentropy(w):
    return np.mean(nnx.losses.categorical_crossentropy(digits, f(w, pictures), from_logits=True))


v = random.standard_normal(w.size).astype("float32")
gradient, product = nnx.grad(crossentropy)(w), nnx.hvp(crossentropy, w, v)
(slow, gradient_peak), (slower, product_peak) = (
    measure(lambda: nnx.grad(crossentropy)(w)),
    measure(lambda: nnx.hvp(crossentropy, w, v)),
)
print(f"n = {w.size:,}, the Hessian would take {amount(4 * w.size**2, 'B')}")
print(f"gradient {1e3 * slow:6.1f} ms, {amount(gradient_peak, 'B')}")
print(f"product  {1e3 * slower:6.1f} ms, {amount(product_peak, 'B')}")
assert w.size == 669_706
assert product_peak < 20 * 4 * w.size  # a few vectors

# %% [markdown]
# ## What follows
#
# | weights | method |
# |---|---|
# | up to some thousands, sum of squares | [Levenberg–Marquardt](../derivations/levenberg_marquardt.md) |
# | up to about a thousand | [BFGS](../derivations/bfgs.md) |
# | many, cost on all data | L-BFGS, conjugate gradients, Newton-CG: a few vectors |
# | many weights and many data | [first-order rules](../derivations/first_order_rules.md) on mini-batches |
#
# First order pays with linear convergence. Which to take when: [choose](../choose.md).
