"""``nnx.minimize``: the smallest value of a function, by any method of the family."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nnx.errors import OptionError
from nnx.optimizers.functions.bounds import bounded
from nnx.optimizers.functions.defaults import need_derivative, that_ask
from nnx.optimizers.functions.functions import FunctionProblem
from nnx.optimizers.functions.run import Run, chosen, kind_of, not_a_keyword, start_at
from nnx.optimizers.functions.single import one_number
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
    - ``bounds``: pairs (low, high) with None for no bound, an array (n, 2), or an object with ``lb`` and
      ``ub``; for L-BFGS. A start outside moves to the nearest point inside, as in SciPy.
    - ``tol``: the method's ``gtol``: the gradient relative to the largest so far, not an absolute norm as in
      SciPy, so that the cost's scale does not matter.
    - ``options``: those of the method (``gtol``, ``search``, ...), and ``maxiter``, ``maxfev`` (calls of the
      function: not one more is made), ``maxtime`` (seconds), ``goal``, ``disp`` (say at the end why it
      stopped).
    - ``callback(x)`` or ``callback(intermediate_result)`` (with x, fun, nit, nfev) is called after each
      iteration; it ends the run by returning True or raising StopIteration.

    Returns a :class:`nnx.optimizers.OptimizeResult` with SciPy's fields and codes. It always holds the best
    iterate, and where ``maxfev`` or ``maxtime`` ended the run the best point that was seen. Raises
    :class:`nnx.errors.OptionError` for unknown methods, options and keywords, and for what belongs to another
    method. SciPy's other options may be given where they ask for nothing (``return_all=False``).

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
    for name in that_ask(unknown):
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
    need_derivative("minimize", "jac", jac, True, False)
    need_derivative("minimize", "hess", hess, False)
    # SciPy's names of finite differences: the exact derivatives serve as well
    jac, hess = (None if d is False or d in ("2-point", "3-point", "cs") else d for d in (jac, hess))
    problem = FunctionProblem(
        one_number(lambda x: fun(x, *args), pair=jac is True),
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
    gradient, norm = run.slope()
    return run.result(stop, fun=best.cost, jac=start.form(gradient), optimality=norm)
