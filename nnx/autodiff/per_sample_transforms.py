"""Gradients and Jacobians sample by sample."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from nnx.autodiff.boundary import holds_complex
from nnx.autodiff.mapping import mapped
from nnx.autodiff.modes import gradient_of, jacobian_of
from nnx.autodiff.recording import record, rowwise
from nnx.autodiff.rowwise import Mixed, RowTape
from nnx.autodiff.space import space_of
from nnx.autodiff.tree import flatten
from nnx.errors import DerivativeError, ShapeError
from nnx.options import truth


def per_sample_grad(f: Callable[..., Any], *, stacked: bool = False) -> Callable[..., Any]:
    """A function of ``(w, *data)`` that returns each sample's gradient by ``w``: shape ``(n, *w.shape)``.

        G[i] = ∂f(w, data[i]) / ∂w

    ``data`` are arrays of n samples along their first axis, ``w`` is an array; both may be nested containers
    of them, and the result has the structure of ``w``. Either

    - ``f(w, *sample)`` is the loss of one sample, a number: this is ``vmap(grad(f))`` (:func:`nnx.vmap`); or
    - with ``stacked=True``, ``f(w, *data)`` gives the n losses of all samples at once, as code for a batch
      does: ``x @ w``, means over other axes than the first. One pass forward and one back give all n
      gradients, hundreds of times faster for small networks: ``G[i] = ∂f(w, *data)[i] / ∂w``.

    Raises :class:`nnx.errors.ShapeError` if the data have different lengths, or the losses are not (n,), and
    :class:`nnx.errors.DerivativeError` as :func:`nnx.grad` does; with ``stacked=True`` also where ``f`` mixes
    the samples (batch normalization, a softmax over axis 0), or calls what is not known to keep them apart.

    >>> x, y = np.asarray([[1.0, 2.0], [3.0, 4.0]]), np.asarray([1.0, 0.0])
    >>> nnx.per_sample_grad(lambda w, x, y: (np.sum(w * x) - y) ** 2)(np.asarray([1.0, 0.0]), x, y)
    array([[ 0.,  0.],
           [18., 24.]])
    >>> nnx.per_sample_grad(lambda w, x, y: (np.sum(w * x, axis=1) - y) ** 2, stacked=True)(
    ...     np.asarray([1.0, 0.0]), x, y
    ... )
    array([[ 0.,  0.],
           [18., 24.]])

    Source: I. Goodfellow, "Efficient per-example gradient
    computations", arXiv:1510.01799 (2015).
    """
    if not truth("per_sample_grad", "stacked", stacked):
        return _one_by_one("per_sample_grad", gradient_of("per_sample_grad", f))

    def gradients(w: Any, *data: Any) -> Any:
        return _at_once("per_sample_grad", f, w, data, 1)

    return gradients


def per_sample_jacobian(f: Callable[..., Any], *, stacked: bool = False) -> Callable[..., Any]:
    """A function of ``(w, *data)`` that returns each sample's Jacobian by ``w``: shape ``(n, m, *w.shape)``.

        J[i, k] = ∂fₖ(w, data[i]) / ∂w

    ``f(w, *sample)`` gives the m outputs of one sample: this is ``vmap(jacobian(f))``. With ``stacked=True``
    ``f(w, *data)`` gives all outputs, (n, m), as in :func:`per_sample_grad`: one pass forward and m passes
    back are made. ``w`` may be a nested container; the result has its structure.

    Raises :class:`nnx.errors.ShapeError` if the data have different lengths, or the stacked outputs are not
    (n, m), and :class:`nnx.errors.DerivativeError` as :func:`nnx.jacobian` and :func:`per_sample_grad` do.

    >>> x = np.asarray([1.0, 2.0])
    >>> nnx.per_sample_jacobian(lambda w, x: np.stack([w * x, w**2]))(np.asarray(3.0), x)
    array([[1., 6.],
           [2., 6.]])

    Source: M. T. Hagan, M. B. Menhaj, "Training feedforward networks with the Marquardt algorithm",
    IEEE Transactions on Neural Networks 5 (1994) 989–993.
    """
    if not truth("per_sample_jacobian", "stacked", stacked):
        return _one_by_one("per_sample_jacobian", jacobian_of("per_sample_jacobian", f))

    def jacobians(w: Any, *data: Any) -> Any:
        return _at_once("per_sample_jacobian", f, w, data, 2)

    return jacobians


def _at_once(who: str, f: Callable[..., Any], w: Any, data: Any, ndim: int) -> Any:
    """The derivatives of all samples from one pass over the batch, whose values have ``ndim`` axes."""
    n, tape = _count(who, data), RowTape()
    recorded = record(who, lambda w: f(w, *data), (w,), False, tape)
    values = recorded.build_out(recorded.values)
    if not hasattr(values, "dtype") or holds_complex(values):
        kind = "complex numbers" if hasattr(values, "dtype") else type(values).__name__
        raise DerivativeError(
            f"{who} with stacked=True needs a function that returns one array of real numbers, got {kind}."
        )
    shape = tuple(values.shape)
    if len(shape) != ndim or shape[0] != n:
        wanted = f"one loss for each of the {n} samples" if ndim == 1 else f"outputs of shape ({n}, m)"
        raise ShapeError(f"{who} needs {wanted}, got shape {shape}.")
    try:
        rows = rowwise(tape, recorded).rows(0, math.prod(shape))
    except Mixed as mixed:
        raise DerivativeError(
            f"{who} with stacked=True: {mixed} mixes the samples, which axis 0 counts, or is not known "
            "to keep them apart. Write it with functions that do (elementwise ones, x @ w, sums over other "
            "axes), or leave stacked=True out and give the function of one sample."
        ) from None
    found = [space_of(g).reshape(g, (*shape, *g.shape[1:])) for g in rows]
    return recorded.build(found)[0]


def _one_by_one(who: str, derivative: Callable[..., Any]) -> Callable[..., Any]:
    """The derivative of one sample, mapped over the data."""

    def of_samples(w: Any, *data: Any) -> Any:
        _count(who, data)
        return mapped(who, derivative, (None, *(0,) * len(data)))(w, *data)

    return of_samples


def _count(who: str, data: Any) -> int:
    leaves, _ = flatten(data)
    for x in leaves:
        if not getattr(x, "shape", ()):
            kind = "an array without dimensions" if hasattr(x, "shape") else f"a {type(x).__name__}"
            raise ShapeError(
                f"{who}: the data after w must be arrays whose first axis counts the samples, got {kind}. "
                "Put what all samples share into the closure of the function."
            )
    counts = {int(x.shape[0]) for x in leaves}
    if len(counts) != 1 or 0 in counts:
        raise ShapeError(
            f"{who}: the data must be arrays of equally many samples (at least one), got shapes "
            f"{', '.join(str(tuple(x.shape)) for x in leaves) or 'none'}."
        )
    return counts.pop()
