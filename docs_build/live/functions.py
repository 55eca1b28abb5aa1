"""The functions of the race, and their values and gradients as nnx records them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import nnx
from docs_build.live.paths import Block, paths
from docs_build.live.tape import Recorded, Tape


@dataclass(frozen=True)
class Landscape:
    """A function of two variables, and what the page shows of it."""

    key: str
    label: str
    formula: str
    f: Callable[[Any, Any], Any]
    #: the part of the plane that is shown: x from, to, y from, to
    window: tuple[float, float, float, float]
    start: tuple[float, float]
    #: the minima, or the saddle point
    goals: tuple[tuple[float, float], ...]
    #: what a goal is called
    goal: str = "minimum"
    #: the learning rate of every rule at first; None: for each rule that with the lowest cost after 200 steps
    rate: float | None = None


def beale(x: Any, y: Any) -> Any:
    """Beale's function: flat plains beside steep walls, minimum 0 at (3, 0.5)."""
    p, q, r = 1.5 - x + x * y, 2.25 - x + x * y * y, 2.625 - x + x * y * y * y
    return p * p + q * q + r * r


def rosenbrock(x: Any, y: Any) -> Any:
    """Rosenbrock's function: a curved valley, minimum 0 at (1, 1)."""
    valley, along = y - x * x, 1.0 - x
    return along * along + 100.0 * (valley * valley)


def himmelblau(x: Any, y: Any) -> Any:
    """Himmelblau's function: four minima with the value 0."""
    p, q = x * x + y - 11.0, x + y * y - 7.0
    return p * p + q * q


def saddle(x: Any, y: Any) -> Any:
    """The difference x² − y²: no minimum, a saddle point at the origin."""
    return x * x - y * y


def valley(x: Any, y: Any) -> Any:
    """A quadratic function, 25 times as steep along y as along x."""
    return 0.5 * (x * x + 25.0 * (y * y))


LANDSCAPES = (
    Landscape(
        "beale", "Beale", "(1.5 − x + xy)² + (2.25 − x + xy²)² + (2.625 − x + xy³)²", beale,
        (-2.0, 4.5, -1.8, 2.4), (1.0, 1.6), ((3.0, 0.5),),
    ),
    Landscape(
        "rosenbrock", "Rosenbrock", "(1 − x)² + 100 (y − x²)²", rosenbrock,
        (-2.0, 2.0, -1.0, 3.0), (-1.2, 1.0), ((1.0, 1.0),),
    ),
    Landscape(
        "saddle", "Saddle", "x² − y²", saddle, (-2.0, 2.0, -2.0, 2.0), (1.5, 0.001), ((0.0, 0.0),),
        goal="saddle point", rate=0.02,
    ),
    Landscape(
        "himmelblau", "Himmelblau", "(x² + y − 11)² + (x + y² − 7)²", himmelblau,
        (-6.0, 6.0, -6.0, 6.0), (-0.5, -1.5),
        (
            (3.0, 2.0), (-2.805118086952745, 3.131312518250573),
            (-3.779310253377747, -3.283185991286170), (3.584428340330492, -1.848126526964404),
        ),
    ),
    Landscape(
        "valley", "Narrow valley", "½ (x² + 25 y²)", valley, (-5.0, 5.0, -2.5, 2.5), (-4.0, 1.2),
        ((0.0, 0.0),),
    ),
)  # fmt: skip


def value_of_both(landscape: Landscape) -> Callable[[Any], Any]:
    """The function of one vector (x, y), as nnx's optimizers take it."""
    return lambda w: landscape.f(w[0], w[1])


def value(landscape: Landscape) -> Block:
    """The function at ``w``."""
    return paths(lambda tape: {"value": landscape.f(*_point(tape))})


def gradient(landscape: Landscape) -> Block:
    """Its gradient by nnx at ``w``."""

    def run(tape: Tape) -> dict[str, Recorded]:
        dx, dy = nnx.grad(landscape.f, argnums=(0, 1))(*_point(tape))
        return {"x": dx, "y": dy}

    return paths(run)


def _point(tape: Tape) -> tuple[Recorded, Recorded]:
    return tape.input("w[0]"), tape.input("w[1]")
