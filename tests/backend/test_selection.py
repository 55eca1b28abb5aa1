"""Which arrays: choosing a backend, finding an array's own, moving between libraries."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import array_api_strict
import numpy as np
import pytest

from nnx.backend import (
    adapter_of,
    arrays,
    asarray,
    available_backends,
    default_dtype,
    device_of,
    get_backend,
    make_backend,
    namespace,
    register_traced,
    selection,
    set_backend,
    synchronize,
    to_numpy,
    use_backend,
)  # fmt: skip
from nnx.errors import DerivativeError, DtypeError, NoUsableDevice, OptionError, UnknownName


@pytest.fixture(autouse=True)
def nothing_chosen(monkeypatch):
    """Each test starts like a new interpreter."""
    monkeypatch.setattr(selection, "_global", None)


def in_a_new_interpreter(code: str, **environment: str) -> str:
    env = {**os.environ, **environment}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False)
    return run.stdout + run.stderr


class TestChoosing:
    def test_numpy_in_float32_is_the_default(self):
        assert (get_backend().name, get_backend().device, get_backend().dtype) == ("numpy", "cpu", "float32")
        assert default_dtype() is np.float32

    def test_set_backend_stays_and_use_backend_ends(self):
        set_backend("array_api_strict", device="device1", dtype="float64")
        assert str(device_of(asarray([1.0]))) == str(array_api_strict.Device("device1"))
        assert default_dtype() == array_api_strict.float64
        with use_backend("numpy", dtype="float32") as backend:
            assert get_backend() is backend
            assert isinstance(asarray([1.0]), np.ndarray)
        assert get_backend().name == "array_api_strict"

    def test_use_backend_ends_with_an_exception_too(self):
        with pytest.raises(ZeroDivisionError), use_backend("array_api_strict"):
            raise ZeroDivisionError
        assert get_backend().name == "numpy"

    def test_use_backend_is_of_its_own_thread_and_set_backend_of_all(self):
        inside = threading.Event()
        leave = threading.Event()

        def other() -> str:
            with use_backend("array_api_strict"):
                inside.set()
                leave.wait(10)
                return get_backend().name

        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(other)
            inside.wait(10)
            here = get_backend().name
            leave.set()
            assert (here, future.result()) == ("numpy", "array_api_strict")
            set_backend("array_api_strict")
            assert pool.submit(lambda: get_backend().name).result() == "array_api_strict"

    def test_the_dtype_is_inherited_from_what_is_in_use(self):
        with use_backend("numpy", dtype="float64"):
            assert make_backend("array_api_strict").dtype == "float64"
        assert make_backend("array_api_strict").dtype == "float32"
        set_backend("numpy", dtype="float64")
        assert make_backend("array_api_strict").dtype == "float64"

    def test_a_backend_is_a_name_with_a_device_or_a_backend_with_changes(self):
        strict = make_backend("array_api_strict:device1")
        assert strict.device == array_api_strict.Device("device1")
        assert make_backend(strict) is strict
        assert make_backend(strict, dtype="float64").dtype == "float64"
        assert make_backend(strict, device="device2").device == array_api_strict.Device("device2")
        assert make_backend(None, dtype="float64").name == "numpy"
        assert strict == make_backend("array_api_strict", device=array_api_strict.Device("device1"))

    @pytest.mark.parametrize("name", ["nunpy", "jax", "", "NumPy"])
    def test_an_unknown_name_is_answered_with_the_known_ones(self, name):
        with pytest.raises(UnknownName, match=f"'{name}'. Known: numpy, cupy, torch, array_api_strict"):
            set_backend(name)
        assert get_backend().name == "numpy"

    @pytest.mark.parametrize("dtype", ["float16", "int32", "double", np.float64])
    def test_an_unknown_dtype_is_refused(self, dtype):
        with pytest.raises(OptionError, match=r"float32.*float64"):
            set_backend("numpy", dtype=dtype)

    @pytest.mark.parametrize("spec", ["numpy:1", "array_api_strict:device7", "array_api_strict:1"])
    def test_an_unknown_device_is_refused(self, spec):
        with pytest.raises(OptionError, match="device"):
            set_backend(spec)

    def test_torch_devices(self):
        torch = pytest.importorskip("torch")
        assert make_backend("torch").device == torch.device("cpu")
        with pytest.raises(OptionError, match="nonsense"):
            make_backend("torch", device="nonsense")
        for spec in ("torch:99", "torch:cuda:99"):  # no machine has as many GPUs
            with pytest.raises(NoUsableDevice, match="CUDA devices"):
                make_backend(spec)

    def test_synchronize(self):
        synchronize()
        synchronize(make_backend("array_api_strict"))


class TestEnvironment:
    show = "import nnx.backend as b; x = b.get_backend(); print(x.name, x.device)"

    def test_nnx_backend_is_the_default_of_a_new_interpreter(self):
        out = in_a_new_interpreter(self.show, NNX_BACKEND="array_api_strict:device1")
        assert "array_api_strict" in out and "device1" in out

    def test_empty_is_as_if_unset_and_set_backend_goes_before_it(self):
        assert in_a_new_interpreter(self.show, NNX_BACKEND="") == "numpy cpu\n"
        code = "import nnx.backend as b; b.set_backend('numpy'); print(b.get_backend().name)"
        assert in_a_new_interpreter(code, NNX_BACKEND="array_api_strict") == "numpy\n"

    def test_an_unknown_name_is_an_error_when_it_is_used(self):
        assert "Unknown backend 'nunpy'" in in_a_new_interpreter(self.show, NNX_BACKEND="nunpy")


class TestFinding:
    def test_the_arrays_own_library_whatever_is_current(self, backend):
        x = backend.asarray([1.0])
        assert adapter_of(x) is backend.adapter
        assert namespace(2.0, None, x, 3) is backend.xp

    def test_without_arrays_the_current_one(self):
        assert namespace() is namespace(1.0, None) is get_backend().xp
        with use_backend("array_api_strict"):
            assert namespace(1.0) is array_api_strict

    def test_numpys_scalars_and_subclasses_are_numpys(self):
        for x in (np.float32(1), np.float64(1), np.ma.masked_array([1.0]), np.zeros(2).view(np.recarray)):
            assert adapter_of(x).name == "numpy"

    def test_a_users_subclass_belongs_to_its_base(self):
        class Mine(np.ndarray):
            pass

        assert adapter_of(np.zeros(2).view(Mine)).name == "numpy"

    def test_mixed_libraries_are_refused(self):
        with pytest.raises(DtypeError, match="two libraries were mixed: numpy and array_api_strict"):
            namespace(np.ones(1), array_api_strict.ones(1))

    @pytest.mark.parametrize("x", ["text", [1.0], {"a": 1}, range(3)])
    def test_what_is_no_array_is_refused(self, x):
        with pytest.raises(DtypeError, match="not an array that nnx knows"):
            namespace(x)


class TestAsarray:
    def test_an_array_stays_where_it_is(self, backend):
        x = backend.asarray([1.0, 2.0], dtype="float64")
        y = asarray(x, dtype="float32")
        assert adapter_of(y) is backend.adapter
        assert device_of(y) == device_of(x)
        assert y.dtype == backend.adapter.dtype("float32")

    @pytest.mark.parametrize("x", [3, 2.5, True, [1.0, 2.0], ((1, 2), (3, 4)), range(3)])
    def test_numbers_lists_and_ranges_go_to_the_current_backend(self, x):
        with use_backend("array_api_strict", device="device1") as backend:
            y = asarray(x)
            assert device_of(y) == backend.device
        np.testing.assert_array_equal(to_numpy(y), np.asarray(x))

    def test_anything_that_numpy_can_make_numbers_of_is_taken(self):
        class Frame:
            def __array__(self, dtype=None, copy=None):
                return np.array([[1.0, 2.0]])

        assert asarray(Frame()).tolist() == [[1.0, 2.0]]

    @pytest.mark.parametrize("x", [None, "text", {"a": 1}, object()])
    def test_what_holds_no_numbers_is_refused(self, x):
        with pytest.raises(DtypeError, match="Cannot make an array of numbers"):
            asarray(x)


class TestToNumpy:
    @pytest.mark.parametrize("x", [2.0, [1.0, 2.0], np.float32(1.0)])
    def test_numbers_and_lists_come_back_whatever_is_current(self, x):
        with use_backend("array_api_strict", device="device1"):
            result = to_numpy(x)
        assert isinstance(result, np.ndarray)
        np.testing.assert_array_equal(result, x)


class TestTraced:
    """What room 0 knows of a traced array: it carries a namespace and a value, and wins over raw arrays."""

    @pytest.fixture
    def traced(self, monkeypatch):
        monkeypatch.setattr(arrays, "_TRACED", set())

        class Traced:
            space = "the differentiable namespace"

            def __init__(self, value):
                self.value = value

            def __array_namespace__(self):
                return self.space

            def as_constant(self, what):
                raise DerivativeError(f"{what}: take nnx.stop_gradient(x).")

        register_traced(Traced)
        return Traced

    def test_it_wins_and_its_innermost_value_says_library_and_device(self, traced):
        raw = array_api_strict.ones(2, device=array_api_strict.Device("device1"))
        nested = traced(traced(raw))
        assert namespace(raw, nested) == traced.space
        assert adapter_of(nested).name == "array_api_strict"
        assert device_of(nested) == raw.device
        assert asarray(nested) is nested
        with pytest.raises(DtypeError, match="mixed"):
            adapter_of(nested, np.ones(2))

    def test_its_value_does_not_leave_by_to_numpy(self, traced):
        with pytest.raises(DerivativeError, match="stop_gradient"):
            to_numpy(traced(np.ones(2)))


def test_available_backends_lists_all_and_never_raises(monkeypatch):
    states = available_backends()
    assert list(states) == ["numpy", "cupy", "torch", "array_api_strict"]
    assert states["numpy"] == states["array_api_strict"] == "ok"
