"""``summed``: the standard's sum, by products with ones where NumPy's numbers are few."""

import math

import numpy as np
import pytest

import nnx
from nnx.backend import summed
from nnx.backend.sums import ones_for

RANDOM = np.random.default_rng(0)
SHAPES = [((5,), None), ((5,), -1), ((32, 4), -1), ((32, 4), 1), ((7, 64), -1), ((1, 1), -1)]
BY_REDUCTION = [((5,), (0,)), ((2048,), None), ((3, 65), -1), ((300, 40), -1), ((4, 5), 0), ((4, 5), None),
                ((2, 3, 4), -1), ((0,), None), ((3, 0), -1), ((), None)]  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize(("shape", "axis"), SHAPES + BY_REDUCTION)
def test_it_is_the_sum(shape, axis, keepdims, dtype):
    x = RANDOM.standard_normal(shape).astype(dtype)
    found, wanted = summed(x, axis, keepdims), np.sum(x.astype(np.longdouble), axis=axis, keepdims=keepdims)
    assert found.dtype == dtype and found.shape == wanted.shape
    # one rounding for each addition, of numbers no larger than the sum of magnitudes
    sizes = np.sum(np.abs(x), axis=axis, keepdims=keepdims)
    bound = max(x.size, 1) * np.finfo(dtype).eps * sizes
    assert np.all(np.abs(found - wanted) <= bound)


@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_a_product_only_where_numbers_are_few(shape, axis):
    assert ones_for(np.ones(shape), axis) is not None


@pytest.mark.parametrize(("shape", "axis"), BY_REDUCTION)
def test_else_a_reduction(shape, axis):
    assert ones_for(np.ones(shape), axis) is None


@pytest.mark.parametrize("dtype", [np.int64, np.float16, np.complex128, np.bool_])
def test_other_types_are_added_up_by_a_reduction(dtype):
    x = np.ones((3, 2), dtype)
    found, wanted = summed(x, -1), np.sum(x, axis=-1)
    assert found.dtype == wanted.dtype and np.all(found == wanted)


@pytest.mark.filterwarnings("ignore:invalid value")  # as of a reduction
def test_infinities_and_nan():
    x = np.asarray([[math.inf, 1.0], [-math.inf, 1.0], [math.inf, -math.inf], [math.nan, 1.0]])
    np.testing.assert_array_equal(summed(x, -1), [math.inf, -math.inf, math.nan, math.nan])


def test_rows_of_another_layout():
    x = RANDOM.standard_normal((4, 6))
    for y in (x.T, x[::2], x[:, ::-1]):
        np.testing.assert_allclose(summed(y, -1, True), y.sum(-1, keepdims=True), rtol=1e-14)


def test_derivatives_of_what_uses_it():
    z, t = RANDOM.standard_normal((3, 4)), np.eye(4)[:3]
    for f in (
        lambda z: nnx.losses.reduce(nnx.losses.categorical_crossentropy(t, z, from_logits=True)),
        lambda z: summed(nnx.activations.softmax(z)[:, 0] ** 2),
    ):
        nnx.check_derivatives(f, z, order=2)


def test_a_recorded_program_has_the_product_and_the_same_bits():
    z = RANDOM.standard_normal((32, 4)).astype(np.float32)
    f = nnx.jit(nnx.activations.softmax)
    assert "dot" in str(f.program(z)) and "add.reduce" not in str(f.program(z))
    assert f(z).tobytes() == nnx.activations.softmax(z).tobytes()
