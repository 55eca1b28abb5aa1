"""Dataclasses whose arguments are checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, ClassVar, Self

from nnx.errors import OptionError
from nnx.options.checks import Check
from nnx.options.made import hand_written, remembering
from nnx.options.names import need_known


class Options:
    """Base class of dataclasses whose arguments are checked.

    A subclass may say in ``renamed`` what other libraries call its own arguments. An argument that does not
    exist raises :class:`nnx.errors.OptionError` with the name to use instead:

    >>> nnx.optimizers.SGD(lr=0.1)
    Traceback (most recent call last):
    nnx.errors.OptionError: SGD has no argument 'lr'. Use learning_rate. Its arguments: learning_rate, ...
    """

    renamed: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        # What stands here now was written by hand: a dataclass makes its own __init__ later.
        if "__init__" in vars(cls):
            cls.__init__ = remembering(cls.__init__)  # type: ignore[method-assign]

    def __new__(cls, *args: Any, **options: Any) -> Self:
        # A dataclass answers an unknown keyword with a bare TypeError from __init__; this runs before it.
        if not hand_written(cls):
            cls._check_arguments(args, options)
        return super().__new__(cls)

    @classmethod
    def _check_arguments(cls, args: Sequence[Any], options: Iterable[str]) -> None:
        positional = [f.name for f in fields(cls) if f.init and not f.kw_only]  # type: ignore[arg-type]
        allowed = cls.argument_names()
        if "__dataclass_fields__" not in vars(cls) and vars(cls).get("__annotations__", {}).keys() - {
            *allowed
        }:
            raise OptionError(
                f"{cls.__name__} has fields of its own: write @dataclass(frozen=True) above the class."
            )
        if len(args) > len(positional):
            raise OptionError(
                f"{cls.__name__} takes {len(positional)} arguments without a name "
                f"({', '.join(positional)}), got {len(args)}. Its arguments: {', '.join(allowed)}."
            )
        need_known(cls.__name__, allowed, options, cls.hints())

    def __post_init__(self) -> None:
        own: Sequence[Any] = fields(self) if is_dataclass(self) else ()
        for f in own:
            check: Check | None = f.metadata.get("check")
            if check is not None:
                object.__setattr__(self, f.name, check(type(self).__name__, f.name, getattr(self, f.name)))

    @classmethod
    def argument_names(cls) -> list[str]:
        """The names of its arguments, positional ones first.

        >>> nnx.optimizers.NewtonCG.argument_names()
        ['initial_trust_radius', 'gtol', 'ftol', 'xtol', 'max_fail']
        """
        own = [f for f in fields(cls) if f.init]  # type: ignore[arg-type]
        return [f.name for f in sorted(own, key=lambda f: bool(f.kw_only))]

    @classmethod
    def hints(cls) -> dict[str, str]:
        """What other libraries call its arguments, ``renamed`` of its base classes included.

        >>> nnx.optimizers.SGD.hints()["lr"]
        'learning_rate'
        """
        known = [vars(base).get("renamed", {}) for base in reversed(cls.__mro__)]
        return {theirs: ours for names in known for theirs, ours in names.items()}
