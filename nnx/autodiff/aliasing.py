"""Writing into traced arrays, and into arrays that share memory.

An assignment ``x[key] = v`` replaces the content of the handle ``x`` by that of a new array, computed by the
rule ``set_at``; what was computed from ``x`` before keeps the old content. If ``x`` is a view, as NumPy's
basic indexing gives it, its base must change too, and all other views of that base
(:mod:`nnx.autodiff.views`): a write into a view is one into its root, at an index of the root where the view
is a selection of it; else the transpose of the view moves the new entries there.

The array that ``set_at`` has made belongs to its handle alone until something but an index reads it: until
then the next assignment writes into it, so that n of them do not copy the array n times.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnx.autodiff.array import Traced, plain, raw
from nnx.autodiff.families import is_complex
from nnx.autodiff.places import Place, Reshaped
from nnx.autodiff.raw import has_array
from nnx.autodiff.selections import Selection
from nnx.autodiff.trace import CONSTANT, Tape, backward, lifted
from nnx.autodiff.views import Root, View, become, below, root_of
from nnx.errors import DerivativeError


def assign(x: Traced, key: Any, value: Any) -> None:
    """``x[key] = value``."""
    space, key = x.space, plain(key)
    _writable(x, "x[key] = value")
    if type(value) in (list, tuple):
        value = space.asarray(list(value), device=x.device)
    if is_complex(space.base, value) and not is_complex(space.base, x):
        raise TypeError(f"x[key] = value: complex numbers do not fit into an array of {x.dtype}.")
    _check(x)
    root = root_of(x)
    place = key if x.link is None else x.link.place(key)
    if _is_there(value, root, place):
        return
    _floating(x, value)
    if place is None:
        _replace(x, space.set_at(x, value, key=key))
    else:
        _put(root, place, value)


def _is_there(value: Any, root: Traced, place: Any) -> bool:
    """Whether ``value`` is the view ``root[place]``: ``x[i] += v`` assigns to x[i] what it is already."""
    if type(value) is not Traced or type(value.link) is not View or value.link.root is not root:
        return False
    if has_array(place):
        return False
    if place is not None and value.link.is_read_at(place):  # the commonest, in short
        return True
    steps, key = place if type(place) is Place else ((), place)
    if key is not ...:
        last = steps[-1] if steps else None
        try:
            found = Selection.whole(last.shape if type(last) is Reshaped else root.shape).chosen(key)
        except (IndexError, TypeError):
            return False
        steps = steps if not steps and found.is_whole(root.shape) else (*steps, found)
    return bool(value.link.steps == steps)


def _put(root: Traced, place: Any, value: Any) -> None:
    if root.link is None:
        root.link = Root()
    become(root, root.space.set_at(root, value, key=place, own=root.link.owned))
    root.link.version += 1
    root.link.owned = True


def update(x: Traced, new: Any) -> Any:
    """``x += other`` for ``new = x + other``: x with new content; ``new`` itself where x is a scalar."""
    if not _is_writable(x):
        return new  # NumPy's scalars are immutable: += binds the name to a new one
    _check(x)
    if tuple(new.shape) != tuple(x.shape):
        raise ValueError(f"An array of shape {x.shape} cannot take in a result of shape {new.shape}.")
    _floating(x, new)
    if new.dtype != x.dtype:
        if not _same_kind(x.space.base, new.dtype, x.dtype):
            raise TypeError(
                f"An array of {x.dtype} cannot take in {new.dtype} in place: write x = x + y instead."
            )
        new = x.space.astype(new, x.dtype)
    _replace(x, new if type(new) is Traced else lifted(new, x.space))
    return x


def _check(x: Traced) -> None:
    root = root_of(x)
    if root.link is not None and root.link.handed_out:
        raise DerivativeError(
            "A write into an array that shares its memory with a plain one (np.asarray(x), from_dlpack(x), "
            "xp.asarray(plain)): the plain array would keep the old entries. "
            "Make a copy: np.array(x), xp.asarray(plain, copy=True)."
        )
    if type(x.link) is View and x.link.read_only:
        raise ValueError(
            "assignment destination is read-only: one entry is in several places, as in the results of "
            "broadcast_to and sliding_window_view. Write into their argument, or into a copy."
        )


def _replace(x: Traced, new: Traced) -> None:
    """Makes ``new`` all of the content of ``x``, and of what its root holds there."""
    root, steps = root_of(x), x.link.steps if type(x.link) is View else ()
    if len(steps) == 1 and type(steps[0]) is Selection:
        _put(root, steps[0].key, steps[0].restored(x.space, new))
        return
    if len(steps) == 1 and type(steps[0]) is Reshaped:
        new = x.space.reshape(new, root.shape)
    elif steps:
        if (place := x.link.place(...)) is not None:
            _put(root, place, new)
            return
        new = _moved_into(root, x.link.content, new)
    # The layout in memory stays: it decides what is a view of the array and what a copy.
    become(root, x.space.laid_out(new, below(root)))
    if root.link is not None:
        root.link.version += 1
        root.link.owned = False


def _moved_into(root: Traced, make: Callable[[Any], Any], new: Traced) -> Any:
    """The root with ``new`` in the place of its view ``make``: the view's transpose moves entries back."""
    space = root.space
    tape = Tape()
    leaf = tape.leaf(space.base.zeros_like(raw(root)), space)
    view = make(leaf)
    inside = backward([(view.mark, space.base.ones_like(raw(view)))], [leaf.mark])[0]
    moved = backward([(view.mark, new)], [leaf.mark])[0]
    if view.dtype == leaf.dtype:
        return space.where(inside != 0, moved, root)
    # real or imaginary parts of complex numbers, whose transposes are v and −i·v: the other part stays
    inside, moved = space.conj(inside), space.conj(moved)
    return space.from_parts(
        *(space.where(part(inside) != 0, part(moved), part(root)) for part in (space.real, space.imag))
    )


def _same_kind(base: Any, given: Any, own: Any) -> bool:
    kinds = ("bool", "integral", "real floating", "complex floating")
    return next(i for i, k in enumerate(kinds) if base.isdtype(given, k)) <= next(
        i for i, k in enumerate(kinds) if base.isdtype(own, k)
    )


def _is_writable(x: Traced) -> bool:
    return hasattr(below(x), "__setitem__")


def _writable(x: Traced, what: str) -> None:
    if not _is_writable(x):
        raise TypeError(f"{what}: {type(below(x)).__name__} does not support item assignment.")


def _floating(x: Traced, value: Any) -> None:
    if type(value) is Traced and value.link is not None:
        value.link.refresh(value)  # it may be the root of x itself, or be made again from it
    base = x.space.base
    if (
        type(value) is Traced
        and value.tracer is not CONSTANT
        and not base.isdtype(x.dtype, ("real floating", "complex floating"))
    ):
        raise DerivativeError(
            f"A value that is being differentiated is written into an array of {x.dtype}: that would round "
            "it and cut its gradient. Make the array of a floating-point type."
        )
