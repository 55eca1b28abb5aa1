"""Assignments into traced arrays: NumPy's own meaning, views included, or an error; never a wrong number."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx.backend import namespace, to_numpy
from nnx.errors import DerivativeError

POINT = np.asarray([0.3, -1.2, 2.1])


def assignment_of_own_numbers(x):
    y = x * 2
    y[0] = x[1] * x[2]
    return np.sum(y * y)


def base_read_after_write_into_view(x):
    y = x * 1.0
    v = y[1:]
    v[0] = x[0] ** 2
    return np.sum(y * y * v[0])


def view_read_after_write_into_base(x):
    y = x * 1.0
    v = y[1:]
    y[1] = x[0] ** 3
    return np.sum(v * v)


def another_name_of_the_same_array(x):
    y = x * 1.0
    z = y
    z += x * x
    return np.sum(y * z)


def zeros_filled_in_a_loop(x):
    y = np.zeros_like(x)
    for i in range(3):
        y[i] = x[i] * x[(i + 1) % 3]
    return np.sum(y * y)


def views_of_views_in_other_shapes(x):
    y = np.reshape(x * 1.0, (1, 3))
    w = np.transpose(y)
    w[0, 0] = x[1] * 3
    y[0, 2] += x[0]
    return np.sum(y * y) + np.sum(w[:, 0] ** 3)


def boolean_mask(x):
    y = x * 1.0
    y[y > 0] = x[0]
    return np.sum(y**2)


def boolean_mask_with_an_array(x):
    y = x * 1.0
    y[y > 0] = y[y > 0] ** 2 * x[1]
    return np.sum(y**2)


def repeated_index_of_which_the_last_counts(x):
    y = x * 1.0
    y[[0, 0, 1]] = x * x
    return np.sum(y**2)


def numbers_are_not_views(x):
    y = x * 1.0
    s = y[0]
    s += 1.0
    t = s
    s *= 2.0
    return np.sum(y * y) * s * t


def reversed_view_in_place(x):
    y = x * 1.0
    a = y[::-1]
    b = a[1:]
    b *= x[0]
    return np.sum(y * y) + np.sum(a**3)


def rows_and_chained_indices(x):
    y = np.stack([x, x * x])
    y[0][1] = x[2]
    for row in y:
        row *= x[0]
    return np.sum(y**2)


def reshape_that_copies(x):
    y = np.reshape(np.concatenate([x, x]), (2, 3))
    v = np.reshape(np.transpose(y), (6,))
    v[0] = 5.0 * x[1]
    return np.sum(np.reshape(y, (6,)) * v)


def reshape_that_looks_in(x):
    y = np.concatenate([x, x])
    v = np.reshape(y, (2, 3))
    v[0] = x * x
    y[5] = x[0]
    return np.sum(y**3) + np.sum(v[1] ** 2)


def copies_are_apart(x):
    y = x * 1.0
    z, w = np.copy(y), y * 1.0
    y[0] = 7.0 * x[2]
    z[1] = x[0]
    return np.sum(y * z * w)


def rows_swapped_as_numpy_does_it(x):
    y = np.stack([x, x * x])
    y[0], y[1] = y[1], y[0]
    return np.sum(y[0] * x) + np.sum(y[1] ** 3)


def what_was_computed_before_stays(x):
    y = x * 1.0
    s = np.sum(y * y)
    y *= 3.0
    y[:] = np.sin(y)
    return s + np.sum(y)


def broadcast_value(x):
    y = np.stack([x, x])
    y[:, 1:] = x[0]
    y[0] -= x[1]
    return np.sum(y**2 * np.arange(6.0).reshape(2, 3))


PROGRAMS = [
    assignment_of_own_numbers, base_read_after_write_into_view, view_read_after_write_into_base,
    another_name_of_the_same_array, zeros_filled_in_a_loop, views_of_views_in_other_shapes, boolean_mask,
    boolean_mask_with_an_array, repeated_index_of_which_the_last_counts, numbers_are_not_views,
    reversed_view_in_place, rows_and_chained_indices, reshape_that_copies, reshape_that_looks_in,
    copies_are_apart, rows_swapped_as_numpy_does_it, what_was_computed_before_stays, broadcast_value,
]  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_programs_that_write_have_numpys_value_and_its_derivatives(program):
    value, gradient = nnx.value_and_grad(program)(POINT)
    assert float(value) == float(program(POINT.copy()))

    def plain(x):
        return program(x.copy()) if isinstance(x, np.ndarray) else program(x)

    h = 1e-6
    steps = [(plain(POINT + h * e) - plain(POINT - h * e)) / (2 * h) for e in np.eye(3)]
    # central differences: an error of about 1e-10 from the step and 1e-9 from rounding
    np.testing.assert_allclose(gradient, steps, rtol=1e-7, atol=1e-7)
    nnx.check_derivatives(plain, POINT)


@pytest.mark.parametrize("writes_into", ["base", "view"])
def test_views_on_every_backend(backend, writes_into, request):
    if writes_into == "view" and "readonly" in request.node.name:
        pytest.skip("the plain call cannot write into its view there")

    def f(x):
        y = x * 1.0
        v = namespace(x).permute_dims(y, (1, 0))
        if writes_into == "base":
            y[0, :] = x[1, :] * x[0, :]
        else:
            v[:, 0] = x[1, :] * x[0, :]
        y *= 2.0
        return namespace(x).sum(v * v * v) + namespace(x).sum(y)

    nnx.check_derivatives(f, backend.asarray([[0.3, -1.2, 2.1], [0.5, 0.7, -0.4]], dtype="float64"))


@pytest.mark.parametrize("creator", ["zeros_like", "empty_like", "ones_like"])
def test_arrays_made_in_the_namespace_can_be_filled(backend, creator):
    def f(x):
        xp = namespace(x)
        y = getattr(xp, creator)(x)
        for i in range(3):
            y[i] = x[i] * x[i]
        z = xp.zeros((2, 3), dtype=x.dtype, device=x.device)
        z[1, :] = y
        return xp.sum(z * z)

    x = backend.asarray(POINT, dtype="float64")
    np.testing.assert_allclose(to_numpy(nnx.grad(f)(x)), 4.0 * POINT**3, rtol=1e-14)


def test_the_callers_arrays_are_not_written_to():
    def f(x):
        x[0] = 7.0 * x[1]
        x *= 2.0
        return np.sum(x * x)

    x = np.asarray([1.0, 2.0])
    np.testing.assert_array_equal(nnx.grad(f)(x), [0.0, 400.0 * 2.0])
    np.testing.assert_array_equal(x, [1.0, 2.0])


def test_writing_between_levels_reaches_no_tape():
    def outer(x):
        def inner(y):
            return np.sum(y * x) * x[0]

        g = nnx.grad(inner)(x * 2.0)
        x *= 3.0
        return np.sum(g * x)

    # g = x·x₀, then x is tripled: Σ 3·x₀·x²
    x = np.asarray([1.0, 2.0])
    np.testing.assert_allclose(nnx.grad(outer)(x), [21.0, 12.0], rtol=1e-14)


def test_constants_may_leave_the_trace():
    def f(x):
        zero = np.zeros_like(x)
        assert float(zero[0]) == 0.0
        assert not bool(zero[1])
        assert np.asarray(zero).shape == (3,)
        return np.sum(x)

    np.testing.assert_array_equal(nnx.grad(f)(POINT), np.ones(3))


def test_what_cannot_be_stored_is_refused():
    def into_plain(x):
        a = np.zeros(3)
        a[0] = x[0]
        return np.sum(a)

    def into_integers(x):
        a = np.zeros_like(x, dtype=int)
        a[0] = x[0]
        return np.sum(a)

    def plain_plus_traced(x):
        a = np.zeros(3)
        a += x
        return np.sum(a)

    def into_a_number(x):
        s = np.sum(x)
        s[...] = 1.0
        return s

    for f in (into_plain, into_integers, plain_plus_traced):
        with pytest.raises(DerivativeError):
            nnx.grad(f)(POINT)
    with pytest.raises(TypeError, match="item assignment"):
        nnx.grad(into_a_number)(POINT)
    with pytest.raises(ValueError, match="shape"):
        nnx.grad(lambda x: np.sum(x.__iadd__(np.ones((2, 3)))))(POINT)


def test_small_constants_may_change_after_their_use():
    def f(x):
        buffer, total = np.zeros((2, 3)), 0.0
        for k in range(3):
            buffer[0] = k
            total = total + np.sum(x * buffer[0]) + np.sum(x * buffer)
        return total

    np.testing.assert_array_equal(nnx.grad(f)(POINT), [6.0, 6.0, 6.0])


def test_large_constants_that_a_pullback_needs_cannot_be_changed_meanwhile():
    buffer = np.ones((1000, 3))

    def reuses(x):
        y = x * buffer
        buffer[:] = 2.0  # the pullback of x * buffer would see this
        return np.sum(y)

    with pytest.raises(ValueError, match="read-only") as caught:
        nnx.grad(reuses)(POINT)
    assert "copy of it" in "".join(caught.value.__notes__)
    buffer[:] = 3.0  # afterwards it is as it was

    def adds(x):
        y = x + buffer  # which no pullback needs
        buffer[:] = 2.0
        return np.sum(y * y)

    np.testing.assert_allclose(nnx.grad(adds)(POINT), 2000.0 * (POINT + 3.0))

    def nested(x):
        inner = nnx.grad(lambda z: np.sum(z * buffer * x))(x)
        with pytest.raises(ValueError, match="read-only"):
            buffer[0] = 1.0  # the outer level needs it still
        return np.sum(inner)

    nnx.grad(nested)(POINT)
    assert buffer.flags.writeable


def squeezed_without_effect(x):
    a = x * 1.0
    v = np.squeeze(a)
    a[0] = 5.0 * x[1]
    return np.sum(v * v)


def more_axes_than_the_place_has(x):
    a = np.stack([x, x])
    a[0] = x[None, None] ** 2
    a[1, 1:] = x[None, :2] * 3.0
    return np.sum(a * a)


def indices_in_tuples(x):
    a = np.stack([x, x * x])
    a[:, (0, 0)] = x[:2] * np.asarray([2.0, 3.0])
    return np.sum(a[:, (0, 0, 1)] ** 2) + np.sum(a[range(2), :])


def conjugate_of_reals_is_a_copy(x):
    a = x * 1.0
    b = np.conj(a)
    a[...] = 5.0 + x
    return np.sum(b * a)


MORE = [
    squeezed_without_effect,
    more_axes_than_the_place_has,
    indices_in_tuples,
    conjugate_of_reals_is_a_copy,
]


@pytest.mark.parametrize("program", MORE, ids=lambda f: f.__name__)
def test_more_programs_that_write(program):
    test_programs_that_write_have_numpys_value_and_its_derivatives(program)


def test_casts_in_place_that_numpy_refuses_are_refused():
    def complex_into_real(x):
        x += 1j * x
        return np.sum(x)

    def real_into_integers(x):
        a = np.zeros_like(x, dtype=int)
        a += 0.5
        return np.sum(a * x)

    def complex_assigned(x):
        x[0] = 1j * x[0]
        return np.sum(x)

    for f in (complex_into_real, real_into_integers, complex_assigned):
        with pytest.raises(TypeError):
            nnx.grad(f)(POINT)


def test_stopped_gradients_and_results_are_the_callers_own():
    x = POINT.copy()

    def f(x):
        s = nnx.stop_gradient(x)
        s[0] = 99.0
        return np.sum(x * x)

    np.testing.assert_array_equal(nnx.grad(f)(x), 2.0 * POINT)
    np.testing.assert_array_equal(x, POINT)
    a, b = nnx.grad(lambda a, b: np.sum((a + np.reshape(b, (3,))) ** 2), (0, 1))(x, x[:, None])
    assert not np.shares_memory(a, b)
    direction = np.ones(3)
    assert not np.shares_memory(nnx.jvp(lambda x: x[::-1], (x,), (direction,))[1], direction)


def test_functions_with_a_rule_must_not_write_into_their_arguments():
    def square(y):
        y *= y
        return y

    custom = nnx.custom_derivative(derivative=lambda xp, x, y: 2.0 * x)(square)
    for function in (nnx.checkpoint(square), custom):
        x = POINT.copy()
        with pytest.raises(ValueError, match="read-only"):
            nnx.grad(lambda x, function=function: np.sum(function(x)))(x)
        np.testing.assert_array_equal(x, POINT)
        x[0] = 0.0  # and is writable again


def layout_of_a_view_stays(x):
    a = np.stack([x, x * 2.0])
    y = a[:, 1:]
    y[0, 0] = 3.0 * x[0]
    r = y.ravel()  # a copy, for y is not contiguous
    r[:] = 7.0
    return np.sum(a * a)


def layout_of_a_transpose_stays(x):
    a = np.copy(np.stack([x, x * x]).T)
    a += np.ones((2, 3)).T.copy()
    b = a.ravel()
    b[0] = 5.0 * x[0]
    return np.sum(a**2)


def ravel_of_a_column_is_a_copy(x):
    a = np.stack([x, x * x])
    v = a[..., -1]
    r, s = v.ravel(), np.reshape(v, (-1,))
    a[...] = a * 2.0
    return np.sum(r * s)


def arrays_without_dimensions(x):
    a = x * 1.0
    s = a[0, ...]
    s += x[1]
    s[()] *= 2.0
    return np.sum(a * a)


LAYOUTS = [
    layout_of_a_view_stays,
    layout_of_a_transpose_stays,
    ravel_of_a_column_is_a_copy,
    arrays_without_dimensions,
]


@pytest.mark.parametrize("program", LAYOUTS, ids=lambda f: f.__name__)
def test_the_layout_in_memory_decides_what_is_a_view(program):
    test_programs_that_write_have_numpys_value_and_its_derivatives(program)


def test_lists_can_be_assigned():
    def f(x):
        a = x * 1.0
        a[1:] = [a[0] * x[1], 2.0]
        return np.sum(a * a)

    # x0² + (x0 x1)² + 4
    expected = [2.0 * 0.3 * (1.0 + 1.2**2), 2.0 * 0.3**2 * -1.2, 0.0]
    np.testing.assert_allclose(nnx.grad(f)(POINT), expected, rtol=1e-14)


@pytest.mark.parametrize(
    "key",
    [
        np.array([0, 1, 1, -1, 3]),
        (slice(None), np.array([[0, -5], [2, 2]])),
        (slice(1, 3), [0, 0, 1]),
        (..., np.array([5, -1, 0])),
        (None, slice(None), np.array([1, 1])),
        (slice(None), None, np.array([1, -4]), slice(2)),
        (np.array([2, 2]), ...),
        (..., np.array([0, 0]), slice(None)),
        np.array([], dtype=int),
        np.array([True, False, True, True]),
        [True, False, True, True],
        (slice(None), [True, False, True, False, False], slice(2)),
        (np.array([0, 0]), np.array([1, 1])),
        (0, np.array([1, 1])),
    ],
    ids=str,
)
def test_of_places_that_are_written_to_twice_the_last_value_has_the_gradient(key):
    x = np.zeros((4, 5, 6))
    x[key] = np.arange(1.0, x[key].size + 1.0).reshape(
        x[key].shape
    )  # NumPy's own writes say which is the last
    values = np.zeros(x[key].shape)

    def f(v):
        r = np.zeros_like(x) + 0.0 * np.sum(v)
        r[key] = v
        return np.sum(r * (x + 1.0))

    expected = np.where(x[key] == np.arange(1.0, values.size + 1.0).reshape(values.shape), x[key] + 1.0, 0.0)
    np.testing.assert_array_equal(nnx.grad(f)(values), expected)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_places_may_be_given_in_a_type_too_short_for_the_length(dtype):
    places = np.array([-1 if dtype == "int8" else 3, 3, 100, 100], dtype=dtype)

    def f(v):
        r = np.zeros(300) + 0.0 * np.sum(v)
        r[places] = v
        return np.sum(r * np.arange(300.0))

    found = nnx.grad(f)(np.ones(4))
    np.testing.assert_array_equal(
        found, [299.0, 3.0, 0.0, 100.0] if dtype == "int8" else [0.0, 3.0, 0.0, 100.0]
    )
