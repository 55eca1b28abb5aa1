"""What ``cupy.fuse`` makes of the step of each optimizer, computed on the host; needs CuPy and no GPU."""

from __future__ import annotations

import numpy as np
import on_the_cpu
import pytest

from nnx import optimizers
from nnx.backend.cupy_kernels import Kernel

NAMES = [e.name for e in optimizers.registry if issubclass(e.target, optimizers.FirstOrder)]


@pytest.fixture(autouse=True)
def _needed():
    pytest.importorskip("cupy", reason="CuPy's wheel is not installed")
    on_the_cpu.need_compiler()


def text(kernel) -> Kernel:
    """The text of a ``cupy.ElementwiseKernel``."""
    given, made = (
        ", ".join(f"{p.dtype} {p.name}" for p in params) for params in (kernel.in_params, kernel.out_params)
    )
    return Kernel(given, made, kernel.operation, kernel.name, kernel.preamble)


def computed(modules, function, read, scalars) -> list[np.ndarray]:
    kernel = text(modules.nvrtc.fused(function, (*read, *scalars), "nnx_update"))
    made = [np.full(read[0].shape, np.nan, part.split()[0]) for part in kernel.out_params.split(", ")]
    on_the_cpu.run(kernel, *read, *scalars, *made)
    return made


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("options", ["plain", "everything"])
@pytest.mark.parametrize("name", NAMES)
def test_the_fused_step_of_each_optimizer_is_its_rule(modules, name, options, dtype):
    entry = next(e for e in modules.updates.entries() if e.name == name)
    steps = modules.kernels.rules(entry, options, dtype, n=1001)
    if not steps:
        pytest.skip("its step is no elementwise function")
    for function, read, scalars in steps:
        for found, wanted in zip(
            computed(modules, function, read, scalars), function(np, *read, *scalars), strict=True
        ):
            assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
            # The same operations in the same order; NumPy has an exp of its own.
            np.testing.assert_allclose(found, wanted, rtol=4 * np.finfo(dtype).eps, atol=0)


def test_vectors_may_change_places(modules):
    a, b = np.arange(5.0), np.arange(5.0) + 10.0
    first, second = computed(modules, lambda xp, a, b: (b, a), (a, b), ())
    np.testing.assert_array_equal(first, b)
    np.testing.assert_array_equal(second, a)
