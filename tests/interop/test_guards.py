"""Damaged and hostile files: a clear error, nothing run, nothing large allocated, no change."""

from __future__ import annotations

import io
import json
import tracemalloc
import zipfile

import h5py
import numpy as np
import pytest

import nnx
from nnx.errors import FileFormatError, NnxError, OptionError
from nnx.layers import Dense

KERNEL = "layers/dense/vars/0"


def model(seed=0):
    return nnx.Sequential([nnx.Input((3,)), Dense(4), Dense(2)], seed=seed)


@pytest.fixture
def good(tmp_path):
    """A sound ``.weights.h5`` file, to be damaged."""
    path = tmp_path / "x.weights.h5"
    model().save_weights(path)
    return path


@pytest.fixture
def whole(tmp_path):
    """The members of a sound ``.keras`` file, as a function that writes changed ones."""
    path = tmp_path / "x.keras"
    trained = model()
    trained.compile("adam", "mse")
    trained.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
    trained.save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}

    def written(compression=zipfile.ZIP_STORED, **changes):
        names = {"config": "config.json", "weights": "model.weights.h5", "metadata": "metadata.json"}
        kept = dict(members)
        for key, value in changes.items():
            value = value(json.loads(kept["config.json"])) if callable(value) else value
            if value is None:
                del kept[names[key]]
            else:
                kept[names[key]] = json.dumps(value) if isinstance(value, dict | list) else value
        with zipfile.ZipFile(path, "w", compression) as archive:
            for name, data in kept.items():
                archive.writestr(name, data)
        return path

    return written


