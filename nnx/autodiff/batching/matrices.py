"""How products, linear algebra and Fourier transforms work on batched arrays."""

from __future__ import annotations

from typing import Any

from nnx.autodiff.batching.calls import Call
from nnx.autodiff.batching.rules import batching, samples_ndim, shifted
from nnx.autodiff.families import normal_axes
from nnx.errors import ShapeError

Array = Any


# -- products --------------------------------------------------------------------------------------------


@batching("matmul", "linalg.matmul")
def _matmul(call: Call, a: Any, b: Any, /) -> Any:
    if not getattr(a, "ndim", 0) or not getattr(b, "ndim", 0):
        raise ShapeError("matmul (@) needs arrays of at least one dimension; multiply by numbers with *.")
    one, other = call.mapped(a), call.mapped(b)
    xp = call.xp(call.under(a), call.under(b))
    if one and not other and b.ndim <= 2:
        return call.wrap(a.value @ b)
    if other and not one and b.ndim == 1 and a.ndim <= 2:  # A·bᵢ are the rows of B·Aᵀ
        return call.wrap(b.value @ (a if a.ndim == 1 else xp.matrix_transpose(a)))
    if a.ndim == b.ndim == 1:
        return call.wrap(xp.sum(call.under(a) * call.under(b), axis=-1))
    ndim = max(a.ndim, b.ndim, 2)
    left = call.spread(_matrix(call, a, 0), ndim)
    right = call.spread(_matrix(call, b, 1), ndim)
    y = xp.matmul(left, right)
    if a.ndim == 1:
        y = xp.squeeze(y, axis=-2)
    return call.wrap(xp.squeeze(y, axis=-1) if b.ndim == 1 else y)


def _matrix(call: Call, x: Array, place: int) -> Array:
    """A vector as a matrix of one row (for place 0) or column."""
    if x.ndim > 1:
        return x
    value = call.under(x)
    y = call.xp(value).expand_dims(value, axis=value.ndim - 1 + place)
    return call.wrap(y) if call.mapped(x) else y


@batching("tensordot", "linalg.tensordot")
def _tensordot(call: Call, a: Any, b: Any, /, *, axes: Any = 2) -> Any:
    if isinstance(axes, int):
        one, two = tuple(range(a.ndim - axes, a.ndim)), tuple(range(axes))
    else:
        one, two = normal_axes(tuple(axes[0]), a.ndim), normal_axes(tuple(axes[1]), b.ndim)
    free_a = [i for i in range(a.ndim) if i not in one]
    free_b = [i for i in range(b.ndim) if i not in two]
    xp = call.xp(call.under(a), call.under(b))
    if not call.mapped(b):
        return call.wrap(xp.tensordot(a.value, b, axes=(tuple(i + 1 for i in one), two)))
    if not call.mapped(a):
        y = xp.tensordot(a, b.value, axes=(one, tuple(i + 1 for i in two)))
        return call.wrap(xp.moveaxis(y, len(free_a), 0))
    space = call.adapter.space
    shapes = [a.shape[i] for i in free_a], [b.shape[i] for i in free_b]
    inner = 1
    for i in one:
        inner *= a.shape[i]
    left = space.reshape(space.permute_dims(a, (*free_a, *one)), (_size(shapes[0]), inner))
    right = space.reshape(space.permute_dims(b, (*two, *free_b)), (inner, _size(shapes[1])))
    return space.reshape(space.matmul(left, right), (*shapes[0], *shapes[1]))


def _size(shape: Any) -> int:
    n = 1
    for length in shape:
        n *= length
    return n


# -- stacks of matrices ----------------------------------------------------------------------------------


@batching(
    "matrix_transpose", "tril", "triu", "linalg.diagonal", "linalg.inv", "linalg.det", "linalg.slogdet",
    "linalg.cholesky", "linalg.qr", "linalg.eigh", "linalg.eigvalsh", "linalg.svd", "linalg.svdvals",
    "linalg.eig", "linalg.eigvals",
)  # fmt: skip
def _stacked(call: Call, x: Array, /, **options: Any) -> Any:
    if x.ndim < 2:
        raise ShapeError(f"xp.{call.name} takes matrices, got an array of shape {x.shape}.")
    return call.wrap(call.inner(x.value, **options))


