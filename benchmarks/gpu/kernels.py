"""Section: every kernel that nnx hands to CuPy, compiled by CUDA's compiler for three generations of GPUs.

These are the texts for random numbers and masks, the one that nnx writes of the step of each optimizer of
first order, and the one that holds the device in ``syncs.py``. Needs CuPy and NVRTC, no GPU: ``nox -s
kernels`` runs it anywhere. What they compute is seen on a GPU by the other sections, and on the host by
``tests/backend/test_cupy_kernels.py`` and ``tests/benchmarks/test_gpu_kernels.py``.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import adapter
import numpy as np
import nvrtc
import syncs
import updates
from checks import Check, Found, Skip
from machine import Machine

FLOATS = ("float16", "float32", "float64")


class Rule(NamedTuple):
    """A step of an optimizer as its backend is asked for it."""

    function: Callable[..., Any]
    read: tuple[Any, ...]
    scalars: tuple[float, ...]
    #: which of the vectors that are read each result overwrites; None where none
    targets: tuple[int | None, ...]


def checks(machine: Machine) -> Iterator[Check]:
    """In order of worth."""
    yield Check("random numbers and masks", lambda m: philox(), twice=False)
    yield Check("the kernel that holds the device", lambda m: held(), twice=False)
    yield Check("a text that is no program is refused", lambda m: refused(), twice=False)
    yield Check("every operation of a step", lambda m: operations(), twice=False)
    for options, types in (("plain", FLOATS), ("everything", ("float32",))):
        for entry in updates.entries():
            name = f"{entry.name}, {options}"
            yield Check(name, lambda m, e=entry, o=options, t=types: step(e, o, t), twice=False)


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
    for t in ("float32", "float64"):
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
    numpys = make_backend("numpy").adapter

    def mapping(function: Any, read: Any, write: Any, count: int) -> Callable[[tuple[float, ...]], None]:
        places = {id(x): k for k, x in enumerate(read)}
        targets = tuple(places.get(id(x)) for x in write)

        def evaluate(scalars: tuple[float, ...]) -> None:
            rule = Rule(function, tuple(np.array(x) for x in read), scalars, targets)
            seen.setdefault((function, tuple(x.dtype for x in read)), rule)
            Adapter.mapping(numpys, function, read, write, count)(scalars)

        return evaluate

    optimizer = entry.create(**updates.OPTIONS[options])
    problem, w = updates.quadratic(make_backend("numpy"), dtype, n)
    numpys.mapping = mapping
    try:
        state = optimizer.init(problem, w)
        for _ in range(3):
            w, state, _ = optimizer.step(problem, w, state)
    finally:
        del numpys.mapping
    return list(seen.values())


def text(rule: Rule) -> Any:
    """The kernel of a step as nnx writes it; raises AssertionError where there is none."""
    from nnx.backend import cupy_kernels
    from nnx.backend.recording import record

    recording = record(rule.function, len(rule.read), len(rule.scalars))
    kernel = recording and cupy_kernels.update(recording, [x.dtype == bool for x in rule.read])
    if not kernel:
        raise AssertionError(f"{rule.function} is no kernel")
    return kernel


def step(entry: Any, options: str, types: Sequence[str]) -> Found:
    """Compiles an optimizer's step for these types."""
    need_cupy()
    found = rules(entry, options, "float64")
    if not found:
        raise Skip("its step is no elementwise function")
    texts = {}
    for k, rule in enumerate(found):
        texts |= typed(f"{entry.name} {k}", rule, types)
    return everywhere(texts)


def operations() -> Found:
    """Compiles a function of every operation, with bools and constants of all kinds, for all types."""
    need_cupy()
    rule = Rule(adapter.operations, (np.ones(1), np.ones(1), np.ones(1, bool)), (0.5,), (None,) * 5)
    return everywhere(typed("operations", rule, FLOATS))


def typed(name: str, rule: Rule, types: Sequence[str]) -> dict[str, str]:
    """What CuPy makes of a step's kernel for each type of real numbers."""
    import cupy

    kernel = cupy.ElementwiseKernel(**text(rule)._asdict())
    texts = {}
    for t in types:
        given = [*("bool" if x.dtype == bool else t for x in rule.read), *rule.scalars]
        texts[f"{name}, {t}"] = nvrtc.elementwise(kernel, given, [t] * kernel.nout)
    return texts
