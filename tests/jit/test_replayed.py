"""Functions that are replayed when they are called often: the same bits, or as they are, and a reason."""

from __future__ import annotations

import numpy as np
import pytest

from nnx import grad
from nnx.backend import make_backend, namespace
from nnx.jitting import Halved, Recorder, Replayed, recorded_over, replayed
from nnx.jitting.halves import halves

X = np.random.default_rng(0).standard_normal((7, 3))


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(replayed, "BEFORE", 1)


def often(function, *args, times=6):
    """What the function answers every time."""
    return [function(*args) for _ in range(times)]


def counted(function):
    """The function, and a list with an entry for each call."""
    calls = []

    def call(*args):
        calls.append(args)
        return function(*args)

    return call, calls


def test_calls_are_replayed_after_some_and_two_that_are_compared():
    f, calls = counted(lambda x, w: {"y": np.tanh(x @ w), "n": (np.sum(x * x), 2.0)})
    g, w = Replayed(f), np.asarray([1.0, -2.0, 0.5])
    answers = often(g, X, w, times=9)
    assert g.reason == "" and len(g.programs) == 1
    assert len(calls) == 1 + 1 + 2  # as it is, recorded, compared
    for answer in answers:
        assert answer["y"].tobytes() == np.tanh(X @ w).tobytes()
        assert answer["n"] == (np.sum(X * X), 2.0)
    other = g(2.0 * X, w + 1.0)  # other numbers of the same kind
    assert len(calls) == 4 and other["y"].tobytes() == np.tanh(2.0 * X @ (w + 1.0)).tobytes()


@pytest.mark.parametrize(
    "other",
    [X[:5], X.astype(np.float32), np.asfortranarray(X), X[:, ::-1], np.zeros((3, 7)).T],
    ids=["shape", "type", "order", "reversed", "transposed"],
)
def test_arguments_of_another_kind_have_a_program_of_their_own(other):
    g = Replayed(lambda x: np.sum(x * x, axis=0))
    often(g, X)
    for answer in often(g, other):
        assert answer.dtype == other.dtype and answer.tobytes() == np.sum(other * other, axis=0).tobytes()
    assert len(g.programs) == 2


def test_none_and_numbers_among_the_arguments():
    g = Replayed(lambda x, free, h: (x if free is None else x * free) * h)
    for h in (0.5, 2.0, -1.0, 3.0, 4.0, 5.0):  # numbers are no part of the program
        np.testing.assert_array_equal(g(X, None, h), X * h)
        np.testing.assert_array_equal(g(X, X, h), X * X * h)
    assert len(g.programs) == 2 and g.reason == ""


def test_it_writes_into_arguments():
    def f(x, out):
        out[:, 1] = x[:, 0] * 3.0
        return np.sum(x)

    g, out = Replayed(f), np.zeros((7, 3))
    often(g, X, out)
    assert g.programs
    out[...] = 0.0
    g(X + 1.0, out)
    np.testing.assert_array_equal(out[:, 1], (X[:, 0] + 1.0) * 3.0)
    assert not out[:, [0, 2]].any()


@pytest.mark.parametrize(
    "function, told",
    [
        (lambda x: x * 2.0 if float(x[0, 0]) > 0.0 else -x, "float"),
        (lambda x: x[x > 0.0], "shape"),
        (lambda x: x * X[:1], "outside"),
        (lambda x: x * np.random.default_rng().random(), "bits"),
    ],
    ids=["asks", "mask", "outside", "random"],
)
def test_what_cannot_be_recorded_is_called_as_it_is(function, told):
    g = Replayed(function)
    for x in (X, X, X, X, X, X - 5.0, X + 0.1, -X):
        assert g(x).shape == function(x).shape
        if told != "bits":
            assert g(x).tobytes() == function(x).tobytes()
    assert told in g.reason


def test_a_sum_in_place_of_what_was_there_is_refused():
    def f(x, out):
        out += x
        return out

    g, total = Replayed(f), np.zeros((7, 3))
    for _ in range(3):
        g(X, total)
    assert "bits" in g.reason


def test_errors_of_the_function_are_its_own():
    def f(x):
        return np.linalg.cholesky(x)

    good, bad = np.eye(3), -np.eye(3)
    g = Replayed(f)
    often(g, good)
    assert g.programs
    with pytest.raises(np.linalg.LinAlgError):
        g(bad)
    np.testing.assert_array_equal(g(good), good)
    always = Replayed(f)
    for _ in range(4):
        with pytest.raises(np.linalg.LinAlgError):
            always(bad)


def test_arrays_of_transforms_and_of_recordings_see_the_function():
    def f(x):
        return namespace(x).sum(x * x)

    g = Replayed(f)
    often(g, X)
    for _ in range(4):
        np.testing.assert_array_equal(grad(g)(X), 2.0 * X)


