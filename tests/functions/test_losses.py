"""One contract for every loss of the registry; then what single ones promise."""

from __future__ import annotations

import warnings
from operator import attrgetter

import numpy as np
import pytest
from functions.targets import example, same_defaults
from walks import walk

import nnx
from nnx import activations, losses
from nnx.autodiff import FusedFunction
from nnx.backend import device_of, namespace, to_numpy
from nnx.errors import AxisError, DataError, DtypeError, OptionError, ShapeError, UnknownName
from nnx.losses import crossentropies, reduction, regression

# Losses of a whole batch, or of targets of other shapes, are in test_losses_of_batches.py.
OTHERS = ("dice", "tversky", "circle", "ctc")
ENTRIES = [e for e in losses.registry if not isinstance(e.target, type) and e.name not in OTHERS]
LINKED = [e for e in ENTRIES if e.traits.canonical_activation]
WITH_RESIDUAL = [e for e in ENTRIES if e.traits.residual]


def by_name(entries):
    return {"argvalues": entries, "ids": [e.name for e in entries]}


def on(backend, *arrays, dtype="float64"):
    return [backend.asarray(a, dtype="int64" if a.dtype.kind == "i" else dtype) for a in arrays]


# -- the contract --------------------------------------------------------------------------------------


@walk("entry", ENTRIES, ids=attrgetter("name"))
def test_says_what_it_is(entry):
    assert all([entry.traits.formula, entry.traits.use, entry.traits.task, entry.traits.targets])
    assert entry.traits.targets == ("indices" if entry.traits.task == "sparse" else "same")
    assert entry.traits.canonical_activation in (None, "softmax", "sigmoid")
    assert ">>>" in entry.target.__doc__
    assert getattr(losses, entry.name) is entry.target
    assert losses.get(entry.name) == losses.get(entry.target)
    assert losses.get(entry.class_name) == losses.as_loss(entry.name) == getattr(losses, entry.class_name)()


@walk("entry", ENTRIES, ids=attrgetter("name"))
def test_is_one_number_per_example_and_the_same_on_every_backend(entry, backend):
    y_true, y_pred = example(entry.traits.task)
    values = entry.target(*on(backend, y_true, y_pred))
    assert tuple(values.shape) == y_pred.shape[:-1]
    assert namespace(values) is backend.xp and device_of(values) == backend.device
    # The libraries' exponentials and logarithms differ in the last place.
    np.testing.assert_allclose(to_numpy(values), entry.target(y_true, y_pred), rtol=1e-13)


@walk("entry", ENTRIES, ids=attrgetter("name"))
def test_derivatives_are_right_to_second_order(entry, backend):
    y_true, y_pred = on(backend, *example(entry.traits.task, n=3))
    nnx.check_derivatives(lambda p: entry.target(y_true, p), y_pred)


@walk("entry", ENTRIES, ids=attrgetter("name"))
def test_is_differentiable_in_the_targets_too(entry):
    y_true, y_pred = example(entry.traits.task, n=3)
    if entry.traits.targets == "same":
        inside = np.clip(y_true, 0.2, 0.8) if entry.traits.task in ("categorical", "binary") else y_true
        nnx.check_derivatives(lambda t: entry.target(t, y_pred), inside)


@walk("entry", LINKED, ids=attrgetter("name"))
def test_derivatives_from_logits_are_right_to_second_order(entry, backend):
    y_true, y_pred = on(backend, *example(entry.traits.task, n=3))
    logits = namespace(y_pred).log(y_pred) * 2.0
    nnx.check_derivatives(lambda z: entry.target(y_true, z, from_logits=True), logits)
    if entry.traits.targets == "same":
        nnx.check_derivatives(lambda t: entry.target(t, logits, from_logits=True), y_true)


