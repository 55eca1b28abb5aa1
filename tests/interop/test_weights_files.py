"""Files of weights: which layer takes what, what does not fit, and that nothing is changed then."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import nnx
from nnx.errors import FileFormatError, OptionError, ShapeError
from nnx.layers import BatchNormalization, Dense, Dropout


def network(*units, seed=0, names=None):
    names = names or [f"d{i}" for i in range(len(units))]
    layers = [Dense(n, name=name) for n, name in zip(units, names, strict=True)]
    return nnx.Sequential([nnx.Input((3,)), *layers], seed=seed)


def arrays(model):
    return [w.copy() for w in model.get_weights()]


def assert_same(a, b):
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)


def test_the_paths_are_those_of_keras(tmp_path):
    model = nnx.Sequential([Dense(2, input_shape=(3,)), Dropout(0.5), BatchNormalization(), Dense(1)])
    model.save_weights(tmp_path / "x.weights.h5")
    found = {}
    with h5py.File(tmp_path / "x.weights.h5") as file:
        file.visititems(lambda name, item: found.update({name: getattr(item, "shape", None)}))
        assert file["layers/dense_1/vars"].attrs["name"] == "dense_1"
    assert {name: shape for name, shape in found.items() if shape is not None} == {
        "layers/dense/vars/0": (3, 2),
        "layers/dense/vars/1": (2,),
        "layers/batch_normalization/vars/0": (2,),
        "layers/batch_normalization/vars/1": (2,),
        "layers/batch_normalization/vars/2": (2,),
        "layers/batch_normalization/vars/3": (2,),
        "layers/dense_1/vars/0": (2, 1),
        "layers/dense_1/vars/1": (1,),
    }
    assert "layers/dropout/vars" in found


def test_the_same_model_gives_the_same_bytes(tmp_path):
    model = network(4, 2)
    model.compile("adam", "mse")
    model.fit(np.ones((8, 3)), np.ones((8, 2)), verbose=0)
    for name in ("a", "b"):
        model.save(tmp_path / f"{name}.keras")
        model.save_weights(tmp_path / f"{name}.weights.h5")
    assert (tmp_path / "a.keras").read_bytes() == (tmp_path / "b.keras").read_bytes()
    assert (tmp_path / "a.weights.h5").read_bytes() == (tmp_path / "b.weights.h5").read_bytes()


MISMATCHES = [
    ((5, 2), r"layer 'd0' \(Dense\) has the weight 'kernel' of shape \(3, 5\), \(3, 4\) in the file"),
    ((4, 3), r"layer 'd1' \(Dense\) has the weight 'kernel' of shape \(4, 3\), \(4, 2\) in the file"),
    ((4, 2, 1), r"layer 'd2' \(Dense\) has the weight 'kernel' of shape \(2, 1\), which the file does not"),
    ((4,), r"layers/dense_1/vars/0 of shape \(4, 2\), for which the model has no layer"),
]


@pytest.mark.parametrize(("units", "words"), MISMATCHES)
def test_the_file_of_another_network_changes_nothing(units, words, tmp_path):
    network(4, 2).save_weights(tmp_path / "x.weights.h5")
    other = network(*units)
    before = arrays(other)
    with pytest.raises(ShapeError, match=words):
        other.load_weights(tmp_path / "x.weights.h5")
    assert_same(arrays(other), before)


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras", ".safetensors"])
def test_by_name_and_skip_mismatch(suffix, tmp_path):
    source = network(4, 2, names=["a", "b"])
    (source.save if suffix == ".keras" else source.save_weights)(tmp_path / f"x{suffix}")
    other = network(4, 5, 3, names=["a", "new", "b"], seed=1)
    before = arrays(other)
    with pytest.raises(ShapeError, match="'b"):
        other.load_weights(tmp_path / f"x{suffix}", by_name=True)
    assert_same(arrays(other), before)
    other.load_weights(tmp_path / f"x{suffix}", by_name=True, skip_mismatch=True)
    assert_same(arrays(other), [*arrays(source)[:2], *before[2:]])
    shorter = network(4, 7, names=["a", "b"], seed=2)
    kept = arrays(shorter)[2:]
    shorter.load_weights(tmp_path / f"x{suffix}", skip_mismatch=True)
    assert_same(arrays(shorter), [*arrays(source)[:2], *kept])


# -- legacy files, written here as Keras 2 and 3 write them ---------------------------------------------


def legacy(path, groups, inner="", text=True):
    """An .h5 file of layers: ``{layer: {name of the weight: array}}``."""
    with h5py.File(path, "w") as file:
        root = file.require_group(inner) if inner else file
        root.attrs["layer_names"] = [name if text else name.encode() for name in groups]
        for layer, own in groups.items():
            group = root.create_group(layer)
            group.attrs["weight_names"] = [name if text else name.encode() for name in own] or np.empty(0)
            for name, array in own.items():
                group.create_dataset(name, data=array)


def of_keras_2(model, wrap="{layer}/{name}:0"):
    """The layers of a model as Keras 2 names them, with layers without weights among them."""
    groups = {"input_1": {}}
    for layer in model.layers:
        pairs = zip(layer.weight_names, layer.get_weights(), strict=True)
        groups[layer.name] = {wrap.format(layer=layer.name, name=name): w for name, w in pairs}
    return groups


@pytest.mark.parametrize("inner", ["", "model_weights"])
@pytest.mark.parametrize("text", [True, False])
@pytest.mark.parametrize("wrap", ["{layer}/{name}:0", "sequential_7/{layer}/{name}"])
def test_legacy_files_are_read_by_their_order(inner, text, wrap, tmp_path):
    source, other = network(4, 2), network(4, 2, seed=5, names=["x", "y"])
    legacy(tmp_path / "x.h5", of_keras_2(source, wrap), inner, text)
    other.load_weights(tmp_path / "x.h5")
    assert_same(arrays(other), arrays(source))


def test_a_legacy_file_whose_attribute_was_too_long_stands_in_pieces(tmp_path):
    source, other = network(4, 2), network(4, 2, seed=5)
    legacy(tmp_path / "x.h5", of_keras_2(source))
    with h5py.File(tmp_path / "x.h5", "a") as file:
        names = list(file.attrs.pop("layer_names"))
        file.attrs["layer_names0"], file.attrs["layer_names1"] = names[:2], names[2:]
    other.load_weights(tmp_path / "x.h5")
    assert_same(arrays(other), arrays(source))


def test_a_legacy_file_with_a_model_inside_holds_what_is_trained_first(tmp_path):
    inner = [Dense(4, name="a"), BatchNormalization(name="n"), Dense(2, name="b")]
    source = nnx.Sequential([nnx.Input((3,)), *inner, Dense(1, name="c")])
    source.set_weights([np.random.default_rng(0).uniform(1, 2, w.shape) for w in source.weights])
    named = {
        f"{layer.name}/{n}": w
        for layer in source.layers
        for n, w in zip(layer.weight_names, layer.get_weights(), strict=True)
    }
    order = [
        "a/kernel",
        "a/bias",
        "n/gamma",
        "n/beta",
        "b/kernel",
        "b/bias",
        "n/moving_mean",
        "n/moving_variance",
    ]
    groups = {
        "model": {name: named[name] for name in order},
        "c": {n: named[n] for n in ("c/kernel", "c/bias")},
    }
    legacy(tmp_path / "x.h5", groups)
    other = nnx.models.clone_model(source)
    other.load_weights(tmp_path / "x.h5")
    assert_same(arrays(other), arrays(source))


def test_legacy_files_by_name(tmp_path):
    source, other = network(4, 2, names=["a", "b"]), network(4, 5, 2, names=["a", "new", "b"], seed=1)
    legacy(tmp_path / "x.h5", of_keras_2(source))
    before = arrays(other)
    with pytest.raises(
        ShapeError, match=r"'b' \(Dense\) has the weight 'kernel' of shape \(5, 2\), \(4, 2\)"
    ):
        other.load_weights(tmp_path / "x.h5", by_name=True)
    with pytest.raises(ShapeError, match=r"2 layers with weights, the model 3"):
        other.load_weights(tmp_path / "x.h5")
    assert_same(arrays(other), before)
    other.load_weights(tmp_path / "x.h5", by_name=True, skip_mismatch=True)
    assert_same(arrays(other), [*arrays(source)[:2], *before[2:]])


def test_weights_of_keras_2_13_lie_in_another_folder(tmp_path):
    source, other = network(4, 2), network(4, 2, seed=5)
    source.save_weights(tmp_path / "x.weights.h5")
    with h5py.File(tmp_path / "x.weights.h5", "a") as file:
        file.move("layers", "_layer_checkpoint_dependencies")
    other.load_weights(tmp_path / "x.weights.h5")
    assert_same(arrays(other), arrays(source))


def test_half_precision_is_read(tmp_path):
    source, other = network(4), network(4, seed=5)
    source.save_weights(tmp_path / "x.weights.h5")
    with h5py.File(tmp_path / "x.weights.h5", "a") as file:
        group = file["layers/dense/vars"]
        kernel, bias = group["0"][()], group["1"][()]
        del group["0"], group["1"]
        upper = (kernel.view(np.uint32) >> 16).astype(np.uint16)
        group.create_dataset("0", data=upper.view("V2")).attrs["dtype"] = "bfloat16"
        group["1"] = bias.astype(np.float16)
    other.load_weights(tmp_path / "x.weights.h5")
    # 8 bits of a number are kept
    np.testing.assert_allclose(other.get_weights()[0], kernel, rtol=2**-7)


def test_what_a_suffix_cannot_hold_is_said(tmp_path):
    model = network(4)
    for call, words in [
        (lambda: model.save_weights(tmp_path / "x.keras"), r"\.weights\.h5"),
        (lambda: model.save(tmp_path / "x.weights.h5"), r"\.keras"),
        (lambda: model.save(tmp_path / "x.h5"), r"\.keras"),
        (lambda: model.save_weights(tmp_path / "x.h5"), r"\.weights\.h5"),
        (lambda: model.save(tmp_path / "x.onnx"), "safetensors"),
    ]:
        with pytest.raises(OptionError, match=words):
            call()
    assert not list(tmp_path.iterdir())
    model.save_weights(tmp_path / "x.weights.h5")
    with pytest.raises(FileFormatError, match="build the model"):
        nnx.load_model(tmp_path / "x.weights.h5")
    with pytest.raises(OptionError, match="legacy"):
        nnx.load_model(tmp_path / "x.h5")
    with pytest.raises(FileNotFoundError):
        model.load_weights(tmp_path / "none.weights.h5")


def test_a_checkpoint_may_be_a_file_of_keras(tmp_path):
    model = network(1)
    model.compile("adam", "mse")
    callbacks = [
        nnx.callbacks.ModelCheckpoint(tmp_path / "whole.keras"),
        nnx.callbacks.ModelCheckpoint(tmp_path / "{epoch}.weights.h5", save_weights_only=True),
    ]
    model.fit(np.ones((8, 3)), np.ones((8, 1)), epochs=2, verbose=0, callbacks=callbacks)
    again = nnx.load_model(tmp_path / "whole.keras")
    assert_same(arrays(again), arrays(model))
    assert again.optimizer.iterations == 2
    other = network(1, seed=9)
    other.load_weights(tmp_path / "2.weights.h5")
    assert_same(arrays(other), arrays(model))


def test_without_h5py_the_message_says_what_to_install(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "h5py", None)
    model = network(1)
    with pytest.raises(ImportError, match=r"pip install h5py"):
        model.save(tmp_path / "x.keras")
    assert not list(tmp_path.iterdir())
