"""Writing into traced arrays, and arrays that share memory.

An assignment ``x[key] = v`` replaces the content of the handle ``x`` by that of a new array, computed by the
rule ``put``; what was computed from ``x`` before keeps the old content. If ``x`` is a view, as NumPy's basic
indexing gives it, its base must change too, and all other views of that base:

- the base of all, the root, counts the writes into it (:class:`Root`);
- a view knows its root and the steps that make it from the root (:class:`View`). Before it is read it
  compares the counts, and is made again from the root if they differ;
- a write into a view is one into the root: at an index of the root where the view is a selection, else the
  transpose of the view moves the new entries there.

The array that ``put`` has made belongs to its handle alone until something but an index reads it: until then
the next assignment writes into it, so that n of them do not copy the array n times.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple

from nnx.autodiff.array import Traced, plain, raw
from nnx.autodiff.families import is_complex
from nnx.autodiff.raw import has_array
from nnx.autodiff.selections import SELECTING, Selection
from nnx.autodiff.trace import CONSTANT, Tape, backward, lifted
from nnx.errors import DerivativeError


class Root:
    """The link of an array that has views or was written into."""

    __slots__ = ("handed_out", "owned", "version")

    def __init__(self) -> None:
        self.version = 0
        self.handed_out = False  #: whether a plain array, which writes do not reach, shares the memory
        self.owned = False  #: whether the array below, at every level, belongs to the handle alone

    def refresh(self, x: Traced) -> None:
        """Notes that an operation reads ``x``, and may keep its content. A root is always up to date."""
        self.owned = False


class View:
    """The link of a view: what ``steps`` make of the root is its content.

    ``call`` is the function with its name and arguments that made it of ``before``, a root or another view.
    """

    __slots__ = ("_steps", "before", "call", "read_only", "root", "shapes", "version")

    def __init__(
        self, y: Traced, x: Traced, function: Any, name: str, args: Any, options: Any, read_only: bool
    ) -> None:
        before = x.link
        if type(before) is View:
            self.root = before.root
            read_only = read_only or before.read_only
        else:
            if before is None:
                before = x.link = Root()
            self.root = x
        self.before, self.call, self.shapes = before, (function, name, args, options), (x.shape, y.shape)
        self.version, self.read_only = self.root.link.version, read_only
        self._steps: tuple[Any, ...] | None = None

    def refresh(self, x: Traced) -> None:
        """Brings ``x`` up to date if its root was written to."""
        if self.version != self.root.link.version:
            self.version = self.root.link.version
            _become(x, self.content(self.root))

    @property
    def steps(self) -> tuple[Any, ...]:
        """Selections and functions that make the view from its root, as few as there can be.

        Found when they are first asked for: most views are never written to.
        """
        chain: list[View] = []
        view: Any = self
        while type(view) is View and view._steps is None:
            chain.append(view)
            view = view.before
        steps = view._steps if type(view) is View else ()
        for view in reversed(chain):
            steps = view._steps = view._after(steps)
            view.before = None  # so that long chains do not stay alive
        return steps  # type: ignore[no-any-return]

    def _after(self, steps: tuple[Any, ...]) -> tuple[Any, ...]:
        function, name, args, options = self.call
        if name == "reshape":
            steps = steps[:-1] if steps and type(steps[-1]) is _Reshaped else steps
            back = not steps and self.shapes[1] == self.root.shape
            return steps if back else (*steps, _Reshaped(function, self.shapes[1]))
        last = steps[-1] if steps and type(steps[-1]) is Selection else None
        try:
            new = SELECTING[name](last or Selection.whole(self.shapes[0]), *args, **options)
        except (KeyError, IndexError, TypeError):  # none: the library's own function answers
            return (*steps, lambda x: function(x, *args, **options))
        steps = steps[:-1] if last else steps
        return steps if not steps and new.is_whole(self.root.shape) else (*steps, new)

    def content(self, root: Traced) -> Any:
        """The view of ``root``, which need not be its own."""
        x = root
        for step in self.steps:
            x = step.arranged(x.space, _at(x, step.key)) if type(step) is Selection else step(x)
        if x is root and root.link is not None:
            root.link.refresh(root)
        return x


class _Reshaped(NamedTuple):
    function: Callable[..., Any]
    shape: tuple[int, ...]

    def __call__(self, x: Any) -> Any:
        return self.function(x, self.shape)


def viewing(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """``function``, called ``name``, whose result is a view of its argument wherever the library's is."""
    read_only = name == "broadcast_to"

    @wraps(function)
    def call(x: Any, /, *args: Any, **kwargs: Any) -> Any:
        y = _unread(x, function(_below(x), *args, **kwargs)) if type(x) is Traced and _owns(x) else None
        if y is not None:
            y.link = View(y, x, function, name, args, kwargs, read_only)
            y.link.version = -1
            return y
        y = function(x, *args, **kwargs)
        if type(y) is Traced and type(x) is Traced and y is not x and x.space.shares_memory(raw(y), raw(x)):
            y.link = View(y, x, function, name, args, kwargs, read_only)
        return y

    return call


def reading(choose: Callable[..., Any]) -> Callable[..., Any]:
    """``x[key]`` by ``choose``, which records it: a view where the library's own is."""
    view = viewing(choose, "getitem")

    def getitem(x: Any, key: Any) -> Any:
        key = plain(key)
        if not has_array(key):
            return view(x, key)
        return choose(x.snapshot() if _owns(x) else x, key)  # a copy: it leaves x to its handle

    return getitem


