"""Room 3: how weights move: ``optimizer.step(problem, w, state)`` lowers the cost of a problem."""

from __future__ import annotations

from typing import Any

from nnx import autodiff  # noqa: F401 (whole rooms first)
from nnx.errors import UnknownName
from nnx.optimizers import refused, schedules, searches
from nnx.optimizers.descent.conjugate_gradient import ConjugateGradient, FletcherReeves, PolakRibiere
from nnx.optimizers.descent.descent import Descent, SteepestDescent
from nnx.optimizers.descent.deterministic import Deterministic
from nnx.optimizers.descent.lbfgs import LBFGS
from nnx.optimizers.descent.newton import Newton
from nnx.optimizers.descent.newton_cg import NewtonCG
from nnx.optimizers.descent.one_step_secant import OneStepSecant
from nnx.optimizers.descent.quasi_newton import BFGS, DFP
from nnx.optimizers.descent.scaled_conjugate_gradient import ScaledConjugateGradient
from nnx.optimizers.descent.sr1 import SR1
from nnx.optimizers.descent.stopping import REASONS
from nnx.optimizers.descent.trust_region import TrustRegion
from nnx.optimizers.first_order.adafactor import Adafactor
from nnx.optimizers.first_order.adam import Adam, Adamax, AdamW, AMSGrad, Nadam
from nnx.optimizers.first_order.adaptive_gradient import Adadelta, Adagrad, RMSprop
from nnx.optimizers.first_order.adaptive_rate import AdaptiveLearningRate
from nnx.optimizers.first_order.base import FirstOrder
from nnx.optimizers.first_order.ftrl import Ftrl
from nnx.optimizers.first_order.gradient_descent import SGD
from nnx.optimizers.first_order.lamb import Lamb
from nnx.optimizers.first_order.lion import Lion
from nnx.optimizers.first_order.muon import Muon
from nnx.optimizers.first_order.per_array import PerArray
from nnx.optimizers.first_order.schedule_free import ScheduleFreeAdamW
from nnx.optimizers.first_order.sign import IRpropMinus, IRpropPlus, Rprop
from nnx.optimizers.functions.curve_fit import CurveFit, curve_fit
from nnx.optimizers.functions.functions import FunctionProblem
from nnx.optimizers.functions.least_squares import least_squares
from nnx.optimizers.functions.minimize import minimize
from nnx.optimizers.functions.residuals import ResidualProblem
from nnx.optimizers.problem import Info, Optimizer, Point, Problem, Stop, register, registry
from nnx.optimizers.result import OptimizeResult
from nnx.optimizers.squares.bayesian import BayesianRegularization
from nnx.optimizers.squares.dogleg import Dogleg
from nnx.optimizers.squares.gauss_newton import GaussNewton, SumOfSquares
from nnx.optimizers.squares.levenberg_marquardt import LevenbergMarquardt
from nnx.optimizers.state import State

__all__ = [
    "BFGS",
    "DFP",
    "LBFGS",
    "REASONS",
    "SGD",
    "SR1",
    "AMSGrad",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "AdaptiveLearningRate",
    "BayesianRegularization",
    "ConjugateGradient",
    "CurveFit",
    "Descent",
    "Deterministic",
    "Dogleg",
    "FirstOrder",
    "FletcherReeves",
    "Ftrl",
    "FunctionProblem",
    "GaussNewton",
    "IRpropMinus",
    "IRpropPlus",
    "Info",
    "Lamb",
    "LevenbergMarquardt",
    "Lion",
    "Muon",
    "Nadam",
    "Newton",
    "NewtonCG",
    "OneStepSecant",
    "OptimizeResult",
    "Optimizer",
    "PerArray",
    "Point",
    "PolakRibiere",
    "Problem",
    "RMSprop",
    "ResidualProblem",
    "Rprop",
    "ScaledConjugateGradient",
    "ScheduleFreeAdamW",
    "State",
    "SteepestDescent",
    "Stop",
    "SumOfSquares",
    "TrustRegion",
    "curve_fit",
    "get",
    "least_squares",
    "minimize",
    "register",
    "registry",
    "schedules",
    "searches",
]


def get(spec: Any) -> Any:
    """The optimizer that a user wrote as a name, class, instance or configuration.

    Raises :class:`nnx.errors.UnknownName` with the nearest names; a name that nnx leaves out says why.

    >>> nnx.optimizers.get("trainlm")
    LevenbergMarquardt(gtol=1e-12, ftol=0.0, xtol=0.0, max_fail=6, solver='cholesky', ...
    """
    if isinstance(spec, str) and (reason := refused.why(spec, refused.OPTIMIZERS, "nnx.optimizers")):
        raise UnknownName(reason)
    return registry.get(spec)


def __getattr__(name: str) -> Any:
    """Optimizers that were registered later, and aliases; what is refused says why."""
    if reason := refused.why(name, refused.OPTIMIZERS, "nnx.optimizers"):
        raise AttributeError(reason)
    return registry.attribute(name)


def __dir__() -> list[str]:
    return sorted({*__all__, *registry.attributes()})
