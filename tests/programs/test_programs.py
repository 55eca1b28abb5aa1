"""Programs that were not written for nnx: plain NumPy (this folder) and the standard (``standard/``).

A program is a module with a docstring, functions, and ``example()``, which gives the function that is
differentiated, the arguments with respect to which, and the others. Nothing in it knows of nnx. Its set
``CANNOT`` names who cannot express it, HIPS/autograd or JAX: for these two, the source is run again with
their ``numpy`` and ``scipy`` in the place of NumPy and SciPy.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import scipy.special

import nnx
from nnx.backend import Backend

# XLA takes its time over programs of many small steps, and most of it to fuse them.
QUICKLY = {
    "xla_backend_optimization_level": 0,
    "xla_disable_hlo_passes": "fusion",
    "xla_llvm_disable_expensive_passes": True,
}
HERE = Path(__file__).parent
PROGRAMS = sorted(path.stem for path in HERE.glob("*.py") if not path.stem.startswith("test_"))
STANDARD = sorted(path.stem for path in (HERE / "standard").glob("*.py"))
# All arrays that these compute with are given to them or made of given ones, by NumPy's functions.
ON_CUPY = (
    "arma", "black_scholes", "camera", "heat_equation", "hidden_markov", "ica", "image_filter", "kepler",
    "kernel_density", "logistic_regression", "lotka_volterra", "low_rank", "nbody", "neural_ode",
    "variational_inference",
)  # fmt: skip


@cache
def load(name: str, library: str = "") -> ModuleType:
    """The program; with the NumPy and SciPy of ``library`` (autograd, jax) if one is named."""
    path = HERE / f"{name}.py"
    source = path.read_text(encoding="utf-8")
    if library:
        source = re.sub(r"^(import|from) (numpy|scipy)\b", rf"\1 {library}.\2", source, flags=re.MULTILINE)
    module = ModuleType(path.stem)
    exec(compile(source, str(path), "exec"), vars(module))
    return module


@cache
def example(name: str) -> tuple[Any, tuple[Any, ...], tuple[Any, ...]]:
    """Function, where, data; the arrays are read-only, for a program owns only what it made itself."""
    function, where, data = load(name).example()
    leaves, build = nnx.autodiff.flatten((where, data))
    for leaf in leaves:
        if isinstance(leaf, np.ndarray):
            leaf.flags.writeable = False
    return function, *build(leaves)


def gradient(name: str) -> Any:
    function, where, data = example(name)
    return nnx.grad(function, argnums=range(len(where)))(*where, *data)


@pytest.mark.parametrize("name", PROGRAMS + [f"standard/{name}" for name in STANDARD])
def test_a_program_says_what_it_is_and_knows_nothing_of_nnx(name: str) -> None:
    assert load(name).__doc__
    assert "nnx" not in (HERE / f"{name}.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_value_is_numpys(name: str) -> None:
    function, where, data = example(name)
    value, _ = nnx.value_and_grad(function, argnums=range(len(where)))(*where, *data)
    np.testing.assert_allclose(value, function(*where, *data), rtol=1e-12)


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_derivatives_are_those_of_finite_differences(name: str) -> None:
    function, where, data = example(name)
    nnx.check_derivatives(lambda *x: function(*x, *data), *where)


@pytest.mark.parametrize("library", ["autograd", pytest.param("jax", marks=pytest.mark.parity)])
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_gradient_is_that_of(library: str, name: str) -> None:
    if library in getattr(load(name), "CANNOT", ()):
        pytest.skip(f"{library} cannot express it: see CANNOT in the program")
    expected = {"autograd": by_autograd, "jax": by_jax}[library](name)
    for g, h in zip(flat(gradient(name)), flat(expected), strict=True):
        np.testing.assert_allclose(g, h, rtol=1e-9, atol=1e-9 * np.max(np.abs(h)))


def by_autograd(name: str) -> Any:
    autograd = pytest.importorskip("autograd")
    function, where, data = example(name)
    translated = getattr(load(name, "autograd"), function.__name__)
    return autograd.grad(translated, tuple(range(len(where))))(*where, *data)


def by_jax(name: str) -> Any:
    """Compiled as a whole, which is faster than operation by operation, where control flow allows it."""
    jax = pytest.importorskip("jax", "0.8")
    function, where, data = example(name)
    translated = getattr(load(name, "jax"), function.__name__)
    with jax.enable_x64(True):
        data = jax.tree.map(jax.numpy.asarray, data)
        gradient = jax.grad(lambda *x: translated(*x, *data), range(len(where)))
        try:
            return jax.jit(gradient, compiler_options=QUICKLY)(*where)
        except jax.errors.TracerBoolConversionError:
            return gradient(*where)


def flat(tree: Any) -> list[Any]:
    """The arrays of a gradient, those of a dictionary in the order of its keys (JAX sorts them)."""
    if isinstance(tree, dict):
        tree = [tree[key] for key in sorted(tree)]
    if isinstance(tree, list | tuple):
        return [leaf for part in tree for leaf in flat(part)]
    return [np.asarray(tree)]


def test_the_greeks_are_those_of_the_textbook() -> None:
    price, spot = load("black_scholes").call_price, 1.05
    strike, rate, volatility, maturity = 1.0, 0.03, 0.2, 0.5
    rest = (strike, rate, volatility, maturity)
    d1 = (np.log(spot / strike) + (rate + volatility**2 / 2) * maturity) / (volatility * np.sqrt(maturity))
    density = np.exp(-(d1**2) / 2) / np.sqrt(2 * np.pi)
    delta = nnx.grad(price)
    np.testing.assert_allclose(delta(spot, *rest), scipy.special.ndtr(d1), rtol=1e-13)
    gamma = density / (spot * volatility * np.sqrt(maturity))
    np.testing.assert_allclose(nnx.grad(delta)(spot, *rest), gamma, rtol=1e-12)
    vega = spot * density * np.sqrt(maturity)
    np.testing.assert_allclose(nnx.grad(price, argnums=3)(spot, *rest), vega, rtol=1e-12)
    speed = -gamma / spot * (d1 / (volatility * np.sqrt(maturity)) + 1.0)
    np.testing.assert_allclose(nnx.grad(nnx.grad(delta))(spot, *rest), speed, rtol=1e-11)


@pytest.mark.parametrize("name", ON_CUPY)
def test_the_gradient_on_cupy(name: str) -> None:
    cupy = pytest.importorskip("cupy")
    if not cupy.is_available():
        pytest.skip("needs a GPU")
    function, where, data = example(name)
    leaves, build = nnx.autodiff.flatten((where, data))
    # Integers are indices, which Python counts with: they stay where they are.
    moved = [cupy.asarray(leaf) if np.asarray(leaf).dtype.kind == "f" else leaf for leaf in leaves]
    where, data = build(moved)
    got = nnx.grad(function, argnums=range(len(where)))(*where, *data)
    for g, h in zip(nnx.autodiff.flatten(got)[0], nnx.autodiff.flatten(gradient(name))[0], strict=True):
        np.testing.assert_allclose(cupy.asnumpy(g), h, rtol=1e-9, atol=1e-9 * np.max(np.abs(h)))


@pytest.mark.parametrize("name", STANDARD)
def test_the_value_of_programs_in_the_standard(name: str, backend: Backend) -> None:
    function, where, data = on(backend, name)
    value, _ = nnx.value_and_grad(function, argnums=range(len(where)))(*where, *data)
    original, where, data = example(name)
    np.testing.assert_allclose(nnx.to_numpy(value), original(*where, *data), rtol=1e-12)


@pytest.mark.parametrize("name", STANDARD)
def test_the_derivatives_of_programs_in_the_standard(name: str, backend: Backend) -> None:
    function, where, data = on(backend, name)
    nnx.check_derivatives(lambda *x: function(*x, *data), *where)


def on(backend: Backend, name: str) -> tuple[Any, tuple[Any, ...], tuple[Any, ...]]:
    """The program's version in the standard, with the same arguments as arrays of ``backend``."""
    original, where, data = example(name)
    leaves, build = nnx.autodiff.flatten((where, data))
    function = getattr(load(f"standard/{name}"), original.__name__)
    return function, *build([backend.asarray(leaf, dtype="float64") for leaf in leaves])
