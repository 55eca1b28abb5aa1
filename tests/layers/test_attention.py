"""Attention with and without heads against Keras: values, gradients, masks, and what a call can say."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx.backend import to_numpy
from nnx.errors import OptionError, ShapeError
from nnx.layers import AdditiveAttention, Attention, Context, GroupQueryAttention, MultiHeadAttention

RNG = np.random.default_rng(0)
N, T, S = 2, 3, 4


def weights_of(layer, shapes, **said):
    return {w.name: 0.7 * RNG.normal(size=w.shape) for w in layer.spec(*shapes, **said).weights}


def compare(own, theirs, xs, backend, masks=None, call=None, **said):
    """Outputs and gradients of the two layers are the same, with masks on the inputs as they flow."""
    import torch
    from keras.src.backend import set_keras_mask

    p = weights_of(own, [x.shape[1:] for x in xs])
    leaves = [torch.tensor(x, requires_grad=True) for x in xs]
    call = call or (lambda layer, xs, **said: layer(*xs, **said))
    call(theirs, leaves, **said)  # builds it
    assert [tuple(w.shape) for w in theirs.weights] == [w.shape for w in p.values()]
    theirs.set_weights(list(p.values()))
    for leaf, mask in zip(leaves, masks or (), strict=False):
        if mask is not None:
            set_keras_mask(leaf, torch.tensor(mask))  # a call takes it off again
    wanted = call(theirs, leaves, **said)
    wanted = list(wanted) if isinstance(wanted, tuple) else [wanted]

    pb = {name: backend.asarray(w, dtype="float64") for name, w in p.items()}
    xb = [backend.asarray(x, dtype="float64") for x in xs]
    asked = dict(said)
    if masks:
        asked["mask"] = tuple(None if m is None else backend.asarray(m) for m in masks)

    def forward(p, *xs):
        y = own.forward(p, *xs, **asked)
        return y if isinstance(y, tuple) else (y,)

    ys, pull = nnx.vjp(forward, pb, *xb)
    gs = [RNG.normal(size=y.shape) for y in ys]
    for y, other in zip(ys, wanted, strict=True):
        np.testing.assert_allclose(to_numpy(y), other.detach().numpy(), rtol=1e-10, atol=1e-12)
    total = sum(torch.sum(y * torch.tensor(g)) for y, g in zip(wanted, gs, strict=True))
    slopes = torch.autograd.grad(total, [*leaves, *(w.value for w in theirs.weights)], allow_unused=True)
    by_p, *by_xs = pull(tuple(backend.asarray(g, dtype="float64") for g in gs))
    for a, b in zip([*by_xs, *by_p.values()], slopes, strict=True):
        expected = np.zeros(a.shape) if b is None else b.numpy()
        np.testing.assert_allclose(to_numpy(a), expected, rtol=1e-10, atol=1e-10)


def samples(*shapes):
    return [RNG.normal(size=(N, *shape)) for shape in shapes]


OPTIONS = [
    {},
    {"value_dim": 2},
    {"use_bias": False, "output_shape": 3},
    {"output_shape": (2, 3), "use_gate": True},
    {"sliding_window": 2},
    {"value_dim": 5, "use_gate": True, "use_bias": False},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("said", [{}, {"use_causal_mask": True}, {"return_attention_scores": True}], ids=str)
@pytest.mark.parametrize("with_key", [False, True])
def test_multi_head_attention(options, said, with_key, keras, backend):
    xs = samples((T, 6), (T, 5), *([(T, 3)] if with_key else []))
    theirs = keras.layers.MultiHeadAttention(2, 4, dtype="float64", **options)
    compare(MultiHeadAttention(2, 4, **options), theirs, xs, backend, **said)


@pytest.mark.parametrize("axes", [None, (2,), (1,), (1, 2), (-2,)])
def test_axes_that_are_attended_over(axes, keras, backend):
    theirs = keras.layers.MultiHeadAttention(2, 3, attention_axes=axes, dtype="float64")
    compare(MultiHeadAttention(2, 3, attention_axes=axes), theirs, samples((3, 4, 5), (3, 4, 2)), backend)


@pytest.mark.parametrize("which", [(1, 0, 0), (0, 1, 0), (1, 1, 0), (0, 1, 1)])
@pytest.mark.parametrize("causal", [False, True])
def test_masks_of_steps(which, causal, keras, backend):
    """With scores: without them Keras on PyTorch gives the mean of all values where nothing may be seen."""
    masks = [RNG.random((N, n)) > 0.3 if there else None for n, there in zip((T, T, T), which, strict=True)]
    if masks[1] is not None:
        masks[1][0] = False  # nothing may be seen
    theirs = keras.layers.MultiHeadAttention(2, 4, dtype="float64")
    xs = samples((T, 6), (T, 5), (T, 3))
    said = {"use_causal_mask": causal, "return_attention_scores": True}
    compare(MultiHeadAttention(2, 4), theirs, xs, backend, masks, **said)


@pytest.mark.parametrize("causal", [False, True])
def test_masks_that_leave_something_to_see(causal, keras, backend):
    masks = [None, RNG.random((N, T)) > 0.3, RNG.random((N, T)) > 0.3]
    for mask in masks[1:]:
        mask[:, 0] = True
    theirs = keras.layers.MultiHeadAttention(2, 4, dtype="float64")
    xs = samples((T, 6), (T, 5), (T, 3))
    compare(MultiHeadAttention(2, 4), theirs, xs, backend, masks, use_causal_mask=causal)


@pytest.mark.parametrize("shape", [(N, T, S), (1, T, S), (N, 2, T, S), (N, 1, S)])
@pytest.mark.parametrize("scores", [False, True])
def test_attention_mask(shape, scores, keras, backend):
    import torch

    query, value = samples((T, 6), (S, 5))
    mask = RNG.random(shape) > 0.4
    mask[..., 0] = True
    mask[0, 0] = not scores
    own, theirs = MultiHeadAttention(2, 4), keras.layers.MultiHeadAttention(2, 4, dtype="float64")
    p = weights_of(own, [(T, 6), (S, 5)])
    theirs.build(query.shape, value.shape)
    theirs.set_weights(list(p.values()))
    tensors = torch.tensor(query), torch.tensor(value)
    wanted = theirs(*tensors, attention_mask=torch.tensor(mask), return_attention_scores=scores)
    own.brings(list(p.values()), list(p))
    found = own(
        backend.asarray(query, dtype="float64"),
        backend.asarray(value, dtype="float64"),
        attention_mask=backend.asarray(mask),
        return_attention_scores=scores,
    )
    for a, b in zip(found if scores else [found], wanted if scores else [wanted], strict=True):
        np.testing.assert_allclose(to_numpy(a), b.detach().numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "options", [{}, {"use_gate": True, "use_bias": False}, {"sliding_window": 2}], ids=str
)
@pytest.mark.parametrize("said", [{}, {"use_causal_mask": True}, {"return_attention_scores": True}], ids=str)
def test_group_query_attention(options, said, keras, backend):
    theirs = keras.layers.GroupQueryAttention(3, 4, 2, dtype="float64", **options)
    compare(GroupQueryAttention(3, 4, 2, **options), theirs, samples((T, 6), (S, 6)), backend, **said)


LOOKS_UP = [
    (Attention, {}),
    (Attention, {"use_scale": True}),
    (Attention, {"score_mode": "concat"}),
    (Attention, {"score_mode": "concat", "use_scale": True}),
    (AdditiveAttention, {}),
    (AdditiveAttention, {"use_scale": False}),
]


@pytest.mark.parametrize(("kind", "options"), LOOKS_UP)
@pytest.mark.parametrize("said", [{}, {"use_causal_mask": True}, {"return_attention_scores": True}], ids=str)
@pytest.mark.parametrize("masked", [(0, 0), (1, 1), (0, 1)])
def test_attention_without_heads(kind, options, said, masked, keras, backend):
    masks = [RNG.random((N, n)) > 0.4 if there else None for n, there in zip((T, S), masked, strict=True)]
    if masks[1] is not None:
        masks[1][0] = True  # else Keras adds -1e9 to every score, and loses eight digits of each
        masks[1][1, 0] = True
    theirs = getattr(keras.layers, kind.__name__)(dtype="float64", **options)
    masks = [*masks, None] if any(masked) else None
    xs = samples((T, 5), (S, 6), (S, 5))

    def call(layer, xs, **said):
        return layer(list(xs), **said)

    compare(kind(**options), theirs, xs, backend, masks, call, **said)


def test_attention_where_nothing_is_left_counts_all_as_keras_does(keras, backend):
    import torch

    query, value = samples((T, 5), (S, 5))
    mask = np.zeros((N, S), dtype=bool)
    theirs = keras.layers.Attention(dtype="float64")
    wanted = theirs([torch.tensor(query), torch.tensor(value)], mask=[None, torch.tensor(mask)]).numpy()
    xs = [backend.asarray(x, dtype="float64") for x in (query, value)]
    # Keras adds -1e9 to each score, which costs 1e9·2⁻⁵³ ≈ 1e-7
    np.testing.assert_allclose(
        to_numpy(Attention()(xs, mask=[None, backend.asarray(mask)])), wanted, atol=1e-6
    )


@pytest.mark.parametrize("layer", [MultiHeadAttention(2, 3, dropout=0.4), Attention(dropout=0.4)], ids=repr)
def test_dropout_is_of_the_weights_and_only_in_training(layer, backend):
    xs = [backend.asarray(x, dtype="float64") for x in samples((T, 4), (S, 4))]
    p = {k: backend.asarray(w, dtype="float64") for k, w in weights_of(layer, [(T, 4), (S, 4)]).items()}
    said = {"return_attention_scores": True}
    quiet = layer.forward(p, *xs, Context(), **said)
    one, other = (layer.forward(p, *xs, Context(training=True, seed=1, step=i), **said) for i in (0, 1))
    assert np.any(to_numpy(one[0]) != to_numpy(quiet[0])) and np.any(to_numpy(one[0]) != to_numpy(other[0]))
    np.testing.assert_array_equal(to_numpy(one[1]), to_numpy(quiet[1]))


def test_masks_and_options_flow_through_models(backend):
    x, mask = nnx.Input((T, 4)), nnx.Input((T, T))
    layer = MultiHeadAttention(2, 3)
    y, scores = layer(x, x, attention_mask=mask, use_causal_mask=True, return_attention_scores=True)
    pooled = nnx.layers.Flatten()(scores)
    out = nnx.layers.Concatenate()([nnx.layers.Flatten()(y), pooled])
    model = nnx.Model([x, mask], out, dtype="float64", backend=backend)
    data, keep = RNG.normal(size=(N, T, 4)), RNG.random((N, T, T)) > 0.3
    found = to_numpy(model.predict([data, keep.astype("float64")]))
    own = MultiHeadAttention(2, 3)
    own.brings(
        model.layers[2].get_weights() if model.layers[2].weights else layer.get_weights(), layer.weight_names
    )
    y, scores = own(data, data, attention_mask=keep, use_causal_mask=True, return_attention_scores=True)
    np.testing.assert_allclose(
        found, np.concatenate([y.reshape(N, -1), scores.reshape(N, -1)], axis=1), rtol=1e-12
    )


def test_models_with_attention_are_trained_and_saved(tmp_path):
    x = nnx.Input((T, 4))
    y = MultiHeadAttention(2, 3, output_shape=2)(x, x, use_causal_mask=True)
    model = nnx.Model(x, nnx.layers.Dense(1)(nnx.layers.Flatten()(y)))
    model.compile("adam", "mse")
    data, target = RNG.normal(size=(32, T, 4)), RNG.normal(size=(32, 1))
    losses = model.fit(data, target, epochs=40, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    model.save(tmp_path / "m.safetensors")
    again = nnx.load_model(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(again.predict(data), model.predict(data))
    assert model.layers[0].output_shape == (None, T, 2)
    assert model.layers[0].get_config()["output_shape"] == [2]


@pytest.mark.parametrize(
    "kind", ["MultiHeadAttention", "GroupQueryAttention", "Attention", "AdditiveAttention"]
)
def test_defaults_and_names_are_those_of_keras(kind, keras):
    given = {"MultiHeadAttention": (2, 4), "GroupQueryAttention": (3, 4, 2)}.get(kind, ())
    own, theirs = getattr(nnx.layers, kind)(*given), getattr(keras.layers, kind)(*given)
    shapes = [(None, T, 6), (None, S, 6)]
    theirs.build(*shapes) if given else theirs.build(shapes)
    names = ["/".join(w.path.split("/")[-2:]) if given else w.name for w in theirs.weights]
    assert [w.name for w in own.spec((T, 6), (S, 6)).weights] == names
    config = theirs.get_config()
    for name in {
        "dropout",
        "use_bias",
        "use_gate",
        "sliding_window",
        "attention_axes",
        "use_scale",
        "score_mode",
        "seed",
    }:
        if name in own.get_config() and not (name == "attention_axes" and config[name]):
            assert own.get_config()[name] == config[name], name


def test_what_does_not_fit_is_refused():
    layer = MultiHeadAttention(2, 3)
    with pytest.raises(ShapeError, match="takes a query, a value and, if it is another, a key; got 1"):
        layer(nnx.Input((T, 4)))
    with pytest.raises(ShapeError, match=r"value and key may differ in their last axis alone"):
        layer(nnx.Input((T, 4)), nnx.Input((S, 4)), nnx.Input((T, 4)))
    with pytest.raises(ShapeError, match=r"samples \(steps, features\)"):
        layer(nnx.Input((4,)), nnx.Input((4,)))
    with pytest.raises(ShapeError, match=r"must agree in axis 1"):
        MultiHeadAttention(2, 3, attention_axes=2)(nnx.Input((2, T, 4)), nnx.Input((3, T, 4)))
    with pytest.raises(ShapeError, match=r"attention_axes=\(3,\) must be different axes from 1 to 2"):
        MultiHeadAttention(2, 3, attention_axes=3)(nnx.Input((2, T, 4)), nnx.Input((2, T, 4)))
    with pytest.raises(
        ShapeError, match=r"attention_mask of shape \(4, 3\).*does not fit scores of shape \(2, 3, 4\)"
    ):
        layer(nnx.Input((T, 4)), nnx.Input((S, 4)), attention_mask=nnx.Input((S, T)))
    with pytest.raises(ShapeError, match="use_causal_mask needs one axis"):
        layer(nnx.Input((2, T, 4)), nnx.Input((2, T, 4)), use_causal_mask=True)
    with pytest.raises(OptionError, match="takes no option 'causal'"):
        layer(nnx.Input((T, 4)), nnx.Input((S, 4)), causal=True)
    with pytest.raises(OptionError, match="must be a multiple of num_key_value_heads=2"):
        GroupQueryAttention(2, 3, 2)
    with pytest.raises(OptionError, match=r"flash_attention.*nothing in its place"):
        MultiHeadAttention(2, 3, flash_attention=True)
    with pytest.raises(ShapeError, match="query and key need as many features"):
        Attention()([nnx.Input((T, 4)), nnx.Input((S, 5))])
    with pytest.raises(ShapeError, match="takes a list of query, value"):
        AdditiveAttention()([nnx.Input((T, 4))])
    with pytest.raises(OptionError, match="score_mode"):
        Attention(score_mode="product")


def test_masks_of_steps_need_samples_of_steps():
    layer, x = MultiHeadAttention(2, 3), RNG.normal(size=(N, 2, T, 4))
    with pytest.raises(ShapeError, match="Use attention_mask"):
        layer(x, x, value_mask=np.ones((N, T), dtype=bool))


def test_inputs_may_have_their_names():
    x, v = np.random.default_rng(0).normal(size=(2, 1, 3, 4))
    layer = nnx.layers.MultiHeadAttention(1, 2)
    expected = layer(x, v, x)
    np.testing.assert_array_equal(layer(query=x, value=v, key=x), expected)
    np.testing.assert_array_equal(layer(x, value=v, key=x), expected)


def test_bools_take_the_type_of_the_other_inputs():
    x = np.random.default_rng(0).normal(size=(1, 3, 4))
    seen = nnx.layers.MultiHeadAttention(1, 2)(x, x, attention_mask=np.ones((1, 3, 3), dtype=bool))
    assert seen.dtype == np.float64
