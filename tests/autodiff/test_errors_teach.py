"""Misuse works or is explained: an error names who was called, with what, why not, and the way round."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest

import nnx
from nnx.backend import namespace
from nnx.errors import DerivativeError, ShapeError

X = np.asarray([0.3, 1.2, 2.1])
ONE = np.asarray(2.0)


def _ufunc(function, nin, **rule):
    made = np.frompyfunc(function, nin, 1)
    nnx.register_ufunc(made, **rule)
    return made


CUBE = _ufunc(lambda x: x**3, 1, derivative=lambda xp, x, y: 3.0 * x * x)
PRODUCT = _ufunc(
    lambda a, b: a * b * b, 2, reverse=lambda xp, g, needs, y, a, b: (g * b * b, 2.0 * g * a * b)
)


def custom(body=lambda x: x * x, **rule):
    return nnx.custom_derivative(**(rule or {"derivative": lambda xp, x, y: 2.0 * x}))(body)


def root(solver, condition=lambda x, a: x * x - a):
    return nnx.implicit(root=condition)(solver)


def grads(f, x=X, **options):
    return lambda: nnx.grad(f, **options)(x)


def samples(f, w=ONE, data=X, *, stacked=True, jacobian=False):
    made = nnx.per_sample_jacobian if jacobian else nnx.per_sample_grad
    return lambda: made(f, stacked=stacked)(w, data)


#: What is done → the error, and words that its message must hold in this order.
TAUGHT = {
    # plain numbers are asked for: the user's own expression is named
    "np.sum of a list": (grads(lambda x: np.sum([x[0], x[1]])), DerivativeError, r"np\.sum\(\[x\[0\].*stack"),
    "np.max of a list": (grads(lambda x: np.max([x[0], 1.0])), DerivativeError, r"np\.max\(\[x.*np\.stack"),
    "np.exp of a list": (grads(lambda x: np.exp([x[0]])[0]), DerivativeError, r"np\.exp\(\[x\[0\]\]\)"),
    "np.array": (grads(lambda x: np.array([x, x])), DerivativeError, r"`np\.array\(\[x, x\]\)`"),
    "plain.dot": (grads(lambda x: X.dot(x)), DerivativeError, r"`X\.dot\(x\)` .*plain @ x"),
    "math.sin": (grads(lambda x: math.sin(x[0])), DerivativeError, r"math\.sin\(x\[0\]\).*float"),
    "pickle": (grads(lambda x: pickle.dumps(x)), DerivativeError, r"pickle\.dumps\(x\).*stop_gradient"),
    "a number as text": (grads(lambda x: float(f"{x[0]:.3f}")), DerivativeError, "formatted as text"),
    "an integer of a text": (grads(lambda x: int(f"{x[0]:.0f}")), DerivativeError, "formatted as text"),
    "a truth value": (grads(lambda x: np.allclose(x, 1.0)), DerivativeError, "^grad .*got bool.*jumps"),
    "one comparison": (grads(lambda x: x[0] > 1.0), DerivativeError, "^grad .*got bool.*jumps"),
    "an integer": (grads(lambda x: np.argmax(x)), DerivativeError, "^grad .*got int64.*jumps"),
    "a count": (grads(lambda x: np.sum(x > 1.0)), DerivativeError, "^grad .*got int64.*jumps"),
    "a rounded number": (grads(lambda x: round(x[0])), DerivativeError, "^grad .*got int: .*jumps"),
    "jacobian of an index": (lambda: nnx.jacobian(np.argsort)(X), DerivativeError, "^jacobian .*int64"),
    "hessian of a truth value": (lambda: nnx.hessian(np.any)(X), DerivativeError, "^hessian .*bool"),
    "round of an array": (grads(lambda x: round(x)), TypeError, r"round.*\(3,\).*xp\.round"),
    "x.imag = of real numbers": (grads(lambda x: setattr(x, "imag", x)), TypeError, "imag.*complex"),
    # axes
    "np.diff of a number": (grads(np.diff, 2.0), ShapeError, r"np\.diff: axis -1 .*0 dim.*atleast_1d"),
    "np.diff": (grads(lambda x: np.diff(x, axis=5)), ShapeError, r"np\.diff: axis 5 .*1 dimension"),
    "np.take": (grads(lambda x: np.take(x, [0], axis=2)), ShapeError, r"np\.take: axis 2"),
    "np.trapezoid": (grads(lambda x: trapezoid(x), 2.0), ShapeError, r"np\.trapezoid: axis -1"),
    "np.diagonal": (grads(lambda x: np.diagonal(x)), ShapeError, r"np\.diagonal.*two dimensions, got 1"),
    "np.hypot.reduce": (grads(lambda x: np.hypot.reduce(x, axis=1)), ShapeError, r"hypot\.reduce: axis 1"),
    "xp.cumulative_prod": (
        grads(lambda x: namespace(x).cumulative_prod(x, axis=0), 2.0), ShapeError, "cumulative_prod.*reshape",
    ),
    # argnums, arguments, functions
    "argnums='x'": (lambda: nnx.grad(np.sum, argnums="x"), DerivativeError, "nnx.grad: argnums .* str 'x'"),
    "argnums=None": (lambda: nnx.jacobian(np.sum, argnums=None), DerivativeError, "nnx.jacobian: argnums"),
    "grad(f, x)": (lambda: nnx.grad(np.sum, X), DerivativeError, r"argnums.*ndarray.*nnx\.grad\(f\)\(x\)"),
    "argnums twice": (grads(lambda x: x, argnums=(0, -1)), DerivativeError, "argument twice"),
    "argnums too large": (lambda: nnx.hessian(np.sum, 2)(X), DerivativeError, "nnx.hessian: argnums=2"),
    "by name": (lambda: nnx.grad(lambda x: x)(x=1.0), DerivativeError, "0 arguments by position.*by name"),
    "None": (grads(lambda x: 1.0, None), DerivativeError, "nnx.grad: argument 0.*None"),
    "grad(f(x))": (lambda: nnx.grad(np.sum(X)), DerivativeError, "function, got float64"),
    "jacobian(f(x))": (lambda: nnx.jacobian(X), DerivativeError, "function, got ndarray"),
    # the transform that was called is the one that is named
    "jacobian of integers": (lambda: nnx.jacobian(np.sin)(np.arange(3)), DerivativeError, "^jacobian needs"),
    "hvp of integers": (lambda: nnx.hvp(np.sum, np.arange(3), X), DerivativeError, "^hvp needs"),
    "hessian of a vector": (lambda: nnx.hessian(np.sin)(X), DerivativeError, r"^hessian .*number.*\(3,\)"),
    "hvp of a vector": (lambda: nnx.hvp(np.sin, X, X), DerivativeError, "^hvp .*one number"),
    "jacobian of a string": (lambda: nnx.jacobian(lambda x: "a")(X), DerivativeError, "^jacobian .*got str"),
    "samples of integers": (samples(np.multiply, np.asarray(2)), DerivativeError, "^per_sample_grad needs"),
    "one sample of integers": (
        samples(np.multiply, np.asarray(2), stacked=False), DerivativeError, "^per_sample_grad needs",
    ),
    # structures
    "jvp without tuples": (lambda: nnx.jvp(np.sin, X, X), DerivativeError, r"two tuples.*\(x,\), \(v,\)"),
    "jvp with a tangent too few": (
        lambda: nnx.jvp(np.add, (X, X), (X,)), ShapeError, "jvp: tangents has a tuple of 1 .*of 2",
    ),
    "jvp with another dict": (
        lambda: nnx.jvp(lambda p: p["a"], ({"a": X},), ({"b": X},)), ShapeError, r"tangents\[0\].*'b'.*'a'",
    ),
    "jvp with None": (lambda: nnx.jvp(np.sin, (X,), (None,)), ShapeError, r"tangents\[0\] has None"),
    "hvp of another shape": (lambda: nnx.hvp(np.sum, X, np.ones(2)), ShapeError, r"^hvp: .*\(2,\).*\(3,\)"),
    "pullback": (
        lambda: nnx.vjp(lambda x: {"a": x}, X)[1](X), ShapeError, "vjp: the cotangent .*ndarray.*dict of 'a'",
    ),
    "pullback of None": (lambda: nnx.vjp(np.sin, X)[1](None), ShapeError, "has None where an array belongs"),
    # rules of one's own
    "keyword array": (grads(lambda x: np.sum(custom()(x=x))), DerivativeError, "by position.*x= holds"),
    "array in a container": (
        grads(lambda x: np.sum(custom(lambda p: p["a"])({"a": x}))), DerivativeError, "argument 0, a dict",
    ),
    "body returns a tuple": (
        grads(lambda x: custom(lambda x: (x, x))(x)), DerivativeError, "one array, got tuple.*xp.stack",
    ),
    "derivative returns a tuple": (
        grads(lambda x: np.sum(custom(derivative=lambda xp, x, y: (x,))(x))), DerivativeError,
        r"derivative= .*\(3,\), got tuple",
    ),
    "derivative of another shape": (
        grads(lambda x: np.sum(custom(derivative=lambda xp, x, y: xp.ones((2,)))(x))), DerivativeError,
        r"derivative= .*\(3,\), got \(2,\)",
    ),
    "forward returns a tuple": (
        lambda: nnx.jvp(custom(forward=lambda xp, d, y, x: (d[0],)), (X,), (X,)), DerivativeError,
        "forward= .*got tuple",
    ),
    "no rule": (lambda: nnx.custom_derivative(np.sin), DerivativeError, "without a rule.*derivative="),
    # implicit functions
    "no condition": (lambda: nnx.implicit(np.sqrt), DerivativeError, "without a condition.*root="),
    "implicit by name": (grads(lambda x: np.sum(root(np.sqrt)(a=x))), DerivativeError, "by position.*got a"),
    "implicit dict": (grads(lambda x: root(lambda a: {"x": a})(x)), DerivativeError, "one array, got dict"),
    "condition of None": (
        grads(lambda x: np.sum(root(np.sqrt, lambda x, a: None)(x))), ShapeError, r"\(3,\), got NoneType",
    ),
    "cost of a vector": (
        grads(lambda x: np.sum(nnx.implicit(minimum=lambda x, a: (x - a) ** 2)(np.copy)(x))), DerivativeError,
        "implicit with minimum= needs .* one number",
    ),
    # samples
    "data in a list": (samples(np.multiply, data=[1.0, 2.0]), ShapeError, "per_sample_grad: .*got a float"),
    "data without axes": (samples(np.multiply, data=ONE), ShapeError, "without dimensions.*closure"),
    "a number for n losses": (samples(lambda w, x: 1.0), DerivativeError, "stacked=True.*got float"),
    "complex losses": (samples(lambda w, x: 1j * w * x), DerivativeError, "real numbers, got complex"),
    "complex outputs": (
        samples(lambda w, x: (1j * w * x)[:, None], jacobian=True), DerivativeError,
        "per_sample_jacobian.*got complex",
    ),
    # ufuncs of others
    "at of a ufunc": (
        grads(lambda x: PRODUCT.at(x, 0, 1.0)), DerivativeError, r"^<lambda> \(vectorized\)\.at",
    ),
    "where of a ufunc": (
        grads(lambda x: np.sum(CUBE(x, where=x > 1.0))), DerivativeError, r"where=.*mask, <lambda>",
    ),
}  # fmt: skip


def trapezoid(x):
    return getattr(np, "trapezoid", getattr(np, "trapz", None))(x)


@pytest.mark.parametrize("case", TAUGHT)
def test_the_error_teaches(case):
    call, error, words = TAUGHT[case]
    with pytest.raises(error, match=f"(?s){words}"):
        call()


@pytest.mark.parametrize("name", "sum mean exp reshape clone view detach softmax item foo".split())
def test_methods_of_a_tensor_are_explained(name):
    torch = pytest.importorskip("torch")
    words = {
        "sum": r"xp\.sum\(x\) or np\.sum\(x\)", "exp": r"xp\.exp\(x\) or np\.exp\(x\)", "clone": "copy=True",
        "view": r"xp\.reshape", "detach": "stop_gradient", "softmax": "activations", "item": "standard",
    }  # fmt: skip
    with pytest.raises(AttributeError, match=f"{name!r}.*{words.get(name, '')}"):
        nnx.grad(lambda x: getattr(x, name)())(torch.ones(3, dtype=torch.float64))


def test_formatting_shows_numbers():
    def shown(x):
        assert f"loss {x:6.2f}" == "loss   1.50"
        assert f"{x > 1.0}" == "True"
        return x

    nnx.grad(shown)(1.5)


def written(write, x, y=None):
    """``x`` after ``write`` has changed (a copy of) it."""
    target = np.positive(x) * 1.0
    write(target, x if y is None else y)
    return target


def _times_two(name):
    def write(a, x):
        setattr(a, name, getattr(a, name) * x)

    return write


def _real_part(a, x):
    a.real *= x


LONG = np.linspace(0.5, 2.0, 300)
LAST = np.asarray([-1, 0, 5], dtype=np.int8)

#: Functions of one real array that NumPy knows: their values and derivatives must be NumPy's.
WORKING = {
    "cumprod of a number": lambda x: np.cumprod(x[0], axis=0),
    "cumsum of a number": lambda x: np.cumsum(x[0], axis=-1),
    "repeat of a number": lambda x: np.repeat(x[0], 3, axis=0),
    "take of a number": lambda x: np.take(x[0], [0, 0], axis=0),
    "reduce of a number": lambda x: np.hypot.reduce(x[0]),
    "list @ x": lambda x: [1.0, 2.0, 3.0] @ x,
    "x @ list": lambda x: x @ [1.0, 2.0, 3.0],
    "x @ tuple": lambda x: x @ (1.0, 2.0, 3.0),
    "x ** tuple": lambda x: x ** (1.0, 2.0, 0.5),
    "tuple ** x": lambda x: (1.0, 2.0, 0.5) ** x,
    "divmod(x, 2)": lambda x: divmod(x, 2.0)[1] * divmod(7.0, x)[1],
    "copy": lambda x: written(lambda a, x: a.__iadd__(x), x) * copy.copy(x),
    "deepcopy": lambda x: copy.deepcopy({"a": [x, x * x]})["a"][1],
    "a copy does not follow": lambda x: _kept(x),
    "a.real *=": lambda x: abs(written(_real_part, x * (1.0 + 2.0j), x)) ** 2,
    "a.real *= of real numbers": lambda x: written(_real_part, x),
    "a.imag =": lambda x: abs(written(_times_two("imag"), x * (1.0 + 2.0j), x)) ** 2,
    "a.flat = number": lambda x: written(lambda a, x: setattr(a, "flat", x[0]), x) * x,
    "a.flat = values": lambda x: written(lambda a, x: setattr(a, "flat", x * x), np.outer(x, x), x),
    "a.T.flat = values": lambda x: written(lambda a, x: setattr(a.T, "flat", x), np.outer(x, x)[:, :2], x),
    "fill_diagonal, short": lambda x: written(lambda a, x: np.fill_diagonal(a, x[:2]), np.outer(x, x), x),
    "put, short": lambda x: written(lambda a, x: np.put(a, [0, 4, 8], x[:2] ** 2), np.outer(x, x), x),
    "put, none": lambda x: written(lambda a, x: np.put(a, [0], x[:0]), x),
    "putmask, short": lambda x: written(lambda a, x: np.putmask(a, a > 1.0, x[:2]), np.outer(x, x), x),
    "ufunc with broadcasting": lambda x: PRODUCT(x[:, None], x) * 1.0,
    "ufunc and number": lambda x: PRODUCT(x, 2.0) * 1.0,
    "ufunc.outer": lambda x: PRODUCT.outer(x, x) * 1.0,
    "ufunc.reduce": lambda x: np.sum(PRODUCT.reduce(x)),
    "ufunc.accumulate": lambda x: PRODUCT.accumulate(x) * 1.0,
}


def _kept(x):
    a = x * 1.0
    b = copy.copy(a)
    a[0] = 5.0
    return a * b


@pytest.mark.parametrize("case", WORKING)
def test_what_numpy_can_do_works(case):
    f = WORKING[case]
    plain = np.asarray(f(X), dtype=float)  # np.frompyfunc gives objects
    np.testing.assert_allclose(nnx.vjp(f, X)[0], plain, rtol=1e-15)
    nnx.check_derivatives(lambda x: f(x) if type(x) is nnx.autodiff.Traced else np.asarray(f(x), float), X)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.take(x, LAST),
        lambda x: np.take(x, LAST, mode="wrap"),
        lambda x: np.take(x, LAST, mode="clip"),
        lambda x: x[LAST],
        lambda x: np.take_along_axis(x, LAST, axis=0),
        lambda x: namespace(x).take(x, np.asarray([2, 0, 2], dtype=np.uint8)),
        lambda x: written(lambda a, x: np.put(a, LAST, x[:3] ** 2), x),
        lambda x: written(lambda a, x: np.put_along_axis(a, LAST, x[:3] ** 2, 0), x),
    ],
)
def test_small_integers_index_long_axes(f):
    value, pullback = nnx.vjp(f, LONG)
    np.testing.assert_array_equal(value, f(LONG))
    moved = nnx.jvp(f, (LONG,), (np.sin(LONG),))[1]  # reverse mode agrees with forward mode
    assert float(np.sum(pullback(value)[0] * np.sin(LONG))) == pytest.approx(float(np.sum(value * moved)))


def test_python_functions_of_a_number_that_is_differentiated():
    seen = []

    def f(x):
        seen.extend([round(x), round(x, 1), f"{x:.2f}", f"{x}"])
        return x * round(x)

    assert float(nnx.grad(f)(2.34)) == 2.0
    assert seen[:3] == [2, 2.3, "2.34"]
    assert seen[3].startswith("Traced(")


def test_the_jacobian_of_a_number_of_python_is_zero():
    j = nnx.jacobian(lambda x: {"a": 3.0, "b": 2.0 * x})(X)
    np.testing.assert_array_equal(j["a"], np.zeros(3))
    np.testing.assert_array_equal(j["b"], 2.0 * np.eye(3))


def test_hessian_of_containers_and_of_several_arguments():
    f = lambda p: np.sum(p["a"] ** 2) * p["b"]  # noqa: E731
    h = nnx.hessian(f)({"a": X, "b": 3.0})
    np.testing.assert_allclose(h["a"]["a"], 6.0 * np.eye(3))
    np.testing.assert_allclose(h["a"]["b"], 2.0 * X)
    np.testing.assert_allclose(h["b"]["a"], 2.0 * X)
    assert float(h["b"]["b"]) == 0.0
    (xx, xy), (yx, yy) = nnx.hessian(lambda x, y: np.sum(x * x) * y[0] * y[1], argnums=(0, -1))(X, X[:2])
    np.testing.assert_allclose(xx, 2.0 * np.eye(3) * X[0] * X[1])
    np.testing.assert_allclose(xy, np.outer(2.0 * X, X[1::-1]))
    np.testing.assert_allclose(yx, xy.T)
    np.testing.assert_allclose(yy, np.sum(X * X) * np.asarray([[0.0, 1.0], [1.0, 0.0]]))


def test_entries_of_dicts_are_found_by_their_keys():
    f = lambda p: p["a"] * p["b"] ** 2  # noqa: E731
    p, v = {"a": X, "b": 2.0 * X}, {"b": np.ones(3), "a": np.zeros(3)}
    np.testing.assert_allclose(nnx.jvp(f, (p,), (v,))[1], 4.0 * X**2)
    pullback = nnx.vjp(lambda x: {"a": x, "b": 3.0 * x}, X)[1]
    np.testing.assert_allclose(pullback({"b": X, "a": np.zeros(3)})[0], 3.0 * X)


def test_data_of_samples_may_be_nested_and_parameters_numbers():
    data = {"x": X, "y": X**2}
    one = nnx.per_sample_grad(lambda w, d: w * w * d["x"] + d["y"])(3.0, data)
    all_ = nnx.per_sample_grad(lambda w, d: w * w * d["x"] + d["y"], stacked=True)(3.0, data)
    np.testing.assert_allclose(one, 6.0 * X)
    np.testing.assert_allclose(all_, 6.0 * X)


def test_argnums_may_be_an_integer_of_numpy():
    assert float(nnx.grad(lambda x, y: x * y, argnums=np.int64(1))(2.0, 3.0)) == 2.0


def test_namespaces_that_do_not_mix_are_explained():
    compat = pytest.importorskip("array_api_compat")

    def f(w):
        data = X * 2.0
        return _cost(w, data)

    def _cost(w, data):
        xp = compat.array_namespace(w, data)
        return xp.sum(w * data)

    with pytest.raises(TypeError) as caught:
        nnx.grad(f)(X)
    assert "plain here: data" in caught.value.__notes__[0]
    assert "xp.asarray" in caught.value.__notes__[0]
