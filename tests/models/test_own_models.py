"""Classes derived from nnx.Model that say call(self, x): drawn once, trained, copied, saved."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import nnx
from nnx.errors import DerivativeError, NotBuilt, OptionError, ShapeError
from nnx.layers import BatchNormalization, Concatenate, Dense, Dropout

X = np.random.default_rng(0).normal(size=(32, 6)).astype("float32")
Y = X[:, :1]
WAYS = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda thing: pickle.loads(pickle.dumps(thing)),
}
PAIR, NAMED = [X, X[:, ::-1].copy()], {"p": X, "q": X[:, ::-1].copy()}


class Plain(nnx.Model):
    def __init__(self):
        super().__init__()
        self.hidden, self.out = Dense(4, "tanh"), Dense(1)

    def call(self, x):
        return self.out(self.hidden(x))


class Blocks(nnx.Model):
    """Layers in a list, and options of the model's own."""

    def __init__(self, units=4, **options):
        super().__init__(**options)
        self.blocks = [Dense(units, "tanh") for _ in range(3)]
        self.heads = {"out": (Dense(1),)}

    def call(self, x, training=None):
        for block in self.blocks:
            x = block(x, training=training)
        return self.heads["out"][0](x)


class Shared(nnx.Model):
    """A layer that is used twice, state, noise, ``training``."""

    def __init__(self):
        super().__init__()
        self.twice, self.norm = Dense(6, "tanh"), BatchNormalization()
        self.noise, self.out = Dropout(0.2), Dense(1)

    def call(self, x, training=False):
        x = self.norm(self.twice(self.twice(x) + x), training=training)
        return self.out(self.noise(x, training=training))


class Nested(nnx.Model):
    """Models inside."""

    def __init__(self):
        super().__init__()
        self.stack, self.plain, self.out = nnx.Sequential([Dense(5, "tanh"), Dense(3)]), Plain(), Dense(1)

    def call(self, x):
        return self.out(Concatenate()([self.stack(x), self.plain(x)]))


class OfList(nnx.Model):
    def __init__(self):
        super().__init__()
        self.encode, self.out = Dense(3, "tanh"), Dense(1)

    def call(self, xs):
        a, b = xs
        return self.out(self.encode(a) * self.encode(b))


class OfDict(OfList):
    def call(self, xs):
        return self.out(self.encode(xs["p"]) - self.encode(xs["q"]))


class InCall(nnx.Model):
    """Layers that are made in call."""

    def call(self, x):
        return Dense(1)(Dense(3, "relu")(x))


class LayersFirst(Plain):
    """What Keras refuses: layers before super().__init__()."""

    def __init__(self):
        self.hidden = Dense(2)
        nnx.Model.__init__(self)
        self.out = Dense(1)


OWN = [
    (Plain, X),
    (Blocks, X),
    (Shared, X),
    (Nested, X),
    (OfList, PAIR),
    (OfDict, NAMED),
    (InCall, X),
    (LayersFirst, X),
]


