"""One contract for every activation of the registry; then what single ones promise."""

from __future__ import annotations

import warnings
from operator import attrgetter

import numpy as np
import pytest
from functions.targets import same_defaults
from walks import walk

import nnx
from nnx import activations
from nnx.autodiff import FusedFunction, fused
from nnx.backend import device_of, namespace, to_numpy
from nnx.errors import OptionError, ShapeError, UnknownName

ENTRIES = [e for e in activations.registry if not e.required]  # threshold has tests of its own
SCALAR = [e for e in ENTRIES if e.traits.limits is not None]
FUSED = [e.target for e in ENTRIES if isinstance(e.target, FusedFunction)] + [activations.erf]


def by_name(things):
    return {"argvalues": things, "ids": [getattr(t, "name", None) or t.__name__ for t in things]}


def points(entry, n=48):
    """Numbers of both signs, at a distance from the kinks that finite differences do not cross."""
    x = np.random.default_rng(0).uniform(-4.0, 4.0, n)
    for kink in entry.traits.kinks:
        x = np.where(np.abs(x - kink) < 0.05, kink + 0.3, x)
    return x.reshape(4, n // 4)


# -- the contract --------------------------------------------------------------------------------------


@walk("entry", ENTRIES, ids=attrgetter("name"))
def test_says_what_it_is(entry):
    traits = entry.traits
    assert all([traits.formula, traits.derivative, traits.range, traits.use])
    assert (traits.limits is not None and traits.slopes is not None) or entry.name in (
        "softmax",
        "log_softmax",
        "sparsemax",
        "glu",
    )
    assert entry.target.__doc__ and ">>>" in entry.target.__doc__
    assert getattr(activations, entry.name) is entry.target
    assert activations.get(entry.class_name) == activations.get(entry.name) == activations.get(entry.target)


@walk("entry", ENTRIES, ids=attrgetter("name"))
def test_is_the_same_on_every_backend(entry, backend):
    x = points(entry)
    y = entry.target(backend.asarray(x, dtype="float64"))
    assert namespace(y) is backend.xp and device_of(y) == backend.device
    # The libraries' exponentials differ in the last place.
    np.testing.assert_allclose(to_numpy(y), entry.target(x), rtol=1e-13, atol=1e-15)


@walk("entry", ENTRIES, ids=attrgetter("name"))
def test_keeps_float32(entry, backend):
    y, pullback = nnx.vjp(entry.target, backend.asarray(points(entry), dtype="float32"))
    assert y.dtype == backend.xp.float32
    assert pullback(y)[0].dtype == backend.xp.float32
    # A few roundings of 6e-8, and of numbers up to 4.
    np.testing.assert_allclose(to_numpy(y), entry.target(points(entry)), rtol=2e-6, atol=1e-6)


@walk("entry", ENTRIES, ids=attrgetter("name"))
def test_derivatives_are_right_to_second_order(entry, backend):
    nnx.check_derivatives(entry.target, backend.asarray(points(entry, 16), dtype="float64"))


@pytest.mark.parametrize("function", **by_name(FUSED))
def test_hand_written_derivative_is_that_of_the_body(function):
    x = (
        points(activations.registry.entry(function.__name__))
        if function is not activations.erf
        else np.ones(3)
    )
    x = np.where(np.abs(x) < 0.05, 0.3, x)  # the bodies hold |x|, whose derivative jumps at 0
    weights = np.random.default_rng(1).standard_normal(function(x).shape)
    for_one, for_other = (
        lambda z: np.sum(weights * function(z)),
        lambda z: np.sum(weights * function.plain(z)),
    )
    # Written differently, computed in float64: some ten roundings of numbers near 1.
    np.testing.assert_allclose(nnx.grad(for_one)(x), nnx.grad(for_other)(x), rtol=1e-11, atol=1e-13)
    v = np.cos(x)
    np.testing.assert_allclose(nnx.hvp(for_one, x, v), nnx.hvp(for_other, x, v), rtol=1e-10, atol=1e-12)


def interval(text):
    low, high = text[1:-1].replace("∞", "inf").split(",")
    return float(low), float(high)


@walk("entry", ENTRIES, ids=attrgetter("name"))
def test_stays_in_its_range(entry):
    low, high = interval(entry.traits.range)
    x = np.concatenate([np.linspace(-30, 30, 4001), [-1e4, 1e4]])
    with np.errstate(over="ignore"):
        y = entry.target(x[:, None] * [1.0, 0.5])
    assert np.min(y) >= low - 1e-15 and np.max(y) <= high + 1e-15
    if entry in SCALAR:
        reached = entry.target(np.linspace(-30, 30, 4001))
        # Bounds that are finite are attained or approached, to the grid's accuracy.
        assert np.isinf(low) or np.min(reached) < low + 0.04
        assert np.isinf(high) or np.max(reached) > high - 0.04


def slopes(entry, x):
    return to_numpy(nnx.vjp(entry.target, x)[1](namespace(x).ones_like(x))[0])


@walk("entry", SCALAR, ids=attrgetter("name"))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_far_out_it_reaches_its_limits_and_slopes_in_silence(entry, dtype, backend):
    ends = backend.asarray([-np.inf, np.inf], dtype=dtype)
    # eˣ grows beyond every number by its nature; softsign and squareplus approach their limits only as 1/x.
    far = backend.asarray([-1e4, 80.0 if entry.name == "exponential" else 1e4], dtype=dtype)
    near = 2e-4 if entry.name in ("softsign", "squareplus") else 1e-6
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(to_numpy(entry.target(ends)), np.asarray(entry.traits.limits, dtype))
        np.testing.assert_allclose(slopes(entry, ends), entry.traits.slopes, rtol=1e-6)
        values, derivatives = to_numpy(entry.target(far)), slopes(entry, far)
    finite = np.isfinite(entry.traits.limits)
    np.testing.assert_allclose(values[finite], np.asarray(entry.traits.limits)[finite], rtol=near, atol=near)
    if entry.name != "exponential":
        # Where it goes to infinity, it does so along a straight line.
        line = np.asarray(entry.traits.slopes) * [-1e4, 1e4]
        np.testing.assert_allclose(values[~finite], line[~finite], rtol=2e-4)
        np.testing.assert_allclose(derivatives, entry.traits.slopes, rtol=1e-6, atol=1e-6)


@walk("entry", ENTRIES, ids=attrgetter("name"))
def test_nan_gives_nan(entry, backend):
    y = to_numpy(entry.target(backend.asarray([np.nan, 1.0], dtype="float32")))
    assert np.isnan(y[0])
    assert entry not in SCALAR or not np.isnan(y[1])


@walk("entry", [*ENTRIES, activations.registry.entry("threshold")], ids=attrgetter("name"))
def test_the_slope_of_nan_is_nan_where_it_depends_on_the_place(entry, backend):
    options = {"threshold": 0.5, "default_value": 0.0} if entry.required else {}
    numbers = [[1.0, np.nan]] if entry.name == "glu" else [[np.nan, 1.0]]  # glu is linear in its first half
    x = backend.asarray(numbers, dtype="float32")
    one = backend.asarray([[1.0, 1.0]], dtype="float32")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y, pullback = nnx.vjp(lambda x: entry.target(x, **options), x)
        back = to_numpy(pullback(backend.xp.ones_like(y))[0])
        along = to_numpy(nnx.jvp(lambda x: entry.target(x, **options), (x,), (one,))[1])
    if entry.name == "linear":  # its slope is 1, wherever one is
        np.testing.assert_array_equal(back, 1.0)
    else:
        assert np.isnan(back[0, 0]) and np.isnan(along[0, 0])
    if entry in SCALAR:
        assert np.isfinite(back[0, 1]) and np.isfinite(along[0, 1])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("relu", {"negative_slope": 0.1}),
        ("relu", {"max_value": 6.0, "threshold": 1.0}),
        ("leaky_relu", {"negative_slope": 0.0}),
        ("leaky_relu", {"negative_slope": 2.0}),
    ],
)
def test_the_slope_of_nan_is_nan_with_options_too(name, options):
    slope = nnx.grad(lambda t: getattr(activations, name)(t, **options))
    assert np.isnan(slope(np.nan)) and not np.isnan(slope(-np.inf)) and not np.isnan(slope(np.inf))


