"""The rooms of nnx: a module imports only from rooms below its own, and inside a row only from further left.

The imports are read from the source (AST), also those inside functions and those under ``if TYPE_CHECKING:``,
behind which a circle could hide; only array libraries may be named there for the type checker alone. Where a
file imports modules by their names, each text in it that is the name of a module counts as an import.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]

# From the ground up; in each row from left to right.
ROOMS = (
    ("later", "errors", "options", "registry", "backend"),
    ("autodiff", "jitting", "parameters"),
    ("initializers", "activations", "losses", "metrics", "regularizers", "constraints"),
    ("layers", "optimizers"),
    ("utils", "datasets", "callbacks", "models", "plotting"),
    ("interop", "applications"),
)
STRANGERS = ("layers", "optimizers")  # neighbours that never see each other
# The same inside a room: its modules and sub-rooms from the ground up. Its __init__ lies above all of them.
SUBROOMS = {
    "optimizers": (
        ("refused", "options", "registering", "problem", "state", "method", "result"),
        ("schedules", "searches"),
        ("first_order", "descent"),
        ("squares",),
        ("functions",),
    ),
}
INNER_STRANGERS = ({"schedules", "searches"}, {"first_order", "descent"})

ARRAY_LIBRARIES = {"numpy", "cupy", "cupyx", "torch", "jax", "array_api_strict", "array_api_compat", "scipy"}
# Files and pictures are NumPy's business: these alone may import it outside the backend room.
MAY_IMPORT_NUMPY = ("nnx/datasets/", "nnx/utils/", "nnx/models/saving.py", "nnx/plotting/", "nnx/interop/")

MOST_LINES = 350


class Module(NamedTuple):
    """One source file: its dotted name, its path below the root, what it imports (name, line), its text.

    ``typed`` are the imports for the type checker alone, ``late`` those by a module's name in a text.
    """

    name: str
    path: str
    imports: tuple[tuple[str, int], ...]
    typed: tuple[tuple[str, int], ...]
    late: tuple[tuple[str, int], ...]
    tree: ast.AST

    @property
    def all_imports(self) -> tuple[tuple[str, int], ...]:
        return self.imports + self.typed


@cache
def modules(root: Path) -> dict[str, Module]:
    """Every module of the package ``nnx`` below ``root``, by its dotted name; read once."""
    files = {dotted(path.relative_to(root)): path for path in sorted((root / "nnx").rglob("*.py"))}
    found = {}
    for name, path in files.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        imports = tuple(imported(tree, package, set(files)))
        typed = tuple(imported(ast.Module(list(for_types(tree)), []), package, set(files)))
        late = tuple(imported_by_name(tree, imports, set(files)))
        found[name] = Module(name, path.relative_to(root).as_posix(), imports, typed, late, tree)
    return found


def dotted(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def imported(tree: ast.AST, package: str, known: set[str]) -> Iterator[tuple[str, int]]:
    """(module, line) for each import; ``from package import module`` counts as that module."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{source}.{alias.name}"
                yield (inner if inner in known else source), node.lineno
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from imported(ast.Module(node.orelse, []), package, known)
        else:
            yield from imported(node, package, known)


def imported_by_name(
    tree: ast.AST, imports: tuple[tuple[str, int], ...], known: set[str]
) -> Iterator[tuple[str, int]]:
    """(module, line) for each word of a text that names a module, in a file that imports modules by name."""
    if {"importlib", "nnx.later"} & {module for module, _ in imports}:
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                words = node.value.split()
                yield from ((word, node.lineno) for word in words if word in known - {"nnx"})


