"""The kernels that nnx hands to CuPy, computed on the host from the same text, beside NumPy's Philox."""

from __future__ import annotations

import numpy as np
import on_the_cpu
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnx.backend import Stream, cupy_kernels, philox

WORDS = st.integers(0, 2**64 - 1)
STREAMS = (Stream(0), Stream(1234567890123456789, 2, 3, 2**40 + 7), Stream(*(2**64 - 1,) * 4))


@pytest.fixture(autouse=True)
def _compiler():
    on_the_cpu.need_compiler()


def uniform(stream: Stream, shape: tuple[int, ...]) -> np.ndarray:
    out = np.full(shape, np.nan)
    on_the_cpu.run(cupy_kernels.UNIFORM, *map(np.uint64, stream), out)
    return out


def keep(stream: Stream, rate: float, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    out = np.full(shape, np.nan, dtype)
    on_the_cpu.run(cupy_kernels.KEEP, *map(np.uint64, stream), round(rate * 65536), 1.0 / (1.0 - rate), out)
    return out


class TestUniform:
    @given(seed=WORDS, purpose=WORDS, index=WORDS, step=WORDS, n=st.integers(0, 9))
    @settings(deadline=None)
    def test_is_numpys_philox_bit_for_bit(self, seed, purpose, index, step, n):
        bits = np.random.Philox(
            key=np.array([seed, purpose], np.uint64), counter=np.array([0, index, step, 0], np.uint64)
        )
        expected = np.random.Generator(bits).random(n)
        np.testing.assert_array_equal(uniform(Stream(seed, purpose, index, step), (n,)), expected)

    @pytest.mark.parametrize("stream", STREAMS)
    def test_of_many_numbers_is_the_streams(self, stream):
        np.testing.assert_array_equal(uniform(stream, (257, 1023)), philox.uniform(stream, (257, 1023)))


class TestKeep:
    @pytest.mark.parametrize("stream", STREAMS)
    @pytest.mark.parametrize("rate", [0.0, 1e-6, 0.2, 0.5, 0.999999])
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_is_the_mask_bit_for_bit(self, stream, rate, dtype):
        expected = philox.keep_mask(stream, rate, (101, 37), np.dtype(dtype).type)
        np.testing.assert_array_equal(keep(stream, rate, (101, 37), dtype), expected, strict=True)


class TestTheWayItIsComputed:
    """A test of these tests: what is wrong in a text is found."""

    def test_another_constant_gives_other_numbers(self):
        wrong = cupy_kernels.UNIFORM.preamble.replace("D2E7470EE14C6C93", "D2E7470EE14C6C91")
        out = np.zeros(8)
        on_the_cpu.run(cupy_kernels.UNIFORM._replace(preamble=wrong), *map(np.uint64, STREAMS[1]), out)
        assert not np.isin(out, philox.uniform(STREAMS[1], (8,))).any()

    def test_what_is_no_program_is_refused(self):
        with pytest.raises(AssertionError, match=r"(?s)no C\+\+: .*nothing"):
            on_the_cpu.run(cupy_kernels.Kernel("T x", "T out", "out = nothing", "k"), 1.0, np.zeros(2))

    def test_numbers_are_the_same_for_all_entries_and_arrays_are_read_entry_by_entry(self):
        out = np.zeros((2, 2), "float32")
        kernel = cupy_kernels.Kernel("T x, float64 a", "T out", "out = a * x + i", "k")
        on_the_cpu.run(kernel, np.asarray([[1, 2], [3, 4]], "float32"), 10.0, out)
        assert out.tolist() == [[10.0, 21.0], [32.0, 43.0]]
