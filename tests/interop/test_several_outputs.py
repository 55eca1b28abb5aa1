"""Models of several outputs, with masks, states and attention: Keras' opened by nnx, and back."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest

import nnx
from nnx.errors import FileFormatError, OptionError

RANDOM = np.random.default_rng(3)
IDS = RANDOM.integers(0, 3, (6, 5)).astype("float32")
X = RANDOM.standard_normal((6, 5, 4)).astype("float32")
V = RANDOM.standard_normal((6, 7, 4)).astype("float32")
ALLOWED = RANDOM.uniform(size=(6, 5, 7)) < 0.7
S = RANDOM.standard_normal((6, 3)).astype("float32")


def listed(k, L):  # noqa: N803
    x = k.Input((4,))
    a = L.Dense(3, "tanh", name="zed")(x)
    return k.Model(x, [a, L.Dense(2, name="alf")(a)]), X[:, 0]


def named(k, L):  # noqa: N803
    x = k.Input((4,))
    a = L.Dense(3, "tanh")(x)
    return k.Model(x, {"kind": a, "size": L.Dense(2)(a)}), X[:, 0]


def one_layer_twice(k, L):  # noqa: N803
    x, shared = k.Input((4,)), L.Dense(4, "tanh")
    return k.Model(x, [shared(x), shared(shared(x))]), X[:, 0]


def inner_of_two(k, L):  # noqa: N803
    u = k.Input((4,))
    inner = k.Model(u, [L.Dense(3)(u), L.Dense(4)(u)])
    x = k.Input((4,))
    a, b = inner(L.Dense(4, "tanh")(x))
    return k.Model(x, [L.Dense(1)(b), a, *inner(b)]), X[:, 0]


def masked_chain(k, L):  # noqa: N803
    inner = [L.Embedding(4, 3, mask_zero=True), L.LSTM(4, return_sequences=True), L.GRU(3)]
    return k.Sequential([k.Input((5,)), *inner]), IDS


def bidirectional(k, L):  # noqa: N803
    y = L.Embedding(4, 3, mask_zero=True)(i := k.Input((5,)))
    y = L.Bidirectional(L.LSTM(3, return_sequences=True))(y)
    y = L.Bidirectional(L.GRU(2, return_sequences=True), merge_mode="sum")(y)
    return k.Model(i, L.Bidirectional(L.SimpleRNN(2), backward_layer=L.LSTM(3, go_backwards=True))(y)), IDS


def time_distributed(k, L):  # noqa: N803
    y = L.Embedding(4, 3, mask_zero=True)(i := k.Input((5,)))
    y = L.TimeDistributed(L.Dense(4, "tanh"))(L.Dropout(0.5)(y))
    return k.Model(i, L.LSTM(2)(y)), IDS


def masking(k, L):  # noqa: N803
    x = k.Input((5, 4))
    steps = L.LSTM(3, return_sequences=True)(L.Masking(0.0)(x))
    data = np.where(IDS[:, :, None] > 0, X, 0.0).astype("float32")
    return k.Model(x, [steps, L.GlobalAveragePooling1D()(steps)]), data


def states(k, L):  # noqa: N803
    x, v = k.Input((5, 4), name="x"), k.Input((7, 4), name="v")
    y, h, c = L.LSTM(3, return_sequences=True, return_state=True)(x)
    z, last = L.GRU(3, return_state=True)(v, initial_state=h)
    return k.Model([x, v], [L.LSTM(3)(v, initial_state=[h, c]), y, z, last]), [X, V]


def states_given(k, L):  # noqa: N803
    x, h, c = k.Input((5, 4), name="x"), k.Input((3,), name="h"), k.Input((3,), name="c")
    return k.Model([x, h, c], L.LSTM(3)(x, initial_state=[h, c])), [X, S, -S]


def states_both_ways(k, L):  # noqa: N803
    x = k.Input((5, 4))
    return k.Model(x, list(L.Bidirectional(L.LSTM(3, return_state=True))(x))), X


def attention_with_heads(k, L):  # noqa: N803
    x, v = k.Input((5, 4), name="x"), k.Input((7, 4), name="v")
    y, scores = L.MultiHeadAttention(2, 3)(x, v, return_attention_scores=True)
    z = L.MultiHeadAttention(2, 3, value_dim=2, output_shape=5)(y, v, key=L.Dense(6)(v))
    w = L.MultiHeadAttention(3, 2, use_bias=False)(x, x, use_causal_mask=True)
    return k.Model([x, v], [scores, z, L.LayerNormalization()(w)]), [X, V]


def attention_allowed(k, L):  # noqa: N803
    bools = {"dtype": "bool"} if k is not nnx else {}
    x, v, may = k.Input((5, 4), name="x"), k.Input((7, 4), name="v"), k.Input((5, 7), name="may", **bools)
    y = L.MultiHeadAttention(2, 3)(x, v, attention_mask=may)
    z = L.GroupQueryAttention(2, 4, 2, use_gate=True)(y, v, key=L.Dense(4)(v), attention_mask=may)
    return k.Model([x, v, may], [y, z]), [X, V, ALLOWED]


def attention_masked(k, L):  # noqa: N803
    y = L.Embedding(4, 4, mask_zero=True)(i := k.Input((5,)))
    z = L.MultiHeadAttention(2, 3)(y, y)  # Keras on PyTorch says something else for masked steps of the query
    return k.Model(i, [L.LSTM(2)(z), L.GlobalAveragePooling1D()(L.Add()([z, y]))]), IDS


def attention_without_heads(k, L):  # noqa: N803
    x, v = k.Input((5, 4), name="x"), k.Input((7, 4), name="v")
    y, scores = L.Attention(use_scale=True)([x, v], return_attention_scores=True, use_causal_mask=True)
    z = L.AdditiveAttention()([y, v, L.Dense(4, "tanh")(v)])
    return k.Model([x, v], [scores, z]), [X, V]


def attention_without_heads_masked(k, L):  # noqa: N803
    y = L.Embedding(4, 4, mask_zero=True)(i := k.Input((5,)))
    return k.Model(i, L.LSTM(2)(L.Attention()([y, L.Dense(4)(y)]))), IDS


MODELS = [
    listed, named, one_layer_twice, inner_of_two, masked_chain, bidirectional, time_distributed, masking,
    states, states_given, states_both_ways, attention_with_heads, attention_allowed, attention_masked,
    attention_without_heads, attention_without_heads_masked,
]  # fmt: skip


def with_weights(model):
    random = np.random.default_rng(0)
    model.set_weights([random.uniform(-1.0, 1.0, w.shape).astype("float32") for w in model.get_weights()])
    return model


def parts(found):
    """Outputs one by one, those of a dict by name."""
    if isinstance(found, dict):
        return [found[name] for name in sorted(found)]
    return found if isinstance(found, list | tuple) else [found]


def same(found, expected):
    found, expected = parts(found), parts(expected)
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        # float32 in two libraries: sums of a dozen products, through three layers at most
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("make", MODELS)
def test_theirs_there_and_back(make, keras, tmp_path):
    theirs, xs = make(keras, keras.layers)
    expected = with_weights(theirs).predict(xs, verbose=0)
    theirs.save(tmp_path / "of_keras.keras")
    model = nnx.load_model(tmp_path / "of_keras.keras")
    found = model.predict(xs)
    assert type(found) is type(expected) and (not isinstance(found, dict) or found.keys() == expected.keys())
    same(found, expected)
    model.save(tmp_path / "of_nnx.keras")
    again = keras.models.load_model(tmp_path / "of_nnx.keras")
    same(again.predict(xs, verbose=0), expected)


@pytest.mark.parametrize("make", [make for make in MODELS if make is not inner_of_two])
def test_ours_opened_by_keras(make, keras, tmp_path):
    ours, xs = make(nnx, nnx.layers)
    expected = with_weights(ours).predict(xs)
    ours.save(tmp_path / "of_nnx.keras")
    theirs = keras.models.load_model(tmp_path / "of_nnx.keras")
    same(theirs.predict(xs, verbose=0), expected)
    theirs.save_weights(tmp_path / "x.weights.h5")
    other, _ = make(nnx, nnx.layers)
    other.load_weights(tmp_path / "x.weights.h5")
    same(other.predict(xs), expected)


def test_inputs_of_attention_by_name_and_by_place(keras, tmp_path):
    x, v = keras.Input((5, 4), name="x"), keras.Input((7, 4), name="v")
    may = keras.Input((5, 7), dtype="bool", name="may")
    layer = keras.layers.MultiHeadAttention(2, 3)
    outputs = [layer(query=x, value=v), layer(x, v, v), layer(x, value=v, attention_mask=may)]
    theirs = with_weights(keras.Model([x, v, may], outputs))
    theirs.save(tmp_path / "x.keras")
    same(nnx.load_model(tmp_path / "x.keras").predict([X, V, ALLOWED]), theirs.predict([X, V, ALLOWED]))


def test_masks_of_attention_that_a_file_names_are_refused(keras, tmp_path):
    x, mask = keras.Input((5, 4)), keras.Input((5,), dtype="bool", name="given")
    keras.Model([x, mask], keras.layers.MultiHeadAttention(2, 3)(x, x, value_mask=mask)).save(
        tmp_path / "x.keras"
    )
    with pytest.raises(OptionError, match="'given' as its mask"):
        nnx.load_model(tmp_path / "x.keras")


def test_an_attention_mask_is_an_input_of_its_own(tmp_path):
    x, may = nnx.Input((5, 4)), nnx.Input((5, 5))
    attention = nnx.layers.MultiHeadAttention(2, 3)
    computed = attention(x, x, attention_mask=nnx.layers.Dense(5)(may))
    read_twice = [attention(x, x, attention_mask=may), nnx.layers.Flatten()(may)]
    for outputs in (computed, read_twice):
        with pytest.raises(OptionError, match="attention_mask of bools"):
            nnx.Model([x, may], outputs).save(tmp_path / "x.keras")
    assert not list(tmp_path.iterdir())


def test_names_that_keras_would_sort_are_written_as_a_list(keras, tmp_path):
    x = nnx.Input((4,))
    a = nnx.layers.Dense(3, "tanh")(x)
    model = with_weights(nnx.Model(x, {"size": a, "kind": nnx.layers.Dense(2)(a)}))
    model.save(tmp_path / "x.keras")
    expected = model.predict(X[:, 0])
    same(keras.models.load_model(tmp_path / "x.keras").predict(X[:, 0], verbose=0), list(expected.values()))


# -- what they are trained for -----------------------------------------------------------------------

A, B = S[:, :2], S[:, 2:]
COMPILED = {
    "one for all": {"loss": "mse"},
    "lists": {"loss": ["mse", "mae"], "loss_weights": [1.0, 0.5], "metrics": [["mae", "mse"], ["mse"]]},
    "metrics of one": {"loss": ["mse", "mae"], "metrics": [None, ["mse"]]},
    "a loss of one": {"loss": ["mse", None]},
    "dicts": {
        "loss": {"kind": "mse", "size": "log_cosh"},
        "loss_weights": {"kind": 0.3, "size": 0.5},
        "metrics": {"size": ["mae", "mse"]},
        "weighted_metrics": {"kind": "mae"},
    },
}


def two_outputs(k, L, form):  # noqa: N803
    x = k.Input((4,))
    a = L.Dense(2, "tanh", name="kind")(x)
    b = L.Dense(1, name="size")(a)
    return with_weights(k.Model(x, {"kind": a, "size": b} if form is dict else [a, b]))


@pytest.mark.parametrize("form", [dict, list])
@pytest.mark.parametrize("how", COMPILED)
def test_what_two_outputs_are_trained_for(how, form, keras, tmp_path):
    if form is dict and isinstance(COMPILED[how]["loss"], list):
        pytest.skip("Keras takes a dict for outputs in a dict")
    theirs = two_outputs(keras, keras.layers, form)
    theirs.compile(keras.optimizers.SGD(0.1, momentum=0.5), **COMPILED[how])
    x, y = X[:, 0], {"kind": A, "size": B} if form is dict else [A, B]
    theirs.fit(x, y, verbose=0)
    expected = theirs.evaluate(x, y, verbose=0, return_dict=True)
    theirs.save(tmp_path / "of_keras.keras")
    model = nnx.load_model(tmp_path / "of_keras.keras")
    assert model.evaluate(x, y, verbose=0, return_dict=True) == pytest.approx(expected, rel=1e-5)
    model.save(tmp_path / "of_nnx.keras")
    again = keras.models.load_model(tmp_path / "of_nnx.keras")
    assert again.evaluate(x, y, verbose=0, return_dict=True) == pytest.approx(expected, rel=1e-5)
    for one in (theirs, model, again):
        one.fit(x, y, verbose=0, shuffle=False)
    same(model.predict(x), theirs.predict(x, verbose=0))
    same(again.predict(x, verbose=0), theirs.predict(x, verbose=0))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("loss", ["mse"]),
        ("loss", ["mse", "mse", "mse"]),
        ("loss", {"kind": "mse", "third": "mse"}),
        ("loss", [["mse", "mse"], "mse"]),
        ("loss_weights", [1.0]),
        ("metrics", ["mae"]),
        ("metrics", {"third": ["mae"]}),
    ],
)
def test_what_does_not_fit_two_outputs(key, value, tmp_path):
    model = two_outputs(nnx, nnx.layers, list)
    model.compile("sgd", "mse")
    model.save(tmp_path / "x.keras")
    with zipfile.ZipFile(tmp_path / "x.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    config["compile_config"][key] = value
    with zipfile.ZipFile(tmp_path / "x.keras", "w") as archive:
        for name, data in (members | {"config.json": json.dumps(config)}).items():
            archive.writestr(name, data)
    with pytest.raises(FileFormatError, match="compiled does not fit"):
        nnx.load_model(tmp_path / "x.keras")