def for_types(tree: ast.AST) -> Iterator[ast.stmt]:
    """What stands under ``if TYPE_CHECKING:``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from node.body


def place(name: str, rooms=ROOMS, depth: int = 1) -> tuple[int, int] | None:
    """(row, position in it) of a module; the package itself lies above all, an unknown name nowhere."""
    parts = name.split(".")
    if len(parts) == depth or parts[depth] == "__main__":
        return len(rooms), 0
    for row, names in enumerate(rooms):
        if parts[depth] in names:
            return row, names.index(parts[depth])
    return None


def room_of(name: str) -> str:
    return ".".join(name.split(".")[:2])


def upward_edges(root: Path) -> list[str]:
    """Imports from a room above, from further right in the row, between strangers, or without a room."""
    wrong = []
    for module in modules(root).values():
        here = place(module.name)
        if here is None:
            wrong.append(f"{module.path}: has no room in ROOMS of tests/test_architecture.py")
            continue
        for target, line in module.all_imports + module.late:
            if target.split(".")[0] != "nnx" or room_of(target) == room_of(module.name):
                continue
            there = place(target)
            both = {room_of(target)[4:], room_of(module.name)[4:]}
            if there is not None and (there > here or both == set(STRANGERS)):
                wrong.append(f"{module.path}:{line}: imports {target}, which its room may not see")
    return wrong


def inner_upward_edges(root: Path) -> list[str]:
    """The same between the sub-rooms of a room."""
    wrong = []
    for module in modules(root).values():
        room = room_of(module.name)
        if (rooms := SUBROOMS.get(room[4:])) is None:
            continue
        here = place(module.name, rooms, 2)
        if here is None:
            wrong.append(f"{module.path}: has no place in SUBROOMS of tests/test_architecture.py")
            continue
        for target, line in module.all_imports + module.late:
            both = {".".join(name.split(".")[2:3]) for name in (module.name, target)}
            if room_of(target) != room or len(both) == 1:
                continue
            there = place(target, rooms, 2)
            if there is not None and (there > here or both in INNER_STRANGERS):
                wrong.append(f"{module.path}:{line}: imports {target}, which its sub-room may not see")
    return wrong


def cycle(root: Path) -> list[str]:
    """The modules of one import cycle, or nothing."""
    found = modules(root)
    graph = {m.name: {t for t, _ in m.all_imports if t in found} for m in found.values()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def deep_first(root: Path) -> list[str]:
    """Modules of another room imported before that room as a whole.

    Two threads that import at the same time wait for each other's modules, and Python gives up where they
    wait in a circle. A package is locked while it imports its modules; who has one of these locked already,
    and waits for the package, closes the circle. So each room's ``__init__`` begins with the whole rooms.
    """
    rooms = {name for name in modules(root) if name.count(".") == 1}
    order: dict[str, list[str]] = {}  # what a module imports, a room also where a module is taken from it
    below: dict[str, set[str]] = {}  # for each room those that it imports
    entered: dict[str, set[str]] = {}  # and those of which it imports single modules
    for module in modules(root).values():
        room = room_of(module.name)
        package = module.name if module.path.endswith("__init__.py") else module.name.rpartition(".")[0]
        order[module.name] = [t for t, _ in imported(module.tree, package, rooms) if t.startswith("nnx.")]
        others = {target for target in order[module.name] if room_of(target) != room != "nnx"}
        below.setdefault(room, set()).update(map(room_of, others))
        entered.setdefault(room, set()).update(room_of(target) for target in others - rooms)
    wrong = []
    for room, needed in sorted(entered.items()):
        there = list(takewhile(lambda target, room=room: target in rooms - {room}, order[room]))
        for other in there:  # which brings those that it imports
            there += [more for more in below[other] if more not in there]
        wrong += [f"{room}: first import {other}, as a whole" for other in sorted(needed - set(there))]
    return wrong


def foreign_arrays(root: Path) -> list[str]:
    """Imports of an array library outside the backend room."""
    return [
        f"{module.path}:{line}: imports {target}"
        for module in modules(root).values()
        for target, line in module.imports
        if (library := target.split(".")[0]) in ARRAY_LIBRARIES
        and not module.path.startswith("nnx/backend/")
        and not (library == "numpy" and module.path.startswith(MAY_IMPORT_NUMPY))
    ]


def privates_of_others(root: Path) -> list[str]:
    """Reads of ``other._private`` where the file does not define that name itself.

    What one file defines is one idea: its functions and classes know each other's details. A backend may
    know those of its array library; ``_replace`` and its kin are the public names of named tuples.
    """
    wrong = []
    for module in modules(root).values():
        if module.path.startswith("nnx/backend/"):
            continue
        own = set(defined(module.tree)) | {"_replace", "_fields", "_asdict", "_make", "_getframe"}
        wrong += [
            f"{module.path}:{node.lineno}: reads {ast.unparse(node)}"
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Attribute)
            and node.attr.startswith("_")
            and not node.attr.startswith("__")
            and ast.unparse(node.value) not in ("self", "cls", "super()")
            and node.attr not in own
        ]
    return wrong


def defined(tree: ast.AST) -> Iterator[str]:
    """Names that a file gives to functions, classes, variables, fields and attributes of ``self``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield from [node.attr] if ast.unparse(node.value) in ("self", "cls") else []