@walk("entry", ENTRIES, ids=attrgetter("name"))
def test_one_number_and_no_number_at_all_are_arrays_too(entry):
    shape = (2, 0) if entry not in SCALAR else (0,)
    if entry.name not in ("softmax", "log_softmax", "sparsemax"):  # the maximum of no numbers does not exist
        assert to_numpy(entry.target(np.zeros(shape))).size == 0
    if entry in SCALAR:
        assert entry.target(np.asarray(0.5)).shape == ()


# -- other libraries -----------------------------------------------------------------------------------


def theirs(torch, function, x):
    """Values, and the gradient of their weighted sum, from a function of PyTorch tensors."""
    t = torch.tensor(x, requires_grad=True)
    y = function(t)
    w = torch.linspace(0.5, 1.5, y.numel(), dtype=t.dtype).reshape(y.shape)
    (y * w).sum().backward()
    return y.detach().numpy(), t.grad.numpy()


def ours(function, x):
    y, pullback = nnx.vjp(function, x)
    return y, pullback(np.linspace(0.5, 1.5, y.size).reshape(y.shape))[0]


def agree(name, ours, theirs):
    """Values and gradients: both in float64, some ten roundings apart."""
    # PyTorch's hardsigmoid holds 1/6 as a float32, also for float64 numbers.
    rtol = 1e-7 if name == "hard_sigmoid" else 1e-12
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-14)


