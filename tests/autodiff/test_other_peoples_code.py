"""Gradients of other people's array API code: SciPy (SCIPY_ARRAY_API=1), scikit-learn, array-api-extra.

Every function of ``programs_of_others.py`` either has the gradient that finite differences give, on each
array library, or is listed here with the reason why it cannot be.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
from walks import walk

# How much of their code follows the array API grows from version to version.
for library, version in (("scipy", "1.17"), ("sklearn", "1.9"), ("array_api_extra", "0.11")):
    pytest.importorskip(library, minversion=version)
scipy = importlib.import_module("scipy")

PROGRAMS = importlib.import_module("autodiff.programs_of_others").PROGRAMS
HERE = Path(__file__).parent
LIBRARIES = ("numpy", "array_api_strict", "torch")

_TO_NUMPY = r"np\.asarray\(x\).*its gradient would silently be lost"
_TO_A_NUMBER = r"(float|int)\(x\).*its gradient would silently be lost"
_SETS = r"xp\.unique_\w+ cannot be part.*chooses by value"
#: Code that leaves the array API: what it runs into.
LEAVES = {
    "scipy.expm": _TO_NUMPY,
    "scipy.dct": _TO_NUMPY,
    "scipy.detrend": _TO_NUMPY,
    "sklearn.LinearRegression": _TO_NUMPY,
    "scipy.convolve": _TO_A_NUMBER,  # it chooses its method by the size of the numbers; method="fft" works
    "sklearn.mean_squared_error_as_a_float": _TO_A_NUMBER,  # multioutput="raw_values" gives an array
    "sklearn.mean_gamma_deviance": _TO_A_NUMBER,
    "sklearn.log_loss": rf"{_TO_A_NUMBER}|Multiple namespaces",
    "array_api_extra.nunique": _SETS,
    "array_api_extra.setdiff1d": _SETS,
}
if scipy.__version__.startswith("1.17."):  # since 1.18 it follows the array API
    LEAVES["integrate.simpson"] = _TO_NUMPY
#: Code that divides 0 by 0 on its way and overwrites the result: 0·nan in the derivative, as everywhere.
NAN = {"sklearn.StandardScaler"}
#: Code that asks for the one namespace of a traced array and of a comparison's result. That is a constant of
#: the same namespace where the library takes such constants for an index (NumPy), else a plain array, since
#: much code indexes plain arrays by it. PyTorch would take a constant that has ``__torch_function__``, but it
#: warns of each index with fewer than 32 entries before it asks: "Using a non-tuple sequence for
#: multidimensional indexing is deprecated". Code that works today would warn, or fail where warnings are
#: errors. A constant that is a ``torch.Tensor`` does not help: SciPy's ``array_namespace`` says PyTorch's of
#: any. array-api-strict takes its own arrays as indices and nothing else.
MIXES = {
    "stats.gstd", "stats.pearsonr", "stats.tmean", "stats.variation", "scipy.derivative",
    "array_api_extra.apply_where", "array_api_extra.isclose",
}  # fmt: skip


@cache
def all_outcomes():
    """One process for all libraries: SciPy, scikit-learn and finite differences take most of its time."""
    environment = os.environ | {
        "SCIPY_ARRAY_API": "1",
        "PYTHONPATH": os.pathsep.join([str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")]),
    }
    libraries = [library for library in LIBRARIES if find_spec(library) is not None]
    command = [sys.executable, str(HERE / "programs_of_others.py"), *libraries]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def outcomes(library):
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    return all_outcomes()[library]


@pytest.fixture(params=LIBRARIES, scope="module")
def found(request):
    return outcomes(request.param)


@walk("name", sorted(set(PROGRAMS) - set(LEAVES) - NAN - MIXES))
def test_gradient_is_that_of_finite_differences(name, found):
    if name == "sklearn.d2_pinball_score" and isinstance(found[name], list):
        return  # it indexes a plain array with a constant of the namespace, which only NumPy's arrays take
    assert not isinstance(found[name], list), found[name]
    assert found[name] < 1e-6


@pytest.mark.parametrize("name", sorted(LEAVES))
def test_what_leaves_the_trace_says_so(name, found):
    kind, message = found[name]
    assert kind == "DerivativeError" or "Multiple namespaces" in message
    assert re.search(LEAVES[name], message)


@pytest.mark.parametrize("name", sorted(NAN))
def test_not_a_number_is_not_hidden(name, found):
    assert found[name] != found[name]


@pytest.mark.parametrize("name", sorted(MIXES))
def test_a_comparison_is_of_the_namespace_of_numpy_arrays(name):
    assert outcomes("numpy")[name] < 1e-6


@pytest.mark.parametrize("name", sorted(MIXES))
@pytest.mark.parametrize("library", ["array_api_strict", "torch"])
def test_two_namespaces_are_refused(name, library):
    assert isinstance(outcomes(library)[name], list)
