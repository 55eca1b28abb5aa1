"""Arguments that look alike, writes that are easily overlooked, results of other shapes."""
# ruff: noqa: B008 (defaults are one of the ways in which a function reads what is outside)

from __future__ import annotations

import dataclasses
import functools
import io
import threading
from typing import Any

import numpy as np
import pytest
from jit.test_programs import same_bits
from walks import walk

import nnx
from nnx.errors import RecordingError

X, Y = (1.0, 2.0, 3.0), (4.0, 5.0, 6.0)


def array(*numbers):
    return np.asarray(numbers or X)


def read_only():
    x = array()
    x.flags.writeable = False
    return x


def twice():
    x = array()
    return x, x


@dataclasses.dataclass
class Pair:
    a: Any
    b: Any


ALIKE = {
    "lists of another length in a dataclass": (
        lambda p: 10.0 * sum(p.a) + sum(p.b),
        lambda: [Pair([array()], [array(), array()])],
        lambda: [Pair([array(), array()], [array()])],
    ),
    "None in a dataclass": (
        lambda p: p.b * 2.0 if p.a is None else p.a * 3.0,
        lambda: [Pair(array(), None)],
        lambda: [Pair(None, array())],
    ),
    "one array given twice": (
        lambda x, y: x * 2.0 if x is y else x * 3.0,
        lambda: [array(), array()],
        twice,
    ),
    "types": (lambda x, t: x.astype(t), lambda: [array(), np.float32], lambda: [array(), np.float64]),
    "a class of arrays": (
        lambda x, t: x * 2.0 if t is np.ndarray else x,
        lambda: [array(), np.ndarray],
        lambda: [array(), np.matrix],
    ),
    "frozen sets": (
        lambda x, s: x * min(s),
        lambda: [np.arange(3), frozenset([2])],
        lambda: [np.arange(3), frozenset([2.0])],
    ),
    "keys of dictionaries": (
        lambda d: d[1] * float(type(*d) is bool),
        lambda: [{1: array()}],
        lambda: [{True: array()}],
    ),
    "an array and its class": (
        lambda x: x * 2.0 if isinstance(x, np.ndarray) else x * 3.0,
        lambda: [array()],
        lambda: [np.float64(2.0)],
    ),
    "a scalar": (
        lambda x: x * 2.0 if np.isscalar(x) else x,
        lambda: [np.float64(2.0)],
        lambda: [np.asarray(2.0)],
    ),
    "byte orders": (lambda x: x * 2.0, lambda: [array().astype(">f8")], lambda: [array()]),
    "an order of entries": (
        lambda x: x * 2.0 if x.flags.c_contiguous and x.flags["C_CONTIGUOUS"] else x,
        lambda: [np.ones((2, 3))],
        lambda: [np.ones((3, 2)).T],
    ),
    "read-only arguments": (
        lambda x: (x * 2.0, nnx.vjp(np.sin, x)[1](x)),
        lambda: [array()],
        lambda: [read_only()],
    ),
    "masks": (
        lambda x: x * 2.0,
        lambda: [np.ma.array(X, mask=[0, 1, 0])],
        lambda: [np.ma.array(X, mask=[1, 0, 0])],
    ),
    "texts": (
        lambda s: np.stack([s[1], s[0]]),
        lambda: [np.asarray(["a", "b"])],
        lambda: [np.asarray(["c", "d"])],
    ),
}  # fmt: skip


@walk("name", ALIKE)
def test_arguments_that_look_alike(name):
    function, *makers = ALIKE[name]
    for order in (makers, makers[::-1]):
        jitted = nnx.jit(function)
        for make in (*order, *order):
            same_bits(jitted(*make()), function(*make()))


def test_static_tuples_of_equal_numbers():
    times = nnx.jit(lambda x, s: np.copysign(x * s[0], s[1]), static_argnums=1)
    for pair in ((2, 0.0), (2.0, 0.0), (2, -0.0), (True, 0.0)):
        same_bits(times(np.arange(3), pair), np.copysign(np.arange(3) * pair[0], pair[1]))


def into(function):
    """A case that calls ``function(x, out)`` and uses what was written."""

    def f(x):
        y = np.zeros_like(x)
        function(x, y)
        return y * 2.0, x + 0.0

    return f


def into_itself(function):
    def f(x):
        function(x)
        return x

    return f


