"""The traced array: an array API array that remembers how it was computed."""

from __future__ import annotations

import operator
from typing import Any

from nnx.autodiff.explain import ShownNumber, leaves_the_trace
from nnx.autodiff.levels import current, running
from nnx.autodiff.operators import Operators
from nnx.backend import register_traced


class Traced(Operators):
    """An array under differentiation: a value, its tracer (one transform's level) and its mark there.

    It implements the array object of the array API standard. Functions reach the differentiable
    namespace through ``x.__array_namespace__()``. ``mark`` belongs to the tracer: a node of the tape
    in reverse mode, a tangent in forward mode. ``value`` may be traced itself, by an outer transform.
    Writing into a traced array replaces these three; ``link`` knows the arrays that share its memory
    (:mod:`nnx.autodiff.views`). Some have a ``distance`` (:mod:`nnx.autodiff.rules.distances`) or an
    ``extreme`` (:mod:`nnx.autodiff.rules.ties`).

    >>> def shape_and_slope(x):
    ...     print(type(x).__name__, x.shape, x.dtype)
    ...     return np.sum(x * x)
    >>> nnx.grad(shape_and_slope)(np.asarray([1.0, 2.0]))
    Traced (2,) float64
    array([2., 4.])
    """

    __slots__ = ("distance", "extreme", "link", "mark", "space", "tracer", "value")

    def __init__(self, value: Any, trace: Any, mark: Any, space: Any) -> None:
        self.value = value
        self.tracer = trace
        self.mark = mark
        self.space = space
        self.link: Any = None
        self.distance: Any
        self.extreme: Any

    def snapshot(self) -> Traced:
        """A copy of the handle: it keeps the present content when this array is written into."""
        return Traced(self.value, self.tracer, self.mark, self.space)

    def as_constant(self, what: str, shared: bool = False) -> Any:
        """The plain array below, if this one depends on nothing; else an error that calls the use ``what``.

        ``shared`` says that whoever gets it may keep it as an alias.
        """
        if is_traced(self):
            raise leaves_the_trace(what, self.tracer.level)
        if shared:
            self.space.hand_out(self)
        return self.value

    # -- attributes -------------------------------------------------------------------------------

    @property
    def dtype(self) -> Any:
        """Its data type, the library's object."""
        return self.value.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape, a tuple of whole numbers."""
        return self.value.shape

    @property
    def ndim(self) -> int:
        """How many axes it has."""
        return self.value.ndim

    @property
    def size(self) -> int:
        """How many entries it has."""
        return self.space.element_count(self.value.shape)

    @property
    def device(self) -> Any:
        """The device that holds it."""
        return self.space.device_of(self)

    def __array_namespace__(self, /, *, api_version: str | None = None) -> Any:
        if api_version is not None and not "2021.12" <= api_version <= self.space.__array_api_version__:
            raise ValueError(
                f"The namespace of these arrays follows the array API standard of "
                f"{self.space.__array_api_version__} (and the versions before); asked for {api_version!r}."
            )
        return current(self.space) if running else self.space

    def __contains__(self, value: Any) -> bool:
        return bool(self.space.any(self == value))

    def __repr__(self) -> str:
        return f"Traced({raw(self)!r})"

    def __getattr__(self, name: str) -> Any:
        # NumPy's methods, which the standard's arrays lack: x.sum(), x.reshape(2, 3)
        return self.space.numpy_method(self, name)

    # -- indexing ---------------------------------------------------------------------------------

    def __getitem__(self, key: Any) -> Any:
        return self.space.getitem(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.space.assign(self, key, value)

    # -- Python's own functions -------------------------------------------------------------------

    def __round__(self, digits: int | None = None) -> Any:
        if self.ndim:
            raise TypeError(f"round(x) takes a number, got an array of shape {self.shape}; use xp.round(x).")
        return round(float(raw(self)), digits)  # a constant, as xp.round(x) is

    def __format__(self, spec: str) -> str:
        if not is_traced(self):
            return format(raw(self), spec)
        return ShownNumber(format(raw(self), spec)) if spec else str(self)

    def __copy__(self) -> Any:
        return self.space.asarray(self, copy=True)

    def __deepcopy__(self, memo: Any) -> Any:
        return self.__copy__()

    # -- what would silently cut the gradient -----------------------------------------------------

    def __float__(self) -> float:
        return float(self.as_constant("float(x)"))

    def __int__(self) -> int:
        return int(self.as_constant("int(x)"))

    def __trunc__(self) -> int:
        return int(self.as_constant("math.trunc(x)"))

    def __index__(self) -> int:
        return operator.index(self.as_constant("using x as an index"))

    def __complex__(self) -> complex:
        return complex(self.as_constant("complex(x)"))

    def __bool__(self) -> bool:
        return bool(self.as_constant("bool(x), `if x`"))

    def __reduce__(self) -> Any:
        return self.as_constant("pickle").__reduce__()

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        what = "np.asarray(x), np.array([x]), plain.dot(x), or a call that nnx cannot intercept"
        x = self.as_constant(what, shared=not copy)
        return x.__array__(dtype) if copy is None else x.__array__(dtype, copy=copy)

    def __dlpack__(
        self, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: Any = None
    ) -> Any:
        options = {"stream": stream, "max_version": max_version, "dl_device": dl_device, "copy": copy}
        given = {name: option for name, option in options.items() if option is not None}
        x = self.as_constant("from_dlpack(x) of another library", shared=not copy)
        return x.__dlpack__(**given)

    def __dlpack_device__(self) -> Any:
        return raw(self).__dlpack_device__()

    # -- NumPy's own protocols (NEP 13, NEP 18): plain NumPy code is differentiable ------------------

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if len(inputs) == 1 and not kwargs and method == "__call__":  # the commonest, in short
            call = self.space.numpy_calls.get(ufunc)
            if call is not None:
                return call(self)
        return self.space.numpy_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return (current(self.space) if running else self.space).numpy_function(func, args, kwargs)


def _settable(name: str) -> None:
    """Gives traced arrays NumPy's attribute ``name``, which can be assigned to: ``z.real *= 2``."""

    def read(self: Traced) -> Any:
        return self.space.numpy_method(self, name)

    def write(self: Traced, value: Any) -> None:
        self.space.numpy_set(self, name, value)

    setattr(Traced, name, property(read, write, doc=f"NumPy's ``{name}``, in the shape that NumPy gives it."))


for _name in ("real", "imag", "flat"):
    _settable(_name)


def is_traced(x: Any) -> bool:
    """Whether a gradient may flow through ``x``, an array or nested tuples and lists of arrays."""
    if type(x) is Traced:
        if x.link is not None:
            x.link.refresh(x)
        return x.tracer.level >= 0
    return type(x) in (tuple, list) and any(is_traced(part) for part in x)


def raw(x: Any) -> Any:
    """``x`` without any trace, at all levels: the plain array below."""
    if type(x) is Traced and x.link is not None:
        x.link.refresh(x)
    while type(x) is Traced:
        x = x.value
    return x


def plain(x: Any) -> Any:
    """``x`` with plain arrays for the traced ones, also in tuples, lists and dicts."""
    if type(x) is Traced:
        return raw(x)
    if type(x) in (tuple, list):
        return type(x)(plain(part) for part in x)
    return {k: plain(v) for k, v in x.items()} if type(x) is dict else x


register_traced(Traced)
