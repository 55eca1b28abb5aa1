"""Levenberg–Marquardt on small networks: time to the same mean squared error, from the same starts.

SciPy's least_squares(method="lm"), MINPACK, gets residuals and Jacobian written by hand in NumPy. The second
contender is the algorithm of nnx written by hand in NumPy for this one network: what is possible. Adam in
PyTorch takes all samples in each step, as the others do. A contender that does not get there gives up at the
task's limit. SciPy is left out where one QR of the whole Jacobian takes minutes.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial

import numpy as np
from _regression import ByHand, Reached, Run, Task, main, nnx_fit, torch_network

TASKS = [
    Task((1, 20, 1), 1_000, 1e-8, limit=20.0),
    Task((1, 20, 1), 10_000, 1e-8, limit=20.0),
    Task((10, 30, 1), 10_000, 1e-4),
    Task((8, 50, 3), 10_000, 1e-3, starts=1, limit=240.0),
    Task((10, 30, 1), 100_000, 1e-4, starts=1, limit=120.0),
    Task((8, 50, 3), 100_000, 1e-3, starts=1, limit=120.0),
]
ADAM_RATE = 1e-2


def scipy_lm(task: Task, seed: int) -> Run:
    from scipy.optimize import least_squares

    net, clock, steps = ByHand(task), None, 0

    def residual(w):
        r = net.forward(w)[1]
        clock.check(float(np.vdot(r, r)))
        return r.T.ravel()

    def jacobian(w):
        nonlocal steps
        steps += 1
        h, _, last = net.forward(w)
        return net.jacobian(h, last)

    w = np.concatenate([part.ravel() for part in task.start(seed)])
    clock = task.clock()
    with suppress(Reached):
        least_squares(residual, w, jacobian, method="lm", xtol=1e-15, ftol=1e-15, gtol=1e-15, max_nfev=10**6)
    return clock.run(steps)


def by_hand(task: Task, seed: int) -> Run:
    """Nielsen's rule with μ in units of the largest number of diag(JᵀJ) at the start, as in nnx."""
    from scipy.linalg import cho_factor, cho_solve

    net = ByHand(task)
    w = np.concatenate([part.ravel() for part in task.start(seed)])
    clock = task.clock()
    h, r, last = net.forward(w)
    cost, mu, nu, steps, scale = float(np.vdot(r, r)), 1e-3, 2.0, 0, None
    while not clock.over(cost):
        steps += 1
        matrix, g, at = np.zeros((net.size, net.size)), np.zeros(net.size), 0
        rows = r.T.ravel()
        for j in net.rows(h, last):
            matrix += j.T @ j
            g += rows[at : at + len(j)] @ j
            at += len(j)
        scale = scale or np.max(np.diagonal(matrix))
        while True:
            damped = matrix.copy()
            damped.flat[:: net.size + 1] += mu * scale
            p = cho_solve(cho_factor(damped, lower=True, overwrite_a=True), -g)
            h, r, last = net.forward(w + p)
            found = float(np.vdot(r, r))
            promised = -(2.0 * g @ p + p @ (matrix @ p))
            gain = (cost - found) / promised
            if gain > 0.0:
                break
            mu, nu = mu * nu, 2.0 * nu
        w, cost = w + p, found
        mu, nu = mu * max(1.0 / 3.0, 1.0 - (2.0 * min(gain, 1.0) - 1.0) ** 3), 2.0
    return clock.run(steps)


def by_columns(task: Task, seed: int) -> Run:
    import nnx

    return nnx_fit(nnx.optimizers.LevenbergMarquardt(scaling="jac"), task, seed)


def torch_adam(task: Task, seed: int) -> Run:
    import torch

    model, x, y = torch_network(task, seed)
    optimizer, cost = torch.optim.Adam(model.parameters(), ADAM_RATE), torch.nn.MSELoss()
    clock, steps = task.clock(), 0
    while True:
        optimizer.zero_grad()
        loss = cost(model(x), y)
        if clock.over(loss.item()):
            return clock.run(steps)
        loss.backward()
        optimizer.step()
        steps += 1


SCIPY = "SciPy lm (Jacobian by hand)"


def left_out(task: Task, name: str) -> bool:
    return name == SCIPY and task.samples * task.sizes[2] > 50_000


if __name__ == "__main__":
    main(
        __file__,
        TASKS,
        {
            SCIPY: scipy_lm,
            "LM by hand in NumPy": by_hand,
            "nnx fit": partial(nnx_fit, "levenberg_marquardt"),
            "nnx fit (scaling by columns)": by_columns,
            "PyTorch Adam": torch_adam,
        },
        "Levenberg–Marquardt: time to the same mse",
        left_out,
    )
