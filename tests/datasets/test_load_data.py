"""The real data sets. MNIST and Fashion-MNIST are never downloaded here: where absent, a skip says so."""

from __future__ import annotations

import builtins

import numpy as np
import pytest

from nnx.datasets import digits, fashion_mnist, mnist, tiny_shakespeare
from nnx.datasets.files import Split
from nnx.errors import DownloadError, OptionError


def check_like_keras(split: Split) -> None:
    (x_train, y_train), (x_test, y_test) = split
    assert x_train.shape == (60000, 28, 28) and x_test.shape == (10000, 28, 28)
    assert y_train.shape == (60000,) and y_test.shape == (10000,)
    for array in (x_train, y_train, x_test, y_test):
        assert type(array) is np.ndarray and array.dtype == np.uint8
        assert array.flags.writeable and array.flags.c_contiguous
    assert (x_train.min(), x_train.max()) == (0, 255)


def test_mnist(real_files):
    real_files(mnist.SOURCE)
    split = mnist.load_data()
    check_like_keras(split)
    (x_train, y_train), (x_test, y_test) = split
    # The well-known class sizes, first labels, and mean and deviation of the pixels.
    assert np.bincount(y_train).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert y_train[:5].tolist() == [5, 0, 4, 1, 9] and y_test[:5].tolist() == [7, 2, 1, 0, 4]
    assert (x_train / 255).mean() == pytest.approx(0.1307, abs=5e-5)
    assert x_test.shape[0] == 10000 and np.bincount(y_test).sum() == 10000
    assert x_train[0, 5, 12:18].tolist() == [3, 18, 18, 18, 126, 136]


def test_fashion_mnist(real_files):
    real_files(fashion_mnist.SOURCE)
    split = fashion_mnist.load_data()
    check_like_keras(split)
    (x_train, y_train), (_, y_test) = split
    assert np.bincount(y_train).tolist() == [6000] * 10 and np.bincount(y_test).tolist() == [1000] * 10
    assert y_train[:5].tolist() == [9, 0, 0, 3, 0]
    assert (x_train / 255).mean() == pytest.approx(0.2860, abs=5e-5)
    assert len(fashion_mnist.CLASS_NAMES) == 10


def test_tiny_shakespeare(real_files):
    real_files(tiny_shakespeare.SOURCE)
    text = tiny_shakespeare.load_data()
    assert (len(text), len(set(text))) == (1_115_394, 65)
    assert text.startswith("First Citizen:\nBefore we proceed") and text.isascii()


class TestDigits:
    @pytest.fixture(autouse=True)
    def _sklearn(self):
        pytest.importorskip("sklearn")

    def test_shapes_and_values(self):
        (x_train, y_train), (x_test, y_test) = digits.load_data()
        assert x_train.shape == (1437, 8, 8) and x_test.shape == (360, 8, 8)
        assert y_train.shape == (1437,) and y_test.shape == (360,)
        assert {a.dtype for a in (x_train, y_train, x_test, y_test)} == {np.dtype(np.uint8)}
        assert (x_train.min(), x_train.max()) == (0, 16)
        assert np.bincount(y_test, minlength=10).min() > 20  # every class is tested on

    def test_every_digit_is_there_once_with_its_label(self):
        from sklearn.datasets import load_digits

        pixels, labels = load_digits(return_X_y=True)
        (x_train, y_train), (x_test, y_test) = digits.load_data()
        rows = np.concatenate([x_train, x_test]).reshape(-1, 64)
        found = np.column_stack([rows, np.concatenate([y_train, y_test])])
        expected = np.column_stack([pixels, labels])
        np.testing.assert_array_equal(found[np.lexsort(found.T)], expected[np.lexsort(expected.T)])

    def test_the_seed_decides_and_nothing_else(self):
        first, again, other = digits.load_data(), digits.load_data(seed=113), digits.load_data(seed=1)
        np.testing.assert_array_equal(first[0][0], again[0][0])
        assert not np.array_equal(first[0][1], other[0][1])

    def test_a_split_of_nothing(self):
        (x_train, _), (x_test, _) = digits.load_data(test_split=0)
        assert x_train.shape[0] == 1797 and x_test.shape[0] == 0

    @pytest.mark.parametrize("wrong", [1, -0.1, 1.2, float("nan"), None, "a", 0.9999])
    def test_impossible_splits(self, wrong):
        with pytest.raises(OptionError, match="test_split"):
            digits.load_data(test_split=wrong)

    @pytest.mark.parametrize("wrong", [1.5, None, -1, True, 2**64])
    def test_impossible_seeds(self, wrong):
        with pytest.raises(OptionError, match="seed"):
            digits.load_data(seed=wrong)


def test_digits_without_scikit_learn(monkeypatch):
    load = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("sklearn"):
            raise ModuleNotFoundError("No module named 'sklearn'", name="sklearn")
        return load(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DownloadError, match=r"pip install 'nnx\[data\]'"):
        digits.load_data()