def long_files(root: Path) -> list[str]:
    """Files too long to hold one idea."""
    texts = {m.path: (root / m.path).read_text(encoding="utf-8") for m in modules(root).values()}
    return [f"{path}: {n} lines" for path, text in texts.items() if (n := text.count("\n")) >= MOST_LINES]


def test_the_package_was_found():
    assert {"nnx", "nnx.errors", "nnx.backend.selection"} <= set(modules(ROOT))


RULES = [upward_edges, inner_upward_edges, cycle, deep_first, foreign_arrays, privates_of_others, long_files]


@pytest.mark.parametrize("rule", RULES)
def test_nnx_keeps(rule):
    assert rule(ROOT) == []


# -- the checker itself, on a small house with one thing wrong ------------------------------------------

SOUND = {
    "nnx/__init__.py": "from nnx.layers import Dense\nfrom nnx.losses import mse",
    "nnx/errors.py": "import re",
    "nnx/later.py": "from importlib import import_module",
    "nnx/registry.py": "from nnx.errors import NnxError",
    "nnx/backend/__init__.py": "from nnx.backend.selection import namespace\nimport numpy as np",
    "nnx/backend/selection.py": "from nnx.errors import NnxError\nfrom .reference import Adapter",
    "nnx/backend/reference.py": "import numpy",
    "nnx/losses.py": "import importlib\nimportlib.import_module('nnx.backend')",
    "nnx/layers/__init__.py": "from nnx.layers.dense import Dense",
    "nnx/layers/dense.py": "from nnx import losses\nfrom ..backend import namespace",
    "nnx/optimizers/__init__.py": "from nnx.losses import mse\nfrom .functions.minimize import f",
    "nnx/optimizers/problem.py": "from nnx.registry import Registry",
    "nnx/optimizers/searches/__init__.py": "from nnx.optimizers.problem import read",
    "nnx/optimizers/first_order/adam.py": "from nnx.optimizers.problem import read",
    "nnx/optimizers/descent/bfgs.py": "from nnx.optimizers import searches",
    "nnx/optimizers/functions/minimize.py": "from nnx.optimizers.first_order.adam import Adam",
    "nnx/models/__init__.py": "from nnx.layers import Dense\nfrom nnx.optimizers import sgd",
    "nnx/models/saving.py": "import numpy as np",
    "nnx/plotting.py": "from nnx import models\nfrom nnx.layers.dense import Dense",
}


def build(root: Path, files: dict[str, str]) -> Path:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text + "\n", encoding="utf-8")
    return root


def test_a_sound_house_passes(tmp_path):
    build(tmp_path, SOUND)
    assert not any(rule(tmp_path) for rule in RULES)


