"""One-hot labels, seeds, splitting, scaling: on every backend, and against scikit-learn's answers."""

from __future__ import annotations

import random

import numpy as np
import pytest

import nnx.backend
from nnx.backend import device_of, next_seed, seeds, to_numpy, use_backend
from nnx.errors import AxisError, DataError, DtypeError, NotBuilt, OptionError, ShapeError
from nnx.utils import StandardScaler, normalize, set_random_seed, to_categorical, train_test_split


@pytest.fixture(autouse=True)
def _seeds_are_put_back():
    before = seeds._seed, seeds._given, random.getstate(), np.random.get_state()
    yield
    seeds._seed, seeds._given = before[:2]
    random.setstate(before[2])
    np.random.set_state(before[3])


def same_place(result, x, backend) -> None:
    """What goes in comes out: the library and device of ``x``."""
    assert nnx.backend.adapter_of(result) is nnx.backend.adapter_of(x)
    assert device_of(result) == device_of(x)


class TestToCategorical:
    @pytest.mark.parametrize("shape", [(4,), (4, 1), (2, 2), (2, 2, 1), (1, 4), (1,), (1, 1), ()], ids=str)
    @pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "float32"])
    def test_ones_stand_at_the_labels(self, backend, shape, dtype):
        labels = np.arange(np.prod(shape, dtype=int)).reshape(shape) % 3
        x = backend.asarray(labels, dtype=dtype)
        hot = to_categorical(x, 5)
        kept = labels.reshape(shape[:-1]) if len(shape) > 1 and shape[-1] == 1 else labels
        np.testing.assert_array_equal(to_numpy(hot), np.eye(5)[kept])
        assert hot.dtype == backend.xp.float32
        same_place(hot, x, backend)

    def test_the_number_of_classes_is_the_largest_label_plus_one(self, backend):
        assert tuple(to_categorical(backend.asarray([2, 0, 7])).shape) == (3, 8)
        assert to_categorical(np.array([255], np.uint8)).shape == (1, 256)

    def test_many_classes_of_small_integers(self, backend):
        # Class numbers that the labels' own type cannot hold must not wrap around.
        hot = to_numpy(to_categorical(backend.asarray([3, 255], dtype="uint8"), 600))
        assert hot.shape == (2, 600) and np.argwhere(hot).tolist() == [[0, 3], [1, 255]]

    @pytest.mark.parametrize("x", [[0, 2], (0, 2), [[0], [2]], np.array([0, 2]), [0.0, 2.0]])
    def test_lists_become_numpy_arrays(self, x):
        hot = to_categorical(x, 3)
        assert type(hot) is np.ndarray
        np.testing.assert_array_equal(hot, [[1, 0, 0], [0, 0, 1]])

    def test_numbers_and_booleans(self):
        np.testing.assert_array_equal(to_categorical(2, 4), [0, 0, 1, 0])
        np.testing.assert_array_equal(to_categorical(np.int64(2), 4), [0, 0, 1, 0])
        np.testing.assert_array_equal(to_categorical([False, True]), [[1, 0], [0, 1]])

    def test_the_type_is_the_current_backends(self):
        with use_backend("numpy", dtype="float64"):
            assert to_categorical([0, 1]).dtype == np.float64

    def test_no_labels_of_so_many_classes(self):
        assert to_categorical(np.zeros((0,), int), 3).shape == (0, 3)

    @pytest.mark.parametrize(
        ("labels", "classes", "message"),
        [
            ([0, 3, 1], 3, r"from 0 to 2 \(num_classes=3\), got 3 at index \(1,\) \(1 of 3"),
            ([0, -1, -2], 3, r"got -1 at index \(1,\) \(2 of 3"),
            ([0, -1], None, "whole numbers from 0, got -1"),
            ([0.0, 0.5], 3, r"got 0\.5 at index \(1,\)"),
            ([0.0, float("nan")], None, "got nan"),
            ([0.0, float("inf")], None, "got inf"),
            ([[0.0, 1.0], [1.0, 7.0]], 2, r"got 7\.0 at index \(1, 1\)"),
        ],
    )
    def test_wrong_labels_are_refused(self, backend, labels, classes, message):
        dtype = "float64" if isinstance(np.ravel(labels)[0].item(), float) else "int64"
        with pytest.raises(DataError, match=message):
            to_categorical(backend.asarray(labels, dtype=dtype), classes)

    @pytest.mark.parametrize("wrong", [0, -1, 2.5, "3", True])
    def test_wrong_numbers_of_classes_are_refused(self, wrong):
        with pytest.raises(OptionError, match="num_classes"):
            to_categorical([0, 1], wrong)

    def test_nothing_to_count_classes_by(self):
        with pytest.raises(DataError, match="give num_classes"):
            to_categorical([])

    @pytest.mark.parametrize("wrong", [["cat", "dog"], [1j, 2j]])
    def test_labels_that_are_no_numbers(self, wrong):
        with pytest.raises(DtypeError, match="Number the classes"):
            to_categorical(wrong, 2)

    def test_rows_of_different_lengths(self):
        with pytest.raises(ShapeError, match=r"labels is not a regular array.*equal length"):
            to_categorical([[0, 1], [2]], 3)


