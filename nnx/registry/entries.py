"""What a registry holds: an entry for each thing, and functions together with their options."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, TypeVar

from nnx.errors import OptionError
from nnx.options import Check, need_known
from nnx.options.pairs import Agreement


@dataclass(frozen=True)
class Traits:
    """What is declared with a registered thing; kinds of things add their own, as losses a residual.

    >>> from nnx.registry import Traits
    >>> Traits(formula="x²").source
    ''
    """

    #: LaTeX, or plain text
    formula: str = ""
    #: what it is good for, in one line
    use: str = ""
    #: paper or book
    source: str = ""


T = TypeVar("T", bound=Traits)
NOTHING: Any = Traits()


@dataclass(frozen=True)
class Choice(Generic[T]):
    """A function together with its options: ``leaky_relu`` with ``negative_slope=0.1``.

    ``traits`` are what was declared when it was registered; of a user's function nothing is known.

    >>> leaky = nnx.activations.LeakyReLU(negative_slope=0.5)
    >>> leaky.name, leaky.options, leaky(np.asarray([-2.0]))
    ('leaky_relu', {'negative_slope': 0.5}, array([-1.]))
    """

    kind: str
    name: str
    function: Callable[..., Any] = field(repr=False)
    options: Mapping[str, Any] = field(default_factory=dict)
    traits: T = field(default=NOTHING, compare=False, repr=False)

    def __call__(self, *args: Any, **extra: Any) -> Any:
        if not extra and not self.options:
            return self.function(*args)
        return self.function(*args, **{**self.options, **extra})

    def __hash__(self) -> int:
        return hash((self.kind, self.name))


@dataclass(frozen=True)
class Entry(Generic[T]):
    """One row of a registry.

    >>> entry = nnx.activations.registry.entry("leaky_relu")
    >>> entry.class_name, entry.options, entry.required
    ('LeakyReLU', ('negative_slope',), ())
    >>> entry.create(negative_slope=0.5).options
    {'negative_slope': 0.5}
    >>> nnx.initializers.registry.entry("uniform").need_agreement("RandomUniform", {"minval": 1.0})
    Traceback (most recent call last):
        ...
    nnx.errors.OptionError: RandomUniform needs 0 ≤ maxval − minval < inf, got 1.0 and 0.05.
    """

    kind: str
    name: str
    target: Callable[..., Any]
    class_name: str
    aliases: tuple[str, ...]
    traits: T
    checks: Mapping[str, Check] = field(default_factory=dict)
    agree: Agreement | None = None

    def create(self, *args: Any, **options: Any) -> Any:
        """An instance of a registered class, or a :class:`Choice` of a registered function.

        Raises :class:`nnx.errors.OptionError` for options that the function does not have, twice given, out
        of range or at odds with each other.
        """
        if inspect.isclass(self.target):
            return self.target(*args, **options)
        allowed = self.options
        if len(args) > len(allowed):
            raise OptionError(
                f"{self.class_name} takes {len(allowed)} options {allowed}, got {len(args)} values."
            )
        need_known(self.class_name, allowed, options)
        for name in allowed[: len(args)]:
            if name in options:
                raise OptionError(f"{self.class_name} was given its option '{name}' twice.")
        options = dict(zip(allowed, args, strict=False)) | options
        for name in self.checks.keys() & options.keys():
            options[name] = self.checks[name](self.class_name, name, options[name])
        self.need_agreement(self.class_name, options)
        return Choice(self.kind, self.name, self.target, options, self.traits)

    def need_agreement(self, where: str, options: Mapping[str, Any]) -> None:
        """Raises :class:`nnx.errors.OptionError` for options, or defaults, that do not go together.

        ``where`` is what the message calls the thing.
        """
        if self.agree is not None:
            self.agree(where, self._defaults | dict(options))

    @cached_property
    def _defaults(self) -> dict[str, Any]:
        parameters = inspect.signature(self.target).parameters
        return {name: parameters[name].default for name in self.options}

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the keyword-only parameters, in order: these are the options."""
        parameters = inspect.signature(self.target).parameters.values()
        return tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)

    @property
    def required(self) -> tuple[str, ...]:
        """The options without a default."""
        parameters = inspect.signature(self.target).parameters.values()
        return tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty)
