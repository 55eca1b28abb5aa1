"""One contract for every initializer of the registry; then what single ones promise."""

from __future__ import annotations

import hashlib
import math
import tracemalloc

import numpy as np
import pytest
from functions.targets import same_defaults

from nnx import initializers
from nnx.backend import Stream, set_seed
from nnx.backend.philox import WEIGHTS, generator
from nnx.errors import OptionError, ShapeError, UnknownName
from nnx.initializers.base import BLOCK, fill
from nnx.registry import from_config, to_config

ENTRIES = list(initializers.registry)
RANDOM = [e for e in ENTRIES if "seed" in e.options]


def by_name(entries):
    return {"argvalues": entries, "ids": [e.name for e in entries]}


def random(index=0):
    return generator(Stream(7, WEIGHTS, index))


# -- the contract --------------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", **by_name(ENTRIES))
def test_says_what_it_is(entry):
    assert entry.traits.formula and entry.traits.use
    assert ">>>" in entry.target.__doc__
    assert getattr(initializers, entry.name) is entry.target
    chosen = getattr(initializers, entry.class_name)()
    assert chosen == initializers.get(entry.name) == initializers.get(entry.target)
    assert from_config(to_config(chosen)) == chosen
    assert {entry.name, entry.class_name} <= set(dir(initializers))


@pytest.mark.parametrize("entry", **by_name(ENTRIES))
def test_gives_a_float64_array_of_the_host_in_the_shape_asked_for(entry):
    for shape in ((5, 3), (3, 5), (2, 3, 4, 5), (4, 1)):
        if entry.name == "identity" and len(shape) != 2:
            continue
        w = entry.target(shape, random())
        assert type(w) is np.ndarray and w.dtype == np.float64 and w.shape == shape
        assert np.all(np.isfinite(w))


@pytest.mark.parametrize(
    "entry", **by_name([e for e in RANDOM if e.name not in ("orthogonal", "nguyen_widrow")])
)
def test_vectors_numbers_and_nothing_can_be_initialised(entry):
    for shape in ((4,), (), (0,), (0, 3), (3, 0)):
        w = entry.target(shape, random())
        assert np.asarray(w).shape == shape


@pytest.mark.parametrize("entry", **by_name(RANDOM))
def test_the_generator_decides_and_a_seed_overrides_it(entry):
    shape = (6, 4)
    w = entry.target(shape, random())
    np.testing.assert_array_equal(entry.target(shape, random()), w)
    assert not np.array_equal(entry.target(shape, random(1)), w)
    seeded = getattr(initializers, entry.class_name)(seed=3)
    np.testing.assert_array_equal(seeded(shape, random()), seeded(shape, random(1)))
    np.testing.assert_array_equal(seeded(shape), entry.target(shape, seed=3))
    assert not np.array_equal(seeded(shape), entry.target(shape, seed=4))


@pytest.mark.parametrize("entry", **by_name(RANDOM))
def test_without_a_generator_the_librarys_seed_decides(entry):
    set_seed(11)
    first, second = entry.target((6, 4)), entry.target((6, 4))
    assert not np.array_equal(first, second)
    set_seed(11)
    np.testing.assert_array_equal(entry.target((6, 4)), first)


# Made by nnx 0.1.0 before it wrote block by block: the same seed gives the same weights for good. What is not
# here depends on the BLAS (orthogonal) or on the order in which NumPy sums (nguyen_widrow).
BITS = {
    "zeros": "943696a366338cdf",
    "ones": "65a7ea5cab0fe6cc",
    "random_uniform": "9f64c4fed6298449",
    "random_normal": "0c4e86afeeef1f31",
    "truncated_normal": "9735f42bb944a552",
    "variance_scaling": "bfd0fe55ac02e338",
    "glorot_uniform": "91f70b7136b4eba3",
    "glorot_normal": "8b204f6bea2e39fd",
    "he_uniform": "7f17841176ae981f",
    "he_normal": "871d3f620079bb7e",
    "lecun_uniform": "1ed1af5016a64f69",
    "lecun_normal": "bfd0fe55ac02e338",
}


@pytest.mark.parametrize("name", BITS)
def test_the_same_seed_gives_the_same_bits_as_ever(name):
    w = initializers.registry.entry(name).target((3, 100, 300), random(1))  # more than one block
    assert w.size > BLOCK and hashlib.sha256(w).hexdigest()[:16] == BITS[name]


@pytest.mark.parametrize(
    "name", [*(e.name for e in ENTRIES if e.traits.in_blocks and not e.required), "orthogonal"]
)
def test_a_vector_is_filled_with_the_same_entries_rounded(name):
    chosen, shape = initializers.get(name), (2, 100, 400)
    out = np.full(80_000, np.nan, dtype="float32")
    fill(out, chosen, shape, random(2), "kernel")
    np.testing.assert_array_equal(out.reshape(shape), chosen(shape, random(2)).astype("float32"))


