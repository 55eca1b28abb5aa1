"""Running a method until one of the stopping rules fires."""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from nnx.autodiff import flatten
from nnx.backend import asarray, given, namespace
from nnx.errors import DtypeError, OptionError
from nnx.optimizers.descent.deterministic import Deterministic
from nnx.optimizers.descent.evaluation import Evaluation, Iterate
from nnx.optimizers.descent.outlook import stationary, verdict
from nnx.optimizers.descent.stopping import small
from nnx.optimizers.first_order.base import FirstOrder
from nnx.optimizers.options import Options
from nnx.optimizers.problem import Problem, Stop, registry
from nnx.optimizers.result import OptimizeResult
from nnx.options import flag, no_argument, number
from nnx.parameters import Layout

Array = Any


@dataclass(frozen=True)
class Limits(Options):
    """When to stop whatever the method.

    Checked between iterations: ``maxiter`` of them, ``maxfev`` evaluations of the function (its derivatives
    not counted), ``maxtime`` seconds, a cost of at most ``goal``. ``disp`` prints the reason at the end.
    """

    renamed: ClassVar[Mapping[str, str]] = {
        "iprint": "disp",
        "max_iter": "maxiter",
        "max_nfev": "maxfev",
        "maxfun": "maxfev",
        "return_all": "callback=, which gets every point",
        "verbose": "disp",
    }

    maxiter: int | None = number(None, least=0, whole=True, optional=True)
    maxfev: int | None = number(None, least=1, whole=True, optional=True)
    maxtime: float | None = number(None, above=0.0, optional=True)
    goal: float | None = number(None, optional=True)
    disp: bool = flag(False)


class Start(NamedTuple):
    """``x0`` as a vector that the run owns, and how its form is restored."""

    w: Array
    layout: Layout | None
    build: Callable[[list[Any]], Any] | None

    def form(self, w: Array) -> Any:
        """The vector ``w`` in the form of ``x0``."""
        return w if self.layout is None else self.build(self.layout.views(w))  # type: ignore[misc]


def start_at(x0: Any, where: str) -> Start:
    """The start: an array, a number, a list of numbers, or a container of arrays."""
    if isinstance(x0, list | tuple) and x0 and all(_is_number(v) for v in x0):
        x0 = asarray(x0)
    leaves, build = flatten(x0)
    if not leaves:
        raise OptionError(f"{where}: x0 has no arrays in it, got {x0!r}.")
    arrays = [_floating(leaf, where) for leaf in leaves]
    xp = namespace(*arrays)
    if len(arrays) == 1 and arrays[0] is not None and arrays[0].ndim == 1 and leaves[0] is x0:
        return Start(xp.asarray(arrays[0], copy=True), None, None)
    layout = Layout(tuple(f"x{i}" for i in range(len(arrays))), tuple(tuple(a.shape) for a in arrays))
    # a copy: this vector is written to in place from now on
    return Start(xp.asarray(layout.pack(arrays), copy=True), layout, build)


def _is_number(v: Any) -> bool:
    """Whether it is a scalar of Python or NumPy, which is no array that could be differentiated alone."""
    return isinstance(v, int | float) or (hasattr(v, "item") and not hasattr(v, "__setitem__"))


def _floating(leaf: Any, where: str) -> Array:
    if not (isinstance(leaf, int | float) or hasattr(leaf, "shape")):
        raise DtypeError(f"{where}: x0 must be an array, numbers or a container of them, got {leaf!r}.")
    x = given(leaf, f"{where}: x0")
    xp = namespace(x)
    return x if xp.isdtype(x.dtype, "real floating") else xp.astype(x, xp.float64)


def chosen(method: Any, options: Mapping[str, Any]) -> tuple[Any, Limits]:
    """The method and the limits that a user named, with the options that belong to each."""
    kind = kind_of(method)
    every = Limits.arguments()
    own = {name: value for name, value in options.items() if name not in every}
    if issubclass(kind, Options):
        allowed = kind.arguments()
        for name in (name for name in own if name not in allowed):
            raise no_argument(kind.__name__, name, allowed, Limits.hints() | kind.hints(), every)
    if isinstance(method, str | type):
        optimizer = kind(**own)
    else:
        optimizer = method
        if own:
            raise OptionError(
                f"The options {', '.join(own)} belong to the method: give them to {kind.__name__}(...), or "
                "name the method by a string."
            )
    if not (hasattr(optimizer, "init") and hasattr(optimizer, "step")):
        raise OptionError(f"method must be a name or an optimizer of nnx.optimizers, got {method!r}.")
    return optimizer, Limits(**{name: options[name] for name in options if name in every})


def kind_of(method: Any) -> Any:
    """The class of the method that a user named."""
    if isinstance(method, str):
        return registry.entry(method).target
    return method if isinstance(method, type) else type(method)


def not_a_keyword(function: Callable[..., Any], name: str, method: Any) -> OptionError:
    """The error for a keyword that ``minimize`` or ``least_squares`` does not have, perhaps an option."""
    kind = kind_of(method)
    kind = kind if issubclass(kind, Options) else Limits
    options = {own: f"options={{'{own}': ...}}" for own in (*kind.arguments(), *Limits.arguments())}
    names: dict[str, str] = Limits.hints() | kind.hints()
    hints = {theirs: options.get(ours, ours) for theirs, ours in names.items()}
    allowed = [p.name for p in inspect.signature(function).parameters.values() if p.kind is not p.VAR_KEYWORD]
    return no_argument(function.__name__, name, allowed, hints | options)


