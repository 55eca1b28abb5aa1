"""Models in files: nothing is lost, nothing foreign is believed."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import nnx
from nnx.errors import FileFormatError, OptionError, ShapeError
from nnx.layers import (
    Activation,
    Dense,
    Dropout,
    Flatten,
    GaussianNoise,
    Input,
    Maxout,
    Permute,
    PReLU,
    Rescaling,
    Reshape,
)


def trained(backend=None, optimizer="adam", epochs=2):
    x, y = nnx.datasets.four_pixel_camera(96, seed=1)
    x, y = x.reshape(-1, 4), nnx.utils.to_categorical(y, 4)
    squares = nnx.optimizers.registry.entry(optimizer).traits.least_squares  # needs a sum of them
    penalty = nnx.regularizers.L1L2(0.0 if squares else 1e-3, 1e-3)
    if optimizer == "bayesian_regularization":  # finds the penalty itself
        penalty = None
    model = nnx.Sequential(
        [
            Input((4,)),
            Rescaling(0.5, offset=0.1),
            Dense(
                6,
                nnx.activations.LeakyReLU(negative_slope=0.3),
                kernel_regularizer=penalty,
            ),
            Dropout(0.3),
            Dense(4, "softmax", name="top"),
        ],
        name="small",
        seed=5,
        backend=backend,
    )
    loss = "mse" if squares else nnx.losses.CategoricalCrossentropy(label_smoothing=0.1)
    model.compile(optimizer, loss, metrics=["accuracy", "mse"])
    model.fit(x, y, epochs=epochs, verbose=0)
    return model, x, y


def optimizers():
    return [entry.name for entry in nnx.optimizers.registry]


@pytest.mark.parametrize("optimizer", optimizers())
def test_training_goes_on_bit_for_bit(optimizer, tmp_path):
    model, x, y = trained(optimizer=optimizer)
    model.save(tmp_path / "model.safetensors")
    copy = nnx.load_model(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(copy.predict(x), model.predict(x))
    assert copy.evaluate(x, y, verbose=0, return_dict=True) == model.evaluate(
        x, y, verbose=0, return_dict=True
    )
    for m in (model, copy):
        m.fit(x, y, epochs=3, verbose=0)
    for a, b in zip(model.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert copy.history.history == model.history.history


def test_arrays_and_numbers_of_numpy_among_the_options_are_saved(backend, tmp_path):
    layers = [Rescaling(np.float32(0.5), input_shape=(np.int64(2),)), Dense(np.int64(1))]
    model = nnx.Sequential(layers, backend=backend, seed=1)
    mask = np.asarray([True, False, False])
    x, y = np.ones((4, 2), dtype="float32"), np.ones(4, dtype="float32")
    model.compile(nnx.optimizers.Adam(np.float32(0.5), mask=mask), "mse")
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "m.safetensors")
    copy = nnx.load_model(tmp_path / "m.safetensors", backend=backend)
    before = copy.get_weights()
    for m in (model, copy):
        m.fit(x, y, verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], copy.get_weights()[0])
    moved = np.concatenate([(a != b).ravel() for a, b in zip(before, copy.get_weights(), strict=True)])
    np.testing.assert_array_equal(moved, mask)


def test_a_file_moves_between_backends(backend, tmp_path):
    model, x, _ = trained()
    model.save(tmp_path / "m.safetensors")
    copy = nnx.load_model(tmp_path / "m.safetensors", backend=backend)
    np.testing.assert_allclose(copy.predict(x), model.predict(x), rtol=1e-5, atol=1e-7)
    copy.save(tmp_path / "n.safetensors")
    again = nnx.load_model(tmp_path / "n.safetensors")
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_every_layer_is_saved_with_its_options(tmp_path):
    model = nnx.Sequential(
        [
            Permute((2, 1), input_shape=(2, 3)),
            Reshape((2, -1)),
            Flatten(),
            GaussianNoise(0.1),
            Maxout(5, pieces=3, kernel_initializer="he_normal"),
            PReLU(),
            Dense(4, use_bias=False, kernel_constraint=nnx.constraints.MaxNorm(1.5), trainable=False),
            Activation("gelu"),
        ]
    )
    model.save(tmp_path / "m.safetensors")
    copy = nnx.load_model(tmp_path / "m.safetensors")
    assert [layer.get_config() for layer in copy.layers] == [layer.get_config() for layer in model.layers]
    x = np.ones((2, 2, 3), dtype="float32")
    np.testing.assert_array_equal(copy.predict(x), model.predict(x))


def test_weights_alone(tmp_path):
    model, x, _ = trained()
    model.save_weights(tmp_path / "w.safetensors")
    other, _, _ = trained(epochs=1)
    other.load_weights(tmp_path / "w.safetensors")
    np.testing.assert_array_equal(other.predict(x), model.predict(x))
    with pytest.raises(FileFormatError, match="load_weights"):
        nnx.load_model(tmp_path / "w.safetensors")
    different = nnx.Sequential([Dense(3, input_shape=(4,))])
    with pytest.raises(ShapeError, match="top/kernel"):
        different.load_weights(tmp_path / "w.safetensors")


def test_damaged_and_foreign_files(tmp_path):
    model, _, _ = trained()
    good = tmp_path / "m.safetensors"
    model.save(good)
    data = good.read_bytes()
    bad = tmp_path / "bad.safetensors"
    for content in (b"", data[: len(data) // 2], b"\x00" * 64, b"PK\x03\x04 a zip"):
        bad.write_bytes(content)
        with pytest.raises(FileFormatError, match=r"bad\.safetensors"):
            nnx.load_model(bad)
    from safetensors.numpy import save_file

    save_file({"x": np.ones(2)}, str(bad))
    with pytest.raises(FileFormatError, match="did not write"):
        nnx.load_model(bad)
    save_file({"x": np.ones(2)}, str(bad), metadata={"nnx": json.dumps({"format": 99})})
    with pytest.raises(FileFormatError, match="format 99"):
        nnx.load_model(bad)
    save_file(
        {"x": np.ones(2)},
        str(bad),
        metadata={"nnx": json.dumps({"format": 1, "layers": [{"kind": "layer"}]})},
    )
    with pytest.raises((FileFormatError, OptionError)):
        nnx.load_model(bad)
    with pytest.raises(FileNotFoundError, match="no file"):
        nnx.load_model(tmp_path / "absent.safetensors")


def rewritten(source, target, change):
    """The file with its tensors and header changed."""
    from safetensors import safe_open
    from safetensors.numpy import save_file

    with safe_open(str(source), framework="numpy") as file:
        header = json.loads(file.metadata()["nnx"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    change(header, tensors)
    save_file(tensors, str(target), metadata={"nnx": json.dumps(header)})
    return target


DAMAGES = [
    lambda h, t: h.update(seed="x"),
    lambda h, t: h.update(epochs_seen="x"),
    lambda h, t: h.update(layers="x"),
    lambda h, t: h.update(input_shape="x"),
    lambda h, t: h["compiled"].update(metrics="x"),
    lambda h, t: h["compiled"].update(metrics=[["a", 3]]),
    lambda h, t: h["compiled"].update(loss=[]),
    lambda h, t: h.update(compiled=[1]),
    lambda h, t: h.update(state=[1]),
    lambda h, t: h.update(state="x"),
    lambda h, t: h["state"].update(step=-5),
    lambda h, t: h["state"].update(step=1.5),
    lambda h, t: h["state"].update(learning_rate=-1.0),
    lambda h, t: h["state"].update(learning_rate="x"),
    lambda h, t: t.update({"weights/top/bias": np.arange(4)}),
    lambda h, t: t.update({"optimizer/momentum": t["optimizer/momentum"].astype("int32")}),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_headers_and_tensors_are_errors_that_name_the_file(damage, tmp_path):
    model, _, _ = trained()
    model.save(tmp_path / "m.safetensors")
    with pytest.raises((FileFormatError, OptionError)) as caught:
        nnx.load_model(rewritten(tmp_path / "m.safetensors", tmp_path / "bad.safetensors", damage))
    assert "bad.safetensors" in str(caught.value) + "".join(getattr(caught.value, "__notes__", ()))


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_state_that_is_not_finite_is_refused(wrong, backend, tmp_path):
    model, _, _ = trained()
    model.save(tmp_path / "m.safetensors")

    def damage(header, tensors):
        tensors["optimizer/velocity"][3] = wrong

    with pytest.raises(FileFormatError, match="'velocity' of the optimizer's state"):
        nnx.load_model(
            rewritten(tmp_path / "m.safetensors", tmp_path / "bad.safetensors", damage), backend=backend
        )


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    model, _, _ = trained()
    path = tmp_path / "m.safetensors"
    model.save(path)
    before = path.read_bytes()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        model.save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


def test_what_cannot_be_saved_is_named(tmp_path):
    model = nnx.Sequential([Dense(2, activation=lambda z: z * 2.0, input_shape=(3,))])
    with pytest.raises(OptionError, match="not registered"):
        model.save(tmp_path / "m.safetensors")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OptionError, match=r"m\.safetensors"):
        model.save(tmp_path / "m.pt")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no rights of this kind")
def test_a_file_has_the_rights_of_a_new_file_or_those_that_it_had(tmp_path):
    model, _, _ = trained()
    path, plain = tmp_path / "m.safetensors", tmp_path / "plain"
    plain.touch()
    model.save(path)
    assert path.stat().st_mode == plain.stat().st_mode
    path.chmod(0o640)
    model.save(path)
    assert path.stat().st_mode & 0o777 == 0o640


def test_through_a_link_the_file_is_replaced_and_not_the_link(tmp_path):
    model, x, _ = trained()
    path, link = tmp_path / "m.safetensors", tmp_path / "latest"
    path.touch()
    try:
        link.symlink_to(path.name)
    except OSError:
        pytest.skip("no links can be made here")
    model.save(link)
    assert link.is_symlink()
    np.testing.assert_array_equal(nnx.load_model(path).predict(x), model.predict(x))


def test_names_of_files(tmp_path, monkeypatch):
    model, _, _ = trained()
    model.save(tmp_path / ("a" * 250))
    monkeypatch.chdir(tmp_path)
    for folder in (tmp_path, ""):
        with pytest.raises(IsADirectoryError, match="is a folder: give the name of a file in it"):
            model.save(folder)
    with pytest.raises(FileNotFoundError, match="is a folder, not a file"):
        nnx.load_model(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1


KILLED = """
import sys
import nnx
from nnx.models import files

