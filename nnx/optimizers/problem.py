"""What an optimizer works on, and what it answers: the protocol of this room."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from nnx.autodiff import value_and_grad
from nnx.parameters import Layout

Array = Any


class Point(Protocol):
    """A function at one vector of weights. Everything is computed once, when it is first asked for.

    Ask before the weights are written to: a point does not copy them. Methods of second order ask for more
    than these two; a problem that has it offers it under the names ``hvp(v)``, ``hessian``, ``residual``,
    ``jacobian``.
    """

    @property
    def value(self) -> Array:
        """The cost, an array of shape ()."""

    @property
    def gradient(self) -> Array:
        """The derivative of the cost, a vector like the weights."""


class Problem(Protocol):
    """A function of a vector of weights that is to become small.

    A problem may also have an attribute ``mask``: a vector of bools, True for the weights that may move.
    """

    @property
    def layout(self) -> Layout | None:
        """Names and shapes of the pieces of the vector; None where they have none."""

    def at(self, w: Array) -> Point:
        """The function at ``w``."""


class Info(NamedTuple):
    """What a step tells: where it started, with what learning rate, and whether it was kept."""

    point: Any
    learning_rate: float
    accepted: bool = True


class Optimizer(Protocol):
    """A method that makes the cost of a problem smaller, step by step."""

    def init(self, problem: Problem, w: Array) -> Any:
        """The state before the first step."""

    def step(self, problem: Problem, w: Array, state: Any) -> tuple[Array, Any, Info]:
        """``(w, state, info)`` after one step."""


class FunctionProblem:
    """The problem of making ``f(w)`` small, where ``f`` is any function that nnx can differentiate.

    ``counts`` says how many values and gradients were computed. ``layout`` names the pieces of ``w``.

    >>> problem = nnx.optimizers.FunctionProblem(lambda w: np.sum(w * w))
    >>> point = problem.at(np.asarray([1.0, 2.0]))
    >>> point.gradient, float(point.value), dict(problem.counts)
    (array([2., 4.]), 5.0, {'gradient': 1, 'value': 1})
    """

    def __init__(self, f: Callable[[Array], Array], layout: Layout | None = None) -> None:
        self.f = f
        self.layout = layout
        self.counts: Counter[str] = Counter()
        self.value_and_grad = value_and_grad(f)

    def at(self, w: Array) -> FunctionPoint:
        return FunctionPoint(self, w)


class FunctionPoint:
    """:class:`FunctionProblem` at one ``w``."""

    def __init__(self, problem: FunctionProblem, w: Array) -> None:
        self.w = w
        self._problem = problem
        self._value: Array = None
        self._gradient: Array = None

    @property
    def value(self) -> Array:
        if self._value is None:
            self._keep(self._problem.f(self.w))
        return self._value

    @property
    def gradient(self) -> Array:
        if self._gradient is None:
            value, self._gradient = self._problem.value_and_grad(self.w)
            self._problem.counts["gradient"] += 1
            if self._value is None:
                self._keep(value)
        return self._gradient

    def _keep(self, value: Array) -> None:
        self._value = value
        self._problem.counts["value"] += 1
