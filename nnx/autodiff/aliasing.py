"""Writing into traced arrays, and arrays that share memory.

An assignment ``x[key] = v`` replaces the content of the handle ``x`` by that of a new array, computed by the
rule ``put``; what was computed from ``x`` before keeps the old content. If ``x`` is a view, as NumPy's basic
indexing gives it, its base must change too, and all other views of that base:

- the base of all, the root, counts the writes into it (:class:`Root`);
- a view knows its root and the function that makes it from the root (:class:`View`). Before it is read it
  compares the counts, and is made again from the root if they differ;
- a write into a view moves the new entries into the root by the transpose of the view.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from nnx.autodiff.array import Traced, raw
from nnx.autodiff.families import is_complex
from nnx.autodiff.trace import CONSTANT, Tape, backward, lifted
from nnx.errors import DerivativeError


class Root:
    """The link of an array that has views."""

    __slots__ = ("handed_out", "version")

    def __init__(self) -> None:
        self.version = 0
        self.handed_out = False  #: whether a plain array, which writes do not reach, shares the memory

    def refresh(self, x: Traced) -> None:
        """Nothing: a root is always up to date."""


class View:
    """The link of a view: ``make(root)`` is its content."""

    __slots__ = ("make", "read_only", "root", "version")

    def __init__(self, root: Traced, make: Callable[[Any], Any], read_only: bool) -> None:
        self.root, self.make, self.version, self.read_only = root, make, root.link.version, read_only

    def refresh(self, x: Traced) -> None:
        """Brings ``x`` up to date if its root was written to."""
        if self.version != self.root.link.version:
            self.version = self.root.link.version
            _become(x, self.make(self.root))


def viewing(function: Callable[..., Any], read_only: bool = False) -> Callable[..., Any]:
    """``function`` whose result is a view of its first argument wherever the library's own is."""

    @wraps(function)
    def call(x: Any, /, *args: Any, **kwargs: Any) -> Any:
        y = function(x, *args, **kwargs)
        if type(y) is Traced and type(x) is Traced and y is not x:
            link(y, x, lambda root: function(root, *args, **kwargs), read_only)
        return y

    return call


def link(y: Traced, x: Traced, make: Callable[[Any], Any], read_only: bool = False) -> None:
    """Notes that ``y``, which is ``make(x)``, is a view of ``x`` if their memory says so."""
    if x.space.shares_memory(raw(y), raw(x)):
        follow(y, x, make, read_only)


def follow(y: Traced, x: Traced, make: Callable[[Any], Any], read_only: bool = False) -> None:
    """Notes that ``y``, which is ``make(x)``, is a view of ``x``: a write into either shows in both.

    With ``read_only``, as where one entry of x occurs several times in y, writing into y is an error.
    """
    root, whole = x, make
    if type(x.link) is View:
        root, first = x.link.root, x.link.make
        whole = lambda r: make(first(r))  # noqa: E731
        read_only = read_only or x.link.read_only
    elif x.link is None:
        x.link = Root()
    y.link = View(root, whole, read_only)


def hand_out(x: Traced) -> None:
    """Notes that a plain array shares the memory of ``x``: from here on writing into ``x`` is an error."""
    root = x.link.root if type(x.link) is View else x
    if root.link is None:
        root.link = Root()
    root.link.handed_out = True


def assign(x: Traced, key: Any, value: Any) -> None:
    """``x[key] = value``."""
    space = x.space
    _writable(x, "x[key] = value")
    if type(value) in (list, tuple):
        value = space.asarray(list(value), device=x.device)
    if is_complex(space.base, value) and not is_complex(space.base, x):
        raise TypeError(f"x[key] = value: complex numbers do not fit into an array of {x.dtype}.")
    _floating(x, value)
    _replace(x, space.put(x, value, key=key))


def update(x: Traced, new: Any) -> Any:
    """``x += other`` for ``new = x + other``: x with new content; ``new`` itself where x is a scalar."""
    if not _is_writable(x):
        return new  # NumPy's scalars are immutable: += binds the name to a new one
    if tuple(new.shape) != tuple(x.shape):
        raise ValueError(f"An array of shape {x.shape} cannot take in a result of shape {new.shape}.")
    _floating(x, new)
    if not _same_kind(x.space.base, new.dtype, x.dtype):
        raise TypeError(
            f"An array of {x.dtype} cannot take in {new.dtype} in place: write x = x + y instead."
        )
    if new.dtype != x.dtype:
        new = x.space.astype(new, x.dtype)
    _replace(x, new if type(new) is Traced else lifted(new, x.space))
    return x


def _replace(x: Traced, new: Traced) -> None:
    root = x.link.root if type(x.link) is View else x
    if root.link is not None and root.link.handed_out:
        raise DerivativeError(
            "A write into an array that shares its memory with a plain one (np.asarray(x), from_dlpack(x), "
            "xp.asarray(plain)): the plain array would keep the old entries. "
            "Make a copy: np.array(x), xp.asarray(plain, copy=True)."
        )
    # The layout in memory stays: it decides what is a view of the array and what a copy.
    laid_out = x.space.laid_out
    if type(x.link) is View:
        if x.link.read_only:
            raise ValueError(
                "assignment destination is read-only: one entry is in several places, as in the results of "
                "broadcast_to and sliding_window_view. Write into their argument, or into a copy."
            )
        _become(root, laid_out(_moved_into(root, x.link.make, new), raw(root)))
        root.link.version += 1  # x, too, is made again from its root when it is next read
        return
    if x.link is not None:
        x.link.version += 1
    _become(x, laid_out(new, raw(x)))


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


def _become(x: Traced, new: Any) -> None:
    if type(new) is not Traced:
        x.value, x.tracer, x.mark = new, CONSTANT, None
    else:
        x.value, x.tracer, x.mark = new.value, new.tracer, new.mark


def _same_kind(base: Any, given: Any, own: Any) -> bool:
    kinds = ("bool", "integral", "real floating", "complex floating")
    return next(i for i, k in enumerate(kinds) if base.isdtype(given, k)) <= next(
        i for i, k in enumerate(kinds) if base.isdtype(own, k)
    )


def _is_writable(x: Traced) -> bool:
    return hasattr(raw(x), "__setitem__")


def _writable(x: Traced, what: str) -> None:
    if not _is_writable(x):
        raise TypeError(f"{what}: {type(raw(x)).__name__} does not support item assignment.")


def _floating(x: Traced, value: Any) -> None:
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
