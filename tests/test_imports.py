"""``import nnx`` loads nothing: a name is imported when it is asked for, with what it needs and no more."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from test_architecture import for_types

import nnx

# Loaded when something asks for them. How long the import takes is measured by hand
# (python -X importtime -c "import nnx"); which modules it may load decides it, and that can be tested.
LIBRARIES = {
    "array_api_strict", "cupy", "jax", "torch",
    "matplotlib", "pandas", "safetensors", "scipy", "sklearn", "tqdm",
}  # fmt: skip
# 10 ms and more each (array_api_compat.numpy, needed with the first array: 100 ms)
SLOW = {
    "array_api_compat",
    "asyncio",
    "email",
    "http",
    "importlib.metadata",
    "multiprocessing",
    "ssl",
    "unittest",
}


def loaded_by(statement: str) -> set[str]:
    """The modules that a new interpreter has after ``statement``, beyond what NumPy itself loads."""
    show = "import sys; before = set(sys.modules); {}; print('\\n'.join(set(sys.modules) - before))"
    code = "import numpy; " + show.format(statement)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def output_of(code: str, *options: str) -> str:
    """What a new interpreter prints."""
    run = subprocess.run([sys.executable, *options, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_importing_nnx_loads_no_room():
    ours = {name for name in loaded_by("import nnx") if name != "importlib"}
    assert ours == {"nnx", "nnx.later"}


@pytest.mark.parametrize(
    ("statement", "needless"),
    [
        ("from nnx import asarray", "nnx.autodiff nnx.registry nnx.options"),
        ("from nnx import grad", "nnx.registry nnx.layers nnx.optimizers nnx.models nnx.jitting"),
        ("import nnx; nnx.losses.mse", "nnx.layers nnx.optimizers nnx.models nnx.metrics"),
        (
            "import nnx; nnx.Sequential, nnx.layers.Dense",
            "nnx.applications nnx.datasets nnx.interop nnx.plotting nnx.layers.pooling nnx.layers.recurrent",
        ),
    ],
)
def test_a_name_loads_the_rooms_below_and_no_library_that_was_not_asked_for(statement, needless):
    assert loaded_by(statement) & {*needless.split(), *LIBRARIES, *SLOW} == set()


# -- the names are what they were ----------------------------------------------------------------------


@pytest.mark.parametrize("package", [nnx, nnx.layers], ids=lambda package: package.__name__)
def test_type_checkers_read_the_names_that_are_imported_when_asked_for(package):
    tree = ast.parse(Path(package.__file__).read_text(encoding="utf-8"))
    read = {alias.name: node.module for node in for_types(tree) for alias in node.names}
    there = {alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert set(package.__all__) <= {*read, *there, "get"}
    assert set(read) <= set(dir(package))
    for name, module in read.items():
        taken = getattr(package, name)
        assert taken is sys.modules[f"nnx.{name}"] if module == "nnx" else getattr(sys.modules[module], name)


def test_dir_and_star_know_all_before_anything_is_imported():
    names, starred = output_of("import nnx; print(*dir(nnx)); from nnx import *; print(*dir())").splitlines()
    assert set(nnx.__all__) <= set(names.split()) & set(starred.split())


def test_a_name_that_there_is_not_is_an_error_as_in_any_module():
    with pytest.raises(AttributeError, match="module 'nnx' has no attribute 'gard'"):
        nnx.gard  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'gard' from 'nnx'"):
        exec("from nnx import gard")
    assert not hasattr(nnx, "__path_hooks__")


# -- what a room above registers is found, though nothing asked for that room ------------------------------


def test_kinds_of_files_are_known_before_their_room_is_imported():
    code = (
        "from nnx.models.formats import foreign; print(foreign('a.keras') is None, foreign('a.safetensors'))"
    )
    assert output_of(code, "-W", "error") == "False None\n"


def test_things_in_files_are_found_before_their_room_is_imported():
    code = """
from nnx.registry import from_config
print(from_config({"kind": "regularizer", "name": "l2", "options": {"l2": 0.1}}))
print(from_config({"kind": "layer", "name": "Flatten", "options": {}}))
print(from_config({"kind": "layer", "name": "CustomScaleLayer", "options": {"scale": 2.0}}))  # of a network
try:
    from_config({"kind": "liar", "name": "l2", "options": {}})
except Exception as error:
    print("optimizer" in str(error))
"""
    made = [
        "Choice(kind='regularizer', name='l2', options={'l2': 0.1})",
        "Flatten()",
        "CustomScaleLayer(scale=2.0)",
        "True",
    ]
    assert output_of(code).splitlines() == made


def test_a_users_own_layer_stays_in_the_place_of_one_that_was_not_imported_yet():
    code = """
from dataclasses import dataclass
import nnx
@nnx.layers.register()
@dataclass(frozen=True)
class Flatten(nnx.layers.Layer):
    pass
nnx.layers.LSTM
print(nnx.layers.registry.entry("Flatten").target is Flatten, nnx.layers.Flatten is Flatten)
"""
    assert output_of(code) == "True False\n"  # as where all layers are imported at once


def test_threads_may_ask_for_different_rooms_at_the_same_time():
    code = """
import sys, threading, nnx
sys.setswitchinterval(1e-5)
asked = ["nnx.grad", "nnx.Sequential", "nnx.losses.mse", "nnx.minimize", "from nnx.layers import Dense",
         "from nnx.autodiff import grad", "from nnx.models import Model", "import nnx.activations"]
start, wrong = threading.Barrier(len(asked)), []

def ask(statement):
    start.wait()
    try:
        exec(statement, {"nnx": nnx})
    except BaseException as error:
        wrong.append((statement, error))

threads = [threading.Thread(target=ask, args=(statement,)) for statement in asked]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(wrong)
"""
    assert output_of(code) == "[]\n"


def test_computing_with_numpy_loads_numpys_adapter_alone():
    loaded = loaded_by("import nnx.backend as b; b.namespace(b.asarray([1.0]))")
    assert "nnx.backend.numpy_adapter" in loaded
    assert loaded & LIBRARIES == set()


def test_python_m_nnx_tells_versions_and_backends():
    run = subprocess.run([sys.executable, "-m", "nnx"], capture_output=True, text=True, check=True)
    assert "numpy: ok" in run.stdout
    assert f"python: {sys.version.split()[0]}" in run.stdout
