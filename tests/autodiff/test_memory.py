"""Arrays that share memory with others, or change while they are needed: right, or an error."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

import nnx
from nnx.backend import namespace, to_numpy
from nnx.errors import DerivativeError

POINT = np.asarray([[0.3, -1.2, 2.1], [0.5, 0.7, -0.4]])


# -- plain arrays in the memory of traced ones --------------------------------------------------------


def _asarray_then_write(x):
    a = np.zeros_like(x)
    plain = np.asarray(a)
    a[0] = x[0]
    return np.sum(plain * x)


def _asarray_of_a_view(x):
    a = np.zeros_like(x)
    plain = np.asarray(a[1:])
    a += x
    return np.sum(plain)


def _view_then_write(x):
    a = np.zeros_like(x)
    plain = a.view()
    a[:, 0] = x[:, 0]
    return np.sum(plain)


def _written_through_a_view(x):
    a = np.zeros_like(x)
    row = a[0]
    plain = np.from_dlpack(a)
    row[...] = x[0]
    return np.sum(plain)


def _made_of_a_plain_one(x):
    plain = np.zeros(3)
    a = x.__array_namespace__().asarray(plain)
    a[...] = x[0]
    return np.sum(plain)


@pytest.mark.parametrize(
    "f",
    [
        _asarray_then_write,
        _asarray_of_a_view,
        _view_then_write,
        _written_through_a_view,
        _made_of_a_plain_one,
    ],
)
def test_a_write_that_a_plain_array_would_not_see_is_refused(f):
    with pytest.raises(DerivativeError, match="copy"):
        nnx.grad(f)(POINT)


def test_copies_may_be_taken_before_a_write():
    def f(x):
        xp = x.__array_namespace__()
        a = np.zeros_like(x)
        assert np.array(a).sum() == a.tolist()[0][0] == float(a[0, 1]) == 0.0
        b = xp.asarray(np.ones((2, 3)), copy=True)
        a[0] = x[0]
        b[1] = x[1]
        return np.sum(a * b)

    np.testing.assert_array_equal(nnx.grad(f)(POINT), [[1.0] * 3, [0.0] * 3])


# -- what the caller changes --------------------------------------------------------------------------


def test_the_argument_may_change_between_the_two_passes():
    x = POINT.copy()
    _, pullback = nnx.vjp(lambda x: x * x, x)
    x[:] = 7.0
    np.testing.assert_array_equal(pullback(np.ones((2, 3)))[0], 2.0 * POINT)


@pytest.mark.parametrize("transform", ["grad", "jvp"])
def test_a_large_argument_cannot_change_during_the_transform(transform):
    x = np.ones(5000)

    def f(t):
        y = t * t
        x[0] = 3.0
        return np.sum(y * t)

    with pytest.raises(ValueError, match="read-only"):
        nnx.grad(f)(x) if transform == "grad" else nnx.jvp(f, (x,), (x,))
    x[0] = 2.0  # afterwards it is as it was


def test_large_views_are_locked_and_released():
    whole = np.ones((3, 5000))
    rows = whole[1:]

    def f(t):
        inner = nnx.grad(lambda s: np.sum(s * rows) + 0.0 * np.sum(t * whole) + np.sum(s * s))(t)
        y, z = t * rows, inner * whole  # the array is locked while its view is, and beyond
        with pytest.raises(ValueError, match="read-only"):
            rows[0] = 2.0
        return np.sum(y) + np.sum(z)

    np.testing.assert_array_equal(nnx.grad(f)(np.ones(5000)), np.full(5000, 8.0))
    assert rows.flags.writeable
    assert whole.flags.writeable


@pytest.mark.parametrize("changed", ["argument", "constant", "view of the constant"])
def test_changes_of_tensors_are_noticed(changed):
    torch = pytest.importorskip("torch")
    x, c = torch.ones(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
    target = {"argument": x, "constant": c, "view of the constant": c[1:]}[changed]

    def f(t):
        y = t * c
        target[0] = 5.0
        return namespace(t).sum(y * t)

    with pytest.raises(DerivativeError, match="written into"):
        nnx.grad(f)(x)


# -- layouts and views --------------------------------------------------------------------------------

LAYOUTS = {
    "C": lambda x: x * 1.0,
    "transposed": lambda x: (x * 1.0).T,
    "permuted": lambda x: np.moveaxis(np.stack([x, x]), 0, 1),
    "reversed": lambda x: (x * 1.0)[:, ::-1],
}
MAKERS = {
    f"{name}, {order}, {shape}": lambda a, name=name, order=order, shape=shape: getattr(np, name)(
        a, *((0.5,) if name == "full_like" else ()), order=order, shape=shape
    )
    for name, order, shape in product(
        ("zeros_like", "ones_like", "empty_like", "full_like"), "CFKA", (None, (4, 5))
    )
}
for _order in "CFKA":
    MAKERS |= {
        f"np.copy, {_order}": lambda a, order=_order: np.copy(a, order=order),
        f"copy, {_order}": lambda a, order=_order: a.copy(order=order),
        f"astype, {_order}": lambda a, order=_order: a.astype(np.float32, order=order),
    }
MAKERS |= {"copy": lambda a: a.copy(), "np.copy": np.copy, "zeros_like": np.zeros_like}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_new_arrays_have_numpys_layout_in_memory(layout):
    of = LAYOUTS[layout]

    def f(x):
        for name, make in MAKERS.items():
            assert make(of(x)).strides == make(of(POINT)).strides, name
        return np.sum(x)

    nnx.grad(f)(POINT)


def copy_of_a_transpose_is_flattened_as_a_view(x):
    a = (x * 1.0).T.copy()
    v = a.ravel()
    v[0] = 5.0 * x[1, 1]
    return np.sum(a**2)


def windows_show_what_is_written_later(x):
    a = x * 1.0
    w = np.lib.stride_tricks.sliding_window_view(a, 2, axis=1)
    first = w[0]
    a[0, 1] = x[0, 0] ** 2
    return np.sum(w**2 * np.arange(8.0).reshape(2, 2, 2)) + np.sum(first**3)


def grids_without_copies(x):
    a = x[0] * 1.0
    u, v = np.meshgrid(a, a, copy=False)
    s, _ = np.meshgrid(a, a, copy=False, sparse=True)
    a[1] = x[1, 1] ** 2
    s[0, 0] = x[0, 2] ** 3
    return np.sum(u * v**2)


def grids_are_copies(x):
    a = x[0] * 1.0
    u, v = np.meshgrid(a, a, sparse=True)
    s, _ = np.meshgrid(a, a)
    a[1] = x[1, 1] ** 2
    u[0, 0] = 3.0
    s[0, 0] = x[0, 2]
    return np.sum(u * v**2) + np.sum(s * a)


@pytest.mark.parametrize(
    "f",
    [
        copy_of_a_transpose_is_flattened_as_a_view,
        windows_show_what_is_written_later,
        grids_without_copies,
        grids_are_copies,
    ],
    ids=lambda f: f.__name__,
)
def test_views_and_copies_are_where_numpy_has_them(f):
    assert float(nnx.value_and_grad(f)(POINT)[0]) == float(f(POINT.copy()))
    nnx.check_derivatives(f, POINT)


def test_views_with_a_number_in_several_places_cannot_be_written_into():
    windows = np.lib.stride_tricks.sliding_window_view
    for view in (lambda a: np.broadcast_to(a, (4, 2, 3)), lambda a: windows(a, 2, axis=1)[0]):
        with pytest.raises(ValueError, match="read-only"):
            nnx.grad(lambda x, view=view: np.sum(view(x * 1.0).__setitem__(0, 1.0)))(POINT)
    with pytest.raises(DerivativeError, match="writeable"):
        nnx.grad(lambda x: np.sum(windows(x, 2, axis=1, writeable=True)))(POINT)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # 0·inf, which is not used
def test_an_infinite_imaginary_part_leaves_the_real_part(backend, request):
    if "readonly" in request.node.name:
        pytest.skip("views cannot be written into there")

    def f(x):
        z = x * 1.0 + 1j * x
        namespace(x).imag(z)[0] = float("inf")
        return namespace(x).sum(namespace(x).real(z) ** 2) + namespace(x).sum(namespace(x).imag(z)[1:] ** 3)

    x = backend.asarray([0.3, -1.2, 2.1], dtype="float64")
    value, gradient = nnx.value_and_grad(f)(x)
    assert np.isfinite(to_numpy(value))
    expected = 2.0 * to_numpy(x) + np.asarray([0.0, 3.0, 3.0]) * to_numpy(x) ** 2
    np.testing.assert_allclose(to_numpy(gradient), expected, rtol=1e-14)  # a few roundings


def test_complex_directions_of_real_arrays_are_refused():
    x = POINT[0]
    with pytest.raises(DerivativeError, match="imaginary"):
        nnx.vjp(lambda x: x * x, x)[1](1j * x)
    with pytest.raises(DerivativeError, match="imaginary"):
        nnx.jvp(lambda x: x * x, (x,), (1j * x,))
