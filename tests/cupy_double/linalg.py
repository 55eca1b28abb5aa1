"""Factorizations and solutions as CuPy has them: what goes wrong is garbage, errors only where one asks.

Source: CuPy 14.2, ``cupy/linalg/_util.py`` (``_check_cusolver_dev_info_if_synchronization_allowed``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np

from cupy_double.array import ndarray, operand, silently, waiting, wrapped

_state = SimpleNamespace(linalg="ignore")


def _checked(failed: bool, name: str) -> None:
    if _state.linalg == "raise":
        waiting()
        if failed:
            raise np.linalg.LinAlgError(f"Error reported by {name} in cuSOLVER. devInfo = [1].")


def cholesky(a: ndarray) -> ndarray:
    host = operand(a)
    try:
        factor, failed = np.linalg.cholesky(host), False
    except np.linalg.LinAlgError:
        # the entries that were there before: finite, and no factor. A NaN need not be seen at all.
        factor, failed = np.tril(host), not np.isnan(host).any()
    _checked(failed, "potrf")
    return wrapped(factor)


def solve(a: ndarray, b: ndarray) -> ndarray:
    if b.ndim > 1 and a.shape[:-2] != b.shape[:-2]:
        raise ValueError("a and b must have the same batch dimensions: CuPy does not broadcast them")
    shape = a.shape[:-1] if b.ndim == 1 else b.shape
    return _or_nan(np.linalg.solve, operand(a), operand(b), shape=shape)


def inv(a: ndarray) -> ndarray:
    return _or_nan(np.linalg.inv, operand(a), shape=a.shape)


def _or_nan(of: Callable[..., Any], *args: Any, shape: tuple[int, ...]) -> ndarray:
    try:
        found, failed = silently(of, *args), False
    except np.linalg.LinAlgError:
        found, failed = np.full(shape, np.nan, args[0].dtype), True
    _checked(failed, of.__name__)
    return wrapped(found)


def solve_triangular(
    a: ndarray, b: ndarray, trans: Any = 0, lower: bool = False, unit_diagonal: bool = False,
    overwrite_b: bool = False, check_finite: bool = False,
) -> ndarray:  # fmt: skip
    half = np.tril(operand(a)) if lower else np.triu(operand(a))
    return _or_nan(np.linalg.solve, half.T if trans in (1, "T") else half, operand(b), shape=b.shape)


@contextmanager
def errstate(*, linalg: str | None = None, **_: Any) -> Iterator[None]:
    """``cupyx.errstate``."""
    before, _state.linalg = _state.linalg, linalg or _state.linalg
    try:
        yield
    finally:
        _state.linalg = before
