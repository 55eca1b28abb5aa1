"""Each library's adapter does what the reference in standard calls does."""

from __future__ import annotations

import math

import numpy as np
import pytest

import nnx
from nnx.backend import Adapter, Stream, adapter_of, device_of, make_backend, numpy_adapter, to_numpy
from nnx.backend.kernels import BLOCK

BOTH_SIDES = (0.0, 1e-300, 1e-8, 0.1, 0.46875, 0.46876, 0.9, 2.0, 3.999, 4.0, 4.001, 5.9, 10.0, 26.0, 1e4)


@pytest.fixture(params=["native", "reference"])
def adapter(request, backend):
    """The library's own adapter, and the reference on the same library."""
    if request.param == "native":
        return backend.adapter
    reference = Adapter(backend.xp)
    reference.asarray = backend.adapter.asarray  # moving data is each library's own
    reference.to_numpy = backend.adapter.to_numpy
    return reference


class TestPyTorchsSmallTypes:
    def test_come_to_numpy_as_float32(self):
        torch = pytest.importorskip("torch")
        for kind in (torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2):
            found = to_numpy(torch.tensor([1.0, -0.375, 2.0]).to(kind))
            np.testing.assert_array_equal(found, np.asarray([1.0, -0.375, 2.0], np.float32), strict=True)

    @pytest.mark.parametrize("name", ["torch", "numpy"])
    def test_are_trained_on_as_they_are(self, name):
        torch = pytest.importorskip("torch")
        x = torch.linspace(-2, 2, 12).reshape(6, 2).to(torch.bfloat16)
        records = []
        for data in (x, x.float()):
            model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(2,))], backend=name, seed=0)
            model.compile("sgd", "mse")
            records.append(model.fit(data, data[:, :1], epochs=2, verbose=0).history["loss"])
        assert records[0] == records[1]


class TestAsarray:
    @pytest.mark.parametrize("kind", [">f4", ">f8", ">i2", "longdouble", "float64"])
    @pytest.mark.parametrize("reverse", [False, True])
    def test_numpys_arrays_of_any_byte_order_size_and_direction(self, backend, kind, reverse):
        x = np.asarray([[1.0, -2.0], [3.0, 4.0]]).astype(kind)[:: -1 if reverse else 1]
        x.flags.writeable = False
        for dtype in ("float32", "float64"):
            found = backend.asarray(x, dtype=dtype)
            np.testing.assert_array_equal(to_numpy(found), x.astype(dtype), strict=True)

    def test_pytorchs_own_graph_ends_there(self):
        torch = pytest.importorskip("torch")
        x = torch.tensor([1.0, 2.0], requires_grad=True)
        for given in (x, x * 2.0):
            y = make_backend("torch").adapter.asarray(given)
            assert not y.requires_grad
            assert y.data_ptr() == given.data_ptr()
        plain = torch.tensor([1.0])
        assert make_backend("torch").adapter.asarray(plain) is plain


class TestErf:
    @pytest.mark.parametrize(("dtype", "rtol"), [("float64", 5e-16), ("float32", 3e-7)])
    def test_equals_pythons_to_a_few_units_in_the_last_place(self, adapter, backend, dtype, rtol):
        x = np.array([s * v for v in BOTH_SIDES for s in (1, -1)], dtype=dtype)
        x = np.concatenate([x, np.linspace(-6, 6, 997, dtype=dtype)])
        expected = [math.erf(v) for v in x.tolist()]
        y = adapter.erf(backend.asarray(x))
        assert y.dtype == backend.adapter.dtype(dtype)
        assert device_of(y) == device_of(backend.asarray(x))
        np.testing.assert_allclose(to_numpy(y), expected, rtol=rtol, atol=0)

    def test_special_values(self, adapter, backend):
        y = to_numpy(adapter.erf(backend.asarray([math.inf, -math.inf, math.nan, 0.0], dtype="float64")))
        np.testing.assert_array_equal(y, [1.0, -1.0, math.nan, 0.0])


