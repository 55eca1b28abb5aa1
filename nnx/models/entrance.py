"""What comes in: anything that can be an array of real numbers, checked once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from nnx.backend import adapter_of, given, to_numpy
from nnx.errors import DataError, DtypeError, ShapeError

_CHECKED_AT_ONCE = 1 << 18


def inputs_of(x: Any, names: Sequence[str], what: str) -> tuple[Any, ...]:
    """The arrays of each of a model's inputs, in the order of ``names``, from an array, a list or a dict.

    Raises :class:`nnx.errors.ShapeError` where they are not as many, or are called otherwise.
    """
    if isinstance(x, Mapping):
        if len(names) == 1 and len(x) == 1:
            return (as_array(next(iter(x.values())), what),)
        if set(x) != set(names):
            raise ShapeError(
                f"{what} is a dict with the inputs {', '.join(map(repr, x)) or 'none'}, but the model has "
                f"{_inputs(names)}."
            )
        return tuple(as_array(x[name], f"{what}['{name}']") for name in names)
    if len(names) == 1:
        if several(x):
            raise ShapeError(
                f"{what} is a list of {len(x)} arrays, but the model has one input. Join them, for example "
                "with np.concatenate(..., axis=1), or make a model of several: nnx.Model([a, b], output)."
            )
        return (as_array(unwrapped(x), what),)
    if not isinstance(x, list | tuple) or len(x) != len(names):
        found = f"{len(x)} arrays" if isinstance(x, list | tuple) else f"a {type(x).__name__}"
        raise ShapeError(
            f"{what} must be a list (or dict) of {len(names)} arrays, for the model has {_inputs(names)}; "
            f"got {found}."
        )
    return tuple(as_array(a, f"{what}[{i}]") for i, a in enumerate(x))


def _inputs(names: Sequence[str]) -> str:
    return f"the inputs {', '.join(map(repr, names))}" if len(names) > 1 else "one input"


def by_output(given: Any, names: Sequence[str], what: str, needed: Sequence[bool]) -> tuple[Any, ...]:
    """What was given for each of a model's outputs, from a list or a dict; None where nothing was.

    ``needed`` says for which outputs there must be something: a list may leave out the others.

    Raises :class:`nnx.errors.ShapeError` where they are not as many, or are called otherwise.
    """
    wanted = [name for name, need in zip(names, needed, strict=True) if need]
    known = f"the model has the output{'s' * (len(names) > 1)} {', '.join(map(repr, names))}"
    if isinstance(given, Mapping):
        if not set(wanted) <= set(given) <= set(names):
            found = ", ".join(map(repr, given)) or "nothing"
            raise ShapeError(f"{what} is a dict with {found}, but {known}.")
        return tuple(given.get(name) for name in names)
    if len(names) == 1:
        return (given,)
    count = len(given) if isinstance(given, list | tuple) else -1
    if count not in (len(names), len(wanted)):
        found = f"{count} of them" if count >= 0 else f"a {type(given).__name__}"
        raise ShapeError(f"{what} must be a list (or dict) of {len(names)} arrays, for {known}; got {found}.")
    if count < len(names):
        rest = iter(given)
        return tuple(next(rest) if need else None for need in needed)
    if lacking := [n for n, need, one in zip(names, needed, given, strict=True) if need and one is None]:
        raise DataError(f"{what} has nothing for {', '.join(map(repr, lacking))}, which needs targets.")
    return tuple(given)


def several(x: Any) -> bool:
    """Whether it is a list of arrays of samples, and not one array written as a list."""
    return isinstance(x, list | tuple) and len(x) > 1 and all(len(getattr(a, "shape", ())) >= 2 for a in x)


def unwrapped(x: Any, n: int = 1) -> Any:
    """[x] is x, and [y] is y for n samples, as in Keras; other lists stay what they are."""
    if isinstance(x, list | tuple) and len(x) == 1:
        shape = getattr(x[0], "shape", ())
        if len(shape) >= 2 or (shape == (n,) and n > 1):
            return x[0]
    return x


def as_array(x: Any, what: str) -> Any:
    """``x`` (an array, nested lists, anything with ``__array__``) as an array of real numbers."""
    if hasattr(x, "__next__"):
        raise DtypeError(
            f"{what} is a {type(x).__name__}. Call train_on_batch or partial_fit for each batch."
        )
    iterable = hasattr(x, "__getitem__") or hasattr(x, "__iter__")
    if iterable and not hasattr(x, "dtype") and not isinstance(x, list | tuple | Mapping):
        kind = type(x).__module__.partition(".")[0]
        if kind == "torch" or not hasattr(x, "__array__"):
            raise DtypeError(
                f"{what} is a {type(x).__name__}, not an array. Give its arrays, as in x=dataset.tensors[0], "
                "or call train_on_batch or partial_fit for each of its batches."
            )
    return given(x, what, on_host=True)


def need_axes(x: Any, what: str) -> None:
    """Raises :class:`nnx.errors.ShapeError` for a single number."""
    if x.ndim == 0:
        raise ShapeError(f"{what} must have samples along its first axis, got a single number.")


def same_length(n: int, y: Any, what: str, other: str) -> None:
    """Raises :class:`nnx.errors.ShapeError` where ``y`` has not n samples."""
    if y.ndim == 0 or int(y.shape[0]) != n:
        found = "a single number" if y.ndim == 0 else f"{y.shape[0]}"
        raise ShapeError(f"{what} has {n} samples, {other} has {found}: they must have the same number.")


def check_finite(x: Any, what: str) -> None:
    """Raises :class:`nnx.errors.DataError` for NaN and infinity, with the first place."""
    own = adapter_of(x)
    if not own.is_floating(x.dtype):
        return
    # A sum needs no memory; only if it is not finite, look for the place block by block.
    if own.sum_is_finite(x):
        return
    rows = max(1, _CHECKED_AT_ONCE // max(1, math.prod(x.shape[1:])))
    for start in range(0, x.shape[0], rows):
        bad = ~to_numpy(own.xp.isfinite(x[start : min(start + rows, x.shape[0]), ...]))
        if bad.any():
            i = start + int(bad.reshape(bad.shape[0], -1).any(axis=1).argmax())
            raise DataError(
                f"{what} has NaN or infinite numbers, the first in sample {i} ({what}[{i}]). Remove or "
                "replace them before training: every weight that they touch would become NaN."
            )
