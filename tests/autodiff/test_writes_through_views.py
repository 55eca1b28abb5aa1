"""Statements ``v[key] += w`` where ``v`` is a view of an array: right derivatives, at the cost of a row.

Each program is compared with one that has no views: it knows from NumPy which entries of the array the view
shows, and replaces these in a list of numbers.
"""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx.backend import namespace, to_numpy

VIEWS = {
    "itself": lambda r: r,
    "transposed": lambda r: r.T,
    "columns backwards": lambda r: r.T[:, ::-1],
    "every other row, transposed": lambda r: r[::2].T,
    "one row": lambda r: r.ravel(),
    "another shape": lambda r: r.reshape(2, -1),
    "another shape, transposed": lambda r: r.reshape(2, -1).T,
    "by columns": lambda r: r.T.reshape(-1, 2, order="F"),
    "swapped": lambda r: np.swapaxes(r, 0, 1),
    "moved": lambda r: np.moveaxis(r, 0, -1),
    "with a new axis": lambda r: np.expand_dims(r.T, 1),
    "turned": np.rot90,
    "a part in another shape": lambda r: r[2:].reshape(-1, 1, 2),
    "blocks": lambda r: r.reshape(-1, 2, 2).swapaxes(1, 2),
    "diagonal": lambda r: r.reshape(-1)[::3],
}
KEYS = {
    "rows": (1, 0, 1, -1),
    "parts": ((..., 0), slice(0, 1), slice(None, None, 2)),
    "arrays": ([0, 1], [1, 1, 0], 0),
}
N = 6
POINT, OTHER = np.asarray([0.4, -0.9, 1.3, 0.7]), np.asarray([-0.3, 0.8, 0.5, -1.1])
WEIGHTS = np.cos(np.arange(2.0 * N))


def _start(x):
    return np.concatenate([np.sin(x) * k for k in (1.0, 2.0, 3.0)])


def _by_views(view, keys, order):
    def f(x):
        r = np.zeros((N, 2), like=x) if order == "C" else np.zeros((2, N), like=x).T
        r[...] = _start(x).reshape(N, 2)
        v = view(r)
        for j, key in enumerate(keys):
            first = v[(0,) * v.ndim] * 1.0
            v[key] *= np.cos(x[j])
            v[key] += first * x[j - 1]
        return np.sum(r.reshape(-1) * WEIGHTS) + np.sum(r * r)

    return f


def _by_numbers(view, keys):
    where = view(np.arange(2 * N).reshape(N, 2))

    def f(x):
        start = _start(x)
        r = [start[i] for i in range(2 * N)]
        for j, key in enumerate(keys):
            places = {int(i) for i in np.ravel(where[key])}  # with NumPy, what is meant twice is added once
            first = r[int(where.flat[0])]
            for i in places:
                r[i] = r[i] * np.cos(x[j])
            for i in places:
                r[i] = r[i] + first * x[j - 1]
        return sum(r[i] * WEIGHTS[i] + r[i] * r[i] for i in range(2 * N))

    return f


def _derivatives(f):
    both, direction = np.stack([POINT, OTHER]), OTHER + 0.3
    return {
        "value": f(POINT),
        "grad": nnx.grad(f)(POINT),
        "jvp": nnx.jvp(f, (POINT,), (direction,))[1],
        "grad of grad": nnx.grad(lambda x: np.sum(nnx.grad(f)(x) * direction))(POINT),
        "jvp of grad": nnx.jvp(nnx.grad(f), (POINT,), (direction,))[1],
        "vmap of grad": nnx.vmap(nnx.grad(f))(both),
        "grad of vmap": nnx.grad(lambda xs: np.sum(np.sin(nnx.vmap(f)(xs))))(both),
    }


