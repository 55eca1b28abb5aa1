"""Functions with a hand-written derivative, for stability or speed."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper, wraps
from typing import Any

from nnx.autodiff.bind import bind
from nnx.autodiff.families import Elementwise
from nnx.autodiff.pullbacks import Fused, FusedSeveral
from nnx.autodiff.space import space_of


class FusedFunction:
    """A function of arrays together with its derivative; made by :func:`fused`.

    ``plain`` is the body without the derivative, for the test that both agree to second order. A call raises
    :class:`nnx.errors.DerivativeError` for a traced array whose transform has returned.

    >>> softplus = nnx.activations.softplus
    >>> type(softplus).__name__
    'FusedFunction'
    >>> y, pullback = softplus.with_pullback(np.asarray([0.0]))
    >>> pullback(np.asarray([1.0]))
    array([0.5])
    """

    def __init__(self, plain: Callable[..., Any], rule: Any) -> None:
        self.plain = plain
        self.rule = rule
        self._call = bind(rule, plain, None)
        update_wrapper(self, plain)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(*args, **kwargs)

    def __reduce__(self) -> str:
        return self.plain.__qualname__  # copied and pickled as a function is: by its name

    def with_pullback(self, x: Any, **options: Any) -> tuple[Any, Callable[[Any], Any]]:
        """``(y, pullback)`` for the only array ``x``, which is not traced: :func:`nnx.vjp` without a tape."""
        y, xp = self.plain(x, **options), space_of(x).base
        if isinstance(self.rule, _ElementwiseWithOptions):
            at = y if self.rule.reads_y(**options) else x
            slope = None

            def pullback(g: Any) -> Any:
                nonlocal slope
                if slope is None:  # it may be needed several times
                    slope = self.rule.d(xp, at, y, **options)
                return g * slope

            return y, pullback
        pull = self.rule.pull((0,), y, (x,), options)
        return y, lambda g: pull(xp, g)[0]


class _ElementwiseWithOptions(Elementwise):
    """Elementwise in the first argument; options reach the derivative ``d(xp, x, y, **options)``."""

    def __init__(self, name: str, d: Callable[..., Any], of_result: Callable[..., bool]) -> None:
        super().__init__(name, d)
        self.reads_y = of_result

    def pull(self, argnums: Any, answer: Any, values: Any, kwargs: Any) -> Any:
        # with y in the place of x nothing holds x any longer
        x, d = answer if self.reads_y(**kwargs) else values[0], self.d
        return lambda xp, g: (g * d(xp, x, answer, **kwargs),)

    def push(self, xp: Any, argnums: Any, tangents: Any, answer: Any, values: Any, kwargs: Any) -> Any:
        return tangents[0] * self.d(xp, values[0], answer, **kwargs)


def fused(
    *,
    derivative: Callable[..., Any] | None = None,
    of_result: bool | Callable[..., bool] = False,
    reverse: Callable[..., Any] | None = None,
    forward: Callable[..., Any] | None = None,
    fills: bool = False,
    reads: bool | tuple[int, ...] = True,
    several: bool = False,
    samples: Any = None,
) -> Callable[[Callable[..., Any]], FusedFunction]:
    """Decorator that gives a function of arrays a hand-written derivative.

    ``derivative(xp, x, y, **options)`` is dy/dx of an elementwise function ``y = f(x, **options)``; it serves
    forward and reverse mode. With ``of_result`` (or where ``of_result(**options)`` is true) it is the same
    with y in the place of x, as for max(x, 0): then x is not kept for the way back.
    ``reverse(xp, g, needs, y, *args, **options)`` returns one cotangent per argument of any function (None
    where ``needs[i]`` is false); forward mode is its transpose, or for speed
    ``forward(xp, tangents, y, *args, **options)`` (None where an argument has no tangent). Write them in
    ``xp`` and operators only, then derivatives of any order follow. With ``fills``, ``needs[i]`` may be an
    array instead of True: the place that ``xp.matmul_into`` may compute into. ``reads=False`` says that
    ``reverse`` does not read y, and of several results a tuple of numbers which of them it reads: the others
    come as None, and their memory is free where nobody else reads them.

    ``samples`` is for Jacobians whose rows are samples. True: row i of the result depends on row i of each
    argument alone, where these have more than one axis, and ``axis=`` (-1 unless the function says otherwise)
    is not the first. A function ``samples(xp, g, needs, y, *args, **options)``: that holds for the first
    argument, and all rows share the others; it returns what ``reverse`` does, but for these one cotangent per
    row, ``(n, *shape)``. Arguments with rows may come with further axes between the first and the last.

    With ``several`` the function returns a tuple of arrays. ``y`` is that tuple, and ``g`` a list with one
    cotangent for each result: None, not zeros, where nothing depends on it; ``forward`` returns one tangent
    for each. Return what the pullback would otherwise compute again (the gates of an LSTM cell) as further
    results: then it finds them in ``y``. **Its answer must use the cotangents of these results as well.**
    Nobody reads these results outside, so in a first derivative they are None; but second derivatives go
    through what the pullback reads from ``y``, and are wrong without them.

    Raises ``TypeError`` for neither or both of ``derivative`` and ``reverse``, for ``derivative`` with
    ``several`` or ``reads``, for ``reverse`` with ``of_result``, and where a function with ``several``
    does not return a tuple.

    >>> @nnx.autodiff.fused(derivative=lambda xp, x, y: 3.0 * x * x)
    ... def cube(x):
    ...     return x * x * x
    >>> float(nnx.grad(nnx.grad(cube))(2.0))
    12.0
    >>> def back(xp, g, needs, y, x):  # y = (e², e) with e = exp(x), kept for the pullback
    ...     (g_square, g_e), e = g, y[1]
    ...     by_e = 0.0 if g_square is None else 2.0 * g_square * e
    ...     return ((by_e if g_e is None else by_e + g_e) * e,)
    >>> @nnx.autodiff.fused(reverse=back, several=True)
    ... def squared_exp(x):
    ...     e = nnx.backend.namespace(x).exp(x)
    ...     return e * e, e
    >>> float(nnx.grad(nnx.grad(lambda x: squared_exp(x)[0]))(0.0))
    4.0
    """
    if (derivative is None) == (reverse is None):
        raise TypeError("fused needs either derivative= (elementwise) or reverse= (any function).")
    if of_result and derivative is None:
        raise TypeError(
            "fused: of_result= is for derivative=; what reverse= reads of its results, reads= says."
        )
    if reads is not True and reverse is None:
        raise TypeError("fused: reads= is for reverse=; an elementwise derivative takes of_result=.")
    if derivative is not None and several:
        raise TypeError("fused: an elementwise function has one result; several=True needs reverse=.")

    def wrap(function: Callable[..., Any]) -> FusedFunction:
        name = function.__name__
        if several:
            rule: Any = FusedSeveral(name, reverse, forward, fills)  # type: ignore[arg-type]
            rule.reads = reads
            return FusedFunction(_with_tuple(function), rule)
        if reverse is not None:
            rule = Fused(name, reverse, forward, fills)
            rule.reads = reads
            rule.samples = dict(function.__kwdefaults__ or {}) if samples is True else samples
            return FusedFunction(function, rule)
        reads_y = of_result if callable(of_result) else lambda **options: bool(of_result)
        return FusedFunction(function, _ElementwiseWithOptions(name, derivative, reads_y))  # type: ignore[arg-type]

    return wrap


def _with_tuple(function: Callable[..., Any]) -> Callable[..., tuple[Any, ...]]:
    """``function`` if it returns a tuple: a named one comes as a plain one, as it does in derivatives."""

    @wraps(function)
    def call(*args: Any, **options: Any) -> tuple[Any, ...]:
        results = function(*args, **options)
        if not isinstance(results, tuple):
            raise TypeError(
                f"{function.__name__}, made by fused(several=True), must return a tuple of arrays, got "
                f"{type(results).__name__}."
            )
        return tuple(results)

    return call
