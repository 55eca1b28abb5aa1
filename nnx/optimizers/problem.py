"""What an optimizer works on, and what it answers: the protocol of this room."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from nnx.backend import adapter_of, device_of, namespace, to_numpy
from nnx.optimizers.registering import registering
from nnx.parameters import Layout
from nnx.registry import Registry, Traits

Array = Any


@dataclass(frozen=True)
class OptimizerTraits(Traits):
    """What is declared with an optimizer."""

    #: whether it compares steps, and so needs all samples in each
    full_batch: bool = False
    #: whether it takes residuals instead of a cost
    least_squares: bool = False
    #: whether it waits for the cost's value in every step
    reads_the_cost: bool = False


registry = Registry("optimizer", OptimizerTraits)


#: the decorator of optimizers
register = registering(registry)


class Point:
    """A problem at one vector of weights: each quantity is computed on demand, once, and counted.

    The problem offers functions of the point, named after what they return:

    - ``argument(w)``: the weights in the form that its functions take, here ``point.x``;
    - for any cost ``value(point)`` and ``value_and_gradient(point)`` (value None: the gradient brings it),
      perhaps ``gradient(point)``, the gradient without a call of the function (None: that takes one), and
      ``hvp(point, v)`` = H·v and ``hessian(point)`` (None: it is made of products) for second order;
    - for a sum of squares ½‖r‖² ``residual(point)``, ``jvp(point, v)`` = J·v, ``vjp(point, u)`` = Jᵀ·u,
      ``jacobian(point)`` and ``blocks(point, memory_limit)`` (None: the Jacobian at once). It may have
      ``ridge``, a vector d that adds ½ Σ dᵢwᵢ² to the cost, and ``residual_scale(point)``, what its errors
      are multiplied by in the residuals.

    A function asks the point for what else it needs, and leaves in ``aux`` what comes along with its result:
    intermediate values for other functions, or what the caller wants to know (statistics of a batch).
    ``problem.counts`` says how often each was computed: "value" (the function or its residuals), "gradient",
    "hvp", "hessian", "jacobian", "product" (with the Jacobian). Where it has a method ``allow()``, that is
    called before the function is: a run with limits ends there. Ask before the weights are written to: a
    point does not copy them. Its arrays belong to the problem.

    >>> point = nnx.optimizers.FunctionProblem(lambda w: np.sum(w * w)).at(np.asarray([1.0, 2.0]))
    >>> point.value, point.gradient, point.hvp(np.asarray([1.0, 0.0])), point.offers("jacobian")
    (array(5.), array([2., 4.]), array([2., 0.]), False)
    """

    def __init__(self, problem: Any, w: Array, known: dict[str, Array] | None = None) -> None:
        """``known`` are quantities that have been computed, and counted, already: by name."""
        self.w = w
        self.aux: dict[str, Any] = {}
        self._problem = problem
        self._known: dict[str, Array] = {} if known is None else known

    def offers(self, part: str) -> bool:
        """Whether the problem has ``part``, the name of one of the quantities below. Computes nothing."""
        return hasattr(self._problem, _MADE_BY.get(part, part))

    def knows(self, part: str) -> bool:
        """Whether that quantity has been computed."""
        return part in self._known

    def mend(self) -> bool:
        """Replaces derivatives that are not finite by finite ones from the problem, if it has them.

        ``mend(point)`` of a problem returns them by name, or None, which is False here. What depends on them
        is computed anew.
        """
        found = self._problem.mend(self) if hasattr(self._problem, "mend") else None
        if found is None:
            return False
        self._known.pop("gradient", None)
        self._known.update(found)
        return True

    @property
    def x(self) -> Any:
        """The weights in the form that the problem's functions take."""
        if "x" not in self._known:
            self._known["x"] = self._problem.argument(self.w)
        return self._known["x"]

    @property
    def is_evaluated(self) -> bool:
        """Whether the cost is known without a further call of the function."""
        return "value" in self._known or "residual" in self._known

    # -- any cost -----------------------------------------------------------------------------------

    @property
    def value(self) -> Array:
        """The cost, an array of shape ()."""
        if "value" not in self._known:
            self._find_value()
        return self._known["value"]

    @property
    def gradient(self) -> Array:
        """The derivative of the cost, a vector like the weights."""
        if "gradient" not in self._known:
            self._find_gradient()
        return self._known["gradient"]

    def hvp(self, v: Array) -> Array:
        """The product H·v of the Hessian with a vector."""
        self._problem.counts["hvp"] += 1
        return self._problem.hvp(self, v)

    @property
    def hessian(self) -> Array:
        """The Hessian, n × n and symmetric."""
        if "hessian" not in self._known:
            self._problem.counts["hessian"] += 1
            given = self._problem.hessian(self) if hasattr(self._problem, "hessian") else None
            self._known["hessian"] = self._hessian_of_products() if given is None else given
        return self._known["hessian"]

    # -- sums of squares ----------------------------------------------------------------------------

    @property
    def residual(self) -> Array:
        """r(w), a vector."""
        if "residual" not in self._known:
            before_a_call(self._problem.counts)
            self._known["residual"] = self._problem.residual(self)
            self._problem.counts["value"] += 1
        return self._known["residual"]

    @property
    def jacobian(self) -> Array:
        """∂r/∂w, (m, n)."""
        if "jacobian" not in self._known:
            _ = self.residual  # which says m
            self._problem.counts["jacobian"] += 1
            self._known["jacobian"] = self._problem.jacobian(self)
        return self._known["jacobian"]

    def blocks(self, memory_limit: float) -> Iterable[tuple[Array, Array]]:
        """Rows of the Jacobian with their residuals, as many at a time as ``memory_limit`` bytes hold."""
        blocks = self._problem.blocks(self, memory_limit)
        if blocks is None:
            return [(self.jacobian, self.residual)]
        self._problem.counts["jacobian"] += 1
        return blocks

    def jvp(self, v: Array) -> Array:
        """The product J·v, a vector of m entries."""
        self._problem.counts["product"] += 1
        return self._problem.jvp(self, v)

    def vjp(self, u: Array) -> Array:
        """The product Jᵀ·u, a vector of n entries."""
        self._problem.counts["product"] += 1
        jacobian = self._known.get("jacobian")
        return self._problem.vjp(self, u) if jacobian is None else u @ jacobian

    def contradiction(self) -> str:
        """In words, that the Jacobian contradicts the residuals, where a user gave it; "" otherwise."""
        found = getattr(self._problem, "contradiction", None)
        return "" if found is None else found(self)

    @property
    def ridge(self) -> Array | None:
        """The vector d of a penalty ½ Σ dᵢwᵢ² that is added to ½‖r‖²; None without one."""
        return getattr(self._problem, "ridge", None)

    @property
    def residual_scale(self) -> float:
        """What the errors are multiplied by in the residuals."""
        return self._problem.residual_scale(self) if hasattr(self._problem, "residual_scale") else 1.0

    # -- details ------------------------------------------------------------------------------------

    def _find_value(self) -> None:
        if hasattr(self._problem, "value"):
            if not self.is_evaluated:
                before_a_call(self._problem.counts)
            value = self._problem.value(self)
            if value is None:
                self._find_gradient()
                return
            if "residual" not in self._known:  # else the function has been evaluated, and counted
                self._problem.counts["value"] += 1
        else:
            r, d = self.residual, self.ridge
            with adapter_of(r).without_warnings():  # of a step that goes too far the cost is infinite
                value = 0.5 * namespace(r).vecdot(r, r)
            if d is not None:
                value = value + 0.5 * namespace(r).vecdot(d * self.w, self.w)
        self._known["value"] = value

    def _find_gradient(self) -> None:
        if hasattr(self._problem, "value_and_gradient"):
            gradient = self._problem.gradient(self) if hasattr(self._problem, "gradient") else None
            if gradient is None:
                before_a_call(self._problem.counts)
                value, gradient = self._problem.value_and_gradient(self)
                self._problem.counts["value"] += 1
                self._known.setdefault("value", value)
            self._problem.counts["gradient"] += 1
        else:
            gradient, d = self.vjp(self.residual), self.ridge
            gradient = gradient if d is None else gradient + d * self.w
        self._known["gradient"] = gradient

    def _hessian_of_products(self) -> Array:
        """The Hessian from its n products with the unit vectors, made symmetric to the last bit."""
        xp, n = namespace(self.w), self.w.shape[0]
        eye = xp.eye(n, dtype=self.w.dtype, device=device_of(self.w))
        h = xp.stack([self._problem.hvp(self, eye[i, :]) for i in range(n)])
        return 0.5 * (h + h.T)


