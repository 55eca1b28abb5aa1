"""The standard's own list of functions: each is in exactly one state, and keeps what it says.

differentiated   by a rule or a composition, and then there is an example, which ``test_rules.py`` checks
                 against finite differences, to second order, in both modes
constant         a plain array, on which Python's control flow works
makes arrays     an array of the differentiable namespace that depends on nothing
inspection       tells of data types, shapes or the library
refused          an error that names the function and says why
"""

from __future__ import annotations

from functools import partial
from itertools import product

import array_api_strict
import numpy as np
import pytest
from autodiff.derivative_cases import CASES
from walks import walk

import nnx
from nnx.autodiff import Traced, flatten
from nnx.autodiff.array import is_traced
from nnx.autodiff.rules.constants import CONSTANTS, CREATION, INSPECTION, REFUSED
from nnx.autodiff.space import COMPOSITIONS, RULES, space_of
from nnx.autodiff.trace import CONSTANT, Tape
from nnx.backend import namespace, to_numpy
from nnx.errors import DerivativeError

EXTENSIONS = ("linalg", "fft")


def _functions(module, prefix=""):
    names = [n for n in module.__all__ if n in ("__array_namespace_info__",) or not n.startswith("_")]
    functions = [n for n in names if type(getattr(module, n)).__name__ in ("function", "_ufunc")]
    return [prefix + n for n in functions if "array_api_strict" not in n]


STANDARD = [
    *_functions(array_api_strict),
    *[name for part in EXTENSIONS for name in _functions(getattr(array_api_strict, part), f"{part}.")],
]
STATES = {
    "differentiated": RULES.keys() | (COMPOSITIONS.keys() - CREATION),
    "constant": CONSTANTS,
    "makes arrays": CREATION - REFUSED.keys(),
    "inspection": INSPECTION,
    "refused": REFUSED.keys(),
}


def get(xp, name):
    """The function ``name`` of a namespace, of an extension as "linalg.solve"."""
    for part in name.split("."):
        xp = getattr(xp, part)
    return xp


def test_the_list_is_the_standards():
    assert len(STANDARD) > 170
    assert {"matmul", "unique_all", "linalg.svd", "fft.rfft", "__array_namespace_info__"} <= set(STANDARD)


@walk("name", STANDARD)
def test_a_function_of_the_standard_is_in_one_state(name):
    states = [state for state, names in STATES.items() if name in names]
    assert len(states) == 1, f"{name} is in {states or 'no state'}"


@walk("name", [n for n in STANDARD if n in STATES["differentiated"]])
def test_a_differentiated_function_has_an_example(name):
    assert any(case.name == name for case in CASES)


BEYOND = {
    "numpy": {"histogram", "einsum", "unwrap", "nanmean", "fill_diagonal"},
    "array_api_strict": {"set_array_api_strict_flags"},
    "torch": {"cdist", "cummax", "masked_fill", "relu_", "lu_solve"},
}


def test_everything_else_is_refused_by_name(backend):
    """Functions that a library has beyond the standard (``xp.histogram``): a namespace gives them no rule."""
    x = _traced(backend.asarray([1.0]))
    known = {"shares_memory"}.union(*STATES.values())  # the space's own, which tells of memory
    functions = {
        name
        for name in set(dir(backend.xp)) - known
        if not name.startswith("_")
        and callable(function := getattr(backend.xp, name))
        and not isinstance(function, type)
    }
    assert functions >= BEYOND[backend.name]
    for name in functions:
        with pytest.raises(DerivativeError, match=rf"xp\.{name} cannot be part"):
            getattr(x.space, name)(x)


# -- what each state promises ----------------------------------------------------------------------------


def _traced(x):
    return Tape().leaf(x, space_of(x))


EDGES = [(), (0,), (1,), (0, 3), (3, 0), (2, 0, 0), (1, 1)]
CALLS = {
    "f(x)": lambda f, x: f(x),
    "f(x, x)": lambda f, x: f(x, x),
    "f(x, axis=0)": lambda f, x: f(x, axis=0),
    "f([x, x])": lambda f, x: f([x, x]),
    "f(x, shape)": lambda f, x: f(x, (0, *x.shape)),
    "f(x, ())": lambda f, x: f(x, ()),
}


