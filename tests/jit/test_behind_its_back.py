"""Programs that change something behind a recording's back: an error or the new number, never the old one."""

from __future__ import annotations

import functools
import math
import os
import random
import sys
import threading
import time
import types

import numpy as np
import pytest
import scipy.optimize
from jit.test_programs import same_bits

import nnx
from nnx.errors import RecordingError

CASES = {}


def case(make):
    """``make`` gives a function, and what changes between two calls: an action, or other numbers (None)."""
    CASES[make.__name__] = make
    return make


NEGATIVE = "negative"
W = np.ones(3)
LR = 0.1
TABLE = {"a": 1.0}
LIST = [1.0, 2.0]


@case
def global_array_written():
    return (lambda x: x * W), (lambda: W.__setitem__(0, 7.0))


@case
def global_array_rebound():
    def ch():
        global W
        W = W + 1

    return (lambda x: x * W), ch


@case
def global_number():
    def ch():
        global LR
        LR += 1

    return (lambda x: x * LR), ch


@case
def reduced_outside():
    def ch():
        W[1] = 55

    return (lambda x: x * W.sum()), ch


@case
def branch_on_outside():
    def ch():
        W[0] = -99

    return (lambda x: x if W[0] > 0 else -x), ch


@case
def dict_item():
    return (lambda x: x * TABLE["a"]), (lambda: TABLE.__setitem__("a", TABLE["a"] + 1))


@case
def list_append():
    return (lambda x: x * sum(LIST)), (lambda: LIST.append(4.0))


@case
def list_item():
    return (lambda x: x * LIST[0]), (lambda: LIST.__setitem__(0, LIST[0] + 4.0))


@case
def closure_rebound():
    a = 2.0

    def f(x):
        return x * a

    def ch():
        nonlocal a
        a = 3.0

    return f, ch


@case
def closure_array():
    a = np.ones(3)
    return (lambda x: x + a), (lambda: a.fill(9.0))


class M:
    scale = 2.0

    def __init__(self):
        self.w = np.ones(3)
        self.n = 1
        self.inner = types.SimpleNamespace(w=np.ones(3), k=[np.ones(3)])

    def f(self, x):
        return x * self.w * self.n * self.scale + self.inner.w + self.inner.k[0]

    def __call__(self, x):
        return self.f(x)


@case
def attribute():
    m = M()
    return m.f, (lambda: setattr(m, "n", 5))


@case
def attribute_array():
    m = M()
    return m.f, (lambda: m.w.__setitem__(1, 8.0))


@case
def attribute_array_rebound():
    m = M()
    return m, (lambda: setattr(m, "w", np.zeros(3)))


@case
def deep_attribute():
    m = M()
    return m.f, (lambda: m.inner.k[0].__setitem__(1, 8.0))


@case
def deep_attribute2():
    m = M()
    return m, (lambda: setattr(m.inner, "w", np.arange(3.0)))


@case
def class_attribute():
    m = M()
    return m.f, (lambda: setattr(M, "scale", M.scale + 1))


@case
def method_replaced():
    m = M()
    return (lambda x: m.f(x)), (lambda: setattr(m, "f", lambda x: -x))


@case
def default_argument():
    def f(x, a=np.ones(3)):  # noqa: B008
        return x * a

    return f, (lambda: f.__defaults__[0].fill(4.0))


@case
def defaults_replaced():
    def f(x, a=1.0):
        return x * a

    return f, (lambda: setattr(f, "__defaults__", (3.0,)))


def helper(x):
    return x * 2


@case
def helper_replaced():
    def ch():
        global helper
        helper = lambda x: x * 30  # noqa: E731

    return (lambda x: helper(x)), ch


@case
def helper_of_helper():
    def g(x):
        return helper(x) * LR

    def ch():
        global LR
        LR = LR + 2

    return (lambda x: g(x)), ch


@case
def partial_array():
    a = np.ones(3)
    return functools.partial(lambda a, x: x + a, a), (lambda: a.fill(3.0))


@case
def numpy_random():
    return (lambda x: x + np.random.rand(3)), None


@case
def generator():
    r = np.random.default_rng(0)
    return (lambda x: x + r.normal(size=3)), None


