"""Running a method until one of the stopping rules fires."""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from nnx.autodiff import flatten
from nnx.backend import asarray, given, namespace
from nnx.errors import DtypeError, OptionError
from nnx.optimizers.descent.deterministic import Deterministic
from nnx.optimizers.descent.evaluation import Evaluation, Iterate
from nnx.optimizers.descent.outlook import stationary, verdict
from nnx.optimizers.descent.stopping import small
from nnx.optimizers.first_order.base import FirstOrder
from nnx.optimizers.functions import status
from nnx.optimizers.functions.callback import teller
from nnx.optimizers.functions.defaults import that_ask
from nnx.optimizers.functions.limits import Budget, FirstPointKnown, Limits, Observed, Spent
from nnx.optimizers.options import Options
from nnx.optimizers.problem import Stop, registry
from nnx.optimizers.result import OptimizeResult
from nnx.options import no_argument
from nnx.parameters import Layout

Array = Any


class Start(NamedTuple):
    """``x0`` as a vector that the run owns, and how its form is restored."""

    w: Array
    layout: Layout | None
    build: Callable[[list[Any]], Any] | None

    def form(self, w: Array) -> Any:
        """The vector ``w`` in the form of ``x0``."""
        return w if self.layout is None else self.build(self.layout.views(w))  # type: ignore[misc]


def start_at(x0: Any, where: str) -> Start:
    """The start: an array, a number (which is a vector of one), numbers, or a container of arrays."""
    if _is_number(x0):
        x0 = [x0]
    if isinstance(x0, list | tuple) and x0 and all(_is_number(v) for v in x0):
        x0 = asarray(x0)
    elif not isinstance(x0, Mapping | list | tuple) and hasattr(x0, "__array__"):
        x0 = given(x0, f"{where}: x0")
        x0 = namespace(x0).reshape(x0, (1,)) if x0.shape == () else x0
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


def as_options(where: str, options: Any) -> dict[str, Any]:
    """``options`` as a dict; :class:`nnx.errors.OptionError` for what is neither None nor one."""
    if not isinstance(options, Mapping | None):
        raise OptionError(f"{where}: options must be a dict, name: value, or None, got {options!r}.")
    return dict(options or {})


def chosen(method: Any, options: Mapping[str, Any]) -> tuple[Any, Limits]:
    """The method and the limits that a user named, with the options that belong to each."""
    kind = kind_of(method)
    every, options = Limits.argument_names(), that_ask(options)
    own = {name: value for name, value in options.items() if name not in every}
    if issubclass(kind, Options):
        allowed = kind.argument_names()
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
    options = {own: f"options={{'{own}': ...}}" for own in (*kind.argument_names(), *Limits.argument_names())}
    names: dict[str, str] = Limits.hints() | kind.hints()
    hints = {theirs: options.get(ours, ours) for theirs, ours in names.items()}
    allowed = [p.name for p in inspect.signature(function).parameters.values() if p.kind is not p.VAR_KEYWORD]
    return no_argument(function.__name__, name, allowed, hints | options)