class TestNormalize:
    @pytest.mark.parametrize("order", [1, 2, 3.5, float("inf")])
    @pytest.mark.parametrize("axis", [0, 1, -1])
    def test_norms_are_one(self, backend, order, axis):
        x = np.random.default_rng(0).normal(size=(4, 5))
        given = backend.asarray(x, dtype="float64")
        y = normalize(given, axis=axis, order=order)
        same_place(y, given, backend)
        # A few roundings; pow of 3.5 costs some more.
        np.testing.assert_allclose(np.linalg.norm(to_numpy(y), order, axis), 1.0, rtol=1e-14)
        np.testing.assert_allclose(to_numpy(y), x / np.linalg.norm(x, order, axis, keepdims=True), rtol=1e-14)

    def test_zeros_stay_zeros_and_whole_numbers_become_floats(self, backend):
        y = normalize(backend.asarray([[3, 4], [0, 0]]))
        assert y.dtype == backend.xp.float32
        # 2e-7: two roundings of float32.
        np.testing.assert_allclose(to_numpy(y), [[0.6, 0.8], [0.0, 0.0]], rtol=2e-7)

    def test_large_and_small_numbers(self, backend):
        for scale in (1e30, 1e-30):
            y = normalize(backend.asarray([[3 * scale, 4 * scale]], dtype="float32"))
            np.testing.assert_allclose(to_numpy(y), [[0.6, 0.8]], rtol=3e-7)

    def test_lists_and_empty_arrays(self):
        assert type(normalize([3.0, 4.0])) is np.ndarray
        assert normalize(np.zeros((0, 3))).shape == (0, 3)

    @pytest.mark.parametrize("axis", [None, (0, 1)])
    def test_one_norm_of_all(self, axis):
        np.testing.assert_array_equal(normalize([[3.0, 4.0]], axis=axis), [[3 / 5, 4 / 5]])

    @pytest.mark.parametrize(("x", "axis"), [(3.0, -1), ([[1.0]], 2), ([[1.0]], "a"), ([[1.0]], (0, -3))])
    def test_axes_that_are_not_there(self, backend, x, axis):
        with pytest.raises(AxisError, match="normalize: axis="):
            normalize(backend.asarray(x, dtype="float32"), axis=axis)

    @pytest.mark.parametrize("wrong", [0, 0.5, -1, float("nan"), None, "2", [2], True])
    def test_impossible_orders(self, wrong):
        with pytest.raises(OptionError, match="order"):
            normalize([1.0], order=wrong)

    def test_complex_numbers_are_refused(self):
        with pytest.raises(DtypeError, match="complex"):
            normalize(np.array([1j]))


