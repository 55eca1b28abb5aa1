"""The matrix of backends: a test that takes the fixture ``backend`` runs once for each entry.

=========================  ===========================================================================
numpy                      NumPy as it is
numpy_readonly             results and inputs are read-only: catches writes to what one does not own
array_api_strict:device1   the standard and nothing else, on a device that refuses NumPy as a GPU does:
                           no boolean indexing, no data-dependent shapes, and a tripwire on
                           ``float()``, ``bool()``, ``int()`` of an array (each waits for a GPU)
torch                      PyTorch on the CPU, where it is installed
cupy_double                what nnx asks of CuPy, on a double of it (tests/cupy_double); for tests/backend
                           without being asked for
cupy                       CuPy; only when asked for (``--backend cupy``), for it needs a GPU
=========================  ===========================================================================

The entry is *not* made the current backend (that stays NumPy): code that creates an array on the current
backend instead of beside its input is then found out. Tests that mean it say ``use_backend(backend)``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack

import cupy_double
import hypothesis
import pytest
import readonly
import tripwire
import walks

from nnx.backend import Backend, make_backend

MATRIX = ("numpy", "numpy_readonly", "array_api_strict:device1", "torch")
#: What the tests in tests/backend run on as well.
OF_THE_BACKEND = ("cupy_double",)

# The same examples on every machine; the time limit of an example says nothing on a busy one.
hypothesis.settings.register_profile("nnx", derandomize=True, deadline=None)
hypothesis.settings.load_profile("nnx")


def pytest_configure(config: pytest.Config) -> None:
    walks.chosen = config.getoption("--case")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" in metafunc.fixturenames:
        named = os.environ.get("NNX_TEST_BACKEND", "").split(",")
        wanted = metafunc.config.getoption("--backend") or [name for name in named if name]
        close = ".backend." in f"{metafunc.module.__name__}."
        entries = wanted or (*MATRIX, *(OF_THE_BACKEND if close else ()))
        metafunc.parametrize("backend", entries, indirect=True)


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """A :class:`nnx.backend.Backend` of the matrix: ``backend.asarray(x, dtype="float64")`` makes inputs."""
    library = request.param.partition(":")[0]
    with ExitStack() as stack:
        if library == "numpy_readonly":
            yield stack.enter_context(readonly.read_only_numpy())
        elif library == "cupy_double":
            yield stack.enter_context(cupy_double.in_cupys_place())
        else:
            if library == "torch":
                pytest.importorskip("torch")
            if library == "array_api_strict":
                stack.enter_context(tripwire.like_a_gpu())
            yield make_backend(request.param)
