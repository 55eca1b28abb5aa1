"""Arrays that share memory: which arrays are views of which, and how a view is made again.

- The base of all, the root, counts the writes into it (:class:`Root`);
- a view knows its root and the steps that make it from the root (:class:`View`). Before it is read it
  compares the counts, and is made again from the root if they differ.

What writes do is in :mod:`nnx.autodiff.aliasing`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from nnx.autodiff.array import Traced, plain
from nnx.autodiff.batching.array import Batched
from nnx.autodiff.places import Place, Reshaped
from nnx.autodiff.raw import has_array
from nnx.autodiff.selections import SELECTING, Selection
from nnx.autodiff.trace import CONSTANT


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

    def through(self, key: Any) -> Any:
        """As :meth:`View.through`."""
        return key

    place = through


class View:
    """The link of a view: what ``steps`` make of the root is its content.

    ``call`` is the function with its name and arguments that made it of ``before``, a root or another view.
    """

    __slots__ = ("_steps", "before", "call", "read_only", "root", "shapes", "version")

    def __init__(
        self, y: Traced, x: Traced, function: Any, name: str, args: Any, options: Any, read_only: bool
    ) -> None:
        self.root: Traced = x
        self.read_only: bool = read_only
        if x.link is None:
            x.link = Root()
        elif type(x.link) is View:
            self.root, self.read_only = x.link.root, read_only or x.link.read_only
        self.before, self.call = x.link, (function, name, args, options)
        self.shapes = x.value.shape, y.value.shape
        self.version = self.root.link.version
        self._steps: tuple[Any, ...] | None = None

    def refresh(self, x: Traced) -> None:
        """Brings ``x`` up to date if its root was written to."""
        if self.version != self.root.link.version:
            self.version = self.root.link.version
            become(x, self._now())

    @property
    def owned(self) -> bool:
        """Whether the array below the root belongs to the root's handle alone."""
        return bool(self.root.link.owned)

    def is_read_at(self, key: Any) -> bool:
        """Whether it came about as ``root[key]``."""
        return type(self.before) is Root and self.call[1] == "getitem" and bool(self.call[2][0] == key)

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
        steps: tuple[Any, ...] = (view._steps or ()) if type(view) is View else ()
        for view in reversed(chain):
            steps = view._steps = view._after(steps)
            if type(view.before) is View:
                view.before = None  # so that long chains do not stay alive
        return steps

    def _after(self, steps: tuple[Any, ...]) -> tuple[Any, ...]:
        function, name, args, options = self.call
        if name == "reshape":
            steps = steps[:-1] if steps and type(steps[-1]) is Reshaped else steps
            back = not steps and self.shapes[1] == self.root.shape
            return steps if back else (*steps, Reshaped(self.shapes[1]))
        last = steps[-1] if steps and type(steps[-1]) is Selection else None
        try:
            new = SELECTING[name](last or Selection.whole(self.shapes[0]), *args, **options)
        except (KeyError, IndexError, TypeError):  # none: the library's own function answers
            return (*steps, lambda x: function(x, *args, **options))
        steps = steps[:-1] if last else steps
        return steps if not steps and new.is_whole(self.root.shape) else (*steps, new)

    def through(self, key: Any) -> Any:
        """The index into the root that is ``key`` in the view; None where none says it."""
        steps = self.steps
        if not steps:
            return key
        if not all(type(step) in (Selection, Reshaped) for step in steps):
            return None
        return None if has_array(key) and not _goes_on(key, self.root.space) else Place(steps, key)

    def place(self, key: Any) -> Any:
        """The same to write by, as short as it can be: of a number it gives an array without axes."""
        place, steps = self.through(key), self.steps
        if type(place) is not Place or type(steps[-1]) is Reshaped or has_array(key):
            return place
        try:
            found = steps[-1].chosen(key)
        except (IndexError, TypeError):
            return None  # the library's own message is the better one
        return found.key if len(steps) == 1 and found.in_order else Place((*steps[:-1], found))

    def content(self, root: Traced) -> Any:
        """The view of ``root``, which need not be its own."""
        if root.link is not None:
            root.link.refresh(root)  # from here on it is not its handle's alone
        if self._steps is None and type(self.before) is Root:  # a single step: as it was called
            function, _, args, options = self.call
            return function(root, *args, **options)
        x, space = root, root.space
        for step in self.steps:
            kind = type(step)
            if kind is Selection:
                x = step.arranged(space, x if step.has_all(x.shape) else space.chosen(x, step.key))
            else:
                x = step.of(space, x) if kind is Reshaped else step(x)
        return x

    def _now(self) -> Any:
        """The view as its root is now.

        Of an array that belongs to its handle a small part is copied, so that it remains so.
        """
        root = self.root
        if self.owned:
            n = root.space.element_count
            small = 4 * n(self.shapes[1]) < n(root.shape)
            if small and (place := self.place(...)) is not None:
                return root.space.item(root.snapshot(), place)
        return self.content(root)


