"""Examples that are neutral to the array library, run on every backend of the matrix.

Every example runs on NumPy with the doctests of the package. Neutral are those that take nothing of NumPy but
new arrays, as of ``np.asarray`` (:func:`is_neutral`). Here these are arrays of the backend, of the same data
type; what an example shows is moved to NumPy before it is printed, and must read as in the docstring.
"""

from __future__ import annotations

import ast
import doctest
import re
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from docs.public_objects import Public, public_objects
from walks import walk

import nnx
from nnx.backend import Backend, use_backend

#: NumPy's functions that create arrays, here ones of the backend; and its constants.
CREATING = ("arange", "array", "asarray", "eye", "full", "linspace", "ones", "zeros")
CONSTANTS = ("e", "inf", "nan", "pi")
#: Python's functions that read a number: of an array on a device by way of the host.
READING = (bool, float, int, round)
#: Methods that the arrays of the standard do not have.
METHODS = "all any argmax astype dot item max mean min reshape round std sum tolist".split()
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def example_of(thing: Public) -> doctest.DocTest:
    return doctest.DocTestParser().get_doctest(thing.doc, {}, thing.name, None, None)


def is_neutral(test: doctest.DocTest) -> bool:
    """Whether an example names no library, and takes nothing of NumPy but new arrays and constants."""
    source = "".join(example.source for example in test.examples)
    named = "backend" in source or "numpy" in source.replace("nnx.to_numpy", "")
    if named or any(doctest.SKIP in example.options for example in test.examples):
        return False
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom) and getattr(node, "module", "") != "dataclasses":
            return False
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "np":
            if node.attr not in (*CREATING, *CONSTANTS):
                return False
        elif isinstance(node, ast.Attribute) and node.attr in METHODS and not on_the_host(node.value):
            return False
    return True


def on_the_host(node: ast.expr) -> bool:
    """Whether the node is ``nnx.to_numpy(...)``, or names nothing that could be an array."""
    called = getattr(getattr(node, "func", None), "attr", "")
    return called == "to_numpy" or (isinstance(node, ast.Name) and node.id == "np")


EXAMPLES = {thing.name: test for thing in public_objects() if (test := example_of(thing)).examples}
NEUTRAL = [name for name, test in EXAMPLES.items() if is_neutral(test)]


def on(backend: Backend) -> dict[str, Any]:
    """The names that an example finds: NumPy's functions make arrays of the backend."""

    def making(name: str) -> Any:
        def make(*args: Any, **options: Any) -> Any:
            made = getattr(np, name)(*args, **options)
            return backend.asarray(made, dtype=str(made.dtype))

        return make

    def reading(function: Any) -> Any:
        return lambda x, *more: function(moved(x), *more)

    numpy = SimpleNamespace(**{name: getattr(np, name) for name in CONSTANTS})
    vars(numpy).update({name: making(name) for name in CREATING})
    return {"nnx": nnx, "np": numpy} | {function.__name__: reading(function) for function in READING}


def moved(value: Any) -> Any:
    """The value with NumPy's arrays in place of the backend's."""
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return tuple(map(moved, value))
    if isinstance(value, list):
        return list(map(moved, value))
    return nnx.to_numpy(value) if hasattr(value, "__array_namespace__") or hasattr(value, "numel") else value


def show(value: Any) -> None:
    if value is not None:
        print(repr(moved(value)))


class Checker(doctest.OutputChecker):
    """Numbers without axes are equal whether NumPy prints them as ``array(5.)`` or as ``np.float64(5.0)``."""

    def check_output(self, want: str, got: str, flags: int) -> bool:
        return super().check_output(as_number(want), as_number(got), flags)


def as_number(text: str) -> str:
    text = re.sub(r"array\(([-+.\w]+)\)|np\.float64\(([-+.\w]+)\)", lambda m: m[1] or m[2], text)
    return re.sub(r"(?<=\d)\.0?(?![\d])", "", text)


@walk("name", NEUTRAL)
def test_an_example_on_every_backend(name: str, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    test = EXAMPLES[name]
    test.globs = on(backend)
    monkeypatch.setattr(sys, "__displayhook__", show)  # what doctest prints by
    said: list[str] = []
    with use_backend(backend.name, device=backend.device):
        failed = doctest.DocTestRunner(Checker(), verbose=False, optionflags=FLAGS).run(
            test, out=said.append, clear_globs=False
        )
    assert failed.attempted == len(test.examples) and not failed.failed, "".join(said)


def test_many_examples_are_neutral() -> None:
    """So that the rule above does not let all of them slip through."""
    assert len(NEUTRAL) > len(EXAMPLES) / 2