@case
def python_random():
    return (lambda x: x + random.random()), None


@case
def counter():
    n = [0]

    def f(x):
        n[0] += 1
        return x * n[0]

    return f, None


@case
def attribute_counter():
    m = M()

    def f(x):
        m.n += 1
        return x * m.n

    return f, None


@case
def global_counter():
    def f(x):
        global LR
        LR += 1
        return x * LR

    return f, None


@case
def write_outside():
    a = np.zeros(3)

    def f(x):
        a[0] += 1
        return x + a

    return f, None


@case
def write_outside_recorded():
    a = np.zeros(3)

    def f(x):
        a[:] = x
        return x + a

    return f, None


@case
def iadd_outside():
    a = np.zeros(3)

    def f(x):
        b = a
        b += x
        return b

    return f, None


@case
def out_outside():
    a = np.zeros(3)
    return (lambda x: np.add(x, 1, out=a)), None


@case
def kept_and_used():
    kept = []

    def f(x):
        kept.append(x)
        return sum(kept)

    return f, None


@case
def branch():
    return (lambda x: x if x[0] > 0 else -x), None


@case
def to_float():
    return (lambda x: x * float(x[0])), None


@case
def to_item():
    return (lambda x: x * x[0].item()), None


@case
def to_list():
    return (lambda x: np.array(x.tolist())), None


@case
def math_sin():
    return (lambda x: x * math.sin(x[0])), None


@case
def data_dependent():
    return (lambda x: x[x > 1.5]), NEGATIVE


@case
def nonzero():
    return (lambda x: np.nonzero(x > 1.5)[0]), NEGATIVE


@case
def unique():
    return (lambda x: np.unique(np.round(x))), NEGATIVE


@case
def shape_used():
    return (lambda x: x * x[x > 1.5].shape[0]), NEGATIVE


@case
def while_loop():
    def f(x):
        while x.sum() < 100:
            x = x * 2
        return x

    return f, None


@case
def formatted():
    return (lambda x: x * float(f"{x[0]:.2f}")), None


@case
def np_array_of():
    return (lambda x: np.array([x[0], 2.0])), None


@case
def scipy_foreign():
    return (lambda x: scipy.optimize.nnls(np.eye(3), x)[0]), None


@case
def inner_plain_written_between():
    def f(x):
        b = np.zeros(3)
        y = x + b
        b[0] = 5.0
        z = x + b
        return y, z

    return f, None


@case
def iterator_outside():
    it = iter(range(100))
    return (lambda x: x * next(it)), None


@case
def clock():
    return (lambda x: x * 0 + time.time()), None


@case
def view_of_outside():
    a = np.zeros((2, 3))
    b = a[0]
    return (lambda x: x + b), (lambda: a.fill(7.0))


@case
def set_outside():
    s = {1.0, 2.0}
    return (lambda x: x * len(s)), (lambda: s.add(5.0))


@case
def module_attribute():
    m = types.ModuleType("a_module_of_the_user")
    m.k = 2.0
    sys.modules["a_module_of_the_user"] = m
    return (lambda x: x * m.k), (lambda: setattr(m, "k", 3.0))


@case
def np_errstate():
    return (lambda x: x * np.float64(1)), None


@case
def length_hint():
    return (lambda x: x * len(x)), None


@case
def is_none_cache():
    cache = {}

    def f(x):
        if "v" not in cache:
            cache["v"] = x.sum()
        return x * cache["v"]

    return f, None


@case
def lru():
    @functools.lru_cache
    def k(n):
        return np.ones(n) * LR

    def ch():
        global LR
        LR = LR + 3
        k.cache_clear()

    return (lambda x: x * k(3)), ch


REFUSED = """
numpy_random generator python_random counter attribute_counter global_counter write_outside
write_outside_recorded iadd_outside out_outside kept_and_used branch to_float to_item to_list math_sin
data_dependent nonzero shape_used while_loop formatted np_array_of scipy_foreign iterator_outside clock
is_none_cache
""".split()


