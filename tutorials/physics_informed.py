# %% [markdown]
# # A physics-informed network
#
# A network can solve a differential equation: it takes the place of the solution, and what is trained to
# vanish is the equation itself. This page solves Poisson's equation with a network of 501 weights.
# Levenberg–Marquardt trains it to a relative error below $10^{-5}$, and BFGS, L-BFGS and Adam get the same
# time. The page takes about 20 seconds.
#
# Derivations: [Levenberg–Marquardt](../derivations/levenberg_marquardt.md), [how the derivatives
# nest](../derivations/autodiff.md). A second equation, with a shock, is solved in [Burgers'
# equation](burgers_pinn.md).

# %%
import time

import matplotlib.pyplot as plt
import numpy as np

import nnx
from nnx.layers import Dense

# %% [markdown]
# ## The equation
#
# $$ -\Delta u = f \quad\text{on the unit square}, \qquad u = 0 \quad\text{on its edge}, \qquad
#    f = 2\pi^2 \sin(\pi x)\sin(\pi y). $$
#
# It is the shape of a membrane under a load. Its solution is known, $u = \sin(\pi x)\sin(\pi y)$, so the
# error can be measured. The training never sees it.

# %%


def exact(x):
    """The known solution at points, (n, 2) → (n, 1)."""
    return np.sin(np.pi * x[:, :1]) * np.sin(np.pi * x[:, 1:])


def load(x):
    return 2.0 * np.pi**2 * exact(x)


random = np.random.default_rng(0)
inside = random.uniform(size=(500, 2))
t = np.linspace(0.0, 1.0, 25)
sides = [(t, 0.0 * t), (t, 0.0 * t + 1.0), (0.0 * t, t), (0.0 * t + 1.0, t)]
edge = np.concatenate([np.stack(side, axis=1) for side in sides])

# %% [markdown]
# ## The network and its Laplacian
#
# [`as_function`][nnx.Model.as_function] gives the network as a pure function $u(w, x)$. The second
# derivatives by the *inputs* are two nested forward derivatives ([`nnx.jvp`][nnx.jvp]) along each axis. A
# network of tanh is smooth, so they are exact.

# %%
layers = [Dense(20, "tanh", input_shape=(2,)), Dense(20, "tanh"), Dense(1)]
model = nnx.Sequential(layers, dtype="float64", seed=0)
network, weights = model.as_function()
start = {name: nnx.to_numpy(part) for name, part in weights.items()}
print(f"{model.count_params()} weights, {len(inside)} points inside, {len(edge)} on the edge")


def laplacian(u, x):
    """Δu at points: for each axis the derivative of the derivative along it."""
    total = 0.0
    for unit in np.eye(2):
        v = np.zeros_like(x) + unit
        total = total + nnx.jvp(lambda x, v=v: nnx.jvp(u, (x,), (v,))[1], (x,), (v,))[1]
    return total


# The Laplacian of the known solution is minus the load: 1e-12 is rounding.
np.testing.assert_allclose(laplacian(exact, inside), -load(inside), atol=1e-12)

# %% [markdown]
# ## The residuals
#
# What is to vanish: the equation at the points inside, and the network at the points on the edge, with a
# weight of 10. Their squares add up to the cost, so the problem is one of least squares, and
# Levenberg–Marquardt's.

# %%


def residuals(w):
    equation = laplacian(lambda x: network(w, x), inside) + load(inside)
    return equation / len(inside) ** 0.5, 10.0 * network(w, edge) / len(edge) ** 0.5


def cost(w):
    return 0.5 * sum(np.sum(r**2) for r in residuals(w))


print(f"cost at the start {cost(start):.2f}")

# %% [markdown]
# ## Training
#
# [`nnx.least_squares`][nnx.least_squares] finds the Jacobian, 600 rows and 501 columns. It notices that
# each residual belongs to one point and computes all rows in one pass back. Options: the damping and
# scaling of networks, and `geodesic`, which bends each step by the second derivative of the residuals along
# it.

