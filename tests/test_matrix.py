"""The matrix of backends catches what it is there to catch."""

from __future__ import annotations

import numpy as np
import pytest
import readonly
import tripwire

from nnx.backend import adapter_of, device_of, make_backend, namespace, to_numpy
from nnx.backend.philox import Stream


def test_an_entry_makes_arrays_whose_namespace_computes_and_which_can_be_read(backend):
    x = backend.asarray([[1.0, 2.0], [3.0, 4.0]], dtype="float64")
    xp = namespace(x)
    y = xp.sum(xp.exp(x) @ x, axis=0)
    assert xp is backend.xp
    assert adapter_of(y) is backend.adapter
    assert device_of(y) == device_of(x)
    np.testing.assert_allclose(to_numpy(y), np.sum(np.exp([[1, 2], [3, 4]]) @ [[1, 2], [3, 4]], axis=0))


class TestReadOnlyNumpy:
    @pytest.fixture
    def backend(self):
        with readonly.read_only_numpy() as backend:
            yield backend

    @pytest.mark.parametrize(
        "make",
        [
            lambda xp, x: x,
            lambda xp, x: xp.exp(x),
            lambda xp, x: xp.reshape(x, (4,)),
            lambda xp, x: xp.astype(x, xp.float64, copy=False),
            lambda xp, x: xp.unstack(x)[0],
            lambda xp, x: xp.linalg.qr(x).Q,
            lambda xp, x: xp.exp(x)[0],
        ],
    )
    def test_a_write_to_an_input_or_a_result_raises(self, backend, make):
        x = backend.asarray([[1.0, 2.0], [3.0, 4.0]])
        with pytest.raises(ValueError, match="read-only"):
            make(namespace(x), x)[...] = 0.0

    def test_results_of_the_adapters_own_functions_are_read_only(self, backend):
        a, x = backend.adapter, backend.asarray([1.0, 2.0])
        index = backend.asarray([0, 1])
        for result in (
            a.erf(x),
            a.scatter_add(3, index, x),
            a.take_rows(x, index),
            a.uniform(Stream(1), (3,), np.float32, "cpu"),
            a.normal(Stream(1), (3,), np.float32, "cpu"),
            a.keep_mask(Stream(1), 0.5, (3,), np.float32, "cpu"),
        ):
            assert not result.flags.writeable

    def test_what_a_caller_created_to_fill_it_stays_writable_even_after_the_namespace_saw_it(self, backend):
        xp, x = backend.xp, backend.asarray([1.0, 2.0])
        copies = (xp.asarray(x, copy=True), xp.astype(x, x.dtype, copy=True))
        for own in (xp.zeros(2), xp.empty_like(x), *copies):
            assert xp.asarray(own) is not own
            own[...] = 5.0
            assert own.tolist() == [5.0, 5.0]

    def test_plain_numpy_is_back_afterwards(self):
        with readonly.read_only_numpy():
            pass
        assert namespace(np.ones(2)) is make_backend("numpy").xp


class TestLikeAGpu:
    @pytest.fixture
    def x(self):
        with tripwire.like_a_gpu():
            yield make_backend("array_api_strict:device1").asarray([1.0, 2.0])

    @pytest.mark.parametrize(
        "wait",
        [
            lambda x: float(x[0]),
            lambda x: bool(x[0]),
            lambda x: int(x[0]),
            lambda x: complex(x[0]),
            lambda x: 1 if x[0] > 0 else 2,
            lambda x: [10, 20][namespace(x).argmax(x)],
        ],
    )
    def test_waiting_for_the_device_raises(self, x, wait):
        with pytest.raises(tripwire.HostSync):
            wait(x)

    def test_shapes_that_depend_on_data_are_refused(self, x):
        xp = namespace(x)
        for find in (lambda: x[x > 1.0], lambda: xp.nonzero(x), lambda: xp.unique_values(x)):
            with pytest.raises((IndexError, RuntimeError)):
                find()

    def test_results_can_be_read_and_used_as_numbers_on_the_host(self, x):
        assert float(to_numpy(x)[1]) == 2.0
        cpu = make_backend("array_api_strict").asarray(3.0)
        assert float(cpu) == 3.0

    def test_no_reads_forbids_even_that(self, x):
        with tripwire.no_reads(), pytest.raises(tripwire.HostSync, match="moved"):
            to_numpy(x)