class TestErfc:
    @pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-14), ("float32", 1e-5)])
    def test_equals_pythons_also_far_to_the_right(self, adapter, backend, dtype, rtol):
        # Up to 9, where 1 − erf has lost all digits. rtol: the rounding of x² in exp(−x²), 81/2 units.
        x = np.concatenate([np.linspace(-6, 9, 997), [0.46875, -0.46875, 4.0]]).astype(dtype)
        y = adapter.erfc(backend.asarray(x))
        assert y.dtype == backend.adapter.dtype(dtype)
        assert device_of(y) == device_of(backend.asarray(x))
        np.testing.assert_allclose(to_numpy(y), [math.erfc(v) for v in x.tolist()], rtol=rtol, atol=0)

    def test_special_values(self, adapter, backend):
        y = to_numpy(adapter.erfc(backend.asarray([math.inf, -math.inf, math.nan, 0.0], dtype="float64")))
        np.testing.assert_array_equal(y, [0.0, 2.0, math.nan, 1.0])


class TestSpecial:
    @pytest.mark.parametrize("arguments", [(2.5,), (2.5, 3.0)])
    def test_zeta_may_have_one_argument(self, backend, arguments):
        special = pytest.importorskip("scipy.special")
        x, *q = (backend.asarray([a, 4.0], dtype="float64") for a in arguments)
        found = to_numpy(backend.adapter.special("zeta")(x, *q))
        np.testing.assert_allclose(
            found, special.zeta(*(np.asarray([a, 4.0]) for a in arguments)), rtol=1e-15
        )


class TestUnlessNan:
    @pytest.mark.parametrize("x", [[[1.0, -2.0]], [[math.nan, 3.0]], [[math.inf, -math.inf]], [[]]])
    def test_a_nan_of_the_first_is_one_of_the_result(self, adapter, backend, x):
        d = backend.asarray(np.full(np.shape(x), 7.0), dtype="float64")
        y = adapter.unless_nan(backend.asarray(x, dtype="float64"), d)
        assert device_of(y) == device_of(d)
        np.testing.assert_array_equal(to_numpy(y), np.where(np.isnan(x), math.nan, 7.0))


class TestUnitStep:
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("n", [0, 5, 3000])  # few entries, and many
    def test_is_one_to_the_right_of_zero_and_nan_of_nan(self, adapter, backend, n, dtype):
        x = np.resize(np.asarray([-1.0, 0.0, -0.0, 2.5, math.nan, math.inf, -math.inf], dtype), n)
        y = adapter.unit_step(backend.asarray(x))
        wanted = np.resize(np.asarray([0.0, 0.0, 0.0, 1.0, math.nan, 1.0, 0.0], dtype), n)
        np.testing.assert_array_equal(to_numpy(y), wanted, strict=True)


class TestScatterAdd:
    @pytest.mark.parametrize("tail", [(), (3,), (2, 3)])
    @pytest.mark.parametrize("index", [[0, 4, 4, 1, 4], [2, 2, 2, 2, 2]])
    @pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "complex64", "complex128"])
    def test_repeated_indices_add_up(self, adapter, backend, index, tail, dtype):
        values = np.arange(1, 1 + 5 * math.prod(tail), dtype=dtype).reshape(5, *tail)  # sums are exact
        values = values * 1j + values[::-1] if dtype.startswith("complex") else values
        expected = np.zeros((6, *tail), dtype=dtype)
        for row, value in zip(index, values, strict=True):
            expected[row] += value
        out = adapter.scatter_add(6, backend.asarray(index, dtype="int64"), backend.asarray(values))
        assert device_of(out) == backend.asarray(values).device
        np.testing.assert_array_equal(to_numpy(out), expected, strict=True)

    def test_no_indices_give_zeros(self, adapter, backend):
        index = backend.asarray(np.zeros(0, dtype=np.int64))
        out = adapter.scatter_add(2, index, backend.asarray(np.zeros((0, 3))))
        np.testing.assert_array_equal(to_numpy(out), np.zeros((2, 3)))


def _positive(n, condition, dtype="float64"):
    """A symmetric positive definite matrix with eigenvalues from 1 down to 1/condition."""
    q = np.linalg.qr(np.random.default_rng(n).standard_normal((n, n)))[0]
    a = (q * np.geomspace(1.0, 1.0 / condition, n)) @ q.T
    return (0.5 * (a + a.T)).astype(dtype)


#: Symmetric, but not positive definite; the singular one is exactly so, without any rounding.
NOT_POSITIVE = {
    "indefinite": np.diag([1.0, -1.0, 2.0]),
    "negative": -np.eye(3),
    "zero": np.zeros((3, 3)),
    "singular": np.ones((3, 3)),
    "nan": np.full((3, 3), np.nan),
    "nan at last": np.diag([1.0, 1.0, np.nan]),
    "infinite": np.eye(3) + np.where(np.eye(3, k=1) + np.eye(3, k=-1), np.inf, 0.0),
    "indefinite and large": np.diag(np.linspace(1.0, -1e-3, 200)),
}
each_bad_matrix = pytest.mark.parametrize("a", NOT_POSITIVE.values(), ids=NOT_POSITIVE)