@pytest.mark.parametrize("library", ["array_api_strict", "torch"])
def test_arrays_of_other_libraries(library):
    """Constants, copies of them, and held arrays of libraries that do not say what shares memory."""
    xp = make_backend(library).xp
    held = xp.asarray([1.0, 2.0])

    def f(h, x):
        ones = namespace(x).ones_like(x)
        return h[:1] + x, x @ h, ones, ones + x

    g = Replayed(f, held=(held,))
    for k in range(8):
        held[0] = float(k)
        total, product, ones, more = g(xp.asarray([1.0, 3.0 + k]))
        assert (float(total[1]), float(product)) == (3.0 + 2 * k, 6.0 + 3 * k)
        assert ones.tolist() == [1.0, 1.0] if library == "torch" else bool(xp.all(ones == 1.0))
        assert float(more[1]) == 4.0 + k
        ones[0] = 7.0  # the caller's: not that of later calls
    assert len(g.programs) == 1 and not g.reason


def test_rare_kinds_make_room_for_frequent_ones(monkeypatch):
    monkeypatch.setattr(replayed, "KINDS", 3)
    g = Replayed(np.sum)
    for n in range(1, 40):
        assert g(np.ones(n)) == n and g(np.ones(100)) == 100
    often(g, np.ones(100), times=4)
    assert len(g._plans) <= 3 and not g.reason and len(g.programs) <= 1
    often(g, np.ones(100))
    assert len(g.programs) == 1


def test_kinds_do_not_pile_up(monkeypatch):
    monkeypatch.setattr(replayed, "KINDS", 3)
    g = Replayed(np.sum)
    for n in range(1, 9):
        assert often(g, np.ones(n)) == [n] * 6
    assert len(g.programs) == 3


# -- two halves -----------------------------------------------------------------------------------------


def model(x, w):
    """An output, and a function that puts each sample's gradient by w into rows."""
    h = np.tanh(x @ w)

    def rows(out):
        out[...] = (1.0 - h * h)[:, None] * x
        return np.sum(out)

    return h, rows


def room(x, w):
    return (np.empty_like(x),)


def test_the_second_half_is_called_if_it_is_wanted():
    f, calls = counted(model)
    g, w = Halved(f, room), np.asarray([1.0, -2.0, 0.5])
    for k in range(12):
        v, out = w * (1.0 + 0.01 * k), np.full_like(X, np.nan)
        answer, rows = g(X, v)
        wanted, by_hand = model(X, v)
        assert answer.tobytes() == wanted.tobytes()
        if k % 3:
            expected = np.empty_like(X)
            assert rows(out) == by_hand(expected)
            assert out.tobytes() == expected.tobytes()
    assert g.reason == "" and len(g.programs) == 2 and len(calls) < 12
    first, second = (str(p) for p in g.programs)
    assert "tanh" in first and "tanh" not in second  # what the first half has computed is kept


def test_late_second_halves_belong_to_their_own_first():
    g, ws = Halved(model, room), [np.asarray([1.0, 0.0, k]) for k in range(8)]
    for w in ws:
        out = np.empty_like(X)
        g(X, w)[1](out)
    made = [g(X, w)[1] for w in ws]
    for w, rows in reversed(list(zip(ws, made, strict=True))):
        out, expected = np.empty_like(X), np.empty_like(X)
        rows(out)
        model(X, w)[1](expected)
        assert out.tobytes() == expected.tobytes()


def test_a_second_half_that_writes_into_the_first_is_refused():
    def f(x):
        y = x * 2.0

        def rest():
            y[0, 0] = 7.0  # so that a second call would see it
            return np.sum(y)

        return y, rest

    g = Halved(f, lambda x: ())
    for _ in range(5):
        answer, rest = g(X)
        assert answer[0, 0] == 2.0 * X[0, 0] and rest() == f(X)[1]()
    assert "writes" in g.reason and not g.programs


def test_a_second_half_of_other_bits_is_refused(monkeypatch):
    true = replayed.compiled
    made = []

    def wrong(program, *others):
        made.append(program)
        replay = true(program, *others)
        return (lambda *a: (replay(*a)[0] + 1e-9,)) if len(made) == 2 else replay

    monkeypatch.setattr(replayed, "compiled", wrong)
    g, w = Halved(model, room), np.ones(3)
    for _ in range(6):
        out = np.empty_like(X)
        assert g(X, w)[1](out) == model(X, w)[1](np.empty_like(X))
    assert "bits" in g.reason


def test_both_halves_print():
    from nnx.backend import adapter_of

    with Recorder(recorded_over(adapter_of(X))) as recorder, recorder.adapter.serving():
        x = recorder.wrapped(X)
        y = x * 2.0
        cut = len(recorder.steps), len(recorder.kinds)
        z = y + x
    first, second = halves(recorder, 1, cut, 0, recorder.term(y), recorder.term(z))
    assert [len(half.program.steps) for half in (first, second)] == [1, 1]
    assert str(second.program).endswith("v2: float64[7, 3] = v1 + v0\n    return (v2,)")
