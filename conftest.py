"""What tests and the doctests of the package share. The matrix of backends is in tests/conftest.py."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest

# A user's own choice of backend must not decide what is tested.
os.environ.pop("NNX_BACKEND", None)
# Bytecode is kept: many tests start nnx in processes of their own, which would compile its 440 files each
# time, as each process of the tests would compile the tests.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# Pictures are drawn without a window.
os.environ.setdefault("MPLBACKEND", "Agg")

# Modules that only import where their library is installed have no doctests to lose.
collect_ignore = [
    f"nnx/backend/{module}.py"
    for module, library in {
        "cupy_adapter": "cupy", "cupy_graphs": "cupy", "cupy_namespace": "cupyx",
        "torch_adapter": "torch", "compiled_masks": "numba",
    }.items()
    if importlib.util.find_spec(library) is None
]  # fmt: skip
if importlib.util.find_spec("matplotlib") is None:
    collect_ignore += ["nnx/plotting", "tests/plotting"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--backend",
        action="append",
        metavar="NAME",
        help="run the `backend` tests with this entry of the matrix alone (may be repeated); also the "
        "environment variable NNX_TEST_BACKEND, with names separated by commas. "
        "Default: every entry that needs no GPU.",
    )
    parser.addoption(
        "--case",
        default="",
        metavar="TEXT",
        help="in tests that walk through many cases (tests/walks.py): only those with this in their names",
    )


@pytest.fixture(autouse=True)
def _global_backend_is_put_back() -> Iterator[None]:
    """A test or doctest that calls ``set_backend`` changes nothing for the next one."""
    from nnx.backend import selection

    before = selection._global
    yield
    selection._global = before


@pytest.fixture(autouse=True)
def _figures_are_closed() -> Iterator[None]:
    """A test, doctest or page whose code draws leaves no figure of pyplot to the next one."""
    yield
    if (plt := sys.modules.get("matplotlib.pyplot")) is not None:
        plt.close("all")


@pytest.fixture(autouse=True, scope="session")
def _doctest_names(doctest_namespace: dict[str, Any]) -> None:
    """Doctests may use ``nnx`` and ``np`` without importing them."""
    import numpy as np

    import nnx

    doctest_namespace |= {"nnx": nnx, "np": np}