@pytest.mark.parametrize("keys", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_derivatives_are_those_of_the_program_without_views(view, keys):
    expected = _derivatives(_by_numbers(view, keys))
    for name, found in _derivatives(_by_views(view, keys, "C")).items():
        np.testing.assert_allclose(found, expected[name], rtol=1e-10, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("name", ["transposed", "every other row, transposed", "swapped"])
def test_arrays_that_lie_by_columns_may_be_written_into_too(name):
    view, keys = VIEWS[name], KEYS["rows"]
    expected = nnx.grad(_by_numbers(view, keys))(POINT)
    np.testing.assert_allclose(nnx.grad(_by_views(view, keys, "F"))(POINT), expected, rtol=1e-10)


def test_cotangents_that_lie_otherwise_than_their_array():
    # The cotangent of r is a transposed array: r.reshape(-1) is a view, that of the cotangent a copy.
    c = np.cos(np.arange(12.0)).reshape(4, 3)

    def f(x):
        r = np.zeros((3, 4), like=x)
        v = r.reshape(-1)
        for k in range(12):
            v[k : k + 1] += x * k
            v[k] *= x
        return np.sum(r.T * c)

    # Σ c·k x², so that the slope is 2x Σ c·k
    weights = np.sum(np.ravel(c.T) * np.arange(12.0))
    np.testing.assert_allclose(nnx.grad(f)(1.5), 3.0 * weights, rtol=1e-13)
    np.testing.assert_allclose(nnx.grad(nnx.grad(f))(1.5), 2.0 * weights, rtol=1e-13)


def test_every_backend(backend, request):
    if "readonly" in request.node.name:
        pytest.skip("the plain call cannot write into its view there")
    x = backend.asarray([0.4, -0.9, 1.3, 0.7], dtype="float64")

    def f(x):
        xp = namespace(x)
        r = xp.zeros((4, 2), dtype=x.dtype, device=x.device)
        r[:, 0] = x
        v = xp.permute_dims(r, (1, 0))
        for k in range(4):
            v[:, k] += v[0, k] * x[k]
            v[1, k : k + 1] *= x[k]
        return xp.sum(r * r)

    h = 1e-5
    for g in (nnx.grad(f)(x), nnx.vmap(nnx.grad(f))(x[None, :])[0, ...]):
        for k in range(4):
            e = backend.asarray(np.eye(4)[k] * h, dtype="float64")
            slope = (float(to_numpy(f(x + e))) - float(to_numpy(f(x - e)))) / (2.0 * h)
            np.testing.assert_allclose(float(to_numpy(g[k])), slope, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("view", [lambda r: r, lambda r: r.T, lambda r: r[::2], lambda r: r.reshape(-1)])
def test_numbers_read_from_a_view_are_nobody_elses(view):
    # NumPy's numbers cannot be written into: += binds the name to a new one.
    def f(x):
        r = np.zeros((4, 3), like=x)
        v = view(r)
        v[1] = x
        number = v[(1,) * v.ndim]
        same = number
        number += 5.0
        return number * same + np.sum(r)

    def plain(x):
        n = np.asarray(view(np.zeros((4, 3)))[1]).size
        return (x + 5.0) * x + n * x

    assert nnx.value_and_grad(f)(1.5) == (plain(1.5), 2.0 * 1.5 + 5.0 + plain(1.0) - 6.0)


# -- costs -----------------------------------------------------------------------------------------------


def _writes(view, kind):
    def f(x, n):
        r = np.zeros((n, 2), like=x)
        v = view(r)
        rows = v.shape[0] > 2
        for k in range(n // 2):
            key = k if rows and k < v.shape[0] else (0,) * (v.ndim - 1) + (k % v.shape[-1],)
            if kind == "+=":
                v[key] += x
            elif kind == "array":
                v[[k % v.shape[0]]] += x
            else:
                w = v[key]
                w *= 2.0
                w += x
        return np.sum(r)

    return f


@pytest.fixture
def copied(monkeypatch):
    """How many entries nnx's rules have copied or set to zero, in a list of one number."""
    base, count = nnx.autodiff.space_of(np.ones(1)).base, [0]

    def counting(name):
        function = getattr(base, name)

        def call(*args, **kwargs):
            y = function(*args, **kwargs)
            count[0] += y.size * (kwargs.get("copy", True) is True)
            return y

        monkeypatch.setattr(base, name, call)

    for name in ("asarray", "zeros", "zeros_like", "scatter_add"):
        counting(name)
    return count


@pytest.mark.parametrize("kind", ["+=", "array", "view of the view"])
@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_a_write_does_not_touch_the_whole_array(view, kind, copied):
    f, found = _writes(view, kind), []
    many = kind == "array" and view(np.zeros((8, 2))).shape[0] <= 2  # half of the array each time
    for n in (10, 40) if many else (30, 120):
        copied[0] = 0
        nnx.grad(lambda x, n=n: f(x, n))(1.5)
        found.append(copied[0])
    assert found[1] < (17.0 if many else 5.0) * found[0]


def test_numbers_read_by_index_leave_an_array_to_its_handle(copied):
    def f(x, n):
        r = np.zeros(n, like=x)
        for i in range(1, n):
            r[i] = 0.5 * r[i - 1] + x
        return np.sum(r)

    found = []
    for n in (50, 200):
        copied[0] = 0
        nnx.grad(lambda x, n=n: f(x, n))(1.5)
        found.append(copied[0])
    assert found[1] < 5.0 * found[0]
