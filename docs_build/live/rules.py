"""The optimizers' steps, recorded from nnx's own, with their options as inputs."""

from __future__ import annotations

import copy
import math
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any
from unittest import mock

import numpy as np

from docs_build.live.paths import Block, paths
from docs_build.live.tape import Recorded, Tape
from nnx.backend.recording import NotElementwise
from nnx.errors import OptionError
from nnx.optimizers import FirstOrder, registry
from nnx.optimizers.problem import Point

#: Python's own shapes of w while a step is recorded; the JavaScript takes any length
_SHAPE = (2,)


@dataclass(frozen=True)
class Rule:
    """An optimizer as the page has it: its name there, and nnx's."""

    key: str
    label: str
    method: FirstOrder


def rules() -> list[Rule]:
    """Every registered optimizer of first order, and the forms that the lectures have names for."""
    found = []
    for entry in registry:
        if isinstance(entry.target, type) and issubclass(entry.target, FirstOrder):
            found.append(Rule(entry.name, entry.target.__name__, entry.create()))
            for suffix, words, options in _FORMS.get(entry.name, ()):
                found.append(Rule(f"{entry.name}_{suffix}", words, entry.create(**options)))
    return found


#: name → forms of it: suffix of the key, label, options. Their states have further vectors.
_FORMS: Mapping[str, Any] = {
    "sgd": (
        ("momentum", "SGD with momentum", {"momentum": 0.9}),
        ("nesterov", "SGD, Nesterov", {"momentum": 0.9, "nesterov": True}),
    ),
    "rmsprop": (
        ("momentum", "RMSprop with momentum", {"momentum": 0.9}),
        ("centered", "RMSprop, centered", {"centered": True}),
    ),
}


class _Problem:
    """A problem whose cost and gradient are noted, not computed."""

    layout = None
    version = 0

    def __init__(self, tape: Tape) -> None:
        self.tape, self.counts = tape, Counter[str]()

    def at(self, w: Recorded) -> Point:
        return Point(self, w)

    def argument(self, w: Recorded) -> Recorded:
        return w

    def value(self, point: Point) -> Any:
        return self.tape.step("value", (point.w,))

    def value_and_gradient(self, point: Point) -> Any:
        return self.value(point), self.tape.step("gradient", (point.w,))


def start(method: FirstOrder) -> Block:
    """The state before the first step at ``w``, with the options ``o``."""

    def run(tape: Tape) -> dict[str, Recorded]:
        w, own = tape.input("w[i]", _SHAPE), with_inputs(method, tape)
        return _expected(method, _numbers_of(own, own.init(_Problem(tape), w), w, tape))

    with _python_lets_values_pass():
        return paths(run)


def step(method: FirstOrder) -> Block:
    """One step: the state that follows ``s``, with the options ``o``, for the cost and gradient of ``f``."""

    def run(tape: Tape) -> dict[str, Recorded]:
        w, own, problem = tape.input("s.w[i]", _SHAPE), with_inputs(method, tape), _Problem(tape)
        state = own.init(problem, tape.input("s.w[i]", _SHAPE))
        _expected(method, _numbers_of(own, state, w, tape))
        for name, vector in state.vectors().items():
            if vector.shape:
                vector[...] = tape.input(f"s.{name}[i]", vector.shape)
            else:
                state.memory[name] = tape.input(f"s.{name}")
        state.values = {name: tape.input(f"s.{name}") for name in state.values}
        state.step, state.learning_rate = tape.input("s.step"), tape.input("s.learning_rate")
        own.step(problem, w, state)
        return _numbers_of(own, state, w, tape)

    with _python_lets_values_pass():
        return paths(run)


def option_names(method: FirstOrder) -> list[str]:
    """The options that are numbers, and so can be inputs."""
    return [f.name for f in fields(method) if type(getattr(method, f.name)) is float]


def with_inputs(method: FirstOrder, tape: Tape) -> Any:
    """A copy of ``method`` whose options are inputs ``o``."""
    own = copy.copy(method)
    for name in option_names(method):
        object.__setattr__(own, name, tape.input(f"o.{name}"))
    return own


def _numbers_of(method: Any, state: Any, w: Recorded, tape: Tape) -> dict[str, Recorded]:
    """The whole state by name. The learning rate is a part of it from the start: some rules change it."""
    rate = method.learning_rate if state.learning_rate is None else state.learning_rate
    vectors = {name: x for name, x in state.vectors().items() if 0 not in x.shape}
    numbers = {**state.values, "step": state.step, "learning_rate": rate}
    found = {"w": w, **vectors}
    for name, x in numbers.items():
        if name in found:
            raise NotElementwise(f"two parts of a state with the name {name}")
        found[name] = x if isinstance(x, Recorded) else tape.constant(float(x))
    return found


def _expected(method: FirstOrder, found: dict[str, Recorded]) -> dict[str, Recorded]:
    """``found``, if options have not made it another state than the rule's own has."""
    own = method.init(_Problem(Tape()), np.zeros(_SHAPE))
    known = {name for name, x in own.vectors().items() if x.size} | {*own.values}
    if found.keys() - {"w", "step", "learning_rate"} != known:
        raise OptionError(f"{type(method).__name__} with this option is another rule of the list.")
    return found


# -- Python's own functions of numbers --------------------------------------------------------------------


class _PassingType(type):
    def __instancecheck__(cls, x: Any) -> bool:
        return isinstance(x, float | Recorded)


class _Float(float, metaclass=_PassingType):
    """``float``, which leaves recorded numbers as they are."""

    def __new__(cls, x: Any = 0.0) -> Any:
        return x if isinstance(x, Recorded) else float(x)


class _Math:
    """The module ``math``, whose functions of recorded numbers are recorded."""

    def __getattr__(self, name: str) -> Any:
        function = getattr(math, name)
        if not callable(function):
            return function

        def call(*numbers: Any) -> Any:
            tape = next((x.tape for x in numbers if isinstance(x, Recorded)), None)
            return function(*numbers) if tape is None else tape.step(name, numbers)

        return call


@contextmanager
def _python_lets_values_pass() -> Iterator[None]:
    """In the modules of the optimizers ``math`` and ``float`` take recorded numbers too.

    The floats of a step (Adam's corrections, a learning rate that follows the cost) are Python's, not arrays.
    """
    modules = [m for name, m in sys.modules.items() if name.startswith("nnx.optimizers")]
    patches: list[Any] = [mock.patch.object(m, "math", _Math()) for m in modules if hasattr(m, "math")]
    patches += [mock.patch.object(m, "float", _Float, create=True) for m in modules]
    for patch in patches:
        patch.start()
    try:
        yield
    finally:
        for patch in reversed(patches):
            patch.stop()
