# ruff: noqa: E501 (a table reads best with a row in a line)
"""Examples of the linear algebra extension: what ``derivative_cases`` makes a ``Case`` of.

Matrices are moved away from where the functions have no derivative: eigenvalues and singular values apart,
symmetric ones positive. What depends on a sign that the library chooses is smooth in a neighbourhood, so
it is compared as it is.
"""

from __future__ import annotations

import math
from typing import Any

INF = math.inf
#: The fields of a ``Case``: name, function of (xp, arrays), inputs, label.
Example = tuple[str, Any, tuple[Any, ...], str]


def _one(name: str, function: Any, *inputs: Any, label: str = "") -> Example:
    return name, function, inputs, label


def _graded(xp: Any, x: Any, step: float = 3.0) -> Any:
    """x + diag(step, 2·step, ...): well-conditioned, eigenvalues and singular values apart."""
    m, n = x.shape[-2:]
    where = {"dtype": x.dtype, "device": getattr(x, "device", None)}  # JAX's tracers have none
    return x + xp.eye(m, n, **where) * xp.arange(step, step * (n + 0.5), step, **where)


def _positive(xp: Any, x: Any) -> Any:
    return _graded(xp, x @ xp.matrix_transpose(x), 1.0)


def _symmetric(xp: Any, x: Any) -> Any:
    return _graded(xp, x + xp.matrix_transpose(x))


def _complex(x: Any) -> Any:
    """A complex matrix that depends on all numbers of a real one."""
    return x + 0.5j * x * x


def _both(xp: Any, z: Any) -> list[Any]:
    return [xp.real(z), xp.imag(z)]


def _matrix(
    name: str, *shapes: Any, prepare: Any = _graded, label: str = "", **options: Any
) -> list[Example]:
    """``xp.linalg.<name>`` of matrices of some shapes."""

    def call(xp: Any, x: Any) -> Any:
        return getattr(xp.linalg, name)(prepare(xp, x), **options)

    return [_one(f"linalg.{name}", call, shape, label=f"{shape}{label}") for shape in shapes]


SQUARE, STACK, TALL, WIDE = (3, 3), (2, 2, 2), (4, 2), (2, 4)
_VECTOR_NORMS: list[dict[str, Any]] = [
    {}, {"axis": 1}, {"axis": (0, 2), "keepdims": True}, {"axis": (-1, 0), "ord": 3}, {"ord": 1}, {"ord": 0},
    {"ord": INF, "axis": 0}, {"ord": -INF, "axis": (0, 1)}, {"ord": 4, "axis": -1, "keepdims": True},
    {"ord": 2.5}, {"ord": 0.5, "axis": 0}, {"ord": -1}, {"ord": -2, "axis": (1, 2)}, {"ord": 1.5, "axis": 2},
]  # fmt: skip