@pytest.mark.parametrize("name", CASES)
def test_never_a_number_of_yesterday(name):
    function, change = CASES[name]()
    jitted, x = nnx.jit(function), np.asarray([1.0, 2.0, 3.0])

    def calls():
        for _ in range(2):
            same_bits(jitted(x.copy()), function(x.copy()))
        if callable(change):
            change()
        y = -x if change is NEGATIVE else x + 1.0
        same_bits(jitted(y.copy()), function(y.copy()))

    if name in REFUSED:
        with pytest.raises(RecordingError):
            calls()
    else:
        calls()


def test_files_and_the_environment_are_not_read():
    for function in (lambda x: x * len(open("x").read()), lambda x: x * len(os.environ)):  # noqa: SIM115
        with pytest.raises(RecordingError, match=r"outside, and give"):
            nnx.jit(function)(np.ones(2))


def test_more_than_can_be_compared_is_refused():
    data = [[k] for k in range(10_001)]
    with pytest.raises(RecordingError, match=r"more than 10000 objects from outside of it, data"):
        nnx.jit(lambda x: x * len(data))(np.ones(2))


def test_other_threads_go_on_while_one_records():
    def cost(x):
        for _ in range(300):
            x = np.tanh(x) + 0.5 * x
        return np.sum(x * x)

    found, points = [], np.ones(3)
    thread = threading.Thread(target=lambda: found.append(nnx.jit(nnx.grad(cost))(points)))
    thread.start()
    others = 0
    while thread.is_alive() or not others:
        here = nnx.grad(lambda x: np.sum(np.exp(x) * np.concatenate([x[:1], x[1:]])))(points)
        np.testing.assert_allclose(here, 2.0 * np.e * points, rtol=1e-15)
        others += 1
    thread.join()
    np.testing.assert_array_equal(found[0], nnx.grad(cost)(points))


def test_arrays_do_not_outlive_the_recording():
    kept = []

    def function(x):
        kept.append(x)
        return x

    with pytest.raises(RecordingError, match=r"changes what is outside of it: kept"):
        nnx.jit(function)(np.ones(2))
    with pytest.raises(RecordingError, match=r"after the function had returned"):
        _ = kept[0] + 1.0
    with pytest.raises(RecordingError, match=r"another function under nnx.jit"):
        nnx.jit(lambda y: y + kept[0])(np.ones(2))


def test_numbers_are_taken_by_value_and_at_last_not_at_all():
    @nnx.jit
    def scaled(x, k):
        return x * k

    x = np.ones(2)
    for k in range(64):
        np.testing.assert_array_equal(scaled(x, k), x * k)
    with pytest.warns(RuntimeWarning, match=r"recorded scaled 64 times.*Give what changes as an array"):
        np.testing.assert_array_equal(scaled(x, 64), x * 64)
    np.testing.assert_array_equal(scaled(x, 65), x * 65)


def test_one_equal_to_true_and_minus_zero_are_other_numbers():
    times = nnx.jit(lambda x, k: x * k)
    x = np.ones(2)
    for k in (1, True, 1.0, 0.0, -0.0):
        same_bits(times(x, k), x * k)


def test_static_arguments():
    @functools.partial(nnx.jit, static_argnums=1, static_argnames="axis")
    def total(x, shape, axis=None):
        return x.reshape(shape).sum(axis=axis)

    x = np.arange(6.0)
    for shape, axis in (((2, 3), 0), ((3, 2), (0, 1)), ((2, 3), 1)):
        same_bits(total(x, shape, axis=axis), x.reshape(shape).sum(axis=axis))
    with pytest.raises(RecordingError, match=r"a set: not an array, and not hashable"):
        nnx.jit(lambda x, s: x)(x, {1})


def test_methods_and_their_objects():
    class Model:
        def __init__(self):
            self.w = np.ones(3)

        @nnx.jit
        def loss(self, x):
            return np.sum(self.w * x)

    one, two, x = Model(), Model(), np.arange(3.0)
    two.w = 2.0 * two.w
    for model in (one, two, one):
        assert model.loss(x) == np.sum(model.w * x)
    one.w[1] = 7.0
    assert one.loss(x) == np.sum(one.w * x)


def test_errors_of_the_function_are_its_own():
    with pytest.raises(ValueError, match=r"not aligned|mismatch"):
        nnx.jit(lambda x: x @ np.ones((2, 2)))(np.ones(3))
