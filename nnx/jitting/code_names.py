"""Which names the code of a function reads: global ones, modules that it imports, attributes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from types import CodeType
from typing import NamedTuple


class Import(NamedTuple):
    """An import inside of a function."""

    module: str
    #: 0 of an absolute import, 1 of one from the function's own package, ...
    level: int


class CodeNames(NamedTuple):
    """The names in the code of a function, and in that of the functions inside of it."""

    #: global names and those of builtins
    loaded: frozenset[str]
    imported: frozenset[Import]
    #: attributes, methods, what is imported from modules; where ``getattr`` is called all texts as well
    attributes: frozenset[str]
    #: names with the attribute that is asked of them at once
    dotted: frozenset[tuple[str, str]]
    #: what is called without an argument
    bare: frozenset[str]
    #: whether it asks which object something is, by ``x is y`` (y other than None) or ``id(x)``
    compares: bool


@lru_cache(maxsize=1024)
def code_names(code: CodeType) -> CodeNames:
    """The names in ``code``, and in the code of functions inside of it.

    >>> def area(r):
    ...     import math
    ...     return math.pi * r.real ** 2 * SCALE
    >>> names = code_names(area.__code__)
    >>> sorted(names.loaded), sorted(names.attributes)
    (['SCALE'], ['pi', 'real'])
    >>> sorted(names.imported), sorted(names.dotted)
    ([Import(module='math', level=0)], [('math', 'pi'), ('r', 'real')])
    """
    import dis  # only where something is recorded

    loaded, imported, attributes = set[str](), set[Import](), set[str]()
    dotted, bare, compares = set[tuple[str, str]](), set[str](), False
    for part in _parts(code):
        last, level, module, before = "", 0, "", None
        for step in dis.get_instructions(part):
            name, kind = step.argval, step.opname
            if type(name) is int and kind.startswith("LOAD_"):
                level = name  # an import follows the loading of its level
            if kind == "CALL" and not step.arg:
                bare.add(last)
            compares |= kind == "IS_OP" and before is not None
            before = name
            if kind == "IMPORT_NAME":
                imported.add(Import(name, level))
                module = name
            elif kind.startswith(("LOAD_GLOBAL", "LOAD_NAME")):
                loaded.add(name)
            elif kind.startswith(("LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM")):
                attributes.add(name)
                dotted.add((module if kind == "IMPORT_FROM" else last, name))
            if kind not in ("PUSH_NULL", "PRECALL", "CACHE"):
                last = name if kind.startswith("LOAD_") and isinstance(name, str) else ""
        if "getattr" in part.co_names:
            attributes |= {text for text in part.co_consts if isinstance(text, str)}
    return CodeNames(
        frozenset(loaded),
        frozenset(imported),
        frozenset(attributes),
        frozenset(dotted),
        frozenset(bare),
        compares or "id" in loaded,
    )


def _parts(code: CodeType) -> Iterator[CodeType]:
    """The code, and that of the functions inside of it."""
    yield code
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield from _parts(part)