LINALG_EXAMPLES: list[Example] = [
    *_matrix("cholesky", SQUARE, STACK, prepare=_positive),
    *_matrix("cholesky", SQUARE, prepare=_positive, upper=True, label="upper"),
    *_matrix("det", SQUARE, STACK, (1, 1)),
    *_matrix("inv", SQUARE, STACK),
    *_matrix("slogdet", SQUARE, STACK),
    *_matrix("pinv", SQUARE, TALL, WIDE, (2, 3, 2)),
    _one("linalg.pinv", lambda xp, a, b: xp.linalg.pinv(a @ b, rtol=1e-10), (3, 1), (1, 4), label="rank 1"),
    *_matrix("eigh", SQUARE, STACK, prepare=_symmetric),
    *_matrix("eigvalsh", SQUARE, STACK, prepare=_symmetric),
    *_matrix("qr", SQUARE, TALL, WIDE, (2, 3, 2)),
    *_matrix("qr", SQUARE, WIDE, mode="complete", label="complete"),
    *_matrix("svd", SQUARE, STACK, label="full"),
    *_matrix("svd", SQUARE, TALL, WIDE, (2, 3, 2), full_matrices=False),
    *_matrix("svdvals", SQUARE, TALL, WIDE, STACK),
    *[c for n in (-2, -1, 1, 2, 3, 5) for c in [_one("linalg.matrix_power", lambda xp, x, n=n: xp.linalg.matrix_power(_graded(xp, x), n) / 10.0**n, STACK, label=str(n))]],
    *[c for o in ("fro", "nuc", 1, -1, 2, -2, INF, -INF) for c in _matrix("matrix_norm", TALL, label=str(o), ord=o)],
    *_matrix("matrix_norm", (2, 2, 3)),
    *_matrix("matrix_norm", (2, 2, 3), keepdims=True, label="keepdims"),
    *_matrix("matrix_norm", (2, 2, 3), keepdims=True, ord=2, label="2 keepdims"),
    *[_one("linalg.vector_norm", lambda xp, x, kw=kw: xp.linalg.vector_norm(x, **kw), (2, 3, 2), label=str(kw)) for kw in _VECTOR_NORMS],
    _one("linalg.vector_norm", lambda xp, x: xp.linalg.vector_norm(x), (), label="0-d"),
    _one("linalg.solve", lambda xp, a, b: xp.linalg.solve(_graded(xp, a), b), SQUARE, (3,), label="vector"),
    _one("linalg.solve", lambda xp, a, b: xp.linalg.solve(_graded(xp, a), b), SQUARE, (3, 2), label="matrix"),
    _one("linalg.solve", lambda xp, a, b: xp.linalg.solve(_graded(xp, a), b), STACK, (2,), label="stack, vector"),
    _one("linalg.solve", lambda xp, a, b: xp.linalg.solve(_graded(xp, a), b), (2, 2), (2, 2, 3), label="one matrix"),
    _one("linalg.solve", lambda xp, a, b: xp.linalg.solve(_graded(xp, a), b), (3, 1, 2, 2), (2, 2, 1), label="both stretched"),
    *_matrix("diagonal", SQUARE, TALL, (2, 2, 3), prepare=lambda xp, x: x * x),
    *[c for o in (1, -1, 3, -9) for c in _matrix("diagonal", TALL, WIDE, prepare=lambda xp, x: x * x, label=str(o), offset=o)],
    *_matrix("trace", SQUARE, (2, 2, 3)),
    *[c for o in (1, -1) for c in _matrix("trace", TALL, WIDE, prepare=lambda xp, x: x * x, label=str(o), offset=o)],
    _one("linalg.cross", lambda xp, a, b: xp.linalg.cross(a, b), (2, 3), (2, 3)),
    _one("linalg.cross", lambda xp, a, b: xp.linalg.cross(a, b), (2, 1, 3), (4, 3), label="stretched"),
    _one("linalg.cross", lambda xp, a, b: xp.linalg.cross(a, b, axis=-2), (3, 2), (3, 2), label="axis"),
    _one("linalg.outer", lambda xp, a, b: xp.linalg.outer(a, b), (2,), (3,)),
    _one("linalg.matmul", lambda xp, a, b: xp.linalg.matmul(a, b), (2, 3), (2, 3, 2)),
    _one("linalg.matrix_transpose", lambda xp, x: xp.linalg.matrix_transpose(x) @ x, (2, 3)),
    _one("linalg.tensordot", lambda xp, a, b: xp.linalg.tensordot(a, b, axes=((0, 2), (2, 0))), (2, 3, 4), (4, 3, 2)),
    _one("linalg.vecdot", lambda xp, a, b: xp.linalg.vecdot(a, b, axis=-2), (3, 2), (2, 3, 1)),
    # complex numbers in between
    _one("linalg.solve", lambda xp, a, b: _both(xp, xp.linalg.solve(_complex(_graded(xp, a)), b + 0.0j)), SQUARE, (3,), label="complex"),
    _one("linalg.solve", lambda xp, a, b: _both(xp, xp.linalg.solve(_graded(xp, a), _complex(b))), SQUARE, (3, 1), label="complex right-hand side"),
    *[_one(f"linalg.{name}", lambda xp, x, name=name: _both(xp, getattr(xp.linalg, name)(_complex(_graded(xp, x)))), shape, label=f"complex {shape}")
      for name, shape in (("inv", SQUARE), ("det", STACK), ("pinv", TALL), ("pinv", WIDE), ("trace", SQUARE))],
    _one("linalg.slogdet", lambda xp, x: [*_both(xp, (s := xp.linalg.slogdet(_complex(_graded(xp, x))))[0]), s[1]], STACK, label="complex"),
    _one("linalg.matrix_power", lambda xp, x: _both(xp, xp.linalg.matrix_power(_complex(x), -2)), (2, 2), label="complex"),
    _one("linalg.cross", lambda xp, a, b: _both(xp, xp.linalg.cross(_complex(a), 1j * b)), (3,), (3,), label="complex"),
    _one("linalg.outer", lambda xp, a, b: _both(xp, xp.linalg.outer(_complex(a), _complex(b))), (2,), (3,), label="complex"),
    _one("linalg.tensordot", lambda xp, a, b: _both(xp, xp.linalg.tensordot(_complex(a), b + 1j * b, axes=1)), (2, 3), (3,), label="complex"),
    _one("linalg.vecdot", lambda xp, a, b: _both(xp, xp.linalg.vecdot(_complex(a), _complex(b))), (2, 3), (3,), label="complex"),
    *[_one("linalg.vector_norm", lambda xp, x, p=p: xp.linalg.vector_norm(_complex(x), ord=p, axis=-1), (2, 3), label=f"complex {p}") for p in (1, 2, 2.5, 4, INF)],
    *[_one("linalg.matrix_norm", lambda xp, x, p=p: xp.linalg.matrix_norm(_complex(x), ord=p), (2, 3), label=f"complex {p}") for p in ("fro", 1, INF)],
]  # fmt: skip
