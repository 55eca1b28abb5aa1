# %% [markdown]
# # Running on CuPy
#
# nnx computes on the arrays that it is given: NumPy's on the processor, [CuPy's](https://cupy.dev) on an
# NVIDIA GPU. This page shows what changes in your code (little) and what it costs to move data (much, so
# that one moves them seldom). It runs on any machine: it takes CuPy where there is a GPU, else NumPy, and
# says which.
#
# The details are on the page [backends](../backends.md).

# %%
import time

import matplotlib.pyplot as plt
import numpy as np

import nnx
from nnx.backend import make_backend, namespace, synchronize

available = nnx.available_backends()
for name, state in available.items():
    print(f"{name:17} {state}")
BACKEND = "cupy" if available["cupy"] == "ok" else "numpy"
gpu = make_backend(BACKEND)
print(f"\nThis page was computed on: {gpu.name}, device {gpu.device}")

# %% [markdown]
# To try it with a GPU, install nnx from a copy of the repository with the extra for your driver's CUDA,
# `pip install '.[cupy13]'` or `'.[cupy12]'`, and run this file again. Where CuPy cannot be used, the
# error says which of three things is missing: the package, a usable GPU, or a CUDA library.

# %%
try:
    with nnx.use_backend("cupy"):
        print("CuPy works here.")
except nnx.errors.BackendUnavailable as error:
    print(f"{type(error).__name__}: {error}")

# %% [markdown]
# ## Derivatives: nothing changes
#
# A function that takes its namespace from its argument runs on every library. `nnx.grad` answers with an
# array of the same library on the same device. (NumPy calls such as `np.tanh(x)` work too inside `nnx.grad`
# and on CuPy's arrays.) We run one function on every library that is installed here.

# %%


def logsumexp(x):
    xp = namespace(x)
    top = xp.max(x)
    return top + xp.log(xp.sum(xp.exp(x - top)))


numbers = np.linspace(-1.0, 2.0, 5)
known = np.exp(numbers) / np.exp(numbers).sum()  # the gradient of log-sum-exp is the softmax
for name in (name for name, state in available.items() if state == "ok"):
    x = make_backend(name).asarray(numbers)
    gradient = nnx.grad(logsumexp)(x)
    print(
        f"{name:17} {type(gradient).__module__}.{type(gradient).__name__}: {nnx.to_numpy(gradient).round(4)}"
    )
    assert type(gradient) is type(x)
    np.testing.assert_allclose(nnx.to_numpy(gradient), known, rtol=1e-12)

# %% [markdown]
# ## Models: one word changes
#
# | | holds |
# |---|---|
# | `NNX_BACKEND=cupy` in the environment | for the whole program, which stays as it is |
# | `nnx.set_backend("cupy")` | from here on |
# | `with nnx.use_backend("cupy"):` | in this block |
# | `nnx.Sequential([...], backend="cupy")` | for this model |
#
# The data may stay NumPy arrays. The model moves them, and `predict` answers in the kind of array that it
# was given. Random numbers are computed from counters, the same on every library: same seed, same first
# weights, same shuffles, same dropout. So a training on the GPU follows the one on the processor, up to
# rounding.

