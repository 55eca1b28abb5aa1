# ruff: noqa: C408 (the arguments of a call read best as one)
"""What users get wrong: an error that says what was asked and given and what to do; never a wrong answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import nnx
from nnx.backend import namespace
from nnx.errors import DataError, DtypeError, NotBuilt, OptionError, ShapeError, UnknownName
from nnx.layers import Dense, Dropout, Flatten, Input, Permute, PReLU, Rescaling, Reshape

X = np.random.default_rng(0).random((20, 4), dtype="float32")
Y = np.eye(3, dtype="float32")[np.arange(20) % 3]


def model(loss="categorical_crossentropy"):
    m = nnx.Sequential([Dense(5, "relu", input_shape=(4,)), Dense(3, "softmax")])
    m.compile("sgd", loss, metrics=["accuracy"])
    return m


FIT = [
    (dict(x=X[:, :3], y=Y), ShapeError, r"samples of shape \(4,\), got x of shape \(20, 3\)"),
    (dict(x=X[0], y=Y[:4]), ShapeError, "got x of shape"),
    (dict(x=X, y=Y[:19]), ShapeError, "x has 20 samples, y has 19"),
    (dict(x=X, y=Y[:, :2]), ShapeError, r"outputs of shape \(3,\).*got y of shape \(20, 2\)"),
    (
        dict(x=X, y=np.arange(20) % 3),
        ShapeError,
        "sparse_categorical_crossentropy or nnx.utils.to_categorical",
    ),
    (dict(x=X[:0], y=Y[:0]), DataError, "empty"),
    (dict(x=X, y=Y, batch_size=0), OptionError, "batch_size.*>= 1, got 0"),
    (dict(x=X, y=Y, batch_size=2.5), OptionError, "batch_size"),
    (dict(x=X, y=Y, epochs=-1), OptionError, "epochs.*got -1"),
    (dict(x=X, y=Y, validation_split=1.2), OptionError, r"validation_split.*>= 0 and < 1, got 1.2"),
    (dict(x=X, y=Y, validation_split=0.99999), DataError, "empty"),
    (dict(x=X, y=Y, validation_data=(X,)), DataError, r"\(x, y\)"),
    (dict(x=X, y=Y, validation_data=(X, None)), DataError, "validation y is missing"),
    (dict(x=X, y=Y, validation_data=(X, Y[:3])), ShapeError, "validation x has 20"),
    (dict(x=X, y=Y, sample_weight=np.ones(3)), ShapeError, "sample_weight has 3"),
    (dict(x=X, y=Y, sample_weight=np.full(20, np.nan)), DataError, "sample_weight has NaN"),
    (dict(x=X, y=Y, class_weight={0: "a"}), OptionError, "class_weight"),
    (dict(x=X, y=np.where(Y > 0, np.inf, 0.0)), DataError, "y has NaN or infinite"),
    (dict(x=X.astype("U4"), y=Y), DtypeError, "not numbers"),
    (dict(x=[[1.0, 2.0], [3.0]], y=Y), ShapeError, "equal length"),
    (dict(x=X, y=Y, verbose=7), OptionError, "verbose"),
    (dict(x=X), DataError, "y is missing"),
    (dict(x=iter([(X,)])), DataError, r"y is missing.*batches \(x, y\)"),
    (dict(x=X, y=Y, sample_weight=-np.ones(20)), DataError, "sample_weight must not be negative"),
    (dict(x=X + 1j, y=Y), DtypeError, "x holds complex numbers"),
    (dict(x=X, y=Y * 1j), DtypeError, "y holds complex numbers"),
    (dict(x=X, y=Y, sample_weight=np.ones(20) * 1j), DtypeError, "sample_weight holds complex"),
    (dict(x=X.astype("float64") * 1e39, y=Y), DataError, "x goes from .*float32 ends at 3.4e"),
    (dict(x=X, y=Y, sample_weight=np.full(20, 1e39)), DataError, "sample_weight goes from"),
    (dict(x=X, y=Y, validation_data=(X[:, :2], Y)), ShapeError, "got validation x of shape"),
    (dict(x=X, y=Y, validation_data=(X, 7 * Y)), DataError, "validation y from 0 to 7"),
    (dict(x=X, y=Y, shuffle="batch"), OptionError, "shuffle must be True or False"),
    (dict(x=X, y=Y, callbacks=[42]), (TypeError, ValueError), "allback"),
]


@pytest.mark.parametrize(("arguments", "error", "words"), FIT, ids=[w for _, _, w in FIT])
def test_fit_refuses(arguments, error, words):
    m = model()
    before = m.get_weights()
    with pytest.raises(error, match=words):
        m.fit(**{"verbose": 0, **arguments})
    for u, v in zip(before, m.get_weights(), strict=True):
        np.testing.assert_array_equal(u, v)


@pytest.mark.parametrize("label", [3, -1, 1.5])
def test_labels_out_of_range_are_found(label, backend):
    m = nnx.Sequential([Dense(3, "softmax", input_shape=(4,))], backend=backend)
    m.compile("sgd", "sparse_categorical_crossentropy")
    y = np.zeros(20)
    y[11] = label
    with pytest.raises(DataError, match=rf"y\[11\] is {label}.*whole numbers from 0 to 2"):
        m.fit(backend.asarray(X), backend.asarray(y), verbose=0)


@pytest.mark.parametrize(
    ("loss", "y", "words"),
    [
        ("binary_crossentropy", [0, 1, 2, 1], "from 0 to 1, got y from 0 to 2.*sparse_categorical"),
        ("binary_crossentropy", [1, 2, 2, 1], "labels 1 and 2: subtract 1"),
        ("binary_crossentropy", [-1, 1, 1, -1], r"\(y \+ 1\) / 2, or the loss hinge"),
        ("binary_crossentropy", [0, 255, 0, 255], "divide y by 255"),
        ("categorical_crossentropy", [[0.5, 7.0]] * 4, "from 0 to 1, got y from 0.5 to 7"),
        ("kl_divergence", [[0.5, -0.5]] * 4, "from 0 to 1, got y from -0.5"),
        ("hinge", [1, 2, 2, 1], "from -1 to 1, got y from 1 to 2. For labels 1 and 2"),
        ("poisson", [3.0, -1.0, 0.0, 2.0], "at least 0, got y from -1"),
        ("sparse_categorical_crossentropy", [1, 2, 1, 2], "subtract 1 from y"),
    ],
)
@pytest.mark.parametrize("way", ["fit", "evaluate", "train_on_batch"])
def test_targets_outside_of_the_losss_range_are_refused(loss, y, words, way, backend):
    units = 2 if np.ndim(y) == 2 or "sparse" in loss else 1
    m = nnx.Sequential([Dense(units, "softplus", input_shape=(4,))], backend=backend)
    m.compile("sgd", loss)
    with pytest.raises(DataError, match=words):
        getattr(m, way)(backend.asarray(X[:4]), backend.asarray(np.asarray(y, dtype="float32")))


def test_targets_inside_of_the_range_are_taken():
    for loss, y in (
        ("hinge", [0, 1]),
        ("hinge", [-1, 1]),
        ("bce", [True, False]),
        ("bce", [0.0, 1.0 + 1e-6]),
    ):
        m = nnx.Sequential([Dense(1, "sigmoid", input_shape=(4,))])
        m.compile("sgd", loss)
        m.fit(X[:2], np.asarray(y), verbose=0)

    @nnx.losses.registry.register(task="binary", targets="same")
    def loss_of_this_test(y_true, y_pred):
        return namespace(y_pred).mean((y_true - y_pred) ** 2, axis=-1)

    m.compile("sgd", "loss_of_this_test")  # a new loss says in its registration what it takes
    with pytest.raises(DataError, match="loss_of_this_test takes targets from 0 to 1"):
        m.fit(X[:2], np.asarray([0, 7]), verbose=0)


def test_numbers_beyond_the_models_type_are_found_and_wider_models_take_them():
    big = np.full((3, 4), 1e39)
    with pytest.raises(DataError, match=r"x goes from 1e[+]39 to 1e[+]39, but float32"):
        model().predict(big)
    wide = nnx.Sequential([Dense(1, input_shape=(4,))], dtype="float64")
    assert np.all(np.isfinite(wide.predict(big)))


def test_sparse_arrays_and_generators_say_what_to_do():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(DtypeError, match=r"x is sparse.*x.toarray\(\)"):
        model().predict(sparse.csr_matrix(X))
    with pytest.raises(DtypeError, match=r"generator.*train_on_batch"):
        model().train_on_batch((row for row in X), Y)


@pytest.mark.parametrize("make", ["sparse_coo", "sparse_csr", "meta"])
@pytest.mark.parametrize("of_model", ["numpy", "array_api_strict", "torch"])
@pytest.mark.filterwarnings("ignore:Sparse CSR")
def test_tensors_without_numbers_say_what_to_do(make, of_model):
    torch = pytest.importorskip("torch")
    x = torch.tensor(X)
    x = x.to("meta") if make == "meta" else x.to_sparse(layout=getattr(torch, make))
    m = nnx.Sequential([Dense(3, "softmax", input_shape=(4,))], backend=of_model)
    m.compile("sgd", "categorical_crossentropy")
    words = (
        "x is on PyTorch's device 'meta'" if make == "meta" else rf"x is sparse \(torch.{make}\).*to_dense"
    )
    for use in (lambda: m.fit(x, Y, verbose=0), lambda: m.predict(x)):
        with pytest.raises(DtypeError, match=words):
            use()


def test_masked_entries_are_refused_and_masks_of_nothing_taken():
    mask = np.zeros(X.shape, bool)
    m = model()
    whole = m.predict(np.ma.array(X, mask=mask))
    assert type(whole) is np.ndarray
    np.testing.assert_array_equal(whole, m.predict(X))
    mask[3, 1] = True
    masked = np.ma.array(X, mask=mask)
    for use, what in (
        (lambda: model().fit(masked, Y, verbose=0), "x"),
        (lambda: model().fit(X, masked[:, :3], verbose=0), "y"),
        (lambda: model().fit(X, Y, sample_weight=masked[:, 1], verbose=0), "sample_weight"),
        (lambda: model().predict(masked), "x"),
        (lambda: nnx.asarray(masked), "the array"),
    ):
        with pytest.raises(DataError, match=f"^{what} has masked entries.*filled"):
            use()


@pytest.mark.filterwarnings("error")
def test_sums_that_overflow_are_no_warning(backend):
    m = nnx.Sequential([Dense(1, input_shape=(4,), kernel_initializer="zeros")], backend=backend)
    assert not np.any(nnx.backend.to_numpy(m.predict(backend.asarray(np.full((9, 4), 3e38, "float32")))))
    assert not np.any(nnx.backend.to_numpy(m.predict(np.full((9, 4), 6e4, "float16"))))
    x = X.copy()
    x[7], x[8] = np.inf, -np.inf
    with pytest.raises(DataError, match="the first in sample 7"):
        m.predict(backend.asarray(x))


def test_lists_of_one_array_are_that_array():
    m = nnx.Sequential([Dense(1, input_shape=(4,))], seed=1)
    m.compile("sgd", "mse")
    assert m.evaluate([X], [X[:, 0]], verbose=0) == m.evaluate(X, X[:, 0], verbose=0)
    assert m.evaluate(X[:1], [[0.5]], verbose=0) == m.evaluate(X[:1], [0.5], verbose=0)


def test_what_predict_returns_is_not_the_input(backend):
    x = backend.xp.asarray(backend.asarray(X), copy=True)
    for layers in (
        [Flatten(input_shape=(4,))],
        [Dropout(0.5, input_shape=(4,))],
        [Reshape((2, 2), input_shape=(4,))],
    ):
        p = nnx.Sequential(layers, backend=backend).predict(x)
        p[...] = 0.0
        np.testing.assert_array_equal(nnx.backend.to_numpy(x), X)


def test_a_layer_whose_output_is_not_what_its_spec_says():
    @dataclass(frozen=True)
    class Liar(nnx.layers.Layer):
        def forward(self, p, x):
            return x[:, :2]

    with pytest.raises(ShapeError, match=r"\(20, 2\) for 20 samples.*specs it is \(4,\)"):
        nnx.Sequential([Liar(input_shape=(4,))]).predict(X)


@pytest.mark.parametrize("seed", [1.5, "a", True, -1, 2**64])  # 2**64 would give the numbers of 0
def test_seeds_are_whole_numbers(seed):
    with pytest.raises(OptionError, match="seed must be a whole number"):
        nnx.Sequential(seed=seed)
    with pytest.raises(OptionError, match="Dropout: seed must be a whole number"):
        Dropout(0.5, seed=seed)
    with pytest.raises(OptionError, match="seed must be a whole number"):
        nnx.initializers.HeNormal(seed=seed)((2, 3))
    with pytest.raises(OptionError, match="train_test_split: seed must be a whole number"):
        nnx.utils.train_test_split(np.ones(4), seed=seed)


def test_the_largest_seed_is_one_of_its_own():
    first, last = (nnx.datasets.xor(9, seed=seed)[0] for seed in (0, 2**64 - 1))
    assert not np.array_equal(first, last)
    assert nnx.Sequential(seed=2**64 - 1).seed == 2**64 - 1


def test_initializers_that_give_nan_are_refused():
    with pytest.raises(DataError, match="initializer of 'kernel' gave NaN"):
        nnx.Sequential(
            [Dense(2, kernel_initializer=lambda shape, _: np.full(shape, np.nan), input_shape=(2,))]
        ).get_weights()


def test_names_that_exclude_nothing_from_decay_are_refused():
    m = nnx.Sequential([Dense(1, input_shape=(4,))])
    m.compile(nnx.optimizers.AdamW(exclude_from_weight_decay=["biass"]), "mse")
    with pytest.raises(OptionError, match=r"exclude_from_weight_decay=.*matches none.*dense/bias"):
        m.fit(X, X[:, 0], verbose=0)


def test_a_failed_fit_does_not_build():
    m = nnx.Sequential([Dense(3, "softmax")])
    m.compile("sgd", "categorical_crossentropy")
    with pytest.raises(ShapeError):
        m.fit(X, Y[:, :2], verbose=0)
    assert not m.built
    m.fit(X, Y, verbose=0)


def test_unbuilt_and_uncompiled_models_say_what_to_do():
    m = nnx.Sequential([Dense(3)])
    for use in (m.count_params, m.get_weights, lambda: m.layers[0].set_weights([]), lambda: m.save("x")):
        with pytest.raises(NotBuilt, match="input_shape"):
            use()
    with pytest.raises(NotBuilt, match=r"compile"):
        m.fit(X, Y)
    with pytest.raises(NotBuilt, match=r"compile"):
        m.evaluate(X, Y)
    with pytest.raises(NotBuilt, match="no layers"):
        nnx.Sequential().predict(X)


def test_unknown_names_list_what_is_near():
    with pytest.raises(UnknownName, match="relu"):
        Dense(3, activation="rulu")
    with pytest.raises(UnknownName, match="categorical_crossentropy"):
        model("categorical_crosentropy")
    with pytest.raises(UnknownName, match="adam"):
        m = model()
        m.compile("adma", "mse")
    with pytest.raises(UnknownName, match="accuracy"):
        model().compile("adam", "mse", metrics=["acuracy"])
    with pytest.raises(OptionError, match="list"):
        model().compile("adam", "mse", metrics="accuracy")
    with pytest.raises(OptionError, match="loss"):
        model().compile("adam")


def test_compile_that_fails_leaves_the_model_compiled_as_it_was():
    m = model()
    with pytest.raises(UnknownName):
        m.compile("adam", "nonsense")
    assert isinstance(m.optimizer, nnx.optimizers.SGD)
    m.fit(X, Y, verbose=0)


def test_what_is_no_optimizer_or_loss_is_refused():
    for arguments in ({"optimizer": 3, "loss": "mse"}, {"optimizer": "sgd", "loss": 42}):
        with pytest.raises(OptionError, match="must be a name"):
            model().compile(**arguments)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nnx.Sequential(name=3), "Sequential: name must be a string, got 3"),
        (lambda: Dense(4, input_dim=3), r"Dense has no argument 'input_dim'. Use input_shape=\(n,\)"),
        (lambda: Dense(4, activatoin="relu"), "Use activation"),
        (lambda: Dropout(p=0.2), "Use rate"),
        (lambda: Dense(0), "units"),
        (lambda: Dense(2.5), "units"),
        (lambda: Dense("relu"), "units"),
        (lambda: Dropout(1.0), "rate"),
        (lambda: Dropout(-0.1), "rate"),
        (lambda: Dropout(float("nan")), "rate"),
        (lambda: Input((0,)), "shape"),
        (lambda: Input((None, 4)), r"Input: shape .*no None.*got \(None, 4\)"),
        (lambda: Dense(3, input_shape=(None, 4)), r"Dense: input_shape .*got \(None, 4\)"),
        (lambda: Dropout(0.5, noise_shape=2), "noise_shape must be a tuple of whole numbers >= 1 or None"),
        (lambda: Reshape((-1, -1)), "-1"),
        (lambda: Reshape((2.0, 3)), "target_shape"),
        (lambda: Reshape(None), "target_shape"),
        (lambda: Permute((1, 3)), "permutation"),
        (lambda: Permute("ab"), "permutation"),
        (lambda: PReLU(shared_axes=[0]), "counted from 1"),
        (lambda: PReLU(shared_axes=[-1]), "counted from 1"),
        (lambda: Rescaling("a"), "scale"),
        (lambda: Rescaling(float("nan")), "scale"),
        (lambda: Rescaling(1.0, offset=None), "offset"),
        (lambda: Dense(3, activation=3), "Dense: activation must be a name, a function"),
        (lambda: Dense(3, kernel_regularizer=0.01), "nnx.regularizers, got 0.01"),
        (lambda: Dense(3, kernel_constraint=2), "nnx.constraints, got 2"),
        (lambda: Dense(3, activity_regularizer=0.1), "nnx.regularizers, got 0.1"),
        (
            lambda: Input(batch_shape=(None, 3)),
            "Input has no argument 'batch_shape'. Use shape, without the batch axis",
        ),
        (lambda: nnx.Sequential([Dense(3)]).build(None), "input_shape"),
    ],
)
def test_layers_refuse_impossible_options(make, words):
    with pytest.raises(OptionError, match=words):
        make()


def test_layers_that_do_not_fit_are_named_with_their_place():
    with pytest.raises(ShapeError) as caught:
        nnx.Sequential([Dense(5, input_shape=(4,)), Dense(3, input_shape=(4,))])
    assert "in layer 2 (Dense" in " ".join(caught.value.__notes__)
    with pytest.raises(ShapeError, match="Reshape cannot"):
        nnx.Sequential([Flatten(input_shape=(2, 3)), Reshape((4, 2))])
    m = nnx.Sequential([Dense(5, input_shape=(4,))])
    with pytest.raises(ShapeError):
        m.add(Dense(3, input_shape=(9,)))
    with pytest.raises(ShapeError, match=r"share axes \(3,\)"):
        m.add(PReLU(shared_axes=[3]))
    assert len(m.layers) == 1
    assert m.output_shape == (None, 5)


def test_add_explains_what_a_layer_is():
    with pytest.raises(OptionError, match="parentheses"):
        nnx.Sequential([Flatten])
    with pytest.raises(OptionError, match="needs a layer"):
        nnx.Sequential().add("dense")
    with pytest.raises(OptionError, match="first"):
        nnx.Sequential([Dense(2), Input((3,))])
    with pytest.raises(OptionError, match="named 'a'"):
        nnx.Sequential([Dense(2, name="a"), Dense(2, name="a")])


def test_weights_of_other_shapes_are_refused_and_nothing_changes():
    m = model()
    before = m.get_weights()
    with pytest.raises(ShapeError, match=r"'kernel' of layer 'dense_1' has shape \(5, 3\), got \(3, 5\)"):
        m.set_weights([*before[:2], before[2].T, before[3]])
    with pytest.raises(ShapeError, match="4 weight arrays, got 3"):
        m.set_weights(before[:3])
    for u, v in zip(before, m.get_weights(), strict=True):
        np.testing.assert_array_equal(u, v)


def test_weights_that_are_no_list_of_real_numbers_are_refused(backend):
    m = nnx.Sequential([Dense(2, input_shape=(3,))], backend=backend)
    before = m.get_weights()
    with pytest.raises(OptionError, match="list of arrays, got None"):
        m.set_weights(None)
    with pytest.raises(DtypeError, match="'kernel' of layer 'dense' holds complex"):
        m.set_weights([before[0] * 1j, before[1]])
    named = m.as_function()[1]
    with pytest.raises(DataError, match="'dense/bias' has NaN"):
        m.set_weights(named | {"dense/bias": np.full(2, np.nan)})
    with pytest.raises(DataError, match="too large ones for float32"):
        m.set_weights([before[0], np.full(2, 1e39)])
    for u, v in zip(before, m.get_weights(), strict=True):
        np.testing.assert_array_equal(u, v)


def test_learning_rates_that_cannot_be_are_refused():
    for bad in (-1.0, float("nan"), "fast"):
        with pytest.raises(OptionError, match="learning_rate"):
            nnx.optimizers.SGD(bad)
    m = model()
    m.fit(X, Y, verbose=0)
    for bad in (float("nan"), -1.0, True, "a", lambda step: 0.1):
        with pytest.raises(OptionError, match="learning_rate must be a finite number"):
            m.learning_rate = bad
    assert m.learning_rate == 0.01


def test_nan_in_predict_is_found():
    bad = X.copy()
    bad[7, 1] = np.nan
    with pytest.raises(DataError, match="sample 7"):
        model().predict(bad)


def test_backends_and_types_that_do_not_exist():
    with pytest.raises(UnknownName, match="Known: numpy"):
        nnx.Sequential(backend="nympy")
    with pytest.raises(OptionError, match="float32"):
        nnx.Sequential(dtype="float16")