def _unread(x: Traced, part: Any) -> Traced | None:
    """A view of ``x`` that shows the plain ``part`` of it, and is made as any other when it is read first.

    So views through which is only written leave the array to its handle. None where ``part`` is no view.
    """
    return Traced(part, CONSTANT, None, x.space) if x.space.shares_memory(part, _below(x)) else None


def _owns(x: Traced) -> bool:
    return type(x.link) is Root and x.link.owned


def _at(x: Traced, key: Any) -> Any:
    """``x[key]`` of basic indices.

    Of an array that belongs to its handle a small part is copied, so that it remains so.
    """
    if _owns(x):
        n, whole = x.space.element_count, _below(x)
        if 4 * n(whole[key].shape) < n(whole.shape):
            return x.space.item(x.snapshot(), key)
    return x.space.choose(x, key)


def _below(x: Any) -> Any:
    """The plain array below ``x``, which nobody is going to keep; of a view that may be an older one."""
    while type(x) is Traced:
        x = x.value
    return x


def link(y: Traced, x: Traced, make: Callable[[Any], Any]) -> None:
    """Notes that ``y``, which is ``make(x)``, is a view of ``x`` if their memory says so."""
    if x.space.shares_memory(raw(y), raw(x)):
        follow(y, x, make)


def follow(y: Traced, x: Traced, make: Callable[[Any], Any], read_only: bool = False) -> None:
    """Notes that ``y``, which is ``make(x)``, is a view of ``x``: a write into either shows in both.

    With ``read_only``, as where one entry of x occurs several times in y, writing into y is an error.
    """
    y.link = View(y, x, make, "", (), {}, read_only)


def hand_out(x: Traced) -> None:
    """Notes that a plain array shares the memory of ``x``: from here on writing into ``x`` is an error."""
    root = _root(x)
    if root.link is None:
        root.link = Root()
    root.link.handed_out = True


def assign(x: Traced, key: Any, value: Any) -> None:
    """``x[key] = value``."""
    space, key = x.space, plain(key)
    _writable(x, "x[key] = value")
    if type(value) in (list, tuple):
        value = space.asarray(list(value), device=x.device)
    if is_complex(space.base, value) and not is_complex(space.base, x):
        raise TypeError(f"x[key] = value: complex numbers do not fit into an array of {x.dtype}.")
    _check(x)
    root, place = _root(x), _in_root(x, key)
    if place is not None and place.shape is None and _is_there(value, root, place.key):
        return
    _floating(x, value)
    if place is None:
        _replace(x, space.put(x, value, key=key))
    else:
        _put(root, place, value)


class _Place(NamedTuple):
    """Where to write: at ``key`` of the root, in the form that ``shape`` gives it (None: its own)."""

    key: Any
    shape: tuple[int, ...] | None


def _in_root(x: Traced, key: Any) -> _Place | None:
    """Where ``x[key]`` is in the root of ``x``; None where an index cannot say it."""
    steps = x.link.steps if type(x.link) is View else ()
    shape = steps[0].shape if steps and type(steps[0]) is _Reshaped else None
    steps = steps[1:] if shape is not None else steps
    if not steps:
        return _Place(key, shape)
    if len(steps) == 1 and type(steps[0]) is Selection and not has_array(key):
        try:
            found = steps[0].chosen(key)
        except (IndexError, TypeError):
            return None  # the library's own message is the better one
        return _Place(found.key, shape) if found.in_order else None
    return None


def _is_there(value: Any, root: Traced, place: Any) -> bool:
    """Whether ``value`` is the view ``root[place]``: ``x[i] += v`` assigns to x[i] what it is already."""
    if type(value) is not Traced or type(value.link) is not View or value.link.root is not root:
        return False
    try:
        return not has_array(place) and value.link.steps == (Selection.whole(root.shape).chosen(place),)
    except (IndexError, TypeError):
        return False


def _put(root: Traced, place: _Place, value: Any) -> None:
    if root.link is None:
        root.link = Root()
    space, own, x = root.space, root.link.owned, root
    if place.shape is not None:
        x = space.reshape(root.snapshot(), place.shape)
        own = own and space.shares_memory(_below(x), _below(root))
    new = space.put(x, value, key=place.key, own=own)
    if place.shape is not None:
        new = space.laid_out(space.reshape(new, root.shape), _below(root))
    _become(root, new)
    root.link.version += 1
    root.link.owned = True


def _root(x: Traced) -> Traced:
    return x.link.root if type(x.link) is View else x


def update(x: Traced, new: Any) -> Any:
    """``x += other`` for ``new = x + other``: x with new content; ``new`` itself where x is a scalar."""
    if not _is_writable(x):
        return new  # NumPy's scalars are immutable: += binds the name to a new one
    _check(x)
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


def _check(x: Traced) -> None:
    root = _root(x)
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
    root, steps = _root(x), x.link.steps if type(x.link) is View else ()
    shape = steps[0].shape if steps and type(steps[0]) is _Reshaped else None
    last = steps if shape is None else steps[1:]
    if len(last) == 1 and type(last[0]) is Selection:
        _put(root, _Place(last[0].key, shape), last[0].restored(x.space, new))
        return
    if last:
        new = _moved_into(root, x.link.content, new)
    elif shape is not None:
        new = x.space.reshape(new, root.shape)
    # The layout in memory stays: it decides what is a view of the array and what a copy.
    _become(root, x.space.laid_out(new, _below(root)))
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
    return hasattr(_below(x), "__setitem__")


def _writable(x: Traced, what: str) -> None:
    if not _is_writable(x):
        raise TypeError(f"{what}: {type(_below(x)).__name__} does not support item assignment.")


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
