"""The texts of nnx's own kernels for CuPy: C++ that the adapter hands to CUDA's compiler.

They stand apart from the adapter, which only imports where CuPy is installed, so that they can be computed on
a machine without a GPU or CuPy as well (``tests/backend/test_cupy_kernels.py``).
"""

from __future__ import annotations

from typing import NamedTuple


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
