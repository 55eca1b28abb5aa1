"""Derivatives of users' functions are recorded where nobody can tell, and computed as they are elsewhere."""

from __future__ import annotations

import collections
import functools
import itertools
import math
import random
import time
import types
import warnings

import numpy as np
import pytest
from walks import walk

import nnx
from nnx.jitting import guarded

T = np.linspace(0.1, 2.0, 12)
Y = 1.5 * np.exp(-0.7 * T) + 0.05 * np.cos(9.0 * T)
START = [1.0, 0.3]
#: whether they are recorded, the reason where not, and a function that makes them: by name
CASES = {}


def case(recorded, words=""):
    """``make`` gives the residuals; perhaps also a probe of what else they did, and a callback."""

    def register(make):
        CASES[make.__name__] = (recorded, words, make)
        return make

    return register


def decay(b, t=T, y=Y):
    return b[0] * np.exp(-b[1] * t) - y


# -- recorded -------------------------------------------------------------------------------------------


@case(True)
def plain():
    return (decay,)


@case(True)
def comprehension_and_local_list():
    def f(b):
        parts = []
        for k in range(3):
            parts.append(b[0] * np.exp(-b[1] * T[4 * k : 4 * k + 4]) - Y[4 * k : 4 * k + 4])
        return np.concatenate([part * 1.0 for part in parts])

    return (f,)


@case(True)
def local_array_that_is_written():
    def f(b):
        r = np.zeros_like(b[0] * T)
        r[...] = decay(b)
        r *= 2.0
        return r

    return (f,)


@case(True)
def method_of_a_plain_object():
    class Model:
        scale = 2.0

        def __init__(self):
            self.rate = 1.0

        def __call__(self, b):
            return self.scaled(decay(b)) * self.rate

        def scaled(self, r):
            return r * self.scale

        def unused(self):
            print(self.rate)

    return (Model(),)


@case(True)
def namespace_of_the_argument():
    def f(b):
        xp = nnx.backend.namespace(b)
        return b[0] * xp.exp(-b[1] * T) - Y

    return (f,)


@case(True)
def nested_functions_and_partial():
    def shifted(shift, b):
        def inner(t):
            return b[0] * np.exp(-b[1] * t)

        return inner(T) - Y + shift

    return (functools.partial(shifted, 0.0),)


@case(True)
def errstate_inside():
    def f(b):
        with np.errstate(all="ignore"):
            return decay(b) + 0.0 * np.log(b[0] - 5.0) if len(b) > 9 else decay(b)

    return (f,)


@case(True)
def gradient_inside():
    def energy(p):
        return p[0] ** 2 * p[1]

    return (lambda b: np.concatenate([decay(b), 0.01 * nnx.grad(energy)(b)]),)


@case(True)
def linear_algebra():
    return (lambda b: np.linalg.solve(np.eye(2) + 0.1 * np.outer(b, b), b) - np.asarray([0.5, 0.25]),)


@case(True)
def check_of_a_shape():
    def f(b):
        if b.shape != (2,) or b is None:
            raise ValueError("two parameters are wanted")
        return decay(b)

    return (f,)


# -- computed as they are: what the code does ------------------------------------------------------------


@case(False, "print")
def prints(capsys):
    def f(b):
        print("called")
        return decay(b)

    return f, lambda: capsys.readouterr().out


COUNT = 0


@case(False, "global name")
def counts_in_a_global():
    global COUNT
    COUNT = 0

    def f(b):
        global COUNT
        COUNT += 1
        return decay(b)

    return f, lambda: COUNT


@case(False, "changes n")
def counts_in_a_closure():
    n = 0

    def f(b):
        nonlocal n
        n += 1
        return decay(b)

    return f, lambda: n


@case(False, "list")
def appends():
    log = []

    def f(b):
        log.append(1)
        return decay(b)

    return f, lambda: log


@case(False, "transform")
def keeps_its_argument():
    log = []

    def f(b):
        log.append(b)
        return decay(b)

    return f, lambda: len(log)


@case(False, "cannot be looked at")
def an_object_that_cannot_be_looked_at():
    class Shy:
        @property
        def dtype(self):
            raise RuntimeError("not now")

    shy = Shy()
    return (lambda b: decay(b) * (1.0 if shy else 2.0),)


@case(False, "dict")
def counts_in_a_dict():
    log = {"n": 0}

    def f(b):
        log["n"] += 1
        return decay(b)

    return f, lambda: log


@case(False, "read-only")
def counts_in_an_array():
    n = np.zeros(1)

    def f(b):
        n[0] += 1
        return decay(b)

    return f, n.tolist