@pytest.mark.parametrize("entry", **by_name([e for e in ENTRIES if e.name != "sparsemax"]))
def test_equals_keras(entry, keras):
    torch = pytest.importorskip("torch")
    x = points(entry)
    agree(entry.name, ours(entry.target, x), theirs(torch, getattr(keras.activations, entry.name), x))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("relu", {"negative_slope": 0.1, "max_value": 2.0, "threshold": 0.7}),
        ("relu", {"max_value": 2.0}),
        ("threshold", {"threshold": 0.7, "default_value": -0.3}),
        ("squareplus", {"b": 0.3}),
        ("relu", {"negative_slope": 0.1}),
        ("relu", {"threshold": 0.7}),
        ("leaky_relu", {"negative_slope": 0.01}),
        ("leaky_relu", {"negative_slope": 0.0}),
        ("leaky_relu", {"negative_slope": 1.5}),
        ("elu", {"alpha": 0.3}),
        ("celu", {"alpha": 2.0}),
        ("gelu", {"approximate": True}),
        ("softmax", {"axis": 0}),
        ("log_softmax", {"axis": 0}),
        ("glu", {"axis": 0}),
        ("soft_shrink", {"threshold": 1.1}),
        ("hard_shrink", {"threshold": 1.1}),
    ],
)
def test_options_mean_what_they_mean_in_keras(name, options, keras):
    torch = pytest.importorskip("torch")
    entry = activations.registry.entry(name)
    x = points(entry)
    chosen = getattr(activations, entry.class_name)(**options)
    expected = theirs(torch, lambda t: getattr(keras.activations, name)(t, **options), x)
    agree(name, ours(chosen, x), expected)
    nnx.check_derivatives(chosen, x[:, :4])


@pytest.mark.parametrize("entry", **by_name(ENTRIES))
def test_defaults_are_those_of_keras(entry, keras):
    same_defaults(entry.target, getattr(keras.activations, entry.name))


TORCH = {
    "sigmoid": "sigmoid", "tanh": "tanh", "softsign": "softsign", "hard_sigmoid": "hardsigmoid",
    "hard_tanh": "hardtanh", "softplus": "softplus", "log_sigmoid": "logsigmoid", "elu": "elu",
    "selu": "selu", "celu": "celu", "silu": "silu", "hard_silu": "hardswish", "gelu": "gelu", "mish": "mish",
    "glu": "glu", "relu": "relu", "relu6": "relu6", "tanh_shrink": "tanhshrink",
    "soft_shrink": "softshrink", "hard_shrink": "hardshrink",
}  # fmt: skip


@pytest.mark.parametrize("name", TORCH)
def test_equals_pytorch(name):
    torch = pytest.importorskip("torch")
    x = points(activations.registry.entry(name))
    expected = theirs(torch, getattr(torch.nn.functional, TORCH[name]), x)
    agree(name, ours(getattr(activations, name), x), expected)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_vectors_equal_pytorch(name):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).standard_normal((3, 4, 5))
    for axis in (0, 1, -1):
        expected = theirs(torch, lambda t, axis=axis: getattr(torch, name)(t, axis), x)
        for a, b in zip(
            ours(lambda z, axis=axis: getattr(activations, name)(z, axis=axis), x), expected, strict=True
        ):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15)


# -- single activations --------------------------------------------------------------------------------


def test_sigmoid_is_accurate_to_the_last_places_everywhere():
    special = pytest.importorskip("scipy.special")
    x = np.linspace(-700.0, 40.0, 3001)
    np.testing.assert_allclose(activations.sigmoid(x), special.expit(x), rtol=5e-16)
    x32 = np.linspace(-80.0, 20.0, 3001, dtype="float32")
    np.testing.assert_allclose(activations.sigmoid(x32), special.expit(x32.astype("float64")), rtol=4e-7)


