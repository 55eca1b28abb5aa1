"""Burgers' equation by a network: a shock from a sine, by Levenberg–Marquardt.

u_t + u·u_x = ν·u_xx on −1 < x < 1, 0 < t < 1, with ν = 0.01/π, u = −sin(πx) at t = 0 and u = 0 at x = ±1:
the sine steepens to a shock at x = 0. The solution is −sin(πx) + t·(1 − x²)·network(t, x), which has the
values at t = 0 and x = ±1 whatever the weights are; what is to vanish is the equation at points inside
(M. Raissi, P. Perdikaris, G. Karniadakis, Journal of Computational Physics 378 (2019) 686–707, section 3.1.1,
who reach a relative error of 6.7e-4). The known solution is that of E. Hopf and J. D. Cole, an integral, by
Gauss and Hermite's formula (C. Basdevant et al., Computers and Fluids 14 (1986) 23–41).

From a random start the network settles on a wrong function without the shock. So the same equation is solved
with ten times the viscosity first, then with three times, each from the weights of the one before.

Run: python tutorials/burgers_pinn.py [--iterations 60] [--seed 0]
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import nnx
from nnx.layers import Dense

NU = 0.01 / np.pi
POINTS = 2000
#: the viscosities on the way, in multiples of ν, and the iterations with each
STAGES = ((10.0, 40), (3.0, 40))
#: what the relative L2 error must not exceed
ERROR = 1e-3


def exact(tx, nodes=100):
    """The solution at points (t, x), (n, 2) → (n,): two integrals over the heat kernel, each by a sum.

    u = −∫ sin(π(x − η))·f(x − η)·G(η) dη / ∫ f(x − η)·G(η) dη with f(y) = exp(−cos(πy)/(2πν)) and
    G(η) = exp(−η²/(4νt)).
    """
    z, weights = np.polynomial.hermite.hermgauss(nodes)
    t, x = tx[:, :1], tx[:, 1:]
    y = x - np.sqrt(4.0 * NU * t) * z
    exponent = -np.cos(np.pi * y) / (2.0 * np.pi * NU)
    f = weights * np.exp(exponent - exponent.max(axis=1, keepdims=True))
    return -np.sum(np.sin(np.pi * y) * f, axis=1) / np.sum(f, axis=1)


def points(seed):
    """Random points (t, x), the denser the nearer to x = 0, where the shock will be."""
    random = np.random.default_rng(seed)
    t, x = random.uniform(size=POINTS), random.uniform(-1.0, 1.0, size=POINTS)
    return np.stack([t, x * abs(x)], axis=1)


def solution(f, w, tx):
    """The function u that the network f(w, tx) stands for, (n, 2) → (n, 1)."""
    t, x = tx[:, :1], tx[:, 1:]
    return t * (1.0 - x**2) * f(w, tx) - np.sin(np.pi * x)


def burgers(f, tx, nu):
    """The residuals of the equation with viscosity ``nu`` at the points, as a function of the weights."""
    along_t, along_x = (np.zeros_like(tx) + unit for unit in np.eye(2))

    def residuals(w):
        def u(tx):
            return solution(f, w, tx)

        def u_x(tx):
            return nnx.jvp(u, (tx,), (along_x,))

        u_t = nnx.jvp(u, (tx,), (along_t,))[1]
        (value, slope), (_, curvature) = nnx.jvp(u_x, (tx,), (along_x,))
        return (u_t + value * slope - nu * curvature) / len(tx) ** 0.5

    return residuals


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--iterations", type=int, default=60, help="with the viscosity of the equation")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    layers = [Dense(16, "tanh", input_shape=(2,)), Dense(16, "tanh"), Dense(16, "tanh"), Dense(1)]
    model = nnx.Sequential(layers, dtype="float64", seed=args.seed)
    f, w = model.as_function()
    t, x = np.meshgrid(np.linspace(0.0, 1.0, 101), np.linspace(-1.0, 1.0, 257))
    grid, tx = np.stack([t.ravel(), x.ravel()], axis=1), points(args.seed)
    known = exact(grid)
    print(f"{model.count_params()} weights, {POINTS} points")
    begin = time.perf_counter()
    for multiple, iterations in (*STAGES, (1.0, args.iterations)):
        # geodesic: the second derivative of the residuals bends the step
        # damping and scaling as in fit: the weights of a network have like units
        options = {"solver": "cholesky", "geodesic": True, "damping": "nielsen", "scaling": "identity"}
        options["maxiter"] = iterations
        result = nnx.least_squares(burgers(f, tx, multiple * NU), w, options=options)
        w, seconds = result.x, time.perf_counter() - begin
        error = np.linalg.norm(solution(f, w, grid)[:, 0] - known) / np.linalg.norm(known)
        print(f"viscosity {multiple:4} ν {seconds:6.1f} s {result.nit:5} iterations   error {error:.2e}")
    model.set_weights(w)
    assert error < ERROR, f"The relative L2 error is {error:.2e}, not below {ERROR}."


if __name__ == "__main__":
    main()
