"""Options of optimizers and schedules: checked when they are given, with errors that name the right one."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from numbers import Integral, Real
from typing import Any, ClassVar, Self

from nnx.errors import OptionError

#: a check takes (class name, option name, value given) and returns the value to keep
Check = Callable[[str, str, Any], Any]
#: a number, or a schedule: what gives one for each step
LearningRate = float | Callable[[int], float]

_CLIPPING = "clipnorm (each weight array), global_clipnorm (all weights together) or clipvalue"
_DECAY = (
    "learning_rate=PowerDecay(0.01, decay_steps=1 / decay) for 0.01 / (1 + decay * step), "
    "or weight_decay to shrink the weights"
)
#: what other libraries, and older versions of Keras, call these options
_ELSEWHERE = {
    "alpha": "learning_rate",
    "base_lr": "learning_rate",
    "beta1": "beta_1",
    "beta2": "beta_2",
    "betas": "beta_1 and beta_2",
    "clip": _CLIPPING,
    "clip_norm": _CLIPPING,
    "clip_value": "clipvalue",
    "decay": _DECAY,
    "ema": "use_ema=True, ema_momentum",
    "ema_decay": "use_ema=True, ema_momentum",
    "eps": "epsilon",
    "eta": "learning_rate",
    "gradient_accumulation_steps": "a larger batch_size in fit (nnx does not accumulate gradients)",
    "initial_lr": "learning_rate (in a schedule: initial_learning_rate)",
    "l2": "weight_decay, or a regularizer of the layer",
    "learning_rate_schedule": "learning_rate, which takes a schedule as well",
    "loss_scale_factor": "dtype='float32' for the model (nnx computes nothing in half precision)",
    "lr": "learning_rate",
    "lr_decay": _DECAY,
    "max_grad_norm": _CLIPPING,
    "mu": "momentum",
    "name": "nothing in its place (optimizers and schedules need no name)",
    "schedule": "learning_rate, which takes a schedule as well",
}


class Options:
    """Base class of the frozen dataclasses of this room: their arguments are checked.

    A subclass may say in ``renamed`` what other libraries call its own arguments. An argument that does not
    exist raises :class:`nnx.errors.OptionError` with the name to use instead:

    >>> nnx.optimizers.SGD(lr=0.1)
    Traceback (most recent call last):
    nnx.errors.OptionError: SGD has no argument 'lr'. Use learning_rate. Its arguments: learning_rate, ...
    """

    renamed: ClassVar[Mapping[str, str]] = {}

    def __new__(cls, *args: Any, **options: Any) -> Self:
        # Dataclasses answer an unknown keyword with a bare TypeError from __init__; this runs before it.
        positional = [f.name for f in fields(cls) if f.init and not f.kw_only]  # type: ignore[arg-type]
        allowed = cls.arguments()
        if len(args) > len(positional):
            raise OptionError(
                f"{cls.__name__} takes {len(positional)} arguments without a name "
                f"({', '.join(positional)}), got {len(args)}. Its arguments: {', '.join(allowed)}."
            )
        for name in options:
            if name not in allowed:
                raise no_argument(cls.__name__, name, allowed, cls.hints())
        return super().__new__(cls)

    def __post_init__(self) -> None:
        for f in fields(self):  # type: ignore[arg-type]
            check: Check | None = f.metadata.get("check")
            if check is not None:
                object.__setattr__(self, f.name, check(type(self).__name__, f.name, getattr(self, f.name)))

    @classmethod
    def arguments(cls) -> list[str]:
        """The names of its arguments, those that may be given without a name first."""
        own = [f for f in fields(cls) if f.init]  # type: ignore[arg-type]
        return [f.name for f in sorted(own, key=lambda f: bool(f.kw_only))]

    @classmethod
    def hints(cls) -> dict[str, str]:
        """What other libraries call its arguments, ``renamed`` of its base classes included."""
        known = [vars(base).get("renamed", {}) for base in reversed(cls.__mro__)]
        return {theirs: ours for names in known for theirs, ours in names.items()}


def no_argument(
    where: str, name: str, allowed: Sequence[str], hints: Mapping[str, str], further: Sequence[str] = ()
) -> OptionError:
    """The error for an argument that ``where`` does not have: what to use instead, and what there is.

    ``further`` are options of every run, which may be given with the others.
    """
    advice, known = hints.get(name) or _ELSEWHERE.get(name, ""), [*allowed, *further]
    if not advice or (advice.isidentifier() and advice not in known):
        advice = "".join(difflib.get_close_matches(name, known, n=1))
    words = [f"{where} has no argument '{name}'."]
    words += [f"Use {advice}."] if advice else []
    words += [f"Its arguments: {', '.join(allowed)}."]
    words += [f"Options of every run: {', '.join(further)}."] if further else []
    return OptionError(" ".join(words))


@dataclass(frozen=True)
class Number:
    """The check that an option is a finite number in an interval; it is kept as Python's float or int."""

    least: float = -math.inf
    above: float = -math.inf
    most: float = math.inf
    below: float = math.inf
    whole: bool = False
    optional: bool = False

    def __call__(self, where: str, name: str, value: Any) -> float | int | None:
        if value is None and self.optional:
            return None
        if not self.allows(value):
            raise OptionError(f"{where}: {name} must be {self}, got {value!r}.")
        return int(value) if self.whole else float(value)

    def allows(self, value: Any) -> bool:
        """Whether ``value`` is such a number (NaN, infinity and True are not)."""
        return (
            isinstance(value, Integral if self.whole else Real)
            and not isinstance(value, bool)
            and math.isfinite(value)
            and self.least <= float(value) <= self.most
            and self.above < float(value) < self.below
        )

    def __str__(self) -> str:
        limits = [
            f"{sign} {limit:g}"
            for sign, limit in ((">=", self.least), (">", self.above), ("<=", self.most), ("<", self.below))
            if math.isfinite(limit)
        ]
        kind = "a whole number" if self.whole else "a finite number"
        return " ".join([kind, " and ".join(limits)]).rstrip() + (" or None" if self.optional else "")


