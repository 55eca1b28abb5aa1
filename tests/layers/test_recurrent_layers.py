"""Recurrent layers: what Keras' layers of the same options compute; rows, states, masks, errors."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx.backend import namespace, to_numpy
from nnx.errors import OptionError, ShapeError

LAYERS = nnx.layers
KINDS = {"SimpleRNN": 1, "LSTM": 2, "GRU": 1}
N, STEPS, FEATURES, UNITS = 4, 5, 3, 2
X = np.random.default_rng(0).normal(size=(N, STEPS, FEATURES))
MASK = np.asarray([[1, 1, 0, 1, 0], [0, 1, 1, 0, 1], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]], bool)
STATES = [np.random.default_rng(k + 1).normal(size=(N, UNITS)) for k in range(2)]

OPTIONS = [
    {},
    {"return_sequences": True},
    {"return_state": True},
    {"return_sequences": True, "return_state": True, "go_backwards": True},
    {"go_backwards": True, "zero_output_for_mask": True},
    {"return_sequences": True, "zero_output_for_mask": True},
    {"use_bias": False, "return_sequences": True},
    {"activation": "relu", "return_sequences": True, "return_state": True},
    {"activation": None, "go_backwards": True, "zero_output_for_mask": True},
]
GATED = [
    {"recurrent_activation": "softsign", "return_sequences": True},
    {"reset_after": False, "return_state": True},
    {"reset_after": False, "return_sequences": True, "use_bias": False},
]


def cases():
    for kind in KINDS:
        for options in OPTIONS + GATED:
            if kind != "GRU" and "reset_after" in options:
                continue
            if kind == "SimpleRNN" and "recurrent_activation" in options:
                continue
            yield kind, options


def in_keras(keras, kind, options, states, masked):
    """Of Keras' layer: random weights, outputs, and gradients of a weighted sum of the outputs."""
    import torch

    layer = getattr(keras.layers, kind)(UNITS, dtype="float64", **options)
    layer.build((N, STEPS, FEATURES))
    draw = np.random.default_rng(7).normal
    layer.set_weights([0.6 * draw(size=w.shape) for w in layer.weights])
    x = torch.tensor(X, requires_grad=True)
    first = [torch.tensor(s, requires_grad=True) for s in states]
    said = {"initial_state": first} if first else {}
    y = layer(x, mask=torch.tensor(MASK) if masked else None, **said)
    ys = list(y) if isinstance(y, list | tuple) else [y]
    sum((o * torch.tensor(weights_of(o.shape))).sum() for o in ys).backward()
    found = [x, *first, *(w.value for w in layer.weights)]
    return (
        [to_numpy(w) for w in layer.get_weights()],
        [o.detach().numpy() for o in ys],
        [to_numpy(a.grad) for a in found],
    )


def weights_of(shape):
    """Numbers that a sum weights its entries with."""
    return np.random.default_rng(11).normal(size=tuple(shape))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize(("kind", "options"), list(cases()))
