"""Runs JavaScript for the tests: in mini-racer (V8 as a wheel for Python) or Node, whichever is there."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest

#: numbers that JSON does not have go through it as text
_NUMBERS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
_TO_JSON = """
;JSON.stringify(result, (key, x) =>
  x instanceof Float64Array ? Array.from(x) : typeof x === "number" && !Number.isFinite(x) ? `${x}` : x);
"""


def run(script: str) -> Any:
    """The value of ``result`` at the end of a script; skips the test where nothing here runs JavaScript."""
    text = _engine()(f"(() => {{ {script}\nreturn {_TO_JSON.strip().lstrip(';')} }})()")
    return _decoded(json.loads(text))


def _engine() -> Any:
    try:
        from py_mini_racer import MiniRacer
    except ImportError:
        if shutil.which("node") is None:
            pytest.skip("Neither mini-racer nor Node is installed: JavaScript cannot be run.")
        return _in_node
    return MiniRacer().eval


def _in_node(script: str) -> str:
    program = f"process.stdout.write({script})"
    done = subprocess.run(["node", "-"], input=program, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return done.stdout


def _decoded(x: Any) -> Any:
    if isinstance(x, list):
        return [_decoded(part) for part in x]
    if isinstance(x, dict):
        return {key: _decoded(part) for key, part in x.items()}
    return _NUMBERS.get(x, x) if isinstance(x, str) else x