@pytest.mark.parametrize(("kind", "x"), OWN)
@pytest.mark.parametrize("way", [*WAYS, "file"])
def test_a_class_is_trained_copied_and_saved(kind, x, way, tmp_path):
    model = kind()
    model.compile("adam", "mse")
    model.fit(x, Y, epochs=2, verbose=0)
    if way == "file":
        model.save(tmp_path / "m.safetensors")
        other = nnx.load_model(tmp_path / "m.safetensors")
        assert type(other) is nnx.Model
    else:
        ways = {
            "copy": copy.copy,
            "deepcopy": copy.deepcopy,
            "pickle": lambda m: pickle.loads(pickle.dumps(m)),
        }
        other = ways[way](model)
        assert type(other) is kind
    assert not set(other.layers) & set(model.layers)
    before = other.get_weights()
    model.fit(x, Y, verbose=0)
    for a, b in zip(before, other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    other.fit(x, Y, verbose=0)
    np.testing.assert_array_equal(other.predict(x), model.predict(x))


@pytest.mark.parametrize(("kind", "x"), OWN)
def test_a_class_is_the_network_that_it_draws_on_every_backend(kind, x, backend):
    model = kind()
    model.predict(x)
    other = nnx.Model.from_config(model.get_config(), backend=backend)
    other.set_weights(model.get_weights())
    np.testing.assert_allclose(other.predict(x), model.predict(x), rtol=1e-5, atol=1e-6)
    for plain in (nnx.models.clone_model(model), kind.from_config(model.get_config())):
        assert type(plain) is nnx.Model
        assert [w.shape for w in plain.weights] == [w.shape for w in model.weights]


@pytest.mark.parametrize(("kind", "x"), OWN)
def test_a_class_on_symbols_becomes_a_part(kind, x):
    """Built before or not, its layers come with its weights."""
    part = kind()
    symbols = [nnx.Input((6,)) for _ in range(2 if x is PAIR or x is NAMED else 1)]
    taken = dict(zip("pq", symbols, strict=True)) if x is NAMED else symbols if x is PAIR else symbols[0]
    whole = nnx.Model(symbols, part(taken) * 2.0)
    xs = list(NAMED.values()) if x is NAMED else x
    np.testing.assert_allclose(whole.predict(xs), 2.0 * part.predict(x), rtol=1e-5, atol=1e-6)
    again = nnx.Model(symbols, part(taken) * 2.0)
    np.testing.assert_array_equal(again.predict(xs), whole.predict(xs))


def test_call_is_run_once_and_the_attributes_are_the_layers():
    runs = []

    class Counted(Plain):
        def call(self, x):
            runs.append(x)
            return super().call(x)

    model = Counted()
    model.compile("adam", "mse")
    model.fit(X, Y, epochs=2, verbose=0)
    model.evaluate(X, Y, verbose=0)
    model.predict(X)
    assert len(runs) == 1
    assert model.layers == [model.hidden, model.out]
    np.testing.assert_array_equal(model.hidden.kernel, model.get_weights()[0])
    other = copy.deepcopy(model)
    assert other.layers == [other.hidden, other.out]
    assert model.name == "counted"


def test_layers_are_found_and_frozen_before_and_after_the_model_is_built():
    model = Blocks(name="own")
    assert [layer.name for layer in model.layers] == ["dense", "dense_1", "dense_2", "dense_3"]
    model.blocks[0].trainable = False
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    model.layers[1].trainable = False
    assert not model.blocks[1].trainable
    before = model.get_weights()
    model.fit(X, Y, verbose=0)
    moved = [not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert moved == [False] * 4 + [True] * 4


@pytest.mark.parametrize(("kind", "x"), OWN)
def test_a_call_on_arrays_builds(kind, x):
    model = kind()
    y = np.asarray(model(x))
    np.testing.assert_allclose(y, model.predict(x), rtol=1e-5, atol=1e-6)


def test_a_failed_fit_does_not_build():
    model = Plain()
    model.compile("adam", "mse")
    with pytest.raises(ShapeError, match="Plain gives outputs"):
        model.fit(X, np.ones((32, 3)), verbose=0)
    assert not model.built
    model.fit(X[:, :3], Y, verbose=0)
    assert model.input_shape == (None, 3)
    with pytest.raises(ShapeError, match=r"samples of shape \(3,\)"):
        model.fit(X, Y, verbose=0)


class NoSuper(nnx.Model):
    def __init__(self):
        self.out = Dense(1)

    def call(self, x):
        return self.out(x)


def saying(call):
    class Own(Plain):
        pass

    Own.call = call
    return Own


def decided(self, x, training=False):
    return self.out(self.hidden(x)) if training else self.out(x)


def masked(self, x, mask):
    return self.out(x)


WRONG = [
    (NoSuper, OptionError, r"NoSuper.__init__ must call super\(\).__init__\(\)"),
    (saying(lambda self, x: np.tanh(self.hidden(x))), DerivativeError, "layer"),
    (saying(lambda self, x: nnx.backend.namespace(x).tanh(x)), DerivativeError, "layer"),
    (saying(lambda self, x: self.out(x + self.hidden(x))), ShapeError, r"\(6,\), \(4,\)"),
    (saying(lambda self, x: x), OptionError, "no layer in between"),
    (saying(lambda self, x: None), OptionError, "Own.call must return what its layers give, got NoneType"),
    (saying(lambda self, x: [self.out(x), 3.0]), OptionError, "got list"),
    (saying(decided), OptionError, "no `if training`"),
    (saying(masked), OptionError, "Own.call takes x, mask"),
    (nnx.Model, NotBuilt, "derive a class with a method call"),
]


@pytest.mark.parametrize(("kind", "error", "words"), WRONG)
@pytest.mark.parametrize("use", ["fit", "predict", "build", "call"])
def test_classes_that_draw_no_network_say_why(kind, error, words, use):
    model = kind()
    uses = {
        "fit": lambda: (model.compile("adam", "mse"), model.fit(X, Y, verbose=0)),
        "predict": lambda: model.predict(X),
        "build": lambda: model.build((6,)),
        "call": lambda: model(X),
    }
    with pytest.raises(error, match=words):
        uses[use]()


def test_layers_of_a_drawn_network_cannot_be_replaced():
    model = Blocks()
    model.blocks = [Dense(2, "tanh")]
    model.predict(X)
    for name, value in {"blocks": [Dense(3)], "heads": {"out": Dense(1)}}.items():
        with pytest.raises(OptionError, match=f"'{name}' of Blocks cannot be set: it is built"):
            setattr(model, name, value)
    model.note = "anything else"
    assert model.note == "anything else"
    with pytest.raises(AttributeError, match="colour"):
        model.colour  # noqa: B018


class Stack(nnx.Sequential):
    """A Sequential with an __init__ of its own."""

    def __init__(self, units):
        super().__init__([Dense(units, "tanh"), Dense(1)])


class Functional(nnx.Model):
    """A graph that is made in __init__."""

    def __init__(self, units):
        x = nnx.Input((6,))
        super().__init__(x, Dense(1)(Dense(units, "tanh")(x)))


@pytest.mark.parametrize("kind", [Stack, Functional])
def test_classes_without_call_keep_their_kind_in_copies(kind, tmp_path):
    model = kind(3)
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "m.safetensors")
    for other in (copy.deepcopy(model), nnx.load_model(tmp_path / "m.safetensors")):
        np.testing.assert_array_equal(other.predict(X), model.predict(X))
    assert type(copy.copy(model)) is kind
    assert kind.from_config(model.get_config()).count_params() == model.count_params()
