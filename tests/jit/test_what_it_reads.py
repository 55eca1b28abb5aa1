"""What a function under jit reads by ways that are easily overlooked: the number of today, or an error."""
# ruff: noqa: B008 (defaults are one of these ways)

from __future__ import annotations

import array
import collections
import contextvars
import copy
import functools
import itertools
import os
import pathlib
import pickle
import random
import sys
import types
import weakref

import numpy as np
import pytest
from jit.test_programs import same_bits
from walks import walk

import nnx
from nnx.errors import RecordingError

RATE = 0.5
SETTINGS = types.ModuleType("settings_of_the_user")
SETTINGS.inner = types.ModuleType("settings_of_the_user.inner")
sys.modules |= {"settings_of_the_user": SETTINGS, "settings_of_the_user.inner": SETTINGS.inner}


def set_rate():
    global RATE
    RATE += 1.0


def set_settings():
    SETTINGS.k += 1.0
    SETTINGS.inner.k += 1.0


class Reader:
    """One that reads a global number in every way that a class has."""

    @property
    def asked(self):
        return RATE

    @functools.cached_property
    def kept(self):
        return 2.0

    @staticmethod
    def static(x):
        return x * RATE

    @classmethod
    def of_class(cls, x):
        return x * RATE

    def __getitem__(self, k):
        return RATE * k

    def __getattr__(self, name):
        if name != "rate":
            raise AttributeError(name)
        return RATE

    def __len__(self):
        return int(2.0 * RATE)

    def __init__(self):
        self.made = RATE

    def save(self):  # nobody calls it
        return open("nothing.txt", "w")


class OtherReader(Reader):
    asked = 77.0


def with_attribute():
    def f(x):
        return x * f.scale

    f.scale = 2.0
    return f, lambda: setattr(f, "scale", 3.0)


def imports():
    def f(x):
        import settings_of_the_user

        return x * settings_of_the_user.k * settings_of_the_user.inner.k

    return f, set_settings


def imports_from():
    def f(x):
        from settings_of_the_user.inner import k

        return x * k

    return f, set_settings


def defined_later():
    globals().pop("LATER", None)

    def f(x):
        try:
            return x * LATER
        except NameError:
            return x

    return f, lambda: globals().__setitem__("LATER", 5.0)


def class_changed():
    reader = Reader()
    return (lambda x: x * reader.asked), lambda: setattr(reader, "__class__", OtherReader)


def cached():
    reader = Reader()
    return (lambda x: x * reader.kept), lambda: vars(reader).__setitem__("kept", 5.0)


def held(thing, function, change):
    """``function(thing, x)``, and ``change(thing)`` that is another thing then."""
    return lambda: ((lambda x: function(thing, x)), lambda: change(thing))


class Dict(dict):
    k = 1.0


class Float(float):
    k = 1.0


class Array(np.ndarray):
    k = 1.0


def set_k(x):
    x.k = 5.0


def bound(thing, name, *args, change):
    call = getattr(thing, name)
    return lambda: ((lambda x: x * call(*args)), lambda: change(thing))


VIEWED, TABLE, VARIABLE = bytearray(b"\x01\x02"), {"a": 1.0}, contextvars.ContextVar("v", default=1.0)
OBJECTS = np.empty(2, object)
OBJECTS[:] = [[1.0], [2.0]]


class Box:
    k, module = 1.0, SETTINGS


BOX = Box()
FOUND = {
    "property": lambda: ((lambda x, r=Reader(): x * r.asked), set_rate),
    "cached property": cached,
    "static method": lambda: ((lambda x: Reader.static(x)), set_rate),
    "class method": lambda: ((lambda x: Reader.of_class(x)), set_rate),
    "__getitem__": lambda: ((lambda x, r=Reader(): x * r[2]), set_rate),
    "__getattr__": lambda: ((lambda x, r=Reader(): x * r.rate), set_rate),
    "__len__": lambda: ((lambda x, r=Reader(): x * len(r)), set_rate),
    "__init__": lambda: ((lambda x: x * Reader().made), set_rate),
    "another class": class_changed,
    "attribute of the function": with_attribute,
    "bound method of a dictionary": bound(TABLE, "get", "a", change=lambda d: d.update(a=5.0)),
    "bound method of a list": bound([1.0], "__getitem__", 0, change=lambda a: a.insert(0, 5.0)),
    "deque": held(collections.deque([1.0]), lambda q, x: x * sum(q), lambda q: q.append(4.0)),
    "bytearray": held(bytearray(b"a"), lambda b, x: x * b[0], lambda b: b.__setitem__(0, 9)),
    "memoryview": held(memoryview(VIEWED), lambda m, x: x * m[0], lambda m: VIEWED.__setitem__(0, 9)),
    "array of Python": held(array.array("d", [1.0]), lambda a, x: x * a[0], lambda a: a.insert(0, 9.0)),
    "mapping proxy": held(
        types.MappingProxyType(TABLE), lambda d, x: x * d["a"], lambda d: TABLE.update(a=7.0)
    ),
    "view of a dictionary": held(TABLE.values(), lambda v, x: x * sum(v), lambda v: TABLE.update(b=7.0)),
    "weak reference": held(weakref.ref(BOX), lambda r, x: x * r().k, lambda r: set_k(BOX)),
    "module in an object": held(BOX, lambda b, x: x * b.module.k, lambda b: set_settings()),
    "context variable": held(VARIABLE, lambda v, x: x * v.get(), lambda v: v.set(4.0)),
    "attribute of a dictionary": held(Dict(), lambda d, x: x * d.k, set_k),
    "attribute of a number": held(Float(2.0), lambda d, x: x * d * d.k, set_k),
    "attribute of an array": held(np.ones(3).view(Array), lambda a, x: x * a.k, set_k),
    "array of objects": held(OBJECTS, lambda a, x: x * a[0][0], lambda a: a[0].insert(0, 9.0)),
    "import inside": imports,
    "import from inside": imports_from,
    "module of a module": lambda: ((lambda x: x * SETTINGS.inner.k), set_settings),
    "getattr of a module": lambda: ((lambda x: x * getattr(SETTINGS, "k")), set_settings),  # noqa: B009
    "defined later": defined_later,
}  # fmt: skip


