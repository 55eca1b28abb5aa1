"""Gradient descent: plain, with momentum, and Nesterov's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nnx.optimizers.first_order.base import FirstOrder, Rule
from nnx.optimizers.options import LearningRate
from nnx.optimizers.problem import register
from nnx.optimizers.state import State
from nnx.options import flag, fraction

Array = Any


def descend(xp: Any, w: Array, g: Array, eta: float) -> tuple[Array, ...]:
    """The rule of :class:`SGD` without momentum."""
    return (w - eta * g,)


def descend_with_momentum(
    xp: Any, w: Array, g: Array, m: Array, eta: float, beta: float
) -> tuple[Array, ...]:
    """The rule of :class:`SGD` with momentum."""
    m = beta * m
    m -= eta * g
    return w + m, m


def descend_nesterov(xp: Any, w: Array, g: Array, m: Array, eta: float, beta: float) -> tuple[Array, ...]:
    """The rule of :class:`SGD` with Nesterov's momentum."""
    step = eta * g
    m = beta * m
    m -= step
    ahead = beta * m
    ahead -= step
    return w + ahead, m


@register(source="Robbins & Monro 1951; Polyak 1964; Nesterov 1983")
@dataclass(frozen=True)
class SGD(FirstOrder):
    """Gradient descent: m ← βm − ηg; w ← w + m, where g is the gradient (of one batch: "stochastic").

    β is ``momentum``; with β = 0, the default, w ← w − ηg. Down a constant slope momentum is 1/(1 − β) times
    faster.

    With ``nesterov`` as well: m ← βm − ηg; w ← w + βm − ηg. Nesterov's own form takes the gradient ahead,
    m ← βm − η∇E(w + βm); w ← w + m. In the shifted variable v = w + βm, where the gradient is taken, it reads
    v ← v + βm − ηg with the new m: that is the form above, so the w of this class is Nesterov's v.

    η is ``learning_rate``; further options: :class:`nnx.optimizers.FirstOrder`.
    Sources: B. T. Polyak, "Some methods of speeding up the convergence of iteration methods", USSR Comput.
    Math. 4 (1964) 1–17; Y. Nesterov, Soviet Math. Dokl. 27 (1983) 372–376; the rewritten form: Y. Bengio
    et al., "Advances in optimizing recurrent networks", ICASSP 2013, section 3.5.

    >>> problem = nnx.optimizers.FunctionProblem(lambda w: np.sum(w * w))
    >>> sgd, w = nnx.optimizers.SGD(learning_rate=0.25), np.asarray([4.0, -2.0])
    >>> sgd.step(problem, w, sgd.init(problem, w))[0]
    array([ 2., -1.])
    """

    learning_rate: LearningRate = 0.01
    momentum: float = fraction(0.0)
    nesterov: bool = flag(False)

    @property
    def rule(self) -> Rule:
        if not self.momentum:
            return descend
        return descend_nesterov if self.nesterov else descend_with_momentum

    def slots(self) -> dict[str, float]:
        return {"momentum": 0.0} if self.momentum else {}

    def scalars(self, rate: float, state: State) -> tuple[float, ...]:
        return (rate, self.momentum) if self.momentum else (rate,)
