"""The activations of single numbers and their derivatives, recorded from nnx's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import nnx
from docs_build.live.paths import Block, Refusal, paths
from docs_build.live.tape import Tape
from nnx.backend.recording import NotElementwise

#: options without a default
_OPTIONS: dict[str, dict[str, float]] = {"threshold": {"threshold": 0.5, "default_value": 0.0}}


@dataclass(frozen=True)
class Curve:
    """An activation: nnx's function with its options, its values and its derivative as recorded."""

    key: str
    use: str
    range: str
    f: Callable[[Any], Any]
    value: Block
    slope: Block


def curves() -> list[Curve]:
    """Every registered activation that works entry by entry."""
    found = []
    for entry in nnx.activations.registry:
        options = _OPTIONS.get(entry.name, {})

        def f(x: Any, target: Any = entry.target, options: dict[str, float] = options) -> Any:
            return target(x, **options)

        try:
            value, slope = _recorded(f), _recorded(nnx.grad(f))
        except NotElementwise:
            continue  # it takes whole vectors
        if isinstance(value.end, Refusal):
            continue  # it needs an axis
        found.append(Curve(entry.name, entry.traits.use, entry.traits.range, f, value, slope))
    return found


def _recorded(f: Callable[[Any], Any]) -> Block:
    def run(tape: Tape) -> dict[str, Any]:
        return {"value": f(tape.input("x"))}

    return paths(run)
