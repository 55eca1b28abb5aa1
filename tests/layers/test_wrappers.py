"""Bidirectional, TimeDistributed and RepeatVector: what Keras' compute, rows, states, errors."""

from __future__ import annotations

import numpy as np
import pytest
from layers.sequence_examples import MORE

import nnx
from nnx.backend import namespace, to_numpy
from nnx.errors import OptionError, ShapeError

LAYERS = nnx.layers
N, STEPS, FEATURES = 3, 4, 2
X = np.random.default_rng(0).normal(size=(N, STEPS, FEATURES))
MASK = np.asarray([[1, 1, 0, 1], [0, 1, 1, 0], [0, 0, 0, 0]], bool)


def named(spec, weights):
    assert [w.shape for w in spec.weights] == [w.shape for w in weights]
    return {w.name: a for w, a in zip(spec.weights, weights, strict=True)}


def of_keras(keras, layer, *xs, **options):
    """Keras' outputs with random weights, and these."""
    import torch

    tensors = [torch.tensor(x) for x in xs]
    layer(tensors[0])
    weights = [np.random.default_rng(k).normal(size=w.shape) for k, w in enumerate(layer.weights)]
    layer.set_weights(weights)
    if len(xs) > 1:
        options["initial_state"] = tensors[1:]
    y = layer(tensors[0], **options)
    return [a.detach().numpy() for a in (y if isinstance(y, list | tuple) else [y])], weights


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("merge_mode", ["concat", "sum", "mul", "ave", None])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"return_sequences": True},
        {"return_state": True},
        {"return_sequences": True, "return_state": True},
    ],
)
@pytest.mark.parametrize(("kind", "states"), [("GRU", 1), ("LSTM", 2)])
def test_bidirectional_is_keras(keras, kind, states, options, merge_mode, masked):
    if options.get("return_state") and not masked:
        first = [np.random.default_rng(9 + k).normal(size=(N, 2)) for k in range(2 * states)]
    else:
        first = []
    theirs = keras.layers.Bidirectional(
        getattr(keras.layers, kind)(2, dtype="float64", **options), merge_mode=merge_mode, dtype="float64"
    )
    import torch

    expected, weights = of_keras(keras, theirs, X, *first, mask=torch.tensor(MASK) if masked else None)
    layer = LAYERS.Bidirectional(getattr(LAYERS, kind)(2, **options), merge_mode=merge_mode)
    spec = layer.spec((STEPS, FEATURES), *[(2,)] * len(first))
    ys = layer.forward(named(spec, weights), X, *first, mask=MASK if masked else None)
    ys = ys if isinstance(ys, tuple) else (ys,)
    assert [y.shape[1:] for y in ys] == list(spec.output_shapes)
    for a, b in zip(ys, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)  # float64, some hundred terms


def test_two_layers_of_different_sizes():
    layer = LAYERS.Bidirectional(LAYERS.GRU(2), backward_layer=LAYERS.LSTM(3, go_backwards=True))
    assert layer(X).shape == (N, 5)
    assert layer.weight_names[0] == "forward_layer/kernel"
    for wrong, message in [
        ({"backward_layer": LAYERS.LSTM(3)}, "different directions"),
        ({"backward_layer": LAYERS.LSTM(3, go_backwards=True, return_state=True)}, "same return_state"),
        ({"merge_mode": "max"}, "merge_mode"),
    ]:
        with pytest.raises(OptionError, match=message):
            LAYERS.Bidirectional(LAYERS.GRU(2), **wrong)
    with pytest.raises(OptionError, match="recurrent layer"):
        LAYERS.Bidirectional(LAYERS.Dense(2))
    with pytest.raises(ShapeError, match="outputs of one shape"):
        LAYERS.Bidirectional(LAYERS.GRU(2), "sum", LAYERS.GRU(3, go_backwards=True))(X)


@pytest.mark.parametrize(
    ("layer", "shape"), MORE, ids=lambda x: str(x) if isinstance(x, LAYERS.Layer) else ""
)
def test_derivatives_rows_and_configurations_of_further_ones(backend, layer, shape):
    shapes = shape if layer.arity is None else (shape,)
    spec, draw = layer.spec(*shapes), np.random.default_rng(0).normal
    p = {w.name: backend.asarray(draw(size=w.shape), dtype="float64") for w in spec.weights}
    xs = [backend.asarray(draw(size=(6, *s)), dtype="float64") for s in shapes]
    context = LAYERS.Context(training=True, seed=3, step=2)
    own = (context,) if layer.random or layer.stateful else ()

    def f(p, *xs):
        ys = layer.forward(p, *xs, *own)
        ys = ys[0] if layer.stateful else ys
        return ys if isinstance(ys, tuple) else (ys,)

    ys = f(p, *xs)
    assert [tuple(y.shape[1:]) for y in ys] == list(spec.output_shapes)
    nnx.check_derivatives(f, p, *xs)
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()
    if layer.mixes_samples:
        return
    names = tuple(w.name for w in spec.weights if w.trainable)
    gs = [backend.asarray(draw(size=y.shape), dtype="float64") for y in ys]
    _, back = layer.per_sample(p, names, xs, context)
    by_inputs, gradients = back(gs[0] if len(gs) == 1 else gs)

    def each(p, *xs):
        ys = f(p, *xs)
        xp = namespace(*ys)
        return sum(xp.sum(xp.reshape(y * g, (6, -1)), axis=1) for y, g in zip(ys, gs, strict=True))

    if names:
        expected = nnx.jacobian(each)(p, *xs)
        for name, found in gradients(slice(2, 5)).items():
            np.testing.assert_allclose(to_numpy(found), to_numpy(expected[name])[2:5], rtol=1e-9, atol=1e-11)
    wanted = nnx.vjp(lambda *xs: each(p, *xs), *xs)[1](backend.asarray(np.ones(6), dtype="float64"))
    for a, b in zip(by_inputs, wanted, strict=True):
        np.testing.assert_allclose(to_numpy(a), to_numpy(b), rtol=1e-9, atol=1e-11)