@case(False, "read-only")
def counts_in_a_view_under_another_name():
    n = np.zeros(3)
    part = n[1:]

    def f(b):
        mine = part
        mine += 1
        return decay(b)

    return f, n.tolist


@case(False, "attribute n")
def counts_in_an_attribute():
    class Model:
        n = 0

        def f(self, b):
            self.n += 1
            return decay(b)

    model = Model()
    return model.f, lambda: model.n


@case(False, "attribute n")
def counts_in_itself():
    def f(b):
        f.n += 1
        return decay(b)

    f.n = 0
    return f, lambda: f.n


@case(False, "attribute n")
def counts_in_a_wrapper():
    def counted(g):
        @functools.wraps(g)
        def call(b):
            call.n += 1
            return g(b)

        call.n = 0
        return call

    f = counted(decay)
    return f, lambda: f.n


@case(False, "deque")
def appends_to_a_deque():
    log = collections.deque()
    push = log

    def f(b):
        push.append(1)
        return decay(b)

    return f, lambda: list(log)


@case(False, "append of a list")
def appends_by_a_bound_method():
    log = []
    push = log.append

    def f(b):
        push(1)
        return decay(b)

    return f, lambda: log


@case(False, "iterator")
def takes_from_an_iterator():
    numbers = itertools.count()

    def f(b):
        next(numbers)
        return decay(b)

    return f, lambda: next(numbers)


@case(False, "a Log")
def counts_by_an_operator_of_its_own():
    class Log:
        n = 0

        def __getitem__(self, k):
            self.n += 1
            return 1.0

    log = Log()
    return (lambda b: decay(b) * log[0]), lambda: log.n


@case(False, "attribute n")
def counts_in_a_property():
    class Model:
        n = 0

        @property
        def rate(self):
            self.n += 1
            return 1.0

        def f(self, b):
            return decay(b) * self.rate

    model = Model()
    return model.f, lambda: model.n


@case(False, "setattr")
def sets_by_a_function():
    box, name = types.SimpleNamespace(n=0), "n"

    def f(b):
        setattr(box, name, box.n + 1)
        return decay(b)

    return f, lambda: box.n


@case(False, "exceptions")
def tries_another_way():
    def f(b):
        try:
            rate = math.exp(b[1])
        except Exception:
            rate = np.exp(b[1])
        return b[0] * np.exp(-rate * T) - Y

    return (f,)


@case(False, "numpy.random")
def numpys_random_numbers():
    np.random.seed(3)
    return (lambda b: decay(b) + 1e-3 * np.random.rand()), lambda: np.random.rand()


@case(False, "random")
def pythons_random_numbers():
    random.seed(3)
    return (lambda b: decay(b) + 1e-3 * random.random()), random.random


@case(False, "random")
def a_generators_random_numbers():
    rng = np.random.default_rng(3)
    return (lambda b: decay(b) + 1e-3 * rng.random()), rng.random


@case(False, "time")
def clock():
    return ((lambda b: decay(b) + 0.0 * time.time()),)


@case(False, "isinstance")
def asks_for_the_type():
    return ((lambda b: decay(b) if isinstance(b, np.ndarray) else decay(b) * 1.0),)


@case(False, "same")
def asks_for_identity():
    return ((lambda b: decay(b) if b is T else decay(b) * 1.0),)


@case(False, "imports")
def imports():
    def f(b):
        import numpy

        return b[0] * numpy.exp(-b[1] * T) - Y

    return (f,)


@case(False, "lru_cache")
def keeps_answers():
    calls = []

    @functools.lru_cache
    def table(n):
        calls.append(n)
        return 1.0

    return (lambda b: decay(b) * table(len(calls))), lambda: calls


@case(False, "text")
def makes_text():
    names = {"2": 1.0}
    return ((lambda b: decay(b) * names[f"{len(b)}"]),)


# -- computed as they are: what only the numbers tell ------------------------------------------------------


@case(False, "asks for its numbers")
def branch_on_a_value():
    return ((lambda b: decay(b) if b[1] > 0.5 else 2.0 * decay(b)),)


@case(False, "asks for its numbers")
def loop_until_a_value():
    def f(b):
        r = decay(b)
        k = 0
        while np.max(np.abs(r)) > 0.3 and k < 4:
            r = 0.5 * r
            k += 1
        return r

    return (f,)


@case(False, "more than")
def a_very_long_loop():
    def f(b):
        y = b[0]
        for _ in range(600):
            y = y - 2e-3 * b[1] * y
        return decay(b) + 1e-9 * y

    return (f,)


