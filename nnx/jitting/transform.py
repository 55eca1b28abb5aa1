"""``nnx.jit``: which program belongs to which arguments, and when one has to be recorded."""

from __future__ import annotations

import operator
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import update_wrapper
from types import MethodType
from typing import Any, NamedTuple

from nnx.autodiff.array import Traced
from nnx.autodiff.batching.array import Batched
from nnx.autodiff.tree import flatten
from nnx.backend import adapter_of
from nnx.errors import RecordingError
from nnx.jitting.adapter import recorded_over
from nnx.jitting.arguments import Static, by_value, holds, is_array, overlap, structure
from nnx.jitting.passes import shortened
from nnx.jitting.program import Program
from nnx.jitting.recorded import Recorded
from nnx.jitting.recorder import Recorder, recording
from nnx.jitting.replay import compiled
from nnx.jitting.surroundings import Surroundings, Wrapper
from nnx.jitting.values import bits

Array = Any
#: so often may the surroundings change, or numbers among the arguments be others, until it is no use
_MOST = 64
_CARRIERS = frozenset((Traced, Batched, Recorded))
#: what is no array, though some of it has strides
_NO_ARRAYS = _CARRIERS | {tuple, list, dict, type, memoryview}


class _Plan(NamedTuple):
    """A program, compiled, and what belongs to its use."""

    program: Program
    replay: Callable[..., tuple[Any, ...]]
    build: Callable[[list[Any]], Any]
    surroundings: Surroundings
    #: arrays from outside that live on, with the copies that the program uses
    outside: Sequence[tuple[Any, Any]]
    #: whether it writes into its arguments, or asks which is which
    needs_apart: bool

    def changed(self) -> str | None:
        """What outside of the function is not what it was."""
        for reference, copy in self.outside:
            x = reference()
            if x is not None and bits(x) != bits(copy):
                return f"an array of shape {copy.shape} from outside"
        return self.surroundings.changed()


