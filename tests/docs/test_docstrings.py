"""What every public docstring must say: what it is, shapes, ranges, errors, an example that runs, a source.

The rules are mechanical. A text that keeps them can still be wrong; where a claim can be computed
(``Shapes:`` lines, allowed values of options) other tests here compute it.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import re
import textwrap
from functools import cache
from typing import Any

from docs.public_objects import Public, plain, public_objects
from walks import walk

from nnx import errors
from nnx.options import allowed_values

OBJECTS = public_objects()
CALLABLE = [thing for thing in OBJECTS if thing.category in ("class", "function", "method", "property")]

#: Kinds of things that Keras, SciPy, a paper or a book defined first.
DEFINED_ELSEWHERE = {
    "activation", "constraint", "initializer", "layer", "loss", "metric", "optimizer", "regularizer",
    "schedule", "search",
}  # fmt: skip
#: Modules whose public functions and classes have their counterpart in other libraries, or in papers.
WITH_COUNTERPARTS = ("nnx.datasets.", "nnx.utils.")
TOP_LEVEL = {"curve_fit", "least_squares", "load_model", "minimize", "Model", "Sequential", "Input"}
DERIVATIVES = {
    "check_derivatives", "checkpoint", "custom_derivative", "grad", "hessian", "hvp", "implicit", "jacobian",
    "jvp", "per_sample_grad", "per_sample_jacobian", "stop_gradient", "value_and_grad", "vjp",
}  # fmt: skip

#: What every function calls on its arrays. That these refuse what is no array is said there, once.
SAID_ONCE = ("namespace", "adapter_of", "space_of", "to_numpy", "get_backend")

#: Classes whose methods nnx calls, and you override or read: the example of the class shows how.
EXTENSION_POINTS = {
    "nnx.autodiff.Traced": "the array object of the standard",
    "nnx.backend.Adapter": "one for each array library",
    "nnx.backend.SpecialFunctions": "SciPy's functions by name",
    "nnx.callbacks.Callback": "hooks",
    "nnx.callbacks.ReduceLROnPlateau": "hooks",
    "nnx.layers.Context": "what a random layer is given",
    "nnx.layers.Weight": "what a layer's spec is made of",
    "nnx.losses.Loss": "call is written, the rest is called by a model",
    "nnx.optimizers.FunctionProblem": "the protocol of Problem and Point",
    "nnx.optimizers.ResidualProblem": "the protocol of Problem and Point",
    "nnx.optimizers.Optimizer": "a protocol",
    "nnx.optimizers.Problem": "a protocol",
    "nnx.optimizers.Point": "what a problem makes, and methods ask",
    "nnx.optimizers.FirstOrder": "a method's parts",
    "nnx.optimizers.PerArray": "a method's parts",
    "nnx.optimizers.Deterministic": "a method's parts",
    "nnx.optimizers.Descent": "a method's parts",
    "nnx.optimizers.TrustRegion": "a method's parts",
    "nnx.optimizers.SumOfSquares": "a method's parts",
    "nnx.optimizers.searches.Line": "a protocol",
    "nnx.optimizers.searches.Search": "a search's parts",
}
#: What is an extension point of a registered class is one of it too: a method's parts.
KINDS_OF_EXTENSION_POINTS = {"optimizer", "search", "layer", "metric"}
#: Methods that one room of nnx calls in another: they are described, but no part of what users write.
BETWEEN_ROOMS = {
    "nnx.Model": "trainer check_save restore_training save_training load_training count_epochs plain "
    "network label own_weights training_config",
    "nnx.layers.Layer": "spec parts forward per_sample with_changes spec_for trained_flags weight_facts "
    "label described not_built home moves_in settles moves_out brings brought duplicate",
    "nnx.metrics.Metric": "traits direction ranks_only",
    "nnx.callbacks.CallbackList": "check resume stopping close",
    "nnx.callbacks.BackupAndRestore": "resume",
    "nnx.callbacks.EarlyStopping": "improved",
    "nnx.callbacks.ModelCheckpoint": "improved",
}

RANGE = re.compile(
    r"[<>≤≥∈]|\d|\bfrom\b.*\bto\b|\bbetween\b|\bat (least|most)\b|\bpositive\b|\bfraction|\bseconds\b"
    r"|\bbytes\b|\b(number|share|count)s? of\b|\bhow many\b|\baxis\b|\baxes\b|\bin \("
    r"|\bNone\b|\bany numbers?\b|\bunits\b|\bwhole number"
)
SHAPE = re.compile(
    r"\b[Ss]hapes?\b|\bscalars?\b|0-d|\bvectors?\b|\bmatri|\bax[ei]s\b|entry by entry|\brows?\b|\bn × n\b"
    r"|\((\*?\w+|\.\.\.), |\((\w+,|)\)"
)
RAISES = re.compile(r"\b[Rr]aises?\b|\braised\b|Error\b|NotBuilt|UnknownName|BackendUnavailable|\bis refused")
NUMERIC = re.compile(r"^(ForwardRef\(')?(\w+ \| )*(int|float)\b(?!\])|^(tuple|Sequence)\[(int|float)\b")
EXAMPLE = re.compile(r"^\s*>>> ", re.M)
SOURCE = re.compile(r"\bSources?( of [\w ]+)?: ", re.M)


def whole(thing: Public) -> str:
    """The docstring and, of a class, those of its base classes; of a method, that of its class as well."""
    classes = [thing.target] if inspect.isclass(thing.target) else [thing.owner] if thing.owner else []
    bases = [
        base.__doc__ or "" for cls in classes for base in cls.__mro__ if base.__module__.startswith("nnx.")
    ]
    return "\n".join([thing.doc, *bases])


@walk("thing", [thing for thing in OBJECTS if thing.category != "constant"])
def test_it_opens_with_one_short_sentence(thing: Public) -> None:
    assert thing.doc, "no docstring"
    opening = thing.doc.partition("\n\n")[0].partition("\n- ")[0]
    assert opening.rstrip().endswith((".", ":", "...", "``")), opening
    assert len(opening.splitlines()) <= 3, "the first paragraph is no summary"


@walk("thing", [thing for thing in OBJECTS if thing.category == "constant"])
def test_a_constant_is_explained_where_it_is_defined(thing: Public) -> None:
    """By a comment ``#:`` above it; a registry by its class."""
    module, _, name = thing.name.rpartition(".")
    if name == "registry":
        assert type(thing.target).__doc__
        return
    files = [inspect.getsource(m) for m in modules_below(module)]
    assert any(re.search(rf"^#: .*\n(#.*\n)*{name}\b.* = ", text, re.M) for text in files)


