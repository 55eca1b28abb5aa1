"""``nnx.least_squares``: the parameters that minimise a sum of squared residuals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from nnx.backend import namespace
from nnx.errors import OptionError
from nnx.optimizers.descent.box import Box
from nnx.optimizers.functions import status
from nnx.optimizers.functions.bounds import as_box, bounded, need_inside
from nnx.optimizers.functions.defaults import that_ask
from nnx.optimizers.functions.differences import Differences, relative_step, scheme
from nnx.optimizers.functions.residuals import ResidualProblem
from nnx.optimizers.functions.run import Run, as_options, chosen, not_a_keyword, start_at
from nnx.optimizers.functions.second_run import minimum_of_squares
from nnx.optimizers.problem import read
from nnx.optimizers.result import OptimizeResult
from nnx.optimizers.squares.gauss_newton import SumOfSquares
from nnx.optimizers.squares.levenberg_marquardt import LevenbergMarquardt

#: what SciPy calls its methods, and what does the same here
_SCIPYS = {"trf": "lm", "dogbox": "dogleg"}


def least_squares(
    fun: Callable[..., Any],
    x0: Any,
    jac: Any = None,
    bounds: Any = None,
    method: Any = None,
    ftol: float | None = None,
    xtol: float | None = None,
    gtol: float | None = None,
    max_nfev: int | None = None,
    args: Any = (),
    kwargs: Mapping[str, Any] | None = None,
    callback: Any = None,
    options: Mapping[str, Any] | None = None,
    diff_step: Any = None,
    **unknown: Any,
) -> OptimizeResult:
    r"""The x near ``x0`` that minimises ½ Σ fun(x)ᵢ², in the form of SciPy's ``least_squares``.

    ``fun(x, *args, **kwargs)`` returns an array of residuals (or a container of arrays) and is written in
    array API or plain NumPy calls; its Jacobian comes from automatic differentiation, or from ``jac`` (a
    function that returns it as an (m, n) array, or in the form that :func:`nnx.jacobian` gives it: for each
    array of residuals, one of shape ``(*residuals, *x)`` for each array of x). A ``jac`` that contradicts
    ``fun`` at ``x0`` ends the run (one more evaluation; docs/success.md). ``x0`` as in :func:`nnx.minimize`.
    Complex residuals count as their real and imaginary parts, in this order: ½ Σ \|rᵢ\|² is minimised.

    - ``jac="2-point"``, ``"3-point"``, ``"cs"``: by differences within the bounds, for a ``fun`` that cannot
      be traced (``quad``, ``odeint``, compiled code, ``math``, lists, ``np.array([x[0], x[1]])``);
      ``diff_step``, a number or one for each variable, is their relative step:
      :class:`nnx.optimizers.functions.differences.Differences`. A function that is not traced gets a copy
      of x.
    - ``method``: ``"lm"`` (None: that; :class:`nnx.optimizers.LevenbergMarquardt` with QR; it knows
      ``bounds``), ``"gauss_newton"``, ``"dogleg"``, ``"bayesian_regularization"``, or an object such as
      ``nnx.optimizers.LevenbergMarquardt(geodesic=True)``.
    - ``ftol``, ``xtol`` ≥ 0: relative changes of the cost and of x that end the run (default: the precision
      of x); ``gtol`` ≥ 0: the cosine between residuals and columns of the Jacobian (default 1e-12).
    - ``bounds``: a pair (lower, upper) of numbers or arrays, an array (2, n), an object with ``lb`` and
      ``ub``, or pairs (low, high) for each of more than two variables. ``x0`` must be inside.
    - ``max_nfev`` ≥ 1: the most calls of ``fun``, those for derivatives not counted, as in SciPy; not one
      more is made, and the answer is the best point that was seen.
    - ``args``: further arguments, any sequence of them.
    - ``callback(x)`` or ``callback(intermediate_result)`` (with x, fun, cost, nit, nfev) is called after each
      iteration; it ends the run by returning True or raising StopIteration.
    - ``options``: those of the method, and ``maxiter``, ``maxfev``, ``maxtime`` (seconds), ``goal`` (of the
      cost ½ Σ r²).

    Where the automatic Jacobian is not finite though the residuals are (0·∞ by the chain rule), its limit, or
    differences of these columns, take its place.

    Returns a :class:`nnx.optimizers.OptimizeResult` with SciPy's fields and codes. SciPy's other parameters
    may be given where they ask for nothing (``loss="linear"``, ``verbose=0``, ...). Raises
    :class:`nnx.errors.OptionError` for unknown methods, options and keywords (what SciPy has and nnx has not
    is named with what to do instead) and for a start outside of the bounds.

    Source: SciPy's ``scipy.optimize.least_squares``.

    >>> t = np.linspace(0.0, 2.0, 30)
    >>> y = 2.0 * np.exp(-1.5 * t)
    >>> result = nnx.least_squares(lambda b: b[0] * np.exp(-b[1] * t) - y, [1.0, 1.0])
    >>> result.x.round(6)
    array([2. , 1.5])
    """
    start = start_at(x0, "least_squares")
    jac = scheme("least_squares", "jac", jac)
    step = relative_step("least_squares", "diff_step", diff_step)
    if step is not None and not isinstance(jac, str):
        raise OptionError("least_squares: diff_step is the step of differences: give it with jac='2-point'.")
    if not start.w.shape[0]:
        raise OptionError("least_squares: x0 has no entries: there is nothing to vary.")
    options = as_options("least_squares", options)
    for name, value in (("ftol", ftol), ("xtol", xtol), ("gtol", gtol), ("maxfev", max_nfev)):
        if value is not None:
            options[name] = value
    method = "lm" if method is None else method
    if isinstance(method, str):
        method = _SCIPYS.get(method, method)
        if method in ("lm", "levenberg_marquardt"):
            method = LevenbergMarquardt
            options = {"solver": "qr"} | options
    for name in that_ask(unknown):
        raise not_a_keyword(least_squares, name, method)
    optimizer, limits = chosen(method, options)
    if not isinstance(optimizer, SumOfSquares):
        raise OptionError(
            f"{type(optimizer).__name__} is not made for sums of squares: use 'lm', 'gauss_newton' or "
            "'dogleg', or nnx.minimize with the sum itself."
        )
    args, kwargs = _spread(args), dict(kwargs or {})
    box = as_box(bounds, start, sides=True)
    if box is not None:
        need_inside(box, start.w, "least_squares: x0")
        optimizer, start = bounded(optimizer, box, start)
    problem = ResidualProblem(
        (lambda x: fun(x, *args, **kwargs)) if kwargs else (lambda x: fun(x, *args)),
        start.layout,
        start.build,
        jacobian=_derivative(jac, step, box, args, kwargs),
        box=box,
    )
    run = Run(problem, optimizer, start, limits, callback)
    stop = minimum_of_squares(run)
    best: Any = run.best
    # The method may have minimised more than the cost (a penalty of its own): these are the cost's.
    jacobian, gradient, xp = best.point.jacobian, best.point.gradient, namespace(best.w)
    projected = gradient if best.free is None else best.free * gradient
    return run.result(
        stop,
        status=status.of_least_squares(stop),
        cost=best.cost,
        fun=best.point.residual,
        jac=jacobian,
        grad=start.form(gradient),
        optimality=read(xp.max(xp.abs(projected)))[0],
        active_mask=start.form(xp.zeros_like(best.w, dtype=xp.int64) if box is None else box.sides(best.w)),
    )


def _spread(args: Any) -> tuple[Any, ...]:
    """Further arguments: the entries of any sequence, as in SciPy; one alone need not be in one."""
    if isinstance(args, str) or not isinstance(args, Iterable) or getattr(args, "shape", None) == ():
        return (args,)
    return tuple(args)


def _derivative(jac: Any, step: Any, box: Box | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``jac`` as a problem takes it."""
    if isinstance(jac, str):
        return Differences(jac, rel_step=step, box=box)
    return (lambda x: jac(x, *args, **kwargs)) if callable(jac) else None
