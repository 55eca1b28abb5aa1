"""``nnx.curve_fit``: the parameters of a model that fit data, with their uncertainties."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable, Mapping
from functools import cached_property
from statistics import NormalDist
from typing import Any, NamedTuple

from nnx.backend import adapter_of, device_of, namespace, need_real
from nnx.errors import FitError, OptionError, ShapeError
from nnx.optimizers.functions.bounds import as_box, need_inside
from nnx.optimizers.functions.data import (
    common_type,
    in_all_arrays,
    independent,
    need_finite,
    numbers,
    real_as,
)
from nnx.optimizers.functions.functions import beside
from nnx.optimizers.functions.least_squares import least_squares
from nnx.optimizers.functions.run import as_options, start_at
from nnx.optimizers.functions.student import student_quantile
from nnx.optimizers.functions.whitening import Whitening
from nnx.optimizers.problem import read, read_vector
from nnx.optimizers.result import OptimizeResult
from nnx.options import Number, truth

Array = Any


class Interval(NamedTuple):
    """Lower and upper ends, an array each."""

    low: Array
    high: Array


class CurveFit(tuple[Array, Array]):
    """The answer of :func:`nnx.curve_fit`: ``popt, pcov`` for those who unpack it, as SciPy's, and more.

    ``popt`` are the n parameters, (n,), ``pcov`` is their covariance, (n, n), ``perr`` the square roots of
    its diagonal (their standard deviations). ``confidence_interval`` has ``low`` and ``high``: popt ∓ t·perr,
    where t is Student's with m − n degrees of freedom for the confidence asked for (the normal quantile where
    the deviations of the data were given as absolute ones). ``result`` is that of :func:`nnx.least_squares`,
    ``quantile`` ≥ 0 is t.

    >>> x = np.arange(5.0)
    >>> y = 2.0 * x + 1.0 + np.asarray([0.1, -0.1, 0.0, -0.1, 0.1])
    >>> fit = nnx.curve_fit(lambda x, a, b: a * x + b, x, y)
    >>> popt, pcov = fit
    >>> fit.popt.round(3), fit.pcov.shape, fit.perr.round(3), fit.confidence_interval.low.round(3)
    (array([2., 1.]), (2, 2), array([0.037, 0.089]), array([1.884, 0.715]))
    """

    def __new__(cls, popt: Array, pcov: Array, result: OptimizeResult, quantile: float) -> CurveFit:
        fit = super().__new__(cls, (popt, pcov))
        fit.result, fit.quantile = result, quantile
        return fit

    result: OptimizeResult
    quantile: float

    def __getnewargs__(self) -> tuple[Any, ...]:
        return (*self, self.result, self.quantile)

    @property
    def popt(self) -> Array:
        """The parameters, a vector (n,)."""
        return self[0]

    @property
    def pcov(self) -> Array:
        """Their covariance, a matrix (n, n)."""
        return self[1]

    @cached_property
    def perr(self) -> Array:
        """Their standard deviations, a vector (n,)."""
        xp = namespace(self.pcov)
        return xp.sqrt(xp.linalg.diagonal(self.pcov))

    @cached_property
    def confidence_interval(self) -> Interval:
        """``(low, high)``, two vectors (n,): popt ∓ t·perr."""
        wide = self.quantile * self.perr
        return Interval(self.popt - wide, self.popt + wide)


def curve_fit(
    f: Callable[..., Any],
    xdata: Any,
    ydata: Any,
    p0: Any = None,
    sigma: Any = None,
    absolute_sigma: bool = False,
    check_finite: bool | None = None,
    bounds: Any = None,
    method: Any = None,
    jac: Any = None,
    *,
    full_output: bool = False,
    confidence: float = 0.95,
    callback: Any = None,
    options: Mapping[str, Any] | None = None,
    **more: Any,
) -> Any:
    """The parameters p with which ``f(xdata, *p)`` fits ``ydata`` best, and their covariance, as in SciPy.

    Minimises ½ Σ ((f(xᵢ, p) − yᵢ)/σᵢ)². ``f`` is written in array API or plain NumPy calls and gets each
    parameter as a number (an array of shape ()); its derivatives come from automatic differentiation, from
    ``jac(xdata, *p)``, (m, n), or, for an ``f`` that cannot be traced, from differences: ``jac="2-point"``,
    ``"3-point"`` or ``"cs"``, with ``diff_step`` as in :func:`nnx.least_squares`.

    - ``xdata``, ``ydata``: arrays stay in their library. Lists, columns of data frames, arrays of objects and
      whatever else NumPy can read become arrays of the current backend; a data frame as ``xdata`` reaches
      ``f`` with arrays for columns. ``ydata`` may be a number or of any shape that broadcasts to f's. All are
      real numbers; single precision is kept where neither ``p0`` nor the data are double.
    - ``p0``: where to start. Default: ones, as many as ``f`` has parameters after the first, or, with
      ``bounds``, between them. It must be inside of the bounds.
    - ``sigma``: standard deviations of ``ydata`` (one, or m; infinite: that datum has no weight and is not
      counted in m), or their covariance (m, m).
    - ``absolute_sigma``: whether ``sigma`` is meant as it is. Otherwise (default) only its relative size
      counts, and pcov is scaled by s² = Σ r²/(m − n), r the residuals: pcov = s²·(JᵀJ)⁻¹.
    - ``check_finite`` (None: True): whether NaN and infinities in the data are refused.
    - ``confidence``: of the intervals ``confidence_interval``, in (0, 1).
    - ``bounds``, ``method``, ``callback``, ``options`` and any further option (``ftol``, ``max_nfev``, ...):
      as in :func:`nnx.least_squares`.

    Returns a :class:`nnx.optimizers.CurveFit`; with ``full_output`` SciPy's five (popt, pcov, infodict, mesg,
    ier). Where the data do not determine all parameters, or m ≤ n leaves no s², pcov is infinite, with a
    warning. Raises :class:`nnx.errors.FitError` (a RuntimeError; its ``result`` has the best point) where the
    run ended without success, :class:`nnx.errors.DataError` for data with NaN or infinities unless
    ``check_finite`` is False.

    Source: SciPy's ``scipy.optimize.curve_fit``; intervals: G. A. F. Seber, C. J. Wild, *Nonlinear
    Regression*, 1989, chapter 5.

    >>> t = np.linspace(0.0, 4.0, 50)
    >>> y = 2.5 * np.exp(-1.3 * t) + 0.5 + 0.01 * np.cos(40.0 * t)
    >>> fit = nnx.curve_fit(lambda t, a, b, c: a * np.exp(-b * t) + c, t, y)
    >>> popt, pcov = fit
    >>> popt.round(2), fit.confidence_interval.low.round(2), fit.confidence_interval.high.round(2)
    (array([2.5, 1.3, 0.5]), array([2.49, 1.29, 0.5 ]), array([2.51, 1.31, 0.5 ]))
    """
    if not Number(above=0.0, below=1.0).allows(confidence):
        raise OptionError(f"curve_fit: confidence must be a number in (0, 1), got {confidence!r}.")
    x, y = independent(xdata), numbers(ydata, "curve_fit: ydata")
    p = _start(f, p0, bounds, y)
    xp, n = namespace(p), int(p.shape[0])
    truth("curve_fit", "absolute_sigma", absolute_sigma)
    truth("curve_fit", "full_output", full_output)
    to_common = real_as(common_type(p, x, y))
    p, y, x = to_common(p), to_common(y), in_all_arrays(to_common, x)
    if check_finite is None or check_finite:
        x = in_all_arrays(lambda part: need_finite(part, "xdata"), x)
        need_finite(y, "ydata")
    whiten = Whitening(sigma, y)

    def residual(p: Array) -> Array:
        errors = _errors(beside(y, f(x, *(p[i] for i in range(n)))), y)
        return whiten(namespace(errors).reshape(errors, (-1,)))

    def jacobian(p: Array) -> Array:
        found = xp.asarray(jac(x, *(p[i] for i in range(n))), dtype=p.dtype, device=device_of(p))
        return whiten(xp.reshape(found, (-1, found.shape[-1])))

    options = as_options("curve_fit", options) | more
    if "max_nfev" in options:
        options["maxfev"] = options.pop("max_nfev")
    derivative = jacobian if callable(jac) else jac
    step = options.pop("diff_step", None)
    result = least_squares(
        residual, p, derivative, bounds, method, callback=callback, options=options, diff_step=step
    )
    if not result.success:
        raise FitError(f"curve_fit found no best parameters: {result.message}", result)
    freedom = int(result.fun.shape[0]) - whiten.ignored - n
    pcov = _covariance(result, freedom, absolute_sigma)
    if full_output:
        about = {name: result[name] for name in ("nfev", "njev")} | {"fvec": result.fun}
        return result.x, pcov, about, result.message, min(result.status, 4)  # 1 to 4 is SciPy's success
    normal = absolute_sigma and sigma is not None
    quantile = math.inf if freedom < 1 else student_quantile(confidence, freedom)
    return CurveFit(result.x, pcov, result, _normal_quantile(confidence) if normal else quantile)


def _normal_quantile(confidence: float) -> float:
    return NormalDist().inv_cdf(0.5 + 0.5 * confidence)


def _errors(values: Any, y: Array) -> Array:
    """Values minus data: of one shape, or the one broadcast to the other."""
    if isinstance(values, complex):
        values = namespace(y).asarray(values, device=device_of(y))
    if hasattr(values, "dtype"):
        need_real(values, "curve_fit: what f returned")
    shape, data = tuple(getattr(values, "shape", ())), tuple(y.shape)
    if not (_stretches(shape, data) or _stretches(data, shape)):
        raise ShapeError(
            f"curve_fit: f must return an array of ydata's shape {data}, got {shape}; and neither can be "
            "broadcast to the other."
        )
    return values - y


def _stretches(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    """Whether an array of that shape can be broadcast ``to`` the other."""
    ends = zip(reversed(shape), reversed(to), strict=False)
    return len(shape) <= len(to) and all(n in (1, m) for n, m in ends)


def _start(f: Callable[..., Any], p0: Any, bounds: Any, y: Array) -> Array:
    """The first parameters, a floating-point vector on the device of ``y``."""
    adapter, xp = adapter_of(y), namespace(y)
    if p0 is None:
        p = [1.0] * _count(f)
        box = as_box(bounds, start_at(_vector_like(p, y), "curve_fit"), sides=True)
        if box is not None:
            p = [_between(*ends) for ends in zip(*map(read_vector, box), strict=True)]
        return _vector_like(p, y)
    p = numbers(p0, "curve_fit: p0")
    if adapter_of(p) is not adapter or isinstance(p0, list | tuple | int | float):
        p = adapter.asarray(p, device=device_of(y))
    p = xp.reshape(p if xp.isdtype(p.dtype, "real floating") else xp.astype(p, xp.float64), (-1,))
    if not p.shape[0]:
        raise OptionError("curve_fit: p0 has no parameters in it.")
    box = as_box(bounds, start_at(p, "curve_fit"), sides=True)
    if box is not None:
        need_inside(box, p, "curve_fit: p0")
    return p


def _vector_like(entries: list[float], y: Array) -> Array:
    return adapter_of(y).asarray(entries, dtype=namespace(y).float64, device=device_of(y))


def _between(low: float, high: float) -> float:
    """Where SciPy starts within bounds."""
    if math.isfinite(low) and math.isfinite(high):
        return 0.5 * (low + high)
    return low + 1.0 if math.isfinite(low) else high - 1.0 if math.isfinite(high) else 1.0


def _count(f: Callable[..., Any]) -> int:
    """How many parameters ``f`` has after the first one."""
    try:
        own = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        own = []
    plain = [p for p in own if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if any(p.kind is p.VAR_POSITIONAL for p in own) or len(plain) < 2:
        raise OptionError(
            "curve_fit cannot tell from f how many parameters there are: give p0, or write f as "
            "f(x, a, b, ...)."
        )
    return len(plain) - 1


def _covariance(result: OptimizeResult, freedom: int, absolute: bool) -> Array:
    """(JᵀJ)⁻¹, times s² unless ``absolute``; infinite, with a warning, where the data do not determine it."""
    inverse = _inverse_of_square(result.jac)
    if inverse is None:
        why = "the Jacobian does not have full rank: the data do not determine all parameters"
    elif freedom < 1 and not absolute:
        why = f"{freedom + result.x.shape[0]} data are too few for the variance of their errors"
    else:
        return inverse if absolute else inverse * (2.0 * result.cost / freedom)
    warnings.warn(f"curve_fit: the covariance is infinite, since {why}.", stacklevel=3)
    xp, x = namespace(result.x), result.x
    return xp.full((x.shape[0], x.shape[0]), math.inf, dtype=x.dtype, device=device_of(x))


def _inverse_of_square(j: Array) -> Array | None:
    """(JᵀJ)⁻¹ from the singular values of J with columns of length 1; None where their rank is not full.

    Without the scaling, parameters of very different sizes would look like a singular J.
    """
    xp, (m, n) = namespace(j), j.shape
    lengths = xp.sqrt(xp.sum(j * j, axis=0))
    shortest, longest = read(xp.min(lengths), xp.max(lengths))
    if m < n or not (shortest > 0.0 and math.isfinite(longest)):
        return None
    _, s, vh = xp.linalg.svd(j / lengths, full_matrices=False)
    smallest, largest = read(xp.min(s), xp.max(s))
    if not smallest > m * float(xp.finfo(j.dtype).eps) * largest:
        return None
    half = vh / s[:, None] / lengths[None, :]
    return half.T @ half
