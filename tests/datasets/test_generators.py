"""Generators: shapes, types, determinism, balance, and the geometry that their documentation promises."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nnx import datasets
from nnx.errors import OptionError
from nnx.utils import set_random_seed

CLASSES = {"spiral": 3, "two_moons": 2, "xor": 2, "four_pixel_camera": 4}
NOISY = ("spiral", "two_moons", "xor", "sinc")
ALL = (*CLASSES, "sinc")


@pytest.mark.parametrize("name", ALL)
class TestEvery:
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_shapes_and_types(self, name, dtype):
        x, y = getattr(datasets, name)(50, seed=3, dtype=dtype)
        assert type(x) is type(y) is np.ndarray
        assert x.dtype == dtype
        assert x.shape == {"sinc": (50, 1), "four_pixel_camera": (50, 2, 2)}.get(name, (50, 2))
        assert y.shape == ((50, 1) if name == "sinc" else (50,))
        assert y.dtype == (dtype if name == "sinc" else np.int64)
        assert np.isfinite(x).all()

    def test_the_seed_decides_and_nothing_else(self, name):
        make = getattr(datasets, name)
        (x, y), (again, labels), (other, _) = make(40, seed=7), make(40, seed=7), make(40, seed=8)
        np.testing.assert_array_equal(x, again)
        np.testing.assert_array_equal(y, labels)
        assert not np.array_equal(x, other)

    def test_seed_none_follows_the_library_wide_seed(self, name):
        make = getattr(datasets, name)
        set_random_seed(5)
        first, second = make(40, seed=None)[0], make(40, seed=None)[0]
        set_random_seed(5)
        np.testing.assert_array_equal(first, make(40, seed=None)[0])
        assert not np.array_equal(first, second)

    def test_float32_is_the_rounded_float64(self, name):
        make = getattr(datasets, name)
        for exact, rounded in zip(make(30, dtype="float64"), make(30), strict=True):
            np.testing.assert_array_equal(exact.astype(rounded.dtype), rounded)

    def test_one_sample(self, name):
        assert getattr(datasets, name)(1)[0].shape[0] == 1

    @pytest.mark.parametrize("wrong", [0, -1, 2.5, "many", True, None])
    def test_impossible_numbers_of_samples(self, name, wrong):
        with pytest.raises(OptionError, match=f"{name}: n_samples"):
            getattr(datasets, name)(wrong)

    def test_impossible_types_and_seeds(self, name):
        with pytest.raises(OptionError, match="float32"):
            getattr(datasets, name)(10, dtype="int32")
        for seed in (-1, 2**64):
            with pytest.raises(OptionError, match="seed"):
                getattr(datasets, name)(10, seed=seed)


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("n", [24, 25, 27])
def test_classes_come_equally_often(name, n):
    _, y = getattr(datasets, name)(n, seed=1)
    counts = np.bincount(y, minlength=CLASSES[name])
    # xor balances quadrants, two of which make a class.
    assert counts.max() - counts.min() <= (2 if name == "xor" else 1)
    assert counts.size == CLASSES[name]


@pytest.mark.parametrize("name", CLASSES)
def test_the_last_examples_are_like_the_first(name):
    _, y = getattr(datasets, name)(400, seed=2)
    # 100 of 400 drawn at random: the standard deviation of a class's count is at most 4.4.
    counts = np.bincount(y[-100:], minlength=CLASSES[name])
    assert np.abs(counts - 100 / CLASSES[name]).max() < 20


@pytest.mark.parametrize("name", NOISY)
@pytest.mark.parametrize("wrong", [-0.1, math.nan, math.inf, "a", None, True])
def test_impossible_noise(name, wrong):
    with pytest.raises(OptionError, match=f"{name}: noise"):
        getattr(datasets, name)(10, noise=wrong)


class TestSpiral:
    def test_points_lie_on_their_arms(self):
        x, y = datasets.spiral(200, n_classes=4, noise=0.0, dtype="float64")
        radius = np.hypot(*x.T)
        angle = 2 * math.pi * y / 4 + 4.0 * radius
        expected = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        np.testing.assert_allclose(x, expected, atol=1e-14)  # a few roundings of numbers below 1
        for label in range(4):
            np.testing.assert_allclose(np.sort(radius[y == label]), np.arange(1, 51) / 50, atol=1e-14)

    def test_no_point_belongs_to_two_classes(self):
        x, _ = datasets.spiral(300, noise=0.0)
        assert len(np.unique(x, axis=0)) == 300

    def test_noise_turns_points_about_the_middle(self):
        x, y = datasets.spiral(3000, noise=0.2, dtype="float64")
        radius = np.hypot(*x.T)
        turned = np.arctan2(x[:, 1], x[:, 0]) - 2 * math.pi * y / 3 - 4.0 * radius
        turned = (turned + math.pi) % (2 * math.pi) - math.pi
        # Mean and deviation of 3000 normal numbers: four standard errors.
        assert abs(turned.mean()) < 4 * 0.2 / math.sqrt(3000)
        assert turned.std() == pytest.approx(0.2, rel=4 / math.sqrt(6000))

    @pytest.mark.parametrize("wrong", [0, -2, 1.5])
    def test_impossible_numbers_of_classes(self, wrong):
        with pytest.raises(OptionError, match="n_classes"):
            datasets.spiral(10, n_classes=wrong)

    def test_more_classes_than_samples(self):
        assert datasets.spiral(2, n_classes=5)[1].max() <= 4


def test_two_moons_lie_on_their_half_circles():
    x, y = datasets.two_moons(101, noise=0.0, dtype="float64")
    upper, lower = x[y == 0], x[y == 1]
    np.testing.assert_allclose(np.hypot(*upper.T), 1.0, rtol=1e-14)
    np.testing.assert_allclose(np.hypot(lower[:, 0] - 1.0, lower[:, 1] - 0.5), 1.0, rtol=1e-14)
    assert upper[:, 1].min() >= 0.0 and lower[:, 1].max() <= 0.5
    assert len(upper) == 51 and len(lower) == 50


def test_two_moons_are_scikit_learns():
    make_moons = pytest.importorskip("sklearn.datasets").make_moons
    x, y = datasets.two_moons(60, noise=0.0, dtype="float64")
    theirs, labels = make_moons(60, shuffle=False)
    order, their_order = np.lexsort([*x.T, y]), np.lexsort([*theirs.T, labels])
    np.testing.assert_allclose(x[order], theirs[their_order], atol=1e-15)


class TestXor:
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_labels_follow_the_sign_rule(self, dtype):
        x, y = datasets.xor(1000, seed=4, dtype=dtype)
        np.testing.assert_array_equal(x[:, 0] * x[:, 1] < 0, y == 1)
        assert np.abs(x).max() <= 1.0 and (x != 0).all()

    def test_quadrants_are_balanced(self):
        x, _ = datasets.xor(400, seed=4)
        quadrant = 2 * (x[:, 0] < 0) + (x[:, 1] < 0)
        assert np.bincount(quadrant).tolist() == [100] * 4

    def test_noise_moves_some_points_across(self):
        x, y = datasets.xor(1000, noise=0.1, seed=4)
        wrong = ((x[:, 0] * x[:, 1] < 0) != (y == 1)).mean()
        # By integration about 2 · 0.1 · E|N|/2 = 8 % cross one of the axes.
        assert 0.04 < wrong < 0.12


def test_sinc_is_sin_10x_over_10x():
    x, y = datasets.sinc(500, dtype="float64")
    np.testing.assert_allclose(y, np.sin(10 * x) / (10 * x), rtol=1e-12, atol=1e-15)
    assert -1 <= x.min() < -0.9 and 0.9 < x.max() <= 1


def test_sinc_with_noise():
    (x, clean), (x2, noisy) = (datasets.sinc(2000, noise=noise, dtype="float64") for noise in (0.0, 0.5))
    np.testing.assert_array_equal(x, x2)
    assert (noisy - clean).std() == pytest.approx(0.5, rel=4 / math.sqrt(4000))  # four standard errors


class TestFourPixelCamera:
    # The course's generate_example: description, then the variant 1; the other one is its negative.
    PICTURES = (
        [[1, 1], [1, 1]],  # solid
        [[1, -1], [1, -1]],  # vertical
        [[1, -1], [-1, 1]],  # diagonal
        [[1, 1], [-1, -1]],  # horizontal
    )

    def test_pictures_and_label_order(self):
        x, y = datasets.four_pixel_camera(500, seed=1)
        for picture, label in zip(x, y, strict=True):
            assert abs(np.sum(picture * self.PICTURES[label])) == 4

    def test_eight_pictures_come_equally_often(self):
        x, _ = datasets.four_pixel_camera(80)
        _, counts = np.unique(x.reshape(80, 4), axis=0, return_counts=True)
        assert counts.tolist() == [10] * 8

    def test_the_weights_set_by_hand_in_the_course_classify_all(self):
        x, y = datasets.four_pixel_camera(64, dtype="float64")
        first = np.array([[1, 0, 1, 0], [0, 1, 0, 1], [1, 0, -1, 0], [0, 1, 0, -1]])
        second = np.array([[1, -1, 0, 0], [1, 1, 0, 0], [0, 0, 1, -1], [0, 0, -1, -1]])
        third = np.kron(np.eye(4), [[1, -1]])
        fourth = np.kron(np.eye(4), [[1], [1]])
        a = np.tanh(np.tanh(x.reshape(-1, 4) @ first) @ second)
        np.testing.assert_array_equal(np.argmax(np.maximum(a @ third, 0) @ fourth, axis=1), y)