def before_a_call(counts: Any) -> None:
    """To be called before a function is, with the counts of its problem: a run with limits may end here."""
    allow = getattr(counts, "allow", None)
    if allow is not None:
        allow()


#: the function of a problem without which a point cannot have this
_MADE_BY = {"gradient": "value_and_gradient", "hessian": "hvp", "jacobian": "residual", "blocks": "residual"}


def offers(point: Any, part: str) -> bool:
    """Whether a point has ``part``: a :class:`Point`, or any object that has it as an attribute."""
    return point.offers(part) if isinstance(point, Point) else part in dir(point)  # hasattr would compute it


class Problem(Protocol):
    """A function of a vector of weights whose minimum is wanted.

    A problem may also have a ``mask``: a vector of bools, True for the weights that may move; a ``version``,
    which changes where the same weights no longer have the same cost; and ``counts`` of what it computed.

    >>> float(nnx.optimizers.FunctionProblem(lambda w: np.sum(w * w)).at(np.asarray([3.0])).value)
    9.0
    """

    @property
    def layout(self) -> Layout | None:
        """Names and shapes of the pieces of the vector; None where they have none."""

    def at(self, w: Array) -> Any:
        """The function at ``w``: a :class:`Point`, or any object with the attributes that a method needs.

        Methods of first order need ``value`` and ``gradient``.
        """