WRITING = {
    "nan_to_num": into_itself(lambda x: np.nan_to_num(x, copy=False)),
    "copyto, by name": into(lambda x, y: np.copyto(dst=y, src=x)),
    "put, by name": into(lambda x, y: np.put(a=y, ind=[0], v=[9.0])),
    "place, by name": into(lambda x, y: np.place(arr=y, mask=np.ones(3, bool), vals=[5.0])),
    "fill_diagonal, by name": into(lambda x, y: np.fill_diagonal(a=np.outer(x, y), val=3.0)),
    "put_along_axis": into_itself(lambda x: np.put_along_axis(x, np.asarray([0]), 9.0, 0)),
    "dot": into(lambda x, y: np.dot(np.outer(x, x), x, y)),
    "take": into(lambda x, y: np.take(x, [2, 1, 0], 0, y)),
    "sum": into(lambda x, y: np.sum(np.outer(x, x), 0, None, y)),
    "method sum": into(lambda x, y: np.outer(x, x).sum(0, None, y)),
    "method cumsum": into(lambda x, y: x.cumsum(0, None, y)),
    "clip": into_itself(lambda x: np.clip(x, 2.0, 2.5, x)),
    "method clip": into_itself(lambda x: x.clip(2.0, 2.5, x)),
    "round": into(lambda x, y: np.round(1.234 * x, 1, y)),
    "outer": into(lambda x, y: np.outer(x, x[:1], y.reshape(3, 1))),
    "median": into_itself(lambda x: np.median(x[::-1], overwrite_input=True)),
    "sort": into_itself(lambda x: x[::-1].sort()),
    "flat": into_itself(lambda x: x.flat.__setitem__(1, 7.0)),
    "ufunc.at": into_itself(lambda x: np.add.at(x, [0, 0], 1.0)),
    "divmod": into(lambda x, y: y.__iadd__(divmod(x, 2.0)[0] + divmod(7.0, x)[1])),
}


@walk("name", WRITING)
def test_a_write_that_is_easily_overlooked(name):
    jitted = nnx.jit(WRITING[name])
    for numbers in (X, X, Y, (np.nan, -1.0, 0.0)):
        one, other = np.asarray(numbers), np.asarray(numbers)
        with np.errstate(all="ignore"):
            same_bits(jitted(one), WRITING[name](other))
        np.testing.assert_array_equal(one, other)


def in_a_branch(x):
    try:
        if x[0] > 2.0:
            return x * 2.0
    except Exception:  # as somebody may write
        pass
    return x


def as_a_number(x):
    try:
        return x * float(x[0])
    except TypeError:
        return x


def of_a_factor(x):
    try:
        return np.linalg.cholesky(x * np.eye(3))
    except np.linalg.LinAlgError:
        return x


def with_a_key(d):
    d["more"] = d["x"] * 2.0
    return d["x"]


#: functions that give other answers, or do other things, for other numbers; and arguments that show it
REFUSED = {
    "flags": (lambda x: x if x.flags.writeable else -x, [array()]),
    "the owner of memory": (lambda x: x if x.base is None else -x, [array()]),
    "shared memory": (lambda x, y: x * np.shares_memory(x, y), twice()),
    "text of an array": (lambda x: x * len(np.array2string(x)), [array()]),
    "text of a number": (lambda x: str(x[0]), [array()]),
    "the smallest type": (lambda x: x * np.min_scalar_type(x).itemsize, [np.asarray(3)]),
    "a file": (lambda x: np.save(io.BytesIO(), x), [array()]),
    "an error of its own that is caught": (in_a_branch, [array()]),
    "a number that is asked for in vain": (as_a_number, [array()]),
    "a failure of the numbers that is caught": (of_a_factor, [array(-1.0, 1.0, 1.0)]),
    "another key in an argument": (with_a_key, [{"x": array()}]),
    "another array in an argument": (lambda d: d.__setitem__(0, d[0] + 1.0), [[array()]]),
    "a longer argument": (lambda d: d.append(d[0] + 1.0), [[array()]]),
    "positional out from outside": (lambda x, z=np.zeros(3): np.dot(np.eye(3) * x, x, z), [array()]),
}


@walk("name", REFUSED)
def test_what_no_program_can_do_is_refused(name):
    function, arguments = REFUSED[name]
    with pytest.raises(RecordingError):
        nnx.jit(function)(*arguments)


