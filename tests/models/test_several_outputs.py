"""Models with several outputs: what each is trained for, what is reported, and what goes in and comes out."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

import nnx
from nnx.backend import namespace, to_numpy
from nnx.errors import DataError, NotBuilt, OptionError, ShapeError
from nnx.layers import Dense, Dropout
from nnx.models.heads import heads_of
from nnx.models.objective import Batch

RNG = np.random.default_rng(0)
N = 24
X = RNG.normal(size=(N, 4))
SIZE, KIND = RNG.normal(size=(N, 1)), np.arange(N) % 3
WEIGHTS = RNG.uniform(0.5, 2.0, size=(2, N))
LOSSES = ["mse", "sparse_categorical_crossentropy"]
METRICS = [["mae"], ["accuracy"]]


def outputs(layers, x):
    h = layers.Dense(5, "tanh", name="h")(x)
    return layers.Dense(1, name="size")(h), layers.Dense(3, "softmax", name="kind")(h)


def pair(as_dict=False, **place):
    x = nnx.Input((4,))
    size, kind = outputs(nnx.layers, x)
    ends = {"size": size, "kind": kind} if as_dict else [size, kind]
    return nnx.Model(x, ends, **{"dtype": "float64", "seed": 1, **place})


def compiled(optimizer="sgd", loss=LOSSES, as_dict=False, place=None, **options):
    model = pair(as_dict, **(place or {}))
    model.compile(optimizer, loss, **options)
    return model


# -- as in Keras -------------------------------------------------------------------------------------------


@pytest.fixture
def twins(keras):
    """nnx's model and Keras' with the same weights, compiled alike."""
    x = keras.Input((4,), dtype="float32")
    theirs, ours = keras.Model(x, list(outputs(keras.layers, x))), pair(dtype="float32")
    theirs.set_weights(ours.get_weights())
    more = {"loss_weights": [0.5, 2.0], "metrics": METRICS, "weighted_metrics": METRICS}
    theirs.compile(keras.optimizers.SGD(0.1), LOSSES, **more)
    ours.compile(nnx.optimizers.SGD(0.1), LOSSES, **more)
    return ours, theirs


@pytest.mark.parametrize("weights", [None, WEIGHTS[0], list(WEIGHTS)], ids=["without", "one", "each"])
def test_losses_and_metrics_are_those_of_keras(twins, weights):
    ours, theirs = twins
    given = {"sample_weight": weights, "verbose": 0, "return_dict": True}
    expected = theirs.evaluate(X, [SIZE, KIND], **given)
    found = ours.evaluate(X, [SIZE, KIND], **given)
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-5), name  # float32


def test_training_is_that_of_keras(twins):
    ours, theirs = twins
    given = {"batch_size": 8, "epochs": 3, "verbose": 0, "shuffle": False, "validation_split": 0.25}
    expected = theirs.fit(X, {"size": SIZE, "kind": KIND}, **given).history
    found = ours.fit(X, {"size": SIZE, "kind": KIND}, **given).history
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, err_msg=name)  # float32
    for ours_now, theirs_now in zip(ours.predict(X), theirs.predict(X, verbose=0), strict=True):
        np.testing.assert_allclose(ours_now, theirs_now, rtol=1e-4, atol=1e-6)  # float32


# -- names and forms ---------------------------------------------------------------------------------------


def test_what_comes_out_is_a_list_or_a_dict():
    model, named = pair(), pair(as_dict=True)
    assert (model.output_names, model.output_shape) == (["size", "kind"], [(None, 1), (None, 3)])
    assert named.output_shape == {"size": (None, 1), "kind": (None, 3)}
    for answer in (model.predict(X), model(X), model.predict_on_batch(X), model.as_function()[0]):
        answer = answer(model.as_function()[1], X) if callable(answer) else answer
        assert isinstance(answer, list) and [y.shape for y in answer] == [(N, 1), (N, 3)]
    for answer in (named.predict(X), named(X)):
        assert {name: y.shape for name, y in answer.items()} == {"size": (N, 1), "kind": (N, 3)}


def test_a_dict_names_one_output_too():
    x = nnx.Input((4,))
    model = nnx.Model(x, {"y": Dense(1)(x)})
    model.compile("sgd", {"y": "mse"}, metrics={"y": ["mae"]})
    assert list(model.fit(X, {"y": SIZE}, verbose=0).history) == ["loss", "mae"]
    assert list(model.predict(X)) == ["y"]


def test_one_layer_for_two_outputs_has_two_names():
    x = nnx.Input((4,))
    twice = Dense(4, name="d")
    y = twice(x)
    model = nnx.Model(x, [y, twice(y), x])
    assert model.output_names == ["d", "d_1", "input"]
    model.compile("sgd", "mse")
    assert model.metrics_names == ["loss", "d_loss", "d_1_loss", "input_loss"]


@pytest.mark.parametrize(
    ("told", "names"),
    [
        ({}, []),
        ({"metrics": METRICS}, ["size_mae", "kind_accuracy"]),
        ({"metrics": ["mae", "accuracy"]}, ["size_mae", "kind_accuracy"]),
        ({"metrics": [["mae", "mae"], None]}, ["size_mae", "size_mae_1"]),
        ({"metrics": {"kind": "accuracy"}}, ["kind_accuracy"]),
        (
            {"metrics": METRICS, "weighted_metrics": [["mae"], []]},
            ["size_mae", "kind_accuracy", "size_weighted_mae"],
        ),
    ],
)
def test_names_are_those_of_keras(told, names):
    assert compiled(**told).metrics_names == ["loss", "size_loss", "kind_loss", *names]


def test_an_output_without_a_loss_is_not_trained():
    model = compiled(loss=["mse", None], metrics={"kind": ["accuracy"]})
    kernel = model.get_layer("kind").kernel.copy()
    history = model.fit(X, [SIZE, KIND], verbose=0).history
    assert list(history) == ["loss", "kind_accuracy"]
    np.testing.assert_array_equal(model.get_layer("kind").kernel, kernel)
    quiet = compiled(loss={"size": "mse"})
    assert quiet.evaluate(X, [SIZE], verbose=0) == quiet.evaluate(X, {"size": SIZE}, verbose=0)
    assert quiet.evaluate(X, [SIZE, None], verbose=0) == quiet.evaluate(X, [SIZE], verbose=0)


def test_the_loss_is_the_weighted_sum_of_the_outputs_losses(backend):
    model = compiled(loss_weights={"size": 3.0}, place={"backend": backend})
    total, size, kind = model.evaluate(X, [SIZE, KIND], verbose=0)
    assert total == pytest.approx(3.0 * size + kind, rel=1e-12)
    assert model.train_on_batch(X, [SIZE, KIND]) == pytest.approx([total, size, kind], rel=1e-12)
    assert model.test_on_batch(X, [SIZE, KIND], return_dict=True)["loss"] < total


def test_a_class_of_ones_own_may_return_several():
    class Two(nnx.Model):
        def __init__(self, form):
            super().__init__(seed=1)
            self.a, self.b, self.form = Dense(1, name="a"), Dense(3, "softmax", name="b"), form

        def call(self, x):
            return self.form(self.a(x), self.b(x))

    forms = {
        "a": lambda a, b: [a, b],
        "b": lambda a, b: (a, b),
        "u": lambda a, b: {"u": a, "v": b},
    }
    for first, form in forms.items():
        model = Two(form)
        model.compile("sgd", LOSSES)
        with pytest.raises(NotBuilt):
            model.metrics_names  # noqa: B018
        history = model.fit(X, [SIZE, KIND], verbose=0).history
        second = "v" if first == "u" else "b"
        assert list(history) == ["loss", f"{'u' if first == 'u' else 'a'}_loss", f"{second}_loss"]


def test_a_model_of_two_outputs_is_a_part_of_another():
    x = nnx.Input((4,))
    size, kind = pair()(x)
    model = nnx.Model(x, nnx.layers.Concatenate()([size, kind]), dtype="float64")
    np.testing.assert_allclose(model.predict(X), np.concatenate(pair().predict(X), axis=1), rtol=1e-12)


# -- saving ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_dict", [False, True])
def test_it_is_saved_and_goes_on(as_dict, tmp_path):
    told = {"loss_weights": [0.5, 2.0], "metrics": METRICS, "weighted_metrics": [[], ["accuracy"]]}
    model = compiled("adam", as_dict=as_dict, **told)
    model.fit(X, [SIZE, KIND], verbose=0)
    model.save(tmp_path / "model.safetensors")
    for again in (nnx.load_model(tmp_path / "model.safetensors"), copy.deepcopy(model)):
        assert again.metrics_names == model.metrics_names
        before = copy.deepcopy(model)
        expected, found = (m.fit(X, [SIZE, KIND], verbose=0).history for m in (before, again))
        assert found == expected


# -- the activations at the ends ---------------------------------------------------------------------------


def test_every_loss_takes_pre_activations(backend):
    x = nnx.Input((1,))
    start = {"kernel_initializer": "ones", "bias_initializer": "zeros"}
    far = nnx.layers.Rescaling(2000.0)(x)
    ends = [
        Dense(1, "sigmoid", **start)(far),
        Dense(2, "softmax")(nnx.layers.Concatenate()([far, -far])),
        far,
    ]
    model = nnx.Model(x, ends, dtype="float64", backend=backend)
    model.layers[-1].set_weights([np.eye(2), np.zeros(2)])
    model.compile(
        "sgd", ["bce", "sparse_categorical_crossentropy", "mae"], metrics=[["accuracy"], None, None]
    )
    objective = model.trainer.objective
    assert objective.linear == (True, True, False)
    assert [head is None for head in heads_of(objective.whole)] == [False, False, True]
    ones, y = np.ones((2, 1)), [np.zeros((2, 1)), np.asarray([1, 1]), np.full((2, 1), 1999.0)]
    # without underflow: log(1e-7) would end both at 16
    found = model.evaluate(ones, y, verbose=0)
    assert found == pytest.approx([6001.0, 2000.0, 4000.0, 1.0, 0.0], rel=1e-6)
    assert [float(to_numpy(p)[0, 0]) for p in model.predict(ones)] == [1.0, 1.0, 2000.0]


def test_an_activation_that_others_read_stays():
    x = nnx.Input((4,))
    p = Dense(3, "softmax")(x)
    model = nnx.Model(x, [p, Dense(1)(p), p], dtype="float64")
    model.compile("sgd", ["categorical_crossentropy", "mse", None])
    assert model.trainer.objective.linear == (False, False, False)
    y = np.eye(3)[KIND]
    expected = -np.mean(np.log(model.predict(X)[0][np.arange(N), KIND]))
    assert model.evaluate(X, [y, SIZE, None], verbose=0)[1] == pytest.approx(expected, rel=1e-12)


# -- methods of second order -------------------------------------------------------------------------------


def regression(backend, weights=(2.0, 0.25), optimizer="lm"):
    x = nnx.Input((4,))
    h = Dense(3, "tanh")(x)
    ends = [Dense(1)(h), Dense(2, "tanh")(h), Dense(2)(x)]
    model = nnx.Model(x, ends, dtype="float64", seed=1, backend=backend)
    model.compile(optimizer, ["mse", "msle", None], loss_weights=[*weights, 1.0])
    return model


Y = [SIZE, RNG.uniform(0.5, 1.5, size=(N, 2))]


@pytest.mark.parametrize("weighted", [False, True])
def test_residuals_of_all_outputs_are_one_long_vector(weighted, backend):
    problem = regression(backend).trainer.problem
    moved = [backend.asarray(a, dtype="float64") for a in (X, *Y, *WEIGHTS)]
    problem.show(Batch((moved[0],), (*moved[1:3], None), (*moved[3:], None) if weighted else (None,) * 3), 0)
    w = namespace(moved[0]).asarray(problem.layout.pack(problem._views), copy=True)

    def r(w):
        return problem.residuals(problem.run(problem.params(problem.layout.views(w))))

    point, expected = problem.at(w), to_numpy(r(w))
    assert expected.shape == (3 * N,)
    assert 0.5 * expected @ expected == pytest.approx(float(to_numpy(point.value)), rel=1e-12)
    blocks = [(to_numpy(j).copy(), to_numpy(e).copy()) for j, e in point.blocks(5 * 8.0 * w.shape[0])]
    per_column = len(blocks) // 3
    columns = [
        [np.concatenate(part) for part in zip(*blocks[k : k + per_column], strict=True)]
        for k in range(0, len(blocks), per_column)
    ]
    jacobian = np.stack([j for j, _ in columns], axis=1).reshape(3 * N, -1)
    np.testing.assert_allclose(np.stack([e for _, e in columns], axis=1).reshape(-1), expected, rtol=1e-12)
    np.testing.assert_allclose(jacobian, to_numpy(nnx.jacobian(r)(w)), rtol=1e-10, atol=1e-13)
    u = RNG.normal(size=3 * N)
    found = to_numpy(point.vjp(backend.asarray(u, dtype="float64")))
    np.testing.assert_allclose(found, u @ jacobian, rtol=1e-10, atol=1e-12)
    v = RNG.normal(size=jacobian.shape[1])
    found = to_numpy(point.jvp(backend.asarray(v, dtype="float64")))
    np.testing.assert_allclose(found, jacobian @ v, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("optimizer", ["lm", "bayesian_regularization", "bfgs", "newton", "scg"])
def test_methods_of_second_order_train_all_outputs(optimizer):
    t = np.linspace(-1.0, 1.0, 21)[:, None]
    x = nnx.Input((1,))
    h = Dense(5, "tanh")(x)
    model = nnx.Model(x, [Dense(1)(h), Dense(1)(h)], dtype="float64", seed=2)
    model.compile(optimizer, "mse", loss_weights=[1.0, 0.5])
    # for the method that finds the linear weights first, and measures them in units of their own
    size = 300.0 if optimizer == "lm" else 1.0
    y = [np.sin(2.0 * t), size * (t + 1.0) ** 2]
    history = model.fit(t, y, epochs=60, verbose=0).history
    first, second = (history[f"{name}_loss"] for name in model.output_names)
    np.testing.assert_allclose(history["loss"], np.asarray(first) + 0.5 * np.asarray(second), rtol=1e-9)
    assert history["loss"][-1] < 1e-2 * history["loss"][0]


def test_what_is_no_sum_of_squares_says_which_output():
    with pytest.raises(OptionError, match=r"sum of squares.*sparse_categorical_crossentropy.*lbfgs"):
        compiled("lm").fit(X, [SIZE, KIND], verbose=0)
    with pytest.raises(OptionError, match="weight -1"):
        regression(None, weights=(1.0, -1.0)).fit(X, [*Y, None], verbose=0)


# -- masks and weights of places ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Marked(nnx.layers.Layer):
    """Its input; steps whose numbers are all zero are masked."""

    def gives_mask(self, masked):
        return 1

    def compute_mask(self, xs, masks):
        return namespace(xs[0]).any(xs[0] != 0.0, axis=-1)

    def forward(self, p, x):
        return x


STEPS, STEPS_Y = RNG.normal(size=(5, 3, 4)), RNG.normal(size=(5, 3, 2))
STEPS[0, 1:] = STEPS[3, 2:] = 0.0
MASK = np.any(STEPS != 0.0, axis=-1)


@pytest.mark.parametrize("weight", [None, WEIGHTS[0, :5], WEIGHTS[:, :15].reshape(2, 5, 3)[0]])
def test_masked_places_count_for_nothing(weight, backend):
    x = nnx.Input((3, 4))
    model = nnx.Model(x, [Dense(2)(Marked()(x)), Dense(2)(x)], dtype="float64", backend=backend)
    model.compile("lm", "mse", metrics=[["mae"], []], weighted_metrics=[["mae"], []])
    given = {"sample_weight": None if weight is None else [weight, None], "verbose": 0}
    found = model.evaluate(STEPS, [STEPS_Y, STEPS_Y], **given)
    masked, plain = (y - STEPS_Y for y in map(to_numpy, model.predict(STEPS)))
    w = np.ones((5, 3)) if weight is None else weight.reshape(5, -1) * np.ones((5, 3))
    # Keras' numbers: a mean over the places that count, in which the weights do not divide
    loss = np.sum(w * MASK * np.mean(masked**2, axis=-1)) / MASK.sum()
    mae = [np.sum(v * MASK * np.mean(abs(masked), axis=-1)) / np.sum(v * MASK) for v in (np.ones((5, 3)), w)]
    assert found[1:] == pytest.approx([loss, np.mean(plain**2), *mae], rel=1e-12)
    history = model.fit(STEPS, [STEPS_Y, STEPS_Y], epochs=4, **given).history
    assert history["loss"][-1] < found[0]
    # the linear least-squares problem of the first output, solved on what is not masked
    root = np.sqrt(w[MASK])[:, None]
    rows = root * np.concatenate([STEPS[MASK], np.ones((MASK.sum(), 1))], axis=1)
    left = root * STEPS_Y[MASK] - rows @ np.linalg.lstsq(rows, root * STEPS_Y[MASK])[0]
    assert history[f"{model.output_names[0]}_loss"][-1] == pytest.approx(
        np.sum(left**2) / MASK.sum() / 2, rel=1e-6
    )


def test_weights_of_a_sum_of_losses_are_not_those_of_a_mean():
    x = nnx.Input((3, 4))
    model = nnx.Model(x, Dense(2)(Marked()(x)), dtype="float64")
    model.compile("sgd", nnx.losses.MeanSquaredError(reduction="sum"))
    error = np.mean((model.predict(STEPS) - STEPS_Y) ** 2, axis=-1)
    assert model.evaluate(STEPS, STEPS_Y, verbose=0) == pytest.approx(np.sum(error * MASK), rel=1e-12)


def test_a_mask_of_places_that_the_loss_does_not_have():
    x = nnx.Input((3, 4))
    flat = nnx.Model(x, nnx.layers.Activation("tanh")(Passing((3,))(Marked()(x))))
    flat.compile("sgd", "mse")
    with pytest.raises(ShapeError, match=r"mask of an output of shape \(5, 3\).*by Reshape"):
        flat.fit(STEPS, np.ones((5, 3)), verbose=0)


@dataclass(frozen=True)
class Passing(nnx.layers.Layer):
    """The means of the last axis, with the mask of the input."""

    shape: tuple[int, ...] = ()
    supports_masking: ClassVar[bool] = True

    def spec(self, input_shape):
        return nnx.layers.Spec(self.shape)

    def forward(self, p, x):
        return namespace(x).mean(x, axis=-1)


def test_weights_of_places_in_a_sample():
    x = nnx.Input((3, 4))
    model = nnx.Model(x, Dense(2)(x), dtype="float64")
    model.compile("lm", "mse", weighted_metrics=["mae"])
    data, y = RNG.normal(size=(6, 3, 4)), RNG.normal(size=(6, 3, 2))
    weight = RNG.uniform(size=(6, 3))
    loss, mae = model.evaluate(data, y, sample_weight=weight, verbose=0)
    error = model.predict(data) - y
    assert loss == pytest.approx(np.mean(weight * np.mean(error**2, axis=-1)), rel=1e-12)
    assert mae == pytest.approx(np.sum(weight * np.mean(abs(error), axis=-1)) / weight.sum(), rel=1e-12)
    assert model.fit(data, y, sample_weight=weight, epochs=3, verbose=0).history["loss"][-1] < loss


# -- bad input ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"loss": ["mse"]}, r"loss is a list of 1, but the model has the outputs 'size', 'kind'"),
        ({"loss": {"sise": "mse"}}, r"loss has an entry for 'sise'.*'size', 'kind'"),
        ({"loss": [None, None]}, "needs a loss for one of the outputs"),
        ({"loss_weights": [1.0]}, "loss_weights is a list of 1"),
        ({"loss_weights": ["a", 1.0]}, "loss_weights must be a finite number"),
        (
            {"metrics": ["mae"]},
            r"metrics of a model with.*must have an entry for each, as in metrics=\[\[...\]",
        ),
        ({"metrics": {"sise": "mae"}}, "metrics has an entry for 'sise'"),
    ],
)
def test_compile_says_what_does_not_fit(told, words):
    with pytest.raises(OptionError, match=words):
        compiled(**told)


@pytest.mark.parametrize(
    ("y", "error", "words"),
    [
        (SIZE, ShapeError, "y must be a list .*of 2 arrays.*'size', 'kind'; got a ndarray"),
        ([SIZE], ShapeError, "got 1 of them"),
        ([SIZE, KIND, KIND], ShapeError, "got 3 of them"),
        ({"size": SIZE}, ShapeError, "dict with 'size', but the model has the outputs 'size', 'kind'"),
        ({"size": SIZE, "kind": KIND, "x": 1}, ShapeError, "dict with 'size', 'kind', 'x'"),
        ([SIZE, None], DataError, "nothing for 'kind'"),
        ([SIZE[:3], KIND], ShapeError, r"x has 24 samples, y\[0\] has 3"),
        ([SIZE, KIND + 1], DataError, r"y\[1\]\[2\] is 3"),
        ([KIND, SIZE], ShapeError, "y"),
    ],
)
def test_targets_that_do_not_fit_are_named(y, error, words):
    if y[0] is KIND if isinstance(y, list) else False:
        y, error, words = [np.ones((N, 2)), KIND], ShapeError, r"outputs of shape \(1,\).*y\[0\] of shape"
    with pytest.raises(error, match=words):
        compiled().fit(X, y, verbose=0)


def test_class_weights_are_for_one_output():
    with pytest.raises(OptionError, match="class_weight is for models with one output"):
        compiled().fit(X, [SIZE, KIND], class_weight={0: 2.0}, verbose=0)


@pytest.mark.parametrize("weight", [[WEIGHTS[0]], {"sise": WEIGHTS[0]}, [WEIGHTS[0], WEIGHTS[1][:5]]])
def test_weights_that_do_not_fit_are_refused(weight):
    with pytest.raises(ShapeError, match="sample_weight"):
        compiled().fit(X, [SIZE, KIND], sample_weight=weight, verbose=0)


def test_weights_by_name_are_those_of_a_list():
    by_name = {"kind": WEIGHTS[1]}
    found = compiled().evaluate(X, [SIZE, KIND], sample_weight=by_name, verbose=0)
    assert found == compiled().evaluate(X, [SIZE, KIND], sample_weight=[None, WEIGHTS[1]], verbose=0)


def test_a_softmax_of_one_unit_is_named():
    x = nnx.Input((4,))
    model = nnx.Model(x, [Dense(1, name="a")(Dropout(0.5)(x)), Dense(1, "softmax", name="b")(x)])
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="can learn nothing at its output 'b'"):
        model.fit(X, [SIZE, SIZE], verbose=0)