def _by_index(f, x):
    return f(x, namespace(x).argsort(x[:, ...], axis=0), axis=0)


OWN_CALLS = {
    "astype": lambda f, x: f(x, x.dtype),
    "imag": lambda f, x: f(x + 1j),
    "moveaxis": lambda f, x: f(x, 0, -1),
    "where": lambda f, x: f(x > 0.0, x, x),
    **dict.fromkeys(("take", "take_along_axis"), _by_index),
    **dict.fromkeys(("repeat", "linalg.matrix_power"), lambda f, x: f(x, 2)),
    **dict.fromkeys(
        ("fft.fft", "fft.ifft", "fft.irfft", "fft.hfft"), lambda f, x: f(x + 1j, n=2 * x.shape[0], axis=0)
    ),
    **dict.fromkeys(
        ("fft.fftn", "fft.ifftn", "fft.irfftn"), lambda f, x: f(x + 1j, s=(2 * x.shape[0],), axes=(0,))
    ),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::UserWarning")  # means of nothing
@walk("name", [n for n in STANDARD if n in STATES["differentiated"]])
def test_arrays_without_elements_or_dimensions(name, backend):
    """Whatever the library answers, the traced call answers too, and its gradient has the array's shape."""
    compared = 0
    calls = CALLS | ({"its own call": OWN_CALLS[name]} if name in OWN_CALLS else {})
    for shape, (call, function) in product(EDGES, calls.items()):
        what, numbers = f"{name}: {call} for shape {shape}", np.full(shape, 0.5)
        if not _knows(get(array_api_strict, name), function, numbers):
            continue
        called, x = partial(_called, name, function), backend.asarray(numbers, dtype="float64")
        try:
            plain = called(x)
        except Exception:
            assert backend.name == "torch", what  # it does not have all of the standard's edges
            continue
        compared += 1
        if name == "linalg.svd" and shape[-1] != shape[-2]:  # vectors that complete those of nothing
            with pytest.raises(DerivativeError, match="full_matrices=True"):
                nnx.vjp(called, x)
        else:
            _agrees(what, called, x, plain)
    assert compared


def _knows(f, call, numbers):
    """Whether the standard has such a call: array-api-strict takes nothing else."""
    try:
        call(f, array_api_strict.asarray(numbers))
    except Exception:
        return False
    return True


def _called(name, function, x):
    return function(get(namespace(x), name), x)


def _agrees(what, f, x, plain):
    out, pullback = nnx.vjp(f, x)
    (g,) = pullback(out)
    for a, b in zip(flatten(plain)[0], flatten(out)[0], strict=True):
        assert tuple(a.shape) == tuple(b.shape), what
        assert a.dtype == b.dtype, what
        np.testing.assert_allclose(to_numpy(b), to_numpy(a), rtol=1e-12, err_msg=what)
    assert tuple(g.shape) == tuple(x.shape), what
    assert g.dtype == x.dtype, what


@walk("name", [n for n in STANDARD if n in CONSTANTS])
def test_constants_carry_no_gradient(name, backend):
    found = 0
    for data in ([[0.5, -1.5], [2.0, 2.5]], [0.5, 1.5], 1.5, [True, False], [1, 2], np.zeros((0, 2))):
        x = backend.asarray(np.asarray(data))
        for function in CALLS.values():
            if not _knows(get(array_api_strict, name), function, np.asarray(data)):
                continue
            try:
                plain = function(get(backend.xp, name), x)
            except Exception:  # the matrix runs array-api-strict without data-dependent shapes
                continue
            found += 1
            answer = function(get(space_of(x), name), _traced(x))
            for a, b in zip(flatten(plain)[0], flatten(answer)[0], strict=True):
                assert not is_traced(b)
                assert isinstance(b, Traced) == backend.adapter.takes_index_by_protocol
                np.testing.assert_array_equal(to_numpy(a), to_numpy(b))
    assert found or name == "nonzero"


@pytest.mark.parametrize("name", sorted(CREATION))
def test_what_makes_arrays_gives_constants_that_can_be_written_into(name, backend):
    like = backend.asarray([1.0, 2.0], dtype="float64")
    x = space_of(like)
    arguments = {
        "arange": (3,), "asarray": ([1.0, 2.0],), "eye": (2,), "from_dlpack": (like,), "full": ((2,), 1.0),
        "full_like": (like, 1.0), "linspace": (0.0, 1.0, 3), "fft.fftfreq": (3,), "fft.rfftfreq": (3,),
    }  # fmt: skip
    made = get(x, name)(*arguments.get(name, (like,) if name.endswith("_like") else ((2,),)))
    assert isinstance(made, Traced)
    assert made.tracer is CONSTANT
    if name == "from_dlpack":  # it shares the memory of an array that is not to be written to
        with pytest.raises(DerivativeError, match="copy=True"):
            made[...] = 0
        return
    made[...] = 0
    assert not np.any(to_numpy(nnx.autodiff.array.raw(made)))


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_refusals_name_the_function_and_the_reason(name, backend):
    x = _traced(backend.asarray([[1.0, 2.0], [3.0, 4.0]]))
    with pytest.raises(DerivativeError) as error:
        get(x.space, name)(x)
    assert f"xp.{name} cannot be part of a function that is being differentiated" in str(error.value)
    assert REFUSED[name] in str(error.value)


# -- the array object ------------------------------------------------------------------------------------


def test_a_traced_array_has_every_attribute_of_the_standards_array(backend):
    x = _traced(backend.asarray([[1.0, 2.0], [3.0, 4.0]]))
    standard = array_api_strict.zeros(1)
    of_object = {*dir(object), "__weakref__", "__slots__", "__module__", "__annotations__", "__buffer__"}
    for name in set(dir(standard)) - of_object:
        if not name.startswith("_") or name.startswith("__"):
            assert hasattr(type(x), name), name
    raw = backend.asarray([[1.0, 2.0], [3.0, 4.0]])
    assert (x.dtype, x.ndim, x.size, x.shape) == (raw.dtype, 2, 4, tuple(raw.shape))
    assert x.device == nnx.backend.device_of(raw)


def test_the_namespace_is_asked_for_by_version():
    x = _traced(np.ones(2))
    assert x.__array_namespace__(api_version="2022.12") is x.space
    for version in ("1999.12", "3000.12"):
        with pytest.raises(ValueError, match=version):
            x.__array_namespace__(api_version=version)


@pytest.mark.parametrize("sign", ["&", "|", "^", "<<", ">>"])
def test_bits_carry_no_gradient(sign, backend):
    a, b = backend.asarray([6, 5], dtype="int64"), backend.asarray([1, 2], dtype="int64")
    xp = space_of(a)
    one, two = xp.asarray(a, copy=True), xp.asarray(b)
    expected = eval(f"a {sign} b", {"a": to_numpy(a), "b": to_numpy(b)})
    for left, right in ((one, two), (one, b), (a, two)):
        got = eval(f"a {sign} b", {"a": left, "b": right})
        assert not is_traced(got)
        np.testing.assert_array_equal(to_numpy(got), expected)
    np.testing.assert_array_equal(
        to_numpy(eval(f"3 {sign} b", {"b": two})), eval(f"3 {sign} b", {"b": to_numpy(b)})
    )
    here = {"a": one, "b": two}
    exec(f"a {sign}= b", here)
    assert here["a"] is one
    np.testing.assert_array_equal(to_numpy(nnx.stop_gradient(one)), expected)
    np.testing.assert_array_equal(to_numpy(~two), [-2, -3])


def test_a_list_of_traced_arrays_and_numbers(backend):
    x = backend.asarray([2.0, 3.0], dtype="float32")

    def f(x):
        xp = namespace(x)
        m = xp.asarray([[x[0], 1.0], [2, x[1]]])
        assert m.dtype == x.dtype
        assert m.device == x.device
        return xp.sum(m * m)

    np.testing.assert_array_equal(to_numpy(nnx.grad(f)(x)), [4.0, 6.0])


def test_asarray_gives_the_array_itself_or_a_copy(backend):
    xp = space_of(backend.asarray([1.0]))
    x = _traced(backend.asarray([1.0, 2.0], dtype="float32"))
    assert xp.asarray(x) is x
    assert xp.asarray(x, copy=False) is x
    assert xp.from_dlpack(x) is x
    assert xp.asarray(x, copy=True) is not x
    assert xp.asarray(x, dtype=xp.float64).dtype == xp.float64
    with pytest.raises(ValueError, match="copy=False"):
        xp.asarray(x, dtype=xp.float64, copy=False)
    with pytest.raises(ValueError, match="copy=False"):
        xp.asarray([x[0], 1.0], copy=False)
    with pytest.raises(DerivativeError, match="from_dlpack"):
        np.from_dlpack(x)


def test_a_move_to_another_device_is_differentiated(backend):
    x = backend.asarray([1.0, 2.0], dtype="float64")
    there = array_api_strict.Device("device2") if backend.name == "array_api_strict" else x.device

    def f(x):
        y = x.to_device(there)
        z = namespace(x).astype(y, y.dtype, device=x.device)
        assert (y.device, z.device) == (there, x.device)
        return namespace(x).sum((y * y).to_device(x.device) * z)

    np.testing.assert_allclose(to_numpy(nnx.grad(f)(x)), [3.0, 12.0])
    if hasattr(x, "to_device"):  # torch's own arrays lack it
        nnx.check_derivatives(f, x)


def test_boolean_masks_choose(backend):
    if backend.name == "array_api_strict":
        pytest.skip("the matrix runs it without boolean indices")
    x = backend.asarray([[1.0, -2.0], [-3.0, 4.0]], dtype="float64")

    def f(x):
        return namespace(x).sum(x[x > 0] ** 3) + namespace(x).sum(x[x[:, 0] < 0] ** 2)

    nnx.check_derivatives(f, x)
    np.testing.assert_allclose(to_numpy(nnx.grad(f)(x)), [[3.0, 0.0], [-6.0, 48.0 + 8.0]])
    nothing = nnx.grad(lambda x: namespace(x).sum(x[x > 9.0]))(x)
    np.testing.assert_array_equal(to_numpy(nothing), np.zeros((2, 2)))


def test_indices_out_of_range_are_errors(backend):
    x = backend.asarray([1.0, 2.0], dtype="float64")
    far = backend.asarray([5], dtype="int64")
    for wrong in (lambda x: namespace(x).take(x, far), lambda x: x[7], lambda x: namespace(x).unstack(x)[2]):
        with pytest.raises((IndexError, RuntimeError)):
            nnx.jacobian(wrong)(x)


@pytest.mark.parametrize("name", ["diff", "unstack", "sort", "cumulative_sum"])
@pytest.mark.parametrize("axis", [2, -3])
def test_an_axis_that_is_none_is_an_error(name, axis, backend):
    x = backend.asarray(np.ones((2, 3)), dtype="float64")
    with pytest.raises(IndexError):
        nnx.jvp(lambda x: getattr(namespace(x), name)(x, axis=axis), (x,), (x,))


def test_constants_follow_what_is_written_into_them(backend):
    """A view of a constant is no longer one when its array takes in something that is differentiated."""

    def f(x):
        xp = namespace(x)
        out = xp.zeros_like(x)
        part, same = out[1:], xp.astype(out, out.dtype, copy=False)
        out[...] = x * x
        assert same is out
        return xp.sum(xp.clip(part, -100.0, 100.0))

    np.testing.assert_array_equal(to_numpy(nnx.grad(f)(backend.asarray([1.0, 2.0, 3.0]))), [0.0, 4.0, 6.0])


def test_a_view_that_is_returned_is_up_to_date():
    def f(x):
        out = np.zeros_like(x)
        part = out[:2]
        out[...] = x * x
        return part

    np.testing.assert_array_equal(nnx.jacobian(f)(np.asarray([1.0, 2.0, 3.0])), [[2, 0, 0], [0, 4, 0]])
