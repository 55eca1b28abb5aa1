"""Gradients and Jacobians sample by sample."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnx.autodiff.space import space_of
from nnx.autodiff.transforms import grad, jacobian, vjp
from nnx.autodiff.tree import flatten
from nnx.errors import ShapeError


def per_sample_grad(f: Callable[..., Any], *, stacked: bool = False) -> Callable[..., Any]:
    """A function of ``(w, *data)`` that returns each sample's gradient by ``w``: shape (n, *w.shape).

    ``data`` are arrays of n samples along their first axis; ``w`` is an array or a nested container. Either

    - ``f(w, *sample)`` is the loss of one sample, a number: it is differentiated n times; or
    - with ``stacked=True``, ``f(w, *data)`` gives the n losses of all samples, and takes in place of each
      parameter the n copies of it, (n, *shape), the i-th of which belongs to sample i
      (``(x[:, None, :] @ w)[:, 0, :]`` instead of ``x @ w``). One pass forward and one back then give all n
      gradients: tens of times faster for small networks.

    Raises :class:`nnx.errors.ShapeError` if the data are not equally many or the losses not n numbers.

    >>> x, y = np.asarray([[1.0, 2.0], [3.0, 4.0]]), np.asarray([1.0, 0.0])
    >>> nnx.per_sample_grad(lambda w, x, y: (np.sum(w * x) - y) ** 2)(np.asarray([1.0, 0.0]), x, y)
    array([[ 0.,  0.],
           [18., 24.]])
    """
    if not stacked:
        return lambda w, *data: _one_by_one(grad(f), w, data)

    def gradients(w: Any, *data: Any) -> Any:
        values, pullback = _of_copies(f, w, data)
        if tuple(values.shape) != (_count(data),):
            raise ShapeError(
                f"per_sample_grad needs one loss for each of the {_count(data)} samples, got shape "
                f"{tuple(values.shape)}."
            )
        return pullback(space_of(values).base.ones_like(values))

    return gradients


def per_sample_jacobian(f: Callable[..., Any], *, stacked: bool = False) -> Callable[..., Any]:
    """As :func:`per_sample_grad` for a function with m outputs per sample: arrays of shape (n, m, *w.shape).

    With ``stacked=True``, ``f`` returns all outputs, (n, m); one pass forward and m passes back are made.

    >>> x = np.asarray([1.0, 2.0])
    >>> nnx.per_sample_jacobian(lambda w, x: np.stack([w * x, w**2]))(np.asarray(3.0), x)
    array([[1., 6.],
           [2., 6.]])
    """
    if not stacked:
        return lambda w, *data: _one_by_one(jacobian(f), w, data)

    def jacobians(w: Any, *data: Any) -> Any:
        values, pullback = _of_copies(f, w, data)
        n = _count(data)
        if values.ndim != 2 or values.shape[0] != n:
            raise ShapeError(
                f"per_sample_jacobian needs outputs of shape ({n}, m), got {tuple(values.shape)}."
            )
        xp = space_of(values).base
        columns = xp.positions((values.shape[1],), values)
        one = xp.ones_like(values)
        rows = [pullback(xp.where(columns == k, one, 0.0)) for k in range(values.shape[1])]
        return _stacked(rows, 1)

    return jacobians


def _of_copies(f: Callable[..., Any], w: Any, data: Any) -> tuple[Any, Callable[..., Any]]:
    """The value for n copies of ``w``, and the pullback to the copies."""
    n = _count(data)
    leaves, build = flatten(w)
    copies = [space_of(x).broadcast_to(x, (n, *x.shape)) for x in leaves]
    values, pullback = vjp(lambda *own: f(build(list(own)), *data), *copies)
    return values, lambda g: build(list(pullback(g)))


def _one_by_one(derivative: Callable[..., Any], w: Any, data: Any) -> Any:
    return _stacked([derivative(w, *(x[i, ...] for x in data)) for i in range(_count(data))], 0)


def _stacked(trees: list[Any], axis: int) -> Any:
    columns = zip(*(flatten(tree)[0] for tree in trees), strict=True)
    build = flatten(trees[0])[1]
    return build([space_of(column[0]).stack(list(column), axis=axis) for column in columns])


def _count(data: Any) -> int:
    counts = {int(x.shape[0]) for x in data}
    if len(counts) != 1 or 0 in counts:
        raise ShapeError(
            "The data must be arrays of equally many samples (at least one), got shapes "
            f"{', '.join(str(tuple(x.shape)) for x in data) or 'none'}."
        )
    return counts.pop()
