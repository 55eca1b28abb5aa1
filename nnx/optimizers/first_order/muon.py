"""Momentum of which all singular values are made one: Muon, for the matrices of hidden layers."""

from __future__ import annotations

import math
import re
from dataclasses import KW_ONLY, dataclass
from typing import Any

from nnx.optimizers.first_order.adam import adam
from nnx.optimizers.first_order.base import Rule
from nnx.optimizers.first_order.per_array import PerArray, Shape
from nnx.optimizers.first_order.update import matching
from nnx.optimizers.options import LearningRate, patterns
from nnx.optimizers.problem import Problem, registry
from nnx.optimizers.state import State
from nnx.options import Number, flag, fraction, number, option

Array = Any


@dataclass(frozen=True)
class NewtonSchulz:
    """An approximation of UVᵀ, where USVᵀ is the singular value decomposition of a matrix X.

    X ← aX + (bA + cA²)X with A = XXᵀ, so many ``steps`` from X/‖X‖: each singular value s becomes
    as + bs³ + cs⁵. In five steps with Jordan's coefficients those from ‖X‖/100 on end between 0.68 and 1.14.
    """

    a: float
    b: float
    c: float
    steps: int

    def __call__(self, xp: Any, x: Array) -> Array:
        tall = x.shape[0] > x.shape[1]
        x = x.T if tall else x  # A is the smaller of the two products
        x = x / (xp.sqrt(xp.sum(x * x)) + 1e-7)
        for _ in range(self.steps):
            a = x @ x.T
            x = self.a * x + (self.b * a + self.c * (a @ a)) @ x
        return x.T if tall else x


@dataclass(frozen=True)
class MuonStep:
    """The rule m ← μm + g;  w ← w − η·r·√max(rows, columns)·UVᵀ of m, or of g + μm (``nesterov``)."""

    orthogonal: NewtonSchulz
    nesterov: bool
    rms_rate: float | None

    def __call__(
        self, xp: Any, w: Array, g: Array, m: Array, s: Array,
        eta: float, mu: float, alpha: float, gain_1: float, gain_2: float, epsilon: float,
    ) -> tuple[Array, ...]:  # fmt: skip
        m = mu * m + g
        update = self.orthogonal(xp, g + mu * m if self.nesterov else m)
        if self.rms_rate is not None:
            update = (math.sqrt(max(w.shape)) * self.rms_rate) * update
        return w - eta * update, m, s


def adam_step(
    xp: Any, w: Array, g: Array, m: Array, s: Array,
    eta: float, mu: float, alpha: float, gain_1: float, gain_2: float, epsilon: float,
) -> tuple[Array, ...]:  # fmt: skip
    """Adam's rule, with the scalars of both rules."""
    return adam(xp, w, g, m, s, alpha, gain_1, gain_2, epsilon)


def _layers(where: str, name: str, value: Any) -> tuple[str, ...]:
    """The check that an option is one or several regular expressions for names, or None."""
    return () if value is None else patterns(where, name, value)


