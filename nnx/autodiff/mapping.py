"""``vmap``: a function of one sample as a function of many."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from functools import wraps
from typing import Any

from nnx.autodiff.array import Traced
from nnx.autodiff.batching.adapter import batched_over
from nnx.autodiff.batching.array import Batch, Batched
from nnx.autodiff.batching.calls import settled, stacked, warn
from nnx.autodiff.boundary import settled as settled_leaf
from nnx.autodiff.levels import running
from nnx.autodiff.recording import check_function
from nnx.autodiff.space import space_of
from nnx.autodiff.trace import lifted
from nnx.autodiff.tree import flatten
from nnx.backend import adapter_of, get_backend
from nnx.errors import AxisError, DerivativeError, ShapeError

Array = Any


def vmap(f: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0) -> Callable[..., Any]:
    """A function that maps ``f`` over an axis of its arguments: all samples at once, in one call of ``f``.

        vmap(f)(x)[i] = f(x[i])

    ``f`` is written for one sample. It is called once, with arrays that have the shape of one sample and hold
    all n; what it computes is computed for all of them by the library's own functions, without a loop.

    - ``in_axes``: the axis of each argument that counts the samples; negative ones count from the end. None:
      all samples share the argument. One axis for all arguments, or a tuple with an entry for each; an entry
      may be a container like its argument, with an axis (or None) for each part. Arguments passed by name are
      mapped over axis 0.
    - ``out_axes``: where the samples are in the results, in the same form. A result that does not depend on a
      mapped argument is repeated; with None it is returned as it is.

    It nests with every transform in either order: ``vmap(grad(f))`` are the gradients of samples,
    ``grad`` of a function with a ``vmap`` inside it goes through the map.

    What has no rule for batches (compiled code of your own, functions that only NumPy has, ``if x > 0``, a
    draw of random numbers with a mapped parameter) runs sample by sample: the result is right, and a
    :class:`nnx.errors.LoopWarning` names it once. A draw that depends on no mapped argument is made once, for
    all samples: pass the numbers as an argument.

    Raises :class:`nnx.errors.ShapeError` where the axes have different lengths, ``in_axes`` or ``out_axes``
    do not fit the arguments or results, or results of different samples differ in their shapes,
    :class:`nnx.errors.AxisError` for an axis that an array does not have, and
    :class:`nnx.errors.DerivativeError` where nothing is mapped over.

    >>> x, w = np.asarray([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), np.asarray([1.0, 10.0])
    >>> nnx.vmap(lambda w, x: w @ x, in_axes=(None, 0))(w, x)
    array([21., 43., 65.])
    >>> nnx.vmap(nnx.grad(lambda w, x: np.sin(w @ x)), in_axes=(None, 0))(w, x).shape
    (3, 2)
    >>> nnx.vmap(lambda p: p["a"] * p["b"], in_axes=({"a": -1, "b": None},))({"a": x, "b": w[:1]}).shape
    (2, 3)

    Source: JAX's ``jax.vmap``; R. Frostig, M. J. Johnson, C. Leary, "Compiling machine learning programs via
    high-level tracing", SysML 2018.
    """
    check_function("vmap", f)
    return mapped("vmap", f, in_axes, out_axes)


def mapped(
    who: str, f: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0, quiet: bool = False
) -> Callable[..., Any]:
    """What :func:`vmap` returns; errors and warnings (unless ``quiet``) name the public function ``who``."""
    warned: set[str] | None = None if quiet else set()

    @wraps(f)
    def call(*args: Any, **kwargs: Any) -> Any:
        leaves, axes, build = _arguments(who, args, kwargs, in_axes)
        n = _samples(who, leaves, axes)
        batch = Batch(n, who, warned)
        adapter = batched_over(_library(leaves))
        given = [
            leaf if axis is None else lifted(Batched(_first(leaf, axis), batch, adapter), adapter.space)
            for (_, leaf), axis in zip(leaves, axes, strict=True)
        ]
        running.append(adapter)
        try:
            a, k = build(given)
            outs, build_out = flatten(f(*a, **k))
            found = [_below(settled(y), batch) for y in outs]
        except Exception:
            if not batch.asked:
                raise
        finally:
            batch.open = False
            running.pop()
        if batch.asked:
            found, build_out = _one_by_one(who, f, leaves, axes, build, batch, adapter)
        result = build_out([y for y, _ in found])
        places = _axes_like(result, out_axes, f"nnx.{who}: out_axes")
        inputs = [leaf for _, leaf in leaves if hasattr(leaf, "dtype")]
        return build_out(
            [_placed(who, y, own, place, n, inputs) for (y, own), place in zip(found, places, strict=True)]
        )

    return call


# -- arguments -------------------------------------------------------------------------------------------


def _arguments(who: str, args: Any, kwargs: Any, in_axes: Any) -> tuple[Any, list[Any], Any]:
    """The leaves with their names, their axes (None: shared), and what builds ``(args, kwargs)``."""
    if isinstance(in_axes, list):
        in_axes = tuple(in_axes)
    if not (in_axes is None or isinstance(in_axes, tuple) or _is_axis(in_axes)):
        raise ShapeError(
            f"nnx.{who}: in_axes is an int, None or a tuple of one entry for each argument, got {in_axes!r}."
        )
    if isinstance(in_axes, tuple) and len(in_axes) != len(args):
        raise ShapeError(
            f"nnx.{who}: in_axes has {len(in_axes)} entries, but the function was given {len(args)} "
            "arguments by position (those given by name are mapped over axis 0)."
        )
    axes = _axes_like(tuple(args), in_axes, f"nnx.{who}: in_axes") + [0] * len(flatten(kwargs)[0])
    leaves, build = flatten((tuple(args), kwargs))
    names = [*_names(tuple(args), "argument "), *_names(kwargs, "")]
    return list(zip(names, map(settled_leaf, leaves), strict=True)), axes, build


def _is_axis(x: Any) -> bool:
    return isinstance(x, int) and not isinstance(x, bool)


def _parts(tree: Any) -> dict[Any, Any] | None:
    """The parts of a container by key, place or name; None for a leaf."""
    if tree is None:
        return {}
    if isinstance(tree, dict):
        return tree
    if isinstance(tree, tuple | list):
        return dict(enumerate(tree))
    if is_dataclass(tree) and not isinstance(tree, type):
        return {f.name: getattr(tree, f.name) for f in fields(tree) if f.init}
    return None


def _names(tree: Any, name: str) -> Iterator[str]:
    parts = _parts(tree)
    if parts is None:
        yield name
        return
    for key, part in parts.items():
        yield from _names(part, f"{name}{key}" if name in ("argument ", "") else f"{name}[{key!r}]")


def _axes_like(tree: Any, axes: Any, what: str) -> list[Any]:
    """One axis (or None) for each leaf of ``tree``; one in the place of a container is that of its parts."""
    if axes is None or _is_axis(axes):
        return [axes] * len(flatten(tree)[0])
    parts, given = _parts(tree), _parts(axes)
    if given is None:
        raise ShapeError(f"{what}: an axis is an int or None, got {axes!r}.")
    if parts is None or parts.keys() != given.keys():
        shown = (
            "an array"
            if parts is None
            else f"{type(tree).__name__} of {', '.join(map(repr, parts)) or 'nothing'}"
        )
        raise ShapeError(
            f"{what} has a {type(axes).__name__} of {', '.join(map(repr, given)) or 'nothing'} for {shown}."
        )
    return [axis for key, part in parts.items() for axis in _axes_like(part, given[key], what)]


def _samples(who: str, leaves: Any, axes: Any) -> int:
    """The length of the mapped axes, which is the same for all."""
    lengths: dict[str, int] = {}
    for (name, leaf), axis in zip(leaves, axes, strict=True):
        if axis is None:
            continue
        shape = getattr(leaf, "shape", None)
        if shape is None or not hasattr(leaf, "dtype"):
            raise ShapeError(
                f"nnx.{who}: {name} is a {type(leaf).__name__}, which has no axis {axis} to map over: give "
                "it None in in_axes, for all samples share it."
            )
        if not -len(shape) <= axis < len(shape):
            raise AxisError(f"nnx.{who}: {name} has shape {tuple(shape)}, and no axis {axis} to map over.")
        lengths[f"{int(shape[axis])} ({name} of shape {tuple(shape)}, axis {axis})"] = int(shape[axis])
    if not lengths:
        raise DerivativeError(f"nnx.{who}: nothing is mapped over: in_axes has no axis for any array.")
    if len(set(lengths.values())) > 1:
        raise ShapeError(f"nnx.{who}: the axes that are mapped over differ in length: {', '.join(lengths)}.")
    return next(iter(lengths.values()))


def _library(leaves: Any) -> Any:
    """The adapter of the library that holds the arrays."""
    adapter = adapter_of(*[leaf for _, leaf in leaves if hasattr(leaf, "dtype")])
    return adapter.below or adapter


def _first(x: Array, axis: int) -> Array:
    """``x`` with the axis in front."""
    if axis % x.ndim == 0:
        return x.snapshot() if type(x) is Traced else x
    space = space_of(x)
    return settled((space if type(x) is Traced else space.base).moveaxis(x, axis, 0))


# -- results ---------------------------------------------------------------------------------------------


def _below(y: Any, batch: Batch) -> tuple[Any, bool]:
    """A result below the map, and whether it differs from sample to sample."""
    own = type(y) is Batched and y.trace is batch
    return (y.value if own else y), own


def _one_by_one(
    who: str, f: Any, leaves: Any, axes: Any, build: Any, batch: Batch, adapter: Any
) -> tuple[list[tuple[Any, bool]], Any]:
    """The results of ``f`` called for each sample."""
    name = getattr(f, "__name__", "the function")
    warn(batch, name, f"cannot run on all samples at once: {batch.asked}")
    fronts = [
        leaf if axis is None else _first(leaf, axis) for (_, leaf), axis in zip(leaves, axes, strict=True)
    ]
    outs = []
    for i in range(batch.n):
        a, k = build([x if axis is None else x[i, ...] for x, axis in zip(fronts, axes, strict=True)])
        outs.append(f(*a, **k))
    columns, build_out = stacked(outs, adapter, f"nnx.{who}")
    return [(column, True) for column in columns], build_out


def _placed(who: str, y: Any, own: bool, place: Any, n: int, inputs: list[Any]) -> Any:
    """A result with its samples along the axis ``place``: an array that the caller owns."""
    if not hasattr(y, "dtype"):
        if not isinstance(y, int | float | complex):
            raise DerivativeError(
                f"nnx.{who} needs a function that returns arrays or numbers, got {type(y).__name__}."
            )
        y = get_backend().asarray(y)
    if place is None:
        if own:
            raise ShapeError(
                f"nnx.{who}: out_axes is None for a result that differs from sample to sample; give it "
                "an axis."
            )
        return y
    ndim = y.ndim + (not own)
    if not -ndim <= place < ndim:
        raise AxisError(
            f"nnx.{who}: out_axes={place} for a result that gets {ndim} dimension{'s' * (ndim != 1)}."
        )
    place %= ndim
    space = space_of(y)
    xp = space if type(y) is Traced else space.base
    if not own:
        y = xp.broadcast_to(xp.expand_dims(y, axis=place), (*y.shape[:place], n, *y.shape[place:]))
        return settled(xp.asarray(y, copy=True))
    if place:
        y = xp.moveaxis(y, 0, place)
    if type(y) is not Traced and any(type(x) is type(y) and xp.shares_memory(y, x) for x in inputs):
        y = xp.asarray(y, copy=True)
    return settled(y)
