"""Room 3: how weights move: ``optimizer.step(problem, w, state)`` makes the cost of a problem smaller."""

from __future__ import annotations

from typing import Any

from nnx.optimizers import schedules
from nnx.optimizers.adam import Adam, Adamax, AdamW, AMSGrad, Nadam
from nnx.optimizers.adaptive_gradient import Adadelta, Adagrad, RMSprop
from nnx.optimizers.adaptive_rate import AdaptiveLearningRate
from nnx.optimizers.first_order import FirstOrder, registry
from nnx.optimizers.gradient_descent import SGD
from nnx.optimizers.problem import FunctionProblem, Info, Optimizer, Point, Problem
from nnx.optimizers.sign import IRpropMinus, IRpropPlus, Rprop
from nnx.optimizers.state import State

__all__ = [
    "SGD",
    "AMSGrad",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "AdaptiveLearningRate",
    "FirstOrder",
    "FunctionProblem",
    "IRpropMinus",
    "IRpropPlus",
    "Info",
    "Nadam",
    "Optimizer",
    "Point",
    "Problem",
    "RMSprop",
    "Rprop",
    "State",
    "get",
    "register",
    "registry",
    "schedules",
]

get = registry.get
register = registry.register


def __getattr__(name: str) -> Any:
    """Optimizers that were registered later, by the name of their class."""
    for entry in registry:
        if entry.class_name == name:
            return entry.target
    raise AttributeError(f"There is no optimizer called '{name}'.")


def __dir__() -> list[str]:
    return sorted({*__all__, *registry.class_names()})
