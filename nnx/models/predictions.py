"""Outputs for one batch after the other: the way forward is recorded after a while, and replayed.

What a network of nnx's own layers computes for batches of one shape are the same calls on raw arrays each
time, as in training (:mod:`nnx.models.step_plan`). Of a user's own layers nothing is known: they are called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nnx.jitting import Replayed
from nnx.layers import Context
from nnx.models.program import Keep, Params, Program
from nnx.models.step_plan import foreign

Array = Any


class Predictions:
    """``predictions(trained, state, xs)`` gives the outputs for a batch, by a program for prediction.

    ``params(trained, state)`` are the weights of each layer, out of the two vectors.
    """

    def __init__(self, program: Program, params: Callable[[Array, Array], Params]) -> None:
        self._program = program

        def predicted(trained: Array, state: Array, *xs: Array) -> tuple[list[Array], Mapping[int, Any]]:
            ran = program.run(params(trained, state), xs, Context())
            return ran.outputs, ran.changes

        layers = (program.network.layers, program.steps)
        self._outputs: Callable[..., Any] = predicted if foreign(layers) else Replayed(predicted)

    def __call__(self, trained: Array, state: Array, xs: Sequence[Array], keep: Keep) -> list[Array]:
        """The outputs; ``keep`` is given what layers change in prediction too."""
        outputs, changes = self._outputs(trained, state, *xs)
        keep(changes)
        self._program.check_outputs(outputs, xs[0].shape[0])
        return list(outputs)
