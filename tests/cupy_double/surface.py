"""What CuPy has. With its wheel, ``python -m cupy_double.surface`` in ``tests`` notes it anew; no GPU."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np

STORED = Path(__file__).with_suffix(".json")
NUMPYS = {"": np, "linalg": np.linalg, "fft": np.fft}


def stored() -> dict[str, Any]:
    """What was noted, as far as the NumPy that is installed has it: 2.5 dropped ``row_stack``."""
    noted = json.loads(STORED.read_text(encoding="utf-8"))
    known = {
        part: {name: kind for name, kind in noted[part].items() if hasattr(theirs, name)}
        for part, theirs in NUMPYS.items()
    }
    return noted | known


def surface() -> dict[str, Any]:
    """By part: each public name that NumPy has too, as "ufunc", "class", "constant" or its parameters."""
    import cupy
    import cupyx.scipy.special as special

    cupys = {"": cupy, "linalg": cupy.linalg, "fft": cupy.fft}
    found: dict[str, Any] = {
        part: {
            name: _kind(getattr(ours, name))
            for name in sorted(dir(ours))
            if name[0] != "_" and hasattr(NUMPYS[part], name) and not inspect.ismodule(getattr(ours, name))
        }
        for part, ours in cupys.items()
    }
    found["special"] = [n for n in dir(special) if n[0] != "_" and callable(getattr(special, n))]
    return found


def _kind(value: Any) -> Any:
    import cupy

    if isinstance(value, cupy.ufunc):
        return "ufunc"
    if inspect.isclass(value) or not callable(value):
        return "class" if inspect.isclass(value) else "constant"
    try:
        parameters = inspect.signature(value).parameters.values()
    except ValueError:
        return "?"  # compiled, and says nothing
    return [{p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "") + p.name for p in parameters]


if __name__ == "__main__":
    STORED.write_text(json.dumps(surface(), indent=0) + "\n", encoding="utf-8")
