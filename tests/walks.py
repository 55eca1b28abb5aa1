"""Many tiny checks as one test: pytest takes longer over the start and the report of a test than they do.

A walk goes on after a failure and reports all that failed at once, each with its traceback and its name.
``pytest --case matmul`` runs, in every walk, only the cases whose names have this text in them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

import pytest

#: What the names of cases must have in them; conftest.py sets it from the command line.
chosen = ""
#: A case that skips itself has failed: nobody would see that it is left out.
FAILURES = (Exception, pytest.fail.Exception, pytest.skip.Exception)


def walk(argument: str, values: Iterable[Any], ids: Callable[[Any], str] = str) -> Callable[..., Any]:
    """A decorator as ``pytest.mark.parametrize(argument, values, ids=ids)``, but the test stays one test.

    Where the argument names several, separated by commas, each value is a tuple. Everything else that the
    test takes is a fixture, made once for all cases, so that a case must leave it as it was.
    """
    cases, names = list(values), [name.strip() for name in argument.split(",")]
    if not cases:
        raise ValueError(f"A walk over {argument} without cases would check nothing.")

    def over(test: Callable[..., None]) -> Callable[..., None]:
        @wraps(test)
        def whole(*args: Any, **fixtures: Any) -> None:
            selected = [case for case in cases if chosen in ids(case)]
            if not selected:
                pytest.skip(f"no case of {test.__name__} has {chosen!r} in its name")
            failed: dict[str, BaseException] = {}
            for case in selected:
                given = case if len(names) > 1 else (case,)
                try:
                    test(*args, **dict(zip(names, given, strict=True)), **fixtures)
                except FAILURES as error:
                    error.add_note(f"in the case {ids(case)}")
                    failed[ids(case)] = error
            if failed:
                message = f"{len(failed)} of {len(selected)} cases failed: {', '.join(failed)}"
                raise BaseExceptionGroup(message, list(failed.values()))

        signature = inspect.signature(test)
        left = [p for p in signature.parameters.values() if p.name not in names]
        whole.__signature__ = signature.replace(parameters=left)  # type: ignore[attr-defined]
        return whole

    return over