class Run:
    """One minimisation: the steps of ``method`` on ``problem`` from ``start``, and the best point so far."""

    def __init__(self, problem: Any, method: Any, start: Start, limits: Limits, callback: Any) -> None:
        self.method, self.start, self.limits = method, start, limits
        self.problem: Any = problem
        self.budget: Budget | None = None
        if limits.within_iterations:
            self.budget = problem.counts = Budget(limits)
            self.problem = Observed(problem, getattr(method, "bounds", None))
        self.best: Iterate | None = None
        self.state: Any = None
        self.steps = self._earlier = 0
        #: whether a limit of calls or of time ended the run
        self.spent = False
        self._began: float | None = None
        self._largest, self._largest_cost, self._looked = 0.0, 0.0, math.inf
        self.tell = teller(callback, self)

    def __call__(self) -> Stop:
        """Runs; afterwards ``best`` is the point with the lowest cost."""
        try:
            stop = self._iterate()
        except Spent as spent:
            self.spent, stop = True, spent.stop
            self._take_lowest_seen()
        if self.budget is not None:
            self.budget.stop_clock()
        return stop

    def again(self, method: Any, w: Array, first: Stop) -> Stop:
        """A second run, by ``method`` from ``w``: ``best`` is the better end of both, the stop is that end's.

        Counts, limits and the callback go on. A success is not given up for a lower point that is none.
        """
        if self.budget is not None and self.budget.left < 1:
            return first
        kept: Any = self.method, self.state, self.best
        self.method, self.start, self.best = method, self.start._replace(w=w), None
        self._earlier = self.steps
        second, before = self(), kept[-1]
        there: Any = self.best
        lower = there.cost < before.cost if second.success or not first.success else False
        same = second.success and not first.success and there.cost <= (1.0 + 1e-6) * before.cost
        if lower or same:
            words = (
                f"This is a second run, with cautious first steps; the first one ended at {before.cost:.6g}."
            )
            return second._replace(message=f"{second.message} {words}")
        self.method, self.state, self.best = kept
        words = f"A second run, with cautious first steps, ended at {there.cost:.6g}."
        # what the user asked for ended both
        end = second if (self.spent or second.status == 99) and not first.success else first
        return end._replace(message=f"{end.message} {words}")

    def _iterate(self) -> Stop:
        w = self.start.w
        self._began = self._began or time.perf_counter()
        state = self.state = self.method.init(self.problem, w)
        most = self._most_steps(w)
        first_order = isinstance(self.method, FirstOrder)
        self.best = there = self._point(w, state)
        there.compute()  # in the order in which most gradients bring the cost along
        if self.budget is not None:
            self.budget.start(self._began)
        while True:
            if (stop := self._limit(most)) is not None:
                return stop
            problem = FirstPointKnown(self.problem, there.point) if first_order else self.problem
            w, state, info = self.method.step(problem, w, state)
            self.state = state
            if info.stop is not None and not info.accepted:
                return info.stop
            self.steps += 1
            there = self._point(w, state)
            if not isinstance(self.method, Deterministic):
                there.compute()
            if self._better(there):
                self.best = there
            stop = info.stop or (None if isinstance(self.method, Deterministic) else self._judge(there))
            if self.tell is not None and self.tell(there):
                return Stop(99, "The callback asked to stop.", False)
            if stop is not None:
                return stop

    def _point(self, w: Array, state: Any) -> Iterate:
        if isinstance(self.method, Deterministic):
            return self.method.here(self.problem, w, state)
        return Evaluation(self.problem, namespace(w).asarray(w, copy=True))

    def _better(self, there: Iterate) -> bool:
        best = self.best
        if getattr(self.method, "keeps_last", False):
            return True
        return best is None or there.cost <= best.cost or not math.isfinite(best.cost)

    def _take_lowest_seen(self) -> None:
        """Makes ``best`` the lowest point at which the function was evaluated, trial points included."""
        point, cost = self.problem.best()
        best = self.best
        if point is None or best is None or getattr(self.method, "keeps_last", False):
            return
        if not best.point.is_evaluated or cost < best.cost or not math.isfinite(best.cost):
            evaluate = self.method.evaluate if isinstance(self.method, Deterministic) else Evaluation
            self.best = evaluate(FirstPointKnown(self.problem, point), point.w)

    def _judge(self, there: Any) -> Stop | None:
        """The stopping rules for methods that have none of their own.

        Where the gradient has become small, compared with the largest so far, and again where it is half of
        that, a second look says whether anything is left to gain.
        """
        if not there.finite:
            return Stop(-1, f"The cost became {there.cost} or its gradient is not finite.", False)
        if there.norm == 0.0:
            success, words, _ = stationary(there, True)
            return Stop(1, f"{words}.", success)
        self._largest = max(self._largest, there.norm)
        self._largest_cost = max(self._largest_cost, abs(there.cost))
        if there.norm > min(1e-6 * self._largest, 0.5 * self._looked):
            return None
        self._looked = there.norm
        success, words, _ = verdict(there, None, self._largest_cost)
        return small(words) if success else None

    def _most_steps(self, w: Array) -> int:
        if self.limits.maxiter is not None:
            return self.limits.maxiter
        most = max(1000, 200 * int(w.shape[0])) if isinstance(self.method, Deterministic) else 10_000
        return self._earlier + most

    def _limit(self, most: int) -> Stop | None:
        limits, best = self.limits, self.best
        if limits.goal is not None and best is not None and best.cost <= limits.goal:
            return Stop(4, f"The goal is reached: the cost is {best.cost:.6g}.", True)
        if self.steps >= most:
            allowed = most if limits.maxiter is not None else most - self._earlier
            return Stop(0, f"The limit of {allowed} iterations is reached.", False)
        if self.budget is not None:
            self.budget.allow()
        return None

    def slope(self) -> tuple[Array, float]:
        """The gradient at the best point and its max-norm; NaN where a limit leaves no call for them."""
        best = self.best
        assert best is not None
        try:
            return best.gradient, best.norm
        except Spent:
            return namespace(best.w).full_like(best.w, math.nan), math.nan

    def result(self, stop: Stop, **fields: Any) -> OptimizeResult:
        """The best point and how it was found; ``status`` is that of SciPy's ``minimize``."""
        best, counts = self.best, self.problem.counts
        assert best is not None
        if self.limits.disp:
            print(f"{stop.message} Cost {best.cost:.6g} after {self.steps} iterations.")
        common = {
            "x": self.start.form(best.w),
            "success": stop.success,
            "status": status.of_minimize(stop),
            "message": stop.message,
            "nit": self.steps,
            "nfev": counts["value"],
            "njev": counts["gradient"] + counts["jacobian"],
            "nhev": counts["hvp"] + counts["hessian"],
            "recorded": getattr(self.problem, "recorded", ""),
        }
        if isinstance(self.method, Deterministic):
            fields = self.method.extras(self.state) | fields
        return OptimizeResult(common | fields)