# %%
GRID = np.linspace(0.0, 1.0, 101)
points = np.stack([a.ravel() for a in np.meshgrid(GRID, GRID)], axis=1)


class Watch:
    """A callback that notes the relative error of the network as time goes by."""

    def __init__(self):
        self.begin, self.seconds, self.errors = time.perf_counter(), [], []
        self(start)

    def __call__(self, w):
        self.seconds.append(time.perf_counter() - self.begin)
        self.errors.append(np.linalg.norm(network(w, points) - exact(points)) / np.linalg.norm(exact(points)))


watches = {"Levenberg–Marquardt": Watch()}
options = {
    "solver": "cholesky",
    "geodesic": True,
    "damping": "nielsen",
    "scaling": "identity",
    "maxiter": 80,
}
solved = nnx.least_squares(residuals, start, callback=watches["Levenberg–Marquardt"], options=options)
error = watches["Levenberg–Marquardt"].errors[-1]
seconds = watches["Levenberg–Marquardt"].seconds[-1]
print(f"{solved.nit} iterations, {seconds:.1f} s, relative L2 error {error:.1e}")
assert error < 1e-5

# %% [markdown]
# The others get the cost, its gradient and the same time. (Adam's rate is the best of 0.001, 0.003, 0.01
# and 0.03.)

# %%
limits = {"maxtime": seconds, "maxiter": 10**6}
for name, method, own in (
    ("BFGS", "bfgs", {}),
    ("L-BFGS", "lbfgs", {}),
    ("Adam", "adam", {"learning_rate": 3e-3}),
):
    watches[name] = Watch()
    result = nnx.minimize(cost, start, method=method, callback=watches[name], options=limits | own)
    print(f"{name:7} {result.nit:5} iterations, relative L2 error {watches[name].errors[-1]:.1e}")
    assert watches[name].errors[-1] > 5.0 * error, "Levenberg–Marquardt was not the best"

# %%
# figure: the network's solution, a hump; its error, of the order of 1e-6; the four methods' errors over time
u, off = (
    values.reshape(len(GRID), -1)
    for values in (network(solved.x, points), network(solved.x, points) - exact(points))
)
figure, (left, middle, right) = plt.subplots(
    1, 3, figsize=(13.0, 3.8), width_ratios=(1.0, 1.0, 1.3), layout="constrained"
)
for ax, values, colours, title in (
    (left, u, "viridis", "network u(x, y)"),
    (middle, off, "coolwarm", "its error"),
):
    most = abs(values).max()
    image = ax.pcolormesh(
        GRID, GRID, values, cmap=colours, vmin=0.0 if ax is left else -most, vmax=most, rasterized=True
    )
    ax.set(title=title, xlabel="x", ylabel="y", aspect="equal")
    figure.colorbar(image, ax=ax, shrink=0.85)
for name, watch in watches.items():
    right.semilogy(watch.seconds, watch.errors, label=name)
right.set(title="relative L2 error", xlabel="seconds")
right.legend()
right.grid(alpha=0.3)

# %% [markdown]
# ## Back into the model
#
# `set_weights` takes what was found. From here on the solution is a model like any other: it predicts, it
# can be saved, and it can be differentiated.

# %%
model.set_weights(solved.x)
middle_value = model.predict(np.array([[0.5, 0.5]]))[0, 0]
slope = nnx.grad(lambda x: network(solved.x, x)[0, 0])(np.array([[0.0, 0.5]]))
print(f"u(½, ½) = {middle_value:.7f} (exact 1), ∂u/∂x(0, ½) = {slope[0, 0]:.6f} (exact π)")
# u is off by at most a few times the mean error; a derivative on the edge by about ten times more.
assert abs(middle_value - 1.0) < 10.0 * error
assert abs(slope[0, 0] - np.pi) < 1e-3

# %% [markdown]
# Source: M. Raissi, P. Perdikaris, G. Karniadakis, Journal of Computational Physics 378 (2019) 686–707.
