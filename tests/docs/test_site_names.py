"""The names of the site: what is public, where it is documented, and how the pages' links find it."""

from __future__ import annotations

import types
import zlib

import pytest

import nnx
from docs_build import foreign, listings, signatures
from docs_build.addresses import Addresses
from docs_build.folders import BuildError
from docs_build.names import MODULES, PAGES, exported, public_objects
from docs_build.references import References, absolute_links

PUBLIC = public_objects()
ADDRESSES = Addresses()
REGISTRIES = "activations losses metrics initializers regularizers constraints optimizers layers".split()


def test_every_name_of_the_package_has_an_entry():
    values = [(name, getattr(nnx, name)) for name in nnx.__all__]
    names = {public.name for public in PUBLIC}
    assert [n for n, v in values if not isinstance(v, types.ModuleType) and f"nnx.{n}" not in names] == []
    modules = [v.__name__ for _, v in values if isinstance(v, types.ModuleType)]
    assert [m for m in modules if m not in MODULES] == []


@pytest.mark.parametrize("room", REGISTRIES)
def test_everything_registered_has_an_entry(room):
    values = {id(public.value) for public in PUBLIC}
    # other tests register things of their own
    own = [e for e in getattr(nnx, room).registry if e.target.__module__.startswith("nnx.")]
    assert len(own) > 2
    assert [entry.name for entry in own if id(entry.target) not in values] == []


def test_each_object_and_each_name_stands_once():
    names = [name for public in PUBLIC for name in public.names]
    assert len(names) == len(set(names))
    assert {public.page for public in PUBLIC} == set(PAGES)


def test_names_without_all_are_those_that_a_module_defines():
    module = types.ModuleType("nnx.example")
    exec("import math\nclass Thing: ...\n_hidden = Thing\nnumber = 1", vars(module))
    assert exported(module) == ["Thing"]


PLACES = {
    "nnx": "api/index.html",
    "nnx.layers": "api/layers.html",
    "nnx.grad": "api/autodiff.html#nnx.grad",
    "nnx.autodiff.grad": "api/autodiff.html#nnx.grad",
    "nnx.minimize": "api/functions.html#nnx.minimize",
    "nnx.optimizers.Adam": "api/first_order.html#nnx.optimizers.Adam",
    "nnx.optimizers.trainlm": "api/squares.html#nnx.optimizers.LevenbergMarquardt",
    "nnx.activations.LeakyReLU": "api/activations.html#nnx.activations.leaky_relu",
    "nnx.Sequential.fit": "api/models.html#nnx.Model.fit",
    "nnx.datasets.mnist.load_data": "api/datasets.html#nnx.datasets.mnist.load_data",
    "numpy.exp": "https://numpy.org/doc/stable/reference/generated/numpy.exp.html#numpy.exp",
    "array_api.linalg.qr": "https://data-apis.org/array-api/latest/extensions/generated/array_api.linalg.qr.html"
    "#array_api.linalg.qr",
    "math.exp": "https://docs.python.org/3/library/math.html#math.exp",
    "cupy.asarray": "https://docs.cupy.dev/en/stable/reference/generated/cupy.asarray.html#cupy.asarray",
    "scipy.optimize.least_squares": "https://docs.scipy.org/doc/scipy/reference/generated/"
    "scipy.optimize.least_squares.html#scipy.optimize.least_squares",
    "matplotlib.pyplot.subplots": "https://matplotlib.org/stable/api/_as_gen/matplotlib.pyplot.subplots.html"
    "#matplotlib.pyplot.subplots",
}


@pytest.mark.parametrize("name", PLACES)
def test_a_name_leads_to_its_place(name):
    assert ADDRESSES.find(name) == PLACES[name]


@pytest.mark.parametrize(
    "name", ["nnx.grat", "nnx.Model.fitt", "nnx.nowhere.grad", "numpy.expp", "nothing.at.all"]
)
def test_there_is_no_place_for_a_wrong_name(name):
    assert ADDRESSES.find(name) is None


def test_what_is_not_public_leads_to_its_lines():
    place = ADDRESSES.find("nnx.optimizers.first_order.adam.adam")
    assert place is not None and place.startswith("source/nnx/optimizers/first_order/adam.html#L-")


def test_links_by_name_are_resolved_outside_code():
    references = References()
    text = "A [`grad`][nnx.grad], not `[x][nnx.grad]`.\n\n```python\n[a][nnx.jvp]; nnx.vjp\n```\n"
    shown = references.resolved(text, "tutorials/x.md")
    assert shown == text.replace("[`grad`][nnx.grad]", "[`grad`](../api/autodiff.md#nnx.grad)", 1)
    assert references.mentions["nnx.grad"] == {"tutorials/x.md": True}
    assert references.mentions["nnx.vjp"] == {"tutorials/x.md": False}


def test_links_that_a_page_defines_itself_are_left_alone():
    text = "[the book][book]\n\n[book]: https://example.org\n"
    assert References().resolved(text, "x.md") == text


def test_an_unknown_name_fails():
    with pytest.raises(BuildError, match=r"x\.md.*nnx\.grat"):
        References().resolved("[`nnx.grat`][nnx.grat]", "x.md")


def test_a_notebook_has_addresses_of_the_site_or_none():
    text = "[BFGS](../derivations/bfgs.md#why) and [`nnx.grad`][nnx.grad]"
    site = "https://example.org/nnx/"
    absolute = References().resolved(
        absolute_links(text, "tutorials/x.md", site), "tutorials/x.md", site=site
    )
    assert "[BFGS](https://example.org/nnx/derivations/bfgs.html#why)" in absolute
    assert "[`nnx.grad`](https://example.org/nnx/api/autodiff.html#nnx.grad)" in absolute
    bare = References().resolved(absolute_links(text, "tutorials/x.md", ""), "tutorials/x.md", site="")
    assert bare == "BFGS and `nnx.grad`"


def test_source_lines_take_the_place_of_a_directive():
    text = "<!-- source: nnx.optimizers.first_order.adam:Adam -->\n"
    shown = listings.expanded(text, "derivations/adam.md")
    assert "class Adam(FirstOrder):" in shown and "@dataclass(frozen=True)" in shown
    assert '"""Adam: m' not in shown  # the docstring stands in the reference
    assert "](../source/nnx/optimizers/first_order/adam.md#L-" in shown
    assert "`nnx/optimizers/first_order/adam.py`, lines " in shown


@pytest.mark.parametrize(
    "wrong",
    [
        "<!-- source: nnx.losses:nope -->",
        "<!-- source: nnx.losses.mse -->",
        "a <!-- source: nnx.losses:huber -->",
    ],
)
def test_a_wrong_directive_fails(wrong):
    with pytest.raises(BuildError):
        listings.expanded(wrong + "\n", "x.md")


def test_an_inventory_can_be_read_again():
    data = foreign.write_inventory("nnx", "1.0", {"nnx.grad": ("function", "api/autodiff.html#nnx.grad")})
    *head, body = data.split(b"\n", 4)
    assert head[0] == b"# Sphinx inventory version 2" and head[1] == b"# Project: nnx"
    assert zlib.decompress(body) == b"nnx.grad py:function 1 api/autodiff.html#nnx.grad -\n"


def test_signatures_leave_out_types_that_say_nothing():
    assert signatures.of(nnx.activations.leaky_relu) == "(x, *, negative_slope: float = 0.2)"
    assert signatures.broken("f", ["a", "b=1"], "float") == "f(a, b=1) -> float"
    long = signatures.broken("f", [f"argument_number_{k}" for k in range(6)], "")
    assert long.splitlines()[1] == "    argument_number_0,"
