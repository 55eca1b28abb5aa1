"""Counter-based random numbers: NumPy's Philox at an address, the same bits on every library."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnx.backend import Stream, philox, to_numpy

WORDS = st.integers(0, 2**64 - 1)
STREAM = Stream(seed=1234567890123456789, purpose=philox.DROPOUT, index=3, step=2**40 + 7)


def numpys(stream: Stream) -> np.random.Philox:
    """NumPy's own generator, addressed by words: key (seed, purpose), counter (0, index, step, 0)."""
    return np.random.Philox(
        key=np.array([stream.seed, stream.purpose], dtype=np.uint64),
        counter=np.array([0, stream.index, stream.step, 0], dtype=np.uint64),
    )


@given(seed=WORDS, purpose=WORDS, index=WORDS, step=WORDS, n=st.integers(0, 9))
def test_uniform_is_numpys_stream_bit_for_bit(seed, purpose, index, step, n):
    stream = Stream(seed, purpose, index, step)
    expected = np.random.Generator(numpys(stream)).random(n)
    np.testing.assert_array_equal(philox.uniform(stream, (n,)), expected)


def test_generator_is_numpys_too():
    expected = np.random.Generator(numpys(STREAM)).permutation(20)
    np.testing.assert_array_equal(philox.generator(STREAM).permutation(20), expected)


def test_a_stream_is_addressed_not_advanced_and_a_shorter_draw_is_its_beginning():
    long = philox.uniform(STREAM, (3, 5))
    np.testing.assert_array_equal(philox.uniform(STREAM, (3, 5)), long)
    np.testing.assert_array_equal(philox.uniform(STREAM, (7,)), long.reshape(-1)[:7])


@pytest.mark.parametrize("change", ["seed", "purpose", "index", "step"])
def test_each_part_of_the_address_leads_elsewhere(change):
    there = STREAM._replace(**{change: getattr(STREAM, change) + 1})
    ours, theirs = philox.uniform(STREAM, (1000,)), philox.uniform(there, (1000,))
    # 4 standard errors of the correlation of 1000 independent pairs
    assert abs(np.corrcoef(ours, theirs)[0, 1]) < 4 / np.sqrt(1000)
    assert not np.isin(ours, theirs).any()


def test_seeds_are_taken_modulo_2_to_the_64():
    np.testing.assert_array_equal(philox.uniform(Stream(-1), (4,)), philox.uniform(Stream(2**64 - 1), (4,)))


def test_normal_is_box_and_mullers_transform_of_the_uniform_stream():
    u = philox.uniform(STREAM, (2, 3))
    radius = np.sqrt(-2 * np.log(1 - u[0]))
    both = np.concatenate([radius * np.cos(2 * np.pi * u[1]), radius * np.sin(2 * np.pi * u[1])])
    # log(1 − u) and log1p(−u) may differ in the last bits
    np.testing.assert_allclose(philox.normal(STREAM, (5,)), both[:5], rtol=1e-13)


def test_normal_is_normal():
    z = philox.normal(STREAM, (100_000,))
    n = z.size
    # 5 standard errors of the first four moments of a normal sample: √(1/n), √(2/n), √(15/n), √(96/n)
    for power, expected, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs(np.mean(z**power) - expected) < 5 * np.sqrt(variance / n)


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.5, 0.999])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_keep_mask_has_two_values_and_the_rate(rate, dtype):
    mask = philox.keep_mask(STREAM, rate, (400, 250), dtype)
    assert mask.dtype == dtype
    assert set(np.unique(mask)) <= {dtype(0), dtype(1 / (1 - rate))}
    # 5 standard errors, and the rounding of the rate to 16 bits
    assert abs(np.mean(mask == 0) - rate) <= 5 * np.sqrt(rate * (1 - rate) / mask.size) + 2**-16


def test_keep_mask_takes_16_bits_for_each_number_lowest_first():
    words = numpys(STREAM).random_raw(2)
    bits = [(int(word) >> shift) & 0xFFFF for word in words for shift in (0, 16, 32, 48)]
    expected = [2.0 if b >= 32768 else 0.0 for b in bits][:7]
    assert philox.keep_mask(STREAM, 0.5, (7,), np.float64).tolist() == expected


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(), (0,), (5,), (3, 4, 5)])
def test_every_library_draws_the_same_numbers(backend, dtype, shape):
    kind = backend.adapter.dtype(dtype)
    draws = {
        "uniform": philox.uniform(STREAM, shape),
        "normal": philox.normal(STREAM, shape),
        "keep_mask": philox.keep_mask(STREAM, 0.3, shape, np.dtype(dtype).type),
    }
    for name, expected in draws.items():
        rate = (0.3,) if name == "keep_mask" else ()
        drawn = getattr(backend.adapter, name)(STREAM, *rate, shape, kind, backend.device)
        assert drawn.shape == shape
        assert drawn.dtype == kind
        # A GPU's logarithm and cosine may differ from the host's in the last bits; the rest is exact.
        rtol = 1e-6 if dtype == "float32" else 1e-13
        exact = backend.name != "cupy" or name != "normal"
        np.testing.assert_allclose(
            to_numpy(drawn), expected.astype(dtype), rtol=0 if exact else rtol, atol=0 if exact else rtol
        )


@pytest.mark.parametrize("stream", [STREAM, Stream(7)], ids=["large words", "zeros"])
@pytest.mark.parametrize("rate", [0.0, 0.2, 1e-6, 0.999999])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_compiled_masks_are_the_same_bit_for_bit(stream, rate, dtype):
    pytest.importorskip("numba")
    from nnx.backend import compiled_masks

    z = np.random.default_rng(0).standard_normal((101, 37)).astype(dtype)
    z[0, :3] = np.nan, 0.0, np.inf
    expected = philox.keep_mask(stream, rate, z.shape, z.dtype.type, among=z > 0)
    expected[np.isnan(z)] = np.nan
    found = compiled_masks.positive_keep_mask(stream, rate, z)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
