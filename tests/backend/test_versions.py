"""``nnx.show_versions()``: what a bug report should begin with."""

from __future__ import annotations

import sys
from importlib import metadata

from nnx.backend import available_backends, show_versions


def test_names_python_the_packages_and_every_backend(capsys):
    show_versions()
    out = capsys.readouterr().out
    assert out.startswith(f"python: {sys.version.split()[0]} on ")
    assert f"\nnumpy: {metadata.version('numpy')}\n" in out
    for name, state in available_backends().items():
        assert f"\n  {name}: {state}" in out
