# ruff: noqa: E501 (a table reads best with a row in a line)
"""Examples of every function that has a derivative rule: (name, function of (xp, arrays), inputs).


An input is a shape, with an optional range (low, high); its numbers are drawn once and are the same on every
backend. A test fails when a rule has no example here.
"""

from __future__ import annotations

import zlib
from typing import Any, NamedTuple

import numpy as np
from autodiff.fourier_cases import FOURIER_CASES
from autodiff.linalg_cases import LINALG_EXAMPLES

from nnx.autodiff.space import COMPOSITIONS, space_of


class Case(NamedTuple):
    name: str
    function: Any
    inputs: tuple[Any, ...]
    label: str = ""

    def __str__(self) -> str:
        return f"{self.name}{'-' + self.label if self.label else ''}"

    def arrays(self) -> list[np.ndarray]:
        """The inputs: uniform in their range, well apart from each other (no ties, no kinks)."""
        random = np.random.default_rng(zlib.crc32(str(self).encode()))
        out = []
        for spec in self.inputs:
            shape, (low, high) = (
                spec if isinstance(spec[-1:], tuple) and _ranged(spec) else (spec, (-2.0, 2.0))
            )
            n = int(np.prod(shape))
            grid = low + (high - low) * (np.arange(n) + 0.3 + 0.4 * random.random(n)) / max(n, 1)
            out.append(random.permutation(grid).reshape(shape))
        return out


def _ranged(spec: Any) -> bool:
    return len(spec) == 2 and isinstance(spec[0], tuple) and isinstance(spec[1], tuple)


def _unary(name: str, low: float = -2.0, high: float = 2.0) -> Case:
    return Case(name, lambda xp, x: getattr(xp, name)(x), (((2, 3), (low, high)),))


def _binary(name: str, low: float = -2.0, high: float = 2.0) -> list[Case]:
    def call(xp: Any, a: Any, b: Any) -> Any:
        return getattr(xp, name)(a, b)

    r = (low, high)
    return [
        Case(name, call, (((2, 3), r), ((2, 3), r))),
        Case(name, call, (((3,), r), ((2, 1), r)), "broadcast"),
        Case(name, call, (((), r), ((2, 2), r)), "0-d"),
    ]


def _reduce(name: str, low: float = -2.0, high: float = 2.0) -> list[Case]:
    options: list[dict[str, Any]] = [{}, {"axis": 0}, {"axis": -1, "keepdims": True}, {"axis": (0, 2)}]
    return [
        Case(name, lambda xp, x, kw=kw: getattr(xp, name)(x, **kw), (((2, 3, 2), (low, high)),), str(kw))
        for kw in options
    ]


def _one(name: str, function: Any, *inputs: Any, label: str = "") -> Case:
    return Case(name, function, inputs, label)


