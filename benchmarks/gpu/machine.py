"""The machine under test: the backend, how its time is taken, and what the report says about it.

``cupy`` is meant. Any other backend is a rehearsal without a GPU: all that is not CuPy's own runs for real on
small sizes, so that the day a GPU is there is not spent on the script itself. Timings then mean nothing.
"""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from typing import Any

PACKAGES = (
    "numpy", "cupy-cuda13x", "cupy-cuda12x", "array-api-compat", "array-api-strict", "scipy", "torch",
    "safetensors", "tqdm", "pytest", "pytest-xdist", "hypothesis", "nvidia-cublas", "nvidia-cuda-nvrtc",
)  # fmt: skip


@dataclass(frozen=True)
class Machine:
    """A backend by its name, as ``nnx.set_backend`` and ``pytest --backend`` take it."""

    name: str

    @property
    def rehearsal(self) -> bool:
        """Whether this is not a GPU by CuPy."""
        return self.name.partition(":")[0] != "cupy"

    @cached_property
    def backend(self) -> Any:
        """The backend of nnx. Raises ``nnx.errors.BackendUnavailable`` where there is none."""
        from nnx.backend import make_backend

        return make_backend(self.name)

    def sized(self, real: int, rehearsed: int) -> int:
        """A size for the GPU, or the small one of a rehearsal."""
        return rehearsed if self.rehearsal else real

    def synchronize(self) -> None:
        """Waits for the device; raises what went wrong on it since."""
        self.backend.adapter.synchronize(self.backend.device)

    def stopwatch(self, library: str = "cupy") -> Callable[[], Callable[[], tuple[float, float]]]:
        """``start()`` gives ``stop()``, which gives (seconds on the device, seconds until the host was free).

        ``library`` is ``"cupy"`` or ``"torch"``: whose events are recorded, in whose current stream.
        """
        if self.rehearsal:
            return _by_the_clock
        if library == "torch":
            import torch

            return lambda: _by_events(
                lambda: torch.cuda.Event(enable_timing=True), lambda a, b: a.elapsed_time(b)
            )
        import cupy

        return lambda: _by_events(cupy.cuda.Event, cupy.cuda.get_elapsed_time)

    @property
    def torch_device(self) -> str:
        """Where PyTorch computes: on the same GPU."""
        return "cpu" if self.rehearsal else "cuda"

    def facts(self) -> Iterator[tuple[str, str]]:
        """What a reader of the report must know: (name, value)."""
        yield "backend", f"{self.name}{' (a rehearsal: timings mean nothing)' if self.rehearsal else ''}"
        yield "Python", f"{platform.python_version()} on {platform.platform()}, {os.cpu_count()} cores"
        for package in PACKAGES:
            try:
                yield package, metadata.version(package)
            except metadata.PackageNotFoundError:
                continue
        if not self.rehearsal:
            for name, ask in self._gpu().items():
                try:
                    yield name, str(ask())
                except Exception as error:  # what cannot be found out stops nothing
                    yield name, f"not known: {type(error).__name__}: {error}"

    def _gpu(self) -> dict[str, Callable[[], Any]]:
        import cupy

        runtime, device = cupy.cuda.runtime, self.backend.device

        def of(name: str) -> Any:
            return runtime.getDeviceProperties(device.id)[name]

        return {
            "GPU": lambda: of("name").decode(),
            "compute capability": lambda: device.compute_capability,
            "multiprocessors": lambda: of("multiProcessorCount"),
            "memory": lambda: f"{of('totalGlobalMem') / 2**30:.1f} GiB",
            "driver": _driver,
            "CUDA of the driver": runtime.driverGetVersion,
            "CUDA of CuPy": runtime.runtimeGetVersion,
            "CUPY_* and CUDA_*": lambda: {k: v for k, v in os.environ.items() if k[:5] in ("CUPY_", "CUDA_")},
        }


def _by_the_clock() -> Callable[[], tuple[float, float]]:
    began = time.perf_counter()

    def stop() -> tuple[float, float]:
        took = time.perf_counter() - began
        return took, took

    return stop


def _by_events(event: Callable[[], Any], milliseconds: Any) -> Callable[[], tuple[float, float]]:
    first, last = event(), event()
    first.record()
    began = time.perf_counter()

    def stop() -> tuple[float, float]:
        last.record()
        host = time.perf_counter() - began
        last.synchronize()
        return milliseconds(first, last) / 1e3, host

    return stop


def _driver() -> str:
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    return subprocess.run(query, capture_output=True, text=True, timeout=20, check=True).stdout.strip()
