"""One contract for every constraint of the registry, and parity with Keras."""

from __future__ import annotations

import numpy as np
import pytest
from functions.targets import same_defaults

from nnx import constraints
from nnx.backend import device_of, namespace, to_numpy
from nnx.errors import OptionError
from nnx.registry import from_config, to_config

ENTRIES = list(constraints.registry)
W = np.asarray([[0.5, -2.0, 0.0], [3.0, -0.25, 0.0]])


def by_name(entries):
    return {"argvalues": entries, "ids": [e.name for e in entries]}


@pytest.mark.parametrize("entry", **by_name(ENTRIES))
def test_contract(entry, backend):
    assert entry.traits.formula and entry.traits.use and ">>>" in entry.target.__doc__
    constraint = getattr(constraints, entry.class_name)()
    assert from_config(to_config(constraint)) == constraint == constraints.get(entry.name)
    for dtype, rtol in (("float32", 1e-6), ("float64", 1e-14)):
        w = backend.asarray(W, dtype=dtype)
        new = constraint(w)
        assert new.dtype == w.dtype and tuple(new.shape) == W.shape
        assert namespace(new) is backend.xp and device_of(new) == backend.device
        np.testing.assert_allclose(to_numpy(new), constraint(W), rtol=rtol)
        # What fulfils the constraint stays (to the 1e-7 in the denominators).
        np.testing.assert_allclose(to_numpy(constraint(new)), to_numpy(new), rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("MaxNorm", {}),
        ("MaxNorm", {"max_value": 1.0, "axis": 1}),
        ("MaxNorm", {"max_value": 0.5, "axis": (0, 1)}),
        ("NonNeg", {}),
        ("UnitNorm", {}),
        ("UnitNorm", {"axis": 1}),
        ("MinMaxNorm", {}),
        ("MinMaxNorm", {"min_value": 1.0, "max_value": 2.5, "rate": 0.3, "axis": 1}),
    ],
)
def test_equals_keras(name, options, keras):
    torch = pytest.importorskip("torch")
    expected = getattr(keras.constraints, name)(**options)(torch.tensor(W)).numpy()
    np.testing.assert_allclose(getattr(constraints, name)(**options)(W), expected, rtol=1e-13)


@pytest.mark.parametrize("entry", **by_name(ENTRIES))
def test_defaults_are_those_of_keras(entry, keras):
    same_defaults(entry.target, getattr(keras.constraints, entry.class_name))


def test_keras_names_all_work(keras):
    for name in keras.src.constraints.ALL_OBJECTS_DICT:
        if name.lower() != "constraint":
            assert constraints.get(name).name in {e.name for e in ENTRIES}


def test_an_axis_from_a_file_is_a_tuple_again():
    constraint = constraints.MaxNorm(axis=(0, 1))
    read = from_config({"kind": "constraint", "name": "max_norm", "options": {"axis": [0, 1]}})
    np.testing.assert_array_equal(read(W), constraint(W))
    np.testing.assert_array_equal(constraints.MaxNorm(axis=[0, 1])(W), constraint(W))


def test_options_out_of_range_are_refused():
    for wrong in (
        lambda: constraints.MaxNorm(-1.0)(W),
        lambda: constraints.MinMaxNorm(2.0, 1.0)(W),
        lambda: constraints.MinMaxNorm(rate=1.5)(W),
        lambda: constraints.UnitNorm(axes=0),
    ):
        with pytest.raises(OptionError):
            wrong()
