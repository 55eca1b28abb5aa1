"""Levenberg–Marquardt by hand in PyTorch, for a network with one hidden layer: what nnx is compared with.

The same rule as in benchmarks/levenberg_marquardt.py, by hand in NumPy: Nielsen's, μ in units of the largest
entry of the diagonal of JᵀJ at the start.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np


class Levenberg:
    """The task of benchmarks/_regression.py on a device of PyTorch, in float64."""

    def __init__(self, task: Any, device: str, seed: int = 0) -> None:
        import torch

        self.torch, self.task = torch, task
        self.x, self.y = (torch.from_numpy(a).to(device) for a in task.data)
        start = np.concatenate([part.ravel() for part in task.start(seed)])
        self.start = torch.from_numpy(start).to(device)
        inputs, units, outputs = task.sizes
        self.parts = [inputs * units, units, units * outputs, outputs]
        self.scale = 1.0 / math.sqrt(self.y.numel())

    def forward(self, w: Any) -> tuple[Any, Any, Any]:
        """The hidden layer's output, the residuals r with ‖r‖² the mse, and the last kernel."""
        inputs, units, outputs = self.task.sizes
        a, b, c, d = self.torch.split(w, self.parts)
        h = self.torch.tanh(self.torch.addmm(b, self.x, a.view(inputs, units)))
        last = c.view(units, outputs)
        return h, (self.torch.addmm(d, h, last) - self.y) * self.scale, last

    def jacobian(self, h: Any, last: Any) -> Any:
        """∂r/∂w, the rows of output 0 first."""
        inputs, units, outputs = self.task.sizes
        n, (p, q, s, _) = len(h), np.cumsum(self.parts).tolist()
        j = self.torch.zeros((outputs, n, q + self.parts[2] + outputs), dtype=h.dtype, device=h.device)
        for k in range(outputs):
            slope = (1.0 - h * h) * (self.scale * last[:, k])
            j[k, :, :p] = (self.x[:, :, None] * slope[:, None, :]).reshape(n, inputs * units)
            j[k, :, p:q] = slope
            j[k, :, q + k : s : outputs] = self.scale * h
            j[k, :, s + k] = self.scale
        return j.view(outputs * n, -1)

    def run(self) -> Any:
        """The training to the goal; one number is read back for each trial step, as the rule needs it."""
        torch, clock, w = self.torch, self.task.clock(), self.start.clone()
        h, r, last = self.forward(w)
        cost, mu, nu, steps, scale = float((r * r).sum()), 1e-3, 2.0, 0, None
        while not clock.over(cost):
            steps += 1
            j = self.jacobian(h, last)
            matrix, g = j.T @ j, j.T @ r.T.reshape(-1)
            scale = torch.max(torch.diagonal(matrix)) if scale is None else scale
            while True:
                damped = matrix + torch.diag((mu * scale).expand(len(w)))
                p = torch.cholesky_solve(-g[:, None], torch.linalg.cholesky_ex(damped)[0])[:, 0]
                h, r, last = self.forward(w + p)
                promised = -(2.0 * (g @ p) + p @ (matrix @ p))
                found, expected = torch.stack([(r * r).sum(), promised]).tolist()
                gain = (cost - found) / expected if expected > 0.0 else -1.0
                if gain > 0.0 or clock.over(cost):
                    break
                mu, nu = mu * nu, 2.0 * nu
            if gain <= 0.0:
                break
            w, cost = w + p, found
            mu, nu = mu * max(1.0 / 3.0, 1.0 - (2.0 * min(gain, 1.0) - 1.0) ** 3), 2.0
        return clock.run(steps)
