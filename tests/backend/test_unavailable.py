"""The three ways in which CuPy may be missing are told apart, and each says what to do."""

from __future__ import annotations

import json
import subprocess
import sys
import types

import pytest

from nnx.backend import available_backends, make_backend, selection
from nnx.errors import BackendNotInstalled, BackendUnavailable, IncompleteLibraries, NoUsableDevice

WHEELS = {"cupy": "cupy-cuda13x[ctk]", "torch": "torch", "array_api_strict": "array-api-strict"}


@pytest.fixture(scope="module")
def without_any():
    """What is said where none of them is installed: library → message, state, current backend."""
    code = f"""
import json, sys
sys.modules |= dict.fromkeys({list(WHEELS)})  # what Python does for a module that cannot be found
import nnx.backend as b
from nnx.errors import BackendNotInstalled
found = {{}}
for library in {list(WHEELS)}:
    try:
        b.set_backend(library)
    except BackendNotInstalled as error:
        found[library] = str(error), b.available_backends()[library], b.get_backend().name
print(json.dumps(found))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(run.stdout)


@pytest.mark.parametrize(("library", "wheel"), WHEELS.items())
def test_not_installed(library, wheel, without_any):
    message, state, current = without_any[library]
    assert message.startswith(f"Backend '{library}' was asked for, but it is not installed.")
    assert f"pip install '{wheel}'" in message or f"pip install {wheel}" in message
    assert state == f"BackendNotInstalled: {message}"
    assert current == "numpy"


def test_installed_but_broken_is_not_called_missing(monkeypatch):
    def broken(name):
        raise ImportError("libcudart.so.13: cannot open shared object file")

    monkeypatch.setattr(selection, "adapter", selection.adapter.__wrapped__)
    monkeypatch.setattr(selection.importlib, "import_module", broken)
    with pytest.raises(IncompleteLibraries, match=r"importing it failed: libcudart.so.13.*Reinstall"):
        make_backend("cupy")
    assert available_backends()["cupy"].startswith("IncompleteLibraries: ")


def test_a_dependency_of_the_library_is_missing(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError("No module named 'cuda'", name="cuda.pathfinder")

    monkeypatch.setattr(selection, "adapter", selection.adapter.__wrapped__)
    monkeypatch.setattr(selection.importlib, "import_module", missing)
    with pytest.raises(IncompleteLibraries, match="No module named 'cuda'"):
        make_backend("cupy")


class TestWithCupyInstalled:
    """The real CuPy, with and without a GPU. Skipped where its wheel is not installed."""

    @pytest.fixture
    def cupy(self):
        return pytest.importorskip("cupy", reason="CuPy's wheel is not installed")

    @pytest.fixture
    def load(self, cupy) -> types.FunctionType:
        from nnx.backend import cupy_adapter

        return cupy_adapter.load

    def test_no_usable_gpu(self, cupy):
        if cupy.is_available():
            pytest.skip("this machine has a GPU")
        with pytest.raises(NoUsableDevice, match=r"found no GPU that it can use: cudaError.*nvidia-smi"):
            make_backend("cupy")
        assert available_backends()["cupy"].startswith("NoUsableDevice: ")

    @pytest.mark.parametrize(
        "error",
        [
            ImportError("Failure finding libnvrtc.so.13"),
            RuntimeError("CUDA_ERROR_INVALID_PTX"),
            OSError("libcublas.so.13: cannot open shared object file"),
        ],
    )
    def test_incomplete_cuda_libraries(self, cupy, load, monkeypatch, error):
        """The driver answers, and the first computation finds no compiler, no cuBLAS, ..."""

        def fail(*args, **kwargs):
            raise error

        monkeypatch.setattr(cupy.cuda.runtime, "getDeviceCount", lambda: 1)
        monkeypatch.setattr(cupy, "ones", fail)
        with pytest.raises(
            IncompleteLibraries, match=r"sees a GPU.*pip install 'cupy-cuda13x\[ctk\]'"
        ) as caught:
            load()
        assert str(error) in str(caught.value)

    def test_a_gpu_that_is_not_there(self, cupy):
        if not cupy.is_available():
            pytest.skip("needs a GPU")
        with pytest.raises(NoUsableDevice, match="GPU 99"):
            make_backend("cupy", device=99)


@pytest.mark.parametrize("cls", [BackendNotInstalled, NoUsableDevice, IncompleteLibraries])
def test_one_except_clause_catches_all_three(cls):
    with pytest.raises(BackendUnavailable):
        raise cls("no")
