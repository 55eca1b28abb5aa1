"""The public objects of nnx: on which page of the reference each stands, and by which names it is known."""

from __future__ import annotations

import functools
import importlib
import inspect
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from docs_build.folders import BuildError


@dataclass(frozen=True)
class Page:
    """A page of the reference: the public names of a module, or those defined below one of its rooms."""

    stem: str
    module: str
    #: the room whose objects the page holds; another page of the same module holds the rest
    room: str = ""

    @property
    def title(self) -> str:
        return TITLES.get(self.stem, self.module)


PAGES = (
    Page("autodiff", "nnx.autodiff"),
    Page("jit", "nnx.jitting"),
    Page("models", "nnx.models"),
    Page("layers", "nnx.layers"),
    Page("activations", "nnx.activations"),
    Page("initializers", "nnx.initializers"),
    Page("losses", "nnx.losses"),
    Page("metrics", "nnx.metrics"),
    Page("regularizers", "nnx.regularizers"),
    Page("constraints", "nnx.constraints"),
    Page("functions", "nnx.optimizers", "nnx.optimizers.functions"),
    Page("first_order", "nnx.optimizers", "nnx.optimizers.first_order"),
    Page("descent", "nnx.optimizers", "nnx.optimizers.descent"),
    Page("squares", "nnx.optimizers", "nnx.optimizers.squares"),
    Page("optimizers", "nnx.optimizers"),
    Page("searches", "nnx.optimizers.searches"),
    Page("schedules", "nnx.optimizers.schedules"),
    Page("applications", "nnx.applications"),
    Page("callbacks", "nnx.callbacks"),
    Page("datasets", "nnx.datasets"),
    Page("plotting", "nnx.plotting"),
    Page("backend", "nnx.backend"),
    Page("parameters", "nnx.parameters"),
    Page("options", "nnx.options"),
    Page("registry", "nnx.registry"),
    Page("errors", "nnx.errors"),
    Page("utils", "nnx.utils"),
)
#: the modules that have a page; of those with several the last one
MODULES = {page.module: page for page in PAGES}
TITLES = {
    "functions": "Functions: minimize, least_squares, curve_fit",
    "first_order": "Optimizers of first order",
    "descent": "Optimizers on all data",
    "squares": "Optimizers for sums of squares",
    "optimizers": "What optimizers have in common",
    "jit": "Recorded programs: jit",
}


@dataclass(frozen=True)
class Public:
    """A public object: its entry's name, the page, and all names that lead to the entry."""

    name: str
    value: Any
    page: Page
    names: tuple[str, ...]
    #: the names by which a registry finds it ("relu", "ReLU")
    registered: tuple[str, ...] = ()
    #: the row of the registry
    entry: Any = None

    @property
    def kind(self) -> str:
        """What the entry is, in the words of Sphinx' directives."""
        if inspect.isclass(self.value):
            return "exception" if issubclass(self.value, BaseException) else "class"
        is_function = isinstance(self.value, types.FunctionType | types.MethodType)
        # a function turned into an object
        is_object = callable(self.value) and hasattr(self.value, "__wrapped__")
        return "function" if is_function or is_object else "data"


def exported(module: types.ModuleType) -> list[str]:
    """The public names of a module: its ``__all__``, else what it defines itself, in order."""
    if hasattr(module, "__all__"):
        return list(module.__all__)
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]


@functools.cache
def public_objects() -> tuple[Public, ...]:
    """Every public object, page by page."""
    names: dict[int, list[str]] = {}
    objects: dict[int, Any] = {}
    homes: dict[int, Page] = {}
    for page, name, value in _exports():
        key = id(value) if not _is_plain(value) else hash((page.module, name))
        names.setdefault(key, []).append(f"{page.module}.{name}")
        objects.setdefault(key, value)
        homes[key] = _nearer(homes.get(key), page, value)
    package = importlib.import_module("nnx")
    for name in exported(package):
        value = getattr(package, name)
        if not isinstance(value, types.ModuleType):
            if id(value) not in names:
                raise BuildError(f"nnx.{name} stands in no page of the reference (docs_build/names.py).")
            names[id(value)].insert(0, f"nnx.{name}")
    found = [_public(objects[key], homes[key], names[key]) for key in names]
    order = {page: k for k, page in enumerate(PAGES)}
    return tuple(sorted(found, key=lambda public: (order[public.page], public.name.count(".") > 1)))


def _exports() -> Iterator[tuple[Page, str, Any]]:
    for module_name in dict.fromkeys(page.module for page in PAGES):
        module = importlib.import_module(module_name)
        pages = [page for page in PAGES if page.module == module_name]
        for name in exported(module):
            value = getattr(module, name)
            if not isinstance(value, types.ModuleType):
                yield _room(pages, value), name, value
            elif value.__name__ not in MODULES:
                inner = [(name, n, getattr(value, n)) for n in exported(value)]
                yield from ((pages[-1], f"{outer}.{n}", v) for outer, n, v in inner)


def _room(pages: list[Page], value: Any) -> Page:
    where = getattr(value, "__module__", "") or ""
    return next((p for p in pages if p.room and where.startswith(p.room)), pages[-1])


def _nearer(known: Page | None, page: Page, value: Any) -> Page:
    """Of two pages whose modules both export the object the one where it is defined."""
    where = getattr(value, "__module__", "") or ""
    return page if known is None or where.startswith(page.module) else known


def _is_plain(value: Any) -> bool:
    """Whether the value may be shared by chance, as numbers and bound methods are."""
    return isinstance(value, int | float | str | bool | tuple | types.MethodType)


def _public(value: Any, page: Page, names: list[str]) -> Public:
    own = getattr(value, "__name__", "")
    here = [n for n in names if n.startswith(f"{page.module}.")]
    best = [n for n in names if n.count(".") == 1] + [n for n in here if n.endswith(f".{own}")] + here
    defined = f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', '')}"
    if isinstance(value, types.MethodType) or not _is_dotted(defined):
        defined = best[0]
    home = importlib.import_module(page.module)
    registry = getattr(home, "registry", None)
    entry = registry.find(value) if hasattr(registry, "find") and callable(value) else None
    if entry is None:
        return Public(best[0], value, page, tuple(dict.fromkeys([best[0], *names, defined])))
    registered = tuple(dict.fromkeys((entry.name, entry.class_name, *entry.aliases)))
    public = exported(home)
    free = [r for r in registered if r.isidentifier() and (r not in public or getattr(home, r) is value)]
    every = dict.fromkeys([best[0], *names, defined, *(f"{page.module}.{r}" for r in free)])
    return Public(best[0], value, page, tuple(every), registered, entry)


def _is_dotted(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))