def number(default: Any = MISSING, **limits: Any) -> Any:
    """A dataclass field for a :class:`Number`."""
    return field(default=default, metadata={"check": Number(**limits)})


def fraction(default: float) -> Any:
    """A dataclass field for a number in [0, 1): what is kept of the past in a moving average."""
    return number(default, least=0.0, below=1.0)


def flag(default: bool) -> Any:
    """A dataclass field for True or False."""

    def check(where: str, name: str, value: Any) -> bool:
        if not isinstance(value, bool):
            raise OptionError(f"{where}: {name} must be True or False, got {value!r}.")
        return value

    return field(default=default, metadata={"check": check})


def learning_rate(where: str, name: str, value: Any) -> Any:
    """The check of a learning rate: a number ≥ 0, or a callable (step → number)."""
    if callable(value) and not isinstance(value, type):
        return value
    if not Number(least=0.0).allows(value):
        raise OptionError(
            f"{where}: {name} must be a finite number >= 0 or a schedule (step -> number), got {value!r}."
        )
    return float(value)


def as_rate(given: Any) -> float:
    """What a schedule gave as a Python number; NaN, which no step takes, for what is none."""
    try:
        return math.nan if isinstance(given, bool) else float(given)
    except (TypeError, ValueError):
        return math.nan


def patterns(where: str, name: str, value: Any) -> tuple[str, ...]:
    """The check of names: regular expressions that are searched for in the names of the weight arrays."""
    given = (value,) if isinstance(value, str) else value
    try:
        found = tuple(given)
        for pattern in found:
            re.compile(pattern)
    except (TypeError, re.error) as error:
        raise OptionError(
            f"{where}: {name} must be names or regular expressions, as in ('bias', 'gamma'), "
            f"got {value!r}: {error}."
        ) from error
    return found