# -- what is outside changes between calls -----------------------------------------------------------------


@case(False, "changes")
def global_number_that_a_callback_changes():
    box = {"rate": 1.0}
    return (lambda b: decay(b) * box["rate"]), lambda: box, lambda x: box.update(rate=box["rate"] * 0.99)


@case(False, "changes")
def array_that_a_callback_writes():
    y = Y.copy()
    return (lambda b: decay(b, T, y)), y.tolist, lambda x: y.__imul__(1.001)


@case(False, "changes")
def closure_that_a_callback_rebinds():
    k = 1.0

    def ch(x):
        nonlocal k
        k *= 0.999

    return (lambda b: decay(b) * k), lambda: k, ch


@case(False, "changes")
def attribute_that_a_callback_changes():
    box = types.SimpleNamespace(k=1.0)
    return (lambda b: decay(b) * box.k), lambda: box.k, lambda x: setattr(box, "k", box.k * 0.999)


@case(False, "changes")
def default_that_a_callback_changes():
    def f(b, k=1.0):
        return decay(b) * k

    return f, lambda: f.__defaults__, lambda x: setattr(f, "__defaults__", (f.__defaults__[0] * 0.999,))


@case(False, "changes")
def function_attribute_that_a_callback_changes():
    def f(b):
        return decay(b) * f.k

    f.k = 1.0
    return f, lambda: f.k, lambda x: setattr(f, "k", f.k * 0.999)


@case(False, "changes")
def table_of_functions_that_a_callback_changes():
    table = {"f": decay}
    return (lambda b: table["f"](b)), None, lambda x: table.update(f=lambda b: 0.999 * decay(b))


# -- warnings and errors that numbers make -------------------------------------------------------------------


@case(True)
def warns_at_times():
    def f(b):
        return np.concatenate([decay(b), 1e-3 * np.exp(-1e3 * (b[1] - 0.2) * T[:1])])

    return (f,)


@pytest.fixture(autouse=True)
def _short_programs(monkeypatch):
    monkeypatch.setattr(guarded, "LONGEST", 1000)


def outcome(solve, make, before, monkeypatch, capsys):
    """What came of a run that records after so many calls, and all that it did besides."""
    monkeypatch.setattr(guarded, "BEFORE", before)
    f, probe, callback = (*(make(capsys) if make.__code__.co_argcount else make()), None, None)[:3]
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        result = solve(f, callback)
    told = [(w.category, str(w.message)) for w in warned]
    parts = [result[k] for k in ("status", "message", "nit", "nfev", "njev", "nhev", "success")]
    return (
        result.x.tobytes(),
        np.asarray(result.fun).tobytes(),
        parts,
        told,
        probe() if probe else None,
        result,
    )


def least_squares(f, callback):
    options = {"maxiter": 12, "ftol": 0.0, "xtol": 0.0, "gtol": 0.0}
    return nnx.least_squares(f, START, callback=callback, options=options)


def minimize(f, callback):
    return nnx.minimize(lambda b: np.sum(f(b) ** 2), START, callback=callback, options={"maxiter": 8})


def compare(case, solve, monkeypatch, capsys):
    recorded, words, make = case
    *wanted, eager = outcome(solve, make, 10**9, monkeypatch, capsys)
    *found, result = outcome(solve, make, 2, monkeypatch, capsys)
    assert found == wanted
    assert not eager.recorded
    assert ("as it is" in result.recorded) != recorded, result.recorded
    assert (words or "recorded") in result.recorded, result.recorded


@walk("name", CASES)
def test_the_same_happens_whether_a_function_is_recorded_or_not(name, monkeypatch, capsys):
    compare(CASES[name], least_squares, monkeypatch, capsys)


@walk("name", [name for name in CASES if CASES[name][0] or "change" in name or "array" in name])
def test_the_same_happens_where_a_number_is_minimised(name, monkeypatch, capsys):
    compare(CASES[name], minimize, monkeypatch, capsys)


def test_a_run_of_a_program_warns_as_the_function_does():
    watch = guarded.Watch(np.log)
    logarithm = guarded.Guarded(nnx.grad(lambda w: np.sum(np.log(w))), watch)
    for w in [*np.ones((guarded.BEFORE + 4, 2)), np.asarray([0.0, 1.0]), np.asarray([2.0, 1.0])]:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            found = logarithm(w)
        with warnings.catch_warnings(record=True) as wanted:
            warnings.simplefilter("always")
            expected = nnx.grad(lambda w: np.sum(np.log(w)))(w)
        assert found.tobytes() == expected.tobytes()
        assert [str(each.message) for each in warned] == [str(each.message) for each in wanted]
        assert bool(warned) == (0.0 in w)
    assert logarithm.program is not None