def test_a_large_kernel_needs_no_room_beside_its_vector():
    out = np.empty(4_000_000, dtype="float32")
    tracemalloc.start()
    fill(out, initializers.get("glorot_uniform"), (2000, 2000), random(), "kernel")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.1 * out.nbytes  # a block in float64, twice; all of them would be 2 times the vector


def test_entries_of_another_shape_are_refused():
    with pytest.raises(ShapeError, match=r"'kernel' gave an array of shape \(3, 2\), asked for \(2, 3\)"):
        fill(np.empty(6), initializers.get(lambda shape, _: np.ones(shape[::-1])), (2, 3), random(), "kernel")


# -- distributions -------------------------------------------------------------------------------------

N = 40_000  # the mean of so many numbers is known to 1/200 of their standard deviation


def moments(w):
    return float(w.mean()), float(w.std())


def test_uniform_normal_and_truncated():
    mean, std = moments(initializers.RandomUniform(1.0, 3.0)((N,), random()))
    assert mean == pytest.approx(2.0, abs=0.02) and std == pytest.approx(2 / math.sqrt(12), rel=0.02)
    mean, std = moments(initializers.RandomNormal(1.0, 0.5)((N,), random()))
    assert mean == pytest.approx(1.0, abs=0.02) and std == pytest.approx(0.5, rel=0.02)
    w = initializers.TruncatedNormal(1.0, 0.5)((N,), random())
    mean, std = moments(w)
    assert mean == pytest.approx(1.0, abs=0.02) and std == pytest.approx(0.5 * 0.8796, rel=0.02)
    assert abs(w - 1.0).max() <= 1.0


def test_truncated_normal_has_the_distribution_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    w = initializers.TruncatedNormal(stddev=1.0)((N,), random())
    assert stats.kstest(w, stats.truncnorm(-2, 2).cdf).pvalue > 0.01


SCALED = {
    "glorot_uniform": (1.0, "fan_avg", "uniform"), "glorot_normal": (1.0, "fan_avg", "truncated_normal"),
    "he_uniform": (2.0, "fan_in", "uniform"), "he_normal": (2.0, "fan_in", "truncated_normal"),
    "lecun_uniform": (1.0, "fan_in", "uniform"), "lecun_normal": (1.0, "fan_in", "truncated_normal"),
}  # fmt: skip


@pytest.mark.parametrize("shape", [(300, 200), (3, 3, 60, 80)])
@pytest.mark.parametrize("name", SCALED)
def test_variance_is_scaled_by_the_fans_of_keras(name, shape, keras):
    from keras.src.initializers.random_initializers import compute_fans

    theirs = getattr(keras.initializers, name)()
    scale, mode, distribution = SCALED[name]
    assert (theirs.scale, theirs.mode, theirs.distribution) == (scale, mode, distribution)
    fan_in, fan_out = compute_fans(shape)
    assert initializers.fans(shape) == (fan_in, fan_out)
    variance = scale / (fan_in if mode == "fan_in" else (fan_in + fan_out) / 2)
    w = getattr(initializers, name)(shape, random())
    mean, std = moments(w)
    assert mean == pytest.approx(0.0, abs=0.02 * std) and std == pytest.approx(math.sqrt(variance), rel=0.02)
    if distribution == "uniform":
        limit = math.sqrt(3 * variance)
    else:
        limit = 2 * math.sqrt(variance) / 0.87962566103423978
    assert 0.98 * limit < abs(w).max() <= limit


@pytest.mark.parametrize("shape", [(), (7,), (7, 3), (5, 7, 3), (2, 5, 7, 3), (1, 1)])
def test_fans_are_those_of_keras(shape, keras):
    from keras.src.initializers.random_initializers import compute_fans

    assert initializers.fans(shape) == compute_fans(shape)


def test_variance_scaling_with_options():
    w = initializers.VarianceScaling(3.0, "fan_out", "untruncated_normal")((100, 400), random())
    assert moments(w)[1] == pytest.approx(math.sqrt(3.0 / 400), rel=0.02)
    assert abs(w).max() > 3.5 * math.sqrt(3.0 / 400)
    same = initializers.VarianceScaling(distribution="normal", seed=1)((4, 4))
    np.testing.assert_array_equal(same, initializers.VarianceScaling(seed=1)((4, 4)))


def test_keras_names_all_work(keras):
    names = set(keras.src.initializers.ALL_OBJECTS_DICT)
    left_out = {"Initializer", "initializer", "STFT", "stft", "STFTInitializer"}
    found = {initializers.get(name).name for name in names - left_out}
    assert found == {e.name for e in ENTRIES} - {"nguyen_widrow"}


@pytest.mark.parametrize("entry", **by_name([e for e in ENTRIES if e.name != "nguyen_widrow"]))
def test_defaults_are_those_of_keras(entry, keras):
    same_defaults(entry.target, getattr(keras.initializers, entry.class_name))