def need_errors(adapter, backend):
    """Skips the reference on CuPy, whose factorizations say nothing unless the adapter asks for errors."""
    if backend.name == "cupy" and adapter is not backend.adapter:
        pytest.skip("CuPy's factorization alone says nothing of a failure")


class TestCholesky:
    @pytest.mark.parametrize("n", [1, 5, 200])
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_is_the_lower_factor(self, adapter, backend, n, dtype):
        a = _positive(n, 10.0, dtype)
        factor = adapter.cholesky(backend.asarray(a))
        assert device_of(factor) == device_of(backend.asarray(a))
        found = to_numpy(factor)
        assert found.dtype == a.dtype
        np.testing.assert_array_equal(found, np.tril(found))
        # backward stable: the product differs by n units of rounding at most (Higham 2002, theorem 10.3)
        np.testing.assert_allclose(found @ found.T, a, rtol=0, atol=(n + 1) * np.finfo(dtype).eps)

    @each_bad_matrix
    def test_there_is_none_without_positive_definiteness(self, adapter, backend, a):
        need_errors(adapter, backend)
        assert adapter.cholesky(backend.asarray(a)) is None


class TestSolvePositive:
    @pytest.mark.parametrize("n", [1, 10, 200])  # NumPy's way changes with the size
    @pytest.mark.parametrize("tail", [(), (3,)])
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_solves_and_leaves_its_arguments_alone(self, adapter, backend, n, tail, dtype):
        a, expected = _positive(n, 100.0, dtype), np.cos(np.arange(n * math.prod(tail)).reshape(n, *tail))
        b = (a.astype("float64") @ expected).astype(dtype)
        there = backend.asarray(a), backend.asarray(b)
        x = adapter.solve_positive(*there)
        assert device_of(x) == device_of(there[0])
        assert (x.shape, x.dtype) == (b.shape, there[1].dtype)
        # errors grow with the condition, here 100, and with the root of n
        np.testing.assert_allclose(to_numpy(x), expected, atol=100 * n**0.5 * 4 * np.finfo(dtype).eps)
        np.testing.assert_array_equal(to_numpy(there[0]), a)
        np.testing.assert_array_equal(to_numpy(there[1]), b)

    @each_bad_matrix
    def test_says_so_where_the_matrix_is_not_positive_definite(self, adapter, backend, a):
        need_errors(adapter, backend)
        assert adapter.solve_positive(backend.asarray(a), backend.asarray(np.ones(len(a)))) is None

    def test_nothing_is_raised_where_two_factorizations_do_not_agree(self, adapter, backend):
        rows = np.asarray([[2.0, 7.0], [9.0, -8.0], [-8.0, 0.0]]) / 7.0
        a = rows @ rows.T  # of rank 2: rounding decides, for NumPy's Cholesky and LU factors not the same
        x = adapter.solve_positive(backend.asarray(a), backend.asarray(np.ones(3)))
        assert x is None or np.all(np.isfinite(to_numpy(x)))

    @pytest.mark.parametrize("n", [1, 5, 150])
    def test_one_factorization_serves_several_right_sides(self, adapter, backend, n):
        a, b = _positive(n, 100.0), np.cos(np.arange(3.0 * n).reshape(3, n))
        solve = adapter.solver_of_positive(backend.asarray(a))
        for right in b:
            x = solve(backend.asarray(right))
            alone = adapter.solve_positive(backend.asarray(a), backend.asarray(right))
            np.testing.assert_array_equal(to_numpy(x), to_numpy(alone))
            np.testing.assert_allclose(a @ to_numpy(x), right, atol=1e-12)

    @each_bad_matrix
    def test_no_right_side_has_a_solution_with_a_bad_matrix(self, adapter, backend, a):
        need_errors(adapter, backend)
        solve = adapter.solver_of_positive(backend.asarray(a))
        assert solve is None or solve(backend.asarray(np.ones(len(a)))) is None

    def test_an_overflow_is_no_solution(self, adapter, backend):
        a, b = np.diag([1.0, 1e-200]), np.asarray([1.0, 1e200])
        with np.errstate(over="ignore"):
            assert adapter.solve_positive(backend.asarray(a), backend.asarray(b)) is None

    def test_numpy_alone_does_it_too(self, monkeypatch):
        monkeypatch.setattr(numpy_adapter, "_lapack", lambda char: None)  # as without SciPy
        a, b = _positive(200, 100.0), np.ones(200)
        x = numpy_adapter.load().solve_positive(a, b)
        np.testing.assert_allclose(a @ x, b, atol=1e-12)


