"""NumPy's functions on traced arrays: NumPy's values, true derivatives, no name forgotten."""

from __future__ import annotations

import re
import types

import numpy as np
import pytest
from autodiff.numpy_cases import CASES
from walks import walk

import nnx
from nnx.autodiff.numpy_api.names import CONSTANTS, REFUSED
from nnx.autodiff.numpy_api.protocol import name_of

# Rounding: sums in another order, polynomials instead of library functions.
_ROUNDING = {"float32": 2e-5, "float64": 1e-11}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@walk("case", CASES)
def test_value_and_dtype_are_numpys(case, dtype):
    arrays = case.arrays(dtype)
    plain = nnx.autodiff.flatten(case.function(*arrays))[0]
    traced = nnx.autodiff.flatten(nnx.vjp(case.function, *arrays)[0])[0]
    assert len(plain) == len(traced)
    for a, b in zip(plain, traced, strict=True):
        assert np.shape(a) == np.shape(b)
        assert np.asarray(a).dtype == np.asarray(b).dtype
        np.testing.assert_allclose(np.asarray(b), a, rtol=_ROUNDING[dtype], atol=_ROUNDING[dtype])


@walk("case", CASES)
def test_derivatives(case):
    nnx.check_derivatives(case.function, *case.arrays("float64"), rtol=1e-5, atol=1e-5)


# NumPy does not offer to others what creates arrays, reads files or works on types: these functions never see
# a traced array. The test below lets nothing else be absent.
_IN_PLACE = {"copyto", "put", "putmask", "put_along_axis", "fill_diagonal"}  # see test_numpy_writing.py


def _public():
    for prefix, module in (("", np), ("linalg.", np.linalg), ("fft.", np.fft)):
        for name in module.__all__:
            function = getattr(module, name)
            offered = isinstance(function, np.ufunc) or hasattr(function, "_implementation")
            if offered and not isinstance(function, type | types.ModuleType):
                yield prefix + name, function


def test_every_function_of_numpy_is_differentiated_constant_or_refused():
    used = {name for case in CASES for name in re.findall(r"np\.((?:linalg\.|fft\.)?\w+)", case.expression)}
    known = {name_of(function) for name, function in _public() if name in used}
    states = known | CONSTANTS.keys() | REFUSED.keys() | _IN_PLACE
    assert {name for name, function in _public() if name_of(function) not in states} == set()
    assert not known & REFUSED.keys()


X = np.asarray([[0.3, -1.2, 2.0], [1.1, 0.4, -0.7]])
_SECOND = np.asarray([[1.0, -1.2, 0.0], [1.1, 0.5, -0.7]])
_COMPARED = "greater greater_equal less less_equal equal not_equal logical_and logical_or logical_xor".split()
_ASKED = """
    isfinite isinf isnan signbit sign floor ceil trunc rint logical_not spacing
    all any argmax argmin argsort argwhere count_nonzero fix flatnonzero iscomplex iscomplexobj isneginf
    isposinf isreal isrealobj nanargmax nanargmin ndim nonzero round around shape size array_repr array_str
    array2string common_type min_scalar_type result_type
    """.split()


@pytest.mark.parametrize(
    ("name", "args"),
    [(name, ()) for name in _ASKED]
    + [
        (name, (_SECOND,))
        for name in (*_COMPARED, "allclose", "isclose", "array_equal", "array_equiv", "isin")
    ]
    + [
        ("argmax", (1,)),
        ("argsort", (0,)),
        ("argpartition", (1,)),
        ("floor_divide", (0.7,)),
        ("digitize", ([0, 1],)),
    ]
    + [("round", (1,)), ("all", (0,)), ("may_share_memory", (_SECOND,))],
)
def test_constants_are_numpys_own_plain_results(name, args):
    function = getattr(np, name)
    answers = []

    def f(x):
        answers.append(function(x, *args))
        return np.sum(x * x)

    nnx.grad(f)(X)
    plain = function(X, *args)
    assert type(answers[0]) is type(plain)
    np.testing.assert_equal(answers[0], plain)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_refusals_name_the_function(name):
    module = np.linalg if name.startswith("linalg.") else np
    short = name.rpartition(".")[2]
    function = getattr(module, short, None)
    if function is None or not (isinstance(function, np.ufunc) or hasattr(function, "_implementation")):
        pytest.skip("NumPy does not have it, or does not offer it")
    first_name = dict.fromkeys(("save", "savetxt", "savez", "savez_compressed"), ("x", 0))
    two = ("union1d", "intersect1d", "setdiff1d", "setxor1d", "histogram2d", "polydiv", "busday_offset")
    args = first_name | dict.fromkeys((*two, "busday_count"), (0, X)) | {"place": (0, X > 0, X)}

    def f(x):
        given = [x if type(a) is int and a == 0 else a for a in args.get(short, (0,))]
        return np.sum(function(*given))

    with pytest.raises(nnx.errors.DerivativeError, match=short):
        nnx.grad(f)(X)


def test_einsum_is_as_fast_as_products():
    # (batch, i, k) times (batch, k, j): 64 products of 64×64 matrices, not 64·64³ numbers in memory.
    a = np.ones((64, 64, 64))
    seen = nnx.vjp(lambda a: np.einsum("bik,bkj->bij", a, a), a)[0]
    np.testing.assert_allclose(seen, a @ a)
