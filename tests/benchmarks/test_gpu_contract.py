"""The double of CuPy does what ``benchmarks/gpu/contract.py`` says of CuPy; its errors show late."""

from __future__ import annotations

from types import SimpleNamespace

import cupy_double
import numpy as np
import pytest
from cupy_double import surface
from cupy_double.device import CUDARuntimeError, Machine

from nnx.backend import to_numpy
from nnx.errors import IncompleteLibraries


@pytest.fixture
def cupys():
    with cupy_double.in_cupys_place() as backend:
        yield backend


def test_the_double_keeps_the_contract(modules, cupys):
    machine = SimpleNamespace(backend=cupys, name="cupy")
    failed = {}
    for check in modules.contract.checks(machine):
        try:
            check.run(machine)
        except Exception as error:
            failed[check.name] = f"{type(error).__name__}: {error}"
    assert failed == {}


def test_recorded_programs_are_checked_on_the_double_too(modules, cupys, monkeypatch):
    """The double computes a joined chain by C++, whose exp and tanh are a unit or two from NumPy's."""

    def near(found, wanted):
        a, b = np.asarray(to_numpy(found)), np.asarray(to_numpy(wanted))
        few = 64 * np.finfo(b.dtype).eps  # of sums of 256 numbers about as large as the largest one
        assert a.dtype == b.dtype and np.all(np.abs(a - b) <= few * (1.0 + np.max(np.abs(b))))

    monkeypatch.setattr(modules.jit, "same", near)
    machine = SimpleNamespace(backend=cupys, name="cupy", rehearsal=False)
    told = [check.run(machine) for check in modules.jit.checks(machine) if "the function" in check.name]
    assert told == ["bit for bit"] * 12
    with pytest.raises(modules.checks.Skip, match="does not capture it: CUDARuntimeError: cuda"):
        modules.jit.graph(machine, modules.jit.chain)


def test_a_contract_that_is_broken_is_found(modules, cupys, monkeypatch):
    import cupy

    machine = SimpleNamespace(backend=cupys, name="cupy")
    names = {check.name: check for check in modules.contract.checks(machine)}
    monkeypatch.setattr(cupy.ndarray, "__array__", lambda self, *_, **__: np.zeros(3))
    monkeypatch.setattr(cupys.adapter.xp, "sign", lambda x: x[x > 0.0])
    monkeypatch.setattr(cupy.linalg, "cholesky", lambda a: a)
    for name in names:
        if name.startswith(("Arrays become", "sign does not", "A factorization")):
            with pytest.raises(AssertionError):
                names[name].run(machine)


class TestErrorsOfTheDevice:
    def test_show_when_someone_waits(self, cupys):
        x = cupys.asarray([1.0, 2.0])
        Machine.failed = "cudaErrorIllegalAddress: an illegal memory access was encountered"
        y = x + x
        with pytest.raises(CUDARuntimeError, match="IllegalAddress"):
            to_numpy(y)
        with pytest.raises(CUDARuntimeError, match="IllegalAddress"):
            cupys.adapter.synchronize(cupys.device)

    def test_of_the_first_computation_are_told_as_what_they_are(self, cupys, monkeypatch):
        from nnx.backend import cupy_adapter

        monkeypatch.setattr(Machine, "failed", "CUDA_ERROR_INVALID_PTX")
        with pytest.raises(IncompleteLibraries, match="CUDA_ERROR_INVALID_PTX"):
            cupy_adapter.load()

    @pytest.mark.parametrize("name", ["cholesky", "solve_positive"])
    def test_a_library_that_is_missing_is_named_where_it_is_needed(self, cupys, monkeypatch, name):
        import cupy

        def fail(a):
            raise ImportError("Failure finding libcusolver.so.12")

        monkeypatch.setattr(cupy.linalg, "cholesky", fail)
        arguments = (cupy.eye(2), cupy.ones(2))[: 1 if name == "cholesky" else 2]
        with pytest.raises(IncompleteLibraries, match=r"libcusolver.*pip install 'cupy-cuda13x\[ctk\]'"):
            getattr(cupys.adapter, name)(*arguments)

    def test_an_error_of_a_kernel_is_no_missing_library(self, cupys, monkeypatch):
        import cupy

        monkeypatch.setattr(Machine, "failed", "cudaErrorLaunchFailure")
        with pytest.raises(CUDARuntimeError):
            cupys.adapter.cholesky(cupy.eye(2))


def test_the_double_has_the_names_and_parameters_of_cupy():
    cupy = pytest.importorskip("cupy", reason="CuPy's wheel is not installed")
    if cupy.__version__.split(".")[:2] != ["14", "2"]:
        pytest.skip(f"the names are those of CuPy 14.2, and this is {cupy.__version__}")
    assert surface.stored() == surface.surface()
