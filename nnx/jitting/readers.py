"""What no recording can compare: clocks, files, the environment, random numbers without a seed."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from nnx.errors import RecordingError
from nnx.jitting.code_names import CodeNames, Import

#: modules whose answers are others whenever they are asked
_CLOCKS = frozenset("time datetime secrets uuid".split())
#: functions of Python that read what is outside of it, or names that nobody can tell
_READERS = frozenset("open input globals eval exec __import__".split())
#: attributes of modules that read what is outside
_OF_MODULES = {
    "os": frozenset("environ environb getenv getenvb urandom".split()),
    "numpy": frozenset("load loadtxt genfromtxt fromfile memmap".split()),
}
_OF_MODULES |= {"posix": _OF_MODULES["os"], "nt": _OF_MODULES["os"]}
#: methods that read a file
_OF_PATHS = frozenset("read_text read_bytes".split())
#: what has another state whenever it is made without a seed
_GENERATORS = frozenset(
    "default_rng RandomState SeedSequence PCG64 PCG64DXSM Philox MT19937 SFC64 SystemRandom".split()
)


class Reads(RecordingError):
    """A function reads what cannot be compared."""


def need_no_readers(where: str, names: CodeNames, there: Mapping[str, Any]) -> None:
    """Raises :class:`Reads` for code that by its own names reads what cannot be compared.

    ``there`` are its global names, ``where`` is what is said before a name.
    """
    found = {name for name in _READERS & names.loaded if name not in there} | (_OF_PATHS & names.attributes)
    if found:
        raise Reads(
            f"The function under nnx.jit uses {where}{min(found)}, and what that reads is not compared. Read "
            "it outside, and give it as an argument."
        )
    if made := _GENERATORS & names.bare:
        raise Reads(
            f"The function under nnx.jit makes {where}{min(made)}() without a seed: the program would always "
            "have the same random numbers. Draw them outside, and give them as an argument."
        )


def need_comparable(path: str, name: str, x: Any, names: CodeNames | None) -> None:
    """Raises :class:`Reads` where ``x`` reads what cannot be compared: a function, a class or a module.

    ``names`` are those of the code that uses it, by the ``name`` there; they matter for a module.
    """
    module = isinstance(x, ModuleType)
    home = getattr(x, "__name__" if module else "__module__", "")
    if home in _CLOCKS:
        raise Reads(
            f"The function under nnx.jit uses {path}, which gives another answer whenever it is asked. "
            "Ask outside, and give the answer as an argument."
        )
    known = _OF_MODULES.get(home, frozenset()) if isinstance(home, str) else frozenset()
    if module and names is not None:
        found = {attribute for owner, attribute in names.dotted if owner == name and attribute in known}
    else:
        found = {getattr(x, "__name__", "")} & known
    if found:
        raise Reads(
            f"The function under nnx.jit reads files or the environment ({path}, {min(found)}), which are "
            "not compared. Read them outside, and give what they hold as an argument."
        )


def imported(one: Import, there: Mapping[str, Any]) -> list[ModuleType]:
    """The modules that an import binds, or makes attributes of others; none where it fails.

    ``there`` are the global names of the code.
    """
    try:
        name = importlib.util.resolve_name("." * one.level + one.module, there.get("__package__") or "")
        parts = name.split(".")
        return [importlib.import_module(".".join(parts[: k + 1])) for k in range(len(parts))]
    except ImportError:
        return []
