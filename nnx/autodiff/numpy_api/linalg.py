# ruff: noqa: D103 (each is NumPy's function of that name)
"""``np.linalg`` with NumPy's arguments, by the standard's linear algebra."""

from __future__ import annotations

import math
from functools import reduce
from typing import Any

from nnx.autodiff.array import plain
from nnx.autodiff.numpy_api.shapes import moveaxis
from nnx.autodiff.numpy_api.table import array, arrays, axes_of, flat, refuse, stands_for


def _same(*names: str) -> None:
    """Functions that take the same arguments as the standard's."""
    for name in names:

        def call(xp: Any, *args: Any, _name: str = name, **options: Any) -> Any:
            return getattr(xp.linalg, _name)(*args, **options)

        stands_for("linalg." + name)(call)


_same("det", "slogdet", "inv", "solve", "svdvals", "matrix_norm", "matrix_power")


@stands_for("linalg.cholesky")
def cholesky(xp: Any, a: Any, /, *, upper: bool = False) -> Any:
    return xp.linalg.cholesky(a, upper=upper)


@stands_for("linalg.vector_norm")
def vector_norm(xp: Any, x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    x = array(xp, x)
    axis = None if axis is None else axes_of("linalg.vector_norm", axis, x)
    return xp.linalg.vector_norm(x, axis=axis, keepdims=keepdims, ord=ord)


@stands_for("linalg.norm")
def norm(xp: Any, x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    x = array(xp, x)
    if axis is None and ord is None:
        y = xp.linalg.vector_norm(flat(xp, x))
        return xp.reshape(y, (1,) * x.ndim) if keepdims else y
    axes = axes_of("linalg.norm", axis, x)
    if len(axes) == 1 or (ord is None and len(axes) == 2):
        return xp.linalg.vector_norm(x, axis=axes, keepdims=keepdims, ord=2 if ord is None else ord)
    if len(axes) != 2:
        raise ValueError("Improper number of dimensions to norm.")
    y = xp.linalg.matrix_norm(moveaxis(xp, x, axes, (-2, -1)), keepdims=keepdims, ord=ord)
    return moveaxis(xp, y, (-2, -1), axes) if keepdims else y


@stands_for("linalg.qr")
def qr(xp: Any, a: Any, mode: str = "reduced") -> Any:
    if mode == "raw":
        refuse("linalg.qr", "mode='raw' gives LAPACK's Householder vectors", "Take mode='reduced'.")
    if mode == "r":
        return xp.linalg.qr(a)[1]
    return xp.linalg.qr(a, mode=mode)


@stands_for("linalg.svd")
def svd(xp: Any, a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    if not compute_uv:
        return xp.linalg.svdvals(a)
    return xp.linalg.svd(a, full_matrices=full_matrices)


def _from_triangle(xp: Any, a: Any, uplo: str) -> Any:
    """The symmetric matrix with the triangle that is read: the standard may read either."""
    lower = uplo.upper() == "L"
    part = xp.tril(a) if lower else xp.triu(a)
    other = xp.tril(a, k=-1) if lower else xp.triu(a, k=1)
    other = xp.matrix_transpose(other)
    return part + (xp.conj(other) if xp.base.isdtype(a.dtype, "complex floating") else other)


@stands_for("linalg.eigh")
def eigh(xp: Any, a: Any, UPLO: str = "L") -> Any:  # noqa: N803 (NumPy's name)
    return xp.linalg.eigh(_from_triangle(xp, a, UPLO))


@stands_for("linalg.eigvalsh")
def eigvalsh(xp: Any, a: Any, UPLO: str = "L") -> Any:  # noqa: N803 (NumPy's name)
    return xp.linalg.eigvalsh(_from_triangle(xp, a, UPLO))


@stands_for("linalg.pinv")
def pinv(xp: Any, a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    rtol = rcond if rtol is None else rtol
    if rtol is None:
        rtol = 1e-15  # NumPy's default, not the standard's
    return xp.linalg.pinv(a, rtol=rtol)


@stands_for("linalg.lstsq")
def lstsq(xp: Any, a: Any, b: Any, rcond: Any = None) -> Any:
    a, b = arrays(xp, a, b)
    m, n = a.shape
    eps = float(xp.base.finfo(a.dtype).eps)
    rtol = eps * max(m, n) if rcond is None else eps if rcond < 0 else rcond
    x = xp.linalg.pinv(a, rtol=rtol) @ b
    singular = xp.linalg.svdvals(a)
    values = plain(singular)
    rank = int(xp.base.sum(xp.base.astype(values > rtol * xp.base.max(values), xp.base.int64)))
    missing = a @ x - b
    rest = xp.sum(xp.abs(missing) ** 2, axis=0)
    rest = xp.reshape(rest, (-1,)) if rank == n and m > n else xp.reshape(rest, (-1,))[:0]
    return x, rest, rank, singular


@stands_for("linalg.cond")
def cond(xp: Any, x: Any, p: Any = None) -> Any:
    if p in (None, 2, -2):
        s = xp.linalg.svdvals(x)
        return s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
    return norm(xp, x, p, (-2, -1)) * norm(xp, xp.linalg.inv(x), p, (-2, -1))


@stands_for("linalg.multi_dot")
def multi_dot(xp: Any, arrays_: Any, *, out: Any = None) -> Any:
    parts = arrays(xp, *arrays_)
    if len(parts) < 2:
        raise ValueError("Expecting at least two arrays.")
    return reduce(lambda a, b: a @ b, parts) if len(parts) == 2 else _chain(xp, parts)


def _chain(xp: Any, parts: list[Any]) -> Any:
    """The product in the order that costs the least, found as NumPy does (Cormen et al., chapter 15)."""
    parts = list(parts)
    head, tail = parts[0].ndim == 1, parts[-1].ndim == 1
    sizes = [
        1 if head else parts[0].shape[0],
        *(x.shape[0] for x in parts[1:]),
        1 if tail else parts[-1].shape[1],
    ]
    n = len(parts)
    cost = {(i, i): (0, i) for i in range(n)}
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            cost[i, j] = min(
                (cost[i, k][0] + cost[k + 1, j][0] + sizes[i] * sizes[k + 1] * sizes[j + 1], k)
                for k in range(i, j)
            )

    def product(i: int, j: int) -> Any:
        return parts[i] if i == j else product(i, cost[i, j][1]) @ product(cost[i, j][1] + 1, j)

    return product(0, n - 1)


@stands_for("linalg.tensorinv")
def tensorinv(xp: Any, a: Any, ind: int = 2) -> Any:
    lead, rest = tuple(a.shape[:ind]), tuple(a.shape[ind:])
    return xp.reshape(xp.linalg.inv(xp.reshape(a, (math.prod(rest), -1))), (*rest, *lead))


@stands_for("linalg.tensorsolve")
def tensorsolve(xp: Any, a: Any, b: Any, axes: Any = None) -> Any:
    a, b = arrays(xp, a, b)
    if axes is not None:
        moved = list(axes_of("linalg.tensorsolve", axes, a))
        a = xp.permute_dims(a, tuple([i for i in range(a.ndim) if i not in moved] + moved))
    rest = tuple(a.shape[b.ndim :])
    return xp.reshape(xp.linalg.solve(xp.reshape(a, (-1, math.prod(rest))), flat(xp, b)), rest)
