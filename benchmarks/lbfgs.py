"""L-BFGS on small networks: time to the same cost, from the same starts; ten pairs are kept by each.

SciPy's L-BFGS-B gets a gradient written by hand in NumPy; PyTorch's LBFGS searches with the strong Wolfe
conditions, as nnx does. The last task is a classifier of the 8×8 digits, softmax with cross-entropy.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from _regression import ByHand, Reached, Run, Task, main, nnx_fit, torch_network


@dataclass(frozen=True)
class Digits(Task):
    """The handwritten digits in 64 numbers, and their ten classes."""

    loss, head = "categorical_crossentropy", "softmax"

    @cached_property
    def data(self):
        from nnx.datasets import digits

        (x, kind), _ = digits.load_data()
        x, kind = x[: self.samples], kind[: self.samples]
        return np.reshape(x, (len(x), -1)) / np.max(x), np.eye(10)[kind]

    def __str__(self) -> str:
        return "digits"


class ClassifierByHand(ByHand):
    """The network with softmax and cross-entropy."""

    def cost_and_gradient(self, w):
        self.scale, y = 1.0, self.y
        h, z, last = self.forward(w)
        z += y  # forward takes the targets off
        z -= z.max(axis=1, keepdims=True)
        e = np.exp(z)
        total = e.sum(axis=1, keepdims=True)
        cost = float(np.mean(np.log(total[:, 0]) - np.sum(y * z, axis=1)))
        return cost, self.gradient((e / total - y) / len(y), h, last)


TASKS = [
    Task((1, 20, 1), 1_000, 1e-5),
    Task((1, 20, 1), 10_000, 1e-5),
    Task((10, 30, 1), 10_000, 1e-3),
    Task((8, 50, 3), 10_000, 1e-2),
    Task((8, 50, 3), 100_000, 1e-2, starts=1),
    Digits((64, 32, 10), 1_000, 1e-3),
]


def scipy_lbfgs(task: Task, seed: int) -> Run:
    from scipy.optimize import minimize

    net = ClassifierByHand(task) if isinstance(task, Digits) else ByHand(task)
    clock, steps = None, 0

    def cost(w):
        value, g = net.cost_and_gradient(w)
        clock.check(value)
        return value, g

    def count(_):
        nonlocal steps
        steps += 1

    w = np.concatenate([part.ravel() for part in task.start(seed)])
    limits = {"maxcor": 10, "maxiter": 10**6, "maxfun": 10**6, "ftol": 0.0, "gtol": 0.0}
    clock = task.clock()
    with suppress(Reached):
        minimize(cost, w, jac=True, method="L-BFGS-B", callback=count, options=limits)
    return clock.run(steps)


def torch_lbfgs(task: Task, seed: int) -> Run:
    import torch

    model, x, y = torch_network(task, seed)
    cost = torch.nn.CrossEntropyLoss() if isinstance(task, Digits) else torch.nn.MSELoss()
    optimizer = torch.optim.LBFGS(
        model.parameters(), max_iter=10**6, max_eval=10**7, history_size=10,
        tolerance_grad=0.0, tolerance_change=0.0, line_search_fn="strong_wolfe",
    )  # fmt: skip

    def closure():
        optimizer.zero_grad()
        loss = cost(model(x), y)
        clock.check(loss.item())
        loss.backward()
        return loss

    clock = task.clock()
    with suppress(Reached):
        optimizer.step(closure)
    return clock.run(optimizer.state[next(iter(model.parameters()))]["n_iter"])


if __name__ == "__main__":
    main(
        __file__,
        TASKS,
        {
            "SciPy L-BFGS-B (gradient by hand)": scipy_lbfgs,
            "nnx fit": partial(nnx_fit, "lbfgs"),
            "PyTorch LBFGS (strong Wolfe)": torch_lbfgs,
        },
        "L-BFGS: time to the same cost",
        lambda task, name: False,
    )