def test_sigmoid_and_tanh_are_one_function():
    z = np.linspace(-5.0, 5.0, 101)
    np.testing.assert_allclose(activations.sigmoid(z), 0.5 * (1.0 + activations.tanh(z / 2.0)), rtol=1e-14)


def test_softplus_and_log_sigmoid_are_accurate_in_the_tails():
    x = np.asarray([-700.0, -40.0, 40.0, 700.0])
    np.testing.assert_allclose(activations.softplus(x), [np.exp(-700), np.exp(-40), 40.0, 700.0], rtol=1e-15)
    np.testing.assert_allclose(
        activations.log_sigmoid(x), [-700, -40, -np.exp(-40), -np.exp(-700)], rtol=1e-15
    )


@pytest.mark.parametrize(
    ("name", "at", "slope"),
    [
        ("relu", 0.0, 0.0),
        ("leaky_relu", 0.0, 0.2),
        ("elu", 0.0, 1.0),
        ("relu6", 0.0, 0.0),
        ("relu6", 6.0, 0.0),
        ("hard_sigmoid", -3.0, 0.0),
        ("hard_sigmoid", 3.0, 0.0),
        ("hard_tanh", 1.0, 0.0),
        ("softsign", 0.0, 1.0),
        ("soft_shrink", 0.5, 0.0),
        ("hard_silu", -3.0, 0.0),
        ("hard_silu", 3.0, 1.0),
    ],
)
def test_derivative_at_a_kink_is_the_documented_one(name, at, slope):
    assert float(nnx.grad(getattr(activations, name))(at)) == slope


def test_softmax_of_large_and_infinite_numbers(backend):
    z = backend.asarray([[1e4, -1e4, 0.0], [0.0, -np.inf, 0.0], [np.inf, 0.0, 0.0]], dtype="float32")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ∞ − ∞ in the last row
        p, log_p = to_numpy(activations.softmax(z)), to_numpy(activations.log_softmax(z))
    np.testing.assert_array_equal(p[:2], [[1.0, 0.0, 0.0], [0.5, 0.0, 0.5]])
    assert np.isnan(p[2]).any() and np.isnan(log_p[2]).any()
    np.testing.assert_allclose(log_p[0], [0.0, -2e4, -1e4])
    assert log_p[1, 1] == -np.inf


def test_softmax_is_a_probability_and_does_not_see_a_shift():
    z = np.random.default_rng(0).standard_normal((5, 7))
    p = activations.softmax(z)
    np.testing.assert_allclose(p.sum(axis=-1), 1.0, rtol=1e-15)
    np.testing.assert_allclose(activations.softmax(z + 100.0), p, rtol=1e-13)
    np.testing.assert_allclose(np.exp(activations.log_softmax(z)), p, rtol=1e-14)


def test_third_derivative_of_tanh():
    d3 = nnx.grad(nnx.grad(nnx.grad(activations.tanh)))
    t = np.tanh(0.3)
    assert float(d3(0.3)) == pytest.approx(-2 * (1 - t * t) * (1 - 3 * t * t), rel=1e-13)


def test_gelu_in_float32_meets_the_exact_one():
    special = pytest.importorskip("scipy.special")
    x = np.linspace(-6, 6, 501)
    exact = x * special.ndtr(x)
    np.testing.assert_allclose(activations.gelu(x), exact, atol=1e-15)
    np.testing.assert_allclose(activations.gelu(x.astype("float32")), exact, atol=1e-6)
    np.testing.assert_allclose(activations.gelu(x, approximate=True), exact, atol=5e-4)


def test_erf_is_differentiable_on_every_backend(backend):
    special = pytest.importorskip("scipy.special")
    x = np.asarray([-2.0, -0.3, 0.0, 0.1, 1.7])
    np.testing.assert_allclose(
        to_numpy(activations.erf(backend.asarray(x, dtype="float64"))), special.erf(x), rtol=1e-14, atol=1e-16
    )
    nnx.check_derivatives(activations.erf, backend.asarray(x, dtype="float64"))


def test_glu_needs_an_even_axis_and_says_the_shape_it_gives():
    with pytest.raises(ShapeError, match="even"):
        activations.glu(np.zeros((2, 3)))
    shape = activations.registry.entry("glu").traits.shape
    for x, axis in ((np.zeros((2, 6)), -1), (np.zeros((4, 6)), 0)):
        assert activations.glu(x, axis=axis).shape == shape(x.shape, axis=axis)