def test_settings_of_numpys_errors_have_programs_of_their_own():
    logarithm = guarded.Guarded(lambda w: np.log(w), guarded.Watch(np.log))
    for _ in range(guarded.BEFORE + 4):
        logarithm(np.ones(2))
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        logarithm(np.zeros(2))
    with np.errstate(divide="ignore"), warnings.catch_warnings():
        warnings.simplefilter("error")
        assert logarithm(np.zeros(2))[0] == -np.inf


@walk("name", ["value", "product", "matrix"])
def test_second_derivatives_are_recorded_with_the_same_bits(name, monkeypatch):
    found = []
    for before in (10**9, 2):
        monkeypatch.setattr(guarded, "BEFORE", before)
        problem = nnx.optimizers.FunctionProblem(lambda w: np.sum(np.sin(w) * w[0]))
        points = [problem.at(np.asarray([0.1 * k, 1.0, 0.3])) for k in range(9)]
        ask = {
            "value": lambda p: p.value,
            "product": lambda p: p.hvp(np.ones(3)),
            "matrix": lambda p: p.hessian,
        }[name]
        found.append(([ask(p).tobytes() for p in points], dict(problem.counts)))
    assert found[0] == found[1]
    assert ("recorded" in problem.recorded) == (name != "value")


def test_a_jacobian_asked_in_products_is_recorded_with_the_same_bits(monkeypatch):
    found = []
    for before in (10**9, 2):
        monkeypatch.setattr(guarded, "BEFORE", before)
        problem = nnx.optimizers.ResidualProblem(decay)
        points = [problem.at(np.asarray([0.1 * k, 1.0])) for k in range(9)]
        found.append([p.jvp(np.ones(2)).tobytes() + p.vjp(np.ones(12)).tobytes() for p in points])
    assert found[0] == found[1]
    assert problem.recorded == "product with the Jacobian: recorded; product with its transpose: recorded"


def test_curve_fit_records_the_model(monkeypatch):
    monkeypatch.setattr(guarded, "BEFORE", 2)
    rng = np.random.default_rng(0)
    t = np.linspace(0.0, 3.0, 40)
    y = 2.0 * np.exp(-1.3 * t) + 0.5 + 0.02 * rng.normal(size=40)

    def model(t, a, b, c):
        return a * np.exp(-b * t) + c

    fit = nnx.curve_fit(model, t, y, p0=[50.0, 12.0, -3.0], sigma=np.full(40, 0.02))
    assert fit.result.recorded == "Jacobian: recorded"


def test_whole_numbers_and_other_libraries_stay_as_they_are(backend):
    w = backend.asarray([1.0, 2.0], dtype="float64")
    result = nnx.minimize(lambda w: nnx.backend.namespace(w).sum((w - 1.0) ** 4), w)
    np.testing.assert_allclose(nnx.to_numpy(result.x), [1.0, 1.0], atol=1e-2)


SCALE = 1.0


def scaled(b):
    return decay(b) * SCALE


def test_a_further_run_uses_what_was_recorded_only_where_nothing_has_changed(monkeypatch):
    global SCALE
    calls = []
    compute = nnx.optimizers.ResidualProblem._all_rows
    monkeypatch.setattr(
        nnx.optimizers.ResidualProblem, "_all_rows", lambda self, p: (calls.append(1), compute(self, p))[1]
    )
    monkeypatch.setattr(guarded, "BEFORE", 2)
    SCALE = 1.0
    for scale, anew in [(1.0, True), (1.0, False), (2.0, True), (1.0, True)]:
        SCALE = scale
        calls.clear()
        found = nnx.least_squares(scaled, START)
        assert found.recorded == "Jacobian: recorded"
        assert bool(calls) == anew
        scales = found.fun / decay(found.x)
        np.testing.assert_allclose(scales, scale, rtol=1e-12)
        np.testing.assert_allclose(found.jac[:, 0], scale * np.exp(-found.x[1] * T), rtol=1e-12)


def test_data_of_another_run_are_not_those_of_the_first(monkeypatch):
    monkeypatch.setattr(guarded, "BEFORE", 2)
    for factor in (1.0, 2.0, 1.0):
        found = nnx.least_squares(decay, START, args=(T, factor * Y))
        np.testing.assert_allclose(found.x[0], factor * 1.50093, rtol=1e-4)
