"""Searches along a line: how far to go in a descent direction.

A search evaluates a function φ(α) of the step length (:class:`Line`), starts at α = 0 where φ' < 0, and
returns the point to go to (:class:`Found`). It computes with Python floats only.
"""

from __future__ import annotations

from nnx.optimizers.searches.armijo import Armijo
from nnx.optimizers.searches.base import Found, Line, ScalarLine, Search, Trial, register, registry
from nnx.optimizers.searches.exact import Brent, GoldenSection
from nnx.optimizers.searches.fixed import Fixed
from nnx.optimizers.searches.hager_zhang import HagerZhang
from nnx.optimizers.searches.wolfe import StrongWolfe

__all__ = [
    "Armijo",
    "Brent",
    "Fixed",
    "Found",
    "GoldenSection",
    "HagerZhang",
    "Line",
    "ScalarLine",
    "Search",
    "StrongWolfe",
    "Trial",
    "get",
    "register",
    "registry",
]

get = registry.get
__getattr__ = registry.attribute
