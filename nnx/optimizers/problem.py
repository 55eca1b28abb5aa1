"""What an optimizer works on, and what it answers: the protocol of this room."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from nnx.backend import adapter_of, namespace, to_numpy
from nnx.parameters import Layout
from nnx.registry import Registry, Traits

Array = Any


@dataclass(frozen=True)
class OptimizerTraits(Traits):
    """What is declared with an optimizer."""

    #: whether it compares steps, and so needs all samples in each
    full_batch: bool = False
    #: whether it takes residuals instead of a cost
    least_squares: bool = False
    #: whether it waits for the cost's value in every step
    reads_the_cost: bool = False


registry = Registry("optimizer", OptimizerTraits)


class Point(Protocol):
    """A function at one vector of weights. Everything is computed once, when it is first asked for.

    Ask before the weights are written to: a point does not copy them. Methods of second order ask for more
    than these two; a problem that has it offers it under the names ``hvp(v)`` and ``hessian``, or, for a sum
    of squares, ``residual``, ``blocks(memory_limit)`` of the Jacobian, ``jvp(v)``, ``vjp(u)`` and ``ridge``.
    """

    @property
    def value(self) -> Array:
        """The cost, an array of shape ()."""

    @property
    def gradient(self) -> Array:
        """The derivative of the cost, a vector like the weights."""


class Problem(Protocol):
    """A function of a vector of weights that is to become small.

    A problem may also have a ``mask``: a vector of bools, True for the weights that may move; a ``version``,
    which changes where the same weights no longer have the same cost; and ``counts`` of what it computed.
    """

    @property
    def layout(self) -> Layout | None:
        """Names and shapes of the pieces of the vector; None where they have none."""

    def at(self, w: Array) -> Point:
        """The function at ``w``."""


class Stop(NamedTuple):
    """Why a method stops: a number of :data:`nnx.optimizers.REASONS`, the rule in words, and its success."""

    status: int
    message: str
    success: bool


class Info(NamedTuple):
    """What a step tells: the last point whose cost is known, the learning rate, and whether it was kept.

    The learning rate is None for methods without one: their steps are no multiples of a direction.

    That point is where a step of first order started, and where one of a deterministic method ended.
    ``measures`` are numbers for the history (norm of the gradient, length of the step, damping, ...);
    ``stop`` says why no further step should follow, and is None where one should.
    """

    point: Any
    learning_rate: float | None
    accepted: bool = True
    measures: Mapping[str, float] = {}
    stop: Stop | None = None


class Optimizer(Protocol):
    """A method that makes the cost of a problem smaller, step by step."""

    def init(self, problem: Problem, w: Array) -> Any:
        """The state before the first step."""

    def step(self, problem: Problem, w: Array, state: Any) -> tuple[Array, Any, Info]:
        """``(w, state, info)`` after one step."""


def read(*numbers: Array) -> list[float]:
    """The numbers of arrays of shape (), on the host: one transfer for all of them."""
    first = numbers[0]
    if len(numbers) == 1 or adapter_of(first).reads_are_free:
        return [float(to_numpy(x)) for x in numbers]
    return [float(x) for x in to_numpy(namespace(first).stack(list(numbers)))]


def read_vector(x: Array) -> list[float]:
    """The numbers of a vector, on the host: one transfer."""
    return [float(number) for number in to_numpy(x)]