# -- single initializers -------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(8, 5), (5, 8), (6, 6), (2, 3, 4)])
def test_orthogonal(shape):
    w = initializers.Orthogonal(gain=1.5)(shape, random()).reshape(-1, shape[-1])
    product = w.T @ w if w.shape[0] >= w.shape[1] else w @ w.T
    np.testing.assert_allclose(product, 2.25 * np.eye(min(w.shape)), atol=1e-14)


def test_orthogonal_matrices_point_everywhere():
    # Without the signs of R's diagonal, LAPACK's Q would nearly always have the same signs on its own.
    signs = [np.sign(initializers.orthogonal((3, 3), random(i))[0, 0]) for i in range(200)]
    assert abs(np.mean(signs)) < 0.25


def test_constants():
    np.testing.assert_array_equal(initializers.zeros((2, 3)), np.zeros((2, 3)))
    np.testing.assert_array_equal(initializers.ones((2,)), np.ones(2))
    np.testing.assert_array_equal(initializers.Constant(2.5)((2,)), [2.5, 2.5])
    np.testing.assert_array_equal(initializers.Identity(3.0)((2, 3)), 3.0 * np.eye(2, 3))


def test_nguyen_widrow_is_matlabs_initnw_but_for_the_neurons_signs():
    inputs, neurons = 3, 20
    w = initializers.nguyen_widrow((inputs, neurons), random())
    b = initializers.NguyenWidrow(inputs=inputs)((neurons,), random())
    # MATLAB's calcnw, for tansig: [-2, 2] and inputs in [-1, 1].
    magnitude = 2.0 * 0.7 * neurons ** (1 / inputs)
    np.testing.assert_allclose(np.linalg.norm(w, axis=0), magnitude)
    np.testing.assert_allclose(b, magnitude * np.linspace(-1, 1, neurons) * np.sign(w[0]))
    assert np.all(w[0] > 0) and np.any(w[1] < 0) and np.any(w[2] > 0)


def test_nguyen_widrow_neurons_share_out_the_interval():
    w, b = initializers.nguyen_widrow((1, 10)), initializers.NguyenWidrow(inputs=1)((10,))
    centres = -b / w[0]
    np.testing.assert_allclose(np.sort(centres), np.linspace(-1, 1, 10))
    assert initializers.NguyenWidrow(inputs=4)((1,)).tolist() == [0.0]


@pytest.mark.parametrize("wrong", ["a", None, True, math.nan, math.inf, -math.inf])
def test_numbers_must_be_finite(wrong):
    for name, option in (
        ("Constant", "value"),
        ("Identity", "gain"),
        ("Orthogonal", "gain"),
        ("NguyenWidrow", "active_range"),
        ("RandomUniform", "minval"),
        ("RandomUniform", "maxval"),
        ("RandomNormal", "mean"),
        ("RandomNormal", "stddev"),
        ("TruncatedNormal", "mean"),
        ("TruncatedNormal", "stddev"),
        ("VarianceScaling", "scale"),
    ):
        make = getattr(initializers, name)
        with pytest.raises(OptionError, match=f"{option} must be a finite number.*got"):
            make(**{option: wrong})((2, 2))
        assert np.all(np.isfinite(make(**{option: np.float32(0.03)})((2, 2))))


@pytest.mark.parametrize("entry", **by_name(RANDOM))
def test_what_is_no_seed_is_refused(entry):
    for seed in ("a", 1.5, -1, True, 2**64):
        with pytest.raises(OptionError, match="seed must be a whole number"):
            entry.create(seed=seed)((2, 2))


def test_what_cannot_be_meant_is_refused():
    with pytest.raises(ShapeError, match="two axes"):
        initializers.orthogonal((3,))
    with pytest.raises(ShapeError, match="matrices"):
        initializers.identity((3,))
    with pytest.raises(OptionError, match="inputs"):
        initializers.nguyen_widrow((3,))
    for wrong in (
        lambda: initializers.VarianceScaling(scale=0.0)((2, 2)),
        lambda: initializers.VarianceScaling(mode="fan")((2, 2)),
        lambda: initializers.VarianceScaling(distribution="cauchy")((2, 2)),
        lambda: initializers.RandomNormal(stddev=-1.0)((2, 2)),
        lambda: initializers.TruncatedNormal(stddev=float("nan"))((2, 2)),
        lambda: initializers.RandomUniform(1.0, 0.0)((2, 2)),
        lambda: initializers.RandomUniform(-1e308, 1e308)((2, 2)),
        lambda: initializers.NguyenWidrow(inputs=0)((2,)),
        lambda: initializers.NguyenWidrow(inputs=1.5)((2,)),
        lambda: initializers.HeNormal(stddev=1.0),
    ):
        with pytest.raises(OptionError):
            wrong()
    with pytest.raises(UnknownName, match="glorot_uniform"):
        initializers.get("glorot_unifrom")
    with pytest.raises(AttributeError):
        initializers.NoSuchThing  # noqa: B018