@pytest.mark.parametrize(
    ("path", "text", "rule"),
    [
        ("nnx/losses.py", "from nnx.layers import Dense", upward_edges),
        ("nnx/losses.py", "import nnx.layers.dense", upward_edges),
        ("nnx/losses.py", "def f():\n    from nnx.models import x", upward_edges),
        ("nnx/losses.py", "try:\n    import nnx\nexcept ImportError:\n    pass", upward_edges),
        ("nnx/losses.py", "from . import layers", upward_edges),
        ("nnx/losses.py", "from nnx import grad", upward_edges),
        (
            "nnx/losses.py",
            "from importlib import import_module as late\nlate('nnx.layers.dense')",
            upward_edges,
        ),
        ("nnx/losses.py", "import importlib\nMADE = 'nnx.models nnx.layers'.split()", upward_edges),
        ("nnx/losses.py", "from nnx import later\nlater.announce('x', 'nnx.layers')", upward_edges),
        ("nnx/activations.py", "from nnx.losses import mse", upward_edges),
        ("nnx/errors.py", "from nnx.registry import Registry", upward_edges),
        ("nnx/layers/dense.py", "from nnx.optimizers import sgd", upward_edges),
        ("nnx/optimizers/__init__.py", "from nnx.layers import Dense", upward_edges),
        ("nnx/helpers.py", "", upward_edges),
        ("nnx/optimizers/problem.py", "from nnx.optimizers import searches", inner_upward_edges),
        ("nnx/optimizers/problem.py", "import nnx.optimizers.searches.base", inner_upward_edges),
        ("nnx/optimizers/descent/bfgs.py", "from ..functions.minimize import f", inner_upward_edges),
        ("nnx/optimizers/descent/bfgs.py", "from nnx.optimizers.first_order import adam", inner_upward_edges),
        ("nnx/optimizers/first_order/adam.py", "from nnx.optimizers import get", inner_upward_edges),
        ("nnx/optimizers/descent/bfgs.py", "import importlib\nMADE = 'nnx.optimizers'", inner_upward_edges),
        ("nnx/optimizers/helpers.py", "", inner_upward_edges),
        ("nnx/backend/reference.py", "from nnx.backend.selection import namespace", cycle),
        ("nnx/backend/reference.py", "from nnx.backend import namespace", cycle),
        ("nnx/backend/reference.py", "def f():\n    from . import namespace", cycle),
        ("nnx/plotting.py", "from nnx.layers.dense import Dense", deep_first),
        ("nnx/plotting.py", "from nnx.models.saving import x\nfrom nnx import models", deep_first),
        ("nnx/losses.py", "import numpy as np", foreign_arrays),
        ("nnx/layers/dense.py", "def f():\n    from torch.nn import functional", foreign_arrays),
        ("nnx/models/saving.py", "import cupy", foreign_arrays),
        ("nnx/losses.py", "if TYPE_CHECKING:\n    import re\nelse:\n    import numpy", foreign_arrays),
        ("nnx/losses.py", "if TYPE_CHECKING:\n    from nnx.layers import Dense", upward_edges),
        ("nnx/backend/reference.py", "if TYPE_CHECKING:\n    from nnx.backend import namespace", cycle),
        ("nnx/losses.py", "def f(x):\n    return x._state", privates_of_others),
        ("nnx/losses.py", "def f(model):\n    model._w[...] = 0", privates_of_others),
        ("nnx/losses.py", "x = 1\n" * MOST_LINES, long_files),
    ],
)
def test_a_planted_violation_is_caught(tmp_path, path, text, rule):
    assert rule(build(tmp_path, SOUND | {path: text}))


def test_array_libraries_may_be_named_for_the_type_checker(tmp_path):
    text = "import typing\nif typing.TYPE_CHECKING:\n    import numpy\n    from nnx.backend import x"
    build(tmp_path, SOUND | {"nnx/losses.py": text})
    assert not any(rule(tmp_path) for rule in RULES)


def test_privates_of_ones_own_file_are_known_there(tmp_path):
    text = (
        "class A:\n    def __init__(self):\n        self._x = 1\ndef f(a):\n    return a._x, a._replace(b=1)"
    )
    assert not privates_of_others(build(tmp_path, SOUND | {"nnx/losses.py": text}))
