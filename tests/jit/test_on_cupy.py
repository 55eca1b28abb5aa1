"""Recorded programs on CuPy's arrays, as far as the double of CuPy tells; and as one launch."""

from __future__ import annotations

import cupy_double
import numpy as np
import pytest
from on_the_cpu import need_compiler

import nnx
from nnx.autodiff.tree import flatten
from nnx.backend import namespace
from nnx.jitting.replay import compiled


@pytest.fixture
def cupys():
    with cupy_double.in_cupys_place() as backend:
        yield backend


def written(x):
    y = np.zeros_like(x)
    y += x
    y[0] = 5.0
    return y * x


def of_outside(x):
    import cupy

    places, factors = cupy.asarray([2, 0, 0]), cupy.asarray([1.0, 2.0, 4.0])
    return np.sum(x[places] * factors) + np.sum(x[places])


CASES = {
    "operators": lambda x, a: x * x + 2.0 * x - a @ x,
    "ufuncs": lambda x, a: np.exp(x) + np.tanh(a),
    "methods": lambda x, a: (a.sum(axis=0) * x.max()).reshape(3, 1).T,
    "the standard": lambda x, a: namespace(x).concat([x, namespace(x).sum(a, axis=1)]),
    "slices": lambda x, a: x[1:] - a[::2, 0],
    "where": lambda x, a: np.where(x > 1.5, x, -x),
    "writing": lambda x, a: written(x),
    "arrays from outside": lambda x, a: of_outside(x),
    "grad": nnx.grad(lambda x, a: np.sum(np.tanh(a @ x) ** 2) + np.max(x)),
    "grad of arrays from outside": nnx.grad(lambda x, a: of_outside(x)),
    "hessian": nnx.hessian(lambda x, a: np.sum(np.exp(a @ x) * x[0])),
    "jacobian": nnx.jacobian(lambda x, a: nnx.activations.softmax(a @ x)),
    "vmap": lambda x, a: nnx.vmap(lambda row: row * row.sum())(a),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_replay_is_the_function_bit_for_bit(cupys, name, dtype):
    import cupy

    f = CASES[name]
    jitted = nnx.jit(f)
    for scale in (1.0, 0.5):  # recorded with the first, replayed with the second
        x = cupys.asarray(scale * np.asarray([1.0, 2.0, 3.0]), dtype=dtype)
        a = cupys.asarray(scale * np.linspace(-1.0, 1.0, 9).reshape(3, 3), dtype=dtype)
        found, wanted = jitted(x, a), f(x, a)
        assert type(found) is cupy.ndarray and found.dtype == wanted.dtype
        np.testing.assert_array_equal(found.get(), wanted.get())
    assert len(jitted._plans) == 1


def test_what_is_read_from_outside_is_compared(cupys):
    import cupy

    factor = cupy.asarray([1.0, 2.0])
    jitted, x = nnx.jit(lambda x: x * factor), cupy.asarray([3.0, 4.0])
    assert jitted(x).tolist() == [3.0, 8.0]
    factor[1] = 10.0
    assert jitted(x).tolist() == [3.0, 40.0]


def spread(x, a):
    z = np.where(x > 0.0, np.maximum(a, x) / (1.0 + np.abs(a)), a * a)
    return z * z - 0.3, z > 0.5, x + 1.0


CHAINS = {
    "rows and bools": spread,
    "functions": lambda x, a: np.sqrt(np.exp(-a * a) + np.log1p(np.abs(x))) * np.tanh(a) - np.cos(x) / 3.0,
    "gradient": nnx.value_and_grad(lambda x, a: np.mean((np.tanh(a * x) - 0.5) ** 2)),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_chains_are_one_kernel(cupys, dtype, monkeypatch):
    import cupy

    need_compiler()
    monkeypatch.setattr(type(cupys.adapter), "worth_joining", 1)
    x = cupys.asarray(np.asarray([1.0, -2.0, 3.0]), dtype=dtype)
    a = cupys.asarray(np.linspace(-1.0, 1.0, 12).reshape(4, 3), dtype=dtype)
    for name, f in CHAINS.items():
        jitted = nnx.jit(f)
        jitted(x, a)
        assert "joined(" in str(jitted.program(x, a)), name
        found, wanted = (flatten(g(x, a))[0] for g in (jitted, f))
        for got, want in zip(found, wanted, strict=True):
            assert type(got) is type(want) is cupy.ndarray
            # functions of C's library, which the double compiles against, and NumPy's: a few units
            eps = 8 * np.finfo(dtype).eps if got.dtype != bool else 0.0
            np.testing.assert_allclose(got.get(), want.get(), rtol=eps, atol=eps, strict=True)


class TestCaptured:
    def program(self, cupys, x):
        return compiled(nnx.jit(nnx.grad(lambda x: np.sum(x * x * x))).program(x), ready=cupys.adapter.ready)

    def test_where_nothing_can_be_captured_it_is_the_function(self, cupys):
        x = cupys.asarray([1.0, 2.0])
        replay = self.program(cupys, x)
        assert cupys.adapter.captured(replay, (x,)) is replay
        numpys = nnx.backend.make_backend("numpy").adapter
        assert numpys.captured(replay, (x,)) is replay

    def test_a_launch_reads_new_arguments_and_gives_results_of_its_own(self, cupys, monkeypatch):
        import cupy

        runs = []

        def program(x):
            runs.append((x, (y := x * 2.0)))
            return y, y[0], 7

        class Graph:
            """Repeats the captured kernel: from its argument's memory to its result's."""

            def launch(self):
                x, y = runs[1]
                y[...] = x * 2.0

        monkeypatch.setattr(cupy.cuda.Stream, "begin_capture", lambda self: runs.append("captured from here"))
        monkeypatch.setattr(cupy.cuda.Stream, "end_capture", lambda self: runs.pop(1) and Graph())
        x = cupy.asarray([1.0, 2.0])
        launch = cupys.adapter.captured(program, (x,))
        assert len(runs) == 2 and launch is not program
        first, entry, number = launch(cupy.asarray([5.0, 6.0]))
        second, _, _ = launch(cupy.asarray([7.0, 8.0]))
        assert (first.tolist(), float(entry), number) == ([10.0, 12.0], 10.0, 7)
        assert second.tolist() == [14.0, 16.0]
        assert (len(runs), x.tolist()) == (2, [1.0, 2.0])

    @pytest.mark.parametrize("error", [RuntimeError, NotImplementedError])
    def test_a_refusal_in_the_middle_is_no_failure(self, cupys, monkeypatch, error):
        import cupy

        ended = []

        def program(x):
            if capturing:
                raise error("calling cuBLAS during stream capture is unsupported")
            return (x,)

        capturing = []
        monkeypatch.setattr(cupy.cuda.Stream, "begin_capture", lambda self: capturing.append(True))
        monkeypatch.setattr(cupy.cuda.Stream, "end_capture", lambda self: ended.append(True))
        assert cupys.adapter.captured(program, (cupy.asarray([1.0]),)) is program
        assert ended == [True]
