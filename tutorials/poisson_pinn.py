"""Poisson's equation by a network: Levenberg–Marquardt beside L-BFGS, BFGS and Adam.

−Δu = f on the unit square, u = 0 on its edge, with f = 2π² sin(πx) sin(πy), so that u = sin(πx) sin(πy) is
known. A network 2-20-20-1 takes the place of u. What is to vanish are the equation at points inside (its
second derivatives are those of the network by its inputs) and the network itself at points on the edge
(M. Raissi, P. Perdikaris, G. Karniadakis, Journal of Computational Physics 378 (2019) 686–707).

Run: python tutorials/poisson_pinn.py [--iterations 150] [--seed 0] [--picture poisson_pinn.png]
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import nnx
from nnx.layers import Dense

INSIDE, EDGE, WEIGHT = 500, 100, 10.0
#: a grid to measure the error and to draw the solution on
GRID = np.linspace(0.0, 1.0, 101)


def solution(x):
    """The known u at points, (n, 2) → (n, 1)."""
    return np.sin(np.pi * x[:, :1]) * np.sin(np.pi * x[:, 1:])


def points(seed):
    """Random points inside, and equally spaced ones on the four sides."""
    inside = np.random.default_rng(seed).uniform(size=(INSIDE, 2))
    t = np.linspace(0.0, 1.0, EDGE // 4)
    sides = [(t, 0.0 * t), (t, 0.0 * t + 1.0), (0.0 * t, t), (0.0 * t + 1.0, t)]
    return inside, np.concatenate([np.stack(side, axis=1) for side in sides])


def laplacian(u, x):
    """Δu at points: for each axis the derivative of the derivative along it."""
    total = 0.0
    for unit in np.eye(2):
        v = np.zeros_like(x) + unit
        total = total + nnx.jvp(lambda x, v=v: nnx.jvp(u, (x,), (v,))[1], (x,), (v,))[1]
    return total


def poisson(f, inside, edge):
    """The residuals of the network f(w, x) as a function of its weights w.

    Each belongs to one point, so least_squares finds all rows of their Jacobian in one pass back.
    """

    def equation(w, x):
        return (laplacian(lambda x: f(w, x), x) + 2.0 * np.pi**2 * solution(x)) / len(inside) ** 0.5

    def boundary(w, x):
        return WEIGHT * f(w, x) / len(edge) ** 0.5

    def residuals(w):
        return equation(w, inside), boundary(w, edge)

    return residuals


class Watch:
    """A callback that notes the relative L2 error of the network as time goes by."""

    def __init__(self, f, start, every=0.1):
        self.f, self.every = f, every
        self.x = np.stack([a.ravel() for a in np.meshgrid(GRID, GRID)], axis=1)
        self.exact = solution(self.x)
        self.begin, self.seconds, self.errors = time.perf_counter(), [], []
        self.note(start)

    def note(self, w):
        """The time, and ‖network − u‖ / ‖u‖ on the grid."""
        self.seconds.append(time.perf_counter() - self.begin)
        self.errors.append(np.linalg.norm(self.f(w, self.x) - self.exact) / np.linalg.norm(self.exact))

    def __call__(self, w):
        if time.perf_counter() - self.begin >= self.seconds[-1] + self.every:
            self.note(w)


def picture(path, watches, f, w):
    """The solution, its error, and the errors over time."""
    from matplotlib.figure import Figure

    watch = next(iter(watches.values()))
    u, exact = (values.reshape(len(GRID), -1) for values in (f(w, watch.x), watch.exact))
    figure = Figure(figsize=(14.0, 4.0), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.0, 1.0, 1.4))
    maps = ((left, u, "viridis", "network u(x, y)"), (middle, u - exact, "coolwarm", "its error"))
    for panel, values, colours, title in maps:
        most = abs(values).max()
        low = 0.0 if panel is left else -most
        drawn = panel.pcolormesh(GRID, GRID, values, cmap=colours, vmin=low, vmax=most, rasterized=True)
        panel.set(title=title, xlabel="x", ylabel="y", aspect="equal")
        figure.colorbar(drawn, ax=panel, shrink=0.85)
    for name, watch in watches.items():
        right.semilogy(watch.seconds, watch.errors, label=name)
    right.set(title="relative L2 error", xlabel="seconds")
    right.grid(alpha=0.3)
    right.legend()
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--iterations", type=int, default=150, help="of Levenberg–Marquardt")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--picture", default="poisson_pinn.png")
    args = parser.parse_args()

    layers = [Dense(20, "tanh", input_shape=(2,)), Dense(20, "tanh"), Dense(1)]
    model = nnx.Sequential(layers, dtype="float64", seed=args.seed)
    f, start = model.as_function()
    residuals = poisson(f, *points(args.seed))
    watches = {}

    def cost(w):
        return 0.5 * sum(np.sum(r**2) for r in residuals(w))

    def report(name, result, watch):
        watch.note(result.x)
        watches[name] = watch
        seconds, error = watch.seconds[-1], watch.errors[-1]
        print(f"{name:20} {seconds:8.1f} s {result.nit:7} iterations   error {error:.2e}")

    print(f"{model.count_params()} weights, {INSIDE} points inside, {EDGE} on the edge")
    watch = Watch(f, start)
    # geodesic: the second derivative of the residuals bends the step: a third of the iterations here.
    # damping and scaling are those of networks in fit, whose weights have like units.
    options = {"solver": "cholesky", "geodesic": True, "damping": "nielsen", "scaling": "identity"}
    options["maxiter"] = args.iterations
    best = nnx.least_squares(residuals, start, callback=watch, options=options)
    report("Levenberg–Marquardt", best, watch)
    # The others get the same time; Adam the constant rate of 0.001, 0.003, 0.01 and
    # 0.03 that lowers the cost most in 1500 iterations.
    limits = {"maxtime": watch.seconds[-1], "maxiter": 10**6}
    for name, method, own in (
        ("BFGS", "bfgs", {}),
        ("L-BFGS", "lbfgs", {}),
        ("Adam", "adam", {"learning_rate": 3e-3}),
    ):
        watch = Watch(f, start)
        report(name, nnx.minimize(cost, start, method=method, callback=watch, options=limits | own), watch)
    model.set_weights(best.x)
    picture(args.picture, watches, f, best.x)
    print(f"Picture: {args.picture}")


if __name__ == "__main__":
    main()
