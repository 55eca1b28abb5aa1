"""Averages of the weights in place of a falling learning rate: schedule-free AdamW."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nnx.optimizers.first_order.averages import mean_square
from nnx.optimizers.first_order.base import FirstOrder, Rule
from nnx.optimizers.options import LearningRate
from nnx.optimizers.problem import Problem, registry
from nnx.optimizers.state import State
from nnx.options import fraction, number

Array = Any


def schedule_free(
    xp: Any, y: Array, g: Array, z: Array, s: Array,
    eta: float, correction: float, gain: float, epsilon: float, part: float, beta: float, inverse: float,
) -> tuple[Array, ...]:  # fmt: skip
    """The rule s ← β₂s + (1−β₂)g²;  z ← z − ηg/(√ŝ + ε);  x ← x + (z − x)/t;  y ← z + β₁(x − z)."""
    s = mean_square(s, g, gain)
    x = z + inverse * (y - z)  # y = (1−β₁)z + β₁x, solved for x
    step = eta * g
    step /= xp.sqrt(correction * s) + epsilon
    z = z - step
    x += part * (z - x)
    return z + beta * (x - z), z, s


@registry.register(
    "schedule_free_adamw",
    formula="z ← z − ηg/(√ŝ + ε);  x ← x + (z − x)/t;  w ← (1−β₁)z + β₁x",
    source="Defazio et al. 2024",
)
@dataclass(frozen=True)
class ScheduleFreeAdamW(FirstOrder):
    """Schedule-free AdamW: z ← z − ηg/(√ŝ + ε); x ← (1 − 1/t)x + z/t; w ← (1−β₁)z + β₁x, t = 1, 2, ...

    z takes the steps, x is the mean of all z, and the gradient is taken at the weights w between them; s is
    Adam's, ŝ = s/(1−β₂ᵗ). The mean takes the place of a decaying learning rate, and the end of training need
    not be known. In the first ``warmup_steps`` steps η rises along a line.

    It follows Keras 3.15, which differs from the paper in three places. The weights of the model are w during
    training and after it, where the paper judges and keeps x = z + (w − z)/β₁; ``state.slots["momentum"]`` is
    z. All z count the same in the mean, where the paper weights them by η² (a warm-up, a schedule make a
    difference). ``weight_decay`` shrinks w before the step, and so x alone; in the paper −ηλw is a part of
    the step of z. Keras on PyTorch is left aside: it writes z in place, and takes the new one for the old
    one; the numbers here are those of its NumPy backend. Further options: :class:`nnx.optimizers.FirstOrder`.
    Source: A. Defazio et al., "The road less scheduled", NeurIPS 2024, arXiv:2405.15682, algorithm 1.

    >>> method, steps = nnx.optimizers.ScheduleFreeAdamW(0.1), {"maxiter": 200}
    >>> nnx.minimize(lambda x: np.sum((x - 3.0) ** 2), [0.0], method=method, options=steps).x.round(1)
    array([3.])
    """

    learning_rate: LearningRate = 0.0025
    beta_1: float = number(0.9, above=0.0, below=1.0)
    beta_2: float = fraction(0.999)
    epsilon: float = number(1e-8, least=0.0)
    warmup_steps: float = number(0, least=0.0)

    @property
    def rule(self) -> Rule:
        return schedule_free

    def slots(self) -> dict[str, float]:
        return {"momentum": 0.0, "velocity": 0.0}

    def init(self, problem: Problem, w: Array) -> State:
        state = super().init(problem, w)
        state.slots["momentum"][...] = w
        return state

    def scalars(self, rate: float, state: State) -> tuple[float, ...]:
        t = state.step + 1
        eta = rate * min(t / self.warmup_steps, 1.0) if self.warmup_steps else rate
        correction = 1.0 / (1.0 - self.beta_2**t)
        gains = 1.0 - self.beta_2, self.epsilon, 1.0 / t
        return eta, correction, *gains, self.beta_1, 1.0 / self.beta_1