class Jitted(Wrapper):
    """A function under :func:`jit`."""

    def __init__(self, f: Callable[..., Any], argnums: Sequence[int], names: Sequence[str]) -> None:
        self._f, self._static, self._names = f, frozenset(argnums), frozenset(names)
        self._plans: dict[Any, _Plan] = {}
        self._recordings, self._gave_up = 0, False
        update_wrapper(self, f)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        found = None if self._gave_up or recording() else self._key(args, kwargs)
        if found is None:
            return self._f(*args, **kwargs)
        key, arrays, spread = found
        plan, why = self._plans.get(key), None
        if plan is not None and (why := plan.changed()) is None:
            if plan.needs_apart and overlap(arrays, plan.surroundings.arrays()):
                return self._f(*args, **kwargs)
            return plan.build(list(plan.replay(*arrays)))
        if self._recordings >= _MOST:
            return self._give_up(why or "a shape or a number among the arguments", args, kwargs)
        plan, answer = self._record(arrays, spread)
        if plan is not None:
            self._plans[key] = plan
        return answer

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __reduce__(self) -> Any:
        """A copy, also one that is pickled, has no recordings: its function may read other objects."""
        name = getattr(self, "__qualname__", "")
        try:
            if operator.attrgetter(name)(sys.modules[self.__module__]) is self:
                return name  # a function of a module, under its name there
        except (AttributeError, KeyError):
            pass
        return Jitted, (self._f, tuple(self._static), tuple(self._names))

    def program(self, *args: Any, **kwargs: Any) -> Program:
        """The program for these arguments; print it. The function runs for it if it has to be recorded."""
        found = self._key(args, kwargs)
        if found is None:
            raise RecordingError("A program is made for plain arrays, not for arrays of another transform.")
        key, arrays, spread = found
        plan = self._plans.get(key)
        if plan is None or plan.changed() is not None:
            plan = self._record(arrays, spread)[0]
        if plan is None:
            raise RecordingError("An array is given twice to a function that asks which of them is which.")
        self._plans[key] = plan
        return plan.program

    # -- arguments -------------------------------------------------------------------------------------

    def _key(self, args: Any, kwargs: Any) -> Any:
        """What arguments that one program serves have in common; the arrays; how to put others in place.

        None where an argument belongs to another transform, which then sees the function itself.
        """
        key: list[Any] = []
        arrays: list[Array] = []
        if kwargs or self._static:
            args, kwargs = self._wrapped_statics(args, kwargs)
        for leaf in args:
            if type(leaf) in _NO_ARRAYS or not hasattr(leaf, "strides"):
                break
            arrays.append(leaf)
            key.append((type(leaf), leaf.shape, leaf.dtype, leaf.strides))
        else:
            if not kwargs:  # the commonest case: arrays and nothing else
                return tuple(key), arrays, _as_they_are
        leaves, build = flatten((args, kwargs))
        key, arrays = [], []
        for leaf in leaves:
            if type(leaf) in _CARRIERS:
                return None
            if is_array(leaf):
                key.append((type(leaf), leaf.shape, leaf.dtype, getattr(leaf, "strides", None)))
                arrays.append(leaf)
            else:
                key.append(by_value(leaf))

        def spread(new: Sequence[Any]) -> Any:
            rest = iter(new)
            args, kwargs = build([next(rest) if is_array(leaf) else leaf for leaf in leaves])
            args = [a.value if type(a) is Static else a for a in args]
            return args, {name: a.value if type(a) is Static else a for name, a in kwargs.items()}

        return (tuple(key), structure((args, kwargs))), arrays, spread

    def _wrapped_statics(self, args: Any, kwargs: Any) -> Any:
        args = tuple(Static(a) if i in self._static else a for i, a in enumerate(args))
        return args, {k: Static(a) if k in self._names else a for k, a in kwargs.items()}

    # -- recording -------------------------------------------------------------------------------------

    def _record(self, arrays: Sequence[Array], spread: Callable[..., Any]) -> tuple[_Plan | None, Any]:
        """A plan and the answer; no plan where the function asks whether two arrays are one, and they are."""
        self._recordings += 1
        statics = () if spread is _as_they_are else spread([None] * len(arrays))
        before = Surroundings(self._f, *statics)
        if before.compares and len({*map(id, arrays)}) < len(arrays):
            args, kwargs = spread(arrays)
            return None, self._f(*args, **kwargs)
        with Recorder(recorded_over(adapter_of(*arrays))) as recorder, recorder.adapter.serving():
            args, kwargs = spread([recorder.wrapped(x) for x in arrays])
            held = flatten((args, kwargs))[0], structure((args, kwargs))
            answer = self._f(*args, **kwargs)
        if not holds((args, kwargs), *held):
            raise RecordingError(
                "The function under nnx.jit changes a container among its arguments: another array, or "
                "another number of them, is in it. The program would not do so. Return the new value instead."
            )
        if (name := before.drew()) is not None:
            raise RecordingError(
                f"The function under nnx.jit draws random numbers from {name}: the program would always have "
                "the same ones. Draw them outside, and give them as an argument."
            )
        if (name := before.changed()) is not None:
            raise RecordingError(
                f"The function under nnx.jit changes what is outside of it: {name}. The program would not. "
                "Return the new value instead."
            )
        leaves, build = flatten(answer)
        leaves = [_settled(leaf) for leaf in leaves]
        if any(isinstance(leaf, str) and "Recorded(v" in leaf for leaf in leaves):
            raise RecordingError("The function under nnx.jit returns a text with numbers of its arguments.")
        program = recorder.program(len(arrays), [recorder.term(leaf) for leaf in leaves])
        program = shortened(program, recorder.fixed, recorder.adapter.below, exact=False)
        outside = [(reference, recorder.constants[k]) for reference, k in recorder.outside]
        written = program.written()
        apart = before.compares or any(program.memory[i] in written for i in range(len(arrays)))
        replay = compiled(program, ready=recorder.adapter.below.ready)
        plan = _Plan(program, replay, build, before, outside, apart)
        return plan, build([leaf.value if type(leaf) is Recorded else leaf for leaf in leaves])

    def _give_up(self, why: str, args: Any, kwargs: Any) -> Any:
        self._gave_up = True
        name = getattr(self._f, "__name__", "a function")
        warnings.warn(
            f"nnx.jit has recorded {name} {_MOST} times: {why} is another thing in each call. From now on it "
            "runs as it is. Give what changes as an array.",
            RuntimeWarning,
            stacklevel=3,
        )
        return self._f(*args, **kwargs)