class Stop(NamedTuple):
    """Why a method stops: its code, the rule in words, and whether that is a success.

    ``status`` is a whole number, a key of :data:`nnx.optimizers.REASONS`.

    >>> nnx.optimizers.Stop(2, "ftol", True).success
    True
    """

    status: int
    message: str
    success: bool


class Info(NamedTuple):
    """What a step tells: the last point whose cost is known, the learning rate, and whether it was accepted.

    ``learning_rate``, a number ≥ 0, is None for methods without one. The ``point`` is where a step of first
    order started, and where one of a deterministic method ended. ``measures`` are floats for the history
    (norm of the gradient, length of the step, damping, ...); ``stop`` says why no further step should follow,
    and is None where one should.

    >>> nnx.optimizers.Info(point=None, learning_rate=0.1).accepted
    True
    """

    point: Any
    learning_rate: float | None
    accepted: bool = True
    measures: Mapping[str, float] = {}
    stop: Stop | None = None


class Optimizer(Protocol):
    """A method that lowers the cost of a problem, step by step.

    >>> problem, w = nnx.optimizers.FunctionProblem(lambda w: np.sum(w * w)), np.asarray([1.0])
    >>> method = nnx.optimizers.SGD(0.25)
    >>> w, state, info = method.step(problem, w, method.init(problem, w))
    >>> w
    array([0.5])
    """

    def init(self, problem: Problem, w: Array) -> Any:
        """The state before the first step on the weights ``w``, a vector."""

    def step(self, problem: Problem, w: Array, state: Any) -> tuple[Array, Any, Info]:
        """``(w, state, info)`` after one step."""


def read(*scalars: Array) -> list[float]:
    """The values of arrays of shape () on the host: one transfer for all of them."""
    first = scalars[0]
    if adapter_of(first).reads_are_free:
        return [float(x) for x in scalars]
    if len(scalars) == 1:
        return [float(to_numpy(first))]
    return [float(x) for x in to_numpy(namespace(first).stack(list(scalars)))]


def read_vector(x: Array) -> list[float]:
    """The entries of a vector on the host: one transfer."""
    return [float(entry) for entry in to_numpy(x)]
