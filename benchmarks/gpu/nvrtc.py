"""CuPy's kernels as CUDA's compiler gets them, and their compilation for any GPU; none need be there.

CuPy 14 asks the device for its compute capability before it compiles, so the two steps before, the text of an
elementwise kernel and the call of NVRTC with CuPy's headers and options, are taken one by one. They are not
public: another version of CuPy may name them otherwise, which then shows as an error, not as a success.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

#: Turing (T4, RTX 20), Ampere (A100), Hopper (H100, H200): compute capabilities 7.5, 8.0 and 9.0.
CAPABILITIES = ("75", "80", "90")


def elementwise(kernel: Any, inputs: Sequence[Any], outputs: Sequence[Any]) -> str:
    """The text of a ``cupy.ElementwiseKernel`` for these arguments.

    A number of NumPy's among the ``inputs`` is a number there, a float one of the type that the kernel says;
    a name of a dtype is a vector.
    """
    import cupy
    from cupy._core import _carray, _kernel, _scalar

    numbers = [not isinstance(x, str) for x in inputs]
    kinds = [
        None if type(x) is float else np.asarray(x).dtype if number else np.dtype(x)
        for x, number in zip(inputs, numbers, strict=True)
    ]
    taken, made, types = kernel._decide_params_type(tuple(kinds), tuple(map(np.dtype, outputs)))
    infos = [
        _kernel._ArgInfo(3, _scalar.CScalar, t, 0, True, True)
        if number
        else _kernel._ArgInfo(1, cupy.ndarray, t, 1, True, True)
        for t, number in zip(taken, numbers, strict=True)
    ]
    infos += [_kernel._ArgInfo(1, cupy.ndarray, t, 1, True, True) for t in made]
    infos.append(_kernel._ArgInfo(2, _carray.Indexer, None, 1, True, True))
    return _kernel._get_elementwise_kernel_code(
        tuple(infos), types, kernel.params, kernel.operation, kernel.name, kernel.preamble
    )


def compiled(text: str, capability: str, headers: bool = True) -> int:
    """The size in bytes of the machine code for that compute capability; raises what CUDA's compiler says."""
    from cupy._core import core
    from cupy.cuda import compiler

    if headers:
        text = "".join(f"#include <{name}>\n" for name in core._cupy_header_list) + text
    options = (*core.assemble_cupy_compiler_options(()), "-ftz=true", f"-arch=sm_{capability}")
    code, _ = compiler._NVRTCProgram(text, "nnx.cu", method="cubin").compile(options)
    if not code.startswith(b"\x7fELF"):
        raise AssertionError(f"not machine code, but {code[:40]!r}")
    return len(code)
