"""``import nnx`` is light: it loads no array library but NumPy, and nothing that only some users need."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Loaded when something asks for them. How long the import takes is measured by hand
# (python -X importtime -c "import nnx"); which modules it may load decides it, and that can be tested.
LIBRARIES = {
    "array_api_strict", "cupy", "jax", "torch",
    "matplotlib", "pandas", "safetensors", "scipy", "sklearn", "tqdm",
}  # fmt: skip
# 10 ms and more each (array_api_compat.numpy, needed with the first array: 100 ms)
SLOW = {
    "array_api_compat",
    "asyncio",
    "email",
    "http",
    "importlib.metadata",
    "multiprocessing",
    "ssl",
    "unittest",
}


def loaded_by(statement: str) -> set[str]:
    """The modules that a new interpreter has after ``statement``, beyond what NumPy itself loads."""
    show = "import sys; before = set(sys.modules); {}; print('\\n'.join(set(sys.modules) - before))"
    code = "import numpy; " + show.format(statement)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


@pytest.mark.parametrize("statement", ["import nnx", "import nnx.backend"])
def test_importing_loads_no_library_that_was_not_asked_for(statement):
    assert loaded_by(statement) & (LIBRARIES | SLOW) == set()


def test_computing_with_numpy_loads_numpys_adapter_alone():
    loaded = loaded_by("import nnx.backend as b; b.namespace(b.asarray([1.0]))")
    assert "nnx.backend.numpy_adapter" in loaded
    assert loaded & LIBRARIES == set()


def test_python_m_nnx_tells_versions_and_backends():
    run = subprocess.run([sys.executable, "-m", "nnx"], capture_output=True, text=True, check=True)
    assert "numpy: ok" in run.stdout
    assert f"python: {sys.version.split()[0]}" in run.stdout