def modules_below(name: str) -> list[Any]:
    import sys

    return [m for key, m in sys.modules.items() if key == name or key.startswith(f"{name}.")]


def takes_arrays(thing: Public) -> bool:
    annotations = [a for f in thing.body for a in getattr(f, "__annotations__", {}).values()]
    return any(re.search(r"\bArray\b", str(annotation)) for annotation in annotations)


@walk("thing", [thing for thing in CALLABLE if takes_arrays(thing)])
def test_shapes(thing: Public) -> None:
    """Of what takes or returns arrays."""
    assert SHAPE.search(thing.doc) or (thing.owner and SHAPE.search(whole(thing)))


def numeric_options(thing: Public) -> list[str]:
    """Its arguments that are numbers and have no check whose words the documentation shows."""
    if thing.category == "property" or thing.name.startswith("nnx.options."):
        return []
    try:
        parameters = inspect.signature(thing.target).parameters
    except (TypeError, ValueError):
        return []
    checked = {name for name, text in described(thing).items() if not text.startswith(";")}
    return [
        name
        for name, parameter in parameters.items()
        if name not in checked and NUMERIC.search(str(parameter.annotation))
    ]


def described(thing: Public) -> dict[str, str]:
    return allowed_values(plain(thing.target), dict(thing.checks))


@walk("thing", [thing for thing in CALLABLE if numeric_options(thing)])
def test_ranges(thing: Public) -> None:
    """A sentence that names the number says its range, unit or meaning as a count."""
    paragraphs = re.split(r"(?<=\.)\s|\n\s*\n|\n- |\n +(?=\w+: )", whole(thing))
    for name in numeric_options(thing):
        about = [text for text in paragraphs if re.search(rf"\b{name}\b", text)]
        assert about, f"{name} is not mentioned"
        assert any(RANGE.search(" ".join(text.split())) for text in about), f"what may {name} be?"


@walk("thing", [thing for thing in OBJECTS if thing.checks or thing.kind])
def test_every_check_can_be_put_into_words(thing: Public) -> None:
    empty = [name for name, text in described(thing).items() if text.startswith(";")]
    assert not empty