@batching("linalg.pinv", "linalg.matrix_rank")
def _ranked(call: Call, x: Array, /, *, rtol: Any = None) -> Any:
    options = {} if rtol is None else {"rtol": call.spread(rtol, x.ndim - 2)}
    return call.wrap(call.inner(call.full(x), **options))


@batching("linalg.solve")
def _solve(call: Call, a: Array, b: Array, /) -> Any:
    vector = b.ndim == 1
    xp = call.xp(call.under(a), call.under(b))
    if not call.mapped(a) and a.ndim == 2 and b.ndim <= 2:  # one matrix: all right-hand sides side by side
        if vector:
            y = xp.linalg.solve(a, xp.matrix_transpose(b.value))
            return call.wrap(xp.matrix_transpose(y))
        columns = xp.reshape(xp.moveaxis(b.value, 0, 1), (b.shape[0], call.n * b.shape[1]))
        y = xp.reshape(xp.linalg.solve(a, columns), (a.shape[-1], call.n, b.shape[1]))
        return call.wrap(xp.moveaxis(y, 1, 0))
    right = _matrix(call, b, 1) if vector else b
    ndim = max(a.ndim, right.ndim)
    left, right = call.spread(_full(call, a), ndim), call.spread(_full(call, right), ndim)
    stack = tuple(
        max(n, m) if 0 not in (n, m) else 0 for n, m in zip(left.shape[:-2], right.shape[:-2], strict=True)
    )
    y = xp.linalg.solve(
        xp.broadcast_to(left, (*stack, *left.shape[-2:])), xp.broadcast_to(right, (*stack, *right.shape[-2:]))
    )
    return call.wrap(xp.squeeze(y, axis=-1) if vector else y)


def _full(call: Call, x: Array) -> Array:
    return x if call.mapped(x) else call.wrap(call.full(x))


@batching("linalg.cross")
def _cross(call: Call, a: Array, b: Array, /, *, axis: int = -1) -> Any:
    ndim = samples_ndim((a, b))
    place = axis if axis < 0 else axis - ndim
    shape = tuple(max(n, m) for n, m in zip(_padded(a, ndim), _padded(b, ndim), strict=True))
    xp = call.xp(call.under(a), call.under(b))
    values = [xp.broadcast_to(call.spread(_full(call, x), ndim), (call.n, *shape)) for x in (a, b)]
    return call.wrap(xp.linalg.cross(*values, axis=place))


def _padded(x: Array, ndim: int) -> tuple[int, ...]:
    return (1,) * (ndim - x.ndim) + tuple(x.shape)


# -- Fourier transforms ----------------------------------------------------------------------------------


@batching("fft.fft", "fft.ifft", "fft.rfft", "fft.irfft", "fft.hfft", "fft.ihfft")
def _one_axis(call: Call, x: Array, /, *, n: Any = None, axis: int = -1, norm: Any = "backward") -> Any:
    return call.wrap(call.inner(x.value, n=n, axis=shifted(axis, x.ndim), norm=norm))


@batching("fft.fftn", "fft.ifftn")
def _many_axes(call: Call, x: Array, /, *, s: Any = None, axes: Any = None, norm: Any = "backward") -> Any:
    if axes is None:
        axes = range(x.ndim) if s is None else range(x.ndim - len(s), x.ndim)
    return call.wrap(call.inner(x.value, s=s, axes=tuple(shifted(a, x.ndim) for a in axes), norm=norm))


@batching("fft.fftshift", "fft.ifftshift")
def _shift(call: Call, x: Array, /, *, axes: Any = None) -> Any:
    axes = range(x.ndim) if axes is None else (axes,) if isinstance(axes, int) else axes
    return call.wrap(call.inner(x.value, axes=tuple(shifted(a, x.ndim) for a in axes)))