class FirstPointKnown:
    """Wraps a problem so that the next ``at(w)`` returns a point that is evaluated already."""

    def __init__(self, problem: Problem, point: Any) -> None:
        self.layout, self._problem, self._point = problem.layout, problem, point

    def at(self, w: Array) -> Any:
        point, self._point = self._point, None
        return self._problem.at(w) if point is None else point


class Run:
    """One minimisation: the steps of ``method`` on ``problem`` from ``start``, and the best point so far."""

    def __init__(self, problem: Problem, method: Any, start: Start, limits: Limits, callback: Any) -> None:
        self.problem, self.method, self.start, self.limits = problem, method, start, limits
        self.best: Iterate | None = None
        self.state: Any = None
        self.steps = 0
        self._largest, self._largest_cost, self._looked = 0.0, 0.0, math.inf
        self.tell = _teller(callback, self)

    def __call__(self) -> Stop:
        """Runs; afterwards ``best`` is the point with the lowest cost."""
        w = self.start.w
        state = self.state = self.method.init(self.problem, w)
        begin, most = time.perf_counter(), self._most_steps(w)
        first_order = isinstance(self.method, FirstOrder)
        self.best = there = self._point(w, state)
        while True:
            if (stop := self._limit(begin, most)) is not None:
                return stop
            problem = FirstPointKnown(self.problem, there.point) if first_order else self.problem
            w, state, info = self.method.step(problem, w, state)
            self.state = state
            if info.stop is not None and not info.accepted:
                return info.stop
            self.steps += 1
            there = self._point(w, state)
            if self._better(there):
                self.best = there
            stop = info.stop or (None if isinstance(self.method, Deterministic) else self._judge(there))
            if self.tell is not None and self.tell():
                return Stop(99, "The callback asked to stop.", False)
            if stop is not None:
                return stop

    def _point(self, w: Array, state: Any) -> Iterate:
        if isinstance(self.method, Deterministic):
            return self.method.here(self.problem, w, state)
        # the gradient brings the value along: computed first, the function runs once
        return Evaluation(self.problem, namespace(w).asarray(w, copy=True)).compute()

    def _better(self, there: Iterate) -> bool:
        best = self.best
        if getattr(self.method, "keeps_last", False):
            return True
        return best is None or there.cost <= best.cost or not math.isfinite(best.cost)

    def _judge(self, there: Any) -> Stop | None:
        """The stopping rules for methods that have none of their own.

        Where the gradient has become small, compared with the largest so far, and again where it is half of
        that, a second look says whether anything is left to gain.
        """
        if not there.finite:
            return Stop(-1, f"The cost became {there.cost} or its gradient is not finite.", False)
        if there.norm == 0.0:
            success, words = stationary(there, True)
            return Stop(1, f"{words}.", success)
        self._largest = max(self._largest, there.norm)
        self._largest_cost = max(self._largest_cost, abs(there.cost))
        if there.norm > min(1e-6 * self._largest, 0.5 * self._looked):
            return None
        self._looked = there.norm
        success, words = verdict(there, None, self._largest_cost)
        return small(words) if success else None

    def _most_steps(self, w: Array) -> int:
        if self.limits.maxiter is not None:
            return self.limits.maxiter
        return max(1000, 200 * int(w.shape[0])) if isinstance(self.method, Deterministic) else 10_000

    def _limit(self, begin: float, most: int) -> Stop | None:
        limits, best = self.limits, self.best
        if limits.goal is not None and best is not None and best.cost <= limits.goal:
            return Stop(4, f"The goal is reached: the cost is {best.cost:.6g}.", True)
        if self.steps >= most:
            return Stop(0, f"The limit of {most} iterations is reached.", False)
        spent = self.problem.counts["value"]  # type: ignore[attr-defined]
        if limits.maxfev is not None and spent >= limits.maxfev:
            return Stop(0, f"The limit of {limits.maxfev} evaluations is reached.", False)
        if limits.maxtime is not None and time.perf_counter() - begin >= limits.maxtime:
            return Stop(0, f"The time limit of {limits.maxtime:g} seconds is over.", False)
        return None

    def result(self, stop: Stop, **fields: Any) -> OptimizeResult:
        """The best point and how it was found."""
        best, counts = self.best, self.problem.counts  # type: ignore[attr-defined]
        assert best is not None
        if self.limits.disp:
            print(f"{stop.message} Cost {best.cost:.6g} after {self.steps} iterations.")
        common = {
            "x": self.start.form(best.w),
            "success": stop.success,
            "status": stop.status,
            "message": stop.message,
            "nit": self.steps,
            "nfev": counts["value"],
            "njev": counts["gradient"] + counts["jacobian"],
            "nhev": counts["hvp"] + counts["hessian"],
        }
        if isinstance(self.method, Deterministic):
            fields = self.method.extras(self.state) | fields
        return OptimizeResult(common | fields)


def _teller(callback: Any, run: Run) -> Callable[[], bool] | None:
    """Calls the user's callback after an iteration; whether it asks to stop. SciPy's two signatures."""
    if callback is None:
        return None
    if not callable(callback):
        raise OptionError(f"callback must be a function, got {callback!r}.")
    try:
        names = set(inspect.signature(callback).parameters)
    except (TypeError, ValueError):
        names = set()

    def tell() -> bool:
        best = run.best
        assert best is not None
        x = run.start.form(namespace(best.w).asarray(best.w, copy=True))  # the callback may write into it
        try:
            if names == {"intermediate_result"}:
                callback(intermediate_result=OptimizeResult(x=x, fun=best.cost, nit=run.steps))
            else:
                callback(x)
        except StopIteration:
            return True
        return False

    return tell