class TestTimeDistributed:
    @pytest.mark.parametrize("inner", ["Dense", "BatchNormalization", "SimpleRNN"])
    def test_is_keras(self, keras, inner):
        import torch

        options = {"BatchNormalization": {}}.get(inner, {"units": 3})
        x = X if inner != "SimpleRNN" else np.random.default_rng(1).normal(size=(N, STEPS, 3, FEATURES))
        theirs = keras.layers.TimeDistributed(getattr(keras.layers, inner)(dtype="float64", **options))
        theirs.build(x.shape)
        weights = [0.5 + np.random.default_rng(k).random(size=w.shape) for k, w in enumerate(theirs.weights)]
        theirs.set_weights(weights)
        expected = theirs(torch.tensor(x), training=True).detach().numpy()
        layer = LAYERS.TimeDistributed(getattr(LAYERS, inner)(**options))
        p = named(layer.spec(x.shape[1:]), weights)
        context = LAYERS.Context(training=True)
        y = layer.forward(p, x, context)
        if layer.stateful:
            y, changes = y
            after = {name: changes.get(name, w) for name, w in p.items()}
            for a, b in zip(after.values(), theirs.get_weights(), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-6)  # Keras' own state is float32
        np.testing.assert_allclose(y, expected, rtol=1e-6 if layer.stateful else 1e-12, atol=1e-7)

    def test_dropout_draws_for_every_step(self):
        layer = LAYERS.TimeDistributed(LAYERS.Dropout(0.5))
        y = layer.forward({}, np.ones((2, 3, 40)), LAYERS.Context(training=True, seed=1))
        assert len({tuple(row) for row in y.reshape(6, 40)}) == 6

    def test_a_mask_passes_on(self):
        model = nnx.Sequential(
            [
                nnx.Input((STEPS, FEATURES)),
                LAYERS.Masking(),
                LAYERS.TimeDistributed(LAYERS.Dense(2)),
                LAYERS.GRU(2),
            ],
            seed=0,
        )
        x = X.copy()
        x[:, 2:] = 0.0
        np.testing.assert_allclose(model.predict(x)[0], _first_steps(model, x[:, :2])[0], rtol=1e-5)

    def test_single_numbers_are_refused(self):
        with pytest.raises(ShapeError, match="steps"):
            LAYERS.TimeDistributed(LAYERS.Dense(2))(np.ones(3))
        with pytest.raises(OptionError, match="must be a layer"):
            LAYERS.TimeDistributed("dense")


def _first_steps(model, x):
    """What the layers after Masking give for a shorter sequence."""
    dense, gru = model.layers[1:]
    short = nnx.Sequential([nnx.Input(x.shape[1:]), LAYERS.TimeDistributed(LAYERS.Dense(2)), LAYERS.GRU(2)])
    short.set_weights([*dense.get_weights(), *gru.get_weights()])
    return short.predict(x)


def test_repeat_vector_takes_vectors():
    np.testing.assert_array_equal(LAYERS.RepeatVector(3)(X[:, 0])[:, 2], X[:, 0])
    with pytest.raises(ShapeError, match="features"):
        LAYERS.RepeatVector(3)(X)


def test_models_with_wrapped_layers_are_saved(tmp_path):
    model = nnx.Sequential(
        [
            nnx.Input((STEPS, FEATURES)),
            LAYERS.Bidirectional(LAYERS.LSTM(3, return_sequences=True), merge_mode="ave"),
            LAYERS.TimeDistributed(LAYERS.Dense(2, "tanh")),
            LAYERS.Bidirectional(LAYERS.GRU(2, dropout=0.2)),
            LAYERS.Dense(1),
        ],
        seed=0,
    )
    model.compile("adam", "mse")
    before = model.fit(X, X[:, 0, :1], epochs=20, verbose=0).history["loss"]
    assert before[-1] < before[0]
    model.save(tmp_path / "a.safetensors")
    again = nnx.load_model(tmp_path / "a.safetensors")
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
