"""``nnx.minimize``: the smallest value of a function, by any method of the family."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from nnx.errors import OptionError
from nnx.optimizers.functions.bounds import bounded
from nnx.optimizers.functions.defaults import that_ask
from nnx.optimizers.functions.differences import Differences, relative_step, scheme
from nnx.optimizers.functions.functions import FunctionProblem
from nnx.optimizers.functions.run import Run, as_options, chosen, kind_of, not_a_keyword, start_at
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
    r"""The minimum of ``fun(x, *args)`` near ``x0``, in the form of SciPy's ``minimize``.

    ``fun`` returns one number and is written in array API or plain NumPy calls; its derivatives come from
    automatic differentiation, on the arrays of ``x0`` (NumPy, CuPy, ...), which stay where they are.
    ``x0`` is an array of any shape, a list of numbers, or a nested container of arrays; ``fun`` gets, and the
    result's ``x`` has, its form.

    - ``method``: a name (``"bfgs"``, ``"dfp"``, ``"l-bfgs"``, ``"cg"``, ``"newton"``, ``"newton-cg"``,
      ``"sr1"``, ``"scg"``, ``"adam"``, ...; SciPy's names too), or an object of :mod:`nnx.optimizers`.
      Default: BFGS for up to 1000 variables, L-BFGS above and with bounds.
    - ``jac``: None (automatic), a function, True if ``fun`` returns (value, gradient), or ``"2-point"``,
      ``"3-point"`` or ``"cs"``: by differences, for a ``fun`` that cannot be traced (``quad``, ``odeint``,
      compiled code, ``math``, ``float(x[0])``, ``np.array([x[0], x[1]])``). ``hess(x, *args)`` and
      ``hessp(x, p, *args)`` may be given likewise, and ``hess`` be one of these words: differences of the
      gradient. Else they are derivatives of ``jac``, where the method needs them, or differences ("2-point")
      of a given ``jac`` that cannot be differentiated. A function that is not traced gets a copy of x.
    - ``bounds``: pairs (low, high) with None for no bound, an array (n, 2), or an object with ``lb`` and
      ``ub``; for L-BFGS. A start outside moves to the nearest point inside, as in SciPy.
    - ``tol``: the method's ``gtol``, as in SciPy: stop where the max-norm of the (projected) gradient is at
      most that. Without it the run goes on until nothing is left to gain (docs/success.md).
    - ``options``: those of the method (``gtol``, ``search``, ...), and ``maxiter``, ``maxfev`` (calls of the
      function: not one more is made), ``maxtime`` (seconds), ``goal``, ``disp`` (say at the end why it
      stopped). With differences also
      ``finite_diff_rel_step`` (h is that times \|xᵢ\|) and ``eps`` (h itself): see
      :class:`nnx.optimizers.functions.differences.Differences`.
    - ``callback(x)`` or ``callback(intermediate_result)`` (with x, fun, nit, nfev) is called after each
      iteration; it ends the run by returning True or raising StopIteration.

    Returns a :class:`nnx.optimizers.OptimizeResult` with SciPy's fields and codes. It always holds the best
    iterate, and where ``maxfev`` or ``maxtime`` ended the run the best point that was seen.

    ``nfev`` and ``njev`` count every call, those for differences included, as in SciPy. Where the automatic
    gradient is not finite though the cost is (0·∞ by the chain rule), its limit, or a difference, takes its
    place. SciPy's other options may be given where they ask for nothing (``return_all=False``). Raises
    :class:`nnx.errors.OptionError` for unknown methods, options and keywords, and for what belongs to another
    method.

    Source: SciPy's ``scipy.optimize.minimize``.

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
    options = as_options("minimize", options)
    if tol is not None:
        if not (isinstance(method, str | type) and hasattr(kind_of(method), "gtol")):
            raise OptionError(
                f"minimize: tol stands for the method's gtol, which cannot be set for {method!r}. Leave tol "
                "out; options such as maxiter, maxtime and goal end every method."
            )
        options.setdefault("gtol", tol)
    jac, hess, differences = _differences(jac, hess, options)
    optimizer, limits = chosen(method, options)
    args = args if isinstance(args, tuple) else (args,)
    if bounds is not None:
        optimizer, start = bounded(optimizer, bounds, start)
        differences = differences.within(getattr(optimizer, "bounds", None))
    problem = FunctionProblem(
        lambda x: fun(x, *args),
        start.layout,
        start.build,
        gradient=_derivative(jac, differences, args),
        hessian=_derivative(hess, differences, args),
        hvp=None if hessp is None else lambda x, p: hessp(x, p, *args),
        box=differences.box,
    )
    run = Run(problem, optimizer, start, limits, callback)
    stop = run()
    best = run.best
    assert best is not None
    gradient, norm = run.slope()
    return run.result(stop, fun=best.cost, jac=start.form(gradient), optimality=norm)


def _differences(jac: Any, hess: Any, options: dict[str, Any]) -> tuple[Any, Any, Differences]:
    """``jac`` and ``hess``, checked, and the steps of differences, whose options are taken out."""
    jac, hess = scheme("minimize", "jac", jac, pair=True), scheme("minimize", "hess", hess)
    steps = {}
    if isinstance(jac, str) or isinstance(hess, str):
        for name, field in (("finite_diff_rel_step", "rel_step"), ("eps", "abs_step")):
            steps[field] = relative_step("minimize", name, options.pop(name, None))
    if isinstance(jac, str) and isinstance(hess, str):
        raise OptionError(
            f"minimize: jac={jac!r} with hess={hess!r} are differences of differences, too inaccurate: "
            "give jac as a function, or leave hess out (as in SciPy)."
        )
    if hess == "cs" and not callable(jac):
        raise OptionError("minimize: hess='cs' needs a function jac that takes complex x. Take '3-point'.")
    return jac, hess, Differences(**steps)


def _derivative(given: Any, differences: Differences, args: tuple[Any, ...]) -> Any:
    """``jac`` or ``hess`` as a problem takes it."""
    if isinstance(given, str):
        return replace(differences, scheme=given)
    return (lambda x: given(x, *args)) if callable(given) else given
