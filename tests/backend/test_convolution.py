"""NumPy's ways to convolve agree with the reference, in blocks of all sizes and by any number of threads."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nnx.backend import columns, depthwise, loops, numpy_convolution, tiles, winograd
from nnx.backend.convolution import Convolution
from nnx.backend.ending import Ending
from nnx.backend.numpy_namespace import namespace
from nnx.backend.team import TEAM, Team
from nnx.backend.windows import Windows


class Reference(Convolution):
    xp = namespace


def arrays(w, channels, filters, dtype="float64", n=3, seed=0):
    random = np.random.default_rng(seed)
    shapes = [
        (n, *w.size, channels),
        (*w.taps, channels // w.groups, filters),
        (filters,),
        (n, *w.outputs, filters),
    ]
    return [random.standard_normal(shape).astype(dtype) for shape in shapes]


def assert_same(mine, wanted, dtype, largest=1e-30):
    """To rounding, relative to the ``largest`` entry: the sums are long, and in another order.

    Measured: at most 2e-15 in float64 and 9e-7 in float32.
    """
    assert mine.shape == wanted.shape and mine.dtype == dtype
    tolerance = 1e-13 if dtype == "float64" else 3e-6
    assert np.max(np.abs(mine - wanted), initial=0.0) <= tolerance * np.max(np.abs(wanted), initial=largest)


def assert_agrees(way, w, channels, filters, dtype="float64", n=3):
    x, kernel, bias, g = arrays(w, channels, filters, dtype, n)
    for a in (x, kernel, bias, g):
        a.flags.writeable = False
    exact = [np.asarray(a, np.float64) for a in (x, kernel, bias, g)]
    of = Reference()
    wanted = of.convolve(exact[0], exact[1], exact[2], w)
    assert_same(way.forward(x, kernel, Ending(None, bias), w), wanted, dtype)
    plain = of.convolve(exact[0], exact[1], None, w)
    assert_same(way.forward(x, kernel, Ending(), w), plain, dtype)
    factor = np.linspace(-1.0, 2.0, filters).astype(dtype)
    for most in (1.5, math.inf):  # not below 0
        ended = np.clip(plain * factor.astype(np.float64) + exact[2], 0.0, most)
        mine = way.forward(x, kernel, Ending(factor, bias, most), w)
        assert_same(mine, ended, dtype, np.max(np.abs(plain)))
    assert_same(way.input_gradient(g, kernel, w), of.convolve_input(exact[3], exact[1], w), dtype)
    assert_same(way.kernel_gradient(x, g, w), of.convolve_kernel(exact[0], exact[3], w), dtype)


@pytest.fixture(params=["one block", "small blocks"])
def blocks(request, monkeypatch):
    """Blocks of the usual size, of which small arrays have one, and blocks of a row or a few."""
    if request.param == "small blocks":
        for module in (columns, depthwise, winograd):
            monkeypatch.setattr(module, "CACHED", 2000)
        monkeypatch.setattr(columns.cut, "__defaults__", (2000,))
        monkeypatch.setattr(columns, "SMALL", 100)
        monkeypatch.setattr(depthwise, "ONCE", 2000)
        monkeypatch.setattr(winograd, "TILES", 1)


@pytest.fixture(params=["NumPy", "Numba"])
def numba(request, monkeypatch):
    """Without compiled loops, and with them even for the smallest arrays."""
    if request.param == "NumPy":
        monkeypatch.setattr(loops, "compiled", lambda name: None)
    else:
        pytest.importorskip("numba", exc_type=ImportError)
        monkeypatch.setattr(loops, "WORTH_COMPILING", 0)


@st.composite
def windows(draw, rank, most_stride=3):
    taps, strides, dilation, size, outputs, before = [], [], [], [], [], []
    for _ in range(rank):
        k, s, d = draw(st.integers(1, 3)), draw(st.integers(1, most_stride)), draw(st.integers(1, 2))
        reach = (k - 1) * d + 1
        n, b = draw(st.integers(1, 8)), draw(st.integers(0, reach - 1))
        after = draw(st.integers(0, reach - 1))
        assume(n + b + after >= reach)
        taps.append(k), strides.append(s), dilation.append(d), size.append(n), before.append(b)
        outputs.append((n + b + after - reach) // s + 1)
    groups = draw(st.integers(1, 3))
    found = (size, taps, outputs, strides, before, dilation)
    return Windows(*map(tuple, found), groups)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_columns(rank, blocks):
    @settings(max_examples=40)
    @given(windows(rank), st.integers(1, 2), st.integers(1, 2))
    def check(w, channels, filters):
        assert_agrees(columns, w, channels * w.groups, filters * w.groups)
        _, kernel, _, g = arrays(w, channels * w.groups, filters * w.groups)
        assert_same(columns.spread(g, kernel, w), Reference().convolve_input(g, kernel, w), "float64")

    check()


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_depthwise_in_numpy(rank, blocks, monkeypatch):
    monkeypatch.setattr(loops, "compiled", lambda name: None)

    @settings(max_examples=30)
    @given(windows(rank), st.integers(1, 2))
    def check(w, multiplier):
        assert_agrees(depthwise, w, w.groups, multiplier * w.groups)

    check()


def square(size, before, after, strides=(1, 1), dilation=(1, 1), groups=1):
    """Windows of 3×3 with so many zeros around."""
    outputs = tuple(
        (n + b + a - 2 * d - 1) // s + 1
        for n, b, a, s, d in zip(size, before, after, strides, dilation, strict=True)
    )
    return Windows(size, (3, 3), outputs, strides, before, dilation, groups)


SQUARES = [
    ((4, 4), (0, 0), (0, 0)),
    ((3, 7), (0, 0), (0, 0)),
    ((6, 5), (1, 1), (1, 1)),
    ((7, 4), (2, 0), (2, 1)),
    ((5, 9), (0, 2), (1, 2)),
    ((4, 6), (5, 3), (3, 5)),  # windows that see zeros alone
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("size", "before", "after"), SQUARES)
def test_winograd(size, before, after, dtype, numba, blocks):
    w = square(size, before, after)
    assert_agrees(winograd, w, 16, 33, dtype)  # 33 is no multiple of the length of a vector
    assert_agrees(winograd, w, 2, 3, dtype)
    assert_agrees(winograd, w, 130, 20, dtype)  # more channels than one part of the kernel's gradient has


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "steps", [((1, 1), (1, 1)), ((2, 2), (1, 1)), ((1, 2), (1, 1)), ((1, 1), (1, 2))], ids=str
)
@pytest.mark.parametrize("channels", [16, 21, 32])
def test_depthwise_of_three_by_three(channels, steps, dtype, numba, blocks):
    for size, before, after in SQUARES:
        if steps[1] == (1, 2) and size[1] + before[1] + after[1] < 5:
            continue
        assert_agrees(depthwise, square(size, before, after, *steps, channels), channels, channels, dtype)


def test_compiled_transforms_are_numpys():
    """Each by itself, in float64 to the last bits."""
    pytest.importorskip("numba", exc_type=ImportError)
    compiled = loops.compiled("tiles")
    random = np.random.default_rng(0)
    x, m = random.standard_normal((2, 8, 6, 19)), random.standard_normal((16, 12, 19))
    g, bias = random.standard_normal((2, 6, 4, 19)), random.standard_normal(19)
    for module in (tiles, compiled):
        v, d, y = np.empty((16, 12, 19)), np.empty((16, 12, 19)), np.empty((2, 6, 4, 19))
        module.of_input(x, v), module.of_gradient(g, d), module.of_products(m, bias, (-math.inf, math.inf), y)
        if module is tiles:
            wanted = v, d, y
    for mine, expected in zip((v, d, y), wanted, strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-13, atol=1e-14)


def test_every_way_is_taken(monkeypatch):
    taken = numpy_convolution._way
    assert taken(8, 1, 32, 4, square((16, 16), (0, 0), (0, 0), groups=32)) is depthwise
    assert taken(8, 128, 128, 4, square((16, 16), (0, 0), (0, 0))) is winograd
    assert taken(8, 128, 128, 4, square((16, 16), (0, 0), (0, 0), strides=(2, 2))) is columns
    assert taken(1, 128, 128, 4, square((5, 5), (0, 0), (0, 0))) is columns  # too few tiles
    assert taken(8, 3, 32, 4, square((16, 16), (0, 0), (0, 0))) is columns
    monkeypatch.setattr(loops, "compiled", lambda name: None)
    assert taken(64, 32, 64, 4, square((16, 16), (0, 0), (0, 0))) is columns


def test_other_arrays_go_the_way_of_the_reference():
    w = square((5, 5), (1, 1), (1, 1))
    x, kernel, bias, g = arrays(w, 2, 3)
    own = numpy_convolution.NumpyConvolution(namespace)
    turned = np.asfortranarray(x)
    np.testing.assert_allclose(
        own.convolve(turned, kernel, bias, w), own.convolve(x, kernel, bias, w), rtol=1e-13
    )
    stretched = np.broadcast_to(g[:1, :1, :1], g.shape)
    np.testing.assert_allclose(
        own.convolve_kernel(x, stretched, w), own.convolve_kernel(x, stretched.copy(), w), rtol=1e-13
    )
    none = x[:0]
    assert own.convolve(none, kernel, bias, w).shape == (0, 5, 5, 3)
    np.testing.assert_array_equal(own.convolve_kernel(none, g[:0], w), np.zeros_like(kernel))
    halves = own.convolve(x.astype("float16"), kernel.astype("float16"), None, w)
    assert halves.dtype == "float16"


def all_ways(threads, monkeypatch):
    monkeypatch.setattr(Team, "_hold_blas", lambda self: threads)
    monkeypatch.setattr(Team, "_release_blas", lambda self: None)
    found = []
    for way, w, channels in [
        (columns, square((9, 9), (1, 1), (1, 1), (2, 2)), 24),
        (winograd, square((12, 12), (1, 1), (1, 1)), 70),
        (depthwise, square((12, 12), (1, 1), (1, 1), groups=32), 32),
    ]:
        x, kernel, bias, g = arrays(w, channels, channels, "float32", n=9)
        found += [
            way.forward(x, kernel, Ending(None, bias), w),
            way.input_gradient(g, kernel, w),
            way.kernel_gradient(x, g, w),
        ]
    return found


def test_the_bits_do_not_depend_on_the_number_of_threads(monkeypatch):
    one = all_ways(1, monkeypatch)
    for threads in (2, 3, 8):
        for mine, wanted in zip(all_ways(threads, monkeypatch), one, strict=True):
            np.testing.assert_array_equal(mine, wanted)


def test_an_error_in_a_block_is_raised_and_blas_gets_its_threads_back():
    pytest.importorskip("threadpoolctl")
    team = Team()
    team.run(len, [(1,)])
    before = [library.get_num_threads() for library in team._blas]

    def fails(block):
        assert [library.get_num_threads() for library in team._blas] == [1] * len(before)
        raise FloatingPointError(block)

    with pytest.raises(FloatingPointError):
        team.run(fails, [1, 2, 3])
    assert [library.get_num_threads() for library in team._blas] == before
    assert team.run(math.sqrt, [1.0, 4.0, 9.0]) == [1.0, 2.0, 3.0]


def test_results_come_in_the_order_of_the_blocks(monkeypatch):
    monkeypatch.setattr(Team, "_hold_blas", lambda self: 4)
    monkeypatch.setattr(Team, "_release_blas", lambda self: None)
    assert TEAM.run(lambda i: i * i, list(range(100))) == [i * i for i in range(100)]


@pytest.mark.parametrize("missing", ["threadpoolctl", "numba"])
def test_it_works_without_what_is_optional(missing):
    script = f"""
import sys
sys.modules[{missing!r}] = None
import numpy as np, nnx
x = np.ones((4, 16, 16, 64), dtype="float32")
y = nnx.layers.Conv2D(64, 3, kernel_initializer="ones")(x)
assert abs(y[0, 0, 0, 0] - 576) < 1e-2, y[0, 0, 0, 0]
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_has_threads_of_its_own(monkeypatch):
    monkeypatch.setattr(Team, "_hold_blas", lambda self: 2)
    monkeypatch.setattr(Team, "_release_blas", lambda self: None)
    TEAM.run(abs, [1, 2, 3])
    if (child := os.fork()) == 0:
        os._exit(0 if TEAM.run(abs, [1, -2, 3]) == [1, 2, 3] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
