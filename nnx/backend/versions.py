"""What is installed here: ``nnx.show_versions()`` and ``python -m nnx``."""

from __future__ import annotations

import sys

from nnx.backend.selection import available_backends

_PACKAGES = (
    "nnx", "numpy", "array-api-compat", "tqdm", "safetensors", "torch", "array-api-strict",
    "cupy-cuda13x", "cupy-cuda12x", "scipy", "matplotlib", "scikit-learn",
)  # fmt: skip


def show_versions() -> None:
    """Prints Python, the packages that matter to nnx, and which backends work (or why not)."""
    import platform
    from importlib import metadata  # here, because it takes 20 ms that `import nnx` need not spend

    print(f"python: {sys.version.split()[0]} on {platform.platform()}")
    for package in _PACKAGES:
        try:
            print(f"{package}: {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            print(f"{package}: not installed")
    print("backends:")
    for name, state in available_backends().items():
        print(f"  {name}: {state}")
