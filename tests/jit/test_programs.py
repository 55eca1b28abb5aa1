"""Programs of tests/programs, recorded: the bits of the functions themselves, and of their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from programs.test_programs import PROGRAMS, STANDARD, example, on

import nnx
from nnx.errors import RecordingError

pytestmark = pytest.mark.usefixtures("sizes")

#: it iterates until its numbers no longer change
BRANCHES = {"kepler"}


def same_bits(one: Any, other: Any) -> None:
    left, right = nnx.autodiff.flatten(one)[0], nnx.autodiff.flatten(other)[0]
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        assert type(a) is type(b)
        np.testing.assert_array_equal(nnx.to_numpy(a), nnx.to_numpy(b))


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("derived", [False, True])
def test_a_recorded_program_has_the_bits_of_the_program(name: str, derived: bool) -> None:
    function, where, data = example(name)
    if derived:
        function = nnx.grad(function, argnums=range(len(where)))
    jitted = nnx.jit(function)
    if name in BRANCHES:
        with pytest.raises(RecordingError, match=r"asks for its numbers"):
            jitted(*where, *data)
        return
    leaves, build = nnx.autodiff.flatten(where)
    expected, elsewhere = function(*where, *data), build([1.01 * leaf for leaf in leaves])
    same_bits(jitted(*where, *data), expected)  # recorded
    same_bits(jitted(*where, *data), expected)  # replayed
    same_bits(jitted(*elsewhere, *data), function(*elsewhere, *data))


@pytest.mark.parametrize("name", STANDARD)
def test_programs_in_the_standard_on_every_library(name: str, backend: nnx.backend.Backend) -> None:
    function, where, data = on(backend, name)
    gradient = nnx.grad(function, argnums=range(len(where)))
    jitted = nnx.jit(gradient)
    elsewhere = [1.01 * x for x in where]
    jitted(*where, *data)
    for got, expected in zip(jitted(*elsewhere, *data), gradient(*elsewhere, *data), strict=True):
        size = float(np.max(np.abs(nnx.to_numpy(expected))))
        np.testing.assert_allclose(nnx.to_numpy(got), nnx.to_numpy(expected), rtol=1e-12, atol=1e-14 * size)
