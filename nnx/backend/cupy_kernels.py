"""The texts of nnx's own kernels for CuPy: C++ that the adapter hands to CUDA's compiler.

Two are written by hand, for random numbers and for masks; :func:`update` writes that of an optimizer's step
from the recording of its rule. They stand apart from the adapter, which only imports where CuPy is installed,
so that they can be computed on a machine without a GPU or CuPy as well (``tests/on_the_cpu.py``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from nnx.backend.recording import FORMS, Recording


class Kernel(NamedTuple):
    """Arguments of ``cupy.ElementwiseKernel``, by name; the operation computes entry ``i`` of the outputs."""

    in_params: str
    out_params: str
    operation: str
    name: str
    preamble: str = ""


# NumPy steps the counter before it draws, so block b of a stream has the low counter word b + 1.
_PHILOX = """
__device__ unsigned long long philox_word(unsigned long long k0, unsigned long long k1,
        unsigned long long index, unsigned long long step, unsigned long long word) {
    unsigned long long c0 = word / 4 + 1, c1 = index, c2 = step, c3 = 0;
    for (int round = 0; round < 10; ++round) {
        unsigned long long lo0 = 0xD2E7470EE14C6C93ULL * c0, hi0 = __umul64hi(0xD2E7470EE14C6C93ULL, c0);
        unsigned long long lo1 = 0xCA5A826395121157ULL * c2, hi1 = __umul64hi(0xCA5A826395121157ULL, c2);
        c0 = hi1 ^ c1 ^ k0;  c1 = lo1;  c2 = hi0 ^ c3 ^ k1;  c3 = lo0;
        k0 += 0x9E3779B97F4A7C15ULL;  k1 += 0xBB67AE8584CAA73BULL;
    }
    unsigned long long part = word % 4;
    return part == 0 ? c0 : part == 1 ? c1 : part == 2 ? c2 : c3;
}
"""
_KEY = "uint64 seed, uint64 purpose, uint64 index, uint64 step"

#: Uniform numbers in [0, 1), float64: :func:`nnx.backend.philox.uniform`.
UNIFORM = Kernel(
    _KEY,
    "T out",
    "out = (T)(philox_word(seed, purpose, index, step, i) >> 11) * 1.1102230246251565e-16",
    "nnx_philox_uniform",
    _PHILOX,
)
#: Dropout's mask: :func:`nnx.backend.philox.keep_mask`.
KEEP = Kernel(
    _KEY + ", int64 threshold, float64 scale",
    "T out",
    """unsigned long long word = philox_word(seed, purpose, index, step, i / 4);
    out = (long long)((word >> (16 * (i % 4))) & 0xFFFF) >= threshold ? (T)scale : (T)0""",
    "nnx_philox_keep",
    _PHILOX,
)

#: Operation → its expression in C++, which is mostly Python's. As in NumPy, the sign of NaN is NaN and that
#: of −0 is 0, and a maximum or minimum with NaN is NaN.
_EXPRESSIONS = FORMS | {
    "sqrt": "sqrt({0})", "abs": "fabs({0})", "exp": "exp({0})", "pow": "pow({0}, {1})",
    "sign": "{0} > (T)0 ? (T)1 : {0} < (T)0 ? (T)-1 : {0} == (T)0 ? (T)0 : {0}",
    "maximum": "{0} > {1} || {0} != {0} ? {0} : {1}", "minimum": "{0} < {1} || {0} != {0} ? {0} : {1}",
    "logical_and": "{0} && {1}", "logical_or": "{0} || {1}", "logical_not": "!{0}",
    "where": "{0} ? {1} : {2}", "absolute": "fabs({0})", "positive": "{0}", "square": "{0} * {0}",
    "reciprocal": "(T)1 / {0}", "log": "log({0})", "log1p": "log1p({0})", "expm1": "expm1({0})",
    "tanh": "tanh({0})", "sin": "sin({0})", "cos": "cos({0})", "power": "pow({0}, {1})",
    "isnan": "isnan({0})", "isinf": "isinf({0})", "isfinite": "isfinite({0})",
}  # fmt: skip

#: functions of CuPy's that have one
CALLS = sorted(set(_EXPRESSIONS) - {"abs", "pow"})


def update(r: Recording, bools: Sequence[bool], keep_bools: bool = False) -> Kernel | None:
    """The kernel of a recorded function: vectors ``r0, ...``, numbers ``s0, ...``, results ``w0, ...``.

    ``bools`` says which of the vectors are of bools; all others, the numbers and the results have one type T,
    and so has each value in between: nothing is computed in a wider type, and half precision is rounded after
    every operation, as by CuPy's own functions. Results are stored at the end, because they may overwrite
    what is read. None where bools alone are computed with as if they were numbers: libraries do not agree
    on that. Results that are bools have arrays of bools where ``keep_bools``.
    """
    given = [("bool" if b else "T", f"r{k}") for k, b in enumerate(bools)]
    given += [("T", f"s{k}") for k in range(r.inputs - r.vectors)]
    made = _squares(r).expressions(_EXPRESSIONS, [kind == "bool" for kind, _ in given], _literal)
    if made is None:
        return None
    lines = [f"{kind} v{k} = {name};" for k, (kind, name) in enumerate(given)]
    for k, (logical, expression) in enumerate(made, r.inputs):
        kind = "bool" if logical else "T"
        lines.append(f"{kind} v{k} = ({kind})({expression});")
    kinds = ["bool" if keep_bools and made[v - r.inputs][0] else "T" for v in r.outputs]
    lines += [f"w{k} = ({kind})v{v};" for k, (kind, v) in enumerate(zip(kinds, r.outputs, strict=True))]
    out = ", ".join(f"{kind} w{k}" for k, kind in enumerate(kinds))
    return Kernel(", ".join(map(" ".join, given)), out, "\n".join(lines), "nnx_update")


def _squares(r: Recording) -> Recording:
    """The recording with products in the place of squares: rounded once, and much quicker."""

    def is_square(name: str, xs: Sequence[object]) -> bool:
        return name == "pow" and isinstance(xs[1], float) and xs[1] == 2.0

    steps = [("multiply", (xs[0], xs[0])) if is_square(name, xs) else (name, xs) for name, xs in r.steps]
    return replace(r, steps=tuple(steps))


def _literal(x: float) -> str:
    """A constant in C++, to the last bit."""
    if math.isfinite(x):
        return f"(T){x!r}"
    return "(T)" + ("-" if x < 0.0 else "") + f"__int_as_float({0x7F800000 if x == x else 0x7FC00000:#x})"