class TestSeeds:
    def test_python_numpy_and_nnx_repeat_themselves(self):
        def draw():
            return random.random(), np.random.rand(), next_seed(), next_seed()

        set_random_seed(42)
        first = draw()
        set_random_seed(42)
        assert draw() == first
        set_random_seed(43)
        assert not set(draw()) & set(first)

    def test_seeds_differ_and_fit_into_53_bits(self):
        set_random_seed(0)
        found = [next_seed() for _ in range(200)]
        assert len(set(found)) == 200
        assert all(type(seed) is int and 0 <= seed < 2**53 for seed in found)
        # Beyond 2⁵² about half of the time: all 53 bits are used.
        assert 50 < sum(seed >= 2**52 for seed in found) < 150

    def test_unseeded_runs_differ(self, monkeypatch):
        firsts = []
        for _ in range(2):
            monkeypatch.setattr(seeds, "_seed", None)
            firsts.append(next_seed())
        assert firsts[0] != firsts[1]

    def test_numpy_integers_are_numbers_too(self):
        set_random_seed(np.int64(7))
        first = next_seed()
        set_random_seed(7)
        assert next_seed() == first

    @pytest.mark.parametrize("wrong", [-1, 2**32, 1.0, "7", None, True])
    def test_impossible_seeds_change_nothing(self, wrong):
        set_random_seed(1)
        with pytest.raises(OptionError, match="seed must be a whole number"):
            set_random_seed(wrong)
        after = next_seed()
        set_random_seed(1)
        assert next_seed() == after