def test_options_out_of_range_are_refused():
    with pytest.raises(OptionError, match="alpha"):
        activations.elu(np.zeros(2), alpha=-1.0)
    with pytest.raises(OptionError, match="alpha"):
        activations.celu(np.zeros(2), alpha=0.0)
    for make in (
        lambda: activations.ReLU(max_value=-1.0),
        lambda: activations.relu(np.zeros(2), max_value=-1.0),
        lambda: activations.ReLU(threshold="a"),
        lambda: activations.LeakyReLU(negative_slope=None),
        lambda: activations.SoftShrink(threshold=-0.1),
        lambda: activations.soft_shrink(np.zeros(2), threshold=-0.1),
        lambda: activations.HardShrink(threshold=-0.1),
        lambda: activations.ELU(-1.0),
        lambda: activations.CELU(0.0),
    ):
        with pytest.raises(OptionError, match=r"(max_value|threshold|negative_slope|alpha) must be"):
            make()
    with pytest.raises(OptionError, match="slope"):
        activations.ReLU(slope=1.0)
    with pytest.raises(UnknownName, match="'relu'"):
        activations.get("rellu")
    with pytest.raises(AttributeError, match="activation"):
        activations.NoSuchThing  # noqa: B018


def test_get_takes_what_keras_takes():
    assert activations.get(None) == activations.get("linear")
    assert activations.get("swish") == activations.get("silu") == activations.get(activations.silu)
    assert activations.get("LeakyReLU")(np.asarray([-1.0]))[0] == -0.2
    assert activations.LeakyReLU(0.5)(np.asarray([-1.0]))[0] == -0.5
    assert {"ReLU", "relu", "GELU"} <= set(dir(activations))


def test_a_new_activation_touches_one_place():
    before = dict(activations.registry._entries), dict(activations.registry._names)
    try:

        @activations.registry.register("bent", formula=r"\ln(1+z^2)")
        @fused(derivative=lambda xp, x, y: 2.0 * x / (1.0 + x * x))
        def bent_identity(x):
            return namespace(x).log1p(x * x)

        assert activations.bent_identity is bent_identity
        assert activations.BentIdentity() == activations.get("bent")
        nnx.check_derivatives(activations.get("bent"), np.asarray([0.3, -2.0]))
    finally:
        activations.registry._entries, activations.registry._names = before


def test_threshold_needs_its_options_and_keeps_nan(backend):
    with pytest.raises(OptionError, match=r"needs options: nnx.activations.Threshold\(threshold=\.\.\., def"):
        activations.get("threshold")
    step = activations.Threshold(0.5, 2.0)
    assert activations.get(step) is step and activations.Threshold(default_value=2.0, threshold=0.5) == step
    x = backend.asarray([0.0, 0.5, 0.75, np.nan], dtype="float64")
    np.testing.assert_array_equal(to_numpy(step(x)), [2.0, 2.0, 0.75, np.nan])
    nnx.check_derivatives(step, x[:3] + 0.1)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_sparsemax_is_the_nearest_point_of_the_simplex(axis, backend):
    x = np.random.default_rng(0).normal(size=(5, 6))
    y = to_numpy(activations.sparsemax(backend.asarray(x, dtype="float64"), axis=axis))
    np.testing.assert_allclose(y.sum(axis=axis), 1.0, rtol=1e-14)
    assert (y >= 0.0).all() and (y == 0.0).any()
    # Optimality: x − y is one τ where y is positive, and at most τ where it is 0.
    tau = np.max(x - y, axis=axis, keepdims=True)
    np.testing.assert_allclose(np.where(y > 0.0, x - y - tau, 0.0), 0.0, atol=1e-14)


def test_sparsemax_of_one_positive_entry_equals_keras(keras):
    x = np.asarray([[3.0, 0.5, -1.0], [0.0, -1.5, -2.0]])
    np.testing.assert_allclose(activations.sparsemax(x), np.asarray(keras.activations.sparsemax(x)))


def test_sparsemax_of_large_numbers_is_exact_and_silent():
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(
            activations.sparsemax(np.asarray([1e300, 1e300, -1e300])), [0.5, 0.5, 0.0]
        )


def test_squareplus_without_roundness_is_relu_with_half_a_slope_at_the_corner():
    x = np.asarray([-2.0, 0.0, 3.0])
    y, pullback = nnx.vjp(lambda z: activations.squareplus(z, b=0), x)
    np.testing.assert_array_equal(y, [0.0, 0.0, 3.0])
    np.testing.assert_array_equal(pullback(np.ones(3))[0], [0.0, 0.5, 1.0])


def test_squareplus_keeps_its_digits_to_the_left():
    np.testing.assert_allclose(activations.squareplus(np.asarray([-1e8, -1e200])), [1e-8, 1e-200], rtol=1e-15)
