"""``given``: what a user gives as an array is checked once, with the name that the caller has for it."""

import numpy as np
import pytest

import nnx
from nnx.backend import given, namespace, use_backend
from nnx.errors import DataError, DtypeError, ShapeError


class Sparse:
    """Like a matrix of scipy.sparse."""

    def toarray(self):
        return np.zeros((2, 2))


REFUSED = {
    "sparse": (Sparse(), DtypeError, r"fit: x is sparse \(Sparse\).*use x\.toarray\(\)"),
    "mapping": ({"a": 1.0}, DtypeError, "fit: x is a dict, not an array"),
    "ragged": ([[1.0], [1.0, 2.0]], ShapeError, "fit: x is not a regular array.*equal length"),
    "None": (None, DtypeError, "it is None, a NoneType"),
    "masked": (np.ma.array([1.0, 2.0], mask=[0, 1]), DataError, "fit: x has masked entries"),
    "masked in a list": ([np.ma.array([1.0, 2.0], mask=[0, 1])] * 2, DataError, "fit: x has masked entries"),
    "masked deep in lists": ([[1.0, 2.0], (1.0, np.ma.masked)], DataError, "fit: x has masked entries"),
    "complex": (np.ones(2) * 1j, DtypeError, "fit: x holds complex numbers"),
    "complex list": ([1j], DtypeError, "fit: x holds complex numbers"),
    "text": (["a"], DtypeError, "fit: x holds <U1, not numbers"),
    "objects": (np.asarray([None, 1]), DtypeError, "fit: x holds object, not numbers"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_the_error_says_what_is_wrong_with_what(case):
    x, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        given(x, "fit: x")


def test_text_and_complex_numbers_pass_where_they_may():
    assert given(["a"], "labels", real=False).tolist() == ["a"]
    assert given([1j], "x", real=False).dtype == np.complex128


@pytest.mark.parametrize("dtype", ["bool", "int64", "float32", "float64"])
def test_an_array_stays_in_its_library_with_its_type(dtype, backend):
    x = backend.asarray([0, 1], dtype=dtype)
    y = given(x, "x", on_host=True)
    assert (type(y), y.dtype, y.device) == (type(x), x.dtype, x.device)


@pytest.mark.parametrize("x", [2.0, [1.0, 2.0], ((1, 2), (3, 4)), range(3)], ids=str)
def test_anything_else_goes_to_the_current_backend_or_stays_on_the_host(x, backend):
    with use_backend(backend):
        y, host = given(x, "x"), given(x, "x", on_host=True)
    assert namespace(y) is namespace(backend.asarray([0.0]))
    assert type(host) is np.ndarray
    np.testing.assert_array_equal(nnx.to_numpy(y), np.asarray(x))
    np.testing.assert_array_equal(host, np.asarray(x))


def test_a_traced_array_stays_traced(backend):
    x = backend.asarray([1.0, 2.0], dtype="float64")
    g = nnx.grad(lambda x: namespace(x).sum(given(x, "x") ** 2))(x)
    np.testing.assert_array_equal(nnx.to_numpy(g), [2.0, 4.0])


@pytest.mark.parametrize(
    "call",
    [
        lambda x: nnx.minimize(lambda w: np.sum(w), x, method="bfgs"),
        lambda x: nnx.least_squares(lambda w: w, x),
        lambda x: nnx.curve_fit(lambda t, a: a * t, [1.0, 2.0], x),
        lambda x: nnx.curve_fit(lambda t, a: a * t, [1.0, 2.0], [1.0, 2.0], sigma=x),
        lambda x: nnx.utils.normalize(x),
        lambda x: nnx.utils.StandardScaler().fit(x),
        lambda x: nnx.Sequential([nnx.layers.Dense(1)]).predict(x),
    ],
    ids=["minimize", "least_squares", "curve_fit y", "curve_fit sigma", "normalize", "scaler", "predict"],
)
def test_every_entrance_refuses_complex_and_masked_arrays_in_the_same_words(call):
    with pytest.raises(DtypeError, match=r"holds complex numbers \(complex128\)"):
        call(np.ones(2) * 1j)
    with pytest.raises(DataError, match=r"has masked entries.*filled"):
        call(np.ma.array([1.0, 2.0], mask=[False, True]))
    with pytest.raises(DataError, match=r"has masked entries.*filled"):
        call([np.ma.array([1.0, 2.0], mask=[False, True])])


def test_lists_and_losses_refuse_masks_that_hide_something_alone():
    whole, hidden = np.ma.array([1.0, 2.0]), np.ma.array([1.0, 2.0], mask=[False, True])
    np.testing.assert_array_equal(nnx.asarray([whole, whole]), [[1.0, 2.0], [1.0, 2.0]])
    for call in (
        lambda: nnx.asarray([[whole], [hidden]]),
        lambda: nnx.losses.MeanSquaredError()([hidden], [whole]),
        lambda: nnx.losses.MeanSquaredError()(whole, hidden),
        lambda: nnx.metrics.Mean()([hidden]),
        lambda: nnx.utils.to_categorical([hidden]),
    ):
        with pytest.raises(DataError, match=r"has masked entries.*filled"):
            call()