def _as_they_are(new: Sequence[Any]) -> Any:
    """Arguments that are arrays and nothing else."""
    return new, {}


def _settled(leaf: Any) -> Any:
    """A result: an array of a transform inside that is a constant becomes plain."""
    return leaf.as_constant("the result of a function under nnx.jit") if type(leaf) is Traced else leaf


def jit(
    f: Callable[..., Any],
    *,
    static_argnums: int | Sequence[int] = (),
    static_argnames: str | Sequence[str] = (),
) -> Any:
    """``f`` that is recorded at its first call and replayed afterwards: the same results, sooner.

    The first call with arrays of given shapes, data types and strides runs ``f`` on arrays that write down
    every call of a function of arrays. Later calls make the same calls on the new arrays: without Python's
    way through ``f``, without tapes and look-ups of derivatives. The results have the same bits as those of
    ``f``. ``print(nnx.jit(f).program(*args))`` shows the calls. Transforms may be inside, as in
    ``jit(grad(f))``; where ``jit(f)`` is inside of another transform, that sees ``f`` itself.

    Arguments are arrays, containers of these (tuples, lists, dicts, dataclasses), and anything hashable,
    which is taken *by value*, numbers too: another value is another recording. Give numbers that change as
    arrays, ``np.asarray(rate)``. ``static_argnums`` (whole numbers ≥ 0) and ``static_argnames``: arguments
    that are taken by value although they are containers. After 64 recordings a RuntimeWarning says so, and
    ``f`` runs as it is.

    A program has no branches. :class:`nnx.errors.RecordingError` is raised where ``f`` asks for the numbers
    of an array (``if x > 0``, ``float(x)``, ``np.asarray(x)``, code that is not NumPy's), where a shape
    depends on them (``x[mask]``), where it writes into arrays from outside, changes what is outside of it,
    draws random numbers, reads a clock or an iterator. What ``f`` reads from outside (closures, global
    names, defaults, attributes; of arrays every number) is compared before each run, and ``f`` is recorded
    anew where it changed: large arrays are better arguments. What ``f`` prints, it prints once.

    >>> def cost(w, x, y):
    ...     return np.mean((np.tanh(x @ w) - y) ** 2)
    >>> slope = nnx.jit(nnx.grad(cost))
    >>> x, y = np.asarray([[1.0, 2.0], [0.0, 1.0]]), np.asarray([0.5, 0.0])
    >>> slope(np.zeros(2), x, y)
    array([-0.5, -1. ])
    >>> print(nnx.jit(lambda x: np.sum(x * x)).program(np.ones(3)))
    program(v0: float64[3]):
        v1: float64[3] = v0 * v0
        v2: float64[] = add.reduce(v1, None)
        return (v2,)

    Source: the name and manners are those of JAX' ``jit``; A. Griewank, A. Walther, *Evaluating Derivatives*,
    2nd ed., SIAM 2008, chapter 4, on programs without branches.
    """
    argnums = (static_argnums,) if isinstance(static_argnums, int) else tuple(static_argnums)
    names = (static_argnames,) if isinstance(static_argnames, str) else tuple(static_argnames)
    return Jitted(f, argnums, names)