@cache
def raised(function: Any, depth: int = 2) -> frozenset[str]:
    """The errors that a function's code raises itself, or by the nnx functions that it calls directly."""
    try:
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    except (OSError, TypeError, SyntaxError):
        return frozenset()
    found = set()
    for node in (part for line in getattr(definition, "body", []) for part in ast.walk(line)):
        if isinstance(node, ast.Raise) and node.exc is not None:
            name = getattr(node.exc, "func", node.exc)
            found.add(getattr(name, "id", getattr(name, "attr", "")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and depth:
            if node.func.id in SAID_ONCE:
                continue
            called = plain(function.__globals__.get(node.func.id))
            if inspect.isfunction(called) and str(called.__module__).startswith("nnx."):
                found |= raised(called, depth - 1)
    return frozenset(name for name in found if is_an_answer_to_bad_input(name))


def is_an_answer_to_bad_input(name: str) -> bool:
    known = vars(errors) | {"TypeError": TypeError, "ValueError": ValueError}
    return inspect.isclass(known.get(name)) and issubclass(known[name], Exception)


def errors_of(thing: Public) -> frozenset[str]:
    return frozenset().union(*(raised(function) for function in thing.body))


@walk("thing", [thing for thing in CALLABLE if errors_of(thing)])
def test_errors(thing: Public) -> None:
    """Of what raises, itself or in a function that it calls first."""
    part = thing.owner is not None and thing.name.rpartition(".")[0] in EXTENSION_POINTS
    said = whole(thing) if part else thing.doc
    assert RAISES.search(said), f"raises {', '.join(sorted(errors_of(thing)))}"


def test_errors_that_are_named_exist() -> None:
    for thing in OBJECTS:
        for name in re.findall(r":class:`~?nnx\.errors\.(\w+)`", thing.doc):
            assert hasattr(errors, name), (thing.name, name)
        for name in re.findall(r"``([A-Z]\w+Error)``", thing.doc):
            assert hasattr(builtins, name), (thing.name, name)  # nnx's own are links


def needs_example(thing: Public) -> bool:
    if thing.owner is None:
        return True
    cls, _, name = thing.name.rpartition(".")
    kind = next((other.kind for other in OBJECTS if other.target is thing.owner), "")
    part = cls in EXTENSION_POINTS or kind in KINDS_OF_EXTENSION_POINTS
    return not part and name not in BETWEEN_ROOMS.get(cls, "").split()


@walk("thing", list(OBJECTS))
def test_no_mark_of_restructured_text_by_accident(thing: Public) -> None:
    """A bare |x| would be a substitution, and *shape the start of emphasis: these stand in ``...``."""
    prose = re.sub(r"``[^`]+``|^ *(>>>|\.\.\.) .*$|\n\n( {4}.*\n)+", "", thing.doc, flags=re.M)
    assert not re.search(r"(?<![\w\\])\|[^\s|][^|\n]*\|", prose)
    assert not re.search(r"(?<!\w)\*(?=\w)", re.sub(r"\*{1,2}\w[^*]*\*{1,2}", "", prose))


def test_the_exceptions_to_the_rule_are_there() -> None:
    names = {thing.name for thing in OBJECTS}
    listed = {f"{cls}.{name}" for cls, methods in BETWEEN_ROOMS.items() for name in methods.split()}
    assert names >= EXTENSION_POINTS.keys() | listed


@walk("thing", [thing for thing in CALLABLE if needs_example(thing)])
def test_it_has_an_example(thing: Public) -> None:
    """Its own, or of a method one in its class that uses it."""
    if EXAMPLE.search(thing.doc):
        return
    assert thing.owner is not None, "no example"
    name = thing.name.rpartition(".")[2]
    code = "\n".join(line for line in whole(thing).splitlines() if line.lstrip().startswith((">>>", "...")))
    assert re.search(rf"\.{name}\b", code), "no example, and none in its class"


def has_source(thing: Public) -> bool:
    name = thing.name.rpartition(".")[2]
    return thing.kind in DEFINED_ELSEWHERE or (
        thing.category in ("function", "class")
        and (
            thing.name.startswith(WITH_COUNTERPARTS)
            or thing.name in {f"nnx.{n}" for n in TOP_LEVEL | DERIVATIVES}
            or (thing.name.startswith("nnx.callbacks.") and name not in ("EpochLines", "StoppingRule"))
        )
    )


@walk("thing", [thing for thing in OBJECTS if has_source(thing)])
def test_it_names_its_source(thing: Public) -> None:
    """A paper or book with its page, or the function of another library that it follows."""
    assert SOURCE.search(thing.doc)