@registry.register(
    formula="m ← μm + g;  w ← w − 0.2·√max(rows, columns)·η·UVᵀ, where USVᵀ = g + μm; AdamW for other arrays",
    source="Jordan et al. 2024; Liu et al. 2025",
)
@dataclass(frozen=True)
class Muon(PerArray):
    """Muon: m ← μm + g; w ← w − ηr√max(n, k)·UVᵀ for matrices n × k, USVᵀ = g + μm; AdamW for other arrays.

    All singular values of the step are (about) one: rare directions of the gradient count as much as frequent
    ones. UVᵀ is approximated by ``ns_steps`` Newton–Schulz iterations, products of matrices alone,
    X ← aX + (bXXᵀ + c(XXᵀ)²)X from X/‖X‖, with the coefficients ``muon_a``, ``muon_b``, ``muon_c``.
    ``momentum`` is μ; without ``nesterov`` m takes the place of g + μm. r (``rms_rate``) gives the step the
    root mean square of a step of Adam, so that both share learning rate and decay; None: no such factor.

    AdamW, with ``adam_beta_1``, ``adam_beta_2``, ``epsilon``, ``adam_weight_decay`` and η times
    ``adam_lr_ratio``, moves what is not of two axes (convolution kernels too), the weights whose name
    contains "embedding" (unless ``exclude_embeddings`` is False), and those whose name contains one of the
    ``exclude_layers`` (regular expressions): name the output layer there, which its authors leave to AdamW.

    Defaults are Keras'. PyTorch's ``Muon`` takes matrices only, has weight decay 0.1, and in place of
    r√max(n, k) the factor √max(1, outputs/inputs), unless ``adjust_lr_fn="match_rms_adamw"`` (optax has that
    one too); it keeps m as a mean (the same UVᵀ) and iterates in half precision. Here all of it is computed
    in the precision of the weights.
    Further options: :class:`nnx.optimizers.FirstOrder`.
    Sources: K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024),
    https://kellerjordan.github.io/posts/muon; J. Liu et al., "Muon is scalable for LLM training",
    arXiv:2502.16982 (2025), equation 4.

    >>> model = nnx.Sequential([nnx.layers.Dense(16, "relu", input_shape=(2,)), nnx.layers.Dense(1)], seed=0)
    >>> model.compile(nnx.optimizers.Muon(0.02, exclude_layers=["dense_1"]), "mse")
    >>> x = np.linspace(-1.0, 1.0, 64).reshape(32, 2)
    >>> history = model.fit(x, x[:, :1] * x[:, 1:], epochs=30, verbose=0).history["loss"]
    >>> history[-1] < 0.1 * history[0]
    True
    """

    learning_rate: LearningRate = 0.001
    adam_beta_1: float = fraction(0.9)
    adam_beta_2: float = fraction(0.999)
    adam_weight_decay: float | None = number(0.004, least=0.0, optional=True)
    epsilon: float = number(1e-7, least=0.0)
    _: KW_ONLY
    weight_decay: float | None = number(0.004, least=0.0, optional=True)
    exclude_layers: tuple[str, ...] | None = option(_layers, None)
    exclude_embeddings: bool = flag(True)
    muon_a: float = number(3.4445)
    muon_b: float = number(-4.775)
    muon_c: float = number(2.0315)
    adam_lr_ratio: float = number(1.0, least=0.0)
    momentum: float = fraction(0.95)
    ns_steps: int = number(5, least=0, whole=True)
    nesterov: bool = flag(True)
    rms_rate: float | None = option(Number(least=0.0, optional=True), 0.2)

    def init(self, problem: Problem, w: Array) -> State:
        if self.exclude_layers:
            matching("Muon: exclude_layers", self.exclude_layers, problem.layout)
        return super().init(problem, w)

    def by_adam(self, name: str, shape: Shape) -> bool:
        """Whether AdamW moves the weight array with this name and shape."""
        embedding = self.exclude_embeddings and "embedding" in name.lower()
        excluded = any(re.search(pattern, name) for pattern in self.exclude_layers or ())
        return len(shape) != 2 or embedding or excluded

    def elementwise(self, name: str, shape: Shape) -> bool:
        return self.by_adam(name, shape)

    def rule_of(self, name: str, shape: Shape) -> Rule:
        if self.by_adam(name, shape):
            return adam_step
        orthogonal = NewtonSchulz(self.muon_a, self.muon_b, self.muon_c, self.ns_steps)
        return MuonStep(orthogonal, self.nesterov, self.rms_rate)

    def slots(self) -> dict[str, float]:
        return {"momentum": 0.0, "velocity": 0.0}

    def slot_shape(self, slot: str, name: str, shape: Shape) -> Shape:
        return shape if slot == "momentum" or self.by_adam(name, shape) else (0,)

    def decay_of(self, name: str, shape: Shape) -> float | None:
        return self.adam_weight_decay if self.by_adam(name, shape) else self.weight_decay

    def scalars(self, rate: float, state: State) -> tuple[float, ...]:
        t = state.step + 1
        alpha = rate * self.adam_lr_ratio * math.sqrt(1.0 - self.adam_beta_2**t) / (1.0 - self.adam_beta_1**t)
        gains = 1.0 - self.adam_beta_1, 1.0 - self.adam_beta_2
        return rate, self.momentum, alpha, *gains, self.epsilon
