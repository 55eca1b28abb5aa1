"""Saving and restoring; that it goes on bit for bit is part of the contract."""

from __future__ import annotations

import numpy as np
import pytest

from nnx.errors import FileFormatError, ShapeError
from nnx.optimizers import Adam, AdaptiveLearningRate, IRpropPlus, Nadam, RMSprop


def test_vectors_and_numbers_have_names(problem):
    w = problem.start.copy()
    assert Adam(use_ema=True).init(problem, w).vectors().keys() == {"momentum", "velocity", "ema"}
    assert IRpropPlus().init(problem, w).vectors().keys() == {
        "last_gradient",
        "step_size",
        "last_move",
        "last_value",
    }
    assert Adam().init(problem, w).numbers() == {"step": 0}
    assert Nadam().init(problem, w).numbers() == {"step": 0, "momentum_product": 1.0}
    method = AdaptiveLearningRate()
    state = method.step(problem, w, method.init(problem, w))[1]
    assert state.numbers() == {"step": 1, "fresh": 0.0, "learning_rate": state.learning_rate}


def test_the_state_of_another_optimizer_is_refused(problem, run):
    _, state = run(RMSprop(momentum=0.9), 2)
    with pytest.raises(FileFormatError, match=r"not a state of RMSprop .* \['momentum'\] in it has no place"):
        RMSprop().restore(problem, problem.start.copy(), state.vectors(), state.numbers())
    with pytest.raises(FileFormatError, match=r"lacks \['average_gradient'\]"):
        RMSprop(momentum=0.9, centered=True).restore(
            problem, problem.start.copy(), state.vectors(), state.numbers()
        )
    with pytest.raises(FileFormatError, match=r"lacks \['step'\]"):
        RMSprop(momentum=0.9).restore(problem, problem.start.copy(), state.vectors(), {})


def test_a_state_of_other_weights_is_refused(problem, run):
    _, state = run(RMSprop(), 2)
    with pytest.raises(ShapeError, match=r"'velocity' must have shape \(20,\), got \(3,\)"):
        RMSprop().restore(problem, problem.start.copy(), {"velocity": np.zeros(3)}, state.numbers())


def test_restoring_takes_copies_in_the_precision_of_the_weights(problem, run):
    _, state = run(RMSprop(), 2)
    saved = state.vectors()["velocity"]
    restored = RMSprop().restore(problem, problem.start.astype("float32"), state.vectors(), state.numbers())
    assert restored.slots["velocity"].dtype == np.float32
    again = RMSprop().restore(problem, problem.start.copy(), state.vectors(), state.numbers())
    assert not np.shares_memory(again.slots["velocity"], saved)
