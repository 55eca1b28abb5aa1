"""The modules of the script for a GPU, which is run as ``python benchmarks/gpu``."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu"
MODULES = tuple(path.stem for path in sorted(SCRIPT.glob("[!_]*.py")) if path.stem != "suite_plugin")


@pytest.fixture
def modules(monkeypatch):
    """The script's own modules by name; nothing of them is left for other tests."""
    for folder in (SCRIPT, SCRIPT.parent):
        monkeypatch.syspath_prepend(str(folder))
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield SimpleNamespace(**{name: importlib.import_module(name) for name in MODULES})
    for name in MODULES:
        sys.modules.pop(name, None)
