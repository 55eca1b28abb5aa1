"""Data of ``curve_fit`` as users have them: data frames, objects, broadcast, weights, types."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx.backend import namespace, to_numpy
from nnx.errors import DataError, DtypeError, OptionError, ShapeError

optimize = pytest.importorskip("scipy.optimize")

T = np.linspace(0.0, 4.0, 30)
Y = 2.0 * np.exp(-1.3 * T) + 0.01 * np.cos(40.0 * T)
SIGMA = np.linspace(0.05, 0.2, T.size)


def decay(t, a, b):
    return a * namespace(b).exp(-b * t)


def line(t, a, b):
    return a * t + b


PLAIN = nnx.curve_fit(decay, T, Y, sigma=SIGMA)


def same(fit, expected=PLAIN):
    np.testing.assert_allclose(to_numpy(fit.popt), expected.popt, rtol=1e-9)
    np.testing.assert_allclose(to_numpy(fit.pcov), expected.pcov, rtol=1e-6)


class Column:
    """A column of some data frame: NumPy can read it, and nothing else is known of it."""

    def __init__(self, entries):
        self.entries = np.asarray(entries)

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.entries, dtype)

    def __mul__(self, other):
        raise AssertionError("the function is to get an array")

    __rmul__ = __neg__ = __mul__


class Frame:
    """A data frame of such columns."""

    def __init__(self, **columns):
        self.parts, self.columns = columns, list(columns)

    def __getitem__(self, key):
        if isinstance(key, list):
            return Frame(**{name: self.parts[name] for name in key})
        return Column(self.parts[key])

    def __getattr__(self, name):
        if name not in self.__dict__.get("parts", {}):
            raise AttributeError(name)
        return self[name]

    def __len__(self):
        return len(next(iter(self.parts.values())))

    @property
    def values(self):
        return np.stack(list(self.parts.values()), axis=1)

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype)


# -- what NumPy can read ------------------------------------------------------------------------------------


def test_columns_are_arrays_of_the_current_backend(backend):
    with nnx.use_backend(backend.name if backend.name in ("numpy", "torch") else "numpy"):
        fit = nnx.curve_fit(decay, Column(T), Column(Y), Column([1.0, 1.0]), Column(SIGMA))
    same(fit)


@pytest.mark.parametrize(
    "f",
    [
        lambda d, a, b: decay(d["t"], a, b),
        lambda d, a, b: decay(d.t, a, b),
        lambda d, a, b: decay(d[["t", "u"]]["t"], a, b),
        lambda d, a, b: decay(d[["t", "u"]].t, a, b),
        lambda d, a, b: decay(d.values[:, 0], a, b),
        lambda d, a, b: decay(d["t"], a, b) + 0.0 * len(d) + 0.0 * d["u"],
    ],
    ids=["item", "attribute", "part", "attribute of a part", "values", "length"],
)
def test_columns_of_a_data_frame_are_arrays_inside_the_function(f):
    same(nnx.curve_fit(f, Frame(t=T, u=np.ones_like(T)), Y, sigma=SIGMA))


def test_a_mapping_of_columns():
    same(nnx.curve_fit(lambda d, a, b: decay(d["t"], a, b), {"t": Column(T), "name": "x"}, Y, sigma=SIGMA))


def test_independent_variables_that_are_no_numbers_reach_the_function_as_they_are():
    records = np.zeros(T.size, dtype=[("t", float)])
    records["t"] = T
    seconds = np.arange(T.size).astype("timedelta64[s]")
    for x, t in (
        (records, lambda x: x["t"]),
        (records.view(np.recarray), lambda x: x.t),
        (np.asarray(["a"] * T.size), lambda x: T),
        (np.datetime64("2020-01-01") + seconds, lambda x: (x - x[0]) / seconds[-1] * T[-1]),
        (None, lambda x: T),
    ):
        same(nnx.curve_fit(lambda x, a, b, t=t: decay(t(x), a, b), x, Y, [1.0, 1.0], sigma=SIGMA))


def test_data_frames_of_pandas():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"t": T, "y": Y, "s": SIGMA, "name": "a"})
    start = pandas.Series([1.0, 1.0])
    same(nnx.curve_fit(decay, table.t, table.y, start, table.s))
    same(nnx.curve_fit(decay, table["t"].astype(object), table["y"].astype(object), sigma=table.s))
    for f in (
        lambda d, a, b: decay(d["t"], a, b),
        lambda d, a, b: decay(d.t, a, b),
        lambda d, a, b: decay(d[["t", "s"]].values[:, 0], a, b),
    ):
        same(nnx.curve_fit(f, table, table.y, sigma=table.s))
    with pytest.raises(DtypeError, match=r"ydata has entries that are no real numbers.*'a'"):
        nnx.curve_fit(decay, table.t, table["name"].astype(object))
    with pytest.raises(DataError, match="ydata must be finite"):
        nnx.curve_fit(decay, table.t, table.y.where(table.t > 1.0))
    x0 = nnx.minimize(lambda x: np.sum((x - 1.0) ** 2), start + 2.0).x
    np.testing.assert_allclose(x0, [1.0, 1.0])


def test_a_column_with_nan_is_refused_where_it_is_used():
    frame = Frame(t=T, gaps=np.where(T > 3.0, np.nan, T))
    same(nnx.curve_fit(lambda d, a, b: decay(d["t"], a, b), frame, Y, sigma=SIGMA))
    with pytest.raises(DataError, match="xdata must be finite"):
        nnx.curve_fit(lambda d, a, b: decay(d["gaps"], a, b), frame, Y)
    ok = nnx.curve_fit(
        lambda d, a, b: namespace(b).where(d["gaps"] <= 3.0, decay(d["t"], a, b), 0.0),
        frame,
        np.where(T > 3.0, 0.0, Y),
        check_finite=False,
    )
    assert ok.result.success


def test_arrays_of_objects_are_numbers():
    from decimal import Decimal
    from fractions import Fraction

    for kind in (float, Fraction, Decimal):
        t, y, s = (np.asarray([kind(float(v)) for v in column], dtype=object) for column in (T, Y, SIGMA))
        same(nnx.curve_fit(decay, t, y, sigma=s))
    with pytest.raises(DataError, match="ydata must be finite"):  # None is NaN, as in SciPy
        nnx.curve_fit(decay, T, np.asarray([None] * 30, dtype=object))
    for bad in (["a"] * 30, [1j] * 30):
        with pytest.raises(DtypeError, match="ydata has entries that are no real numbers"):
            nnx.curve_fit(decay, T, np.asarray(bad, dtype=object))


# -- broadcast ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zero", [0, 0.0, [0.0], np.zeros(()), np.zeros(1)], ids=repr)
def test_data_of_one_number_are_those_of_every_point(zero):
    f = lambda t, a, b: decay(t, a, b) - Y  # noqa: E731
    for sigma in (None, 0.1, SIGMA, np.diag(SIGMA**2)):
        expected = nnx.curve_fit(decay, T, Y, sigma=sigma)
        same(nnx.curve_fit(f, T, zero, sigma=sigma), expected)
    np.testing.assert_allclose(nnx.curve_fit(f, T, zero).popt, optimize.curve_fit(f, T, zero)[0], rtol=1e-6)
    with pytest.raises(ShapeError, match="sigma is for 5 data, and f returned 30 values"):
        nnx.curve_fit(f, T, zero, sigma=np.ones(5))


def test_data_that_broadcast_to_the_function_or_the_other_way_round():
    grid = np.stack([T, 2.0 * T])
    row = nnx.curve_fit(lambda x, a, b: decay(x, a, b) * np.asarray([[1.0], [1.0]]), T, Y)
    twice = nnx.curve_fit(decay, np.concatenate([T, T]), np.concatenate([Y, Y]))
    np.testing.assert_allclose(row.popt, twice.popt, rtol=1e-9)
    assert row.result.fun.shape == (60,)
    level = nnx.curve_fit(lambda x, a: a, T, Y)  # a constant
    np.testing.assert_allclose(level.popt, [np.mean(Y)], rtol=1e-12)
    level = nnx.curve_fit(lambda x, a: namespace(a).reshape(a, (1,)), T, Y)
    np.testing.assert_allclose(level.popt, [np.mean(Y)], rtol=1e-12)
    columns = nnx.curve_fit(lambda x, a: a * x, grid, np.asarray([[1.0], [2.0]]))
    assert columns.result.fun.shape == (60,)
    for shape in ((30, 1), (29,), (2, 15)):
        with pytest.raises(ShapeError, match="neither can be broadcast"):
            nnx.curve_fit(lambda x, a, *, s=shape: a * np.ones(s), T, Y)


# -- weights ------------------------------------------------------------------------------------------------


def test_an_infinite_deviation_takes_a_datum_out():
    wild = Y.copy()
    wild[[3, 17]] = 50.0
    sigma = SIGMA.copy()
    sigma[[3, 17]] = np.inf
    kept = np.isfinite(sigma)
    for absolute in (False, True):
        fit = nnx.curve_fit(decay, T, wild, sigma=sigma, absolute_sigma=absolute)
        without = nnx.curve_fit(decay, T[kept], wild[kept], sigma=sigma[kept], absolute_sigma=absolute)
        same(fit, without)
        low, expected = fit.confidence_interval.low, without.confidence_interval.low
        np.testing.assert_allclose(low, expected, rtol=1e-9)
    scipys, _ = optimize.curve_fit(decay, T, wild, sigma=sigma)
    np.testing.assert_allclose(fit.popt, scipys, rtol=1e-6)
    few = np.full(T.size, np.inf)
    few[[1, 5]] = 1.0
    with pytest.warns(UserWarning, match="2 data are too few"):
        assert np.isinf(nnx.curve_fit(decay, T, Y, sigma=few).pcov).all()


@pytest.mark.parametrize(
    ("sigma", "error", "words"),
    [
        (np.where(T > 3.0, np.nan, 1.0), OptionError, "nowhere 0 nor NaN"),
        (np.where(T > 3.0, 0.0, 1.0), OptionError, "nowhere 0 nor NaN"),
        (0.0, OptionError, "nowhere 0 nor NaN"),
        (np.full(T.size, np.inf), OptionError, "infinite everywhere"),
        (np.inf, OptionError, "infinite everywhere"),
        (np.diag(np.where(T > 3.0, np.nan, 1.0)), OptionError, "finite, symmetric and positive definite"),
        (np.diag(np.where(T > 3.0, 0.0, 1.0)), OptionError, "finite, symmetric and positive definite"),
        (np.diag(np.where(T > 3.0, np.inf, 1.0)), OptionError, "finite, symmetric and positive definite"),
        (1j * SIGMA, DtypeError, "sigma holds complex"),
        (np.ones((T.size, 3)), ShapeError, "sigma must be one number"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_deviations_that_divide_by_nothing_are_refused(sigma, error, words):
    with pytest.raises(error, match=words):
        nnx.curve_fit(decay, T, Y, sigma=sigma)


# -- types --------------------------------------------------------------------------------------------------


def test_complex_data_are_refused():
    for call, what in (
        (lambda: nnx.curve_fit(decay, T, Y + 0j), "ydata"),
        (lambda: nnx.curve_fit(decay, T, Y, [1.0, 1j]), "p0"),
        (lambda: nnx.curve_fit(lambda t, a, b: a * t + 1j * b, T, Y, jac=None), "what f returned"),
        (lambda: nnx.curve_fit(line, 1j * T, Y), "what f returned"),
    ):
        with pytest.raises(DtypeError, match=f"{what} holds complex numbers"):
            call()
        with pytest.raises(TypeError):
            call()
    # a complex independent variable is none of the data that are fitted
    fit = nnx.curve_fit(lambda w, a: a * namespace(a).abs(w), 1j * T, 3.0 * T)
    np.testing.assert_allclose(fit.popt, [3.0], rtol=1e-9)


STAMPS = 1.7e9 + 60.0 * np.arange(40)


@pytest.mark.parametrize(
    "stamps", [STAMPS, STAMPS.astype(int), Column(STAMPS)], ids=["floats", "ints", "column"]
)
@pytest.mark.parametrize("p0", [np.ones(2, np.float32), np.ones(2, np.float16), [1.0, 1.0], None], ids=repr)
def test_data_in_double_precision_stay_so_beside_other_parameters(stamps, p0):
    def f(t, a, b):
        return a + b * (t - 1.7e9) / 3600.0

    fit = nnx.curve_fit(f, stamps, 3.0 + 2.0 * np.arange(40) / 60.0, p0)
    assert fit.popt.dtype == np.float64
    np.testing.assert_allclose(fit.popt, [3.0, 2.0], rtol=1e-9)


def test_y_in_double_precision_too():
    y = 1e8 + T
    fit = nnx.curve_fit(line, T.astype("float32"), y, np.ones(2, np.float32))
    np.testing.assert_allclose(fit.popt, [1.0, 1e8], rtol=1e-6)
    assert fit.popt.dtype == np.float64


@pytest.mark.parametrize("kind", ["float32", "int8", "int16", "bool"])
def test_single_precision_stays_where_nothing_is_lost(kind):
    t = np.arange(20) % 7
    fit = nnx.curve_fit(line, t.astype(kind), (2 * t + 1).astype("float32"), np.ones(2, np.float32))
    assert fit.popt.dtype == fit.pcov.dtype == np.float32


def test_single_precision_starts_stay_single_in_the_other_functions():
    x0 = np.asarray([3.0, 2.0], np.float32)
    target = np.asarray([1.0, 4.0], np.float32)
    assert nnx.least_squares(lambda x: x - target, x0).x.dtype == np.float32
    assert nnx.minimize(lambda x: np.sum((x - target) ** 2), x0).x.dtype == np.float32


@pytest.mark.parametrize("kind", [int, "int32", "uint8", bool])
def test_integers_are_numbers(kind):
    t = (np.arange(6) % 2).astype(kind)
    fit = nnx.curve_fit(line, t, 3 * t.astype(int) + 1, [1, 1])
    np.testing.assert_allclose(fit.popt, [3.0, 1.0], rtol=1e-9)


def test_check_finite_is_on_by_default_and_none_means_so():
    broken = np.where(T > 3.0, np.nan, Y)
    for keywords in ({}, {"check_finite": None}, {"check_finite": True}):
        with pytest.raises(DataError, match="ydata must be finite"):
            nnx.curve_fit(decay, T, broken, **keywords)
