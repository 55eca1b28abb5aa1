"""How many gradients a method needs on the classical functions, counted for nnx and for SciPy alike."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import scipy.optimize
from optimizers.classical import Classical, bar

import nnx

#: a run that has not arrived after so many gradients has failed
LIMIT = 1500

#: nnx's method → SciPy's counterpart
COUNTERPARTS = {
    "bfgs": "BFGS",
    "dfp": "BFGS",
    "lbfgs": "L-BFGS-B",
    "cg": "CG",
    "newton": "trust-exact",
    "newton_cg": "Newton-CG",
}

#: those whose n × n matrices make n = 1000 a matter of minutes, in SciPy or here
WITH_A_MATRIX = ("bfgs", "dfp", "newton")

#: no tolerance of their own is to end a run before it has arrived
TIGHT = {"BFGS": {"gtol": 1e-12}, "CG": {"gtol": 1e-12}, "L-BFGS-B": {"gtol": 1e-12, "ftol": 0.0}}


class Outcome(NamedTuple):
    """The minimum that a run arrived at and the gradients until then; None where it did not arrive."""

    gradients: int | None
    minimum: float | None


class Enough(Exception):
    """Ends a run from within the function."""


class Tally:
    """Value and gradient of a function for a method to call; knows the values of all calls."""

    def __init__(self, f: Classical) -> None:
        self.f, self.both, self.values = f, nnx.value_and_grad(f), list[float]()

    def __call__(self, x: Any) -> tuple[Any, Any]:
        if len(self.values) >= LIMIT or (self.values and self.values[-1] <= bar(self.f.minima[0])):
            raise Enough
        value, gradient = self.both(np.asarray(x))
        self.values.append(float(value))
        return value, gradient

    @property
    def outcome(self) -> Outcome:
        minimum = self.f.reached(np.nanmin(self.values))
        if minimum is None:
            return Outcome(None, None)
        return Outcome(1 + next(i for i, v in enumerate(self.values) if v <= bar(minimum)), minimum)


def run(f: Classical, minimize: Callable[..., Any]) -> Outcome:
    """The outcome of ``minimize(fun, x0)``, where ``fun`` gives value and gradient."""
    tally = Tally(f)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of overflow far from the start, and SciPy's of its searches
        with suppress(Enough):
            minimize(tally, np.array(f.start))
    return tally.outcome


def second(method: str, f: Classical) -> dict[str, Any]:
    """The second derivatives that a method asks for, as both libraries take them; they are not counted."""
    if method == "newton":
        return {"hess": nnx.hessian(f)}
    return {"hessp": lambda x, p: nnx.hvp(f, x, p)} if method == "newton_cg" else {}


def ours(method: str, f: Classical) -> Outcome:
    """nnx's method on the function."""
    given = {"method": method, "jac": True, "options": {"gtol": 1e-12, "maxiter": LIMIT}, **second(method, f)}
    return run(f, lambda fun, x: nnx.minimize(fun, x, **given))


def scipys(method: str, f: Classical) -> Outcome:
    """The counterpart of nnx's method, by SciPy."""
    name = COUNTERPARTS[method]
    options = {"maxiter": LIMIT, **TIGHT.get(name, {})}
    given = {"method": name, "jac": True, "options": options, **second(method, f)}
    return run(f, lambda fun, x: scipy.optimize.minimize(fun, x, **given))
