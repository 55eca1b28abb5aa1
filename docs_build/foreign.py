"""Where the objects of other libraries are documented."""

from __future__ import annotations

import functools
import importlib
import zlib
from pathlib import Path

INVENTORIES = Path(__file__).parent / "inventories"
#: where the documentation of each inventory stands
BASES = {
    "python": "https://docs.python.org/3/",
    "scipy": "https://docs.scipy.org/doc/scipy/",
    "array_api": "https://data-apis.org/array-api/latest/",
}
#: What has no inventory here has one page for each object, whose address follows from its name.
PATTERNS = {
    "numpy": "https://numpy.org/doc/stable/reference/generated/{0}.html#{0}",
    "scipy": "https://docs.scipy.org/doc/scipy/reference/generated/{0}.html#{0}",
    "matplotlib": "https://matplotlib.org/stable/api/_as_gen/{0}.html#{0}",
    "cupy": "https://docs.cupy.dev/en/stable/reference/generated/{0}.html#{0}",
    "sklearn": "https://scikit-learn.org/stable/modules/generated/{0}.html#{0}",
}
#: ... with exceptions.
NUMPY = "https://numpy.org/doc/stable/reference/"
ADDRESSES = {
    "numpy": NUMPY + "index.html",
    "scipy": BASES["scipy"] + "reference/index.html",
    "matplotlib": "https://matplotlib.org/stable/api/index.html",
    "cupy": "https://docs.cupy.dev/en/stable/reference/index.html",
    "array_api": BASES["array_api"],
    "numpy.random.default_rng": NUMPY + "random/generator.html#numpy.random.default_rng",
    "numpy.random.Generator": NUMPY + "random/generator.html#numpy.random.Generator",
    "numpy.random.Philox": NUMPY + "random/bit_generators/philox.html#numpy.random.Philox",
    "numpy.linalg": NUMPY + "routines.linalg.html",
    "numpy.fft": NUMPY + "routines.fft.html",
    "numpy.random": NUMPY + "random/index.html",
    "numpy.float32": NUMPY + "arrays.scalars.html#numpy.float32",
    "numpy.float64": NUMPY + "arrays.scalars.html#numpy.float64",
    "scipy.optimize": BASES["scipy"] + "reference/optimize.html",
    "scipy.special": BASES["scipy"] + "reference/special.html",
    "matplotlib.pyplot": "https://matplotlib.org/stable/api/pyplot_summary.html",
    "cupyx.profiler.benchmark": "https://docs.cupy.dev/en/stable/reference/generated/cupyx.profiler.benchmark.html",
}


def address(name: str) -> str | None:
    """The web address of the documentation of an object; None if there is no such object."""
    if name in ADDRESSES:
        return ADDRESSES[name]
    for inventory, base in BASES.items():
        if (uri := _inventory(inventory).get(name)) is not None:
            return base + uri
    library = name.partition(".")[0]
    if library not in PATTERNS or not _exists(name):
        return None
    if name.startswith("numpy.random.Generator."):
        return f"{NUMPY}random/generated/{name}.html#{name}"
    return PATTERNS[library].format(name)


def _exists(name: str) -> bool:
    """Whether a library has that name. CuPy, which needs a GPU, is taken to have what NumPy has."""
    library, _, rest = name.partition(".")
    try:
        value = importlib.import_module("numpy" if library == "cupy" else library)
    except ImportError:
        return False
    path = value.__name__
    for part in rest.split("."):
        path = f"{path}.{part}"
        if not hasattr(value, part):
            try:
                importlib.import_module(path)
            except ImportError:
                return False
        value = getattr(value, part)
    return True


@functools.cache
def _inventory(name: str) -> dict[str, str]:
    """The Python objects of a Sphinx inventory: name → address relative to the documentation."""
    data = (INVENTORIES / f"{name}.inv").read_bytes()
    *_, compressed = data.split(b"\n", 4)
    found = {}
    for line in zlib.decompress(compressed).decode("utf-8").splitlines():
        full_name, kind, _, uri, _ = line.split(" ", 4)
        if kind.startswith("py:"):
            found[full_name] = uri.replace("$", full_name)
    return found


def write_inventory(project: str, version: str, objects: dict[str, tuple[str, str]]) -> bytes:
    """An inventory in Sphinx' format, version 2, of objects: name → (kind, address)."""
    head = f"# Sphinx inventory version 2\n# Project: {project}\n# Version: {version}\n"
    head += "# The remainder of this file is compressed using zlib.\n"
    lines = (f"{name} py:{kind} 1 {uri} -\n" for name, (kind, uri) in sorted(objects.items()))
    return head.encode() + zlib.compress("".join(lines).encode(), 9)
