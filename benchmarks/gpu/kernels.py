"""Section: every kernel that nnx hands to CuPy, compiled by CUDA's compiler for three generations of GPUs.

These are the texts for random numbers and masks, the kernel that ``cupy.fuse`` makes of the step of each
optimizer of first order, and the one that holds the device in ``syncs.py``. Needs CuPy and NVRTC, no GPU:
``nox -s kernels`` runs it anywhere. What they compute is seen on a GPU by the other sections, and on the host
by ``tests/backend/test_cupy_kernels.py``.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import nvrtc
import syncs
import updates
from checks import Check, Found, Skip
from machine import Machine

FLOATS = ("float32", "float64")


class Rule(NamedTuple):
    """A step of an optimizer as its backend is asked for it."""

    function: Callable[..., Any]
    read: tuple[Any, ...]
    scalars: tuple[float, ...]


def checks(machine: Machine) -> Iterator[Check]:
    """In order of worth."""
    yield Check("random numbers and masks", lambda m: philox(), twice=False)
    yield Check("the kernel that holds the device", lambda m: held(), twice=False)
    yield Check("a text that is no program is refused", lambda m: refused(), twice=False)
    for options, dtype in (("plain", "float32"), ("everything", "float64")):
        for entry in updates.entries():
            name = f"{entry.name}, {options}, {dtype}"
            yield Check(name, lambda m, e=entry, o=options, d=dtype: fused(e, o, d), twice=False)


def need_cupy() -> None:
    """Raises Skip where CuPy or the compiler is not installed."""
    if importlib.util.find_spec("cupy") is None:
        raise Skip("CuPy is not installed")
    from cupy_backends.cuda.libs import nvrtc as library

    try:
        library.getVersion()
    except (ImportError, RuntimeError, OSError) as error:
        raise Skip(f"CUDA's compiler is not installed: {error}") from error


def everywhere(texts: dict[str, str], headers: bool = True) -> Found:
    """Compiles the texts for every capability."""
    rows: list[tuple[Any, ...]] = [("kernel", *(f"bytes for sm_{c}" for c in nvrtc.CAPABILITIES))]
    for name, text in texts.items():
        rows.append((name, *(nvrtc.compiled(text, c, headers) for c in nvrtc.CAPABILITIES)))
    return Found(f"{len(texts)} for {', '.join(f'sm_{c}' for c in nvrtc.CAPABILITIES)}", rows)


def philox() -> Found:
    need_cupy()
    from nnx.backend import cupy_adapter

    key = [np.uint64(1)] * 4
    mask = [*key, np.int64(1), np.float64(1.0)]
    texts = {"uniform": nvrtc.elementwise(cupy_adapter._philox_uniform, key, ["float64"])}
    for t in FLOATS:
        texts[f"keep_mask, {t}"] = nvrtc.elementwise(cupy_adapter._philox_keep, mask, [t])
    return everywhere(texts)


def held() -> Found:
    need_cupy()
    return everywhere({"spin": syncs._SPIN}, headers=False)


def refused() -> Found:
    need_cupy()
    from cupy.cuda.compiler import CompileException

    for capability in nvrtc.CAPABILITIES:
        try:
            nvrtc.compiled("__global__ void f() { nothing; }", capability)
        except CompileException:
            continue
        raise AssertionError(f"a text that is no program was compiled for sm_{capability}")
    return Found("by each of them")


def rules(entry: Any, options: str, dtype: str, n: int = 5) -> list[Rule]:
    """The steps, all different, that an optimizer asks its backend for in three iterations."""
    from nnx.backend import Adapter, make_backend

    seen: dict[Any, Rule] = {}
    adapter = make_backend("numpy").adapter

    def record(function: Any, read: Any, write: Any, scalars: tuple[float, ...] = ()) -> None:
        copies = tuple(np.array(x) for x in read)
        seen.setdefault((function, tuple(x.dtype for x in read)), Rule(function, copies, scalars))
        Adapter.map_inplace(adapter, function, read, write, scalars)

    optimizer = entry.create(**updates.OPTIONS[options])
    problem, w = updates.quadratic(make_backend("numpy"), dtype, n)
    adapter.map_inplace = record
    try:
        state = optimizer.init(problem, w)
        for _ in range(3):
            w, state, _ = optimizer.step(problem, w, state)
    finally:
        del adapter.map_inplace
    return list(seen.values())


def fused(entry: Any, options: str, dtype: str) -> Found:
    need_cupy()
    texts = {}
    for k, (function, read, scalars) in enumerate(rules(entry, options, dtype)):
        kernel = nvrtc.fused(function, (*read, *scalars), "nnx_update")
        made = [p.dtype for p in kernel.out_params]
        if any(t != np.dtype(dtype) for t in made):
            raise AssertionError(f"the results are of {', '.join(map(str, made))} instead of {dtype}")
        texts[f"{entry.name} {k}"] = nvrtc.elementwise(
            kernel, [*(str(x.dtype) for x in read), *scalars], made
        )
    if not texts:
        raise Skip("its step is no elementwise function")
    return everywhere(texts)