OWN = {
    "nonzero": (lambda x: x * np.nonzero(x > 1.5)[0].shape[0], X, Y),
    "method nonzero": (lambda x: x * len((x > 1.5).nonzero()[0]), X, Y),
    "where": (lambda x: x * len(np.where(x > 1.5)[0]), X, Y),
    "unique": (lambda x: x * np.unique(x, return_counts=True)[0].shape[0], X, (1.0, 1.0, 2.0)),
    "histogram": (
        lambda x: x.sum() * len(np.histogram(x, bins="auto")[0]),
        np.arange(50.0),
        np.arange(50.0) ** 9,
    ),
    "roots": (lambda x: x * np.roots(x).shape[0], X, (0.0, 1.0, 2.0)),
    "product of polynomials": (lambda x: x * np.polymul(x, x).shape[0], X, (0.0, 1.0, 2.0)),
    "least squares": (
        lambda a: a * len(np.linalg.lstsq(a, np.ones(4), rcond=None)[1]),
        np.arange(8.0).reshape(4, 2) ** 2,
        np.ones((4, 2)),
    ),
    "type of a root": (lambda x: x * np.emath.sqrt(x).dtype.itemsize, X, (-1.0, 2.0, 3.0)),
    "type of eigenvalues": (
        lambda a: a * np.linalg.eigvals(a).dtype.itemsize,
        np.diag([1.0, 2.0]),
        np.asarray([[0.0, -1.0], [1.0, 0.0]]),
    ),
    "type of the real part": (lambda z: z * np.real_if_close(z).dtype.itemsize, (1.0 + 0j, 2.0), (1j, 2.0)),
}  # fmt: skip


@walk("name", OWN)
def test_shapes_and_types_that_depend_on_numbers(name):
    function, before, after = OWN[name]
    jitted, before, after = nnx.jit(function), np.asarray(before), np.asarray(after)
    for _ in range(2):
        same_bits(jitted(before), function(before))
    with pytest.raises(RecordingError, match="depends on the numbers"):
        jitted(after)


RESULTS = {
    "two alike": lambda x: (np.sin(x), np.sin(x)),
    "product with ones": lambda x: np.ones(3) * x,
    "gradient that is an argument": nnx.grad(lambda x: np.sum(x * array())),
    "copies": lambda x: (x.copy(), +x, x + 0.0, x * 1.0, x.astype(float), x.flatten()),
    "views": lambda x: (x, x[1:], x.reshape(3, 1), x.T, x.real),
    "filled": lambda x: (np.zeros_like(x), np.zeros_like(x)[1:], np.ones_like(x).reshape(3, 1)),
    "one array twice": lambda x: (lambda c: (c, c))(np.arange(3.0)),
    "an array and its view": lambda x: (lambda c: (c, c[1:]))(x * 2.0),
    "gradients that are one": nnx.grad(lambda p: np.sum(p[0] + p[1])),
}


@walk("name", RESULTS)
def test_the_caller_may_write_into_results(name):
    """They share memory with each other and with the argument where those of the function do."""

    def used(f, x):
        results = nnx.autodiff.flatten(f((x, x + 1.0) if name == "gradients that are one" else x))[0]
        before = [np.copy(r) for r in results]
        for r in results:
            r += 1.0
        return before, results, x

    jitted = nnx.jit(RESULTS[name])
    for _ in range(3):
        same_bits(used(jitted, array()), used(RESULTS[name], array()))


def test_an_argument_that_is_read_from_outside_too():
    w = np.ones(3)

    def f(x):
        x += 1.0
        return x * w

    jitted = nnx.jit(f)
    same_bits(jitted(array()), f(array()))
    for _ in range(2):  # replayed, with an array that the program has as a constant as well
        w[:] = 1.0
        found = jitted(w)
        w[:] = 1.0
        same_bits(found, f(w))


@pytest.mark.parametrize("n", [3, 200_000])
def test_many_threads_call_one_program(n):
    """Each has its own numbers: also while another records, and where blocks are joined."""
    jitted = nnx.jit(nnx.grad(lambda x: np.sum(np.exp(-x * x) * x / (1.0 + x * x))))
    points = [np.linspace(0.0, 1.0 + k, n) for k in range(6)]
    found: dict[tuple[int, int], Any] = {}

    def calls(k):
        for j in range(4):
            found[k, j] = jitted(points[k])

    threads = [threading.Thread(target=functools.partial(calls, k)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    plain = nnx.grad(lambda x: np.sum(np.exp(-x * x) * x / (1.0 + x * x)))
    expected = [plain(x) for x in points]
    for (k, _), result in found.items():
        same_bits(result, expected[k])
    assert len(found) == 24


def test_a_call_after_an_error_in_the_middle_of_a_recording():
    fails = [True]

    def f(x):
        y = np.sin(x)
        if fails[0]:
            raise KeyError("in the middle")
        return y * 2.0

    jitted = nnx.jit(f)
    with pytest.raises(KeyError, match="in the middle"):
        jitted(array())
    fails[0] = False
    for _ in range(2):
        same_bits(jitted(array()), f(array()))


def test_recursion():
    @nnx.jit
    def power(x, n):
        return x if n == 1 else x * power(x, n - 1)

    for _ in range(2):
        same_bits(power(array(), 5), array() * (array() * (array() * (array() * array()))))
