"""Elementwise kernels of CuPy computed on the host: their text, compiled by the machine's C++ compiler.

CuPy makes a kernel of a preamble and an operation: around the operation it puts a loop over the entries ``i``
and a reference to entry ``i`` of each array. The same is done here, so that the text which a GPU gets is run
word for word. What CUDA has and C++ does not (``__umul64hi``, ``__device__``) stands in :data:`_CUDA`.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnx.backend.cupy_kernels import Kernel

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
    given = list(parameters(kernel))
    kinds: dict[str, str] = {}
    for (kind, _), value in zip(given, arguments, strict=True):
        if kind not in _TYPES:
            kinds.setdefault(kind, str(np.asarray(value).dtype))
    arrays = [isinstance(value, np.ndarray) for value in arguments]
    typed = [np.dtype(kinds.get(kind, kind)) for kind, _ in given]
    values = [v if a else np.asarray(v, t) for v, a, t in zip(arguments, arrays, typed, strict=True)]
    for (_, name), value, wanted, array in zip(given, values, typed, arrays, strict=True):
        if value.dtype != wanted or not value.flags.c_contiguous:
            raise TypeError(f"{name} is of {value.dtype} instead of {wanted}, or not contiguous")
        if array and value.shape != arguments[-1].shape:
            raise ValueError(f"{name} has the shape {value.shape} instead of {arguments[-1].shape}")
    places = (ctypes.c_void_p * len(values))(*(value.ctypes.data for value in values))
    text = source(kernel, tuple(kinds.items()), tuple(arrays))
    getattr(_library(text), kernel.name)(ctypes.c_longlong(arguments[-1].size), places)


def parameters(kernel: Kernel) -> list[tuple[str, str]]:
    """(type, name) of the inputs and outputs, in order."""
    each = [part.split() for part in f"{kernel.in_params},{kernel.out_params}".split(",") if part.strip()]
    return [(kind, name) for kind, name in each]


def source(kernel: Kernel, kinds: tuple[tuple[str, str], ...], arrays: tuple[bool, ...]) -> str:
    """The text of a C++ function ``name(size, places)``: the kernel's own, and around it what CuPy puts."""
    types = "".join(f"typedef {_TYPES[name]} {letter};\n" for letter, name in kinds)
    heads, entries = [], []
    outputs = len(kernel.out_params.split(","))
    given = parameters(kernel)
    for k, ((kind, name), array) in enumerate(zip(given, arrays, strict=True)):
        ctype = _TYPES.get(kind, kind)
        const = "const " if k < len(given) - outputs else ""
        heads.append(f"{const}{ctype} *_raw_{name} = ({const}{ctype} *)places[{k}];")
        entries.append(f"{const}{ctype} &{name} = _raw_{name}[{'i' if array else '0'}];")
    preamble = re.sub(r'#include "cupy/float16.cuh"', "", kernel.preamble)  # half precision is not used
    return "\n".join([
        _CUDA, types, preamble,
        f'extern "C" void {kernel.name}(long long size, void **places) {{', *heads,
        "for (ptrdiff_t i = 0; i < size; ++i) {", *entries, f"{kernel.operation};", "}", "}",
    ])  # fmt: skip


@cache
def _library(text: str) -> ctypes.CDLL:
    need_compiler()
    handle, path = tempfile.mkstemp(".so", dir=_FOLDER.name)
    os.close(handle)
    done = subprocess.run(
        [str(compiler()), *_OPTIONS, "-o", path, "-"], input=text, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise AssertionError(f"the kernel is no C++: {done.stderr[:2000]}")
    return ctypes.CDLL(str(Path(path)))