@walk("entry", LINKED, ids=attrgetter("name"))
def test_from_logits_is_the_same_as_after_the_linked_activation(entry, backend):
    y_true, z = on(backend, example(entry.traits.task)[0], np.random.default_rng(3).normal(0, 3, (6, 3)))
    after = getattr(activations, entry.traits.canonical_activation)
    probabilities, logits = (
        nnx.vjp(lambda u, f=f: losses.reduce(f(u)), z)
        for f in (
            lambda u: entry.target(y_true, after(u)),
            lambda u: entry.target(y_true, u, from_logits=True),
        )
    )
    np.testing.assert_allclose(to_numpy(logits[0]), to_numpy(probabilities[0]), rtol=1e-12)
    np.testing.assert_allclose(to_numpy(logits[1](1.0)[0]), to_numpy(probabilities[1](1.0)[0]), atol=1e-14)


@walk("entry", LINKED, ids=attrgetter("name"))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_logits_of_any_size_are_silent_and_exact(entry, dtype, backend):
    hot = np.asarray([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    y = hot if entry.traits.targets == "same" else np.argmax(hot, axis=-1)
    z = np.asarray([[1e4, -1e4, 0.0], [1e4, -1e4, 0.0]])
    y, z = on(backend, y, z, dtype=dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values, pullback = nnx.vjp(lambda u: entry.target(y, u, from_logits=True), z)
        gradient = pullback(namespace(z).ones_like(values))[0]
    assert values.dtype == gradient.dtype == getattr(backend.xp, dtype)
    if entry.traits.canonical_activation == "softmax":
        np.testing.assert_allclose(to_numpy(values), [0.0, 2e4])
        np.testing.assert_allclose(to_numpy(gradient), [[0, 0, 0], [1, -1, 0]])
    else:
        # Of three labels each; the third has logit 0: ln 2 and slope 1/2.
        np.testing.assert_allclose(to_numpy(values), (np.asarray([0.0, 2e4]) + np.log(2)) / 3, rtol=1e-6)
        np.testing.assert_allclose(to_numpy(gradient), np.asarray([[0, 0, 0.5], [1, -1, 0.5]]) / 3, rtol=1e-6)


# The generalised cross-entropy has an infinite derivative at probability 0.
@walk("entry", [e for e in ENTRIES if "generalized" not in e.name], ids=attrgetter("name"))
def test_outputs_and_targets_of_1e4_are_silent_and_finite_in_float32(entry, backend):
    far = np.asarray([[1e4, -1e4, 1e4], [-1e4, 1e4, 0.0]])
    y_true, _ = example(entry.traits.task, n=2)
    if entry.traits.task in ("binary", "categorical", "sparse") and entry.name != "categorical_hinge":
        far = np.asarray([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])  # probabilities at their ends
    if entry.traits.task == "positive":
        far = np.abs(far)
    elif entry.traits.task == "regression":
        y_true = -far
    y_true, far = on(backend, y_true, far, dtype="float32")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values, pullback = nnx.vjp(lambda p: entry.target(y_true, p), far)
        gradient = to_numpy(pullback(namespace(far).ones_like(values))[0])
    assert values.dtype == backend.xp.float32
    assert np.all(np.isfinite(to_numpy(values))) and np.all(np.isfinite(gradient))


@walk("entry", ENTRIES, ids=attrgetter("name"))
def test_nan_in_the_outputs_gives_nan_for_that_example_alone(entry, backend):
    y_true, y_pred = example(entry.traits.task)
    y_pred[1] = np.nan
    values = to_numpy(entry.target(*on(backend, y_true, y_pred)))
    assert np.flatnonzero(np.isnan(values)).tolist() == [1]


@walk("entry", ENTRIES, ids=attrgetter("name"))
def test_targets_of_other_data_types_are_converted(entry, backend):
    task = entry.traits.task
    y_true, y_pred = example(task)
    expected = entry.target(np.round(y_true) if task != "sparse" else y_true, y_pred)
    for dtype in ("int32", "float32") if task != "sparse" else ("int32", "uint8", "float32"):
        if entry.traits.task in ("binary", "categorical", "sparse", "signs") or dtype == "int32":
            values = entry.target(backend.asarray(np.round(y_true), dtype=dtype), *on(backend, y_pred))
            np.testing.assert_allclose(to_numpy(values), expected, rtol=1e-12)


@walk("entry", ENTRIES, ids=attrgetter("name"))
def test_shapes_that_would_broadcast_are_refused(entry):
    y_true, y_pred = example(entry.traits.task, n=3)
    with pytest.raises(ShapeError):
        entry.target(y_true[:1], y_pred)
    with pytest.raises(ShapeError):
        entry.target(y_true, y_pred[:, None, :])


@pytest.mark.parametrize("entry", **by_name([e for e in ENTRIES if e.traits.targets == "same"]))
def test_a_column_and_a_vector_are_matched_as_in_keras(entry):
    y_true, y_pred = example(entry.traits.task, k=1)
    expected = entry.target(y_true, y_pred)
    np.testing.assert_array_equal(entry.target(y_true[:, 0], y_pred), expected)
    np.testing.assert_array_equal(entry.target(y_true, y_pred[:, 0]), expected)
    g = nnx.grad(lambda p: losses.reduce(entry.target(y_true, p)))(y_pred[:, 0])
    assert g.shape == (len(y_pred),)


@walk("entry", ENTRIES, ids=attrgetter("name"))
def test_examples_may_have_more_axes(entry):
    y_true, y_pred = example(entry.traits.task, n=6)
    shape = (2, 3)
    values = entry.target(y_true.reshape(shape + y_true.shape[1:]), y_pred.reshape((*shape, 3)))
    np.testing.assert_allclose(values, entry.target(y_true, y_pred).reshape(shape))


@walk("entry", WITH_RESIDUAL, ids=attrgetter("name"))
@pytest.mark.parametrize("weighted", [False, True])
def test_loss_is_the_sum_of_squares_of_its_residual(entry, weighted, backend):
    y_true, y_pred = on(backend, *example(entry.traits.task))
    weight = backend.asarray(np.linspace(0.0, 2.0, 6), dtype="float64") if weighted else None
    residual = entry.traits.residual(y_true, y_pred, weight)
    assert residual.ndim == 1
    total = losses.reduce(entry.target(y_true, y_pred), weight)
    np.testing.assert_allclose(np.sum(to_numpy(residual) ** 2), to_numpy(total), rtol=1e-14)
    nnx.check_derivatives(lambda p: entry.traits.residual(y_true, p, weight), y_pred, order=1)


CORES = {
    f.__name__: f
    for module in (crossentropies, regression, reduction)
    for f in vars(module).values()
    if isinstance(f, FusedFunction) and f.__module__ == module.__name__
}


@pytest.mark.parametrize("name", CORES)
def test_hand_written_pullback_is_that_of_the_body(name):
    function, random = CORES[name], np.random.default_rng(0)
    a, b = random.standard_normal((2, 4, 3))
    labels = random.integers(0, 3, 4)
    args = {
        "_minus_expected": (a, b),
        "minus_chosen": (labels, b),
        "_sigmoid_loss": (a, b),
        "_log_ratio": (np.exp(a), np.exp(b)),
    }.get(name, (b,))
    argnums = [i for i, x in enumerate(args) if x.dtype.kind == "f"]
    weights = random.standard_normal(function(*args).shape)
    for argnum in argnums:

        def of(f, argnum=argnum):
            return lambda u: np.sum(weights * f(*args[:argnum], u, *args[argnum + 1 :]))

        x, v = args[argnum], np.cos(b)
        np.testing.assert_allclose(nnx.grad(of(function))(x), nnx.grad(of(function.plain))(x), rtol=1e-12)
        mine, plain = nnx.hvp(of(function), x, v), nnx.hvp(of(function.plain), x, v)
        np.testing.assert_allclose(mine, plain, rtol=1e-12, atol=1e-14)


# -- other libraries -----------------------------------------------------------------------------------


def theirs(torch, function, y_true, y_pred):
    p = torch.tensor(y_pred, requires_grad=True)
    values = function(torch.tensor(y_true), p)
    (values * torch.linspace(0.5, 1.5, values.numel(), dtype=p.dtype).reshape(values.shape)).sum().backward()
    return values.detach().numpy(), p.grad.numpy()


def ours(function, y_true, y_pred):
    values, pullback = nnx.vjp(lambda p: function(y_true, p), y_pred)
    return values, pullback(np.linspace(0.5, 1.5, values.size).reshape(values.shape))[0]


def agree(ours, theirs):
    # Both in float64, some ten roundings apart.
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-14)


OPTIONS = [
    *[(entry.name, {}) for entry in ENTRIES if "generalized" not in entry.name],
    ("categorical_generalized_cross_entropy", {"q": 0.7}),
    ("binary_focal_crossentropy", {"apply_class_balancing": True, "alpha": 0.3, "gamma": 1.5}),
    ("binary_focal_crossentropy", {"label_smoothing": 0.2, "from_logits": True}),
    ("categorical_focal_crossentropy", {"alpha": [0.1, 0.3, 0.6], "gamma": 1.5}),
    ("categorical_focal_crossentropy", {"label_smoothing": 0.2, "from_logits": True}),
    *[(entry.name, {"from_logits": True}) for entry in LINKED],
    ("categorical_crossentropy", {"label_smoothing": 0.1}),
    ("categorical_crossentropy", {"label_smoothing": 0.1, "from_logits": True}),
    ("binary_crossentropy", {"label_smoothing": 0.1}),
    ("binary_crossentropy", {"label_smoothing": 0.1, "from_logits": True}),
    ("binary_crossentropy", {"axis": 0}),
    ("huber", {"delta": 0.4}),
]


@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_equals_keras(name, options, keras):
    torch = pytest.importorskip("torch")
    entry = losses.registry.entry(name)
    y_true, y_pred = example(entry.traits.task)
    chosen = entry.create(**options)
    function = getattr(keras.losses, name)
    agree(ours(chosen, y_true, y_pred), theirs(torch, lambda t, p: function(t, p, **options), y_true, y_pred))


@pytest.mark.parametrize("name", ["categorical_crossentropy", "sparse_categorical_crossentropy"])
@pytest.mark.parametrize("from_logits", [False, True])
def test_classes_may_lie_along_another_axis(name, from_logits, keras):
    torch = pytest.importorskip("torch")
    function, options = getattr(losses, name), {"from_logits": from_logits, "axis": 1}
    y_pred = np.random.default_rng(0).uniform(0.1, 1.0, (2, 3, 4))
    y_true = np.random.default_rng(1).integers(0, 3, (2, 4))
    if name == "categorical_crossentropy":
        y_true = np.moveaxis(np.eye(3)[y_true], -1, 1)
    mine = ours(lambda t, p: function(t, p, **options), y_true, y_pred)
    other = getattr(keras.losses, name)
    agree(mine, theirs(torch, lambda t, p: other(t, p, **options), y_true, y_pred))
    nnx.check_derivatives(lambda p: function(y_true, p, **options), y_pred)


def test_clipped_probabilities_cost_what_they_cost_in_keras(keras):
    torch = pytest.importorskip("torch")
    hot, p = np.eye(3), np.asarray([[0.0, 1.0, 0.0], [1e-9, 1.0, 0.0], [0.0, 0.0, 1.0]])
    for name, y in (("categorical_crossentropy", hot), ("sparse_categorical_crossentropy", np.arange(3)),
                    ("binary_crossentropy", hot), ("kl_divergence", hot)):  # fmt: skip
        a, b = getattr(losses, name)(y, p), theirs(torch, getattr(keras.losses, name), y, p)[0]
        np.testing.assert_allclose(a, b, rtol=1e-9)  # ln(1 − (1 − 1e−7)) has lost half of its digits


@pytest.mark.parametrize(
    ("name", "torchs", "task"),
    [
        ("mean_squared_error", "mse_loss", "regression"),
        ("mean_absolute_error", "l1_loss", "regression"),
        ("huber", "huber_loss", "regression"),
        ("binary_crossentropy", "binary_cross_entropy", "binary"),
    ],
)
def test_equals_pytorch(name, torchs, task):
    torch = pytest.importorskip("torch")
    other = getattr(torch.nn.functional, torchs)
    expected = theirs(torch, lambda t, p: other(p, t, reduction="none").mean(dim=-1), *example(task))
    agree(ours(getattr(losses, name), *example(task)), expected)


def test_crossentropy_of_logits_equals_pytorch():
    torch = pytest.importorskip("torch")
    labels, z = example("sparse")
    hot = np.eye(3)[labels]
    functional = torch.nn.functional
    expected = theirs(torch, lambda t, p: functional.cross_entropy(p, t, reduction="none"), labels, z)
    agree(ours(losses.SparseCategoricalCrossentropy(from_logits=True, reduction=None), labels, z), expected)
    agree(ours(losses.CategoricalCrossentropy(from_logits=True, reduction=None), hot, z), expected)
    smooth = losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.2, reduction=None)
    expected = theirs(
        torch, lambda t, p: functional.cross_entropy(p, t, reduction="none", label_smoothing=0.2), labels, z
    )
    agree(ours(smooth, hot, z), expected)


@pytest.mark.parametrize("entry", **by_name(ENTRIES))
def test_defaults_are_those_of_keras(entry, keras):
    function = getattr(keras.losses, entry.name)
    if entry.name == "categorical_generalized_cross_entropy":  # whose function has no default
        function = getattr(keras.losses, entry.class_name)
    same_defaults(entry.target, function)


# -- single losses -------------------------------------------------------------------------------------


def test_bp1_the_gradient_of_softmax_with_crossentropy_is_output_less_target(backend):
    labels, z = example("sparse")
    hot = np.eye(3)[labels]
    a = activations.softmax(z)
    labels, hot, z = on(backend, labels, hot, z)
    for function, y in (
        (losses.categorical_crossentropy, hot),
        (losses.sparse_categorical_crossentropy, labels),
    ):
        values, pullback = nnx.vjp(lambda u, f=function, y=y: f(y, u, from_logits=True), z)
        delta = to_numpy(pullback(namespace(z).ones_like(values))[0])
        np.testing.assert_allclose(delta, a - to_numpy(hot), atol=1e-15)


def test_soft_targets_of_any_sum_have_the_right_gradient():
    t, z = np.random.default_rng(0).uniform(0, 2, (4, 3)), np.random.default_rng(1).standard_normal((4, 3))
    nnx.check_derivatives(lambda u: losses.categorical_crossentropy(t, u, from_logits=True), z)


def test_sparse_and_one_hot_agree_and_columns_of_labels_are_taken():
    labels, p = example("sparse")
    expected = losses.categorical_crossentropy(np.eye(3)[labels], p)
    np.testing.assert_allclose(losses.sparse_categorical_crossentropy(labels, p), expected)
    np.testing.assert_allclose(losses.sparse_categorical_crossentropy(labels[:, None], p), expected)


def test_the_generalised_crossentropy_at_probability_0_is_steep_for_that_class_alone():
    y, p = np.asarray([0]), np.asarray([[0.0, 0.4, 0.6]])
    with np.errstate(divide="ignore"):
        g = nnx.grad(lambda p: losses.categorical_generalized_cross_entropy(y, p).sum())(p)
    np.testing.assert_array_equal(g, [[-np.inf, 0.0, 0.0]])


def test_the_generalised_crossentropy_lies_between_its_ends():
    y, p = np.asarray([1]), np.asarray([[0.7, 0.3]])
    small, large = (losses.CategoricalGeneralizedCrossEntropy(q)(y, p) for q in (1e-9, 1.0 - 1e-9))
    np.testing.assert_allclose([small, large], [-np.log(0.3), 0.7], rtol=1e-6)


def test_a_class_that_is_masked_by_minus_infinity_costs_nothing_in_the_sparse_loss(backend):
    z = backend.asarray([[0.0, -np.inf, 0.0]], dtype="float64")
    values, pullback = nnx.vjp(
        lambda u: losses.sparse_categorical_crossentropy(backend.asarray([2]), u, from_logits=True), z
    )
    np.testing.assert_allclose(to_numpy(values), [np.log(2)])
    np.testing.assert_allclose(to_numpy(pullback(namespace(z).ones_like(values))[0]), [[0.5, 0.0, -0.5]])


def test_labels_outside_of_the_classes_move_nothing():
    z = np.zeros((2, 3))
    values = losses.sparse_categorical_crossentropy(np.asarray([-1, 3]), z, from_logits=True)
    np.testing.assert_array_equal(values, [0.0, 0.0])


def test_wrong_kinds_of_labels_are_told_apart():
    hot, p = example("categorical")
    with pytest.raises(ShapeError, match="one-hot"):
        losses.sparse_categorical_crossentropy(hot, p)
    with pytest.raises(ShapeError, match="to_categorical"):
        losses.categorical_crossentropy(np.argmax(hot, axis=-1), p)
    with pytest.raises(DtypeError):
        losses.sparse_categorical_crossentropy(np.zeros(6, dtype="complex128"), p)


def test_hinge_reads_zeros_and_ones_as_signs(backend):
    y, p = example("signs")
    zero_one = backend.asarray((y + 1) / 2, dtype="float64")
    for name in ("hinge", "squared_hinge"):
        values = getattr(losses, name)(zero_one, backend.asarray(p, dtype="float64"))
        np.testing.assert_allclose(to_numpy(values), getattr(losses, name)(y, p))


def test_cosine_of_the_zero_vector_is_zero_with_a_finite_gradient():
    y = np.asarray([[1.0, 2.0]])
    value, gradient = nnx.value_and_grad(lambda p: np.sum(losses.cosine_similarity(y, p)))(np.zeros((1, 2)))
    assert value == 0.0 and np.all(np.isfinite(gradient))


def test_log_cosh_has_the_accurate_derivative_tanh():
    small = np.asarray([[1e-4]], dtype="float32")
    g = nnx.grad(lambda p: np.sum(losses.log_cosh(np.zeros_like(p), p)))(small)
    np.testing.assert_allclose(g, np.tanh(1e-4), rtol=1e-6)


def test_an_axis_that_outputs_do_not_have_is_named(backend):
    y, p = on(backend, *example("categorical"))
    labels = backend.asarray(np.zeros(p.shape[0], dtype="int64"), dtype="int64")
    for name, target in (
        ("CategoricalCrossentropy", y),
        ("SparseCategoricalCrossentropy", labels),
        ("BinaryCrossentropy", y),
        ("CosineSimilarity", y),
    ):
        with pytest.raises(AxisError, match="no axis 5"):
            getattr(losses, name)(axis=5)(target, p)


def test_the_width_of_hubers_loss_may_be_an_array():
    y, p = np.zeros((1, 1)), np.full((1, 1), 3.0)
    assert nnx.grad(lambda delta: losses.Huber(delta=delta)(y, p))(np.asarray(1.0)) == 2.0


def test_options_out_of_range_are_refused():
    y, p = example("categorical")
    with pytest.raises(OptionError, match="label_smoothing"):
        losses.categorical_crossentropy(y, p, label_smoothing=1.5)
    for make in (
        lambda: losses.Huber(delta=-1.0),
        lambda: losses.Huber(0),
        lambda: losses.Huber(delta="a"),
        lambda: losses.huber(y, p, delta=-1.0),
        lambda: losses.CategoricalCrossentropy(label_smoothing=1.5),
        lambda: losses.BinaryCrossentropy(label_smoothing=float("nan")),
        lambda: losses.SparseCategoricalCrossentropy(axis=1.5),
    ):
        with pytest.raises(OptionError, match=r"(delta|label_smoothing|axis) must be"):
            make()
    with pytest.raises(OptionError, match="Its arguments: from_logits, label_smoothing, axis"):
        losses.CategoricalCrossentropy(smoothing=0.1)
    with pytest.raises(UnknownName, match="mean_squared_error"):
        losses.get("mean_square_error")


def test_a_function_of_ones_own_is_a_loss():
    def cubic(y_true, y_pred):
        return np.mean(np.abs(y_pred - y_true) ** 3, axis=-1)

    loss = losses.get(cubic)
    assert loss.name == "cubic" and loss.traits.canonical_activation is None
    assert loss(np.zeros((2, 3)), np.ones((2, 3))).tolist() == [1.0, 1.0]


# -- reduction and weights -----------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(6,), (6, 4)])
@pytest.mark.parametrize("weights", [None, (6,), (6, 1), (6, 4)])
def test_reduce_equals_keras(shape, weights, backend, keras):
    from keras.src.losses.loss import reduce_weighted_values

    if weights == (6, 4) and shape == (6,):
        return
    random = np.random.default_rng(0)
    values = random.standard_normal(shape)
    weight = None if weights is None else random.uniform(0, 2, weights)
    # Keras broadcasts (6,) against the last axis of (6, 4), which is an error there: give it the meant shape.
    meant = weight[:, None] if weights == (6,) and shape == (6, 4) else weight
    expected = float(reduce_weighted_values(values, meant))
    args = on(backend, values) + ([] if weight is None else on(backend, weight))
    got = losses.reduce(*args)
    assert tuple(got.shape) == ()
    np.testing.assert_allclose(to_numpy(got), expected, rtol=1e-13)
    nnx.check_derivatives(losses.reduce, *args)


def test_reduce_converts_weights_and_refuses_wrong_ones():
    values = np.ones(4, dtype="float32")
    assert losses.reduce(values, np.asarray([1, 0, 0, 1])).dtype == np.float32
    with pytest.raises(ShapeError, match="sample_weight"):
        losses.reduce(values, np.ones(3))
    assert losses.reduce(np.ones(0)) == 0.0


def test_class_weights_equal_keras(backend, keras):
    from keras.src.trainers.data_adapters.data_adapter_utils import class_weight_to_sample_weights

    labels = np.asarray([0, 3, 1, 1, 2, 7])
    weight = {0: 0.5, 1: 3.0, 3: 0.0}
    expected = class_weight_to_sample_weights(labels, weight)
    hot = np.eye(8)[labels]
    for y in (labels, labels[:, None], hot):
        got = losses.class_weights(backend.asarray(y), weight, backend.xp.float32)
        assert got.dtype == backend.xp.float32
        np.testing.assert_array_equal(to_numpy(got), expected)


def test_class_weights_take_numbers_of_numpy():
    y = np.asarray([0, 1, 1])
    for classes in (np.unique(y), np.unique(y.astype("float32"))):
        weight = dict(zip(classes, np.asarray([0.5, 2.0], "float32"), strict=True))
        assert losses.class_weights(y, weight, np.float64).tolist() == [0.5, 2.0, 2.0]
    assert losses.class_weights(np.asarray([True, False]), {1: 3.0}, np.float64).tolist() == [3.0, 1.0]


def test_class_weights_of_numbers_that_are_no_classes(backend):
    with pytest.raises(DataError, match="not whole"):
        losses.class_weights(backend.asarray(np.asarray([0.5, 1.0])), {0: 1.0}, backend.xp.float32)


@pytest.mark.parametrize(
    "rows", [[[0.3, -1.2, 2.5]], [[2.0, -1.0, 0.0]], [[1, 1, 0], [0, 1, 0]], [[0, 0, 0]], [[0.9, 0.1, 0.0]]]
)
def test_class_weights_of_rows_that_are_not_one_hot(rows, backend):
    with pytest.raises(DataError, match=r"class_weight.*not one-hot"):
        losses.class_weights(backend.asarray(np.asarray(rows)), {0: 2.0}, backend.xp.float32)


def test_class_weights_that_cannot_be_meant_are_refused():
    y = np.asarray([0, 1])
    for wrong in ({-1: 1.0}, {"a": 1.0}, {0: -1.0}, {0: float("nan")}, {True: 1.0}, {0.5: 1.0},
                  [1.0, 2.0], "balanced"):  # fmt: skip
        with pytest.raises(OptionError, match="class_weight"):
            losses.class_weights(y, wrong, np.float32)
    assert losses.class_weights(y, {}, np.float64).tolist() == [1.0, 1.0]
    with pytest.raises(ShapeError, match="one label per sample"):
        losses.class_weights(np.zeros((2, 3, 4)), {}, np.float64)