class TestMapInplace:
    @pytest.mark.parametrize("n", [1, 100, 2 * BLOCK + 1, 3 * BLOCK])
    def test_is_the_function_evaluated_once_on_whole_vectors(self, adapter, backend, n):
        def rule(xp, w, m, g, rate):
            m = 0.9 * m + g
            return w - rate * xp.sqrt(xp.abs(m)), m

        w, m, g = (np.linspace(a, b, n) for a, b in ((0, 1), (-1, 1), (2, 3)))
        expected = rule(np, w, m, g, 0.1)
        own = [_owned(backend, v) for v in (w, m)]
        adapter.map_inplace(rule, (*own, backend.asarray(g)), tuple(own), (0.1,))
        for result, value in zip(own, expected, strict=True):
            # One rounding more or less where a library fuses a multiplication and an addition
            np.testing.assert_allclose(to_numpy(result), value, rtol=1e-14, atol=1e-15)

    def test_writes_into_the_very_buffers_and_reads_all_before_it_writes(self, adapter, backend):
        def swap(xp, a, b):
            return b, a

        a, b = (_owned(backend, np.full(2 * BLOCK + 5, v)) for v in (1.0, 2.0))
        view = a[3:5]
        adapter.map_inplace(swap, (a, b), (a, b))
        assert to_numpy(view).tolist() == [2.0, 2.0]
        assert set(to_numpy(b).tolist()) == {1.0}

    def test_changing_scalars_are_seen(self, adapter, backend):
        def scale(xp, w, rate):
            return (w * rate,)

        w = _owned(backend, np.ones(3))
        for rate in (2.0, 3.0):
            adapter.map_inplace(scale, (w,), (w,), (rate,))
        assert to_numpy(w).tolist() == [6.0, 6.0, 6.0]


class TestMatmulInto:
    def test_is_the_product_and_may_lie_in_the_given_array(self, adapter, backend):
        a, b = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)
        out = _owned(backend, np.zeros(8))
        place = out.reshape(2, 4) if adapter.fills_buffers else backend.xp.reshape(out, (2, 4))
        got = adapter.matmul_into(backend.asarray(a), backend.asarray(b), place)
        np.testing.assert_array_equal(to_numpy(got), a @ b)
        if adapter.fills_buffers:
            assert to_numpy(out).tolist() == (a @ b).ravel().tolist()


class TestPositiveKeepMask:
    def test_is_the_mask_where_the_numbers_are_positive(self, adapter, backend):
        numbers = np.linspace(-1.0, 1.0, 600).reshape(20, 30)
        numbers[3, 4] = np.nan
        z = backend.asarray(numbers, dtype="float32")
        device = device_of(z)
        plain = to_numpy(adapter.keep_mask(Stream(3), 0.3, z.shape, z.dtype, device))
        got = to_numpy(adapter.positive_keep_mask(Stream(3), 0.3, z))
        expected = np.where(np.isnan(numbers), np.float32(np.nan), plain * (to_numpy(z) > 0))
        np.testing.assert_array_equal(got, expected, strict=True)


class TestTakeRows:
    @pytest.mark.parametrize("shape", [(5,), (5, 3), (5, 2, 2)])
    def test_is_indexing_along_the_first_axis(self, adapter, backend, shape):
        x = np.arange(math.prod(shape), dtype="float32").reshape(shape)
        rows = adapter.take_rows(backend.asarray(x), backend.asarray([4, 0, 0], dtype="int64"))
        np.testing.assert_array_equal(to_numpy(rows), x[[4, 0, 0]], strict=True)

    def test_a_buffer_may_be_offered(self, adapter, backend):
        x = np.arange(10.0).reshape(5, 2)
        out = _owned(backend, np.zeros((3, 2)))
        rows = adapter.take_rows(backend.asarray(x), backend.asarray([4, 0, 2], dtype="int64"), out=out)
        np.testing.assert_array_equal(to_numpy(rows), x[[4, 0, 2]])


