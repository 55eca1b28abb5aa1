"""``nnx.minimize``: the smallest value of a function, by any method of the family."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nnx.errors import OptionError
from nnx.optimizers.functions.bounds import bounded
from nnx.optimizers.functions.functions import FunctionProblem
from nnx.optimizers.functions.run import Run, chosen, kind_of, not_a_keyword, start_at
from nnx.optimizers.problem import registry
from nnx.optimizers.result import OptimizeResult

#: Up to this many variables ``minimize`` takes BFGS, above L-BFGS: an n × n matrix of 8 MB.
_MATRIX_UP_TO = 1000


def minimize(
    fun: Callable[..., Any],
    x0: Any,
    args: Any = (),
    method: Any = None,
    jac: Any = None,
    hess: Any = None,
    hessp: Any = None,
    bounds: Any = None,
    constraints: Any = (),
    tol: float | None = None,
    callback: Any = None,
    options: Mapping[str, Any] | None = None,
    **unknown: Any,
) -> OptimizeResult:
    """The minimum of ``fun(x, *args)`` near ``x0``, in the form of SciPy's ``minimize``.

    ``fun`` returns one number and is written in array API or plain NumPy calls; its derivatives come from
    automatic differentiation, on the arrays of ``x0`` (NumPy, CuPy, ...), which stay where they are.
    ``x0`` is an array of any shape, a list of numbers, or a nested container of arrays; ``fun`` gets, and the
    result's ``x`` has, its form.

    - ``method``: a name (``"bfgs"``, ``"dfp"``, ``"l-bfgs"``, ``"cg"``, ``"newton"``, ``"newton-cg"``,
      ``"sr1"``, ``"scg"``, ``"adam"``, ...; SciPy's names too), or an object of :mod:`nnx.optimizers`.
      Default: BFGS for up to 1000 variables, L-BFGS above and with bounds.
    - ``jac``: None (automatic), a function, or True if ``fun`` returns (value, gradient). ``hess(x, *args)``
      and ``hessp(x, p, *args)`` may be given likewise; else they are derivatives of ``jac``, where the method
      needs them.
    - ``bounds``: pairs (low, high) with None for no bound, or an object with ``lb`` and ``ub``; for L-BFGS.
    - ``tol``: the method's ``gtol``, as in SciPy: stop where the max-norm of the (projected) gradient is at
      most that. Without it the run goes on until nothing is left to gain (docs/success.md).
    - ``options``: those of the method (``gtol``, ``search``, ...), and ``maxiter``, ``maxfev``, ``maxtime``
      (seconds), ``goal``, ``disp`` (say at the end why it stopped).
    - ``callback(x)`` or ``callback(intermediate_result)`` is called after each iteration; StopIteration ends.

    The result always holds the best iterate. Raises :class:`nnx.errors.OptionError` for unknown methods,
    options and keywords, and for what belongs to another method.

    >>> def rosenbrock(x):
    ...     return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)
    >>> result = nnx.minimize(rosenbrock, [-1.2, 1.0])
    >>> result.x.round(4), result.success
    (array([1., 1.]), True)
    """
    if constraints:
        raise OptionError(
            "minimize knows no constraints: add a penalty to the function, or bounds with method='lbfgs'."
        )
    start = start_at(x0, "minimize")
    if method is None:
        method = "lbfgs" if bounds is not None or start.w.shape[0] > _MATRIX_UP_TO else "bfgs"
    if isinstance(method, str) and registry.entry(method).traits.least_squares:
        raise OptionError(f"'{method}' needs residuals instead of one number: call nnx.least_squares.")
    for name in unknown:
        raise not_a_keyword(minimize, name, method)
    options = dict(options or {})
    if tol is not None:
        if not (isinstance(method, str | type) and hasattr(kind_of(method), "gtol")):
            raise OptionError(
                f"minimize: tol stands for the method's gtol, which cannot be set for {method!r}. Leave tol "
                "out; options such as maxiter, maxtime and goal end every method."
            )
        options.setdefault("gtol", tol)
    optimizer, limits = chosen(method, options)
    args = args if isinstance(args, tuple) else (args,)
    # SciPy's names of finite differences: the exact derivatives serve as well
    jac, hess = (None if d is False or d in ("2-point", "3-point", "cs") else d for d in (jac, hess))
    problem = FunctionProblem(
        lambda x: fun(x, *args),
        start.layout,
        start.build,
        gradient=jac if jac is None or isinstance(jac, bool) else lambda x: jac(x, *args),
        hessian=None if hess is None else lambda x: hess(x, *args),
        hvp=None if hessp is None else lambda x, p: hessp(x, p, *args),
    )
    if bounds is not None:
        optimizer, start = bounded(optimizer, bounds, start)
    run = Run(problem, optimizer, start, limits, callback)
    stop = run()
    best = run.best
    assert best is not None
    return run.result(stop, fun=best.cost, jac=start.form(best.gradient), optimality=best.norm)
