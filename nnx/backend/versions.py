"""What is installed here: ``nnx.show_versions()`` and ``python -m nnx``."""

from __future__ import annotations

import os
import sys
from typing import Any

from nnx.backend.selection import available_backends

_PACKAGES = (
    "nnx", "numpy", "array-api-compat", "tqdm", "safetensors", "torch", "array-api-strict",
    "cupy-cuda13x", "cupy-cuda12x", "scipy", "matplotlib", "scikit-learn",
)  # fmt: skip


def show_versions() -> None:
    """Prints the versions of Python and of nnx's packages, and which backends work (or why not).

    Raises nothing: what is missing is said.

    >>> nnx.show_versions()
    python: ...
    """
    import platform
    from importlib import metadata  # here, because it would add 20 ms to `import nnx`

    print(f"python: {sys.version.split()[0]} on {platform.platform()}")
    for package in _PACKAGES:
        try:
            print(f"{package}: {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            print(f"{package}: not installed")
    for line in blas():
        print(f"blas: {line}")
    print("backends:")
    for name, state in available_backends().items():
        print(f"  {name}: {state}")


def blas() -> list[str]:
    """NumPy's BLAS, its kernels, and a hint where they do not use AVX-512; an empty list if not known.

    OpenBLAS chooses its kernels by the processor, or by OPENBLAS_CORETYPE in the environment. The kernels for
    a Haswell do not use AVX-512: matrix products then take up to twice as long.
    """
    try:
        import threadpoolctl
    except ImportError:
        return []
    lines = []
    for library in threadpoolctl.threadpool_info():
        if library["user_api"] != "blas":
            continue
        kernels = library.get("architecture", "unknown")
        lines.append(
            f"{library['internal_api']} {library['version']}, kernels for {kernels}, "
            f"{library['num_threads']} threads"
        )
        if library["internal_api"] == "openblas" and kernels in ("Haswell", "Zen") and _has_avx512():
            lines.append(f"  This processor has AVX-512: {_remedy()}.")
    return lines


def _remedy() -> str:
    chosen = os.environ.get("OPENBLAS_CORETYPE")
    if chosen and chosen != "SkylakeX":
        return f"OPENBLAS_CORETYPE={chosen} in the environment rules it out"
    return "try OPENBLAS_CORETYPE=SkylakeX in the environment"


def _has_avx512() -> bool:
    import numpy as np

    core: Any = getattr(np, "_core", None)
    features = getattr(getattr(core, "_multiarray_umath", None), "__cpu_features__", {})
    return bool(features.get("AVX512_SKX") or features.get("X86_V4"))