def _goes_on(key: Any, space: Any) -> bool:
    """Whether ``key`` keeps its form behind a full slice, as for an array that is mapped over."""
    parts = key if type(key) is tuple else (key,)
    arrays = [part for part in parts if has_array(part)]
    return len(arrays) == 1 and type(arrays[0]) is not Batched and bool(space.adapter.mixes_indices)


def viewing(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """``function``, called ``name``, whose result is a view of its argument wherever the library's is."""
    read_only = name == "broadcast_to"

    @wraps(function)
    def call(x: Any, /, *args: Any, **kwargs: Any) -> Any:
        if _owns(x) and x.space.shares_memory(part := function(below(x), *args, **kwargs), below(x)):
            return _unread(part, x, function, name, args, kwargs, read_only)
        return _linked(function(x, *args, **kwargs), x, function, name, args, kwargs, read_only)

    return call


def reading(choose: Callable[..., Any], library: Callable[..., Any]) -> Callable[..., Any]:
    """``x[key]`` by ``choose``, which records what the ``library`` does: a view where that is one."""

    def getitem(x: Any, key: Any) -> Any:
        basic = type(key) is int or type(key) is slice
        if not basic:
            key = plain(key)
        if not _owns(x):
            y = choose(x, key)
            return y if not basic and has_array(key) else _linked(y, x, choose, "getitem", (key,), {}, False)
        if not has_array(key) and x.space.shares_memory(part := library(below(x), key), below(x)):
            return _unread(part, x, choose, "getitem", (key,), {}, False)
        place = x.link.through(key)  # a copy: it leaves x to its handle
        if place is None:
            return choose(x, key)
        read = x.space.item if type(place) is Place else choose
        return read(root_of(x).snapshot(), place)

    return getitem


def _linked(y: Any, x: Any, *call: Any) -> Any:
    """The result ``y`` of the ``call`` with ``x``, known as a view of it if their memory says so."""
    if type(y) is Traced and type(x) is Traced and y is not x and x.space.shares_memory(below(y), below(x)):
        y.link = View(y, x, *call)
    return y


def _unread(part: Any, x: Traced, *call: Any) -> Traced:
    """A view of ``x`` that shows the plain ``part`` of it, and is made as any other when it is read first.

    So views through which is only written leave the array to its handle.
    """
    y = Traced(part, CONSTANT, None, x.space)
    y.link = View(y, x, *call)
    y.link.version = -1
    return y


def _owns(x: Any) -> bool:
    return type(x) is Traced and x.link is not None and x.link.owned


def below(x: Any) -> Any:
    """The plain array below ``x``, which nobody is going to keep; of a view that may be an older one."""
    while type(x) is Traced:
        x = x.value
    return x


def link(y: Traced, x: Traced, make: Callable[[Any], Any]) -> None:
    """Notes that ``y``, which is ``make(x)``, is a view of ``x`` if their memory says so."""
    _linked(y, x, make, "", (), {}, False)


def follow(y: Traced, x: Traced, make: Callable[[Any], Any], read_only: bool = False) -> None:
    """Notes that ``y``, which is ``make(x)``, is a view of ``x``: a write into either shows in both.

    With ``read_only``, as where one entry of x occurs several times in y, writing into y is an error.
    """
    y.link = View(y, x, make, "", (), {}, read_only)


def hand_out(x: Traced) -> None:
    """Notes that a plain array shares the memory of ``x``: from here on writing into ``x`` is an error."""
    root = root_of(x)
    if root.link is None:
        root.link = Root()
    root.link.handed_out = True


def root_of(x: Traced) -> Traced:
    """The base of all that share memory with ``x``."""
    return x.link.root if type(x.link) is View else x


def become(x: Traced, new: Any) -> None:
    """Gives ``x`` the content of ``new``."""
    if type(new) is not Traced:
        x.value, x.tracer, x.mark = new, CONSTANT, None
    else:
        x.value, x.tracer, x.mark = new.value, new.tracer, new.mark
