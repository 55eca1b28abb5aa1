"""Room 3: how weights move: ``optimizer.step(problem, w, state)`` makes the cost of a problem smaller."""

from __future__ import annotations

from nnx.optimizers import schedules, searches
from nnx.optimizers.adam import Adam, Adamax, AdamW, AMSGrad, Nadam
from nnx.optimizers.adaptive_gradient import Adadelta, Adagrad, RMSprop
from nnx.optimizers.adaptive_rate import AdaptiveLearningRate
from nnx.optimizers.bayesian import BayesianRegularization
from nnx.optimizers.conjugate_gradient import ConjugateGradient, FletcherReeves, PolakRibiere
from nnx.optimizers.curve_fit import CurveFit, curve_fit
from nnx.optimizers.descent import Descent, SteepestDescent
from nnx.optimizers.deterministic import REASONS, Deterministic
from nnx.optimizers.dogleg import Dogleg
from nnx.optimizers.first_order import FirstOrder
from nnx.optimizers.functions import FunctionProblem
from nnx.optimizers.gauss_newton import GaussNewton, SumOfSquares
from nnx.optimizers.gradient_descent import SGD
from nnx.optimizers.lbfgs import LBFGS
from nnx.optimizers.least_squares import least_squares
from nnx.optimizers.levenberg_marquardt import LevenbergMarquardt
from nnx.optimizers.minimize import minimize
from nnx.optimizers.newton import Newton
from nnx.optimizers.newton_cg import NewtonCG
from nnx.optimizers.one_step_secant import OneStepSecant
from nnx.optimizers.problem import Info, Optimizer, Point, Problem, Stop, registry
from nnx.optimizers.quasi_newton import BFGS, DFP
from nnx.optimizers.residuals import ResidualProblem
from nnx.optimizers.result import OptimizeResult
from nnx.optimizers.scaled_conjugate_gradient import ScaledConjugateGradient
from nnx.optimizers.sign import IRpropMinus, IRpropPlus, Rprop
from nnx.optimizers.sr1 import SR1
from nnx.optimizers.state import State
from nnx.optimizers.trust_region import TrustRegion

__all__ = [
    "BFGS",
    "DFP",
    "LBFGS",
    "REASONS",
    "SGD",
    "SR1",
    "AMSGrad",
    "Adadelta",
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
    "FunctionProblem",
    "GaussNewton",
    "IRpropMinus",
    "IRpropPlus",
    "Info",
    "LevenbergMarquardt",
    "Nadam",
    "Newton",
    "NewtonCG",
    "OneStepSecant",
    "OptimizeResult",
    "Optimizer",
    "Point",
    "PolakRibiere",
    "Problem",
    "RMSprop",
    "ResidualProblem",
    "Rprop",
    "ScaledConjugateGradient",
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

get = registry.get
register = registry.register


__getattr__ = registry.attribute


def __dir__() -> list[str]:
    return sorted({*__all__, *registry.attributes()})
