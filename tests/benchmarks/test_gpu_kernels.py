"""The kernels that nnx writes for CuPy of the steps of all optimizers, computed on the host beside NumPy."""

from __future__ import annotations

from types import SimpleNamespace

import cupy_double
import numpy as np
import on_the_cpu
import pytest


@pytest.fixture(autouse=True)
def _compiler():
    on_the_cpu.need_compiler()


def steps(modules, dtype, n=257):
    """The different steps of all optimizers with all options."""
    found = {}
    for entry in modules.updates.entries():
        for options in modules.updates.OPTIONS:
            for rule in modules.kernels.rules(entry, options, dtype, n):
                found.setdefault((rule.function, rule.targets), rule)
    return list(found.values())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_step_of_each_optimizer_is_numpys_bit_for_bit(modules, dtype):
    rules = steps(modules, dtype)
    assert len(rules) >= 2 * 16  # those with an elementwise rule, plain and with everything around it
    hostile = [rule._replace(read=_with_extremes(rule.read)) for rule in rules]
    on_the_cpu.updates_beside_numpy([*rules, *hostile])


def _with_extremes(read):
    """The vectors with NaN, infinities and zeros of both signs among their entries, here and there."""
    found = []
    for k, x in enumerate(read):
        found.append(x := np.array(x))
        if x.dtype != bool:
            for place, value in enumerate((np.nan, np.inf, -np.inf, 0.0, -0.0)):
                x[place + k :: 31 + 2 * k] = value
    return tuple(found)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_another_rule_is_found_to_be_another(modules, dtype, monkeypatch):
    rules = [rule for rule in steps(modules, dtype, 9) if rule.scalars][:1]
    monkeypatch.setitem(on_the_cpu.cupy_kernels._EXPRESSIONS, "subtract", "{0} + {1}")
    with pytest.raises(AssertionError):
        on_the_cpu.updates_beside_numpy(rules)


def test_every_operation_is_in_the_function_that_a_gpu_computes(modules):
    from nnx.backend.recording import FORMS, record

    used = {name for name, _ in record(modules.adapter.operations, 3, 1).steps}
    assert used == set(FORMS)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_operation_is_numpys_in_the_double_of_cupy(modules, dtype):
    # exp and powers come from two libraries here, each of which is wrong by at most three units
    check = modules.checks.against_numpy(
        "", lambda b: modules.adapter.every_operation(b, dtype), 4 * np.finfo(dtype).eps
    )
    with cupy_double.in_cupys_place() as backend:
        check.run(SimpleNamespace(backend=backend))