class TestTrainTestSplit:
    def test_rows_stay_together_and_none_is_lost(self, backend):
        x = backend.asarray(np.arange(40).reshape(20, 2), dtype="float32")
        y = backend.asarray(np.arange(20), dtype="int64")
        x_train, x_test, y_train, y_test = parts = train_test_split(x, y, seed=1)
        assert [part.shape[0] for part in parts] == [15, 5, 15, 5]
        for pixels, label in ((x_train, y_train), (x_test, y_test)):
            np.testing.assert_array_equal(to_numpy(pixels)[:, 0], 2 * to_numpy(label))
            same_place(pixels, x, backend)
            assert pixels.dtype == x.dtype and label.dtype == y.dtype
        assert sorted([*to_numpy(y_train), *to_numpy(y_test)]) == list(range(20))

    def test_the_same_rows_on_every_backend(self, backend):
        _, test = train_test_split(backend.asarray(np.arange(100)), seed=5)
        _, expected = train_test_split(list(range(100)), seed=5)
        assert to_numpy(test).tolist() == expected

    def test_lists_stay_lists_of_the_same_objects(self):
        names = [object() for _ in range(8)]
        train, test = train_test_split(names, test_size=2)
        assert type(train) is type(test) is list
        assert {*map(id, train), *map(id, test)} == {*map(id, names)}

    @pytest.mark.parametrize(
        ("n", "options"),
        [
            (10, {}),
            (11, {}),
            (11, {"test_size": 0.3}),
            (11, {"train_size": 0.3}),
            (11, {"test_size": 4}),
            (11, {"train_size": 4}),
            (11, {"test_size": 0.2, "train_size": 0.5}),
            (11, {"test_size": 2, "train_size": 0.5}),
        ],
        ids=str,
    )
    @pytest.mark.parametrize("shuffle", [True, False])
    def test_sizes_are_scikit_learns(self, n, options, shuffle):
        theirs = pytest.importorskip("sklearn.model_selection").train_test_split
        expected = theirs(np.arange(n), shuffle=shuffle, random_state=0, **options)
        found = train_test_split(np.arange(n), shuffle=shuffle, random_state=0, **options)
        assert [len(part) for part in found] == [len(part) for part in expected]
        if not shuffle:
            for part, theirs_part in zip(found, expected, strict=True):
                np.testing.assert_array_equal(part, theirs_part)

    def test_seeds(self):
        rows = list(range(50))
        assert train_test_split(rows, seed=3) == train_test_split(rows, random_state=3)
        assert train_test_split(rows, seed=3) != train_test_split(rows, seed=4)
        set_random_seed(9)
        first, second = train_test_split(rows), train_test_split(rows)
        set_random_seed(9)
        assert train_test_split(rows) == first != second

    def test_stratified_parts_have_the_proportions_of_the_whole(self):
        labels = np.repeat([0, 1, 2], [60, 30, 10])
        train, test = train_test_split(labels, test_size=0.2, stratify=labels, seed=0)
        assert np.bincount(train).tolist() == [48, 24, 8] and np.bincount(test).tolist() == [12, 6, 2]
        assert (np.diff(train) != 0).sum() > 10, "classes are mixed, not one after the other"

    @pytest.mark.parametrize("labels", [["a", "b"] * 10, np.tile(np.eye(2), (10, 1)), [[0], [1]] * 10])
    def test_labels_to_stratify_by_may_be_names_or_one_hot(self, labels):
        _, test = train_test_split(list(range(20)), test_size=4, stratify=labels, seed=2)
        assert sum(i % 2 for i in test) == 2

    def test_stratified_on_a_backend(self, backend):
        labels = backend.asarray(np.arange(40) % 4)
        _, test = train_test_split(labels, test_size=8, stratify=labels, seed=1)
        assert np.bincount(to_numpy(test)).tolist() == [2, 2, 2, 2]

    def test_a_rare_class_is_in_both_parts(self):
        labels = np.repeat([0, 1], [98, 2])
        for size in (0.05, 0.5, 0.95):
            train, test = train_test_split(labels, test_size=size, stratify=labels, seed=0)
            assert 1 in train and 1 in test
            assert len(train) + len(test) == 100

    def test_stratified_with_both_sizes(self):
        labels = np.repeat([0, 1, 2], [50, 30, 20])
        train, test = train_test_split(labels, test_size=10, train_size=40, stratify=labels, seed=0)
        assert np.bincount(train).tolist() == [20, 12, 8] and np.bincount(test).tolist() == [5, 3, 2]

    @pytest.mark.parametrize(
        "options",
        [
            {"test_size": 0},
            {"test_size": 0.0},
            {"test_size": 1.0},
            {"test_size": 1.2},
            {"test_size": -3},
            {"test_size": float("nan")},
            {"test_size": "half"},
            {"test_size": True},
            {"test_size": 10},
            {"train_size": 10},
            {"test_size": 6, "train_size": 6},
            {"train_size": 0.05},
            {"seed": 1, "random_state": 1},
            {"seed": 1.5},
            {"shuffle": "no"},
            {"shuffle": None},
            {"shuffle": False, "stratify": [0, 1] * 5},
            {"test_size": 2, "stratify": [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]},
        ],
        ids=str,
    )
    def test_impossible_options(self, options):
        with pytest.raises(OptionError, match="train_test_split"):
            train_test_split(list(range(10)), **options)

    def test_other_wrong_input(self):
        with pytest.raises(OptionError, match="at least one array"):
            train_test_split()
        with pytest.raises(ShapeError, match=r"\[4, 5\]"):
            train_test_split([1, 2, 3, 4], np.zeros(5))
        with pytest.raises(OptionError, match="0 rows"):
            train_test_split([])
        with pytest.raises(DtypeError, match="is None"):
            train_test_split([1, 2], None)
        with pytest.raises(ShapeError, match="without axes"):
            train_test_split(np.array(3.0))
        with pytest.raises(ShapeError, match="3 labels for 4 rows"):
            train_test_split([1, 2, 3, 4], stratify=[0, 0, 1])
        with pytest.raises(DataError, match="'b' has 1"):
            train_test_split([1, 2, 3, 4, 5], stratify=["a", "a", "a", "a", "b"])