def test_outputs_and_gradients_are_those_of_keras(keras, kind, options, given, masked):
    states = STATES[: KINDS[kind]] if given else []
    weights, expected, gradients = in_keras(keras, kind, options, states, masked)
    layer = getattr(LAYERS, kind)(UNITS, **options)
    spec = layer.spec((STEPS, FEATURES), *[(UNITS,)] * len(states))
    assert [w.shape for w in spec.weights] == [w.shape for w in weights]
    p = {w.name: a for w, a in zip(spec.weights, weights, strict=True)}

    def total(x, states, p):
        ys = layer.forward(p, x, *states, mask=MASK if masked else None)
        ys = ys if isinstance(ys, tuple) else (ys,)
        return sum(np.sum(y * weights_of(y.shape)) for y in ys), ys

    ys = total(X, states, p)[1]
    for a, b, shape in zip(ys, expected, spec.output_shapes, strict=True):
        assert a.shape == (N, *shape)
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)  # float64, some hundred terms
    by_x, by_states, by_p = nnx.grad(lambda *args: total(*args)[0], argnums=(0, 1, 2))(X, states, p)
    for a, b in zip([by_x, *by_states, *by_p.values()], gradients, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"return_sequences": True, "go_backwards": True},
        {"return_state": True, "zero_output_for_mask": True},
        {"activation": "relu"},
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_the_jacobian(backend, kind, options, masked):
    """Each sample's gradients are the rows of ``nnx.jacobian``, whatever the output."""
    layer = getattr(LAYERS, kind)(UNITS, **options)
    draw = np.random.default_rng(3).normal
    spec = layer.spec((STEPS, FEATURES), *[(UNITS,)] * KINDS[kind])
    p = {w.name: backend.asarray(draw(size=w.shape), dtype="float64") for w in spec.weights}
    xs = [backend.asarray(a, dtype="float64") for a in (X, *STATES[: KINDS[kind]])]
    said = {"mask": backend.asarray(MASK)} if masked else {}
    y, back = layer.per_sample(p, tuple(p), xs, LAYERS.Context(), **said)
    single = not isinstance(y, tuple)
    gs = [backend.asarray(draw(size=o.shape), dtype="float64") for o in ([y] if single else y)]
    by_inputs, gradients = back(gs[0] if single else gs)

    def each(p, *xs):
        ys = layer.forward(p, *xs, **said)
        ys = (ys,) if single else ys
        xp = namespace(*ys)
        return sum(xp.sum(xp.reshape(o * g, (N, -1)), axis=1) for o, g in zip(ys, gs, strict=True))

    expected = nnx.jacobian(each)(p, *xs)
    part = slice(1, 3)
    for name, found in gradients(part).items():
        np.testing.assert_allclose(to_numpy(found), to_numpy(expected[name])[part], rtol=1e-10, atol=1e-11)
    wanted = nnx.vjp(lambda *xs: each(p, *xs), *xs)[1](backend.asarray(np.ones(N), dtype="float64"))
    for a, b in zip(by_inputs, wanted, strict=True):
        np.testing.assert_allclose(to_numpy(a), to_numpy(b), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("kind", KINDS)
def test_rnn_of_the_cell_is_the_layer(backend, kind):
    layer = getattr(LAYERS, kind)(UNITS, return_sequences=True, return_state=True)
    general = LAYERS.RNN(getattr(LAYERS, kind + "Cell")(UNITS), return_sequences=True, return_state=True)
    specs = layer.spec((STEPS, FEATURES)), general.spec((STEPS, FEATURES))
    own = [(f"cell/{w.name}", w.shape) for w in specs[0].weights]
    assert own == [(w.name, w.shape) for w in specs[1].weights]
    assert specs[0].output_shapes == specs[1].output_shapes
    draw = np.random.default_rng(3).normal
    p = {w.name: backend.asarray(draw(size=w.shape), dtype="float64") for w in specs[0].weights}
    x = backend.asarray(X, dtype="float64")
    for mask in (None, backend.asarray(MASK)):
        other = general.forward({f"cell/{name}": w for name, w in p.items()}, x, mask=mask)
        for a, b in zip(layer.forward(p, x, mask=mask), other, strict=True):
            np.testing.assert_allclose(to_numpy(a), to_numpy(b), rtol=1e-12, atol=1e-13)


def test_stacked_cells_are_keras(keras, of_keras):
    theirs = keras.layers.RNN(
        [keras.layers.GRUCell(3), keras.layers.LSTMCell(2)], return_state=True, dtype="float64"
    )
    theirs.build((N, STEPS, FEATURES))
    weights = [np.random.default_rng(2).normal(size=w.shape) for w in theirs.weights]
    theirs.set_weights(weights)
    import torch

    expected = [a.detach().numpy() for a in keras.tree.flatten(theirs(torch.tensor(X)))]
    layer = LAYERS.RNN([LAYERS.GRUCell(3), LAYERS.LSTMCell(2)], return_state=True)
    spec = layer.spec((STEPS, FEATURES))
    p = {w.name: a for w, a in zip(spec.weights, weights, strict=True)}
    for a, b in zip(layer.forward(p, X), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)  # Keras' cells compute in float32


def test_a_cell_of_ones_own():
    from dataclasses import dataclass

    @dataclass(frozen=True)
    class Sum(LAYERS.Layer):
        arity = None
        state_size = 3

        def forward(self, p, x, total):
            return x + total, x + total

    y = LAYERS.RNN(Sum(), return_sequences=True)(X)
    np.testing.assert_allclose(y, np.cumsum(X, axis=1), rtol=1e-13)


class TestDropout:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize(
        "options", [{"dropout": 0.5}, {"recurrent_dropout": 0.5}, {"dropout": 0.3, "recurrent_dropout": 0.5}]
    )
    def test_is_one_function_within_a_step_and_nothing_in_prediction(self, backend, kind, options):
        layer = getattr(LAYERS, kind)(8, **options)
        spec = layer.spec((STEPS, FEATURES))
        p = {
            w.name: backend.asarray(0.5 * np.random.default_rng(1).normal(size=w.shape), dtype="float64")
            for w in spec.weights
        }
        x = backend.asarray(X, dtype="float64")
        at = [LAYERS.Context(training=True, seed=1, step=k) for k in (0, 0, 1)]
        same, again, other = (to_numpy(layer.forward(p, x, context)) for context in at)
        np.testing.assert_array_equal(same, again)
        assert not np.array_equal(same, other)
        plain = to_numpy(getattr(LAYERS, kind)(8).forward(p, x))
        np.testing.assert_array_equal(to_numpy(layer.forward(p, x, LAYERS.Context())), plain)

    def test_drops_the_same_features_at_every_step(self):
        layer = LAYERS.SimpleRNN(1, activation=None, use_bias=False, dropout=0.5)
        p = {"kernel": np.ones((6, 1)), "recurrent_kernel": np.ones((1, 1))}
        y = layer.forward(p, np.ones((200, 3, 6)), LAYERS.Context(training=True, seed=0))
        # three steps with the same k of six features kept, each as 2: 6k
        assert set(np.unique(np.round(y / 6.0, 9))) <= set(range(7))
        assert abs(y.mean() - 18.0) < 1.0  # 1 200 draws: a standard deviation of 0.5

    def test_drops_the_state_inside_the_product_alone(self):
        layer = LAYERS.GRU(1, recurrent_dropout=0.5)
        p = {"kernel": np.zeros((1, 3)), "recurrent_kernel": np.zeros((1, 3)), "bias": np.zeros((2, 3))}
        y = layer.forward(p, np.ones((4, 1, 1)), np.ones((4, 1)), LAYERS.Context(training=True))
        np.testing.assert_allclose(y, 0.5)  # z = ½ of the whole state


class TestInModels:
    def test_states_are_inputs(self):
        x, h, c = nnx.Input((STEPS, FEATURES)), nnx.Input((UNITS,)), nnx.Input((UNITS,))
        y, *last = LAYERS.LSTM(UNITS, return_state=True)(x, initial_state=[h, c])
        model = nnx.Model([x, h, c], LAYERS.Dense(1)(y + last[1]), dtype="float64", seed=0)
        assert model.layers[-1].count_params() == UNITS + 1
        assert model.predict([X, *STATES]).shape == (N, 1)
        assert not np.allclose(model.predict([X, *STATES]), model.predict([X, STATES[1], STATES[0]]))

    def test_an_encoder_hands_its_states_to_a_decoder(self):
        source, target = nnx.Input((4, 3)), nnx.Input((5, 2))
        _, *states = LAYERS.LSTM(6, return_state=True)(source)
        y = LAYERS.LSTM(6, return_sequences=True)(target, initial_state=states)
        model = nnx.Model([source, target], LAYERS.Dense(2)(y), seed=0)
        model.compile("adam", "mse")
        draw = np.random.default_rng(0).normal
        data = [draw(size=(8, 4, 3)), draw(size=(8, 5, 2))]
        history = model.fit(data, np.tanh(data[1]), epochs=3, verbose=0).history["loss"]
        assert history[-1] < history[0]

    @pytest.mark.parametrize("kind", KINDS)
    def test_saving(self, tmp_path, kind):
        layer = getattr(LAYERS, kind)(UNITS, return_sequences=True, dropout=0.1)
        model = nnx.Sequential(
            [nnx.Input((STEPS, FEATURES)), layer, LAYERS.RNN([LAYERS.LSTMCell(2)]), LAYERS.Dense(1)], seed=1
        )
        model.compile("adam", "mse")
        model.fit(X, X[:, 0, :1], epochs=1, verbose=0)
        model.save(tmp_path / "a.safetensors")
        again = nnx.load_model(tmp_path / "a.safetensors")
        np.testing.assert_array_equal(again.predict(X), model.predict(X))

    def test_levenberg_marquardt_trains_a_simple_rnn(self):
        x = np.random.default_rng(0).uniform(-1, 1, size=(60, 6, 1))
        layers = [LAYERS.SimpleRNN(2, input_shape=(6, 1)), LAYERS.Dense(1)]
        y = nnx.Sequential(layers, dtype="float64", seed=5).predict(x)
        model = nnx.Sequential(
            [LAYERS.SimpleRNN(3, input_shape=(6, 1)), LAYERS.Dense(1)], dtype="float64", seed=0
        )
        model.compile("levenberg_marquardt", "mse")
        history = model.fit(x, y, epochs=40, verbose=0).history["loss"]
        assert history[-1] < 1e-20 < history[0]  # of numbers of size 1: rounding alone


def stateful(kind="LSTM", **options):
    """A model of one stateful layer, in batches of two, and the same layer without a memory."""
    layers = [
        nnx.Input((3, 1)),
        getattr(LAYERS, kind)(UNITS, stateful=True, batch_size=2, return_sequences=True),
    ]
    longer = [nnx.Input((6, 1)), getattr(LAYERS, kind)(UNITS, return_sequences=True)]
    models = [nnx.Sequential(made, dtype="float64", seed=0, **options) for made in (layers, longer)]
    weights = models[0].layers[-1].get_weights()
    models[1].set_weights(weights[: len(weights) - KINDS[kind]])
    return models


class TestStateful:
    X = np.random.default_rng(5).normal(size=(2, 6, 1))

    @pytest.mark.parametrize("kind", KINDS)
    def test_predict_goes_on_where_it_ended(self, backend, kind):
        model, longer = stateful(kind, backend=backend)
        expected = longer.predict(self.X)
        for _ in range(2):
            parts = [model.predict(self.X[:, a : a + 3]) for a in (0, 3)]
            np.testing.assert_allclose(np.concatenate(parts, axis=1), expected, rtol=1e-12)
            model.layers[-1].reset_state()
        np.testing.assert_allclose(model.predict(self.X[:, :3]), expected[:, :3], rtol=1e-12)

    def test_batches_of_one_call_follow_each_other(self):
        model, longer = stateful()
        both = model.predict(np.concatenate([self.X[:, :3], self.X[:, 3:]]), batch_size=2)
        np.testing.assert_allclose(
            np.concatenate([both[:2], both[2:]], axis=1), longer.predict(self.X), rtol=1e-12
        )

    def test_evaluate_and_fit_go_on_too(self):
        model, longer = stateful()
        for m in (model, longer):
            m.compile(nnx.optimizers.SGD(0.0), "mse")
        y = np.ones((2, 6, UNITS))
        wanted = longer.evaluate(self.X, y, verbose=0)
        for run in (
            lambda x, y: model.evaluate(x, y, verbose=0),
            lambda x, y: model.fit(x, y, batch_size=2, shuffle=False, verbose=0).history["loss"][0],
        ):
            found = [run(self.X[:, a : a + 3], y[:, :3]) for a in (0, 3)]
            np.testing.assert_allclose(np.mean(found), wanted, rtol=1e-12)
            model.layers[-1].reset_state()

    def test_a_call_is_a_function(self):
        model, _ = stateful()
        first, second = model(self.X[:, :3]), model(self.X[:, :3])
        np.testing.assert_array_equal(first, second)

    def test_both_directions_have_states(self):
        layer = LAYERS.Bidirectional(LAYERS.GRU(2, stateful=True, batch_size=2))
        model = nnx.Sequential([nnx.Input((3, 1)), layer], seed=0)
        first, second = (model.predict(self.X[:, :3]) for _ in range(2))
        assert not np.allclose(first, second)
        model.layers[-1].reset_state()
        np.testing.assert_array_equal(model.predict(self.X[:, :3]), first)

    def test_the_size_of_a_batch(self):
        with pytest.raises(OptionError, match="needs batch_size="):
            LAYERS.LSTM(2, stateful=True)
        model, _ = stateful()
        with pytest.raises(ShapeError, match="every batch must have 2 samples; got 3"):
            model.predict(np.zeros((3, 3, 1)))

    def test_resetting_what_is_not_stateful(self):
        with pytest.raises(OptionError, match="keeps no state"):
            LAYERS.LSTM(2).reset_state()


class TestErrors:
    def test_sequences_have_two_axes(self):
        for kind in KINDS:
            with pytest.raises(ShapeError, match="takes sequences"):
                getattr(LAYERS, kind)(2)(np.ones((3, 4)))
            with pytest.raises(ShapeError, match="one axis of features"):
                getattr(LAYERS, kind)(2)(np.ones((3, 4, 2, 2)))

    def test_initial_states_that_do_not_fit(self):
        with pytest.raises(ShapeError, match="has 2 initial states"):
            LAYERS.LSTM(2)(X, initial_state=[STATES[0]])
        with pytest.raises(ShapeError, match="has 1 initial states"):
            LAYERS.GRU(3)(X, initial_state=STATES[0])

    def test_options(self):
        for wrong in (
            {"units": 0},
            {"units": 2, "dropout": 1.5},
            {"units": 2, "use_cudnn": True},
            {"units": 2, "implementation": 1},
        ):
            with pytest.raises(OptionError):
                LAYERS.LSTM(**wrong)
        with pytest.raises(OptionError, match="state_size"):
            LAYERS.RNN(LAYERS.Dense(3))
        with pytest.raises(OptionError, match="list of cells"):
            LAYERS.StackedRNNCells([])


def test_first_weights(keras):
    spec = LAYERS.LSTM(3).spec((4, 2))
    bias = spec.weights[2].first(0, 2)
    np.testing.assert_array_equal(bias, np.repeat([0.0, 1.0, 0.0, 0.0], 3))
    np.testing.assert_array_equal(
        LAYERS.LSTM(3, unit_forget_bias=False).spec((4, 2)).weights[2].first(0, 2), np.zeros(12)
    )
    recurrent = spec.weights[1].first(0, 1)
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(3), atol=1e-12)  # one draw for all gates
