"""Layers of several outputs, options of a call, and masks, from layer to layer through a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

import nnx
from nnx.backend import namespace, to_numpy
from nnx.layers import Context, Spec, Weight


@dataclass(frozen=True)
class Marked(nnx.layers.Layer):
    """Its input; steps whose numbers are all zero are masked."""

    def gives_mask(self, masked: tuple[bool, ...]) -> int:
        return 1

    def compute_mask(self, xs: Sequence[Any], masks: Sequence[Any]) -> Any:
        return namespace(xs[0]).any(xs[0] != 0.0, axis=-1)

    def forward(self, p: Any, x: Any) -> Any:
        return x


@dataclass(frozen=True)
class Total(nnx.layers.Layer):
    """The scaled sum over steps (of those that count), and ``times`` that."""

    call_options: ClassVar[tuple[str, ...]] = ("times",)
    takes_mask: ClassVar[bool] = True

    def spec(self, input_shape: Any, times: Sequence[float] = ()) -> Spec:  # type: ignore[override]
        scale = Weight("scale", input_shape[-1:], nnx.initializers.get("ones"))
        return Spec(input_shape[-1:], (scale,), more=tuple(input_shape[-1:] for _ in times))

    def forward(self, p: Any, x: Any, times: Sequence[float] = (), mask: Any = None) -> Any:  # type: ignore[override]
        xp = namespace(x, p["scale"])
        if mask is not None:
            x = x * xp.astype(mask, x.dtype)[..., None]
        y = xp.sum(x, axis=1) * p["scale"]
        return (y, *(y * number for number in times)) if times else y


X = np.asarray([[[1.0, 2.0], [0.0, 0.0], [3.0, 4.0]], [[0.0, 0.0], [0.0, 0.0], [5.0, 0.5]]])


def _model(**place: Any) -> nnx.Model:
    x = nnx.Input((3, 2))
    # a shift: without the mask its ones would count
    _, double, triple = Total()(nnx.layers.Rescaling(1.0, 1.0)(Marked()(x)), times=[2.0, 3.0])
    return nnx.Model(x, nnx.layers.Dense(1)(double + triple), dtype="float64", **place)


def test_masks_flow_to_the_layers_that_take_them(backend):
    model = _model(backend=backend)
    dense, bias = model.layers[-1].get_weights()
    sums = np.asarray([[2.0 + 4.0, 3.0 + 5.0], [6.0, 1.5]])
    np.testing.assert_allclose(to_numpy(model.predict(X)), 5.0 * sums @ dense + bias, rtol=1e-12)


def test_a_layer_alone_takes_its_mask_and_gives_a_list():
    mask = np.asarray([[True, False, True], [False, False, True]])
    y, twice = Total()(X + 1.0, times=[2.0], mask=mask)
    np.testing.assert_array_equal(y, [[6.0, 8.0], [6.0, 1.5]])
    np.testing.assert_array_equal(twice, 2.0 * y)


def test_rows_of_the_jacobian_go_through_several_outputs_and_masks():
    model = _model(seed=2)
    weights = model.own_weights()
    w = weights.trained.copy()

    def output(w: Any) -> Any:
        params = weights.params(weights.network.layout.views(w), [])
        return weights.program.run(params, [X], Context()).outputs[0]

    ran, back = weights.program.per_sample(weights.own_params, [X], Context())
    ones = [np.ones_like(y) for y in ran.outputs]
    rows = np.concatenate([g.reshape(2, -1) for g in back(ones)(slice(0, 2))], axis=1)
    np.testing.assert_allclose(rows, nnx.jacobian(output)(w)[:, 0, :], rtol=1e-12)


def test_levenberg_marquardt_trains_it():
    model = _model(seed=1)
    model.compile("lm", "mse")
    history = model.fit(X, np.asarray([1.0, -1.0]), epochs=30, verbose=0).history["loss"]
    assert history[-1] < 1e-12


def test_a_model_that_is_part_of_another_keeps_masks_and_options():
    inner = _model(seed=1)
    x = nnx.Input((3, 2))
    outer = nnx.Model(x, inner(x), dtype="float64")
    np.testing.assert_array_equal(outer.predict(X), inner.predict(X))


def test_the_masks_of_outputs_are_told():
    x = nnx.Input((3, 2))
    y = nnx.layers.Dense(4, "relu")(Marked()(x))
    model = nnx.Model(x, y, dtype="float64")
    weights = model.own_weights()
    ran = weights.program.run(weights.own_params, [X], Context())
    np.testing.assert_array_equal(ran.masks[0], X.any(axis=-1))


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (nnx.layers.Add(), X.any(axis=-1) | (X - 1.0).any(axis=-1)),
        (nnx.layers.Concatenate(axis=1), np.concatenate([X.any(axis=-1), (X - 1.0).any(axis=-1)], axis=1)),
        (nnx.layers.Concatenate(), X.any(axis=-1) | (X - 1.0).any(axis=-1)),
    ],
)
def test_layers_that_join_inputs_join_their_masks(layer, expected):
    x = nnx.Input((3, 2))
    both = layer(Marked()(x), Marked()(nnx.layers.Rescaling(1.0, -1.0)(x)))
    weights = nnx.Model(x, nnx.layers.Activation("linear")(both), dtype="float64").own_weights()
    ran = weights.program.run(weights.own_params, [X], Context())
    np.testing.assert_array_equal(ran.masks[0], expected)


def test_what_a_call_cannot_take_is_named():
    with pytest.raises(nnx.errors.OptionError, match=r"Total takes no option 'time'.*training, mask, times"):
        Total()(X, time=[2.0])
    with pytest.raises(nnx.errors.OptionError, match="masks flow by themselves"):
        Total()(nnx.Input((3, 2)), mask=X[..., 0] > 0)


@pytest.mark.parametrize(
    "recompute", [["first"], ["marked"], ["first", "marked", "shifted", "total"], 4], ids=str
)
def test_masks_and_several_outputs_cross_the_cuts_of_recomputing(recompute, backend):
    def run(cut: Any) -> Any:
        x = nnx.Input((3, 2))
        h = Marked(name="marked")(nnx.layers.Dense(2, "relu", name="first")(x))
        _, double, triple = Total(name="total")(
            nnx.layers.Rescaling(1.0, 1.0, name="shifted")(h), times=[2.0, 3.0]
        )
        model = nnx.Model(x, nnx.layers.Dense(1)(double + triple), seed=3, dtype="float64", backend=backend)
        model.compile("adam", "mse", recompute=cut)
        model.fit(X, np.asarray([1.0, -1.0]), epochs=3, verbose=0)
        return to_numpy(model.weights_vector)

    np.testing.assert_array_equal(run(recompute), run(None))


def test_norms_of_layers_with_several_outputs():
    norms, model = nnx.callbacks.LayerNorms(), _model(seed=1)
    model.compile("sgd", "mse")
    model.fit(X, np.asarray([1.0, -1.0]), verbose=0, callbacks=[norms])
    sums = np.asarray([[6.0, 8.0], [6.0, 1.5]]) * model.get_layer("total").get_weights()[0]
    wanted = np.linalg.norm(sums) * np.sqrt(1.0 + 4.0 + 9.0) / np.sqrt(2.0)
    assert norms.activations["total"][0] == pytest.approx(wanted, rel=1e-12)
