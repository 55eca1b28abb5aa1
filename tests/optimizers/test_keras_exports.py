"""What Keras exports of optimizers and schedules is here with its arguments, or refused with a reason."""

from __future__ import annotations

import importlib.util
import inspect
import os

import pytest

from nnx import optimizers
from nnx.errors import OptionError, UnknownName
from nnx.optimizers import refused, schedules

if importlib.util.find_spec("keras") is None or importlib.util.find_spec("torch") is None:
    pytest.skip("could not import 'keras' on 'torch'", allow_module_level=True)
os.environ.setdefault("KERAS_BACKEND", "torch")
keras_optimizers = pytest.importorskip("keras.optimizers")

REFUSED = {"optimizers": refused.OPTIMIZERS, "schedules": refused.SCHEDULES}
OURS = {"optimizers": optimizers, "schedules": schedules}
THEIRS = {"optimizers": keras_optimizers, "schedules": keras_optimizers.schedules}
NAMES = [(room, name) for room, module in THEIRS.items() for name in dir(module) if name[0] != "_"]
MODULES = ("schedules",)
#: where the face of nnx is another one: the class that has the arguments
BASES = {"Optimizer": optimizers.FirstOrder}


def arguments(function):
    """Name → default, without self and what a call may add."""
    given = inspect.signature(function).parameters.values()
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {p.name: p.default for p in given if p.name != "self" and p.kind not in several}


@pytest.mark.parametrize(("room", "name"), NAMES)
def test_each_is_there_or_refused(room, name):
    there = name in dir(OURS[room])
    assert there is (name not in REFUSED[room])
    if there:
        assert callable(getattr(OURS[room], name)) or name in MODULES


@pytest.mark.parametrize("room", REFUSED)
def test_nothing_else_is_refused(room):
    assert REFUSED[room].keys() <= set(dir(THEIRS[room]))


CLASSES = [
    (room, name)
    for room, name in NAMES
    if inspect.isclass(getattr(THEIRS[room], name)) and name not in REFUSED[room]
]


@pytest.mark.parametrize(("room", "name"), CLASSES)
def test_arguments_defaults_and_their_order_are_those_of_keras(room, name):
    theirs = arguments(getattr(THEIRS[room], name).__init__)
    own = BASES.get(name, getattr(OURS[room], name))
    ours, advice = arguments(own), own.hints()
    for argument, default in theirs.items():
        if argument in ours:
            # Keras' base class has no learning rate of its own; here it has one
            assert ours[argument] == default or (name, argument) == ("Optimizer", "learning_rate")
        else:
            assert argument in advice, f"{name} neither has nor refuses {argument}"
            with pytest.raises(OptionError, match=f"no argument '{argument}'. Use "):
                own(**{argument: 1})
    positional = [f for f in own.argument_names() if arguments_without_a_name(own)[f]]
    assert [a for a in theirs if a in positional] == [a for a in positional if a in theirs]


def arguments_without_a_name(kind):
    given = inspect.signature(kind).parameters.values()
    return {p.name: p.kind is not p.KEYWORD_ONLY for p in given}


@pytest.mark.parametrize(("room", "name"), [(room, n) for room, table in REFUSED.items() for n in table])
def test_what_is_refused_says_why(room, name):
    with pytest.raises(AttributeError, match=rf"nnx has no {name} in nnx\.optimizers") as error:
        getattr(OURS[room], name)
    assert REFUSED[room][name] in str(error.value)


@pytest.mark.parametrize("name", ["LossScaleOptimizer", "loss_scale_optimizer", "lossscaleoptimizer"])
def test_a_refused_name_of_an_optimizer_says_why(name):
    with pytest.raises(UnknownName, match="half precision"):
        optimizers.get(name)
