"""Burgers' equation by a network: a shock from a sine, by Levenberg–Marquardt.

u_t + u·u_x = ν·u_xx on −1 < x < 1, 0 < t < 1, with ν = 0.01/π, u = −sin(πx) at t = 0 and u = 0 at x = ±1:
the sine steepens to a shock at x = 0. The solution is −sin(πx) + t·(1 − x²)·network(t, x), which has the
values at t = 0 and x = ±1 whatever the weights are; what is to vanish is the equation at points inside
(M. Raissi, P. Perdikaris, G. Karniadakis, Journal of Computational Physics 378 (2019) 686–707, section 3.1.1,
who reach a relative error of 6.7e-4). The known solution is that of E. Hopf and J. D. Cole, an integral, by
Gauss and Hermite's formula (C. Basdevant et al., Computers and Fluids 14 (1986) 23–41).

Run: python tutorials/burgers_pinn.py [--iterations 100] [--seed 0]
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import nnx
from nnx.layers import Dense

NU = 0.01 / np.pi
POINTS = 1500
#: what the relative L2 error must not exceed
ERROR = 1e-3


def exact(tx, nodes=200):
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
    """Random points (t, x): two thirds of them anywhere, the others where the shock will be."""
    random = np.random.default_rng(seed)
    t, x = random.uniform(size=POINTS), random.uniform(-1.0, 1.0, size=POINTS)
    x[: POINTS // 3] *= 0.1
    return np.stack([t, x], axis=1)


def solution(f, w, tx):
    """The function u that the network f(w, tx) stands for, (n, 2) → (n, 1)."""
    t, x = tx[:, :1], tx[:, 1:]
    return t * (1.0 - x**2) * f(w, tx) - np.sin(np.pi * x)


def burgers(f, tx):
    """The residuals of the equation at the points, as a function of the weights."""
    along_t, along_x = (np.zeros_like(tx) + unit for unit in np.eye(2))

    def residuals(w):
        def u(tx):
            return solution(f, w, tx)

        def u_x(tx):
            return nnx.jvp(u, (tx,), (along_x,))

        u_t = nnx.jvp(u, (tx,), (along_t,))[1]
        (value, slope), (_, curvature) = nnx.jvp(u_x, (tx,), (along_x,))
        return (u_t + value * slope - NU * curvature) / len(tx) ** 0.5

    return residuals


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--iterations", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    layers = [Dense(20, "tanh", input_shape=(2,)), Dense(20, "tanh"), Dense(20, "tanh"), Dense(1)]
    model = nnx.Sequential(layers, dtype="float64", seed=args.seed)
    f, start = model.as_function()
    grid = np.stack(np.meshgrid(np.linspace(0.0, 1.0, 101), np.linspace(-1.0, 1.0, 257)), axis=-1)
    grid = grid.reshape(-1, 2)
    known = exact(grid)

    def error(w):
        """‖u − known‖ / ‖known‖ on the grid."""
        return np.linalg.norm(solution(f, w, grid)[:, 0] - known) / np.linalg.norm(known)

    print(f"{model.count_params()} weights, {POINTS} points")
    begin, turn = time.perf_counter(), 0

    def report(w):
        nonlocal turn
        turn += 1
        if turn % 20 == 0:
            print(f"{turn:5} iterations {time.perf_counter() - begin:6.1f} s   error {error(w):.2e}")

    # geodesic: the second derivative of the residuals bends the step
    options = {"solver": "cholesky", "geodesic": True, "maxiter": args.iterations}
    best = nnx.least_squares(burgers(f, points(args.seed)), start, callback=report, options=options)
    reached = error(best.x)
    print(f"{best.nit:5} iterations {time.perf_counter() - begin:6.1f} s   error {reached:.2e}")
    assert reached < ERROR, f"The relative error is {reached:.2e}, not below {ERROR}."


if __name__ == "__main__":
    main()