class TestMoving:
    @pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int32", "uint8", "bool"])
    def test_numpy_arrays_go_there_and_back(self, backend, dtype):
        x = np.array([[0, 1], [2, 3]]).astype(dtype)
        there = backend.asarray(x)
        assert there.dtype == backend.adapter.dtype(dtype)
        np.testing.assert_array_equal(to_numpy(there), x, strict=True)

    @pytest.mark.parametrize(
        "x",
        [2.5, [1.0, 2.0], np.float32(1.5), np.float64(1.5), np.asarray(1.5), np.arange(4.0)[::-1],
         np.arange(6.0).reshape(2, 3).T, np.broadcast_to(np.float64(3.0), (2, 2))],
        ids=["number", "list", "float32", "float64", "0-d", "reversed", "transposed", "read-only"],
    )  # fmt: skip
    @pytest.mark.filterwarnings("error")
    def test_whatever_its_layout(self, backend, x):
        there = backend.asarray(x, dtype="float64")
        assert there.dtype == backend.adapter.dtype("float64")
        np.testing.assert_array_equal(to_numpy(there), np.asarray(x, dtype="float64"))

    def test_an_own_array_changes_its_dtype_and_keeps_its_device(self, backend):
        x = backend.asarray([1.0, 2.0], dtype="float64")
        y = backend.asarray(x, dtype="float32")
        assert y.dtype == backend.adapter.dtype("float32")
        assert device_of(y) == device_of(x)

    def test_synchronize_waits_and_says_nothing(self, backend):
        assert backend.adapter.synchronize(backend.device) is None


def _owned(backend, values: np.ndarray):
    """A buffer of the test's own, which it may let others write to."""
    return backend.xp.asarray(backend.asarray(values), copy=True)


def test_frequencies_are_made_on_the_device(backend):
    for name in ("fftfreq", "rfftfreq"):
        found = getattr(backend.xp.fft, name)(5, d=0.5, device=backend.device)
        assert device_of(found) == backend.device
        np.testing.assert_allclose(to_numpy(found), getattr(np.fft, name)(5, d=0.5), rtol=1e-6)  # float32


def test_solve_broadcasts_stacks_of_matrices(backend):
    a = np.random.default_rng(0).standard_normal((3, 1, 2, 2)) + 4.0 * np.eye(2)
    b = np.random.default_rng(1).standard_normal((2, 2, 1))
    found = backend.xp.linalg.solve(*(backend.asarray(v, dtype="float64") for v in (a, b)))
    np.testing.assert_allclose(to_numpy(found), np.linalg.solve(a, b), rtol=1e-12)
    found = backend.xp.linalg.solve(*(backend.asarray(v, dtype="float64") for v in (a[:, 0], b[0, :, 0])))
    np.testing.assert_allclose(
        to_numpy(found), np.linalg.solve(a[:, 0], b[0, :, 0][:, None])[..., 0], rtol=1e-12
    )


KEYS = {
    "one place": ([2],),
    "one place as an array": np.asarray([[2]], np.uint8),
    "one place twice": np.asarray([2, 2, 0]),
    "one place behind a slice": (slice(1, 3), [1]),
    "a place twice behind a slice": (slice(None), np.asarray([3, 0, 3])),
    "a place twice behind dots": (..., np.asarray([0, 0])),
    "pairs": (np.asarray([0, 2, 0]), np.asarray([1, 1, 1])),
    "one pair": ([1], [3]),
    "one index for several": (np.asarray([0, 2, 0]), [1]),
    "a mask": np.arange(12).reshape(3, 4) % 3 == 0,
    "a mask of rows and one place": (np.asarray([True, False, True]), [1]),
    "nothing": np.asarray([], np.int64),
}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize("depth", [1, 100])
def test_values_are_added_at_a_place_as_often_as_it_is_named(depth, key):
    x = np.arange(12.0 * depth).reshape(3, 4, depth)
    values = np.asarray(np.random.default_rng(0).standard_normal(x[key].shape))
    expected = x.copy()
    np.add.at(expected, key, values)
    found = adapter_of(x).add_at(x, key, values)
    if found is not None:  # else the caller adds by scatter_add
        assert found is x
        np.testing.assert_array_equal(found, expected)
    else:
        assert 8 * values.size > x.size
