"""What a model is trained for: for each of its outputs a loss, its weight, and metrics under names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from nnx import activations, losses, metrics
from nnx.backend import namespace
from nnx.errors import OptionError
from nnx.options import Number
from nnx.registry import Choice, snake_case, unique_name

Array = Any
_WEIGHT = Number()


class OwnLoss:
    """The loss of one output among several, as what is reported beside their weighted sum."""

    def __init__(self, loss: losses.Loss) -> None:
        self.loss = loss

    def statistics(self, value: Array, size: int) -> Array:
        """The sums of a batch of ``size`` samples whose loss has that value."""
        xp = namespace(value)
        return xp.stack([value * size, xp.ones_like(value) * size])

    def value(self, sums: Array) -> float:
        """The mean over all samples."""
        return float(sums[0] / sums[1])


class Report(NamedTuple):
    """One number that is reported beside the loss: its name, the output that it is about, and what it is."""

    name: str
    output: int
    #: a metric, or the output's own loss
    measure: Any
    weighted: bool = False


@dataclass(frozen=True, eq=False)
class Goal:
    """What one output is trained for, and what is reported of it."""

    #: what the output is called
    name: str
    #: None: it is not trained
    loss: losses.Loss | None
    #: what its loss is multiplied by in the sum of all
    weight: float
    metrics: tuple[Any, ...]
    weighted_metrics: tuple[Any, ...]

    @property
    def needs_targets(self) -> bool:
        """Whether anything is compared with its outputs."""
        return self.loss is not None or bool(self.metrics or self.weighted_metrics)

    @property
    def ranks_only(self) -> bool:
        """Whether a softmax at the end makes no difference to what is reported."""
        every = (*self.metrics, *self.weighted_metrics)
        return self._link == "softmax" and all(metric.ranks_only for metric in every)

    @property
    def _link(self) -> str | None:
        """The activation in place of which the loss takes pre-activations."""
        return None if self.loss is None else self.loss.traits.canonical_activation

    def takes_link(self, head: Any, axes: int) -> bool:
        """Whether the loss does better with what goes into ``head``, the activation at the end.

        ``axes`` ≥ 0 is the number of axes of a sample's output.
        """
        link = self._link
        if link is None or self.loss is None or not isinstance(head, Choice) or head.options:
            return False
        options = self.loss.options
        # Softmax is along the last axis; the sigmoid has no axis.
        along = link == "sigmoid" or options.get("axis", -1) in (-1, axes)
        fits = along and not options.get("from_logits", False)
        return fits and head.function is getattr(activations, link)

    @property
    def takes_labels(self) -> bool:
        """Whether its targets are class numbers, which stay integers."""
        return self.loss is not None and self.loss.traits.targets == "indices"


def reports_of(goals: Sequence[Goal]) -> tuple[Report, ...]:
    """What is reported beside the loss, in order and under names that differ: Keras' names.

    Of several losses each one's own; then the metrics and then the weighted ones, output by output. Of
    several outputs the name of each stands in front.
    """
    taken, found = {"loss"}, list[Report]()

    def add(goal: Goal, k: int, stem: str, measure: Any, weighted: bool = False) -> None:
        front = f"{goal.name}_" if len(goals) > 1 else ""
        if weighted and front + stem in taken:
            stem = f"weighted_{stem}"
        name = unique_name(front + stem, taken)
        taken.add(name)
        found.append(Report(name, k, measure, weighted))

    if sum(goal.loss is not None for goal in goals) > 1:
        for k, goal in enumerate(goals):
            if goal.loss is not None:
                add(goal, k, "loss", OwnLoss(goal.loss))
    for weighted in (False, True):
        for k, goal in enumerate(goals):
            for metric in goal.weighted_metrics if weighted else goal.metrics:
                add(goal, k, metric.name or snake_case(type(metric).__name__), metric, weighted)
    return tuple(found)


@dataclass(frozen=True, eq=False)
class Wishes:
    """What ``compile`` was asked for, before it is known which outputs there are.

    Each is one thing for all outputs, a list with one for each, or a dict by the outputs' names.
    """

    loss: Any
    loss_weights: Any = None
    metrics: Any = None
    weighted_metrics: Any = None

    @property
    def of_one(self) -> bool:
        """Whether all of it fits a model of one output."""
        if isinstance(self.metrics, list) and any(isinstance(one, list) for one in self.metrics):
            return False
        given = (self.loss, self.loss_weights, self.metrics, self.weighted_metrics)
        return not isinstance(self.loss, list) and not any(isinstance(one, dict) for one in given)

    def goals(self, names: Sequence[str]) -> tuple[Goal, ...]:
        """What the outputs of these names are trained for; OptionError for what does not fit them."""
        chosen = _one_for_each("loss", self.loss, names, None)
        weights = _one_for_each("loss_weights", self.loss_weights, names, 1.0)
        plain, weighted = (
            _metrics_for_each(what, getattr(self, what), names) for what in ("metrics", "weighted_metrics")
        )
        if all(loss is None for loss in chosen):
            raise OptionError(f"compile needs a loss for one of the outputs ({', '.join(names)}) at least.")
        return tuple(map(Goal, names, chosen, weights, plain, weighted))


def wishes(loss: Any, loss_weights: Any, plain: Any, weighted: Any) -> Wishes:
    """What the arguments of ``compile`` stand for: names and functions become losses and metrics."""
    if loss is None:
        raise OptionError("compile needs a loss, for example loss='mse' or loss='categorical_crossentropy'.")
    for what, given in (("metrics", plain), ("weighted_metrics", weighted)):
        if given is not None and not isinstance(given, list | tuple | Mapping):
            raise OptionError(f"{what} must be a list, for example {what}=['accuracy'], got {given!r}.")
    return Wishes(
        _each(loss, _loss),
        _each(loss_weights, lambda weight: _WEIGHT("compile", "loss_weights", weight)),
        _each(plain, lambda spec: _metric(spec, "metrics")),
        _each(weighted, lambda spec: _metric(spec, "weighted_metrics")),
    )


def _each(given: Any, change: Any) -> Any:
    """Every entry of nested lists and dicts changed; None stays what it is. A configuration is no dict."""
    if isinstance(given, Mapping) and not {"kind", "options"} <= given.keys():
        return {str(key): _each(value, change) for key, value in given.items()}
    if isinstance(given, list | tuple):
        return [_each(one, change) for one in given]
    return None if given is None else change(given)


def _loss(spec: Any) -> losses.Loss:
    chosen = losses.as_loss(spec)
    if not isinstance(chosen, losses.Loss):
        raise OptionError(f"loss must be a name, a loss of nnx.losses or a function, got {spec!r}.")
    if chosen.reduction in ("none", None):
        raise OptionError(
            f"compile minimises one number, and {chosen!r} gives one for each sample. Take another "
            "reduction: 'sum_over_batch_size', 'sum' or 'mean_with_sample_weight'."
        )
    return chosen


def _metric(spec: Any, what: str) -> Any:
    thing = metrics.get(spec)
    if not isinstance(thing, metrics.Metric):
        raise OptionError(f"{what} takes names, metrics of nnx.metrics and functions, got {spec!r}.")
    if isinstance(thing, metrics.OfValues):
        raise OptionError(
            f"{what}: {thing!r} is of values, not of targets and outputs. Call it in a loop of "
            "your own, or give a function (y_true, y_pred)."
        )
    return thing


def _for_each(what: str, given: Any, names: Sequence[str], otherwise: Any) -> list[Any]:
    """An entry for each output: one for all, as in a list, or by name with ``otherwise`` for the others."""
    if isinstance(given, dict):
        _need_names(what, given, names)
        return [given.get(name, otherwise) for name in names]
    if isinstance(given, list):
        if len(given) != len(names):
            raise OptionError(
                f"{what} is a list of {len(given)}, but the model has {_outputs(names)}: give one for each, "
                "or a dict by their names."
            )
        return given if what == "loss" else [otherwise if one is None else one for one in given]
    return [otherwise if given is None else given] * len(names)


def _one_for_each(what: str, given: Any, names: Sequence[str], otherwise: Any) -> list[Any]:
    """As :func:`_for_each`, of what an output has one of."""
    chosen = _for_each(what, given, names, otherwise)
    for name, one in zip(names, chosen, strict=True):
        if isinstance(one, list | dict):
            raise OptionError(f"{what} takes one thing for each output, got {one!r} for '{name}'.")
    return chosen


def _metrics_for_each(what: str, given: Any, names: Sequence[str]) -> list[tuple[Any, ...]]:
    """The metrics of each output: of several outputs a list for each."""
    if given is None:
        return [()] * len(names)
    if isinstance(given, list) and len(names) == 1:
        return [_flat(given, what)]
    if isinstance(given, list) and len(given) != len(names):
        raise OptionError(
            f"{what} of a model with {_outputs(names)} must have an entry for each, as in "
            f"{what}=[{', '.join(['[...]'] * len(names))}], or be a dict by their names; got {len(given)} "
            "entries."
        )
    return [() if one is None else _flat(one, what) for one in _for_each(what, given, names, None)]


def _flat(given: Any, what: str) -> tuple[Any, ...]:
    if given is None or isinstance(given, dict):
        raise OptionError(f"{what} takes names, metrics of nnx.metrics and functions, got {given!r}.")
    return tuple(m for one in given for m in _flat(one, what)) if isinstance(given, list) else (given,)


def _need_names(what: str, given: Mapping[str, Any], names: Sequence[str]) -> None:
    if foreign := [key for key in given if key not in names]:
        raise OptionError(
            f"{what} has an entry for {', '.join(map(repr, foreign))}, but the model has {_outputs(names)}."
        )


def _outputs(names: Sequence[str]) -> str:
    kind = "output" if len(names) == 1 else "outputs"
    return f"the {kind} {', '.join(map(repr, names))}"