class TestStandardScaler:
    X = np.random.default_rng(0).normal([5.0, -100.0, 0.0], [2.0, 0.01, 30.0], size=(200, 3))

    @pytest.mark.parametrize("dtype", ["float64", "float32"])
    def test_mean_zero_deviation_one_and_back(self, backend, dtype):
        x = backend.asarray(self.X, dtype=dtype)
        scaler = StandardScaler()
        z = scaler.fit_transform(x)
        assert z.dtype == x.dtype
        same_place(z, x, backend)
        # −100 ± 0.01 has roundings of 7e-15 in float64 and 4e-6 in float32; they are divided by 0.01.
        tolerance = 1e-11 if dtype == "float64" else 1e-3
        np.testing.assert_allclose(to_numpy(z).mean(axis=0), 0.0, atol=tolerance)
        np.testing.assert_allclose(to_numpy(z).std(axis=0), 1.0, rtol=tolerance)
        back = scaler.inverse_transform(z)
        np.testing.assert_allclose(
            to_numpy(back), self.X, rtol=1e-13 if dtype == "float64" else 1e-5, atol=1e-5
        )

    def test_it_is_scikit_learns(self):
        theirs = pytest.importorskip("sklearn.preprocessing").StandardScaler().fit(self.X)
        ours = StandardScaler().fit(self.X)
        for name in ("mean_", "var_", "scale_"):
            np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-12)
        assert ours.n_samples_seen_ == theirs.n_samples_seen_ == 200

    @pytest.mark.parametrize("constant", [0.0, 0.1, 1e9, -3e-7])
    def test_constant_features_become_zeros(self, backend, constant):
        x = backend.asarray(np.column_stack([np.full(999, constant), np.arange(999)]), dtype="float64")
        scaler = StandardScaler()
        z = to_numpy(scaler.fit_transform(x))
        # The mean of 999 equal numbers may be off by some roundings of theirs.
        np.testing.assert_allclose(z[:, 0], 0.0, atol=1e-13 * abs(constant))
        assert to_numpy(scaler.scale_)[0] == 1.0
        assert z[:, 1].std() == pytest.approx(1.0)

    def test_float32_sums_do_not_drift(self):
        # Added up in float32, 300 000 numbers near 1000 lose their third digit.
        x = np.full((300_000, 1), 1000.0, np.float32)
        x[::2] += 1.0
        scaler = StandardScaler().fit(x)
        assert scaler.mean_[0] == pytest.approx(1000.5, rel=1e-12)
        assert scaler.scale_[0] == pytest.approx(0.5, rel=1e-9)

    def test_blocks_and_parts_give_what_the_whole_gives(self, monkeypatch):
        whole = StandardScaler().fit(self.X)
        parts = StandardScaler()
        for part in np.split(self.X, [3, 50, 51]):
            parts.partial_fit(part)
        wide = np.tile(self.X, (1, 20_000))  # more numbers than one block holds
        for scaler in (parts, StandardScaler().fit(wide)):
            np.testing.assert_allclose(scaler.mean_[:3], whole.mean_, rtol=1e-13)
            np.testing.assert_allclose(scaler.var_[:3], whole.var_, rtol=1e-9)  # −100² − … cancels
        assert parts.n_samples_seen_ == 200

    def test_fit_forgets_what_was_seen(self):
        scaler = StandardScaler().fit(self.X + 7.0)
        assert scaler.fit(self.X) is scaler
        np.testing.assert_array_equal(scaler.mean_, StandardScaler().fit(self.X).mean_)

    @pytest.mark.parametrize("shape", [(10,), (10, 2, 3)])
    def test_features_of_any_shape(self, backend, shape):
        x = backend.asarray(np.arange(np.prod(shape)).reshape(shape), dtype="float64")
        scaler = StandardScaler().fit(x)
        assert tuple(scaler.mean_.shape) == shape[1:]
        np.testing.assert_allclose(to_numpy(scaler.transform(x)).std(axis=0), 1.0, rtol=1e-14)

    def test_whole_numbers(self, backend):
        z = StandardScaler().fit_transform(backend.asarray([[0], [2]], dtype="uint8"))
        assert z.dtype == backend.xp.float32
        np.testing.assert_array_equal(to_numpy(z), [[-1.0], [1.0]])

    def test_fitted_on_numpy_and_used_elsewhere(self, backend):
        scaler = StandardScaler().fit(self.X)
        x = backend.asarray(self.X, dtype="float64")
        z = scaler.transform(x)
        same_place(z, x, backend)
        np.testing.assert_allclose(to_numpy(z), scaler.transform(self.X), rtol=1e-13)
        scaler.partial_fit(x)
        assert scaler.n_samples_seen_ == 400

    def test_parts_that_are_switched_off(self):
        centered = StandardScaler(with_std=False).fit_transform(self.X)
        np.testing.assert_allclose(centered, self.X - self.X.mean(axis=0), atol=1e-12)
        scaled = StandardScaler(with_mean=False)
        np.testing.assert_allclose(scaled.fit_transform(self.X), self.X / self.X.std(axis=0), rtol=1e-12)
        np.testing.assert_allclose(scaled.inverse_transform(scaled.transform(self.X)), self.X, rtol=1e-14)
        assert repr(scaled) == "StandardScaler(with_mean=False, with_std=True)"

    def test_the_input_is_not_written_to(self):
        x = self.X.copy()
        StandardScaler().fit_transform(x)
        np.testing.assert_array_equal(x, self.X)

    @pytest.mark.parametrize("wrong", [np.nan, np.inf, 1e200])
    def test_numbers_that_cannot_be_scaled(self, backend, wrong):
        x = self.X.copy()
        x[7, 2] = wrong
        scaler = StandardScaler()
        with pytest.raises(DataError, match=r"feature \[2\] holds NaN, infinity"), np.errstate(all="ignore"):
            scaler.fit(backend.asarray(x, dtype="float64"))
        with pytest.raises(NotBuilt):
            scaler.transform(self.X)

    @pytest.mark.filterwarnings("error")
    def test_a_fit_that_fails_leaves_the_one_before(self):
        scaler = StandardScaler().fit(self.X)
        before = scaler.transform(self.X)
        whole = self.X.astype("int64")
        kinds = [self.X * 1j, self.X.astype("U9"), self.X.astype(object), whole.astype("M8[s]"), ["a"], None]
        for wrong in kinds:
            for take in (scaler.fit, scaler.fit_transform, scaler.partial_fit):
                with pytest.raises(DtypeError):
                    take(wrong)
        for wrong in (self.X[:0], self.X * np.nan):
            with pytest.raises(DataError):
                scaler.fit(wrong)
        np.testing.assert_array_equal(scaler.transform(self.X), before)

    @pytest.mark.filterwarnings("ignore:the matrix subclass")
    def test_matrices_are_arrays(self):
        z = StandardScaler().fit_transform(np.asmatrix(self.X))
        np.testing.assert_array_equal(z, StandardScaler().fit_transform(self.X))

    def test_other_wrong_input(self):
        with pytest.raises(DataError, match="no rows"):
            StandardScaler().fit(np.zeros((0, 3)))
        with pytest.raises(NotBuilt, match="call fit"):
            StandardScaler().transform(self.X)
        scaler = StandardScaler().fit(self.X)
        with pytest.raises(ShapeError, match=r"\(3,\).*\(200, 2\)"):
            scaler.transform(self.X[:, :2])
        with pytest.raises(ShapeError):
            scaler.partial_fit(self.X[:, :2])
        with pytest.raises(DtypeError):
            scaler.transform(self.X * 1j)


@pytest.mark.parametrize(
    "use", [to_categorical, normalize, train_test_split, StandardScaler().fit, StandardScaler().partial_fit]
)
def test_masked_entries_are_refused_and_masks_of_nothing_taken(use):
    use(np.ma.array([0, 1, 2], mask=[False, False, False]))
    with pytest.raises(DataError, match=r"masked entries.*filled"):
        use(np.ma.array([0, 1, 2], mask=[False, True, False]))


@pytest.mark.parametrize("use", [to_categorical, normalize, train_test_split, StandardScaler().fit])
def test_tensors_without_numbers_are_refused(use):
    torch = pytest.importorskip("torch")
    for x in (torch.eye(3).to_sparse(), torch.eye(3, device="meta")):
        with pytest.raises(DtypeError, match=r"to_dense|'meta'"):
            use(x)
