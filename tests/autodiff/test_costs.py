"""The cost of a gradient grows as that of the program; and what makes it so keeps the derivatives right."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest

import nnx
from nnx.backend import namespace, to_numpy

POINT = np.asarray([[0.3, -1.2, 2.1, 0.9], [0.5, 0.7, -0.4, 1.3], [1.1, 0.2, 0.6, -0.8]])


# -- programs that read and write entries: plain Python with an array library ---------------------------


def _rows(xp, a):
    s = 0.0
    for i in range(a.shape[0]):
        s = s + xp.sum(xp.sin(a[i, :]))
    return s


def _overlapping_slices(xp, a):
    x = a[0, :] * 1.0
    return xp.sum(x[1:] * x[:-1]) + xp.sum(x[:2] ** 3) + x[1] * x[3] + xp.sum(x * x)


def _an_entry_read_before_and_after_it_is_written(xp, a):
    r = a * 1.0
    old = r[0, 1] * 2.0
    row = r[1, :]
    kept = xp.sin(row)
    r[0, 1] = r[0, 1] * r[2, 3]
    r[1, 0] = old * kept[0]
    r[1, 2] = r[0, 1] * row[2]  # row shows what was written where the library's views do
    return xp.sum(r * r) + old + xp.sum(kept * r[1, :])


def _a_row_kept_while_its_array_is_written(xp, a):
    r = xp.zeros_like(a)
    r[0, :] = a[0, :]
    for i in range(1, a.shape[0]):
        before = r[i - 1, :]
        squares = before * before  # keeps these numbers
        r[i, :] = xp.sin(squares) + a[i, :]
        r[i - 1, :] = r[i, :] * 0.5
    return xp.sum(r * r)


def _the_whole_array_is_kept_between_writes(xp, a):
    r = xp.zeros_like(a)
    s = 0.0
    for i in range(a.shape[0]):
        r[i, 0] = a[i, 1] * 2.0
        s = s + xp.sum(xp.exp(0.1 * r) * r)
        r[i, 1] = s
    return s + xp.sum(r**2)


def _recurrence(xp, a):
    x = xp.reshape(a, (-1,))
    r = xp.zeros_like(x)
    r[0] = x[0]
    for i in range(1, x.shape[0]):
        r[i] = 0.9 * r[i - 1] * x[i] + x[i]
    return xp.sum(r * r)


def _one_cotangent_in_two_places(xp, a):
    x = a * 1.0
    y = x + 0.0  # its cotangent is that of x too
    z = xp.stack([y, x])
    x[0, 0] = x[1, 1]
    return xp.sum(z[0, ...] * z[1, ...]) + xp.sum(y * x) + y[0, 0] + y[0, 0] * x[0, 0]


def _joined(xp, a):
    parts = [a[i, 1:] * (i + 1.0) for i in range(a.shape[0])]
    whole = xp.concat([*parts, parts[0]])
    return xp.sum(whole[2:] * whole[:-2]) + xp.sum(xp.concat([a, a[:1, :]], axis=None) ** 3)


def _rows_taken(xp, a):
    i = xp.asarray([0, 2, 0], device=a.device)
    return xp.sum(xp.take(a, i, axis=0) ** 2) + xp.sum(xp.take(a, i, axis=1) ** 3) + a[0, 1]


PROGRAMS = [
    _rows,
    _overlapping_slices,
    _an_entry_read_before_and_after_it_is_written,
    _a_row_kept_while_its_array_is_written,
    _the_whole_array_is_kept_between_writes,
    _recurrence,
    _one_cotangent_in_two_places,
    _joined,
    _rows_taken,
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__.strip("_"))
def test_programs_that_read_and_write_entries_have_their_derivatives(program, backend):
    # Against differences of the program itself, extrapolated: their error is below 1e-9 in float64.
    def f(a):
        return program(namespace(a), a)

    x = backend.asarray(POINT, dtype="float64")
    v = backend.asarray(np.cos(np.arange(12.0)).reshape(3, 4), dtype="float64")
    gradient = nnx.grad(f)(x)
    slope = nnx.jvp(f, (x,), (v,))[1]
    curvature = nnx.jvp(nnx.grad(f), (x,), (v,))[1]
    twice = nnx.grad(lambda a: namespace(a).sum(nnx.grad(f)(a) * v))(x)

    def along(h):
        return to_numpy(nnx.grad(f)(backend.asarray(POINT + h * to_numpy(v), dtype="float64")))

    def value(h):
        return float(to_numpy(f(backend.asarray(POINT + h * to_numpy(v), dtype="float64"))))

    np.testing.assert_allclose(float(to_numpy(slope)), _derivative(value), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(np.sum(to_numpy(gradient) * to_numpy(v)), float(to_numpy(slope)), rtol=1e-12)
    np.testing.assert_allclose(to_numpy(curvature), _derivative(along), rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(to_numpy(twice), to_numpy(curvature), rtol=1e-10, atol=1e-10)


def _derivative(f, h=1e-3):
    """By central differences, extrapolated twice: the error is O(h⁶)."""
    d = [(f(k * h) - f(-k * h)) / (2.0 * k * h) for k in (1, 2, 4)]
    first = [(4.0 * d[i] - d[i + 1]) / 3.0 for i in (0, 1)]
    return (16.0 * first[0] - first[1]) / 15.0


def test_the_seed_and_the_argument_are_not_written_to():
    x, seed = POINT.copy(), np.ones_like(POINT)

    def f(a):
        r = a * 1.0
        r[0, 0] = r[1, 1] * r[2, 2]
        return r

    _, pullback = nnx.vjp(f, x)
    first = pullback(seed)[0]
    np.testing.assert_array_equal(pullback(seed)[0], first)
    np.testing.assert_array_equal(seed, np.ones_like(POINT))
    np.testing.assert_array_equal(x, POINT)


@pytest.mark.parametrize(
    "key", [1, slice(1, None), (slice(None), None, 2), (..., -1), ([0, 2, 0],), POINT > 0.5]
)
def test_reads_add_up_by_every_kind_of_index(key):
    def f(a):
        return np.sum(a[key] ** 2) + np.sum(a[key] * 3.0) + np.sum(a * a) + np.sum(np.sin(a[key]))

    g = np.zeros_like(POINT)
    np.add.at(g, key, 2.0 * POINT[key] + 3.0 + np.cos(POINT[key]))
    np.testing.assert_allclose(nnx.grad(f)(POINT), g + 2.0 * POINT, rtol=1e-14)


def _chain(a):
    v = a.T[::-1]
    v = np.moveaxis(v[None], 0, -1)[..., 0]
    return np.expand_dims(v[1:], 1).squeeze(1)


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a.T.T,
        lambda a: a[1:][0][::2],
        lambda a: _chain(a),
        lambda a: np.swapaxes(a, 0, 1)[2],
        lambda a: a.reshape(4, 3).reshape(2, 6).reshape(a.shape),
        lambda a: a.T[::-1][:, 1:].T[..., None],
        lambda a: a[None, 1].reshape(2, 2)[:, 1],
    ],
)
def test_writes_through_chains_of_views_are_numpys(view):
    def f(a):
        r = a * 1.0
        v = view(r)
        v[...] = v * v + 1.0
        v[0] += 2.0
        v[-1:] *= 3.0
        return r

    expected = f(POINT)
    value, pullback = nnx.vjp(f, POINT)
    np.testing.assert_array_equal(value, expected)
    seed = np.arange(1.0, 13.0).reshape(3, 4)
    found = _derivative(lambda h: np.sum(f(POINT + h * np.cos(seed)) * seed))
    np.testing.assert_allclose(np.sum(pullback(seed)[0] * np.cos(seed)), found, rtol=1e-9)


# -- growth --------------------------------------------------------------------------------------------------


def _peak(f, *args):
    f(*args)
    tracemalloc.start()
    f(*args)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def _filled(n):
    def f(x):
        r = np.zeros(n, like=x)
        for i in range(n):
            r[i] = x * i
        return np.sum(r)

    return lambda: nnx.grad(f)(1.0)


def _swept(n):
    def f(x):
        a = x * 1.0
        for _ in range(n):
            a[1:-1] += 0.1 * (a[2:] - 2.0 * a[1:-1] + a[:-2])
            a = a.T
        return np.sum(a**2)

    return lambda: nnx.grad(f)(np.eye(8))


def _numbers_read(n):
    return lambda: nnx.grad(lambda x: sum(x[i] for i in range(n)))(np.ones(n))


def _least_squares(n):
    a = np.random.default_rng(0).normal(size=(n, 3))
    return lambda: nnx.grad(lambda a: np.sum(np.linalg.lstsq(a, np.ones(n), rcond=None)[0]))(a)


def _wide_pinv(n):
    a = np.random.default_rng(0).normal(size=(2, n))
    return lambda: nnx.grad(lambda a: np.sum(np.linalg.pinv(a) ** 3))(a)


@pytest.mark.parametrize(
    ("program", "n"),
    [(_filled, 250), (_swept, 20), (_numbers_read, 250), (_least_squares, 500), (_wide_pinv, 500)],
)
def test_memory_grows_as_the_program(program, n):
    # Four times the work. What does not depend on n makes the ratio smaller; n×n arrays made it 13 to 16.
    assert _peak(program(4 * n)) < 5.0 * _peak(program(n))


def _rows_of(n):
    a = np.ones((n, 500))
    return lambda: nnx.grad(lambda a: sum(np.sum(np.tanh(row)) for row in a))(a)


def _joined_of(n):
    x = np.ones(n)
    return lambda: nnx.grad(lambda x: np.sum(np.concatenate([x[i : i + 1] for i in range(n)])))(x)


@pytest.mark.parametrize(("program", "n"), [(_rows_of, 40), (_swept, 10), (_joined_of, 100)])
def test_time_grows_as_the_program(program, n):
    # Sixteen times the work; it was a hundred times the time and more. Of the processor, the best of three.
    def seconds(run):
        run()
        found = []
        for _ in range(3):
            start = time.process_time()
            run()
            found.append(time.process_time() - start)
        return min(found)

    assert seconds(program(16 * n)) < 50.0 * seconds(program(n))


def test_a_chain_of_thousands_of_views_is_one_step():
    def f(x):
        a = x * 1.0
        b = a
        for _ in range(3000):
            b = b.T
        b[0, 1] = a[0, 0] * a[1, 0]
        return np.sum(a * b)

    x = np.asarray([[2.0, 3.0], [5.0, 7.0]])
    # a01 = a00·a10, then the sum of the squares: the derivative by hand
    np.testing.assert_allclose(
        nnx.grad(f)(x), [[4.0 + 2.0 * 10.0 * 5.0, 0.0], [10.0 + 2.0 * 10.0 * 2.0, 14.0]]
    )