# %%
x, y = nnx.datasets.spiral(600, n_classes=3, noise=0.1, seed=0)
losses, starts = {}, {}
for name in dict.fromkeys(("numpy", BACKEND, *(n for n in ("torch",) if available[n] == "ok"))):
    model = nnx.Sequential(
        [
            nnx.layers.Dense(32, "tanh", input_shape=(2,)),
            nnx.layers.Dropout(0.1),
            nnx.layers.Dense(3, "softmax"),
        ],
        backend=name,
        seed=1,
    )
    model.compile(nnx.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    starts[name] = nnx.to_numpy(model.layers[0].get_weights()[0])
    losses[name] = model.fit(x, y, batch_size=50, epochs=5, verbose=0).history["loss"]
    answer = model.predict(x)
    print(f"{name:7} losses {np.round(losses[name], 6)}, predict gives {type(answer).__name__}")
    assert type(answer) is np.ndarray
for name in losses:
    np.testing.assert_array_equal(starts[name], starts["numpy"])  # bit for bit: drawn on the host
    np.testing.assert_allclose(losses[name], losses["numpy"], rtol=1e-3)  # float32, 60 steps

# %% [markdown]
# ## What does change
#
# | with NumPy | on a GPU | why |
# |---|---|---|
# | `np.asarray(x)`, Matplotlib, pandas | `nnx.to_numpy(x)` first | a GPU's array never moves by itself |
# | `float(loss)`, `if loss < best:` | seldom, not in every step | the processor waits for the GPU |
# | `x + np.ones(3)` | `x + xp.ones(3)`, with `xp = namespace(x)` | both must be on one device |
# | `dtype="float64"` freely | float32 where it is enough | consumer GPUs are many times slower in double |
# | small arrays are fine | large ones, large batches | each call has a fixed cost |
#
# The library array-api-strict has a device that behaves like a GPU in the first and third row, and nnx is
# tested on it. Where it is installed, these are its answers:

# %%
if available["array_api_strict"] == "ok":
    far = make_backend("array_api_strict", device="device1").asarray(np.ones(3))
    for words, careless in (("np.asarray(x)", np.asarray), ("x + np.ones(3)", lambda x: x + np.ones(3))):
        try:
            careless(far)
        except (RuntimeError, TypeError) as error:
            print(f"{words:15} {type(error).__name__}: {error}")
        else:
            raise AssertionError(f"{words} should have been refused")
    print("nnx.to_numpy(x)", nnx.to_numpy(far))

# %% [markdown]
# ## What it costs to move data
#
# `backend.asarray(x)` copies an array to the device, `nnx.to_numpy(x)` copies it back and waits until it is
# there. We time both beside one matrix product on the device. `synchronize` waits for the device: without
# it one would time the call, not the work.

# %%


def seconds(job, repeats=5):
    """The least of a few times: what else the machine does only adds to it."""
    times = []
    for _ in range(repeats):
        synchronize(gpu)
        begin = time.perf_counter()
        job()
        synchronize(gpu)
        times.append(time.perf_counter() - begin)
    return min(times)


sizes = [64, 128, 256, 512, 1024]
rows = {"there": [], "back": [], "product": []}
for n in sizes:
    here = np.random.default_rng(0).standard_normal((n, n)).astype("float32")
    there = gpu.asarray(here)
    rows["there"].append(seconds(lambda a=here: gpu.asarray(a)))
    rows["back"].append(seconds(lambda a=there: nnx.to_numpy(a)))
    rows["product"].append(seconds(lambda a=there: a @ a))
    columns = "  ".join(f"{name} {1e6 * row[-1]:10.1f} µs" for name, row in rows.items())
    print(f"{n:5} × {n:<5} {4e-6 * n * n:6.2f} MB   {columns}")

# %% [markdown]
# The matrix has $n^2$ entries to move, the product $2n^3$ operations to do: the larger the matrix, the less
# moving matters. On NumPy moving costs nothing, whatever the size, because nothing is moved: the array *is*
# the same memory.

# %%
if BACKEND == "numpy":
    assert np.shares_memory(gpu.asarray(here), here)
    assert np.shares_memory(nnx.to_numpy(there), there)
    # No copy: 256 times the data take no longer. (A factor of 50 leaves room for a busy machine.)
    assert rows["there"][-1] < 50 * rows["there"][0]

# %%
# figure: times of moving a matrix there and back and of one product with it, against its size.
figure, ax = plt.subplots(figsize=(6.5, 4.0), layout="constrained")
for (name, row), mark in zip(rows.items(), "o^s", strict=True):
    ax.loglog(sizes, row, mark + "-", label=name)
ax.set(xlabel="n, matrix n × n in float32", ylabel="seconds", title=f"Moving and computing on {BACKEND}")
ax.legend()
ax.grid(alpha=0.3)

# %% [markdown]
# ## So nnx moves them once
#
# In `fit` data of up to 1 GiB move to the device once, at the beginning; larger data stay where they are
# and each batch moves when it is used. Losses and metrics add up on the device and are read for the
# progress bar, at the end of an epoch and every 64 steps. If you call a model many times yourself, do the
# same: move first, then loop.

# %%
on_device = gpu.asarray(x)
with nnx.use_backend(BACKEND):
    fresh = nnx.Sequential([nnx.layers.Dense(3, "softmax", input_shape=(2,))], seed=1)
answer = fresh.predict(on_device)  # in the kind of array that it was given: it has not left the device
print(type(answer).__module__, type(answer).__name__, tuple(answer.shape))
assert type(answer) is type(on_device)

# %% [markdown]
# ## Figures measured on a GPU
#
# There are none on this page unless it says above that it was computed on cupy. What was seen on a GPU so
# far stands in [backends](../backends.md#seen-on-a-gpu). `nox -s gpu` finds out in eight minutes what your
# card does: CuPy's own kernels, trainings beside NumPy's with the same seeds, speed, and how often a
# training step waits for the device.
