"""Elementwise kernels of CuPy computed on the host: their text, compiled by the machine's C++ compiler.

CuPy makes a kernel of a preamble and an operation: around the operation it puts a loop over the entries ``i``
and a reference to entry ``i`` of each array. The same is done here, so that the text which a GPU gets is run
word for word. What CUDA has and C++ does not (``__umul64hi``, ``__device__``) stands in :data:`_CUDA`.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnx.backend import cupy_kernels, kernels
from nnx.backend.cupy_kernels import Kernel
from nnx.backend.recording import record

_CUDA = """
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
using namespace std;
#define __device__ static
#define __forceinline__ inline
static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return (unsigned long long)(((unsigned __int128)a * b) >> 64);
}
static inline float __int_as_float(int bits) {
    float value;
    __builtin_memcpy(&value, &bits, 4);
    return value;
}
"""
_TYPES = {
    "bool": "bool", "int8": "signed char", "int16": "short", "int32": "int", "int64": "long long",
    "uint8": "unsigned char", "uint16": "unsigned short", "uint32": "unsigned int",
    "uint64": "unsigned long long", "float32": "float", "float64": "double",
}  # fmt: skip
#: Products and sums are rounded one by one, as NumPy's are.
_OPTIONS = ("-O1", "-std=c++17", "-shared", "-fPIC", "-ffp-contract=off", "-x", "c++")
_FOLDER = tempfile.TemporaryDirectory(prefix="nnx-kernels-")


def compiler() -> str | None:
    """The C++ compiler of this machine: that of the environment variable CXX, or one of the usual names."""
    named = os.environ.get("CXX", "").split()
    return next(filter(None, map(shutil.which, (*named[:1], "c++", "g++", "clang++"))), None)


def need_compiler() -> None:
    """Skips the test, and says why, where there is no compiler."""
    if compiler() is None:
        pytest.skip("there is no C++ compiler here (c++, g++, clang++ or CXX): kernels cannot be computed")


def run(kernel: Kernel, *arguments: Any) -> None:
    """Computes the kernel for NumPy's ``arguments``, inputs and outputs, of which the outputs are written to.

    Arrays are C-contiguous and of one shape; numbers are the same for all entries. A letter as a type (``T``)
    stands for that of the first array which has it.
    """
    run_together([(kernel, *arguments)])


def run_together(calls: Sequence[tuple[Any, ...]]) -> None:
    """:func:`run` of several ``(kernel, *arguments)``, which are compiled together: that is much quicker."""
    numbers: dict[str, int] = {}
    ready = []
    for kernel, *arguments in calls:
        values, kinds, arrays = _values(kernel, arguments)
        text = source(kernel, kinds, arrays)
        ready.append((numbers.setdefault(text, len(numbers)), arguments[-1].size, values))
    library = _library(tuple(numbers))
    for number, size, values in ready:
        places = (ctypes.c_void_p * len(values))(*(value.ctypes.data for value in values))
        getattr(library, f"kernel_{number}")(ctypes.c_longlong(size), places)


def _values(kernel: Kernel, arguments: Sequence[Any]) -> tuple[list[Any], tuple[Any, ...], tuple[bool, ...]]:
    """The arguments as arrays; what each letter stands for; which arguments were arrays."""
    given = list(parameters(kernel))
    arrays = tuple(isinstance(value, np.ndarray) for value in arguments)
    kinds: dict[str, str] = {}
    for (kind, _), value, array in zip(given, arguments, arrays, strict=True):
        if kind not in _TYPES and array:
            kinds.setdefault(kind, str(value.dtype))
    typed = [np.dtype(kinds.get(kind, kind)) for kind, _ in given]
    values = [v if a else np.asarray(v, t) for v, a, t in zip(arguments, arrays, typed, strict=True)]
    for (_, name), value, wanted, array in zip(given, values, typed, arrays, strict=True):
        if value.dtype != wanted or not value.flags.c_contiguous:
            raise TypeError(f"{name} is of {value.dtype} instead of {wanted}, or not contiguous")
        if array and value.shape != arguments[-1].shape:
            raise ValueError(f"{name} has the shape {value.shape} instead of {arguments[-1].shape}")
    return values, tuple(kinds.items()), arrays


def updates_beside_numpy(cases: Sequence[tuple[Any, ...]]) -> None:
    """Asserts that the kernels which nnx writes for CuPy compute what NumPy does.

    Each case is ``(function, read, scalars, targets)``; targets: which of the vectors ``read`` each result
    overwrites (None: none). Zeros must have the same sign as well; of two NaN the sign is open.
    """
    calls, pairs = [], []
    for function, read, scalars, targets in cases:
        recording = record(function, len(read), len(scalars))
        kernel = cupy_kernels.update(recording, [x.dtype == bool for x in read])
        dtype = next(x.dtype for x in read if x.dtype != bool)
        (mine, out), (theirs, wanted) = (_placed(read, targets, dtype) for _ in range(2))
        with np.errstate(all="ignore"):
            kernels.at_once(recording, targets, dtype)(theirs, wanted, scalars)
        calls.append((kernel, *mine, *scalars, *out))
        pairs += [(function, *pair) for pair in zip(out, wanted, strict=True)]
    run_together(calls)
    for function, found, wanted in pairs:
        np.testing.assert_array_equal(found, wanted, err_msg=f"{function}")
        same_sign = (np.signbit(found) == np.signbit(wanted)) | np.isnan(wanted)
        assert same_sign.all(), f"{function}: {found[~same_sign]} instead of {wanted[~same_sign]}"


def _placed(read: Sequence[Any], targets: Sequence[int | None], dtype: Any) -> tuple[list[Any], list[Any]]:
    """Copies of what is read, and where the results are written."""
    given = [np.array(x) for x in read]
    return given, [np.full(read[0].shape, np.nan, dtype) if t is None else given[t] for t in targets]


def parameters(kernel: Kernel) -> list[tuple[str, str]]:
    """(type, name) of the inputs and outputs, in order."""
    each = [part.split() for part in f"{kernel.in_params},{kernel.out_params}".split(",") if part.strip()]
    return [(kind, name) for kind, name in each]


def source(kernel: Kernel, kinds: tuple[tuple[str, str], ...], arrays: tuple[bool, ...]) -> str:
    """The kernel's own text, and around it what CuPy puts: a loop over ``size`` entries at ``places``."""
    types = "".join(f"typedef {_TYPES[name]} {letter};\n" for letter, name in kinds)
    heads, entries = [], []
    outputs = len(kernel.out_params.split(","))
    given = parameters(kernel)
    for k, ((kind, name), array) in enumerate(zip(given, arrays, strict=True)):
        ctype = _TYPES.get(kind, kind)
        const = "const " if k < len(given) - outputs else ""
        heads.append(f"{const}{ctype} *_raw_{name} = ({const}{ctype} *)places[{k}];")
        entries.append(f"{const}{ctype} &{name} = _raw_{name}[{'i' if array else '0'}];")
    return "\n".join([
        types, kernel.preamble, f"static void {kernel.name}(long long size, void **places) {{", *heads,
        "for (ptrdiff_t i = 0; i < size; ++i) {", *entries, f"{kernel.operation};", "}", "}",
        f"const auto the_kernel = {kernel.name};",
    ])  # fmt: skip


@cache
def _library(texts: tuple[str, ...]) -> ctypes.CDLL:
    """The functions ``kernel_0``, ... of these texts."""
    need_compiler()
    handle, path = tempfile.mkstemp(".so", dir=_FOLDER.name)
    os.close(handle)
    parts = [
        f"namespace text_{k} {{\n{text}\n}}\n"
        f'extern "C" void kernel_{k}(long long n, void **places) {{ text_{k}::the_kernel(n, places); }}\n'
        for k, text in enumerate(texts)
    ]
    command = [str(compiler()), *_OPTIONS, "-o", path, "-"]
    text = _CUDA + "".join(parts)
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"the kernel is no C++: {done.stderr[:2000]}")
    return ctypes.CDLL(str(Path(path)))