CASES: list[Case] = [
    *[_unary(n) for n in ("abs", "atan", "asinh", "cos", "cosh", "exp", "expm1", "negative", "positive")],
    *[_unary(n) for n in ("sin", "sinh", "square", "tanh", "real", "conj")],
    *[_unary(n, -0.9, 0.9) for n in ("acos", "asin", "atanh", "tan")],
    *[_unary(n, 0.2, 3.0) for n in ("log", "log1p", "log2", "log10", "reciprocal", "sqrt")],
    _unary("acosh", 1.2, 3.0),
    *[c for n in ("add", "subtract", "multiply", "maximum", "minimum", "atan2", "hypot") for c in _binary(n)],
    *[c for n in ("divide", "pow") for c in _binary(n, 0.3, 2.0)],
    *_binary("logaddexp"),
    *_binary("copysign"),
    *_binary("nextafter"),
    _one("sign", lambda xp, x: xp.sign(x) * x, (4,)),
    _one("imag", lambda xp, x: xp.imag(1j * x * x), (3,)),
    _one("imag", lambda xp, x, y: xp.imag((x + 1j * y) ** 2), (3,), (3,), label="of a square"),
    _one("real", lambda xp, x, y: xp.real(xp.exp(x + 1j * y)), (3,), (3,), label="of an exponential"),
    _one("conj", lambda xp, x, y: xp.conj(x + 1j * y) * (x + 2j), (3,), (3,), label="complex"),
    _one("abs", lambda xp, x, y: xp.abs(x + 1j * y), (3,), (3,), label="complex"),
    _one("remainder", lambda xp, a, b: xp.remainder(a, b), ((4,), (0.3, 0.9)), ((4,), (1.2, 1.9))),
    _one("pow", lambda xp, x: x**2, (3,), label="square"),
    _one("pow", lambda xp, x: x**3 + x**1 + x**0, (3,), label="integers"),
    _one("pow", lambda xp, x: 2.0**x, (3,), label="of a number"),
    _one("add", lambda xp, x: 1.0 + x + 2.0 - x - (3.0 - x), (3,), label="numbers"),
    _one("divide", lambda xp, x: 1.0 / x + x / 3.0, ((3,), (0.5, 2.0)), label="numbers"),
    _one("maximum", lambda xp, x: xp.maximum(x, 0.0) * x + xp.minimum(0.0, x), (5,), label="numbers"),
    _one("clip", lambda xp, x: xp.clip(x, -1.0, 1.1), (6,)),
    _one("clip", lambda xp, x, a: xp.clip(x, min=a), (2, 3), ((3,), (-0.1, 0.1)), label="array"),
    *[c for n in ("sum", "mean", "max", "min", "var", "std") for c in _reduce(n)],
    *_reduce("prod", 0.4, 1.6),
    _one("prod", lambda xp, x: xp.prod(x * xp.asarray([1.0, 0.0, 1.0], dtype=x.dtype, device=x.device)), (3,), label="with zero"),
    _one("var", lambda xp, x: xp.var(x, axis=1, correction=1), (3, 4), label="correction"),
    _one("std", lambda xp, x: xp.std(x, axis=0, correction=1), (3, 4), label="correction"),
    _one("cumulative_sum", lambda xp, x: xp.cumulative_sum(x, axis=1), (2, 4)),
    _one("cumulative_sum", lambda xp, x: xp.cumulative_sum(x, axis=0, include_initial=True), (3, 2), label="initial"),
    *[
        _one("cumulative_prod", lambda xp, x: xp.cumulative_prod(x, axis=1), ((2, n), (-1.5, 1.5)), label=f"{n}")
        for n in (1, 2, 3, 4, 7)
    ],
    _one("cumulative_prod", lambda xp, x: xp.cumulative_prod(x, axis=-2, include_initial=True), ((3, 2), (0.3, 1.5)), label="initial"),
    *[
        _one("cumulative_prod", lambda xp, x, zeros=zeros: xp.cumulative_prod(x * xp.asarray(zeros, dtype=x.dtype, device=x.device)), (5,), label=f"zeros {zeros}")
        for zeros in ([0.0, 1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 0.0, 1.0, 1.0], [1.0, 0.0, 1.0, 0.0, 1.0], [0.0] * 5)
    ],
    _one("cumulative_prod", lambda xp, x: xp.cumulative_prod(x - x[2]), (5,), label="a zero that moves"),
    _one("prod", lambda xp, x: xp.prod(x - x[:, 1:2], axis=1), (2, 4), label="a zero that moves"),
    _one("prod", lambda xp, x: xp.prod((x - x[0]) * (x - x[3])), (5,), label="two zeros that move"),
    *[
        _one("matmul", lambda xp, a, b: a @ b, a, b, label=f"{a}{b}")
        for a, b in [((2, 3), (3, 4)), ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 2, 3), (2, 3, 2)),
                     ((2, 2, 3), (3, 2)), ((2, 3), (2, 3, 2)), ((3,), (2, 3, 2)), ((2, 2, 3), (3,))]
    ],
    _one("tensordot", lambda xp, a, b: xp.tensordot(a, b), (2, 3, 4), (3, 4, 2)),
    _one("tensordot", lambda xp, a, b: xp.tensordot(a, b, axes=((0, 2), (2, 0))), (2, 3, 4), (4, 3, 2), label="pairs"),
    _one("tensordot", lambda xp, a, b: xp.tensordot(a, b, axes=0), (2,), (3,), label="outer"),
    _one("vecdot", lambda xp, a, b: xp.vecdot(a, b), (2, 3), (3,)),
    _one("matrix_transpose", lambda xp, x: xp.matrix_transpose(x) @ x + (x.mT @ x), (2, 3)),
    _one("matrix_transpose", lambda xp, x: x.T * 2.0, (2, 3), label="T"),
    _one("reshape", lambda xp, x: xp.reshape(x, (3, 2)), (2, 3)),
    _one("expand_dims", lambda xp, x: xp.expand_dims(x, axis=1), (2, 3)),
    _one("squeeze", lambda xp, x: xp.squeeze(x, axis=1), (2, 1, 3)),
    _one("permute_dims", lambda xp, x: xp.permute_dims(x, (2, 0, 1)), (2, 3, 4)),
    _one("moveaxis", lambda xp, x: xp.moveaxis(x, 0, -1), (2, 3, 4)),
    _one("flip", lambda xp, x: xp.flip(x) + xp.flip(x, axis=0) * x, (2, 3)),
    _one("roll", lambda xp, x: xp.roll(x, 2) * x + xp.roll(x, (1, -1), axis=(0, 1)), (2, 3)),
    _one("broadcast_to", lambda xp, x: xp.broadcast_to(x, (2, 3, 4)), (3, 1)),
    _one("broadcast_arrays", lambda xp, a, b: xp.broadcast_arrays(a, b), (3, 1), (2,)),
    _one("repeat", lambda xp, x: xp.repeat(x, 2, axis=1), (2, 3)),
    _one("repeat", lambda xp, x: xp.repeat(x, 3), (2, 2), label="flat"),
    _one("tile", lambda xp, x: xp.tile(x, (2, 1, 3)), (2, 2)),
    _one("tril", lambda xp, x: xp.tril(x, k=-1) @ x, (3, 3)),
    _one("triu", lambda xp, x: xp.triu(x, k=1) @ x, (3, 3)),
    _one("astype", lambda xp, x: xp.astype(x * x, xp.float64), (3,)),
    _one("concat", lambda xp, a, b: xp.concat([a, b, a * a], axis=1), (2, 1), (2, 3)),
    _one("concat", lambda xp, a, b: xp.concat([a, b], axis=None), (2, 1), (2, 3), label="flat"),
    _one("stack", lambda xp, a, b: xp.stack([a, b * a], axis=-1), (2, 3), (2, 3)),
    _one("unstack", lambda xp, x: xp.unstack(x, axis=1), (2, 3)),
    _one("where", lambda xp, a, b: xp.where(a > b, a * b, b), (2, 3), (3,)),
    _one("where", lambda xp, a: xp.where(a > 0, a * a, 0.0) + xp.where(a > 0, 1.0, a), (5,), label="numbers"),
    _one("meshgrid", lambda xp, a, b: xp.meshgrid(a, b), (2,), (3,)),
    _one("meshgrid", lambda xp, a, b: xp.meshgrid(a, b, indexing="ij"), (2,), (3,), label="ij"),
    _one("diff", lambda xp, x: xp.diff(x, n=2), (2, 4)),
    _one("linspace", lambda xp, a, b: COMPOSITIONS["linspace"](space_of(a), a, b, 5), (), ()),
    _one("full", lambda xp, a: COMPOSITIONS["full"](space_of(a), (2, 3), a), ()),
    _one("full_like", lambda xp, a: COMPOSITIONS["full_like"](space_of(a), xp.ones((2, 3), dtype=a.dtype, device=a.device), a), ()),
    _one("from_dlpack", lambda xp, a: COMPOSITIONS["from_dlpack"](space_of(a), a) * a, (2,)),
    _one("asarray", lambda xp, a: COMPOSITIONS["asarray"](space_of(a), [[a[0], a[1]], [a[1] * 2.0, a[0]]]), (2,)),
    _one("sort", lambda xp, x: xp.sort(x, axis=0), (4, 3)),
    _one("sort", lambda xp, x: xp.sort(x, descending=True), (4,), label="descending"),
    _one("getitem", lambda xp, x: x[1, :], (3, 4)),
    _one("getitem", lambda xp, x: x[::2, 1:3] * x[0, 0], (4, 4), label="slices"),
    _one("getitem", lambda xp, x: x[..., -1] * x[0, None, :, 0], (2, 3, 2), label="ellipsis"),
    _one("getitem", lambda xp, x: x[_indices(xp, x, [2, 0, 2])], (3,), label="repeated"),
    _one("getitem", lambda xp, x: x[_indices(xp, x, [0, 1]), _indices(xp, x, [1, -1])], (2, 3), label="pairs"),
    _one("take", lambda xp, x: xp.take(x, _indices(xp, x, [1, 1, 0]), axis=1), (2, 3)),
    _one("take", lambda xp, x: xp.take(x, _indices(xp, x, [1, 1, 0])), (3,), label="vector"),
    _one("take_along_axis", lambda xp, x: xp.take_along_axis(x, _indices(xp, x, [[2, 0], [1, 1]]), axis=1), (2, 3)),
    *[Case(*example) for example in LINALG_EXAMPLES + FOURIER_CASES],
]  # fmt: skip


def _indices(xp: Any, x: Any, numbers: Any) -> Any:
    return xp.asarray(numbers, dtype=xp.int64, device=x.device)