def refused(path, words, error=FileFormatError):
    """Loading the weights of a file fails with these words, quickly and in little memory; nothing changes."""
    own = model(seed=1)
    before = own.get_weights()
    tracemalloc.start()
    try:
        with pytest.raises(error, match=words):
            own.load_weights(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**24
    for a, b in zip(own.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


# -- HDF5 -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".weights.h5", ".h5", ".keras"])
@pytest.mark.parametrize("data", [b"", b"nothing of the kind", b"\x89HDF\r\n\x1a\n", b"PK\x03\x04"])
def test_what_is_no_such_file(data, suffix, tmp_path):
    path = tmp_path / f"x{suffix}"
    path.write_bytes(data)
    refused(path, "no whole|nothing")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_file(share, good):
    data = good.read_bytes()
    good.write_bytes(data[: int(len(data) * share)])
    refused(good, "no whole HDF5 file")


@pytest.mark.parametrize("at", range(40))
def test_bytes_overwritten_anywhere(at, good):
    # whatever the damage: an error of nnx's, or weights of the right shapes where numbers were hit
    data = bytearray(good.read_bytes())
    start = at * len(data) // 40
    data[start : start + 16] = bytes(16)
    good.write_bytes(bytes(data))
    own = model(seed=1)
    before = own.get_weights()
    try:
        own.load_weights(good)
    except NnxError:
        for a, b in zip(own.get_weights(), before, strict=True):
            np.testing.assert_array_equal(a, b)


def replaced(path, make, where=KERNEL):
    with h5py.File(path, "a") as file:
        del file[where]
        make(file, where)


HOSTILE = {
    "soft link": (lambda f, w: f.__setitem__(w, h5py.SoftLink("/layers/dense_1/vars/0")), "SoftLink"),
    "external link": (lambda f, w: f.__setitem__(w, h5py.ExternalLink("other.h5", "/a")), "ExternalLink"),
    "strings": (lambda f, w: f.create_dataset(w, data=np.full((3, 4), b"abc")), "not numbers"),
    "structures": (lambda f, w: f.create_dataset(w, (3, 4), dtype=[("a", "f4")]), "not numbers"),
    "complex": (lambda f, w: f.create_dataset(w, (3, 4), dtype="c8"), "not numbers"),
    "empty": (lambda f, w: f.create_dataset(w, data=h5py.Empty("f4")), "is empty"),
    "virtual": (
        lambda f, w: f.create_virtual_dataset(w, h5py.VirtualLayout((3, 4), "f4"), fillvalue=1.0),
        "put together",
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_is_no_array_of_numbers_in_the_file(kind, good):
    make, words = HOSTILE[kind]
    replaced(good, make)
    refused(good, words)


def test_an_array_in_another_file_is_not_opened(good, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(np.full(12, 7.0, dtype="f4").tobytes())
    replaced(good, lambda f, w: f.create_dataset(w, (3, 4), "f4", external=[(str(secret), 0, 48)]))
    refused(good, "lies in another file")


def test_a_filter_that_would_be_loaded_as_a_library_is_refused(good):
    # LZ4's number: the file says that the bytes need it, whether it is installed or not
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk((3, 4))
    plan.set_filter(32004, h5py.h5z.FLAG_OPTIONAL, ())

    def make(file, where):
        group, _, name = where.rpartition("/")
        space = h5py.h5s.create_simple((3, 4))
        h5py.h5d.create(file[group].id, name.encode(), h5py.h5t.IEEE_F32LE, space, plan)

    replaced(good, make)
    refused(good, "32004")


def test_a_link_in_place_of_a_folder(good):
    with h5py.File(good, "a") as file:
        del file["layers/dense"]
        file["layers/dense"] = h5py.ExternalLink("other.h5", "/layers/dense")
    refused(good, "ExternalLink")


def test_a_folder_that_holds_itself(good):
    with h5py.File(good, "a") as file:
        file["layers/dense/vars/again"] = file["layers"]
    refused(good, "more groups than any network")


def test_an_array_of_another_shape_is_not_read(good):
    # a claim of 4 TB in a file of a few kB
    replaced(good, lambda f, w: f.create_dataset(w, (10**6, 10**6), "f4", chunks=(1000, 1000), compression=1))
    refused(good, r"\(1000000, 1000000\) in the file", NnxError)


def test_more_than_the_file_can_hold_is_not_read(tmp_path):
    path = tmp_path / "x.weights.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset(KERNEL, (10**4, 10**6), "f4", chunks=(1000, 1000), compression=1)
    with nnx.interop.keras.hdf5.opened(path, "x") as root:
        array = root.array(KERNEL)
        with pytest.raises(FileFormatError, match="claim to hold more than 100 times"):
            array.read()


def test_compressed_weights_are_read(good):
    with h5py.File(good, "a") as file:
        kernel = file[KERNEL][()]
    replaced(good, lambda f, w: f.create_dataset(w, data=kernel, compression="gzip", shuffle=True))
    own = model(seed=1)
    own.load_weights(good)
    np.testing.assert_array_equal(own.get_weights()[0], kernel)


@pytest.mark.parametrize("names", [["dense", "nothing"], "dense", [b"\xff\xfe"], np.ones(3)])
def test_a_legacy_file_whose_attribute_lies(names, tmp_path):
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = names
        file.create_group("dense").attrs["weight_names"] = ["kernel"]
    refused(path, "does not have|does not fit|no whole HDF5", NnxError)


def test_an_hdf5_file_of_somebody_else(tmp_path):
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["measured"] = np.ones(3)
    refused(path, "layer_names")


def test_nan_is_refused(good):
    replaced(good, lambda f, w: f.create_dataset(w, data=np.full((3, 4), np.nan, "f4")))
    refused(good, "NaN", NnxError)


# -- the archive ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("member", ["config", "weights"])
def test_a_missing_member(member, whole):
    with pytest.raises(FileFormatError, match="has no"):
        nnx.load_model(whole(**{member: None}))


def test_a_truncated_archive(whole):
    path = whole()
    data = path.read_bytes()
    for share in (0.2, 0.6, 0.95):
        path.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(FileFormatError):
            nnx.load_model(path)


def test_a_member_twice(whole):
    path = whole()
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(FileFormatError, match="two members"):
        nnx.load_model(path)


def test_members_with_other_names_are_left_alone(whole, tmp_path):
    path = whole()
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../escaped.txt", "harmless")
        archive.writestr("/tmp/escaped.txt", "harmless")
    nnx.load_model(path)
    assert not (tmp_path.parent / "escaped.txt").exists()


@pytest.mark.parametrize("member", ["config", "weights"])
def test_a_member_that_unpacks_to_far_more(member, whole):
    path = whole(compression=zipfile.ZIP_DEFLATED, **{member: b" " * 2**27})
    assert path.stat().st_size < 2**20
    tracemalloc.start()
    try:
        with pytest.raises(FileFormatError, match="claims to be"):
            nnx.load_model(path)
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


def test_a_compressed_archive_is_read(whole):
    assert nnx.load_model(whole(compression=zipfile.ZIP_DEFLATED)).count_params() == 26


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[" * 100_000, b'{"a":' * 100_000, b"\xff\xfe", b"[]", b"17", b"null", b'"model"']
)
def test_a_config_that_is_none(text, whole):
    with pytest.raises(FileFormatError, match=r"config\.json"):
        nnx.load_model(whole(config=text))


def changed(change):
    """A config with a change made to the description of the model, or to all of it."""

    def make(config):
        return change(config) or config

    return make


def nested(config):
    inner = config
    for _ in range(60):
        inner = {"class_name": "Sequential", "config": {"name": "s", "layers": [inner]}}
    return inner


DAMAGED = {
    "no layers": lambda c: c["config"].pop("layers") and None,
    "layers are text": lambda c: c["config"].update(layers="dense"),
    "a layer is a number": lambda c: c["config"]["layers"].append(7),
    "no class": lambda c: c["config"]["layers"][1].pop("class_name") and None,
    "class is a list": lambda c: c["config"]["layers"][1].update(class_name=["Dense"]),
    "config is text": lambda c: c["config"]["layers"][1].update(config="units"),
    "no shape": lambda c: c["config"]["layers"][0]["config"].update(batch_shape=None),
    "shape of text": lambda c: c["config"]["layers"][0]["config"].update(batch_shape=[None, "3"]),
    "negative shape": lambda c: c["config"]["layers"][0]["config"].update(batch_shape=[None, -3]),
    "open shape": lambda c: c["config"]["layers"][0]["config"].update(batch_shape=[None, None]),
    "units of text": lambda c: c["config"]["layers"][1]["config"].update(units="four"),
    "negative units": lambda c: c["config"]["layers"][1]["config"].update(units=-4),
    "unknown option": lambda c: c["config"]["layers"][1]["config"].update(speed=9),
    "unknown layer": lambda c: c["config"]["layers"][1].update(class_name="Densest"),
    "unknown activation": lambda c: c["config"]["layers"][1]["config"].update(activation="rely"),
    "not a model": lambda c: c.update(class_name="Dense"),
    "a class of its own": lambda c: c.update(class_name="MyModel"),
    "models without end": nested,
    "other weights": lambda c: c["config"]["layers"][1]["config"].update(units=5),
    "absurd weights": lambda c: c["config"]["layers"][1]["config"].update(units=10**12),
    "two of a name": lambda c: c["config"]["layers"].append(c["config"]["layers"][1]),
    "optimizer is text": lambda c: c["compile_config"].update(optimizer="adamantine"),
    "optimizer is a number": lambda c: c["compile_config"].update(optimizer=3),
    "other optimizer": lambda c: c["compile_config"]["optimizer"].update(class_name="RMSprop", config={}),
    "metrics are a number": lambda c: c["compile_config"].update(metrics=5),
}
#: compile_config of a model with the one output ``dense_1``
FOREIGN = {
    "loss is a list": {"loss": [[]]},
    "loss inside a loss": {"loss": {"dense_1": {"dense_1": "mse"}}},
    "two losses": {"loss": ["mse", "mae"]},
    "a loss of nobody": {"loss": {"dense": "mse"}},
    "no loss at all": {"loss": [None]},
    "metrics of nobody": {"metrics": {"dense": ["mae"]}},
    "metrics inside metrics": {"metrics": {"dense_1": {"dense_1": ["mae"]}}},
    "two weights": {"loss_weights": [1.0, 2.0]},
    "a weight of text": {"loss_weights": "heavy"},
    "weights inside a weight": {"loss_weights": [[1.0]]},
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_description(kind, whole):
    path = whole(config=changed(DAMAGED[kind]))
    tracemalloc.start()
    try:
        with pytest.raises(NnxError):
            nnx.load_model(path)
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_does_not_fit_the_outputs(kind, whole):
    path = whole(config=changed(lambda c: c["compile_config"].update(FOREIGN[kind])))
    with pytest.raises(FileFormatError, match="compiled does not fit"):
        nnx.load_model(path)
    assert nnx.load_model(path, compile=False).optimizer is None


def functional(tmp_path):
    x = nnx.Input((3,), "x")
    y = nnx.Model(x, Dense(2, name="b")(Dense(3, name="a")(x)))
    y.save(tmp_path / "f.keras")
    return tmp_path / "f.keras"


def node(config, name):
    (found,) = (one for one in config["config"]["layers"] if one["name"] == name)
    return found["inbound_nodes"][0]["args"][0]["config"]


CIRCLES = {
    "circle": (lambda c: node(c, "a").update(keras_history=["b", 0, 0]), "circle"),
    "itself": (lambda c: node(c, "a").update(keras_history=["a", 0, 0]), "circle"),
    "nothing": (lambda c: node(c, "b").update(keras_history=["nobody", 0, 0]), "no output"),
    "other output": (lambda c: node(c, "b").update(keras_history=["a", 0, 3]), "no output"),
    "not a history": (lambda c: node(c, "b").update(keras_history="a"), "names no output"),
    "no end": (lambda c: c["config"].update(output_layers=None), "names no inputs or outputs"),
    "unknown end": (lambda c: c["config"].update(output_layers=["c", 0, 0]), "no output"),
    "unknown start": (lambda c: c["config"].update(input_layers=["c", 0, 0]), "no input"),
}


@pytest.mark.parametrize("kind", CIRCLES)
def test_layers_that_read_what_is_not_there(kind, tmp_path):
    path = functional(tmp_path)
    change, words = CIRCLES[kind]
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    change(config)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in (members | {"config.json": json.dumps(config)}).items():
            archive.writestr(name, data)
    with pytest.raises(FileFormatError, match=words):
        nnx.load_model(path)


def test_a_lambda_is_refused_by_name(whole):
    def change(config):
        config["config"]["layers"][1].update(class_name="Lambda", config={"name": "f", "function": {}})

    with pytest.raises(OptionError, match="Lambda"):
        nnx.load_model(whole(config=changed(change)))


def test_a_function_in_bytecode_is_refused(whole):
    def change(config):
        code = {"class_name": "__lambda__", "config": {"value": "4wEAAAA="}}
        config["config"]["layers"][1]["config"]["activation"] = code

    with pytest.raises(OptionError, match="Lambda"):
        nnx.load_model(whole(config=changed(change)))


@pytest.mark.parametrize("module", ["os", "builtins", "subprocess", "nnx.models.files"])
def test_modules_that_a_file_names_are_not_imported(module, whole):
    def change(config):
        config["config"]["layers"][1].update(module=module, class_name="system", registered_name="system")

    with pytest.raises(OptionError, match="system"):
        nnx.load_model(whole(config=changed(change)))


def test_the_weights_of_an_archive_may_not_be_a_link(whole):
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        file["layers"] = h5py.ExternalLink("/etc/passwd", "/")
    with pytest.raises(FileFormatError, match="ExternalLink"):
        nnx.load_model(whole(weights=memory.getvalue()))