model = nnx.Sequential([nnx.layers.Dense(2, input_shape=(3,))])
files.os.fsync = lambda number: (print("writing", flush=True), sys.stdin.read())
model.save(sys.argv[1])
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows deletes no file that is open")
def test_what_a_killed_save_left_goes_with_the_next_one_and_a_save_under_way_stays(tmp_path):
    model, _, _ = trained()
    path = tmp_path / "m.safetensors"
    (tmp_path / "other.part").touch()
    (tmp_path / ".nnx-0123456789abcdef.part").write_bytes(b"half a file")  # as of an older version

    def parts():
        return len(list(tmp_path.glob(".nnx-*.part")))

    command = [sys.executable, "-c", KILLED, str(tmp_path / "theirs.safetensors")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "writing\n"
        model.save(path)
        assert parts() == 1  # the other process writes it now
        process.kill()
    assert parts() == 1
    model.save_weights(tmp_path / "w.safetensors")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.safetensors", "other.part", "w.safetensors"]


def test_without_compiling_a_loaded_model_has_weights_alone(tmp_path):
    model, x, y = trained()
    model.save(tmp_path / "m.safetensors")
    copy = nnx.load_model(tmp_path / "m.safetensors", compile=False)
    np.testing.assert_array_equal(copy.predict(x), model.predict(x))
    assert copy.optimizer is None
    with pytest.raises(nnx.errors.NotBuilt, match="compile"):
        copy.fit(x, y, verbose=0)


class Twice(nnx.layers.Layer):
    """A layer that nobody registers."""

    def __init__(self, factor=2.0, **options):
        super().__init__(**options)
        self.factor = factor

    def forward(self, p, x):
        return self.factor * x


def squares(y_true, y_pred):
    return nnx.backend.namespace(y_pred).mean((y_true - y_pred) ** 2, axis=-1)


def test_what_is_not_registered_is_found_among_the_custom_objects(tmp_path, monkeypatch):
    path, x = tmp_path / "m.safetensors", np.ones((4, 3), "float32")
    with monkeypatch.context() as there:  # where the file is written they are registered
        for registry in (nnx.layers.registry, nnx.losses.registry):
            for table in ("_entries", "_names"):
                there.setattr(registry, table, dict(getattr(registry, table)))
        nnx.layers.register()(Twice)
        nnx.losses.registry.register()(squares)
        model = nnx.Sequential([Twice(3.0, input_shape=(3,)), Dense(1)], seed=1)
        model.compile("sgd", squares)
        model.fit(x, x[:, :1], verbose=0)
        model.save(path)
    with pytest.raises(nnx.errors.UnknownName, match="twice"):
        nnx.load_model(path)
    copy = nnx.load_model(path, custom_objects={"Twice": Twice, "squares": squares})
    assert copy.layers[0].factor == 3.0
    np.testing.assert_array_equal(copy.predict(x), model.predict(x))
    assert copy.evaluate(x, x[:, :1], verbose=0) == model.evaluate(x, x[:, :1], verbose=0)