@walk("name", FOUND)
def test_another_number_is_seen(name):
    SETTINGS.k, SETTINGS.inner.k = 2.0, 3.0
    function, change = FOUND[name]()
    jitted, x = nnx.jit(function), np.asarray([1.0, 2.0, 3.0])
    first = function(x)
    same_bits(jitted(x), first)
    same_bits(jitted(x), first)
    change()
    assert not np.array_equal(function(x), first)
    same_bits(jitted(x), function(x))


def inside_a_clock(x):
    import time

    return x + time.perf_counter()


STATE, COINS = np.random.RandomState(0), random.Random(0)
REFUSED = {
    "a generator without a seed": lambda x: x + np.random.default_rng().normal(size=3),
    "a state without a seed": lambda x: x + np.random.RandomState().normal(size=3),
    "a bound generator": lambda x, draw=np.random.default_rng(0).normal: x + draw(size=3),
    "a state of NumPy's": lambda x: x + STATE.normal(size=3),
    "a generator of Python's": lambda x: x + COINS.random(),
    "a bound iterator": lambda x, tick=itertools.count().__next__: x + tick(),
    "globals": lambda x: x * globals()["RATE"],
    "eval": lambda x: x * eval("RATE"),
    "a clock": inside_a_clock,
    "the system's random numbers": lambda x: x + os.urandom(1)[0],
    "an array in a file": lambda x: x * np.load("nothing.npy"),
    "a text in a file": lambda x, p=pathlib.Path("nothing.txt"): x * len(p.read_text()),
    "the environment": lambda x, ask=os.getenv: x * len(ask("HOME", "")),
    "a method that reads a file": lambda x, r=Reader(): x * len(r.save().name),
}


@walk("name", REFUSED)
def test_what_cannot_be_compared_is_refused(name):
    with pytest.raises(RecordingError):
        nnx.jit(REFUSED[name])(np.ones(3))


def test_random_numbers_of_a_seed_are_the_same_in_every_call():
    def f(x):
        return x + np.random.default_rng(3).normal(size=3)

    jitted = nnx.jit(f)
    for _ in range(2):
        same_bits(jitted(np.ones(3)), f(np.ones(3)))


def test_errstate_as_it_was_when_it_was_recorded():
    """A part under the settings that hold anyway is not under those of a later call."""

    def f(x):
        with np.errstate(divide="ignore"):
            return 1.0 / x

    jitted, x = nnx.jit(f), np.zeros(2)
    with np.errstate(divide="ignore"):
        jitted(x)
    with np.errstate(divide="raise"):
        same_bits(jitted(x), f(x))


def test_another_jit_inside_that_is_used_elsewhere():
    """What it has recorded meanwhile is not read from outside."""
    inner = nnx.jit(lambda x: x * 2.0)
    outer = nnx.jit(lambda x: inner(x) + 1.0)
    for n in range(1, 70):
        if n < 60:
            inner(np.ones(n))
        same_bits(outer(np.ones(2)), np.full(2, 3.0))
    assert outer._recordings == 1


class Model:
    def __init__(self):
        self.w = np.ones(3)
        self.step = nnx.jit(self.forward)

    def forward(self, x):
        return x * self.w


@nnx.jit
def doubled(x):
    return 2.0 * x


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_reads_its_own_objects(copied):
    model, x = Model(), np.arange(3.0)
    model.step(x)
    other = copied(model)
    other.w[:] = 5.0
    same_bits(other.step(x), 5.0 * x)
    same_bits(model.step(x), x)


def test_a_function_of_a_module_is_pickled_by_its_name():
    doubled(np.ones(2))
    assert copy.deepcopy(doubled) is doubled
    static = nnx.jit(pow, static_argnums=1)
    assert copy.copy(static)._static == static._static
