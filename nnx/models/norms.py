"""Norms layer by layer: of a gradient by the weights, and of what the layers give."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from nnx.backend import to_numpy
from nnx.layers import Context
from nnx.models.compiling import compiled
from nnx.models.network import Network
from nnx.models.program import Params, Program

Array = Any


def gradient_norms(network: Network, gradient: Array) -> dict[str, float]:
    """The Euclidean norm of a gradient by the weights of each layer that has weights which are trained.

    ``gradient`` is one vector, as the network's trained weights are.
    """
    host, slices = to_numpy(gradient), network.layout.slices
    found = {}
    for name, row in zip(network.names, network.slots, strict=True):
        if parts := [host[slices[slot.number]] for slot in row if slot.trained]:
            found[name] = math.hypot(*map(_norm, parts))
    return found


def activation_program(network: Network) -> Program:
    """The program whose outputs are what the calls of the network give."""
    values = range(len(network.inputs), len(network.shapes))
    return compiled(replace(network, outputs=tuple(values)))


def activation_norms(program: Program, params: Params, xs: Sequence[Array]) -> dict[str, float]:
    """The norm of what each layer gives for a sample of ``xs``, in the root mean square, without training.

    ``program`` is that of :func:`activation_program`. The outputs of a layer that gives several, or is called
    several times, are taken as one.
    """
    network, found = program.network, dict[str, float]()
    scale = math.sqrt(xs[0].shape[0])
    values = program.run(params, xs, Context()).outputs
    for k, value in zip(network.made_by[len(xs) :], values, strict=True):
        name = network.names[network.calls[k].layer]  # type: ignore[index]
        found[name] = math.hypot(found.get(name, 0.0), _norm(to_numpy(value)) / scale)
    return found


def _norm(a: Any) -> float:
    """‖a‖₂ of a host array, also where squares would over- or underflow."""
    flat = a.reshape(-1).astype("float64")
    largest = float(abs(flat).max(initial=0.0))
    if not 0.0 < largest < math.inf:  # zeros, or what has no other norm
        return largest
    flat /= largest
    return largest * math.sqrt(float(flat @ flat))
